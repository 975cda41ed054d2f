"""erf and erfc of generated programs beside mpmath; the memory and work of what calls them."""

from __future__ import annotations

import importlib.util
import math
import tracemalloc
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from random_images import build
from sympy import IndexedBase, Symbol

from chainrule.checking import totals
from chainrule.codegen.targets.numpy import special, threads
from chainrule.codegen.targets.numpy.expressions import ExpressionPrinter
from chainrule.spec.load import load_spec, parse_spec

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TYPES = (np.float32, np.float64)


def units(function: str, x: np.ndarray) -> float:
    """The largest error over values, in units of their last place."""
    found = getattr(special, function)(x)
    worst = 0.0
    with mpmath.workdps(50):
        for argument, value in zip(x.tolist(), found, strict=True):
            wanted = getattr(mpmath, function)(argument)
            unit = float(np.spacing(np.abs(x.dtype.type(float(wanted)))))
            worst = max(worst, float(abs(mpmath.mpf(float(value)) - wanted) / unit))
    return worst


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("function", ["erf", "erfc"])
def test_m7_erf_and_erfc_are_right_to_four_units_in_the_last_place(function: str, dtype: Any) -> None:
    """From −6 to where erfc is no longer a normal number, to where it is 0, and around 0."""
    rng, end = np.random.default_rng(7), 10.1 if dtype is np.float32 else 27.3
    near = [rng.uniform(-6, 3, 700), rng.uniform(2, end, 700), rng.uniform(-1e-3, 1e-3, 50)]
    edges = [np.nextafter(1, 2), 1.0, np.nextafter(1, 0), -1.0, end - 0.4, end - 0.1, 28.0, -28.0]
    tiny = [*(10.0 ** -np.arange(1, 44, 3)), 1e-310, 5e-324]
    x = np.concatenate([*near, edges, tiny, np.negative(tiny)]).astype(dtype)
    assert units(function, x) <= 4


@pytest.mark.parametrize("dtype", TYPES)
def test_m7_signs_infinities_and_nan(dtype: Any) -> None:
    with np.errstate(all="raise"):
        x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 3e38, -3e38], dtype)
        with np.errstate(under="ignore"):
            erf, erfc = special.erf(x), special.erfc(x)
    assert np.array_equal(erf, np.array([0, 0, 1, -1, np.nan, 1, -1], dtype), equal_nan=True)
    assert np.signbit(erf[:2]).tolist() == [False, True]
    assert np.array_equal(erfc, np.array([1, 1, 0, 2, np.nan, 0, 2], dtype), equal_nan=True)
    assert erf.dtype == erfc.dtype == dtype


@pytest.mark.parametrize("dtype", [*TYPES, np.longdouble])
def test_m7_any_shape_in_place_and_in_other_types(dtype: Any) -> None:
    u = np.random.default_rng(0).standard_normal((7, 11)).astype(dtype)
    wanted = np.vectorize(math.erfc)(u.astype(float))
    bound = 1e-6 if dtype is np.float32 else 1e-14
    for argument in (u, u.T, u[::2, ::-3], u[0, 0], u[:0], np.broadcast_to(u[0], (3, 11))):
        target = np.empty(np.shape(argument), dtype)
        assert special.erfc(argument, out=target) is target
        assert np.allclose(target, np.vectorize(math.erfc, otypes=[float])(argument), rtol=bound, atol=0)
    assert special.erfc(u, out=u) is u
    assert np.allclose(u.astype(float), wanted, rtol=bound, atol=0)


def test_m7_blocks_do_not_show() -> None:
    u = np.linspace(-6, 12, 2 * special.BLOCK + 77).astype(np.float32)
    whole = special.erfc(u)
    halves = np.concatenate([special.erfc(u[: special.BLOCK + 5]), special.erfc(u[special.BLOCK + 5 :])])
    assert np.array_equal(whole, halves)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("function", ["erf", "erfc"])
def test_m7_near_and_far_values_do_not_depend_on_their_neighbours(function: str, dtype: Any) -> None:
    """Value by value as in one call, in place too: all near 0, a few far out, and all far out."""
    calculate = getattr(special, function)
    rng = np.random.default_rng(3)
    mixed = rng.standard_normal(300).astype(dtype)
    for u in (mixed / 8, mixed, np.where(mixed < 0, mixed - 1, mixed + 1), np.append(mixed, [40, -3e30])):
        u = u.astype(dtype)
        alone = np.concatenate([calculate(u[n : n + 1]) for n in range(len(u))])
        assert np.array_equal(calculate(u), alone)
        assert np.array_equal(calculate(u, out=u), alone)


def test_m7_coefficients_are_those_that_the_tool_finds() -> None:
    found = importlib.util.spec_from_file_location("error_function", ROOT / "tools" / "error_function.py")
    assert found is not None and found.loader is not None
    tool = importlib.util.module_from_spec(found)
    found.loader.exec_module(tool)
    coefficients, error = tool.coefficients("float32")
    assert {name: list(row) for name, row in special.COEFFICIENTS["float32"].items()} == coefficients
    assert error < 1e-8


# ---- Memory and work -----------------------------------------------------------------------------------

DENSE = """
spec_version = 1
name = "memory"
[input]
shape = [100]
[[layers]]
type = "dense"
units = {units}
activation = "{activation}"
{more}
[[layers]]
type = "dense"
units = 10
activation = "softmax"
[loss]
type = "cross_entropy"
[optimizer]
type = "{optimizer}"
[training]
batch_size = 512
[activations.both]
formula = "x * erf(x) + tanh(x) * where(x > 1, x, exp(x))"
[activations.choice]
formula = "where(x > 0, log(1 + x**2), sin(x) * x)"
[activations.steep]
formula = "log(cosh(x))"
"""
IMAGES = """
spec_version = 1
name = "images"
[input]
shape = [20, 20, 3]
[[layers]]
type = "conv2d"
filters = 16
kernel = 3
activation = "gelu"
[[layers]]
type = "batch_norm"
[[layers]]
type = "max_pool2d"
size = 2
[[layers]]
type = "dense"
units = 10
activation = "softmax"
[loss]
type = "cross_entropy"
[optimizer]
type = "sgd"
[training]
batch_size = 64
"""
NORM, DROPOUT = '[[layers]]\ntype = "layer_norm"', '[[layers]]\ntype = "dropout"\nrate = 0.3'


def dense(activation: str, more: str = "", optimizer: str = "sgd", units: int = 1200) -> str:
    used = DENSE.split("[activations")
    own = [f"[activations{part}" for part in used[1:] if part.startswith(f".{activation}]")]
    return (used[0] + "".join(own)).format(activation=activation, more=more, optimizer=optimizer, units=units)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        *((dense(name), 1) for name in ("gelu", "elu", "relu", "both", "steep")),
        (dense("swish", NORM, "adam"), 1),
        (dense("softplus", DROPOUT), 1),
        *((dense(name, units=900), 1) for name in ("choice", "gelu")),  # narrower than what runs in pieces
        *((dense("gelu", units=units), 20) for units in (900, 1200)),  # far from 0 erfc is computed otherwise
        (IMAGES, 1),
    ],
)
def test_m7_the_memory_that_check_tells_is_the_peak_of_a_step(text: str, span: float) -> None:
    told = totals(parse_spec(text, "s.toml"), threads=1)
    module: Any = build(text).program.module
    if hasattr(module, "THREADS"):
        module.THREADS = 1
    rng, batch = np.random.default_rng(0), told["batch_size"]
    tracemalloc.start()
    try:
        parameters = module.init_parameters(0)
        state = module.init_optimizer(parameters)
        x, t = rng.random((batch, *module.INPUT), dtype=np.float32), rng.integers(0, 10, batch)
        x = (x - 0.5) * span
        for step in range(2):
            module.train_step(parameters, x, t, state, seed=step)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak == pytest.approx(told["memory"]["total"], rel=0.15)


def test_m7_gelu_calls_the_error_function_once_a_step_and_keeps_no_large_temporaries() -> None:
    spec = load_spec(HERE / "gelu_memory.toml")
    memory = totals(spec)["memory"]
    assert memory["scratch"] < spec.training.batch_size * 4000 * 4, (
        "less than one activation, for all threads"
    )
    code = build((HERE / "gelu_memory.toml").read_text(encoding="utf-8")).code
    body = code[code.index("def forward") : code.index("# ---- What a user")]
    assert body.count("erfc(") == 1


@pytest.mark.parametrize("shapes", [(10, 600, 3000), (3000, 600, 10), (200, 300, 200)])
def test_m7_threads_share_rows_or_columns_of_a_product(
    shapes: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each thread has as much to do, and together they fill every element."""
    monkeypatch.setattr(threads, "THREADS", 2)
    pieces: list[int] = []
    rows, inner, columns = shapes
    shared = threads.on_threads

    def counted(piece: Any, N: int, size: int) -> None:
        pieces.append(N)
        shared(piece, N, size)

    monkeypatch.setattr(threads, "on_threads", counted)
    rng = np.random.default_rng(0)
    a, b = rng.random((inner, rows)).T, rng.random((inner, columns))
    assert np.allclose(threads.dot(a, b, np.empty((rows, columns))), a @ b, rtol=1e-12)
    assert pieces == [max(rows, columns)]


def test_m7_a_negative_quotient_is_one_pass() -> None:
    """The sign goes into a number that divides, which NumPy would otherwise spend a pass on."""
    n, x = Symbol("n", integer=True), IndexedBase(Symbol("x", real=True))
    printer = ExpressionPrinter((n,), {"x": "x"}, {n: 5}, {})
    assert printer.text(-(x[n] ** 2) / 2) == "x**2 / -2"
    assert printer.text(1 - x[n] ** 2 / 2) == "1 - x**2 / 2"
    assert printer.text(-x[n]) == "-x"
