"""The CUDA target: kernels, ``cuda/kernels.cu``, and what launches them by CuPy, ``cuda/trainer.py``."""

from chainrule.codegen.lower.affine import IN_PLACE
from chainrule.codegen.passes.absorb import absorb_temporaries
from chainrule.codegen.target import Target
from chainrule.codegen.targets.cuda.machine import MACHINE
from chainrule.codegen.targets.cuda.trainer import FILENAME, equation_lines, render

TARGET = Target(
    name="cuda",
    trainer=FILENAME,
    costs=IN_PLACE,
    machine=MACHINE,
    passes=lambda machine: (absorb_temporaries,),
    render=render,
    equation_lines=equation_lines,
)
