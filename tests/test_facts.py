"""Layers, activations and losses are asked for facts, never for their names, and the facts are true.

What counts: a name as a text in a comparison, in a ``match``, as a key of a table or in a tuple of names.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from import_graph import OURS, ROOT, sources
from sympy import Rational, Symbol

from chainrule.derive.layers import LAYERS
from chainrule.derive.library import ACTIVATIONS, LOSSES, ONE_HOT, PROBABILITIES, SHARES, VALUES, Loss
from chainrule.derive.network import formula_expression
from chainrule.formula.operations import FUNCTIONS
from chainrule.runtime import losses

NAMES = frozenset({*LAYERS, *ACTIVATIONS, *LOSSES})
WORDS = {"step"}  # that stand for other things too
HOMES = ("derive/layers/", "derive/library.py", "formula/", "runtime/losses.py")  # where names are at home
LECTURES = "lectures/"  # whose topics have names of their own, which may be in tables


def named(source: str, tables: bool = True) -> Iterator[tuple[int, str]]:
    """Line and name of each that a program asks for; ``tables``: in tables and lists too."""
    functions = frozenset(FUNCTIONS)

    def names(node: ast.expr | None, allowed: frozenset[str] = frozenset()) -> Iterator[tuple[int, str]]:
        match node:
            case ast.Constant(value=str(text)) if text in NAMES - WORDS - allowed:
                yield node.lineno, text
            case ast.Tuple(elts=several) | ast.List(elts=several) | ast.Set(elts=several):
                for each in several:
                    yield from names(each, allowed)

    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Compare(left=left, comparators=others):
                for side in (left, *others):
                    yield from names(side)
            case ast.MatchValue(value=value):
                yield from names(value)
            case ast.Dict(keys=keys) if tables:
                for key in keys:
                    yield from names(key, functions)
            case ast.Assign(value=value) | ast.AnnAssign(value=value) if tables:
                found = list(names(value, functions)) if isinstance(value, ast.Tuple | ast.Set) else []
                yield from found if len(found) == len(getattr(value, "elts", ())) else ()


def test_no_layer_or_loss_is_asked_for_by_name() -> None:
    found = []
    for source in sources(*OURS):
        path = str(source.path.relative_to(ROOT))
        if not path.startswith(HOMES):
            text = source.path.read_text(encoding="utf-8")
            found += [f"{path}:{line}: {name}" for line, name in named(text, not path.startswith(LECTURES))]
    assert found == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ('if loss.type == "cross_entropy": pass', "cross_entropy"),
        ('x = "softmax" != layer.type', "softmax"),
        ('found = [x for x in layers if x.type not in ("flatten", y)]', "flatten"),
        ("ok = kind in {'dropout'}", "dropout"),
        ("match layer.type:\n    case 'max_pool2d' | 'conv2d':\n        pass", "max_pool2d"),
        ('WIDTHS = {"dense": 3}', "dense"),
        ('BOUNDED: Final = ("elu", "softmax", "swish")', "elu"),
        ('LOSSES = ("mse", "mae")', "mse"),
        ('if name == "relu": pass', "relu"),
    ],
)
def test_a_planted_name_is_found(source: str, name: str) -> None:
    assert name in [found for _, found in named(source)]


@pytest.mark.parametrize(
    "source",
    [
        'layer = LAYERS["dropout"].forward(shape, {})',
        'raise ValueError("softmax")',
        'TEXTS = {"tanh": "np.tanh", "sigmoid": "sigmoid"}',
        'if "step" in buffers: pass',
        'PARTS = ("dense", "units")',
    ],
)
def test_a_name_that_is_looked_up_or_said_is_none(source: str) -> None:
    assert list(named(source)) == []


# ---- The facts ------------------------------------------------------------------------------------------


def test_what_a_table_of_the_runtime_says_of_losses_is_what_their_formulas_say() -> None:
    assert {name: losses.targets_of(name) for name in LOSSES} == {n: x.targets for n, x in LOSSES.items()}
    assert losses.TARGETS.keys() <= LOSSES.keys() and losses.targets_of("own") == Loss("y").targets
    assert (losses.VALUES, losses.SHARES, losses.ONE_HOT) == (VALUES, SHARES, ONE_HOT)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_gives_shares_where_its_values_are_within_0_and_1(name: str) -> None:
    x = Symbol("x", real=True)
    value = formula_expression(ACTIVATIONS[name], {"x": x}, {})
    values = [float(value.subs(x, Rational(at, 7))) for at in range(-200, 201, 20)]
    assert (min(values) >= 0 and max(values) <= 1) == (ACTIVATIONS[name].gives == SHARES)


def test_layers_give_and_move_what_they_say() -> None:
    assert {name for name, kind in LAYERS.items() if kind.gives == PROBABILITIES} == {"softmax"}
    assert {name for name, kind in LAYERS.items() if kind.moves_only} == {"flatten"}
