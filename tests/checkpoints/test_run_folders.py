"""Run folders: one process each, and which is the newest (fault 25)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from checkpoints.runs_of_small import PROGRAMS

from chainrule.runtime.errors import RunError
from chainrule.runtime.runfolder import claim_run_folder, newest_run, reopen_run_folder

HOLDER = """
import sys, time
from pathlib import Path
from chainrule.runtime.runfolder import claim_run_folder
folder = claim_run_folder(Path(sys.argv[1]), "x")
print("claimed", flush=True)
time.sleep(60)
"""


def test_folder_in_use_is_refused_and_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(PROGRAMS.parent.parent)}
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "r")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None and process.stdout.readline() == "claimed\n"
        for take in (
            lambda: reopen_run_folder(tmp_path / "r"),
            lambda: claim_run_folder(tmp_path / "r", "x"),
        ):
            with pytest.raises(RunError, match="another process is training there") as caught:
                take()
            assert caught.value.exit_code == 2
        process.kill()
        process.wait()
    reopen_run_folder(tmp_path / "r").release()


def test_folders_that_are_no_runs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    with pytest.raises(RunError, match="no run's folder"):
        reopen_run_folder(tmp_path / "other")
    with pytest.raises(RunError, match="no such folder"):
        reopen_run_folder(tmp_path / "none")
    with pytest.raises(RunError, match="--resume RUN"):
        newest_run("net", root=tmp_path)
    assert [entry.name for entry in (tmp_path / "other").iterdir()] == ["file"]


def test_newest_run_is_the_one_of_the_largest_number(tmp_path: Path) -> None:
    for name in ("net-2", "net-10", "net-9", "net-x-11", "other-12"):
        (tmp_path / name).mkdir()
    assert newest_run("net", root=tmp_path).name == "net-10"
