"""A spec as a command was given it: read once, loaded when something has to be derived."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from chainrule.cli.cache import options, remembered
from chainrule.cli.naming import STDIN
from chainrule.codegen.folder import Generated
from chainrule.codegen.targets import DEFAULT

if TYPE_CHECKING:
    from chainrule.derive.model import Spec
    from chainrule.spec.problems import Problem

T = TypeVar("T")
MOST_BYTES: Final = 1 << 20  # that are read; fewer are a spec
BLAS: Final = ("OPENBLAS_NUM_THREADS", "OPENBLAS_DEFAULT_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class SpecFile:
    """A file and what was in it when it was read; None for one that cannot be: ``spec`` says why."""

    path: Path
    content: bytes | None

    @classmethod
    def read(cls, path: Path) -> SpecFile:
        """Read a file, or standard input where the path is a dash."""
        if str(path) == STDIN:
            return cls(Path("<stdin>"), sys.stdin.buffer.read(MOST_BYTES) if sys.stdin else b"")
        try:
            if path.is_file():
                with path.open("rb") as file:
                    return cls(path, file.read(MOST_BYTES))
        except OSError:
            pass
        return cls(path, None)

    @cached_property
    def spec(self) -> Spec:
        """The checked spec.  Raises SpecError."""
        from chainrule.spec.load import load_spec, parse_bytes

        return load_spec(self.path) if self.content is None else parse_bytes(self.content, self.path.name)

    def key(self, **more: Any) -> dict[str, Any] | None:
        """Return what values of this spec are remembered by, and of more that they depend on."""
        if self.content is None:
            return None
        return {"file": self.path.name, "sha256": hashlib.sha256(self.content).hexdigest(), **more}

    @property
    def name(self) -> str:
        """The network's name.  Raises SpecError."""
        return remembered("name", self.key(), lambda: self.spec.name)

    def totals(self, target: str = DEFAULT) -> dict[str, Any]:
        """Return layers, parameters, FLOPs and memory, as ``derive check`` tells them.  Raises SpecError."""

        def made() -> dict[str, Any]:
            from chainrule.checking import totals

            return totals(self.spec, target)

        threads = [os.environ.get(name) for name in BLAS], sorted(os.sched_getaffinity(0))
        return remembered("totals", self.key(threads=threads, options=options("specs", "as_json")), made)

    def generated(self, targets: Iterable[str]) -> Generated:
        """Return the files of this spec's program.  Raises SpecError, CannotDifferentiate, LoweringError."""
        return _remembered(self.key(targets=sorted({DEFAULT, *targets})), lambda: self.spec, targets)


def over(paths: Sequence[Path], work: Callable[[SpecFile], T]) -> Iterator[tuple[Path, T]]:
    """Yield each path with what comes of its spec.

    Specs that are refused do not stop the others: SpecError is raised at the end, with the problems of all.
    Raises click.UsageError where standard input is asked for twice.
    """
    if sum(str(path) == STDIN for path in paths) > 1:
        raise click.UsageError("- is standard input, which is read once: name it once.")
    problems: list[Problem] = []
    for file in map(SpecFile.read, paths):
        try:
            yield file.path, work(file)
        except ValueError as error:
            from chainrule.spec.problems import SpecError

            if not isinstance(error, SpecError):
                raise
            problems += error.problems
    if problems:
        raise SpecError(tuple(problems))


def generated_for(spec: Spec, targets: Iterable[str] = ()) -> Generated:
    """Return the files of a spec's program.  Raises CannotDifferentiate, LoweringError."""
    text = hashlib.sha256(repr(spec).encode(errors="backslashreplace")).hexdigest()
    return _remembered({"spec": text, "targets": sorted({DEFAULT, *targets})}, lambda: spec, targets)


def _remembered(key: Mapping[str, Any] | None, spec: Callable[[], Spec], targets: Iterable[str]) -> Generated:
    def made() -> dict[str, Any]:
        from chainrule.codegen.generate import generate

        return asdict(generate(spec(), targets))

    return Generated(**remembered("program", key, made))
