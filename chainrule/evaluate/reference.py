"""A network's own equations, evaluated apart from its program: what a gradient check takes its loss from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_forward
from chainrule.derive.index import Equation, name_of
from chainrule.derive.invariance import without_gradient
from chainrule.derive.model import Spec
from chainrule.derive.network import N, build_network
from chainrule.evaluate.axes import operations
from chainrule.evaluate.reach import reached
from chainrule.evaluate.vectorized import Equations

Array = NDArray[Any]
Draw = Callable[[int, float, tuple[int, ...]], Array]  # number of the mask, probability of 1, shape
AFFORDED = 10_000_000  # operations of one loss, of which differences take some hundreds a tensor
COMPARED = 600_000_000  # operations of one loss, to compare it with the program's
RESOLVED = 1e-9  # a value is taken of the equations as written, where rounding leaves it so exact
ROUNDING = 1 / 16  # of what float64 makes of a value: far more than wider floats do
INPUT, TARGET = "x", "t"


class NumericReference:
    """The equations of a spec's network: as written, and as programs compute them where those overflow.

    ``zero`` names the parameters, and x, of which the gradient is 0 by derivation.
    """

    def __init__(self, spec: Spec) -> None:
        self.network = build_network(spec)
        self.derivation = derive_forward(self.network)
        self.zero = without_gradient(self.network)
        self._forms: dict[Any, Equations] = {}

    def affords(self, batch: int) -> bool:
        """Whether the loss of a batch takes so few operations that differences can be taken of it."""
        return self._operations * batch <= AFFORDED

    def compares(self, batch: int) -> bool:
        """Whether the loss of a batch can be evaluated once or twice."""
        return self._operations * batch <= COMPARED

    def at(self, parameters: Mapping[str, Array], x: Array, t: Array, draw: Draw) -> PointReference:
        """Return the equations at a point, in the float type of ``x``, with masks that ``draw`` gives."""
        tensors = {**parameters, INPUT: x}
        masks = {
            mask.name: draw(number, float(mask.probability), (len(x), *mask.shape))
            for number, mask in enumerate(self.network.noise)
        }
        with np.errstate(all="ignore"):
            return PointReference(self, tensors, {**tensors, **masks, TARGET: t, "N": len(x)})

    def reached(self, name: str, batch: int) -> Array:
        """Return which values of a tensor may matter to the loss, by their places alone."""
        mask = self._reached[name]
        return np.repeat(mask, batch, axis=0) if name == INPUT else mask

    def terms(self, written: bool) -> set[str]:
        """Return the tensors that the loss is written in."""
        entries = self.derivation.role("loss")
        return {name for entry in entries for name in (entry.equation if written else entry.computed).reads()}

    def form(self, mode: str, written: bool, real: Any) -> Equations:
        """Return the equations of a mode, training or evaluation: as written, or as programs compute them."""
        key = mode, written, real
        if key not in self._forms:
            self._forms[key] = Equations(_listed(self.derivation, mode, written), real)
        return self._forms[key]

    @cached_property
    def _operations(self) -> int:
        return sum(operations(e, {N: 1}) for e in _listed(self.derivation, "training", True))

    @cached_property
    def _reached(self) -> Mapping[str, Array]:
        equations = _listed(self.derivation, "training", True)
        bases = {b for e in equations for b in (e.left.base, *e.reads().values())}
        shapes = {name_of(b): tuple(int(n.xreplace({N: 1})) for n in b.shape) for b in bases}
        return reached(equations, shapes)


class PointReference:
    """The values of a network's equations at a point, whose tensors may then be changed in place.

    ``loss`` is that in training, ``output`` that in evaluation; their doubts bound their rounding.  ``size``
    is the largest number that the loss is made of: where these cancel, it rounds as they do.
    """

    def __init__(
        self, reference: NumericReference, tensors: Mapping[str, Array], given: Mapping[str, Any]
    ) -> None:
        self._tensors = tensors
        output, real = reference.network.output, tensors[INPUT].dtype.type
        for written in (True, False):
            self._form = reference.form("training", written, real)
            self._values = self._form.values(given)
            self.loss = self._values["E"][()]
            narrow = reference.form("training", written, np.float64).values(given)["E"]
            self.loss_doubt = ROUNDING * float(abs(self.loss - narrow))
            if self.loss_doubt <= RESOLVED * abs(self.loss):
                break
        terms = (self._values[name] for name in reference.terms(written))
        self.size = max(float(np.abs(term).max(initial=0)) for term in terms)
        for written in (True, False):
            self.output = reference.form("evaluation", written, real).values(given)[output]
            narrow = reference.form("evaluation", written, np.float64).values(given)[output]
            self.output_doubt = ROUNDING * np.abs(self.output - narrow)
            if np.isfinite(self.output_doubt).all():
                break

    def after(self, changed: Iterable[str]) -> Any:
        """Return the loss once some tensors of the point have been changed in place."""
        return self._form.again(self._values, {name: self._tensors[name] for name in changed})["E"][()]


def _listed(derivation: Derivation, mode: str, written: bool) -> list[Equation]:
    entries = [*derivation.role("definition"), *derivation.forward(mode)]
    entries += derivation.role("loss") if mode == "training" else []
    return [entry.equation if written else entry.computed for entry in entries]
