"""Image files of one's own, through a trained network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.runtime.images import border, image_shape, read_image, strict_sizes
from chainrule.runtime.run import Run, class_scores
from chainrule.runtime.trainer import Array

OVER = 1.5  # beyond, training inputs were on another scale than pictures of 0 … 1
OTHER = 0.5  # how far in brightness the border of an inverted image is from that of training images


@dataclass(frozen=True)
class Prediction:
    """An image's classes, the likeliest first, with their scores; `way` leads from the file to the array.

    Where outputs are no classes, `scores` holds all of them, in order.
    """

    path: Path
    way: tuple[str, ...]
    scores: tuple[tuple[str, float], ...]
    probabilities: bool

    def to_json(self) -> dict[str, Any]:
        """The prediction as JSON values."""
        what = "probability" if self.probabilities else "score"
        return {
            "image": str(self.path),
            "way": list(self.way),
            "classes": [{"class": name, what: score} for name, score in self.scores],
        }


def predict_images(
    run: Run, paths: Sequence[Path], *, top: int = 3, invert: bool | None = None, fit: str = "crop"
) -> list[Prediction]:
    """The `top` classes of each image.  Raises DataError for a file that is no image, and other inputs.

    Pixels become what the run was trained on: the size and channels (`fit` as in `read_image`), black and
    white exchanged if `invert` says so or, when it is None, if training images have a dark border and this
    one a bright one, or the other way round, 0 … 255 as 0 … 1, and the run's standardizing.  Of more than
    8 bits, what became 255 in training becomes it here, too.
    """
    shape = image_shape(run.program.input_shape, run.program.name)
    found = []
    with strict_sizes():
        for path in paths:
            picture = read_image(path, shape, fit, run.full_scale)
            way, pixels = list(picture.way), picture.pixels
            reason = _reason_to_invert(pixels, run.preprocessing.background) if invert is None else "as asked"
            if invert or (invert is None and reason):
                pixels = 255 - pixels
                way.append(f"inverted ({reason})")
            way.append("/255")
            if run.span is not None and (run.span[0] < 0 or run.span[1] > OVER):
                low, high = run.span
                way.append(f"0 … 1, although training inputs were {low:.4g} … {high:.4g}")
            if run.preprocessing:
                way.append(run.preprocessing.standardize)
            x = pixels.reshape(1, *run.program.input_shape)
            way.append(f"{' × '.join(str(size) for size in x.shape)} float32")
            scores, probabilities = _ranked(run, run.outputs(x), top)
            found.append(Prediction(path, tuple(way), scores, probabilities))
    return found


def _reason_to_invert(pixels: Array, background: float | None) -> str:
    """Why black and white are to be exchanged; empty where they are not."""
    brightness = float(np.median(border(pixels[None]))) / 255
    if background is None or abs(brightness - background) < OTHER:
        return ""
    return f"border {brightness:.2f}, of training images {background:.2f}"


def _ranked(run: Run, outputs: Array, top: int) -> tuple[tuple[tuple[str, float], ...], bool]:
    if not run.classification:
        values = outputs.reshape(-1)
        return tuple((f"y{k}", float(value)) for k, value in enumerate(values, 1)), False
    (scores,), probabilities = class_scores(outputs)
    order = np.argsort(-scores, kind="stable")[:top]
    return tuple((run.class_names[k], float(scores[k])) for k in order), probabilities
