"""What a network's loss does not depend on, proved from its equations: a bias before batch norm, say.

A parameter P has no effect where the loss stays what it is once P becomes P + c, whatever c is.  The proof
puts the change into the equations in turn: what it changes of a left side goes on into those that read that
tensor.  Where no change reaches the loss, the gradient is 0 identically; where the change cannot be
followed (through a kink, a square), nothing is said.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from heapq import heappop, heappush

import sympy
from sympy import Add, Expr, Indexed, IndexedBase, Integer, Mul, Pow, Symbol, exp

from chainrule.derive.differentiate import local_terms
from chainrule.derive.index import (
    Equation,
    Inside,
    Max,
    Reduction,
    Sum,
    Winner,
    access,
    accesses,
    apart,
    index,
    name_of,
    tensor,
)
from chainrule.derive.network import Instance, Layer, Network

Extents = Mapping[Symbol, Expr]
CHANGE = "change"  # the tensor that is added to a parameter


@dataclass(frozen=True)
class Ineffective:
    """A parameter that changes nothing, the layer that has it, and the layer where its effect ends."""

    name: str
    layer: Layer
    ends: Layer


@dataclass(frozen=True)
class Change:
    """By how much a tensor changes, at its free indices."""

    free: tuple[Symbol, ...]
    amount: Expr


def ineffective(network: Network) -> tuple[Ineffective, ...]:
    """Return the parameters on which the loss in training does not depend, as far as can be proved."""
    forward = Followed((*network.forward, *network.losses))
    layers = {i.output: layer for layer in network.layers for i in layer.instances}
    found = []
    for layer in network.layers:
        for parameter in layer.parameters:
            ends = forward.ends(parameter.name)
            if ends is not None:
                found.append(Ineffective(parameter.name, layer, layers[ends]))
    return tuple(found)


def without_gradient(network: Network) -> frozenset[str]:
    """Return what of the parameters and the input x has a gradient that is 0, by derivation.

    The loss does not depend on it, or in steps alone: no path to the loss has a derivative that is not 0.
    """
    forward = Followed((*network.forward, *network.losses))
    slopes = {forward.instances[-1].output}
    for instance in reversed(forward.instances):
        if instance.output in slopes:
            bases = instance.template.reads().values()
            slopes |= {instance.names[name_of(b)] for b in bases if _has_slope(instance.template, b)}
    names = [*(p.name for p in network.parameters), "x"]
    return frozenset(n for n in names if n not in slopes or forward.ends(n) is not None)


@lru_cache(maxsize=1024)
def _has_slope(equation: Equation, base: IndexedBase) -> bool:
    return bool(local_terms(equation.right, base))


class Effect(Enum):
    """What a change of what an equation reads does to its left side; LOST: it cannot be followed."""

    NONE, CHANGE, LOST = range(3)


class Followed:
    """The equations forward, by what reads what.

    ``effects`` tells what a change does that has come a way through equations like these, tensors numbered as
    they are met, and numbers that way: for equal layers it is worked out once.
    """

    def __init__(self, instances: Iterable[Instance]) -> None:
        self.instances = tuple(instances)
        self.readers: dict[str, list[int]] = {}
        for place, instance in enumerate(self.instances):
            for name in {instance.names[local] for local in instance.template.read}:
                self.readers.setdefault(name, []).append(place)
        self.effects: dict[Hashable, tuple[Effect, int]] = {}

    def ends(self, name: str) -> str | None:
        """Return the last tensor that a change of one comes to without changing it, None if it goes on."""
        met = {name: 0}
        changed, waiting, passed = {name}, [*self.readers.get(name, ())], list[Instance]()
        changes: dict[str, Change] = {}
        ends, way, place = None, 0, -1
        while waiting:
            last, place = place, heappop(waiting)
            if place == last:
                continue
            instance = self.instances[place]
            passed.append(instance)
            numbers = (met.setdefault(instance.names[t], len(met)) for t in instance.template.tensors)
            key = way, instance.template, tuple(instance.sizes.items()), tuple(numbers)
            if key not in self.effects:
                read = [t for t in instance.template.read if instance.names[t] in changed]
                effect = _alone(instance.template, read[0]) if len(read) == 1 else None
                if effect is None:
                    changes = changes or _marked(name, passed[0].equation)
                    effect = [_put_in(each, changes) for each in passed][-1]
                    passed.clear()
                self.effects[key] = effect, len(self.effects) + 1
            effect, way = self.effects[key]
            if effect is Effect.LOST:
                return None
            if effect is Effect.NONE:
                ends = instance.output
            elif instance.output not in changed:
                changed.add(instance.output)
                for reader in self.readers.get(instance.output, ()):
                    heappush(waiting, reader)
        return ends


@lru_cache(maxsize=1024)
def _alone(template: Equation, name: str) -> Effect | None:
    """Return the effect of one tensor that alone changes, None where the change has to be put in to tell.

    It goes on through what is linear in the tensor, and is lost in what bends it.
    """

    def bends(node: Expr) -> bool | None:
        if isinstance(node, Indexed):
            return False
        if isinstance(node, Add | Mul | Sum):
            parts = [a for a in node.args if base in a.atoms(IndexedBase)]
            return bends(parts[0]) if len(parts) == 1 else None
        return None if node.has(Reduction, Winner) else True

    base = template.reads()[name]
    found = bends(template.right)
    if found is None:
        return None
    return Effect.LOST if found or not template.free else Effect.CHANGE


def _marked(name: str, reader: Equation) -> dict[str, Change]:
    """Return the change of a tensor that an equation reads by whatever is added to it."""
    mark = tensor(CHANGE, *reader.reads()[name].shape)
    free = tuple(index(f"c{axis}") for axis in range(len(mark.shape)))
    return {name: Change(free, access(mark, *free))}


def _put_in(instance: Instance, changes: dict[str, Change]) -> Effect:
    """Return what changes do to the left side of an instance, and put its own change among them."""
    amount, free = _amount_in(instance, changes), instance.template.free
    if amount == 0:
        return Effect.NONE
    if not free or any(name_of(base) in changes for base in amount.atoms(IndexedBase)):
        return Effect.LOST
    changes[instance.output] = Change(free, amount)
    return Effect.CHANGE


def _amount_in(instance: Instance, changes: Mapping[str, Change]) -> Expr:
    """Return by how much an instance changes when tensors of the network do.

    It is found once for all instances of a template that are alike.
    """
    bases = {instance.names[local]: base for local, base in instance.template.reads().items()}
    own = {name_of(base): changes[name] for name, base in bases.items() if name in changes}
    read = {base for change in own.values() for base in change.amount.atoms(IndexedBase)}
    foreign = sorted((base for base in read if name_of(base) != CHANGE), key=str)
    apart = {base: tensor(f"foreign {i}", *base.shape) for i, base in enumerate(foreign)}
    local = tuple(
        (name, replace(change, amount=change.amount.xreplace(apart))) for name, change in sorted(own.items())
    )
    amount = _amount(instance.template, frozenset(instance.sizes.items()), local)
    reads = instance.equation.reads()
    tensors = {base.xreplace(instance.sizes): reads[name] for name, base in bases.items()}
    return amount.xreplace(tensors | {stand_in: base for base, stand_in in apart.items()})


@lru_cache(maxsize=1024)
def _amount(
    template: Equation, sizes: frozenset[tuple[Symbol, Expr]], changed: tuple[tuple[str, Change], ...]
) -> Expr:
    """Return by how much the left side of a template of these sizes changes when tensors on the right do."""
    changes, equation = dict(changed), template.replace(dict(sizes))
    extents = dict(tuple(axis) for axis in equation.axes)
    whole = apart(equation.right)
    for node in whole.atoms(Reduction):
        extents |= dict(tuple(axis) for axis in node.axes)
    right = _without_single(whole, {s: Integer(0) for s, n in extents.items() if n == 1})
    moved = {}
    for read in accesses(right):
        change = changes.get(name_of(read.base))
        if change is not None:
            amount = change.amount.xreplace(dict(zip(change.free, read.indices, strict=True)))
            moved[read] = read + Mul(amount, *_guards(read, extents))
    for power in sorted(right.atoms(Pow), key=sympy.default_sort_key):
        if power.has(exp) or moved.keys().isdisjoint(power.atoms(Indexed)):
            continue  # factors of exponentials may cancel
        if any(sympy.expand(_spread(part.xreplace(moved)) - part) != 0 for part in power.args):
            return power.xreplace(moved) - power  # it bends what changes
        moved[power] = power
    return sympy.expand(_spread(right.xreplace(moved)) - right)


def _without_single(node: Expr, only: Mapping[Symbol, Expr]) -> Expr:
    """Return an expression in which an index that takes one value is that value, bound or free."""
    if not only or not node.args or isinstance(node, Indexed):
        return node.xreplace(only)
    if isinstance(node, Reduction):
        axes = [axis for axis in node.axes if axis[0] not in only]
        return type(node)(_without_single(node.body, only), *axes)
    return node.func(*(_without_single(a, only) for a in node.args))


def _guards(read: Indexed, extents: Extents) -> list[Expr]:
    """Return a guard for each subscript that may be outside: there nothing is read, changed or not."""
    subscripts = zip(read.indices, read.base.shape, strict=True)
    return [Inside(at, size) for at, size in subscripts if not _is_inside(at, size, extents)]


def _is_inside(subscript: Expr, size: Expr, extents: Extents) -> bool:
    """Whether an affine subscript is within 0 and a size at every value of its indices."""
    if subscript in extents:
        return bool(extents[subscript] == size)
    low = high = Integer(0)
    for term in Add.make_args(subscript):
        factor, symbol = term.as_coeff_Mul()
        if symbol in extents and extents[symbol].is_Integer:
            reach = factor * (extents[symbol] - 1)
            low, high = low + min(reach, 0), high + max(reach, 0)
        elif term.is_Integer:
            low, high = low + term, high + term
        else:
            return False
    return bool(low >= 0) and bool(size.is_Integer and high < size)


def _spread(node: Expr) -> Expr:
    """Return an expression with what a change adds taken out of sums, maxima and exponentials."""
    if not _is_changed(node) or isinstance(node, Indexed):
        return node
    if isinstance(node, Sum):
        body = sympy.expand(_spread(node.body))
        return Add(*(_summed(term, node) for term in Add.make_args(body)))
    if isinstance(node, Max):
        terms = Add.make_args(_spread(node.body))
        outside = [t for t in terms if _is_changed(t) and t.free_symbols.isdisjoint(node.bound)]
        return Add(*outside, Max(Add(*(t for t in terms if t not in outside)), *node.axes))
    changed = node.func(*(_spread(a) for a in node.args))
    if isinstance(changed, exp):
        return Mul(*(exp(term) for term in Add.make_args(sympy.expand(changed.args[0]))))
    return changed


def _is_changed(node: Expr) -> bool:
    return any(name_of(base) == CHANGE for base in node.atoms(IndexedBase))


def _summed(term: Expr, node: Sum) -> Expr:
    """Return the sum of a product: what does not depend on an index stands before it, times its size."""
    factors = Mul.make_args(term)
    inner = [f for f in factors if not f.free_symbols.isdisjoint(node.bound)]
    outer = [f for f in factors if f not in inner]
    used = Mul(*inner).free_symbols
    counts = [n for s, n in node.axes if s not in used]
    return Mul(*outer, *counts, Sum(Mul(*inner), *(axis for axis in node.axes if axis[0] in used)))
