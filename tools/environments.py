"""Virtual environments that are thrown away, for what has to be seen from outside this repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parent.parent
PIP = ("--quiet", "--disable-pip-version-check", "--no-input")


class Environment:
    """A virtual environment with pip, in a folder, of one Python."""

    def __init__(self, path: Path, python: str) -> None:
        run(python, "-m", "venv", str(path))
        self.path, self.python = path, str(path / "bin" / "python")

    def install(self, *what: str) -> bool:
        return called(self.python, "-m", "pip", "install", *PIP, *what).returncode == 0

    def install_ours(self, what: str) -> None:
        """Install chainrule, a folder or a wheel, over the pinned versions of what it needs."""
        pinned = str(ROOT / "requirements" / "run.txt")
        for asked in (("--require-hashes", "--requirement", pinned), ("--no-deps", what)):
            run(self.python, "-m", "pip", "install", *PIP, *asked)


def source(top: Path) -> str:
    """Return a copy of the package as it is tracked: building leaves files where it is done."""
    copy = top / "source"
    for name in filter(None, run("git", "ls-files", "-z", folder=ROOT).split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/", "bench/", "generated/")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    return str(copy)


def called(*command: str, folder: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command outside this repository, whose folders could be imported, with more variables."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    where = folder or tempfile.gettempdir()
    return subprocess.run(command, cwd=where, env=bare | more, capture_output=True, text=True)  # noqa: S603


def run(*command: str, folder: Path | None = None, **more: str) -> str:
    """Return what a command prints; where it fails, end with what it says."""
    done = called(*command, folder=folder, **more)
    if done.returncode:
        fail(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def fail(message: str) -> NoReturn:
    sys.exit(message)
