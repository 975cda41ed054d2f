"""One framework's training step in a process of its own: commands on stdin, answers on stdout, as JSON lines.

    python -m bench.step_worker CONTENDER CASE.npz

The case holds the weights, batches and sizes (see ``bench.step``). Commands: ``{"losses": n}`` takes n
steps and answers with their losses; ``{"time": s}`` steps for s seconds and answers with the median, mean
and least step, and how often the process was interrupted; ``{"memory": true}`` answers with the peak
resident MiB, and how far it lies above that of the import.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from bench.image_contenders import IMAGE_CONTENDERS
from bench.programs import THREADS, bind_to_cores

Arrays = dict[str, np.ndarray]
LEAST_STEPS = 5  # of a round
Step = Callable[[Any, Any], float]  # (inputs, labels) -> the loss, as a Python number


def generated(case: Arrays) -> tuple[Step, Callable[[np.ndarray], Any]]:
    """The train_step of the program that was generated for a target."""
    from chainrule.runtime.program import load_program

    program = load_program(Path(str(case["program"])), target=str(case["target"]))
    parameters = program.init_parameters(0)
    for name, values in parameters.items():
        values[...] = case[f"p_{name}"]
    module = program.module
    state = module.init_optimizer(parameters)

    def step(x: Any, t: Any) -> float:
        return module.train_step(parameters, x, t, state)

    return step, lambda a: a


def torch_step(
    case: Arrays, compiled: bool = False, **form: bool
) -> tuple[Step, Callable[[np.ndarray], Any]]:
    """PyTorch, eager or compiled; ``form`` chooses the optimizer's implementation."""
    import torch

    torch.set_num_threads(THREADS)
    activation = {"sigmoid": torch.nn.Sigmoid, "relu": torch.nn.ReLU}[str(case["activation"])]
    layers: list[torch.nn.Module] = [torch.nn.Flatten()]
    depth = int(case["depth"])
    for number in range(1, depth + 1):
        weight = torch.from_numpy(case[f"p_W{number}"].copy())
        dense = torch.nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            dense.weight.copy_(weight)
            dense.bias.copy_(torch.from_numpy(case[f"p_b{number}"]))
        layers.append(dense)
        if number < depth:
            layers.append(activation())
    model: Any = torch.nn.Sequential(*layers)
    model = torch.compile(model) if compiled else model
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[str(case["optimizer"])]
    optimizer = kind(model.parameters(), lr=float(case["learning_rate"]), **form)
    cross_entropy = torch.nn.functional.cross_entropy

    def step(x: Any, t: Any) -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, torch.from_numpy


def jax_step(case: Arrays) -> tuple[Step, Callable[[np.ndarray], Any]]:
    """JAX: the whole step as one jitted function, parameters and state donated."""
    import jax
    import jax.numpy as jnp

    depth, rate = int(case["depth"]), float(case["learning_rate"])
    activation = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu}[str(case["activation"])]

    def loss_of(parameters: Any, x: Any, t: Any) -> Any:
        a = x.reshape(x.shape[0], -1)
        for number in range(1, depth + 1):
            a = a @ parameters[f"W{number}"].T + parameters[f"b{number}"]
            if number < depth:
                a = activation(a)
        logs = jax.nn.log_softmax(a)
        return -jnp.take_along_axis(logs, t[:, None], axis=1).mean()

    def sgd(parameters: Any, state: Any, x: Any, t: Any) -> Any:
        loss, g = jax.value_and_grad(loss_of)(parameters, x, t)
        return jax.tree.map(lambda p, d: p - rate * d, parameters, g), state, loss

    def adam(parameters: Any, state: Any, x: Any, t: Any) -> Any:
        loss, g = jax.value_and_grad(loss_of)(parameters, x, t)
        k, m, v = state
        k = k + 1
        m = jax.tree.map(lambda m, d: 0.9 * m + 0.1 * d, m, g)
        v = jax.tree.map(lambda v, d: 0.999 * v + 0.001 * d * d, v, g)
        first, second = 1 - 0.9**k, 1 - 0.999**k
        change = jax.tree.map(lambda m, v: rate / first * m / (jnp.sqrt(v / second) + 1e-8), m, v)
        return jax.tree.map(jnp.subtract, parameters, change), (k, m, v), loss

    whole = jax.jit({"sgd": sgd, "adam": adam}[str(case["optimizer"])], donate_argnums=(0, 1))
    names = [f"{kind}{number}" for number in range(1, depth + 1) for kind in "Wb"]
    parameters = {name: jnp.array(case[f"p_{name}"]) for name in names}
    state: Any = ()
    if str(case["optimizer"]) == "adam":
        state = (jnp.float32(0), *(jax.tree.map(jnp.zeros_like, parameters) for _ in range(2)))

    def step(x: Any, t: Any) -> float:
        nonlocal parameters, state
        parameters, state, loss = whole(parameters, state, x, t)
        jax.block_until_ready(parameters)
        return float(loss)

    return step, jnp.asarray


CONTENDERS: dict[str, Callable[[Arrays], tuple[Step, Callable[[np.ndarray], Any]]]] = {
    "generated": generated,
    "torch default": lambda case: torch_step(case),
    "torch foreach": lambda case: torch_step(case, foreach=True),
    "torch fused": lambda case: torch_step(case, fused=True),
    "torch compiled": lambda case: torch_step(case, compiled=True, fused=True),
    "jax": jax_step,
    **IMAGE_CONTENDERS,
}


def peak() -> float:
    """Peak resident memory of this process so far, MiB (its ru_maxrss would count its parent's)."""
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timed(step: Step, batches: Any, seconds: float) -> list[float]:
    times: list[float] = []
    end = perf_counter() + seconds
    while len(times) < LEAST_STEPS or perf_counter() < end:
        x, t = next(batches)
        start = perf_counter()
        step(x, t)
        times.append(perf_counter() - start)
    return times


def _interruptions() -> int:
    """How often the machine has taken the processor away from this process's threads."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def main() -> None:
    contender, path = sys.argv[1:]
    bind_to_cores()
    with np.load(path, allow_pickle=False) as file:
        case = dict(file)
    if contender.startswith("torch"):
        import torch  # noqa: F401
    if contender == "jax":
        import jax

        jax.devices()
    imported = peak()
    step, convert = CONTENDERS[contender](case)
    batches = cycle([(convert(x), convert(t)) for x, t in zip(case["x"], case["t"], strict=True)])
    print(json.dumps({"ready": contender}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if "losses" in command:
            answer: Any = [step(*next(batches)) for _ in range(command["losses"])]
        elif "time" in command:
            before = _interruptions()
            times = _timed(step, batches, command["time"])
            answer = {
                "median": statistics.median(times),
                "mean": statistics.fmean(times),
                "least": min(times),
                "interruptions": _interruptions() - before,
            }
        else:
            answer = {"peak": peak(), "above_import": peak() - imported}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
