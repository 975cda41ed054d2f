"""A finished run, opened again: its program, its parameters, and what its inputs and classes are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.runtime.errors import RunError
from chainrule.runtime.parameters import load_parameters
from chainrule.runtime.preprocessing import Preprocessing
from chainrule.runtime.program import MANIFEST, LoadedProgram, load_program
from chainrule.runtime.runfolder import PARAMETERS, SUMMARY, stored_summary
from chainrule.runtime.settings import NUMPY
from chainrule.runtime.snapshot import not_finite
from chainrule.runtime.trainer import Array, Parameters

PROGRAM = "program"  # the folder, within that of a run, that holds the program's own
SPEC = "spec.toml"  # the text of the spec that it was generated from


@dataclass(frozen=True)
class Run:
    """What training left in `path`.

    `source` is the data set, as `load_dataset` takes it, `origin` the file or folder that it came from,
    `classification` says that its targets were classes, `span` from where to where inputs went before they
    were standardized (None where nobody knows), `data_sha256` the fingerprint of all the data ("" where it is
    not recorded), `full_scale` the value that became 255 in images of more than 8 bits (None without such,
    and where it is not recorded).
    """

    path: Path
    program: LoadedProgram
    parameters: Parameters
    preprocessing: Preprocessing
    class_names: tuple[str, ...]
    source: str | Mapping[str, Any]
    origin: str
    classification: bool
    span: tuple[float, float] | None = None
    data_sha256: str = ""
    full_scale: float | None = None

    def outputs(self, x: Array) -> Array:
        """The network's outputs (N, …), in evaluation mode, for stored inputs (N, *input_shape).

        Raises RunError where they are not finite.
        """
        with np.errstate(all="ignore"):
            outputs = self.program.module.predict(self.parameters, self.preprocessing(x))
        if bad := not_finite(outputs):
            raise RunError(
                f"{self.path}: the network's outputs have {bad}: inputs or parameters are too large; it "
                "says nothing about these inputs"
            )
        return outputs


def load_run(path: Path, program: LoadedProgram | None = None, target: str = NUMPY) -> Run:
    """The run in a folder that `derive train` wrote, with `program` in place of the folder's own.

    Without `program`, that of the `target` in the folder is run.  Raises RunError for a folder that is none,
    a run without parameters as yet, parts that do not belong together, and parameters that are not finite.
    """
    summary = read_summary(path)
    program = program or load_program(_program_folder(path), target=target)
    if not (path / PARAMETERS).exists():
        status = summary.get("status", "of unknown status")
        remedy = "wait for its end, or resume it" if status == "running" else "resume it"
        raise RunError(f"{path}: no {PARAMETERS} in it (the run is {status}); {remedy}")
    if "data" not in summary:
        raise RunError(f"{path / SUMMARY}: it does not say what the run was trained on; resume the run")
    parameters = load_parameters(path / PARAMETERS, program)
    recorded = summary.get("spec_sha256", program.spec_sha256)
    if recorded != program.spec_sha256:
        raise RunError(
            f"{path}: {SUMMARY} is of spec {str(recorded)[:12]}…, the program of "
            f"{program.spec_sha256[:12]}…: they are of two runs"
        )
    _try(program, parameters)
    data = _table(summary, "data", path)
    preprocessing = Preprocessing.from_json(_table(summary, "inputs", path), program.input_shape)
    source = data.get("source") or program.training.get("data") or ""
    if not isinstance(source, str | dict):
        raise RunError(f"{path / SUMMARY}: data.source must be text; the file is damaged")
    origin = str(data.get("origin", ""))
    names, classes = _class_names(data, program), bool(data.get("classes", program.classification))
    sha256 = str(data.get("sha256", ""))
    return Run(
        path,
        program,
        parameters,
        preprocessing,
        names,
        source,
        origin,
        classes,
        _span(data),
        sha256,
        _full_scale(data, path),
    )


def _span(data: Mapping[str, Any]) -> tuple[float, float] | None:
    """The smallest and the largest training input, as the network took them."""
    try:
        found = data["found"]["inputs"]
        return found["low"] / found["divided_by"], found["high"] / found["divided_by"]
    except (KeyError, TypeError, ZeroDivisionError):
        return None


def _full_scale(data: Mapping[str, Any], path: Path) -> float | None:
    """What became 255 in training images of more than 8 bits; None where nothing is recorded."""
    try:
        value = data["found"]["inputs"].get("full_scale")
    except (AttributeError, KeyError, TypeError):
        return None
    if value is not None and not (type(value) in (int, float) and 0 < value < math.inf):
        raise RunError(f"{path / SUMMARY}: full_scale must be a number above 0; the file is damaged")
    return None if value is None else float(value)


def _try(program: LoadedProgram, parameters: Parameters) -> None:
    """Raises RunError where the program does not make of an input what its manifest says."""
    wanted = (1, *program.output_shape)
    try:
        one = np.zeros((1, *program.input_shape), np.float32)
        with np.errstate(all="ignore"):
            found = np.shape(program.module.predict(parameters, one))
    except Exception as error:
        raise RunError(
            f"{program.path}: it fails for an input as {MANIFEST} has it ({type(error).__name__}: {error}); "
            "one of the two was edited: use --regenerate, or another run"
        ) from error
    if found != wanted:
        raise RunError(
            f"{program.path}: its output has shape {found}, by {MANIFEST} {wanted}; one of them was edited: "
            "use --regenerate, or another run"
        )


def read_summary(path: Path) -> dict[str, Any]:
    """The summary in the folder of a run.  Raises RunError."""
    try:
        return stored_summary(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        what = f"no {SUMMARY} in it" if path.is_dir() else "no folder" if path.exists() else "no such folder"
        raise RunError(f"{path}: {what}; a run's folder is needed, as in runs/NAME-1") from error


def _table(summary: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    table = summary.get(key, {})
    if not isinstance(table, dict):
        raise RunError(f"{path / SUMMARY}: {key} must be a table; the file is damaged")
    return table


def _program_folder(path: Path) -> Path:
    found = sorted(path.glob(f"{PROGRAM}/*/{MANIFEST}"))
    if len(found) != 1:
        raise RunError(
            f"{path}: {len(found)} programs in {PROGRAM}/, one is needed; is it a folder that `derive train` "
            "wrote?"
        )
    return found[0].parent


def _class_names(data: Mapping[str, Any], program: LoadedProgram) -> tuple[str, ...]:
    """The names of the classes, their numbers where they have none."""
    names = data.get("class_names", [])
    known = [str(name) for name in names] if isinstance(names, list) else []
    return tuple(known[k] if k < len(known) else str(k) for k in range(program.classes))


def class_scores(outputs: Array) -> tuple[Array, bool]:
    """Scores (N, K) of the classes, and whether they are probabilities.

    A single output of a network is the score of class 1; that of class 0 is what is left of 1.
    """
    scores = outputs.reshape(len(outputs), -1)
    if scores.shape[1] == 1:
        scores = np.concatenate([1 - scores, scores], axis=1)
    whole = np.allclose(scores.sum(axis=1), 1, atol=1e-4)
    return scores, bool(whole and np.all(scores >= 0))
