"""Which windows equations on the way back copy: one that another equation copies anyway costs nothing."""

from __future__ import annotations

from collections.abc import Iterable

WindowKey = tuple[object, ...]  # the tensor's name, then what its axes are read at


class Copies:
    """The windows that equations copy, by tensor and by the equation's number."""

    def __init__(self) -> None:
        self.of_tensor: dict[str, dict[int, set[WindowKey]]] = {}
        self.of_equation: dict[int, frozenset[WindowKey]] = {}

    def put(self, number: int, windows: frozenset[WindowKey]) -> None:
        """Say which windows an equation copies, whatever was said of it before."""
        for key in self.of_equation.get(number, ()):
            self.of_tensor[str(key[0])].pop(number, None)
        self.of_equation[number] = windows
        for key in windows:
            self.of_tensor.setdefault(str(key[0]), {}).setdefault(number, set()).add(key)

    def by_others(self, number: int, names: Iterable[str]) -> set[WindowKey]:
        """Return the windows of these tensors that other equations copy."""
        found: set[WindowKey] = set()
        for name in names:
            for other, keys in self.of_tensor.get(name, {}).items():
                found |= keys if other != number else set()
        return found
