"""The memory of training that `derive check` tells is the memory that training takes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chainrule.checking import totals
from chainrule.codegen.folder import write
from chainrule.codegen.generate import generate
from chainrule.spec.load import load_spec

ROOT = Path(__file__).parent.parent
MEASURE = """
import importlib.util, sys
import numpy as np

def resident():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024

spec = importlib.util.spec_from_file_location("trainer", sys.argv[1])
trainer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(trainer)
rng = np.random.default_rng(0)
np.dot(np.ones((300, 300), "f"), np.ones((300, 300), "f")), np.random.Philox(1).random_raw(4)
getattr(trainer, "library", lambda dtype: None)(np.float32)
before, batch = resident(), int(sys.argv[2])
parameters = trainer.init_parameters(0)
state = trainer.init_optimizer(parameters)
x = rng.random((batch, *trainer.INPUT), dtype=np.float32)
t = rng.integers(0, 10, batch)
for step in range(2):
    trainer.train_step(parameters, x, t, state, seed=step)
print(resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read the memory from")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["lenet5", "mnist_cnn", "fashion_cnn", "cifar10_cnn_74", "cifar10_cnn_79"])
def test_a_step_takes_the_memory_that_check_tells(name: str, threads: int) -> None:
    told = totals(load_spec(ROOT / "examples" / f"{name}.toml"), threads=threads)
    program = ROOT / "generated" / name / "numpy_trainer.py"
    assert measured(program, told, threads) == pytest.approx(told["memory"]["total"], rel=0.15)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read the memory from")
@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["mnist_wide", "mnist_cnn", "cifar10_cnn_74"])
def test_a_step_of_a_c_program_takes_the_memory_that_check_tells(
    name: str, threads: int, tmp_path: Path
) -> None:
    spec = load_spec(ROOT / "examples" / f"{name}.toml")
    told = totals(spec, "c", threads)
    program = write(generate(spec, {"c"}), tmp_path, force=True) / "c" / "trainer.py"
    assert measured(program, told, threads) == pytest.approx(told["memory"]["total"], rel=0.15)


def measured(program: Path, told: dict[str, Any], threads: int) -> int:
    """Return by how much a process grows by two steps."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(program), str(told["batch_size"])],
        capture_output=True, text=True, check=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": str(threads)},
    )  # fmt: skip
    return int(done.stdout)
