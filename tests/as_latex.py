"""Equations and expressions in LaTeX by themselves, as tests look at them."""

from __future__ import annotations

from sympy import Expr

from chainrule.derive.index import Equation
from chainrule.present.build import Writer, textbook
from chainrule.present.latex import write, write_line
from chainrule.present.sides import line


def latex(expression: Expr, own: str = "", exact: bool = False) -> str:
    """Return an expression in index form; `exact` keeps the functions of the computed form."""
    return write(Writer(own).tree(expression if exact else textbook(expression)))


def index_latex(equation: Equation, exact: bool = False, sides: str = "both", limits: bool = False) -> str:
    """Return an equation in index form; `sides` is "both" or "right"."""
    shown = line(equation, "index", exact, limits)
    return write(shown.right) if sides == "right" else write_line(shown)


def matrix_latex(equation: Equation, exact: bool = False, limits: bool = False) -> str:
    """Return an equation in matrix form; in index form where it has none."""
    return write_line(line(equation, "matrix", exact, limits))
