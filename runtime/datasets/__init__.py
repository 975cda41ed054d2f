"""Data sets by name, by file or from the spec: `load_dataset`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from chainrule.runtime.caches import cache_folder
from chainrule.runtime.datasets.dataset import TEST, TRAINING, Dataset, Part, Raw, Wanted, as_floats
from chainrule.runtime.datasets.download import download as fetch
from chainrule.runtime.datasets.embedded import load_embedded
from chainrule.runtime.datasets.fingerprint import fingerprint
from chainrule.runtime.datasets.fitting import channels_first, check_shapes, fitted, natural
from chainrule.runtime.datasets.folder import load_folder
from chainrule.runtime.datasets.idx_files import load_idx
from chainrule.runtime.datasets.inline import load_inline
from chainrule.runtime.datasets.locate import DATA_VARIABLE, locate
from chainrule.runtime.datasets.npz import load_npz
from chainrule.runtime.datasets.sources import SOURCES, DataSource
from chainrule.runtime.errors import DataError

__all__ = ["Dataset", "as_floats", "fingerprint", "load_dataset", "look_at"]

EMBEDDED = ("embedded", "mnist_embedded")


def load_dataset(
    data: str | Mapping[str, Any],
    *,
    data_dir: Path | None = None,
    input_shape: tuple[int, ...],
    target_kind: str = "labels",
    classes: int = 10,
    output_shape: tuple[int, ...] | None = None,
    loss: str = "",
    class_names: tuple[str, ...] = (),
    full_scale: float | None = None,
    download: bool | None = None,
    base_dir: Path = Path(),
    notify: Callable[[str], None] | None = None,
) -> Dataset:
    """The data set that a spec or a user names, in the shapes a network takes.

    `data` is mnist, fashion_mnist, cifar10, cifar100, embedded, folder:PATH, npz:PATH or idx:PATH (relative
    to `base_dir`) or an inline table.  Named sets are looked for in `data_dir`, $CHAINRULE_DATA and the
    user's cache.  `download`: True fetches what is not there; None (the default) takes the embedded digits
    for mnist where it is not.  `class_names` are those of a trained network, by which folders are numbered,
    `full_scale` is what became 255 in its images of more than 8 bits.
    `notify` gets one-line notices (default: stderr).  Raises DataError; for a named set that does not fit,
    before it is looked for.
    """
    wanted = Wanted(tuple(input_shape), target_kind, classes, output_shape, loss, class_names, full_scale)
    if isinstance(data, str) and data in SOURCES:
        check_shapes(data, SOURCES[data].shape, SOURCES[data].classes, wanted)
    raw = _raw(data, wanted, data_dir, download, base_dir, notify or _to_stderr)
    return replace(fitted(raw, wanted), source=_source(data, raw.name, base_dir))


def look_at(
    data: str | Mapping[str, Any],
    *,
    data_dir: Path | None = None,
    download: bool | None = None,
    base_dir: Path = Path(),
    notify: Callable[[str], None] | None = None,
) -> Dataset:
    """The data set as it is, without a network that says what it takes.  Raises DataError."""
    raw = _raw(data, None, data_dir, download, base_dir, notify or _to_stderr)
    found = fitted(raw, natural(raw))
    note = channels_first(raw)
    notes = (*found.notes, *([note] if note else []))
    return replace(found, source=_source(data, raw.name, base_dir), notes=notes)


def _source(data: str | Mapping[str, Any], name: str, base_dir: Path) -> str:
    if not isinstance(data, str):
        return ""
    scheme, colon, path = data.partition(":")
    return f"{scheme}:{_path(path, base_dir).resolve()}" if colon else name


def _path(path: str, base_dir: Path) -> Path:
    """Raises DataError where ~ names nobody's home."""
    try:
        return base_dir / Path(path).expanduser()
    except RuntimeError as error:
        raise DataError(f"{path}: {error}") from error


def _raw(
    data: str | Mapping[str, Any],
    wanted: Wanted | None,
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
    scheme, _, path = data.partition(":")
    if "\0" not in path and path.strip():
        if scheme == "npz":
            return load_npz(_path(path, base_dir))
        if scheme == "idx":
            return load_idx(_path(path, base_dir))
        if scheme == "folder":
            return load_folder(_path(path, base_dir), wanted)
    known = ", ".join((*SOURCES, EMBEDDED[-1], "folder:PATH", "npz:PATH", "idx:PATH"))
    meant = get_close_matches(data.lower().replace("-", "_"), (*SOURCES, *EMBEDDED), 1)
    hint = f" (is it {meant[0]}?)" if meant else ""
    raise DataError(f"{data!r}: no such data set{hint}; known are {known} and a table in the spec")


def _named(
    source: DataSource, data_dir: Path | None, download: bool | None, say: Callable[[str], None]
) -> Raw:
    looked: list[str] = []
    found = locate(source, data_dir, looked)
    if found is not None:
        return _read(source, found.paths)
    if download:
        return _read(source, fetch(source, cache_folder() / source.folders[0], looked=looked))
    if source.name == "mnist" and download is None:
        say(
            f"mnist: using the embedded 5,000 + 1,000 digits; looked in {'; '.join(looked)}.  "
            "For all 70,000: --download, or --data-dir"
        )
        return load_embedded()
    steps = "\n".join(f"  {number}. {line}" for number, line in enumerate(looked, 1))
    size = sum(file.size for file in source.files) / 1e6
    raise DataError(
        f"{source.name}: not found.  Looked for, in order:\n{steps}\n"
        f"--download fetches it ({size:,.0f} MB); or put {source.what} into a folder "
        f"{source.folders[0]}/ and name the folder above it by --data-dir or ${DATA_VARIABLE}."
    )


def _read(source: DataSource, paths: tuple[Path, ...]) -> Raw:
    found = source.read(paths)
    parts = {TRAINING: Part(found.train_x, found.train_t), TEST: Part(found.test_x, found.test_t)}
    origin = str(paths[0] if len(paths) == 1 else paths[0].parent)
    names = found.class_names or source.class_names
    return Raw(source.name, parts, origin, labels=True, class_names=names)


def _to_stderr(line: str) -> None:
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        return
