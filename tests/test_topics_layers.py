"""Every formula of the topics of layers holds at 20 random points, against NumPy and finite differences.

``CHECKS`` has a function for each topic.  It draws a point and yields the name of a formula, its free
indices, the arrays it reads, and what it must give; what it must give is computed here, by other means.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from by_hand import convolved, difference, sigma, softmax

from chainrule.derive.index import Equation, access, cotangent, index, tensor
from chainrule.derive.interpret import evaluate
from chainrule.lectures import topic

Check = tuple[str, str, dict[str, Any], Any]
Draw = Callable[[np.random.Generator], Iterator[Check]]
POINTS = 20


# ---- Activations -----------------------------------------------------------------------------------------

CURVES: dict[str, Callable[[float], float]] = {
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "relu": lambda x: max(0.0, x),
    "leaky-relu": lambda x: x if x > 0 else 0.1 * x,
    "elu": lambda x: x if x > 0 else 1.3 * (math.exp(x) - 1),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "gelu": lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2)),
    "swish": lambda x: x / (1 + math.exp(-x)),
    "step": lambda x: float(x > 0),
}


def activation(name: str) -> Draw:
    def draw(rng: np.random.Generator) -> Iterator[Check]:
        x = rng.uniform(0.05, 3) * rng.choice([-1, 1])
        f = CURVES[name]
        at = {"x": x, "y": f(x), "alpha": 1.3}
        slope = difference(lambda v: f(float(v)), x)
        yield "y", "", at, f(x)
        yield "dy/dx", "", at, slope
        if name not in ("softplus", "gelu", "swish", "step"):
            yield "dy/dx through y", "", at, slope

    return draw


# ---- Softmax and likelihood ------------------------------------------------------------------------------


def draw_softmax(rng: np.random.Generator) -> Iterator[Check]:
    z = rng.normal(size=4)
    y = softmax(z)
    jacobian = np.array([difference(lambda v, k=k: softmax(v)[k], z) for k in range(4)])
    at = {"z": z, "y": y}
    yield "y", "i", at, y
    yield "dy_i/dz_j", "ij", at, jacobian
    yield "dy_i/dz_i", "i", at, np.diag(jacobian)
    off = jacobian - np.diag(np.diag(jacobian) + y**2)  # −y_i² where i = j, which the formula gives there
    yield "dy_i/dz_j, i ≠ j", "ij", at, off
    yield "sum", "", at, y.sum()
    yield "row sum", "", at, jacobian.sum(axis=0).max()
    yield "shift", "i", at, softmax(z + rng.normal())


def draw_softmax_entropy(rng: np.random.Generator) -> Iterator[Check]:
    z, t = rng.normal(size=4), rng.dirichlet(np.ones(4))
    p = softmax(z)
    at = {"z": z, "t": t, "p": p}
    yield "p", "i", at, p
    yield "dp_i/dz_j", "ij", at, np.array([difference(lambda v, k=k: softmax(v)[k], z) for k in range(4)])
    yield "E", "", at, -t @ np.log(p)
    yield "dE/dz_j", "j", at, difference(lambda v: -t @ np.log(softmax(v)), z)


def entropy(y: Any, p: Any) -> float:
    return float(-np.log(np.prod(np.where(y == 1, p, 1 - p))))


def draw_cross_entropy(rng: np.random.Generator) -> Iterator[Check]:
    p, y = rng.uniform(0.1, 0.9, 5), rng.integers(0, 2, 5).astype(float)
    yield "E", "", {"p": p, "y": y}, entropy(y, p)
    yield "dE/dp_i", "i", {"p": p, "y": y}, difference(lambda v: entropy(y, v), p)


def draw_logistic(rng: np.random.Generator) -> Iterator[Check]:
    x, y = rng.normal(size=5), rng.integers(0, 2, 5).astype(float)
    w, b = rng.normal(size=2)

    def cost(w: float, b: float) -> float:
        return entropy(y, sigma(w * x + b))

    S = sigma(w * x + b)
    at = {"x": x, "y": y, "S": S, "z": w * x + b, "w": w, "b": b}
    yield "z", "i", at, w * x + b
    yield "S", "i", at, S
    yield "C", "", at, cost(w, b)
    yield "dC/dz", "i", at, difference(lambda z: entropy(y, sigma(z)), w * x + b)
    yield "dC/db", "", at, difference(lambda v: cost(w, v), b)
    yield "dC/dw", "", at, difference(lambda v: cost(v, b), w)


# ---- Layers ----------------------------------------------------------------------------------------------


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


# ---- Windows ---------------------------------------------------------------------------------------------


def draw_convolution(rng: np.random.Generator) -> Iterator[Check]:
    for rank, free, entries in ((1, "i", "k"), (2, "ij", "kl")):
        m, p = int(rng.integers(2, 4)), int(rng.integers(0, 3))
        x, w = rng.normal(size=(6, 7)[:rank]), rng.normal(size=(m,) * rank)
        suffix = "" if rank == 1 else ", 2-D"
        for flip in (True, False):
            y = convolved(x, w, p, flip)
            dy = rng.normal(size=y.shape)
            at = {"x": x, "w": w, "d y": dy, "m": m, "p": p, "s": 1, "d": 1}
            kind = suffix if flip else f", cross-correlation{suffix}"
            yield f"y{kind}, padding p", free, at, y
            dx = difference(lambda v, f=flip, w=w, p=p, d=dy: (d * convolved(v, w, p, f)).sum(), x)
            dw = difference(lambda v, f=flip, x=x, p=p, d=dy: (d * convolved(x, v, p, f)).sum(), w)
            yield f"dE/dx{kind}", free, at, dx
            yield f"dE/dw{kind}", entries, at, dw
    x, w = rng.normal(size=6), rng.normal(size=3)
    yield "y", "i", {"x": x, "w": w}, np.convolve(x, w)
    stride, gap = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    wide = np.zeros((len(w) - 1) * gap + 1)
    wide[::gap] = w
    at = {"x": x, "w^r": w[::-1].copy(), "w": w, "m": 3, "p": 1, "s": stride, "d": gap}
    yield "y, cross-correlation", "i", at, np.convolve(np.pad(x, 1), wide, "valid")[::stride]
    n, p = int(rng.integers(5, 40)), int(rng.integers(0, 3))
    m, s = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    fits = sum(1 for start in range(0, n + 2 * p, s) if start + m <= n + 2 * p)
    sizes = {"n": n, "m": m, "p": p, "s": s}
    yield "size", "", sizes, fits
    yield "size, valid", "", sizes, len(np.convolve(np.ones(n), np.ones(m), "valid"))
    yield "size, same", "", sizes, n
    yield "size, full", "", sizes, len(np.convolve(np.ones(n), np.ones(m), "full"))


def draw_pooling(rng: np.random.Generator) -> Iterator[Check]:
    x, dy = rng.normal(size=(6, 6)), rng.normal(size=(3, 3))

    def blocks(v: Any) -> Any:
        return v.reshape(3, 2, 3, 2).transpose(0, 2, 1, 3).reshape(3, 3, 4)

    at = {"x": x, "d y": dy, "K": 2}
    yield "max", "ij", at, blocks(x).max(axis=2)
    yield "mean", "ij", at, blocks(x).mean(axis=2)
    yield "dE/dx, max", "pq", at, difference(lambda v: (dy * blocks(v).max(axis=2)).sum(), x)
    yield "dE/dx, mean", "pq", at, difference(lambda v: (dy * blocks(v).mean(axis=2)).sum(), x)
    yield "dy/dx, mean", "", at, 1 / 4
    winners = (blocks(x).argmax(axis=2)[..., None] == np.arange(4)).reshape(3, 3, 2, 2).astype(float)
    yield "dy/dx, max", "ijuv", at, winners


def draw_maxout(rng: np.random.Generator) -> Iterator[Check]:
    w, b, x, dy = rng.normal(size=(2, 2)), rng.normal(size=2), rng.normal(size=2), rng.normal()
    h = w @ x + b

    def error(w: Any, b: Any, x: Any) -> float:
        return float(dy * max(w @ x + b))

    at = {"w": w, "b": b, "x": x, "h": h, "d y": dy}
    yield "h", "q", at, h
    yield "y", "", at, max(h)
    yield "dy/dh", "q", at, difference(max, h)
    yield "dE/dw", "qj", at, difference(lambda v: error(v, b, x), w)
    yield "dE/db", "q", at, difference(lambda v: error(w, v, x), b)
    yield "dE/dx", "j", at, difference(lambda v: error(w, b, v), x)


def draw_dropout(rng: np.random.Generator) -> Iterator[Check]:
    w, x, t, rate = rng.normal(size=4), rng.normal(size=4), rng.normal(), rng.uniform(0.1, 0.8)
    q, mask, dy = 1 - rate, rng.integers(0, 2, 4).astype(float), rng.normal(size=4)
    at = {"w": w, "x": x, "t": t, "p": rate, "q": q, "m": mask, "d y": dy}
    yield "y, training", "j", at, np.where(mask == 1, x / q, 0)
    yield "mean of y", "j", at, q * (x / q) + (1 - q) * 0
    yield "y, evaluation", "j", at, x
    yield "dE/dx, training", "j", at, difference(lambda v: (dy * np.where(mask == 1, v / q, 0)).sum(), x)
    yield "dE/dx, evaluation", "j", at, dy
    yield "E", "", at, (sum(w[mask == 1] * x[mask == 1]) / q - t) ** 2

    def mean(w: Any) -> float:
        masks = np.array(list(itertools.product((0, 1), repeat=4)))
        chance = q ** masks.sum(axis=1) * (1 - q) ** (4 - masks.sum(axis=1))
        return float(chance @ ((masks @ (w * x)) / q - t) ** 2)

    yield "mean of E", "", at, mean(w)
    yield "dE/dw", "j", at, difference(mean, w)


def draw_batch_norm(rng: np.random.Generator) -> Iterator[Check]:
    x, dy = rng.normal(size=5), rng.normal(size=5)
    gamma, beta, eps = rng.normal(), rng.normal(), 1e-3

    def normal(x: Any, mu: Any = None, v: Any = None) -> Any:
        mu = np.mean(x) if mu is None else mu
        return (x - mu) / np.sqrt((np.mean((x - mu) ** 2) if v is None else v) + eps)

    mu, v = x.mean(), x.var()
    dxhat = dy * gamma
    at = {"x": x, "d y": dy, "gamma": gamma, "beta": beta, "epsilon": eps, "mu": mu, "v": v, "N": 5}
    at |= {"xhat": normal(x), "d xhat": dxhat, "mean": 0.3, "var": 1.7}
    at["d v"] = difference(lambda u: (dxhat * normal(x, mu, u)).sum(), v)
    at["d mu"] = difference(lambda u: (dxhat * normal(x, u)).sum(), mu)  # through x̂ and through v
    yield "mu", "", at, mu
    yield "v", "", at, v
    yield "xhat", "n", at, normal(x)
    yield "y", "n", at, gamma * normal(x) + beta
    yield "dE/dgamma", "", at, difference(lambda u: (dy * (u * normal(x) + beta)).sum(), gamma)
    yield "dE/dbeta", "", at, difference(lambda u: (dy * (gamma * normal(x) + u)).sum(), beta)
    yield "dE/dxhat", "n", at, dxhat
    yield "dE/dv", "", at, at["d v"]
    yield "dE/dmu", "", at, at["d mu"]
    whole = difference(lambda u: (dy * (gamma * normal(u) + beta)).sum(), x)
    yield "dE/dx, long", "n", at, whole
    yield "dE/dx, compact", "n", at, whole
    used = gamma * (x - 0.3) / math.sqrt(1.7 + eps) + beta
    yield "y, evaluation", "n", at, used
    slope = difference(lambda u: (dy * (gamma * (u - 0.3) / math.sqrt(1.7 + eps) + beta)).sum(), x)
    yield "dE/dx, evaluation", "n", at, slope


# ---- Networks --------------------------------------------------------------------------------------------


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


# ---- Optimizers ------------------------------------------------------------------------------------------


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
