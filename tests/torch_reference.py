"""A spec as a PyTorch network in float64, written with PyTorch's own layers, losses and optimizers.

It reads the spec and nothing else of the project: not its formulas, not its derivatives, not its programs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.derive.model import Spec

Array = NDArray[Any]


def relative_error(found: Any, wanted: Any) -> float:
    """Return the greatest difference between two tensors, over the greatest entry of the wanted one.

    Where all that is wanted is zero, 0 if the found is zero too, else infinity.
    """
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape, f"shape {found.shape}, expected {wanted.shape}"
    difference = float(np.abs(found - wanted).max(initial=0.0))
    if not math.isfinite(difference):
        return math.inf
    size = float(np.abs(wanted).max(initial=0.0))
    return difference / size if size else (0.0 if difference == 0 else math.inf)


class Reference:
    """The network of a spec.  ``own`` holds the user's own formulas by name, as functions of tensors."""

    def __init__(
        self,
        torch: ModuleType,
        spec: Spec,
        parameters: Mapping[str, Array],
        own: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.torch = torch
        self.spec = spec
        self.own = own or {}
        self.parameters = {
            name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
            for name, value in parameters.items()
        }
        self.optimizer = self._optimizer(list(self.parameters.values()))

    def activation(self, name: str, options: Mapping[str, Any], x: Any) -> Any:
        if name in self.own:
            return self.own[name](x)
        functional = self.torch.nn.functional
        match name:
            case "identity" | "flatten":
                return x
            case "relu" | "tanh" | "sigmoid" | "softplus":
                return {
                    "relu": functional.relu,
                    "tanh": self.torch.tanh,
                    "sigmoid": self.torch.sigmoid,
                    # PyTorch's own threshold (20) drops e^-20; a higher one drops nothing in float64
                    "softplus": lambda u: functional.softplus(u, threshold=50),
                }[name](x)
            case "leaky_relu":
                return functional.leaky_relu(x, options.get("slope", 0.1))
            case "elu":
                return functional.elu(x, options.get("alpha", 1.0))
            case "gelu":
                return functional.gelu(x)
            case "swish":
                return functional.silu(x)
            case "softmax":
                return functional.softmax(x, dim=1)
        raise ValueError(f"no PyTorch form of {name}")

    def forward(self, x: Any) -> tuple[Any, Any]:
        """Return the outputs, and what the last layer of the network was given."""
        number, before = 0, x
        for layer in self.spec.layers:
            if layer.type in ("dense", "softmax", "flatten") and x.ndim > 2:
                x = x.flatten(1)
            before = x
            if layer.type == "dense":
                number += 1
                x = self.torch.nn.functional.linear(
                    x, self.parameters[f"W{number}"], self.parameters.get(f"b{number}")
                )
            else:
                x = self.activation(layer.type, layer.options, x)
        return x, before

    def loss(self, x: Any, t: Any) -> Any:
        y, logits = self.forward(x)
        functional = self.torch.nn.functional
        kind = self.spec.loss.type
        if kind in self.own:
            total = self.own[kind](y, t).sum()
        elif kind == "mse":
            total = functional.mse_loss(y, t, reduction="sum") / 2
        elif kind == "mae":
            total = functional.l1_loss(y, t, reduction="sum")
        elif kind == "binary_cross_entropy":
            total = functional.binary_cross_entropy_with_logits(logits, t, reduction="sum")
        elif kind == "cross_entropy":
            total = functional.cross_entropy(logits, t, reduction="sum")
        else:
            raise ValueError(f"no PyTorch form of {kind}")
        if self.spec.loss.reduction == "mean":
            total = total / len(x)
        weights = [p for name, p in self.parameters.items() if name.startswith("W")]
        return total + self.spec.loss.l2 * sum((w**2).sum() for w in weights)

    def _tensors(self, x: Array, t: Array) -> tuple[Any, Any]:
        inputs = self.torch.tensor(x, dtype=self.torch.float64)
        targets = self.torch.tensor(t)
        return inputs, targets if targets.dtype == self.torch.int64 else targets.double()

    def gradients(self, x: Array, t: Array) -> tuple[float, dict[str, Array]]:
        """Return the loss and its gradients by parameter, and "x" for that of the inputs."""
        inputs, targets = self._tensors(x, t)
        inputs.requires_grad_(True)
        leaves = {**self.parameters, "x": inputs}
        loss = self.loss(inputs, targets)
        found = self.torch.autograd.grad(loss, list(leaves.values()))
        return loss.item(), {name: g.numpy() for name, g in zip(leaves, found, strict=True)}

    def step(self, x: Array, t: Array) -> float:
        """Take one step of the spec's optimizer; return the loss before it."""
        self.optimizer.zero_grad()
        loss = self.loss(*self._tensors(x, t))
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def values(self) -> dict[str, Array]:
        return {name: value.detach().numpy().copy() for name, value in self.parameters.items()}

    def _optimizer(self, parameters: list[Any]) -> Any:
        known = self.torch.optim
        o = self.spec.optimizer.options
        rate = o["learning_rate"]
        match self.spec.optimizer.type:
            case "sgd":
                return known.SGD(parameters, lr=rate)
            case "momentum":
                return known.SGD(parameters, lr=rate, momentum=o["momentum"])
            case "adagrad":
                return known.Adagrad(parameters, lr=rate, eps=o["epsilon"])
            case "rmsprop":
                return known.RMSprop(parameters, lr=rate, alpha=o["rho"], eps=o["epsilon"])
            case "adam":
                return known.Adam(parameters, lr=rate, betas=(o["beta1"], o["beta2"]), eps=o["epsilon"])
        raise ValueError(f"no PyTorch form of {self.spec.optimizer.type}")
