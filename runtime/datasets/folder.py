"""Class folders of images: folder/CLASS/picture.png, or folder/train/CLASS/… and folder/test/CLASS/…."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.datasets.dataset import Array, Raw
from runtime.errors import DataError
from runtime.images import extensions, image_shape, read_image, strict_sizes

TEST_SHARE = 5  # one in so many images of each class is for the test, where there is no folder test/
SEED = 0  # of that choice: the same images for every run, so that runs can be compared


@dataclass(frozen=True)
class Files:
    """Image files and the class, by number, of each."""

    paths: tuple[Path, ...]
    labels: Array


def load_folder(root: Path, input_shape: tuple[int, ...], classes: int) -> Raw:
    """The images of class folders, each brought to `input_shape`; classes are numbered in order of name.

    Without a folder test/, one image in five of each class, drawn by a fixed seed, is for the test.  Training
    images come in a drawn order, so that any part of them has all classes.  Raises DataError, naming the
    first image that cannot be read.
    """
    shape = image_shape(input_shape, str(root))
    train = root / "train" if (root / "train").is_dir() else root
    names = _classes(train, classes)
    files = _files(train, names)
    if train != root and (root / "test").is_dir():
        if unknown := sorted(set(_classes(root / "test", classes)) - set(names)):
            raise DataError(
                f"{root / 'test'}: class {unknown[0]} is not in {train}; both need the same classes"
            )
        parts = [_shuffled(files), _files(root / "test", names, needed=False)]
    else:
        parts = [_shuffled(part) for part in _parted(files, len(names))]
    train_x, test_x = (_images(part.paths, shape) for part in parts)
    shown = tuple(name if name.isprintable() else ascii(name)[1:-1] for name in names)
    train_t, test_t = (part.labels for part in parts)
    return Raw(root.name, train_x, train_t, test_x, test_t, str(root), labels=True, class_names=shown)


def _classes(folder: Path, most: int) -> list[str]:
    """The names of the class folders.  Raises DataError where there are none, or more than classes."""
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{folder}: cannot be read ({reason}); folder:PATH is relative to the spec's folder"
        ) from error
    if not names:
        raise DataError(f"{folder}: no class folders; images lie in {folder}/CLASS/, one folder a class")
    if len(names) > most:
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        raise DataError(
            f"{folder}: {len(names)} class folders ({shown}), the network has {most} classes; "
            f"end it with {len(names)} units"
        )
    return names


def _files(folder: Path, names: Sequence[str], needed: bool = True) -> Files:
    endings = extensions()
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        found = sorted(_walk(folder / name, endings)) if needed or (folder / name).is_dir() else []
        if needed and not found:
            raise DataError(f"{folder / name}: no images (.png, .jpg, …); remove the folder or fill it")
        paths += found
        labels += [label] * len(found)
    return Files(tuple(paths), np.array(labels, np.int64))


def _walk(folder: Path, endings: frozenset[str]) -> Iterator[Path]:
    for entry in folder.rglob("*"):
        if entry.suffix.lower() in endings and entry.name[0] != "." and entry.is_file():
            yield entry


def _parted(files: Files, classes: int) -> tuple[Files, Files]:
    """(training, test): of each class one image in five, and at least one of two, is for the test."""
    held = np.zeros(len(files.paths), bool)
    for label in range(classes):
        index = np.flatnonzero(files.labels == label)
        count = max(len(index) // TEST_SHARE, min(1, len(index) - 1))
        held[np.random.default_rng([SEED, label]).permutation(index)[:count]] = True
    return _taken(files, np.flatnonzero(~held)), _taken(files, np.flatnonzero(held))


def _shuffled(files: Files) -> Files:
    return _taken(files, np.random.default_rng(SEED).permutation(len(files.paths)))


def _taken(files: Files, index: Array) -> Files:
    return Files(tuple(files.paths[i] for i in index), files.labels[index])


def _images(paths: Sequence[Path], shape: tuple[int, int, int]) -> Array:
    images = np.empty((len(paths), *shape), np.uint8)

    def read(number: int) -> None:
        images[number] = read_image(paths[number], shape).pixels

    with strict_sizes(), ThreadPoolExecutor(os.cpu_count()) as pool:
        pending = pool.map(read, range(len(paths)))
        try:
            for _ in pending:
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return images
