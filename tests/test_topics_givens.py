"""Numbers of the lectures and other ones: what topics work out, show, and refuse."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from by_hand import convolved, difference, sigma, softmax

from chainrule.lectures import topic
from chainrule.present import FORMATS, present


def numbers(found: Any, name: str) -> Any:
    return np.array(json.loads(found.results[name]), dtype=float)


def test_the_convolution_of_the_lecture() -> None:
    found = topic("convolution")
    x = np.array([[2, 1, 2], [5, 0, 1], [1, 7, 3]], dtype=float)
    w = np.array([[0.5, 0.7, 0.4], [0.3, 0.4, 0.1], [0.5, 1, 0.5]])
    assert numbers(found, "w^r, worked").tolist() == [[0.5, 1, 0.5], [0.1, 0.4, 0.3], [0.4, 0.7, 0.5]]
    y = convolved(x, w, 1, True)
    assert np.allclose(numbers(found, "y, worked"), y)
    for of, base in (("x", x), ("w", w)):
        slope = difference(
            lambda v, of=of: convolved(*((v, w) if of == "x" else (x, v)), 1, True).sum(), base
        )
        assert np.allclose(numbers(found, f"dE/d{of}, worked"), slope)
    assert [found.results[f"size {case}"] for case in ("7, 3, 1", "7, 3, 2", "32, 5, 1")] == ["5", "3", "28"]


@pytest.mark.parametrize(
    ("stride", "dilation", "padding"), [(1, 1, "full"), (2, 1, "1"), (1, 2, "valid"), (2, 2, "2")]
)
def test_convolutions_of_other_numbers(stride: int, dilation: int, padding: str) -> None:
    rng = np.random.default_rng(3)
    x, w = rng.integers(-3, 4, (5, 6)).astype(float), rng.integers(-3, 4, (2, 3)).astype(float)
    given = [
        f"x={x.tolist()}",
        f"w={w.tolist()}",
        f"padding={padding}",
        f"stride={stride}",
        f"dilation={dilation}",
    ]
    if padding == "full":
        expected = convolved(np.pad(x, ((1, 1), (2, 2))), w, 0, True)
    else:
        wide = np.zeros([(n - 1) * dilation + 1 for n in w.shape])
        wide[::dilation, ::dilation] = w
        p = 0 if padding == "valid" else int(padding)
        expected = convolved(x, wide, p, True)[::stride, ::stride]
    assert np.allclose(numbers(topic("convolution", given), "y, worked"), expected)


def test_the_pooling_of_the_lecture() -> None:
    found = topic("pooling")
    assert numbers(found, "y, max, worked").tolist() == [[255, 125, 170], [255, 150, 150], [70, 200, 95]]
    slope = numbers(found, "dE/dx, max, worked")
    assert slope.sum() == 9 and slope[0, 1] == 1 and slope[1, 1] == 0  # 255 twice: the first wins
    other = topic("pooling", ["x=[[1,2,3],[4,0,6]]", "size=2", "stride=1"])
    assert numbers(other, "y, max, worked").tolist() == [[4, 6]]
    assert numbers(other, "y, mean, worked").tolist() == [[7 / 4, 11 / 4]]


def test_the_outputs_of_or() -> None:
    assert np.allclose(numbers(topic("or"), "outputs").ravel(), [0.271, 0.366, 0.240, 0.330], atol=5e-4)


def test_one_step_of_xor() -> None:
    found = topic("xor-backprop")
    x, t = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([0, 1, 1, 0.0])[:, None]
    p = {
        "W1": np.array([[-0.5, -0.5], [0.5, 0.5], [0.5, -0.5]]),
        "b1": np.zeros(3),
        "W2": np.array([[-0.5, 0.5, -0.5]]),
    }

    def error(p: dict[str, Any]) -> float:
        return float(((sigma(sigma(x @ p["W1"].T + p["b1"]) @ p["W2"].T) - t) ** 2).sum() / 2)

    for name, value in p.items():
        slope = difference(lambda v, name=name: error({**p, name: v}), value)
        assert np.allclose(numbers(found, f"{name}, after one step"), value - slope, atol=1e-8), name


def test_parameters_of_the_first_network_for_mnist() -> None:
    found = topic("mnist-mlp")
    assert (found.results["weights"], found.results["biases"]) == ("12960", "42")
    assert found.results["parameters"] == "13002"
    other = topic("mnist-mlp", ["layers=4,3,2"])
    assert other.results["parameters"] == str(4 * 3 + 3 + 3 * 2 + 2) and not other.errata


def test_batch_norm_in_both_forms_and_dropout_over_all_masks() -> None:
    found = topic("batch-norm", ["x=1,2,4", "dy=0.5,-1,2", "gamma=1.5", "epsilon=0.01"])
    x, dy = np.array([1.0, 2, 4]), np.array([0.5, -1, 2])
    slope = difference(lambda v: (dy * 1.5 * (v - v.mean()) / np.sqrt(v.var() + 0.01)).sum(), x)
    for form in ("long", "compact"):
        assert np.allclose(numbers(found, f"dE/dx, {form}, worked"), slope, atol=1e-8)
    mean = topic("dropout", ["w=1,-1", "x=2,3", "t=0.5", "rate=0.25"])
    assert numbers(mean, "mean of E, every mask") == pytest.approx((2 - 3 - 0.5) ** 2 + (4 + 9) / 3)
    assert numbers(mean, "mean of E, formula") == pytest.approx((2 - 3 - 0.5) ** 2 + (4 + 9) / 3)


def test_a_pass_through_the_chain_in_numbers() -> None:
    given = {"x": 0.7, "t": 0.2, "w1": 1.1, "w2": -0.6, "w3": 0.9, "w4": -1.4}
    found = topic("backprop-chain", [*(f"{k}={v}" for k, v in given.items()), "rate=0.5"])

    def error(w: Any) -> float:
        h = given["x"]
        for weight in w:
            h = 1 / (1 + math.exp(-weight * h))
        return (h - given["t"]) ** 2 / 2

    w = np.array([given[f"w{k}"] for k in range(1, 5)])
    slopes = difference(error, w)
    assert numbers(found, "E, worked") == pytest.approx(error(w))
    for layer in range(1, 5):
        moved = numbers(found, f"w{layer}, after one step")
        assert moved == pytest.approx(w[layer - 1] - 0.5 * slopes[layer - 1], abs=1e-9)


def test_numbers_of_softmax_logistic_regression_and_activations() -> None:
    found = topic("softmax-cross-entropy", ["z=1,2,3", "t=0,1,0"])
    p = softmax(np.array([1.0, 2, 3]))
    assert np.allclose(numbers(found, "dE/dz, worked"), p - [0, 1, 0])
    assert np.allclose(numbers(topic("softmax", ["z=1,2,3"]), "dy/dz, worked"), np.diag(p) - np.outer(p, p))
    found = topic("logistic", ["x=1,2", "y=0,1", "w=0.3", "b=-0.2", "rate=0.5"])
    S = sigma(0.3 * np.array([1, 2]) - 0.2)
    assert numbers(found, "w, after one step") == pytest.approx(0.3 - 0.5 * ((S - [0, 1]) @ [1, 2]))
    assert numbers(topic("elu", ["x=-1", "alpha=0.5"]), "dy/dx at -1") == pytest.approx(0.5 / math.e)
    assert numbers(topic("leaky-relu", ["x=-2", "slope=0.2"]), "y at -2") == pytest.approx(-0.4)


GIVENS = {
    "sigmoid": ["x=0.5,-2"],
    "tanh": ["x=1e-3"],
    "softmax": ["z=-1,0,1/3"],
    "softmax-cross-entropy": ["z=1,2", "t=1/4,3/4"],
    "cross-entropy": ["p=0.2,0.9", "y=0,1"],
    "logistic": ["x=-1,2", "y=1,0"],
    "backprop-chain": ["w1=-2"],
    "forward-3-2-3": ["W1=[[1,-2,0],[0,0.5,1]]"],
    "convolution": ["x=1,-2,3,4", "w=1,0,-1", "padding=same", "stride=2"],
    "pooling": ["x=[[1,2],[3,4]]"],
    "maxout": ["w=[[1],[2],[3]]", "b=0,0,1", "x=-2"],
    "dropout": ["w=1", "x=-2", "t=1", "rate=0"],
    "batch-norm": ["x=0,0", "dy=1,2"],
    "or": ["w=1,-1"],
    "xor-backprop": ["w2=1,2,3", "rate=0.1"],
    "mnist-mlp": ["layers=2,2"],
}


@pytest.mark.parametrize("id", GIVENS)
def test_other_numbers_are_shown_in_every_format(
    id: str, katex: Callable[[Iterable[str]], list[str]]
) -> None:
    found = topic(id, GIVENS[id])
    usual = topic(id)
    assert {k: v for k, v in found.results.items() if usual.results.get(k) != v}, "the givens changed nothing"
    written = {kind: present(found, format=kind, steps=True) for kind in FORMATS}
    assert katex([written["latex"], present(found)]) == []
    for text in written.values():
        assert not re.search(
            r"Piecewise|KroneckerDelta|Dummy|Sum\(|True|False|Indexed|nan|inf\b|--[^->]", text
        )


REFUSED = [
    ("sigmoid", ["z=1"], "takes x, not z"),
    ("sigmoid", ["x=a"], "no number"),
    ("sigmoid", ["x=[1"], "not closed"),
    ("sigmoid", ["x=-1000"], "no value"),
    ("sigmoid", ["x=1,2,3,4,5,6,7"], "at most"),
    ("elu", ["alpha=-1"], "above 0"),
    ("softmax", ["z=[[1,2],[3,4]]"], "row of numbers"),
    ("softmax-cross-entropy", ["z=1,2"], "give t"),
    ("softmax-cross-entropy", ["z=1,2", "t=1,1"], "sum to 1"),
    ("softmax-cross-entropy", ["z=1,2", "t=1"], "as many"),
    ("cross-entropy", ["p=0,1", "y=0,1"], "between 0 and 1"),
    ("logistic", ["x=1,2", "y=0,2"], "from 0 to 1"),
    ("backprop-chain", ["w5=1"], "not w5"),
    ("forward-3-2-3", ["W1=[[1,2],[3,4]]"], "2 × 3"),
    ("delta", ["x=1"], "takes no givens"),
    ("convolution", ["x=1,2"], "both"),
    ("convolution", ["x=1,2", "w=1,2,3", "padding=valid"], "kernel 3"),
    ("convolution", ["stride=0"], "at least 1"),
    ("convolution", ["x=[[1,2],[3]]", "w=[[1]]"], "different lengths"),
    ("pooling", ["size=9"], "size 9"),
    ("pooling", ["size=1.5"], "whole number"),
    ("maxout", ["w=[[1,2],[3,4]]"], "give b, x"),
    ("maxout", ["w=[[1,2],[3,4]]", "b=1", "x=1,2"], "needs 2"),
    ("dropout", ["w=1", "x=1", "t=1", "rate=1"], "less than 1"),
    ("batch-norm", ["x=1,2"], "both x and dy"),
    ("batch-norm", ["x=1,1", "dy=1,2", "epsilon=0"], "above 0"),
    ("or", ["w=1"], "x has 2"),
    ("xor-backprop", ["w1=[[1,2],[3,4]]"], "2 × 3"),
    ("mnist-mlp", ["layers=3"], "widths"),
    ("mnist-mlp", ["layers=3,0"], "at least 1"),
    ("errata", ["x=1"], "takes no givens"),
]


@pytest.mark.parametrize(("id", "given", "message"), REFUSED)
def test_givens_that_a_topic_cannot_take(id: str, given: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        topic(id, given)
    assert "\n" not in str(refused.value)
