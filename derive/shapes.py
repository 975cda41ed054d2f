"""The shapes of one sample from layer to layer: one walk for checking a spec and for deriving its network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chainrule.derive.layers import LAYERS, Forward, ShapeError
from chainrule.derive.layers.flatten import LAYER as FLATTEN
from chainrule.derive.model import LayerSpec

_REMEDIES = {
    2: "give [input] shape as [length, channels]",
    3: "give [input] shape as [height, width, channels]",
}


@dataclass(frozen=True)
class LayerStep:
    """A layer, declared or implied, with the shapes of one sample before and after it.

    ``forward`` has its equations and parameters; None for an activation, which has none and keeps the shape.
    """

    layer: LayerSpec
    before: tuple[int, ...]
    after: tuple[int, ...]
    forward: Forward | None

    @property
    def parameter_count(self) -> int:
        return sum(math.prod(p.shape) for p in self.forward.parameters) if self.forward else 0


class ShapeWalk:
    """Goes through the layers in order; ``shape`` is that of one sample where it stands."""

    def __init__(self, input_shape: tuple[int, ...]) -> None:
        self.shape = input_shape
        self._known: dict[tuple[object, ...], LayerStep] = {}

    def through(self, layer: LayerSpec) -> tuple[LayerStep, ...]:
        """Return the steps that a layer takes: a layer of one axis has more of them flattened first.

        Raises ShapeError, and stays where it is.
        """
        kind, steps = LAYERS.get(layer.type), []
        shape = self.shape
        if kind is not None and kind.input_rank == 1 and len(shape) > 1:
            steps.append(self._step(LayerSpec(FLATTEN.name, {}, layer.place), shape))
            shape = steps[-1].after
        steps.append(self._step(layer, shape))
        self.shape = steps[-1].after
        return tuple(steps)

    def _step(self, layer: LayerSpec, shape: tuple[int, ...]) -> LayerStep:
        """Return the step of a layer; equal layers are looked at once."""
        kind = LAYERS.get(layer.type)
        if kind is None:
            return LayerStep(layer, shape, shape, None)
        options = tuple((k, id(v) if isinstance(v, tuple) else v) for k, v in layer.options.items())
        key = (layer.type, shape, options)
        known = self._known.get(key)
        if known is not None:
            return LayerStep(layer, shape, known.after, known.forward)
        if kind.input_rank is not None and len(shape) != kind.input_rank:
            message = f"{layer.type} takes samples of {kind.input_rank} axes, not {len(shape)}"
            raise ShapeError(message, _REMEDIES.get(kind.input_rank, "change the input's shape"))
        forward = kind.forward(shape, layer.options)
        axes = forward.equations[-1].left.base.shape[1:]  # without the batch
        after = tuple(int(axis.xreplace(dict(forward.sizes))) for axis in axes)
        self._known[key] = LayerStep(layer, shape, after, forward)
        return self._known[key]
