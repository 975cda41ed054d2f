"""The C target: ``c/trainer.c``, what calls it, ``c/trainer.py``, and ``c/predict.c`` for one sample."""

from dataclasses import replace

from chainrule.codegen.lower.affine import IN_PLACE
from chainrule.codegen.passes.absorb import absorb_temporaries
from chainrule.codegen.target import Target
from chainrule.codegen.targets.c.driver import FILENAME, render
from chainrule.codegen.targets.c.machine import MACHINE
from chainrule.codegen.targets.c.memory import training_memory
from chainrule.codegen.targets.c.sources import equation_lines
from chainrule.codegen.targets.c.threads import usable_threads

COSTS = replace(IN_PLACE, pick=2 * IN_PLACE.product)  # a run for each window, where a tile stays in registers
TARGET = Target(
    name="c",
    trainer=FILENAME,
    costs=COSTS,
    machine=MACHINE,
    passes=lambda machine: (absorb_temporaries,),
    render=render,
    equation_lines=equation_lines,
    memory=training_memory,
    threads=usable_threads,
)
