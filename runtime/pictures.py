"""Pictures of data and of an evaluation: samples, the matrix of confusions, the surest mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.runtime.datasets.dataset import Array, Dataset, as_floats
from chainrule.runtime.datasets.samples import chosen, pictures, titles
from chainrule.runtime.errors import DataError
from chainrule.runtime.evaluation import Evaluation
from chainrule.runtime.images import image_shape
from chainrule.runtime.report import STYLE, write_figure

COLUMNS, SHOWN = 8, 32  # of the picture of mistakes
FONTS = ("Noto Sans CJK KR", "Noto Sans CJK JP", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo")
ONE_LINE = 18  # letters of two classes that stand beside each other
NUMBERS = 20  # classes up to which every cell of the matrix has its number
LABELS = 60  # classes up to which each one has its label


def _style() -> dict[Any, Any]:
    """The style of pictures, with fonts for names of classes that are not in Latin letters."""
    from matplotlib.font_manager import fontManager

    present = {font.name for font in fontManager.ttflist}
    return {**STYLE, "axes.grid": False, "font.family": ["DejaVu Sans", *(n for n in FONTS if n in present)]}


def save_confusion(evaluation: Evaluation, paths: Sequence[Path]) -> None:
    """Draws the matrix of confusions, by share of each class, into each of `paths`.  Raises RunError."""
    import matplotlib
    from matplotlib.figure import Figure

    confusion, names = evaluation.confusion, [_plain(row.name) for row in evaluation.rows]
    count = len(names)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    with matplotlib.rc_context(_style()):
        side = float(np.clip(2.5 + 0.45 * count, 4.0, 12.0))
        figure = Figure(figsize=(side + 0.8, side), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        if count <= LABELS:
            axes.set_xticks(range(count), names)
            axes.set_yticks(range(count), names)
            if max(map(len, names)) > 2:
                for label in axes.get_xticklabels():
                    label.set(rotation=45, ha="right", rotation_mode="anchor")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("taken for")
        axes.set_ylabel("class")
        if count <= NUMBERS:
            for (i, j), number in np.ndenumerate(confusion):
                if number:
                    colour = "white" if shares[i, j] > 0.5 else "#333333"
                    axes.text(j, i, f"{number}", ha="center", va="center", color=colour, fontsize=8)
        figure.colorbar(image, ax=axes, shrink=0.8, label="share of the class", format="{x:.0%}")
        right = 100 * (evaluation.accuracy or 0.0)
        axes.set_title(f"{right:.2f} % of {confusion.sum():,} are right", fontsize=12)
        write_figure(figure, paths)


def save_mistakes(evaluation: Evaluation, images: Array, paths: Sequence[Path]) -> bool:
    """Draws the surest mistakes into each of `paths`; False where there are none or inputs are no images.

    `images` are the stored inputs (N, …) that `evaluation` counts its mistakes in.  Raises RunError.
    """
    import matplotlib
    from matplotlib.figure import Figure

    mistakes = evaluation.mistakes[:SHOWN]
    try:
        shape = image_shape(images.shape[1:], "")
    except DataError:
        return False
    if not mistakes:
        return False
    rows = -(-len(mistakes) // COLUMNS)
    with matplotlib.rc_context(_style()):
        figure = Figure(figsize=(1.45 * COLUMNS, 1.75 * rows + 0.5), layout="constrained")
        grid = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
        for axes in grid:
            axes.set_axis_off()
        for axes, mistake in zip(grid, mistakes, strict=False):
            values = as_floats(images[mistake.index]).reshape(shape)
            low, high = float(values.min()), float(values.max())
            if low < 0 or high > 1:  # stored standardized: stretched to what can be seen
                values = (values - low) / ((high - low) or 1)
            axes.imshow(values, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            score = f"{100 * mistake.score:.1f} %" if evaluation.probabilities else f"{mistake.score:.3g}"
            true, taken = _plain(mistake.true), _plain(mistake.taken)
            gap = " " if len(true) + len(taken) < ONE_LINE else "\n"
            axes.set_title(f"{true}{gap}→ {taken}\n{score}", fontsize=8)
        figure.suptitle("The surest mistakes: class → what it was taken for", fontsize=12)
        write_figure(figure, paths)
    return True


def save_samples(data: Dataset, path: Path) -> None:
    """Draws some training samples, of each class in turn, with what they are.  Raises RunError."""
    import matplotlib
    from matplotlib.figure import Figure

    index = chosen(data, SHOWN)
    shown = pictures(data, index)
    rows = -(-len(index) // COLUMNS)
    with matplotlib.rc_context(_style()):
        if shown is None:
            figure = Figure(figsize=(8.0, 5.0), layout="constrained")
            axes = figure.subplots()
            values = as_floats(data.train_x[index]).reshape(len(index), -1)
            figure.colorbar(
                axes.imshow(values, aspect="auto", cmap="viridis", interpolation="nearest"), ax=axes
            )
            axes.set_yticks(range(len(index)), [_plain(title) for title in titles(data, index)])
            axes.set_xlabel("number of the input")
        else:
            figure = Figure(figsize=(1.45 * COLUMNS, 1.7 * rows + 0.5), layout="constrained")
            grid = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
            for axes in grid:
                axes.set_axis_off()
            for axes, picture, title in zip(grid, shown, titles(data, index), strict=False):
                axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                axes.set_title(_plain(title), fontsize=9)
        figure.suptitle(f"{_plain(data.name)}: training samples", fontsize=12)
        write_figure(figure, [path])


def _plain(name: str) -> str:
    shown = name if len(name) <= 16 else f"{name[:15]}…"
    return shown.replace("$", r"\$")
