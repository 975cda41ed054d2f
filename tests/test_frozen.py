"""What one stage hands to the next cannot change: every dataclass is frozen but those that collect."""

import ast
from pathlib import Path

import pytest
from import_graph import OURS

ROOT = Path(__file__).parent.parent
COLLECT = {
    "codegen/kernels/work.py": {"Elements", "Samples", "GroupReduction", "Product", "Picking"},
    "codegen/lower/known.py": {"Known"},
    "codegen/passes/pieces.py": {"_Run"},
    "codegen/ir/liveness.py": {"Contents"},
    "cli/handout/symbols.py": {"Symbols"},
    "derive/numbering.py": {"Book"},
    "derive/scaling.py": {"_Generators"},
    "present/page.py": {"_Layout"},
    "spec/positions.py": {"Positions"},
    "runtime/snapshot.py": {"Standing"},
}


def thawed(source: str) -> set[str]:
    """Return the dataclasses of a module that are not frozen."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else ():
            call, keywords = decorator, {}
            if isinstance(decorator, ast.Call):
                call, keywords = decorator.func, {k.arg: ast.unparse(k.value) for k in decorator.keywords}
            if ast.unparse(call).split(".")[-1] == "dataclass" and keywords.get("frozen") != "True":
                found.add(node.name)
    return found


def test_dataclasses_are_frozen_but_those_that_collect() -> None:
    paths = [path for package in OURS for path in (ROOT / package).rglob("*.py")]
    found = {path.relative_to(ROOT).as_posix(): thawed(path.read_text(encoding="utf-8")) for path in paths}
    assert {path: names for path, names in found.items() if names} == COLLECT


@pytest.mark.parametrize(
    "line", ["@dataclass", "@dataclass()", "@dataclass(frozen=False)", "@dataclasses.dataclass(order=True)"]
)
def test_one_that_is_not_is_found(line: str) -> None:
    assert thawed(f"{line}\nclass A:\n    b: int\n") == {"A"}
    assert thawed("@dataclass(frozen=True, order=True)\nclass A:\n    b: int\n") == set()
