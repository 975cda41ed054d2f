"""Training: seeded mini-batches through a program's `train_step`, until done, stopped or interrupted."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from runtime.batches import Batches, split
from runtime.datasets.dataset import Dataset
from runtime.errors import DataError, RunError, TrainingStopped
from runtime.interrupt import Interrupt
from runtime.metrics import Score, evaluate
from runtime.parameters import save_parameters
from runtime.program import Parameters, Program, State
from runtime.progress import Progress
from runtime.report import save_curves
from runtime.result import EpochRecord, RunResult
from runtime.runfolder import CURVES, PARAMETERS, RunFolder, claim_run_folder, write_summary
from runtime.snapshot import Snapshot, all_finite, first_bad_tensor

RECORDS = 500  # epochs of the history that are kept
ACCURACY_SAMPLES = 5000  # training samples whose accuracy is measured after an epoch


@dataclass(frozen=True)
class Settings:
    """How to train; the same settings on the same machine give the same run, bit for bit."""

    epochs: int
    batch_size: int
    seed: int = 0
    validation_split: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or self.seed < 0:
            raise RunError(f"epochs {self.epochs}, batch size {self.batch_size}, seed {self.seed}: too small")
        if not 0 <= self.validation_split < 1:
            raise RunError(f"validation split {self.validation_split}: must be at least 0 and below 1")

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return {
            "seed": self.seed,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "validation_split": self.validation_split,
        }


def train(
    program: Program,
    dataset: Dataset,
    *,
    epochs: int,
    batch_size: int,
    seed: int = 0,
    validation_split: float = 0.0,
    run_dir: Path | RunFolder | None = None,
    progress: bool = True,
    stream: TextIO | None = None,
    plots: bool = True,
) -> RunResult:
    """Trains in float32 and writes parameters, summary and curves into the run folder.

    The last, short batch of an epoch is used too.  On the first Ctrl-C or SIGTERM the step is finished and
    what there is is saved (status "interrupted").  Raises TrainingStopped when the loss becomes NaN or
    infinite, after saving the parameters of the last good epoch; RunError for bad settings or a used folder;
    DataError for data of other shapes.
    """
    settings = Settings(epochs, batch_size, seed, validation_split)
    _check_shapes(program, dataset)
    folder = run_dir if isinstance(run_dir, RunFolder) else claim_run_folder(run_dir, program.name)
    with Interrupt() as interrupt, np.errstate(all="ignore"):
        loop = _Loop(program, dataset, settings, folder, interrupt)
        shown = Progress(epochs, loop.batches.steps, bar=progress, stream=stream)
        try:
            loop.run(shown)
        finally:
            shown.close()
        result = loop.result()
        _save(result, folder, program, plots)
    if result.status == "stopped":
        raise TrainingStopped(f"{result.problem}; {_kept(result)}", result)
    return result


def _check_shapes(program: Program, dataset: Dataset) -> None:
    """Raises DataError when one sample or one target has not the shape that the program takes."""
    wanted_t = () if program.target_kind == "labels" else program.output_shape
    for what, array, wanted in (
        ("input", dataset.train_x, program.input_shape),
        ("target", dataset.train_t, wanted_t),
    ):
        if array.shape[1:] != wanted:
            raise DataError(
                f"{dataset.origin}: one {what} has shape {array.shape[1:]}, {program.name} takes {wanted}; "
                "change the spec's shapes or its loss, or use other data"
            )


def _save(result: RunResult, folder: RunFolder, program: Program, plots: bool) -> None:
    metadata = {"name": program.name, "spec_sha256": program.spec_sha256, "epochs": str(result.epochs)}
    save_parameters(folder.path / PARAMETERS, result.parameters, metadata)
    files = {"parameters": PARAMETERS}
    if plots and result.history:
        save_curves(result, [folder.path / name for name in CURVES])
        files |= {"curves": CURVES[0], "curves_svg": CURVES[1]}
    write_summary(folder, result.to_json() | {"files": files})


def _kept(result: RunResult) -> str:
    file = result.run_dir / PARAMETERS
    which = f"of epoch {result.epochs}" if result.epochs else "that training started from"
    return f"lower the learning rate or the inputs' scale; the parameters {which} are in {file}"


class _Loop:
    """A run under way."""

    def __init__(
        self, program: Program, data: Dataset, settings: Settings, folder: RunFolder, interrupt: Interrupt
    ) -> None:
        self.program, self.data, self.settings = program, data, settings
        self.folder, self.interrupt = folder, interrupt
        (x, t), self.held_out = split(data.train_x, data.train_t, settings.validation_split, settings.seed)
        self.batches = Batches(x, t, settings.batch_size, settings.seed)
        self.parameters: Parameters = program.init_parameters(settings.seed, np.float32)
        self.state: State = program.module.init_optimizer(self.parameters)
        self.good = Snapshot()
        self.records = _recorded(settings.epochs)
        self.history: list[EpochRecord] = []
        self.done = 0
        self.train_seconds = 0.0
        self.seconds = 0.0
        self.problem: str | None = None
        self.test: Score | None = None

    def run(self, shown: Progress) -> None:
        """Runs epoch after epoch, then the test."""
        begin = time.perf_counter()
        for epoch in range(1, self.settings.epochs + 1):
            self.good.take(self.parameters, self.state)
            start = time.perf_counter()
            loss = self._epoch(epoch, shown)
            self.train_seconds += time.perf_counter() - start
            if loss is None:
                break
            self.done = epoch
            if epoch in self.records:
                record = self._record(epoch, loss)
                self.history.append(record)
                shown.epoch(epoch, record.line(self.settings.epochs, time.perf_counter() - begin))
            if self.interrupt.requested:
                break
        if self.problem is None and not self.interrupt.requested:
            self.test = self._score(self.data.test_x, self.data.test_t)
        self.seconds = time.perf_counter() - begin

    def _epoch(self, epoch: int, shown: Progress) -> float | None:
        """The mean loss of an epoch's steps (the sum, for a summed loss); None when it was cut short."""
        step, interrupt, parameters, state = (
            self.program.module.train_step,
            self.interrupt,
            self.parameters,
            self.state,
        )
        summed = self.program.manifest["loss"].get("reduction") == "sum"
        seeds = self._step_seed(epoch, 0)
        total, seen, number, told = 0.0, 0, 0, shown.chunk
        for x, t in self.batches.epoch(epoch):
            value = step(parameters, x, t, state, seed=seeds + number)
            if not isfinite(value):
                self._stop(epoch, number, float(value))
                return None
            count = len(t)
            total += value if summed else value * count
            seen += count
            number += 1
            if number == told:
                told += shown.chunk
                shown.steps(shown.chunk, total / seen)
            if interrupt.requested and number < self.batches.steps:
                return None
        shown.steps(number - (told - shown.chunk), total / seen)
        if not all_finite(parameters):
            self._stop(epoch, number, total)
            return None
        return float(total if summed else total / seen)

    def _step_seed(self, epoch: int, number: int) -> int:
        """The seed of a step's dropout masks: another one for every step of a run."""
        return ((self.settings.seed * 0x9E3779B1) & 0xFFFFFFFF) << 32 | (
            ((epoch - 1) * self.batches.steps + number) & 0xFFFFFFFF
        )

    def _stop(self, epoch: int, number: int, value: float) -> None:
        """Repeats the epoch up to the bad step to name what went bad there; ends at the epoch's start."""
        module, seeds = self.program.module, self._step_seed(epoch, 0)
        self.good.restore(self.parameters, self.state)
        if isfinite(value):
            number -= 1
            what = f"a parameter became infinite or NaN in the last step of epoch {epoch}"
        else:
            what = f"the loss became {value} in epoch {epoch}, step {number + 1}"
        bad = ""
        for index, (x, t) in enumerate(self.batches.epoch(epoch)):
            seed = seeds + index
            if index == number:
                bad = first_bad_tensor(self.program, self.parameters, x, t, seed)
                break
            module.train_step(self.parameters, x, t, self.state, seed=seed)
        self.good.restore(self.parameters, self.state)
        self.problem = f"{self.program.name}: {what}; the first bad tensor is {bad}"

    def _record(self, epoch: int, loss: float) -> EpochRecord:
        held = self._score(*self.held_out)
        record = EpochRecord(epoch, loss)
        if self.program.classification:
            count = ACCURACY_SAMPLES
            seen = self._score(self.batches.x[:count], self.batches.t[:count])
            record = replace(record, accuracy=seen.accuracy if seen else None)
        if held is None:
            return record
        return replace(record, validation_loss=held.loss, validation_accuracy=held.accuracy)

    def _score(self, x: Any, t: Any) -> Score | None:
        return evaluate(self.program, self.parameters, x, t, stop=lambda: self.interrupt.requested)

    def result(self) -> RunResult:
        """The run as it stands."""
        status = "finished"
        if self.problem is not None:
            status = "stopped"
        elif self.interrupt.requested and self.test is None:
            status = "interrupted"
        data = {
            "name": self.data.name,
            "origin": self.data.origin,
            "training": len(self.batches.x),
            "validation": len(self.held_out[0]),
            "test": len(self.data.test_x),
        }
        return RunResult(
            name=self.program.name,
            spec_sha256=self.program.spec_sha256,
            status=status,
            run_dir=self.folder.path,
            parameters=self.parameters,
            history=tuple(self.history),
            settings=self.settings.as_dict(),
            data=data,
            epochs=self.done,
            seconds=self.seconds,
            train_seconds=self.train_seconds,
            test_loss=self.test.loss if self.test else None,
            test_accuracy=self.test.accuracy if self.test else None,
            problem=self.problem,
        )


def _recorded(epochs: int) -> frozenset[int]:
    """The epochs that the history keeps: all, or the first ten, the last and some 500 evenly between."""
    if epochs <= RECORDS:
        return frozenset(range(1, epochs + 1))
    even = np.unique(np.linspace(1, epochs, RECORDS).round().astype(int))
    return frozenset(even.tolist()) | frozenset(range(1, 11))
