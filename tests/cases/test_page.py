"""What stands on a page: letters, ranges, options that do nothing, fonts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from matplotlib import font_manager
from recorded_pages import network_pages

from chainrule.cli import plotting
from chainrule.cli.commands import derive
from chainrule.codegen.generate import generate
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import Equation, Sum, index, tensor
from chainrule.derive.reader import Reader, reading
from chainrule.present import page_for, present
from chainrule.present.counting import leaves_its_box
from chainrule.spec import load_spec

HERE = Path(__file__).parent
HANGUL = "학습률"


# ---- P3: one origin on a page, what is outside of a tensor, the range of a maximum


def test_p3_indices_and_labels_count_from_one_origin() -> None:
    derivation = derive_network(load_spec(HERE / "page_cnn_small.toml"))
    latex = present(derivation, steps=True)
    assert "Indices count from 0, as in the program, and so do labels." in latex
    assert "A tensor that is read outside of its box is 0 there." in latex
    assert "=1}" not in latex and r"\sum_{k=0}^{2}" in latex and r"\sum_{n=0}^{N - 1}" in latex
    assert r"\max_{0 \le u,v < 2} a^{(1)}_{n,2i+u,2j+v,k}" in latex
    for format in ("text", "markdown", "html", "tex", "json"):
        said = present(derivation, format=format)
        assert "count from 0" in said and "outside of its box" in said, format
    assert "max_{u,v<2} a1[n,2i+u,2j+v,k]" in present(derivation, format="text")


def test_p3_nothing_is_said_of_boxes_where_nothing_leaves_its_own() -> None:
    """Several sums bind one letter, over axes of other sizes: a subscript has that of its own sum."""
    text = present(derive_network(load_spec(HERE / "page_own.toml")), format="text")
    assert "Σₖⱼ W1[k,j]² + Σₖⱼ W4[k,j]²" in text and "outside of its box" not in text
    n, u, wide, narrow = index("n"), index("u"), tensor("w", 5), tensor("v", 3)
    left = tensor("y", 4)[n]
    whole = Sum(wide[u], (u, 5)) + Sum(narrow[u], (u, 3))
    assert not leaves_its_box(Equation(left, whole))
    assert leaves_its_box(Equation(left, whole + Sum(narrow[u], (u, 4))))


# ---- a page follows from its spec alone


ALONE = """
import json, sys
from pathlib import Path
sys.path.insert(0, "tests")
from recorded_pages import derived, network_pages
from chainrule.codegen.generate import generate
path = Path("tests/cases/page_own.toml")
pages = dict(network_pages(path.stem, derived(path)))
print(json.dumps([pages, generate(derived(path).network.spec).files["numpy_trainer.py"]]))
"""


def test_a_page_and_a_program_are_the_same_alone_and_after_others() -> None:
    """Neither what was derived before in a process nor the order of its hashes shows."""
    root, path = HERE.parents[1], HERE / "page_own.toml"
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=root, env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True, text=True, check=True, encoding="utf-8",
    )  # fmt: skip
    pages, program = json.loads(done.stdout)
    for other in ("page_cnn_small", "page_bn_net"):
        derive_network(load_spec(HERE / f"{other}.toml"))
    here = derive_network(load_spec(path))
    assert dict(network_pages(path.stem, here)) == pages
    assert generate(here.network.spec).files["numpy_trainer.py"] == program


def test_p3_a_page_without_labels_and_places_counts_from_one() -> None:
    latex = present(derive_network(load_spec(HERE.parents[1] / "examples" / "or.toml")), steps=True)
    assert r"\sum_{j=1}^{2}" in latex and "count from 0" not in latex


# ---- P4: no letter for two things


def test_p4_batch_norm_and_adam_share_no_letter() -> None:
    latex = present(derive_network(load_spec(HERE / "page_bn_net.toml")))
    assert r"\beta^{(2)}_{k}" in latex and r"\rho_2" in latex and r"\beta_2" not in latex
    assert r"v^{(2)}_{k}" in latex and "v_{i}" not in latex and "r_{i}" in latex
    assert r"\rho_1^{\tau}" in latex and "No letter means two things here" in latex


# ---- P9: a font that draws every letter alike is none


def fonts_named(*names: str) -> list[font_manager.FontEntry]:
    return [font for font in font_manager.fontManager.ttflist if font.name in names]


def test_p9_a_placeholder_font_is_no_font(monkeypatch: pytest.MonkeyPatch) -> None:
    placeholder = "Last Resort High-Efficiency"  # Matplotlib 3.11 brings it
    only = fonts_named("DejaVu Sans", placeholder)
    monkeypatch.setattr(font_manager.fontManager, "ttflist", only)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    assert plotting._fonts(HANGUL) == []


def test_p9_what_draws_letters_alike_is_a_placeholder() -> None:
    assert plotting._is_placeholder({letter: letter // 1000 for letter in range(50_000)})
    assert plotting._is_placeholder(dict.fromkeys(range(100), 0))
    assert not plotting._is_placeholder({letter: letter for letter in range(100)})


def test_p9_a_font_installed_since_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    if not plotting._fonts(HANGUL):
        pytest.skip("no installed font has Hangul")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", fonts_named("DejaVu Sans"))
    _usual, found = plotting._fonts(HANGUL)
    assert found not in ("DejaVu Sans", "Last Resort High-Efficiency")


# ---- P5: one example, or a batch


def shapes(form: str, **choices: str) -> dict[str, str]:
    derivation = derive_network(load_spec(HERE / "page_bn_net.toml"))
    with reading(Reader(**choices)):
        return {entry.symbol: entry.shape for entry in page_for(derivation, form).entries}


def test_p5_equations_of_one_example_have_its_shapes() -> None:
    one, batch = shapes("matrix"), shapes("index")
    assert one["z1"] == "(5,)" and one["delta1"] == "(5,)" and one["T"] == "(3,)"
    assert one["dW1"] == batch["dW1"] == "(5, 4)" and one["mu2"] == "(5,)" and one["E"] == "()"
    assert batch["z1"] == "(N, 5)" and shapes("matrix", batch="rows")["z1"] == "(N, 5)"
    assert shapes("matrix", batch="columns")["z1"] == "(5, N)"
    small = derive_network(load_spec(HERE / "page_cnn_small.toml"))
    windows = next(e for e in page_for(small, "matrix").entries if e.symbol == "a1_2")
    assert windows.shape == "(N, 3, 3, 2)"  # it has no matrix form, and n among its indices


# ---- P6: an option that does nothing says so


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("delta --form matrix", "delta has no matrix form"),
        ("softmax --form both", "softmax has no matrix form"),
        ("adam --batch rows", "--batch rows changes nothing here: adam has no matrix form"),
        ("NET --batch columns", "it is for matrix equations"),
        ("delta --notation lectures", "on the page of delta these letters stay: z (there x)"),
        ("relu --notation lectures", "relu has no letter that it would change"),
        ("NET --json --format text", "--format text: --json prints JSON"),
    ],
)
def test_p6_what_has_no_effect_is_said(arguments: str, said: str) -> None:
    done = CliRunner().invoke(derive, arguments.replace("NET", str(HERE / "page_bn_net.toml")).split())
    assert done.exit_code == 0 and said in done.stderr and done.stdout


def test_p6_what_has_its_effect_is_silent() -> None:
    for arguments in ("NET --form matrix --batch rows --notation lectures", "delta --steps --lang ko"):
        done = CliRunner().invoke(derive, arguments.replace("NET", str(HERE / "page_bn_net.toml")).split())
        assert done.exit_code == 0 and not done.stderr
