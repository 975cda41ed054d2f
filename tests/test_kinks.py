"""Where an expression jumps, and where only its derivative does."""

from __future__ import annotations

import pytest
import sympy
from small_programs import i, n, read
from sympy import Expr, Piecewise

from chainrule.codegen.passes.kinks import conditions, jumps

y, z = read("y", n, i), read("z", n, i)


@pytest.mark.parametrize(
    "meets",
    [
        Piecewise((y, y > 0), (0, True)),
        Piecewise((y, y > z), (z, True)),
        Piecewise((y**2, y > 1), (2 * y - 1, True)),
        Piecewise((3 * y - 2, y < 1), (y**3, True)),
        sympy.Abs(y),
    ],
)
def test_branches_that_meet_do_not_jump(meets: Expr) -> None:
    assert jumps(meets) == [] and len(conditions(meets)) == 1


@pytest.mark.parametrize(
    "jump",
    [
        Piecewise((y + 1, y > 0), (0, True)),
        Piecewise((y, y > z + 1), (z, True)),
        Piecewise((y**2, y > 1), (2 * y, True)),
        Piecewise((1, y > 1), (0, y > -1), (2, True)),
        Piecewise((y, z > 0), (0, True)),
        sympy.sign(y) * z,
        sympy.floor(y),
    ],
)
def test_branches_that_do_not_meet_jump(jump: Expr) -> None:
    assert jumps(jump) == conditions(jump) != []


def test_what_depends_on_no_tensor_is_no_jump() -> None:
    assert jumps(Piecewise((y, i > 2), (0, True)) + z) == []
