"""How many threads C programs take.  The definitions stand in the programs as they stand here (``TEXT``)."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import contextlib
import os
from pathlib import Path


# The text of programs begins here.
def usable_threads():
    """Return $OPENBLAS_NUM_THREADS or $OMP_NUM_THREADS, else the cores that there are, at most 16."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        with contextlib.suppress(ValueError):
            if (count := int(os.environ.get(name, "").split(",")[0])) > 0:
                return min(count, 256)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # a container's share: "max", or µs of a period
        quota, period = map(int, Path("/sys/fs/cgroup/cpu.max").read_text().split())
        cores = min(cores, max(1, quota // period))
    return min(cores, 16)


# The text of programs ends here.
_PARTS = Path(__file__).read_text(encoding="utf-8").split("# The text of programs ")
TEXT = _PARTS[1].removeprefix("begins here.").strip()
