"""Update equations: the learning rate of a step, the clipping of its gradient, the optimizer's own rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sympy
from sympy import Expr, Symbol, sqrt

from chainrule.derive.index import Equation, Sum, access, index, tensor
from chainrule.derive.library import CLIPPING, OPTIMIZERS, SCHEDULES, WARMUP, WEIGHT_DECAY
from chainrule.derive.prose import _, listed
from chainrule.formula import parse_formula


@dataclass(frozen=True)
class Update:
    """An update equation and where it comes from: a schedule, clipping, weight decay or the optimizer."""

    equation: Equation
    rule: str


def update_equations(
    optimizer: str, count: int, schedule: str = "constant", given: Collection[str] = ()
) -> list[Update]:
    """Return the update equations over the flat vector of all parameters, in order.

    ``given`` names the hyper-parameters that the spec sets; those that stand around any optimizer (warmup,
    clip_norm, weight_decay) bring their equations.  What is one number for all parameters (the rate eta, the
    norm, the factor kappa) is a symbol in the equations after its own.
    """
    own, plan = OPTIMIZERS[optimizer], SCHEDULES[schedule]
    i, size = index("i"), sympy.Integer(count)
    updates: list[Update] = []
    symbols: dict[str, Expr] = {
        name: Symbol(name, positive=True)
        for name in (*(f.name for f in (*own.fields, *plan.fields)), "warmup", "clip_norm", "weight_decay")
    }
    symbols |= {name: Symbol(name, integer=True, positive=True) for name in ("k", "K")}
    for name in {left for left, _right in own.update} | {"theta", "g"}:
        symbols[name] = tensor(name, size)[i]

    def scalar(name: str, value: Expr, rule: str) -> Symbol:
        updates.append(Update(Equation(access(tensor(name)), value), rule))
        return Symbol(name, positive=True)

    warmup = f" * {WARMUP}" if "warmup" in given else ""
    if warmup or schedule != "constant":
        rate = parse_formula(plan.rate + warmup, symbols)
        rate_rule = listed(schedule, *([_("warm-up")] if warmup else []))
        symbols["learning_rate"] = scalar("eta", rate, _("learning rate of the step: {rule}", rule=rate_rule))
    if "clip_norm" in given:
        g = symbols["g"]
        symbols["norm"] = scalar("norm", sqrt(Sum(g * g, (i, size))), _("norm of the whole gradient"))
        factor = parse_formula(CLIPPING, symbols)
        symbols["g"] = scalar("kappa", factor, _("clipping: the gradient is no longer than c")) * g
    rows = [(own.update, optimizer)]
    if "weight_decay" in given:
        rows.insert(0, (WEIGHT_DECAY, _("weight decay")))
    for table, rule in rows:
        for name, text in table:
            left = tensor(name, size)[i]
            updates.append(Update(Equation(left, parse_formula(text, symbols)), rule))
    return updates
