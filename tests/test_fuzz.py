"""The harness of the fuzzing campaigns (bench/fuzz), and a small, seeded part of each campaign."""

import os
import random

from bench.fuzz.harness import Limits, run

HOSTILE = ("good", "raises", "exits", "hangs", "grows", "good")
_STATES = [random.Random(f"0/{number}").getstate() for number in range(len(HOSTILE))]


def _make(source: random.Random) -> str:
    return HOSTILE[_STATES.index(source.getstate())]


def _check(kind: str) -> str:
    if kind == "raises":
        raise ValueError(kind)
    if kind == "exits":
        os._exit(3)
    if kind == "hangs":
        return str(9 ** int("9" * 9))
    if kind == "grows":
        bytearray(10**9)
    return "read"


def test_the_harness_tells_every_kind_of_fault_and_goes_on():
    outcomes = list(run(_make, _check, range(len(HOSTILE)), limits=Limits(0.1, 200)))
    assert [o.word for o in outcomes] == ["read", "error", "died", "slow", "memory", "read"]
    assert [o.fault for o in outcomes] == [False, True, True, True, True, False]
    assert "ValueError: raises" in outcomes[1].detail
