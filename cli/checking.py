"""What ``derive check`` shows: layers, shapes, parameters, floating-point operations and memory."""

from __future__ import annotations

from typing import Any

from chainrule.codegen.ir.program import (
    BATCH,
    Contract,
    Grid,
    Map,
    Program,
    Reduce,
    Statement,
    count,
)
from chainrule.codegen.ir.section import Section
from chainrule.codegen.lower.lowering import lower
from chainrule.codegen.passes.memory import training_memory
from chainrule.codegen.passes.optimize import optimize
from chainrule.codegen.targets.numpy.threads import THREADS
from chainrule.derive.accurate import overflows
from chainrule.derive.deriving import Derivation, derive_network
from chainrule.derive.invariance import Ineffective, ineffective
from chainrule.derive.layers import LAYERS
from chainrule.derive.model import Spec


def totals(spec: Spec) -> dict[str, Any]:
    """Return layers, parameter counts, FLOPs a sample, and the bytes that training in float32 takes."""
    return totals_of(derive_network(spec))


def totals_of(derivation: Derivation) -> dict[str, Any]:
    """Return the totals of the network of a derivation."""
    spec = derivation.network.spec
    program = optimize(lower(derivation))
    batch = spec.training.batch_size
    parameters = derivation.network.parameter_count
    memory = training_memory(program, batch, parameters, THREADS)
    found = ineffective(derivation.network)
    return {
        "name": spec.name,
        "input": list(spec.input_shape),
        "output": list(derivation.network.output_shape),
        "layers": _layers(derivation),
        "parameters": parameters,
        "loss": spec.loss.type,
        "optimizer": spec.optimizer.type,
        "batch_size": batch,
        "threads": THREADS,
        "flops": {
            "forward": _flops(program, Section.FORWARD),
            "training": _flops(program, Section.FORWARD, Section.LOSS, Section.BACKWARD),
        },
        "memory": {**memory, "total": sum(memory.values())},
        "ineffective": [_without_effect(one) for one in found],
        "overflows": _overflows(derivation),
    }


def _overflows(derivation: Derivation) -> list[str]:
    """Say of formulas of one's own where what is computed is not finite although its value is."""
    spec = derivation.network.spec
    said = []
    for equation in derivation.role("forward", "loss", "backward") if spec.activations or spec.losses else ():
        for kind, arguments in overflows(equation.computed.right).items():
            above, below = [a for a in arguments if a > 0], [a for a in arguments if a <= 0]
            sides = [f"{above[0]:g} and more"] if above else []
            sides += [f"{below[-1]:g} and less"] if below else []
            at = " or ".join(sides)
            said.append(
                f"({equation.number}) {equation.text()} is not finite in {kind} for arguments of {at}"
            )
    return said


def _without_effect(one: Ineffective) -> dict[str, str]:
    """A parameter that the loss does not depend on, with the layer that makes it so and what to write."""
    fields = {field.name for field in LAYERS[one.layer.type].fields}
    remedy = "bias = false" if one.name.startswith("b") and "bias" in fields else ""
    return {"parameter": one.name, "layer": one.layer.type, "undone_by": one.ends.type, "remedy": remedy}


def _layers(derivation: Derivation) -> list[dict[str, Any]]:
    network = derivation.network
    rows = [layer for layer in network.layers if not (layer.output == "a0" and layer.type == "identity")]
    return [
        {
            "type": layer.type,
            "name": layer.output,
            "output": list(layer.output_shape),
            "parameters": sum(p.count for p in layer.parameters),
        }
        for layer in rows
    ]


def _flops(program: Program, *sections: Section) -> int:
    """Return the operations of some sections for one sample."""
    return sum(_flops_of(statement, program) for statement in program.statements(*sections))


def _flops_of(statement: Statement, program: Program) -> int:
    """Return the operations of a statement for one sample: 2 for each product that a contraction adds."""
    extents = dict(zip(statement.indices, program.values[statement.out].shape, strict=True))
    match statement:
        case Contract(left=left, right=right):
            for load in (left, right):
                extents |= dict(zip(load.indices, program.values[load.name].shape, strict=True))
            return 2 * count(tuple(extents.values()))
        case Map(expression=body):
            return int(body.count_ops()) * count(tuple(extents.values())) if BATCH in extents.values() else 0
        case Reduce(body=body):
            for read in body.atoms(type(body)) if not body.args else ():
                extents |= dict(zip(read.indices, read.base.shape, strict=True))
            return 0
        case Grid():
            return count(tuple(n for _, n in statement.extents))
    return 0


def table(result: dict[str, Any]) -> str:
    """Return the totals as an aligned table."""
    rows = [("layer", "name", "output", "parameters")]
    rows.append(("input", "x", _shape(result["input"]), ""))
    rows += [(r["type"], r["name"], _shape(r["output"]), f"{r['parameters']:,}") for r in result["layers"]]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}".rstrip()
        for a, b, c, d in rows
    ]
    lines.insert(1, "-" * (sum(widths) + 6))
    memory = result["memory"]
    parts = ", ".join(f"{name} {_bytes(memory[name])}" for name in memory if name != "total")
    threads = f"{result['threads']} thread{'s' if result['threads'] > 1 else ''}"
    lines += [
        "",
        f"parameters  {result['parameters']:,}",
        f"loss        {result['loss']}, optimizer {result['optimizer']}",
        f"work        {result['flops']['forward']:,} FLOP forward, "
        f"{result['flops']['training']:,} a training step, for each sample",
        f"memory      {_bytes(memory['total'])} in float32 at batch {result['batch_size']}, {threads}: "
        f"{parts}",
    ]
    for one in result["ineffective"]:
        remedy = f"; write {one['remedy']}" if one["remedy"] else ""
        lines.append(
            f"note        {one['parameter']} of {one['layer']} changes nothing: {one['undone_by']} takes it "
            f"out again, its gradient is 0{remedy}"
        )
    lines += [f"warning     {overflow}, although its value is" for overflow in result["overflows"]]
    return "\n".join(lines)


def _shape(shape: list[int]) -> str:
    return "(" + ", ".join(map(str, ["N", *shape])) + ")"


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
