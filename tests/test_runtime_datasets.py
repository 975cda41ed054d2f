"""Data: IDX files, the embedded digits, archives, tables and folders (faults 14, 17 and 18)."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from small_sets import idx, small_set

from chainrule.runtime.datasets import as_floats, load_dataset
from chainrule.runtime.datasets.embedded import load_embedded
from chainrule.runtime.datasets.embedded.make import make
from chainrule.runtime.datasets.idx import read_idx
from chainrule.runtime.datasets.sources import SOURCES
from chainrule.runtime.errors import DataError

REAL = os.environ.get("CHAINRULE_DATA")
XOR = {"inputs": [[0, 0], [0, 1], [1, 0], [1, 1]], "targets": [[0], [1], [1], [0]]}


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def write_set(folder: Path, files: dict[str, bytes], zipped: bool = False) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / (name + ".gz" * zipped)).write_bytes(gzip.compress(content) if zipped else content)


# ---- IDX files (fault 14) -------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_is_read(tmp_path: Path, zipped: bool) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    np.testing.assert_array_equal(read_idx(path, ndim=3), array)


def damaged() -> dict[str, bytes]:
    good = idx(np.zeros((5, 4, 4), np.uint8))
    huge = bytes((0, 0, 8, 3)) + struct.pack(">3I", 2**31, 28, 28) + bytes(100)
    packed = gzip.compress(idx(np.random.default_rng(0).integers(0, 256, (99, 9, 9), dtype=np.uint8)))
    return {
        "truncated gz": packed[: len(packed) // 2],
        "gz without its checksum": packed[:-8],
        "gz with a wrong checksum": packed[:-8] + bytes(8),
        "wrong magic": b"\0\0\x0d\3" + good[4:],
        "labels for images": idx(np.zeros(5, np.uint8)),
        "HTML": b"<!DOCTYPE html><html>not here</html>",
        "empty": b"",
        "ends inside its header": good[:9],
        "too short": good[:-1],
        "too long": good + b"\0",
        "too long gz": gzip.compress(good + b"\0"),
        "too short gz": gzip.compress(good[:-1]),
        "2**31 images": huge,
        "2**31 images gz": gzip.compress(huge),
    }


@pytest.mark.parametrize("fault", damaged())
def test_damaged_idx_is_refused_by_name(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "train-images"
    path.write_bytes(damaged()[fault])
    with pytest.raises(DataError, match="train-images") as caught:
        read_idx(path, ndim=3)
    assert caught.value.exit_code == 3


def test_claim_within_the_ratio_of_gzip_allocates_no_more_than_is_there(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "x.gz"
    noise = np.random.default_rng(0).bytes(1 << 20)
    path.write_bytes(gzip.compress(bytes((0, 0, 8, 1)) + struct.pack(">I", 900 << 20) + noise))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="only 1048576"):
            read_idx(path, ndim=1)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


# ---- Values (fault 17) ----------------------------------------------------------------------


def test_label_beyond_the_classes_is_named_with_its_index(tmp_path: Path) -> None:
    write_set(tmp_path / "mnist", small_set((0, 9, 3)))
    with pytest.raises(DataError, match=r"label 9 at index 1 is outside 0 … 4"):
        load_dataset("mnist", data_dir=tmp_path, input_shape=(784,), classes=5)


@pytest.mark.parametrize(
    ("x", "t", "message"),
    [
        (np.array([[1.0, 2.0], [3.0, np.nan]]), np.array([0, 1]), r"nan at index \(1, 1\)"),
        (np.array([[1.0, np.inf], [3.0, 1.0]]), np.array([0, 1]), r"inf at index \(0, 1\)"),
        (np.ones((2, 2)), np.array([0, -1]), "label -1 at index 1"),
        (np.ones((2, 2)), np.array([0.5, 1.0]), "whole numbers"),
        (np.ones((2, 2)), np.array([0]), "2 inputs but 1 targets"),
        (np.ones((2, 3)), np.array([0, 1]), r"\(3,\) = 3 values, the network takes \(2,\) = 2"),
        (np.ones((0, 2)), np.zeros(0, int), "no samples"),
        (np.array([["a", "b"]]), np.array([0]), "numbers are needed"),
    ],
)
def test_bad_arrays_of_an_archive(tmp_path: Path, x: np.ndarray, t: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "d.npz", x=x, t=t)
    with pytest.raises(DataError, match=message):
        load_dataset("npz:d.npz", input_shape=(2,), classes=2, base_dir=tmp_path)


def test_archive_with_train_and_test(tmp_path: Path) -> None:
    x = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    np.savez(tmp_path / "d.npz", x_train=x, y_train=[1, 2], x_test=x[:1], y_test=[0])
    data = load_dataset("npz:d.npz", input_shape=(4,), classes=3, base_dir=tmp_path)
    assert data.train_x.shape == (2, 4) and data.test_x.shape == (1, 4)
    assert data.train_x.dtype == np.uint8 and as_floats(data.train_x).max() == np.float32(7 / 255)
    assert data.train_t.tolist() == [1, 2] and data.test_t.dtype == np.int64
    values = load_dataset("npz:d.npz", input_shape=(4,), target_kind="values", classes=3, base_dir=tmp_path)
    assert values.train_t.tolist() == [[0, 1, 0], [0, 0, 1]]


def test_archive_with_objects_is_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.array([{}, {}], dtype=object), t=np.array([0, 1]))
    with pytest.raises(DataError, match="Python objects"):
        load_dataset("npz:d.npz", input_shape=(2,), base_dir=tmp_path)


def test_archive_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "d.npz").write_bytes(b"PK\3\4 no archive")
    with pytest.raises(DataError, match=r"d\.npz: cannot be read"):
        load_dataset("npz:d.npz", input_shape=(2,), base_dir=tmp_path)
    with pytest.raises(DataError, match="not found"):
        load_dataset("npz:none.npz", input_shape=(2,), base_dir=tmp_path)


def test_archive_whose_header_claims_too_much(tmp_path: Path) -> None:
    import zipfile

    member = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (2**40,)}
    np.lib.format.write_array_header_1_0(member, header)
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x.npy", member.getvalue())
        archive.writestr("t.npy", member.getvalue())
    with pytest.raises(DataError, match="claims the shape"):
        load_dataset("npz:d.npz", input_shape=(2,), base_dir=tmp_path)


def test_table_of_the_spec_has_no_test_set() -> None:
    data = load_dataset(XOR, input_shape=(2,), target_kind="values", classes=2)
    assert data.train_t.shape == (4, 1) and data.test_x.shape == (0, 2) and data.test_t.shape == (0, 1)
    with pytest.raises(DataError, match="targets missing"):
        load_dataset({"inputs": [[1]]}, input_shape=(1,))
    with pytest.raises(DataError, match="equal length"):
        load_dataset({"inputs": [[1], [1, 2]], "targets": [[0], [1]]}, input_shape=(1,))


# ---- Embedded digits ------------------------------------------------------------------------


def test_embedded_digits_are_balanced() -> None:
    raw = load_embedded()
    train, test = raw.parts["training"], raw.parts["test"]
    assert train.x.shape == (5000, 28, 28) and test.x.shape == (1000, 28, 28)
    assert np.bincount(train.t).tolist() == [500] * 10
    assert np.bincount(test.t).tolist() == [100] * 10


def test_mnist_falls_back_to_the_embedded_digits_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    data = load_dataset("mnist", input_shape=(784,))
    assert data.name == "mnist_embedded" and data.train_x.flags.c_contiguous
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "the cache" in lines[0] and "--data-dir" in lines[0]


def test_embedded_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    load_dataset("embedded", input_shape=(28, 28, 1))
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(REAL is None, reason="needs CHAINRULE_DATA")
def test_embedded_digits_are_made_from_mnist() -> None:
    from chainrule.runtime.datasets.embedded import FILE

    assert make(Path(str(REAL)) / "mnist") == FILE.read_bytes()


@pytest.mark.skipif(REAL is None, reason="needs CHAINRULE_DATA")
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_real_files(name: str) -> None:
    data = load_dataset(name, data_dir=Path(str(REAL)), input_shape=(28, 28, 1))
    assert data.train_x.shape == (60000, 28, 28, 1) and data.test_x.shape == (10000, 28, 28, 1)
    assert data.train_x.min() == 0 and as_floats(data.train_x[:100]).max() == 1
    assert np.bincount(data.test_t).min() > 800


@pytest.mark.skipif(REAL is None, reason="needs CHAINRULE_DATA")
def test_pinned_hashes() -> None:
    for source in (SOURCES["mnist"], SOURCES["fashion_mnist"]):
        for file in source.files:
            content = gzip.decompress((Path(str(REAL)) / source.folders[0] / f"{file.name}.gz").read_bytes())
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)


@pytest.mark.skipif(REAL is None, reason="needs CHAINRULE_DATA")
def test_files_of_the_other_set_are_not_taken() -> None:
    said: list[str] = []
    folder = Path(str(REAL)) / "fashion-mnist"
    data = load_dataset("mnist", data_dir=folder, input_shape=(784,), notify=said.append)
    assert data.name == "mnist_embedded" and "it holds fashion_mnist" in said[0]


# ---- Folders (faults 14 and 18) -------------------------------------------------------------


@pytest.mark.parametrize("folder", ["mnist", "."])
@pytest.mark.parametrize("zipped", [False, True])
def test_places(tmp_path: Path, folder: str, zipped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    files = small_set()
    if folder == ".":
        files = {name.replace("-idx", ".idx"): content for name, content in files.items()}
    write_set(tmp_path / "d" / folder, files, zipped)
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "d"))
    data = load_dataset("mnist", input_shape=(784,))
    assert data.name == "mnist" and data.train_t.tolist() == [0, 9, 3]


def test_fashion_offline_lists_every_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = small_set()
    del files["t10k-labels-idx1-ubyte"]
    write_set(tmp_path / "a" / "fashion-mnist", files)
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "b"))
    with pytest.raises(DataError) as caught:
        load_dataset("fashion_mnist", data_dir=tmp_path / "a", input_shape=(784,), download=False)
    text = str(caught.value)
    assert "lacks t10k-labels-idx1-ubyte" in text
    assert text.index("1. --data-dir") < text.index("2. $CHAINRULE_DATA") < text.index("3. the cache")


def test_no_such_data_dir(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        load_dataset("mnist", data_dir=tmp_path / "none", input_shape=(784,))


def test_damaged_cache_is_removed_and_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "mnist"
    write_set(folder, small_set())  # not the published content
    said: list[str] = []
    data = load_dataset("mnist", input_shape=(784,), notify=said.append)
    assert data.name == "mnist_embedded" and "damaged, removed" in said[0]
    assert list(folder.iterdir()) == []
