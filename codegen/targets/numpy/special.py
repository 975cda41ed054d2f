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
# For a ≥ 0, erfc(a) = D + D a P(a)/Q(a) with D = e^(−a²)/(1 + √π a), and erf(a) = a R(a²) up to a = 1.
COEFFICIENTS = {
    "float32": {
        "P": (
            0.5641476768071638,
            3.0140079345165125,
            7.303953973443139,
            8.052878361183348,
        ),
        "Q": (
            1.0,
            6.225960695763569,
            18.997994547459136,
            32.619920274534415,
            30.75288588872701,
            12.503007736074778,
        ),
        "R": (
            7.845077354198609e-05,
            -0.000800743640933868,
            0.005187996254375909,
            -0.02685362163370678,
            0.11283579863408773,
            -0.37612625197481875,
            1.1283791655140611,
        ),
    },
    "float64": {
        "P": (
            0.5641895835458489,
            11.419316068141427,
            114.06121296438978,
            726.2037673999772,
            3222.192755325035,
            10297.02012262757,
            23702.99275625193,
            38050.431340779,
            39012.72554966077,
            19856.953569508772,
        ),
        "Q": (
            1.0,
            21.126437664626724,
            221.39105409001436,
            1492.5992542453669,
            7115.830947203533,
            24996.707171286478,
            65645.01462188028,
            128302.1271523342,
            182234.48016890849,
            178607.55154995463,
            108439.17763402584,
            30830.20349759066,
        ),
        "R": (
            -7.777573342858171e-10,
            1.370989496764819e-08,
            -1.6206043359415033e-07,
            1.6447093157497973e-06,
            -1.4924708873596729e-05,
            0.00012055293377275738,
            -0.0008548325921689453,
            0.005223977605931249,
            -0.02686617064308335,
            0.1128379167094395,
            -0.3761263890318351,
            1.1283791670955126,
        ),
    },
}
BLOCK = 32768  # values that are computed at a time, in memory that stays in the cache


def polynomial(coefficients, x, out):
    """Return a polynomial in x, by Horner's rule."""
    np.multiply(x, coefficients[0], out=out)
    for c in coefficients[1:-1]:
        out += c
        out *= x
    out += coefficients[-1]
    return out


def tail(a, p, q, t, D, s):
    """Return erfc(a) for a ≥ 0 in p; D and s are double."""
    if not a.max() <= 28:
        np.minimum(a, 28, out=a)  # D is 0 there, P/Q not yet ∞/∞
    np.copyto(s, a)
    np.square(
        s, out=D
    )  # exact for single a; else a² = D + p, by the upper half of the digits of a, and the rest
    if a.dtype == np.float64:
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
    s *= math.sqrt(math.pi)
    s += 1
    D /= s
    c = COEFFICIENTS[a.dtype.name]
    polynomial(c["P"], a, p)
    p *= a
    p /= polynomial(c["Q"], a, q)
    np.copyto(q, D, casting="same_kind")
    p *= q
    p += q
    return p


def erfc_block(u, out, a, p, q, t, D, s, truth):
    """Fill out with erfc(u): erfc(|u|), or 2 less that where u < 0."""
    tail(np.abs(u, out=a), p, q, t, D, s)
    np.multiply(np.less(u, 0, out=truth), u.dtype.type(2), out=a)
    np.subtract(a, p, out=p)
    np.abs(p, out=out)


def erf_block(u, out, a, p, q, t, D, s, truth):
    """Fill out with erf(u): |u| R(u²) where |u| < 1, else 1 − erfc(|u|), with the sign of u."""
    tail(np.abs(u, out=a), p, q, t, D, s)
    np.subtract(1, p, out=p)
    polynomial(COEFFICIENTS[a.dtype.name]["R"], np.square(a, out=t), q)
    q *= a
    np.copyto(p, q, where=np.less(a, 1, out=truth))
    np.copysign(p, u, out=out)


def in_blocks(block, exact, u, out):
    """Return a function of u in out: block by block for float32 and float64, from math for other types."""
    out = np.empty(u.shape, u.dtype) if out is None else out
    if u.dtype.name not in COEFFICIENTS:
        out[...] = np.vectorize(exact, otypes=[float])(u)
        return out
    source, target = u.reshape(-1), out.reshape(-1)  # a copy of u, where it does not lie in one piece
    size = min(BLOCK, source.size)
    rows = (*np.empty((4, size), u.dtype), *np.empty((2, size)), np.empty(size, bool))
    for start in range(0, source.size, size or 1):
        part = source[start : start + size]
        block(part, target[start : start + size], *(row[: part.size] for row in rows))
    return out


def erf(u, out=None):
    """The error function, to 4 units in the last place."""
    return in_blocks(erf_block, math.erf, u, out)


def erfc(u, out=None):
    """1 − erf(u), to 4 units in the last place of large u, too."""
    return in_blocks(erfc_block, math.erfc, u, out)


# The text of programs ends here.
HELD = 4 * 4 + 2 * 8 + 1  # bytes for each value of a block in single precision
_PARTS = Path(__file__).read_text(encoding="utf-8").split("# The text of programs ")
TEXT = _PARTS[1].removeprefix("begins here.").strip()
