"""Names, indices and places in memory of one kernel."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import sympy
from sympy import Expr, Indexed, Symbol

from chainrule.codegen.ir.box import size_of
from chainrule.codegen.ir.program import Extent, Program, Shape
from chainrule.codegen.ir.scalar import Text
from chainrule.codegen.kernels.places import N, offset
from chainrule.codegen.kernels.views import Views
from chainrule.codegen.kernels.work import Axes, Drawing, Guarded, Samples, Work
from chainrule.codegen.lower.subscripts import NOMINAL_BATCH
from chainrule.codegen.targets.c_family.expressions import CONDITION, CPrinter
from chainrule.codegen.targets.c_family.places import Names, decoded, horner

TABLE = {"seed": "uint64", "step": "int", "steps": "int"}  # what the driver keeps on the device
STEP_SYMBOLS = {"k": "step", "K": "steps"}


class KernelPrinter(CPrinter):
    """Prints expressions of a kernel: guards become conditions."""

    def _print(self, e: Expr) -> Text:
        if isinstance(e, Guarded):
            holds = " && ".join(self.truth(g) for g in e.guards)
            return f"{holds} ? {self.load(e.read)} : real(0)", CONDITION
        return super()._print(e)


class Addresses:
    """What a kernel's lines call indices, and where they find tensors.

    ``kept`` names the tensors that must be in memory afterwards, ``taken`` the names that arguments have.
    """

    number = ""  # what makes a double of a count
    index = "int"  # the type of an index

    def __init__(
        self, program: Program, views: Views, kept: frozenset[str], work: Work, taken: Iterable[str]
    ) -> None:
        self.program = program
        self.views = views
        self.kept = kept
        self.taken = frozenset(taken)
        self.axes: Axes = () if isinstance(work, Drawing | Samples) else work.axes
        self.names = Names(taken)
        self.read: dict[str, None] = {}
        self.written: dict[str, None] = {}
        self.local: dict[str, str] = {}  # tensors whose element at the axes is in a variable
        self.flat: list[tuple[tuple[Symbol, ...], str]] = []  # indices that one variable stands for
        self.extents: dict[Symbol, Extent] = {}
        self.used: set[Symbol] = set()
        self.device: dict[str, None] = {}
        self.variables = {"sum"}

    def _variable(self, base: str) -> str:
        name, count = base, 1
        while name in self.taken or name in self.names.names.values() or name in self.variables:
            count += 1
            name = f"{base}_{count}"
        self.variables.add(name)
        return name

    def own_names(self) -> set[str]:
        """Return the names that were given to indices and variables."""
        return self.names.given | self.variables

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
                lines.append(f"const {self.index} {', '.join(wanted)};")
        return lines

    def _text(self, e: Expr, above: int = CONDITION) -> str:
        for symbol in sorted(e.free_symbols, key=str):
            if isinstance(symbol, Symbol) and symbol.name in STEP_SYMBOLS and symbol.is_positive:
                device = STEP_SYMBOLS[symbol.name]
                self.device[device] = None
                self.names.names[symbol] = f"{device}[0]"
        guards = {g for guarded in e.atoms(Guarded) for g in guarded.guards}
        for guard in sorted(guards, key=sympy.default_sort_key):
            self._use(guard.args[0])
        body = e.xreplace({r: Symbol("_") for r in e.atoms(Indexed)})
        self._use(body)
        return self._printer().text(e, above)

    def _printer(self) -> KernelPrinter:
        return KernelPrinter(self._load, self.names.names, self.program.constants, self.number)

    def _integer(self, e: Expr) -> str:
        self._use(e)
        return CPrinter(self._load, self.names.names, {}).integer(e)

    def _use(self, e: Expr) -> None:
        for symbol in sorted(e.free_symbols, key=sympy.default_sort_key):
            if symbol in self.extents:
                self.used.add(symbol)
            elif symbol.is_Dummy and symbol not in self.names.names:
                self.names.of(symbol)

    def _memory(self, read: Indexed) -> str:
        return self.views.memory(read.base.label.name)

    def _own_indices(self, name: str) -> tuple[Expr, ...]:
        return tuple(i for i, _ in self.axes)

    def _load(self, read: Indexed) -> str:
        memory = self._memory(read)
        if memory in self.local and tuple(read.indices) == self._own_indices(memory):
            return self.local[memory]
        self.read[memory] = None
        place = self._place(read.base.label.name, tuple(read.indices))
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
            parts = [_scaled(flat, slope) for slope, flat in texts] + (
                [count_text(rest)] if rest != 0 else []
            )
            return " + ".join(parts) or "0"
        for e in subscripts:
            self._use(e)
        printer = CPrinter(self._load, self.names.names, {})
        return horner([printer.integer(sympy.expand(e)) for e in subscripts], shape)

    def _runs_fastest(self, body: Expr, axes: Axes, over: Axes) -> bool:
        """Whether the last axis takes smaller steps in memory than the last index that is reduced."""
        if not axes or not over:
            return False
        steps: dict[Symbol, float] = {}
        for read in body.atoms(Indexed):
            name = read.base.label.name
            if self._memory(read) in self.local or not read.indices:
                continue
            place = offset(tuple(read.indices), self.program.values[name].shape).subs(N, NOMINAL_BATCH)
            for index in (axes[-1][0], over[-1][0]):
                slope = abs(place.coeff(index))
                if slope.is_number and slope != 0:
                    steps[index] = min(steps.get(index, math.inf), float(slope))
        return steps.get(axes[-1][0], math.inf) < steps.get(over[-1][0], math.inf)


def element_of(program: Program, name: str) -> str:
    """Return the C type of a tensor's entries."""
    value = program.values[name]
    return (
        "int"
        if value.integer
        else c_type(value.truth or value.place, value.shape if value.kind == "local" else (1,))
    )


def c_type(truth: bool, shape: Shape) -> str:
    """Return the C type of a local tensor's entries: numbers without axes are doubles."""
    return "unsigned char" if truth else "double" if shape == () else "real"


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
        step *= size_of(extents[index])
    return (base, found) if base is not None else None


def _scaled(flat: str, slope: Expr) -> str:
    return flat if slope == 1 else f"{flat} * {count_text(slope)}"


def count_text(e: Expr) -> str:
    """Return a count as text: N * 900, N * N."""
    if e.is_Integer or e.is_Symbol:
        return str(e)
    coefficient, rest = e.as_coeff_Mul()
    texts = [
        str(base).replace("*", " * ") for base, power in rest.as_powers_dict().items() for _ in range(power)
    ]
    return " * ".join([*texts, *([str(coefficient)] if coefficient != 1 else [])])
