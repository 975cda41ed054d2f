"""Windows that two equations of the way back share, and masks that threads draw: the same as apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from machine_sizes import generated_with
from random_specs import build
from sympy import symbols

from chainrule.codegen.ir.program import BATCH, Contract, Loop, Pad, Program, Value, Window
from chainrule.codegen.passes.sharing import share_windows
from chainrule.codegen.targets.numpy import TARGET
from chainrule.derive.deriving import derive_network
from chainrule.spec.load import parse_spec

SPEC = """spec_version = 1
name = "shared"
[input]
shape = [{height}, {width}, 3]
[[layers]]
type = "conv2d"
filters = 4
kernel = 2
activation = "tanh"
[[layers]]
type = "conv2d"
filters = {filters}
kernel = {kernel}
{options}
activation = "tanh"
[[layers]]
type = "dense"
units = 3
activation = "softmax"
[loss]
type = "cross_entropy"
"""
SHARED = {  # stride 1: the same places of delta2 make the kernel's gradient and go back through it
    "same": dict(height=7, width=6, filters=5, kernel=3, options='padding = "same"'),
    "even kernel": dict(height=7, width=6, filters=4, kernel="[2, 4]", options='padding = "same"'),
    "valid": dict(height=8, width=7, filters=3, kernel=3, options=""),
    "full": dict(height=5, width=6, filters=3, kernel=3, options='padding = "full"'),
    "dilated": dict(height=9, width=8, filters=4, kernel="[2, 3]", options='padding = "same"\ndilation = 2'),
    "true convolution": dict(height=7, width=6, filters=4, kernel=3, options="flip = true\npadding = 1"),
}
APART = {
    "strided": dict(height=9, width=8, filters=5, kernel=3, options="stride = 2\npadding = 1"),
    "many more filters": dict(height=6, width=6, filters=40, kernel=3, options='padding = "same"'),
}
GROUPS = dict(height=7, width=6, filters=4, kernel=3, options="groups = 2\npadding = 1")
CASES = SHARED | APART | {"in groups": GROUPS}


def lowered(case: dict[str, Any]) -> Program:
    return TARGET.program(derive_network(parse_spec(SPEC.format(**case), "spec.toml")))


def copied(program: Program, name: str) -> list[str]:
    """The windows of a value, or of it with zeros around, that are copied on the way back."""
    backward = list(program.statements("backward"))
    shown = {name, *(s.out for s in backward if isinstance(s, Pad) and s.source == name)}
    return [s.out for s in backward if isinstance(s, Window) and s.copy and s.source in shown]


@pytest.mark.parametrize("name", SHARED)
def test_one_copy_serves_both_equations(name: str) -> None:
    program = lowered(SHARED[name])
    (windows,) = copied(program, "d z2")
    products = [s for s in program.statements("backward") if isinstance(s, Contract)]
    assert sum(windows in (s.left.name, s.right.name) for s in products) == 2
    assert copied(program, "a1") == []


@pytest.mark.parametrize("name", APART)
def test_windows_are_not_shared_where_that_costs_more(name: str) -> None:
    program = lowered(APART[name])
    assert len(copied(program, "a1")) == 1
    assert copied(program, "d z2") == []


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_windows_apart(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = SPEC.format(**CASES[name])
    shared = build(text).program.module
    monkeypatch.setattr("chainrule.codegen.lower.affine.zero_outside", lambda *_: False)
    apart = build(text).program.module
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((5, *shared.INPUT)), rng.integers(0, 3, 5)
    parameters = shared.init_parameters(1, np.float64)
    loss, gradients = shared.loss_and_gradients(parameters, x, t)
    expected, others = apart.loss_and_gradients(parameters, x, t)
    assert loss == pytest.approx(expected, abs=1e-14)
    for key, gradient in gradients.items():
        np.testing.assert_allclose(gradient, others[key], rtol=0, atol=1e-13 * max(1, abs(others[key]).max()))


def test_windows_of_other_sizes_are_others() -> None:
    """Three places of four and two of five: the same subscripts, not the same values."""
    n, i, u = symbols("n i u", integer=True)
    shapes = {"three": (BATCH, 4, 3), "two": (BATCH, 5, 2), "again": (BATCH, 4, 3)}
    backward = tuple(
        Window(name, (n, i, u), number, "a", (n, i + u), copy=True) for number, name in enumerate(shapes, 1)
    )
    values = {name: Value(name, shape, "local", name) for name, shape in (shapes | {"a": (BATCH, 6)}).items()}
    program = share_windows(Program({"backward": backward}, values, {}, "a", {}))
    assert [s.out for s in program.statements("backward")] == ["three", "two"]
    assert program.shared == {"three": (3,)}
    assert set(program.values) == {"three", "two", "a"}


MASKED = """spec_version = 1
name = "masked"
[input]
shape = [67, 65]
[[layers]]
type = "dropout"
rate = 0.3
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = 3
activation = "softmax"
[loss]
type = "cross_entropy"
"""


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_masks_do_not_depend_on_threads_or_pieces(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample has 4,355 values here, no multiple of the 16 that one count of the generator gives."""
    with generated_with(piece=10_000):
        module = build(MASKED).program.module
    module.THREADS = threads
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((7, 67, 65)), rng.integers(0, 3, 7)
    parameters = module.init_parameters(0, np.float64)
    module.loss(parameters, x, t, seed=5)
    drawn = module.workspace(7, np.dtype(float)).m0
    whole = module.draw(5, 0, 0.7, out=np.empty((7, 67, 65), bool))
    assert np.array_equal(drawn, whole)
    assert np.array_equal(module.masks(7, seed=5)["m0"], whole)
    assert 0.68 < whole.mean() < 0.72


def test_windows_of_two_loops_are_shared_in_each() -> None:
    n, i, u = symbols("n i u", integer=True)

    def loop(first: int) -> Loop:
        names = (f"w{first}", f"w{first + 1}")
        made = tuple(
            Window(name, (n, i, u), number, "a", (n, i + u), copy=True)
            for number, name in enumerate(names, first)
        )
        return Loop(made, 2, frozenset())

    values = {name: Value(name, (BATCH, 4, 3), "local", name) for name in ("w1", "w2", "w3", "w4")}
    values["a"] = Value("a", (BATCH, 6), "local", "a")
    program = share_windows(Program({"backward": (loop(1), loop(3))}, values, {}, "a", {}))
    assert [[s.out for s in entry.statements] for entry in program.sections["backward"]] == [["w1"], ["w3"]]
