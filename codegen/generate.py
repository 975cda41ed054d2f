"""The pipeline on one page: spec → network → derivation → program → text, and the folder it is written to."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sympy

from codegen.frame import Frame, frame
from codegen.lower import lower
from codegen.passes import optimize
from codegen.program import Map, Program
from codegen.targets import numpy as numpy_target
from derive.derivation import Derivation, derive_network
from derive.present import document, records
from derive.spec.model import InlineData, Spec

MANIFEST = "manifest.json"
EQUATIONS = "equations.tex"
FORMAT = 1
CLASS_DATA = ("mnist", "fashion_mnist", "cifar10", "mnist_embedded", "folder")


class OutputRefused(ValueError):
    """A folder that is not written to without force; the message shows why (for edited files, the diff)."""


@dataclass(frozen=True)
class Generated:
    """What the generator writes for a spec: the files of one folder, by name."""

    name: str
    files: dict[str, str]


def generate(spec: Spec) -> Generated:
    """Return everything that is generated for a spec.  Raises CannotDifferentiate, LoweringError."""
    derivation: Derivation = derive_network(spec)
    program: Program = optimize(lower(derivation))
    around: Frame = frame(
        derivation,
        program.constants,
        _state(program),
        counts_steps=_reads(program, "k"),
        plans_steps=_reads(program, "K"),
        scheduled="eta" in program.values,
    )
    files = {EQUATIONS: document(derivation), numpy_target.FILENAME: numpy_target.render(program, around)}
    manifest = _manifest(derivation, program, around, files)
    files[MANIFEST] = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    return Generated(spec.name, files)


def write(generated: Generated, output: Path, force: bool = False) -> Path:
    """Write the folder ``output``/name and return it.

    Raises OutputRefused, unless forced, for an output outside the current folder, through a symbolic link, or
    over a file that somebody edited.
    """
    folder = output / generated.name
    if not force:
        _require_safe(output, folder)
        _require_unedited(generated, folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in generated.files.items():
        path = folder / name
        temporary = path.with_name(f".{name}.new")
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    return folder


def stale(generated: Generated, output: Path) -> dict[str, str]:
    """Return, by path, how files in ``output``/name differ from what would be generated; {} if none does."""
    differences = {}
    for name, text in generated.files.items():
        path = output / generated.name / name
        found = path.read_text(encoding="utf-8") if path.is_file() else None
        if found != text:
            differences[str(path)] = "missing" if found is None else _diff(found, text, str(path))
    return differences


def _diff(old: str, new: str, name: str, most: int = 40) -> str:
    lines = list(
        difflib.unified_diff(
            old.splitlines(), new.splitlines(), name, "what the spec gives", lineterm="", n=1
        )
    )
    return "\n".join(lines[:most] + ([f"… {len(lines) - most} more lines"] if len(lines) > most else []))


def _require_safe(output: Path, folder: Path) -> None:
    if output.is_absolute() or ".." in output.parts:
        raise OutputRefused(f"{output} leads out of the current folder; choose one inside it, or use --force")
    for path in (*reversed(folder.parents), folder, *(folder / n for n in (MANIFEST, EQUATIONS))):
        if path.is_symlink():
            raise OutputRefused(f"{path} is a symbolic link; choose a real folder, or use --force")


def _require_unedited(generated: Generated, folder: Path) -> None:
    if not folder.exists():
        return
    recorded = _recorded(folder)
    for name, text in generated.files.items():
        path = folder / name
        if name == MANIFEST or not path.exists():
            continue
        found = path.read_text(encoding="utf-8", errors="replace")
        if found == text:
            continue
        if recorded.get(name) != _sha256(found):
            raise OutputRefused(
                f"{path} was edited by hand and would be overwritten; keep your changes elsewhere, or use "
                f"--force\n{_diff(found, text, str(path))}"
            )


def _recorded(folder: Path) -> dict[str, str]:
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return files if isinstance(files, dict) else {}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _state(program: Program) -> tuple[str, ...]:
    return tuple(s.out for s in program.statements("update") if program.values[s.out].kind == "state")


def _reads(program: Program, name: str) -> bool:
    """Whether the update reads k, the step it is, or K, the steps there will be."""
    symbol = sympy.Symbol(name, integer=True, positive=True)
    return any(
        isinstance(s, Map) and symbol in s.expression.free_symbols for s in program.statements("update")
    )


def _manifest(
    derivation: Derivation, program: Program, around: Frame, files: dict[str, str]
) -> dict[str, Any]:
    spec = derivation.network.spec
    code = files[numpy_target.FILENAME]
    data: Any = spec.training.data
    if isinstance(data, InlineData):
        data = {"inputs": [list(r) for r in data.inputs], "targets": [list(r) for r in data.targets]}
    lines = numpy_target.equation_lines(code, program)
    equations = [
        {**record, "lines": {numpy_target.FILENAME: lines.get(record["number"], [])}}
        for record in records(derivation)
    ]
    named = isinstance(data, str) and data.split(":")[0] in CLASS_DATA
    return {
        "format": FORMAT,
        "name": spec.name,
        "description": spec.description,
        "summary": around.summary,
        "spec": {"file": spec.filename, "sha256": spec.sha256},
        "targets": {"numpy": numpy_target.FILENAME},
        "files": {name: _sha256(text) for name, text in files.items()},
        "input": {"shape": list(spec.input_shape)},
        "output": {"shape": list(around.output_shape)},
        "target": {"kind": "labels" if around.labels else "values"},
        "classification": around.labels or named,
        "parameters": [{"name": p.name, "shape": list(p.shape), "role": p.role} for p in around.parameters],
        "statistics": [{"name": p.name, "shape": list(p.shape)} for p in around.statistics],
        "loss": {"type": spec.loss.type, "reduction": spec.loss.reduction, "l2": spec.loss.l2},
        "optimizer": spec.optimizer.as_dict(),
        "training": {
            "data": data,
            "batch_size": spec.training.batch_size,
            "epochs": spec.training.epochs,
            "seed": spec.training.seed,
            "validation_split": spec.training.validation_split,
            "standardize": spec.training.standardize,
            "augmentation": spec.augmentation.as_dict(),
            "early_stopping": spec.training.early_stopping,
        },
        "equations": equations,
    }
