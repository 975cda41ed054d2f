"""The command that writes a handout."""

import json
import re
from types import SimpleNamespace

from handout.handouts import ROOT

from chainrule.cli.handout import printing

OR = str(ROOT / "examples" / "or.toml")


def test_the_command_writes_a_page_with_the_run_that_it_is_given(derive, tmp_path):
    assert derive("train", OR, "--run-dir", "run", "--quiet", "--epochs", "20")[0] == 0
    assert derive("evaluate", "run")[0] == 0
    code, out, _err = derive("handout", OR, "-o", "or.html", "--run", "run", "--json")
    assert code == 0
    found = json.loads(out)
    html = (tmp_path / "or.html").read_text(encoding="utf-8")
    assert found == {"file": "or.html", "bytes": len(html.encode()), "gradients_passed": True}
    assert 'id="gradients"' in html and 'id="run"' in html
    assert derive("handout", OR, "--no-gradcheck")[1].strip() == "or_gate.html"
    assert 'id="gradients"' not in (tmp_path / "or_gate.html").read_text(encoding="utf-8")


def test_mistakes_are_one_line_and_exit_code_2(derive, tmp_path):
    derive("train", OR, "--run-dir", "run", "--quiet", "--epochs", "1")
    xor = str(ROOT / "examples" / "xor_backprop.toml")
    (tmp_path / "empty").mkdir()
    for arguments, words in (
        ((OR, "-o", "or.txt"), "FILE.html or FILE.pdf"),
        (("missing.toml",), "missing.toml"),
        ((OR, "--no-gradcheck", "--run", "empty"), "summary.json"),
        ((xor, "--no-gradcheck", "--run", "run"), "run"),
        ((OR, "--no-gradcheck", "-o", "nowhere/or.html"), "nowhere"),
    ):
        code, out, err = derive("handout", *arguments)
        assert (code, out) == (2, ""), err
        assert words in err and "Traceback" not in err
    (tmp_path / "run" / "evaluation.json").write_text(
        '{"confusion": [[1]], "classes": [3]}', encoding="utf-8"
    )
    assert derive("handout", OR, "--no-gradcheck", "--run", "run")[0] == 2


def test_without_a_browser_a_pdf_is_refused_in_one_line(derive, monkeypatch):
    monkeypatch.setattr(printing, "shutil", SimpleNamespace(which=lambda name: None))
    code, out, err = derive("handout", OR, "-o", "or.pdf")
    assert (code, out) == (3, "")
    assert err.count("\n") == 1 and "install" in err


def test_a_pdf_is_printed(derive, browser, tmp_path):
    assert derive("handout", OR, "-o", "or.pdf", "--no-gradcheck")[0] == 0
    content = (tmp_path / "or.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 12
