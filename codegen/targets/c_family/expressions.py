"""Scalar expressions as C text, for one element at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce

import sympy
from sympy import Expr, Indexed, Integer, KroneckerDelta, Mul, Piecewise, Pow, Rational, Symbol

from chainrule.codegen.ir.scalar import (
    ADD,
    ATOM,
    COMPARE,
    MULTIPLY,
    RELATIONS,
    UNARY,
    CannotPrint,
    Text,
    added,
    extremum,
    indicator,
    is_mask,
    quotient,
    varies,
)

# SymPy's functions and the computed forms' named ones, by the class's name; some are the preamble's.
NAMES = (
    *("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "expm1", "log1p", "erf", "erfc"),
    *("floor", "rint", "sigmoid", "softplus", "logcosh", "maximum", "sign"),
)
FUNCTIONS = {**{name: name for name in NAMES}, "Abs": "fabs", "ceiling": "ceil"}
CONDITION = -1  # the precedence of ? :


class CPrinter:
    """Prints expressions in which every index is an integer variable.

    ``load`` gives the text of an access, ``variables`` that of an index; ``constants`` are hyper-parameters,
    which are doubles.  What holds no tensor is computed in double and becomes a ``real`` once; ``number``
    stands before a count there, where a compiler wants to be told that it becomes a double.
    """

    def __init__(
        self,
        load: Callable[[Indexed], str],
        variables: Mapping[Symbol, str],
        constants: Mapping[str, str],
        number: str = "",
    ) -> None:
        self.load = load
        self.variables = variables
        self.constants = constants
        self.number = number

    def text(self, e: Expr, above: int = CONDITION) -> str:
        """Return the text, in parentheses where an operator of precedence ``above`` needs them."""
        text, precedence = self._print(e)
        return f"({text})" if precedence < above else text

    def integer(self, e: Expr) -> str:
        """Return an affine expression of indices."""
        constant, terms = e.as_coeff_add()
        text = ""
        for term in sorted(terms, key=lambda t: (int(t.as_coeff_Mul()[0]) < 0, str(t))):
            slope, index = term.as_coeff_Mul()
            sign = "-" if slope < 0 else "+"
            factor = "" if abs(slope) == 1 else f"{abs(int(slope))} * "
            text += (f" {sign} " if text else sign.strip("+")) + factor + self.variables[index]
        if constant or not text:
            text += f" {'-' if constant < 0 else '+'} {abs(int(constant))}" if text else str(int(constant))
        return text

    def condition(self, e: Expr) -> str:
        """Return the text of a truth value."""
        return self.text(e, COMPARE)

    def truth(self, mask: Expr) -> str:
        """Return the text of a mask as a truth value."""
        match mask:
            case Indexed():
                return self.load(mask)
            case KroneckerDelta():
                sides = sorted(mask.args, key=lambda e: not e.has(Indexed))
                return " == ".join(map(self._operand, sides))
        if type(mask).__name__ == "Inside":
            return f"inside({self.integer(mask.args[0])}, {self.size(mask.args[1])})"
        found = indicator(mask)
        if found is None:
            raise CannotPrint(f"no C form for {type(mask).__name__} in {mask}")
        return self.condition(found)

    @staticmethod
    def size(size: Expr) -> str:
        return str(int(size)) if size.is_Integer else "N"

    def _operand(self, e: Expr) -> str:
        return self.text(e, ADD) if e.has(Indexed) else self.integer(e)

    def _print(self, e: Expr) -> Text:
        if not varies(e) and not is_mask(e):
            return self._scalar(e)
        if is_mask(e) and not isinstance(e, Indexed):
            return f"real({self.truth(e)})", ATOM
        match e:
            case Indexed():
                return self.load(e), ATOM
            case sympy.Add():
                return added(e, self.text), ADD
            case Mul():
                return self._multiply(e)
            case Pow():
                return self._power(e)
            case Piecewise():
                return self._piecewise(e)
            case sympy.core.relational.Relational():
                sides = f"{self.text(e.lhs, ADD)} {RELATIONS[e.rel_op]} {self.text(e.rhs, ADD)}"
                return sides, COMPARE
            case sympy.And() | sympy.Or():
                joined = {sympy.And: " && ", sympy.Or: " || "}[type(e)]
                parts = sorted(e.args, key=sympy.default_sort_key)
                return joined.join(f"({self.condition(a)})" for a in parts), CONDITION
            case sympy.Not():
                return f"!({self.condition(e.args[0])})", UNARY
        return f"{self._function(e)}({', '.join(self.text(a) for a in e.args)})", ATOM

    def _function(self, e: Expr) -> str:
        name = FUNCTIONS.get(type(e).__name__)
        if name is None:
            raise CannotPrint(f"no C form for {type(e).__name__} in {e}")
        return name

    def _scalar(self, e: Expr) -> Text:
        """A number, or what constants and sizes give: computed in double."""
        if e.is_Integer:
            return (str(e), ATOM) if e >= 0 else (f"real({e})", ATOM)
        if e == sympy.true or e == sympy.false:
            return str(bool(e)).lower(), ATOM
        if isinstance(e, Rational) and Rational(repr(float(e))) == e:
            return f"real({float(e)!r})", ATOM
        scalar = ScalarCPrinter(self.variables, self.constants, self.number)
        return f"real({scalar.text(e)})", ATOM

    def _multiply(self, e: Expr) -> Text:
        """Numbers and constants as one factor, then tensors, masks last as conditions; one division."""
        over, under = quotient(e)
        scale = Mul(*(f for f in Mul.make_args(over) if not varies(f) and not is_mask(f)))
        scale /= Mul(*(f for f in Mul.make_args(under) if not varies(f)))
        arrays = [f for f in Mul.make_args(over) if varies(f) or is_mask(f)]
        below = [f for f in Mul.make_args(under) if varies(f)]
        negative = bool(scale.is_Rational and scale < 0)
        scale = -scale if negative else scale
        masks = [f for f in arrays if is_mask(f) and not isinstance(f, Indexed)]
        ordered = sorted((f for f in arrays if f not in masks), key=self._multiply_order)
        parts = [] if scale == 1 and ordered else [self.text(scale, MULTIPLY)]
        parts += [self.text(f, UNARY) for f in ordered]
        text = " * ".join(parts)
        text += "".join(f" / {self.text(f, UNARY)}" for f in below)
        text = f"-{text}" if negative else text
        if not masks:
            return text, ADD if negative else MULTIPLY
        holds = " && ".join(self.truth(m) if len(masks) == 1 else f"({self.truth(m)})" for m in masks)
        return f"{holds} ? {self._passed(text)} : 0", CONDITION

    def _passed(self, text: str) -> str:
        """Return the text of what masks let pass."""
        return text

    def _multiply_order(self, factor: Expr) -> tuple[object, ...]:
        compound = bool(factor.args) and not isinstance(factor, Indexed)
        return compound, sympy.default_sort_key(factor)

    def _power(self, e: Pow) -> Text:
        base, power = e.args
        if power == Rational(1, 2):
            return f"sqrt({self.text(base)})", ATOM
        if power.is_negative:
            return f"1 / {self.text(Pow(base, -power), UNARY)}", MULTIPLY
        if power == 2:
            return f"square({self.text(base)})", ATOM
        both = (f"real({float(a)!r})" if a.is_number else self.text(a) for a in (base, power))
        return f"pow({', '.join(both)})", ATOM

    def _piecewise(self, e: Piecewise) -> Text:
        extreme = extremum(e)
        if extreme is not None:
            kind, first, second = extreme
            ordered = sorted((first, second), key=lambda a: not a.has(Indexed))
            return f"{kind}({', '.join(map(self._real, ordered))})", ATOM
        text = self._real(e.args[-1][0])
        for branch, condition in reversed(e.args[:-1]):
            text = f"{self.condition(condition)} ? {self._real(branch)} : {text}"
        return text, CONDITION

    def _real(self, e: Expr) -> str:
        """Return a text that is a ``real`` in C, whole numbers too."""
        return f"real({e})" if e.is_Integer else self.text(e, COMPARE)


class ScalarCPrinter(CPrinter):
    """Prints what holds no tensor, in double."""

    def __init__(
        self, variables: Mapping[Symbol, str], constants: Mapping[str, str], number: str = ""
    ) -> None:
        super().__init__(lambda read: "", variables, constants, number)

    def _print(self, e: Expr) -> Text:
        match e:
            case Integer():
                return f"{int(e)}.", ATOM if e >= 0 else UNARY
            case Rational():
                return (f"{e.p}. / {e.q}.", MULTIPLY) if e.q != 1 else (f"{e.p}.", ATOM)
            case sympy.NumberSymbol():
                return repr(float(e)), ATOM
            case Symbol():
                return self._symbol(e), ATOM
            case sympy.Add():
                return added(e, self.text), ADD
            case Mul():
                over, under = quotient(e)
                text = " * ".join(self.text(f, MULTIPLY) for f in Mul.make_args(over))
                below = [f for f in Mul.make_args(under) if f != 1]
                return text + "".join(f" / {self.text(f, UNARY)}" for f in below), MULTIPLY
            case Pow(exp=power) if power == Rational(1, 2):
                return f"sqrt({self.text(e.base)})", ATOM
            case Pow(exp=power) if power.is_Rational and power.is_negative:
                return f"1. / {self.text(Pow(e.base, -power), UNARY)}", MULTIPLY
            case Pow():
                return f"pow({self.text(e.base)}, {self.text(e.exp)})", ATOM
            case sympy.Max() | sympy.Min():
                name = "fmax" if isinstance(e, sympy.Max) else "fmin"
                return reduce(lambda a, b: f"{name}({a}, {b})", map(self.text, e.args)), ATOM
            case Piecewise():
                text = self.text(e.args[-1][0], COMPARE)
                for branch, condition in reversed(e.args[:-1]):
                    text = f"{self.text(condition, COMPARE)} ? {self.text(branch, COMPARE)} : {text}"
                return text, CONDITION
            case sympy.core.relational.Relational():
                return f"{self.text(e.lhs, ADD)} {RELATIONS[e.rel_op]} {self.text(e.rhs, ADD)}", COMPARE
            case sympy.And() | sympy.Or() | sympy.Not():
                return super()._print(e)
        if hasattr(e, "as_elementary") and e.is_number:
            return repr(float(e.as_elementary())), ATOM
        return f"{self._function(e)}({', '.join(self.text(a) for a in e.args)})", ATOM

    def _symbol(self, symbol: Symbol) -> str:
        if symbol.name in self.constants:
            return self.constants[symbol.name]
        return self.number + self.variables.get(symbol, symbol.name)

    def _function(self, e: Expr) -> str:
        return {"Abs": "fabs"}.get(type(e).__name__, super()._function(e))
