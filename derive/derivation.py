"""A derivation: what was derived, whoever reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsIndex

from chainrule.derive.shown import LaidOut, ShownPage, display

if TYPE_CHECKING:
    from chainrule.derive.network import Network
    from chainrule.derive.numbering import NumberedEquation


@dataclass(frozen=True)
class Derivation(ShownPage):
    """All equations that training a network needs, in the order in which they are computed.

    >>> from chainrule import derivation
    >>> gate = derivation("examples/or.toml")
    >>> print(gate.equation(5).text("matrix"))
    δ1 = (a1 − t) ⊙ a1 ⊙ (1 − a1)/N
    >>> [e.name for e in gate.role("forward")]
    ['a0', 'z1', 'a1']
    >>> gate.page(form="matrix", steps=True).notes
    ()

    In a notebook a derivation shows all of its equations.
    """

    network: Network
    equations: tuple[NumberedEquation, ...]

    def role(self, *roles: str) -> tuple[NumberedEquation, ...]:
        return tuple(e for e in self.equations if e.role in roles)

    def forward(self, mode: str) -> tuple[NumberedEquation, ...]:
        """Return the forward equations that are computed in a mode, training or evaluation, in order."""
        return tuple(e for e in self.role("forward") if e.mode in ("both", mode))

    def equation(self, number: int) -> NumberedEquation:
        """Return the equation of that number, from 1.

        Raises IndexError for a number that none has, TypeError for what is no number.
        """
        if not isinstance(number, SupportsIndex):
            raise TypeError(f"no equation ({number!r}): they are numbered 1 to {len(self.equations)}")
        if not 1 <= number <= len(self.equations):
            raise IndexError(f"no equation ({number}): they are numbered 1 to {len(self.equations)}")
        return self.equations[number - 1]

    def page(self, form: str = "index", steps: bool = False) -> LaidOut:
        """Return the equations laid out, in a form: index or matrix; with ``steps`` each has its reason.

        The page displays itself, in the language and notation of whoever reads it then.
        """
        return display().page_of(self, form, steps)

    def __repr__(self) -> str:
        return f"<derivation of {self.network.spec.name}: {len(self.equations)} equations>"
