"""Trained parameters in a file: safetensors, written atomically, never pickled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from chainrule.runtime.arrays import Header, Unreadable, pack, read_arrays
from chainrule.runtime.errors import RunError
from chainrule.runtime.files import write_atomically
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.snapshot import not_finite
from chainrule.runtime.trainer import Array, Parameters

DTYPES = ("float32", "float64")


def save_parameters(path: Path, parameters: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Writes name → array and the metadata; the same input gives the same bytes.  Raises RunError."""
    try:
        write_atomically(path, pack(parameters, metadata))
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error


def load_parameters(path: Path | str, program: LoadedProgram | None = None) -> Parameters:
    """Name → array from a file, every value finite; with a `program`, all must fit it.  Raises RunError.

    Names, shapes and dtype are compared before an array is read.
    """

    def accept(header: Header, size: int) -> None:
        if program is not None and (found := _differences(header, program)):
            raise RunError(f"{path}: does not fit {program.name}: {'; '.join(found)}")

    parameters = _read(Path(path), accept)
    for name, value in parameters.items():
        if bad := not_finite(value):
            raise RunError(f"{path}: {name} has {bad}: nothing can be computed with it; use another run's")
    if program is None:
        return parameters
    return {name: parameters[name] for name in (*program.module.PARAMETERS, *program.module.STATISTICS)}


def _read(file: Path, accept: Callable[[Header, int], None]) -> Parameters:
    try:
        return read_arrays(file, accept)[0]
    except FileNotFoundError as error:
        raise RunError(f"{file}: not found; a run writes parameters.safetensors into its folder") from error
    except OSError as error:
        raise RunError(f"{file}: cannot be read ({error.strerror or error})") from error
    except Unreadable as error:
        raise RunError(f"{file}: not a file of parameters ({error}); use one that a run wrote") from error


def _differences(header: Header, program: LoadedProgram) -> list[str]:
    """How a file's arrays differ from the program's parameters and statistics; [] when they fit."""
    wanted = {**program.module.PARAMETERS, **program.module.STATISTICS}
    found = []
    for name in sorted(wanted.keys() | header.arrays.keys()):
        dtype, shape = header.arrays.get(name, ("", ()))
        if not dtype:
            found.append(f"{name} is missing")
        elif name not in wanted:
            found.append(f"{name} is unknown")
        elif shape != tuple(wanted[name]):
            found.append(f"{name} has shape {shape}, not {tuple(wanted[name])}")
        elif dtype not in DTYPES:
            found.append(f"{name} is {dtype}, not {' or '.join(DTYPES)}")
    dtypes = {dtype for dtype, _ in header.arrays.values()}
    if not found and len(dtypes) > 1:
        found.append(f"its arrays are of several types, {' and '.join(sorted(dtypes))}")
    spec = header.metadata.get("spec_sha256")
    if not found and spec is not None and spec != program.spec_sha256:
        found.append(f"it was trained for spec {spec[:12]}…, this is {program.spec_sha256[:12]}…")
    return found
