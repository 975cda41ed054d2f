"""The networks that the benchmarks share, their generated programs, and what the machine is."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

THREADS = 2
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
OPTIMIZERS = {"sgd": 0.1, "adam": 0.001}  # learning rates
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Perceptron:
    """A multi-layer perceptron on inputs of 28 × 28 × 1 with softmax and cross-entropy at its end."""

    widths: tuple[int, ...]  # of the hidden layers
    activation: str
    batch: int

    @property
    def name(self) -> str:
        return "-".join(str(width) for width in (784, *self.widths, 10))

    def spec_text(self, optimizer: str) -> str:
        """The spec of this network with an optimizer of OPTIMIZERS."""
        layers = [*((width, self.activation) for width in self.widths), (10, "softmax")]
        return "\n".join(
            [
                "spec_version = 1",
                'name = "bench"',
                "[input]",
                "shape = [28, 28, 1]",
                *(
                    f'[[layers]]\ntype = "dense"\nunits = {units}\nactivation = "{activation}"'
                    for units, activation in layers
                ),
                '[loss]\ntype = "cross_entropy"',
                f'[optimizer]\ntype = "{optimizer}"\nlearning_rate = {OPTIMIZERS[optimizer]}',
                f'[training]\ndata = "mnist"\nbatch_size = {self.batch}\nepochs = 1',
                "",
            ]
        )


NETWORKS = (
    Perceptron((16, 16), "sigmoid", 32),
    Perceptron((128,), "relu", 64),
    Perceptron((512, 512), "relu", 128),
)


def write_program(spec_text: str, folder: Path, target: str = "numpy") -> Path:
    """Generate a spec's program for a target into ``folder`` and return the program's folder."""
    from chainrule.codegen.folder import write
    from chainrule.codegen.generate import generate
    from chainrule.spec import parse_spec

    return write(generate(parse_spec(spec_text, "bench.toml"), [target]), folder, force=True)


def results_name(bench: str, target: str) -> str:
    """Return the name of the file that keeps what was measured of a target, without its ending."""
    return bench if target == "numpy" else f"{bench}_{target}"


def thread_environment() -> dict[str, str]:
    """The environment in which a process's BLAS, OpenMP and XLA use THREADS threads."""
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(THREADS)), "JAX_PLATFORMS": "cpu"}


def bind_to_cores() -> None:
    """Keep this process on THREADS cores: XLA sizes its thread pool by them."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


def machine() -> dict[str, Any]:
    """CPU, cores, threads and versions, to be kept with every result."""
    versions = {"python": platform.python_version()}
    for package in ("numpy", "sympy", "torch", "jax", "jaxlib"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": THREADS,
        "realtime": hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER,
        "versions": versions,
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor()
    fields = dict(
        (part.strip() for part in line.split(":", 1))
        for line in info.read_text().split("\n\n")[0].splitlines()
        if ":" in line
    )
    return f"{fields.get('model name', '?')}, family {fields.get('cpu family')}, model {fields.get('model')}"
