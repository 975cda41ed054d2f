"""Folders of runs: files edited, damaged, missing, doubled, of another kind, through the real command.

python -m bench.fuzz.run_folders --count 5000
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from bench.fuzz import mutation
from bench.fuzz.finished_run import base, command, copied, derive, spared
from bench.fuzz.harness import campaign
from bench.fuzz.json_values import as_text, mutated

JSON: Final = ("summary.json", "summary.json", "program/small/manifest.json", "evaluation.json")
FILES: Final = (
    *JSON,
    "parameters.safetensors",
    "spec.toml",
    "program/small/numpy_trainer.py",
    "checkpoints/step-000000004.safetensors",
    "checkpoints/step-000000006.safetensors",
    "curves.png",
    ".lock",
)
FOLDERS: Final = ("program", "program/small", "checkpoints", "")
KINDS: Final = ("missing", "folder", "pipe", "link to nothing", "link to itself", "link to zeros", "empty")


@dataclass(frozen=True)
class Input:
    """What is done to files of the run, by their names, and the command that follows."""

    changes: tuple[tuple[str, bytes | str], ...]
    command: str


def make(random: Random) -> Input:
    changes = tuple(_change(random) for _ in range(random.choice((1, 1, 1, 2, 4))))
    names = ("predict", "predict", "predict", "evaluate", "regenerate", "resume", "handout")
    return Input(changes, random.choice(names))


def check(given: Input) -> str:
    with copied() as run:
        for name, what in given.changes:
            _apply(run, name, what)
        return derive(base(), command(given.command, run))[0]


def _change(random: Random) -> tuple[str, bytes | str]:
    how = random.random()
    if how < 0.6:
        name = random.choice(JSON)
        value: Any = json.loads((base() / "whole" / name).read_text(encoding="utf-8"))
        return name, as_text(random, mutated(random, value)).encode(errors="surrogatepass")
    if how < 0.75:
        name = random.choice([name for name in FILES if not name.endswith(".py")])
        return name, mutation.mutated((base() / "whole" / name).read_bytes(), random)
    if how < 0.78:  # a program that is cut off, or no program
        content = (base() / "whole" / FILES[6]).read_bytes()
        return FILES[6], random.choice(
            (content[: random.randrange(len(content))], b"\0", b"(" * 9999, b"1/0\n")
        )
    if how < 0.95:
        return random.choice(FILES), random.choice(KINDS)
    if how < 0.97:
        return random.choice(FOLDERS), random.choice(KINDS)
    name = random.choice(("step-000000009.safetensors", "step-x.safetensors", "step-\udcff.safetensors"))
    return f"checkpoints/{name}", random.randbytes(random.choice((0, 8, 1000)))


def _apply(run: Path, name: str, what: bytes | str) -> None:
    """Does one change; where an earlier one took its folder away, nothing."""
    path = run / name
    if not path.parent.is_dir() or path.parent.is_symlink():
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if isinstance(what, bytes) or what == "empty":
        path.write_bytes(what if isinstance(what, bytes) else b"")
    elif what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what.startswith("link"):
        path.symlink_to({"nothing": "nowhere", "itself": path.name, "zeros": "/dev/zero"}[what.split()[-1]])


if __name__ == "__main__":
    with spared():
        base()
        raise SystemExit(campaign(make, check))
