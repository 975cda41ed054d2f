"""What commands write: never over what they read, never through a planted link, whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from disk import Disk

from chainrule.runtime import files
from chainrule.runtime.errors import RunError
from chainrule.runtime.files import write_atomically
from chainrule.runtime.runfolder import claim_run_folder

ROOT = Path(__file__).parent.parent.parent
OR = ROOT / "examples" / "or.toml"
Derive = Callable[..., tuple[int, str, str]]


# ---- Outputs (R6, R7) ---------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["own.toml", "./own.toml", "link.toml", "hard.toml"])
def test_r6_an_output_never_is_the_spec(derive: Derive, tmp_path: Path, way: str) -> None:
    spec = tmp_path / "own.toml"
    shutil.copy(OR, spec)
    (tmp_path / "link.toml").symlink_to(spec)
    (tmp_path / "hard.toml").hardlink_to(spec)
    code, out, err = derive("own.toml", "-o", way, "--format", "latex")
    assert (code, out) == (2, "") and "would overwrite own.toml" in err
    assert spec.read_bytes() == OR.read_bytes()


def test_r6_nor_does_a_handout_or_a_picture_take_the_place_of_what_is_read(
    derive: Derive, tmp_path: Path
) -> None:
    for name in ("own.html", "own.svg"):
        shutil.copy(OR, tmp_path / name)
    assert derive("handout", "own.html", "-o", "own.html", "--no-gradcheck")[0] == 2
    assert derive("own.svg", "--plot", "own.svg")[0] == 2
    assert derive("tanh", "--plot", "a.svg", "-o", "./a.svg", "--format", "text")[0] == 2
    assert all((tmp_path / name).read_bytes() == OR.read_bytes() for name in ("own.html", "own.svg"))
    assert not (tmp_path / "a.svg").exists()


@pytest.mark.parametrize(
    "arguments", [("x.pptx",), ("x.toml",), ("x.pdf", "--format", "latex"), ("x.tex", "--format", "pdf")]
)
def test_r6_an_ending_that_means_another_format_or_none_is_refused(
    derive: Derive, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    code, out, err = derive("softmax", "-o", *arguments)
    assert (code, out) == (2, "") and arguments[0] in err and not list(tmp_path.iterdir())


def test_r6_what_is_asked_for_by_name_is_written(derive: Derive, tmp_path: Path) -> None:
    assert derive("softmax", "-o", "x.slides", "--format", "latex")[0] == 0
    assert derive("softmax", "-o", "/dev/null", "--format", "text")[0] == 0
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    (tmp_path / "real").mkdir()
    (tmp_path / "y.tex").symlink_to("real/y.tex")
    assert derive("softmax", "-o", "y.tex")[0] == 0
    assert (tmp_path / "y.tex").is_symlink() and (tmp_path / "real" / "y.tex").stat().st_size > 100


def test_r6_a_manifest_of_somebody_else_is_kept(derive: Derive, tmp_path: Path) -> None:
    (tmp_path / "generated" / "or_gate").mkdir(parents=True)
    other = tmp_path / "generated" / "or_gate" / "manifest.json"
    other.write_text('{"name": "a web page"}')
    code, _, err = derive("generate", OR)
    assert code == 2 and "manifest.json is not the generator's" in err and "web page" in other.read_text()


def test_r7_no_planted_link_is_followed(derive: Derive, tmp_path: Path) -> None:
    """Neither where an older version wrote its temporary files, nor at the files' own names."""
    outside = tmp_path / "outside"
    outside.write_text("precious")
    assert derive("generate", OR)[0] == 0
    folder = tmp_path / "generated" / "or_gate"
    for name in ("numpy_trainer.py", "equations.tex", "manifest.json"):
        (folder / f".{name}.new").symlink_to(outside)
    assert derive("generate", OR)[0] == 0
    (folder / "equations.tex").unlink()
    (folder / "equations.tex").symlink_to(outside)
    assert derive("generate", OR)[0] == 2
    assert derive("generate", "--force", OR)[0] == 0
    assert outside.read_text() == "precious" and not (folder / "equations.tex").is_symlink()


def test_r7_nor_in_the_folder_of_a_run(derive: Derive, run: Path, trained: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("precious")
    (tmp_path / "elsewhere").mkdir()
    for name in ("summary.json", "parameters.safetensors", "curves.png", "evaluation.json", "confusion.png"):
        if (run / name).exists():
            shutil.move(run / name, tmp_path / "elsewhere" / name)
            (run / name).symlink_to(tmp_path / "elsewhere" / name)
        else:
            (run / name).symlink_to(outside)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "elsewhere").iterdir()}
    os.chdir(trained)
    assert derive("evaluate", run)[0] == 0
    assert derive("train", "small.toml", "--resume", run, "--epochs", 5, "--quiet")[0] == 0
    assert outside.read_text() == "precious"
    assert {path.name: path.read_bytes() for path in (tmp_path / "elsewhere").iterdir()} == kept
    shutil.move(run / "checkpoints", tmp_path / "moved")
    (run / "checkpoints").symlink_to(tmp_path / "moved")
    code, _, err = derive("train", "small.toml", "--resume", run)
    assert code == 2 and "checkpoints: a symbolic link" in err
    (run / "checkpoints").unlink()
    (run / ".lock").unlink()
    (run / ".lock").symlink_to(tmp_path / "made")
    assert derive("train", "small.toml", "--resume", run)[0] == 2 and not (tmp_path / "made").exists()


def test_r7_temporary_files_have_names_that_nobody_can_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, int]] = []
    real = os.open
    monkeypatch.setattr(
        files.os, "open", lambda p, how, *m: (opened.append((str(p), how)), real(p, how, *m))[1]
    )
    for _ in range(2):
        write_atomically(tmp_path / "a", b"x")
    (first, how), (second, _) = (each for each in opened if each[1] & os.O_CREAT)
    assert first != second and how & os.O_EXCL and how & os.O_NOFOLLOW


# ---- The order in which a file becomes durable --------------------------------------------------------


def test_a_rename_is_made_durable_after_the_file_and_before_anything_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's bytes, then its name, then the folder that holds the name."""
    done: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def synced(handle: int) -> None:
        done.append(f"fsync {'folder' if stat.S_ISDIR(os.fstat(handle).st_mode) else 'file'}")
        fsync(handle)

    def renamed(path: Path, target: Path) -> Path:
        done.append("rename")
        return rename(path, target)

    monkeypatch.setattr(files.os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write_atomically(tmp_path / "a", b"x")
    assert done == ["fsync file", "rename", "fsync folder"]


# ---- A full disk (R11) --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (("new", "mine"), 1),
        (("tanh", "--plot", "a.png", "--format", "text"), 1),
        (("softmax", "-o", "a.tex"), 1),
        (("handout", OR, "--no-gradcheck", "-o", "a.html"), 1),
        (("generate", OR), 3),
    ],
)
def test_r11_a_full_disk_is_named_with_the_file_and_nothing_is_left(
    derive: Derive, tmp_path: Path, arguments: tuple[object, ...], written: int
) -> None:
    for full in range(1, 4 * written + 1):
        with pytest.MonkeyPatch.context() as patch:
            Disk(full, patch)
            code, _, err = derive(*arguments)
        left = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert code == 2 and err.splitlines()[-1].endswith(": No space left on device")
        assert (
            err.splitlines()[-1]
            .partition(":")[0]
            .endswith((".toml", ".png", ".tex", ".html", ".py", ".json"))
        )
        assert all(path.stat().st_size for path in left) and len(left) < written
        assert written > 1 or not list(tmp_path.iterdir())
    with pytest.MonkeyPatch.context() as patch:
        Disk(4 * written + 1, patch)
        assert derive(*arguments)[0] == 0


def test_r11_evaluate_and_a_run_that_cannot_begin(
    derive: Derive, run: Path, trained: Path, tmp_path: Path
) -> None:
    before = sorted(run.iterdir())
    with pytest.MonkeyPatch.context() as patch:
        Disk(1, patch)
        code, _, err = derive("evaluate", run)
    assert code == 2 and "No space left" in err and sorted(run.iterdir()) == before
    os.chdir(tmp_path)
    for full in (1, 2, 3, 4, 5):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(RunError, match="No space left"):
            Disk(full, patch)
            claim_run_folder(None, "new")
        assert not list(tmp_path.glob("runs/*"))


def test_r11_a_full_device_is_named(derive: Derive) -> None:
    code, _, err = derive(OR, "-o", "/dev/full")
    assert code == 2 and err == "/dev/full: No space left on device\n"


# ---- What a run has lost ------------------------------------------------------------------------------


def test_r3_a_run_without_checkpoints_is_not_trained_over(derive: Derive, run: Path, trained: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    before = (run / "parameters.safetensors").read_bytes()
    os.chdir(trained)
    code, _, err = derive("train", "small.toml", "--resume", run, "--quiet")
    assert code == 2 and "no checkpoint to go on from" in err and "train anew in another folder" in err
    assert (run / "parameters.safetensors").read_bytes() == before


def test_r3_parameters_that_were_removed_come_again(derive: Derive, run: Path, trained: Path) -> None:
    before = (run / "parameters.safetensors").read_bytes()
    (run / "parameters.safetensors").unlink()
    os.chdir(trained)
    code, _, err = derive("evaluate", run)
    assert code == 2 and err.endswith("(the run is finished); resume it\n")
    assert derive("train", "small.toml", "--resume", run, "--quiet")[0] == 0
    assert (run / "parameters.safetensors").read_bytes() == before


def test_r1_data_that_changed_since_training_are_told(derive: Derive, run: Path, trained: Path) -> None:
    assert "have changed" not in derive("evaluate", run)[2]
    held = (trained / "data.npz").read_bytes()
    try:
        with np.load(trained / "data.npz") as arrays:
            np.savez(trained / "data.npz", **{**arrays, "y_test": arrays["y_test"][::-1]})
        code, _, err = derive("evaluate", run)
        assert code == 0 and "the data have changed since the run was trained on them" in err
    finally:
        (trained / "data.npz").write_bytes(held)


def test_resume_without_a_spec_says_what_is_missing(derive: Derive, run: Path) -> None:
    code, _, err = derive("train", "--resume", run)
    assert code == 2 and "Missing argument 'SPEC', as in derive train SPEC --resume [RUN]" in err


def test_r9_a_pipe_in_place_of_the_spec_is_not_waited_for(derive: Derive, run: Path, trained: Path) -> None:
    """What a run began with is then told by its manifest."""
    (run / "spec.toml").unlink()
    os.mkfifo(run / "spec.toml")
    os.chdir(trained)
    assert derive("train", "small.toml", "--resume", run, "--quiet")[0] == 0
    assert stat.S_ISFIFO((run / "spec.toml").stat().st_mode)
