"""What the command costs on networks of equal layers, beside the command of another checkout.

    python -m bench.repeated [--beside ../before/.venv/bin/derive] [--repeats 3] [--quick]

50 times a convolution and batch norm, VGG-16, and 100 and 1,000 dense layers: ``check`` and ``generate``,
each in a fresh process without the cache; and a page, beside ``import sympy``.  User time in seconds, the
least of the repeats, the two checkouts in turn.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "examples" / "mnist_mlp.toml"
NORM, POOL, RELU = 'type = "batch_norm"', 'type = "max_pool2d"\nsize = 2', 'activation = "relu"'


def conv(filters: int) -> str:
    return f'type = "conv2d"\nfilters = {filters}\nkernel = 3\npadding = 1'


def dense(units: int, activation: str) -> str:
    return f'type = "dense"\nunits = {units}\nactivation = "{activation}"'


def spec(name: str, shape: Sequence[int], layers: Sequence[str], classes: int) -> str:
    """Return the text of a spec of these layers, with softmax over the classes after them."""
    tables = "\n".join(f"[[layers]]\n{layer}" for layer in (*layers, dense(classes, "softmax")))
    head = f'spec_version = 1\nname = "{name}"\n[input]\nshape = {list(shape)}\n'
    return f'{head}{tables}\n[loss]\ntype = "cross_entropy"\n[optimizer]\ntype = "sgd"\nlearning_rate = 0.1\n'


def networks() -> dict[str, str]:
    """Return the specs by name."""
    plan = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
    vgg = [layer for filters, count in plan for layer in (*[f"{conv(filters)}\n{RELU}"] * count, POOL)]
    return {
        "deep50": spec("deep50", (32, 32, 3), [conv(16), NORM] * 50, 10),
        "vgg16": spec("vgg16", (224, 224, 3), [*vgg, *[dense(4096, "relu")] * 2], 1000),
        "dense100": spec("dense100", (16,), [dense(16, "tanh")] * 100, 10),
        "dense1000": spec("dense1000", (16,), [dense(16, "tanh")] * 1000, 10),
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
