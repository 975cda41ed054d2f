"""A generated program saves, loads and predicts by itself; what it cannot read is one line."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from cases.standalone import LABELS, called, loaded
from cuda_on_cpu.cupy_standin import standing_in
from cuda_on_cpu.module import requires_compiler
from random_images import build

from chainrule.codegen import rendering
from chainrule.codegen.folder import write
from chainrule.codegen.generate import generate
from chainrule.codegen.targets.numpy.helpers import HELPERS
from chainrule.spec.load import parse_spec


@pytest.fixture(scope="module")
def program() -> ModuleType:
    return build(LABELS).program.module  # type: ignore[return-value]


def test_r12_what_was_trained_is_saved_loaded_and_predicts(program: ModuleType, files: Path) -> None:
    code, out, err = called(program, "--data", "data.npz", "--epochs", "2", "--save", "w.npz")
    assert code == 0 and out.count("\n") == 2 and "test accuracy" in out
    assert err == "x_train is uint8 of 0 … 255, x_test is uint8 of 0 … 255: divided by 255\n"
    code, out, _ = called(program, "--load", "w.npz", "--predict", "inputs.npz", "-o", "y.npz")
    assert code == 0 and out == ""
    parameters = program.load("w.npz")
    assert list(parameters) == [*program.PARAMETERS, *program.STATISTICS]
    assert program.flat(parameters) is not None
    assert np.abs(parameters["mean2"]).max() > 0, "running statistics are saved, too"
    with np.load("inputs.npz") as given, np.load("y.npz") as found:
        x = given["x"].reshape(4, 8, 8, 1) / np.float32(255)
        assert np.array_equal(found["y"], program.predict(parameters, x))
        assert np.array_equal(found["label"], found["y"].argmax(axis=1))
    assert {path.name for path in files.iterdir()} == {"data.npz", "inputs.npz", "w.npz", "y.npz"}


def test_r12_training_goes_on_from_what_was_saved(program: ModuleType, files: Path) -> None:
    called(program, "--data", "data.npz", "--epochs", "5", "--save", "w.npz")
    _, first, _ = called(program, "--data", "data.npz", "--epochs", "1")
    _, later, _ = called(program, "--data", "data.npz", "--epochs", "1", "--load", "w.npz")
    assert float(later.split()[3].rstrip(",")) < float(first.split()[3].rstrip(","))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_r12_save_and_load_keep_every_bit(program: ModuleType, files: Path, dtype: Any) -> None:
    parameters = program.init_parameters(3, dtype)
    program.save(parameters, "w.npz")
    found = program.load(Path("w.npz"))
    assert all(found[name].tobytes() == parameters[name].tobytes() for name in program.SHAPES)
    with pytest.raises(ValueError, match="parameters have no b1"):
        program.save({name: value for name, value in parameters.items() if name != "b1"}, "w.npz")
    assert program.load("w.npz").keys() == parameters.keys(), "the file that was there"


def test_r12_parameters_that_do_not_fit_are_refused(program: ModuleType, files: Path) -> None:
    good = program.init_parameters(0)
    faults = {
        r"w.npz: parameters have no gamma2; there must be W1, ": {
            k: v for k, v in good.items() if k != "gamma2"
        },
        r"w.npz: parameters\['b1'\] has shape \(7,\)": good | {"b1": np.zeros(7, np.float32)},
        r"w.npz: b1 has values that are not finite": good | {"b1": np.full(6, np.nan, np.float32)},
        r"w.npz: trained for another spec \(sha256 00000000; this is ": good
        | {"spec_sha256": np.array("0" * 64)},
        r"w.npz: is no whole .npz file that --save wrote$": good | {"b1": np.array([{}])},
    }
    for message, arrays in faults.items():
        np.savez("w.npz", **arrays)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=message):
            program.load("w.npz")
        assert called(program, "--load", "w.npz", "--data", "data.npz")[0] == 2
    Path("w.npz").write_bytes(Path("data.npz").read_bytes()[:700])
    with pytest.raises(ValueError, match=r"w.npz: is no whole .npz file that --save wrote$"):
        program.load("w.npz")
    with pytest.raises(ValueError, match=r"no.npz: there is no such file"):
        program.load("no.npz")


def test_r12_a_write_that_fails_leaves_what_was_there(
    program: ModuleType, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.save(program.init_parameters(0), "w.npz")
    before = Path("w.npz").read_bytes()
    monkeypatch.setattr(np, "savez", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left")))
    code, _, err = called(program, "--data", "data.npz", "--epochs", "1", "--save", "w.npz")
    assert code == 2 and "w.npz: cannot be written (No space left)" in err
    assert Path("w.npz").read_bytes() == before
    assert {path.name for path in files.iterdir()} == {"data.npz", "inputs.npz", "w.npz"}


X, T = np.zeros((6, 8, 8)), np.zeros(6, int)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": X}, "neither of t_train and y_train; one is needed"),
        ({"x_train": X, "t_train": T, "y_train": T}, "both of t_train and y_train; one is needed"),
        ({"y_train": T}, "no x_train; it has y_train"),
        ({"x_train": X, "y_train": T + 3}, r"y_train: t[0] = 3: labels are 0 … 2"),
        ({"x_train": X, "y_train": T[:4]}, "y_train: t has shape (4,)"),
        ({"x_train": X.reshape(6, 4, 16), "y_train": T}, "x_train has shape (6, 4, 16)"),
        ({"x_train": X.astype(str), "y_train": T}, "x_train has shape (6, 8, 8) and dtype <U"),
        ({"x_train": X, "y_train": T, "x_test": X}, "neither of t_test and y_test"),
    ],
)
def test_d10_data_that_do_not_fit_are_one_line(
    program: ModuleType, files: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    np.savez("own.npz", **arrays)  # type: ignore[arg-type]
    code, out, err = called(program, "--data", "own.npz", "--epochs", "1")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert err.startswith("numpy_trainer.py: own.npz: ") and message in err


@pytest.mark.parametrize("name", ["t", "y"])
def test_d10_targets_are_called_t_or_y(program: ModuleType, files: Path, name: str) -> None:
    flat = np.random.default_rng(0).random((6, 64))
    np.savez("own.npz", x_train=flat, **{f"{name}_train": T[:, None]})
    assert called(program, "--data", "own.npz", "--epochs", "1")[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        "", "--predict inputs.npz", "--predict inputs.npz -o y.npz", "--data data.npz --epochs 0",
        "--data data.npz --save no/w.npz", "--data data.npz -o y.npz", "--data data.npz --seed -1",
    ],
)  # fmt: skip
def test_r12_a_command_line_that_says_nothing_is_bad_usage(
    program: ModuleType, files: Path, arguments: str
) -> None:
    assert called(program, *arguments.split())[0] == 2


def test_r12_a_run_that_diverges_keeps_the_last_parameters(
    program: ModuleType, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "train", lambda *_, **__: iter([0.5, float("nan"), 0.5]))
    code, out, err = called(program, "--data", "data.npz", "--save", "w.npz")
    assert code == 1 and out.count("\n") == 1 and "epoch 2: the loss is nan" in err
    assert program.load("w.npz")


@requires_compiler
def test_r12_a_cuda_program_reads_what_the_numpy_program_saved(files: Path) -> None:
    folder = write(generate(parse_spec(LABELS, "s.toml"), {"cuda"}), files / "out", force=True)
    with standing_in():
        numpy, cuda = loaded(folder / "numpy_trainer.py"), loaded(folder / "cuda" / "trainer.py")
        assert called(numpy, "--data", "data.npz", "--epochs", "1", "--save", "w.npz")[0] == 0
        arguments = ("--load", "w.npz", "--predict", "inputs.npz", "-o")
        assert called(numpy, *arguments, "host.npz")[0] == 0
        code, out, err = called(
            cuda,
            "--data",
            "data.npz",
            "--epochs",
            "1",
            "--load",
            "w.npz",
            "--save",
            "v.npz",
            "--mode",
            "eager",
        )
        assert code == 0 and "test accuracy" in out, err
        assert called(cuda, *arguments, "device.npz")[0] == 0
    with np.load("host.npz") as host, np.load("device.npz") as device:
        assert np.allclose(host["y"], device["y"], rtol=1e-5)
    assert not np.array_equal(numpy.load("v.npz")["W1"], numpy.load("w.npz")["W1"])


def test_r12_no_two_functions_of_a_program_have_one_name() -> None:
    """What the templates define, and what they take from modules for programs that need it."""
    defined = re.compile(r"^(?:def|class) (\w+)", re.MULTILINE)
    templates = Path(rendering.__file__).parent / "templates"
    names = [name for text in dict.fromkeys(HELPERS.values()) for name in defined.findall(text)]
    shared = ("numpy_trainer", "views", "checks", "command_line")
    for path in (*(templates / f"{each}.py.j2" for each in shared), *templates.glob("numpy/*.j2")):
        found = defined.findall(path.read_text(encoding="utf-8"))
        names += dict.fromkeys(found)  # either of two, where a template chooses
    assert sorted(names) == sorted(set(names))
