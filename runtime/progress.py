"""What a run shows on stderr: a bar on a terminal, a plain line an epoch elsewhere."""

from __future__ import annotations

import sys
from typing import Any, TextIO

LINES = 20  # plain lines of a run of very many epochs
FEW = 100  # epochs up to which every one gets a line


class Progress:
    """Shows steps and epochs; a closed terminal or pipe silences it and disturbs nothing."""

    def __init__(self, epochs: int, steps: int, *, bar: bool = True, stream: TextIO | None = None) -> None:
        self.epochs = epochs
        self.stream = sys.stderr if stream is None else stream
        self.every = 1 if epochs <= FEW else -(-epochs // LINES)
        self._due = 1
        self._silent = False
        self.chunk = max(1, min(steps, 32))  # steps between two looks at the clock
        self._bar: Any = None
        if bar and self._is_terminal():
            from tqdm import tqdm

            self._bar = tqdm(
                total=epochs * steps, file=self.stream, unit="step", dynamic_ncols=True, leave=False
            )

    def _is_terminal(self) -> bool:
        try:
            return self.stream.isatty()
        except (OSError, ValueError):
            return False

    def steps(self, count: int, loss: float) -> None:
        """`count` more steps are done, with `loss` as the epoch's mean so far."""
        if self._bar is not None:
            try:
                if self._bar.update(count):
                    self._bar.set_postfix_str(f"loss {loss:.4g}", refresh=False)
            except (OSError, ValueError):
                self._bar, self._silent = None, True

    def epoch(self, number: int, line: str) -> None:
        """Epoch `number` (from 1) is done; prints its line where lines are printed and this one is due."""
        if self._bar is not None or self._silent or (number < self._due and number != self.epochs):
            return
        self._due = number - number % self.every + self.every
        try:
            print(line, file=self.stream, flush=True)
        except (OSError, ValueError):
            self._silent = True

    def close(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            try:
                self._bar.close()
            except (OSError, ValueError):
                self._bar = None
