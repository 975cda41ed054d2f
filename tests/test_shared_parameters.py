"""A parameter that two equations of a layer read collects both of their gradients."""

import numpy as np
import pytest

import chainrule.derive.layers
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import Equation, Sum, index, size, tensor
from chainrule.derive.layers.layer import Forward, LayerType, Parameter
from chainrule.programs import scratch_program
from chainrule.runtime.gradcheck import check_gradients
from chainrule.spec import parse_spec

n, k, j = index("n"), index("k"), index("j")
N, K = size("N"), size("K")
x, h, y, W = tensor("x", N, K), tensor("h", N, K), tensor("y", N, K), tensor("W", K, K)
TWICE = (
    Equation(h[n, k], Sum(W[k, j] * x[n, j], (j, K))),
    Equation(y[n, k], Sum(W[k, j] * h[n, j], (j, K))),
)
SPEC = """
spec_version = 1
name = "twice"
[input]
shape = [3]
[[layers]]
type = "applied_twice"
[[layers]]
type = "dense"
units = 2
[loss]
type = "mse"
l2 = 0.1
"""


def forward(shape, options):
    return Forward(
        TWICE, {K: shape[0]}, (Parameter("W", (*shape, *shape), "weight", *shape, *shape, "he_normal"),)
    )


@pytest.fixture
def spec(monkeypatch):
    layer = LayerType("applied_twice", "W W x", forward, input_rank=1)
    monkeypatch.setitem(chainrule.derive.layers.LAYERS, "applied_twice", layer)
    return parse_spec(SPEC, "twice.toml")


def test_one_gradient_equation_for_the_parameter(spec):
    names = [e.name for e in derive_network(spec).role("backward")]
    assert names.count("dW1") == 1


def test_its_gradient_is_the_sum(spec):
    with scratch_program(spec) as program:
        assert check_gradients(program).passed
        p = program.init_parameters(0, np.float64)
        p["W1"][...] = np.eye(3)
        rng = np.random.default_rng(0)
        a, t = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
        _, g = program.module.loss_and_gradients(p, a, t)
        # at W = 1 both uses give Σ δ aᵀ with the same δ = Vᵀ(Va + b − t)/N, and the decay gives 2·0.1·W
        delta = (a @ p["W2"].T + p["b2"] - t) @ p["W2"] / 4
        np.testing.assert_allclose(g["W1"], 2 * delta.T @ a + 0.2 * np.eye(3), rtol=1e-12, atol=1e-14)
