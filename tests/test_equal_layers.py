"""Equal layers: derived once, written under other names, and what stands there is what was derived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest
import sympy
from sympy import Add, Basic, Mul, exp

from chainrule.derive import backward, invariance, network, patterns, replay
from chainrule.derive.backward import Backward
from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import Equation, Inside, Sum, Winner, index, size, tensor
from chainrule.derive.layers import LAYERS, Forward, LayerType, Parameter
from chainrule.derive.patterns import Renamed, order, renamed, under
from chainrule.spec import parse_spec

BARE = 'type = "conv2d"\nfilters = 2\nkernel = 3\npadding = 1'
CONV = f'{BARE}\nactivation = "sigmoid"'
NORM, DROP = 'type = "batch_norm"', 'type = "dropout"\nrate = 0.25'
WIDE, DENSE = 'type = "dense"\nunits = 3\nactivation = "tanh"', 'type = "dense"\nunits = 2'
POOL = 'type = "max_pool2d"\nsize = 1'
FRAME = """
spec_version = 1
name = "equal"
[input]
shape = {shape}
{layers}
[loss]
type = "mse"
l2 = 0.01
[optimizer]
type = "sgd"
learning_rate = 0.1
"""


def derived(layers: Iterable[str], shape: str = "[4]") -> Derivation:
    text = "\n".join(f"[[layers]]\n{layer}" for layer in layers)
    return derive_network(parse_spec(FRAME.format(shape=shape, layers=text), "equal.toml"))


def tree(node: Basic) -> str:
    """An expression with the order of its arguments, which == does not see."""
    return f"{type(node).__name__}({', '.join(map(tree, node.args))})" if node.args else str(node)


def sides(equation: Equation) -> tuple[str, str]:
    return tree(equation.left), tree(equation.right)


def written(derivation: Derivation) -> list[tuple[Any, ...]]:
    return [
        (
            e.number,
            e.role,
            e.because,
            str(e.rule),
            e.mode,
            e.shown_only,
            *sides(e.equation),
            *sides(e.computed),
        )
        for e in derivation.equations
    ]


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([WIDE, DENSE] * 6, "[4]"),
        ([CONV, NORM] * 6 + [DENSE], "[3, 3, 2]"),
        ([CONV, POOL, NORM, DROP] * 3 + [WIDE, NORM, WIDE, NORM], "[3, 3, 2]"),
    ],
    ids=("dense", "normalized", "mixed"),
)
def test_equal_layers_are_written_as_they_were_derived(
    layers: Sequence[str], shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = derived(layers, shape)
    assert any(isinstance(e.computed, Renamed) for e in found.role("backward"))
    monkeypatch.setattr(replay.Replay, "step", lambda self, instances, take: take())
    monkeypatch.setattr(patterns, "_place", lambda *key: [])
    assert written(found) == written(derived(layers, shape))


def work(layers: Sequence[str], monkeypatch: pytest.MonkeyPatch, shape: str = "[4]") -> Counter[str]:
    """How often a derivation walks a layer, and makes an equation's sides."""
    counts: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            counts[name] += 1
            return function(*arguments)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Backward, "_layer", counted("layers", Backward._layer))
        patch.setattr(Equation, "replace", counted("replaced", Equation.replace))
        for function in ("tidy", "accurate"):
            patch.setattr(backward, function, counted(function, getattr(backward, function)))
        counts["equations"] = len(derived(layers, shape).equations)
    return counts


def test_more_equal_layers_are_no_more_work(monkeypatch: pytest.MonkeyPatch) -> None:
    for block, shape in (([WIDE], "[4]"), ([CONV, NORM], "[3, 3, 2]")):
        derived([*block * 16, DENSE], shape)  # what templates are is found once for all networks
        few, many = (work([*block * count, DENSE], monkeypatch, shape) for count in (16, 32))
        assert many["equations"] > few["equations"] + 16
        for done in ("layers", "replaced", "tidy", "accurate"):
            assert few[done] == many[done]


def test_names_sort_alone_and_before_subscripts() -> None:
    assert order(["a9", "W9", "b9"]) == order(["a8", "W8", "b8"])
    assert order(["a9", "a10"]) != order(["a8", "a9"])  # a10 before a9
    assert order(["a1", "a12"]) != order(["a1", "b2"])  # a12[n] before a1[n]
    assert order(["a", "a"]) != order(["a", "b"])


def test_trees_keep_their_shape_under_other_names() -> None:
    i, j, n = index("i"), index("j"), size("N")
    x, y = tensor("x1", n, n), tensor("y1", n, n)
    held = Mul(2, Add(x[i, j], y[i, j], evaluate=False), evaluate=False)
    body = Sum(held * exp(-x[i, j]) * Inside(i + 1, n), (j, n)) + Winner(x[i, j], (i,), (j, n))
    branches = sympy.Piecewise((y[i, j] ** 2, x[i, j] > 0), (sympy.Abs(y[i, j]), True))
    at = sympy.KroneckerDelta(i, y[i, j])
    for side in (held, body, branches, at, x[i, j]):
        names = {"x1": "x2", "y1": "y2"}
        moved = renamed(side, names)
        assert tree(moved) == tree(side).replace("x1", "x2").replace("y1", "y2")
        assert renamed(moved, {"x2": "x1", "y2": "y1"}) == side
        assert renamed(side, {}) == side


def test_an_equation_under_other_names_tells_what_it_is_before_it_is_made() -> None:
    i, n = index("i"), size("N")
    pattern = Equation(tensor("y1", n)[i], tensor("x1", n)[i] + tensor("w1", n)[i])
    found = under(pattern, {"y1": "y2", "x1": "x2", "w1": "w2"})
    assert (found.name, found.tensors, found.read) == ("y2", ("y2", "w2", "x2"), ("w2", "x2"))
    assert found.pattern is pattern and found.free == (i,) and found.axes == pattern.axes
    assert not {"left", "right"} & vars(found).keys()
    plain = Equation(tensor("y2", n)[i], tensor("x2", n)[i] + tensor("w2", n)[i])
    assert found == plain and hash(found) == hash(plain) and found.reads() == plain.reads()
    assert found != pattern and under(pattern, {name: name for name in pattern.tensors}) is pattern
    again = under(found, {"y2": "y1", "x2": "x1", "w2": "w1"})
    assert again == pattern and str(again) == str(pattern)


def test_what_changes_nothing_is_proved_once_for_equal_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    put_in = invariance._put_in

    def counted(instance: network.Instance, changes: dict[str, invariance.Change]) -> invariance.Effect:
        steps.append(instance.output)
        return put_in(instance, changes)

    monkeypatch.setattr(invariance, "_put_in", counted)
    taken = []
    for count in (16, 32):
        whole = derived([BARE, NORM] * count + [DENSE], "[3, 3, 2]").network
        steps.clear()
        found = invariance.ineffective(whole)
        taken.append(len(steps))
        assert [(one.name, one.ends.output) for one in found] == [
            (f"b{k}", f"z{k + 1}") for k in range(1, 2 * count, 2)
        ]
        assert invariance.without_gradient(whole) == {one.name for one in found}
    assert taken[0] == taken[1] < 64


def test_what_is_the_same_for_all_outputs_changes_no_softmax(monkeypatch: pytest.MonkeyPatch) -> None:
    n, k, j = map(index, "nkj")
    N, K, J = map(size, "NKJ")
    x, y, W, c = tensor("x", N, J), tensor("y", N, K), tensor("W", K, J), tensor("c", J)

    def forward(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
        right = Sum(W[k, j] * x[n, j], (j, J)) + Sum(c[j] * x[n, j] ** 2, (j, J))
        own = [
            Parameter("W", (2, *shape), "weight", 1, 1, "zeros"),
            Parameter("c", shape, "bias", 1, 1, "zeros"),
        ]
        return Forward((Equation(y[n, k], right),), {J: shape[0], K: 2}, tuple(own))

    monkeypatch.setitem(LAYERS, "own", LayerType("own", "own", forward, input_rank=1))
    shifted = derived([WIDE, 'type = "own"', 'type = "softmax"', DENSE]).network
    assert [one.name for one in invariance.ineffective(shifted)] == ["c2"]
