r"""A page as a LaTeX document of its own: equations.tex of a generated program, and what a PDF is made from.

Long formulas are broken, and what is still wider than the page is made smaller (``\fit``).
"""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.derive.prose import say
from chainrule.derive.reader import reader
from chainrule.present import escape
from chainrule.present import latex as tex
from chainrule.present.alike import written
from chainrule.present.boxes import unchained
from chainrule.present.breaking import measure
from chainrule.present.breaking import rows as broken
from chainrule.present.page import Entry, Page, PageSection, WorkedLines
from chainrule.present.phrases import GIVEN, NOTES, WHERE, by, computed_as, reason
from chainrule.present.sides import Line
from chainrule.present.tree import Matrix, Node, contains

RIGHT_SIDE = 72  # letters that a right side may be wide
SURE = 40  # so many letters fit, whatever they are
PREAMBLE = r"""\documentclass[10pt,a4paper]{article}
\usepackage{iftex}
\ifPDFTeX
  \usepackage[T1]{fontenc}
  \usepackage[utf8]{inputenc}
  \usepackage{textcomp}
\fi
\usepackage{amsmath,amssymb,graphicx}
\usepackage[margin=20mm]{geometry}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\emergencystretch}{3em}
\newlength{\rightwidth}
\setlength{\rightwidth}{0.72\textwidth}
\newsavebox{\fitbox}
\newcommand{\fit}[1]{\sbox{\fitbox}{$\displaystyle #1$}%
  \ifdim\wd\fitbox>\rightwidth \resizebox{\rightwidth}{!}{\usebox{\fitbox}}\else\usebox{\fitbox}\fi}
\newcommand{\why}[1]{\qquad\parbox[t]{\rightwidth}{\footnotesize\raggedright\strut #1\strut}}
"""
# The first of these families that is there sets Hangul; each has the letters of our alphabet too.
HANGUL_FONTS = ("Noto Serif CJK KR", "NanumMyeongjo", "Noto Sans CJK KR", "NanumGothic", "UnBatang")
NO_FONT = r"\PackageError{chainrule}{No font with Hangul is installed: Noto CJK or Nanum}{}"
NO_HANGUL = r"  \PackageError{chainrule}{This page is in Korean: set it with XeLaTeX or LuaLaTeX}{}"


def document_of(page: Page, steps: bool = True) -> str:
    """Return a page as an article that XeLaTeX and LuaLaTeX set, and pdfLaTeX where it has no Hangul.

    The same page, the same bytes.
    """
    parts = [r"\begin{document}", rf"{{\Large\bfseries {escape.latex(page.name)}\par}}", r"\medskip"]
    parts += [rf"{escape.latex(say(text))}\par" for text in (page.description, *page.preface) if text]
    if page.given:
        rows = [row for each in page.given for row in worked_rows(each, fit=True)]
        parts += ["", rf"\section*{{{escape.latex(say(GIVEN))}}}", *_align(rows)]
    for section in page.sections:
        parts += ["", *_section(section, steps)]
    if page.where:
        rows = [row for shown in page.where for row in _rows(shown, "")]
        parts += ["", rf"\section*{{{escape.latex(say(WHERE))}}}", *_align(rows)]
    if page.notes:
        parts += ["", rf"\section*{{{escape.latex(say(NOTES))}}}"]
        parts += [rf"{escape.latex(say(note))}\par\smallskip" for note in page.notes]
    body = "\n".join((*parts, "", r"\end{document}", ""))
    return PREAMBLE + _letters(body) + body


def has_hangul(text: str) -> bool:
    """Whether a text has letters that only a Unicode engine with a font for Hangul sets."""
    return any("가" <= c <= "힣" or "ᄀ" <= c <= "ᇿ" or "ㄱ" <= c <= "ㆎ" for c in text)


def _letters(body: str) -> str:
    """Return what an engine has to know of letters outside of its usual fonts."""
    declared = "".join(
        f"  \\DeclareUnicodeCharacter{{{ord(c):04X}}}{{[U+{ord(c):04X}]}}\n" for c in escape.unknown(body)
    )
    found = f"\\ifPDFTeX\n{declared}\\fi\n" if declared else ""
    if not has_hangul(body):
        return found
    fonts = NO_FONT
    for family in reversed(HANGUL_FONTS):
        fonts = rf"\IfFontExistsTF{{{family}}}{{\setmainfont{{{family}}}}}{{{fonts}}}"
    breaks = r'\ifXeTeX\XeTeXlinebreaklocale "ko"\XeTeXlinebreakskip=0pt plus 1pt\fi'
    if reader().language == "ko":
        found = f"\\ifPDFTeX\n{NO_HANGUL}\n\\fi\n"
    return f"{found}\\ifPDFTeX\\else\n  \\usepackage{{fontspec}}\n  {fonts}\n  {breaks}\n\\fi\n"


def _section(section: PageSection, steps: bool) -> list[str]:
    heading = [rf"\section*{{{escape.latex(say(section.heading))}}}"] if section.heading else []
    return [*heading, *_align(row for entry in section.entries for row in _entry(entry, steps))]


def _align(rows: Iterable[str]) -> list[str]:
    return [r"\begin{align*}", " \\\\\n".join(rows), r"\end{align*}"]


def _entry(entry: Entry, steps: bool) -> list[str]:
    label = rf" \qquad {tex.words(say(entry.label))}" if entry.label else ""
    rows = _rows(entry.line, rf"{label} \tag{{{entry.number}}}")
    if entry.matrix:
        rows += _rows(entry.matrix, "")
    rows += worked_rows(entry.worked, fit=True)
    if not steps:
        return rows
    rows.append(rf"&\why{{{escape.latex(reason(entry))}}}")
    if entry.computed:
        before, after = map(tex.words, computed_as())
        inner = written(entry.computed, _right, before, after)
        rows += [rf"&\qquad {row}" for row in inner]
        rows += [rf"&\why{{{escape.latex(by(entry))}}}"] if entry.rewrites else []
    return rows


def _rows(shown: Line, end: str) -> list[str]:
    """Return the rows of a line, what stands at its end in the first of them."""
    first, *rest = written(shown, _both)
    return [f"{first}{end}", *rest]


def _both(shown: Line) -> list[str]:
    relation = tex.RELATIONS.get(shown.relation, shown.relation)
    first, *rest = _broken(shown.right)
    return [rf"{tex.write(shown.left)} &{relation} {first}", *(f"&{row}" for row in rest)]


def _right(shown: Line, before: str, after: str) -> list[str]:
    return _broken(shown.right, before, after)


def worked_rows(worked: WorkedLines | None, fit: bool = False) -> list[str]:
    """Return the rows of numbers, matrices and their result a row each; ``fit`` makes wide ones smaller."""
    found = []
    for shown in worked.lines if worked else ():
        for part in unchained(shown) if contains(shown.right, Matrix) else (shown,):
            relation, right = tex.RELATIONS.get(part.relation, part.relation), tex.write(part.right)
            right = rf"\fit{{{right}}}" if fit else right
            found.append(f"{tex.write(part.left)} &{relation} {right}")
    return found


def _broken(node: Node, before: str = "", after: str = "") -> list[str]:
    rows = broken(node, RIGHT_SIDE)
    if len(rows) == 1 and not before + after and measure(node) < SURE:
        return rows
    rows[0] = f"{before} {rows[0]}".strip()
    rows[-1] = f"{rows[-1]} {after}".strip()
    return [rf"\fit{{{row}}}" for row in rows]
