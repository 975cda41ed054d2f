"""The pipeline on one page: spec → network → derivation → program → text; `folder.py` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from chainrule.codegen.folder import MANIFEST, Generated, sha256
from chainrule.codegen.frame import Frame, frame
from chainrule.codegen.ir.program import Program
from chainrule.codegen.operations import flops
from chainrule.codegen.target import Target
from chainrule.codegen.targets import DEFAULT, TARGETS, target
from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.model import InlineData, Spec
from chainrule.derive.reader import Reader, reading
from chainrule.formula.turns import in_turn
from chainrule.present import document, records

EQUATIONS = "equations.tex"
FORMAT = 1
CLASS_DATA = ("mnist", "fashion_mnist", "cifar10", "cifar100", "mnist_embedded", "folder", "idx")


@in_turn
def generate(spec: Spec, targets: Iterable[str] = ()) -> Generated:
    """Return everything that is generated for a spec: the NumPy program always, others if they are asked for.

    Raises CannotDifferentiate, LoweringError.
    """
    with reading(Reader()):  # programs and their comments are the same for every reader
        return _generate(spec, [target(name) for name in TARGETS if name in {DEFAULT, *targets}])


def _generate(spec: Spec, targets: list[Target]) -> Generated:
    derivation: Derivation = derive_network(spec)
    programs: list[Program] = [each.program(derivation) for each in targets]
    around: Frame = frame(derivation, programs[0])
    files = {EQUATIONS: document(derivation)}
    lines: dict[str, dict[int, list[int]]] = {}
    for each, program in zip(targets, programs, strict=True):
        written = each.render(program, around)
        lines |= {name: each.equation_lines(text) for name, text in written.items()}
        files |= written
    manifest = _manifest(derivation, around, flops(programs[0]), targets, files, lines)
    files[MANIFEST] = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    return Generated(spec.name, files)


def _manifest(
    derivation: Derivation,
    around: Frame,
    operations: dict[str, int],
    targets: list[Target],
    files: dict[str, str],
    lines: dict[str, dict[int, list[int]]],
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
        "targets": {each.name: each.trainer for each in targets},
        "files": {name: sha256(text) for name, text in files.items()},
        "input": {"shape": list(spec.input_shape)},
        "output": {"shape": list(around.output_shape)},
        "target": {"kind": "labels" if around.labels else "values"},
        "classification": around.labels or named,
        "parameters": [{"name": p.name, "shape": list(p.shape), "role": p.role} for p in around.parameters],
        "statistics": [{"name": p.name, "shape": list(p.shape)} for p in around.statistics],
        "flops": operations,
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
