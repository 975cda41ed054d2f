"""A run under way: epochs of steps, measured after each, kept in checkpoints."""

from __future__ import annotations

import time
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from chainrule.runtime.augmentation import Augmentation
from chainrule.runtime.batches import Batches, held_out
from chainrule.runtime.checkpoints import Checkpoints, identity
from chainrule.runtime.datasets import fingerprint
from chainrule.runtime.datasets.dataset import TEST, TRAINING, VALIDATION, Dataset
from chainrule.runtime.datasets.description import describe
from chainrule.runtime.errors import RunError
from chainrule.runtime.health import sample, troubles
from chainrule.runtime.interrupt import Interrupt
from chainrule.runtime.metrics import Score, evaluate
from chainrule.runtime.preprocessing import fitted
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.progress import Progress
from chainrule.runtime.result import EpochRecord, RunResult, done
from chainrule.runtime.runfolder import PARAMETERS, RunFolder
from chainrule.runtime.settings import Settings
from chainrule.runtime.snapshot import Snapshot, Standing, all_finite, copy_values, first_bad_tensor
from chainrule.runtime.trainer import Parameters, State

RECORDS = 500  # epochs of the history that are kept
ACCURACY_SAMPLES = 5000  # training samples whose accuracy is measured after an epoch
PAUSE = 1.0  # seconds between checkpoints, where none are asked for by steps


class TrainingLoop:
    """A run of a program: `run` goes on from where it stands.

    A checkpoint is written after every `every` steps; when that is None, after each epoch, unless the last
    one is younger than a second; and at the end.
    """

    def __init__(
        self,
        program: LoadedProgram,
        data: Dataset,
        settings: Settings,
        folder: RunFolder,
        interrupt: Interrupt,
        every: int | None = None,
    ) -> None:
        self.program, self.data, self.settings = program, data, settings
        self.folder, self.interrupt, self.every = folder, interrupt, every
        (x, t), self.held_out = held_out(data, settings.validation_split, settings.seed)
        self.preprocessing = fitted(settings.standardize, x)
        augmentation = Augmentation.of(settings.augmentation, program.input_shape)
        self.batches = program.batches(
            Batches(x, t, settings.batch_size, settings.seed, self.preprocessing, augmentation)
        )
        self.parameters: Parameters = program.init_parameters(settings.seed, np.float32)
        self.state: State = program.module.init_optimizer(self.parameters)
        if "steps" in self.state:  # of all epochs together: what a learning-rate schedule plans with
            self.state["steps"] = settings.epochs * self.batches.steps
        self.best: Parameters = {}
        self.standing = Standing()
        self.good = Snapshot()
        sizes = {part: len(inputs) for part, (inputs, _) in data.parts().items()}
        self.data_sha256 = fingerprint(data)
        about = {"name": data.name, **sizes, "sha256": self.data_sha256}
        planned = "steps" in self.state
        self.checkpoints = Checkpoints(folder.checkpoints, identity(program, settings, about, planned))
        self.records = _recorded(settings.epochs)
        self.begin = self.saved = time.perf_counter()
        self.problem: str | None = None
        self.end: Score | None = None

    @property
    def steps(self) -> int:
        """Steps that are done, of all epochs."""
        return (self.standing.epoch - 1) * self.batches.steps + self.standing.step

    @property
    def stopped_early(self) -> bool:
        """Whether the validation loss has not fallen for as many epochs as the patience allows."""
        patience, at = self.settings.early_stopping, self.standing
        return bool(patience) and at.epoch - 1 - at.best_epoch >= patience

    def resume(self, shown: Progress, other_threads: bool = False) -> None:
        """Goes to the newest whole checkpoint; stays at the start where there is none.  Raises RunError."""
        self.good.take(self.parameters, self.best, self.state, self.standing)
        moment = self.checkpoints.load(self.good, shown.warn, other_threads)
        if moment is None:
            if (self.folder.path / PARAMETERS).exists():
                raise RunError(
                    f"{self.folder.path}: no checkpoint to go on from, and training anew would replace "
                    f"{PARAMETERS}; train anew in another folder"
                )
            shown.warn(f"{self.folder.path}: no checkpoint was written yet; training begins at the start")
            return
        at = moment.standing
        if at.step > self.batches.steps or at.epoch - 1 + bool(at.step) > self.settings.epochs:
            raise RunError(
                f"{self.folder.path}: {done(at.epoch - 1, at.step)} are done, more than is asked for "
                f"({done(self.settings.epochs, 0)}); ask for more by --epochs"
            )
        self.standing = moment.restore(self.parameters, self.best, self.state)
        shown.start(self.steps)

    def run(self, shown: Progress) -> None:
        """Runs epoch after epoch, then the test of the last parameters, or of the best."""
        self.begin = time.perf_counter() - self.standing.seconds
        self.good.take(self.parameters, self.best, self.state, self.standing)
        while self.standing.epoch <= self.settings.epochs and not self.stopped_early:
            if not self._epoch(shown):
                break
        if self.problem is None and self._checkpoint() and not self.interrupt.requested:
            if self.best:
                copy_values(self.best, self.parameters)
            self.end = self._score(*self._end_samples)
        self.standing.seconds = time.perf_counter() - self.begin

    def _epoch(self, shown: Progress) -> bool:
        """Does what is left of an epoch; False when it was cut short."""
        at = self.standing
        if not self._steps(shown):
            return False
        if not all_finite(self.parameters):
            self._stop(None)
            return False
        loss = at.total if self._summed else at.total / at.seen
        wanted = at.epoch in self.records
        record = self._record(at.epoch, loss) if wanted or self.settings.early_stopping else None
        if self.interrupt.requested:
            return False  # perhaps before the record was whole
        if record is not None:
            self._watch(record)
        if record is not None and wanted:
            at.history.append(record)
            shown.epoch(at.epoch, record.line(self.settings.epochs, time.perf_counter() - self.begin))
            self._look(shown)
        at.epoch, at.step, at.total, at.seen = at.epoch + 1, 0, 0.0, 0
        self.good.take(self.parameters, self.best, self.state, at)
        if self.every is None and time.perf_counter() - self.saved > PAUSE:
            self._checkpoint()
        return True

    def _steps(self, shown: Progress) -> bool:
        """Takes the steps that an epoch has left; False when one went wrong, or after a signal."""
        step, interrupt, summed, every = (
            self.program.module.train_step,
            self.interrupt,
            self._summed,
            self.every or 0,
        )
        parameters, state, at = self.parameters, self.state, self.standing
        seeds = self._step_seed(at.epoch, 0)
        number, total, seen = at.step, at.total, at.seen
        told = number + shown.chunk
        due = number + every - self.steps % every if every else 0
        start = time.perf_counter()

        def stand() -> None:
            now = time.perf_counter()
            at.step, at.total, at.seen = number, total, seen
            at.train_seconds += now - start
            at.seconds = now - self.begin

        for x, t in self.batches.epoch(at.epoch, number):
            value = float(step(parameters, x, t, state, seed=seeds + number))
            if not isfinite(value):
                stand()
                self._stop(value)
                return False
            count = len(t)
            total += value if summed else value * count
            seen += count
            number += 1
            if number == told:
                told += shown.chunk
                shown.steps(shown.chunk, total / seen)
            if number == due:
                due += every
                stand()
                if not self._checkpoint():
                    return False
                start = time.perf_counter()
            if interrupt.requested:
                break
        stand()
        shown.steps(number - (told - shown.chunk), total / seen if seen else 0.0)
        return not interrupt.requested

    @property
    def _summed(self) -> bool:
        return self.program.manifest["loss"].get("reduction") == "sum"

    def _step_seed(self, epoch: int, number: int) -> int:
        """The seed of a step's dropout masks: another one for every step of a run."""
        return ((self.settings.seed * 0x9E3779B1) & 0xFFFFFFFF) << 32 | (
            ((epoch - 1) * self.batches.steps + number) & 0xFFFFFFFF
        )

    def _checkpoint(self) -> bool:
        """Writes where the run stands; False, and stops, where a parameter is not finite."""
        if not all_finite(self.parameters):
            self._stop(None)
            return False
        self.good.take(self.parameters, self.best, self.state, self.standing)
        self.checkpoints.save(self.good, self.steps)
        self.saved = time.perf_counter()
        return True

    def _stop(self, value: float | None) -> None:
        """Ends at the last good moment, after repeating the steps from there to name what went bad.

        `value` is the loss of the step under way; None when a parameter became bad in the step before.
        """
        module, epoch, number = self.program.module, self.standing.epoch, self.standing.step
        if value is None:
            number -= 1
            last = "last step" if number + 1 == self.batches.steps else f"step {number + 1}"
            what = f"a parameter became infinite or NaN by the {last} of epoch {epoch}"
        else:
            what = f"the loss became {value} in epoch {epoch}, step {number + 1}"
        self.good.restore(self.parameters, self.best, self.state)
        seeds, bad = self._step_seed(epoch, 0), ""
        first = self.good.standing.step if self.good.standing.epoch == epoch else 0
        for index, (x, t) in enumerate(self.batches.epoch(epoch, first), first):
            if index == number:
                bad = first_bad_tensor(self.program, self.parameters, x, t, seeds + index)
                break
            module.train_step(self.parameters, x, t, self.state, seed=seeds + index)
        self.standing = self.good.restore(self.parameters, self.best, self.state)
        self.problem = f"{self.program.name}: {what}; the first bad tensor is {bad}"

    def _record(self, epoch: int, loss: float) -> EpochRecord:
        held = self._score(*self.held_out)
        record = EpochRecord(epoch, loss, learning_rate=self.state.get("learning_rate"))
        if self.data.classes:
            count = ACCURACY_SAMPLES
            seen = self._score(self.batches.x[:count], self.batches.t[:count])
            record = replace(record, accuracy=seen.accuracy if seen else None)
        if held is None:
            return record
        return replace(record, validation_loss=held.loss, validation_accuracy=held.accuracy)

    def _look(self, shown: Progress) -> None:
        """Warns of layers that have begun not to learn, once of each."""
        at, batches = self.standing, self.batches
        index = sample(len(batches.x))
        x, t = self.preprocessing(batches.x[index]), batches.t[index]
        seed = self._step_seed(at.epoch, 0)
        found = troubles(self.program, self.parameters, x, t, min(batches.size, len(x)), seed)
        for key, text in found.items():
            if key not in at.warnings:
                at.warnings[key] = f"{self.program.name}, epoch {at.epoch}: {text}"
                shown.warn(at.warnings[key])

    def _watch(self, record: EpochRecord) -> None:
        """Keeps the parameters of the lowest validation loss so far, where early stopping asks for it."""
        at, value = self.standing, record.validation_loss
        if self.settings.early_stopping and value is not None and value < at.best_loss:
            at.best_epoch, at.best_loss = record.epoch, value
            copy_values(self.parameters, self.best)

    @property
    def _end_part(self) -> str:
        """What the last parameters are scored on: the test set, or what there is instead."""
        if len(self.data.test_x):
            return TEST
        return VALIDATION if len(self.held_out[0]) else TRAINING

    @property
    def _end_samples(self) -> tuple[Any, Any]:
        if self._end_part == TEST:
            return self.data.test_x, self.data.test_t
        return self.held_out if self._end_part == VALIDATION else (self.batches.x, self.batches.t)

    def _score(self, x: Any, t: Any) -> Score | None:
        return evaluate(
            self.program,
            self.parameters,
            x,
            t,
            accuracy=self.data.classes,
            prepare=self.preprocessing,
            stop=lambda: self.interrupt.requested,
        )

    def result(self) -> RunResult:
        """The run as it stands."""
        status = "finished"
        if self.problem is not None:
            status = "stopped"
        elif self.interrupt.requested and self.end is None:
            status = "interrupted"
        at, data = self.standing, self.data
        return RunResult(
            name=self.program.name,
            spec_sha256=self.program.spec_sha256,
            status=status,
            run_dir=self.folder.path,
            parameters=self.parameters,
            history=tuple(at.history),
            settings=self.settings.as_dict(),
            data={
                "name": data.name,
                "origin": data.origin,
                "source": data.source,
                "sha256": self.data_sha256,
                "class_names": list(data.class_names),
                "training": len(self.batches.x),
                "validation": len(self.held_out[0]),
                "test": len(data.test_x),
                "classes": data.classes,
                "soft": data.soft,
                "found": describe(data, self.settings.validation_split).as_json(),
            },
            inputs=self.preprocessing.as_json(),
            epochs=at.epoch - 1,
            steps=at.step,
            seconds=at.seconds,
            train_seconds=at.train_seconds,
            end=self.end,
            end_part=self._end_part,
            problem=self.problem,
            best_epoch=at.best_epoch or None,
            stopped_early=self.stopped_early,
            warnings=tuple(at.warnings.values()),
        )


def _recorded(epochs: int) -> frozenset[int]:
    """The epochs that the history keeps: all, or the first ten, the last and some 500 evenly between."""
    if epochs <= RECORDS:
        return frozenset(range(1, epochs + 1))
    even = np.unique(np.linspace(1, epochs, RECORDS).round().astype(int))
    return frozenset(even.tolist()) | frozenset(range(1, 11))
