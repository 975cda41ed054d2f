"""Data sets by name, by file or from the spec: `load_dataset`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runtime.datasets.dataset import Dataset, Raw, Wanted, fitted
from runtime.datasets.download import download as fetch
from runtime.datasets.embedded import load_embedded
from runtime.datasets.idx import read_idx
from runtime.datasets.inline import load_inline
from runtime.datasets.locate import DATA_VARIABLE, cache_folder, locate
from runtime.datasets.npz import load_npz
from runtime.datasets.sources import SOURCES, Source
from runtime.errors import DataError

__all__ = ["Dataset", "load_dataset"]

EMBEDDED = ("embedded", "mnist_embedded")
LATER = ("cifar10", "folder:")


def load_dataset(
    data: str | Mapping[str, Any],
    *,
    data_dir: Path | None = None,
    input_shape: tuple[int, ...],
    target_kind: str = "labels",
    classes: int = 10,
    download: bool | None = None,
    base_dir: Path = Path(),
    notify: Callable[[str], None] | None = None,
) -> Dataset:
    """The data set that a spec or a user names, in the shapes a network takes.

    `data` is mnist, fashion_mnist, embedded, npz:PATH (relative to `base_dir`) or an inline table.  Named
    sets are looked for in `data_dir`, $CHAINRULE_DATA and the user's cache.  `download`: True fetches what is
    not there, False never does, None (the default) fetches fashion_mnist but takes the embedded digits for
    mnist.  `notify` gets one-line notices (default: stderr).  Raises DataError.
    """
    say = notify if notify is not None else _to_stderr
    wanted = Wanted(tuple(input_shape), target_kind, classes)
    return fitted(_raw(data, data_dir, download, base_dir, say), wanted)


def _raw(
    data: str | Mapping[str, Any],
    data_dir: Path | None,
    download: bool | None,
    base_dir: Path,
    say: Callable[[str], None],
) -> Raw:
    if not isinstance(data, str):
        return load_inline(data)
    if data in EMBEDDED:
        return load_embedded()
    if data in SOURCES:
        return _named(SOURCES[data], data_dir, download, say)
    if data.startswith("npz:"):
        return load_npz(base_dir / data.removeprefix("npz:"))
    if data.startswith(LATER):
        raise DataError(f"{data}: this kind of data is not supported yet; convert it to npz:PATH")
    known = ", ".join((*SOURCES, "embedded", "npz:PATH"))
    raise DataError(f"{data!r}: no such data set; known are {known} and a table in the spec")


def _named(source: Source, data_dir: Path | None, download: bool | None, say: Callable[[str], None]) -> Raw:
    looked: list[str] = []
    found = locate(source, data_dir, looked)
    if found is not None:
        return _read(source, found.paths)
    if download or (download is None and source.name != "mnist"):
        return _read(source, fetch(source, cache_folder() / source.folders[0], looked=looked))
    if source.name == "mnist" and download is None:
        say(
            f"mnist: using the {EMBEDDED[0]} 5,000 + 1,000 digits; looked in {'; '.join(looked)}.  "
            "For all 70,000: --download, or --data-dir"
        )
        return load_embedded()
    steps = "\n".join(f"  {number}. {line}" for number, line in enumerate(looked, 1))
    raise DataError(
        f"{source.name}: not found.  Looked for, in order:\n{steps}\nAllow the download, or put its four IDX "
        f"files into a folder {source.folders[0]}/ and name the folder above it by --data-dir or "
        f"${DATA_VARIABLE}."
    )


def _read(source: Source, paths: tuple[Path, ...]) -> Raw:
    arrays = [read_idx(path, ndim=file.ndim) for path, file in zip(paths, source.files, strict=True)]
    for images, labels, path in ((arrays[0], arrays[1], paths[1]), (arrays[2], arrays[3], paths[3])):
        if len(images) != len(labels):
            raise DataError(
                f"{path}: {len(labels)} labels for {len(images)} images; the files do not belong together"
            )
    train_x, train_t, test_x, test_t = arrays
    return Raw(source.name, train_x, train_t, test_x, test_t, str(paths[0].parent), labels=True)


def _to_stderr(line: str) -> None:
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        return
