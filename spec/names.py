"""Names in a spec: of the network, of a user's own formulas and of their constants.

A name becomes an identifier of the generated programs, so that keywords of Python and C are refused.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable
from typing import Final

from chainrule.derive.layers import LAYERS
from chainrule.derive.library import ACTIVATIONS, LOSSES
from chainrule.formula import FUNCTIONS

PATTERN: Final = r"^[A-Za-z][A-Za-z0-9_]{0,39}$"
_C_KEYWORDS: Final = frozenset(
    re.findall(
        r"\w+",
        """
        auto break case char const continue default do double else enum extern float for goto if inline int
        long register restrict return short signed sizeof static struct switch typedef union unsigned void
        volatile while alignas alignof bool constexpr nullptr static_assert thread_local typeof
        asm catch class const_cast decltype delete dynamic_cast explicit export friend mutable namespace new
        noexcept operator private protected public reinterpret_cast static_cast template this throw try typeid
        typename using virtual wchar_t and and_eq bitand bitor compl not not_eq or or_eq xor xor_eq main NULL
        """,
    )
)
# What the generated programs call their own (DESIGN section 5).
_PROGRAM: Final = frozenset(
    re.findall(
        r"\w+",
        """
        np math sys numpy parameters predict loss loss_and_gradients train_step update init_parameters
        init_optimizer statistics pi nan inf
        """,
    )
)
# File names that Windows does not allow.
_DEVICES: Final = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))]
)


def name_problem(name: str) -> tuple[str, str] | None:
    """Return the code and the reason why ``name`` cannot be an identifier, or None."""
    if not re.fullmatch(PATTERN.strip("^$"), name):
        return "E201", "a name is a letter, then letters, digits and underscores, 40 characters at most"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "E202", "it is a keyword of Python"
    if name in _C_KEYWORDS:
        return "E202", "it is a keyword of C or C++"
    if hasattr(builtins, name):
        return "E202", "it is a builtin of Python"
    if name.lower() in _DEVICES:
        return "E202", "it is the name of a device on Windows"
    return None


def formula_name_problem(name: str, others: Iterable[str]) -> tuple[str, str] | None:
    """Return the code and the reason why a user's own formula cannot have ``name``, or None."""
    if problem := name_problem(name):
        return problem
    tables = (ACTIVATIONS, "activation"), (LOSSES, "loss"), (LAYERS, "layer"), (FUNCTIONS, "function")
    for table, noun in tables:
        if clash := _same(name, table):
            return "E203", f"{clash} is a built-in {noun}"
    if clash := _same(name, _PROGRAM):
        return "E203", f"the generated programs use {clash}"
    if clash := _same(name, others):
        return "E203", f"{clash} would become the same identifier"
    return None


def constant_name_problem(
    name: str, variables: tuple[str, ...], others: Iterable[str]
) -> tuple[str, str] | None:
    """Return the code and the reason why a formula's constant cannot have ``name``, or None."""
    if problem := name_problem(name):
        return problem
    if clash := _same(name, variables):
        return "E203", f"{clash} is the formula's variable"
    if clash := _same(name, (*FUNCTIONS, "pi", "nan", "inf")):
        return "E203", f"{clash} is already a name of the formula language"
    if clash := _same(name, others):
        return "E203", f"{clash} would become the same identifier"
    return None


def _same(name: str, others: Iterable[str]) -> str | None:
    return next((other for other in others if other.lower() == name.lower()), None)
