"""Images of more than 8 bits a value: what becomes 255 of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.runtime.errors import DataError
from chainrule.runtime.imagefiles import Refused

if TYPE_CHECKING:
    from PIL.Image import Image

FULL_SCALES = (1.0, 255.0, 65535.0, 2.0**31 - 1, 2.0**32 - 1)
PIXEL = 255  # up to that scale, dark floats may be 0 … 1 by chance
BEYOND = 8  # times the full scale, and values are on another one
STRIP = 256  # rows that are converted at a time


def deep(image: Image, most: float | None = None, where: str = "") -> tuple[Image, float | None, bool, str]:
    """An image of 16 or 32 bits, or of floats, as L, the value that became 255, fractions or not, and how.

    The value is None where all are 0, else `most`, that of the images which this one goes with, or the first
    of 1, 255, 65,535, 2³¹ − 1 and 2³² − 1 that no value exceeds, or the largest.  Raises Refused for values
    that are no brightness, and DataError, for `where`, for those of another scale than 0 … `most`.
    """
    high, fractions = _extent(image)
    if not high:
        return _bytes(image, 1.0), None, fractions, "black"
    if most is None:
        full = next((top for top in FULL_SCALES if high <= top), high)
        return _bytes(image, full), full, fractions, f"{full:.0f} → 255"
    if high > BEYOND * most or (fractions and high <= 1 and most > PIXEL):
        raise DataError(
            f"{where}: values of 0 … {high:,.6g}, those of training images are 0 … {most:,.0f}; "
            "store it alike"
        )
    cut = f", values up to {high:.6g} cut off" if high > most else ""
    return _bytes(image, most), most, fractions, f"{most:.0f} → 255 as in training{cut}"


def _extent(image: Image) -> tuple[float, bool]:
    """The largest value, and whether there are fractions.  Raises Refused."""
    high, fractions = 0.0, False
    for box in _boxes(image):
        values = np.asarray(image.crop(box))
        if not values.min() >= 0 or not values.max() < np.inf:
            raise Refused("negative or infinite values, or NaN")
        high = max(high, float(values.max()))
        fractions = fractions or (values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)))
    return high, fractions


def _bytes(image: Image, full: float) -> Image:
    """The image as L: `full`, and what is beyond, become 255."""
    from PIL import Image as Pillow

    result = Pillow.new("L", image.size)
    for box in _boxes(image):
        grey = np.clip((np.asarray(image.crop(box)) * (255 / full)).round(), 0, 255).astype(np.uint8)
        result.paste(Pillow.fromarray(grey), box)
    return result


def _boxes(image: Image) -> list[tuple[int, int, int, int]]:
    return [(0, top, image.width, min(top + STRIP, image.height)) for top in range(0, image.height, STRIP)]
