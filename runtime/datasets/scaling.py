"""Numbers as they are stored become inputs: pixels of any type 0 … 1, everything else what it is."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from chainrule.runtime.datasets.dataset import Array, Stored, shape_text
from chainrule.runtime.datasets.layout import essential
from chainrule.runtime.errors import DataError

SMALLEST = 64  # values of the smallest picture, 8 × 8: shorter rows are a table's
BRIGHT = 128  # whole numbers in floats are pixels from here on: 0 … 16 are somebody's own scale
PIXEL = 255
CHUNK = 1 << 22  # values that are looked at together


def scaled(
    parts: Mapping[str, Array], shape: tuple[int, ...], where: str, known: bool | None = None
) -> tuple[dict[str, Array], Stored, str]:
    """Inputs of every part as uint8 (k/255) or float32, what they were, and a note.

    One rule for every type: whole numbers of 0 … 255 in pictures (two axes or more, or 64 numbers
    and more) are pixels, divided by 255; 0 and 1 alone, whole numbers beyond and those of short rows,
    fractions are taken as they are.  Whether they are pixels may be `known`: bytes are then always divided
    (True), or nothing ever is (False).  All parts count together: a test set is scaled as the training set.
    Raises DataError for what are no numbers, with the index for NaN, and for parts of different kinds.
    """
    for part, x in parts.items():
        _check_kind(x, f"{where}: {part} inputs")
    first = next(iter(parts.values()))
    sample = first.shape[1:]
    pixels = known is not False and (
        len(essential(sample)) > 1 or len(essential(shape)) > 1 or prod(sample) >= SMALLEST
    )
    ranges = {part: _range(x, f"{where}: {part} inputs") for part, x in parts.items()}
    low, high = min(low for low, _ in ranges.values()), max(high for _, high in ranges.values())
    integer = {part: x.dtype.kind in "biu" for part, x in parts.items()}
    sides = {_side(x, *ranges[part]) for part, x in parts.items()} if len(parts) > 1 else set()
    if pixels and ((len(set(integer.values())) > 1 and high > 1) or {"small", "bytes"} <= sides):
        told = ", ".join(f"{part} {x.dtype} {_span(*ranges[part])}" for part, x in parts.items())
        raise DataError(f"{where}: inputs of one set on different scales ({told}); store all parts alike")
    dtype = str(first.dtype)
    if all(integer.values()) and low >= 0 and high <= 1 and not known:
        bits = {part: (x.astype(np.uint8) * np.uint8(PIXEL)) for part, x in parts.items()}
        return bits, Stored(sample, dtype, low, high, 1), ""
    if (pixels or known) and low >= 0 and high <= PIXEL and _whole(parts, all(integer.values()), high):
        note = "" if dtype == "uint8" else f"{dtype} inputs are whole numbers of 0 … 255: taken for pixels"
        if high == 1:
            note = "no pixel is above 1 of 255: if these are black and white, store them as 0 and 255"
        bytes_ = {part: x.astype(np.uint8, copy=False) for part, x in parts.items()}
        return bytes_, Stored(sample, dtype, low, high, PIXEL), note
    note = ""
    if pixels and (low < -PIXEL or high > 1.5) and not _standardized(low, high):
        note = (
            f"inputs of {_span(low, high)} are taken as they are; if they are pixels, store them as uint8 of "
            '0 … 255 or as floats of 0 … 1, or set standardize = "minmax"'
        )
    floats = {part: x.astype(np.float32) for part, x in parts.items()}
    return floats, Stored(sample, dtype, low, high, 1), note


def _check_kind(x: Array, where: str) -> None:
    if x.dtype.kind in "biuf":
        return
    remedy = {
        "O": "they are Python objects",
        "c": "store real and imaginary part as two numbers",
        "U": "number the words",
        "S": "number the words",
    }.get(x.dtype.kind, "store plain arrays of numbers")
    raise DataError(f"{where}: dtype {x.dtype}; numbers are needed ({remedy})")


def _range(x: Array, where: str) -> tuple[float, float]:
    """(smallest, largest).  Raises DataError with the index of what is not finite, or not in float32."""
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
    most = float(np.finfo(np.float32).max)
    if -most <= low and high <= most:
        return low, high
    with np.errstate(all="ignore"):  # float16 has no such number
        bad = np.argwhere(~(np.isfinite(x) & (np.abs(x) <= most)))
    index = tuple(int(i) for i in bad[0])
    raise DataError(f"{where}: {x[index]} at index {shape_text(index)} ({len(bad)} such); repair the data")


def _whole(parts: Mapping[str, Array], integer: bool, high: float) -> bool:
    """Whether inputs of 0 … 255 are whole numbers; floats only where they reach the brighter half."""
    return integer or (high >= BRIGHT and all(map(_are_whole, parts.values())))


def _are_whole(x: Array) -> bool:
    flat = x.reshape(-1)
    pieces = (flat[i : i + CHUNK] for i in range(0, flat.size, CHUNK))
    return x.dtype.kind in "biu" or all(np.array_equal(piece, np.rint(piece)) for piece in pieces)


def _side(x: Array, low: float, high: float) -> str:
    """What the scale of pixels says: "bytes" of 0 … 255, fractions that are "small", or nothing, ""."""
    if low >= 0 and BRIGHT <= high <= PIXEL:
        return "bytes" if _are_whole(x) else ""
    small = (low >= 0 and high <= 1) or _standardized(low, high)
    return "small" if small and not _are_whole(x) else ""


def _standardized(low: float, high: float) -> bool:
    """Whether numbers on both sides of 0 look like those of standardized inputs."""
    return low < 0 and max(-low, high) < 30


def _span(low: float, high: float) -> str:
    return f"{low:.4g} … {high:.4g}"
