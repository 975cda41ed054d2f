"""Programs that are compiled, compiled ahead of their first use."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.runtime.errors import DeviceError
from chainrule.runtime.program import import_program, read_manifest


def compiler_at_hand() -> bool:
    """Whether there seems to be a C compiler: $CC, or one of those that programs look for."""
    named = os.environ.get("CC", "").strip()
    return bool(named or any(map(shutil.which, ("gcc", "clang", "cc"))) or find_spec("ziglang"))


@dataclass(frozen=True)
class Libraries:
    """Where they lie, what compiled them, and the seconds that it took, few where they were kept."""

    paths: tuple[Path, ...]
    compiler: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {
            "libraries": [str(path) for path in self.paths],
            "compiler": self.compiler,
            "seconds": round(self.seconds, 3),
        }

    def to_text(self) -> str:
        return "\n".join([*map(str, self.paths), f"  {self.compiler}, {self.seconds:.1f} s"])


def compile_program(folder: Path, target: str, portable: bool = False) -> Libraries:
    """Compile the program of a target in a generated folder for this machine, into the user's cache.

    With `portable`, for all processors that the compiler knows, beside the program, where it finds them.
    Raises RunError, and DeviceError where there is no compiler that does it.
    """
    manifest = read_manifest(folder)
    module: Any = import_program(folder / str(manifest["targets"][target]))
    begin = time.perf_counter()
    try:
        if portable:
            paths, compiler = module.portable()
        else:
            path, compiler = module.library_found(np.float32)
            paths = [path]
    except module.CompilerMissing as error:
        raise DeviceError(f"{manifest['name']}: {error}") from error
    return Libraries(tuple(paths), compiler, time.perf_counter() - begin)
