"""Image files as arrays: any size and mode becomes the height, width and channels that a network takes."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.runtime.depth import STRIP, deep
from chainrule.runtime.errors import DataError
from chainrule.runtime.imagefiles import LARGE, Refused, extensions, opened, strict_sizes

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "Picture",
    "extensions",
    "image_shape",
    "image_size",
    "read_image",
    "strict_sizes",
]

Array = NDArray[Any]

FITS = ("crop", "pad", "stretch", "digit")
FAINT = 32  # of 255: less than that from the background, and there is no digit
ORIENTATION = 0x0112  # the EXIF tag
TURNS: dict[int, tuple[str, Any]] = {  # its values: in words, and Image.Transpose
    2: ("mirrored", 0),
    3: ("turned 180°", 3),
    4: ("flipped", 1),
    5: ("transposed", 5),
    6: ("turned 90° clockwise", 4),
    7: ("transposed the other way", 6),
    8: ("turned 90° anticlockwise", 2),
}
SIDEWAYS = (5, 6, 7, 8)
GREY = ("1", "L", "LA")


@dataclass(frozen=True)
class Picture:
    """Pixels (H, W, C) uint8, and the steps that led to them, each a few words.

    `full` is the value that became 255, where there were more than 8 bits, None for a black one; `fractions`
    says that values were no whole numbers.
    """

    pixels: Array
    way: tuple[str, ...]
    full: float | None = None
    fractions: bool = False


def image_shape(shape: tuple[int, ...], where: str) -> tuple[int, int, int]:
    """The (height, width, channels) of a network's input: C is 1 (grey) or 3 (RGB).

    A vector of n² numbers is a grey square, one of 3·n² an RGB square.  Raises DataError for other inputs.
    """
    if len(shape) == 3 and shape[2] in (1, 3):
        return shape[0], shape[1], shape[2]
    if len(shape) == 2:
        return shape[0], shape[1], 1
    if len(shape) == 1:
        for channels in (1, 3):
            side = isqrt(shape[0] // channels)
            if channels * side * side == shape[0]:
                return side, side, channels
    raise DataError(
        f"{where}: images become (height, width, 1) or (height, width, 3), the network takes {shape}; "
        "change [input] shape, or convert them to npz:PATH"
    )


def image_size(path: Path) -> tuple[int, int, int]:
    """(height, width, channels) of an image file as it is seen, 1 channel for grey.  Raises DataError."""
    with opened(path) as image:
        grey = image.mode in GREY or image.mode.startswith(("I", "F"))
        size = (image.width, image.height) if _orientation(image) in SIDEWAYS else (image.height, image.width)
        return *size, 1 if grey else 3


def read_image(
    path: Path, shape: tuple[int, int, int], fit: str = "crop", most: float | None = None
) -> Picture:
    """An image file as (height, width, channels) uint8, `shape`.

    In order: EXIF orientation; 16 and 32 bits become 8, `most` (of the images that this one goes with; by
    default what its values say) becoming 255; transparent pixels are laid on white; palettes and other colour
    spaces become RGB or, for one channel, grey (ITU-R 601 luma); then the size.  `fit` says how: "crop" cuts
    the middle out, "pad" adds the median colour of the border, "stretch" changes the aspect, and "digit"
    treats ink on paper, or chalk on a board, as MNIST's digits were: bright on black, the longer side 5/7 of
    the frame, centred by mass.  Resampling is bilinear, over all pixels that one comes from.  Raises
    DataError naming the file, for values of another scale than `most` too.
    """
    with opened(path, (shape[1], shape[0])) as image:
        way = [f"{image.width}×{image.height} {_mode(image)}"]
        if getattr(image, "is_animated", False):
            way.append("first frame")
        image.load()
        turned = _turned(image, way)
        full, fractions = None, False
        if turned.mode.startswith(("I", "F")):
            turned, full, fractions, done = deep(turned, most, str(path))
            way.append(done)
        pixels = np.asarray(_resized(_eight_bits(turned, shape[2], way), shape, fit, way), np.uint8)
    return Picture(pixels.reshape(shape), tuple(way), full, fractions)


def _orientation(image: Image) -> int:
    """The EXIF tag; 1, as it is, where there is none or it cannot be read."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
        return found if isinstance(found, int) else 1
    except Exception:  # broken metadata say nothing; decoders raise anything
        return 1


def _turned(image: Image, way: list[str]) -> Image:
    """The image as the camera was held."""
    turn = TURNS.get(_orientation(image))
    if turn is None:
        return image
    way.append(f"{turn[0]} (EXIF)")
    return image.transpose(turn[1])


def _mode(image: Image) -> str:
    names = {"1": "black and white", "L": "grey", "P": "palette", "LA": "grey with transparency"}
    names |= {"I;16": "16-bit grey", "I;16B": "16-bit grey", "I": "32-bit grey", "F": "float grey"}
    return names.get(image.mode, image.mode)


def _eight_bits(image: Image, channels: int, way: list[str]) -> Image:
    """The image as L or RGB, in strips: only one of them is there in two or three forms at a time."""
    from PIL import Image as Pillow

    wanted = "L" if channels == 1 else "RGB"
    clear = image.has_transparency_data
    if clear:
        way.append("on white")
    if image.mode == wanted and not clear:
        return image
    if (image.mode not in GREY) if channels == 1 else (image.mode in ("L", "RGBA") or clear):
        way.append("grey" if channels == 1 else "RGB")
    result = Pillow.new(wanted, image.size)
    for top in range(0, image.height, STRIP):
        box = (0, top, image.width, min(top + STRIP, image.height))
        result.paste(_strip(image.crop(box), wanted, clear), box)
    return result


def _strip(image: Image, wanted: str, clear: bool) -> Image:
    """One strip as L or RGB, its transparent pixels on white."""
    from PIL import Image as Pillow

    if clear:
        white = Pillow.new("RGBA", image.size, "white")
        image = Pillow.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    if image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode in ("1", "LA") else "RGB")
    return image if image.mode == wanted else image.convert(wanted)


def _resized(image: Image, shape: tuple[int, int, int], fit: str, way: list[str]) -> Image:
    """The image with the height and width of `shape`."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    height, width, channels = shape
    if fit == "digit":
        if channels != 1:
            raise Refused('the fit "digit" is for networks that take grey images')
        if image.width * image.height > LARGE:
            times = isqrt(image.width * image.height // LARGE) + 1
            image = image.reduce(times)
            way.append(f"1/{times} of its size")
        return _digit(np.asarray(image), height, width, way)
    if image.size == (width, height):
        return image
    bilinear = Pillow.Resampling.BILINEAR
    same_aspect = image.width * height == image.height * width
    if fit == "stretch" or same_aspect:
        result = image.resize((width, height), bilinear)
    elif fit == "pad":
        result = ImageOps.pad(image, (width, height), bilinear, color=_border_colour(image))
        way.append("padded")
    else:
        wide = min(image.width, max(1, round(image.height * width / height)))
        high = min(image.height, max(1, round(image.width * height / width)))
        left, top = (image.width - wide) // 2, (image.height - high) // 2
        # Cut first: a filter over the whole image would draw in what lies beside the part.
        result = image.crop((left, top, left + wide, top + high)).resize((width, height), bilinear)
        way.append(f"middle {wide}×{high} cut out")
    way.append(f"{width}×{height}")
    return result


def _digit(pixels: Array, height: int, width: int, way: list[str]) -> Image:
    """What stands out from the background of a grey image, as MNIST's digits were made."""
    from PIL import Image as Pillow

    paper = float(np.median(border(pixels[None, :, :, None])))
    strength = np.abs(pixels - paper)
    if strength.max() < FAINT:
        raise Refused("nothing stands out from the background")
    strength /= strength.max()
    rows, columns = (np.flatnonzero((strength > 0.5).any(axis=axis)) for axis in (1, 0))
    box = strength[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    ink = np.clip((box - 0.25) / 0.5, 0, 1)  # the paper's grain is gone, the pen's core is white
    scale = 5 / 7 * min(height, width) / max(box.shape)
    high, wide = (max(1, round(size * scale)) for size in box.shape)
    small = Pillow.fromarray((255 * ink).astype(np.uint8)).resize((wide, high), Pillow.Resampling.BILINEAR)
    mass = np.asarray(small, np.float64)
    middle = [np.average(np.arange(n), weights=mass.sum(axis=1 - axis)) for axis, n in enumerate(mass.shape)]
    top = int(np.clip(round((height - 1) / 2 - middle[0]), 0, height - high))
    left = int(np.clip(round((width - 1) / 2 - middle[1]), 0, width - wide))
    result = Pillow.new("L", (width, height))
    result.paste(small, (left, top))
    way.append(f"digit of {box.shape[1]}×{box.shape[0]} pixels cut out, bright on black, centred by mass")
    way.append(f"{width}×{height}")
    return result


def _border_colour(image: Image) -> Any:
    wide, high = image.size
    sides = ((0, 0, wide, 1), (0, high - 1, wide, high), (0, 0, 1, high), (wide - 1, 0, wide, high))
    pixels = [np.asarray(image.crop(box)).reshape(-1, len(image.getbands())) for box in sides]
    colour = np.median(np.concatenate(pixels), axis=0).astype(int)
    return int(colour[0]) if len(colour) == 1 else tuple(int(value) for value in colour)


def border(images: Array) -> Array:
    """The outermost pixels of images (N, H, W, C): (N, P, C)."""
    sides = (images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1])
    return np.concatenate(sides, axis=1)
