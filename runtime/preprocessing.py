"""Standardizing: inputs moved and scaled by statistics of the training part, which travel with the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.runtime.datasets.dataset import Array, as_floats
from chainrule.runtime.errors import DataError, RunError
from chainrule.runtime.images import border, image_shape

KINDS = ("none", "zscore", "minmax")
MOST_BORDERS = 5000  # images whose border is looked at
NEAR, MOST_OF_THEM = 0.1, 0.75  # brightness that is about the same, and in how large a part of the pixels
CHUNK = 4096  # samples whose statistics are computed at a time


@dataclass(frozen=True)
class Preprocessing:
    """What happens to an input before the network: uint8 becomes 0 … 1, then (x − offset)·scale.

    "zscore" gives mean 0 and standard deviation 1, "minmax" the range 0 … 1, on the training part: for
    each channel of an image, for each number of a vector.  What is constant there becomes 0.
    `background` is how bright, 0 … 1, the border of training images is, None where it is not much the same.
    """

    standardize: str = "none"
    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    background: float | None = None

    def __bool__(self) -> bool:
        return self.standardize != "none"

    def __call__(self, x: Array) -> Array:
        """Stored inputs (N, …), uint8 or floats, as the network takes them; `x` stays as it is."""
        values = as_floats(x)
        if not self:
            return values
        return self.apply(values.copy() if values is x else values)

    def apply(self, values: Array) -> Array:
        """`values` themselves, standardized in place."""
        if self:
            values -= np.array(self.offset, values.dtype)
            values *= np.array(self.scale, values.dtype)
        return values

    def as_json(self) -> dict[str, Any]:
        """JSON values that `from_json` takes."""
        statistics = {"offset": list(self.offset), "scale": list(self.scale)} if self else {}
        return {"standardize": self.standardize, **statistics, "background": self.background}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], shape: tuple[int, ...]) -> Preprocessing:
        """What `as_json` gave, for inputs of `shape`.  Raises RunError when it is something else."""
        kind = value.get("standardize", "none")
        if kind not in KINDS:
            raise RunError(f"standardize = {kind!r}: one of {', '.join(KINDS)} is needed")
        background = value.get("background")
        if background is not None and not isinstance(background, int | float):
            raise RunError(f"background = {background!r}: a number or null is needed")
        if kind == "none":
            return cls(background=background)
        try:
            offset, scale = (tuple(float(number) for number in value[key]) for key in ("offset", "scale"))
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"standardize: offset and scale must be lists of numbers ({error!r})") from error
        if not len(offset) == len(scale) == shape[-1]:
            raise RunError(
                f"standardize: {len(offset)} offsets and {len(scale)} scales, an input of shape {shape} "
                f"needs {shape[-1]} of each"
            )
        return cls(kind, offset, scale, background)


def fitted(kind: str, x: Array) -> Preprocessing:
    """The preprocessing whose statistics are those of `x` (N, …, C), the training part alone.

    Raises RunError for an unknown kind.
    """
    if kind not in KINDS:
        raise RunError(f"standardize = {kind!r}: one of {', '.join(KINDS)} is needed")
    background = common_border(x)
    if kind == "none":
        return Preprocessing(background=background)
    if kind == "minmax":
        low = np.min([part.min(0) for part in _rows(x)], axis=0)
        high = np.max([part.max(0) for part in _rows(x)], axis=0)
        offset, spread = low, high - low
    else:
        count = x.size // x.shape[-1]
        offset = sum(part.sum(0) for part in _rows(x)) / count
        spread = np.sqrt(sum(np.square(part - offset).sum(0) for part in _rows(x)) / count)
    # Differences below the precision of the stored numbers are no differences: such a feature is constant.
    constant = spread <= np.finfo(np.float32).eps * np.abs(offset)
    scale = np.where(constant, 0.0, 1 / np.where(constant, 1.0, spread))
    return Preprocessing(kind, tuple(offset.tolist()), tuple(scale.tolist()), background)


def common_border(x: Array) -> float | None:
    """How bright, 0 … 1, the outermost pixels of images (N, …) are, where most are about that; else None."""
    try:
        shape = image_shape(x.shape[1:], "")
    except DataError:
        return None
    values = as_floats(border(x[:MOST_BORDERS].reshape(-1, *shape)))
    middle = float(np.median(values))
    return middle if np.mean(np.abs(values - middle) < NEAR) > MOST_OF_THEM else None


def _rows(x: Array) -> Iterator[NDArray[np.float64]]:
    """The inputs as rows of their last axis, some samples at a time."""
    for start in range(0, len(x), CHUNK):
        yield as_floats(x[start : start + CHUNK]).astype(np.float64).reshape(-1, x.shape[-1])
