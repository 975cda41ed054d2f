"""A stand-in for the part of CuPy that generated drivers use, over NumPy arrays and CpuModule.

    with standing_in(order=1, guard=True):
        driver = importlib.import_module("...")   # its `import cupy` finds the stand-in

It is stricter than CuPy where CuPy lets a mistake pass: kernels take device arrays and NumPy scalars of the
very type, and `empty` holds NaN.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np

from cuda_on_cpu import streams
from cuda_on_cpu.device_array import DeviceArray
from cuda_on_cpu.guard import guarded_empty
from cuda_on_cpu.module import MULTIPROCESSORS, THREADS_OF_A_MULTIPROCESSOR, CpuKernel, CpuModule

_DTYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64",
           "uint8", "uint16", "uint32", "uint64", "bool_")  # fmt: skip

# Those of an A100, save for the number of multiprocessors.
_ATTRIBUTES = {
    "ComputeCapabilityMajor": 8,
    "ComputeCapabilityMinor": 0,
    "CooperativeLaunch": 1,
    "L2CacheSize": 41943040,
    "MaxBlockDimX": 1024,
    "MaxBlockDimY": 1024,
    "MaxBlockDimZ": 64,
    "MaxGridDimX": 2147483647,
    "MaxGridDimY": 65535,
    "MaxGridDimZ": 65535,
    "MaxRegistersPerBlock": 65536,
    "MaxSharedMemoryPerBlock": 49152,
    "MaxSharedMemoryPerBlockOptin": 166912,
    "MaxSharedMemoryPerMultiprocessor": 167936,
    "MaxThreadsPerBlock": 1024,
    "MaxThreadsPerMultiProcessor": THREADS_OF_A_MULTIPROCESSOR,
    "MultiProcessorCount": MULTIPROCESSORS,
    "WarpSize": 32,
}


# ---- Arrays ----------------------------------------------------------------------------------------------


class _Allocator:
    """The functions that make arrays; each array ends at a page that faults when `guard` is on."""

    def __init__(self, guard: bool) -> None:
        self._guard = guard

    def empty(self, shape: Any, dtype: Any = float, order: str = "C") -> DeviceArray:
        streams.refuse_capture("an allocation")
        shape = tuple(shape) if isinstance(shape, Sequence) else (int(shape),)
        if self._guard:
            return guarded_empty(shape, np.dtype(dtype)).view(DeviceArray)
        array = np.empty(shape, dtype)
        array.reshape(-1).view(np.uint8)[:] = 0xFF  # NaN, so that what nobody writes is seen
        return array.view(DeviceArray)

    def full(self, shape: Any, fill_value: Any, dtype: Any = None) -> DeviceArray:
        array = self.empty(shape, np.asarray(fill_value).dtype if dtype is None else dtype)
        array.fill(fill_value)
        return array

    def zeros(self, shape: Any, dtype: Any = float, order: str = "C") -> DeviceArray:
        return self.full(shape, 0, dtype)

    def ones(self, shape: Any, dtype: Any = float) -> DeviceArray:
        return self.full(shape, 1, dtype)

    def empty_like(self, a: np.ndarray, dtype: Any = None) -> DeviceArray:
        return self.empty(a.shape, dtype or a.dtype)

    def zeros_like(self, a: np.ndarray, dtype: Any = None) -> DeviceArray:
        return self.zeros(a.shape, dtype or a.dtype)

    def ones_like(self, a: np.ndarray, dtype: Any = None) -> DeviceArray:
        return self.ones(a.shape, dtype or a.dtype)

    def full_like(self, a: np.ndarray, fill_value: Any, dtype: Any = None) -> DeviceArray:
        return self.full(a.shape, fill_value, dtype or a.dtype)

    def array(self, obj: Any, dtype: Any = None, copy: bool = True) -> DeviceArray:
        host = np.asarray(obj, dtype)
        array = self.empty(host.shape, host.dtype)
        array.view(np.ndarray)[...] = host
        return array

    def asarray(self, a: Any, dtype: Any = None) -> DeviceArray:
        """The array itself where it is on the device and of this type, otherwise a copy there."""
        if isinstance(a, DeviceArray) and dtype in (None, a.dtype):
            return a
        return self.array(a, dtype)

    def ascontiguousarray(self, a: Any, dtype: Any = None) -> DeviceArray:
        array = self.asarray(a, dtype)
        return array if array.flags.c_contiguous else self.array(array)

    def arange(self, start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> DeviceArray:
        host = np.arange(start, dtype=dtype) if stop is None else np.arange(start, stop, step, dtype=dtype)
        return self.array(host)


def _asnumpy(a: Any, stream: object = None) -> np.ndarray:
    return a.get() if isinstance(a, DeviceArray) else np.asarray(a)


# ---- Kernels ---------------------------------------------------------------------------------------------


class RawKernel:
    """A kernel of a RawModule: launches on the current stream."""

    def __init__(self, kernel: CpuKernel) -> None:
        self._kernel = kernel
        self.name = kernel.name

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[object], *, shared_mem: int = 0
    ) -> None:
        for number, argument in enumerate(args):
            if isinstance(argument, np.ndarray) and not isinstance(argument, DeviceArray):
                raise TypeError(f"{self.name}: argument {number} is an array of the host")
        streams.launch(self._kernel, grid, block, args, shared_mem)

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        return self._kernel.max_dynamic_shared_size_bytes

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, size: int) -> None:
        limit = _ATTRIBUTES["MaxSharedMemoryPerBlockOptin"]
        if size > limit:
            raise ValueError(
                f"{self.name}: {size} bytes of shared memory, the device has {limit} for a block"
            )
        self._kernel.max_dynamic_shared_size_bytes = size


def _raw_module(order: int, guard: bool) -> type:
    class RawModule:
        """The kernels of a source, as CuPy has them."""

        def __init__(
            self,
            code: str | None = None,
            *,
            path: str | None = None,
            options: Sequence[str] = (),
            backend: str = "nvrtc",
            enable_cooperative_groups: bool = False,
        ) -> None:
            if (code is None) == (path is None):
                raise TypeError("a RawModule takes code or path, one of them")
            text = code if code is not None else Path(str(path)).read_text(encoding="utf-8")
            together = enable_cooperative_groups
            self._module = CpuModule(text, options, order, guard=guard, enable_cooperative_groups=together)

        def compile(self, log_stream: object = None) -> None:
            """Compiled already."""

        def get_function(self, name: str) -> RawKernel:
            return RawKernel(self._module.get_function(name))

    return RawModule


# ---- The device ------------------------------------------------------------------------------------------


class Device:
    """The one device."""

    attributes = _ATTRIBUTES
    compute_capability = f"{_ATTRIBUTES['ComputeCapabilityMajor']}{_ATTRIBUTES['ComputeCapabilityMinor']}"
    mem_info = (8 << 30, 16 << 30)

    def __init__(self, device: int | None = None) -> None:
        if device not in (None, 0):
            raise RuntimeError(f"no device {device}: there is one, number 0")
        self.id = 0

    def __enter__(self) -> "Device":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def use(self) -> None:
        pass

    def synchronize(self) -> None:
        streams.refuse_capture("Device.synchronize")


def _properties(device: int) -> dict[str, Any]:
    return {
        "name": b"stand-in on the CPU",
        "major": _ATTRIBUTES["ComputeCapabilityMajor"],
        "minor": _ATTRIBUTES["ComputeCapabilityMinor"],
        "multiProcessorCount": MULTIPROCESSORS,
        "warpSize": 32,
        "totalGlobalMem": Device.mem_info[1],
        "sharedMemPerBlock": _ATTRIBUTES["MaxSharedMemoryPerBlock"],
        "sharedMemPerBlockOptin": _ATTRIBUTES["MaxSharedMemoryPerBlockOptin"],
        "maxThreadsPerMultiProcessor": THREADS_OF_A_MULTIPROCESSOR,
    }


# ---- The modules -----------------------------------------------------------------------------------------


def _module(name: str, doc: str, **members: Any) -> ModuleType:
    def missing(attribute: str) -> Any:
        raise AttributeError(f"the stand-in has no {name}.{attribute}; tests/cuda_on_cpu/cupy_standin.py")

    module = ModuleType(name, doc)
    vars(module).update(members, __getattr__=missing)
    return module


def _modules(order: int, guard: bool) -> dict[str, ModuleType]:
    runtime = _module(
        "cupy.cuda.runtime",
        "The stand-in's runtime.",
        getDeviceCount=lambda: 1,
        getDevice=lambda: 0,
        getDeviceProperties=_properties,
        deviceSynchronize=lambda: streams.refuse_capture("deviceSynchronize"),
        driverGetVersion=lambda: 12090,
        runtimeGetVersion=lambda: 12090,
    )
    cuda = _module(
        "cupy.cuda",
        "The stand-in's device.",
        __path__=[],
        Device=Device,
        Event=streams.Event,
        Graph=streams.Graph,
        Stream=streams.Stream,
        get_current_stream=streams.current,
        get_elapsed_time=streams.elapsed_time,
        is_available=lambda: True,
        runtime=runtime,
    )
    allocator = _Allocator(guard)
    makers = ("empty", "zeros", "ones", "full", "empty_like", "zeros_like", "ones_like", "full_like",
              "array", "asarray", "ascontiguousarray", "arange")  # fmt: skip
    cupy = _module(
        "cupy",
        "The stand-in.",
        __path__=[],
        __version__="14.0.0",
        RawModule=_raw_module(order, guard),
        asnumpy=_asnumpy,
        cuda=cuda,
        dtype=np.dtype,
        ndarray=DeviceArray,
        **{name: getattr(allocator, name) for name in makers},
        **{name: getattr(np, name) for name in _DTYPES},
    )
    return {"cupy": cupy, "cupy.cuda": cuda, "cupy.cuda.runtime": runtime}


@contextmanager
def standing_in(order: int = 0, guard: bool = False) -> Iterator[ModuleType]:
    """Within, `import cupy` gives the stand-in, which is the value too; afterwards what was there is back.

    `order` and `guard` are CpuModule's; with `guard` arrays are allocated against pages that fault.  A
    module that was imported within keeps the stand-in.
    """
    modules = _modules(order, guard)
    before = {name: sys.modules.get(name) for name in modules}
    entered = list(streams._entered)
    sys.modules.update(modules)
    try:
        yield modules["cupy"]
    finally:
        streams._entered[:] = entered
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
