"""Reader of the binary files of CIFAR-10 and CIFAR-100: labels and 1,024 red, green and blue bytes a record.

The files lie in a folder, or in the archive that is published.
Format: https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chainrule.runtime.datasets.dataset import Array, Parts
from chainrule.runtime.errors import DataError
from chainrule.runtime.regular import open_regular

SIDE, CHANNELS = 32, 3
PIXELS = CHANNELS * SIDE * SIDE
MOST_NAMES = 10_000  # bytes of the file of class names
MOST_UNPACKED = 1 << 28  # bytes of the archive that are looked through


@dataclass(frozen=True)
class Layout:
    """The binary files of one set: those for training, that of the test, and the one of class names.

    A record begins with `labels` bytes, the last of which is the class.  `folder` is that of the archive.
    """

    folder: str
    training: tuple[str, ...]
    test: str
    names: str
    classes: int
    labels: int
    records: int  # of a training file
    test_records: int

    @property
    def binary(self) -> tuple[str, ...]:
        """The files of records."""
        return (*self.training, self.test)

    def size(self, name: str) -> int:
        """Bytes of a file of records."""
        return (self.test_records if name == self.test else self.records) * self.record

    @property
    def record(self) -> int:
        """Bytes of a record."""
        return self.labels + PIXELS


CIFAR10 = Layout(
    "cifar-10-batches-bin",
    tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test_batch.bin",
    "batches.meta.txt",
    classes=10,
    labels=1,
    records=10_000,
    test_records=10_000,
)
CIFAR100 = Layout(
    "cifar-100-binary",
    ("train.bin",),
    "test.bin",
    "fine_label_names.txt",
    classes=100,
    labels=2,  # the coarse one of 20, the fine one of 100
    records=50_000,
    test_records=10_000,
)


def read_cifar10(paths: Sequence[Path]) -> Parts:
    """50,000 + 10,000 images of ten classes from the six binary files, or from the one archive."""
    return read_cifar(CIFAR10, paths)


def read_cifar100(paths: Sequence[Path]) -> Parts:
    """50,000 + 10,000 images of a hundred classes from the two binary files, or from the one archive."""
    return read_cifar(CIFAR100, paths)


def read_cifar(layout: Layout, paths: Sequence[Path]) -> Parts:
    """Images (N, 32, 32, 3) uint8 and labels from the binary files, or from the one archive.

    The classes have the names of the file of names where it is there.  Sizes are checked before anything is
    read.  Raises DataError naming the file, and for a label beyond the last class the record.
    """
    if len(paths) == 1:
        files = _members(layout, paths[0])
    else:
        files = {path.name: _content(layout, path) for path in paths}
        names = paths[0].parent / layout.names
        if names.is_file():
            files[layout.names] = _content(layout, names)
    where = str(paths[0] if len(paths) == 1 else paths[0].parent)
    records = [_records(layout, name, files[name], f"{where}/{name}") for name in layout.binary]
    train_x, train_t = _images(layout, records[:-1])
    test_x, test_t = _images(layout, records[-1:])
    found = _names(layout, files[layout.names], f"{where}/{layout.names}") if layout.names in files else ()
    return Parts(train_x, train_t, test_x, test_t, found)


def _size_fault(layout: Layout, name: str, size: int) -> str:
    """What is wrong with the size of a file; empty when nothing is."""
    if name == layout.names:
        return f"has {size} bytes; {layout.classes} names are needed" if size > MOST_NAMES else ""
    wanted = layout.size(name)
    if size == wanted:
        return ""
    return (
        f"has {size:,} bytes = {size / layout.record:,.1f} records of {layout.record:,}; "
        f"{wanted // layout.record:,} records = {wanted:,} bytes are needed: get it again"
    )


def _content(layout: Layout, path: Path) -> bytes:
    try:
        with open_regular(path) as (file, size):
            if fault := _size_fault(layout, path.name, size):
                raise DataError(f"{path}: {fault}")
            return file.read()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _members(layout: Layout, path: Path) -> dict[str, bytes]:
    """The named members of the archive; nothing else in it is looked at, nothing is written anywhere."""
    wanted = {f"{layout.folder}/{name}": name for name in (*layout.binary, layout.names)}
    found: dict[str, bytes] = {}
    try:
        with open_regular(path) as (file, _), tarfile.open(fileobj=file, mode="r:gz") as archive:
            for member in archive:
                if member.offset_data + member.size > MOST_UNPACKED:
                    raise DataError(f"{path}: unpacks to more than {MOST_UNPACKED:,} bytes; get it again")
                name = wanted.get(member.name)
                if name is None or not member.isreg():
                    continue
                fault = "is there twice" if name in found else _size_fault(layout, name, member.size)
                if fault:
                    raise DataError(f"{path}: {member.name} {fault}")
                stream = archive.extractfile(member)
                found[name] = stream.read() if stream is not None else b""
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged archive ({error}); get it again") from error
    if lacking := [name for name in layout.binary if name not in found]:
        raise DataError(f"{path}: no file {layout.folder}/{lacking[0]} in it; get it again")
    return found


def _records(layout: Layout, name: str, content: bytes, where: str) -> Array:
    if fault := _size_fault(layout, name, len(content)):
        raise DataError(f"{where}: {fault}")
    records = np.frombuffer(content, np.uint8).reshape(-1, layout.record)
    labels = records[:, layout.labels - 1]
    bad = np.flatnonzero(labels >= layout.classes)
    if bad.size:
        first = int(bad[0])
        raise DataError(
            f"{where}: label {labels[first]} in record {first} is outside 0 … {layout.classes - 1} "
            f"({bad.size} such); get it again"
        )
    return records


def _images(layout: Layout, files: Sequence[Array]) -> tuple[Array, Array]:
    """Images (N, 32, 32, 3) and labels (N,) of some files; memory is taken once."""
    count = sum(len(records) for records in files)
    images = np.empty((count, SIDE, SIDE, CHANNELS), np.uint8)
    start = 0
    for records in files:
        planes = records[:, layout.labels :].reshape(-1, CHANNELS, SIDE, SIDE)
        images[start : start + len(records)] = planes.transpose(0, 2, 3, 1)
        start += len(records)
    return images, np.concatenate([records[:, layout.labels - 1] for records in files])


def _names(layout: Layout, content: bytes, where: str) -> tuple[str, ...]:
    names = tuple(line.strip() for line in content.decode(errors="replace").splitlines() if line.strip())
    if len(names) != layout.classes or not all(each.isprintable() for each in names):
        raise DataError(
            f"{where}: {len(names)} names; {layout.classes}, one a line, are needed: correct or remove it"
        )
    return names
