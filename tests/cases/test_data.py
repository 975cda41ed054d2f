"""Data in another layout, type or range than meant are read rightly or refused; nothing is silent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases.data_files import classes, load, single
from PIL import Image

from chainrule.runtime.datasets import as_floats, fingerprint
from chainrule.runtime.datasets.dataset import Dataset
from chainrule.runtime.datasets.description import describe
from chainrule.runtime.datasets.layout import arranged
from chainrule.runtime.errors import DataError

RNG = np.random.default_rng(0)

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
    x, t = data.validation
    others = [
        replace(data, train_x=data.train_x.reshape(-1, 3, 1)),
        replace(data, train_t=data.train_t.view(np.uint64)),
        replace(data, validation=None),
        replace(data, validation=(data.test_x, data.test_t), test_x=x, test_t=t),
    ]
    assert len({fingerprint(each) for each in (data, *others)}) == 5


# ---- Class folders (D1 to D3, D5) ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("training", "testing"),
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("train", "validation", "test"),
        ("training_set", "test_set"),
        ("trainset", "test1"),
    ],
)
def test_d1_folders_of_usual_names_are_splits(tmp_path: Path, names: tuple[str, ...]) -> None:
    for count, name in enumerate(names, 2):
        classes(tmp_path / "d" / name, count)
    data = load("folder:d", tmp_path, (6, 6, 3))
    assert (len(data.train_x), len(data.test_x)) == (6, 3 * (len(names) + 1))
    assert data.class_names == ("0", "1", "2")
    assert any("training set" in note for note in data.notes)


def test_d1_one_level_too_high_is_refused_with_what_was_found(tmp_path: Path) -> None:
    classes(tmp_path / "d" / "images" / "train")
    classes(tmp_path / "d" / "images" / "test")
    with pytest.raises(
        DataError, match=r"images/ is no class, it holds test/, train/; name it, folder:.*d/images"
    ):
        load("folder:d", tmp_path, (6, 6, 3))
    with pytest.raises(DataError, match="holds test/"):
        load("folder:d", tmp_path, (6, 6, 3), classes=1)
    classes(tmp_path / "e" / "photos")
    with pytest.raises(DataError, match=r"1 class folder \(photos\), the network has 3 classes"):
        load("folder:e", tmp_path, (6, 6, 3))


@pytest.mark.parametrize("count", [2, 4])
def test_d1_class_count_is_the_networks(tmp_path: Path, count: int) -> None:
    classes(tmp_path / "d")
    with pytest.raises(DataError, match=rf"3 class folders \(0, 1, 2\), the network has {count} classes"):
        load("folder:d", tmp_path, (6, 6, 3), classes=count)


def test_d1_classes_of_the_sets_are_compared(tmp_path: Path) -> None:
    classes(tmp_path / "d" / "train")
    classes(tmp_path / "d" / "test", names=("0", "2"))
    assert any("test/ has no images of 1" in note for note in load("folder:d", tmp_path, (6, 6, 3)).notes)
    classes(tmp_path / "d" / "val", names=("0", "two"))
    with pytest.raises(DataError, match="class two is not in"):
        load("folder:d", tmp_path, (6, 6, 3))


def test_d1_folders_that_contradict_each_other(tmp_path: Path) -> None:
    classes(tmp_path / "a" / "train")
    classes(tmp_path / "a" / "Training")
    with pytest.raises(DataError, match="both for training"):
        load("folder:a", tmp_path, (6, 6, 3))
    classes(tmp_path / "b" / "test")
    classes(tmp_path / "b")
    with pytest.raises(DataError, match="no train/"):
        load("folder:b", tmp_path, (6, 6, 3))
    classes(tmp_path / "c", names=("bus", "train", "tram"))  # a train of pictures is a class
    assert load("folder:c", tmp_path, (6, 6, 3)).class_names == ("bus", "train", "tram")
    classes(tmp_path / "k" / "train")
    (tmp_path / "k" / "test").mkdir()  # as competitions have it: pictures without their classes
    Image.new("L", (6, 6)).save(tmp_path / "k" / "test" / "1.png")
    (tmp_path / "flat" / "train").mkdir(parents=True)
    (tmp_path / "flat" / "test1").mkdir()
    for part in ("train", "test1"):
        Image.new("L", (6, 6)).save(tmp_path / "flat" / part / "cat.1.png")
    with pytest.raises(DataError, match="no class folders"):  # and not two classes
        load("folder:flat", tmp_path, (6, 6, 3), classes=2)
    data = load("folder:k", tmp_path, (6, 6, 3))
    assert any("not used: test/" in note for note in data.notes) and len(data.test_x) == 3


def test_d2_hidden_folders_within_classes_are_ignored(tmp_path: Path) -> None:
    classes(tmp_path / "d")
    for hidden in (".ipynb_checkpoints", ".thumbs/deep", "__MACOSX"):
        for name in ("0", "1", "2"):
            (tmp_path / "d" / name / hidden).mkdir(parents=True)
            Image.new("L", (6, 6)).save(tmp_path / "d" / name / hidden / "a.png")
    (tmp_path / "d" / "0" / "more").mkdir()
    Image.new("L", (6, 6)).save(tmp_path / "d" / "0" / "more" / "a.png")  # visible: a sample
    (tmp_path / "d" / "__MACOSX").mkdir()
    data = load("folder:d", tmp_path, (6, 6, 3))
    assert len(data.train_x) + len(data.test_x) == 16


@pytest.mark.parametrize("name", ["val", "Valid", "validation", "dev"])
def test_d3_validation_folder_is_the_validation_set(tmp_path: Path, name: str) -> None:
    classes(tmp_path / "d" / "train", 4)
    classes(tmp_path / "d" / name, 2)
    data = load("folder:d", tmp_path, (6, 6, 3))
    assert data.validation is not None and len(data.validation[0]) == 6
    assert len(data.train_x) == 12 and len(data.test_x) == 0, "none of the training images is held for a test"
    text = describe(data).text()
    assert f"{name}/ is the validation set" in text and "of the validation samples" in text


@pytest.mark.parametrize(
    ("dtype", "values", "wanted", "full"),
    [
        (np.float32, (40.0, 220.0), (40, 220), "255"),
        (np.float32, (0.0, 1.0), (0, 255), "1"),
        (np.int32, (40, 220), (40, 220), "255"),
        (np.uint16, (40, 220), (40, 220), "255"),
        (np.uint16, (257 * 7, 65535), (7, 255), "65,535"),
        (np.int32, (257 * 7, 65535), (7, 255), "65,535"),
        (np.float32, (0.5, 200.0), (0, 200), "255"),  # the darker class alone would say 0 … 1
    ],
)
def test_d5_deep_images_are_scaled_by_what_all_values_say(
    tmp_path: Path, dtype: type, values: tuple[float, float], wanted: tuple[int, int], full: str
) -> None:
    for name, value in zip(("0", "1"), values, strict=True):
        (tmp_path / "d" / name).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(np.full((4, 4), value, dtype)).save(tmp_path / "d" / name / f"{i}.tif")
    data = load("folder:d", tmp_path, (4, 4, 1), classes=2)
    assert [int(data.train_x[data.train_t == k].max()) for k in (0, 1)] == list(wanted)
    assert any(f"0 … {full} became 0 … 255" in note for note in data.notes)


# ---- Layout (D4) --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "shape", "remedy"),
    [
        ((3, 8, 8), (8, 8, 3), "channels come first; store x.transpose(0, 2, 3, 1)"),
        ((3, 5, 7), (5, 7, 3), "channels come first; store x.transpose(0, 2, 3, 1)"),
        ((8, 3, 8), (8, 8, 3), "store x.transpose(0, 1, 3, 2)"),
        ((5, 7, 3), (7, 5, 3), "store x.transpose(0, 2, 1, 3)"),
        ((5, 7), (7, 5, 1), "store x.transpose(0, 2, 1)"),
        ((1, 3, 8, 8), (8, 8, 3), "store x.squeeze().transpose(0, 2, 3, 1)"),
        ((192,), (8, 8, 3), "x.reshape(N, 3, 8, 8).transpose(0, 2, 3, 1) if they are planes"),
        ((3, 8, 8), (192,), "store x.transpose(0, 2, 3, 1)"),
        ((14, 56), (28, 28, 1), "by chance"),
        ((4, 4, 12), (8, 8, 3), "by chance"),
        ((4, 4), (4, 5), "16 values, the network takes (4, 5) = 20"),
    ],
)
def test_d4_another_order_is_refused_with_the_transpose_that_fits(
    stored: tuple[int, ...], shape: tuple[int, ...], remedy: str
) -> None:
    x = np.zeros((2, *stored))
    with pytest.raises(DataError) as caught:
        arranged(x, shape, "d", "takes")
    assert remedy in str(caught.value)
    if "store x.transpose" in remedy and len(shape) > 1:  # it does fit
        axes = remedy.partition("transpose(")[2].partition(")")[0]
        arranged(x.transpose(*map(int, axes.split(", "))), shape, "d", "takes")


@pytest.mark.parametrize(
    ("stored", "shape", "said"),
    [
        ((28, 28), (28, 28, 1), ""),
        ((1, 28, 28), (28, 28, 1), ""),
        ((28, 28, 1), (784,), "rows of 784"),
        ((1, 28, 28), (784,), "rows of 784"),
        ((784,), (28, 28, 1), "28 × 28 pictures, row by row"),
        ((8, 8, 3), (192,), "rows of 192"),
        ((4,), (4,), ""),
        ((), (1,), ""),
    ],
)
def test_d4_one_reading_is_taken_and_said(stored: tuple[int, ...], shape: tuple[int, ...], said: str) -> None:
    x = RNG.random((2, *stored))
    found, note = arranged(x, shape, "d", "takes")
    assert found.shape == (2, *shape) and (found.ravel() == x.ravel()).all(), "no value changes its place"
    assert said in note and bool(said) == bool(note)


def test_d4_samples_that_come_last(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((8, 8, 3, 20)), t=np.arange(20) % 3)
    with pytest.raises(DataError, match=r"store np.moveaxis\(x, -1, 0\)"):
        load("npz:d.npz", tmp_path, (8, 8, 3))


# ---- Targets (D6, D7, D9) -----------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [-1.0, 1.5, np.nan])
def test_d6_binary_cross_entropy_takes_targets_within_0_and_1(tmp_path: Path, bad: float) -> None:
    t = np.array([[0.0], [1.0], [bad], [0.5]])
    np.savez(tmp_path / "d.npz", x=np.zeros((4, 2)), y=t)
    with pytest.raises(DataError, match=r"index \(2, 0\)"):
        load("npz:d.npz", tmp_path, (2,), **single("binary_cross_entropy"))
    np.savez(tmp_path / "e.npz", x=np.zeros((4, 2)), y=np.where(t == 1, 1, -1))
    with pytest.raises(DataError, match=r"store t == 1"):
        load("npz:e.npz", tmp_path, (2,), **single("binary_cross_entropy"))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, np.float64])
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
@pytest.mark.parametrize("loss", ["binary_cross_entropy", "mse"])
def test_d7_labels_of_0_and_1_are_the_targets_of_one_output(
    tmp_path: Path, dtype: type, shape: tuple[int, ...], loss: str
) -> None:
    t = np.array([0, 1, 1, 0, 1, 0])
    np.savez(tmp_path / "d.npz", x_train=np.zeros((6, 4)), y_train=t.astype(dtype).reshape(shape))
    data = load("npz:d.npz", tmp_path, (4,), **single(loss))
    assert data.train_t.dtype == np.float32 and data.train_t.tolist() == [[0], [1], [1], [0], [1], [0]]
    assert data.classes, "so that there is an accuracy"


def test_d7_two_class_folders_train_one_output(tmp_path: Path) -> None:
    classes(tmp_path / "d", names=("cat", "dog"))
    data = load("folder:d", tmp_path, (6, 6, 3), **single("binary_cross_entropy"))
    assert data.classes and sorted(set(data.train_t.ravel().tolist())) == [0, 1] and data.train_t.ndim == 2
    assert data.class_names == ("cat", "dog")


def test_d7_whole_numbers_are_regressed_on_by_one_output(tmp_path: Path) -> None:
    ages = np.array([40, 17, 63, 5])
    np.savez(tmp_path / "d.npz", x_train=np.zeros((4, 4)), y_train=ages)
    data = load("npz:d.npz", tmp_path, (4,), **single("mse"))
    assert data.train_t.tolist() == [[40], [17], [63], [5]] and not data.classes
    assert "1 value, 5 … 63" in describe(data).text()


def test_d7_truth_values_are_labels_of_two_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x_train=np.zeros((3, 4)), y_train=np.array([True, False, True]))
    assert load("npz:d.npz", tmp_path, (4,), classes=2).train_t.tolist() == [1, 0, 1]


def test_d9_rows_of_probabilities_are_targets_of_the_cross_entropy(tmp_path: Path) -> None:
    soft = np.array([[0.5, 0.5, 0], [0.2, 0.3, 0.5], [1, 0, 0]])
    wanted = {"target_kind": "values", "output_shape": (3,), "loss": "cross_entropy"}
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 2)), y=soft)
    data = load("npz:d.npz", tmp_path, (2,), **wanted)
    np.testing.assert_array_equal(data.train_t, soft.astype(np.float32))
    assert data.classes
    for row, message in (([0.5, 0.4, 0], "row 1 sums to 0.9"), ([1.5, -0.5, 0], r"1.5 at index \(1, 0\)")):
        np.savez(tmp_path / "e.npz", x=np.zeros((3, 2)), y=np.array([soft[0], row, soft[2]]))
        with pytest.raises(DataError, match=message):
            load("npz:e.npz", tmp_path, (2,), **wanted)


def test_names_for_labels_are_refused_with_the_remedy(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 2)), y=np.array(["cat", "dog"]))
    with pytest.raises(DataError, match="return_inverse=True"):
        load("npz:d.npz", tmp_path, (2,))


def test_one_class_alone_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((9, 2)), y=np.ones(9, int))
    with pytest.raises(DataError, match="all 9 training samples are of class 1"):
        load("npz:d.npz", tmp_path, (2,))


# ---- Types and ranges (D8) ----------------------------------------------------------------------------

PIXELS = np.random.default_rng(1).integers(0, 256, (30, 8, 8, 1))
KINDS = ["uint8", "int16", "uint16", "int32", "int64", "uint64", "float32", "float64"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(8, 8, 1), (64,)])
def test_d8_the_same_pixels_are_the_same_inputs_in_every_type(
    tmp_path: Path, kind: str, shape: tuple[int, ...]
) -> None:
    np.savez(tmp_path / "d.npz", x_train=PIXELS.astype(kind), y_train=np.arange(30) % 3)
    data = load("npz:d.npz", tmp_path, shape)
    np.testing.assert_array_equal(as_floats(data.train_x).ravel(), (PIXELS / 255).astype(np.float32).ravel())
    assert f"{kind} of 0 … 255, divided by 255" in describe(data).text()


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32])
def test_d8_nothing_but_0_and_1_is_not_divided(tmp_path: Path, kind: type) -> None:
    bits = (PIXELS > 127).astype(kind)
    np.savez(tmp_path / "d.npz", x_train=bits, y_train=np.arange(30) % 3)
    data = load("npz:d.npz", tmp_path, (8, 8, 1))
    assert set(as_floats(data.train_x).ravel().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("kind", ["uint8", "int64", "float64"])
def test_d8_a_table_of_whole_numbers_is_taken_as_it_is(tmp_path: Path, kind: str) -> None:
    table = np.array([[17, 180, 3], [63, 165, 0]]).astype(kind)
    np.savez(tmp_path / "d.npz", x_train=table, y_train=[0, 1])
    data = load("npz:d.npz", tmp_path, (3,))
    np.testing.assert_array_equal(as_floats(data.train_x), table.astype(np.float32))
    assert "taken as they are" in describe(data).text()


def test_d8_pictures_beyond_0_and_1_are_said_with_the_remedy(tmp_path: Path) -> None:
    for number, values in enumerate((PIXELS + 0.25, PIXELS * 16, PIXELS / 16)):
        np.savez(tmp_path / f"{number}.npz", x_train=values, y_train=np.arange(30) % 3)
        data = load(f"npz:{number}.npz", tmp_path, (8, 8, 1))
        np.testing.assert_array_equal(data.train_x, values.astype(np.float32))
        assert 'standardize = "minmax"' in describe(data).text()


def test_d8_all_sets_count_together(tmp_path: Path) -> None:
    dark = PIXELS // 256  # a training set of zeros alone would be 0 and 1
    np.savez(
        tmp_path / "d.npz", x_train=dark, y_train=np.arange(30) % 3, x_test=PIXELS, y_test=np.arange(30) % 3
    )
    assert as_floats(load("npz:d.npz", tmp_path, (8, 8, 1)).test_x).max() == 1
    t = np.arange(30) % 3
    np.savez(tmp_path / "e.npz", x_train=PIXELS / 255, y_train=t, x_test=PIXELS, y_test=t)
    with pytest.raises(DataError, match="different scales"):
        load("npz:e.npz", tmp_path, (8, 8, 1))


def test_17_what_is_not_finite_is_refused_with_its_index(tmp_path: Path) -> None:
    for bad in (np.nan, np.inf, -np.inf, 1e300):
        x = PIXELS / 255
        x[3, 1, 2, 0] = bad
        np.savez(tmp_path / "d.npz", x_train=x, y_train=np.arange(30) % 3)
        with pytest.raises(DataError, match=r"at index \(3, 1, 2, 0\) \(1 such\)"):
            load("npz:d.npz", tmp_path, (8, 8, 1))
