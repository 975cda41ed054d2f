"""Generated programs in other hands: many threads, forked processes, wrong labels and parameters, masks."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from cuda_on_cpu.cupy_standin import standing_in
from cuda_on_cpu.module import requires_compiler
from random_images import build

from chainrule.codegen.folder import write
from chainrule.codegen.generate import generate
from chainrule.codegen.targets.numpy import threads as text_of_threads
from chainrule.spec.load import parse_spec

IMAGES = """
spec_version = 1
name = "images"
[input]
shape = [9, 8, 2]
[[layers]]
type = "conv2d"
filters = 6
kernel = 3
activation = "relu"
[[layers]]
type = "max_pool2d"
size = 2
[[layers]]
type = "dropout"
rate = 0.3
[[layers]]
type = "dense"
units = 4
activation = "softmax"
[loss]
type = "cross_entropy"
[optimizer]
type = "sgd"
learning_rate = 0.05
[training]
batch_size = 8
"""
DENSE = """
spec_version = 1
name = "dense"
[input]
shape = [40]
[[layers]]
type = "dense"
units = 60
activation = "sigmoid"
[[layers]]
type = "batch_norm"
[[layers]]
type = "dense"
units = 3
[loss]
type = "mse"
[optimizer]
type = "adam"
[training]
batch_size = 16
"""


@cache
def program(text: str) -> ModuleType:
    module: Any = build(text, small_pieces=text is IMAGES).program.module
    module.THREADS = 2
    return module  # type: ignore[no-any-return]


def batch(module: ModuleType, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, *module.INPUT)).astype(np.float32)
    labels = rng.integers(0, module.OUTPUT[0], count)
    return x, labels if module.OUTPUT == (4,) else rng.standard_normal((count, *module.OUTPUT))


@contextmanager
def switching_often() -> Iterator[None]:
    """Within, threads take turns after a few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def at_once(work: Callable[[int], Any], threads: int) -> list[Any]:
    with switching_often(), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, range(threads)))


# ---- M8: threads, memory, forks --------------------------------------------------------------------


@pytest.mark.parametrize("text", [IMAGES, DENSE])
def test_m8_every_function_is_right_from_many_threads(text: str) -> None:
    module = program(text)
    p = module.init_parameters(0)

    def everything(thread: int) -> list[np.ndarray]:
        x, t = batch(module, 5 + thread, thread)
        found = [module.predict(p, x), module.loss(p, x, t), module.evaluation_loss(p, x, t)]
        found += [*module.loss_and_gradients(p, x, t, seed=3)[1].values(), module.input_gradient(p, x, t)]
        found += [module.branches(p, x, t)]
        own = {name: value.copy() for name, value in p.items()} if thread % 2 else module.init_parameters(0)
        state = module.init_optimizer(own)
        found += [module.train_step(own, x, t, state) for _ in range(2)]
        _, g = module.loss_and_gradients(own, x, t)
        module.update(own, g, state)
        return [np.asarray(value).copy() for value in (*found, *own.values())]

    alone = [everything(thread) for thread in range(4)]

    def many(thread: int) -> int:
        return sum(
            any(not np.array_equal(a, b) for a, b in zip(everything(thread), alone[thread], strict=True))
            for _ in range(5)
        )

    assert at_once(many, 4) == [0] * 4


def test_m8_predictions_stay_right_after_the_next_call() -> None:
    module = program(DENSE)
    p = module.init_parameters(0)
    first = module.predict(p, batch(module, 7)[0])
    before = first.copy()
    module.predict(p, batch(module, 7, 1)[0])
    assert np.array_equal(first, before)


def test_m8_memory_does_not_grow_with_sizes_and_threads_that_come_and_go() -> None:
    module = program(IMAGES)
    p = module.init_parameters(0)

    def some(first: int) -> None:
        for count in range(first, first + 9):
            x, t = batch(module, count)
            module.loss(p, x, t)

    for first in range(1, 40, 3):
        workers = [threading.Thread(target=some, args=(first + k,)) for k in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    (idle,) = module.IDLE.values()
    assert 1 <= len(idle) <= module.KEPT
    for workspace in idle:
        assert len(workspace.smaller) <= module.KEPT
        for part in workspace.smaller.values():
            assert all(np.shares_memory(part.z1, w.z1) for w in [workspace])
    assert module.layout.cache_info().maxsize is not None


def test_m8_a_call_that_fails_keeps_its_memory_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    module = program(DENSE)
    p = module.init_parameters(0)
    x, t = batch(module, 7)
    module.loss(p, x, t)
    waiting = sum(map(len, module.IDLE.values()))
    with monkeypatch.context() as patch:
        patch.setattr(module, "error", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            module.loss(p, x, t)
    assert sum(map(len, module.IDLE.values())) == waiting - 1
    module.loss(p, x, t)


def test_m8_a_prediction_in_a_worker_of_the_program_itself_ends() -> None:
    module = program(IMAGES)
    p, (x, _) = module.init_parameters(0), batch(module, 8)
    job = module.workers(os.getpid()).submit(module.predict, p, x)
    assert np.array_equal(job.result(timeout=60), module.predict(p, x))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_m8_a_forked_process_predicts() -> None:
    module = program(IMAGES)
    p, (x, _) = module.init_parameters(0), batch(module, 8)
    wanted = module.predict(p, x)
    with module.SINGLE_THREADED_BLAS.lock:  # another thread is in the middle of a call
        child = os.fork()
        if child == 0:
            os._exit(0 if np.array_equal(module.predict(p, x), wanted) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_m8_blas_gets_its_threads_back_after_the_last_call(monkeypatch: pytest.MonkeyPatch) -> None:
    current = [4]
    functions = {"get": lambda: current[0], "set": lambda number: current.__setitem__(0, number)}
    monkeypatch.setattr(text_of_threads, "blas_threads", functions.get)
    monkeypatch.setattr(text_of_threads, "THREADS", 4)
    blas = text_of_threads.SingleThreadedBlas()
    blas.__enter__()
    blas.__enter__()
    assert current == [1]
    blas.__exit__(None, None, None)
    assert current == [1], "a call is still computing"
    blas.__exit__(None, None, None)
    assert current == [4]
    blas.__enter__()
    blas.begin()  # as in the child of a fork
    assert current == [4]


# ---- M9: masks ---------------------------------------------------------------------------------------


def steps(module: ModuleType, seeds: list[int | None]) -> list[float]:
    p = module.init_parameters(0)
    state, (x, t) = module.init_optimizer(p), batch(module, 8)
    return [float(module.train_step(p, x, t, state, seed=seed)) for seed in seeds]


def test_m9_every_step_draws_new_masks() -> None:
    module = program(IMAGES)
    assert module.init_optimizer(module.init_parameters(0)) == {"step": 0}
    found = steps(module, [None] * 4)
    assert found == steps(module, [None] * 4), "the same run again"
    assert found == steps(module, [0, 1, 2, 3]), "a step's number is its seed"
    assert found != steps(module, [0, 0, 0, 0])


# ---- M10: labels, targets, parameters ------------------------------------------------------------------

LABELS = [
    ([1, 99, -1, 3], r"t\[1\] = 99: labels are 0 … 3"),
    ([1, 2, 3, -1], r"t\[3\] = -1: labels are 0 … 3"),
    (np.array([0, 4, 1, 1], np.uint8), r"t\[1\] = 4: labels are 0 … 3"),
    ([2**62, 0, 0, 0], r"t\[0\] = 4611686018427387904: labels are"),
    ([0.0, 1.0, 2.0, np.nan], "dtype float64; expected .* integer labels"),
    ([True, False, True, True], "dtype bool; expected .* integer labels"),
    ([0, 1, 2], r"t has shape \(3,\)"),
    ([[0], [1], [2], [3]], r"t has shape \(4, 1\)"),
]


@pytest.mark.parametrize(("t", "message"), LABELS)
def test_m10_labels_that_are_none_are_refused_with_their_place(t: Any, message: str) -> None:
    module = program(IMAGES)
    p, (x, _) = module.init_parameters(0), batch(module, 4)
    for function in (module.loss, module.evaluation_loss, module.loss_and_gradients, module.branches):
        with pytest.raises(ValueError, match=message):
            function(p, x, t)
    before = {name: value.copy() for name, value in p.items()}
    with pytest.raises(ValueError, match=message):
        module.train_step(p, x, t, module.init_optimizer(p))
    assert all(np.array_equal(p[name], before[name]) for name in p)


def test_m10_targets_that_are_no_numbers_or_of_another_shape_are_refused() -> None:
    module = program(DENSE)
    p, (x, t) = module.init_parameters(0), batch(module, 4)
    t[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"t\[2, 1\] = nan: targets are finite numbers"):
        module.loss(p, x, t)
    with pytest.raises(ValueError, match=r"t has shape \(4,\); expected \(4, 3\)"):
        module.loss(p, x, t[:, 0])


def test_m10_parameters_and_inputs_that_do_not_fit_are_refused_by_name() -> None:
    module = program(DENSE)
    good, (x, _) = module.init_parameters(0), batch(module, 4)
    wrong = {
        "parameters have no b1; there must be W1, b1, ": {k: v for k, v in good.items() if k != "b1"},
        "parameters have no mean2": {k: v for k, v in good.items() if k != "mean2"},
        r"parameters\['b1'\] has shape \(1,\)": good | {"b1": np.zeros(1, np.float32)},
        r"parameters\['W3'\] has .* dtype float64; expected \(3, 60\) and float32": good
        | {"W3": good["W3"].astype(float)},
        "parameters have dtype int8": {k: v.astype(np.int8) for k, v in good.items()},
    }
    for message, parameters in wrong.items():
        with pytest.raises(ValueError, match=message):
            module.predict(parameters, x)
    for inputs in (x[0], x[:, :-1], 3.0):
        with pytest.raises(ValueError, match=r"x has shape .*; expected"):
            module.predict(good, inputs)


# ---- The CUDA program, on a stand-in for CuPy ----------------------------------------------------------


@pytest.fixture(scope="module")
def cuda(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """A small CUDA program whose steps draw masks."""
    text = IMAGES.replace('type = "conv2d"\nfilters = 6\nkernel = 3', 'type = "dense"\nunits = 5')
    text = text.replace('[[layers]]\ntype = "max_pool2d"\nsize = 2\n', "").replace("[9, 8, 2]", "[6]")
    folder = write(
        generate(parse_spec(text, "s.toml"), {"cuda"}), tmp_path_factory.mktemp("cuda"), force=True
    )
    found = importlib.util.spec_from_file_location("trainer", folder / "cuda" / "trainer.py")
    assert found is not None and found.loader is not None
    with standing_in():
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        yield module


@requires_compiler
def test_m8_cuda_calls_do_not_share_memory(cuda: ModuleType) -> None:
    p, dtype = cuda.init_parameters(0), np.dtype(np.float32)
    first = cuda.workspace(4, dtype)
    second = cuda.workspace(4, dtype)
    assert first.gradient.data.ptr != second.gradient.data.ptr
    for count in range(1, 20):
        cuda.predict(p, batch(cuda, count)[0])
    (idle,) = cuda.IDLE.values()
    assert len(idle) <= cuda.KEPT and all(len(w.smaller) <= cuda.KEPT for w in idle)


@requires_compiler
def test_m9_cuda_draws_new_masks_in_every_step(cuda: ModuleType) -> None:
    found = steps(cuda, [None] * 4)
    assert found == steps(cuda, [0, 1, 2, 3])
    assert found != steps(cuda, [0, 0, 0, 0])


@requires_compiler
@pytest.mark.parametrize(("t", "message"), LABELS)
def test_m10_cuda_refuses_labels_that_are_none(cuda: ModuleType, t: Any, message: str) -> None:
    import cupy

    p, (x, _) = cuda.init_parameters(0), batch(cuda, 4)
    for labels in (t, cupy.asarray(t)):
        with pytest.raises(ValueError, match=message):
            cuda.train_step(p, x, labels, cuda.init_optimizer(p))
        with pytest.raises(ValueError, match=message):
            next(cuda.train(p, x, labels, 1, 2))
    with pytest.raises(ValueError, match="parameters have no b2"):
        cuda.predict({k: v for k, v in p.items() if k != "b2"}, x)
