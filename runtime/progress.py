"""What a run shows on stderr: a bar on a terminal, a plain line an epoch elsewhere."""

from __future__ import annotations

import sys
from typing import Any, TextIO

LINES = 20  # plain lines of a run of very many epochs
FEW = 100  # epochs up to which every one gets a line


class _Quiet:
    """A stream that falls silent when its terminal or pipe closes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._closed = False

    def write(self, text: str) -> int:
        if not self._closed:
            try:
                return self._stream.write(text)
            except (OSError, ValueError):
                self._closed = True
        return len(text)

    def flush(self) -> None:
        if not self._closed:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._closed = True

    def isatty(self) -> bool:
        try:
            return self._stream.isatty()
        except (OSError, ValueError):
            return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Progress:
    """Shows steps, epochs and warnings; a closed terminal or pipe silences it and disturbs nothing.

    `quiet` leaves the warnings only.
    """

    def __init__(
        self,
        epochs: int,
        steps: int,
        *,
        bar: bool = True,
        stream: TextIO | None = None,
        quiet: bool = False,
    ) -> None:
        self.epochs = epochs
        self.chunk = max(1, min(steps, 32))  # steps between two looks at the clock
        self._stream = _Quiet(sys.stderr if stream is None else stream)
        self._every = 1 if epochs <= FEW else -(-epochs // LINES)
        self._due = 1
        self._quiet = quiet
        self._bar: Any = None
        if bar and not quiet and self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=epochs * steps, file=self._stream, unit="step", dynamic_ncols=True, leave=False
            )

    def steps(self, count: int, loss: float) -> None:
        """`count` more steps are done, with `loss` as the epoch's mean so far."""
        if self._bar is not None and self._bar.update(count):
            self._bar.set_postfix_str(f"loss {loss:.4g}", refresh=False)

    def epoch(self, number: int, line: str) -> None:
        """Epoch `number` (from 1) is done; prints its line where lines are printed and this one is due."""
        if self._quiet or self._bar is not None or (number < self._due and number != self.epochs):
            return
        self._due = number - number % self._every + self._every
        self._stream.write(line + "\n")
        self._stream.flush()

    def start(self, done: int) -> None:
        """`done` steps were done before, by a process that this one goes on for."""
        if self._bar is not None:
            self._bar.update(done)
            self._bar.unpause()

    def warn(self, text: str) -> None:
        """Prints a warning, also where progress is not wanted."""
        if self._bar is not None:
            self._bar.clear()
        self._stream.write(f"warning: {text}\n")
        self._stream.flush()

    def close(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.close()
