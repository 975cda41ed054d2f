"""The folder of a run: claimed once, by one run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import RunError
from runtime.files import write_atomically

SUMMARY = "summary.json"
PARAMETERS = "parameters.safetensors"
CURVES = ("curves.png", "curves.svg")
ROOT = Path("runs")


@dataclass(frozen=True)
class RunFolder:
    """A folder that belongs to this run; its summary says "running" until the run ends."""

    path: Path


def claim_run_folder(path: Path | None, name: str, *, root: Path = ROOT) -> RunFolder:
    """A folder for a run: `path`, new or empty, or the next free `root`/`name`-1, -2 ….

    Of two runs that ask for one folder, the second is refused, with a RunError.
    """
    try:
        if path is not None:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise RunError(
                    f"{path}: not empty; another run's folder is never overwritten, choose another"
                )
            return _marked(path, name)
        root.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            folder = root / f"{name}-{number}"
            try:
                folder.mkdir()
                return _marked(folder, name)
            except FileExistsError:
                number += 1
    except OSError as error:
        where = error.filename or path or root
        raise RunError(f"{where}: cannot be used as a run folder ({error.strerror or error})") from error


def _marked(folder: Path, name: str) -> RunFolder:
    """Creates the summary exclusively: whoever creates it owns the folder."""
    try:
        with (folder / SUMMARY).open("x", encoding="utf-8") as file:
            json.dump({"name": name, "status": "running"}, file)
    except FileExistsError as error:
        raise RunError(f"{folder}: another run has just begun there; choose another folder") from error
    return RunFolder(folder)


def write_summary(folder: RunFolder, summary: dict[str, Any]) -> None:
    """Replaces the summary.  Raises RunError."""
    path = folder.path / SUMMARY
    text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error
