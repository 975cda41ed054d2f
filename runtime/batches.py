"""Mini-batches: the validation split and the shuffled order, both functions of the seed alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from runtime.program import Array

SPLIT, SHUFFLE = 1, 2  # separate streams of random numbers


def split(x: Array, t: Array, fraction: float, seed: int) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """(training, validation): ⌊fraction·N⌋ samples, drawn by seed, are held out; order is kept."""
    count = int(len(x) * fraction)
    if count == 0:
        return (x, t), (x[:0], t[:0])
    held = np.zeros(len(x), bool)
    held[np.random.default_rng([seed, SPLIT]).permutation(len(x))[:count]] = True
    return (x[~held], t[~held]), (x[held], t[held])


class Batches:
    """The mini-batches of an epoch: contiguous arrays of `size` samples, the last one what is left over.

    Every sample is seen once an epoch.  A batch that holds all of the samples is not shuffled.  The
    arrays handed out are reused by the next batch.
    """

    def __init__(self, x: Array, t: Array, size: int, seed: int) -> None:
        self.x, self.t, self.seed = np.ascontiguousarray(x), np.ascontiguousarray(t), seed
        self.size = min(size, len(x))
        self.steps = -(-len(x) // self.size)
        self._buffer = np.empty((self.size, *x.shape[1:]), x.dtype)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The order of the samples in an epoch."""
        return np.random.default_rng([self.seed, SHUFFLE, epoch]).permutation(len(self.x))

    def epoch(self, epoch: int, first: int = 0) -> Iterator[tuple[Array, Array]]:
        """(inputs, targets) of every step of an epoch, from its step `first` on (from 0)."""
        x, t, size, buffer = self.x, self.t, self.size, self._buffer
        if self.steps == 1:
            if first == 0:
                yield x, t
            return
        order = self.order(epoch)
        whole = len(order) - len(order) % size
        for start in range(first * size, whole, size):
            index = order[start : start + size]
            yield x.take(index, 0, buffer, "clip"), t[index]
        if whole < len(order) and first < self.steps:
            index = order[whole:]
            yield x.take(index, 0, buffer[: len(index)], "clip"), t[index]
