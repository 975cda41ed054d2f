"""What tests of topics compute by other means: difference quotients, and functions in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def difference(f: Callable[[Any], float], at: Any, h: float = 1e-6) -> Any:
    """Return ∂f/∂at by central differences, for an array of any shape."""
    at = np.asarray(at, dtype=float)
    slope = np.zeros(at.shape)
    for place in np.ndindex(at.shape):
        step = np.zeros(at.shape)
        step[place] = h
        slope[place] = (f(at + step) - f(at - step)) / (2 * h)
    return slope


def sigma(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def softmax(z: Any) -> Any:
    e = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def convolved(x: Any, w: Any, padding: int, flip: bool) -> Any:
    """Return the convolution (or cross-correlation) of one or two axes, place by place, with zeros around."""
    padded = np.pad(x, padding)
    kernel = np.flip(w) if flip else w
    sizes = [a - b + 1 for a, b in zip(padded.shape, w.shape, strict=True)]
    found = np.zeros(sizes)
    for place in np.ndindex(*sizes):
        window = padded[tuple(slice(a, a + b) for a, b in zip(place, w.shape, strict=True))]
        found[place] = (window * kernel).sum()
    return found
