"""Checkpoints of a run: whole or not there, checked by SHA-256, the two newest kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runtime.arrays import Unreadable, pack, unpack
from runtime.errors import RunError
from runtime.files import write_atomically
from runtime.parameters import shape_differences
from runtime.program import Array, Program
from runtime.snapshot import Snapshot, Standing

FORMAT = 1
KEPT = 2
SUFFIX = ".safetensors"
STATE, IDENTITY = "run", "identity"  # entries of the metadata
TREE = ("parameters", "best", "state")
SECTIONS = ("name", "summary", "input", "output", "loss", "optimizer", "training")


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
        """The checkpoints, the newest first."""
        return sorted(self.folder.glob(f"step-*{SUFFIX}"), reverse=True)

    def load(self, program: Program, warn: Callable[[str], None]) -> Snapshot | None:
        """The newest whole checkpoint; None where none was written.

        A damaged one is told to `warn` and put aside as NAME.damaged.  Raises RunError where all are
        damaged, and where a checkpoint is of another run, with the differences.
        """
        files = self.files()
        for path in files:
            try:
                return self._decode(path, program)
            except Unreadable as error:
                path.rename(path.with_name(f"{path.name}.damaged"))
                warn(f"{path}: damaged ({error}), put aside as {path.name}.damaged; using the one before it")
        if files:
            raise RunError(f"{self.folder}: no checkpoint is whole, so that the run cannot go on; train anew")
        return None

    def _encode(self, moment: Snapshot) -> bytearray:
        tree = {"parameters": moment.parameters, "best": moment.best, "state": moment.state}
        plain, arrays = _without_arrays(tree)
        document = {"format": FORMAT, "standing": moment.standing.as_dict(), **plain}
        metadata = {STATE: json.dumps(document), IDENTITY: json.dumps(self.identity, sort_keys=True)}
        return pack(arrays, metadata)

    def _decode(self, path: Path, program: Program) -> Snapshot:
        """The moment of a file.  Raises Unreadable, or RunError for one of another run."""
        try:
            arrays, metadata = unpack(path.read_bytes(), checksum=True)
            document, identity = json.loads(metadata[STATE]), json.loads(metadata[IDENTITY])
        except (OSError, KeyError, ValueError) as error:
            raise Unreadable(str(error)) from error
        found = list(differences(identity, json.loads(json.dumps(self.identity))))
        if document.get("format") != FORMAT:
            found.append(f"format is {document.get('format')!r}, this version reads {FORMAT}")
        if not found:
            tree = _with_arrays({key: document[key] for key in TREE}, arrays)
            found += shape_differences(tree["parameters"], program)
        if found:
            raise RunError(f"{path}: of another run: {'; '.join(found)}; train anew, without --resume")
        moment = Snapshot()
        moment.take(tree["parameters"], tree["best"], tree["state"], Standing.from_dict(document["standing"]))
        return moment


def identity(program: Program, settings: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Which run this is, as JSON values."""
    return {"program": sections(program.manifest), "settings": dict(settings), "data": dict(data)}


def sections(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What of a manifest makes the run: the spec's hash, and what shows in words how two specs differ."""
    named = {key: manifest[key] for key in SECTIONS if key in manifest}
    return {**named, "spec_sha256": manifest["spec"]["sha256"]}


def differences(there: Any, here: Any, where: str = "") -> Iterator[str]:
    """How two JSON values differ, one text an entry: "settings.seed is 1, here 2"."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted(there.keys() | here.keys()):
            yield from differences(there.get(key), here.get(key), f"{where}.{key}" if where else key)
    elif there != here:
        yield f"{where} is {_short(there)}, here {_short(here)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
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
