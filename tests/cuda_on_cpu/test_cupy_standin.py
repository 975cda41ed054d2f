"""The stand-in for CuPy: drivers run on it, graphs are frozen, mistakes that CuPy lets pass are found."""

import gc
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest

from cuda_on_cpu.cupy_standin import standing_in
from cuda_on_cpu.module import CudaOnCpuError, requires_compiler
from cuda_on_cpu.samples import KERNELS, KERNELS_SM80, normal

pytestmark = requires_compiler

AXPY = """
extern "C" __global__ void axpy(float* y, const float* x, float a, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}
extern "C" __global__ void count(int* step) { *step += 1; }
"""


@pytest.fixture(params=[(0, False), (1, True), (2, True)], ids=str)
def cupy(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    with standing_in(*request.param) as module:
        yield module


def test_it_is_imported_as_cupy_within_only() -> None:
    before = {name: sys.modules.get(name) for name in ("cupy", "cupy.cuda", "cupy.cuda.runtime")}
    with standing_in() as standin:
        assert importlib.import_module("cupy") is standin
        assert importlib.import_module("cupy.cuda.runtime").getDeviceCount() == 1
    assert {name: sys.modules.get(name) for name in before} == before


def test_a_driver(cupy: ModuleType) -> None:
    """Arrays to the device, kernels on a stream, results back."""
    host = normal(300, 7)
    kernels = cupy.RawModule(code=KERNELS, options=("-DREAL=float", "--std=c++17"))
    x, out = cupy.asarray(host), cupy.zeros(1, dtype=cupy.float32)
    assert isinstance(x, cupy.ndarray)
    with cupy.cuda.Stream(non_blocking=True) as stream:
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        kernels.get_function("block_sum")((3,), (64,), (out, x, np.int32(x.size)), shared_mem=8)
        end.record(stream)
    cupy.cuda.get_current_stream().synchronize()
    end.synchronize()
    assert cupy.cuda.get_elapsed_time(start, end) >= 0
    assert type(out.get()) is np.ndarray
    assert out.get() == pytest.approx([host.sum(dtype=np.float64)], rel=1e-5)
    assert float(out[0]) == cupy.asnumpy(out)[0]


def test_makers_of_arrays(cupy: ModuleType) -> None:
    assert np.isnan(cupy.empty((2, 3), dtype=cupy.float32).get()).all()
    assert cupy.zeros(3).dtype == cupy.float64
    assert cupy.ones((2,), cupy.int32).get().tolist() == [1, 1]
    assert cupy.full((2,), 2.5, dtype=cupy.float32).get().tolist() == [2.5, 2.5]
    assert cupy.arange(4, dtype=cupy.uint32).get().tolist() == [0, 1, 2, 3]
    assert cupy.arange(1, 7, 2, dtype=cupy.int64).get().tolist() == [1, 3, 5]
    assert cupy.zeros_like(cupy.ones(3, cupy.uint8)).dtype == cupy.uint8
    assert cupy.ascontiguousarray(cupy.arange(6).reshape(2, 3).T).flags.c_contiguous
    x = cupy.array([1.0, 2.0])
    assert cupy.asarray(x) is x
    assert cupy.array(x) is not x
    x.set(np.array([3.0, 4.0]))
    assert isinstance(x + x, cupy.ndarray)
    assert (2 * x).sum().get() == 14
    with pytest.raises(AttributeError, match=r"the stand-in has no cupy\.matmul"):
        cupy.matmul  # noqa: B018


def test_host_and_device_do_not_mix(cupy: ModuleType) -> None:
    x, host = cupy.ones(3), np.ones(3)
    for mixed in (
        lambda: x + host,
        lambda: host * x,
        lambda: x.__setitem__(slice(None), host),
        lambda: x.set(x),
    ):
        with pytest.raises(TypeError, match="host"):
            mixed()
    with pytest.raises(ValueError, match="wanted float64"):
        x.set(np.ones(4))


def test_arguments_are_device_arrays_and_scalars_of_the_very_type(cupy: ModuleType) -> None:
    axpy = cupy.RawModule(code=AXPY).get_function("axpy")
    y, x, a, n = cupy.zeros(4, cupy.float32), cupy.ones(4, cupy.float32), np.float32(2), np.int32(4)
    axpy((1,), (32,), (y, x, a, n))
    assert y.get().tolist() == [2, 2, 2, 2]
    for arguments, message in (
        ((y, x, 2.0, n), r"argument 2 \(a\) is a NumPy scalar, float32, not float 2.0"),
        ((y, x, a, 4), r"argument 3 \(n\) is a NumPy scalar, int32, not int 4"),
        ((y, np.ones(4, np.float32), a, n), "argument 1 is an array of the host"),
        ((y, x.astype(cupy.float64), a, n), "not an array of float64"),
        ((y, x, a), "3 arguments for 4 parameters"),
    ):
        with pytest.raises(TypeError, match=message):
            axpy((1,), (32,), arguments)


def test_overruns_of_device_buffers_are_found() -> None:
    with standing_in(guard=True) as cupy:
        axpy = cupy.RawModule(code=AXPY).get_function("axpy")
        y, x = cupy.zeros(5, cupy.float32), cupy.ones(6, cupy.float32)
        with pytest.raises(
            CudaOnCpuError, match=r"axpy: out-of-bounds .* past the end of argument 0 \(y\); thread"
        ):
            axpy((1,), (32,), (y, x, np.float32(2), np.int32(6)))


# ---- Graphs ----------------------------------------------------------------------------------------


def test_a_graph_replays_its_launches_with_frozen_scalars(cupy: ModuleType) -> None:
    kernels = cupy.RawModule(code=AXPY)
    axpy, count = kernels.get_function("axpy"), kernels.get_function("count")
    y, x, step = cupy.zeros(4, cupy.float32), cupy.ones(4, cupy.float32), cupy.zeros(1, cupy.int32)
    rate = np.float32(1)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        assert stream.is_capturing()
        axpy((1,), (32,), (y, x, rate, np.int32(4)))
        count((1,), (1,), (step,))
        graph = stream.end_capture()
    assert y.get().tolist() == [0] * 4  # a capture does nothing
    rate += np.float32(99)  # nor does the graph see this
    for _ in range(3):
        graph.launch(stream)
    assert y.get().tolist() == [3] * 4
    assert step.get().tolist() == [3]  # what is to change lies on the device
    x.fill(10)
    graph.launch()
    assert y.get().tolist() == [13] * 4


def test_a_graph_does_not_keep_its_arrays(cupy: ModuleType) -> None:
    axpy = cupy.RawModule(code=AXPY).get_function("axpy")
    y, flat = cupy.zeros(4, cupy.float32), cupy.ones(8, cupy.float32)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        axpy((1,), (32,), (y, flat[4:], np.float32(1), np.int32(4)))
        graph = stream.end_capture()
    graph.launch(stream)  # the view is gone, its memory is not
    assert y.get().tolist() == [1] * 4
    del flat
    gc.collect()
    with pytest.raises(CudaOnCpuError, match="axpy: a graph replays it, but the array of argument 1 is gone"):
        graph.launch(stream)


def test_only_launches_are_captured(cupy: ModuleType) -> None:
    x, host = cupy.ones(3), np.ones(3)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        for work in (
            lambda: x + x,
            lambda: x.get(),
            lambda: float(x[0]),
            lambda: x.set(host),
            lambda: x.fill(0),
            lambda: x.__setitem__(0, 1),
            lambda: cupy.empty(3),
            lambda: cupy.asarray(host),
            stream.synchronize,
            cupy.cuda.Device().synchronize,
        ):
            with pytest.raises(RuntimeError, match="while the stream is captured"):
                work()
        with pytest.raises(RuntimeError, match="already"):
            stream.begin_capture()
        stream.end_capture()
    with pytest.raises(RuntimeError, match="not being captured"):
        stream.end_capture()
    with pytest.raises(RuntimeError, match="non_blocking=True"):
        cupy.cuda.Stream().begin_capture()


# ---- The device ------------------------------------------------------------------------------------


def test_cooperative_launches_as_large_as_the_device(cupy: ModuleType) -> None:
    N, D, H, outputs = 9, 20, 33, 5
    x, W1, W2 = normal(N, D), normal(H, D, seed=1), normal(outputs, H, seed=2)
    h, y = cupy.empty((N, H), cupy.float32), cupy.empty((N, outputs), cupy.float32)
    kernels = cupy.RawModule(code=KERNELS_SM80, enable_cooperative_groups=True)
    sizes = (np.int32(size) for size in (N, D, H, outputs))
    arguments = (y, h, *map(cupy.asarray, (x, W1, W2)), cupy.zeros(1, cupy.uint32), *sizes)
    grid = (cupy.cuda.Device().attributes["MultiProcessorCount"],)
    kernels.get_function("two_layers")(grid, (64,), arguments)
    assert np.allclose(y.get(), np.maximum(x @ W1.T, 0) @ W2.T, rtol=1e-5, atol=1e-5)


def test_more_shared_memory_is_asked_for(cupy: ModuleType) -> None:
    kernel = cupy.RawModule(code=KERNELS).get_function("block_sum")
    arguments = (cupy.zeros(1, cupy.float32), cupy.ones(8, cupy.float32), np.int32(8))
    with pytest.raises(CudaOnCpuError, match="max_dynamic_shared_size_bytes"):
        kernel((1,), (32,), arguments, shared_mem=100_000)
    kernel.max_dynamic_shared_size_bytes = 100_000
    kernel((1,), (32,), arguments, shared_mem=100_000)
    with pytest.raises(ValueError, match="the device has 166912"):
        kernel.max_dynamic_shared_size_bytes = 200_000


def test_there_is_one_device(cupy: ModuleType) -> None:
    assert cupy.cuda.runtime.getDeviceProperties(0)["multiProcessorCount"] > 0
    assert cupy.cuda.Device(0).compute_capability == "80"
    with pytest.raises(RuntimeError, match="no device 1"):
        cupy.cuda.Device(1)
