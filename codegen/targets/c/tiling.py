"""How a product is cut into tiles: which factor gives rows, which columns, what is summed in what order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil, prod

from sympy import Symbol

from chainrule.codegen.ir.program import BATCH, Extent, Program
from chainrule.codegen.kernels.views import Views
from chainrule.codegen.kernels.work import Product
from chainrule.codegen.lower.emitter import LoweringError
from chainrule.codegen.targets.c.functions import Share
from chainrule.codegen.targets.c.operands import Affine, operand

ROWS, LANES = 12, 16  # of the largest tile, and of the widest vector: what plans are compared by
LEAST = 64  # products of a sample, or of a batch's sum, from which on tiles pay
LONGEST = 16  # terms, from which on sums of vectors along them pay


class Columns(Enum):
    """How the right factor lies: columns side by side, or copied to panels, or terms side by side."""

    DIRECT = "direct"
    PACKED = "packed"
    ALONG = "along"


@dataclass(frozen=True)
class Level:
    """A run of terms with one stride in each factor."""

    left: int
    right: int
    extent: Extent
    indices: tuple[Symbol, ...]


@dataclass(frozen=True)
class Tiling:
    """Tiles of ``rows`` times ``columns``, for each of ``around``, summed over ``levels`` of terms.

    ``by_sample`` is whether each sample has tiles of its own, ``partial`` whether the samples of a thread are
    summed; ``sample`` is the index of samples.
    """

    left: Affine
    right: Affine
    form: Columns
    rows: tuple[Symbol, ...]
    columns: tuple[Symbol, ...]
    around: tuple[Symbol, ...]
    terms: tuple[Symbol, ...]
    levels: tuple[Level, ...]
    extents: dict[Symbol, Extent]
    sample: Symbol | None
    by_sample: bool
    partial: bool
    share: Share

    @property
    def samples(self) -> Symbol:
        """The index of samples, of tiles that each sample has.  Raises LoweringError without one."""
        if self.sample is None:
            raise LoweringError("tiles of each sample, without samples")
        return self.sample

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.count(self.columns)

    @property
    def height(self) -> str:
        """Number of rows, in C."""
        return "w->N" if self.batch_rows else str(self.count(self.rows))

    @property
    def batch_rows(self) -> bool:
        """Whether rows are samples."""
        return any(self.extents[i] == BATCH for i in self.rows)

    @property
    def by_rows(self) -> bool:
        """Whether threads share the rows, rather than the columns or the samples."""
        if self.share is not Share.RANGE or self.batch_rows or not self.rows:
            return False
        return self.count(self.rows) * 2 >= self.width // LANES

    @property
    def row(self) -> int:
        """The stride of rows in the left factor, where they have one together."""
        return self.left.stride(self.rows[-1]) if self.rows else 0

    @property
    def row_runs(self) -> list[tuple[int, int]]:
        """How many rows have one stride together in the left factor, and which; the outermost first."""
        found: list[tuple[int, int]] = []
        for index in reversed(self.rows):
            size, step = 1 if self.batch_rows else int(self.extents[index]), self.left.stride(index)
            if found and step == found[0][0] * found[0][1]:
                size, step = size * found[0][0], found[0][1]
                found.pop(0)
            found.insert(0, (size, step))
        return found

    @property
    def cost(self) -> float:
        """Instructions for each term and useful sum, about: of loads, and of products of vectors."""
        rows = ROWS if self.batch_rows else self.count(self.rows)
        height = ceil(rows / ceil(rows / ROWS))
        vectors = ceil(self.width / LANES)
        pairs = ceil(vectors / 2)
        tile = height * min(vectors, 2) + 0.5 * (height + min(vectors, 2))
        return tile * ceil(rows / height) * pairs / (rows * self.width)

    def count(self, indices: Iterable[Symbol]) -> int:
        """Product of the extents of indices, samples aside."""
        return prod(int(self.extents[i]) for i in indices if self.extents[i] != BATCH)


def tilings(program: Program, views: Views, work: Product) -> list[Tiling]:
    """Return how the product may be cut: with its last axis in the columns, then with it in the rows."""
    extents = {i: e for i, e in work.extents.items() if e != 1}
    batch = [i for i, e in extents.items() if e == BATCH]
    sample = batch[0] if len(batch) == 1 else None
    b = work.blocks
    if len(batch) > 1 or not b.summed or any(i != sample for i in b.batch):
        return []
    left, right = (operand(program, views, f, work.extents, sample) for f in (work.left, work.right))
    if left is None or right is None:
        return []
    last = next((i for i, e in reversed(work.axes) if e != 1 and i != sample), None)
    sides = [(b.rows, left), (b.columns, right)]
    if last in b.rows:
        sides.reverse()
    found = []
    for (rows, first), (columns, second) in (sides, sides[::-1]):
        if columns and sample not in columns:
            tiling = _tiling(program, work, extents, sample, (list(rows), first), (list(columns), second))
            found += [tiling] if tiling is not None else []
    return found


def _tiling(
    program: Program,
    work: Product,
    extents: dict[Symbol, Extent],
    sample: Symbol | None,
    one: tuple[list[Symbol], Affine],
    other: tuple[list[Symbol], Affine],
) -> Tiling | None:
    (rows, left), (columns, right) = one, other
    rows = [i for i in rows if i != sample]
    terms = [i for i in work.blocks.summed if i != sample]
    written = sample is not None and any(i == sample for i, _ in work.axes)
    by_sample = sample is not None and bool(rows or work.blocks.batch if written else terms)
    if (left.bordered or right.bordered) and not by_sample:
        return None
    if sample is not None and not by_sample and not written:
        terms = [sample, *terms]
    terms.sort(key=lambda i: -abs(left.stride(i)))
    by_samples = sample is not None and written and not by_sample
    of_batch = sample is not None and bool(right.stride(sample))
    run = _run(columns, right, extents)
    form = Columns.DIRECT if run and len(run) == len(columns) else Columns.PACKED
    levels = _levels(terms, left, right, extents, form is Columns.PACKED)
    if form is Columns.PACKED and of_batch:
        form, levels = Columns.DIRECT, _levels(terms, left, right, extents, False)
    if form is Columns.PACKED and not by_sample and len(columns) == 1:
        apart = _levels(terms, left, right, extents, False)
        long = len(apart) == 1 and apart[0].extent != BATCH and int(apart[0].extent) >= LONGEST
        if long and (apart[0].left, apart[0].right) == (1, 1):
            form, levels = Columns.ALONG, apart
    given = program.values[right.memory].kind in ("input", "target", "parameter", "statistic")
    uneven = bool(_count(run, extents) % LANES)
    if form is Columns.DIRECT and given and (not of_batch if by_sample else uneven):
        if of_batch:
            return None
        form, levels = Columns.PACKED, _levels(terms, left, right, extents, True)
    inner = run if form is Columns.DIRECT else columns
    around = [i for i in columns if i not in inner]
    if not inner or _count([*rows, *columns, *terms], extents) < LEAST:
        return None
    if by_samples and sample is not None:
        tiled = [sample]
    else:
        tiled = _merged(rows, left, extents) if form is Columns.ALONG else rows
    wide = _count(inner, extents)
    shared = by_samples and wide >= 64 and wide * _count(terms, extents) >= 2**15
    return Tiling(
        left,
        right,
        form,
        tuple(tiled),
        tuple(inner),
        (*(i for i in rows if i not in tiled), *around),
        tuple(terms),
        tuple(levels),
        extents,
        sample,
        by_sample,
        by_sample and not written,
        Share.RANGE if shared or not (by_sample or written) else Share.SAMPLES,
    )


def _count(indices: Iterable[Symbol], extents: dict[Symbol, Extent]) -> int:
    return prod(int(extents[i]) for i in indices if extents[i] != BATCH)


def _run(columns: Sequence[Symbol], right: Affine, extents: dict[Symbol, Extent]) -> list[Symbol]:
    """Return the last columns that lie side by side."""
    run: list[Symbol] = []
    step = 1
    for index in reversed(columns):
        if right.stride(index) != step:
            break
        run.insert(0, index)
        step *= int(extents[index])
    return run


def _merged(rows: Sequence[Symbol], left: Affine, extents: dict[Symbol, Extent]) -> list[Symbol]:
    """Return the last rows that have one stride together."""
    merged: list[Symbol] = []
    step = 0
    for index in reversed(rows):
        if merged and left.stride(index) != step:
            break
        merged.insert(0, index)
        step = left.stride(index) * int(extents[index])
    return merged


def _levels(
    terms: Sequence[Symbol], left: Affine, right: Affine, extents: dict[Symbol, Extent], packed: bool
) -> list[Level]:
    """Return runs of terms, the innermost last; a packed factor's strides count rows of a panel."""
    found: list[Level] = []
    step = 1
    for index in reversed(terms):
        extent = extents[index]
        level = Level(left.stride(index), step if packed else right.stride(index), extent, (index,))
        inner = found[0] if found else None
        if inner is not None and BATCH not in (inner.extent, extent):
            size = int(inner.extent)
            if (level.left, level.right) == (inner.left * size, inner.right * size):
                level = Level(inner.left, inner.right, int(extent) * size, (index, *inner.indices))
                found.pop(0)
        found.insert(0, level)
        step *= 1 if extent == BATCH else int(extent)
    return found
