"""What topics are built of, by value: numbers as they are shown, walks, givens, and the limits of each."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
from sympy import Rational, sqrt, symbols

from chainrule.lectures import parse, topic
from chainrule.lectures.convexity import _Data
from chainrule.lectures.convexity import _data as points_of_convexity
from chainrule.lectures.counts import mnist_mlp
from chainrule.lectures.descent import _task as descent
from chainrule.lectures.model import TopicError
from chainrule.lectures.preparing import _labels
from chainrule.lectures.steepest import _task as steepest
from chainrule.lectures.support import givens, layout, numbers, tensors
from chainrule.lectures.support.points import points
from chainrule.lectures.support.walk import Walk, walk
from chainrule.present import latex, present, text
from chainrule.present import tree as t

a, b = t.Leaf("a", "a"), t.Leaf("b", "b")
x, y, z = symbols("x y z")


def fractions(*written: str) -> list[Rational]:
    return [Rational(each) for each in written]


# ---- Numbers and rows -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "rounded", "words", "figure", "relation"),
    [
        (0.0123456789, "0.0123457", "0.0123457", "0.0123457", "≈"),
        (1.2e-7, "1.2 · 10⁻⁷", "1.2e−07", "1.2e-7", "="),
        (-1.2e-7, "−1.2 · 10⁻⁷", "−1.2e−07", "−1.2e-7", "="),
        (1e-7, "10⁻⁷", "1e−07", "1e-7", "="),
        (1e8, "10⁸", "1e+08", "1e8", "="),
        (123456.7, "123457", "123457", "123457", "≈"),
        (1234567.0, "1.23457 · 10⁶", "1.23457e+06", "1.23457e6", "≈"),
        (0.1, "0.1", "0.1", "0.1", "="),
        (2 + 1e-12, "2", "2", "2", "="),
        (2 + 4e-12, "2", "2", "2", "≈"),
        (0.5 + 9e-13, "0.5", "0.5", "0.5", "="),
        (0.5 + 2e-12, "0.5", "0.5", "0.5", "≈"),
    ],
)
def test_a_number_to_six_digits(value: float, rounded: str, words: str, figure: str, relation: str) -> None:
    assert text.write(layout.rounded(value)) == rounded
    assert layout.in_words(value) == words
    assert text.write(numbers.figure(value)) == figure
    assert numbers.relation(value) == relation


def test_what_has_no_digits() -> None:
    assert (
        text.write(layout.rounded(math.inf)) == "∞" and latex.write(layout.rounded(-math.inf)) == r"-\infty"
    )
    assert (
        text.write(layout.rounded(-0.0)) == "0" == text.write(numbers.figure(-0.0)) == numbers.decimal(-0.0)
    )
    assert latex.write(layout.rounded(-1.5e-9, 3)) == r"-1.5 \cdot 10^{-9}"
    assert latex.write(numbers.figure(1.5e-9)) == r"1.5 \cdot 10^{-9}"
    assert text.write(layout.rounded(1.23456, 3)) == "1.23" == layout.in_words(1.23456, 3)


@pytest.mark.parametrize(
    ("value", "short", "written", "words"),
    [
        ("1/3", True, "1/3", "1/3"),
        ("-1/3", True, "−1/3", "−1/3"),
        ("1/8", True, "1/8", "0.125"),
        ("-7/5", True, "−1.4", "−1.4"),
        ("1/1024", True, "1/1024", "0.0009765625"),
        ("12345678901/2", True, "6172839450.5", "6172839450.5"),
        ("123456789013/2", False, "6.17284 · 10¹⁰", "6.17284e+10"),
        ("1234567/1000001", False, "1.23457", "1.23457"),
    ],
)
def test_an_exact_number(value: str, short: bool, written: str, words: str) -> None:
    number = Rational(value)
    assert layout.is_short(number) == short and layout.sign_of(number) == ("=" if short else "≈")
    assert text.write(layout.exact(number)) == written and layout.in_words(number) == words
    assert layout.sign_of(sqrt(2)) == "=" and text.write(layout.exact(sqrt(2))) == "√2"


@pytest.mark.parametrize(
    ("node", "written"),
    [
        (layout.row(fractions("1/5", "1/2", "3/10")), "(0.2, 0.5, 0.3)"),
        (layout.row(fractions("1/5", "1/3")), "(0.2, 1/3)"),
        (layout.row(fractions("-1/2")), "(−0.5)"),
        (layout.row(fractions(*map(str, range(1, 9)))), "(1, 2, 3, 4, 5, 6, 7, 8)"),
        (layout.row(fractions(*map(str, range(1, 10)))), "(1, 2, 3, 4, …, 9)"),
        (layout.total([a, b]), "a + b"),
        (layout.total([a]), "a"),
        (layout.total([t.Plus(((True, a),))]), "−a"),
        (layout.total([a, t.Plus(((True, b),))]), "a − b"),
        (layout.total([a] * 9), "a + a + a + a + … + a"),
        (layout.product(x, Rational(2), y), "2 x y"),
        (layout.product(x * y, Rational(3)), "3 x y"),
        (layout.product(Rational(1), x), "x"),
        (layout.product(Rational(1)), "1"),
        (layout.dotted(x, y), "x · y"),
        (layout.chain(x, y, z), "x = y = z"),
        (layout.chain(x, y, relation="≤"), "x ≤ y"),
        (layout.ordered(y - x + 3, y, x), "y − x + 3"),
        (layout.ordered(-x, x), "−x"),
        (layout.ordered(x, x), "x"),
        (layout.ordered(2 * x - y, y, x), "−y + 2 x"),
        (layout.grid([[x, Rational(1, 2)]]), "[x, 1/2]"),
        (layout.column(x, y), "[[x], [y]]"),
        (numbers.grid([1.0, 2.5]), "[1, 2.5]"),
        (numbers.grid([[1.0], [2.5]]), "[[1], [2.5]]"),
    ],
)
def test_what_is_laid_out(node: t.Node, written: str) -> None:
    assert text.write(node) == written


# ---- Walks ------------------------------------------------------------------------------------------


def down(
    rate: float, most: int, start: float = 1.0, slope: Callable[[float], float] = lambda at: 2 * at
) -> Walk:
    return walk(
        lambda at: [slope(at[0])], (start,), rate, most, lambda at, slopes: abs(at[0]) < 0.1 and bool(slopes)
    )


def test_how_a_walk_ends() -> None:
    assert down(0.25, 10).places == ((1.0,), (0.5,), (0.25,), (0.125,), (0.0625,))
    assert (down(0.25, 10).end, down(0.25, 10).steps, down(0.25, 10).last) == ("done", 4, (0.0625,))
    assert (down(0.25, 4).end, down(0.25, 4).steps) == ("done", 4)
    assert (down(0.25, 3).end, down(0.25, 3).steps) == ("short", 3)
    assert (down(0.25, 5, 0.05).end, down(0.25, 5, 0.05).steps) == ("done", 0)
    far = down(1.5, 1000)  # −2 times as far with every step: 2³³² is less than 10¹⁰⁰, 2³³³ more
    assert (far.end, far.steps) == ("lost", 332)
    left = down(0.75, 9, 1.0, lambda at: 1 / math.sqrt(at))  # there is no slope at 1 − 0.75 − 0.75/√0.25
    assert (left.end, left.places) == ("lost", ((1.0,), (0.25,)))
    nowhere = down(1.0, 9, 0.0, lambda at: 1 / at)
    assert (nowhere.end, nowhere.places) == ("lost", ((0.0,),))
    by_slope = walk(lambda at: [2 * at[0]], (1.0,), 0.25, 3, lambda _at, slopes: abs(slopes[0]) < 0.3)
    assert (by_slope.end, by_slope.last) == ("done", (0.125,))
    jump = down(1.0, 1, 1.0, lambda at: 1 / (at - 1) if at != 1 else 0.5)
    assert (jump.end, jump.places) == ("short", ((1.0,), (0.5,)))


def test_places_of_a_picture() -> None:
    short = Walk(tuple((float(k), -float(k)) for k in range(300)), "done")
    assert short.axis(0) == tuple(map(float, range(300))) and short.axis(1)[:2] == (0.0, -1.0)
    most = Walk(tuple((float(k),) for k in range(301)), "done").axis(0)
    assert len(most) < 300 and most[-1] == 300
    long = Walk(tuple((float(k),) for k in range(10_001)), "short").axis(0)
    assert len(long) < 300 and long[:3] == (0.0, 1.0, 2.0) and long[-1] == 10_000
    gaps = np.diff(long)
    assert (gaps > 0).all() and gaps[-1] > 100 * gaps[0] and (np.diff(gaps) >= -1).all()


# ---- Givens -----------------------------------------------------------------------------------------


def test_numbers_that_are_given() -> None:
    assert givens.split("1, max(2, 3),4") == ["1", " max(2, 3)", "4"]
    assert givens.numbers({"x": "[1, 1/3]"}, "x", "9") == fractions("1", "1/3")
    assert givens.numbers({"x": "(1, 0.25)"}, "x", "9") == fractions("1", "1/4")
    assert givens.numbers({}, "x", "9") == fractions("9") and givens.numbers({"x": "(2)"}, "x", "") == [2]
    assert len(givens.numbers({"x": ",".join(["1"] * 1000)}, "x", "")) == 1000
    assert givens.number({"r": "0"}, "r", "", least=0) == 0
    assert givens.whole({"n": "3"}, "n", "", 3, 5) == 3 and givens.whole({"n": "5"}, "n", "", 3, 5) == 5
    givens.allow({"x": "1"}, ("x",), "a")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda: givens.numbers({"x": ",".join(["1"] * 1001)}, "x", ""), "x has 1001 numbers; at most 1000"),
        (lambda: givens.number({"r": "1,2"}, "r", ""), "r is one number (given: 1,2)"),
        (lambda: givens.number({"r": "-1"}, "r", "", least=0), "r is at least 0 (given: -1)"),
        (lambda: givens.number({"r": "0"}, "r", "", above=0), "r is more than 0 (given: 0)"),
        (lambda: givens.whole({"n": "2"}, "n", "", 3, 5), "n is a whole number from 3 to 5 (given: 2)"),
        (lambda: givens.whole({"n": "6"}, "n", "", 3, 5), "n is a whole number from 3 to 5 (given: 6)"),
        (lambda: givens.whole({"n": "3.5"}, "n", "", 3, 5), "n is a whole number from 3 to 5 (given: 3.5)"),
        (lambda: givens.numbers({"x": "pi"}, "x", ""), "x: 'pi' is no fraction of whole numbers, as 1/3 or"),
        (lambda: givens.allow({"y": "1"}, (), "a"), "a takes no givens"),
        (lambda: givens.allow({"z": "1", "y": "1"}, ("x", "u"), "a"), "a takes x, u, not y, z"),
        (lambda: tensors.tensor_of("x", ",".join(["1"] * 65), 1), "x has 65 numbers; at most 64 can be read"),
        (lambda: tensors.tensor_of("x", "[]", 1), "x: '' is no number: the formula is empty"),
        (lambda: tensors.tensor_of("x", "[1", 1), "x: a bracket is not closed in [1"),
        (lambda: tensors.tensor_of("x", "[1]]", 1), "x: a bracket too many in 1]"),
        (lambda: tensors.tensor_of("x", "[[1],[2,3]]", 2), "x: the rows have different lengths"),
        (lambda: tensors.tensor_of("x", "[[1]]", 1), "x is a row of numbers, 1,2,3 (given: [[1]])"),
        (lambda: tensors.tensor_of("x", "[1]", 2), "x is rows of numbers, [[1,2],[3,4]] (given: [1])"),
        (lambda: tensors.tensor_of("x", "[1]", 0), "x is one number (given: [1])"),
        (lambda: tensors.whole("n", np.array(1.5), 1), "n is a whole number of at least 1 (given: 1.5)"),
        (lambda: tensors.whole("n", np.array(0.0), 1), "n is a whole number of at least 1 (given: 0)"),
        (lambda: tensors.same_shape(x=np.ones((2, 3)), y=np.ones(3)), "x has 2 × 3, y has 3; they must be"),
        (lambda: tensors.needed("a", {"x": np.ones(1)}, ("x", "y", "z")), "a: give y, z too"),
        (lambda: parse(["x1"]), "'x1': a given is name=value, for example t=0,1,0"),
        (lambda: parse(["=1"]), "'=1': a given is name=value, for example t=0,1,0"),
        (lambda: parse(["1x=1"]), "'1x=1': a given is name=value, for example t=0,1,0"),
        (lambda: parse(["x= "]), "'x= ': a given is name=value, for example t=0,1,0"),
    ],
)
def test_givens_that_are_refused(asked: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        asked()


def test_tensors_that_are_given() -> None:
    assert tensors.tensor_of("x", "1, 1/4", 1).tolist() == [1, 0.25]
    assert tensors.tensor_of("x", " [1, max(2, 3)] ", 1).tolist() == [1, 3]
    assert tensors.tensor_of("x", "[[1,2],[3,4]]", 2).tolist() == [[1, 2], [3, 4]]
    assert tensors.tensor_of("x", "-1/2", 0) == -0.5
    assert tensors.tensor_of("x", ",".join(["1"] * 64), 1).size == 64
    assert tensors.whole("n", np.array(1.0), 1) == 1
    tensors.needed("a", {"x": np.ones(1)}, ("x",))
    tensors.same_shape(x=np.ones(3), y=np.zeros(3))
    assert parse([" x = 1, 2 ", "y=a=b"]) == {"x": "1, 2", "y": "a=b"}


# ---- The limits of each topic -----------------------------------------------------------------------


def ones(count: int) -> str:
    return ", ".join(["1"] * count)


def test_points_of_a_convex_cost() -> None:
    assert points_of_convexity({}) == _Data(tuple(fractions("1")), tuple(fractions("0")))
    assert len(points_of_convexity({"x": ones(50), "y": ones(50)}).x) == 50
    assert points_of_convexity({"x": "0, -4", "y": "0, 1"}).reach == min(8 / 4, 30 / 4)
    assert points_of_convexity({"x": "1/2, 10", "y": "0, 1"}).reach == min(16, 3)
    for given, said in (
        ({"x": ones(51), "y": ones(51)}, "51 points; at most 50"),
        ({"x": "1"}, "give x and y, one value for each point"),
        ({"x": "1", "y": "1.01"}, "y holds targets from 0 to 1"),
        ({"x": "1", "y": "-1/9"}, "y holds targets from 0 to 1"),
        ({"x": "0", "y": "1"}, "all x are 0: no cost depends on w"),
        ({"x": "1, 2", "y": "1"}, "x has 2 values and y has 1; they must be as many"),
    ):
        with pytest.raises(TopicError, match=f"^{re.escape(said)}$"):
            points_of_convexity(given)


def test_points_of_a_line() -> None:
    found = points({"x": "1, 2", "y": "3, 5"})
    assert (found.count, list(found.means().values())) == (2, fractions("3/2", "4"))
    for given, said in (
        ({"x": "1", "y": "1"}, "one point is not enough: a line needs at least two"),
        ({"x": "1, 2", "y": "1, 2, 3"}, "x has 2 values and y has 3; they must be as many"),
        ({"x": "1, 2, 3", "y": "1, 2"}, "x has 3 values and y has 2; they must be as many"),
        ({"y": "1, 2"}, "give x and y, one value for each point"),
        ({"x": "2, 2", "y": "1, 3"}, "all x are 2: no line y = α + βx goes through them, Σ(x_i − x̄)² is 0"),
    ):
        with pytest.raises(TopicError, match=f"^{re.escape(said)}$"):
            points(given)


def test_tasks_of_walks() -> None:
    usual = descent({})
    assert (usual.start, usual.rate, usual.most) == ((1,), Rational(1, 10), 1000)
    assert descent({"steps": "10000", "rate": "2"}).most == 10_000 and descent({"steps": "1"}).most == 1
    first = steepest({}, 30.0)
    assert (first.start, first.rate, first.most) == ((0.0, 0.0), Rational(3, 100), 20_000)
    assert steepest({"steps": "200000", "start": "1, -2"}, 1.0).most == 200_000
    for task, given, said in (
        (descent, {"steps": "10001"}, "steps is a whole number from 1 to 10000 (given: 10001)"),
        (descent, {"steps": "0"}, "steps is a whole number from 1 to 10000 (given: 0)"),
        (descent, {"f": "f + 1"}, "call the variable something else than f"),
        (lambda g: steepest(g, 1.0), {"steps": "200001"}, "steps is a whole number from 1 to 200000 (given:"),
        (lambda g: steepest(g, 1.0), {"start": "1"}, "start is two numbers, α and β (given: 1)"),
    ):
        with pytest.raises(TopicError, match=f"^{re.escape(said)}"):
            task(given)  # type: ignore[operator]


def test_classes_and_labels() -> None:
    assert _labels({}) == (3, [1], fractions("1/5", "1/2", "3/10"))
    assert _labels({"classes": "2"}) == (2, [1], fractions("1/2", "1/2"))
    assert _labels({"p": "1/4, 3/4, 0, 0", "t": "3, 0"}) == (4, [3, 0], fractions("1/4", "3/4", "0", "0"))
    assert _labels({"classes": "1000"})[0] == 1000
    for given, said in (
        ({"classes": "1"}, "classes is a whole number from 2 to 1000"),
        ({"classes": "1001"}, "classes is a whole number from 2 to 1000"),
        ({"t": "3"}, "t is a class from 0 to 2, a whole number (given: 3)"),
        ({"t": "-1"}, "t is a class from 0 to 2, a whole number (given: -1)"),
        ({"t": "1/2"}, "t is a class from 0 to 2, a whole number (given: 1/2)"),
        ({"p": "1/2, 1/2", "classes": "3"}, "p has 2 values; there are 3 classes"),
        ({"p": "1/2, 1/3"}, "p holds probabilities: none below 0, and together 1 (here 5/6)"),
        ({"p": "3/2, -1/2"}, "p holds probabilities: none below 0, and together 1 (here 1)"),
    ):
        with pytest.raises(TopicError, match=f"^{re.escape(said)}"):
            _labels(given)


@pytest.mark.parametrize(
    ("id", "given", "said"),
    [
        (
            "dropout",
            [f"w={ones(13)}", f"x={ones(13)}", "t=1", "rate=0.5"],
            "at most 12 inputs, because every",
        ),
        ("dropout", ["w=1", "x=1", "t=1", "rate=-0.1"], "rate is at least 0 and less than 1 (given: -0.1)"),
        ("dropout", ["w=1,2", "x=1", "t=1", "rate=0"], "w has 2 numbers, x has 1; they must be as many"),
        ("sigmoid", ["x=1,2,3,4,5,6,7"], "at most 6 values of x can be read on a page"),
        ("elu", ["alpha=0"], "elu: alpha must be above 0 (given: 0)"),
        ("vanishing-gradient", ["depth=1"], "depth is a whole number from 2"),
        ("vanishing-gradient", ["depth=60", "w=1e6"], "relu: the numbers get too large; take a smaller w"),
        ("weight-decay", ["x=0,0", "y=1,2"], "all x are 0: the error does not depend on θ"),
        ("weight-decay", ["lambda=-1"], "lambda is at least 0 (given: -1)"),
        ("standardize", ["x=1"], "one value cannot be scaled: give at least two"),
        ("standardize", ["x=2,2"], "all x are 2: they have no spread to divide by"),
        ("mse", ["y=a*b", "t=1"], "y must depend on one unknown; it names a, b"),
        ("mse", ["y=a, 2*a", "t=1"], "y has 2 values and t has 1; they must be as many"),
        ("mse-minimum", ["y=exp(a)", "t=1"], "E(w) is not a polynomial: its minimum has no closed form"),
        ("batch-norm", ["x=1,2", "dy=1,2", "epsilon=-1"], "v + ε must be above 0 (ε given: -1)"),
    ],
)
def test_what_a_topic_cannot_take(id: str, given: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        topic(id, given)


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        (["y=w**2", "t=2"], ["w = −√2", "w ≈ −1.41421", "w = √2", "w ≈ 1.41421", "minimum = 0"]),
        (["y=w**3", "t=2"], ["w = 2^(1/3)", "w ≈ 1.25992"]),
        (["y=w**2, w", "t=2, 0"], ["w = −√6/2", "w = √6/2", "minimum = 7/8"]),
        (["y=w**3 + w, 1", "t=1, 0"], ["w ≈ 0.682327803828019", "w ≈ 0.682328"]),
        (["y=2*w", "t=4"], ["w = 2", "minimum = 0"]),
        (["y=2*w", "t=1"], ["w = 1/2", "w ≈ 0.5"]),
    ],
)
def test_where_an_error_is_least(given: list[str], lines: list[str]) -> None:
    shown = present(topic("mse-minimum", given), format="text", steps=True).splitlines()
    written = [line.partition(")")[2].strip() if line.startswith("  (") else line for line in shown]
    assert [line for line in written if line in lines] == lines


@pytest.mark.parametrize(
    "widths", ["3", "1,2,3,4,5,6,7,8,9", "3,1", "3,0,2", "100001,2", "3,2.5", "2,100001"]
)
def test_widths_that_make_no_network(widths: str) -> None:
    with pytest.raises(TopicError, match=r"layers are 2 to 8 widths of at most 100,000|whole number"):
        mnist_mlp({"layers": widths})


def test_widths_at_their_limits() -> None:
    assert mnist_mlp({"layers": "100000, 2"}).results["parameters"] == "200002"
    assert mnist_mlp({"layers": ",".join(["2"] * 8)}).results["parameters"] == str(7 * 6)


def test_the_last_layer_of_the_mlp_has_two_classes() -> None:
    with pytest.raises(TopicError, match="the last at least 2"):
        topic("mnist-mlp", ["layers=4,3,1"])
    assert topic("mnist-mlp", ["layers=4,1,2"]).results


def test_a_topic_as_text_has_its_steps() -> None:
    whole, results = str(topic("softmax")), str(topic("softmax").page())
    assert whole == str(topic("softmax").page(steps=True)) and len(whole) > len(results)


def test_windows_of_one_pixel_are_the_image() -> None:
    found = topic("pooling", ["size=1", "x=[[1,2],[3,4]]"]).results
    assert found["y, max, worked"] == found["y, mean, worked"] == "[[1.0, 2.0], [3.0, 4.0]]"


@pytest.mark.parametrize(("rate", "said"), [("0.05", True), ("0.07", False)])
def test_a_rate_is_held_against_its_bound(rate: str, said: bool) -> None:
    found = topic("steepest-descent", [f"rate={rate}", "steps=3"])
    assert float(found.results["bound"]) == pytest.approx(0.0601, rel=1e-3)
    assert any("under the bound: it converges" in str(e.rule) for e in found.entries) is said
    assert any("not under the bound: it cannot converge" in str(e.rule) for e in found.entries) is not said
