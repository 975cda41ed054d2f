"""The digits that come with the package: 5,000 training and 1,000 test images of MNIST.  See ORIGIN.md."""

from __future__ import annotations

import hashlib
import lzma
from pathlib import Path

import numpy as np

from chainrule.runtime.datasets.dataset import TEST, TRAINING, Part, Raw
from chainrule.runtime.datasets.sources import DIGITS
from chainrule.runtime.errors import DataError

FILE = Path(__file__).with_name("digits.xz")
SHA256 = "dba629d0cbb9d643eec8f583a4f74b0806844fbbf7af986133ad8e2ac92ceaf1"  # of digits.xz
TRAIN, HELD, SIDE = 5_000, 1_000, 28


def load_embedded() -> Raw:
    """5,000 + 1,000 digits (N, 28, 28) uint8, 500 + 100 of each class.  Raises DataError when damaged."""
    total = TRAIN + HELD
    try:
        packed = FILE.read_bytes()
        if hashlib.sha256(packed).hexdigest() != SHA256:
            raise DataError(f"{FILE}: not the file that was shipped; install the package again")
        data = np.frombuffer(lzma.decompress(packed), np.uint8)
    except (OSError, lzma.LZMAError) as error:
        raise DataError(f"{FILE}: cannot be read ({error}); install the package again") from error
    labels, images = data[:total], data[total:].reshape(total, SIDE, SIDE)
    origin = "embedded MNIST digits (5,000 training, 1,000 test)"
    return Raw(
        "mnist_embedded",
        {TRAINING: Part(images[:TRAIN], labels[:TRAIN]), TEST: Part(images[TRAIN:], labels[TRAIN:])},
        origin,
        labels=True,
        class_names=DIGITS,
    )
