"""Install chainrule beside packages of the index that are called as its folders are, and see that all work.

    python tools/coexist.py [PYTHON]

In environments of their own, thrown away afterwards: what installing adds, then both orders.  It needs pip's
index; `make coexist` runs it.  What the index lacks for this Python is named and left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parent.parent
# Name on the index: what else it needs to be imported.
STRANGERS = {"derive": (), "codegen": (), "runtime": ("greenlet",)}
PIP = ("--quiet", "--disable-pip-version-check", "--no-input")


class Environment:
    """A virtual environment with pip."""

    def __init__(self, path: Path, python: str) -> None:
        run(python, "-m", "venv", str(path))
        self.path, self.python = path, str(path / "bin" / "python")

    def install(self, *what: str) -> bool:
        return succeeds(self.python, "-m", "pip", "install", *PIP, *what)

    def names(self) -> set[str]:
        """The top-level names that can be imported, and the scripts as bin/NAME."""
        (site,) = self.path.glob("lib/python*/site-packages")
        here = {path.name.removesuffix(".py") for path in site.iterdir() if "." not in path.stem}
        return here | {f"bin/{path.name}" for path in (self.path / "bin").iterdir()}

    def imports(self, name: str) -> str:
        """Where a name is imported from, below the environment, or the last line of what went wrong."""
        done = called(self.python, "-c", f"import {name}; print({name}.__file__)")
        text = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
        return text[-1].replace(str(self.path), "") if text else f"exit code {done.returncode}"

    def require_ours(self) -> None:
        """The command must name the topics, by its script and as a module."""
        for command in ([str(self.path / "bin" / "derive")], [self.python, "-m", "chainrule"]):
            done = called(*command, "list")
            if done.returncode or "softmax-cross-entropy" not in done.stdout:
                fail(f"{' '.join(command)} list: exit code {done.returncode}\n{done.stderr}")


def main() -> None:
    """Print what was seen; exit 1 with the first thing that is wrong."""
    python = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        wheel = built(top, python)
        ours = Environment(top / "ours", python)
        ours.install("--require-hashes", "--requirement", str(ROOT / "requirements" / "run.txt"))
        before = ours.names()
        if not ours.install("--no-deps", wheel):
            fail("chainrule does not install")
        if (new := ours.names() - before) != {"chainrule", "bin/derive"}:
            fail(f"installing adds {', '.join(sorted(new))}")
        ours.require_ours()
        print("installing adds chainrule and bin/derive alone")

        alone = Environment(top / "alone", python)
        there = {name: more for name, more in STRANGERS.items() if alone.install(name, *more)}
        for name in STRANGERS.keys() - there.keys():
            print(f"{name}: none on the index for this Python; left out")
        strangers = [each for name, more in there.items() for each in (name, *more)]
        scripts = alone.names() & {"bin/derive"}
        print(f"scripts of theirs that have our name: {', '.join(scripts) or 'none'}")
        for order in ((strangers, [wheel]), ([wheel], strangers)):
            both = Environment(top / f"both-{order[0] == strangers}", python)
            if not all(both.install(*what) for what in order):
                fail(f"{' '.join(order[0])}, then {' '.join(order[1])}: pip refuses")
            both.require_ours()
            for name in there:
                if (here := both.imports(name)) != alone.imports(name):
                    fail(f"{name} was imported from {alone.imports(name)}, beside chainrule: {here}")
                print(f"{'after' if order[1] is strangers else 'before'} chainrule: {name} is {here}")


def built(top: Path, python: str) -> str:
    """The wheel of the source distribution of the last commit."""
    maker = Environment(top / "maker", python)
    if not maker.install("build"):
        fail("pip cannot install build")
    copy = top / "source"
    run("git", "clone", "--quiet", str(ROOT), str(copy))
    run(maker.python, "-m", "build", "--outdir", str(top / "dist"), str(copy))
    (wheel,) = (top / "dist").glob("*.whl")
    return str(wheel)


def called(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command away from this repository, whose folders could be imported."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    where = tempfile.gettempdir()
    return subprocess.run(command, cwd=where, env=bare, capture_output=True, text=True)  # noqa: S603


def succeeds(*command: str) -> bool:
    return called(*command).returncode == 0


def run(*command: str) -> None:
    done = called(*command)
    if done.returncode:
        fail(f"{' '.join(command)}\n{done.stderr}")


def fail(message: str) -> NoReturn:
    sys.exit(message)


if __name__ == "__main__":
    main()
