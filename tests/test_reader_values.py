"""Archives, IDX files and downloads: what is read of them and what is refused, on both sides of a limit."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chainrule.runtime.datasets import archive, download
from chainrule.runtime.datasets.archive import Archive, open_archive
from chainrule.runtime.datasets.idx_files import load_idx
from chainrule.runtime.datasets.sources import DataSource, File
from chainrule.runtime.errors import DataError

DEFLATED = zipfile.ZIP_DEFLATED


def refusal(function: Any, *arguments: Any) -> str:
    with pytest.raises(DataError) as found:
        function(*arguments)
    return str(found.value)


# ---- Archives ------------------------------------------------------------------------------------------


def array(shape: tuple[Any, ...], body: bytes = b"") -> bytes:
    """The bytes of an array of bytes, whose header may claim any shape."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return out.getvalue() + body


def opened(
    content: bytes, method: int = zipfile.ZIP_STORED, flags: int = 0, size: int = 10**9, **said: int
) -> Any:
    """An archive of one array x, whose directory may say anything; of the file there are `size` bytes."""
    info = zipfile.ZipInfo("x.npy")
    info.compress_type, info.flag_bits = method, flags
    info.file_size, info.compress_size = said.get("unpacked", 10**9), said.get("packed", 10**9)
    file = SimpleNamespace(infolist=lambda: [info], open=lambda _: io.BytesIO(content))
    return Archive(Path("x.npz"), file, size)  # type: ignore[arg-type]


def fault(held: Any) -> str:
    with pytest.raises(archive._Fault) as found:
        held["x"]
    return str(found.value)


@pytest.mark.parametrize(
    ("limits", "least"),
    [
        ({"unpacked": 2064}, 2064),
        ({"packed": 2064}, 2064),
        ({"size": 2064}, 2064),
        ({"method": DEFLATED, "packed": 2}, 2064),
        ({"method": DEFLATED, "size": 2}, 2064),
        ({"method": DEFLATED, "packed": 2, "unpacked": 2000}, 2000),
    ],
)
def test_an_array_is_no_longer_than_its_bytes_may_unpack_to(limits: dict[str, int], least: int) -> None:
    """Deflate makes at most 1032 bytes of one."""
    assert opened(array((least,), bytes(least)), **limits)["x"].tolist() == [0] * least
    more = opened(array((least + 1,), bytes(least + 1)), **limits)
    unpacked = limits.get("unpacked", 10**9)
    assert fault(more) == f"x claims the shape ({least + 1},) of uint8 but has {unpacked} bytes"


def test_an_array_takes_no_more_than_there_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "available_memory", lambda: 1500)
    assert len(opened(array((1500,), bytes(1500)))["x"]) == 1500
    said = "x unpacks to 1,501 bytes, more than this machine has free"
    assert fault(opened(array((1501,), bytes(1501)))) == said


def test_one_flag_says_that_an_array_is_encrypted() -> None:
    assert opened(array((1,), b"7"), flags=0b11111110)["x"].tolist() == [ord("7")]
    assert fault(opened(array((1,), b"7"), flags=1)) == "x is encrypted"
    said = "x is compressed by method 12; np.savez writes another one"
    assert fault(opened(array((1,), b"7"), method=zipfile.ZIP_BZIP2)) == said


@pytest.mark.parametrize(
    ("shape", "fits"),
    [
        ((0,) * 32, True),
        ((0,) * 33, False),
        ((0, (1 << 40) - 1), True),
        ((0, 1 << 40), False),
        ((0, -1), False),
        ((0, True), False),
    ],
)
def test_shapes_that_an_array_may_have(shape: tuple[Any, ...], fits: bool) -> None:
    held = opened(array(shape))
    if fits:
        assert held["x"].shape == shape
    else:
        assert fault(held) == f"x claims the shape {str(shape)[:80]}"


def test_an_array_comes_in_pieces_all_of_which_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "CHUNK", 4)
    body = bytes(range(10))
    assert opened(array((10,), body))["x"].tolist() == list(range(10))
    assert fault(opened(array((9,), body))) == "x claims 9 bytes of data, there are more"
    assert fault(opened(array((11,), body))) == "x claims 11 bytes of data, there are only 10"


def test_arrays_are_read_in_either_order_and_version_by_their_names(tmp_path: Path) -> None:
    x = np.arange(6.0).reshape(2, 3)
    newer = io.BytesIO()
    np.lib.format.write_array(newer, x, version=(2, 0))
    with zipfile.ZipFile(tmp_path / "d.npz", "w", DEFLATED) as file:
        for name, content in (("b", x), ("a", np.asfortranarray(x))):
            out = io.BytesIO()
            np.save(out, content)
            file.writestr(f"{name}.npy", out.getvalue())
        file.writestr("c.npy", newer.getvalue())
        file.writestr("notes.txt", "no array")
    with open_archive(tmp_path / "d.npz") as held:
        assert held.names == ("b", "a", "c")
        assert all(held[name].tolist() == x.tolist() for name in held.names)


@pytest.mark.parametrize("count", [1000, 1001])
def test_a_thousand_members_are_looked_at(count: int) -> None:
    infos = [zipfile.ZipInfo(f"{k}.npy") for k in range(count)]
    file: Any = SimpleNamespace(infolist=lambda: infos)
    if count == 1000:
        assert len(Archive(Path("x.npz"), file, 1).names) == count
        return
    with pytest.raises(archive._Fault, match=r"^1001 members, at most 1000 are looked at$"):
        Archive(Path("x.npz"), file, 1)


def test_what_is_wrong_is_said_in_a_line_that_is_not_too_long() -> None:
    assert archive._line(ValueError("a\n  b")) == "a b"
    assert archive._line(ValueError("a" * 200)) == "a" * 200
    assert archive._line(ValueError("a" * 201)) == "a" * 200 + "…"


# ---- IDX files -----------------------------------------------------------------------------------------


def write(path: Path, values: Any) -> None:
    values = np.asarray(values, np.uint8)
    path.write_bytes(
        struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()
    )


X, T = np.arange(12).reshape(2, 2, 3), [1, 0]


@pytest.mark.parametrize("name", ["train-imgs", "training.image.idx3", "some_TRAIN-data-idx3-ubyte"])
@pytest.mark.parametrize("label", ["labels", "label-idx1-u8byte", "targets"])
def test_names_that_images_and_labels_have(tmp_path: Path, name: str, label: str) -> None:
    begin = "some_" if name.startswith("some") else ""
    write(tmp_path / name, X)
    write(tmp_path / f"{begin}train-{label.replace('-u8byte', '-ubyte')}", T)
    for other in (f"{begin}train", "train-labels-more", "labels", "trained-labels"):
        (tmp_path / other).write_text("none of these")
    found = load_idx(tmp_path)
    assert list(found.parts) == ["training"] and found.name == (begin.rstrip("_") or tmp_path.name)
    assert found.parts["training"].x.tolist() == X.tolist() and found.parts["training"].t.tolist() == T
    assert found.labels and found.from_one and found.class_names == ()
    assert found.notes == ("not used: train-labels-more; names end as in train-images-idx3-ubyte",)


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("val", "validation"),
        ("valid", "validation"),
        ("dev", "validation"),
        ("t10k", "test"),
        ("testing", "test"),
    ],
)
def test_other_parts_of_a_set(tmp_path: Path, word: str, part: str) -> None:
    for each in ("train", word):
        write(tmp_path / f"{each}-images", X)
        write(tmp_path / f"{each}-labels", T)
    assert list(load_idx(tmp_path).parts) == ["training", part]


@pytest.mark.parametrize(
    ("alone", "said"),
    [
        ("test-images", "not used: test-images, without its labels"),
        ("test-labels", "not used: test-labels, without its images"),
    ],
)
def test_a_file_without_its_other_half_is_not_used(tmp_path: Path, alone: str, said: str) -> None:
    write(tmp_path / "train-images", X)
    write(tmp_path / "train-labels", T)
    write(tmp_path / alone, X if "images" in alone else T)
    found = load_idx(tmp_path)
    assert list(found.parts) == ["training"] and found.notes == (said,)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"train-images": T, "train-labels": T},
            "train-images has 1 dimensions, train-labels 1; images of 2 or more and labels of 1 are needed",
        ),
        (
            {"train-images": X, "train-labels": X},
            "train-images has 3 dimensions, train-labels 3; images of 2 or more and labels of 1 are needed",
        ),
        (
            {"train-images": X, "train-labels": [1, 0, 1]},
            "3 labels for 2 images; the files do not belong together",
        ),
        (
            {"test-images": X, "test-labels": T},
            "test-images, test-labels: training images and labels are needed",
        ),
        ({"train-images": X}, "train-images: training images and labels are needed"),
        (
            {"train-images": X, "training-imgs": X},
            "train-images and training-imgs are both training images; rem",
        ),
        (
            {"emnist-train-images": X[0], "emnist-train-labels": T},
            "pictures of EMNIST have two axes, these 1",
        ),
        ({"a-train-images": X, "b-train-images": X}, "2 sets of IDX files; name one: idx:"),
        (
            {"images": X},
            "no IDX files; names such as train-images-idx3-ubyte and train-labels-idx1-ubyte (.gz)",
        ),
    ],
)
def test_files_that_make_no_set(tmp_path: Path, files: dict[str, Any], said: str) -> None:
    for name, values in files.items():
        write(tmp_path / name, values)
    assert refusal(load_idx, tmp_path).split(": ", 1)[1].startswith(said)


def test_rows_of_numbers_are_images_of_one_axis(tmp_path: Path) -> None:
    write(tmp_path / "train-images", X[0])
    write(tmp_path / "train-labels", T)
    assert load_idx(tmp_path).parts["training"].x.tolist() == X[0].tolist()


def test_sets_are_told_apart_by_what_their_names_begin_with(tmp_path: Path) -> None:
    for stem, values in (("emnist-a", X), ("b", X + 1)):
        write(tmp_path / f"{stem}-train-images", values)
        write(tmp_path / f"{stem}-train-labels", T)
    assert load_idx(tmp_path / "b").parts["training"].x.tolist() == (X + 1).tolist()
    (tmp_path / "emnist-a-mapping.txt").write_text("1 66 98\n\n0 65 65\n2 7\n")
    found = load_idx(tmp_path / "emnist")
    assert found.parts["training"].x.tolist() == X.swapaxes(1, 2).tolist()
    assert found.notes == ("pictures transposed: those of EMNIST are stored column by column",)
    assert (found.name, found.class_names) == ("emnist-a", ("A", "B/b", "?"))
    (tmp_path / "emnist-a-mapping.txt").write_text("0 x\n")
    assert "not a mapping of labels to characters" in refusal(load_idx, tmp_path / "emnist")


# ---- Downloads ------------------------------------------------------------------------------------------


def source(contents: dict[str, bytes], mirrors: tuple[str, ...] = ("http://a/", "http://b/")) -> DataSource:
    files = tuple(
        File(name, len(content), hashlib.sha256(content).hexdigest(), (name,), gzipped=False)
        for name, content in contents.items()
    )
    return DataSource("some", ("some",), files, mirrors, None, (), "its files", (1,), 2)  # type: ignore[arg-type]


class Answered(OSError):
    response = object()


@pytest.mark.parametrize(
    ("failure", "asked", "said"),
    [
        (OSError("no route\nmore"), ["a1", "b1", "b2"], "http://a/1: OSError: no route; next mirror"),
        (Answered("404"), ["a1", "b1", "a2", "b2"], "http://a/1: Answered: 404; next mirror"),
        (ValueError("damaged"), ["a1", "b1", "a2", "b2"], "http://a/1: damaged; next mirror"),
        (
            None,
            ["a1", "b1", "a2", "b2"],
            "http://a/1: another content (sha256 9834876dcfb0…, 3 bytes); next mi",
        ),
    ],
)
def test_the_next_mirror_is_asked_and_a_silent_one_no_more(
    failure: Exception | None, asked: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents, urls = {"1": b"first", "2": b"second"}, []

    def fetch(url: str, limit: int, timeout: float) -> bytes:
        urls.append(url)
        assert (limit, timeout) == (len(contents[url[-1]]) + 65_536, 5.0)
        if url.startswith("http://a/"):
            if failure is not None:
                raise failure
            return b"aaa"
        return contents[url[-1]]

    monkeypatch.setattr(download, "_fetch", fetch)
    out = io.StringIO()
    paths = download.download(source(contents), tmp_path / "some", timeout=5.0, stream=out)
    assert [path.read_bytes() for path in paths] == [b"first", b"second"]
    assert [url[len("http://")] + url[-1] for url in urls] == asked
    assert said in out.getvalue() and "some: fetching http://a/1 (0.0 MB)" in out.getvalue()
    download.download(source(contents), tmp_path / "some", timeout=5.0, stream=out)
    assert len(urls) == len(asked)


def test_where_a_file_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(_url: str, _limit: int, _timeout: float) -> bytes:
        raise OSError("x" * 161)

    monkeypatch.setattr(download, "_fetch", fetch)

    def all_of_it() -> None:
        download.download(source({"1": b"a"}), tmp_path, looked=("here: no",), stream=io.StringIO())

    assert refusal(all_of_it).splitlines() == [
        "some: 1 could not be had.  Looked for, in order:",
        "  1. here: no",
        f"  2. http://a/1: OSError: {'x' * 157}…",
        f"  3. http://b/1: OSError: {'x' * 157}…",
        "Put its files into a folder some/ and name the folder above it by --data-dir or $CHAINRULE_DATA.",
    ]
    assert download._first_line(OSError("x" * 160)) == "x" * 160 and download._first_line(OSError()) == ""


def test_an_answer_is_no_longer_than_it_may_be() -> None:
    sink = download._Sink(3)
    assert (sink.write(b"ab"), sink.write(b"c"), bytes(sink.data)) == (2, 1, b"abc") and sink.writable()
    with pytest.raises(download._Refused, match=r"^more than 3 bytes$"):
        sink.write(b"d")
    with pytest.raises(download._Refused, match=r"^not an http address$"):
        download._fetch("ftp://a/1", 10, 1.0)


@pytest.mark.parametrize(
    ("content", "good"), [(b"first", True), (b"First", False), (b"first ", False), (None, False)]
)
def test_a_file_that_is_there_is_known_by_its_content(
    content: bytes | None, good: bool, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "1").write_bytes(content)
    (file,) = source({"1": b"first"}).files
    assert download._good(tmp_path / "1", file) == good
