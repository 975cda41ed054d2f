"""Matrix formulas are worth what index equations are: for one example, for batches in rows and columns."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
import pytest
from page_values import Values
from random_specs import random_spec

from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.interpret import evaluate
from chainrule.derive.reader import BATCHES, Reader
from chainrule.present import present
from chainrule.present import tree as t
from chainrule.present.batch import batch_sides
from chainrule.present.matrix import NoMatrixForm, matrix_sides
from chainrule.present.order import BATCH
from chainrule.spec.load import parse_spec

N = 3
HEAD = 'spec_version = 1\nname = "net"\n[input]\nshape = [4]\n'
TAIL = '[optimizer]\ntype = "sgd"\nlearning_rate = 0.1\n[training]\nbatch_size = 2\nepochs = 1\n'
DENSE = '[[layers]]\ntype = "dense"\nunits = 3\nactivation = "tanh"\n'
LAST = '[[layers]]\ntype = "dense"\nunits = 2\n'
SPECIAL = {
    "softmax and squared error": DENSE + LAST + 'activation = "softmax"\n[loss]\ntype = "mse"\n',
    "batch norm": DENSE + '[[layers]]\ntype = "batch_norm"\n' + LAST + '[loss]\ntype = "mse"\n',
    "layer norm": DENSE + '[[layers]]\ntype = "layer_norm"\n' + LAST + '[loss]\ntype = "mae"\n',
    "dropout": DENSE
    + '[[layers]]\ntype = "dropout"\nrate = 0.5\n'
    + LAST
    + '[loss]\ntype = "mse"\nl2 = 0.1\n',
    "no bias": DENSE + LAST + 'bias = false\nactivation = "softmax"\n[loss]\ntype = "cross_entropy"\n',
}


@cache
def values_of(text: str, seed: int) -> tuple[Derivation, dict[str, np.ndarray]]:
    """Return a derivation and every tensor's value by its equations, from random inputs and parameters."""
    derivation = derive_network(parse_spec(text, "net.toml"))
    rng = np.random.default_rng(seed)
    network = derivation.network
    found = {"N": np.array(N), "x": rng.uniform(-1.5, 1.5, (N, *network.spec.input_shape))}
    for tensor in network.parameters:
        found[tensor.name] = rng.uniform(-1.2, 1.2, tensor.shape)
    for tensor in network.statistics:
        found[tensor.name] = rng.uniform(0.5, 1.5, tensor.shape)
    for noise in network.noise:
        found[noise.name] = (rng.random((N, *noise.shape)) < float(noise.probability)).astype(float)
    width = network.output_shape
    found["t"] = rng.integers(0, width[-1], N) if network.labels else rng.uniform(0.05, 0.95, (N, *width))
    for e in derivation.equations:
        if e.role in ("definition", "forward", "loss", "backward") and e.mode != "evaluation":
            found[e.symbol] = evaluate(e.equation, found)
    return derivation, found


def check(text: str, layout: str, seed: int) -> tuple[list[str], list[str]]:
    """Compare every formula that has a matrix form; return the names of those and of the others."""
    derivation, arrays = values_of(text, seed)
    shown, others = [], []
    for e in derivation.equations:
        if e.role == "update" or e.mode == "evaluation" or "running" in e.rule:
            continue
        if e.name in ("x", "dx") or np.ndim(arrays[e.symbol]) > 2:
            continue  # an image
        bases = [e.equation.left.base, *e.equation.reads().values()]
        of_examples = frozenset(str(b.label) for b in bases if b.shape and b.shape[0] == BATCH)
        try:
            if layout == "example":
                left, right = matrix_sides(e.equation)
            else:
                left, right = batch_sides(e.equation, False, False, layout == "rows")
        except NoMatrixForm:
            others.append(e.name)
            continue
        if isinstance(right, t.Applied) and right.text.startswith("vec"):
            continue  # the vector of an image
        assert isinstance(left, t.Ref) and left.symbol == e.symbol
        values = Values(arrays, of_examples, layout, {"N": N})
        per_example = layout == "example" and e.symbol in of_examples
        for n in range(N) if per_example else [0]:
            want = np.asarray(arrays[e.symbol][n] if per_example else arrays[e.symbol])
            want = want.T if left.matrix and layout == "columns" else want
            want = want.reshape(-1, 1) if want.ndim < 2 else want
            at = {"": n, left.mark: n}
            got = Values(arrays, of_examples, layout, {"N": N}, at).of(right, want.shape)
            got = np.broadcast_to(got, want.shape) if got.shape == (1, 1) else got
            assert got.shape == want.shape, f"{e.name}: {got.shape}, not {want.shape}"
            assert np.allclose(got, want, rtol=1e-9, atol=1e-11), f"{layout}: {e.name}"
        assert values.layout == layout
        shown.append(e.name)
    return shown, others


@pytest.mark.parametrize("layout", BATCHES)
@pytest.mark.parametrize("seed", range(1, 9))
def test_random_dense_networks(seed: int, layout: str) -> None:
    shown, others = check(random_spec(seed), layout, seed)
    assert len(shown) > 5
    assert all(name.startswith(("a0", "da0")) for name in others)  # the vector of an image


@pytest.mark.parametrize("layout", BATCHES)
@pytest.mark.parametrize("name", SPECIAL)
def test_layers_that_mix_examples_or_features(name: str, layout: str) -> None:
    shown, others = check(HEAD + SPECIAL[name] + TAIL, layout, 5)
    assert len(shown) > 8
    assert set(others) <= ({"dmu2"} if layout == "example" else set())  # a number for each example


def test_a_wrong_transpose_is_noticed() -> None:
    derivation, arrays = values_of(random_spec(1), 1)
    weights = next(e for e in derivation.equations if e.name == "dW1")
    _, right = batch_sides(weights.equation, False, False, True)
    values = Values(arrays, frozenset({"d z1", "x", "a0", "z1"}), "rows", {"N": N})
    assert np.allclose(values.of(right), arrays["d W1"])
    assert isinstance(right, t.Dot)
    with pytest.raises(AssertionError):
        values.of(t.Dot(right.factors[::-1]))


def read(layout: str, name: str) -> Iterable[str]:
    derivation = derive_network(parse_spec(HEAD + SPECIAL[name] + TAIL, "net.toml"))
    text = present(derivation, "matrix", "text", reader=Reader(batch=layout))
    return [" ".join(line.split()) for line in text.splitlines()]


def test_batches_read_as_in_a_textbook() -> None:
    rows = "\n".join(read("rows", "no bias"))
    assert "Z1 = A0 W1ᵀ + 𝟏 b1ᵀ (N, 3)" in rows and "A1 = tanh(Z1) (N, 3)" in rows
    assert "Δ1 = (Δ2 W2) ⊙ (1 − A1 ⊙ A1)" in rows and "∂E/∂W1 = Δ1ᵀ A0 (3, 4)" in rows
    assert "∂E/∂b1 = Δ1ᵀ 𝟏 (3,)" in rows and "a row for each example" in rows
    columns = "\n".join(read("columns", "no bias"))
    assert "Z1 = W1 A0 + b1 𝟏ᵀ (3, N)" in columns and "∂E/∂W1 = Δ1 A0ᵀ (3, 4)" in columns
    assert "∂E/∂b1 = Δ1 𝟏 (3,)" in columns and "a column for each example" in columns
