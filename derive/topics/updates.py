"""Optimizers, learning-rate schedules and clipping: their update equations, as the library states them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from derive.library import OPTIMIZERS, SCHEDULES
from derive.present.sides import line
from derive.prose import _
from derive.topics.model import Steps, Topic
from derive.topics.tensors import taken
from derive.updates import update_equations


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
    for schedule in SCHEDULES:
        for words in ((), ("warmup",)):
            eta, *_rest = update_equations("sgd", 1, schedule, words)
            if eta.equation.name == "eta":
                title = "-".join((schedule, *words))
                steps.add(line(eta.equation, "index").left, eta.equation.right, eta.rule, (), title)
    return steps.topic(
        "schedules",
        _("learning-rate schedules"),
        _("k is the step, from 1, of K steps in all."),
        _("η is learning_rate, w warmup, γ decay_factor, s decay_every."),
    )


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
