"""Equal layers are derived, lowered, laid out and printed once, and come out as each by itself would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from new_layers import stack
from sympy import Symbol, exp

from chainrule.codegen.generate import generate
from chainrule.codegen.ir.formula import NamedForm
from chainrule.codegen.ir.program import Contract, Load, Map, renamed
from chainrule.codegen.lower.copies import Copies
from chainrule.codegen.lower.equation import EquationLowering
from chainrule.codegen.lower.lowering import _Lowering
from chainrule.codegen.lower.patterns import Pattern
from chainrule.codegen.targets.cuda.alike import AlikeKernels
from chainrule.codegen.targets.cuda.sources import _KernelWriter
from chainrule.codegen.targets.numpy import statements
from chainrule.codegen.targets.numpy.statements import StatementPrinter
from chainrule.derive.backward import Backward
from chainrule.derive.index import access, index, tensor
from chainrule.derive.patterns import Firsts
from chainrule.derive.replay import Replay
from chainrule.present import alike
from chainrule.present.page import _Layout
from chainrule.spec.load import parse_spec

CONVOLUTION = [
    'type = "conv2d"\nfilters = 3\nkernel = 3\npadding = "same"\nactivation = "relu"', 'type = "batch_norm"',
    'type = "dropout"\nrate = 0.2',
]  # fmt: skip
DENSE = ['type = "dense"\nunits = 4\nactivation = "gelu"', 'type = "layer_norm"', 'type = "softmax"']
LAST = 'type = "dense"\nunits = 3\nactivation = "softmax"'
NETWORKS = {
    "convolutions": ([4, 4, 3], CONVOLUTION),
    "dense": ([4], DENSE),
}


def written(name: str, count: int, l2: str = "0.01") -> dict[str, str]:
    """The files of a network with so many equal blocks."""
    shape, block = NETWORKS[name]
    text = stack(shape, *(layer for _ in range(count) for layer in block), LAST, loss="cross_entropy")
    text = text.replace("l2 = 0.01", f"l2 = {l2}")
    return generate(parse_spec(text, "spec.toml"), ("numpy", "cuda")).files


class Forgetful(dict[Any, Any]):
    """Keeps nothing, but for who stores it and asks at once."""

    def __contains__(self, key: object) -> bool:
        return False

    def get(self, key: object, default: object = None) -> Any:
        return default


@pytest.fixture
def each_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was found for one equation is taken over for another."""

    def forgetting(kind: type, attribute: str) -> None:
        before = kind.__init__

        def made(self: object, *arguments: Any) -> None:
            before(self, *arguments)
            setattr(self, attribute, Forgetful())

        monkeypatch.setattr(kind, "__init__", made)

    forgetting(_Lowering, "lowered")
    forgetting(_Layout, "laid")
    forgetting(AlikeKernels, "written")
    monkeypatch.setattr(Replay, "step", lambda _replay, _instances, take: take())
    monkeypatch.setattr(Firsts, "of", lambda _firsts, make, *_kind: make())
    monkeypatch.setattr(alike.Likeness, "fits", False)
    monkeypatch.setattr(statements, "printed", lambda _printer, statement, lines: lines(statement))


@pytest.mark.parametrize("name", NETWORKS)
def test_equal_layers_come_out_as_each_by_itself(name: str, request: pytest.FixtureRequest) -> None:
    count = 4  # blocks of three layers with numbers: from one digit to two
    found = written(name, count)
    request.getfixturevalue("each_by_itself")
    assert written(name, count) == found


WORK: dict[str, tuple[type, str]] = {
    "derived": (Backward, "_layer"),
    "lowered": (EquationLowering, "statements"),
    "laid out": (_Layout, "_laid"),
    "kernels written": (_KernelWriter, "kernel"),
    "statements printed": (StatementPrinter, "_lines"),
}


def test_the_work_does_not_grow_with_equal_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    done = dict.fromkeys(WORK, 0)

    def counting(kind: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def counted(self: object, *arguments: Any) -> Any:
            done[kind] += 1
            return method(self, *arguments)

        return counted

    for kind, (owner, name) in WORK.items():
        monkeypatch.setattr(owner, name, counting(kind, getattr(owner, name)))

    def work(count: int) -> dict[str, int]:
        monkeypatch.setattr(alike, "_LINES", Firsts())
        done.update(dict.fromkeys(WORK, 0))
        written("dense", count, l2="0.0")  # weight decay adds a term to the loss for each layer
        return dict(done)

    few, many = work(3), work(4)  # at most nine layers with numbers: of one digit
    assert few == many and all(few.values())


# ---- What is alike ---------------------------------------------------------------------------------

n, k = index("n"), index("k")


def test_names_are_alike_that_sort_alike_with_what_is_named_after_them() -> None:
    def likeness(*names: str) -> object:
        return Pattern((), names).likeness

    assert likeness("z1", "W1", "a0") == likeness("z12", "W12", "a11")
    assert likeness("z1", "a0") != likeness("z1", "y0")  # another letter
    assert likeness("a9", "a10") != likeness("a10", "a11")  # sorted otherwise
    assert likeness("z1", "z1_max") == likeness("z7", "z7_max")
    assert likeness("z1", "z1_max") != likeness("z1", "z7_max")
    assert likeness("z1", "z10") != likeness("z2", "z30")  # z1_x < z10_x, but z2_x < z30_x by another letter


def test_lines_are_alike_whose_numbers_have_as_many_digits() -> None:
    assert alike.likeness(("z1", "a0")) == alike.likeness(("z9", "a8"))
    assert alike.likeness(("z9", "a8")) != alike.likeness(("z10", "a9"))
    assert alike.likeness(("a9", "a10")) != alike.likeness(("a9", "b10"))
    assert alike.likeness(("a1", "a1")) != alike.likeness(("a1", "a2"))


def test_a_formula_keeps_its_form_under_names_that_sort_alike() -> None:
    a, b = (access(tensor(name), n) for name in ("a1", "b1"))
    formula = NamedForm.of(exp(a) * b)
    other = formula.called({"a1": "a7", "b1": "b7"})
    assert other.form is formula.form
    assert other.expression == exp(access(tensor("a7"), n)) * access(tensor("b7"), n)
    turned = formula.called({"a1": "c1"})
    assert turned.form is not formula.form and turned == NamedForm.of(exp(access(tensor("c1"), n)) * b)
    one = formula.called({"a1": "b1"})
    assert one == NamedForm.of(exp(b) * b) and one.names == ("b1",)


def test_statements_differ_in_names_and_in_which_of_them_are_one() -> None:
    def product(out: str, left: str, right: str) -> Contract:
        return Contract(out, (n, k), 1, Load(left, (n,)), Load(right, (k,)))

    first, second = product("z1", "a0", "W1"), product("z2", "a1", "W2")
    assert first.pattern[0] == second.pattern[0] != product("z1", "a0", "a0").pattern[0]
    assert renamed(first, {"z1": "z2", "a0": "a1", "W1": "W2"}, 1) == second
    own = Map("y", (n,), 3, access(tensor("y"), n) + 1)
    assert own.pattern[0] != Map("y", (n,), 3, access(tensor("x"), n) + 1).pattern[0]


def test_what_an_equation_copies_itself_is_no_copy_of_others() -> None:
    copies = Copies()
    copies.put(1, frozenset({("a", (0,)), ("b", (0,))}))
    copies.put(2, frozenset({("a", (1,))}))
    assert copies.by_others(2, ["a"]) == {("a", (0,))}
    assert copies.by_others(3, ["a", "b"]) == {("a", (0,)), ("a", (1,)), ("b", (0,))}
    copies.put(1, frozenset({("a", (2,))}))
    assert copies.by_others(3, ["a", "b"]) == {("a", (2,)), ("a", (1,))}


def test_marks_stand_in_no_text_of_a_page() -> None:
    assert all(mark.isdecimal() and not mark.isascii() for mark in alike.MARKS)
    assert len({*alike.MARKS}) == len(alike.MARKS) == 60
    assert Symbol("z" + alike.MARKS[0]).name.isidentifier()
