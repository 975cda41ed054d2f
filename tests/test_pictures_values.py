"""Samples that are shown, in letters and in figures: which ones, what stands above them, and how bright."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule.runtime.pictures as figures
from chainrule.runtime.datasets.dataset import Dataset
from chainrule.runtime.datasets.samples import chosen, labels_of, pictures, sketch, titles
from chainrule.runtime.evaluation import ClassRow, Evaluation, Mistake


def data(x: Any, t: Any, **said: Any) -> Dataset:
    x, t = np.asarray(x), np.asarray(t)
    return Dataset("some", x, t, x[:0], t[:0], "here", **said)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are written, of four pictures at most, two in a row, and where to."""
    found: list[Any] = []
    monkeypatch.setattr(figures, "COLUMNS", 2)
    monkeypatch.setattr(figures, "SHOWN", 4)
    monkeypatch.setattr(figures, "write_figure", lambda figure, paths: found.append((figure, paths)))
    return found


def axes_of(drawn: list[Any]) -> list[Any]:
    return list(drawn[-1][0].axes)


# ---- Which samples, and what they are ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("t", "count", "found"),
    [
        ([2, 0, 0, 1, 2], 5, [1, 3, 0, 2, 4]),
        ([2, 0, 0, 1, 2], 4, [1, 3, 0, 2]),
        ([[0.5], [0.1], [0.2]], 2, [0, 1]),
        ([[0.5], [0.1], [0.2]], 9, [0, 1, 2]),
    ],
)
def test_samples_are_chosen_of_each_class_in_turn(t: Any, count: int, found: list[int]) -> None:
    assert chosen(data(np.zeros((len(t), 1)), t), count).tolist() == found


@pytest.mark.parametrize(
    ("t", "found"),
    [([3, 1], [3, 1]), ([[1.0], [0.0]], [1, 0]), ([[0.2, 0.8], [0.6, 0.4], [0.3, 0.7]], [1, 0, 1])],
)
def test_the_class_of_a_target(t: Any, found: list[int]) -> None:
    assert labels_of(np.asarray(t)).tolist() == found


@pytest.mark.parametrize(
    ("t", "found"),
    [
        ([0, 1, 2], ["a", "b", "2"]),
        ([[0.5], [1.23456], [2.0]], ["0.5", "1.235", "2"]),
        (
            [[1.5, 2.5, 3.5, 4.5], [0, 0, 0, 0], [1, 1, 1, 2]],
            ["1.5, 2.5, 3.5, …", "0, 0, 0, …", "1, 1, 1, …"],
        ),
        ([[1.5, 2.5, 3.5]] * 3, ["1.5, 2.5, 3.5"] * 3),
    ],
)
def test_what_stands_above_a_sample(t: Any, found: list[str]) -> None:
    assert titles(data(np.zeros((3, 1)), t, class_names=("a", "b")), np.arange(3)) == found


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.0, 0.25, 0.5, 1.0], [0.0, 0.25, 0.5, 1.0]),
        ([0.0, 0.5, 1.0, 2.0], [0.0, 0.25, 0.5, 1.0]),
        ([0.0, 0.25, 0.5, 1.25], [0.0, 0.2, 0.4, 1.0]),
        ([-1.0, 0.0, 0.5, 1.0], [0.0, 0.5, 0.75, 1.0]),
        ([-0.5, -0.25, 0.0, 0.5], [0.0, 0.25, 0.5, 1.0]),
        ([3.0, 3.0, 3.0, 3.0], [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_pictures_are_stretched_to_what_can_be_seen(values: list[float], shown: list[float]) -> None:
    found = pictures(data(np.array(values).reshape(1, 2, 2), [0]), np.arange(1))
    assert found is not None and found.shape == (1, 2, 2, 1)
    assert np.allclose(found.ravel(), shown)


@pytest.mark.parametrize("values", [[0.0, 0.25, 0.5, 1.0], [0.0, 0.25, 0.5, 1.25], [-1.0, 0.0, 0.5, 1.0]])
def test_a_mistake_is_as_bright_as_a_sample(values: list[float], drawn: list[Any]) -> None:
    x = np.array(values).reshape(1, 2, 2)
    assert figures.save_mistakes(evaluation(2, mistakes(1)), x, [Path("here.png")])
    (image,) = axes_of(drawn)[0].get_images()
    found = pictures(data(x, [0]), np.arange(1))
    assert found is not None and np.allclose(np.asarray(image.get_array()), found[0, ..., 0])
    assert image.get_clim() == (0, 1)


def test_what_is_no_picture_is_none() -> None:
    assert pictures(data(np.zeros((1, 5)), [0]), np.arange(1)) is None
    x = np.repeat(np.array([0, 51, 255], np.uint8), 4).reshape(3, 2, 2)
    found = pictures(data(x, [0, 0, 0]), np.array([2, 1]))
    assert found is not None and found.ravel().tolist() == [1.0] * 4 + [np.float32(0.2)] * 4


def test_a_sketch_in_letters() -> None:
    x = np.zeros((2, 4, 4))
    x[0, :2], x[1, :, 2:] = 1.0, 0.55
    found = sketch(data(x, [1, 0], class_names=("zero", "one, long")))
    assert found.split("\n") == ["zero  one,", "  ++  @@@@", "  ++"]
    wide = np.zeros((1, 4, 48))
    wide[:, :, ::2] = 0.5
    assert sketch(data(wide, [0])).split("\n") == ["0", "::" * 12]


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.arange(3.0), "(0, 1, 2) → 7"),
        (np.arange(8.0), "(0, 1, 2, 3, 4, 5, 6, 7) → 7"),
        (np.arange(10.0), "(0, 1, 2, 3, 4, 5, 6, 7, …) → 7"),
        (np.full((3, 4), 0.125), "(0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, …) → 7"),
        (np.full((4, 3), 0.125), "(0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, …) → 7"),
    ],
)
def test_rows_and_small_pictures_are_told_in_numbers(x: np.ndarray, text: str) -> None:
    assert sketch(data(x[None], [7])) == text


# ---- Figures -----------------------------------------------------------------------------------------


def evaluation(classes: int, mistakes: tuple[Mistake, ...] = (), **said: Any) -> Evaluation:
    names = said.pop("names", [f"c{k}" for k in range(classes)])
    rows = tuple(ClassRow(name, 1.0, 1.0, 1.0, 2) for name in names)
    confusion = said.pop("confusion", 2 * np.eye(classes, dtype=np.int64))
    return Evaluation(
        "run", {}, 0.0, said.pop("accuracy", 1.0), rows, confusion, mistakes, **{"probabilities": True} | said
    )


def test_confusions_are_shares_of_a_class(drawn: list[Any]) -> None:
    confusion = np.array([[0, 1, 0], [1, 3, 0], [0, 0, 0]])
    figures.save_confusion(evaluation(3, confusion=confusion, accuracy=0.6), [Path("here.png")])
    axes = axes_of(drawn)[0]
    (image,) = axes.get_images()
    assert np.asarray(image.get_array()).tolist() == [[0, 1, 0], [0.25, 0.75, 0], [0, 0, 0]]
    assert image.get_clim() == (0, 1)
    cells = [(text.get_position(), text.get_text(), text.get_color()) for text in axes.texts]
    assert cells == [
        ((1, 0), "1", "white"),
        ((0, 1), "1", "#333333"),
        ((1, 1), "3", "white"),
    ]
    assert axes.get_title() == "60.00 % of 5 are right"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("taken for", "class")
    assert not any(spine.get_visible() for spine in axes.spines.values())
    assert drawn[-1][1] == [Path("here.png")]


@pytest.mark.parametrize(("name", "turned"), [("ab", 0), ("abc", 45)])
def test_long_names_below_a_matrix_are_turned(name: str, turned: float, drawn: list[Any]) -> None:
    figures.save_confusion(evaluation(2, names=["a", name]), [])
    assert {label.get_rotation() for label in axes_of(drawn)[0].get_xticklabels()} == {turned}


@pytest.mark.parametrize(("classes", "side"), [(2, 4.0), (10, 7.0), (40, 12.0)])
def test_a_matrix_grows_with_its_classes(classes: int, side: float, drawn: list[Any]) -> None:
    figures.save_confusion(evaluation(classes), [])
    assert np.allclose(drawn[-1][0].get_size_inches(), (side + 0.8, side))


def mistakes(count: int, true: str = "a", taken: str = "b") -> tuple[Mistake, ...]:
    return tuple(Mistake(index=k, true=true, taken=taken, score=0.987654) for k in range(count))


@pytest.mark.parametrize(("count", "rows", "shown"), [(1, 1, 1), (2, 1, 2), (3, 2, 3), (5, 2, 4)])
def test_the_surest_mistakes_stand_in_rows(count: int, rows: int, shown: int, drawn: list[Any]) -> None:
    images = np.zeros((count, 2, 2), np.uint8)
    assert figures.save_mistakes(evaluation(2, mistakes(count)), images, [])
    axes = axes_of(drawn)
    assert len(axes) == 2 * rows and sum(bool(each.get_images()) for each in axes) == shown
    assert not any(each.axison for each in axes)


@pytest.mark.parametrize(
    ("true", "taken", "probabilities", "title"),
    [
        ("a", "b", True, "a → b\n98.8 %"),
        ("a", "b", False, "a → b\n0.988"),
        ("a" * 8, "b" * 9, True, "aaaaaaaa → bbbbbbbbb\n98.8 %"),
        ("a" * 9, "b" * 9, True, "aaaaaaaaa\n→ bbbbbbbbb\n98.8 %"),
        ("a" * 16, "$", True, f"{'a' * 16}\n→ \\$\n98.8 %"),
        ("a" * 17, "b", True, f"{'a' * 15}… → b\n98.8 %"),
    ],
)
def test_what_a_mistake_was_taken_for(
    true: str, taken: str, probabilities: bool, title: str, drawn: list[Any]
) -> None:
    figures.save_mistakes(
        evaluation(2, mistakes(1, true, taken), probabilities=probabilities), np.zeros((1, 2, 2)), []
    )
    assert axes_of(drawn)[0].get_title() == title


def test_without_pictures_or_mistakes_nothing_is_drawn(drawn: list[Any]) -> None:
    assert not figures.save_mistakes(evaluation(2), np.zeros((1, 2, 2)), [])
    assert not figures.save_mistakes(evaluation(2, mistakes(1)), np.zeros((1, 5)), [])
    assert drawn == []


def test_samples_are_drawn_as_pictures_or_as_rows(drawn: list[Any]) -> None:
    x = np.array([[0.0, 0.5, 1.0, 0.25]] * 3)
    figures.save_samples(data(x, np.arange(3) % 2, class_names=("no", "yes")), Path("here.png"))
    axes = axes_of(drawn)
    assert len(axes) == 4 and [each.get_title() for each in axes[:3]] == ["no", "yes", "no"]
    (image,) = axes[0].get_images()
    assert np.asarray(image.get_array()).ravel().tolist() == x[0].tolist() and image.get_clim() == (0, 1)
    assert not any(each.axison for each in axes) and drawn[-1][1] == [Path("here.png")]
    assert drawn[-1][0].get_suptitle() == "some: training samples"
    figures.save_samples(data(np.arange(10.0).reshape(2, 5), [1, 0]), Path("here.png"))
    table = axes_of(drawn)[0]
    (image,) = table.get_images()
    assert np.asarray(image.get_array()).tolist() == [[5, 6, 7, 8, 9], [0, 1, 2, 3, 4]]
    assert [label.get_text() for label in table.get_yticklabels()] == ["0", "1"]
