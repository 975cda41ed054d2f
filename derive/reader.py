"""Who reads a page: the language of its prose, the letters of its symbols, how a batch stands in a matrix.

The writers ask ``reader()``; ``with reading(Reader(language="ko")):`` sets it for what is written inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

LANGUAGES: Final = ("en", "ko")
NOTATIONS: Final = ("common", "lectures")
BATCHES: Final = ("example", "rows", "columns")


@dataclass(frozen=True)
class Reader:
    """The choices of a reader.

    ``language`` is one of LANGUAGES; ``notation`` one of NOTATIONS: z^l and t, or the lectures' x^l and y;
    ``batch`` one of BATCHES: matrix equations hold for one example (a column), or for a batch whose examples
    are the rows or the columns of a matrix.  Raises ValueError for anything else.
    """

    language: str = "en"
    notation: str = "common"
    batch: str = "example"

    def __post_init__(self) -> None:
        for name, choices in (("language", LANGUAGES), ("notation", NOTATIONS), ("batch", BATCHES)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is one of {', '.join(choices)}, not {getattr(self, name)!r}")


_USUAL: Final = Reader()
_READER: Final = ContextVar("reader", default=_USUAL)


def reader() -> Reader:
    """Return who reads what is written now."""
    return _READER.get()


@contextmanager
def reading(who: Reader) -> Iterator[Reader]:
    """Write for a reader inside of the block.  Raises TypeError for what is no Reader."""
    if not isinstance(who, Reader):
        raise TypeError(f'{who!r} is no Reader; write reading(Reader(language="ko"))')
    token = _READER.set(who)
    try:
        yield who
    finally:
        _READER.reset(token)
