"""The imports of our modules, read from their sources, and the graph that they make."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tracked_files import PACKAGES as OURS
from tracked_files import ROOT

Graph = Mapping[str, Iterable[str]]


@dataclass(frozen=True)
class Import:
    """One imported name, in full: `from a import b` gives a.b.

    `name` is that of ours without `chainrule.`: derive.index, and chainrule.running for a file of chainrule/.
    By importlib it is what is known of the name's beginning.
    """

    full: str
    line: int
    at_module_level: bool

    @property
    def name(self) -> str:
        name = self.full.removeprefix("chainrule.")
        return name if name.split(".")[0] in OURS else self.full

    @property
    def top(self) -> str:
        return self.name.split(".")[0]


@dataclass(frozen=True)
class Source:
    """A file of Python: its dotted name without `chainrule.`, and whether it is that of a package."""

    path: Path
    module: str
    is_package: bool

    def imports(self) -> Iterator[Import]:
        return imports(self.module, self.path.read_text(encoding="utf-8"), self.is_package)


def sources(*folders: str) -> Iterator[Source]:
    """Each file of these folders."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            yield Source(path, ".".join(parts[:-1] if is_package else parts), is_package)


def imports(module: str, source: str, is_package: bool = False) -> Iterator[Import]:
    """All imports of a module, those by importlib too; relative ones resolved."""

    parts = module.split(".")

    def walk(node: ast.AST, at_module_level: bool) -> Iterator[Import]:
        match node:
            case ast.Import(names=names):
                yield from (Import(name.name, node.lineno, at_module_level) for name in names)
            case ast.ImportFrom(names=names, level=level):
                base = parts[: len(parts) - level + is_package] if level else []
                base = base + node.module.split(".") if node.module else base
                for name in names:
                    yield Import(".".join([*base, name.name]), node.lineno, at_module_level)
            case ast.Call(func=ast.Name(id=call) | ast.Attribute(attr=call), args=[first, *_]):
                if call in ("import_module", "__import__"):
                    yield Import(text_of(first, module), node.lineno, at_module_level)
        later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(
            node
        )
        for child in ast.iter_child_nodes(node):
            yield from walk(child, at_module_level and not later)

    yield from walk(ast.parse(source), True)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def text_of(node: ast.expr, module: str) -> str:
    """The text that a string expression is known to begin with."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id="__name__"):
            return module
        case ast.FormattedValue(value=value):
            return text_of(value, module)
        case ast.JoinedStr(values=values):
            found = ""
            for value in values:
                found += text_of(value, module)
                if not isinstance(value, ast.Constant) and not text_of(value, module):
                    break
            return found
    return ""


def graph_of(found: Iterable[tuple[str, Iterable[Import]]]) -> dict[str, set[str]]:
    """Which of these modules each imports, anywhere in its file."""
    modules = {module: list(imported) for module, imported in found}
    return {
        module: {to for each in imported for to in files_of(each, modules)} - {module}
        for module, imported in modules.items()
    }


def files_of(imported: Import, modules: Iterable[str]) -> set[str]:
    """The modules that an imported name stands for: itself, the one that has it, or what it begins.

    "a.b.f" is a.b where that has the name f; "a.b." of import_module(f"a.b.{x}") is every module of a.b.
    """
    name = imported.name
    if name.endswith("."):
        return {module for module in modules if module.startswith(name)}
    parts = name.split(".")
    longest = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next(({module} for module in longest if module in modules), set())


def circles(graph: Graph) -> list[list[str]]:
    """The groups of modules that import one another, directly or through others: Tarjan's components."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = low[module] = len(number)
        open_.append(module)
        for other in sorted(graph.get(module, ())):
            if other not in number:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in open_:
                low[module] = min(low[module], number[other])
        if low[module] == number[module]:
            start = open_.index(module)
            group, open_[start:] = open_[start:], []
            if len(group) > 1 or module in graph.get(module, ()):
                found.append(sorted(group))

    for module in sorted(graph):
        if module not in number:
            visit(module)
    return found
