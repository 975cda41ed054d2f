"""The derivative of what layers compute: convolutions, pools, dense, softmax, attention."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import sympy
from equations import check_vjp
from plain_layers import O_, W_, C, H, K, N, P, Q, U, V, c, conv2d, draws, i, j, k, n, normalized, o, u, v
from sympy import Expr, KroneckerDelta, exp

from chainrule.derive.differentiate import vjp
from chainrule.derive.index import Equation, Inside, Max, Sum, access, index, size, tensor
from chainrule.derive.interpret import evaluate
from chainrule.derive.layers.dense import AFFINE
from chainrule.derive.layers.softmax import SOFTMAX

random = draws(3)


CONVOLUTIONS = [
    (stride, dilation, padding, kernel)
    for stride, dilation in itertools.product(((1, 1), (2, 2), (3, 1), (1, 2)), ((1, 1), (2, 2), (1, 3)))
    for padding, kernel in (((0, 0), (2, 2)), ((1, 2), (3, 1)), ((2, 1), (1, 2)))
]


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
