"""Training: seeded mini-batches through a program's `train_step`, until done, stopped or interrupted."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np

from chainrule.runtime.datasets.dataset import Dataset
from chainrule.runtime.errors import DataError, RunError, TrainingStopped
from chainrule.runtime.interrupt import Interrupt
from chainrule.runtime.loop import TrainingLoop
from chainrule.runtime.parameters import save_parameters
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.progress import Progress
from chainrule.runtime.report import save_curves
from chainrule.runtime.result import RunResult
from chainrule.runtime.runfolder import (
    CURVES,
    PARAMETERS,
    RunFolder,
    begin_again,
    claim_run_folder,
    reopen_run_folder,
    write_summary,
)
from chainrule.runtime.settings import Settings


def train(
    program: LoadedProgram,
    dataset: Dataset,
    settings: Settings,
    *,
    run_dir: Path | RunFolder | None = None,
    resume: bool = False,
    other_threads: bool = False,
    checkpoint_every: int | None = None,
    progress: bool = True,
    stream: TextIO | None = None,
    quiet: bool = False,
    plots: bool = True,
) -> RunResult:
    """Trains in float32 and writes checkpoints, parameters, summary and curves into the run folder.

    `resume` goes on with the run in `run_dir`, from its newest whole checkpoint; the outcome is that of a run
    that was never cut short, bit for bit.  On another number of threads it is another, in its last bits, and
    refused but for `other_threads`.  `checkpoint_every` counts steps; without it, epochs.
    The last, short batch of an epoch is used too.  On the first Ctrl-C or SIGTERM the step is finished and
    what there is is saved (status "interrupted").  Raises TrainingStopped when the loss becomes NaN or
    infinite, after saving the last good parameters; RunError for bad settings, a folder that is in use or
    another run's, and a full disk; DataError for data of other shapes.
    """
    check_fit(program, dataset, settings)
    if checkpoint_every is not None and checkpoint_every < 1:
        raise RunError(f"a checkpoint every {checkpoint_every} steps: at least 1")
    settings = _with_threads(settings, program)
    with (
        _folder(program, settings, run_dir, resume) as folder,
        Interrupt() as interrupt,
        np.errstate(all="ignore"),
    ):
        loop = TrainingLoop(program, dataset, settings, folder, interrupt, checkpoint_every)
        shown = Progress(settings.epochs, loop.batches.steps, bar=progress, stream=stream, quiet=quiet)
        with contextlib.closing(shown):
            if resume:
                loop.resume(shown, other_threads)
                begin_again(folder, settings.as_dict())
            loop.run(shown)
        result = loop.result()
        _save(result, folder, program, plots)
    if result.status == "stopped":
        raise TrainingStopped(f"{result.problem}; {_kept(result)}", result)
    return result


def _folder(
    program: LoadedProgram, settings: Settings, run_dir: Path | RunFolder | None, resume: bool
) -> RunFolder:
    if isinstance(run_dir, RunFolder):
        return run_dir
    if not resume:
        return claim_run_folder(run_dir, program.name, settings=settings.as_dict())
    if run_dir is None:
        raise RunError("which run is to go on? Name its folder")
    return reopen_run_folder(run_dir)


def _with_threads(settings: Settings, program: LoadedProgram) -> Settings:
    """The settings with the number of threads that the program computes on.  Raises RunError for another."""
    if settings.threads not in (None, program.threads):
        raise RunError(
            f"{program.name}: it was loaded with {program.threads} threads, not {settings.threads}; set "
            "their number before it is loaded"
        )
    return replace(settings, threads=program.threads)


def check_fit(program: LoadedProgram, dataset: Dataset, settings: Settings) -> None:
    """Raises DataError for data of other shapes, RunError when early stopping has nothing to watch."""
    check_shapes(program, dataset)
    held = (
        len(dataset.validation[0])
        if dataset.validation
        else int(len(dataset.train_x) * settings.validation_split)
    )
    if settings.early_stopping and not held:
        share = settings.validation_split
        why = (
            f"validation_split = {share} of {len(dataset.train_x)} samples holds out none"
            if share
            else ("there is no validation set")
        )
        raise RunError(
            f"{dataset.origin}: early_stopping = {settings.early_stopping} watches the validation loss, but "
            f"{why}; hold out more, or leave early_stopping out"
        )


def check_shapes(program: LoadedProgram, dataset: Dataset) -> None:
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


def _save(result: RunResult, folder: RunFolder, program: LoadedProgram, plots: bool) -> None:
    metadata = {"name": program.name, "spec_sha256": program.spec_sha256, "epochs": str(result.epochs)}
    save_parameters(folder.path / PARAMETERS, result.parameters, metadata)
    files = {"parameters": PARAMETERS}
    if plots and result.history:
        save_curves(result, [folder.path / name for name in CURVES])
        files |= {"curves": CURVES[0], "curves_svg": CURVES[1]}
    write_summary(folder, result.to_json() | {"files": files})


def _kept(result: RunResult) -> str:
    file = result.run_dir / PARAMETERS
    which = "that training started from"
    if result.steps:
        which = f"of epoch {result.epochs + 1}, step {result.steps}"
    elif result.epochs:
        which = f"of epoch {result.epochs}"
    return f"lower the learning rate or the inputs' scale; the parameters {which} are in {file}"
