"""Checkpoints, locks and going on with a run (faults 19 and 23 to 30)."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runs
from disk import Disk
from runs import outcome, quiet, signal, with_functions

from bench import kill_save
from bench.kill_resume import rehearse
from chainrule.cli.programs import scratch_program
from chainrule.derive.library import OPTIMIZERS
from chainrule.runtime.arrays import START, Unreadable, pack, unpack
from chainrule.runtime.checkpoints import Checkpoints, differences
from chainrule.runtime.datasets.dataset import Dataset
from chainrule.runtime.errors import RunError, TrainingStopped
from chainrule.runtime.files import write_atomically
from chainrule.runtime.parameters import load_parameters
from chainrule.runtime.program import Program, load_program
from chainrule.runtime.result import RunResult
from chainrule.runtime.runfolder import claim_run_folder, newest_run, recorded_settings, reopen_run_folder
from chainrule.runtime.settings import Settings
from chainrule.runtime.snapshot import Snapshot, Standing
from chainrule.runtime.training import train
from chainrule.spec.load import parse_spec

PROGRAMS = Path(__file__).parent / "programs"
SETTINGS = Settings(epochs=4, batch_size=16, seed=3, validation_split=0.2)  # 6 steps an epoch, the last of 10
SPEC = """
spec_version = 1
name = "small"
[input]
shape = [6]
[[layers]]
type = "dense"
units = 5
activation = "tanh"
[[layers]]
type = "dense"
units = 3
activation = "softmax"
[loss]
type = "cross_entropy"
[optimizer]
type = "OPTIMIZER"
"""


@pytest.fixture(scope="module", params=[*OPTIMIZERS])
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    with scratch_program(parse_spec(SPEC.replace("OPTIMIZER", request.param), "small.toml")) as found:
        yield found


@pytest.fixture(scope="module")
def adam() -> Iterator[Program]:
    with scratch_program(parse_spec(SPEC.replace("OPTIMIZER", "adam"), "small.toml")) as found:
        yield found


def data(samples: int = 112) -> Dataset:
    rng = np.random.default_rng(5)
    x = rng.random((samples, 6), np.float32)
    t = (x[:, :3].argmax(axis=1)).astype(np.int64)
    return Dataset("synthetic", x, t, x[:40], t[:40], "synthetic")


def run(program: Program, folder: Any, settings: Settings = SETTINGS, **options: Any) -> RunResult:
    return quiet(program, data(), settings, folder, **options)


def cut(program: Program, folder: Path, count: int, **options: Any) -> RunResult:
    """A run that gets a signal in its step number `count`."""
    return runs.cut(program, data(), SETTINGS, folder, count, **options)


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


# ---- Going on (fault 29) --------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 5, 6, 7, 15, 24])
def test_resumed_run_is_the_unbroken_run_for_every_optimizer(
    program: Program, tmp_path: Path, count: int
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


def test_run_that_is_cut_many_times_is_the_unbroken_run(adam: Program, tmp_path: Path) -> None:
    run(adam, tmp_path / "whole")
    cut(adam, tmp_path / "cut", 3)
    for count in (1, 2, 4, 6):
        assert cut(adam, tmp_path / "cut", count, resume=True).status == "interrupted"
    assert run(adam, tmp_path / "cut", resume=True).status == "finished"
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_signal_during_an_evaluation_leaves_no_half_record(adam: Program, tmp_path: Path) -> None:
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


def test_finished_run_resumes_to_the_same_end(adam: Program, tmp_path: Path) -> None:
    run(adam, tmp_path / "r")
    before = outcome(tmp_path / "r")
    (tmp_path / "r" / "parameters.safetensors").unlink()
    run(adam, tmp_path / "r", resume=True)
    assert outcome(tmp_path / "r") == before


def test_how_often_checkpoints_are_written_changes_nothing(adam: Program, tmp_path: Path) -> None:
    for every in (None, 1, 4, 1000):
        run(adam, tmp_path / str(every), checkpoint_every=every)
    assert outcome(tmp_path / "1") == outcome(tmp_path / "None") == outcome(tmp_path / "4")
    assert checkpoints(tmp_path / "1") == ["step-000000023.safetensors", "step-000000024.safetensors"]
    assert checkpoints(tmp_path / "4") == ["step-000000020.safetensors", "step-000000024.safetensors"]
    assert checkpoints(tmp_path / "1000") == ["step-000000024.safetensors"]
    with pytest.raises(RunError, match="at least 1"):
        run(adam, tmp_path / "0", checkpoint_every=0)


def test_run_without_a_checkpoint_begins_again(adam: Program, tmp_path: Path) -> None:
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


def test_what_a_killed_writer_left_is_removed(adam: Program, tmp_path: Path) -> None:
    cut(adam, tmp_path / "r", 3)
    left = [tmp_path / "r" / ".summary.json.x.tmp", tmp_path / "r" / "checkpoints" / ".step-9.x.tmp"]
    for path in left:
        path.write_bytes(b"half")
    run(adam, tmp_path / "r", resume=True)
    assert not any(path.exists() for path in left)


# ---- A full disk (fault 27) -----------------------------------------------------------------


def test_full_disk_at_every_call_leaves_the_old_file(tmp_path: Path) -> None:
    path, content = tmp_path / "p", b"new" * (1 << 20)
    for full in range(1, 100):
        write_atomically(path, b"old")
        with pytest.MonkeyPatch.context() as patch:
            Disk(full, patch)
            try:
                write_atomically(path, content)
            except OSError:
                assert path.read_bytes() == b"old"
            else:
                break
            finally:
                assert [entry.name for entry in tmp_path.iterdir()] == ["p"]
    assert full == 7 and path.read_bytes() == content, "open, three writes, fsync, rename"


def test_full_disk_at_every_call_of_a_run(adam: Program, tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=2)
    run(adam, tmp_path / "whole", settings)
    for full in range(1, 500):
        folder = claim_run_folder(tmp_path / str(full), adam.name)
        with pytest.MonkeyPatch.context() as patch:
            Disk(full, patch)
            try:
                run(adam, folder, settings, checkpoint_every=5)
            except RunError as error:
                assert error.exit_code == 2 and "No space" in str(error)
            else:
                break
        assert not list(folder.path.rglob("*.tmp"))
        assert run(adam, folder.path, settings, resume=True).status == "finished"
        assert outcome(folder.path) == outcome(tmp_path / "whole")
    assert full == 21, "five files, four calls each"


def test_limit_of_the_system_on_a_file_is_met_the_same_way(tmp_path: Path) -> None:
    script = """
import resource, signal, sys
from pathlib import Path
from chainrule.runtime.files import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
write_atomically(Path(sys.argv[1]), b"x" * 1_500_001)
"""
    (tmp_path / "p").write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "p"], capture_output=True, text=True)
    assert "File too large" in done.stderr
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("p", b"old")]


# ---- Damage (fault 28) ----------------------------------------------------------------------


def test_every_flipped_bit_is_found() -> None:
    content = bytes(pack({"a": np.arange(6, dtype=np.float32)}, {"note": "x"}))
    arrays, metadata = unpack(content, checksum=True)
    assert arrays["a"].tolist() == [0, 1, 2, 3, 4, 5] and metadata == {"note": "x"}
    for byte in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[byte] ^= 1 << bit
            with pytest.raises(Unreadable):
                unpack(bytes(damaged), checksum=True)


def test_damaged_newest_is_put_aside_and_the_one_before_is_used(adam: Program, tmp_path: Path) -> None:
    run(adam, tmp_path / "whole")
    cut(adam, tmp_path / "r", 15, checkpoint_every=4)
    newest = tmp_path / "r" / "checkpoints" / "step-000000015.safetensors"
    content = bytearray(newest.read_bytes())
    content[-3] ^= 4
    newest.write_bytes(content)
    out = io.StringIO()
    train(adam, data(), SETTINGS, run_dir=tmp_path / "r", resume=True, stream=out, plots=False)
    assert "step-000000015" in out.getvalue() and "checksum" in out.getvalue()
    assert outcome(tmp_path / "r") == outcome(tmp_path / "whole")
    assert newest.with_name(f"{newest.name}.damaged").exists()


def test_no_whole_checkpoint_is_an_error_and_nothing_is_changed(adam: Program, tmp_path: Path) -> None:
    cut(adam, tmp_path / "r", 15, checkpoint_every=4)
    for path in (tmp_path / "r" / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    before = outcome(tmp_path / "r")
    with pytest.raises(RunError, match="no checkpoint is whole") as caught:
        run(adam, tmp_path / "r", resume=True)
    assert caught.value.exit_code == 2 and outcome(tmp_path / "r") == before


# ---- What is refused (fault 30) -------------------------------------------------------------


def test_checkpoint_of_another_spec_is_refused_with_the_differences(adam: Program, tmp_path: Path) -> None:
    cut(adam, tmp_path / "r", 3)
    other = SPEC.replace("OPTIMIZER", "adam").replace("units = 5", "units = 4")
    other += "learning_rate = 0.5\n"
    with scratch_program(parse_spec(other, "small.toml")) as program, pytest.raises(RunError) as caught:
        run(program, tmp_path / "r", resume=True)
    text = str(caught.value)
    assert "program.optimizer.learning_rate is 0.001, here 0.5" in text
    assert "program.spec_sha256" in text and "6-5-3" in text and "6-4-3" in text
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (replace(SETTINGS, batch_size=8), "settings.batch_size is 16, here 8"),
        (replace(SETTINGS, seed=4), "settings.seed is 3, here 4"),
    ],
)
def test_other_settings_are_refused(adam: Program, tmp_path: Path, settings: Settings, text: str) -> None:
    cut(adam, tmp_path / "r", 3)
    with pytest.raises(RunError, match=text):
        run(adam, tmp_path / "r", settings, resume=True)


def test_other_data_are_refused(adam: Program, tmp_path: Path) -> None:
    cut(adam, tmp_path / "r", 3)
    changed = data()
    changed.train_x[5, 2] += 1
    with pytest.raises(RunError, match=r"data\.sha256"):
        train(adam, changed, SETTINGS, run_dir=tmp_path / "r", resume=True, stream=io.StringIO())


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


def header(entries: dict[str, Any], body: bytes = b"") -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + body


OBJECTS = io.BytesIO()
np.save(OBJECTS, np.array([{}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        pickle.dumps(Bomb()),
        OBJECTS.getvalue(),
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", 100) + b"{" + b" " * 200,
        header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234"),
        header({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}, b"1234"),
        header(
            {
                "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
            },
            b"123456789012",
        ),
        header({"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}}, b"12345678"),
        header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),  # no checksum
        header({"__metadata__": {"checksum": "0" * 64}}),
    ],
)
def test_files_that_are_no_checkpoints_are_refused(
    adam: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    cut(adam, tmp_path / "r", 3)
    (tmp_path / "r" / "checkpoints" / "step-000000003.safetensors").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=r"no checkpoint is whole|not safetensors|checksum"):
        run(adam, tmp_path / "r", resume=True)
    assert not Path("exploded").exists()


def test_checksum_stands_where_it_is_looked_for() -> None:
    content = pack({"a": np.zeros(1)}, {"z": "1", "a": "2"})
    assert content[START - 12 : START] == b'"checksum":"'
    assert content == pack({"a": np.zeros(1)}, {"a": "2", "z": "1"})


def test_state_keeps_every_kind_of_value(adam: Program, tmp_path: Path) -> None:
    moment = Snapshot()
    state = {"step": 3, "rate": 0.1, "name": "x", "on": True, "none": None, "deep": {"v": np.arange(3.0)}}
    parameters = adam.init_parameters(0)
    moment.take(parameters, {}, state, Standing(epoch=2, step=1, total=0.1, seen=16))
    store = Checkpoints(tmp_path, {"a": 1})
    store.save(moment, 7)
    found = store.load(moment, pytest.fail)
    assert found is not None and found.standing == moment.standing
    assert found.state["deep"]["v"].tolist() == [0, 1, 2]
    assert {k: v for k, v in found.state.items() if k != "deep"} == {
        k: state[k] for k in state if k != "deep"
    }
    with pytest.raises(TypeError, match="state/odd"):
        moment.take(parameters, {}, {"odd": object()}, Standing())
        store.save(moment, 8)


def test_differences_name_their_place() -> None:
    there, here = {"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"b": 1, "c": [2]}, "e": 2}
    assert list(differences(there, here)) == [
        "a.c[0] is 1, here 2",
        "d is 2, here not given",
        "e is not given, here 2",
    ]
    assert list(differences(there, there)) == []


# ---- Bad losses (fault 19) ------------------------------------------------------------------


def test_bad_loss_keeps_the_last_checkpoint(adam: Program, tmp_path: Path) -> None:
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


# ---- One process a folder (fault 25) --------------------------------------------------------

HOLDER = """
import sys, time
from pathlib import Path
from chainrule.runtime.runfolder import claim_run_folder
folder = claim_run_folder(Path(sys.argv[1]), "x")
print("claimed", flush=True)
time.sleep(60)
"""


def test_folder_in_use_is_refused_and_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(PROGRAMS.parent.parent)}
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "r")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None and process.stdout.readline() == "claimed\n"
        for take in (
            lambda: reopen_run_folder(tmp_path / "r"),
            lambda: claim_run_folder(tmp_path / "r", "x"),
        ):
            with pytest.raises(RunError, match="another process is training there") as caught:
                take()
            assert caught.value.exit_code == 2
        process.kill()
        process.wait()
    reopen_run_folder(tmp_path / "r").release()


def test_folders_that_are_no_runs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    with pytest.raises(RunError, match="no run's folder"):
        reopen_run_folder(tmp_path / "other")
    with pytest.raises(RunError, match="no such folder"):
        reopen_run_folder(tmp_path / "none")
    with pytest.raises(RunError, match="--resume RUN"):
        newest_run("net", root=tmp_path)
    assert [entry.name for entry in (tmp_path / "other").iterdir()] == ["file"]


def test_newest_run_is_the_one_of_the_largest_number(tmp_path: Path) -> None:
    for name in ("net-2", "net-10", "net-9", "net-x-11", "other-12"):
        (tmp_path / name).mkdir()
    assert newest_run("net", root=tmp_path).name == "net-10"


def test_program_without_a_flat_vector_resumes_too(tmp_path: Path) -> None:
    program = load_program(PROGRAMS / "relu_mlp")
    rng = np.random.default_rng(0)
    x, t = rng.random((50, 8), np.float32), rng.random((50, 4), np.float32)
    given = Dataset("synthetic", x, t, x, t, "synthetic")
    quiet(program, given, Settings(5, 8), tmp_path / "whole")
    runs.cut(program, given, Settings(5, 8), tmp_path / "cut", 17)
    quiet(program, given, Settings(5, 8), tmp_path / "cut", resume=True)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
