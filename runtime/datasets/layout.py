"""From the shape that samples are stored in to the one that is wanted, where only one reading is possible."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from math import prod

from chainrule.runtime.datasets.dataset import Array, shape_text
from chainrule.runtime.errors import DataError

COLOURS = (1, 3, 4)  # channels that pictures have


def arranged(array: Array, shape: tuple[int, ...], where: str, key: str) -> tuple[Array, str]:
    """`array` (N, …) as (N, *shape), and a note where that is more than to say so; else "".

    The order of values never changes.  Axes of 1 come and go; rows become pictures of one channel, row by
    row, and samples become rows.  Whatever else has as many values fits by chance, or in another order.
    Raises DataError, for `where` and [`key`], with the transpose that fits.
    """
    sample = array.shape[1:]
    if sample == shape:
        return array, ""
    if prod(sample) != prod(shape):
        raise DataError(
            f"{where}: one sample has shape {shape_text(sample)} = {prod(sample):,} values, the network "
            f"{key} {shape_text(shape)} = {prod(shape):,}; change the spec's shapes, or use other data"
        )
    there, wanted = essential(sample), essential(shape)
    reshaped = array.reshape(len(array), *shape)
    if there == wanted:
        return reshaped, ""
    said = f"one sample has shape {shape_text(sample)}, the network {key} {shape_text(shape)}"
    if len(there) > 1 and sorted(there) == sorted(wanted):
        order = next(_orders(there, wanted))
        squeezed = ".squeeze()" if len(there) < len(sample) else ""
        axes = ", ".join(map(str, (0, *(axis + 1 for axis in order))))
        first = ": channels come first" if order == (1, 2, 0) and there[0] in COLOURS else ""
        raise DataError(
            f"{where}: {said}, the same sizes in another order{first}; store x{squeezed}.transpose({axes})"
        )
    if len(there) == 1 and len(wanted) == 2:
        return reshaped, f"rows of {there[0]:,} numbers are {_by(wanted)} pictures, row by row"
    if len(there) == 1:
        raise DataError(
            f"{where}: {said}; rows of numbers do not say in which order they are: {_remedies(shape)}"
        )
    if len(wanted) == 1 and len(there) == 3 and there[0] in COLOURS and there[2] not in COLOURS:
        raise DataError(
            f"{where}: {said}, and channels come first, where pictures are height, width, channels; "
            "store x.transpose(0, 2, 3, 1)"
        )
    if len(wanted) == 1:
        return reshaped, f"samples of {_by(sample)} are rows of {wanted[0]:,} numbers"
    raise DataError(
        f"{where}: {said}: as many values, but by chance; change the spec's shapes, or use other data"
    )


def essential(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes along which there is more than one value."""
    return tuple(size for size in shape if size != 1)


def _orders(there: tuple[int, ...], wanted: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The orders of axes that make `wanted` of `there`, first the one that keeps axes of one size in turn."""
    for order in permutations(range(len(there))):
        if tuple(there[axis] for axis in order) == wanted:
            yield order


def _remedies(shape: tuple[int, ...]) -> str:
    plain = ", ".join(map(str, ("N", *shape)))
    if len(shape) != 3:
        return f"store x.reshape({plain}) if the last axis runs fastest"
    planes = ", ".join(map(str, ("N", shape[2], *shape[:2])))
    return (
        f"store x.reshape({plain}) if the {shape[2]} channels of a pixel lie side by side, "
        f"x.reshape({planes}).transpose(0, 2, 3, 1) if they are planes one after the other"
    )


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
