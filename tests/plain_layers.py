"""Equations of layers as a textbook writes them: convolution, maximum pool, normalization."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sympy import Expr, Rational, sqrt

from chainrule.derive.index import Equation, Sum, index, size, tensor

n, i, j, k, u, v, c, o, m = map(index, "nijkuvcom")
N, K, J, M, H, W_, C, O_, U, V, P, Q = map(size, ("N", "K", "J", "M", "H", "W", "C", "O", "U", "V", "P", "Q"))


def draws(seed: int) -> Callable[..., Any]:
    """A function from a shape to an array of its own random numbers from -1.5 to 1.5."""
    generator = np.random.default_rng(seed)
    return lambda *shape: generator.uniform(-1.5, 1.5, shape)


def conv2d(stride: tuple[int, int], dilation: tuple[int, int], padding: tuple[int, int]) -> Equation:
    a, w, b, z = tensor("a", N, H, W_, C), tensor("w", O_, U, V, C), tensor("b", O_), tensor("z", N, P, Q, O_)
    row = stride[0] * i + dilation[0] * u - padding[0]
    column = stride[1] * j + dilation[1] * v - padding[1]
    return Equation(z[n, i, j, o], Sum(w[o, u, v, c] * a[n, row, column, c], (u, U), (v, V), (c, C)) + b[o])


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
