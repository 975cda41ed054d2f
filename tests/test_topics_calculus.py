"""The chain rule, vanishing gradients, convexity, weight decay, scaling and one-hot, by other means."""

from __future__ import annotations

import math
from functools import cache
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from sympy import Indexed

from chainrule.derive.index import Equation, access, name_of, tensor
from chainrule.derive.interpret import evaluate
from chainrule.formula import parse_formula
from chainrule.lectures import topic
from chainrule.lectures.model import Topic
from chainrule.present import present

POINTS = 20


@cache
def usual(id: str) -> Topic:
    return topic(id)


def value(found: Topic, name: str, **at: object) -> float:
    return float(evaluate(Equation(access(tensor("out")), found.formulas[name]), at))


def sigmoid(z: float | np.ndarray) -> float | np.ndarray:
    return 1 / (1 + np.exp(-z))


# ---- Chain rule ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(POINTS))
@pytest.mark.parametrize(
    ("z", "t", "names"),
    [
        ("t**2", "x + y", "xy"),
        ("sin(t) * exp(t/2)", "u*v**2", "uv"),
        ("log(1 + t**2)", "tanh(w) - 3", "w"),
        ("1/(1 + exp(-t))", "a*b + c", "abc"),
    ],
)
def test_slopes_of_composed_functions(z: str, t: str, names: str, seed: int) -> None:
    found = topic("chain-rule", [f"z={z}", f"t={t}"])
    rng = np.random.default_rng(seed)
    symbols = {name: sympy.Symbol(name, real=True) for name in names}
    inner = parse_formula(t, symbols)
    outer = parse_formula(z, {"t": inner})
    at = {symbol: mpmath.mpf(float(rng.normal())) for symbol in symbols.values()}
    numeric = sympy.lambdify(list(symbols.values()), outer, "mpmath")
    for name, symbol in symbols.items():
        place = list(symbols.values()).index(symbol)
        order = tuple(int(k == place) for k in range(len(names)))
        wanted = mpmath.diff(numeric, tuple(at.values()), order)
        got = found.formulas[f"dz/d{name}"].subs({s: float(v) for s, v in at.items()})
        assert float(got) == pytest.approx(float(wanted), rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("seed", range(POINTS))
def test_slopes_through_neurons_by_autograd(seed: int, torch: ModuleType) -> None:
    found = usual("chain-rule")
    rng = np.random.default_rng(seed)
    x, t, b1, b2 = rng.normal(size=4)
    w1, w2 = (torch.tensor(float(v), dtype=torch.float64, requires_grad=True) for v in rng.normal(size=2))
    one = torch.sigmoid(w1 * x + b1)
    (0.5 * (one - t) ** 2).backward()
    assert value(found, "dE/dW", h=one.item(), t=t, x=x) == pytest.approx(w1.grad.item(), rel=1e-10)
    w1.grad = None
    one = torch.sigmoid(w1 * x + b1)
    two = torch.sigmoid(w2 * one + b2)
    (0.5 * (two - t) ** 2).backward()
    at = {"h1": one.item(), "h2": two.item(), "W2": w2.item(), "t": t, "x": x}
    assert value(found, "dE/dW1, two neurons", **at) == pytest.approx(w1.grad.item(), rel=1e-10)


def test_the_lecture_writes_twice_x_plus_y() -> None:
    shown = present(usual("chain-rule"), format="text", steps=True)
    assert "∂z/∂x = 2 (x + y)" in shown and "∂E/∂W = ∂E/∂h ∂h/∂f ∂f/∂W" in shown


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["z=u**2"], "function of t alone"),
        (["z=3"], "function of t alone"),
        (["t=5"], "other letters"),
        (["t=t + x"], "other letters"),
        (["z=t*("], "expected|end|parenthesis"),
        (["w=1"], "takes z, t"),
    ],
)
def test_functions_that_make_no_chain_are_refused(given: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        topic("chain-rule", given)


# ---- Vanishing gradients ---------------------------------------------------------------------------------


def chain(torch: ModuleType, weights: list[Any], x: float, activation: Any) -> tuple[list[Any], Any]:
    """Neurons in a row in PyTorch: their pre-activations and their last output."""
    sums, out = [], torch.tensor(x, dtype=torch.float64)
    for weight in weights:
        z = weight * out
        z.retain_grad()
        sums.append(z)
        out = activation(z)
    return sums, out


@pytest.mark.parametrize("seed", range(POINTS))
def test_the_recursion_of_delta_by_autograd(seed: int, torch: ModuleType) -> None:
    found = usual("vanishing-gradient")
    rng = np.random.default_rng(seed)
    weights = [torch.tensor(float(v), dtype=torch.float64, requires_grad=True) for v in rng.normal(size=5)]
    for name, activation in (("delta", torch.sigmoid), ("delta, ReLU", torch.relu)):
        sums, out = chain(torch, weights, float(rng.normal()), activation)
        (0.5 * (out - 0.3) ** 2).backward()
        deltas = [z.grad.item() for z in sums]
        outputs = [activation(z).item() for z in sums]
        for i in range(4):
            at = {"z": sums[i].item(), "h": outputs[i], "w": weights[i + 1].item(), "d z": deltas[i + 1]}
            formula = found.formulas[name]
            got = formula.xreplace({a: sympy.Float(at[name_of(a.base)]) for a in formula.atoms(Indexed)})
            assert float(got) == pytest.approx(deltas[i], rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(("depth", "w"), [(10, "1"), (5, "-2"), (30, "3.5"), (7, "0.25")])
def test_what_is_left_of_delta(depth: int, w: str, torch: ModuleType) -> None:
    found = topic("vanishing-gradient", [f"depth={depth}", f"w={w}", "x=0.7", "t=0.2"])
    weights = [torch.tensor(float(w), dtype=torch.float64, requires_grad=True) for _ in range(depth)]
    sums, out = chain(torch, weights, 0.7, torch.sigmoid)
    (0.5 * (out - 0.2) ** 2).backward()
    ratio = abs(sums[0].grad.item() / sums[-1].grad.item())
    assert float(found.results["ratio, sigmoid"]) == pytest.approx(ratio, rel=1e-9)
    bound = (abs(float(w)) / 4) ** (depth - 1)
    assert float(found.results["bound with these numbers"]) == pytest.approx(bound, rel=1e-9)
    assert ratio <= bound
    symbol, size = (next(s for s in found.formulas["bound"].free_symbols if s.name == n) for n in ("w", "L"))
    assert float(found.formulas["bound"].subs({symbol: abs(float(w)), size: depth - 1})) == pytest.approx(
        bound
    )


def test_the_quarter_is_reached_at_one_half_alone() -> None:
    assert usual("vanishing-gradient").formulas["maximum"] == sympy.Rational(1, 4)
    h = np.linspace(0, 1, 1001)
    assert (h * (1 - h)).max() == 0.25 and np.argmax(h * (1 - h)) == 500


def test_adding_the_slope_raises_the_error() -> None:
    (erratum,) = usual("vanishing-gradient").errata

    def error(weights: np.ndarray) -> float:
        out = 1.0
        for weight in weights:
            out = sigmoid(weight * out)
        return float(out**2 / 2)

    ones, h = np.ones(4), 1e-6
    slope = np.array([(error(ones + h * e) - error(ones - h * e)) / (2 * h) for e in np.eye(4)])
    for number in (error(ones), error(ones + slope), error(ones - slope)):
        assert f"{number:.6g}" in erratum.shown
    assert error(ones + slope) > error(ones) > error(ones - slope)


@pytest.mark.parametrize("given", ["depth=1", "depth=1000", "depth=2.5", "w=x", "l=2"])
def test_chains_that_make_no_sense_are_refused(given: str) -> None:
    with pytest.raises(ValueError):
        topic("vanishing-gradient", [given])
    with pytest.raises(ValueError, match="too large"):
        topic("vanishing-gradient", ["depth=200", "w=1000"])


# ---- Convexity -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(POINTS))
def test_second_derivatives_by_autograd(seed: int, torch: ModuleType) -> None:
    found = usual("convexity")
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=5) * 2, rng.integers(0, 2, size=5).astype(float)
    tx, ty = torch.tensor(x), torch.tensor(y)
    at = torch.tensor(rng.normal(size=2))

    def cross_entropy(wb: Any) -> Any:
        return torch.nn.functional.binary_cross_entropy_with_logits(wb[0] * tx + wb[1], ty, reduction="sum")

    def squares(wb: Any) -> Any:
        return 0.5 * ((torch.sigmoid(wb[0] * tx + wb[1]) - ty) ** 2).sum()

    known = {"x": x, "y": y, "S": sigmoid(at[0].item() * x + at[1].item())}
    bent = torch.autograd.functional.hessian(cross_entropy, at)
    assert value(found, "C", **known) == pytest.approx(cross_entropy(at).item())
    for name, (a, b) in {"dwdw": (0, 0), "dwdb": (0, 1), "dbdb": (1, 1)}.items():
        assert value(found, f"d2C/{name}", **known) == pytest.approx(bent[a, b].item(), rel=1e-9)
    u = rng.normal(size=2)
    form = value(found, "u H u", **known, u_1=u[0], u_2=u[1])
    assert form == pytest.approx(float(u @ bent.numpy() @ u), rel=1e-9) and form >= 0
    bent = torch.autograd.functional.hessian(squares, at)
    assert value(found, "d2E/dw2", **known) == pytest.approx(bent[0, 0].item(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    "given", [[], ["x=-3, 1, 2, 0.5", "y=0, 1, 0, 1"], ["x=100, 0.1", "y=1, 0.5"], ["x=5", "y=1"]]
)
def test_the_counter_example_is_one(given: list[str]) -> None:
    found = topic("convexity", given)
    x, y = (
        np.array(
            [float(v) for v in (dict(g.split("=") for g in given) or {"x": "1", "y": "0"})[k].split(",")]
        )
        for k in "xy"
    )

    def squares(w: mpmath.mpf) -> mpmath.mpf:
        return sum((1 / (1 + mpmath.exp(-w * a)) - b) ** 2 for a, b in zip(x, y, strict=True)) / 2

    place = mpmath.mpf(float(found.results["at w"]))
    bent = mpmath.diff(squares, place, 2)
    assert bent < 0
    assert float(found.results["d2E/dw2 least"]) == pytest.approx(float(bent), rel=1e-6)
    assert "above the mean of the ends: not convex" in present(found, format="text", steps=True)


def test_where_the_sign_changes() -> None:
    found = usual("convexity")
    assert found.formulas["sign change"] == sympy.Rational(2, 3)
    edge = math.log(2)  # σ(log 2) = 2/3
    for w, sign in ((edge - 0.01, 1), (edge + 0.01, -1)):
        bent = mpmath.diff(lambda v: (1 / (1 + mpmath.exp(-v))) ** 2 / 2, w, 2)
        assert mpmath.sign(bent) == sign


@pytest.mark.parametrize(
    "given", [["x=1"], ["x=1,2", "y=1"], ["x=0", "y=1"], ["x=1", "y=2"], ["x=1", "y=a"], ["q=1"]]
)
def test_data_that_show_no_convexity_are_refused(given: list[str]) -> None:
    with pytest.raises(ValueError):
        topic("convexity", given)


# ---- Weight decay ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(POINTS))
def test_the_penalised_step_and_its_minimum(seed: int) -> None:
    found = usual("weight-decay")
    rng = np.random.default_rng(seed)
    X, Y, theta = rng.normal(size=(6, 3)), rng.normal(size=6), rng.normal(size=3)
    eta, strength = 0.01, float(rng.uniform(0.1, 2))

    def penalised(at: np.ndarray) -> float:
        return float(((Y - X @ at) ** 2).sum() + strength * (at**2).sum())

    def error(at: np.ndarray) -> float:
        return float(((Y - X @ at) ** 2).sum())

    h = 1e-6
    for cost, name in ((penalised, "step"), (error, "slope")):
        slope = np.array([(cost(theta + h * e) - cost(theta - h * e)) / (2 * h) for e in np.eye(3)])
        formula = found.formulas["theta_new" if name == "step" else "dE/dtheta, linear"]
        left = tensor("out", 3)
        (j,) = (s for s in formula.free_symbols if s.name == "j")
        own = -2 * X.T @ (Y - X @ theta)
        at = {"theta": theta, "X": X, "Y": Y, "g": own, "learning_rate": eta, "lambda": strength}
        got = evaluate(Equation(left[j], formula), at)
        assert np.allclose(got, theta - eta * slope if name == "step" else slope, atol=1e-7)
    best = np.linalg.solve(X.T @ X + strength * np.eye(3), X.T @ Y)
    assert all(penalised(best) < penalised(best + 1e-3 * e) for e in np.vstack([np.eye(3), -np.eye(3)]))


@pytest.mark.parametrize("strength", ["0", "1", "1/3", "10"])
def test_one_parameter_with_decay(strength: str) -> None:
    found = topic("weight-decay", ["x=1,2,-3", "y=2,3,1/2", f"lambda={strength}"])
    added = sympy.Rational(strength)
    assert found.results["theta"] == str((2 + 6 - sympy.Rational(3, 2)) / (14 + added))


def test_adam_with_the_penalty_and_decoupled_by_pytorch(torch: ModuleType) -> None:
    found = usual("weight-decay")
    for name, kind in (("Adam with the penalty", torch.optim.Adam), ("Adam, decoupled", torch.optim.AdamW)):
        theta = torch.ones(1, dtype=torch.float64, requires_grad=True)
        optimizer = kind([theta], lr=0.1, weight_decay=0.2, eps=0.0)
        theta.grad = torch.ones(1, dtype=torch.float64)
        optimizer.step()
        assert float(sympy.Rational(found.results[name])) == pytest.approx(theta.item(), abs=1e-12)


# ---- Scaling and one-hot ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(POINTS))
def test_scaled_numbers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=int(rng.integers(2, 9))), 3)
    found = topic("standardize", ["x=" + ", ".join(map(str, x))])
    z = np.array([float(v) for v in found.results["z values"].split(",")])
    assert np.allclose(z, (x - x.mean()) / x.std(), atol=1e-9)
    assert z.mean() == pytest.approx(0, abs=1e-9) and z.var() == pytest.approx(1, abs=1e-9)
    u = np.array([float(sympy.Rational(v)) for v in found.results["u values"].split(",")])
    assert np.allclose(u, (x - x.min()) / (x.max() - x.min()))
    known = {"x": x, "mu": x.mean(), "s": x.std(), "xmin": x.min(), "xmax": x.max()}
    assert value(found, "s squared", **known) == pytest.approx(x.var())
    left = tensor("out", len(x))
    for name, wanted in (("z", z), ("u", u)):
        formula = found.formulas[name]
        (i,) = (s for s in formula.free_symbols if s.name == "i")
        assert np.allclose(evaluate(Equation(left[i], formula), known), wanted, atol=1e-9)
    assert (found.formulas["mean of z"], found.formulas["variance of z"]) == (0, 1)


@pytest.mark.parametrize("given", ["x=1", "x=2,2", "x=a,b", "y=1,2"])
def test_numbers_that_cannot_be_scaled_are_refused(given: str) -> None:
    with pytest.raises(ValueError):
        topic("standardize", [given])


@pytest.mark.parametrize(("t", "classes"), [(1, 3), (0, 2), (7, 10)])
def test_one_hot_targets(t: int, classes: int) -> None:
    rng = np.random.default_rng(t)
    p = rng.integers(1, 9, size=classes)
    given = [f"t={t}", f"classes={classes}", "p=" + ", ".join(f"{v}/{p.sum()}" for v in p)]
    found = topic("one-hot", given)
    hot = np.eye(classes)[t]
    assert np.array_equal(np.array([float(v) for v in found.results["T values"].split(",")]), hot)
    loss = float(-(hot * np.log(p / p.sum())).sum())
    assert float(found.results[f"E, t = {t}"]) == pytest.approx(loss)
    assert value(found, "E, any target", T=hot, p=p / p.sum()) == pytest.approx(loss)
    assert value(found, "E", t=t, p=p / p.sum()) == pytest.approx(loss)
    assert found.formulas["sum of T"] == 1


@pytest.mark.parametrize(
    "given",
    [["t=3"], ["t=-1"], ["t=0.5"], ["p=0.5,0.6,0.1"], ["p=0.5,0.5", "classes=3"], ["classes=1"], ["k=1"]],
)
def test_classes_that_make_no_sense_are_refused(given: list[str]) -> None:
    with pytest.raises(ValueError):
        topic("one-hot", given)
