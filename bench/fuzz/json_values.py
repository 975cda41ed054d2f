"""Changes of JSON values, as edits and bad intentions make them."""

from __future__ import annotations

import json
from random import Random
from typing import Any, Final

NESTED: Final = "[" * 100_000 + "]" * 100_000
HUGE: Final = (2**31, 2**53, 2**63, 2**64 - 1, 10**30, -1, -(2**63), 0, 1)
WORDS: Final = (
    "",
    "x",
    "nan",
    "NaN",
    "../..",
    "/etc/passwd",
    "\0",
    "\ud800",
    "W1",
    "F32",
    "I8",
    "BOOL",
    "é" * 50,
)
DTYPES: Final = (
    "F64",
    "F32",
    "F16",
    "BF16",
    "I64",
    "I32",
    "I8",
    "U8",
    "BOOL",
    "F8_E4M3",
    "C64",
    "O",
    "",
    "float32",
)


def junk(random: Random) -> Any:
    """A value that nobody expects."""
    return random.choice(
        (
            lambda: None,
            lambda: random.choice(HUGE),
            lambda: random.choice((0.5, -0.0, 1e308, float("nan"), float("inf"), 1e-320)),
            lambda: random.choice((True, False)),
            lambda: random.choice(WORDS),
            lambda: "y" * random.choice((100, 10_000)),
            lambda: [],
            lambda: {},
            lambda: [random.choice(HUGE) for _ in range(random.randrange(5))],
            lambda: {random.choice(WORDS): random.choice(HUGE)},
            lambda: [[[[random.choice(WORDS)]]]],
            lambda: [0] * 10_000,
            lambda: random.choice(DTYPES),
        )
    )()


def mutated(random: Random, value: Any) -> Any:
    """A copy of a JSON value with one to three places changed, removed, renamed or doubled."""
    copy = json.loads(json.dumps(value))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        copy = _once(random, copy)
    return copy


def _once(random: Random, value: Any) -> Any:
    inner = isinstance(value, dict | list) and value
    if not inner or random.random() < 0.15:
        return _near(random, value)
    key = random.choice(list(value) if isinstance(value, dict) else range(len(value)))
    how = random.random()
    if how < 0.12:
        del value[key]
    elif how < 0.2 and isinstance(value, dict):
        value[random.choice((*WORDS, *value))] = value.pop(key)
    elif how < 0.25 and isinstance(value, list):
        value.append(value[key])
    else:
        value[key] = _once(random, value[key])
    return value


def _near(random: Random, value: Any) -> Any:
    """Junk, or a value of the same kind that is a little off."""
    if random.random() < 0.5:
        return junk(random)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return random.choice((value + 1, value - 1, -value, value * 2, float(value), str(value)))
    if isinstance(value, str):
        return random.choice((value + "x", value[:-1], value.upper(), [value], "0" * len(value)))
    return junk(random)


def as_text(random: Random, value: Any) -> str:
    """A JSON text of a value, sometimes nested deeper than any reader follows, or cut off."""
    text = json.dumps(value)
    how = random.random()
    if how < 0.04:
        return NESTED
    if how < 0.08 and isinstance(value, dict) and value:
        key = random.choice(list(value))
        return text.replace(json.dumps(value[key]), NESTED, 1)
    if how < 0.12:
        return text[: random.randrange(len(text) + 1)]
    if how < 0.14:
        return text.replace(":", ":" + "9" * 5000 + ",", 1)
    return text
