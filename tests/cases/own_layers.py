"""Networks with layers of one's own, their programs, and their gradients held against differences."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import chainrule.derive.layers
from chainrule.codegen.folder import write
from chainrule.codegen.generate import generate
from chainrule.derive.derivation import Derivation
from chainrule.derive.index import index, size
from chainrule.derive.interpret import evaluate
from chainrule.derive.layers.layer import Forward, LayerType
from chainrule.derive.model import Spec
from chainrule.spec import parse_spec

n, t, k, j = map(index, "ntkj")
N, T, K, J = map(size, "NTKJ")
NET = """
spec_version = 1
name = "net"
[input]
shape = {shape}
{layers}
[[layers]]
type = "dense"
units = {units}
[loss]
type = "mse"
"""


def spec_of(*layers: str, shape: Sequence[int] = (3,), units: int = 2) -> Spec:
    tables = "\n".join(f'[[layers]]\ntype = "{layer}"' for layer in layers)
    return parse_spec(NET.format(shape=list(shape), layers=tables, units=units), "net.toml")


def layer(
    monkeypatch: pytest.MonkeyPatch, equations: Callable[..., Forward], name: str = "own", rank: int = 1
) -> None:
    """Declare a user's own layer."""
    monkeypatch.setitem(
        chainrule.derive.layers.LAYERS, name, LayerType(name, name, equations, input_rank=rank)
    )


def program(spec: Spec, folder: Path, *targets: str) -> ModuleType:
    """Return the generated NumPy program of a spec; the others are written beside it."""
    return loaded(write(generate(spec, set(targets)), folder, force=True) / "numpy_trainer.py")


def loaded(path: Path) -> ModuleType:
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def check_gradients(module: ModuleType, x: Any, targets: Any) -> None:
    """Hold every gradient of a program, the input's too, against central differences."""
    parameters = module.init_parameters(0, np.float64)
    for value in parameters.values():
        value += np.random.default_rng(1).normal(0, 0.3, value.shape)
    _, gradients = module.loss_and_gradients(parameters, x, targets)
    tensors = {**parameters, "x": x}
    gradients = {**gradients, "x": module.input_gradient(parameters, x, targets)}
    assert set(gradients) == {*module.PARAMETERS, "x"}
    for name, value in tensors.items():
        for at in list(np.ndindex(value.shape))[:6]:
            ends = []
            for change in (1e-6, -1e-6):
                moved = value.copy()
                moved[at] += change
                given = {**parameters, name: moved} if name != "x" else parameters
                ends.append(module.loss(given, moved if name == "x" else x, targets))
            wanted = (ends[0] - ends[1]) / 2e-6
            assert gradients[name][at] == pytest.approx(wanted, rel=1e-6, abs=1e-8), f"{name}{at}"


def values(derivation: Derivation, seed: int) -> dict[str, Any]:
    """Return every tensor's value, a compact form under its own name and the long one as "long of …"."""
    rng, network = np.random.default_rng(seed), derivation.network
    found: dict[str, Any] = {p.name: rng.normal(size=p.shape) for p in network.parameters}
    found |= {"x": rng.normal(size=(3, *network.spec.input_shape)), "N": np.array(3)}
    found |= {"t": rng.normal(size=(3, *network.output_shape))}
    return computed(derivation, found)


def computed(derivation: Derivation, given: Mapping[str, Any], *roles: str) -> dict[str, Any]:
    found = dict(given)
    for e in derivation.role("definition", *(roles or ("forward", "loss", "backward"))):
        if e.mode != "evaluation":
            long = e.shown_only and e.symbol in {later.symbol for later in derivation.equations[e.number :]}
            found[f"long of {e.symbol}" if long else e.symbol] = evaluate(e.equation, found)
    return found


def dense(units: int) -> str:
    return f'dense"\nunits = {units}\n#"'
