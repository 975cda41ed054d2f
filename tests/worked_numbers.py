"""Small random networks, and a pass through one worked out with numbers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

from chainrule.cli.commands import derive
from chainrule.derive.deriving import derive_network
from chainrule.derive.model import Spec
from chainrule.present.numbers import Given, Worked, work
from chainrule.programs import scratch_program
from chainrule.spec import parse_spec

EXAMPLES = Path(__file__).parent.parent / "examples"
HEAD = """
spec_version = 1
name = "small"
"""
TAIL = """
[loss]
type = "{loss}"
reduction = "{reduction}"
l2 = {l2}

[optimizer]
type = "{optimizer}"
"""
DENSE = """
[input]
shape = [3]

[[layers]]
type = "dense"
units = 4
activation = "{hidden}"

[[layers]]
type = "dense"
units = 2
activation = "{last}"
"""
CONVOLUTION = """
[input]
shape = [4, 4, 1]

[[layers]]
type = "conv2d"
filters = {filters}
kernel = 2
stride = {stride}
padding = {padding}
activation = "{hidden}"

[[layers]]
type = "{pool}"
size = 2
stride = 1

[[layers]]
type = "dropout"
rate = 0.3

[[layers]]
type = "dense"
units = 2
activation = "{last}"
"""
NORM = """
[input]
shape = [3]

[[layers]]
type = "dense"
units = 2
bias = false

[[layers]]
type = "{norm}"

[[layers]]
type = "{hidden}"

[[layers]]
type = "dense"
units = 2
activation = "{last}"
"""
HIDDEN = ("sigmoid", "tanh", "relu", "elu", "softplus", "gelu", "leaky_relu", "swish")
LOSSES = (("mse", "sigmoid"), ("cross_entropy", "softmax"), ("binary_cross_entropy", "sigmoid"))
OPTIMIZERS = ("sgd", "momentum", "adagrad", "rmsprop", "adam")


def small_spec(seed: int) -> Spec:
    """Return a random small network: dense, convolution with pooling and dropout, or with normalization."""
    loss, last = LOSSES[seed % 3]
    around = {
        "loss": loss,
        "last": last,
        "hidden": HIDDEN[seed % len(HIDDEN)],
        "optimizer": OPTIMIZERS[seed % len(OPTIMIZERS)],
        "reduction": ("mean", "sum")[seed % 2],
        "l2": (0.0, 0.01)[seed // 2 % 2],
        "filters": 1 + seed % 2,
        "stride": 1,
        "padding": ('"valid"', "0")[seed % 2],
        "pool": ("max_pool2d", "avg_pool2d")[seed // 3 % 2],
        "norm": ("batch_norm", "layer_norm")[seed // 3 % 2],
    }
    body = (DENSE, CONVOLUTION, NORM)[seed // 3 % 3]
    return parse_spec((HEAD + body + TAIL).format(**around), "small.toml")


def given_for(spec: Spec, program: Any, count: int, seed: int) -> Given:
    """Return random samples and parameters in general position, and the program's own masks."""
    rng = np.random.default_rng(seed)
    parameters = program.init_parameters(seed, np.float64)
    for value in parameters.values():
        value[...] += rng.uniform(0.05, 0.2, value.shape)
    x = rng.uniform(-1, 1, (count, *spec.input_shape))
    if program.target_kind == "labels":
        t = rng.integers(0, 2, count)
    else:
        t = rng.integers(0, 2, (count, *program.output_shape)).astype(float)
    masks = program.module.masks(count, seed) if hasattr(program.module, "masks") else {}
    return Given(parameters, x, t, masks)


@cache
def worked(seed: int, count: int) -> tuple[Worked, Any]:
    """Return a worked pass through the network of a seed, and what its program gives on the same samples."""
    spec = small_spec(seed)
    with scratch_program(spec) as program:
        given = given_for(spec, program, count, seed)
        found = work(derive_network(spec), given)
        module = program.module
        names = set(module.PARAMETERS)
        own = {key: value.copy() for key, value in given.parameters.items()}
        key = {"seed": seed} if given.masks else {}
        loss, gradients = module.loss_and_gradients(own, given.x, given.t, **key)
        state = module.init_optimizer(own)
        module.train_step(own, given.x, given.t, state, **key)
        outputs = module.predict(dict(given.parameters), given.x)
    return found, (loss, gradients, own, state, outputs, names)


def run(name: str, *options: str, code: int = 0) -> str:
    found = CliRunner().invoke(derive, ["show", str(EXAMPLES / f"{name}.toml"), "--numbers", *options])
    assert found.exit_code == code, found.output
    return found.output
