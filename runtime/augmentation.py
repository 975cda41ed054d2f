"""Image augmentation: training images flipped, shifted, turned, zoomed, and with a square cut out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from chainrule.runtime.errors import RunError

Images = NDArray[np.float32]


@dataclass(frozen=True)
class Augmentation:
    """What happens to each image of a training batch, drawn anew for every image and epoch.

    `flip` mirrors every second image, left to right.  `shift` moves by up to so many whole pixels in each
    direction, `rotation` turns by up to so many degrees either way, `zoom` magnifies by 1 − zoom … 1 + zoom,
    `cutout` makes a square of that side black (0), around any pixel.  `shift` and `cutout` below 1 are shares
    of the image's sides.  What comes in from outside the image is 0; turning and zooming interpolate
    linearly, and the shift and the flip are then part of the one resampling.
    """

    flip: bool = False
    shift: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    cutout: float = 0.0

    @classmethod
    def of(cls, table: Mapping[str, Any], shape: tuple[int, ...]) -> Augmentation:
        """The augmentation of a manifest for inputs of a shape.  Raises RunError where it cannot be."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(table.keys() - known):
            raise RunError(f"augmentation {unknown[0]}: unknown; generate the program again")
        found = cls(**table)
        if found and len(shape) != 3:
            raise RunError(f"augmentation: needs images (height, width, channels), the network takes {shape}")
        return found

    def __bool__(self) -> bool:
        return self != Augmentation()

    def apply(self, x: Images, out: Images, rng: np.random.Generator) -> None:
        """Writes augmented x (N, H, W, C) to `out`, as `rng` draws it; x stays as it is."""
        count, height, width = x.shape[:3]
        down, right = _pixels(self.shift, height), _pixels(self.shift, width)
        flipped = rng.random((count,)) < 0.5 if self.flip else np.zeros(count, bool)
        dy, dx = (rng.integers(-most, most, (count,), endpoint=True) for most in (down, right))
        if self.rotation or self.zoom:
            angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation, (count,)))
            factor = rng.uniform(1 - self.zoom, 1 + self.zoom, (count,))
            _resample(x, out, _sources(angle, factor, flipped), dy, dx)
        else:
            _shift(x, out, dy, np.where(flipped, -dx, dx), (down, right))
            out[flipped] = out[flipped, :, ::-1]
        if self.cutout:
            side = _pixels(self.cutout, min(height, width))
            top, left = (rng.integers(0, size, (count,)) - side // 2 for size in (height, width))
            rows = _within(top, side, height)[:, :, None, None]
            columns = _within(left, side, width)[:, None, :, None]
            np.copyto(out, np.float32(0), where=rows & columns)


def _pixels(extent: float, size: int) -> int:
    """An extent in pixels: below 1 it is a share of `size`."""
    return round(extent * size) if extent < 1 else int(extent)


def _within(start: NDArray[np.int64], length: int, size: int) -> NDArray[np.bool_]:
    """(N, size): which positions lie in start … start + length − 1."""
    position = np.arange(size)
    return (position >= start[:, None]) & (position < start[:, None] + length)


def _shift(
    x: Images, out: Images, dy: NDArray[np.int64], dx: NDArray[np.int64], most: tuple[int, int]
) -> None:
    """Moves each image down by dy and right by dx pixels, at most `most`: windows of the padded images."""
    down, right = most
    if not down and not right:
        np.copyto(out, x)
        return
    padded = np.pad(x, ((0, 0), (down, down), (right, right), (0, 0)))
    windows = sliding_window_view(padded, x.shape[1:], axis=(1, 2, 3))
    np.copyto(out, windows[np.arange(len(x)), down - dy, right - dx, 0])


def _sources(
    angle: NDArray[np.float64], factor: NDArray[np.float64], flipped: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """(N, 2, 2): from an offset to the centre in the result, (down, right), to that in the source."""
    cos, sin = np.cos(angle) / factor, np.sin(angle) / factor
    mirror = np.where(flipped, -1.0, 1.0)
    return np.array([[cos, sin], [-sin * mirror, cos * mirror]], np.float32).transpose(2, 0, 1)


def _resample(
    x: Images, out: Images, matrix: NDArray[np.float32], dy: NDArray[np.int64], dx: NDArray[np.int64]
) -> None:
    """Bilinear resampling: each pixel of `out` is read where `matrix`, about the centre, leads; 0 outside."""
    count, height, width, channels = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(-1, channels)
    down = np.arange(height, dtype=np.float32) - np.float32((height - 1) / 2)
    right = np.arange(width, dtype=np.float32) - np.float32((width - 1) / 2)
    below = (down - dy[:, None].astype(np.float32))[:, :, None]
    beside = (right - dx[:, None].astype(np.float32))[:, None, :]
    index = (np.arange(count) * ((height + 2) * (width + 2)))[:, None, None]
    shares = []
    for row, size, stride in ((0, height, width + 2), (1, width, 1)):
        at = matrix[:, row, 0, None, None] * below
        at = at + matrix[:, row, 1, None, None] * beside
        at += np.float32((size - 1) / 2 + 1)  # the padding comes first
        np.clip(at, 0, size + 1, out=at)
        first = np.minimum(at.astype(np.int32), size)
        at -= first
        index = index + first * stride
        shares.append(at.reshape(-1, 1))
    share_y, share_x = shares
    flat = index.reshape(-1)
    upper, lower = (_between(padded, flat + step, share_x) for step in (0, width + 2))
    lower -= upper
    lower *= share_y
    np.add(upper, lower, out=out.reshape(-1, channels))


def _between(padded: Images, index: NDArray[np.int64], share: Images) -> Images:
    left, right = padded.take(index, 0), padded.take(index + 1, 0)
    right -= left
    right *= share
    left += right
    return left
