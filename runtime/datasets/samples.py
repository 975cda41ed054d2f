"""A few samples of data, to be looked at: which ones, and a sketch of them in letters."""

from __future__ import annotations

import numpy as np

from chainrule.runtime.datasets.dataset import Array, Dataset, as_floats
from chainrule.runtime.errors import DataError
from chainrule.runtime.images import image_shape

SKETCHED = 3  # samples in a sketch, side by side in 80 columns
COLUMNS = 24  # of one of them
NUMBERS = 8  # of a row that is no picture
INK = " .:-=+*#%@"  # from 0 to 1


def chosen(data: Dataset, count: int) -> Array:
    """The indices of `count` training samples, or fewer: of each class in turn, in the order of the data."""
    if not data.classes:
        return np.arange(min(count, len(data.train_x)))
    labels = labels_of(data.train_t)
    turn = np.zeros(len(labels), np.int64)  # the how-manyth of its class each one is
    for label in np.unique(labels):
        where = np.flatnonzero(labels == label)
        turn[where] = np.arange(len(where))
    return np.lexsort((labels, turn))[:count]


def labels_of(t: Array) -> Array:
    """The class of each target: itself, or the likeliest of a row, or 0 and 1 of a single output."""
    rows = t.reshape(len(t), -1)
    return rows[:, 0].astype(np.int64) if rows.shape[1] == 1 else rows.argmax(axis=1)


def titles(data: Dataset, index: Array) -> list[str]:
    """What each sample is: the name of its class, or its target."""
    t = data.train_t[index]
    if data.classes:
        names = data.class_names
        return [names[k] if k < len(names) else str(k) for k in labels_of(t).tolist()]
    return [
        ", ".join(f"{value:.4g}" for value in row[:3]) + ", …" * (len(row) > 3)
        for row in t.reshape(len(t), -1)
    ]


def pictures(data: Dataset, index: Array) -> Array | None:
    """Samples as pictures (n, H, W, C) of 0 … 1; None where they are none.

    Inputs on another scale are stretched to what can be seen.
    """
    shape = data.train_x.shape[1:]
    try:
        shape = image_shape(shape, "")
    except DataError:
        return None
    values = as_floats(data.train_x[index]).reshape(len(index), *shape)
    low, high = float(values.min()), float(values.max())
    return values if low >= 0 and high <= 1 else (values - low) / ((high - low) or 1)


def sketch(data: Dataset) -> str:
    """Some samples in letters, denser where they are brighter; rows of numbers where they are no pictures."""
    index = chosen(data, SKETCHED)
    shown = pictures(data, index)
    if shown is None or min(shown.shape[1:3]) < 4:
        return _table(data, index)
    wide = min(COLUMNS, shown.shape[2])
    high = max(1, round(shown.shape[1] * wide / shown.shape[2] / 2))  # a letter is twice as high as wide
    blocks = []
    for picture, title in zip(shown, titles(data, index), strict=True):
        grey = _reduced(picture.mean(axis=2), high, wide)
        ink = np.clip(grey * len(INK), 0, len(INK) - 1).astype(int)
        blocks.append([title[:wide].ljust(wide), *("".join(INK[k] for k in row) for row in ink)])
    return "\n".join("  ".join(lines).rstrip() for lines in zip(*blocks, strict=True))


def _reduced(grey: Array, high: int, wide: int) -> Array:
    """Means over the cells of a grid."""
    rows, columns = (
        np.linspace(0, n, parts + 1).round().astype(int)
        for n, parts in zip(grey.shape, (high, wide), strict=True)
    )
    sums = np.pad(grey.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inner = sums[rows][:, columns]
    areas = np.diff(rows)[:, None] * np.diff(columns)[None, :]
    return np.diff(np.diff(inner, axis=0), axis=1) / np.maximum(areas, 1)


def _table(data: Dataset, index: Array) -> str:
    rows = as_floats(data.train_x[index]).reshape(len(index), -1)
    lines = []
    for row, title in zip(rows, titles(data, index), strict=True):
        numbers = ", ".join(f"{value:.4g}" for value in row[:NUMBERS]) + ", …" * (len(row) > NUMBERS)
        lines.append(f"({numbers}) → {title}")
    return "\n".join(lines)
