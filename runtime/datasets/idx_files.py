"""`idx:PATH`: IDX files of one's own, as MNIST, KMNIST and EMNIST have them, told apart by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from chainrule.runtime.datasets.dataset import TEST, TRAINING, VALIDATION, Array, Part, Raw
from chainrule.runtime.datasets.idx import check_counts, read_idx
from chainrule.runtime.errors import DataError
from chainrule.runtime.regular import open_regular

WORDS = {
    TRAINING: ("train", "training"),
    VALIDATION: ("val", "valid", "validation", "dev"),
    TEST: ("test", "t10k", "testing"),
}
PARTS = {word: part for part, words in WORDS.items() for word in words}
IMAGES, LABELS = ("images", "imgs", "image", "data"), ("labels", "label", "targets")
FORMAT = re.compile(r"idx\d?|u?byte|gz")  # words of a file's name that say how it is stored
EMNIST = "emnist"  # its pictures are columns by rows; the names of its files say so
MOST_CLASSES = 10_000  # that a mapping names
MOST_MAPPING = 100_000  # bytes of the file that names EMNIST's classes


def load_idx(path: Path) -> Raw:
    """Images and labels from the IDX files in a folder, gzipped or not, or from those that begin with `path`.

    A file's name says what it holds: train-images-idx3-ubyte, emnist-letters-test-labels-idx1-ubyte.gz …
    Pictures of files named emnist are transposed, as they are published.  Raises DataError.
    """
    folder, begin = (path, "") if path.is_dir() else (path.parent, path.name)
    sets, unread = _sets(folder, begin)
    unused = f"not used: {_listed(unread)}; names end as in train-images-idx3-ubyte" if unread else ""
    if not sets:
        remedy = unused or "idx:PATH is relative to the spec's folder"
        raise DataError(
            f"{path}: no IDX files; names such as train-images-idx3-ubyte and train-labels-idx1-ubyte (.gz) "
            f"are looked for; {remedy}"
        )
    if len(sets) > 1:
        shown = ", ".join(f"idx:{folder / stem}" for stem in sorted(sets))
        raise DataError(f"{path}: {len(sets)} sets of IDX files; name one: {shown}")
    ((stem, files),) = sets.items()
    parts, notes = _parts(files, path, unused)
    if EMNIST in stem.lower():
        parts = {part: Part(_transposed(x, path), t) for part, (x, t) in parts.items()}
        notes.append("pictures transposed: those of EMNIST are stored column by column")
    names = _class_names(folder / f"{stem.rstrip('-_.')}-mapping.txt", path)
    name = stem.rstrip("-_.") or folder.resolve().name
    return Raw(name, parts, str(path), labels=True, from_one=True, class_names=names, notes=tuple(notes))


def _sets(folder: Path, begin: str) -> tuple[dict[str, dict[tuple[str, str], Path]], list[str]]:
    """By what their names begin with, the files of each set, by (part, "images" or "labels").

    And the names of others that look as if they were of a set, and are not read.
    """
    sets: dict[str, dict[tuple[str, str], Path]] = {}
    unread: list[str] = []
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be read ({error.strerror or error}); idx:PATH is relative to the spec's folder"
        ) from error
    for entry in entries:
        if entry.name.startswith(".") or not entry.name.startswith(begin) or entry.is_dir():
            continue
        told = _told(entry.name) if entry.is_file() else None
        if told is None:
            unread += [entry.name] if _seems(entry.name) else []
            continue
        stem, role = told
        files = sets.setdefault(stem, {})
        if role in files and f"{files[role].name}.gz" != entry.name:
            raise DataError(
                f"{folder}: {files[role].name} and {entry.name} are both {' '.join(role)}; remove one"
            )
        files.setdefault(role, entry)  # of a file and its .gz the plain one, which sorts first
    return sets, unread


def _seems(name: str) -> bool:
    """Whether a name is that of an IDX file, by how it says to be stored, or of a part of a set."""
    words = set(re.findall(r"[a-z0-9]+", name.lower()))
    stored = any(word != "gz" and FORMAT.fullmatch(word) for word in words)
    return stored or bool(words & set(PARTS) and words & {*IMAGES, *LABELS})


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + ", …" * (len(names) > 3)


def _told(name: str) -> tuple[str, tuple[str, str]] | None:
    """What a file's name begins with, and (part, "images" or "labels") of it; None where it does not say."""
    words = [word for word in re.finditer(r"[a-z0-9]+", name.lower()) if not FORMAT.fullmatch(word[0])]
    if len(words) < 2 or words[-2][0] not in PARTS or words[-1][0] not in IMAGES + LABELS:
        return None
    what = "images" if words[-1][0] in IMAGES else "labels"
    return name[: words[-2].start()], (PARTS[words[-2][0]], what)


def _parts(
    files: Mapping[tuple[str, str], Path], path: Path, unused: str
) -> tuple[dict[str, Part], list[str]]:
    parts, notes = {}, [unused] if unused else []
    for part in WORDS:
        images, labels = files.get((part, "images")), files.get((part, "labels"))
        if images is not None and labels is not None:
            x, t = read_idx(images), read_idx(labels)
            if t.ndim != 1 or x.ndim < 2:
                raise DataError(
                    f"{path}: {images.name} has {x.ndim} dimensions, {labels.name} {t.ndim}; "
                    "images of 2 or more and labels of 1 are needed"
                )
            check_counts(x, t, labels)
            parts[part] = Part(x, t)
        elif images or labels:
            lone = images or labels
            notes.append(
                f"not used: {lone.name if lone else ''}, without its {'labels' if images else 'images'}"
            )
    if TRAINING not in parts:
        held = ", ".join(file.name for file in files.values())
        raise DataError(f"{path}: {held}: training images and labels are needed{'; ' * bool(unused)}{unused}")
    return parts, notes


def _transposed(x: Array, path: Path) -> Array:
    if x.ndim < 3:
        raise DataError(f"{path}: pictures of EMNIST have two axes, these {x.ndim - 1}")
    return x.swapaxes(1, 2)


def _class_names(mapping: Path, path: Path) -> tuple[str, ...]:
    """What EMNIST's mapping calls the labels from 0 on, "1 65 97" a line: label and code points; or ().

    A label that it does not name, as letters have no 0, is called by its number.
    """
    if not mapping.is_file():
        return ()
    try:
        with open_regular(mapping) as (file, _):
            rows = [
                line.split() for line in file.read(MOST_MAPPING).decode("ascii").splitlines() if line.strip()
            ]
        named = {int(row[0]): "/".join(dict.fromkeys(chr(int(code)) for code in row[1:])) for row in rows}
        if min(named, default=0) < 0 or max(named, default=0) >= MOST_CLASSES:
            raise ValueError(f"labels are 0 … {MOST_CLASSES - 1}")
    except (OSError, ValueError, OverflowError, IndexError) as error:
        raise DataError(f"{mapping}: not a mapping of labels to characters ({error}); remove it") from error
    names = (named.get(label, f"({label})") for label in range(max(named, default=-1) + 1))
    return tuple(name if name.isprintable() else "?" for name in names)
