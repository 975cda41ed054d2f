"""Lowering of layers that nobody shipped, and of deep networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from new_layers import DENSE, NEW_LAYERS, RELU, TANH, layer, stack
from random_specs import SPECS, Built, build, random_spec

from chainrule.codegen.ir.program import Program, Reshape
from chainrule.codegen.ir.verify import verify
from chainrule.codegen.lower.lowering import lower
from chainrule.codegen.targets.numpy import TARGET
from chainrule.derive.deriving import derive_network
from chainrule.derive.layers import LAYERS
from chainrule.runtime.gradcheck import check_gradients
from chainrule.spec.load import parse_spec

# ---- Layers that nobody shipped --------------------------------------------------------------------


@pytest.fixture
def new_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in NEW_LAYERS:
        monkeypatch.setitem(LAYERS, each.name, each)


CONVOLUTIONS = [
    {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    for kernel, stride, padding, dilation in (
        (1, 1, 0, 1), (3, 1, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (2, 3, 2, 1), (3, 1, 2, 2), (2, 2, 1, 2),
        (3, 2, 3, 3), (4, 3, 2, 2), (3, 1, 5, 1),
    )
]  # fmt: skip


def assert_gradients(one: Built, kinks: bool = False) -> None:
    report = check_gradients(one.program, samples=16, batch=2)
    assert report.passed, f"{one.spec.source}\n{report.to_text()}"
    parameters = one.program.init_parameters(0, np.float32)
    x = np.random.default_rng(0).standard_normal((3, *one.program.input_shape)).astype(np.float32)
    y = one.program.module.predict(parameters, x)
    _, gradients = one.program.module.loss_and_gradients(parameters, x, np.zeros_like(y))
    assert {g.dtype for g in (y, *gradients.values())} == {np.dtype(np.float32)}
    sides = one.program.module.branches(parameters, x, np.zeros_like(y))
    assert sides.dtype == bool and (sides.size > 0) == kinks


@pytest.mark.usefixtures("new_layers")
@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_a_convolution_lowers_and_has_the_right_gradients(options: dict[str, int]) -> None:
    one = build(stack([9, 2], layer("conv1d", **options), TANH, layer("conv1d", kernel=2), DENSE))
    assert_gradients(one)


@pytest.mark.usefixtures("new_layers")
def test_a_convolution_computes_what_it_says() -> None:
    one = build(stack([7, 2], layer("conv1d", filters=2, kernel=3, stride=2, padding=2, dilation=2)))
    parameters = one.program.init_parameters(0, np.float64)
    x = np.random.default_rng(1).standard_normal((2, 7, 2))
    padded = np.pad(x, ((0, 0), (2, 2), (0, 0)))
    wanted = np.array([
        [[np.sum(parameters["W1"][f] * padded[b, 2 * p : 2 * p + 5 : 2]) + parameters["b1"][f]
          for f in range(2)] for p in range(4)] for b in range(2)
    ])  # fmt: skip
    assert np.allclose(one.program.module.predict(parameters, x), wanted, rtol=1e-13, atol=1e-14)


@pytest.mark.usefixtures("new_layers")
@pytest.mark.parametrize("kind", ("max_pool1d", "avg_pool1d"))
@pytest.mark.parametrize(("width", "stride"), ((3, 1), (2, 2), (3, 2), (2, 3), (8, 1)))
def test_a_pool_of_overlapping_windows(kind: str, width: int, stride: int) -> None:
    pool = layer(kind, width=width, stride=stride)
    one = build(stack([8, 3], layer("conv1d", kernel=1), pool, DENSE, TANH))
    assert_gradients(one, kinks=kind == "max_pool1d")


@pytest.mark.usefixtures("new_layers")
@pytest.mark.parametrize("kind", ("max_pool1d", "avg_pool1d"))
@pytest.mark.parametrize("formula", ("y", "exp(y) - t * y", "abs(y - t) + y"))
def test_cotangents_are_zero_outside_their_box(kind: str, formula: str) -> None:
    """Windows at the edge read the loss's derivative where there is no output; its formula is not 0 there."""
    tail = f'\n[losses.own]\nformula = "{formula}"\n'
    one = build(stack([6, 2], layer("conv1d"), layer(kind, width=3), loss="own", tail=tail))
    assert_gradients(one, kinks=kind == "max_pool1d" or "abs" in formula)


@pytest.mark.usefixtures("new_layers")
def test_the_first_of_equals_wins_a_window() -> None:
    one = build(stack([4, 1], layer("max_pool1d", width=3), DENSE))
    module = one.program.module
    parameters = module.init_parameters(0, np.float64)
    found = module.input_gradient(parameters, np.array([[[1.0], [5.0], [5.0], [5.0]]]), np.zeros((1, 3)))
    assert found[0, 1, 0] != 0 and not found[0, [0, 2, 3], 0].any()


@pytest.mark.usefixtures("new_layers")
def test_layer_norm_and_scale_shift() -> None:
    one = build(stack([6], DENSE.replace("3", "5"), layer("layer_norm"), TANH, layer("scale_shift"), DENSE))
    assert_gradients(one)
    assert {name.rstrip("0123456789") for name in one.program.module.PARAMETERS} == {
        "W",
        "b",
        "gamma",
        "beta",
    }


@pytest.mark.usefixtures("new_layers")
def test_attention_reads_its_input_three_times() -> None:
    assert_gradients(build(stack([4, 3], layer("attention"), layer("conv1d", kernel=2), DENSE)))


@pytest.mark.usefixtures("new_layers")
def test_a_kinked_activation_between_grids() -> None:
    one = build(
        stack([9, 2], RELU, layer("conv1d", padding=1), RELU, layer("max_pool1d", width=2, stride=2), DENSE)
    )
    assert_gradients(one, kinks=True)


FLATTEN, SOFTMAX, IDENTITY = 'type = "flatten"', 'type = "softmax"', 'type = "identity"'


@pytest.mark.parametrize(
    ("shape", "layers", "loss"),
    (
        ([3], (DENSE, FLATTEN), "mse"),
        ([2, 2], (FLATTEN, FLATTEN, DENSE), "mse"),
        ([3], (DENSE, IDENTITY, IDENTITY, IDENTITY), "mse"),
        ([2, 3], (IDENTITY, SOFTMAX, DENSE), "mse"),
        ([3], (DENSE, SOFTMAX, SOFTMAX), "cross_entropy"),
        ([3], (DENSE, SOFTMAX, FLATTEN), "cross_entropy"),
        ([3], (DENSE, SOFTMAX), "binary_cross_entropy"),
        ([2, 1, 2, 1, 2, 1], (RELU, 'type = "gelu"', DENSE), "mae"),
        ([3], (DENSE, 'type = "leaky_relu"\nslope = -1.5', 'type = "elu"\nalpha = -2'), "mse"),
        ([3], (DENSE, 'type = "leaky_relu"\nslope = 1e-30', 'type = "elu"\nalpha = 2'), "mse"),
    ),
    ids=str,
)
def test_unusual_stacks(shape: list[int], layers: tuple[str, ...], loss: str) -> None:
    one = build(stack(shape, *layers, loss=loss))
    report = check_gradients(one.program, samples=8, batch=3)
    assert report.passed, report.to_text()


# ---- Deep networks ---------------------------------------------------------------------------------


def deep(depth: int) -> Program:
    hidden = [f'type = "dense"\nunits = 4\nactivation = "{("tanh", "relu")[d % 2]}"' for d in range(depth)]
    return TARGET.program(derive_network(parse_spec(stack([4], *hidden, DENSE), "spec.toml")))


def test_statements_grow_linearly_with_depth() -> None:
    counts, locals_ = [], []
    for depth in (50, 100, 200):
        program = deep(depth)
        counts.append(sum(map(len, program.sections.values())))
        owned = [v for v in program.values.values() if v.kind == "local" and not v.slot]
        locals_.append(len(owned))
    assert counts[2] - counts[1] == 2 * (counts[1] - counts[0])
    assert counts[2] <= 200 * 12
    assert locals_[2] - locals_[1] == 2 * (locals_[1] - locals_[0])


@pytest.mark.parametrize("seed", range(0, SPECS, 8))
def test_passes_keep_what_is_computed(seed: int) -> None:
    """Every equation keeps its statements, and no memory outlives the program that holds it."""
    program = lower(derive_network(parse_spec(random_spec(seed), "spec.toml")))
    verify(program, "lower")
    finished = TARGET.optimize(program)
    before = {s.equation for s in program.statements(*program.sections)}
    assert before == {s.equation for s in finished.statements(*finished.sections)} == set(program.notes)
    for value in finished.values.values():
        if value.slot:
            owner = finished.values[value.slot]
            same = value.shape == owner.shape
            assert same or any(isinstance(s, Reshape) and s.out == value.name for s in reshapes(finished))


def reshapes(program: Program) -> list[Any]:
    return [s for s in program.statements(*program.sections) if isinstance(s, Reshape)]
