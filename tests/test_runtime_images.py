"""CIFAR-10's binary files and archive, image files, and class folders (faults 14 to 17)."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chainrule.runtime.datasets import cifar, load_dataset
from chainrule.runtime.datasets import download as fetching
from chainrule.runtime.datasets.cifar import CIFAR10
from chainrule.runtime.datasets.sources import SOURCES
from chainrule.runtime.errors import DataError
from chainrule.runtime.images import Picture, image_shape, read_image, strict_sizes

REAL = os.environ.get("CHAINRULE_DATA")
FEW = 3  # records of a file in these tests
BINARY, FOLDER = CIFAR10.binary, CIFAR10.folder
SHAPE = (32, 32, 3)


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))


# ---- CIFAR-10 (faults 14, 16 and 17) ----------------------------------------------------------------


def records(seed: int, labels: tuple[int, ...] = (0, 9, 3)) -> bytes:
    rng = np.random.default_rng(seed)
    return b"".join(bytes([label]) + rng.bytes(3072) for label in labels)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    monkeypatch.setattr(cifar, "CIFAR10", replace(CIFAR10, records=FEW, test_records=FEW))
    return {name: records(number) for number, name in enumerate(BINARY)}


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def load(folder: Path):
    return load_dataset("cifar10", data_dir=folder, input_shape=SHAPE, download=False)


@pytest.mark.parametrize("folder", ["cifar10", FOLDER, "."])
def test_records_become_images(tmp_path: Path, files: dict[str, bytes], folder: str) -> None:
    write(tmp_path / folder, files)
    data = load(tmp_path)
    assert data.train_x.shape == (15, *SHAPE) and data.test_x.shape == (3, *SHAPE)
    assert data.train_x.dtype == np.uint8 and data.train_t.tolist() == [0, 9, 3] * 5
    second = files[BINARY[1]][2 * 3073 + 1 :]  # third record of the second file, less its label
    for channel in range(3):  # 1,024 red, green, blue, each row by row
        plane = np.frombuffer(second, np.uint8)[channel * 1024 : (channel + 1) * 1024].reshape(32, 32)
        np.testing.assert_array_equal(data.train_x[FEW + 2, :, :, channel], plane)
    assert data.class_names[3] == "cat"


def test_classes_have_the_names_of_the_file_beside_them(tmp_path: Path, files: dict[str, bytes]) -> None:
    names = [f"kind {number}" for number in range(10)]
    write(tmp_path / "cifar10", files | {"batches.meta.txt": ("\n".join(names) + "\n\n").encode()})
    assert load(tmp_path).class_names == tuple(names)
    (tmp_path / "cifar10" / "batches.meta.txt").write_text("one\ntwo\n")
    with pytest.raises(DataError, match=r"batches\.meta\.txt: 2 names"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (records(0)[:-1], r"data_batch_3\.bin: has 9,218 bytes = 3\.0 records"),
        (records(0)[:-3073], r"data_batch_3\.bin: has 6,146 bytes = 2\.0 records"),
        (b"", r"data_batch_3\.bin: has 0 bytes"),
        (b"<html>sign in</html>", r"data_batch_3\.bin: has 20 bytes"),
        (records(0, (0, 200, 1)), r"data_batch_3\.bin: label 200 in record 1 is outside 0 … 9"),
    ],
)
def test_damaged_file_is_refused_by_name(
    tmp_path: Path, files: dict[str, bytes], content: bytes, message: str
) -> None:
    write(tmp_path / "cifar10", files | {BINARY[2]: content})
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path)
    assert caught.value.exit_code == 3


def test_absent_file_is_named(tmp_path: Path, files: dict[str, bytes]) -> None:
    del files["data_batch_4.bin"]
    write(tmp_path / "cifar10", files)
    with pytest.raises(DataError, match=r"lacks data_batch_4\.bin") as caught:
        load(tmp_path)
    assert "data_batch_1.bin" in str(caught.value) and "--data-dir" in str(caught.value)


def archive(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def regular(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def test_only_the_named_members_of_an_archive_are_read(tmp_path: Path, files: dict[str, bytes]) -> None:
    good = [regular(f"{FOLDER}/{name}", content) for name, content in files.items()]
    evil = [
        regular("../evil.bin", b"x"),
        regular("/evil.bin", b"x"),
        regular(f"{FOLDER}/../../evil.bin", b"x"),
        special(f"{FOLDER}/batches.meta.txt", tarfile.SYMTYPE, "/etc/passwd"),
        special(f"{FOLDER}/device", tarfile.CHRTYPE),
    ]
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "cifar-10-binary.tar.gz").write_bytes(archive(evil + good))
    assert load(tmp_path).train_t.tolist() == [0, 9, 3] * 5
    assert [path.name for path in tmp_path.rglob("*.bin")] == []


def bad_archives(files: dict[str, bytes]) -> dict[str, tuple[bytes, str]]:
    good = [regular(f"{FOLDER}/{name}", content) for name, content in files.items()]
    linked = [*good[:-1], special(f"{FOLDER}/test_batch.bin", tarfile.LNKTYPE, f"{FOLDER}/data_batch_1.bin")]
    huge = tarfile.TarInfo("other")
    huge.size = 1 << 40
    return {
        "truncated": (archive(good)[:-2000], "truncated or damaged"),
        "HTML": (b"<html>sign in</html>", "truncated or damaged"),
        "lacking": (archive(good[:-1]), r"no file cifar-10-batches-bin/test_batch\.bin"),
        "linked": (archive(linked), r"no file cifar-10-batches-bin/test_batch\.bin"),
        "twice": (archive([*good, good[0]]), "is there twice"),
        "short": (archive([regular(f"{FOLDER}/{BINARY[0]}", b"x")]), "has 1 bytes"),
        "bomb": (_claims(huge), "unpacks to more than"),
    }


def _claims(member: tarfile.TarInfo) -> bytes:
    import gzip

    return gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


@pytest.mark.parametrize("kind", ["truncated", "HTML", "lacking", "linked", "twice", "short", "bomb"])
def test_bad_archive_is_refused_by_name(tmp_path: Path, files: dict[str, bytes], kind: str) -> None:
    content, message = bad_archives(files)[kind]
    write(tmp_path / "cifar10", {"cifar-10-binary.tar.gz": content})
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path)
    assert "cifar-10-binary.tar.gz" in str(caught.value)


def test_archive_of_the_cache_is_not_used_when_it_is_another(tmp_path: Path, files: dict[str, bytes]) -> None:
    good = archive([regular(f"{FOLDER}/{name}", content) for name, content in files.items()])
    cached = tmp_path / "cache" / "cifar10"
    write(cached, {"cifar-10-binary.tar.gz": good})  # whole, but not what is published
    with pytest.raises(DataError, match="damaged, removed"):
        load_dataset("cifar10", input_shape=SHAPE, download=False)
    assert list(cached.iterdir()) == []


def test_the_pin_is_that_of_the_published_archive() -> None:
    (file,) = SOURCES["cifar10"].files
    assert file.remote == "cifar-10-binary.tar.gz" and file.size == 170_052_171
    assert file.content(b"\x1f\x8bas it is") == b"\x1f\x8bas it is"


def test_downloaded_archive_is_kept_whole_and_another_content_never(
    tmp_path: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = archive([regular(f"{FOLDER}/{name}", content) for name, content in files.items()])
    answers = {"bad": good[:-1] + b"x", "html": b"<html>sign in</html>", "good": good}
    asked: list[str] = []

    def fetch(url: str, limit: int, timeout: float) -> bytes:
        asked.append(url.split("/")[2])
        assert url.endswith("/cifar-10-binary.tar.gz")
        return answers[asked[-1]]

    monkeypatch.setattr(fetching, "_fetch", fetch)
    (file,) = SOURCES["cifar10"].files
    file = replace(file, size=len(good), sha256=hashlib.sha256(good).hexdigest())
    for mirrors in (("bad", "html"), ("bad", "html", "good")):
        source = replace(SOURCES["cifar10"], files=(file,), mirrors=tuple(f"https://{m}/" for m in mirrors))
        monkeypatch.setitem(SOURCES, "cifar10", source)
        if "good" not in mirrors:
            with pytest.raises(DataError, match="another content"):
                load_dataset("cifar10", input_shape=SHAPE, download=True)
            assert not list(tmp_path.rglob("*.gz"))
    for _ in range(2):
        assert load_dataset("cifar10", input_shape=SHAPE, download=True).train_t.tolist() == [0, 9, 3] * 5
    assert asked == ["bad", "html", "bad", "html", "good"], "the second time it is there"
    assert (tmp_path / "cache" / "cifar10" / "cifar-10-binary.tar.gz").read_bytes() == good


@pytest.mark.skipif(
    REAL is None or not (Path(REAL) / "cifar10" / BINARY[0]).is_file(), reason="needs CIFAR-10"
)
def test_real_files() -> None:
    data = load(Path(str(REAL)))
    assert data.train_x.shape == (50_000, *SHAPE) and data.test_x.shape == (10_000, *SHAPE)
    assert (
        np.bincount(data.train_t).tolist() == [5000] * 10 and np.bincount(data.test_t).tolist() == [1000] * 10
    )
    assert data.train_x.nbytes == 50_000 * 3072


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
