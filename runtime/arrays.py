"""Named arrays and text in one file: safetensors with a checksum over all of it; never pickled."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.runtime.files import NotRead, read_exactly, regular, whole

Array = NDArray[Any]

CHECKSUM = "checksum"
DIGITS = 64
MOST_HEADER = 1 << 23  # bytes
KINDS = {"F": "float", "BF": "bfloat", "I": "int", "U": "uint"}
DTYPES = {"BOOL": "bool"} | {
    f"{letter}{bits}": f"{kind}{bits}" for letter, kind in KINDS.items() for bits in (8, 16, 32, 64)
}
# The checksum is the first entry of the header, so that its place is the same in every file.
START = 8 + len(f'{{"__metadata__":{{"{CHECKSUM}":"')


class Unreadable(ValueError):
    """Bytes that are no such file, or no longer what was written; the message says what is wrong."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself: name → (dtype, shape) of its arrays, and its metadata."""

    arrays: Mapping[str, tuple[str, tuple[int, ...]]]
    metadata: Mapping[str, str]


def pack(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> bytearray:
    """The bytes of a safetensors file; the same input gives the same bytes."""
    from safetensors.numpy import save

    plain = save({name: np.ascontiguousarray(value) for name, value in arrays.items()})
    header, start = _header(plain)
    about = {CHECKSUM: "0" * DIGITS} | dict(sorted(metadata.items()))
    text = json.dumps({"__metadata__": about, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    content = bytearray(struct.pack("<Q", len(text)) + text)
    content += memoryview(plain)[start:]
    content[START : START + DIGITS] = _digest(content)
    return content


def read_arrays(
    path: Path, accept: Callable[[Header, int], None], *, checksum: bool = False
) -> tuple[dict[str, Array], dict[str, str]]:
    """(arrays, metadata) of a file.  `accept` sees its header and its bytes first, and may raise.

    Raises OSError where the file cannot be read, Unreadable for anything but what `pack` gives.
    """
    try:
        with regular(path) as (handle, size):
            start = read_exactly(handle, 8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > min(MOST_HEADER, size - 8):
                raise Unreadable(f"not safetensors: its header says {length:,} bytes, the file has {size:,}")
            start += read_exactly(handle, length)
            header = read_header(start)
            accept(header, size)
            content = start + read_exactly(handle, size - len(start))
    except NotRead as error:
        raise Unreadable(str(error)) from error
    return unpack(content, checksum=checksum)


def unpack(content: bytes, *, checksum: bool = False) -> tuple[dict[str, Array], dict[str, str]]:
    """(arrays, metadata) from the bytes of a file; a checksum, where there is one, must fit.

    With `checksum`, there must be one.  Raises Unreadable.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    header = read_header(content)
    try:
        arrays = dict(load(content))  # checks that the header is whole and that no two arrays overlap
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"not safetensors: {error}") from error
    metadata = dict(header.metadata)
    written = metadata.pop(CHECKSUM, None)
    if written is None and checksum:
        raise Unreadable("it has no checksum")
    if written is not None and written.encode(errors="replace") != _digest(content):
        raise Unreadable("its checksum is wrong")
    return arrays, metadata


def read_header(content: bytes) -> Header:
    """The header of a file that begins so.  Raises Unreadable."""
    try:
        entries, _ = _header(content)
        metadata = entries.pop("__metadata__", {})
        layout = {
            name: (str(DTYPES.get(entry["dtype"], entry["dtype"])), tuple(map(int, entry["shape"])))
            for name, entry in entries.items()
        }
        return Header(layout, {str(key): str(value) for key, value in metadata.items()})
    except RecursionError as error:
        raise Unreadable("not safetensors: its header is nested too deeply") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error) as error:
        raise Unreadable(f"not safetensors: {error!r:.100}") from error


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length], parse_int=whole), 8 + length


def _digest(content: bytes | bytearray) -> bytes:
    """SHA-256, in hexadecimal, of the file with zeros in place of the checksum."""
    view = memoryview(content)
    digest = hashlib.sha256(view[:START])
    digest.update(b"0" * DIGITS)
    digest.update(view[START + DIGITS :])
    return digest.hexdigest().encode()
