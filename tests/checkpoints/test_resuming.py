"""Going on with a run: the same run as one unbroken, killed or stopped wherever (faults 19, 26 and 29)."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runs
from checkpoints.runs_of_small import PROGRAMS, SETTINGS, cut, data, run
from runs import outcome, quiet, signal, with_functions

from bench import kill_save
from bench.kill_resume import rehearse
from chainrule.programs import scratch_program
from chainrule.runtime.datasets.dataset import Dataset
from chainrule.runtime.errors import RunError, TrainingStopped
from chainrule.runtime.parameters import load_parameters
from chainrule.runtime.program import LoadedProgram, load_program
from chainrule.runtime.runfolder import claim_run_folder, recorded_settings
from chainrule.runtime.settings import Settings
from chainrule.runtime.training import train
from chainrule.spec.load import parse_spec


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


# ---- Going on (fault 29) --------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 5, 6, 7, 15, 24])
def test_resumed_run_is_the_unbroken_run_for_every_optimizer(
    program: LoadedProgram, tmp_path: Path, count: int
) -> None:
    run(program, tmp_path / "whole")
    broken = cut(program, tmp_path / "cut", count)
    assert (broken.status, broken.exit_code) == ("interrupted", 130)
    assert broken.epochs * 6 + broken.steps == count
    assert run(program, tmp_path / "cut", resume=True).status == "finished"
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


IMAGES = """
spec_version = 1
name = "images"
[input]
shape = [9, 8, 2]
[[layers]]
type = "conv2d"
filters = 4
kernel = 3
padding = "same"
activation = "relu"
[[layers]]
type = "batch_norm"
[[layers]]
type = "max_pool2d"
size = 2
[[layers]]
type = "dropout"
rate = 0.3
[[layers]]
type = "dense"
units = 3
activation = "softmax"
[loss]
type = "cross_entropy"
l2 = 1e-3
[optimizer]
type = "adam"
schedule = "cosine"
warmup = 4
clip_norm = 0.5
weight_decay = 0.01
"""


@pytest.mark.parametrize("count", [2, 9, 12])
def test_everything_at_once_resumes_bit_for_bit(tmp_path: Path, count: int) -> None:
    """Running statistics, dropout, augmentation, standardizing, a schedule and early stopping."""
    rng = np.random.default_rng(1)
    x, t = rng.integers(0, 256, (100, 9, 8, 2), np.uint8), rng.integers(0, 3, 100)
    given = Dataset("images", x, t, x[:20], t[:20], "synthetic")
    settings = replace(
        SETTINGS,
        early_stopping=3,
        standardize="zscore",
        augmentation={"flip": True, "shift": 1.0, "rotation": 10.0},
    )
    with scratch_program(parse_spec(IMAGES, "images.toml")) as program:
        quiet(program, given, settings, tmp_path / "whole")
        broken = runs.cut(program, given, settings, tmp_path / "cut", count)
        assert broken.status == "interrupted" and broken.epochs * 5 + broken.steps == count
        quiet(program, given, settings, tmp_path / "cut", resume=True)
        assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
        saved = load_parameters(tmp_path / "cut" / "parameters.safetensors", program)
        assert set(program.module.STATISTICS) <= set(saved) and program.module.STATISTICS


def test_run_that_is_cut_many_times_is_the_unbroken_run(adam: LoadedProgram, tmp_path: Path) -> None:
    run(adam, tmp_path / "whole")
    cut(adam, tmp_path / "cut", 3)
    for count in (1, 2, 4, 6):
        assert cut(adam, tmp_path / "cut", count, resume=True).status == "interrupted"
    assert run(adam, tmp_path / "cut", resume=True).status == "finished"
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_signal_during_an_evaluation_leaves_no_half_record(adam: LoadedProgram, tmp_path: Path) -> None:
    run(adam, tmp_path / "whole")
    calls = 0
    with signal() as fire:

        def predict(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 3:  # the validation samples of the second epoch
                fire()
            return adam.module.predict(*arguments)

        broken = run(with_functions(adam, predict=predict), tmp_path / "cut")
    assert broken.status == "interrupted" and len(broken.history) == 1 and broken.steps == 6
    run(adam, tmp_path / "cut", resume=True)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_finished_run_resumes_to_the_same_end(adam: LoadedProgram, tmp_path: Path) -> None:
    run(adam, tmp_path / "r")
    before = outcome(tmp_path / "r")
    (tmp_path / "r" / "parameters.safetensors").unlink()
    run(adam, tmp_path / "r", resume=True)
    assert outcome(tmp_path / "r") == before


def test_how_often_checkpoints_are_written_changes_nothing(adam: LoadedProgram, tmp_path: Path) -> None:
    for every in (None, 1, 4, 1000):
        run(adam, tmp_path / str(every), checkpoint_every=every)
    assert outcome(tmp_path / "1") == outcome(tmp_path / "None") == outcome(tmp_path / "4")
    assert checkpoints(tmp_path / "1") == ["step-000000023.safetensors", "step-000000024.safetensors"]
    assert checkpoints(tmp_path / "4") == ["step-000000020.safetensors", "step-000000024.safetensors"]
    assert checkpoints(tmp_path / "1000") == ["step-000000024.safetensors"]
    with pytest.raises(RunError, match="at least 1"):
        run(adam, tmp_path / "0", checkpoint_every=0)


def test_run_without_a_checkpoint_begins_again(adam: LoadedProgram, tmp_path: Path) -> None:
    run(adam, tmp_path / "whole")
    claim_run_folder(tmp_path / "r", adam.name, settings=SETTINGS.as_dict()).release()
    assert recorded_settings(tmp_path / "r") == SETTINGS.as_dict()
    out = io.StringIO()
    train(adam, data(), SETTINGS, run_dir=tmp_path / "r", resume=True, stream=out, plots=False)
    assert outcome(tmp_path / "r") == outcome(tmp_path / "whole")
    assert "warning" in out.getvalue() and "at the start" in out.getvalue()


# ---- Killed at random moments (fault 26) ----------------------------------------------------


def test_killed_while_saving_the_old_or_the_new_checkpoint_is_whole(tmp_path: Path) -> None:
    """Twelve of the hundred kills of `python -m bench.kill_save`."""
    found = kill_save.rehearse(tmp_path, kills=12, size=100_000)
    assert found.faults == () and found.kills == 12


def test_killed_while_training_and_the_same_bytes(tmp_path: Path) -> None:
    """Three of the hundred kills of `python -m bench.kill_resume`."""
    found = rehearse(PROGRAMS / "relu_mlp", tmp_path, kills=3, epochs=60, seed=1)
    assert found.same_parameters and found.same_summary
    assert len(set(found.reached)) > 1, "the kills must come while it trains"


def test_what_a_killed_writer_left_is_removed(adam: LoadedProgram, tmp_path: Path) -> None:
    cut(adam, tmp_path / "r", 3)
    left = [tmp_path / "r" / ".summary.json.x.tmp", tmp_path / "r" / "checkpoints" / ".step-9.x.tmp"]
    for path in left:
        path.write_bytes(b"half")
    run(adam, tmp_path / "r", resume=True)
    assert not any(path.exists() for path in left)


# ---- Bad losses (fault 19) ------------------------------------------------------------------


def test_bad_loss_keeps_the_last_checkpoint(adam: LoadedProgram, tmp_path: Path) -> None:
    whole = cut(adam, tmp_path / "whole", 10)

    def train_step(parameters: Any, x: Any, t: Any, state: Any, seed: int | None = None) -> float:
        value = adam.module.train_step(parameters, x, t, state, seed=seed)
        if state["step"] == 11:
            parameters["W2"][...] = np.nan
        return value

    bad = with_functions(adam, train_step=train_step)
    with pytest.raises(TrainingStopped, match=r"W2 .*epoch 2, step 4") as caught:
        run(bad, tmp_path / "r", checkpoint_every=5)
    assert caught.value.exit_code == 1
    kept = load_parameters(tmp_path / "r" / "parameters.safetensors", adam)
    assert all((kept[name] == value).all() for name, value in whole.parameters.items())
    assert checkpoints(tmp_path / "r") == ["step-000000005.safetensors", "step-000000010.safetensors"]


def test_program_without_a_flat_vector_resumes_too(tmp_path: Path) -> None:
    program = load_program(PROGRAMS / "relu_mlp")
    rng = np.random.default_rng(0)
    x, t = rng.random((50, 8), np.float32), rng.random((50, 4), np.float32)
    given = Dataset("synthetic", x, t, x, t, "synthetic")
    quiet(program, given, Settings(5, 8), tmp_path / "whole")
    runs.cut(program, given, Settings(5, 8), tmp_path / "cut", 17)
    quiet(program, given, Settings(5, 8), tmp_path / "cut", resume=True)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
