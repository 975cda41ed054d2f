"""C programs against NumPy programs of the same specs, in double: outputs, losses, gradients, ten steps."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_images import image_spec
from random_specs import Built, build, random_spec

from chainrule.codegen.frame import Frame, frame
from chainrule.codegen.target import Target
from chainrule.codegen.targets import target
from chainrule.codegen.targets.c.naming import identifier
from chainrule.codegen.targets.c.sources import HEADER, SOURCE, source
from chainrule.derive.deriving import derive_network

COMPILERS = [name for name in ("gcc", "clang", "clang-14") if shutil.which(name)]
WARNINGS = ("-Wall", "-Wextra", "-Werror")
FLAGS = ("-O2", "-std=gnu11", "-fno-math-errno", "-ffp-contract=fast", "-shared", "-fPIC", "-pthread")
SHIPPED = ("and", "xor_no_bias", "mnist_mlp", "lenet5")
Array = np.ndarray[Any, Any]

pytestmark = pytest.mark.skipif(not COMPILERS, reason="no C compiler")


class Library:
    """A compiled program; each method is a function of trainer.h on arrays of doubles."""

    def __init__(
        self,
        built: Built,
        folder: Path,
        samples: int,
        threads: int,
        compiler: str = "",
        made_by: Target | None = None,
    ) -> None:
        derivation = derive_network(built.spec)
        numpy = target("numpy")
        around: Frame = frame(derivation, numpy.program(derivation))
        files = source((made_by or target("c")).program(derivation), around)
        for path, text in files.items():
            (folder / Path(path).name).write_text(text)
        library = folder / "trainer.so"
        command = [
            compiler or COMPILERS[0],
            *FLAGS,
            *WARNINGS,
            "-DREAL=double",
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


def flat(parts: Any, names: Any) -> Array:
    return np.concatenate([np.asarray(parts[name], np.float64).ravel() for name in names] or [np.empty(0)])


def agrees(built: Built, folder: Path, samples: int, threads: int, made_by: Target | None = None) -> None:
    """Assert that a C program computes what the NumPy program does."""
    program, rng = built.program, np.random.default_rng(1)
    module: Any = program.module
    library = Library(built, folder, samples, threads, made_by=made_by)
    x = rng.normal(size=(samples, *program.input_shape))
    if program.target_kind == "labels":
        t: Array = rng.integers(0, program.output_shape[-1], samples).astype(np.int32)
    else:
        t = rng.uniform(0.1, 0.9, (samples, *program.output_shape))
        t /= t.sum(axis=-1, keepdims=True) if module.OUTPUT[-1] > 1 else 1
    p = module.init_parameters(3, np.float64)
    theta, statistics = flat(p, module.PARAMETERS), flat(p, module.STATISTICS)
    q = {name: value.copy() for name, value in p.items()}
    N, seed = ctypes.c_long(samples), ctypes.c_uint64(7)

    y, g, dx = np.empty((samples, *program.output_shape)), np.empty_like(theta), np.empty_like(x)
    library.call("predict", theta, statistics, x, N, y)
    assert far(y, module.predict(q, x)) < 1e-10
    assert (
        far(library.call("evaluation_loss", theta, statistics, x, t, N), module.evaluation_loss(q, x, t))
        < 1e-10
    )
    loss, gradients = module.loss_and_gradients(q, x, t, seed=7)
    assert far(library.call("loss_and_gradients", theta, statistics, x, t, N, seed, g), loss) < 1e-10
    assert far(g, flat(gradients, module.PARAMETERS)) < 1e-10
    library.call("input_gradient", theta, statistics, x, t, N, seed, dx)
    assert far(dx, module.input_gradient(q, x, t, seed=7)) < 1e-10

    state = module.init_optimizer(q)
    vectors = [np.array(value) for value in state.values() if isinstance(value, np.ndarray)]
    addresses = (ctypes.c_void_p * max(1, len(vectors)))(*(v.ctypes.data for v in vectors))
    for k in range(1, 11):
        steps = (ctypes.c_uint64(k), ctypes.c_long(k), ctypes.c_long(int(state.get("steps", 0))), None)
        value = library.call("step", theta, statistics, addresses, x, t, N, *steps)
        assert far(value, module.train_step(q, x, t, state, seed=k)) < 1e-9
    assert far(theta, flat(q, module.PARAMETERS)) < 1e-9
    if module.STATISTICS:
        assert far(statistics, flat(q, module.STATISTICS)) < 1e-9
    library.close()


def shipped(name: str) -> Built:
    path = Path(__file__).parents[1] / "examples" / f"{name}.toml"
    return build(path.read_text(), path.name)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize(("samples", "threads"), [(1, 1), (33, 2)])
def test_a_shipped_network(name: str, samples: int, threads: int, tmp_path: Path) -> None:
    agrees(shipped(name), tmp_path, samples, threads)


@pytest.mark.parametrize("seed", range(0, 200, 14))
def test_a_dense_network(seed: int, tmp_path: Path) -> None:
    agrees(build(random_spec(seed)), tmp_path, 1 + seed % 7, 1 + seed % 3)


@pytest.mark.parametrize("seed", range(0, 60, 6))
def test_a_network_for_images(seed: int, tmp_path: Path) -> None:
    agrees(build(image_spec(seed)), tmp_path, 1 + seed % 5, 1 + seed % 3)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_compiler_has_nothing_to_warn_of(compiler: str, tmp_path: Path) -> None:
    Library(shipped("lenet5"), tmp_path, 1, 1, compiler).close()


def test_the_same_threads_give_the_same_bits(tmp_path: Path) -> None:
    built = shipped("lenet5")
    library = Library(built, tmp_path, 64, 3)
    module: Any = built.program.module
    rng = np.random.default_rng(0)
    x, t = rng.random((64, *built.program.input_shape)), rng.integers(0, 10, 64).astype(np.int32)
    theta = flat(module.init_parameters(0, np.float64), module.PARAMETERS)
    given = (theta, np.empty(0), x, t, ctypes.c_long(64), ctypes.c_uint64(0))
    found = []
    for _ in range(5):
        g = np.empty_like(theta)
        library.call("loss_and_gradients", *given, g)
        found.append(g.tobytes())
    library.close()
    assert len(set(found)) == 1


def test_a_name_is_one_in_c() -> None:
    assert [identifier(name) for name in ("mnist_mlp", "3-layers", "é")] == ["mnist_mlp", "n3_layers", "_"]
    assert Path(HEADER).name == "trainer.h"
