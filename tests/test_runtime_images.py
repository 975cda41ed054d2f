"""Image files and class folders (faults 14 and 17)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chainrule.runtime.datasets import load_dataset
from chainrule.runtime.errors import DataError
from chainrule.runtime.images import Picture, image_shape, read_image, strict_sizes


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))


# ---- Image files --------------------------------------------------------------------------------------


def ramp(width: int, height: int) -> np.ndarray:
    return np.add.outer(np.arange(height) * 3, np.arange(width)).astype(np.uint8)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_an_image_of_the_right_size_and_mode_is_taken_as_it_is(tmp_path: Path, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 30, 3 if mode == "RGB" else 1), np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(pixels.squeeze()))
    got = read_image(path, pixels.shape)
    np.testing.assert_array_equal(got.pixels, pixels)
    assert got.way == (f"30×28 {'grey' if mode == 'L' else 'RGB'}",)


def test_colour_becomes_grey_by_luma_and_grey_three_equal_channels(tmp_path: Path) -> None:
    red = saved(tmp_path / "r.png", Image.new("RGB", (4, 4), (255, 0, 0)))
    assert (read_image(red, (4, 4, 1)).pixels == 76).all()  # 0.299 · 255
    grey = saved(tmp_path / "g.png", Image.new("L", (4, 4), 130))
    assert (read_image(grey, (4, 4, 3)).pixels == 130).all()


def test_transparent_pixels_are_on_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((1, 2), (10, 20, 30, 255))
    got = read_image(saved(tmp_path / "a.png", image), (4, 4, 3))
    assert got.pixels[2, 1].tolist() == [10, 20, 30] and got.pixels[0, 0].tolist() == [255] * 3
    assert "on white" in got.way
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 9, 8, 7])
    path = saved(tmp_path / "p.png", palette, transparency=0)
    assert read_image(path, (4, 4, 3)).pixels[0, 0].tolist() == [9, 8, 7]


@pytest.mark.parametrize(("dtype", "most"), [(np.uint16, 65535), (np.int32, 65535)])
def test_deep_grey_is_scaled_and_not_clipped(tmp_path: Path, dtype: type, most: int) -> None:
    values = np.array([[0, most // 2], [most // 4, most]], dtype)
    path = saved(tmp_path / "a.tiff", Image.fromarray(values))
    assert read_image(path, (2, 2, 1)).pixels[:, :, 0].tolist() == [[0, 127], [64, 255]]


def test_float_grey_and_other_modes(tmp_path: Path) -> None:
    floats = saved(tmp_path / "f.tiff", Image.fromarray(np.array([[0, 0.5], [0.25, 1]], np.float32)))
    assert read_image(floats, (2, 2, 1)).pixels[:, :, 0].tolist() == [[0, 128], [64, 255]]
    bits = saved(tmp_path / "b.png", Image.fromarray(np.array([[True, False]])))
    assert read_image(bits, (1, 2, 1)).pixels.ravel().tolist() == [255, 0]
    cmyk = saved(tmp_path / "c.tiff", Image.new("CMYK", (2, 2), (0, 0, 0, 0)))
    assert (read_image(cmyk, (2, 2, 3)).pixels == 255).all()
    nan = saved(tmp_path / "n.tiff", Image.fromarray(np.array([[0, np.nan]], np.float32)))
    with pytest.raises(DataError, match=r"n\.tiff: .*NaN"):
        read_image(nan, (1, 2, 1))


def test_exif_orientation_is_obeyed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    path = saved(tmp_path / "a.png", Image.fromarray(ramp(6, 4)), exif=exif)
    got = read_image(path, (6, 4, 1))
    np.testing.assert_array_equal(got.pixels[:, :, 0], np.rot90(ramp(6, 4), -1))
    assert got.way == ("6×4 grey", "turned 90° clockwise (EXIF)")


def picture(tmp_path: Path, fit: str) -> Picture:
    image = np.full((8, 16), 200, np.uint8)
    image[:, 4:12] = 50  # the middle square
    return read_image(saved(tmp_path / "a.png", Image.fromarray(image)), (4, 4, 1), fit)


def test_crop_takes_the_middle_pad_keeps_all_stretch_squeezes(tmp_path: Path) -> None:
    assert (picture(tmp_path, "crop").pixels == 50).all()
    padded = picture(tmp_path, "pad").pixels[:, :, 0]
    assert (padded[[0, 3]] == 200).all() and padded[1, 0] > 150 and padded[1, 1] < 120
    stretched = picture(tmp_path, "stretch").pixels[:, :, 0]
    assert (stretched == stretched[0]).all() and stretched[0, 0] > 150 and stretched[0, 1] < 120
    assert picture(tmp_path, "crop").way == ("16×8 grey", "middle 8×8 cut out", "4×4")


def test_reduction_averages_all_pixels(tmp_path: Path) -> None:
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    got = read_image(saved(tmp_path / "a.png", Image.fromarray(board)), (8, 8, 1)).pixels
    assert abs(got.astype(int) - 127).max() < 10, "a chessboard of single pixels is grey"


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"no image"])
def test_unreadable_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.png: cannot be read as an image"):
        read_image(path, (4, 4, 1))
    with pytest.raises(DataError, match="not found"):
        read_image(tmp_path / "none.png", (4, 4, 1))


def test_truncated_and_enormous_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(
        tmp_path / "a.png", Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50), np.uint8))
    )
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"a\.png"):
        read_image(path, (4, 4, 1))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for side in (12, 50):  # a warning of Pillow's, an error of Pillow's
        large = saved(tmp_path / "b.png", Image.new("L", (side, side)))
        with strict_sizes(), pytest.raises(DataError, match=r"b\.png"):
            read_image(large, (4, 4, 1))


def test_shapes_that_images_can_have() -> None:
    assert image_shape((28, 28, 1), "x") == (28, 28, 1) and image_shape((28, 30), "x") == (28, 30, 1)
    assert image_shape((784,), "x") == (28, 28, 1) and image_shape((3072,), "x") == (32, 32, 3)
    for shape in ((5,), (4, 4, 2), (2, 2, 2, 2)):
        with pytest.raises(DataError, match="height, width"):
            image_shape(shape, "x")


# ---- Class folders ------------------------------------------------------------------------------------


def image_tree(root: Path, counts: dict[str, int], side: int = 6) -> None:
    """Image number k of a class is grey of value k."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.new("L", (side, side + number % 3), number).save(root / name / f"{number:03}.png")


def folder(root: Path, classes: int = 3, shape: tuple[int, ...] = (4, 4, 1)):
    return load_dataset(f"folder:{root.name}", input_shape=shape, classes=classes, base_dir=root.parent)


def test_classes_are_numbered_by_name_and_a_fifth_is_for_the_test(tmp_path: Path) -> None:
    image_tree(tmp_path / "d", {"b": 10, "a": 15, "c": 2})
    (tmp_path / "d" / "a" / "notes.txt").write_text("no image")
    (tmp_path / "d" / ".hidden").mkdir()
    data = folder(tmp_path / "d")
    assert data.class_names == ("a", "b", "c")
    assert np.bincount(data.train_t).tolist() == [12, 8, 1] and np.bincount(data.test_t).tolist() == [3, 2, 1]
    every = [(int(t), int(x.flat[0])) for x, t in zip(data.train_x, data.train_t, strict=True)]
    every += [(int(t), int(x.flat[0])) for x, t in zip(data.test_x, data.test_t, strict=True)]
    assert sorted(every) == [(k, n) for k, count in enumerate((15, 10, 2)) for n in range(count)]
    again = folder(tmp_path / "d")
    np.testing.assert_array_equal(again.train_x, data.train_x)
    assert sorted(data.train_t.tolist()) != data.train_t.tolist(), "training images are mixed"


def test_folders_train_and_test(tmp_path: Path) -> None:
    image_tree(tmp_path / "d" / "train", {"cat": 3, "dog": 2})
    image_tree(tmp_path / "d" / "test", {"dog": 4})
    data = folder(tmp_path / "d", classes=2, shape=(4, 4, 3))
    assert data.train_x.shape == (5, 4, 4, 3) and data.test_t.tolist() == [1] * 4
    image_tree(tmp_path / "d" / "test", {"eel": 1})
    with pytest.raises(DataError, match="class eel is not in"):
        folder(tmp_path / "d", classes=2)


def test_faulty_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="relative to the spec's folder"):
        folder(tmp_path / "none")
    (tmp_path / "d").mkdir()
    with pytest.raises(DataError, match="no class folders"):
        folder(tmp_path / "d")
    image_tree(tmp_path / "d", {"a": 3, "b": 3, "c": 3})
    with pytest.raises(DataError, match=r"3 class folders \(a, b, c\), the network has 2 classes"):
        folder(tmp_path / "d", classes=2)
    (tmp_path / "d" / "b" / "002.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(DataError, match=r"b/002\.png: cannot be read as an image"):
        folder(tmp_path / "d")
    for path in (tmp_path / "d" / "b").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="b: no images"):
        folder(tmp_path / "d")
