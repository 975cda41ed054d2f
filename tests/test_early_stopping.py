"""Early stopping: when training ends, with which parameters, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import cut, outcome, quiet

from chainrule.programs import scratch_program
from chainrule.running import TrainingReport
from chainrule.runtime.datasets.dataset import Dataset
from chainrule.runtime.errors import RunError
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.settings import Settings
from chainrule.spec.load import parse_spec

SPEC = """
spec_version = 1
name = "small"
[input]
shape = [6]
[[layers]]
type = "dense"
units = 30
activation = "relu"
[[layers]]
type = "dense"
units = 3
activation = "softmax"
[loss]
type = "cross_entropy"
[optimizer]
type = "adam"
learning_rate = 0.01
"""
SETTINGS = Settings(epochs=200, batch_size=16, validation_split=0.25, early_stopping=5)


@pytest.fixture(scope="module")
def program() -> Iterator[LoadedProgram]:
    with scratch_program(parse_spec(SPEC, "small.toml")) as found:
        yield found


def noise() -> Dataset:
    """Labels that are mostly chance: what is learnt of them soon does not help elsewhere."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((80, 6)).astype(np.float32)
    t = np.where(rng.random(80) < 0.5, rng.integers(0, 3, 80), x[:, :3].argmax(axis=1))
    return Dataset("noise", x, t, x[:40], t[:40], "noise")


def run(program: LoadedProgram, folder: Path, settings: Settings, **options: Any) -> Any:
    return quiet(program, noise(), settings, folder, **options)


def test_the_best_parameters_are_kept_saved_and_tested(program: LoadedProgram, tmp_path: Path) -> None:
    result = run(program, tmp_path / "r", SETTINGS)
    losses = [row.validation_loss for row in result.history]
    best = result.best_epoch
    assert result.stopped_early and result.status == "finished" and result.exit_code == 0
    assert 1 < best == int(np.argmin(losses)) + 1 and result.epochs == best + 5 < 200
    short = run(program, tmp_path / "short", replace(SETTINGS, epochs=best, early_stopping=0))
    assert all((result.parameters[name] == short.parameters[name]).all() for name in short.parameters)
    assert result.test_loss == short.test_loss and short.best_epoch is None and not short.stopped_early
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["stopped_early"] is True and summary["best_epoch"] == best
    assert len(summary["history"]) == result.epochs
    report = TrainingReport(result, Path("program"), Path("small.toml")).text()
    assert f"stopped early   after {result.epochs} epochs; the best was epoch {best}" in report


def test_a_run_that_ends_before_its_patience_has_its_best_parameters_too(
    program: LoadedProgram, tmp_path: Path
) -> None:
    whole = run(program, tmp_path / "whole", SETTINGS)
    ended = run(program, tmp_path / "r", replace(SETTINGS, epochs=whole.best_epoch + 2))
    assert not ended.stopped_early and ended.best_epoch == whole.best_epoch
    assert all((ended.parameters[name] == whole.parameters[name]).all() for name in ended.parameters)


@pytest.mark.parametrize("late", [-3, 2, 9, 19, 20])
def test_resumed_run_stops_at_the_same_epoch(program: LoadedProgram, tmp_path: Path, late: int) -> None:
    whole = run(program, tmp_path / "whole", SETTINGS)
    broken = cut(program, noise(), SETTINGS, tmp_path / "r", 4 * whole.best_epoch + late)
    assert broken.status == "interrupted"
    resumed = run(program, tmp_path / "r", SETTINGS, resume=True)
    assert resumed.stopped_early and outcome(tmp_path / "r") == outcome(tmp_path / "whole")


def test_patience_needs_something_to_watch(program: LoadedProgram, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="early stopping"):
        replace(SETTINGS, early_stopping=-1)
    with pytest.raises(RunError, match="there is no validation set"):
        run(program, tmp_path / "r", replace(SETTINGS, validation_split=0.0))
    assert not (tmp_path / "r").exists()
