"""What a spec says in the words of other frameworks and tables, and how it is told."""

from __future__ import annotations

import pytest
import sympy
from cases.own_formulas import network, refused

from chainrule.formula import parse_formula
from chainrule.spec import field_names, parse_spec
from chainrule.spec.positions import scan


def test_s1_an_inline_table_over_several_lines():
    data = "[training]\ndata = {\n inputs = [[0, 0, 0]], # one\n targets = [[1, 1]]\n}\n"
    (problem,) = refused(network("tanh(x)") + data)
    line = (network("tanh(x)") + data).splitlines().index("data = {") + 1
    assert (problem.code, problem.line, problem.column) == ("E004", line, 8)
    assert "an inline table stands on one line" in problem.message and "[in brackets]" in problem.hint
    rows = "[training]\ndata = { inputs = [[0, 0,\n 0]], targets = [[1, 1]] }\n"  # a list may go on
    assert parse_spec(network("tanh(x)") + rows, "s.toml").training.data is not None


def test_s1_places_behind_such_a_table_are_right():
    text = "a = {\n b = 1,\n c = { d = [\n2 ] } # e\n}\nf = 2\n"
    positions = scan(text)
    assert positions.stop is None and len(positions.broken_tables) == 1
    assert positions.values["a", "c", "d", 0] == text.index("2") and positions.keys["f",] == text.index("f")


@pytest.mark.parametrize(
    ("table", "name", "said"),
    [
        ("layer", "lstm", "no recurrent layers yet"),
        ("layer", "MultiHeadAttention", "no attention yet"),
        ("layer", "embedding", "no layers over integer inputs yet"),
        ("layer", "concat", "no layers with two inputs yet"),
        ("layer", "Conv2DTranspose", "no transposed convolutions"),
        ("layer", "conv3d", "no layers over volumes yet"),
        ("layer", "group_norm", "yet"),
        ("layer", "Linear", "write dense"),
        ("layer", "BatchNormalization", "write batch_norm"),
        ("layer", "maxpooling2d", "write max_pool2d"),
        ("layer", "dens", "did you mean dense?"),
        ("layer", "mish", '[activations.mish] with formula = "x * tanh(softplus(x))"'),
        ("layer", "wobble", "[activations.wobble]"),
        ("activation", "SiLU", "write swish"),
        ("activation", "leakyReLU", "write leaky_relu"),
        ("activation", "softmaxx", "did you mean softmax?"),
        ("loss", "huber", "[losses.huber] with formula"),
        ("loss", "CrossEntropyLoss", "write cross_entropy"),
        ("loss", "ctc", "yet"),
        ("loss", "mish", "or define it in a table [losses.mish]"),
        ("optimizer", "AdamW", "write adam with weight_decay"),
        ("optimizer", "lion", "no further optimizers yet"),
        ("optimizer", "adm", "did you mean adam?"),
    ],
)
def test_s3_known_names_of_the_field(table, name, said):
    text = network("tanh(x)")
    places = {"layer": 'type = "dense"', "activation": 'activation = "own"', "loss": 'type = "mse"'}
    if table == "optimizer":
        text += f'[optimizer]\ntype = "{name}"\n'
    else:
        key = places[table].partition(" ")[0]
        text = text.replace(places[table], f'{key} = "{name}"', 1)
    problem = next(p for p in refused(text) if p.code == "E105")
    assert said in problem.hint, problem


@pytest.mark.parametrize("name", sorted(field_names.FORMULAS))
def test_s3_suggested_formulas_are_read(name):
    formula = field_names.FORMULAS[name]
    variables = dict(zip(("x", "y", "t", "alpha"), sympy.symbols("x y t alpha", positive=True), strict=True))
    assert parse_formula(formula, variables).free_symbols


def test_m13_a_schedule_that_is_a_table_is_refused():
    problems = refused(network("tanh(x)") + "[optimizer]\nschedule = { a = 1 }\n")
    assert any(problem.code == "E103" for problem in problems)
