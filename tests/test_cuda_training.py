"""Whole generated CUDA programs beside the NumPy programs: on a stand-in for CuPy, and on a GPU."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from cuda_on_cpu.cupy_standin import standing_in
from cuda_on_cpu.module import requires_compiler
from numpy.typing import NDArray

from chainrule.codegen.folder import write
from chainrule.codegen.generate import generate
from chainrule.derive.model import Spec
from chainrule.spec.load import load_spec, parse_spec

ROOT = Path(__file__).parent.parent
IMAGES = """
spec_version = 1
name = "images"

[input]
shape = [6, 5, 2]

[[layers]]
type = "conv2d"
filters = 3
kernel = 3
padding = 1
activation = "relu"

[[layers]]
type = "batch_norm"

[[layers]]
type = "max_pool2d"
size = 2

[[layers]]
type = "dropout"
rate = 0.25

[[layers]]
type = "flatten"

[[layers]]
type = "dense"
units = 4
activation = "softmax"

[loss]
type = "cross_entropy"

[optimizer]
type = "adam"
learning_rate = 2e-3
schedule = "cosine"
clip_norm = 1.0
weight_decay = 1e-3
"""
SHIPPED = ("mnist_mlp", "lenet5", "fashion_cnn", "cifar10_cnn_79")
Arrays = tuple[NDArray[np.float64], NDArray[np.int64]]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written(spec: Spec, folder: Path) -> Path:
    return write(generate(spec, {"cuda"}), folder, force=True)


def samples(numpy: ModuleType, count: int) -> Arrays:
    rng = np.random.default_rng(3)
    return rng.standard_normal((count, *numpy.INPUT)), rng.integers(0, numpy.OUTPUT[0], count)


def worst(found: dict[str, object], wanted: dict[str, NDArray[np.float64]]) -> float:
    """The greatest difference over a tensor's greatest entry."""
    apart = (np.abs(np.asarray(found[n].get(), float) - v).max() / np.abs(v).max() for n, v in wanted.items())
    return max(apart)


@requires_compiler
def test_an_image_network_trains_alike_in_every_mode(tmp_path: Path) -> None:
    folder = written(parse_spec(IMAGES, "images.toml"), tmp_path)
    numpy = load(folder / "numpy_trainer.py")
    x, t = samples(numpy, 23)
    theirs = numpy.init_parameters(1, np.float64)
    losses = list(numpy.train(theirs, x, t, 3, 5, seed=2))
    with standing_in(order=2):
        cuda, bits = load(folder / "cuda" / "trainer.py"), set()
        for mode in cuda.MODES:
            ours = cuda.init_parameters(1, np.float64)
            found = list(cuda.train(ours, x, t, 3, 5, seed=2, mode=mode))
            assert found == pytest.approx(losses, rel=1e-10)
            assert worst(ours, theirs) < 1e-10
            bits.add(b"".join(value.get().tobytes() for value in ours.values()))
        assert len(cuda.MODES) == 3 and len(bits) == 1
        assert cuda.default_mode() == "persistent"
        assert cuda.default_mode(10**9) == "graph"


def on_a_device() -> bool:
    try:
        import cupy

        return bool(cupy.cuda.runtime.getDeviceCount())
    except Exception:  # CuPy is missing, or the driver, or the device
        return False


requires_device = pytest.mark.skipif(not on_a_device(), reason="needs CuPy and an NVIDIA GPU")


@requires_device
@pytest.mark.parametrize("name", SHIPPED)
def test_a_device_agrees_with_numpy(name: str, tmp_path: Path) -> None:
    folder = written(load_spec(ROOT / "examples" / f"{name}.toml"), tmp_path)
    numpy, cuda = load(folder / "numpy_trainer.py"), load(folder / "cuda" / "trainer.py")
    x, t = samples(numpy, 33)
    theirs = numpy.init_parameters(1, np.float64)
    loss, gradients = numpy.loss_and_gradients(theirs, x, t, seed=4)
    for dtype, tolerance in ((np.float64, 1e-10), (np.float32, 1e-4)):
        ours = cuda.init_parameters(1, dtype)
        value, found = cuda.loss_and_gradients(ours, x, t, seed=4)
        assert value == pytest.approx(loss, rel=tolerance)
        assert worst(found, gradients) < tolerance
    ours = cuda.init_parameters(1, np.float64)
    state, on_device = numpy.init_optimizer(theirs), cuda.init_optimizer(ours)
    for step in range(10):
        numpy.train_step(theirs, x, t, state, seed=step)
        cuda.train_step(ours, x, t, on_device, seed=step)
    assert worst(ours, theirs) < 1e-8


@requires_device
@pytest.mark.parametrize("name", SHIPPED)
def test_twenty_runs_on_a_device_end_in_the_same_bits(name: str, tmp_path: Path) -> None:
    folder = written(load_spec(ROOT / "examples" / f"{name}.toml"), tmp_path)
    cuda = load(folder / "cuda" / "trainer.py")
    x, t = samples(cuda, 150)
    bits = set()
    for run in range(20):
        ours = cuda.init_parameters(1)
        for _ in cuda.train(ours, x, t, 2, 32, seed=2, mode=list(cuda.MODES)[run % 3]):
            pass
        bits.add(b"".join(value.get().tobytes() for value in ours.values()))
    assert len(bits) == 1


@requires_compiler
def test_more_samples_than_32_bits_count_are_refused(tmp_path: Path) -> None:
    folder = written(parse_spec(IMAGES, "images.toml"), tmp_path)
    with standing_in():
        cuda = load(folder / "cuda" / "trainer.py")
        most = (2**31 - 1) // cuda.LARGEST
        with pytest.raises(ValueError, match=f"at most {most}; take smaller batches"):
            cuda.Workspace(most + 1, np.dtype(np.float32))
