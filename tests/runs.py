"""Runs that are cut short, and what two runs must have in common."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chainrule.runtime.datasets.dataset import Dataset
from chainrule.runtime.interrupt import Interrupt
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.result import RunResult
from chainrule.runtime.settings import Settings
from chainrule.runtime.training import train


def after(program: LoadedProgram, count: int, act: Callable[[], None]) -> LoadedProgram:
    """The program, which calls `act` in its step number `count` (from 1)."""
    calls = 0

    def train_step(*arguments: Any, **options: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == count:
            act()
        return program.module.train_step(*arguments, **options)

    return with_functions(program, train_step=train_step)


def with_functions(program: LoadedProgram, **functions: Callable[..., Any]) -> LoadedProgram:
    """The program with other functions."""
    return replace(program, module=SimpleNamespace(**{**vars(program.module), **functions}))


@contextmanager
def signal() -> Iterator[Callable[[], None]]:
    """A function that does what the first Ctrl-C of a run within does."""
    seen: list[Interrupt] = []
    enter = Interrupt.__enter__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Interrupt, "__enter__", lambda self: seen.append(self) or enter(self))
        yield lambda: seen[-1]._handle(2, None)


def quiet(
    program: LoadedProgram, data: Dataset, settings: Settings, folder: Path, **options: Any
) -> RunResult:
    """A run that shows nothing."""
    options = {"stream": io.StringIO(), "plots": False} | options
    return train(program, data, settings, run_dir=folder, **options)


def cut(
    program: LoadedProgram, data: Dataset, settings: Settings, folder: Path, count: int, **options: Any
) -> RunResult:
    """A run that gets a signal in its step number `count`."""
    with signal() as fire:
        return quiet(after(program, count, fire), data, settings, folder, **options)


def outcome(folder: Path) -> tuple[bytes, dict[str, Any]]:
    """What must be equal of two runs: the parameters' bytes, and the summary without time and place."""
    summary = json.loads((folder / "summary.json").read_text())
    timeless = {key: value for key, value in summary.items() if not key.endswith("seconds") and key != "run"}
    return (folder / "parameters.safetensors").read_bytes(), timeless
