"""The kernels that test the harness compile for real architectures, and NVRTC's reports are read rightly."""

import pytest
from cuda_on_cpu.nvrtc import CUPY_OPTIONS, NvrtcError, compile_cubin, requires_nvrtc, resources
from cuda_on_cpu.samples import KERNELS, KERNELS_SM80

pytestmark = requires_nvrtc


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
