"""The walk back through a network: what reaches a tensor, what would be lost, and what a cotangent is."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sympy
from cuda_on_cpu.cupy_standin import standing_in
from cuda_on_cpu.module import requires_compiler
from sympy import Expr, exp, tanh

import chainrule.derive.layers
from chainrule.cli.handout.symbols import rows
from chainrule.codegen.folder import write
from chainrule.codegen.generate import generate
from chainrule.codegen.lower.lowering import lower
from chainrule.derive.adjoint import adjoint_equation
from chainrule.derive.backward import Backward
from chainrule.derive.compact import compact_gradient, cotangents
from chainrule.derive.deriving import Derivation, derive_network
from chainrule.derive.differentiate import CannotDifferentiate
from chainrule.derive.index import Equation, Sum, cotangent, index, name_of, primal, size, tensor
from chainrule.derive.interpret import evaluate
from chainrule.derive.layers.layer import Forward, LayerType, Parameter
from chainrule.derive.model import Spec
from chainrule.derive.network import Instance, Network, build_network
from chainrule.derive.numbering import Book
from chainrule.derive.output import Output
from chainrule.present.text import index_text
from chainrule.spec import load_spec, parse_spec

HERE = Path(__file__).parent
n, t, k, j = map(index, "ntkj")
N, T, K, J = map(size, "NTKJ")
NET = """
spec_version = 1
name = "net"
[input]
shape = {shape}
{layers}
[[layers]]
type = "dense"
units = {units}
[loss]
type = "mse"
"""


def spec_of(*layers: str, shape: Sequence[int] = (3,), units: int = 2) -> Spec:
    tables = "\n".join(f'[[layers]]\ntype = "{layer}"' for layer in layers)
    return parse_spec(NET.format(shape=list(shape), layers=tables, units=units), "net.toml")


def layer(
    monkeypatch: pytest.MonkeyPatch, equations: Callable[..., Forward], name: str = "own", rank: int = 1
) -> None:
    """Declare a user's own layer."""
    monkeypatch.setitem(
        chainrule.derive.layers.LAYERS, name, LayerType(name, name, equations, input_rank=rank)
    )


def program(spec: Spec, folder: Path, *targets: str) -> ModuleType:
    """Return the generated NumPy program of a spec; the others are written beside it."""
    return loaded(write(generate(spec, set(targets)), folder, force=True) / "numpy_trainer.py")


def loaded(path: Path) -> ModuleType:
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def check_gradients(module: ModuleType, x: Any, targets: Any) -> None:
    """Hold every gradient of a program, the input's too, against central differences."""
    parameters = module.init_parameters(0, np.float64)
    for value in parameters.values():
        value += np.random.default_rng(1).normal(0, 0.3, value.shape)
    _, gradients = module.loss_and_gradients(parameters, x, targets)
    tensors = {**parameters, "x": x}
    gradients = {**gradients, "x": module.input_gradient(parameters, x, targets)}
    assert set(gradients) == {*module.PARAMETERS, "x"}
    for name, value in tensors.items():
        for at in list(np.ndindex(value.shape))[:6]:
            ends = []
            for change in (1e-6, -1e-6):
                moved = value.copy()
                moved[at] += change
                given = {**parameters, name: moved} if name != "x" else parameters
                ends.append(module.loss(given, moved if name == "x" else x, targets))
            wanted = (ends[0] - ends[1]) / 2e-6
            assert gradients[name][at] == pytest.approx(wanted, rel=1e-6, abs=1e-8), f"{name}{at}"


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
    bases = {name_of(local): base for local, base in old.bases.items()}
    new = tensor(other, *bases["x"].shape)
    template = Equation(y[n, k], x[n, k] + x1[n, k])
    instance = Instance(template, {x: bases["x"], x1: new, y: bases["y"]}, old.sizes)
    return _with(network, place, (instance,))


def rerouted(network: Network, place: int, new: str) -> Network:
    """Return a network whose layer at a place takes another input."""
    layer = network.layers[place]
    old = layer.instances[0].bases
    (x,) = (base for local, base in old.items() if name_of(local) == "x")
    change = {x: tensor(new, *x.shape)}
    instances = tuple(
        replace(i, bases={local: change.get(base, base) for local, base in i.bases.items()})
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


def values(derivation: Derivation, seed: int) -> dict[str, Any]:
    """Return every tensor's value, a compact form under its own name and the long one as "long of …"."""
    rng, network = np.random.default_rng(seed), derivation.network
    found: dict[str, Any] = {p.name: rng.normal(size=p.shape) for p in network.parameters}
    found |= {"x": rng.normal(size=(3, *network.spec.input_shape)), "N": np.array(3)}
    found |= {"t": rng.normal(size=(3, *network.output_shape))}
    return computed(derivation, found)


def computed(derivation: Derivation, given: Mapping[str, Any], *roles: str) -> dict[str, Any]:
    found = dict(given)
    for e in derivation.role("definition", *(roles or ("forward", "loss", "backward"))):
        if e.mode != "evaluation":
            long = e.shown_only and e.symbol in {later.symbol for later in derivation.equations[e.number :]}
            found[f"long of {e.symbol}" if long else e.symbol] = evaluate(e.equation, found)
    return found


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


def dense(units: int) -> str:
    return f'dense"\nunits = {units}\n#"'


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
    compact = compact_gradient(standardizing(XHAT[n, k]), adjoint_equation)
    assert compact is not None and "x" not in compact.equation.reads()
    assert compact_gradient(standardizing(XHAT[n, k] * X[n, k] * X[n - 1, k]), adjoint_equation) is None


def test_a_compact_form_is_the_long_one_beyond_the_box_too() -> None:
    """Where the output reads x[n − 1] beside x̂, it reads 0 for the first sample, no μ + x̂ √(v + ε)."""
    equations = standardizing(XHAT[n, k] * X[n - 1, k])
    compact = compact_gradient(equations, adjoint_equation)
    assert compact is not None
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {"x": rng.normal(size=(4, 2)), cotangent("y"): rng.normal(size=(4, 2))}
    for equation in equations:
        found[equation.name] = evaluate(equation, found)
    known = cotangents(equations, adjoint_equation)
    for name in ("xhat", "v", "mu"):
        found[cotangent(name)] = evaluate(known[cotangent(name)], found)
    np.testing.assert_allclose(
        evaluate(compact.equation, found), evaluate(known[cotangent("x")], found), rtol=1e-10
    )


# ---- M5, M6: targets alone, no targets, constants ---------------------------------------------------


@pytest.mark.parametrize("name", ["linear_loss", "loss_without_t"])
def test_m5_a_derivative_that_is_t_and_a_loss_without_t_train(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    module = program(load_spec(HERE / f"{name}.toml"), tmp_path)
    x, targets = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    check_gradients(module, x, targets)
    parameters = module.init_parameters(0, np.float64)
    losses = [module.train_step(parameters, x, targets, {}) for _ in range(5)]
    assert losses == sorted(losses, reverse=True) and losses[0] > losses[-1]


@requires_compiler
@pytest.mark.parametrize("name", ["linear_loss", "loss_without_t"])
def test_m5_in_cuda_too(name: str, tmp_path: Path) -> None:
    spec = load_spec(HERE / f"{name}.toml")
    numpy = program(spec, tmp_path, "cuda")
    rng = np.random.default_rng(0)
    x, targets = rng.normal(size=(10, 3)), rng.normal(size=(10, 2))
    theirs = numpy.init_parameters(1, np.float64)
    losses = list(numpy.train(theirs, x, targets, 2, 5, seed=2))
    with standing_in(order=2):
        cuda = loaded(tmp_path / spec.name / "cuda" / "trainer.py")
        for mode in cuda.MODES:
            ours = cuda.init_parameters(1, np.float64)
            assert list(cuda.train(ours, x, targets, 2, 5, seed=2, mode=mode)) == pytest.approx(losses)
            for key, value in theirs.items():
                np.testing.assert_allclose(np.asarray(ours[key].get()), value, rtol=1e-10)


def test_m6_an_input_that_the_loss_does_not_depend_on_has_a_gradient_of_zeros(tmp_path: Path) -> None:
    spec = load_spec(HERE / "constant_first.toml")
    last = derive_network(spec).role("backward")[-1]
    assert last.symbol == cotangent("x") and last.equation.right == 0
    module = program(spec, tmp_path)
    x, targets = np.ones((4, 3)), np.ones((4, 2))
    found = module.input_gradient(module.init_parameters(0), x, targets)
    assert found.shape == x.shape and not found.any()
    check_gradients(module, x, targets)


@pytest.mark.parametrize("formula", ["x / x", "x - x", "sign(x)", "floor(x) * 0.5"])
def test_m6_a_parameter_before_a_constant_is_an_error_that_names_it(formula: str) -> None:
    layers = '[[layers]]\ntype = "dense"\nunits = 3\n[[layers]]\ntype = "flat"\n'
    text = NET.format(shape=[3], layers=layers, units=2) + f'[activations.flat]\nformula = "{formula}"\n'
    with pytest.raises(CannotDifferentiate, match="W1"):
        derive_network(parse_spec(text, "net.toml"))


def test_m6_a_constant_on_one_of_two_ways_takes_nothing_from_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """z1 goes through a step and beside it: the gradient is that of the way beside it."""
    spec = spec_of(dense(3), "step", "identity")
    network = added(build_network(spec), 3, "z1")
    monkeypatch.setattr("chainrule.derive.deriving.build_network", lambda spec: network)
    derivation = derive_network(spec)
    check_differences(derivation, values(derivation, 1))


@pytest.mark.parametrize("formula", ["y - y + t ** 2", "floor(y) + t"])
def test_m6_a_loss_that_does_not_depend_on_the_output_is_an_error(formula: str) -> None:
    text = NET.format(shape=[3], layers="", units=2).replace('"mse"', '"own"')
    with pytest.raises(CannotDifferentiate, match="W1"):
        derive_network(parse_spec(f'{text}[losses.own]\nformula = "{formula}"\n', "net.toml"))


# ---- What a cotangent is ---------------------------------------------------------------------------

HOSTILE = ("d", "dz", "delta", "zeta", "z", "a", "E", "beta", "dz1", "W1", "expm", "x1", "d_z")


def hostile(name: str) -> Callable[..., Forward]:
    """A layer with a tensor and a parameter of hostile names: h = s x + W, y = h²."""

    def own(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
        x, h, y = tensor("x", N, K), tensor(name, N, K), tensor("y", N, K)
        own_name = f"d{name}"
        s, W = tensor(own_name, K), tensor("W", K)
        equations = (
            Equation(h[n, k], s[k] * x[n, k] + W[k]),
            Equation(y[n, k], h[n, k] ** 2 + h[n, k]),
        )
        width = shape[0]
        parameters = tuple(
            Parameter(each, (width,), "weight", width, width, "ones") for each in (own_name, "W")
        )
        return Forward(equations, {K: width}, parameters)

    return own


@pytest.mark.parametrize("name", HOSTILE)
def test_a_tensor_of_any_name_is_no_cotangent(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """h = s x + W with h called z, dz, delta, dW … and s called d of that: two layers of it in a row."""
    layer(monkeypatch, hostile(name))
    spec = spec_of("own", "own", units=1)
    derivation = derive_network(spec)
    symbols = [e.symbol for e in derivation.equations if e.role != "update" and not e.shown_only]
    assert len(symbols) == len(set(symbols))
    for e in derivation.equations:
        assert (primal(e.symbol) is not None) == (e.role == "backward"), str(e)
        assert (
            "∂" in index_text(e.equation).split("=")[0] or "δ" in index_text(e.equation).split("=")[0]
        ) == (e.role == "backward")
    values = lower(derivation).values.values()
    assert len({value.identifier for value in values}) == len(values)
    rng = np.random.default_rng(0)
    check_gradients(program(spec, tmp_path), rng.normal(size=(3, 3)), rng.normal(size=(3, 1)))


def test_a_long_name_reads_as_no_product(monkeypatch: pytest.MonkeyPatch) -> None:
    layer(monkeypatch, hostile("w_in"))
    shown = [e.latex() for e in derive_network(spec_of("own", units=1)).role("forward")]
    assert any(line.startswith(r"\mathit{w\_in}^{(1)}_{nk} =") for line in shown), shown


def test_a_name_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("d z", "z-1", "1z", "é", ""):
        layer(monkeypatch, hostile(name))
        with pytest.raises(ValueError, match="cannot be called"):
            derive_network(spec_of("own"))


def test_a_parameter_cannot_have_the_name_of_an_output(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
        x, y, z = tensor("x", N, K), tensor("y", N, K), tensor("z", K)
        parameters = (Parameter("z", shape, "weight", 3, 3, "ones"),)
        return Forward((Equation(y[n, k], x[n, k] * z[k]),), {K: shape[0]}, parameters)

    layer(monkeypatch, own)
    with pytest.raises(ValueError, match="would be called z1"):
        derive_network(spec_of("own"))


def test_the_errors_of_all_layers_stand_in_one_row() -> None:
    derivation = derive_network(spec_of(dense(3), "tanh", dense(3), "tanh"))
    table = rows(derivation, derivation.page(), {})
    (errors,) = [row for row in table if any(m.identifier.startswith("delta") for m in row.members)]
    assert sorted(m.identifier for m in errors.members) == ["delta1", "delta2", "delta3"]


@requires_compiler
def test_hostile_names_in_cuda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two layers whose tensors are called as cotangents are, as C's functions and as Adam's β are."""
    for name in ("delta", "expm", "beta"):
        layer(monkeypatch, hostile(name), f"own_{name}")
    spec = replace(spec_of("own_delta", "own_expm", "own_beta", units=1), name="hostile")
    numpy = program(spec, tmp_path, "cuda")
    rng = np.random.default_rng(0)
    x, targets = rng.normal(size=(4, 3)) / 10, rng.normal(size=(4, 1)) / 10
    parameters = numpy.init_parameters(1, np.float64)
    loss, gradients = numpy.loss_and_gradients(parameters, x, targets)
    with standing_in():
        cuda = loaded(tmp_path / spec.name / "cuda" / "trainer.py")
        found, slopes = cuda.loss_and_gradients(cuda.init_parameters(1, np.float64), x, targets)
        assert found == pytest.approx(loss, rel=1e-10)
        for name, value in gradients.items():
            np.testing.assert_allclose(np.asarray(slopes[name].get()), value, rtol=1e-8, atol=1e-12)


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
