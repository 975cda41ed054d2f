"""The coefficients that generated programs compute erf and erfc with: `python tools/error_function.py`.

For a ≥ NEAR, erfc(a) = D + D a P(a)/Q(a), where D = e^(−a²)/(1 + √π a) is erfc far out, and at most a sixth
less before; up to NEAR, from where on 1 − erf(a) would lose more than two bits, erf(a) = a R(a²).  P, Q and R
are found by least squares over values of mpmath, again and again with the weight of a point times the root of
its error (Lawson's method), which brings the largest error down to nearly the least that is possible.  The
denominator of one round divides the weights of the next, so that it is the error of the quotient that is
looked at.
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath
from mpmath import mp, mpf

DIGITS = 50
ROUNDS = 16
LARGEST = {"float32": 10.1, "float64": 27.3}  # from here on erfc is 0
DEGREES = {"float32": (3, 5, 5), "float64": (8, 9, 10)}  # of P, Q and R
NEAR = 0.75

Function = Callable[[mpf], mpf]


def rational(
    f: Function, weight: Function, points: list[mpf], above: int, below: int
) -> tuple[list[mpf], list[mpf], mpf]:
    """Return P and Q (lowest power first, Q from 1 on) of the least |P/Q − f| times its weight, and that."""
    values, worth = [f(x) for x in points], [weight(x) for x in points]
    denominators = [(1 + x / 2) ** below for x in points]
    weights = [mpf(1)] * len(points)
    best: tuple[list[mpf], list[mpf], mpf] = [], [], mp.inf
    for turn in range(ROUNDS):
        scale = [w * each / d for w, each, d in zip(weights, worth, denominators, strict=True)]
        rows = [
            [s * x**i for i in range(above + 1)] + [-s * v * x**j for j in range(1, below + 1)]
            for s, v, x in zip(scale, values, points, strict=True)
        ]
        matrix, right = mp.matrix(rows), mp.matrix([s * v for s, v in zip(scale, values, strict=True)])
        found = list(mp.lu_solve(matrix.T * matrix, matrix.T * right))
        p, q = found[: above + 1], [mpf(1), *found[above + 1 :]]
        denominators = [mp.polyval(q[::-1], x) for x in points]
        errors = [
            abs(mp.polyval(p[::-1], x) / d - v) * each
            for x, d, v, each in zip(points, denominators, values, worth, strict=True)
        ]
        largest = max(errors)
        if largest < best[2]:
            best = p, q, largest
        if turn >= 3:
            weights = [w * mp.sqrt(e / largest + mpf(10) ** -6) for w, e in zip(weights, errors, strict=True)]
    return best


def points(count: int, least: float, largest: float, near: float) -> list[mpf]:
    """Return points from the least to the largest, denser up to about ``near`` and at the ends."""
    low, high = (mpf(end) / (end + near) for end in (least, largest))
    spread = [low + (high - low) * (1 - mp.cos(mp.pi * k / (count - 1))) / 2 for k in range(count)]
    return [near * t / (1 - t) for t in spread if t]


def excess(a: mpf) -> mpf:
    """erfc(a)/D − 1."""
    return mpmath.erfc(a) * mpmath.exp(a * a) * (1 + mp.sqrt(mp.pi) * a) - 1


def reduced_erf(s: mpf) -> mpf:
    """erf(√s)/√s."""
    return mpmath.erf(mp.sqrt(s)) / mp.sqrt(s)


def coefficients(dtype: str) -> tuple[dict[str, list[float]], float]:
    """Return P, Q and R, the highest power first, which is 1 in Q; and the largest error."""
    with mp.workdps(DIGITS):
        above, below, small = DEGREES[dtype]
        p, q, error = rational(
            lambda a: excess(a) / a,
            lambda a: a / (1 + excess(a)),
            points(6 * (above + below + 2), NEAR, LARGEST[dtype], 2),
            above,
            below,
        )
        close = points(6 * small, 0, NEAR**2, 50)
        r, _, other = rational(reduced_erf, lambda s: 1 / reduced_erf(s), close, small, 0)
        scaled = {"P": [c / q[-1] for c in p], "Q": [c / q[-1] for c in q], "R": r}
        return {name: [float(c) for c in found[::-1]] for name, found in scaled.items()}, float(
            max(error, other)
        )


def main() -> None:
    for dtype in DEGREES:
        found, error = coefficients(dtype)
        print(f"# {dtype}: relative error {error:.1e}")
        for name, values in found.items():
            print(f"{name} = ({', '.join(map(repr, values))})")


if __name__ == "__main__":
    main()
