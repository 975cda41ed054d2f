"""The pipeline on one page: spec → network → derivation → program → text; `folder.py` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import sympy

from chainrule.codegen.folder import MANIFEST, Generated, sha256
from chainrule.codegen.frame import Frame, frame
from chainrule.codegen.ir.program import Map, Program
from chainrule.codegen.ir.section import Section
from chainrule.codegen.lower.affine import IN_PLACE
from chainrule.codegen.lower.lowering import lower
from chainrule.codegen.passes.optimize import optimize
from chainrule.codegen.targets import cuda as cuda_target
from chainrule.codegen.targets import numpy as numpy_target
from chainrule.derive.deriving import Derivation, derive_network
from chainrule.derive.model import InlineData, Spec
from chainrule.derive.reader import Reader, reading
from chainrule.present import document, records

EQUATIONS = "equations.tex"
FORMAT = 1
TARGETS = {"numpy": numpy_target.FILENAME, "cuda": cuda_target.FILENAME}  # with the file to import
CLASS_DATA = ("mnist", "fashion_mnist", "cifar10", "cifar100", "mnist_embedded", "folder", "idx")


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


def _state(program: Program) -> tuple[str, ...]:
    return tuple(s.out for s in program.statements(Section.UPDATE) if program.values[s.out].kind == "state")


def _reads(program: Program, name: str) -> bool:
    """Whether the update reads k, the step it is, or K, the steps there will be."""
    symbol = sympy.Symbol(name, integer=True, positive=True)
    return any(
        isinstance(s, Map) and symbol in s.expression.free_symbols for s in program.statements(Section.UPDATE)
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
        "files": {name: sha256(text) for name, text in files.items()},
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
