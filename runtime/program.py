"""A generated training program, loaded from its folder: `manifest.json` and the file of a target."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import DTypeLike

from chainrule.runtime.errors import DeviceError, EditedProgramWarning, RunError
from chainrule.runtime.files import NotRead, read_json
from chainrule.runtime.settings import NUMPY
from chainrule.runtime.threads import threads
from chainrule.runtime.trainer import FUNCTIONS, TABLES, Parameters, Trainer

if TYPE_CHECKING:
    from chainrule.runtime.batches import Batches

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class LoadedProgram:
    """A loaded program: its manifest, checked, and its module."""

    directory: Path
    manifest: Mapping[str, Any]
    module: Trainer
    target: str = NUMPY
    on_device: bool = False  # whether it computes on a GPU
    compiler: str | None = None  # what compiled it
    wide: bool = True  # whether it computes in every float type that NumPy has

    @property
    def name(self) -> str:
        """The name of the spec."""
        return str(self.manifest["name"])

    @property
    def path(self) -> Path:
        """The file of the program."""
        return self.directory / str(self.manifest["targets"][self.target])

    @property
    def spec_sha256(self) -> str:
        """SHA-256 of the spec file the program was generated from."""
        return str(self.manifest["spec"]["sha256"])

    @cached_property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input sample."""
        return tuple(int(size) for size in self.manifest["input"]["shape"])

    @cached_property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the output for one sample."""
        return tuple(int(size) for size in self.manifest["output"]["shape"])

    @property
    def target_kind(self) -> str:
        """ "labels" for (N,) integers, "values" for (N, …) floats."""
        return str(self.manifest["target"]["kind"])

    @property
    def classification(self) -> bool:
        """Whether outputs are scores of classes, so that an accuracy has a meaning."""
        return bool(self.manifest["classification"])

    @property
    def classes(self) -> int:
        """Number of classes that labels may name: the size of the output, 2 for a single output."""
        size = int(np.prod(self.output_shape, dtype=np.int64))
        return size if size > 1 else 2

    @property
    def takes(self) -> dict[str, Any]:
        """What inputs and targets it takes, as `load_dataset` wants to know."""
        return {
            "input_shape": self.input_shape,
            "output_shape": self.output_shape,
            "target_kind": self.target_kind,
            "classes": self.classes,
            "loss": self.loss_type,
        }

    @property
    def loss_type(self) -> str:
        """The type of the loss in the spec ("cross_entropy", "mse", …), empty when the manifest has none."""
        return str(self.manifest["loss"].get("type", ""))

    @property
    def training(self) -> Mapping[str, Any]:
        """The spec's own data, batch_size, epochs, seed and validation_split."""
        return cast("Mapping[str, Any]", self.manifest["training"])

    @property
    def flops(self) -> int:
        """Floating-point operations of a sample in training; 0 where the manifest does not tell."""
        return int(self.manifest.get("flops", {}).get("training", 0))

    @property
    def threads(self) -> int | None:
        """How many threads of this processor it computes on; None where nobody knows, or on a device."""
        if self.on_device:
            return None
        return getattr(self.module, "THREADS", None) or threads()

    def init_parameters(self, seed: int, dtype: DTypeLike = np.float32) -> Parameters:
        """Starting parameters and statistics, name → array of `dtype`."""
        return self.module.init_parameters(seed, dtype)

    def batches(self, batches: Batches) -> Batches:
        """The same batches, where the program wants its data."""
        place = getattr(self.module, "batches", None)
        return place(batches) if place is not None else batches


def load_program(
    directory: Path | str, *, edited: str = "warn", target: str = NUMPY, threads: int | None = None
) -> LoadedProgram:
    """The program in a generated folder.

    `edited` says what to do when a file differs from its recorded hash: "warn" (an EditedProgramWarning),
    "refuse" or "allow".  A program for another `target` than NumPy takes and gives NumPy arrays all the same;
    one with `threads` of its own computes on so many.
    Raises RunError when the folder is no generated program of this format, or not one for this target,
    DeviceError where a program must be compiled first and no compiler does it.
    """
    folder = Path(directory)
    manifest = read_manifest(folder)
    changed = edited_files(folder, manifest)
    if changed and edited != "allow":
        names = ", ".join(changed)
        text = (
            f"{folder}: {names} differ(s) from what was generated, and run(s) as edited; generate again to "
            "get the original back"
        )
        if edited == "refuse":
            raise RunError(text)
        warnings.warn(text, EditedProgramWarning, stacklevel=2)
    if target not in manifest["targets"]:
        raise RunError(
            f"{folder}: no program for {target}; `derive generate --target {target}` writes one, for a run's "
            f"folder --regenerate --target {target}"
        )
    path = folder / str(manifest["targets"][NUMPY])
    module = _checked(import_program(path), manifest, path)
    on_device, compiler = False, None
    if target != NUMPY:
        path = folder / str(manifest["targets"][target])
        other: Any = import_program(path)
        on_device = hasattr(other, "step_on_device")
        if on_device:
            from chainrule.runtime.device import DeviceTrainer

            other = DeviceTrainer(other, module)
        elif hasattr(other, "CompilerMissing"):
            other.THREADS = threads or other.THREADS
            try:
                _, compiler = other.library_found(np.float32)
            except other.CompilerMissing as error:
                raise DeviceError(f"{manifest['name']}: {error}") from error
        module = _checked(other, manifest, path)
    return LoadedProgram(folder, MappingProxyType(manifest), module, target, on_device, compiler=compiler)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a generated folder, its entries checked.  Raises RunError."""
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(f"{path}: not found; `derive generate SPEC` writes such a folder") from error
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror or error})") from error
    except NotRead as error:
        raise RunError(f"{path}: cannot be read as JSON ({error}); generate the program again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise RunError(f"{path}: format {found!r}, this version reads format {FORMAT}; generate it again")
    try:
        sizes = (*manifest["input"]["shape"], *manifest["output"]["shape"])
        targets = [Path(str(name)) for name in manifest["targets"].values()]
        complete = (
            all(type(size) is int and size > 0 for size in sizes)
            and manifest["target"]["kind"] in ("labels", "values")
            and isinstance(manifest["classification"], bool)
            and all(isinstance(manifest[key], dict) for key in ("spec", "files", "loss", "training"))
            and all(isinstance(key, str) for key in (manifest["name"], manifest["spec"]["sha256"]))
            and all(isinstance(row["name"], str) and tuple(row["shape"]) for row in manifest["parameters"])
            and NUMPY in manifest["targets"]
            and not any(name.is_absolute() or ".." in name.parts for name in targets)
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: entry missing or wrong ({error!r}); generate the program again") from error
    if not complete:
        raise RunError(f"{path}: an entry has the wrong type; generate the program again")
    return manifest


def edited_files(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Names of recorded files in `folder` that are missing or have another SHA-256, in order of name."""
    changed = []
    for name, recorded in sorted(manifest["files"].items()):
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != recorded:
            changed.append(name)
    return changed


def import_program(path: Path) -> ModuleType:
    """The module at `path`, outside `sys.modules` and without a bytecode file beside it."""
    if not path.is_file():
        raise RunError(f"{path}: not found; generate the program again")
    name = f"chainrule_program_{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RunError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RunError(f"{path}: cannot be imported ({type(error).__name__}: {error})") from error
    finally:
        sys.dont_write_bytecode = keep
    return module


def _checked(module: object, manifest: Mapping[str, Any], path: Path) -> Trainer:
    missing = [name for name in FUNCTIONS if not callable(getattr(module, name, None))]
    missing += [name for name in TABLES if not isinstance(getattr(module, name, None), dict)]
    if missing:
        raise RunError(f"{path}: {', '.join(missing)} missing; generate the program again")
    trainer = cast("Trainer", module)
    recorded = {row["name"]: tuple(row["shape"]) for row in manifest["parameters"]}
    present = {name: tuple(shape) for name, shape in trainer.PARAMETERS.items()}
    if recorded != present:
        differing = sorted(
            name for name in recorded.keys() | present.keys() if recorded.get(name) != present.get(name)
        )
        raise RunError(
            f"{path}: {', '.join(differing)} differ(s) between the program and {MANIFEST}; generate it again"
        )
    return trainer
