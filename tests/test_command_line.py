"""The command line helps: what is near, specs from anywhere, words completed, and help of one hand."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.shell_completion import BashComplete

from chainrule.cli.commands import derive as group
from chainrule.cli.parameters import DATA_SETS
from chainrule.lectures import TOPICS
from chainrule.spec.starters import STARTS, starter

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
OR, AND = str(EXAMPLES / "or.toml"), str(EXAMPLES / "and.toml")


# ---- What is near ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("chek", "Did you mean check, "),
        ("chek --json", "Did you mean check, "),
        ("chek net.toml", "'chek' is no command. Did you mean check?"),
        ("trian - --epochs 3", "Did you mean train, "),
        ("softmx --steps", "Did you mean softmax?"),
        ("--steps softmx", "Did you mean softmax?"),
        ("mine", "Did you mean mine.toml?"),
        ("mime", "Did you mean mine.toml?"),
        ("folder", "Did you mean folder/other.toml?"),
        ("check mime.toml", "cannot read mime.toml: No such file or directory; did you mean mine.toml?"),
        ("train folder/othr", "did you mean folder/other.toml?"),
        ("softmax --fom matrix", "--form"),
        ("--fom matrix softmax", "--form"),
        ("--fom=matrix softmax", "--form"),
        ("--versoin", "--version"),
        ("--json list", "'list' is a command: it stands first"),
        ("-x softmax", "No such option '-x'"),
        ("new mine", "mine.toml exists"),
        ("new mine.toml", "mine.toml exists"),
        ("new xor", "xor_net can"),
        ("new a-b", "cannot be the name"),
        ("check - -", "name it once"),
        ("--json", "Missing argument 'TOPIC | SPEC'"),
    ],
)
def test_what_is_near_is_suggested(derive, tmp_path, arguments, message):
    (tmp_path / "mine.toml").write_text(starter("mine"))
    (tmp_path / "unrelated.toml").write_text("[project]\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "other.toml").write_text(starter("other"))
    code, out, err = derive(*arguments.split())
    assert (code, out) == (2, "")
    assert message in err


def test_what_is_not_near_is_not_suggested(derive, tmp_path):
    (tmp_path / "mine.toml").write_text(starter("mine"))
    assert "did you mean" not in derive("check", "nope.toml")[2]  # the ending is not what they have in common


def test_a_topic_is_shown_by_derive_itself(derive):
    assert "Try 'derive --help' for help." in derive("softmax", "--format", "txt")[2]


def test_options_may_stand_before_a_topic(derive):
    assert derive("--format", "text", "relu") == derive("relu", "--format", "text")


# ---- Specs from anywhere ---------------------------------------------------------------------------


@pytest.fixture
def typed(monkeypatch) -> None:
    """The text of a spec is on standard input."""
    content = (EXAMPLES / "or.toml").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))


@pytest.mark.usefixtures("typed")
@pytest.mark.parametrize(
    "arguments",
    ["", "check", "gradcheck --steps 0", "data", "generate", "handout --no-gradcheck", "train --epochs 1"],
)
def test_a_dash_is_standard_input(derive, arguments):
    command, *options = arguments.split() or [""]
    code, out, err = derive(*filter(None, [command, "-", *options]), "--json")
    assert code == 0, err
    assert json.loads(out)


def test_problems_of_standard_input_name_it(derive, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"name = 1\n")))
    code, out, err = derive("check", "-")
    assert (code, out) == (2, "") and "<stdin>:1:8: E103 name = 1" in err
    monkeypatch.setattr(sys, "stdin", None)  # closed
    assert derive("-")[0] == 2


def test_several_specs_are_checked_apart(derive):
    code, out, _ = derive("check", OR, AND)
    first, second = out.split(f"\n\n{AND}\n")
    assert code == 0
    assert [f"{OR}\n{derive('check', OR)[1]}", derive("check", AND)[1]] == [f"{first}\n", second]
    listed = json.loads(derive("check", OR, AND, "--json")[1])
    assert [each["name"] for each in listed] == ["or_gate", "and_gate"]
    assert [each["spec"] for each in listed] == [OR, AND]
    assert json.loads(derive("check", OR, "--json")[1]) == listed[0]


def test_a_spec_that_is_refused_does_not_keep_the_others_back(derive, tmp_path):
    (tmp_path / "one.toml").write_text("x = 1\n")
    (tmp_path / "two.toml").write_text("name = 1\n")
    code, out, err = derive("check", "one.toml", OR, "two.toml")
    assert code == 2 and "or.toml" in out
    assert "one.toml:1:1: E101" in err and "two.toml:1:8: E103" in err
    assert derive("check", "one.toml", OR, "--json")[:2] == (2, "")
    code, out, err = derive("generate", "one.toml", OR, "two.toml")
    assert (code, out) == (2, "") and "one.toml:1:1" in err and "two.toml:1:8" in err
    assert not (tmp_path / "generated").exists()


def test_one_failure_among_several_gradient_checks_is_the_exit_code(derive, monkeypatch):
    from chainrule import running

    whole = running.gradient_report

    def planted(spec, *rest, **options):
        report = whole(spec, *rest, **options)
        good = spec.name != "or_gate"
        return SimpleNamespace(passed=good, to_text=report.to_text, to_json=lambda: {"passed": good})

    monkeypatch.setattr(running, "gradient_report", planted)
    code, out, _ = derive("gradcheck", OR, AND, "--steps", "0", "--json")
    assert code == 1 and [each["passed"] for each in json.loads(out)] == [False, True]
    code, out, _ = derive("gradcheck", OR, AND, "--steps", "0")
    assert code == 1 and out.startswith(f"{OR}\n") and f"\n\n{AND}\n" in out


# ---- A spec to start from --------------------------------------------------------------------------


@pytest.mark.parametrize("like", STARTS)
def test_a_new_spec_trains_at_once(derive, tmp_path, like, monkeypatch):
    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "empty"))
    assert derive("new", "mine", "--like", like)[:2] == (0, "mine.toml\n")
    epochs = () if like == "xor" else ("--epochs", "1", "--batch-size", "500")
    code, out, err = derive("train", "mine.toml", "--json", *epochs)
    assert code == 0, err
    if like == "xor":
        assert json.loads(out)["history"][-1]["accuracy"] == 1


def test_an_existing_file_is_kept(derive, tmp_path):
    (tmp_path / "mine.toml").write_text("mine")
    assert derive("new", "mine")[0] == 2
    assert (tmp_path / "mine.toml").read_text() == "mine"
    assert derive("new", "mine", "--force")[0] == 0
    assert derive("new", "../mine")[0] == 2
    assert not (tmp_path.parent / "mine.toml").exists()


# ---- Help ------------------------------------------------------------------------------------------


def test_help_shows_the_options_of_showing(derive):
    out = derive("--help")[1]
    shown = group.commands["show"].params
    assert all(each.opts[0] in out for each in shown if isinstance(each, click.Option))
    assert "_DERIVE_COMPLETE=bash_source" in out
    assert "\n  show " not in out, "it needs no name"
    assert "..." not in out, "no sentence is cut"
    assert derive("softmax", "--help")[1].startswith("Usage: derive TOPIC | SPEC [OPTIONS]\n")


def test_help_texts_are_of_one_hand() -> None:
    for name, command in group.commands.items():
        first = (command.help or "").split("\n")[0]
        assert first.endswith(".") and first[0].isupper() and len(first) <= 85, (name, first)
        for each in command.params:
            if isinstance(each, click.Option):
                text = each.help or ""
                assert text.endswith(".") and "[default" not in text, (name, each.name)
                shown = each.make_metavar(click.Context(command))
                assert "INTEGER" not in shown and "TEXT" not in shown and shown != "PATH", (name, each.name)


def test_choices_are_those_that_there_are() -> None:
    (like,) = (each for each in group.commands["new"].params if each.name == "like")
    assert isinstance(like.type, click.Choice) and set(like.type.choices) == set(STARTS)
    from chainrule.runtime.datasets import EMBEDDED
    from chainrule.spec.kinds import DATA_SETS as NAMED

    assert set(DATA_SETS) == {*NAMED, EMBEDDED[-1]}


# ---- Completion ------------------------------------------------------------------------------------


def completed(*words: str) -> list[str]:
    """What a shell is told for the last of the words; "file:" and "dir:" leave it to the shell."""
    shell = BashComplete(group, {}, "derive", "_DERIVE_COMPLETE")
    found = shell.get_completions(list(words[:-1]), words[-1])
    return [each.value if each.type == "plain" else f"{each.type}:{each.value}" for each in found]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder with a spec, one in a folder below, a TOML file that is none, and a run."""
    monkeypatch.chdir(tmp_path)
    for path, text in {
        "soft.toml": starter("soft"),
        "nets/deep.toml": starter("deep"),
        "settings.toml": "[project]\n",
        "runs/soft-1/summary.json": "{}",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / path).write_text(text)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["sof"], {"softplus", "softmax", "softmax-cross-entropy", "soft.toml"}),
        (["s"], {"schema", "sigmoid", "soft.toml"}),
        (["net"], {"nets/deep.toml"}),
        (["./so"], {"./soft.toml"}),
        (["nowhere"], {"file:nowhere"}),
        (["--fo"], {"--form", "--format"}),
        (["--vers"], {"--version"}),
        (["softmax", "--fo"], {"--form", "--format"}),
        (["--form", "m"], {"matrix"}),
        (["--form", "matrix", "sof"], {"softplus", "softmax", "softmax-cross-entropy", "soft.toml"}),
        (["check", ""], {"soft.toml", "nets/deep.toml"}),
        (["check", "soft.toml", "n"], {"nets/deep.toml"}),
        (["check", "soft.toml", "--j"], {"--json"}),
        (["train", "soft.toml", "--data", "mnist"], {"mnist", "mnist_embedded"}),
        (["data", "cifar"], {"cifar10", "cifar100"}),
        (["predict", "ru"], {"runs/soft-1"}),
        (["evaluate", "x"], {"dir:x"}),
        (["handout", "soft.toml", "--run", "runs/"], {"runs/soft-1"}),
        (["new", "mine", "--like", ""], set(STARTS)),
    ],
)
def test_a_shell_completes_words(words, found):
    assert set(completed(*words)) >= found
    if words != ["s"]:
        assert set(completed(*words)) == found


@pytest.mark.usefixtures("folder")
def test_the_first_word_is_a_command_a_topic_or_a_spec():
    names = {name for name, command in group.commands.items() if not command.hidden}
    assert set(completed("")) == {*names, *TOPICS, "soft.toml", "nets/deep.toml"}


def test_completing_imports_nothing_heavy(folder):
    asked = {"_DERIVE_COMPLETE": "bash_complete", "COMP_WORDS": "derive sof", "COMP_CWORD": "1"}
    code = (
        "import sys\nfrom chainrule.cli.main import main\n"
        "try:\n    main()\nfinally:\n    print('heavy', *({'sympy', 'numpy'} & set(sys.modules)))"
    )
    environment = {**os.environ, **asked, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.stdout.splitlines()[-2:] == ["plain,soft.toml", "heavy"], done.stderr
