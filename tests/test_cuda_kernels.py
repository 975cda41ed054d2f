"""Generated CUDA kernels on the CPU: beside the NumPy programs, at awkward sizes, with planted faults."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import random_images
import random_specs
from cuda_on_cpu import nvrtc
from cuda_on_cpu.module import CpuModule, CudaOnCpuError, requires_compiler
from kernel_runs import Device, Programs, batch, disagreements, distance, programs
from shipped import NETWORKS

from chainrule.spec.problems import SpecError

SPECS = 100  # dense, and as many with images
DOUBLE, FLOAT = 1e-10, 1e-4
STEPS = 10
TARGETS = [
    nvrtc.target(nvrtc.CUDA12, "sm_70"),
    nvrtc.target(nvrtc.CUDA12, "sm_90"),
    nvrtc.target(nvrtc.CUDA13, "sm_120"),
]
MOST_REGISTERS = 128  # two blocks of 256 threads fit on a multiprocessor

pytestmark = requires_compiler


def compared(text: str, N: int, seed: int) -> dict[str, float]:
    """What disagrees with NumPy in double, in one of three orders of threads, with any number of blocks."""
    both = programs(text)
    module = both.compiled(order=seed % 3)
    device = Device(both, module, N, np.float64, blocks=(0, 3, 1)[seed // 3 % 3])
    return disagreements(both, device, N, STEPS, DOUBLE)


@pytest.mark.parametrize("seed", range(SPECS))
def test_random_dense_networks(seed: int) -> None:
    assert compared(random_specs.random_spec(seed), 1 + seed % 7, seed) == {}


@pytest.mark.parametrize("seed", range(SPECS))
def test_random_image_networks(seed: int) -> None:
    N = max(1 + seed % 5, random_images.fewest(seed))
    assert compared(random_images.image_spec(seed), N, seed) == {}


@pytest.mark.parametrize("seed", range(0, SPECS, 5))
@pytest.mark.parametrize("kind", ["dense", "image"])
def test_in_float(kind: str, seed: int) -> None:
    text = random_specs.random_spec(seed) if kind == "dense" else random_images.image_spec(seed)
    N = 3 if kind == "dense" else max(3, random_images.fewest(seed))
    both = programs(text)
    device = Device(both, both.compiled(np.float32), N, np.float32)
    assert disagreements(both, device, N, 0, FLOAT) == {}


@pytest.mark.parametrize("path", NETWORKS, ids=lambda p: p.stem)
def test_shipped_specs(path: Path) -> None:
    both = programs(path.read_text(encoding="utf-8"))
    large = len(both.program.values["x"].shape) > 2
    N, steps = (2, 1) if large else (3, 3)
    assert disagreements(both, Device(both, both.compiled(), N, np.float64), N, steps, DOUBLE) == {}


# ---- Awkward sizes -----------------------------------------------------------------------------------------

TAIL = """
[loss]
type = "cross_entropy"

[optimizer]
type = "adam"
learning_rate = 1e-3
"""


def network(shape: list[int], *layers: str, loss: str = TAIL) -> str:
    """A spec's text: each layer a line of its keys, separated by semicolons."""
    listed = "\n\n".join("[[layers]]\n" + "\n".join(part.strip() for part in x.split(";")) for x in layers)
    return f'spec_version = 1\nname = "awkward"\n\n[input]\nshape = {shape}\n\n{listed}\n{loss}'


SOFTMAX = 'type = "dense"; units = 10; activation = "softmax"'
ONE_OUTPUT = """
[loss]
type = "binary_cross_entropy"

[optimizer]
type = "momentum"
learning_rate = 0.1
momentum = 0.9
"""
FLATTEN = 'type = "flatten"'
POOL = 'type = "max_pool2d"; size = 2; stride = 1'


def conv(filters: int, kernel: int, more: str = "padding = 0") -> str:
    return f'type = "conv2d"; filters = {filters}; kernel = {kernel}; {more}'


def dense(units: int, activation: str) -> str:
    return f'type = "dense"; units = {units}; activation = "{activation}"'


AWKWARD = {
    "one input, one unit": (network([1], dense(1, "sigmoid"), loss=ONE_OUTPUT), 1),
    "a batch of one": (network([17], dense(33, "relu"), SOFTMAX), 1),
    "more than a tile by one": (network([65], dense(129, "tanh"), SOFTMAX), 65),
    "a 1x1 image": (network([1, 1, 1], conv(1, 1), FLATTEN, SOFTMAX), 2),
    "padded past the image": (network([2, 3, 1], conv(2, 5, 'padding = "same"'), FLATTEN, SOFTMAX), 2),
    "strided, dilated, in groups": (
        network(
            [9, 7, 4], conv(6, 3, "stride = 2; dilation = 2; groups = 2; padding = 2"), POOL, FLATTEN, SOFTMAX
        ),
        3,
    ),
    "overlapping pools": (
        network([7, 8, 2], 'type = "avg_pool2d"; size = 3; stride = 2', POOL, FLATTEN, SOFTMAX),
        2,
    ),
    "a long sum in parts": (
        network([20, 20, 1], conv(2, 3, 'activation = "relu"'), 'type = "batch_norm"', FLATTEN, SOFTMAX),
        5,
    ),
}


def test_one_class_is_refused() -> None:
    with pytest.raises(SpecError, match="softmax over 1 unit"):
        programs(network([5], dense(1, "softmax")))


@pytest.mark.parametrize("what", AWKWARD)
def test_awkward_sizes(what: str) -> None:
    text, N = AWKWARD[what]
    both = programs(text)
    for order in range(3):
        device = Device(both, both.compiled(order=order, guard=True), N, np.float64)
        assert disagreements(both, device, N, 3, DOUBLE) == {}


# ---- The same bits, and derivatives ------------------------------------------------------------------------

SMALL = network(
    [7, 6, 2],
    'type = "conv2d"; filters = 3; kernel = 3; padding = 1; activation = "tanh"',
    'type = "batch_norm"',
    'type = "max_pool2d"; size = 2',
    'type = "dropout"; rate = 0.3',
    'type = "flatten"',
    SOFTMAX,
)


@cache
def small() -> Programs:
    return programs(SMALL)


def test_the_same_bits_whatever_the_order_and_the_number_of_blocks() -> None:
    both, results = small(), set()
    parameters, x, t = batch(both, 5)
    for order, blocks in [(0, 0), (1, 1), (2, 3), (2, 7)] * 5:
        device = Device(both, both.compiled(np.float32, order=order), 5, np.float32, blocks)
        device.put(parameters, x, t)
        for step in range(2):
            device.set(seed=step, step=step + 1)
            device.run("forward", "loss", "backward", "statistics", "update")
        results.add(device.theta.tobytes())
    assert len(results) == 1


def test_gradients_against_differences_of_the_kernels_own_loss() -> None:
    both = small()
    parameters, x, t = batch(both, 5)
    device = Device(both, both.compiled(), 5, np.float64)
    device.put(parameters, x, t)
    device.set(seed=3)
    device.run("forward", "loss", "backward")
    gradient, rng, h = device.gradient.copy(), np.random.default_rng(0), 1e-6

    def loss(at: int, by: float) -> float:
        device.theta[at] += by
        device.run("forward", "loss")
        device.theta[at] -= by
        return float(device.memory[device.plan.loss][0])

    places = rng.choice(len(gradient), 60, replace=False)
    slopes = np.array([(loss(i, h) - loss(i, -h)) / (2 * h) for i in places])
    assert np.count_nonzero(gradient[places]) > 30
    assert distance(slopes, gradient[places]) < 1e-7


def test_steps_in_one_cooperative_launch() -> None:
    both, N, count = small(), 4, 3
    rng = np.random.default_rng(0)
    parameters, x, t = batch(both, 3 * N)
    order = np.concatenate([rng.permutation(3 * N)[:N] for _ in range(count)]).astype(np.int32)
    seeds = rng.integers(0, 2**63, count).astype(np.uint64)
    module = CpuModule(
        both.plan.source, ("-DREAL=double", "-DPERSISTENT"), order=2, enable_cooperative_groups=True
    )
    device = Device(both, module, N, np.float64)
    device.put(parameters, x[:N], t[:N])
    memory = np.array([device.address(name) for name in both.plan.persistent], np.uint64)
    total, shared = np.zeros(1), max(launch.shared for s in both.plan.launches.values() for launch in s)
    module.get_function("steps")(
        (3,), (256,),
        (memory, x, t.astype(np.int32), order, seeds, total, np.zeros(1, np.uint32),
         np.int32(count), np.int32(N)),
        shared_mem=2 * shared,
    )  # fmt: skip
    state, loss = both.numpy.init_optimizer(parameters), 0.0
    for step in range(count):
        rows = order[step * N : (step + 1) * N]
        loss += N * both.numpy.train_step(parameters, x[rows], t[rows], state, seed=int(seeds[step]))
    assert distance(total, np.array([loss])) < DOUBLE
    assert max(distance(device.parameters[n], parameters[n]) for n in both.numpy.PARAMETERS) < DOUBLE


# ---- Planted faults ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    what: str
    old: str
    new: str


BARRIER = "__syncthreads();\n"
FAULTS = (
    Fault(
        "no barrier after a slab is fetched",
        BARRIER + "#pragma unroll\n            for (int d",
        "\nfor (int d",
    ),
    Fault("no barrier before the next slab", BARRIER + "        }\n#pragma unroll", "}\n"),
    Fault("no barrier before the tree", "= found;\n        " + BARRIER, "= found;\n"),
    Fault("no barrier in the tree", "own]);\n            " + BARRIER, "own]);\n"),
    Fault("a row too many", "if (row < rows && ", "if (row <= rows && "),
    Fault("a column too many", "&& column < columns)", "&& column <= columns)"),
    Fault("a term too many", "term0 + d < last ? left", "term0 + d <= last ? left"),
    Fault("the last tile lost", "(rows + TILE_ROWS - 1) / TILE_ROWS", "rows / TILE_ROWS"),
    Fault(
        "the last tile across lost", "(columns + TILE_COLUMNS - 1) / TILE_COLUMNS", "columns / TILE_COLUMNS"
    ),
    Fault("the last slab lost", "term0 < last; term0 += DEPTH", "term0 + DEPTH <= last; term0 += DEPTH"),
    Fault("a wrong transpose", "u[i] = a[d][y + 16 * i]", "u[i] = a[d][x + 16 * i]"),
    Fault("a swapped stride", "row0 + y + 16 * i, column", "row0 + y + i, column"),
    Fault("half of the tree lost", "half; half /= 2", "half > 1; half /= 2"),
    Fault("the last group lost", "(groups + GROUPS - 1) / GROUPS", "groups / GROUPS"),
    Fault("a guard that lets one more in", "0 <= i && i < size", "0 <= i && i <= size"),
    Fault("a guard without its lower bound", "return 0 <= i && i < size", "return i < size"),
    Fault("a maximum that is a minimum", "real b) { return a > b ||", "real b) { return a <= b ||"),
    Fault("masks of the next counter", "uint64(q) + 1", "uint64(q) + 2"),
    Fault("elements beyond the last block lost", "at += gridDim.x * THREADS", "at += 1 << 30"),
)


FAULTY = network(
    [9, 8, 3],
    'type = "conv2d"; filters = 5; kernel = 3; stride = 2; padding = 1',
    'type = "max_pool2d"; size = 2; stride = 1',
    'type = "dropout"; rate = 0.3',
    'type = "flatten"',
    'type = "dense"; units = 67; activation = "relu"',
    SOFTMAX,
)


@cache
def faulty() -> Programs:
    return programs(FAULTY)


def objections(change: Callable[[str], str]) -> set[str]:
    """How the harness objects to changed kernels: a fault, a wrong value, or a result that order decides."""
    both, found, bits = faulty(), set(), set()
    for order in range(3):
        device = Device(both, both.compiled(change=change, order=order, guard=True), 7, np.float64, blocks=3)
        try:
            if disagreements(both, device, 7, 2, DOUBLE):
                found.add("values")
            bits.add(device.theta.tobytes())
        except CudaOnCpuError as error:
            found.add(type(error).__name__)
    return found | ({"order"} if len(bits) > 1 else set())


def test_no_objection_without_a_fault() -> None:
    assert objections(str) == set()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.what)
def test_planted_faults_are_caught(fault: Fault) -> None:
    def change(source: str) -> str:
        assert fault.old in source
        return source.replace(fault.old, fault.new)

    assert objections(change)


def places(pattern: str) -> list[re.Match[str]]:
    """Where a pattern stands in the kernels (not in what they share)."""
    source = faulty().plan.source
    start = source.index("// ---- Forward")
    return [
        m
        for m in re.finditer(pattern, source)
        if start < m.start() < source.index("#ifdef PERSISTENT", start)
    ]


@pytest.mark.parametrize("number", range(12))
def test_swapped_strides_and_bounds_in_kernels_are_caught(number: int) -> None:
    """A number in the subscripts of a kernel off by one."""
    found = places(r"(?<=\* )\d+(?= \+ \w+[\]) ])")
    match = found[number * len(found) // 12]

    def change(source: str) -> str:
        return source[: match.start()] + str(int(match[0]) + 1) + source[match.end() :]

    assert objections(change)


# ---- Compilers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("compiler", "architecture"), TARGETS)
@pytest.mark.parametrize("path", NETWORKS, ids=lambda p: p.stem)
def test_nvrtc_compiles_without_spills(path: Path, compiler: nvrtc.Nvrtc, architecture: str) -> None:
    source = programs(path.read_text(encoding="utf-8")).plan.source
    found = nvrtc.resources(source, architecture, nvrtc.CUPY_OPTIONS, compiler)
    assert len(found) > 5
    for name, used in found.items():
        assert used.spill_stores == used.spill_loads == 0, name
        assert used.registers <= MOST_REGISTERS, name


@nvrtc.requires_nvrtc
@pytest.mark.parametrize("path", NETWORKS, ids=lambda p: p.stem)
def test_nvrtc_compiles_the_cooperative_kernel_without_spills(path: Path) -> None:
    source = programs(path.read_text(encoding="utf-8")).plan.source
    found = nvrtc.resources(source, "sm_80", ("--std=c++17", "-ftz=true", "-DPERSISTENT"))
    assert list(found) == ["steps"]
    assert found["steps"].spill_stores == found["steps"].spill_loads == 0


# ---- Tensor cores ------------------------------------------------------------------------------------------

ROUNDED = {"tf32": 2**-10, "bf16": 2**-7}  # relative error of a product of two rounded factors


def on_tensor_cores(precision: str) -> Programs:
    return programs(FAULTY + f'\n[training]\ntensor_cores = "{precision}"\n')


@pytest.mark.parametrize("precision", ROUNDED)
def test_tensor_cores_round_the_factors_and_nothing_else(precision: str) -> None:
    both = on_tensor_cores(precision)
    exact = Device(both, both.compiled(), 7, np.float64)
    assert disagreements(both, exact, 7, 1, DOUBLE) == {}  # built in double there are none
    rounded = Device(both, both.compiled(np.float32, order=2), 7, np.float32)
    assert disagreements(both, rounded, 7, 0, 8 * ROUNDED[precision]) == {}
    assert disagreements(both, rounded, 7, 0, ROUNDED[precision] / 64) != {}


@pytest.mark.parametrize(("compiler", "architecture"), TARGETS)
@pytest.mark.parametrize("precision", ROUNDED)
def test_nvrtc_compiles_tensor_cores(precision: str, compiler: nvrtc.Nvrtc, architecture: str) -> None:
    source = on_tensor_cores(precision).plan.source
    found = nvrtc.resources(source, architecture, nvrtc.CUPY_OPTIONS, compiler)
    assert all(used.spill_stores == 0 and used.registers <= MOST_REGISTERS for used in found.values())
