"""Running what was generated: a program in a folder of its own, trained or checked."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codegen.generate import generate, write
from derive.spec.model import InlineData, Spec
from runtime.datasets import load_dataset
from runtime.errors import RunError
from runtime.program import Program, load_program
from runtime.result import RunResult
from runtime.runfolder import claim_run_folder
from runtime.training import train

PROGRAM = "program"


@contextlib.contextmanager
def scratch_program(spec: Spec) -> Iterator[Program]:
    """Give a spec's program, generated into a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield load_program(write(generate(spec), Path(folder), force=True))


@dataclass(frozen=True)
class TrainingReport:
    """What a run came to, for people and for programs."""

    result: RunResult
    program: Path

    @property
    def exit_code(self) -> int:
        return self.result.exit_code

    def as_json(self) -> dict[str, Any]:
        return {**self.result.to_json(), "run": str(self.result.run_dir), "program": str(self.program)}

    def text(self) -> str:
        result, folder = self.result, self.result.run_dir
        lines = []
        if result.status != "finished":
            lines.append(f"interrupted after {result.epochs} epochs; what was trained is saved")
        if result.test_accuracy is not None:
            lines.append(f"test accuracy  {result.test_accuracy:.2%}")
        lines += [
            f"test loss      {result.test_loss:.4g}",
            f"data           {result.data['origin']}",
            f"plot           {folder / 'curves.png'}  (and curves.svg)",
            f"parameters     {folder / 'parameters.safetensors'}",
            f"program        {self.program}",
            f"summary        {folder / 'summary.json'}",
        ]
        return "\n".join(lines)


def train_spec(
    spec: Spec,
    path: Path,
    *,
    data: str | None,
    data_dir: Path | None,
    download: bool | None,
    epochs: int | None,
    batch_size: int | None,
    seed: int | None,
    run_dir: Path | None,
    quiet: bool,
) -> TrainingReport:
    """Train a spec's program in a new run folder.  Raises the faults of runtime."""
    generated = generate(spec)
    declared: Any = data or spec.training.data
    if declared is None:
        raise RunError(f'{spec.filename} names no data: add data = "mnist" under [training], or use --data')
    if isinstance(declared, InlineData):
        declared = {"inputs": declared.inputs, "targets": declared.targets}
    with tempfile.TemporaryDirectory() as scratch:
        preview = load_program(write(generated, Path(scratch), force=True))
        dataset = load_dataset(
            declared,
            data_dir=data_dir,
            input_shape=preview.input_shape,
            target_kind=preview.target_kind,
            classes=preview.classes,
            download=download,
            base_dir=path.parent if data is None else Path(),
        )
    folder = claim_run_folder(run_dir, spec.name)
    program = load_program(write(generated, folder.path / PROGRAM, force=True))
    training = spec.training
    result = train(
        program,
        dataset,
        epochs=epochs or training.epochs,
        batch_size=batch_size or training.batch_size,
        seed=training.seed if seed is None else seed,
        validation_split=training.validation_split,
        run_dir=folder,
        stream=io.StringIO() if quiet else None,
    )
    return TrainingReport(result, program.directory / "numpy_trainer.py")
