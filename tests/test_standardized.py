"""Which equation standardizes a tensor, whatever its parts are called."""

from __future__ import annotations

import pytest

from chainrule.derive.compact import standardized
from chainrule.derive.index import Equation, Sum, index, size, tensor

n, k, N, K = index("n"), index("k"), size("N"), size("K")
x = tensor("x", N, K)


@pytest.mark.parametrize("mean", ["a", "z"])
@pytest.mark.parametrize("spread", ["b", "y"])
def test_the_mean_is_found_among_all_that_is_read(mean: str, spread: str) -> None:
    m, s, hat = tensor(mean, K), tensor(spread, K), tensor("h", N, K)
    definition = Equation(m[k], Sum(x[n, k], (n, N)) / N)
    centred = Equation(hat[n, k], (x[n, k] - m[k]) / s[k])
    found = standardized((definition, centred), x)
    assert found is not None
    assert (found.equation, found.read, found.mean) == (centred, x[n, k], m[k])
    assert found.slope == 1 / s[k] and tuple(i for i, _ in found.axes) == (n,)


def test_what_is_taken_away_must_be_the_mean() -> None:
    m, hat = tensor("m", K), tensor("h", N, K)
    twice = Equation(m[k], 2 * Sum(x[n, k], (n, N)) / N)
    assert standardized((twice, Equation(hat[n, k], x[n, k] - m[k])), x) is None
