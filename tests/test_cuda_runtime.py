"""The commands with a CUDA program, generating, training and resuming: on a stand-in for CuPy, or without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cuda_plans
import numpy as np
import pytest
import runs
from cuda_on_cpu.cupy_standin import standing_in
from cuda_on_cpu.module import requires_compiler
from cuda_plans import ADAM, COSINE

import chainrule.codegen.targets.cuda.trainer
from chainrule.cli.main import main
from chainrule.codegen.folder import write
from chainrule.codegen.generate import generate
from chainrule.running import train_spec
from chainrule.runtime.augmentation import Augmentation
from chainrule.runtime.batches import Batches
from chainrule.runtime.device import DeviceBatches, DeviceTrainer, Mirror
from chainrule.runtime.errors import RunError
from chainrule.runtime.parameters import load_parameters
from chainrule.runtime.preprocessing import fitted
from chainrule.runtime.program import LoadedProgram, load_program

ROOT = Path(__file__).parent.parent
SAMPLES = 22

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def derive(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run the command in a folder with a spec and data; return its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(chainrule.codegen.targets.cuda.trainer, "plan", cuda_plans.plan)
    cuda_plans.write_spec(tmp_path, COSINE)
    rng = np.random.default_rng(3)
    x, t = rng.standard_normal((SAMPLES, 5)), rng.integers(0, 3, SAMPLES)
    np.savez(tmp_path / "data.npz", x_train=x, y_train=t, x_test=x[:7], y_test=t[:7])

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["derive", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run


@pytest.fixture
def cupy() -> Iterator[ModuleType]:
    with standing_in() as module:
        yield module


TRAIN = ("train", "tiny.toml", "--data", "npz:data.npz", "--epochs", "3", "--quiet", "--json")


def arrays(run: dict[str, Any]) -> dict[str, np.ndarray]:
    return load_parameters(Path(run["run"]) / "parameters.safetensors")


# ---- Without a GPU ---------------------------------------------------------------------------------


def no_device() -> SimpleNamespace:
    def count() -> int:
        raise OSError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")

    return SimpleNamespace(
        cuda=SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=count, CUDARuntimeError=OSError))
    )


@pytest.mark.parametrize(
    ("module", "remedy"), [(None, "pip install 'cupy-cuda12x[ctk]'"), (no_device(), "--target numpy")]
)
def test_without_cupy_or_a_gpu_training_is_one_line_and_exit_3(derive, tmp_path, monkeypatch, module, remedy):
    monkeypatch.setitem(sys.modules, "cupy", module)
    before = sorted(tmp_path.rglob("*"))
    code, out, err = derive(*TRAIN, "--target", "cuda")
    assert (code, out, len(err.splitlines())) == (3, "", 1)
    assert remedy in err
    assert sorted(tmp_path.rglob("*")) == before
    assert derive(*TRAIN)[0] == 0, "NumPy needs neither"


# ---- Generating ------------------------------------------------------------------------------------


def test_a_folder_keeps_the_targets_that_it_has(derive, tmp_path):
    folder = tmp_path / "generated" / "tiny"

    def names() -> set[str]:
        return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}

    numpy = {"numpy_trainer.py", "equations.tex", "manifest.json"}
    assert derive("generate", "tiny.toml")[0] == 0
    assert names() == numpy
    code, _, err = derive("generate", "--check", "--target", "cuda", "tiny.toml")
    assert code == 1 and "trainer.py is not what its spec gives: missing" in err
    assert derive("generate", "--target", "cuda", "tiny.toml")[0] == 0
    assert names() == numpy | {"cuda/trainer.py", "cuda/kernels.cu"}
    assert derive("generate", "--target", "c", "tiny.toml")[0] == 0
    c = ("trainer.py", "trainer.c", "trainer.h", "predict.c", "predict.h")
    both = {"cuda/trainer.py", "cuda/kernels.cu", *(f"c/{name}" for name in c)}
    assert names() == numpy | both
    content = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    for target in ((), ("--target", "numpy"), ("--target", "all")):
        assert derive("generate", "--check", *target, "tiny.toml")[0] == 0
        assert derive("generate", *target, "tiny.toml")[0] == 0
        assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == content
    (folder / "cuda" / "kernels.cu").write_text("// mine\n")
    code, _, err = derive("generate", "--check", "tiny.toml")
    assert code == 1 and "kernels.cu" in err
    code, _, err = derive("generate", "tiny.toml")
    assert code == 2 and "edited by hand" in err
    assert derive("generate", "--force", "tiny.toml")[0] == 0
    assert derive("generate", "--check", "tiny.toml")[0] == 0


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_what_is_generated_does_not_depend_on_the_order_of_sets(seed):
    command = [sys.executable, "-m", "chainrule.cli.main", "generate", "--check", "examples/fashion_cnn.toml"]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("linked", ["cuda", "cuda/kernels.cu"])
def test_symbolic_links_in_the_folder_are_refused(derive, tmp_path, linked):
    target = tmp_path / "elsewhere"
    link = tmp_path / "generated" / "tiny" / linked
    link.parent.mkdir(parents=True)
    if linked == "cuda":
        target.mkdir()
    link.symlink_to(target)
    code, _, err = derive("generate", "--target", "cuda", "tiny.toml")
    assert code == 2 and "symbolic link" in err
    assert not target.exists() or not list(target.iterdir())


def test_the_manifest_leads_from_equations_to_lines(derive, tmp_path):
    derive("generate", "--target", "cuda", "tiny.toml")
    folder = tmp_path / "generated" / "tiny"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["targets"] == {"numpy": "numpy_trainer.py", "cuda": "cuda/trainer.py"}
    assert {"cuda/trainer.py", "cuda/kernels.cu"} <= set(manifest["files"])
    by_symbol = {e["symbol"]: e["lines"] for e in manifest["equations"]}
    text = {name: (folder / name).read_text().splitlines() for name in by_symbol["z1"]}
    for symbol, kernel, code in (
        ("z1", "dense1", "z += x[i / 4 * 5 + j]"),
        ("a1", "dense1", "exp(-z)"),
        ("dW2", "gradient2", "dW[i] += "),
        ("theta", "adam", "theta[i] -= "),
    ):
        (line,) = by_symbol[symbol]["cuda/kernels.cu"]
        assert code in text["cuda/kernels.cu"][line - 1]
        launched = by_symbol[symbol]["cuda/trainer.py"]
        assert any(f"k.{kernel}(" in text["cuda/trainer.py"][line - 1] for line in launched)
    assert all(found["cuda/trainer.py"] for symbol, found in by_symbol.items() if symbol != "a0")


# ---- Training --------------------------------------------------------------------------------------


@requires_compiler
@pytest.mark.parametrize("options", [(), ("--batch-size", "50"), ("--checkpoint-every", "4")])
def test_a_run_is_that_of_numpy(derive, tmp_path, cupy, options):
    code, out, err = derive(*TRAIN, *options, "--target", "cuda")
    assert code == 0, err
    ours, theirs = json.loads(out), json.loads(derive(*TRAIN, *options)[1])
    assert ours["program"].endswith("cuda/trainer.py") and theirs["program"].endswith("numpy_trainer.py")
    assert ours["settings"]["target"] == "cuda" and "target" not in theirs["settings"]
    assert ours["test_loss"] == pytest.approx(theirs["test_loss"], rel=1e-4)
    for name, value in arrays(theirs).items():
        np.testing.assert_allclose(arrays(ours)[name], value, rtol=2e-4, atol=1e-5, err_msg=name)
    rates = [[row["learning_rate"] for row in each["history"]] for each in (ours, theirs)]
    assert rates[0] == pytest.approx(rates[1])


@requires_compiler
def test_a_run_is_evaluated_by_the_numpy_program(derive, cupy):
    ours = json.loads(derive(*TRAIN, "--target", "cuda")[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", None)
        found = json.loads(derive("evaluate", ours["run"], "--json")[1])
    assert found["test_loss"] == pytest.approx(ours["test_loss"], rel=1e-5)


@requires_compiler
def test_a_run_that_was_cut_short_goes_on(derive, tmp_path, cupy, monkeypatch):
    spec = cuda_plans.spec(tmp_path, COSINE)
    options = {"data_dir": None, "download": None, "seed": None, "quiet": True}
    options |= {"data": "npz:data.npz", "epochs": 3, "batch_size": None, "checkpoint_every": 2}
    options["threads"] = None

    def train(**more: Any) -> Any:
        asked = {"target": "cuda", "resume": None, "run_dir": None} | options | more
        return train_spec(spec, tmp_path / "tiny.toml", **asked).result

    train(run_dir=Path("whole"))
    steps = 0

    def step(self: DeviceTrainer, *arguments: Any, **more: Any) -> float:
        nonlocal steps
        steps += 1
        if steps == 9:
            fire()
        return found(self, *arguments, **more)

    found = DeviceTrainer.train_step
    with runs.signal() as fire, pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeviceTrainer, "train_step", step)
        assert train(run_dir=Path("cut")).status == "interrupted"
    with pytest.raises(RunError, match="began with --target cuda"):
        train(resume="cut", target="numpy")
    assert train(resume="cut", target=None, data=None, epochs=None).status == "finished"
    assert runs.outcome(Path("cut")) == runs.outcome(Path("whole"))
    train(run_dir=Path("numpy"), target="numpy")
    with pytest.raises(RunError, match="began with --target numpy"):
        train(resume="numpy")


@requires_compiler
def test_a_loss_that_is_not_finite_stops_the_run(derive, tmp_path, cupy, monkeypatch):
    steps, found = 0, DeviceTrainer.train_step

    def step(self: DeviceTrainer, parameters: Any, *arguments: Any, **more: Any) -> float:
        nonlocal steps
        steps += 1
        if steps == 9:
            parameters["W1"][1, 2] = np.nan
        return found(self, parameters, *arguments, **more)

    monkeypatch.setattr(DeviceTrainer, "train_step", step)
    code, _, err = derive(*TRAIN, "--target", "cuda")
    assert code == 1 and "the loss became nan in epoch 2, step 3" in err, err
    kept = load_parameters(tmp_path / "runs" / "tiny-1" / "parameters.safetensors")
    assert all(np.isfinite(value).all() for value in kept.values())


# ---- What stands between the runtime and the device ------------------------------------------------


@pytest.fixture
def programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cupy: ModuleType
) -> tuple[LoadedProgram, LoadedProgram]:
    """A NumPy program, and the CUDA program of the same folder."""
    monkeypatch.setattr(chainrule.codegen.targets.cuda.trainer, "plan", cuda_plans.plan)
    folder = write(generate(cuda_plans.spec(tmp_path, ADAM), {"cuda"}), tmp_path, force=True)
    return load_program(folder), load_program(folder, target="cuda")


@requires_compiler
def test_tables_of_the_host_are_changed_in_place(programs):
    numpy, cuda = programs
    rng = np.random.default_rng(1)
    x, t = rng.standard_normal((6, 5)), rng.integers(0, 3, 6)
    results = []
    for module in (numpy.module, cuda.module):
        p = numpy.module.init_parameters(2, np.float64)
        state = numpy.module.init_optimizer(p)
        assert list(module.init_optimizer(p)) == list(state)
        losses = [module.train_step(p, x, t, state, seed=k) for k in range(3)]
        _, g = module.loss_and_gradients(p, x, t)
        module.update(p, g, state)
        more = [module.input_gradient(p, x, t), module.branches(p, x, t), module.loss(p, x, t)]
        results.append([losses, *p.values(), *state.values(), *g.values(), module.predict(p, x), *more])
        assert type(state["step"]) is int and state["step"] == 4
    for found, wanted in zip(*results, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-15)


@requires_compiler
def test_what_stays_on_the_device_is_seen_and_changed_from_the_host(programs):
    numpy, cuda = programs
    rng = np.random.default_rng(1)
    x, t = rng.standard_normal((6, 5)), rng.integers(0, 3, 6)
    theirs, ours = numpy.init_parameters(2, np.float64), cuda.init_parameters(2, np.float64)
    states = numpy.module.init_optimizer(theirs), cuda.module.init_optimizer(ours)
    assert isinstance(ours, Mirror) and isinstance(states[1], Mirror)

    def step() -> None:
        numpy.module.train_step(theirs, x, t, states[0])
        cuda.module.train_step(ours, x, t, states[1])

    def equal() -> None:
        for found, wanted in ((ours, theirs), (states[1], states[0])):
            assert list(found) == list(wanted)
            for name, value in wanted.items():
                assert type(found[name]) is type(value)
                np.testing.assert_allclose(found[name], value, rtol=1e-12)

    step()
    step()
    equal()
    step()
    for p in (theirs, ours):
        p["W1"] *= 0.5  # in place, and assigned
        np.copyto(p["b2"], 1.0)
    for state in states:
        state["step"] = 7
    equal()
    step()
    equal()
    before = ours["W1"]
    step()
    assert ours["W1"] is before, "the same array is brought up to date"
    with pytest.raises(KeyError):
        ours["W9"] = before
    with pytest.raises(KeyError):
        del ours["W1"]


@pytest.mark.parametrize("size", [4, 22])
def test_batches_on_the_device_are_those_of_the_host(cupy, size):
    rng = np.random.default_rng(0)
    x, t = rng.integers(0, 256, (22, 3, 3, 2), np.uint8), rng.integers(0, 9, 22)
    host = Batches(x, t, size, 5, fitted("zscore", x))
    labels = SimpleNamespace(upload_targets=lambda t, N, dtype: cupy.asarray(t, np.int32))
    device = DeviceBatches(host, labels)
    for epoch, first in ((1, 0), (2, 3 % host.steps)):
        for ours, theirs in zip(device.epoch(epoch, first), host.epoch(epoch, first), strict=True):
            assert all(isinstance(each, cupy.ndarray) for each in ours)
            assert ours[0].get().tobytes() == theirs[0].tobytes()
            assert ours[1].get().tolist() == theirs[1].tolist()


@requires_compiler
def test_batches_that_are_augmented_or_too_large_stay_on_the_host(programs, cupy, monkeypatch):
    _, cuda = programs
    x, t = np.zeros((4, 3, 3, 2), np.float32), np.zeros(4, np.int64)
    plain = Batches(x, t, 2, 0)
    assert isinstance(cuda.batches(plain), DeviceBatches)
    augmented = Batches(x, t, 2, 0, None, Augmentation.of({"flip": True}, (3, 3, 2)))
    assert cuda.batches(augmented) is augmented
    monkeypatch.setattr(cupy.cuda.Device, "mem_info", (500, 16 << 30))
    assert cuda.batches(plain) is plain


def test_a_program_for_another_target_is_asked_for_in_vain(derive, tmp_path):
    derive("generate", "tiny.toml")
    with pytest.raises(RunError, match="derive generate --target cuda"):
        load_program(tmp_path / "generated" / "tiny", target="cuda")
    manifest = tmp_path / "generated" / "tiny" / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(content | {"targets": {"numpy": "../tiny/numpy_trainer.py"}}))
    with pytest.raises(RunError, match="wrong type"):
        load_program(tmp_path / "generated" / "tiny")
