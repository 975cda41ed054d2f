"""Formulas of one's own: what they mean at every argument, what they cost, and what is said of them."""

from __future__ import annotations

import random
import re
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy
from kernel_runs import Device, disagreements, programs
from random_specs import build

from bench.fuzz import formulas
from bench.fuzz.harness import Limits, run
from chainrule.cli.checking import table, totals
from chainrule.derive.deriving import derive_network
from chainrule.derive.differentiate import CannotDifferentiate
from chainrule.derive.index import Sum
from chainrule.derive.probing import flaws
from chainrule.formula import FormulaError, parse_formula
from chainrule.present import records
from chainrule.runtime.gradcheck import check_gradients
from chainrule.spec import SpecError, field_names, load_spec, parse_spec
from chainrule.spec.positions import scan

CASES = Path(__file__).parent
NETWORK = """spec_version = 1
name = "own"
[input]
shape = [3]
{front}
[[layers]]
type = "dense"
units = 4
activation = "own"
[[layers]]
type = "dense"
units = 2
[loss]
type = "mse"
[activations.own]
formula = "{formula}"
"""
HALVES = np.array([-2.5, -1.5, -1.2, -0.5, 0.0, 0.4, 0.5, 1.5, 2.5, 3.7])


def network(formula: str, front: str = "") -> str:
    """Two dense layers with a formula between them."""
    return NETWORK.format(formula=formula, front=front)


def alone(formula: str, width: int = len(HALVES)) -> str:
    """The formula acts on the input, and a dense layer that starts as the identity hands on what it gives."""
    eye = str(np.eye(width, dtype=int).tolist())
    return f"""spec_version = 1
name = "alone"
[input]
shape = [{width}]
[[layers]]
type = "own"
[[layers]]
type = "dense"
units = {width}
weights = {eye}
[loss]
type = "mse"
[activations.own]
formula = "{formula}"
"""


# ---- M14: floor, ceil, round; steps at the front -------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        ("x - floor(x)", HALVES - np.floor(HALVES)),
        ("ceil(x) + 0 * x", np.ceil(HALVES)),
        ("round(x) + 0.5 * x", np.array([-2, -2, -1, 0, 0, 0, 0, 2, 2, 4]) + HALVES / 2),  # half to even
        ("round(x + 0.5) * x", np.rint(HALVES + 0.5) * HALVES),
        ("floor(-x) + x", np.floor(-HALVES) + HALVES),
        ("sign(x) * x + x", np.abs(HALVES) + HALVES),
    ],
)
def test_m14_what_is_rounded_is_the_same_number_in_every_target(formula, wanted):
    text = alone(formula)
    module = build(text).program.module
    assert np.array_equal(module.predict(module.init_parameters(0, np.float64), HALVES[None])[0], wanted)
    both = programs(text)
    assert disagreements(both, Device(both, both.compiled(), 3, np.float64), 3, 2, 1e-10) == {}


@pytest.mark.parametrize(
    "formula",
    [
        "x - floor(x)",
        "x * round(3 * x)",
        "ceil(x) * sin(x) + 0.1 * x",
        "x + where(x > 0.1, 1, 0)",
        "x + sign(x - 0.2)",
    ],
)
def test_m14_jumps_are_kinks_of_the_gradient_check(formula):
    one = build(network(formula))
    report = check_gradients(one.program)
    assert report.passed, report.to_text()
    module = one.program.module
    parameters, x, t = module.init_parameters(0, np.float64), np.full((1, 3), 0.3), np.zeros((1, 2))
    here, there = (module.branches(parameters, scale * x, t) for scale in (1, -100))
    assert not np.array_equal(here, there), "the jumps are told"


def test_m14_brackets_on_the_page():
    found = records(derive_network(parse_spec(network("floor(x) + ceil(x) * round(x) * x"), "s.toml")))
    forward = next(r for r in found if "⌊" in r["text"])
    assert all(brackets in forward["text"] for brackets in ("⌊z1[n,k]⌋", "⌈z1[n,k]⌉", "⌊z1[n,k]⌉"))
    assert re.search(r"\\lfloor z\S* \\rceil", forward["latex"])


@pytest.mark.parametrize(
    ("formula", "said"),
    [("x - floor(x)", True), ("sigmoid(ceil(x) + x)", True), ("abs(x) * x", False), ("sigmoid(x)", False)],
)
def test_m14_the_reason_says_that_a_step_has_derivative_0(formula, said):
    back = derive_network(parse_spec(network(formula), "s.toml")).role("backward")
    assert any("a step has derivative 0 wherever it has one" in e.rule for e in back) is said


@pytest.mark.parametrize("case", ["floor", "step_on_input"])
def test_m14_cases_train(case):
    one = build((CASES / f"{case}.toml").read_text(encoding="utf-8"))
    module = one.program.module
    parameters = module.init_parameters(0, np.float64)
    x, t = np.random.default_rng(0).normal(size=(8, 3)), np.ones((8, 2))
    state = module.init_optimizer(parameters)
    losses = [module.train_step(parameters, x, t, state) for _ in range(20)]
    assert losses[-1] < losses[0]
    assert module.input_gradient(parameters, x, t).shape == x.shape


def test_m14_the_input_behind_a_step_has_a_gradient_of_zeros():
    module = build((CASES / "step_on_input.toml").read_text(encoding="utf-8")).program.module
    found = module.input_gradient(module.init_parameters(0), np.ones((2, 3), np.float32), np.ones((2, 2)))
    assert not found.any()


@pytest.mark.parametrize("formula", ["round(x)", "floor(x) + ceil(x)", "where(x > 0, 1, 0)", "sign(x)"])
def test_m14_a_step_behind_parameters_is_refused_in_words(formula):
    spec = parse_spec(network(formula), "s.toml")
    with pytest.raises(CannotDifferentiate) as caught:
        derive_network(spec)
    assert "is 0 everywhere" in str(caught.value) and "nothing before it is trained" in str(caught.value)
    assert not any(word in str(caught.value) for word in ("ceiling", "rint", "Piecewise", "sympy"))
    derive_network(parse_spec(network("tanh(x)", '[[layers]]\ntype = "step"'), "s.toml"))


def test_m14_spec_files_of_the_cases_load():
    assert load_spec(CASES / "floor.toml").activations["saw"].text == "x - floor(x)"


# ---- M13: constants are worked out within bounds -------------------------------------------------------

HANGING = (
    "max(tan(sinh(min(beta, 1e9))), x)",
    "x + tan(sinh(where(x > 0, 1e9, 2)))",
    "min(cos(exp(exp(beta + 3))), x)",
    "abs(sin(beta)**2 + cos(beta)**2 - 1) * x",
    "where(sqrt(2) * sqrt(3) - sqrt(6) >= 0, x, -x)",
    "floor(exp(beta) - exp(1.5)) + x",
    "max(1e60 * 1e60, x)",
    "x * 0**(-1)",
    "log(beta - 1.5) * x",
    "sqrt(-beta) + x",
    "erf(1e60) * x + erf(beta * 1e30)",
    "sigmoid(beta * x)**1.23456789 / (1 + x**2)**0.333333333",
    "x * cosh(cosh(cosh(beta)))",
    "beta**2 - sqrt(sinh(64)) * x",
    "where(x > sqrt(sinh(64)), x, sqrt(sinh(64)))",
    "(1 + x)**(1 / 3) * (1 + x)**(1 / 7) * (1 + exp(x))**(1 / 11) / (2 + x)**(1 / 13)",
)


@pytest.mark.parametrize("formula", HANGING)
def test_m13_constants_are_bounded(formula):
    (outcome,) = run(lambda _: network(formula) + "beta = 1.5\n", formulas.check, [0], limits=Limits(4.0))
    assert not outcome.fault, outcome


def test_m13_the_case_is_answered():
    derive_network(load_spec(CASES / "formula_hang.toml"))


def test_m13_constants_of_a_layer_are_looked_at_where_they_stand():
    text = network("x * sqrt(beta)") + "beta = 1.5\n"
    layer = '[[layers]]\ntype = "own"\nbeta = -2.0\n[[layers]]\ntype = "dense"\nunits = 4\n'
    with pytest.raises(SpecError) as caught:
        parse_spec(text.replace("[[layers]]", layer + "[[layers]]", 1), "s.toml")
    (problem,) = caught.value.problems
    assert (problem.code, problem.line) == ("E301", 8) and "square root" in problem.message


@pytest.mark.parametrize("value", ["1e-30", "0.123456789", "7e5"])
def test_m13_a_constant_may_have_many_digits(value):
    derive_network(parse_spec(network("x * sigmoid(beta * x)") + f"beta = {value}\n", "s.toml"))


# ---- M11: finite wherever the value is -----------------------------------------------------------------

x = sympy.Symbol("x", real=True)
STEEP = (
    "(exp(x) - exp(-x)) / (exp(x) + exp(-x))",
    "1 / cosh(x)",
    "x * tanh(exp(x))",
    "1 - exp(-exp(x))",
    "log(1 + exp(x) + exp(2 * x))",
    "log(2 * exp(-x) + exp(3 * x) + 5)",
    "(exp(2 * x) - 1) / (exp(2 * x) + 1)",
    "exp(x) / sqrt(1 + exp(2 * x))",
    "log((1 + exp(x)) / (2 + exp(x)))",
    "x * exp(x) / (1 + exp(x))**2",
    "sinh(x) / (1 + cosh(x))",
    "erf(exp(x)) * x",
    "exp(exp(x)) / (1 + exp(exp(x)))",
    "where(x > 0, log(1 + exp(x)), exp(x) / (1 + exp(x)))",
    "max(x, log(exp(x) + exp(-x)))",
    "sqrt(1 + x**2) - x",
    "(x + sqrt(x**2 + 4)) / 2",
    "sqrt(1 + x**2) - 1",
    "1 + x / sqrt(1 + x**2)",
    "where(x > 0, x, 2 * x) + sqrt(4 + x**2)",
    "sqrt(1 + where(x > 1, x, x**2)**2) + x",
)


@pytest.mark.parametrize("formula", STEEP)
def test_m11_forms_are_finite_and_exact(formula):
    """Forward and derivative, in both types, at arguments to 1e4, beside the true value of the formula."""
    derivation = derive_network(parse_spec(alone(formula, 2), "s.toml"))
    true = parse_formula(formula, {"x": x})
    forward, backward = (next(e for e in derivation.equations if e.name == name) for name in ("a0_2", "dx"))
    for equation, wanted in ((forward, true), (backward, sympy.diff(true, x))):
        right = equation.computed.right
        form = right.xreplace({node: sympy.S.One for node in right.atoms(Sum)})
        (read,) = form.atoms(sympy.Indexed)
        found = flaws(form.xreplace({read: x}), wanted, (x,))
        assert found.broken == 0, (form, found)
        rooted = sympy.Rational(1, 2) in {abs(power.exp) for power in form.atoms(sympy.Pow)}
        smooth = found.error < 1e-12 or not (
            rooted or form.has(sympy.exp)
        )  # 1 − a², as the textbooks have it, is let be
        assert smooth, (form, found)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("formula", [STEEP[0], STEEP[2], STEEP[4], STEEP[-3]])
def test_m11_programs_are_finite_and_exact(formula):
    at = np.array([-1e4, -720.0, -100.0, -3.0, 1e-3, 2.0, 90.0, 350.0, 720.0, 1e4])
    module = build(alone(formula, len(at))).program.module
    true = parse_formula(formula, {"x": x})
    with mpmath.workdps(60):
        value, slope = (
            np.array([float(sympy.lambdify(x, e, "mpmath")(mpmath.mpf(v))) for v in at]) if e.has(x) else None
            for e in (true, sympy.diff(true, x))
        )
    for dtype, tolerance in ((np.float64, 1e-13), (np.float32, 1e-5)):
        parameters, inputs = module.init_parameters(0, dtype), at[None].astype(dtype)
        found = module.predict(parameters, inputs)[0]
        np.testing.assert_allclose(found, value, tolerance, 1e-30)
        size = np.maximum(1, np.abs(found))
        gradient = module.input_gradient(parameters, inputs, (found - size)[None])[0] / size
        np.testing.assert_allclose(gradient, slope, 10 * tolerance, 1e-30)


def test_m11_the_page_keeps_the_users_equation_and_names_the_rewrite():
    derivation = derive_network(parse_spec(network("(exp(x) - exp(-x)) / (exp(x) + exp(-x))"), "s.toml"))
    forward = next(e for e in derivation.equations if e.name == "a1")
    assert "exp(z1[n,k]) − exp(−z1[n,k])" in forward.text()
    assert forward.computed.right.has(sympy.tanh) and "cosh" in str(forward.rule)


@pytest.mark.parametrize(
    ("last", "loss"),
    [
        ("(tanh(x) + 1) / 2", "binary_cross_entropy"),
        ("exp(x) / (1 + exp(x))", "binary_cross_entropy"),
        ("x", "log(exp(y - t) + exp(t - y))"),
        ("x", "log(1 + exp(y)) - t * y"),
        ("x", "exp(y - t) / (1 + exp(y - t))**2"),
    ],
)
def test_m11_losses_are_finite(last, loss):
    own = "" if loss == "binary_cross_entropy" else f'[losses.steep]\nformula = "{loss}"\n'
    text = (
        network(last)
        .replace('activation = "own"\n', "")
        .replace("units = 2", 'units = 2\nactivation = "own"')
    )
    text = text.replace('type = "mse"', f'type = "{"steep" if own else loss}"') + own
    module = build(text).program.module
    for dtype in (np.float64, np.float32):
        parameters = module.init_parameters(0, dtype)
        for size in (1, 100, 3000):
            inputs = size * np.array([[1, -2, 3], [-1, 2, 0.5]], dtype)
            targets = np.array([[1, 0], [0, 1]], dtype)
            loss_, gradients = module.loss_and_gradients(parameters, inputs, targets)
            assert np.isfinite(loss_) and all(np.isfinite(g).all() for g in gradients.values())


# ---- M12: choices inside conditions ---------------------------------------------------------------------

GRID = [sympy.Rational(n, 2) for n in range(-7, 8)]


class Choosing:
    """A random formula of choices: its text, and its value, which knows nothing of SymPy's Piecewise."""

    def __init__(self, source, depth):
        kind = source.choice(["where", "max", "min", "sum", "leaf"]) if depth else "leaf"
        self.kind = kind
        if kind == "leaf":
            self.text = source.choice(["x", "y", "-x", "2 * x", "x - y", "1", "0", "-2", "0.5"])
            return
        self.parts = [Choosing(source, depth - 1) for _ in range(4 if kind == "where" else 2)]
        self.relation = source.choice(["<", "<=", ">", ">="])
        inner = [part.text for part in self.parts]
        if kind == "where":
            self.text = f"where({inner[0]} {self.relation} {inner[1]}, {inner[2]}, {inner[3]})"
        else:
            self.text = f"({inner[0]} + {inner[1]})" if kind == "sum" else f"{kind}({inner[0]}, {inner[1]})"

    def at(self, x, y):
        if self.kind == "leaf":
            texts = {"-x": -x, "2 * x": 2 * x, "x - y": x - y, "x": x, "y": y, "0.5": sympy.Rational(1, 2)}
            return texts[self.text] if self.text in texts else sympy.Integer(self.text)
        a, b, *rest = (part.at(x, y) for part in self.parts)
        if self.kind == "where":
            holds = {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[self.relation]
            return rest[0] if holds else rest[1]
        return {"max": max, "min": min, "sum": lambda p, q: p + q}[self.kind](a, b)


@pytest.mark.parametrize("seed", range(40))
def test_m12_cases_are_the_same_function(seed):
    source = random.Random(seed)
    formula = Choosing(source, 3 if seed % 2 else 2)
    names = dict(zip("xy", sympy.symbols("x y", real=True), strict=True))
    try:
        found = parse_formula(formula.text, names)
    except FormulaError as error:
        assert "too many choices" in error.message or "nodes" in error.message
        return
    for _ in range(60):
        point = source.choice(GRID), source.choice(GRID)
        assert found.subs(dict(zip(names.values(), point, strict=True))) == formula.at(*point), formula.text


@pytest.mark.parametrize(
    ("formula", "cases"),
    [
        ("where(where(x > 0, x, 1) > where(x < 1, 2, x), x, -x)", 1),
        ("where(where(x > 0, 1, 2) > 1, x, 0)", 2),
        ("where(x > 0, where(x > -1, x, 5), 2)", 2),
        ("where(x > 1, 1, where(x > -1, x, -1))", 3),
        ("min(max(x, 0), 6)", 3),
        ("where(where(x > 0, x, -x) > 1, 1, where(where(x > 2, x, 0) > 1, 7, x))", 2),
        ("max(max(max(x, -x), 1), -2)", 3),
        ("where(max(x, 0) > min(x, 1), 1, 0) * x", 2),
    ],
)
def test_m12_dead_cases_are_dropped_and_conditions_joined(formula, cases):
    found = parse_formula(formula, {"x": x})
    pieces = [len(node.args) for node in found.atoms(sympy.Piecewise)]
    assert max(pieces, default=1) == cases, found
    assert not any(v.has(sympy.Piecewise) for node in found.atoms(sympy.Piecewise) for v, _ in node.args)


def test_m12_joined_conditions_reach_page_and_program():
    formula = "where(where(x > 0, x, -2 * x) > 1, x * x, 0.5 * x)"
    one = build(alone(formula, len(HALVES)))
    found = one.program.module.predict(one.program.module.init_parameters(0, np.float64), HALVES[None])[0]
    steep = np.where(HALVES > 0, HALVES, -2 * HALVES) > 1
    assert np.array_equal(found, np.where(steep, HALVES**2, HALVES / 2))
    assert check_gradients(one.program).passed
    texts = [e.text() for e in derive_network(one.spec).equations]
    assert any("∨" in text or "∧" in text or "≤" in text for text in texts), texts
    both = programs(alone(formula, 3))
    assert disagreements(both, Device(both, both.compiled(), 3, np.float64), 3, 2, 1e-10) == {}


# ---- S1, S3: what a spec says and how it is told --------------------------------------------------------


def refused(text):
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "s.toml")
    return caught.value.problems


def test_s1_an_inline_table_over_several_lines():
    data = "[training]\ndata = {\n inputs = [[0, 0, 0]], # one\n targets = [[1, 1]]\n}\n"
    (problem,) = refused(network("tanh(x)") + data)
    line = (network("tanh(x)") + data).splitlines().index("data = {") + 1
    assert (problem.code, problem.line, problem.column) == ("E004", line, 8)
    assert "an inline table stands on one line" in problem.message and "[in brackets]" in problem.hint
    rows = "[training]\ndata = { inputs = [[0, 0,\n 0]], targets = [[1, 1]] }\n"  # a list may go on
    assert parse_spec(network("tanh(x)") + rows, "s.toml").training.data is not None


def test_s1_places_behind_such_a_table_are_right():
    text = "a = {\n b = 1,\n c = { d = [\n2 ] } # e\n}\nf = 2\n"
    positions = scan(text)
    assert positions.stop is None and len(positions.broken_tables) == 1
    assert positions.values["a", "c", "d", 0] == text.index("2") and positions.keys["f",] == text.index("f")


@pytest.mark.parametrize(
    ("table", "name", "said"),
    [
        ("layer", "lstm", "no recurrent layers yet"),
        ("layer", "MultiHeadAttention", "no attention yet"),
        ("layer", "embedding", "no layers over integer inputs yet"),
        ("layer", "concat", "no layers with two inputs yet"),
        ("layer", "Conv2DTranspose", "no transposed convolutions"),
        ("layer", "conv3d", "no layers over volumes yet"),
        ("layer", "group_norm", "yet"),
        ("layer", "Linear", "write dense"),
        ("layer", "BatchNormalization", "write batch_norm"),
        ("layer", "maxpooling2d", "write max_pool2d"),
        ("layer", "dens", "did you mean dense?"),
        ("layer", "mish", '[activations.mish] with formula = "x * tanh(softplus(x))"'),
        ("layer", "wobble", "[activations.wobble]"),
        ("activation", "SiLU", "write swish"),
        ("activation", "leakyReLU", "write leaky_relu"),
        ("activation", "softmaxx", "did you mean softmax?"),
        ("loss", "huber", "[losses.huber] with formula"),
        ("loss", "CrossEntropyLoss", "write cross_entropy"),
        ("loss", "ctc", "yet"),
        ("loss", "mish", "or define it in a table [losses.mish]"),
        ("optimizer", "AdamW", "write adam with weight_decay"),
        ("optimizer", "lion", "no further optimizers yet"),
        ("optimizer", "adm", "did you mean adam?"),
    ],
)
def test_s3_known_names_of_the_field(table, name, said):
    text = network("tanh(x)")
    places = {"layer": 'type = "dense"', "activation": 'activation = "own"', "loss": 'type = "mse"'}
    if table == "optimizer":
        text += f'[optimizer]\ntype = "{name}"\n'
    else:
        key = places[table].partition(" ")[0]
        text = text.replace(places[table], f'{key} = "{name}"', 1)
    problem = next(p for p in refused(text) if p.code == "E105")
    assert said in problem.hint, problem


@pytest.mark.parametrize("name", sorted(field_names.FORMULAS))
def test_s3_suggested_formulas_are_read(name):
    formula = field_names.FORMULAS[name]
    variables = dict(zip(("x", "y", "t", "alpha"), sympy.symbols("x y t alpha", positive=True), strict=True))
    assert parse_formula(formula, variables).free_symbols


def test_m11_what_no_rewrite_mends_is_told_when_the_spec_is_checked():
    steep = totals(parse_spec(network("x**40 / (1 + x**40)"), "s.toml"))["overflows"]
    assert any("(3)" in line and "float32" in line and "and more" in line for line in steep), steep
    assert totals(parse_spec(network("(exp(x) - exp(-x)) / (exp(x) + exp(-x))"), "s.toml"))["overflows"] == []
    assert "although its value is" in table(
        totals(parse_spec(network("x * exp(x**2) * (1 - erf(x))"), "s.toml"))
    )


# ---- D9: label smoothing ----------------------------------------------------------------------------------

SMOOTH = """spec_version = 1
name = "smooth"
[input]
shape = [4]
[[layers]]
type = "dense"
units = 3
activation = "softmax"
[loss]
type = "cross_entropy"
label_smoothing = 0.1
"""
SOFT_ROWS = (
    "[training.data]\ninputs = [[1, 0, 0, 1], [0, 1, 0, 0]]\ntargets = [[0.5, 0.5, 0], [0, 0.2, 0.8]]\n"
)


@pytest.mark.parametrize("soft", [False, True])
def test_d9_label_smoothing_is_an_equation(soft):
    text = SMOOTH + (SOFT_ROWS if soft else "")
    one = build(text)
    module, rng = one.program.module, np.random.default_rng(0)
    parameters, x = module.init_parameters(1, np.float64), rng.normal(size=(5, 4))
    t = rng.dirichlet(np.ones(3), 5) if soft else np.array([0, 1, 2, 0, 1])
    smoothed = 0.9 * (t if soft else np.eye(3)[t]) + 0.1 / 3
    wanted = -(smoothed * np.log(module.predict(parameters, x))).sum() / 5
    assert module.loss(parameters, x, t) == pytest.approx(wanted, rel=1e-13)
    assert check_gradients(one.program).passed
    definition, *_ = derive_network(one.spec).equations
    assert definition.role == "definition" and "0.9" in definition.text() and "1/30" in definition.text()
    both = programs(text)
    if not soft:
        assert disagreements(both, Device(both, both.compiled(), 3, np.float64), 3, 2, 1e-10) == {}


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ('type = "mse"\nlabel_smoothing = 0.1', 'expected the loss "cross_entropy"'),
        ('type = "cross_entropy"\nlabel_smoothing = 1', "< 1"),
        ('type = "cross_entropy"\nlabel_smoothing = -0.1', ">= 0"),
    ],
)
def test_d9_label_smoothing_is_refused(loss, said):
    text = SMOOTH.replace('type = "cross_entropy"\nlabel_smoothing = 0.1', loss)
    assert any(said in str(problem) for problem in refused(text))


def test_d9_no_smoothing_changes_nothing():
    plain = SMOOTH.replace("label_smoothing = 0.1\n", "")
    zero = SMOOTH.replace("0.1", "0.0")
    assert [str(e) for e in derive_network(parse_spec(plain, "s.toml")).equations] == [
        str(e) for e in derive_network(parse_spec(zero, "s.toml")).equations
    ]


def test_m13_a_schedule_that_is_a_table_is_refused():
    problems = refused(network("tanh(x)") + "[optimizer]\nschedule = { a = 1 }\n")
    assert any(problem.code == "E103" for problem in problems)


@pytest.mark.parametrize("power", ["x**(beta - x)", "sqrt(x)**(beta - x)", "x**(x - beta)", "beta**(1 - x)"])
def test_m11_a_power_whose_exponent_has_either_sign_is_shown_in_every_form(power):
    derivation = derive_network(parse_spec(network(f"max(floor(x), {power})") + "beta = 1.5\n", "s.toml"))
    shown = records(derivation)
    assert all(record["latex"] and record["text"] for record in shown) and any(
        "max" in r["text"] for r in shown
    )
