"""Named arrays and text in one file: safetensors with a checksum over all of it; never pickled."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

CHECKSUM = "checksum"
DIGITS = 64
# The checksum is the first entry of the header, so that its place is the same in every file.
START = 8 + len(f'{{"__metadata__":{{"{CHECKSUM}":"')


class Unreadable(ValueError):
    """Bytes that are no such file, or no longer what was written; the message says what is wrong."""


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


def unpack(content: bytes, *, checksum: bool = False) -> tuple[dict[str, Array], dict[str, str]]:
    """(arrays, metadata) from the bytes of a file; a checksum, where there is one, must fit.

    With `checksum`, there must be one.  Raises Unreadable.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = dict(load(content))  # checks that the header is whole and that no two arrays overlap
        metadata = {str(k): str(v) for k, v in _header(content)[0].get("__metadata__", {}).items()}
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"not safetensors: {error}") from error
    written = metadata.pop(CHECKSUM, None)
    if written is None and checksum:
        raise Unreadable("it has no checksum")
    if written is not None and written.encode() != _digest(content):
        raise Unreadable("its checksum is wrong")
    return arrays, metadata


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), 8 + length


def _digest(content: bytes | bytearray) -> bytes:
    """SHA-256, in hexadecimal, of the file with zeros in place of the checksum."""
    view = memoryview(content)
    digest = hashlib.sha256(view[:START])
    digest.update(b"0" * DIGITS)
    digest.update(view[START + DIGITS :])
    return digest.hexdigest().encode()
