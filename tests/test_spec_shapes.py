"""What does not fit together in a spec: shapes, losses, data, sizes."""

from __future__ import annotations

import math

import pytest
from spec_texts import IMAGES, at, changed, only, problems
from work import calls

from chainrule.derive.layers import LAYERS
from chainrule.spec import parse_spec
from chainrule.spec.stack import Size


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
    size = Size(sum(math.prod(parameter.shape) for parameter in forward.parameters))
    assert size.parameters == 10**18 + 10**9
    assert size.bytes == 4 * size.parameters
    assert str(size).startswith("1,000,000,001,000,000,000 parameters, 3.469 EiB")


def test_fault_12_many_layers_add_up() -> None:
    wide = '[[layers]]\ntype = "dense"\nunits = 20000\n'
    text = changed("[[layers]]", wide * 7 + "[[layers]]")
    assert only(text, "E402").line == 8 + 3 * 6


def test_fault_12_too_large_an_input() -> None:
    assert "E402" in {p.code for p in problems(changed("[4]", "[1000000, 1000000]"))}
