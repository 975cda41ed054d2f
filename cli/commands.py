"""The command ``derive``: one page of subcommands; each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from chainrule.cli.data_command import data
from chainrule.cli.group import DefaultGroup
from chainrule.cli.handout.command import handout
from chainrule.cli.options import CACHE, JSON, LANGUAGE, target_option
from chainrule.cli.parameters import SPEC
from chainrule.cli.run_commands import evaluate, export, predict, train
from chainrule.cli.showing import show
from chainrule.cli.writing import echo_each, echo_json, echo_part, write_file
from chainrule.codegen.targets import DEFAULT, TARGETS

if TYPE_CHECKING:
    from chainrule.runtime.compiling import Libraries

COMPILED = [name for name, row in TARGETS.items() if row.compiled]
SPECS = click.argument("specs", nargs=-1, required=True, type=SPEC, metavar="SPEC...")


@click.group(
    cls=DefaultGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Completion of commands, options, topics and specs, for bash in ~/.bashrc (zsh_source for zsh, "
    "fish_source for fish):\n\n"
    'eval "$(_DERIVE_COMPLETE=bash_source derive)"',
)
@click.version_option(package_name="chainrule", prog_name="derive")
def derive() -> None:
    """Write the forward formula; everything else is derived.

    TOPIC is a subject of the lectures (`derive list` names them), SPEC a network in a TOML file, or - for
    standard input: their equations are printed, as LaTeX unless --format says otherwise. `derive new NAME`
    writes a spec to start from.

    Exit codes: 0 good, 1 a check failed, 2 bad usage, spec or file, 3 data, a GPU or a compiler missing, 130
    interrupted.
    """


for command in (show, handout, data, train, predict, evaluate, export):
    derive.add_command(command)


@derive.command(name="list")
@LANGUAGE
@JSON
def list_everything(lang: str, as_json: bool) -> None:
    """Name the topics, layers, activations, losses, optimizers and example specs."""
    from chainrule.cli.listing import HEADINGS, NONE, listing
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
            if not rows:
                click.echo(f"  ({say(NONE)})")


@derive.command()
@SPECS
@click.option(
    "--target",
    type=click.Choice([name for name, row in TARGETS.items() if not row.on_device]),
    default=DEFAULT,
    show_default=True,
    help="Whose memory is told.",
)
@CACHE
@JSON
def check(specs: tuple[Path, ...], target: str, as_json: bool) -> None:
    """Show a spec's layers with shapes, parameters, FLOPs and the memory of training.

    Several specs come one after the other, with --json as a list; what is refused is said at the end.
    """
    from chainrule.checked import table
    from chainrule.cli.specs import over

    found = over(specs, lambda file: file.totals(target))
    if as_json:
        echo_each([{"spec": str(path), **totals} for path, totals in found], len(specs))
        return
    for number, (path, totals) in enumerate(found):
        echo_part(table(totals), path, number, len(specs))


@derive.command()
@SPECS
@click.option(
    "--target",
    type=click.Choice([*TARGETS, "all"]),
    help="This target's program, too, or all of them. The NumPy program is always written, and so is each "
    "target that the folder's manifest lists already.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    default=Path("generated"),
    show_default=True,
    help="The folder above those of the specs.",
)
@click.option(
    "--check", "only_check", is_flag=True, help="Write nothing; exit 1 if a file is not up to date."
)
@click.option("--force", is_flag=True, help="Write outside the current folder and over edited files.")
@click.option(
    "--compile",
    "compile_now",
    is_flag=True,
    help=f"Compile {', '.join(COMPILED)} now, into the user's cache, and say where and by what.",
)
@click.option(
    "--portable",
    is_flag=True,
    help="Compile it for every level of processor (x86-64-v2 to v4, aarch64) that the compiler knows, beside "
    "the program, which takes the best that a machine has, and then needs no compiler there.",
)
@CACHE
@JSON
def generate(
    specs: tuple[Path, ...],
    target: str | None,
    output: Path,
    only_check: bool,
    force: bool,
    compile_now: bool,
    portable: bool,
    as_json: bool,
) -> None:
    """Write the training programs and equations of specs to OUTPUT/NAME.

    numpy_trainer.py, equations.tex and manifest.json; another target's files beside them. A folder keeps the
    targets it has: without --target, it gets their programs anew, and --check checks them.
    """
    from chainrule.cli.specs import over
    from chainrule.codegen.folder import recorded_targets, stale, write

    asked = set(TARGETS) if target == "all" else {target} if target else set()
    found = list(over(specs, lambda file: (file, file.name)))
    wanted = [asked | recorded_targets(output / name) for _, (_, name) in found]
    generated = [file.generated(targets) for (_, (file, _)), targets in zip(found, wanted, strict=True)]
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
    compiling = compile_now or portable
    compiled = [name for name in COMPILED if compiling and all(name in targets for targets in wanted)]
    if compiling and not compiled:
        option = "--portable" if portable else "--compile"
        raise click.UsageError(f"{option} is for a target that is compiled: add --target {COMPILED[0]}.")
    folders = [write(each, output, force) for each in generated]
    made = [_libraries(folder, name, portable) for folder in folders for name in compiled]
    if as_json:
        libraries = {"compiled": [each.to_json() for each in made]} if compiling else {}
        echo_json({"folders": [str(f) for f in folders], **libraries})
        return
    for line in [*folders, *(each.to_text() for each in made)]:
        click.echo(str(line))


def _libraries(folder: Path, target: str, portable: bool) -> Libraries:
    from chainrule.runtime.compiling import compile_program

    return compile_program(folder, target, portable)


@derive.command()
@SPECS
@target_option("Whose gradients are checked")
@click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    default=0,
    show_default=True,
    help="Draws the point, the batch and the coordinates.",
)
@click.option(
    "--steps",
    type=click.IntRange(0),
    metavar="N",
    default=5,
    show_default=True,
    help="Steps of training before the second check.",
)
@click.option(
    "--samples",
    type=click.IntRange(2),
    metavar="N",
    default=24,
    show_default=True,
    help="Coordinates of each tensor that are checked one by one.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    metavar="N",
    default=4,
    show_default=True,
    help="Samples of the batch that is looked at first.",
)
@CACHE
@JSON
def gradcheck(
    specs: tuple[Path, ...], target: str, seed: int, steps: int, samples: int, batch: int, as_json: bool
) -> None:
    """Check every gradient of a spec's program against finite differences of its loss.

    The loss is that of the equations, evaluated apart from the program, where they take few operations; the
    table says of which it is. Another target than numpy computes in float32 and float64: its gradients are
    held against those of the NumPy program in wider floats, which differences certify. Several specs come
    one after the other, with --json as a list.
    """
    from chainrule.cli.specs import generated_for, over
    from chainrule.running import gradient_report

    drawn = {"seed": seed, "steps": steps, "samples": samples, "batch": batch}
    found = over(specs, lambda file: gradient_report(file.spec, generated_for, target, **drawn))
    passed = []
    if as_json:
        reports = list(found)
        passed = [report.passed for _, report in reports]
        echo_each([{"spec": str(path), **report.to_json()} for path, report in reports], len(specs))
    else:
        for number, (path, report) in enumerate(found):
            echo_part(report.to_text(), path, number, len(specs))
            passed.append(report.passed)
    if not all(passed):
        raise SystemExit(1)


@derive.command()
@click.argument("name")
@click.option(
    "--like",
    type=click.Choice(["mlp", "cnn", "xor"]),
    default="mlp",
    show_default=True,
    help="Dense layers or convolutions that read digits, or the exclusive or in two small layers.",
)
@click.option("--force", is_flag=True, help="Write over a file that exists.")
def new(name: str, like: str, force: bool) -> None:
    """Write NAME.toml into the current folder: a commented spec to start from.

    `derive train NAME.toml` trains it at once: its data are in the package, or in the spec.
    """
    from chainrule.spec import starter

    name = name.removesuffix(".toml")
    path = Path(f"{name}.toml")
    try:
        text = starter(name, like)
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
