"""Hostile NumPy archives through `derive train --data npz:…` and `derive data`: read, or refused in one line.

python -m bench.fuzz.npz --count 5000
"""

from __future__ import annotations

import io
import random
import sys
import tempfile
import warnings
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.fuzz.harness import campaign
from bench.fuzz.mutation import mutated
from chainrule.runtime.datasets import load_dataset, look_at
from chainrule.runtime.datasets.description import describe
from chainrule.runtime.datasets.samples import sketch
from chainrule.runtime.errors import DataError

NAMES = ("x_train", "y_train", "x_test", "y_test", "x_val", "y_val", "x", "t", "X_train", "labels", "arr_0")
KINDS = (
    "u1",
    "i1",
    "<i2",
    ">i4",
    "i8",
    "u8",
    "f2",
    "f4",
    ">f8",
    "g",
    "?",
    "c8",
    "U3",
    "S2",
    "M8[s]",
    "m8",
    "V4",
    "O",
)
SHAPES = (
    (6, 4),
    (6, 2, 2),
    (6, 4, 1),
    (6, 1, 4),
    (6, 3, 8, 8),
    (6,),
    (6, 1),
    (6, 3),
    (0, 4),
    (0,),
    (),
    (2, 6),
    (5, 4),
    (1, 4),
)
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
HEADERS = (
    "{'descr': '<f8', 'fortran_order': False, 'shape': (%d, 4), }",
    "{'descr': '|u1', 'fortran_order': True, 'shape': (%d, -4), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (1e9,), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (6,), }",
    "{'descr': [('a', '<f8'), ('b', '|O')], 'fortran_order': False, 'shape': (6,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (True, 4), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (%d, 0), }",
    "{'descr': '<f8', 'shape': (6, 4), }",
    "__import__('os').system('true')",
    "(" * 400,
    "{'descr': '|V0', 'fortran_order': False, 'shape': (%d,), }",
)


@cache
def whole() -> tuple[bytes, ...]:
    """Archives that are read."""
    rng = np.random.default_rng(0)
    x, t = rng.random((6, 4)), np.arange(6) % 3
    contents = []
    for save in (np.savez, np.savez_compressed):
        for arrays in (
            {"x_train": x, "y_train": t},
            {"x_train": x, "y_train": t, "x_val": x, "y_val": t, "x_test": x, "y_test": t},
            {"images": (x * 255).astype(np.uint8), "labels": t},
            {"x": np.asfortranarray(x), "t": np.eye(3)[t]},
        ):
            file = io.BytesIO()
            save(file, **arrays)
            contents.append(file.getvalue())
    return tuple(contents)


def make(rng: random.Random) -> bytes:
    """An archive: a whole one with damage, or one made of unlikely members."""
    chance = rng.random()
    if chance < 0.3:
        return _fitting(rng)
    if chance < 0.7:
        return mutated(rng.choice(whole()), rng)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", rng.choice(METHODS)) as archive:
        names = rng.sample(NAMES, rng.randrange(1, 6)) + rng.choice(([], ["x_train", "y_train"]))
        for name in dict.fromkeys(names):
            archive.writestr(rng.choice((f"{name}.npy", f"{name}.npy", name)), _member(rng))
    return mutated(file.getvalue(), rng) if rng.random() < 0.3 else file.getvalue()


def _fitting(rng: random.Random) -> bytes:
    """Arrays of the right shape, in any type and range, with a value or a row that is not as the others."""
    kind, top = rng.choice(KINDS[:11]), rng.choice((2, 3, 17, 128, 256, 300))
    generator = np.random.default_rng(rng.randrange(1 << 30))
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for part in rng.choice((("train",), ("train", "test"), ("train", "val", "test"))):
        rows = rng.choice((1, 6, 6, 6, 40))
        x = generator.integers(0, top, (rows, *rng.choice(((4,), (4,), (2, 2), (4, 1), (1, 4)))))
        t: np.ndarray[Any, Any] = generator.integers(0, rng.choice((2, 3, 3, 4)), rows)
        t = rng.choice(
            (t, t, t[:, None], np.eye(4)[t][:, :3], generator.dirichlet(np.ones(3), rows), t - 0.5)
        )
        with np.errstate(all="ignore"):
            arrays[f"x_{part}"] = x.astype(kind) / rng.choice((1, 1, 1, top)) if kind != "?" else x > 1
        arrays[f"y_{part}"] = t
        if rng.random() < 0.1 and arrays[f"x_{part}"].dtype.kind == "f":
            arrays[f"x_{part}"].flat[rng.randrange(rows)] = rng.choice((np.nan, np.inf, -np.inf))
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _member(rng: random.Random) -> bytes:
    if rng.random() < 0.2:
        text = rng.choice(HEADERS)
        text = text % rng.choice((6, 2**31, 2**62, 10**30)) if "%d" in text else text
        header = text.encode().ljust(118) + b"\n"
        version = rng.choice((b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"))
        return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + rng.randbytes(200)
    if rng.random() < 0.05:
        return bytes(rng.choice((0, 5, 1 << 20, 50 << 20)))
    file = io.BytesIO()
    shape, kind = rng.choice(SHAPES), rng.choice(KINDS)
    generator = np.random.default_rng(rng.randrange(1 << 30))
    values = generator.integers(0, rng.choice((2, 3, 256)), shape)
    if rng.random() < 0.2:
        values = values.astype(float)
        values[values == 1] = rng.choice((np.nan, np.inf, 1e300, -1, 0.5))
    with np.errstate(all="ignore"):
        array = np.asarray(values).astype(np.int64 if kind in ("M8[s]", "m8", "V4") else kind)
    np.save(file, array.view("V8") if kind == "V4" and array.ndim else array)
    return file.getvalue()


def check(content: bytes) -> str:
    """Load it for two networks, and look at it without one."""
    with tempfile.NamedTemporaryFile(suffix=".npz") as file, warnings.catch_warnings():
        warnings.simplefilter("error")
        Path(file.name).write_bytes(content)
        words = set()
        values = {"target_kind": "values", "output_shape": (1,), "classes": 2, "loss": "mse"}
        for wanted in ({"classes": 3}, values, None):
            words.add(_tried(f"npz:{file.name}", wanted))
    return "read" if "read" in words else "refused"


def _tried(source: str, wanted: dict[str, Any] | None) -> str:
    try:
        data = look_at(source) if wanted is None else load_dataset(source, input_shape=(4,), **wanted)
        describe(data).text()
        sketch(data)
    except DataError as error:
        if isinstance(error.__cause__, MemoryError):
            raise error.__cause__ from None
        if "\n" in str(error) or len(str(error)) > 600:
            raise AssertionError(f"not one line: {error}") from error
        return "refused"
    return "read"


if __name__ == "__main__":
    sys.exit(campaign(make, check))
