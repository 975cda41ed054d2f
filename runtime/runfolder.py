"""The folder of a run: one process trains in it, as long as it holds the folder's lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrule.runtime.errors import RunError
from chainrule.runtime.files import NotRead, read_json, remove_temporaries, write_json

SUMMARY = "summary.json"
PARAMETERS = "parameters.safetensors"
CHECKPOINTS = "checkpoints"
CURVES = ("curves.png", "curves.svg")
LOCK = ".lock"
ROOT = Path("runs")
DAMAGED = "remove it, and --resume with the options that the run began with"


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

    The settings go into its summary at once; where that cannot be written, a new folder is removed again.  Of
    two runs that ask for one folder, the second is refused, with a RunError.
    """
    new = path is None or not path.exists()
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
        if new and path is not None:
            _remove_empty(path)
        where = error.filename or path or root
        raise RunError(f"{where}: cannot be used as a run folder ({error.strerror or error})") from error
    try:
        write_summary(folder, {"name": name, "status": "running", "settings": dict(settings or {})})
    except RunError:
        if new:
            _remove_empty(path)
        folder.release()
        raise
    return folder


def _remove_empty(path: Path) -> None:
    """Removes a folder in which no more than a lock lies."""
    with contextlib.suppress(OSError):
        (path / LOCK).unlink(missing_ok=True)
        path.rmdir()


def reopen_run_folder(path: Path) -> RunFolder:
    """The folder of a run that is to go on, without what a killed writer left.  Raises RunError.

    What is written into it stays there: where a folder of its own is a symbolic link, it is refused.
    """
    if not path.is_dir():
        raise RunError(f"{path}: no such folder; --resume takes the folder of a run, as in runs/NAME-1")
    try:
        entries = {entry.name for entry in path.iterdir()}
        if entries - {LOCK} and not entries & {SUMMARY, CHECKPOINTS}:
            raise RunError(f"{path}: no run's folder: it has neither {SUMMARY} nor {CHECKPOINTS}/")
        for each in path.rglob("*"):
            if each.is_symlink() and each.is_dir():
                raise RunError(f"{each}: a symbolic link to a folder; a run's folder has none: put it there")
        folder = _locked(path)
        for each in (folder.path, folder.checkpoints):
            remove_temporaries(each)
    except OSError as error:
        where = error.filename or path
        raise RunError(f"{where}: cannot be used as a run folder ({error.strerror or error})") from error
    return folder


def begin_again(folder: RunFolder, settings: Mapping[str, Any]) -> None:
    """Says in the summary that the run goes on, and with which settings.  Raises RunError."""
    write_summary(folder, {**_summary(folder.path), "status": "running", "settings": dict(settings)})


def newest_run(name: str, *, root: Path = ROOT) -> Path:
    """The folder `root`/`name`-N of the largest N.  Raises RunError when there is none."""
    numbers = [path.name.removeprefix(f"{name}-") for path in root.glob(f"{name}-*") if path.is_dir()]
    runs = [int(number) for number in numbers if number.isdecimal()]
    if not runs:
        raise RunError(f"{root}: no run {name}-1, {name}-2 … to go on with; name its folder: --resume RUN")
    return root / f"{name}-{max(runs)}"


def recorded_settings(path: Path) -> dict[str, Any]:
    """The settings that a run began with, {} where it was killed before it wrote them.  Raises RunError."""
    summary = _summary(path)
    settings = summary.get("settings") if summary else {}
    if not isinstance(settings, dict):
        raise RunError(f"{path / SUMMARY}: settings must be a table; {DAMAGED}")
    return settings


def _summary(path: Path) -> dict[str, Any]:
    """The summary of a run that is to go on, {} where there is none.  Raises RunError."""
    try:
        return stored_summary(path, DAMAGED)
    except (FileNotFoundError, NotADirectoryError):
        return {}


def stored_summary(path: Path, remedy: str = "the file is damaged") -> dict[str, Any]:
    """The summary in the folder of a run, with a name and a status.

    Raises FileNotFoundError or NotADirectoryError where there is none, RunError, with the `remedy`, for a
    damaged one.
    """
    file = path / SUMMARY
    try:
        summary = read_json(file)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise RunError(f"{file}: cannot be read ({error.strerror or error})") from error
    except NotRead as error:
        raise RunError(f"{file}: cannot be read as JSON ({error}); {remedy}") from error
    if not isinstance(summary, dict):
        raise RunError(f"{file}: not the summary of a run; {remedy}")
    if absent := [key for key in ("name", "status") if not isinstance(summary.get(key), str)]:
        raise RunError(f"{file}: not the summary of a run, it has no {' and no '.join(absent)}; {remedy}")
    return summary


def write_summary(folder: RunFolder, summary: Mapping[str, Any]) -> None:
    """Replaces the summary.  Raises RunError."""
    path = folder.path / SUMMARY
    try:
        write_json(path, summary)
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
    handle = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise RunError(
            f"{path}: another process is training there; wait for it, or choose another folder"
        ) from error
    return RunFolder(path, handle)
