"""What a layer computes with the options that it has by itself."""

from __future__ import annotations

from typing import Any

from chainrule.derive.layers import LAYERS, Forward
from chainrule.spec.tables import default_value


def options_of(kind: str, **given_: Any) -> dict[str, Any]:
    """Return the options of a layer, defaults filled in."""
    fields = LAYERS[kind].fields
    return {f.name: default_value(f) for f in fields if not f.required} | given_


def forward(kind: str, shape: tuple[int, ...], **options: Any) -> Forward:
    return LAYERS[kind].forward(shape, options_of(kind, **options))
