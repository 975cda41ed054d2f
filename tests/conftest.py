"""What all tests share: seeded property tests, and the two outside judges, PyTorch and KaTeX."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest
from hypothesis import settings

KATEX = Path(__file__).parent / "katex"

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["CHAINRULE_NO_CACHE"] = "1"  # but for the tests of the cache

settings.register_profile("chainrule", derandomize=True, deadline=None, database=None)
settings.load_profile("chainrule")


def not_installed(what: str, remedy: str) -> NoReturn:
    """Skips a test that needs a program or font of the system, which neither `make test` nor CI installs."""
    pytest.skip(f"{what} is not installed: {remedy}")


def unavailable(what: str, remedy: str) -> NoReturn:
    """Skips a test that needs `what`, which CI installs; under CI=true that is a failure."""
    message = f"{what} is not available: {remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    """The module torch, the second framework that gradients are compared with."""
    try:
        return importlib.import_module("torch")
    except ImportError:
        unavailable("PyTorch", "pip install torch==2.13.0")


ROWS = re.compile(r"(?<=\\begin\{align\*\}\n).*?(?=\n\\end\{align\*\})", re.DOTALL)


def _without(page: str, seen: set[str]) -> str:
    """A page of LaTeX less the rows of its displays that were on a page before it, "" where none is left.

    What is seen and was wrong has failed its test already.
    """
    fresh = False

    def rows(display: re.Match[str]) -> str:
        nonlocal fresh
        written = [row for row in display[0].split("\n") if row not in seen]
        fresh = fresh or bool(written)
        seen.update(written)
        return "\n".join(written)

    left = ROWS.sub(rows, page)
    return left if fresh or not ROWS.search(page) else ""


@pytest.fixture(scope="session")
def katex() -> Callable[[Iterable[str]], list[str]]:
    """A function from LaTeX strings to the list of KaTeX's objections to them; [] when all are accepted."""
    node = shutil.which("node")
    if node is None or not (KATEX / "node_modules" / "katex").is_dir():
        unavailable("KaTeX", "make katex (it needs node and npm)")

    seen: set[str] = set()

    def objections(strings: Iterable[str]) -> list[str]:
        asked = [fresh for string in strings if (fresh := _without(string, seen))]
        lines = "".join(json.dumps(string) + "\n" for string in asked)
        done = subprocess.run(
            [node, "check.mjs"], cwd=KATEX, input=lines, capture_output=True, encoding="utf-8", timeout=120
        )
        assert done.returncode == 0, done.stderr
        answers = [json.loads(line) for line in done.stdout.split("\n") if line]
        assert len(answers) == len(asked)
        return [f"{string!r}: {answer}" for string, answer in zip(asked, answers, strict=True) if answer]

    return objections


@pytest.fixture
def derive(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run the command in an empty folder; return its exit code, stdout and stderr."""
    from chainrule.cli.main import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["derive", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(exit_info.value.code or 0), out, err

    return run


@pytest.fixture
def nothing_chosen() -> Iterator[None]:
    """No form of an equation is known from before, and none is afterwards."""
    from chainrule.codegen.lower.affine import plain_forms

    plain_forms.cache_clear()
    yield
    plain_forms.cache_clear()
