"""Data that stand in the spec itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.runtime.datasets.dataset import TRAINING, Part, Raw
from chainrule.runtime.errors import DataError


def load_inline(data: Mapping[str, Any], *, name: str = "inline") -> Raw:
    """The table of a spec, {"inputs": rows, "targets": rows}; all of it trains.  Raises DataError."""
    arrays = []
    for key in ("inputs", "targets"):
        try:
            array = np.array(data[key], dtype=np.float64)
        except KeyError as error:
            raise DataError(f"[training] data: {key} missing; a table needs inputs and targets") from error
        except (TypeError, ValueError) as error:
            raise DataError(
                f"[training] data.{key}: needs rows of equal length, of numbers ({error})"
            ) from error
        if array.ndim == 0:
            raise DataError(f"[training] data.{key}: a list of rows is needed, one a sample")
        arrays.append(array)
    x, t = arrays
    if t.ndim == 1 and np.all(t == np.rint(t)):
        t = t.astype(np.int64)  # labels, where the network takes some
    return Raw(name, {TRAINING: Part(x, t)}, "the spec's own table", pixels=False)
