"""The Python interface: docstrings that run, displays for MathJax and KaTeX, errors as in the command."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from tracked_files import PACKAGES, ROOT

import chainrule
import chainrule.derive.derivation
import chainrule.derive.numbering
from chainrule import Reader, derivation, reading, topic
from chainrule.present import page_for
from chainrule.present.mathml import write_line
from chainrule.spec import SpecError

XOR = ROOT / "examples" / "xor_backprop.toml"


@pytest.mark.parametrize(
    "module",
    [
        "chainrule",
        "chainrule.arguments",
        "chainrule.sources",
        "chainrule.derive.derivation",
        "chainrule.derive.numbering",
    ],
)
def test_examples_in_docstrings_run(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 0 and found.failed == 0


def test_importing_the_package_is_light() -> None:
    heavy = "sorted(set(sys.modules) & {'sympy', 'numpy'})"
    code = f"import sys; from chainrule import derivation; print(*{heavy}, derivation.__name__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["derivation"], done.stderr


def test_in_the_repository_its_folders_are_the_package() -> None:
    """Python finds chainrule/ in the current folder first, and nothing there but what joins the rooms."""
    code = """
import sys
sys.meta_path[:] = [each for each in sys.meta_path if not each.__module__.startswith("__editable__")]
from chainrule import derivation
from chainrule.cli.commands import derive
import chainrule.codegen.targets.numpy
print(chainrule.codegen.targets.numpy.__file__)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == [str(ROOT / "codegen" / "targets" / "numpy" / "__init__.py")], done.stderr


def test_the_functions_stay_what_they_are_when_everything_is_imported() -> None:
    """No submodule has the name of a function of the package, which importing it would replace."""
    modules = {module.name for module in pkgutil.iter_modules(chainrule.__path__)} | {*PACKAGES[1:]}
    assert not modules & set(chainrule.__all__)


def test_an_equation_displays_itself(katex: Callable[[Iterable[str]], list[str]]) -> None:
    equations = derivation(XOR).equations
    written = [e._repr_latex_() for e in equations]
    assert all(text.startswith("$$") and text.endswith("$$") for text in written)
    assert all(rf"\tag{{{e.number}}}" in text for e, text in zip(equations, written, strict=True))
    assert not any("\\begin{align" in text or "\n" in text for text in written)
    assert katex([text.strip("$") for text in written]) == []
    for e in equations:
        html = e._repr_html_()
        assert f"({e.number})" in html and html.count("<math") == 1 and "<script" not in html
        assert str(e) == f"({e.number}) {e.text()}"


def test_the_latex_of_an_equation_is_that_of_the_command() -> None:
    from chainrule.present import present

    found = derivation(XOR)
    page = present(found)
    assert all(
        e.latex().replace(" = ", " &= ", 1).replace(r" \leftarrow ", r" &\leftarrow ", 1) in page
        for e in found.equations
    )
    with pytest.raises(ValueError, match="form is one of index, matrix"):
        found.equation(1).latex("vector")


@pytest.mark.parametrize(
    "given", [lambda: derivation(XOR), lambda: topic("softmax"), lambda: topic("mse-minimum")]
)
def test_pages_display_themselves(
    given: Callable[[], object], katex: Callable[[Iterable[str]], list[str]]
) -> None:
    subject = given()
    markdown = subject._repr_markdown_()  # type: ignore[attr-defined]
    displays = re.findall(r"\$\$\n(.*?)\n\$\$", markdown, re.DOTALL)
    assert displays and katex(displays) == []
    html = subject._repr_html_()  # type: ignore[attr-defined]
    assert html.count("<math") >= len(displays) and "<script" not in html
    assert len(repr(subject)) < 100 and len(str(subject)) > 100
    assert "\\" not in str(subject)


def test_sections_of_a_page_display_themselves() -> None:
    page = derivation(XOR).page("matrix", steps=True)
    backward = page.sections[2]
    assert "δ1 = (W2ᵀ δ2) ⊙ a1 ⊙ (1 − a1)" in str(backward)
    assert backward._repr_html_().count('class="equation"') == len(backward.entries)
    assert "## Backward" in backward._repr_markdown_()
    assert "chain rule" in str(page) and "chain rule" not in str(derivation(XOR).page("matrix"))


def test_what_was_obtained_without_the_facade_displays_itself() -> None:
    """An equation from anywhere: nothing but the module that makes it has been imported."""
    code = f"""if True:
        import sys
        from chainrule.spec.load import load_spec
        from chainrule.derive.deriving import derive_network
        found = derive_network(load_spec({str(XOR)!r}))
        assert "chainrule.present" not in sys.modules
        print(found.equation(2), found.equation(2)._repr_latex_(), len(found._repr_html_()) > 999, sep="\\n")
    """
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60
    )
    text, latex, html = done.stdout.splitlines()
    assert text == str(derivation(XOR).equation(2)) and latex == derivation(XOR).equation(2)._repr_latex_()
    assert html == "True" and done.stderr == ""


def test_a_spec_may_be_a_path_or_a_text() -> None:
    text = XOR.read_text(encoding="utf-8")
    assert str(derivation(text)) == str(derivation(XOR)) == str(derivation(str(XOR)))


def test_mistakes_have_the_messages_of_the_command(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(XOR.read_text(encoding="utf-8").replace("sigmoid", "sigmoyd"), encoding="utf-8")
    for path in (tmp_path / "nowhere.toml", bad):
        command = [sys.executable, "-m", "chainrule.cli.main", str(path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60)
        with pytest.raises(SpecError) as error:
            derivation(path)
        assert done.returncode == 2
        assert str(error.value) == done.stderr.strip()
    with pytest.raises(IndexError, match=r"no equation \(99\): they are numbered 1 to 13"):
        derivation(XOR).equation(99)
    with pytest.raises(ValueError, match=r"'sigmod' is no topic. Did you mean sigmoid"):
        topic("sigmod")
    with pytest.raises(ValueError):
        topic("mse-minimum", given={"z": "1"})


def test_a_reader_chooses_the_notation_of_what_is_shown_inside() -> None:
    page = derivation(XOR).page("matrix")
    with reading(Reader(notation="lectures")):
        assert "x1 = W1 a0" in str(page) and "x1 = W1 a0" in str(page.sections[0])
        assert str(page_for(page)) == str(page) == str(page_for(derivation(XOR), "matrix"))
        assert "x1[n,k]" in str(derivation(XOR)) and "y the target" in page._repr_markdown_()
    assert "z1 = W1 a0" in str(page)


def test_a_reader_chooses_the_language_of_what_is_shown_inside() -> None:
    with reading(Reader(language="ko")):
        assert str(topic("sigmoid"))
    with pytest.raises(ValueError, match="language is one of en, ko"):
        Reader(language="fr")


def test_mathml_of_numbers_has_powers() -> None:
    from chainrule.present.numerals import numeral
    from chainrule.present.sides import Line
    from chainrule.present.tree import Leaf, Times

    product = Times((numeral(0.5), numeral(3.2e-7)))
    assert write_line(Line(Leaf("a", "a"), "=", product)).count("<mo>·</mo>") == 2
