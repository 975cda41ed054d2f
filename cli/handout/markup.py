"""Pieces of HTML and SVG: escaped text, formulas in MathML that the page's script sets with KaTeX."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from chainrule.present import escape as texts
from chainrule.present import latex, mathml
from chainrule.present.notation import differentiated, parts
from chainrule.present.sides import Line
from chainrule.present.tree import Node

_POWER = re.compile(r"\^(?:\(([^()]*)\)|(\w+))")
MATHML = "http://www.w3.org/1998/Math/MathML"


def element(tag: str, content: str = "", /, **attributes: object) -> Markup:
    """Return an element; a trailing _ of an attribute's name is dropped, another _ is a hyphen.

    Attributes that are None are left out.  ``content`` is escaped unless it is Markup.
    """
    given = {
        key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None
    }
    written = "".join(f' {key}="{escape(value)}"' for key, value in given.items())
    return Markup(f"<{tag}{written}>{escape(content)}</{tag}>")  # noqa: S704  all of it is escaped


def joined(pieces: list[Markup]) -> Markup:
    """Return pieces one after the other."""
    return Markup("").join(pieces)


def user_text(text: str) -> str:
    """Return text that is not ours on one line, without control and formatting characters."""
    return texts.plain(text)


def raised(text: str) -> Markup:
    """Return a text with the powers in it (e^x, e^(a+b)) raised."""
    pieces, place = [], 0
    for power in _POWER.finditer(text):
        pieces += [escape(text[place : power.start()]), element("sup", power[1] or power[2])]
        place = power.end()
    return joined([*pieces, escape(text[place:])])


def formula(shown: Line | Node, display: bool = False) -> Markup:
    """Return an equation, or one side of one, as MathML with its LaTeX as annotation."""
    if isinstance(shown, Line):
        inner, source = mathml.write_line(shown), latex.write_line(shown)
    else:
        inner, source = mathml.write(shown), latex.write(shown)
    return math(inner, source, display)


def math(inner: str, source: str, display: bool = False) -> Markup:
    """Return a formula from its MathML and its LaTeX."""
    annotation = element("annotation", source, encoding="application/x-tex")
    style = ' displaystyle="true"' if display else ""
    semantics = f"<semantics>{inner}{annotation}</semantics>"
    written = f'<math xmlns="{MATHML}"{style}>{semantics}</math>'
    return element("span", Markup(written), class_="formula")  # noqa: S704  MathML that our writer escaped


def drawn_symbol(symbol: str, after: str = "") -> Markup:
    """Return a tensor's letter for SVG text, its layer above it, and what follows."""
    of = differentiated(symbol)
    found = parts(symbol if of is None else of)
    letter = element("tspan", found.text, class_="letter")
    if not found.upper:
        return letter + element("tspan", after)
    upper = element("tspan", found.above, class_="upper", dy="-5")
    return letter + upper + element("tspan", after, dy="5")
