"""Kernels on the CPU: right ones agree with NumPy in every order, and each planted fault is found."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from cuda_on_cpu.module import CpuModule, CudaOnCpuError, requires_compiler
from cuda_on_cpu.samples import (
    KERNELS,
    KERNELS_SM80,
    ORDERS,
    REALS,
    TOLERANCE,
    Array,
    blocks,
    difference,
    ints,
    module,
    normal,
    run_block_sum,
    run_matmul,
    run_softmax,
    run_sum_in_order,
    run_two_layers,
)

pytestmark = requires_compiler


@pytest.fixture(params=ORDERS)
def order(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(params=REALS)
def real(request: pytest.FixtureRequest) -> str:
    return request.param


# ---- Right kernels ---------------------------------------------------------------------------------


def test_matmul(real: str, order: int) -> None:
    C, wanted = run_matmul(module(real=real, order=order), REALS[real])
    assert difference(C, wanted) < TOLERANCE[REALS[real]]


def test_softmax(real: str, order: int) -> None:
    got, wanted = run_softmax(module(real=real, order=order), REALS[real])
    assert difference(got, wanted) < TOLERANCE[REALS[real]]


def test_sum_with_dynamic_shared_memory(order: int) -> None:
    out, wanted = run_block_sum(module(order=order))
    assert difference(out, wanted) < 1e-5


def test_sum_in_order_is_the_same_in_every_order(real: str) -> None:
    sums = [run_sum_in_order(module(real=real, order=order), REALS[real]) for order in ORDERS]
    assert len({total.tobytes() for total, _ in sums}) == 1
    assert difference(*sums[0]) < 10 * TOLERANCE[REALS[real]]


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_conv2d(real: str, order: int, padding: int) -> None:
    N, H, width, C, channels, size = 2, 6, 7, 3, 4, 3
    dtype = REALS[real]
    x, W = normal(N, H, width, C, dtype=dtype), normal(channels, size, size, C, seed=1, dtype=dtype)
    b = normal(channels, seed=2, dtype=dtype)
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))
    wanted = np.einsum("nijcuv,ouvc->nijo", windows, W) + b
    z = np.full(wanted.shape, np.nan, dtype)
    arguments = (z, x, W, b, *ints(N, H, width, C, channels, size, padding))
    module(real=real, order=order).get_function("conv2d")((blocks(z.size, 64),), (64,), arguments)
    assert difference(z, wanted) < TOLERANCE[dtype]


def test_philox_gives_the_known_answer(order: int) -> None:
    out = np.zeros((5, 4), np.uint32)
    module(order=order).get_function("random_bits")((1,), (32,), (out, *ints(5), np.uint64(0)))
    assert [f"{word:08x}" for word in out[0]] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]
    assert len(np.unique(out)) == out.size


@pytest.mark.parametrize("n", [1, 3, 64])
def test_vector_types(order: int, n: int) -> None:
    x, y = normal(4 * n), np.full(4 * n, np.nan, np.float32)
    kernel = module(order=order).get_function("scale_fours")
    kernel((1,), (64,), (y, x, np.float32(2.5), *ints(n)))
    assert np.array_equal(y, np.float32(2.5) * x)


def test_functions_in_both_precisions(real: str) -> None:
    x = normal(50, dtype=REALS[real])
    out = np.full((6, 50), np.nan, x.dtype)
    module(real=real).get_function("functions")((1,), (64,), (out, x, *ints(50)))
    size = np.abs(x)
    wanted = np.stack([
        np.array([math.erf(v) for v in x]), np.log1p(np.exp(-size)), 1 / np.sqrt(x**2 + 1),
        np.tanh(x) + x, x.astype(np.float32), size**1.5 + np.sqrt(size),
    ])  # fmt: skip
    assert difference(out, wanted) < TOLERANCE[REALS[real]]


def test_warp_words(order: int) -> None:
    values = np.arange(32, dtype=np.int32) * 7 % 32
    out = np.zeros((6, 32), np.uint32)
    module(order=order).get_function("warp_words")((1,), (32,), (out, values))
    lane = np.arange(32)
    odd = int(sum(1 << int(i) for i in lane if values[i] % 2))
    assert (out[0] == odd).all()
    assert np.array_equal(out[1], values[np.where(lane + 3 < 32, lane + 3, lane)])
    assert np.array_equal(out[2], values[np.where(lane % 8 >= 1, lane - 1, lane)])
    assert np.array_equal(out[3], values[lane // 16 * 16 + 5])
    assert (out[4] == 1 + 2 + 4 * 16).all()
    assert np.array_equal(out[5], np.where(lane < 16, values[lane ^ 1], 0))


def test_matmul_on_tensor_cores(order: int) -> None:
    M, N, K = 50, 21, 37
    A, B, C = normal(M, K), normal(K, N, seed=1), np.full((M, N), np.nan, np.float32)

    def tf32(a: Array) -> Array:
        return (a.view(np.uint32) + 0x1000 & 0xFFFFE000).astype(np.uint32).view(np.float32)

    kernel = module(KERNELS_SM80, order=order).get_function("matmul_tf32")
    kernel((blocks(N, 8), 1), (128,), (C, A, B, *ints(M, N, K)))
    assert difference(C, tf32(A) @ tf32(B)) < 1e-6
    assert 1e-5 < difference(C, A @ B) < 1e-3


def test_bfloat16_tile(order: int) -> None:
    A, B, C = normal(16, 16), normal(16, 8, seed=1), np.full((16, 8), np.nan, np.float32)
    module(KERNELS_SM80, order=order).get_function("tile_bf16")((1,), (32,), (C, A, B))

    def bf16(a: Array) -> Array:
        bits = a.view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)

    assert difference(C, bf16(A) @ bf16(B)) < 1e-6
    assert 1e-4 < difference(C, A @ B) < 1e-1


def test_grid_barrier(order: int) -> None:
    y, wanted = run_two_layers(module(KERNELS_SM80, order=order, enable_cooperative_groups=True))
    assert difference(y, wanted) < 1e-6


# ---- Planted faults --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """A change of the source, who notices it, and the message; None: in some order the result is wrong."""

    old: str
    new: str
    run: Callable[[CpuModule], tuple[Array, Array]]
    message: str | None = None


FAULTS = {
    "first barrier": Fault("__syncthreads();  // the tiles are there", "", run_matmul),
    "second barrier": Fault("__syncthreads();  // the tiles were read", "", run_matmul),
    "barrier of a tree": Fault("__syncthreads();  // the halves are there", "", run_sum_in_order),
    "stale shared memory": Fault(
        "scratch[threadIdx.x / 32] = sum;",
        "if (threadIdx.x < 64) scratch[threadIdx.x / 32] = sum;",
        run_block_sum,
    ),
    "bound of a load": Fault(
        "row < M && k0 + x < K ?",
        "k0 + x < K ?",
        run_matmul,
        r"^matmul: out-of-bounds read of .* past the end of argument 1 \(A\); "
        r"thread \(\d+,\d+,0\) of block \(\d+,\d+,0\)$",
    ),
    "bound of a store": Fault(
        "if (row < M && column < N) C[",
        "if (column < N) C[",
        run_matmul,
        r"out-of-bounds write of .* past the end of argument 0 \(C\)",
    ),
    "negative index": Fault(
        "? A[row",
        "? A[row - 40",
        run_matmul,
        r"out-of-bounds read of \d+ elements before the start of argument 1 \(A\)",
    ),
    "store before the start": Fault(
        "C[row * N + column] = sum",
        "C[row * N + column - 1] = sum",
        run_matmul,
        r"out-of-bounds write before the start of argument 0 \(C\)",
    ),
    "barrier in a branch": Fault(
        "__syncthreads();  // the tiles are there",
        "if (row < M) __syncthreads();",
        run_matmul,
        r"divergent barrier: this thread waits at .* in line \d+, thread \(.*\) .* in line \d+",
    ),
    "barrier against a shuffle": Fault(
        "    sum = warp_sum(sum);\n    if (threadIdx.x % 32 == 0) scratch",
        "    if (threadIdx.x % 32 == 0) __syncthreads();\n    else sum = warp_sum(sum);\n    scratch",
        run_block_sum,
        r"deadlock: this thread waits at .* for thread \(\d+,0,0\), which waits at .* in line \d+",
    ),
    "lane that exits": Fault(
        "if (n >= N) return;",
        "if (n >= N || lane == 9) return;",
        run_softmax,
        r"deadlock: .* for thread \(\d+,0,0\), which has exited|names lane 9, which has exited",
    ),
    "half a mask": Fault(
        "#define ALL_LANES 0xffffffffu",
        "#define ALL_LANES 0x0000ffffu",
        run_softmax,
        r"warp operation in line \d+: the calling lane \d+ is not in its mask 0x0000ffff",
    ),
    "mixed masks": Fault(
        "value += __shfl_xor_sync(ALL_LANES,",
        "value += __shfl_xor_sync(threadIdx.x % 2 ? ALL_LANES : 0x55555555u,",
        run_softmax,
        r"lane \d+ has come to another one, or with mask|deadlock",
    ),
    "division by zero": Fault(
        "threadIdx.x % 32, n =", "threadIdx.x % (N - 13), n =", run_softmax, "integer division by zero"
    ),
}


def judge(code: str, run: Callable[[CpuModule], tuple[Array, Array]]) -> list[str]:
    """What each order says of the kernels: an error, "wrong" or "right"."""
    verdicts = []
    for order in ORDERS:
        try:
            got, wanted = run(CpuModule(code, order=order, guard=True))
            verdicts.append("right" if difference(got, wanted) < 1e-5 else "wrong")
        except CudaOnCpuError as error:
            verdicts.append(str(error))
    return verdicts


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_found(fault: str) -> None:
    planted = FAULTS[fault]
    assert KERNELS.count(planted.old) == 1
    verdicts = judge(KERNELS.replace(planted.old, planted.new), planted.run)
    if planted.message is None:
        assert "wrong" in verdicts
    else:
        assert [v for v in verdicts if "\n" in v or not re.search(planted.message, v)] == []


@pytest.mark.parametrize("run", [run_matmul, run_softmax, run_block_sum, run_sum_in_order])
def test_nothing_is_found_where_nothing_is_planted(run: Callable[[CpuModule], tuple[Array, Array]]) -> None:
    assert judge(KERNELS, run) == ["right"] * 3


def test_endless_loop() -> None:
    code = KERNELS.replace("if (row < M && column < N) C[", "while (*(volatile int*)&M > 0) {}\n    C[")
    with pytest.raises(CudaOnCpuError, match=r"^matmul: no end after 0\.1 s of processor time"):
        run_matmul(module(code, seconds=0.1))


def test_dynamic_shared_memory_too_small(order: int) -> None:
    with pytest.raises(
        CudaOnCpuError, match=r"block_sum: dynamic shared memory is overrun: .* the launch has 28"
    ):
        run_block_sum(module(order=order), shared_mem=28)


def test_overrun_from_one_view_into_the_next() -> None:
    flat = np.zeros(96, np.float32)
    y, x = flat[:32], flat[32:64]
    kernel = module().get_function("scale_fours")
    kernel((1,), (32,), (y, x, np.float32(1), *ints(8)))
    with pytest.raises(CudaOnCpuError, match=r"out-of-bounds read of .* argument 1 \(x\)"):
        kernel((1,), (32,), (y, x, np.float32(1), *ints(9)))


def test_a_buffer_that_is_passed_twice_stays_one() -> None:
    x = normal(64)
    wanted = 2 * x
    module().get_function("scale_fours")((1,), (32,), (x, x, np.float32(2), *ints(16)))
    assert np.array_equal(x, wanted)


def test_misaligned_vector_access() -> None:
    flat = np.zeros(65, np.float32)
    with pytest.raises(CudaOnCpuError, match="misaligned vector access"):
        module().get_function("scale_fours")((1,), (16,), (flat[1:], flat[1:], np.float32(1), *ints(16)))


def test_strict_checks_the_subscripts_of_arrays() -> None:
    code = """extern "C" __global__ void shift(float* out, int by) {
        __shared__ float values[32];
        values[threadIdx.x] = 1;
        __syncthreads();
        out[threadIdx.x] = values[threadIdx.x + by];
    }"""
    out = np.zeros(32, np.float32)
    kernel = CpuModule(code, strict=True).get_function("shift")
    kernel((1,), (32,), (out, *ints(0)))
    with pytest.raises(CudaOnCpuError, match=r"array index out of bounds.*; thread \(31,0,0\)"):
        kernel((1,), (32,), (out, *ints(1)))


def test_shared_memory_starts_as_nan() -> None:
    code = """extern __shared__ double dynamic[];
    extern "C" __global__ void read(double* out, float* out2) {
        __shared__ float fixed[4];
        out[threadIdx.x] = dynamic[threadIdx.x];
        out2[threadIdx.x] = fixed[threadIdx.x];
        __syncthreads();
        dynamic[threadIdx.x] = fixed[threadIdx.x] = 1;
    }"""
    kernel = CpuModule(code).get_function("read")
    for _ in range(2):
        out, out2 = np.zeros(4), np.zeros(4, np.float32)
        kernel((2,), (4,), (out, out2), shared_mem=32)
        assert np.isnan(out).all()
        assert np.isnan(out2).all()


def test_grid_barrier_in_a_launch_that_is_not_cooperative() -> None:
    with pytest.raises(CudaOnCpuError, match=r"two_layers: grid barrier in line .* not cooperative"):
        run_two_layers(module(KERNELS_SM80))


def test_block_that_exits_before_the_grid_barrier() -> None:
    code = KERNELS_SM80.replace(
        "    grid_sync(counter);", "    if (blockIdx.x == 1) return;\n    grid_sync(counter);"
    )
    with pytest.raises(CudaOnCpuError, match="some blocks wait at a grid barrier, others have exited"):
        run_two_layers(module(code, enable_cooperative_groups=True))
