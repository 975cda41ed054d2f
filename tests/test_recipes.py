"""What CONTRIBUTING.md says of a new layer and a new activation, followed to the letter in a copy."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from import_graph import OURS, ROOT

GUIDE = ROOT / "CONTRIBUTING.md"
SPEC = """
spec_version = 1
name = "own"
[input]
shape = [3]
[[layers]]
type = "dense"
units = 4
activation = "mish"
[[layers]]
type = "scale_shift"
[loss]
type = "mse"
[training]
batch_size = 2
epochs = 1
[training.data]
inputs = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]
targets = [[0, 1, 2, 3], [3, 2, 1, 0]]
"""


def section(title: str) -> str:
    """Return what stands under a heading."""
    text = GUIDE.read_text(encoding="utf-8")
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is installed, in a folder of its own, with a line and a file more."""
    folder = tmp_path_factory.mktemp("copy")
    package = folder / "chainrule"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "chainrule", package, ignore=ignored)
    for room in OURS[1:]:
        shutil.copytree(ROOT / room, package / room, ignore=ignored)

    (line,) = re.findall(r'^ +"mish": Formula\(.*\),$', section("An activation"), re.MULTILINE)
    library = package / "derive" / "library.py"
    before, after = library.read_text(encoding="utf-8").split("ACTIVATIONS: dict[str, Formula] = {\n")
    library.write_text(f"{before}ACTIVATIONS: dict[str, Formula] = {{\n{line}\n{after}", encoding="utf-8")

    (module,) = re.findall(r"```python\n(.*?)```", section("A layer"), re.DOTALL)
    (name,) = re.findall(r'^LAYER = LayerType\("(\w+)"', module, re.MULTILINE)
    (package / "derive" / "layers" / f"{name}.py").write_text(module, encoding="utf-8")
    (folder / "own.toml").write_text(SPEC, encoding="utf-8")
    return folder


def derive(copy: Path, *arguments: str) -> str:
    """What the copy's command prints."""
    command = [sys.executable, "-m", "chainrule", *arguments]
    done = subprocess.run(command, cwd=copy, capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_layer_and_an_activation_are_there_and_checked(copy: Path) -> None:
    listed = derive(copy, "list")
    assert (
        "  scale_shift" in listed
        and "scale and shift each feature" in listed
        and "x * tanh(softplus" in listed
    )
    gradients = derive(copy, "gradcheck", "own.toml", "--samples", "6", "--steps", "1", "--no-cache")
    assert {"W1", "b1", "s2"} <= set(gradients.split()) and "own: passed" in gradients
    trained = derive(copy, "train", "own.toml", "--run-dir", "run", "--quiet", "--no-cache")
    assert "parameters.safetensors" in trained
