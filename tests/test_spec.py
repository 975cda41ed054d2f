"""Specs that are read: what each field becomes, the examples, the starter."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from spec_texts import EXAMPLES, GOOD, IMAGES, changed, only, valid
from work import calls

from chainrule.derive.library import ACTIVATIONS, Formula, Loss
from chainrule.derive.model import AugmentationSpec, InlineData, LineColumn
from chainrule.spec import load_spec, parse_initializer, parse_spec, starter
from chainrule.spec.starters import STARTS


def test_a_good_spec() -> None:
    spec = parse_spec(GOOD, "some/folder/tiny.toml")
    assert (spec.name, spec.description, spec.input_shape) == ("tiny", "a small one", (4,))
    assert [layer.type for layer in spec.layers] == ["dense", "sigmoid", "dense", "softmax"]
    assert spec.layers[0].options["units"] == 3
    assert spec.layers[0].options["bias"] is True
    assert spec.layers[0].place == LineColumn(8, 1)
    assert spec.layers[1].place == LineColumn(11, 1)
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
    assert spec.losses == {"huberish": Loss("sqrt(1 + (y - t)**2) - 1", {})}
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


def test_augmentation_and_standardizing() -> None:
    spec = parse_spec(IMAGES, "tiny.toml")
    assert spec.augmentation == AugmentationSpec(flip=True, shift=3, rotation=10, zoom=0.1, cutout=0.5)
    assert parse_spec(GOOD, "tiny.toml").augmentation == AugmentationSpec()
    standardized = parse_spec(changed("epochs = 3", 'standardize = "zscore"'), "tiny.toml")
    assert standardized.training.standardize == "zscore"


@pytest.mark.parametrize(
    "text", ['"""', "*/", "\\", "a\nb", "<script>", "\\write18{id}", "%s {x} {{y}}", "é 漢 𝜎"]
)
def test_fault_10_descriptions_may_be_any_text(text: str) -> None:
    spec = parse_spec(changed('"a small one"', json.dumps(text, ensure_ascii=False)), "tiny.toml")
    assert spec.description == text


def test_depth_is_linear() -> None:
    layer = '[[layers]]\ntype = "dense"\nunits = 64\nactivation = "relu"\n'
    text = changed("[[layers]]", layer * 200 + "[[layers]]")
    parse_spec(text, "tiny.toml")
    assert len(parse_spec(text, "tiny.toml").layers) == 404
    many = changed("[[layers]]", layer * 800 + "[[layers]]")
    parse_spec(many, "tiny.toml")
    few, more = (calls(lambda text=text: parse_spec(text, "tiny.toml")) for text in (text, many))
    assert more < 4.5 * few


@pytest.mark.parametrize("like", STARTS)
def test_a_starter_loads_with_what_is_switched_off_too(like: str) -> None:
    text = starter("first_try", like)
    assert parse_spec(text, "first_try.toml").name == "first_try"
    assert valid(text)
    assert all(len(line) <= 110 for line in text.splitlines())
    switched_on = re.sub(r"^# (\[[a-z.]+\]$|[a-z]+ = )", r"\1", text, flags=re.MULTILINE)
    assert valid(switched_on)
    whole = parse_spec(switched_on, "first_try.toml")
    assert "sharp" in whole.activations
    assert whole.augmentation.rotation == (0 if like == "xor" else 10)


@pytest.mark.parametrize("name", ["", "1x", "class", "a b", "../x", 'x"\n[evil]'])
def test_the_starter_refuses_bad_names(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        starter(name)
