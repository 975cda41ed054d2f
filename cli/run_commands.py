"""``derive train``, ``predict``, ``evaluate`` and ``export``: the commands around a run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from chainrule.cli.options import CACHE, DATA_DIR, DOWNLOAD, JSON, NEEDS, target_option
from chainrule.cli.parameters import DATA, DATA_SETS, RUN, SPEC
from chainrule.cli.writing import echo_json
from chainrule.codegen.targets import DEFAULT, FASTEST, TARGETS

USED = target_option("The program in RUN that computes")


@click.command()
@click.argument("spec", type=SPEC, required=False, metavar="SPEC")
@click.option(
    "--target",
    type=click.Choice([*TARGETS]),
    show_default=f"{FASTEST} for long trainings where it compiles, else {DEFAULT}",
    help=f"The program that trains; {NEEDS}.",
)
@click.option(
    "--data",
    type=DATA,
    help=f"{', '.join(DATA_SETS)}, folder:PATH, npz:PATH or idx:PATH instead of the spec's.",
)
@DATA_DIR
@DOWNLOAD
@click.option(
    "--epochs", type=click.IntRange(1), metavar="N", show_default="the spec's", help="Passes over the data."
)
@click.option(
    "--batch-size", type=click.IntRange(1), metavar="N", show_default="the spec's", help="Samples of a step."
)
@click.option(
    "--seed", type=click.IntRange(0), metavar="N", show_default="the spec's", help="Draws all that is random."
)
@click.option(
    "--run-dir",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    show_default="runs/NAME-n",
    help="The run's folder, new or empty.",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value="",
    metavar="[RUN]",
    help="Go on with the run in that folder; without one (after SPEC), with the newest.",
)
@click.option(
    "--checkpoint-every",
    type=click.IntRange(1),
    metavar="STEPS",
    show_default="after each epoch, at most once a second",
    help="Save so often.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    show_default="those of the run with --resume, else $OPENBLAS_NUM_THREADS, else those of the processor",
    help="Threads to compute on. Another number adds up in another order, and gives other last bits.",
)
@click.option("--quiet", is_flag=True, help="No progress on stderr, only warnings.")
@CACHE
@JSON
def train(spec: Path | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Generate a spec's program, train it, and write parameters, curves and a summary.

    The run's folder also holds the two newest checkpoints. Ctrl-C finishes the step and saves; a second one
    ends at once. Whatever ended a run, `derive train SPEC --resume` goes on with it, in the middle of an
    epoch too, and ends in the same parameters, byte for byte, as a run that was never cut short. With more
    --epochs it goes on beyond its end, unless its learning rate is planned over all epochs (cosine).
    """
    from chainrule.cli.specs import SpecFile, generated_for
    from chainrule.running import train_spec

    if spec is None:
        raise click.UsageError("Missing argument 'SPEC', as in derive train SPEC --resume [RUN].")
    report = train_spec(SpecFile.read(spec).spec, spec, quiet=quiet, generate=generated_for, **options)
    if as_json:
        echo_json(report.as_json())
    else:
        click.echo(report.text())
    raise SystemExit(report.exit_code)


REGENERATE = click.option(
    "--regenerate",
    is_flag=True,
    help="Write the program anew from the spec in RUN and use that: for the run of a stranger, whose "
    "program is a stranger's code.",
)


@click.command()
@click.argument("run", type=RUN)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option(
    "--top", type=click.IntRange(1), metavar="N", default=3, show_default=True, help="Classes that are shown."
)
@click.option(
    "--invert/--no-invert",
    default=None,
    show_default="where the border is not as bright as that of training images",
    help="Exchange black and white.",
)
@click.option(
    "--fit",
    type=click.Choice(["crop", "pad", "stretch", "digit"]),
    default="crop",
    show_default=True,
    help="How another size becomes the network's; digit: as MNIST's digits were cut out and centred.",
)
@USED
@REGENERATE
@JSON
def predict(
    run: Path,
    images: tuple[Path, ...],
    top: int,
    invert: bool | None,
    fit: str,
    target: str,
    regenerate: bool,
    as_json: bool,
) -> None:
    """Show what a trained run takes image files for, and how pixels became its input.

    RUN is a folder that train wrote, as in runs/NAME-1. The program in it is run: of a stranger's folder,
    --regenerate runs nothing.
    """
    from chainrule.cli.using import predicted, prediction_text

    found = predicted(run, images, top, invert, fit, regenerate, target)
    if as_json:
        echo_json({"run": str(run), "images": [each.to_json() for each in found]})
    else:
        click.echo(prediction_text(found))


@click.command()
@click.argument("run", type=RUN)
@click.option("--data", type=DATA, help="Other data than the run was trained on, named as for train.")
@DATA_DIR
@DOWNLOAD
@USED
@REGENERATE
@JSON
def evaluate(
    run: Path,
    data: str | None,
    data_dir: Path | None,
    download: bool | None,
    target: str,
    regenerate: bool,
    as_json: bool,
) -> None:
    """Test a trained run: accuracy, classes, confusions, the surest mistakes.

    RUN is a folder that train wrote, as in runs/NAME-1; evaluation.json, confusion.png and mistakes.png are
    written into it. The program in it is run: of a stranger's folder, --regenerate runs nothing.
    """
    from chainrule.cli.using import evaluated, evaluation_json, evaluation_text

    found, files = evaluated(run, data, data_dir, download, regenerate, target)
    if as_json:
        echo_json(evaluation_json(found, files))
    else:
        click.echo(evaluation_text(found, files))


@click.command()
@click.argument("run", type=RUN)
@click.option(
    "--target",
    type=click.Choice([name for name, row in TARGETS.items() if row.exports]),
    default="c",
    show_default=True,
    help="What the network is written in.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    required=True,
    help="The folder that the files go into.",
)
@click.option(
    "--c-array",
    is_flag=True,
    help="The weights in C, too (weights.c), and a program that checks them (check.c).",
)
@click.option("--force", is_flag=True, help="Write over files that exist.")
@CACHE
@JSON
def export(run: Path, target: str, output: Path, c_array: bool, force: bool, as_json: bool) -> None:
    """Write a trained run as C for small devices: predict.c, predict.h, weights.bin.

    predict.c is C99 and needs no memory, threads or files; predict.h tells its sizes. weights.bin has the
    weights as little-endian float32. Where training standardized its inputs, inputs.h does so. The network is
    written anew from the spec in RUN, a folder that train wrote: nothing in it is run.
    """
    from chainrule.cli.exporting import exported

    files = exported(run, target, output, c_array, force)
    if as_json:
        echo_json({"run": str(run), "files": [str(file) for file in files]})
        return
    for file in files:
        click.echo(str(file))
