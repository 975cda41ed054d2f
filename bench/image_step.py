"""Seconds a training step of image networks: a generated program beside PyTorch, and their memory.

    python -m bench.image_step [--target numpy|c] [--rounds 20] [--seconds 1] [--only NETWORK] [--output FILE]

A step is all from the batch to the loss as a Python number: forward, loss, backward, Adam; float32. The
contenders run as in ``bench.step``: a process and THREADS threads each, rounds interleaved, medians over the
less disturbed half of the rounds, ratios within a round. PyTorch runs eagerly in both memory layouts with its
default and its fused Adam, and compiled, its batches already laid out; the fastest counts. Before anything is
timed, the losses of the first steps must agree, with dropout and the decay of weights off.

Memory is the peak of each process above its imports, and what the NumPy program allocates for a step
(tracemalloc) beside the total that ``derive check`` tells.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.image_contenders import IMAGE_CONTENDERS
from bench.programs import RESULTS, machine, results_name
from bench.step import ROOT, Worker, interleaved, require_agreement, undisturbed
from chainrule.derive.model import LayerSpec, Spec

CASES = {  # network, batch, with dropout: the least ratio of speed to PyTorch's, by target
    ("cifar10_cnn_74", 32, True): {"numpy": 0.8, "c": 3.5},
    ("cifar10_cnn_74", 128, True): {"numpy": 0.8, "c": 3.5},
    ("cifar10_cnn_74", 32, False): {"c": 2.5},
    ("fashion_cnn", 32, True): {"numpy": 0.8, "c": 2.5},
    ("mnist_cnn", 64, True): {"c": 2.5},
    ("cifar10_cnn_79", 64, True): {"c": 2.5},
    ("cifar10_cnn_84", 64, True): {"c": 2.5},
}
CONTENDERS = ("generated", *IMAGE_CONTENDERS)
MEMORY_TARGET = 0.15  # most that the estimate may be off
BATCHES, CHECKED_STEPS = 4, 3
MEBI = 2**20


def bench_spec(name: str, batch: int, dropout: bool = True) -> Spec:
    """Return an example's spec with this batch and a constant rate, its dropout on or off."""
    from chainrule.spec.load import load_spec

    spec = load_spec(ROOT / "examples" / f"{name}.toml")
    constant = {key: value for key, value in spec.optimizer.options.items() if key != "warmup"}
    return replace(
        spec if dropout else without_dropout(spec),
        optimizer=replace(spec.optimizer, schedule="constant", options=constant),
        training=replace(spec.training, batch_size=batch),
    )


def without_dropout(spec: Spec) -> Spec:
    """Return a spec whose dropout leaves all values."""

    def quiet(layer: LayerSpec) -> LayerSpec:
        return replace(layer, options={"rate": 0.0}) if layer.type == "dropout" else layer

    return replace(spec, layers=tuple(map(quiet, spec.layers)))


def comparable(spec: Spec) -> Spec:
    """Return a spec whose first losses are the same in every framework, but for rounding.

    No two draw the same masks, PyTorch's decay of weights is no part of its loss, and Adam's first steps, as
    long for a gradient of rounding errors as for any other, are small.
    """
    optimizer = replace(spec.optimizer, options={**spec.optimizer.options, "learning_rate": 2e-6})
    return replace(without_dropout(spec), loss=replace(spec.loss, l2=0.0), optimizer=optimizer)


def write_case(spec: Spec, target: str, folder: Path) -> Path:
    """Write the program, weights and batches of a spec; return the path of the .npz file."""
    from chainrule.codegen.folder import write
    from chainrule.codegen.generate import generate
    from chainrule.runtime.program import load_program

    directory = write(generate(spec, [target]), folder, force=True)
    parameters = load_program(directory).init_parameters(0)
    rng = np.random.default_rng(1)
    shape = (BATCHES, spec.training.batch_size)
    path = folder / "case.npz"
    np.savez(
        path,
        program=str(directory),
        target=target,
        layers=json.dumps([{"type": layer.type, **layer.options} for layer in spec.layers]),
        learning_rate=spec.optimizer.options["learning_rate"],
        weight_decay=2 * spec.loss.l2,
        x=rng.random((*shape, *spec.input_shape), np.float32),
        t=rng.integers(0, 10, shape),
        **{f"p_{name}": values for name, values in parameters.items()},
    )
    return path


def compare(name: str, batch: int, dropout: bool, target: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure one network at one batch size, by a target.  Raises AssertionError where losses disagree."""
    with tempfile.TemporaryDirectory() as scratch:
        spec = bench_spec(name, batch, dropout)
        losses = agreement(write_case(comparable(spec), target, Path(scratch)))
        case = write_case(spec, target, Path(scratch))
        workers = [Worker.start(contender, case) for contender in CONTENDERS]
        try:
            timed = interleaved(workers, rounds, seconds)
            peaks = {w.name: w.ask(memory=True) for w in workers}
        finally:
            for worker in workers:
                worker.stop()
        allocated = allocated_by_a_step(case)
    return {
        "network": name,
        "batch": batch,
        "dropout": dropout,
        "target": target,
        "losses": losses,
        "memory_mib": peaks,
        "step_mib": {"measured": allocated / MEBI, "estimated": estimated(name, batch) / MEBI},
        **_summary(timed),
    }


def agreement(case: Path) -> dict[str, list[float]]:
    """Return the losses of the contenders' first steps.  Raises AssertionError where they disagree."""
    losses = {}
    for contender in CONTENDERS:
        worker = Worker.start(contender, case)
        try:
            losses[contender] = worker.ask(losses=CHECKED_STEPS)
        finally:
            worker.stop()
    require_agreement(losses)
    return losses


def allocated_by_a_step(case: Path) -> int:
    """Return the most bytes that parameters, optimizer and workspace take together in the first two steps."""
    from chainrule.runtime.program import load_program

    with np.load(case, allow_pickle=False) as file:
        program, x, t = load_program(Path(str(file["program"]))), file["x"][0], file["t"][0]
    gc.collect()
    tracemalloc.start()
    try:
        parameters = program.init_parameters(0)
        state = program.module.init_optimizer(parameters)
        tracemalloc.reset_peak()
        for seed in range(2):
            program.module.train_step(parameters, x, t, state, seed=seed)
        return tracemalloc.get_traced_memory()[1] + x.nbytes + t.nbytes
    finally:
        tracemalloc.stop()


def estimated(name: str, batch: int) -> int:
    """Return the bytes that ``derive check`` tells for training with this batch."""
    from chainrule.checking import totals

    return int(totals(bench_spec(name, batch))["memory"]["total"])


def _summary(timed: Mapping[str, list[dict[str, float]]]) -> dict[str, Any]:
    kept = undisturbed(dict(timed))
    medians = {name: [rounds[n]["median"] for n in kept] for name, rounds in timed.items()}
    step = {name: statistics.median(values) for name, values in medians.items()}
    best = min((name for name in step if name.startswith("torch")), key=step.__getitem__)
    pairs = zip(medians[best], medians["generated"], strict=True)
    return {
        "rounds": len(timed["generated"]),
        "rounds_kept": kept,
        "interruptions": {n: [r["interruptions"] for r in rounds] for n, rounds in timed.items()},
        "seconds_per_step": step,
        "least_seconds_per_step": {n: min(r["least"] for r in rs) for n, rs in timed.items()},
        "best_torch": best,
        "speed_to_torch": statistics.median(other / own for other, own in pairs),
    }


def table(results: list[dict[str, Any]]) -> str:
    """Return the results as a Markdown table: times in ms, speeds as ratios, memory in MiB."""
    lines = [
        "| network | batch | generated ms | PyTorch NCHW / NHWC ms | × PyTorch | target "
        "| peak MiB above import, generated / PyTorch | MiB of a step: measured / `derive check` | off by |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for r in results:
        step, memory = r["seconds_per_step"], r["step_mib"]
        target = CASES[r["network"], r["batch"], r["dropout"]][r["target"]]
        layouts = [
            min(seconds for name, seconds in step.items() if layout in name) for layout in ("NCHW", "NHWC")
        ]
        off = memory["estimated"] / memory["measured"] - 1
        peaks = [r["memory_mib"][name]["above_import"] for name in ("generated", r["best_torch"])]
        cells = [
            r["network"] + ("" if r["dropout"] else " without dropout"),
            str(r["batch"]),
            f"{step['generated'] * 1e3:.1f}",
            " / ".join(f"{seconds * 1e3:.1f}" for seconds in layouts),
            f"{r['speed_to_torch']:.2f} {'✓' if r['speed_to_torch'] >= target else '✗'}",
            f"{target}",
            " / ".join(f"{peak:.0f}" for peak in peaks),
            f"{memory['measured']:.1f} / {memory['estimated']:.1f}",
            f"{off:+.1%} {'✓' if abs(off) <= MEMORY_TARGET else '✗'}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--target", choices=["numpy", "c"], default="numpy")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1, help="of each contender in each round")
    parser.add_argument("--only", choices=sorted({name for name, _, _ in CASES}))
    parser.add_argument("--output", type=Path, help="bench/results/image_step.json, image_step_c.json of C")
    arguments = parser.parse_args()
    output = arguments.output or RESULTS / f"{results_name('image_step', arguments.target)}.json"
    results = []
    for (name, batch, dropout), targets in CASES.items():
        if arguments.only in (None, name) and arguments.target in targets:
            case = (name, batch, dropout, arguments.target)
            results.append(compare(*case, arguments.rounds, arguments.seconds))
            print(table(results[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    print(table(results))
    output.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine(), "results": results}, indent=1, ensure_ascii=False)
    output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
