"""Damage to the bytes of a whole file: flipped, cut, doubled, overwritten, stretched."""

from __future__ import annotations

import random
import struct

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The content with one to six faults in it."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        if not data:
            break
        # Headers are where damage does most: half of the faults lie in the first or last kilobyte.
        where = rng.choice((rng.randrange(len(data)), rng.randrange(min(1024, len(data)))))
        if rng.random() < 0.2:
            where = len(data) - 1 - rng.randrange(min(1024, len(data)))
        _damage(data, where, rng)
    return bytes(data)


def _damage(data: bytearray, where: int, rng: random.Random) -> None:
    match rng.randrange(8):
        case 0:
            data[where] ^= 1 << rng.randrange(8)
        case 1:
            data[where] = rng.randrange(256)
        case 2:
            del data[where:]
        case 3:
            del data[where : where + rng.randrange(1, 64)]
        case 4:
            data[where:where] = rng.randbytes(rng.randrange(1, 64))
        case 5:
            start = rng.randrange(len(data))
            data[where:where] = data[start : start + rng.randrange(1, 256)]
        case 6:
            value = rng.choice(EXTREMES)
            order = rng.choice(("<I", ">I", "<H", ">H"))
            packed = struct.pack(order, value & (0xFFFF if order[1] == "H" else 0xFFFFFFFF))
            data[where : where + len(packed)] = packed
        case _:
            data[where : where + rng.randrange(1, 16)] = bytes(16)
