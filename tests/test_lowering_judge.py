"""Whatever an index equation lowers to computes what the reference interpreter says of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from cuda_on_cpu.module import requires_compiler
from hypothesis import HealthCheck, Phase, given, settings
from judge import Kernels, by_numpy, judged, lowered, mismatches
from random_equations import Case, cases

import codegen.affine
import codegen.known
import codegen.targets.numpy.grid
from codegen.affine import COPIED, IN_PLACE
from derive.index import same_up_to_names

CASES = int(os.environ.get("CHAINRULE_CASES", "185"))  # of about two equations, and their adjoints
TOGETHER = 80  # cases whose kernels are compiled together


def judge_drawn(count: int, see: Callable[[Case], None]) -> None:
    """Show so many drawn cases, always the same ones."""

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def run(case: Case) -> None:
        see(case)

    run()


@requires_compiler
def test_lowered_equations_compute_what_they_say() -> None:
    """Equations and their adjoints, in NumPy with copied windows, in kernels with windows read in place."""
    waiting: list[Kernels] = [Kernels()]
    drawn = 0

    def see(case: Case) -> None:
        nonlocal drawn
        one = judged(case)
        wrong = mismatches(by_numpy(lowered(one, COPIED), one), one)
        assert not wrong, f"{', '.join(wrong)}: {case}"
        waiting[-1].add(one, lowered(one, IN_PLACE))
        drawn += len(one.wanted)
        if len(waiting[-1].cases) == TOGETHER:
            waiting.append(Kernels())

    judge_drawn(CASES, see)
    for kernels in waiting:
        for one, found in kernels.results():
            assert not mismatches(found, one), one.case
    assert drawn >= 2.7 * CASES


PLANTED: dict[str, tuple[Any, str, Any]] = {
    "places for any body": (codegen.affine, "vanishes", lambda body, zeros: bool(list(zeros))),
    "sums exchanged for any body": (codegen.affine, "zero_outside", lambda *_: True),
    "reductions known at other extents": (
        codegen.known,
        "_form",
        lambda r, _: (same_up_to_names(r),),
    ),
    "a grid's subscripts at other extents": (
        codegen.targets.numpy.grid,
        "is_plain",
        lambda read, _: (
            all(i.is_Symbol for i in read.indices) and len(set(read.indices)) == len(read.indices)
        ),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_judge_finds_planted_errors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each error is among the first drawn cases: other values than the interpreter's, not only a crash."""
    monkeypatch.setattr(*PLANTED[name])
    found: list[Case] = []

    def see(case: Case) -> None:
        if not found:
            one = judged(case)
            try:
                found.extend([case] if mismatches(by_numpy(lowered(one, COPIED), one), one) else [])
            except Exception:  # a crash: not what is looked for
                return

    judge_drawn(CASES, see)
    assert found
