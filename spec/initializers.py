"""Initializers: how parameters start, as a spec names it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from chainrule.formula.messages import did_you_mean

# kind: the names of its arguments
INITIALIZERS: Final[dict[str, tuple[str, ...]]] = {
    "glorot_uniform": (),
    "glorot_normal": (),
    "he_uniform": (),
    "he_normal": (),
    "lecun_uniform": (),
    "lecun_normal": (),
    "zeros": (),
    "ones": (),
    "uniform": ("low", "high"),
    "normal": ("mean", "std"),
}
_NUMBER: Final = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
PATTERN: Final = (
    f"^(?:{'|'.join(k for k, names in INITIALIZERS.items() if not names)}"
    rf"|(?:uniform|normal)\( *{_NUMBER} *, *{_NUMBER} *\))$"
)
_CALL: Final = re.compile(r"(?P<kind>[A-Za-z_]+)(?: *\((?P<arguments>[^()]*)\))?")


@dataclass(frozen=True)
class Initializer:
    """An initializer: its kind and arguments, (low, high) of ``uniform``, (mean, std) of ``normal``."""

    kind: str
    arguments: tuple[float, ...] = ()


def parse_initializer(text: str) -> Initializer:
    """Return the initializer that ``text`` names; raises ValueError with what was expected.

    The forms are a bare kind, ``uniform(low, high)`` and ``normal(mean, std)``.
    """
    match = _CALL.fullmatch(text.strip()) if len(text) <= 200 else None
    if match is None:
        raise ValueError('expected a name such as "glorot_uniform", "uniform(0, 1)" or "normal(0, 0.1)"')
    kind, arguments = match["kind"], match["arguments"]
    if kind not in INITIALIZERS:
        hint = did_you_mean(kind, INITIALIZERS)
        raise ValueError(f"expected one of {', '.join(INITIALIZERS)}" + (f"; {hint}" if hint else ""))
    names = INITIALIZERS[kind]
    texts = [] if arguments is None else [a.strip() for a in arguments.split(",")]
    form = f"{kind}({', '.join(names)})" if names else f"{kind} without arguments"
    if len(texts) != len(names) or not all(re.fullmatch(_NUMBER, a) for a in texts):
        raise ValueError(f"expected {form}, with decimal numbers" if names else f"expected {form}")
    values = tuple(float(a) for a in texts)
    if not all(map(math.isfinite, values)):
        raise ValueError(f"expected {form}, with finite numbers")
    if kind == "uniform" and values[0] >= values[1]:
        raise ValueError("expected uniform(low, high) with low < high")
    if kind == "normal" and values[1] <= 0:
        raise ValueError("expected normal(mean, std) with std > 0")
    return Initializer(kind, values)
