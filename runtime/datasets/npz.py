"""Data in a NumPy archive, found by the names of its arrays: x_train, y_train, val_images …, in any case."""

from __future__ import annotations

import re
from pathlib import Path

from chainrule.runtime.datasets.archive import open_archive
from chainrule.runtime.datasets.dataset import TEST, TRAINING, VALIDATION, Array, Part, Raw
from chainrule.runtime.errors import DataError

INPUTS = ("x", "xs", "inputs", "images", "imgs", "data", "features")
TARGETS = ("t", "y", "ts", "ys", "targets", "target", "labels", "label")
SPLITS = {  # what folders and arrays for each part are called, in any case
    TRAINING: ("train", "training", "trn"),
    VALIDATION: ("val", "valid", "validation", "dev"),
    TEST: ("test", "testing", "tst"),
}
PARTS = {word: part for part, words in SPLITS.items() for word in words}
FILLERS = ("set", "sets", "data", "dataset", "images", "imgs", "split", "dir", "folder")  # training_set


def load_npz(path: Path) -> Raw:
    """The arrays of an archive.  Whole numbers are labels where the network takes some.

    Names are x and t, y, images and labels …, with train, val or test before or after.  Raises DataError.
    """
    with open_archive(path) as archive:
        roles = _roles(archive.names, path)
        found = {role: archive[name] for role, name in roles.items()}
        unused = [name for name in archive.names if name not in roles.values()]
    parts, notes = _parts(found, roles, path)
    if unused:
        notes.append(f"not used: {', '.join(unused)}")
    return Raw(path.stem, parts, str(path), notes=tuple(notes))


def _roles(names: tuple[str, ...], path: Path) -> dict[tuple[str, str], str]:
    """Names of arrays by (part, what they are); those that say neither are left out."""
    roles: dict[tuple[str, str], str] = {}
    plain = [name for name in names if not _says_part(name)]  # after those that say it: x_train before x
    for name in (*(name for name in names if name not in plain), *plain):
        role = role_of(name)
        if role is None or (role in roles and name in plain and roles[role] not in plain):
            continue
        if role in roles:
            raise DataError(
                f"{path}: {roles[role]} and {name} are both {role[0]} {role[1]}; leave one of them out"
            )
        roles[role] = name
    for what, usual in (("inputs", "x_train"), ("targets", "y_train")):
        if (TRAINING, what) not in roles:
            held = ", ".join(names) or "nothing"
            raise DataError(f"{path}: holds {held}; x_train, y_train (or x, t) are needed: no {usual}")
    return roles


def _says_part(name: str) -> bool:
    return any(word in PARTS for word in _words(name))


def part_of(name: str) -> str | None:
    """The part that a folder is for, by its name: Train, test1, validation_set; None where it is for none."""
    words = re.findall(r"[a-z]+", name.lower())
    if len(words) == 1:
        for filler in FILLERS:
            words = [words[0].removesuffix(filler) or words[0]]
    parts = [PARTS[word] for word in words if word in PARTS]
    rest = [word for word in words if word not in PARTS and word not in FILLERS]
    return parts[0] if len(parts) == 1 and not rest else None


def role_of(name: str) -> tuple[str, str] | None:
    """(part, "inputs" or "targets") of an array, None where its name does not say."""
    words = _words(name)
    parts = [PARTS[word] for word in words if word in PARTS]
    whats = ["inputs" if word in INPUTS else "targets" for word in words if word in INPUTS + TARGETS]
    if len(parts) > 1 or len(whats) != 1 or len(parts) + 1 != len(words):
        return None
    return (parts[0] if parts else TRAINING), whats[0]


def _words(name: str) -> list[str]:
    """The words of a name, in lower case: x and train of X_train, xTrain and xtrain."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word]
    if len(words) == 1:
        for part in PARTS:
            for rest in (words[0].removeprefix(part), words[0].removesuffix(part)):
                if rest != words[0] and rest in INPUTS + TARGETS:
                    return [part, rest]
    return words


def _parts(
    found: dict[tuple[str, str], Array], roles: dict[tuple[str, str], str], path: Path
) -> tuple[dict[str, Part], list[str]]:
    parts, notes = {}, []
    for part in SPLITS:
        x, t = found.get((part, "inputs")), found.get((part, "targets"))
        if x is not None and t is not None:
            parts[part] = Part(x, t)
        elif x is not None or t is not None:
            there, lacking = ("inputs", "targets") if t is None else ("targets", "inputs")
            notes.append(f"not used: {roles[part, there]}, for which there are no {lacking}")
    return parts, notes
