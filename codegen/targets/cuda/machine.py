"""The machine that CUDA programs run on: a GPU, whose threads work in groups."""

from chainrule.codegen.ir.machine import Machine

MACHINE = Machine(groups=256, alone=64, shared=512)
