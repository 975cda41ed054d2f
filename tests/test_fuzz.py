"""The harness of the fuzzing campaigns (bench/fuzz), and a small, seeded part of each campaign."""

import os
import random

import pytest

from bench.fuzz import formulas, specs
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


@pytest.mark.parametrize(("campaign", "count"), [(formulas, 40), (specs, 100)], ids=["formulas", "specs"])
def test_a_part_of_each_campaign(campaign, count):
    outcomes = list(run(campaign.make, campaign.check, range(count), seed=7, limits=Limits(6.0)))
    assert not [o for o in outcomes if o.fault]
    assert len({o.word for o in outcomes}) > 1
