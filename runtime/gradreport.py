"""The result of a gradient check, as a table and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class GradientRow:
    """One tensor at one stage.  `nonzero` counts the coordinates that are certified and not zero."""

    stage: str
    tensor: str
    shape: tuple[int, ...]
    sampled: int
    nonzero: int
    zero: int
    excused: int
    kinks: int
    worst_error: float
    tolerance: float
    verdict: str  # "pass" | "fail" | "not exercised"


@dataclass(frozen=True)
class GradientReport:
    """Every row of a check, how each stage's point was drawn, and whether the differences were wide."""

    name: str
    rows: tuple[GradientRow, ...]
    notes: tuple[str, ...]
    seed: int
    batch: int
    extended: bool

    @property
    def passed(self) -> bool:
        """Whether every tensor passed, at every stage."""
        return bool(self.rows) and all(row.verdict == "pass" for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        rows = []
        for row in self.rows:
            entry = asdict(row)
            entry["shape"] = list(row.shape)
            if row.worst_error == float("inf"):
                entry["worst_error"] = None
            rows.append(entry)
        return {
            "name": self.name,
            "passed": self.passed,
            "seed": self.seed,
            "batch": self.batch,
            "extended_precision": self.extended,
            "points": list(self.notes),
            "rows": rows,
        }

    def to_text(self) -> str:
        """An aligned table, a line a tensor and stage, and a closing line."""
        head = ("stage", "tensor", "shape", "checked", "non-zero", "at kinks", "in noise", "worst", "", "")
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
                    row.verdict,
                )
            )
        widths = [max(len(line[column]) for line in table) for column in range(len(head))]
        left = {0, 1, 2, 8, 9}
        lines = [
            "  ".join(
                cell.ljust(width) if column in left else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in table
        ]
        good = sum(row.verdict == "pass" for row in self.rows)
        verdict = "passed" if self.passed else "FAILED"
        lines += ["", *(f"point, {note}" for note in self.notes)]
        lines.append(f"{self.name}: {verdict}, {good} of {len(self.rows)} tensor checks good")
        return "\n".join(lines)
