"""The spec file: TOML in, a checked ``Spec`` or every problem with its place out.

The names are found in their modules when they are asked for, because the layers, which the spec is checked
against, themselves describe their keys with ``chainrule.derive.fields``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainrule.derive.model import (
        AugmentationSpec,
        InlineData,
        LayerSpec,
        LossSpec,
        OptimizerSpec,
        Place,
        Spec,
        TrainingSpec,
    )
    from chainrule.spec.documents import field_documentation, json_schema, starter
    from chainrule.spec.initializers import Initializer, parse_initializer
    from chainrule.spec.load import load_spec, parse_spec
    from chainrule.spec.network import Estimate, estimate
    from chainrule.spec.problems import Problem, SpecError

_MODULES = {
    "spec.documents": ("field_documentation", "json_schema", "starter"),
    "spec.initializers": ("Initializer", "parse_initializer"),
    "spec.load": ("load_spec", "parse_spec"),
    "derive.model": (
        "AugmentationSpec",
        "InlineData",
        "LayerSpec",
        "LossSpec",
        "OptimizerSpec",
        "Place",
        "Spec",
        "TrainingSpec",
    ),
    "spec.network": ("Estimate", "estimate"),
    "spec.problems": ("Problem", "SpecError"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "AugmentationSpec",
    "Estimate",
    "Initializer",
    "InlineData",
    "LayerSpec",
    "LossSpec",
    "OptimizerSpec",
    "Place",
    "Problem",
    "Spec",
    "SpecError",
    "TrainingSpec",
    "estimate",
    "field_documentation",
    "json_schema",
    "load_spec",
    "parse_initializer",
    "parse_spec",
    "starter",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"chainrule.{_HOME[name]}"), name)
