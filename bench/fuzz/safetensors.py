"""Files of parameters and checkpoints: damaged, edited, and made to deceive, through the real command.

python -m bench.fuzz.safetensors --count 5000
"""

from __future__ import annotations

import json
import pickle
import struct
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from bench.fuzz import mutation
from bench.fuzz.finished_run import base, command, copied, derive, spared
from bench.fuzz.harness import campaign
from bench.fuzz.json_values import DTYPES, HUGE, as_text, junk, mutated
from chainrule.runtime.arrays import CHECKSUM, DIGITS, START, _digest

WIDTHS: Final = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I8": 1, "U8": 1, "BOOL": 1}
PARAMETERS: Final = "parameters.safetensors"
NEWEST: Final = "checkpoints/step-000000006.safetensors"


@dataclass(frozen=True)
class Input:
    """A file's new content, and the command that reads it."""

    file: str
    content: bytes
    command: str


def make(random: Random) -> Input:
    resumed = random.random() < 0.2
    file = NEWEST if resumed else PARAMETERS
    content = (base() / "whole" / file).read_bytes()
    name = "resume" if resumed else random.choice(("predict", "predict", "evaluate", "regenerate"))
    return Input(file, _spoilt(random, content), name)


def check(given: Input) -> str:
    with copied() as run:
        (run / given.file).write_bytes(given.content)
        return derive(base(), command(given.command, run))[0]


def _spoilt(random: Random, content: bytes) -> bytes:
    how = random.random()
    if how < 0.2:
        return mutation.mutated(content, random)
    if how < 0.24:
        return random.choice((b"", pickle.dumps(junk(random)), b"PK\3\4" + content, random.randbytes(500)))
    (length,) = struct.unpack("<Q", content[:8])
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    if how < 0.5:
        header = mutated(random, header)
    elif how < 0.75:
        header, body = _other_arrays(random, header, body)
    else:
        header["__metadata__"] = _other_metadata(random, header["__metadata__"])
    text = as_text(random, header).encode(errors="surrogatepass")
    text += b" " * (-len(text) % random.choice((8, 8, 8, 3)))
    claimed = (
        random.choice((*HUGE[:4], length, len(text) + 1)) % 2**64 if random.random() < 0.1 else len(text)
    )
    made = bytearray(struct.pack("<Q", claimed) + text + body)
    if random.random() < 0.7 and made[START - len(CHECKSUM) - 4 : START].endswith(b'":"'):
        made[START : START + DIGITS] = _digest(made)
    return bytes(made)


def _other_arrays(random: Random, header: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """Arrays of other types, shapes, offsets and values, some of them as they should be."""
    names = [name for name in header if name != "__metadata__"]
    name = random.choice(names)
    entry = header[name]
    how = random.randrange(8)
    if how == 0:  # another type, of the right size
        place = 0
        parts = []
        dtype = random.choice(list(WIDTHS))
        for each in names:
            size = WIDTHS[dtype]
            for extent in header[each]["shape"]:
                size *= extent
            header[each] |= {"dtype": dtype, "data_offsets": [place, place + size]}
            parts.append(random.randbytes(size))
            place += size
        return header, b"".join(parts)
    if how == 1:
        entry["dtype"] = random.choice(DTYPES)
    elif how == 2:
        entry["shape"] = random.choice(
            ([], [0], [2**62, 4], [2**40], [1] * 1000, [-3, -16], entry["shape"][::-1])
        )
    elif how == 3:
        other = header[random.choice(names)]["data_offsets"]
        entry["data_offsets"] = random.choice((other, entry["data_offsets"][::-1], [0, 2**63], [-4, 0], [0]))
    elif how == 4:
        header[random.choice(("W1", "W2", "", "__metadata__", "../x", "a" * 10_000))] = entry
    elif how == 5:
        body = struct.pack("<f", random.choice((float("nan"), float("inf"), 3e38, -0.0, 1e-45))) * (
            len(body) // 4
        )
    elif how == 6:
        for number in range(random.choice((10, 5000))):
            header[f"extra{number}"] = {"dtype": "F32", "shape": [0], "data_offsets": [len(body), len(body)]}
    else:
        body = body + bytes(random.choice((1, 4, 1000)))
    return header, body


def _other_metadata(random: Random, metadata: dict[str, str]) -> dict[str, Any]:
    """Metadata whose documents were edited; the checksum keeps its place."""
    found: dict[str, Any] = dict(metadata)
    key = random.choice([key for key in metadata if key != CHECKSUM])
    try:
        found[key] = as_text(random, mutated(random, json.loads(metadata[key])))
    except ValueError:
        found[key] = junk(random)
    return found


if __name__ == "__main__":
    with spared():
        base()
        raise SystemExit(campaign(make, check))
