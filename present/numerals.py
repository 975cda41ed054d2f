"""Numbers as they stand on the page: four significant digits, exact where that is short; matrices of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chainrule.present.tree import Applied, Leaf, Matrix, Node, Plus, Transposed

DIGITS: Final = 4
PLAIN: Final = (-4, 6)  # powers of ten between which a number is written without one
ROUNDING: Final = 1e-14  # what the arithmetic of float64 may have added to a short number
TALL: Final = 10  # a longer vector lies down


def shortened(value: float) -> float:
    """Return the value as it is written: rounded to DIGITS digits, integers below 10⁶ in full."""
    if value == int(value) and abs(value) < 10 ** PLAIN[1]:
        return value
    return float(f"{value:.{DIGITS}g}")


def is_exact(value: float) -> bool:
    """Whether a value is written in full, but for what float64 cannot say (0.1 + 0.2 is written 0.3)."""
    return math.isclose(shortened(value), value, rel_tol=ROUNDING, abs_tol=0.0)


@dataclass(frozen=True)
class Inexact(Leaf):
    """A number that is not written in full."""


def numeral(value: float) -> Node:
    """Return what is written for a value: 0.5, −0.2705, 1200, 3.2·10⁻⁵; four digits where it is rounded."""
    if value < 0:
        return Plus(((True, numeral(-value)),))
    value = abs(value)  # float64 has a −0
    exact = is_exact(value)
    short = Decimal(repr(shortened(value))).normalize()
    power = short.adjusted()
    if not exact and len(short.as_tuple().digits) < DIGITS:
        short = short.quantize(Decimal(1).scaleb(power - DIGITS + 1))
    kind = Leaf if exact else Inexact
    if short == 0 or PLAIN[0] <= power < PLAIN[1]:
        plain = f"{short:f}"
        return kind(plain, plain)
    digits = f"{short.scaleb(-power):f}"
    return kind(rf"{digits} \cdot 10^{{{power}}}", f"{digits}e{power}")


def array(values: NDArray[np.float64]) -> Node:
    """Return what is written for an array: a number, a column, a matrix, or a list of those.

    More than two axes are lists of matrices, one for each index of the axes before the last two; a list of
    one is the matrix itself.  A vector of more than TALL lies down, transposed.
    """
    if values.ndim == 0:
        return numeral(values.item())
    if values.ndim == 1 and len(values) > TALL:
        return Transposed(Matrix((tuple(map(numeral, values.tolist())),)))
    if values.ndim == 1:
        return Matrix(tuple((numeral(v),) for v in values.tolist()))
    if values.ndim == 2:
        return Matrix(tuple(tuple(map(numeral, row)) for row in values.tolist()))
    if len(values) == 1:
        return array(values[0])
    return Applied("", "", tuple(map(array, values)))


def pictured(values: NDArray[np.float64], is_sample: bool) -> Node:
    """Return what is written for a tensor: an image as a matrix a channel, kernels a filter and channel."""
    if values.ndim == 3 and is_sample:
        return array(np.moveaxis(values, 2, 0))
    if values.ndim == 4:
        return array(np.moveaxis(values, 3, 1))
    return array(values)


def plain(values: NDArray[np.float64]) -> Any:
    """Return nested lists of Python's floats, exact to the last bit when printed."""
    return values.tolist()
