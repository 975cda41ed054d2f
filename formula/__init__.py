"""The formula language of specs: ``parse_formula(text, names)`` gives a SymPy expression."""

from chainrule.formula.operations import FUNCTIONS, exact
from chainrule.formula.parser import FormulaError, formula_names, parse_formula

__all__ = ["FUNCTIONS", "FormulaError", "exact", "formula_names", "parse_formula"]
