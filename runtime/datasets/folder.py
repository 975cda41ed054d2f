"""Class folders of images: folder/CLASS/picture.png, or one more level: folder/train/CLASS/…, test, val."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from chainrule.runtime.datasets.dataset import TEST, TRAINING, VALIDATION, Array, Part, Raw, Wanted
from chainrule.runtime.datasets.npz import SPLITS, part_of
from chainrule.runtime.depth import PIXEL
from chainrule.runtime.errors import DataError
from chainrule.runtime.images import extensions, image_shape, image_size, read_image, strict_sizes

TEST_SHARE = 5  # one in so many images of each class is for the test, where there is no folder for it
SEED = 0  # of that choice: the same images for every run, so that runs can be compared
PREVIEW = 64  # side of images of several sizes, where no network says which
PICTURES, SAID = ("images", "image", "imgs", "img"), ("labels", "label", "masks", "mask", "annotations")
IGNORED = ("__MACOSX", "@eaDir", "$RECYCLE.BIN")  # what systems leave beside pictures; and all that is hidden


@dataclass(frozen=True)
class Files:
    """Image files and the class, by number, of each."""

    paths: tuple[Path, ...]
    labels: Array


def load_folder(root: Path, wanted: Wanted | None) -> Raw:
    """The images of class folders, each brought to the input's shape; classes are numbered in order of name.

    Folders are train, test or val by their usual names, in any case.  Without any, one image in five of each
    class, drawn by a fixed seed, is for the test.  Training images come in a drawn order, so that any part of
    them has all classes.  Hidden files and folders are ignored.  Raises DataError, naming the first image
    that cannot be read.
    """
    folders, notes = _splits(root)
    known = wanted is not None and bool(wanted.names)
    names = _classes(folders[TRAINING], wanted)
    left: list[Path] = []
    files = {
        part: _files(folder, names, part == TRAINING and not known, left) for part, folder in folders.items()
    }
    if left:
        count = f"{len(left):,} file{'s' if len(left) > 1 else ''} with the ending of an image"
        notes.append(
            f"left out: {count}, {'first ' * (len(left) > 1)}{_shown(str(left[0]))} ({_why(left[0])})"
        )
    _require_classes(folders[TRAINING], names, files[TRAINING])
    _compare(files, folders, names, notes)
    if len(files) == 1:
        files[TRAINING], files[TEST] = _parted(files[TRAINING], len(names))
        notes.append(f"one image in {TEST_SHARE} of each class is kept for the test")
    files[TRAINING] = _shuffled(files[TRAINING])
    shape = (
        _common_shape(files[TRAINING], notes)
        if wanted is None
        else image_shape(wanted.input_shape, str(root))
    )
    paths = [path for found in files.values() for path in found.paths]
    images, full_scale = _images(paths, shape, notes, wanted.full_scale if wanted is not None else None)
    parts, start = {}, 0
    for part, found in files.items():
        parts[part] = Part(images[start : start + len(found.paths)], found.labels)
        start += len(found.paths)
    shown = tuple(_shown(name) for name in names)
    return Raw(
        root.resolve().name,
        parts,
        str(root),
        labels=True,
        pixels=True,
        full_scale=full_scale,
        class_names=shown,
        notes=tuple(notes),
    )


# ---- Which folder is for what -----------------------------------------------------------------------


def _splits(root: Path) -> tuple[dict[str, Path], list[str]]:
    """The folder of each part, `root` itself for training where none is called so, and notes.

    A folder called train, test or val is for that where it holds folders; else it is a class, beside others.
    """
    inside = _folders(root)
    named = {path: part for path in inside if (part := part_of(path.name)) is not None}
    splits = [path for path in named if len(named) == len(inside) or _folders(path)]
    if not splits:
        return {TRAINING: root}, []
    folders: dict[str, Path] = {}
    for path in splits:
        part = named[path]
        if part in folders:
            raise DataError(f"{root}: {folders[part].name}/ and {path.name}/ are both for {part}; remove one")
        folders[part] = path
    if TRAINING not in folders:
        held = ", ".join(f"{path.name}/" for path in inside)
        raise DataError(
            f"{root}: holds {held}, but no train/; move the class folders for training into train/"
        )
    notes = []
    for part in (VALIDATION, TEST):
        if part in folders and not _folders(folders[part]):
            notes.append(f"not used: {folders.pop(part).name}/, which has no class folders")
    unused = [f"{path.name}/" for path in inside if path not in folders.values() and path not in splits]
    if unused:
        notes.append(f"not used: {', '.join(unused)}")
    told = [f"{folders[part].name}/ is the {part} set" for part in SPLITS if part in folders]
    return {part: folders[part] for part in SPLITS if part in folders}, [", ".join(told), *notes]


def _folders(folder: Path) -> list[Path]:
    """The visible folders in one, in order of name.  Raises DataError where it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if _visible(path.name) and path.is_dir())
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{folder}: cannot be read ({reason}); folder:PATH is relative to the spec's folder"
        ) from error


def _visible(name: str) -> bool:
    return not name.startswith(".") and name not in IGNORED


def _classes(folder: Path, wanted: Wanted | None) -> list[str]:
    """The names of the class folders.  Raises DataError where they are not as many as the classes."""
    inside = _folders(folder)
    names = [path.name for path in inside]
    if not names:
        raise DataError(f"{folder}: no class folders; images lie in {folder}/CLASS/, one folder a class")
    for path in inside:
        if splits := [f"{inner.name}/" for inner in _folders(path) if part_of(inner.name)]:
            raise DataError(
                f"{folder}: {path.name}/ is no class, it holds {', '.join(splits)}; name it, folder:{path}, "
                "or put the class folders into train/ and test/"
            )
    if wanted is not None and wanted.names:
        if unknown := [name for name in names if _shown(name) not in wanted.names]:
            raise DataError(
                f"{folder}: class {_shown(unknown[0])} is not among those of the network: "
                f"{', '.join(wanted.names[:10])}{', …' * (len(wanted.names) > 10)}"
            )
        return list(wanted.names)
    if wanted is not None and len(names) != wanted.classes:
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        s, units = ("" if len(names) == 1 else "s"), f"end it with {len(names)} units"
        empty = [path.name for path in inside if next(_walk(path), None) is None]
        remedy = units if len(names) > 1 else "name the folder that holds one folder a class"
        remedy += f"; {empty[0]}/ holds no images" if empty else ""
        raise DataError(
            f"{folder}: {len(names)} class folder{s} ({shown}), the network has {wanted.classes} classes; "
            f"{remedy}"
        )
    return names


def _shown(name: str) -> str:
    return name if name.isprintable() else ascii(name)[1:-1]


def _compare(
    files: Mapping[str, Files], folders: Mapping[str, Path], names: Sequence[str], notes: list[str]
) -> None:
    """Raises DataError for a class that training lacks; what another part lacks is noted."""
    for part, found in files.items():
        folder = folders[part]
        if part == TRAINING:
            continue
        if unknown := sorted({path.name for path in _folders(folder)} - set(names)):
            raise DataError(
                f"{folder}: class {unknown[0]} is not in {folders[TRAINING]}; both need the same classes"
            )
        absent = [name for label, name in enumerate(names) if label not in found.labels]
        if len(absent) == len(names):
            raise DataError(f"{folder}: no images in its class folders; fill or remove it")
        if absent:
            notes.append(
                f"{folder.name}/ has no images of {', '.join(absent[:5])}{', …' * (len(absent) > 5)}"
            )


def _require_classes(folder: Path, names: Sequence[str], files: Files) -> None:
    """Raises DataError where folders look like parts of the data, or like pictures and what is said of them.

    Parts hold the same class folders; so no two classes may hold several folders of the same names, and no
    pictures beside these.
    """
    within: dict[str, set[str]] = {}
    for path, label in zip(files.paths, files.labels, strict=True):
        within.setdefault(names[label], set()).add(
            path.parent.name if path.parent != folder / names[label] else ""
        )
    nested = {name: inner for name, inner in within.items() if "" not in inner}
    for name, inner in nested.items():
        same = [other for other in nested if other != name and len(inner & nested[other]) > 1]
        if same:
            shared = ", ".join(f"{each}/" for each in sorted(inner & nested[same[0]])[:3])
            raise DataError(
                f"{folder}: {name}/ and {same[0]}/ both hold {shared}: these look like the classes; call the "
                f"folders above them train/ and test/, or name one, folder:{folder / name}"
            )
    plain = {name.lower(): name for name in names}
    pictures, said = ([plain[word] for word in words if word in plain] for words in (PICTURES, SAID))
    if pictures and said:
        raise DataError(
            f"{folder}: {pictures[0]}/ and {said[0]}/ are no classes; images lie in {folder}/CLASS/, one "
            "folder a class"
        )


# ---- Which files ------------------------------------------------------------------------------------


def _files(folder: Path, names: Sequence[str], needed: bool, left: list[Path]) -> Files:
    """The images of each class, in order of name; what has their ending and is no file goes to `left`."""
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        here = sorted(_walk(folder / name))
        found = [path for path in here if path.is_file()]
        left += (no := [path for path in here if not path.is_file()])
        if needed and not found:
            there = f"; {no[0].name} is {_why(no[0])}" if no else ""
            raise DataError(
                f"{folder / name}: no images (.png, .jpg, …){there}; remove the folder or fill it"
            )
        paths += found
        labels += [label] * len(found)
    return Files(tuple(paths), np.array(labels, np.int64))


def _walk(folder: Path) -> Iterator[Path]:
    """What has an image's ending in a folder and in those within, without what is hidden and linked folders.

    Raises DataError for a folder within that cannot be read.
    """
    endings = extensions()
    for where, inner, files in os.walk(folder, onerror=_unreadable):
        inner[:] = [name for name in inner if _visible(name)]
        for name in files:
            path = Path(where, name)
            if path.suffix.lower() in endings and _visible(name):
                yield path


def _unreadable(error: OSError) -> None:
    """Raises DataError; a class that another part of the data lacks is no fault."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from error


def _why(path: Path) -> str:
    """What a path is that is no regular file."""
    return "a link to nothing" if path.is_symlink() and not path.exists() else "no regular file"


def _parted(files: Files, classes: int) -> tuple[Files, Files]:
    """(training, test): of each class one image in five, and at least one of two, is for the test."""
    held = np.zeros(len(files.paths), bool)
    for label in range(classes):
        index = np.flatnonzero(files.labels == label)
        count = max(len(index) // TEST_SHARE, min(1, len(index) - 1))
        held[np.random.default_rng([SEED, label]).permutation(index)[:count]] = True
    if not held.any():
        raise DataError(
            f"{files.paths[0].parent.parent}: one image a class leaves none for the test; add images"
        )
    return _taken(files, np.flatnonzero(~held)), _taken(files, np.flatnonzero(held))


def _shuffled(files: Files) -> Files:
    return _taken(files, np.random.default_rng(SEED).permutation(len(files.paths)))


def _taken(files: Files, index: Array) -> Files:
    return Files(tuple(files.paths[i] for i in index), files.labels[index])


# ---- Reading them -----------------------------------------------------------------------------------


def _common_shape(files: Files, notes: list[str]) -> tuple[int, int, int]:
    """The shape for a look at images without a network: their own where they have one, else 64 × 64."""
    sizes = Counter(image_size(path) for path in files.paths)
    channels = max(channels for _, _, channels in sizes)
    plain = Counter((height, width) for height, width, _ in sizes.elements())
    if len(plain) == 1:
        ((height, width),) = plain
        return height, width, channels
    height, width = plain.most_common(1)[0][0]
    few, most = min(plain, key=lambda s: s[0] * s[1]), max(plain, key=lambda s: s[0] * s[1])
    notes.append(
        f"{len(plain)} sizes from {few[1]}×{few[0]} to {most[1]}×{most[0]} pixels, most often "
        f"{width}×{height}: shown as {PREVIEW}×{PREVIEW}; [input] shape says what a network gets"
    )
    return PREVIEW, PREVIEW, channels


def _images(
    paths: Sequence[Path], shape: tuple[int, int, int], notes: list[str], trained: float | None
) -> tuple[Array, float | None]:
    """The images (N, *shape) uint8, and the value of those of more than 8 bits that became 255.

    They are scaled alike, which is noted: as those that a network was `trained` on, else by what the largest
    value of all of them says.  The value is None where there are none, or all are black.
    """
    images = np.empty((len(paths), *shape), np.uint8)
    read = partial(_read, images, paths, shape)
    with strict_sizes():
        full, fractions = np.array(_each(partial(read, most=trained), range(len(paths)))).T
        most, units = float(full.max()), (full == 1) & (fractions == 1)
        if units.any() and most > PIXEL:  # floats of 0 … 1 beside images of 16 bits
            small, large = (paths[int(np.argmax(which))] for which in (units, full == most))
            raise DataError(
                f"{small}: values of 0 … 1, those of {large} are 0 … {most:,.0f}; store all images alike"
            )
        if most:
            alike = " as in training" if trained is not None else ""
            _each(partial(read, most=most), np.flatnonzero((full > 0) & (full < most)).tolist())
            count = np.count_nonzero(full)
            notes.append(f"{count:,} images of more than 8 bits: 0 … {most:,.0f} became 0 … 255{alike}")
    return images, most or None


def _read(
    images: Array, paths: Sequence[Path], shape: tuple[int, int, int], number: int, most: float | None = None
) -> tuple[float, bool]:
    picture = read_image(paths[number], shape, most=most)
    images[number] = picture.pixels
    return picture.full or 0.0, picture.fractions


def _each(read: Callable[[int], tuple[float, bool]], numbers: Sequence[int]) -> list[tuple[float, bool]]:
    """What `read` gives for each number, by some threads; the first fault ends all of them."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            return list(pool.map(read, numbers))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
