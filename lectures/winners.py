"""Pooling and maxout: what is the greatest, and how a derivative goes through the winner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy
from sympy import Expr, Integer

from chainrule.derive.differentiate import local_terms, vjp
from chainrule.derive.index import Equation, access, canonical_sums, cotangent, index, size, tensor
from chainrule.derive.layers import LAYERS
from chainrule.derive.layers.layer import ShapeError
from chainrule.derive.layers.maxout import GREATEST, PIECES, N, fan_out
from chainrule.derive.layers.pooling import N as SAMPLES
from chainrule.derive.layers.pooling import channels, u, v, window_height, window_width
from chainrule.derive.prose import _
from chainrule.lectures.model import Steps, Topic, TopicError, partial
from chainrule.lectures.support.numbers import compute, put, shown_numbers, work, worked
from chainrule.lectures.support.spoken import slope_of_sum
from chainrule.lectures.support.templates import renamed, without
from chainrule.lectures.support.tensors import needed, taken, whole
from chainrule.present.tree import Applied, Leaf, Node, Plus, Ref, Times, Transposed

SLIDE = (
    (10, 255, 125, 0, 170, 100),
    (70, 255, 105, 25, 25, 70),
    (255, 0, 150, 0, 10, 10),
    (0, 255, 10, 10, 150, 20),
    (70, 15, 200, 100, 95, 0),
    (25, 25, 100, 20, 0, 60),
)
K = size("K")
FIRST = _(
    "Where two values of a window are the greatest, the first of them is the winner, as in PyTorch, Flax, "
    "Keras and MyGrad; MLX and tinygrad share the derivative among them."
)


def pooling(given: Mapping[str, str]) -> Topic:
    """Derive the greatest and the mean of every window with their derivatives, and work out an image."""
    found = taken("pooling", given, x=2, size=0, stride=0)
    x = found.get("x", np.array(SLIDE, dtype=float))
    extent = whole("size", found["size"], 1) if "size" in found else 2
    stride = whole("stride", found["stride"], 1) if "stride" in found else extent
    steps = Steps(origin=0)
    greatest, mean = (_pool(name, x.shape, extent, stride) for name in ("max_pool2d", "avg_pool2d"))
    biggest = _greatest(steps, greatest)
    average = _mean(steps, mean)
    steps.heading(_("In numbers"))
    put(steps, "x", x, _("an example, window {size} × {size}, stride {stride}", size=extent, stride=stride))
    for equation, numbers, kind in ((greatest, biggest, "max"), (mean, average, "mean")):
        _worked(steps, equation, x, extent, numbers, kind)
    return steps.topic("pooling", _("pooling"), FIRST)


def _pool(name: str, shape: tuple[int, ...], extent: int, stride: int) -> Equation:
    """Return the layer's equation for one image of one channel: y[i,j] from x, a window of K × K."""
    options = {"size": (extent, extent), "stride": (stride, stride)}
    try:
        layer = LAYERS[name].forward((*shape, 1), options)
    except ShapeError as error:
        raise TopicError(f"pooling: {error}; {error.remedy}") from None
    (equation,) = layer.equations
    one = without(equation, (SAMPLES, channels))
    kept = {symbol: Integer(value) for symbol, value in layer.sizes.items()}
    window = {window_height: K, window_width: K}
    return one.replace({**{s: n for s, n in kept.items() if s not in window}, **window})


def _greatest(steps: Steps, equation: Equation) -> tuple[int, int]:
    """Add the greatest value and its derivatives; return the numbers of both."""
    steps.heading(_("The greatest value"))
    first = steps.add(equation.left, equation.right, _("the greatest value of every window"), (), "max")
    (term,) = local_terms(equation.right, equation.reads()["x"])
    bound = [axis[0] for axis in term.axes]
    names = dict(zip(bound, (u, v), strict=True))
    read = access(equation.reads()["x"], *(s.xreplace(names) for s in term.subscripts))
    second = steps.add(
        partial(equation.left, read),
        term.coefficient.xreplace(names),
        _("y moves with the winner alone: 1 where (u, v) is the place of the greatest value, else 0"),
        (first,),
        "dy/dx, max",
    )
    slope = _slope(equation)
    rule = _("chain rule over all windows: ∂E/∂y goes to the winner of its window")
    last = steps.add(partial("E", _read(slope)), slope.right, rule, (first, second), "dE/dx, max")
    return first, last


def _mean(steps: Steps, equation: Equation) -> tuple[int, int]:
    """Add the mean and its derivatives; return the numbers of both."""
    steps.heading(_("The mean"))
    first = steps.add(equation.left, equation.right, _("the mean of every window of K² values"), (), "mean")
    (term,) = local_terms(equation.right, equation.reads()["x"])
    names = dict(zip([axis[0] for axis in term.axes], (u, v), strict=True))
    read = access(equation.reads()["x"], *(s.xreplace(names) for s in term.subscripts))
    second = steps.add(
        partial(equation.left, read),
        term.coefficient,
        _("each value of the window has the share 1/K²"),
        (first,),
        "dy/dx, mean",
    )
    slope = _slope(equation)
    rule = _("chain rule over all windows: each gives 1/K² of its ∂E/∂y to every value in it")
    last = steps.add(partial("E", _read(slope)), slope.right, rule, (first, second), "dE/dx, mean")
    return first, last


def _slope(equation: Equation) -> Equation:
    return vjp(equation, "x")


def _read(slope: Equation) -> Expr:
    return access(tensor("x", *slope.left.base.shape), *slope.free)


def _worked(
    steps: Steps, equation: Equation, x: Any, extent: int, numbers: tuple[int, int], kind: str
) -> None:
    forward, backward = numbers
    concrete = equation.replace({K: Integer(extent)})
    arrays: dict[str, Any] = compute([concrete], {"x": x})
    rule = {"max": _("the greatest value of each window"), "mean": _("the mean of each window")}[kind]
    own = (forward, *shown_numbers(steps, concrete))
    worked(steps, Ref("y"), arrays["y"], rule, own, f"y, {kind}, worked")
    seed, words = slope_of_sum(concrete.left.base, *concrete.free)
    slope = vjp(concrete, "x")
    compute([seed, slope], arrays)
    rule = _("for E = Σ y, so that {slope} everywhere", slope=words)
    own = (backward, *shown_numbers(steps, slope))
    worked(steps, partial("E", "x"), arrays[slope.name], rule, own, f"dE/dx, {kind}, worked")


# ---- Maxout ----------------------------------------------------------------------------------------------

MAXOUT = {"w": "[[1, -2], [-1, 1]]", "b": "0.5, 0", "x": "0.3, 0.8"}


def maxout(given: Mapping[str, str]) -> Topic:
    """Derive maxout of one unit and its derivatives through the winner, and work out an example."""
    found = taken("maxout", given or MAXOUT, w=2, b=1, x=1)
    needed("maxout", found, MAXOUT)
    count, inputs = found["w"].shape
    if found["b"].shape != (count,) or found["x"].shape != (inputs,):
        raise TopicError(
            f"maxout: w has {count} rows of {inputs} numbers, so that b needs {count} (it has "
            f"{len(found['b'])}) and x {inputs} (it has {len(found['x'])})"
        )
    steps = Steps()
    affine = renamed(without(PIECES, (N, fan_out)), W="w")
    greatest = without(GREATEST, (N, fan_out))
    maps = tuple(_affine_map(q) for q in range(1, count + 1))
    steps.add("y", Applied(r"\max", "max", maps), _("definition, {count} pieces", count=count))
    first = steps.add(affine.left, affine.right, _("piece q, an affine map of x"), (1,), "h")
    second = steps.add("y", greatest.right, _("the greatest of them"), (1, 2), "y")
    through = vjp(greatest, "h")
    of_output = access(tensor(cotangent("y")))
    third = steps.add(
        partial("y", affine.left),
        through.right.xreplace({of_output: sympy.S.One}),
        _("y moves with the winner alone: 1 where q is the greatest piece, else 0"),
        (second,),
        "dy/dh",
    )
    fourth = steps.add(partial("E", affine.left), through.right, _("chain rule"), (second, third))
    gradients, numbers = [], []
    for name in ("w", "b", "x"):
        slope = vjp(affine, name)
        inner = through.right.xreplace({through.free[0]: index("q")})
        right = slope.right.xreplace({access(slope.reads()[cotangent("h")], index("q")): inner})
        right = canonical_sums(right, ("q", "r", "s"), slope.free)
        left = partial("E", access(tensor(name, *slope.left.base.shape), *slope.free))
        rules = {
            "w": _("chain rule through piece q: only the winner's weights learn"),
            "b": _("chain rule through piece q: only the winner's bias learns"),
            "x": _("chain rule over the pieces: the winner's weights alone pass on"),
        }
        numbers.append(steps.add(left, right, rules[name], (first, fourth), f"dE/d{name}"))
        gradients.append(Equation(slope.left, right))
    arrays: dict[str, Any] = dict(found)
    steps.heading(_("In numbers"))
    for name in ("w", "b", "x"):
        put(steps, name, found[name], _("an example"))
    work(steps, affine, arrays, (first,))
    work(steps, greatest, arrays, (second,), "y, worked")
    seed, words = slope_of_sum(greatest.left.base)
    compute([seed], arrays)
    for gradient, name, number in zip(gradients, ("w", "b", "x"), numbers, strict=True):
        compute([gradient], arrays)
        rule = _("for E = y, so that {slope}", slope=words)
        own = (number, *shown_numbers(steps, gradient))
        worked(steps, partial("y", name), arrays[gradient.name], rule, own, f"dy/d{name}, worked")
    return steps.topic(
        "maxout", _("maxout"), _("Where two pieces are the greatest, the first of them is the winner.")
    )


def _affine_map(q: int) -> Node:
    weights = Transposed(Leaf(f"w_{{{q}}}", f"w{q}"))
    return Plus(((False, Times((weights, Leaf("x", "x")))), (False, Leaf(f"b_{{{q}}}", f"b{q}"))))


TOPICS = {"pooling": pooling, "maxout": maxout}
