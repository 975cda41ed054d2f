"""A derivation as a LaTeX document of its own: equations.tex of a generated program."""

from __future__ import annotations

from derive.present import escape
from derive.present import latex as tex
from derive.present.formats import latex_rows
from derive.present.page import Page, Section

PREAMBLE = r"""\documentclass[11pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\usepackage{amsmath,amssymb}
\usepackage[margin=25mm]{geometry}
\allowdisplaybreaks
"""


def document_of(page: Page, steps: bool = True) -> str:
    """Return a page as an article that pdfLaTeX, XeLaTeX and LuaLaTeX set.  The same page, the same bytes."""
    name, description = escape.latex(page.name), escape.latex(page.description)
    strange = escape.unknown(name + description + "".join(map(escape.latex, page.notes)))
    declared = "".join(
        f"\\ifdefined\\DeclareUnicodeCharacter\\DeclareUnicodeCharacter{{{ord(c):04X}}}{{[U+{ord(c):04X}]}}\\fi\n"
        for c in strange
    )
    parts = [PREAMBLE + declared, rf"\title{{{name}}}", r"\date{}", r"\begin{document}", r"\maketitle"]
    if description:
        parts += ["", r"\noindent " + description]
    for section in page.sections:
        parts += ["", *_section(section, steps)]
    if page.where:
        rows = " \\\\\n".join(tex.write_line(shown, "&") for shown in page.where)
        parts += ["", r"\section*{Where}", rf"\begin{{align*}}{chr(10)}{rows}{chr(10)}\end{{align*}}"]
    if page.notes:
        parts += ["", r"\section*{Notes}", *(rf"\noindent {escape.latex(n)}\par" for n in page.notes)]
    return "\n".join((*parts, "", r"\end{document}", ""))


def _section(section: Section, steps: bool) -> list[str]:
    rows = [row for entry in section.entries for row in latex_rows(entry, steps)]
    heading = [rf"\section*{{{section.heading}}}"] if section.heading else []
    return [*heading, r"\begin{align*}", " \\\\\n".join(rows), r"\end{align*}"]
