"""What the tests of data write: archives, pictures in class folders, IDX files; and a network for them."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from chainrule.runtime.datasets import Dataset, load_dataset


def load(data: str, root: Path, shape: Sequence[int], **wanted: Any) -> Dataset:
    """A source below `root`, for a network of input `shape`; of three classes where nobody says otherwise."""
    kind, _, path = data.partition(":")
    return load_dataset(
        f"{kind}:{root / path}",
        input_shape=tuple(shape),
        **({"classes": 3} | wanted),
        notify=lambda line: None,
    )


def single(loss: str) -> dict[str, Any]:
    """What a network of one output takes."""
    return {"target_kind": "values", "classes": 2, "output_shape": (1,), "loss": loss}


def classes(folder: Path, count: int = 5, names: Sequence[str] = ("0", "1", "2"), size: int = 6) -> None:
    """Grey pictures whose brightness tells their class."""
    for label, name in enumerate(names):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.new("RGB", (size, size), (40 + 70 * label, i, 0)).save(folder / name / f"{i}.png")


def idx(array: np.ndarray, code: int = 8) -> bytes:
    """The bytes of an IDX file."""
    return bytes((0, 0, code, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder: Path, begin: str, x: np.ndarray, t: np.ndarray, part: str = "train") -> None:
    """Images and labels, gzipped."""
    folder.mkdir(parents=True, exist_ok=True)
    for what, array in (("images-idx3", x), ("labels-idx1", t)):
        (folder / f"{begin}{part}-{what}-ubyte.gz").write_bytes(gzip.compress(idx(array)))


SPEC = """spec_version = 1
name = "net"
[input]
shape = {shape}
[[layers]]
type = "dense"
units = {units}
activation = "{activation}"
[loss]
type = "{loss}"
[training]
epochs = 1
{training}
"""


def write_spec(
    path: Path,
    shape: Sequence[int],
    units: int = 3,
    activation: str = "softmax",
    loss: str = "cross_entropy",
    training: str = "",
) -> Path:
    """A spec of one layer."""
    text = SPEC.format(shape=list(shape), units=units, activation=activation, loss=loss, training=training)
    path.write_text(text)
    return path
