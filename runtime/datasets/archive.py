"""Reader of NumPy archives (.npz): only plain arrays, only what the file really holds, nothing unpickled."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from chainrule.runtime.datasets.dataset import Array
from chainrule.runtime.errors import DataError
from chainrule.runtime.regular import available_memory, open_regular

HEADERS = np.lib.format
SUFFIX = ".npy"
DEFLATE_RATIO = 1032  # deflate cannot do better than 1032 : 1
METHODS = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: DEFLATE_RATIO}
MOST_MEMBERS = 1000
MOST_AXES = 32
CHUNK = 1 << 20
ENCRYPTED = 0x1


class Archive:
    """An open archive: the names of its arrays, and each of them when it is asked for."""

    def __init__(self, path: Path, file: zipfile.ZipFile, size: int) -> None:
        self._path, self._file, self._size = path, file, size
        members = file.infolist()
        if len(members) > MOST_MEMBERS:
            raise _Fault(f"{len(members)} members, at most {MOST_MEMBERS} are looked at")
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in members:
            if member.filename.endswith(SUFFIX):
                name = member.filename.removesuffix(SUFFIX)
                if name in self._members:
                    raise _Fault(f"{name} is in it twice")
                self._members[name] = member

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arrays, in the order of the file."""
        return tuple(self._members)

    def __getitem__(self, name: str) -> Array:
        """An array; its size is checked against the file's before memory is taken for it."""
        member = self._members[name]
        if member.flag_bits & ENCRYPTED:
            raise _Fault(f"{name} is encrypted")
        ratio = METHODS.get(member.compress_type)
        if ratio is None:
            raise _Fault(
                f"{name} is compressed by method {member.compress_type}; np.savez writes another one"
            )
        with self._file.open(member) as stream:
            shape, fortran, dtype = _header(stream, name)
            count = prod(shape)
            claimed = count * dtype.itemsize
            if claimed > member.file_size or claimed > ratio * min(member.compress_size, self._size):
                raise _Fault(f"{name} claims the shape {shape} of {dtype} but has {member.file_size} bytes")
            if claimed > available_memory():
                raise _Fault(f"{name} unpacks to {claimed:,} bytes, more than this machine has free")
            content = _content(stream, claimed, name)
        array = np.frombuffer(content.data, dtype, count)
        return array.reshape(shape, order="F" if fortran else "C")


class _Fault(Exception):
    """What is wrong with an archive."""


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """The archive in a file.  Raises DataError naming the file, whatever is wrong with it."""
    try:
        with open_regular(path) as (file, size), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile's of names that are there twice: refused below
            with zipfile.ZipFile(file) as opened:
                yield Archive(path, opened, size)
    except FileNotFoundError as error:
        raise DataError(f"{path}: not found; npz:PATH is relative to the spec's folder") from error
    except _Fault as error:
        raise DataError(f"{path}: cannot be read as a NumPy archive ({error})") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except zipfile.BadZipFile as error:
        alone = path.suffix == SUFFIX
        remedy = (
            "it is one array: store x and t together, np.savez(NAME, x=x, t=t)" if alone else "get it again"
        )
        raise DataError(f"{path}: cannot be read as a NumPy archive ({_line(error)}); {remedy}") from error
    except DataError:
        raise
    except (
        Exception
    ) as error:  # zipfile and zlib raise anything of damaged members: struct, Unicode, overflow …
        reason = _line(error) or type(error).__name__
        raise DataError(f"{path}: cannot be read as a NumPy archive ({reason}); get it again") from error


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:200]}…"


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, order is Fortran's, dtype) of the array that begins in a stream."""
    try:
        version = HEADERS.read_magic(stream)
        read = {(1, 0): HEADERS.read_array_header_1_0, (2, 0): HEADERS.read_array_header_2_0}.get(version)
        if read is None:
            raise _Fault(
                f"{name} has a header of version {version}; arrays of numbers need none but 1.0 and 2.0"
            )
        shape, fortran, dtype = read(stream)
    except (_Fault, zipfile.BadZipFile):
        raise
    except Exception as error:  # a damaged header is parsed as Python's text: any error may come of it
        raise _Fault(f"{name} has a damaged header") from error
    if dtype.hasobject:
        raise _Fault(f"{name} holds Python objects, which are never loaded")
    if len(shape) > MOST_AXES or any(type(n) is not int or not 0 <= n < 1 << 40 for n in shape):
        raise _Fault(f"{name} claims the shape {str(shape)[:80]}")
    return shape, fortran, dtype


def _content(stream: IO[bytes], claimed: int, name: str) -> Array:
    """`claimed` bytes, a chunk at a time; memory is touched as they come."""
    data = np.empty(claimed, np.uint8)
    filled = 0
    while chunk := stream.read(CHUNK):
        if filled + len(chunk) > claimed:
            raise _Fault(f"{name} claims {claimed} bytes of data, there are more")
        data[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
        filled += len(chunk)
    if filled != claimed:
        raise _Fault(f"{name} claims {claimed} bytes of data, there are only {filled}")
    return data
