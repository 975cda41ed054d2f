"""Kernels of equal layers: written once, then taken over with other names for tensors."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from chainrule.codegen.kernels.likeness import WorkLikeness
from chainrule.codegen.kernels.work import Work
from chainrule.codegen.targets.cuda.comments import comment, equations
from chainrule.codegen.targets.cuda.sources import Kernel, KernelSource

_WORD: Final = re.compile(r"// \(\d+\)|[A-Za-z_]\w*")


def _numbered(name: str) -> str:
    """Return what a variable of that name would have been called, had that been free: z1 for z1_2."""
    return re.sub(r"_\d+$", "", name) if re.search(r"_\d+$", name) else ""


@dataclass(frozen=True)
class _Written:
    """A kernel, for all work that is alike; ``own`` are the names in it that are no tensor's."""

    kernel: Kernel
    own: frozenset[str]
    names: tuple[str, ...]
    numbers: tuple[int, ...]


class AlikeKernels:
    """Writes the kernels of a program: one for work that is alike."""

    def __init__(self, source: KernelSource) -> None:
        self.source = source
        self.written: dict[Hashable, _Written] = {}

    def kernel(self, work: Work) -> Kernel:
        """Return the kernel of work, not yet named."""
        source = self.source
        found = WorkLikeness(work, source.program, source.views, source.kept)
        like = self.written.get(found.key)
        if like is None:
            kernel, own = source.kernel(work)
            identifiers = self._identifiers(found.names)
            if own is not None and not any(_numbered(name) in identifiers for name in own):
                self.written[found.key] = _Written(kernel, own - identifiers, found.names, found.numbers)
            return kernel
        if like.own & self._identifiers(found.names):
            return source.kernel(work)[0]
        return self._renamed(like, found, work)

    def _renamed(self, like: _Written, found: WorkLikeness, work: Work) -> Kernel:
        values = self.source.program.values
        names = dict(zip(like.names, found.names, strict=True))
        words = {values[old].identifier: values[new].identifier for old, new in names.items()}
        numbers = zip(like.numbers, found.numbers, strict=True)
        words |= {f"// ({old})": f"// ({new})" for old, new in numbers}

        def text(lines: Iterable[str]) -> tuple[str, ...]:
            return tuple(_WORD.sub(lambda word: words.get(word[0], word[0]), line) for line in lines)

        def called(arguments: Iterable[str]) -> tuple[str, ...]:
            return tuple(names.get(name, name) for name in arguments)

        kernel = like.kernel
        return replace(
            kernel,
            comment=tuple(comment(self.source.program, work)),
            parameters=text(kernel.parameters),
            body=text(kernel.body),
            arguments=called(kernel.arguments),
            written=called(kernel.written),
            equations=equations(work),
        )

    def _identifiers(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(self.source.program.values[name].identifier for name in names)
