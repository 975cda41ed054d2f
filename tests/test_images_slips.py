"""Slips planted on the way from equations of image networks to a program: every one is caught."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sympy
from image_judges import CONV, DROPOUT, NORM, POOLS, SQUARE, WIDER, Array, equal_pixels, program, verdicts
from right_sides import on_nodes
from sympy import Indexed, Symbol

import chainrule.codegen.lower.equation
import chainrule.codegen.target as target
import chainrule.codegen.targets.numpy.gathering
import chainrule.codegen.targets.numpy.trainer
from chainrule.codegen.ir.program import Draw, Loop, Pad, Program, Reduce, Scatter, Window
from chainrule.codegen.ir.verify import VerificationError
from chainrule.codegen.lower import affine
from chainrule.codegen.lower.affine import Costs
from chainrule.codegen.lower.emitter import LoweringError
from chainrule.codegen.passes.optimize import Pass
from chainrule.derive.derivation import Derivation


@dataclass(frozen=True)
class Slip:
    """A slip in lowering: a change of the statements, or of what a module of the generator knows."""

    what: str
    spec: str
    statements: Callable[[Any], Any] | None = None  # of the program as lowered; None: the statement is lost
    loops: Callable[[Loop], Loop] | None = None  # of the program as it is printed
    patch: tuple[Any, str, Callable[[Any], Any]] | None = None  # module, name, what becomes of it
    x: Callable[[], Array] | None = None


def on(kind: type, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda s: change(s) if isinstance(s, kind) else s


def exchanged(s: Window) -> Window:
    """Rows and columns of the window exchanged."""
    u, v = (next((i for i in s.indices if i.name == name), None) for name in "uv")
    if u is None or v is None:
        return s
    return replace(s, subscripts=tuple(e.xreplace({u: v, v: u}) for e in s.subscripts))


def helper(name: str, old: str, new: str) -> tuple[Any, str, Callable[[Any], Any]]:
    """A function of the generated program with a slip in its text."""

    def change(helpers: dict[str, str]) -> dict[str, str]:
        assert old in helpers[name]
        return {**helpers, name: helpers[name].replace(old, new)}

    return chainrule.codegen.targets.numpy.trainer, "HELPERS", change


def unturned(expanded: Callable[..., sympy.Expr]) -> Callable[..., sympy.Expr]:
    """Turn the index of a window without turning it in the weights beside it."""

    def wrong(body: sympy.Expr, replace: dict[Symbol, sympy.Expr]) -> sympy.Expr:
        right = expanded(body, replace)
        if not all(new.has(old) for old, new in replace.items()):
            return right
        weights = {str(e.base.label): e for e in body.atoms(Indexed) if all(i.is_Symbol for i in e.indices)}
        return on_nodes(Indexed, lambda e: weights.get(str(e.base.label), e))(right)

    return wrong


def unturned_back(s: Scatter) -> Scatter:
    """A weight's gradient left as the windows of what comes after it have it."""
    own = zip(s.subscripts, s.indices, strict=True)
    turned = {i: -e.coeff(i) * i for e, _ in own for i in e.free_symbols if e.coeff(i) < 0}
    return replace(s, subscripts=tuple(e if e.is_Symbol else sum(turned.get(i, i) for i in e.free_symbols)
                                       if turned else e for e in s.subscripts))  # fmt: skip


SLIPS = (
    Slip("places that overlap are overwritten", WIDER, on(Scatter, lambda s: replace(s, add=False))),
    Slip("places are not set to zero first", WIDER, on(Scatter, lambda s: replace(s, zero=False))),
    Slip("the odd zero on the other side", CONV,
         on(Pad, lambda s: replace(s, before=s.after, after=s.before))),
    Slip("rows and columns of a window exchanged", SQUARE, on(Window, exchanged)),
    Slip("a maximum that is a sum", POOLS, on(Reduce, lambda s: replace(s, operation="sum"))),
    Slip("a sum that is a maximum", NORM, on(Reduce, lambda s: replace(s, operation="max"))),
    Slip("one mask for every layer", DROPOUT, on(Draw, lambda s: replace(s, stream=0))),
    Slip("a mask of what is dropped", DROPOUT,
         on(Draw, lambda s: replace(s, probability=1 - s.probability))),
    Slip("sums of the last piece only", NORM, loops=lambda loop: replace(loop, sums=frozenset())),
    Slip("sums of the last piece only, of a convolution", CONV,
         loops=lambda loop: replace(loop, sums=frozenset())),
    Slip("samples beyond the last whole piece left out", CONV,
         patch=helper("threads", "in starts[thread::THREADS]",
                      "in range(thread * starts.step, N - starts.step + 1, THREADS * starts.step)")),
    Slip("the first thread's sums alone", CONV, patch=helper("threads", "in own[1:]", "in own[2:]")),
    Slip("pieces of the first thread alone", CONV,
         patch=helper("threads", "in range(1, len(own))", "in range(2, len(own))")),
    Slip("threads share their sums", CONV, patch=helper("threads", "np.zeros_like(total)", "total")),
    Slip("the last of equals wins", POOLS, x=equal_pixels,
         patch=helper("first", "np.ndindex(*(values.shape[axis] for axis in axes))",
                      "reversed([*np.ndindex(*(values.shape[axis] for axis in axes))])")),
    Slip("all of equals win", POOLS, x=equal_pixels, patch=helper("first", "reached |= here", "pass")),
    Slip("a maximum of the last place alone", POOLS,
         patch=helper("greatest", "values[tuple(at)] if rest is None else rest", "values[tuple(at)]")),
    Slip("a seed that is not used", DROPOUT, patch=helper("draw", "seed or 0", "0")),
    Slip("overlapping places added at once", WIDER,
         patch=(chainrule.codegen.targets.numpy.gathering, "looped", lambda looped: lambda *a: ())),
    Slip("places that are told apart though they are not", WIDER,
         patch=(chainrule.codegen.lower.equation, "distinct", lambda _: lambda *a: True)),
    Slip("the kernel not turned in a window", CONV, patch=(affine, "_expanded", unturned)),
    Slip("a kernel's gradient not turned back", CONV, on(Scatter, unturned_back)),
    Slip("an adjoint that starts one late", WIDER,
         patch=(affine, "_solve", lambda solve: lambda body, symbol, extents: one_late(
             solve(body, symbol, extents)))),
)  # fmt: skip


def one_late(solved: Any) -> Any:
    return solved and (solved[0] + 1, *solved[1:])


@pytest.mark.usefixtures("nothing_chosen")
@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: slip.what)
def test_a_slip_in_lowering_is_caught(
    torch: ModuleType, slip: Slip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the verifier, before there is a program; or by the judges of the program."""
    lower, optimize = target.lower, target.optimize
    hits = []

    def wrongly_lowered(derivation: Derivation, costs: Costs) -> Program:
        return listed(lower(derivation, costs), slip.statements)

    def wrongly_optimized(program: Program, passes: Iterable[Pass]) -> Program:
        return listed(optimize(program, passes), on(Loop, slip.loops) if slip.loops else None)

    def listed(right: Program, change: Callable[[Any], Any] | None) -> Program:
        if change is None:
            return right
        sections = {name: tuple(map(change, entries)) for name, entries in right.sections.items()}
        hits.append(sections != right.sections)
        return replace(right, sections=sections)

    monkeypatch.setattr(target, "lower", wrongly_lowered)
    monkeypatch.setattr(target, "optimize", wrongly_optimized)
    if slip.patch:
        module, name, change = slip.patch
        monkeypatch.setattr(module, name, change(getattr(module, name)))
    try:
        one = program(slip.spec, tmp_path)
    except (VerificationError, LoweringError):
        return
    assert all(hits), f"nothing to break in {one.code}"
    monkeypatch.undo()
    try:
        found = verdicts(torch, one, slip.x() if slip.x else None)
    except RuntimeWarning:
        return  # NumPy objects to what was in memory before
    assert found, f"{slip.what}: nobody objects\n{one.code}"


def test_there_are_at_least_twelve_slips() -> None:
    assert len({slip.what for slip in SLIPS}) == len(SLIPS) >= 12
