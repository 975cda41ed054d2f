"""What the symbols of a C program begin with."""

from __future__ import annotations

import re


def identifier(name: str) -> str:
    """Return a spec's name as a C identifier."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"n{plain}" if plain[:1].isdigit() else plain
