"""What a layer declares: its fields in a spec and its forward equations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import sympy
from sympy import Expr, IndexedBase, Rational, Symbol

from chainrule.derive.fields import Field
from chainrule.derive.index import Equation, index, size
from chainrule.derive.library import VALUES

FEATURE_NAMES = {1: ("k",), 2: ("i", "k"), 3: ("i", "j", "k"), 4: ("i", "j", "l", "k")}


class ShapeError(ValueError):
    """A layer that cannot take its input; the message shows the arithmetic, ``remedy`` what to change."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True)
class Parameter:
    """A tensor that is kept from step to step: its local name, shape, role, fans, and starting values.

    The role is ``weight``, ``bias``, ``scale`` (of a normalization), or ``statistic``: not trained.
    ``initial`` is the text of an initializer or explicit nested lists.
    """

    name: str
    shape: tuple[int, ...]
    role: str
    fan_in: int
    fan_out: int
    initial: object


@dataclass(frozen=True)
class Noise:
    """Independent random values of the tensor ``base``, drawn anew each step: 1 with ``probability``, else 0.

    The tensor has a row for every sample; its sizes and the constants are those of the layer.
    """

    base: IndexedBase
    probability: Expr


@dataclass(frozen=True)
class Forward:
    """The forward equations of a layer, from the tensor ``x`` to the last equation's output.

    Sizes are symbols, so that one derivation serves every width; ``sizes`` gives their values, ``constants``
    those of other symbols.

    A layer that is another function once training is over has its equations in ``evaluation`` (None: the
    same), with the same output.  ``statistics`` are tensors that a training step changes by the equations
    ``running`` instead of by a gradient; these read what ``equations`` define.  ``noise`` is what is random.
    """

    equations: tuple[Equation, ...]
    sizes: Mapping[sympy.Symbol, int]
    parameters: tuple[Parameter, ...] = ()
    evaluation: tuple[Equation, ...] | None = None
    statistics: tuple[Parameter, ...] = ()
    running: tuple[Equation, ...] = ()
    noise: tuple[Noise, ...] = ()
    constants: Mapping[sympy.Symbol, Rational] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerType:
    """A kind of layer.

    ``forward(shape, options)`` takes the shape of one input sample and the checked options, and raises
    ShapeError.  ``input_rank`` is how many axes a sample has (None: any number); for one, more are flattened.

    ``gives`` says what its outputs are, as of a formula in ``derive.library``; what ``moves_only`` puts its
    inputs elsewhere.  ``as_activation``: its name may stand as the activation of a layer.  ``known_as`` are
    other people's names for it.
    """

    name: str
    description: str
    forward: Callable[[tuple[int, ...], Mapping[str, object]], Forward]
    fields: tuple[Field, ...] = field(default=())
    input_rank: int | None = None
    gives: str = VALUES
    moves_only: bool = False
    as_activation: bool = False
    known_as: tuple[str, ...] = ()


def features(rank: int) -> tuple[tuple[Symbol, ...], tuple[Symbol, ...]]:
    """Return indices and symbolic sizes of the axes of one sample."""
    names = FEATURE_NAMES.get(rank, tuple(f"i{axis}" for axis in range(1, rank + 1)))
    return tuple(index(name) for name in names), tuple(size(f"D{axis}") for axis in range(1, rank + 1))
