"""What a layer declares: its fields in a spec and its forward equations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import sympy

from derive.index import Equation
from derive.spec.fields import Field


class ShapeError(ValueError):
    """A layer that cannot take its input; the message shows the arithmetic, ``remedy`` what to change."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True)
class Parameter:
    """A trained tensor: its local name, shape, role (``weight`` or ``bias``), fans, and starting values.

    ``initial`` is the text of an initializer or explicit nested lists.
    """

    name: str
    shape: tuple[int, ...]
    role: str
    fan_in: int
    fan_out: int
    initial: object


@dataclass(frozen=True)
class Forward:
    """The forward equations of a layer, from the tensor ``x`` to the last equation's output.

    Sizes are symbols, so that one derivation serves every width; ``sizes`` gives their values.
    """

    equations: tuple[Equation, ...]
    sizes: Mapping[sympy.Symbol, int]
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True)
class LayerType:
    """A kind of layer.

    ``forward(shape, options)`` takes the shape of one input sample and the checked options, and raises
    ShapeError.  An input of higher rank than ``input_rank`` is flattened first (None: any rank goes).
    """

    name: str
    description: str
    forward: Callable[[tuple[int, ...], Mapping[str, object]], Forward]
    fields: tuple[Field, ...] = field(default=())
    input_rank: int | None = None
