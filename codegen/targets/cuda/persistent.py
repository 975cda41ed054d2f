"""The kernel that takes whole steps by itself: every other kernel is a phase of it.

A small network is over before the next launch arrives.  Launched cooperatively, so that all its blocks run at
once, this kernel fetches its batches from the data set on the device and loops over steps; blocks wait for
each other only where a phase needs what another block wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chainrule.codegen.ir.program import Program, Shape
from chainrule.codegen.kernels.places import volume
from chainrule.codegen.targets.cuda.plan import Buffer
from chainrule.codegen.targets.cuda.sources import Kernel, wrapped

GRID_SYNC = """\
#ifdef CUDA_ON_CPU  // a harness that runs kernels without a device
#define grid_sync(barrier) cuda_on_cpu::grid_sync()
#else
// All blocks wait for each other; `barrier` starts at 0 and only ever counts up.
__device__ inline void grid_sync(unsigned* barrier) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        const unsigned arrived = atomicAdd(barrier, 1u);
        const unsigned all = (arrived / gridDim.x + 1) * gridDim.x;
        while (int(*(volatile unsigned*) barrier - all) < 0) {}
        __threadfence();
    }
    __syncthreads();
}
#endif"""


def memory(phases: Iterable[Kernel], buffers: Mapping[str, Buffer], loss: str) -> tuple[str, ...]:
    """Return the buffers whose addresses ``steps`` takes, in order."""
    used = dict.fromkeys(a for kernel in phases for a in kernel.arguments if a != "N")
    return tuple(used | dict.fromkeys(n for n in ("x", "t", "seed", "step", loss) if n in buffers))


def persistent(program: Program, phases: list[Kernel], buffers: Mapping[str, Buffer], loss: str) -> str:
    """Return the text of the kernel ``steps``, and of what it needs."""
    lines = []
    for place, name in enumerate(memory(phases, buffers, loss)):
        kind = buffers[name].element.replace("unsigned long long", "uint64")
        lines.append(f"auto {buffers[name].identifier} = [&] {{ return ({kind}*) memory[{place}]; }};")
    lines += ["", "for (int s = 0; s < count; ++s) {"]
    lines += [f"    {line}" for line in _step(program, phases, buffers, loss)]
    lines.append("}")
    target = "int" if program.values["t"].integer else "real"
    head = wrapped(
        'extern "C" __global__ void __launch_bounds__(THREADS, 1) steps(',
        [
            *("const uint64* memory", "const real* inputs", f"const {target}* targets", "const int* order"),
            *("const uint64* seeds", "double* total", "unsigned* barrier", "int count", "int N"),
        ],
        ") {",
    )
    comment = [
        "// `count` steps on batches of N samples, in one cooperative launch: sample n of step s is number",
        "// order[s * N + n] of the data set.  `memory` holds the tensors' addresses in the driver's order;",
        "// they are read where they are used, which leaves registers to phases.  total[0] adds up losses.",
    ]
    body = [f"    {line}".rstrip() for line in lines]
    return "\n".join(["#ifdef PERSISTENT", "", GRID_SYNC, "", *comment, *head, *body, "}", "", "#endif"])


def _step(program: Program, phases: list[Kernel], buffers: Mapping[str, Buffer], loss: str) -> list[str]:
    lines = ["// The batch, and what changes from step to step."]
    for name, source in (("x", "inputs"), ("t", "targets")):
        lines += _gathered(name, source, program.values[name].shape) if name in buffers else []
    single = []
    if "step" in buffers:
        single.append("step()[0] += 1;")
    if "seed" in buffers:
        single.append("seed()[0] = seeds[s];")
    if single:
        lines.append(f"if (blockIdx.x == 0 && threadIdx.x == 0) {{ {' '.join(single)} }}")
    lines += ["grid_sync(barrier);", ""]
    read: set[str] = set()
    written: set[str] = set()
    for kernel in phases:
        own = {m for name in kernel.arguments if name != "N" for m in _memory(buffers, name)}
        changed = {m for name in kernel.written for m in _memory(buffers, name)}
        if own & written or changed & read:
            lines.append("grid_sync(barrier);")
            read, written = set(), set()
        read |= own
        written |= changed
        arguments = ", ".join(f"{buffers[a].identifier}()" if a != "N" else "N" for a in kernel.arguments)
        numbers = " ".join(f"({n})" for n in kernel.equations)
        lines.append(f"{kernel.name}({arguments});  // {numbers}")
    identifier = buffers[loss].identifier
    lines += [
        "grid_sync(barrier);",
        f"if (blockIdx.x == 0 && threadIdx.x == 0) total[0] += {identifier}()[0] * N;",
    ]
    return lines


def _gathered(name: str, source: str, shape: Shape) -> list[str]:
    """Return the lines that fetch the batch's rows of a tensor of the data set."""
    size = volume(shape[1:])
    row, rest = ("at", "") if size == 1 else (f"at / {size}", f" * {size} + at % {size}")
    place = f"order[s * N + {row}]{rest}" if size == 1 else f"(long long) order[s * N + {row}]{rest}"
    count = "N" if size == 1 else f"N * {size}"
    start, step = "blockIdx.x * THREADS + threadIdx.x", "gridDim.x * THREADS"
    return [
        f"auto {name}_here = {name}();",
        f"for (int at = {start}; at < {count}; at += {step}) {name}_here[at] = {source}[{place}];",
    ]


def _memory(buffers: Mapping[str, Buffer], name: str) -> set[str]:
    """Return the memory of a buffer; the flat vectors have that of all their parts."""
    while buffers[name].slot:
        name = buffers[name].slot
    kind = {"theta": "parameter", "g": "gradient"}.get(name)
    return {name, *(b.name for b in buffers.values() if b.kind == kind)} if kind else {name}
