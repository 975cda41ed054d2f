"""Which faults the tests would not notice: 200 small changes of the source, evenly spread, each tested.

`make mutants` runs it, for an hour or more.  cosmic-ray finds the places that it can change (a sign, a
comparison, a number, `and` for `or` …) and makes the changes; this script takes places at even distances
through the packages but cli/, one change at each, and runs the tests that reach the line, the quick ones
first.  A change in an annotation is none and is not counted.  What survives is printed with the change.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = tuple(sorted({*PROJECT["tool"]["setuptools"]["package-dir"].values()} - {"cli"}))
LONGEST = 120  # seconds of tests a mutant, as they took without it
READERS = ("tests/test_frozen.py",)  # tests that read the source and run none of it
SLOWER = 4  # a mutant whose tests take this many times as long, and a minute, hangs: killed
COSMIC_RAY = (sys.executable, "-m", "cosmic_ray.cli")
PLUGIN = """
import json, os
TIMES = {}

def pytest_runtest_logreport(report):
    TIMES[report.nodeid] = TIMES.get(report.nodeid, 0) + report.duration if report.passed else float("inf")

def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        with open(os.environ["TEST_TIMES"], "w") as file:
            json.dump(TIMES, file)
"""


@dataclass(frozen=True, order=True)
class Mutant:
    """A place in the source, and what cosmic-ray's operator does there."""

    path: str
    line: int
    column: int
    operator: str
    occurrence: int


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: killed or survived, after so many tests."""

    mutant: Mutant
    killed: bool
    tests: int
    difference: str


def run(command: Sequence[str | Path], folder: Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [str(part) for part in command], cwd=folder, text=True, capture_output=True, check=False, **options
    )  # type: ignore[call-overload]


# ---- Which tests reach which line -------------------------------------------------------------------


@dataclass(frozen=True)
class Reach:
    """The tests that ran a line, and how long each takes; ``called`` are the lines that run at every call.

    What runs when a module is imported, or once and is cached, only the first test runs, and all others use.
    """

    lines: dict[str, dict[int, set[str]]]
    seconds: dict[str, float]
    called: dict[str, set[int]]

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests to run, quick ones first, of every file the quickest before the others."""
        lines = self.lines.get(mutant.path, {})
        found = lines.get(mutant.line, set()) if mutant.line in self.called.get(mutant.path, ()) else set()
        if not found:  # a line of a larger statement, or one that runs once: every test of the module
            read = {test for test in self.seconds if test.split("::")[0] in READERS}
            found = read.union(*lines.values())
        ordered = sorted(found, key=lambda test: (self.seconds.get(test, 1.0), test))
        seen: dict[str, int] = {}
        rounds = []
        for test in ordered:
            file = test.split("::")[0]
            seen[file] = seen.get(file, 0) + 1
            rounds.append((seen[file] // 8, self.seconds.get(test, 1.0), test))
        chosen, total = [], 0.0
        for _, seconds, test in sorted(rounds):
            if total + seconds <= LONGEST:
                chosen.append(test)
                total += seconds
        return chosen


def reach(folder: Path, data: Path) -> Reach:
    """Return what a run of all tests under coverage saw; it is kept in ``data``.

    A test that fails or is skipped without any change takes for ever, so that none chooses it.
    """
    (data / "test_times.py").write_text(PLUGIN)
    times, covered = data / "times.json", data / "coverage"
    if not (times.exists() and covered.exists()):
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "auto",
            "-p",
            "test_times",
            "--cov-context=test",
        ]
        command += ["--cov=chainrule", "--cov-report="]
        env = _environment(folder, data) | {"TEST_TIMES": str(times), "COVERAGE_FILE": str(covered)}
        found = run(command, folder, env=env)
        if not times.exists():
            sys.exit(f"the tests did not run:\n{found.stdout[-3000:]}{found.stderr[-1000:]}")
    from coverage import CoverageData

    measured = CoverageData(basename=str(covered))
    measured.read()
    lines: dict[str, dict[int, set[str]]] = {}
    for file in measured.measured_files():
        here = lines.setdefault(str(Path(file).relative_to(folder)), {})
        for line, contexts in measured.contexts_by_lineno(file).items():
            here[line] = {c.rsplit("|", 1)[0] for c in contexts if c}
    return Reach(
        lines,
        json.loads(times.read_text()),
        {path: called(folder / path) for path in lines if path.endswith(".py")},
    )


def called(path: Path) -> set[int]:
    """Return the lines of a module that run at every call: those in functions that are not cached."""
    found: set[int] = set()
    cached: set[int] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            body = range(node.body[0].lineno, (node.end_lineno or 0) + 1)
            once = any("cache" in ast.unparse(decorator) for decorator in node.decorator_list)
            (cached if once else found).update(body)
    return found - cached


def _environment(folder: Path, plugins: Path) -> dict[str, str]:
    import os

    one = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    return {**os.environ, **one, "PYTHONPATH": f"{folder}{os.pathsep}{plugins}"}


# ---- Which mutants ----------------------------------------------------------------------------------


def mutants(folder: Path, data: Path, count: int, seed: int) -> list[Mutant]:
    """Return one mutant at each of ``count`` places at even distances through the source."""
    config, session = data / "mutants.toml", data / "mutants.sqlite"
    listed = ", ".join(f'"{package}"' for package in PACKAGES)
    config.write_text(
        f'[cosmic-ray]\nmodule-path = [{listed}]\ntimeout = 1\nexcluded-modules = []\ntest-command = "true"\n'
        '[cosmic-ray.distributor]\nname = "local"\n'
    )
    if not session.exists():
        found = run([*COSMIC_RAY, "init", config, session], folder)
        if found.returncode:
            sys.exit(found.stderr)
    with sqlite3.connect(session) as database:
        columns = "module_path, start_pos_row, start_pos_col, operator_name, occurrence"
        rows = [Mutant(*row) for row in database.execute(f"select {columns} from mutation_specs")]  # noqa: S608
    places: dict[tuple[str, int, int], list[Mutant]] = {}
    for mutant in sorted(rows):
        if runs(mutant, folder):
            places.setdefault((mutant.path, mutant.line, mutant.column), []).append(mutant)
    rng = random.Random(seed)  # noqa: S311
    every = [rng.choice(there) for there in places.values()]
    return [every[(2 * k + 1) * len(every) // (2 * count)] for k in range(count)]


@cache
def annotations(path: Path) -> tuple[tuple[tuple[int, int], tuple[int, int]], ...]:
    """Return where annotations begin and end, as (line, column): nothing there runs."""
    found: list[ast.expr] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef) and node.returns is not None:
            found.append(node.returns)
    return tuple(((e.lineno, e.col_offset), (e.end_lineno or 0, e.end_col_offset or 0)) for e in found)


def runs(mutant: Mutant, folder: Path) -> bool:
    """Whether the place of a mutant is code that runs, not an annotation."""
    at = mutant.line, mutant.column
    return not any(start <= at < end for start, end in annotations(folder / mutant.path))


# ---- Testing them -----------------------------------------------------------------------------------


def outcomes(chosen: Sequence[Mutant], known: Reach, copies: Sequence[Path], data: Path) -> Iterator[Outcome]:
    """Give what becomes of each mutant, in the order in which they are done; each copy is one thread's."""
    waiting: SimpleQueue[Mutant] = SimpleQueue()
    done: SimpleQueue[Outcome | BaseException] = SimpleQueue()
    for mutant in chosen:
        waiting.put(mutant)

    def work(copy: Path) -> None:
        try:
            while True:
                done.put(_tested(waiting.get_nowait(), known, copy, data))
        except Empty:
            return
        except BaseException as error:
            done.put(error)

    for copy in copies:
        threading.Thread(target=work, args=(copy,), daemon=True).start()
    for _ in chosen:
        outcome = done.get()
        if isinstance(outcome, BaseException):
            raise outcome
        yield outcome


def _tested(mutant: Mutant, known: Reach, copy: Path, data: Path) -> Outcome:
    applied = run([*COSMIC_RAY, "apply", mutant.path, mutant.operator, str(mutant.occurrence)], copy)
    difference = run(["git", "diff", "-U0", "--", mutant.path], copy).stdout
    if applied.returncode or not difference:
        raise RuntimeError(f"{mutant} was not applied: {applied.stderr[-500:]}")
    tests = known.tests(mutant)
    names = data / f"{copy.name}.tests"
    names.write_text("\n".join(tests))
    limit = SLOWER * sum(known.seconds.get(test, 1.0) for test in tests) + 60
    killed = False
    if tests:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
        try:
            found = run([*command, f"@{names}"], copy, env=_environment(copy, data), timeout=limit)
            killed = found.returncode != 0
        except subprocess.TimeoutExpired:
            killed = True
    run(["git", "checkout", "--", "."], copy)
    run(["git", "clean", "-fdq"], copy)
    return Outcome(mutant, killed, len(tests), difference)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200, help="how many mutants (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="which change at each place (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once (default: 2)")
    parser.add_argument("--data", type=Path, help="a folder that keeps coverage and outcomes, to go on from")
    options = parser.parse_args()
    data = (options.data or Path(tempfile.mkdtemp(prefix="mutants-"))).resolve()
    data.mkdir(parents=True, exist_ok=True)
    copies = [data / f"copy{job}" for job in range(max(1, options.jobs))]
    for copy in copies:
        shutil.rmtree(copy, ignore_errors=True)
        run(["git", "clone", "-q", ROOT, copy], data)
    known = reach(copies[0], data)
    chosen = mutants(copies[0], data, options.count, options.seed)
    record = data / "outcomes.jsonl"
    earlier = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    finished = {Mutant(**entry["mutant"]): entry["killed"] for entry in earlier}
    survivors = [entry for entry in earlier if not entry["killed"]]
    waiting = [mutant for mutant in chosen if mutant not in finished]
    for outcome in outcomes(waiting, known, copies, data):
        with record.open("a") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
        finished[outcome.mutant] = outcome.killed
        where = f"{outcome.mutant.path}:{outcome.mutant.line}"
        print(f"{len(finished):4} {'killed' if outcome.killed else 'SURVIVED'} {where}", file=sys.stderr)
        if not outcome.killed:
            survivors.append(asdict(outcome))
    for entry in survivors:
        print(f"\n{entry['mutant']['path']}:{entry['mutant']['line']}  ({entry['tests']} tests)")
        print("\n".join(line for line in entry["difference"].splitlines() if line[:2] in ("+ ", "- ")))
    print(f"\n{sum(finished.values())} of {len(finished)} mutants killed")


if __name__ == "__main__":
    main()
