"""Class folders of drawn pictures, and a spec that learns them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SPEC = """
spec_version = 1
name = "sides"
[input]
shape = [8, 8, 1]
[[layers]]
type = "dense"
units = 3
activation = "softmax"
[loss]
type = "cross_entropy"
[optimizer]
type = "adam"
learning_rate = 0.05
[training]
data = "folder:pictures"
batch_size = 8
epochs = 30
validation_split = 0.1
standardize = "zscore"
[augmentation]
shift = 1
cutout = 2
"""
NAMES = ("full", "left", "top")


def drawing(name: str, seed: int) -> np.ndarray:
    """An 8 × 8 image, bright on black: a square, a bar at the left or at the top."""
    image = np.zeros((8, 8))
    image[{"full": np.s_[2:6, 2:6], "left": np.s_[2:6, 1:3], "top": np.s_[1:3, 2:6]}[name]] = 200
    noise = np.random.default_rng(seed).integers(0, 30, (8, 8))
    return (image + noise).astype(np.uint8)


def draw_pictures(folder: Path) -> None:
    for k, name in enumerate(NAMES):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            Image.fromarray(drawing(name, 100 * k + number)).save(folder / name / f"{number:02}.png")
