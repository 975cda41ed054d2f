"""Warnings of layers that do not learn (fault 21), and none where all is well; short batches (fault 22)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import cut, outcome, quiet

from chainrule.programs import scratch_program
from chainrule.runtime.datasets import load_dataset
from chainrule.runtime.datasets.dataset import Dataset, as_floats
from chainrule.runtime.health import sample, troubles
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.settings import Settings
from chainrule.spec.load import parse_spec

HEAD = 'spec_version = 1\nname = "net"\n[input]\nshape = [28, 28, 1]\n'
TAIL = '[[layers]]\ntype = "dense"\nunits = 10\nactivation = "softmax"\n[loss]\ntype = "cross_entropy"\n'


def dense(activation: str, width: int = 30, init: str = "") -> str:
    text = f'[[layers]]\ntype = "dense"\nunits = {width}\nactivation = "{activation}"\n'
    return text + (f'init = "{init}"\n' if init else "")


CONV = '[[layers]]\ntype = "conv2d"\nfilters = 6\nkernel = 3\nactivation = "relu"\n'
POOL = '[[layers]]\ntype = "max_pool2d"\nsize = 4\n'
DROPOUT = '[[layers]]\ntype = "dropout"\nrate = 0.5\n'
NORM = '[[layers]]\ntype = "batch_norm"\n'


@contextmanager
def built(layers: str, optimizer: str, rate: float) -> Iterator[LoadedProgram]:
    text = f'{HEAD}{layers}{TAIL}[optimizer]\ntype = "{optimizer}"\nlearning_rate = {rate}\n'
    with scratch_program(parse_spec(text, "net.toml")) as program:
        yield program


def digits(count: int = 1000) -> Dataset:
    data = load_dataset("embedded", input_shape=(28, 28, 1), classes=10)
    return Dataset(
        "digits", data.train_x[:count], data.train_t[:count], data.test_x[:100], data.test_t[:100], "embedded"
    )


def warned(program: LoadedProgram, folder: Path, epochs: int = 2) -> tuple[str, ...]:
    out = io.StringIO()
    result = quiet(program, digits(), Settings(epochs, 32), folder, stream=out)
    assert all(f"warning: {text}" in out.getvalue() for text in result.warnings)
    assert json.loads((folder / "summary.json").read_text())["warnings"] == list(result.warnings)
    return result.warnings


# ---- Warnings -------------------------------------------------------------------------------


def test_dead_relus_are_told_with_their_layer(tmp_path: Path) -> None:
    with built(dense("relu") + dense("relu"), "sgd", 20.0) as program:
        (text, *_) = warned(program, tmp_path / "r")
        assert "net, epoch 1: layer" in text and "dead ReLU" in text and "of its 30 units" in text


def test_each_layer_is_told_once_and_by_its_number(tmp_path: Path) -> None:
    dying = dense("relu") + dense("relu", init="uniform(-1, -0.9)") + dense("relu")
    with built(dying, "sgd", 0.01) as program:
        texts = warned(program, tmp_path / "r", epochs=3)
        assert len(texts) == len({text.split(":")[1] for text in texts})
        assert any("layer 2: 100% of its 30 units" in text for text in texts)


def test_dead_channels_of_a_convolution(tmp_path: Path) -> None:
    text = CONV.replace("filters = 6", 'filters = 6\nbias_init = "uniform(-90, -89)"')
    with built(text + POOL + dense("relu"), "sgd", 0.01) as program:
        assert "layer 1: 100% of its 6 units" in warned(program, tmp_path / "r", epochs=1)[0]


def test_vanished_gradients_are_told_with_their_layer(tmp_path: Path) -> None:
    with built(dense("sigmoid") * 12, "sgd", 0.1) as program:
        texts = warned(program, tmp_path / "r")
        assert "layer 1: its gradient has vanished" in texts[0] and "batch_norm" in texts[0]
        assert not any("layer 11" in text for text in texts)


@pytest.mark.parametrize(
    ("layers", "optimizer", "rate"),
    [
        (dense("relu"), "sgd", 0.1),
        (dense("relu") * 8, "adam", 1e-3),
        (dense("relu", init="he_normal") * 15, "sgd", 0.01),
        (dense("relu", 3), "adam", 1e-2),
        (dense("sigmoid") * 3, "sgd", 0.1),
        (dense("sigmoid") * 6, "adam", 1e-3),
        (dense("tanh") * 8, "sgd", 0.1),
        (CONV + POOL + dense("relu"), "adam", 1e-3),
        (CONV + NORM + POOL + DROPOUT + dense("relu") + DROPOUT, "adam", 1e-3),
        ("", "sgd", 0.1),
    ],
)
def test_no_false_alarm(layers: str, optimizer: str, rate: float, tmp_path: Path) -> None:
    with built(layers, optimizer, rate) as program:
        assert warned(program, tmp_path / "r") == ()


def test_no_false_alarm_when_everything_is_learnt_by_heart(tmp_path: Path) -> None:
    with built(dense("relu", 200), "adam", 1e-2) as program:
        data = digits(64)
        result = quiet(program, data, Settings(150, 16), tmp_path / "r")
        assert result.history[-1].accuracy == 1.0 and result.warnings == ()


def test_no_alarm_without_a_gradient_at_all() -> None:
    with built(dense("relu"), "sgd", 0.1) as program:
        parameters = program.init_parameters(0)
        parameters["W2"][...] = 0
        parameters["b2"][...] = [200, *[0] * 9]
        x, t = as_floats(digits(20).train_x), np.zeros(20, np.int64)
        assert troubles(program, parameters, x, t, 8, 0) == {}
        assert "dead 1" in troubles(program, parameters, x, t + 1, 8, 0), "W2 = 0 lets nothing through"


def test_samples_are_spread() -> None:
    assert sample(3).tolist() == [0, 1, 2]
    assert len(sample(60_000)) == 256 and {0, 59_999} < set(sample(60_000).tolist())


def test_warnings_of_a_resumed_run_are_those_of_the_whole(tmp_path: Path) -> None:
    with built(dense("sigmoid", 8) * 12, "sgd", 0.1) as program:
        data, settings = digits(100), Settings(3, 32)
        quiet(program, data, settings, tmp_path / "whole")
        cut(program, data, settings, tmp_path / "r", 6)
        quiet(program, data, settings, tmp_path / "r", resume=True)
        assert outcome(tmp_path / "r") == outcome(tmp_path / "whole")
        assert outcome(tmp_path / "r")[1]["warnings"]


# ---- Short batches (fault 22) ---------------------------------------------------------------


@pytest.mark.parametrize(("samples", "batch"), [(33, 32), (40, 32), (5, 32), (1, 32), (7, 1)])
@pytest.mark.parametrize("layers", [dense("relu"), CONV + NORM + POOL + DROPOUT], ids=["dense", "norm"])
def test_last_batch_of_any_size_is_used(layers: str, samples: int, batch: int, tmp_path: Path) -> None:
    with built(layers, "sgd", 0.01) as program:
        seen: list[int] = []
        step = program.module.train_step

        def train_step(p: Any, x: Any, t: Any, state: Any, seed: int | None = None) -> float:
            seen.append(len(x))
            return step(p, x, t, state, seed=seed)

        program.module.train_step = train_step
        result = quiet(program, digits(samples), Settings(2, batch), tmp_path / "r")
        sizes = [batch] * (samples // batch) + [samples % batch] * (samples % batch > 0)
        assert seen == sizes * 2 and result.status == "finished"
        assert all(np.isfinite(value).all() for value in result.parameters.values())


def test_loss_of_an_epoch_weighs_every_sample_alike(tmp_path: Path) -> None:
    with built(dense("relu"), "sgd", 1e-12) as program:  # nothing moves: the mean must be that of the whole
        data = digits(37)
        result = quiet(program, data, Settings(1, 8), tmp_path / "r")
        whole = program.module.loss(result.parameters, as_floats(data.train_x), data.train_t)
        assert result.history[0].loss == pytest.approx(whole, rel=1e-6)
