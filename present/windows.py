"""Convolutions in matrix form, read off the subscripts: a kernel slid along an input, all channels at once.

Σ_{u,c} W[k,u,c] x[i + u, c] is W ⋆ x (cross-correlation), Σ_{u,c} W[k,u,c] x[i − u, c] is W ∗ x (the kernel
turned around), Σ_{u,k} W[k,u,c] δ[i − u, k] is Wᵀ ∗ δ, and Σ_i δ[i,k] x[i + u, c] is δ ⋆ x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy
from sympy import Expr, Indexed, Integer, Symbol

from chainrule.present.order import per_example


@dataclass(frozen=True)
class Slide:
    """The kernel and the input of a convolution, and how the one slides along the other.

    The input is read at stride · output ± dilation · entry ∓ offset; ``note`` gives what is not 1, 1, 0.
    """

    kernel: Indexed
    input: Indexed
    transposed: bool
    turned: bool
    note: str


def slide(factors: Sequence[Expr], free: tuple[Symbol, ...], bound: Sequence[Symbol]) -> Slide | None:
    """Return what Σ over ``bound`` of a product slides along what, None if it is no convolution.

    ``free`` are the subscripts of the result, without the example's.
    """
    if len(factors) != 2:
        return None
    for kernel, source in (factors, factors[::-1]):
        if isinstance(kernel, Indexed) and isinstance(source, Indexed) and per_example(source):
            find = _of_examples if per_example(kernel) else _of_weights
            found = find(kernel, source, free, set(bound))
            if found is not None:
                return found
    return None


def _of_weights(
    kernel: Indexed, source: Indexed, free: tuple[Symbol, ...], bound: set[Symbol]
) -> Slide | None:
    """W[k, u…, c] and x[n, …, c] give (…, k); W[k, u…, c] and δ[n, …, k] give (…, c), W transposed."""
    if len(kernel.indices) < 3:
        return None
    (first, *entries, last), (*outputs, channel), read = kernel.indices, free, source.indices[-1]
    if bound != {*entries, read} or {first, last} != {channel, read} or first == last:
        return None
    return _along(kernel, source, outputs, entries, transposed=last == channel)


def _of_examples(
    kernel: Indexed, source: Indexed, free: tuple[Symbol, ...], bound: set[Symbol]
) -> Slide | None:
    """δ[n, i…, k] and x[n, …, c] give (k, u…, c)."""
    if len(kernel.indices) < 3 or len(free) < 3 or kernel.indices[0] != source.indices[0]:
        return None
    (_, *entries, last), (first, *outputs, channel) = kernel.indices, free
    if bound != set(entries) or last != first or channel != source.indices[-1]:
        return None
    return _along(kernel, source, outputs, entries, transposed=False)


def _along(
    kernel: Indexed, source: Indexed, outputs: list[Symbol], entries: list[Symbol], transposed: bool
) -> Slide | None:
    places = source.indices[1:-1]
    if not len(places) == len(outputs) == len(entries):
        return None
    strides, dilations, offsets = [], [], []
    for place, output, entry in zip(places, outputs, entries, strict=True):
        stride, step = place.coeff(output), place.coeff(entry)
        offset = sympy.expand(place - stride * output - step * entry)
        if not all(isinstance(part, Integer) for part in (stride, step, offset)) or stride < 1 or step == 0:
            return None
        strides.append(int(stride))
        dilations.append(int(step))
        offsets.append(int(offset))
    turned = all(step < 0 for step in dilations)
    if not turned and any(step < 0 for step in dilations):
        return None
    shown = (
        ("s", strides, 1),
        ("d", [abs(step) for step in dilations], 1),
        ("p", [offset if turned else -offset for offset in offsets], 0),
    )
    note = ", ".join(f"{letter}={_each(values)}" for letter, values, usual in shown if set(values) != {usual})
    return Slide(kernel, source, transposed, turned, note)


def _each(values: list[int]) -> str:
    return str(values[0]) if len(set(values)) == 1 else "×".join(map(str, values))
