"""Launches and sources that are refused, and what else a module must be like."""

from typing import Any

import numpy as np
import pytest

from cuda_on_cpu.module import CompileError, CpuModule, CudaOnCpuError, requires_compiler
from cuda_on_cpu.samples import KERNELS_SM80, ints, module, run_two_layers

pytestmark = requires_compiler


def launch_sum(*args: Any, grid: Any = (1,), block: Any = (32,), **options: Any) -> None:
    module().get_function("block_sum")(grid, block, args, **options)


def test_arguments_are_checked() -> None:
    out, x, n = np.zeros(1, np.float32), np.zeros(8, np.float32), np.int32(8)
    launch_sum(out, x, n, shared_mem=4)
    for args, message in (
        ((out, x.astype(np.float64), n), r"argument 1 \(x\) is a C-contiguous array of float32, not .*64"),
        ((out, x[::2], n), "a non-contiguous array"),
        ((out, x, 8), r"argument 2 \(n\) is a NumPy scalar, int32, not int 8"),
        ((out, x, np.int64(8)), "not a scalar, int64"),
        ((out, n, n), "not a scalar, int32"),
        ((out, x), r"2 arguments for 3 parameters \(out, x, n\)"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=message):
            launch_sum(*args)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": (1025,)}, r"block \(1025,\) is outside"),
        ({"block": (32, 64)}, "a block of 2048 threads, 1024 are allowed"),
        ({"grid": (0,)}, r"grid \(0,\) is outside"),
        ({"grid": (1, 70000)}, "grid .* is outside"),
        ({"shared_mem": 50000}, "50000 bytes of dynamic shared memory, at most 49152"),
    ],
)
def test_launches_that_a_device_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(CudaOnCpuError, match=message):
        launch_sum(np.zeros(1, np.float32), np.zeros(8, np.float32), np.int32(8), **options)


def test_launch_bounds_may_be_an_expression() -> None:
    code = """constexpr int WARPS = 2;
    extern "C" __global__ void __launch_bounds__(WARPS * 32, 2) f() {}"""
    kernel = CpuModule(code).get_function("f")
    kernel((1,), (64,), ())
    with pytest.raises(CudaOnCpuError, match="a block of 65 threads, 64 are allowed"):
        kernel((1,), (65,), ())


def test_launch_bounds_and_cooperative_size_are_kept() -> None:
    C = np.zeros((4, 4), np.float32)
    with pytest.raises(CudaOnCpuError, match="a block of 512 threads, 256 are allowed"):
        module().get_function("matmul")((1,), (16, 32), (C, C, C, *ints(4, 4, 4)))
    with pytest.raises(CudaOnCpuError, match="192 fit on 6 multiprocessors"):
        run_two_layers(module(KERNELS_SM80, enable_cooperative_groups=True), grid=193)


def test_sources_that_do_not_compile() -> None:
    with pytest.raises(CompileError, match=r"kernel\.cu:2:.*nothing"):
        CpuModule('extern "C" __global__ void f(float* x) {\n    x[0] = nothing;\n}')
    with pytest.raises(CompileError, match='kernel f is not extern "C"'):
        CpuModule("__global__ void f(float* x) {}")
    with pytest.raises(CudaOnCpuError, match="no kernel g: the source has f"):
        CpuModule('extern "C" __global__ void f() {}').get_function("g")


def test_each_module_has_its_own_variables() -> None:
    code = """__device__ int count;
    extern "C" __global__ void next(int* out) { out[0] = ++count; }"""
    out = np.zeros(1, np.int32)
    for _ in range(2):
        kernel = CpuModule(code).get_function("next")
        for wanted in (1, 2):
            kernel((1,), (1,), (out,))
            assert out[0] == wanted


@pytest.mark.parametrize("threads", [1, 40])
def test_local_arrays_that_do_not_fit(threads: int) -> None:
    code = """extern "C" __global__ void fill(float* out) {
        volatile float values[20000];
        for (int i = 0; i < 20000; ++i) values[i] = i;
        out[threadIdx.x] = values[threadIdx.x];
    }"""
    with pytest.raises(CudaOnCpuError, match="fill: a thread needs more than 64 KiB of stack; thread"):
        CpuModule(code).get_function("fill")((1,), (threads,), (np.zeros(threads, np.float32),))


def test_macro_options_take_every_form() -> None:
    code = 'extern "C" __global__ void f(int* out) { out[0] = VALUE; }'
    out = np.zeros(1, np.int32)
    for options in (
        ("-DVALUE=3",),
        ("-D", "VALUE=3"),
        ("--define-macro=VALUE=3", "-ftz=true", "--std=c++17"),
    ):
        out[0] = 0
        CpuModule(code, options).get_function("f")((1,), (1,), (out,))
        assert out[0] == 3
