"""Image networks as PyTorch networks in float64: PyTorch's own layers, read off the spec and nothing else.

Between layers a tensor has its channels last, as the spec says; a layer moves them to where PyTorch has them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from random_specs import Built
from torch_reference import Array, Reference

from chainrule.derive.model import LayerSpec, Spec

AGREEMENT = 1e-10  # of gradients and steps in float64


def own_formulas(torch: ModuleType) -> dict[str, Any]:
    """Return the formulas that random_images.OWN defines, as functions of tensors."""
    return {
        "bend": lambda x: x * torch.sigmoid(1.5 * x) + torch.tanh(x) / 4,
        "far": lambda y, t: torch.sqrt(1 + (y - t) ** 2) - 1,
    }


class ImageReference(Reference):
    """The network of a spec in training (with given masks of dropout) or in evaluation."""

    def __init__(
        self, torch: ModuleType, spec: Spec, parameters: Mapping[str, Array], statistics: Sequence[str] = ()
    ) -> None:
        trained = {name: value for name, value in parameters.items() if name not in statistics}
        super().__init__(torch, spec, trained, own_formulas(torch))
        self.statistics = {name: torch.tensor(parameters[name], dtype=torch.float64) for name in statistics}
        self.training = True
        self.keeps_statistics = False
        self.masks: list[Any] = []

    def draw(self, masks: Mapping[str, Array]) -> None:
        """Take these masks for the layers of dropout, in their order."""
        self.masks = [self.torch.tensor(mask, dtype=self.torch.float64) for mask in masks.values()]

    def forward(self, x: Any) -> tuple[Any, Any]:
        """Return the outputs, and what the last layer of the network was given."""
        self.number, self.unused = 0, list(self.masks)
        before = x
        for layer in self.spec.layers:
            if layer.type in ("dense", "maxout", "softmax", "flatten"):
                x = x.flatten(1)
            before = x
            method = getattr(self, layer.type, None)
            x = method(layer, x) if method else self.activation(layer.type, layer.options, x)
        return x, before

    def step(self, x: Array, t: Array) -> float:
        """Take one step of the spec's optimizer, running statistics too; return the loss before it."""
        self.keeps_statistics = True
        try:
            return super().step(x, t)
        finally:
            self.keeps_statistics = False

    def evaluate(self, x: Array, t: Array) -> tuple[Array, float]:
        """Return the outputs and the loss in evaluation."""
        self.training = False
        try:
            with self.torch.no_grad():
                inputs, targets = self._tensors(x, t)
                return self.forward(inputs)[0].numpy(), self.loss(inputs, targets).item()
        finally:
            self.training = True

    def values(self) -> dict[str, Array]:
        return super().values() | {name: value.numpy().copy() for name, value in self.statistics.items()}

    # ---- Layers ----------------------------------------------------------------------------------

    def _next(self, *names: str) -> list[Any]:
        """Return the parameters of the next layer that has any; None for one that it does without."""
        self.number += 1
        return [self.parameters.get(f"{name}{self.number}") for name in names]

    def dense(self, layer: LayerSpec, x: Any) -> Any:
        return self.torch.nn.functional.linear(x, *self._next("W", "b"))

    def maxout(self, layer: LayerSpec, x: Any) -> Any:
        weight, bias = self._next("W", "b")
        pieces = map(self.torch.nn.functional.linear, [x] * len(weight), weight.unbind(), bias.unbind())
        return self.torch.stack(list(pieces), dim=1).max(dim=1).values

    def conv2d(self, layer: LayerSpec, x: Any) -> Any:
        return self._convolution(layer.options, x, self.torch.nn.functional.conv2d)

    def conv1d(self, layer: LayerSpec, x: Any) -> Any:
        return self._convolution(layer.options, x, self.torch.nn.functional.conv1d)

    def _convolution(self, options: Mapping[str, Any], x: Any, convolve: Any) -> Any:
        weight, bias = self._next("W", "b")
        axes = x.ndim - 2
        kernel, stride, dilation = (_each(options[key], axes) for key in ("kernel", "stride", "dilation"))
        if options["flip"]:
            weight = weight.flip(*range(1, axes + 1))
        x, weight = x.movedim(-1, 1), weight.movedim(-1, 1)
        padding = options["padding"]
        if padding == "full":
            padding = tuple(d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
        if padding == "same" and set(stride) != {1}:  # which PyTorch has without a stride only
            around: list[int] = []
            for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True):
                total = max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
                around = [total // 2, total - total // 2, *around]
            x, padding = self.torch.nn.functional.pad(x, around), 0
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Using padding='same'")  # which may copy the input
            z = convolve(x, weight, bias, stride, padding, dilation, options["groups"])
        return z.movedim(1, -1)

    def max_pool2d(self, layer: LayerSpec, x: Any) -> Any:
        return self._pool(layer.options, x, self.torch.nn.functional.max_pool2d)

    def avg_pool2d(self, layer: LayerSpec, x: Any) -> Any:
        return self._pool(layer.options, x, self.torch.nn.functional.avg_pool2d)

    def _pool(self, options: Mapping[str, Any], x: Any, pool: Any) -> Any:
        return pool(x.movedim(-1, 1), options["size"], options["stride"]).movedim(1, -1)

    def global_avg_pool(self, layer: LayerSpec, x: Any) -> Any:
        return self.torch.nn.functional.adaptive_avg_pool2d(x.movedim(-1, 1), 1).flatten(1)

    def batch_norm(self, layer: LayerSpec, x: Any) -> Any:
        gamma, beta = self._next("gamma", "beta")
        running = [self.statistics[f"{name}{self.number}"] for name in ("mean", "var")]
        if self.training and not self.keeps_statistics:
            running = [value.clone() for value in running]
        share = 1 - layer.options["momentum"]  # PyTorch's momentum is of the new value
        return self.torch.nn.functional.batch_norm(
            x.movedim(-1, 1), *running, gamma, beta, self.training, share, layer.options["epsilon"]
        ).movedim(1, -1)

    def layer_norm(self, layer: LayerSpec, x: Any) -> Any:
        gamma, beta = self._next("gamma", "beta")
        return self.torch.nn.functional.layer_norm(x, x.shape[1:], gamma, beta, layer.options["epsilon"])

    def dropout(self, layer: LayerSpec, x: Any) -> Any:
        return x * self.unused.pop(0) / (1 - layer.options["rate"]) if self.training else x


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,) * axes


def masks(one: Built, size: int, seed: int) -> dict[str, Array]:
    """The masks of dropout that a program draws from a seed."""
    draw = getattr(one.program.module, "masks", None)  # a program without dropout has none
    return draw(size, seed) if draw else {}
