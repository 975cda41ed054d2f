"""Pages for what is there: layers, topics, and what the package returns, written before the site is read.

A layer or a topic that is added has its page without a change here; one that is gone has none.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import chainrule
from chainrule.derive.layers import LAYERS
from chainrule.derive.prose import say
from chainrule.lectures import TOPICS

if TYPE_CHECKING:
    from sphinx.application import Sphinx

CLASS: Final = """
```{{eval-rst}}
.. autoclass:: {0}()
   :members:
```
"""
DOCS: Final = Path(__file__).resolve().parents[2]


def stubs() -> dict[str, str]:
    """Return the pages by their path below docs/, without ending."""
    return {
        **{f"layers/{name}": f"# {name}\n\n```{{layer}} {name}\n```\n" for name in sorted(LAYERS)},
        **{f"topics/{name}": f"# {name}\n\n```{{topic}} {name}\n```\n" for name in TOPICS},
        "python/returned": "\n".join(["# What the functions return", *map(CLASS.format, returned())]),
    }


def returned() -> list[str]:
    """Return the classes, by module and name, that the functions of the package are annotated to return."""
    functions = [getattr(chainrule, name) for name in chainrule.__all__]
    wanted = {each.__annotations__.get("return") for each in functions if inspect.isfunction(each)}
    tree = ast.parse(inspect.getsource(chainrule))
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return sorted({f"{i.module}.{name.name}" for i in imports for name in i.names if name.name in wanted})


def write(_app: Sphinx | None = None, _config: Any = None) -> None:
    """Write the pages that differ, remove those of what is gone."""
    found = stubs()
    for folder in {DOCS / Path(name).parent for name in found}:
        folder.mkdir(exist_ok=True)
        for path in folder.glob("*.md"):
            if path.relative_to(DOCS).with_suffix("").as_posix() not in found:
                path.unlink()
    for name, text in found.items():
        path = DOCS / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def listed(folder: str) -> list[tuple[str, str]]:
    """Return names and descriptions of the pages in a folder, in the order in which they are listed."""
    if folder == "layers":
        return [(name, say(layer.description)) for name, layer in sorted(LAYERS.items())]
    return [(name, say(line)) for name, line in TOPICS.items()]
