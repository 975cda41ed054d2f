"""The documentation: a page for all that is there, examples that run, no derivative by hand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from cases.test_references import BY_HAND
from tracked_files import tracked

from chainrule import derivation
from chainrule.derive.layers import LAYERS
from chainrule.lectures import TOPICS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(tracked("docs/*.md"))
GUIDE = ROOT / "CONTRIBUTING.md"
CONF = """
import sys
sys.path.insert(0, {extension!r})
sys.path.insert(0, {here!r})
extensions = ["myst_parser", "sphinx.ext.autodoc", "derived"]
html_theme = "basic"
"""


@pytest.fixture(scope="module")
def derived() -> ModuleType:
    """What the documentation adds to Sphinx, without Sphinx."""
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        import derived.judging
        import derived.pages
        import derived.specimen
        import derived.workplace
    finally:
        sys.path.pop(0)
    return derived


# ---- Pages ------------------------------------------------------------------------------------------


def test_every_layer_and_every_topic_has_a_page(derived: ModuleType) -> None:
    found = {*derived.pages.stubs()}
    assert found == {f"layers/{n}" for n in LAYERS} | {f"topics/{n}" for n in TOPICS} | {"python/returned"}


def test_what_the_functions_of_the_package_return_is_documented(derived: ModuleType) -> None:
    text = derived.pages.stubs()["python/returned"]
    for name in ("derive.derivation.Derivation", "lectures.model.Topic", "present.page.Page"):
        assert f".. autoclass:: chainrule.{name}()" in text


def own_layer() -> object:
    """The layer that CONTRIBUTING.md writes."""
    text = GUIDE.read_text(encoding="utf-8")
    names: dict[str, object] = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)  # type: ignore[index]  # noqa: S102
    return names["LAYER"]


def test_a_new_layer_has_one_without_a_change(derived: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = own_layer()
    monkeypatch.setitem(LAYERS, "scale_shift", layer)
    assert "{layer} scale_shift" in derived.pages.stubs()["layers/scale_shift"]
    assert ("scale_shift", "scale and shift each feature") in derived.pages.listed("layers")
    found = derivation(derived.specimen.text(layer))
    assert {"ds2", "db2", "dW1"} <= {e.name for e in found.role("backward")}
    assert [v.after for v in derived.specimen.variants(layer)] == [(4,), (32,)]


@pytest.mark.parametrize("name", LAYERS)
def test_the_example_of_a_layer_has_its_way_back(derived: ModuleType, name: str) -> None:
    found = derivation(derived.specimen.text(LAYERS[name]))
    front, layer = found.network.layers[-2:]
    assert layer.type == name and any(p.role == "weight" for p in front.parameters)
    for parameter in (*front.parameters, *layer.parameters):
        assert any(e.name == f"d{parameter.name}" for e in found.role("backward"))


def test_the_shapes_of_a_layer_follow_its_fields(derived: ModuleType) -> None:
    rows = {v.changed: v for v in derived.specimen.variants(LAYERS["conv2d"]) if v.changed}
    assert rows['padding = "same"'].after == (7, 7, 3) and rows["bias = false"].parameters == 24


# ---- What is written --------------------------------------------------------------------------------


def written(text: str) -> str:
    """Return a page without its code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def by_hand(text: str) -> list[str]:
    """Return the lines of a page that state a derivative, and mathematics that is not the engine's."""
    patterns = (*BY_HAND, re.compile(r"\$\S|\\\(|\\\["))
    page = written(text)
    lines = [line for line in page.splitlines() if any(p.search(line) for p in patterns)]
    return lines + re.findall(r"\{math\}|\{eq\}", text)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_no_page_states_a_derivative_by_hand(path: Path) -> None:
    assert by_hand(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "σ′ = a (1 − a)",
        "∂z/∂b = 1: the same",
        "$\\delta = p - t$",
        "```{math}\nx\n```",
        "the derivative of x² is 2x",
    ],
)
def test_one_that_does_is_found(text: str) -> None:
    assert by_hand(text)


def test_every_variable_of_the_environment_is_documented() -> None:
    code = "".join(p.read_text(encoding="utf-8") for p in tracked("cli/*.py", "runtime/*.py"))
    named = set(re.findall(r'"(CHAINRULE_[A-Z_]+)"', code))
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert named and not {name for name in named if f"| `{name}` |" not in page}


def test_links_and_what_a_page_loads_are_judged(derived: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<p id="x">x</p><a href="b/c.html#y">c</a><a href="#x">x</a><a href="https://e.org">e</a>'
    )
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.html").write_text(
        '<p id="y">y</p><img src="../p.png"><link rel="next" href="../a.html">'
    )
    (tmp_path / "p.png").touch()
    assert list(derived.judging.objections(tmp_path)) == []
    bad = {
        '<a href="nowhere.html">': "links to nowhere.html, which is not there",
        '<a href="b/c.html#z">': "links to b/c.html#z, and nothing is called so",
        '<p id="x"><p id="x">': "two elements are called x",
        '<script src="https://e.org/a.js">': "loads https://e.org/a.js",
        '<link rel="stylesheet" href="//e.org/a.css">': "loads //e.org/a.css",
    }
    for text, said in bad.items():
        (tmp_path / "a.html").write_text(text)
        assert list(derived.judging.objections(tmp_path)) == [f"a.html: {said}"]


# ---- What is run ------------------------------------------------------------------------------------


def test_examples_are_run_where_they_stand(
    derived: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derived.workplace, "BUILD", tmp_path)
    place = derived.workplace.Workplace.made("howto/one")
    good = place.run("derive mse-minimum --format text")
    assert good.code == 0 and "w = 55/31" in good.output and good.progress == ""
    bad = place.run("derive softmx")
    assert bad.code == 2 and bad.output == "" and "softmax" in bad.progress
    assert place.run("derive list | grep xor-back").output.startswith("  xor-backprop ")
    assert place.run("derive softmx | cat").code == 2
    assert place.python("x = 2\nprint(x)\nx + 1") == ("2\n", 3)
    assert place.python("x") == ("", 2)
    with pytest.raises(ZeroDivisionError):
        place.python("1 / 0")


BAD = {
    "fails": ("```{console}\n$ derive softmx\n```", "exit code 2, not 0"),
    "should-fail": ("```{console}\n:exit: 2\n$ derive or --format text\n```", "exit code 0, not 2"),
    "raises": ("```{python}\n1 / 0\n```", "ZeroDivisionError"),
    "no-line": ("```{console}\n:from: ^nothing like it\n$ derive or --format text\n```", "no line matches"),
    "spec": ('```{equations}\nspec_version = 1\nname = "x"\n```', "E1"),
    "docstring": ("```{eval-rst}\n.. automodule:: untrue\n```", "Expected:\n    3\nGot:\n    2"),
    "link": ("[there](nowhere.md)", "nowhere.md"),
}


def test_what_does_not_hold_fails_the_build(tmp_path: Path) -> None:
    pytest.importorskip("myst_parser", reason="make .venv/docs.stamp installs what builds the documentation")
    (tmp_path / "conf.py").write_text(CONF.format(extension=str(DOCS / "_ext"), here=str(tmp_path)))
    (tmp_path / "index.md").write_text("# All\n\n```{toctree}\n:glob:\n*\n```\n")
    (tmp_path / "untrue.py").write_text('"""Untrue.\n\n>>> 1 + 1\n3\n"""\n')
    (tmp_path / "good.md").write_text("# Good\n\n```{console}\n$ derive mse-minimum --format text\n```\n")
    for name, (text, _said) in BAD.items():
        (tmp_path / f"{name}.md").write_text(f"# {name}\n\n{text}\n")
    command = [sys.executable, "-m", "sphinx", *["-E", "-q", "-W", "--keep-going"], ".", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    for name, (_text, said) in BAD.items():
        where = "WARNING: docstring of untrue" if name == "docstring" else rf"{name}\.md:3: WARNING: "
        place = re.search(rf"{where}(.*?)(?=\n\S*\.md:\d|\Z)", done.stderr, re.DOTALL)
        assert place and said in place[1], f"{name}: {done.stderr}"
    assert "good.md" not in done.stderr
    assert "55/31" in (tmp_path / "out" / "good.html").read_text(encoding="utf-8")
