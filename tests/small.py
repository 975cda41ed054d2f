"""Small networks for tests of runs: one of pictures, with its data, and one of dense layers."""

from __future__ import annotations

import numpy as np

from chainrule.runtime.datasets.dataset import Dataset

SMALL = """
spec_version = 1
name = "small"
[input]
shape = [4, 4, 1]
[[layers]]
type = "dense"
units = 3
activation = "softmax"
[loss]
type = "cross_entropy"
[optimizer]
type = "adam"
[training]
data = "npz:data.npz"
batch_size = 8
epochs = 3
"""
DENSE = """
spec_version = 1
name = "small"
[input]
shape = [6]
[[layers]]
type = "dense"
units = 5
activation = "tanh"
[[layers]]
type = "dense"
units = 3
activation = "softmax"
[loss]
type = "cross_entropy"
"""  # what follows is its optimizer


def small_data(samples: int = 40) -> Dataset:
    """Pictures of 4 × 4 in three classes, with a validation set of their own."""
    rng = np.random.default_rng(5)
    x = rng.integers(0, 256, (samples, 4, 4, 1), np.uint8)
    t = rng.integers(0, 3, samples)
    return Dataset("d", x, t, x[:20].copy(), t[:20].copy(), "here", validation=(x[:6].copy(), t[:6].copy()))
