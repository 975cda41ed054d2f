"""Reader of IDX files (the format of MNIST), plain or gzipped; sizes are checked before allocating."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from chainrule.runtime.datasets.dataset import Array, Parts
from chainrule.runtime.errors import DataError
from chainrule.runtime.regular import open_regular

GZIP_MAGIC = b"\x1f\x8b"
DEFLATE_RATIO = 1032  # deflate cannot do better than 1032 : 1
CHUNK = 1 << 20
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_AXES = 6


def read_idx_set(paths: Sequence[Path]) -> Parts:
    """The parts of a set of four files: training images, labels, test images, labels.  Raises DataError."""
    train_x, train_t, test_x, test_t = (
        read_idx(path, ndim=ndim) for path, ndim in zip(paths, (3, 1, 3, 1), strict=True)
    )
    for images, labels, path in ((train_x, train_t, paths[1]), (test_x, test_t, paths[3])):
        check_counts(images, labels, path)
    return Parts(train_x, train_t, test_x, test_t)


def check_counts(images: Array, labels: Array, path: Path) -> None:
    """Raises DataError where there is not one label an image."""
    if len(images) != len(labels):
        raise DataError(
            f"{path}: {len(labels)} labels for {len(images)} images; the files do not belong together"
        )


def read_idx(path: Path, *, ndim: int | None = None) -> NDArray[Any]:
    """The array of an IDX file: bytes of `ndim` dimensions, or whatever it holds.  Raises DataError."""
    try:
        with open_regular(path) as (file, size):
            return parse_idx(file, size, ndim=ndim, name=str(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def parse_idx(file: BinaryIO, size: int, *, ndim: int | None, name: str) -> NDArray[Any]:
    """The array in an open IDX file of `size` bytes.  Raises DataError naming `name`.

    Memory follows the bytes that are really there, never the header's claim.
    """
    zipped = file.read(2) == GZIP_MAGIC
    file.seek(0)
    bound = size * DEFLATE_RATIO if zipped else size
    stream = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if zipped else file
    try:
        dtype, axes = _kind(stream.read(4), ndim, name)
        shape = _shape(stream.read(4 * axes), axes, name)
        expected, read = prod(shape) * dtype.itemsize, 4 + 4 * axes
        if expected + read > bound or (not zipped and expected + read != size):
            there = f"{size} (gzipped)" if zipped else str(size - read)
            raise DataError(
                f"{name}: the header claims {' × '.join(map(str, shape))} = {expected} bytes, the file has "
                f"{there}; the file is truncated or damaged: get it again"
            )
        data = _read(stream, expected)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{name}: truncated or damaged gzip file ({error}); get it again") from error
    if len(data) != expected:
        more = "more" if len(data) > expected else f"only {len(data)}"
        raise DataError(f"{name}: the header claims {expected} bytes of data, there are {more}; get it again")
    return np.frombuffer(data, dtype).reshape(shape)


def _kind(magic: bytes, ndim: int | None, name: str) -> tuple[np.dtype[Any], int]:
    """The type and the number of dimensions that the first four bytes say."""
    begins = f"{name}: begins with {magic.hex(' ') or 'nothing'}"
    if ndim is not None:
        wanted = bytes((0, 0, 8, ndim))
        if magic != wanted:
            raise DataError(
                f"{begins}, an IDX file of {ndim} dimension(s) of bytes begins with {wanted.hex(' ')}; "
                "this is another kind of file"
            )
        return np.dtype("u1"), ndim
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or not 1 <= magic[3] <= MOST_AXES:
        raise DataError(
            f"{begins}, an IDX file with 00 00, a type of 08 to 0e and 1 to {MOST_AXES} dimensions; "
            "this is another kind of file"
        )
    return np.dtype(TYPES[magic[2]]), magic[3]


def _shape(header: bytes, axes: int, name: str) -> tuple[int, ...]:
    if len(header) < 4 * axes:
        raise DataError(f"{name}: ends inside its header; get it again")
    return cast("tuple[int, ...]", struct.unpack(f">{axes}I", header))


def _read(stream: BinaryIO, expected: int) -> bytearray:
    """Up to `expected` + 1 bytes, a chunk at a time; reading past the end checks gzip's own checksum."""
    data = bytearray()
    while len(data) <= expected:
        chunk = stream.read(min(CHUNK, expected + 1 - len(data)))
        if not chunk:
            break
        data += chunk
    return data


def unpacked(data: bytes, limit: int) -> bytes:
    """`data`, gunzipped when it is gzip.  Raises ValueError past `limit` bytes or when damaged."""
    if data[:2] != GZIP_MAGIC:
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            result: Any = stream.read(limit + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"damaged gzip data ({error})") from error
    if len(result) > limit:
        raise ValueError(f"more than {limit} bytes")
    return bytes(result)
