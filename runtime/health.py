"""Signs that a network does not learn, read off the gradients of some training samples."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.trainer import Array, Parameters

SAMPLES = 256  # training samples that are looked at
DEAD = 0.9  # share of a layer's units from which it is told
VANISHED = 1e-5  # of the largest layer's root mean square gradient
_LAYER = re.compile(r"\d+")


def sample(count: int) -> NDArray[np.int64]:
    """Which of `count` training samples to look at: up to 256, evenly over all of them."""
    return np.linspace(0, count - 1, min(count, SAMPLES)).round().astype(np.int64)


def troubles(
    program: LoadedProgram, parameters: Parameters, x: Array, t: Array, batch: int, seed: int
) -> dict[str, str]:
    """What is wrong with which layer: "dead 2" → a text, "vanished 1" → a text; {} for a healthy network.

    A unit is dead when the gradients of its weights are exactly 0 for every sample; in the last layer none
    is.  x (N, …) and t (N, …) are looked at in batches of `batch` samples.
    """
    layers = _layers(program)
    rows: dict[str, Array] = {}
    squares: dict[str, float] = {}
    for start in range(0, len(x), batch):
        part = slice(start, start + batch)
        _, gradients = program.module.loss_and_gradients(parameters, x[part], t[part], seed=seed)
        for layer, names in layers.items():
            found = [gradients[name] for name in names]
            total = sum(float(np.square(g, dtype=np.float64).sum()) for g in found)
            mean = total / sum(g.size for g in found)
            squares[layer] = squares.get(layer, 0.0) + mean
            alive = _alive(found)
            rows[layer] = rows[layer] | alive if layer in rows else alive
    return dict(_found(list(layers), rows, squares, len(x)))


def _found(
    layers: list[str], rows: dict[str, Array], squares: dict[str, float], count: int
) -> Iterator[tuple[str, str]]:
    *hidden, last = layers
    if not rows[last].any() or not all(map(np.isfinite, squares.values())):
        return  # every sample is fitted exactly, or the run is about to stop
    largest = max(squares.values()) ** 0.5
    for layer in hidden:
        dead = 1 - float(np.mean(rows[layer]))
        if dead > DEAD:
            yield (
                f"dead {layer}",
                f"layer {layer}: {dead:.0%} of its {rows[layer].size} units pass no gradient for any of "
                f"{count} samples (dead ReLUs, or saturated units); lower the learning rate, or change init",
            )
        elif squares[layer] ** 0.5 < VANISHED * largest:
            yield (
                f"vanished {layer}",
                f"layer {layer}: its gradient has vanished, {squares[layer] ** 0.5 / largest:.1g} of the "
                "largest layer's; use another activation or init, batch_norm, or fewer layers",
            )


def _layers(program: LoadedProgram) -> dict[str, list[str]]:
    """The parameters of each layer, by the layer's number, the weights first."""
    layers: dict[str, list[str]] = {}
    for name in program.module.PARAMETERS:
        number = _LAYER.search(name)
        layers.setdefault(number[0] if number else name, []).append(name)
    return layers


def _alive(gradients: list[Array]) -> Array:
    """Which units, along the first axis, have a gradient that is not 0."""
    units = len(gradients[0])
    of_units = [g.reshape(units, -1) for g in gradients if len(g) == units]
    return np.any([(g != 0).any(axis=1) for g in of_units], axis=0)
