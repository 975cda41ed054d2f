"""The folder of a generated program: what is written to it, what it lists, what in it is out of date.

Nothing is derived here, and nothing is imported that derives.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chainrule.runtime.files import NotRead, read_json, write_atomically

MANIFEST: Final = "manifest.json"


class OutputRefused(ValueError):
    """A folder that is not written to without force; the message shows why (for edited files, the diff)."""


@dataclass(frozen=True)
class Generated:
    """What the generator writes for a spec: the files of one folder, by name."""

    name: str
    files: dict[str, str]

    def __repr__(self) -> str:
        return f"<program of {self.name}: {', '.join(self.files)}>"


def write(generated: Generated, output: Path, force: bool = False) -> Path:
    """Write the folder ``output``/name and return it.

    Raises OutputRefused, unless forced, for an output outside the current folder, through a symbolic link, or
    over a file that somebody edited; OSError, with the file's name, where it cannot be written: then no new
    folder is left empty.
    """
    folder = output / generated.name
    if not force:
        _require_safe(output, folder, generated)
        _require_unedited(generated, folder)
    made: list[Path] = []
    try:
        for name, text in generated.files.items():
            path = folder / name
            made += _make(path.parent)
            write_atomically(path, text.encode())
    except OSError:
        for empty in reversed(made):
            with contextlib.suppress(OSError):
                empty.rmdir()
        raise
    return folder


def _make(folder: Path) -> list[Path]:
    """Make a folder and return those that were made for it, the outermost first."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def recorded_targets(folder: Path) -> set[str]:
    """Return the targets that the manifest of a generated folder lists, if there is one, known or not."""
    found = _manifest_of(folder).get("targets")
    return set(found) if isinstance(found, dict) else set()


def stale(generated: Generated, output: Path) -> dict[str, str]:
    """Return, by path, how files in ``output``/name differ from what would be generated; {} if none does."""
    differences = {}
    for name, text in generated.files.items():
        path = output / generated.name / name
        found = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
        if found != text:
            differences[str(path)] = "missing" if found is None else _diff(found, text, str(path))
    return differences


def _diff(old: str, new: str, name: str, most: int = 40) -> str:
    lines = list(
        difflib.unified_diff(
            old.splitlines(), new.splitlines(), name, "what the spec gives", lineterm="", n=1
        )
    )
    return "\n".join(lines[:most] + ([f"… {len(lines) - most} more lines"] if len(lines) > most else []))


def _require_safe(output: Path, folder: Path, generated: Generated) -> None:
    if output.is_absolute() or ".." in output.parts:
        raise OutputRefused(f"{output} leads out of the current folder; choose one inside it, or use --force")
    inside = {each for name in generated.files for each in (folder / name, (folder / name).parent)}
    for path in (*reversed(folder.parents), folder, *sorted(inside)):
        if path.is_symlink():
            raise OutputRefused(f"{path} is a symbolic link; choose a real folder, or use --force")


def _require_unedited(generated: Generated, folder: Path) -> None:
    if not folder.exists():
        return
    recorded = _recorded(folder)
    if (folder / MANIFEST).exists() and not recorded:
        raise OutputRefused(
            f"{folder / MANIFEST} is not the generator's and would be overwritten; choose another folder, or "
            "use --force"
        )
    for name, text in generated.files.items():
        path = folder / name
        if name == MANIFEST or not path.exists():
            continue
        found = path.read_text(encoding="utf-8", errors="replace")
        if found == text:
            continue
        if recorded.get(name) != sha256(found):
            raise OutputRefused(
                f"{path} was edited by hand and would be overwritten; keep your changes elsewhere, or use "
                f"--force\n{_diff(found, text, str(path))}"
            )


def _recorded(folder: Path) -> dict[str, str]:
    files = _manifest_of(folder).get("files")
    return files if isinstance(files, dict) else {}


def _manifest_of(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder, {} where there is none that can be read."""
    try:
        manifest = read_json(folder / MANIFEST)
    except (OSError, NotRead):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def sha256(text: str) -> str:
    """Return the hash of a text, as manifests have it."""
    return hashlib.sha256(text.encode()).hexdigest()
