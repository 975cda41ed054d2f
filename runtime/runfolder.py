"""The folder of a run: one process trains in it, as long as it holds the folder's lock."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.errors import RunError
from runtime.files import remove_temporaries, write_atomically

SUMMARY = "summary.json"
PARAMETERS = "parameters.safetensors"
CHECKPOINTS = "checkpoints"
CURVES = ("curves.png", "curves.svg")
LOCK = ".lock"
ROOT = Path("runs")


class RunFolder:
    """A folder that belongs to this process until `release`; its summary says "running" until the run ends.

    The lock is the kernel's: it goes with the process, however that ends, so that it is never stale.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock: int | None = lock

    @property
    def checkpoints(self) -> Path:
        """Where the run's checkpoints lie."""
        return self.path / CHECKPOINTS

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def release(self) -> None:
        """Gives the folder up; releasing it again does nothing."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def claim_run_folder(
    path: Path | None, name: str, *, root: Path = ROOT, settings: Mapping[str, Any] | None = None
) -> RunFolder:
    """A folder for a new run: `path`, new or empty, or the next free `root`/`name`-1, -2 ….

    The settings go into its summary at once.  Of two runs that ask for one folder, the second is refused,
    with a RunError.
    """
    try:
        if path is None:
            path = _next_free(root, name)
        else:
            path.mkdir(parents=True, exist_ok=True)
        folder = _locked(path)
        if any(entry.name != LOCK for entry in path.iterdir()):
            folder.release()
            raise RunError(
                f"{path}: not empty; another run's folder is never overwritten: choose another, or go on "
                f"with that run by --resume {path}"
            )
    except OSError as error:
        where = error.filename or path or root
        raise RunError(f"{where}: cannot be used as a run folder ({error.strerror or error})") from error
    write_summary(folder, {"name": name, "status": "running", "settings": dict(settings or {})})
    return folder


def reopen_run_folder(path: Path) -> RunFolder:
    """The folder of a run that is to go on, without what a killed writer left.  Raises RunError."""
    if not path.is_dir():
        raise RunError(f"{path}: no such folder; --resume takes the folder of a run, as in runs/NAME-1")
    entries = {entry.name for entry in path.iterdir()}
    if entries - {LOCK} and not entries & {SUMMARY, CHECKPOINTS}:
        raise RunError(f"{path}: no run's folder: it has neither {SUMMARY} nor {CHECKPOINTS}/")
    try:
        folder = _locked(path)
        for each in (folder.path, folder.checkpoints):
            remove_temporaries(each)
    except OSError as error:
        where = error.filename or path
        raise RunError(f"{where}: cannot be used as a run folder ({error.strerror or error})") from error
    return folder


def newest_run(name: str, *, root: Path = ROOT) -> Path:
    """The folder `root`/`name`-N of the largest N.  Raises RunError when there is none."""
    numbers = [path.name.removeprefix(f"{name}-") for path in root.glob(f"{name}-*") if path.is_dir()]
    runs = [int(number) for number in numbers if number.isdecimal()]
    if not runs:
        raise RunError(f"{root}: no run {name}-1, {name}-2 … to go on with; name its folder: --resume RUN")
    return root / f"{name}-{max(runs)}"


def recorded_settings(path: Path) -> dict[str, Any]:
    """The settings that a run began with, {} where it was killed before it wrote them."""
    try:
        settings = json.loads((path / SUMMARY).read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return settings if isinstance(settings, dict) else {}


def write_summary(folder: RunFolder, summary: Mapping[str, Any]) -> None:
    """Replaces the summary.  Raises RunError."""
    path = folder.path / SUMMARY
    text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error


def _next_free(root: Path, name: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = root / f"{name}-{number}"
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1


def _locked(path: Path) -> RunFolder:
    handle = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise RunError(
            f"{path}: another process is training there; wait for it, or choose another folder"
        ) from error
    return RunFolder(path, handle)
