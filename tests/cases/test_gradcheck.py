"""The gradient check: right gradients pass, however awkward the network; wrong ones fail, however small."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from awkward_networks import KINDS, Plant, awkward, checked, planted, plants
from click.testing import CliRunner
from random_specs import Built, build

from chainrule.cli.commands import derive
from chainrule.derive.invariance import ineffective
from chainrule.derive.network import build_network
from chainrule.evaluate.reference import NumericReference
from chainrule.runtime.differences import WIDE
from chainrule.runtime.gradcheck import check_gradients
from chainrule.runtime.gradreport import GradientReport
from chainrule.runtime.program import LoadedProgram
from chainrule.spec.load import parse_spec

HEAD = 'spec_version = 1\nname = "one"\n[input]\nshape = {shape}\n'
wide = pytest.mark.skipif(not WIDE, reason="long double is no wider than double here")


def spec_text(shape: list[int], *layers: str, loss: str = "mse", tail: str = "") -> str:
    tables = "".join(f"[[layers]]\n{layer}\n" for layer in layers)
    return f'{HEAD.format(shape=shape)}{tables}[loss]\ntype = "{loss}"\n{tail}'


def dense(units: int, more: str = "") -> str:
    return f'type = "dense"\nunits = {units}\n{more}'


NORM, SOFTMAX = 'type = "batch_norm"', 'type = "softmax"'
FORMULA = '[activations.f]\nformula = "{}"\n'
MAXOUT = spec_text([5], 'type = "maxout"\nunits = 2\npieces = 10', dense(3), SOFTMAX, loss="cross_entropy")
DROPOUT = spec_text(
    [5],
    dense(4, 'activation = "tanh"'),
    'type = "dropout"\nrate = 0.9',
    dense(3),
    SOFTMAX,
    loss="cross_entropy",
)
BIASED = spec_text([4], dense(5), NORM, dense(3), SOFTMAX, loss="cross_entropy")
SIN1000 = spec_text([3], dense(4, 'activation = "f"'), dense(2), tail=FORMULA.format("sin(1000*x)"))
SCALE1E9 = spec_text([3], dense(4, 'activation = "f"'), dense(2), tail=FORMULA.format("1e9*x"))
PLAIN = spec_text([30], dense(20, 'activation = "tanh"'), dense(20, 'activation = "sigmoid"'), dense(3))
IMAGE = spec_text(
    [6, 6, 2], 'type = "conv2d"\nfilters = 3\nkernel = 3\npadding = 1', 'type = "tanh"', dense(2)
)


@cache
def one(text: str) -> Built:
    return build(text, "one.toml")


def report(text: str, program: LoadedProgram | None = None, **options: int) -> GradientReport:
    found = one(text)
    return check_gradients(program or found.program, reference=NumericReference(found.spec), **options)


def verdicts(found: GradientReport) -> dict[str, set[str]]:
    return {
        name: {row.verdict for row in found.rows if row.tensor == name}
        for name in {r.tensor for r in found.rows}
    }


def replaced(program: LoadedProgram, **members: Any) -> LoadedProgram:
    return dataclasses.replace(program, module=SimpleNamespace(**{**vars(program.module), **members}))


# ---- Right gradients -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [MAXOUT, DROPOUT], ids=["maxout", "dropout"])
def test_g1_more_samples_until_every_tensor_is_exercised(text: str) -> None:
    found = report(text)
    assert found.passed, found.to_text()
    tensors = [row for row in found.rows if row.tensor not in ("loss", "output")]
    assert all(row.nonzero >= row.sampled / 2 for row in tensors)


def test_g1_the_command_takes_a_batch(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(MAXOUT)
    result = CliRunner().invoke(derive, ["gradcheck", str(path), "--batch", "32", "--steps", "0", "--json"])
    values = json.loads(result.output)
    assert values["passed"] and values["batch"] == 32 and "draw 1 " in values["points"][0]
    assert {row["loss"] for row in values["rows"]} == {"interpreter"}
    assert next(row["shape"] for row in values["rows"] if row["tensor"] == "x") == [32, 5]


def test_g2_a_bias_before_batch_norm_is_0_by_derivation() -> None:
    found = report(BIASED)
    assert found.passed, found.to_text()
    assert verdicts(found)["b1"] == {"0 by derivation"} and verdicts(found)["W1"] == {"pass"}


@pytest.mark.parametrize(
    "wrong", [lambda g, p: g + 1e-3 * p["b1"].dtype.type(1), lambda g, p: p["W1"].sum(1)]
)
def test_g2_a_gradient_that_should_be_0_and_is_not_fails(wrong: Any) -> None:
    spoilt = planted(one(BIASED).program, Plant("more than 0", "b1", lambda g, p, batch: wrong(g, p)))
    assert "fail" in verdicts(report(BIASED, spoilt))["b1"]


@pytest.mark.parametrize("tensor", ["W1", "gamma2", "b3"])
def test_g2_a_planted_zero_is_no_zero_by_derivation(tensor: str) -> None:
    spoilt = planted(one(BIASED).program, Plant("nothing", tensor, lambda g, p, batch: 0 * g))
    assert "fail" in verdicts(report(BIASED, spoilt))[tensor]


INEFFECTIVE = [
    ("a bias before batch norm", [5], (dense(4), NORM, dense(2)), ["b1"]),
    ("a kink between", [5], (dense(4), 'type = "relu"', NORM, dense(2)), []),
    ("through a linear layer", [5], (dense(4), dense(3), NORM, dense(2)), ["b1", "b2"]),
    ("a shift before another norm", [5], (dense(4), NORM, dense(4), NORM, dense(2)), ["b1", "beta2", "b3"]),
    ("layer norm of several features", [5], (dense(4), 'type = "layer_norm"', dense(2)), []),
    ("layer norm of one", [5], (dense(1), 'type = "layer_norm"', dense(2)), ["W1", "b1"]),
    ("a mask between", [5], (dense(4), 'type = "dropout"\nrate = 0.5', NORM, dense(2)), []),
    ("convolution and pool", [6, 6, 1], ('type = "conv2d"\nfilters = 2\nkernel = 3\npadding = 1',
     'type = "max_pool2d"\nsize = 2', NORM, dense(2)), ["b1"]),
    ("padding sees no bias", [5, 5, 1], ('type = "conv2d"\nfilters = 2\nkernel = 3',
     'type = "conv2d"\nfilters = 2\nkernel = 3\npadding = 1', NORM, dense(2)), ["b2"]),
    ("one channel before layer norm", [5, 5, 1], ('type = "conv2d"\nfilters = 1\nkernel = 3',
     'type = "layer_norm"', dense(2)), ["b1"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "layers", "expected"), [c[1:] for c in INEFFECTIVE], ids=[c[0] for c in INEFFECTIVE]
)
def test_g2_what_the_loss_does_not_depend_on(
    shape: list[int], layers: tuple[str, ...], expected: list[str]
) -> None:
    """Proved from the equations: and so it is, of the loss itself, of these parameters and of no others."""
    spec = parse_spec(spec_text(shape, *layers), "one.toml")
    network = build_network(spec)
    assert [found.name for found in ineffective(network)] == expected
    rng = np.random.default_rng(3)
    parameters = {p.name: rng.normal(size=p.shape).astype(np.longdouble) for p in network.parameters}
    parameters |= {s.name: np.ones(s.shape, np.longdouble) for s in network.statistics}
    x = rng.normal(size=(3, *shape)).astype(np.longdouble)
    t = rng.normal(size=(3, 2)).astype(np.longdouble)
    here = NumericReference(spec).at(parameters, x, t, lambda number, chance, size: rng.random(size) < chance)
    silent = ["gamma2"] if "W1" in expected else []  # of a normalization that gives 0: nothing is said of it
    for name in [p.name for p in network.parameters]:
        before = parameters[name].copy()
        parameters[name] += rng.normal(size=before.shape)
        changed = abs(float(here.after([name]) - here.loss)) > 1e-12 * abs(float(here.loss))
        parameters[name][...] = before
        assert changed == (name not in (*expected, *silent)), name


def test_g2_a_derivation_that_is_wrongly_0_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.evaluate.reference.without_gradient", lambda network: frozenset({"W2"}))
    spoilt = planted(one(PLAIN).program, Plant("nothing", "W2", lambda g, p, batch: 0 * g))
    assert "fail" in verdicts(report(PLAIN, spoilt, steps=0))["W2"]


@pytest.mark.parametrize("formula", ["x - x + 3", "floor(3*x)", "where(x > 0, 1, 0)"])
def test_an_input_that_acts_in_steps_or_not_at_all_is_0_by_derivation(formula: str) -> None:
    front = 'type = "f"'
    found = report(
        spec_text([3], front, dense(4, 'activation = "tanh"'), dense(2), tail=FORMULA.format(formula))
    )
    assert found.passed and verdicts(found)["x"] == {"0 by derivation"}, found.to_text()


def test_g2_derive_check_says_that_the_bias_does_nothing(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(BIASED)
    text = CliRunner().invoke(derive, ["check", str(path)]).output
    assert "b1 of dense changes nothing" in text and "bias = false" in text and "b3" not in text
    found = json.loads(CliRunner().invoke(derive, ["check", str(path), "--json"]).output)["ineffective"]
    assert found == [
        {"parameter": "b1", "layer": "dense", "undone_by": "batch_norm", "remedy": "bias = false"}
    ]


def test_g3_steps_as_small_as_the_function_asks() -> None:
    found = report(SIN1000)
    assert found.passed, found.to_text()


def test_g3_training_that_diverges_is_said_and_no_failed_gradient() -> None:
    found = report(SCALE1E9)
    assert found.passed, found.to_text()
    assert any("diverged" in note for note in found.notes)


def test_what_no_equation_reads_is_not_asked_for() -> None:
    """A stride that leaves out two pixels of three, a kernel that reads nothing but padding."""
    strided = spec_text([5, 5, 1], 'type = "conv2d"\nfilters = 2\nkernel = 1\nstride = 3', dense(2))
    padded = spec_text(
        [2, 2, 1], 'type = "conv2d"\nfilters = 2\nkernel = 5\npadding = 2\nstride = 2', dense(2)
    )
    for text in (strided, padded):
        found = report(text)
        assert found.passed, found.to_text()
    reached = NumericReference(one(strided).spec).reached("x", 1)[0, :, :, 0]
    np.testing.assert_array_equal(np.argwhere(reached), [(i, j) for i in (0, 3) for j in (0, 3)])


# ---- Wrong gradients and wrong losses ----------------------------------------------------------------


def flipped(gradient: np.ndarray, *_: Any) -> np.ndarray:
    gradient.flat[::3] *= -1
    return gradient


def element(place: tuple[int, ...], factor: float) -> Any:
    def change(gradient: np.ndarray, *_: Any) -> np.ndarray:
        gradient[place] *= factor
        return gradient

    return change


def border(gradient: np.ndarray, *_: Any) -> np.ndarray:
    gradient[:, -1, -1] = 0
    return gradient


def scaled(gradient: np.ndarray, *_: Any) -> np.ndarray:
    return (gradient * 1.001).astype(gradient.dtype)


def of_type(kind: Any) -> Any:
    return lambda dtype, batch: dtype == kind


WRONG = [
    (PLAIN, Plant("g4: every third sign in float64", "W1", flipped, of_type(np.float64))),
    (PLAIN, Plant("g5: one element of 600", "W1", element((13, 17), -1))),
    (PLAIN, Plant("g5: one element of 600 in float32", "W1", element((13, 17), -1), of_type(np.float32))),
    (PLAIN, Plant("g5: one element beyond batch 4", "W1", element((3, 2), 2), lambda _, batch: batch > 4)),
    (PLAIN, Plant("g5: factor 1.001 in float32", "b2", scaled, of_type(np.float32))),
    (PLAIN, Plant("g5: factor 1.001", "W2", scaled)),
    (PLAIN, Plant("g5: a row", "W2", element((7,), 0))),
    (PLAIN, Plant("transposed", "W2", lambda g, *_: g.T.copy())),
    (IMAGE, Plant("g5: a border pixel", "x", border)),
]  # fmt: skip


@wide
@pytest.mark.parametrize(("text", "plant"), WRONG, ids=[str(plant) for _, plant in WRONG])
def test_g4_g5_no_wrong_value_hides(text: str, plant: Plant) -> None:
    found = report(text, planted(one(text).program, plant))
    assert "fail" in verdicts(found)[plant.tensor], found.to_text()
    assert {name for name, seen in verdicts(found).items() if "fail" in seen} == {plant.tensor}


@pytest.mark.parametrize("text", [PLAIN, IMAGE], ids=["plain", "image"])
def test_those_programs_are_right(text: str) -> None:
    assert report(text).passed


def test_a_loss_that_is_not_the_equations_fails_on_a_row_of_its_own() -> None:
    """Loss and gradients that agree with each other, of another function than the spec's."""
    module = one(PLAIN).program.module

    def doubled(p: Any, x: Any, t: Any) -> tuple[Any, Any]:
        value, found = module.loss_and_gradients(p, x, t)
        return 2 * value, {name: 2 * gradient for name, gradient in found.items()}

    wrong = replaced(
        one(PLAIN).program,
        loss=lambda p, x, t: 2 * module.loss(p, x, t),
        loss_and_gradients=doubled,
        input_gradient=lambda p, x, t: 2 * module.input_gradient(p, x, t),
    )
    assert check_gradients(wrong, steps=0).passed  # the program agrees with itself
    found = verdicts(report(PLAIN, wrong, steps=0))
    assert found["loss"] == {"fail"} and found["output"] == {"pass"} and "fail" in found["W1"]


def test_an_output_that_is_not_the_equations_fails_on_a_row_of_its_own() -> None:
    module = one(PLAIN).program.module
    wrong = replaced(one(PLAIN).program, predict=lambda p, x: module.predict(p, x) * (1 + 1e-9))
    found = verdicts(report(PLAIN, wrong, steps=0))
    assert found["output"] == {"fail"} and found["loss"] == {"pass"}


def test_what_takes_too_many_operations_is_checked_by_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.evaluate.reference.AFFORDED", 100)
    found = report(PLAIN, steps=0)
    assert found.passed and {row.loss for row in found.rows} == {"program"}
    assert {"loss", "output"} <= {row.tensor for row in found.rows}  # compared all the same
    monkeypatch.setattr("chainrule.evaluate.reference.COMPARED", 100)
    assert {row.tensor for row in report(PLAIN, steps=0).rows}.isdisjoint({"loss", "output"})


def test_half_of_the_sampled_coordinates_must_be_certified() -> None:
    """A tensor of which a quarter has any effect: that quarter is right, and not enough."""
    original = one(PLAIN).program
    module, mask = original.module, (np.arange(20) % 4 == 0).astype(float)

    def masked(p: Any) -> Any:
        return {**p, "b1": p["b1"] * mask.astype(p["b1"].dtype)}

    def gradients(p: Any, x: Any, t: Any) -> tuple[Any, Any]:
        value, found = module.loss_and_gradients(masked(p), x, t)
        return value, {**found, "b1": found["b1"] * mask.astype(p["b1"].dtype)}

    partial = replaced(
        original,
        loss=lambda p, x, t: module.loss(masked(p), x, t),
        loss_and_gradients=gradients,
        input_gradient=lambda p, x, t: module.input_gradient(masked(p), x, t),
    )
    found = check_gradients(partial, steps=0, draws=8)
    row = next(row for row in found.rows if row.tensor == "b1")
    assert 0 < row.nonzero < row.sampled / 2 and row.verdict == "not exercised" and not found.passed
    assert {row.verdict for row in found.rows if row.tensor != "b1"} == {"pass"}


# ---- Random networks, a slice of bench/gradcheck_campaign.py ------------------------------------------


@pytest.mark.parametrize("kind", ["dead", "small", "dropout", "sequence"])
def test_random_awkward_networks_that_are_right_pass(kind: str) -> None:
    seed = KINDS.index(kind)
    found = checked(awkward(seed))
    assert found.passed, found.to_text()


@wide
def test_random_errors_are_caught() -> None:
    network = awkward(9)
    reference = NumericReference(network.spec)
    for plant in plants(network, 9, reference.zero)[::3]:
        found = check_gradients(planted(network.program, plant), reference=reference)
        assert not found.passed, plant


# ---- Kinds of right networks that are hard to check --------------------------------------------------


def test_a_saturated_loss_that_rounds_to_0_refutes_nothing() -> None:
    """With a learning rate of 10 every sample is certain after five steps: the loss is exactly 0."""
    sizes = 'init = "normal(0, 1e-3)"\nactivation = "f"'
    tail = '[optimizer]\ntype = "momentum"\nlearning_rate = 10.0\n' + FORMULA.format("1e-6*x")
    layers = (dense(8, sizes), dense(8, 'activation = "relu"'), dense(2), SOFTMAX)
    found = report(spec_text([9], *layers, loss="cross_entropy", tail=tail))
    assert found.passed, found.to_text()


def test_what_turns_faster_than_every_step_is_not_refuted_by_longer_ones() -> None:
    """sin(1000 sin(30 z)) after steps of a learning rate of 10."""
    found = checked(awkward(1161))
    assert found.passed, found.to_text()


def test_a_page_of_many_letters_explains_its_signs() -> None:
    """Convolution, batch norm, a loss with a power: letters enough are left for u and v."""
    convolution = 'type = "conv2d"\nfilters = 4\nkernel = 2\nstride = 2\ngroups = 2'
    layers = (convolution, NORM, 'type = "softplus"', dense(12, 'activation = "tanh"'), dense(4))
    tail = 'l2 = 1e-4\n[optimizer]\ntype = "adam"\n[losses.quartic]\nformula = "(y - t)**4"\n'
    assert "equations" in "".join(one(spec_text([9, 8, 2], *layers, loss="quartic", tail=tail)).code)
