"""PDF by whatever TeX is installed: run apart, without shell escape, its first error in one line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SECONDS: Final = 120
PACKAGES: Final = "texlive-latex-recommended"
KOREAN_PACKAGES: Final = "texlive-xetex texlive-latex-recommended fonts-noto-cjk"
WITHOUT: Final = "--format tex and --format html need nothing of this"


class NoTypesetting(Exception):
    """No PDF can be made here; the message says why and what would help."""

    exit_code = 3


@dataclass(frozen=True)
class Engine:
    """A program that makes a PDF of a LaTeX document; ``unicode``: it sets Hangul by the system's fonts."""

    program: str
    arguments: tuple[str, ...]
    unicode: bool


_USUAL: Final = ("-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "-file-line-error")
# In this order: XeLaTeX finds system fonts at once, LuaLaTeX makes a list of them first.
ENGINES: Final = (
    Engine("xelatex", _USUAL, True),
    Engine("lualatex", _USUAL, True),
    Engine("pdflatex", _USUAL, False),
    Engine("tectonic", ("--untrusted", "--chatter=minimal"), True),
)


def engine_for(hangul: bool) -> Engine:
    """Return the engine for a document, with Hangul or without.  Raises NoTypesetting."""
    installed = [engine for engine in ENGINES if shutil.which(engine.program)]
    if not installed:
        needed = KOREAN_PACKAGES if hangul else PACKAGES
        raise NoTypesetting(
            f"a PDF needs one of {', '.join(e.program for e in ENGINES)}, and none is installed: "
            f"apt install {needed}; {WITHOUT}"
        )
    if not hangul:  # what pdfLaTeX can set it sets fastest
        return next((e for e in installed if e.program == "pdflatex"), installed[0])
    able = [engine for engine in installed if engine.unicode]
    if not able:
        raise NoTypesetting(
            f"Korean needs xelatex or lualatex, here is {installed[0].program} only: "
            f"apt install {KOREAN_PACKAGES}; {WITHOUT}"
        )
    if not _has_hangul_font():
        raise NoTypesetting(
            f"no font with Hangul is installed: apt install fonts-noto-cjk (or fonts-nanum); {WITHOUT}"
        )
    return able[0]


def pdf(document: str, hangul: bool = False) -> bytes:
    """Return the PDF of a LaTeX document.  Raises NoTypesetting."""
    engine = engine_for(hangul)
    with tempfile.TemporaryDirectory(prefix="derive-") as folder:
        source = Path(folder) / "page.tex"
        source.write_text(document, encoding="utf-8")
        said = _run(engine, source)
        made = source.with_suffix(".pdf")
        if not made.is_file():
            raise NoTypesetting(f"{engine.program}: {first_error(said)}; {WITHOUT}")
        return made.read_bytes()


def _run(engine: Engine, source: Path) -> str:
    """Run an engine in its folder, where alone it may write; returns what it said."""
    within = {
        "openout_any": "p",
        "openin_any": "p",
        "TEXMFOUTPUT": str(source.parent),
        "max_print_line": "1000",
    }
    try:
        done = subprocess.run(  # noqa: S603 - a program of the list above, no shell
            [engine.program, *engine.arguments, source.name],
            cwd=source.parent,
            env={**os.environ, **within},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoTypesetting(f"{engine.program} was not done after {SECONDS} s; {WITHOUT}") from None
    except OSError as error:
        raise NoTypesetting(f"{engine.program}: {error.strerror or error}; {WITHOUT}") from error
    return done.stdout.decode("utf-8", "replace")


def first_error(said: str) -> str:
    """Return the first error in what TeX said, on one line."""
    found = re.search(r"^(?:! |\S+?:\d+: |error: )(.+)$", said, re.MULTILINE)
    lines = [line for line in said.splitlines() if line.strip()]
    return (found[1] if found else lines[-1] if lines else "it made no PDF and said nothing").strip()


def _has_hangul_font() -> bool:
    """Whether the system knows a font of the document's list; without fc-list the engine will tell."""
    from chainrule.present.tex import HANGUL_FONTS

    listing = shutil.which("fc-list")
    if listing is None:
        return True
    done = subprocess.run(  # noqa: S603 - no shell
        [listing, ":lang=ko", "family"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    families = done.stdout.decode("utf-8", "replace")
    return any(font in families for font in HANGUL_FONTS)
