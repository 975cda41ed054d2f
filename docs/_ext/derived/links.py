"""Lists of pages, and links to them that the build checks."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from . import pages


def by_last_name(_app: Any, env: BuildEnvironment, node: Any, content: nodes.Node) -> nodes.Node | None:
    """Resolve a type that a signature calls by its last name, as one imported for types alone is."""
    domain = env.get_domain("py")
    if node.get("refdomain") != "py" or "." in node["reftarget"]:
        return None
    ends = f".{node['reftarget']}"
    found = [(name, entry) for name, entry in domain.data["objects"].items() if name.endswith(ends)]
    if len(found) != 1:
        return None
    (name, entry), builder = found[0], env.app.builder
    return make_refnode(builder, node["refdoc"], entry.docname, entry.node_id, content, name)


def to_page(env: BuildEnvironment, page: str, text: str) -> nodes.Node:
    """Return a link to a page by its path below docs/."""
    where = {
        "refdomain": "std",
        "reftype": "doc",
        "reftarget": f"/{page}",
        "refexplicit": True,
        "refwarn": True,
    }
    return addnodes.pending_xref("", nodes.inline("", text), refdoc=env.docname, **where)


class Listing(SphinxDirective):
    """``{listing} FOLDER``: the pages of layers or topics, with a line on each; the sidebar has them too."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        folder = self.arguments[0]
        names = pages.listed(folder)
        listed = nodes.definition_list()
        for name, line in names:
            term = nodes.term("", "", to_page(self.env, f"{folder}/{name}", name))
            listed += nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", line)))
        documents = [f"{folder}/{name}" for name, _line in names]
        tree = addnodes.toctree(
            parent=self.env.docname,
            entries=[(None, document) for document in documents],
            includefiles=documents,
            maxdepth=1,
            caption=None,
            glob=False,
            hidden=True,
            includehidden=False,
            numbered=0,
            titlesonly=True,
        )
        return [listed, nodes.compound("", tree, classes=["toctree-wrapper"])]
