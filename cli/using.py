"""A trained run put to use: images of one's own, and the test data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from chainrule.cli.specs import generated_for
from chainrule.codegen.targets import DEFAULT
from chainrule.programs import edits_told, require, scratch_program
from chainrule.runtime.datasets import fingerprint, load_dataset
from chainrule.runtime.errors import RunError
from chainrule.runtime.evaluation import Evaluation, evaluate_run
from chainrule.runtime.files import write_json
from chainrule.runtime.pictures import save_confusion, save_mistakes
from chainrule.runtime.prediction import Prediction, predict_images
from chainrule.runtime.run import SPEC, Run, load_run, read_summary
from chainrule.runtime.training import check_shapes

EVALUATION = "evaluation.json"
SCALES = 8  # times as large, and inputs are on another scale than in training
CONFUSION = ("confusion.png", "confusion.svg")
MISTAKES = ("mistakes.png",)


def open_run(path: Path, regenerate: bool = False, target: str = DEFAULT) -> Run:
    """Return the run in a folder with the program of a target; an edited one is used, and said to be.

    With ``regenerate``, nothing in the folder is run: the program is written anew, from the spec that lies
    there.  Raises RunError, and spec.SpecError for that spec.
    """
    if regenerate:
        return _regenerated(path, target)
    require(target)
    with edits_told():
        return load_run(path, target=target)


def _regenerated(path: Path, target: str) -> Run:
    from chainrule.derive.library import ONE_HOT
    from chainrule.spec import load_spec

    if path.is_dir() and not (path / SPEC).exists():
        raise RunError(f"{path}: no {SPEC} in it to write the program from: it is of an older version")
    if not path.is_dir():
        raise RunError(f"{path}: no such folder; a run's folder is needed, as in runs/NAME-1")
    spec, data = load_spec(path / SPEC), read_summary(path).get("data")
    if spec.objective.targets == ONE_HOT and isinstance(data, dict):
        spec = replace(spec, loss=replace(spec.loss, soft=data.get("soft") is True))
    with scratch_program(spec, generated_for, target) as program:
        return load_run(path, program)


def predicted(
    path: Path,
    images: Sequence[Path],
    top: int,
    invert: bool | None,
    fit: str,
    regenerate: bool = False,
    target: str = DEFAULT,
) -> list[Prediction]:
    """Return what the run in a folder makes of images."""
    return predict_images(open_run(path, regenerate, target), images, top=top, invert=invert, fit=fit)


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
    path: Path,
    data: str | None,
    data_dir: Path | None,
    download: bool | None,
    regenerate: bool = False,
    target: str = DEFAULT,
) -> tuple[Evaluation, dict[str, str]]:
    """Return how the run in a folder does on test data, and the files about it by what they are.

    Raises RunError, and DataError where the data are missing.
    """
    run = open_run(path, regenerate, target)
    source = data or run.source
    if not source:
        raise RunError(f"{path}: the run does not say what it was trained on; name it by --data")
    dataset = load_dataset(
        source,
        data_dir=data_dir or (None if data else _where_it_lay(run.origin)),
        **run.program.takes,
        class_names=run.class_names,
        full_scale=run.full_scale,
        download=bool(download),  # what it was trained on was there: nothing else stands in for it
    )
    check_shapes(run.program, dataset)
    if data is None and run.data_sha256 not in ("", fingerprint(dataset)):
        click.echo(f"{dataset.origin}: the data have changed since the run was trained on them", err=True)
    if data is not None and run.span is not None and dataset.stored is not None:
        there, here = (max(abs(low), abs(high)) for low, high in (run.span, dataset.stored.span))
        known = run.full_scale is not None and run.full_scale == dataset.stored.full_scale
        if not known and max(there, here) > SCALES * min(there, here):
            click.echo(
                f"{dataset.origin}: inputs reach {here:.4g}, in training {there:.4g}: another scale?",
                err=True,
            )
    found = evaluate_run(run, dataset)
    files = {"evaluation": path / EVALUATION}
    if found.accuracy is not None:
        save_confusion(found, [path / name for name in CONFUSION])
        files["confusion"] = path / CONFUSION[0]
        if save_mistakes(found, dataset.parts()[found.part][0], [path / name for name in MISTAKES]):
            files["mistakes"] = path / MISTAKES[0]
    shown = {what: str(file) for what, file in files.items()}
    try:
        write_json(files["evaluation"], found.to_json())
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
