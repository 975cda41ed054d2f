"""The stages of data: `Raw` of a source, `Wanted` by a network, `Dataset` as training reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TRAINING, VALIDATION, TEST = "training", "validation", "test"


class Part(NamedTuple):
    """Inputs and targets, one row a sample."""

    x: Array
    t: Array


class Parts(NamedTuple):
    """Inputs and targets for training and for the test, and what the classes are called (may be empty)."""

    train_x: Array
    train_t: Array
    test_x: Array
    test_t: Array
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Raw:
    """Arrays as a source holds them, by what they are for; training is always there.

    `labels` says that targets name classes, `from_one` that they may count from 1, `pixels` that inputs are
    bytes of pictures (True) or meant as they are written (False); None leaves it to their values.
    `full_scale` is the value that became 255 in pictures of more than 8 bits.  `notes` say what was done in
    reading, and what there is that is not used.
    """

    name: str
    parts: Mapping[str, Part]
    origin: str
    labels: bool = False
    from_one: bool = False
    pixels: bool | None = None
    full_scale: float | None = None
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What a network takes: shapes of one input and one output, kind of target, number of classes, loss.

    `output_shape` may be None and `loss` empty where nobody knows.  `names` are the classes of a network that
    is trained already: its data may lack some.  `full_scale` is what became 255 in its images of more than
    8 bits, None where there were none.
    """

    input_shape: tuple[int, ...]
    target_kind: str  # "labels" | "values"
    classes: int
    output_shape: tuple[int, ...] | None = None
    loss: str = ""
    names: tuple[str, ...] = ()
    full_scale: float | None = None

    @property
    def single(self) -> bool:
        """Whether the output is one number, the score of class 1 where there are classes."""
        return self.output_shape is not None and prod(self.output_shape) == 1


@dataclass(frozen=True)
class Stored:
    """Inputs as the source held them: shape of one, dtype, smallest and largest value, what divides them.

    `full_scale` is the value that became 255 in pictures of more than 8 bits, None where there are none.
    """

    shape: tuple[int, ...]
    dtype: str
    low: float
    high: float
    divisor: int
    full_scale: float | None = None

    @property
    def span(self) -> tuple[float, float]:
        """The smallest and the largest value that a network gets."""
        return self.low / self.divisor, self.high / self.divisor


@dataclass(frozen=True)
class Dataset:
    """Inputs (N, *input_shape) as they are stored, float32 or uint8; all arrays are contiguous.

    uint8 inputs stand for 0 … 1 in steps of 1/255: `as_floats` gives what a network takes, a batch at a time,
    so that images need a quarter of the memory.  Targets are int64 labels (N,) or float32 values (N, …).
    Where the source has no test set, the test arrays have no rows.  `validation` is a validation set of the
    source's own.  `origin` says where the data came from, `source` what loads them again (empty for a spec's
    own table), `class_names` what labels mean (empty where nobody says), `stored` and `notes` what was found
    and what was done with it.
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
    stored: Stored | None = None
    notes: tuple[str, ...] = ()

    def parts(self) -> dict[str, tuple[Array, Array]]:
        """Inputs and targets by what they are for: training, validation where there is such a set, test."""
        held = {VALIDATION: self.validation} if self.validation is not None else {}
        return {TRAINING: (self.train_x, self.train_t), **held, TEST: (self.test_x, self.test_t)}

    @property
    def soft(self) -> bool:
        """Whether targets are rows, not labels."""
        return self.train_t.ndim > 1

    @cached_property
    def classes(self) -> bool:
        """Whether targets name classes: labels, rows of probabilities, or 0 and 1 for a single output."""
        return all(_name_classes(t) for _, t in self.parts().values() if len(t))


def _name_classes(t: Array) -> bool:
    if t.dtype.kind in "iu" and t.ndim == 1:
        return True
    rows = t.reshape(len(t), -1)
    if rows.shape[1] == 1:
        return bool(np.all((rows == 0) | (rows == 1)))
    return probabilities(rows) is None


def probabilities(rows: Array) -> int | None:
    """The index of the first row that is not of numbers within 0 … 1 that sum to 1; else None."""
    within = ((rows >= 0) & (rows <= 1)).all(axis=1)
    bad = np.flatnonzero(~(within & (np.abs(rows.sum(axis=1, dtype=np.float64) - 1) <= 1e-4)))
    return int(bad[0]) if bad.size else None


def as_floats(x: Array, out: Array | None = None) -> Array:
    """Inputs as a network takes them: uint8 as float32 in 0 … 1, into `out` if given; floats unchanged."""
    if x.dtype != np.uint8:
        return x
    values = np.empty(x.shape, np.float32) if out is None else out
    np.copyto(values, x)
    values /= np.float32(255)
    return values


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as Python writes it."""
    return "(" + ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
