"""Install chainrule beside packages of the index that are called as its folders are, and see that all work.

    python tools/coexist.py [PYTHON]

In environments of their own, thrown away afterwards: what installing adds, then both orders.  It needs pip's
index; `make coexist` runs it.  What the index lacks for this Python is named and left out.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from environments import ROOT, Environment, called, fail, run, source

# Name on the index: what else it needs to be imported.
STRANGERS = {"derive": (), "codegen": (), "runtime": ("greenlet",)}


def main() -> None:
    """Print what was seen; exit 1 with the first thing that is wrong."""
    python = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        wheel = built(top, python)
        ours = Environment(top / "ours", python)
        ours.install("--require-hashes", "--requirement", str(ROOT / "requirements" / "run.txt"))
        before = names(ours)
        ours.install_ours(wheel)
        if (new := names(ours) - before) != {"chainrule", "bin/derive"}:
            fail(f"installing adds {', '.join(sorted(new))}")
        require_ours(ours)
        print("installing adds chainrule and bin/derive alone")

        alone = Environment(top / "alone", python)
        there = {name: more for name, more in STRANGERS.items() if alone.install(name, *more)}
        for name in STRANGERS.keys() - there.keys():
            print(f"{name}: none on the index for this Python; left out")
        if "bin/derive" in names(alone):
            print("one of them has a script named derive: the last one installed is called")
        strangers = [each for name, more in there.items() for each in (name, *more)]
        for order in ((strangers, [wheel]), ([wheel], strangers)):
            both = Environment(top / f"both-{order[0] is strangers}", python)
            if not all(both.install(*what) for what in order):
                fail(f"{' '.join(order[0])}, then {' '.join(order[1])}: pip refuses")
            require_ours(both)
            for name in there:
                if (here := imported(both, name)) != (expected := imported(alone, name)):
                    fail(f"{name} was imported from {expected}, beside chainrule: {here}")
                print(f"{'after' if order[1] is strangers else 'before'} chainrule: {name} is {here}")


def names(environment: Environment) -> set[str]:
    """Return the top-level names that can be imported, and the scripts as bin/NAME."""
    (site,) = environment.path.glob("lib/python*/site-packages")
    here = {path.name.removesuffix(".py") for path in site.iterdir() if "." not in path.stem}
    return here | {f"bin/{path.name}" for path in (environment.path / "bin").iterdir()}


def imported(environment: Environment, name: str) -> str:
    """Return where a name is imported from, below the environment, or the last line of what went wrong."""
    done = called(environment.python, "-c", f"import {name}; print({name}.__file__)")
    text = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return text[-1].replace(str(environment.path), "") if text else f"exit code {done.returncode}"


def require_ours(environment: Environment) -> None:
    """The command must name the topics, by its script and as a module."""
    for command in ([str(environment.path / "bin" / "derive")], [environment.python, "-m", "chainrule"]):
        if "softmax-cross-entropy" not in run(*command, "list"):
            fail(f"{' '.join(command)} list: the topics are missing")


def built(top: Path, python: str) -> str:
    """Return the wheel that is built from the source distribution."""
    maker = Environment(top / "maker", python)
    if not maker.install("build"):
        fail("pip cannot install build")
    run(maker.python, "-m", "build", "--outdir", str(top / "dist"), source(top))
    (wheel,) = (top / "dist").glob("*.whl")
    return str(wheel)


if __name__ == "__main__":
    main()
