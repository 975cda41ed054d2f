"""C programs as their own trainer.py compiles them, with all that compilers do then, against NumPy."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.codegen.folder import write
from chainrule.codegen.generate import generate
from chainrule.codegen.targets.c import products
from chainrule.runtime.program import load_program
from chainrule.spec import parse_spec

SPEC = """spec_version = 1
name = "channels"
[input]
shape = [12, 12, 1]
[[layers]]
type = "conv2d"
filters = {filters}
kernel = 3
activation = "relu"
[[layers]]
type = "dense"
units = 4
[loss]
type = "mse"
[optimizer]
type = "{optimizer}"
learning_rate = 0.1
"""

NORMALIZED = """[[layers]]
type = "dropout"
rate = 0.2
[[layers]]
type = "batch_norm"
[[layers]]
type = "max_pool2d"
size = 2
[[layers]]
type = "batch_norm"
[[layers]]
type = "dense"
"""

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("gcc", "clang", "cc"))), reason="no C compiler")


def program(folder: Path, filters: int, optimizer: str = "sgd") -> tuple[Any, Any]:
    """Return the NumPy and the C program of a network."""
    spec = parse_spec(SPEC.format(filters=filters, optimizer=optimizer), "channels.toml")
    written = write(generate(spec, ["c"]), folder, force=True)
    numpy, compiled = (load_program(written, target=name).module for name in ("numpy", "c"))
    return numpy, compiled


def normalized(folder: Path) -> Path:
    """Return the folder of a network with normalizations."""
    text = SPEC.format(filters=32, optimizer="sgd").replace('[[layers]]\ntype = "dense"\n', NORMALIZED)
    return write(generate(parse_spec(text, "channels.toml"), ["c"]), folder, force=True)


@pytest.mark.parametrize(("filters", "listed"), [(3, 4096), (10, 4096), (16, 4096), (10, 8)])
def test_few_channels_behind_a_relu(
    filters: int, listed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gcc 12 took the first mask for all vectors of an unrolled loop: gradients were wrong.

    With rows whose places are listed, and with more than are.
    """
    monkeypatch.setenv("CHAINRULE_CACHE_C", str(tmp_path / "cache"))
    monkeypatch.setattr(products, "LISTED", listed)
    numpy, compiled = program(tmp_path, filters)
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((3, 12, 12, 1)), rng.standard_normal((3, 4))
    for dtype, most in ((np.float64, 1e-12), (np.float32, 1e-4)):
        parameters: dict[str, Any] = numpy.init_parameters(0, dtype)
        _, wanted = numpy.loss_and_gradients(parameters, x, t)
        _, found = compiled.loss_and_gradients(parameters, x, t)
        largest = max(float(np.abs(values).max()) for values in wanted.values())
        for name, values in wanted.items():
            assert float(np.abs(found[name] - values).max()) < most * largest, (name, dtype)


def test_what_a_step_may_not_change_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE_C", str(tmp_path / "cache"))
    _, compiled = program(tmp_path, 3, "momentum")
    x, t = np.ones((3, 12, 12, 1)), np.ones((3, 4))
    parameters = compiled.init_parameters(0, np.float64)
    state = compiled.init_optimizer(compiled.init_parameters(0, np.float32))
    (name,) = (n for n, value in state.items() if isinstance(value, np.ndarray))
    for wrong in (state[name], state[name].astype(np.float64)[:-1], np.zeros(2 * state[name].size)[::2]):
        with pytest.raises(ValueError, match=f"^{name}: a step changes"):
            compiled.train_step(parameters, x, t, {**state, name: wrong})
    right = compiled.init_optimizer(parameters)
    flat = next(iter(parameters.values())).base
    flat.flags.writeable = False
    with pytest.raises(ValueError, match=r"^parameters: a step changes"):
        compiled.train_step(parameters, x, t, right)
    big = {n: v.astype(v.dtype.newbyteorder()) for n, v in parameters.items()}
    with pytest.raises(ValueError, match="dtype"):
        compiled.predict(big, x)


@pytest.mark.skipif(
    not shutil.which("gcc") or platform.machine() != "x86_64", reason="no gcc, or other vectors"
)
def test_loops_over_elements_are_vectors(tmp_path: Path) -> None:
    """gcc counts `restrict` of parameters alone, and reads no bytes for some elements of a vector alone."""
    written = normalized(tmp_path)
    source = written / "c" / "trainer.c"
    flags = load_program(written, target="c").module.FLAGS
    command = ["gcc", *flags, "-mavx2", "-mfma", "-DREAL=float", "-fopt-info-vec-optimized", str(source)]
    told = subprocess.run(
        [*command, "-o", str(tmp_path / "c.so")], capture_output=True, text=True, check=True
    )
    vectors = {int(found[1]) for found in re.finditer(r":(\d+):\d+: optimized: loop vectorized", told.stderr)}
    loops = {n for n, line in enumerate(source.read_text("utf-8").splitlines(), 1) if "EACH for" in line}
    assert len(loops) > 20
    assert loops <= vectors, loops - vectors


def test_sums_over_samples_follow_what_they_sum(tmp_path: Path) -> None:
    """A sample's gradient is summed in the loop that computes it; threads join all sums afterwards."""
    text = (normalized(tmp_path) / "c" / "trainer.c").read_text("utf-8")
    backward = text.split("static void backward(")[1].split("\n}\n")[0]
    loops = [loop.split("    }\n")[0] for loop in backward.split("for (long n = share")[1:]]
    for first, then in (("_dbeta", "_dgamma"), ("_dW", "_db1")):
        assert any(first in loop and then in loop for loop in loops), backward
