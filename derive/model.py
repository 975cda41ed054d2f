"""What a checked spec file says, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from chainrule.derive.library import LOSSES, Formula, Loss


@dataclass(frozen=True)
class LineColumn:
    """A line and a column of the spec file, both from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class LayerSpec:
    """One layer: a layer type, or an activation by name, and its options.

    The short form ``activation = "relu"`` of a layer stands as a layer of its own after it.
    """

    type: str
    options: Mapping[str, Any]
    place: LineColumn


@dataclass(frozen=True)
class LossSpec:
    """The loss: its name, ``mean`` or ``sum`` over the batch, the weight of Σ‖W‖², the label smoothing.

    ``soft`` says that one-hot targets are rows of probabilities, and no labels.
    """

    type: str
    reduction: str
    l2: float
    place: LineColumn
    soft: bool = False
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class OptimizerSpec:
    """The optimizer, its hyper-parameters and those around it that are given, and its schedule."""

    type: str
    options: Mapping[str, float]
    place: LineColumn
    schedule: str = "constant"

    def as_dict(self) -> dict[str, Any]:
        """Return what is given; a constant learning rate needs no word."""
        schedule = {} if self.schedule == "constant" else {"schedule": self.schedule}
        return {"type": self.type, **schedule, **self.options}


@dataclass(frozen=True)
class InlineData:
    """A data set that stands in the spec: one row a sample; ``numbered`` where targets are a plain list."""

    inputs: tuple[tuple[float, ...], ...]
    targets: tuple[tuple[float, ...], ...]
    numbered: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the table as it stands in the spec."""
        targets = [row[0] if self.numbered else list(row) for row in self.targets]
        return {"inputs": [list(row) for row in self.inputs], "targets": targets}

    @property
    def soft(self) -> bool:
        """Whether targets are rows of several numbers that are not all 0 and 1."""
        return len(self.targets[0]) > 1 and any(t not in (0, 1) for row in self.targets for t in row)


@dataclass(frozen=True)
class TrainingSpec:
    """How to train.  ``data`` is a data set's name, ``folder:PATH``, ``npz:PATH``, a table, or None."""

    data: str | InlineData | None
    batch_size: int
    epochs: int
    seed: int
    validation_split: float
    place: LineColumn
    early_stopping: int = 0
    standardize: str = "none"
    tensor_cores: str = "none"


@dataclass(frozen=True)
class AugmentationSpec:
    """What happens to the images of training batches; ``shift`` and ``cutout`` below 1 are shares."""

    flip: bool = False
    shift: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    cutout: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return what is given; empty when nothing happens."""
        return {key: value for key, value in asdict(self).items() if value}


@dataclass(frozen=True)
class Spec:
    """A checked spec file.

    ``activations`` and ``losses`` are the user's own.  ``source`` is the text without a byte order mark and
    with plain line ends, ``sha256`` its hash, ``filename`` the file's name without its folder.
    """

    name: str
    description: str
    input_shape: tuple[int, ...]
    layers: tuple[LayerSpec, ...]
    loss: LossSpec
    optimizer: OptimizerSpec
    training: TrainingSpec
    activations: Mapping[str, Formula]
    losses: Mapping[str, Loss]
    source: str
    sha256: str
    filename: str
    augmentation: AugmentationSpec = AugmentationSpec()

    @property
    def objective(self) -> Loss:
        """The formula of the loss."""
        return self.losses.get(self.loss.type) or LOSSES[self.loss.type]
