"""Random networks of images, sequences and vectors as the text of spec files, seeded, and their programs.

Every layer type, option and size of the image networks comes round.  A spec is well conditioned: where a
gradient would be zero but for rounding (a bias right before a normalization), there is no such parameter.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from math import prod
from random import Random
from unittest.mock import patch

import random_specs
from machine_sizes import SMALL_PIECES, generated_with
from random_specs import ACTIVATIONS, OPTIMIZERS, Built

import chainrule.codegen.generate

IMAGE_SPECS = 300
LOSSES = ("cross_entropy", "mse", "binary_cross_entropy", "cross_entropy", "far", "mae")
LAST = {  # after mae's −1 and 1 alone, what is summed over a batch often cancels
    "cross_entropy": "softmax",
    "binary_cross_entropy": "sigmoid",
    "mae": "tanh",
}
KINDS = ("image", "image", "image", "sequence", "image", "vector")  # of the input, by seed
OWN = """
[activations.bend]
formula = "x * sigmoid(beta * x) + tanh(x) / 4"
beta = 1.5

[losses.far]
formula = "sqrt(1 + (y - t)**2) - 1"
"""  # functions of tensors in torch_images.py


@dataclass
class Sketch:
    """A network so far: the layers, the shape of a sample, and what a normalization would undo."""

    rng: Random
    shape: tuple[int, ...]
    layers: list[dict[str, object]] = field(default_factory=list)
    shifts: list[dict[str, object]] = field(default_factory=list)  # whose bias only shifts a channel
    normalized: bool = False  # a shift of every channel, or its scale, would be undone
    fewest: int = 1  # samples that a batch may have

    def add(self, kind: str, shape: tuple[int, ...] | None = None, **options: object) -> dict[str, object]:
        self.layers.append({"type": kind, **{k: v for k, v in options.items() if v is not None}})
        self.shape = self.shape if shape is None else shape
        return self.layers[-1]


def image_spec(seed: int) -> str:
    """Return the text of the spec of that seed; images have 1 to 5 channels and odd, rectangular sizes."""
    return _sketch(seed)[0]


@cache
def fewest(seed: int) -> int:
    """Return the least number of samples of a batch: batch norm wants four values of a channel."""
    return _sketch(seed)[1]


def _sketch(seed: int) -> tuple[str, int]:
    rng = Random(seed)
    kind = KINDS[seed % len(KINDS)]
    channels = rng.randint(1, 5)
    inputs = {
        "image": (rng.randint(4, 11), rng.randint(4, 11), channels),
        "sequence": (rng.randint(5, 13), channels),
        "vector": (rng.randint(3, 12),),
    }[kind]
    net = Sketch(rng, inputs)
    makers = {"image": (_conv, _conv, _conv, _pool), "sequence": (_conv,), "vector": (_dense, _maxout)}[kind]
    if rng.random() < 0.2:
        _extra(net)
    for _ in range(rng.choice((1, 1, 2, 2))):
        rng.choice(makers)(net)
        for _ in range(rng.choice((0, 1, 1))):
            _extra(net)
    loss = LOSSES[seed // len(KINDS) % len(LOSSES)]
    _head(net, kind, loss)
    blocks = ["\n".join(["[[layers]]", *map(_line, layer.items())]) for layer in net.layers]
    start = [f'spec_version = 1\nname = "random_image_{seed}"', f"[input]\nshape = {list(inputs)}"]
    return "\n\n".join([*start, *blocks, *_tail(rng, seed, loss), OWN]), net.fewest


def _line(item: tuple[str, object]) -> str:
    """A key and its value in TOML."""
    key, value = item
    return f"{key} = {json.dumps(value)}"


# ---- Layers ----------------------------------------------------------------------------------------


def _outputs(extent: int, kernel: int, stride: int, dilation: int = 1, padding: object = "valid") -> int:
    covered = dilation * (kernel - 1) + 1
    if padding == "same":
        return (extent + stride - 1) // stride
    each = {"valid": 0, "full": covered - 1}[padding] if isinstance(padding, str) else int(str(padding))
    return (extent + 2 * each - covered) // stride + 1


def _reads(extent: int, kernel: int, stride: int, dilation: int, padding: object) -> bool:
    """Whether there are outputs, not too many, and every other one sees the input, not zeros alone."""
    outputs, covered = _outputs(extent, kernel, stride, dilation, padding), dilation * (kernel - 1) + 1
    before = {
        "valid": 0,
        "full": covered - 1,
        "same": max(0, (outputs - 1) * stride + covered - extent) // 2,
    }.get(str(padding), padding)
    places = [[i * stride + u * dilation - int(str(before)) for u in range(kernel)] for i in range(outputs)]
    seeing = sum(any(0 <= place < extent for place in window) for window in places)
    return 1 <= outputs <= 14 and seeing > 0 and 2 * seeing >= outputs


def _conv(net: Sketch) -> None:
    rng, (*extents, channels) = net.rng, net.shape
    parts = rng.choice([d for d in range(1, channels + 1) if channels % d == 0])
    filters = parts * rng.randint(1, 6 // parts if parts < 6 else 1)
    padding = rng.choice(("valid", "same", "full", 0, 1, 2))
    windows = []
    for extent in extents:
        while True:
            kernel, stride, dilation = rng.randint(1, 5), rng.choice((1, 1, 2, 3)), rng.choice((1, 1, 2))
            if _reads(extent, kernel, stride, dilation, padding):
                break
        windows.append((kernel, stride, dilation))
    kernels, strides, dilations = zip(*windows, strict=True)
    shape = [_outputs(n, *window, padding) for n, window in zip(extents, windows, strict=True)]
    pair = len(extents) == 2
    layer = net.add(
        "conv2d" if pair else "conv1d",
        (*shape, filters),
        filters=filters,
        kernel=_number(rng, kernels),
        stride=_number(rng, strides),
        dilation=_number(rng, dilations),
        padding=padding,
        groups=parts,
        flip=rng.random() < 0.3,
        bias=rng.random() < 0.75,
        init=rng.choice(("he_normal", "glorot_uniform", "lecun_normal", "uniform(-0.7, 0.7)")),
    )
    _affine(net, layer)


def _number(rng: Random, values: tuple[int, ...]) -> object:
    """One number where both are the same: the short form."""
    return values[0] if len(set(values)) == 1 and (len(values) == 1 or rng.random() < 0.5) else values


def _pool(net: Sketch) -> None:
    rng, (height, width, channels) = net.rng, net.shape
    size = tuple(rng.randint(1, min(4, extent)) for extent in (height, width))
    stride = rng.choice((None, (rng.randint(1, 3), rng.randint(1, 3))))
    shape = [_outputs(n, k, s) for n, k, s in zip((height, width), size, stride or size, strict=True)]
    kind = rng.choice(("max_pool2d", "avg_pool2d"))
    net.add(kind, (*shape, channels), size=_number(rng, size), stride=stride and _number(rng, stride))


def _dense(net: Sketch, units: int | None = None) -> None:
    bias = net.rng.random() < 0.75
    units = units or net.rng.randint(4, 9)
    _affine(net, net.add("dense", (units,), units=units, bias=bias))


def _affine(net: Sketch, layer: dict[str, object]) -> None:
    if layer["bias"]:
        net.shifts.append(layer)


def _maxout(net: Sketch) -> None:
    units = net.rng.randint(3, 7)
    net.add("maxout", (units,), units=units, pieces=net.rng.randint(2, 4), bias_init="normal(0, 0.2)")
    net.shifts, net.normalized = [], False  # a maximum is no affine map


def _extra(net: Sketch) -> None:
    net.rng.choice((_activation, _activation, _activation, _batch_norm, _dropout, _layer_norm))(net)


def _activation(net: Sketch) -> None:
    net.add(net.rng.choice((*ACTIVATIONS[1:], "relu", "bend")))
    net.shifts, net.normalized = [], False


def _dropout(net: Sketch) -> None:
    net.add("dropout", rate=net.rng.choice((0.1, 0.25, 0.5)))
    net.shifts = []


def _batch_norm(net: Sketch) -> None:
    if net.normalized:
        return
    _without_shifts(net)
    net.fewest = max(net.fewest, -(-4 // prod(net.shape[:-1])), 2)  # of one sample, the mean of x̂ is 0
    options = {"momentum": net.rng.choice((0.5, 0.8, 0.99)), "epsilon": net.rng.choice((1e-5, 1e-3))}
    net.add("batch_norm", **(options if net.rng.random() < 0.7 else {}))
    net.shifts, net.normalized = [], True


def _without_shifts(net: Sketch) -> None:
    """Leave out the biases that a normalization takes away again."""
    for layer in net.shifts:
        layer["bias"] = False


def _layer_norm(net: Sketch) -> None:
    if net.normalized or prod(net.shape) < 4:
        return
    _without_shifts(net)
    net.add("layer_norm", **({"epsilon": 1e-3} if net.rng.random() < 0.5 else {}))
    net.shifts, net.normalized = [], True


# ---- The end of a network --------------------------------------------------------------------------


def _head(net: Sketch, kind: str, loss: str) -> None:
    """A dense layer, perhaps after a mean of every channel, or the images themselves."""
    rng = net.rng
    last = LAST.get(loss)
    trains = any(layer["type"] in ("conv2d", "conv1d", "dense", "maxout") for layer in net.layers)
    if kind == "image" and rng.random() < 0.35:
        net.add("global_avg_pool", net.shape[-1:])
    if last != "softmax" and trains and net.shape and rng.random() < 0.35:
        if last:
            net.add(last)
        return
    if len(net.shape) > 1 and rng.random() < 0.5:
        net.add("flatten", (prod(net.shape),))
    _dense(net, rng.randint(2, 4))
    if last:
        net.layers[-1]["activation"] = last


def _tail(rng: Random, seed: int, loss: str) -> list[str]:
    decay = f"\nl2 = {rng.uniform(1e-4, 0.02):.4g}" if rng.random() < 0.5 else ""
    optimizer = list(OPTIMIZERS)[seed // 2 % len(OPTIMIZERS)]
    options = [f"learning_rate = {10 ** rng.uniform(-4, -2):.3g}"]
    options += [f"{name} = {rng.uniform(*bounds):.6g}" for name, bounds in OPTIMIZERS[optimizer].items()]
    return [
        f'[loss]\ntype = "{loss}"\nreduction = "{rng.choice(("mean", "sum"))}"{decay}',
        f'[optimizer]\ntype = "{optimizer}"\n' + "\n".join(options),
    ]


# ---- Programs --------------------------------------------------------------------------------------


def in_pieces(seed: int) -> bool:
    """Whether the program of a seed runs its batch in small pieces."""
    return seed % 2 == 1


def build(text: str, small_pieces: bool = False) -> Built:
    """Return the program of a spec's text, without its LaTeX, which other tests read."""
    with (
        generated_with(**SMALL_PIECES) if small_pieces else nullcontext(),
        patch.object(chainrule.codegen.generate, "document", lambda derivation: ""),
        patch.object(chainrule.codegen.generate, "records", lambda derivation: []),
    ):
        return random_specs.build(text)


@cache
def built(seed: int) -> Built:
    """Return the program of the random spec of that seed, built once, to run on one to three threads."""
    one = build(image_spec(seed), in_pieces(seed))
    if hasattr(one.program.module, "THREADS"):
        one.program.module.THREADS = 1 + seed % 3
    return one
