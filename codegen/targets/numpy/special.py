"""The error function in array operations, as generated NumPy programs compute it.

The definitions stand in the programs as they stand here (``TEXT``); the coefficients are those that
tools/error_function.py finds.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import math
from pathlib import Path

import numpy as np

# The text of programs begins here.
# For a ≥ NEAR, erfc(a) = D + D a P(a)/Q(a) with D = e^(−a²)/(1 + √π a); up to there, erf(a) = a R(a²).
NEAR = 0.75
COEFFICIENTS = {
    "float32": {
        "P": (
            0.5641791547112135,
            2.5129360665673066,
            5.674592054721305,
            5.634381467543685,
        ),
        "Q": (
            1.0,
            5.339585565252254,
            15.301600355538268,
            24.77954756390946,
            22.404719728603645,
            8.74609720228481,
        ),
        "R": (
            -0.0006746561274769547,
            0.005113901994656738,
            -0.02683437653156814,
            0.11283370240526533,
            -0.37612618049054314,
            1.1283791652537163,
        ),
    },
    "float64": {
        "P": (
            2.235299010474218e-12,
            0.5641895832247682,
            7.325679241398518,
            48.53815514907601,
            202.80641288837478,
            569.2806165824851,
            1069.4497226907206,
            1252.3936619003846,
            720.65490571314,
        ),
        "Q": (
            1.0,
            13.870655270149802,
            98.82418963423285,
            452.65161439344763,
            1440.399662448235,
            3259.9362201843114,
            5201.2902314084595,
            5604.399826444248,
            3681.7056055614376,
            1118.8995823584398,
        ),
        "R": (
            1.1461814853998993e-08,
            -1.593702967765222e-07,
            1.6430316447852605e-06,
            -1.4924171581517569e-05,
            0.00012055288558795882,
            -0.0008548326163130194,
            0.005223977615020274,
            -0.02686617064439198,
            0.11283791670952421,
            -0.37612638903183715,
            1.1283791670955126,
        ),
    },
}
BLOCK, FAR = 2**18, 2**16  # values that are computed at a time: of all, and of those beyond NEAR


def polynomial(coefficients, x, out):
    """Return a polynomial in x, by Horner's rule."""
    np.multiply(x, coefficients[0], out=out)
    for c in coefficients[1:-1]:
        out += c
        out *= x
    out += coefficients[-1]
    return out


def tail(a):
    """Return erfc(a) for a ≥ NEAR."""
    p, q, t, D = *np.empty((3, a.size), a.dtype), np.empty(a.size)
    np.copyto(D, a)
    np.square(D, out=D)  # exact for single a
    if a.dtype == np.float64:  # a² = D + p, by the upper half of the digits of a, and the rest
        np.bitwise_and(a.view(np.int64), -(2**27), out=q.view(np.int64))
        np.square(q, out=p)
        p -= D
        np.subtract(a, q, out=t)
        q += a
        t *= q
        p += t
    np.negative(D, out=D)
    np.exp(D, out=D)
    if a.dtype == np.float64:
        p *= D
        D -= p
    np.copyto(t, D, casting="same_kind")
    np.multiply(a, math.sqrt(math.pi), out=q)
    q += 1
    t /= q
    c = COEFFICIENTS[a.dtype.name]
    polynomial(c["P"], a, p)
    p *= a
    p /= polynomial(c["Q"], a, q)
    p *= t
    p += t
    return p


def erf_block(u, out, complement, s, q, truth):
    """Fill out with erf(u), or with its complement erfc(u): by R, then anew where |u| > NEAR.

    Few and long calls of NumPy: for each, threads wait on one another for Python's lock.
    """
    largest = np.abs(u, out=s).max()
    if not largest <= 28:  # there erfc is 0, and the square of u soon infinite
        u = np.clip(u, -28, 28, out=out)
    far = np.greater(s, NEAR, out=truth) if not largest <= NEAR else truth[:0]
    if far.size and np.may_share_memory(u, out):
        u = u.copy()
    polynomial(COEFFICIENTS[u.dtype.name]["R"], np.square(u, out=s), q)
    np.multiply(q, u, out=out)
    if complement:
        np.subtract(1, out, out=out)
    two = u.dtype.type(2)
    for start in range(0, far.size, FAR):
        some = np.flatnonzero(far[start : start + FAR])
        v = u[start : start + FAR][some]
        p = tail(np.abs(v))
        p = np.abs(two * (v < 0) - p) if complement else np.copysign(1 - p, v)  # np.where would take longer
        out[start : start + FAR][some] = p


def in_blocks(u, out, complement, exact):
    """Return erf(u) or erfc(u) in out: block by block for float32 and float64, from math for other types."""
    out = np.empty(u.shape, u.dtype) if out is None else out
    if u.dtype.name not in COEFFICIENTS:
        out[...] = np.vectorize(exact, otypes=[float])(u)
        return out
    source, target = u.reshape(-1), out.reshape(-1)  # a copy of u, where it does not lie in one piece
    size = min(BLOCK, source.size)
    rows = *np.empty((2, size), u.dtype), np.empty(size, bool)
    for start in range(0, source.size, size or 1):
        part = source[start : start + size]
        erf_block(part, target[start : start + size], complement, *(row[: part.size] for row in rows))
    return out


def erf(u, out=None):
    """The error function, to 4 units in the last place."""
    return in_blocks(u, out, False, math.erf)


def erfc(u, out=None):
    """1 − erf(u), to 4 units in the last place of large u, too."""
    return in_blocks(u, out, True, math.erfc)


# The text of programs ends here.
HELD = 2 * 4 + 1  # bytes for each value of a block in single precision, where few lie beyond NEAR
_PARTS = Path(__file__).read_text(encoding="utf-8").split("# The text of programs ")
TEXT = _PARTS[1].removeprefix("begins here.").strip()
