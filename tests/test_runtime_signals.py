"""Signals, closed pipes and the bar on a terminal while a program trains (faults 23 and 24)."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chainrule.runtime.parameters import load_parameters
from chainrule.runtime.progress import Progress

ROOT = Path(__file__).parent.parent
PROGRAMS = Path(__file__).parent / "programs"
SCRIPT = """
import sys, time
from pathlib import Path
from chainrule.runtime.datasets import load_dataset
from chainrule.runtime.program import load_program
from chainrule.runtime.settings import Settings
from chainrule.runtime.training import train
program = load_program(sys.argv[1])
data = load_dataset(program.training["data"], input_shape=(2,), target_kind="values", classes=2)
step = program.module.train_step
slow = float(sys.argv[3])
def train_step(*arguments, **named):
    time.sleep(slow)
    return step(*arguments, **named)
program.module.train_step = train_step
print("begin", file=sys.stderr, flush=True)
result = train(program, data, Settings(int(sys.argv[4]), 4), run_dir=Path(sys.argv[2]), plots=False)
sys.exit(result.exit_code)
"""


def start(folder: Path, slow: float = 0.01, epochs: int = 100_000) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(PROGRAMS / "xor"), str(folder), str(slow), str(epochs)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"no line with {text!r}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_saves_and_exits_130(tmp_path: Path, number: signal.Signals) -> None:
    with start(tmp_path / "r") as process:
        wait_for_line(process, "epoch 1/")
        process.send_signal(number)
        assert process.wait(20) == 130
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["status"] == "interrupted" and summary["epochs"] >= 1 and summary["test_loss"] is None
    assert set(load_parameters(tmp_path / "r" / "parameters.safetensors")) == {"W1", "b1", "W2", "b2"}


def test_second_signal_ends_at_once(tmp_path: Path) -> None:
    with start(tmp_path / "r", slow=60) as process:
        wait_for_line(process, "begin")
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM


def test_closed_stderr_disturbs_nothing(tmp_path: Path) -> None:
    with start(tmp_path / "r", slow=0, epochs=3000) as process:
        wait_for_line(process, "begin")
        assert process.stderr is not None
        process.stderr.close()
        assert process.wait(30) == 0


class Terminal(io.StringIO):
    """A terminal that closes after some writes."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.writes = writes

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.writes -= 1
        if self.writes < 0:
            raise BrokenPipeError(32, "closed")
        return super().write(text)


def test_bar_on_a_terminal_and_none_when_not_wanted() -> None:
    for bar, what in ((True, "step"), (False, "epoch 1")):
        out = Terminal(1000)
        shown = Progress(2, 10, bar=bar, stream=out)
        shown.steps(10, 0.5)
        shown.epoch(1, "epoch 1/2")
        shown.close()
        assert what in out.getvalue()


@pytest.mark.parametrize("writes", [0, 1, 2, 3])
def test_bar_on_a_terminal_that_closes(writes: int) -> None:
    shown = Progress(2, 10, stream=Terminal(writes))
    for _ in range(5):
        time.sleep(0.11)
        shown.steps(2, 0.5)
    shown.epoch(1, "epoch 1/2")
    shown.close()
