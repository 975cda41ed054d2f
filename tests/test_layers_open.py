"""Adding a layer is adding its forward equations, adding an activation its formula: nothing else is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from equations import spec
from evaluated import check_book, check_gradients, given, run
from sympy import exp, sqrt, tanh

import chainrule.derive.layers
import chainrule.derive.library
import chainrule.derive.network
from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import Equation, Max, Sum, index, size, tensor
from chainrule.derive.layers import Forward, LayerType, Parameter
from chainrule.derive.library import Formula, Loss

n, i, j, k, u, m = map(index, "nijkum")
N, K, M, U = map(size, ("N", "K", "M", "U"))
x, y = tensor("x", N, K), tensor("y", N, K)

Build = Callable[[tuple[int, ...], Mapping[str, Any]], Forward]


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Build], None]:
    """A function that registers a layer type for one test."""

    def register(name: str, build: Build, rank: int = 1) -> None:
        layer = LayerType(name, "a layer of a test", build, input_rank=rank)
        monkeypatch.setitem(chainrule.derive.layers.LAYERS, name, layer)

    return register


def parameter(name: str, *shape: int, role: str = "weight") -> Parameter:
    return Parameter(name, shape, role, shape[-1], shape[0], "glorot_uniform")


def derived(layers: list[Any], loss: str = "mse", **options: Any) -> Derivation:
    """Return a derivation whose book and gradients are right."""
    options.setdefault("inputs", (3,))
    derivation = derive_network(spec(layers, loss, **options))
    check_book(derivation)
    check_gradients(derivation, given(derivation, 5))
    return derivation


def text_of(derivation: Derivation, name: str) -> str:
    (found,) = (e for e in derivation.equations if e.name == name)
    return str(found.equation)


# ---- one equation ------------------------------------------------------------------------------------------


def scale_shift(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    s, b = tensor("s", K), tensor("b", K)
    equation = Equation(y[n, k], s[k] * x[n, k] + b[k])
    parameters = (parameter("s", shape[0]), parameter("b", shape[0], role="bias"))
    return Forward((equation,), {K: shape[0]}, parameters)


def test_scale_and_shift(add: Any) -> None:
    add("scale_shift", scale_shift)
    found = derived([4, "scale_shift", "tanh", 3, "scale_shift", "softmax"], "cross_entropy", l2=0.1)
    assert text_of(found, "ds2") == "d s2[k] = s2[k]/5 + sum_n(d z2[n, k]*z1[n, k])"
    assert text_of(found, "db2") == "d b2[k] = sum_n(d z2[n, k])"
    assert text_of(found, "dz1") == "d z1[n, k] = d z2[n, k]*s2[k]"
    assert [p.name for p in found.network.parameters] == ["W1", "b1", "s2", "b2", "W3", "b3", "s4", "b4"]


def test_scale_and_shift_first_and_alone(add: Any) -> None:
    add("scale_shift", scale_shift)
    derived(["scale_shift"], inputs=(2, 2))


def convolution(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """A window of three over the feature axis, zero outside."""
    w = tensor("w", U)
    equation = Equation(y[n, i], Sum(w[u] * x[n, i + u - 1], (u, U)))
    return Forward((equation,), {K: shape[0], U: 3}, (parameter("w", 3),))


def test_convolution_over_the_features(add: Any) -> None:
    add("features", convolution)
    found = derived([5, "features", "relu", "features", 2], l2=0.05)
    assert text_of(found, "dz1") == "d z1[n, p] = sum_u(d z2[n, p - u + 1]*w2[u])"


def test_convolution_of_images(add: Any) -> None:
    """Stride 2, padding 1, three channels of two; a gradient of the image too."""
    h, w_, c, o, p, q, kh, kw = map(size, ("H", "W", "C", "O", "P", "Q", "KH", "KW"))
    v, ci, co = index("v"), index("c"), index("o")
    a, z = tensor("x", N, h, w_, c), tensor("y", N, p, q, o)
    w, b = tensor("W", o, kh, kw, c), tensor("b", o)
    body = w[co, u, v, ci] * a[n, 2 * i + u - 1, 2 * j + v - 1, ci]
    equation = Equation(z[n, i, j, co], Sum(body, (u, kh), (v, kw), (ci, c)) + b[co])

    def build(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
        height, width, channels = shape
        out = {p: (height - 1) // 2 + 1, q: (width - 1) // 2 + 1, o: 3}
        sizes = {h: height, w_: width, c: channels, kh: 3, kw: 3, **out}
        return Forward(
            (equation,), sizes, (parameter("W", 3, 3, 3, channels), parameter("b", 3, role="bias"))
        )

    add("small_conv", build, 3)
    found = derived(["small_conv", "relu", 2, "softmax"], "cross_entropy", inputs=(4, 3, 2), l2=0.01)
    assert found.network.layers[-2].input_shape == (12,)


def test_max_over_pairs(add: Any) -> None:
    half = tensor("y", N, M)
    equation = Equation(half[n, k], Max(x[n, 2 * k + u], (u, U)))
    add("pairs", lambda shape, options: Forward((equation,), {K: shape[0], M: shape[0] // 2, U: 2}))
    derived([4, "pairs", 3, "sigmoid"], "binary_cross_entropy")


def test_a_parameter_inside_an_activation(add: Any) -> None:
    """Swish with a trained slope for each feature: the sigmoid's own input holds a parameter."""
    beta = tensor("beta", K)
    equation = Equation(y[n, k], x[n, k] / (1 + exp(-beta[k] * x[n, k])))
    add("trained_swish", lambda shape, _: Forward((equation,), {K: shape[0]}, (parameter("beta", *shape),)))
    derived([4, "trained_swish", 2])


def test_one_tensor_twice(add: Any) -> None:
    """A residual connection around a dense map, in one equation."""
    w = tensor("W", K, K)
    equation = Equation(y[n, k], x[n, k] + tanh(Sum(w[k, j] * x[n, j], (j, K))))
    add("residual", lambda shape, _: Forward((equation,), {K: shape[0]}, (parameter("W", *shape, *shape),)))
    derived([3, "residual", "residual", 2], l2=0.1)


# ---- several equations -------------------------------------------------------------------------------------

mean, variance, gamma = tensor("mu", N), tensor("var", N), tensor("gamma", K)
LAYER_NORM = (
    Equation(mean[n], Sum(x[n, j], (j, K)) / K),
    Equation(variance[n], Sum((x[n, j] - mean[n]) ** 2, (j, K)) / K),
    Equation(y[n, k], gamma[k] * (x[n, k] - mean[n]) / sqrt(variance[n] + exp(-5))),
)


def layer_norm(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    return Forward(LAYER_NORM, {K: shape[0]}, (parameter("gamma", *shape),))


def test_layer_norm_of_three_equations(add: Any) -> None:
    add("layer_norm", layer_norm)
    found = derived([5, "layer_norm", "tanh", 4, "layer_norm", 2], l2=0.1)
    names = [e.name for e in found.role("forward")]
    assert names == ["a0", "z1", "mu2", "var2", "z2", "a2", "z3", "mu4", "var4", "z4", "z5"]
    values = run(found, given(found, 6), "definition", "forward")
    centred = values["z2"] / values["gamma2"]
    np.testing.assert_allclose(centred.mean(1), 0, atol=1e-14)


def test_layer_norm_at_both_ends(add: Any) -> None:
    add("layer_norm", layer_norm)
    derived(["layer_norm", 4, "layer_norm"], inputs=(4,))


def test_batch_norm_of_three_equations(add: Any) -> None:
    mu, var = tensor("mu", K), tensor("var", K)
    equations = (
        Equation(mu[k], Sum(x[n, k], (n, N)) / N),
        Equation(var[k], Sum((x[n, k] - mu[k]) ** 2, (n, N)) / N),
        Equation(y[n, k], gamma[k] * (x[n, k] - mu[k]) / sqrt(var[k] + exp(-5))),
    )
    add("norm", lambda shape, _: Forward(equations, {K: shape[0]}, (parameter("gamma", *shape),)))
    derived([4, "norm", "relu", 3, "norm", 2, "softmax"], "cross_entropy")


def test_a_gated_layer(add: Any) -> None:
    """y = tanh(A x) ⊙ σ(B x): two internal tensors that both read x."""
    a, b = tensor("A", M, K), tensor("B", M, K)
    value, gate, out = tensor("value", N, M), tensor("gate", N, M), tensor("y", N, M)
    equations = (
        Equation(value[n, k], tanh(Sum(a[k, j] * x[n, j], (j, K)))),
        Equation(gate[n, k], 1 / (1 + exp(-Sum(b[k, j] * x[n, j], (j, K))))),
        Equation(out[n, k], value[n, k] * gate[n, k]),
    )

    def build(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
        return Forward(equations, {K: shape[0], M: 4}, (parameter("A", 4, *shape), parameter("B", 4, *shape)))

    add("gated", build)
    found = derived(["gated", "gated", 2], l2=0.1)
    assert [p.name for p in found.network.parameters] == ["A1", "B1", "A2", "B2", "W3", "b3"]


def test_attention_over_the_batch_of_features(add: Any) -> None:
    """Scores, weights and their mixture: a softmax whose scores are an outer product."""
    score, weight = tensor("score", N, K, K), tensor("weight", N, K, K)
    q = tensor("q", K)
    equations = (
        Equation(score[n, i, j], q[i] * x[n, i] * x[n, j]),
        Equation(weight[n, i, j], exp(score[n, i, j]) / Sum(exp(score[n, i, m]), (m, K))),
        Equation(y[n, i], Sum(weight[n, i, j] * x[n, j], (j, K))),
    )
    add("attend", lambda shape, _: Forward(equations, {K: shape[0]}, (parameter("q", *shape),)))
    derived([3, "attend", 2])


def test_normalized_weights(add: Any) -> None:
    """An equation in a parameter alone: W / √ΣW², then the dense map."""
    w, unit, z = tensor("W", M, K), tensor("unit", M, K), tensor("y", N, M)
    equations = (
        Equation(unit[k, j], w[k, j] / sqrt(Sum(w[k, i] ** 2, (i, K)))),
        Equation(z[n, k], Sum(unit[k, j] * x[n, j], (j, K))),
    )

    def build(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
        return Forward(equations, {K: shape[0], M: 3}, (parameter("W", 3, *shape),))

    add("unit_dense", build)
    derived(["unit_dense", "tanh", 2])


def test_two_layers_without_parameters_but_with_internal_tensors(add: Any) -> None:
    mu = tensor("mu", N)
    equations = (Equation(mu[n], Sum(x[n, j], (j, K)) / K), Equation(y[n, k], tanh(x[n, k] - mu[n])))
    add("centre", lambda shape, _: Forward(equations, {K: shape[0]}))
    derived([4, "centre", "centre", 2])


def test_an_internal_tensor_may_have_any_name(add: Any) -> None:
    z, w = tensor("z", N, K), tensor("w", K)
    equations = (Equation(z[n, k], w[k] * x[n, k]), Equation(y[n, k], tanh(z[n, k])))
    add("named_z", lambda shape, _: Forward(equations, {K: shape[0]}, (parameter("w", *shape),)))
    derived([3, "named_z", 2])


# ---- activations and losses --------------------------------------------------------------------------------

FORMULAS = {
    "mish": Formula("x * tanh(softplus(x))"),
    "hard_tanh": Formula("max(-1, min(1, x))"),
    "selu": Formula("scale * where(x > 0, x, alpha * (exp(x) - 1))", {"scale": 1.0507, "alpha": 1.67326}),
    "snake": Formula("x + sin(2 * x)**2 / 2"),
    "logistic_twice": Formula("1 / (1 + exp(-1 / (1 + exp(-x))))"),
    "softsign": Formula("x / (1 + abs(x))"),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_new_activation_is_one_formula(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(chainrule.derive.library.ACTIVATIONS, name, FORMULAS[name])
    assert chainrule.derive.network.ACTIVATIONS is chainrule.derive.library.ACTIVATIONS
    derived([4, name, 3, name, 2], l2=0.01)
    derived([4, name, 3, "softmax"], "cross_entropy")


def test_a_new_activation_gets_its_derivative_through_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(chainrule.derive.library.ACTIVATIONS, "bipolar", Formula("2 / (1 + exp(-x)) - 1"))
    found = derived([4, "bipolar", 2])
    assert text_of(found, "dz1") == "d z1[n, j] = (1 - a1[n, j]**2)*sum_k(W2[k, j]*d z2[n, k])/2"


def test_a_new_loss_is_one_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(chainrule.derive.library.LOSSES, "poisson", Loss("exp(y) - t * y"))
    derived([4, "tanh", 2], "poisson")
