"""The NumPy target: one file that needs NumPy and the standard library, to be read from top to bottom."""

from __future__ import annotations

import re

from chainrule.codegen.frame import Frame
from chainrule.codegen.ir.program import Draw, Program
from chainrule.codegen.ir.section import IN_WORKSPACE, Section
from chainrule.codegen.rendering import fill, start_line
from chainrule.codegen.targets.numpy.helpers import HELPERS
from chainrule.codegen.targets.numpy.sections import Sections

ERRSTATE = 'np.errstate(over="ignore", under="ignore")'
FILENAME = "numpy_trainer.py"
MOST = 4096  # samples that are evaluated at a time where a step does not go through them in pieces
_NUMBERS = re.compile(r" # .*\((\d+(?:, \d+)*)\)$")


def render(program: Program, frame: Frame) -> dict[str, str]:
    """Return the text of the training program by its path."""
    sections = Sections(program)
    starts = [start_line(p) for p in frame.parameters]
    masks = [
        (program.values[s.out].identifier, program.values[s.out].shape[1:], s.stream, float(s.probability))
        for s in program.statements(Section.FORWARD)
        if isinstance(s, Draw)
    ]
    text = fill(
        "numpy_trainer.py.j2",
        frame=frame,
        sections=sections.texts,
        preambles=sections.preambles,
        branches=sections.branches,
        buffers=sections.buffers(*IN_WORKSPACE),
        input_buffers=sections.buffers(Section.INPUT_GRADIENT, after=IN_WORKSPACE),
        starts=starts,
        ones=sections.ones(),
        draws=any("rng." in line for line in starts),
        helpers=dict.fromkeys(HELPERS[name] for name in sorted(sections.helpers)),
        evaluation=bool(program.sections[Section.EVALUATION]),
        infer="evaluate" if program.sections[Section.EVALUATION] else "forward",
        seed=", seed" if masks else "",
        seed_none=", seed=None" if masks else "",
        masks=masks,
        threads="threads" in sections.helpers,
        scratch=sections.scratch,
        at_once=frame.batch_size if "pieces" in sections.helpers else max(frame.batch_size, MOST),
        computing="computing()" if "threads" in sections.helpers else ERRSTATE,
        patterns="windows" in sections.helpers,
        output=sections.output,
    )
    return {FILENAME: text}


def equation_lines(text: str) -> dict[int, list[int]]:
    """Return the lines (from 1) of a rendered file that implement each equation, by its number."""
    lines: dict[int, list[int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        found = _NUMBERS.search(line)
        for equation in found[1].split(", ") if found is not None else ():
            lines.setdefault(int(equation), []).append(number)
    return lines
