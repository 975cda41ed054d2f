"""Matrix products: how the indices of a product of two tensors fall into rows, sums and columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sympy import Symbol

from chainrule.codegen.ir.program import Extent

Indices = tuple[Symbol, ...]


@dataclass(frozen=True)
class Blocks:
    """out[batch, rows, columns] = Σ_summed left[batch, rows, summed] · right[batch, summed, columns].

    Each block is a run of indices in one order; indices with a single value belong to none.
    """

    batch: Indices
    rows: Indices
    summed: Indices
    columns: Indices

    def left(self) -> tuple[Indices, ...]:
        return self.batch, self.rows, self.summed

    def right(self) -> tuple[Indices, ...]:
        return self.batch, self.summed, self.columns

    def out(self) -> tuple[Indices, ...]:
        return self.batch, self.rows, self.columns


def arranged(indices: Iterable[Symbol], blocks: tuple[Indices, ...], units: set[Symbol]) -> Indices | None:
    """Return in which order the (non-empty) blocks follow each other in ``indices``, as their first indices.

    None where they do not: some block is interrupted or in another order.
    """
    rest = tuple(i for i in indices if i not in units)
    order: list[Symbol] = []
    left = [b for b in blocks if b]
    while rest:
        block = next((b for b in left if rest[: len(b)] == b), None)
        if block is None:
            return None
        left.remove(block)
        order.append(block[0])
        rest = rest[len(block) :]
    return None if left else tuple(order)


def blocks(out: Indices, left: Indices, right: Indices, units: set[Symbol]) -> Blocks:
    """Read the blocks off the index orders of a contraction; ``arranged`` says whether they hold."""

    def kept(indices: Indices, wanted: set[Symbol]) -> Indices:
        return tuple(i for i in indices if i in wanted and i not in units)

    one, other, whole = set(left), set(right), set(out)
    return Blocks(
        batch=kept(out, one & other & whole),
        rows=kept(out, one - other),
        summed=kept(left, (one & other) - whole),
        columns=kept(out, other - one),
    )


def distinct(terms: Iterable[tuple[int, Symbol]], extents: Mapping[Symbol, Extent]) -> bool:
    """Whether Σ slope · index, given as (|slope|, index), takes every value only once."""
    ordered = sorted(terms, key=lambda term: term[0])
    reach = 0
    for position, (slope, index) in enumerate(ordered):
        if position and slope <= reach:
            return False
        if position + 1 < len(ordered):
            reach += slope * (int(extents[index]) - 1)
    return True
