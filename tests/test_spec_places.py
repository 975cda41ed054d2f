"""Where keys and values of a spec stand, and how they are shown."""

from __future__ import annotations

import pytest

from chainrule.formula.messages import caret_lines, did_you_mean, nearest
from chainrule.spec.positions import scan, string_offset
from chainrule.spec.problems import Problem, SpecError, SpecText
from chainrule.spec.tables import label, literal

# ---- How values and places are shown ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (("layers", 1, "units"), "layers[2].units"),
        (("a", "b"), "a.b"),
        (("training", "data", "targets", 0), "training.data.targets[1]"),
        (("x" * 60,), "x" * 60),
        (("x" * 61,), "x" * 60),
        (("a\nb",), r"a\nb"),
        ((), ""),
    ],
)
def test_a_path_as_a_reader_counts(path: tuple[str | int, ...], shown: str) -> None:
    assert label(path) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "true"),
        (False, "false"),
        (1.5, "1.5"),
        ("ab", '"ab"'),
        ("x" * 40, f'"{"x" * 40}"'),
        ("x" * 41, f'"{"x" * 40}…"'),
        ("a\tb", r'"a\tb"'),
        ({}, "{}"),
        ({"a": 1}, "{…}"),
        ([], "[]"),
        ([1, True, "a", [2]], '[1, true, "a", […]]'),
        ([1, 2, 3, 4, 5], "[1, 2, 3, 4, …]"),
        ([{"a": 1}], "[[…]]"),
        (2**100 - 1, str(2**100 - 1)),
        (2**100, "an integer of 101 bits"),
        (-(2**100), "an integer of 101 bits"),
    ],
)
def test_a_value_as_toml_writes_it(value: object, shown: str) -> None:
    assert literal(value) == shown


def test_the_line_and_the_caret_below_the_place() -> None:
    assert caret_lines("ab\ncde\nf", 4) == ("    cde", "     ^")
    assert caret_lines("ab\ncde\nf", 6) == ("    cde", "       ^")
    assert caret_lines("ab", -1) == caret_lines("ab", 0) == ("    ab", "    ^")
    assert caret_lines("ab", 99) == ("    ab", "      ^")
    assert caret_lines("\tx가é\r\n", 4) == ("    \tx가é", "    \t    ^")
    assert caret_lines("e\u0301x\x01", 2) == ("    e\u0301x\N{REPLACEMENT CHARACTER}", "     ^")
    exact = "x" * 100
    assert caret_lines(exact, 80) == (f"    {exact}", f"    {' ' * 80}^")
    long = "".join(chr(ord("a") + i % 26) for i in range(200))
    assert caret_lines(long, 10) == (f"    {long[:100]}…", f"    {' ' * 10}^")
    assert caret_lines(long, 50) == (f"    {long[:100]}…", f"    {' ' * 50}^")
    assert caret_lines(long, 51) == (f"    …{long[1:101]}…", f"    {' ' * 51}^")
    assert caret_lines(long, 150) == (f"    …{long[100:]}", f"    {' ' * 51}^")
    assert caret_lines(long, 149) == (f"    …{long[99:199]}…", f"    {' ' * 51}^")


def test_what_was_probably_meant() -> None:
    assert nearest("Unit", ("units", "Weights")) == "units" and nearest("weight", ("Weights",)) == "Weights"
    assert nearest("qqq", ("units",)) == "" == did_you_mean("qqq", ("units",))
    assert did_you_mean("unit", ("units",)) == "did you mean units?"


def test_lines_and_columns_of_a_text() -> None:
    source = SpecText("ab\n\ncd", "a.toml")
    places = [source.place(offset) for offset in (0, 2, 3, 4, 6)]
    assert [(p.line, p.column) for p in places] == [(1, 1), (1, 3), (2, 1), (3, 1), (3, 3)]
    assert [source.offset(line, 1) for line in (1, 2, 3, 9)] == [0, 3, 4, 4]
    assert source.offset(3, 2) == 5 and source.offset(3, 99) == 6


def test_problems_come_in_the_order_of_the_file_each_once() -> None:
    source = SpecText("ab\ncd", "a.toml")
    source.refuse()
    source.report("E101", 4, "second", expected="x", hint="y")
    source.report("E102", 0, "first")
    source.report("E101", 4, "second", expected="x", hint="y")
    with pytest.raises(SpecError) as caught:
        source.refuse()
    assert caught.value.args == ("2 problems",)
    assert str(caught.value) == (
        "a.toml:1:1: E102 first\n    ab\n    ^\na.toml:2:2: E101 second; expected x; y\n    cd\n     ^"
    )
    one = SpecError((Problem("a", 1, 1, "E001", "no"),))
    assert (one.args[0], str(one)) == ("1 problem", "a:1:1: E001 no")


def test_a_list_of_problems_ends_after_a_hundred() -> None:
    source = SpecText("x" * 200, "a.toml")
    for offset in range(99):
        source.report("E101", offset, "bad")
    with pytest.raises(SpecError) as caught:
        source.report("E101", 99, "bad")
    assert len(caught.value.problems) == 101
    assert caught.value.problems[-1].message == "100 problems; the rest is not listed"


# ---- Where keys stand -------------------------------------------------------------------------------


DOTTED = """a.b . "c d" = 1
[t.u]
x = [1, { y = 2 }]
[[r.s]]
p.q = "v"
[[r.s]]
p = 'w'
[r.s.n]
"""


def test_where_every_key_and_value_stands() -> None:
    found = scan(DOTTED)
    at = DOTTED.index
    last = DOTTED.rindex
    assert found.stop is None and not found.duplicates
    assert found.keys == {
        ("a",): 0,
        ("a", "b"): 2,
        ("a", "b", "c d"): at('"c d"'),
        ("t",): at("t.u"),
        ("t", "u"): at("[t.u]"),
        ("t", "u", "x"): at("x ="),
        ("t", "u", "x", 1, "y"): at("y ="),
        ("r",): at("r.s"),
        ("r", "s"): at("[[r.s]]"),
        ("r", "s", 0): at("[[r.s]]"),
        ("r", "s", 0, "p"): at("p.q"),
        ("r", "s", 0, "p", "q"): at("q ="),
        ("r", "s", 1): last("[[r.s]]"),
        ("r", "s", 1, "p"): at("p = 'w'"),
        ("r", "s", 1, "n"): last("[r.s.n]"),
    }
    assert found.values == {
        ("a", "b", "c d"): at("1\n"),
        ("t", "u", "x"): at("[1, {"),
        ("t", "u", "x", 0): at("1, {"),
        ("t", "u", "x", 1): at("{ y"),
        ("t", "u", "x", 1, "y"): at("2 }"),
        ("r", "s", 0, "p", "q"): at('"v"'),
        ("r", "s", 1, "p"): at("'w'"),
    }
    assert found.key(("r", "s", 1, "p", "q")) == at("p = 'w'") and found.value(("t", "z")) == at("t.u")
    assert found.value(("t", "u", "x", 1, "y", "z")) == at("2 }") and found.key(("nowhere",)) == 0


@pytest.mark.parametrize(
    ("text", "path", "first", "second", "left_out"),
    [
        ("a = 1\na = [2]\n", ("a",), "a = 1", "a = [2]", "a = [2]"),
        ("x.a = 1\nx.a = 2\n", ("x", "a"), "a = 1", "a = 2", "x.a = 2"),
        ("[t]\na = 1\n[t]\nb = 2\n", ("t",), "[t]\na", "[t]\nb", "[t]\nb = 2\n"),
        ("x = { a = 1, a = 2 }\n", ("x", "a"), "a = 1", "a = 2", ""),
    ],
)
def test_what_is_given_twice(
    text: str, path: tuple[str, ...], first: str, second: str, left_out: str
) -> None:
    (found,) = scan(text).duplicates
    assert tuple(part for part in found.path if part) == path
    assert (found.first, found.second) == (text.index(first), text.index(second))
    assert text[found.start : found.end] == left_out


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("a = ", "expected a value", 4),
        ("a 1", "expected '='", 2),
        ("= 1", "expected a key", 0),
        ("[a\n", "expected ']'", 2),
        ("[[a]\n", "expected ']]'", 3),
        ("a = [1, 2", "expected ']'", 9),
        ("a = { b = 1", "expected '}'", 11),
        ("a = " + "[" * 18, "nested too deep: more than 16 levels", 21),
        (".".join("a" * 17) + " = 1", "nested too deep: more than 16 levels", 32),
    ],
)
def test_where_a_scan_gives_up(text: str, message: str, offset: int) -> None:
    stop = scan(text).stop
    assert stop is not None and (str(stop), stop.offset) == (message, offset)


def test_sixteen_levels_are_scanned() -> None:
    assert scan("a = " + "[" * 17 + "]" * 17).stop is None
    assert scan(".".join("a" * 16) + " = 1").stop is None
    assert scan("a = {\n b = 1,\n c = 2 }\n").broken_tables == [4] and not scan("a = { b = 1 }").broken_tables


@pytest.mark.parametrize(
    ("literal_", "index", "offset"),
    [
        ('"abc"', 2, 3),
        (r'"a\nb"', 2, 4),
        (r'"a\u00e9b"', 1, 2),
        (r'"a\u00e9b"', 2, 8),
        ("'a\\b'", 2, 3),
        ('"""\nabc"""', 1, 5),
        ('"""abc"""', 1, 4),
        ('"""a\\\n   b"""', 1, 9),
        ("'''\nabc'''", 0, 4),
    ],
)
def test_where_a_character_of_a_string_stands(literal_: str, index: int, offset: int) -> None:
    assert string_offset(literal_, 0, index) == offset
    assert string_offset(f"k = {literal_}", 4, index) == offset + 4
