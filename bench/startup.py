"""How long commands take beside `import sympy`, derived anew and from the cache, and beside another checkout.

    python -m bench.startup [--before CHECKOUT] [--rounds 5] [--topics [NAME ...]] [--large]

Every time is the processor's (user and system) of a fresh process, the least of the rounds; contenders take
turns, so that what else the machine does meets each, and ratios are medians over rounds.  The unit is
`python -c "import sympy"`.  CHECKOUT is the root of another checkout with its own `.venv`.  `--large` adds
`check` and `generate` of 50 blocks of convolution and batch norm on 32 × 32 × 3, and of VGG-16 on
224 × 224 × 3; `--topics` every topic, or those named.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.programs import RESULTS, machine
from bench.repeated import networks

ROOT: Final = Path(__file__).parent.parent


def seconds(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> float:
    """Return the processor's time of a command that must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, env=environment, cwd=folder)  # noqa: S603  our own command
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr.decode(errors='replace')}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


class Contenders:
    """This checkout without its cache and with it, and the one before, each in a folder of its own."""

    def __init__(self, before: Path | None, scratch: Path) -> None:
        ours = str(Path(sys.executable).parent / "derive")
        alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "CHAINRULE_CACHE": str(scratch / "cache")}
        self.unit = [sys.executable, "-c", "import sympy"], alone, ROOT
        self.commands = {
            "anew": (ours, {**alone, "CHAINRULE_NO_CACHE": "1"}, scratch / "anew"),
            "cached": (ours, alone, scratch / "cached"),
        }
        if before is not None:
            self.commands["before"] = (str(before / ".venv/bin/derive"), alone, scratch / "before")
        for _, _, folder in self.commands.values():
            folder.mkdir()

    def times(self, arguments: Sequence[str], rounds: int) -> dict[str, list[float]]:
        """Return the times of each contender, and of the unit, by rounds; the cache is filled before."""
        derive, environment, folder = self.commands["cached"]
        seconds([derive, *arguments], environment, folder)
        times: dict[str, list[float]] = {}
        for _ in range(rounds):
            times.setdefault("unit", []).append(seconds(*self.unit))
            for name, (derive, environment, folder) in self.commands.items():
                times.setdefault(name, []).append(seconds([derive, *arguments], environment, folder))
        return times


def ratio(times: Mapping[str, Sequence[float]], one: str, other: str) -> float:
    """Return how many times as long one took as the other, the median of the rounds."""
    return statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))


def table(contenders: Contenders, commands: Sequence[Sequence[str]], rounds: int) -> list[dict[str, Any]]:
    """Measure commands, print a row for each, and return them."""
    names = list(contenders.commands)
    faster = [f"before ÷ {name}" for name in names[:-1]] if "before" in names else []
    print("\n| derive | unit s | " + " | ".join([*(f"{name} s | × unit" for name in names), *faster]) + " |")
    print("|---|" + "--:|" * (1 + 2 * len(names) + len(faster)))
    rows = []
    for arguments in commands:
        found = contenders.times(arguments, rounds)
        shown = " ".join(Path(a).name if a.endswith(".toml") else a for a in arguments)
        cells = [f"{min(found[name]):.3f} | {ratio(found, name, 'unit'):.2f}" for name in names]
        cells += [f"{ratio(found, 'before', name):.1f}" for name in names[:-1]] if faster else []
        print(f"| {shown} | {min(found['unit']):.3f} | " + " | ".join(cells) + " |", flush=True)
        rows.append({"command": shown, **found})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--before", type=Path, help="the root of another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--topics", nargs="*", metavar="NAME", help="every topic, or those named")
    parser.add_argument("--large", action="store_true", help="deep networks, too")
    parser.add_argument("--output", type=Path, default=RESULTS / "startup.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        commands: list[list[str]] = [["--help"], [str(ROOT / "examples/mnist_mlp.toml")]]
        if arguments.large:
            specs = networks()
            for name in ("deep50", "vgg16"):
                path = scratch / f"{name}.toml"
                path.write_text(specs[name], encoding="utf-8")
                commands += [["check", str(path)], ["generate", "--force", str(path)]]
        if arguments.topics is not None:
            from chainrule.lectures import TOPICS

            commands += [[name] for name in arguments.topics or TOPICS]
        contenders = Contenders(arguments.before and arguments.before.resolve(), scratch)
        rows = table(contenders, commands, arguments.rounds)
    result = {"machine": machine(), "commands": rows}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
