"""Runs hostile inputs in a process of their own, under limits of time and memory.

A campaign is two functions: ``make(random)`` gives an input, ``check(input)`` tries it and returns one word
for what happened ("read", "refused").  A fault is whatever else there is: an exception that leaves ``check``,
more processor time than the limit, more memory, the death of the process.  Input i of a seed is always the
same:

    python -m bench.fuzz.specs --count 5000              the campaign
    python -m bench.fuzz.specs --only 1234 --show        one of its inputs, by its number

Time is processor time, so that a busy machine finds no faults of its own; only what waits for something that
never comes is ended by the clock, after sixty times the limit.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

FAULTS: Final = ("error", "slow", "memory", "died", "waits")
_FORK: Final = multiprocessing.get_context("fork")
_PATIENCE: Final = 60

Make = Callable[[random.Random], Any]
Check = Callable[[Any], str]


@dataclass(frozen=True)
class Limits:
    """Processor seconds of one input, and the megabytes that it may take beyond what the process has."""

    seconds: float = 2.0
    megabytes: int = 500


@dataclass(frozen=True)
class Outcome:
    """What became of an input: a word of ``check`` or one of FAULTS, and how much it took."""

    number: int
    word: str
    seconds: float
    detail: str = ""

    @property
    def fault(self) -> bool:
        return self.word in FAULTS


def made(make: Make, seed: int, number: int) -> Any:
    """Return input ``number`` of a campaign."""
    return make(random.Random(f"{seed}/{number}"))  # noqa: S311


def run(
    make: Make, check: Check, numbers: Iterable[int], seed: int = 0, limits: Limits | None = None
) -> Iterator[Outcome]:
    """Yield the outcome of each input, in order; a process that an input ends is started anew."""
    limits = limits or Limits()
    worker: _Worker | None = None
    try:
        for number in numbers:
            worker = worker or _Worker(make, check, seed, limits)
            outcome = worker.outcome(number)
            if outcome.word in ("slow", "memory", "died", "waits"):
                worker.end()
                worker = None
            yield outcome
    finally:
        if worker is not None:
            worker.end()


class _Worker:
    """The parent's side of a process that tries inputs, one after the other."""

    def __init__(self, make: Make, check: Check, seed: int, limits: Limits) -> None:
        self.limits = limits
        self.pipe, theirs = _FORK.Pipe()
        self.process: BaseProcess = _FORK.Process(
            target=_serve, args=(theirs, make, check, seed, limits), daemon=True
        )
        with warnings.catch_warnings():  # Python 3.12 warns of a fork beside threads
            warnings.simplefilter("ignore", DeprecationWarning)
            self.process.start()
        theirs.close()

    def outcome(self, number: int) -> Outcome:
        began = time.monotonic()
        self.pipe.send(number)
        try:
            if self.pipe.poll(_PATIENCE * self.limits.seconds):
                word, seconds, detail = self.pipe.recv()
                return Outcome(number, word, seconds, detail)
            return Outcome(number, "waits", time.monotonic() - began)
        except (EOFError, ConnectionResetError):
            self.process.join()
            code = self.process.exitcode or 0
            word = "slow" if code == -signal.SIGPROF else "died"
            return Outcome(number, word, self.limits.seconds if word == "slow" else 0.0, f"exit code {code}")

    def end(self) -> None:
        self.pipe.close()
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


def _serve(pipe: Connection, make: Make, check: Check, seed: int, limits: Limits) -> None:
    """The process: an input's number comes in, what became of it goes out."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, in the middle of C too
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory(limits.megabytes)
    while True:
        try:
            number = pipe.recv()
        except EOFError:
            return
        value = made(make, seed, number)
        began = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, limits.seconds)
        try:
            word, detail = check(value), ""
        except MemoryError:
            word, detail = "memory", f"more than {limits.megabytes} MB"
        except BaseException:  # SystemExit, KeyboardInterrupt: none of them may leave a check
            word, detail = "error", traceback.format_exc()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        pipe.send((word, time.process_time() - began, detail))


def _limit_memory(megabytes: int) -> None:
    """Let the process grow by so much address space, where the system can tell how much it has."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        now = int(statm.read_text().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (now + megabytes * 2**20, hard))


# ---- the command ------------------------------------------------------------------------------


def campaign(make: Make, check: Check, arguments: Sequence[str] | None = None) -> int:
    """Run the command of a campaign; returns 1 where there were faults."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=2.0, help="processor time of one input")
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--only", type=int, help="the number of the one input to try")
    parser.add_argument("--show", action="store_true", help="print inputs with a fault, or the one")
    options = parser.parse_args(arguments)
    numbers = range(options.count) if options.only is None else [options.only]
    limits = Limits(options.seconds, options.megabytes)
    words: Counter[str] = Counter()
    slowest = Outcome(-1, "", 0.0)
    began = time.monotonic()
    for outcome in run(make, check, numbers, options.seed, limits):
        words[outcome.word] += 1
        slowest = max(slowest, outcome, key=lambda o: o.seconds)
        if outcome.fault or (options.only is not None and options.show):
            last = outcome.detail.strip().splitlines()
            print(f"input {outcome.number}: {outcome.word} {last[-1] if last else ''}", flush=True)
            if options.show:
                print(repr(made(make, options.seed, outcome.number)), outcome.detail, sep="\n", flush=True)
    print(", ".join(f"{count:,} {word}" for word, count in words.most_common()))
    print(
        f"slowest: input {slowest.number}, {slowest.seconds:.2f} s; {time.monotonic() - began:.0f} s in all"
    )
    return int(any(word in FAULTS for word in words))
