"""Runs: changed data, other threads, unreadable checkpoints, more epochs, bad parameters, strangers."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runs
from runs import outcome, quiet
from small import SMALL, small_data

from chainrule.programs import scratch_program
from chainrule.runtime import files
from chainrule.runtime.arrays import pack, unpack
from chainrule.runtime.errors import RunError
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.settings import Settings
from chainrule.runtime.threads import computing_on, threads
from chainrule.runtime.training import train
from chainrule.spec.load import parse_spec

ROOT = Path(__file__).parent.parent.parent
OR = ROOT / "examples" / "or.toml"
Derive = Callable[..., tuple[int, str, str]]


SETTINGS = Settings(epochs=3, batch_size=8, seed=1)


@pytest.fixture(scope="module")
def program() -> Iterator[LoadedProgram]:
    with scratch_program(parse_spec(SMALL, "small.toml")) as found:
        yield found


def edited(path: Path, change: Callable[[Any], Any]) -> None:
    """Changes the values of a JSON file."""
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


# ---- Changed data (R1) --------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["train_x", "train_t", "test_x", "test_t", "validation"])
def test_r1_resumed_with_changed_data_is_refused(program: LoadedProgram, tmp_path: Path, part: str) -> None:
    runs.cut(program, small_data(), SETTINGS, tmp_path / "r", 3)
    changed = small_data()
    array = changed.validation[0] if part == "validation" else getattr(changed, part)
    array.reshape(-1)[-1] ^= 1
    before = sorted((tmp_path / "r").rglob("*"))
    with pytest.raises(RunError, match=r"data\.sha256 .*\(a value of the data has changed\)") as caught:
        quiet(program, changed, SETTINGS, tmp_path / "r", resume=True)
    assert caught.value.exit_code == 2 and sorted((tmp_path / "r").rglob("*")) == before
    assert quiet(program, small_data(), SETTINGS, tmp_path / "r", resume=True).status == "finished"


def test_r1_the_part_that_has_another_size_is_named(program: LoadedProgram, tmp_path: Path) -> None:
    runs.cut(program, small_data(), SETTINGS, tmp_path / "r", 3)
    less = small_data()
    with pytest.raises(RunError, match=r"data\.test is 20, here 19"):
        quiet(
            program, replace(less, test_x=less.test_x[1:], test_t=less.test_t[1:]), SETTINGS, tmp_path / "r", resume=True  # noqa: E501
        )  # fmt: skip


# ---- Another number of threads (R2) -------------------------------------------------------------------

WIDE = SMALL.replace("[4, 4, 1]", "[300]").replace("[[layers]]", '[[layers]]\ntype="dense"\nunits=400\n[[layers]]', 1)  # fmt: skip  # noqa: E501
needs_openblas = pytest.mark.skipif(threads() is None, reason="NumPy with another BLAS than OpenBLAS")


@needs_openblas
def test_r2_the_number_of_threads_is_kept_and_used_again(derive: Derive, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, t = rng.random((300, 300), np.float32), rng.integers(0, 3, 300)
    np.savez(tmp_path / "data.npz", x_train=x, y_train=t, x_test=x, y_test=t)
    (tmp_path / "small.toml").write_text(WIDE.replace("batch_size = 8", "batch_size = 256"))
    asked = ("train", "small.toml", "--quiet", "--json")
    before, other = threads(), 3 if threads() != 3 else 2
    assert derive(*asked, "--threads", other, "--epochs", 6, "--run-dir", "whole")[0] == 0
    assert derive(*asked, "--threads", other, "--epochs", 3, "--run-dir", "r")[0] == 0
    code, out, _ = derive(*asked, "--resume", "r", "--epochs", 6)
    assert code == 0 and json.loads(out)["settings"]["threads"] == other and threads() == before
    assert outcome(tmp_path / "r") == outcome(tmp_path / "whole")


@needs_openblas
def test_r2_another_number_is_refused_with_the_remedy_and_taken_when_it_is_asked_for(tmp_path: Path) -> None:
    spec, other = parse_spec(SMALL, "small.toml"), 3 if threads() != 3 else 2
    with computing_on(other), scratch_program(spec) as program:
        runs.cut(program, small_data(), SETTINGS, tmp_path / "r", 3)
    with scratch_program(spec) as program:
        with pytest.raises(RunError, match=rf"computed on {other} threads.*--threads {other}$"):
            quiet(program, small_data(), SETTINGS, tmp_path / "r", resume=True)
        out = io.StringIO()
        done = train(program, small_data(), SETTINGS, run_dir=tmp_path / "r", resume=True, other_threads=True, stream=out)  # fmt: skip  # noqa: E501
        assert done.status == "finished" and "other last bits" in out.getvalue()
    with pytest.raises(RunError, match=r"100000 threads.*--threads \d+"), computing_on(100_000):
        pass


# ---- A checkpoint that cannot be read (R3) ------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
@pytest.mark.parametrize("call", ["open", "read"])
def test_r3_an_unreadable_checkpoint_is_named_and_stays(
    program: LoadedProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    runs.cut(program, small_data(), SETTINGS, tmp_path / "r", 7, checkpoint_every=2)
    folder, real = tmp_path / "r" / "checkpoints", getattr(os, call)
    before = sorted(folder.iterdir())

    def broken(what: Any, *arguments: Any) -> Any:
        path = what if call == "open" else os.readlink(f"/proc/self/fd/{what}")  # noqa: PTH115
        if str(path) == str(before[-1]):
            raise OSError(number, os.strerror(number), *([what] if call == "open" else []))
        return real(what, *arguments)

    with monkeypatch.context() as patch, pytest.raises(RunError, match=os.strerror(number)) as caught:
        patch.setattr(files.os, call, broken)
        quiet(program, small_data(), SETTINGS, tmp_path / "r", resume=True)
    assert before[-1].name in str(caught.value) and caught.value.exit_code == 2
    assert sorted(folder.iterdir()) == before
    assert quiet(program, small_data(), SETTINGS, tmp_path / "r", resume=True).status == "finished"


def test_r3_a_pipe_is_no_checkpoint_and_is_not_waited_for(program: LoadedProgram, tmp_path: Path) -> None:
    runs.cut(program, small_data(), SETTINGS, tmp_path / "r", 7, checkpoint_every=2)
    os.mkfifo(tmp_path / "r" / "checkpoints" / "step-000000009.safetensors")
    assert quiet(program, small_data(), SETTINGS, tmp_path / "r", resume=True).status == "finished"


# ---- More epochs (R4) ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schedule", ["", 'schedule = "step"\ndecay_factor = 0.5\ndecay_every = 7\nwarmup = 3']
)
@pytest.mark.parametrize("begun", [3, 4])
def test_r4_more_epochs_go_on_as_if_they_had_been_asked_for(
    tmp_path: Path, schedule: str, begun: int
) -> None:
    """Of a run that was cut short in its second epoch, and of one that had come to its end."""
    spec = SMALL.replace('type = "adam"', f'type = "adam"\n{schedule}')
    with scratch_program(parse_spec(spec, "small.toml")) as program:
        longer = replace(SETTINGS, epochs=5)
        quiet(program, small_data(), longer, tmp_path / "whole")
        if begun == 3:
            runs.cut(program, small_data(), SETTINGS, tmp_path / "r", 8)
        else:
            quiet(program, small_data(), SETTINGS, tmp_path / "r")
        runs.cut(program, small_data(), longer, tmp_path / "r", 9, resume=True)
        asked = json.loads((tmp_path / "r" / "summary.json").read_text())["settings"]
        assert asked["epochs"] == 5, "a run that is cut again knows how far it was to go"
        quiet(program, small_data(), longer, tmp_path / "r", resume=True)
    assert outcome(tmp_path / "r") == outcome(tmp_path / "whole")


def test_r4_a_rate_that_is_planned_over_all_epochs_is_refused_with_the_reason(tmp_path: Path) -> None:
    spec = SMALL.replace('type = "adam"', 'type = "adam"\nschedule = "cosine"')
    with scratch_program(parse_spec(spec, "small.toml")) as program:
        quiet(program, small_data(), SETTINGS, tmp_path / "r")
        with pytest.raises(RunError, match=r"settings\.epochs is 3, here 5 \(the learning rate is planned"):
            quiet(program, small_data(), replace(SETTINGS, epochs=5), tmp_path / "r", resume=True)


def test_r4_fewer_epochs_than_are_done_are_refused(program: LoadedProgram, tmp_path: Path) -> None:
    quiet(program, small_data(), SETTINGS, tmp_path / "r")
    with pytest.raises(
        RunError, match=r"3 epochs are done, more than is asked for \(2 epochs\); ask for more by --epochs"
    ):
        quiet(program, small_data(), replace(SETTINGS, epochs=2), tmp_path / "r", resume=True)


def test_resumed_with_another_spec_is_refused_and_nothing_is_written(
    derive: Derive, run: Path, trained: Path
) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    os.chdir(trained)
    (trained / "other.toml").write_text(SMALL.replace('"small"', '"other"'))
    code, _, err = derive("train", "other.toml", "--resume", run, "--quiet")
    assert code == 2 and "a run of small, not of other" in err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("old", "new", "epochs"),
    [
        ("[loss]", "# as in the lecture\n\n[loss]", 3),
        ("epochs = 3", "epochs = 5  # longer", 5),
        ("epochs = 3", "epochs = 2", None),
    ],
)
def test_r4_what_the_spec_says_counts_not_how_it_is_written(
    derive: Derive, run: Path, trained: Path, old: str, new: str, epochs: int | None
) -> None:
    """A comment is nothing; more epochs in the spec are more epochs."""
    assert old in SMALL
    (run.parent / "small.toml").write_text(SMALL.replace(old, new))
    shutil.copy(trained / "data.npz", run.parent)
    code, _, err = derive("train", "small.toml", "--resume", run, "--quiet")
    if epochs is None:
        assert code == 2 and "epochs are done" in err
    else:
        assert code == 0, err
        assert json.loads((run / "summary.json").read_text())["settings"]["epochs"] == epochs


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("units = 3", "units = 3\nbias = false", "layers[0].bias is not given, here false"),
        ('"adam"', '"adam"\nbeta1 = 0.8', "optimizer.beta1 is not given, here 0.8"),
        ("batch_size = 8", "batch_size = 5", "training.batch_size is 8, here 5"),
    ],
)
def test_30_another_spec_is_refused_with_what_differs(
    derive: Derive, run: Path, trained: Path, old: str, new: str, said: str
) -> None:
    (run.parent / "small.toml").write_text(SMALL.replace(old, new))
    shutil.copy(trained / "data.npz", run.parent)
    code, _, err = derive("train", "small.toml", "--resume", run, "--quiet")
    assert code == 2 and f"a run of another spec: {said};" in err


# ---- Parameters without meaning (R5) ------------------------------------------------------------------


def rewritten(file: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    arrays, metadata = unpack(file.read_bytes())
    change(arrays)
    file.write_bytes(pack(arrays, metadata))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_r5_parameters_that_are_not_finite_are_refused(
    derive: Derive, run: Path, trained: Path, bad: float
) -> None:
    rewritten(run / "parameters.safetensors", lambda arrays: arrays["W1"].fill(bad))
    for command in (("predict", run, trained / "a.png"), ("evaluate", run)):
        code, out, err = derive(*command, "--json")
        assert (code, out) == (2, "") and "W1 has" in err and "of 48" in err
    assert not (run / "evaluation.json").exists()


def test_r5_outputs_that_overflow_are_refused(derive: Derive, run: Path, trained: Path) -> None:
    rewritten(run / "parameters.safetensors", lambda arrays: arrays["W1"].fill(3e38))
    for command in (("predict", run, trained / "a.png"), ("evaluate", run)):
        code, out, err = derive(*command, "--json")
        assert (code, out) == (2, "") and re.search(r"outputs have \d+ NaN", err)


def test_r5_json_has_null_for_what_is_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    from chainrule.cli.writing import echo_json

    echo_json({"a": [float("nan"), 1.5], "b": (float("-inf"), {"c": float("inf")})})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "a": [None, 1.5],
        "b": [None, {"c": None}],
    }


# ---- A stranger's run (R13) ---------------------------------------------------------------------------


def test_r13_regenerate_runs_nothing_of_the_folder(derive: Derive, run: Path, trained: Path) -> None:
    """A stranger edits the program and the hash beside it; only --regenerate does not run what he wrote."""
    asked = ("predict", run, trained / "a.png", "--json")
    usual, tested = derive(*asked), derive("evaluate", run, "--json")
    program = run / "program" / "small" / "numpy_trainer.py"
    mark = run / "ran"
    program.write_text(program.read_text() + f"\nopen({str(mark)!r}, 'w').close()\n")
    sha = hashlib.sha256(program.read_bytes()).hexdigest()
    edited(run / "program" / "small" / "manifest.json", lambda m: m | {"files": {"numpy_trainer.py": sha}})
    assert derive(*asked, "--regenerate") == usual and not mark.exists()
    assert derive("evaluate", run, "--json", "--regenerate") == tested and not mark.exists()
    assert derive(*asked)[0] == 0 and mark.exists()
    shutil.rmtree(run / "program")
    assert derive(*asked, "--regenerate") == usual
    (run / "spec.toml").write_text(SMALL.replace("units = 3", "units = 4"))
    code, _, err = derive(*asked, "--regenerate")
    assert code == 2 and "W1 has shape" in err
    (run / "spec.toml").unlink()
    code, _, err = derive(*asked, "--regenerate")
    assert code == 2 and "no spec.toml" in err


def test_r13_readers_are_told_that_a_run_is_code(derive: Derive) -> None:
    assert "a stranger's run is a stranger's code" in " ".join((ROOT / "README.md").read_text().split())
    assert "stranger" in derive("predict", "--help")[1] and "stranger" in derive("evaluate", "--help")[1]


# ---- Damaged summaries --------------------------------------------------------------------------------

DAMAGED = {
    "{}": "not the summary of a run, it has no name and no status",
    '{"name": "small"}': "not the summary of a run, it has no status",
    '{"name": 3, "status": "finished"}': "not the summary of a run, it has no name",
    '{"name": "small", "seconds": 1' + 5000 * "0" + "}": "(a number of 5,001 digits)",
    '{"name": "small", "seconds": -1' + 300 * "0" + "}": "(a number of 301 digits)",
    '{"name": "small", "seconds": 1e400}': "(1e400 is too large a number)",
}


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_summary_is_said_to_be_in_one_line(
    derive: Derive, trained: Path, tmp_path: Path, run: Path, text: str
) -> None:
    (run / "summary.json").write_text(text)
    for name in ("small.toml", "data.npz"):
        shutil.copy(trained / name, tmp_path)
    before = contents_of(run)
    for command in (
        ("evaluate", "run"),
        ("predict", "run", trained / "a.png"),
        ("train", "small.toml", "--resume", "run"),
        ("handout", "small.toml", "--run", "run", "--no-gradcheck", "-o", "h.html"),
    ):
        code, out, err = derive(*command)
        assert (code, out) == (2, "") and DAMAGED[text] in err and "set_int_max" not in err
        assert "the file is damaged" in err or "remove it, and --resume" in err
        assert err.count("\n") == 1 and len(err) < 300
    assert contents_of(run) == before


def contents_of(folder: Path) -> dict[Path, bytes]:
    """The files of a run, without its lock."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_run_that_was_ended_before_its_summary_is_to_be_resumed(derive: Derive, run: Path) -> None:
    """Nobody knows then how its inputs were standardized."""
    kept = ("name", "settings")
    edited(run / "summary.json", lambda all_: {key: all_[key] for key in kept} | {"status": "running"})
    code, out, err = derive("evaluate", "run")
    assert (code, out) == (2, "") and "does not say what the run was trained on; resume the run" in err
    edited(run / "summary.json", lambda all_: {"name": "small", "status": "running"})
    code, _, err = derive("train", run / "spec.toml", "--resume", "run", "--quiet")
    assert code == 2 and "settings must be a table; remove it, and --resume" in err
