"""MathML as the tokens of LaTeX that says the same."""

from __future__ import annotations

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from latex_reader.tokens import SIGNS, CannotRead, letters, tokens

FUNCTIONS = {"log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min"}
GROUPS = {"mfrac": r"\frac", "msqrt": r"\sqrt"}
FENCES = {"|": (r"\lvert", r"\rvert"), "‖": (r"\lVert", r"\rVert"), "⟨": (r"\langle", r"\langle")}


def mathml_tokens(written: str) -> list[str]:
    """Return the tokens of what stands inside of a math element."""
    return tokens(_latex(ElementTree.fromstring(f"<mrow>{written}</mrow>")))  # noqa: S314  our own page


def _latex(node: Element) -> str:
    inner = list(node)
    match node.tag:
        case "mrow":
            return _row(inner)
        case "mi" | "mn":
            return _letter(node.text or "")
        case "mo":
            return _operator(node.text or "")
        case "mtext":
            return rf"\text{{{node.text}}}"
        case "mfrac":
            return rf"\frac{{{_latex(inner[0])}}}{{{_latex(inner[1])}}}"
        case "msqrt":
            return rf"\sqrt{{{_row(inner)}}}"
        case "msup":
            return f"{_latex(inner[0])}^{{{_latex(inner[1])}}}"
        case "msub" if inner[1].tag == "mtext" and inner[1].text in FUNCTIONS:
            return rf"{_latex(inner[0])}_{{\{inner[1].text}}}"
        case "msub":
            return f"{_latex(inner[0])}_{{{_latex(inner[1])}}}"
        case "msubsup" | "munderover":
            return f"{_latex(inner[0])}_{{{_latex(inner[1])}}}^{{{_latex(inner[2])}}}"
        case "mover":
            accent = {"^": "hat", "¯": "bar"}[inner[1].text or ""]
            return rf"\{accent}{{{_latex(inner[0])}}}"
        case "munder":
            base, below = _latex(inner[0]), _latex(inner[1])
            is_slid = base in (r"\star", r"\ast")
            below = below.removeprefix(r"\text{").removesuffix("}") if is_slid else below
            return rf"\underset{{{below}}}{{{base}}}" if is_slid else f"{base}_{{{below}}}"
    raise CannotRead(f"no LaTeX for <{node.tag}>")


def _row(inner: list[Element]) -> str:
    first = (inner[0].text or "") if inner and inner[0].tag == "mo" else ""
    if len(inner) > 1 and inner[1].tag == "mtable":
        rows = [" & ".join(_row(list(cell)) for cell in row) for row in inner[1]]
        kind = "cases" if first == "{" else "bmatrix"
        return rf"\begin{{{kind}}} " + r" \\ ".join(rows) + rf" \end{{{kind}}}"
    if len(inner) > 2 and first in FENCES and inner[-1].text == inner[0].text:
        left, right = FENCES[first]
        return f"{left} {' '.join(map(_latex, inner[1:-1]))} {right}"
    return " ".join(map(_latex, inner))


def _letter(text: str) -> str:
    if text == "vec⁻¹":
        return r"\operatorname{vec}^{-1}"
    if text in FUNCTIONS:
        return rf"\{text}"
    if text.isascii() and text.isalnum() and not text[0].isdigit() and len(text) > 1:
        return rf"\mathrm{{{text}}}"
    if text[:1] in "0123456789":
        return re.sub(r",(?=\d{3})", "{,}", text)
    return letters(text).replace("−", "-")


def _operator(sign: str) -> str:
    if sign in ("max", "lim"):
        return rf"\{sign}"
    if sign == "arg max":
        return r"\operatorname*{arg\,max}"
    return SIGNS.get(sign, sign)
