"""All errata of all topics: every topic is derived, and what it finds wrong on a slide is listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chainrule.derive.prose import _
from chainrule.lectures.model import Erratum, Steps, Topic
from chainrule.lectures.support.tensors import taken
from chainrule.present.tree import Leaf, Words


def errata(given: Mapping[str, str], topics: Iterable[Topic]) -> Topic:
    """Return the topic of the errata that other topics report, in the order of these."""
    taken("errata", given)
    steps = Steps()
    found: list[Erratum] = []
    for topic in topics:
        for count, erratum in enumerate(topic.errata, 1):
            found.append(erratum)
            named = topic.id if count == 1 else f"{topic.id} {count}"
            rule = _("{slide}. {shown}", slide=erratum.slide, shown=erratum.shown)
            steps.add(Leaf(rf"\text{{{topic.id}}}", topic.id), Words(erratum.right), rule, (), named, ":")
            steps.results[named] = erratum.right
    return steps.topic("errata", _("errata of the slides"), *found)
