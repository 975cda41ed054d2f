"""The command ``derive``: one page of subcommands; each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path

import click

from chainrule.cli.data_command import data
from chainrule.cli.handout.command import handout
from chainrule.cli.options import CACHE, EXISTING, JSON, LANGUAGE
from chainrule.cli.run_commands import evaluate, predict, train
from chainrule.cli.showing import show
from chainrule.cli.writing import echo_json, write_file
from chainrule.codegen.targets import TARGETS


class DefaultGroup(click.Group):
    """A group whose first argument may also be a topic or a spec: ``derive softmax``, ``derive net.toml``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            if len(args) > 1 and not args[1].startswith("-"):
                import difflib

                near = difflib.get_close_matches(args[0], self.commands, n=1)
                hint = f" Did you mean {near[0]}?" if near else " A topic or a spec stands alone."
                raise click.UsageError(f"{args[0]!r} is no command.{hint}", ctx)
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

    Exit codes: 0 good, 1 a check failed, 2 bad usage, spec or file, 3 data or a GPU missing, 130 interrupted.
    """


for command in (show, handout, data, train, predict, evaluate):
    derive.add_command(command)


@derive.command(name="list")
@LANGUAGE
@JSON
def list_everything(lang: str, as_json: bool) -> None:
    """Name the topics, layers, activations, losses, optimizers and example specs."""
    from chainrule.cli.listing import HEADINGS, listing
    from chainrule.derive.prose import say
    from chainrule.derive.reader import Reader, reading

    with reading(Reader(language=lang)):
        found = listing()
        if as_json:
            echo_json(found)
            return
        for heading, rows in found.items():
            click.echo(f"{say(HEADINGS[heading])}:")
            width = max((len(name) for name in rows), default=0)
            for name, description in rows.items():
                click.echo(f"  {name:<{width}}  {description}".rstrip())


@derive.command()
@click.argument("spec", type=EXISTING)
@CACHE
@JSON
def check(spec: Path, as_json: bool) -> None:
    """Show a spec's layers with shapes, parameters, FLOPs and the memory of training."""
    from chainrule.checked import table
    from chainrule.cli.specs import SpecFile

    result = SpecFile.read(spec).totals()
    if as_json:
        echo_json(result)
    else:
        click.echo(table(result))


@derive.command()
@click.argument("specs", nargs=-1, required=True, type=EXISTING)
@click.option(
    "--target",
    type=click.Choice([*TARGETS, "all"]),
    help="cuda (or all): the CUDA program too. The NumPy program is always written, and so is each target "
    "that the folder's manifest lists already.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("generated"),
    show_default=True,
    help="The folder above those of the specs.",
)
@click.option(
    "--check", "only_check", is_flag=True, help="Write nothing; exit 1 if a file is not up to date."
)
@click.option("--force", is_flag=True, help="Write outside the current folder and over edited files.")
@CACHE
@JSON
def generate(
    specs: tuple[Path, ...], target: str | None, output: Path, only_check: bool, force: bool, as_json: bool
) -> None:
    """Write the training programs and equations of specs to OUTPUT/NAME.

    numpy_trainer.py, equations.tex and manifest.json; for CUDA, cuda/trainer.py and cuda/kernels.cu beside
    them. A folder keeps the targets it has: without --target, a folder that has a CUDA program gets it anew,
    and --check checks it.
    """
    from chainrule.cli.specs import SpecFile
    from chainrule.codegen.folder import recorded_targets, stale, write

    asked = set(TARGETS) if target == "all" else {target} if target else set()
    found = [(file, file.name) for file in map(SpecFile.read, specs)]
    generated = [file.generated(asked | recorded_targets(output / name)) for file, name in found]
    if only_check:
        differences = {path: text for each in generated for path, text in stale(each, output).items()}
        if as_json:
            echo_json({"stale": sorted(differences)})
        for path, text in differences.items():
            click.echo(f"{path} is not what its spec gives: {text}", err=True)
        if differences:
            raise SystemExit(1)
        if not as_json:
            click.echo(f"{len(generated)} up to date in {output}")
        return
    folders = [write(each, output, force) for each in generated]
    if as_json:
        echo_json({"folders": [str(f) for f in folders]})
        return
    for folder in folders:
        click.echo(str(folder))


@derive.command()
@click.argument("spec", type=EXISTING)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Draws the point, the batch and the coordinates.",
)
@click.option(
    "--steps",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Steps of training before the second check.",
)
@click.option(
    "--samples",
    type=click.IntRange(2),
    default=24,
    show_default=True,
    help="Coordinates of each tensor that are checked one by one.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="Samples of the batch that is looked at first.",
)
@CACHE
@JSON
def gradcheck(spec: Path, seed: int, steps: int, samples: int, batch: int, as_json: bool) -> None:
    """Check every gradient of a spec's program against finite differences of its loss.

    The loss is that of the equations, evaluated apart from the program, where they take few operations; the
    table says of which it is.
    """
    from chainrule.cli.specs import generated_for
    from chainrule.running import gradient_report
    from chainrule.spec import load_spec

    drawn = {"seed": seed, "steps": steps, "samples": samples, "batch": batch}
    report = gradient_report(load_spec(spec), generated_for, **drawn)
    if as_json:
        echo_json(report.to_json())
    else:
        click.echo(report.to_text())
    if not report.passed:
        raise SystemExit(1)


@derive.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Write over a file that exists.")
def new(name: str, force: bool) -> None:
    """Write NAME.toml into the current folder: a commented spec to start from."""
    from chainrule.spec import starter

    path = Path(f"{name}.toml")
    try:
        text = starter(name)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if path.exists() and not force:
        raise click.UsageError(f"{path} exists; choose another name, or use --force.")
    write_file(path, text.encode())
    click.echo(str(path))


@derive.command()
@click.option("--clear", is_flag=True, help="Remove it all: what is asked for next is derived anew.")
@JSON
def cache(clear: bool, as_json: bool) -> None:
    """Show where equations and programs that were derived before are kept.

    They are found again for the same spec, options, version and libraries; --no-cache leaves them alone.
    """
    from chainrule.cli.cache import Store

    store = Store.of_the_user()
    if store is None:
        raise click.UsageError("You have no home folder: nothing is kept. CHAINRULE_CACHE names a folder.")
    if clear:
        store.clear()
    files = list(store.files())
    size = sum(found.st_size for _, found in files)
    if as_json:
        echo_json({"folder": str(store.folder), "entries": len(files), "bytes": size})
    else:
        click.echo(f"{store.folder}: {len(files)} entries, {size / 2**20:.1f} MiB")


@derive.command()
def schema() -> None:
    """Print the JSON Schema of spec files, for editors."""
    from chainrule.spec import json_schema

    echo_json(json_schema())
