"""Networks with a formula of one's own, and what is said of bad ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sympy

from chainrule.spec import SpecError, parse_spec

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


x = sympy.Symbol("x", real=True)


def refused(text):
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "s.toml")
    return caught.value.problems
