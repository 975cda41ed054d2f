"""Scalar expressions as NumPy text, broadcast over given indices."""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from sympy import Expr, Indexed, Integer, KroneckerDelta, Mul, Piecewise, Pow, Rational, Symbol

from chainrule.codegen.ir.program import Extent
from chainrule.codegen.ir.scalar import (
    ADD,
    ATOM,
    COMPARE,
    MULTIPLY,
    POWER,
    RELATIONS,
    UNARY,
    CannotPrint,
    Text,
    added,
    extremum,
    indicator,
    is_mask,
    quotient,
)

# SymPy's functions and the computed forms' named ones, by the class's name.
FUNCTIONS = {
    "exp": "np.exp",
    "log": "np.log",
    "sin": "np.sin",
    "cos": "np.cos",
    "tan": "np.tan",
    "sinh": "np.sinh",
    "cosh": "np.cosh",
    "tanh": "np.tanh",
    "Abs": "np.abs",
    "sign": "np.sign",
    "maximum": "np.maximum",
    "floor": "np.floor",
    "ceiling": "np.ceil",
    "rint": "np.rint",
    "expm1": "np.expm1",
    "log1p": "np.log1p",
    "sigmoid": "sigmoid",
    "softplus": "softplus",
    "logcosh": "logcosh",
    "erf": "erf",
    "erfc": "erfc",
}


def number(value: Rational) -> Text:
    """Return a number's shortest exact text."""
    if value.is_Integer:
        return str(value), ATOM if value >= 0 else UNARY
    decimal = repr(float(value))
    if Rational(decimal) == value and "e" not in decimal:
        return decimal, ATOM if value > 0 else UNARY
    if Rational(decimal) == value:
        return decimal, ATOM if value > 0 else UNARY
    return f"{value.p} / {value.q}", MULTIPLY


class ExpressionPrinter:
    """Prints expressions whose accesses have plain subscripts, broadcast to the axes ``indices``."""

    def __init__(
        self,
        indices: tuple[Symbol, ...],
        names: Mapping[str, str],
        extents: Mapping[Symbol, Extent],
        constants: Mapping[str, str],
        truths: frozenset[str] = frozenset(),
    ) -> None:
        self.indices = indices
        self.names = names
        self.extents = extents
        self.constants = constants
        self.truths = truths  # the tensors that hold truth values
        self.constant_branch = False  # whether a dtype is needed for a branch that is a number

    def text(self, expression: Expr, above: int = COMPARE) -> str:
        """Return the text, in parentheses where an operator of precedence ``above`` needs them."""
        text, precedence = self._print(expression)
        return f"({text})" if precedence < above else text

    def _print(self, e: Expr) -> Text:
        if e.is_number and isinstance(e, Pow | sympy.Function | sympy.exp):
            return self._number(e)
        if is_mask(e):  # truth values do not add up: True + True is True
            self.constant_branch = True
            return f"np.where({self.truth(e)}, real(1), real(0))", ATOM
        match e:
            case Rational():
                return number(e)
            case sympy.NumberSymbol():
                return {"pi": ("np.pi", ATOM), "E": ("np.e", ATOM)}[str(e)]
            case Indexed():
                return self._load(e), ATOM
            case Symbol():
                return self._symbol(e), ATOM
            case sympy.Add():
                return added(e, self.text), ADD
            case Mul():
                return self._multiply(e)
            case Pow():
                return self._power(e)
            case Piecewise():
                return self._piecewise(e)
            case sympy.Max() | sympy.Min() if not e.has(Indexed):
                return f"{type(e).__name__.lower()}({', '.join(self.text(a) for a in e.args)})", ATOM
            case sympy.core.relational.Relational():
                return f"{self.text(e.lhs, ADD)} {RELATIONS[e.rel_op]} {self.text(e.rhs, ADD)}", COMPARE
            case sympy.And() | sympy.Or():  # as operands of & and |, comparisons need parentheses
                joined = {sympy.And: " & ", sympy.Or: " | "}[type(e)]
                parts = sorted(e.args, key=sympy.default_sort_key)
                return joined.join(f"({self.text(a)})" for a in parts), COMPARE
        name = FUNCTIONS.get(type(e).__name__)
        if name is None:
            raise CannotPrint(f"no NumPy form for {type(e).__name__} in {e}")
        return f"{name}({', '.join(self.text(a) for a in e.args)})", ATOM

    def truth(self, mask: Expr) -> str:
        """Return the text of a mask as truth values: a factor beside an array of numbers, and no number."""
        if isinstance(mask, Indexed):
            return self._load(mask)
        if isinstance(mask, KroneckerDelta):
            return f"{self.text(mask.args[0], ADD)} == {self.text(mask.args[1], ADD)}"
        return self.text(indicator(mask))

    def _number(self, e: Expr) -> Text:
        """A constant that is no plain number is a Python float, which leaves an array's dtype alone."""
        if isinstance(e, Pow) and e.exp == Rational(1, 2):
            return f"math.sqrt({self.text(e.base)})", ATOM
        if isinstance(e, Pow) and e.exp == Rational(-1, 2):
            return f"1 / math.sqrt({self.text(e.base)})", MULTIPLY
        value = float(e.replace(lambda f: hasattr(f, "as_elementary"), lambda f: f.as_elementary()))
        return repr(value), ATOM if value >= 0 else UNARY

    def _symbol(self, symbol: Symbol) -> str:
        if symbol.name in self.constants:
            return self.constants[symbol.name]
        if symbol in self.extents:
            text = f"np.arange({self.extents[symbol]})"
            return text + self._expand((symbol,))
        return symbol.name

    def _load(self, read: Indexed) -> str:
        return self.spread(self.names[read.base.label.name], tuple(read.indices))

    def spread(self, text: str, indices: tuple[Symbol, ...]) -> str:
        """Return a tensor over some of the indices with an axis for each of them all, in their order."""
        wanted = tuple(i for i in self.indices if i in indices)
        if wanted != indices:
            if len(indices) == 2:
                text += ".T"
            else:
                text += f".transpose({', '.join(str(indices.index(i)) for i in wanted)})"
        return text + self._expand(wanted)

    def _expand(self, present: tuple[Symbol, ...]) -> str:
        """Return the subscript that lines axes up, "" where broadcasting does it alone."""
        if not present:
            return ""
        first = self.indices.index(present[0])
        slots = [":" if i in present else "None" for i in self.indices[first:]]
        return "" if all(s == ":" for s in slots) else f"[{', '.join(slots)}]"

    def _multiply(self, e: Expr) -> Text:
        coefficient, product = e.as_coeff_Mul()
        numerator, denominator = quotient(product)
        top = [f for f in Mul.make_args(numerator) if f != 1]
        bottom = [f for f in Mul.make_args(denominator) if f != 1]
        negative = coefficient < 0
        coefficient = abs(coefficient)
        if coefficient != 1:
            text, precedence = number(coefficient)
            if precedence == MULTIPLY or (coefficient.p == 1 and top):
                if coefficient.p != 1:
                    top.append(Integer(coefficient.p))
                bottom.append(Integer(coefficient.q))
            else:
                top.append(coefficient)
        under = [f for f in top if f.is_number and isinstance(f, Pow) and f.exp.is_negative]
        if any(f.is_number and f not in under for f in top):  # √2 / √π, not √2 * 1 / √π
            top, bottom = [f for f in top if f not in under], bottom + [1 / f for f in under]
        scalars = [f for f in (*top, *bottom) if not f.has(Indexed)]
        ordered = sorted(top, key=self._multiply_order)
        leading = [f for f in ordered if f in scalars and not f.has(Indexed)]
        arrays = [f for f in ordered if f.has(Indexed)]
        divisors = sorted(bottom, key=lambda f: (f.has(Indexed), sympy.default_sort_key(f)))
        early = [d for d in divisors if not d.has(Indexed)] if leading else []
        late = [d for d in divisors if d not in early]
        text = " * ".join(self.text(f, MULTIPLY) for f in leading)
        text += "".join(f" / {self.text(d, UNARY)}" for d in early)
        masks = [f for f in arrays if is_mask(f, self.truths)]
        if len(masks) < len(arrays):
            arrays = [f for f in arrays if f not in masks]
        elif len(masks) > 1 or isinstance(masks[0] if masks else None, Indexed):
            return self._all_masks(negative, leading, early, masks, late)
        else:
            masks = []
        for factor in arrays:
            text += (" * " if text else "") + self.text(factor, UNARY if text else MULTIPLY)
        for mask in masks:
            text += f" * {self.truth(mask)}" if isinstance(mask, Indexed) else f" * ({self.truth(mask)})"
        text = text or "1"
        if negative and text != "1" and late and not leading and late[0].is_Integer:
            late, negative = [-late[0], *late[1:]], False  # a / -2: one pass over a less than -a / 2
        text += "".join(f" / {self.text(d, UNARY)}" for d in late)
        return (f"-{text}", ADD) if negative else (text, MULTIPLY)

    def _all_masks(
        self,
        negative: bool,
        leading: list[Expr],
        early: list[Expr],
        masks: list[Expr],
        late: list[Expr],
    ) -> Text:
        """Truth values are joined as such, then become numbers of the program's dtype in one step."""
        self.constant_branch = True
        scale = " * ".join(self.text(f, MULTIPLY) for f in leading) or "1"
        scale += "".join(f" / {self.text(d, UNARY)}" for d in early)
        truths = " & ".join(self._load(m) if isinstance(m, Indexed) else f"({self.truth(m)})" for m in masks)
        text = f"real({'-' if negative else ''}{scale}) * {f'({truths})' if len(masks) > 1 else truths}"
        return text + "".join(f" / {self.text(d, UNARY)}" for d in late), MULTIPLY

    def _multiply_order(self, factor: Expr) -> tuple[object, ...]:
        """Numbers, then constants, then tensors, then what is made of them."""
        compound = bool(factor.args) and not isinstance(factor, Indexed)
        return not factor.is_number, factor.has(Indexed), compound, sympy.default_sort_key(factor)

    def _power(self, e: Expr) -> Text:
        base, power = e.args
        if power == Rational(1, 2):
            return f"np.sqrt({self.text(base)})", ATOM
        if power.is_negative:
            return f"1 / {self.text(Pow(base, -power), UNARY)}", MULTIPLY
        return f"{self.text(base, ATOM)}**{self.text(power, POWER)}", POWER

    def _piecewise(self, e: Expr) -> Text:
        extreme = extremum(e)
        if extreme is not None:
            kind, first, second = extreme
            ordered = sorted((first, second), key=lambda a: not a.has(Indexed))
            return f"np.{kind}({', '.join(self.text(a) for a in ordered)})", ATOM
        text = self._branch(e.args[-1][0])
        for branch, condition in reversed(e.args[:-1]):
            text = f"np.where({self.text(condition)}, {self._branch(branch)}, {text})"
        return text, ATOM

    def _branch(self, branch: Expr) -> str:
        """A branch that is a number takes the program's dtype, which np.where would not give it."""
        if branch.has(Indexed) or isinstance(branch, Piecewise):
            return self.text(branch)
        self.constant_branch = True
        return f"real({self.text(branch)})"
