"""Mini-batches: the validation split, the shuffled order and the augmentation, all functions of the seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from chainrule.runtime.augmentation import Augmentation
from chainrule.runtime.datasets.dataset import Dataset, as_floats
from chainrule.runtime.preprocessing import Preprocessing
from chainrule.runtime.trainer import Array

SPLIT, SHUFFLE, AUGMENT = 1, 2, 3  # separate streams of random numbers
AHEAD = 2  # augmented batches that are made while another one is in use


def split(x: Array, t: Array, fraction: float, seed: int) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """(training, validation): ⌊fraction·N⌋ samples, drawn by seed, are held out; order is kept."""
    count = int(len(x) * fraction)
    if count == 0:
        return (x, t), (x[:0], t[:0])
    held = np.zeros(len(x), bool)
    held[np.random.default_rng([seed, SPLIT]).permutation(len(x))[:count]] = True
    return (x[~held], t[~held]), (x[held], t[held])


def held_out(data: Dataset, fraction: float, seed: int) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """(training, validation): a set of the data's own for validation, or a part of the training samples."""
    if data.validation is not None:
        return (data.train_x, data.train_t), data.validation
    return split(data.train_x, data.train_t, fraction, seed)


class _Buffers:
    """Memory for batches of `size`: as they are stored, as floats, and `count` of them ready to be used."""

    def __init__(self, x: Array, size: int, count: int) -> None:
        shape, floats = (size, *x.shape[1:]), np.float32 if x.dtype == np.uint8 else x.dtype
        self.stored = np.empty(shape, x.dtype)
        self.scratch = np.empty(shape, floats)
        self.ready = [np.empty(shape, floats) for _ in range(count)]


class Batches:
    """The mini-batches of an epoch: contiguous arrays of `size` samples, the last one what is left over.

    Every sample is seen once an epoch.  A batch that holds all of the samples is not shuffled.  Stored uint8
    inputs become floats here, are augmented and then preprocessed.  The arrays handed out are reused by the
    next batch.  What a batch holds depends on the seed, the epoch and the step, and on nothing else.
    """

    def __init__(
        self,
        x: Array,
        t: Array,
        size: int,
        seed: int,
        preprocessing: Preprocessing | None = None,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.x, self.t, self.seed = np.ascontiguousarray(x), np.ascontiguousarray(t), seed
        self.size = min(size, len(x))
        self.steps = -(-len(x) // self.size)
        self.preprocessing = preprocessing or Preprocessing()
        self.augmentation = augmentation or Augmentation()
        self._plain = x.dtype != np.uint8 and not self.preprocessing and not self.augmentation

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The order of the samples in an epoch."""
        return np.random.default_rng([self.seed, SHUFFLE, epoch]).permutation(len(self.x))

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Array, Array]]:
        """(inputs, targets) of the steps of an epoch, from `first_step` (from 0) on."""
        order = self.order(epoch) if self.steps > 1 else None
        steps = range(first_step, self.steps)
        # Of this epoch alone: another one may be begun before this one's thread has ended.
        buffers = _Buffers(self.x, self.size, AHEAD + 1 if self.augmentation else 1)

        def make(step: int) -> tuple[Array, Array]:
            return self._batch(epoch, step, order, buffers)

        yield from _ahead(make, steps) if self.augmentation else map(make, steps)

    def _batch(
        self, epoch: int, step: int, order: NDArray[np.int64] | None, buffers: _Buffers
    ) -> tuple[Array, Array]:
        """The batch of a step; its inputs lie in the buffer whose turn it is."""
        x, t = self.x, self.t
        if order is not None:
            index = order[step * self.size : (step + 1) * self.size]
            x, t = x.take(index, 0, buffers.stored[: len(index)], "clip"), t[index]
        if self._plain:
            return x, t
        ready = buffers.ready[step % len(buffers.ready)][: len(t)]
        if self.augmentation:
            floats = as_floats(x, buffers.scratch[: len(t)])
            self.augmentation.apply(floats, ready, np.random.default_rng([self.seed, AUGMENT, epoch, step]))
        elif x.dtype == np.uint8:
            as_floats(x, ready)
        else:
            np.copyto(ready, x)
        return self.preprocessing.apply(ready), t


def _ahead(make: Callable[[int], tuple[Array, Array]], steps: range) -> Iterator[tuple[Array, Array]]:
    """What `make` gives for each step, made on another thread while the steps before are under way."""
    with ThreadPoolExecutor(1, "batches") as pool:
        pending: deque[Future[tuple[Array, Array]]] = deque()
        try:
            for step in steps[: AHEAD + 1]:
                pending.append(pool.submit(make, step))
            for step in steps:
                yield pending.popleft().result()
                if step + AHEAD + 1 in steps:
                    pending.append(pool.submit(make, step + AHEAD + 1))
        finally:
            for waiting in pending:
                waiting.cancel()
