"""C programs as their own trainer.py compiles them, with all that compilers do then, against NumPy."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.codegen.folder import write
from chainrule.codegen.generate import generate
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

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("gcc", "clang", "cc"))), reason="no C compiler")


def program(folder: Path, filters: int, optimizer: str = "sgd") -> tuple[Any, Any]:
    """Return the NumPy and the C program of a network."""
    spec = parse_spec(SPEC.format(filters=filters, optimizer=optimizer), "channels.toml")
    written = write(generate(spec, ["c"]), folder, force=True)
    numpy, compiled = (load_program(written, target=name).module for name in ("numpy", "c"))
    return numpy, compiled


@pytest.mark.parametrize("filters", [3, 10, 16])
def test_few_channels_behind_a_relu(filters: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gcc 12 took the first mask for all vectors of an unrolled loop: gradients were wrong."""
    monkeypatch.setenv("CHAINRULE_CACHE_C", str(tmp_path / "cache"))
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
