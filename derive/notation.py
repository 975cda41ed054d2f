"""The one table of symbols: what a tensor or constant is called in LaTeX, in plain text and in a program.

Only this table turns a symbol into an identifier.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Name:
    """How one symbol is written."""

    latex: str
    text: str
    identifier: str


FIXED = {
    "x": Name("x", "x", "x"),
    "t": Name("t", "t", "t"),
    "T": Name("T", "T", "T"),
    "E": Name("E", "E", "E"),
    "theta": Name(r"\theta", "θ", "theta"),
    "g": Name("g", "g", "g"),
    "N": Name("N", "N", "N"),
    "learning_rate": Name(r"\eta", "η", "LEARNING_RATE"),
    "momentum": Name(r"\mu", "μ", "MOMENTUM"),
    "rho": Name(r"\rho", "ρ", "RHO"),
    "beta1": Name(r"\beta_1", "β1", "BETA1"),
    "beta2": Name(r"\beta_2", "β2", "BETA2"),
    "epsilon": Name(r"\varepsilon", "ε", "EPSILON"),
}
GREEK = {"gamma": (r"\gamma", "γ"), "beta": (r"\beta", "β"), "mu": (r"\mu", "μ")}
_NUMBERED = re.compile(r"([A-Za-z]+?)(\d+)(?:_(\d+))?")


def name(symbol: str) -> Name:
    """Return how a tensor or constant is written: z1, W1, dz1 (δ), dW1 (∂E/∂W) and the like."""
    if symbol in FIXED:
        return FIXED[symbol]
    if symbol.startswith("dz"):
        inner = name(symbol[1:])
        return Name(inner.latex.replace("z", r"\delta", 1), inner.text.replace("z", "δ", 1), f"delta{symbol[2:]}")
    if symbol.startswith("d") and len(symbol) > 1:
        inner = name(symbol[1:])
        return Name(rf"\frac{{\partial E}}{{\partial {inner.latex}}}", f"∂E/∂{inner.text}", symbol)
    match = _NUMBERED.fullmatch(symbol)
    if match is None:
        return Name(symbol, symbol, symbol)
    letter, number, step = match.groups()
    latex, text = GREEK.get(letter, (letter, letter))
    upper = f"{number},{step}" if step else number
    return Name(f"{latex}^{{{upper}}}", f"{text}{number}" + (f"_{step}" if step else ""), symbol)
