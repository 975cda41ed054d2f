"""The text of a kernel: its arguments, what its threads do, and the comment that says so."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sympy
from sympy import Expr, Indexed, Symbol

from codegen.kernels.places import N, offset, size, volume
from codegen.kernels.views import Views
from codegen.kernels.work import Axes, Drawing, Elements, Guarded, Product, Reduction, Step, Work
from codegen.program import BATCH, Extent, Program, Shape
from codegen.scalar import COMPARE, CannotPrint, Text
from codegen.targets.c_family.expressions import CONDITION, CPrinter, ScalarCPrinter
from codegen.targets.c_family.places import Names, decoded, horner

THREADS = 256
TABLE = {"seed": "uint64", "step": "int", "steps": "int"}  # what the driver keeps on the device
STEP_SYMBOLS = {"k": "step", "K": "steps"}
NOMINAL_BATCH = 64
TILES = ((128, 128), (64, 64), (64, 32), (32, 64), (32, 32), (64, 16), (16, 64), (16, 16))
DEPTH = 16
BUSY = 64  # tiles from which on larger ones pay


@dataclass(frozen=True)
class Kernel:
    """A kernel's text and what a launch needs to know."""

    name: str
    text: str
    arguments: tuple[str, ...]
    blocks: str
    shared: int
    equations: tuple[int, ...]


class KernelSource:
    """Prints one piece of work as a kernel.

    ``kept`` names the tensors that must be in memory afterwards; what else is computed stays in registers.
    """

    def __init__(self, program: Program, views: Views, kept: frozenset[str]) -> None:
        self.program = program
        self.views = views
        self.kept = kept

    def kernel(self, name: str, work: Work) -> Kernel:
        """Return the kernel of that name; no name in it is an argument's: a first pass finds those."""
        arguments = _Writer(self, work, ()).kernel(name).arguments
        identifiers = [self.program.values[a].identifier for a in arguments if a in self.program.values]
        return _Writer(self, work, identifiers).kernel(name)


class _Printer(CPrinter):
    """Prints expressions of a kernel: guards become conditions."""

    def _print(self, e: Expr) -> Text:
        if isinstance(e, Guarded):
            holds = " && ".join(self.truth(g) for g in e.guards)
            return f"{holds} ? {self.load(e.read)} : real(0)", CONDITION
        return super()._print(e)


class _Writer:
    def __init__(self, source: KernelSource, work: Work, taken: Iterable[str]) -> None:
        self.source = source
        self.program = source.program
        self.work = work
        self.taken = frozenset(taken)
        self.names = Names(taken)
        self.read: dict[str, None] = {}
        self.written: dict[str, None] = {}
        self.local: dict[str, str] = {}  # tensors whose element at the axes is in a variable
        self.flat: list[tuple[tuple[Symbol, ...], str]] = []  # indices that one variable stands for
        self.extents: dict[Symbol, Extent] = {}
        self.used: set[Symbol] = set()
        self.device: dict[str, None] = {}
        self.variables = {"sum"}

    # ---- Kernels ---------------------------------------------------------------------------------

    def kernel(self, name: str) -> Kernel:
        match self.work:
            case Elements():
                body, blocks, shared = self._elements(self.work)
            case Reduction():
                body, blocks, shared = self._reduction(self.work)
            case Product():
                body, blocks, shared = self._product(self.work)
            case Drawing():
                body, blocks, shared = self._drawing(self.work)
        arguments = [*self.written, *(r for r in self.read if r not in self.written), *self.device]
        uses_batch = re.search(r"\bN\b", " ".join(body)) is not None
        head = f'extern "C" __global__ void __launch_bounds__({THREADS}, 2)'
        parameters = [self._parameter(a) for a in arguments] + (["int N"] if uses_batch else [])
        lines = [*self._comment(), *_wrapped(f"{head} {name}(", parameters, ") {")]
        lines += [f"    {line}" for line in body]
        lines.append("}")
        text = "\n".join(line.rstrip() for line in lines)
        return Kernel(
            name, text, (*arguments, *(["N"] if uses_batch else [])), blocks, shared, self._equations()
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

    def _reduction(self, work: Reduction) -> tuple[list[str], str, int]:
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
        kind, sizes = f"{operation}, {lanes}, {str(across).lower()}", f"{_c(groups)}, {_c(terms)}"
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
            read = Indexed(sympy.IndexedBase(load.name, shape=tuple(map(size, shape))), *load.indices)
            resolved = self.source.views.resolved(read).xreplace(units)
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
        sizes = ", ".join(map(_c, (batches, rows, columns, terms)))
        body.append(f"product<{kind}>({sizes}, {work.parts}, shared, left, right, store);")
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
            [f"draw({out}, {_c(total)}, seed[0], {work.stream}, {threshold});"],
            _ceiling(total, 16 * THREADS),
            0,
        )

    # ---- Steps -----------------------------------------------------------------------------------

    def _store(self, work: Reduction | Product, part: str | None) -> list[str]:
        """Return the lines that take a group's sum: to memory, and into the steps that follow."""
        value = self.program.values[work.out]
        lines: list[str] = []
        indices = tuple(i for i, _ in work.axes)
        if part is not None:
            number = Symbol(part, integer=True)
            self.flat.append(((number,), part))
            self.extents[number] = work.parts
            self.names.names[number] = part
            place = self._place(work.out, (number, *indices))
            self.written[work.out] = None
            lines.append(f"{value.identifier}[{place}] = sum;")
            return [*self._decode(), *lines]
        remark = f"  // ({work.equation})"
        if not work.steps or work.out in self._later_reads(work.steps):
            self.local[work.out] = "sum"
        if self._is_kept(work.out) and not any(s.out == work.out for s in work.steps):
            self.written[work.out] = None
            lines.append(f"{value.identifier}[{self._place(work.out, indices)}] = sum;{remark}")
        lines += self._steps(work.steps)
        return [*self._decode(), *lines]

    def _later_reads(self, steps: Sequence[Step]) -> set[str]:
        return {self._memory(r) for s in steps for r in s.body.atoms(Indexed)}

    def _steps(self, steps: Sequence[Step]) -> list[str]:
        lines: list[str] = []
        last = {step.out: position for position, step in enumerate(steps)}
        for position, step in enumerate(steps):
            value = self.program.values[step.out]
            read_later = any(step.out in self._later_reads([s]) for s in steps[position + 1 :])
            stored = self._is_kept(step.out) and last[step.out] == position
            text, before = self._value(step)
            lines += before
            number = f"  // ({step.equation})"
            element = _element(value.truth, value.shape)
            if read_later:
                name = self.local.get(step.out)
                if name is None or name == "sum":
                    name = self._variable(value.identifier)
                    lines.append(f"{element} {name} = {text};{number}")
                else:
                    lines.append(f"{name} = {text};{number}")
                self.local[step.out] = text = name
            if stored:
                indices = self._own_indices(step.out)
                self.written[step.out] = None
                lines.append(f"{value.identifier}[{self._place(step.out, indices)}] = {text};{number}")
        return lines

    def _value(self, step: Step) -> tuple[str, list[str]]:
        """Return the text of a step's value, and the lines that compute it before."""
        if not step.operation and not step.body.has(Indexed) and not self.program.values[step.out].shape:
            self._text(step.body)
            return ScalarCPrinter(self.names.names, self.program.constants).text(step.body), []
        if not step.operation:
            return self._text(step.body), []
        if step.operation == "first":
            return self._first(step)
        for index, _ in step.over:
            self.used.discard(index)
        name = self._variable("total" if step.operation == "sum" else "greatest")
        start = "real(0)" if step.operation == "sum" else "real(-1) / real(0)"
        lines = [f"real {name} = {start};"]
        indent = ""
        for index, extent in step.over:
            variable = self.names.of(index)
            lines.append(f"{indent}for (int {variable} = 0; {variable} < {extent}; ++{variable})")
            indent += "    "
        conditions = []
        for quotient in step.quotients:
            numerator = self._integer(quotient.numerator)
            divisor = quotient.divisor
            shown = f"({numerator})" if " " in numerator else numerator
            if divisor > 1:
                conditions.append(f"{shown} % {divisor} == 0")
            at = f"{shown} / {divisor}" if divisor > 1 else numerator
            self.names.names[quotient.index] = f"({at})" if " " in at else at
            conditions.append(f"inside({at}, {quotient.extent})")
        text = self._text(step.body)
        if conditions:
            lines.append(f"{indent}if ({' && '.join(conditions)})")
            indent += "    "
        joined = f"{name} += {text};" if step.operation == "sum" else f"{name} = maximum({name}, {text});"
        lines.append(f"{indent}{joined}")
        return name, lines

    def _first(self, step: Step) -> tuple[str, list[str]]:
        """Whether the entry is the greatest and none before it in the window is."""
        if step.best is None:
            raise CannotPrint(f"{step.out}: the greatest of what?")
        best, name = self._variable("best"), self._variable("won")
        lines = [
            f"const real {best} = {self._text(step.best)};",
            f"bool {name} = {self._text(step.body, COMPARE + 1)} == {best};",
        ]
        earlier = {i: Symbol(f"{i.name.lstrip('_')}_before", integer=True) for i, _ in step.over}
        order, before, indent = "", "", ""
        for index, extent in step.over:
            variable, own = self.names.of(earlier[index]), self._integer(index)
            lines.append(f"{indent}for (int {variable} = 0; {variable} < {extent}; ++{variable})")
            indent += "    "
            order = f"{f'({order})' if ' ' in order else order} * {extent} + {own}" if order else own
            before = (
                f"{f'({before})' if ' ' in before else before} * {extent} + {variable}"
                if before
                else variable
            )
        other = self._text(step.body.xreplace(earlier), COMPARE + 1)
        lines += [f"{indent}if ({before} < {order}", f"{indent}    && {other} == {best}) {name} = false;"]
        return name, lines

    def _variable(self, base: str) -> str:
        name, count = base, 1
        while name in self.taken or name in self.names.names.values() or name in self.variables:
            count += 1
            name = f"{base}_{count}"
        self.variables.add(name)
        return name

    # ---- Indices and memory ----------------------------------------------------------------------

    def _declare(self, axes: Axes, flat: str) -> None:
        """Let a variable stand for a run of indices, in row-major order."""
        self.flat.append((tuple(i for i, _ in axes), flat))
        self.extents |= dict(axes)
        several = [i for i, e in axes if e != 1]
        for index, extent in axes:
            if extent == 1:
                self.names.names[index] = "0"
            elif len(several) == 1:
                self.names.names[index] = flat
            else:
                self.names.of(index)

    def _decode(self) -> list[str]:
        """Return the definitions of the indices that are used apart from their run."""
        lines = []
        for indices, flat in self.flat:
            texts = decoded(flat, indices, self.extents, self.names.names)
            wanted = [
                text
                for i, text in zip(indices, texts, strict=True)
                if i in self.used and self.names.names[i] not in (flat, "0")
            ]
            if wanted:
                lines.append(f"const int {', '.join(wanted)};")
        return lines

    def _text(self, e: Expr, above: int = CONDITION) -> str:
        for symbol in e.free_symbols:
            if isinstance(symbol, Symbol) and symbol.name in STEP_SYMBOLS and symbol.is_positive:
                device = STEP_SYMBOLS[symbol.name]
                self.device[device] = None
                self.names.names[symbol] = f"{device}[0]"
        guards = {g for guarded in e.atoms(Guarded) for g in guarded.guards}
        for guard in guards:
            self._use(guard.args[0])
        body = e.xreplace({r: Symbol("_") for r in e.atoms(Indexed)})
        self._use(body)
        printer = _Printer(self._load, self.names.names, self.program.constants)
        return printer.text(e, above)

    def _integer(self, e: Expr) -> str:
        self._use(e)
        return CPrinter(self._load, self.names.names, {}).integer(e)

    def _use(self, e: Expr) -> None:
        for symbol in e.free_symbols:
            if symbol in self.extents:
                self.used.add(symbol)
            elif symbol.is_Dummy and symbol not in self.names.names:
                self.names.of(symbol)

    def _memory(self, read: Indexed) -> str:
        return self.source.views.memory(str(read.base.label))

    def _own_indices(self, name: str) -> tuple[Expr, ...]:
        return tuple(i for i, _ in self.work.axes) if not isinstance(self.work, Drawing) else ()

    def _load(self, read: Indexed) -> str:
        memory = self._memory(read)
        if memory in self.local and tuple(read.indices) == self._own_indices(memory):
            return self.local[memory]
        self.read[memory] = None
        place = self._place(str(read.base.label), tuple(read.indices))
        text = f"{self.program.values[memory].identifier}[{place}]"
        return f"real({text})" if element_of(self.program, memory) == "double" else text

    def _place(self, name: str, subscripts: tuple[Expr, ...]) -> str:
        """Return the text of a position: of runs of indices as one where they lie so, else of each index."""
        shape: Shape = self.program.values[name].shape
        if not subscripts:
            return "0"
        zero = {i: sympy.S.Zero for i, e in self.extents.items() if e == 1}
        subscripts = tuple(e.xreplace(zero) for e in subscripts)
        rest, texts = offset(subscripts, shape), []
        for indices, flat in self.flat:
            slopes = _slopes(rest, indices, self.extents)
            if slopes is None:
                continue
            rest = sympy.expand(rest - sum(c * i for c, i in slopes[1]))
            texts.append((slopes[0], flat))
        if not rest.free_symbols - {N}:
            texts.sort(key=lambda t: -float(abs(t[0].subs(N, NOMINAL_BATCH))))
            parts = [_scaled(flat, slope) for slope, flat in texts] + ([_c(rest)] if rest != 0 else [])
            return " + ".join(parts) or "0"
        self._use(sympy.Add(*(e for e in subscripts if e.free_symbols)))
        printer = CPrinter(self._load, self.names.names, {})
        return horner([printer.integer(sympy.expand(e)) for e in subscripts], shape)

    def _runs_fastest(self, body: Expr, axes: Axes, over: Axes) -> bool:
        """Whether the last axis takes smaller steps in memory than the last index that is reduced."""
        if not axes or not over:
            return False
        steps: dict[Symbol, float] = {}
        for read in body.atoms(Indexed):
            name = str(read.base.label)
            if self._memory(read) in self.local or not read.indices:
                continue
            place = offset(tuple(read.indices), self.program.values[name].shape).subs(N, NOMINAL_BATCH)
            for index in (axes[-1][0], over[-1][0]):
                slope = abs(place.coeff(index))
                if slope.is_number and slope != 0:
                    steps[index] = min(steps.get(index, math.inf), float(slope))
        return steps.get(axes[-1][0], math.inf) < steps.get(over[-1][0], math.inf)

    # ---- Arguments and comments ------------------------------------------------------------------

    def _is_kept(self, name: str) -> bool:
        return name in self.source.kept

    def _parameter(self, name: str) -> str:
        if name in TABLE:
            return f"const {TABLE[name]}* __restrict__ {name}"
        value = self.program.values[name]
        const = "" if name in self.written else "const "
        return f"{const}{element_of(self.program, name)}* __restrict__ {value.identifier}"

    def _equations(self) -> tuple[int, ...]:
        work = self.work
        numbers = [] if isinstance(work, Elements) else [work.equation]
        numbers += [] if isinstance(work, Drawing) else [s.equation for s in work.steps]
        return tuple(dict.fromkeys(numbers))

    def _comment(self) -> list[str]:
        notes = [self.program.notes[n] for n in self._equations() if n in self.program.notes]
        if isinstance(self.work, Drawing):
            out = self.program.values[self.work.out].identifier
            chance = f"{float(self.work.probability):g}"
            return [f"// {out} ∼ Bernoulli({chance}) for ({self.work.equation}).  One thread 16 neighbours."]
        lines = [f"// {note.text}    {note.shape} ({note.number})" for note in notes]
        return [*lines, *(f"// {line}" for line in self._who())]

    def _who(self) -> list[str]:
        match self.work:
            case Elements(axes=axes) if not axes:
                return ["One thread."]
            case Elements(axes=axes):
                return [f"One thread an element of {_shape(axes)}."]
            case Reduction(axes=axes, over=over, parts=parts, operation=operation):
                shared = f", shared by {parts} groups" if parts > 1 else ""
                kind = {"sum": "terms", "max": "candidates"}[operation]
                return [f"One group of threads an element of {_shape(axes)}: {_shape(over)} {kind}{shared}."]
            case Product() as work:
                b = work.blocks
                rows, columns, terms = (
                    _c(volume(work.extents[i] for i in block)) for block in (b.rows, b.columns, b.summed)
                )
                many = f"{_c(volume(work.extents[i] for i in b.batch))} times " if b.batch else ""
                shared = f", each shared by {work.parts} blocks" if work.parts > 1 else ""
                return [f"One block a tile, {many}({rows} x {terms}) ({terms} x {columns}){shared}."]
            case _:
                return []


def element_of(program: Program, name: str) -> str:
    """Return the C type of a tensor's entries."""
    value = program.values[name]
    return "int" if value.integer else _element(value.truth, value.shape if value.kind == "local" else (1,))


def _element(truth: bool, shape: Shape) -> str:
    return "unsigned char" if truth else "double" if shape == () else "real"


def _pairs(indices: Iterable[Symbol], work: Product) -> Axes:
    return tuple((i, work.extents[i]) for i in indices)


def _slopes(
    place: Expr, indices: tuple[Symbol, ...], extents: Mapping[Symbol, Extent]
) -> tuple[Expr, list[tuple[Expr, Symbol]]] | None:
    """Return the slope of a run of indices as one variable, and those of each; None where it is no run."""
    if not indices:
        return None
    step: Expr = sympy.S.One
    base = None
    found = []
    for index in reversed(indices):
        slope = place.coeff(index)
        if extents[index] != 1:
            if base is None:
                base = slope / step
            if slope == 0 or sympy.expand(slope - base * step) != 0:
                return None
        found.append((slope, index))
        step *= size(extents[index])
    return (base, found) if base is not None else None


def _scaled(flat: str, slope: Expr) -> str:
    return flat if slope == 1 else f"{flat} * {_c(slope)}"


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
    return f"({_c(total)} + {step - 1}) // {step}" if step > 1 else _c(total)


def _c(e: Expr) -> str:
    """Return a count as text: N * 900."""
    if e.is_Integer or e.is_Symbol:
        return str(e)
    coefficient, rest = e.as_coeff_Mul()
    return f"{rest} * {coefficient}".replace("**", "^") if coefficient != 1 else str(rest).replace("*", " * ")


def _shape(axes: Axes) -> str:
    return (
        "("
        + ", ".join("N" if e == BATCH else str(e) for _, e in axes)
        + ("," if len(axes) == 1 else "")
        + ")"
    )


def _lambda(name: str, parameters: str, lines: list[str]) -> list[str]:
    head = f"auto {name} = [&]({parameters}) {{"
    if name != "store" and len(lines) == 1:
        return [f"auto {name} = [&]({parameters}) -> real {{ {lines[0]} }};"]
    head = f"auto {name} = [&]({parameters}) -> real {{" if name != "store" else head
    return [head, *(f"    {line}" for line in lines), "};"]


def _wrapped(head: str, words: list[str], tail: str, width: int = 118) -> list[str]:
    lines, indent = [head], " " * 8
    for position, word in enumerate(words):
        text = word + ("," if position + 1 < len(words) else tail)
        if len(lines[-1]) + len(text) + 1 > width:
            lines.append(indent + text)
        else:
            lines[-1] += text if lines[-1].endswith("(") else f" {text}"
    return lines
