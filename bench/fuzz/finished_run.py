"""A finished run to be spoilt, and the command tried on what became of it."""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

SPEC: Final = """
spec_version = 1
name = "small"
[input]
shape = [4, 4, 1]
[[layers]]
type = "dense"
units = 3
activation = "softmax"
[loss]
type = "cross_entropy"
[optimizer]
type = "adam"
[training]
data = "npz:data.npz"
batch_size = 8
epochs = 2
"""
CODES: Final = (0, 1, 2, 3)


@cache
def base() -> Path:
    """A folder with a spec, its data, an image and a finished run; removed with this process."""
    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    mine = os.getpid()
    atexit.register(lambda: os.getpid() == mine and shutil.rmtree(root, ignore_errors=True))
    rng = np.random.default_rng(0)
    x, t = rng.integers(0, 256, (24, 4, 4, 1), np.uint8), rng.integers(0, 3, 24)
    np.savez(root / "data.npz", x_train=x, y_train=t, x_test=x[:9], y_test=t[:9])
    (root / "small.toml").write_text(SPEC, encoding="utf-8")
    from PIL import Image

    Image.fromarray(x[0, :, :, 0]).save(root / "a.png")
    train = ("train", "small.toml", "--run-dir", "whole", "--quiet", "--checkpoint-every", "2")
    for arguments in (train, *(command(name, Path("whole")) for name in ("predict", "evaluate", "handout"))):
        word, said = derive(root, arguments)
        if word != "read":
            raise RuntimeError(f"{arguments}: {said}")
    return root


@contextlib.contextmanager
def spared() -> Iterator[None]:
    """Generates each program once and draws nothing: neither depends on what is read from a folder."""
    from matplotlib.figure import Figure

    import chainrule.cli.handout.document
    import chainrule.codegen.generate

    made: dict[str, Any] = {}
    generate, draw = chainrule.codegen.generate.generate, Figure.savefig

    def once(spec: Any, targets: Iterable[str] = ()) -> Any:
        if spec.source not in made:
            made[spec.source] = generate(spec, targets)
        return made[spec.source]

    chainrule.codegen.generate.generate = chainrule.cli.handout.document.generate = once
    Figure.savefig = lambda self, file, **options: file.write(b"drawn")
    try:
        yield
    finally:
        chainrule.codegen.generate.generate = chainrule.cli.handout.document.generate = generate
        Figure.savefig = draw


def command(name: str, run: Path) -> tuple[str, ...]:
    """The arguments of a command on a run's folder."""
    return {
        "predict": ("predict", str(run), "a.png", "--json"),
        "evaluate": ("evaluate", str(run), "--json"),
        "regenerate": ("predict", str(run), "a.png", "--json", "--regenerate"),
        "resume": ("train", "small.toml", "--resume", str(run), "--quiet", "--json"),
        "handout": ("handout", "small.toml", "--run", str(run), "--no-gradcheck", "-o", "x.html", "--json"),
    }[name]


@contextlib.contextmanager
def copied() -> Iterator[Path]:
    """Yield a copy of the finished run in a folder of this input's own."""
    with tempfile.TemporaryDirectory(dir=base()) as folder:
        run = Path(folder) / "run"
        shutil.copytree(base() / "whole", run)
        yield run


def derive(folder: Path, arguments: tuple[str, ...]) -> tuple[str, str]:
    """("read", stdout) or ("refused", stderr) of the command, run in a folder in this process.

    Raises AssertionError for an exit code, an output or a message that no user should see.
    """
    from chainrule.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    before, before_arguments = Path.cwd(), sys.argv
    os.chdir(folder)
    sys.argv = ["derive", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        code = end.code
    finally:
        os.chdir(before)
        sys.argv = before_arguments
    said = err.getvalue()
    if code not in CODES or "Traceback" in said or (code and not said.strip()):
        raise AssertionError(f"exit code {code}: {said}")
    if not code and "--json" in arguments:
        json.loads(out.getvalue(), parse_constant=_no_constant)
    return ("refused", said) if code else ("read", out.getvalue())


def _no_constant(text: str) -> None:
    raise AssertionError(f"{text} in JSON")
