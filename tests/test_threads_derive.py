"""Threads that derive at once get what one gets."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from sympy import Expr

import chainrule
from chainrule.derive.patterns import Firsts
from chainrule.formula import parse_formula
from chainrule.formula.turns import in_turn

TEXT = """
spec_version = 1
name = "net"
[input]
shape = [3]
[[layers]]
type = "dense"
units = 3
[[layers]]
type = "{own}"
[[layers]]
type = "dense"
units = 3
activation = "{own}"
[loss]
type = "mse"
[optimizer]
type = "sgd"
[activations.{own}]
formula = "log({number} + exp(x))"
"""


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads change places as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(work: Callable[[], object], count: int = 3) -> list[object]:
    """What threads get that start together; a fault is what such a thread gets."""
    start, found = threading.Barrier(count), []

    def one() -> None:
        start.wait()
        try:
            found.append(work())
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.usefixtures("restless")
def test_networks_derived_at_once_are_those_derived_alone() -> None:
    def files() -> dict[str, str]:
        return chainrule.generate(TEXT.format(own="own", number=3), ("numpy", "cuda")).files

    found = at_once(files)
    assert found == [files()] * 3


def test_one_thread_at_a_time_takes_a_turn_and_may_take_another_within() -> None:
    inside, most = [0], [0]
    pause = threading.Event()

    @in_turn
    def outer() -> int:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        pause.wait(0.01)
        found = inner()
        inside[0] -= 1
        return found

    @in_turn
    def inner() -> int:
        return 7

    assert at_once(outer) == [7, 7, 7]
    assert most == [1]


def test_a_formula_is_read_by_one_thread_at_a_time_too() -> None:
    """SymPy compares the constants of a choice with a precision that all threads share."""
    read: list[Expr] = []
    reader = threading.Thread(target=lambda: read.append(parse_formula("where(erf(1) > 0, 1, 2)", {})))

    @in_turn
    def meanwhile() -> list[Expr]:
        reader.start()
        reader.join(0.2)
        return [*read]

    assert meanwhile() == []
    reader.join()
    assert read == [1]


def test_what_another_thread_makes_meanwhile_is_the_first() -> None:
    firsts, others = Firsts[object](), list[object]()

    def slow() -> object:
        others.append(firsts.of(object, "kind", 1))
        return object()

    found = firsts.of(slow, "kind", 1)
    assert found is others[0] is firsts.of(object, "kind", 1)
    assert found is not firsts.of(object, "kind", 2)
