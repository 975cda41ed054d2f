"""Small functions of the runtime, each with values on both sides of what it decides."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import chainrule.runtime.batches as batches
import chainrule.runtime.health as health
from chainrule.runtime.batches import Batches, held_out, split
from chainrule.runtime.datasets import scaling
from chainrule.runtime.datasets.cifar import _content
from chainrule.runtime.datasets.dataset import TRAINING, Dataset, Part, Raw
from chainrule.runtime.datasets.fitting import natural
from chainrule.runtime.datasets.folder import _compare
from chainrule.runtime.datasets.samples import _reduced
from chainrule.runtime.depth import deep
from chainrule.runtime.errors import DataError, RunError
from chainrule.runtime.gradpoint import targets
from chainrule.runtime.imagefiles import Refused
from chainrule.runtime.loop import TrainingLoop
from chainrule.runtime.metrics import Score, correct, evaluate
from chainrule.runtime.preprocessing import Preprocessing
from chainrule.runtime.program import read_manifest

PROGRAM = Path(__file__).parent.parent / "generated" / "xor_backprop"


def raw(x: Any, t: Any, **said: Any) -> Raw:
    return Raw("some", {TRAINING: Part(np.asarray(x), np.asarray(t))}, "here", **said)


# ---- What data are like ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("t", "kind", "classes", "shape"),
    [
        (np.zeros((6, 3)) + 0.5, "values", 3, (3,)),
        (np.zeros((6, 1)) + 0.5, "values", 2, (1,)),
        (np.zeros((6, 2, 5)) + 0.5, "values", 10, (2, 5)),
        (np.zeros(6) + 0.5, "values", 2, (1,)),
    ],
)
def test_targets_of_values_have_as_many_outputs(
    t: np.ndarray, kind: str, classes: int, shape: tuple[int, ...]
) -> None:
    found = natural(raw(np.zeros((6, 4)), t))
    assert (found.input_shape, found.target_kind, found.classes, found.output_shape) == (
        (4,),
        kind,
        classes,
        shape,
    )


@pytest.mark.parametrize(("t", "classes"), [([0, 1, 2, 1], 3), ([0, 4, 4, 4], 5), ([1, 2, 3, 3], 4)])
def test_labels_count_their_classes(t: list[int], classes: int) -> None:
    found = natural(raw(np.zeros((4, 2)), t, labels=True))
    assert (found.target_kind, found.classes) == ("labels", classes)
    assert natural(raw(np.zeros((4, 2)), t, labels=True, from_one=True)).classes == classes - (min(t) == 1)


def test_whole_numbers_are_looked_for_in_every_part_of_the_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "CHUNK", 4)
    pixels = np.arange(250, 262, dtype=np.float32) % 256
    assert scaling._whole({"training": pixels}, False, 255.0)
    for place in range(12):
        broken = pixels.copy()
        broken[place] += 0.25
        assert not scaling._whole({"training": pixels, "test": broken}, False, 255.0)
    assert scaling._whole({"training": broken}, True, 255.0)
    assert not scaling._whole({"training": pixels}, False, np.nextafter(scaling.BRIGHT, 0))


def test_a_sketch_shows_the_mean_of_every_cell() -> None:
    picture = np.arange(24.0).reshape(4, 6)
    by_hand = [[picture[i : i + 2, j : j + 3].mean() for j in (0, 3)] for i in (0, 2)]
    assert np.allclose(_reduced(picture, 2, 2), by_hand)


@pytest.mark.parametrize(
    ("absent", "shown"), [(1, "c0"), (5, "c0, c1, c2, c3, c4"), (6, "c0, c1, c2, c3, c4, …")]
)
def test_five_classes_that_a_set_lacks_are_named(tmp_path: Path, absent: int, shown: str) -> None:
    names = [f"c{k}" for k in range(8)]
    notes: list[str] = []
    folders = {part: tmp_path / part for part in (TRAINING, "test")}
    for name in names[absent:]:
        (folders["test"] / name).mkdir(parents=True)
    here = SimpleNamespace(labels=list(range(absent, 8)))
    _compare({TRAINING: here, "test": here}, folders, names, notes)  # type: ignore[dict-item]
    assert notes == [f"test/ has no images of {shown}"]


def test_what_cannot_be_opened_is_said_once(tmp_path: Path) -> None:
    absent = tmp_path / "data_batch_1.bin"
    with pytest.raises(DataError) as found:
        _content(None, absent)  # type: ignore[arg-type]
    assert (
        str(found.value)
        == f"{absent}: cannot be read ({OSError(errno.ENOENT, 'No such file or directory').strerror})"
    )


@pytest.mark.parametrize("value", [-1.0, np.inf, np.nan])
def test_a_picture_of_what_is_no_brightness_is_refused(value: float) -> None:
    pillow = pytest.importorskip("PIL.Image")
    values = np.full((3, 3), 0.5, np.float32)
    assert deep(pillow.fromarray(values))[1] == 1
    values[1, 2] = value
    with pytest.raises(Refused, match="negative or infinite"):
        deep(pillow.fromarray(values))


# ---- Steps, targets, manifests -----------------------------------------------------------------------


def test_every_step_of_a_run_draws_other_masks() -> None:
    def seed(run: int, epoch: int, number: int) -> int:
        loop = SimpleNamespace(settings=SimpleNamespace(seed=run), batches=SimpleNamespace(steps=3))
        return TrainingLoop._step_seed(loop, epoch, number)  # type: ignore[arg-type]

    seeds = [seed(0, epoch, number) for epoch in (1, 2, 3) for number in range(3)]
    assert seeds == list(range(9))  # a run that goes on draws as it would have: what is saved relies on it
    assert seed(1, 1, 0) == 0x9E3779B1 << 32 and seed(1, 2, 1) == (0x9E3779B1 << 32) + 4


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "mse"])
def test_targets_of_a_check_are_made_for_the_loss(loss: str) -> None:
    program = SimpleNamespace(output_shape=(4,), target_kind="values", loss_type=loss, classes=4)
    drawn = [targets(program, np.random.default_rng(k), 5, k) for k in (0, 1)]  # type: ignore[arg-type]
    assert all(t.shape == (5, 4) for t in drawn)
    sums_to_one = [np.allclose(t.sum(axis=1), 1) and (t >= 0).all() for t in drawn]
    zeros_and_ones = [bool(np.isin(t, (0, 1)).all()) for t in drawn]
    assert sums_to_one == [loss == "cross_entropy"] * 2
    assert zeros_and_ones == [loss == "binary_cross_entropy"] * 2
    if loss == "mse":
        assert (drawn[0] < 0).any() and ((drawn[1] > 0) & (drawn[1] < 1)).all()
    program.target_kind = "labels"
    labels = targets(program, np.random.default_rng(0), 50, 0)  # type: ignore[arg-type]
    assert labels.shape == (50,) and set(labels.tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("input", "shape"), [0]),
        (("input", "shape"), [2.0]),
        (("output", "shape"), [True]),
        (("output", "shape"), [-1]),
        (("target", "kind"), "both"),
        (("classification",), 1),
        (("loss",), []),
        (("name",), 3),
        (("targets",), {"numpy": "../elsewhere.py"}),
        (("targets",), {"numpy": "/elsewhere.py"}),
        (("targets",), {"cuda": "program.py"}),
    ],
)
def test_a_manifest_with_a_wrong_entry_is_refused(tmp_path: Path, place: tuple[str, ...], value: Any) -> None:
    folder = tmp_path / "program"
    shutil.copytree(PROGRAM, folder)
    read_manifest(folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    *outer, last = place
    inside = manifest
    for key in outer:
        inside = inside[key]
    inside[last] = value
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(RunError, match="generate the program again"):
        read_manifest(folder)


# ---- Batches and scores ------------------------------------------------------------------------------


@pytest.mark.parametrize(("fraction", "held"), [(0.0, 0), (0.12, 0), (0.13, 1), (0.5, 4), (0.99, 7)])
def test_a_fraction_of_the_samples_is_held_out(fraction: float, held: int) -> None:
    x, t = np.arange(16.0).reshape(8, 2), np.arange(8)
    (kept_x, kept_t), (held_x, held_t) = split(x, t, fraction, 3)
    assert (len(held_x), len(held_t)) == (held, held) and held_x.shape[1:] == (2,)
    assert sorted([*kept_t, *held_t]) == list(range(8)) and list(kept_t) == sorted(kept_t)
    assert (kept_x == x[kept_t]).all() and (held_x == x[held_t]).all() and list(held_t) == sorted(held_t)
    assert (kept_x is x) == (held == 0)
    data = Dataset("some", x, t, x[:0], t[:0], "here", validation=(x[:1], t[:1]))
    (all_x, all_t), (own_x, own_t) = held_out(data, fraction, 3)
    assert all_x is x and all_t is t and (len(own_x), len(own_t)) == (1, 1)
    assert len(held_out(Dataset("some", x, t, x[:0], t[:0], "here"), fraction, 3)[1][0]) == held


@pytest.mark.parametrize(
    ("size", "first", "lengths"),
    [(3, 0, [3, 3, 2]), (3, 1, [3, 2]), (4, 0, [4, 4]), (8, 0, [8]), (99, 0, [8])],
)
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("standardize", [False, True])
def test_an_epoch_sees_every_sample_once(
    size: int, first: int, lengths: list[int], kind: type, standardize: bool
) -> None:
    x, t = (51 * np.arange(8)[:, None] % 255).astype(kind), np.arange(8)
    preprocessing = Preprocessing("zscore", (0.2,), (10.0,)) if standardize else None
    stored, made = x.copy(), Batches(x, t, size, 5, preprocessing)
    for epoch in (1, 2):
        found = [(a.copy(), b.copy()) for a, b in made.epoch(epoch, first)]
        assert [len(b) for _, b in found] == lengths and (made.size, made.steps) == (
            min(size, 8),
            -(-8 // size),
        )
        order = np.concatenate([b for _, b in found])
        whole = np.arange(8) if size >= 8 else made.order(epoch)
        assert order.tolist() == whole[first * size :].tolist()
        for inputs, labels in found:
            plain = x[labels].astype(np.float32) / np.float32(255 if kind is np.uint8 else 1)
            wanted = (plain - np.float32(0.2)) * 10 if standardize else plain
            assert inputs.dtype == np.float32 and np.allclose(inputs, wanted)
    assert (x == stored).all() and (made.order(1) != made.order(2)).any()


def test_what_waits_is_cancelled_where_an_epoch_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, Any]] = []

    class Pool:
        def __init__(self, *_: Any) -> None: ...
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: Any) -> None: ...
        def submit(self, make: Any, step: int) -> Any:
            future: Any = batches.Future()
            if step < 4:
                future.set_result(make(step))
            asked.append((step, future))
            return future

    monkeypatch.setattr(batches, "ThreadPoolExecutor", Pool)
    made: Any = batches._ahead(lambda step: (step, step), range(2, 9))
    assert [next(made) for _ in range(2)] == [(2, 2), (3, 3)]
    made.close()
    assert [step for step, _ in asked] == [2, 3, 4, 5]
    assert [future.cancelled() for _, future in asked] == [False, False, True, True]
    asked.clear()
    assert list(batches._ahead(lambda step: (step, step), range(2, 4))) == [(2, 2), (3, 3)]  # type: ignore[arg-type,return-value]
    assert [step for step, _ in asked] == [2, 3]


@pytest.mark.parametrize(
    ("outputs", "t", "right"),
    [
        ([[0.5], [0.4], [0.6]], [1, 0, 0], 2),
        ([[0.5], [0.4], [0.6]], [[0.5], [0.49], [0.0]], 2),
        ([0.5, 0.4, 0.6], [1, 1, 1], 2),
        ([[0.2, 0.8], [0.6, 0.4], [0.5, 0.5]], [1, 1, 0], 2),
        ([[0.2, 0.8], [0.6, 0.4], [0.5, 0.5]], [[0, 1], [0, 1], [1, 0]], 2),
        ([[0.2, 0.8], [0.6, 0.4], [0.5, 0.5]], [[0.4, 0.6], [0.6, 0.4], [0.4, 0.6]], 2),
        ([[[0.2], [0.8]], [[0.6], [0.4]]], [[1], [1]], 1),
    ],
)
def test_samples_that_are_classified_right(outputs: Any, t: Any, right: int) -> None:
    assert correct(np.array(outputs), np.array(t)) == right


@pytest.mark.parametrize(("reduction", "loss"), [("mean", 2.4), ("sum", 4.0), (None, 2.4)])
def test_a_score_is_the_mean_over_all_samples(reduction: str | None, loss: float) -> None:
    """Five samples in batches of 3 and 2, with losses 0 and 2 and 2 … as the mean of each batch."""
    asked: list[int] = []

    def batch_loss(_parameters: Any, x: Any, t: Any) -> float:
        asked.append(len(x))
        return 2.0 if len(x) == 2 else 8 / 3 if reduction != "sum" else 2.0

    module = SimpleNamespace(evaluation_loss=batch_loss, predict=lambda _parameters, x: x)
    stated = {} if reduction is None else {"reduction": reduction}
    program: Any = SimpleNamespace(module=module, manifest={"loss": stated})
    x, t = np.array([[1.0], [0.0], [1.0], [0.0], [1.0]]), np.array([1, 0, 0, 0, 1])
    assert evaluate(program, {}, x, t, batch=3) == Score(pytest.approx(loss), 0.8) and asked == [3, 2]
    assert evaluate(program, {}, x, t, batch=3, accuracy=False) == Score(pytest.approx(loss), None)
    halved = evaluate(program, {}, x, t, batch=3, prepare=lambda part: part / 4)
    assert halved is not None and halved.accuracy == 0.6
    assert evaluate(program, {}, x[:0], t[:0]) is None
    asked.clear()
    stops = iter([False, True])
    assert evaluate(program, {}, x, t, batch=3, stop=lambda: next(stops)) is None and asked == [3]


def test_parameters_of_a_layer_go_by_its_number() -> None:
    names = dict.fromkeys(["W1", "b1", "gamma2", "W3", "W13", "shift"], (1,))
    program: Any = SimpleNamespace(module=SimpleNamespace(PARAMETERS=names))
    layers = {"1": ["W1", "b1"], "2": ["gamma2"], "3": ["W3"], "13": ["W13"], "shift": ["shift"]}
    assert health._layers(program) == layers
