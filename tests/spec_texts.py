"""A good spec, changes of it, and the problems that reading finds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from chainrule.spec import Problem, SpecError, json_schema, parse_spec

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


IMAGES = f"""\
{changed("shape = [4]", "shape = [8, 6, 3]")}
[augmentation]
flip = true
shift = 3
rotation = 10
zoom = 0.1
cutout = 0.5
"""


def valid(text: str) -> bool:
    return jsonschema.Draft202012Validator(json_schema()).is_valid(tomllib.loads(text))
