"""From a source's arrays to the Dataset that a network takes, or a refusal that says what does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from chainrule.runtime.datasets.dataset import (
    TEST,
    TRAINING,
    VALIDATION,
    Array,
    Dataset,
    Part,
    Raw,
    Wanted,
    shape_text,
)
from chainrule.runtime.datasets.layout import COLOURS, arranged
from chainrule.runtime.datasets.scaling import scaled
from chainrule.runtime.datasets.targets import targets
from chainrule.runtime.errors import DataError

MOST_CLASSES = 1000  # beyond, whole numbers are values until a network says otherwise


def fitted(raw: Raw, wanted: Wanted) -> Dataset:
    """The Dataset a network takes, from a source's arrays.  Raises DataError where they do not fit."""
    notes = list(raw.notes)
    _check_counts(raw)
    raw = _from_zero(raw, wanted, notes)
    shape = wanted.input_shape
    for part, (x, _) in raw.parts.items():  # before any value is looked at
        notes.append(arranged(x, shape, f"{raw.origin}: {part} inputs", "takes")[1])
    values, stored, note = scaled(
        {part: x for part, (x, _) in raw.parts.items()}, shape, raw.origin, raw.pixels
    )
    notes.append(note)
    fitting: dict[str, tuple[Array, Array]] = {}
    for part, (_, t) in raw.parts.items():
        found, note = targets(t, raw.labels, wanted, f"{raw.origin}: {part}")
        notes.append(note)
        fitting[part] = np.ascontiguousarray(values[part].reshape(len(found), *shape)), found
    train_x, train_t = fitting[TRAINING]
    _check_kinds(fitting, raw.origin)
    test_x, test_t = fitting.get(TEST, (train_x[:0], train_t[:0]))
    data = Dataset(
        raw.name,
        train_x,
        train_t,
        test_x,
        test_t,
        raw.origin,
        raw.class_names,
        validation=fitting.get(VALIDATION),
        stored=replace(stored, full_scale=raw.full_scale),
        notes=tuple(dict.fromkeys(note for note in notes if note)),
    )
    if not wanted.names:
        _check_classes(data, raw)
    return data


def natural(raw: Raw) -> Wanted:
    """What a network for these data would take: samples as they are stored, labels where there are.

    Whole numbers, one a sample, are labels where at least every second one up to the largest is there.
    """
    _check_counts(raw)
    x, t = raw.parts[TRAINING]
    shape = x.shape[1:] or (1,)
    if raw.labels or _numbered(t):
        top = max((int(part.t.max()) for part in raw.parts.values() if part.t.size), default=0)
        counted = raw.from_one and t.size and t.min() == 1
        return Wanted(shape, "labels", (len(raw.class_names) or top + 1) - bool(counted))
    size = t.size // max(1, len(t))
    return Wanted(shape, "values", max(2, size), t.shape[1:] or (1,))


def channels_first(raw: Raw) -> str:
    """A note where samples look like pictures of another order; "" elsewhere."""
    sample = raw.parts[TRAINING].x.shape[1:]
    if len(sample) != 3 or sample[0] not in COLOURS[1:] or sample[2] in COLOURS:
        return ""
    return "channels come first? Networks take height, width, channels: store x.transpose(0, 2, 3, 1)"


def _numbered(t: Array) -> bool:
    """Whether targets look like labels: whole numbers, most of which from 0 on occur."""
    if t.dtype.kind not in "biu" or t.size != len(t) or not t.size or t.min() < 0:
        return False
    most = int(t.max()) + 1
    return most <= MOST_CLASSES and most <= 2 * len(np.unique(t))


def check_shapes(name: str, image: tuple[int, ...], classes: int, wanted: Wanted) -> None:
    """Raises DataError where a set that is known by name does not fit, before it is looked for."""
    if prod(image) != prod(wanted.input_shape):
        raise DataError(
            f"{name}: one sample has shape {shape_text(image)} = {prod(image):,} values, the network takes "
            f"{shape_text(wanted.input_shape)} = {prod(wanted.input_shape):,}; change [input] shape, or use "
            "other data"
        )
    if wanted.output_shape is not None and wanted.classes != classes:
        raise DataError(
            f"{name}: {classes} classes, the network has {wanted.classes}; end it with {classes} units, or "
            "use other data"
        )


def _check_counts(raw: Raw) -> None:
    for part, (x, t) in raw.parts.items():
        where = f"{raw.origin}: {part}"
        for what, array in (("inputs", x), ("targets", t)):
            if array.ndim == 0:
                raise DataError(f"{where} {what}: a single number; one row a sample is needed")
        if len(x) != len(t):
            last = x.ndim > 1 and x.shape[-1] == len(t)
            remedy = "; samples come last: store np.moveaxis(x, -1, 0)" if last else ""
            raise DataError(
                f"{where}: {len(x)} inputs but {len(t)} targets; one target an input is needed{remedy}"
            )
        if len(x) == 0:
            raise DataError(f"{where}: no samples; fill it, or leave it out")


def _from_zero(raw: Raw, wanted: Wanted, notes: list[str]) -> Raw:
    """Labels from 1, where a source may have them and none is 0, as labels from 0."""
    t = raw.parts[TRAINING].t
    classes = wanted.classes
    if not raw.from_one:
        return raw
    smallest = min((part.t.min() for part in raw.parts.values() if len(part.t)), default=0)
    if not (smallest == 1 and len(t) and t.max() == classes):
        return raw
    notes.append(f"labels count from 1: 1 … {classes} are the classes 0 … {classes - 1}")
    parts = {part: Part(x, t.astype(np.int64) - 1) for part, (x, t) in raw.parts.items()}
    return replace(raw, parts=parts, class_names=raw.class_names[1:])


def _check_kinds(parts: Mapping[str, tuple[Array, Array]], where: str) -> None:
    kinds = {part: t.shape[1:] for part, (_, t) in parts.items()}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{part} {'labels' if not shape else 'rows'}" for part, shape in kinds.items())
        raise DataError(f"{where}: targets of different kinds ({told}); store all parts alike")


def _check_classes(data: Dataset, raw: Raw) -> None:
    """Raises DataError where all samples are of one class: there is nothing to tell apart."""
    t = data.train_t
    if not (raw.labels or t.dtype.kind in "iu") or len(t) < 2:
        return
    rows = t.reshape(len(t), -1)
    if (rows == rows[0]).all():
        label = int(rows[0].argmax()) if rows.shape[1] > 1 else int(rows[0, 0])
        names = data.class_names
        name = names[label] if label < len(names) else str(label)
        raise DataError(f"{data.origin}: all {len(t)} training samples are of class {name}; add others")
