"""What topics of whole networks share: their equations as steps, and arrays computed from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray
from sympy import Expr, Indexed, Symbol

from chainrule.derive.derivation import Derivation
from chainrule.derive.index import Equation, Reduction, Sum, apart, cotangent, name_of, tensor
from chainrule.derive.library import ONE_HOT
from chainrule.derive.numbering import NumberedEquation
from chainrule.derive.prose import _
from chainrule.formula.functions import elementary
from chainrule.lectures.model import Steps
from chainrule.present.sides import line


def arrays_of(equation: Equation) -> Callable[[Mapping[str, Any]], NDArray[np.float64]]:
    """Return a function from arrays by name to the left side's values: each index is an axis of its own.

    For equations whose subscripts are indices by themselves; fast enough to train a small network with.
    """
    right = apart(elementary(equation.right))
    bound = [symbol for node in right.atoms(Reduction) for symbol, _size in node.axes]
    places = {symbol: axis for axis, symbol in enumerate((*equation.free, *bound))}

    def visit(node: Expr, arrays: Mapping[str, Any]) -> Any:
        if isinstance(node, Indexed):
            value = np.asarray(arrays[name_of(node.base)])
            own = [places[i] for i in node.indices]
            value = value.transpose(np.argsort(own)) if own else value
            shape = [1] * len(places)
            for axis, extent in zip(sorted(own), value.shape, strict=True):
                shape[axis] = extent
            return value.reshape(shape)
        if isinstance(node, Sum):
            return visit(node.body, arrays).sum(tuple(places[i] for i in node.bound), keepdims=True)
        if isinstance(node, sympy.Add):
            return sum(visit(a, arrays) for a in node.args)
        if isinstance(node, sympy.Mul):
            return math.prod((visit(a, arrays) for a in node.args), start=1.0)
        if isinstance(node, sympy.exp):
            return np.exp(visit(node.args[0], arrays))
        if isinstance(node, sympy.Pow):
            return visit(node.base, arrays) ** visit(node.exp, arrays)
        if isinstance(node, Symbol):
            return arrays[node.name]
        return float(node)

    def values(arrays: Mapping[str, Any]) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):  # e^u of a large u is ∞, and 1/(1 + ∞) is 0
            found = np.asarray(visit(right, arrays))
        return found.reshape(found.shape[: len(equation.free)])

    return values


def from_x(equation: Equation) -> Equation:
    """Return an equation in which the first layer reads x: no copy a0 of it."""
    a0 = next((base for base in equation.reads().values() if name_of(base) == "a0"), None)
    return equation if a0 is None else equation.replace({a0: tensor("x", *a0.shape)})


def blackboard(derivation: Derivation) -> list[NumberedEquation]:
    """Return the numbered equations that a blackboard needs: not the copy of x, not ∂E/∂x."""
    roles = derivation.role("forward", "loss", "backward")
    return [e for e in roles if e.symbol not in ("a0", cotangent("x"), cotangent("a0"))]


def network_equations(steps: Steps, derivation: Derivation) -> dict[str, int]:
    """Add the equations of a network, and return the number of each by what it defines."""
    steps.heading(_("Equations"))
    numbers: dict[str, int] = {}
    names = {e.number: e.symbol for e in derivation.equations}
    headings = {"forward": _("forward"), "loss": _("squared error, summed over the batch")}
    for numbered in blackboard(derivation):
        equation = from_x(numbered.equation)
        shown = line(equation, "index")
        because = [numbers[names[b]] for b in numbered.because if names[b] in numbers]
        rule = headings.get(numbered.role, numbered.rule)
        if numbered.role == "loss" and derivation.network.spec.objective.targets == ONE_HOT:
            rule = _("loss: the mean cross-entropy of the batch")
        numbers[numbered.symbol] = steps.add(
            shown.left, shown.right, rule, tuple(because), numbered.name, formula=equation.right
        )
    return numbers
