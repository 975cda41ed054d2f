"""Random dense networks as the text of spec files, seeded, and the programs that are generated from them."""

from __future__ import annotations

import atexit
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from chainrule.codegen.folder import write
from chainrule.codegen.generate import generate
from chainrule.derive.model import Spec
from chainrule.runtime.program import LoadedProgram, load_program
from chainrule.spec.load import parse_spec

SPECS = 200
ACTIVATIONS = (
    "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "gelu", "swish",
)  # fmt: skip
CONSTANTS = {"leaky_relu": ("slope", 0.01, 0.5), "elu": ("alpha", 0.3, 1.8)}
LOSSES = ("mse", "mae", "binary_cross_entropy", "cross_entropy")
OPTIMIZERS = {
    "sgd": {},
    "momentum": {"momentum": (0.0, 0.95)},
    "adagrad": {"epsilon": (1e-10, 1e-6)},
    "rmsprop": {"rho": (0.5, 0.99), "epsilon": (1e-8, 1e-4)},
    "adam": {"beta1": (0.5, 0.95), "beta2": (0.9, 0.999), "epsilon": (1e-8, 1e-4)},
}
INITIALIZERS = (
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal",
    "uniform(-0.6, 0.6)", "normal(0, 0.4)",
)  # fmt: skip
BIAS_INITIALIZERS = ("zeros", "normal(0, 0.1)", "uniform(-0.2, 0.2)", "ones")

_folder = tempfile.TemporaryDirectory(prefix="random_specs")
atexit.register(_folder.cleanup)


@dataclass(frozen=True)
class Built:
    """A spec and the loaded program that was generated from it."""

    spec: Spec
    program: LoadedProgram
    code: str


def random_spec(seed: int) -> str:
    """Return the text of the spec of that seed: 1 to 6 dense layers of 1 to 40 units.

    Every activation, loss, optimizer and reduction comes round; no softmax has a single unit.
    """
    rng = Random(seed)
    loss = LOSSES[seed % len(LOSSES)]
    depth = rng.randint(1, 6)
    last = _last_activation(rng, loss)
    layers: list[str] = []
    if rng.random() < 0.15:
        layers.append(_activation_layer(rng))
    for number in range(1, depth + 1):
        ends = number == depth
        units = rng.randint(2 if ends and last == "softmax" else 1, 40)
        layers.append(_dense_layer(rng, units))
        if ends:
            if last is not None:
                layers.append(f'[[layers]]\ntype = "{last}"' + _constant(rng, last))
            continue
        if rng.random() < 0.85:
            layers[-1] = _with_activation(rng, layers[-1])
            if rng.random() < 0.15:
                layers.append(_activation_layer(rng))
    return "\n\n".join([*_head(rng, seed), *layers, *_tail(rng, seed, loss)]) + "\n"


def _head(rng: Random, seed: int) -> list[str]:
    shape = [rng.choice((1, 2, 3, 4)) if axis else rng.randint(1, 12) for axis in range(rng.randint(1, 3))]
    return [f'spec_version = 1\nname = "random_{seed}"', f"[input]\nshape = {shape}"]


def _tail(rng: Random, seed: int, loss: str) -> list[str]:
    decay = f"\nl2 = {rng.uniform(1e-4, 0.05):.4g}" if rng.random() < 0.5 else ""
    reduction = rng.choice(("mean", "sum"))
    optimizer = list(OPTIMIZERS)[seed // len(LOSSES) % len(OPTIMIZERS)]
    options = [f"learning_rate = {10 ** rng.uniform(-4, -2):.3g}"]
    options += [f"{name} = {rng.uniform(*bounds):.6g}" for name, bounds in OPTIMIZERS[optimizer].items()]
    return [
        f'[loss]\ntype = "{loss}"\nreduction = "{reduction}"{decay}',
        f'[optimizer]\ntype = "{optimizer}"\n' + "\n".join(options),
    ]


def _last_activation(rng: Random, loss: str) -> str | None:
    if loss == "cross_entropy":
        return "softmax"
    if loss == "binary_cross_entropy":
        return "sigmoid"
    return rng.choice((None, "softmax", *ACTIVATIONS))


def _dense_layer(rng: Random, units: int) -> str:
    bias = rng.random() < 0.75
    lines = [f'[[layers]]\ntype = "dense"\nunits = {units}\ninit = "{rng.choice(INITIALIZERS)}"']
    lines.append(f'bias_init = "{rng.choice(BIAS_INITIALIZERS)}"' if bias else "bias = false")
    return "\n".join(lines)


def _with_activation(rng: Random, layer: str) -> str:
    """The short form, or a layer of its own, where constants can be given."""
    if rng.random() < 0.7:
        return f'{layer}\nactivation = "{rng.choice(ACTIVATIONS)}"'
    return f"{layer}\n\n{_activation_layer(rng)}"


def _activation_layer(rng: Random) -> str:
    name = rng.choice(ACTIVATIONS)
    return f'[[layers]]\ntype = "{name}"' + _constant(rng, name)


def _constant(rng: Random, name: str) -> str:
    if name not in CONSTANTS or rng.random() < 0.4:
        return ""
    constant, low, high = CONSTANTS[name]
    return f"\n{constant} = {rng.uniform(low, high):.3g}"


def build(text: str, filename: str = "spec.toml") -> Built:
    """Return the program of a spec's text: checked, derived, generated, written and loaded.  Not cached."""
    spec = parse_spec(text, filename)
    generated = generate(spec)
    folder = Path(tempfile.mkdtemp(dir=_folder.name))
    program = load_program(write(generated, folder, force=True))
    return Built(spec, program, generated.files["numpy_trainer.py"])


@cache
def built(seed: int) -> Built:
    """Return the program of the random spec of that seed, built once."""
    return build(random_spec(seed))
