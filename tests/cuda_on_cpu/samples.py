"""Kernels that test the harness, with inputs and what NumPy says of them."""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from cuda_on_cpu.module import CpuModule

FOLDER = Path(__file__).parent
KERNELS = (FOLDER / "kernels.cu").read_text(encoding="utf-8")
KERNELS_SM80 = (FOLDER / "kernels_sm80.cu").read_text(encoding="utf-8")

ORDERS = (0, 1, 2)
REALS = {"float": np.float32, "double": np.float64}
TOLERANCE = {np.float32: 2e-6, np.float64: 2e-15}

Array = np.ndarray


@functools.cache
def module(code: str = KERNELS, real: str = "float", order: int = 0, **options: Any) -> CpuModule:
    return CpuModule(code, (f"-DREAL={real}",), order, guard=True, **options)


def normal(*shape: int, seed: int = 0, dtype: type = np.float32) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def ints(*values: int) -> tuple[np.int32, ...]:
    return tuple(map(np.int32, values))


def blocks(work: int, block: int) -> int:
    return -(-work // block)


def difference(got: Array, wanted: Array) -> float:
    """The largest difference, relative to the largest value; NaN where something was not written."""
    return float(np.max(np.abs(got - wanted)) / np.max(np.abs(wanted)))


# ---- Each runs a kernel and gives its result and the right one ---------------------------------------


def run_matmul(kernels: CpuModule, dtype: type = np.float32) -> tuple[Array, Array]:
    M, N, K = 35, 41, 21
    A, B, C = normal(M, K, dtype=dtype), normal(K, N, seed=1, dtype=dtype), np.full((M, N), np.nan, dtype)
    kernels.get_function("matmul")((blocks(N, 16), blocks(M, 16)), (16, 16), (C, A, B, *ints(M, N, K)))
    return C, A @ B


def run_softmax(kernels: CpuModule, dtype: type = np.float32) -> tuple[Array, Array]:
    N, K = 13, 43
    logits, labels = 3 * normal(N, K, dtype=dtype), (np.arange(N) % K).astype(np.int32)
    probs, loss = np.full((N, K), np.nan, dtype), np.full(N, np.nan, dtype)
    arguments = (probs, loss, logits, labels, *ints(N, K))
    kernels.get_function("softmax_loss")((blocks(N, 4),), (128,), arguments)
    powers = np.exp(logits.astype(np.float64))
    wanted = powers / powers.sum(axis=1, keepdims=True)
    return np.c_[probs, loss], np.c_[wanted, -np.log(wanted[np.arange(N), labels])]


def run_block_sum(kernels: CpuModule, shared_mem: int = 32) -> tuple[Array, Array]:
    x, out = normal(5003), np.zeros(1, np.float32)
    kernels.get_function("block_sum")((5,), (256,), (out, x, *ints(x.size)), shared_mem=shared_mem)
    return out, x.sum(dtype=np.float64, keepdims=True)


def run_sum_in_order(kernels: CpuModule, dtype: type = np.float32) -> tuple[Array, Array]:
    x, partial, total = normal(3001, dtype=dtype), np.full(8, np.nan, dtype), np.full(1, np.nan, dtype)
    kernel = kernels.get_function("sum_in_order")
    kernel((8,), (128,), (partial, x, *ints(x.size)))
    kernel((1,), (128,), (total, partial, *ints(8)))
    return total, x.sum(dtype=np.float64, keepdims=True)


def run_two_layers(kernels: CpuModule, grid: int = 5) -> tuple[Array, Array]:
    N, D, H, outputs = 9, 20, 33, 5
    x, W1, W2 = normal(N, D), normal(H, D, seed=1), normal(outputs, H, seed=2)
    h, y = np.full((N, H), np.nan, np.float32), np.full((N, outputs), np.nan, np.float32)
    arguments = (y, h, x, W1, W2, np.zeros(1, np.uint32), *ints(N, D, H, outputs))
    kernels.get_function("two_layers")((grid,), (64,), arguments)
    return y, np.maximum(x @ W1.T, 0) @ W2.T
