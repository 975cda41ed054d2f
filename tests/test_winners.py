"""Sums over winners: proved by the interpreter, printed and compiled, and taken only where they cost less."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from c_agreement import agrees
from random_specs import build
from shipped import EXAMPLES

from chainrule.codegen.ir.program import First, FirstPlace, Pick
from chainrule.codegen.lower.affine import Costs
from chainrule.codegen.lower.lowering import lower
from chainrule.codegen.targets import TARGETS, target
from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import Equation, Inside, Max, Sum, Winner, index, tensor
from chainrule.derive.interpret import evaluate
from chainrule.derive.network import N
from chainrule.derive.winners import over_winners, picked, winnings
from chainrule.spec import load_spec, parse_spec

C = target("c")
ALWAYS = replace(C, costs=replace(C.costs, pick=1e-9))
ACTIVATIONS = ("relu", "sigmoid", "identity", "relu", "tanh")
Layer = dict[str, Any]


def text(layers: Iterable[Layer], shape: tuple[int, ...]) -> str:
    """Return the text of a spec of these layers and a last one."""
    lines = ["spec_version = 1", 'name = "pooled"', "[input]", f"shape = {[*shape]}"]
    for layer in (*layers, {"type": "dense", "units": 3, "activation": "softmax"}):
        lines += ["[[layers]]", *(f"{key} = {json.dumps(value)}" for key, value in layer.items())]
    return "\n".join([*lines, "[loss]", 'type = "cross_entropy"', "[optimizer]", 'type = "sgd"', ""])


def pooled_spec(seed: int) -> str:
    """Return a spec of convolutions with max pools behind them, whose windows overlap or leave gaps."""
    rng = Random(seed)
    layers: list[Layer] = []
    for place in range(rng.choice((1, 2))):
        kernel = [rng.choice((1, 2, 3)), rng.choice((1, 2, 3))]
        conv: Layer = {"type": "conv2d", "filters": rng.choice((1, 2, 5, 17)), "kernel": kernel}
        conv |= {
            "stride": [rng.choice((1, 1, 2)), 1],
            "padding": rng.choice(("same", "full", 1) if place else ("same", "valid")),
        }
        conv |= {"dilation": 1 if place else rng.choice((1, 1, 2)), "activation": rng.choice(ACTIVATIONS)}
        size, stride = [rng.choice((1, 2, 3 - place)), 2], [rng.choice((1, 2, 2, 3)), rng.choice((2, 2, 3))]
        layers += [conv, {"type": "max_pool2d", "size": size, "stride": stride}]
        layers += [{"type": "dropout", "rate": 0.25}] if rng.random() < 0.3 else []
    return text(layers, (15, rng.choice((13, 15)), rng.choice((1, 3))))


# ---- the identity ------------------------------------------------------------------------------------------

i, p, q, r, u = map(index, "ipqru")
a, f = tensor("a", 7), tensor("f", 7)


def test_a_sum_over_a_winners_places_has_its_value_there() -> None:
    won = Winner(a[q], [p], (q, 7))
    assert picked(Sum(won * a[p] ** 2, (p, 7))) == Max(a[q], (q, 7)) ** 2
    assert picked(Sum(won * a[p] * f[p], (p, 7))) == Sum(won * Max(a[q], (q, 7)) * f[p], (p, 7))
    for other in (Sum(a[p] * f[p], (p, 7)), Sum(Winner(a[q], [2 * p], (q, 7)) * f[p], (p, 3))):
        assert picked(other) == other


def small(activation: str, size: object = 2, stride: object = 2, **conv: object) -> Derivation:
    layers = [
        {"type": "conv2d", "filters": 2, "kernel": [2, 1], "activation": activation, **conv},
        {"type": "max_pool2d", "size": size, "stride": stride},
    ]
    return derive_network(parse_spec(text(layers, (6, 5, 1)), "small.toml"))


def shape_of(shape: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(2 if n == N else int(n) for n in shape)


def rewritten(derivation: Derivation) -> list[tuple[Equation, Equation, Equation, Any]]:
    """Return what reads winnings: its equation, that of the winnings, and the sum over windows."""
    forward = [e.equation for e in derivation.role("forward")]
    found = []
    for each in derivation.role("backward"):
        known = winnings(each.equation, forward)
        for reader in derivation.equations if known else ():
            if each.symbol in reader.equation.read:
                base = reader.equation.reads()[each.symbol]
                found.append(
                    (reader.equation, each.equation, over_winners(reader.equation, base, known), forward)
                )
    return found


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "identity"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": 3, "stride": 2},
        {"size": [1, 2], "stride": [3, 2]},
        {"padding": "same", "kernel": 3, "size": [2, 1]},
        {"padding": "full", "kernel": [2, 2]},
    ],
    ids=["plain", "overlapping", "gaps", "strides", "border"],
)
def test_sums_over_windows_are_sums_over_places(activation: str, options: dict[str, Any]) -> None:
    """By the interpreter, which loops over every place: gradients of weights, biases and inputs."""
    pool = {key: options[key] for key in ("size", "stride") if key in options}
    conv = {key: value for key, value in options.items() if key not in pool}
    found = rewritten(small(activation, **pool, **conv))
    assert len(found) == 3
    rng = np.random.default_rng(5)
    for reader, definition, instead, forward in found:
        assert instead is not None
        names = {**reader.reads(), **instead.reads(), **definition.reads()}
        values = {
            name: rng.choice([-1.0, -0.3, 0.2, 0.5, 0.7], shape_of(base.shape))
            for name, base in names.items()
        }
        for equation in forward:
            if isinstance(equation.right, Max):
                values[equation.name] = evaluate(equation, values)
        values[definition.name] = evaluate(definition, values)
        wanted = evaluate(reader, values)
        assert np.abs(wanted).max() > 0
        np.testing.assert_allclose(evaluate(instead, values), wanted, rtol=1e-13, atol=1e-13)
        assert not instead.right.has(Inside) and definition.name not in instead.read


def test_what_a_bias_gets_needs_no_place() -> None:
    texts = [str(instead) for _, _, instead, _ in rewritten(small("relu"))]
    assert sum("Winner" in text for text in texts) == 2
    assert "a1_2[n, i, j, k] <= 0" in texts[1], "the maximum is read where it was computed"


def test_winnings_are_told_from_other_tensors() -> None:
    assert not rewritten(small("softplus")), "its derivative is not read off the winner's value"
    assert not rewritten(small("relu", stride=1)), "windows one place apart are counted otherwise"
    w, x, g = tensor("w", N, 4), tensor("x", N, 8), tensor("g", N, 4)
    n, j = map(index, "nj")
    won = Winner(x[n, 2 * i + u], [p - 2 * i], (u, 2))
    y = tensor("y", N, 8)
    good = Equation(y[n, p], Sum(won * g[n, i], (i, 4)))
    assert winnings(good) is not None
    for right in (
        Sum(won * g[n, i], (i, 4)) + 1,
        Sum(won * g[n, i] * x[n, p + 1], (i, 4)),
        Sum(won * y[n, p] * g[n, i], (i, 4)),
        Sum(Winner(x[n, 2 * i + u], [2 * p - 2 * i], (u, 2)) * g[n, i], (i, 4)),
        Sum(Winner(x[n, p + u], [p - 2 * i], (u, 2)) * g[n, i], (i, 4)),
        Sum(won * g[n, i] * w[n, j], (i, 4), (j, 4)),
        g[n, p],
    ):
        assert winnings(Equation(y[n, p], right)) is None, right
    known = winnings(good)
    assert known is not None
    for right in (y[n, j] * 2, Sum(y[n, j] ** 2, (j, 8)), Sum(y[n, j] + 1, (j, 8)), Max(y[n, j], (j, 8))):
        assert over_winners(Equation(w[n, j], right), y, known) is None, right


# ---- programs ----------------------------------------------------------------------------------------------


def test_a_program_in_c_makes_lists_where_they_cost_less() -> None:
    derivation = derive_network(load_spec(next(path for path in EXAMPLES if path.stem == "cifar10_cnn_74")))
    program = C.program(derivation)
    statements = [s for section in program.sections for s in program.statements(section)]
    kinds = [type(s) for s in statements]
    assert (kinds.count(Pick), kinds.count(FirstPlace), kinds.count(First)) == (4, 2, 0)
    assert not {"d z2", "d z3"} & {s.out for s in statements}, "what is summed over places is never made"
    for name in TARGETS:
        if name != "c":
            other = target(name).program(derivation)
            assert not any(
                isinstance(s, Pick | FirstPlace) for part in other.sections for s in other.statements(part)
            )


def test_runs_that_are_short_do_not_pay() -> None:
    path = next(path for path in EXAMPLES if path.stem == "lenet5")
    derivation = derive_network(load_spec(path))
    assert not any(
        isinstance(s, Pick) for s in lower(derivation, Costs(0, 2, 0.02, pick=0.04)).statements("backward")
    )


@pytest.mark.skipif(not any(map(shutil.which, ("gcc", "clang"))), reason="no C compiler")
@pytest.mark.parametrize("seed", range(24))
def test_programs_in_c_agree(seed: int, tmp_path: Path) -> None:
    """With NumPy's in double: losses, gradients, ten steps, with lists wherever they are possible."""
    agrees(build(pooled_spec(seed)), tmp_path, 1 + seed % 4, 1 + seed % 3, ALWAYS)
