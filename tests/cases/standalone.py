"""A generated program's command line, called as a user calls it."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType

LABELS = """
spec_version = 1
name = "labels"
[input]
shape = [8, 8, 1]
[[layers]]
type = "dense"
units = 6
activation = "tanh"
[[layers]]
type = "batch_norm"
[[layers]]
type = "dense"
units = 3
activation = "softmax"
[loss]
type = "cross_entropy"
[training]
batch_size = 8
"""


def called(module: ModuleType, *arguments: str) -> tuple[int, str, str]:
    """The exit code of the program's command line, what it prints and what it complains of."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    before, sys.argv = sys.argv, ["numpy_trainer.py", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            module.main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.argv = before
    return code, out.getvalue(), err.getvalue()


def loaded(path: Path) -> ModuleType:
    """The module in a file."""
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
