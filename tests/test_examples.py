"""The shipped examples: what the lectures say of them, reached by the generated programs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from shipped import EXAMPLES, NETWORKS

from chainrule.codegen.folder import recorded_targets, stale
from chainrule.codegen.generate import generate
from chainrule.derive.model import InlineData, Spec
from chainrule.runtime.datasets import as_floats, load_dataset
from chainrule.runtime.gradcheck import check_gradients
from chainrule.runtime.program import LoadedProgram, load_program
from chainrule.spec.load import load_spec

ROOT = Path(__file__).parent.parent
GENERATED = ROOT / "generated"
COUNTS = {
    "and_gate": 3,
    "or_gate": 3,
    "xor_no_bias": 9,
    "xor_backprop": 12,
    "mnist_mlp": 13_002,
    "mnist_wide": 669_706,
}
TRUTH = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR = np.array([[0.0], [1.0], [1.0], [0.0]])

Array = NDArray[Any]


@cache
def spec(name: str) -> Spec:
    return next(s for s in map(load_spec, EXAMPLES) if s.name == name)


@cache
def program(name: str) -> LoadedProgram:
    return load_program(GENERATED / name, edited="refuse")


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def data(name: str) -> tuple[Array, Array]:
    rows = spec(name).training.data
    assert isinstance(rows, InlineData)
    return np.array(rows.inputs), np.array(rows.targets)


# ---- Every example ---------------------------------------------------------------------------------


def test_there_is_a_folder_for_every_example_and_no_other() -> None:
    found = {path.name for path in GENERATED.iterdir() if path.is_dir()}
    assert found == {load_spec(path).name for path in EXAMPLES}
    assert set(COUNTS) <= found


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_generated_programs_are_what_the_generator_writes(path: Path) -> None:
    """Run `derive generate examples/*.toml` where this fails."""
    spec = load_spec(path)
    assert stale(generate(spec, recorded_targets(GENERATED / spec.name)), GENERATED) == {}


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_gradients_of_every_example(path: Path) -> None:
    report = check_gradients(program(load_spec(path).name), samples=8, batch=4)
    assert report.passed, report.to_text()
    assert max(row.worst_error for row in report.rows) <= 1e-7


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name: str) -> None:
    shapes = program(name).module.PARAMETERS.values()
    assert sum(int(np.prod(shape)) for shape in shapes) == COUNTS[name]
    assert f"{COUNTS[name]:,} parameters" in program(name).manifest["summary"]


def test_mnist_mlp_has_12960_weights_and_42_biases() -> None:
    shapes = program("mnist_mlp").module.PARAMETERS
    sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    assert sum(size for name, size in sizes.items() if name.startswith("W")) == 12_960
    assert sum(size for name, size in sizes.items() if name.startswith("b")) == 42


# ---- One unit --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ("or_gate", "and_gate"))
def test_outputs_of_one_unit_with_weights_set_by_hand(name: str) -> None:
    parameters = program(name).init_parameters(0, np.float64)
    assert parameters["W1"].tolist() == [[-0.16, 0.44]] and parameters["b1"].tolist() == [-0.99]
    outputs = program(name).module.predict(parameters, TRUTH)[:, 0]
    assert outputs.round(3).tolist() == [0.271, 0.366, 0.240, 0.330]


@pytest.mark.parametrize("name", ("or_gate", "and_gate"))
def test_one_unit_learns_what_a_line_separates(name: str) -> None:
    x, t = data(name)
    parameters = trained(name)
    y = program(name).module.predict(parameters, x)
    assert ((y > 0.5) == t).all()
    assert np.abs(y - t).max() < 0.1
    weights, bias = parameters["W1"][0], parameters["b1"][0]
    assert (((x @ weights + bias) > 0) == t[:, 0]).all()  # as a step unit


# ---- XOR -------------------------------------------------------------------------------------------


@cache
def trained(name: str) -> dict[str, Array]:
    """Parameters after the spec's own full-batch steps."""
    x, t = data(name)
    module = program(name).module
    parameters = program(name).init_parameters(spec(name).training.seed, np.float64)
    state = module.init_optimizer(parameters)
    for _ in range(spec(name).training.epochs):
        module.train_step(parameters, x, t, state)
    return parameters


def backprop_by_hand(steps: int) -> tuple[list[float], dict[str, Array]]:
    """The lecture's program, 2-3-1 with a hidden bias, in its notation: one row a sample.

    Its slide subtracts the 4 x 3 array of deltas from the bias of length 3, so that the bias becomes one row
    a sample; the gradient of the bias is the sum of these rows.
    """
    w1 = np.array([[-0.5, 0.5, 0.5], [-0.5, 0.5, -0.5]])
    w2 = np.array([[-0.5], [0.5], [-0.5]])
    b1 = np.zeros(3)
    rate = 1.0
    errors = []
    for _ in range(steps):
        hidden = sigmoid(TRUTH @ w1 + b1)
        output = sigmoid(hidden @ w2)
        errors.append(float(0.5 * ((output - XOR) ** 2).sum()))
        delta2 = (output - XOR) * output * (1 - output)
        delta1 = (delta2 @ w2.T) * hidden * (1 - hidden)
        w2 = w2 - rate * hidden.T @ delta2
        w1 = w1 - rate * TRUTH.T @ delta1
        b1 = b1 - rate * delta1.sum(axis=0)
    return errors, {"W1": w1.T, "b1": b1, "W2": w2.T}


def test_a_hundred_steps_of_xor_backprop_are_the_lectures() -> None:
    module = program("xor_backprop").module
    assert module.PARAMETERS == {"W1": (3, 2), "b1": (3,), "W2": (1, 3)}
    x, t = data("xor_backprop")
    parameters = program("xor_backprop").init_parameters(0, np.float64)
    state = module.init_optimizer(parameters)
    losses = [module.train_step(parameters, x, t, state) for _ in range(100)]
    errors, wanted = backprop_by_hand(100)
    assert np.abs(np.array(losses) - errors).max() <= 1e-12
    for name, value in wanted.items():
        assert parameters[name].shape == value.shape
        assert np.abs(parameters[name] - value).max() <= 1e-12
    assert losses[-1] < losses[0]


def test_the_bias_is_no_row_a_sample() -> None:
    """After one step the two readings of the slide differ: this is the one with the sum."""
    module = program("xor_backprop").module
    x, t = data("xor_backprop")
    parameters = program("xor_backprop").init_parameters(0, np.float64)
    _, gradients = module.loss_and_gradients(parameters, x, t)
    rows = [
        module.loss_and_gradients(parameters, x[i : i + 1], t[i : i + 1])[1]["b1"].copy() for i in range(4)
    ]
    assert gradients["b1"].shape == (3,)
    assert np.allclose(gradients["b1"], sum(rows), rtol=1e-13, atol=1e-16)
    assert any(np.abs(row - gradients["b1"]).max() > 1e-3 for row in rows)


def test_xor_without_biases_is_solved() -> None:
    """The slide's outputs are 0.076, 0.951, 0.951 and 0.027 from another random start.

    Other starts end within 0.01 of them (ten seeds: 0.076 to 0.088, 0.943 to 0.952, 0.024 to 0.033).
    """
    x, t = data("xor_no_bias")
    outputs = program("xor_no_bias").module.predict(trained("xor_no_bias"), x)[:, 0]
    assert np.abs(outputs - t[:, 0]).max() < 0.1
    assert outputs == pytest.approx([0.076, 0.951, 0.951, 0.027], abs=0.01)


def test_learnt_weights_in_step_units_solve_xor() -> None:
    """The same weights with step units: 1 where the sum is above 0, where the sigmoid is above one half."""
    parameters = trained("xor_no_bias")
    hidden = (TRUTH @ parameters["W1"].T > 0).astype(float)
    output = hidden @ parameters["W2"].T > 0
    assert output[:, 0].tolist() == [False, True, True, False]


@pytest.mark.parametrize("name", ("xor_no_bias", "xor_backprop", "or_gate"))
def test_losses_fall(name: str) -> None:
    x, t = data(name)
    module = program(name).module
    start = program(name).init_parameters(spec(name).training.seed, np.float64)
    assert module.loss(trained(name), x, t) < module.loss(start, x, t)


# ---- Real digits -----------------------------------------------------------------------------------


def test_1875_steps_of_mnist_mlp() -> None:
    """At least 80 % of the test digits after as many steps as an epoch has: with the files of CHAINRULE_DATA
    that is one epoch of 60,000 digits, without them 12 epochs of the 5,000 embedded ones.
    """
    found = load_dataset("mnist", input_shape=(28, 28, 1), notify=lambda _: None)
    module = program("mnist_mlp").module
    parameters = program("mnist_mlp").init_parameters(0)
    epochs = 60_000 // len(found.train_x)
    losses = list(
        module.train(
            parameters, as_floats(found.train_x), found.train_t, epochs=epochs, batch_size=32, seed=0
        )
    )
    right = module.predict(parameters, as_floats(found.test_x)).argmax(axis=1) == found.test_t
    assert right.mean() >= 0.80
    assert losses[-1] < 1.5
