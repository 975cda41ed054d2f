"""The handout's HTML: small, whole, the same each time."""

import os
import re
import subprocess
import sys

import pytest
from conftest import KATEX, unavailable
from handout.handouts import ROOT, handout, recorded_map, written
from shipped import NETWORKS

from chainrule.cli.handout import symbols
from chainrule.cli.handout.document import handout_of
from chainrule.present.page import page_of
from chainrule.spec.load import parse_spec

LIMIT = 1_500_000


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_a_handout_is_small_and_names_every_equation(path):
    shown = handout(path.stem)
    html = written(shown)
    assert len(html.encode()) < LIMIT
    assert not re.search(r"""(src|href)=["'](?!#|data:)|url\((?!data:)|@import""", html.split("</style>")[0])
    numbers = [int(n) for n in re.findall(r'id="eq-(\d+)"', html)]
    assert numbers == [equation.number for equation in shown.derivation.equations]
    assert shown.lines == {
        n: tuple(lines) for n, lines in recorded_map(shown.derivation.network.spec.name).items()
    }
    assert html == written(shown)


def test_the_same_bytes_from_another_process():
    code = (
        "import sys; from pathlib import Path; from chainrule.spec import load_spec;"
        "from chainrule.cli.handout.document import handout_of, page;"
        "shown = handout_of(load_spec(Path('examples/lenet5.toml')), gradcheck=False);"
        "sys.stdout.buffer.write(page(shown).encode())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True)
    assert done.stdout == written(handout("lenet5")).encode(), done.stderr.decode()


def test_katex_is_the_one_that_formulas_are_checked_with():
    installed = KATEX / "node_modules" / "katex"
    if not installed.is_dir():
        unavailable("KaTeX", "make katex (it needs node and npm)")
    ours = ROOT / "cli" / "handout" / "assets" / "katex"
    for path in (p for p in ours.rglob("*") if p.is_file()):
        name = path.relative_to(ours)
        there = installed / name if name.name == "LICENSE" else installed / "dist" / name
        assert path.read_bytes() == there.read_bytes(), name


ODD = """
spec_version = 1
name = "odd"
[input]
shape = [4]
[[layers]]
type = "dense"
units = 3
activation = "an_activation_whose_name_is_long"
[[layers]]
type = "layer_norm"
[[layers]]
type = "maxout"
units = 2
[loss]
type = "mse"
[optimizer]
type = "adam"
clip_norm = 1.0
schedule = "step"
decay_every = 10
[activations.an_activation_whose_name_is_long]
formula = "x * sigmoid(beta * x)"
beta = 1.5
"""


def test_what_is_no_shipped_network_has_a_handout_and_letters_are_told_apart():
    shown = handout_of(parse_spec(ODD, "odd.toml"), gradcheck=False)
    equations = page_of(shown.derivation, "matrix", steps=True)
    named: dict[str, set[str]] = {}
    for row in symbols.rows(shown.derivation, equations, {}):
        for member in row.members:
            named.setdefault(member.identifier, set()).add(row.meaning)
    assert all(len(meanings) == 1 for identifier, meanings in named.items() if identifier)
    assert "squared" not in str(named["beta2"]) and "g²" in str(named["BETA2"])  # a shift, and Adam's
    assert {"W1", "gamma2", "xhat2", "z3", "delta1", "dW1", "kappa", "DECAY_EVERY", "x", "t"} <= named.keys()
    assert "value" in str(named["h3"]) and "an_activation_whose…" in written(shown)
