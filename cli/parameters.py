"""What the commands take: specs, runs, topics, numbers of samples; and how a shell completes them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class SpecPath(click.Path):
    """A spec file; - is standard input."""

    name = "spec"

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from chainrule.cli.naming import specs

        return items(specs(incomplete)) or file(incomplete)


class RunPath(click.Path):
    """The folder of a run."""

    name = "run"

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        runs = (str(path.parent) for path in Path().glob("runs/*/summary.json"))
        return items(sorted(name for name in runs if name.startswith(incomplete))) or file(incomplete, "dir")


class Subject(click.ParamType[str]):
    """A topic or a spec."""

    name = "subject"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return subjects(incomplete) or file(incomplete)


class Data(click.ParamType[str]):
    """Data as a spec names them."""

    name = "data"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return items(name for name in DATA_SETS if name.startswith(incomplete))


class DataOrSpec(click.ParamType[str]):
    """A data set or a spec."""

    name = "source"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from chainrule.cli.naming import specs

        known = (name for name in DATA_SETS if name.startswith(incomplete))
        return items([*known, *specs(incomplete)]) or file(incomplete)


class SampleNumbers(click.ParamType[tuple[int, ...]]):
    """Numbers of samples, from 1: 2 or 1,2,4."""

    name = "sample"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        if not all(part.strip().isdecimal() and len(part) < 10 and int(part) for part in parts):
            self.fail(f"{value!r}: numbers of samples, from 1: 2 or 1,2,4", param, ctx)
        return tuple(map(int, parts))


DATA_SETS = ("mnist", "mnist_embedded", "fashion_mnist", "cifar10", "cifar100")
SPEC, RUN, DATA = SpecPath(), RunPath(), Data()


def subjects(beginning: str) -> list[CompletionItem]:
    """Return the topics and the specs that begin so."""
    from click.shell_completion import CompletionItem

    from chainrule.cli.naming import specs
    from chainrule.lectures import TOPICS

    topics = [CompletionItem(name, help=line) for name, line in TOPICS.items() if name.startswith(beginning)]
    return [*topics, *items(specs(beginning))]


def items(names: Iterable[str]) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in names]


def file(beginning: str, kind: str = "file") -> list[CompletionItem]:
    """Leave it to the shell to complete a file or a folder ("dir")."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(beginning, type=kind)]
