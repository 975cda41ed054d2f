"""A full disk, damaged checkpoints, and those of another run (faults 27, 28 and 30)."""

from __future__ import annotations

import io
import json
import pickle
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints.runs_of_small import SETTINGS, SPEC, cut, data, run
from disk import Disk
from runs import outcome

from chainrule.programs import scratch_program
from chainrule.runtime.arrays import START, Unreadable, pack, unpack
from chainrule.runtime.checkpoints import Checkpoints, differences
from chainrule.runtime.errors import RunError
from chainrule.runtime.files import write_atomically
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.runfolder import claim_run_folder
from chainrule.runtime.settings import Settings
from chainrule.runtime.snapshot import Snapshot, Standing
from chainrule.runtime.training import train
from chainrule.spec.load import parse_spec

# ---- A full disk (fault 27) -----------------------------------------------------------------


def test_full_disk_at_every_call_leaves_the_old_file(tmp_path: Path) -> None:
    path, content = tmp_path / "p", b"new" * (1 << 20)
    for full in range(1, 100):
        write_atomically(path, b"old")
        with pytest.MonkeyPatch.context() as patch:
            Disk(full, patch)
            try:
                write_atomically(path, content)
            except OSError:
                assert path.read_bytes() == b"old"
            else:
                break
            finally:
                assert [entry.name for entry in tmp_path.iterdir()] == ["p"]
    assert full == 7 and path.read_bytes() == content, "open, three writes, fsync, rename"


def test_full_disk_at_every_call_of_a_run(adam: LoadedProgram, tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=2)
    run(adam, tmp_path / "whole", settings)
    for full in range(1, 500):
        folder = claim_run_folder(tmp_path / str(full), adam.name)
        with pytest.MonkeyPatch.context() as patch:
            Disk(full, patch)
            try:
                run(adam, folder, settings, checkpoint_every=5)
            except RunError as error:
                assert error.exit_code == 2 and "No space" in str(error)
            else:
                break
        assert not list(folder.path.rglob("*.tmp"))
        assert run(adam, folder.path, settings, resume=True).status == "finished"
        assert outcome(folder.path) == outcome(tmp_path / "whole")
    assert full == 21, "five files, four calls each"


def test_limit_of_the_system_on_a_file_is_met_the_same_way(tmp_path: Path) -> None:
    script = """
import resource, signal, sys
from pathlib import Path
from chainrule.runtime.files import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
write_atomically(Path(sys.argv[1]), b"x" * 1_500_001)
"""
    (tmp_path / "p").write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "p"], capture_output=True, text=True)
    assert "File too large" in done.stderr
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("p", b"old")]


# ---- Damage (fault 28) ----------------------------------------------------------------------


def test_every_flipped_bit_is_found() -> None:
    content = bytes(pack({"a": np.arange(6, dtype=np.float32)}, {"note": "x"}))
    arrays, metadata = unpack(content, checksum=True)
    assert arrays["a"].tolist() == [0, 1, 2, 3, 4, 5] and metadata == {"note": "x"}
    for byte in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[byte] ^= 1 << bit
            with pytest.raises(Unreadable):
                unpack(bytes(damaged), checksum=True)


def test_damaged_newest_is_put_aside_and_the_one_before_is_used(adam: LoadedProgram, tmp_path: Path) -> None:
    run(adam, tmp_path / "whole")
    cut(adam, tmp_path / "r", 15, checkpoint_every=4)
    newest = tmp_path / "r" / "checkpoints" / "step-000000015.safetensors"
    content = bytearray(newest.read_bytes())
    content[-3] ^= 4
    newest.write_bytes(content)
    out = io.StringIO()
    train(adam, data(), SETTINGS, run_dir=tmp_path / "r", resume=True, stream=out, plots=False)
    assert "step-000000015" in out.getvalue() and "checksum" in out.getvalue()
    assert outcome(tmp_path / "r") == outcome(tmp_path / "whole")
    assert newest.with_name(f"{newest.name}.damaged").exists()


def test_no_whole_checkpoint_is_an_error_and_nothing_is_changed(adam: LoadedProgram, tmp_path: Path) -> None:
    cut(adam, tmp_path / "r", 15, checkpoint_every=4)
    for path in (tmp_path / "r" / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    before = outcome(tmp_path / "r")
    with pytest.raises(RunError, match="no checkpoint is whole") as caught:
        run(adam, tmp_path / "r", resume=True)
    assert caught.value.exit_code == 2 and outcome(tmp_path / "r") == before


# ---- What is refused (fault 30) -------------------------------------------------------------


def test_checkpoint_of_another_spec_is_refused_with_the_differences(
    adam: LoadedProgram, tmp_path: Path
) -> None:
    cut(adam, tmp_path / "r", 3)
    other = SPEC.replace("OPTIMIZER", "adam").replace("units = 5", "units = 4")
    other += "learning_rate = 0.5\n"
    with scratch_program(parse_spec(other, "small.toml")) as program, pytest.raises(RunError) as caught:
        run(program, tmp_path / "r", resume=True)
    text = str(caught.value)
    assert "program.optimizer.learning_rate is 0.001, here 0.5" in text
    assert "program.spec_sha256" in text and "6-5-3" in text and "6-4-3" in text
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (replace(SETTINGS, batch_size=8), "settings.batch_size is 16, here 8"),
        (replace(SETTINGS, seed=4), "settings.seed is 3, here 4"),
    ],
)
def test_other_settings_are_refused(
    adam: LoadedProgram, tmp_path: Path, settings: Settings, text: str
) -> None:
    cut(adam, tmp_path / "r", 3)
    with pytest.raises(RunError, match=text):
        run(adam, tmp_path / "r", settings, resume=True)


def test_other_data_are_refused(adam: LoadedProgram, tmp_path: Path) -> None:
    cut(adam, tmp_path / "r", 3)
    changed = data()
    changed.train_x[5, 2] += 1
    with pytest.raises(RunError, match=r"data\.sha256"):
        train(adam, changed, SETTINGS, run_dir=tmp_path / "r", resume=True, stream=io.StringIO())


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


def header(entries: dict[str, Any], body: bytes = b"") -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + body


OBJECTS = io.BytesIO()


np.save(OBJECTS, np.array([{}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        pickle.dumps(Bomb()),
        OBJECTS.getvalue(),
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", 100) + b"{" + b" " * 200,
        header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234"),
        header({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}, b"1234"),
        header(
            {
                "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
            },
            b"123456789012",
        ),
        header({"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}}, b"12345678"),
        header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),  # no checksum
        header({"__metadata__": {"checksum": "0" * 64}}),
    ],
)
def test_files_that_are_no_checkpoints_are_refused(
    adam: LoadedProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    cut(adam, tmp_path / "r", 3)
    (tmp_path / "r" / "checkpoints" / "step-000000003.safetensors").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=r"no checkpoint is whole|not safetensors|checksum"):
        run(adam, tmp_path / "r", resume=True)
    assert not Path("exploded").exists()


def test_checksum_stands_where_it_is_looked_for() -> None:
    content = pack({"a": np.zeros(1)}, {"z": "1", "a": "2"})
    assert content[START - 12 : START] == b'"checksum":"'
    assert content == pack({"a": np.zeros(1)}, {"a": "2", "z": "1"})


def test_state_keeps_every_kind_of_value(adam: LoadedProgram, tmp_path: Path) -> None:
    moment = Snapshot()
    state = {"step": 3, "rate": 0.1, "name": "x", "on": True, "none": None, "deep": {"v": np.arange(3.0)}}
    parameters = adam.init_parameters(0)
    moment.take(parameters, {}, state, Standing(epoch=2, step=1, total=0.1, seen=16))
    store = Checkpoints(tmp_path, {"a": 1})
    store.save(moment, 7)
    found = store.load(moment, pytest.fail)
    assert found is not None and found.standing == moment.standing
    assert found.state["deep"]["v"].tolist() == [0, 1, 2]
    assert {k: v for k, v in found.state.items() if k != "deep"} == {
        k: state[k] for k in state if k != "deep"
    }
    with pytest.raises(TypeError, match="state/odd"):
        moment.take(parameters, {}, {"odd": object()}, Standing())
        store.save(moment, 8)


def test_differences_name_their_place() -> None:
    there, here = {"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"b": 1, "c": [2]}, "e": 2}
    assert list(differences(there, here)) == [
        "a.c[0] is 1, here 2",
        "d is 2, here not given",
        "e is not given, here 2",
    ]
    assert list(differences(there, there)) == []
