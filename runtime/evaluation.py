"""A trained network on its test data: accuracy, a table of the classes, confusions, the surest mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.runtime.datasets.dataset import TEST, Dataset
from chainrule.runtime.metrics import BATCH, evaluate
from chainrule.runtime.run import Run, class_scores
from chainrule.runtime.trainer import Array

MOST_MISTAKES = 40  # of the surest, that are kept
MOST_COLUMNS = 20  # classes up to which the matrix of confusions is printed


@dataclass(frozen=True)
class ClassRow:
    """One class: of what was called so how much is so, of what is so how much was called so; both 0 … 1.

    `precision` is None where nothing was called so, `recall` and `f1` are where nothing is so.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    count: int


@dataclass(frozen=True)
class Mistake:
    """Test sample number `index` (from 0) of class `true`, taken for `taken` with a score of `score`."""

    index: int
    true: str
    taken: str
    score: float


@dataclass(frozen=True)
class Evaluation:
    """How a run does on data; `confusion[i, j]` counts samples of class i that were taken for j.

    `part` is the samples that were looked at: "test", or what there is where the data have no test set.
    """

    run: str
    data: Mapping[str, Any]
    loss: float
    accuracy: float | None
    rows: tuple[ClassRow, ...]
    confusion: NDArray[np.int64]
    mistakes: tuple[Mistake, ...]
    probabilities: bool
    part: str = TEST

    def to_json(self) -> dict[str, Any]:
        """The evaluation as JSON values; what is not finite becomes null."""
        return {
            "run": self.run,
            "data": dict(self.data),
            "part": self.part,
            f"{self.part}_loss": self.loss if isfinite(self.loss) else None,
            f"{self.part}_accuracy": self.accuracy,
            "classes": [vars(row) for row in self.rows],
            "confusion": self.confusion.tolist(),
            "mistakes": [vars(mistake) for mistake in self.mistakes],
        }

    def to_text(self) -> str:
        """Tables for people."""
        if self.accuracy is None:
            return "\n".join((self._row("loss", f"{self.loss:.4g}"), *self._data()))
        right, count = int(np.trace(self.confusion)), int(self.confusion.sum())
        parts = [
            "\n".join(
                (
                    self._row("accuracy", f"{self.accuracy:.2%}  ({right:,} of {count:,})"),
                    self._row("loss", f"{self.loss:.4g}"),
                    *self._data(),
                )
            ),
            self._class_table(),
        ]
        if len(self.rows) <= MOST_COLUMNS:
            parts.append(self._matrix())
        if confusions := self.frequent_confusions():
            shown = "\n".join(f"  {count:>5,}  {true} → {taken}" for true, taken, count in confusions)
            parts.append(f"most frequent confusions\n{shown}")
        return "\n\n".join(parts)

    def _row(self, what: str, text: str) -> str:
        label = f"{self.part} {what}"
        return f"{label:<13}  {text}"

    def _data(self) -> list[str]:
        none = (
            [] if self.part == TEST else [f"note           there is no test set: of the {self.part} samples"]
        )
        return [f"data           {self.data['origin']}", *none]

    def frequent_confusions(self, most: int = 5) -> list[tuple[str, str, int]]:
        """(class, what it was taken for, how often) of the most frequent confusions."""
        off = self.confusion - np.diag(np.diag(self.confusion))
        order = np.argsort(-off, axis=None, kind="stable")[:most]
        pairs = [divmod(int(place), len(off)) for place in order if off.flat[place]]
        return [(self.rows[i].name, self.rows[j].name, int(off[i, j])) for i, j in pairs]

    def _class_table(self) -> str:
        width = max(5, *(len(row.name) for row in self.rows))
        lines = [f"{'class':<{width}}  precision  recall      F1  count"]
        for row in self.rows:
            numbers = f"{_share(row.precision):>9}  {_share(row.recall):>6}  {_share(row.f1):>6}"
            lines.append(f"{row.name:<{width}}  {numbers}  {row.count:>5,}")
        return "\n".join(lines)

    def _matrix(self) -> str:
        cell = max(2, len(str(self.confusion.max())))
        labels = [row.name if row.name == f"{k}" else f"{row.name} {k}" for k, row in enumerate(self.rows)]
        width = max(len(label) for label in labels)
        head = " ".join(f"{k:>{cell}}" for k in range(len(labels)))
        lines = ["confusion: one row a class, one column what it was taken for", f"{'':{width}}  {head}"]
        for label, row in zip(labels, self.confusion, strict=True):
            counts = " ".join(f"{count or '·':>{cell}}" for count in row)
            lines.append(f"{label:>{width}}  {counts}")
        return "\n".join(lines)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def evaluate_run(run: Run, data: Dataset) -> Evaluation:
    """The evaluation of a run on the test part of `data`, or the last part that there is."""
    part, (x, t) = [(name, part) for name, part in data.parts().items() if len(part[0])][-1]
    score = evaluate(run.program, run.parameters, x, t, accuracy=data.classes, prepare=run.preprocessing)
    loss = score.loss if score else float("nan")
    about = {"name": data.name, "origin": data.origin, part: len(x)}
    if not data.classes:
        nothing = np.zeros((0, 0), np.int64)
        return Evaluation(str(run.path), about, loss, None, (), nothing, (), False, part)
    scores, probabilities = class_scores(
        np.concatenate([run.outputs(x[i : i + BATCH]) for i in range(0, len(x), BATCH)])
    )
    truth, taken = _classes(t), _taken(scores)
    confusion = np.zeros((scores.shape[1],) * 2, np.int64)
    np.add.at(confusion, (truth, taken), 1)
    wrong = np.flatnonzero(truth != taken)
    sure = scores[wrong, taken[wrong]]
    mistakes = tuple(
        Mistake(int(i), run.class_names[truth[i]], run.class_names[taken[i]], float(scores[i, taken[i]]))
        for i in wrong[np.argsort(-sure, kind="stable")[:MOST_MISTAKES]]
    )
    accuracy = float(np.trace(confusion) / len(truth))
    rows = _rows(confusion, run.class_names)
    return Evaluation(str(run.path), about, loss, accuracy, rows, confusion, mistakes, probabilities, part)


def _taken(scores: Array) -> NDArray[np.int64]:
    """The class of the largest score; of two classes the second at a tie, as 0.5 is class 1."""
    if scores.shape[1] == 2:
        return (scores[:, 1] >= scores[:, 0]).astype(np.int64)
    return scores.argmax(axis=1)


def _classes(t: Array) -> NDArray[np.int64]:
    """Labels from labels, from one-hot rows, or from 0 and 1."""
    truth = t.reshape(len(t), -1)
    if np.issubdtype(t.dtype, np.integer):
        return truth[:, 0]
    return (truth[:, 0] >= 0.5).astype(np.int64) if truth.shape[1] == 1 else truth.argmax(axis=1)


def _rows(confusion: NDArray[np.int64], names: tuple[str, ...]) -> tuple[ClassRow, ...]:
    def share(part: int, whole: int) -> float | None:
        return int(part) / int(whole) if whole else None

    right, called, counts = np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
    return tuple(
        ClassRow(
            names[k],
            share(right[k], called[k]),
            share(right[k], counts[k]),
            share(2 * right[k], called[k] + counts[k]) if counts[k] else None,
            int(counts[k]),
        )
        for k in range(len(confusion))
    )
