"""CpuModule: a kernel source that runs on the CPU over NumPy arrays, called as a cupy.RawModule is."""

import _ctypes
import ctypes
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cuda_on_cpu import compiler, source
from cuda_on_cpu.compiler import requires_compiler
from cuda_on_cpu.errors import CompileError, CudaOnCpuError
from cuda_on_cpu.guard import Guard, address

__all__ = ["CompileError", "CpuKernel", "CpuModule", "CudaOnCpuError", "requires_compiler"]

# What devices of compute capability 7.0 and up have in common.
_MAX_GRID = (2**31 - 1, 65535, 65535)
_MAX_BLOCK = (1024, 1024, 64)
_SHARED_BY_DEFAULT = 48 * 1024
_SECONDS = 60  # of processor time for a launch

# The imagined device, on which a cooperative launch must fit.
MULTIPROCESSORS = 6
THREADS_OF_A_MULTIPROCESSOR = 2048


class _Launch(ctypes.Structure):
    _fields_ = (
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared_bytes", ctypes.c_ulonglong),
        ("order", ctypes.c_int),
        ("cooperative", ctypes.c_int),
        ("seconds", ctypes.c_double),
    )


class _Fault(ctypes.Structure):
    _fields_ = (
        ("message", ctypes.c_char * 512),
        ("thread", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("access", ctypes.c_int),
        ("address", ctypes.c_ulonglong),
    )


class CpuModule:
    """The kernels of a CUDA C source.

    `options` are NVRTC's; macro definitions count here.  Threads and blocks run in ascending order (`order`
    0), in descending order (1), or shuffled with `order` as the seed (from 2 on): a kernel that gives
    different results lacks a barrier.  `guard` puts every argument between pages that fault.  `strict` also
    checks the subscripts of arrays with known bounds, integer overflow and shifts.  With
    `enable_cooperative_groups` all blocks of a launch live at once and may meet at cuda_on_cpu::grid_sync().

    Each module has its own `__device__` variables.  Raises CompileError with the compiler's log.
    """

    def __init__(
        self,
        code: str,
        options: Sequence[str] = (),
        order: int = 0,
        strict: bool = False,
        guard: bool = False,
        enable_cooperative_groups: bool = False,
        seconds: float = _SECONDS,
    ) -> None:
        macros = compiler.defines(options)
        preprocessed = compiler.preprocess(code, macros)
        self.order = order
        self.guard = guard
        self.cooperative = enable_cooperative_groups
        self.seconds = seconds
        self.vectors = source.uses_vector_types(preprocessed)
        self._texts = {kernel.name: kernel for kernel in source.kernels(preprocessed)}
        self._library = _load(compiler.library(code, preprocessed, macros, strict))
        weakref.finalize(self, _ctypes.dlclose, self._library._handle)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the kernels, in the order of the source."""
        return tuple(self._texts)

    def compile(self, log_stream: object = None) -> None:
        """Does nothing: a module is compiled from the start. CuPy's is not."""

    def get_function(self, name: str) -> "CpuKernel":
        """The kernel of this name."""
        if name not in self._texts:
            raise CudaOnCpuError(f"no kernel {name}: the source has {', '.join(self._texts) or 'none'}")
        return CpuKernel(self, self._texts[name], self._library)


class CpuKernel:
    """One kernel; call it as kernel(grid, block, arguments, shared_mem=bytes)."""

    def __init__(self, module: CpuModule, text: source.KernelText, library: ctypes.CDLL) -> None:
        self.name = text.name
        # CuPy's attribute: more than 48 KiB of shared memory must be asked for.
        self.max_dynamic_shared_size_bytes = _SHARED_BY_DEFAULT
        self._module = module
        self._text = text
        self._launch = library[f"cuda_on_cpu_launch_{text.name}"]
        self._max_threads = library[f"cuda_on_cpu_max_threads_{text.name}"]()
        signature = library[f"cuda_on_cpu_signature_{text.name}"]
        signature.restype = ctypes.c_char_p
        codes = signature().decode().split()
        self._pointer = [code[0] in "*=" for code in codes]
        self._written = [code[0] == "*" for code in codes]
        self._dtypes = [np.dtype(code.lstrip("*=")) for code in codes]

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[object], *, shared_mem: int = 0
    ) -> None:
        """Runs the kernel to its end.

        Arguments are C-contiguous arrays of the very dtype for pointers (float4* takes float32) and NumPy
        scalars of the very dtype for the rest.  Raises TypeError for anything else, and CudaOnCpuError,
        which names kernel, thread and block, for what CUDA does not allow.
        """
        self.check(args)
        launch = self._configuration(grid, block, shared_mem)
        arrays = [a for a in args if isinstance(a, np.ndarray)]
        written = [w for w, pointer in zip(self._written, self._pointer, strict=True) if pointer]
        guard = Guard(arrays, written, self._module.vectors) if self._module.guard else None
        addresses = iter(guard.addresses if guard else [address(array) for array in arrays])
        holders = [
            ctypes.c_void_p(next(addresses)) if pointer else ctypes.create_string_buffer(scalar.tobytes())
            for scalar, pointer in zip(args, self._pointer, strict=True)
        ]
        pointers = (ctypes.c_void_p * len(holders))(*map(ctypes.addressof, holders))
        fault = _Fault()
        failed = self._launch(ctypes.byref(launch), pointers, ctypes.byref(fault))
        if failed:
            raise CudaOnCpuError(self._describe(fault, guard))
        if guard:
            self._check_surroundings(guard)
            guard.finish()

    def check(self, args: Sequence[object]) -> None:
        """Raises TypeError unless the arguments are what the kernel takes, as CuPy never does."""
        if not isinstance(args, tuple | list):
            raise TypeError(f"{self.name}: arguments are a tuple, not {type(args).__name__}")
        if len(args) != len(self._dtypes):
            names = ", ".join(self._text.parameters)
            raise TypeError(
                f"{self.name}: {len(args)} arguments for {len(self._dtypes)} parameters ({names})"
            )
        for i, (argument, dtype, pointer) in enumerate(zip(args, self._dtypes, self._pointer, strict=True)):
            if pointer:
                good = (
                    isinstance(argument, np.ndarray)
                    and argument.dtype == dtype
                    and argument.flags.c_contiguous
                )
                wanted = f"a C-contiguous array of {dtype}"
            else:
                good = isinstance(argument, np.generic) and argument.dtype == dtype
                wanted = f"a NumPy scalar, {dtype}"
            if not good:
                raise TypeError(f"{self.name}: {self._parameter(i)} is {wanted}, not {_describe(argument)}")

    def _configuration(self, grid: tuple[int, ...], block: tuple[int, ...], shared_mem: int) -> _Launch:
        grids = self._three("grid", grid, _MAX_GRID)
        blocks = self._three("block", block, _MAX_BLOCK)
        threads = int(np.prod(blocks))
        if threads > self._max_threads:
            raise CudaOnCpuError(
                f"{self.name}: a block of {threads} threads, {self._max_threads} are allowed"
            )
        if not 0 <= shared_mem <= min(self.max_dynamic_shared_size_bytes, source.SHARED_CAPACITY):
            raise CudaOnCpuError(
                f"{self.name}: {shared_mem} bytes of dynamic shared memory, at most "
                f"{self.max_dynamic_shared_size_bytes} are allowed (max_dynamic_shared_size_bytes)"
            )
        room = MULTIPROCESSORS * (THREADS_OF_A_MULTIPROCESSOR // threads)
        if self._module.cooperative and int(np.prod(grids)) > room:
            raise CudaOnCpuError(
                f"{self.name}: a cooperative launch of {int(np.prod(grids))} blocks of {threads} threads; "
                f"{room} fit on {MULTIPROCESSORS} multiprocessors"
            )
        module = self._module
        return _Launch(grids, blocks, shared_mem, module.order, module.cooperative, module.seconds)

    def _three(self, what: str, sizes: tuple[int, ...], limits: tuple[int, ...]) -> tuple[int, ...]:
        if not isinstance(sizes, tuple) or not 1 <= len(sizes) <= 3:
            raise TypeError(f"{self.name}: {what} is a tuple of one to three numbers, not {sizes!r}")
        padded = (*(int(size) for size in sizes), 1, 1)[:3]
        if any(not 1 <= size <= limit for size, limit in zip(padded, limits, strict=True)):
            raise CudaOnCpuError(f"{self.name}: {what} {sizes} is outside 1 … {limits}")
        return padded

    def _describe(self, fault: _Fault, guard: Guard | None) -> str:
        message = fault.message.decode()
        if fault.access:
            place = guard.locate(fault.address) if guard else None
            message += f" of {place[1]} of {self._parameter(self._array(place[0]))}" if place else ""
        thread, block = (",".join(map(str, where)) for where in (fault.thread, fault.block))
        return f"{self.name}: {message}; thread ({thread}) of block ({block})"

    def _check_surroundings(self, guard: Guard) -> None:
        if broken := guard.broken():
            raise CudaOnCpuError(
                f"{self.name}: out-of-bounds write {broken[1]} of {self._parameter(self._array(broken[0]))}"
            )

    def _array(self, number: int) -> int:
        """The number among all parameters of the pointer with this number among the pointers."""
        return [i for i, pointer in enumerate(self._pointer) if pointer][number]

    def _parameter(self, number: int) -> str:
        return f"argument {number} ({self._text.parameters[number]})"


def _describe(argument: object) -> str:
    if isinstance(argument, np.ndarray):
        order = "" if argument.flags.c_contiguous else "a non-contiguous "
        return f"{order}array of {argument.dtype}" if order else f"an array of {argument.dtype}"
    if isinstance(argument, np.generic):
        return f"a scalar, {argument.dtype}"
    return f"{type(argument).__name__} {argument!r}"[:60]


def _load(path: Path) -> ctypes.CDLL:
    """The library, from a copy: the loader gives every module of its own file its own variables."""
    with tempfile.NamedTemporaryFile(suffix=".so") as copy:
        shutil.copyfile(path, copy.name)
        # PyDLL: Python waits meanwhile, and none of its other threads sees our signal handlers.
        return ctypes.PyDLL(copy.name)
