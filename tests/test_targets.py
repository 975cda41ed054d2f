"""The table of targets: a row and a package are all that a target takes."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import chainrule.codegen.generate as generating
import chainrule.codegen.targets as targets
import chainrule.running as running
from chainrule.codegen.folder import write
from chainrule.codegen.frame import Frame
from chainrule.codegen.generate import generate
from chainrule.codegen.ir.program import Program
from chainrule.codegen.ir.verify import VerificationError
from chainrule.codegen.targets import DEFAULT, TARGETS, Row, target
from chainrule.codegen.targets.numpy import TARGET as NUMPY
from chainrule.runtime.errors import RunError
from chainrule.runtime.program import load_program
from chainrule.runtime.settings import NUMPY as NUMPY_ALONE
from chainrule.spec import parse_spec

ROOT = Path(__file__).parent.parent
SPEC = """spec_version = 1
name = "tiny"
[input]
shape = [3]
[[layers]]
type = "dense"
units = 2
activation = "softmax"
[loss]
type = "cross_entropy"
"""


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third target: the NumPy program in a folder of its own."""

    def render(program: Program, frame: Frame) -> dict[str, str]:
        (text,) = NUMPY.render(program, frame).values()
        return {"toy/trainer.py": text, "toy/notes.txt": "# (1)\n"}

    made = replace(NUMPY, name="toy", trainer="toy/trainer.py", render=render)
    monkeypatch.setitem(sys.modules, f"{targets.__name__}.toy", SimpleNamespace(TARGET=made))
    for module in (targets, generating, running):
        monkeypatch.setattr(module, "TARGETS", {**TARGETS, "toy": Row()})


def test_each_package_is_a_row() -> None:
    folder = ROOT / "codegen" / "targets"
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert {name for name in packages if not name.endswith("_family")} == set(TARGETS)
    assert [target(name).name for name in TARGETS] == [*TARGETS] and next(
        iter(TARGETS)
    ) == DEFAULT == NUMPY_ALONE
    with pytest.raises(ValueError, match="no target 'js': numpy, c, cuda"):
        target("js")


@pytest.mark.usefixtures("toy")
def test_a_target_is_a_package_and_a_row(tmp_path: Path) -> None:
    generated = generate(parse_spec(SPEC, "tiny.toml"), {"toy"})
    manifest = json.loads(generated.files["manifest.json"])
    assert manifest["targets"] == {"numpy": "numpy_trainer.py", "toy": "toy/trainer.py"}
    assert {"toy/trainer.py", "toy/notes.txt"} <= set(
        manifest["files"]
    ) and "cuda/trainer.py" not in manifest["files"]
    for equation in manifest["equations"]:
        assert equation["lines"]["toy/trainer.py"] == equation["lines"]["numpy_trainer.py"]
    loaded = load_program(write(generated, tmp_path, force=True), target="toy")
    assert loaded.path.name == "trainer.py" and not loaded.on_device and loaded.threads


@pytest.mark.parametrize("name", TARGETS)
def test_programs_are_verified_after_each_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr("chainrule.codegen.passes.optimize.verify", lambda _, after: seen.append(after))
    monkeypatch.setattr("chainrule.codegen.lower.lowering.verify", lambda _, after: seen.append(after))
    found = target(name)
    found.program(generating.derive_network(parse_spec(SPEC, "tiny.toml")))
    assert len(seen) == 1 + len(found.passes(found.machine)) > 1 and seen[0] == "lower"


def test_a_pass_that_leaves_a_program_wrong_is_named() -> None:
    def forgetful(program: Program) -> Program:
        return replace(program, values={})

    broken = replace(NUMPY, passes=lambda machine: (forgetful,))
    with pytest.raises(VerificationError, match="after forgetful"):
        broken.program(generating.derive_network(parse_spec(SPEC, "tiny.toml")))


@pytest.mark.parametrize("recorded", [True, False])
def test_a_run_of_an_unknown_target_does_not_begin(
    recorded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later version may have recorded it; nor is it asked for by another's name."""
    monkeypatch.setattr(running, "recorded_settings", lambda where: {"target": "opencl"})
    monkeypatch.setattr(running, "_resumed", lambda *_: tmp_path if recorded else None)
    asked: dict[str, Any] = dict.fromkeys(("data", "batch_size", "seed", "threads", "download", "data_dir"))
    asked |= {"epochs": 1, "run_dir": None, "resume": "", "quiet": True, "checkpoint_every": None}
    with pytest.raises(RunError) as refused:
        running.train_spec(
            parse_spec(SPEC, "tiny.toml"),
            tmp_path / "tiny.toml",
            target=None if recorded else "opencl",
            **asked,
        )
    place = f"{tmp_path / 'summary.json'}: " if recorded else ""
    assert str(refused.value) == f"{place}target 'opencl': use one of numpy, c, cuda"
