"""Directives of what the engine derives while a page is read: a network, a layer, a topic."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from chainrule import derivation
from chainrule.cli.handout.markup import element
from chainrule.cli.plotting import draw
from chainrule.derive.derivation import Derivation
from chainrule.derive.index import primal
from chainrule.derive.layers import LAYERS
from chainrule.derive.prose import say
from chainrule.derive.reader import Reader, reading
from chainrule.lectures import TOPICS, topic
from chainrule.lectures.model import Topic
from chainrule.present import FORMS, page_for

from . import equations, specimen
from .examples import Example, captioned
from .fields import Documented, content, documented, table


class Equations(Example):
    """``{equations} SPEC``: the derivation of a spec, or of the content; the sections of ``roles`` alone."""

    optional_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {
        "form": lambda text: directives.choice(text, FORMS),
        "steps": directives.flag,
        "roles": directives.unchanged_required,
        "lang": directives.unchanged_required,
        "notation": directives.unchanged_required,
        "batch": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        source: Any = "\n".join([*self.content, ""])
        if self.arguments:
            source = self.place.folder / self.arguments[0]
        try:
            return self._shown(source)
        except Exception:
            return self.failed(traceback.format_exc())

    def _shown(self, source: Any) -> list[nodes.Node]:
        options, steps = self.options, "steps" in self.options
        usual = {"lang": "en", "notation": "common", "batch": "example"}
        with reading(Reader(*(options.get(key, default) for key, default in usual.items()))):
            page = page_for(derivation(source), options.get("form", "index"), steps)
            if "roles" in options:
                roles = options["roles"].split()
                sections = tuple(each for each in page.sections if each.entries[0].role in roles)
                page = replace(page, sections=sections, preface=(), where=(), notes=())
            key = f"e{self.env.new_serialno('equations')}"
            return equations.in_line(equations.parts(page, key, steps))


class TopicPage(SphinxDirective):
    """``{topic} NAME``: all steps of a topic."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        found = topic(name)
        page = page_for(found, steps=True)
        command = f"$ derive {name} --steps"
        return [
            nodes.paragraph("", say(TOPICS[name])),
            nodes.literal_block(command, command, language="console"),
            *([self.picture(found)] if found.plots else []),
            *equations.in_sections(equations.parts(page, name), name),
        ]

    def picture(self, found: Topic) -> nodes.Node:
        """Draw what the topic draws, and return it."""
        target, address = equations.kept(self.env, f"{found.id}.svg")
        draw(found, target)
        titles = "; ".join(say(plot.title) for plot in found.plots)
        return equations.raw(element("img", src=address, alt=titles, loading="lazy"), "picture")


class LayerPage(SphinxDirective):
    """``{layer} NAME``: the fields of a layer, its shapes, and the equations of a small network with it."""

    required_arguments = 1
    LAST: ClassVar = ("update",)  # what optimizers do is on a page of its own

    def run(self) -> list[nodes.Node]:
        layer = LAYERS[self.arguments[0]]
        text = specimen.text(layer)
        found = derivation(text)
        page = page_for(found, "both", steps=True)
        shown = equations.parts(
            page, layer.name, own=own(found), shown=lambda section: section.entries[0].role not in self.LAST
        )
        return [
            nodes.paragraph("", say(layer.description)[0].upper() + say(layer.description)[1:] + "."),
            section("Fields", *content(of_layer(layer.name))),
            section("Shapes", shapes(layer.name)),
            section("An example", captioned(text, f"{layer.name}_example.toml")),
            section(
                "Equations",
                nodes.paragraph("", "Those of the example; a line on the left marks what the layer brings."),
                *equations.in_sections(shown, layer.name),
            ),
        ]


def of_layer(name: str) -> Documented:
    """Return what the table of fields says of a layer."""
    (found,) = [each for each in documented() if each.title == f'[[layers]], type = "{name}"']
    return replace(found, sentences=())


def own(found: Derivation) -> set[int]:
    """Return the numbers of the equations that the last layer brings, those of its way back among them."""
    layer = found.network.layers[-1]
    instances = [*layer.instances, *(layer.evaluation or ()), *layer.running]
    tensors = {each.output for each in instances}
    inside = {each.equation.name for each in layer.instances} - {layer.output}
    inside |= {each.name for each in layer.parameters} | {found.network.layers[-2].output}
    return {
        e.number
        for e in found.equations
        if e.symbol in tensors or (e.role == "backward" and primal(e.symbol) in inside)
    }


def shapes(name: str) -> nodes.table:
    """Return what a layer makes of some shapes, and of what its fields change in them."""
    variants = specimen.variants(LAYERS[name])
    heads = ["fields", "one sample in", "out", "parameters"]
    rows = [
        [f"`{v.changed}`" if v.changed else "", _shape(v.before), _shape(v.after), f"{v.parameters:,}"]
        for v in variants
    ]
    first = 0 if any(v.changed for v in variants) else 1
    return table(heads[first:], [row[first:] for row in rows], "shapes")


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def section(title: str, *content: nodes.Node) -> nodes.section:
    """Return a section."""
    return nodes.section("", nodes.title("", title), *content, ids=[nodes.make_id(title)])
