"""The errata of the slides: every one is reported, and the numbers that show it are computed anew here."""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any

import numpy as np
import pytest
from by_hand import difference, sigma, softmax

from chainrule.lectures import TOPICS, topic
from chainrule.lectures.model import Erratum, Topic
from chainrule.present import FORMATS, present

COUNTS = {
    "gradient-descent": 1, "forward-3-2-3": 1, "sigmoid": 1, "delta": 3, "vanishing-gradient": 1,
    "cross-entropy": 1, "or": 1, "xor-backprop": 1, "mnist-mlp": 1,
}  # fmt: skip


@cache
def whole() -> Topic:
    return topic("errata")


def errata(id: str) -> tuple[Erratum, ...]:
    return topic(id).errata


def shown(text: str) -> list[float]:
    """Return the numbers of a sentence."""
    plain = text.replace("−", "-").replace(",", "")
    return [float(n) for n in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*\d)", plain)]


def test_all_eleven_are_reported() -> None:
    assert {id: len(errata(id)) for id in COUNTS} == COUNTS
    assert sum(COUNTS.values()) == 11
    found = [(id, erratum) for id in TOPICS if id != "errata" for erratum in errata(id)]
    assert len(whole().errata) == len(found) >= 11
    assert list(whole().errata) == [erratum for _, erratum in found]
    assert len(whole().entries) == len(found)


@pytest.mark.parametrize("id", COUNTS)
def test_each_says_what_is_wrong_what_is_right_and_shows_it_by_a_number(id: str) -> None:
    for erratum in errata(id):
        assert erratum.slide and erratum.right and erratum.slide != erratum.right
        assert re.search(r"\d", erratum.shown), erratum.shown
        assert erratum.note in topic(id).notes and erratum.note.startswith("Erratum")


def test_the_list_prints_in_every_format() -> None:
    for kind in FORMATS:
        written = present(whole(), format=kind)
        assert written.count("xor-backprop") or written.count("xor") >= 1
        assert "0.1966" in written.replace("&#46;", ".")


def test_sigmoid() -> None:
    (erratum,) = errata("sigmoid")
    h = sigma(1.0)
    assert "f(1 − f) is 0," in erratum.shown and f"is {h * (1 - h):.4f}," in erratum.shown
    assert f"{difference(lambda v: sigma(v[0]), [1.0])[0]:.4f}" in erratum.shown


def test_forward() -> None:
    (erratum,) = errata("forward-3-2-3")
    x = np.array([1.0, 2, 3])
    assert f"z_2 is {np.array([0.4, 0.5, 0.6]) @ x:.6g};" in erratum.shown
    assert f"would be {0.4 * x.sum():.6g}." in erratum.shown


def test_delta_by_weights_or_by_the_next_layer() -> None:
    by_weights, next_layer, _softmax = errata("delta")
    W1, W2 = np.linspace(-0.8, 1, 4).reshape(2, 2), np.linspace(-0.8, 1, 6).reshape(3, 2)
    b1, b2 = np.linspace(-0.8, 1, 2), np.linspace(-0.8, 1, 3)
    t = np.array([1.0, 0, 0])

    def error(z: Any) -> float:
        return float(((sigma(W2 @ sigma(z) + b2) - t) ** 2).sum() / 2)

    z1 = W1 @ np.array([0.5, -1.0]) + b1
    slope = difference(error, z1)
    a1 = sigma(z1)

    def of_weights(w: Any) -> float:
        return float(((sigma(w.reshape(3, 2) @ a1 + b2) - t) ** 2).sum() / 2)

    dW2 = difference(of_weights, W2.ravel()).reshape(3, 2)
    slide = (dW2 * W2).sum(axis=0) * a1 * (1 - a1)
    right, quotient, wrong = shown(by_weights.shown)[-3:]
    assert right == quotient == pytest.approx(slope[0], abs=5e-6)
    assert wrong == pytest.approx(slide[0], abs=5e-6) and abs(wrong - right) > 0.01
    assert shown(next_layer.shown)[-2:] == pytest.approx([slope[1]] * 2, abs=5e-6)


def test_delta_of_a_softmax() -> None:
    erratum = errata("delta")[2]
    z, t = np.array([1, 2, 0.5]), np.array([0, 1, 0])

    slope = difference(lambda v: ((softmax(v) - t) ** 2).sum() / 2, z)
    a = softmax(z)
    right, quotient, wrong = shown(erratum.shown)[-3:]
    assert right == quotient == pytest.approx(slope[0], abs=5e-6)
    assert wrong == pytest.approx(((a - t) * a * (1 - a))[0], abs=5e-6) and abs(wrong - right) > 0.01


def test_cross_entropy() -> None:
    (erratum,) = errata("cross-entropy")
    assert f"{math.log(0.8):.4f}".replace("-", "−") in erratum.shown
    assert f"{1 - math.log(0.2):.4f}" in erratum.shown


def test_the_targets_of_or() -> None:
    (erratum,) = errata("or")
    rows = [(a, b) for a in (0, 1) for b in (0, 1)]
    both, either = (", ".join(str(int(f(row))) for row in rows) for f in (all, any))
    assert f"AND x₂ is {both}," in erratum.shown and f"OR x₂ is {either}:" in erratum.shown
    assert either in erratum.slide


def test_a_bias_for_every_example_of_xor() -> None:
    (erratum,) = errata("xor-backprop")
    x, t = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([[0], [1], [1], [0.0]])

    def trained(summed: bool) -> tuple[float, tuple[int, ...]]:
        w1 = np.array([[-0.5, 0.5, 0.5], [-0.5, 0.5, -0.5]])
        w2, b = np.array([[-0.5], [0.5], [-0.5]]), np.zeros(3)
        for _step in range(100):
            h = sigma(x @ w1 + b)
            y = sigma(h @ w2)
            d2 = (y - t) * y * (1 - y)
            d1 = d2 @ w2.T * h * (1 - h)
            w2 = w2 - h.T @ d2
            w1 = w1 - x.T @ d1
            b = b - (d1.sum(axis=0) if summed else d1)
        return float(((sigma(sigma(x @ w1 + b) @ w2) - t) ** 2).sum() / 2), b.shape

    (wrong, wide), (right, narrow) = trained(False), trained(True)
    assert (wide, narrow) == ((4, 3), (3,))
    assert "4 × 3" in erratum.shown and "4 × 3" in erratum.slide and "3 numbers" in erratum.right
    assert shown(erratum.shown)[-2:] == pytest.approx([wrong, right], rel=1e-5)


def test_weights_and_biases_of_the_first_network() -> None:
    (erratum,) = errata("mnist-mlp")
    weights, biases = 784 * 16 + 16 * 16 + 16 * 10, 16 + 16 + 10
    assert f"{weights + biases:,}" in erratum.slide
    assert f"{weights:,} weights" in erratum.right and f"{biases} biases" in erratum.right
