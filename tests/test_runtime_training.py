"""Training, run folders, saved parameters and curves (faults 19, 25, 26, 27, 30 and 34)."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chainrule.runtime.arrays import read_arrays
from chainrule.runtime.batches import Batches, split
from chainrule.runtime.datasets import as_floats, load_dataset
from chainrule.runtime.datasets.dataset import Dataset
from chainrule.runtime.errors import DataError, EditedProgramWarning, RunError, TrainingStopped
from chainrule.runtime.metrics import correct, evaluate
from chainrule.runtime.parameters import load_parameters, save_parameters
from chainrule.runtime.program import LoadedProgram, load_program
from chainrule.runtime.result import RunResult
from chainrule.runtime.runfolder import claim_run_folder
from chainrule.runtime.settings import Settings
from chainrule.runtime.training import train

PROGRAMS = Path(__file__).parent / "programs"


def program(name: str) -> LoadedProgram:
    return load_program(PROGRAMS / name)


def data_for(p: LoadedProgram, data: Any = None) -> Dataset:
    return load_dataset(
        data or p.training["data"],
        input_shape=p.input_shape,
        target_kind=p.target_kind,
        classes=p.classes,
        notify=lambda line: None,
    )


def run(name: str, folder: Path, data: Any = None, **settings: Any) -> RunResult:
    p = program(name)
    asked = {key: value for key, value in p.training.items() if key != "data"}
    return train(p, data_for(p, data), Settings(**(asked | settings)), run_dir=folder, stream=io.StringIO())


# ---- Programs -------------------------------------------------------------------------------


def test_program_is_loaded() -> None:
    p = program("digits_mlp")
    assert (p.name, p.input_shape, p.output_shape, p.classes) == ("digits_mlp", (784,), (10,), 10)
    assert not (PROGRAMS / "digits_mlp" / "__pycache__").exists()


def copy_of(name: str, folder: Path) -> Path:
    folder.mkdir()
    for path in (PROGRAMS / name).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_edited_program_is_told(tmp_path: Path) -> None:
    folder = copy_of("xor", tmp_path / "p")
    with (folder / "numpy_trainer.py").open("a") as file:
        file.write("# mine\n")
    with pytest.warns(EditedProgramWarning, match=r"numpy_trainer\.py"):
        load_program(folder)
    with pytest.raises(RunError, match="generate again"):
        load_program(folder, edited="refuse")
    assert load_program(folder, edited="allow").name == "xor"


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("not json", "cannot be read"),
        ("[]", "format"),
        ('{"format": 2}', "format 2"),
        ('{"format": 1}', "missing"),
    ],
)
def test_bad_manifest(tmp_path: Path, manifest: str, message: str) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(RunError, match=message) as caught:
        load_program(tmp_path)
    assert caught.value.exit_code == 2


def test_bad_program(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not found"):
        load_program(tmp_path)
    folder = copy_of("xor", tmp_path / "p")
    (folder / "numpy_trainer.py").write_text("def broken(:\n")
    with pytest.raises(RunError, match="SyntaxError"):
        load_program(folder, edited="allow")
    (folder / "numpy_trainer.py").write_text("PARAMETERS = {}\n")
    with pytest.raises(RunError, match="train_step"):
        load_program(folder, edited="allow")


# ---- Batches and scores ---------------------------------------------------------------------


def test_every_sample_once_an_epoch_the_short_batch_too() -> None:
    x, t = np.arange(10, dtype=np.float32)[:, None], np.arange(10)
    batches = Batches(x, t, 4, seed=3)
    seen = [(a.copy(), b.copy()) for a, b in batches.epoch(1)]
    assert [len(a) for a, _ in seen] == [4, 4, 2] and batches.steps == 3
    assert all((a[:, 0] == b).all() and a.flags.c_contiguous for a, b in seen)
    order = np.concatenate([b for _, b in seen])
    assert sorted(order) == list(range(10)) and order.tolist() != list(range(10))
    assert order.tolist() == np.concatenate([b for _, b in Batches(x, t, 4, 3).epoch(1)]).tolist()
    assert order.tolist() != np.concatenate([b for _, b in batches.epoch(2)]).tolist()


def test_split_is_by_seed_and_disjoint() -> None:
    x, t = np.arange(50, dtype=np.float32)[:, None], np.arange(50)
    (_, kept), (_, held) = split(x, t, 0.2, 1)
    assert len(held) == 10 and sorted([*kept, *held]) == list(range(50))
    assert held.tolist() != split(x, t, 0.2, 2)[1][1].tolist()
    assert len(split(x, t, 0.0, 1)[1][0]) == 0


def test_correct_counts_labels_one_hot_and_single_outputs() -> None:
    outputs = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert correct(outputs, np.array([1, 0, 0])) == 2
    assert correct(outputs, np.array([[0, 1], [1, 0], [1, 0]])) == 2
    assert correct(np.array([[0.5], [0.4]]), np.array([[1.0], [1.0]])) == 1


def test_evaluation_in_batches_is_the_whole() -> None:
    p = program("digits_mlp")
    data = data_for(p, "embedded")
    parameters = p.init_parameters(0, np.float64)
    x = as_floats(data.test_x).astype(np.float64)
    whole = evaluate(p, parameters, x, data.test_t)
    parts = evaluate(p, parameters, x, data.test_t, batch=333)
    assert whole is not None and parts is not None
    assert parts.loss == pytest.approx(whole.loss, rel=1e-12) and parts.accuracy == whole.accuracy


# ---- Runs -----------------------------------------------------------------------------------


def test_digits_are_learnt_and_written_down(tmp_path: Path) -> None:
    result = run("digits_mlp", tmp_path / "r", "embedded", epochs=5)
    assert result.test_accuracy is not None and result.test_accuracy > 0.88
    assert [row.epoch for row in result.history] == [1, 2, 3, 4, 5]
    assert result.history[-1].validation_accuracy is not None
    names = {path.name for path in (tmp_path / "r").iterdir()} - {".lock"}
    assert names == {"checkpoints", "curves.png", "curves.svg", "parameters.safetensors", "summary.json"}
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["status"] == "finished" and summary["test_accuracy"] == result.test_accuracy
    assert summary["data"]["training"] == 4500 and summary["data"]["validation"] == 500
    loaded = load_parameters(tmp_path / "r" / "parameters.safetensors", program("digits_mlp"))
    assert all((loaded[name] == value).all() for name, value in result.parameters.items())


def test_regression_has_no_accuracy(tmp_path: Path) -> None:
    result = run("relu_mlp", tmp_path / "r")
    assert result.end is not None and result.end.accuracy is None and result.history[-1].accuracy is None
    assert result.test_loss is None and result.end_part == "training"
    assert result.history[-1].loss < result.history[0].loss * 1.5


def test_twenty_thousand_epochs_take_seconds_and_few_lines(tmp_path: Path) -> None:
    p, out = program("xor"), io.StringIO()
    result = train(p, data_for(p), Settings(20_000, 4), run_dir=tmp_path / "r", stream=out)
    assert result.end is not None and result.end.accuracy == 1.0 and result.seconds < 10
    assert 400 < len(result.history) < 520 and result.history[-1].epoch == 20_000
    assert 15 < len(out.getvalue().splitlines()) < 30


def test_same_seed_is_the_same_run_bit_for_bit(tmp_path: Path) -> None:
    results = [run("digits_mlp", tmp_path / str(k), "embedded", epochs=2) for k in range(2)]
    assert results[0].history == results[1].history
    for name in ("parameters.safetensors", "curves.svg", "curves.png"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()
    other = run("digits_mlp", tmp_path / "2", "embedded", epochs=2, seed=1)
    assert other.history != results[0].history


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch_size": 0}, {"seed": -1}, {"validation_split": 1.0}])
def test_bad_settings(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(RunError):
        run("xor", tmp_path / "r", **wrong)
    assert not (tmp_path / "r").exists()


def test_targets_of_another_shape_are_refused(tmp_path: Path) -> None:
    table = {"inputs": [[0, 0], [1, 1]], "targets": [[0, 1], [1, 0]]}
    with pytest.raises(DataError, match=r"target has shape \(2,\), xor takes \(1,\)"):
        run("xor", tmp_path / "r", table)


def test_second_run_in_one_folder_is_refused(tmp_path: Path) -> None:
    run("relu_mlp", tmp_path / "r")
    before = (tmp_path / "r" / "summary.json").read_bytes()
    with pytest.raises(RunError, match="not empty"):
        run("relu_mlp", tmp_path / "r")
    assert (tmp_path / "r" / "summary.json").read_bytes() == before


@pytest.mark.parametrize("name", ["+notes", "notes"])
def test_a_folder_with_anything_in_it_is_no_run_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / name).touch()
    with pytest.raises(RunError, match="not empty"):
        claim_run_folder(tmp_path / "r", "net")
    assert (tmp_path / "r" / name).exists() and not list(tmp_path.glob("r/*.json"))


def test_run_folders_are_numbered_and_claimed(tmp_path: Path) -> None:
    claimed = [claim_run_folder(None, "xor", root=tmp_path / "runs").path.name for _ in range(3)]
    assert claimed == ["xor-1", "xor-2", "xor-3"]
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be used"):
        claim_run_folder(tmp_path / "file", "xor")


# ---- A loss that becomes infinite (fault 19) ------------------------------------------------


def exploding(p: LoadedProgram, at: int, harm: str) -> LoadedProgram:
    """The program whose step number `at` (from 1) makes the parameter `harm` infinite."""

    def train_step(parameters: Any, x: Any, t: Any, state: Any, seed: int | None = None) -> float:
        value = p.module.train_step(parameters, x, t, state, seed=seed)
        state["count"] = state.get("count", 0) + 1
        if state["count"] == at:
            parameters[harm][...] = np.inf
        return value

    return dataclasses.replace(p, module=SimpleNamespace(**{**vars(p.module), "train_step": train_step}))


def test_bad_loss_stops_names_the_tensor_and_keeps_the_last_good_epoch(tmp_path: Path) -> None:
    p = program("digits_mlp")
    data = data_for(p, "embedded")
    good = train(p, data, Settings(2, 50), run_dir=tmp_path / "good", stream=io.StringIO())
    bad = exploding(p, 230, "W2")
    with pytest.raises(TrainingStopped) as caught:
        train(bad, data, Settings(5, 50), run_dir=tmp_path / "bad", stream=io.StringIO())
    text = str(caught.value)
    assert "epoch 3, step 31" in text and "parameter W2" in text and "learning rate" in text
    assert caught.value.exit_code == 1
    kept = load_parameters(tmp_path / "bad" / "parameters.safetensors")
    assert all((kept[name] == value).all() for name, value in good.parameters.items())
    summary = json.loads((tmp_path / "bad" / "summary.json").read_text())
    assert summary["status"] == "stopped" and summary["epochs"] == 2 and "W2" in summary["problem"]


def test_parameter_spoilt_by_the_last_step_is_found(tmp_path: Path) -> None:
    p = program("digits_mlp")
    with pytest.raises(TrainingStopped, match="last step of epoch 2"):
        train(
            exploding(p, 200, "b1"),
            data_for(p, "embedded"),
            Settings(2, 50),
            run_dir=tmp_path / "r",
            stream=io.StringIO(),
        )


def test_overflow_of_a_real_run(tmp_path: Path) -> None:
    p = program("relu_mlp")
    data = data_for(p)
    huge = dataclasses.replace(data, train_x=data.train_x * 1e25)
    with pytest.raises(TrainingStopped, match="first bad tensor is"):
        train(p, huge, Settings(5, 4), run_dir=tmp_path / "r", stream=io.StringIO())


# ---- Saved parameters (faults 26, 27 and 30) ------------------------------------------------


def test_parameters_are_saved_with_their_metadata(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    save_parameters(path, {"W1": np.eye(3, dtype=np.float32)[:, :2]}, {"name": "a", "spec_sha256": "b"})
    assert (load_parameters(path)["W1"] == np.eye(3)[:, :2]).all()
    assert read_arrays(path, lambda header, size: None)[1] == {"name": "a", "spec_sha256": "b"}


def test_parameters_of_another_network_are_refused_with_the_differences(tmp_path: Path) -> None:
    p, path = program("xor"), tmp_path / "p.safetensors"
    save_parameters(path, p.init_parameters(0) | {"W1": np.zeros((2, 2), np.float32)}, {})
    with pytest.raises(RunError, match=r"W1 has shape \(2, 2\), not \(3, 2\)"):
        load_parameters(path, p)
    save_parameters(path, {"W9": np.zeros(2, np.float32)}, {})
    with pytest.raises(RunError, match=r"W1 is missing; .*W9 is unknown"):
        load_parameters(path, p)
    save_parameters(path, p.init_parameters(0), {"spec_sha256": "0" * 64})
    with pytest.raises(RunError, match="trained for spec 000000000000"):
        load_parameters(path, p)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04\x95pickle",
        b"\xff" * 64,
        (1 << 40).to_bytes(8, "little") + b"{}",
        (60).to_bytes(8, "little") + b'{"W1":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}    ',
    ],
)
def test_files_that_hold_no_parameters(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.safetensors"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"p\.safetensors: not a file of parameters"):
        load_parameters(path)


# ---- Curves ---------------------------------------------------------------------------------


@pytest.mark.parametrize("epochs", [1, 2, 700])
def test_curves_of_any_length(tmp_path: Path, epochs: int) -> None:
    run("xor", tmp_path / "r", epochs=epochs)
    svg = (tmp_path / "r" / "curves.svg").read_text()
    assert "<svg" in svg and "<dc:date>" not in svg
    assert (tmp_path / "r" / "curves.png").read_bytes().startswith(b"\x89PNG")
