"""KaTeX for the page: its script, its style sheet, and as data only those fonts that the formulas use."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "assets" / "katex"

# The fonts that KaTeX 0.19 takes, by what is written; those of the first row may stand in every formula.
ALWAYS: Final = (
    "Main-Regular", "Math-Italic", "Size1-Regular", "Size2-Regular", "Size3-Regular", "Size4-Regular",
)  # fmt: skip
ASKED_FOR: Final = {
    "Main-Bold": r"\\(mathbf|textbf|boldsymbol|bm|bf)\b",
    "Main-Italic": r"\\(mathit|textit|emph|it)\b",
    "AMS-Regular": r"\\(mathbb|Bbb|leqslant|geqslant|lesssim|gtrsim|nleq|ngeq|square|blacksquare|checkmark"
    r"|because|therefore|triangleq|backprime|eth|hbar|complement|varnothing)\b",
}
_FACE: Final = re.compile(r"@font-face\{[^}]*url\(fonts/KaTeX_([\w-]+)\.woff2\)[^}]*\}")
_SOURCES: Final = re.compile(r"src:[^;}]*")


def script() -> str:
    """Return KaTeX's script."""
    return (FOLDER / "katex.min.js").read_text(encoding="utf-8")


def style(formulas: Iterable[str]) -> str:
    """Return KaTeX's style sheet with the fonts for LaTeX formulas in it."""
    text = "\n".join(formulas)
    wanted = {*ALWAYS, *(font for font, pattern in ASKED_FOR.items() if re.search(pattern, text))}

    def face(match: re.Match[str]) -> str:
        if match[1] not in wanted:
            return ""
        data = base64.b64encode((FOLDER / "fonts" / f"KaTeX_{match[1]}.woff2").read_bytes()).decode()
        return _SOURCES.sub(f'src:url(data:font/woff2;base64,{data}) format("woff2")', match[0])

    return _FACE.sub(face, (FOLDER / "katex.min.css").read_text(encoding="utf-8"))
