"""The Dataset that training reads, and the checks that every source's arrays pass on the way to it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.errors import DataError

Array = NDArray[Any]


class Parts(NamedTuple):
    """Inputs and targets for training and for the test, and what the classes are called (may be empty)."""

    train_x: Array
    train_t: Array
    test_x: Array
    test_t: Array
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Raw:
    """Arrays as a source holds them; uint8 inputs are 0 … 255, `labels` says that targets name classes."""

    name: str
    train_x: Array
    train_t: Array
    test_x: Array
    test_t: Array
    origin: str
    labels: bool
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Inputs (N, *input_shape) as they are stored, float32 or uint8; all arrays are contiguous.

    uint8 inputs stand for 0 … 1 in steps of 1/255: `as_floats` gives what a network takes, a batch at a time,
    so that images need a quarter of the memory.  Targets are int64 labels (N,) or float32 values (N, …).
    `validation` is the inputs and targets of a validation set of the data's own.  `origin` says where the
    data came from, `source` what loads them again (empty for a spec's own table), `class_names` what labels
    mean (empty where nobody says).
    """

    name: str
    train_x: Array
    train_t: Array
    test_x: Array
    test_t: Array
    origin: str
    class_names: tuple[str, ...] = ()
    source: str = ""
    validation: tuple[Array, Array] | None = None

    def parts(self) -> dict[str, tuple[Array, Array]]:
        """Inputs and targets by what they are for: training, validation where there is such a set, test."""
        held = {"validation": self.validation} if self.validation is not None else {}
        return {"training": (self.train_x, self.train_t), **held, "test": (self.test_x, self.test_t)}


def as_floats(x: Array, out: Array | None = None) -> Array:
    """Inputs as a network takes them: uint8 as float32 in 0 … 1, into `out` if given; floats unchanged."""
    if x.dtype != np.uint8:
        return x
    values = np.empty(x.shape, np.float32) if out is None else out
    np.copyto(values, x)
    values /= np.float32(255)
    return values


@dataclass(frozen=True)
class Wanted:
    """What a network takes: the shape of one input, the kind of target and the number of classes."""

    input_shape: tuple[int, ...]
    target_kind: str  # "labels" | "values"
    classes: int


def fitted(raw: Raw, wanted: Wanted) -> Dataset:
    """The Dataset a network takes, from a source's arrays.  Raises DataError where they do not fit."""
    parts: list[Array] = []
    for part, x, t in (("train", raw.train_x, raw.train_t), ("test", raw.test_x, raw.test_t)):
        if part == "test" and x is raw.train_x and t is raw.train_t:
            parts += parts[:2]
            continue
        where = f"{raw.origin}: {part}"
        if len(x) != len(t):
            raise DataError(f"{where}: {len(x)} inputs but {len(t)} targets; one target an input is needed")
        if len(x) == 0:
            raise DataError(f"{where}: no samples")
        parts += [_inputs(x, wanted, where), _targets(t, raw.labels, wanted, where)]
    train_x, train_t, test_x, test_t = parts
    return Dataset(raw.name, train_x, train_t, test_x, test_t, raw.origin, raw.class_names)


def _inputs(x: Array, wanted: Wanted, where: str) -> Array:
    sample, shape = x.shape[1:], wanted.input_shape
    if prod(sample) != prod(shape):
        raise DataError(
            f"{where} inputs: one sample has shape {_shape(sample)} = {prod(sample)} values, the network "
            f"takes {_shape(shape)} = {prod(shape)}; change [input] shape, or use other data"
        )
    if x.dtype != np.uint8:
        if not np.issubdtype(x.dtype, np.number) or np.issubdtype(x.dtype, np.complexfloating):
            raise DataError(f"{where} inputs: dtype {x.dtype}; numbers are needed")
        x = x.astype(np.float32)
        _finite(x, f"{where} inputs")
    return np.ascontiguousarray(x.reshape(len(x), *shape))


def _targets(t: Array, labels: bool, wanted: Wanted, where: str) -> Array:
    if labels or wanted.target_kind == "labels":
        checked = checked_labels(t, wanted.classes, where)
        if wanted.target_kind == "labels":
            return checked
        one_hot = np.zeros((len(t), wanted.classes), np.float32)
        one_hot[np.arange(len(t)), checked] = 1
        return one_hot
    if not np.issubdtype(t.dtype, np.number) or np.issubdtype(t.dtype, np.complexfloating):
        raise DataError(f"{where} targets: dtype {t.dtype}; numbers are needed")
    values = np.ascontiguousarray(t.reshape(len(t), -1) if t.ndim == 1 else t, dtype=np.float32)
    _finite(values, f"{where} targets")
    return values


def checked_labels(t: Array, classes: int, where: str) -> Array:
    """Labels (N,) int64 in 0 … classes−1, from whole numbers or one-hot rows.

    Raises DataError with the index of the first that is not.
    """
    if t.ndim == 2 and t.shape[1] == 1:
        t = t[:, 0]
    elif t.ndim == 2 and t.shape[1] == classes and _one_hot(t):
        t = t.argmax(axis=1)
    if t.ndim != 1:
        raise DataError(
            f"{where} labels: shape {_shape(t.shape)}; one whole number a sample is needed, "
            f"or a row of {classes} with one 1 and else 0"
        )
    if not np.issubdtype(t.dtype, np.integer):
        whole = np.issubdtype(t.dtype, np.floating) and bool(np.all(np.isfinite(t) & (t == np.floor(t))))
        if not whole:
            raise DataError(f"{where} labels: dtype {t.dtype}; labels are whole numbers 0 … {classes - 1}")
    bad = np.flatnonzero((t < 0) | (t >= classes))
    if bad.size:
        first = int(bad[0])
        raise DataError(
            f"{where} labels: label {t[first]} at index {first} is outside 0 … {classes - 1} "
            f"({bad.size} such); the network has {classes} classes"
        )
    return np.ascontiguousarray(t, dtype=np.int64)


def _one_hot(t: Array) -> bool:
    return bool(np.all((t == 0) | (t == 1)) and np.all(t.sum(axis=1) == 1))


def _finite(values: Array, where: str) -> None:
    """Raises DataError with the index of the first NaN or infinite value."""
    if np.isfinite(values.sum(dtype=np.float64)):
        return
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        index = tuple(int(i) for i in bad[0])
        raise DataError(
            f"{where}: {values[index]} at index {_shape(index)} ({len(bad)} such); repair the data"
        )


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
