"""C programs against NumPy programs of the same specs: outputs, losses, gradients, ten steps.

    python tests/c_agreement.py FOLDER

compiles some with the sanitizers of addresses and of undefined behaviour and runs them.  Python loads these
libraries where libasan.so is preloaded.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from random_images import fewest, image_spec
from random_specs import Built, build, random_spec

from chainrule.codegen.frame import Frame, frame
from chainrule.codegen.target import Target
from chainrule.codegen.targets import target
from chainrule.codegen.targets.c.naming import identifier
from chainrule.codegen.targets.c.sources import SOURCE, source
from chainrule.derive.deriving import derive_network

COMPILERS = [name for name in ("gcc", "clang", "clang-14") if shutil.which(name)]
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
FLAGS = ("-O2", "-std=c11", "-fno-math-errno", "-ffp-contract=fast", "-shared", "-fPIC", "-pthread")
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
ALONE = "ALONE = 20000000"  # operations below which one thread is faster than several
CLOSE = {"double": (1e-10, 1e-9), "float": (1e-4, 1e-4)}  # at once, and after ten steps
Array = np.ndarray[Any, Any]


class Library:
    """A compiled program; each method is a function of trainer.h on arrays of its floats.

    Several threads are used however small the network.
    """

    def __init__(
        self,
        built: Built,
        folder: Path,
        samples: int,
        threads: int,
        compiler: str = "",
        made_by: Target | None = None,
        real: str = "double",
        flags: Sequence[str] = (),
    ) -> None:
        derivation = derive_network(built.spec)
        numpy = target("numpy")
        around: Frame = frame(derivation, numpy.program(derivation))
        files = source((made_by or target("c")).program(derivation), around)
        assert ALONE in files[SOURCE]
        for path, text in files.items():
            (folder / Path(path).name).write_text(text.replace(ALONE, "ALONE = 0"))
        library = folder / f"{identifier(built.spec.name)}_{real}.so"  # a name is loaded once
        command = [
            compiler or COMPILERS[0],
            *FLAGS,
            *WARNINGS,
            *flags,
            f"-DREAL={real}",
            str(folder / Path(SOURCE).name),
        ]
        subprocess.run([*command, "-o", str(library), "-lm"], check=True)
        self.functions, self.name = ctypes.CDLL(str(library)), identifier(built.spec.name)
        self.samples = samples
        opened = self._function("open", ctypes.c_void_p)(ctypes.c_long(samples), threads)
        self.workspace = ctypes.c_void_p(opened)
        assert opened

    def _function(self, name: str, result: Any = ctypes.c_double) -> Any:
        function = getattr(self.functions, f"{self.name}_{name}")
        function.restype = result
        return function

    def call(self, name: str, *arguments: Any) -> float:
        given = [ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else a for a in arguments]
        value = self._function(name)(self.workspace, *given)
        return float(value)

    def close(self) -> None:
        self._function("close", None)(self.workspace)


def far(found: Array | float, wanted: Array | float) -> float:
    """Return the greatest difference, beside the greatest value."""
    return float(np.max(np.abs(np.subtract(found, wanted))) / (1e-300 + np.max(np.abs(wanted))))


def flat(parts: Any, names: Any, dtype: Any = np.float64) -> Array:
    return np.concatenate([np.asarray(parts[name], dtype).ravel() for name in names] or [np.empty(0, dtype)])


def agrees(
    built: Built,
    folder: Path,
    samples: int,
    threads: int,
    made_by: Target | None = None,
    real: str = "double",
    flags: Sequence[str] = (),
) -> None:
    """Assert that a C program computes what the NumPy program does in double."""
    program, rng = built.program, np.random.default_rng(1)
    module: Any = program.module
    library = Library(built, folder, samples, threads, made_by=made_by, real=real, flags=flags)
    dtype: Any = np.float64 if real == "double" else np.float32
    near, later = CLOSE[real]
    x = rng.normal(size=(samples, *program.input_shape)).astype(dtype)
    if program.target_kind == "labels":
        t: Array = rng.integers(0, program.output_shape[-1], samples).astype(np.int32)
    else:
        t = rng.uniform(0.1, 0.9, (samples, *program.output_shape))
        t = (t / t.sum(axis=-1, keepdims=True) if module.OUTPUT[-1] > 1 else t).astype(dtype)
    p = module.init_parameters(3, dtype)
    theta, statistics = flat(p, module.PARAMETERS, dtype), flat(p, module.STATISTICS, dtype)
    q = {name: value.astype(np.float64) for name, value in p.items()}
    x64, t64 = x.astype(np.float64), t if program.target_kind == "labels" else t.astype(np.float64)
    N, seed = ctypes.c_long(samples), ctypes.c_uint64(7)

    y, g, dx = np.empty((samples, *program.output_shape), dtype), np.empty_like(theta), np.empty_like(x)
    library.call("predict", theta, statistics, x, N, y)
    assert far(y, module.predict(q, x64)) < near
    found = library.call("evaluation_loss", theta, statistics, x, t, N)
    assert far(found, module.evaluation_loss(q, x64, t64)) < near
    loss, gradients = module.loss_and_gradients(q, x64, t64, seed=7)
    assert far(library.call("loss_and_gradients", theta, statistics, x, t, N, seed, g), loss) < near
    assert far(g, flat(gradients, module.PARAMETERS)) < near
    library.call("input_gradient", theta, statistics, x, t, N, seed, dx)
    assert far(dx, module.input_gradient(q, x64, t64, seed=7)) < near

    state = module.init_optimizer(q)
    vectors = [np.array(value, dtype) for value in state.values() if isinstance(value, np.ndarray)]
    addresses = (ctypes.c_void_p * max(1, len(vectors)))(*(v.ctypes.data for v in vectors))
    for k in range(1, 11):
        steps = (ctypes.c_uint64(k), ctypes.c_long(k), ctypes.c_long(int(state.get("steps", 0))), None)
        value = library.call("step", theta, statistics, addresses, x, t, N, *steps)
        assert far(value, module.train_step(q, x64, t64, state, seed=k)) < later
    assert far(theta, flat(q, module.PARAMETERS)) < later
    if module.STATISTICS:
        assert far(statistics, flat(q, module.STATISTICS)) < later
    library.close()


def shipped(name: str) -> Built:
    path = Path(__file__).parents[1] / "examples" / f"{name}.toml"
    return build(path.read_text(), path.name)


def dense(seed: int) -> tuple[Built, int, int]:
    """Return a random dense network, samples and threads."""
    return build(random_spec(seed)), 1 + seed % 7, 1 + seed % 3


def images(seed: int) -> tuple[Built, int, int]:
    """Return a random network for images, samples and threads; some normalize, and need several samples."""
    return build(image_spec(seed)), max(fewest(seed), 1 + seed % 5), 1 + seed % 3


if __name__ == "__main__":
    for number, network in enumerate((dense(28), dense(57), images(4), images(13), images(25))):
        folder = Path(sys.argv[1]) / str(number)
        folder.mkdir()
        agrees(network[0], folder, *network[1:], flags=SANITIZED)
