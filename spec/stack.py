"""The layers of a spec put on one another: where they do not fit, and what loss and data ask of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from chainrule.derive.layers import LAYERS, ShapeError
from chainrule.derive.library import ACTIVATIONS, ONE_HOT, PROBABILITIES, SHARES, VALUES, Loss
from chainrule.derive.model import AugmentationSpec, InlineData, LayerSpec
from chainrule.derive.shapes import ShapeWalk
from chainrule.spec.kinds import CLASSES, DATA_SETS
from chainrule.spec.positions import Path
from chainrule.spec.tables import TableReader, label

MOST_PARAMETERS: Final = 2**31


@dataclass(frozen=True)
class Size:
    """How many parameters a network has, and the bytes that they take in float32."""

    parameters: int

    @property
    def bytes(self) -> int:
        return 4 * self.parameters

    def __str__(self) -> str:
        size = float(self.bytes)
        for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
            if size < 1024:
                return f"{self.parameters:,} parameters, {size:.4g} {unit} in float32"
            size /= 1024
        return f"{self.parameters:,} parameters, {size:,.4g} EiB in float32"


@dataclass(frozen=True)
class _Entry:
    """A layer, and the path of the table it stands in."""

    layer: LayerSpec
    path: Path


class Stack:
    """Takes the layers in order and reports what does not fit."""

    def __init__(self, reader: TableReader, input_shape: tuple[int, ...]) -> None:
        self.reader = reader
        self.input_shape = input_shape
        self.walk = ShapeWalk(input_shape)
        self.parameters = 0
        self.entries: list[_Entry] = []
        if math.prod(input_shape) > MOST_PARAMETERS:
            self._too_large(("input", "shape"), f"one sample has {math.prod(input_shape):,} values")

    def add(self, layer: LayerSpec, path: Path) -> bool:
        """Put a layer on top; returns False after reporting that it does not fit."""
        self.entries.append(_Entry(layer, path))
        try:
            steps = self.walk.through(layer)
        except ShapeError as error:
            self._misfit(layer, path, error)
            return False
        before = self.parameters
        self.parameters += sum(step.parameter_count for step in steps)
        if before <= MOST_PARAMETERS < self.parameters:
            self._too_large(path, f"with this layer the network has {Size(self.parameters)}")
            return False
        if _gives(layer.type) == PROBABILITIES and math.prod(self.shape) == 1:
            message = f"{label(path)}: {layer.type} over 1 unit is always 1, so nothing would train"
            remedy = 'use 2 units, or sigmoid with the loss "binary_cross_entropy"'
            self.reader.at_key("E405", self._activation_path(path), message, hint=remedy)
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample of the output so far."""
        return self.walk.shape

    def _misfit(self, layer: LayerSpec, path: Path, error: ShapeError) -> None:
        before = "the input"
        if len(self.entries) > 1:
            last = self.entries[-2]
            before = f"{label(last.path)} ({last.layer.type})"
        message = str(error)
        option = message.partition(" ")[0]
        place = (*path, option) if option in layer.options else path
        text = f"{label(path)} ({layer.type}) after {before}, which gives {_show(self.shape)}: {message}"
        self.reader.at_key(
            "E406" if option in ("weights", "biases") else "E401", place, text, hint=error.remedy
        )

    def _too_large(self, path: Path, what: str) -> None:
        limit = f"at most {MOST_PARAMETERS:,} (8 GiB in float32)"
        self.reader.at_key("E402", path, f"{label(path)}: {what}", expected=limit)

    def _activation_path(self, path: Path) -> Path:
        short = (*path, "activation")
        return short if short in self.reader.positions.keys else path

    # ---- loss ------------------------------------------------------------------------------

    def check_loss(self, name: str, loss: Loss) -> None:
        """Report a loss that cannot follow the last layer."""
        place = ("loss", "type")
        last = self._last_value_layer()
        given = _gives(last)
        if loss.targets == ONE_HOT and given != PROBABILITIES:
            message = f'loss.type = "{name}" after {last}: it takes probabilities that sum to 1'
            single = math.prod(self.shape) == 1
            remedy = 'or use "binary_cross_entropy" after sigmoid' if single else 'or use the loss "mse"'
            self.reader.at_value("E403", place, message, hint=f"end the network with softmax, {remedy}")
        if loss.targets == SHARES and given == VALUES:
            message = f'loss.type = "{name}" after {last}: its outputs are not within 0 and 1'
            self.reader.at_value("E404", place, message, hint='end the network with activation = "sigmoid"')

    def _last_value_layer(self) -> str:
        """Return the type of the layer that last changed values."""
        kinds = [entry.layer.type for entry in self.entries]
        changing = [name for name in kinds if name not in LAYERS or not LAYERS[name].moves_only]
        return changing[-1] if changing else "the input"

    # ---- data ------------------------------------------------------------------------------

    def check_data(self, data: str | InlineData | None, loss: Loss | None) -> None:
        """Report data that does not fit the input, the output or the loss."""
        if isinstance(data, InlineData):
            self._check_rows(data, loss)
        elif data in DATA_SETS:
            image = DATA_SETS[data]
            if math.prod(self.input_shape) != math.prod(image):
                message = f'input.shape = {list(self.input_shape)}, but "{data}" has images of {_show(image)}'
                self.reader.at_value("E505", ("input", "shape"), message, hint=f"use shape = {list(image)}")
            classes = CLASSES.get(data, 10)
            if math.prod(self.shape) != classes:
                message = (
                    f'training.data = "{data}" has {classes} classes, the network gives {_show(self.shape)}'
                )
                self.reader.at_value("E505", ("training", "data"), message, hint=f"end with {classes} units")

    def check_augmentation(self, augmentation: AugmentationSpec) -> None:
        """Report an augmentation of inputs that are no images, or beyond the image."""
        shape = self.input_shape
        if augmentation != AugmentationSpec() and len(shape) != 3:
            message = f"[augmentation] is for images, input.shape = {list(shape)} is none"
            hint = "write shape = [height, width, channels], or leave the table out"
            self.reader.at_key("E508", ("augmentation",), message, hint=hint)
            return
        for key, most in (("shift", min(shape[:2]) - 1), ("cutout", min(shape[:2]))):
            extent = getattr(augmentation, key)
            if extent > most >= 1:
                message = f"augmentation.{key} = {extent:g}, but an image is {shape[0]} × {shape[1]} pixels"
                self.reader.at_value("E508", ("augmentation", key), message, expected=f"at most {most}")

    def _check_rows(self, data: InlineData, loss: Loss | None) -> None:
        for key, rows, shape in (
            ("inputs", data.inputs, self.input_shape),
            ("targets", data.targets, self.shape),
        ):
            size = math.prod(shape)
            if len(rows[0]) != size and not (key == "targets" and data.numbered):
                path = ("training", "data", key)
                what = "input.shape" if key == "inputs" else "the network's output"
                message = f"{label(path)} has rows of {len(rows[0])} numbers; {what} is {_show(shape)}"
                self.reader.at_value("E503", path, message, expected=f"rows of {size}")
        classes = math.prod(self.shape)
        for i, row in enumerate(data.targets):
            numbered = data.numbered and classes > 1
            fault = _label_fault(row[0], classes) if numbered else _target_fault(row, loss)
            if fault:
                place = ("training", "data", "targets", i)
                self.reader.at_value("E506", place, f"{label(place)}: {fault}")


def _label_fault(value: float, classes: int) -> str:
    if value == int(value) and 0 <= value < classes:
        return ""
    return f"{value:g} is no label of {classes} classes, which are 0 … {classes - 1}"


def _target_fault(row: tuple[float, ...], loss: Loss | None) -> str:
    wanted, within = loss.targets if loss else VALUES, all(0 <= t <= 1 for t in row)
    if wanted == SHARES and not within:
        return "targets of the binary cross-entropy are from 0 to 1"
    if wanted == ONE_HOT and not (within and math.isclose(sum(row), 1, abs_tol=1e-6)):
        return "targets of the cross-entropy are probabilities that sum to 1"
    return ""


def _gives(name: str) -> str:
    """Return what the values of a layer or an activation are, "" for one that is not built in."""
    known = LAYERS.get(name) or ACTIVATIONS.get(name)
    return known.gives if known else ""


def _show(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def explicit_values_fault(options: dict[str, Any], defaults: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (key, problem) for explicit starting values that contradict another option of a layer."""
    faults = []
    for values, init in (("weights", "init"), ("biases", "bias_init")):
        if options.get(values) is not None and options.get(init) != defaults.get(init):
            faults.append((init, f"{values} are given, so {init} has no meaning; leave one of them out"))
    if options.get("biases") is not None and options.get("bias") is False:
        faults.append(("biases", "bias = false, so there are no biases to start; leave one of them out"))
    return faults
