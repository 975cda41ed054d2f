"""Products as tiles: rows of one factor times panels of columns of the other, summed in registers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from sympy import Symbol

from chainrule.codegen.ir.program import BATCH, Extent
from chainrule.codegen.kernels.work import Product
from chainrule.codegen.targets.c.functions import CFunction, Share
from chainrule.codegen.targets.c.operands import Affine, operand
from chainrule.codegen.targets.c.writer import CWriter

LEAST = 12  # columns, from which on a tile pays


@dataclass(frozen=True)
class Level:
    """A run of terms with one stride in each factor."""

    left: int
    right: int
    extent: Extent
    indices: tuple[Symbol, ...]


class Tiles:
    """Plans the tiles of one product, and prints them by its writer."""

    def __init__(self, writer: CWriter, work: Product) -> None:
        self.writer, self.work = writer, work
        self.extents = {i: e for i, e in work.extents.items() if e != 1}
        batch = [i for i, e in self.extents.items() if e == BATCH]
        self.sample = batch[0] if len(batch) == 1 else None
        self.plain = len(batch) <= 1  # rather than of pairs of samples

    def functions(self) -> list[CFunction] | None:
        """Return the functions, or None where the product has no such form."""
        work, b, n = self.work, self.work.blocks, self.sample
        if not self.plain or not b.summed or any(i != n for i in b.batch):
            return None
        rows, columns, first, second = b.rows, b.columns, work.left, work.right
        last = next((i for i, e in reversed(work.axes) if e != 1 and i != n), None)
        if last in rows:
            rows, columns, first, second = columns, rows, second, first
        if n in columns or not columns:
            return None
        program, views = self.writer.program, self.writer.views
        left = operand(program, views, first, work.extents, n)
        right = operand(program, views, second, work.extents, n)
        if left is None or right is None or prod(int(self.extents[i]) for i in columns) < LEAST:
            return None
        return self._tiled([i for i in rows if i != n], list(columns), left, right)

    def _tiled(
        self, rows: list[Symbol], columns: list[Symbol], left: Affine, right: Affine
    ) -> list[CFunction] | None:
        w, work, n = self.writer, self.work, self.sample
        in_out = n is not None and any(i == n for i, _ in work.axes)
        terms = [i for i in work.blocks.summed if i != n]
        each_sample = n is not None and bool(rows or work.blocks.batch if in_out else terms)
        if (left.bordered or right.bordered) and not each_sample:
            return None
        if not each_sample and n is not None and not in_out:
            terms = [n, *terms]
        run = self._run(columns, right)
        packed = len(run) < len(columns) or not run
        if packed and n is not None and right.stride(n):
            run_length = prod(int(self.extents[i]) for i in run)
            if run_length < LEAST:
                return None
            packed = False
        outer_columns = [] if packed else [i for i in columns if i not in run]
        inner_columns = columns if packed else run
        width = prod(int(self.extents[i]) for i in inner_columns)
        terms.sort(key=lambda i: -abs(left.stride(i)))
        if not packed and not each_sample and right.memory in self._given() and width % 16:
            if n is not None and right.stride(n):
                return None
            packed, outer_columns, inner_columns = True, [], columns
            width = prod(int(self.extents[i]) for i in columns)
        levels = self._levels(terms, left, right, packed)
        pack = f"{w.name}_panels"
        functions = [self._pack(pack, terms, columns, right, width)] if packed else []
        tiling = rows[-1] if rows else (n if in_out and not each_sample else None)
        body, copies = self._prologue(left, right, packed, pack, each_sample)
        partial = each_sample and not in_out
        if (not each_sample and not in_out) or (
            in_out and not each_sample and width >= 64 and width * self._count(terms) >= 2**15
        ):
            share = Share.RANGE
        else:
            share = Share.SAMPLES
        count = self._extent(tiling) if tiling is not None else "1"
        by_rows = (
            share is Share.RANGE
            and not in_out
            and tiling is not None
            and int(self.extents[tiling]) * 2 >= width // 16
        )
        lines: list[str] = []
        indent = ""
        if each_sample:
            name = w.names.of(n)
            lines.append(f"for (long {name} = from; {name} < to; ++{name}) {{")
            indent = "    "
            w.extents[n] = BATCH
            w.flat.append(((n,), name))
        lines += [indent + line for line in copies]
        for index in [*rows[:-1], *outer_columns]:
            name = w.names.of(index)
            w.extents[index] = self.extents[index]
            w.flat.append(((index,), name))
            lines.append(f"{indent}for (long {name} = 0; {name} < {self.extents[index]}; ++{name})")
            indent += "    "
        low, high, plow, phigh = "0", count, "0", f"PANELS({width})"
        whole_range = f"PANELS({width})"
        if by_rows:
            low, high, whole_range = "from * MR", f"least(to * MR, {count})", f"({count} + MR - 1) / MR"
        elif share is Share.RANGE:
            plow, phigh = "from", "to"
        elif not each_sample:
            low, high = "from", "to"
        if not each_sample and share is Share.SAMPLES:
            lines.append(f"{indent}for (long row0 = {low}; row0 < {high}; row0 += height({high} - {low})) {{")
            lines.append(f"{indent}    for (long panel = {plow}; panel < {phigh}; ++panel) {{")
        elif by_rows:
            lines.append(f"{indent}for (long row0 = {low}; row0 < {high}; row0 += MR) {{")
            lines.append(f"{indent}    for (long panel = {plow}; panel < {phigh}; ++panel) {{")
        else:
            lines.append(f"{indent}for (long panel = {plow}; panel < {phigh}; ++panel) {{")
            lines.append(
                f"{indent}    for (long row0 = {low}; row0 < {high}; row0 += height({high} - {low})) {{"
            )
        step = "MR" if by_rows else f"height({high} - {low})"
        tile = self._tile(
            left,
            right,
            levels,
            tiling,
            rows[:-1],
            outer_columns,
            each_sample,
            packed,
            pack,
            width,
            step,
            high,
        )
        tile += self._epilogue(tiling, inner_columns, width, partial)
        lines += [f"{indent}        {line}" for line in tile]
        lines += [f"{indent}    }}", f"{indent}}}"]
        if each_sample:
            lines.append("}")
        return self._finished(
            functions, [*body, *lines], share, whole_range, each_sample, partial, left, right, packed, pack
        )

    # ---- Parts of a function ---------------------------------------------------------------------

    def _given(self) -> set[str]:
        """Return what callers own, where nothing may be read behind the end."""
        kinds = ("input", "target", "parameter", "statistic")
        return {v.name for v in self.writer.program.values.values() if v.kind in kinds}

    def _extent(self, index: Symbol) -> str:
        return "w->N" if self.extents[index] == BATCH else str(self.extents[index])

    def _count(self, indices: Sequence[Symbol]) -> int:
        return prod(int(self.extents[i]) for i in indices if self.extents[i] != BATCH)

    def _run(self, columns: list[Symbol], right: Affine) -> list[Symbol]:
        """Return the last columns that lie side by side."""
        run: list[Symbol] = []
        step = 1
        for index in reversed(columns):
            if right.stride(index) != step:
                break
            run.insert(0, index)
            step *= int(self.extents[index])
        return run

    def _levels(self, terms: list[Symbol], left: Affine, right: Affine, packed: bool) -> list[Level]:
        """Return runs of terms, the innermost last; a packed factor's strides count rows of a panel."""
        found: list[Level] = []
        step = 1
        for index in reversed(terms):
            extent = self.extents[index]
            own = step if packed else right.stride(index)
            level = Level(left.stride(index), own, extent, (index,))
            inner = found[0] if found else None
            if inner is not None and inner.extent != BATCH:
                size = int(inner.extent)
                if (level.left, level.right) == (inner.left * size, inner.right * size) and extent != BATCH:
                    level = Level(inner.left, inner.right, int(extent) * size, (index, *inner.indices))
                    found.pop(0)
            found.insert(0, level)
            step *= 1 if extent == BATCH else int(extent)
        return found

    def _pack(
        self, pack: str, terms: list[Symbol], columns: list[Symbol], right: Affine, width: int
    ) -> CFunction:
        """Return what copies a factor to panels: of NR columns, term after term."""
        w = self.writer.again(f"{self.writer.name}_pack")
        w._declare(tuple((i, self.extents[i]) for i in columns), "column")
        size = self._count(terms)
        w._declare(tuple((i, self.extents[i]) for i in terms), "term")
        value = w._text(right.read)
        decoded = w._decode()
        body = [
            "for (long panel = from; panel < to; ++panel)",
            f"    for (long term0 = 0; term0 < {size}; term0 += 16)",
            "        for (long c = 0; c < NR; ++c)",
            f"            for (long term = term0; term < least(term0 + 16, {size}); ++term) {{",
            "                const long column = panel * NR + c;",
            *(f"                {line}" for line in decoded),
            f"                w->{pack}[(panel * {size} + term) * NR + c] = column < {width} ? {value} : 0;",
            "            }",
        ]
        self.writer.scratch.append((pack, f"PANELS({width}) * {size} * NR"))
        function = w._function(body, Share.RANGE, f"PANELS({width})")
        return replace(function, writes={pack: False}, reads={right.memory: False})

    def _prologue(
        self, left: Affine, right: Affine, packed: bool, pack: str, each_sample: bool
    ) -> tuple[list[str], list[str]]:
        """Return where the factors lie, and the lines that copy a sample of them within a border."""
        w, n = self.writer, self.sample
        lines, copies = [], []
        for side, factor in (("left", left), ("right", right)):
            if side == "right" and packed:
                continue
            value = w.program.values[factor.memory]
            unsafe = (
                side == "right" and factor.memory in self._given() and each_sample and bool(factor.stride(n))
            )
            if not factor.bordered and not unsafe:
                lines.append(f"const real *const {side} = w->{value.identifier};")
                continue
            around = [s + b + a for s, (b, a) in zip(factor.shape, factor.border, strict=True)]
            name = f"{w.name}_{side}"
            size = -(-(prod(around) + 64) // 16) * 16
            w.scratch.append((name, f"threads * {size}"))
            lines.append(f"real *const {side} = w->{name} + id * {size};")
            place, source, indent = "", "", ""
            axes = list(zip("ijklm", factor.shape, around, factor.border, strict=False))
            for axis, extent, whole, (before, _) in axes[:-1]:
                copies.append(f"{indent}for (long {axis}0 = 0; {axis}0 < {extent}; ++{axis}0)")
                indent += "    "
                place = f"({place}) * {whole} + {axis}0 + {before}" if place else f"{axis}0 + {before}"
                source = f"({source}) * {extent} + {axis}0" if source else f"{axis}0"
            _, extent, whole, (before, _) = axes[-1]
            to = f"({place}) * {whole} + {before}" if place else f"{before}"
            at = f"({source}) * {extent}" if source else "0"
            number = prod(factor.shape)
            copies.append(
                f"{indent}memcpy({side} + {to}, w->{value.identifier} + {w.names.of(n)} * {number} + {at}, "
                f"{extent} * sizeof(real));"
            )
        if packed:
            lines.append(f"const real *const right = w->{pack};")
        return lines, copies

    def _tile(
        self, left: Affine, right: Affine, levels: list[Level], tiling: Symbol | None, rows: list[Symbol],
        outer: list[Symbol], each_sample: bool, packed: bool, pack: str, width: int, step: str, high: str,
    ) -> list[str]:  # fmt: skip
        w, n = self.writer, self.sample

        def text(factor: Affine, indices: list[Symbol], copied: bool) -> str:
            parts = [str(factor.start)] if factor.start else []
            if each_sample and not copied and n is not None and factor.stride(n):
                indices = [n, *indices]
            parts += [f"{w.names.of(i)} * {factor.stride(i)}" for i in indices if factor.stride(i)]
            return " + ".join(parts) or "0"

        unsafe = right.memory in self._given() and each_sample and n is not None and bool(right.stride(n))
        a = text(left, rows, left.bordered)
        if tiling is not None:
            a += f" + row0 * {left.stride(tiling)}"
        size = prod(int(level.extent) for level in levels if level.extent != BATCH)
        b = (
            f"panel * {size} * NR"
            if packed
            else f"{text(right, outer, right.bordered or unsafe)} + panel * NR"
        )
        scale = " * NR" if packed else ""
        inner = levels[-1]
        middle = levels[-2] if len(levels) > 1 else Level(0, 0, 1, ())
        row = left.stride(tiling) if tiling is not None else 0
        lines = [
            "_Alignas(64) real tile[MR * NR];",
            f"const long rows = {f'least({step}, {high} - row0)' if tiling is not None else '1'};",
            f"const long count = least(NR, {width} - panel * NR);",
        ]
        outside = levels[:-2]
        add, more_a, more_b, indent = "0", "", "", ""
        for level in outside:
            name = f"run{len(indent) // 4}"
            lines.append(f"{indent}for (long {name} = 0; {name} < {self._size(level.extent)}; ++{name})")
            indent += "    "
            add = f"{add} + {name}" if add != "0" else name
            more_a += f" + {name} * {level.left}"
            more_b += f" + {name} * {level.right}{scale}"
        lines.append(
            f"{indent}multiply(tile, rows, count, {f'({add}) > 0' if outside else 'false'}, "
            f"left + {a}{more_a}, {row}, "
            f"{inner.left}, {middle.left}, right + {b}{more_b}, {inner.right}{scale}, {middle.right}{scale}, "
            f"{self._size(inner.extent)}, {self._size(middle.extent)});"
        )
        return lines

    def _size(self, extent: Extent) -> str:
        return "w->N" if extent == BATCH else str(extent)

    def _epilogue(self, tiling: Symbol | None, columns: list[Symbol], width: int, partial: bool) -> list[str]:
        w, work = self.writer, self.work
        lines = ["for (long r = 0; r < rows; ++r)", "    for (long c = 0; c < count; ++c) {"]
        inner = []
        if tiling is not None:
            name = w.names.of(tiling)
            w.extents[tiling] = self.extents[tiling]
            w.flat.append(((tiling,), name))
            inner.append(f"const long {name} = row0 + r;")
        w._declare(tuple((i, self.extents[i]) for i in columns), "column")
        for index, extent in work.axes:
            if extent == 1:
                w.names.names[index] = "0"
            w.extents.setdefault(index, extent)
        inner.append("const long column = panel * NR + c;")
        inner.append("const real sum = tile[r * NR + c];")
        if partial:
            place = w._place(work.out, tuple(i for i, _ in work.axes))
            inner += [*w._decode(), f"own[{place}] += sum;"]
        else:
            inner += w._store(work, None)
        return [*lines, *(f"        {line}" for line in inner), "    }"]

    def _finished(
        self, functions: list[CFunction], body: list[str], share: Share, count: str, each_sample: bool,
        partial: bool, left: Affine, right: Affine, packed: bool, pack: str,
    ) -> list[CFunction]:  # fmt: skip
        w, work = self.writer, self.work
        n = self.sample
        parts, clears = "", ""
        size = prod(int(e) for _, e in work.axes) if partial else 0
        if partial:
            parts, clears, line = w.parts_of(work.out, size)
            body = [line, *body]
        count = "w->N" if share is Share.SAMPLES else count
        function = w._function(body, share, count, by_sample=each_sample, parts=parts, clears=clears)
        own = share is Share.SAMPLES
        reads = {name: own and w._own(name) for name in w.read}
        for factor in (left, right):
            reads[factor.memory] = (
                own and n is not None and bool(factor.stride(n)) and reads.get(factor.memory, True)
            )
        if packed:
            reads.pop(right.memory) if right.memory not in w.read and right.memory != left.memory else None
            reads[pack] = False
        writes = {name: own for name in w.written} | ({parts: True} if partial else {})
        functions.append(replace(function, reads=reads, writes=writes))
        return [*functions, w._joining(work, parts, "real", size, "sum")] if partial else functions
