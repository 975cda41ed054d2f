"""Image files of other people, opened under limits: format and size are looked at before decoding."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chainrule.runtime.errors import DataError
from chainrule.runtime.regular import open_regular

if TYPE_CHECKING:
    from PIL.Image import Image

# What pictures come in.  Others start programs (EPS), are read by code that nobody tries to break, or say
# their size twice, and one of them only while they are decoded (ICO).
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM", "TGA", "JPEG2000", "AVIF")
MOST_PIXELS = 40_000_000  # 7,300 × 5,500: some 400 MB while it is decoded
MOST_JPEG_PIXELS = 64_000_000  # JPEG is read at half, a quarter or an eighth of its size
LARGE = 4_000_000  # pixels from which a JPEG is read so


class Refused(ValueError):
    """What is wrong with an image."""


def formats() -> tuple[str, ...]:
    """Those of FORMATS that this installation of Pillow has."""
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def extensions() -> frozenset[str]:
    """The endings of image files that can be read, in lower case."""
    from PIL import Image

    known = (*formats(), "MPO")  # JPEG's own variety for several frames
    return frozenset(ending for ending, kind in Image.registered_extensions().items() if kind in known)


@contextmanager
def strict_sizes() -> Iterator[None]:
    """Within it, an image of more pixels than any photo has is an error, and broken metadata are no news."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@contextmanager
def opened(path: Path, least: tuple[int, int] | None = None) -> Iterator[Image]:
    """The image in a file, not decoded yet; a large JPEG at a fraction that has `least` (width, height).

    Raises DataError naming the file, whatever is wrong with it: decoders raise anything of damaged bytes.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with open_regular(path) as (file, _), Image.open(file, formats=formats()) as image:
            jpeg = image.format in ("JPEG", "MPO")
            most = MOST_JPEG_PIXELS if jpeg else MOST_PIXELS
            if image.width * image.height > most:
                raise Refused(
                    f"{image.width} × {image.height} pixels, at most {most // 1_000_000} million are read; "
                    "reduce it"
                )
            if jpeg and least is not None and image.width * image.height > LARGE:
                image.draft(None, (2 * least[0], 2 * least[1]))
            yield image
    except FileNotFoundError as error:
        raise DataError(f"{path}: not found") from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{path}: cannot be read as an image (no PNG, JPEG, GIF, BMP, TIFF or WebP)"
        ) from error
    except (DataError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise DataError(f"{path}: cannot be read as an image ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    return text[:200] if text else type(error).__name__
