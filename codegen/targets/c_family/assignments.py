"""The steps of a kernel's element: lines that compute values, keep them in variables, store them."""

from __future__ import annotations

from collections.abc import Sequence

import sympy
from sympy import Indexed, Symbol

from chainrule.codegen.ir.box import bounds
from chainrule.codegen.ir.program import Extent
from chainrule.codegen.ir.scalar import COMPARE, CannotPrint
from chainrule.codegen.kernels.work import Assignment, GroupReduction, Picking, Product
from chainrule.codegen.targets.c_family.addresses import Addresses, c_type
from chainrule.codegen.targets.c_family.expressions import ScalarCPrinter


class Assignments(Addresses):
    """Prints steps."""

    def _store(self, work: GroupReduction | Picking | Product, part: str | None) -> list[str]:
        """Return the lines that take a group's sum: to memory, and into the steps that follow."""
        value = self.program.values[work.out]
        lines: list[str] = []
        indices = tuple(i for i, _ in work.axes)
        if part is not None:
            number = Symbol(part, integer=True)
            self.flat.append(((number,), part))
            self.extents[number] = 1 if isinstance(work, Picking) else work.parts
            self.names.names[number] = part
            place = self._place(work.out, (number, *indices))
            self.written[work.out] = None
            lines.append(f"{value.identifier}[{place}] = sum;")
            return [*self._decode(), *lines]
        remark = f"  // ({work.equation})"
        if not work.steps or work.out in self._reads(work.steps):
            self.local[work.out] = "sum"
        if self._is_kept(work.out) and not any(s.out == work.out for s in work.steps):
            self.written[work.out] = None
            lines.append(f"{value.identifier}[{self._place(work.out, indices)}] = sum;{remark}")
        lines += self._steps(work.steps)
        return [*self._decode(), *lines]

    def _reads(self, steps: Sequence[Assignment]) -> set[str]:
        return {self._memory(r) for s in steps for r in s.body.atoms(Indexed)}

    def _steps(self, steps: Sequence[Assignment]) -> list[str]:
        lines: list[str] = []
        last = {step.out: position for position, step in enumerate(steps)}
        read = {name: position for position, s in enumerate(steps) for name in self._reads([s])}
        for position, step in enumerate(steps):
            value = self.program.values[step.out]
            read_later = read.get(step.out, position) > position
            stored = self._is_kept(step.out) and last[step.out] == position
            text, before = self._value(step)
            lines += before
            number = f"  // ({step.equation})"
            element = c_type(value.truth or value.place, value.shape)
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

    def _value(self, step: Assignment) -> tuple[str, list[str]]:
        """Return the text of a step's value, and the lines that compute it before."""
        if not step.operation and not step.body.has(Indexed) and not self.program.values[step.out].shape:
            self._text(step.body)
            printer = ScalarCPrinter(self.names.names, self.program.constants, self.number)
            return printer.text(step.body), []
        if not step.operation:
            return self._text(step.body), []
        if step.operation == "first":
            return self._first(step)
        if step.operation == "place":
            return self._numbered(step)
        for index, _ in step.over:
            self.used.discard(index)
        name = self._variable("total" if step.operation == "sum" else "greatest")
        start = "real(0)" if step.operation == "sum" else "real(-1) / real(0)"
        lines = [f"real {name} = {start};"]
        indent = ""
        alone, conditions = self._single(step)
        for index, extent in step.over:
            if index in alone:
                continue
            variable = self.names.of(index)
            lines.append(f"{indent}{self._small_loop(variable, extent)}")
            indent += "    "
        for quotient in step.quotients:
            if quotient.index in alone:
                continue
            shown = _grouped(self._integer(quotient.numerator))
            divisor = quotient.divisor
            if divisor > 1:
                conditions.append(f"{shown} % {divisor} == 0")
            at = f"{shown} / {divisor}" if divisor > 1 else self._integer(quotient.numerator)
            self.names.names[quotient.index] = _grouped(at)
            conditions.append(f"inside({at}, {quotient.extent})")
        text = self._text(step.body)
        if not indent and not conditions:
            self.variables.discard(name)
            return text, []
        if conditions:
            lines.append(f"{indent}if ({' && '.join(conditions)})")
            indent += "    "
        joined = f"{name} += {text};" if step.operation == "sum" else f"{name} = maximum({name}, {text});"
        lines.append(f"{indent}{joined}")
        return name, lines

    def _single(self, step: Assignment) -> tuple[set[Symbol], list[str]]:
        """Name the indices of a sum over windows that do not overlap; return them, and what must hold.

        What is divided by a window's length has one place in it: (p − r) / n is whole for r = p mod n.
        """
        alone: set[Symbol] = set()
        conditions = []
        for quotient in step.quotients:
            inside = [i for i, extent in step.over if extent == quotient.divisor and i not in alone]
            for index in inside:
                place = sympy.expand(quotient.numerator + index)
                reach = bounds(place, self.extents)
                if place.free_symbols & {i for i, _ in step.over} or reach is None or reach[0] < 0:
                    continue
                shown = _grouped(self._integer(place))
                self.names.names[index] = f"({shown} % {quotient.divisor})"
                self.names.names[quotient.index] = f"({shown} / {quotient.divisor})"
                if reach[1] >= quotient.divisor * quotient.extent:
                    conditions.append(f"{shown} / {quotient.divisor} < {quotient.extent}")
                alone |= {index, quotient.index}
                break
        return alone, conditions

    def _first(self, step: Assignment) -> tuple[str, list[str]]:
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
            lines.append(f"{indent}{self._small_loop(variable, extent)}")
            indent += "    "
            order = f"{f'({order})' if ' ' in order else order} * {extent} + {own}" if order else own
            before = (
                f"{f'({before})' if ' ' in before else before} * {extent} + {variable}"
                if before
                else variable
            )
        other = self._text(step.body.xreplace(earlier), COMPARE + 1)
        lines += [f"{indent}{name} &= !(({before} < {order})", f"{indent}    & ({other} == {best}));"]
        return name, lines

    def _small_loop(self, variable: str, extent: Extent, down: bool = False) -> str:
        """Return the head of a loop over a window, or over what a step reduces, from its end if ``down``."""
        if down:
            return f"for (int {variable} = {int(extent) - 1}; {variable} >= 0; --{variable})"
        return f"for (int {variable} = 0; {variable} < {extent}; ++{variable})"

    def _numbered(self, step: Assignment) -> tuple[str, list[str]]:
        """The number of the first place in the window that has the greatest."""
        if step.best is None:
            raise CannotPrint(f"{step.out}: the greatest of what?")
        best, name = self._variable("best"), self._variable("place")
        lines = [f"const real {best} = {self._text(step.best)};", f"unsigned char {name} = 0;"]
        number, indent = "", ""
        for index, extent in step.over:  # from the last place to the first
            self.used.discard(index)
            variable = self.names.of(index)
            lines.append(f"{indent}{self._small_loop(variable, extent, down=True)}")
            indent += "    "
            before = f"({number})" if " " in number else number
            number = f"{before} * {extent} + {variable}" if number else variable
        entry = self._text(step.body, COMPARE + 1)
        return name, [*lines, f"{indent}if ({entry} == {best}) {name} = (unsigned char)({number});"]

    def _is_kept(self, name: str) -> bool:
        return name in self.kept


def _grouped(text: str) -> str:
    return f"({text})" if " " in text else text
