"""`derive export`: a run as C, on this machine, on an emulated Cortex-M4, and as WebAssembly."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from c_agreement import COMPILERS

from chainrule.cli.main import main
from chainrule.runtime.run import Run, load_run

DEVICES = Path(__file__).parent / "devices"
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-O2")
SPEC = """
spec_version = 1
name = "ways"
[input]
shape = [2]
[[layers]]
type = "dense"
units = 4
activation = "tanh"
[[layers]]
type = "batch_norm"
[[layers]]
type = "dense"
units = 3
activation = "softmax"
[loss]
type = "cross_entropy"
[optimizer]
type = "sgd"
learning_rate = 0.1
[training]
batch_size = 4
epochs = 3
standardize = "zscore"
[training.data]
inputs = [[0, 10], [1, 11], [2, 13], [3, 10], [4, 19], [5, 12], [6, 14], [7, 18]]
targets = [0, 1, 2, 0, 1, 2, 0, 1]
"""

Derive = Callable[..., int]


@pytest.fixture
def derive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Derive:
    """Return the command, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["derive", *arguments])
        with pytest.raises(SystemExit) as exit_info:
            main()
        return int(exit_info.value.code or 0)

    return run


@pytest.fixture
def folder(derive: Derive, tmp_path: Path) -> Path:
    """Return the folder of an exported run."""
    (tmp_path / "spec.toml").write_text(SPEC)
    assert derive("train", "spec.toml", "--run-dir", "run", "--quiet") == 0
    assert derive("export", "run", "-o", "out", "--c-array") == 0
    return tmp_path / "out"


def trained(folder: Path) -> Run:
    return load_run(folder.with_name("run"))


def built(command: list[str], folder: Path, out: str) -> Path:
    sources = [str(folder / name) for name in ("predict.c", "weights.c", "check.c")]
    subprocess.run([*command, *sources, "-o", str(folder / out), "-lm"], check=True)
    return folder / out


def test_its_files_are_those_of_the_run(folder: Path) -> None:
    names = {"predict.c", "predict.h", "weights.bin", "weights.c", "check.c", "inputs.h"}
    assert {path.name for path in folder.iterdir()} == names
    run = trained(folder)
    weights = np.concatenate([np.ravel(value) for value in run.parameters.values()])
    assert (np.fromfile(folder / "weights.bin", "<f4") == np.float32(weights)).all()
    text = (folder / "weights.c").read_text().split("{")[1].split("}")[0]
    assert [np.float32(number.strip(" \nf")) for number in text.split(",")] == list(np.float32(weights))


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_check_passes_here_and_fails_with_other_weights(compiler: str, folder: Path) -> None:
    assert subprocess.run([built([compiler, *STRICT], folder, "check")], check=False).returncode == 0
    text = (folder / "weights.c").read_text()
    (folder / "weights.c").write_text(text.replace("{\n    ", "{\n    1.5f + ", 1))
    assert subprocess.run([built([compiler, *STRICT], folder, "bad")], check=False).returncode == 1


@pytest.mark.skipif(not COMPILERS, reason="no C compiler")
def test_inputs_are_scaled_as_in_training(folder: Path) -> None:
    (folder / "scaled.c").write_text(
        '#include <stdio.h>\n#include "inputs.h"\nint main(void)\n{\n'
        "    REAL x[2] = {4, 19}, y[3];\n    ways_infer_scale(x);\n"
        "    ways_infer(ways_infer_weights, x, y);\n"
        '    printf("%.9g %.9g %.9g", y[0], y[1], y[2]);\n    return 0;\n}\n'
    )
    sources = [str(folder / name) for name in ("predict.c", "weights.c", "scaled.c")]
    subprocess.run([COMPILERS[0], "-std=c99", *sources, "-o", str(folder / "scaled"), "-lm"], check=True)
    found = subprocess.run([folder / "scaled"], check=True, capture_output=True, text=True).stdout.split()
    wanted = trained(folder).outputs(np.array([[4, 19]], np.float32))[0]
    assert np.allclose(np.array(found, float), wanted, rtol=1e-5)


def test_files_are_not_overwritten_unless_forced(
    folder: Path, derive: Derive, capfd: pytest.CaptureFixture[str]
) -> None:
    assert derive("export", "run", "-o", "out", "--c-array") == 0  # the same again
    (folder / "predict.h").write_text("mine")
    assert derive("export", "run", "-o", "out") == 2
    assert "predict.h exists; choose another folder, or use --force." in capfd.readouterr().err
    assert (folder / "predict.h").read_text() == "mine"
    assert derive("export", "run", "-o", "out", "--force", "--json") == 0
    assert (folder / "predict.h").read_text() != "mine"


def test_what_is_no_run_is_said(derive: Derive, capfd: pytest.CaptureFixture[str]) -> None:
    assert derive("export", "nothing", "-o", "out") == 2
    assert "nothing: no such folder; a run's folder is needed" in capfd.readouterr().err
    assert not Path("out").exists()


CORTEX = (
    *("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-O2"),
    *("-std=gnu99", "-nostartfiles", "-T", str(DEVICES / "cortex_m4.ld"), str(DEVICES / "cortex_m4.c")),
)
EMULATOR = ("qemu-system-arm", "-M", "mps2-an386", "-nographic", "-semihosting", "-kernel")


@pytest.mark.skipif(
    not (shutil.which(CORTEX[0]) and shutil.which(EMULATOR[0])),
    reason="no compiler for Cortex-M, or no emulator",
)
def test_an_emulated_cortex_m4_computes_the_same(folder: Path) -> None:
    command = [*EMULATOR, str(built([*CORTEX], folder, "m4.elf"))]
    assert subprocess.run(command, check=False, stdin=subprocess.DEVNULL, timeout=100).returncode == 0
    text = (folder / "weights.c").read_text()
    (folder / "weights.c").write_text(text.replace("{\n    ", "{\n    1.5f + ", 1))
    command[-1] = str(built([*CORTEX], folder, "bad.elf"))
    assert subprocess.run(command, check=False, stdin=subprocess.DEVNULL, timeout=100).returncode == 1


CLANG = next((name for name in ("clang", "clang-14") if shutil.which(name)), "")
LINKER = next((name for name in ("wasm-ld", "wasm-ld-14") if shutil.which(name)), "")


@pytest.mark.skipif(not (CLANG and LINKER and shutil.which("node")), reason="no clang, wasm-ld or node")
def test_webassembly_without_a_c_library_computes_the_same(folder: Path) -> None:
    run = trained(folder)
    x = np.array([[0.25, -1.5]], np.float32)
    x.tofile(folder / "x.bin")
    command = [
        CLANG,
        "--target=wasm32",
        "-O3",
        "-std=c99",
        "-nostdlib",
        "-Wl,--no-entry",
        "-Wl,--allow-undefined",
    ]
    exports = [f"-Wl,--export={name}" for name in ("ways_infer", "__heap_base")]
    subprocess.run([*command, *exports, "predict.c", "-o", "p.wasm"], cwd=folder, check=True)
    given = ["p.wasm", "ways_infer", "weights.bin", "x.bin", "y.bin", "3"]
    done = subprocess.run(
        ["node", str(DEVICES / "run.mjs"), *given], cwd=folder, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["expf", "tanhf"]  # sqrtf is an instruction
    wanted = run.program.module.predict(run.parameters, x)[0]
    assert np.allclose(np.fromfile(folder / "y.bin", "<f4"), wanted, rtol=1e-5)
