"""Spec files: what is read, where problems are, and the faults that are refused."""

from __future__ import annotations

import builtins
import hashlib
import json
import keyword
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from work import calls

from chainrule.derive.layers import LAYERS
from chainrule.derive.library import (
    ACTIVATIONS,
    CLIPPING,
    LOSSES,
    OPTIMIZERS,
    PRACTICE,
    SCHEDULES,
    WARMUP,
    Formula,
)
from chainrule.spec import (
    AugmentationSpec,
    InlineData,
    Place,
    Problem,
    SpecError,
    estimate,
    field_documentation,
    json_schema,
    load_spec,
    parse_initializer,
    parse_spec,
    starter,
)
from chainrule.spec.positions import scan, string_offset

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.toml"))

GOOD = """\
spec_version = 1
name = "tiny"
description = "a small one"

[input]
shape = [4]

[[layers]]
type = "dense"
units = 3
activation = "sigmoid"

[[layers]]
type = "dense"
units = 2
activation = "softmax"

[loss]
type = "cross_entropy"

[optimizer]
type = "adam"
learning_rate = 1e-3

[training]
batch_size = 8
epochs = 3
"""


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "tiny.toml")
    found = caught.value.problems
    assert found
    for problem in found:
        assert problem.file == "tiny.toml"
        assert re.fullmatch(r"E\d{3}", problem.code)
        assert str(problem).startswith(f"tiny.toml:{problem.line}:{problem.column}: {problem.code} ")
    assert str(caught.value) == "\n".join(map(str, found))
    return found


def only(text: str, code: str) -> Problem:
    found = problems(text)
    assert [p.code for p in found] == [code], "\n".join(map(str, found))
    return found[0]


def changed(old: str, new: str, text: str = GOOD) -> str:
    assert text.count(old) >= 1
    return text.replace(old, new, 1)


def at(problem: Problem, text: str) -> str:
    """Return the text from the place of a problem to the end of its line."""
    return text.splitlines()[problem.line - 1][problem.column - 1 :]


# ---- what is read ----------------------------------------------------------------------------


def test_a_good_spec() -> None:
    spec = parse_spec(GOOD, "some/folder/tiny.toml")
    assert (spec.name, spec.description, spec.input_shape) == ("tiny", "a small one", (4,))
    assert [layer.type for layer in spec.layers] == ["dense", "sigmoid", "dense", "softmax"]
    assert spec.layers[0].options["units"] == 3
    assert spec.layers[0].options["bias"] is True
    assert spec.layers[0].place == Place(8, 1)
    assert spec.layers[1].place == Place(11, 1)
    assert (spec.loss.type, spec.loss.reduction, spec.loss.l2) == ("cross_entropy", "mean", 0.0)
    assert spec.optimizer.options == {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    assert (spec.training.batch_size, spec.training.epochs, spec.training.seed) == (8, 3, 0)
    assert spec.training.data is None
    assert spec.filename == "tiny.toml"
    assert spec.source == GOOD
    assert spec.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()


def test_what_stands_around_an_optimizer_is_there_only_where_it_is_given() -> None:
    assert parse_spec(GOOD, "tiny.toml").optimizer.schedule == "constant"
    given = 'schedule = "step"\ndecay_every = 40\nwarmup = 10\nclip_norm = 2'
    optimizer = parse_spec(changed("learning_rate = 1e-3", given), "tiny.toml").optimizer
    assert optimizer.as_dict() == {
        "type": "adam",
        "schedule": "step",
        "learning_rate": 1e-3,
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-8,
        "warmup": 10,
        "clip_norm": 2.0,
        "decay_factor": 0.1,
        "decay_every": 40,
    }
    assert valid(changed("learning_rate = 1e-3", given))
    text = changed("epochs = 3", "early_stopping = 2\nvalidation_split = 0.1")
    assert parse_spec(text, "tiny.toml").training.early_stopping == 2 and valid(text)


def test_optimizer_and_training_may_be_left_out() -> None:
    spec = parse_spec(GOOD[: GOOD.index("[optimizer]")], "tiny.toml")
    assert (spec.optimizer.type, spec.optimizer.options) == ("sgd", {"learning_rate": 0.1})
    assert (spec.training.batch_size, spec.training.epochs) == (32, 10)


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if n != "step"])
def test_every_activation_stands_short_and_alone(name: str) -> None:
    short = parse_spec(changed('"sigmoid"', f'"{name}"'), "tiny.toml")
    alone = parse_spec(changed('activation = "sigmoid"', f'[[layers]]\ntype = "{name}"'), "tiny.toml")
    assert [(s.type, s.options) for s in short.layers] == [(s.type, s.options) for s in alone.layers]
    assert short.layers[1].options == dict(ACTIVATIONS[name].constants)


def test_an_activation_with_constants() -> None:
    text = changed('activation = "sigmoid"', '[[layers]]\ntype = "leaky_relu"\nslope = 1')
    options = parse_spec(text, "tiny.toml").layers[1].options
    assert options == {"slope": 1.0}
    assert isinstance(options["slope"], float)


def test_formulas_of_ones_own() -> None:
    text = changed('"sigmoid"', '"sharp"') + (
        '[activations.sharp]\nformula = "x * sigmoid(beta * x)"\nbeta = 1.5\n'
        '[losses.huberish]\nformula = "sqrt(1 + (y - t)**2) - 1"\n'
    )
    spec = parse_spec(changed('"cross_entropy"', '"huberish"', text), "tiny.toml")
    assert spec.activations == {"sharp": Formula("x * sigmoid(beta * x)", {"beta": 1.5})}
    assert spec.losses == {"huberish": Formula("sqrt(1 + (y - t)**2) - 1", {})}
    assert spec.layers[1].options == {"beta": 1.5}
    assert spec.loss.type == "huberish"


def test_inline_data() -> None:
    text = changed("batch_size = 8", "data = { inputs = [[1, 2, 3, 4.5]], targets = [[0, 1]] }")
    assert parse_spec(text, "tiny.toml").training.data == InlineData(((1.0, 2.0, 3.0, 4.5),), ((0.0, 1.0),))


@pytest.mark.parametrize("data", ["folder:some/images", "npz:data/x.npz"])
def test_paths_to_data(data: str) -> None:
    assert parse_spec(changed("epochs = 3", f'data = "{data}"'), "tiny.toml").training.data == data


@pytest.mark.parametrize(
    ("text", "kind", "arguments"),
    [
        ("glorot_uniform", "glorot_uniform", ()),
        ("zeros", "zeros", ()),
        ("uniform(0, 1)", "uniform", (0.0, 1.0)),
        ("uniform(-1e-1,.5)", "uniform", (-0.1, 0.5)),
        ("normal( 0 , 0.1 )", "normal", (0.0, 0.1)),
    ],
)
def test_initializers(text: str, kind: str, arguments: tuple[float, ...]) -> None:
    initializer = parse_initializer(text)
    assert (initializer.kind, initializer.arguments) == (kind, arguments)


@pytest.mark.parametrize(
    "text",
    ["", "glorot", "uniform", "uniform(0)", "uniform(1, 0)", "uniform(0, 1, 2)", "normal(0, 0)", "zeros()",
     "normal(0, -1)", "uniform(nan, 1)", "uniform(0, 1e999)", "uniform(a, b)", "eval(1)", "uniform((0), 1)"],
)  # fmt: skip
def test_initializers_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_initializer(text)
    problem = only(changed("units = 3", f"units = 3\ninit = {json.dumps(text)}"), "E105")
    assert problem.line == 11


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_the_examples_load(path: Path) -> None:
    assert load_spec(path).filename == path.name


def test_the_examples_are_all_there() -> None:
    names = {path.stem for path in EXAMPLES}
    assert names >= {"mnist_mlp", "mnist_wide", "or", "and", "xor_no_bias", "xor_backprop"}


def test_the_starting_weights_of_the_examples() -> None:
    folder = EXAMPLES[0].parent
    xor = load_spec(folder / "xor_backprop.toml")
    assert xor.layers[0].options["weights"] == ((-0.5, -0.5), (0.5, 0.5), (0.5, -0.5))
    assert xor.layers[2].options["weights"] == ((-0.5, 0.5, -0.5),)
    assert xor.layers[2].options["bias"] is False
    gate = load_spec(folder / "or.toml")
    assert (gate.layers[0].options["weights"], gate.layers[0].options["biases"]) == (
        ((-0.16, 0.44),),
        (-0.99,),
    )


# ---- fault 7: keys and values ----------------------------------------------------------------


BAD = """\
spec_version = 1
nam = "x"
name = "tiny"

[input]
shape = [4, 0]

[[layers]]
type = "dense"
units = -3
bais = true

[[layers]]
type = "dens"

[[layers]]
type = "dense"
units = true
units = 4

[loss]
type = "mse"
l2 = nan
reduction = "avg"

[optimizer]
type = "adam"
beta1 = 1

[training]
batch_size = 0
epochs = 10.0
validation_split = "0.1"
"""


def test_fault_7_all_problems_in_one_run() -> None:
    found = problems(BAD)
    assert [(p.line, p.column, p.code) for p in found] == [
        (2, 1, "E101"),
        (6, 13, "E104"),
        (10, 9, "E104"),
        (11, 1, "E101"),
        (14, 8, "E105"),
        (18, 9, "E103"),
        (19, 1, "E005"),
        (23, 6, "E106"),
        (24, 13, "E105"),
        (28, 9, "E104"),
        (31, 14, "E104"),
        (32, 10, "E103"),
        (33, 20, "E103"),
    ]


def test_fault_7_the_form_of_a_message() -> None:
    text = str(problems(BAD)[2])
    assert text.splitlines() == [
        "tiny.toml:10:9: E104 layers[1].units = -3; expected an integer >= 1",
        "    units = -3",
        "            ^",
    ]
    assert "did you mean bias?" in str(problems(BAD)[3])
    assert "did you mean name?" in str(problems(BAD)[0])
    assert "write 10" in str(problems(BAD)[11])


@pytest.mark.parametrize(
    ("old", "new", "code", "place"),
    [
        ("units = 3", "units = 3.5", "E103", "3.5"),
        ("units = 3", "units = true", "E103", "true"),
        ("units = 3", 'units = "3"', "E103", '"3"'),
        ("units = 3", "units = [3]", "E103", "[3]"),
        ("units = 3", "units = { a = 1 }", "E103", "{ a"),
        ("units = 3", "units = 1979-05-27", "E103", "1979"),
        ("units = 3", "units = 0", "E104", "0"),
        ("units = 3", "unit = 3", "E101", "unit"),
        ("units = 3", "units = 3\nbias = 1", "E103", "1"),
        ("units = 3", "units = 3\nweights = [[1, 2], [3]]", "E501", "[3]"),
        ("units = 3", "units = 3\nweights = [1, 2]", "E103", "1"),
        ("units = 3", "units = 3\nbiases = [1, inf]", "E106", "inf"),
        ("units = 3", "units = 3\nbiases = []", "E104", "[]"),
        ("shape = [4]", "shape = []", "E104", "[]"),
        ("shape = [4]", "shape = 4", "E103", "4"),
        ("shape = [4]", "shape = [1, 1, 1, 1, 1, 2, 2]", "E104", "[1"),
        ('"adam"', '"adamw"', "E105", '"adamw"'),
        ("learning_rate = 1e-3", "learning_rate = 0", "E104", "0"),
        ("learning_rate = 1e-3", "learning_rate = inf", "E106", "inf"),
        ("learning_rate = 1e-3", "learning_rate = true", "E103", "true"),
        ("learning_rate = 1e-3", 'schedule = "linear"', "E105", '"linear"'),
        ("learning_rate = 1e-3", 'schedule = "step"', "E102", "[optimizer]"),
        ("learning_rate = 1e-3", "decay_every = 5", "E101", "decay_every"),
        ("learning_rate = 1e-3", 'schedule = "cosine"\ndecay_factor = 0.5', "E101", "decay_factor"),
        ("learning_rate = 1e-3", "warmup = 0", "E104", "0"),
        ("learning_rate = 1e-3", "warmup = 1.5", "E103", "1.5"),
        ("learning_rate = 1e-3", "clip_norm = 0", "E104", "0"),
        ("learning_rate = 1e-3", "weight_decay = -1", "E104", "-1"),
        ("epochs = 3", "early_stopping = -1", "E104", "-1"),
        ("epochs = 3", "early_stopping = 2\ndata = {inputs = [[0, 1, 2, 3]], targets = [0]}", "E507", "2"),
        ("batch_size = 8", "batch_size = 1048577", "E104", "1048577"),
        ("epochs = 3", "seed = -1", "E104", "-1"),
        ("epochs = 3", "seed = 99999999999999999999", "E104", "9999"),
        ("epochs = 3", "validation_split = 1.0", "E104", "1.0"),
        ("epochs = 3", 'data = "minst"', "E504", '"minst"'),
        ("epochs = 3", 'data = "folder:"', "E504", '"folder'),
        ("epochs = 3", "data = { inputs = [[1,2,3,4]] }", "E102", "{ inputs"),
        ("epochs = 3", "data = { inputs = [[1,2,3,4]], target = [[1]] }", "E101", "target"),
        ('"a small one"', "3", "E103", "3"),
        ('type = "cross_entropy"', 'type = "crossentropy"', "E105", '"cross'),
        ('type = "cross_entropy"', "type = 1", "E103", "1"),
        ('activation = "sigmoid"', 'activation = "sigmod"', "E105", '"sigmod"'),
        ('activation = "sigmoid"', 'activation = "dense"', "E105", '"dense"'),
        ('activation = "sigmoid"', "activation = 1", "E103", "1"),
        ('activation = "sigmoid"', 'activation = "leaky_relu"\nslope = 1', "E101", "slope"),
        ("spec_version = 1", "spec_version = 2", "E108", "2"),
        ("spec_version = 1", "spec_version = 0", "E108", "0"),
        ("spec_version = 1", 'spec_version = "1"', "E103", '"1"'),
        ("[training]", "[traning]", "E101", "[traning]"),
    ],
)
def test_fault_7_keys_and_values(old: str, new: str, code: str, place: str) -> None:
    text = changed(old, new)
    assert at(only(text, code), text).startswith(place)


@pytest.mark.parametrize(
    ("old", "new", "missing"),
    [
        ("spec_version = 1\n", "", "spec_version"),
        ('name = "tiny"\n', "", "name"),
        ("[input]\nshape = [4]\n", "", "[input]"),
        ("shape = [4]\n", "", "shape"),
        ("units = 3\n", "", "units"),
        ('[[layers]]\ntype = "dense"\n', "[[layers]]\n", "type"),
        ('[loss]\ntype = "cross_entropy"\n', "", "[loss]"),
    ],
)
def test_fault_7_missing_keys(old: str, new: str, missing: str) -> None:
    assert f"no {missing}" in only(changed(old, new), "E102").message


def test_fault_7_no_layers() -> None:
    start, end = GOOD.index("[[layers]]"), GOOD.index("[loss]")
    assert "[[layers]]" in only(GOOD[:start] + GOOD[end:], "E102").message


@pytest.mark.parametrize(
    ("old", "new"),
    [("[input]", "input = 3\n[inputs]"), ("[loss]", "[[loss]]"), ("[training]", "[[training]]"),
     ("[optimizer]", "[[optimizer]]"), ("[training]", "[activations]\nsharp = 3\n[training]")],
)  # fmt: skip
def test_fault_7_tables_of_the_wrong_kind(old: str, new: str) -> None:
    assert "E103" in {p.code for p in problems(changed(old, new))}


def test_fault_7_layers_that_are_no_tables() -> None:
    start, end = GOOD.index("[[layers]]"), GOOD.index("[loss]")
    rest = GOOD[:start] + GOOD[end:]
    assert only("layers = 3\n" + rest, "E103")
    assert only("layers = [3]\n" + rest, "E103")
    assert only(rest + "[layers]\ntype = 'dense'\n", "E103")


def test_fault_7_duplicates_are_all_found() -> None:
    text = changed("units = 3", "units = 3\nunits = 4") + "epochs = 4\nbatch = 1\n[loss]\ntype = 'mse'\n"
    found = problems(text)
    assert [(p.code, at(p, text)) for p in found] == [
        ("E005", "units = 4"),
        ("E005", "epochs = 4"),
        ("E101", "batch = 1"),
        ("E005", "[loss]"),
    ]
    assert "line 10" in found[0].message


def test_fault_7_duplicates_in_an_inline_table() -> None:
    text = changed("epochs = 3", "data = { inputs = [[1]], inputs = [[1]] }")
    assert at(only(text, "E005"), text).startswith("inputs = [[1]] }")


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('"sigmoid"', "sigmoid", "sigmoid"),
        ("units = 3", "units = ", "units"),
        ("units = 3", "units 3", "3"),
        ("units = 3", "units = 03", "3"),
        ("epochs = 3", "bias = True", "True"),
        ("[input]", "[input", "[input"),
        ('"a small one"', '"a small one', '"a small one'),
        ('"a small one"', '"\\q"', ""),
        ('"a small one"', '"""', ""),
        ("shape = [4]", "shape = [4", ""),
        ("epochs = 3", "epochs = 3 4", "4"),
        ("epochs = 3", "= 3", "= 3"),
        ("epochs = 3", "epochs = " + "9" * 5_000, "9999"),
        ("epochs = 3", "epochs = 2020-13-45", "2020"),
        ("epochs = 3", "epochs = 3\x00", ""),
        ("epochs = 3", "epochs = 3 # \x1b[31m", ""),
    ],
)
def test_fault_7_syntax_errors_have_a_place(old: str, new: str, place: str) -> None:
    text = changed(old, new)
    found = [p for p in problems(text) if p.code == "E004"]
    assert len(found) == 1
    assert found[0].line == GOOD[: GOOD.index(old)].count("\n") + 1
    assert place in text.splitlines()[found[0].line - 1]
    assert "\x1b" not in str(found[0])


def test_fault_7_reading_goes_on_behind_a_syntax_error() -> None:
    text = changed("learning_rate = 1e-3", "learning_rate = 0", changed('"sigmoid"', "sigmoid"))
    found = problems(changed("batch_size = 8", "batch_size = = 8", text))
    assert [p.code for p in found] == ["E004", "E104", "E004"]
    assert 'text needs quotes: "sigmoid"' in str(found[0])


def test_fault_7_an_error_within_rows_brings_no_others() -> None:
    rows = "data = { inputs = [[1,2,3,4],\n  [5,6,x,8],\n  [1,2,3,4]], targets = [[0,1]] }"
    assert only(changed("batch_size = 8", rows), "E004").line == 27


def test_fault_7_the_list_of_problems_ends() -> None:
    text = GOOD + "".join(f"unknown_{i} = 1\n" for i in range(20_000))
    found = problems(text)
    assert len(found) == 101
    assert found[-1].code == "E007"
    assert calls(lambda: problems(text)) < 100 * 20_000


def test_fault_7_keys_that_contradict_a_table() -> None:
    for text in (
        "a = 1\na.b = 2\n",
        "[a]\n[a.b]\n[a]\n",
        "[[a]]\n[a]\n",
        "a = []\n[[a]]\n",
        "a = {}\n[a.b]\n",
    ):
        problems(text)


# ---- fault 8: shapes, losses and data --------------------------------------------------------


def test_fault_8_explicit_weights_of_the_wrong_shape() -> None:
    text = changed("units = 3", "units = 3\nweights = [[1, 2], [3, 4], [5, 6]]")
    problem = only(text, "E406")
    assert at(problem, text).startswith("weights")
    assert "layers[1] (dense) after the input, which gives (4,)" in problem.message
    assert problem.hint


def test_fault_8_both_layers_are_named() -> None:
    text = changed("units = 2", "units = 2\nbiases = [1, 2, 3]")
    problem = only(text, "E406")
    assert "layers[2] (dense) after layers[1] (sigmoid), which gives (3,)" in problem.message
    assert problem.hint


def test_fault_8_any_shape_error_of_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.derive.layers import LayerType, ShapeError

    def forward(shape: tuple[int, ...], options: object) -> object:
        raise ShapeError("height 28 with kernel 5 gives 8.67 rows", "use stride 1")

    monkeypatch.setitem(LAYERS, "picky", LayerType("picky", "refuses all", forward))  # type: ignore[arg-type]
    problem = only(changed('activation = "sigmoid"', '[[layers]]\ntype = "picky"'), "E401")
    assert "layers[2] (picky) after layers[1] (dense), which gives (3,): height 28" in problem.message
    assert problem.hint == "use stride 1"
    assert problem.line == 11


def test_fault_8_images_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.derive.layers import LayerType

    monkeypatch.setitem(LAYERS, "planar", LayerType("planar", "", LAYERS["flatten"].forward, input_rank=3))
    problem = only(changed('activation = "sigmoid"', '[[layers]]\ntype = "planar"'), "E401")
    assert "takes samples of 3 axes, not 1" in problem.message


def test_cross_entropy_needs_softmax() -> None:
    text = changed('"softmax"', '"sigmoid"')
    problem = only(text, "E403")
    assert "after sigmoid" in problem.message
    assert "softmax" in problem.hint
    assert at(problem, text) == '"cross_entropy"'
    parse_spec(changed('"cross_entropy"', '"mse"'), "tiny.toml")  # after softmax: legal


@pytest.mark.parametrize(
    "name", ["identity", "tanh", "relu", "leaky_relu", "elu", "softplus", "gelu", "swish"]
)
def test_binary_cross_entropy_needs_values_from_0_to_1(name: str) -> None:
    text = changed('"cross_entropy"', '"binary_cross_entropy"', changed('"softmax"', f'"{name}"'))
    assert "sigmoid" in only(text, "E404").hint
    parse_spec(changed(f'"{name}"', '"sigmoid"', text), "tiny.toml")
    assert only(changed(f'activation = "{name}"\n', "", text), "E404")


def test_softmax_over_one_unit_is_refused() -> None:
    text = changed("units = 2", "units = 1")
    problem = only(text, "E405")
    assert at(problem, text) == 'activation = "softmax"'
    assert "binary_cross_entropy" in problem.hint


@pytest.mark.parametrize(
    ("extra", "place"),
    [
        ('weights = [[1,2,3,4],[1,2,3,4],[1,2,3,4]]\ninit = "zeros"', "init"),
        ('biases = [1,2,3]\nbias_init = "ones"', "bias_init"),
        ("biases = [1,2,3]\nbias = false", "biases"),
    ],
)
def test_explicit_values_contradict_an_initializer(extra: str, place: str) -> None:
    text = changed("units = 3", "units = 3\n" + extra)
    assert at(only(text, "E407"), text).startswith(place)


ROWS = "data = { inputs = [[1,2,3,4],[5,6,7,8]], targets = [[1,0],[0,1]] }"


@pytest.mark.parametrize(
    ("old", "new", "code", "place"),
    [
        ("[5,6,7,8]", "[5,6,7]", "E501", "[5,6,7]"),
        ("[[1,2,3,4],[5,6,7,8]]", "[[1,2,3],[5,6,7]]", "E503", "[[1,2,3]"),
        ("[0,1]]", "[0,1],[1,0]]", "E502", "[[1,0]"),
        ("[[1,0],[0,1]]", "[[1],[0]]", "E503", "[[1]"),
        ("[0,1]]", "[0.5,0.6]]", "E506", "[0.5"),
        ("[5,6,7,8]", "[5,6,7,nan]", "E106", "nan"),
        ("[5,6,7,8]", "[5,6,7,true]", "E103", "true"),
        ("[5,6,7,8]", "8", "E103", "8"),
        ("[[1,2,3,4],[5,6,7,8]]", "[]", "E104", "[]"),
        ("[[1,2,3,4],[5,6,7,8]]", "[[], []]", "E104", "[]"),
    ],
)
def test_inline_data_that_does_not_fit(old: str, new: str, code: str, place: str) -> None:
    good = changed("batch_size = 8", ROWS)
    parse_spec(good, "tiny.toml")
    text = changed(ROWS, changed(old, new, ROWS), good)
    problem = next(p for p in problems(text) if p.code == code)
    assert at(problem, text).startswith(place)


def test_known_data_sets_fit_input_and_output() -> None:
    text = changed("epochs = 3", 'data = "mnist"')
    assert [p.code for p in problems(text)] == ["E505", "E505"]
    fitting = changed("units = 2", "units = 10", changed("[4]", "[784]", text))
    parse_spec(fitting, "tiny.toml")


IMAGES = f"""\
{changed("shape = [4]", "shape = [8, 6, 3]")}
[augmentation]
flip = true
shift = 3
rotation = 10
zoom = 0.1
cutout = 0.5
"""


def test_augmentation_and_standardizing() -> None:
    spec = parse_spec(IMAGES, "tiny.toml")
    assert spec.augmentation == AugmentationSpec(flip=True, shift=3, rotation=10, zoom=0.1, cutout=0.5)
    assert parse_spec(GOOD, "tiny.toml").augmentation == AugmentationSpec()
    standardized = parse_spec(changed("epochs = 3", 'standardize = "zscore"'), "tiny.toml")
    assert standardized.training.standardize == "zscore"


@pytest.mark.parametrize(
    ("old", "new", "code", "place"),
    [
        ("flip = true", "flip = 1", "E103", "1"),
        ("flip = true", "flop = true", "E101", "flop"),
        ("shift = 3", "shift = 1.5", "E104", "1.5"),
        ("shift = 3", "shift = -1", "E104", "-1"),
        ("shift = 3", "shift = nan", "E104", "nan"),
        ("shift = 3", "shift = true", "E103", "true"),
        ("shift = 3", "shift = 6", "E508", "6"),
        ("rotation = 10", "rotation = 181", "E104", "181"),
        ("zoom = 0.1", "zoom = 1.0", "E104", "1.0"),
        ("cutout = 0.5", "cutout = 7", "E508", "7"),
        ("[8, 6, 3]", "[144]", "E508", "[augmentation]"),
        ("epochs = 3", 'standardize = "z-score"', "E105", '"z-score"'),
    ],
)
def test_augmentation_and_standardizing_that_cannot_be(old: str, new: str, code: str, place: str) -> None:
    text = changed(old, new, IMAGES)
    assert at(only(text, code), text).startswith(place)


# ---- fault 9: names --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["", "1a", "_a", "a-b", "a b", "é", "ｘ", "a" * 41, "x;import os", "__import__('os')", "../x", "a/b",
     "C:x",
     "a\\nb", "a\\u200bb", "{{7}}", *keyword.kwlist, "print", "list", "Exception", "int", "struct", "void",
     "template", "restrict", "register", "xor", "con", "NUL", "com1"],
)  # fmt: skip
def test_fault_9_names_that_are_refused(name: str) -> None:
    text = changed('"tiny"', f'"{name}"')
    problem = problems(text)[0]
    assert problem.code in ("E201", "E202")
    assert (problem.line, problem.column) == (2, 8)


def test_fault_9_builtins_and_keywords_of_a_formula_are_refused() -> None:
    for name in (*keyword.kwlist, *(b for b in dir(builtins) if b.isidentifier() and b[0].isalpha())):
        assert {p.code for p in problems(GOOD + f'[activations.{name}]\nformula = "x"\n')} <= {"E202", "E203"}


@pytest.mark.parametrize(
    "name", ["relu", "ReLU", "Softmax", "dense", "mse", "MSE", "exp", "Erf", "pi", "where", "loss", "predict"]
)
def test_fault_9_names_that_are_taken(name: str) -> None:
    text = GOOD + f'[activations.{name}]\nformula = "x"\n'
    assert at(only(text, "E203"), text) == f"[activations.{name}]"


def test_fault_9_two_names_that_become_one() -> None:
    text = GOOD + '[activations.sharp]\nformula = "x"\n[losses.Sharp]\nformula = "y - t"\n'
    assert at(only(text, "E203"), text) == "[losses.Sharp]"


@pytest.mark.parametrize(("name", "code"), [("x", "E203"), ("exp", "E203"), ("pi", "E203"), ("if", "E202"),
                                            ("X", "E203"), ("print", "E202"), ('"a b"', "E201")])  # fmt: skip
def test_fault_9_names_of_constants(name: str, code: str) -> None:
    text = GOOD + f'[activations.sharp]\nformula = "x"\n{name} = 1.0\n'
    assert at(only(text, code), text).startswith(name)


# ---- formulas in a spec ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("literal", "column"),
    [
        ('"x * betta"', '"x * '),
        ("'x * betta'", "'x * "),
        ('"x\\t * betta"', '"x\\t * '),
        ('"\\u0078 * betta"', '"\\u0078 * '),
        ('"\\U00000078 *\\nbetta"', '"\\U00000078 *\\n'),
        ('"""x * betta"""', '"""x * '),
        ("'''x * betta'''", "'''x * "),
    ],
)
def test_problems_point_into_the_formula(literal: str, column: str) -> None:
    text = GOOD + f"[activations.sharp]\nformula = {literal}\nbeta = 1\n"
    problem = only(text, "E301")
    assert at(problem, text).startswith("betta")
    assert problem.column == len(f"formula = {column}") + 1
    assert "did you mean beta?" in problem.message


@pytest.mark.parametrize(
    ("literal", "place"),
    [
        ('"""\nx * betta"""', "betta"),
        ('"""\\\n   x * \\\n\n   betta"""', "betta"),
        ("'''\nx\n* betta'''", "betta"),
    ],
)
def test_problems_point_into_formulas_of_several_lines(literal: str, place: str) -> None:
    text = GOOD + f"[activations.sharp]\nformula = {literal}\n"
    assert at(only(text, "E301"), text).startswith(place)


def test_a_constant_that_is_not_used() -> None:
    text = GOOD + '[activations.sharp]\nformula = "2 * x"\nbeta = 1\n'
    assert at(only(text, "E302"), text) == "beta = 1"


def test_formulas_and_constants_are_not_without_number() -> None:
    many = "".join(f"[activations.own{i}]\nformula = 'x'\n" for i in range(51))
    assert "at most 50" in only(GOOD + many, "E104").expected
    constants = "".join(f"c{i} = 1\n" for i in range(20_000))
    assert only(GOOD + "[activations.own]\nformula = 'x'\n" + constants, "E104")


def test_a_formula_without_its_variable() -> None:
    assert only(GOOD + '[activations.sharp]\nformula = "2"\n', "E303")
    assert only(GOOD + '[losses.half]\nformula = "t"\n', "E303")


def test_a_constant_at_which_the_formula_is_undefined() -> None:
    text = GOOD + '[activations.sharp]\nformula = "x / beta"\nbeta = 0\n'
    assert "division by zero" in only(text, "E301").message
    assert "logarithm" in only(changed("x / beta", "x * log(beta)", text), "E301").message
    parse_spec(changed("beta = 0", "beta = 1.5957691216", text), "tiny.toml")


def test_code_in_a_formula_of_a_spec() -> None:
    only(GOOD + '[activations.sharp]\nformula = \'__import__("os").system("id")\'\n', "E301")


# ---- faults 10, 12, 13 -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ['"""', "*/", "\\", "a\nb", "<script>", "\\write18{id}", "%s {x} {{y}}", "é 漢 𝜎"]
)
def test_fault_10_descriptions_may_be_any_text(text: str) -> None:
    spec = parse_spec(changed('"a small one"', json.dumps(text, ensure_ascii=False)), "tiny.toml")
    assert spec.description == text


@pytest.mark.parametrize("units", ["1_000_000_000", "9223372036854775807"])
def test_fault_12_too_large_a_layer(units: str) -> None:
    text = changed("units = 2", f"units = {units}", changed("units = 3", f"units = {units}"))
    problem = next(p for p in problems(text) if p.code == "E402")
    assert calls(lambda: problems(text)) < 10_000
    assert "in float32" in problem.message
    assert "8 GiB" in problem.expected


def test_fault_12_the_estimate() -> None:
    options = {"units": 10**9, "bias": True, "init": "zeros", "bias_init": "zeros"}
    forward = LAYERS["dense"].forward((10**9,), options)
    size = estimate(forward.parameters)
    assert size.parameters == 10**18 + 10**9
    assert size.bytes == 4 * size.parameters
    assert str(size).startswith("1,000,000,001,000,000,000 parameters, 3.469 EiB")


def test_fault_12_many_layers_add_up() -> None:
    wide = '[[layers]]\ntype = "dense"\nunits = 20000\n'
    text = changed("[[layers]]", wide * 7 + "[[layers]]")
    assert only(text, "E402").line == 8 + 3 * 6


def test_fault_12_too_large_an_input() -> None:
    assert "E402" in {p.code for p in problems(changed("[4]", "[1000000, 1000000]"))}


def test_depth_is_linear() -> None:
    layer = '[[layers]]\ntype = "dense"\nunits = 64\nactivation = "relu"\n'
    text = changed("[[layers]]", layer * 200 + "[[layers]]")
    parse_spec(text, "tiny.toml")
    assert len(parse_spec(text, "tiny.toml").layers) == 404
    many = changed("[[layers]]", layer * 800 + "[[layers]]")
    parse_spec(many, "tiny.toml")
    few, more = (calls(lambda text=text: parse_spec(text, "tiny.toml")) for text in (text, many))
    assert more < 4.5 * few


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_bytes(content)
    return path


def refused(path: Path) -> Problem:
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert len(caught.value.problems) == 1
    assert str(caught.value)
    return caught.value.problems[0]


def test_fault_13_bom_and_crlf_are_accepted(tmp_path: Path) -> None:
    plain = load_spec(write(tmp_path, GOOD.encode()))
    windows = load_spec(write(tmp_path, b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()))
    assert windows == plain


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_fault_13_wide_encodings(tmp_path: Path, encoding: str) -> None:
    problem = refused(write(tmp_path, GOOD.encode(encoding)))
    assert problem.code == "E003"
    assert "UTF-8" in problem.expected


def test_fault_13_latin_1(tmp_path: Path) -> None:
    problem = refused(write(tmp_path, changed("a small one", "größer").encode("latin-1")))
    assert (problem.code, problem.line, problem.column) == ("E003", 3, 18)
    assert "0xF6" in problem.message


def test_fault_13_half_a_surrogate_pair() -> None:
    assert only(changed("a small one", "\ud800"), "E003")


def test_fault_13_over_a_megabyte(tmp_path: Path) -> None:
    assert refused(write(tmp_path, GOOD.encode() + b"#" * 1_000_000)).code == "E002"
    assert only(GOOD + "#" * 1_000_000, "E002")
    load_spec(write(tmp_path, GOOD.encode() + b"#" * 900_000))


@pytest.mark.parametrize(
    "nested",
    ["x = " + "[" * 100_000, "x = " + "[" * 5_000 + "]" * 5_000, "x = " + "{a=" * 5_000 + "1" + "}" * 5_000,
     ".".join("a" * 5_000) + " = 1", "[" + ".".join("a" * 5_000) + "]", "x = " + "[{a=" * 5_000],
)  # fmt: skip
def test_fault_13_deep_nesting(nested: str) -> None:
    assert only(GOOD + nested + "\n", "E006").message.startswith("nested too deep")


def test_fault_13_files_that_are_none(tmp_path: Path) -> None:
    assert refused(tmp_path).code == "E001"
    assert refused(tmp_path / "nothing.toml").code == "E001"
    assert refused(Path("/dev/zero")).code == "E001"
    assert refused(write(tmp_path, b"\x00" * 100)).code == "E003"
    with pytest.raises(SpecError):
        load_spec(write(tmp_path, b""))


@given(st.binary(max_size=200))
@settings(derandomize=True, deadline=None, max_examples=200)
def test_fault_13_any_bytes_give_a_message(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("spec") / "any.toml"
    for data in (content, GOOD.encode() + content):
        path.write_bytes(data)
        try:
            load_spec(path)
        except SpecError as error:
            assert str(error)


@given(
    st.integers(0, len(GOOD) - 1), st.integers(0, 30), st.text(alphabet="[]{}=\"'\n.,# \\ab1-", max_size=6)
)
@settings(derandomize=True, deadline=None, max_examples=400)
def test_fault_13_any_edit_gives_a_message(start: int, length: int, new: str) -> None:
    try:
        parse_spec(GOOD[:start] + new + GOOD[start + length :], "tiny.toml")
    except SpecError as error:
        assert all(1 <= p.line <= GOOD.count("\n") + 8 and p.column >= 1 for p in error.problems)


# ---- positions -------------------------------------------------------------------------------


_keys = st.sampled_from(["a", "b-c", "d_1", '"q k"', "'l.k'", '"\\u0041"', "1"])
_texts = st.text(alphabet="ab é\\\"'#[]{}=,.\n\t", max_size=8)
_scalars = st.one_of(
    st.integers(-9, 99).map(str),
    st.sampled_from(["true", "1.5e3", "0xff", "1_000", "1979-05-27 07:32:00", "07:32:00", "'# no comment'"]),
    _texts.map(lambda s: json.dumps(s, ensure_ascii=False)),
    _texts.map(lambda s: '"""\n' + s.replace("\\", "\\\\").replace('"', '\\"') + '"""'),
    st.sampled_from(["''''it's'''", '"""a"" b""""', "'''\n'''", '"""\\\n   x"""']),
)
_gaps = st.sampled_from(["", " ", "\n", " # ] comment\n"])
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(st.tuples(_gaps, inner, _gaps), max_size=3).map(
            lambda items: "[" + ",".join("".join(item) for item in items) + "]"
        ),
        st.lists(st.tuples(_keys, inner), max_size=3, unique_by=lambda p: p[0]).map(
            lambda items: "{ " + ", ".join(f"{k} = {v}" for k, v in items) + " }"
        ),
    ),
    max_leaves=6,
)
_lines = st.lists(st.tuples(_keys, _values), max_size=4, unique_by=lambda p: p[0])
_headers = st.sampled_from(["[t]", "[t.u]", "[[r]]", "[[r]]", "[r.s]", "[[r.q]]", '[ "x y" . z ]', "# only"])


def _paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    children: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        children = list(value.items())
    if isinstance(value, list):
        children = list(enumerate(value))
    return [path, *(p for key, child in children for p in _paths(child, (*path, key)))]


@given(_lines, st.lists(st.tuples(_headers, _lines), max_size=5))
@settings(derandomize=True, deadline=None, max_examples=500)
def test_positions_agree_with_tomllib(
    top: list[tuple[str, str]], tables: list[tuple[str, list[tuple[str, str]]]]
) -> None:
    text = "".join(f"{k} = {v}\n" for k, v in top)
    for header, lines in tables:
        text += header + " # comment\n" + "".join(f"  {k}\t= {v} # end\n" for k, v in lines)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    positions = scan(text)
    assert positions.stop is None
    assert not positions.duplicates
    expected = set(_paths(data)) - {()}
    assert expected == set(positions.keys) | set(positions.values)
    for path, offset in positions.values.items():
        value = data
        for part in path:
            value = value[part]  # type: ignore[index]
        rest = text[offset:]
        if isinstance(value, str):
            assert rest[0] in "\"'"
            for i, character in enumerate(value):
                place = string_offset(text, offset, i)
                assert text[place] in (character, "\\")
        elif isinstance(value, list):
            assert rest[0] == "["
        elif isinstance(value, dict):
            assert rest[0] == "{"
        elif value is True:
            assert rest.startswith("true")
        else:
            assert re.match(r"[-+0-9]", rest)
    for path, offset in positions.keys.items():
        assert text[offset] in "\"'[" or text[offset].isalnum(), path


# ---- what the table of fields gives ----------------------------------------------------------


def valid(text: str) -> bool:
    return jsonschema.Draft202012Validator(json_schema()).is_valid(tomllib.loads(text))


def test_the_schema_is_a_schema() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == json.loads(json.dumps(schema))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_the_examples_are_valid_by_the_schema(path: Path) -> None:
    assert valid(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("units = 3", "unit = 3"),
        ("units = 3", "units = -3"),
        ("units = 3", "units = 3\nbais = true"),
        ("units = 3", 'units = 3\ninit = "uniform(0)"'),
        ("learning_rate", "lerning_rate"),
        ("[training]", "[traning]"),
        ("epochs = 3", 'data = "mnistt"'),
        ("epochs = 3", "validation_split = 1"),
        ('name = "tiny"', 'name = "1"'),
        ('name = "tiny"\n', ""),
        ('type = "adam"', 'type = "adan"'),
        ("spec_version = 1", "spec_version = 2"),
        ('activation = "sigmoid"', '[[layers]]\ntype = "leaky_relu"\nslop = 1'),
    ],
)
def test_the_schema_finds_typos(old: str, new: str) -> None:
    assert valid(GOOD)
    assert not valid(changed(old, new))


def test_the_schema_knows_formulas_of_ones_own() -> None:
    text = changed('activation = "sigmoid"', '[[layers]]\ntype = "sharp"\nbeta = 2')
    text += '[activations.sharp]\nformula = "beta * x"\nbeta = 1\n'
    parse_spec(text, "tiny.toml")
    assert valid(text)
    assert not valid(changed("formula", "fomula", text))


def test_the_schema_knows_augmentation() -> None:
    assert valid(IMAGES) and not valid(changed("flip", "flop", IMAGES))
    assert not valid(changed("shift = 3", "shift = 1.5", IMAGES))
    assert not valid(changed("zoom = 0.1", "zoom = 1", IMAGES))


def test_the_starter_loads() -> None:
    text = starter("first_try")
    spec = parse_spec(text, "first_try.toml")
    assert spec.name == "first_try"
    assert valid(text)
    assert all(len(line) <= 110 for line in text.splitlines())
    keys = r"^# (\[activations|formula =|beta =|\[augmentation|flip =|shift =)"
    whole = parse_spec(re.sub(keys, r"\1", text, flags=re.MULTILINE), "first_try.toml")
    assert "sharp" in whole.activations and whole.augmentation.flip


@pytest.mark.parametrize("name", ["", "1x", "class", "a b", "../x", 'x"\n[evil]'])
def test_the_starter_refuses_bad_names(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        starter(name)


def test_the_documentation_names_every_field() -> None:
    text = field_documentation()
    for layer in LAYERS.values():
        assert f'type = "{layer.name}"' in text
        assert all(f"| `{field.name}` |" in text for field in layer.fields)
    for optimizer in OPTIMIZERS.values():
        assert all(f"| `{field.name}` |" in text for field in optimizer.fields)
    for field in (*PRACTICE, *(field for plan in SCHEDULES.values() for field in plan.fields)):
        assert f"| `{field.name}` |" in text
    assert WARMUP in text and CLIPPING in text
    assert all(f"`{name}`" in text for name in (*ACTIVATIONS, *LOSSES))


@pytest.mark.parametrize(("text", "code"), [('a = "', "E004"), ("a = " + "[" * 300 + "]" * 300, "E006")])
def test_what_is_never_ended_is_not_called_deep(text: str, code: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "s.toml")
    assert [problem.code for problem in caught.value.problems] == [code]
    assert ("deep" in caught.value.problems[0].message) == (code == "E006")
