"""Memory that two values share: in loops over pieces of the batch, and between kernels."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from kernel_runs import programs
from machine_sizes import SMALL_PIECES, numpy_with

import chainrule.codegen.passes.slots as slots_pass
import chainrule.derive.layers
from chainrule.codegen.ir.liveness import Access, verify_accesses
from chainrule.codegen.ir.program import Loop, Program
from chainrule.codegen.ir.section import ON_BATCH
from chainrule.codegen.ir.verify import VerificationError, verify
from chainrule.codegen.kernels.plan import WorkPlan
from chainrule.codegen.kernels.work import made
from chainrule.codegen.lower.lowering import lower
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import Equation, Sum, index, size, tensor
from chainrule.derive.layers.layer import Forward, LayerType, Parameter
from chainrule.spec.load import parse_spec

n, k, j = index("n"), index("k"), index("j")
N, K = size("N"), size("K")
x, y, z, V = tensor("x", N, K), tensor("y", N, K), tensor("z", K), tensor("V", K, 3)
SMALL = numpy_with(**SMALL_PIECES)
SPEC = """spec_version = 1
name = "scaled"
[input]
shape = [3]
[[layers]]
type = "dense"
units = 4
[[layers]]
type = "scaled"
[[layers]]
type = "tanh"
[[layers]]
type = "scaled"
[[layers]]
type = "dense"
units = 2
[loss]
type = "mse"
"""


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> Program:
    """y = x Σ V, twice: a loop on the way back reads the second sum, then adds up for the first."""

    def forward(shape: tuple[int, ...], _: object) -> Forward:
        equations = (Equation(z[k], Sum(V[k, j], (j, 3))), Equation(y[n, k], x[n, k] * z[k]))
        return Forward(equations, {K: shape[0]}, (Parameter("V", (*shape, 3), "weight", 1, 1, "ones"),))

    layer = LayerType("scaled", "a layer of the tests", forward, input_rank=1)
    monkeypatch.setitem(chainrule.derive.layers.LAYERS, "scaled", layer)
    return lower(derive_network(parse_spec(SPEC, "spec.toml")))


def until_last_read(program: Program) -> dict[str, int]:
    """Return where each value is used last, as if every loop ran once."""
    found: dict[str, int] = {}
    for position, statement in enumerate(program.statements(*ON_BATCH)):
        found |= dict.fromkeys((*statement.reads, statement.out), position)
    return found


def test_what_a_loop_reads_outlives_it(scaled: Program) -> None:
    (loop,) = (e for e in SMALL.optimize(scaled).sections["backward"] if isinstance(e, Loop))
    order = [(s.out, s.reads) for s in loop.statements]
    last = max(position for position, (_, read) in enumerate(order) if "h3" in read)
    assert "d h2" in loop.sums and last < [name for name, _ in order].index("d h2")
    with (
        patch.object(slots_pass, "_last_uses", until_last_read),
        pytest.raises(VerificationError, match="whose memory already holds"),
    ):
        SMALL.optimize(scaled)


def test_what_every_piece_would_make_anew_is_refused(scaled: Program) -> None:
    finished = SMALL.optimize(scaled)
    sections = {
        name: tuple(replace(e, sums=frozenset()) if isinstance(e, Loop) else e for e in entries)
        for name, entries in finished.sections.items()
    }
    with pytest.raises(VerificationError, match="is no sum of them"):
        verify(replace(finished, sections=sections), "a mutation")


# ---- Between kernels -------------------------------------------------------------------------------


def access(kernel: str, reads: str, writes: str) -> Access:
    return Access(kernel, frozenset(reads.split()), frozenset(writes.split()))


@pytest.mark.parametrize(
    ("accesses", "slots", "wrong"),
    (
        ([("one", "x", "a"), ("two", "a", "b")], {}, None),
        ([("one", "x", "a"), ("two", "a", "b"), ("three", "b", "c")], {"c": "a"}, None),
        ([("two", "a", "b"), ("one", "x", "a")], {}, "two: reads a before it is computed"),
        (
            [("one", "x", "a"), ("two", "x", "b"), ("three", "a", "c")],
            {"b": "a"},
            "whose memory already holds b",
        ),
        ([("one", "x", "a"), ("two", "a", "b")], {"b": "a"}, "two: reads a while it writes b"),
        ([("one", "x", "b"), ("two", "x", "c")], {"c": "b"}, "the program: reads b, whose memory"),
    ),
)
def test_memory_between_kernels(
    accesses: list[tuple[str, str, str]], slots: dict[str, str], wrong: str | None
) -> None:
    results = {"b"} if wrong else set()
    with nullcontext() if wrong is None else pytest.raises(VerificationError, match=wrong):
        verify_accesses([access(*each) for each in accesses], slots, {"x"}, results)


def test_a_plan_that_frees_memory_too_early_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = SPEC.replace('type = "scaled"', 'type = "dense"\nunits = 4')
    assert programs(text).plan
    greedy: dict[object, str] = {}

    def slots(self: Any) -> dict[str, str]:
        local = [n for s in ON_BATCH for work in self.works[s] for n in made(work)]
        local = [n for n in dict.fromkeys(local) if n in self.kept and self.program.values[n].kind == "local"]
        return {n: first for n in local if (first := greedy.setdefault(self._form(n), n)) != n}

    monkeypatch.setattr(WorkPlan, "slots", property(slots))
    with pytest.raises(VerificationError):
        programs(text)
