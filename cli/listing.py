"""What ``derive list`` names."""

from __future__ import annotations

import tomllib
from pathlib import Path

from chainrule.derive.layers import LAYERS
from chainrule.derive.library import ACTIVATIONS, LOSSES, OPTIMIZERS
from chainrule.derive.prose import _, say
from chainrule.lectures import TOPICS

HEADINGS = {
    "topics": _("topics"),
    "layers": _("layers"),
    "activations": _("activations"),
    "losses": _("losses"),
    "optimizers": _("optimizers"),
    "specs": _("specs"),
}
NONE = _("none here; `derive new NAME` writes one")
EXAMPLES = Path(__file__).parent.parent / "examples"


def listing() -> dict[str, dict[str, str]]:
    """Return, by heading, names and descriptions in the reader's language."""
    return {
        "topics": {name: say(line) for name, line in TOPICS.items()},
        "layers": {name: say(layer.description) for name, layer in sorted(LAYERS.items())},
        "activations": {name: formula.text for name, formula in ACTIVATIONS.items()},
        "losses": {name: formula.text for name, formula in LOSSES.items()},
        "optimizers": {
            name: "; ".join(f"{left} = {right}" for left, right in optimizer.update)
            for name, optimizer in OPTIMIZERS.items()
        },
        "specs": {str(path): _description(path) for path in _specs()},
    }


def _specs() -> list[Path]:
    """Return the specs of the folder examples/, wherever the command is called from."""
    here = Path("examples")
    folder = here if here.is_dir() else EXAMPLES
    return sorted(folder.glob("*.toml"))


def _description(path: Path) -> str:
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8")).get("description", ""))
    except (OSError, ValueError):
        return "(cannot be read)"
