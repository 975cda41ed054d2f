"""Formulas read with the names of the tests, and the refusals of bad ones."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sympy

from chainrule.formula import FormulaError, parse_formula

x, beta, y, t = sympy.symbols("x beta y t", real=True)
NAMES = {"x": x, "beta": beta, "y": y, "t": t}


@contextmanager
def bounded() -> Iterator[None]:
    """What is inside takes no more than 3 s of processor time: a formula that hangs ends its test."""

    def give_up(*_: object) -> None:
        raise TimeoutError("a formula took more than 3 s of processor time")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, 3.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def parse(text: str) -> sympy.Expr:
    return parse_formula(text, NAMES)


def refusal(text: str) -> FormulaError:
    with bounded(), pytest.raises(FormulaError) as caught:
        parse(text)
    error = caught.value
    assert error.text == text
    assert 0 <= error.position <= len(text)
    assert str(error).splitlines()[-1].strip() == "^"
    return error
