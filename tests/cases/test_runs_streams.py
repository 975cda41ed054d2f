"""Streams that are closed or full, names that are not UTF-8, Ctrl-C while importing, edited files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save
from small import SMALL

from chainrule.runtime.arrays import unpack

ROOT = Path(__file__).parent.parent.parent
OR = ROOT / "examples" / "or.toml"
Derive = Callable[..., tuple[int, str, str]]


def edited(path: Path, change: Callable[[Any], Any]) -> None:
    """Changes the values of a JSON file."""
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


# ---- Streams, names and imports (R8) ------------------------------------------------------------------


def shell(line: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Runs `derive` for what `derive` stands for in a line of the shell."""
    line = f'derive() {{ "{sys.executable}" -m chainrule.cli.main "$@"; }}; {line}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(["bash", "-c", line], cwd=folder, env=environment, capture_output=True)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("derive --help >&-", 2, b"standard output is closed"),
        ("derive --help >/dev/full", 2, b"standard output: No space left"),
        ("derive --help >&- 2>&-", 2, b""),
        ("derive --help 2>&- <&- >/dev/null", 0, b""),
        ("derive --help 1</dev/null", 2, b"standard output: Bad file descriptor"),
        ("derive or.toml | true; exit ${PIPESTATUS[0]}", 141, b""),
    ],
)
def test_r8_streams_that_are_closed_or_full(tmp_path: Path, line: str, code: int, said: bytes) -> None:
    shutil.copy(ROOT / "examples" / "mnist_cnn.toml", tmp_path / "or.toml")
    done = shell(line, tmp_path)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(said) and done.stderr.count(b"\n") == bool(said)


def test_r8_an_encoding_that_lacks_letters(tmp_path: Path) -> None:
    done = shell("derive softmax --json", tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and "Σ" in json.loads(done.stdout.decode("ascii"))["equations"][0]["text"]
    done = shell("derive softmax --format text", tmp_path, PYTHONIOENCODING="latin-1")
    assert done.returncode == 2 and b"PYTHONIOENCODING=utf-8" in done.stderr and done.stdout == b""


def test_r8_names_that_are_not_utf_8(derive: Derive, trained: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"a\xff")
    shutil.copy(trained / "data.npz", tmp_path / "data.npz")
    shutil.copy(trained / "a.png", tmp_path / f"{name}.png")
    (tmp_path / f"{name}.toml").write_text(SMALL)
    assert derive("generate", f"{name}.toml")[0] == 0
    assert "from a?.toml" in (tmp_path / "generated" / "small" / "numpy_trainer.py").read_text()
    code, out, _ = derive("train", f"{name}.toml", "--run-dir", name, "--epochs", 1, "--json", "--quiet")
    assert code == 0 and json.loads(out)["run"] == name
    assert derive("predict", name, f"{name}.png", "--json")[0] == 0
    assert derive("evaluate", name, "--json")[0] == 0
    assert derive("handout", f"{name}.toml", "--run", name, "--no-gradcheck", "-o", f"{name}.html")[0] == 0
    code, _, err = derive(f"{name}b.toml")
    assert code == 2 and "\\udcff" in err


@pytest.mark.parametrize("module", ["click", "sympy"])
def test_r8_ctrl_c_while_importing(module: str) -> None:
    script = f"""
import sys
class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Pressed())
from chainrule.cli.main import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, "check", OR], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def nest(depth: int = 200_000) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("name", ["summary.json", "program/small/manifest.json", "evaluation.json"])
@pytest.mark.parametrize("content", [nest(), "[]", "{", '{"a": NaN}', '{"settings": 3}', "\udcff", ""])
def test_r8_json_that_was_edited(derive: Derive, run: Path, trained: Path, name: str, content: str) -> None:
    (run / name).write_bytes(content.encode(errors="surrogateescape"))
    os.chdir(trained)
    commands = [("predict", run, trained / "a.png"), ("evaluate", run)]
    if content == nest():
        commands.append(("train", "small.toml", "--resume", run, "--quiet"))
        commands.append(("handout", "small.toml", "--run", run, "--no-gradcheck", "-o", run / "x.html"))
    for command in commands:
        code, _, err = derive(*command)
        assert code in (0, 2) and (not code or (err.count("\n") == 1 and str(run) in err))


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s | {"settings": {"epochs": "x"}},
        lambda s: s | {"settings": {"epochs": True}},
        lambda s: s | {"settings": {"batch_size": 1e9}},
        lambda s: s | {"settings": {"threads": -1}},
        lambda s: s | {"settings": {"data": 3}},
        lambda s: s | {"settings": {"target": "abacus"}},
    ],
)
def test_r8_settings_of_another_type(derive: Derive, run: Path, trained: Path, change: Any) -> None:
    edited(run / "summary.json", change)
    os.chdir(trained)
    code, _, err = derive("train", "small.toml", "--resume", run, "--quiet")
    assert code == 2 and "summary.json" in err


@pytest.mark.parametrize("dtype", ["int8", "bool", "float16", "uint64"])
def test_r8_parameters_of_another_dtype(derive: Derive, run: Path, trained: Path, dtype: str) -> None:
    arrays, _ = unpack((run / "parameters.safetensors").read_bytes())
    content = save({name: value.astype(dtype) for name, value in arrays.items()})
    (run / "parameters.safetensors").write_bytes(content)
    for command in (("predict", run, trained / "a.png"), ("evaluate", run)):
        code, out, err = derive(*command)
        assert (code, out) == (2, "") and f"W1 is {dtype}, not float32 or float64" in err


def test_r8_a_pipe_in_place_of_a_file_of_a_run(derive: Derive, run: Path, trained: Path) -> None:
    for name in ("summary.json", "parameters.safetensors"):
        kept = (run / name).read_bytes()
        (run / name).unlink()
        os.mkfifo(run / name)
        code, _, err = derive("predict", run, trained / "a.png")
        assert code == 2 and f"{name}: " in err and "not a regular file" in err
        (run / name).unlink()
        (run / name).write_bytes(kept)
