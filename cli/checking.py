"""What ``derive check`` shows: layers, shapes, parameters, floating-point operations and memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sympy import Expr, Indexed, Piecewise, Symbol

from codegen.lower import lower
from codegen.passes import optimize
from codegen.program import (
    BATCH,
    Contract,
    Draw,
    Extent,
    Grid,
    Loop,
    Map,
    Program,
    Reduce,
    Statement,
    Value,
    count,
)
from codegen.targets.numpy.threads import THREADS
from derive.derivation import Derivation, derive_network
from derive.spec.model import Spec

BYTES = 4  # float32
STEP = ("forward", "loss", "backward", "statistics")


def totals(spec: Spec) -> dict[str, Any]:
    """Return layers, parameter counts, FLOPs a sample, and the bytes that training in float32 takes."""
    derivation = derive_network(spec)
    program = optimize(lower(derivation))
    batch = spec.training.batch_size
    parameters = derivation.network.parameter_count
    memory = training_memory(program, spec, parameters)
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
            "forward": sum(_flops(s, program) for s in program.statements("forward")),
            "training": sum(_flops(s, program) for s in program.statements("forward", "loss", "backward")),
        },
        "memory": {**memory, "total": sum(memory.values())},
    }


def training_memory(program: Program, spec: Spec, parameters: int) -> dict[str, int]:
    """Return the bytes that a training step in float32 takes, by what they are for.

    ``workspace`` is what the program allocates once: activations, their cotangents and windows.  ``scratch``
    is what the largest expression that is not computed in place takes on the way, and a vector for the
    update.  Pieces of the batch are computed on THREADS threads, each in memory of its own.
    """
    batch = spec.training.batch_size
    held = [v for v in program.values.values() if v.kind in ("state", "statistic")]
    made = {statement.out for statement, _ in _with_samples(program, batch, STEP)}
    own = [program.values[n] for n in sorted({_memory_of(program, n) for n in made})]
    given = [v for v in program.values.values() if v.kind in ("input", "target")]
    return {
        "parameters": parameters * BYTES,
        "gradients": parameters * BYTES,
        "optimizer": sum(count(v.shape) for v in held) * BYTES,
        "workspace": sum(_bytes_of(v, batch) for v in own if v.kind == "local"),
        "batch": sum(_bytes_of(v, batch) for v in given),
        "scratch": sum(
            max((_scratch(s, n, program) for s, n in _with_samples(program, batch, part)), default=0)
            for part in (STEP, ("update",))
        ),
    }


def _memory_of(program: Program, name: str) -> str:
    """Return the value in whose memory a value lives."""
    while program.values[name].slot:
        name = program.values[name].slot
    return name


def _bytes_of(value: Value, batch: int) -> int:
    samples = _at_once(value.piece, batch) if value.piece else batch
    return count(value.shape, samples) * (1 if value.truth else BYTES)


def _at_once(piece: int, batch: int) -> int:
    """Return how many samples of a batch are computed at once in pieces: one piece on each thread."""
    return THREADS * min(piece, -(-batch // THREADS))


def _with_samples(program: Program, batch: int, sections: tuple[str, ...]) -> Iterator[tuple[Statement, int]]:
    """Give every statement of some sections with the number of samples that it is computed for at once."""
    for section in sections:
        for entry in program.sections[section]:
            if isinstance(entry, Loop):
                yield from ((s, _at_once(entry.size, batch)) for s in entry.statements)
            else:
                yield entry, batch


def _scratch(statement: Statement, samples: int, program: Program) -> int:
    """Return the bytes of what a statement computes on the way to its result."""
    match statement:
        case Draw():
            return 2 * count(program.values[statement.out].shape, samples)
        case Map(expression=body):
            indices = statement.indices
            added = [a for a in body.args if statement.out not in map(str, a.free_symbols)]
            in_place = body.is_Add and len(added) < len(body.args)
            arrays = _arrays(body.func(*added), indices) if in_place else _on_the_way(body, indices)
        case Reduce(body=body, over=over) if not body.is_Pow or statement.indices:
            indices = (*statement.indices, *over)
            arrays = _arrays(body, indices)
        case _:
            return 0
    extents = {i: e for r in body.atoms(Indexed) for i, e in _extents(r, program)}
    return arrays * BYTES * count(tuple(extents.get(i, 1) for i in indices), samples)


def _extents(read: Indexed, program: Program) -> Iterator[tuple[Expr, Extent]]:
    return zip(read.indices, program.values[str(read.base.label)].shape, strict=True)


def _arrays(e: Expr, indices: tuple[Symbol, ...]) -> int:
    """Return how many arrays over all the indices are held at once while an expression becomes one."""
    if isinstance(e, Indexed | Piecewise) or not e.free_symbols.issuperset(indices):
        return 0  # a mask is small
    return max(1, _on_the_way(e, indices))


def _on_the_way(e: Expr, indices: tuple[Symbol, ...]) -> int:
    """Return how many arrays are held at once before the last operation: one waits for the next operand."""
    if isinstance(e, Indexed | Piecewise):
        return 0
    held = [n for n in (_arrays(a, indices) for a in e.args) if n]
    return max([*held[:1], *(n + 1 for n in held[1:])], default=0)


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


def _flops(statement: Statement, program: Program) -> int:
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
    return "\n".join(lines)


def _shape(shape: list[int]) -> str:
    return "(" + ", ".join(map(str, ["N", *shape])) + ")"


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
