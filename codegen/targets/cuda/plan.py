"""What a CUDA program consists of: kernels, the order of their launches, and the memory between them."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.codegen.ir.program import Shape
from chainrule.codegen.ir.section import Section


@dataclass(frozen=True)
class Buffer:
    """Device memory for a value of the program.

    ``kind`` is the value's kind (input, target, parameter, statistic, gradient, state, local) or "scalar" for
    what the driver keeps on the device beside them (``seed``, ``step``, ``steps``); ``element`` is the C type
    of an entry (real, double, int, unsigned char, unsigned long long), ``slot`` the buffer whose memory this
    one takes over ("" for its own), ``of`` the parameter whose gradient it is.  Parameters, gradients and the
    state lie in flat vectors of COUNT values.
    """

    name: str
    identifier: str
    shape: Shape
    kind: str
    element: str
    slot: str = ""
    of: str = ""


@dataclass(frozen=True)
class Launch:
    """A kernel of ``threads`` threads a block on its arguments: buffers by name, then "N", the batch size.

    ``blocks`` is a Python expression of N, also valid in C; a kernel works with any number of blocks.
    ``shared`` counts bytes of dynamic shared memory for entries of 4 bytes (float), twice as much for double.
    """

    kernel: str
    arguments: tuple[str, ...]
    blocks: str
    threads: int
    shared: int
    equations: tuple[int, ...]
    text: str  # what it computes, for a comment beside the launch: "z1 = W1 ⋆ a0 + b1; a1 = max(0, z1)"


Launches = dict[Section, tuple[Launch, ...]]


@dataclass(frozen=True)
class Plan:
    """The kernels' source, and by section what is launched.

    ``output``, ``loss`` and ``input_gradient`` name the buffers that hold them, the shape of the network's
    output and input aside.  ``persistent`` are the buffers whose addresses the kernel ``steps`` takes (where
    there is one), ``work`` the floating-point operations of a sample's products in a step.
    """

    source: str
    launches: Launches
    buffers: dict[str, Buffer]
    output: str
    loss: str
    input_gradient: str
    persistent: tuple[str, ...] = ()
    work: int = 0
