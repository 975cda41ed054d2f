"""A trained run put to use: images of one's own, and the test data."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from runtime.datasets import load_dataset
from runtime.errors import EditedProgramWarning, RunError
from runtime.evaluation import Evaluation, evaluate_run
from runtime.files import write_atomically
from runtime.pictures import save_confusion, save_mistakes
from runtime.prediction import Prediction, predict_images
from runtime.run import Run, load_run

EVALUATION = "evaluation.json"
CONFUSION = ("confusion.png", "confusion.svg")
MISTAKES = ("mistakes.png",)


def open_run(path: Path) -> Run:
    """Return the run in a folder; an edited program is used, and said to be.  Raises RunError."""
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always", EditedProgramWarning)
        run = load_run(path)
    for each in noted:
        click.echo(str(each.message), err=True)
    return run


def predicted(
    path: Path, images: Sequence[Path], top: int, invert: bool | None, fit: str
) -> list[Prediction]:
    """Return what the run in a folder makes of images."""
    return predict_images(open_run(path), images, top=top, invert=invert, fit=fit)


def prediction_text(predictions: Sequence[Prediction]) -> str:
    """Return each image, the way it took, and its classes."""
    blocks = []
    for each in predictions:
        width = max(len(name) for name, _ in each.scores)
        lines = [f"{each.path}: {' → '.join(each.way)}"]
        for name, score in each.scores:
            lines.append(f"  {name:<{width}}  " + (f"{score:8.2%}" if each.probabilities else f"{score:.6g}"))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def evaluated(
    path: Path, data: str | None, data_dir: Path | None, download: bool | None
) -> tuple[Evaluation, dict[str, str]]:
    """Return how the run in a folder does on test data, and the files about it by what they are.

    Raises RunError, and DataError where the data are missing.
    """
    run = open_run(path)
    source = data or run.source
    if not source:
        raise RunError(f"{path}: the run does not say what it was trained on; name it by --data")
    dataset = load_dataset(
        source,
        data_dir=data_dir or (None if data else _where_it_lay(run.origin)),
        **run.program.takes,
        class_names=run.class_names,
        download=bool(download),  # what it was trained on was there: nothing else stands in for it
    )
    found = evaluate_run(run, dataset)
    files = {"evaluation": path / EVALUATION}
    if found.accuracy is not None:
        save_confusion(found, [path / name for name in CONFUSION])
        files["confusion"] = path / CONFUSION[0]
        if save_mistakes(found, dataset.parts()[found.part][0], [path / name for name in MISTAKES]):
            files["mistakes"] = path / MISTAKES[0]
    shown = {what: str(file) for what, file in files.items()}
    content = json.dumps(found.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_atomically(files["evaluation"], content.encode())
    except OSError as error:
        raise RunError(f"{path / EVALUATION}: cannot be written ({error.strerror or error})") from error
    return found, shown


def _where_it_lay(origin: str) -> Path | None:
    """Return the folder of the data of a run, where it still is."""
    path = Path(origin)
    folder = path if path.is_dir() else path.parent
    return folder if origin and path.exists() else None


def evaluation_text(found: Evaluation, files: dict[str, str]) -> str:
    """Return the tables and where the pictures are."""
    return found.to_text() + "\n\n" + "\n".join(f"{what:<13}  {file}" for what, file in files.items())


def evaluation_json(found: Evaluation, files: dict[str, str]) -> dict[str, Any]:
    """Return the evaluation and its files as JSON values."""
    return found.to_json() | {"files": files}
