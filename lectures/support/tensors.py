"""The numbers of --given: read, and refused in one line where they make no sense."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from chainrule.formula import FormulaError, parse_formula
from chainrule.lectures.model import TopicError
from chainrule.lectures.support.givens import allow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[np.float64]"
MOST: Final = 64  # numbers in one given tensor


def taken(id: str, given: Mapping[str, str], **ranks: int) -> dict[str, Array]:
    """Return the given tensors by name; ``ranks`` says which a topic takes, and how many axes each has.

    A number is a constant formula (0.5, 1/3, -2), a vector 1,2,3 or [1,2,3], a matrix [[1,2],[3,4]].
    Raises TopicError.
    """
    allow(given, ranks, id)
    return {name: tensor_of(name, text, ranks[name]) for name, text in given.items()}


def needed(id: str, found: Mapping[str, Array], names: Iterable[str]) -> None:
    """Raise TopicError if some, but not all, of the numbers that belong together are given."""
    missing = [name for name in names if name not in found]
    if missing:
        raise TopicError(f"{id}: give {', '.join(missing)} too")


def tensor_of(name: str, written: str, rank: int) -> Array:
    """Return the numbers of a text as an array of ``rank`` axes.  Raises TopicError."""
    import numpy as np  # where numbers are given

    nested = _nested(name, written if written.lstrip().startswith("[") or rank == 0 else f"[{written}]")
    try:
        found = np.array(nested, dtype=np.float64)
    except ValueError:
        raise TopicError(f"{name}: the rows have different lengths") from None
    if found.ndim != rank:
        kinds = ("one number", "a row of numbers, 1,2,3", "rows of numbers, [[1,2],[3,4]]")
        raise TopicError(f"{name} is {kinds[rank]} (given: {written})")
    if found.size > MOST:
        raise TopicError(f"{name} has {found.size} numbers; at most {MOST} can be read on a page")
    if not found.size:
        raise TopicError(f"{name} is empty")
    return found


def _nested(name: str, written: str) -> Any:
    written = written.strip()
    if written.startswith("["):
        if not written.endswith("]"):
            raise TopicError(f"{name}: a bracket is not closed in {written}")
        return [_nested(name, part) for part in _parts(name, written[1:-1])]
    try:
        return float(parse_formula(written, {}))
    except (FormulaError, OverflowError) as error:
        raise TopicError(f"{name}: {written!r} is no number: {str(error).splitlines()[0]}") from None


def _parts(name: str, written: str) -> list[str]:
    found, depth = [""], 0
    for character in written:
        depth += (character in "([") - (character in ")]")
        if depth < 0:
            raise TopicError(f"{name}: a bracket too many in {written}")
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return found


def whole(name: str, value: Any, least: int) -> int:
    """Return a given number as an integer.  Raises TopicError."""
    if value != int(value) or value < least:
        raise TopicError(f"{name} is a whole number of at least {least} (given: {float(value):g})")
    return int(value)


def same_shape(**arrays: Array) -> None:
    """Raise TopicError unless all have as many numbers along every axis."""
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        sizes = ", ".join(f"{name} has {' × '.join(map(str, shape))}" for name, shape in shapes.items())
        raise TopicError(f"{sizes}; they must be as many")
