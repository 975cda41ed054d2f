"""Keys and values that a spec refuses, and where they stand."""

from __future__ import annotations

import pytest
from spec_texts import GOOD, at, changed, only, problems
from work import calls

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
