"""Kill a run that saves after every step, at random moments, until it has come to its end.

    python -m bench.kill_resume --kills 100

Each process is killed (SIGKILL) at a random moment and the next one resumes; the last one is let be.  Its
parameters and its summary, apart from seconds and folder, must be those of a run that was never cut short.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
WORKER = """
import io, sys
from pathlib import Path
import numpy as np
from chainrule.runtime.datasets.dataset import Dataset
from chainrule.runtime.program import load_program
from chainrule.runtime.settings import Settings
from chainrule.runtime.training import train
folder, run, epochs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
program = load_program(folder)
rng = np.random.default_rng(1)
x = rng.random((300, *program.input_shape), np.float32)
t = rng.integers(0, program.classes, 300)
if program.target_kind != "labels":
    t = rng.random((300, *program.output_shape), np.float32)
data = Dataset("synthetic", x, t, x[:50], t[:50], "synthetic")
images = len(program.input_shape) == 3
settings = Settings(
    epochs, 32, validation_split=0.2, early_stopping=epochs, standardize="zscore",
    augmentation={"flip": True, "shift": 1.0, "rotation": 10.0} if images else {},
)
resume = (run / ".lock").exists()
print("begin", flush=True)
train(program, data, settings, run_dir=run, resume=resume, checkpoint_every=1, quiet=True, plots=False)
"""


@dataclass(frozen=True)
class Outcome:
    """What became of a run that was killed: how often, after how many steps each time, and its end."""

    kills: int
    reached: tuple[int, ...]
    same_parameters: bool
    same_summary: bool


def rehearse(program: Path, folder: Path, kills: int, epochs: int, seed: int = 0) -> Outcome:
    """Trains `program` once unbroken and once killed `kills` times; needs a run that lasts long enough."""
    run, unbroken = folder / "killed", folder / "unbroken"
    _start(program, unbroken, epochs).communicate()
    reached: list[int] = []
    rng = random.Random(seed)  # noqa: S311
    while len(reached) < kills:
        before = _newest(run)
        process = _start(program, run, epochs)
        assert process.stdout is not None  # noqa: S101
        process.stdout.readline()  # only loading is behind it; the run begins
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        rest, errors = process.communicate()
        if process.returncode == 0:
            raise RuntimeError(f"the run ended after {len(reached)} of {kills} kills: take more epochs")
        if process.returncode > 0:
            raise RuntimeError(f"kill {len(reached)}: the run could not go on: {errors or rest}")
        if _newest(run) < before:
            raise RuntimeError(f"kill {len(reached)}: went back from step {before} to {_newest(run)}")
        reached.append(_newest(run))
    last = _start(program, run, epochs)
    _, errors = last.communicate()
    if last.returncode != 0:
        raise RuntimeError(f"the last run could not go on: {errors}")
    name = "parameters.safetensors"
    return Outcome(
        kills,
        tuple(reached),
        (run / name).read_bytes() == (unbroken / name).read_bytes(),
        _timeless(run) == _timeless(unbroken),
    )


def _start(program: Path, run: Path, epochs: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(program), str(run), str(epochs)]
    return subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def _newest(run: Path) -> int:
    """The step of a run's newest checkpoint; 0 where there is none."""
    return max((int(path.stem.removeprefix("step-")) for path in run.glob("checkpoints/step-*")), default=0)


def _timeless(run: Path) -> dict[str, Any]:
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return {k: v for k, v in summary.items() if k not in ("seconds", "train_seconds", "run")}


def main() -> None:
    """Prints what happened; exit code 1 where the ends differ."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--program", type=Path, default=ROOT / "tests" / "programs" / "relu_mlp")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = rehearse(asked.program, Path(folder), asked.kills, asked.epochs, asked.seed)
    print(json.dumps(outcome.__dict__))
    if not (outcome.same_parameters and outcome.same_summary):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
