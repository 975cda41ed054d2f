"""Write the forward formula; everything else is derived.

From Python or a notebook, ``derivation`` gives the equations of a network and ``topic`` what the lectures
derive; both, and each equation, display themselves in Jupyter and print as text:

>>> from chainrule import derivation, topic
>>> xor = derivation("examples/xor_backprop.toml")
>>> print(xor.equation(9))
(9) δ1[n,j] = (Σₖ W2[k,j] δ2[n,k]) a1[n,j] (1 − a1[n,j])
>>> xor.equation(9).text("matrix")
'δ1 = (W2ᵀ δ2) ⊙ a1 ⊙ (1 − a1)'
>>> topic("mse-minimum").results["w"]
'55/31'

A reader's choices hold inside a block; in a notebook, ``display`` what is to be shown in it:

>>> with reading(Reader(language="ko")):
...     page = str(topic("softmax"))

Importing this package imports neither SymPy nor NumPy; the first derivation does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from chainrule.derive.reader import Reader, reading
from chainrule.derive.shown import Display, shown_by

if TYPE_CHECKING:
    from pathlib import Path

    from chainrule.derive.deriving import Derivation
    from chainrule.lectures.model import Topic

__all__ = ["Reader", "derivation", "reading", "topic"]


def _display() -> Display:
    from chainrule.present import display

    return display


shown_by(_display)  # whatever was derived, and however it was obtained, shows itself


def derivation(source: str | Path) -> Derivation:
    """Return the derivation of the network in a spec file, or in the text of one (of more than a line).

    >>> derivation("examples/or.toml")
    <derivation of or_gate: 9 equations>
    >>> derivation("examples/or.toml").equation(3).equation.name
    'a1'

    Raises SpecError, whose text names every mistake with its line, also for a file that is missing;
    CannotDifferentiate where no gradient passes.

    >>> derivation("no.toml")
    Traceback (most recent call last):
    chainrule.spec.problems.SpecError: no.toml:1:1: E001 cannot read no.toml: No such file or directory
    """
    from chainrule.derive.deriving import derive_network
    from chainrule.spec import load_spec, parse_spec

    if isinstance(source, str) and "\n" in source:
        return derive_network(parse_spec(source, "spec.toml"))
    return derive_network(load_spec(source))


def topic(id: str, given: Mapping[str, str] | Sequence[str] = ()) -> Topic:
    """Return what the lectures derive under a name; ``chainrule.lectures.TOPICS`` has all.

    ``given`` replaces the numbers of a worked example, as ``--given`` does.

    >>> topic("mse-minimum", given={"y": "2*w, w", "t": "1, 0"}).results["w"]
    '2/5'

    Raises ValueError for a name that is no topic and for givens that the topic cannot take.

    >>> topic("sigmod")
    Traceback (most recent call last):
    ValueError: 'sigmod' is no topic. Did you mean sigmoid?
    """
    from chainrule.lectures import TOPICS
    from chainrule.lectures import topic as derived

    if id not in TOPICS:
        import difflib

        near = ", ".join(difflib.get_close_matches(id, TOPICS, n=3))
        raise ValueError(f"{id!r} is no topic." + (f" Did you mean {near}?" if near else ""))
    items = [f"{name}={text}" for name, text in given.items()] if isinstance(given, Mapping) else given
    return derived(id, items)
