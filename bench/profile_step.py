"""Where the time of a generated training step goes, statement by statement, with equation numbers.

    python -m bench.profile_step [--only NETWORK] [--optimizer sgd|adam] [--steps 2000] [--top 5]

The generated file's own text is instrumented: after every statement of the functions that a step passes
through, the time since the statement before is put to that line's account. Calls are thus booked where the
time is spent, not where they are made; a ``def`` line holds what passes between the call and the first
statement (the call itself, and ``np.errstate`` on the way into ``train_step``). Lower quartiles over steps,
which load from elsewhere moves little. The step without instruments is printed beside the sum of its lines.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import statistics
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.programs import (
    NETWORKS,
    OPTIMIZERS,
    RESULTS,
    THREAD_VARIABLES,
    THREADS,
    Perceptron,
    bind_to_cores,
    machine,
    write_program,
)

INSTRUMENTED = ("train_step", "prepare", "forward", "error", "backward", "descend")
BLOCK_STEPS, LEAST_BLOCKS = 100, 10


class Instrument(ast.NodeTransformer):
    """Follows each statement of the instrumented functions by a call that books its time."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        if node.name in INSTRUMENTED:
            node.body = [_tick(node.lineno), *self._body(node.body)]
        return node

    def _body(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        result: list[ast.stmt] = []
        for statement in statements:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue
            if isinstance(statement, ast.Return) and statement.value is not None:
                kept = ast.Assign(
                    [ast.Name("_result", ast.Store())], statement.value, lineno=statement.lineno
                )
                result += [kept, _tick(statement.lineno), ast.Return(ast.Name("_result", ast.Load()))]
                continue
            if isinstance(statement, ast.If | ast.For | ast.With):
                statement.body = self._body(statement.body)
                if isinstance(statement, ast.If | ast.For):
                    statement.orelse = self._body(statement.orelse)
            result.append(statement)
            if not isinstance(statement, ast.Return | ast.Raise):
                result.append(_tick(statement.lineno))
        return result


def _tick(line: int) -> ast.stmt:
    return ast.Expr(ast.Call(ast.Name("_tick", ast.Load()), [ast.Constant(line)], []))


class Clock:
    """Time by line; the clock's own bookkeeping is left out as far as it can be."""

    def __init__(self) -> None:
        self.spent: dict[int, float] = {}
        self.last = 0.0

    def start(self) -> None:
        self.spent = {}
        self.last = perf_counter()

    def tick(self, line: int) -> None:
        now = perf_counter()
        self.spent[line] = self.spent.get(line, 0.0) + now - self.last
        self.last = perf_counter()


def _module(path: Path, clock: Clock | None) -> dict[str, Any]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": "generated"}
    if clock is not None:
        tree = ast.fix_missing_locations(Instrument().visit(tree))
        names["_tick"] = clock.tick
    exec(compile(tree, str(path), "exec"), names)  # noqa: S102  our own generated program
    return names


def profile(path: Path, batch: int, steps: int) -> dict[str, Any]:
    """Return the seconds of each line of a generated program's step, and of the whole step."""
    import numpy as np

    clock = Clock()
    rng = np.random.default_rng(1)
    instrumented, plain = _module(path, clock), _module(path, None)
    x = rng.random((batch, *plain["INPUT"]), np.float32)
    t = rng.integers(0, 10, batch)
    runs = []
    for names in (plain, instrumented):
        parameters = names["init_parameters"](0)
        runs.append((names["train_step"], parameters, names["init_optimizer"](parameters)))
    (step, parameters, state), (slow, its_parameters, its_state) = runs
    whole: list[float] = []
    lines: dict[int, list[float]] = {}
    blocks = max(LEAST_BLOCKS, steps // BLOCK_STEPS)
    for block in range(blocks):
        for _ in range(steps // blocks):
            start = perf_counter()
            step(parameters, x, t, state)
            whole.append(perf_counter() - start)
        for _ in range(steps // blocks):
            clock.start()
            slow(its_parameters, x, t, its_state)
            clock.tick(0)
            if block:
                for line, seconds in clock.spent.items():
                    lines.setdefault(line, []).append(seconds)
    return {
        "step": _quartile(whole),
        "lines": {line: _quartile(values) for line, values in sorted(lines.items())},
    }


def _quartile(values: list[float]) -> float:
    return statistics.quantiles(values, n=4)[0]


def report(network: Perceptron, optimizer: str, steps: int, top: int) -> dict[str, Any]:
    """Profile one network with one optimizer and print its lines, the dearest marked."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = write_program(network.spec_text(optimizer), Path(scratch))
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        path = folder / manifest["targets"]["numpy"]
        result = profile(path, network.batch, steps)
        text = ["(leaving train_step)", *path.read_text(encoding="utf-8").splitlines()]
    numbers = {
        line: equation["number"]
        for equation in manifest["equations"]
        for line in equation["lines"][path.name]
    }
    total = sum(result["lines"].values())
    dear = sorted(result["lines"], key=result["lines"].__getitem__, reverse=True)[:top]
    print(f"\n{network.name} {network.activation}, batch {network.batch}, {optimizer}")
    print(f"step {result['step'] * 1e6:.1f} µs; sum of its lines, with instruments, {total * 1e6:.1f} µs")
    rows = []
    for line, seconds in result["lines"].items():
        code = text[line].split("  # ")[0].strip()
        mark = "*" if line in dear else " "
        number = f"({numbers[line]})" if line in numbers else ""
        print(f"{mark}{line:>4} {seconds * 1e6:>8.2f} µs {seconds / total:>6.1%} {number:>5}  {code}")
        rows.append({"line": line, "seconds": seconds, "equation": numbers.get(line), "code": code})
    outside = sum(row["seconds"] for row in rows if row["equation"] is None)
    print(f"lines that implement no equation: {outside * 1e6:.1f} µs, {outside / total:.1%}")
    return {
        "network": network.name,
        "optimizer": optimizer,
        "batch": network.batch,
        "step": result["step"],
        "outside_equations": outside,
        "lines": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", choices=[n.name for n in NETWORKS])
    parser.add_argument("--optimizer", choices=list(OPTIMIZERS))
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--top", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULTS / "profile_step.json")
    arguments = parser.parse_args()
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(THREADS)))
    bind_to_cores()
    results = [
        report(network, optimizer, arguments.steps, arguments.top)
        for network in NETWORKS
        for optimizer in OPTIMIZERS
        if arguments.only in (None, network.name) and arguments.optimizer in (None, optimizer)
    ]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine(), "results": results}, indent=1, ensure_ascii=False)
    arguments.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
