"""Trained parameters in a file: safetensors, written atomically, never pickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runtime.arrays import Unreadable, pack, unpack
from runtime.errors import RunError
from runtime.files import write_atomically
from runtime.program import Array, Parameters, Program


def save_parameters(path: Path, parameters: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Writes name → array and the metadata; the same input gives the same bytes.  Raises RunError."""
    try:
        write_atomically(path, pack(parameters, metadata))
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error


def load_parameters(path: Path | str, program: Program | None = None) -> Parameters:
    """Name → array from a file; with a `program`, names, shapes and spec must fit.  Raises RunError."""
    parameters, metadata = _read(Path(path))
    if program is not None:
        if differences := _differences(parameters, metadata, program):
            raise RunError(f"{path}: does not fit {program.name}: {'; '.join(differences)}")
        order = [*program.module.PARAMETERS, *program.module.STATISTICS]
        parameters = {name: parameters[name] for name in order}
    return parameters


def read_metadata(path: Path | str) -> dict[str, str]:
    """The metadata of a file of parameters: the program's name, its spec's hash.  Raises RunError."""
    return _read(Path(path))[1]


def _read(file: Path) -> tuple[Parameters, dict[str, str]]:
    try:
        return unpack(file.read_bytes())
    except FileNotFoundError as error:
        raise RunError(f"{file}: not found; a run writes parameters.safetensors into its folder") from error
    except (OSError, Unreadable) as error:
        raise RunError(f"{file}: not a file of parameters ({error}); use one that a run wrote") from error


def shape_differences(found: Mapping[str, Array], program: Program) -> list[str]:
    """How names and shapes differ from the program's parameters and statistics; [] when they fit."""
    wanted = {**program.module.PARAMETERS, **program.module.STATISTICS}
    differences = []
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            differences.append(f"{name} is missing")
        elif name not in wanted:
            differences.append(f"{name} is unknown")
        elif found[name].shape != tuple(wanted[name]):
            differences.append(f"{name} has shape {found[name].shape}, not {tuple(wanted[name])}")
    return differences


def _differences(parameters: Parameters, metadata: Mapping[str, str], program: Program) -> list[str]:
    found = shape_differences(parameters, program)
    spec = metadata.get("spec_sha256")
    if not found and spec is not None and spec != program.spec_sha256:
        found.append(f"it was trained for spec {spec[:12]}…, this is {program.spec_sha256[:12]}…")
    return found
