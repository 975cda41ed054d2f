"""Generated programs at the edges of arithmetic, against many digits."""

from __future__ import annotations

import warnings
from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray
from random_specs import Built, build

Array = NDArray[Any]
EYE = [[float(row == column) for column in range(3)] for row in range(3)]
EDGES = np.array([
    [1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, 9999.0], [100.0, -100.0, 0.0], [-100.0, 40.0, -40.0],
    [0.0, 0.0, 0.0], [1e-8, -1e-8, 700.0], [710.0, -746.0, 1.0], [-37.0, 37.0, 18.0],
])  # fmt: skip


def edge_spec(last: str, loss: str, tail: str = "") -> str:
    """A dense layer that hands its inputs on, so that they are the logits."""
    return f"""spec_version = 1
name = "edge"

[input]
shape = [3]

[[layers]]
type = "dense"
units = 3
weights = {EYE}
bias = false
activation = "{last}"

[loss]
type = "{loss}"
reduction = "sum"
{tail}"""


mp = mpmath.mpf


def exact_sigmoid(z: float) -> Any:
    return 1 / (1 + mpmath.exp(-mp(z)))


def exact_softplus(z: float) -> Any:
    return mpmath.log(1 + mpmath.exp(mp(z)))


def exact_softmax(z: Array) -> list[Any]:
    powers = [mpmath.exp(mp(v)) for v in z]
    return [p / sum(powers) for p in powers]


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("row", EDGES, ids=str)
def test_cross_entropy_at_the_edges(row: Array, dtype: Any) -> None:
    module = build_edge("softmax", "cross_entropy").program.module
    parameters = module.init_parameters(0, dtype)
    row = row.astype(dtype)
    with mpmath.workdps(9000):
        probs = exact_softmax(row.astype(float))
        for label in range(3):
            x, t = row[None], np.array([label])
            loss, found = module.loss_and_gradients(parameters, x, t)
            inputs = module.input_gradient(parameters, x, t)
            assert np.isfinite(loss) and all(np.isfinite(g).all() for g in found.values())
            if dtype == np.float64:
                assert_close(module.predict(parameters, x)[0], probs)
                assert_close([loss], [-mpmath.log(probs[label])], least=1)  # log(1 + u) for a small u
                assert_close(inputs[0], [p - (k == label) for k, p in enumerate(probs)], least=1)


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("row", EDGES, ids=str)
def test_binary_cross_entropy_at_the_edges(row: Array, dtype: Any) -> None:
    module = build_edge("sigmoid", "binary_cross_entropy").program.module
    parameters = module.init_parameters(0, dtype)
    row = row.astype(dtype)
    with mpmath.workdps(9000):
        for t in np.array([[0, 1, 0], [1, 0, 1], [0.5, 0.25, 1]], dtype):
            loss, found = module.loss_and_gradients(parameters, row[None], t[None])
            assert np.isfinite(loss) and all(np.isfinite(g).all() for g in found.values())
            if dtype == np.float64:
                inputs = module.input_gradient(parameters, row[None], t[None])[0]
                exact = [exact_sigmoid(z) for z in row]
                terms = [
                    b * exact_softplus(-a) + (1 - mp(b)) * exact_softplus(a)
                    for a, b in zip(row, t, strict=True)
                ]
                assert_close(module.predict(parameters, row[None])[0], exact, each=True)
                assert_close([loss], [sum(terms)])
                assert_close(inputs, [p - mp(b) for p, b in zip(exact, t, strict=True)], least=1)


@pytest.mark.parametrize("sign", (-1.0, 1.0))
def test_softplus_and_sigmoid_of_a_hundred(sign: float) -> None:
    """Each value and each derivative by itself to 1e-14, the smallest of 4e-44 too."""
    z = np.array([[sign * 100, sign * 50, sign * 700]])
    t = np.zeros((1, 3))
    with mpmath.workdps(1000):
        soft = [exact_softplus(v) for v in z[0]]
        slope = [exact_sigmoid(v) for v in z[0]]
        module = build_edge("softplus", "mse").program.module
        parameters = module.init_parameters(0, np.float64)
        assert_close(module.predict(parameters, z)[0], soft, each=True)
        assert_close(
            module.input_gradient(parameters, z, t)[0],
            [s * d for s, d in zip(soft, slope, strict=True)],
            each=sign > 0,
        )
        module = build_edge("sigmoid", "mse").program.module
        parameters = module.init_parameters(0, np.float64)
        assert_close(module.predict(parameters, z)[0], slope, each=True)


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("last", (
    "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "gelu", "swish", "softmax", "own",
))  # fmt: skip
@pytest.mark.parametrize("formula", ("x * tanh(softplus(x))", "log(cosh(x))", "1 / (1 + exp(-x)**2)"))
def test_nothing_overflows_into_what_is_not_a_number(last: str, formula: str, dtype: Any) -> None:
    if last != "own" and not formula.startswith("log"):
        return  # the built-in ones once
    module = build_edge(last, "mse", f'\n[activations.own]\nformula = "{formula}"\n').program.module
    parameters = module.init_parameters(0, dtype)
    x = EDGES.astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss, found = module.loss_and_gradients(parameters, x, np.zeros_like(x))
        inputs = module.input_gradient(parameters, x, np.zeros_like(x))
        state = module.init_optimizer(parameters)
        module.train_step(parameters, x / 1e4, np.zeros_like(x), state)
    assert np.isfinite(loss) and np.isfinite(inputs).all()
    assert all(np.isfinite(value).all() for value in (*found.values(), *parameters.values()))


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_a_square_of_a_difference_is_not_expanded(dtype: Any) -> None:
    """√(1 + (y − t)²) − 1 by its conjugate, where y and t are large and near each other."""
    formula = "sqrt(1 + (y - t)**2) - 1"
    module = build_edge("identity", "near", f'\n[losses.near]\nformula = "{formula}"\n').program.module
    parameters = module.init_parameters(0, dtype)
    x, t = np.array([[10000.5, 3.0, 0.0]], dtype), np.array([[10000.0, 3.0, 2.0**-10]], dtype)
    wanted = mpmath.sqrt(mp("1.25")) - 1 + mpmath.sqrt(1 + mp(2) ** -20) - 1
    assert module.loss(parameters, x, t) == pytest.approx(float(wanted), rel=1e-6)


def test_the_loss_after_dropout_reads_no_mask() -> None:
    """A loss that is written in what the output is made from, and an output that is made with a mask."""
    tail = '\n[losses.log_cosh]\nformula = "log(cosh(y - t))"\n'
    layer = '\n[[layers]]\ntype = "dropout"\nrate = 0.5\n\n[loss]'
    module = build(edge_spec("identity", "log_cosh", tail).replace("\n[loss]", layer)).program.module
    parameters = module.init_parameters(0, np.float64)
    x = np.array([[1.0, -2.0, 300.0]])
    found = float(module.loss_and_gradients(parameters, x, np.zeros_like(x), seed=3)[0])
    kept = [found == pytest.approx(sum(np.logaddexp(y, -y) - np.log(2) for y in 2 * x[0] * mask))
            for mask in np.ndindex(2, 2, 2)]  # fmt: skip
    assert any(kept)


def test_every_bit_of_a_seed_counts() -> None:
    """Masks of seeds that differ by 1, also from 2^63 on, where a float has no room for it; modulo 2^64."""
    layer = '\n[[layers]]\ntype = "dropout"\nrate = 0.5\n\n[loss]'
    masks = build(edge_spec("identity", "mse").replace("\n[loss]", layer)).program.module.masks
    for seed in (0, 2**62, 2**63, 2**64 - 100):
        drawn = {next(iter(masks(40, seed + step).values())).tobytes() for step in range(100)}
        assert len(drawn) == 100, seed
    for name, mask in masks(40, np.uint64(2**63 + 5)).items():
        assert (mask == masks(40, 2**63 + 5)[name]).all()
        assert (mask == masks(40, 2**63 + 5 - 2**64)[name]).all()


_edges: dict[tuple[str, ...], Built] = {}


def build_edge(*arguments: str) -> Built:
    if arguments not in _edges:
        _edges[arguments] = build(edge_spec(*arguments))
    return _edges[arguments]


def assert_close(found: Any, wanted: list[Any], each: bool = False, least: float = 0) -> None:
    """Within 1e-14 of the largest wanted value (of at least ``least``), or each of its own size.

    Below 1e-307 float64 has no such digits.
    """
    largest = max(least, *(abs(w) for w in wanted), 0)
    for f, w in zip(found, wanted, strict=True):
        size = abs(w) if each else largest
        bound = max(mp("1e-14") * size, mp("1e-307"))
        assert bool(abs(mp(float(f)) - w) <= bound), f"{f} is not {mpmath.nstr(w, 17)}"
