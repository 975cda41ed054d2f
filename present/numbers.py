"""One step of training worked in numbers: every equation of a derivation evaluated in turn, in float64.

The values are those of the derivation's own equations in the reference interpreter; where the parameters, the
samples and the masks come from is the caller's business.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sympy import Symbol

from chainrule.derive.derivation import Derivation
from chainrule.derive.index import Equation, cotangent
from chainrule.derive.interpret import evaluate
from chainrule.derive.library import OPTIMIZERS
from chainrule.derive.network import KeptTensor
from chainrule.derive.numbering import NumberedEquation
from chainrule.present.notation import name
from chainrule.present.order import BATCH

Array = NDArray[np.float64]
MOST_OF_A_TENSOR: Final = 64
MOST: Final = 600


class NumbersError(ValueError):
    """A network whose numbers cannot be shown: there are too many, or one of them is no number."""


@dataclass(frozen=True)
class Given:
    """What a pass starts from.

    ``x`` is (N, …), ``t`` (N,) of labels or (N, …); ``parameters`` holds by name what is trained and the
    running statistics, ``masks`` (N, …) what the network draws at random; ``steps`` is how many steps the
    training takes, which a schedule may ask for.
    """

    parameters: Mapping[str, Array]
    x: Array
    t: Array
    masks: Mapping[str, Array] = field(default_factory=dict)
    steps: int = 1

    @property
    def count(self) -> int:
        """The number of samples."""
        return len(self.x)


@dataclass(frozen=True)
class WorkedEquation:
    """A numbered equation, the values it reads by name (those of scalars too), and what comes out."""

    numbered: NumberedEquation
    reads: Mapping[str, Array]
    value: Array


@dataclass(frozen=True)
class Worked:
    """The equations of a derivation with their values, in order.

    ``start`` holds the tensors that were there before, ``constants`` the numbers: N, the step, η.
    """

    derivation: Derivation
    given: Given
    start: Mapping[str, Array]
    constants: Mapping[str, float]
    rows: tuple[WorkedEquation, ...]

    @property
    def flat(self) -> frozenset[str]:
        """The names of what has a value for each parameter: θ, its gradient g, the optimizer's state."""
        return flat_names(self.derivation)

    def row(self, number: int) -> WorkedEquation:
        """Return the row of the equation of that number, from 1."""
        return self.rows[number - 1]

    def parts(self) -> Iterator[tuple[KeptTensor, slice]]:
        """Yield every parameter with its place in the flat vector of all of them."""
        return parts(self.derivation)


def parts(derivation: Derivation) -> Iterator[tuple[KeptTensor, slice]]:
    """Yield the trained parameters with their places in the flat vector θ."""
    start = 0
    for parameter in derivation.network.parameters:
        yield parameter, slice(start, start + parameter.count)
        start += parameter.count


def work(derivation: Derivation, given: Given) -> Worked:
    """Return one step of training on the given samples, equation by equation.

    Forward equations that hold in evaluation alone are worked in that mode.  Raises NumbersError for a
    network that is too large to be read (MOST_OF_A_TENSOR, MOST) and for numbers that overflow.
    """
    require_readable(derivation, given.count)
    start, constants = _start(derivation, given), _constants(derivation, given)
    training, evaluation, numbers = dict(start), dict(start), dict(constants)
    rows = []
    for numbered in derivation.equations:
        if numbered.role == "update" and "g" not in training:
            _gather(derivation, training)
        only = numbered.mode == "evaluation"
        row = _worked(numbered, evaluation if only else training, numbers)
        (evaluation if only else training)[numbered.symbol] = row.value
        if numbered.mode == "both" and numbered.role in ("definition", "forward"):
            evaluation[numbered.symbol] = _worked(numbered, evaluation, numbers).value
        if not numbered.equation.free:
            numbers[numbered.symbol] = row.value.item()
        rows.append(row)
    return Worked(derivation, given, start, constants, tuple(rows))


def flat_names(derivation: Derivation) -> frozenset[str]:
    """Return the names of the tensors with a value for each of all parameters."""
    return frozenset({"g", *(left for left, _ in OPTIMIZERS[derivation.network.spec.optimizer.type].update)})


def _start(derivation: Derivation, given: Given) -> dict[str, Array]:
    network = derivation.network
    known: dict[str, Any] = {
        each: np.zeros(network.parameter_count) for each in flat_names(derivation) - {"theta", "g"}
    }
    known |= {"x": given.x, "t": given.t, **given.parameters, **given.masks}
    known["theta"] = np.concatenate([np.ravel(given.parameters[p.name]) for p in network.parameters])
    return {key: np.asarray(value, dtype=np.float64) for key, value in known.items()}


def _constants(derivation: Derivation, given: Given) -> dict[str, float]:
    options = derivation.network.spec.optimizer.options
    return {"N": given.count, "k": 1, "K": given.steps, **options}


def _gather(derivation: Derivation, values: dict[str, Array]) -> None:
    """Put the gradients of all parameters into the flat vector g."""
    names = [cotangent(p.name) for p in derivation.network.parameters]
    values["g"] = np.concatenate([np.ravel(values[each]) for each in names])


def _worked(
    numbered: NumberedEquation, values: Mapping[str, Array], constants: Mapping[str, float]
) -> WorkedEquation:
    """Evaluate the equation as it is shown; where that overflows, in the form that programs compute."""
    equation, computed = numbered.equation, numbered.computed
    try:
        try:
            found = _value(equation, read_by(equation, values, constants))
        except (ArithmeticError, ValueError):
            if computed == equation:
                raise
            found = _value(computed, read_by(computed, values, constants))
    except (ArithmeticError, ValueError) as error:
        raise NumbersError(f"{_shown(numbered)} has no value here: {error}") from error
    if not np.isfinite(found).all():
        raise NumbersError(f"{_shown(numbered)} has no finite value here")
    return WorkedEquation(numbered, read_by(equation, values, constants), found)


def _value(equation: Equation, known: Mapping[str, Array]) -> Array:
    return np.asarray(evaluate(equation, known), dtype=np.float64)


def read_by(
    equation: Equation, values: Mapping[str, Array], constants: Mapping[str, float]
) -> dict[str, Array]:
    """Return the tensors and the constants that an equation reads, and N, by name."""
    found = {key: values[key] for key in equation.reads()}
    bound = {*found, *(s.name for s in equation.free)}
    symbols = {s.name for s in equation.right.free_symbols if type(s) is Symbol} - bound
    return found | {key: np.asarray(constants[key]) for key in sorted(symbols | {"N"}) if key in constants}


def _shown(numbered: NumberedEquation) -> str:
    from chainrule.present.text import index_text

    return f"equation ({numbered.number}), {index_text(numbered.equation)},"


# ---- What is small enough to be read ---------------------------------------------------------------------


def require_readable(derivation: Derivation, count: int = 1) -> None:
    """Raise NumbersError, naming what is too large, unless ``count`` samples can be read in numbers."""
    network = derivation.network
    sizes = {"x": math.prod(network.spec.input_shape)}
    sizes |= {p.name: p.count for p in network.parameters}
    flat = flat_names(derivation)
    sizes |= {e.symbol: _size(e, 1) for e in derivation.equations if e.symbol not in flat}
    large = sorted((s for s in sizes.items() if s[1] > MOST_OF_A_TENSOR), key=lambda s: -s[1])
    rule = f"--numbers prints at most {MOST_OF_A_TENSOR} of a tensor and {MOST} in all"
    if large:
        shown = ", ".join(f"{name(key).text} has {entries:,} entries" for key, entries in large[:3])
        more = f" and {len(large) - 3} more tensors are too large" if len(large) > 3 else ""
        raise NumbersError(
            f"{network.spec.name} is too large to be read in numbers: {shown}{more}; {rule}. "
            "Take a small network of the same kind: fewer units or filters, a smaller input"
        )
    total, one = (sum(_size(e, n) for e in derivation.equations) for n in (count, 1))
    if total > MOST:
        remedy = "take fewer samples (--sample 1)" if one <= MOST else "take fewer layers or smaller ones"
        samples = f" for {count} samples" if count > 1 else ""
        raise NumbersError(
            f"{network.spec.name} is too large to be read in numbers: its equations give {total:,} "
            f"numbers{samples}; {rule}: {remedy}"
        )


def _size(numbered: NumberedEquation, count: int) -> int:
    shape = numbered.equation.left.base.shape
    return math.prod(count if extent == BATCH else int(extent) for extent in shape)
