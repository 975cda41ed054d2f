"""Derivations evaluated: equations in order, gradients held against differences, numbers and reasons."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from equations import Arrays, spec

from chainrule.derive.derivation import Derivation
from chainrule.derive.differentiate import cotangent
from chainrule.derive.interpret import evaluate
from chainrule.derive.library import ACTIVATIONS, OPTIMIZERS, Formula, Loss
from chainrule.derive.model import Spec
from chainrule.derive.numbering import NumberedEquation

BATCH = 3
ROLES = ("definition", "forward", "loss", "backward", "update")
OWN = {
    "sharp": Formula("x * sigmoid(beta * x)", {"beta": 1.5}),
    "bent": Formula("where(x > 0.25, sqrt(x), x + 0.25)"),
    "hard": Formula("max(-1, min(1, x))"),
    "bump": Formula("exp(-x**2 / 2)"),
    "soft": Formula("softplus(x) - log(2)"),
    "split": Formula("x / (1 + abs(x))"),
}
OWN_LOSSES = {
    "huberish": Loss("sqrt(1 + (y - t)**2) - 1"),
    "quartic": Loss("(y - t)**4 / 4"),
    "logcosh": Loss("log(cosh(y - t))"),
    "pinball": Loss("max(q * (t - y), (q - 1) * (t - y))", {"q": 0.3}),
}


def given(derivation: Derivation, seed: int) -> Arrays:
    """Return random inputs, targets, parameters, statistics and noise."""
    rng = np.random.default_rng(seed)
    network = derivation.network
    arrays: Arrays = {"N": np.array(BATCH), "x": rng.uniform(-1.5, 1.5, (BATCH, *network.spec.input_shape))}
    for parameter in network.parameters:
        arrays[parameter.name] = rng.uniform(-1.2, 1.2, parameter.shape)
    for statistic in network.statistics:
        arrays[statistic.name] = rng.uniform(0.5, 1.5, statistic.shape)
    for noise in network.noise:
        arrays[noise.name] = (rng.random((BATCH, *noise.shape)) < float(noise.probability)).astype(float)
    if network.labels:
        arrays["t"] = rng.integers(0, network.output_shape[-1], BATCH)
    else:
        arrays["t"] = rng.uniform(0.05, 0.95, (BATCH, *network.output_shape))
    return arrays


def run(
    derivation: Derivation, arrays: Arrays, *roles: str, computed: bool = False, mode: str = "training"
) -> Arrays:
    """Return the arrays with those of every equation of the roles in a mode, evaluated in order."""
    arrays = dict(arrays)
    for numbered in derivation.role(*roles):
        if numbered.mode not in ("both", mode):
            continue
        form = numbered.computed if computed else numbered.equation
        arrays[numbered.symbol] = evaluate(form, arrays)
    return arrays


def loss(derivation: Derivation, arrays: Arrays) -> float:
    return float(run(derivation, arrays, "definition", "forward", "loss")["E"])


def check_forms(derivation: Derivation, arrays: Arrays) -> Arrays:
    """Evaluate every equation in its textbook form and in its computed form; return the values.

    A compact form must give what the long one gave.
    """
    values = dict(arrays)
    for numbered in derivation.role("definition", "forward", "loss", "backward"):
        if numbered.mode == "evaluation":
            continue
        textbook = evaluate(numbered.equation, values)
        computed = evaluate(numbered.computed, values)
        scale = max(1.0, float(np.max(np.abs(textbook))))
        assert np.max(np.abs(textbook - computed)) <= 1e-12 * scale, str(numbered)
        if numbered.symbol in values:
            assert np.max(np.abs(textbook - values[numbered.symbol])) <= 1e-11 * scale, str(numbered)
        values[numbered.symbol] = textbook
    return values


def check_gradients(derivation: Derivation, arrays: Arrays, most: int = 4) -> None:
    """Hold every gradient (of x too) against central differences of the loss."""
    values = check_forms(derivation, arrays)
    rng = random.Random(0)
    for name in ("x", *(p.name for p in derivation.network.parameters)):
        gradient = values[cotangent(name)]
        assert gradient.shape == arrays[name].shape
        positions = list(np.ndindex(*gradient.shape))
        greatest = np.unravel_index(np.argmax(np.abs(gradient)), gradient.shape)
        for position in [greatest, *rng.sample(positions, min(most - 1, len(positions)))]:
            ends = []
            for step in (1e-5, -1e-5):
                moved = arrays[name].copy()
                moved[position] += step
                ends.append(loss(derivation, {**arrays, name: moved}))
            reference = (ends[0] - ends[1]) / 2e-5
            found = float(gradient[position])
            assert abs(found - reference) <= 1e-7 * max(1.0, abs(reference)), f"d{name}{position}"


def check_book(derivation: Derivation) -> None:
    """Numbers run from 1, roles are in order, reasons are earlier numbers, what is read is there already."""
    equations = derivation.equations
    assert [e.number for e in equations] == list(range(1, len(equations) + 1))
    assert [e.role for e in equations] == sorted((e.role for e in equations), key=ROLES.index)
    assert all(derivation.equation(e.number) is e for e in equations)
    network = derivation.network
    known = {"x", "t", *(p.name for p in (*network.parameters, *network.statistics, *network.noise))}
    before: dict[str, NumberedEquation] = {}
    evaluated: dict[str, NumberedEquation] = {}
    for e in equations:
        assert len(set(e.because)) == len(e.because)
        assert all(1 <= number < e.number for number in e.because), str(e)
        assert e.rule
        assert e.computed.left == e.equation.left
        if e.role == "update":
            continue
        there = {**before, **evaluated} if e.mode == "evaluation" else before
        for name in {*e.equation.reads(), *e.computed.reads()}:
            assert name in known or name in there, f"{e} reads {name}"
            if name in there:
                assert there[name].number in e.because or e.role == "backward", f"{e} for {name}"
        if e.mode == "evaluation":
            assert e.symbol in before and e.symbol not in evaluated and e.role == "forward"
            evaluated[e.symbol] = e
            continue
        assert e.symbol not in before or before[e.symbol].shown_only, f"{e.symbol} twice"
        assert not (e.symbol in before and e.shown_only)
        before[e.symbol] = e
        free = {str(s) for s in e.equation.right.free_symbols if not s.is_symbol or s.is_integer}
        allowed = {"N", *map(str, e.equation.free), *map(str, e.equation.left.base.shape)}
        assert not {s for s in free if "[" not in s} - allowed, f"{e}: unbound {free - allowed}"
    for parameter in derivation.network.parameters:
        found = [e for e in equations if e.symbol == cotangent(parameter.name)]
        assert [e.role for e in found] == ["backward"]
        assert tuple(map(int, found[0].equation.left.base.shape)) == parameter.shape


SMOOTH = ("identity", "sigmoid", "tanh", "softplus", "gelu", "swish", "sharp", "bump", "soft")
KINKED = ("relu", "leaky_relu", "elu", "bent", "hard", "split")


def random_spec(seed: int) -> Spec:
    rng = random.Random(seed)
    names = (*SMOOTH, *KINKED)
    layers: list[Any] = []
    for _ in range(rng.randint(1, 4)):
        layers.append(("dense", {"units": rng.randint(1, 5), "bias": rng.random() < 0.7}))
        options = {"slope": rng.choice((0.01, 0.3, -0.2)), "alpha": rng.choice((0.5, 1.0, 2.0))}
        for name in rng.sample(names, rng.choice((0, 1, 1, 1, 2))):
            constants = (ACTIVATIONS | OWN)[name].constants
            layers.append((name, {k: v for k, v in options.items() if k in constants}))
        if rng.random() < 0.1:
            layers.append("softmax")
    end = rng.choice(("softmax", "softmax", "sigmoid", "plain", "plain", "tanh"))
    units = rng.randint(1, 5) if end != "softmax" else rng.randint(2, 5)
    layers += [("dense", {"units": units, "bias": rng.random() < 0.8})]
    layers += [] if end == "plain" else [end]
    losses = ["mse", "mae", *OWN_LOSSES]
    losses += ["cross_entropy"] * 6 if end == "softmax" else []
    losses += ["binary_cross_entropy"] * {"softmax": 1, "sigmoid": 6}.get(end, 0)
    return spec(
        layers,
        rng.choice(losses),
        inputs=rng.choice(((1,), (2,), (4,), (2, 2), (2, 1, 3))),
        reduction=rng.choice(("mean", "sum")),
        l2=rng.choice((0.0, 0.0, 0.01, 0.3)),
        optimizer=rng.choice(tuple(OPTIMIZERS)),
        activations=OWN,
        losses=OWN_LOSSES,
    )
