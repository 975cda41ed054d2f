"""All errata of all topics: every topic is derived, and what it finds wrong on a slide is listed."""

from __future__ import annotations

from collections.abc import Mapping

from chainrule.derive.prose import _
from chainrule.lectures import TOPICS as ALL
from chainrule.lectures import topic
from chainrule.lectures.model import Erratum, Steps, Topic
from chainrule.lectures.support.tensors import taken
from chainrule.present.tree import Leaf, Words


def errata(given: Mapping[str, str]) -> Topic:
    """Derive every other topic, and list the errata that they report, in the order of the topics."""
    taken("errata", given)
    steps = Steps()
    found: list[Erratum] = []
    for id in ALL:
        if id == "errata":
            continue
        for count, erratum in enumerate(topic(id).errata, 1):
            found.append(erratum)
            named = id if count == 1 else f"{id} {count}"
            rule = _("{slide}. {shown}", slide=erratum.slide, shown=erratum.shown)
            steps.add(Leaf(rf"\text{{{id}}}", id), Words(erratum.right), rule, (), named, ":")
            steps.results[named] = erratum.right
    return steps.topic("errata", _("errata of the slides"), *found)


TOPICS = {"errata": errata}
