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

from runtime.datasets.dataset import Parts
from runtime.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
DEFLATE_RATIO = 1032  # deflate cannot do better than 1032 : 1
CHUNK = 1 << 20


def read_idx_set(paths: Sequence[Path]) -> Parts:
    """The parts of a set of four files: training images, labels, test images, labels.  Raises DataError."""
    train_x, train_t, test_x, test_t = (
        read_idx(path, ndim=ndim) for path, ndim in zip(paths, (3, 1, 3, 1), strict=True)
    )
    for images, labels, path in ((train_x, train_t, paths[1]), (test_x, test_t, paths[3])):
        if len(images) != len(labels):
            raise DataError(
                f"{path}: {len(labels)} labels for {len(images)} images; the files do not belong together"
            )
    return Parts(train_x, train_t, test_x, test_t)


def read_idx(path: Path, *, ndim: int) -> NDArray[np.uint8]:
    """The uint8 array of an IDX file, of `ndim` dimensions.  Raises DataError naming the file."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return parse_idx(file, size, ndim=ndim, name=str(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def parse_idx(file: BinaryIO, size: int, *, ndim: int, name: str) -> NDArray[np.uint8]:
    """The uint8 array in an open IDX file of `size` bytes.  Raises DataError naming `name`.

    Memory follows the bytes that are really there, never the header's claim.
    """
    zipped = file.read(2) == GZIP_MAGIC
    file.seek(0)
    bound = size * DEFLATE_RATIO if zipped else size
    stream = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if zipped else file
    try:
        header = stream.read(4 + 4 * ndim)
        shape = _shape(header, ndim, name)
        expected = prod(shape)
        if expected + len(header) > bound or (not zipped and expected + len(header) != size):
            raise DataError(
                f"{name}: the header claims {' × '.join(map(str, shape))} = {expected} bytes, the file has "
                f"{size}{' (gzipped)' if zipped else ''}; the file is truncated or damaged: get it again"
            )
        data = _read(stream, expected)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{name}: truncated or damaged gzip file ({error}); get it again") from error
    if len(data) != expected:
        more = "more" if len(data) > expected else f"only {len(data)}"
        raise DataError(f"{name}: the header claims {expected} bytes of data, there are {more}; get it again")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _shape(header: bytes, ndim: int, name: str) -> tuple[int, ...]:
    wanted = bytes((0, 0, 8, ndim))
    if header[:4] != wanted:
        raise DataError(
            f"{name}: begins with {header[:4].hex(' ') or 'nothing'}, an IDX file of {ndim} dimension(s) of "
            f"bytes begins with {wanted.hex(' ')}; this is another kind of file"
        )
    if len(header) < 4 + 4 * ndim:
        raise DataError(f"{name}: ends inside its header; get it again")
    return cast("tuple[int, ...]", struct.unpack(f">{ndim}I", header[4:]))


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
