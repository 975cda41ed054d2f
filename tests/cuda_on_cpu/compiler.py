"""Compiles kernel sources for the CPU with g++, each once: the libraries stay in a temporary folder."""

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from cuda_on_cpu import source
from cuda_on_cpu.errors import CompileError

_HERE = Path(__file__).parent
_HEADERS = ("cuda_on_cpu.h", "entries.h", "scheduler.h", "twins.h", "work.h")
_SCHEDULER = ("scheduler.cpp", "launch.cpp")

# Never -mtls-dialect=gnu2 (its resolver clobbers vector registers in glibc 2.36). Hidden, not unique symbols
# keep two modules apart. No fused multiply-adds: results do not depend on the processor. Kernels may read an
# array of floats as float4. A jump out of a fiber's stack is not an error (fortified longjmp says it is).
_COMMON = (
    "-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-U_FORTIFY_SOURCE", "-DCUDA_ON_CPU",
)  # fmt: skip
_KERNELS = (
    "-fno-extern-tls-init", "-ffp-contract=off", "-fno-strict-aliasing", "-Wno-unknown-pragmas",
)  # fmt: skip
_FAST = ("-O2",)
# Index checks of arrays with known bounds, and local variables that start as a pattern instead of by luck.
_STRICT = (
    "-O0",
    "-fsanitize=bounds,shift,integer-divide-by-zero,signed-integer-overflow",
    "-fsanitize-undefined-trap-on-error",
    "-ftrivial-auto-var-init=pattern",
)


def _missing() -> str:
    """What keeps kernels from running here, or an empty text."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "kernels run on the CPU under Linux on x86-64 only"
    return "" if shutil.which("g++") else "g++ is not installed"


# Under CI=true nothing is skipped: there a missing compiler is a failure.
requires_compiler = pytest.mark.skipif(bool(_missing()) and os.environ.get("CI") != "true", reason=_missing())


def defines(options: Iterable[str]) -> list[str]:
    """The macro definitions among NVRTC's options, as g++ takes them; the rest concerns the GPU."""
    found, values = [], iter(options)
    for option in values:
        if option in ("-D", "--define-macro"):
            found.append("-D" + next(values, ""))
        elif option.startswith("-D"):
            found.append("-D" + option[2:].strip())
        elif option.startswith("--define-macro="):
            found.append("-D" + option.removeprefix("--define-macro="))
    return found


def preprocess(code: str, macros: Sequence[str]) -> str:
    """The source after the preprocessor, with the words of CUDA left in place."""
    command = ["g++", "-E", "-P", "-x", "c++", "-std=c++17", "-DCUDA_ON_CPU", *macros, "-"]
    target = _cache() / f"{_digest(_own_text(), code, *command)}.txt"
    if not target.exists():
        _build(command, code, target)
    return target.read_text(encoding="utf-8")


def library(code: str, preprocessed: str, macros: Sequence[str], strict: bool) -> Path:
    """The shared library of a source, compiled unless that was done before."""
    flags = [*_COMMON, *_KERNELS, *(_STRICT if strict else _FAST), *macros]
    text = f'#line 1 "kernel.cu"\n{code}\n{source.ending(preprocessed)}'
    target = _cache() / f"{_digest(_own_text(), text, *flags)}.so"
    if not target.exists():
        objects = [str(_object(name)) for name in _SCHEDULER]
        include = [f"-I{_HERE}", "-include", "cuda_on_cpu.h"]
        _build(["g++", *flags, *include, "-shared", "-x", "c++", "-", "-x", "none", *objects], text, target)
    return target


def _object(name: str) -> Path:
    flags = [*_COMMON, "-O2"]
    target = _cache() / f"{_digest(_own_text(), name, *flags)}.o"
    if not target.exists():
        _build(["g++", *flags, "-c", str(_HERE / name)], "", target)
    return target


def _build(command: list[str], text: str, target: Path) -> None:
    """Runs a command that writes `target`, which appears whole or not at all."""
    part = target.with_suffix(f".{os.getpid()}.part")
    try:
        _run([*command, "-o", str(part)], text)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _run(command: list[str], text: str) -> str:
    if missing := _missing():
        raise CompileError(missing)
    done = subprocess.run(command, input=text, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise CompileError(done.stderr[:4000])
    return done.stdout


def _cache() -> Path:
    folder = Path(tempfile.gettempdir()) / f"chainrule-cuda-on-cpu-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise CompileError(f"{folder} belongs to somebody else: what lies there is not loaded")
    return folder


@functools.cache
def _own_text() -> str:
    """All that goes into every library but the source: the compiler, the headers, the scheduler."""
    version = _run(["g++", "-dumpfullversion"], "")
    return version + "".join((_HERE / name).read_text(encoding="utf-8") for name in (*_HEADERS, *_SCHEDULER))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]
