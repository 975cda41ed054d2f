"""C programs against NumPy programs of the same specs, under sanitizers, and without a warning."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_agreement import COMPILERS, Library, agrees, dense, flat, images, shipped
from random_specs import build, random_spec

from chainrule.codegen.targets.c.naming import identifier
from chainrule.codegen.targets.c.sources import HEADER

SHIPPED = ("and", "xor_no_bias", "mnist_mlp", "lenet5")

pytestmark = pytest.mark.skipif(not COMPILERS, reason="no C compiler")


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize(("samples", "threads"), [(1, 1), (33, 2)])
def test_a_shipped_network(name: str, samples: int, threads: int, tmp_path: Path) -> None:
    agrees(shipped(name), tmp_path, samples, threads)


@pytest.mark.parametrize("seed", [*range(0, 200, 14), 183])
def test_a_dense_network(seed: int, tmp_path: Path) -> None:
    built, samples, threads = dense(seed)
    agrees(built, tmp_path, samples, threads)


@pytest.mark.parametrize("seed", range(0, 60, 6))
def test_a_network_for_images(seed: int, tmp_path: Path) -> None:
    built, samples, threads = images(seed)
    agrees(built, tmp_path, samples, threads)


@pytest.mark.parametrize(("made", "seed"), [(dense, 14), (dense, 42), (images, 6), (images, 24)])
def test_a_program_in_float(made: Any, seed: int, tmp_path: Path) -> None:
    built, samples, threads = made(seed)
    agrees(built, tmp_path, samples, threads, real="float")


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("real", ["float", "double"])
def test_a_compiler_has_nothing_to_warn_of(compiler: str, real: str, tmp_path: Path) -> None:
    Library(shipped("lenet5"), tmp_path, 1, 1, compiler, real=real).close()
    Library(images(12)[0], tmp_path, 2, 1, compiler, real=real).close()
    planned = random_spec(3).replace(
        "[optimizer]", '[optimizer]\nschedule = "cosine"\nwarmup = 4\nclip_norm = 1.0'
    )
    Library(build(planned), tmp_path, 2, 1, compiler, real=real).close()


@pytest.mark.skipif("gcc" not in COMPILERS, reason="no gcc")
def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    asked = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    preloaded = Path(asked.stdout.strip())
    if not preloaded.is_absolute():
        pytest.skip("gcc without AddressSanitizer")
    script = Path(__file__).parent / "c_agreement.py"
    around = {"LD_PRELOAD": str(preloaded), "ASAN_OPTIONS": "detect_leaks=0"}
    run = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        env={**os.environ, **around},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4000:]


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
