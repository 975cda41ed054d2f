"""The functions of one piece of work, as loops."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import sympy
from sympy import Indexed

from chainrule.codegen.ir.box import element
from chainrule.codegen.ir.program import BATCH, Extent, Program
from chainrule.codegen.kernels.views import Views
from chainrule.codegen.kernels.work import (
    Assignment,
    Axes,
    Drawing,
    Elements,
    GroupReduction,
    Picking,
    Product,
    Samples,
    Work,
    expressions,
)
from chainrule.codegen.targets.c.functions import CFunction, Share
from chainrule.codegen.targets.c_family.addresses import KernelPrinter, element_of
from chainrule.codegen.targets.c_family.assignments import Assignments

Lines = list[str]
UNROLLED = 4  # up to which extent of a window its loop is written out, so that the loop around it has vectors


class _Printer(KernelPrinter):
    """Prints the value of a step, and before it as variables what masks let pass.

    A compiler does not read memory for several elements at a time where only some of them ask for it.
    """

    passed: Callable[[str], str] | None = None

    def _passed(self, text: str) -> str:
        return self.passed(text) if self.passed and "[" in text else text


class CWriter(Assignments):
    """Prints the functions of one piece of work, which may need one before it and one after it."""

    number, index = "(double)", "long"

    def __init__(
        self,
        program: Program,
        views: Views,
        kept: frozenset[str],
        work: Work,
        name: str,
        remark: Sequence[str],
    ) -> None:
        taken = {"w", "id", "from", "to", "r", "c", "tile", "panel", "count", "row", "rows"}
        super().__init__(program, views, kept, work, taken | {v.identifier for v in program.values.values()})
        self.work, self.name, self.remark = work, name, tuple(remark)
        self.equations = _equations(work)
        self.scratch: list[tuple[str, str]] = []
        self.before: Lines | None = None  # lines before the one that is printed, where some may stand there

    def functions(self) -> list[CFunction]:
        """Return what computes the work, in order."""
        match self.work:
            case Elements():
                return [self._elements(self.work)]
            case Samples():
                return [self._samples(self.work)]
            case GroupReduction():
                return self._reduction(self.work)
            case Drawing():
                return [self._drawing(self.work)]
            case Product():
                return self._product(self.work)
        raise TypeError(f"not written here: {self.work}")

    # ---- Elements --------------------------------------------------------------------------------

    def _loops(self, axes: Axes, first: str = "", each: bool = False) -> tuple[Lines, str]:
        """Return the heads of loops over axes, the first one over ``from`` … ``to`` if it says so.

        ``each`` is whether what is inside computes an element of these axes, which no other one needs.
        """
        lines, indent = [], ""
        for position, (index, extent) in enumerate(axes):
            self.extents[index] = extent
            if extent == 1 and not (first and position == 0):
                self.names.names[index] = "0"
                continue
            name = self.names.of(index)
            self.flat.append(((index,), name))
            low, high = ("from", "to") if first and position == 0 else ("0", str(extent))
            lines.append(f"{indent}for (long {name} = {low}; {name} < {high}; ++{name}) {{")
            indent += "    "
        if each and lines:
            lines[-1] = f"{indent[4:]}EACH {lines[-1].lstrip()}"
        return lines, indent

    def _elements(self, work: Elements) -> CFunction:
        if not work.axes:
            return self._function(self._steps(work.steps), Share.ALONE, "1")
        sampled = work.axes[0][1] == BATCH
        heads, indent = self._loops(work.axes, "range", each=True)
        body = [*heads, *(f"{indent}{line}" for line in self._steps(work.steps)), *_ends(indent)]
        share = Share.SAMPLES if sampled else Share.RANGE
        return self._function(body, share, self._size(work.axes[0][1]), by_sample=sampled)

    def _samples(self, work: Samples) -> CFunction:
        self.names.names[work.sample] = n = self.names.of(work.sample)
        self.extents[work.sample] = BATCH
        body = [f"for (long {n} = from; {n} < to; ++{n}) {{"]
        for part in work.works:
            self.local.clear()
            self.flat = [((work.sample,), n)]
            self.axes = part.axes
            heads, indent = self._loops(part.axes[1:], each=True)
            lines = [*heads, *(f"{indent}{line}" for line in self._steps(part.steps)), *_ends(indent)]
            body += [f"    {line}" for line in lines]
        return self._function([*body, "}"], Share.SAMPLES, "w->N", by_sample=True)

    def _drawing(self, work: Drawing) -> CFunction:
        value = self.program.values[work.out]
        self.written[work.out] = None
        self.device["seed"] = None
        size = 1
        for extent in value.shape[1:]:
            size *= int(extent)
        threshold = round(float(work.probability) * 2**16)
        body = [f"draw({value.identifier}, from * {size}, to * {size}, seed[0], {work.stream}, {threshold});"]
        return self._function(body, Share.SAMPLES, "w->N", by_sample=True)

    # ---- Reductions ------------------------------------------------------------------------------

    def _reduction(self, work: GroupReduction) -> list[CFunction]:
        """Return a reduction within samples, or one by each thread for itself and what joins these."""
        sampled = bool(work.axes) and work.axes[0][1] == BATCH
        kind = "double" if not work.axes else "real"
        start = "0" if work.operation == "sum" else "-(real)INFINITY"
        join = "total += {}" if work.operation == "sum" else "total = maximum(total, {})"
        if sampled:
            heads, indent = self._loops(work.axes, "range")
            inner, deeper = self._loops(work.over)
            value = self._text(work.body)
            body = [*heads, f"{indent}{kind} total = {start};"]
            body += [f"{indent}{line}" for line in inner]
            body += [f"{indent}{deeper}{join.format(value)};", *(indent + e for e in _ends(deeper))]
            body.append(f"{indent}const real sum = total;")
            body += [f"{indent}{line}" for line in self._store(work, None)]
            return [self._function([*body, *_ends(indent)], Share.SAMPLES, "w->N", by_sample=True)]
        over = sorted(work.over, key=lambda each: each[1] != BATCH)
        by_samples = bool(over) and over[0][1] == BATCH
        size = self._size_of(work.axes)
        parts = f"{self.program.values[work.out].identifier}_{self.name}_parts"
        heads, indent = self._loops(tuple(over), "range")
        inner, deeper = self._loops(work.axes, each=True)
        value = self._text(work.body)
        place = self._flat_place(work.axes)
        target = f"own[{place}]"
        joined = (
            f"{target} += {value};" if work.operation == "sum" else f"{target} = maximum({target}, {value});"
        )
        body = [f"{kind} *restrict own = ({kind} *)w->{parts} + id * {_padded(size)};"]
        body += [*heads, *(indent + line for line in inner), f"{indent}{deeper}{joined}"]
        body += [*(indent + e for e in _ends(deeper)), *_ends(indent)]
        self.scratch.append((parts, f"threads * {2 * _padded(size)}"))
        clears = (
            f"for (long e = 0; e < {size}; ++e) (({kind} *)w->{parts})[id * {_padded(size)} + e] = {start};"
        )
        share = Share.SAMPLES if by_samples else Share.RANGE
        first = self._function(
            body,
            share,
            self._size(over[0][1]) if over else "1",
            by_sample=by_samples,
            parts=parts,
            clears=clears,
        )
        return [first, self._joining(work, parts, kind, size, work.operation)]

    def _joining(
        self, work: GroupReduction | Picking | Product, parts: str, kind: str, size: int, operation: str
    ) -> CFunction:
        """Return what adds up the sums of the threads, in their order, and takes the steps that follow."""
        other = self.again(f"{self.name}_total")
        start = "0" if operation == "sum" else "-(real)INFINITY"
        join = "total += {};" if operation == "sum" else "total = maximum(total, {});"
        if work.axes:
            other._declare(work.axes, "at")
            head, indent = ["for (long at = from; at < to; ++at) {"], "    "
        else:
            head, indent = [], ""
        read = f"(({kind} *)w->{parts})[part * {_padded(size)}{' + at' if work.axes else ''}]"
        lines = [
            f"{kind} total = {start};",
            f"for (int part = 0; part < w->team; ++part) {join.format(read)}",
        ]
        lines.append(f"const {kind} sum = total;")
        lines += other._store(work, None)
        body = [*head, *(indent + line for line in lines), *_ends(indent)]
        share = Share.RANGE if size > 4096 else Share.ALONE
        function = other._function(body, share, str(size))
        return replace(function, reads={**function.reads, parts: False})

    # ---- Products --------------------------------------------------------------------------------

    def _product(self, work: Product) -> list[CFunction]:
        """Return a product as loops."""
        b = work.blocks
        summed = tuple((i, work.extents[i]) for i in b.summed)
        sides = [
            self.views.resolved(element(load.name, self.program.values[load.name].shape, load.indices))
            for load in (work.left, work.right)
        ]
        body = sympy.Mul(*sides, evaluate=False)
        units = {i: sympy.S.Zero for i, e in work.extents.items() if e == 1}
        reduction = GroupReduction(
            work.axes, work.out, "sum", summed, body.xreplace(units), work.equation, work.steps
        )
        return self._reduction(reduction)

    def again(self, name: str) -> CWriter:
        """Return a writer of the same work that has named nothing yet."""
        return CWriter(self.program, self.views, self.kept, self.work, name, self.remark)

    def parts_of(self, out: str, size: int) -> tuple[str, str, str]:
        """Return where each thread adds up for itself, the line that clears it and that which finds it."""
        parts = f"{self.program.values[out].identifier}_{self.name}_parts"
        self.scratch.append((parts, f"threads * {_padded(size)}"))
        own = f"w->{parts} + id * {_padded(size)}"
        return parts, f"memset({own}, 0, {size} * sizeof(real));", f"real *restrict own = {own};"

    def _small_loop(self, variable: str, extent: Extent, down: bool = False) -> str:
        loop = super()._small_loop(variable, extent, down)
        return f"UNROLL {loop}" if extent != BATCH and int(extent) <= UNROLLED else loop

    def _value(self, step: Assignment) -> tuple[str, Lines]:
        self.before = None if step.operation else []
        text, lines = super()._value(step)
        remark = f"  // ({step.equation})"
        lines = [*(f"{line}{remark}" for line in self.before or []), *lines]
        self.before = None
        return text, lines

    def _printer(self) -> KernelPrinter:
        printer = _Printer(self._load, self.names.names, self.program.constants, self.number)
        printer.passed = None if self.before is None else self._passed
        return printer

    def _passed(self, text: str) -> str:
        name = self._variable("passed")
        self.before = [*(self.before or []), f"const real {name} = {text};"]
        return name

    # ---- Shared ----------------------------------------------------------------------------------

    def _size(self, extent: Extent) -> str:
        return "w->N" if extent == BATCH else str(extent)

    def _size_of(self, axes: Axes) -> int:
        size = 1
        for _, extent in axes:
            size *= int(extent)
        return size

    def _flat_place(self, axes: Axes) -> str:
        text = ""
        for index, extent in axes:
            name = self.names.names[index]
            text = f"({text}) * {extent} + {name}" if text else name
        return text or "0"

    def _function(
        self,
        body: Lines,
        share: Share,
        count: str,
        by_sample: bool = False,
        parts: str = "",
        clears: str = "",
    ) -> CFunction:
        """Return the function with these lines, after what they take from memory."""
        names = [*self.written, *(r for r in self.read if r not in self.written)]
        text = "\n".join(body)
        lines = []
        for name in names:
            value = self.program.values[name]
            const = "" if name in self.written else "const "
            if re.search(rf"\b{value.identifier}\b", text):
                kind, own = f"{const}{element_of(self.program, name)}", value.identifier
                lines.append(f"{kind} *restrict {own} = w->{own};")
        lines += [
            f"const {kind} *{name} = &w->{name};"
            for name, kind in (("seed", "uint64_t"), ("step", "long"), ("steps", "long"))
            if name in self.device
        ]
        if re.search(r"(?<!w->)\bN\b", text):
            lines.append("const long N = w->N;")
        unused = [f"(void){name};" for name in ("id",) if not re.search(r"\bid\b", text + " ".join(lines))]
        unused += [] if re.search(r"\bfrom\b", text) else ["(void)from, (void)to;"]
        reads = {name: self._own(name) for name in self.read}
        writes = {name: by_sample for name in self.written}
        if parts:
            writes[parts] = True
        return CFunction(
            self.name,
            self.remark,
            tuple([*lines, *unused, *body]),
            share,
            count,
            reads,
            writes,
            self.equations,
            by_sample,
            clears,
            tuple(self.scratch),
        )

    def _own(self, name: str) -> bool:
        """Whether all that is read of a tensor belongs to the sample that is computed."""
        own = {i for i, e in self.extents.items() if e == BATCH}
        bodies = expressions(self.work)
        if isinstance(self.work, Product):
            for load in (self.work.left, self.work.right):
                shape = self.program.values[load.name].shape
                bodies.append(self.views.resolved(element(load.name, shape, load.indices)))
        for read in (r for body in bodies for r in body.atoms(Indexed) if self._memory(r) == name):
            if not read.indices or read.indices[0] not in own:
                return False
        return True


def _ends(indent: str) -> Lines:
    return [" " * depth + "}" for depth in range(len(indent) - 4, -1, -4)]


def _padded(size: int) -> int:
    return -(-size // 16) * 16


def _equations(work: Work) -> tuple[int, ...]:
    numbers = [] if isinstance(work, Elements | Samples) else [work.equation]
    numbers += [] if isinstance(work, Drawing) else [s.equation for s in work.steps]
    return tuple(dict.fromkeys(numbers))
