"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from chainrule.cli.parameters import SampleNumbers
from chainrule.codegen.targets import DEFAULT, TARGETS
from chainrule.derive.reader import BATCHES, LANGUAGES, NOTATIONS

if TYPE_CHECKING:
    from chainrule.derive.reader import Reader

LANGUAGE = click.option(
    "--lang", type=click.Choice(LANGUAGES), default="en", show_default=True, help="Language of the prose."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    show_default="$CHAINRULE_DATA, then the user's cache",
    help="Where the data sets lie.",
)
DOWNLOAD = click.option("--download/--no-download", default=None, help="Fetch a data set that is not found.")
NEEDS: Final = "; ".join(f"{name} needs {row.needs}" for name, row in TARGETS.items() if row.needs)


def target_option(what: str) -> Callable[..., Any]:
    """Return --target, of which ``what`` says what it does."""
    chosen = click.Choice([*TARGETS])
    return click.option("--target", type=chosen, default=DEFAULT, show_default=True, help=f"{what}; {NEEDS}.")


NO_CACHE: Final = "CHAINRULE_NO_CACHE"
CACHED: Final = "chainrule.cached"  # among what is known of a running command: whether it may use the cache


def _chosen(context: click.Context, _: click.Parameter, without: bool) -> None:
    context.meta[CACHED] = not without


CACHE = click.option(
    "--no-cache",
    is_flag=True,
    envvar=NO_CACHE,
    show_envvar=True,
    expose_value=False,
    callback=_chosen,
    help="Derive anew what was derived before.",
)


def for_a_reader(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --lang, --notation and --batch, which ``reader_of`` makes a Reader of."""
    options = (
        LANGUAGE,
        click.option(
            "--notation",
            type=click.Choice(NOTATIONS),
            default="common",
            show_default=True,
            help="lectures: x^l and y for the usual z^l (pre-activation) and t (target).",
        ),
        click.option(
            "--batch",
            type=click.Choice(BATCHES),
            default="example",
            show_default=True,
            help="Matrix equations for one example, or for a batch as the rows or columns of a matrix.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def numbers_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --numbers, --sample and --seed."""
    options = (
        click.option(
            "--numbers",
            is_flag=True,
            help="Work one step of training in numbers, equation by equation; for a SPEC.",
        ),
        click.option(
            "--sample",
            type=SampleNumbers(),
            default=(),
            metavar="I[,I…]",
            show_default="1",
            help="With --numbers: which samples of the spec's data, from 1.",
        ),
        click.option(
            "--seed",
            type=click.IntRange(0),
            metavar="N",
            show_default="the spec's",
            help="With --numbers: draws the parameters and masks.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def reader_of(lang: str, notation: str, batch: str) -> Reader:
    """Return the reader that the options describe."""
    from chainrule.derive.reader import Reader

    return Reader(lang, notation, batch)
