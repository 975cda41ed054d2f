"""What the command costs on networks of equal layers, beside the command of another checkout.

    python -m bench.repeated [--beside ../before/.venv/bin/derive] [--repeats 3] [--quick]

50 times a convolution and batch norm, VGG-16, and 100 and 1,000 dense layers: ``check`` and ``generate``,
each in a fresh process without the cache; and a page, beside ``import sympy``.  User time in seconds, the
least of the repeats, the two checkouts in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "examples" / "mnist_mlp.toml"
END = '[loss]\ntype = "cross_entropy"\n[optimizer]\ntype = "{}"\nlearning_rate = 0.01\n'
VGG = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # filters, and how often between two poolings


def layer(kind: str, **options: int | float | str) -> str:
    """Return a layer's table of a spec."""
    rows = (f"{key} = {json.dumps(value)}" for key, value in options.items())
    return "\n".join(["[[layers]]", f'type = "{kind}"', *rows])


def spec(name: str, shape: Sequence[int], layers: Sequence[str], classes: int, optimizer: str) -> str:
    """Return the text of a spec of these layers, with softmax over the classes after them."""
    head = f'spec_version = 1\nname = "{name}"\n[input]\nshape = {json.dumps(shape)}'
    last = layer("dense", units=classes, activation="softmax")
    return "\n".join([head, *layers, last, END.format(optimizer)])


def networks() -> dict[str, str]:
    """Return the specs by name."""
    block = [layer("conv2d", filters=16, kernel=3, padding=1), layer("batch_norm")]
    vgg = []
    for filters, times in VGG:
        vgg += [layer("conv2d", filters=filters, kernel=3, padding=1, activation="relu")] * times
        vgg.append(layer("max_pool2d", size=2))
    vgg += [layer("dense", units=4096, activation="relu"), layer("dropout", rate=0.5)] * 2
    dense = [layer("dense", units=16, activation="tanh")]
    return {
        "deep50": spec("deep50", [32, 32, 3], block * 50, 10, "sgd"),
        "vgg16": spec("vgg16", [224, 224, 3], vgg, 1000, "momentum"),
        "dense100": spec("dense100", [16], dense * 100, 10, "sgd"),
        "dense1000": spec("dense1000", [16], dense * 1000, 10, "sgd"),
    }


def user_seconds(command: Sequence[str]) -> float:
    """Return the user time of a command.  Raises CalledProcessError."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    uncached = {**os.environ, "CHAINRULE_NO_CACHE": "1"}
    uncached.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled once
    subprocess.run(command, capture_output=True, check=True, cwd=ROOT, env=uncached)  # noqa: S603  our own
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def measured(commands: Mapping[str, Sequence[str]], repeats: int) -> dict[str, float]:
    """Return the least user time of each command, run in turn, after a run that may compile modules."""
    times = [{name: user_seconds(command) for name, command in commands.items()} for _ in range(repeats + 1)]
    return {name: min(seconds[name] for seconds in times[1:]) for name in commands}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--beside", type=Path, help="the command `derive` of another checkout")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="without the 1,000 layers")
    arguments = parser.parse_args()
    derive, repeats = [sys.executable, "-m", "chainrule.cli.main"], arguments.repeats
    print("| command | network | here s | beside s | times |\n|--|--|--:|--:|--:|")
    page = measured({"page": [*derive, str(PAGE)], "sympy": [sys.executable, "-c", "import sympy"]}, repeats)
    ratio = page["page"] / page["sympy"]
    print(f"| page | mnist_mlp | {page['page']:.2f} | import sympy {page['sympy']:.2f} | {ratio:.2f} |")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in networks().items():
            if arguments.quick and name == "dense1000":
                continue
            path = Path(folder) / f"{name}.toml"
            path.write_text(text, encoding="utf-8")
            for what, options in (("check", []), ("generate", ["--force", "--output"])):
                own = [*options, f"{folder}/here"] if options else []
                commands = {"here": [*derive, what, str(path), *own]}
                if arguments.beside:
                    command = arguments.beside.absolute()
                    theirs = [*options, f"{folder}/beside"] if options else []
                    commands["beside"] = [str(command), what, str(path), *theirs]
                found = measured(commands, repeats)
                other = found.get("beside")
                beside = f"{other:.2f} | {other / found['here']:.1f}" if other else "- | -"
                print(f"| {what} | {name} | {found['here']:.2f} | {beside} |", flush=True)


if __name__ == "__main__":
    main()
