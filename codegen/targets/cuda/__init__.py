"""The CUDA target: ``render(plan, frame)`` gives the texts of ``cuda/trainer.py`` and ``cuda/kernels.cu``."""

from chainrule.codegen.targets.cuda.trainer import FILENAME, equation_lines, render

__all__ = ["FILENAME", "equation_lines", "render"]
