"""The walk back through a network: what reaches a tensor, and what would be lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from cases.own_layers import (
    NET,
    J,
    K,
    N,
    T,
    check_gradients,
    computed,
    dense,
    j,
    k,
    layer,
    n,
    program,
    spec_of,
    t,
    values,
)
from sympy import Expr, exp, tanh

from chainrule.derive.backward import Backward
from chainrule.derive.compact import compact_gradient, cotangents
from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.differentiate import CannotDifferentiate
from chainrule.derive.index import Equation, Sum, cotangent, tensor
from chainrule.derive.interpret import evaluate
from chainrule.derive.layers.layer import Forward, Parameter
from chainrule.derive.network import Instance, Network, build_network
from chainrule.derive.numbering import Book
from chainrule.derive.output import Output
from chainrule.spec import parse_spec

# ---- M2: what would be lost ------------------------------------------------------------------------


def recurrent(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    x, h = tensor("x", N, T, J), tensor("h", N, T, K)
    U, W = tensor("U", K, K), tensor("W", K, J)
    own = Sum(U[k, j] * h[n, t - 1, j], (j, K)) + Sum(W[k, j] * x[n, t, j], (j, J))
    parameters = tuple(Parameter(p, (2, w), "weight", w, 2, "he_normal") for p, w in (("U", 2), ("W", 2)))
    return Forward((Equation(h[n, t, k], tanh(own)),), {T: shape[0], J: shape[1], K: 2}, parameters)


def disordered(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    x, a, h, y = (tensor(name, N, K) for name in "xahy")
    equations = (
        Equation(h[n, k], tanh(a[n, k])),
        Equation(a[n, k], 3 * x[n, k]),
        Equation(y[n, k], 2 * h[n, k]),
    )
    return Forward(equations, {K: shape[0]})


def test_m2_a_layer_that_reads_its_own_output_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    layer(monkeypatch, recurrent, rank=2)
    with pytest.raises(CannotDifferentiate, match=r"equation \(2\), .*reads z1, which it defines itself"):
        derive_network(spec_of("own", shape=(3, 2)))


def test_m2_equations_in_the_wrong_order_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    layer(monkeypatch, disordered)
    with pytest.raises(CannotDifferentiate, match=r"equation \(2\), .*reads h0_2, which no equation before"):
        derive_network(spec_of("own"))


def test_m2_evaluation_alone_must_stand_in_order_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
        x, y = tensor("x", N, K), tensor("y", N, K)
        training = (Equation(y[n, k], x[n, k]),)
        u = tensor("u", N, K)
        evaluation = (Equation(y[n, k], x[n, k] + u[n, k]), Equation(u[n, k], 2 * x[n, k]))
        return Forward(training, {K: shape[0]}, evaluation=evaluation)

    layer(monkeypatch, own)
    with pytest.raises(CannotDifferentiate, match=r"equation \(3\), .*reads u0, which no equation before"):
        derive_network(spec_of("own"))


def added(network: Network, place: int, other: str) -> Network:
    """Return a network whose layer at a place, an activation, adds another tensor to its input instead."""
    old = network.layers[place].instances[0]
    widths = tuple(old.template.left.base.shape[1:])
    x, x1, y = (tensor(name, N, *widths) for name in ("x", "x1", "y"))
    template = Equation(y[n, k], x[n, k] + x1[n, k])
    instance = Instance(template, {**old.names, "x1": other}, old.sizes)
    return _with(network, place, (instance,))


def rerouted(network: Network, place: int, new: str) -> Network:
    """Return a network whose layer at a place takes another input."""
    layer = network.layers[place]
    old = layer.instances[0].names["x"]
    instances = tuple(
        replace(i, names={local: new if name == old else name for local, name in i.names.items()})
        for i in layer.instances
    )
    return _with(network, place, instances)


def _with(network: Network, place: int, instances: tuple[Instance, ...]) -> Network:
    layers = list(network.layers)
    layers[place] = replace(layers[place], instances=instances)
    return replace(network, layers=tuple(layers))


def test_m2_what_the_walk_leaves_uncollected_is_an_error() -> None:
    """The walk's own net, where nobody looked at the order: a layer that reads what a later one makes."""
    network = added(build_network(spec_of("identity", units=3)), 1, "z1")
    book = Book()
    for instance in network.forward:
        book.add("forward", instance.equation, instance.equation, (), "forward")
    for instance in network.losses:
        book.add("loss", instance.equation, instance.equation, (), "loss")
    with pytest.raises(CannotDifferentiate, match=r"equation \(2\), .* reads z1, .* would be lost"):
        Backward(network, book, Output(network)).walk()


def test_m2_a_parameter_that_only_a_penalty_or_one_equation_reads_gets_its_gradient(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """u = V and nothing else: the cotangent of u goes into that of V, which must still be written down."""

    def own(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
        x, y = tensor("x", N, K), tensor("y", N, K)
        u, V = tensor("u", K), tensor("V", K)
        width = shape[0]
        parameters = (
            Parameter("V", (width,), "weight", width, width, "ones"),
            Parameter("idle", (width,), "weight", width, width, "ones"),
        )
        return Forward((Equation(u[k], V[k]), Equation(y[n, k], x[n, k] * u[k])), {K: width}, parameters)

    layer(monkeypatch, own)
    text = NET.format(shape=[3], layers='[[layers]]\ntype = "own"', units=2) + "l2 = 0.1\n"
    spec = parse_spec(text, "net.toml")
    rng = np.random.default_rng(0)
    check_gradients(program(spec, tmp_path), rng.normal(size=(4, 3)), rng.normal(size=(4, 2)))
    with pytest.raises(CannotDifferentiate, match="the loss does not depend on idle1"):
        derive_network(parse_spec(text.replace("l2 = 0.1", ""), "net.toml"))


# ---- M3: what several layers read ------------------------------------------------------------------


def check_differences(derivation: Derivation, found: Mapping[str, Any]) -> None:
    """Hold every gradient against a central difference along a direction in which all its entries count."""
    names = ["x", *(p.name for p in derivation.network.parameters)]
    given = {name: found[name] for name in (*names, "t", "N")}
    for name in names:
        along = np.random.default_rng(len(name)).normal(size=found[name].shape)
        ends = [
            float(computed(derivation, {**given, name: found[name] + step * along}, "forward", "loss")["E"])
            for step in (1e-6, -1e-6)
        ]
        wanted = (ends[0] - ends[1]) / 2e-6
        assert (found[cotangent(name)] * along).sum() == pytest.approx(wanted, rel=1e-5, abs=1e-8), name


SHARED: dict[str, Callable[[Network], Network]] = {
    # the norm reads z1, and so does a sum behind it
    "by a later layer": lambda network: added(network, 4, "z1"),
    # the norm reads z1 in place of z2, which a sum behind it reads: z1 is read by a layer before the norm
    "by an earlier layer": lambda network: added(rerouted(network, 3, "z1"), 4, "z2"),
    "by layers on both sides": lambda network: added(added(rerouted(network, 3, "z1"), 4, "z2"), 5, "z1"),
    "the input itself": lambda network: added(added(rerouted(network, 3, "a0"), 4, "z1"), 5, "z2"),
}


@pytest.mark.parametrize(
    ("shared", "kind"), [*((shared, "batch_norm") for shared in SHARED), ("by a later layer", "layer_norm")]
)
def test_m3_a_compact_gradient_is_added_to_what_else_reaches_the_tensor(
    shared: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(dense(3), dense(3), kind, "identity", "identity", "tanh")
    network = SHARED[shared](build_network(spec))
    monkeypatch.setattr("chainrule.derive.deriving.build_network", lambda spec: network)
    derivation = derive_network(spec)
    found = values(derivation, 4)
    check_differences(derivation, found)
    longs = [name for name in found if name.startswith("long of ")]
    if shared == "the input itself":  # ∂E/∂a0 is shown in its long form, and goes into ∂E/∂x
        np.testing.assert_allclose(found[cotangent("a0")], found[cotangent("x")], rtol=1e-8, atol=1e-12)
    else:
        assert longs, "no long form is shown"
    for name in longs:
        np.testing.assert_allclose(found[name], found[name.removeprefix("long of ")], rtol=1e-8, atol=1e-12)


def test_m3_what_another_gradient_reads_is_not_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A parameter inside the root: its gradient reads ∂E/∂x̂, which the compact one of x does not need."""

    def own(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
        x, xhat, y = (tensor(name, N, K) for name in ("x", "xhat", "y"))
        mu, v, s = (tensor(name, K) for name in ("mu", "v", "s"))
        equations = (
            Equation(mu[k], Sum(x[n, k], (n, N)) / N),
            Equation(v[k], Sum((x[n, k] - mu[k]) ** 2, (n, N)) / N),
            Equation(xhat[n, k], (x[n, k] - mu[k]) / sympy.sqrt(v[k] + exp(s[k]))),
            Equation(y[n, k], 2 * xhat[n, k]),
        )
        width = shape[0]
        return Forward(equations, {K: width}, (Parameter("s", (width,), "scale", width, width, "zeros"),))

    layer(monkeypatch, own)
    rng = np.random.default_rng(2)
    module = program(spec_of(dense(3), "own"), tmp_path)
    check_gradients(module, rng.normal(size=(4, 3)), rng.normal(size=(4, 2)))


def standardizing(body: Expr) -> tuple[Equation, ...]:
    """x̂ from x, and an output that may read both."""
    x, xhat, y = (tensor(name, N, K) for name in ("x", "xhat", "y"))
    mu, v = tensor("mu", K), tensor("v", K)
    return (
        Equation(mu[k], Sum(x[n, k], (n, N)) / N),
        Equation(v[k], Sum((x[n, k] - mu[k]) ** 2, (n, N)) / N),
        Equation(xhat[n, k], (x[n, k] - mu[k]) / sympy.sqrt(v[k] + 1)),
        Equation(y[n, k], body),
    )


X, XHAT = tensor("x", N, K), tensor("xhat", N, K)


def test_a_compact_form_that_still_reads_the_input_is_none() -> None:
    """x = μ + x̂ √(v + ε) holds within the box of x alone: x[n − 1] stays, and so there is no shorter form."""
    compact = compact_gradient(standardizing(XHAT[n, k]))
    assert compact is not None and "x" not in compact.equation.reads()
    assert compact_gradient(standardizing(XHAT[n, k] * X[n, k] * X[n - 1, k])) is None


def test_a_compact_form_is_the_long_one_beyond_the_box_too() -> None:
    """Where the output reads x[n − 1] beside x̂, it reads 0 for the first sample, no μ + x̂ √(v + ε)."""
    equations = standardizing(XHAT[n, k] * X[n - 1, k])
    compact = compact_gradient(equations)
    assert compact is not None
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {"x": rng.normal(size=(4, 2)), cotangent("y"): rng.normal(size=(4, 2))}
    for equation in equations:
        found[equation.name] = evaluate(equation, found)
    known = cotangents(equations)
    for name in ("xhat", "v", "mu"):
        found[cotangent(name)] = evaluate(known[cotangent(name)], found)
    np.testing.assert_allclose(
        evaluate(compact.equation, found), evaluate(known[cotangent("x")], found), rtol=1e-10
    )


def test_m6_a_constant_on_one_of_two_ways_takes_nothing_from_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """z1 goes through a step and beside it: the gradient is that of the way beside it."""
    spec = spec_of(dense(3), "step", "identity")
    network = added(build_network(spec), 3, "z1")
    monkeypatch.setattr("chainrule.derive.deriving.build_network", lambda spec: network)
    derivation = derive_network(spec)
    check_differences(derivation, values(derivation, 1))


@pytest.mark.parametrize("divisor", [N, N + 1, N + 3])
@pytest.mark.parametrize("width", [None, K], ids=["factor 2", "factor per feature"])
def test_m2_the_loss_goes_into_what_it_reads_only_where_the_compact_form_reads_none_of_it(
    divisor: Expr, width: Expr | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """x̂ is standardized by a spread with any divisor; its gradient reads the cotangents that have a line."""

    def own(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
        x, mean, spread = tensor("x", N, K), tensor("m", K), tensor("s", K)
        standard, y, slope = tensor("h", N, K), tensor("y", N, K), tensor("gain", K)
        equations = (
            Equation(mean[k], Sum(x[n, k], (n, N)) / N),
            Equation(spread[k], Sum((x[n, k] - mean[k]) ** 2, (n, N)) / divisor),
            Equation(standard[n, k], (x[n, k] - mean[k]) / sympy.sqrt(spread[k] + sympy.Rational(1, 1000))),
            Equation(y[n, k], standard[n, k] * (slope[k] if width is not None else 2)),
        )
        parameters = (Parameter("gain", (shape[0],), "weight", 1, 1, "ones"),) if width is not None else ()
        return Forward(equations, {K: shape[0]}, parameters)

    layer(monkeypatch, own)
    text = NET.format(shape=[3], layers="", units=2).replace("[loss]", '[[layers]]\ntype = "own"\n[loss]')
    rng = np.random.default_rng(0)
    module = program(parse_spec(text, "net.toml"), tmp_path)
    check_gradients(module, rng.normal(size=(4, 3)), rng.normal(size=(4, 2)))
