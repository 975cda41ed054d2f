"""The formula language of specs: text in, a SymPy expression out, and nothing is ever run.

The tokens and the grammar are our own; the text never reaches ``sympify``, ``parse_expr``, ``eval`` or a
symbol's name.  Precedence is Python's.  SymPy evaluates while it builds, so every operation is bounded
*before* it is built: a constant keeps within 64 digits, a formula within 2,000 characters, 500 nodes
and 50 levels.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Mapping
from typing import Final, NamedTuple

import sympy

from chainrule.formula.choices import FormulaValueError
from chainrule.formula.messages import caret_lines, did_you_mean
from chainrule.formula.operations import FUNCTIONS, Bounds, Operand, compare, operate
from chainrule.formula.turns import in_turn

MAX_CHARACTERS: Final = 2_000
MAX_NODES: Final = 500
MAX_DEPTH: Final = 50

_TOKEN: Final = re.compile(
    r"(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator>\*\*|<=|>=|[-+*/()<>,])"
)
_SPACE: Final = " \t\r\n"
_COMPARISONS: Final = ("<", "<=", ">", ">=")
_REMEDIES: Final = {
    "×": "*", "·": "*", "⋅": "*", "∗": "*", "−": "-", "–": "-", "÷": "/", "²": "**2", "³": "**3", "≤": "<=",
    "≥": ">=", "√": "sqrt", "π": "pi", "^": "**", "=": "<= or >=", "[": "(", "]": ")", "{": "(", "}": ")",
}  # fmt: skip


class FormulaError(ValueError):
    """A formula that is refused: ``message``, and the ``position`` in ``text`` at which it goes wrong."""

    def __init__(self, message: str, position: int, text: str) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.text = text

    def __str__(self) -> str:
        return "\n".join((self.message, *caret_lines(self.text, self.position)))


class _Token(NamedTuple):
    kind: str  # "number", "name", "operator" or "end"
    text: str
    position: int


@in_turn
def parse_formula(text: str, names: Mapping[str, sympy.Expr]) -> sympy.Expr:
    """Return the expression of ``text``, each name standing for the expression that ``names`` gives it.

    Decimal literals are exact (1.5 is 3/2).  ``max`` and ``min`` are Piecewise, the first wins a tie.
    Raises FormulaError for anything outside the grammar or the bounds of this module.
    """
    return _Parser(text, names).parse()


def formula_names(text: str) -> set[str]:
    """Return the names that ``text`` uses, without the functions it calls and without ``pi``."""
    tokens = _tokens(text)
    calls = {token.position for token, after in itertools.pairwise(tokens) if after.text == "("}
    names = {token.text for token in tokens if token.kind == "name" and token.position not in calls}
    return names - {"pi"}


def _tokens(text: str) -> list[_Token]:
    _check_depth(text)
    if len(text) > MAX_CHARACTERS:
        message = f"a formula of {len(text):,} characters; at most {MAX_CHARACTERS:,}"
        raise FormulaError(message, MAX_CHARACTERS, text)
    tokens = []
    position = 0
    while position < len(text):
        if text[position] in _SPACE:
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if match is None:
            raise FormulaError(_character_message(text[position]), position, text)
        assert match.lastgroup is not None  # noqa: S101  (every branch of the pattern is named)
        token = _Token(match.lastgroup, match.group(), position)
        position = match.end()
        if token.kind == "number" and re.match(r"[A-Za-z0-9_.]", text[position : position + 1]):
            remedy = "write 2*x for a product, and plain decimal digits for a number"
            raise FormulaError(f"{token.text[:20]} runs into what follows; {remedy}", position, text)
        tokens.append(token)
    tokens.append(_Token("end", "", len(text)))
    return tokens


def _check_depth(text: str) -> None:
    """Refuse what is nested too deep before anything recurses."""
    depth = signs = 0
    for position, character in enumerate(text):
        if character in _SPACE:
            continue
        depth += (character == "(") - (character == ")")
        signs = signs + 1 if character in "+-" else 0
        if depth > MAX_DEPTH or signs > MAX_DEPTH:
            raise FormulaError(f"nested too deep: more than {MAX_DEPTH} levels", position, text)


def _character_message(character: str) -> str:
    remedy = _REMEDIES.get(character)
    if character.isascii():
        message = f"{character!r} has no meaning in a formula"
    else:
        name = unicodedata.name(character, "a character without a name")
        message = f"U+{ord(character):04X} {name} is not ASCII"
        plain = unicodedata.normalize("NFKC", character)
        if remedy is None and plain.isascii() and plain.isprintable() and plain.strip():
            remedy = plain
    return f"{message}; write {remedy}" if remedy else message


class _Parser:
    """Precedence climbing over the tokens; builds the expression on the way, operation by operation."""

    def __init__(self, text: str, names: Mapping[str, sympy.Expr]) -> None:
        self.text = text
        self.names = names
        self.tokens = _tokens(text)
        self.at = 0
        self.nodes = 0
        self.depth = 0
        self.bounds = Bounds()

    def parse(self) -> sympy.Expr:
        if self.token.kind == "end":
            raise self.error("the formula is empty")
        result = self.sum()
        if self.token.text in _COMPARISONS:
            raise self.error("a comparison may stand only as the first argument of where(condition, a, b)")
        if self.token.text == ")":
            raise self.error("this parenthesis was never opened")
        if self.token.kind != "end":
            raise self.error(f"expected an operator or the end, found {self.token.text!r}")
        return result.expression

    # ---- tokens ----------------------------------------------------------------------------

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.token
        self.at += 1
        return token

    def take_if(self, *texts: str) -> _Token | None:
        return self.take() if self.token.kind == "operator" and self.token.text in texts else None

    def expect(self, text: str, opened: _Token) -> None:
        if self.take_if(text):
            return
        if self.token.text in _COMPARISONS:
            raise self.error("a comparison may stand only once, and only as the first argument of where")
        if self.token.kind == "end":
            raise self.error("this parenthesis is never closed", opened)
        raise self.error(f"expected an operator or {text!r}, found {self.token.text!r}")

    def error(self, message: str, token: _Token | None = None) -> FormulaError:
        return FormulaError(message, (token or self.token).position, self.text)

    def count(self, token: _Token) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.error(f"more than {MAX_NODES} nodes; split the formula", token)

    def descend(self, token: _Token) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"nested too deep: more than {MAX_DEPTH} levels", token)

    def operate(self, operation: str, operands: tuple[Operand, ...], token: _Token) -> Operand:
        self.count(token)
        try:
            return operate(operation, operands, self.bounds)
        except FormulaValueError as problem:
            raise self.error(str(problem), token) from None

    # ---- grammar ---------------------------------------------------------------------------

    def sum(self) -> Operand:
        result = self.product()
        while operator := self.take_if("+", "-"):
            result = self.operate(operator.text, (result, self.product()), operator)
        return result

    def product(self) -> Operand:
        result = self.signed()
        while operator := self.take_if("*", "/"):
            result = self.operate(operator.text, (result, self.signed()), operator)
        return result

    def signed(self) -> Operand:
        signs = []
        while sign := self.take_if("+", "-"):
            signs.append(sign)
        result = self.power()
        for sign in reversed(signs):
            if sign.text == "-":
                result = self.operate("negative", (result,), sign)
        return result

    def power(self) -> Operand:
        base = self.atom()
        operator = self.take_if("**")
        if operator is None:
            return base
        self.descend(operator)
        exponent = self.signed()
        self.depth -= 1
        return self.operate("**", (base, exponent), operator)

    def atom(self) -> Operand:
        token = self.take()
        if token.kind == "number":
            return self.number(token)
        if token.kind == "name":
            return self.call(token) if self.token.text == "(" else self.name(token)
        if token.text == "(":
            self.descend(token)
            result = self.sum()
            self.expect(")", token)
            self.depth -= 1
            return result
        found = "the end" if token.kind == "end" else repr(token.text)
        raise self.error(f"expected a number, a name or a parenthesis, found {found}", token)

    def number(self, token: _Token) -> Operand:
        self.count(token)
        try:
            return self.bounds.literal(token.text)
        except FormulaValueError as problem:
            raise self.error(str(problem), token) from None

    def name(self, token: _Token) -> Operand:
        self.count(token)
        expression = self.names.get(token.text)
        if expression is None and token.text == "pi":
            expression = sympy.pi
        if expression is not None:
            try:
                return self.bounds.given(expression)
            except FormulaValueError as problem:
                raise self.error(f"{token.text}: {problem}", token) from None
        if token.text in FUNCTIONS:
            raise self.error(f"{token.text} is a function; write {token.text}(…)", token)
        if token.text.lower() in ("nan", "inf", "infinity"):
            raise self.error(f"{token.text} is not a finite number", token)
        raise self.error(self.unknown("name", token.text, (*self.names, "pi")), token)

    def call(self, token: _Token) -> Operand:
        function = FUNCTIONS.get(token.text)
        if function is None:
            if token.text in self.names:
                raise self.error(f"{token.text} is no function; write {token.text}*(…) for a product", token)
            raise self.error(self.unknown("function", token.text, tuple(FUNCTIONS)), token)
        opened = self.take()
        self.descend(opened)
        operands: list[Operand] = []
        while self.token.text != ")" or operands:
            operands.append(self.argument(token.text, first=not operands))
            if not self.take_if(","):
                break
        self.expect(")", opened)
        self.depth -= 1
        if not function.fewest <= len(operands) <= function.most:
            raise self.error(f"{token.text} takes {function.arity}, not {len(operands)}", token)
        return self.operate(token.text, tuple(operands), token)

    def argument(self, function: str, *, first: bool) -> Operand:
        left = self.sum()
        if function != "where" or not first:
            return left
        operator = self.take_if(*_COMPARISONS)
        if operator is None:
            raise self.error("the first argument of where must be a comparison: < <= > >=")
        self.count(operator)
        return compare(operator.text, left, self.sum())

    @staticmethod
    def unknown(kind: str, name: str, known: tuple[str, ...]) -> str:
        hint = did_you_mean(name, known) or f"known here: {', '.join(sorted(known))}"
        return f"unknown {kind} {name[:40]}; {hint}"
