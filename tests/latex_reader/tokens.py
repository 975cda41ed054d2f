"""LaTeX and the text of MathML as tokens."""

from __future__ import annotations

import re
import unicodedata

TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|\d+(?:\{,\}\d{3})*(?:\.\d+)?|.", re.DOTALL)
IGNORED = {r"\,", r"\;", r"\left", r"\right", " ", "\n", r"\textstyle", r"\quad", r"\qquad"}


class CannotRead(ValueError):
    """A formula that the grammar of mathematics does not read, or reads in two ways."""


def tokens(latex: str) -> list[str]:
    """Return the tokens of a formula; each \\text{…} is one, what only spaces or sizes is left out."""
    found: list[str] = []
    latex, place = latex.replace("{:}", ":"), 0
    while place < len(latex):
        if latex.startswith(r"\text{", place):  # prose, mathematics in dollars within
            end, depth = place + 6, 1
            while depth:
                depth += {"{": 1, "}": -1}.get(latex[end], 0)
                end += 1
            found.append(latex[place:end])
            place = end
            continue
        match = TOKEN.match(latex, place)
        assert match is not None
        token, place = match.group(), match.end()
        if not token.isascii():
            raise CannotRead(f"{token!r} is no LaTeX: {latex}")
        if token not in IGNORED:
            found.append(token)
    return found


SIGNS = {
    "∑": r"\sum", "∏": r"\prod", "⊙": r"\odot", "⊤": r"\top", "−": "-", "·": r"\cdot", "∂": r"\partial",
    "≤": r"\le", "≥": r"\ge", "≠": r"\ne", "←": r"\leftarrow", "∼": r"\sim", "≈": r"\approx", "⋆": r"\star",
    "∗": r"\ast", "→": r"\to", "\u2062": "", "\u2061": "", "<": "<", ">": ">", "|": "|", "‖": r"\|",
    "∧": r"\land", "∨": r"\lor", "⌊": r"\lfloor", "⌋": r"\rfloor", "⌈": r"\lceil", "⌉": r"\rceil",
}  # fmt: skip
GREEK = {
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "Δ": r"\Delta", "ε": r"\varepsilon",
    "η": r"\eta", "θ": r"\theta", "κ": r"\kappa", "λ": r"\lambda", "μ": r"\mu", "π": r"\pi", "ρ": r"\rho",
    "σ": r"\sigma", "τ": r"\tau", "ν": r"\nu", "φ": r"\varphi", "ω": r"\omega", "ψ": r"\psi", "ξ": r"\xi",
    "ζ": r"\zeta", "χ": r"\chi", "∞": r"\infty", "…": r"\ldots", "⋯": r"\cdots", "⊤": r"\top",
}  # fmt: skip
ACCENTS = {"\u0302": r"\hat", "\u0304": r"\bar"}


def letters(text: str) -> str:
    """Return Unicode letters in LaTeX: x̂ is \\hat{x}, λ is \\lambda, more than one letter a name."""
    found = ""
    for letter in unicodedata.normalize("NFD", text):
        if letter in ACCENTS:
            last = re.search(r"(\\[A-Za-z]+ ?|.)$", found)
            assert last is not None
            found = found[: last.start()] + f"{ACCENTS[letter]}{{{last.group().strip()}}}"
        elif letter == "𝟏":
            found += r"\mathbf{1}"
        else:
            found += f"{GREEK[letter]} " if letter in GREEK else letter
    return found.strip()
