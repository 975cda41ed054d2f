"""The NumPy target: one file that needs NumPy and the standard library, to be read from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2

from codegen.frame import Frame, ParameterStart
from codegen.program import Draw, Program
from codegen.targets.numpy.helpers import HELPERS
from codegen.targets.numpy.sections import STEP, Sections

ERRSTATE = 'np.errstate(over="ignore", under="ignore")'
FILENAME = "numpy_trainer.py"
TEMPLATES = Path(__file__).parent.parent.parent / "templates"
_NUMBER = re.compile(r" # .*\((\d+)\)$")


def render(program: Program, frame: Frame) -> str:
    """Return the text of the training program."""
    sections = Sections(program)
    starts = [_start(p) for p in frame.parameters]
    masks = [
        (program.values[s.out].identifier, program.values[s.out].shape[1:], s.stream, float(s.probability))
        for s in program.statements("forward")
        if isinstance(s, Draw)
    ]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  the output is Python; every text goes through `docstring`
    )
    environment.filters |= {"docstring": docstring, "number": repr}
    text = environment.get_template("numpy_trainer.py.j2").render(
        frame=frame,
        sections=sections.texts,
        preambles=sections.preambles,
        branches=sections.branches,
        buffers=sections.buffers(*STEP),
        input_buffers=sections.buffers("input_gradient", after=STEP),
        starts=starts,
        ones=sections.ones(),
        draws=any("rng." in line for line in starts),
        helpers=[HELPERS[name] for name in sorted(sections.helpers)],
        evaluation=bool(program.sections["evaluation"]),
        infer="evaluate" if program.sections["evaluation"] else "forward",
        seed=", seed" if masks else "",
        seed_none=", seed=None" if masks else "",
        masks=masks,
        pieces="pieces" in sections.helpers,
        threads="threads" in sections.helpers,
        computing="computing()" if "threads" in sections.helpers else ERRSTATE,
        patterns="windows" in sections.helpers,
        output=sections.output,
    )
    return re.sub(r"[ ]+$", "", text, flags=re.MULTILINE).rstrip() + "\n"


def docstring(text: str) -> str:
    """Return user text that cannot end a docstring or start an escape."""
    kept = (c if c.isprintable() else " " for c in text)
    return "".join(kept).replace("\\", "\\\\").replace('"""', "'''").strip().rstrip('"')


def equation_lines(text: str, program: Program) -> dict[int, list[int]]:
    """Return the lines (from 1) of a rendered file that implement each equation, by its number."""
    lines: dict[int, list[int]] = {number: [] for number in program.notes}
    for number, line in enumerate(text.splitlines(), 1):
        found = _NUMBER.search(line)
        if found is not None:
            lines[int(found[1])].append(number)
    return lines


def _start(p: ParameterStart) -> str:
    """Return the line that fills a parameter."""
    shape = f"({p.shape[0]},)" if len(p.shape) == 1 else str(p.shape)
    target = f'p["{p.name}"][...] ='
    match p.kind:
        case "values":
            return f"{target} {p.values}"
        case "zeros" | "ones":
            return f"{target} {0 if p.kind == 'zeros' else 1}"
        case "uniform":
            low, high = p.arguments
            return f"{target} rng.uniform({low!r}, {high!r}, {shape})"
        case "normal":
            mean, deviation = p.arguments
            return f"{target} rng.normal({mean!r}, {deviation!r}, {shape})"
    fan, law = p.kind.split("_")
    spread = {
        "glorot": f"{{}} / ({p.fan_in} + {p.fan_out})",
        "he": f"{{}} / {p.fan_in}",
        "lecun": f"{{}} / {p.fan_in}",
    }
    factor = {"glorot": (6, 2), "he": (6, 2), "lecun": (3, 1)}[fan][law == "normal"]
    draw = f"rng.uniform(-1, 1, {shape})" if law == "uniform" else f"rng.standard_normal({shape})"
    return f"{target} {draw} * math.sqrt({spread[fan].format(factor)})    # {p.kind}"
