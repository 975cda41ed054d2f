"""Equations in MathML, which browsers set by themselves: no script, no font, no request."""

from __future__ import annotations

import re
from html import escape
from typing import Final

from chainrule.derive.prose import say
from chainrule.present import tree as t
from chainrule.present.latex import ABOVE, ATOM, DOT, HADAMARD, IF, OTHERWISE, PLUS, POWER, RELATION, TIMES
from chainrule.present.notation import differentiated, parts
from chainrule.present.sides import Line

FUNCTIONS: Final = {"max", "min", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh"}
SIGNS: Final = {
    "sum": "<mo>∑</mo>",
    "prod": "<mo>∏</mo>",
    "max": "<mo movablelimits='false'>max</mo>",
    "argmax": "<mo movablelimits='false'>arg max</mo>",
}
NO_BREAK: Final = "\u2062"  # invisible times
NO_BREAK_SPACE: Final = "\u00a0"  # one that MathML does not drop at an edge


def write_line(shown: Line) -> str:
    """Return both sides as the inside of a math element."""
    return f"<mrow>{write(shown.left)}{_operator(shown.relation)}{write(shown.right)}</mrow>"


def write(node: t.Node) -> str:
    """Return a tree as the inside of a math element."""
    return _write(node)[0]


def _operator(sign: str, **attributes: str) -> str:
    written = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<mo{written}>{escape(sign)}</mo>"


def _row(*parts_: str) -> str:
    return f"<mrow>{''.join(parts_)}</mrow>"


def _closed(written: str, pair: str = "()") -> str:
    """Return it in parentheses, which grow only around what is tall."""
    tall = "true" if any(tag in written for tag in ("<mfrac", "<munder", "<mtable")) else "false"
    return _row(_operator(pair[0], stretchy=tall), written, _operator(pair[1], stretchy=tall))


def _at(node: t.Node, level: int) -> str:
    written, binds = _write(node)
    return written if binds >= level else _closed(written)


def _write(node: t.Node) -> tuple[str, int]:
    match node:
        case t.Words(prose):
            return _words(say(prose)), ATOM
        case t.Leaf(latex=latex, text=text):
            return _leaf(latex, text), ATOM
        case t.Ref():
            return _reference(node), ATOM
        case t.Plus(((False, alone),)):
            return _write(alone)
        case t.Plus(terms):
            return _plus(terms), PLUS
        case t.Times(factors) | t.Dot(factors):
            return _product(factors, isinstance(node, t.Dot))
        case t.Hadamard(factors):
            return _row(_operator("⊙").join(_at(f, POWER) for f in factors)), HADAMARD
        case t.Slid(kernel, input_, turned, note):
            sign = _operator("∗" if turned else "⋆")
            sign = f"<munder>{sign}<mtext>{note}</mtext></munder>" if note else sign
            return _row(_at(kernel, POWER), sign, _at(input_, POWER)), HADAMARD
        case t.Over(numerator, denominator):
            return f"<mfrac>{write(numerator)}{write(denominator)}</mfrac>", POWER
        case t.Big():
            return _big(node), HADAMARD
        case _:
            return _rest(node)


def _rest(node: t.Node) -> tuple[str, int]:
    match node:
        case t.Raised(base, exponent):
            simple = isinstance(base, t.Leaf | t.Applied | t.Iverson) or (
                isinstance(base, t.Ref) and not _upper(base)
            )
            written = write(base) if simple else _closed(write(base))
            return f"<msup>{_row(written)}{_row(write(exponent))}</msup>", POWER
        case t.Exp(exponent):
            return f"<msup><mi>e</mi>{_row(write(exponent))}</msup>", POWER
        case t.Root(body):
            return f"<msqrt>{write(body)}</msqrt>", POWER
        case t.Bars(body, norm, above, below):
            inner = _closed(write(body), "‖‖" if norm else "||")
            if below:
                inner = f"<msub>{inner}<mn>{below}</mn></msub>"
            return (f"<msup>{inner}<mn>{above}</mn></msup>" if above else inner), POWER
        case t.Rounded(body, brackets):
            return _closed(write(body), brackets), ATOM
        case t.Transposed(body):
            return _transposed(body), POWER
        case t.Applied(text=text, arguments=arguments):
            inner = _operator(",").join(write(a) for a in arguments)
            return _row(f"<mi>{escape(text)}</mi>", _operator("\u2061"), _closed(inner)), ATOM
        case t.Limit(variable, value, body):
            below = _row(write(variable), _operator("→"), write(value))
            return _row(f"<munder><mo>lim</mo>{below}</munder>", _at(body, HADAMARD)), HADAMARD
        case t.Related(operator, left, right):
            return _row(write(left), _operator(operator), write(right)), RELATION
        case t.Joined(operator, conditions):
            return _row(_operator(operator).join(_condition(c) for c in conditions)), RELATION
        case t.Iverson(conditions):
            inner = _operator(",").join(write(c) for c in conditions)
            return _closed(inner, "[]"), ATOM
        case t.Slope():
            return _slope(node), POWER
        case t.ByCase(branches):
            return _choice(branches), ATOM
        case t.Kronecker(left, right):
            return f"<msub><mi>δ</mi>{_row(write(left), write(right))}</msub>", ATOM
        case t.Matrix(rows):
            cells = ("".join(f"<mtd>{write(cell)}</mtd>" for cell in row) for row in rows)
            table = "".join(f"<mtr>{row}</mtr>" for row in cells)
            return _row(_operator("["), f"<mtable>{table}</mtable>", _operator("]")), ATOM
        case _:
            raise TypeError(f"no MathML for {type(node).__name__}")


def _condition(node: t.Node) -> str:
    return _closed(write(node)) if isinstance(node, t.Joined) else write(node)


def _slope(node: t.Slope) -> str:
    d = "<mi>d</mi>" if node.total else "<mo>∂</mo>"
    by = [_at(each, POWER) for each in (node.by, *node.further)]
    if not node.further:
        return f"<mfrac>{_row(d, _at(node.of, POWER))}{_row(d, *by)}</mfrac>"
    order = f"<mn>{len(by)}</mn>"
    below = [d, f"<msup>{by[0]}{order}</msup>"] if len(set(by)) == 1 else [d + each for each in by]
    return f"<mfrac>{_row(f'<msup>{d}{order}</msup>', _at(node.of, POWER))}{_row(*below)}</mfrac>"


def _leaf(latex: str, text: str) -> str:
    if not text:
        return ""
    if latex.startswith("10^{"):
        return f"<msup><mn>10</mn><mn>{escape(latex[4:-1].replace('-', '−'))}</mn></msup>"
    digits, times, power = latex.partition(r" \cdot 10^{")
    if times:
        return _row(f"<mn>{digits}</mn>", _operator("·"), _leaf(f"10^{{{power}", text))
    if latex == r"\cdot":
        return _operator("·")
    if text[0] in DIGITS:
        return f"<mn>{escape(text)}</mn>"
    if text[0] in "-−" and text[1:2].isdigit():
        return _row(_operator("−"), f"<mn>{escape(text[1:])}</mn>")
    return _letter(latex, text)


def _letter(latex: str, text: str) -> str:
    """Return a letter with what stands below it: β₁, x_min, η_τ."""
    found = _BELOW.fullmatch(latex)
    if not found:
        return _identifier(text)
    lower = found[1] or found[2]
    lower = text.rpartition("_")[2] if lower.startswith("\\") else lower
    kind = "mn" if lower.isdigit() else "mi" if len(lower) == 1 else "mtext"
    return f"<msub>{_identifier(_WITHOUT.sub('', text))}<{kind}>{escape(lower)}</{kind}></msub>"


_BELOW: Final = re.compile(r"[^_^{} ]+(?:\{[^{}]\})?_(?:(\\?[A-Za-z0-9]+)|\{(\\?[A-Za-z0-9]+)\})")
_WITHOUT: Final = re.compile(r"_.*|[₀-₉ₙₘₖⱼᵢₗ]+|(?<=\D)\d+$")
DIGITS: Final = "0123456789"  # 𝟏 is a vector
_NUMBER: Final = re.compile(r"(?:<(?:mrow|msup|msub)>)*<mn>")
TIMES_SIGN: Final = "<mo>·</mo>"
ACCENTS: Final = {"\u0302": "^", "\u0304": "¯"}


def _identifier(text: str) -> str:
    """Return a letter; one with an accent in two parts, so that it stays italic."""
    if len(text) == 2 and text[1] in ACCENTS:
        return f'<mover accent="true"><mi>{escape(text[0])}</mi><mo>{ACCENTS[text[1]]}</mo></mover>'
    return f"<mi>{escape(text)}</mi>"


def _upper(node: t.Ref) -> str:
    return parts(node.symbol).upper


def _reference(node: t.Ref) -> str:
    of = differentiated(node.symbol)
    found = parts(node.symbol if of is None else of, node.matrix)
    letter = _letter(*(node.letter or (found.latex, found.text)))
    single = all(isinstance(s, t.Leaf) and len(s.text) == 1 for s in node.subscripts)
    lower = ("" if single else _operator(",")).join(write(s) for s in node.subscripts)
    lower = lower or (f"<mi>{node.mark}</mi>" if node.mark else "")
    if found.upper and lower:
        letter = f"<msubsup>{letter}{_row(lower)}<mn>{found.above}</mn></msubsup>"
    elif found.upper:
        letter = f"<msup>{letter}<mn>{found.above}</mn></msup>"
    elif lower:
        letter = f"<msub>{letter}{_row(lower)}</msub>"
    if of is None:
        return letter
    return f"<mfrac>{_row('<mo>∂</mo><mi>E</mi>')}{_row('<mo>∂</mo>', letter)}</mfrac>"


def _transposed(body: t.Node) -> str:
    if isinstance(body, t.Ref) and differentiated(body.symbol) is None:
        found = parts(body.symbol, body.matrix)
        if not body.mark:
            upper = f"<mrow><mn>{found.above}</mn><mo>⊤</mo></mrow>" if found.upper else "<mo>⊤</mo>"
            return f"<msup>{_identifier(found.text)}{upper}</msup>"
        if not found.upper:
            return f"<msubsup>{_identifier(found.text)}<mi>{body.mark}</mi><mo>⊤</mo></msubsup>"
    simple = isinstance(body, t.Leaf)
    return f"<msup>{write(body) if simple else _closed(write(body))}<mo>⊤</mo></msup>"


def _plus(terms: tuple[tuple[bool, t.Node], ...]) -> str:
    written: list[str] = []
    for place, (negative, term) in enumerate(terms, 1):
        if written or negative:
            written.append(_operator("−" if negative else "+"))
        written.append(_at(term, ABOVE if place < len(terms) and t.is_open(term) else HADAMARD))
    return _row(*written)


def _product(factors: tuple[t.Node, ...], dot: bool) -> tuple[str, int]:
    *before, last = factors
    written = [_closed(write(f)) if isinstance(f, t.Dot) else _at(f, DOT if dot else TIMES) for f in before]
    written.append(_at(last, DOT if dot else HADAMARD))
    joined = written[0]
    for each in written[1:]:
        between = (
            ""
            if TIMES_SIGN in (each, joined[-len(TIMES_SIGN) :])
            else TIMES_SIGN
            if _NUMBER.match(each)
            else None
        )
        joined += (_operator(NO_BREAK) if between is None else between) + each
    return _row(joined), DOT if dot else TIMES


def _big(node: t.Big) -> str:
    inner = _at(node.body, HADAMARD)
    sign = SIGNS[node.operator]
    sized = all(size for _, size in node.indices)
    if node.operator in ("sum", "prod") and sized:
        first = f"<mo>=</mo><mn>{node.origin}</mn>"
        ranges = [
            f"<munderover>{sign}<mrow><mi>{i}</mi>{first}</mrow>{_last(node.last(size))}</munderover>"
            for i, size in node.indices
        ]
        return _row(*ranges, inner)
    below = _operator(",").join(f"<mi>{index}</mi>" for index, _ in node.indices)
    if node.told and sized:
        start, end = f"<mn>{node.origin}</mn>{_operator('≤')}", _operator("≤" if node.origin else "<")
        below = _operator(",").join(
            start + _operator(",").join(f"<mi>{name}</mi>" for name in names) + end + _last(size)
            for names, size in node.ranges()
        )
    return _row(f"<munder>{sign}{_row(below)}</munder>", inner)


def _last(size: str) -> str:
    """Return a number, or a letter from which 1 may be subtracted."""
    letter, minus, less = size.partition(" - ")
    written = f"<mn>{letter}</mn>" if letter.isdecimal() else f"<mi>{letter}</mi>"
    return _row(written, _operator("−"), f"<mn>{less}</mn>") if minus else written


def _choice(branches: tuple[tuple[t.Node, t.Node | None], ...]) -> str:
    rows = []
    for value, condition in branches:
        case = _words(say(OTHERWISE)) if condition is None else _when(condition)
        rows.append(f"<mtr><mtd>{write(value)}</mtd><mtd>{_row(case)}</mtd></mtr>")
    return _row(_operator("{"), f"<mtable columnalign='left'>{''.join(rows)}</mtable>")


def _when(condition: t.Node) -> str:
    before, _slot, after = say(IF).partition("{condition}")
    return _words(before) + write(condition) + _words(after)


def _words(prose: str) -> str:
    return f"<mtext>{escape(prose.replace(' ', NO_BREAK_SPACE))}</mtext>" if prose else ""
