"""Programs that are loaded: one in a folder that is removed again, one that its reader may have edited."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from chainrule.codegen.folder import Generated, write
from chainrule.codegen.targets import DEFAULT, TARGETS
from chainrule.derive.model import Spec
from chainrule.runtime.errors import EditedProgramWarning
from chainrule.runtime.program import LoadedProgram, load_program

Generator = Callable[[Spec, Iterable[str]], Generated]  # of a spec's program, for these targets


def generated_anew(spec: Spec, targets: Iterable[str] = ()) -> Generated:
    """Return the files of a spec's program.  Raises CannotDifferentiate, LoweringError."""
    from chainrule.codegen.generate import generate

    return generate(spec, targets)


@contextlib.contextmanager
def scratch_program(
    spec: Spec, generate: Generator = generated_anew, target: str = DEFAULT
) -> Iterator[LoadedProgram]:
    """Give a spec's program for a target, generated into a folder that is removed afterwards.

    Raises DeviceError where what the target needs is not there.
    """
    require(target)
    with tempfile.TemporaryDirectory() as folder:
        yield load_program(write(generate(spec, {target}), Path(folder), force=True), target=target)


def require(target: str) -> None:
    """Raise DeviceError for a target that needs a GPU where there is none."""
    if TARGETS[target].on_device:
        from chainrule.runtime.device import require_device

        require_device()


@contextlib.contextmanager
def edits_told() -> Iterator[None]:
    """Say on stderr, in a line, that a program which is loaded within was edited."""
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always", EditedProgramWarning)
        yield
    for each in noted:
        print(each.message, file=sys.stderr, flush=True)
