"""Hostile image files, as `derive predict` and `folder:PATH` read them: read, or refused in one line.

python -m bench.fuzz.images --count 5000
"""

from __future__ import annotations

import io
import random
import struct
import sys
import tempfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from bench.fuzz.harness import campaign
from bench.fuzz.mutation import mutated
from chainrule.runtime.errors import DataError
from chainrule.runtime.imagefiles import formats
from chainrule.runtime.images import FITS, image_size, read_image, strict_sizes

SHAPES = ((8, 8, 1), (8, 6, 3), (28, 28, 1), (1, 1, 3))
WRITTEN = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "JPEG2000", "AVIF")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F", "YCbCr")
COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4")


@cache
def whole() -> tuple[bytes, ...]:
    """Files that are read: every format in every mode that it takes, with metadata and several frames."""
    rng = np.random.default_rng(0)
    base = Image.fromarray(rng.integers(0, 256, (24, 20, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    contents = []
    for kind in WRITTEN:
        if kind not in formats():
            continue
        for mode in MODES:
            image = base.convert("I").convert(mode) if mode in ("I;16", "F") else base.convert(mode)
            extras: list[dict[str, object]] = [{}, {"exif": exif, "icc_profile": rng.bytes(200)}]
            extras += [{"compression": name} for name in COMPRESSIONS] if kind == "TIFF" else []
            extras += (
                [{"save_all": True, "append_images": [image, image]}]
                if kind in ("GIF", "TIFF", "PNG", "WEBP")
                else []
            )
            for extra in extras:
                file = io.BytesIO()
                try:
                    image.save(file, kind, **extra)
                except (OSError, ValueError, KeyError, RuntimeError, TypeError):
                    continue
                contents.append(file.getvalue())
    return tuple(contents)


def make(rng: random.Random) -> tuple[bytes, tuple[int, int, int], str]:
    """A file, the shape that is wanted of it and how it is fitted."""
    shape, fit = rng.choice(SHAPES), rng.choice(FITS)
    chance = rng.random()
    if chance < 0.08:
        return _claiming_png(rng), shape, fit
    if chance < 0.12:
        return _claiming(rng), shape, fit
    if chance < 0.15:
        return rng.choice((b"", b"P5", rng.randbytes(300), b"%!PS-Adobe-3.0 EPSF-3.0\n")), shape, fit
    return mutated(rng.choice(whole()), rng), shape, fit


def _claiming_png(rng: random.Random) -> bytes:
    """A small PNG that says it has a great many pixels, and may have them."""
    side = rng.choice((1, 200, 3000, 6300, 20_000, 2**31 - 1))
    depth, colour, wide = rng.choice(((8, 0, 1), (8, 2, 3), (8, 6, 4), (16, 0, 2), (16, 6, 8), (1, 0, 1)))
    row = bytes(1 + min(side, 20_000) * wide)
    rows = b"".join(row for _ in range(min(side, (20 << 20) // len(row) + 1)))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0))]
    chunks += rng.choice(
        (
            [],
            [(b"zTXt", b"a\0\0" + zlib.compress(bytes(30 << 20)))],
            [(b"iCCP", b"a\0\0" + zlib.compress(bytes(9 << 20)))],
        )
    )
    chunks += [(b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")]
    packed = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _claiming(rng: random.Random) -> bytes:
    """Headers of other formats with sizes that nothing stands behind."""
    a, b = rng.choice((1, 300, 6000, 65_535, 2**31)), rng.choice((1, 300, 6000, 65_535, 2**31))
    return rng.choice(
        (
            f"P6 {a} {b} 255\n".encode() + bytes(100),
            f"P5 {a} {b} 65535\n".encode() + bytes(100),
            f"P1 {a} {b}\n".encode() + b"1 " * 50,
            b"BM" + struct.pack("<IIIIIIHHIIIIII", 100, 0, 54, 40, a, b, 1, 24, 0, 0, 0, 0, 0, 0),
            b"GIF89a" + struct.pack("<HH", a & 65535, b & 65535) + b"\xf0\0\0" + bytes(6) + b",\0\0\0\0"
            + struct.pack("<HH", a & 65535, b & 65535) + b"\0\x02\x16" + bytes(22) + b"\0;",
        )
    )  # fmt: skip


def check(made: tuple[bytes, tuple[int, int, int], str]) -> str:
    """Read it as a prediction does, and its size as a look at a folder does."""
    content, shape, fit = made
    words = set()
    with tempfile.NamedTemporaryFile(suffix=".png") as file, strict_sizes():
        path = Path(file.name)
        path.write_bytes(content)
        for read in (lambda: read_image(path, shape, fit), lambda: image_size(path)):
            try:
                read()
                words.add("read")
            except DataError as error:
                if isinstance(error.__cause__, MemoryError):
                    raise error.__cause__ from None
                if "\n" in str(error) or len(str(error)) > 600:
                    raise AssertionError(f"not one line: {error}") from error
                words.add("refused")
    return "refused" if words == {"refused"} else "read"


if __name__ == "__main__":
    sys.exit(campaign(make, check))
