"""``derive handout SPEC``: the page that a lecturer gives out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from chainrule.cli.options import JSON, for_a_reader, reader_of
from chainrule.cli.parameters import RUN, SPEC
from chainrule.cli.writing import echo_json, require_new, write_file

SUFFIXES = (".html", ".htm", ".pdf")


@click.command()
@click.argument("spec", type=SPEC, metavar="SPEC")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    show_default="NAME.html",
    help="Where the page goes, a .html or a .pdf.",
)
@click.option("--run", type=RUN, metavar="RUN", help="A run's folder: its curves and confusions too.")
@click.option(
    "--form",
    type=click.Choice(["matrix", "index"]),
    default="matrix",
    show_default=True,
    help="Equations as products of matrices, or by indices.",
)
@click.option(
    "--gradcheck/--no-gradcheck",
    default=True,
    show_default=True,
    help="Check every gradient of the program; a large network takes minutes.",
)
@for_a_reader
@JSON
def handout(
    spec: Path,
    output: Path | None,
    run: Path | None,
    form: str,
    gradcheck: bool,
    as_json: bool,
    **choices: Any,
) -> None:
    """Write a network's handout: one page that needs nothing else.

    Diagram, notation, every equation with its reason beside the line of the program that it became, the check
    of the gradients and, of a run, curves and confusions. A .pdf is printed by Chromium, if there is one.
    """
    from chainrule.cli.handout.document import equations_of, handout_of, page
    from chainrule.cli.handout.printing import printed, require_browser
    from chainrule.cli.idle import idle
    from chainrule.cli.specs import SpecFile
    from chainrule.derive.reader import reading

    found = SpecFile.read(spec).spec
    where = output or Path(f"{found.name}.html")
    if where.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"{where}: a handout is FILE.html or FILE.pdf")
    require_new("-o", where, spec)
    as_pdf = where.suffix.lower() == ".pdf"
    browser = require_browser() if as_pdf else ""
    reader = reader_of(**choices)
    shown = handout_of(found, form=form, gradcheck=gradcheck, run=run)
    with reading(reader):
        equations = equations_of(shown)
        for sentence in idle(equations, found.name, form, topic=False):
            click.echo(sentence, err=True)
        content = page(shown, equations).encode(errors="replace")
    if as_pdf:
        content = printed(content, browser)
    write_file(where, content)
    if as_json:
        passed = shown.gradients.passed if shown.gradients else None
        echo_json({"file": str(where), "bytes": len(content), "gradients_passed": passed})
    else:
        click.echo(str(where))
    if shown.gradients and not shown.gradients.passed:
        click.echo("a gradient of the program failed its check: see the table in the handout", err=True)
        raise SystemExit(1)
