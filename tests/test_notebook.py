"""The notebook of the lectures: it runs, and its committed outputs are what it gives."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
MOST_BYTES = 200_000


def runner() -> ModuleType:
    """Return docs/run_notebook.py, loaded."""
    spec = importlib.util.spec_from_file_location("run_notebook", ROOT / "docs" / "run_notebook.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def committed() -> Any:
    return nbformat.read(runner().NOTEBOOK, as_version=4)


def outputs(notebook: Any) -> list[str]:
    """Return what each code cell shows: every kind of text that is kept."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            parts = [output.get("text", "") for output in cell.outputs]
            parts += [
                text for output in cell.outputs for _kind, text in sorted(output.get("data", {}).items())
            ]
            found.append("\n".join(parts))
    return found


def test_the_notebook_gives_the_outputs_that_are_committed(committed: Any) -> None:
    again = outputs(runner().executed(runner().NOTEBOOK))
    before = outputs(committed)
    assert len(again) == len(before)
    for old, new in zip(before, again, strict=True):
        assert NUMBER.sub("#", old) == NUMBER.sub("#", new)
        # What is computed may differ in its last digits from one machine to another.
        numbers = zip(NUMBER.findall(old), NUMBER.findall(new), strict=True)
        assert all(float(a) == pytest.approx(float(b), rel=0.03, abs=1e-3) for a, b in numbers)


def test_every_cell_shows_something_and_none_has_an_error(committed: Any) -> None:
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in code[1:])  # the first imports
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    assert not any(output.get("name") == "stderr" for cell in code for output in cell.outputs)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_the_lectures_are_gone_through(committed: Any) -> None:
    text = "\n".join(outputs(committed))
    for fact in (
        "0.2709", "0.3659", "0.2405", "0.3296",  # OR
        "0.08 0.95 0.95 0.03",  # XOR
        r"\frac{55}{31}", "1,639,914 parameters", "finite differences: True",
    ):  # fmt: skip
        assert fact in text, fact


def test_the_notebook_is_small_and_has_nothing_of_the_machine(committed: Any) -> None:
    path = runner().NOTEBOOK
    assert path.stat().st_size < MOST_BYTES
    text = path.read_text(encoding="utf-8")
    assert "/home/" not in text and str(ROOT) not in text and "text/html" not in text
    assert set(committed.metadata) == {"kernelspec"}
