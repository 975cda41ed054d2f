"""Helpers for tests of equations: a second evaluator, derivatives by steps, random equations, and specs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Expr, Indexed, KroneckerDelta, Piecewise, Symbol, exp, log, sin, sqrt, tanh

from chainrule.derive.differentiate import vjp
from chainrule.derive.index import (
    Equation,
    Inside,
    Max,
    Sum,
    Winner,
    access,
    cotangent,
    index,
    name_of,
    size,
    tensor,
)
from chainrule.derive.interpret import evaluate
from chainrule.derive.library import OPTIMIZERS, Formula
from chainrule.derive.model import LayerSpec, LineColumn, LossSpec, OptimizerSpec, Spec, TrainingSpec
from chainrule.formula.functions import erfc, expm1, log1p, logcosh, maximum, sigmoid, softplus

Arrays = dict[str, Any]
DIGITS = 50

# ---- a second evaluator ------------------------------------------------------------------------------------


def _stable_logcosh(u: float) -> float:
    return abs(u) + math.log1p(math.exp(-2 * abs(u))) - math.log(2) if abs(u) > 1 else math.log(math.cosh(u))


# Every function in float64 as a careful program computes it, and with 50 digits by its definition.
FLOAT: dict[type, Callable[[Any], Any]] = {
    exp: lambda u: math.exp(u) if u < 709 else math.inf,
    log: math.log,
    sin: math.sin,
    sympy.cos: math.cos,
    sympy.tan: math.tan,
    sympy.sinh: math.sinh,
    sympy.cosh: math.cosh,
    tanh: math.tanh,
    sympy.erf: math.erf,
    sympy.Abs: abs,
    sympy.sign: lambda u: float(u > 0) - float(u < 0),
    sigmoid: lambda u: 1 / (1 + math.exp(-u)) if u > 0 else math.exp(u) / (1 + math.exp(u)),
    softplus: lambda u: max(u, 0.0) + math.log1p(math.exp(-abs(u))),
    expm1: math.expm1,
    log1p: math.log1p,
    logcosh: _stable_logcosh,
    erfc: math.erfc,
}
PRECISE: dict[type, Callable[[Any], Any]] = {
    exp: mpmath.exp,
    log: mpmath.log,
    sin: mpmath.sin,
    sympy.cos: mpmath.cos,
    sympy.tan: mpmath.tan,
    sympy.sinh: mpmath.sinh,
    sympy.cosh: mpmath.cosh,
    tanh: mpmath.tanh,
    sympy.erf: mpmath.erf,
    sympy.Abs: abs,
    sympy.sign: mpmath.sign,
    sigmoid: lambda u: 1 / (1 + mpmath.exp(-u)),
    softplus: lambda u: mpmath.log(1 + mpmath.exp(u)),
    expm1: lambda u: mpmath.exp(u) - 1,
    log1p: lambda u: mpmath.log(1 + u),
    logcosh: lambda u: mpmath.log(mpmath.cosh(u)),
    erfc: lambda u: 1 - mpmath.erf(u),
}


def value(node: Expr, arrays: Mapping[str, Any], at: Mapping[Symbol, Any], precise: bool = False) -> Any:
    """Return an expression's value; ``at`` binds indices, sizes, symbols.  Shares nothing with interpret."""

    def of(part: Expr) -> Any:
        return value(part, arrays, at, precise)

    number = mpmath.mpf if precise else float
    if node in at:
        return at[node]
    if node.is_Rational:
        return int(node) if node.is_Integer else number(node.p) / number(node.q)
    if node.is_number and not node.args:
        return mpmath.mpf(sympy.N(node, DIGITS + 10)._mpf_) if precise else float(node)
    if isinstance(node, Indexed):
        array, where = arrays[name_of(node.base)], tuple(int(of(i)) for i in node.indices)
        inside = all(0 <= i < n for i, n in zip(where, np.shape(array), strict=True))
        return number(array[where] if np.ndim(array) else array) if inside else number(0)
    if isinstance(node, Sum | Max | Winner):
        symbols = [s for s, _ in node.axes]
        points = list(itertools.product(*(range(int(of(n))) for _, n in node.axes)))
        bound = [{**at, **dict(zip(symbols, p, strict=True))} for p in points]
        bodies = [value(node.body, arrays, b, precise) for b in bound]
        if isinstance(node, Sum):
            return mpmath.fsum(bodies) if precise else math.fsum(bodies)
        if isinstance(node, Max):
            return max(bodies)
        return int(points[bodies.index(max(bodies))] == tuple(of(i) for i in node.at))
    if isinstance(node, Inside):
        return int(0 <= of(node.expression) < of(node.size))
    if isinstance(node, KroneckerDelta):
        return int(of(node.args[0]) == of(node.args[1]))
    if isinstance(node, sympy.Add):
        parts = [of(a) for a in node.args]
        return mpmath.fsum(parts) if precise else math.fsum(parts)
    if isinstance(node, sympy.Mul):
        return math.prod(sorted((of(a) for a in node.args), key=abs))  # zeros first
    if isinstance(node, sympy.Pow):
        return of(node.base) ** of(node.exp)
    if isinstance(node, Piecewise):
        return next(of(branch) for branch, condition in node.args if holds(condition, of))
    if isinstance(node, maximum):
        return max(map(of, node.args))
    (argument,) = node.args
    return (PRECISE if precise else FLOAT)[type(node)](of(argument))


def holds(condition: Any, of: Callable[[Expr], Any]) -> bool:
    """Whether a comparison, or several, hold."""
    if condition in (sympy.true, sympy.false):
        return bool(condition)
    if isinstance(condition, sympy.And | sympy.Or):
        results = [holds(c, of) for c in condition.args]
        return all(results) if isinstance(condition, sympy.And) else any(results)
    left, right = of(condition.lhs), of(condition.rhs)
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[condition.rel_op]


def values(
    equation: Equation, arrays: Mapping[str, Any], sizes: Mapping[str, int], precise: bool = False
) -> Any:
    """Return the left side of an equation as an array (of mpf if precise), by ``value``."""
    at = {size(name): extent for name, extent in sizes.items()}
    shape = [int(value(n, {}, at)) for n in equation.left.base.shape]
    out = np.empty(shape, dtype=object if precise else float)
    for position in np.ndindex(*shape):
        point = {**at, **dict(zip(equation.free, position, strict=True))}
        out[position] = value(equation.right, arrays, point, precise)
    return out


# ---- derivatives by steps ----------------------------------------------------------------------------------


def sizes_of(equation: Equation, arrays: Mapping[str, Any]) -> dict[str, int]:
    """Return the sizes that the arrays show, by name."""
    sizes: dict[str, int] = {}
    for name, base in equation.reads().items():
        for symbol, extent in zip(base.shape, np.shape(arrays[name]), strict=True):
            if isinstance(symbol, Symbol):
                assert sizes.setdefault(symbol.name, extent) == extent
    return sizes


def step_gradient(
    equation: Equation, arrays: Arrays, name: str, seed: Any, method: str, h: float | None = None
) -> Any:
    """Return Σ seed · ∂left/∂{name} by complex steps or central differences of the interpreter's values."""
    base = np.asarray(arrays[name], dtype=float)
    out = np.zeros(base.shape)
    for position in np.ndindex(*base.shape):

        def at(step: complex, position: tuple[int, ...] = position) -> Any:
            moved = base.astype(type(step))
            moved[position] += step
            return np.sum(seed * evaluate(equation, {**arrays, name: moved}))

        if method == "complex":
            out[position] = at(1e-30j).imag / 1e-30
        else:
            h = h or 1e-5
            out[position] = (at(h) - at(-h)) / (2 * h)
    return out


def check_vjp(
    equation: Equation, arrays: Arrays, name: str, sizes: Mapping[str, int], *methods: str
) -> Equation:
    """Hold a derived vector-Jacobian product against steps; return it.

    Complex steps agree to 1e-12, central differences to 1e-7, relative to the greatest gradient (at least 1).
    """
    scalars = {k: np.asarray(v) for k, v in {**sizes_of(equation, arrays), **sizes}.items()}
    arrays = {**scalars, **arrays}
    found = vjp(equation, name)
    out = evaluate(equation, arrays)
    seed = np.random.default_rng(7).uniform(0.5, 1.5, out.shape)
    got = evaluate(found, {**arrays, found_seed(equation): seed})
    assert got.shape == np.shape(arrays[name])
    for method in methods or ("complex",):
        reference = step_gradient(equation, arrays, name, seed, method)
        scale = max(1.0, float(np.max(np.abs(reference), initial=0.0)))
        error = float(np.max(np.abs(got - reference), initial=0.0)) / scale
        limit = 1e-12 if method == "complex" else 1e-7
        assert error <= limit, f"{equation} -> {found}: {method} {error:.1e}"
    return found


def found_seed(equation: Equation) -> str:
    """Return the name of the cotangent that enters."""
    return cotangent(equation.name)


# ---- random equations --------------------------------------------------------------------------------------

INDICES = ("n", "i", "j")
BOUND = ("u", "v")


def leaky(x: Expr) -> Expr:
    """Return a Piecewise with its kink at 0."""
    return Piecewise((x, x > 0), (x / 10, True))


ANALYTIC: dict[str, Callable[[Expr], Expr]] = {
    "identity": lambda x: x,
    "tanh": tanh,
    "sin": sin,
    "cos": sympy.cos,
    "sigmoid": lambda x: 1 / (1 + exp(-x)),
    "softplus": lambda x: log(1 + exp(x)),
    "exp": lambda x: exp(x / 3),
    "sinh": lambda x: sympy.sinh(x / 4),
    "cosh": lambda x: sympy.cosh(x / 4),
    "log": lambda x: log(2 + x**2),
    "sqrt": lambda x: sqrt(1 + x**2),
    "tan": lambda x: sympy.tan(tanh(x)),
    "cube": lambda x: x**3 - x,
    "quotient": lambda x: x / (2 + x**2),
    "power": lambda x: (3 + tanh(x)) ** sympy.Rational(3, 2),
    "leaky": leaky,
    "clipped": lambda x: Piecewise((1, x > 1), (-1, x < -1), (x, True)),
}
NOT_ANALYTIC: dict[str, Callable[[Expr], Expr]] = {
    "erf": sympy.erf,
    "gelu": lambda x: x * (1 + sympy.erf(x / sqrt(2))) / 2,
    "abs": lambda x: abs(x + sympy.Rational(7, 13)),
    "sign": lambda x: x * sympy.sign(x + sympy.Rational(5, 11)),
}
FUNCTIONS = {**ANALYTIC, **NOT_ANALYTIC}


@dataclass(frozen=True)
class Case:
    """A random equation, arrays for its tensors, all its sizes, and whether complex steps are possible."""

    equation: Equation
    arrays: Arrays
    sizes: Mapping[str, int]
    analytic: bool

    def __repr__(self) -> str:
        return f"{self.equation} with {self.sizes}"


@st.composite
def affine(draw: Any, symbols: list[Symbol]) -> Expr:
    """Draw Σ coefficient · index + offset of one or two indices."""
    chosen = draw(st.lists(st.sampled_from(symbols), min_size=1, max_size=2, unique=True)) if symbols else []
    coefficients = st.sampled_from((1, 1, 1, 1, -1, -1, 2, 2, -2, 3, -3))
    offset = draw(st.sampled_from((0, 0, 0, 1, -1, 2, -2, 3, -3)))
    return sympy.Add(*(draw(coefficients) * s for s in chosen), offset)


@st.composite
def cases(draw: Any, kinds: tuple[str, ...], functions: Iterable[str] = tuple(FUNCTIONS)) -> Case:
    """Draw an equation of one of the kinds: product, sum, max, nested, deep, normalized."""
    rank = draw(st.integers(0, 3))
    free = [index(name) for name in INDICES[:rank]]
    bound = [index(name) for name in BOUND[: draw(st.integers(1, 2))]]
    sizes: dict[str, int] = {}
    functions = tuple(functions)
    used: list[str] = []
    bases: dict[str, Any] = {}

    def new_size(name: str, most: int) -> Symbol:
        sizes[name] = draw(st.integers(1, most))
        return size(name)

    def apply(x: Expr) -> Expr:
        choices = {"leaky", "clipped"}  # one inside another's condition is refused
        allowed = [f for f in functions if f not in choices or not choices & set(used)]
        used.append(draw(st.sampled_from(allowed)))
        return FUNCTIONS[used[-1]](x)

    def read(name: str, symbols: list[Symbol]) -> Indexed:
        if name not in bases:
            rank = draw(st.sampled_from((0, 1, 1, 2, 2, 3)))
            bases[name] = tensor(name, *(new_size(f"{name.upper()}{axis}", 4) for axis in range(rank)))
        base = bases[name]
        return access(base, *(draw(affine(symbols)) for _ in base.shape))

    def product(symbols: list[Symbol]) -> Expr:
        others = draw(st.lists(st.sampled_from(("a", "b", "c")), max_size=2))
        return sympy.Mul(read("a", symbols), *(read(name, symbols) for name in others))

    axes = [(s, new_size(f"R{s}", 3)) for s in bound]
    everything = [*free, *bound]
    kind = draw(st.sampled_from(kinds))
    if kind == "product":
        right = apply(product(free) + draw(st.sampled_from((0, 1))) * read("b", free))
    elif kind == "sum":
        right = apply(Sum(apply(product(everything)), *axes)) * read(draw(st.sampled_from("ab")), free)
    elif kind == "max":
        right = apply(Max(product(everything), *axes)) + read(draw(st.sampled_from("ab")), free)
    elif kind == "nested":
        inner = Sum(apply(product([*everything, index("w")])), (index("w"), new_size("Rw", 3)))
        right = Sum(apply(read("a", everything) - inner) * read("b", everything), *axes)
    elif kind == "deep":  # a sum of maxima of sums
        inner = Sum(product([*free, index("w"), index("v")]), (index("w"), new_size("Rw", 2)))
        largest = Max(inner + read("b", [*free, index("u"), index("v")]), (index("v"), new_size("Rm", 3)))
        right = Sum(apply(largest) * read("a", [*free, index("u")]), axes[0])
    else:
        total = Sum(exp(product(everything)), *axes)
        direct = read("a", free)
        right = draw(st.sampled_from((exp(direct) / total, log(total), log(total) * direct)))
    extents = [new_size(f"F{s}", 3) for s in free]
    left = access(tensor("z", *extents), *free)
    equation = Equation(left, sympy.sympify(right))
    if "a" not in equation.reads():  # cancelled
        equation = Equation(left, equation.right + tanh(read("a", free)))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    arrays = {
        name: rng.uniform(-1.5, 1.5, [sizes[str(n)] for n in base.shape]) for name, base in bases.items()
    }
    return Case(equation, arrays, sizes, not set(used) & set(NOT_ANALYTIC))


# ---- specs -------------------------------------------------------------------------------------------------

PLACE = LineColumn(1, 1)
DENSE = {"bias": True, "init": "glorot_uniform", "bias_init": "zeros", "weights": None, "biases": None}


def spec(
    layers: Iterable[int | str | tuple[str, Mapping[str, Any]]],
    loss: str = "mse",
    *,
    inputs: tuple[int, ...] = (2,),
    reduction: str = "mean",
    l2: float = 0.0,
    optimizer: str = "sgd",
    activations: Mapping[str, Formula] | None = None,
    losses: Mapping[str, Formula] | None = None,
) -> Spec:
    """Return a checked spec; a layer is its units (dense), its type, or its type with options."""
    written = []
    for layer in layers:
        if isinstance(layer, int):
            layer = ("dense", {"units": layer})
        kind, options = (layer, {}) if isinstance(layer, str) else layer
        written.append(LayerSpec(kind, {**DENSE, **options} if kind == "dense" else dict(options), PLACE))
    options = {f.name: f.default for f in OPTIMIZERS[optimizer].fields}
    return Spec(
        name="net",
        description="",
        input_shape=inputs,
        layers=tuple(written),
        loss=LossSpec(loss, reduction, l2, PLACE),
        optimizer=OptimizerSpec(optimizer, options, PLACE),
        training=TrainingSpec(None, 2, 1, 0, 0.0, PLACE),
        activations=activations or {},
        losses=losses or {},
        source="",
        sha256="0" * 64,
        filename="net.toml",
    )
