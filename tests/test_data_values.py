"""From arrays as they are stored to what a network takes: shapes, scales, targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.runtime.datasets.dataset import TEST, TRAINING, Part, Raw, Wanted
from chainrule.runtime.datasets.fitting import channels_first, check_shapes
from chainrule.runtime.datasets.layout import arranged, essential
from chainrule.runtime.datasets.scaling import scaled
from chainrule.runtime.errors import DataError

NOT_TAKEN = "change the spec's shapes, or use other data"


def refusal(function: Any, *arguments: Any) -> str:
    with pytest.raises(DataError) as found:
        function(*arguments)
    return str(found.value)


def raw(x: Any, t: Any, **said: Any) -> Raw:
    return Raw("some", {TRAINING: Part(np.asarray(x), np.asarray(t))}, "here", **said)


# ---- Shapes -------------------------------------------------------------------------------------------


def test_axes_of_one_value_are_not_essential() -> None:
    assert essential((1, 2, 1, 0, 3)) == (2, 0, 3)


@pytest.mark.parametrize(
    ("stored", "shape", "note"),
    [
        ((4,), (4,), ""),
        ((1, 4), (4,), ""),
        ((2, 3), (2, 3, 1), ""),
        ((6,), (2, 3), "rows of 6 numbers are 2 × 3 pictures, row by row"),
        ((1, 6), (3, 2, 1), "rows of 6 numbers are 3 × 2 pictures, row by row"),
        ((2, 3), (6,), "samples of 2 × 3 are rows of 6 numbers"),
        ((3, 2, 4), (24,), "samples of 3 × 2 × 4 are rows of 24 numbers"),
        ((2, 2, 3), (12,), "samples of 2 × 2 × 3 are rows of 12 numbers"),
        ((3, 2, 2, 2), (24,), "samples of 3 × 2 × 2 × 2 are rows of 24 numbers"),
    ],
)
def test_one_reading_of_a_shape(stored: tuple[int, ...], shape: tuple[int, ...], note: str) -> None:
    array = np.arange(5 * np.prod(stored)).reshape(5, *stored)
    found, said = arranged(array, shape, "here", "takes")
    assert found.shape == (5, *shape) and found.ravel().tolist() == array.ravel().tolist() and said == note


@pytest.mark.parametrize(
    ("stored", "shape", "said"),
    [
        (
            (2, 500),
            (999,),
            f"one sample has shape (2, 500) = 1,000 values, the network takes (999,) = 999; {NOT_TAKEN}",
        ),
        ((4, 3), (3, 4), "store x.transpose(0, 2, 1)"),
        ((1, 4, 3), (3, 4), "store x.squeeze().transpose(0, 2, 1)"),
        ((3, 4, 5), (4, 5, 3), "another order: channels come first; store x.transpose(0, 2, 3, 1)"),
        ((3, 4, 4), (4, 4, 3), "another order: channels come first; store x.transpose(0, 2, 3, 1)"),
        ((2, 4, 5), (4, 5, 2), "another order; store x.transpose(0, 2, 3, 1)"),
        ((4, 5, 3), (3, 4, 5), "another order; store x.transpose(0, 3, 1, 2)"),
        (
            (8,),
            (2, 2, 2, 1),
            "which order they are: store x.reshape(N, 2, 2, 2, 1) if the last axis runs fastest",
        ),
        (
            (24,),
            (2, 3, 4),
            "store x.reshape(N, 2, 3, 4) if the 4 channels of a pixel lie side by side, "
            "x.reshape(N, 4, 2, 3).transpose(0, 2, 3, 1) if they are planes one after the other",
        ),
        ((3, 2, 2), (12,), "pictures are height, width, channels; store x.transpose(0, 2, 3, 1)"),
        ((2, 6), (3, 4), f"as many values, but by chance; {NOT_TAKEN}"),
    ],
)
def test_another_reading_of_a_shape_is_refused(
    stored: tuple[int, ...], shape: tuple[int, ...], said: str
) -> None:
    assert refusal(arranged, np.zeros((5, *stored)), shape, "here", "takes").endswith(said)


@pytest.mark.parametrize(
    ("sample", "first"),
    [
        ((3, 5, 5), True),
        ((4, 5, 5), True),
        ((1, 5, 5), False),
        ((2, 5, 5), False),
        ((3, 5, 1), False),
        ((3, 5, 3), False),
        ((3, 5), False),
    ],
)
def test_channels_that_come_first_are_noticed(sample: tuple[int, ...], first: bool) -> None:
    said = "channels come first? Networks take height, width, channels: store x.transpose(0, 2, 3, 1)"
    assert channels_first(raw(np.zeros((2, *sample)), [0, 1])) == (said if first else "")


@pytest.mark.parametrize(
    ("shape", "classes", "output", "said"),
    [
        ((784,), 10, (10,), ""),
        ((28, 28, 1), 3, None, ""),
        ((28, 28), 3, (3,), "some: 10 classes, the network has 3; end it with 10 units, or use other data"),
        (
            (30, 50),
            10,
            (10,),
            "some: one sample has shape (28, 28) = 784 values, the network takes (30, 50) = 1,500; change "
            "[input] shape, or use other data",
        ),
    ],
)
def test_a_known_set_fits_by_its_values_and_classes(
    shape: tuple[int, ...], classes: int, output: tuple[int, ...] | None, said: str
) -> None:
    arguments = "some", (28, 28), 10, Wanted(shape, "labels", classes, output)
    if said:
        assert refusal(check_shapes, *arguments) == said
    else:
        check_shapes(*arguments)


# ---- Scales -------------------------------------------------------------------------------------------

TABLE, PICTURE = (2,), (2, 1, 2)


@pytest.mark.parametrize(
    ("values", "kind", "sample", "divisor", "stored"),
    [
        ([0, 1], "int64", TABLE, 1, "uint8"),
        ([0, 1], "bool", PICTURE, 1, "uint8"),
        ([-1, 1], "int8", PICTURE, 1, "float32"),
        ([0, 2], "uint8", PICTURE, 255, "uint8"),
        ([0, 2], "uint8", TABLE, 1, "float32"),
        ([0, 255], "int64", PICTURE, 255, "uint8"),
        ([0, 256], "int64", PICTURE, 1, "float32"),
        ([-1, 255], "int64", PICTURE, 1, "float32"),
        ([0, 128], "float64", PICTURE, 255, "uint8"),
        ([0, 127], "float64", PICTURE, 1, "float32"),
        ([0.5, 255], "float64", PICTURE, 1, "float32"),
        ([0, 1], "float32", PICTURE, 1, "float32"),
        ([0, 200], "float32", (63,), 1, "float32"),
        ([0, 200], "float32", (64,), 255, "uint8"),
    ],
)
def test_whole_numbers_of_pictures_are_pixels(
    values: list[float], kind: str, sample: tuple[int, ...], divisor: int, stored: str
) -> None:
    x = np.resize(np.array(values, kind), (3, *sample))
    found, said, note = scaled({TRAINING: x}, sample, "here")
    got = found[TRAINING]
    assert str(got.dtype) == stored
    assert np.allclose(got / (255 if stored == "uint8" else 1), x.astype(np.float64) / divisor)
    assert (said.shape, said.dtype, said.low, said.high, said.divisor) == (sample, kind, *values, divisor)
    whole = f"{kind} inputs are whole numbers of 0 … 255: taken for pixels"
    assert divisor == 1 or note == ("" if kind == "uint8" else whole)


def test_pictures_are_told_by_either_shape_and_not_at_all_where_inputs_are_exact() -> None:
    flat, square = np.full((2, 4), 9, np.uint8), np.full((2, 2, 2), 9, np.uint8)
    assert scaled({TRAINING: flat}, (2, 2), "here")[1].divisor == 255
    assert scaled({TRAINING: square}, (4,), "here")[1].divisor == 255
    assert scaled({TRAINING: flat}, (4, 1), "here")[1].divisor == 1
    assert scaled({TRAINING: square}, (2, 2), "here", known=False)[1].divisor == 1


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.0, 1.5, False),
        (0.0, 1.6, True),
        (0.0, 29.0, True),
        (-2.0, 29.0, False),
        (-2.0, 30.0, True),
        (-29.0, 2.0, False),
        (-30.0, 2.0, True),
        (-255.0, 1.0, False),
        (-256.0, 1.0, True),
    ],
)
def test_pictures_on_a_scale_of_their_own_are_mentioned(low: float, high: float, said: bool) -> None:
    x = np.full((2, *PICTURE), 0.25)
    x.flat[:2] = low, high
    note = scaled({TRAINING: x}, PICTURE, "here")[2]
    assert note.startswith(f"inputs of {low:.4g} … {high:.4g} are taken as they are") == said
    assert bool(note) == said
    assert scaled({TRAINING: x.reshape(2, 4)}, (4,), "here")[2] == ""


def test_parts_of_a_set_are_on_one_scale() -> None:
    whole, fractions = np.full((2, *PICTURE), 2, np.uint8), np.full((2, *PICTURE), 0.5)
    said = "inputs of one set on different scales (training uint8 2 … 2, test float64 0.5 … 0.5)"
    both = {TRAINING: whole, TEST: fractions}
    assert refusal(scaled, both, PICTURE, "here") == f"here: {said}; store all parts alike"
    found, stored, _ = scaled({TRAINING: whole // 2, TEST: fractions}, PICTURE, "here")
    assert (found[TRAINING].max(), found[TEST].max(), stored.divisor) == (1, 0.5, 1)
    assert scaled({TRAINING: whole, TEST: 3 * whole}, PICTURE, "here")[1].span == (2 / 255, 6 / 255)
    table = {part: x.reshape(2, 4) for part, x in both.items()}
    assert (scaled(table, (4,), "here")[1].low, scaled(table, (4,), "here")[1].high) == (0.5, 2)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ([None], "dtype object; numbers are needed (they are Python objects)"),
        ([1j], "dtype complex128; numbers are needed (store real and imaginary part as two numbers)"),
        (["a"], "dtype <U1; numbers are needed (number the words)"),
        ([b"a"], "dtype |S1; numbers are needed (number the words)"),
        (
            np.array(["2020-01-01"], "datetime64[D]"),
            "dtype datetime64[D]; numbers are needed (store plain arrays of numbers)",
        ),
        ([[0, np.nan]], "nan at index (0, 1) (1 such); repair the data"),
        ([[np.inf, 0], [0, -np.inf]], "inf at index (0, 0) (2 such); repair the data"),
        ([[0, 0], [1e39, 0]], "1e+39 at index (1, 0) (1 such); repair the data"),
        ([[0, 0], [0, -1e39]], "-1e+39 at index (1, 1) (1 such); repair the data"),
    ],
)
def test_what_are_no_numbers_of_float32_is_refused(x: Any, said: str) -> None:
    assert refusal(scaled, {TRAINING: np.asarray(x)}, (2,), "here") == f"here: training inputs: {said}"


def test_the_largest_float32_is_a_number_and_no_rows_are_no_fault() -> None:
    most = float(np.finfo(np.float32).max)
    assert scaled({TRAINING: np.array([[-most, most]])}, (2,), "here")[1].span == (-most, most)
    assert scaled({TRAINING: np.zeros((0, 2))}, (2,), "here")[1].span == (0, 0)
