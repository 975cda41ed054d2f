"""What must hold of the tree as a whole: text, sizes, what runs code, packaging; and that judges judge."""

import ast
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from tracked_files import PACKAGES, ROOT, texts

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def matches(pattern: re.Pattern[str], files: Iterable[tuple[str, str]]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in files
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


# ---- Text ----------------------------------------------------------------------------------------


HOST = re.compile(r"(pypi|pythonhosted|npmjs|download\.pytorch|deb\.debian)\.org|(npmjs|yarnpkg)\.com")
MACHINE_PATH = re.compile(r"(?<![\w.\])}*~-])/(work|farm|root|home|Users|opt|tmp)/[A-Za-z]")
TIME_STAMP = re.compile(r"\b20\d\d-[01]\d-[0-3]\d\b|\b[0-2]\d:[0-5]\d:[0-5]\d\b")


def test_no_registry_host_in_a_tracked_file() -> None:
    assert matches(HOST, texts()) == []
    assert matches(re.compile(r"^--|^resolved|\"resolved\""), texts("requirements", "tests/katex")) == []


def test_no_path_of_a_machine_in_a_tracked_file() -> None:
    assert matches(MACHINE_PATH, texts()) == []


def test_generated_files_have_no_time_stamp() -> None:
    assert matches(TIME_STAMP, texts("generated")) == []


def test_the_patterns_find_what_they_look_for() -> None:
    host, path = "npmjs" + ".org", "/ho" + "me/someone/x"
    assert matches(HOST, [("f", f"https://registry.{host}/katex")])
    assert matches(MACHINE_PATH, [("f", f"see {path}")])
    assert matches(MACHINE_PATH, [("f", f'"{path}"')])
    assert matches(MACHINE_PATH, [("f", "https://example.com/ho" + "me/someone")]) == []
    assert matches(TIME_STAMP, [("f", "generated 2026-01-31")])
    assert matches(TIME_STAMP, [("f", "at 12:30:59")])


# ---- Sizes ---------------------------------------------------------------------------------------


LONGEST = 400
LONGER: dict[str, str] = {}  # path: why this file is longer; empty is the aim
CODE = tuple(f"*.{kind}" for kind in ("py", "j2", "js", "mjs", "css", "cu", "cpp", "h", "sh"))
NOT_OURS = ("generated/", "cli/handout/assets/katex/")
MATHEMATICS = 6000  # lines of derive/


def test_files_stay_short() -> None:
    """Every file that people write and read as code: packages, tests, tools, docs, bench."""
    lengths = {n: len(text.splitlines()) for n, text in texts(*CODE) if not n.startswith(NOT_OURS)}
    assert {Path(name).parts[0] for name in lengths} >= {*PACKAGES, "tests", "tools", "docs", "bench"}
    assert {name: n for name, n in lengths.items() if n > LONGEST and name not in LONGER} == {}
    assert [name for name in LONGER if lengths.get(name, 0) <= LONGEST] == [], "no longer needed in LONGER"
    assert sum(n for name, n in lengths.items() if name.startswith("derive/")) < MATHEMATICS


# ---- What a collection of the tests does -----------------------------------------------------------


DERIVE = {"derivation", "derive_network", "topic", "lower", "generate", "build", "built", "scratch_program"}


def run_by_import(node: ast.AST) -> Iterator[ast.AST]:
    """What is executed as soon as a module is: all but the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef(decorator_list=decorators, args=given):
                yield from run_by_import(
                    ast.Tuple([*decorators, *given.defaults, *filter(None, given.kw_defaults)])
                )
            case ast.Lambda():
                pass
            case _:
                yield child
                yield from run_by_import(child)


def derived(source: str) -> list[str]:
    """The calls of an import that derive a network or a topic, or make a program."""
    calls = (node for node in run_by_import(ast.parse(source)) if isinstance(node, ast.Call))
    return [
        f"{call.lineno}: {name}("
        for call in calls
        if (name := ast.unparse(call.func).split(".")[-1]) in DERIVE
    ]


def test_a_collection_derives_nothing() -> None:
    """Whoever runs one test waits for no other's networks: a list of parameters holds specs, or functions."""
    assert [f"{name}:{call}" for name, text in texts("tests/*.py") for call in derived(text)] == []
    assert derived("@pytest.mark.parametrize('d', [chainrule.derivation(X)])\ndef test(d): ...") == [
        "1: derivation("
    ]
    assert derived("def test(d=lambda: topic('sum')):\n    lower(d)") == []


# ---- What runs code ------------------------------------------------------------------------------


RUN_CODE = {"eval", "exec", "compile", "__import__"}
UNPICKLE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
SYMPY_RUNS_CODE = {"sympify", "parse_expr", "lambdify", "S"}


def risks(source: str) -> Iterator[str]:
    """Each place of a module that could run, or unpickle, what it is given.

    SymPy's `sympify`, and `S` when it is called, run code that stands in a text;
    with `strict=True` they refuse texts.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in RUN_CODE:
                yield f"{node.lineno}: {name}("
            case ast.Attribute(value=ast.Name(id="builtins"), attr=name) if name in RUN_CODE:
                yield f"{node.lineno}: builtins.{name}"
            case ast.Import(names=names) if found := UNPICKLE & {name.name.split(".")[0] for name in names}:
                yield f"{node.lineno}: import {', '.join(found)}"
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in UNPICKLE:
                yield f"{node.lineno}: from {module}"
            case ast.keyword(arg="allow_pickle", value=value) if ast.unparse(value) != "False":
                yield f"{node.lineno}: allow_pickle"
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in SYMPY_RUNS_CODE:
                if not any(k.arg == "strict" and ast.unparse(k.value) == "True" for k in node.keywords):
                    yield f"{node.lineno}: {name}("


def test_nothing_of_ours_runs_or_unpickles_what_it_is_given() -> None:
    patterns = [f"{package}/**.py" for package in (*PACKAGES, "generated")]
    assert [f"{name}:{risk}" for name, text in texts(*patterns) for risk in risks(text)] == []


@pytest.mark.parametrize(
    "planted",
    [
        "eval(text)",
        "exec(text)",
        "compile(text, 'f', 'eval')",
        "__import__(text)",
        "import builtins\nbuiltins.exec(text)",
        "import pickle",
        "from pickle import loads",
        "def f():\n    import dill",
        "np.load(path, allow_pickle=True)",
        "sympy.sympify(text)",
        "S(text)",
        "lambdify(x, e)",
        "from sympy.parsing import sympy_parser\nsympy_parser.parse_expr(text)",
    ],
)
def test_planted_risk_is_found(planted: str) -> None:
    assert list(risks(planted))


def test_safe_relatives_are_not_reported() -> None:
    safe = [
        "re.compile(p)",
        "model.eval()",
        "load(p, allow_pickle=False)",
        "sympify(1, strict=True)",
        "S.Zero",
    ]
    assert [risk for line in safe for risk in risks(line)] == []


# ---- Versions and hooks ----------------------------------------------------------------------------


def test_the_version_is_the_same_everywhere() -> None:
    assert f"\nversion: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_hooks_are_commands_of_ci() -> None:
    config = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    hooks = re.findall(r"^ +entry: (.+)$", config, re.MULTILINE)
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert hooks
    assert set(hooks) <= set(ci)


# ---- The outside judges ----------------------------------------------------------------------------


def test_katex_accepts_latex_and_refuses_what_is_not(katex: Callable[[Iterable[str]], list[str]]) -> None:
    good = [r"\delta^{1}_{j} = \sum_{k} \delta^{2}_{k} W^{2}_{k,j}\,\sigma'(z^{1}_{j})", r"\text{a\_b}"]
    bad = [r"\frac{1", r"\nosuch", r"\text{ᚠ}", r"\href{javascript:alert(1)}{x}", r"\input{x}", "a & b"]
    assert katex(good) == []
    assert len(katex([*good, *bad])) == len(bad)
    assert katex([]) == []


def test_torch_differentiates(torch: ModuleType) -> None:
    x = torch.tensor(3.0, requires_grad=True)
    (x**2).backward()
    assert x.grad.item() == 6.0
