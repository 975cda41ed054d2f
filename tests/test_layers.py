"""The layers: every derived product against steps, values against PyTorch, the numbers of the lectures."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sympy
from equations import Arrays, step_gradient
from layer_forwards import forward, options_of
from sympy import Rational

from chainrule.derive.adjoint import adjoint
from chainrule.derive.compact import compact_gradient
from chainrule.derive.differentiate import cotangent
from chainrule.derive.index import Equation
from chainrule.derive.interpret import evaluate
from chainrule.derive.layers import LAYERS, Forward, ShapeError
from chainrule.derive.network import build_network
from chainrule.spec import load_spec

EXAMPLES = Path(__file__).parent.parent / "examples"


def concrete(layer: Forward, equation: Equation) -> Equation:
    """Return an equation of a layer with its sizes and constants as numbers."""
    return equation.replace({s: sympy.sympify(v) for s, v in {**layer.sizes, **layer.constants}.items()})


def arrays_of(layer: Forward, shape: tuple[int, ...], seed: int = 0, batch: int = 2) -> Arrays:
    """Return random values of the input, the parameters, the statistics and the noise of a layer."""
    rng = np.random.default_rng(seed)
    arrays: Arrays = {"N": np.array(batch), "x": rng.uniform(-1.5, 1.5, (batch, *shape))}
    for p in layer.parameters:
        arrays[p.name] = rng.uniform(-1.2, 1.2, p.shape)
    for p in layer.statistics:
        arrays[p.name] = rng.uniform(0.5, 1.5, p.shape)
    for noise in layer.noise:
        base = concrete(layer, Equation(noise.base[(0,) * len(noise.base.shape)], sympy.S.Zero)).left.base
        kept = float(noise.probability.xreplace(dict(layer.constants)))
        arrays[str(base.label)] = (rng.random((batch, *map(int, base.shape[1:]))) < kept).astype(float)
    return arrays


def applied(layer: Forward, arrays: Arrays, equations: tuple[Equation, ...] | None = None) -> Arrays:
    """Return the arrays with what the equations of a layer define."""
    arrays = dict(arrays)
    for equation in layer.equations if equations is None else equations:
        arrays[equation.name] = evaluate(concrete(layer, equation), arrays)
    return arrays


def output(layer: Forward, arrays: Arrays) -> Any:
    return applied(layer, arrays)[layer.equations[-1].name]


# ---- random layers -----------------------------------------------------------------------------------------


def random_convolution(rng: random.Random, axes: int) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Return the shape of a sample and options that fit: kernels 1 to 5, strides 1 to 3, every padding."""
    groups = rng.choice((1, 1, 1, 2, 3))
    while True:
        shape = (*(rng.randint(1, 6) for _ in range(axes)), groups * rng.randint(1, 2))
        each = {
            "kernel": [rng.randint(1, 5) for _ in range(axes)],
            "stride": [rng.randint(1, 3) for _ in range(axes)],
            "dilation": [rng.randint(1, 2) for _ in range(axes)],
        }
        options = {
            **{key: tuple(value) if axes == 2 else value[0] for key, value in each.items()},
            "filters": groups * rng.randint(1, 2),
            "padding": rng.choice(("valid", "same", "full", 0, 1, 2)),
            "groups": groups,
            "bias": rng.random() < 0.6,
            "flip": rng.random() < 0.3,
        }
        try:
            LAYERS[f"conv{axes}d"].forward(shape, options_of(f"conv{axes}d", **options))
        except ShapeError:
            continue
        if np.prod(each["kernel"]) * np.prod(shape) <= 90:
            return shape, options


def random_pool(rng: random.Random) -> tuple[tuple[int, ...], dict[str, Any]]:
    shape = (rng.randint(1, 6), rng.randint(1, 6), rng.randint(1, 2))
    window = (rng.randint(1, shape[0]), rng.randint(1, shape[1]))
    stride = rng.choice((None, (rng.randint(1, 3), rng.randint(1, 3))))
    return shape, {"size": window, "stride": stride}


def random_layer(kind: str, seed: int) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Return the shape of a sample and the options of a layer."""
    rng = random.Random(f"{kind} {seed}")
    if kind in ("conv1d", "conv2d"):
        return random_convolution(rng, int(kind[4]))
    if kind in ("max_pool2d", "avg_pool2d"):
        return random_pool(rng)
    image, vector = tuple(rng.randint(1, 3) for _ in range(3)), (rng.randint(1, 5),)
    return {
        "dense": (vector, {"units": 3, "bias": rng.random() < 0.5}),
        "maxout": (vector, {"units": rng.randint(1, 3), "pieces": rng.randint(2, 4)}),
        "softmax": (vector, {}),
        "flatten": (image, {}),
        "global_avg_pool": (image, {}),
        "dropout": (rng.choice((vector, image)), {"rate": rng.choice((0.0, 0.3, 0.5))}),
        "batch_norm": (rng.choice((vector, image[1:], image)), {"epsilon": rng.choice((1e-5, 0.1))}),
        "layer_norm": (rng.choice((vector, image)), {"epsilon": rng.choice((1e-5, 0.1))}),
    }[kind]


CASES = [(kind, seed) for kind in sorted(LAYERS) for seed in range(12 if "conv" in kind else 5)]


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_every_derived_product(kind: str, seed: int) -> None:
    """Every equation of a layer, for every tensor that it reads, against steps of the interpreter."""
    shape, options = random_layer(kind, seed)
    layer = forward(kind, shape, **options)
    arrays = applied(layer, arrays_of(layer, shape, seed))
    for equation in layer.equations:
        here = concrete(layer, equation)
        seed_values = np.random.default_rng(7).uniform(0.5, 1.5, arrays[equation.name].shape)
        for name in equation.reads():
            found = concrete(layer, adjoint(equation, name).equation)
            got = evaluate(found, {**arrays, cotangent(equation.name): seed_values})
            for method, limit in (("complex", 1e-12), *([("central", 1e-7)] if seed < 2 else [])):
                expected = step_gradient(here, arrays, name, seed_values, method)
                scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
                error = float(np.max(np.abs(got - expected), initial=0.0)) / scale
                assert error <= limit, f"{equation}: {found}: {method} {error:.1e}, {shape}, {options}"


def test_the_random_layers_cover_what_they_should() -> None:
    for axes in (1, 2):
        drawn = [random_layer(f"conv{axes}d", seed)[1] for seed in range(12)]
        assert {"valid", "same", "full"} <= {o["padding"] for o in drawn}
        assert {1, 2} <= {o["groups"] for o in drawn} and {True, False} == {o["flip"] for o in drawn}
        flat = {
            key: {v for o in drawn for v in np.atleast_1d(o[key])} for key in ("kernel", "stride", "dilation")
        }
        assert flat["kernel"] >= {1, 2, 3} and flat["stride"] == {1, 2, 3} and flat["dilation"] == {1, 2}


# ---- values ------------------------------------------------------------------------------------------------


def padded(options: Mapping[str, Any], extents: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the zeros before and after each axis, by the definitions of the paddings."""
    found = []
    each = zip(
        *(np.atleast_1d(options[key]) for key in ("kernel", "stride", "dilation")), extents, strict=True
    )
    for kernel, stride, dilation, extent in each:
        covered = (kernel - 1) * dilation + 1
        match options["padding"]:
            case "valid":
                found.append((0, 0))
            case "full":
                found.append((covered - 1, covered - 1))
            case "same":
                total = max((-(-extent // stride) - 1) * stride + covered - extent, 0)
                found.append((total // 2, total - total // 2))
            case number:
                found.append((number, number))
    return found


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("seed", range(30))
def test_convolutions_are_those_of_pytorch(torch: ModuleType, axes: int, seed: int) -> None:
    kind = f"conv{axes}d"
    shape, options = random_layer(kind, seed)
    layer = forward(kind, shape, **options)
    arrays = arrays_of(layer, shape, seed)
    zeros = [0, 0, *(n for pair in reversed(padded(options, shape[:-1])) for n in pair)]
    x = torch.nn.functional.pad(torch.tensor(arrays["x"]), zeros).movedim(-1, 1)
    kernel = torch.tensor(arrays["W"]).movedim(-1, 1)
    if options["flip"]:
        kernel = kernel.flip(tuple(range(2, 2 + axes)))
    bias = torch.tensor(arrays["b"]) if options["bias"] else None
    convolve = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d}[axes]
    expected = convolve(x, kernel, bias, options["stride"], 0, options["dilation"], options["groups"])
    np.testing.assert_allclose(output(layer, arrays), expected.movedim(1, -1).numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("seed", range(20))
def test_pools_are_those_of_pytorch(torch: ModuleType, seed: int) -> None:
    shape, options = random_pool(random.Random(seed))
    for kind, pool in (
        ("max_pool2d", torch.nn.functional.max_pool2d),
        ("avg_pool2d", torch.nn.functional.avg_pool2d),
    ):
        layer = forward(kind, shape, **options)
        arrays = arrays_of(layer, shape, seed)
        expected = pool(torch.tensor(arrays["x"]).movedim(-1, 1), options["size"], options["stride"])
        np.testing.assert_allclose(output(layer, arrays), expected.movedim(1, -1).numpy(), rtol=1e-13)


@pytest.mark.parametrize("shape", [(4,), (5, 3), (3, 2, 4)])
@pytest.mark.parametrize("batch", [2, 5])
def test_batch_norm_is_that_of_pytorch_in_both_modes(
    torch: ModuleType, shape: tuple[int, ...], batch: int
) -> None:
    layer = forward("batch_norm", shape, momentum=0.8, epsilon=1e-3)
    arrays = arrays_of(layer, shape, 3, batch)
    theirs = torch.nn.BatchNorm1d(shape[-1], eps=1e-3, momentum=0.2, dtype=torch.float64)
    for mine, name in (
        ("gamma", "weight"),
        ("beta", "bias"),
        ("mean", "running_mean"),
        ("var", "running_var"),
    ):
        getattr(theirs, name).data = torch.tensor(arrays[mine])
    rows = torch.tensor(arrays["x"]).reshape(-1, shape[-1])
    evaluated = theirs.eval()(rows).detach().numpy().reshape(arrays["x"].shape)
    assert layer.evaluation is not None
    np.testing.assert_allclose(applied(layer, arrays, layer.evaluation)["y"], evaluated, rtol=1e-12)
    trained = theirs.train()(rows).detach().numpy().reshape(arrays["x"].shape)
    after = applied(layer, applied(layer, arrays), layer.running)
    np.testing.assert_allclose(after["y"], trained, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(after["mean"], theirs.running_mean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(after["var"], theirs.running_var.numpy(), rtol=1e-12)


def test_batch_norm_of_a_single_value_is_defined() -> None:
    """One sample of a vector has variance 0: the output is β, its gradient 0, the running variance decays."""
    layer = forward("batch_norm", (3,), momentum=0.75)
    arrays = arrays_of(layer, (3,), 0, batch=1)
    found = applied(layer, applied(layer, arrays), layer.running)
    np.testing.assert_array_equal(found["y"][0], arrays["beta"])
    np.testing.assert_allclose(found["var"], 0.75 * arrays["var"])
    np.testing.assert_allclose(found["mean"], 0.75 * arrays["mean"] + 0.25 * arrays["x"][0])
    compact = compact_gradient(layer.equations)
    assert compact is not None
    gradient = evaluate(concrete(layer, compact.equation), {**found, "d y": np.ones((1, 3))})
    np.testing.assert_array_equal(gradient, np.zeros((1, 3)))


@pytest.mark.parametrize("shape", [(5,), (3, 2), (2, 3, 4)])
def test_layer_norm_is_that_of_pytorch(torch: ModuleType, shape: tuple[int, ...]) -> None:
    layer = forward("layer_norm", shape, epsilon=1e-4)
    arrays = arrays_of(layer, shape, 1)
    tensors = {name: torch.tensor(value) for name, value in arrays.items()}
    expected = torch.nn.functional.layer_norm(
        tensors["x"], shape, tensors["gamma"], tensors["beta"], eps=1e-4
    )
    np.testing.assert_allclose(output(layer, arrays), expected.numpy(), rtol=1e-11, atol=1e-12)


def test_dropout_maxout_and_the_global_mean() -> None:
    layer = forward("dropout", (6,), rate=0.25)
    arrays = arrays_of(layer, (6,), 2)
    np.testing.assert_allclose(output(layer, arrays), arrays["x"] * arrays["m"] / 0.75)
    assert layer.evaluation is not None
    np.testing.assert_array_equal(applied(layer, arrays, layer.evaluation)["y"], arrays["x"])
    (noise,) = layer.noise
    assert noise.probability.xreplace(dict(layer.constants)) == Rational(3, 4)
    layer = forward("maxout", (4,), units=3, pieces=2)
    arrays = arrays_of(layer, (4,), 2)
    pieces = np.einsum("qkj,nj->nqk", arrays["W"], arrays["x"]) + arrays["b"]
    np.testing.assert_allclose(output(layer, arrays), pieces.max(axis=1), rtol=1e-12)
    layer = forward("global_avg_pool", (3, 4, 2))
    arrays = arrays_of(layer, (3, 4, 2), 2)
    np.testing.assert_allclose(output(layer, arrays), arrays["x"].mean(axis=(1, 2)), rtol=1e-12)


# ---- the numbers of the lectures ---------------------------------------------------------------------------


IMAGE = np.array([[2.0, 1, 2], [5, 0, 1], [1, 7, 3]])
KERNEL = np.array([[0.5, 0.7, 0.4], [0.3, 0.4, 0.1], [0.5, 1, 0.5]])
ROTATED = np.array([[0.5, 1, 0.5], [0.1, 0.4, 0.3], [0.4, 0.7, 0.5]])


def test_the_worked_convolution() -> None:
    layer = forward("conv2d", (3, 3, 1), filters=1, kernel=(3, 3), padding=1, flip=True, bias=False)
    found = output(layer, {"N": np.array(1), "x": IMAGE[None, :, :, None], "W": KERNEL[None, :, :, None]})
    around = np.pad(IMAGE, 1)
    expected = [[np.sum(around[i : i + 3, j : j + 3] * ROTATED) for j in range(3)] for i in range(3)]
    np.testing.assert_allclose(found[0, :, :, 0], expected, rtol=1e-14)
    assert found[0, 0, 0, 0] == pytest.approx(4.6)


@pytest.mark.parametrize(
    ("extent", "kernel", "stride", "padding", "outputs"),
    [
        (7, 3, 1, "valid", 5), (7, 3, 2, "valid", 3), (32, 5, 1, "valid", 28), (7, 3, 2, 1, 4),
        (7, 3, 3, 1, 3), (7, 3, 1, "same", 7), (7, 3, 2, "same", 4), (7, 3, 1, "full", 9),
        (28, 2, 1, "same", 28),
    ],
)  # fmt: skip
def test_output_sizes(extent: int, kernel: int, stride: int, padding: Any, outputs: int) -> None:
    options = {"kernel": (kernel, 1), "stride": (stride, 1), "padding": padding, "filters": 1}
    layer = forward("conv2d", (extent, 1, 1), **options)
    arrays = {
        "N": np.array(1),
        "x": np.ones((1, extent, 1, 1)),
        "W": np.ones((1, kernel, 1, 1)),
        "b": np.ones(1),
    }
    assert output(layer, arrays).shape == (1, outputs, 1 if padding in ("valid", "same", "full") else 3, 1)


def test_one_dimensional_convolution_of_the_lecture() -> None:
    """y[i] = Σ_k x[i − k] w[k], with full padding."""
    x, w = np.array([3.0, 2, 1, 7, 1, 2, 5, 4]), np.array([2.0, 1, 0, 3])
    layer = forward("conv1d", (8, 1), filters=1, kernel=4, padding="full", flip=True, bias=False)
    found = output(layer, {"N": np.array(1), "x": x[None, :, None], "W": w[None, :, None]})
    np.testing.assert_allclose(found[0, :, 0], np.convolve(x, w))
    (equation,) = layer.equations
    assert str(equation.right) == "sum_u,c(W[k, u, c]*x[n, i - u, c])"


def test_the_worked_max_pool() -> None:
    rows = [
        [10, 255, 125, 0, 170, 100], [70, 255, 105, 25, 25, 70], [255, 0, 150, 0, 10, 10],
        [0, 255, 10, 10, 150, 20], [70, 15, 200, 100, 95, 0], [25, 25, 100, 20, 0, 60],
    ]  # fmt: skip
    layer = forward("max_pool2d", (6, 6, 1), size=(2, 2))
    found = output(layer, {"N": np.array(1), "x": np.array(rows, float)[None, :, :, None]})
    assert found[0, :, :, 0].tolist() == [[255, 125, 170], [255, 150, 150], [70, 200, 95]]


@pytest.mark.parametrize(
    ("name", "counts", "total"),
    [
        ("cifar10_cnn_74", [896, 9_248, 18_496, 1_606_144, 5_130], 1_639_914),
        ("fashion_cnn", [320, 8_224, 401_664, 2_570], 412_778),
        ("lenet5", [156, 2_416, 48_120, 10_164, 850], 61_706),
    ],
)
def test_parameters_by_layer(name: str, counts: list[int], total: int) -> None:
    network = build_network(load_spec(EXAMPLES / f"{name}.toml"))
    assert [sum(p.count for p in layer.parameters) for layer in network.layers if layer.parameters] == counts
    assert network.parameter_count == total
