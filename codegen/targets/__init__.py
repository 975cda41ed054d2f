"""The targets: each a row here, and a package whose ``TARGET`` says what it is.

The table loads none of them: the command shows it in its help.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from chainrule.codegen.target import Target


class Row(NamedTuple):
    """What is known of a target that is not loaded: what it ``needs``, whether a GPU or a compiler.

    ``exports`` are the files of it that compute a trained network's outputs by themselves.
    """

    needs: str = ""
    on_device: bool = False
    compiled: bool = False
    exports: tuple[str, ...] = ()


TARGETS: Final = {
    "numpy": Row(),
    "c": Row(needs="a C compiler", compiled=True, exports=("c/predict.c", "c/predict.h")),
    "cuda": Row(needs="CuPy and an NVIDIA GPU", on_device=True),
}
FASTEST: Final = "c"  # what long trainings gain by, where there is a compiler
DEFAULT: Final = "numpy"  # written for every spec: the others are held against it


def target(name: str) -> Target:
    """Return the target of that name.  Raises ValueError where there is none."""
    if name not in TARGETS:
        raise ValueError(f"no target {name!r}: {', '.join(TARGETS)}")
    found: Target = import_module(f"{__name__}.{name}").TARGET
    return found
