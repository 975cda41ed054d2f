"""Checkpoints of a run: whole or not there, checked by SHA-256, the two newest kept."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.runtime.arrays import MOST_HEADER, Header, Unreadable, pack, read_arrays
from chainrule.runtime.errors import RunError
from chainrule.runtime.files import whole, write_atomically
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.settings import Settings
from chainrule.runtime.snapshot import Snapshot, Standing, layout
from chainrule.runtime.trainer import Array

FORMAT = 2
KEPT = 2
SUFFIX = ".safetensors"
STATE, IDENTITY = "run", "identity"  # entries of the metadata
THREADS = "threads"  # an entry of the identity
TREE = ("parameters", "best", "state")
SECTIONS = ("name", "summary", "input", "output", "loss", "optimizer", "training")
REASONS = {
    "settings.epochs": "the learning rate is planned over all epochs, so that every step would be another",
    "data.sha256": "a value of the data has changed",
}


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints in a run's folder.

    `identity` says, as JSON values, which run they are of: its program, settings and data.  One of another
    run is refused.
    """

    folder: Path
    identity: Mapping[str, Any]

    def save(self, moment: Snapshot, number: int) -> None:
        """Writes the checkpoint of step `number` of the run, then removes all but the two newest.

        Raises RunError, with the earlier ones intact, where it cannot be written.
        """
        path = self.folder / f"step-{number:09}{SUFFIX}"
        try:
            self.folder.mkdir(exist_ok=True)
            write_atomically(path, self._encode(moment))
            for old in self.files()[KEPT:]:
                old.unlink()
        except OSError as error:
            raise RunError(
                f"{path}: cannot be written ({error.strerror or error}); those before it are whole: make "
                "room, then go on by --resume"
            ) from error

    def files(self) -> list[Path]:
        """The checkpoints, the newest first.  Raises OSError where the folder cannot be read."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as found:
            names = [each.name for each in found if each.name.startswith("step-")]
            return [self.folder / name for name in sorted(names, reverse=True) if name.endswith(SUFFIX)]
        return []

    def load(
        self, like: Snapshot, warn: Callable[[str], None], other_threads: bool = False
    ) -> Snapshot | None:
        """The newest whole checkpoint, of a run whose arrays are `like` these; None where none was written.

        A damaged one is told to `warn` and put aside as NAME.damaged.  Raises RunError, and changes nothing,
        where a checkpoint cannot be read or is of another run, with the differences; RunError where all are
        damaged.  With `other_threads`, it may be of a run on another number of threads.
        """
        path = self.folder
        try:
            files = self.files()
            for path in files:
                try:
                    return self._decode(path, like, warn if other_threads else None)
                except Unreadable as error:
                    aside = path.with_name(f"{path.name}.damaged")
                    path.rename(aside)
                    warn(f"{path}: damaged ({error}), put aside as {aside.name}; using the one before it")
        except OSError as error:
            raise RunError(
                f"{path}: cannot be read ({error.strerror or error}); make it readable, then --resume again"
            ) from error
        if files:
            raise RunError(f"{self.folder}: no checkpoint is whole, so that the run cannot go on; train anew")
        return None

    def _encode(self, moment: Snapshot) -> bytearray:
        tree = {"parameters": moment.parameters, "best": moment.best, "state": moment.state}
        plain, arrays = _without_arrays(tree)
        document = {"format": FORMAT, "standing": moment.standing.as_dict(), **plain}
        metadata = {STATE: json.dumps(document), IDENTITY: json.dumps(self.identity, sort_keys=True)}
        return pack(arrays, metadata)

    def _decode(self, path: Path, like: Snapshot, warn: Callable[[str], None] | None) -> Snapshot:
        """The moment of a file.  Raises OSError, Unreadable, or RunError for one of another run."""
        most = MOST_HEADER + 4 * sum(map(_bytes, (like.parameters, like.parameters, like.state)))

        def accept(header: Header, size: int) -> None:
            if size > most:
                raise RunError(f"{path}: of another run: {size:,} bytes, at most {most:,} are expected")

        arrays, metadata = read_arrays(path, accept, checksum=True)
        try:
            document, identity = (json.loads(metadata[key], parse_int=whole) for key in (STATE, IDENTITY))
            found = list(differences({"format": document.get("format")}, {"format": FORMAT}))
            if not found:
                found = self._differences(identity, warn)
            if not found:
                tree = _with_arrays({key: document[key] for key in TREE}, arrays)
                found = list(differences(layout(tree["parameters"]), layout(like.parameters), "parameters"))
                found += differences(layout(tree["state"]), layout(like.state), "state")
                if tree["best"]:
                    found += differences(layout(tree["best"]), layout(like.parameters), "best")
            if not found:
                moment = Snapshot()
                standing = Standing.from_dict(document["standing"])
                moment.take(tree["parameters"], tree["best"], tree["state"], standing)
                return moment
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise Unreadable(f"{type(error).__name__}: {error}") from error
        what = "; ".join(found)
        raise RunError(f"{path}: of another run: {what}; go on with what it began with, or train anew")

    def _differences(self, identity: Any, warn: Callable[[str], None] | None) -> list[str]:
        """How the identity of a checkpoint differs from this run's.  Raises RunError for other threads."""
        here = json.loads(json.dumps(self.identity))
        found = list(differences(identity, here))
        there = identity.get(THREADS)
        if there != here.get(THREADS) and len(found) == 1:
            text = (
                f"{self.folder}: the run computed on {there} threads, this program computes on "
                f"{here.get(THREADS)}, which adds up in another order and gives other last bits"
            )
            if warn is None:
                raise RunError(f"{text}; go on with --threads {there}")
            warn(text)
            return []
        reasons = [REASONS.get(each.partition(" ")[0], "") for each in found]
        return [f"{each} ({why})" if why else each for each, why in zip(found, reasons, strict=True)]


def _bytes(tree: Mapping[str, Any]) -> int:
    return sum(_bytes(v) if isinstance(v, Mapping) else getattr(v, "nbytes", 0) for v in tree.values())


def identity(
    program: LoadedProgram, settings: Settings, data: Mapping[str, Any], planned: bool
) -> dict[str, Any]:
    """Which run this is, as JSON values.

    The number of epochs is part of it only where the learning rate is `planned` over all of them: otherwise a
    longer run goes through the same steps.
    """
    kept = settings.as_dict()
    computed_on = kept.pop(THREADS, None)
    if not planned:
        del kept["epochs"]
    return {
        "program": sections(program.manifest),
        "settings": kept,
        "data": dict(data),
        THREADS: computed_on,
    }


def sections(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What of a manifest makes the run: the spec's hash, and what shows in words how two specs differ."""
    named = {key: manifest[key] for key in SECTIONS if key in manifest}
    return {**named, "spec_sha256": manifest["spec"]["sha256"]}


def differences(there: Any, here: Any, where: str = "") -> Iterator[str]:
    """How two JSON values differ, one text an entry: "settings.seed is 1, here 2", "layers[0].units is …"."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted(there.keys() | here.keys()):
            yield from differences(there.get(key), here.get(key), f"{where}.{key}" if where else key)
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for place, (before, now) in enumerate(zip(there, here, strict=True)):
            yield from differences(before, now, f"{where}[{place}]")
    elif there != here:
        yield f"{where} is {_short(there)}, here {_short(here)}"


def _short(value: Any) -> str:
    text = "not given" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:16]}…"


def _without_arrays(tree: Mapping[str, Any], prefix: str = "") -> tuple[dict[str, Any], dict[str, Array]]:
    """A tree as JSON values, in which {"array": NAME} stands for each array, and the arrays by name."""
    plain: dict[str, Any] = {}
    arrays: dict[str, Array] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, np.ndarray):
            plain[key], arrays[name] = {"array": name}, value
        elif isinstance(value, dict):
            inner, more = _without_arrays(value, f"{name}/")
            plain[key] = {"table": inner}
            arrays |= more
        elif isinstance(value, str | int | float) or value is None:
            plain[key] = value
        else:
            raise TypeError(f"{name}: {type(value).__name__}; a state holds arrays, tables, numbers and text")
    return plain, arrays


def _with_arrays(plain: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[str, Any]:
    """The tree that `_without_arrays` took apart."""

    def value(entry: Any) -> Any:
        if not isinstance(entry, dict):
            return entry
        return arrays[entry["array"]] if "array" in entry else _with_arrays(entry["table"], arrays)

    return {key: value(entry) for key, entry in plain.items()}
