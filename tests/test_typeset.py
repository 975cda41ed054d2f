"""Documents and PDFs: an engine where there is one, and an answer where there is none."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner
from conftest import not_installed

from chainrule.cli import typeset
from chainrule.cli.commands import derive
from chainrule.cli.typeset import NoTypesetting, first_error, pdf
from chainrule.derive.deriving import derive_network
from chainrule.derive.reader import Reader
from chainrule.lectures import topic
from chainrule.present import document, present
from chainrule.present import tree as t
from chainrule.present.breaking import measure, pieces, rows
from chainrule.present.tex import has_hangul
from chainrule.spec import load_spec

EXAMPLES = Path(__file__).parent.parent / "examples"


def engine(hangul: bool = False) -> None:
    """Skip a test where no engine can set such a document."""
    try:
        typeset.engine_for(hangul)
    except NoTypesetting as error:
        not_installed("TeX", str(error))


def test_no_engine_is_an_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(NoTypesetting, match=r"apt install texlive-latex-recommended.*--format tex") as found:
        pdf("")
    assert found.value.exit_code == 3
    result = CliRunner().invoke(derive, ["sigmoid", "--format", "pdf", "-o", str(tmp_path / "page.pdf")])
    assert isinstance(result.exception, NoTypesetting) and not list(tmp_path.iterdir())


def test_korean_needs_a_unicode_engine_and_a_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: program if program == "pdflatex" else None)
    assert typeset.engine_for(False).program == "pdflatex"
    with pytest.raises(NoTypesetting, match="texlive-xetex"):
        typeset.engine_for(True)
    monkeypatch.setattr(shutil, "which", lambda program: program)
    monkeypatch.setattr(typeset, "_has_hangul_font", lambda: False)
    with pytest.raises(NoTypesetting, match="fonts-noto-cjk"):
        typeset.engine_for(True)


def test_the_first_error_in_one_line() -> None:
    assert (
        first_error("This is TeX\n! Undefined control sequence.\nl.3 \\x\n") == "Undefined control sequence."
    )
    assert first_error("page.tex:7: Missing $ inserted.\n") == "Missing $ inserted."
    assert first_error("") == "it made no PDF and said nothing"


def test_what_does_not_compile_says_why() -> None:
    engine()
    with pytest.raises(NoTypesetting, match="Undefined control sequence"):
        pdf(r"\documentclass{article}\begin{document}\nosuch\end{document}")


def test_no_program_is_run_from_a_document(tmp_path: Path) -> None:
    engine()
    file = tmp_path / "written"
    body = rf"\immediate\write18{{touch {file}}}\immediate\openout5={file}x\relax ok"
    with contextlib.suppress(NoTypesetting):
        pdf(rf"\documentclass{{article}}\begin{{document}}{body}\end{{document}}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("subject", ["delta", "mnist_mlp.toml", "fashion_cnn.toml", "cifar10_cnn_79.toml"])
@pytest.mark.parametrize("form", ["index", "both"])
def test_no_line_is_wider_than_the_page(
    subject: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine()
    found = derive_network(load_spec(EXAMPLES / subject)) if subject.endswith("toml") else topic(subject)
    said: list[str] = []
    run = typeset._run
    monkeypatch.setattr(typeset, "_run", lambda *given: said.append(run(*given)) or said[-1])
    assert pdf(document(found, form, True)).startswith(b"%PDF")
    assert "Overfull" not in said[0], [line for line in said[0].splitlines() if "Overfull" in line]


def test_korean_pdf_has_its_letters(tmp_path: Path) -> None:
    engine(hangul=True)
    written = present(topic("softmax-cross-entropy"), "index", "tex", True, Reader("ko"))
    assert has_hangul(written)
    file = tmp_path / "page.pdf"
    file.write_bytes(pdf(written, True))
    if not shutil.which("pdftotext"):
        not_installed("pdftotext", "apt install poppler-utils")
    done = subprocess.run(["pdftotext", str(file), "-"], capture_output=True, check=True, encoding="utf-8")
    text = "".join(done.stdout.split())
    assert "연쇄법칙" in text and "소프트맥스" in text


def test_files_and_terminals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("latex", "text", "markdown", "html", "tex", "json"):
        path = tmp_path / kind
        result = CliRunner().invoke(derive, ["sigmoid", "--format", kind, "-o", str(path)])
        assert result.exit_code == 0 and not result.output and path.stat().st_size > 100
    for name, start in (
        ("a.tex", "\\documentclass"),
        ("a.md", "# sigmoid"),
        ("a.json", "{"),
        ("a", "% sigmoid"),
    ):
        assert CliRunner().invoke(derive, ["sigmoid", "-o", str(tmp_path / name)]).exit_code == 0
        assert (tmp_path / name).read_text().startswith(start)
    monkeypatch.setattr(
        "chainrule.cli.writing.sys", SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True))
    )
    with pytest.raises(click.UsageError, match="-o FILE"):
        derive.main(["sigmoid", "--format", "pdf"], standalone_mode=False)


def test_long_formulas_are_broken_before_their_signs() -> None:
    letters = [t.Ref(f"W{n}") for n in range(1, 40)]
    long = t.Times((t.Leaf("2", "2"), t.Plus(tuple((n % 2 == 1, w) for n, w in enumerate(letters)))))
    found = rows(long, 40)
    assert len(found) > 3 and found[0].startswith(r"2 \Bigl( W^{(1)}") and found[-1].endswith(r"\Bigr)")
    assert all(row.startswith((r"\quad {} +", r"\quad {} -")) for row in found[1:])
    assert measure(long) > 100 and all(piece.width < 40 for piece in pieces(long, 40))
    assert "".join(found).count("W^{") == 39
    assert len(rows(t.Hadamard(tuple(letters)), 40)) > 3
