"""Sums over windows, of which each has one place: lists of numbers and places, and a run for each entry."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import sympy
from sympy import Expr, Symbol

from chainrule.codegen.ir.program import BATCH
from chainrule.codegen.kernels.work import Axes, Picking
from chainrule.codegen.lower.emitter import LoweringError
from chainrule.codegen.targets.c.functions import CFunction, Share
from chainrule.codegen.targets.c.operands import Affine, copying, lying
from chainrule.codegen.targets.c.writer import CWriter

ENTRIES = 64  # of a list, about: their runs stay in the nearest cache


class Picks:
    """Prints the functions of one sum over windows.

    Either the factor is read where the winner stands, and its runs are summed, or the result is: then a run
    of the factor is added there.  Windows of some rows make a list for each index that the other side has.
    """

    def __init__(self, writer: CWriter, work: Picking) -> None:
        self.writer, self.work = writer, work
        self.extents = {i: e for i, e in work.extents.items() if e != 1}
        units = {i: sympy.S.Zero for i, e in work.extents.items() if e == 1}
        self.value, self.place = (e.xreplace(units) for e in (work.value, work.place))
        self.sample = next(i for i, e in work.extents.items() if e == BATCH)
        factor, target = (self._lying(side.xreplace(units)) for side in (work.factor, work.target))
        self.factor, self.target = factor, target
        self.gathers = any(factor.stride(i) for i, _ in work.digits) or not any(
            target.stride(i) for i, _ in work.digits
        )
        self.moving, self.fixed = (factor, target) if self.gathers else (target, factor)
        self.each_sample = bool(target.stride(self.sample)) or work.axes[0][1] == BATCH

    def _lying(self, side: Expr) -> Affine:
        w = self.writer
        found = lying(w.program, w.views, side, self.work.extents, self.sample)
        if found is None:
            raise LoweringError(f"{self.work.out}: {side} is no affine access")
        return found

    def functions(self) -> list[CFunction]:
        """Return the functions, in order."""
        w, work, n = self.writer, self.work, self.sample
        windows = [i for i in self.extents if i in self.value.free_symbols and i != n]
        listed = [i for i in windows if not self.fixed.stride(i)]
        single = [i for i in windows if i not in listed]
        digits = [i for i, _ in work.digits]
        free = [i for i in self.extents if i not in (n, *windows, *digits)]
        run = self._run(free)
        rest = [i for i in free if i not in run]
        name = w.names.of(n)
        w.extents[n] = BATCH
        w.flat.append(((n,), name))
        body = [f"for (long {name} = from; {name} < to; ++{name}) {{", *self._indented(self._copies())]
        body += self._indented(self._lists(listed, single, rest, run))
        size = prod(int(e) for _, e in work.axes if e != BATCH)
        first = self._places()
        lines = [first, *self._pointers()]
        parts = clears = ""
        if self.each_sample:
            body += self._indented(self._epilogue())
        else:
            parts, clears, own = w.parts_of(work.out, size)
            lines.append(own)
        function = w._function(
            [*lines, *body, "}"], Share.SAMPLES, "w->N", by_sample=True, parts=parts, clears=clears
        )
        reads = {name: w._own(name) for name in w.read}
        reads[self.factor.memory] = bool(self.factor.stride(n)) and reads.get(self.factor.memory, True)
        writes = dict.fromkeys(w.written, True) | ({parts: True} if parts else {})
        function = replace(function, reads=reads, writes=writes)
        return [function] if self.each_sample else [function, w._joining(work, parts, "real", size, "sum")]

    # ---- Parts -----------------------------------------------------------------------------------

    def _run(self, free: list[Symbol]) -> list[Symbol]:
        """Return the indices whose numbers stand side by side in factor and result, the fastest first."""
        found: list[Symbol] = []
        step = 1
        while True:
            each = [i for i in free if self.factor.stride(i) == self.target.stride(i) == step]
            if not each:
                return found
            found.append(each[0])
            step *= int(self.extents[each[0]])

    def _places(self) -> str:
        """Return the line that tells how far each place of a window is from its first."""
        offsets = [0]
        for i, extent in self.work.digits:
            offsets = [at + d * self.moving.stride(i) for at in offsets for d in range(int(extent))]
        return f"static const long place_at[{len(offsets)}] = {{{', '.join(map(str, offsets))}}};"

    def _scratch(self, side: Affine, name: str) -> str:
        """Return a thread's own memory for a sample within its border."""
        w = self.writer
        size = -(-(prod(side.around) + 16) // 16) * 16
        w.scratch.append((f"{w.name}_{name}", f"threads * {size}"))
        return f"real *restrict {name} = w->{w.name}_{name} + id * {size};"

    def _pointers(self) -> list[str]:
        w = self.writer
        identifier = w.program.values[self.factor.memory].identifier
        own = [self._scratch(self.target, "own")] if self.each_sample else []
        if self.factor.bordered:
            return [*own, self._scratch(self.factor, "factor")]
        return [*own, f"const real *restrict factor = w->{identifier};"]

    def _copies(self) -> list[str]:
        """Return the lines that clear a sample's sums, and copy its part of the factor within a border."""
        w, lines = self.writer, []
        if self.each_sample:
            lines.append(f"memset(own, 0, {prod(self.target.around)} * sizeof(real));")
        if not self.factor.bordered:
            return lines
        identifier = w.program.values[self.factor.memory].identifier
        return [*lines, *copying(self.factor, "factor", f"w->{identifier}", w.names.of(self.sample))]

    def _lists(
        self, listed: list[Symbol], single: list[Symbol], rest: list[Symbol], run: list[Symbol]
    ) -> list[str]:
        """Return the loops that list windows, and add a run for each entry."""
        w = self.writer
        sizes = {i: int(self.extents[i]) for i in (*listed, *single, *rest, *run)}
        for i in (*listed, *single, *rest):
            w.extents[i] = sizes[i]
            w.flat.append(((i,), w.names.of(i)))
        inner = prod(sizes[i] for i in listed[1:])
        band = max(1, min(ENTRIES // inner, sizes[listed[0]])) if listed else 1
        lines, indent = [], ""
        if listed:
            head = w.names.of(listed[0])
            lines.append(f"for (long {head}0 = 0; {head}0 < {sizes[listed[0]]}; {head}0 += {band})")
            indent = "    "
        for i in single:
            name = w.names.of(i)
            lines.append(f"{indent}for (long {name} = 0; {name} < {sizes[i]}; ++{name})")
            indent += "    "
        lines[-1:] = [f"{lines[-1]} {{"] if lines else ["{"]
        value, place = w._text(self.value), w._text(self.place)
        own = [f"long at[{band * inner}], count = 0;", f"real given[{band * inner}];"]
        deeper = ""
        for position, i in enumerate(listed):
            name = w.names.of(i)
            low, high = (
                (f"{name}0", f"least({name}0 + {band}, {sizes[i]})")
                if position == 0
                else ("0", str(sizes[i]))
            )
            own.append(f"{deeper}for (long {name} = {low}; {name} < {high}; ++{name})")
            deeper += "    "
        own[-1:] = [f"{own[-1]} {{"] if listed else ["{", own[-1]][1:]
        terms = self._offset(self.moving, listed)
        own += [
            f"{deeper}at[count] = {f'{terms} + ' if terms else ''}place_at[{place}];",
            f"{deeper}given[count] = {value};",
            f"{deeper}count += given[count] != 0;",
            *([f"{deeper[4:]}}}"] if listed else []),
        ]
        shift = ""
        for i in rest:
            name = w.names.of(i)
            own.append(f"{shift}for (long {name} = 0; {name} < {sizes[i]}; ++{name})")
            shift += "    "
        sides = []
        for side, text in ((self.target, "own"), (self.factor, "factor")):
            sample = (
                [self.sample]
                if side is self.factor and not side.bordered and side.stride(self.sample)
                else []
            )
            indices = [*sample, *single, *rest]
            sides.append(
                " + ".join(
                    part for part in (text, str(side.start or ""), self._offset(side, indices)) if part
                )
            )
        call = "add_from" if self.gathers else "add_to"
        length = prod(sizes[i] for i in run)
        own.append(f"{shift}{call}({', '.join(sides)}, at, given, count, {length});")
        return [*lines, *(f"{indent}{line}" for line in own), f"{indent[4:]}}}"]

    def _offset(self, side: Affine, indices: list[Symbol]) -> str:
        names = self.writer.names
        return " + ".join(f"{names.of(i)} * {side.stride(i)}" for i in indices if side.stride(i))

    def _epilogue(self) -> list[str]:
        """Return the loops that take the sums of a sample, and the steps that follow."""
        w, work, n = self.writer, self.work, self.sample
        axes: Axes = work.axes[1:]
        w.flat = [((n,), w.names.of(n)), ((work.axes[0][0],), w.names.of(n))]
        w.names.names[work.axes[0][0]] = w.names.of(n)
        w.extents[work.axes[0][0]] = BATCH
        heads, indent = w._loops(axes, each=True)
        place: list[str] = []
        step = 1
        around = self.target.around
        for (index, extent), whole, (before, _) in reversed(
            [*zip(axes, around, self.target.border, strict=True)]
        ):
            shown = w.names.names[index]
            at = shown if not before else str(before) if extent == 1 else f"({shown} + {before})"
            if at != "0":
                place.insert(0, at if step == 1 else f"{at} * {step}")
            step *= whole
        lines = [f"const real sum = own[{' + '.join(place) or '0'}];", *w._store(work, None)]
        ends = [f"{' ' * depth}}}" for depth in range(len(indent) - 4, -1, -4)]
        return [*heads, *(f"{indent}{line}" for line in lines), *ends]

    def _indented(self, lines: list[str]) -> list[str]:
        return [f"    {line}" for line in lines]
