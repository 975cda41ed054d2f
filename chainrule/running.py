"""Running what was generated: a program trained in a run's folder, its gradients checked."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Final

from chainrule.arguments import whole
from chainrule.codegen.folder import MANIFEST, Generated, write
from chainrule.codegen.targets import DEFAULT, FASTEST, TARGETS
from chainrule.derive.library import ONE_HOT
from chainrule.derive.model import InlineData, Spec
from chainrule.derive.network import build_network
from chainrule.evaluate.reference import NumericReference
from chainrule.programs import Generator, edits_told, generated_anew, require, scratch_program
from chainrule.runtime.compiling import compiler_at_hand
from chainrule.runtime.datasets import load_dataset
from chainrule.runtime.datasets.dataset import TEST, Dataset
from chainrule.runtime.datasets.description import describe
from chainrule.runtime.errors import DeviceError, RunError
from chainrule.runtime.files import write_atomically
from chainrule.runtime.gradcheck import check_gradients
from chainrule.runtime.gradreport import GradientReport
from chainrule.runtime.gradwide import widened
from chainrule.runtime.metrics import Score
from chainrule.runtime.program import LoadedProgram, load_program
from chainrule.runtime.result import RunResult
from chainrule.runtime.run import PROGRAM, SPEC, Run, load_run
from chainrule.runtime.runfolder import (
    SUMMARY,
    RunFolder,
    claim_run_folder,
    newest_run,
    recorded_settings,
    reopen_run_folder,
)
from chainrule.runtime.settings import Settings
from chainrule.runtime.threads import computing_on
from chainrule.runtime.threads import threads as available
from chainrule.runtime.training import check_fit, train
from chainrule.same_spec import other_epochs, spec_differences

WORTH: Final = 1e11  # operations of a whole training, some 10 s of NumPy, from which on compiling is worth it
LEAST: Final = {"seed": 0, "steps": 0, "samples": 2, "batch": 1}  # of the options of a gradient check


def gradient_report(
    spec: Spec, generate: Generator = generated_anew, target: str = DEFAULT, **options: int
) -> GradientReport:
    """Return the check of every gradient of a spec's program against its network's equations.

    Another target's is held against the NumPy program in wider floats.  Raises TypeError for an option that
    is no whole number, ValueError for one below what the check needs, DeviceError for what is missing.
    """
    given = {name: whole(name, value, LEAST[name]) for name, value in options.items()}
    with scratch_program(spec, generate, target) as program:
        if target != DEFAULT:
            program = widened(program, load_program(program.directory))
        return check_gradients(program, reference=NumericReference(spec), **given)


@dataclass(frozen=True)
class TrainingReport:
    """What a run came to, for people and for programs."""

    result: RunResult
    program: Path
    spec: Path

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<run of {self.result.name}: {self.result.status} after {self.result.when}>"

    def load(self) -> Run:
        """Return the run: its program, its parameters, and the network's outputs.  Raises RunError."""
        return load_run(self.result.run_dir)

    @property
    def exit_code(self) -> int:
        return self.result.exit_code

    def as_json(self) -> dict[str, Any]:
        return {**self.result.to_json(), "run": str(self.result.run_dir), "program": str(self.program)}

    def text(self) -> str:
        result, folder = self.result, self.result.run_dir
        lines = []
        if result.status == "interrupted":
            lines.append(f"interrupted after {result.when}; to go on: {self.resume}")
        if result.stopped_early:
            lines.append(f"stopped early   after {result.when}; the best was epoch {result.best_epoch}")
        if result.end is not None:
            lines += self._scores(result.end, result.end_part)
        lines.append(f"data           {result.data['origin']}")
        if result.history:
            lines.append(f"plot           {folder / 'curves.png'}  (and curves.svg)")
        lines += [
            f"parameters     {folder / 'parameters.safetensors'}",
            f"program        {self.program}",
            f"summary        {folder / 'summary.json'}",
        ]
        return "\n".join(lines)

    @staticmethod
    def _scores(end: Score, part: str) -> list[str]:
        rows = [] if end.accuracy is None else [("accuracy", f"{end.accuracy:.2%}")]
        rows.append(("loss", f"{end.loss:.4g}"))
        none = "" if part == TEST else "  (there is no test set)"
        return [f"{f'{part} {what}':<13}  {text}{none}" for what, text in rows]

    @property
    def resume(self) -> str:
        return shlex.join(["derive", "train", str(self.spec), "--resume", str(self.result.run_dir)])


def train_spec(
    spec: Spec,
    path: Path,
    *,
    target: str | None = None,
    data: str | None = None,
    data_dir: Path | None = None,
    download: bool | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    run_dir: Path | None = None,
    resume: str | None = None,
    threads: int | None = None,
    checkpoint_every: int | None = None,
    quiet: bool = False,
    generate: Generator = generated_anew,
) -> TrainingReport:
    """Train a spec's program in a new run folder, or go on in that of `resume` ("" is the newest).

    Raises the faults of runtime.
    """
    if checkpoint_every is not None:
        whole("checkpoint_every", checkpoint_every)
    asked = {
        "epochs": epochs,
        "batch_size": batch_size,
        "seed": seed,
        "data": data,
        "target": target,
        "threads": threads,
    }
    where = _resumed(resume, run_dir, spec.name)
    if where is not None and epochs is None:
        asked["epochs"] = other_epochs(where, spec)
    recorded = recorded_settings(where) if where else {}
    settings = _settings(spec, asked, recorded, where)
    before = recorded.get("target", DEFAULT)
    if recorded and settings.target != before:
        raise RunError(f"{where}: began with --target {before}; go on with that, or train anew")
    if settings.target not in TARGETS:
        told = f"target {settings.target!r}: use one of {', '.join(TARGETS)}"
        raise RunError(f"{where / SUMMARY}: {told}" if where else told)
    declared, base = declared_data(spec, path, settings.data)
    require(settings.target)
    dataset = load_dataset(declared, data_dir=data_dir, **taken_by(spec), download=download, base_dir=base)
    if spec.objective.targets == ONE_HOT:
        spec = replace(spec, loss=replace(spec.loss, soft=dataset.soft))
    on_device = TARGETS[settings.target].on_device
    generated, tried = _tried(spec, generate, settings)  # what does not compile or fit leaves no run's folder
    check_fit(tried, dataset, settings)
    if target is None and where is None and _gains(tried, dataset, settings):
        try:
            generated, tried = _tried(spec, generate, replace(settings, target=FASTEST))
            settings = replace(settings, target=FASTEST)
        except DeviceError as error:
            print(f"{error}\n{DEFAULT} computes", file=sys.stderr, flush=True)
    if settings.threads is None and not on_device:
        settings = replace(settings, threads=tried.threads if tried.compiler else available())
    if tried.compiler and not quiet:
        how = f"{tried.compiler}, {settings.threads} thread{'s' if settings.threads != 1 else ''}"
        print(
            f"{settings.target}: {how}; --target {DEFAULT} computes with NumPy", file=sys.stderr, flush=True
        )
    if not quiet:
        print(describe(dataset, settings.validation_split).text(), file=sys.stderr, flush=True)
    with (
        computing_on(None if tried.compiler else settings.threads),
        _folder(where, run_dir, spec.name, settings) as owned,
    ):
        program = _program(spec, generated, owned, settings)
        result = train(
            program,
            dataset,
            settings,
            run_dir=owned,
            resume=where is not None,
            other_threads=threads is not None,
            checkpoint_every=checkpoint_every,
            quiet=quiet,
        )
    return TrainingReport(result, program.path, path)


def _tried(spec: Spec, generate: Generator, settings: Settings) -> tuple[Generated, LoadedProgram]:
    """Return a spec's files, and the program that trains, loaded once; for a GPU, the NumPy program."""
    generated = generate(spec, {settings.target})
    target = DEFAULT if TARGETS[settings.target].on_device else settings.target
    with tempfile.TemporaryDirectory() as scratch:
        folder = write(generated, Path(scratch), force=True)
        return generated, load_program(folder, target=target, threads=settings.threads)


def _gains(program: LoadedProgram, data: Dataset, settings: Settings) -> bool:
    """Return whether a training is so long that it gains by a program that is compiled first."""
    samples = len(data.train_x) * settings.epochs
    return program.target == DEFAULT and program.flops * samples >= WORTH and compiler_at_hand()


def taken_by(spec: Spec) -> dict[str, Any]:
    """Return what the network of a spec takes, as ``load_dataset`` wants to know; no program is needed."""
    network = build_network(spec)
    size = prod(network.output_shape)
    return {
        "input_shape": spec.input_shape,
        "output_shape": network.output_shape,
        "target_kind": "labels" if network.labels else "values",
        "classes": size if size > 1 else 2,
        "loss": spec.loss.type,
    }


def declared_data(spec: Spec, path: Path, data: str | None) -> tuple[Any, Path]:
    """Return the data that were asked for or that the spec names, and the folder that paths start from.

    Raises RunError where there are none.
    """
    if data is not None:
        return data, Path()
    declared = spec.training.data
    if declared is None:
        raise RunError(f'{spec.filename} names no data: add data = "mnist" under [training], or use --data')
    if isinstance(declared, InlineData):
        return declared.as_dict(), path.parent
    return declared, path.parent


def _resumed(resume: str | None, run_dir: Path | None, name: str) -> Path | None:
    """Return the folder of the run that is to go on, None for a new run."""
    if resume is None:
        return None
    if run_dir is not None:
        raise RunError("--run-dir is for a new run; --resume RUN goes on with one: use one of the two")
    where = Path(resume) if resume else newest_run(name)
    if not where.is_dir():
        raise RunError(f"{where}: no such folder; --resume takes the folder of a run, as in runs/NAME-1")
    return where


def _folder(where: Path | None, run_dir: Path | None, name: str, settings: Settings) -> RunFolder:
    if where is not None:
        return reopen_run_folder(where)
    return claim_run_folder(run_dir, name, settings=settings.as_dict())


def _settings(
    spec: Spec, asked: Mapping[str, Any], recorded: Mapping[str, Any], where: Path | None
) -> Settings:
    """Return what was asked for now, else when the run in ``where`` began, else in the spec."""
    training = spec.training
    values: dict[str, Any] = {
        "epochs": training.epochs,
        "batch_size": training.batch_size,
        "seed": training.seed,
        "validation_split": training.validation_split,
        "standardize": training.standardize,
        "augmentation": spec.augmentation.as_dict(),
        "early_stopping": training.early_stopping,
    }
    known = {key: value for key, value in recorded.items() if key in asked}
    try:
        began = Settings(**(values | known))
    except RunError as error:
        raise RunError(f"{where / SUMMARY if where and known else spec.filename}: {error}") from error
    return replace(began, **{key: value for key, value in asked.items() if value is not None})


def _program(spec: Spec, generated: Generated, folder: RunFolder, settings: Settings) -> LoadedProgram:
    """Return the program in a run's folder: the one that the run began with, where it is whole.

    The spec lies beside it, for whoever wants it written anew.  Raises RunError where that is of another
    spec, with the differences.
    """
    parent = folder.path / PROGRAM
    load = partial(load_program, target=settings.target, threads=settings.threads)
    others = [path.parent.name for path in parent.glob(f"*/{MANIFEST}") if path.parent.name != generated.name]
    if others:
        raise RunError(f"{folder.path}: a run of {others[0]}, not of {generated.name}; train anew")
    try:
        found = spec_differences(folder.path, spec, generated)
    except RunError:
        write_atomically(folder.path / SPEC, spec.source.encode())
        return load(write(generated, parent, force=True))
    if found:
        raise RunError(
            f"{folder.path}: a run of another spec: {'; '.join(found)}; train anew, or with the old spec"
        )
    with edits_told():
        return load(parent / generated.name)
