"""The command ``derive``: one page of subcommands; each imports what it needs when it runs."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from cli.handout.command import handout
from cli.options import JSON, LANGUAGE
from cli.showing import show

EXISTING = click.Path(dir_okay=False, path_type=Path)


class DefaultGroup(click.Group):
    """A group whose first argument may also be a topic or a spec: ``derive softmax``, ``derive net.toml``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["show", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage("derive", "TOPIC | SPEC [OPTIONS]")
        formatter.write_usage("derive", "COMMAND [ARGUMENTS] [OPTIONS]")


@click.group(
    cls=DefaultGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="chainrule", prog_name="derive")
def derive() -> None:
    """Write the forward formula; everything else is derived.

    TOPIC is a subject of the lectures (`derive list` names them), SPEC a network in a TOML file: their
    equations are printed, as LaTeX unless --format says otherwise.
    """


DATA = "mnist, mnist_embedded, fashion_mnist, cifar10, folder:PATH or npz:PATH instead of the spec's."


derive.add_command(show)
derive.add_command(handout)


@derive.command(name="list")
@LANGUAGE
@JSON
def list_everything(lang: str, as_json: bool) -> None:
    """Name the topics, layers, activations, losses, optimizers and example specs."""
    from cli.listing import HEADINGS, listing
    from derive.prose import say
    from derive.reader import Reader, reading

    with reading(Reader(language=lang)):
        found = listing()
        if as_json:
            _print_json(found)
            return
        for heading, rows in found.items():
            click.echo(f"{say(HEADINGS[heading])}:")
            width = max((len(name) for name in rows), default=0)
            for name, description in rows.items():
                click.echo(f"  {name:<{width}}  {description}".rstrip())


@derive.command()
@click.argument("spec", type=EXISTING)
@JSON
def check(spec: Path, as_json: bool) -> None:
    """Show a spec's layers with shapes, parameters, FLOPs and the memory of training."""
    from cli.checking import table, totals

    result = totals(_spec(spec))
    if as_json:
        _print_json(result)
    else:
        click.echo(table(result))


@derive.command()
@click.argument("specs", nargs=-1, required=True, type=EXISTING)
@click.option(
    "--target",
    type=click.Choice(["numpy", "cuda", "all"]),
    help="cuda (or all): the CUDA program too. The NumPy program is always written, and so is each target "
    "that the folder's manifest lists already.",
)
@click.option("--output", type=click.Path(path_type=Path), default=Path("generated"), show_default=True)
@click.option(
    "--check", "only_check", is_flag=True, help="Write nothing; exit 1 if a file is not up to date."
)
@click.option("--force", is_flag=True, help="Write outside the current folder and over edited files.")
@JSON
def generate(
    specs: tuple[Path, ...], target: str | None, output: Path, only_check: bool, force: bool, as_json: bool
) -> None:
    """Write the training programs and equations of specs to OUTPUT/NAME.

    numpy_trainer.py, equations.tex and manifest.json; for CUDA, cuda/trainer.py and cuda/kernels.cu beside
    them. A folder keeps the targets it has: without --target, a folder that has a CUDA program gets it anew,
    and --check checks it.
    """
    from codegen.generate import generate as generated_for
    from codegen.generate import recorded_targets, stale, write

    asked = {"cuda"} if target in ("cuda", "all") else set()
    found = [_spec(path) for path in specs]
    generated = [generated_for(spec, asked | recorded_targets(output / spec.name)) for spec in found]
    if only_check:
        differences = {path: text for each in generated for path, text in stale(each, output).items()}
        if as_json:
            _print_json({"stale": sorted(differences)})
        for path, text in differences.items():
            click.echo(f"{path} is not what its spec gives: {text}", err=True)
        if differences:
            raise SystemExit(1)
        if not as_json:
            click.echo(f"{len(generated)} up to date in {output}")
        return
    folders = [write(each, output, force) for each in generated]
    if as_json:
        _print_json({"folders": [str(f) for f in folders]})
        return
    for folder in folders:
        click.echo(str(folder))


@derive.command()
@click.argument("spec", type=EXISTING)
@click.option("--seed", default=0, show_default=True, help="Draws the point, the batch and the coordinates.")
@click.option("--steps", default=5, show_default=True, help="Steps of training before the second check.")
@click.option("--samples", default=24, show_default=True, help="Coordinates checked of each tensor.")
@JSON
def gradcheck(spec: Path, seed: int, steps: int, samples: int, as_json: bool) -> None:
    """Check every gradient of a spec's program against finite differences."""
    from cli.running import scratch_program
    from runtime.gradcheck import check_gradients

    with scratch_program(_spec(spec)) as program:
        report = check_gradients(program, seed=seed, steps=steps, samples=samples)
    if as_json:
        _print_json(report.to_json())
    else:
        click.echo(report.to_text())
    if not report.passed:
        raise SystemExit(1)


@derive.command()
@click.argument("spec", type=EXISTING)
@click.option(
    "--target",
    type=click.Choice(["numpy", "cuda"]),
    help="The program that trains [default: numpy]; cuda needs CuPy and an NVIDIA GPU.",
)
@click.option("--data", help=DATA)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where the data sets lie.")
@click.option("--download/--no-download", default=None, help="Fetch a data set that is not found.")
@click.option("--epochs", type=click.IntRange(1), help="Instead of the spec's.")
@click.option("--batch-size", type=click.IntRange(1), help="Instead of the spec's.")
@click.option("--seed", type=click.IntRange(0), help="Instead of the spec's.")
@click.option("--run-dir", type=click.Path(path_type=Path), help="The run's folder [default: runs/NAME-n].")
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
    help="Save so often [default: after each epoch, at most once a second].",
)
@click.option("--quiet", is_flag=True, help="No progress on stderr, only warnings.")
@JSON
def train(spec: Path, as_json: bool, quiet: bool, **options: Any) -> None:
    """Generate a spec's program, train it, and write parameters, curves and a summary.

    The run's folder also holds the two newest checkpoints. Ctrl-C finishes the step and saves; a second one
    ends at once. Whatever ended a run, `derive train SPEC --resume` goes on with it, in the middle of an
    epoch too, and ends in the same parameters, byte for byte, as a run that was never cut short.
    """
    from cli.running import train_spec

    report = train_spec(_spec(spec), spec, quiet=quiet, **options)
    if as_json:
        _print_json(report.as_json())
    else:
        click.echo(report.text())
    raise SystemExit(report.exit_code)


@derive.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Classes that are shown.")
@click.option(
    "--invert/--no-invert",
    default=None,
    help="Exchange black and white [default: where the border is not as bright as that of training images].",
)
@click.option(
    "--fit",
    type=click.Choice(["crop", "pad", "stretch", "digit"]),
    default="crop",
    show_default=True,
    help="How another size becomes the network's; digit: as MNIST's digits were cut out and centred.",
)
@JSON
def predict(
    run: Path, images: tuple[Path, ...], top: int, invert: bool | None, fit: str, as_json: bool
) -> None:
    """Show what a trained run takes image files for, and how pixels became its input."""
    from cli.using import predicted, prediction_text

    found = predicted(run, images, top, invert, fit)
    if as_json:
        _print_json({"run": str(run), "images": [each.to_json() for each in found]})
    else:
        click.echo(prediction_text(found))


@derive.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--data", help="Other data than the run was trained on, named as for train.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where the data sets lie.")
@click.option("--download/--no-download", default=None, help="Fetch a data set that is not found.")
@JSON
def evaluate(
    run: Path, data: str | None, data_dir: Path | None, download: bool | None, as_json: bool
) -> None:
    """Test a trained run: accuracy, classes, confusions and the surest mistakes, with pictures."""
    from cli.using import evaluated, evaluation_json, evaluation_text

    found, files = evaluated(run, data, data_dir, download)
    if as_json:
        _print_json(evaluation_json(found, files))
    else:
        click.echo(evaluation_text(found, files))


@derive.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Write over a file that exists.")
def new(name: str, force: bool) -> None:
    """Write NAME.toml, a commented spec to start from."""
    from derive.spec import starter

    path = Path(f"{name}.toml")
    try:
        text = starter(name)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if path.exists() and not force:
        raise click.UsageError(f"{path} exists; choose another name, or use --force.")
    path.write_text(text, encoding="utf-8")
    click.echo(str(path))


@derive.command()
def schema() -> None:
    """Print the JSON Schema of spec files, for editors."""
    from derive.spec import json_schema

    _print_json(json_schema())


def _spec(path: Path) -> Any:
    from derive.spec import load_spec

    return load_spec(path)


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=1, ensure_ascii=False))


def _faults() -> tuple[type[Exception], ...]:
    """Return the errors that are a user's to mend, of the packages that have been imported."""
    names = {
        "derive.spec.problems": ("SpecError",),
        "derive.formula.parser": ("FormulaError",),
        "derive.differentiate": ("CannotDifferentiate",),
        "derive.worked": ("NumbersError",),
        "codegen.generate": ("OutputRefused",),
        "codegen.lower": ("LoweringError",),
        "cli.typeset": ("NoTypesetting",),
        "runtime.errors": ("RuntimeFault",),
    }
    modules = {module: sys.modules[module] for module in names if module in sys.modules}
    return tuple(
        getattr(module, name)
        for key, module in modules.items()
        for name in names[key]
        if hasattr(module, name)
    )


def main() -> NoReturn:
    """Run the command; a user's mistake is one message and an exit code, never a traceback."""
    try:
        derive.main(prog_name="derive", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        _leave_quietly()
    except OSError as error:
        click.echo(f"{error.filename or 'a file'}: {error.strerror or error}", err=True)
        sys.exit(2)
    except Exception as error:
        if not isinstance(error, _faults()):
            raise
        click.echo(str(error), err=True)
        sys.exit(getattr(error, "exit_code", 2))
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _leave_quietly()
    sys.exit(0)


def _leave_quietly() -> NoReturn:
    """The reader of our output has gone (`derive … | head -1`): nothing more to say."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(128 + signal.SIGPIPE)


if __name__ == "__main__":
    main()
