"""Directives for what the library knows by formula, each derived in a small network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import ClassVar

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from chainrule import derivation
from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_forward
from chainrule.derive.differentiate import CannotDifferentiate
from chainrule.derive.library import ACTIVATIONS, LOSSES, OPTIMIZERS, Formula
from chainrule.derive.network import build_network
from chainrule.lectures import TOPICS
from chainrule.present import page_for
from chainrule.present.page import Entry
from chainrule.spec import SpecError, parse_spec
from chainrule.spec.sections import SHORT_FORMS

from . import equations
from .fields import content, documented, inline
from .links import to_page

HEAD = 'spec_version = 1\nname = "example"\n[input]\nshape = [3]\n'
DENSE = '[[layers]]\ntype = "dense"\nunits = {units}\n'


class Library(SphinxDirective, ABC):
    """A section for each name, with what is derived for it."""

    names: ClassVar[Iterable[str]] = ()

    def run(self) -> list[nodes.Node]:
        return [
            nodes.section("", nodes.title("", name), *self.about(name), ids=[nodes.make_id(name)])
            for name in self.names
        ]

    @abstractmethod
    def about(self, name: str) -> Iterator[nodes.Node]:
        """Yield what stands below a name."""

    def shown(
        self, found: Derivation, wanted: Callable[[Entry], bool], steps: bool = True
    ) -> list[nodes.Node]:
        """Return the equations of a derivation that are wanted."""
        page = page_for(found, "index", steps)
        entries = tuple(entry for section in page.sections for entry in section.entries if wanted(entry))
        section = replace(page.sections[0], heading="", entries=entries)
        page = replace(page, sections=(section,), preface=(), where=(), notes=())
        return equations.in_line(equations.parts(page, f"e{self.env.new_serialno('equations')}", steps))


class Activations(Library):
    """``{activations}``: formula, forward equation, and the way back through it to the layer before."""

    names = ACTIVATIONS

    def about(self, name: str) -> Iterator[nodes.Node]:
        yield formula(ACTIVATIONS[name])
        text = HEAD + DENSE.format(units=2) + f'activation = "{name}"\n' + DENSE.format(units=1)
        text += '[loss]\ntype = "mse"\n'
        try:
            yield from self.shown(derivation(text), lambda entry: entry.symbol in ("a1", "delta1"))
        except CannotDifferentiate as error:
            found = derive_forward(build_network(parse_spec(text, "example.toml")))
            yield from self.shown(found, lambda entry: entry.symbol == "a1")
            yield nodes.paragraph("", f"No gradient passes: {error}")
        topic = name.replace("_", "-")
        if topic in TOPICS:
            yield nodes.paragraph("", "Step by step: ", to_page(self.env, f"topics/{topic}", topic))


class Losses(Library):
    """``{losses}``: formula, the loss of a network, and where the way back begins."""

    names = LOSSES

    def about(self, name: str) -> Iterator[nodes.Node]:
        yield formula(LOSSES[name])
        found, before = with_loss(name)
        if before:
            yield nodes.paragraph("", "", *inline(f"Behind `{before}`, whose outputs it takes:"))
        yield from self.shown(
            found,
            lambda entry: (
                entry.role == "loss" or entry.symbol in ("delta1", "da1", f"d{found.network.output}")
            ),
        )


class Optimizers(Library):
    """``{optimizers}``: fields and update equations."""

    names = OPTIMIZERS

    def about(self, name: str) -> Iterator[nodes.Node]:
        (found,) = [each for each in documented() if each.title == f'[optimizer], type = "{name}"']
        yield from content(replace(found, sentences=()))
        text = (
            HEAD
            + DENSE.format(units=1)
            + f'bias = false\n[loss]\ntype = "mse"\n[optimizer]\ntype = "{name}"\n'
        )
        yield from self.shown(derivation(text), lambda entry: entry.role == "update", steps=False)


def with_loss(name: str) -> tuple[Derivation, str]:
    """Return a network that ends in a loss, and the activation that the loss had to be given, "" if none."""
    for activation in ("", *ACTIVATIONS, *SHORT_FORMS):
        head = HEAD + DENSE.format(units=2) + (f'activation = "{activation}"\n' if activation else "")
        try:
            return derivation(f'{head}[loss]\ntype = "{name}"\n'), activation
        except SpecError:
            continue
    raise LookupError(f"no activation goes with {name}")


def formula(found: Formula) -> nodes.paragraph:
    """Return a formula as it stands in a spec, with its constants."""
    constants = "".join(f", `{name} = {value:g}`" for name, value in found.constants.items())
    return nodes.paragraph("", "", *inline(f"`{found.text}`{constants}"))
