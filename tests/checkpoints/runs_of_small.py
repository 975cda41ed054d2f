"""Runs of a small program on synthetic data, whole and cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import runs
from runs import quiet
from small import DENSE

from chainrule.runtime.datasets.dataset import Dataset
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.result import RunResult
from chainrule.runtime.settings import Settings

PROGRAMS = Path(__file__).parent.parent / "programs"
SETTINGS = Settings(epochs=4, batch_size=16, seed=3, validation_split=0.2)  # 6 steps an epoch, the last of 10
SPEC = f'{DENSE}[optimizer]\ntype = "OPTIMIZER"\n'


def data(samples: int = 112) -> Dataset:
    rng = np.random.default_rng(5)
    x = rng.random((samples, 6), np.float32)
    t = (x[:, :3].argmax(axis=1)).astype(np.int64)
    return Dataset("synthetic", x, t, x[:40], t[:40], "synthetic")


def run(program: LoadedProgram, folder: Any, settings: Settings = SETTINGS, **options: Any) -> RunResult:
    return quiet(program, data(), settings, folder, **options)


def cut(program: LoadedProgram, folder: Path, count: int, **options: Any) -> RunResult:
    """A run that gets a signal in its step number `count`."""
    return runs.cut(program, data(), SETTINGS, folder, count, **options)
