"""The one table of symbols: what a tensor or constant is called in LaTeX, in plain text and in a program.

Only this table turns a symbol into an identifier.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from chainrule.derive.index import plain_name, primal
from chainrule.derive.reader import reader


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
    "alpha": Name(r"\alpha", "α", "ALPHA"),
    "theta": Name(r"\theta", "θ", "theta"),
    "g": Name("g", "g", "g"),
    "N": Name("N", "N", "N"),
    "learning_rate": Name(r"\eta", "η", "LEARNING_RATE"),
    "momentum": Name(r"\mu", "μ", "MOMENTUM"),
    "lambda": Name(r"\lambda", "λ", "LAMBDA"),
    "rho": Name(r"\rho", "ρ", "RHO"),
    "beta1": Name(r"\beta_1", "β1", "BETA1"),
    "beta2": Name(r"\beta_2", "β2", "BETA2"),
    "eta": Name(r"\eta_k", "ηₖ", "eta"),
    "warmup": Name("w", "w", "WARMUP"),
    "decay_factor": Name(r"\gamma", "γ", "DECAY_FACTOR"),
    "decay_every": Name("s", "s", "DECAY_EVERY"),
    "norm": Name("r", "r", "norm"),
    "clip_norm": Name("c", "c", "CLIP_NORM"),
    "kappa": Name(r"\kappa", "κ", "kappa"),
    "weight_decay": Name(r"\lambda_w", "λ_w", "WEIGHT_DECAY"),
    "epsilon": Name(r"\varepsilon", "ε", "EPSILON"),
}
GREEK = {
    "alpha": (r"\alpha", "α"),
    "alphahat": (r"\hat{\alpha}", "α̂"),
    "betahat": (r"\hat{\beta}", "β̂"),
    "thetahat": (r"\hat{\theta}", "θ̂"),
    "xbar": (r"\bar{x}", "x̄"),
    "ybar": (r"\bar{y}", "ȳ"),
    "xmin": (r"x_{\min}", "x_min"),
    "xmax": (r"x_{\max}", "x_max"),
    "gamma": (r"\gamma", "γ"),
    "beta": (r"\beta", "β"),
    "mu": (r"\mu", "μ"),
    "xhat": (r"\hat{x}", "x̂"),
    "mean": (r"\bar{\mu}", "μ̄"),
    "var": (r"\bar{v}", "v̄"),
}
DELTA = (r"\delta", "δ")
# What C calls something else and a tensor could be called: its name ends with the number of its layer.
RESERVED: Final = frozenset(
    {"exp2", "exp10", "expm1", "log2", "log10", "j0", "j1", "y0", "y1"}
    | {f"{kind}{count}" for kind in ("float", "double", "int", "uint", "uint8") for count in range(1, 65)}
)
# What else letters are called, by the reader's notation: a row changes as a whole, where no letter is taken.
PROFILES: Final[dict[str, tuple[dict[str, str], ...]]] = {
    "common": (),
    "lectures": ({"z": "x"}, {"t": "y", "T": "Y"}),
}
_PRE_ACTIVATION = re.compile(r"z(?![A-Za-z])")
_NUMBERED = re.compile(r"([A-Za-z]\w*?)(?:(\d+)(?:_(\d+))?|@(.+))")


@dataclass(frozen=True)
class SymbolParts:
    """A symbol taken apart: its letter in LaTeX and in text, and the layer that stands above it."""

    latex: str
    text: str
    upper: str = ""

    @property
    def above(self) -> str:
        """What is printed above the letter: the layer in brackets, so that v^(2) is no square.

        The lectures write it without.
        """
        return f"({self.upper})" if self.upper and reader().notation != "lectures" else self.upper


def profile() -> tuple[dict[str, str], ...]:
    """Return the rows of the reader's notation."""
    return PROFILES[reader().notation]


_LETTER = re.compile(r"(?<![A-Za-z\\’'])([A-Za-z])(\d*)(?![A-Za-z])")


def letters_in(text: str) -> Iterator[str]:
    """Yield the single letters of a text or a formula that are no word, with the digits after them."""
    yield from (found[1] + found[2] for found in _LETTER.finditer(text))


def exchanged(text: str, letters: Mapping[str, str]) -> str:
    """Return a text or a formula with single letters exchanged: every z_k for every x_k."""
    return _LETTER.sub(lambda found: letters.get(found[1], found[1]) + found[2], text) if letters else text


def differentiated(symbol: str) -> str | None:
    """Return x for a cotangent that is written ∂E/∂x; None for δ, a letter of its own, and for all else."""
    of = primal(symbol)
    return None if of is None or _PRE_ACTIVATION.match(of) else of


def is_delta(symbol: str) -> bool:
    """Whether a symbol is the cotangent of a pre-activation, δ."""
    return primal(symbol) is not None and differentiated(symbol) is None


def capital(letter: str) -> str:
    """Return the letter of a matrix that holds the vectors of many examples: Z, Δ; a word stays as it is."""
    for small, great in ((r"\delta", r"\Delta"), ("δ", "Δ"), (r"\hat{x}", r"\hat{X}"), ("x̂", "X̂")):
        if letter == small:
            return great
    return letter.upper() if len(letter) == 1 and letter.isascii() else letter


def parts(symbol: str, matrix: bool = False) -> SymbolParts:
    """Return the letter and the layer of a symbol that is no fraction ∂E/∂x: z1, or z@l for any layer l.

    ``matrix``: the vectors of all examples together, a capital letter.
    """
    if matrix:
        one = parts(symbol)
        return SymbolParts(capital(one.latex), capital(one.text), one.upper)
    delta = is_delta(symbol)
    match = _NUMBERED.fullmatch((primal(symbol) or symbol) if delta else symbol)
    if match is None and symbol in FIXED:
        return SymbolParts(FIXED[symbol].latex, FIXED[symbol].text)
    if match is None:
        return SymbolParts(*DELTA) if delta else SymbolParts(*GREEK.get(symbol, (symbol, symbol)))
    letter, number, step, general = match.groups()
    latex, text = DELTA if delta else GREEK.get(letter, (_word(letter), letter))
    return SymbolParts(latex, text, general or (f"{number},{step}" if step else number))


def _word(letter: str) -> str:
    """Return the LaTeX of a name that may be longer than a letter, so that it reads as no product."""
    return letter if len(letter) == 1 else rf"\mathit{{{letter.replace('_', chr(92) + '_')}}}"


def name(symbol: str, matrix: bool = False) -> Name:
    """Return how a tensor or constant is written: z1, W1, and their cotangents, δ1 and ∂E/∂W1.

    ``matrix``: the vectors of all examples together, with a capital letter: Z1, ∂E/∂A1.
    """
    if symbol in FIXED and not matrix:
        return FIXED[symbol]
    inner = differentiated(symbol)
    if inner is not None:
        of = name(inner, matrix)
        return Name(rf"\frac{{\partial E}}{{\partial {of.latex}}}", f"∂E/∂{of.text}", identifier(symbol))
    found = parts(symbol, matrix)
    latex = f"{found.latex}^{{{found.above}}}" if found.upper else found.latex
    if "@" in symbol:
        layer = f"({found.upper})" if len(found.upper) > 1 else found.upper
        return Name(latex, f"{found.text}^{layer}", identifier(symbol))
    return Name(latex, found.text + found.upper.replace(",", "_"), identifier(symbol))


def identifier(tensor: str) -> str:
    """Return what programs call a tensor: z1, delta1 for the cotangent of z1, dW1 for that of W1."""
    of = primal(tensor)
    found = f"delta{of[1:]}" if of is not None and is_delta(tensor) else plain_name(tensor)
    return found.replace("@", "_")
