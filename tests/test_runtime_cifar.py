"""CIFAR-10's binary files and archive (faults 14 to 17)."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chainrule.runtime.datasets import cifar, load_dataset
from chainrule.runtime.datasets import download as fetching
from chainrule.runtime.datasets.cifar import CIFAR10
from chainrule.runtime.datasets.sources import SOURCES
from chainrule.runtime.errors import DataError

REAL = os.environ.get("CHAINRULE_DATA")
FEW = 3  # records of a file in these tests
BINARY, FOLDER = CIFAR10.binary, CIFAR10.folder
SHAPE = (32, 32, 3)


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))


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
