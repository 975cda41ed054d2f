"""Makes digits.xz from the four MNIST files: `python -m chainrule.runtime.datasets.embedded.make FOLDER`.

Labels first (6,000 bytes: 5,000 training, 1,000 test), then the images, 28 × 28 bytes each.  The choice is
seeded, balanced, and in the order of the original files.
"""

from __future__ import annotations

import hashlib
import lzma
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chainrule.runtime.datasets.embedded import FILE, HELD, TRAIN
from chainrule.runtime.datasets.idx import read_idx_set
from chainrule.runtime.datasets.sources import SOURCES

SEED = 1998
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]


def choice(labels: NDArray[np.uint8], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Sorted indices of `count` samples, equally many of each of the ten classes."""
    per_class = [rng.choice(np.flatnonzero(labels == k), count // 10, replace=False) for k in range(10)]
    return np.sort(np.concatenate(per_class))


def make(folder: Path) -> bytes:
    """The content of digits.xz, from the IDX files in `folder` (gzipped).  Raises DataError."""
    rng = np.random.default_rng(SEED)
    images, labels = [], []
    parts = read_idx_set([folder / f"{file.name}.gz" for file in SOURCES["mnist"].files])
    for x, t, count in ((parts.train_x, parts.train_t, TRAIN), (parts.test_x, parts.test_t, HELD)):
        chosen = choice(t, count, rng)
        images.append(x[chosen].tobytes())
        labels.append(t[chosen].tobytes())
    return lzma.compress(b"".join(labels + images), filters=FILTERS)


if __name__ == "__main__":
    content = make(Path(sys.argv[1]))
    FILE.write_bytes(content)
    print(f"{FILE}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
