"""The compact gradient of a normalization, found from its equations.

A layer that standardizes its input by statistics of that same input, x̂ = (x − μ) / √(v + ε), has a gradient
in three parts: through x̂, through v and through μ.  Put into one another they collapse by two identities,
that x − μ is x̂ √(v + ε) and that deviations from a mean sum to 0:

    ∂E/∂x = (M δ − Σ δ − x̂ Σ δ x̂) / (M √(v + ε))      with δ = ∂E/∂x̂

Nothing here knows a layer: the equations tell what is a mean of the input and what standardizes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import sympy
from sympy import Add, Expr, Indexed, IndexedBase, Mul

from chainrule.derive.adjoint import adjoint, named
from chainrule.derive.index import (
    Equation,
    Sum,
    accesses,
    apart,
    cotangent,
    name_of,
    reductions,
)
from chainrule.derive.prose import _
from chainrule.derive.simplify import length, tidy

RULE = _("compact gradient of a normalization (x − μ = x̂ √(v + ε); Σ x̂ = 0)")


@dataclass(frozen=True)
class Compact:
    """A gradient in its compact form, and the cotangents that only the long form reads.

    ``identities`` names the tensors by whose equations the one becomes the other.
    """

    equation: Equation
    replaced: frozenset[str]
    identities: tuple[str, ...]
    rule: str = RULE


@dataclass(frozen=True)
class Standardized:
    """x̂[free] = s (x[free] − μ[…]), where s does not vary over ``axes`` and μ is the mean of x over them."""

    equation: Equation
    read: Indexed
    mean: Indexed
    slope: Expr
    axes: tuple[sympy.Tuple, ...]

    def identities(self, expression: Expr) -> Expr:
        """Apply x = μ + x̂/s, where that is no place outside the box of x, and Σ x̂ = 0."""

        def exchange(node: Indexed) -> Expr:
            if node.base != self.read.base or not all(i.is_Symbol for i in node.indices):
                return node
            at = dict(zip(self.read.indices, node.indices, strict=True))
            return (self.mean + self.equation.left / self.slope).xreplace(at)

        return expression.replace(lambda e: isinstance(e, Indexed), exchange).replace(
            lambda e: isinstance(e, Sum), self._without_deviations
        )

    def _without_deviations(self, node: Sum) -> Expr:
        """Drop what is a sum of x̂ over the axes, whatever stands before it that they do not reach."""
        terms = []
        for term in Add.make_args(sympy.expand(node.body)):
            varying = [f for f in Mul.make_args(term) if f.free_symbols & set(node.bound)]
            over_axes = (
                len(varying) == 1 and isinstance(varying[0], Indexed) and self._is_row(varying[0], node)
            )
            if not over_axes:
                terms.append(term)
        return Sum(Add(*terms), *node.axes) if terms else sympy.S.Zero

    def _is_row(self, read: Expr, node: Sum) -> bool:
        if not isinstance(read, Indexed) or read.base != self.equation.left.base:
            return False
        at = dict(zip(self.equation.free, read.indices, strict=True))
        summed = {(at[i], n) for i, n in self.axes}
        return summed == set(map(tuple, node.axes))


def standardized(equations: tuple[Equation, ...], base: IndexedBase) -> Standardized | None:
    """Return what standardizes a tensor by its own mean among these equations, None if nothing does."""
    definitions = {e.name: e for e in equations}
    for equation in equations:
        reads = accesses(equation.right, base)
        if reductions(equation.right) or len(reads) != 1 or tuple(reads[0].indices) != equation.free:
            continue
        slot = sympy.Dummy("x")
        right = equation.right.xreplace({reads[0]: slot})
        slope = sympy.diff(right, slot)
        if not sympy.fraction(slope)[0].is_number:
            continue  # x is not to be had back from what may be 0 times it
        for mean in accesses(equation.right):
            definition = definitions.get(name_of(mean.base))
            axes = _averaged(definition, mean, reads[0]) if definition else ()
            if not axes:
                continue
            centred = sympy.simplify(right.xreplace({slot: mean})) == 0 and not slope.has(slot)
            if centred and not slope.free_symbols & {i for i, _ in axes}:
                return Standardized(equation, reads[0], mean, slope, axes)
    return None


def _averaged(definition: Equation, mean: Indexed, read: Indexed) -> tuple[sympy.Tuple, ...]:
    """Return the axes over which a definition is the mean of the tensor that is read, () if it is none."""
    sums = reductions(definition.right)
    if len(sums) != 1 or not isinstance(sums[0], Sum) or not isinstance(sums[0].body, Indexed):
        return ()
    (total,) = sums
    count = Mul(*(n for _, n in total.axes))
    if total.body != read or definition.left != mean or sympy.cancel(definition.right * count / total) != 1:
        return ()
    return total.axes


@lru_cache(maxsize=1024)
def compact_gradient(equations: tuple[Equation, ...], name: str = "x") -> Compact | None:
    """Return the compact cotangent of ``name`` in the layer of these equations, None if not standardized."""
    base = next((e.reads()[name] for e in equations if name in e.reads()), None)
    found = standardized(equations, base) if base is not None else None
    if found is None:
        return None
    known = cotangents(equations)
    inner = frozenset(cotangent(e.name) for e in equations[:-1])
    long, candidates = known[cotangent(name)], []
    for kept in (frozenset(), inner & {cotangent(found.equation.name)}):
        right = inlined(long.right, {c: known[c] for c in inner - kept})
        right = tidy(found.identities(right))
        cost = length(right) + sum(length(known[c].right) for c in kept)
        if base not in right.atoms(IndexedBase):
            candidates.append((cost, right, inner - kept))
    if not candidates:
        return None
    _, right, replaced = min(candidates, key=lambda c: c[0])
    compact = named(Equation(long.left, right))
    others = {c: e for c, e in known.items() if c not in (*replaced, compact.name)}
    identities = (found.equation.name, name_of(found.mean.base))
    return Compact(compact, replaced - _read_by((compact, *others.values()), known), identities)


def _read_by(equations: Iterable[Equation], known: Mapping[str, Equation]) -> set[str]:
    """Return the cotangents that equations read, those that these read among them."""
    waiting, found = [name for e in equations for name in e.reads()], set[str]()
    while waiting:
        name = waiting.pop()
        if name in known and name not in found:
            found.add(name)
            waiting += known[name].reads()
    return found


def cotangents(equations: tuple[Equation, ...]) -> dict[str, Equation]:
    """Return the cotangent of every tensor that a layer's equations read, by name: the sum of its parts."""
    known: dict[str, Equation] = {}
    for equation in reversed(equations):
        for read in equation.reads():
            part = adjoint(equation, read).equation
            before = known.get(part.name)
            known[part.name] = (
                part if before is None else Equation(before.left, before.right + part.at(before.free))
            )
    return known


def inlined(expression: Expr, known: Mapping[str, Equation]) -> Expr:
    """Put the equations of cotangents into an expression until it reads none of them."""
    while reads := [a for a in accesses(expression) if name_of(a.base) in known]:
        expression = apart(expression)
        reads = [a for a in accesses(expression) if name_of(a.base) in known]
        expression = expression.xreplace({a: known[name_of(a.base)].at(a.indices) for a in reads})
    return expression
