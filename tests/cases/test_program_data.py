"""A generated program takes data as `derive train` does, says so, and writes over none of its files."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from cases.standalone import LABELS, called, loaded
from cuda_on_cpu.cupy_standin import standing_in
from cuda_on_cpu.module import requires_compiler
from random_images import build

from chainrule.codegen.folder import write
from chainrule.codegen.generate import generate
from chainrule.runtime.datasets.dataset import Part, Raw, Wanted, as_floats
from chainrule.runtime.datasets.fitting import fitted
from chainrule.runtime.errors import DataError
from chainrule.spec.load import parse_spec

BINARY = """
spec_version = 1
name = "binary"
[input]
shape = [{inputs}]
[[layers]]
type = "dense"
units = {units}
activation = "{activation}"
[loss]
type = "{loss}"
{more}
[training]
batch_size = 8
"""


def spec(inputs: int, units: int, activation: str, loss: str, more: str = "") -> str:
    return BINARY.format(inputs=inputs, units=units, activation=activation, loss=loss, more=more)


@pytest.fixture(scope="module")
def program() -> ModuleType:
    return build(LABELS).program.module  # type: ignore[return-value]


@pytest.fixture(scope="module")
def binary() -> ModuleType:
    return build(spec(4, 1, "sigmoid", "binary_cross_entropy")).program.module  # type: ignore[return-value]


def stored(**arrays: np.ndarray) -> str:
    np.savez("own.npz", **arrays)  # type: ignore[arg-type]
    return "own.npz"


# ---- What is written ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        "--data data.npz --save data.npz",
        "--data data.npz --save ./data.npz",
        "--data data.npz --save link.npz",
        "--data data.npz --predict inputs.npz -o y.npz --save inputs.npz",
        "--data data.npz --predict inputs.npz -o data.npz",
        "--data data.npz --predict inputs.npz -o inputs.npz",
        "--load w.npz --predict inputs.npz -o inputs.npz",
        "--load w.npz --predict inputs.npz -o w.npz",
        "--data data.npz --save new.npz --predict inputs.npz -o new.npz",
        "--data data.npz --save numpy_trainer.py",
        "--data data.npz --save manifest.json",
        "--data data.npz --save slides.zip",
        "--load w.npz --predict inputs.npz -o numpy_trainer.py",
    ],
)
def test_r12_no_file_is_lost_by_what_is_written(
    program: ModuleType,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
) -> None:
    program.save(program.init_parameters(0), "w.npz")
    Path("numpy_trainer.py").write_bytes(Path(str(program.__file__)).read_bytes())
    Path("manifest.json").write_text("{}\n")
    with zipfile.ZipFile("slides.zip", "w") as slides:
        slides.writestr("slide1.xml", "<slide/>")
    Path("link.npz").symlink_to("data.npz")
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    monkeypatch.setattr(program, "train", lambda *_, **__: pytest.fail("training began"))
    code, out, err = called(program, *arguments.split())
    assert (code, out, err.count("\n")) == (2, "", 1) and err.startswith(
        f"numpy_trainer.py: {arguments.split()[-1]}: "
    )
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before


def test_r12_only_files_are_written_to(program: ModuleType, files: Path) -> None:
    os.mkfifo("pipe")
    Path("link").symlink_to("pipe")
    for name in ("pipe", "link"):
        code, out, err = called(program, "--data", "data.npz", "--save", name)
        assert (code, out) == (2, "") and err.endswith(f" {name}: no place for a file\n")
        with pytest.raises(ValueError, match="no place for a file"):
            program.save(program.init_parameters(0), name)
    assert Path("pipe").is_fifo() and Path("link").is_symlink()


def test_r12_what_a_program_wrote_may_be_written_again(program: ModuleType, files: Path) -> None:
    Path("w.npz").touch()  # as mktemp makes it
    Path("link.npz").symlink_to("w.npz")
    assert called(program, "--data", "data.npz", "--epochs", "1", "--save", "link.npz")[0] == 0
    first = Path("w.npz").read_bytes()
    goes_on = ("--data", "data.npz", "--epochs", "1", "--load", "w.npz", "--save", "w.npz")
    assert called(program, *goes_on)[0] == 0
    assert Path("w.npz").read_bytes() != first and Path("link.npz").is_symlink()
    for _ in range(2):
        assert called(program, "--load", "w.npz", "--predict", "inputs.npz", "-o", "y.npz")[0] == 0


# ---- Inputs ------------------------------------------------------------------------------------------
RNG = np.random.default_rng(1)
BYTES = RNG.integers(0, 256, (12, 8, 8), np.uint8)
BYTES[0, 0, :2] = 0, 255
UNIT = BYTES / 255
CASES = {
    "bytes": (BYTES, BYTES[:4]),
    "wide": (BYTES.astype(np.int64), BYTES[:4].astype(np.int64)),
    "short and wide": (BYTES.astype(np.int16), BYTES[:4]),
    "floats": (BYTES.astype(np.float64), BYTES[:4].astype(np.float64)),
    "dark test": (BYTES.astype(np.float32), BYTES[:4].astype(np.float32) // 8),
    "bits": (BYTES > 127, BYTES[:4] > 127),
    "bits as bytes": ((BYTES > 127).astype(np.uint8), (BYTES[:4] > 127).astype(np.uint8)),
    "unit": (UNIT, UNIT[:4]),
    "standardized": (UNIT * 4 - 2, UNIT[:4] * 4 - 2),
    "sixteen bits": (BYTES.astype(np.uint16) * 257, BYTES[:4].astype(np.uint16) * 257),
    "signed": (BYTES.astype(np.int64) - 128, BYTES[:4].astype(np.int64) - 128),
    "few levels": (BYTES.astype(np.float32) // 16, BYTES[:4].astype(np.float32) // 16),
    "fractions": (BYTES / 2 + 0.25, BYTES[:4] / 2 + 0.25),
    "halves": (BYTES.astype(np.float16), BYTES[:4].astype(np.float16)),
    "bytes and unit": (BYTES, UNIT[:4]),
    "unit and bytes": (UNIT, BYTES[:4]),
    "floats and unit": (BYTES.astype(np.float64), UNIT[:4]),
    "unit and floats": (UNIT, BYTES[:4].astype(np.float64)),
    "floats and standardized": (BYTES.astype(np.float64), UNIT[:4] * 4 - 2),
    "bytes and floats": (BYTES, BYTES[:4].astype(np.float64)),
}


@pytest.mark.parametrize("name", CASES)
def test_d8_inputs_are_scaled_as_derive_train_scales_them(
    program: ModuleType, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    train, test = CASES[name]
    wanted = Wanted((8, 8, 1), "labels", 3, (3,), loss="cross_entropy")
    parts = {
        "training": Part(train, np.arange(12) % 3),
        "test": Part(test, np.arange(4) % 3),
    }
    arrays = {"x_train": train, "x_test": test}
    try:
        data = fitted(Raw("own", parts, "own.npz"), wanted)
    except DataError as error:
        assert "different scales" in str(error)
        with pytest.raises(program.DataFault, match=r"x_train is .* x_test is .*: on different scales"):
            program.inputs_of(arrays, "own.npz", *arrays)
        return
    found = program.inputs_of(arrays, "own.npz", *arrays)
    assert np.array_equal(found[0], as_floats(data.train_x)) and found[0].dtype == np.float32
    assert np.array_equal(found[1], as_floats(data.test_x))
    said = capsys.readouterr().err
    assert said.count("\n") == (name not in ("unit",)), "whatever may be meant otherwise is said"
    if said:
        divided = data.stored is not None and data.stored.divisor == 255
        assert said.endswith("divided by 255\n" if divided else "taken as they are\n")


def test_d8_scales_of_a_table_are_its_own(binary: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.arange(8, dtype=np.uint8).reshape(2, 4) * 30
    assert np.array_equal(binary.inputs_of({"x": x}, "own.npz", "x")[0], x)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
def test_d8_the_same_pixels_give_the_same_answers(
    program: ModuleType,
    files: Path,
    dtype: type,
) -> None:
    program.save(program.init_parameters(0), "w.npz")
    own = stored(x=BYTES.astype(dtype))
    code, _, err = called(program, "--load", "w.npz", "--predict", own, "-o", "y.npz")
    assert code == 0 and err == f"x is {np.dtype(dtype)} of 0 … 255: divided by 255\n"
    with np.load("y.npz") as found:
        pixels = BYTES.reshape(12, 8, 8, 1) / np.float32(255)
        assert np.array_equal(found["y"], program.predict(program.init_parameters(0), pixels))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_d10_inputs_that_are_not_finite_are_refused(program: ModuleType, files: Path, value: float) -> None:
    x = UNIT.copy()
    x[3, 2, 1] = value
    code, out, err = called(program, "--data", stored(x_train=x, t_train=np.arange(12) % 3))
    assert (code, out) == (3, "") and err.endswith("x_train has values that are no finite float32\n")


def test_d10_rows_do_not_say_where_channels_are() -> None:
    module = build(LABELS.replace("[8, 8, 1]", "[4, 4, 3]")).program.module
    with pytest.raises(module.DataFault, match=r"x has shape \(5, 48\)"):  # type: ignore[attr-defined]
        module.inputs_of({"x": np.zeros((5, 48))}, "own.npz", "x")  # type: ignore[attr-defined]


# ---- Targets -----------------------------------------------------------------------------------------
T = np.arange(12) % 3


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.astype(np.uint8),
        lambda t: t.astype(np.float32),
        lambda t: t.astype(np.float64)[:, None],
        lambda t: t[:, None, None],
        lambda t: np.eye(3)[t],
        lambda t: np.eye(3, dtype=bool)[t],
    ],
)
def test_d7_labels_of_any_type_are_labels(
    program: ModuleType, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    found = program.stored_targets({"t_train": change(T)}, "own.npz", "train", 12)
    assert np.array_equal(found, T) and found.dtype.kind in "iu" and found.ndim == 1


def test_d7_truth_values_are_labels_0_and_1(program: ModuleType) -> None:
    found = program.stored_targets({"y_test": T == 1}, "own.npz", "test", 12)
    assert np.array_equal(found, T == 1) and found.dtype.kind == "i"


@pytest.mark.parametrize(
    "t",
    [T / 2, T - 1.0, T + 1.0, np.where(T == 1, np.nan, T), np.where(T == 1, np.inf, T), T.astype(str),
     np.eye(3)[T] * 0.8 + 0.1, np.array(["a"] * 12)],
)  # fmt: skip
def test_d7_what_are_no_labels_is_refused(program: ModuleType, files: Path, t: np.ndarray) -> None:
    code, out, err = called(program, "--data", stored(x_train=UNIT, t_train=t), "--epochs", "1")
    assert (code, out, err.count("\n")) == (3, "", 1) and "own.npz: t_train: t" in err


@pytest.mark.parametrize("t", [np.array([-1, 1] * 6), np.array([-1.0, 1.0] * 6)[:, None]])
def test_d6_targets_of_a_probability_are_within_0_and_1(
    binary: ModuleType, files: Path, t: np.ndarray
) -> None:
    x = RNG.random((12, 4))
    for part in ("train", "test"):
        arrays = {"x_train": x, "t_train": T == 1, "x_test": x, "t_test": T == 1} | {f"t_{part}": t}
        code, out, err = called(binary, "--data", stored(**arrays), "--epochs", "1")
        assert (code, out, err.count("\n")) == (3, "", 1)
        assert f"t_{part}: targets of -1 … 1, where this loss takes 0 … 1; store t == 1" in err


@pytest.mark.parametrize("t", [T == 1, (T == 1).astype(int), T / 2, (T / 2)[:, None]])
def test_d6_probabilities_are_taken(binary: ModuleType, files: Path, t: np.ndarray) -> None:
    own = stored(x_train=RNG.random((12, 4)), t_train=t)
    assert called(binary, "--data", own, "--epochs", "1")[0] == 0


def test_d6_another_loss_takes_any_value(files: Path) -> None:
    module = build(spec(4, 1, "tanh", "mse")).program.module
    own = stored(x_train=RNG.random((12, 4)), t_train=np.array([-1, 14] * 6))
    assert called(module, "--data", own, "--epochs", "1")[0] == 0  # type: ignore[arg-type]


def test_d9_rows_of_probabilities_sum_to_1(files: Path) -> None:
    table = "data = {inputs = [[0, 1, 2, 3], [1, 0, 2, 1]], targets = [[0.5, 0.25, 0.25], [0, 1, 0]]}"
    text = spec(4, 3, "softmax", "cross_entropy").replace("[training]", f"[training]\n{table}")
    module: Any = build(text).program.module
    x, rows = RNG.random((12, 4)), RNG.dirichlet(np.ones(3), 12)
    assert called(module, "--data", stored(x_train=x, t_train=rows), "--epochs", "1")[0] == 0
    for t, said in (
        (rows * 0.9, "a row does not sum to 1; this loss takes rows of probabilities"),
        (rows * 6 - 2, "where this loss takes 0 … 1"),
    ):
        code, out, err = called(module, "--data", stored(x_train=x, t_train=t), "--epochs", "1")
        assert (code, out, err.count("\n")) == (3, "", 1) and said in err


# ---- Parameters --------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["toml", "safetensors", "npy", "objects", "cut", "empty"])
def test_r12_what_save_did_not_write_is_one_plain_line(
    program: ModuleType, files: Path, content: str
) -> None:
    path = Path("other")
    if content == "npy":
        with path.open("wb") as file:
            np.save(file, UNIT)
    elif content == "objects":
        with path.open("wb") as file:
            np.savez(file, W1=np.array([{}]))
    else:
        path.write_bytes(
            {
                "toml": b'name = "net"\n',
                "safetensors": b"\x10\0\0\0\0\0\0\0" + b'{"a": "b"}      ',
                "cut": Path("data.npz").read_bytes()[:700],
                "empty": b"",
            }[content]
        )
    code, out, err = called(program, "--load", "other", "--data", "data.npz")
    assert (code, out) == (2, "")
    assert err == "numpy_trainer.py: other: is no whole .npz file that --save wrote\n"
    code, out, err = called(program, "--data", "other")
    assert (code, out, err) == (3, "", "numpy_trainer.py: other: is no whole .npz file of plain numbers\n")


@requires_compiler
def test_r12_a_cuda_program_guards_as_much(files: Path) -> None:
    text = spec(64, 1, "sigmoid", "binary_cross_entropy")
    folder = write(generate(parse_spec(text, "s.toml"), {"cuda"}), files / "out", force=True)
    x = BYTES.reshape(12, 64).astype(np.int64)
    good, bad = stored(x_train=x, t_train=T == 1), "bad.npz"
    np.savez(bad, x_train=x, t_train=np.array([-1, 1] * 6))
    before = Path(good).read_bytes()
    with standing_in():
        cuda = loaded(folder / "cuda" / "trainer.py")
        assert called(cuda, "--data", good, "--save", good)[0] == 2
        assert called(cuda, "--data", bad, "--epochs", "1")[0] == 3
        code, _, err = called(cuda, "--data", good, "--epochs", "1", "--save", "w.npz", "--mode", "eager")
    assert code == 0 and err == "x_train is int64 of 0 … 255: divided by 255\n"
    assert Path(good).read_bytes() == before


# ---- What the runtime does, and no program (R12) -------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "said"),
    [("", False), ('standardize = "zscore"\nvalidation_split = 0.2\n[augmentation]\nflip = true\n', True)],
)
def test_r12_what_derive_train_alone_does_is_said(files: Path, more: str, said: bool) -> None:
    module = build(LABELS + more).program.module
    code, _, err = called(module, "--data", str(files / "data.npz"), "--epochs", "1")
    told = "derive train alone does what the spec says of standardize, validation_split, augmentation"
    assert code == 0 and (told in err.splitlines()) is said and ("derive train alone" in err) is said
