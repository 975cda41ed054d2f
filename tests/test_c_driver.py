"""The module that calls a C program: the NumPy program's face, and a library that is compiled once."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_images import image_spec
from random_specs import Built, build

from chainrule.codegen.frame import frame
from chainrule.codegen.targets import target
from chainrule.codegen.targets.c.driver import driver
from chainrule.codegen.targets.c.sources import source
from chainrule.derive.deriving import derive_network

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
EXAMPLES = Path(__file__).parents[1] / "examples"


def written(built: Built, folder: Path) -> Path:
    """Write a C program beside the NumPy program, and return its trainer.py."""
    derivation = derive_network(built.spec)
    program = target("cuda").program(derivation)
    around = frame(derivation, target("numpy").program(derivation))
    files = {**source(program, around), "c/trainer.py": driver(program, around)}
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    shutil.copy(built.program.path, folder / "numpy_trainer.py")
    return folder / "c" / "trainer.py"


def loaded(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"c_{path.parent.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHAINRULE_CACHE_C", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    return tmp_path / "cache"


def shipped(name: str) -> Built:
    path = EXAMPLES / f"{name}.toml"
    return build(path.read_text(), path.name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["lenet5", "xor_no_bias", "batch_norm"])
def test_the_face_is_that_of_the_numpy_program(name: str, dtype: Any, cache: Path, tmp_path: Path) -> None:
    built = build(image_spec(with_statistics())) if name == "batch_norm" else shipped(name)
    c, numpy = loaded(written(built, tmp_path)), built.program.module
    rng, tolerance = np.random.default_rng(0), 1e-4 if dtype is np.float32 else 1e-10
    x = rng.random((6, *built.program.input_shape)).astype(dtype)
    labels = built.program.target_kind == "labels"
    t = rng.integers(0, c.OUTPUT[-1], 6) if labels else rng.random((6, *c.OUTPUT)).astype(dtype)
    p, q = c.init_parameters(5, dtype), numpy.init_parameters(5, dtype)
    assert {name: value.tolist() for name, value in p.items()} == {n: v.tolist() for n, v in q.items()}
    np.testing.assert_allclose(c.predict(p, x), numpy.predict(q, x), rtol=tolerance, atol=tolerance)
    assert c.evaluation_loss(p, x, t) == pytest.approx(numpy.evaluation_loss(q, x, t), rel=tolerance)
    loss, gradients = c.loss_and_gradients(p, x, t, seed=3)
    wanted, others = numpy.loss_and_gradients(q, x, t, seed=3)
    assert loss == pytest.approx(wanted, rel=tolerance)
    for name, gradient in others.items():
        scale = tolerance * float(np.abs(gradient).max() or 1)
        np.testing.assert_allclose(gradients[name], gradient, atol=scale, rtol=0)
    one, other = c.init_optimizer(p), numpy.init_optimizer(q)
    if dtype is np.float64:
        for step in range(10):
            c.train_step(p, x, t, one, seed=step)
            numpy.train_step(q, x, t, other, seed=step)
        for name, value in q.items():
            np.testing.assert_allclose(p[name], value, rtol=1e-8, atol=1e-9)
    assert len(list(cache.glob("*.so"))) == 1


def with_statistics() -> int:
    """Return the seed of a random network that keeps running means."""
    return next(seed for seed in range(100) if 'type = "batch_norm"' in image_spec(seed))


def outcome(path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a prediction in a process of its own."""
    code = (
        "import importlib.util as u, sys, numpy as np; s = u.spec_from_file_location('c', sys.argv[1]);"
        "m = u.module_from_spec(s); s.loader.exec_module(m); p = m.init_parameters(0);"
        "print(m.predict(p, np.zeros((2, *m.INPUT), np.float32)).shape)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_compiler_one_line_says_what_to_do(cache: Path, tmp_path: Path) -> None:
    found = outcome(written(shipped("xor_no_bias"), tmp_path), PATH="", CC="")
    assert found.returncode != 0
    assert "chainrule[c]" in found.stderr.splitlines()[-1]


def test_a_compiler_that_fails_is_named(cache: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken-cc"
    broken.write_text(
        "#!/bin/sh\n[ $1 = --version ] || { echo 'internal error: out of luck' >&2; exit 1; }\n"
    )
    broken.chmod(0o755)
    found = outcome(written(shipped("xor_no_bias"), tmp_path), PATH="", CC=str(broken))
    assert found.returncode != 0
    assert "out of luck" in found.stderr.splitlines()[-1]


def test_a_library_that_is_none_is_compiled_anew(cache: Path, tmp_path: Path) -> None:
    path = written(shipped("xor_no_bias"), tmp_path)
    assert outcome(path).stdout == "(2, 1)\n"
    (library,) = cache.glob("*.so")
    library.write_bytes(b"half")
    assert outcome(path).stdout == "(2, 1)\n"
    assert library.stat().st_size > 1000


def test_two_processes_may_compile_at_once(cache: Path, tmp_path: Path) -> None:
    path = written(shipped("xor_no_bias"), tmp_path)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "import trainer as m; m.predict(m.init_parameters(0), [[0, 1]])"
    )
    command = [sys.executable, "-c", code, str(path.parent)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate()[1] for process in both] == [b"", b""]
    assert [process.returncode for process in both] == [0, 0]
    assert [each.suffix for each in cache.iterdir()] == [".so"]


def test_a_forked_process_computes_with_threads_of_its_own(cache: Path, tmp_path: Path) -> None:
    path = written(shipped("lenet5"), tmp_path)
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); import numpy as np, trainer as m;"
        "p = m.init_parameters(0); x = np.ones((64, *m.INPUT), np.float32); t = np.zeros(64, int);"
        "E = m.loss(p, x, t); child = os.fork();"
        "child or os._exit(0 if m.loss(p, x, t) == E else 1); print(os.waitpid(child, 0)[1])"
    )
    command = [sys.executable, "-c", code, str(path.parent)]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout == "0\n"
