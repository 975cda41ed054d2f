"""The first network for MNIST: its equations, and how many weights and biases it has."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

from chainrule.derive.deriving import derive_network
from chainrule.derive.prose import _
from chainrule.lectures.model import Erratum, Steps, Topic, TopicError
from chainrule.lectures.support.networks import network_equations
from chainrule.lectures.support.tensors import taken, whole
from chainrule.present.tree import Bars, Leaf, Node, Plus, Ref, Related, Times
from chainrule.spec import parse_spec

MOST_LAYERS: Final = 8
MOST_UNITS: Final = 100_000


def mnist_mlp(given: Mapping[str, str]) -> Topic:
    """Derive the equations of 784-16-16-10 (or other widths) and count its parameters."""
    found = taken("mnist-mlp", given, layers=1)
    widths = [whole("layers", value, 1) for value in found.get("layers", (784, 16, 16, 10))]
    if not 2 <= len(widths) <= MOST_LAYERS or max(widths) > MOST_UNITS or widths[-1] < 2:
        raise TopicError(
            f"mnist-mlp: layers are 2 to {MOST_LAYERS} widths of at most {MOST_UNITS:,} units, the last "
            "at least 2, as in layers=784,16,16,10"
        )
    derivation = derive_network(parse_spec(_mlp(widths), "mnist_mlp.toml"))
    steps = Steps()
    network_equations(steps, derivation)
    steps.heading(_("Parameters"))
    parameters = derivation.network.parameters
    counts: dict[str, list[tuple[int, int]]] = {"weight": [], "bias": []}
    for parameter in parameters:
        rule = {
            "weight": _("weights: units × inputs of the layer"),
            "bias": _("biases: one for each unit"),
        }[parameter.role]
        product = Times(tuple(part for e in parameter.shape for part in (Leaf(r"\cdot", "·"), _whole(e)))[1:])
        shown = (
            Related("=", product, _whole(parameter.count))
            if len(parameter.shape) > 1
            else _whole(parameter.count)
        )
        number = steps.add(Bars(Ref(parameter.name)), shown, rule)
        counts[parameter.role].append((parameter.count, number))
    totals = {}
    for role, rule in (("weight", _("all weights")), ("bias", _("all biases"))):
        values = [value for value, _number in counts[role]]
        totals[role] = sum(values)
        terms = Plus(tuple((False, _whole(value)) for value in values))
        letter = {"weight": "W", "bias": "b"}[role]
        steps.add(
            Bars(Leaf(letter, letter)),
            Related("=", terms, _whole(totals[role])) if len(values) > 1 else _whole(totals[role]),
            rule,
            tuple(number for _value, number in counts[role]),
        )
        steps.results[{"weight": "weights", "bias": "biases"}[role]] = str(totals[role])
    last = len(steps.entries)
    both = Plus(tuple((False, _whole(value)) for value in totals.values()))
    count = derivation.network.parameter_count
    steps.add(
        Bars(Leaf(r"\theta", "θ")), Related("=", both, _whole(count)), _("all parameters"), (last - 1, last)
    )
    steps.results["parameters"] = str(count)
    notes: list[str | Erratum] = [
        _("|W| is how many numbers W holds; T is the target, 1 at the class and 0 elsewhere.")
    ]
    if not given:
        notes.append(
            Erratum(
                _("a slide calls all {count} parameters weights", count=f"{count:,}"),
                _(
                    "{weights} weights and {biases} biases",
                    weights=f"{totals['weight']:,}",
                    biases=totals["bias"],
                ),
                _(
                    "{products} = {weights}; the layers of {units} units have {biases} biases more.",
                    products=" + ".join(f"{a}·{b}" for a, b in itertools.pairwise(widths)),
                    weights=f"{totals['weight']:,}",
                    units=", ".join(map(str, widths[1:])),
                    biases=totals["bias"],
                ),
            )
        )
    return steps.topic("mnist-mlp", _("the first network for MNIST: its equations and parameters"), *notes)


def _whole(value: int) -> Node:
    return Leaf(f"{value:,}".replace(",", "{,}"), f"{value:,}")


def _mlp(widths: Sequence[int]) -> str:
    """Return the spec of dense sigmoid layers of these widths with softmax at the end."""
    layers = [
        f'[[layers]]\ntype = "dense"\nunits = {units}\nactivation = "{"softmax" if last else "sigmoid"}"'
        for units, last in zip(widths[1:], [False] * (len(widths) - 2) + [True], strict=True)
    ]
    return "\n".join(
        (
            'spec_version = 1\nname = "mnist_mlp"\n[input]',
            f"shape = [{widths[0]}]",
            *layers,
            '[loss]\ntype = "cross_entropy"\n[optimizer]\ntype = "sgd"',
        )
    )


TOPICS = {"mnist-mlp": mnist_mlp}
