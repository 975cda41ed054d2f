"""Equations in plain text, for comments in programs and for terminals: δ2 = (W3ᵀ δ3) ⊙ a2 ⊙ (1 − a2)."""

from __future__ import annotations

import itertools
import unicodedata

from sympy import Expr

from chainrule.derive.index import Equation
from chainrule.derive.prose import say
from chainrule.present import tree as t
from chainrule.present.alike import MARKS, alike, written
from chainrule.present.build import Writer, textbook
from chainrule.present.notation import name
from chainrule.present.sides import Line, line

RELATION, PLUS, HADAMARD, TIMES, DOT, POWER, ATOM, ABOVE = range(8)
LOWER = {"n": "ₙ", "m": "ₘ", "k": "ₖ", "j": "ⱼ", "i": "ᵢ", "l": "ₗ"}
UPPER = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
DIGITS = f"0123456789{MARKS}"
BIG = {"sum": "Σ", "max": "max", "prod": "Π", "argmax": "argmax"}


def text(expression: Expr, own: str = "", exact: bool = False) -> str:
    """Return an expression in index form; ``exact`` keeps the functions of the computed form."""
    return write(Writer(own).tree(expression if exact else textbook(expression)))


def index_text(equation: Equation, exact: bool = False, sides: str = "both") -> str:
    """Return an equation in index form; ``sides`` is "both" or "right"."""
    return _sides(line(equation, "index", exact), sides)


def matrix_text(equation: Equation, exact: bool = False, sides: str = "both") -> str:
    """Return an equation in matrix form, an example's vectors as columns; in index form where it has none."""
    key = equation.pattern, exact
    return _sides(alike(key, lambda: line(equation, "matrix", exact), equation.tensors), sides)


def _sides(shown: Line, sides: str) -> str:
    return write(shown.right) if sides == "right" else write_line(shown)


def write_line(shown: Line) -> str:
    """Return the text of both sides."""
    return written(shown, _write_line)


def _write_line(shown: Line) -> str:
    return f"{write(shown.left)} {shown.relation} {write(shown.right)}"


def shape_text(equation: Equation, one_example: bool = False) -> str:
    """Return the shape of the left side: (N, 16), (16,) or (); that of ``one_example`` has no N."""
    sizes = [str(size) for size in equation.left.base.shape][int(one_example) :]
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for Hangul, none for an accent."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def write(node: t.Node) -> str:
    """Return the plain text of a tree."""
    return _write(node)[0]


def _at(node: t.Node, level: int) -> str:
    """Return the text, in parentheses if it binds less than ``level``."""
    written, binds = _write(node)
    return written if binds >= level else f"({written})"


def _write(node: t.Node) -> tuple[str, int]:
    match node:
        case t.Leaf(text=written):
            return written, ATOM
        case t.Words(words):
            return say(words), ATOM
        case t.Ref():
            return _reference(node)
        case t.Plus(((False, alone),)):
            return _write(alone)
        case t.Plus(terms):
            return _plus(terms), PLUS
        case t.Times(factors):
            return _times(factors)
        case t.Dot(factors):
            return " ".join(_at(f, DOT) for f in factors), DOT
        case t.Hadamard(factors):
            return " ⊙ ".join(_at(f, POWER) for f in factors), HADAMARD
        case t.Slid(kernel, input_, turned, note):
            sign = ("∗" if turned else "⋆") + (f"({note})" if note else "")
            return f"{_at(kernel, POWER)} {sign} {_at(input_, POWER)}", HADAMARD
        case t.Over(numerator, denominator):
            return f"{_at(numerator, TIMES)}/{_at(denominator, POWER)}", TIMES
        case t.Big():
            return _big(node), HADAMARD
        case _:
            return _closed(node)


def _closed(node: t.Node) -> tuple[str, int]:
    match node:
        case t.Raised(base, exponent):
            power = write(exponent)
            if power.lstrip("-").isdigit():
                return f"{_at(base, ATOM)}{power.translate(UPPER)}", POWER
            return f"{_at(base, ATOM)}^{_at(exponent, ATOM)}", POWER
        case t.Exp(exponent):
            return f"exp({write(exponent)})", ATOM
        case t.Root(body):
            return f"√{_at(body, ATOM)}", POWER
        case t.Bars(body, norm, above, below):
            bar = "‖" if norm else "|"
            lower = "₁" if below else ""
            return f"{bar}{write(body)}{bar}{lower}{above.translate(UPPER)}", ATOM
        case t.Rounded(body, brackets):
            return f"{brackets[0]}{write(body)}{brackets[1]}", ATOM
        case t.Transposed(body):
            inner = write(body)
            return (f"({inner})ᵀ" if " " in inner or "/" in inner else f"{inner}ᵀ"), ATOM
        case t.Applied(text=called, arguments=arguments):
            return f"{called}({', '.join(write(a) for a in arguments)})", ATOM
        case t.Limit(variable, value, body):
            return f"lim({write(variable)} → {write(value)}) {_at(body, HADAMARD)}", HADAMARD
        case t.Related(operator, left, right):
            return f"{write(left)} {operator} {write(right)}", RELATION
        case t.Joined(operator, conditions):
            return f" {operator} ".join(_condition(c) for c in conditions), RELATION
        case t.Iverson(conditions):
            return f"[{', '.join(write(c) for c in conditions)}]", ATOM
        case t.Slope(of, by, total, further):
            d = "d" if total else "∂"
            above = str(1 + len(further)).translate(UPPER) if further else ""
            below = d.join(_at(each, POWER) for each in (by, *further))
            if further and set(further) == {by}:
                below = _at(by, POWER) + above
            return f"{d}{above}{_at(of, POWER)}/{d}{below}", TIMES
        case t.ByCase(branches):
            return _choice(branches), ATOM
        case t.Kronecker(left, right):
            return f"δ_{left.text}{right.text}", ATOM
        case t.Matrix(rows):
            written = [f"[{', '.join(write(cell) for cell in row)}]" for row in rows]
            return written[0] if len(written) == 1 else f"[{', '.join(written)}]", ATOM
        case _:
            raise TypeError(f"no text for {type(node).__name__}")


def _condition(node: t.Node) -> str:
    return f"({write(node)})" if isinstance(node, t.Joined) else write(node)


def _reference(node: t.Ref) -> tuple[str, int]:
    written = node.letter[1] if node.letter else name(node.symbol, node.matrix).text
    if node.mark:
        written += LOWER.get(node.mark, f"[{node.mark}]")
    if node.subscripts:
        written += f"[{','.join(write(s).replace(' ', '') for s in node.subscripts)}]"
    return written, ATOM


def _plus(terms: tuple[tuple[bool, t.Node], ...]) -> str:
    written = ""
    for place, (negative, term) in enumerate(terms, 1):
        sign = "−" if negative else "+"
        body = _at(term, ABOVE if place < len(terms) and t.is_open(term) else HADAMARD)
        written += f" {sign} {body}" if written else f"{sign if negative else ''}{body}"
    return written


def _times(factors: tuple[t.Node, ...]) -> tuple[str, int]:
    first, *rest = factors
    over_one = isinstance(first, t.Over) and first.numerator == t.ONE
    if isinstance(first, t.Over) and over_one and rest and not any(isinstance(f, t.Big) for f in rest):
        above = _at(rest[0], HADAMARD) if len(rest) == 1 else _times(tuple(rest))[0]
        return f"{above}/{_at(first.denominator, POWER)}", TIMES
    *before, last = factors
    closed = (t.Over, t.Dot)
    written = [f"({write(f)})" if isinstance(f, closed) else _at(f, TIMES) for f in before]
    written.append(_at(last, HADAMARD))
    joined = written[0]
    for left, right in itertools.pairwise(written):
        touching = right[0] in DIGITS and left[-1] in f"{DIGITS})"
        joined += f" · {right}" if touching else f" {right}"
    return joined, TIMES


def _big(node: t.Big) -> str:
    names = [index for index, _ in node.indices]
    if node.told:
        end = "≤" if node.origin else "<"
        ranges = ",".join(",".join(indices) + end + size for indices, size in node.ranges())
        lower = f"_{{{ranges}}}"
    elif all(index in LOWER for index in names):
        lower = "".join(LOWER[index] for index in names)
    else:
        lower = f"_{''.join(names)}" if all(len(name) == 1 for name in names) else f"_{{{','.join(names)}}}"
    return f"{BIG[node.operator]}{lower} {_at(node.body, HADAMARD)}"


def _choice(branches: tuple[tuple[t.Node, t.Node | None], ...]) -> str:
    (value, condition), *rest = branches
    if condition is None or not rest:
        return write(value)
    return f"where({write(condition)}, {write(value)}, {_choice(tuple(rest))})"
