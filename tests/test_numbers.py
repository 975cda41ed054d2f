"""Worked numbers: a pass is a step of the program, the lectures' numbers, and what cannot be shown."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worked_numbers import EXAMPLES, run, small_spec, worked

from chainrule.derive.deriving import derive_network
from chainrule.present import present
from chainrule.present.numbers import MOST, MOST_OF_A_TENSOR, Given, NumbersError, work
from chainrule.programs import scratch_program
from chainrule.spec import load_spec


@pytest.mark.parametrize("seed", range(18))
def test_a_worked_pass_is_a_step_of_the_generated_program(seed: int) -> None:
    found, (loss, gradients, after, state, outputs, names) = worked(seed, 1 + seed % 3)
    values = {row.numbered.name: row.value for row in found.rows if row.numbered.mode != "evaluation"}
    np.testing.assert_allclose(values["E"], loss, rtol=1e-12)
    for name in names:
        np.testing.assert_allclose(values[f"d{name}"], gradients[name], rtol=1e-9, atol=1e-14)
    for parameter, at in found.parts():
        new = values["theta"][at].reshape(parameter.shape)
        np.testing.assert_allclose(new, after[parameter.name], rtol=1e-9, atol=1e-13)
    for name in set(state) & values.keys():
        np.testing.assert_allclose(values[name], state[name], rtol=1e-9, atol=1e-15)
    for name in {s.name for s in found.derivation.network.statistics}:
        np.testing.assert_allclose(values[name], after[name], rtol=1e-10)
    last = found.derivation.network.output
    modes = {row.numbered.mode for row in found.rows}
    if "evaluation" not in modes:
        np.testing.assert_allclose(values[last], outputs, rtol=1e-10)


@pytest.mark.parametrize("seed", [0, 4, 8])
def test_gradients_are_those_of_central_differences(seed: int) -> None:
    found, step = worked(seed, 2)[0], 1e-6
    given = found.given
    values = {row.numbered.name: row.value for row in found.rows if row.numbered.mode != "evaluation"}

    def loss(name: str, at: tuple[int, ...], change: float) -> float:
        moved = {**given.parameters, name: given.parameters[name].copy()}
        moved[name][at] += change
        again = work(found.derivation, Given(moved, given.x, given.t, given.masks))
        return next(row.value.item() for row in again.rows if row.numbered.name == "E")

    for name in [p.name for p in found.derivation.network.parameters]:
        gradient = values[f"d{name}"]
        for at in list(np.ndindex(gradient.shape))[:2]:
            difference = (loss(name, at, step) - loss(name, at, -step)) / (2 * step)
            assert gradient[at] == pytest.approx(difference, rel=1e-5, abs=1e-8)


def xor(sample: str, *options: str) -> Any:
    return json.loads(run("xor_backprop", "--sample", sample, "--json", *options))


def test_the_numbers_of_xor_backprop_are_those_of_the_lecture_by_numpy() -> None:
    w1 = np.array([[-0.5, 0.5, 0.5], [-0.5, 0.5, -0.5]])  # as the lecture has it: (inputs, units)
    w2, x, t = np.array([[-0.5], [0.5], [-0.5]]), np.array([[0.0, 1.0]]), np.array([[1.0]])
    hidden = 1 / (1 + np.exp(-(x @ w1)))
    y = 1 / (1 + np.exp(-(hidden @ w2)))
    delta2 = (y - t) * y * (1 - y)
    delta1 = delta2 @ w2.T * hidden * (1 - hidden)
    found = xor("2")
    values = {e["symbol"]: e["value"] for e in found["equations"]}
    np.testing.assert_allclose(values["z1"], x @ w1, rtol=1e-15)
    np.testing.assert_allclose(values["a1"], hidden, rtol=1e-15)
    np.testing.assert_allclose(values["a2"], y, rtol=1e-15)
    np.testing.assert_allclose(values["E"], 0.5 * ((y - t) ** 2).sum(), rtol=1e-15)
    np.testing.assert_allclose(values["delta2"], delta2, rtol=1e-14)
    np.testing.assert_allclose(values["delta1"], delta1, rtol=1e-14)
    np.testing.assert_allclose(values["dW1"], delta1.T @ x, rtol=1e-14)
    np.testing.assert_allclose(values["theta"]["W1"], w1.T - delta1.T @ x, rtol=1e-14)
    np.testing.assert_allclose(values["theta"]["b1"], -delta1[0], rtol=1e-14)
    np.testing.assert_allclose(values["theta"]["W2"], w2.T - delta2.T @ hidden, rtol=1e-14)
    assert found["given"]["W2"] == [[-0.5, 0.5, -0.5]]
    assert found["given"]["LEARNING_RATE"] == 1.0


def test_or_gives_the_outputs_of_the_lecture() -> None:
    for sample, expected in zip("1234", (0.271, 0.366, 0.240, 0.330), strict=True):
        equations = json.loads(run("or", "--sample", sample, "--json"))["equations"]
        (output,) = [e["value"] for e in equations if e["symbol"] == "a1"]
        assert round(output[0][0], 3) == expected
    assert "a1[1] = 1/(1 + exp(−(−0.99))) ≈ 0.2709" in run("or", "--format", "text")


def test_the_page_shows_the_equation_the_numbers_and_the_result() -> None:
    page = run("xor_backprop", "--sample", "2", "--format", "text").splitlines()
    at = next(n for n, line in enumerate(page) if line.startswith("  (2)  z1[n,k] = "))
    assert page[at + 1 : at + 4] == [
        "         z1[1] = (−0.5) · 0 + (−0.5) · 1 + 0 = −0.5",
        "         z1[2] = 0.5 · 0 + 0.5 · 1 + 0 = 0.5",
        "         z1[3] = 0.5 · 0 + (−0.5) · 1 + 0 = −0.5",
    ]
    matrices = run("xor_backprop", "--sample", "2", "--format", "text", "--form", "matrix")
    assert (
        "            ⎡−0.5  −0.5⎤       ⎡0⎤   ⎡−0.5⎤\n"
        "          = ⎢ 0.5   0.5⎥ ⎡0⎤ + ⎢0⎥ = ⎢ 0.5⎥\n"
        "            ⎣ 0.5  −0.5⎦ ⎣1⎦   ⎣0⎦   ⎣−0.5⎦\n"
    ) in matrices
    assert "One sample, N = 1: number 2 of the spec's data." in matrices


def test_starting_parameters_masks_and_json_are_exact() -> None:
    spec = small_spec(3)
    with scratch_program(spec) as program:
        expected = program.init_parameters(5, np.float64)
        masks = program.module.masks(1, 5)
    path = Path(__file__).parent / "unused"
    assert not path.exists()
    from chainrule.worked_pass import worked_page

    page = worked_page(derive_network(spec), (1,), 5, "index", False)
    given = json.loads(present(page, format="json"))["given"]
    for name, value in {**expected, **masks}.items():
        np.testing.assert_array_equal(np.array(given[name]), value)  # to the last bit


# ---- What cannot be shown --------------------------------------------------------------------------------


def test_a_large_network_is_told_what_is_too_large() -> None:
    text = run_fails("mnist_mlp")
    assert "W1 has 12,544 entries" in text and "x has 784 entries" in text
    assert f"at most {MOST_OF_A_TENSOR} of a tensor and {MOST} in all" in text
    assert text.count("\n") == 1


def test_too_many_samples_are_too_much() -> None:
    text = run_fails("xor_backprop", "--sample", ",".join("1234" * 15))
    assert "60 samples" in text and "--sample 1" in text


def run_fails(name: str, *options: str) -> str:
    command = [
        sys.executable,
        "-m",
        "chainrule.cli.main",
        str(EXAMPLES / f"{name}.toml"),
        "--numbers",
        *options,
    ]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=EXAMPLES.parent, timeout=60)
    assert done.returncode == 2 and not done.stdout and "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["examples/xor_backprop.toml", "--numbers", "--sample", "5"], "have 4 samples; take 1 to 4"),
        (["examples/xor_backprop.toml", "--numbers", "--sample", "0"], "numbers of samples, from 1"),
        (["examples/xor_backprop.toml", "--numbers", "--sample", "1,x"], "numbers of samples, from 1"),
        (["examples/xor_backprop.toml", "--sample", "1"], "go with --numbers"),
        (["examples/xor_backprop.toml", "--seed", "1"], "go with --numbers"),
        (["softmax", "--numbers"], "--numbers goes with a spec"),
    ],
)
def test_mistakes_are_answered_in_one_line(arguments: list[str], says: str) -> None:
    command = [sys.executable, "-m", "chainrule.cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=EXAMPLES.parent, timeout=60)
    assert done.returncode == 2 and not done.stdout and "Traceback" not in done.stderr
    assert says in done.stderr


def test_numbers_that_overflow_are_an_error_that_names_the_equation() -> None:
    spec = load_spec(EXAMPLES / "or.toml")
    derivation = derive_network(spec)
    parameters: Mapping[str, Any] = {"W1": np.array([[1e200, 1e200]]), "b1": np.array([0.0])}
    x, t = np.array([[1e200, 1e200]]), np.array([[1.0]])
    with pytest.raises(NumbersError, match=r"equation \(2\), z1.*no finite value"):
        work(derivation, Given(parameters, x, t))


def test_a_planted_error_is_found() -> None:
    """The comparison with the program is not empty: a gradient that is a little off is far off there."""
    found, (_, gradients, *_rest) = worked(0, 2)
    row = next(row for row in found.rows if row.numbered.name == "dW1")
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(row.value * (1 + 1e-6), gradients["W1"], rtol=1e-9)
