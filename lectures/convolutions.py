"""Convolution: the definition, sizes, the rotated kernel, both derivatives, and numbers in two dimensions.

Every equation is that of the layers conv1d and conv2d, for one example and one channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import sympy
from sympy import Expr, Integer, Symbol, floor

from chainrule.derive.differentiate import vjp
from chainrule.derive.index import Equation, Sum, access, canonical_sums, cotangent, index, size, tensor
from chainrule.derive.layers.convolution import Axis, Convolution, N, in_channels, out_channels
from chainrule.derive.layers.layer import ShapeError
from chainrule.derive.layers.windows import AxisWindow, window
from chainrule.derive.prose import _
from chainrule.lectures.model import Steps, Topic, TopicError, node, partial
from chainrule.lectures.support.givens import allow
from chainrule.lectures.support.numbers import (
    compute,
    element,
    figure,
    inserted,
    put,
    relation,
    shown_numbers,
    worked,
)
from chainrule.lectures.support.spoken import slope_of_sum
from chainrule.lectures.support.templates import plain_places, renamed, without
from chainrule.lectures.support.tensors import Array, tensor_of, whole
from chainrule.present import text
from chainrule.present.tree import Big, Leaf, Node, Over, Plus, Ref, Related, Rounded, Times

i, j, k, l = (index(letter) for letter in "ijkl")  # noqa: E741  (the lecture's letter)
n, m, s, p, d = (size(letter) for letter in "nmspd")
SINGLE = (N, in_channels, out_channels)  # one example, one channel
EXAMPLE = {
    "x": "[[2, 1, 2], [5, 0, 1], [1, 7, 3]]",
    "w": "[[0.5, 0.7, 0.4], [0.3, 0.4, 0.1], [0.5, 1, 0.5]]",
    "padding": "1",
    "stride": "1",
    "dilation": "1",
}
SIZES = ((7, 3, 0, 1), (7, 3, 0, 2), (32, 5, 0, 1))


@lru_cache(maxsize=1024)
def layer(
    rank: int, before: Expr, flip: bool, stride: Expr = sympy.S.One, dilation: Expr = sympy.S.One
) -> Equation:
    """Return the layer's equation along one or two axes, for one example and one channel: y from x and w."""
    letters = ((i, "u", "n", k, "m"), (j, "v", "n'", l, "m'"))[:rank]
    axes = tuple(Axis(extent, output, index(entry)) for output, entry, extent, _k, _m in letters)
    spans = [m, m] if rank == 2 else [m]
    windows = tuple(AxisWindow(span, stride, dilation, before, 0) for span in spans)
    (whole_,) = Convolution(axes, windows, bias=False, flip=flip).plain()
    one = without(whole_, SINGLE)
    exchange: dict[Expr, Expr] = {index(entry): bound for _o, entry, _e, bound, _m in letters}
    exchange |= {axis.kernel: span for axis, span in zip(axes, spans, strict=True)}
    found = renamed(one.replace(exchange), z="y", W="w")
    return Equation(found.left, plain_places(found.right))


def gradient(equation: Equation, of: str) -> Equation:
    """Return ∂E/∂x or ∂E/∂w from ∂E/∂y, its free indices named as those of y."""
    found = vjp(equation, of)
    names = dict(zip(found.free, (i, j) if of == "x" else (k, l), strict=False))
    fresh = Equation(
        found.left,
        canonical_sums(found.right, ("k", "l") if of == "x" else ("i", "j"), names.values(), keep=False),
    )
    return fresh.replace(names)


def convolution(given: Mapping[str, str]) -> Topic:
    """Derive sizes, the rotated kernel and both derivatives; then an example in numbers."""
    example = _example(given)
    steps = Steps(origin=0)
    _definition(steps)
    _sizes(steps)
    general, turned = _rotated(steps)
    for rank in (1, 2):
        _derivatives(steps, rank)
    _numbers(steps, example, general, turned)
    return steps.topic(
        "convolution",
        _("convolution"),
        _("x and w are 0 outside of their boxes; that is what padding with zeros means."),
        _("What frameworks call a convolution is the cross-correlation: the kernel is not rotated."),
    )


# ---- One dimension ---------------------------------------------------------------------------------------


def _definition(steps: Steps) -> None:
    steps.heading(_("Definition"))
    full = layer(1, m - 1, True)
    first = steps.add(full.left, full.right, _("definition of the convolution"), (), "y")
    other = full.right.body.xreplace({k: i - j})
    steps.add(
        full.left,
        Sum(plain_places(other), (j, n)),
        _("j = i − k counts the entries of x instead: x and w change places"),
        (first,),
    )


def _sizes(steps: Steps) -> None:
    """From the last window that fits to the size of the output."""
    steps.heading(_("The size of the output"))
    o = Symbol("o", integer=True, positive=True)
    left_over = n + 2 * p - (s * (o - 1) + m)  # linear in o: 0 at the greatest o that fits
    most = left_over.xreplace({o: sympy.S.Zero}) / -sympy.diff(left_over, o)
    quotient = (n + 2 * p - m) / s
    if sympy.cancel(most - quotient - 1) != 0 or sympy.cancel(left_over.xreplace({o: most})) != 0:
        raise AssertionError(f"o is at most {most}")
    places = _plus("n", "2p")
    rule = _("the last of o windows begins s(o − 1) places after the first and must end within n + 2p places")
    first = steps.add(_plus("s (o - 1)", "m"), places, rule, relation="≤")
    room = Over(_plus("n", "2p", "-m"), Leaf("s", "s"))
    second = steps.add("o", _plus(room, "1"), _("solved for o"), (first,), relation="≤")
    third = steps.add("o", _plus(_floor(room), "1"), _("o is the greatest whole number of these"), (second,))
    steps.entries[-1] = replace(steps.entries[-1], role="result")
    steps.results["size"] = text.write(steps.entries[-1].line.right)
    steps.formulas["size"] = floor(quotient) + 1
    cases = (
        (_("valid: no padding, p = 0, s = 1"), sympy.S.Zero, "valid"),
        (_("same: as many outputs as inputs, p = (m − 1)/2 for an odd m, s = 1"), (m - 1) / 2, "same"),
        (_("full: wherever the kernel touches x, p = m − 1, s = 1"), m - 1, "full"),
    )
    for rule, padding, result in cases:
        value = sympy.expand((quotient + 1).xreplace({p: padding, s: sympy.S.One}))
        shown = {n - m + 1: _plus("n", "-m", "1"), n + m - 1: _plus("n", "m", "-1")}.get(value, node(value))
        steps.add("o", shown, rule, (third,))
        steps.formulas[f"size, {result}"] = value
    for extent, kernel, padding, stride in SIZES:
        value = window("n", extent, kernel, stride, 1, padding).outputs
        room = Over(_plus(extent, -kernel), Leaf(str(stride), str(stride)))
        put_in = _plus(_floor(room) if stride > 1 else room, "1")
        rule = _("n = {n}, m = {m}, s = {s}, p = {p}", n=extent, m=kernel, s=stride, p=padding)
        steps.add("o", Related("=", put_in, Leaf(str(value), str(value))), rule, (third,))
        steps.results[f"size {extent}, {kernel}, {stride}"] = str(value)


def _plus(*terms: str | int | Node) -> Node:
    """Return a sum in the order given; "-m" is subtracted."""
    signed = []
    for term in terms:
        written = str(term) if isinstance(term, str | int) else ""
        shown = (
            term
            if not isinstance(term, str | int)
            else Leaf(written.lstrip("-"), written.lstrip("-").replace("-", "−"))
        )
        signed.append((written.startswith("-"), shown))
    return Plus(tuple(signed))


def _floor(inner: Node) -> Node:
    return Rounded(inner, "⌊⌋")


def _rotated(steps: Steps) -> tuple[int, int]:
    """The convolution is the cross-correlation with the rotated kernel; return the numbers of both."""
    steps.heading(_("Convolution and cross-correlation"))
    general = layer(1, p, True, s, d)
    first = steps.add(
        general.left,
        general.right,
        _("stride s, dilation d, padding p: the kernel runs backwards along x"),
        (1,),
    )
    w, rotated = tensor("w", m), tensor("w^r", m)
    named = steps.add(rotated[k], w[m - 1 - k], _("the rotated kernel: the last entry first"))
    turned = plain_places(general.right.body.xreplace({k: m - 1 - k}))
    backwards = Sum(turned, (k, m))
    second = steps.add(general.left, backwards, _("k counted from the other end: m − 1 − k for k"), (first,))
    cross = backwards.xreplace({w[m - 1 - k]: rotated[k]})
    plain = layer(1, p, False, s, d).right.xreplace({w: rotated})
    if cross != plain:
        raise AssertionError(f"{cross} is not {plain}")
    steps.add(
        general.left,
        cross,
        _("the cross-correlation of x with the rotated kernel"),
        (second, named),
        "y, cross-correlation",
    )
    return first, named


def _derivatives(steps: Steps, rank: int) -> None:
    steps.heading(_("Derivatives in one dimension") if rank == 1 else _("Derivatives in two dimensions"))
    suffix = "" if rank == 1 else ", 2-D"
    for flip in (True, False):
        forward = layer(rank, p, flip)
        kind = _("the convolution") if flip else _("the cross-correlation")
        at = _("{kind} in two dimensions, s = d = 1", kind=kind)
        at = _("{kind} in one dimension, s = d = 1", kind=kind) if rank == 1 else at
        named = f"{suffix}" if flip else f", cross-correlation{suffix}"
        first = steps.add(forward.left, forward.right, at, (), f"y{named}, padding p")
        for of in ("x", "w"):
            _derivative(steps, forward, of, first, f"dE/d{of}{named}", flip)


def _derivative(steps: Steps, forward: Equation, of: str, because: int, result: str, flip: bool) -> None:
    """The chain rule over all outputs, then what the Kronecker deltas leave of it."""
    found = gradient(forward, of)
    source = tensor(of, *found.left.base.shape)
    rules = {
        ("x", True): _(
            "δ leaves, for each k, the one output that reads x there: w is slid over ∂E/∂y unrotated"
        ),
        ("x", False): _("δ leaves, for each k, the one output that reads x there: ∂E/∂y is convolved with w"),
        ("w", True): _("w_k is read by every output: the sum over the outputs stays"),
        ("w", False): _("w_k is read by every output: ∂E/∂y is slid over x"),
    }
    left = partial("E", source[found.free])
    outputs = forward.free if of == "w" else tuple(map(index, "j" if len(found.free) == 1 else "qr"))
    y = forward.left.base
    seed = access(tensor(cotangent("y"), *y.shape), *outputs)
    each = Times((node(seed), partial(y[outputs], source[found.free])))
    summed = Big("sum", tuple((o.name, "") for o in outputs), each)
    second = steps.add(left, summed, _("chain rule over every output y"), (because,))
    steps.add(left, found.right, rules[of, flip], (second,), result)


# ---- Numbers ---------------------------------------------------------------------------------------------


def _example(given: Mapping[str, str]) -> dict[str, Any]:
    allow(given, EXAMPLE, "convolution")
    if len({"x", "w"} & set(given)) == 1:
        raise TopicError("convolution: give both x and w")
    texts = {**EXAMPLE, **({"padding": "full"} if "x" in given else {}), **given}
    rank = 2 if texts["x"].replace(" ", "").startswith("[[") else 1
    found: dict[str, Any] = {name: tensor_of(name, texts[name], rank) for name in ("x", "w")}
    found["padding"] = (
        texts["padding"]
        if texts["padding"] in ("valid", "same", "full")
        else whole("padding", tensor_of("padding", texts["padding"], 0), 0)
    )
    for name in ("stride", "dilation"):
        found[name] = whole(name, tensor_of(name, texts[name], 0), 1)
    return found


def _numbers(steps: Steps, example: Mapping[str, Any], general: int, rotation: int) -> None:
    """An example of the convolution, whose step is ``general``, of the kernel's rotation and derivatives."""
    steps.heading(_("In numbers"))
    x, w = example["x"], example["w"]
    step, gap, padding = example["stride"], example["dilation"], example["padding"]
    try:
        windows = tuple(
            window("x", extent, kernel, step, gap, padding)
            for extent, kernel in zip(x.shape, w.shape, strict=True)
        )
    except ShapeError as error:
        raise TopicError(f"{error}; {error.remedy}") from None
    before = windows[0].before
    given = put(steps, "x", x, _("an example"))
    kernel = put(steps, "w", w, _("its kernel"))
    turned = np.flip(w)
    rule = _("the kernel rotated by 180°")
    rotated = worked(steps, Ref("w^r"), turned, rule, (rotation, kernel), "w^r, worked")
    forward = _concrete(x, w, windows)
    arrays: dict[str, Any] = compute([forward], {"x": x, "w": w})
    y = arrays["y"]
    first = (0,) * x.ndim
    shown = inserted(forward, arrays, first)
    rule = _("stride {s}, dilation {d}, padding {p}", s=step, d=gap, p=before)
    if shown is not None:
        right = Related(relation(float(y[first])), shown, figure(float(y[first])))
        left = element(forward, first, steps.origin)
        steps.add(left, right, rule, (general, given, kernel, rotated))
    worked(steps, Ref("y"), y, rule, (general, given, kernel), "y, worked")
    seed, words = slope_of_sum(forward.left.base, *forward.free)
    compute([seed], arrays)
    for of in ("x", "w"):
        slope = vjp(forward, of)
        compute([slope], arrays)
        rule = _("for E = Σ y, so that {slope} everywhere", slope=words)
        own = (general, *shown_numbers(steps, slope))
        worked(steps, partial("E", of), arrays[slope.name], rule, own, f"dE/d{of}, worked")


def _concrete(x: Array, w: Array, windows: tuple[AxisWindow, ...]) -> Equation:
    """Return the layer's equation with these windows, its sizes as numbers."""
    letters = ((i, "u", "height"), (j, "v", "width"))[: x.ndim]
    axes = tuple(Axis(name, output, index(entry)) for output, entry, name in letters)
    (whole_,) = Convolution(axes, windows, bias=False, flip=True).plain()
    one = renamed(without(whole_, SINGLE), z="y", W="w")
    sizes: dict[Expr, Expr] = {}
    for axis, extent, here in zip(axes, x.shape, windows, strict=True):
        sizes |= {
            axis.extent: Integer(extent),
            axis.kernel: Integer(here.kernel),
            axis.outputs: Integer(here.outputs),
        }
    return one.replace(sizes)


TOPICS = {"convolution": convolution}
