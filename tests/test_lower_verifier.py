"""What the verifier of lowered programs catches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy
from new_layers import TANH, N, k, n, stack
from random_specs import build, random_spec
from sympy import Indexed, Symbol

import chainrule.codegen.targets.numpy as numpy_target
from chainrule.codegen.ir.box import element
from chainrule.codegen.ir.program import (
    Contract,
    Grid,
    Load,
    Map,
    Program,
    Reduce,
    Reshape,
    copied,
    views,
)
from chainrule.codegen.ir.verify import VerificationError, verify
from chainrule.codegen.lower.lowering import LoweringError, extent, lower
from chainrule.codegen.passes.absorb import absorb_temporaries
from chainrule.codegen.passes.slots import assign_slots
from chainrule.codegen.targets.numpy import TARGET
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import access, size, tensor
from chainrule.spec.load import parse_spec

MLP = stack(
    [3, 2], 'type = "dense"\nunits = 4\nactivation = "sigmoid"',
    'type = "dense"\nunits = 4\nactivation = "relu"', 'type = "dense"\nunits = 3\nactivation = "softmax"',
    loss="cross_entropy", tail='\n[optimizer]\ntype = "adam"\n',
)  # fmt: skip


def lowered() -> Program:
    return lower(derive_network(parse_spec(MLP, "spec.toml")))


def finished() -> Program:
    return TARGET.optimize(lowered())


def changed(program: Program, section: str, position: int, *statements: Any) -> Program:
    """The program with other statements in the place of one."""
    listed = list(program.sections[section])
    listed[position : position + 1] = statements
    return replace(program, sections={**program.sections, section: tuple(listed)})


def find(program: Program, section: str, kind: type, **fields: object) -> tuple[int, Any]:
    for position, statement in enumerate(program.sections[section]):
        if isinstance(statement, kind) and all(getattr(statement, k) == v for k, v in fields.items()):
            return position, statement
    raise LookupError(kind)


def refused(program: Program, *words: str) -> None:
    with pytest.raises(VerificationError) as error:
        verify(program, "a mutation")
    assert all(word in str(error.value) for word in ("a mutation", *words)), error.value


def test_right_programs_are_accepted() -> None:
    verify(lowered(), "lower")
    verify(finished(), "optimize")


def test_use_before_definition_is_caught() -> None:
    program = finished()
    statements = list(program.sections["forward"])
    refused(
        replace(program, sections={**program.sections, "forward": tuple(reversed(statements))}),
        "before it is computed",
    )
    position, _ = find(program, "forward", Contract, out="z2")
    refused(changed(program, "forward", position), "z2", "before it is computed")


def test_undeclared_values_are_caught() -> None:
    program = finished()
    values = {name: v for name, v in program.values.items() if name != "a1"}
    refused(replace(program, values=values), "a1", "not declared")


@pytest.mark.parametrize(
    ("slots", "words"),
    [({"a1": "z1", "z1": "a1"}, "circle"), ({"z1": "z1"}, "circle"), ({"z1": "lost"}, "not declared")],
    ids=str,
)
def test_memory_that_is_nobodys_is_caught(slots: dict[str, str], words: str) -> None:
    program = lowered()
    values = {name: replace(program.values[name], slot=slot) for name, slot in slots.items()}
    refused(replace(program, values={**program.values, **values}), words, *slots)


def test_wrong_shapes_are_caught() -> None:
    program = finished()
    position, z2 = find(program, "forward", Contract, out="z2")
    swapped = replace(z2, right=Load("W1", z2.right.indices)), replace(z2, left=Load("a0", z2.left.indices))
    for wrong in swapped:
        refused(changed(program, "forward", position, wrong), "z2", "index")
    lost = replace(z2, left=Load("a1", z2.left.indices[:1]))
    refused(changed(program, "forward", position, lost), "1 indices")
    unshared = replace(z2, right=Load("W2", (z2.right.indices[0], Symbol("q", integer=True))))
    refused(changed(program, "forward", position, unshared), "not shared by both factors")
    position, a1 = find(program, "forward", Map, out="a1")
    loose = Indexed(tensor("b2", sympy.Integer(4)), Symbol("q", integer=True))
    refused(
        changed(program, "forward", position, replace(a1, formula=a1.expression + loose)),
        "neither free nor summed",
    )
    position, a0 = find(program, "forward", Reshape, out="a0")
    wrong_size = replace(program.values["a0"], shape=("N", 5))
    refused(replace(program, values={**program.values, "a0": wrong_size}), "a0")
    assert a0.source == "x"


def test_lost_equations_are_caught() -> None:
    program = lowered()
    for number in program.notes:
        sections = {
            name: tuple(s for s in statements if s.equation != number)
            for name, statements in program.sections.items()
        }
        refused(replace(program, sections=sections))


def test_labels_in_arithmetic_are_caught() -> None:
    program = finished()
    labels = access(tensor("t", N), n)
    position, T = find(program, "loss", Map, out="T")
    refused(
        changed(program, "loss", position, replace(T, formula=T.expression * labels)),
        "labels",
        "arithmetic",
    )
    position, delta = find(program, "backward", Map, out="d z3")
    refused(
        changed(program, "backward", position, replace(delta, formula=delta.expression - labels)), "labels"
    )


@pytest.mark.parametrize("seed", range(0, 40))
def test_clobbered_memory_is_caught(seed: int) -> None:
    """Giving a value the memory of another that is still needed is refused."""
    program = TARGET.program(derive_network(parse_spec(MLP if seed % 2 else random_spec(seed), "spec.toml")))
    order = list(program.statements("forward", "loss", "backward", "input_gradient"))
    local = [v.name for v in program.values.values() if v.kind == "local" and v.shape]
    rng = np.random.default_rng(seed)
    for _ in range(30):
        name, other = rng.choice(local, 2, replace=False)
        if program.values[other].slot or program.values[name].slot == other:
            continue
        values = {**program.values, name: replace(program.values[name], slot=str(other))}
        mutated = replace(program, values=values)
        if clobbers(mutated, order):
            refused(mutated, "it must be kept alive")


def clobbers(program: Program, order: list[Any]) -> bool:
    """Run the program on memory alone: whether a read finds another value than the one that it wants."""

    def root(name: str) -> str:
        while program.values[name].slot:
            name = program.values[name].slot
        return name

    held: dict[str, object] = {}
    content: dict[str, object] = {}
    for position, statement in enumerate(order):
        for name in statement.reads:
            if program.values[name].kind == "local" and held.get(root(name)) is not content.get(name):
                return True
        if program.values[statement.out].kind != "local":
            continue
        (source,) = [*statement.reads, None][:1] if shows(program, statement) else (None,)
        if source is not None:
            content[statement.out] = content.get(source)
            if program.values[source].kind != "local":
                content[statement.out] = held[root(statement.out)] = object()
        else:
            token = (position, statement.out)
            content[statement.out] = held[root(statement.out)] = token
    return False


def shows(program: Program, statement: Any) -> bool:
    """Whether a statement only names the memory of what it reads again."""
    copy = isinstance(statement, Map) and isinstance(statement.expression, Indexed)
    return (isinstance(statement, Reshape) or copy) and statement.reads == {
        program.values[statement.out].slot
    }


def test_a_pass_that_ignores_lifetimes_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes mutated: memory freed at once, and operands overwritten that are read again."""

    def greedy(program: Program) -> Program:
        shapes: dict[object, str] = {}
        values = {}
        for value in assign_slots(program).values.values():
            if value.kind == "local" and value.shape and not value.slot:
                slot = shapes.setdefault(value.shape, value.name)
                value = replace(value, slot="" if slot == value.name else slot)
            values[value.name] = value
        return replace(program, values=values)

    greedy.__name__ = "greedy"
    monkeypatch.setattr(numpy_target, "assign_slots", greedy)
    with pytest.raises(VerificationError, match=r"after greedy.*must be kept alive"):
        TARGET.optimize(lowered())


def test_absorbing_what_is_read_twice_would_be_caught() -> None:
    """The pass leaves temporaries with two readers alone; renaming one of them anyway is refused."""
    program = absorb_temporaries(lowered())
    position, total = find(program, "forward", Reduce, operation="sum")
    refused(changed(program, "forward", position, replace(total, out="a3_max")))


def test_a_copy_of_a_temporary_goes_with_it() -> None:
    program = lowered()
    place, z2 = find(program, "forward", Map, out="z2")
    total = element("z2_sum", program.values["z2_sum"].shape, z2.indices)
    found = absorb_temporaries(changed(program, "forward", place, replace(z2, formula=total)))
    assert [type(s) for s in found.sections["forward"] if s.out == "z2"] == [Contract]
    verify(found, "absorb_temporaries")


def test_sizes_must_be_numbers() -> None:
    assert extent(sympy.Integer(3)) == 3 and extent(N) == "N"
    with pytest.raises(LoweringError, match="is not a number"):
        extent(size("fan_in"))


def test_a_network_without_parameters_is_refused() -> None:
    with pytest.raises(LoweringError, match="nothing to train"):
        build(stack([3], TANH))


def test_grids_need_extents() -> None:
    program = finished()
    position, _ = find(program, "forward", Contract, out="z2")
    q = Symbol("q", integer=True)
    body = access(tensor("a1", N, 4), n, q + 1)
    grid = Grid("z2", (n, k), 5, body, (), ((n, "N"), (k, 4)))
    refused(
        changed(
            program,
            "forward",
            position,
            replace(grid, equation=program.sections["forward"][position].equation),
        ),
        "q",
        "no extent",
    )


def test_what_a_value_gives_itself_shows_no_other() -> None:
    """Else whoever looks for the memory behind a view would look for ever."""
    program = finished()
    place, step = find(program, "forward", Map)
    itself = replace(step, formula=element(step.out, program.values[step.out].shape, step.indices))
    assert copied(replace(itself, out="another")) == step.out
    assert copied(itself) is None
    assert step.out not in views(changed(program, "forward", place, itself))
