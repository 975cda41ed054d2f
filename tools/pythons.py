"""Try every other Python that the metadata name, as far as it is found: install, generate, check, train.

    python tools/pythons.py

Each gets an environment of its own with the pinned requirements, thrown away afterwards; a warning is an
error there.  `make pythons` runs it.  A Python is looked for as pythonX.Y, and among the versions of pyenv.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

from environments import ROOT, Environment, called, fail, run, source

EXAMPLES = ROOT / "examples"
STRICT = {"PYTHONWARNINGS": "error", "OPENBLAS_NUM_THREADS": "1", "CHAINRULE_NO_CACHE": "1"}


def main() -> None:
    """Print what was tried, and what was not there; exit 1 with the first thing that is wrong."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    for version in named():
        if version == here:
            continue
        python = next(found(version), None)
        print(f"Python {version}: {tried(python) if python else 'not found, not tried'}", flush=True)


def named() -> list[str]:
    """Return the versions of Python among the classifiers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    read = (re.fullmatch(r".* :: Python :: (3\.\d+)", line) for line in project["classifiers"])
    return [match[1] for match in read if match]


def found(version: str) -> Iterator[str]:
    """Yield the interpreters of a version that run."""
    root = os.environ.get("PYENV_ROOT") or (pyenv() if shutil.which("pyenv") else "")
    others = sorted(Path(root, "versions").glob(f"{version}.*/bin/python3")) if root else []
    for python in filter(None, (shutil.which(f"python{version}"), *map(str, others))):
        if called(python, "-c", "import venv").returncode == 0:
            yield python


def pyenv() -> str:
    return called("pyenv", "root").stdout.strip()


def tried(python: str) -> str:
    """Return what was done with a Python."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        environment = Environment(top / "environment", python)
        environment.install_ours(source(top))
        derive = str(environment.path / "bin" / "derive")
        specs = sorted(map(str, EXAMPLES.glob("*.toml")))
        generated = ("--output", str(ROOT / "generated"))
        run(derive, "generate", "--check", *generated, *specs, folder=top, **STRICT)
        run(derive, "gradcheck", str(EXAMPLES / "xor_backprop.toml"), folder=top, **STRICT)
        run(derive, "softmax-cross-entropy", "--steps", folder=top, **STRICT)
        spec = str(EXAMPLES / "mnist_mlp.toml")
        asked = ("--data", "mnist_embedded", "--epochs", "1", "--json")
        if '"finished"' not in run(derive, "train", spec, *asked, folder=top, **STRICT):
            fail(f"{python}: a run did not finish")
        numpy = run(environment.python, "-c", "import numpy; print(numpy.__version__)").strip()
        return f"generates, checks and trains, with NumPy {numpy}"


if __name__ == "__main__":
    main()
