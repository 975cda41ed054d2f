"""Compiles CUDA C for real architectures with NVRTC, through ctypes: no GPU, no driver, no CuPy.

The library comes with the wheel nvidia-cuda-nvrtc-cu12; 12.9 takes sm_50 to sm_121.
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

_WHEEL = "nvidia-cuda-nvrtc-cu12"


def _library_path() -> str | None:
    try:
        files = importlib.metadata.files(_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((str(f.locate()) for f in files if re.fullmatch(r"libnvrtc\.so\.\d+", f.name)), None)


# Under CI=true nothing is skipped: there a missing wheel is a failure.
requires_nvrtc = pytest.mark.skipif(
    _library_path() is None and os.environ.get("CI") != "true", reason=f"pip install {_WHEEL}"
)


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


def compile_cubin(source: str, arch: str, options: Sequence[str] = ()) -> bytes:
    """The machine code of a source for an architecture ("sm_80"); raises NvrtcError with the log."""
    return _compile(source, arch, options)[0]


def resources(source: str, arch: str, options: Sequence[str] = ()) -> dict[str, Resources]:
    """What each kernel of a source uses on an architecture, as ptxas says."""
    return _parse(_compile(source, arch, (*options, "--ptxas-options=-v"))[1])


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


@functools.cache
def _library() -> ctypes.CDLL:
    path = _library_path()
    if path is None:
        raise NvrtcError(f"NVRTC is not installed: pip install {_WHEEL}")
    library = ctypes.CDLL(path)
    library.nvrtcGetErrorString.restype = ctypes.c_char_p
    return library


def _call(name: str, *arguments: object) -> None:
    library = _library()
    if code := getattr(library, name)(*arguments):
        raise NvrtcError(f"{name}: {library.nvrtcGetErrorString(code).decode()}")


def _text(program: ctypes.c_void_p, what: str) -> bytes:
    """The log or the machine code of a program: its size is asked for first."""
    size = ctypes.c_size_t()
    _call(f"nvrtcGet{what}Size", program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    _call(f"nvrtcGet{what}", program, buffer)
    return buffer.raw


def _compile(source: str, arch: str, options: Sequence[str]) -> tuple[bytes, str]:
    program = ctypes.c_void_p()
    _call("nvrtcCreateProgram", ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
    try:
        flags = [f"--gpu-architecture={arch}".encode(), *(option.encode() for option in options)]
        code = _library().nvrtcCompileProgram(program, len(flags), (ctypes.c_char_p * len(flags))(*flags))
        log = _text(program, "ProgramLog").rstrip(b"\0").decode()
        if code:
            raise NvrtcError(log or _library().nvrtcGetErrorString(code).decode())
        return _text(program, "CUBIN"), log
    finally:
        _call("nvrtcDestroyProgram", ctypes.byref(program))
