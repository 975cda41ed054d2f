"""Seconds a training step: a generated program beside PyTorch and JAX on the same weights and data.

    python -m bench.step [--target numpy|c] [--rounds 40] [--seconds 0.1] [--only NETWORK] [--output FILE]

A step is everything from the batch to the loss as a Python number: forward, loss, backward, update. Every
contender runs in a process of its own with THREADS threads; the rounds of all of them are interleaved, in
another order each round. The half of the rounds counts in which the machine interrupted the contenders
least. Over these, the median of a round's median step is reported, and the median of the ratio within a
round.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.programs import (
    NETWORKS,
    OPTIMIZERS,
    RESULTS,
    Perceptron,
    machine,
    results_name,
    thread_environment,
    write_program,
)

CONTENDERS = ("generated", "torch default", "torch foreach", "torch fused", "torch compiled", "jax")
BATCHES, CHECKED_STEPS, TOLERANCE = 8, 5, 1e-4
WARM_UP = 0.3  # seconds of each contender
ROOT = Path(__file__).parent.parent
TARGETS = {  # the least ratios of speed, by target and network, to PyTorch and to JAX
    "numpy": {"784-16-16-10": (3.0, 0.8), "784-128-10": (1.0, 0.8), "784-512-512-10": (1.0, 0.8)},
    "c": {"784-16-16-10": (10.0, 4.0), "784-128-10": (2.5, 1.8), "784-512-512-10": (1.4, 1.2)},
}


@dataclass
class Worker:
    """A contender's process."""

    name: str
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, name: str, case: Path) -> Worker:
        worker = cls(
            name,
            subprocess.Popen(  # noqa: S603  our own module, our own file
                [sys.executable, "-m", "bench.step_worker", name, str(case)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env=thread_environment(),
            ),
        )
        worker._answer()
        return worker

    def ask(self, **command: Any) -> Any:
        if self.process.stdin is None:
            raise RuntimeError(f"{self.name}: no input")
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise RuntimeError(f"{self.name}: ended with exit code {self.process.wait()}")
        return json.loads(line)

    def stop(self) -> None:
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()


def write_case(network: Perceptron, optimizer: str, target: str, folder: Path) -> Path:
    """Write the program, weights and batches of a case; return the path of the .npz file."""
    from chainrule.runtime.program import load_program

    directory = write_program(network.spec_text(optimizer), folder, target)
    parameters = load_program(directory).init_parameters(0)
    rng = np.random.default_rng(1)
    path = folder / "case.npz"
    np.savez(
        path,
        program=str(directory),
        target=target,
        activation=network.activation,
        optimizer=optimizer,
        learning_rate=OPTIMIZERS[optimizer],
        depth=len(network.widths) + 1,
        x=rng.random((BATCHES, network.batch, 28, 28, 1), np.float32),
        t=rng.integers(0, 10, (BATCHES, network.batch)),
        **{f"p_{name}": values for name, values in parameters.items()},
    )
    return path


def compare(network: Perceptron, optimizer: str, target: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure one network with one optimizer, by a target.  Raises AssertionError where losses disagree."""
    with tempfile.TemporaryDirectory() as scratch:
        case = write_case(network, optimizer, target, Path(scratch))
        workers = [Worker.start(name, case) for name in CONTENDERS]
        try:
            losses = {w.name: w.ask(losses=CHECKED_STEPS) for w in workers}
            require_agreement(losses)
            timed = interleaved(workers, rounds, seconds)
            memory = {w.name: w.ask(memory=True) for w in workers}
        finally:
            for worker in workers:
                worker.stop()
    return {
        "network": network.name,
        "target": target,
        "activation": network.activation,
        "batch": network.batch,
        "optimizer": optimizer,
        "losses": losses,
        "memory_mib": memory,
        **_summary(timed),
    }


def require_agreement(losses: dict[str, list[float]]) -> None:
    """Raise AssertionError where losses of the contenders differ."""
    for name, values in losses.items():
        difference = float(np.abs(np.subtract(values, losses["generated"])).max())
        if not difference <= TOLERANCE:
            raise AssertionError(f"losses of {name} differ by {difference:.2g}: {losses}")


def interleaved(workers: list[Worker], rounds: int, seconds: float) -> dict[str, list[dict[str, float]]]:
    """Return what each worker timed in each round, in another order each round."""
    for worker in workers:
        worker.ask(time=WARM_UP)
    timed: dict[str, list[dict[str, float]]] = {w.name: [] for w in workers}
    order = random.Random(0)  # noqa: S311  an order, not a secret
    for _ in range(rounds):
        for worker in order.sample(workers, len(workers)):
            time.sleep(0.03)  # the threads of the one before stop spinning
            timed[worker.name].append(worker.ask(time=seconds))
    return timed


def undisturbed(timed: dict[str, list[dict[str, float]]]) -> list[int]:
    """Return the half of the rounds in which the contenders, together, were interrupted least."""
    rounds = range(len(timed["generated"]))
    order = sorted(rounds, key=lambda n: sum(each[n]["interruptions"] for each in timed.values()))
    return sorted(order[: (len(order) + 1) // 2])


def _summary(timed: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    kept = undisturbed(timed)
    medians = {name: [rounds[n]["median"] for n in kept] for name, rounds in timed.items()}
    step = {name: statistics.median(values) for name, values in medians.items()}
    best_torch = min((name for name in step if name.startswith("torch")), key=step.__getitem__)
    ours = medians["generated"]
    ratio = {
        name: statistics.median(other / own for other, own in zip(values, ours, strict=True))
        for name, values in medians.items()
    }
    return {
        "rounds": len(timed["generated"]),
        "rounds_kept": kept,
        "interruptions": {n: [r["interruptions"] for r in rounds] for n, rounds in timed.items()},
        "seconds_per_step": step,
        "mean_seconds_per_step": {n: statistics.median(r["mean"] for r in rs) for n, rs in timed.items()},
        "least_seconds_per_step": {n: min(r["least"] for r in rs) for n, rs in timed.items()},
        "times_our_speed": {name: 1 / r for name, r in ratio.items()},
        "best_torch": best_torch,
        "speed_to_torch": ratio[best_torch],
        "speed_to_jax": ratio["jax"],
    }


def table(results: list[dict[str, Any]]) -> str:
    """Return the results as a Markdown table: times in µs, speeds as ratios, memory in MiB."""
    lines = [
        "| network | optimizer | generated µs | PyTorch µs | JAX µs | × PyTorch | target | × JAX | target "
        "| MiB generated / PyTorch / JAX | above import |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for r in results:
        step, torch = r["seconds_per_step"], r["best_torch"]
        names = ("generated", torch, "jax")
        targets = TARGETS[r["target"]][r["network"]]
        memory = [r["memory_mib"][name] for name in names]
        marked = [
            f"{value:.2f} {'✓' if value >= target else '✗'} | {target}"
            for value, target in zip((r["speed_to_torch"], r["speed_to_jax"]), targets, strict=True)
        ]
        cells = [
            f"{r['network']} {r['activation']} {r['batch']}",
            r["optimizer"],
            f"{step['generated'] * 1e6:.0f}",
            f"{step[torch] * 1e6:.0f} ({torch.split()[1]})",
            f"{step['jax'] * 1e6:.0f}",
            *marked,
            " / ".join(f"{m['peak']:.0f}" for m in memory),
            " / ".join(f"{m['above_import']:.0f}" for m in memory),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--target", choices=list(TARGETS), default="numpy")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each contender in each round")
    parser.add_argument("--only", choices=[n.name for n in NETWORKS])
    parser.add_argument("--optimizer", choices=list(OPTIMIZERS))
    parser.add_argument("--output", type=Path, help="bench/results/step.json, step_c.json of another target")
    arguments = parser.parse_args()
    output = arguments.output or RESULTS / f"{results_name('step', arguments.target)}.json"
    results = []
    for network in NETWORKS:
        for optimizer in OPTIMIZERS:
            if arguments.only in (None, network.name) and arguments.optimizer in (None, optimizer):
                results.append(
                    compare(network, optimizer, arguments.target, arguments.rounds, arguments.seconds)
                )
                print(table(results[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    print(table(results))
    output.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine(), "results": results}, indent=1, ensure_ascii=False)
    output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
