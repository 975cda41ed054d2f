"""What one field of a spec takes, and what names, sizes and whole networks must hold."""

from __future__ import annotations

import math
from typing import Any

import pytest

from chainrule.derive.fields import Field
from chainrule.derive.library import LOSSES
from chainrule.derive.model import InlineData
from chainrule.spec.initializers import Initializer, parse_initializer
from chainrule.spec.kinds import KINDS, FieldError, range_text
from chainrule.spec.load import parse_spec
from chainrule.spec.names import constant_name_problem, formula_name_problem, name_problem
from chainrule.spec.positions import scan
from chainrule.spec.problems import SpecError
from chainrule.spec.stack import Size, _label_fault, _show, _target_fault, explicit_values_fault
from chainrule.spec.tables import default_value

SHARE = Field("share", "float", "a share", minimum=0, maximum=1, exclusive=("maximum",))
ABOVE = Field("rate", "float", "a rate", minimum=0, exclusive=("minimum",))
COUNT = Field("count", "int", "a count", minimum=1, maximum=20_000)
PAIR = Field("pair", "pair", "a pair", minimum=1)
PADDING = Field("padding", "padding", "padding", minimum=0, choices=("same", "valid"))
CHOICE = Field("kind", "choice", "a kind", choices=("mean", "sum"))


def plain(kind: str) -> Field:
    return Field("key", kind, "a key")


def read(field: Field, value: Any) -> Any:
    return KINDS[field.kind].read(field, value)


@pytest.mark.parametrize(
    ("field", "given", "value"),
    [
        (SHARE, 0, 0.0),
        (SHARE, 0.999, 0.999),
        (ABOVE, 1e-300, 1e-300),
        (COUNT, 1, 1),
        (COUNT, 20_000, 20_000),
        (plain("int"), 2**63 - 1, 2**63 - 1),
        (plain("int"), -(2**63) + 1, -(2**63) + 1),
        (plain("float"), 2**63 - 1, float(2**63 - 1)),
        (plain("extent"), 0, 0.0),
        (plain("extent"), 0.25, 0.25),
        (plain("extent"), 3, 3.0),
        (plain("extent"), 2**20, float(2**20)),
        (plain("bool"), True, True),
        (plain("string"), "", ""),
        (CHOICE, "sum", "sum"),
        (plain("initializer"), " he_normal ", "he_normal"),
        (plain("vector"), [1, 2.5], (1.0, 2.5)),
        (plain("matrix"), [[1, 2], [3, 4]], ((1.0, 2.0), (3.0, 4.0))),
        (plain("matrix"), [[1]], ((1.0,),)),
        (plain("shape"), [28, 28, 1], (28, 28, 1)),
        (plain("shape"), [1] * 6, (1,) * 6),
        (PAIR, 3, (3, 3)),
        (PAIR, [3, 4], (3, 4)),
        (PADDING, "same", "same"),
        (PADDING, 0, 0),
        (plain("data"), "mnist", "mnist"),
        (plain("data"), "folder:a b", "folder:a b"),
        (plain("data"), "npz:x:y", "npz:x:y"),
        (
            plain("data"),
            {"inputs": [[1, 2]], "targets": [[3]]},
            InlineData(((1.0, 2.0),), ((3.0,),), False),
        ),
        (
            plain("data"),
            {"inputs": [[1], [2]], "targets": [3, 4]},
            InlineData(((1.0,), (2.0,)), ((3.0,), (4.0,)), True),
        ),
    ],
)
def test_values_that_a_field_takes(field: Field, given: Any, value: Any) -> None:
    found = read(field, given)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("field", "given", "code", "expected", "path", "hint"),
    [
        (SHARE, 1, "E104", "a number >= 0 and < 1", (), ""),
        (SHARE, -1e-9, "E104", "a number >= 0 and < 1", (), ""),
        (SHARE, True, "E103", "a number >= 0 and < 1", (), ""),
        (SHARE, "1", "E103", "a number >= 0 and < 1", (), ""),
        (SHARE, math.nan, "E106", "a finite number >= 0 and < 1", (), ""),
        (ABOVE, 0, "E104", "a number > 0", (), ""),
        (ABOVE, math.inf, "E106", "a finite number > 0", (), ""),
        (COUNT, 0, "E104", "an integer >= 1 and <= 20,000", (), ""),
        (COUNT, 20_001, "E104", "an integer >= 1 and <= 20,000", (), ""),
        (COUNT, 3.0, "E103", "an integer >= 1 and <= 20,000", (), "write 3"),
        (COUNT, 3.5, "E103", "an integer >= 1 and <= 20,000", (), ""),
        (COUNT, True, "E103", "an integer >= 1 and <= 20,000", (), ""),
        (plain("int"), 2**63, "E104", "an integer below 2^63", (), ""),
        (plain("int"), -(2**63), "E104", "an integer below 2^63", (), ""),
        (plain("float"), 2**63, "E104", "a number within the range of a float", (), ""),
        (plain("extent"), 1.5, "E104", "whole pixels, or below 1 a share of the image's side", (), ""),
        (plain("extent"), -0.5, "E104", "whole pixels, or below 1 a share of the image's side", (), ""),
        (plain("extent"), 2**20 + 1, "E104", "whole pixels, or below 1 a share of the image's side", (), ""),
        (plain("extent"), math.nan, "E104", "whole pixels, or below 1 a share of the image's side", (), ""),
        (plain("extent"), True, "E103", "whole pixels, or below 1 a share of the image's side", (), ""),
        (plain("bool"), 1, "E103", "true or false", (), ""),
        (plain("string"), 1, "E103", "text in quotes", (), ""),
        (CHOICE, "summ", "E105", "one of mean, sum", (), "did you mean sum?"),
        (CHOICE, 1, "E103", "one of mean, sum", (), ""),
        (plain("initializer"), "uniform(1, 1)", "E105", "uniform(low, high) with low < high", (), ""),
        (plain("vector"), [], "E104", "at least one number", (), ""),
        (plain("vector"), 1, "E103", "a list of numbers", (), ""),
        (plain("vector"), [1, "a"], "E103", "a number", (1,), ""),
        (plain("matrix"), [], "E104", "at least one row", (), ""),
        (plain("matrix"), [[1], [2, 3]], "E501", "a row of 1 numbers like the first, not of 2", (1,), ""),
        (plain("matrix"), [[1], [True]], "E103", "a number", (1, 0), ""),
        (plain("matrix"), [[1], []], "E104", "at least one number", (1,), ""),
        (plain("shape"), [], "E104", "1 to 6 sizes", (), ""),
        (plain("shape"), [1] * 7, "E104", "1 to 6 sizes", (), ""),
        (plain("shape"), [1, 0], "E104", "an integer >= 1", (1,), ""),
        (plain("shape"), 28, "E103", "a list of sizes, as in [28, 28, 1]", (), "write [28]"),
        (plain("shape"), True, "E103", "a list of sizes, as in [28, 28, 1]", (), ""),
        (PAIR, [1, 2, 3], "E104", "an integer or two of them", (), ""),
        (PAIR, [0, 1], "E104", "an integer >= 1", (0,), ""),
        (PAIR, [1, 0], "E104", "an integer >= 1", (1,), ""),
        (PADDING, -1, "E104", "an integer >= 0", (), ""),
        (PADDING, "full", "E105", "one of same, valid", (), ""),
        (
            plain("data"),
            {"inputs": [[1]], "targets": [[1], [2]]},
            *("E502", "as many targets as inputs (1), not 2", ("targets",), ""),
        ),
        (plain("data"), {"inputs": [[1]]}, "E102", "inputs and targets; there are no targets", (), ""),
        (plain("data"), {"targets": [[1]]}, "E102", "inputs and targets; there are no inputs", (), ""),
        (
            plain("data"),
            {"inputs": [[1]], "targets": [[1]], "x": 1},
            *("E101", "inputs and targets", ("x",), "unknown key"),
        ),
        (plain("data"), {"inputs": [[1]], "targets": []}, "E104", "at least one row", ("targets",), ""),
    ],
)
def test_values_that_a_field_refuses(
    field: Field, given: Any, code: str, expected: str, path: tuple[Any, ...], hint: str
) -> None:
    with pytest.raises(FieldError) as caught:
        read(field, given)
    error = caught.value
    assert (error.code, error.expected, error.path, error.hint) == (code, expected, path, hint)


@pytest.mark.parametrize("given", ["mnst", "npz:", "npz: ", "zip:x", "folder:a\nb", "npz", ""])
def test_data_that_is_none(given: str) -> None:
    with pytest.raises(FieldError) as caught:
        read(plain("data"), given)
    assert caught.value.code == "E504"
    assert caught.value.hint == ("did you mean mnist?" if given == "mnst" else "")


def test_ranges_and_defaults() -> None:
    assert [range_text(f) for f in (SHARE, ABOVE, COUNT, CHOICE)] == [
        *(">= 0 and < 1", "> 0", ">= 1 and <= 20,000", ""),
    ]
    assert range_text(Field("a", "float", "", minimum=0.5, maximum=9_999)) == ">= 0.5 and <= 9999"
    assert default_value(Field("a", "pair", "", default=2)) == (2, 2)
    assert default_value(Field("a", "pair", "", default=(2, 3))) == (2, 3)
    assert default_value(Field("a", "float", "", default=None)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("zeros", Initializer("zeros")),
        (" uniform( -1, .5 ) ", Initializer("uniform", (-1.0, 0.5))),
        ("normal(0, 1e-3)", Initializer("normal", (0.0, 1e-3))),
        ("normal(0, 0)", "expected normal(mean, std) with std > 0"),
        ("uniform(1, 0)", "expected uniform(low, high) with low < high"),
        ("uniform(1)", "expected uniform(low, high), with decimal numbers"),
        ("uniform(1, x)", "expected uniform(low, high), with decimal numbers"),
        ("uniform(0, 1e999)", "expected uniform(low, high), with finite numbers"),
        ("zeros(1)", "expected zeros without arguments"),
        ("zeros()", "expected zeros without arguments"),
        ("zero", None),
        ("1", 'expected a name such as "glorot_uniform", "uniform(0, 1)" or "normal(0, 0.1)"'),
        (
            "zeros" + " " * 196,
            'expected a name such as "glorot_uniform", "uniform(0, 1)" or "normal(0, 0.1)"',
        ),
        ("zeros" + " " * 195, Initializer("zeros")),
    ],
)
def test_an_initializer(text: str, expected: Initializer | str | None) -> None:
    if isinstance(expected, Initializer):
        assert parse_initializer(text) == expected
        return
    with pytest.raises(ValueError, match="expected") as caught:
        parse_initializer(text)
    if expected is None:
        assert str(caught.value).endswith("; did you mean zeros?")
    else:
        assert str(caught.value) == expected


# ---- Names, sizes and targets -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"),
    [("abc", ""), ("a" * 40, ""), ("a" * 41, "E201"), ("1a", "E201"), ("for", "E202"), ("match", "E202"),
     ("struct", "E202"), ("print", "E202"), ("com9", "E202"), ("com0", ""),
     ("LPT1", "E202"), ("CON", "E202"), ("a-b", "E201"), ("", "E201")],
)  # fmt: skip
def test_a_name(name: str, code: str) -> None:
    found = name_problem(name)
    assert (found[0] if found else "") == code


def test_names_of_formulas_and_constants() -> None:
    assert formula_name_problem("bump", ()) is None and constant_name_problem("s", ("x",), ()) is None
    for name, said in (
        ("ReLU", "relu is a built-in activation"),
        ("mse", "mse is a built-in loss"),
        ("dense", "dense is a built-in layer"),
        ("erf", "erf is a built-in function"),
    ):
        assert formula_name_problem(name, ()) == ("E203", said)
    assert formula_name_problem("Bump", ("bump",)) == ("E203", "bump would become the same identifier")
    assert constant_name_problem("X", ("x",), ()) == ("E203", "x is the formula's variable")
    assert constant_name_problem("pi", ("x",), ()) == ("E203", "pi is already a name of the formula language")
    assert constant_name_problem("S", ("x",), ("s",)) == ("E203", "s would become the same identifier")


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (1, "1 parameters, 4 B in float32"),
        (255, "255 parameters, 1020 B in float32"),
        (256, "256 parameters, 1 KiB in float32"),
        (13_002, "13,002 parameters, 50.79 KiB in float32"),
        (2**18, "262,144 parameters, 1 MiB in float32"),
        (2**31, "2,147,483,648 parameters, 8 GiB in float32"),
        (2**38, "274,877,906,944 parameters, 1 TiB in float32"),
        (2**48, "281,474,976,710,656 parameters, 1 PiB in float32"),
        (2**60, "1,152,921,504,606,846,976 parameters, 4 EiB in float32"),
    ],
)
def test_the_size_of_a_network(count: int, shown: str) -> None:
    assert str(Size(count)) == shown


def test_targets_that_a_loss_takes() -> None:
    assert [bool(_label_fault(v, 3)) for v in (0, 2, 3, -1, 0.5)] == [False, False, True, True, True]
    assert _label_fault(3, 3) == "3 is no label of 3 classes, which are 0 … 2"
    binary, cross = LOSSES["binary_cross_entropy"], LOSSES["cross_entropy"]
    assert [bool(_target_fault(row, binary)) for row in ((0, 1), (1.01,), (-0.01,))] == [False, True, True]
    rows = ((0.25, 0.75), (0.5, 0.5 + 5e-7), (0.5, 0.6), (1.5, -0.5))
    assert [bool(_target_fault(row, cross)) for row in rows] == [False, False, True, True]
    assert _target_fault((9.0,), LOSSES["mse"]) == "" == _target_fault((9.0,), None)
    assert _show((3,)) == "(3,)" and _show((28, 28, 1)) == "(28, 28, 1)"


@pytest.mark.parametrize(
    ("text", "message", "expected"),
    [
        ("layers = [1]", "layers[1] = 1", "a table, [[layers]]"),
        ("layers = 1", "layers[1] = 1", "a table, [[layers]]"),
        ("input = 1", "input = 1", "a table, [input]"),
        ("[activations]\nbump = 'x'", 'activations.bump = "x"', "a table, [activations.bump]"),
    ],
)
def test_what_is_no_table(text: str, message: str, expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "a.toml")
    (told,) = (p for p in caught.value.problems if p.code == "E103")
    assert (told.message, told.expected) == (message, expected)


def test_keys_in_quotes_are_read_as_toml_reads_them() -> None:
    text = r""""\u00e9\t\U0001F600" = 1
'a\u00e9' = 2
"\U00110000" = 3
"""
    assert list(scan(text).keys) == [("é\t😀",), (r"a\u00e9",), ("\N{REPLACEMENT CHARACTER}",)]


def test_targets_that_are_no_labels() -> None:
    rows = ((1.0,), (2.0,))
    for targets, soft in (
        (((0.0, 1.0), (1.0, 0.0)), False),
        (((0.0, 1.0), (0.25, 0.75)), True),
        (((0.0, 1.0), (-1.0, 2.0)), True),
        (((0.5,), (0.25,)), False),
    ):
        assert InlineData(rows, targets).soft == soft


def test_a_spec_of_another_version() -> None:
    for version, remedy in (
        (2, "write spec_version = 1, or use a newer release"),
        (0, "write spec_version = 1"),
    ):
        with pytest.raises(SpecError) as caught:
            parse_spec(f"spec_version = {version}\n", "a.toml")
        (told,) = (p for p in caught.value.problems if p.code == "E108")
        assert told.message == f"spec_version = {version}: this program reads version 1"
        assert told.hint == remedy


def test_starting_values_that_contradict_each_other() -> None:
    defaults = {"init": "glorot_uniform", "bias_init": "zeros"}
    usual = {**defaults, "weights": None, "biases": None, "bias": True}
    assert explicit_values_fault(usual, defaults) == []
    assert explicit_values_fault({**usual, "weights": ((1.0,),), "biases": (1.0,)}, defaults) == []
    assert explicit_values_fault({**usual, "init": "zeros"}, defaults) == []
    both = {**usual, "weights": ((1.0,),), "init": "zeros", "biases": (1.0,), "bias_init": "ones"}
    assert [key for key, _ in explicit_values_fault(both, defaults)] == ["init", "bias_init"]
    assert [k for k, _ in explicit_values_fault({**usual, "biases": (1.0,), "bias": False}, defaults)] == [
        "biases"
    ]


SPEC = 'spec_version = 1\nname = "one"\n[input]\nshape = {shape}\n{layers}[loss]\ntype = "mse"\n{more}'
DENSE = '[[layers]]\ntype = "dense"\nunits = 2\n'


@pytest.mark.parametrize(
    ("shape", "layers", "more", "said"),
    [
        ("[2]", DENSE, "", ""),
        ("[8, 8, 1]", DENSE, "[augmentation]\nshift = 7\ncutout = 8\n", ""),
        ("[8, 8, 1]", DENSE, "[augmentation]\nshift = 8\n", "augmentation.shift = 8, but an image is 8 × 8"),
        (
            "[8, 9, 1]",
            DENSE,
            "[augmentation]\ncutout = 9\n",
            "augmentation.cutout = 9, but an image is 8 × 9",
        ),
        ("[64]", DENSE, "[augmentation]\nflip = true\n", "[augmentation] is for images, input.shape = [64]"),
        ("[64]", DENSE, "[augmentation]\nflip = false\n", ""),
        ("[2]", DENSE.replace("2", "1") + '[[layers]]\ntype = "softmax"\n', "", "softmax over 1 unit is"),
        ("[784]", DENSE.replace("2", "10"), '[training]\ndata = "mnist"\n', ""),
        ("[784]", DENSE.replace("2", "100"), '[training]\ndata = "mnist"\n', "has 10 classes, the network"),
        ("[3072]", DENSE.replace("2", "100"), '[training]\ndata = "cifar100"\n', ""),
        ("[785]", DENSE.replace("2", "10"), '[training]\ndata = "mnist"\n', "has images of (28, 28, 1)"),
        ("[2]", DENSE, "[training]\nearly_stopping = 3\n", ""),  # data that are named later may have some
        (
            "[2]",
            DENSE,
            "[training]\nearly_stopping = 3\ndata = {inputs = [[0, 1]], targets = [0]}\n",
            "watches the validation loss",
        ),
        ("[2]", DENSE, "[training]\nearly_stopping = 3\nvalidation_split = 0.1\n", ""),
        ("[2]", DENSE, '[training]\nearly_stopping = 3\ndata = "npz:a.npz"\n', ""),
        ("[2147483648]", DENSE, "", "layers[1]: with this layer the network has 4,294,967,298 parameters"),
        ("[2147483649]", "[[layers]]\ntype = 'relu'\n", "", "one sample has 2,147,483,649 values"),
        ("[2147483648]", "[[layers]]\ntype = 'relu'\n", "", ""),
    ],
)
def test_what_a_network_asks_of_its_spec(shape: str, layers: str, more: str, said: str) -> None:
    text = SPEC.format(shape=shape, layers=layers, more=more)
    if not said:
        assert parse_spec(text, "a.toml").name == "one"
        return
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "a.toml")
    assert len(caught.value.problems) == 1 and said in caught.value.problems[0].message
