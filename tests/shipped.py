"""The specs that come with the project, and those of them whose networks differ."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))


def _network(path: Path) -> str:
    """What equations follow from: neither names nor data, nor the values of an optimizer's settings."""
    spec = tomllib.loads(path.read_text(encoding="utf-8"))
    optimizer = {key: key == "type" and value for key, value in spec.pop("optimizer", {}).items()}
    settings = ("name", "description", "training", "augmentation")
    return repr([{k: v for k, v in spec.items() if k not in settings}, sorted(optimizer.items())])


# Specs of the same equations have the same kernels, pages and gradients: one of them is looked at.
NETWORKS = list({_network(path): path for path in reversed(EXAMPLES)}.values())[::-1]
