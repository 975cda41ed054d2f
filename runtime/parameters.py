"""Trained parameters in a file: safetensors, written atomically, never pickled."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from runtime.errors import RunError
from runtime.files import write_atomically
from runtime.program import Array, Parameters, Program


def save_parameters(path: Path, parameters: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Writes name → array and the metadata; the same input gives the same bytes.  Raises RunError."""
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(value) for name, value in parameters.items()}
    try:
        write_atomically(path, _canonical(save(arrays, dict(metadata))))
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error


def load_parameters(path: Path | str, program: Program | None = None) -> Parameters:
    """Name → array from a file; with a `program`, names, shapes and spec must fit.  Raises RunError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    file = Path(path)
    try:
        content = file.read_bytes()
        parameters: Parameters = dict(load(content))
    except FileNotFoundError as error:
        raise RunError(f"{file}: not found; a run writes parameters.safetensors into its folder") from error
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise RunError(f"{file}: not a file of parameters ({error}); use one that a run wrote") from error
    if program is not None:
        if differences := _differences(parameters, _metadata(content), program):
            raise RunError(f"{file}: does not fit {program.name}: {'; '.join(differences)}")
        order = [*program.module.PARAMETERS, *program.module.STATISTICS]
        parameters = {name: parameters[name] for name in order}
    return parameters


def read_metadata(path: Path | str) -> dict[str, str]:
    """The metadata of a file of parameters: the program's name, its spec's hash.  Raises RunError."""
    load_parameters(path)
    return _metadata(Path(path).read_bytes())


def _metadata(content: bytes) -> dict[str, str]:
    return dict(_header(content)[0].get("__metadata__", {}))


def _header(content: bytes) -> tuple[dict[str, dict[str, str]], int]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), 8 + length


def _canonical(content: bytes) -> bytes:
    """The same file with its header's keys in a fixed order: safetensors writes metadata in any."""
    header, start = _header(content)
    metadata = dict(sorted(header.pop("__metadata__", {}).items()))
    text = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[start:]


def _differences(parameters: Parameters, metadata: Mapping[str, str], program: Program) -> list[str]:
    wanted = {**program.module.PARAMETERS, **program.module.STATISTICS}
    found = []
    for name in sorted(wanted.keys() | parameters.keys()):
        if name not in parameters:
            found.append(f"{name} is missing")
        elif name not in wanted:
            found.append(f"{name} is unknown")
        elif parameters[name].shape != tuple(wanted[name]):
            found.append(f"{name} has shape {parameters[name].shape}, not {tuple(wanted[name])}")
    spec = metadata.get("spec_sha256")
    if not found and spec is not None and spec != program.spec_sha256:
        found.append(f"it was trained for spec {spec[:12]}…, this is {program.spec_sha256[:12]}…")
    return found
