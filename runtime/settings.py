"""How to train: what makes a run the run it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from chainrule.runtime.errors import RunError
from chainrule.runtime.typed import require_types

NUMPY: Final = "numpy"  # the target that every folder has a program for


@dataclass(frozen=True)
class Settings:
    """The same settings on the same data and machine give the same run, bit for bit.

    `early_stopping` is the patience in epochs; 0 trains to the last epoch.  `data` is what the samples were
    asked for as, where that is not what the spec says.  `target` is the program that trains, `threads` how
    many it computes on (None: as many as it was loaded with).
    """

    epochs: int
    batch_size: int
    seed: int = 0
    validation_split: float = 0.0
    early_stopping: int = 0
    data: str | None = None
    standardize: str = "none"
    augmentation: Mapping[str, Any] = field(default_factory=dict)
    target: str = NUMPY
    threads: int | None = None

    def __post_init__(self) -> None:
        try:
            require_types(self)
        except TypeError as error:
            raise RunError(str(error)) from None
        if self.epochs < 1 or self.batch_size < 1 or self.seed < 0:
            raise RunError(f"epochs {self.epochs}, batch size {self.batch_size}, seed {self.seed}: too small")
        if self.threads is not None and self.threads < 1:
            raise RunError(f"{self.threads} threads: must be at least 1")
        if not 0 <= self.validation_split < 1:
            raise RunError(f"validation split {self.validation_split}: must be at least 0 and below 1")
        if self.early_stopping < 0:
            raise RunError(f"early stopping {self.early_stopping}: a patience in epochs, or 0 for none")

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON values; the target only where it is not NumPy, threads where known."""
        values = asdict(self)
        usual = {"target": NUMPY, "threads": None}
        return {key: value for key, value in values.items() if key not in usual or value != usual[key]}
