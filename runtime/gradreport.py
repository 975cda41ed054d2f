"""The result of a gradient check, as a table and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from chainrule.runtime.settings import NUMPY

PASS, FAIL, UNEXERCISED, ZERO = "pass", "fail", "not exercised", "0 by derivation"
GOOD = (PASS, ZERO)
INTERPRETER, PROGRAM = "interpreter", "program"  # whose loss differences are taken of
LOSS, OUTPUT = "loss", "output"  # rows that hold the program's values against the equations


@dataclass(frozen=True)
class GradientRow:
    """One tensor at one stage.  `nonzero` counts the coordinates that are certified and not zero.

    `loss` says whose loss differences are taken of: "interpreter" (of the equations) or "program".  `along`
    is the error of the derivative along a direction, `float64` and `float32` the largest error in these
    types, as shares of the gradient's length and of its largest value; None where there is none.
    """

    stage: str
    tensor: str
    shape: tuple[int, ...]
    tolerance: float
    loss: str
    sampled: int = 0
    nonzero: int = 0
    zero: int = 0
    excused: int = 0
    kinks: int = 0
    worst_error: float = 0.0
    along: float | None = None
    float64: float | None = None
    float32: float | None = None
    verdict: str = UNEXERCISED  # or "pass", "fail", "0 by derivation"

    @property
    def passed(self) -> bool:
        return self.verdict in GOOD


@dataclass(frozen=True)
class GradientReport:
    """Every row of a check, how each stage's point was drawn, and whether the differences were wide.

    `target` is the program that was checked: where it is not NumPy's, that computes in the wider floats, and
    the target's gradients in float32 and float64 are held against it.
    """

    name: str
    rows: tuple[GradientRow, ...]
    notes: tuple[str, ...]
    seed: int
    batch: int
    extended: bool
    target: str = NUMPY

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return (
            f"<check of {len(self.rows)} gradients of {self.name}: {'passed' if self.passed else 'FAILED'}>"
        )

    @property
    def passed(self) -> bool:
        """Whether every tensor passed, at every stage."""
        return bool(self.rows) and all(row.passed for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        rows = []
        for row in self.rows:
            entry = {k: None if v == float("inf") else v for k, v in asdict(row).items()}
            entry["shape"] = list(row.shape)
            rows.append(entry)
        return {
            "name": self.name,
            "target": self.target,
            "passed": self.passed,
            "seed": self.seed,
            "batch": self.batch,
            "extended_precision": self.extended,
            "points": list(self.notes),
            "rows": rows,
        }

    def to_text(self) -> str:
        """An aligned table, a line a tensor and stage, and a closing line."""
        double = () if self.target == NUMPY else ("float64",)
        head = (
            "stage", "tensor", "shape", "checked", "non-zero", "at kinks", "in noise", "worst", "",
            "direction", *double, "float32", "loss by", "",
        )  # fmt: skip
        table = [head]
        for row in self.rows:
            table.append(
                (
                    row.stage,
                    row.tensor,
                    "×".join(map(str, row.shape)),
                    str(row.sampled),
                    str(row.nonzero),
                    str(row.kinks),
                    str(row.excused),
                    f"{row.worst_error:.1e}",
                    f"≤ {row.tolerance:.0e}",
                    _share(row.along),
                    *(_share(row.float64) for _ in double),
                    _share(row.float32),
                    row.loss,
                    row.verdict,
                )
            )
        widths = [max(len(line[column]) for line in table) for column in range(len(head))]
        left = {0, 1, 2, 8, len(head) - 2, len(head) - 1}
        lines = [
            "  ".join(
                cell.ljust(width) if column in left else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in table
        ]
        good = sum(row.passed for row in self.rows)
        verdict = "passed" if self.passed else "FAILED"
        lines += ["", *(f"point, {note}" for note in self.notes)]
        if double:
            lines.append(
                f"{self.target} computes in float32 and float64: these are its columns, and loss and output; "
                "differences, and the wider gradients that they certify, are of the NumPy program"
            )
        lines.append(f"{self.name}: {verdict}, {good} of {len(self.rows)} tensor checks good")
        return "\n".join(lines)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"
