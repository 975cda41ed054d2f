"""What a run leaves behind: its history, its scores, and where they lie."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.runtime.datasets.dataset import TEST
from chainrule.runtime.metrics import Score
from chainrule.runtime.trainer import Parameters

EXIT_CODES = {"finished": 0, "stopped": 1, "interrupted": 130}


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: mean loss of its steps, accuracy on up to 5,000 training samples, held-out scores.

    Accuracies are 0 … 1; None where there is nothing to measure.
    """

    epoch: int
    loss: float
    accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    learning_rate: float | None = None  # of its last step, where it changes

    def line(self, epochs: int, seconds: float) -> str:
        """The epoch as one line of text."""
        parts = [f"epoch {self.epoch}/{epochs}", f"loss {self.loss:.4g}"]
        if self.accuracy is not None:
            parts.append(f"accuracy {self.accuracy:.4f}")
        if self.validation_loss is not None:
            parts.append(f"validation loss {self.validation_loss:.4g}")
        if self.validation_accuracy is not None:
            parts.append(f"accuracy {self.validation_accuracy:.4f}")
        if self.learning_rate is not None:
            parts.append(f"rate {self.learning_rate:.3g}")
        return "  ".join([*parts, f"{seconds:.1f} s"])


def done(epochs: int, steps: int) -> str:
    """Whole epochs, and steps of the next: "3 epochs and 20 steps"."""
    parts = [(epochs, "epoch"), (steps, "step")]
    return " and ".join(f"{n:,} {what}{'' if n == 1 else 's'}" for n, what in parts if n) or "no step"


@dataclass(frozen=True)
class RunResult:
    """A run, done or cut short.  `history` holds every epoch, or some 500 of very many, the last included.

    `seconds` is the time of training with its evaluations, `train_seconds` that of the steps alone.
    """

    name: str
    spec_sha256: str
    status: str  # "finished" | "stopped" | "interrupted"
    run_dir: Path
    parameters: Parameters
    history: tuple[EpochRecord, ...]
    settings: Mapping[str, Any]  # seed, epochs asked for, batch_size, validation_split
    data: Mapping[str, Any]  # name, origin, source, names of classes, number of samples
    inputs: Mapping[str, Any]  # how they are standardized, as `Preprocessing.from_json` takes it
    epochs: int  # that are whole
    steps: int  # of the epoch that was cut short
    seconds: float
    train_seconds: float
    end: Score | None = None  # of the parameters, once finished
    end_part: str = TEST  # the samples that `end` is of: the test set's, or others where there is none
    problem: str | None = None
    best_epoch: int | None = None  # of the lowest validation loss; the parameters are its, once finished
    stopped_early: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 finished, 1 stopped by a bad loss, 130 interrupted."""
        return EXIT_CODES[self.status]

    @property
    def test_loss(self) -> float | None:
        """The loss on the test set; None without one."""
        return self.end.loss if self.end is not None and self.end_part == TEST else None

    @property
    def test_accuracy(self) -> float | None:
        """The accuracy on the test set, 0 … 1; None without one, and where targets are no classes."""
        return self.end.accuracy if self.end is not None and self.end_part == TEST else None

    @property
    def when(self) -> str:
        """How far the run came: "3 epochs and 20 steps"."""
        return done(self.epochs, self.steps)

    def to_json(self) -> dict[str, Any]:
        """The run as JSON values; what is not finite becomes null."""
        return {
            "name": self.name,
            "status": self.status,
            "problem": self.problem,
            "spec_sha256": self.spec_sha256,
            "run": str(self.run_dir),
            "settings": dict(self.settings),
            "data": dict(self.data),
            "inputs": dict(self.inputs),
            "parameters": sum(value.size for value in self.parameters.values()),
            "epochs": self.epochs,
            "steps": self.steps,
            "best_epoch": self.best_epoch,
            "stopped_early": self.stopped_early,
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 3),
            "train_seconds": round(self.train_seconds, 3),
            "test_loss": _finite(self.test_loss),
            "test_accuracy": _finite(self.test_accuracy),
            **self._elsewhere(),
            "history": [{key: _finite(value) for key, value in asdict(row).items()} for row in self.history],
            "versions": {"python": platform.python_version(), "numpy": np.__version__},
        }

    def _elsewhere(self) -> dict[str, Any]:
        """The scores of a run without a test set, by the samples that they are of."""
        if self.end is None or self.end_part == TEST:
            return {}
        loss, accuracy = _finite(self.end.loss), _finite(self.end.accuracy)
        return {f"{self.end_part}_loss": loss, f"{self.end_part}_accuracy": accuracy}


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
