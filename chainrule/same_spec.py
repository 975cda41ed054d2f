"""Whether a run is one of a spec, and where they differ: in what both say, not in how it is written."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrule.codegen.folder import MANIFEST, Generated
from chainrule.derive.model import Spec
from chainrule.runtime.checkpoints import differences, sections
from chainrule.runtime.files import read_regular
from chainrule.runtime.program import read_manifest
from chainrule.runtime.run import PROGRAM, SPEC
from chainrule.spec.load import MOST_BYTES


def spec_differences(run: Path, spec: Spec, generated: Generated) -> list[str]:
    """Return in what the spec of a run and another differ, [] where a run of one is a run of the other.

    Comments and blanks are nothing, nor is the number of epochs: a longer run is the same run.  Raises
    RunError where the run's program has no manifest that can be read.
    """
    before = read_manifest(run / PROGRAM / generated.name)
    there = _written(run, before["spec"]["sha256"])
    if there is None:
        return list(differences(sections(before), sections(json.loads(generated.files[MANIFEST]))))
    return list(differences(_without_epochs(there), _without_epochs(tomllib.loads(spec.source))))


def other_epochs(run: Path, spec: Spec) -> int | None:
    """Return the epochs of a spec where the run in a folder began with other ones in its spec, else None."""
    there = _written(run)
    if there is None or _training(there).get("epochs") == _training(tomllib.loads(spec.source)).get("epochs"):
        return None
    return spec.training.epochs


def _written(run: Path, sha256: str | None = None) -> dict[str, Any] | None:
    """Return the spec beside a run, None where there is none, or one of another hash."""
    try:
        text = read_regular(run / SPEC, MOST_BYTES)
        if sha256 is not None and hashlib.sha256(text).hexdigest() != sha256:
            return None
        return tomllib.loads(text.decode())
    except (OSError, ValueError):
        return None


def _training(table: Mapping[str, Any]) -> dict[str, Any]:
    found = table.get("training", {})
    return found if isinstance(found, dict) else {}


def _without_epochs(table: Mapping[str, Any]) -> dict[str, Any]:
    training = {key: value for key, value in _training(table).items() if key != "epochs"}
    return {**table, "training": training}
