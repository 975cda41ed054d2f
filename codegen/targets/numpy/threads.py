"""What generated programs run pieces of the batch with: threads, each with BLAS to itself.

The definitions stand in the programs as they stand here (``TEXT``).  OpenBLAS' own threads share the work of
a matrix product only, and for some milliseconds after each they wait on a processor that others then lack:
BLAS is kept to one thread while a program's own are at work.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np


# The text of programs begins here.
@functools.cache
def blas_threads(verb):
    """Return the function that gets or sets how many threads NumPy's OpenBLAS uses; None for another BLAS."""
    library = ctypes.CDLL(np.linalg._umath_linalg.__file__)
    for name in ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads"):
        if hasattr(library, name.format(verb)):
            return getattr(library, name.format(verb))
    return None


THREADS = blas_threads("get")() if blas_threads("get") else 1


class SingleThreadedBlas:
    """Keeps BLAS to the thread that calls it, while any call computes: the batch is what threads share."""

    def __init__(self):
        self.before = 1
        self.begin()

    def begin(self):
        """Begin with no call that computes: at first, and in a forked process."""
        if self.before > 1:
            blas_threads("set")(self.before)
        self.lock, self.calls, self.before = threading.Lock(), 0, 1

    def __enter__(self):
        with self.lock:
            if self.calls == 0 and THREADS > 1:
                self.before = blas_threads("get")()
            if self.before > 1:
                blas_threads("set")(1)
            self.calls += 1

    def __exit__(self, *error):
        with self.lock:
            self.calls -= 1
            if self.calls == 0 and self.before > 1:
                blas_threads("set")(self.before)


SINGLE_THREADED_BLAS = SingleThreadedBlas()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SINGLE_THREADED_BLAS.begin)


@contextlib.contextmanager
def computing():
    """Let overflow pass, and keep BLAS to one thread."""
    with SINGLE_THREADED_BLAS, np.errstate(over="ignore", under="ignore"):
        yield


@functools.cache
def workers(process):
    """Return the threads of a process that work beside the one that calls."""
    return ThreadPoolExecutor(THREADS - 1)


def on_threads(piece, N, size, *sums):
    """Call piece(samples, how many, thread, *sums) for the batch in pieces, and wait for all of them.

    Threads add to sums of their own, which are then added up in the threads' order.
    """
    starts = range(0, N, max(1, min(size, -(-N // THREADS))))
    for total in sums:
        total[...] = 0
    own = [sums, *([np.zeros_like(total) for total in sums] for _ in range(1, min(THREADS, len(starts))))]

    @np.errstate(over="ignore", under="ignore")
    def run(thread):
        for start in starts[thread::THREADS]:
            stop = min(start + starts.step, N)
            piece(slice(start, stop), stop - start, thread, *own[thread])

    jobs = [workers(os.getpid()).submit(run, thread) for thread in range(1, len(own))]
    run(0)
    for thread, job in enumerate(jobs, 1):
        if job.cancel():  # all workers are busy with other calls, or wait for this one
            run(thread)
        else:
            job.result()
    for parts in own[1:]:
        for total, part in zip(sums, parts, strict=True):
            total += part


def dot(a, b, out):
    """Return a b in out; where it is large, each thread computes some rows or columns; np.dot copies aᵀ's."""
    if a.size * b.shape[-1] <= 2**22:
        return np.dot(a, b, out=out)
    if out.ndim == 2 and len(out) < out.shape[1] // 16:
        on_threads(lambda s, m, thread: np.matmul(a, b[:, s], out=out[:, s]), out.shape[1], out.shape[1])
    else:
        on_threads(lambda s, m, thread: np.matmul(a[s], b, out=out[s]), len(a), len(a))
    return out


# The text of programs ends here.
_PARTS = Path(__file__).read_text(encoding="utf-8").split("# The text of programs ")
TEXT = _PARTS[1].removeprefix("begins here.").strip()
