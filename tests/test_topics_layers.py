"""Every formula of the topics of layers holds at 20 random points, against NumPy and finite differences.

``CHECKS`` has a function for each topic.  It draws a point and yields the name of a formula, its free
indices, the arrays it reads, and what it must give; what it must give is computed here, by other means.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from by_hand import difference, sigma, softmax
from drawn_topics import (
    CURVES,
    Check,
    Draw,
    activation,
    draw_batch_norm,
    draw_convolution,
    draw_cross_entropy,
    draw_dropout,
    draw_logistic,
    draw_maxout,
    draw_pooling,
    draw_softmax,
    draw_softmax_entropy,
)

from chainrule.derive.index import Equation, access, cotangent, index, tensor
from chainrule.derive.interpret import evaluate
from chainrule.lectures import topic

POINTS = 20


def draw_delta(rng: np.random.Generator) -> Iterator[Check]:
    a0, W1, b1 = rng.normal(size=4), rng.normal(size=(2, 4)), rng.normal(size=2)
    t = rng.dirichlet(np.ones(3))
    z1 = W1 @ a0 + b1
    for after, name in ((3, "delta, 3 nodes after"), (5, "delta")):
        W2, b2 = rng.normal(size=(after, 2)), rng.normal(size=after)
        target = rng.normal(size=after)

        def error(z: Any, W2: Any = W2, b2: Any = b2, target: Any = target) -> float:
            return float(((sigma(W2 @ sigma(z) + b2) - target) ** 2).sum() / 2)

        z2 = W2 @ sigma(z1) + b2
        d2 = difference(lambda z, target=target: ((sigma(z) - target) ** 2).sum() / 2, z2)
        # The three-node formula counts from 1, as its lecture does: δ_1, δ_2, δ_3 stand at places 1, 2, 3.
        shift = int(after == 3)
        at = {
            "w@l+1": np.vstack([np.zeros((shift, 2)), W2]),
            "d z@l+1": np.concatenate([np.zeros(shift), d2]),
            "a@l": sigma(z1),
        }
        yield name, "k", at, difference(error, z1)
        if after == 5:
            slope = difference(lambda W, f=error: f(W @ a0 + b1), W1)
            yield "dE/dw", "kj", {"d z@l": difference(error, z1), "a@l-1": a0}, slope
    z = rng.normal(size=3)
    squared = difference(lambda v: ((sigma(v) - t) ** 2).sum() / 2, z)
    yield "delta, sigmoid and MSE", "k", {"a@L": sigma(z), "t": t}, squared
    at = {"a@L": softmax(z), "t": t}
    jacobian = np.array([difference(lambda v, k=k: softmax(v)[k], z) for k in range(3)])
    yield "da_i/dz_j", "ij", at, jacobian
    squared = difference(lambda v: ((softmax(v) - t) ** 2).sum() / 2, z)
    yield "delta, softmax and MSE", "j", at, squared
    yield "delta, softmax and MSE, collapsed", "j", at, squared
    yield "E", "", at, -t @ np.log(softmax(z))
    yield "delta, softmax and cross-entropy", "j", at, difference(lambda v: -t @ np.log(softmax(v)), z)


def draw_bias(rng: np.random.Generator) -> Iterator[Check]:
    a, W, b, d = rng.normal(size=(6, 4)), rng.normal(size=(2, 4)), rng.normal(size=2), rng.normal(size=(6, 2))

    def error(W: Any, b: Any, rows: slice) -> float:
        return float((d[rows] * (a[rows] @ W.T + b)).sum())  # so that ∂E/∂z is d

    one = {"d z@l": d[0], "a@l-1": a[0]}
    yield "dE/dw", "kj", one, difference(lambda v: error(v, b, slice(1)), W)
    yield "dE/db", "k", one, difference(lambda v: error(W, v, slice(1)), b)
    yield "dE/db, batch", "k", {"d z@l": d}, difference(lambda v: error(W, v, slice(None)), b)


def draw_chain(rng: np.random.Generator) -> Iterator[Check]:
    w, x, t = rng.normal(size=4), rng.normal(), rng.normal()

    def walk(w: Any, from_layer: int = 1, z: float | None = None) -> list[tuple[float, float]]:
        """Return (z, h) of every layer; z, if given, replaces that of ``from_layer``."""
        found, h = [], x
        for layer in range(1, 5):
            pre = w[layer - 1] * h if z is None or layer != from_layer else z
            h = 1 / (1 + math.exp(-pre))
            found.append((pre, h))
        return found

    def error(states: list[tuple[float, float]]) -> float:
        return (states[-1][1] - t) ** 2 / 2

    states = walk(w)
    at = {"x": x, "t": t, "y": states[3][1], **{f"w{k + 1}": w[k] for k in range(4)}}
    at |= {f"h{k + 1}": states[k][1] for k in range(3)} | {f"z{k + 1}": states[k][0] for k in range(4)}
    for layer in range(1, 5):
        at[cotangent(f"z{layer}")] = difference(
            lambda z, k=layer: error(walk(w, k, float(z))), states[layer - 1][0]
        )
        yield f"z{layer}", "", at, states[layer - 1][0]
        yield "y" if layer == 4 else f"h{layer}", "", at, states[layer - 1][1]
    yield "E", "", at, error(states)
    slopes = difference(lambda v: error(walk(v)), w)
    for layer in range(4, 0, -1):
        yield f"delta{layer}", "", at, at[cotangent(f"z{layer}")]
        yield f"dE/dw{layer}", "", at, slopes[layer - 1]


def draw_forward(rng: np.random.Generator) -> Iterator[Check]:
    W1, b1, W2, b2 = (rng.normal(size=shape) for shape in ((2, 3), (2,), (3, 2), (3,)))
    a0, t = rng.normal(size=3), rng.normal(size=3)
    z1 = W1 @ a0 + b1
    z2 = W2 @ sigma(z1) + b2
    E = ((softmax(z2) - t) ** 2).sum() / 2
    at = {"W1": W1, "b1": b1, "W2": W2, "b2": b2, "a0": a0, "t": t}
    at |= {"z1": z1, "a1": sigma(z1), "z2": z2, "a2": softmax(z2)}
    for name, value in (("z1", z1), ("a1", sigma(z1)), ("z2", z2), ("a2", softmax(z2))):
        yield name, "k", at, value
    yield "E", "", at, E
    yield "E, nested", "", at, E


def network(sizes: tuple[int, ...], biases: tuple[bool, ...], last_softmax: bool = False) -> Draw:
    """A network of dense layers with sigmoids, written in NumPy, every slope by differences."""

    def draw(rng: np.random.Generator) -> Iterator[Check]:
        depth, rows = len(sizes) - 1, 4
        x = rng.normal(size=(rows, sizes[0]))
        t = rng.normal(size=(rows, sizes[-1]))
        if last_softmax:
            t = np.eye(sizes[-1])[rng.integers(0, sizes[-1], rows)]
        p = {f"W{k}": rng.normal(size=(sizes[k], sizes[k - 1])) for k in range(1, depth + 1)}
        p |= {f"b{k}": rng.normal(size=sizes[k]) for k in range(1, depth + 1) if biases[k - 1]}

        def forward(p: dict[str, Any], start: int = 0, z: Any = None) -> dict[str, Any]:
            a, found = x, {}
            for k in range(1, depth + 1):
                pre = a @ p[f"W{k}"].T + p.get(f"b{k}", 0) if k != start else z
                a = softmax(pre) if last_softmax and k == depth else sigma(pre)
                found |= {f"z{k}": pre, f"a{k}": a}
            loss = -(t * np.log(a)).sum() / rows if last_softmax else ((a - t) ** 2).sum() / 2
            return {**found, "E": loss}

        at = {"x": x, "t": t, "T": t, "N": rows, **p, **forward(p)}
        for k in range(1, depth + 1):
            at[cotangent(f"z{k}")] = difference(lambda z, k=k: forward(p, k, z)["E"], at[f"z{k}"])
        for k in range(1, depth + 1):
            yield f"z{k}", "nk", at, at[f"z{k}"]
            yield f"a{k}", "nk", at, at[f"a{k}"]
        yield "E", "", at, at["E"]
        for k in range(1, depth + 1):
            yield f"dz{k}", "nk" if k == depth else "nj", at, at[cotangent(f"z{k}")]
        for name, value in p.items():
            slope = difference(lambda v, name=name: forward({**p, name: v})["E"], value)
            yield f"d{name}", "kj" if name[0] == "W" else "k", at, slope

    return draw


def optimizer(name: str) -> Draw:
    def draw(rng: np.random.Generator) -> Iterator[Check]:
        at: dict[str, Any] = {key: rng.normal(size=1) for key in ("theta", "g", "m")}
        at |= {key: rng.uniform(0.1, 1, 1) for key in ("h", "v")}
        at |= {"learning_rate": 0.1, "momentum": 0.9, "rho": 0.8, "beta1": 0.9, "beta2": 0.99}
        at |= {"epsilon": 1e-3, "k": int(rng.integers(1, 9))}
        theta, g, h, v, m, k = (at[key] for key in ("theta", "g", "h", "v", "m", "k"))
        if name == "momentum":
            yield "v", "i", at, 0.9 * v + g
            yield "theta", "i", at, theta - 0.1 * v
        if name == "adagrad":
            yield "h", "i", at, h + g * g
        if name == "rmsprop":
            yield "h", "i", at, 0.8 * h + 0.2 * g * g
        if name in ("adagrad", "rmsprop"):
            yield "theta", "i", at, theta - 0.1 * g / (np.sqrt(h) + 1e-3)
        if name == "adam":
            yield "m", "i", at, 0.9 * m + 0.1 * g
            yield "v", "i", at, 0.99 * v + 0.01 * g * g
            unbiased = np.sqrt(v / (1 - 0.99**k)) + 1e-3
            yield "theta", "i", at, theta - 0.1 * (m / (1 - 0.9**k)) / unbiased

    return draw


CHECKS: dict[str, Draw] = {
    **{name: activation(name) for name in CURVES},
    "softmax": draw_softmax,
    "softmax-cross-entropy": draw_softmax_entropy,
    "cross-entropy": draw_cross_entropy,
    "logistic": draw_logistic,
    "delta": draw_delta,
    "bias": draw_bias,
    "backprop-chain": draw_chain,
    "forward-3-2-3": draw_forward,
    "convolution": draw_convolution,
    "pooling": draw_pooling,
    "maxout": draw_maxout,
    "dropout": draw_dropout,
    "batch-norm": draw_batch_norm,
    "or": network((2, 1), (True,)),
    "xor-backprop": network((2, 3, 1), (True, False)),
    "mnist-mlp": network((3, 2, 2, 3), (True,) * 3, last_softmax=True),
    **{name: optimizer(name) for name in ("momentum", "adagrad", "rmsprop", "adam")},
}
GIVEN = {"mnist-mlp": ["layers=3,2,2,3"]}


@pytest.mark.parametrize("id", CHECKS)
def test_every_formula_holds_at_random_points(id: str) -> None:
    found = topic(id, GIVEN.get(id, ()))
    rng = np.random.default_rng(sum(map(ord, id)))
    checked: set[str] = set()
    for _point in range(POINTS):
        for name, free, arrays, expected in CHECKS[id](rng):
            expected = np.asarray(expected, dtype=float)
            shape = tuple(expected.shape)
            left = access(tensor("result", *shape), *(index(letter) for letter in free))
            value = evaluate(Equation(left, found.formulas[name]), arrays)
            scale = max(1.0, float(np.abs(expected).max(initial=0)))
            assert np.allclose(value, expected, rtol=0, atol=2e-7 * scale), (name, value, expected)
            checked.add(name)
    assert checked == set(found.formulas), "a formula of the topic that nothing checks"
