"""Forward templates and their cotangents in the best form, found once for all the places where they occur."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from chainrule.derive.accurate import accurate, is_sound
from chainrule.derive.differentiate import STEPS, CannotDifferentiate, vjp
from chainrule.derive.index import Equation, accesses, canonical_sums
from chainrule.derive.prose import _, listed
from chainrule.derive.rewrites import stable
from chainrule.derive.simplify import through_output, tidy


class NoGradient(CannotDifferentiate):
    """A derivative that is 0 wherever there is one: nothing before it would train."""


BOUND = ("k", "j", "i", "m", "l")
STEPS_ARE_FLAT = _("a step has derivative 0 wherever it has one")
NO_GRADIENT = _("0 wherever there is a derivative: no gradient passes")


@dataclass(frozen=True)
class Adjoint:
    """A cotangent as an equation of template names, and how it was found."""

    equation: Equation
    rule: str


@lru_cache(maxsize=1024)
def adjoint(template: Equation, name: str) -> Adjoint:
    """Return the cotangent of a tensor that a template reads, in its best form.

    Raises CannotDifferentiate; NoGradient where the derivative is zero everywhere.
    """
    raw = vjp(template, name)
    if raw.right == 0:
        raise NoGradient(flat(name), equation=template)
    steps = (
        [STEPS_ARE_FLAT]
        if any(accesses(e, template.reads()[name]) for e in template.right.atoms(*STEPS))
        else []
    )
    found = through_output(template, raw)
    if found is not None and found.right != raw.right and is_sound(template, raw.right, found.right):
        return Adjoint(named(found), listed(_("derivative through the output"), *steps))
    right, used = stable(raw.right)
    right, more = stable(tidy(right))
    return Adjoint(named(Equation(raw.left, right)), listed(_("chain rule"), *steps, *used, *more))


def flat(name: str) -> str:
    """Return why no gradient passes to what an equation reads under that name."""
    return (
        f"the derivative with respect to {name} is 0 everywhere, so no gradient passes; "
        "a step may stand only where nothing before it is trained"
    )


@lru_cache(maxsize=1024)
def computed(template: Equation) -> tuple[Equation, tuple[str, ...]]:
    """Return a forward template in its stable form, with the rewrites that gave it."""
    right, used = stable(template.right)
    form, more = accurate(Equation(template.left, right))
    found = named(form)
    return template if found == template else found, (*used, *more)


def named(equation: Equation) -> Equation:
    """Return an equation with the usual names of bound indices."""
    return Equation(equation.left, canonical_sums(equation.right, BOUND, equation.free))
