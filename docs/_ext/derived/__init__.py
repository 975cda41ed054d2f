"""What the documentation adds to Sphinx: examples that are run, derived equations, pages of what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directives and of the pages to write."""
    from . import commands, engine, examples, fields, judging, library, links, pages, symbols

    for name, directive in (
        ("file", examples.File),
        ("excerpt", examples.Excerpt),
        ("console", examples.Console),
        ("python", examples.Python),
        ("equations", engine.Equations),
        ("picture", examples.Picture),
        ("opened", examples.Opened),
        ("fields", fields.Fields),
        ("topic", engine.TopicPage),
        ("layer", engine.LayerPage),
        ("activations", library.Activations),
        ("losses", library.Losses),
        ("optimizers", library.Optimizers),
        ("listing", links.Listing),
        ("commands", commands.Commands),
        ("symbols", symbols.Symbols),
        ("constants", symbols.Constants),
    ):
        app.add_directive(name, directive)
    app.connect("config-inited", pages.write)
    app.connect("source-read", lambda _app, name, _text: examples.PLACES.pop(name, None))
    app.connect("autodoc-process-docstring", examples.docstring)
    app.connect("build-finished", judging.judge)
    app.connect("missing-reference", links.by_last_name)
    app.connect("html-page-context", with_katex)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def with_katex(app: Sphinx, _page: str, _template: str, context: dict[str, Any], _tree: Any) -> None:
    """Give KaTeX to the pages that have formulas."""
    if "<math" in context.get("body", ""):
        app.add_css_file("katex.min.css")
        app.add_js_file("katex.min.js", loading_method="defer")
        app.add_js_file("formulas.js", loading_method="defer")
