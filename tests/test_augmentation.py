"""Augmentation, standardizing, and batches that depend on the seed, the epoch and the step alone."""

from __future__ import annotations

import threading
import time
from itertools import islice

import numpy as np
import pytest

from chainrule.runtime import batches as batching
from chainrule.runtime.augmentation import Augmentation
from chainrule.runtime.batches import Batches
from chainrule.runtime.datasets import as_floats
from chainrule.runtime.errors import RunError
from chainrule.runtime.preprocessing import Preprocessing, fitted

FULL = {"flip": True, "shift": 2.0, "rotation": 15.0, "zoom": 0.2, "cutout": 3.0}


def images(count: int = 64, height: int = 8, width: int = 6, channels: int = 3) -> np.ndarray:
    """Positive everywhere, so that what comes in from outside can be told from it."""
    return np.random.default_rng(0).uniform(0.1, 1, (count, height, width, channels)).astype(np.float32)


def augmented(x: np.ndarray, seed: int = 0, **table: float) -> np.ndarray:
    out, before = np.full_like(x, np.nan), x.copy()
    Augmentation.of(table, x.shape[1:]).apply(x, out, np.random.default_rng(seed))
    np.testing.assert_array_equal(x, before)
    return out


# ---- Each kind ------------------------------------------------------------------------------


def test_nothing_is_nothing() -> None:
    assert not Augmentation() and not Augmentation.of({}, (3,)) and Augmentation(flip=True)
    np.testing.assert_array_equal(augmented(images(), flip=False), images())


def test_flip_mirrors_about_half_left_to_right() -> None:
    x = images(1000)
    out = augmented(x, flip=True)
    same = (out == x).all(axis=(1, 2, 3))
    mirrored = (out == x[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all() and 440 < mirrored.sum() < 560


def moved(image: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """`image` moved down and right by slices, zero where nothing came from."""
    out, (height, width) = np.zeros_like(image), image.shape[:2]
    out[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = image[
        max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)
    ]
    return out


def test_shift_moves_whole_pixels_in_all_directions() -> None:
    x = images(400)
    found = []
    for image, out in zip(x, augmented(x, shift=2), strict=True):
        places = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)]
        found += [place for place in places if np.array_equal(moved(image, *place), out)]
    assert len(found) == 400 and len(set(found)) == 25


def test_shift_below_one_is_a_share_of_each_side() -> None:
    out = augmented(np.ones((400, 8, 4, 1), np.float32), shift=0.25)[..., 0]
    empty_rows, empty_columns = (out.sum(axis=2) == 0).sum(axis=1), (out.sum(axis=1) == 0).sum(axis=1)
    assert empty_rows.max() == 2 and empty_columns.max() == 1


def test_cutout_is_one_black_square() -> None:
    x = images(300)
    out = augmented(x, cutout=3)
    gone = (out == 0).all(axis=3)
    assert (out[~gone] == x[~gone]).all()
    sizes = gone.sum(axis=(1, 2))
    assert sizes.max() == 9 and sizes.min() >= 4  # less at the border: the centre is within the image
    rows, columns = gone.any(axis=2).sum(axis=1), gone.any(axis=1).sum(axis=1)
    assert (rows * columns == sizes).all()


def test_rotation_by_a_right_angle_is_exact() -> None:
    class Fixed:
        def random(self, size):
            return np.ones(size)

        def integers(self, low, high, size, endpoint=False):
            return np.zeros(size, np.int64)

        def uniform(self, low, high, size):
            return np.full(size, high)

    x = images(3, 7, 7)
    out = np.empty_like(x)
    Augmentation(rotation=90).apply(x, out, Fixed())
    np.testing.assert_allclose(out, np.rot90(x, axes=(1, 2)), atol=1e-5)
    Augmentation(rotation=180).apply(x, out, Fixed())
    np.testing.assert_allclose(out, x[:, ::-1, ::-1], atol=1e-5)


def test_resampling_agrees_with_slicing_where_nothing_is_turned() -> None:
    x = images(50)
    sliced = augmented(x, seed=5, flip=True, shift=2)
    resampled = augmented(x, seed=5, flip=True, shift=2, rotation=1e-6)
    np.testing.assert_allclose(resampled, sliced, atol=1e-5)


def test_zoom_magnifies_about_the_centre() -> None:
    x = np.zeros((200, 31, 31, 1), np.float32)
    x[:, 10:21, 10:21] = 1
    areas = augmented(x, zoom=0.5).sum(axis=(1, 2, 3)) / 121
    assert 0.19 < areas.min() < 0.4 and 2.0 < areas.max() < 2.4  # (1 ± 0.5)², sampled
    centred = (augmented(x, zoom=0.5) * np.arange(31)[:, None, None]).sum(axis=(1, 2, 3)) / (areas * 121)
    np.testing.assert_allclose(centred, 15, atol=1e-3)


def test_bilinear_weights_against_a_plain_loop() -> None:
    from math import floor

    from chainrule.runtime.augmentation import _resample

    rng = np.random.default_rng(1)
    x = images(4, 5, 6, 2)
    matrix = rng.normal(0, 1, (4, 2, 2)).astype(np.float32)
    dy, dx = rng.integers(-2, 3, (2, 4))
    out = np.empty_like(x)
    _resample(x, out, matrix, dy, dx)

    def pixel(n: int, i: int, j: int) -> np.ndarray:
        return x[n, i, j] if 0 <= i < 5 and 0 <= j < 6 else np.zeros(2)

    for n, i, j in np.ndindex(4, 5, 6):
        y, z = matrix[n] @ np.array([i - 2 - dy[n], j - 2.5 - dx[n]]) + np.array([2, 2.5])
        a, b, fy, fz = floor(y), floor(z), y - floor(y), z - floor(z)
        expected = (1 - fy) * ((1 - fz) * pixel(n, a, b) + fz * pixel(n, a, b + 1))
        expected += fy * ((1 - fz) * pixel(n, a + 1, b) + fz * pixel(n, a + 1, b + 1))
        np.testing.assert_allclose(out[n, i, j], expected, atol=1e-5)


def test_augmentation_of_what_is_no_image() -> None:
    with pytest.raises(RunError, match=r"needs images .*\(784,\)"):
        Augmentation.of({"flip": True}, (784,))
    with pytest.raises(RunError, match="augmentation colour: unknown"):
        Augmentation.of({"colour": True}, (8, 8, 3))


# ---- Batches ----------------------------------------------------------------------------------


def stored(count: int = 50) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(1).integers(0, 256, (count, 8, 6, 3), np.uint8), np.arange(count)


def collected(made: Batches, epoch: int = 1, first_step: int = 0) -> list[tuple[bytes, bytes]]:
    return [(x.tobytes(), t.tobytes()) for x, t in made.epoch(epoch, first_step)]


def test_bytes_become_floats_as_they_did_before() -> None:
    x, t = stored()
    early = (x.astype(np.float32) / np.float32(255)).astype(np.float32)
    assert collected(Batches(x, t, 16, 3)) == collected(Batches(early, t, 16, 3))
    whole = list(Batches(x, t, 50, 3).epoch(1))
    assert len(whole) == 1 and (whole[0][0] == early).all() and (whole[0][1] == t).all()


@pytest.mark.parametrize("table", [{}, FULL])
@pytest.mark.parametrize("standardize", ["none", "zscore"])
def test_resumed_within_an_epoch_the_batches_are_the_same(table: dict, standardize: str) -> None:
    x, t = stored()

    def made() -> Batches:
        augmentation = Augmentation.of(table, x.shape[1:])
        return Batches(x, t, 8, 3, fitted(standardize, x), augmentation)

    whole = collected(made(), 2)
    assert len(whole) == 7 and len(set(whole)) == 7
    for first_step in range(8):
        assert collected(made(), 2, first_step) == whole[first_step:]
    assert collected(made(), 3) != whole


def test_slow_and_fast_readers_see_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    x, t = stored()
    plain = collected(Batches(x, t, 8, 3, None, Augmentation(**FULL)))
    apply = Augmentation.apply

    def slow(self: Augmentation, *arguments: object) -> None:
        time.sleep(0.01)
        apply(self, *arguments)

    monkeypatch.setattr(Augmentation, "apply", slow)
    assert collected(Batches(x, t, 8, 3, None, Augmentation(**FULL))) == plain
    monkeypatch.undo()
    made = []
    for a, b in Batches(x, t, 8, 3, None, Augmentation(**FULL)).epoch(1):
        time.sleep(0.01)  # the thread has made all that it may by now
        made.append((a.tobytes(), b.tobytes()))
    assert made == plain


def test_every_image_is_drawn_anew_in_every_epoch() -> None:
    x, t = stored(8)
    same = np.repeat(x[:1], 8, axis=0)
    made = Batches(same, t, 8, 0, None, Augmentation(**FULL))
    seen = {row.tobytes() for epoch in (1, 2) for a, _ in made.epoch(epoch) for row in a}
    assert len(seen) == 16


def test_augmentation_runs_on_another_thread_ahead_and_ends_with_the_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[str] = []
    apply = Augmentation.apply

    def noted(self: Augmentation, *arguments: object) -> None:
        threads.append(threading.current_thread().name)
        apply(self, *arguments)

    monkeypatch.setattr(Augmentation, "apply", noted)
    x, t = stored()
    running = Batches(x, t, 8, 3, None, Augmentation(flip=True)).epoch(1)
    next(running)
    until = time.monotonic() + 5
    while len(threads) < 1 + batching.AHEAD and time.monotonic() < until:
        time.sleep(0.001)
    assert len(threads) == 1 + batching.AHEAD
    assert threading.current_thread().name not in threads
    running.close()
    assert not any(thread.name in threads for thread in threading.enumerate())


def test_an_epoch_begun_within_another_is_not_disturbed_by_its_thread() -> None:
    x, t = stored()
    made = Batches(x, t, 8, 3, None, Augmentation(**FULL))
    whole = collected(made)
    for k, (a, _) in enumerate(made.epoch(1)):
        assert a.tobytes() == whole[k][0]
        assert collected(made) == whole
        assert a.tobytes() == whole[k][0]


def test_fault_on_the_other_thread_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(Augmentation, "apply", broken)
    x, t = stored()
    with pytest.raises(MemoryError, match="no room"):
        list(islice(Batches(x, t, 8, 3, None, Augmentation(flip=True)).epoch(1), 3))


# ---- Standardizing ----------------------------------------------------------------------------


def test_zscore_of_images_is_by_channel() -> None:
    x = np.random.default_rng(0).integers(0, 256, (5000, 4, 3, 2), np.uint8)
    x[..., 1] //= 4
    z = fitted("zscore", x)(x)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z.mean(axis=(0, 1, 2), dtype=np.float64), 0, atol=1e-5)
    np.testing.assert_allclose(z.std(axis=(0, 1, 2), dtype=np.float64), 1, atol=1e-5)
    np.testing.assert_allclose(
        fitted("zscore", x).offset, as_floats(x).mean((0, 1, 2), np.float64), rtol=1e-7
    )


def test_minmax_of_vectors_is_by_feature_and_constants_become_zero() -> None:
    x = np.array([[1, 5, 1e6], [3, 5, 1e6], [2, 5, 1e6]], np.float32)
    np.testing.assert_array_equal(fitted("minmax", x)(x), [[0, 0, 0], [1, 0, 0], [0.5, 0, 0]])
    z = fitted("zscore", x)(x)
    np.testing.assert_allclose(z[:, 0], np.array([-1, 1, 0]) * 1.5**0.5, rtol=1e-6)
    assert (z[:, 1:] == 0).all()
    constant = np.full((7, 1), 0.1, np.float32)  # 0.1 has no exact mean
    assert (fitted("zscore", constant)(constant) == 0).all()


def test_what_is_saved_is_what_is_applied() -> None:
    x, _ = stored()
    for kind in ("none", "zscore", "minmax"):
        made = fitted(kind, x)
        again = Preprocessing.from_json(made.as_json(), x.shape[1:])
        assert again == made
        np.testing.assert_array_equal(again(x), made(x))
    before = x.copy()
    fitted("zscore", x)(x)
    floats = as_floats(x)
    fitted("zscore", floats)(floats)
    assert (x == before).all() and (floats == as_floats(x)).all(), "the stored data stay as they are"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"standardize": "whiten"}, "one of none, zscore, minmax"),
        ({"standardize": "zscore"}, "lists of numbers"),
        ({"standardize": "zscore", "offset": [0], "scale": [1]}, "1 offsets and 1 scales"),
    ],
)
def test_saved_statistics_that_do_not_fit(value: dict, message: str) -> None:
    with pytest.raises(RunError, match=message):
        Preprocessing.from_json(value, (8, 6, 3))
