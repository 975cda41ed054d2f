"""A trained run as files that need no Python: the way forward in C, and its weights."""

from __future__ import annotations

from pathlib import Path

import click

from chainrule.cli.specs import generated_for
from chainrule.cli.using import open_run
from chainrule.cli.writing import write_file
from chainrule.codegen.targets import TARGETS
from chainrule.codegen.targets.c.weights import check_source, inputs_source, weights_source
from chainrule.runtime.run import SPEC, Run
from chainrule.spec import load_spec

WEIGHTS = "weights.bin"


def exported(path: Path, target: str, output: Path, c_array: bool, force: bool) -> list[Path]:
    """Write the files of a run and return their paths; nothing in the run's folder is run.

    Raises RunError, SpecError, LoweringError, click.UsageError where a file would be overwritten.
    """
    run = open_run(path, regenerate=True)
    programs = generated_for(load_spec(path / SPEC), [target]).files
    files = {Path(name).name: programs[name].encode() for name in TARGETS[target].exports}
    files |= _weights(run, c_array)
    paths = {output / name: content for name, content in files.items()}
    taken = [file for file, content in paths.items() if _differs(file, content)]
    if taken and not force:
        raise click.UsageError(f"{taken[0]} exists; choose another folder, or use --force.")
    output.mkdir(parents=True, exist_ok=True)
    for file, content in paths.items():
        write_file(file, content)
    return list(paths)


def _differs(file: Path, content: bytes) -> bool:
    return file.exists() and not (file.is_file() and file.read_bytes() == content)


def _weights(run: Run, c_array: bool) -> dict[str, bytes]:
    """Return what goes with the program: weights, how inputs are scaled, in C weights and a check."""
    import numpy as np

    name, scaled = run.program.name, run.preprocessing
    single = {key: value.astype("<f4") for key, value in run.parameters.items()}
    found = {WEIGHTS: b"".join(value.tobytes() for value in single.values())}
    if scaled:
        found["inputs.h"] = inputs_source(name, scaled.offset, scaled.scale).encode()
    if not c_array:
        return found
    x = np.random.default_rng(0).random((1, *run.program.input_shape), np.float32)
    y = run.program.module.predict({key: value.astype("f8") for key, value in single.items()}, x.astype("f8"))
    values = [number for value in single.values() for number in value.ravel().tolist()]
    found["weights.c"] = weights_source(name, values).encode()
    found["check.c"] = check_source(name, x.ravel().tolist(), y.ravel().tolist()).encode()
    return found
