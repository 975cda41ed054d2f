"""What a long process remembers is bounded: only what has few values may be kept for ever."""

import ast

import pytest
from import_graph import OURS, sources

SYMBOLIC = [room for room in OURS if room not in ("runtime", "cli")]  # whose values may be expressions
FEW = {None, "int", "bool"}  # without annotation are functions of generated programs alone
NAMED = {("derive.prose", "catalogue")}  # by language


def endless(source: str) -> set[str]:
    """Return the functions of a module whose values are all kept, for more arguments than are few."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        for decorator in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
            text = ast.unparse(decorator).removeprefix("functools.")
            arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            kinds = {a.annotation and ast.unparse(a.annotation) for a in arguments}
            if text in ("cache", "lru_cache(maxsize=None)", "lru_cache(None)") and kinds - FEW:
                found.add(node.name)
    return found


def test_only_what_has_few_values_is_kept_for_ever() -> None:
    found = {
        (s.module, name) for s in sources(*SYMBOLIC) for name in endless(s.path.read_text(encoding="utf-8"))
    }
    assert found == NAMED


@pytest.mark.parametrize("line", ["@cache", "@functools.cache", "@lru_cache(maxsize=None)"])
def test_one_that_is_not_bounded_is_found(line: str) -> None:
    assert endless(f"{line}\ndef adjoint(equation: Equation): ...") == {"adjoint"}
    assert endless(f"{line}\ndef slot(number: int): ...") == endless(f"{line}\ndef row(): ...") == set()
    assert endless("@lru_cache(maxsize=1024)\ndef adjoint(equation: Equation): ...") == set()
