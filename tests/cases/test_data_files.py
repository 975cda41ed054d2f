"""Files of other people's data: damaged, hostile, in other formats and by other names."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases.data_files import classes, idx, load, write_idx
from PIL import Image

from bench.fuzz import harness, images, npz
from chainrule.runtime.datasets import cifar, load_dataset, look_at
from chainrule.runtime.datasets.cifar import CIFAR100
from chainrule.runtime.errors import DataError
from chainrule.runtime.images import image_size, read_image, strict_sizes
from chainrule.runtime.preprocessing import fitted

T = np.arange(6) % 3
X = np.random.default_rng(0).random((6, 4))


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))


# ---- Names of arrays (D10) ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train"),
        ("x_train", "t_train"),
        ("x", "t"),
        ("x", "y"),
        ("X_train", "Y_train"),
        ("train_images", "train_labels"),
        ("images", "labels"),
        ("xtrain", "ytrain"),
        ("data", "target"),
        ("TrainX", "TrainY"),
    ],
)
def test_d10_arrays_are_found_by_any_usual_name(tmp_path: Path, names: tuple[str, str]) -> None:
    np.savez(tmp_path / "d.npz", **dict(zip(names, (X, T), strict=True)))
    data = load("npz:d.npz", tmp_path, (4,))
    assert data.train_t.tolist() == T.tolist() and len(data.test_x) == 0


@pytest.mark.parametrize("target", ["y", "t"])
def test_d10_all_three_sets(tmp_path: Path, target: str) -> None:
    arrays = {
        f"{what}_{part}": a[:n]
        for part, n in (("train", 6), ("val", 3), ("test", 4))
        for what, a in (("x", X), (target, T))
    }
    np.savez(tmp_path / "d.npz", **arrays, weights=X, x_extra=X)
    data = load("npz:d.npz", tmp_path, (4,))
    assert data.validation is not None
    assert (len(data.train_x), len(data.validation[0]), len(data.test_x)) == (6, 3, 4)
    assert "not used: weights, x_extra" in data.notes


def test_d10_names_that_contradict_each_other_or_lack_something(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=X, y_train=T, t_train=T)
    with pytest.raises(DataError, match="y_train and t_train are both training targets"):
        load("npz:a.npz", tmp_path, (4,))
    np.savez(tmp_path / "b.npz", x_train=X, y_train=T, t=X, x_test=X)  # t: times; a test without targets
    assert "not used: x_test, for which there are no targets" in load("npz:b.npz", tmp_path, (4,)).notes
    np.savez(tmp_path / "c.npz", arr_0=X, arr_1=T)
    with pytest.raises(DataError, match="holds arr_0, arr_1; x_train, y_train"):
        load("npz:c.npz", tmp_path, (4,))


# ---- IDX and CIFAR-100 (D11) --------------------------------------------------------------------------


def test_d11_idx_files_of_ones_own(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (6, 5, 4), np.uint8)
    write_idx(tmp_path / "k", "", x, T.astype(np.uint8))
    write_idx(tmp_path / "k", "", x[:3], T[:3].astype(np.uint8), "t10k")
    data = load("idx:k", tmp_path, (5, 4, 1))
    np.testing.assert_array_equal(data.train_x[..., 0], x)
    assert data.train_t.tolist() == T.tolist() and len(data.test_x) == 3 and data.name == "k"
    seen = look_at(f"idx:{tmp_path / 'k'}")
    assert seen.train_x.shape == (6, 5, 4) and seen.classes


def test_d11_types_of_idx(tmp_path: Path) -> None:
    for code, kind in ((9, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")):
        folder = tmp_path / kind
        folder.mkdir()
        x = np.arange(24).reshape(6, 4).astype(kind)
        (folder / "train-images-idx2-ubyte").write_bytes(idx(x, code))
        (folder / "train-labels-idx1-ubyte").write_bytes(idx(T.astype(np.uint8)))
        np.testing.assert_array_equal(load(f"idx:{kind}", tmp_path, (4,)).train_x, x.astype(np.float32))


def test_d11_pictures_of_emnist_are_transposed_and_its_labels_count_from_1(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (6, 4, 4), np.uint8)
    t = (T + 1).astype(np.uint8)
    write_idx(tmp_path / "e", "emnist-letters-", x, t)
    write_idx(tmp_path / "e", "emnist-letters-", x, t, "test")
    (tmp_path / "e" / "emnist-letters-mapping.txt").write_text("1 65 97\n2 66 98\n3 67 99\n")
    data = load("idx:e", tmp_path, (4, 4, 1))
    np.testing.assert_array_equal(data.train_x[..., 0], x.transpose(0, 2, 1))
    assert data.train_t.tolist() == data.test_t.tolist() == T.tolist()
    assert data.class_names == ("A/a", "B/b", "C/c")
    assert any("transposed" in note for note in data.notes) and any("from 1" in note for note in data.notes)
    write_idx(tmp_path / "e", "emnist-digits-", x, t - 1)
    with pytest.raises(
        DataError, match=r"2 sets of IDX files; name one: idx:.*emnist-digits-, idx:.*letters-"
    ):
        load("idx:e", tmp_path, (4, 4, 1))
    assert load("idx:e/emnist-digits", tmp_path, (4, 4, 1)).train_t.tolist() == T.tolist()


def test_d11_labels_from_1_elsewhere_are_refused_with_the_remedy(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=X, t=T + 1)
    with pytest.raises(DataError, match=r"label 3 at index 2 .* stored as t - 1"):
        load("npz:d.npz", tmp_path, (4,))


def hundred(seed: int, count: int = 3) -> bytes:
    rng = np.random.default_rng(seed)
    return b"".join(bytes([k % 20, 97 + k]) + rng.bytes(3072) for k in range(count))


def test_d11_cifar100_by_its_fine_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "CIFAR100", replace(CIFAR100, records=3, test_records=3))
    folder = tmp_path / "cifar100"
    folder.mkdir()
    (folder / "train.bin").write_bytes(hundred(0))
    (folder / "test.bin").write_bytes(hundred(1))
    (folder / "fine_label_names.txt").write_text("\n".join(f"kind{k}" for k in range(100)))

    def loaded():
        return load_dataset("cifar100", data_dir=tmp_path, input_shape=(32, 32, 3), classes=100)

    data = loaded()
    plane = np.frombuffer(hundred(0)[3074 + 2 :], np.uint8)[1024:2048].reshape(32, 32)
    np.testing.assert_array_equal(data.train_x[1, :, :, 1], plane)
    assert data.train_t.tolist() == [97, 98, 99] and data.class_names[99] == "kind99"
    (folder / "train.bin").write_bytes(hundred(0, 4)[3074:])
    with pytest.raises(DataError, match="label 100 in record 2 is outside 0 … 99"):
        loaded()


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_d11_pickles_are_never_loaded(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}[name]
    folder.mkdir(parents=True)
    (folder / "train").write_bytes(pickle.dumps({"data": 1}))
    with pytest.raises(DataError, match="is pickled, and never loaded: get the binary version"):
        load_dataset(name, data_dir=tmp_path, input_shape=(32, 32, 3), classes=100)


# ---- Nothing is fetched unasked (R10) -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion_mnist"])
def test_r10_shapes_come_first_and_nothing_is_fetched_unasked(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(*arguments: object, **options: object) -> None:
        raise AssertionError("fetched")

    monkeypatch.setattr("chainrule.runtime.datasets.fetch", fetch)
    with pytest.raises(DataError, match=r"the network takes \(2,\) = 2"):
        load_dataset(name, input_shape=(2,), download=True)
    with pytest.raises(DataError, match="classes, the network has 7"):
        shape = (28, 28, 1) if name == "fashion_mnist" else (32, 32, 3)
        load_dataset(name, input_shape=shape, classes=7, output_shape=(7,), download=True)
    with pytest.raises(DataError, match="--download fetches it"):
        load_dataset(name, input_shape=shape)


# ---- Archives (R8, faults 14 and 30) ------------------------------------------------------------------


def member(header: str, body: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(text)) + text + body


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED, twice: bool = False) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
        if twice:
            with pytest.warns(UserWarning, match="Duplicate"):
                file.writestr(name, content)
    return out.getvalue()


def saved(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


HEADER = "{{'descr': '<f8', 'fortran_order': False, 'shape': {}, }}"
GOOD = {"x.npy": saved(X), "t.npy": saved(T)}


def encrypted() -> bytes:
    data = bytearray(archive(GOOD))
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + offset] |= 1
    return bytes(data)


def corrupt() -> bytes:
    data = bytearray(archive(GOOD, zipfile.ZIP_DEFLATED))
    data[data.index(b"PK\3\4") + 80] ^= 255
    return bytes(data)


def bad_archives() -> dict[str, tuple[bytes, str]]:
    bomb = member(HEADER.format("(67108864,)"), bytes(1000))
    return {
        "encrypted": (encrypted(), "encrypted"),
        "bzip2": (archive(GOOD, zipfile.ZIP_BZIP2), "method 12"),
        "lzma": (archive(GOOD, zipfile.ZIP_LZMA), "method 14"),
        "corrupt": (corrupt(), "cannot be read as a NumPy archive"),
        "truncated": (archive(GOOD)[:-40], "cannot be read as a NumPy archive"),
        "twice": (archive(GOOD, twice=True), "t is in it twice"),
        "objects": (archive({**GOOD, "x.npy": saved(np.array([{}, {}], object))}), "Python objects"),
        "huge claim": (archive({**GOOD, "x.npy": bomb}), "claims the shape"),
        "2**80": (archive({**GOOD, "x.npy": member(HEADER.format(f"({2**80},)"))}), "claims the shape"),
        "negative": (archive({**GOOD, "x.npy": member(HEADER.format("(-1, 4)"))}), "claims the shape"),
        "zero times huge": (
            archive({**GOOD, "x.npy": member(HEADER.format(f"(0, {2**70})"))}),
            "claims the shape",
        ),
        "code": (archive({**GOOD, "x.npy": member("__import__('os').abort()")}), "damaged header"),
        "deep": (archive({**GOOD, "x.npy": member("(" * 110)}), "damaged header"),
        "version 9": (archive({**GOOD, "x.npy": member(HEADER.format("(6,)"), version=(9, 0))}), "version"),
        "too short": (archive({**GOOD, "x.npy": saved(X)[:-8]}), "claims"),
        "too long": (archive({**GOOD, "x.npy": saved(X) + bytes(8)}), "there are more"),
        "records": (archive({**GOOD, "x.npy": saved(np.zeros((6, 4), "f8,i4"))}), "numbers are needed"),
        "times": (archive({**GOOD, "x.npy": saved(np.zeros((6, 4), "m8[s]"))}), "numbers are needed"),
        "no archive": (b"PK\3\4 no archive", "cannot be read"),
        "empty": (b"", "cannot be read"),
    }


@pytest.mark.parametrize("kind", bad_archives())
def test_r8_bad_archive_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    content, message = bad_archives()[kind]
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load("npz:d.npz", tmp_path, (4,))
    assert "d.npz: " in str(caught.value) and "\n" not in str(caught.value) and caught.value.exit_code == 3


def test_14_more_than_the_machine_has_is_refused_before_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zeros = member(HEADER.format("(6, 4000)"), bytes(6 * 4000 * 8))
    (tmp_path / "d.npz").write_bytes(archive({**GOOD, "x.npy": zeros}, zipfile.ZIP_DEFLATED))
    monkeypatch.setattr("chainrule.runtime.datasets.archive.available_memory", lambda: 100_000)
    with pytest.raises(DataError, match="unpacks to 192,000 bytes"):
        load("npz:d.npz", tmp_path, (4000,))


def test_samples_of_no_set_may_be_lacking(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x_train=X, y_train=T, x_val=X[:0], y_val=T[:0])
    with pytest.raises(DataError, match="validation: no samples"):
        load("npz:d.npz", tmp_path, (4,))


# ---- Only regular files, few pixels (R9) --------------------------------------------------------------


@pytest.mark.parametrize("what", ["fifo", "device", "folder"])
def test_r9_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.png"
    if what == "fifo":
        os.mkfifo(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    message = "a folder" if what == "folder" else "not a regular file"
    with pytest.raises(DataError, match=message):
        read_image(path, (4, 4, 1))
    with pytest.raises(DataError, match=message):
        load_dataset(f"npz:{path}", input_shape=(4,))
    if what != "folder":
        classes(tmp_path / "d", names=("0", "1"))
        path.rename(tmp_path / "d" / "0" / "a.png")
        assert len(load("folder:d", tmp_path, (6, 6, 3), classes=2).train_x) == 8, "none of the samples"


def png(side: int, colour: int = 2, depth: int = 8) -> bytes:
    """A small file of a great many black pixels."""
    row = bytes(1 + side * {0: 1, 2: 3, 6: 4}[colour] * depth // 8)
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", rows), (b"IEND", b""))
    packed = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def test_r9_pixels_are_counted_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(png(300))
    assert read_image(tmp_path / "a.png", (4, 4, 3)).pixels.max() == 0
    monkeypatch.setattr("chainrule.runtime.imagefiles.MOST_PIXELS", 89_999)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    for read in (lambda p: read_image(p, (4, 4, 3)), image_size):
        with strict_sizes(), pytest.raises(DataError, match="300 × 300 pixels, at most"):
            read(tmp_path / "a.png")


# ---- Damaged images (R8) ------------------------------------------------------------------------------


def bad_images() -> dict[str, bytes]:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    found = {}
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
        out = io.BytesIO()
        noise.save(out, kind)
        found[f"{kind} cut"] = out.getvalue()[: len(out.getvalue()) // 2]
        found[f"{kind} head"] = out.getvalue()[:20]
    out = io.BytesIO()
    noise.save(out, "PNG")
    whole = bytearray(out.getvalue())
    whole[60] ^= 255
    found["PNG checksum"] = bytes(whole)
    found["PNG size"] = out.getvalue()[:16] + struct.pack(">II", 0, 40) + out.getvalue()[24:]
    found["EPS"] = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(no) print\n"  # would start Ghostscript
    return found


@pytest.mark.parametrize("kind", bad_images())
def test_r8_damaged_image_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.png").write_bytes(bad_images()[kind])
    if kind == "JPEG cut":  # what there is of a JPEG is a picture to some readers, and none to this one
        assert b"\xff\xd9" not in bad_images()[kind][-2:]
    with strict_sizes(), pytest.raises(DataError, match=r"a\.png: cannot be read as an image") as caught:
        read_image(tmp_path / "a.png", (4, 4, 3))
    assert "\n" not in str(caught.value) and caught.value.exit_code == 3


def test_r8_broken_metadata_do_not_keep_a_picture_from_being_read(tmp_path: Path) -> None:
    exif, path = Image.Exif(), tmp_path / "a.jpg"
    exif[0x0112] = 6
    Image.new("RGB", (6, 4), (200, 0, 0)).save(path, exif=exif, icc_profile=b"no profile", quality=95)
    content = path.read_bytes()
    where = content.index(b"Exif\0\0") + 6
    path.write_bytes(content[:where] + b"\xff" * 12 + content[where + 12 :])
    with strict_sizes():
        assert read_image(path, (4, 6, 3)).way == ("6×4 RGB",)


# ---- Hostile inputs, drawn -----------------------------------------------------------------------------


@pytest.mark.parametrize(("campaign", "count"), [(npz, 60), (images, 60)], ids=["npz", "images"])
def test_drawn_inputs_are_read_or_refused(campaign: object, count: int) -> None:
    """A slice of the campaigns of bench/fuzz."""
    outcomes = list(harness.run(campaign.make, campaign.check, range(count), seed=1))  # type: ignore[attr-defined]
    assert [outcome for outcome in outcomes if outcome.fault] == []
    assert {outcome.word for outcome in outcomes} == {"read", "refused"}


# ---- Standardizing -------------------------------------------------------------------------------------


def test_a_spread_of_a_unit_in_the_last_place_is_no_spread() -> None:
    one = np.float32(0.7)
    near = np.array([[one], [np.nextafter(one, np.float32(1))], [one]])
    far = np.array([[one], [one + np.float32(1e-4)], [one]])
    for kind in ("zscore", "minmax"):
        assert (fitted(kind, near)(near) == 0).all(), "rounding is not data"
        assert np.ptp(fitted(kind, far)(far)) > 0.9, "what is small is"
    assert np.ptp(fitted("zscore", near - one)(near - one)) > 1, "about 0, a unit in the last place is a lot"
