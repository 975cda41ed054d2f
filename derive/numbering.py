"""Numbered equations, and the book in which a derivation writes them down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from chainrule.derive.index import Equation, plain_name
from chainrule.derive.prose import Listed, listed
from chainrule.derive.shown import Shown, display


@dataclass(frozen=True)
class NumberedEquation(Shown):
    """An equation of the derivation.

    ``equation`` is the textbook form, ``computed`` the same in the form that programs compute.  ``role`` is
    definition, forward, loss, backward or update; ``because`` the numbers of the equations it follows from,
    what was differentiated first, and ``rule`` how.  ``mode`` is training or evaluation where the two differ,
    else both.  ``shown_only`` marks a step of the derivation that programs leave out: a later equation gives
    its result at once.

    >>> from chainrule import derivation
    >>> found = derivation("examples/or.toml").equation(2)
    >>> print(found)
    (2) z1[n,k] = Σⱼ W1[k,j] a0[n,j] + b1[k]
    >>> found.latex("matrix")
    'z^{(1)} = W^{(1)} a^{(0)} + b^{(1)}'

    In a notebook an equation is set with its number.
    """

    number: int
    role: str
    equation: Equation
    computed: Equation
    because: tuple[int, ...]
    rule: Listed
    mode: str = "both"
    shown_only: bool = False

    @property
    def symbol(self) -> str:
        """The name of the tensor that the equation defines."""
        return self.equation.name

    @property
    def name(self) -> str:
        """The same in letters and digits: dW1 for the cotangent of W1."""
        return plain_name(self.symbol)

    def text(self, form: str = "index") -> str:
        """Return the equation as text, in a form: index or matrix.  Raises ValueError for another."""
        return display().equation_text(self, form)

    def latex(self, form: str = "index") -> str:
        """Return the equation in LaTeX, without dollar signs, in a form.  Raises ValueError."""
        return display().equation_latex(self, form)

    def __repr__(self) -> str:
        return f"<equation {self}>"

    def _repr_latex_(self) -> str:
        return display().latex_of(self)


@dataclass
class Book:
    """The equations found so far.

    ``number_of`` gives the number of the equation that defines a tensor (in training), ``evaluated`` that of
    the one that gives the same tensor in evaluation.
    """

    equations: list[NumberedEquation] = field(default_factory=list)
    number_of: dict[str, int] = field(default_factory=dict)
    evaluated: dict[int, int] = field(default_factory=dict)

    def add(
        self,
        role: str,
        equation: Equation,
        computed: Equation,
        because: Iterable[int],
        rule: str,
        mode: str = "both",
        shown_only: bool = False,
    ) -> int:
        """Write down an equation; returns its number."""
        number = len(self.equations) + 1
        numbers = tuple(dict.fromkeys(because))
        self.equations.append(
            NumberedEquation(number, role, equation, computed, numbers, listed(rule), mode, shown_only)
        )
        if mode == "evaluation" and equation.name in self.number_of:
            self.evaluated[self.number_of[equation.name]] = number
        self.number_of.setdefault(equation.name, number)
        return number

    def reads(self, equation: Equation, mode: str = "both") -> list[int]:
        """Return the numbers of the equations that define what an equation reads in a mode, in order."""
        numbers = [self.number_of[name] for name in equation.read if name in self.number_of]
        return sorted(self.evaluated.get(n, n) for n in numbers) if mode == "evaluation" else sorted(numbers)
