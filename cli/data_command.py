"""``derive data``: what data hold, and what training would do with them, before anything is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chainrule.cli.options import DATA_DIR, DOWNLOAD, JSON
from chainrule.cli.parameters import DATA, DataOrSpec
from chainrule.cli.writing import echo_json

if TYPE_CHECKING:
    from chainrule.runtime.datasets import Dataset
    from chainrule.runtime.datasets.description import Description

PICTURES = (".png", ".svg", ".pdf")


@click.command()
@click.argument("source", type=DataOrSpec(), metavar="SOURCE | SPEC")
@click.option("--data", type=DATA, help="With a SPEC: other data than it names.")
@DATA_DIR
@DOWNLOAD
@click.option(
    "--plot",
    "-o",
    "plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw samples into this file: .png, .svg or .pdf.",
)
@JSON
def data(
    source: str,
    data: str | None,
    data_dir: Path | None,
    download: bool | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Show what data hold: sets, classes, shapes, values, a few samples.

    SOURCE is a data set as under [training]: mnist, cifar100, folder:PATH, npz:PATH, idx:PATH …; or a SPEC,
    whose network says what its data become.
    """
    if plot is not None and plot.suffix.lower() not in PICTURES:
        raise click.UsageError(f"--plot {plot}: the file is a .png, .svg or .pdf.")
    found, description = _look(source, data, data_dir, download)
    if plot is not None:
        from chainrule.runtime.pictures import save_samples

        save_samples(found, plot)
    if as_json:
        picture = {"plot": str(plot)} if plot is not None else {}
        names = list(description.class_names)
        about = {"name": found.name, "origin": found.origin, "class_names": names}
        echo_json({**about, **description.as_json(), **picture})
        return
    from chainrule.runtime.datasets.samples import sketch

    click.echo(f"{description.text()}\n\n{sketch(found)}")
    if plot is not None:
        click.echo(f"\npicture     {plot}")


def _look(
    source: str, data: str | None, data_dir: Path | None, download: bool | None
) -> tuple[Dataset, Description]:
    """Return the data and what is in them, in the shapes of a spec's network if it is one."""
    from chainrule.cli.naming import STDIN
    from chainrule.runtime.datasets import load_dataset, look_at
    from chainrule.runtime.datasets.description import describe

    if source != STDIN and Path(source).suffix.lower() != ".toml":
        if data is not None:
            raise click.UsageError("--data goes with a SPEC; name the data alone otherwise.")
        found = look_at(_named(source), data_dir=data_dir, download=download)
        return found, describe(found)
    from chainrule.cli.specs import SpecFile
    from chainrule.running import declared_data, taken_by

    spec = SpecFile.read(Path(source)).spec
    declared, base = declared_data(spec, Path(source), data)
    found = load_dataset(declared, data_dir=data_dir, download=download, base_dir=base, **taken_by(spec))
    seen = describe(found, spec.training.validation_split)
    if spec.training.standardize != "none":
        note = f"then standardized ({spec.training.standardize}) by statistics of the training samples"
        seen = replace(seen, notes=(*seen.notes, note))
    return found, seen


def _named(source: str) -> str:
    """Return the source that a path without a scheme means: an archive or a folder of images."""
    path = Path(source)
    if ":" not in source and path.suffix.lower() == ".npz":
        return f"npz:{source}"
    return f"folder:{source}" if ":" not in source and path.is_dir() else source
