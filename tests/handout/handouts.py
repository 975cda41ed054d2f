"""Handouts of the examples, and what a browser shows of one."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from chainrule.cli.handout.document import Handout, handout_of, page
from chainrule.derive.reader import Reader, reading
from chainrule.spec import load_spec

ROOT = Path(__file__).parent.parent.parent


def spec_of(name: str) -> Any:
    return load_spec(ROOT / "examples" / f"{name}.toml")


@cache
def handout(name: str, form: str = "matrix") -> Handout:
    return handout_of(spec_of(name), form=form, gradcheck=name == "mnist_mlp")


def written(shown: Handout, *reader: str) -> str:
    """The page for a reader: language, notation, batch."""
    with reading(Reader(*reader)):
        return page(shown)


def recorded_map(name: str) -> dict[int, list[int]]:
    """Equation → lines, as the manifest in the repository has it."""
    manifest = json.loads((ROOT / "generated" / name / "manifest.json").read_text(encoding="utf-8"))
    return {each["number"]: each["lines"]["numpy_trainer.py"] for each in manifest["equations"]}


@dataclass
class Opened:
    """A page in the browser, with what it asked the network for and what it complained of."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
