"""Kernels of equal layers: written once, then taken over with other names for tensors."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from chainrule.codegen.kernels.likeness import WorkLikeness
from chainrule.codegen.kernels.work import Work
from chainrule.codegen.targets.cuda.comments import comment, equations
from chainrule.codegen.targets.cuda.sources import Kernel, KernelSource

_WORD: Final = re.compile(r"// \(\d+\)|[A-Za-z_]\w*")
_NUMBERED: Final = re.compile(r"(\w+)(_\d+)")  # a variable after a tensor whose own name is taken: z1_2


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
            own -= self._identifiers(found.names)
            self.written[found.key] = _Written(kernel, own, found.names, found.numbers)
            return kernel
        words = self._words(like, found)
        if {words.get(name, name) for name in like.own} & self._identifiers(found.names):
            return source.kernel(work)[0]
        return self._renamed(like, found, work, words)

    def _words(self, like: _Written, found: WorkLikeness) -> dict[str, str]:
        """Return what stands in a kernel for the words of one like it, variables after tensors among them."""
        values = self.source.program.values
        pairs = zip(like.names, found.names, strict=True)
        words = {values[old].identifier: values[new].identifier for old, new in pairs}
        numbered = [(name, _NUMBERED.fullmatch(name)) for name in like.own]
        words |= {name: words[m[1]] + m[2] for name, m in numbered if m is not None and m[1] in words}
        numbers = zip(like.numbers, found.numbers, strict=True)
        return words | {f"// ({old})": f"// ({new})" for old, new in numbers}

    def _renamed(self, like: _Written, found: WorkLikeness, work: Work, words: Mapping[str, str]) -> Kernel:
        names = dict(zip(like.names, found.names, strict=True))

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
