"""The values of index equations, a whole tensor at a time: the reference interpreter for networks.

It reads equations as ``derive.interpret`` does, which tests hold it against, in any float type, and shares
nothing with the code generator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from chainrule.derive.index import Equation
from chainrule.evaluate.axes import AxisPlan
from chainrule.evaluate.broadcasting import Array, Compiled, Values


class Equations:
    """Equations in the order in which each can be computed, evaluated in a float type.

    Where an access finds its values is looked up once for every batch size.
    """

    def __init__(self, equations: Iterable[Equation], dtype: DTypeLike = np.longdouble) -> None:
        self._real = np.dtype(dtype).type
        self._plans = [AxisPlan(equation) for equation in equations]
        self._compiled: dict[Any, Compiled] = {}
        self._following: dict[frozenset[str], list[int]] = {}

    def values(self, given: Mapping[str, Any]) -> Values:
        """Return every tensor by name, the given ones too; scalars among these are sizes and constants."""
        found = {name: np.asarray(value) for name, value in given.items()}
        found = {name: a.astype(self._real, copy=False) if a.ndim else a for name, a in found.items()}
        return self.again(found, found)

    def again(self, before: Values, changed: Mapping[str, Array]) -> Values:
        """Return the values once some tensors have changed: only what depends on these is computed."""
        found = {**before, **changed}
        with np.errstate(all="ignore"):
            for number in self._after(frozenset(changed)):
                found[self._plans[number].name] = self._at(number, found)(found)
        return found

    def _after(self, changed: frozenset[str]) -> list[int]:
        """Return which equations depend on some tensors, in order."""
        if changed not in self._following:
            dirty = {*changed}
            numbers = self._following.setdefault(changed, [])
            for number, plan in enumerate(self._plans):
                if not dirty.isdisjoint(plan.reads):
                    numbers.append(number)
                    dirty.add(plan.name)
        return self._following[changed]

    def _at(self, number: int, found: Values) -> Compiled:
        """Return an equation as a function of arrays of the shapes and sizes that are there."""
        plan = self._plans[number]
        given = (int(found[s]) for s in plan.given_sizes if s in found)
        key = (number, *(found[name].shape for name in plan.tensors), *given)
        if key not in self._compiled:
            shapes = {name: found[name].shape for name in plan.tensors}
            self._compiled[key] = Compiled(plan, plan.sizes(found), shapes, self._real)
        return self._compiled[key]


def evaluate(
    equation: Equation, tensors: Mapping[str, Any], dtype: DTypeLike = np.longdouble
) -> NDArray[Any]:
    """Return the left side's values: those of ``chainrule.derive.interpret.evaluate``, in a float type."""
    return Equations([equation], dtype).values(tensors)[equation.name]
