"""Directives whose content is run while the page is read: what they show is what came out.

``{file} NAME`` writes a file into the page's folder, ``{console}`` runs lines after ``$ ``, ``{python}`` runs
statements, ``{excerpt} PATH`` shows part of a file that one of these wrote.  What fails is a warning, which
ends the build of the site.
"""

from __future__ import annotations

import contextlib
import doctest
import itertools
import re
import shutil
import sys
import traceback
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from chainrule.cli.handout.markup import element
from chainrule.derive.derivation import Derivation
from chainrule.lectures.model import Topic
from chainrule.present import page_for
from chainrule.present.page import Page

from . import equations
from .workplace import ROOT, Workplace

LOG = logging.getLogger(__name__)
CUT = "…"
LANGUAGES = {".h": "c", ".toml": "toml", ".py": "python", ".tex": "latex", ".cu": "cuda", ".json": "json"}
COMMENTS = {".py": "# ", ".toml": "# ", ".tex": "% ", ".cu": "// ", ".h": "// "}
PLACES: dict[str, Workplace] = {}


class Example(SphinxDirective):
    """A directive that runs something in the folder of its page."""

    has_content = True
    key_options: ClassVar[dict[str, Any]] = {key: directives.unchanged for key in ("from", "until", "before")}

    @property
    def place(self) -> Workplace:
        name = self.env.docname
        if name not in PLACES:
            PLACES[name] = Workplace.made(name)
        return PLACES[name]

    def failed(self, why: str) -> list[nodes.Node]:
        """Say what is wrong, with the line of the page; the build ends with it."""
        LOG.warning("%s", why, location=self.get_location(), type="example")
        return [nodes.literal_block(why, why)]

    def cut(self, text: str, comment: str = "") -> str:
        """Return the lines from one that ``from`` matches to one that ``until`` does; … is the rest.

        ``before`` leaves out the line that it matches.  Raises LookupError where no line matches.
        """
        lines = text.rstrip("\n").split("\n")
        first, last = 0, len(lines)
        if "from" in self.options:
            first = self._found(lines, self.options["from"], 0)
        if "until" in self.options:
            last = self._found(lines, self.options["until"], first) + 1
        if "before" in self.options:
            last = self._found(lines, self.options["before"], first + 1)
            last -= sum(1 for _blank in itertools.takewhile(lambda line: not line, reversed(lines[:last])))
        indent = len(lines[first]) - len(lines[first].lstrip(" "))
        rest = " " * indent + comment + CUT
        before = [rest] if first else []
        return "\n".join([*before, *lines[first:last], *([rest] if last < len(lines) else [])])

    def _found(self, lines: list[str], pattern: str, start: int) -> int:
        for number, line in enumerate(lines[start:], start):
            if re.search(pattern, line):
                return number
        raise LookupError(f"no line matches {pattern!r} in:\n" + "\n".join(lines))


class File(Example):
    """``{file} NAME``: the content is written to NAME and shown."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = self.place.folder / self.arguments[0]
        text = "\n".join(self.content) + "\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return [captioned(text, self.arguments[0])]


class Excerpt(Example):
    """``{excerpt} PATH``: part of a file of the page's folder, or of the repository."""

    required_arguments = 1
    has_content = False
    option_spec: ClassVar[dict[str, Any]] = {**Example.key_options}

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        path = self.place.folder / name
        if not path.exists():
            path = ROOT / name
            self.env.note_dependency(str(path))
        try:
            return [
                captioned(self.cut(path.read_text(encoding="utf-8"), COMMENTS.get(path.suffix, "")), name)
            ]
        except (OSError, LookupError) as error:
            return self.failed(f"{name}: {error}")


class Console(Example):
    """``{console}``: lines after ``$ `` are run; ``exit`` is the code that the last one ends with."""

    option_spec: ClassVar[dict[str, Any]] = {
        **Example.key_options,
        "exit": directives.nonnegative_int,
        "progress": directives.flag,
        "hidden": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        shown: list[str] = []
        lines = [line.removeprefix("$ ") for line in self.content if line.startswith("$ ")]
        if len(lines) != len([line for line in self.content if line.strip()]):
            return self.failed("a console block holds lines that begin with $ ; their output is put in")
        for number, line in enumerate(lines, 1):
            wanted = self.options.get("exit", 0) if number == len(lines) else 0
            done = self.place.run(line)
            if done.code != wanted:
                return self.failed(
                    f"$ {line}\n{done.output}{done.progress}exit code {done.code}, not {wanted}"
                )
            heard = done.output + (done.progress if wanted or "progress" in self.options else "")
            try:
                heard = self.cut(heard) if heard.strip() and number == len(lines) else heard.rstrip("\n")
            except LookupError as error:
                return self.failed(f"$ {line}\n{error}")
            shown += [f"$ {line}", *([heard] if heard.strip() else [])]
        if "hidden" in self.options:
            return []
        text = "\n".join(shown)
        return [nodes.literal_block(text, text, language="console", classes=["console"])]


class Python(Example):
    """``{python}``: statements; what they print and what the last one is stand below them."""

    option_spec: ClassVar[dict[str, Any]] = {
        **Example.key_options,
        "raises": directives.unchanged_required,
        "hidden": directives.flag,
        "only-output": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        code = "\n".join(self.content)
        only = "only-output" in self.options
        shown: list[nodes.Node] = [] if only else [nodes.literal_block(code, code, language="python")]
        wanted = self.options.get("raises")
        try:
            printed, value = self.place.python(code)
        except Exception as error:
            if wanted is None or type(error).__name__ != wanted:
                return self.failed(f"{code}\n{traceback.format_exc()}")
            printed, value, wanted = f"{wanted}: {error}", None, None
        if wanted:
            return self.failed(f"{code}\nraises no {wanted}")
        if "hidden" in self.options:
            return []
        try:
            shown += [output(self.cut(printed))] if printed.strip() else []
        except LookupError as error:
            return self.failed(f"{code}\n{error}")
        return shown + self._displayed(value)

    def _displayed(self, value: Any) -> list[nodes.Node]:
        if value is None:
            return []
        if isinstance(value, Derivation | Topic | Page):
            page = value if isinstance(value, Page) else page_for(value, steps=isinstance(value, Topic))
            key = f"e{self.env.new_serialno('equations')}"
            return equations.in_line(equations.parts(page, key, page.steps))
        if hasattr(value, "_repr_html_"):
            return [equations.raw(value._repr_html_())]
        return [output(repr(value))]


class Result(Example):
    """A file that an example wrote, kept beside the pages; ``self.kept()`` is where, from this page."""

    required_arguments = 1
    has_content = False

    def kept(self) -> str:
        """Copy the file and return its address, seen from this page.  Raises OSError."""
        source = self.place.folder / self.arguments[0]
        target, address = equations.kept(self.env, source.name)
        shutil.copyfile(source, target)
        return address


class Picture(Result):
    """``{picture} FILE``: a picture that an example drew; ``alt`` says what it shows."""

    option_spec: ClassVar[dict[str, Any]] = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        try:
            image = element("img", "", src=self.kept(), alt=self.options["alt"], loading="lazy")
        except (OSError, KeyError) as error:
            return self.failed(f"{self.arguments[0]}: {error}")
        return [equations.raw(image, "picture")]


class Opened(Result):
    """``{opened} FILE``: a link to a page that an example wrote, with the content as its text."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        try:
            link = element("a", " ".join(self.content), href=self.kept())
        except OSError as error:
            return self.failed(f"{self.arguments[0]}: {error}")
        return [equations.raw(link, "opened")]


def docstring(_app: Sphinx, _what: str, name: str, _of: Any, _options: Any, lines: list[str]) -> None:
    """Run the examples of a docstring before it is shown."""
    text = "\n".join(lines)
    module = next(m for m in (name, *_above(name)) if m in sys.modules)
    names = dict(vars(sys.modules[module]))
    test = doctest.DocTestParser().get_doctest(text, names, name, None, 0)
    if test.examples:
        told: list[str] = []
        with contextlib.chdir(ROOT):
            failed, _run = doctest.DocTestRunner(verbose=False).run(test, out=told.append)
        if failed:
            LOG.warning("docstring of %s\n%s", name, "".join(told), type="example")


def _above(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]


def output(text: str) -> nodes.Node:
    """Return what a program printed."""
    return nodes.literal_block(text.rstrip("\n"), text.rstrip("\n"), language="text", classes=["output"])


def captioned(text: str, name: str) -> nodes.Node:
    """Return a file with its name above it."""
    text = text.rstrip("\n")
    language = next((kind for end, kind in LANGUAGES.items() if name.endswith(end)), "text")
    block = nodes.literal_block(text, text, language=language)
    box = nodes.container("", literal_block=True, classes=["literal-block-wrapper"])
    box += [nodes.caption("", name), block]
    return box
