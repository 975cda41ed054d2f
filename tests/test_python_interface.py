"""The functions of ``chainrule`` that run the command's work: what they return, and what they refuse."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import chainrule
from chainrule import (
    Reader,
    derivation,
    generate,
    gradcheck,
    handout,
    network,
    numbers,
    reading,
    topic,
    train,
)
from chainrule.codegen.folder import OutputRefused
from chainrule.derive.model import Spec
from chainrule.present.numbers import NumbersError
from chainrule.runtime.errors import RunError
from chainrule.sources import spec_of, toml_of
from chainrule.spec import SpecError

ROOT = Path(__file__).parent.parent
GATE = {
    "spec_version": 1,
    "name": "gate",
    "description": 'a "quoted" line,\nδ and another',
    "input": {"shape": [2]},
    "layers": [{"type": "dense", "units": 1, "activation": "sigmoid", "bias": True}],
    "loss": {"type": "binary_cross_entropy"},
    "optimizer": {"type": "sgd", "learning_rate": 0.5},
    "training": {
        "batch_size": 4,
        "epochs": 3,
        "data": {"inputs": [[0, 0], [0, 1], [1, 0], [1, 1]], "targets": [[0], [1], [1], [1.0]]},
    },
}


def test_a_mapping_is_the_spec_that_its_text_is() -> None:
    spec = spec_of(GATE)
    assert spec.description == GATE["description"] and spec.layers[0].type == "dense"
    again = spec_of(toml_of(GATE))
    assert isinstance(again, Spec) and again.sha256 == spec.sha256
    with pytest.raises(SpecError, match=r"^spec.toml:5:42: E104 layers"):
        network({**GATE, "layers": [{"type": "dense", "units": -1}]})
    rows = {"inputs": np.eye(2, dtype=np.float32), "targets": np.array([[0], [1]])}
    arrays = {**GATE, "description": "\x7f \U0001f600", "training": {"data": rows, "epochs": np.int64(2)}}
    found = spec_of(arrays)
    assert found.training.data.inputs == ((1.0, 0.0), (0.0, 1.0)) and found.training.epochs == 2  # type: ignore[union-attr]
    assert found.description == "\x7f \U0001f600"
    with pytest.raises(TypeError, match="None: a spec holds texts"):
        network({**GATE, "name": None})
    with pytest.raises(TypeError, match="a list is no network: give a path"):
        network(["layers"])  # type: ignore[arg-type]


def test_a_network_is_what_check_shows() -> None:
    found = network(derivation(GATE))
    assert found.parameters == 3 == found.totals["parameters"]
    assert [layer["type"] for layer in found.layers] == ["dense", "sigmoid"]
    assert "parameters  3\n" in str(found) and repr(found) == "<network gate: 2 layers, 3 parameters>"
    json.dumps(found.totals)


def test_a_program_is_returned_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = generate(GATE, targets="cuda", output="programs")
    assert {"numpy_trainer.py", "cuda/kernels.cu"} < found.files.keys() and "\n" not in repr(found)
    written = tmp_path / "programs" / "gate" / "numpy_trainer.py"
    assert written.read_text(encoding="utf-8") == found.files["numpy_trainer.py"]
    assert "cuda/kernels.cu" in generate(GATE, output="programs").files, "the folder has it already"
    written.write_text("mine", encoding="utf-8")
    with pytest.raises(OutputRefused):
        generate(GATE, output="programs")
    assert generate(GATE, output="programs", force=True) and written.read_text(encoding="utf-8") != "mine"
    with pytest.raises(ValueError, match=r"'js': a target is one of numpy, c, cuda"):
        generate(GATE, ["js"])


def test_a_run_is_trained_loaded_and_gone_on_with(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = train(GATE, run_dir=tmp_path / "run", seed=3)
    assert report.result.epochs == 3 and report.exit_code == 0 and "\n" not in repr(report)
    assert str(report.result.run_dir) in str(report)
    run = report.load()
    assert run.outputs(np.zeros((5, 2))).shape == (5, 1)
    more = train(GATE, resume=tmp_path / "run", epochs=4)
    assert more.result.epochs == 4 and more.result.settings["seed"] == 3
    assert capfd.readouterr() == ("", "")
    with pytest.raises(RunError, match="names no data"):
        train({**GATE, "training": {}}, run_dir=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_gradients_numbers_and_a_handout() -> None:
    report = gradcheck(GATE, samples=4, steps=1)
    assert report.passed and str(report) == report.to_text() and "\n" not in repr(report)
    page = numbers(GATE, [2], form="matrix")
    assert "number 2 of the spec's data" in str(page) and page.sections[0]._repr_html_()
    text = handout(GATE, gradcheck=False)
    assert text.startswith("<!doctype html>") and "gate" in text


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: numbers(GATE, []), r"samples \[\]: give at least one"),
        (lambda: numbers(GATE, [0]), r"samples \[0\]: .*counted from 1"),
        (lambda: numbers(GATE, [5]), "the spec's data have 4 samples"),
        (lambda: numbers(GATE, form="rows"), "form is one of index, matrix, both, not 'rows'"),
        (lambda: derivation(GATE).page("rows"), "form is one of index, matrix, both, not 'rows'"),
        (lambda: gradcheck(GATE, samples=1), "samples = 1: it is at least 2"),
        (lambda: gradcheck(GATE, batch=0), "batch = 0: it is at least 1"),
        (lambda: train(GATE, epochs=0), "epochs 0"),
        (lambda: train(GATE, target="js"), "target 'js': use one of numpy, c, cuda"),
        (lambda: numbers(GATE, seed=-1), "seed = -1: it is at least 0"),
    ],
)
def test_what_cannot_be_is_refused(call: Callable[[], object], said: str) -> None:
    with pytest.raises((ValueError, RunError), match=said):
        call()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: derivation(GATE).equation("1"), r"no equation \('1'\): they are numbered 1 to 9"),
        (lambda: topic(None), "None is no topic: give the name of one"),
        (lambda: numbers(GATE, [1.5]), r"a sample = 1\.5: it is a whole number"),
        (lambda: numbers(GATE, 1), r"samples = 1: they are a list"),
        (lambda: numbers(GATE, seed="a"), "seed = 'a': it is a whole number"),
        (lambda: gradcheck(GATE, steps=None), "steps = None: it is a whole number"),
        (lambda: train(GATE, checkpoint_every="1"), "checkpoint_every = '1': it is a whole number"),
    ],
)
def test_what_is_of_another_type_is_refused_by_name(call: Callable[[], object], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        call()


def test_givens_are_a_text_or_a_mapping_and_numbers_those_of_numpy_too() -> None:
    given = topic("mse-minimum", "t=1, 0, 2")
    assert given.results == topic("mse-minimum", {"t": "1, 0, 2"}).results != topic("mse-minimum").results
    assert numbers(GATE, np.array([1, 2])).notes == numbers(GATE, [1, 2]).notes
    assert derivation(GATE).equation(np.int64(2)).number == 2


def test_a_name_that_no_file_can_have_is_refused_as_a_spec() -> None:
    with pytest.raises(SpecError, match=r"E001 cannot read .*null"):
        derivation("gate\0.toml")


def test_a_reader_is_one() -> None:
    with pytest.raises(TypeError, match="'ko' is no Reader"), reading("ko"):  # type: ignore[arg-type]
        pass


def test_numbers_are_of_each_example() -> None:
    with reading(Reader(batch="rows")), pytest.raises(NumbersError, match="of each example by itself"):
        numbers(GATE)


def test_the_notebook_imports_nothing_but_the_interface() -> None:
    cells = json.loads((ROOT / "examples" / "lectures.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    ours = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    assert [node.module for node in ours] == ["chainrule"]
    assert {name.name for node in ours for name in node.names} <= set(chainrule.__all__)
