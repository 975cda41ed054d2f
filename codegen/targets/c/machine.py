"""The machine that C programs run on: a few cores with vectors."""

from chainrule.codegen.ir.machine import Machine

MACHINE = Machine(groups=1, alone=64)
