"""The CUDA target: `cuda/kernels.cu`, and `cuda/trainer.py`, which launches its kernels by CuPy."""

from __future__ import annotations

import math
import re

from chainrule.codegen.frame import Frame
from chainrule.codegen.ir.program import Program, Shape
from chainrule.codegen.ir.section import IN_STEP, Section
from chainrule.codegen.rendering import fill, start_line
from chainrule.codegen.targets.cuda.arguments import Arguments
from chainrule.codegen.targets.cuda.plan import Buffer, Launch, Plan
from chainrule.codegen.targets.cuda.planning import plan

FOLDER = "cuda"
FILENAME = f"{FOLDER}/trainer.py"
KERNELS = f"{FOLDER}/kernels.cu"
COMMENT_COLUMN = 88
MEMORY = 2**28  # bytes of float32 that the samples which are evaluated at a time may take, about
MOST = 4096  # such samples
DTYPES = {
    "real": "",
    "double": "np.float64",
    "int": "np.int32",
    "unsigned char": "np.uint8",
    "unsigned long long": "np.uint64",
}
BYTES = {"real": 4, "double": 8, "int": 4, "unsigned char": 1, "unsigned long long": 8}
_MARK = re.compile(r"(?:#|//) ")
_NUMBERS = re.compile(r"(?<= )(?:\(\d+\) )*\(\d+\)$")


def render(program: Program, frame: Frame) -> dict[str, str]:
    """Return the texts of the CUDA program's two files by path."""
    return texts(plan(program, frame), frame)


def texts(plan: Plan, frame: Frame) -> dict[str, str]:
    """Return the texts of a plan's two files by path."""
    arguments = Arguments(plan, frame.scheduled)
    evaluation = bool(plan.launches.get(Section.EVALUATION))
    infer = "evaluate" if evaluation else "forward"
    starts = [start_line(p) for p in frame.parameters]
    text = fill(
        "cuda_trainer.py.j2",
        frame=frame,
        starts=starts,
        draws=any("rng." in line for line in starts),
        kernels=_kernels(plan),
        buffers=[_room(plan, b) for own in (arguments.step, arguments.update) for b in arguments.memory(own)],
        input_buffers=[_room(plan, b) for b in arguments.memory(arguments.only_input)],
        sections={name: _section(plan, arguments, name) for name in Section},
        takes=arguments.takes,
        evaluation=evaluation,
        infer=f"{infer}({arguments.takes(Section.EVALUATION if evaluation else Section.FORWARD)})",
        output=arguments.result(plan.output, frame.output_shape, "OUTPUT"),
        loss=arguments.result(plan.loss),
        input_gradient=arguments.result(plan.input_gradient, frame.input_shape, "INPUT"),
        seeded=arguments.seeded,
        masks=[(b.identifier, _extents(b.shape[1:])) for b in arguments.masks],
        mask_lines=[line for each in arguments.draws for line in _lines(arguments, Section.FORWARD, each)],
        persistent=[arguments.of_training(name) for name in plan.persistent],
        most_shared=max((each.shared for part in IN_STEP for each in plan.launches.get(part, ())), default=0),
        work=plan.work,
        largest=max(
            math.prod(e for e in b.shape if isinstance(e, int))
            for b in plan.buffers.values()
            if "N" in b.shape
        ),
        at_once=_at_once(plan, arguments, frame),
        loss_type=plan.buffers[plan.loss].element,
        target_type="int" if frame.labels else "real",
        width=math.prod(frame.input_shape),
        target_width=1 if frame.labels else math.prod(frame.output_shape),
    )
    return {FILENAME: text, KERNELS: plan.source}


def equation_lines(text: str) -> dict[int, list[int]]:
    """Return the lines (from 1) of one of the files by the number of the equation they implement."""
    lines: dict[int, list[int]] = {}
    for position, line in enumerate(text.splitlines(), 1):
        mark, numbers = _MARK.search(line), _NUMBERS.search(line)
        if mark is not None and numbers is not None and mark.end() <= numbers.start():
            for number in re.findall(r"\d+", numbers[0]):
                lines.setdefault(int(number), []).append(position)
    return lines


def _kernels(plan: Plan) -> dict[str, int]:
    """Return the kernels that are launched, each with the most dynamic shared memory for float, in bytes."""
    shared: dict[str, int] = {}
    for launch in (each for section in plan.launches.values() for each in section):
        shared[launch.kernel] = max(launch.shared, shared.get(launch.kernel, 0))
    return dict(sorted(shared.items()))


def _section(plan: Plan, arguments: Arguments, section: Section) -> list[str]:
    """Return the lines of a section's function."""
    launches = plan.launches.get(section, ())
    lines = _preamble(section, launches) if launches else []
    for before, launch in zip((None, *launches), launches, strict=False):
        again = before is not None and before.text == launch.text
        lines += _lines(arguments, section, launch, again)
    return lines


def _preamble(section: Section, launches: tuple[Launch, ...]) -> list[str]:
    """Return the line that fetches what the launches need."""
    if section == Section.UPDATE:
        return []
    wanted = {"k": "w.k"}
    if any(re.search(r"\bN\b", launch.blocks) for launch in launches):
        wanted["N"] = "w.N"
    if any("N" in launch.arguments for launch in launches):
        wanted["n"] = "np.int32(w.N)"
    return [f"{', '.join(wanted)} = {', '.join(wanted.values())}"]


def _lines(arguments: Arguments, section: Section, launch: Launch, again: bool = False) -> list[str]:
    """Return the line that launches a kernel, with its equations beside it, or above where it is long.

    Where the equations are those of the line before (``again``), their numbers are enough.
    """
    given = [arguments.text(section, name) for name in launch.arguments]
    parts = [f"({_python(launch.blocks)},)", f"({launch.threads},)"]
    parts.append(f"({given[0]},)" if len(given) == 1 else f"({', '.join(given)})")
    if launch.shared:
        size = "theta" if section == Section.UPDATE else "w"
        parts.append(f"shared_mem={-(-launch.shared // 4)} * {size}.itemsize")
    numbers = " ".join(f"({number})" for number in launch.equations)
    call = f"k.{launch.kernel}({', '.join(parts)})"
    whole = "  ".join(each for each in (launch.text, numbers) if each)
    beside = len(call) <= COMMENT_COLUMN
    comment = whole if beside and not again else numbers
    above = [] if beside or again or not launch.text else [f"# {whole}"]
    return [*above, f"{call:<{COMMENT_COLUMN}}  # {comment}" if comment else call]


def _python(blocks: str) -> str:
    """Return an expression that C and Python share as one of Python's integers."""
    text = blocks if "//" in blocks else blocks.replace("/", "//")
    return text[1:-1] if re.fullmatch(r"\((?:[^()]|\([^()]*\))*\)", text) else text


def _extents(shape: Shape) -> str:
    return ", ".join(map(str, shape))


def _dtype(buffer: Buffer) -> str:
    dtype = DTYPES[buffer.element]
    return f", dtype={dtype}" if dtype else ""


def _room(plan: Plan, buffer: Buffer) -> tuple[str, str]:
    """Return the name of a buffer in the workspace, and its memory: its own, or another's."""
    shape = _extents(buffer.shape)
    if not buffer.slot:
        sizes = f", {shape}" if shape else ""
        return buffer.identifier, f'room("{buffer.identifier}"{sizes}{_dtype(buffer)})'
    source = plan.buffers[buffer.slot]
    if (source.shape, source.element) == (buffer.shape, buffer.element):
        return buffer.identifier, f"self.{source.identifier}"
    return buffer.identifier, f"part(self.{source.identifier}, {shape}{_dtype(buffer)})"


def _at_once(plan: Plan, arguments: Arguments, frame: Frame) -> int:
    """Return how many samples are evaluated at a time: a power of 2, within some memory, or a batch."""
    own = [b for b in arguments.memory(arguments.step) if not b.slot and "N" in b.shape]
    each = sum(math.prod(e for e in b.shape if isinstance(e, int)) * BYTES[b.element] for b in own)
    fitting = 2 ** int(math.log2(max(1, MEMORY // max(1, each))))
    return max(frame.batch_size, min(MOST, fitting))
