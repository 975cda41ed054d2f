"""Layers: each module beside this one is one layer, and a layer is its forward equations.

A new layer is a new module with a ``LAYER``; it is found by being here.
"""

from __future__ import annotations

import importlib
import pkgutil

from chainrule.derive.layers.layer import Forward, LayerType, Noise, Parameter, ShapeError


def _discover() -> dict[str, LayerType]:
    modules = (importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__))
    layers = (module.LAYER for module in modules if hasattr(module, "LAYER"))
    return {layer.name: layer for layer in layers}


LAYERS = _discover()

__all__ = ["LAYERS", "Forward", "LayerType", "Noise", "Parameter", "ShapeError"]
