"""What was found in data, in one object that `derive data`, training and the summary show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.runtime.datasets.dataset import TEST, TRAINING, VALIDATION, Array, Dataset

MOST_CLASSES = 12  # whose counts a line shows


@dataclass(frozen=True)
class Split:
    """One part of the data: how many samples, and of each class (empty where targets name none)."""

    name: str
    samples: int
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Description:
    """What data hold, and what is done with them."""

    name: str
    origin: str
    splits: tuple[Split, ...]
    class_names: tuple[str, ...]
    inputs: str
    targets: str
    notes: tuple[str, ...]
    stored: dict[str, Any]
    scored: str  # the part that the last scores of a run are of

    def rows(self) -> Iterator[tuple[str, str]]:
        """(what, text) line by line."""
        yield "data", self.name if self.origin in ("", self.name) else f"{self.name} ({self.origin})"
        for split in self.splits:
            yield split.name, self._split(split)
        yield "inputs", self.inputs
        yield "targets", self.targets
        for note in self.notes:
            yield "note", note

    def text(self) -> str:
        """The rows as lines."""
        return "\n".join(f"{what:<10}  {text}" for what, text in self.rows())

    def as_json(self) -> dict[str, Any]:
        """The description as JSON values."""
        return {
            "splits": {
                split.name: {
                    "samples": split.samples,
                    **({"classes": list(split.counts)} if split.counts else {}),
                }
                for split in self.splits
            },
            "inputs": self.stored,
            "targets": self.targets,
            "notes": list(self.notes),
            "text": self.text().splitlines(),
        }

    def _split(self, split: Split) -> str:
        if not split.samples:
            return f"none: the last scores are of the {self.scored} samples" if split.name == TEST else "none"
        counted = "" if split.samples == 1 else "s"
        if not split.counts:
            return f"{split.samples:,} sample{counted}"
        pairs = [f"{self.class_names[k]} {count:,}" for k, count in enumerate(split.counts)]
        if len(pairs) > MOST_CLASSES:
            few, most = min(split.counts), max(split.counts)
            pairs = [f"{len(pairs)} classes of {few:,}" + (f" to {most:,}" if most > few else "")]
        return f"{split.samples:,} sample{counted}: {', '.join(pairs)}"


def describe(data: Dataset, split: float = 0.0) -> Description:
    """What is in `data`; `split` is the share of training samples that is held out for validation."""
    classes = _classes(data)
    names = tuple(data.class_names[k] if k < len(data.class_names) else str(k) for k in range(classes))
    splits = []
    for part, (x, t) in data.parts().items():
        splits.append(Split(part, len(x), _counts(t, classes)))
    notes = list(data.notes)
    held_out = 0 if data.validation is not None else int(len(data.train_x) * split)
    if split and data.validation is not None:
        notes.append(f"validation_split = {split:g} is not used: there is a validation set")
    if held_out:
        notes.append(f"{held_out:,} of the training samples are held out for validation")
    empty = [names[k] for k, count in enumerate(splits[0].counts) if not count]
    if empty:
        notes.append(f"no training samples of class {', '.join(empty[:5])}{', …' * (len(empty) > 5)}")
    return Description(
        data.name,
        data.origin,
        tuple(splits),
        names,
        _inputs(data),
        _targets(data, names),
        tuple(notes),
        _stored(data),
        TEST if len(data.test_x) else VALIDATION if held_out or data.validation is not None else TRAINING,
    )


def _classes(data: Dataset) -> int:
    """How many classes targets name; 0 where they are values."""
    t = data.train_t
    if not data.classes:
        return 0
    if t.dtype.kind in "iu":
        top = max(int(part.max()) for _, part in data.parts().values() if len(part))
        return max(top + 1, len(data.class_names))
    width = t.size // len(t)
    return width if width > 1 else 2


def _counts(t: Array, classes: int) -> tuple[int, ...]:
    """Samples of each class; of rows of probabilities the likeliest counts."""
    if not classes or not len(t):
        return ()
    rows = t.reshape(len(t), -1)
    labels = rows[:, 0].astype(np.int64) if rows.shape[1] == 1 else rows.argmax(axis=1)
    return tuple(np.bincount(labels, minlength=classes).tolist())


def _inputs(data: Dataset) -> str:
    shape = " × ".join(map(str, data.train_x.shape[1:]))
    stored = data.stored
    if stored is None:
        return shape
    span = f"{_number(stored.low)} … {_number(stored.high)}"
    done = f"divided by {stored.divisor}" if stored.divisor > 1 else "taken as they are"
    there = " × ".join(map(str, stored.shape)) or "1"
    return f"{there if there == shape else f'{there} → {shape}'}, {stored.dtype} of {span}, {done}"


def _targets(data: Dataset, names: tuple[str, ...]) -> str:
    t = data.train_t
    if t.dtype.kind in "iu" and t.ndim == 1:
        return f"labels of {len(names)} classes"
    shape = " × ".join(map(str, t.shape[1:]))
    if not data.classes:
        return f"{shape} value{'' if t.size == len(t) else 's'}, {_number(t.min())} … {_number(t.max())}"
    if t.size == len(t):
        return "0 and 1, of two classes"
    one_hot = bool(np.all((t == 0) | (t == 1)))
    return f"rows of {'one 1' if one_hot else 'probabilities'} for {len(names)} classes"


def _stored(data: Dataset) -> dict[str, Any]:
    shape = list(data.train_x.shape[1:])
    if data.stored is None:
        return {"shape": shape}
    stored = data.stored
    return {
        "stored": list(stored.shape),
        "shape": shape,
        "dtype": stored.dtype,
        "low": stored.low,
        "high": stored.high,
        "divided_by": stored.divisor,
        **({} if stored.full_scale is None else {"full_scale": stored.full_scale}),
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:.4g}"
