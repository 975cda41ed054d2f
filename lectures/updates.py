"""Optimizers, learning-rate schedules and clipping: their update equations, as the library states them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sympy
from sympy import Expr

from chainrule.derive.library import OPTIMIZERS, SCHEDULES
from chainrule.derive.prose import _
from chainrule.derive.updates import update_equations
from chainrule.lectures.model import Steps, Topic
from chainrule.lectures.plot import Curve, Plot
from chainrule.lectures.support.tensors import taken
from chainrule.present.sides import line


def _optimizer(name: str) -> Callable[[Mapping[str, str]], Topic]:
    def derive(given: Mapping[str, str]) -> Topic:
        taken(name, given)
        steps = Steps()
        before: tuple[int, ...] = ()
        for update in update_equations(name, 1):
            shown = line(update.equation, "index")
            own = update.equation.name
            rule = _("step") if own == "theta" else _("state, 0 before the first step")
            number = steps.add(shown.left, update.equation.right, rule, before, own, shown.relation)
            before = (*before, number)
        defaults = ", ".join(f"{f.name} {f.default}" for f in OPTIMIZERS[name].fields)
        return steps.topic(name, name, _("g is the gradient; defaults: {defaults}.", defaults=defaults))

    return derive


def _schedules(given: Mapping[str, str]) -> Topic:
    taken("schedules", given)
    steps = Steps()
    curves: list[Curve] = []
    for schedule in SCHEDULES:
        for words in ((), ("warmup",)):
            eta, *_rest = update_equations("sgd", 1, schedule, words)
            if eta.equation.name == "eta":
                title = "-".join((schedule, *words))
                steps.add(line(eta.equation, "index").left, eta.equation.right, eta.rule, (), title)
                if words:
                    curves.append(_rate_curve(schedule, eta.equation.right))
    steps.plots.append(
        Plot(_("Learning rates with warm-up, 100 steps"), "k", "η", tuple(curves), (1.0, 100.0))
    )
    return steps.topic(
        "schedules",
        _("learning-rate schedules"),
        _("k is the step, from 1, of K steps in all."),
        _("η is learning_rate, w warmup, γ decay_factor, s decay_every."),
    )


def _rate_curve(title: str, rate: Expr) -> Curve:
    """Return a schedule of 100 steps with learning_rate 0.1, warmup 10, half of it again every 25 steps."""
    values = {"learning_rate": 0.1, "K": 100, "warmup": 10, "decay_factor": 0.5, "decay_every": 25}
    known = {s: sympy.nsimplify(values[s.name]) for s in rate.free_symbols if s.name in values}
    (k,) = (s for s in rate.free_symbols if s.name == "k")
    return Curve(title, rate.xreplace(known), k)


def _clipping(given: Mapping[str, str]) -> Topic:
    taken("clipping", given)
    steps = Steps()
    before: tuple[int, ...] = ()
    for update in update_equations("sgd", 2, given=("clip_norm",)):
        shown = line(update.equation, "index")
        name = update.equation.name
        number = steps.add(shown.left, update.equation.right, update.rule, before, name, shown.relation)
        before = (*before, number)
    return steps.topic(
        "clipping", _("clipping by the norm"), _("g is the gradient of all parameters, c is clip_norm.")
    )


TOPICS = {name: _optimizer(name) for name in ("momentum", "adagrad", "rmsprop", "adam")}
TOPICS |= {"schedules": _schedules, "clipping": _clipping}
