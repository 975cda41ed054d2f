"""What the losses that are built in ask of targets: all that is known of them here.

A program's manifest names its loss; tests hold this table against what the formulas of the losses say.
"""

from __future__ import annotations

from typing import Final

VALUES: Final = "values"  # any
SHARES: Final = "shares"  # each within 0 … 1
ONE_HOT: Final = "one_hot"  # that, and the values of a sample sum to 1; or labels

TARGETS: Final = {"binary_cross_entropy": SHARES, "cross_entropy": ONE_HOT}


def targets_of(loss: str) -> str:
    """What targets of a loss are: VALUES for one that is not in the table."""
    return TARGETS.get(loss, VALUES)
