"""Targets as they are stored become what a network's loss takes: labels, rows of probabilities, or values."""

from __future__ import annotations

import numpy as np

from chainrule.runtime.datasets.dataset import Array, Wanted, probabilities, shape_text
from chainrule.runtime.datasets.layout import arranged
from chainrule.runtime.errors import DataError
from chainrule.runtime.losses import ONE_HOT, VALUES, targets_of

MOST_NOTED = 20  # classes that a single output is asked about


def targets(t: Array, labels: bool, wanted: Wanted, where: str) -> tuple[Array, str]:
    """int64 labels (N,), or float32 values (N, *output_shape), and a note.  Raises DataError with the index.

    Whole numbers, one a sample, number classes where the network has an output for each (rows with one 1,
    where the loss needs rows); for a single output they are values, 0 and 1 those of two classes.
    """
    where = f"{where} targets"
    if t.dtype.kind not in "biuf":
        words = "; number them: names, t = np.unique(t, return_inverse=True)" if t.dtype.kind in "US" else ""
        raise DataError(f"{where}: dtype {t.dtype}; numbers are needed{words}")
    if wanted.target_kind == "labels":
        if _soft(t, wanted.classes):
            return _values(t, wanted, where)
        return checked_labels(t, wanted.classes, where), ""
    if wanted.single and labels:
        return checked_labels(t, 2, where).astype(np.float32).reshape(-1, *(wanted.output_shape or ())), ""
    one_each = t.size == len(t)
    if (labels or (t.dtype.kind in "biu" and one_each)) and not wanted.single:
        one_hot = np.zeros((len(t), wanted.classes), np.float32)
        one_hot[np.arange(len(t)), checked_labels(t, wanted.classes, where)] = 1
        shape = wanted.output_shape or one_hot.shape[1:]
        return one_hot.reshape(len(t), *shape), ""
    found, note = _values(t, wanted, where)
    return found, note or (_as_values(t) if wanted.single and one_each else "")


def _as_values(t: Array) -> str:
    """A note on whole numbers that a single output takes for values, where they may be meant for classes."""
    classes = np.unique(t) if t.dtype.kind in "iu" else t[:0]
    if not 3 <= len(classes) <= MOST_NOTED or not np.array_equal(classes, np.arange(len(classes))):
        return ""
    return (
        f"whole numbers 0 … {len(classes) - 1} are taken as values; if they are classes, end the network "
        f"with {len(classes)} units"
    )


def _values(t: Array, wanted: Wanted, where: str) -> tuple[Array, str]:
    note, shape = "", wanted.output_shape
    if t.ndim == 1:
        t = t.reshape(-1, 1)
    if shape is not None:
        t, note = arranged(t, shape, where, "gives")
    _finite(t, where)
    values = np.ascontiguousarray(t, dtype=np.float32)
    if targets_of(wanted.loss) != VALUES:
        bad = np.argwhere((values < 0) | (values > 1))
        if len(bad):
            index = tuple(int(i) for i in bad[0])
            remedy = _two_valued(values)
            raise DataError(
                f"{where}: {values[index]:g} at index {shape_text(index)} ({len(bad)} such); targets of the "
                f"{wanted.loss} are within 0 … 1{remedy}"
            )
    if targets_of(wanted.loss) == ONE_HOT or wanted.target_kind == "labels":
        row = probabilities(values.reshape(len(values), -1))
        if row is not None:
            raise DataError(
                f"{where}: row {row} sums to {values[row].sum():.6g}; the rows of the cross_entropy are "
                "probabilities that sum to 1: store t / t.sum(axis=1, keepdims=True) as float32"
            )
    return values, note


def checked_labels(t: Array, classes: int, where: str) -> Array:
    """Labels (N,) int64 in 0 … classes−1, from whole numbers, truth values or one-hot rows.

    Raises DataError with the index of the first that is not.
    """
    if t.ndim > 1 and t.size == len(t):
        t = t.reshape(-1)
    elif t.ndim == 2 and t.shape[1] == classes and _one_hot(t):
        t = t.argmax(axis=1)
    if t.ndim != 1:
        raise DataError(
            f"{where}: labels of shape {shape_text(t.shape)}; one whole number a sample is needed, "
            f"or a row of {classes} with one 1 and else 0, or of probabilities that sum to 1"
        )
    if t.dtype.kind == "f":
        bad = np.flatnonzero(~(np.isfinite(t) & (t == np.floor(t))))
        if bad.size:
            raise DataError(
                f"{where}: label {t[bad[0]]} at index {bad[0]}; labels are whole numbers 0 … {classes - 1}"
            )
    elif t.dtype.kind == "b":
        t = t.astype(np.int64)
    bad = np.flatnonzero((t < 0) | (t >= classes))
    if bad.size:
        first = int(bad[0])
        counted = t.min() == 1 and t.max() == classes
        remedy = "; labels that count from 1 are stored as t - 1" if counted else _two_valued(t)
        raise DataError(
            f"{where}: label {t[first]} at index {first} is outside 0 … {classes - 1} "
            f"({bad.size} such); the network has {classes} classes{remedy}"
        )
    return np.ascontiguousarray(t, dtype=np.int64)


def _two_valued(t: Array) -> str:
    """The remedy for targets of two values, other than 0 and 1; "" for others."""
    found = np.unique(t)
    return f"; store t == {found[1]}" if len(found) == 2 else ""


def _one_hot(t: Array) -> bool:
    return bool(np.all((t == 0) | (t == 1)) and np.all(t.sum(axis=1) == 1))


def _soft(t: Array, classes: int) -> bool:
    """Whether these are rows of numbers for all classes, and not one-hot rows."""
    return t.dtype.kind == "f" and t.ndim == 2 and t.shape[1] == classes > 1 and not _one_hot(t)


def _finite(values: Array, where: str) -> None:
    most = float(np.finfo(np.float32).max)
    with np.errstate(all="ignore"):
        bad = np.argwhere(~(np.isfinite(values) & (np.abs(values) <= most)))
    if len(bad):
        index = tuple(int(i) for i in bad[0])
        raise DataError(
            f"{where}: {values[index]} at index {shape_text(index)} ({len(bad)} such); repair the data"
        )
