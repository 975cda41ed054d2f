"""The operations of the formula language: their meaning in SymPy, and their bounds.

Every operand carries, beside its expression, its value when it is a constant and its size when it is
written out.  The value is worked out in floating point first, so that a constant beyond 64 digits
(``9**9**9``) is refused before SymPy, which evaluates while it builds, begins to build it.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import sympy
from sympy import Expr

from chainrule.formula.cases import MAX_CHOICES, TOO_MANY
from chainrule.formula.choices import Condition, FormulaValueError, choose
from chainrule.formula.functions import rint

MAX_DIGITS: Final = 64
MAX_EXPONENT: Final = 1_000
MAX_SIZE: Final = 2_000
_LIMIT: Final = 10**MAX_DIGITS


class Comparison(NamedTuple):
    """The condition of a ``where``: ``build(left, right)``."""

    build: Condition
    left: Expr
    right: Expr


class Operand(NamedTuple):
    """An expression, the values of its cases, and the nodes it has when it is written out.

    A constant has one value.  A choice (max, min, where) has those of all its cases, None for one that is no
    constant.
    """

    expression: Expr | Comparison
    values: frozenset[float | None]
    size: int


@dataclass(frozen=True)
class Function:
    """A function of the language: how many arguments, its expression, its floating-point value, its size."""

    fewest: int
    most: int
    build: Callable[..., Expr]
    value: Callable[..., float]
    copies: int = 1  # how often the expression holds an argument

    @property
    def arity(self) -> str:
        if self.most > self.fewest:
            return f"{self.fewest} or more arguments"
        return f"{self.fewest} argument{'s' if self.fewest > 1 else ''}"


def _larger(a: Expr, b: Expr) -> Expr:
    return choose(sympy.Ge, a, b, a, b)


def _smaller(a: Expr, b: Expr) -> Expr:
    return choose(sympy.Le, a, b, a, b)


def _where(condition: Comparison, a: Expr, b: Expr) -> Expr:
    return choose(condition.build, condition.left, condition.right, a, b)


def _sigmoid_value(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def _one(build: Callable[..., Expr], value: Callable[..., float], copies: int = 1) -> Function:
    return Function(1, 1, build, value, copies)


# max and min fold from the left, two at a time; the first wins a tie.
FUNCTIONS: Final[dict[str, Function]] = {
    "exp": _one(sympy.exp, math.exp),
    "log": _one(sympy.log, math.log),
    "sqrt": _one(sympy.sqrt, math.sqrt),
    "sin": _one(sympy.sin, math.sin),
    "cos": _one(sympy.cos, math.cos),
    "tan": _one(sympy.tan, math.tan),
    "sinh": _one(sympy.sinh, math.sinh),
    "cosh": _one(sympy.cosh, math.cosh),
    "tanh": _one(sympy.tanh, math.tanh),
    "abs": _one(sympy.Abs, abs),
    "sign": _one(sympy.sign, lambda x: float(x > 0) - float(x < 0)),
    "max": Function(2, MAX_SIZE, _larger, max, copies=2),
    "min": Function(2, MAX_SIZE, _smaller, min, copies=2),
    "sigmoid": _one(lambda u: 1 / (1 + sympy.exp(-u)), _sigmoid_value),
    "softplus": _one(
        lambda u: sympy.log(1 + sympy.exp(u)), lambda u: max(u, 0.0) + math.log1p(math.exp(-abs(u)))
    ),
    "relu": _one(lambda u: _larger(sympy.Integer(0), u), lambda u: max(0.0, u)),  # as max(0, u)
    "erf": _one(sympy.erf, math.erf),
    "floor": _one(sympy.floor, math.floor),
    "ceil": _one(sympy.ceiling, math.ceil),
    "round": _one(rint, round),  # half to even
    "where": Function(3, 3, _where, lambda condition, a, b: a if condition else b),
}  # fmt: skip

_OPERATORS: Final[dict[str, tuple[Callable[..., Expr], Callable[..., float]]]] = {
    "+": (operator.add, operator.add),
    "-": (operator.sub, operator.sub),
    "*": (operator.mul, operator.mul),
    "/": (operator.truediv, operator.truediv),
    "**": (operator.pow, math.pow),
    "negative": (operator.neg, operator.neg),
}

_COMPARISONS: Final[dict[str, tuple[Condition, Callable[[float, float], bool]]]] = {
    "<": (sympy.Lt, operator.lt),
    "<=": (sympy.Le, operator.le),
    ">": (sympy.Gt, operator.gt),
    ">=": (sympy.Ge, operator.ge),
}


def exact(value: object) -> sympy.Rational:
    """Return a constant as the exact number that its decimal digits say: 0.1 is 1/10."""
    return sympy.Rational(str(value))


class Bounds:
    """The limits on one formula; remembers the sub-expressions that it has already looked at."""

    def __init__(self) -> None:
        self._seen: set[sympy.Basic] = set()

    def literal(self, text: str) -> Operand:
        """Return the exact value of a decimal literal."""
        mantissa, _, exponent = text.lower().partition("e")
        whole, _, fraction = mantissa.partition(".")
        digits = (whole + fraction).lstrip("0")
        if len(digits) > MAX_DIGITS or len(exponent) > 5 or abs(int(exponent or "0")) >= MAX_DIGITS:
            raise FormulaValueError(f"{text[:20]} has more than {MAX_DIGITS} digits")
        power = int(exponent or "0") - len(fraction)
        value = sympy.Integer(int(digits or "0")) * sympy.Integer(10) ** power
        return Operand(self.checked(value), frozenset([float(value)]), 1)

    def given(self, expression: Expr) -> Operand:
        """Return the operand for an expression of the caller."""
        if expression.is_Rational:
            self.checked(expression)
        self._seen.update(sympy.preorder_traversal(expression))
        value = float(expression) if expression.is_number else None
        return Operand(expression, frozenset([value]), 1)

    def checked(self, expression: sympy.Basic) -> Expr:
        """Return ``expression``; raise FormulaValueError where it is not finite, not real or too long."""
        pending = [expression]
        while pending:
            node = pending.pop()
            if node in self._seen:
                continue
            self._seen.add(node)
            self._check_node(node)
            pending.extend(node.args)
        return expression

    @staticmethod
    def _check_node(node: sympy.Basic) -> None:
        if node in (sympy.zoo, sympy.nan, sympy.oo, -sympy.oo):
            raise FormulaValueError("this has no finite value: a division by zero or the logarithm of zero")
        root = isinstance(node, sympy.Pow) and node.base.is_negative and not node.exp.is_integer
        if node is sympy.I or (root and node.base.is_number) or isinstance(node, (sympy.re, sympy.im)):
            raise FormulaValueError("this is a complex number: a root or a logarithm of a negative number")
        if isinstance(node, sympy.Rational) and max(abs(node.p), node.q) >= _LIMIT:
            raise FormulaValueError(f"this gives a number of more than {MAX_DIGITS} digits")
        if isinstance(node, sympy.Pow) and not node.is_number and _greatest(node.exp) > MAX_EXPONENT:
            raise FormulaValueError(f"an exponent beyond {MAX_EXPONENT:,}")


def operate(operation: str, operands: tuple[Operand, ...], bounds: Bounds) -> Operand:
    """Return the value of an operator or function at its operands; raise FormulaValueError out of bounds."""
    if operation == "relu":
        return operate("max", (bounds.literal("0"), *operands), bounds)
    if operation in ("max", "min") and len(operands) > 2:
        return operate(operation, (operate(operation, operands[:-1], bounds), operands[-1]), bounds)
    if operation in FUNCTIONS:
        function = FUNCTIONS[operation]
        build, to_value, copies = function.build, function.value, function.copies
    else:
        (build, to_value), copies = _OPERATORS[operation], 1
    size = 1 + copies * sum(operand.size for operand in operands)
    if size > MAX_SIZE:
        raise FormulaValueError(f"more than {MAX_SIZE:,} nodes when max, min and relu are written out")
    values = _values(operation, to_value, operands)
    expressions = [operand.expression for operand in operands]
    _check_exponents(operation, expressions)
    try:
        expression = bounds.checked(_built(operation, build, expressions))
    except (TypeError, ArithmeticError):  # SymPy compares what is infinite or complex in one of the cases
        raise FormulaValueError("a case of this has no finite real value to compare") from None
    except RecursionError:
        raise FormulaValueError("this is too involved; write it in a simpler way") from None
    if expression.is_Rational:
        values = frozenset([float(expression)])
    elif values == {0.0} and expression.is_number:
        raise FormulaValueError("a constant too close to zero to tell it from zero")
    return Operand(expression, values, size)


def _built(operation: str, build: Callable[..., Expr], expressions: list[Expr]) -> Expr:
    """Build an operation; where its result hangs on the value of a constant, that is found to 30 digits.

    SymPy itself would look for the sign of sin(1)**2 + cos(1)**2 - 1 for ever.
    """
    if operation in ("abs", "sign", "floor", "ceil", "round"):
        (argument,) = expressions
        if argument.is_number and not argument.is_Rational:
            value = argument.evalf(30, maxn=100)
            nearest = 0 if operation in ("abs", "sign") else sympy.floor(2 * value + sympy.S.Half) / 2
            if not value.is_real or abs(value - nearest) < 1e-25 * (1 + abs(value)):
                raise FormulaValueError(
                    f"{operation} of a constant that is too close to a jump to tell its side"
                )
            if operation == "abs":
                return argument if value > 0 else -argument
            return build(sympy.Rational(value))
    return build(*expressions)


def compare(operation: str, left: Operand, right: Operand) -> Operand:
    """Return the condition ``left operation right``, with a value (1.0 or 0.0) for constants."""
    build, holds = _COMPARISONS[operation]
    pairs = itertools.product(left.values, right.values)
    values = frozenset(None if a is None or b is None else float(holds(a, b)) for a, b in pairs)
    return Operand(Comparison(build, left.expression, right.expression), values, 1 + left.size + right.size)


def _values(
    operation: str, to_value: Callable[..., float], operands: tuple[Operand, ...]
) -> frozenset[float | None]:
    """Return the values of the cases of an operation; raise FormulaValueError for one out of bounds."""
    sets = [operand.values for operand in operands]
    if operation == "where" and sets[0] not in ({0.0}, {1.0}):
        result = sets[1] | sets[2]
    elif operation in ("max", "min") and None in sets[0] | sets[1]:
        result = sets[0] | sets[1]
    elif operation == "where":
        result = sets[1] if sets[0] == {1.0} else sets[2]
    else:
        result = frozenset(_value(operation, to_value, case) for case in itertools.product(*sets))
    if len(result) > MAX_CHOICES:
        raise FormulaValueError(TOO_MANY)
    return result


def _value(operation: str, to_value: Callable[..., float], case: tuple[float | None, ...]) -> float | None:
    """Return the value of one case; one that is undefined or out of bounds is refused, whenever it occurs."""
    if operation == "/" and case[1] == 0:
        raise FormulaValueError("a division by zero")
    if None in case:
        return None
    try:
        value = to_value(*case)
    except OverflowError:
        value = math.inf
    except (ZeroDivisionError, ValueError):
        raise FormulaValueError(_undefined(operation, case[0] or 0.0)) from None
    if abs(value) >= _LIMIT:
        raise FormulaValueError(f"this gives a number of more than {MAX_DIGITS} digits")
    underflow = value == 0 and bool(case[0]) and operation in ("exp", "sigmoid", "softplus", "**")
    if underflow or 0 < abs(value) < 1 / _LIMIT:
        raise FormulaValueError(f"this gives a number below 1e-{MAX_DIGITS}")
    return value


def _undefined(operation: str, value: float) -> str:
    if operation == "log":
        return "the logarithm of zero" if value == 0 else "the logarithm of a negative number is complex"
    if operation == "sqrt":
        return "the square root of a negative number is complex"
    if operation == "**":
        return "a division by zero" if value == 0 else "this power of a negative number is complex"
    return f"{operation} has no value here"


def _check_exponents(operation: str, expressions: list[Expr]) -> None:
    """Refuse what SymPy would multiply out: 9**(x + 10**9), (3*x)**1000, exp(10**9 * log(9 * x))."""
    if operation == "**":
        base, exponent = expressions
        greatest = _greatest(exponent)
        if greatest > MAX_EXPONENT:
            raise FormulaValueError(f"an exponent beyond {MAX_EXPONENT:,}")
        constant = base.is_Rational and exponent.is_Rational  # its value has been looked at
        if greatest * _digits(base) > MAX_DIGITS and not constant and not base.is_Add:
            raise FormulaValueError(f"this power may give a number of more than {MAX_DIGITS} digits")
    elif operation in ("exp", "sigmoid", "softplus"):
        exponent = expressions[0]
        if exponent.has(sympy.log) and _greatest(exponent) > MAX_EXPONENT:
            raise FormulaValueError(f"an exponent with a logarithm and a number beyond {MAX_EXPONENT:,}")


def _greatest(expression: Expr) -> float:
    """Return the greatest absolute value of the numbers that stand in an expression."""
    return max((abs(float(number)) for number in expression.atoms(sympy.Rational)), default=0.0)


def _digits(expression: Expr) -> float:
    """Return the digits of the longest number in an expression that is not an exponent."""
    if expression.is_Rational:
        return math.log10(max(abs(expression.p), expression.q))
    parts = expression.args[:1] if expression.is_Pow else expression.args
    return max(map(_digits, parts), default=0.0)
