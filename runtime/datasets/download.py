"""Downloads of named data sets: several mirrors, short timeouts, and nothing unverified ever in the cache."""

from __future__ import annotations

import hashlib
import io
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from chainrule.runtime.datasets.sources import DataSource, File
from chainrule.runtime.errors import DataError
from chainrule.runtime.files import write_atomically

TIMEOUT = 10.0  # seconds: to connect, and between two pieces of an answer


class _Refused(Exception):
    """What a mirror gave is not the file."""


def download(
    source: DataSource,
    folder: Path,
    *,
    looked: Sequence[str] = (),
    timeout: float = TIMEOUT,
    stream: TextIO | None = None,
) -> tuple[Path, ...]:
    """Fetches the files of `source` that `folder` lacks; returns the paths of all.

    Every content is verified by SHA-256 before it gets its name.  Raises DataError, with what was `looked`
    for before and what each mirror answered, when no mirror gives a file.
    """
    out = sys.stderr if stream is None else stream
    answers: list[str] = []
    dead: set[str] = set()
    paths = []
    for file in source.files:
        path = folder / file.name
        if not _good(path, file):
            content = _from_mirrors(source, file, dead, answers, timeout, out)
            if content is None:
                raise DataError(_nowhere(source, file, looked, answers))
            try:
                folder.mkdir(parents=True, exist_ok=True)
                write_atomically(path, content)
            except OSError as error:
                raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error
        paths.append(path)
    return tuple(paths)


def _good(path: Path, file: File) -> bool:
    try:
        content = path.read_bytes()
        return len(content) == file.size and hashlib.sha256(content).hexdigest() == file.sha256
    except OSError:
        return False


def _from_mirrors(
    source: DataSource, file: File, dead: set[str], answers: list[str], timeout: float, out: TextIO
) -> bytes | None:
    """The verified content of one file, from the first mirror that has it; None when none has."""
    for mirror in source.mirrors:
        if mirror in dead:
            continue
        url = f"{mirror}{file.remote}"
        print(f"{source.name}: fetching {url} ({file.size / 1e6:,.1f} MB)", file=out, flush=True)
        try:
            content = file.content(_fetch(url, file.size + 65_536, timeout))
            digest = hashlib.sha256(content).hexdigest()
            if digest != file.sha256:
                raise _Refused(f"another content (sha256 {digest[:12]}…, {len(content)} bytes)")
            return content
        except (_Refused, ValueError) as error:
            answers.append(f"{url}: {error}")
        except (OSError, TimeoutError) as error:
            reason = f"{type(error).__name__}: {_first_line(error)}"
            answers.append(f"{url}: {reason}")
            if getattr(error, "response", None) is None:
                dead.add(mirror)  # no answer at all: not asked again for the next file
        print(f"{answers[-1]}; next mirror", file=out, flush=True)
    return None


class _Sink(io.RawIOBase):
    """Collects what arrives, up to `limit` bytes, and remembers when the last piece came."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self.limit = limit
        self.last = time.monotonic()

    def writable(self) -> bool:
        return True

    def write(self, piece: bytes) -> int:  # type: ignore[override]
        self.data += piece
        self.last = time.monotonic()
        if len(self.data) > self.limit:
            raise _Refused(f"more than {self.limit} bytes")
        return len(piece)


def _fetch(url: str, limit: int, timeout: float) -> bytes:
    """What `url` answers.  Raises OSError when it does not or stalls, _Refused past `limit` bytes.

    The transfer runs in a thread of its own that is left behind when nothing arrives: a name server that
    does not answer, or a mirror that sends a byte now and then, cannot hold up the caller.
    """
    from pooch import HTTPDownloader

    if urlsplit(url).scheme not in ("http", "https"):
        raise _Refused("not an http address")
    sink = _Sink(limit)
    failure: list[BaseException] = []
    get = HTTPDownloader(progressbar=False, timeout=(timeout, timeout))

    def transfer() -> None:
        try:
            get(url, sink, None)
        except BaseException as error:  # handed to the caller's thread below
            failure.append(error)

    thread = threading.Thread(target=transfer, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.05)
        if thread.is_alive() and time.monotonic() - sink.last > 2 * timeout + 1:
            raise TimeoutError(f"nothing for {2 * timeout + 1:.0f} s")
    if failure:
        response = getattr(failure[0], "response", None)
        if response is not None:
            response.close()
        raise failure[0]
    return bytes(sink.data)


def _first_line(error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else ""
    return text if len(text) <= 160 else f"{text[:157]}…"


def _nowhere(source: DataSource, file: File, looked: Sequence[str], answers: Sequence[str]) -> str:
    steps = "\n".join(f"  {number}. {line}" for number, line in enumerate((*looked, *answers), 1))
    return (
        f"{source.name}: {file.name} could not be had.  Looked for, in order:\n{steps}\n"
        f"Put {source.what} into a folder {source.folders[0]}/ and name the folder above it by --data-dir or "
        "$CHAINRULE_DATA."
    )
