"""A spec is checked along the same walk through its layers as its network is derived."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from shipped import NETWORKS

from chainrule.derive.layers import ShapeError
from chainrule.derive.model import LayerSpec, LineColumn
from chainrule.derive.network import build_network
from chainrule.derive.shapes import ShapeWalk
from chainrule.spec import load_spec
from chainrule.spec.stack import Stack

HERE = LineColumn(1, 1)


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_the_walk_of_the_check_is_that_of_the_network(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stacks: list[Stack] = []
    first = Stack.__init__

    def kept(self: Stack, *arguments: object) -> None:
        first(self, *arguments)  # type: ignore[arg-type]
        stacks.append(self)

    monkeypatch.setattr(Stack, "__init__", kept)
    network = build_network(load_spec(path))
    (stack,) = stacks
    assert stack.shape == network.output_shape
    assert stack.parameters == sum(math.prod(p.shape) for p in network.parameters)


def dense(units: int) -> LayerSpec:
    options = {"units": units, "bias": True, "init": "zeros", "bias_init": "zeros"}
    return LayerSpec("dense", options, HERE)


def test_a_layer_of_one_axis_has_an_image_flattened_first() -> None:
    walk = ShapeWalk((4, 3, 2))
    flatten, layer = walk.through(dense(5))
    assert (flatten.layer.type, flatten.before, flatten.after) == ("flatten", (4, 3, 2), (24,))
    assert (layer.before, layer.after, layer.parameter_count) == ((24,), (5,), 125)
    (activation,) = walk.through(LayerSpec("tanh", {}, HERE))
    assert activation.forward is None and activation.after == walk.shape == (5,)
    again = walk.through(dense(5))
    assert [step.parameter_count for step in again] == [30]
    assert walk.through(dense(5))[0].forward is again[0].forward, "equal layers are looked at once"


def test_a_layer_that_does_not_fit_leaves_the_walk_where_it_was() -> None:
    walk = ShapeWalk((4,))
    pool = LayerSpec("max_pool2d", {"size": (2, 2), "stride": None}, HERE)
    with pytest.raises(ShapeError, match="max_pool2d takes samples of 3 axes, not 1"):
        walk.through(pool)
    assert walk.shape == (4,)
