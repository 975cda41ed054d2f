"""Data in another layout, type or range than meant are read rightly or refused; nothing is silent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runtime.datasets import fingerprint
from runtime.datasets.dataset import Dataset

# ---- The fingerprint (R1) -----------------------------------------------------------------------------


def large(rows: int = 5000) -> Dataset:
    rng = np.random.default_rng(0)
    x, t = rng.random((rows, 3), np.float32), rng.integers(0, 2, rows)
    held = (x[:7].copy(), t[:7].copy())
    return Dataset("d", x, t, x[: rows // 2].copy(), t[: rows // 2].copy(), "here", validation=held)


@pytest.mark.parametrize("part", ["training", "validation", "test"])
@pytest.mark.parametrize("place", [0, 1])
def test_r1_one_value_anywhere_is_another_fingerprint(part: str, place: int) -> None:
    data, other = large(), large()
    assert fingerprint(data) == fingerprint(other)
    array = other.parts()[part][place]
    array.reshape(-1)[array.size * 2 // 3] += 1  # beyond row 1,000, and between any evenly spaced rows
    assert fingerprint(data) != fingerprint(other)


def test_r1_shape_type_and_part_are_in_the_fingerprint() -> None:
    data = large()
    assert data.validation is not None
    others = [
        replace(data, train_x=data.train_x.reshape(-1, 3, 1)),
        replace(data, train_t=data.train_t.view(np.uint64)),
        replace(data, validation=None),
        replace(
            data, validation=(data.test_x, data.test_t), test_x=data.validation[0], test_t=data.validation[1]
        ),
    ]
    assert len({fingerprint(each) for each in (data, *others)}) == 5
