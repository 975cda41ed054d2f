"""Derivatives of index equations, against steps (complex and central) of the interpreter's values."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import sympy
from equations import ANALYTIC, NOT_ANALYTIC, Case, cases, check_vjp
from hypothesis import HealthCheck, Phase, given, settings
from sympy import Expr, KroneckerDelta, Piecewise, Rational, exp, log, sqrt, tanh

from chainrule.derive.deriving import adjoint
from chainrule.derive.differentiate import CannotDifferentiate, contract, local_terms, vjp
from chainrule.derive.index import (
    Equation,
    Inside,
    Max,
    Reduction,
    Sum,
    Winner,
    access,
    canonical_sums,
    index,
    same_up_to_names,
    size,
    tensor,
)
from chainrule.derive.interpret import evaluate
from chainrule.derive.layers.dense import AFFINE
from chainrule.derive.layers.softmax import SOFTMAX

n, i, j, k, u, v, c, o, m = map(index, "nijkuvcom")
N, K, J, M, H, W_, C, O_, U, V, P, Q = map(size, ("N", "K", "J", "M", "H", "W", "C", "O", "U", "V", "P", "Q"))
RNG = np.random.default_rng(3)
SLOW = settings(max_examples=60, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


def random(*shape: int) -> Any:
    return RNG.uniform(-1.5, 1.5, shape)


def check_case(case: Case) -> None:
    for name in case.equation.reads():
        method = "complex" if case.analytic else "central"
        check_vjp(case.equation, case.arrays, name, case.sizes, method)


# ---- random equations --------------------------------------------------------------------------------------


@SLOW
@given(cases(("product",)))
def test_elementwise_products(case: Case) -> None:
    check_case(case)


@SLOW
@given(cases(("sum",)))
def test_sums(case: Case) -> None:
    check_case(case)


@SLOW
@given(cases(("max",)))
def test_maxima(case: Case) -> None:
    check_case(case)


@settings(SLOW, max_examples=30)
@given(cases(("nested",)))
def test_nested_sums(case: Case) -> None:
    check_case(case)


@settings(SLOW, max_examples=30)
@given(cases(("deep",)))
def test_sums_of_maxima_of_sums(case: Case) -> None:
    check_case(case)


@SLOW
@given(cases(("normalized",)))
def test_softmax_and_log_sum_exp_of_anything(case: Case) -> None:
    check_case(case)


@settings(SLOW, max_examples=25)
@given(cases(("sum", "nested", "normalized"), tuple(ANALYTIC)))
def test_central_differences_and_complex_steps_say_the_same(case: Case) -> None:
    check_vjp(case.equation, case.arrays, "a", case.sizes, "complex", "central")


@pytest.mark.parametrize("name", sorted({**ANALYTIC, **NOT_ANALYTIC}))
def test_every_function(name: str) -> None:
    x, y = tensor("x", K), tensor("y", K)
    function = {**ANALYTIC, **NOT_ANALYTIC}[name]
    equation = Equation(y[k], function(x[k]))
    methods = ("central", "complex") if name in ANALYTIC else ("central",)
    check_vjp(equation, {"x": random(5)}, "x", {"K": 5}, *methods)


# ---- layers ------------------------------------------------------------------------------------------------

CONVOLUTIONS = [
    (stride, dilation, padding, kernel)
    for stride, dilation in itertools.product(((1, 1), (2, 2), (3, 1), (1, 2)), ((1, 1), (2, 2), (1, 3)))
    for padding, kernel in (((0, 0), (2, 2)), ((1, 2), (3, 1)), ((2, 1), (1, 2)))
]


def conv2d(stride: tuple[int, int], dilation: tuple[int, int], padding: tuple[int, int]) -> Equation:
    a, w, b, z = tensor("a", N, H, W_, C), tensor("w", O_, U, V, C), tensor("b", O_), tensor("z", N, P, Q, O_)
    row = stride[0] * i + dilation[0] * u - padding[0]
    column = stride[1] * j + dilation[1] * v - padding[1]
    return Equation(z[n, i, j, o], Sum(w[o, u, v, c] * a[n, row, column, c], (u, U), (v, V), (c, C)) + b[o])


def outputs(extent: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    return (extent + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def convolve(a: Any, w: Any, b: Any, shape: tuple[int, int], options: tuple[Any, ...]) -> Any:
    """Convolution by slices of a padded array: neither interpreter nor derived."""
    (s0, s1), (d0, d1), (p0, p1) = options
    batch, height, width, channels = a.shape
    padded = np.zeros((batch, height + 2 * p0 + 9, width + 2 * p1 + 9, channels))
    padded[:, p0 : p0 + height, p1 : p1 + width] = a
    out = np.zeros((batch, *shape, len(b))) + b
    for du, dv in np.ndindex(*w.shape[1:3]):
        rows, columns = du * d0 + s0 * np.arange(shape[0]), dv * d1 + s1 * np.arange(shape[1])
        out += padded[:, rows][:, :, columns] @ w[:, du, dv].T
    return out


@pytest.mark.parametrize(("stride", "dilation", "padding", "kernel"), CONVOLUTIONS)
def test_convolution(
    stride: tuple[int, int], dilation: tuple[int, int], padding: tuple[int, int], kernel: tuple[int, int]
) -> None:
    """Convolution is linear in each operand, so that unit vectors give its gradients exactly."""
    equation = conv2d(stride, dilation, padding)
    arrays = {"a": random(1, 6, 5, 2), "w": random(2, *kernel, 2), "b": random(2)}
    extents = [outputs(e, *x) for e, *x in zip((6, 5), kernel, stride, dilation, padding, strict=True)]
    shape = (extents[0], extents[1])
    sizes = {
        "P": shape[0],
        "Q": shape[1],
        "H": 6,
        "W": 5,
        "C": 2,
        "O": 2,
        "U": kernel[0],
        "V": kernel[1],
        "N": 1,
    }
    options = (stride, dilation, padding)

    def value(**changed: Any) -> Any:
        return convolve(**{**arrays, **changed}, shape=shape, options=options)

    np.testing.assert_allclose(evaluate(equation, {**arrays, **sizes}), value(), rtol=1e-13, atol=1e-13)
    dz = random(1, *shape, 2)
    for name, array in arrays.items():
        found = evaluate(vjp(equation, name), {**arrays, **sizes, "d z": dz})
        origin = value(**{name: np.zeros_like(array)})
        expected = np.zeros_like(array)
        for position in np.ndindex(*array.shape):
            unit = np.zeros_like(array)
            unit[position] = 1
            expected[position] = np.sum(dz * (value(**{name: unit}) - origin))
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13, err_msg=f"{name}: {options}")


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize(("padding", "kernel"), [(0, 1), (0, 3), (2, 3), (-1, 2)])
def test_convolution_in_one_dimension(stride: int, dilation: int, padding: int, kernel: int) -> None:
    a, w, z = tensor("a", N, H, C), tensor("w", O_, U, C), tensor("z", N, P, O_)
    body = w[o, u, c] * a[n, stride * i + dilation * u - padding, c]
    equation = Equation(z[n, i, o], Sum(body, (u, U), (c, C)))
    length = max(1, outputs(7, kernel, stride, dilation, padding))
    arrays = {"a": random(1, 7, 2), "w": random(2, kernel, 2)}
    for name in arrays:
        check_vjp(equation, arrays, name, {"P": length}, "complex", "central")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("symbols", [(1, 1), (2, 2), (2, 3), (3, 2), (1, 3), (3, 1)])
def test_both_signs_of_both_coefficients(sign: int, symbols: tuple[int, int]) -> None:
    a, w, z = tensor("a", H), tensor("w", U), tensor("z", P)
    for first, second in itertools.product((symbols[0], -symbols[0]), (symbols[1], -symbols[1])):
        equation = Equation(z[i], Sum(w[u] * a[first * i + second * u + 3 * sign], (u, U)))
        for name in ("a", "w"):
            check_vjp(equation, {"a": random(7), "w": random(3)}, name, {"P": 5})


@pytest.mark.parametrize(
    ("window", "stride", "padding"), [(2, 2, 0), (3, 1, 0), (3, 2, 1), (2, 3, 0), (3, 2, 0)]
)
def test_average_pool(window: int, stride: int, padding: int) -> None:
    a, z = tensor("a", N, H, W_, C), tensor("z", N, P, Q, C)
    place = (n, stride * i + u - padding, stride * j + v - padding, c)
    body = a[place] / window**2
    equation = Equation(z[n, i, j, c], Sum(body, (u, sympy.Integer(window)), (v, sympy.Integer(window))))
    shape = [outputs(extent, window, stride, 1, padding) for extent in (5, 4)]
    check_vjp(equation, {"a": random(1, 5, 4, 2)}, "a", {"P": shape[0], "Q": shape[1]}, "complex", "central")


def max_pool(stride: int, padding: int = 0) -> Equation:
    a, z = tensor("a", N, H, W_, C), tensor("z", N, P, Q, C)
    return Equation(
        z[n, i, j, c], Max(a[n, stride * i + u - padding, stride * j + v - padding, c], (u, U), (v, V))
    )


@pytest.mark.parametrize(("window", "stride", "padding"), [(2, 2, 0), (3, 1, 0), (3, 2, 1), (2, 3, 0)])
def test_max_pool(window: int, stride: int, padding: int) -> None:
    shape = [outputs(extent, window, stride, 1, padding) for extent in (5, 4)]
    sizes = {"P": shape[0], "Q": shape[1], "U": window, "V": window}
    check_vjp(max_pool(stride, padding), {"a": random(1, 5, 4, 2)}, "a", sizes, "complex", "central")


def test_max_pool_gives_a_tie_to_the_first() -> None:
    found = vjp(max_pool(2), "a")
    a = np.zeros((1, 4, 4, 1))
    a[0, 2:, 2:, 0] = [[1, 5], [5, 5]]
    dz = np.arange(1.0, 5).reshape(1, 2, 2, 1)
    got = evaluate(found, {"a": a, "d z": dz, "U": 2, "V": 2})[0, :, :, 0]
    expected = np.zeros((4, 4))
    expected[0, 0], expected[0, 2], expected[2, 0], expected[2, 3] = 1, 2, 3, 4
    np.testing.assert_array_equal(got, expected)


def test_overlapping_max_pool_adds_up_what_a_winner_gets() -> None:
    a = np.zeros((1, 3, 3, 1))
    a[0, 1, 1, 0] = 2
    found = evaluate(vjp(max_pool(1), "a"), {"a": a, "d z": np.ones((1, 2, 2, 1)), "U": 2, "V": 2})
    assert found[0, 1, 1, 0] == 4 and np.sum(found) == 4


def test_a_maximum_over_padding_alone_passes_nothing() -> None:
    a = np.full((1, 1, 1, 1), -3.0)
    found = evaluate(vjp(max_pool(1, 1), "a"), {"a": a, "d z": np.ones((1, 2, 2, 1)), "U": 2, "V": 2})
    assert np.all(found == 0)  # the zeros around it win


def test_dense_and_bias() -> None:
    arrays = {"x": random(3, 4), "W": random(2, 4), "b": random(2)}
    for name in arrays:
        check_vjp(AFFINE, arrays, name, {}, "complex", "central")


def test_softmax() -> None:
    check_vjp(SOFTMAX, {"x": random(2, 4)}, "x", {}, "complex", "central")


def test_softmax_with_its_own_index_bound_again() -> None:
    """Σ_k inside an equation for y[n,k]: the bound k is another k."""
    x, y = tensor("x", N, K), tensor("y", N, K)
    equation = Equation(y[n, k], exp(x[n, k]) / Sum(exp(x[n, k]), (k, K)))
    check_vjp(equation, {"x": random(2, 3)}, "x", {}, "complex", "central")


def test_a_bound_name_captures_nothing() -> None:
    """d/dx of Σ_j (x_j − Σ_i A_ji x_i)²: the index that the delta brings must not become the bound i."""
    x, a, e = tensor("x", K), tensor("A", K, K), tensor("e")
    equation = Equation(access(e), Sum((x[j] - Sum(a[j, i] * x[i], (i, K))) ** 2, (j, K)))
    check_vjp(equation, {"x": random(3), "A": random(3, 3)}, "x", {}, "complex", "central")
    check_vjp(equation, {"x": random(3), "A": random(3, 3)}, "A", {}, "complex", "central")


def normalized(axis_of_mean: bool) -> Equation:
    """Batch norm (over n) or layer norm (over k) in one equation: sums three deep."""
    x, y, gamma, beta = tensor("x", N, K), tensor("y", N, K), tensor("gamma", K), tensor("beta", K)
    s, extent = (m, N) if axis_of_mean else (m, K)
    s2 = index("s")

    def at(symbol: Expr) -> tuple[Expr, Expr]:
        return (symbol, k) if axis_of_mean else (n, symbol)

    mean = Sum(x[at(s)], (s, extent)) / extent
    variance = Sum((x[at(s2)] - mean) ** 2, (s2, extent)) / extent
    return Equation(y[n, k], gamma[k] * (x[n, k] - mean) / sqrt(variance + Rational(1, 100)) + beta[k])


@pytest.mark.parametrize("axis_of_mean", [True, False])
def test_normalization(axis_of_mean: bool) -> None:
    arrays = {"x": random(3, 2), "gamma": random(2), "beta": random(2)}
    for name in arrays:
        check_vjp(normalized(axis_of_mean), arrays, name, {}, "complex", "central")


def test_attention() -> None:
    """Σ_j softmax_j(Σ_c q_ic k_jc) v_jc with q = k = v = x: one tensor read six times."""
    x, y = tensor("x", N, C), tensor("y", N, C)
    s, d, l1, l2 = index("s"), index("d"), index("l"), index("r")
    score = exp(Sum(x[i, d] * x[j, d], (d, C)))
    total = Sum(exp(Sum(x[i, l1] * x[s, l1], (l1, C))), (s, N))
    equation = Equation(y[i, c], Sum(score * x[j, c], (j, N)) / total)
    assert l2 not in equation.right.free_symbols
    check_vjp(equation, {"x": random(3, 2)}, "x", {}, "complex", "central")


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_flatten(rank: int) -> None:
    symbols, extents = [i, j, c, u][:rank], [size(f"D{axis}") for axis in range(rank)]
    position: Expr = sympy.Integer(0)
    for symbol, extent in zip(symbols, extents, strict=True):
        position = position * extent + symbol
    x, y = tensor("x", N, *extents), tensor("y", N, sympy.Mul(*extents))
    body = KroneckerDelta(k, position) * x[(n, *symbols)]
    flatten = Equation(y[n, k], Sum(body, *zip(symbols, extents, strict=True)))
    shape = (2, 3, 1, 2)[:rank]
    a = random(1, *shape)
    sizes = {f"D{axis}": extent for axis, extent in enumerate(shape)}
    np.testing.assert_array_equal(evaluate(flatten, {"x": a, **sizes}), a.reshape(1, -1))
    found = check_vjp(flatten, {"x": a}, "x", sizes)
    assert not found.right.has(KroneckerDelta, Inside, Sum)  # a reshape back, nothing else
    gather = Equation(x[(n, *symbols)], y[n, position])
    back = evaluate(vjp(gather, "y"), {"d x": a, **sizes})
    np.testing.assert_array_equal(back, a.reshape(1, -1))


def test_scalars() -> None:
    s, x, e = tensor("s"), tensor("x", K), tensor("e")
    equation = Equation(access(e), access(s) * Sum(tanh(access(s) * x[k]), (k, K)) + access(s) ** 2)
    for name in ("s", "x"):
        check_vjp(equation, {"s": np.array(0.7), "x": random(3)}, name, {}, "complex", "central")


def test_absolute_value_of_a_product_with_a_scalar_and_a_sum() -> None:
    s, x, w, y = tensor("s"), tensor("x", K), tensor("w", M), tensor("y", K)
    equation = Equation(y[k], abs(access(s) * x[k]) + abs(x[k] * Sum(w[m], (m, M))))
    arrays = {"s": np.array(0.7), "x": random(3), "w": random(2)}
    for name in arrays:
        check_vjp(equation, arrays, name, {}, "central")


def test_one_tensor_read_twice() -> None:
    x, y = tensor("x", K), tensor("y", K)
    for right in (
        x[k] * x[k],
        x[k] * x[k + 1],
        x[k] ** 2 * x[k - 1],
        x[k] * x[2 * k],
        Sum(x[k] * x[j], (j, K)),
    ):
        check_vjp(Equation(y[k], right), {"x": random(4)}, "x", {}, "complex", "central")


def test_a_gathered_row_and_a_one_hot_factor() -> None:
    x, labels, y = tensor("x", N, K), tensor("t", N), tensor("y", N)
    arrays = {"x": random(3, 4), "t": np.array([1, 0, 3])}
    check_vjp(Equation(y[n], x[n, labels[n]]), arrays, "x", {})
    one_hot = Equation(y[n], Sum(KroneckerDelta(k, labels[n]) * x[n, k], (k, K)))
    check_vjp(one_hot, arrays, "x", {})
    assert not vjp(one_hot, "x").right.has(Reduction)


def test_a_constant_subscript() -> None:
    x, y = tensor("x", K), tensor("y", N)
    check_vjp(Equation(y[n], x[0] * x[K - 1] + n * x[1]), {"x": random(4)}, "x", {"N": 3})


def test_a_division_outside_the_box_does_not_spoil_a_zero() -> None:
    """z_i = a_{i+1} / b_i: da_0 would be dz_{−1} / b_{−1}, and is 0."""
    a, b, z = tensor("a", M), tensor("b", K), tensor("z", K)
    equation = Equation(z[i], a[i + 1] / b[i])
    check_vjp(equation, {"a": random(4), "b": random(3)}, "a", {"K": 3}, "complex", "central")


def test_guards_of_a_reduction_that_is_shorter_than_its_tensor() -> None:
    """A sum over the first M of K entries: the gradient is 0 beyond M, and only a guard knows."""
    x, z = tensor("x", K), tensor("z", N)
    equation = Equation(z[n], Sum(x[u] ** 2, (u, M)))
    found = check_vjp(equation, {"x": random(5)}, "x", {"N": 2, "M": 3}, "complex")
    assert found.right.has(Inside)


# ---- the form ----------------------------------------------------------------------------------------------


def text(equation: Equation) -> str:
    return str(equation)


def test_dense_gradients_read_as_in_the_textbook() -> None:
    assert text(vjp(AFFINE, "W")) == "d W[k, j] = sum_n(d z[n, k]*x[n, j])"
    assert text(vjp(AFFINE, "x")) == "d x[n, j] = sum_k(W[k, j]*d z[n, k])"
    assert text(vjp(AFFINE, "b")) == "d b[k] = sum_n(d z[n, k])"


@pytest.mark.parametrize("padding", [(0, 0), (1, 2), (3, 0)])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
def test_the_input_gradient_of_a_convolution_of_stride_1(
    padding: tuple[int, int], dilation: tuple[int, int]
) -> None:
    """The flipped kernel, over the kernel's axes and the output channels; no guard, no delta."""
    found = vjp(conv2d((1, 1), dilation, padding), "a")
    assert not found.right.has(Inside, KroneckerDelta)
    p, q = found.free[1:3]
    w, dz = tensor("w", O_, U, V, C), tensor("d z", N, P, Q, O_)
    row, column = p - dilation[0] * u + padding[0], q - dilation[1] * v + padding[1]
    body = w[o, u, v, c] * dz[n, row, column, o]
    flipped = Sum(body, (o, O_), (u, U), (v, V))
    assert isinstance(found.right, Sum)
    assert {extent for _, extent in found.right.axes} == {O_, U, V}
    by_size = {extent: symbol for symbol, extent in found.right.axes}
    renamed = found.right.body.xreplace({by_size[O_]: o, by_size[U]: u, by_size[V]: v, found.free[3]: c})
    assert renamed == flipped.body


def test_the_kernel_gradient_of_a_convolution() -> None:
    found = vjp(conv2d((2, 2), (1, 1), (1, 1)), "w")
    assert not found.right.has(Inside, KroneckerDelta)
    assert {extent for _, extent in found.right.axes} == {N, P, Q}


def test_a_strided_convolution_keeps_no_delta_unless_it_is_dilated_too() -> None:
    assert not vjp(conv2d((2, 2), (1, 1), (0, 0)), "a").right.has(KroneckerDelta)
    assert not vjp(conv2d((1, 1), (2, 2), (0, 0)), "a").right.has(KroneckerDelta)
    assert vjp(conv2d((2, 2), (2, 2), (0, 0)), "a").right.has(KroneckerDelta)


def test_sizes_stay_symbolic_and_nothing_is_left_over() -> None:
    found = vjp(conv2d((2, 1), (1, 2), (1, 0)), "a")
    symbols = found.right.free_symbols - set(found.free)
    assert not any(isinstance(s, sympy.Dummy) for s in symbols)
    assert {str(s) for s in found.left.base.shape} == {"N", "H", "W", "C"}
    assert {name for name in found.reads()} == {"w", "d z"}


@pytest.mark.parametrize("template", [AFFINE, SOFTMAX, conv2d((2, 1), (1, 2), (1, 0)), normalized(True)])
def test_the_cost_does_not_depend_on_sizes(template: Equation) -> None:
    """The equation for concrete sizes is that for symbols with the sizes put in, however large they are."""
    symbols = sorted({s for base in template.reads().values() for s in base.shape}, key=str)
    for extent in (3, 1_000_003):
        exchange = {s: sympy.Integer(extent + place) for place, s in enumerate(symbols)}
        shapes = {
            base: tensor(str(base.label), *(s.xreplace(exchange) for s in base.shape))
            for base in (template.left.base, *template.reads().values())
        }
        concrete = template.replace({**exchange, **shapes})
        for name in template.reads():
            operations = vjp(template, name).right.count_ops()
            assert abs(vjp(concrete, name).right.count_ops() - operations) <= 4  # a/N is (1/3) a for N = 3


def test_derivatives_are_found_once() -> None:
    before = vjp.cache_info()
    first = vjp(AFFINE, "W")
    again = vjp(Equation(AFFINE.left, AFFINE.right), "W")
    after = vjp.cache_info()
    assert first is again and after.misses - before.misses <= 1


def test_contract_solves_each_delta_and_keeps_ranges() -> None:
    w = sympy.Dummy("w", integer=True)
    x = tensor("x", K)
    plain = contract(x[i], (i,), (w,), (K,), ((sympy.Tuple(i, K)),))
    assert plain == x[w]
    guarded = contract(sympy.Integer(1), (i + 2,), (w,), (K,), (sympy.Tuple(i, M),))
    assert guarded == Inside(w - 2, M)
    kept = contract(x[i], (2 * i,), (w,), (K,), (sympy.Tuple(i, K),))
    assert kept.has(KroneckerDelta) and isinstance(kept, Sum)


def test_local_terms_are_one_a_read() -> None:
    x = tensor("x", K)
    assert len(local_terms(x[k] * x[k + 1], x)) == 2
    assert len(local_terms(exp(x[k]) / Sum(exp(x[j]), (j, K)), x)) == 2
    assert local_terms(tensor("y", K)[k], x) == []
    (term,) = local_terms(Max(x[j], (j, K)), x)
    assert term.coefficient.has(Winner)


def test_canonical_names() -> None:
    x = tensor("x", K)
    first = Sum(x[i] * Sum(x[j], (j, K)), (i, K))
    second = Sum(x[u] * Sum(x[v], (v, K)), (u, K))
    assert same_up_to_names(first) == same_up_to_names(second)
    named = canonical_sums(Sum(x[k] * x[i], (k, K)), ("p",), (k, i))
    assert named == Sum(x[index("p")] * x[i], (index("p"), K))


# ---- never a silent zero -----------------------------------------------------------------------------------

X = tensor("x", K)
Y = tensor("y", K)
UNKNOWN = sympy.Function("f")
REFUSED: dict[str, Expr] = {
    "frac": sympy.frac(X[k]),
    "Heaviside": sympy.Heaviside(X[k]),
    "DiracDelta": sympy.DiracDelta(X[k]),
    "f": UNKNOWN(X[k]),
    "gamma": sympy.gamma(X[k]),
    "Mod": sympy.Mod(X[k], 2),
    "Max": sympy.Max(0, X[k]),
    "Min": sympy.Min(0, X[k]),
    "Determinant": sympy.Determinant(sympy.ImmutableMatrix([[X[k]]])),
    "Integral": sympy.Integral(X[k], (sympy.Symbol("w"), 0, 1)),
    "Derivative": sympy.Derivative(UNKNOWN(X[k]), X[k]),
    "KroneckerDelta": KroneckerDelta(X[k], 1),
    "Greater": X[k] > 0,
    "Equality": sympy.Eq(X[k], 1),
    "Indexed": tensor("A", K)[X[k]],
    "Winner": Winner(X[k], (k,), (k, K)),
    "inside a sum": Sum(exp(sympy.gamma(X[j])), (j, K)),
    "inside a condition's branch": Piecewise((sympy.gamma(X[k]), X[k] > 0), (X[k], True)),
    "beside a good term": X[k] + sympy.gamma(X[k]),
    "times zero slope": sympy.gamma(X[k]) * 2,
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_differentiated_is_an_error(name: str) -> None:
    equation = Equation(Y[k], REFUSED[name])
    with pytest.raises(CannotDifferentiate) as caught:
        vjp(equation, "x")
    message = str(caught.value)
    assert message.startswith(str(equation)), "it names the equation"
    assert "cannot differentiate" in message
    part = "gamma" if " " in name else name if name not in ("Greater", "Equality") else "x["
    assert part in message.removeprefix(str(equation)), "and the sub-expression"


def test_the_matrix_derivative_that_sympy_gets_wrong() -> None:
    """log(1ᵀ exp z): SymPy 1.14's matrix derivative is 0; the index form has the softmax."""
    e, z = tensor("e"), tensor("z", K)
    equation = Equation(access(e), log(Sum(exp(z[k]), (k, K))))
    found = check_vjp(equation, {"z": random(4)}, "z", {}, "complex", "central")
    assert found.right != 0


@pytest.mark.parametrize(
    "right",
    [
        Piecewise((1, X[k] > 0), (0, True)),
        sympy.sign(X[k]),
        Sum(sympy.sign(X[j]), (j, K)),
        Piecewise((sympy.sign(X[k]), X[k] > 1), (3, True)),
        X[k] ** 0 * sympy.sign(X[k]) ** 2,
    ],
)
def test_a_derivative_that_is_0_everywhere_is_an_error_that_says_why(right: Expr) -> None:
    equation = Equation(Y[k], right)
    assert vjp(equation, "x").right == 0
    with pytest.raises(CannotDifferentiate) as caught:
        adjoint(equation, "x")
    assert str(equation) in str(caught.value)
    assert "0 everywhere" in str(caught.value) and "nothing before it is trained" in str(caught.value)


def test_a_tensor_that_is_not_read_is_an_error() -> None:
    with pytest.raises(KeyError):
        vjp(AFFINE, "nothing")
