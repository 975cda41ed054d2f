"""The directive ``{commands}``: every command with its options, from the help of the command itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from chainrule.cli.commands import derive

from .fields import inline

DEFAULT = "show"  # the command that a topic or a spec alone calls


class Commands(SphinxDirective):
    """A section for each command."""

    def run(self) -> list[nodes.Node]:
        with click.Context(derive, info_name="derive") as parent:
            named = sorted(derive.commands.items(), key=lambda item: (item[0] != DEFAULT, item[0]))
            return [_section(name, command, parent) for name, command in named]


def _section(name: str, command: click.Command, parent: click.Context) -> nodes.section:
    title = "derive TOPIC, derive SPEC" if name == DEFAULT else f"derive {name}"
    with click.Context(command, info_name=name, parent=parent) as context:
        pieces = command.collect_usage_pieces(context)
        usage = " ".join(["derive", *([] if name == DEFAULT else [name]), *pieces])
        return nodes.section(
            "",
            nodes.title("", title),
            nodes.literal_block(usage, usage, language="text"),
            *_paragraphs(command),
            *_options(command, context),
            ids=[nodes.make_id(f"derive {name}")],
        )


def _paragraphs(command: click.Command) -> Iterator[nodes.Node]:
    for text in re.split(r"\n\s*\n", inspect.cleandoc(command.help or "")):
        if text.startswith("\b"):
            block = text.removeprefix("\b").strip("\n")
            yield nodes.literal_block(block, block, language="text")
        elif text:
            yield nodes.paragraph("", "", *inline(" ".join(text.split())))


def _options(command: click.Command, context: click.Context) -> Iterator[nodes.Node]:
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    listed = nodes.definition_list(classes=["options"])
    for head, text in (record for record in records if record):
        term = nodes.term("", "", nodes.literal("", head))
        meaning = nodes.definition("", nodes.paragraph("", "", *inline(text)))
        listed += nodes.definition_list_item("", term, meaning)
    if len(listed):
        yield listed
