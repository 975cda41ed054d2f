"""PyTorch's training step of an image network: a spec's layers as PyTorch has them, in either memory layout.

The network comes as data, so that a process holds PyTorch and nothing of ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from bench.programs import THREADS

Arrays = dict[str, np.ndarray]
Convert = Callable[[np.ndarray], Any]


def torch_images(
    case: Arrays, channels_last: bool, compiled: bool = False, **form: bool
) -> tuple[Callable[[Any, Any], float], Convert]:
    """Return a training step and what makes a batch of it; ``form`` chooses Adam's implementation."""
    import torch

    torch.set_num_threads(THREADS)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model: Any = torch.nn.Sequential(*torch_modules(torch, case)).to(memory_format=layout)
    model = torch.compile(model) if compiled else model
    decayed = {
        "params": [p for p in model.parameters() if p.ndim > 1],
        "weight_decay": float(case["weight_decay"]),
    }
    others = {"params": [p for p in model.parameters() if p.ndim == 1]}
    optimizer = torch.optim.Adam([decayed, others], lr=float(case["learning_rate"]), **form)
    cross_entropy = torch.nn.functional.cross_entropy

    def step(x: Any, t: Any) -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        return loss.item()

    def convert(a: np.ndarray) -> Any:
        whole = torch.from_numpy(a)
        return whole.permute(0, 3, 1, 2).contiguous(memory_format=layout) if whole.ndim == 4 else whole

    return step, convert


def torch_modules(torch: Any, case: Arrays) -> list[Any]:
    """Return the modules of a network that ends with softmax, which PyTorch's loss holds."""
    shape = case["x"].shape[2:]
    modules: list[Any] = []
    numbers = count(1)
    with torch.no_grad():
        for layer in json.loads(str(case["layers"])):
            if layer["type"] == "softmax":
                break
            if layer["type"] == "flatten":
                continue  # PyTorch flattens channels first; the dense layer sees to it
            if layer["type"] == "dense" and len(shape) > 1:
                modules.append(torch.nn.Flatten())
            module, shape = _module(torch, layer, shape, case, numbers)
            modules.append(module)
    return modules


def _module(
    torch: Any, layer: Mapping[str, Any], shape: tuple[int, ...], case: Arrays, numbers: Any
) -> tuple[Any, tuple[int, ...]]:
    """Return a layer with the weights of the case, and the (height, width, channels) that it gives."""
    match layer["type"]:
        case "relu":
            return torch.nn.ReLU(), shape
        case "dropout":
            return torch.nn.Dropout(layer["rate"]), shape
        case "batch_norm":
            number = next(numbers)
            norm = torch.nn.BatchNorm2d(shape[-1], eps=layer["epsilon"], momentum=1 - layer["momentum"])
            norm.weight.copy_(torch.from_numpy(case[f"p_gamma{number}"]))
            norm.bias.copy_(torch.from_numpy(case[f"p_beta{number}"]))
            return norm, shape
        case "max_pool2d":
            size, stride = layer["size"], layer["stride"] or layer["size"]
            places = [(n - k) // s + 1 for n, k, s in zip(shape[:2], size, stride, strict=True)]
            return torch.nn.MaxPool2d(size, stride), (*places, shape[2])
        case "conv2d":
            number = next(numbers)
            filters, kernel, stride, padding = (layer[k] for k in ("filters", "kernel", "stride", "padding"))
            conv = torch.nn.Conv2d(shape[-1], filters, kernel, stride, padding, bias=layer["bias"])
            conv.weight.copy_(torch.from_numpy(case[f"p_W{number}"]).movedim(-1, 1))
            if layer["bias"]:
                conv.bias.copy_(torch.from_numpy(case[f"p_b{number}"]))
            places = conv(torch.zeros(1, shape[2], *shape[:2])).shape[2:]
            return conv, (*places, filters)
        case "dense":
            number = next(numbers)
            weight = torch.from_numpy(case[f"p_W{number}"].copy())
            if len(shape) > 1:  # PyTorch flattens channels first
                weight = weight.reshape(-1, *shape).movedim(-1, 1).flatten(1)
            dense = torch.nn.Linear(weight.shape[1], weight.shape[0])
            dense.weight.copy_(weight)
            dense.bias.copy_(torch.from_numpy(case[f"p_b{number}"]))
            return dense, (weight.shape[0],)
    raise ValueError(f"no PyTorch form of {layer['type']}")


IMAGE_CONTENDERS: dict[str, Callable[[Arrays], Any]] = {
    f"torch {layout} {name}": partial(torch_images, channels_last=layout == "NHWC", **form)
    for layout in ("NCHW", "NHWC")
    for name, form in (
        ("default", {}),
        ("fused", {"fused": True}),
        ("compiled", {"fused": True, "compiled": True}),
    )
}
