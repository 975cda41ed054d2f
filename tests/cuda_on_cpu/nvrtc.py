"""Compiles CUDA C for real architectures with NVRTC, through ctypes: no GPU, no driver, no CuPy.

Each library comes with a wheel, and both can be loaded at once: 12.9 takes sm_50 to sm_121, 13.5 begins at
sm_75.
"""

import ctypes
import functools
import importlib.metadata
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

# What CuPy adds to the options of every RawModule.
CUPY_OPTIONS = ("-ftz=true", "--std=c++17")


@dataclass(frozen=True)
class Nvrtc:
    """The compiler of one CUDA, by the wheel that it comes with."""

    wheel: str

    def path(self) -> str | None:
        """Where the library is, None where the wheel is not installed."""
        try:
            files = importlib.metadata.files(self.wheel) or []
        except importlib.metadata.PackageNotFoundError:
            return None
        return next((str(f.locate()) for f in files if re.fullmatch(r"libnvrtc\.so\.\d+", f.name)), None)

    @functools.cached_property
    def library(self) -> ctypes.CDLL:
        path = self.path()
        if path is None:
            raise NvrtcError(f"NVRTC is not installed: pip install {self.wheel}")
        library = ctypes.CDLL(path)
        library.nvrtcGetErrorString.restype = ctypes.c_char_p
        return library

    def call(self, name: str, *arguments: object) -> None:
        if code := getattr(self.library, name)(*arguments):
            raise NvrtcError(f"{name}: {self.library.nvrtcGetErrorString(code).decode()}")

    def architectures(self) -> list[str]:
        """What it compiles for, from the oldest on: ["sm_75", "sm_80", …]."""
        count = ctypes.c_int()
        self.call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        numbers = (ctypes.c_int * count.value)()
        self.call("nvrtcGetSupportedArchs", numbers)
        return [f"sm_{number}" for number in numbers]

    def compiled(self, source: str, arch: str, options: Sequence[str] = ()) -> tuple[bytes, str]:
        """The machine code of a source and the log; raises NvrtcError with that."""
        program = ctypes.c_void_p()
        self.call("nvrtcCreateProgram", ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
        try:
            flags = [f"--gpu-architecture={arch}".encode(), *(option.encode() for option in options)]
            given = (ctypes.c_char_p * len(flags))(*flags)
            code = self.library.nvrtcCompileProgram(program, len(flags), given)
            log = self.text(program, "ProgramLog").rstrip(b"\0").decode()
            if code:
                raise NvrtcError(log or self.library.nvrtcGetErrorString(code).decode())
            return self.text(program, "CUBIN"), log
        finally:
            self.call("nvrtcDestroyProgram", ctypes.byref(program))

    def text(self, program: ctypes.c_void_p, what: str) -> bytes:
        """The log or the machine code of a program: its size is asked for first."""
        size = ctypes.c_size_t()
        self.call(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        self.call(f"nvrtcGet{what}", program, buffer)
        return buffer.raw


CUDA12, CUDA13 = Nvrtc("nvidia-cuda-nvrtc-cu12"), Nvrtc("nvidia-cuda-nvrtc")


def requires(*compilers: Nvrtc) -> pytest.MarkDecorator:
    """Skips a test where a compiler's wheel is missing; under CI=true, where nothing is skipped, it fails."""
    missing = [each.wheel for each in compilers if each.path() is None]
    return pytest.mark.skipif(
        bool(missing) and os.environ.get("CI") != "true", reason=f"pip install {' '.join(missing)}"
    )


requires_nvrtc = requires(CUDA12)


def target(compiler: Nvrtc, arch: str) -> object:
    """A compiler and an architecture, as parameters of a test that is skipped without that compiler."""
    return pytest.param(compiler, arch, id=f"{compiler.wheel}-{arch}", marks=requires(compiler))


class NvrtcError(RuntimeError):
    """NVRTC refused the source; the message is its log."""


@dataclass(frozen=True)
class Resources:
    """What a thread of a kernel uses (registers; spills and stack in bytes) and a block (shared bytes)."""

    registers: int
    spill_stores: int
    spill_loads: int
    stack: int
    shared: int


def compile_cubin(source: str, arch: str, options: Sequence[str] = (), compiler: Nvrtc = CUDA12) -> bytes:
    """The machine code of a source for an architecture ("sm_80"); raises NvrtcError with the log."""
    return compiler.compiled(source, arch, options)[0]


def resources(
    source: str, arch: str, options: Sequence[str] = (), compiler: Nvrtc = CUDA12
) -> dict[str, Resources]:
    """What each kernel of a source uses on an architecture, as ptxas says."""
    return _parse(compiler.compiled(source, arch, (*options, "--ptxas-options=-v"))[1])


_ENTRY = re.compile(r"Compiling entry function '(\w+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_REGISTERS = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


def _parse(log: str) -> dict[str, Resources]:
    """Reads the log of ptxas, which has one part for each kernel."""
    found = {}
    for part in re.split(r"(?=Compiling entry function)", log)[1:]:
        entry, stack, registers = _ENTRY.search(part), _STACK.search(part), _REGISTERS.search(part)
        if not (entry and stack and registers):
            raise NvrtcError(f"the log of ptxas reads otherwise than expected:\n{part}")
        frame, stores, loads = map(int, stack.groups())
        shared = _SHARED.search(part)
        found[entry[1]] = Resources(int(registers[1]), stores, loads, frame, int(shared[1]) if shared else 0)
    return found
