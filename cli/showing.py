"""``derive TOPIC`` and ``derive SPEC``: equations on the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chainrule.cli.group import Showing
from chainrule.cli.options import CACHE, JSON, for_a_reader, numbers_options, reader_of
from chainrule.cli.parameters import Subject
from chainrule.cli.writing import FORMATS, FORMS, format_for, require_new, write_page

if TYPE_CHECKING:
    from chainrule.cli.specs import SpecFile
    from chainrule.derive.derivation import Derivation
    from chainrule.lectures.model import Topic
    from chainrule.present.page import Page


@click.command(cls=Showing, hidden=True)
@click.argument("subject", type=Subject(), metavar="TOPIC | SPEC")
@click.option("--steps", is_flag=True, help="Give each step its reason.")
@click.option(
    "--form",
    type=click.Choice(FORMS),
    default="index",
    show_default=True,
    help="Equations by indices, as products of matrices, or both.",
)
@click.option(
    "--format",
    "form_at",
    type=click.Choice(FORMATS),
    show_default="as FILE ends, else latex",
    help="What the page is written in.",
)
@click.option(
    "--given", multiple=True, metavar="NAME=FORMULAS", help="Other givens of the example; for a TOPIC."
)
@numbers_options
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw the picture too, into a .png, .svg or .pdf; for a TOPIC.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write to this file, not to stdout.",
)
@for_a_reader
@CACHE
@JSON
def show(
    subject: str,
    steps: bool,
    form: str,
    form_at: str | None,
    given: tuple[str, ...],
    numbers: bool,
    sample: tuple[int, ...],
    seed: int | None,
    plot: Path | None,
    output: Path | None,
    as_json: bool,
    **choices: Any,
) -> None:
    """Print the equations of a topic or of a spec's network."""
    from chainrule.cli.cache import remembered
    from chainrule.cli.naming import names_a_spec, require_subject
    from chainrule.cli.specs import SpecFile

    require_subject(subject)
    if as_json and form_at not in (None, "json"):
        click.echo(f"--format {form_at}: --json prints JSON.", err=True)
    format = "json" if as_json else format_for(form_at, output)
    require_new("-o", output, Path(subject), plot)
    require_new("--plot", plot, Path(subject))
    spec = SpecFile.read(Path(subject)) if names_a_spec(subject) else None

    def made() -> dict[str, Any]:
        from chainrule.cli.idle import idle
        from chainrule.derive.reader import reading
        from chainrule.present import page_for, present

        with reading(reader_of(**choices)):
            found = derivation_of(spec, given) if spec else topic_of(subject, given)
            if plot is not None:
                _draw(found, plot)
            shown: Derivation | Topic | Page = found
            if numbers:
                shown = numbers_of(found, sample, seed, form, steps)
            elif sample or seed is not None:
                raise click.UsageError("--sample and --seed go with --numbers.")
            page = page_for(shown, form, steps)
            notes = idle(page, title_of(found), form, topic=spec is None)
            text = present(page, form, "tex" if format == "pdf" else format, steps)
            return {"notes": list(notes), "text": text}

    page = remembered("page", None if plot else _key(spec, format), made)
    for note in page["notes"]:
        click.echo(note, err=True)
    write_page(page["text"], format, output)


def _key(spec: SpecFile | None, format: str) -> dict[str, Any] | None:
    """Return all that a page depends on, None where that cannot be read."""
    from chainrule.cli.cache import options

    chosen = {"format": format, "options": options("output", "as_json", "form_at")}
    return spec.key(**chosen) if spec else chosen


def title_of(found: Derivation | Topic) -> str:
    """Return what a topic or a network is called."""
    return found.network.spec.name if hasattr(found, "network") else found.id


def numbers_of(
    found: Derivation | Topic, sample: tuple[int, ...], seed: int | None, form: str, steps: bool
) -> Page:
    """Return the worked pass of a derivation.  Raises click.UsageError for a topic, and for batches."""
    from chainrule.derive.reader import reader
    from chainrule.lectures.model import Topic
    from chainrule.worked_pass import worked_page

    if isinstance(found, Topic):
        raise click.UsageError("--numbers goes with a spec; the examples of a topic take --given.")
    if reader().batch != "example":
        raise click.UsageError("--numbers shows each example by itself: leave --batch out.")
    return worked_page(found, sample or (1,), seed, form, steps)


def derivation_of(spec: SpecFile, given: tuple[str, ...] = ()) -> Derivation:
    """Return the derivation of a spec.  Raises click.UsageError, SpecError, CannotDifferentiate."""
    from chainrule.derive.deriving import derive_network

    if given:
        raise click.UsageError("--given goes with a topic, not with a spec.")
    return derive_network(spec.spec)


def topic_of(subject: str, given: tuple[str, ...] = ()) -> Topic:
    """Return the topic of a name.  Raises click.UsageError."""
    from chainrule.lectures import topic

    try:
        return topic(subject, given)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _draw(found: Derivation | Topic, path: Path) -> None:
    """Write the picture of a topic.  Raises click.UsageError where there is none, or another file type."""
    from chainrule.cli.plotting import ENDINGS, draw
    from chainrule.lectures import PICTURED
    from chainrule.lectures.model import Topic

    if path.suffix.lower() not in ENDINGS:
        raise click.UsageError(f"--plot {path}: the file is a {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}.")
    if not isinstance(found, Topic):
        raise click.UsageError("--plot goes with a topic, not with a spec.")
    if not found.plots:
        why = "with these givens" if found.id in PICTURED else "at all"
        raise click.UsageError(f"{found.id} has no picture {why}; these have one: {', '.join(PICTURED)}.")
    if not draw(found, path):
        click.echo("No installed font has the letters of this language: the labels are English.", err=True)
    click.echo(f"{path} written", err=True)
