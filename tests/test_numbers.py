"""``derive SPEC --numbers``: against NumPy, central differences and the generated program; read back."""

from __future__ import annotations

import ast
import json
import math
import operator
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from chainrule.cli.commands import derive
from chainrule.cli.programs import scratch_program
from chainrule.derive.deriving import derive_network
from chainrule.derive.model import Spec
from chainrule.present import FORMATS, FORMS, present
from chainrule.present.boxes import drawn
from chainrule.present.numbers import MOST, MOST_OF_A_TENSOR, Given, NumbersError, Worked, work
from chainrule.present.numerals import array, is_exact, numeral
from chainrule.present.page import Page
from chainrule.present.sides import Line
from chainrule.present.text import width, write
from chainrule.present.tree import Leaf, Related
from chainrule.present.worked import page_of_numbers
from chainrule.spec import load_spec, parse_spec

EXAMPLES = Path(__file__).parent.parent / "examples"

HEAD = """
spec_version = 1
name = "small"
"""
TAIL = """
[loss]
type = "{loss}"
reduction = "{reduction}"
l2 = {l2}

[optimizer]
type = "{optimizer}"
"""
DENSE = """
[input]
shape = [3]

[[layers]]
type = "dense"
units = 4
activation = "{hidden}"

[[layers]]
type = "dense"
units = 2
activation = "{last}"
"""
CONVOLUTION = """
[input]
shape = [4, 4, 1]

[[layers]]
type = "conv2d"
filters = {filters}
kernel = 2
stride = {stride}
padding = {padding}
activation = "{hidden}"

[[layers]]
type = "{pool}"
size = 2
stride = 1

[[layers]]
type = "dropout"
rate = 0.3

[[layers]]
type = "dense"
units = 2
activation = "{last}"
"""
NORM = """
[input]
shape = [3]

[[layers]]
type = "dense"
units = 2
bias = false

[[layers]]
type = "{norm}"

[[layers]]
type = "{hidden}"

[[layers]]
type = "dense"
units = 2
activation = "{last}"
"""

HIDDEN = ("sigmoid", "tanh", "relu", "elu", "softplus", "gelu", "leaky_relu", "swish")
LOSSES = (("mse", "sigmoid"), ("cross_entropy", "softmax"), ("binary_cross_entropy", "sigmoid"))
OPTIMIZERS = ("sgd", "momentum", "adagrad", "rmsprop", "adam")


def small_spec(seed: int) -> Spec:
    """Return a random small network: dense, convolution with pooling and dropout, or with normalization."""
    loss, last = LOSSES[seed % 3]
    around = {
        "loss": loss,
        "last": last,
        "hidden": HIDDEN[seed % len(HIDDEN)],
        "optimizer": OPTIMIZERS[seed % len(OPTIMIZERS)],
        "reduction": ("mean", "sum")[seed % 2],
        "l2": (0.0, 0.01)[seed // 2 % 2],
        "filters": 1 + seed % 2,
        "stride": 1,
        "padding": ('"valid"', "0")[seed % 2],
        "pool": ("max_pool2d", "avg_pool2d")[seed // 3 % 2],
        "norm": ("batch_norm", "layer_norm")[seed // 3 % 2],
    }
    body = (DENSE, CONVOLUTION, NORM)[seed // 3 % 3]
    return parse_spec((HEAD + body + TAIL).format(**around), "small.toml")


def given_for(spec: Spec, program: Any, count: int, seed: int) -> Given:
    """Return random samples and parameters in general position, and the program's own masks."""
    rng = np.random.default_rng(seed)
    parameters = program.init_parameters(seed, np.float64)
    for value in parameters.values():
        value[...] += rng.uniform(0.05, 0.2, value.shape)
    x = rng.uniform(-1, 1, (count, *spec.input_shape))
    if program.target_kind == "labels":
        t = rng.integers(0, 2, count)
    else:
        t = rng.integers(0, 2, (count, *program.output_shape)).astype(float)
    masks = program.module.masks(count, seed) if hasattr(program.module, "masks") else {}
    return Given(parameters, x, t, masks)


def worked(spec: Spec, count: int, seed: int) -> tuple[Worked, Any]:
    """Return a worked pass, and what the program gives on the same samples."""
    with scratch_program(spec) as program:
        given = given_for(spec, program, count, seed)
        found = work(derive_network(spec), given)
        module = program.module
        names = set(module.PARAMETERS)
        own = {key: value.copy() for key, value in given.parameters.items()}
        key = {"seed": seed} if given.masks else {}
        loss, gradients = module.loss_and_gradients(own, given.x, given.t, **key)
        state = module.init_optimizer(own)
        module.train_step(own, given.x, given.t, state, **key)
        outputs = module.predict(dict(given.parameters), given.x)
    return found, (loss, gradients, own, state, outputs, names)


@pytest.mark.parametrize("seed", range(18))
def test_a_worked_pass_is_a_step_of_the_generated_program(seed: int) -> None:
    spec = small_spec(seed)
    found, (loss, gradients, after, state, outputs, names) = worked(spec, 1 + seed % 3, seed)
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
    spec, step = small_spec(seed), 1e-6
    found, _ = worked(spec, 2, seed)
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


def run(name: str, *options: str, code: int = 0) -> str:
    found = CliRunner().invoke(derive, ["show", str(EXAMPLES / f"{name}.toml"), "--numbers", *options])
    assert found.exit_code == code, found.output
    return found.output


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
    from chainrule.cli.numbers import worked_page

    page = worked_page(derive_network(spec), (1,), 5, "index", False)
    given = json.loads(present(page, format="json"))["given"]
    for name, value in {**expected, **masks}.items():
        np.testing.assert_array_equal(np.array(given[name]), value)  # to the last bit


# ---- The text read back ----------------------------------------------------------------------------------

SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
FUNCTIONS: dict[str, Callable[..., float]] = {
    "exp": math.exp, "log": math.log, "tanh": math.tanh, "max": max, "min": min, "sqrt": math.sqrt,
    "erf": math.erf, "cos": math.cos, "abs": abs, "sigma": lambda u: 1 / (1 + math.exp(-u)),
    "softplus": lambda u: math.log1p(math.exp(u)),
}  # fmt: skip
OPERATORS: dict[type, Callable[..., float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.USub: operator.neg,
}  # fmt: skip


def read(text: str) -> float:
    """Return the value of a printed expression, by a small evaluator of its own."""
    text = (
        text.replace("−", "-")
        .replace("·", "*")
        .replace("√", "sqrt")
        .replace("σ", "sigma")
        .replace("π", "(3.141592653589793)")
    )
    text = re.sub(r"sqrt(\d[\d.]*(?:e-?\d+)?)", r"sqrt(\1)", text)
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: "**" + m.group().translate(SUPERSCRIPT), text).replace(
        "^", "**"
    )
    text = re.sub(r"(?<=[\d)]) (?=[(a-z])", " * ", text)

    def value(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=number):
                return float(str(number))
            case ast.BinOp(left, op, right):
                return OPERATORS[type(op)](value(left), value(right))
            case ast.UnaryOp(op, operand):
                return OPERATORS[type(op)](value(operand))
            case ast.Call(ast.Name(called), arguments):
                return FUNCTIONS[called](*map(value, arguments))
        raise ValueError(ast.dump(node))

    return value(ast.parse(text.strip(), mode="eval").body)


NUMBER = re.compile(r"\d+\.?\d*(?:e-?\d+)?")


def half_unit(number: str) -> float:
    """Return how far a printed number may be from the value: half its last digit, 0 where it is short."""
    digits, _, power = number.partition("e")
    if len(digits.replace(".", "").lstrip("0")) < 4:
        return 0.0
    places = len(digits.partition(".")[2])
    return 0.5 * 10.0 ** (int(power or 0) - places)


def room(text: str) -> float:
    """Return how far a printed expression may be off because its numbers are rounded (to first order)."""
    total, here = 0.0, read(text)
    for match in NUMBER.finditer(text):
        if half_unit(match.group()):
            moved = float(match.group()) + half_unit(match.group())
            total += abs(read(f"{text[: match.start()]}{moved!r}{text[match.end() :]}") - here)
    return total


def lines_of(page: Page) -> Iterator[tuple[str, Line]]:
    for entry in page.entries:
        for line in entry.worked.lines if entry.worked else ():
            yield entry.symbol, line


@pytest.mark.parametrize("seed", [1, 5, 6])
def test_every_printed_line_of_numbers_holds_as_it_is_read(seed: int) -> None:
    found, _ = worked(small_spec(seed), 1 + seed % 2, seed)
    checked = 0
    for _symbol, line in lines_of(page_of_numbers(found)):
        match line.right:
            case Related(relation, put, result):
                pass
            case _:
                continue
        text, outcome = write(put), write(result)
        if "⋯" in text:
            continue
        exact = line.relation == "=" and relation == "="
        allowed = 0 if exact else 1.2 * room(text) + sum(map(half_unit, NUMBER.findall(outcome)))
        found_ = read(text)
        assert abs(found_ - read(outcome)) <= allowed + 1e-13 * max(1, abs(found_)), f"{text} = {outcome}"
        checked += 1
    assert checked > 20


@pytest.mark.parametrize("name", ["xor_backprop", "or", "and", "xor_no_bias"])
def test_results_in_the_text_are_the_json_rounded(name: str) -> None:
    page = json.loads(run(name, "--sample", "3", "--json"))
    for equation in page["equations"]:
        value = equation["value"]
        flat = (
            [v for part in value.values() for v in np.ravel(part)]
            if isinstance(value, dict)
            else np.ravel(value)
        )
        assert len(equation["numbers"]) == len(flat)
        for line, exact in zip(equation["numbers"], flat, strict=True):
            shown = read(re.split("[=≈]", line)[-1])
            assert shown == pytest.approx(float(exact), rel=5.01e-4)
            if re.findall("[=≈]", line)[-1] == "=":
                assert shown == pytest.approx(float(exact), rel=1e-14)


# ---- Every format ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(0, 9, 2))
@pytest.mark.parametrize("form", FORMS)
def test_katex_accepts_the_numbers(seed: int, form: str, katex: Callable[[Iterable[str]], list[str]]) -> None:
    found, _ = worked(small_spec(seed), 1 + seed % 2, seed)
    page = page_of_numbers(found, form, True)
    markdown = present(page, format="markdown", steps=True)
    displays = re.findall(r"\$\$\n(.*?)\n\$\$", markdown, re.DOTALL)
    assert len(displays) > len(found.rows)
    assert katex([present(page, steps=True), *displays]) == []


@pytest.mark.parametrize("form", FORMS)
def test_every_format_has_every_result(form: str) -> None:
    found, _ = worked(small_spec(0), 1, 0)
    page = page_of_numbers(found, form)
    loss = found.rows[[row.numbered.name for row in found.rows].index("E")].value.item()
    digits = f"{loss:#.4g}"
    for format_ in FORMATS:
        text = present(page, format=format_)
        assert digits in text, format_
    html = present(page, format="html")
    assert html.count("<div") == html.count("</div>") and "<mo></mo>" not in html


def test_matrices_stand_level_in_text() -> None:
    found, _ = worked(small_spec(3), 2, 3)
    for _symbol, line in lines_of(page_of_numbers(found, "matrix")):
        rows = drawn(line)
        assert len({width(row) for row in rows}) == 1
        for column in zip(*rows, strict=True):
            marks = "".join(column)
            for top, bottom in ("⎡⎣", "⎤⎦", "⎛⎝", "⎞⎠"):
                assert marks.count(top) == marks.count(bottom), "\n".join(rows)


@pytest.mark.parametrize(
    ("value", "text", "exact"),
    [
        (0.5, "0.5", True), (-0.0, "0", True), (0.1 + 0.2, "0.3", True), (12345.0, "12345", True),
        (1 / 3, "0.3333", False), (-2 / 3, "−0.6667", False), (0.12904, "0.1290", False),
        (12345.678, "12350", False), (3.2e-5, "3.2e-5", True), (1.23456e-7, "1.235e-7", False),
        (0.99999, "1.000", False), (1e6, "1e6", True), (2.5e-4, "0.00025", True), (0.0625, "0.0625", True),
    ],
)  # fmt: skip
def test_numbers_are_written_short(value: float, text: str, exact: bool) -> None:
    assert write(numeral(value)) == text
    assert is_exact(value) is exact


def test_a_long_vector_lies_down() -> None:
    assert drawn(Line(Leaf("v", "v"), "=", array(np.arange(12.0))))[0].startswith("v = [0  1  2")
    assert "".join(drawn(Line(Leaf("v", "v"), "=", array(np.arange(12.0))))).endswith("11]ᵀ")


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
    found, (_, gradients, *_rest) = worked(small_spec(0), 2, 0)
    row = next(row for row in found.rows if row.numbered.name == "dW1")
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(row.value * (1 + 1e-6), gradients["W1"], rtol=1e-9)
