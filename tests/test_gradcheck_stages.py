"""Points of a gradient check, one after the other, until each tensor is exercised by one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import chainrule.runtime.gradcheck as gradcheck
from chainrule.runtime.gradpoint import Point
from chainrule.runtime.gradreport import FAIL, PASS, UNEXERCISED, GradientRow


@pytest.mark.parametrize(
    ("live", "wrong", "looked", "verdicts"),
    [
        (["Wbx"], "", [0], "PPP"),
        (["W", "Wbx", "Wbx"], "", [1], "PPP"),
        (["W", "b", "W", "bx"], "", [0, 3], "PPP"),
        (["W", "bx", "W", "W", "x"], "", [1, 3], "PPP"),
        (["W", "Wb", "W", "b", "x", "x"], "", [1, 4], "PPP"),
        (["W", "", "", "", ""], "", [0], "PUU"),
        (["W", ""], "", [0], "PUU"),
        (["W", "Wbx", "Wbx"], "W", [1], "FPP"),
        (["W", "b", "W", "bx"], "W", [0], "FUU"),
    ],
)
def test_a_point_for_every_tensor(
    live: list[str], wrong: str, looked: list[int], verdicts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that exercises all is looked for among the first three, then the best of these and others."""
    points = [Point({}, np.zeros(1), np.zeros(1), f"{k}") for k in range(len(live))]

    def live_names(_check: Any, point: Point, names: list[str]) -> list[str]:
        return [name for name in names if name in live[int(point.what)]]

    def check_point(_check: Any, stage: str, point: Point, names: list[str]) -> list[GradientRow]:
        reached = live[int(point.what)]
        told = {name: FAIL if name in wrong else PASS if name in reached else UNEXERCISED for name in names}
        return [GradientRow(stage, name, (), 1e-7, "", verdict=verdict) for name, verdict in told.items()]

    monkeypatch.setattr(gradcheck, "_live_names", live_names)
    monkeypatch.setattr(gradcheck, "_check_point", check_point)
    check: Any = SimpleNamespace(
        program=SimpleNamespace(module=SimpleNamespace(PARAMETERS={"W": (), "b": ()}))
    )
    seen, rows = gradcheck._stage(check, "initial", points)
    assert [int(point.what) for point in seen] == looked
    assert [row.tensor for row in rows] == ["W", "b", "x"]
    assert [{PASS: "P", FAIL: "F", UNEXERCISED: "U"}[row.verdict] for row in rows] == list(verdicts)
