"""Where the time of a C program's step goes, function by function on one thread, and shares of the FMA peak.

    python -m bench.c_parts [--only NETWORK] [--batch N] [--steps 20] [--output FILE]

Each function's calls are timed by the processor's time stamp within trainer.c, compiled as its trainer.py
does; of each function the least of all steps counts.  The peak is that of a loop of multiply-adds of vectors
in registers, run in between.  What sums over the places of a pool's winners has no share: it makes fewer
products than its equation has.  x86-64 only.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.image_step import bench_spec
from bench.programs import RESULTS, machine
from chainrule.codegen.folder import write
from chainrule.codegen.generate import generate
from chainrule.codegen.kernels.plan import planned
from chainrule.codegen.kernels.work import Product, made, operations
from chainrule.codegen.targets import target
from chainrule.codegen.targets.c.machine import MACHINE
from chainrule.derive.deriving import derive_network
from chainrule.derive.model import Spec

CASES = (("cifar10_cnn_74", 32), ("fashion_cnn", 32), ("mnist_wide", 128))
PARTS = "/* ---- What threads do, part by part"
CALLED = "static void output_job"
MOST = 512  # functions
HEAD = f"""
#include <x86intrin.h>
unsigned long long ticks[{MOST}];
#define TIMED(k, call) \\
    do {{ unsigned long long start = __rdtsc(); call; ticks[k] += __rdtsc() - start; }} while (0)

/* Return the ticks of 10 * 320,000 multiply-adds, by vectors in registers. */
#if defined(__AVX512F__)
#define PEAK_LANES 16
#elif defined(__AVX__)
#define PEAK_LANES 8
#else
#define PEAK_LANES 4
#endif
typedef float peak_vector __attribute__((vector_size(4 * PEAK_LANES)));
long peak_ticks(float *out)
{{
    peak_vector sum[10], u = {{0}}, v = {{0}};
    u += out[0], v += out[1]; /* 0.5: sums near 1, for subnormal ones are slow */
    UNROLL for (int i = 0; i < 10; ++i) sum[i] = u * (float)i;
    const unsigned long long start = __rdtsc();
    for (long k = 0; k < 320000 / PEAK_LANES; ++k)
        UNROLL for (int i = 0; i < 10; ++i) sum[i] = sum[i] * u + v;
    const unsigned long long end = __rdtsc();
    UNROLL for (int i = 0; i < 10; ++i) out[2 + i] = sum[i][0];
    return (long)(end - start);
}}
"""
PEAK_OPERATIONS = 10 * 320_000 * 2


def timed_source(text: str) -> tuple[str, list[str]]:
    """Return trainer.c with its functions' calls timed, and the names by number."""
    names: list[str] = []

    def timed(found: re.Match[str]) -> str:
        if found[2] not in names:
            names.append(found[2])
        return f"{found[1]}TIMED({names.index(found[2])}, {found[0][len(found[1]) : -1]});"

    head, rest = text.split(PARTS, 1)
    parts, tail = rest.split(CALLED, 1)
    parts = re.sub(r"(?m)^(\s+(?:if \(id == 0\) )?)(\w+)\(w, id, [^;\n]*\);", timed, parts)
    return head + HEAD + PARTS + parts + CALLED + tail, names


def products(spec: Spec) -> dict[str, int]:
    """Return the floating-point operations of a sample by function, of those that are products."""
    derivation = derive_network(spec)
    plan = planned(target("c").program(derivation), MACHINE)
    found: dict[str, int] = {}
    for section, works in plan.works.items():
        for work in works:
            if isinstance(work, Product):
                name = f"{section}_{plan.program.values[made(work)[-1]].identifier}"
                found[name] = found.get(name, 0) + operations(work)
    return found


def measure(name: str, batch: int, steps: int) -> dict[str, Any]:
    """Return the least step of a network, in seconds by function, beside the peak."""
    spec = bench_spec(name, batch)
    counted = products(spec)
    with tempfile.TemporaryDirectory() as scratch:
        folder = write(generate(spec, ["c"]), Path(scratch), force=True)
        source = folder / "c" / "trainer.c"
        text, names = timed_source(source.read_text("utf-8"))
        source.write_text(text, encoding="utf-8")
        os.environ["CHAINRULE_CACHE_C"] = scratch
        found = importlib.util.spec_from_file_location("parts_trainer", folder / "c" / "trainer.py")
        if found is None or found.loader is None:
            raise ImportError(str(folder))
        module: Any = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        module.THREADS = 1
        library = module.library(np.float32)
        ticks = (ctypes.c_ulonglong * MOST).in_dll(library, "ticks")
        rng = np.random.default_rng(0)
        x = rng.random((batch, *spec.input_shape), np.float32)
        t = rng.integers(0, 10, batch)
        parameters = module.init_parameters(0)
        state = module.init_optimizer(parameters)
        best: list[int] = []
        peak = 0
        numbers = np.full(16, 0.5, np.float32)
        for _ in range(steps):
            ctypes.memset(ticks, 0, ctypes.sizeof(ticks))
            module.train_step(parameters, x, t, state)
            best = list(map(min, best, ticks)) if best else list(ticks)
            once = library.peak_ticks(ctypes.c_void_p(numbers.ctypes.data))
            peak = min(peak, once) if peak else once
    whole = sum(best)
    rows = []
    for number, function in sorted(enumerate(names), key=lambda each: -best[each[0]]):
        own = best[number]
        work = counted.get(function, 0) * batch
        share = work / own / (PEAK_OPERATIONS / peak) if own and work else None
        rows.append({"function": function, "share_of_step": own / whole, "share_of_peak": share})
    return {"network": name, "batch": batch, "functions": rows}


def table(result: dict[str, Any], most: int = 14) -> str:
    """Return the functions that take longest as a Markdown table."""
    lines = [f"{result['network']}, batch {result['batch']}:", "", "| function | of the step | of the peak |"]
    lines.append("|---|--:|--:|")
    for row in result["functions"][:most]:
        peak = f"{row['share_of_peak']:.0%}" if row["share_of_peak"] is not None else ""
        lines.append(f"| {row['function']} | {row['share_of_step']:.1%} | {peak} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", help="this network of examples/")
    parser.add_argument("--batch", type=int, default=32, help="with --only")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--output", type=Path, default=RESULTS / "c_parts.json")
    arguments = parser.parse_args()
    cases = ((arguments.only, arguments.batch),) if arguments.only else CASES
    results = [measure(name, batch, arguments.steps) for name, batch in cases]
    print("\n\n".join(table(result) for result in results))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine(), "results": results}, indent=1, ensure_ascii=False)
    arguments.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
