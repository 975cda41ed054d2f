"""Errors planted in the equations of image networks: every one is caught, right ones are acquitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

import pytest
import sympy
from image_judges import (
    CONV,
    DENSE,
    DROPOUT,
    NORM,
    POOLS,
    SQUARE,
    WIDER,
    Array,
    equal_pixels,
    layer,
    network,
    program,
    verdicts,
)
from right_sides import Change, negate, on_nodes, on_reads, renamed, times, without_a_term
from sympy import Indexed, Rational

import chainrule.codegen.generate
from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import Equation, Sum, Winner, access, index
from chainrule.derive.network import N
from chainrule.spec.load import parse_spec

# ---- The networks ----------------------------------------------------------------------------------


GROUPS = network((4, 3, 4), layer("conv2d", filters=4, kernel=2, groups=2), layer("tanh"), DENSE)
LAYER_NORM = network((4, 3, 2), layer("layer_norm"), layer("conv2d", filters=3, kernel=2), layer("tanh"),
                     layer("global_avg_pool"), layer("maxout", units=3), DENSE)  # fmt: skip
NETWORKS = (CONV, SQUARE, WIDER, GROUPS, POOLS, NORM, LAYER_NORM, DROPOUT)


# ---- Errors in equations ---------------------------------------------------------------------------


def shifted(name: str, axis: int, by: int) -> Change:
    """Read a tensor one place further."""

    def change(read: Indexed) -> sympy.Expr:
        at = list(read.indices)
        at[axis] += by
        return access(read.base, *at)

    return on_reads(name, change)


def turned(name: str, axis: int, extent: int) -> Change:
    """Read a kernel the other way round along an axis."""

    def change(read: Indexed) -> sympy.Expr:
        at = list(read.indices)
        at[axis] = extent - 1 - at[axis]
        return access(read.base, *at)

    return on_reads(name, change)


def exchanged_slopes(name: str) -> Change:
    """Exchange stride and dilation: i·s + u·d − p as i·d + u·s − p."""
    i, j, u, v = (index(letter) for letter in "ijuv")
    swap = {i: u, u: i, j: v, v: j}
    return on_reads(name, lambda e: access(e.base, *(at.xreplace(swap) for at in e.indices)))


def last_of_equals(right: sympy.Expr) -> sympy.Expr:
    """The last winner of a maximum instead of the first: the window counted from its end."""

    def change(winner: Winner) -> sympy.Expr:
        turn = {symbol: size - 1 - symbol for symbol, size in winner.axes}
        places = [size - 1 - at for at, (_, size) in zip(winner.at, winner.axes, strict=True)]
        return Winner(winner.body.xreplace(turn), places, *winner.axes)

    return on_nodes(Winner, change)(right)


@dataclass(frozen=True)
class Planted:
    """An error in the equations of these names (``name`` or ``name in MODE``), and who must catch it."""

    what: str
    spec: str
    changes: Mapping[str, Change] = field(default_factory=dict)
    caught_by: tuple[str, ...] = ("gradients", "steps")
    x: Callable[[], Array] | None = None


DERIVED = ("differences", "gradients", "steps")  # a wrong gradient of a right loss
INPUT_ONLY = ("differences", "gradients")
KEPT = ("steps", "evaluation")
EQUATIONS = (
    Planted("the sign of a convolution's delta", CONV, {"d z1": negate}, DERIVED),
    Planted("padding off by one", CONV, {"z1": shifted("a0", 1, -1)}),
    Planted("padding off by one, backwards only", CONV, {"d W1": shifted("a0", 1, -1)}, DERIVED),
    Planted("the odd zero before", CONV, {"z2": shifted("a1", 2, -1)}),
    Planted("stride and dilation exchanged in the weight gradient", CONV,
            {"d W1": exchanged_slopes("a0")}, DERIVED),
    Planted("the kernel not turned in the adjoint", CONV, {"d z1": turned("W2", 1, 2)}, DERIVED),
    Planted("the kernel not turned in the input's gradient", CONV, {"d x": turned("W1", 2, 2)}, INPUT_ONLY),
    Planted("a convolution that turns its kernel", CONV, {"z2": turned("W2", 1, 2)}),
    Planted("flip turns one axis of two", SQUARE, {"z1": turned("W1", 1, 3)}),
    Planted("a bias that adds up samples only", CONV,
            {"d b1": lambda right: Sum(
                right.body.xreplace(dict.fromkeys(right.bound[1:], sympy.S.Zero)), right.axes[0])}, DERIVED),
    Planted("no decay of a kernel", CONV, {"d W2": without_a_term(lambda t: not t.has(Sum))}, DERIVED),
    Planted("a group that reads its neighbour", GROUPS,
            {"h1": on_reads("a0", lambda e: e.xreplace({index("g"): 1 - index("g")}))}),
    Planted("the last of equals wins", POOLS, {"d x": last_of_equals}, ("gradients",), x=equal_pixels),
    Planted("a mean over one place too few", POOLS, {"a1_2": times(Rational(4, 3))}),
    Planted("the adjoint of a mean not divided", POOLS, {"d z1": times(4)}, DERIVED),
    Planted("the adjoint of a mean one place off", POOLS, {"d z1": shifted("d a1_2", 1, 1)}, DERIVED),
    Planted("1/M missing in the mean of a batch", NORM, {"mu2": times(6)}),
    Planted("1/M missing in the variance", NORM, {"v2": times(6)}),
    Planted("the unbiased variance in training", NORM, {"v2": times(6 * N / (6 * N - 1))}),
    Planted("epsilon outside the root", NORM,
            {"xhat2": on_nodes(sympy.Pow, lambda e: 1 / (sympy.sqrt(e.base.args[1]) + e.base.args[0])
                               if e.exp == Rational(-1, 2) else e)}),
    Planted("batch norm's gradient without its coupling", NORM,
            {"d z1": without_a_term(lambda t: "xhat2" in str(t))}, DERIVED),
    Planted("batch norm's gradient without 1/M", NORM, {"d z1": times(6 * N)}, DERIVED),
    Planted("gamma's gradient without the standardized values", NORM,
            {"d gamma2": on_reads("xhat2", lambda e: sympy.S.One)}, DERIVED),
    Planted("running statistics that are not kept", NORM,
            {"mean2": renamed("mu2", "mean2")}, KEPT),
    Planted("momentum the wrong way round", NORM,
            {"mean2": lambda right: sympy.Add(*(t / t.args[0] * (1 - t.args[0]) for t in right.args))}, KEPT),
    Planted("a running variance that is biased", NORM,
            {"var2": on_nodes(sympy.Pow, lambda e: 1 / (6 * N))}, KEPT),
    Planted("evaluation with the statistics of one", NORM,
            {"z2 in evaluation": on_reads("var2", lambda e: sympy.S.One)}, ("evaluation",)),
    Planted("layer norm over one value too few", LAYER_NORM, {"v1": times(Rational(24, 23))}),
    Planted("the loser of maxout gets the gradient", LAYER_NORM,
            {"d h3": on_nodes(Winner, lambda e: 1 - e)}, DERIVED),
    Planted("a global mean that is a sum, backwards", LAYER_NORM, {"d z2": times(6)}, DERIVED),
    Planted("dropout without its scale", DROPOUT, {"a1 in training": times(Rational(3, 4))}),
    Planted("dropout that scales in evaluation", DROPOUT, {"a1 in evaluation": times(Rational(3, 4))},
            ("evaluation",)),
    Planted("the mask forgotten, backwards", DROPOUT,
            {"d z1": on_reads("m1", lambda e: sympy.S.One)}, DERIVED),
)  # fmt: skip


# ---- Planting and judging --------------------------------------------------------------------------


def changed(derivation: Derivation, changes: Mapping[str, Change]) -> Derivation:
    """The derivation with right sides changed; every named one must change."""
    left, equations = set(changes), []
    for entry in derivation.equations:
        for key in () if entry.shown_only else (entry.symbol, f"{entry.symbol} in {entry.mode}"):
            if key in changes:
                right = changes[key](entry.computed.right)
                assert right != entry.computed.right, f"{key} did not change: {right}"
                entry = replace(entry, computed=Equation(entry.computed.left, right))
                left.discard(key)
        equations.append(entry)
    assert not left, f"no equation of {left} in {[e.symbol for e in derivation.equations]}"
    return replace(derivation, equations=tuple(equations))


@pytest.mark.parametrize("spec", NETWORKS, ids=range(len(NETWORKS)))
def test_right_programs_are_acquitted(
    torch: ModuleType, spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = program(spec, tmp_path)
    assert verdicts(torch, one) == set()
    if spec is POOLS:
        assert "differences" not in verdicts(torch, one, equal_pixels())
        assert verdicts(torch, one, equal_pixels()) == set()


@pytest.mark.parametrize("planted", EQUATIONS, ids=lambda planted: planted.what)
def test_an_error_in_an_equation_is_caught(
    torch: ModuleType, planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = changed(derive_network(parse_spec(planted.spec, "spec.toml")), planted.changes)
    monkeypatch.setattr(chainrule.codegen.generate, "derive_network", lambda _: wrong)
    one = program(planted.spec, tmp_path)
    found = verdicts(torch, one, planted.x() if planted.x else None)
    assert found >= set(planted.caught_by), f"{planted.what}: only {found or 'nobody'} objects"


def test_there_are_at_least_twelve_of_each_kind() -> None:
    assert len({planted.what for planted in EQUATIONS}) == len(EQUATIONS) >= 12
    for judge, least in (("differences", 12), ("gradients", 12), ("steps", 12), ("evaluation", 4)):
        assert sum(judge in planted.caught_by for planted in EQUATIONS) >= least
