"""What stands above a kernel: its equations, their shapes, and who computes what."""

from __future__ import annotations

from chainrule.codegen.ir.program import BATCH, Program
from chainrule.codegen.kernels.places import volume
from chainrule.codegen.kernels.work import Axes, Drawing, Elements, GroupReduction, Product, Samples, Work
from chainrule.codegen.targets.c_family.addresses import count_text


def equations(work: Work) -> tuple[int, ...]:
    """Return the numbers of the equations that work computes."""
    numbers = [] if isinstance(work, Elements | Samples) else [work.equation]
    numbers += [] if isinstance(work, Drawing) else [s.equation for s in work.steps]
    return tuple(dict.fromkeys(numbers))


def comment(program: Program, work: Work) -> list[str]:
    """Return the lines of the comment."""
    notes = [program.notes[n] for n in equations(work) if n in program.notes]
    if isinstance(work, Drawing):
        out = program.values[work.out].identifier
        chance = f"{float(work.probability):g}"
        return [f"// {out} ∼ Bernoulli({chance}) for ({work.equation}).  One thread 16 neighbours."]
    lines = [f"// {note.text}    {note.shape} ({note.number})" for note in notes]
    return [*lines, *(f"// {line}" for line in _who(work))]


def _who(work: Work) -> list[str]:
    match work:
        case Elements(axes=axes) if not axes:
            return ["One thread."]
        case Elements(axes=axes):
            return [f"One thread an element of {_shape(axes)}."]
        case Samples():
            return ["One thread a sample."]
        case GroupReduction(axes=axes, over=over, parts=parts, operation=operation):
            shared = f", shared by {parts} groups" if parts > 1 else ""
            kind = {"sum": "terms", "max": "candidates"}[operation]
            return [f"One group of threads an element of {_shape(axes)}: {_shape(over)} {kind}{shared}."]
        case Product():
            b = work.blocks
            rows, columns, terms = (
                count_text(volume(work.extents[i] for i in block)) for block in (b.rows, b.columns, b.summed)
            )
            many = f"{count_text(volume(work.extents[i] for i in b.batch))} times " if b.batch else ""
            shared = f", each shared by {work.parts} blocks" if work.parts > 1 else ""
            return [f"One block a tile, {many}({rows} x {terms}) ({terms} x {columns}){shared}."]
        case _:
            return []


def _shape(axes: Axes) -> str:
    return (
        "("
        + ", ".join("N" if e == BATCH else str(e) for _, e in axes)
        + ("," if len(axes) == 1 else "")
        + ")"
    )
