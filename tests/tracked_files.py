"""The files of the tree that are under version control."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
# The folders of the package: what tests hold every other list of them against.
PACKAGES = ("chainrule", "formula", "derive", "spec", "present", "lectures", "codegen", "runtime", "cli")


def tracked(*patterns: str) -> list[Path]:
    """The files under version control that match one of the patterns; * goes across folders."""
    command = ["git", "ls-files", "-z", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts(*patterns: str) -> Iterator[tuple[str, str]]:
    """Path and content of each tracked text file."""
    for path in tracked(*patterns):
        content = path.read_bytes()
        if b"\0" not in content and not path.name.endswith((".gz", ".npz", ".png", ".pdf")):
            yield path.relative_to(ROOT).as_posix(), content.decode("utf-8")
