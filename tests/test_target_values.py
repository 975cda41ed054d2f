"""From targets as they are stored to what a loss takes, and from a whole set to what training reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.runtime.datasets.dataset import TEST, TRAINING, VALIDATION, Part, Raw, Wanted
from chainrule.runtime.datasets.fitting import fitted, natural
from chainrule.runtime.datasets.targets import checked_labels, targets
from chainrule.runtime.errors import DataError


def refusal(function: Any, *arguments: Any) -> str:
    with pytest.raises(DataError) as found:
        function(*arguments)
    return str(found.value)


def raw(x: Any, t: Any, **said: Any) -> Raw:
    return Raw("some", {TRAINING: Part(np.asarray(x), np.asarray(t))}, "here", **said)


def wanted(kind: str = "values", classes: int = 3, **said: Any) -> Wanted:
    return Wanted((2,), kind, classes, **({"output_shape": (classes,)} | said))


ONE = {"output_shape": (1,), "classes": 2}


# ---- Targets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("t", "labels", "asked", "found"),
    [
        ([0, 2, 1], True, wanted("labels"), [0, 2, 1]),
        ([[0], [2]], False, wanted("labels"), [0, 2]),
        ([[0, 1, 0], [1, 0, 0]], False, wanted("labels"), [1, 0]),
        ([[0.0, 1.0, 0.0]], False, wanted("labels"), [1]),
        ([1.0, 2.0], False, wanted("labels"), [1, 2]),
        ([True, False], False, wanted("labels"), [1, 0]),
        ([[0.5, 0.5, 0.0]], False, wanted("labels"), [[0.5, 0.5, 0.0]]),
        ([1, 0], True, wanted(**ONE), [[1.0], [0.0]]),
        ([7, -3], False, wanted(**ONE), [[7.0], [-3.0]]),
        ([2, 0], True, wanted(), [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
        ([2, 0], False, wanted(), [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
        ([2, 0], False, wanted(output_shape=(1, 3)), [[[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]]]),
        ([2, 0], False, wanted(output_shape=None), [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
        ([[7.0, 8.0, 9.0]], False, wanted(), [[7.0, 8.0, 9.0]]),
        ([[7, 8, 9]], False, wanted(), [[7.0, 8.0, 9.0]]),
        ([0.5, 1.5], False, wanted(output_shape=None), [[0.5], [1.5]]),
        ([[0.0, 1.0, 0.25]], False, wanted(loss="binary_cross_entropy"), [[0.0, 1.0, 0.25]]),
        ([[0.25, 0.75, 0.0]], False, wanted(loss="cross_entropy"), [[0.25, 0.75, 0.0]]),
    ],
)
def test_targets_as_the_loss_takes_them(t: Any, labels: bool, asked: Wanted, found: list[Any]) -> None:
    got, note = targets(np.asarray(t), labels, asked, "here")
    assert got.tolist() == found and note == ""
    whole = asked.target_kind == "labels" and got.ndim == 1
    assert got.dtype == (np.int64 if whole else np.float32) and got.flags.c_contiguous


@pytest.mark.parametrize(
    ("t", "asked", "said"),
    [
        (["a", "b"], wanted(), "dtype <U1; numbers are needed; number them: names, t = np.unique("),
        ([1j], wanted(), "dtype complex128; numbers are needed"),
        (
            [[0.0, -0.1, 0.5]],
            wanted(loss="binary_cross_entropy"),
            "-0.1 at index (0, 1) (1 such); targets of",
        ),
        ([[0.0, 1.5, 2.0]], wanted(loss="cross_entropy"), "1.5 at index (0, 1) (2 such); targets of the"),
        (
            [[-1.0, 1.0, 1.0]],
            wanted(loss="binary_cross_entropy"),
            "-1 at index (0, 0) (1 such); targets of the binary_cross_entropy are within 0 … 1; store",
        ),
        ([[0.0, 1.0, 0.0], [0.5, 0.4, 0.0]], wanted(loss="cross_entropy"), "row 1 sums to 0.9; the rows of"),
        ([[0.5, 0.4, 0.0]], wanted("labels"), "row 0 sums to 0.9; the rows of the cross_entropy are"),
        ([[0.0, np.nan, 0.0]], wanted(), "nan at index (0, 1) (1 such); repair the data"),
        ([[0.0, 1e39, 0.0]], wanted(), "1e+39 at index (0, 1) (1 such); repair the data"),
        (
            [[[0, 1]]],
            wanted("labels"),
            "labels of shape (1, 1, 2); one whole number a sample is needed, or a",
        ),
        ([[0, 1]], wanted("labels"), "labels of shape (1, 2); one whole number a sample is needed"),
        ([[1, 1, 0]], wanted("labels"), "labels of shape (1, 3); one whole number a sample is needed"),
        ([0.0, 0.5], wanted("labels"), "label 0.5 at index 1; labels are whole numbers 0 … 2"),
        ([0.0, np.inf], wanted("labels"), "label inf at index 1; labels are whole numbers 0 … 2"),
        (
            [0, -1],
            wanted("labels"),
            "label -1 at index 1 is outside 0 … 2 (1 such); the network has 3 classes",
        ),
    ],
)
def test_targets_that_no_loss_takes_are_refused(t: Any, asked: Wanted, said: str) -> None:
    assert refusal(targets, np.asarray(t), False, asked, "here").startswith(f"here targets: {said}")


@pytest.mark.parametrize(
    ("t", "counted"), [([1, 3, 2], True), ([1000, 1, 7], False), ([2, 3], False), ([1, 4], False)]
)
def test_labels_that_count_from_one_are_told_so(t: list[int], counted: bool) -> None:
    said = refusal(checked_labels, np.array(t), 3, "here")
    assert said.endswith("; labels that count from 1 are stored as t - 1") == counted
    assert refusal(checked_labels, np.array([1, 1000]), 1000, "here").endswith("t - 1")


# ---- The set as a whole -------------------------------------------------------------------------------


def test_what_a_network_gets_of_every_part() -> None:
    parts = {
        part: Part(np.full((2, 2), k, np.float64), np.array([[k], [k + 1]]))
        for k, part in enumerate((TRAINING, VALIDATION, TEST))
    }
    found = fitted(Raw("some", parts, "here", notes=("first", "")), wanted("labels", 4))
    assert found.notes == ("first",) and found.stored is not None and found.stored.high == 2
    for k, (x, t) in enumerate(found.parts().values()):
        assert x.dtype == np.float32 and x.tolist() == [[k, k], [k, k]] and t.tolist() == [k, k + 1]
    alone = fitted(raw(np.zeros((2, 2)), [0, 1]), wanted("labels", 4))
    assert alone.test_x.shape == (0, 2) and alone.test_t.shape == (0,) and alone.validation is None


@pytest.mark.parametrize(
    ("t", "from_one", "found", "notes"),
    [
        ([1, 3, 2], True, [0, 2, 1], ("labels count from 1: 1 … 3 are the classes 0 … 2",)),
        ([1, 2, 2], True, [1, 2, 2], ()),
        ([0, 2, 1], True, [0, 2, 1], ()),
    ],
)
def test_labels_from_one_are_brought_to_zero(
    t: list[int], from_one: bool, found: list[int], notes: tuple[str, ...]
) -> None:
    got = fitted(raw(np.zeros((3, 2)), t, labels=True, from_one=from_one), wanted("labels"))
    assert got.train_t.tolist() == found and got.notes == notes


@pytest.mark.parametrize(
    ("x", "t", "said"),
    [
        (np.zeros(()), [0], "training inputs: a single number; one row a sample is needed"),
        ([[0.0]], 0, "training targets: a single number; one row a sample is needed"),
        (np.zeros((3, 2)), [0], "training: 3 inputs but 1 targets; one target an input is needed"),
        (np.zeros(3), [0], "training: 3 inputs but 1 targets; one target an input is needed"),
        (
            np.zeros((3, 2)),
            [0, 1],
            "training: 3 inputs but 2 targets; one target an input is needed; samples come last: store "
            "np.moveaxis(x, -1, 0)",
        ),
        (np.zeros((0, 2)), np.zeros(0, int), "training: no samples; fill it, or leave it out"),
    ],
)
def test_a_target_for_every_sample(x: Any, t: Any, said: str) -> None:
    assert refusal(natural, raw(x, t)) == f"here: {said}"


@pytest.mark.parametrize(
    ("t", "kind"),
    [
        ([0, 1, 2], "labels"),
        ([0, 3, 3], "labels"),
        ([0, 4, 4], "values"),
        ([-1, 0, 1], "values"),
        ([[0, 1], [1, 0], [1, 0]], "values"),
        ([[0], [1], [1]], "labels"),
        ([0.0, 1.0, 1.0], "values"),
        ([True, False, True], "labels"),
    ],
)
def test_whole_numbers_are_labels_where_half_of_them_occur(t: Any, kind: str) -> None:
    assert natural(raw(np.zeros((3, 2)), t)).target_kind == kind


def test_up_to_a_thousand_classes_are_seen_in_whole_numbers() -> None:
    for count, kind in ((1000, "labels"), (1001, "values")):
        assert natural(raw(np.zeros((count, 1)), np.arange(count))).target_kind == kind


def test_parts_have_targets_of_one_kind() -> None:
    parts = {
        TRAINING: Part(np.zeros((2, 2)), np.array([0, 1])),
        TEST: Part(np.zeros((1, 2)), np.full((1, 3), 1 / 3)),
    }
    said = "here: targets of different kinds (training labels, test rows); store all parts alike"
    assert refusal(fitted, Raw("some", parts, "here"), wanted("labels")) == said


@pytest.mark.parametrize(
    ("t", "asked", "said"),
    [
        ([2, 2], wanted("labels"), "here: all 2 training samples are of class c; add others"),
        ([3, 3], wanted("labels", 4), "here: all 2 training samples are of class 3; add others"),
        ([1, 1], wanted(), "here: all 2 training samples are of class b; add others"),
        ([1, 1], wanted(**ONE), "here: all 2 training samples are of class b; add others"),
        ([2], wanted("labels"), ""),
        ([2, 1], wanted("labels"), ""),
        ([2, 2], wanted("labels", names=("a", "b", "c")), ""),
    ],
)
def test_samples_of_one_class_alone_are_refused(t: list[int], asked: Wanted, said: str) -> None:
    source = raw(np.zeros((len(t), 2)), t, labels=True, class_names=("a", "b", "c"))
    if said:
        assert refusal(fitted, source, asked) == said
    else:
        assert len(fitted(source, asked).train_t) == len(t)


def test_equal_values_are_no_class() -> None:
    assert fitted(raw(np.zeros((2, 2)), [[0.5], [0.5]]), wanted(**ONE)).train_t.tolist() == [[0.5], [0.5]]


@pytest.mark.parametrize(
    ("t", "test", "from_one", "names", "classes"),
    [
        ([1], [1], True, (), 1),
        ([1], [1], False, (), 2),
        ([1, 2], [3], True, (), 3),
        ([0, 2], [3], True, (), 4),
        ([0, 2], [3], True, ("a", "b"), 2),
        (np.zeros((2, 0), int), [0], True, (), 1),
    ],
)
def test_classes_of_all_parts_are_counted(
    t: Any, test: list[int], from_one: bool, names: tuple[str, ...], classes: int
) -> None:
    parts = {
        TRAINING: Part(np.zeros((len(t), 3)), np.asarray(t)),
        TEST: Part(np.zeros((len(test), 3)), np.asarray(test)),
    }
    found = natural(Raw("some", parts, "here", labels=True, from_one=from_one, class_names=names))
    assert (found.classes, found.target_kind, found.input_shape) == (classes, "labels", (3,))
