"""The import rules of the rooms and of generated programs, each rule tested on planted violations."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from import_graph import OURS, ROOT, Import, imports, sources

BELOW = {  # which packages each may import, beside itself
    "formula": (),
    "derive": ("formula",),
    "spec": ("formula", "derive"),
    "present": ("formula", "derive"),
    "lectures": ("formula", "derive", "spec", "present"),
    "codegen": ("formula", "derive", "spec", "present"),
    "runtime": (),
    "cli": OURS,
    "chainrule": OURS,
}
ROOMS = {  # what the rooms of codegen may import of it; targets may import all but each other
    "ir": ("ir",),
    "lower": ("ir", "lower"),
    "passes": ("ir", "lower", "passes"),
    "kernels": ("ir", "lower", "passes", "kernels"),
}
ALL = (*OURS, "tests", "tools", "docs", "bench")
MAIN = "chainrule.__main__"  # is the command
LEAVES = ("runtime.files",)  # import the standard library alone, and may be imported by all of ours
HEAVY = ("sympy", "numpy", "matplotlib", "jinja2", "pooch", "pygments", "safetensors", "torch", "jax", "cupy")


@dataclass(frozen=True)
class Rule:
    """What a module whose dotted name satisfies `applies` must not import."""

    text: str
    applies: Callable[[str], bool]
    forbids: Callable[[str, Import], bool]


def inside(*packages: str) -> Callable[[str], bool]:
    return lambda module: module.split(".")[0] in packages


def is_target(module: str) -> bool:
    """codegen.targets.NAME…, less what several targets share, which is called NAME_family."""
    parts = module.split(".")
    return parts[:2] == ["codegen", "targets"] and len(parts) > 2 and not parts[2].endswith("_family")


def is_other_target(module: str, imported: Import) -> bool:
    return is_target(imported.name) and imported.name.split(".")[2] in TARGETS - {module.split(".")[2]}


def is_in_a_room(module: str) -> bool:
    parts = module.split(".")
    return parts[0] == "codegen" and len(parts) > 1 and parts[1] in ROOMS


def is_of_a_later_room(module: str, imported: Import) -> bool:
    parts = imported.name.split(".")
    return parts[0] == "codegen" and parts[1:2] != [] and parts[1] not in ROOMS[module.split(".")[1]]


def is_leaf(imported: Import) -> bool:
    return any(f"{imported.name}.".startswith(f"{leaf}.") for leaf in LEAVES)


def is_generated(module: str, kind: str) -> bool:
    parts = module.split(".")
    return parts[0] == "generated" and kind in parts[2:]


def needs(imported: Import, *allowed: str) -> bool:
    return imported.top not in sys.stdlib_module_names and imported.top not in allowed


TARGETS = {path.stem for path in (ROOT / "codegen" / "targets").glob("*") if not path.name.startswith("__")}

RULES = {
    "layers": Rule(
        "imports run cli → lectures → present → derive → formula; codegen and spec → derive; cli → runtime",
        inside(*OURS),
        lambda module, i: (
            i.top in set(OURS) - {module.split(".")[0], *BELOW[module.split(".")[0]]} and not is_leaf(i)
        ),
    ),
    "facade-cli": Rule(
        "what joins the rooms stands below the command: of cli it takes the handout alone",
        inside("chainrule"),
        lambda module, i: i.top == "cli" and not i.name.startswith("cli.handout.") and module != MAIN,
    ),
    "leaves": Rule(
        "what everyone may import imports the standard library alone",
        lambda module: module in LEAVES,
        lambda _, i: needs(i),
    ),
    "rooms": Rule(
        "imports in codegen run targets → kernels → passes → lower → ir", is_in_a_room, is_of_a_later_room
    ),
    "target-derive": Rule("a target never imports derive", is_target, lambda _, i: i.top == "derive"),
    "target-target": Rule("a target never imports another target's module", is_target, is_other_target),
    "runtime-light": Rule(
        "runtime imports no SymPy and no Jinja2", inside("runtime"), lambda _, i: i.top in ("sympy", "jinja2")
    ),
    "cupy-late": Rule(
        "CuPy is imported only inside functions",
        inside(*OURS),
        lambda _, i: i.top == "cupy" and i.at_module_level,
    ),
    "cli-late": Rule(
        "cli imports heavy packages only inside functions",
        inside("cli"),
        lambda _, i: i.top in HEAVY and i.at_module_level,
    ),
    "generated-numpy": Rule(
        "a generated NumPy program imports NumPy and the standard library only",
        lambda module: is_generated(module, "numpy_trainer"),
        lambda _, i: needs(i, "numpy"),
    ),
    "generated-cuda": Rule(
        "a generated CUDA program imports NumPy, CuPy and the standard library only",
        lambda module: is_generated(module, "cuda"),
        lambda _, i: needs(i, "numpy", "cupy"),
    ),
}


def violations(module: str, source: str, is_package: bool = False) -> list[tuple[str, int, str]]:
    """(rule, line, imported name) for each import of `source` that breaks a rule."""
    return [
        (name, imported.line, imported.name)
        for imported in imports(module, source, is_package)
        for name, rule in RULES.items()
        if rule.applies(module) and rule.forbids(module, imported)
    ]


def test_no_module_breaks_an_import_rule() -> None:
    broken = [
        f"{source.path.relative_to(ROOT)}:{line}: imports {name}: {RULES[rule].text}"
        for source in sources(*OURS, "generated")
        for rule, line, name in violations(
            source.module, source.path.read_text(encoding="utf-8"), source.is_package
        )
    ]
    assert broken == []


def test_no_module_is_imported_by_another_peoples_name() -> None:
    """`import derive` would be the package of that name on the index: ours are `chainrule.derive` …"""
    paths = [path for part in ALL for path in (ROOT / part).rglob("*.py")]
    assert len(paths) > 300
    assert [
        f"{path.relative_to(ROOT)}:{imported.line}: {imported.full}"
        for path in paths
        for imported in imports(path.stem, path.read_text(encoding="utf-8"))
        if imported.full.split(".")[0] in OURS[1:]
    ] == []


def test_every_package_was_read() -> None:
    assert {source.module.split(".")[0] for source in sources(*OURS)} >= set(OURS)


PLANTED = [
    ("layers", "derive.index", "import codegen"),
    ("layers", "derive.index", "from runtime.data import load"),
    ("layers", "derive.layers.dense", "from ...runtime import data"),
    ("layers", "derive.index", "def f():\n    import cli.main"),
    ("layers", "runtime.train", "from derive import spec"),
    ("layers", "runtime.train", "import codegen.lower.lowering as lower"),
    ("layers", "runtime.train", "import cli"),
    ("layers", "derive.index", "from chainrule.running import train_spec"),
    ("layers", "present.text", "from chainrule import topic"),
    ("layers", "codegen.lower.lowering", "import runtime"),
    ("layers", "codegen.lower.lowering", "from cli import main"),
    ("layers", "codegen.lower.lowering", "if TYPE_CHECKING:\n    from runtime import train"),
    ("layers", "runtime.train", "import importlib\nimportlib.import_module('codegen.lower.lowering')"),
    ("layers", "runtime.train", "from importlib import import_module\nimport_module(f'derive.{x}')"),
    ("layers", "codegen.lower.lowering", "from runtime.files_elsewhere import write"),
    ("facade-cli", "chainrule.running", "from chainrule.cli.specs import generated_for"),
    ("facade-cli", "chainrule", "def f():\n    import chainrule.cli.main"),
    ("leaves", "runtime.files", "import numpy"),
    ("leaves", "runtime.files", "from runtime.errors import RunError"),
    ("rooms", "codegen.ir.program", "from codegen.lower.affine import slopes"),
    ("rooms", "codegen.ir.verify", "from ..passes import optimize"),
    ("rooms", "codegen.lower.lowering", "def f():\n    from chainrule.codegen.passes.pieces import REAL"),
    ("rooms", "codegen.lower.lowering", "import codegen.kernels.work"),
    ("rooms", "codegen.passes.memory", "from codegen.targets.numpy.special import BLOCK"),
    ("rooms", "codegen.passes.pieces", "from codegen import kernels"),
    ("rooms", "codegen.kernels.plan", "from codegen.targets import cuda"),
    ("rooms", "codegen.kernels.plan", "from codegen.target import Target"),
    ("target-derive", "codegen.targets.numpy", "from derive.index import Equation"),
    ("target-derive", "codegen.targets.cuda.driver", "import derive"),
    ("target-target", "codegen.targets.numpy", "from codegen.targets import cuda"),
    ("target-target", "codegen.targets.numpy", "from . import cuda"),
    ("target-target", "codegen.targets.numpy", "from .cuda import kernel"),
    ("target-target", "codegen.targets.numpy.printer", "from ..cuda import kernel"),
    ("target-target", "codegen.targets.cuda", "import codegen.targets.numpy"),
    ("runtime-light", "runtime.train", "import sympy"),
    ("runtime-light", "runtime.report.page", "def f():\n    from jinja2 import Template"),
    ("cupy-late", "runtime.train", "import cupy as cp"),
    ("cupy-late", "codegen.targets.cuda", "try:\n    import cupy\nexcept ImportError:\n    pass"),
    ("cli-late", "cli.main", "import numpy as np"),
    ("cli-late", "cli.main", "class C:\n    from sympy import Symbol"),
    ("generated-numpy", "generated.mnist.numpy_trainer", "import sympy"),
    ("generated-numpy", "generated.mnist.numpy_trainer", "def f():\n    from runtime import data"),
    ("generated-cuda", "generated.mnist.cuda.driver", "from codegen import targets"),
]

ALLOWED = [
    ("cli.main", "import click\ndef f():\n    import sympy, codegen.lower.lowering, runtime.train"),
    ("cli.main", "if TYPE_CHECKING:\n    import numpy as np"),
    ("codegen.lower.lowering", "from derive.index import Equation\nfrom . import affine\nimport numpy"),
    ("codegen.kernels.plan", "from codegen.passes.optimize import Pass\nfrom ..lower import affine"),
    ("codegen.target", "from codegen.passes.optimize import Pass\nfrom codegen.targets import numpy"),
    ("codegen.generate", "from runtime.files import write_atomically"),
    ("codegen.targets.numpy", "from codegen.ir.program import Program\nfrom .c_family import printer"),
    ("codegen.targets.numpy", "from codegen.targets.numpy import helper"),
    ("runtime.train", "import numpy as np\nfrom .data import load\ndef f():\n    import cupy"),
    ("generated.mnist.numpy_trainer", "import argparse\nimport numpy as np"),
    ("generated.mnist.cuda.driver", "import numpy\nimport cupy"),
    ("tests.anything", "import derive, runtime, sympy, cupy"),
]


@pytest.fixture
def two_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "TARGETS", {"numpy", "cuda"})


@pytest.mark.usefixtures("two_targets")
@pytest.mark.parametrize(("rule", "module", "source"), PLANTED)
def test_planted_violation_is_found(rule: str, module: str, source: str) -> None:
    assert rule in [name for name, _, _ in violations(module, source)]


@pytest.mark.usefixtures("two_targets")
@pytest.mark.parametrize(("module", "source"), ALLOWED)
def test_what_is_allowed_is_not_reported(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, _, _ in PLANTED} == set(RULES)


def test_relative_imports_of_a_package_are_resolved() -> None:
    assert [i.name for i in imports("codegen.targets", "from . import numpy", is_package=True)] == [
        "codegen.targets.numpy"
    ]
    assert [i.name for i in imports("codegen.targets.numpy", "from ..rendering import shared")] == [
        "codegen.rendering.shared"
    ]


def test_starting_the_command_loads_nothing_heavy() -> None:
    """`derive --help` must not wait for SymPy: cli.commands loads nothing heavy, even indirectly."""
    code = f"import sys, chainrule.cli.commands; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
