"""What is said of data: their parts, classes, inputs and targets, line by line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chainrule.runtime.datasets import folder
from chainrule.runtime.datasets.dataset import Dataset, Stored
from chainrule.runtime.datasets.description import _number, describe
from chainrule.runtime.datasets.sources import SOURCES


def data(t: Any, test: Any = (), validation: Any = None, origin: str = "here", **said: Any) -> Dataset:
    t = np.asarray(t)
    test = np.asarray(test, t.dtype).reshape(-1, *t.shape[1:])
    held = None if validation is None else (np.zeros((len(validation), 2)), np.asarray(validation))
    x = np.zeros((len(t), 2))
    return Dataset("some", x, t, np.zeros((len(test), 2)), test, origin, validation=held, **said)


@pytest.mark.parametrize(
    ("found", "split", "rows"),
    [
        (
            data([0, 1, 1], [2], class_names=("a", "b")),
            0.0,
            {
                "training": "3 samples: a 1, b 2, 2 0",
                "test": "1 sample: a 0, b 0, 2 1",
                "targets": "labels of 3 classes",
            },
        ),
        (
            data([0, 1, 1]),
            0.0,
            {"training": "3 samples: 0 1, 1 2", "test": "none: the last scores are of the training samples"},
        ),
        (data([0, 1, 1]), 0.4, {"test": "none: the last scores are of the validation samples"}),
        (
            data([0, 1, 1], validation=[1]),
            0.0,
            {"test": "none: the last scores are of the validation samples"},
        ),
        (data([0, 1], validation=[1]), 0.0, {"validation": "1 sample: 0 0, 1 1"}),
        (data(range(12)), 0.0, {"training": f"12 samples: {', '.join(f'{k} 1' for k in range(12))}"}),
        (data(range(13)), 0.0, {"training": "13 samples: 13 classes of 1"}),
        (data([*range(13), 3, 3]), 0.0, {"training": "15 samples: 13 classes of 1 to 3"}),
        (data([[0.5], [2.0]]), 0.0, {"training": "2 samples", "targets": "1 value, 0.5 … 2"}),
        (data([[0.5, 2.0]]), 0.0, {"training": "1 sample", "targets": "2 values, 0.5 … 2"}),
        (
            data([[0.0], [1.0]]),
            0.0,
            {"training": "2 samples: 0 1, 1 1", "targets": "0 and 1, of two classes"},
        ),
        (
            data([[0.0, 1.0]]),
            0.0,
            {"training": "1 sample: 0 0, 1 1", "targets": "rows of one 1 for 2 classes"},
        ),
        (
            data([[0.6, 0.4]]),
            0.0,
            {"training": "1 sample: 0 1, 1 0", "targets": "rows of probabilities for 2 classes"},
        ),
        (data([0, 1]), 0.0, {"data": "some (here)", "inputs": "2"}),
        (data([0, 1], origin="some"), 0.0, {"data": "some"}),
        (data([0, 1], origin=""), 0.0, {"data": "some"}),
    ],
)
def test_what_is_found_in_data(found: Dataset, split: float, rows: dict[str, str]) -> None:
    said = dict(describe(found, split).rows())
    assert {what: said[what] for what in rows} == rows


@pytest.mark.parametrize(
    ("found", "split", "notes"),
    [
        (data([0, 1, 1]), 0.4, ("1 of the training samples are held out for validation",)),
        (data([0, 1, 1]), 0.3, ()),
        (data([0, 1], validation=[1]), 0.0, ()),
        (
            data([0, 1], validation=[1]),
            0.5,
            ("validation_split = 0.5 is not used: there is a validation set",),
        ),
        (
            data([0, 5], notes=("said before",)),
            0.0,
            ("said before", "no training samples of class 1, 2, 3, 4"),
        ),
        (data([0, 6]), 0.0, ("no training samples of class 1, 2, 3, 4, 5",)),
        (data([0, 7]), 0.0, ("no training samples of class 1, 2, 3, 4, 5, …",)),
    ],
)
def test_what_is_noted_of_data(found: Dataset, split: float, notes: tuple[str, ...]) -> None:
    assert describe(found, split).notes == notes


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (Stored((2,), "uint8", 0, 255, 255), "2, uint8 of 0 … 255, divided by 255"),
        (Stored((1, 2), "float64", -0.5, 1234, 1), "1 × 2 → 2, float64 of -0.5 … 1,234, taken as they are"),
        (Stored((), "int8", 0, 1, 1), "1 → 2, int8 of 0 … 1, taken as they are"),
    ],
)
def test_what_inputs_were_and_became(stored: Stored, said: str) -> None:
    found = describe(data([0, 1], stored=stored))
    assert found.inputs == said
    assert found.as_json()["inputs"] == {
        "stored": list(stored.shape),
        "shape": [2],
        "dtype": stored.dtype,
        "low": stored.low,
        "high": stored.high,
        "divided_by": stored.divisor,
    }


def test_a_description_as_json() -> None:
    found = describe(data([0, 1, 1], notes=("said",))).as_json()
    assert found["splits"] == {"training": {"samples": 3, "classes": [1, 2]}, "test": {"samples": 0}}
    assert found["notes"] == ["said"] and found["inputs"] == {"shape": [2]}
    assert found["text"][0] == "data        some (here)" and found["text"][-1] == "note        said"


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.0, "1,234"), (-0.5, "-0.5"), (0.123456, "0.1235"), (1e9, "1e+09"), (-999999999, "-999,999,999")],
)
def test_numbers_of_data(value: float, text: str) -> None:
    assert _number(value) == text


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("mnist", (28, 28, 1), 10),
        ("fashion_mnist", (28, 28, 1), 10),
        ("cifar10", (32, 32, 3), 10),
        ("cifar100", (32, 32, 3), 100),
    ],
)
def test_images_and_classes_of_known_sets(name: str, shape: tuple[int, ...], classes: int) -> None:
    known = SOURCES[name]
    assert (known.shape, known.classes) == (shape, classes)
    assert len(known.class_names) in (0, classes) and all(len(file.sha256) == 64 for file in known.files)


@pytest.mark.parametrize(
    ("sizes", "shape", "notes"),
    [
        ([(10, 20, 1), (10, 20, 3)], (10, 20, 3), []),
        ([(10, 20, 1)], (10, 20, 1), []),
        (
            [(10, 20, 1), (30, 2, 1), (30, 2, 1), (5, 5, 1)],
            (64, 64, 1),
            ["3 sizes from 5×5 to 20×10 pixels, most often 2×30: shown as 64×64"],
        ),
    ],
)
def test_images_of_several_sizes(
    sizes: list[tuple[int, int, int]],
    shape: tuple[int, int, int],
    notes: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, said = iter(sizes), list[str]()
    monkeypatch.setattr(folder, "image_size", lambda _: next(given))
    files: Any = SimpleNamespace(paths=range(len(sizes)))
    assert folder._common_shape(files, said) == shape
    assert [note.split(";")[0] for note in said] == notes
