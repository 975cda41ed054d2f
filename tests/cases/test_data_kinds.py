"""Parts, scales, labels and sources that are meant otherwise than they look: read rightly, or refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from cases.data_files import classes, idx, load, single, write_idx
from PIL import Image

from chainrule.runtime.datasets import load_dataset, look_at
from chainrule.runtime.datasets.idx import read_idx
from chainrule.runtime.errors import DataError
from chainrule.runtime.images import read_image

T = np.arange(30) % 3
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (30, 8, 8, 1))


@pytest.mark.parametrize(
    ("above", "within"),
    [
        (("train_small", "test_small"), ""),
        (("fold_a", "fold_b"), ""),
        (("seg_train", "seg_test"), "seg"),
        (("learn", "check", "other"), ""),
    ],
)
def test_d1_folders_that_hold_the_same_classes_are_no_classes(
    tmp_path: Path, above: tuple[str, ...], within: str
) -> None:
    for name in above:
        classes(tmp_path / "d" / name / within, names=("cat", "dog"))
    with pytest.raises(DataError, match=r"both hold cat/, dog/: these look like the classes"):
        load("folder:d", tmp_path, (6, 6, 3), classes=len(above))


@pytest.mark.parametrize("inner", [("images",), ("left", "right")])
def test_d1_folders_within_a_class_are_read(tmp_path: Path, inner: tuple[str, ...]) -> None:
    """Each class may have one folder, or pictures of its own beside some."""
    for name in ("a", "b"):
        classes(tmp_path / "d" / name, names=inner)
        if len(inner) > 1:
            Image.new("RGB", (6, 6)).save(tmp_path / "d" / name / "own.png")
    data = load("folder:d", tmp_path, (6, 6, 3), classes=2)
    assert len(data.train_x) + len(data.test_x) == 2 * (5 * len(inner) + (len(inner) > 1))


def test_d1_pictures_and_what_is_said_of_them_are_no_classes(tmp_path: Path) -> None:
    classes(tmp_path / "d" / "train", names=("images", "Labels"))
    with pytest.raises(DataError, match=r"images/ and Labels/ are no classes"):
        load("folder:d", tmp_path, (6, 6, 3), classes=2)


def test_d1_a_folder_without_images_is_named_where_the_count_is_wrong(tmp_path: Path) -> None:
    classes(tmp_path / "d")
    (tmp_path / "d" / "empty").mkdir()
    with pytest.raises(DataError, match=r"4 class folders .*; empty/ holds no images"):
        load("folder:d", tmp_path, (6, 6, 3))


def test_d5_floats_of_0_to_1_beside_16_bits_are_refused(tmp_path: Path) -> None:
    """What is black says nothing of its scale."""
    kinds = {"a": np.uint16, "b": np.float32}
    for (name, kind), high in zip(kinds.items(), (65535, 1), strict=True):
        (tmp_path / "d" / name).mkdir(parents=True)
        for i in range(4):
            values = (RNG.random((4, 4)) * high).astype(kind)
            Image.fromarray(values if i else values * kind(0)).save(tmp_path / "d" / name / f"{i}.tif")
    with pytest.raises(DataError, match=r"b/.\.tif: values of 0 … 1, those of .*a/.\.tif are 0 … 65,535"):
        load("folder:d", tmp_path, (4, 4, 1), classes=2)
    for path in (tmp_path / "d" / "b").glob("*.tif"):
        Image.fromarray(np.zeros((4, 4), np.float32)).save(path)
    assert load("folder:d", tmp_path, (4, 4, 1), classes=2).train_x.max() > 128


def test_d5_a_nearly_black_picture_of_16_bits_is_of_the_scale_of_all(tmp_path: Path) -> None:
    """Whole numbers of 0 and 1 are no floats of 0 … 1."""
    for name, high in (("a", 65535), ("b", 1)):
        (tmp_path / "d" / name).mkdir(parents=True)
        for i in range(4):
            values = np.full((4, 4), high, np.uint16)
            values[0] = 0
            Image.fromarray(values).save(tmp_path / "d" / name / f"{i}.tif")
    data = load("folder:d", tmp_path, (4, 4, 1), classes=2)
    assert [int(data.train_x[data.train_t == k].max()) for k in (0, 1)] == [255, 0]


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("small", [PIXELS / 255, (PIXELS - 128) / 64])
def test_d8_floats_of_two_scales_are_refused(tmp_path: Path, kind: type, small: np.ndarray) -> None:
    large = PIXELS.astype(kind)
    for x, other in ((large, small.astype(kind)), (small.astype(kind), large)):
        np.savez(tmp_path / "d.npz", x_train=x, y_train=T, x_test=other, y_test=T)
        with pytest.raises(DataError, match="different scales"):
            load("npz:d.npz", tmp_path, (8, 8, 1))


def test_d8_a_black_test_set_is_of_any_scale(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x_train=PIXELS / 1.0, y_train=T, x_test=PIXELS * 0.0, y_test=T)
    assert load("npz:d.npz", tmp_path, (8, 8, 1)).train_x.max() == 255


def test_d7_whole_numbers_for_one_output_are_said_to_be_values(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=PIXELS, y=T)
    notes = load("npz:d.npz", tmp_path, (8, 8, 1), **single("mse")).notes
    assert any(
        "0 … 2 are taken as values; if they are classes, end the network with 3 units" in n for n in notes
    )
    for values in (T % 2, T * 7, T / 1.0):
        np.savez(tmp_path / "d.npz", x=PIXELS, y=values)
        assert not any(
            "taken as values" in n for n in load("npz:d.npz", tmp_path, (8, 8, 1), **single("mse")).notes
        )


@pytest.mark.parametrize("values", [(0, 255), (1, 2), (-1, 1)])
def test_d6_two_values_other_than_0_and_1_are_refused_with_the_remedy(
    tmp_path: Path, values: tuple[int, int]
) -> None:
    np.savez(tmp_path / "d.npz", x=PIXELS, y=np.array(values)[T % 2])
    with pytest.raises(DataError, match=f"store t == {values[1]}"):
        load("npz:d.npz", tmp_path, (8, 8, 1), **single("binary_cross_entropy"))


def letters(folder: Path) -> None:
    write_idx(folder, "emnist-letters-", PIXELS[..., 0].astype(np.uint8), (T + 1).astype(np.uint8))
    (folder / "emnist-letters-mapping.txt").write_text("1 65 97\n2 66 98\n3 67 99\n")


@pytest.mark.parametrize(
    ("count", "names", "first"), [(3, ("A/a", "B/b", "C/c"), 0), (4, ("(0)", "A/a", "B/b", "C/c"), 1)]
)
def test_d11_names_are_those_of_the_labels(
    tmp_path: Path, count: int, names: tuple[str, ...], first: int
) -> None:
    """Letters count from 1: a network of 26 classes takes them from 0, one of 27 as they are."""
    letters(tmp_path)
    data = load("idx:.", tmp_path, (8, 8, 1), classes=count)
    assert data.class_names == names and data.train_t.min() == first
    assert look_at(f"idx:{tmp_path}").class_names == ("A/a", "B/b", "C/c")


def test_d11_labels_from_1_in_training_alone_stay_what_they_are(tmp_path: Path) -> None:
    write_idx(tmp_path, "", PIXELS[..., 0].astype(np.uint8), (T + 1).astype(np.uint8))
    write_idx(tmp_path, "", PIXELS[..., 0].astype(np.uint8), T.astype(np.uint8), "t10k")
    with pytest.raises(DataError, match="label 3 at index 2 is outside 0 … 2"):
        load("idx:.", tmp_path, (8, 8, 1), classes=3)


def test_d11_a_file_that_is_cut_short_is_told_by_the_bytes_of_its_data(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(idx(PIXELS.astype(np.uint8))[:-5])
    with pytest.raises(DataError, match=r"= 1920 bytes, the file has 1915;"):
        read_idx(tmp_path / "d")


def test_sources_that_are_nearly_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, meant in {"MNIST": "mnist", "cifar-10": "cifar10", "fashion mnist": "fashion_mnist"}.items():
        with pytest.raises(DataError, match=rf"no such data set \(is it {meant}\?\)"):
            load_dataset(name, input_shape=(28, 28, 1))
    np.save(tmp_path / "x.npy", PIXELS)
    with pytest.raises(DataError, match=r"it is one array: store x and t together, np\.savez"):
        load("npz:x.npy", tmp_path, (8, 8, 1))
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "d.npz", x=PIXELS, y=T)
    data = load_dataset("npz:~/d.npz", input_shape=(8, 8, 1), classes=3)
    assert len(data.train_x) == 30 and data.source == f"npz:{tmp_path / 'd.npz'}"


@pytest.mark.parametrize(("kind", "high"), [(np.uint16, 40_000), (np.int32, 40_000), (np.float32, 0.6)])
def test_images_of_more_than_8_bits_keep_the_scale_of_training(
    tmp_path: Path, kind: type, high: float
) -> None:
    """What became 255 in training becomes it in other files, however dark or bright they are."""
    most = 1.0 if kind is np.float32 else 65535.0
    for part, top in (("train", high), ("dark", high / 300), ("black", 0)):
        for name in "ab":
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(3):
                values = (np.linspace(0, 1, 16).reshape(4, 4) * top).astype(kind)
                Image.fromarray(values).save(tmp_path / part / name / f"{i}.tif")
    trained = load("folder:train", tmp_path, (4, 4, 1), classes=2)
    assert trained.stored is not None and trained.stored.full_scale == most
    assert trained.train_x.max() == round(255 * high / most)
    dark = load("folder:dark", tmp_path, (4, 4, 1), classes=2, full_scale=most)
    assert dark.stored is not None and (dark.stored.divisor, dark.stored.full_scale) == (255, most)
    assert dark.train_x.max() == 1, "almost black, as it is"
    assert f"0 … {most:,.0f} became 0 … 255 as in training" in dark.notes[-2]
    assert load("folder:black", tmp_path, (4, 4, 1), classes=2, full_scale=most).train_x.max() == 0
    other = load("folder:black", tmp_path, (4, 4, 1), classes=2).stored
    assert other is not None and other.full_scale is None, "black says nothing"
    path = tmp_path / "train" / "a" / "0.tif"
    cut = read_image(path, (4, 4, 1), most=high / 2)
    assert cut.pixels.max() == 255 and "values up to" in cut.way[1] and "cut off" in cut.way[1]
    with pytest.raises(DataError, match=r"0.tif: values of 0 … .*store it alike"):
        load("folder:train", tmp_path, (4, 4, 1), classes=2, full_scale=high / 10)


def test_floats_of_0_to_1_are_refused_where_training_was_on_16_bits(tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a.tif: values of 0 … 1, those of training images are"):
        read_image(tmp_path / "a.tif", (4, 4, 1), most=65535)
    dark = read_image(tmp_path / "a.tif", (4, 4, 1), most=255)
    assert dark.pixels.max() == 1, "dark, on the scale of bytes"


def test_bytes_of_pictures_are_pixels_however_dark_they_are(tmp_path: Path) -> None:
    """An almost black set of pictures is that of training as it is of a single picture."""
    for name in "ab":
        (tmp_path / "d" / name).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(np.eye(4, dtype=np.uint8)).save(tmp_path / "d" / name / f"{i}.png")
    found = load("folder:d", tmp_path, (4, 4, 1), classes=2)
    assert found.train_x.max() == 1 and found.stored is not None and found.stored.divisor == 255
    assert "no pixel is above 1 of 255" in found.notes[-1]


def test_what_has_an_images_ending_and_is_no_file_is_said_to_be_left_out(tmp_path: Path) -> None:
    classes(tmp_path / "d")
    (tmp_path / "d" / "0" / "x.png").symlink_to("nowhere.png")
    found = load("folder:d", tmp_path, (6, 6, 3))
    first = tmp_path / "d" / "0" / "x.png"
    assert len(found.train_x) + len(found.test_x) == 15
    said = f"left out: 1 file with the ending of an image, {first} (a link to nothing)"
    assert said in found.notes
    (tmp_path / "d" / "1" / "y.jpg").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "d" / "2" / "z.png")
    (tmp_path / "d" / "2" / "notes.txt").symlink_to("nowhere.txt")
    notes = load("folder:d", tmp_path, (6, 6, 3)).notes
    assert f"left out: 3 files with the ending of an image, first {first} (a link to nothing)" in notes
    assert any("left out: 3 files" in note for note in look_at(f"folder:{tmp_path / 'd'}").notes)
    for path in (tmp_path / "d" / "1").glob("*.png"):
        path.unlink()
    with pytest.raises(DataError, match=r"1: no images .*; y.jpg is no regular file; remove the folder"):
        load("folder:d", tmp_path, (6, 6, 3))
    classes(tmp_path / "e")
    assert not any("left out" in note for note in load("folder:e", tmp_path, (6, 6, 3)).notes)


def test_a_folder_within_a_class_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes(tmp_path / "d")
    (tmp_path / "d" / "1" / "more").mkdir()
    scan = os.scandir

    def refused(path: str) -> object:
        if str(path).endswith("more"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(DataError, match=r"1/more: cannot be read \(Permission denied\)"):
        load("folder:d", tmp_path, (6, 6, 3))


@pytest.mark.parametrize("name", ["train-images-idx3-float", "train-labels.csv", "t10k-labels.idx1.bak"])
def test_files_that_seem_to_be_of_an_idx_set_and_are_not_read_are_said(tmp_path: Path, name: str) -> None:
    write_idx(tmp_path / "d", "", np.zeros((6, 4, 4), np.uint8), np.arange(6, dtype=np.uint8) % 3)
    assert not any("not used" in note for note in load("idx:d", tmp_path, (4, 4, 1)).notes)
    for other in (name, "README", ".train-images-idx3-ubyte"):
        (tmp_path / "d" / other).write_bytes(b"")
    notes = load("idx:d", tmp_path, (4, 4, 1)).notes
    assert f"not used: {name}; names end as in train-images-idx3-ubyte" in notes
    (tmp_path / "d" / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match=rf"training images and labels are needed; not used: {name}"):
        load("idx:d", tmp_path, (4, 4, 1))
    (tmp_path / "d" / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=rf"no IDX files.*; not used: {name}"):
        load("idx:d", tmp_path, (4, 4, 1))
