"""No circle among our files, and no class of two meanings.

What counts as an import: every one that a file writes, at its top, inside a function, under TYPE_CHECKING or
by importlib.  Not that importing a.b runs a/__init__.py first, which nobody writes down.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from import_graph import OURS, Import, circles, graph_of, imports, sources


def test_no_files_import_one_another() -> None:
    graph = graph_of((source.module, source.imports()) for source in sources(*OURS))
    assert len(graph) > 200 and sum(map(len, graph.values())) > 800
    assert circles(graph) == []


BACK = "from chainrule.derive import index"
BELOW = "from chainrule.lectures import TOPICS"
CIRCLES = {  # the sources, and which of them are in the circle
    "at the top": {"derive.index": "from chainrule.present import text", "present.text": BACK},
    "relative": {"derive.index": "from ..present.text import write", "present.text": BACK},
    "in a function": {"derive.index": "def f():\n    import chainrule.present.text", "present.text": BACK},
    "of types": {
        "derive.index": "if TYPE_CHECKING:\n    from chainrule.present.text import T",
        "present.text": BACK,
    },
    "by importlib": {"derive.index": "import_module('chainrule.present.text')", "present.text": BACK},
    "of a folder": {"lectures": "import_module(f'chainrule.lectures.{x}')", "lectures.one": BELOW},
    "of its own folder": {"lectures": "import_module(f'{__name__}.{x}')", "lectures.one": BELOW},
    "through a third": {
        "cli.main": "from chainrule.present import text",
        "derive.index": "import chainrule.cli.main",
        "present.text": BACK,
    },
    "beside the facade": {
        "chainrule.running": "from chainrule.cli.handout import page",
        "cli.handout": "from chainrule.running import report",
    },
    "of the facade": {
        "chainrule": "from chainrule.present import text",
        "present.text": "from chainrule import topic",
    },
}


@pytest.mark.parametrize("kind", CIRCLES)
def test_a_planted_circle_is_found_by_name(kind: str) -> None:
    beside = {"formula": "import math", "spec": "from chainrule.derive.index import Equation"}
    assert circles(graph_of(read({**CIRCLES[kind], **beside}))) == [list(CIRCLES[kind])]


def test_what_only_goes_one_way_is_no_circle() -> None:
    files = {
        "derive": "from chainrule.derive.index import x",
        "derive.index": "import sympy, derive.index",
        "present.text": BACK,
    }
    assert circles(graph_of(read(files))) == []


def read(files: dict[str, str]) -> Iterator[tuple[str, Iterator[Import]]]:
    for module, source in files.items():
        inside = module if module.startswith("chainrule") else f"chainrule.{module}"
        yield module, imports(inside, source)


def test_a_name_of_a_class_stands_for_one_thing() -> None:
    """`grep "class Network"` has one answer, and so has every other."""
    homes: dict[str, list[str]] = {}
    for source in sources(*OURS):
        for node in ast.parse(source.path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(source.module)
    assert homes["Network"] == ["derive.network"]
    assert [name for name in homes if name.startswith("Network")] == ["Network"]
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}
