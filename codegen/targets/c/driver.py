"""The C program's `trainer.py`, which compiles trainer.c once and calls it by ctypes."""

from __future__ import annotations

from chainrule.codegen.frame import Frame
from chainrule.codegen.ir.program import Draw, Program
from chainrule.codegen.ir.section import Section
from chainrule.codegen.rendering import fill, start_line
from chainrule.codegen.targets.c.naming import identifier
from chainrule.codegen.targets.c.predict import predict_files
from chainrule.codegen.targets.c.sources import source
from chainrule.codegen.targets.c.threads import TEXT

FILENAME = "c/trainer.py"
MOST = 4096  # samples that are evaluated at a time, at most
VALUES = 2**18  # of inputs that these may have, about


def render(program: Program, frame: Frame) -> dict[str, str]:
    """Return the files of a C program by path.  Raises LoweringError."""
    return {FILENAME: driver(program, frame), **source(program, frame), **predict_files(program, frame)}


def driver(program: Program, frame: Frame) -> str:
    """Return the text of the file that makes a module with the NumPy program's face of the C program."""
    starts = [start_line(p) for p in frame.parameters]
    width = 1
    for extent in frame.input_shape:
        width *= extent
    return fill(
        "c_trainer.py.j2",
        frame=frame,
        threads=TEXT,
        symbol=identifier(frame.name),
        starts=starts,
        draws=any("rng." in line for line in starts),
        evaluation=bool(program.statements(Section.EVALUATION)),
        masks=any(isinstance(s, Draw) for s in program.statements(Section.FORWARD)),
        at_once=max(frame.batch_size, min(MOST, VALUES // width)),
    )
