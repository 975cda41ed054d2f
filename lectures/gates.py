"""OR and XOR with all their numbers: the equations of a small network, and what they come to.

Each is a spec; what is shown and computed are the equations that ``derive_network`` gives for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.differentiate import vjp
from chainrule.derive.index import Equation, accesses, cotangent, tensor
from chainrule.derive.network import N, n
from chainrule.derive.prose import _
from chainrule.lectures.model import Erratum, Steps, Topic, TopicError
from chainrule.lectures.support.networks import arrays_of, blackboard, from_x, network_equations
from chainrule.lectures.support.numbers import decimal, grid, keep, put, worked
from chainrule.lectures.support.tensors import taken
from chainrule.present.sides import line
from chainrule.present.tree import Leaf, Node, Ref
from chainrule.spec import parse_spec

ROWS: Final = ((0, 0), (0, 1), (1, 0), (1, 1))
OR: Final = """
spec_version = 1
name = "or_gate"
[input]
shape = [2]
[[layers]]
type = "dense"
units = 1
activation = "sigmoid"
[loss]
type = "mse"
reduction = "sum"
[optimizer]
type = "sgd"
"""
XOR: Final = """
spec_version = 1
name = "xor_backprop"
[input]
shape = [2]
[[layers]]
type = "dense"
units = 3
activation = "sigmoid"
[[layers]]
type = "dense"
units = 1
bias = false
activation = "sigmoid"
[loss]
type = "mse"
reduction = "sum"
[optimizer]
type = "sgd"
learning_rate = 1
"""


# ---- OR --------------------------------------------------------------------------------------------------


def or_(given: Mapping[str, str]) -> Topic:
    """Derive the perceptron of OR, and its outputs for the weights that the lecture sets by hand."""
    start = {"w": np.array([-0.16, 0.44]), "b": np.array(-0.99)}
    found: dict[str, Any] = {**start, **taken("or", given, w=1, b=0)}
    if found["w"].shape != (2,):
        raise TopicError(f"or: w has {found['w'].size} numbers, and x has 2")
    steps = Steps()
    derivation = derive_network(parse_spec(OR, "or.toml"))
    numbers = network_equations(steps, derivation)
    x = np.array(ROWS, dtype=float)
    either, both = x.max(axis=1), x.min(axis=1)
    t, w, b = either[:, None], found["w"][None, :], np.atleast_1d(found["b"])
    steps.heading(_("In numbers"))
    places = {
        "x": put(steps, "x", x, _("the four rows of the truth table")),
        "t": put(steps, "t", t, _("OR: 1 where at least one input is 1")),
        "W1": put(steps, "W1", w, _("the weights, one row for the one unit")),
        "b1": put(steps, "b1", b, _("the bias")),
    }
    arrays: dict[str, Any] = {"x": x, "t": t, "W1": w, "b1": b}
    for name, result in (("z1", "z"), ("a1", "outputs"), ("E", "error")):
        _value(steps, from_x(_by_name(derivation, name)), arrays, numbers[name], places, result)
    steps.add(_function("AND"), grid(both[:, None]), _("AND: 1 where both inputs are 1"), (places["x"],))
    wrong = [row + 1 for row in range(4) if either[row] != both[row]]
    return steps.topic(
        "or",
        _("OR by one sigmoid unit"),
        Erratum(
            _("a slide labels the targets {targets} AND", targets=_row(either)),
            _("the targets of OR"),
            _(
                "By the truth table x₁ AND x₂ is {conjunction}, and x₁ OR x₂ is {disjunction}: they "
                "differ in the rows {rows}.",
                conjunction=_row(both),
                disjunction=_row(either),
                rows=", ".join(map(str, wrong)),
            ),
        ),
    )


def _function(called: str) -> Node:
    return Leaf(rf"\operatorname{{{called}}}", called)


def _row(values: Iterable[float]) -> str:
    return ", ".join(f"{v:g}" for v in values)


def _by_name(derivation: Derivation, name: str) -> Equation:
    return next(e.equation for e in derivation.equations if e.name == name)


def _value(
    steps: Steps,
    equation: Equation,
    arrays: dict[str, Any],
    formula: int,
    places: dict[str, int],
    result: str,
) -> None:
    """Add the values of what an equation defines, with a row for every example.

    ``formula`` is the number of the equation's step, ``places`` those of the values it reads.
    """
    arrays[equation.name] = value = arrays_of(equation)(arrays)
    because = (formula, *(places[name] for name in equation.reads() if name in places))
    left = line(equation, "index").left if value.ndim == 0 else Ref(equation.name)
    places[equation.name] = worked(steps, left, value, _("with the numbers"), because, result)


# ---- XOR -------------------------------------------------------------------------------------------------

START: Final = {
    "W1": ((-0.5, -0.5), (0.5, 0.5), (0.5, -0.5)),
    "b1": (0.0, 0.0, 0.0),
    "W2": ((-0.5, 0.5, -0.5),),
}
STEPS: Final = 100


def xor_backprop(given: Mapping[str, str]) -> Topic:
    """Derive the 2-3-1 network of XOR, one step in numbers, and what a bias for each example does."""
    found = taken("xor-backprop", given, w1=2, w2=1, b1=1, rate=0)
    start = {name: np.array(value) for name, value in START.items()}
    if "w1" in found:
        start["W1"] = found["w1"].T  # the lecture's w1 has a row for every input
    for name, own in (("b1", "b1"), ("w2", "W2")):
        if name in found:
            start[own] = found[name] if own == "b1" else found[name][None, :]
    for name, value in start.items():
        if value.shape != np.array(START[name]).shape:
            rows = {"W1": "w1 is 2 × 3", "b1": "b1 is 3 numbers", "W2": "w2 is 3 numbers"}[name]
            raise TopicError(f"xor-backprop: {rows} (2 inputs, 3 hidden units, 1 output)")
    rate = float(found.get("rate", 1.0))
    derivation = derive_network(parse_spec(XOR, "xor.toml"))
    steps = Steps()
    numbers = network_equations(steps, derivation)
    update = derivation.role("update")[-1].equation
    rule = _("gradient descent, θ any weight or bias, g its gradient")
    descent = steps.add(
        update.left, update.right, rule, tuple(numbers[cotangent(p)] for p in start), relation="←"
    )
    steps.heading(_("One step in numbers"))
    arrays, places = _start(steps, start, rate)
    for numbered in blackboard(derivation):
        number = numbers[numbered.symbol]
        _value(steps, from_x(numbered.equation), arrays, number, places, f"{numbered.name}, worked")
    step = _descent(update, rate)
    for name in start:
        moved = step(arrays[name], arrays[cotangent(name)])
        because = (descent, places[name], places[cotangent(name)])
        worked(steps, Ref(name), moved, _("after one step"), because, f"{name}, after one step")
    right, wrong = (_train(derivation, start, rate, rows) for rows in (False, True))
    return steps.topic(
        "xor-backprop",
        _("XOR by backpropagation, 2-3-1"),
        _bias_erratum(steps, arrays, right, wrong),
        _("The rows of x, t, z, a and δ are the four examples; ∂E/∂W and ∂E/∂b are summed over them."),
    )


def _start(
    steps: Steps, start: Mapping[str, NDArray[np.float64]], rate: float
) -> tuple[dict[str, Any], dict[str, int]]:
    """Add the truth table and the weights; return the arrays and the numbers of their steps."""
    x = np.array(ROWS, dtype=float)
    t = (x.sum(axis=1) == 1).astype(float)[:, None]
    places = {
        "x": put(steps, "x", x, _("the four rows of the truth table")),
        "t": put(steps, "t", t, _("XOR: 1 where exactly one input is 1")),
    }
    for name, value in start.items():
        places[name] = put(steps, name, value, _("where the steps start; a row for every unit"))
    put(steps, "learning_rate", rate, _("the learning rate"))
    return {"x": x, "t": t, **start}, places


def _descent(update: Equation, rate: float) -> Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]:
    """Return the derived update θ ← θ − η g on a tensor of any shape."""
    values = arrays_of(update)

    def step(theta: NDArray[Any], gradient: NDArray[Any]) -> NDArray[Any]:
        both = np.broadcast_arrays(theta, gradient)
        flat = {"theta": both[0].ravel(), "g": both[1].ravel(), "learning_rate": rate}
        return values(flat).reshape(both[0].shape)

    return step


def _train(
    derivation: Derivation, start: Mapping[str, NDArray[np.float64]], rate: float, bias_of_rows: bool
) -> dict[str, Any]:
    """Train for STEPS steps; ``bias_of_rows``: with a bias for every row, as the slide's program comes to.

    Its gradient is derived too: where b1 has a subscript n, the sum over n is gone.
    """
    equations = []
    for numbered in blackboard(derivation):
        equation = from_x(numbered.equation)
        if bias_of_rows and numbered.name == "z1":
            (read,) = accesses(equation.right, equation.reads()["b1"])
            own = tensor("b1", N, *read.base.shape)[(n, *read.indices)]
            equation = equation.replace({read: own})
            of_rows = vjp(equation, "b1")
        if bias_of_rows and numbered.symbol == cotangent("b1"):
            equation = of_rows
        equations.append((equation.name, arrays_of(equation)))
    x = np.array(ROWS, dtype=float)
    arrays: dict[str, Any] = {"x": x, "t": (x.sum(axis=1) == 1).astype(float)[:, None], **start}
    if bias_of_rows:
        arrays["b1"] = np.broadcast_to(start["b1"], (len(ROWS), len(start["b1"])))
    step = _descent(derivation.role("update")[-1].equation, rate)
    for _step in range(STEPS):
        for name, values in equations:
            arrays[name] = values(arrays)
        for name in start:
            arrays[name] = step(arrays[name], arrays[cotangent(name)])
    for name, values in equations:
        arrays[name] = values(arrays)
    return arrays


def _bias_erratum(
    steps: Steps, arrays: Mapping[str, Any], right: Mapping[str, Any], wrong: Mapping[str, Any]
) -> Erratum:
    wide, narrow = (" × ".join(map(str, np.shape(arrays[cotangent(name)]))) for name in ("z1", "b1"))
    for name, trained in (("right", right), ("slide", wrong)):
        keep(steps, f"b1, {STEPS} steps, {name}", trained["b1"])
        keep(steps, f"E, {STEPS} steps, {name}", trained["E"])
        keep(steps, f"outputs, {STEPS} steps, {name}", trained["a2"])
    return Erratum(
        _(
            "a program subtracts δ¹, an array of {wide}, from the bias of {narrow} numbers",
            wide=wide,
            narrow=narrow,
        ),
        _("∂E/∂b¹ as the sum of δ¹ over the batch, {narrow} numbers", narrow=narrow),
        _(
            "NumPy makes the bias {wide} without a word: every example learns a bias of its own. After "
            "{steps} steps its E is {wrong}, but a new example has no bias; with the sum over the batch it "
            "is {right}.",
            wide=" × ".join(map(str, wrong["b1"].shape)),
            steps=STEPS,
            wrong=decimal(float(wrong["E"])),
            right=decimal(float(right["E"])),
        ),
    )


TOPICS = {"or": or_, "xor-backprop": xor_backprop}
