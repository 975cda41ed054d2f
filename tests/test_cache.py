"""What was derived before is found again: under its whole key, whole, and by whoever may."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from chainrule.cli import cache, provenance, showing
from chainrule.cli.cache import Store
from chainrule.cli.main import main
from chainrule.cli.options import NO_CACHE

ROOT = Path(__file__).parent.parent
OR = str(ROOT / "examples" / "or.toml")
HEAVY = {"sympy", "mpmath", "numpy", "jinja2"}
DRESSED = """spec_version = 1
name = "dressed"
[input]
shape = [2]
[[layers]]
type = "dense"
units = 1
activation = "own"
[loss]
type = "mse"
[optimizer]
type = "sgd"
learning_rate = 0.1
[activations.own]
formula = "x * sigmoid(x)"
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def derive(monkeypatch, capsys, tmp_path) -> Iterator[Run]:
    """Run the command with a cache of its own; return its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(NO_CACHE)
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["derive", *arguments])
        with pytest.raises(SystemExit) as exit_info:
            main()
        out, err = capsys.readouterr()
        return int(exit_info.value.code or 0), out, err

    return run


def entries() -> list[Path]:
    return sorted(Path("cache/derived").glob("*"))


@pytest.fixture
def made(monkeypatch) -> list[str]:
    """What had to be made, in order."""
    names: list[str] = []
    remembered = cache.remembered

    def noted(what: str, key: Any, make: Callable[[], Any]) -> Any:
        return remembered(what, key, lambda: (names.append(what), make())[1])

    for module in ("cache", "specs"):
        monkeypatch.setattr(f"chainrule.cli.{module}.remembered", noted)
    return names


# ---- Found again -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [OR],
        [OR, "--batch", "rows"],  # with a note on stderr
        [OR, "--numbers", "--steps"],
        ["sigmoid", "--lang", "ko"],
        ["check", OR],
        ["check", OR, "--json"],
        ["generate", "--force", OR],
        ["generate", "--check", "--json", OR],
    ],
    ids=lambda arguments: " ".join(Path(a).name for a in arguments),
)
def test_what_was_derived_is_given_again_and_nothing_heavy_is_imported(derive, arguments):
    anew = derive(*arguments, "--no-cache")
    assert entries() == []
    assert derive(*arguments) == anew
    assert entries()
    again = f"""import sys
from chainrule.cli.main import main
from chainrule.cli.options import NO_CACHE
sys.argv[1:] = {arguments!r}
try:
    main()
finally:
    loaded = set(sys.modules) & {HEAVY!r}
    assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", again], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == anew


def test_programs_are_generated_once_for_every_command(derive, made):
    assert derive("gradcheck", OR, "--samples", "2", "--steps", "0")[0] == 0
    assert derive("train", OR, "--epochs", "1", "--run-dir", "run", "--quiet")[0] == 0
    assert made == ["program"]
    assert Path("run/program/or_gate/numpy_trainer.py").read_text() == (
        ROOT / "generated/or_gate/numpy_trainer.py"
    ).read_text(encoding="utf-8")


def test_a_changed_folder_is_seen_by_what_comes_out_of_the_cache(derive):
    assert derive("generate", OR)[0] == 0
    Path("generated/or_gate/equations.tex").write_text("mine")
    assert derive("generate", "--check", OR)[0] == 1
    assert derive("generate", OR)[0] == 2
    assert derive("generate", OR, "--target", "cuda", "--force")[0] == 0
    assert derive("generate", "--check", OR)[0] == 0
    assert Path("generated/or_gate/cuda/kernels.cu").exists()


def test_nothing_is_kept_of_what_is_refused(derive):
    Path("bad.toml").write_text(DRESSED.replace('"mse"', '"mess"'))
    for arguments in (["bad.toml"], ["check", "bad.toml"], ["generate", "bad.toml"], ["no.toml"], ["sigmod"]):
        first = derive(*arguments)
        assert first[0] == 2 and first == derive(*arguments)
    assert entries() == []


def test_a_picture_is_drawn_each_time(derive):
    for _ in range(2):
        assert derive("sigmoid", "--plot", "plot.svg")[0] == 0
        Path("plot.svg").unlink()
    assert entries() == []


@pytest.mark.parametrize("variable", ["1", "true"])
def test_without_the_cache_nothing_is_read_or_written(derive, monkeypatch, variable):
    monkeypatch.setenv(NO_CACHE, variable)
    assert derive(OR)[0] == 0
    assert entries() == []


def test_the_cache_says_where_it_is_and_is_cleared(derive):
    derive("check", OR)
    told = json.loads(derive("cache", "--json")[1])
    assert told["entries"] == len(entries()) == 1
    assert told["bytes"] == entries()[0].stat().st_size
    assert derive("cache", "--clear")[1].endswith("cache/derived: 0 entries, 0.0 MiB\n")
    assert entries() == []


# ---- Keys ------------------------------------------------------------------------------------------

SAYS_NOTHING_NEW = {"output", "plot", "as_json", "form_at"}  # of which `format` is what matters


def other_values(option: click.Parameter) -> list[str]:
    """An option with another value than its default, as it is written."""
    name = option.opts[-1]
    if isinstance(option.type, click.Choice):
        return [name, next(each for each in option.type.choices if each != option.default)]
    return [name] if getattr(option, "is_flag", False) else [name, "1"]


@pytest.mark.parametrize(
    "option",
    [p for p in showing.show.params if p.expose_value and p.name not in SAYS_NOTHING_NEW],
    ids=lambda p: p.name,
)
def test_every_option_of_a_page_is_part_of_its_key(derive, monkeypatch, option):
    keys = []

    def asked(what: str, key: Any, make: Callable[[], Any]) -> Any:
        keys.append(json.dumps(key, default=str))
        return {"notes": [], "text": ""}

    monkeypatch.setattr(cache, "remembered", asked)
    other = ["softmax"] if option.name == "subject" else ["sigmoid", *other_values(option)]
    for arguments in (["sigmoid"], other, ["sigmoid", "-o", "page"]):
        assert derive(*arguments)[0] == 0
    assert keys[0] != keys[1]
    assert keys[0] == keys[2], "where it goes is no matter"


def test_a_format_is_part_of_the_key_however_it_is_asked_for(derive):
    for arguments in (["--json"], ["--format", "text"], ["-o", "page.md"], []):
        assert derive(OR, *arguments)[0] == 0
    assert len(entries()) == 4


def test_a_byte_of_the_spec_and_its_file_name_are_part_of_the_key(derive, made):
    for name, text in (("a", DRESSED), ("a", DRESSED.replace("sigmoid(x)", "sigmoid(2*x)")), ("b", DRESSED)):
        Path(f"{name}.toml").write_text(text)
        derive(f"{name}.toml")
        derive("check", f"{name}.toml")
    assert made == ["page", "totals"] * 3
    Path("deeper").mkdir()
    Path("deeper/b.toml").write_text(DRESSED)
    derive("check", "deeper/b.toml")
    assert made == ["page", "totals"] * 3, "a spec is the same in another folder"


def test_threads_are_part_of_the_key_of_what_training_takes(derive, monkeypatch, made):
    for threads in "1", "2":
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", threads)
        derive("check", OR)
    assert made == ["totals"] * 2


def test_another_content_of_our_files_is_another_program(tmp_path, monkeypatch):
    (tmp_path / "__pycache__").mkdir()
    source = tmp_path / "deep" / "engine.py"
    source.parent.mkdir()
    source.write_text("a = 1")
    monkeypatch.setattr(provenance, "_folders", lambda room: (str(tmp_path),))
    found = [provenance.provenance()]
    (tmp_path / "__pycache__" / "engine.pyc").write_text("")
    assert provenance.provenance() == found[0]
    before = source.stat()
    source.write_text("a = 2")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))  # the same size and time
    found.append(provenance.provenance())
    (tmp_path / "more.j2").write_text("")
    found.append(provenance.provenance())
    (tmp_path / "more.j2").rename(tmp_path / "moved.j2")
    found.append(provenance.provenance())
    assert len({each["chainrule"] for each in found}) == 4


def test_every_folder_of_the_package_is_looked_at():
    with (ROOT / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)["tool"]["setuptools"]
    assert set(provenance.PACKAGES) == set(settings["package-dir"])
    folders = settings["package-dir"]
    assert all(any(f"{p}.".startswith(f"{each}.") for each in folders) for p in settings["packages"])


def test_another_program_library_or_python_finds_nothing(derive, monkeypatch, made):
    derive("check", OR)
    for name in provenance.provenance():
        now = {**provenance.provenance(), name: "another"}
        monkeypatch.setattr(cache, "provenance", lambda now=now: now)
        derive("check", OR)
    assert len(made) == 1 + len(provenance.provenance())


def test_what_was_derived_while_the_program_changed_is_not_kept(derive, monkeypatch):
    times = iter(range(10))
    monkeypatch.setattr(cache, "provenance", lambda: {"chainrule": str(next(times))})
    assert derive("check", OR)[0] == 0
    assert entries() == []


# ---- The store -------------------------------------------------------------------------------------


def damages() -> dict[str, Callable[[Path], object]]:
    def link(path: Path) -> None:
        path.unlink()
        path.symlink_to("nowhere")

    def folder(path: Path) -> None:
        path.unlink()
        path.mkdir()

    def pipe(path: Path) -> None:
        path.unlink()
        os.mkfifo(path)

    def cut(share: float) -> Callable[[Path], object]:
        return lambda path: os.truncate(path, int(path.stat().st_size * share))

    def change(old: bytes, new: bytes) -> Callable[[Path], object]:
        def changed(path: Path) -> None:
            content = path.read_bytes()
            assert old in content
            path.write_bytes(content.replace(old, new))

        return changed

    return {
        "empty": cut(0),
        "half of the key": cut(0.2),
        "a byte short": lambda path: os.truncate(path, path.stat().st_size - 1),
        "another number": change(b'"parameters": 3', b'"parameters": 4'),
        "another key": change(b"or.toml", b"xo.toml"),
        "no text": lambda path: path.write_bytes(b"\xff\n\xff"),
        "nested": lambda path: path.write_bytes(b"[" * 100_000),
        "link": link,
        "folder": folder,
        "pipe": pipe,
    }


@pytest.mark.parametrize("damage", damages().values(), ids=damages())
def test_a_damaged_entry_is_none(derive, made, damage):
    first = derive("check", OR)
    (entry,) = entries()
    damage(entry)
    assert derive("check", OR) == first
    assert len(made) == 2


def test_an_entry_under_the_name_of_another_is_none(tmp_path):
    store = Store(tmp_path / "derived")
    store.write("key", "value")
    (path,) = store.folder.iterdir()
    path.rename(store._path("other"))
    assert store.read("other") is None


def test_entries_are_for_their_owner_alone(derive, made):
    derive("check", OR)
    (entry,) = entries()
    assert (entry.parent.stat().st_mode & 0o777, entry.stat().st_mode & 0o777) == (0o700, 0o600)
    entry.parent.chmod(0o770)  # programs that are run would come from anybody in the group
    derive("check", OR)
    assert len(made) == 2
    entry.parent.chmod(0o755)
    derive("check", OR)
    assert len(made) == 2


@pytest.mark.parametrize("kind", ["a file in its place", "a full disk", "no home"])
def test_where_nothing_can_be_written_nothing_is_kept_and_nothing_said(derive, monkeypatch, kind):
    anew = derive("check", OR, "--no-cache")
    if kind == "a file in its place":
        Path("cache").write_text("")
    elif kind == "a full disk":
        monkeypatch.setenv("CHAINRULE_CACHE", "/dev/full/cache")
    else:
        monkeypatch.delenv("CHAINRULE_CACHE")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert derive("check", OR) == derive("check", OR) == anew


def test_the_entries_that_were_not_used_for_longest_go_first(tmp_path, monkeypatch):
    store = Store(tmp_path / "derived")
    for number, key in enumerate("abc"):
        store.write(key, key * 1000)
        os.utime(store._path(key), (number, number))
    assert store.read("a") is not None  # which is a use
    size = store._path("a").stat().st_size
    abandoned = store.folder / ".0.tmp"
    abandoned.write_text("")
    os.utime(abandoned, (0, 0))
    (store.folder / ".1.tmp").write_text("")
    monkeypatch.setattr(cache, "MOST_BYTES", 3 * size)
    store.write("d", "d" * 1000)
    assert [key for key in "abcd" if store.read(key)] == ["a", "c", "d"]
    assert [path.name for path in store.folder.glob("*.tmp")] == [".1.tmp"]
    monkeypatch.setattr(cache, "MOST_ENTRY", size)
    store.write("e", "e" * 2000)
    assert store.read("e") is None


WRITER = """import sys
from pathlib import Path
from chainrule.cli.cache import Store
store = Store(Path(sys.argv[1]))
for turn in range(150):
    for key in "ab":
        store.write(key, (key + sys.argv[2]) * (1 + turn * 40))
        found = store.read(key)
        assert found is None or found[:2] * (len(found) // 2) == found and found[0] == key, found[:80]
"""


def test_processes_that_write_the_same_entries_read_whole_ones(tmp_path):
    folder = tmp_path / "derived"
    command = [sys.executable, "-c", WRITER, str(folder)]
    running = [subprocess.Popen([*command, who], stderr=subprocess.PIPE, text=True) for who in "xy"]
    for each in running:
        assert (each.communicate(timeout=60)[1], each.returncode) == ("", 0)
    assert len(list(folder.iterdir())) == 2
