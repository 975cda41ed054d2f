"""Topics: what is derived holds numerically, prints as LaTeX, and settles the slides' errata."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterable

import numpy as np
import pytest
import sympy
from recorded_pages import difference, shown, topic_pages

from chainrule.formula import parse_formula
from chainrule.lectures import TOPICS, topic
from chainrule.lectures.model import Topic
from chainrule.present import FORMATS, document, present

DEBRIS = re.compile(r"Piecewise|KroneckerDelta|Dummy|Sum\(|True|False|Indexed|\+ *[-−]|[-−] *[-−]")


def right(found: Topic, result: str) -> str:
    return found.results[result]


def test_the_list_needs_no_sympy() -> None:
    code = "import sys, lectures; assert lectures.TOPICS; print('sympy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("id", TOPICS)
def test_every_topic_prints_in_every_format(id: str, katex: Callable[[Iterable[str]], list[str]]) -> None:
    found = shown(id)
    assert found.results and found.entries
    assert katex([present(found), present(found, steps=True)]) == []
    for kind in FORMATS:
        written = present(found, format=kind, steps=True)
        assert not DEBRIS.search(written.replace("--", "")), written
    assert document(found).endswith("\\end{document}\n")
    numbers = [e.number for e in found.entries]
    assert numbers == list(range(1, len(numbers) + 1))
    assert all(max(e.because, default=0) < e.number for e in found.entries)


@pytest.mark.parametrize("id", TOPICS)
def test_a_topic_prints_what_it_printed(id: str) -> None:
    assert [found for page in topic_pages(shown(id)) if (found := difference(*page))] == []


def test_the_minimum_of_the_lecture() -> None:
    found = topic("mse-minimum")
    w = sympy.Symbol("w")
    assert sympy.sympify(right(found, "E")).equals(sympy.sympify("31*w**2/100 - 11*w/10 + 1"))
    assert sympy.sympify(right(found, "dE/dw")).equals(sympy.diff(sympy.sympify(right(found, "E")), w))
    assert right(found, "w") == "55/31"
    assert "0.31 w² − 1.1 w + 1" in present(found, format="text")


def test_the_minimum_of_other_numbers() -> None:
    found = topic("mse-minimum", ["y=2*v, v + 1", "t=3, 5"])
    # E = ½((2v − 3)² + (v − 4)²), E' = 5v − 10
    assert right(found, "v") == "2" and right(found, "dE/dv") == "5*v - 10"
    quartic = topic("mse-minimum", ["y=w**2", "t=4"])
    assert right(quartic, "w") == "-2, 2" and right(quartic, "minimum") == "0"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["y=w, 2*w", "t=1"], "as many"),
        (["y=1", "t=1"], "one unknown"),
        (["y=w*v", "t=1"], "one unknown"),
        (["nonsense"], "name=value"),
        (["y=w*(", "t=1"], "expected|parenthesis|end"),
        (["y=exp(w)", "t=1"], "polynomial"),
        (["z=w"], "y and t|give y"),
    ],
)
def test_givens_that_make_no_sense_are_refused(given: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        topic("mse-minimum", given)


def test_unknown_topics() -> None:
    with pytest.raises(KeyError):
        topic("no-such-topic")


@pytest.mark.parametrize("id", ["sigmoid", "tanh", "relu", "leaky-relu", "elu", "softplus", "gelu", "swish"])
def test_derivatives_of_activations_by_differences(id: str) -> None:
    names = {"x": sympy.Symbol("x", real=True), "y": sympy.Symbol("y", real=True)}
    shown = topic(id).results

    def value(written: str, **at: float) -> float:
        plain = (
            written.replace("−", "-")
            .replace("σ", "sigmoid")
            .replace("²", "**2")
            .replace("√2", "sqrt(2)")
            .replace("α", "1")
        )
        plain = plain.replace("√(2 π)", "sqrt(2*pi)").replace("≤", "<=").replace("≥", ">=")
        plain = re.sub(r"(?<=[\w)]) (?=[\w(])", "*", plain)
        expression = parse_formula(plain, names)
        return float(expression.subs({names[k]: v for k, v in at.items()}))

    for x in (-1.7, -0.3, 0.4, 2.1):
        h = 1e-6
        slope = (value(shown["y"], x=x + h) - value(shown["y"], x=x - h)) / (2 * h)
        assert value(shown["dy/dx"], x=x) == pytest.approx(slope, abs=1e-8)
        if "dy/dx through y" in shown:
            assert value(shown["dy/dx through y"], y=value(shown["y"], x=x)) == pytest.approx(slope, abs=1e-8)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()


def test_softmax_and_cross_entropy_as_printed_hold() -> None:
    found = topic("softmax")
    assert right(found, "dy_i/dz_j") == "y[i] (δ_ij − y[j])"
    assert right(found, "sum") == "1" and right(found, "row sum") == "0"
    assert right(topic("softmax-cross-entropy"), "dE/dz_j") == "p[j] − t[j]"
    z, h = np.array([0.3, -1.1, 0.8]), 1e-6
    t = np.array([0.0, 1.0, 0.0])
    steps = np.eye(3) * h
    jacobian = np.array([(softmax(z + s) - softmax(z - s)) / (2 * h) for s in steps]).T
    y = softmax(z)
    assert np.allclose(jacobian, y[:, None] * (np.eye(3) - y[None, :]), atol=1e-9, rtol=0)
    slope = [(-t @ np.log(softmax(z + s)) + t @ np.log(softmax(z - s))) / (2 * h) for s in steps]
    assert np.allclose(slope, y - t, atol=1e-9, rtol=0)


def test_the_delta_rule_in_all_its_forms() -> None:
    found = topic("delta")
    assert right(found, "delta") == "(Σᵢ w^(l+1)[i,k] δ^(l+1)[i]) a^l[k] (1 − a^l[k])"
    assert right(found, "dE/dw") == "δ^l[k] a^(l-1)[j]"
    assert right(found, "delta, 3 nodes after").count("w^(l+1)") == 3
    assert right(found, "delta, sigmoid and MSE") == "(a^L[k] − t[k]) a^L[k] (1 − a^L[k])"
    assert right(found, "delta, softmax and MSE") == "Σₖ (a^L[k] − t[k]) a^L[k] (δ_jk − a^L[j])"
    assert right(found, "delta, softmax and cross-entropy") == "a^L[j] − t[j]"
    assert any("l + 1" in note for note in found.notes) and any("softmax" in note for note in found.notes)


def test_bias_is_a_weight_with_input_one() -> None:
    found = topic("bias")
    assert right(found, "dE/db") == "δ^l[k]" and right(found, "dE/db, batch") == "Σₙ δ^l[n,k]"


def test_logistic_regression() -> None:
    found = topic("logistic")
    assert right(found, "dC/db") == "−Σᵢ (y[i] − S[i])"
    assert right(found, "dC/dw") == "−Σᵢ (y[i] − S[i]) x[i]"


def test_a_chain_of_four() -> None:
    found = topic("backprop-chain")
    assert right(found, "delta4") == "(y − t) y (1 − y)"
    assert right(found, "delta3") == "w4 δ4 h3 (1 − h3)"
    assert right(found, "dE/dw1") == "δ1 x"


def test_errata_are_noted() -> None:
    for id in ("sigmoid", "cross-entropy", "delta", "forward-3-2-3"):
        assert any(note.startswith("Erratum") for note in topic(id).notes), id


def test_without_steps_only_the_results() -> None:
    found = topic("softmax")
    assert present(found, format="text").count("from (") == 0
    assert len(list(found.page(False).entries)) < len(list(found.page(True).entries))
