"""Where the examples of a page are run: a folder and a Python of its own, made anew each time it is read.

The command is run in a child of this process, which has imported SymPy already; all else in a shell.

What is run is what stands in the pages of docs/, which are code of this repository as its tests are: the
package neither holds nor imports this module, and nothing that a user gives (a spec, a formula, data) is
run by it, but read by the commands that a page calls.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import shlex
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[3]
BUILD: Final = ROOT / "build" / "docs"
TIMEOUT: Final = 300
# What the reader's shell is taken to be: no colours, no data sets but those of the package, nothing kept.
SHELL: Final = {
    "COLUMNS": "88",
    "NO_COLOR": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "LC_ALL": "C.UTF-8",
    "CHAINRULE_NO_CACHE": "1",
}
UNSET: Final = ("CHAINRULE_DATA", "FORCE_COLOR", "PYTHONPATH")


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    output: str
    progress: str


@dataclass
class Workplace:
    """The folder of a page, with examples/ in it, and the names that its Python blocks have defined."""

    folder: Path
    names: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def made(cls, page: str) -> Workplace:
        """Return an empty one for a page."""
        folder = BUILD / "work" / page
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "examples").symlink_to(ROOT / "examples")
        for name, module in [*sys.modules.items()]:  # those of the page before
            if str(BUILD) in str(getattr(module, "__file__", None)):
                del sys.modules[name]
        return cls(folder)

    def run(self, line: str) -> Ran:
        """Run a line of the shell; one of several commands fails where any of them does."""
        words = shlex.split(line)
        if words[0] == "derive" and not set(words) & {"|", ">", "<", "&&", ";"}:
            return self._derive(words[1:])
        environment = {key: value for key, value in os.environ.items() if key not in UNSET} | SHELL
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        command = ["bash", "-o", "pipefail", "-c", line]
        done = subprocess.run(  # noqa: S603
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def _derive(self, arguments: list[str]) -> Ran:
        """Run the command in a child of this process."""
        _warm()
        streams = [self.folder.with_name(f"{self.folder.name}.{name}") for name in ("out", "err")]
        child = os.fork()
        if not child:
            _become_the_command(self.folder, arguments, streams)
        _pid, status = os.waitpid(child, 0)
        output, progress = (path.read_text(encoding="utf-8") for path in streams)
        for path in streams:
            path.unlink()
        return Ran(os.waitstatus_to_exitcode(status), output, progress)

    def python(self, code: str) -> tuple[str, Any]:
        """Run statements; return what they print and the value of the last one.  Raises whatever they do."""
        tree = ast.parse(code)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        printed, value = io.StringIO(), None
        with self._here(), contextlib.redirect_stdout(printed):
            exec(compile(tree, "<example>", "exec"), self.names)  # noqa: S102
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), "<example>", "eval"), self.names)  # noqa: S307
        return printed.getvalue(), value

    @contextlib.contextmanager
    def _here(self) -> Iterator[None]:
        before = Path.cwd()
        os.chdir(self.folder)
        sys.path.insert(0, str(self.folder))
        try:
            yield
        finally:
            sys.path.remove(str(self.folder))
            os.chdir(before)


def _warm() -> None:
    """Import what most commands need, once."""
    import chainrule.cli.commands
    import chainrule.codegen.generate
    import chainrule.derive.deriving
    import chainrule.lectures  # noqa: F401


def _become_the_command(folder: Path, arguments: list[str], streams: list[Path]) -> None:
    """Be ``derive`` with these arguments, and end."""
    code = 1
    try:
        os.chdir(folder)
        for number, path in enumerate(streams, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
        sys.stdin = Path(os.devnull).open()  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        os.environ.update(SHELL)
        for name in UNSET:
            os.environ.pop(name, None)
        sys.argv = ["derive", *arguments]
        from chainrule.cli.main import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
