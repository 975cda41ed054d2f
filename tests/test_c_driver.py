"""The module that calls a C program: the NumPy program's face, and a library that is compiled once."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
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
    loss, gradients = c.loss_and_gradients(p, x, t, seed=2**63 + 3)
    wanted, others = numpy.loss_and_gradients(q, x, t, seed=2**63 + 3)
    assert loss == pytest.approx(wanted, rel=tolerance)
    for name, gradient in others.items():
        scale = tolerance * float(np.abs(gradient).max() or 1)
        np.testing.assert_allclose(gradients[name], gradient, atol=scale, rtol=0)
    one, other = c.init_optimizer(p), numpy.init_optimizer(q)
    if dtype is np.float64:
        for step in range(10):
            c.train_step(p, x, t, one, seed=2**64 - step)
            numpy.train_step(q, x, t, other, seed=2**64 - step)
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


def script(path: Path, *lines: str) -> Path:
    """Write a program of the shell, and return its path."""
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def test_without_a_compiler_one_line_says_what_to_do(cache: Path, tmp_path: Path) -> None:
    found = outcome(written(shipped("xor_no_bias"), tmp_path), PATH="", CC="")
    assert found.returncode != 0
    assert "chainrule[c]" in found.stderr.splitlines()[-1]
    assert "no gcc, clang or cc is found" in found.stderr.splitlines()[-1]


def test_a_compiler_that_fails_is_named(cache: Path, tmp_path: Path) -> None:
    told = "[ $1 = --version ] || { echo 'internal error: out of luck' >&2; exit 4; }"
    broken = script(tmp_path / "broken-cc", told)
    found = outcome(written(shipped("xor_no_bias"), tmp_path), CC=str(broken))
    assert found.returncode != 0
    line, last = found.stderr.splitlines()[-2:]
    assert f"{broken}: ends with 4): set CC to a C compiler that works" in line and "out of luck" in last
    assert not list(cache.iterdir())


def test_arithmetic_is_not_to_be_changed(cache: Path, tmp_path: Path) -> None:
    found = outcome(written(shipped("xor_no_bias"), tmp_path), CC="gcc -g -ffast-math")
    assert found.returncode != 0
    last = found.stderr.splitlines()[-1]
    assert "(gcc -g -ffast-math: -ffast-math would change what is computed): set CC" in last


def test_a_source_that_does_not_compile_is_shown(cache: Path, tmp_path: Path) -> None:
    path = written(shipped("xor_no_bias"), tmp_path)
    with (path.with_name("trainer.c")).open("a") as source:
        source.write("not C\n")
    found = outcome(path, CC="")
    assert found.returncode != 0
    assert "generate it anew if it was edited" in found.stderr
    assert "error: unknown type name" in found.stderr


@pytest.mark.parametrize("lines", [[], ["exit 3"]])
def test_the_compiler_that_is_asked_for_is_not_passed_over(
    lines: list[str], tmp_path: Path, derive: Any
) -> None:
    asked = script(tmp_path / "mycc", *lines) if lines else "nowhere-cc"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", str(asked))
        patch.setenv("CHAINRULE_CACHE_C", str(tmp_path / "cache"))
        code, out, err = derive("train", EXAMPLES / "xor_backprop.toml", "--target", "c", "--run-dir", "r")
    assert (code, out) == (3, "") and not (tmp_path / "r").exists()
    assert err.startswith("xor_backprop: trainer.c is not compiled (") and err.count("\n") == 1
    assert f"{asked}: {'ends with 3' if lines else 'not found'}): set CC to" in err


def test_where_one_compiler_fails_the_next_is_asked(cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    script(folder / "gcc", "echo 'error: no headers' >&2", "exit 1")
    script(folder / "clang", f'PATH={os.environ["PATH"]} exec gcc "$@"')
    found = outcome(written(shipped("xor_no_bias"), tmp_path), PATH=str(folder))
    assert (found.stdout, found.stderr) == ("(2, 1)\n", "")


@pytest.mark.parametrize("content", ["half", "torn", "foreign"])
def test_a_library_that_is_none_is_compiled_anew(content: str, cache: Path, tmp_path: Path) -> None:
    """One that was cut off, or written over in the middle, and a whole one of another system."""
    path = written(shipped("xor_no_bias"), tmp_path)
    assert outcome(path).stdout == "(2, 1)\n"
    (library,) = cache.glob("*.so")
    whole = library.read_bytes()
    foreign = bytes([*whole[:18], 0xF7, *whole[19:-32]])  # the ELF header's machine
    broken = {
        "half": whole[: len(whole) // 2],
        "torn": whole[:4096] + bytes(4096) + whole[8192:],
        "foreign": foreign + hashlib.sha256(foreign).digest(),
    }
    library.write_bytes(broken[content])
    assert outcome(path).stdout == "(2, 1)\n"
    assert library.read_bytes()[:-32] == whole[:-32]


def test_a_library_is_of_one_processor_and_one_compiler(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = loaded(written(shipped("xor_no_bias"), tmp_path))
    here, told = c.library_found()
    assert told.startswith("gcc ") and c.compiled("float32")[1] == here
    monkeypatch.setattr(c, "processor", lambda: ["x86_64", "model name: another"])
    other = c.compiled("float32")[1]
    monkeypatch.setattr(c, "version_of", lambda command: ("gcc of tomorrow", "gcc 99"))
    assert len({here, other, c.compiled("float32")[1]}) == 3 == len(list(cache.iterdir()))


def test_a_cache_that_cannot_be_written_is_said_and_done_without(cache: Path, tmp_path: Path) -> None:
    path = written(shipped("xor_no_bias"), tmp_path)
    (tmp_path / "file").write_text("")
    found = outcome(path, CHAINRULE_CACHE_C=str(tmp_path / "file" / "c"), TMPDIR=str(tmp_path))
    assert found.stdout == "(2, 1)\n" and not list(tmp_path.glob("chainrule-c-*"))
    assert (
        found.stderr
        == f"{tmp_path}/file/c: cannot be written (Not a directory): compiled into a temporary folder\n"
    )
    cache.mkdir()
    cache.chmod(0o777)
    found = outcome(path)
    assert (
        found.stdout == "(2, 1)\n" and "others may write there" in found.stderr and not list(cache.iterdir())
    )


def test_a_folder_that_cannot_be_written_still_gives_what_it_has(cache: Path, tmp_path: Path) -> None:
    path = written(shipped("xor_no_bias"), tmp_path)
    assert outcome(path).stdout == "(2, 1)\n"
    with pytest.MonkeyPatch.context() as patch:
        c = loaded(path)
        patch.setattr(c, "writable", lambda folder: pytest.fail("nothing is written"))
        patch.setattr(c.os, "utime", lambda path: (_ for _ in ()).throw(PermissionError))
        assert c.predict(c.init_parameters(0), [[0, 1]]).shape == (1, 1)


def test_what_a_compiler_leaves_when_it_is_ended_is_no_library(cache: Path, tmp_path: Path) -> None:
    path = written(shipped("xor_no_bias"), tmp_path)
    slow = script(tmp_path / "slow-cc", "[ $1 = --version ] && exit", "sleep 20 & echo $! > pid", "wait")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import trainer as m; m.library_found()"
    command = [sys.executable, "-c", code, str(path.parent)]
    environment = {**os.environ, "CC": str(slow)}
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.wait()
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert not list(cache.iterdir())
    (cache / ".xor-left.so").write_text("of one that was killed")
    os.utime(cache / ".xor-left.so", (0, 0))
    assert outcome(path).stdout == "(2, 1)\n"
    assert [each.name[:11] for each in cache.iterdir()] == ["xor_no_bias"]


def test_few_libraries_are_kept(cache: Path, tmp_path: Path) -> None:
    cache.mkdir(mode=0o700)
    for age in range(120):
        (cache / f"old{age}.so").write_text("")
        os.utime(cache / f"old{age}.so", (1e9 - age, 1e9 - age))
    assert outcome(written(shipped("xor_no_bias"), tmp_path)).stdout == "(2, 1)\n"
    assert len(list(cache.iterdir())) == 100 and (cache / "old98.so").exists()
    assert not (cache / "old99.so").exists()


def test_the_program_alone_ends_with_3_without_a_compiler(cache: Path, tmp_path: Path) -> None:
    path = written(shipped("xor_no_bias"), tmp_path)
    np.savez(tmp_path / "x.npz", x_train=np.eye(2, dtype=np.float32), t_train=np.ones((2, 1), np.float32))
    command = [sys.executable, str(path), "--data", str(tmp_path / "x.npz"), "--epochs", "1"]
    found = subprocess.run(
        command, env={**os.environ, "CC": "nowhere-cc"}, capture_output=True, text=True, check=False
    )
    assert found.returncode == 3 and found.stderr.count("\n") == 1 and "nowhere-cc: not found" in found.stderr


@pytest.mark.parametrize(
    ("environment", "count"),
    [({"OMP_NUM_THREADS": "3"}, 3), ({"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "5,2"}, 2), ({}, 1)],
)
def test_threads_are_those_that_are_asked_for(
    environment: dict[str, str], count: int, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {5})
    assert count == loaded(written(shipped("xor_no_bias"), tmp_path)).THREADS


def test_the_same_threads_give_the_same_bits(cache: Path, tmp_path: Path) -> None:
    path, found = written(shipped("lenet5"), tmp_path), []
    for threads in (1, 2, 3, 1, 2, 3):
        c = loaded(path)
        c.THREADS = threads
        rng = np.random.default_rng(0)
        x, t = rng.random((33, *c.INPUT), np.float32), rng.integers(0, 10, 33)
        p = c.init_parameters(0)
        state = c.init_optimizer(p)
        losses = [c.train_step(p, x, t, state) for _ in range(3)]
        found.append((losses, b"".join(value.tobytes() for value in p.values())))
    assert found[:3] == found[3:]
    for losses, _ in found:
        assert losses == pytest.approx(found[0][0], rel=1e-5)


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


def test_libraries_for_each_level_lie_beside_the_program(
    cache: Path, tmp_path: Path, derive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = EXAMPLES / "xor_no_bias.toml"
    code, out, _ = derive("generate", spec, "--target", "c", "--compile", "--json")
    assert code == 0
    (made,) = json.loads(out)["compiled"]
    assert made["compiler"].startswith("gcc ") and [Path(each).parent for each in made["libraries"]] == [
        cache
    ]
    code, out, _ = derive("generate", spec, "--portable")
    folder = tmp_path / "generated" / "xor_no_bias" / "c"
    lines = out.splitlines()
    assert code == 0 and {*lines[1:-1]} == {str(path) for path in folder.glob("*.so")}
    assert len(lines) in (4, 8) and "gcc " in lines[-1]  # of both types, for one level or three
    found = outcome(folder / "trainer.py", PATH="", CC="", CHAINRULE_CACHE_C=str(tmp_path / "none"))
    assert (found.stdout, found.stderr) == ("(2, 1)\n", "") and not (tmp_path / "none").exists()
    assert derive("generate", spec, "--check")[0] == 0
    source = folder / "trainer.c"
    source.write_text(source.read_text() + "\n")
    found = outcome(folder / "trainer.py", PATH="", CC="")
    assert "trainer.c is not compiled" in found.stderr  # the libraries are of another one
    code, _, err = derive("generate", EXAMPLES / "or.toml", "--compile")
    assert code == 2 and "add --target c" in err and not (tmp_path / "generated" / "or_gate").exists()


@pytest.mark.parametrize(
    ("words", "levels"),
    [
        ("x86_64 flags: sse2 cx16 popcnt sse4_1 sse4_2 ssse3", ["x86-64-v2"]),
        ("x86_64 flags: sse2 sse4_1", []),
        (
            "x86_64 cx16 popcnt sse4_1 sse4_2 ssse3 avx avx2 bmi1 bmi2 f16c fma movbe",
            ["x86-64-v3", "x86-64-v2"],
        ),
        ("aarch64 Features: fp asimd", ["aarch64"]),
        ("armv7l Features: neon", []),
    ],
)
def test_a_processor_has_the_levels_whose_flags_it_has(
    words: str, levels: list[str], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = loaded(written(shipped("xor_no_bias"), tmp_path))
    monkeypatch.setattr(c, "processor", words.split)
    assert c.levels() == levels
