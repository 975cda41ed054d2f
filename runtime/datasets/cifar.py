"""Reader of CIFAR-10's binary files: 3,073-byte records, a label and 1,024 red, green and blue bytes.

The six files lie in a folder, or in the archive that is published.
Format: https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runtime.datasets.dataset import Array, Parts
from runtime.errors import DataError

SIDE, CHANNELS, CLASSES = 32, 3, 10
RECORD = 1 + CHANNELS * SIDE * SIDE
RECORDS = 10_000  # of each file
FOLDER = "cifar-10-batches-bin"  # in the archive
BINARY = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
NAMES = "batches.meta.txt"
MOST_NAMES = 10_000  # bytes of the file of class names
MOST_UNPACKED = 1 << 28  # bytes of the archive that are looked through


def read_cifar10(paths: Sequence[Path]) -> Parts:
    """50,000 + 10,000 images (N, 32, 32, 3) uint8 from the six binary files, or from the one archive.

    The classes have the names of batches.meta.txt where it is there.  Sizes are checked before anything is
    read.  Raises DataError naming the file, and for a label beyond 9 the record.
    """
    if len(paths) == 1:
        files = _members(paths[0])
    else:
        files = {path.name: _content(path) for path in paths}
        names = paths[0].parent / NAMES
        if names.is_file():
            files[NAMES] = _content(names)
    where = str(paths[0] if len(paths) == 1 else paths[0].parent)
    records = [_records(files[name], f"{where}/{name}") for name in BINARY]
    train_x, train_t = _images(records[:-1])
    test_x, test_t = _images(records[-1:])
    names_found = _names(files[NAMES], f"{where}/{NAMES}") if NAMES in files else ()
    return Parts(train_x, train_t, test_x, test_t, names_found)


def _size_fault(name: str, size: int) -> str:
    """What is wrong with the size of a file; empty when nothing is."""
    if name == NAMES:
        return f"has {size} bytes; ten names are needed" if size > MOST_NAMES else ""
    wanted = RECORD * RECORDS
    if size == wanted:
        return ""
    return (
        f"has {size:,} bytes = {size / RECORD:,.1f} records of {RECORD:,}; "
        f"{RECORDS:,} records = {wanted:,} bytes are needed: get it again"
    )


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if fault := _size_fault(path.name, size):
            raise DataError(f"{path}: {fault}")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _members(path: Path) -> dict[str, bytes]:
    """The named members of the archive; nothing else in it is looked at, nothing is written anywhere."""
    wanted = {f"{FOLDER}/{name}": name for name in (*BINARY, NAMES)}
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if member.offset_data + member.size > MOST_UNPACKED:
                    raise DataError(f"{path}: unpacks to more than {MOST_UNPACKED:,} bytes; get it again")
                name = wanted.get(member.name)
                if name is None or not member.isreg():
                    continue
                fault = "is there twice" if name in found else _size_fault(name, member.size)
                if fault:
                    raise DataError(f"{path}: {member.name} {fault}")
                stream = archive.extractfile(member)
                found[name] = stream.read() if stream is not None else b""
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged archive ({error}); get it again") from error
    if lacking := [name for name in BINARY if name not in found]:
        raise DataError(f"{path}: no file {FOLDER}/{lacking[0]} in it; get it again")
    return found


def _records(content: bytes, name: str) -> Array:
    if fault := _size_fault(name.rpartition("/")[2], len(content)):
        raise DataError(f"{name}: {fault}")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    bad = np.flatnonzero(records[:, 0] >= CLASSES)
    if bad.size:
        first = int(bad[0])
        raise DataError(
            f"{name}: label {records[first, 0]} in record {first} is outside 0 … {CLASSES - 1} "
            f"({bad.size} such); get it again"
        )
    return records


def _images(files: Sequence[Array]) -> tuple[Array, Array]:
    """Images (N, 32, 32, 3) and labels (N,) of some files; memory is taken once."""
    count = sum(len(records) for records in files)
    images = np.empty((count, SIDE, SIDE, CHANNELS), np.uint8)
    start = 0
    for records in files:
        planes = records[:, 1:].reshape(-1, CHANNELS, SIDE, SIDE)
        images[start : start + len(records)] = planes.transpose(0, 2, 3, 1)
        start += len(records)
    return images, np.concatenate([records[:, 0] for records in files])


def _names(content: bytes, name: str) -> tuple[str, ...]:
    names = tuple(line.strip() for line in content.decode(errors="replace").splitlines() if line.strip())
    if len(names) != CLASSES or not all(each.isprintable() for each in names):
        raise DataError(f"{name}: {len(names)} names; ten, one a line, are needed: correct or remove it")
    return names
