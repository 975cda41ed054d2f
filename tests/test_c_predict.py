"""predict.c against the NumPy programs of the same specs: one sample a call, in double and in float."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_agreement import COMPILERS, far, flat, shipped
from random_images import image_spec
from random_specs import Built, build, random_spec

from chainrule.codegen.frame import frame
from chainrule.codegen.targets import target
from chainrule.codegen.targets.c.arena import Lifetime, arranged, length
from chainrule.codegen.targets.c.naming import identifier
from chainrule.codegen.targets.c.predict import predict_files
from chainrule.derive.deriving import derive_network

EXAMPLES = sorted(path.stem for path in (Path(__file__).parents[1] / "examples").glob("*.toml"))
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-ffreestanding", "-O2")
SAMPLES = 3
Array = np.ndarray[Any, Any]

compiled = pytest.mark.skipif(not COMPILERS, reason="no C compiler")


def written(built: Built, folder: Path) -> str:
    """Write predict.c and predict.h, and return what their symbols begin with."""
    derivation = derive_network(built.spec)
    program = target("c").program(derivation)
    for path, text in predict_files(program, frame(derivation, program)).items():
        (folder / Path(path).name).write_text(text)
    return identifier(built.spec.name)


def library(folder: Path, real: str, compiler: str = COMPILERS[0] if COMPILERS else "") -> ctypes.CDLL:
    found = folder / f"{compiler}_{real}.so"
    command = [compiler, *STRICT, f"-DREAL={real}", "-shared", "-fPIC", str(folder / "predict.c")]
    subprocess.run([*command, "-o", str(found), "-lm"], check=True)
    return ctypes.CDLL(str(found))


def outputs(found: ctypes.CDLL, name: str, weights: Array, x: Array, shape: tuple[int, ...]) -> Array:
    y = np.full((len(x), *shape), np.nan, x.dtype)
    for own, given in zip(y, x, strict=True):
        getattr(found, f"{name}_infer")(
            *(ctypes.c_void_p(each.ctypes.data) for each in (weights, given, own))
        )
    return y


def agrees(built: Built, folder: Path) -> None:
    name, module = written(built, folder), built.program.module
    rng = np.random.default_rng(2)
    p: Any = module.init_parameters(5, np.float64)
    for part in module.STATISTICS:
        p[part] += rng.uniform(0.1, 0.5, p[part].shape)
    x = rng.normal(size=(SAMPLES, *built.program.input_shape))
    weights = np.concatenate([flat(p, module.PARAMETERS), flat(p, module.STATISTICS)])
    wanted = module.predict(p, x)
    shape = built.program.output_shape
    assert far(outputs(library(folder, "double"), name, weights, x, shape), wanted) < 1e-12
    single = outputs(library(folder, "float"), name, np.float32(weights), np.float32(x), shape)
    rounded = {key: np.float64(np.float32(value)) for key, value in p.items()}
    assert far(single, module.predict(rounded, np.float64(np.float32(x)))) < 1e-5


@compiled
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_shipped_network(name: str, tmp_path: Path) -> None:
    agrees(shipped(name), tmp_path)


@compiled
@pytest.mark.parametrize("seed", range(0, 195, 13))
def test_a_dense_network(seed: int, tmp_path: Path) -> None:
    agrees(build(random_spec(seed)), tmp_path)


@compiled
@pytest.mark.parametrize("seed", range(0, 60, 4))
def test_a_network_for_images(seed: int, tmp_path: Path) -> None:
    agrees(build(image_spec(seed)), tmp_path)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_it_is_strict_c99_without_a_header_of_the_library(compiler: str, tmp_path: Path) -> None:
    written(shipped("lenet5"), tmp_path)
    library(tmp_path, "float", compiler)
    included = [line for line in (tmp_path / "predict.c").read_text().splitlines() if "#include" in line]
    assert included == ['#include "predict.h"', "#include <stdbool.h>"]


@compiled
@pytest.mark.skipif(not shutil.which("nm"), reason="no nm")
def test_its_symbols_are_prefixed_and_it_needs_what_it_says(tmp_path: Path) -> None:
    name = written(shipped("lenet5"), tmp_path)
    command = [COMPILERS[0], *STRICT, "-c", str(tmp_path / "predict.c"), "-o", str(tmp_path / "predict.o")]
    subprocess.run(command, check=True)
    found = subprocess.run(
        ["nm", "-g", str(tmp_path / "predict.o")], check=True, capture_output=True, text=True
    )
    symbols = {line.split()[-1]: line.split()[-2] for line in found.stdout.splitlines()}
    assert {symbol for symbol, kind in symbols.items() if kind != "U"} == {f"{name}_infer"}
    assert {symbol for symbol, kind in symbols.items() if kind == "U"} == {"expf", "tanhf"}
    assert "expf, tanhf" in (tmp_path / "predict.h").read_text()


def test_its_header_stands_beside_the_trainers(tmp_path: Path) -> None:
    from chainrule.codegen.generate import generate

    files = generate(shipped("xor_no_bias").spec, ["c"]).files
    for name in ("trainer.h", "predict.h"):
        (tmp_path / name).write_text(files[f"c/{name}"])
    (tmp_path / "both.c").write_text('#include "trainer.h"\n#include "predict.h"\n')
    for compiler in COMPILERS:
        subprocess.run(
            [compiler, "-std=c99", "-Werror", "-fsyntax-only", str(tmp_path / "both.c")], check=True
        )


@pytest.mark.parametrize("seed", range(20))
def test_tensors_that_are_alive_together_lie_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lives = {}
    for k in range(30):
        first = int(rng.integers(20))
        lives[f"a{k}"] = Lifetime(int(rng.integers(1, 100)), first, first + int(rng.integers(5)))
    starts = arranged(lives)
    for one in lives:
        for other in lives:
            if one < other and lives[one].meets(lives[other]):
                assert (
                    starts[one] + lives[one].size <= starts[other]
                    or starts[other] + lives[other].size <= starts[one]
                )
    most = max(sum(e.size for e in lives.values() if e.first <= at <= e.last) for at in range(25))
    assert most <= length(lives, starts) <= 1.3 * most
