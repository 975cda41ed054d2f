"""Where the user's cache is: of data sets that were fetched, of equations that were derived."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

CACHE_VARIABLE: Final = "CHAINRULE_CACHE"


def cache_folder() -> Path:
    """Return $CHAINRULE_CACHE, or the folder `chainrule` in the system's own cache folder.

    Raises RuntimeError where the user has no home folder.
    """
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "chainrule"
    above = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (Path(above) if above else Path.home() / ".cache") / "chainrule"
