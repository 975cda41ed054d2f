"""Kill a process while it saves checkpoints, at random moments, and load what is there.

    python -m bench.kill_save --kills 100

The process does nothing but save, one checkpoint after the other, and says which ones are done.  After each
kill (SIGKILL) the newest checkpoint must be whole, and be the last that was said to be done or the one after.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from chainrule.runtime.checkpoints import Checkpoints
from chainrule.runtime.files import remove_temporaries
from chainrule.runtime.snapshot import Snapshot, Standing


@dataclass(frozen=True)
class Outcome:
    """How often it was killed, in how many of these amid a file, and what was not as it should be."""

    kills: int
    amid_a_file: int
    saved: int
    faults: tuple[str, ...]


def rehearse(folder: Path, kills: int, size: int = 1_000_000, seed: int = 0) -> Outcome:
    """Kills a process that saves `size` float32 at a time, `kills` times."""
    store = Checkpoints(folder / "checkpoints", {"run": "one"})
    rng = random.Random(seed)  # noqa: S311
    done = amid = 0
    faults: list[str] = []
    for number in range(kills):
        done = _killed(store, size, done, rng.uniform(0, 0.1))
        amid += bool([path for path in store.folder.iterdir() if path.name.startswith(".")])
        remove_temporaries(store.folder)
        found = store.load(_moment(size, 0), faults.append)
        step = found.standing.step if found is not None else 0
        if step not in (done, done + 1):
            faults.append(f"kill {number}: {done} was done, {step} is there")
        elif found is not None and {*found.parameters["W"].tolist(), found.state["step"]} != {step}:
            faults.append(f"kill {number}: step {step} is of several moments")
        done = step
    return Outcome(kills, amid, done, tuple(faults))


def _killed(store: Checkpoints, size: int, done: int, seconds: float) -> int:
    """Let a process save from step `done` + 1 on, kill it; return the last step that it said was saved."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():  # Python 3.12 warns of a fork beside threads
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        _save_for_ever(store, size, done, writing)
    os.close(writing)
    os.read(reading, 1)  # it is there
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    said = b""
    while part := os.read(reading, 1 << 16):
        said += part
    os.close(reading)
    return done + len(said)


def _save_for_ever(store: Checkpoints, size: int, done: int, writing: int) -> NoReturn:
    try:
        os.write(writing, b".")
        while True:
            done += 1
            store.save(_moment(size, done), done)
            os.write(writing, b".")
    finally:
        os._exit(1)


def _moment(size: int, step: int) -> Snapshot:
    moment = Snapshot()
    moment.take({"W": np.full(size, step, np.float32)}, {}, {"step": step}, Standing(step=step))
    return moment


def main() -> None:
    """Prints what happened; exit code 1 where a checkpoint was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--size", type=int, default=1_000_000, help="float32 in each checkpoint")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = rehearse(Path(folder), asked.kills, asked.size, asked.seed)
    print(json.dumps(outcome.__dict__))
    if outcome.faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
