"""Text that is not ours (names, descriptions) made harmless in LaTeX, Markdown and HTML.

Nothing of it is a command, a link or a tag any more; control characters become spaces.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

_LATEX: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\textasciigrave{}",
}
# Mathematics in names and rules.
_SYMBOLS: Final = {
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon", "η": r"\eta",
    "θ": r"\theta", "λ": r"\lambda", "μ": r"\mu", "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma", "Σ": r"\Sigma",
    "∂": r"\partial", "−": "-", "×": r"\times", "·": r"\cdot", "≤": r"\le", "≥": r"\ge", "≠": r"\ne",
    "←": r"\leftarrow", "→": r"\to", "⊙": r"\odot", "∞": r"\infty", "½": r"\frac12",
    "¼": r"\frac14", "√": r"\surd", "⌊": r"\lfloor", "⌋": r"\rfloor", "⌈": r"\lceil", "⌉": r"\rceil",
    "ᵀ": r"^{\top}", "′": "'", "‖": r"\Vert", "ŷ": r"\hat y", "Ŷ": r"\hat Y", "ₙ": "_n", "ₖ": "_k",
    "ⱼ": "_j", "ᵢ": "_i", "₁": "_1", "₂": "_2", "ˡ": "^l", "ᴸ": "^L", "∈": r"\in", "≈": r"\approx",
    "ȳ": r"\bar y", "x̄": r"\bar x", "α̂": r"\hat\alpha", "β̂": r"\hat\beta", "θ̂": r"\hat\theta",
    "x̂": r"\hat x", "μ̄": r"\bar\mu", "v̄": r"\bar v", "⟨": r"\langle", "⟩": r"\rangle", "°": r"^\circ",
    "τ": r"\tau", "ω": r"\omega", "φ": r"\varphi", "ψ": r"\psi", "ζ": r"\zeta", "ν": r"\nu", "ξ": r"\xi",
    "χ": r"\chi", "κ": r"\kappa", "Δ": r"\Delta", "Π": r"\Pi", "″": "''", "₀": "_0", "₃": "_3",
    "∇": r"\nabla",
}  # fmt: skip
_ACCENTS: Final = "\u0302\u0304"  # what stands over x̂ and x̄
_LETTER: Final = rf"(?<![A-Za-z0-9_\\])([A-Za-zα-ωΣΠȳŷŶ][{_ACCENTS}]?)"
_POWER: Final = r"\((?P<power>[A-Za-z0-9α-ωΑ-Ω+−/·., -]*)\)|(?P<short>[A-Za-z0-9])(?![A-Za-z0-9])"
_INDEX: Final = r"\((?P<place>[A-Za-z0-9+−]*)\)|(?P<lower>[A-Za-z0-9]{1,3})(?![A-Za-z0-9_])"
_SCRIPTED: Final = re.compile(rf"{_LETTER}(?:_(?:{_INDEX})|\^(?:{_POWER}))")
_RAISED: Final = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True))
_PUNCTUATION: Final = {
    "–": "--",
    "—": "---",
    "’": "'",
    "‘": "`",
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
}
_MARKDOWN: Final = set("\\`*_{}[]()#+-.!|~>$:@/<&=^\"'")


def plain(text: str) -> str:
    """Return a text on one line, without control and formatting characters."""
    kept = (" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)
    return " ".join("".join(kept).split())


def latex(text: str) -> str:
    """Return a text for LaTeX's text mode, known mathematical letters in mathematics.

    A single letter with a subscript (w_kj, Σ_i) or a power (e^(−x)) is mathematics too.
    """
    written, end = [], 0
    text = unicodedata.normalize("NFC", plain(text))
    for found in _SCRIPTED.finditer(text):
        written.append(_in_text(text[end : found.start()]))
        letter, lower = _SYMBOLS.get(found[1], found[1]), found["lower"]
        inner = found["place"] or found["power"] or found["short"] or ""
        script = lower or " ".join(_SYMBOLS.get(c, c) for c in inner)
        written.append(f"${letter}{'_' if '_' in found[0] else '^'}{{{script}}}$")
        end = found.end()
    return "".join((*written, _in_text(text[end:])))


def _in_text(text: str) -> str:
    written = []
    for character in _letters(text):
        if set(character) <= _RAISED.keys():
            power = "".join(_RAISED[digit] for digit in character)
            written.append(f"$^{power}$" if len(power) == 1 else f"$^{{{power}}}$")
        elif character in _SYMBOLS:
            written.append(f"${_SYMBOLS[character]}$")
        else:
            written.append(_LATEX.get(character) or _PUNCTUATION.get(character) or character)
    return "".join(written)


def _letters(text: str) -> list[str]:
    """Return the characters of a text with the accents over them; an exponent is one of them."""
    found: list[str] = []
    for character in unicodedata.normalize("NFC", text):
        goes_on = bool(found) and character in _RAISED and found[-1][-1] in _RAISED
        if found and (unicodedata.combining(character) or goes_on):
            found[-1] += character
        else:
            found.append(character)
    return found


def unknown(text: str) -> list[str]:
    """Return the characters of an escaped text that pdfTeX has no letter for, in order."""
    return sorted({c for c in text if ord(c) > 0xFF or 0x7F < ord(c) < 0xA1})


def markdown(text: str) -> str:
    """Return a text for Markdown: every character that could mean something is an HTML entity."""
    return "".join(f"&#{ord(c)};" if c in _MARKDOWN else c for c in plain(text))


def markup(text: str) -> str:
    """Return a text for HTML, in an element or in a quoted attribute."""
    return html.escape(plain(text), quote=True)
