"""Pictures of a run: loss and accuracy against the epoch, as PNG and SVG."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chainrule.runtime.errors import RunError
from chainrule.runtime.files import write_atomically
from chainrule.runtime.result import RunResult

TRAINING, HELD_OUT, TEST = "#1f5fa8", "#d9731a", "#3a3a3a"
LOG_RANGE = 30.0  # losses that fall by more than this factor are shown on a logarithmic axis
MARKERS = 30  # points up to which each one is marked

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "chainrule",
    "svg.fonttype": "path",
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def save_curves(result: RunResult, paths: Sequence[Path]) -> None:
    """Draws the history into each of `paths`, .png or .svg; deterministic.  Raises RunError."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        accuracy = any(
            row.accuracy is not None or row.validation_accuracy is not None for row in result.history
        )
        rates = any(row.learning_rate is not None for row in result.history)
        panels = [_loss_panel, *([_accuracy_panel] if accuracy else []), *([_rate_panel] if rates else [])]
        figure = Figure(figsize=(2.0 + 4.0 * len(panels), 4.0), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            panel(axes, result)
        figure.suptitle(_title(result), fontsize=12)
        write_figure(figure, paths)


def write_figure(figure: Any, paths: Sequence[Path]) -> None:
    """Writes a figure into each of `paths`, .png or .svg; the same figure gives the same bytes.

    Raises RunError.
    """
    for path in paths:
        kind = path.suffix.removeprefix(".")
        content = io.BytesIO()
        metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # a letter that no font has is drawn as a box
            figure.savefig(content, format=kind, dpi=150, metadata=metadata)
        try:
            write_atomically(path, content.getvalue())
        except OSError as error:
            raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error


def _loss_panel(axes: Any, result: RunResult) -> None:
    rows = result.history
    _line(axes, [(row.epoch, row.loss) for row in rows], "training", TRAINING)
    held = [(row.epoch, row.validation_loss) for row in rows if row.validation_loss is not None]
    _line(axes, held, "validation", HELD_OUT)
    losses = [row.loss for row in rows] + [loss for _, loss in held]
    if min(losses) > 0 and max(losses) > LOG_RANGE * min(losses):
        axes.set_yscale("log")
    elif min(losses) >= 0:
        axes.set_ylim(0, 1.08 * max([*losses, result.test_loss or 0.0, 1e-12]))
    if result.test_loss is not None:
        axes.axhline(result.test_loss, color=TEST, linewidth=1.0, linestyle=":", label="test, at the end")
    if result.best_epoch is not None:
        label = f"lowest validation loss, epoch {result.best_epoch:,}"
        axes.axvline(result.best_epoch, color=HELD_OUT, linewidth=1.0, linestyle="--", label=label)
    _finish(axes, "loss", rows[-1].epoch)


def _accuracy_panel(axes: Any, result: RunResult) -> None:
    from matplotlib.ticker import PercentFormatter

    rows = result.history
    for key, label, colour in (
        ("accuracy", "training", TRAINING),
        ("validation_accuracy", "validation", HELD_OUT),
    ):
        values = [(row.epoch, getattr(row, key)) for row in rows if getattr(row, key) is not None]
        _line(axes, values, label, colour)
    if result.test_accuracy is not None:
        axes.axhline(result.test_accuracy, color=TEST, linewidth=1.0, linestyle=":", label="test, at the end")
    axes.margins(y=0.12)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0.0) if high - low > 0.02 else high - 0.02, min(high, 1.002))
    _finish(axes, "accuracy", rows[-1].epoch)


def _rate_panel(axes: Any, result: RunResult) -> None:
    """The learning rate of the last step of each epoch."""
    rates = [(row.epoch, row.learning_rate) for row in result.history if row.learning_rate is not None]
    _line(axes, rates, "", TRAINING)
    axes.set_ylim(0, 1.08 * max(rate for _, rate in rates) or 1.0)
    _finish(axes, "learning rate", result.history[-1].epoch)


def _line(axes: Any, points: Sequence[tuple[int, Any]], label: str, colour: str) -> None:
    if points:
        marker = "o" if len(points) <= MARKERS else ""
        x, y = zip(*points, strict=True)
        axes.plot(x, y, color=colour, label=label, marker=marker, markersize=4, linewidth=1.6)


def _finish(axes: Any, name: str, last: int) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.set_xlabel("epoch")
    axes.set_ylabel(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if last == 1:
        axes.set_xlim(0, 2)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()


def _title(result: RunResult) -> str:
    name = result.name.replace("$", r"\$")
    if result.status != "finished":
        return f"{name}: {result.status} after {result.epochs:,} epochs"
    if result.end is None:
        return f"{name}: {_epochs(result.epochs)}"
    part, end = result.end_part, result.end
    if end.accuracy is not None:
        return f"{name}: {100 * end.accuracy:.2f} % {part} accuracy after {_epochs(result.epochs)}"
    return f"{name}: {part} loss {end.loss:.4g} after {_epochs(result.epochs)}"


def _epochs(count: int) -> str:
    return f"{count:,} epoch{'' if count == 1 else 's'}"
