"""Data sets from mirrors that answer badly, slowly or not at all (faults 15 and 18)."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from small_sets import small_set

from chainrule.runtime.datasets import download as fetching
from chainrule.runtime.datasets import load_dataset
from chainrule.runtime.datasets.sources import SOURCES, DataSource
from chainrule.runtime.errors import DataError


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


class Mirror(BaseHTTPRequestHandler):
    """Answers by the first part of the path: good, html, 403, stall, drip, other, bomb or cut."""

    files: dict[str, bytes]
    asked: list[str]
    release: threading.Event

    def do_GET(self) -> None:
        kind, name = self.path.strip("/").split("/")
        type(self).asked.append(self.path)
        content = gzip.compress(type(self).files[name.removesuffix(".gz")])
        if kind == "403":
            self.send_error(403)
            return
        if kind == "html":
            content = b"<html>please sign in</html>"
        elif kind == "other":
            content = gzip.compress(b"another file")
        elif kind == "bomb":
            content = gzip.compress(bytes(50_000_000))
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if kind in ("stall", "drip"):
            for byte in content:
                self.wfile.write(bytes((byte,)))
                self.wfile.flush()
                if type(self).release.wait(0.2 if kind == "drip" else 30):
                    return
        self.wfile.write(content[: len(content) // 2] if kind == "cut" else content)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def mirror() -> Iterator[tuple[str, type[Mirror], DataSource]]:
    files = small_set()
    handler = type("Handler", (Mirror,), {"files": files, "asked": [], "release": threading.Event()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made = tuple(
        dataclasses.replace(
            file, size=len(files[file.name]), sha256=hashlib.sha256(files[file.name]).hexdigest()
        )
        for file in SOURCES["mnist"].files
    )
    source = dataclasses.replace(SOURCES["mnist"], files=made, mirrors=())
    yield f"http://127.0.0.1:{server.server_address[1]}/", handler, source
    handler.release.set()
    server.shutdown()
    server.server_close()


SLOW = {"stall": 1.0, "drip": 1.0}  # seconds to wait for these; what answers may take its time
BAD = ["html", "403", *SLOW, "other", "bomb", "cut"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("kind", BAD)
def test_bad_mirror_is_passed_over(
    tmp_path: Path, mirror: tuple[str, type[Mirror], DataSource], kind: str
) -> None:
    url, _, source = mirror
    source = dataclasses.replace(source, mirrors=(f"{url}{kind}/", f"{url}good/"))
    out = io.StringIO()
    paths = fetching.download(source, tmp_path / "m", timeout=SLOW.get(kind, 60.0), stream=out)
    assert "next mirror" in out.getvalue()
    for path, file in zip(paths, source.files, strict=True):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    assert len(list((tmp_path / "m").iterdir())) == 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("kind", BAD)
def test_nothing_unverified_is_cached(
    tmp_path: Path, mirror: tuple[str, type[Mirror], DataSource], kind: str
) -> None:
    url, _, source = mirror
    source = dataclasses.replace(source, mirrors=(f"{url}{kind}/",))
    with pytest.raises(DataError) as caught:
        fetching.download(
            source,
            tmp_path / "m",
            looked=["a folder"],
            timeout=0.2 if kind in SLOW else 60.0,
            stream=io.StringIO(),
        )
    text = str(caught.value)
    assert text.index("1. a folder") < text.index(f"2. {url}{kind}/") and "--data-dir" in text
    assert not (tmp_path / "m").exists()


def test_dead_mirror_is_asked_once_and_nothing_hangs(
    tmp_path: Path, mirror: tuple[str, type[Mirror], DataSource]
) -> None:
    url, _, source = mirror
    source = dataclasses.replace(source, mirrors=("http://127.0.0.1:9/", f"{url}good/"))
    out = io.StringIO()
    fetching.download(source, tmp_path / "m", timeout=60, stream=out)
    assert out.getvalue().count("127.0.0.1:9/") == 2  # asked, and answered, once


def test_what_is_there_is_not_fetched_again(
    tmp_path: Path, mirror: tuple[str, type[Mirror], DataSource]
) -> None:
    url, handler, source = mirror
    source = dataclasses.replace(source, mirrors=(f"{url}good/",))
    fetching.download(source, tmp_path / "m", stream=io.StringIO())
    (tmp_path / "m" / source.files[1].name).write_bytes(b"damaged")
    handler.asked.clear()
    fetching.download(source, tmp_path / "m", stream=io.StringIO())
    assert handler.asked == [f"/good/{source.files[1].name}.gz"]


def test_downloaded_set_is_used_from_the_cache(
    mirror: tuple[str, type[Mirror], DataSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, handler, source = mirror
    monkeypatch.setitem(SOURCES, "mnist", dataclasses.replace(source, mirrors=(f"{url}good/",)))
    for _ in range(2):
        data = load_dataset("mnist", input_shape=(784,), download=True)
        assert data.name == "mnist" and len(data.train_x) == 3
    assert len(handler.asked) == 4
