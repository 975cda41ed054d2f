"""Data in a NumPy archive: x_train, y_train, x_test, y_test; or x, t."""

from __future__ import annotations

import zipfile
import zlib
from math import prod
from pathlib import Path

import numpy as np

from runtime.datasets.dataset import Array, Raw
from runtime.errors import DataError

HEADERS = np.lib.format
NAMES = (("x_train", "y_train", "x_test", "y_test"), ("x", "t", "x_test", "t_test"))


def load_npz(path: Path) -> Raw:
    """The arrays of an archive; without test arrays the training arrays are the test as well.

    Whole-number targets of one dimension are labels.  Nothing is unpickled.  Raises DataError.
    """
    try:
        _check_sizes(path)
        with np.load(path, allow_pickle=False) as archive:
            present = list(archive.files)
            names = next((names for names in NAMES if names[0] in present and names[1] in present), None)
            if names is None:
                held = ", ".join(present) or "nothing"
                raise DataError(f"{path}: holds {held}; x_train, y_train (or x, t) are needed")
            arrays: dict[str, Array] = {name: archive[name] for name in names if name in present}
    except FileNotFoundError as error:
        raise DataError(f"{path}: not found; npz:PATH is relative to the spec's folder") from error
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        reason = "it holds Python objects, which are never loaded" if "pickle" in str(error) else str(error)
        raise DataError(f"{path}: cannot be read as a NumPy archive ({reason})") from error
    for name, array in arrays.items():
        if array.ndim == 0:
            raise DataError(f"{path}: {name} is a single number; one row a sample is needed")
    x, t = arrays[names[0]], arrays[names[1]]
    test_x, test_t = arrays.get(names[2]), arrays.get(names[3])
    if test_x is None or test_t is None:
        test_x, test_t = x, t
    labels = bool(np.issubdtype(t.dtype, np.integer)) and prod(t.shape[1:]) == 1
    return Raw(path.stem, x, t, test_x, test_t, str(path), labels)


def _check_sizes(path: Path) -> None:
    """Refuses members whose header claims more than the archive holds, before anything is allocated."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.filename.endswith(".npy"):
                continue
            with archive.open(member) as file:
                version = HEADERS.read_magic(file)
                first = version == (1, 0)
                read = HEADERS.read_array_header_1_0 if first else HEADERS.read_array_header_2_0
                shape, _, dtype = read(file)
            if not dtype.hasobject and prod(shape) * dtype.itemsize > member.file_size:
                raise ValueError(f"{member.filename} claims shape {shape} but has {member.file_size} bytes")
