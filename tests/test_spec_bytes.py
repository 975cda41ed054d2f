"""Files that are read as specs: encodings, sizes, depth, any bytes; where keys and values stand."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spec_texts import GOOD, changed, only

from chainrule.spec import Problem, SpecError, load_spec, parse_spec
from chainrule.spec.positions import scan, string_offset


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


@pytest.mark.parametrize(("text", "code"), [('a = "', "E004"), ("a = " + "[" * 300 + "]" * 300, "E006")])
def test_what_is_never_ended_is_not_called_deep(text: str, code: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "s.toml")
    assert [problem.code for problem in caught.value.problems] == [code]
    assert ("deep" in caught.value.problems[0].message) == (code == "E006")
