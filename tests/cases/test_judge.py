"""Layers whose right side is not 0 beyond what they read compute what their equations say."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import sympy

import chainrule.derive.layers
from chainrule.codegen.folder import write
from chainrule.codegen.generate import generate
from chainrule.derive.index import Equation, Max, Sum, index, size, tensor
from chainrule.derive.interpret import evaluate
from chainrule.derive.layers.layer import Forward, LayerType
from chainrule.runtime.gradcheck import check_gradients
from chainrule.runtime.program import load_program
from chainrule.spec.load import parse_spec

n, k, u = index("n"), index("k"), index("u")
N, K = size("N"), size("K")
x, y = tensor("x", N, K), tensor("y", N, K + 30)
SPEC = """spec_version = 1
name = "net"
[input]
shape = [6]
[[layers]]
type = "case"
[[layers]]
type = "dense"
units = 36
bias = false
init = "zeros"
[loss]
type = "mse"
"""
SUMS = {
    "repeated": x[n, k] + x[n, k - 4],
    "exp": sympy.exp(x[n, k - 2]),
    "shifted": x[n, k - 2] + 1,
    "turned": 1 / (1 + sympy.exp(-x[n, 9 - k])),
    "greatest": Max(x[n, k + u - 5] * x[n, u], (u, 4)),
    "log of a sum": sympy.log(Sum(sympy.exp(x[n, k - 3 * u]), (u, 3))),
}


@pytest.mark.parametrize("name", SUMS)
def test_m1_a_shifted_sum_is_what_its_equation_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    equation = Equation(y[n, k], SUMS[name])
    layer = LayerType("case", "a case", lambda shape, _: Forward((equation,), {K: shape[0]}), input_rank=1)
    monkeypatch.setitem(chainrule.derive.layers.LAYERS, "case", layer)
    program = load_program(write(generate(parse_spec(SPEC, "spec.toml")), tmp_path, force=True))
    parameters = program.init_parameters(0, np.float64)
    parameters["W1"][...] = np.eye(36)
    inputs = np.random.default_rng(0).standard_normal((3, 6))
    found = program.module.predict(parameters, inputs)
    assert np.allclose(found, evaluate(equation, {"x": inputs}), rtol=1e-12, atol=1e-12)
    assert check_gradients(program, samples=8).passed


DEPTHWISE = """spec_version = 1
name = "depthwise"
[input]
shape = [16, 16, 32]
[[layers]]
type = "conv2d"
filters = 32
kernel = 3
padding = "same"
groups = 32
[[layers]]
type = "global_avg_pool"
[[layers]]
type = "dense"
units = 4
[loss]
type = "mse"
"""


def test_s4_a_depthwise_gradient_holds_the_windows_of_a_piece_of_the_batch(tmp_path: Path) -> None:
    """What a step takes beyond images grows by no more than another image and its cotangents."""
    program = load_program(write(generate(parse_spec(DEPTHWISE, "spec.toml")), tmp_path, force=True))
    parameters, rng = program.init_parameters(0, np.float32), np.random.default_rng(0)
    peaks = []
    for samples in (16, 48):
        inputs = rng.standard_normal((samples, 16, 16, 32)).astype(np.float32)
        targets = np.zeros((samples, 4), np.float32)
        tracemalloc.start()
        program.module.loss_and_gradients(parameters, inputs, targets)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    image = 4 * 16 * 16 * 32
    assert peaks[1] - peaks[0] < 32 * 4 * image  # the windows of one image are nine of it
