"""The pipeline on one page: spec → network → derivation → program → text, and the folder it is written to."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sympy

from chainrule.codegen.frame import Frame, frame
from chainrule.codegen.ir.program import Map, Program
from chainrule.codegen.lower.affine import IN_PLACE
from chainrule.codegen.lower.lowering import lower
from chainrule.codegen.passes.optimize import optimize
from chainrule.codegen.targets import cuda as cuda_target
from chainrule.codegen.targets import numpy as numpy_target
from chainrule.derive.deriving import Derivation, derive_network
from chainrule.derive.model import InlineData, Spec
from chainrule.derive.reader import Reader, reading
from chainrule.present import document, records
from chainrule.runtime.files import NotRead, read_json, write_atomically

MANIFEST = "manifest.json"
EQUATIONS = "equations.tex"
FORMAT = 1
TARGETS = {"numpy": numpy_target.FILENAME, "cuda": cuda_target.FILENAME}  # with the file to import
CLASS_DATA = ("mnist", "fashion_mnist", "cifar10", "cifar100", "mnist_embedded", "folder", "idx")


class OutputRefused(ValueError):
    """A folder that is not written to without force; the message shows why (for edited files, the diff)."""


@dataclass(frozen=True)
class Generated:
    """What the generator writes for a spec: the files of one folder, by name."""

    name: str
    files: dict[str, str]


def generate(spec: Spec, targets: Iterable[str] = ()) -> Generated:
    """Return everything that is generated for a spec: the NumPy program always, others if they are asked for.

    Raises CannotDifferentiate, LoweringError.
    """
    with reading(Reader()):  # programs and their comments are the same for every reader
        return _generate(spec, targets)


def _generate(spec: Spec, targets: Iterable[str]) -> Generated:
    derivation: Derivation = derive_network(spec)
    program: Program = optimize(lower(derivation))
    around: Frame = frame(
        derivation,
        program.constants,
        _state(program),
        reads_step=_reads(program, "k"),
        plans_steps=_reads(program, "K"),
        scheduled="eta" in program.values,
    )
    files = {EQUATIONS: document(derivation), numpy_target.FILENAME: numpy_target.render(program, around)}
    lines = {numpy_target.FILENAME: numpy_target.equation_lines(files[numpy_target.FILENAME], program)}
    if "cuda" in targets:
        from chainrule.codegen.targets.cuda.planning import plan

        written = cuda_target.render(plan(lower(derivation, IN_PLACE), around), around)
        lines |= {name: cuda_target.equation_lines(text) for name, text in written.items()}
        files |= written
    manifest = _manifest(derivation, around, files, lines)
    files[MANIFEST] = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    return Generated(spec.name, files)


def write(generated: Generated, output: Path, force: bool = False) -> Path:
    """Write the folder ``output``/name and return it.

    Raises OutputRefused, unless forced, for an output outside the current folder, through a symbolic link, or
    over a file that somebody edited; OSError, with the file's name, where it cannot be written: then no new
    folder is left empty.
    """
    folder = output / generated.name
    if not force:
        _require_safe(output, folder, generated)
        _require_unedited(generated, folder)
    made: list[Path] = []
    try:
        for name, text in generated.files.items():
            path = folder / name
            made += _make(path.parent)
            write_atomically(path, text.encode())
    except OSError:
        for empty in reversed(made):
            with contextlib.suppress(OSError):
                empty.rmdir()
        raise
    return folder


def _make(folder: Path) -> list[Path]:
    """Make a folder and return those that were made for it, the outermost first."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def recorded_targets(folder: Path) -> set[str]:
    """Return the targets that the manifest of a generated folder lists, if there is one."""
    found = _manifest_of(folder).get("targets")
    return set(found) & TARGETS.keys() if isinstance(found, dict) else set()


def stale(generated: Generated, output: Path) -> dict[str, str]:
    """Return, by path, how files in ``output``/name differ from what would be generated; {} if none does."""
    differences = {}
    for name, text in generated.files.items():
        path = output / generated.name / name
        found = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
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


def _require_safe(output: Path, folder: Path, generated: Generated) -> None:
    if output.is_absolute() or ".." in output.parts:
        raise OutputRefused(f"{output} leads out of the current folder; choose one inside it, or use --force")
    inside = {each for name in generated.files for each in (folder / name, (folder / name).parent)}
    for path in (*reversed(folder.parents), folder, *sorted(inside)):
        if path.is_symlink():
            raise OutputRefused(f"{path} is a symbolic link; choose a real folder, or use --force")


def _require_unedited(generated: Generated, folder: Path) -> None:
    if not folder.exists():
        return
    recorded = _recorded(folder)
    if (folder / MANIFEST).exists() and not recorded:
        raise OutputRefused(
            f"{folder / MANIFEST} is not the generator's and would be overwritten; choose another folder, or "
            "use --force"
        )
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
    files = _manifest_of(folder).get("files")
    return files if isinstance(files, dict) else {}


def _manifest_of(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder, {} where there is none that can be read."""
    try:
        manifest = read_json(folder / MANIFEST)
    except (OSError, NotRead):
        return {}
    return manifest if isinstance(manifest, dict) else {}


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
    derivation: Derivation, around: Frame, files: dict[str, str], lines: dict[str, dict[int, list[int]]]
) -> dict[str, Any]:
    spec = derivation.network.spec
    data: Any = spec.training.data
    if isinstance(data, InlineData):
        data = data.as_dict()
    equations = [
        {**record, "lines": {name: found.get(record["number"], []) for name, found in lines.items()}}
        for record in records(derivation)
    ]
    named = isinstance(data, str) and data.split(":")[0] in CLASS_DATA
    return {
        "format": FORMAT,
        "name": spec.name,
        "description": spec.description,
        "summary": around.summary,
        "spec": {"file": spec.filename, "sha256": spec.sha256},
        "targets": {target: name for target, name in TARGETS.items() if name in files},
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
