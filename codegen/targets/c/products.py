"""Products as tiles: rows of one factor times panels of columns of the other, summed in registers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from sympy import Symbol

from chainrule.codegen.ir.program import BATCH, Extent
from chainrule.codegen.kernels.work import Product
from chainrule.codegen.targets.c.functions import CFunction, Share
from chainrule.codegen.targets.c.operands import Affine, copying
from chainrule.codegen.targets.c.tiling import ROWS, Columns, Level, Tiling, tilings
from chainrule.codegen.targets.c.writer import CWriter

MUCH = 0.8
LISTED = 4096  # rows of a sample whose places a thread lists
BLOCK = 4 * ROWS  # rows that pass all panels before the next do


def tiled(writer: CWriter, work: Product) -> list[CFunction] | None:
    """Return the functions of a product cut into tiles, None where it cannot be.

    Those are taken that store side by side what they sum, unless the others cost much less.
    """
    found = tilings(writer.program, writer.views, work)
    if not found:
        return None
    best = min(found, key=lambda each: each.cost)
    return Tiles(writer, work, best if best.cost < MUCH * found[0].cost else found[0]).functions()


class Tiles:
    """Prints the tiles of one product by its writer."""

    def __init__(self, writer: CWriter, work: Product, tiling: Tiling) -> None:
        self.writer, self.work, self.t = writer, work, tiling
        self.pack = f"{writer.name}_panels"

    def functions(self) -> list[CFunction]:
        """Return what packs, what multiplies, and what joins the sums of the threads."""
        w, t = self.writer, self.t
        functions = [self._packing()] if t.form is Columns.PACKED else []
        body, copies = self._factors()
        body += self._rows_at() if self._listed else []
        heads, indent = [], ""
        if t.by_sample:
            heads.append(self._loop(t.samples, "from", "to") + " {")
            indent = "    "
        heads += [indent + line for line in copies]
        for index in t.around:
            heads.append(indent + self._loop(index, "0", str(t.extents[index])))
            indent += "    "
        lines = [*heads, *(indent + line for line in self._tiles())]
        lines += ["}"] if t.by_sample else []
        parts, clears = "", ""
        size = prod(int(e) for _, e in self.work.axes) if t.partial else 0
        if t.partial:
            parts, clears, line = w.parts_of(self.work.out, size)
            body = [line, *body]
        function = w._function(
            [*body, *lines], t.share, self._range(), by_sample=t.by_sample, parts=parts, clears=clears
        )
        functions.append(self._touching(function, parts))
        if t.partial:
            functions.append(w._joining(self.work, parts, "real", size, "sum"))
        return functions

    # ---- Loops around a tile -----------------------------------------------------------------------

    def _loop(self, index: Symbol, low: str, high: str) -> str:
        w = self.writer
        name = w.names.of(index)
        w.extents[index] = self.t.extents[index]
        w.flat.append(((index,), name))
        return f"for (long {name} = {low}; {name} < {high}; ++{name})"

    def _range(self) -> str:
        t = self.t
        if t.share is Share.SAMPLES:
            return "w->N"
        return f"({t.height} + MR - 1) / MR" if t.by_rows else f"PANELS({t.width})"

    def _tiles(self) -> list[str]:
        """Return loops over tiles: panels outside where they are shared, or stay while rows pass.

        Rows of a sample that are read by several panels come in blocks, which the cache holds meanwhile.
        """
        t = self.t
        low, high, first, last = "0", t.height if t.rows else "1", "0", f"PANELS({t.width})"
        if t.by_rows:
            low, high = "from * MR", f"least(to * MR, {high})"
        elif t.share is Share.RANGE:
            first, last = "from", "to"
        elif not t.by_sample:
            low, high = "from", "to"
        rows = high if low == "0" else f"{high} - {low}"
        step = "MR" if t.by_rows else f"height({rows})"
        panels = f"for (long panel = {first}; panel < {last}; ++panel) {{"
        strips = f"for (long row0 = {low}; row0 < {high}; row0 += {step}) {{"
        loops = [strips, panels] if t.by_rows or low == "from" else [panels, strips]
        if t.by_sample and not t.partial and t.count(t.rows) > BLOCK:
            block = f"{BLOCK // ROWS} * {step}"
            strips = f"for (long row0 = first; row0 < least(first + {block}, {high}); row0 += {step}) {{"
            loops = [f"for (long first = 0; first < {high}; first += {block})", panels, strips]
        tile = [
            "_Alignas(64) real tile[MR * NR];",
            f"const long rows = {f'least({step}, {high} - row0)' if t.rows else '1'};",
            f"const long count = least(NR, {t.width} - panel * NR);",
            *self._sums(),
            *self._epilogue(),
        ]
        inner = "    " * len(loops)
        heads = ["    " * depth + loop for depth, loop in enumerate(loops)]
        ends = [" " * (len(inner) - 4), " " * (len(inner) - 8)]
        return [*heads, *(inner + line for line in tile), *(f"{indent}}}" for indent in ends)]

    # ---- A tile ------------------------------------------------------------------------------------

    def _start(self, factor: Affine, indices: Sequence[Symbol], copied: bool) -> str:
        """Return where a factor begins for what loops around the tile have chosen."""
        t = self.t
        own = [t.sample] if t.by_sample and not copied and t.sample is not None else []
        parts = [str(factor.start)] if factor.start else []
        parts += [
            f"{self.writer.names.of(i)} * {factor.stride(i)}" for i in [*own, *indices] if factor.stride(i)
        ]
        return " + ".join(parts)

    def _sums(self) -> list[str]:
        """Return the call that sums a tile, within loops over what it does not loop over itself."""
        t = self.t
        a = self._start(t.left, t.around, t.left.bordered)
        a = " + ".join(text for text in ("left", a) if text)
        inner = t.levels[-1]
        if t.form is Columns.ALONG:
            a += f" + row0 * {t.row}" if t.row else ""
            start = self._start(t.right, t.around, False)
            column = t.right.stride(t.columns[0])
            b = " + ".join(text for text in ("right", start, f"panel * NR * {column}") if text)
            return [f"along(tile, rows, count, {a}, {t.row}, {b}, {column}, {inner.extent});"]
        packed = t.form is Columns.PACKED
        size = prod(int(level.extent) for level in t.levels if level.extent != BATCH)
        start = "" if packed else self._start(t.right, t.around, self._copied(t.right))
        panel = f"panel * {size} * NR" if packed else "panel * NR"
        b = " + ".join(text for text in ("right", start, panel) if text)
        scale = " * NR" if packed else ""
        middle = t.levels[-2] if len(t.levels) > 1 else Level(0, 0, 1, ())
        lines: list[str] = []
        names: list[str] = []
        indent = ""
        for level in t.levels[:-2]:
            name = f"run{len(names)}"
            lines.append(f"{indent}for (long {name} = 0; {name} < {_size(level.extent)}; ++{name})")
            indent += "    "
            names.append(name)
            a += f" + {name} * {level.left}"
            b += f" + {name} * {level.right}{scale}"
        add = f"{' + '.join(names)} > 0" if names else "false"
        steps = [inner.left, middle.left, b]
        steps += [f"{level.right}{scale if level.right else ''}" for level in (inner, middle)]
        steps += [_size(inner.extent), _size(middle.extent)]
        at = "at + row0" if self._listed else "at"
        call = f"multiply(tile, rows, count, {add}, {a}, {at}, {', '.join(map(str, steps))});"
        return [*([] if self._listed else self._rows_at()), *lines, indent + call]

    @property
    def _listed(self) -> bool:
        """Whether it is found out once, rather than tile by tile, where all rows begin."""
        t = self.t
        return t.form is not Columns.ALONG and t.by_sample and t.count(t.rows) <= LISTED

    def _rows_at(self) -> list[str]:
        """Return the lines that find where rows begin in the left factor, those of a tile or all of them."""
        t = self.t
        below, parts = 1, list[str]()
        for position, (size, step) in reversed([*enumerate(t.row_runs)]):
            at = f"row / {below}" if below > 1 else "row"
            parts.insert(0, f"{at} % {size} * {step}" if position else f"{at} * {step}")
            below *= size
        place = " + ".join(parts) or "0"
        if self._listed:
            count = t.count(t.rows)
            return [f"long at[{count}];", f"for (long row = 0; row < {count}; ++row) at[row] = {place};"]
        return ["long at[MR];", f"for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = {place};"]

    def _epilogue(self) -> list[str]:
        """Return what becomes of the sums: steps that follow, or a thread's own sum over its samples."""
        w, t, work = self.writer, self.t, self.work
        inner = []
        if t.rows:
            flat = w.names.of(t.rows[0]) if len(t.rows) == 1 else "row"
            w._declare(tuple((i, t.extents[i]) for i in t.rows), flat)
            inner.append(f"const long {flat} = row0 + r;")
        w._declare(tuple((i, t.extents[i]) for i in t.columns), "column")
        for index, extent in work.axes:
            if extent == 1:
                w.names.names[index] = "0"
            w.extents.setdefault(index, extent)
        inner += ["const long column = panel * NR + c;", "const real sum = tile[r * NR + c];"]
        if t.partial:
            place = w._place(work.out, tuple(i for i, _ in work.axes))
            inner += [*w._decode(), f"own[{place}] += sum;"]
        else:
            inner += w._store(work, None)
        heads = ["for (long r = 0; r < rows; ++r)", "    for (long c = 0; c < count; ++c) {"]
        return [*heads, *(f"        {line}" for line in inner), "    }"]

    # ---- Factors -----------------------------------------------------------------------------------

    def _copied(self, factor: Affine) -> bool:
        """Whether each thread copies a sample of a factor: for its border, or as it is the caller's."""
        t, kind = self.t, self.writer.program.values[factor.memory].kind
        return factor.bordered or (
            factor is t.right
            and kind in ("input", "target", "parameter", "statistic")
            and t.by_sample
            and bool(factor.strides.get(t.sample))
        )

    def _factors(self) -> tuple[list[str], list[str]]:
        """Return where the factors lie, and the lines that copy a sample of them within a border."""
        w, t = self.writer, self.t
        lines, copies = [], []
        for side, factor in (("left", t.left), ("right", t.right)):
            value = w.program.values[factor.memory]
            if side == "right" and t.form is Columns.PACKED:
                lines.append(f"const real *const right = w->{self.pack};")
            elif not self._copied(factor):
                lines.append(f"const real *const {side} = w->{value.identifier};")
            else:
                size = -(-(prod(factor.around) + 64) // 16) * 16
                w.scratch.append((f"{w.name}_{side}", f"threads * {size}"))
                lines.append(f"real *const {side} = w->{w.name}_{side} + id * {size};")
                copies += copying(factor, side, f"w->{value.identifier}", w.names.of(t.samples))
        return lines, copies

    def _packing(self) -> CFunction:
        """Return what copies a factor to panels: of NR columns, term after term."""
        t = self.t
        w = self.writer.again(f"{self.writer.name}_pack")
        w._declare(tuple((i, t.extents[i]) for i in t.columns), "column")
        size = t.count(t.terms)
        w._declare(tuple((i, t.extents[i]) for i in t.terms), "term")
        value = w._text(t.right.read)
        place = f"w->{self.pack}[(panel * {size} + term) * NR + c]"
        body = [
            "for (long panel = from; panel < to; ++panel)",
            f"    for (long term0 = 0; term0 < {size}; term0 += 16)",
            "        for (long c = 0; c < NR; ++c)",
            f"            for (long term = term0; term < least(term0 + 16, {size}); ++term) {{",
            "                const long column = panel * NR + c;",
            *(f"                {line}" for line in w._decode()),
            f"                {place} = column < {t.width} ? {value} : 0;",
            "            }",
        ]
        self.writer.scratch.append((self.pack, f"PANELS({t.width}) * {size} * NR"))
        function = w._function(body, Share.RANGE, f"PANELS({t.width})")
        return replace(function, writes={self.pack: False}, reads={t.right.memory: False})

    def _touching(self, function: CFunction, parts: str) -> CFunction:
        """Return the function with what it reads and writes by the factors."""
        w, t = self.writer, self.t
        own = t.share is Share.SAMPLES
        reads = {name: own and w._own(name) for name in w.read}
        for factor in (t.left, t.right):
            of_sample = own and t.sample is not None and bool(factor.stride(t.sample))
            reads[factor.memory] = of_sample and reads.get(factor.memory, True)
        if t.form is Columns.PACKED:
            if t.right.memory not in w.read and t.right.memory != t.left.memory:
                reads.pop(t.right.memory)
            reads[self.pack] = False
        writes = {name: own for name in w.written} | ({parts: True} if t.partial else {})
        return replace(function, reads=reads, writes=writes)


def _size(extent: Extent) -> str:
    return "w->N" if extent == BATCH else str(extent)
