"""Kernels compile for real architectures, by CUDA 12 and by CUDA 13, and NVRTC's reports are read rightly."""

import re
from pathlib import Path

import pytest
from cuda_on_cpu.nvrtc import (
    CUDA12,
    CUDA13,
    CUPY_OPTIONS,
    Nvrtc,
    NvrtcError,
    compile_cubin,
    requires,
    requires_nvrtc,
    resources,
    target,
)
from cuda_on_cpu.samples import KERNELS, KERNELS_SM80

pytestmark = requires_nvrtc
GENERATED = Path(__file__).parent.parent / "generated"


# 80 doubles for each of 1024 threads: 160 registers, and there are 64.
SPILLING = """
extern "C" __global__ void __launch_bounds__(1024) spill(double* x) {
    double values[80];
#pragma unroll
    for (int i = 0; i < 80; ++i) values[i] = x[threadIdx.x + 1024 * i];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 80; ++i) x[threadIdx.x + 1024 * i] = values[i] * values[79 - i] + values[i * 7 % 80];
}"""


@pytest.mark.parametrize("arch", ["sm_70", "sm_80", "sm_90"])
@pytest.mark.parametrize("real", ["float", "double"])
def test_kernels_compile(arch: str, real: str) -> None:
    assert compile_cubin(KERNELS, arch, (*CUPY_OPTIONS, f"-DREAL={real}"))[:4] == b"\x7fELF"


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_tensor_cores_and_grid_barrier_compile(arch: str) -> None:
    assert compile_cubin(KERNELS_SM80, arch, CUPY_OPTIONS)[:4] == b"\x7fELF"


def test_tensor_cores_need_their_architecture() -> None:
    with pytest.raises(NvrtcError, match="sm_80 or higher"):
        compile_cubin(KERNELS_SM80, "sm_70", CUPY_OPTIONS)


def test_broken_source_raises_with_the_log() -> None:
    with pytest.raises(NvrtcError, match=r'kernel\.cu\(2\): error: identifier "nothing" is undefined'):
        compile_cubin('extern "C" __global__ void f(float* x) {\n    x[0] = nothing;\n}', "sm_80")


def test_unknown_architecture_raises() -> None:
    with pytest.raises(NvrtcError, match="gpu-architecture"):
        compile_cubin(KERNELS, "sm_12345")


def test_spills_are_reported() -> None:
    spill = resources(SPILLING, "sm_80", CUPY_OPTIONS)["spill"]
    assert spill.registers == 64
    assert spill.spill_stores > 0
    assert spill.spill_loads > 0
    assert spill.stack > 0


def test_resources_of_every_kernel() -> None:
    found = resources(KERNELS, "sm_80", CUPY_OPTIONS)
    assert {"matmul", "softmax_loss", "block_sum", "sum_in_order", "conv2d", "random_bits"} <= found.keys()
    assert found["matmul"].shared == 2 * 16 * 16 * 4
    assert all(r.spill_stores == r.spill_loads == 0 for r in found.values())
    assert all(0 < r.registers < 256 for r in found.values())


# ---- CUDA 12 and CUDA 13, as README says: tests/test_cuda_kernels.py has the other shipped specs -----------

ENDS = [
    target(CUDA12, "sm_70"),
    target(CUDA12, "sm_120"),
    target(CUDA13, "sm_75"),
    target(CUDA13, "sm_120"),
]


def kernels(name: str) -> str:
    return (GENERATED / name / "cuda" / "kernels.cu").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["mnist_mlp", "lenet5"])
@pytest.mark.parametrize(("compiler", "arch"), ENDS)
def test_shipped_kernels_compile_from_the_least_to_the_greatest(
    compiler: Nvrtc, arch: str, name: str
) -> None:
    source = kernels(name)
    written = set(re.findall(r"^KERNEL (\w+)", source, re.MULTILINE)) - {"steps"}
    assert resources(source, arch, CUPY_OPTIONS, compiler).keys() == written


@requires(CUDA13)
def test_only_cuda_12_takes_capability_7_0() -> None:
    assert "sm_70" in CUDA12.architectures()
    assert CUDA13.architectures()[0] == "sm_75"
    with pytest.raises(NvrtcError, match="invalid value for --gpu-architecture"):
        compile_cubin(kernels("mnist_mlp"), "sm_70", CUPY_OPTIONS, CUDA13)
