"""The NumPy target: ``render(program, frame)`` gives the text of ``numpy_trainer.py``."""

from chainrule.codegen.targets.numpy.trainer import FILENAME, equation_lines, render

__all__ = ["FILENAME", "equation_lines", "render"]
