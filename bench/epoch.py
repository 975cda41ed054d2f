"""Seconds an epoch of 60,000 samples through the runtime, and how much of it is not in train_step.

    python -m bench.epoch [--epochs 3] [--samples 60000]

Trains the shipped specs mnist_mlp and mnist_wide on synthetic images with ``runtime.training.train``; every
call of train_step is timed within the run itself. The overhead is what the epoch takes beside them
(shuffling, gathering batches, the running loss, the check of the parameters); the whole run holds the
scores, too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.programs import RESULTS, THREAD_VARIABLES, THREADS, bind_to_cores, machine, write_program

SPECS = ("mnist_mlp", "mnist_wide")
EXAMPLES = Path(__file__).parent.parent / "examples"


def epoch(name: str, epochs: int, samples: int) -> dict[str, Any]:
    """Return medians over epochs of one shipped spec."""
    import numpy as np

    from chainrule.runtime.datasets.dataset import Dataset
    from chainrule.runtime.program import load_program
    from chainrule.runtime.settings import Settings
    from chainrule.runtime.training import train

    rng = np.random.default_rng(0)
    x = rng.random((samples, 28, 28, 1), np.float32)
    t = rng.integers(0, 10, samples)
    data = Dataset("synthetic", x, t, x[:1000], t[:1000], "synthetic")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        program = load_program(write_program((EXAMPLES / f"{name}.toml").read_text("utf-8"), Path(scratch)))
        step, calls = program.module.train_step, []

        def timed(*arguments: Any, **options: Any) -> Any:
            start = perf_counter()
            value = step(*arguments, **options)
            calls.append(perf_counter() - start)
            return value

        program.module.train_step = timed
        batch = int(program.training["batch_size"])
        for number in range(epochs):
            calls.clear()
            result = train(
                program,
                data,
                Settings(epochs=1, batch_size=batch),
                run_dir=Path(scratch) / f"run{number}",
                progress=False,
                plots=False,
            )
            rows.append((result.train_seconds, sum(calls), result.seconds))
    shares = [1 - steps / whole for whole, steps, _ in rows]
    return {
        "spec": name,
        "batch": batch,
        "steps": len(calls),
        "epoch_seconds": statistics.median(row[0] for row in rows),
        "step_seconds": statistics.median(row[1] for row in rows),
        "overhead": statistics.median(shares),
        "run_seconds": statistics.median(row[2] for row in rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--output", type=Path, default=RESULTS / "epoch.json")
    arguments = parser.parse_args()
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(THREADS)))
    bind_to_cores()
    results = [epoch(name, arguments.epochs, arguments.samples) for name in SPECS]
    print("| spec | batch | steps | epoch s | in train_step s | overhead | run of one epoch with scores s |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for r in results:
        times = f"{r['epoch_seconds']:.3f} | {r['step_seconds']:.3f} | {r['overhead']:.1%}"
        print(f"| {r['spec']} | {r['batch']} | {r['steps']} | {times} | {r['run_seconds']:.3f} |")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine(), "results": results}, indent=1, ensure_ascii=False)
    arguments.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
