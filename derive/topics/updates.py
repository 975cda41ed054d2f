"""Optimizers: their update equations, as the library states them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from derive.library import OPTIMIZERS
from derive.present.sides import line
from derive.topics.model import Steps, Topic, TopicError
from derive.updates import update_equations


def _topic(name: str) -> Callable[[Mapping[str, str]], Topic]:
    def derive(given: Mapping[str, str]) -> Topic:
        if given:
            raise TopicError(f"{name} takes no givens")
        steps = Steps()
        optimizer = OPTIMIZERS[name]
        before: tuple[int, ...] = ()
        for equation in (update.equation for update in update_equations(name, 1)):
            shown = line(equation, "index")
            rule = "step" if equation.name == "theta" else "state, 0 before the first step"
            number = steps.add(shown.left, equation.right, rule, before, equation.name, shown.relation)
            before = (*before, number)
        defaults = ", ".join(f"{f.name} {f.default}" for f in optimizer.fields)
        return steps.topic(name, name, f"g is the gradient; defaults: {defaults}.")

    return derive


TOPICS = {name: _topic(name) for name in ("momentum", "adagrad", "rmsprop", "adam")}
