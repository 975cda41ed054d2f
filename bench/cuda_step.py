"""Seconds a training step and an epoch on a GPU: the generated CUDA program beside PyTorch, in one run.

    python -m bench.cuda_step [--samples 60000] [--rounds 5] [--only NETWORK] [--output FILE]

Needs an NVIDIA GPU, CuPy and a PyTorch built for CUDA. Same network, batch, precision (float32, TF32 off
on both sides) and data set, kept on the device; Adam. An epoch shuffles the samples, takes them in whole
batches and reads one number back at its end; a step is an epoch divided by its steps. Contenders:

- the generated program in each of its modes;
- PyTorch eager (its default and its fused Adam), torch.compile(mode="reduce-overhead"), and a CUDA graph of
  one whole step, captured by hand.

Rounds of all contenders are interleaved, medians count. Before anything is timed, mean losses of the first
epoch must agree to 2 %: orders and dropout masks differ. For compute-sanitizer:
`compute-sanitizer python generated/NAME/cuda/trainer.py --data FILE.npz --epochs 1`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from bench.image_contenders import torch_modules
from bench.programs import RESULTS, Perceptron, machine

ROOT = Path(__file__).parent.parent
TARGETS = {"without a graph": 5.0, "with a graph": 2.0, "cifar10_cnn_74": 1.0}  # times PyTorch's speed
Epoch = Callable[[], float]  # takes one epoch, returns the mean loss


@dataclass(frozen=True)
class Case:
    """A network and a batch size."""

    name: str
    batch: int
    text: str


def cases() -> list[Case]:
    """Return what is measured: two dense networks at four batch sizes, and a convolutional one."""
    found = []
    for widths in ((128,), (512, 512)):
        for size in (64, 128, 256, 512):
            network = Perceptron(widths, "relu", size)
            found.append(Case(network.name, size, network.spec_text("adam")))
    cifar = (ROOT / "examples" / "cifar10_cnn_74.toml").read_text(encoding="utf-8")
    return [*found, Case("cifar10_cnn_74", 128, cifar.replace("batch_size = 32", "batch_size = 128"))]


def load(path: Path) -> ModuleType:
    """Return a generated trainer as a module."""
    spec = importlib.util.spec_from_file_location("trainer", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def generated(trainer: ModuleType, case: Case, x: np.ndarray, t: np.ndarray, mode: str) -> Epoch:
    """Return what takes an epoch with the generated program."""
    parameters = trainer.init_parameters(0)
    losses = trainer.train(parameters, x, t, epochs=10**6, batch_size=case.batch, seed=0, mode=mode)
    return lambda: float(next(losses))


def torch_epochs(case: Case, arrays: dict[str, Any], x: np.ndarray, t: np.ndarray) -> dict[str, Epoch]:
    """Return what takes an epoch with PyTorch, by contender."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    device = torch.device("cuda")
    images = torch.from_numpy(x).to(device)
    if case.name.startswith("cifar"):
        images = images.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    else:
        images = images.reshape(len(x), -1)
    labels = torch.from_numpy(t).to(device)
    steps = len(x) // case.batch
    cross_entropy = torch.nn.functional.cross_entropy

    def model() -> Any:
        built = torch.nn.Sequential(*torch_modules(torch, arrays)).to(device)
        return built.to(memory_format=torch.channels_last) if images.ndim == 4 else built

    def epoch(step: Callable[[Any, Any], Any]) -> Epoch:
        def run() -> float:
            order, total = torch.randperm(len(x), device=device), torch.zeros((), device=device)
            for k in range(steps):
                rows = order[k * case.batch : (k + 1) * case.batch]
                total += step(images[rows], labels[rows])
            return float(total) / steps

        return run

    def eager(compiled: bool = False, **form: bool) -> Epoch:
        network = model()
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, **form)
        forward = torch.compile(network, mode="reduce-overhead") if compiled else network

        def step(a: Any, b: Any) -> Any:
            optimizer.zero_grad(set_to_none=True)
            loss = cross_entropy(forward(a), b)
            loss.backward()
            optimizer.step()
            return loss.detach().clone() if compiled else loss.detach()

        return epoch(step)

    def captured() -> Epoch:
        network = model()
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, capturable=True, fused=True)
        a, b = images[: case.batch].clone(), labels[: case.batch].clone()

        def step() -> Any:
            optimizer.zero_grad(set_to_none=True)
            loss = cross_entropy(network(a), b)
            loss.backward()
            optimizer.step()
            return loss.detach()

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = step()

        def replay(x: Any, t: Any) -> Any:
            a.copy_(x)
            b.copy_(t)
            graph.replay()
            return loss

        return epoch(replay)

    return {
        "torch eager": eager(),
        "torch eager, fused Adam": eager(fused=True),
        "torch.compile, reduce-overhead": eager(compiled=True, fused=True),
        "torch graph by hand": captured(),
    }


def compare(case: Case, samples: int, rounds: int, scratch: Path) -> dict[str, Any]:
    """Measure one case.  Raises AssertionError where first losses disagree."""
    from chainrule.codegen.folder import write
    from chainrule.codegen.generate import generate
    from chainrule.spec import parse_spec

    samples -= samples % case.batch
    spec = parse_spec(case.text, "bench.toml")
    folder = write(generate(spec, targets=("numpy", "cuda")), scratch, force=True)
    trainer = load(folder / "cuda" / "trainer.py")
    rng = np.random.default_rng(0)
    t = rng.integers(0, 10, samples)
    x = (
        rng.random((samples, *spec.input_shape), np.float32)
        + t.reshape(-1, *[1] * len(spec.input_shape)) / 10
    )
    x = x.astype(np.float32)
    start = load(folder / "numpy_trainer.py").init_parameters(0)
    arrays = {
        "layers": json.dumps([{"type": layer.type, **layer.options} for layer in spec.layers]),
        "x": np.empty((0, 0, *spec.input_shape)),
        **{f"p_{name}": values for name, values in start.items()},
    }
    epochs = {f"generated, {mode}": generated(trainer, case, x, t, mode) for mode in trainer.MODES}
    epochs |= torch_epochs(case, arrays, x, t)
    losses = {name: epoch() for name, epoch in epochs.items()}  # compiles, captures, warms up
    reference = losses["torch eager"]
    apart = {name: loss for name, loss in losses.items() if abs(loss - reference) > 0.02 * abs(reference)}
    assert not apart, f"{case.name}: losses of the first epoch differ from {reference}: {apart}"  # noqa: S101
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    for number in range(rounds):
        names = list(epochs) if number % 2 else list(reversed(epochs))
        for name in names:
            begin = time.perf_counter()
            epochs[name]()  # ends with a number that is read: nothing is left to wait for
            seconds[name].append(time.perf_counter() - begin)
    steps = samples // case.batch
    epoch = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "network": case.name,
        "batch": case.batch,
        "epoch_seconds": epoch,
        "step_microseconds": {name: 1e6 * value / steps for name, value in epoch.items()},
        "first_losses": losses,
        **ratios(epoch),
    }


def ratios(epoch: dict[str, float]) -> dict[str, float]:
    """Return the speed of the best generated mode over that of PyTorch's best, without a graph and with."""
    own = min(value for name, value in epoch.items() if name.startswith("generated"))
    graphs = ("torch.compile, reduce-overhead", "torch graph by hand")
    plain = min(v for n, v in epoch.items() if n.startswith("torch") and n not in graphs)
    return {"to_torch": plain / own, "to_torch_graph": min(epoch[name] for name in graphs) / own}


def table(results: list[dict[str, Any]]) -> str:
    """Return the results as a Markdown table: microseconds a step, speeds as ratios."""
    names = list(results[0]["step_microseconds"])
    lines = [
        f"| network | batch | {' | '.join(f'{name} µs' for name in names)} | × PyTorch | × its graph |",
        "|---|--:|" + "--:|" * (len(names) + 2),
    ]
    for r in results:
        times = [f"{r['step_microseconds'][name]:.1f}" for name in names]
        cells = [r["network"], str(r["batch"]), *times, f"{r['to_torch']:.2f}", f"{r['to_torch_graph']:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def device() -> str:
    """Return the device's name."""
    import torch

    return str(torch.cuda.get_device_name())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--samples", type=int, default=60000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=sorted({case.name for case in cases()}))
    parser.add_argument("--output", type=Path, default=RESULTS / "cuda_step.json")
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, case in enumerate(c for c in cases() if arguments.only in (None, c.name)):
            result = compare(case, arguments.samples, arguments.rounds, Path(scratch) / str(number))
            results.append(result)
            print(json.dumps(result), file=sys.stderr, flush=True)
    print(f"{device()}; wanted: {TARGETS}\n\n{table(results)}")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine(), "device": device(), "results": results}
    arguments.output.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
