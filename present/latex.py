r"""Equations in LaTeX that KaTeX and a TeX document with amsmath both set."""

from __future__ import annotations

import itertools
from typing import Final

from chainrule.derive.prose import _, say
from chainrule.present import escape
from chainrule.present import tree as t
from chainrule.present.alike import written
from chainrule.present.notation import differentiated, parts
from chainrule.present.sides import Line

RELATION, PLUS, HADAMARD, TIMES, DOT, POWER, ATOM, ABOVE = range(8)  # ABOVE: in parentheses whatever it is
RELATIONS: Final = {
    "≤": r"\le",
    "≥": r"\ge",
    "≠": r"\ne",
    "←": r"\leftarrow",
    ":": r"{:}\;",
    "∼": r"\sim",
    "≈": r"\approx",
}
JOINED: Final = {"∧": r"\land", "∨": r"\lor"}
BRACKETS: Final = {"⌊": r"\lfloor", "⌋": r"\rfloor", "⌈": r"\lceil", "⌉": r"\rceil"}
OTHERWISE: Final = _("otherwise")
IF: Final = _("if {condition}")
TALL: Final = (r"\frac", r"\sum", r"\begin", r"\max_", r"\sqrt")


def write_line(shown: Line, align: str = "") -> str:
    """Return the LaTeX of both sides; ``align`` stands before the relation."""
    return written(shown, _write_line, align)


def _write_line(shown: Line, align: str) -> str:
    return f"{write(shown.left)} {align}{RELATIONS.get(shown.relation, shown.relation)} {write(shown.right)}"


def write(node: t.Node) -> str:
    """Return the LaTeX of a tree."""
    return _write(node)[0]


def at(node: t.Node, level: int) -> str:
    """Return the LaTeX, in parentheses if it binds less than ``level``."""
    written, binds = _write(node)
    return written if binds >= level else _parentheses(written)


def _parentheses(written: str) -> str:
    if any(mark in written for mark in TALL):
        return rf"\left({written}\right)"
    return f"({written})"


def _write(node: t.Node) -> tuple[str, int]:
    match node:
        case t.Leaf(latex=written):
            return written, ATOM
        case t.Words(prose):
            return words(say(prose)), ATOM
        case t.Ref():
            return reference(node), ATOM
        case t.Plus(((False, alone),)):
            return _write(alone)
        case t.Plus(terms):
            return _plus(terms), PLUS
        case t.Times(factors):
            return _times(factors), TIMES
        case t.Dot(factors):
            *before, last = factors
            bare = isinstance(last, t.Applied) and last.bare
            return " ".join((*(at(f, DOT) for f in before), at(last, TIMES if bare else DOT))), DOT
        case t.Hadamard(factors):
            return r" \odot ".join(at(f, POWER) for f in factors), HADAMARD
        case t.Slid(kernel, input_, turned, note):
            sign = r"\ast" if turned else r"\star"
            sign = rf"\underset{{{note}}}{{{sign}}}" if note else sign
            return f"{at(kernel, POWER)} {sign} {at(input_, POWER)}", HADAMARD
        case t.Over(numerator, denominator):
            return rf"\frac{{{write(numerator)}}}{{{write(denominator)}}}", POWER
        case t.Big():
            return _big(node), HADAMARD
        case _:
            return _closed(node)


def _closed(node: t.Node) -> tuple[str, int]:
    match node:
        case t.Raised(base, exponent):
            return _raised(base, exponent), POWER
        case t.Exp(exponent):
            power = _exponent(exponent)[0]
            if any(mark in power for mark in (r"\sum", r"\begin", r"\frac{\partial")):
                return rf"\exp\left({power}\right)", ATOM
            return f"e^{{{power}}}", POWER
        case t.Root(body):
            return rf"\sqrt{{{write(body)}}}", POWER
        case t.Bars(body, norm, above, below):
            return _bars(write(body), norm, above, below), POWER if above else ATOM
        case t.Rounded(body, brackets):
            return _rounded(write(body), brackets), ATOM
        case t.Transposed(body):
            return _transposed(body), POWER
        case t.Applied():
            return _applied(node)
        case t.Limit(variable, value, body):
            return rf"\lim_{{{write(variable)} \to {write(value)}}} {at(body, HADAMARD)}", HADAMARD
        case t.Related(operator, left, right):
            return f"{write(left)} {RELATIONS.get(operator, operator)} {write(right)}", RELATION
        case t.Joined(operator, conditions):
            return rf" {JOINED[operator]} ".join(_condition(c) for c in conditions), RELATION
        case t.Iverson(conditions):
            inner = r",\; ".join(write(c) for c in conditions)
            return (rf"\left[{inner}\right]" if any(m in inner for m in TALL) else f"[{inner}]"), ATOM
        case t.Slope(of, by, total, further):
            d = "d" if total else r"\partial"
            above = f"^{{{1 + len(further)}}}" if further else ""
            below = rf" {d} ".join(at(each, POWER) for each in (by, *further))
            if further and set(further) == {by}:
                below = at(by, POWER) + above
            return rf"\frac{{{d}{above} {at(of, POWER)}}}{{{d} {below}}}", POWER
        case t.ByCase(branches):
            return _choice(branches), ATOM
        case t.Kronecker(left, right):
            return rf"\delta_{{{left.latex}{right.latex}}}", ATOM
        case t.Matrix(rows):
            lines = [" & ".join(write(cell) for cell in row) for row in rows]
            tall = any(mark in line for line in lines for mark in TALL)
            inner = (r" \\[1ex] " if tall else r" \\ ").join(lines)
            return rf"\begin{{bmatrix}} {inner} \end{{bmatrix}}", ATOM
        case _:
            raise TypeError(f"no LaTeX for {type(node).__name__}")


def reference(node: t.Ref, transposed: bool = False) -> str:
    """Return a tensor with its layer above, its subscripts below; ∂E/∂W with both inside the denominator."""
    of = differentiated(node.symbol)
    found = parts(node.symbol if of is None else of, node.matrix)
    letter = node.letter[0] if node.letter else found.latex
    upper = found.above + (r"\top" if transposed and of is None else "")
    lower = _subscripts(node.subscripts) or node.mark
    written = letter + (f"^{{{upper}}}" if upper else "") + (f"_{{{lower}}}" if lower else "")
    if of is None:
        return written
    fraction = rf"\frac{{\partial E}}{{\partial {written}}}"
    return rf"\left({fraction}\right)^{{\top}}" if transposed else fraction


def _subscripts(subscripts: tuple[t.Node, ...]) -> str:
    written = [write(s).replace(" ", "") if isinstance(s, t.Plus) else write(s) for s in subscripts]
    single = all(len(w) == 1 for w in written)
    return ("" if single else ",").join(written)


def _plus(terms: tuple[tuple[bool, t.Node], ...]) -> str:
    written = ""
    for place, (negative, term) in enumerate(terms, 1):
        sign = "-" if negative else "+"
        body = at(term, ABOVE if place < len(terms) and t.is_open(term) else HADAMARD)
        written += f" {sign} {body}" if written else f"{sign if negative else ''}{body}"
    return written


def _times(factors: tuple[t.Node, ...]) -> str:
    *before, last = factors
    written = [_parentheses(write(f)) if _needs_closing(f) else at(f, TIMES) for f in before]
    written.append(at(last, HADAMARD))
    joined = written[0]
    for left, right in itertools.pairwise(written):
        touching = right[0].isdigit() and (left[-1].isdigit() or left[-1] in ")}")
        joined += rf" \cdot {right}" if touching or right.startswith("10^") else f" {right}"
    return joined


def _needs_closing(factor: t.Node) -> bool:
    return isinstance(factor, t.Dot) or (isinstance(factor, t.Applied) and factor.bare)


def _big(node: t.Big) -> str:
    inner = at(node.body, HADAMARD)
    sign = r"\operatorname*{arg\,max}" if node.operator == "argmax" else rf"\{node.operator}"
    sized = all(size for _, size in node.indices)
    if node.operator in ("sum", "prod") and sized:
        from_ = node.origin
        sums = " ".join(rf"{sign}_{{{index}={from_}}}^{{{node.last(size)}}}" for index, size in node.indices)
        return f"{sums} {inner}"
    if node.told and sized:
        end = r"\le" if node.origin else "<"
        ranges = [rf"{node.origin} \le {','.join(names)} {end} {size}" for names, size in node.ranges()]
        below = r",\, ".join(ranges)
        return rf"{sign}_{{{below}}} {inner}"
    return rf"{sign}_{{{','.join(index for index, _ in node.indices)}}} {inner}"


def _raised(base: t.Node, exponent: t.Node) -> str:
    power = _exponent(exponent)[0]
    if isinstance(base, t.Applied) and base.latex in (r"\tanh", r"\sin", r"\cos", r"\sinh", r"\cosh"):
        return f"{base.latex}^{{{power}}}{_parentheses(write(base.arguments[0]))}"
    written, binds = _write(base)
    simple = binds >= ATOM and "^" not in written and r"\frac" not in written
    if simple or isinstance(base, t.Iverson) or (isinstance(base, t.Applied) and binds >= ATOM):
        return f"{written}^{{{power}}}"
    return f"{_parentheses(written)}^{{{power}}}"


def _exponent(node: t.Node) -> tuple[str, int]:
    """Return an exponent, with a fraction in it on one line, and how it binds."""
    if isinstance(node, t.Over) and not any(mark in write(node)[6:] for mark in TALL):
        return f"{at(node.numerator, TIMES)}/{at(node.denominator, POWER)}", TIMES
    if isinstance(node, t.Plus) and len(node.terms) == 1:
        (negative, term) = node.terms[0]
        written, binds = _exponent(term)
        written = written if binds >= HADAMARD else _parentheses(written)
        return f"{'-' if negative else ''}{written}", PLUS
    return _write(node)


def _bars(inner: str, norm: bool, above: str, below: str) -> str:
    left, right = (r"\lVert ", r" \rVert") if norm else (r"\lvert ", r" \rvert")
    if any(mark in inner for mark in TALL):
        left, right = rf"\left{left}", rf" \right{right.strip()}"
    lower = f"_{{{below}}}" if below else ""
    upper = f"^{{{above}}}" if above else ""
    return f"{left}{inner}{right}{lower}{upper}"


def _rounded(inner: str, brackets: str) -> str:
    left, right = BRACKETS[brackets[0]], BRACKETS[brackets[1]]
    if any(mark in inner for mark in TALL):
        left, right = rf"\left{left}", rf"\right{right}"
    return f"{left} {inner} {right}"


def _condition(node: t.Node) -> str:
    return _parentheses(write(node)) if isinstance(node, t.Joined) else write(node)


def _transposed(body: t.Node) -> str:
    if isinstance(body, t.Ref):
        is_letter = differentiated(body.symbol) is None
        if body.mark and is_letter and parts(body.symbol).upper:
            return rf"({reference(body)})^{{\top}}"
        return reference(body, transposed=True)
    written, binds = _write(body)
    if binds < ATOM or "^" in written:
        written = _parentheses(written)
    return rf"{written}^{{\top}}"


def _applied(node: t.Applied) -> tuple[str, int]:
    arguments = [write(a) for a in node.arguments]
    if node.bare and isinstance(node.arguments[0], t.Ref | t.Leaf):
        return f"{node.latex} {arguments[0]}", TIMES
    return f"{node.latex}{_parentheses(', '.join(arguments))}", ATOM


def _choice(branches: tuple[tuple[t.Node, t.Node | None], ...]) -> str:
    rows = []
    for value, condition in branches:
        case = words(say(OTHERWISE)) if condition is None else _when(condition)
        rows.append(f"{write(value)} & {case}")
    return r"\begin{cases} " + r" \\ ".join(rows) + r" \end{cases}"


def _when(condition: t.Node) -> str:
    """Return "if …" or, in the order of another language, "… then"."""
    before, _slot, after = say(IF).partition("{condition}")
    return " ".join(filter(None, (words(before), write(condition), words(after))))


def words(prose: str) -> str:
    """Return prose within mathematics, the spaces around it kept."""
    if not prose:
        return ""
    left, right = (" " if prose[end].isspace() else "" for end in (0, -1))
    return rf"\text{{{left}{escape.latex(prose)}{right}}}"
