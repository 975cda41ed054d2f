"""The CUDA driver, around hand-made kernels, against the NumPy program, on a stand-in for CuPy."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cuda_plans
import numpy as np
import pytest
from cuda_on_cpu.cupy_standin import standing_in
from cuda_on_cpu.module import requires_compiler
from cuda_plans import ADAM, COSINE, SGD

import chainrule.codegen.targets.cuda.trainer
from chainrule.codegen.folder import write
from chainrule.codegen.generate import generate

VARIANTS = {"sgd": (SGD, False), "adam": (ADAM, False), "cosine": (COSINE, True)}
PLANNED = "planned"  # as "cosine", with the kernels that are generated
rng = np.random.default_rng(5)
X, T = rng.standard_normal((11, 5)), rng.integers(0, 3, 11)

pytestmark = requires_compiler


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The generated folder of each variant."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chainrule.codegen.targets.cuda.trainer, "plan", cuda_plans.plan)
        for name, variant in VARIANTS.items():
            folder = tmp_path_factory.mktemp(name)
            found[name] = write(generate(cuda_plans.spec(folder, *variant), {"cuda"}), folder, force=True)
    spec = cuda_plans.spec(tmp_path_factory.mktemp(PLANNED), COSINE, dropout=True)
    found[PLANNED] = write(generate(spec, {"cuda"}), tmp_path_factory.mktemp(PLANNED), force=True)
    return found


@pytest.fixture(params=[*VARIANTS, PLANNED])
def both(
    request: pytest.FixtureRequest, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[ModuleType, ModuleType, ModuleType]]:
    """The NumPy program, the CUDA program, and what it has for CuPy."""
    folder = folders[request.param]
    numpy = imported(folder / "numpy_trainer.py")
    if request.param == "cosine":
        monkeypatch.setattr(numpy, "draw", cuda_plans.draw)
    with standing_in() as cupy:
        yield numpy, imported(folder / "cuda" / "trainer.py"), cupy


def same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name].get(), value, rtol=1e-12, atol=1e-14, err_msg=name)


def test_the_tables_are_those_of_numpy(both):
    numpy, cuda, _ = both
    for name in ("PARAMETERS", "STATISTICS", "COUNT", "INPUT", "OUTPUT", "BATCH_SIZE", "EPOCHS"):
        assert getattr(cuda, name) == getattr(numpy, name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_start_with_the_same_numbers(both, dtype):
    numpy, cuda, cupy = both
    found = cuda.init_parameters(3, dtype)
    for name, value in numpy.init_parameters(3, dtype).items():
        assert isinstance(found[name], cupy.ndarray) and found[name].dtype == dtype
        assert found[name].get().tobytes() == value.tobytes()
    assert cuda.flat(found) is not None


def test_outputs_losses_and_gradients_are_those_of_numpy(both):
    numpy, cuda, cupy = both
    theirs, ours = numpy.init_parameters(1, np.float64), cuda.init_parameters(1, np.float64)
    np.testing.assert_allclose(cuda.predict(ours, X).get(), numpy.predict(theirs, X), rtol=1e-12)
    t = cupy.asarray(T)  # int64, on the device
    assert cuda.evaluation_loss(ours, X, t) == pytest.approx(numpy.evaluation_loss(theirs, X, T), rel=1e-12)
    seed = {"seed": 4} if hasattr(numpy, "masks") else {}
    assert cuda.loss(ours, X, t, **seed) == pytest.approx(numpy.loss(theirs, X, T, **seed), rel=1e-12)
    value, gradients = cuda.loss_and_gradients(ours, X, T, seed=4)
    wanted, g = numpy.loss_and_gradients(theirs, X, T, seed=4)
    assert value == pytest.approx(wanted, rel=1e-12)
    same(gradients, g)
    dx = cuda.input_gradient(ours, X, T, seed=4).get()
    np.testing.assert_allclose(dx, numpy.input_gradient(theirs, X, T, seed=4), rtol=1e-11, atol=1e-15)
    if seed:
        assert cuda.masks(6, 9)["m1"].get().tolist() == numpy.masks(6, 9)["m1"].tolist()


def test_more_samples_than_are_evaluated_at_a_time(both, monkeypatch):
    numpy, cuda, _ = both
    monkeypatch.setattr(cuda, "AT_ONCE", 4)
    theirs, ours = numpy.init_parameters(1, np.float64), cuda.init_parameters(1, np.float64)
    np.testing.assert_allclose(cuda.predict(ours, X).get(), numpy.predict(theirs, X), rtol=1e-12)
    wanted = numpy.evaluation_loss(theirs, X, T)
    assert cuda.evaluation_loss(ours, X, T) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("views", [True, False])
def test_ten_steps_are_those_of_numpy(both, views):
    numpy, cuda, cupy = both
    theirs, ours = numpy.init_parameters(1, np.float64), cuda.init_parameters(1, np.float64)
    if not views:
        ours = {name: cupy.array(value) for name, value in ours.items()}
    state, on_device = numpy.init_optimizer(theirs), cuda.init_optimizer(ours)
    assert list(on_device) == list(state)
    for number in range(10):
        batch = slice(number % 3, number % 3 + 2 + number % 5)
        wanted = numpy.train_step(theirs, X[batch], T[batch], state, seed=number)
        found = cuda.train_step(ours, X[batch], T[batch], on_device, seed=number)
        assert found == pytest.approx(wanted, rel=1e-12)
    same(ours, theirs)
    for name, value in state.items():
        np.testing.assert_allclose(on_device[name].get(), value, rtol=1e-12, err_msg=name)
    g = {name: np.full(shape, 0.25) for name, shape in numpy.PARAMETERS.items()}
    numpy.update(theirs, g, state)
    cuda.update(ours, {name: cupy.asarray(value) for name, value in g.items()}, on_device)
    same(ours, theirs)


@pytest.mark.parametrize("batch_size", [2, 4, 11, 30])
def test_training_is_that_of_numpy_and_the_same_in_every_mode(both, batch_size):
    numpy, cuda, cupy = both
    theirs = numpy.init_parameters(2, np.float64)
    wanted = list(numpy.train(theirs, X, T, 4, batch_size, seed=6))
    results = []
    for mode in (*cuda.MODES, None):
        ours = cuda.init_parameters(2, np.float64)
        losses = list(cuda.train(ours, X, T, 4, batch_size, seed=6, mode=mode))
        results.append((losses, cuda.flat(ours).get().tobytes()))
    assert results.count(results[0]) == len(results)
    np.testing.assert_allclose(losses, wanted, rtol=1e-12)
    same(ours, theirs)
    apart = {name: cupy.array(value) for name, value in cuda.init_parameters(2, np.float64).items()}
    assert list(cuda.train(apart, X, T, 4, batch_size, seed=6)) == losses
    same(apart, theirs)


def test_an_epoch_reads_back_one_number_and_graphs_launch_most_of_it(both, monkeypatch):
    _, cuda, cupy = both
    monkeypatch.setattr(cuda, "GRAPH_STEPS", 3)
    replays, items = [], []
    launch, item = cupy.cuda.Graph.launch, cupy.ndarray.item
    monkeypatch.setattr(cupy.cuda.Graph, "launch", lambda self: replays.append(1) or launch(self))
    monkeypatch.setattr(cupy.ndarray, "item", lambda self: items.append(1) or item(self))
    ours = cuda.init_parameters()
    next(cuda.train(ours, X, T, 1, 1, mode="graph"))
    assert (len(replays), len(items)) == (3, 1)  # of 11 steps, 1 before the capture and 1 that is left over


def test_data_of_the_wrong_shape_are_refused_as_in_numpy(both):
    numpy, cuda, cupy = both
    theirs, ours = numpy.init_parameters(), cuda.init_parameters()
    assert cuda.predict(ours, X[:0]).shape == (0, 3)
    wrong = [
        (X[:0], T[:0]),
        (X[:, :4], T),
        (X, T[:5]),
        (X, T.astype(float)),
    ]
    for x, t in wrong:
        messages = []
        for module, p in ((numpy, theirs), (cuda, ours)):
            with pytest.raises(ValueError) as refused:
                module.loss_and_gradients(p, x, t)
            messages.append(str(refused.value))
        assert messages[0] == messages[1]
    with pytest.raises(ValueError, match="expected float32 or float64"):
        cuda.predict({name: cupy.asarray(value, np.float16) for name, value in ours.items()}, X)
    with pytest.raises(ValueError, match="'fast'; expected eager, graph"):
        next(cuda.train(ours, X, T, mode="fast"))


def test_float32_is_close(both):
    numpy, cuda, _ = both
    theirs, ours = numpy.init_parameters(), cuda.init_parameters()
    value, gradients = cuda.loss_and_gradients(ours, X, T)
    wanted, g = numpy.loss_and_gradients(theirs, X, T)
    assert value == pytest.approx(wanted, rel=1e-5)
    for name in g:
        np.testing.assert_allclose(gradients[name].get(), g[name], rtol=1e-4, atol=1e-6)


# ---- The command line of the program ---------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    np.savez(tmp_path / "data.npz", x_train=X, t_train=T, x_test=X[:4], t_test=T[:4])
    return tmp_path / "data.npz"


def run(module: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["trainer.py", *map(str, arguments)])
    module.main()


def test_command_line(both, data, monkeypatch, capsys):
    numpy, cuda, _ = both
    printed = []
    for module, mode in ((numpy, []), (cuda, ["--mode", "eager"]), (cuda, ["--mode", "graph"])):
        run(module, monkeypatch, "--data", data, "--epochs", 2, "--seed", 3, *mode)
        printed.append(capsys.readouterr().out)
    assert printed[0].count("test accuracy") == 2
    assert printed.count(printed[0]) == 3


def test_without_a_gpu_there_is_one_line_and_exit_3(both, data, monkeypatch, capsys):
    _, cuda, cupy = both

    class CUDARuntimeError(RuntimeError):
        pass

    def nothing() -> int:
        raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    monkeypatch.setattr(cupy.cuda.runtime, "CUDARuntimeError", CUDARuntimeError, raising=False)
    for count in (nothing, lambda: 0):
        monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", count)
        with pytest.raises(SystemExit) as left:
            run(cuda, monkeypatch, "--data", data)
        out, err = capsys.readouterr()
        assert (left.value.code, out, len(err.splitlines())) == (3, "", 1)
        assert "NVIDIA GPU" in err and "numpy_trainer.py" in err
    with pytest.raises(RuntimeError, match="NVIDIA GPU"):
        cuda.init_parameters()


NO_CUPY = """
import runpy, sys
sys.modules["cupy"] = None
sys.argv = ["trainer.py", *sys.argv[2:]]
runpy.run_path({path!r}, run_name="__main__")
"""


def test_without_cupy_there_is_one_line_and_exit_3(folders, data):
    path = folders["adam"] / "cuda" / "trainer.py"
    command = [sys.executable, "-W", "error", "-c", NO_CUPY.format(path=str(path)), "x"]
    done = subprocess.run([*command, "--data", data], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "")
    assert "pip install 'cupy-cuda12x[ctk]'" in done.stderr and len(done.stderr.splitlines()) == 1
    assert subprocess.run([*command, "--help"], capture_output=True).returncode == 0


@pytest.mark.parametrize("order", [0, 1, 2])
def test_no_kernel_leaves_its_memory_whatever_the_order_of_threads(folders, order):
    with standing_in(order=order, guard=True):
        cuda = imported(folders["cosine"] / "cuda" / "trainer.py")
        ours = cuda.init_parameters(2, np.float64)
        losses = list(cuda.train(ours, X, T, 2, 4, mode="eager"))
    assert np.isfinite(losses).all()
