"""What a cotangent is: losses without targets or of targets alone, constants, tensors of any name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.own_layers import NET, K, N, check_gradients, dense, k, layer, loaded, n, program, spec_of
from cuda_on_cpu.cupy_standin import standing_in
from cuda_on_cpu.module import requires_compiler

from chainrule.cli.handout.symbols import rows
from chainrule.codegen.lower.lowering import lower
from chainrule.derive.deriving import derive_network
from chainrule.derive.differentiate import CannotDifferentiate
from chainrule.derive.index import Equation, cotangent, primal, tensor
from chainrule.derive.layers.layer import Forward, Parameter
from chainrule.present.text import index_text
from chainrule.spec import load_spec, parse_spec

HERE = Path(__file__).parent


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
