"""What it costs to derive, to lower and to generate, by depth and by width, and to start the command.

    python -m bench.cost [--repeats 3] [--quick]

Depths 2 to 200 at width 16, widths 16 to 4096 at depth 3; every measurement in a fresh process (cold), and
once more in the same process (warm). Growth exponents are slopes of log seconds by log size, over all of
the sizes and over the last two. Medians of the repeats; of ten runs for the command.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.programs import RESULTS, Perceptron, machine

ROOT = Path(__file__).parent.parent
DEPTHS, WIDTHS = (2, 10, 50, 200), (16, 512, 4096)  # layers with parameters; units of the hidden ones
STAGES = ("derive", "lower", "render", "generate")
COMMAND_RUNS = 10


def stages(spec_text: str) -> dict[str, float]:
    """Return the seconds of each stage for a spec: what ``generate`` takes holds all of the others."""
    from chainrule.codegen.frame import frame
    from chainrule.codegen.generate import generate
    from chainrule.codegen.targets.numpy import TARGET
    from chainrule.derive.deriving import derive_network
    from chainrule.spec import parse_spec

    spec = parse_spec(spec_text, "bench.toml")
    times = [perf_counter()]
    derivation = derive_network(spec)
    times.append(perf_counter())
    program = TARGET.program(derivation)
    times.append(perf_counter())
    TARGET.render(program, frame(derivation, program))
    times.append(perf_counter())
    seconds = {name: b - a for name, a, b in zip(STAGES, times, times[1:], strict=False)}
    start = perf_counter()
    generate(spec)
    return {**seconds, "generate": perf_counter() - start}


def worker() -> None:
    """Measure the spec on stdin, cold and warm, and print both."""
    text = sys.stdin.read()
    start = perf_counter()
    import chainrule.codegen.generate
    import chainrule.spec  # noqa: F401

    imported = perf_counter() - start
    print(json.dumps({"import": imported, "cold": stages(text), "warm": stages(text)}))


def measure(network: Perceptron, repeats: int) -> dict[str, Any]:
    """Return a network's medians over fresh processes."""
    runs = []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, "-m", "bench.cost", "--worker"],
            input=network.spec_text("adam"),
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        runs.append(json.loads(done.stdout))
    return {
        "import": statistics.median(r["import"] for r in runs),
        **{
            kind: {stage: statistics.median(r[kind][stage] for r in runs) for stage in STAGES}
            for kind in ("cold", "warm")
        },
    }


def exponent(sizes: tuple[int, ...], seconds: list[float]) -> float:
    """Return the least-squares slope of log seconds by log size."""
    return statistics.linear_regression([math.log(s) for s in sizes], [math.log(s) for s in seconds]).slope


def command(*arguments: str) -> list[float]:
    """Return the seconds of fresh runs of ``derive`` with arguments, each anew, in order of size."""
    times, uncached = [], {**os.environ, "CHAINRULE_NO_CACHE": "1"}
    for _ in range(COMMAND_RUNS):
        start = perf_counter()
        subprocess.run(  # noqa: S603  our own command
            [sys.executable, "-m", "chainrule.cli.main", *arguments],
            capture_output=True,
            check=True,
            cwd=ROOT,
            env=uncached,
        )
        times.append(perf_counter() - start)
    return sorted(times)


def series(what: str, sizes: tuple[int, ...], repeats: int) -> dict[str, Any]:
    """Measure by depth or by width; print a table and return it."""
    rows = []
    print(f"\n| {what} | " + " | ".join(f"{s} cold s" for s in STAGES) + " | generate warm s |")
    print("|--:" * (len(STAGES) + 2) + "|")
    for size in sizes:
        widths = (16,) * (size - 1) if what == "depth" else (size,) * 2
        row = measure(Perceptron(widths, "sigmoid", 32), repeats)
        rows.append({what: size, **row})
        cells = [f"{row['cold'][stage]:.3f}" for stage in STAGES] + [f"{row['warm']['generate']:.3f}"]
        print(f"| {size} | " + " | ".join(cells) + " |", flush=True)
    slopes = {}
    for stage in STAGES:
        seconds = [row["cold"][stage] for row in rows]
        slopes[stage] = {"all": exponent(sizes, seconds), "last": exponent(sizes[-2:], seconds[-2:])}
    print(", ".join(f"{s}: {v['all']:.2f} (last two {v['last']:.2f})" for s, v in slopes.items()))
    return {"rows": rows, "exponents": slopes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="without the largest depth")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=RESULTS / "cost.json")
    arguments = parser.parse_args()
    if arguments.worker:
        worker()
        return
    depths = DEPTHS[:-1] if arguments.quick else DEPTHS
    result = {
        "machine": machine(),
        "depth": series("depth", depths, arguments.repeats),
        "width": series("width", WIDTHS, arguments.repeats),
        "command": {name: command(*name.split()) for name in ("examples/mnist_mlp.toml", "--help")},
    }
    for name, times in result["command"].items():
        print(f"derive {name}: {statistics.median(times):.3f} s (least {times[0]:.3f}, most {times[-1]:.3f})")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
