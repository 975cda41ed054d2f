"""Formulas that nobody shipped, as activations and as losses: derived, generated, and held against PyTorch.

Each fixed formula stands beside the same function written by hand in PyTorch; random ones are trees that
render themselves as text and evaluate themselves on tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from random_specs import Built, build
from torch_reference import Reference, relative_error

from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.differentiate import CannotDifferentiate
from chainrule.present import records
from chainrule.runtime.gradcheck import check_gradients

AGREEMENT = 1e-10
SMOOTH = 1e-7

Array = NDArray[Any]
Function = Callable[..., Any]

# ---- Specs and checks ------------------------------------------------------------------------------


def activation_spec(formula: str, constants: str = "", first: bool = False, last: bool = False) -> str:
    """Two dense layers with the formula between them, and where asked before them and after them."""
    own = '[[layers]]\ntype = "own"\n\n'
    return f"""spec_version = 1
name = "own_activation"

[input]
shape = [4]

{own if first else ""}[[layers]]
type = "dense"
units = 6
activation = "own"
bias_init = "normal(0, 0.3)"

[[layers]]
type = "dense"
units = 3

{own if last else ""}[loss]
type = "mse"
l2 = 0.01

[optimizer]
type = "adam"

[activations.own]
formula = "{formula}"
{constants}
"""


def loss_spec(formula: str, last: str = "", reduction: str = "mean", constants: str = "") -> str:
    """Two dense layers, the last with an activation where one is given, and the formula as their loss."""
    activation = f'activation = "{last}"\n' if last else ""
    return f"""spec_version = 1
name = "own_loss"

[input]
shape = [4]

[[layers]]
type = "dense"
units = 5
activation = "tanh"

[[layers]]
type = "dense"
units = 3
{activation}
[loss]
type = "own"
reduction = "{reduction}"

[losses.own]
formula = "{formula}"
{constants}
"""


def start(one: Built, rng: np.random.Generator) -> dict[str, Array]:
    parameters = one.program.init_parameters(3, np.float64)
    for value in parameters.values():
        value += rng.normal(0, 0.1, value.shape)
    return parameters


def assert_agrees(torch: ModuleType, one: Built, own: Function, t: Array | None = None) -> None:
    """Loss, every gradient and the parameters after five steps are PyTorch's."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((4, *one.program.input_shape))
    t = rng.standard_normal((4, *one.program.output_shape)) if t is None else t
    parameters = start(one, rng)
    reference = Reference(torch, one.spec, parameters, {"own": own})
    wanted_loss, wanted = reference.gradients(x, t)
    loss, found = one.program.module.loss_and_gradients(parameters, x, t)
    inputs = one.program.module.input_gradient(parameters, x, t)
    assert abs(loss - wanted_loss) <= AGREEMENT * abs(wanted_loss)
    errors = {name: relative_error(g, wanted[name]) for name, g in {**found, "x": inputs}.items()}
    assert max(errors.values()) <= AGREEMENT, errors
    state = one.program.module.init_optimizer(parameters)
    for _ in range(5):
        reference.step(x, t)
        one.program.module.train_step(parameters, x, t, state)
    errors = {name: relative_error(parameters[name], v) for name, v in reference.values().items()}
    assert max(errors.values()) <= AGREEMENT, errors


def assert_gradients(one: Built, samples: int = 12) -> None:
    report = check_gradients(one.program, samples=samples, batch=3)
    assert report.passed, f"{one.spec.source}\n{report.to_text()}"
    assert max(row.worst_error for row in report.rows) <= SMOOTH


def assert_presented(derivation: Derivation) -> None:
    """Every equation has LaTeX and text in both forms, the forward formula and its derivative among them."""
    found = records(derivation)
    assert [record["number"] for record in found] == [e.number for e in derivation.equations]
    for record in found:
        for key in ("latex", "text", "matrix_latex", "matrix_text"):
            assert record[key].strip(), f"({record['number']}) has no {key}"
            assert "Piecewise" not in record[key] and "Derivative" not in record[key]
    assert {"forward", "backward"} <= {record["role"] for record in found}


# ---- Activations -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Own:
    """A formula, the same function in PyTorch, and lines of constants."""

    formula: str
    function: Callable[[ModuleType], Function]
    constants: str = ""


def softplus(m: ModuleType, u: Any) -> Any:
    return m.nn.functional.softplus(u, threshold=50)


ACTIVATIONS = (
    Own("x * tanh(softplus(x))", lambda m: lambda x: m.nn.functional.mish(x)),
    Own("where(x > 0, x, 0.3 * sin(x))", lambda m: lambda x: m.where(x > 0, x, 0.3 * m.sin(x))),
    Own("max(x, 0.1*x) + min(x, 1)", lambda m: lambda x: m.maximum(x, 0.1 * x) + m.clamp(x, max=1)),
    Own("abs(x) / (1 + abs(x))", lambda m: lambda x: x.abs() / (1 + x.abs())),
    Own("x / (1 + abs(x))", lambda m: lambda x: m.nn.functional.softsign(x)),
    Own("x * sigmoid(beta * x)", lambda m: lambda x: x * m.sigmoid(1.5 * x), "beta = 1.5"),
    Own("exp(-x**2)", lambda m: lambda x: m.exp(-(x**2))),
    Own("erf(x) + x", lambda m: lambda x: m.erf(x) + x),
    Own("sinh(x) / cosh(x)", lambda m: lambda x: m.sinh(x) / m.cosh(x)),
    Own("relu(x) + relu(x - 1) - relu(-x)", lambda m: lambda x: m.relu(x) + m.relu(x - 1) - m.relu(-x)),
    Own("max(0, min(1, x)) - 2 * max(-1, min(0, x))",
        lambda m: lambda x: m.clamp(x, 0, 1) - 2 * m.clamp(x, -1, 0)),
    Own("min(max(0, x), 6)", lambda m: lambda x: m.nn.functional.relu6(x)),
    Own("x * min(max(0, x + 3), 6) / 6", lambda m: lambda x: m.nn.functional.hardswish(x)),
    Own("1.0507009873554805 * where(x > 0, x, 1.6732632423543772 * (exp(x) - 1))",
        lambda m: lambda x: m.nn.functional.selu(x)),
    Own("where(x <= 0.5, x**2, x - 0.25)", lambda m: lambda x: m.where(x <= 0.5, x**2, x - 0.25)),
    Own("0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))",
        lambda m: lambda x: m.nn.functional.gelu(x, approximate="tanh")),
    Own("sqrt(1 + x**2) - 1 + sin(3*x)**2 / 3",
        lambda m: lambda x: m.sqrt(1 + x**2) - 1 + m.sin(3 * x) ** 2 / 3),
    Own("log(cosh(x))", lambda m: lambda x: m.log(m.cosh(x))),
    Own("softplus(x) - softplus(-2*x) + log(1 + x**2)",
        lambda m: lambda x: softplus(m, x) - softplus(m, -2 * x) + m.log(1 + x**2)),
    Own("sign(x) * log(1 + abs(x))", lambda m: lambda x: m.sign(x) * m.log1p(x.abs())),
    Own("max(x, 2*x, -x/2, 0.25)",
        lambda m: lambda x: m.clamp(m.maximum(m.maximum(x, 2 * x), -x / 2), min=0.25)),
    Own("x**3 / 9 - 2**x / 5 + cos(x) / tan(2 + sigmoid(x))",
        lambda m: lambda x: x**3 / 9 - 2**x / 5 + m.cos(x) / m.tan(2 + m.sigmoid(x))),
    Own("where(x > 0, 1, 0) * x + where(x > 0, 0, 1) * tanh(x)",
        lambda m: lambda x: m.where(x > 0, x, m.tanh(x))),
    Own("exp(a * x) * cos(b * x) / 4",
        lambda m: lambda x: m.exp(0.7 * x) * m.cos(-3e-5 * x) / 4, "a = 0.7\nb = -3e-5"),
    Own("-x", lambda m: lambda x: -x),
    Own("x * c + d * x", lambda m: lambda x: 0.1 * x + 1e-20 * x, "c = 0.1\nd = 1e-20"),
)  # fmt: skip


@pytest.mark.parametrize("own", ACTIVATIONS, ids=lambda own: own.formula)
@pytest.mark.parametrize("everywhere", (False, True), ids=("hidden", "everywhere"))
def test_activation(torch: ModuleType, own: Own, everywhere: bool) -> None:
    one = build(activation_spec(own.formula, own.constants, first=everywhere, last=everywhere))
    assert_gradients(one)
    assert_agrees(torch, one, own.function(torch))
    if everywhere:
        assert_presented(derive_network(one.spec))


# ---- Losses ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnLoss(Own):
    """A loss; ``last`` is the activation before it, ``targets`` what it is made for."""

    last: str = ""
    targets: str = "values"


LOSSES = (
    OwnLoss("log(cosh(y - t))", lambda m: lambda y, t: m.log(m.cosh(y - t))),
    OwnLoss("sqrt(1 + (y - t)**2) - 1", lambda m: lambda y, t: m.sqrt(1 + (y - t) ** 2) - 1),
    OwnLoss("where(abs(y - t) < 1, 0.5*(y-t)**2, abs(y-t) - 0.5)",
            lambda m: lambda y, t: m.nn.functional.smooth_l1_loss(y, t, reduction="none")),
    OwnLoss("where(abs(y - t) <= d, 0.5*(y-t)**2, d*(abs(y-t) - 0.5*d))",
            lambda m: lambda y, t: m.nn.functional.huber_loss(y, t, reduction="none", delta=0.7), "d = 0.7"),
    OwnLoss("-(1 - y)**2 * t * log(y)", lambda m: lambda y, t: -((1 - y) ** 2) * t * m.log(y),
            last="softmax", targets="one hot"),
    OwnLoss("-(1 - y)**2 * t * log(y)", lambda m: lambda y, t: -((1 - y) ** 2) * t * m.log(y),
            last="sigmoid", targets="unit"),
    OwnLoss("-t * (1 - y)**g * log(y) - (1 - t) * y**g * log(1 - y)",
            lambda m: lambda y, t: -t * (1 - y) ** 1.5 * m.log(y) - (1 - t) * y**1.5 * m.log(1 - y),
            "g = 1.5", last="sigmoid", targets="unit"),
    OwnLoss("log(1 + exp(-y * t))", lambda m: lambda y, t: softplus(m, -y * t), targets="sign"),
    OwnLoss("max(0, 1 - y * t)", lambda m: lambda y, t: m.relu(1 - y * t), targets="sign"),
    OwnLoss("max(0, 1 - y * t)**2", lambda m: lambda y, t: m.relu(1 - y * t) ** 2, targets="sign"),
    OwnLoss("exp(-y * t)", lambda m: lambda y, t: m.exp(-y * t), targets="sign"),
    OwnLoss("max(q * (t - y), (q - 1) * (t - y))",
            lambda m: lambda y, t: m.maximum(0.9 * (t - y), -0.1 * (t - y)), "q = 0.9"),
    OwnLoss("exp(y) - t * y", lambda m: lambda y, t: m.exp(y) - t * y, targets="unit"),
    OwnLoss("t * log(t / y)", lambda m: lambda y, t: t * m.log(t / y), last="softmax", targets="unit"),
    OwnLoss("-t * log(y)", lambda m: lambda y, t: -t * m.log(y), last="softmax", targets="unit"),
    OwnLoss("(y - t)**2 / (1 + t**2)", lambda m: lambda y, t: (y - t) ** 2 / (1 + t**2), last="softmax"),
    OwnLoss("abs(y - t) + abs(y) / 10", lambda m: lambda y, t: (y - t).abs() + y.abs() / 10),
    OwnLoss("(y**2 - t)**2 / 4", lambda m: lambda y, t: (y**2 - t) ** 2 / 4, last="relu"),
    OwnLoss("1 - y * t", lambda m: lambda y, t: 1 - y * t, last="tanh", targets="sign"),
    OwnLoss("y", lambda m: lambda y, t: y, last="softplus"),
)  # fmt: skip


@pytest.mark.parametrize("own", LOSSES, ids=lambda own: f"{own.formula} {own.last}")
@pytest.mark.parametrize("reduction", ("mean", "sum"))
def test_loss(torch: ModuleType, own: OwnLoss, reduction: str) -> None:
    rng = np.random.default_rng(1)
    shape = (4, 3)
    targets = {
        "values": rng.standard_normal(shape),
        "unit": rng.uniform(0.05, 0.95, shape),
        "sign": rng.choice([-1.0, 1.0], shape),
        "one hot": np.eye(3)[rng.integers(0, 3, 4)],
    }
    one = build(loss_spec(own.formula, own.last, reduction, own.constants))
    if own.formula.startswith("t * log(t"):  # of targets that are positive; those of the check are not
        function = own.function(torch)
        assert_agrees(torch, one, function, targets[own.targets])
        return
    assert_gradients(one)
    assert_agrees(torch, one, own.function(torch), targets[own.targets])
    if reduction == "mean":
        assert_presented(derive_network(one.spec))


# ---- Random formulas -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Node:
    """A formula that renders itself as text and evaluates itself on tensors."""

    text: str
    value: Callable[[ModuleType, Any], Any]


X = Node("x", lambda m, x: x)
UNARY: dict[str, Callable[[ModuleType, Any], Any]] = {
    "sin({})": lambda m, u: m.sin(u),
    "cos({})": lambda m, u: m.cos(u),
    "tanh({})": lambda m, u: m.tanh(u),
    "sigmoid({})": lambda m, u: m.sigmoid(u),
    "softplus({})": softplus,
    "erf({})": lambda m, u: m.erf(u),
    "abs({})": lambda m, u: m.abs(u),
    "relu({})": lambda m, u: m.relu(u),
    "-{}": lambda m, u: -u,
    "({})**2": lambda m, u: u**2,
    "exp(-({})**2)": lambda m, u: m.exp(-(u**2)),
    "exp(tanh({}))": lambda m, u: m.exp(m.tanh(u)),
    "log(1 + ({})**2)": lambda m, u: m.log(1 + u**2),
    "sqrt(1 + ({})**2)": lambda m, u: m.sqrt(1 + u**2),
    "1 / (2 + sin({}))": lambda m, u: 1 / (2 + m.sin(u)),
}
BINARY: dict[str, Callable[[ModuleType, Any, Any], Any]] = {
    "({} + {})": lambda m, u, v: u + v,
    "({} - {})": lambda m, u, v: u - v,
    "{} * ({})": lambda m, u, v: u * v,
    "({}) / (1 + ({})**2)": lambda m, u, v: u / (1 + v**2),
    "max({}, {})": lambda m, u, v: m.maximum(u, v),
    "min({}, {})": lambda m, u, v: m.minimum(u, v),
    "where(x > 0.3, {}, {})": None,
    "where(x <= -0.2, {}, {})": None,
}  # type: ignore[dict-item]
SPLITS = {"where(x > 0.3, {}, {})": lambda x: x > 0.3, "where(x <= -0.2, {}, {})": lambda x: x <= -0.2}


def constant(number: str) -> Node:
    return Node(number, lambda m, x: m.full_like(x, float(number)))


def unary(form: str, inner: Node) -> Node:
    return Node(form.format(inner.text), lambda m, x: UNARY[form](m, inner.value(m, x)))


def binary(form: str, left: Node, right: Node) -> Node:
    text = form.format(left.text, right.text)
    if form in SPLITS:
        return Node(text, lambda m, x: m.where(SPLITS[form](x), left.value(m, x), right.value(m, x)))
    return Node(text, lambda m, x: BINARY[form](m, left.value(m, x), right.value(m, x)))


LEAVES = st.one_of(st.just(X), st.sampled_from(("0.5", "2", "1.3", "0.25", "3")).map(constant))
NODES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(unary, st.sampled_from(list(UNARY)), inner),
        st.builds(binary, st.sampled_from(list(BINARY)), inner, inner),
    ),
    max_leaves=5,
).filter(lambda node: "x" in node.text.replace("exp", "").replace("max", ""))


@settings(max_examples=40)
@given(node=NODES)
@example(node=binary("({} + {})", unary("relu({})", X), unary("relu({})", unary("-{}", X))))
def test_random_activation(torch: ModuleType, node: Node) -> None:
    """Where it has a derivative, a random formula has the right one."""
    try:
        one = build(activation_spec(node.text))
    except CannotDifferentiate as error:
        x = torch.linspace(-3, 3, 600, dtype=torch.float64, requires_grad=True)
        value = node.value(torch, x).sum()
        flat = not value.requires_grad or not torch.autograd.grad(value, x, allow_unused=True)[0].any()
        assert flat, f"{node.text}: {error}"
        return
    assert_agrees(torch, one, lambda x: node.value(torch, x))
    assert_presented(derive_network(one.spec))
    report = check_gradients(one.program, samples=8, batch=3)
    assert not [row for row in report.rows if row.verdict == "fail"], f"{node.text}\n{report.to_text()}"
