"""The formula language of specs: ``parse_formula(text, names)`` gives a SymPy expression."""

from derive.formula.operations import FUNCTIONS, exact
from derive.formula.parser import FormulaError, formula_names, parse_formula

__all__ = ["FUNCTIONS", "FormulaError", "exact", "formula_names", "parse_formula"]
