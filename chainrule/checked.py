"""The table of ``derive check``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def table(result: Mapping[str, Any]) -> str:
    """Return the totals as an aligned table."""
    rows = [("layer", "name", "output", "parameters")]
    rows.append(("input", "x", _shape(result["input"]), ""))
    rows += [(r["type"], r["name"], _shape(r["output"]), f"{r['parameters']:,}") for r in result["layers"]]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}".rstrip()
        for a, b, c, d in rows
    ]
    lines.insert(1, "-" * (sum(widths) + 6))
    memory = result["memory"]
    parts = ", ".join(f"{name} {_bytes(memory[name])}" for name in memory if name != "total")
    threads = f"{result['threads']} thread{'s' if result['threads'] > 1 else ''}"
    threads += "" if result["target"] == "numpy" else f", --target {result['target']}"
    lines += [
        "",
        f"parameters  {result['parameters']:,}",
        f"loss        {result['loss']}, optimizer {result['optimizer']}",
        f"work        {result['flops']['forward']:,} FLOP forward, "
        f"{result['flops']['training']:,} a training step, for each sample",
        f"memory      {_bytes(memory['total'])} in float32 at batch {result['batch_size']}, {threads}: "
        f"{parts}",
    ]
    for one in result["ineffective"]:
        remedy = f"; write {one['remedy']}" if one["remedy"] else ""
        lines.append(
            f"note        {one['parameter']} of {one['layer']} changes nothing: {one['undone_by']} takes it "
            f"out again, its gradient is 0{remedy}"
        )
    lines += [f"warning     {overflow}, although its value is" for overflow in result["overflows"]]
    return "\n".join(lines)


def _shape(shape: list[int]) -> str:
    return "(" + ", ".join(map(str, ["N", *shape])) + ")"


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
