"""What every target's text is made with: the templates, user text in docstrings, how a parameter starts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2

from chainrule.codegen.frame import ParameterStart

TEMPLATES = Path(__file__).parent / "templates"


def fill(template: str, **values: Any) -> str:
    """Return the text of a template, no line of which ends in a blank."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  the output is a program; users' texts go through `docstring` or into comments
    )
    environment.filters |= {"docstring": docstring, "number": repr}
    text = environment.get_template(template).render(**values)
    return re.sub(r"[ ]+$", "", text, flags=re.MULTILINE).rstrip() + "\n"


def docstring(text: str) -> str:
    """Return user text that cannot end a docstring or start an escape."""
    kept = (c if c.isprintable() else " " for c in text)
    return "".join(kept).replace("\\", "\\\\").replace('"""', "'''").strip().rstrip('"')


def start_line(p: ParameterStart) -> str:
    """Return the line that fills a parameter."""
    shape = f"({p.shape[0]},)" if len(p.shape) == 1 else str(p.shape)
    target = f'p["{p.name}"][...] ='
    match p.kind:
        case "values":
            return f"{target} {p.values}"
        case "zeros" | "ones":
            return f"{target} {0 if p.kind == 'zeros' else 1}"
        case "uniform":
            low, high = p.arguments
            return f"{target} rng.uniform({low!r}, {high!r}, {shape})"
        case "normal":
            mean, deviation = p.arguments
            return f"{target} rng.normal({mean!r}, {deviation!r}, {shape})"
    fan, law = p.kind.split("_")
    spread = {
        "glorot": f"{{}} / ({p.fan_in} + {p.fan_out})",
        "he": f"{{}} / {p.fan_in}",
        "lecun": f"{{}} / {p.fan_in}",
    }
    factor = {"glorot": (6, 2), "he": (6, 2), "lecun": (3, 1)}[fan][law == "normal"]
    draw = f"rng.uniform(-1, 1, {shape})" if law == "uniform" else f"rng.standard_normal({shape})"
    return f"{target} {draw} * math.sqrt({spread[fan].format(factor)})    # {p.kind}"
