"""The text of a kernel: its arguments, what its threads do, and the comment that says so."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sympy
from sympy import Expr, Symbol

from chainrule.codegen.ir.box import element
from chainrule.codegen.ir.program import BATCH, Program
from chainrule.codegen.kernels.places import N, volume
from chainrule.codegen.kernels.views import Views
from chainrule.codegen.kernels.work import Axes, Drawing, Elements, GroupReduction, Product, Samples, Work
from chainrule.codegen.lower.subscripts import NOMINAL_BATCH
from chainrule.codegen.targets.c_family.addresses import TABLE, count_text, element_of
from chainrule.codegen.targets.c_family.assignments import Assignments
from chainrule.codegen.targets.cuda.comments import comment, equations

THREADS = 256
TILES = ((128, 128), (64, 64), (64, 32), (32, 64), (32, 32), (64, 16), (16, 64), (16, 16))
DEPTH = 16
BUSY = 64  # tiles from which on larger ones pay


@dataclass(frozen=True)
class Kernel:
    """A kernel's lines and what a launch needs to know; its name may be given later."""

    name: str
    comment: tuple[str, ...]
    parameters: tuple[str, ...]
    body: tuple[str, ...]
    arguments: tuple[str, ...]
    written: tuple[str, ...]
    blocks: str
    shared: int
    equations: tuple[int, ...]

    @property
    def text(self) -> str:
        head = wrapped(f"KERNEL {self.name}(", self.parameters, ") {")
        lines = [*self.comment, *head, *(f"    {line}" for line in self.body), "}"]
        return "\n".join(line.rstrip() for line in lines)


class KernelSource:
    """Prints one piece of work as a kernel.

    ``kept`` names the tensors that must be in memory afterwards; what else is computed stays in registers.
    ``tensor_cores`` is whether they compute products.
    """

    def __init__(self, program: Program, views: Views, kept: frozenset[str], tensor_cores: bool) -> None:
        self.program = program
        self.views = views
        self.kept = kept
        self.tensor_cores = tensor_cores

    def kernel(self, work: Work) -> tuple[Kernel, frozenset[str]]:
        """Return a kernel, not yet named, with the names that indices and variables have in it.

        None of these is an argument's: a first pass finds those.
        """
        writer = _KernelWriter(self, work, ())
        kernel = writer.kernel()
        values = self.program.values
        taken = {values[name].identifier for name in kernel.arguments if name in values}
        if taken & writer.own_names():
            writer = _KernelWriter(self, work, taken)
            kernel = writer.kernel()
        return kernel, frozenset(writer.own_names())


class _KernelWriter(Assignments):
    """Prints the kernel of one piece of work."""

    def __init__(self, source: KernelSource, work: Work, taken: Iterable[str]) -> None:
        super().__init__(source.program, source.views, source.kept, work, taken)
        self.work = work
        self.product = "tensor_product" if source.tensor_cores else "product"

    def kernel(self) -> Kernel:
        match self.work:
            case Elements():
                body, blocks, shared = self._elements(self.work)
            case Samples():
                body, blocks, shared = self._samples(self.work)
            case GroupReduction():
                body, blocks, shared = self._reduction(self.work)
            case Product():
                body, blocks, shared = self._product(self.work)
            case Drawing():
                body, blocks, shared = self._drawing(self.work)
        arguments = [*self.written, *(r for r in self.read if r not in self.written), *self.device]
        uses_batch = re.search(r"\bN\b", " ".join(body)) is not None
        parameters = [self._parameter(a) for a in arguments] + (["int N"] if uses_batch else [])
        arguments += ["N"] if uses_batch else []
        return Kernel(
            "",
            tuple(comment(self.program, self.work)),
            tuple(parameters),
            tuple(body),
            tuple(arguments),
            tuple(self.written),
            blocks,
            shared,
            equations(self.work),
        )

    def _elements(self, work: Elements) -> tuple[list[str], str, int]:
        total = volume(e for _, e in work.axes)
        self._declare(work.axes, "at")
        steps = self._steps(work.steps)
        if not work.axes:
            return ["if (blockIdx.x || threadIdx.x) return;", *steps], "1", 0
        count = str(total).replace("*", " * ")
        head = (
            f"for (int at = blockIdx.x * THREADS + threadIdx.x; at < {count}; at += gridDim.x * THREADS) {{"
        )
        body = [head, *(f"    {line}" for line in [*self._decode(), *steps]), "}"]
        return body, _ceiling(total, THREADS), 0

    def _samples(self, work: Samples) -> tuple[list[str], str, int]:
        self.names.names[work.sample] = n = self.names.of(work.sample)
        self.extents[work.sample] = BATCH
        start, step = "blockIdx.x * THREADS + threadIdx.x", "gridDim.x * THREADS"
        body = [f"for (int {n} = {start}; {n} < N; {n} += {step}) {{"]
        for part in work.works:
            self.local.clear()
            self.flat = [((work.sample,), n)]
            self.axes, indent = part.axes, "    "
            for index, extent in part.axes[1:]:
                variable = "0" if extent == 1 else self.names.of(index)
                self.names.names[index] = variable
                self.extents[index] = extent
                if extent != 1:
                    self.flat.append(((index,), variable))
                    loop = f"for (int {variable} = 0; {variable} < {extent}; ++{variable})"
                    body.append(f"{indent}{loop} {{")
                    indent += "    "
            body += [f"{indent}{line}" for line in self._steps(part.steps)]
            body += [" " * depth + "}" for depth in range(len(indent) - 4, 0, -4)]
        return [*body, "}"], _ceiling(N, THREADS), 0

    def _reduction(self, work: GroupReduction) -> tuple[list[str], str, int]:
        groups, terms = volume(e for _, e in work.axes), volume(e for _, e in work.over)
        across = self._runs_fastest(work.body, work.axes, work.over)
        lanes = 256 if groups == 1 else 8 if across else 32
        self._declare(work.axes, "row")
        self._declare(work.over, "term")
        value = self._text(work.body)
        load = [*self._decode(), f"return {value};"]
        self.used.clear()
        part = "part" if work.parts > 1 else None
        store = self._store(work, part)
        operation = {"sum": "Sum", "max": "Max"}[work.operation]
        body = ["extern __shared__ real shared[];"]
        body += _lambda("load", "int row, int term", load)
        body += _lambda("store", "int part, int row, real sum", store)
        kind, sizes = (
            f"{operation}, {lanes}, {str(across).lower()}",
            f"{count_text(groups)}, {count_text(terms)}",
        )
        body.append(f"reduction<{kind}>({sizes}, {work.parts}, shared, load, store);")
        sets = _ceiling(groups, THREADS // lanes)
        blocks = sets if work.parts == 1 else f"{work.parts} * ({sets})"
        return body, blocks, THREADS * 4

    def _product(self, work: Product) -> tuple[list[str], str, int]:
        b = work.blocks
        rows, columns, terms, batches = (
            volume(work.extents[i] for i in indices) for indices in (b.rows, b.columns, b.summed, b.batch)
        )
        tile_rows, tile_columns = _tile(rows, columns, batches, work.parts)
        axes = {"batch": b.batch, "row": b.rows, "column": b.columns, "term": b.summed}
        loads, by = [], []
        for side, flats, outer in (
            ("left", ("batch", "row", "term"), b.rows),
            ("right", ("batch", "term", "column"), b.columns),
        ):
            self.flat.clear()
            for flat in flats:
                self._declare(tuple((i, work.extents[i]) for i in axes[flat]), flat)
            load = work.left if side == "left" else work.right
            units = {i: sympy.S.Zero for i, e in work.extents.items() if e == 1}
            shape = self.program.values[load.name].shape
            read = element(load.name, shape, load.indices)
            resolved = self.views.resolved(read).xreplace(units)
            by.append(self._runs_fastest(resolved, _pairs(outer, work), _pairs(b.summed, work)))
            value = self._text(resolved)
            loads += _lambda(
                side, ", ".join(f"int {f}" for f in flats), [*self._decode(), f"return {value};"]
            )
            self.used.clear()
        self.flat.clear()
        for flat in ("batch", "row", "column"):
            self._declare(tuple((i, work.extents[i]) for i in axes[flat]), flat)
        self.extents |= dict(work.axes)
        self.names.names |= {i: "0" for i, e in work.axes if e == 1}
        store = self._store(work, "part" if work.parts > 1 else None)
        body = ["extern __shared__ real shared[];", *loads]
        body += _lambda("store", "int part, int batch, int row, int column, real sum", store)
        kind = f"{tile_rows}, {tile_columns}, {DEPTH}, {', '.join(str(b).lower() for b in by)}"
        sizes = ", ".join(map(count_text, (batches, rows, columns, terms)))
        body.append(f"{self.product}<{kind}>({sizes}, {work.parts}, shared, left, right, store);")
        factors = [_ceiling(rows, tile_rows), _ceiling(columns, tile_columns), str(batches), str(work.parts)]
        blocks = " * ".join(f"({f})" if " " in f else f for f in factors if f != "1") or "1"
        return body, blocks, 4 * DEPTH * (tile_rows + 1 + tile_columns + 1)

    def _drawing(self, work: Drawing) -> tuple[list[str], str, int]:
        self.written[work.out] = None
        self.device["seed"] = None
        shape = self.program.values[work.out].shape
        threshold = round(float(work.probability) * 2**16)
        out = self.program.values[work.out].identifier
        total = volume(shape)
        return (
            [f"draw({out}, {count_text(total)}, seed[0], {work.stream}, {threshold});"],
            _ceiling(total, 16 * THREADS),
            0,
        )

    def _parameter(self, name: str) -> str:
        if name in TABLE:
            return f"const {TABLE[name]}* RESTRICT {name}"
        value = self.program.values[name]
        const = "" if name in self.written else "const "
        return f"{const}{element_of(self.program, name)}* RESTRICT {value.identifier}"


def _pairs(indices: Iterable[Symbol], work: Product) -> Axes:
    return tuple((i, work.extents[i]) for i in indices)


def _tile(rows: Expr, columns: Expr, batches: Expr, parts: int) -> tuple[int, int]:
    """Return the largest tile with which enough blocks have work, none much larger than the matrix."""
    r, c, b = (float(e.subs(N, NOMINAL_BATCH)) for e in (rows, columns, batches))
    fitting = [t for t in TILES if t[0] < 2 * r and t[1] < 2 * c] or [TILES[-1]]
    for tile in fitting:
        if math.ceil(r / tile[0]) * math.ceil(c / tile[1]) * b * parts >= BUSY:
            return tile
    return fitting[-1] if fitting[-1][0] * fitting[-1][1] >= 32 * 32 or len(fitting) == 1 else fitting[0]


def _ceiling(total: Expr, step: int) -> str:
    if total.is_Integer:
        return str(-(-int(total) // step))
    return f"({count_text(total)} + {step - 1}) // {step}" if step > 1 else count_text(total)


def _lambda(name: str, parameters: str, lines: list[str]) -> list[str]:
    head = f"auto {name} = [&]({parameters}) {{"
    if name != "store" and len(lines) == 1:
        return [f"auto {name} = [&]({parameters}) -> real {{ {lines[0]} }};"]
    head = f"auto {name} = [&]({parameters}) -> real {{" if name != "store" else head
    return [head, *(f"    {line}" for line in lines), "};"]


def wrapped(head: str, words: Sequence[str], tail: str, width: int = 118) -> list[str]:
    """Return words between a head and a tail, on as many lines as their width needs."""
    lines, indent = [head], " " * 8
    for position, word in enumerate(words):
        text = word + ("," if position + 1 < len(words) else tail)
        if len(lines[-1]) + len(text) + 1 > width:
            lines.append(indent + text)
        else:
            lines[-1] += text if lines[-1].endswith("(") else f" {text}"
    return lines
