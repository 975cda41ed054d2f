"""Random values of the formulas that topics of activations, layers and windows show."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from by_hand import convolved, difference, sigma, softmax

Check = tuple[str, str, dict[str, Any], Any]
Draw = Callable[[np.random.Generator], Iterator[Check]]
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
