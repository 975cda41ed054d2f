"""Fuzzing of spec files: valid ones, mutated in their bytes, tokens, structure and numbers.

    python -m bench.fuzz.specs --count 5000

An input is the bytes of a file.  Right is a refusal whose every problem has a place and words, or a spec; of
what is read, every fourth is derived and lowered.
"""

from __future__ import annotations

import random
import re
import sys
import tempfile
import zlib
from functools import cache
from pathlib import Path

from bench.fuzz.formulas import make as formula_spec
from bench.fuzz.harness import campaign
from chainrule.codegen.lower.lowering import LoweringError, lower
from chainrule.derive.deriving import derive_network
from chainrule.derive.differentiate import CannotDifferentiate
from chainrule.spec import SpecError, load_spec
from chainrule.spec.starters import starter

EXAMPLES = Path(__file__).parents[2] / "examples"
TOKENS = (
    *(
        "0",
        "-1",
        "1e400",
        "nan",
        "inf",
        "1_000",
        "0x10",
        "9" * 30,
        "2**31",
        "true",
        "[]",
        "{}",
        "[[]]",
        "[3]",
    ),
    *(
        '""',
        '"""',
        "'''",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ",",
        ".",
        "#",
        "\\",
        '"\\u0000"',
        '"\\ud800"',
        "\n",
    ),
    *("[layers]", "[[layers]]", "[input]", "[loss]", "[activations.x]", "type", "units", "shape", '"lstm"'),
    *(
        "a.b.c",
        '"softmax"',
        '"dense"',
        "1979-05-27",
        "{ a = 1,\n b = 2 }",
        "[[[[[[[[[[[[[[[[[[[[",
        "\r\n",
        "\ufeff",
        "х",
    ),
)
VALUES = (
    *(
        "0",
        "1",
        "-3",
        "1000000000",
        "4294967296",
        "0.5",
        "-0.0",
        "1e308",
        "true",
        '"same"',
        '"none"',
        "[1, 1]",
    ),
    *(
        "[2, 3, 4, 5, 6, 7, 8]",
        "[1000000000, 1000000000]",
        '"' + "a" * 300 + '"',
        "{ inputs = [[1]], targets = [] }",
    ),
    *('"cifar10"', '"npz:"', '"folder:/dev/zero"', '"binary_cross_entropy"', '"step"', "[]", "[[1, 2], [3]]"),
)
BYTES = (
    b"\x00",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\r",
    b"\r\n",
    b"\xc3",
    b"\xf0\x9f\x98\x80",
    b"\x1b[31m",
    b"\x7f",
)


@cache
def _valid() -> tuple[str, ...]:
    files = sorted(EXAMPLES.glob("*.toml"))
    texts = [path.read_text(encoding="utf-8") for path in files]
    return (*(text for text in texts if len(text) < 5000), starter("fuzz"))


def make(source: random.Random) -> bytes:
    """Return the content of a spec file."""
    text = formula_spec(source) if source.random() < 0.1 else source.choice(_valid())
    for _ in range(source.randint(0, 5)):
        text = _mutated(source, text)
    content = text.encode("utf-8", "surrogatepass")
    match source.randrange(12):
        case 0:
            at = source.randint(0, len(content))
            return content[:at] + source.choice(BYTES) + content[at:]
        case 1:
            return text.encode(source.choice(("utf-16", "utf-32", "latin-1", "utf-8-sig")), "replace")
        case 2:
            return content.replace(b"\n", source.choice((b"\r\n", b"\r", b"\n\n\n")))
        case 3:
            at = source.randrange(max(1, len(content)))
            return content[:at] + bytes([source.randrange(256)]) + content[at + 1 :]
    return content


def _mutated(source: random.Random, text: str) -> str:
    lines = text.splitlines()
    at = source.randrange(len(lines)) if lines else 0
    match source.randrange(9):
        case 0:
            return "\n".join(lines[:at] + lines[at + 1 :])
        case 1:
            return "\n".join(
                lines[:at] + lines[at : at + source.randint(1, 8)] * source.choice((2, 3, 40)) + lines[at:]
            )
        case 2:
            source.shuffle(lines)
            return "\n".join(lines)
        case 3:
            place = source.randint(0, len(text))
            return text[:place] + source.choice(TOKENS) + text[place:]
        case 4 | 5:
            return _replaced(source, text, r"= *([^\n#]+)", source.choice(VALUES))
        case 6:
            return _replaced(
                source,
                text,
                r"\b(\d+)\b",
                source.choice(("0", "-1", "1", "65537", "2147483648", "1e9", "3.7")),
            )
        case 7:
            return _replaced(
                source,
                text,
                r"^ *(\w+) *=",
                source.choice(("units", "type", "filters", "x" * 50, '"a b"', "bias")),
            )
    start, end = sorted((source.randint(0, len(text)), source.randint(0, len(text))))
    return (
        text[:start] + text[end:] if source.random() < 0.5 else text[:end] + text[start:end] * 2 + text[end:]
    )


def _replaced(source: random.Random, text: str, pattern: str, value: str) -> str:
    found = list(re.finditer(pattern, text, re.MULTILINE))
    if not found:
        return text
    match = source.choice(found)
    return text[: match.start(1)] + value + text[match.end(1) :]


def check(content: bytes) -> str:
    """Load a file of these bytes; return how far it came."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fuzz.toml"
        path.write_bytes(content)
        try:
            spec = load_spec(path)
        except SpecError as error:
            for problem in error.problems:
                if (
                    problem.line < 1
                    or problem.column < 1
                    or not problem.message.strip()
                    or "\n" in problem.message
                ):
                    raise AssertionError(f"a problem without place or words: {problem!r}") from None
            return "refused"
    if zlib.crc32(content) % 4 or _size(spec.input_shape) > 10**6:
        return "read"
    try:
        derivation = derive_network(spec)
        lower(derivation)
    except (CannotDifferentiate, LoweringError) as error:
        return type(error).__name__
    return "lowered"


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for axis in shape:
        size *= axis
    return size


if __name__ == "__main__":
    sys.exit(campaign(make, check))
