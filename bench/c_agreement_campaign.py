"""Random networks as C programs, as a user has them, against their NumPy programs; ten steps, 1 to 3 threads.

    python -m bench.c_agreement_campaign --networks 300 --first 0
    CC=clang-14 python -m bench.c_agreement_campaign --shipped

Every tensor must lie within 1e-10 (float64) or 1e-4 (float32) of NumPy's in float64, beside its largest
value.  Where it does not, NumPy's own rounding is measured: as far as its tensor moves when it computes in
another precision, or when parameters and inputs change by a last bit.  Ten times that is allowed.

The compiler may not warn, nor may clang; predict.c is strict C99; every tenth network runs under the
sanitizers of gcc and of clang.
"""

from __future__ import annotations

import argparse
import inspect
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

PRELOADED = os.environ.pop("LD_PRELOAD", "")  # compilers run without a sanitizer of their own
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import numpy as np  # noqa: E402
import random_images  # noqa: E402
import random_specs  # noqa: E402
from awkward_networks import awkward_spec  # noqa: E402
from c_agreement import ALONE, far, flat  # noqa: E402
from test_c_driver import loaded  # noqa: E402
from test_c_predict import STRICT, outputs  # noqa: E402
from test_c_predict import library as predictor  # noqa: E402
from wide_specs import practised, wide_spec  # noqa: E402

import chainrule.codegen.generate as pipeline  # noqa: E402
from chainrule.codegen.folder import write  # noqa: E402
from chainrule.codegen.generate import generate  # noqa: E402
from chainrule.codegen.targets.c.naming import identifier  # noqa: E402
from chainrule.runtime.program import LoadedProgram, load_program  # noqa: E402
from chainrule.spec.load import parse_spec  # noqa: E402

STEPS = 10
CLOSE = {"float64": 1e-10, "float32": 1e-4}
ROUNDINGS = 10  # of NumPy's own, that are allowed
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wno-unused-command-line-argument", "-Werror")
SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
RUNTIMES = {"gcc": ("libasan.so",), "clang-14": ("libclang_rt.asan-x86_64.so", "-shared-libsan")}
SAMPLES = (1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 33)
Array = np.ndarray[Any, Any]
Results = dict[str, Array]


# ---- Networks --------------------------------------------------------------------------------------


FAMILIES: tuple[tuple[str, Callable[[int], str], Callable[[int], int]], ...] = (  # specs, fewest samples
    ("dense", random_specs.random_spec, lambda seed: 1),
    ("images", random_images.image_spec, random_images.fewest),
    ("wide", wide_spec, lambda seed: 2),
    ("awkward", awkward_spec, lambda seed: 2),
)
TURNS = (0, 1, 2, 0, 1, 3)


@dataclass(frozen=True)
class Case:
    """A network: its family, spec, and the samples of a batch, at least and at most."""

    family: str
    name: str
    text: str
    fewest: int
    samples: int


def random_case(seed: int) -> Case:
    """Return the network of a seed: dense, images, wide and awkward come round."""
    turn, place = divmod(seed, len(TURNS))
    which = TURNS[place]
    own = turn * TURNS.count(which) + TURNS[:place].count(which)
    family, spec, fewest = FAMILIES[which]
    samples = max(fewest(own), SAMPLES[own % len(SAMPLES)])
    return Case(family, f"seed {seed} ({family} {own})", practised(spec(own), seed), fewest(own), samples)


def shipped_cases() -> Iterator[Case]:
    for path in sorted((ROOT / "examples").glob("*.toml")):
        yield Case("shipped", path.stem, path.read_text(), 3, 5)


# ---- What a program computes -----------------------------------------------------------------------


@dataclass(frozen=True)
class Given:
    """What a program is given, in one precision."""

    p: dict[str, Array]
    x: Array
    t: Array
    fewest: int

    def cast(self, dtype: Any, last_bit: float = 0.0) -> Given:
        """The same in another precision, each number changed by a last bit up or down where one is given."""
        rng = np.random.default_rng(5)

        def moved(values: Array) -> Array:
            return (values * (1 + last_bit * rng.choice((-1, 1), values.shape))).astype(dtype)

        t = self.t if self.t.dtype.kind == "i" else self.t.astype(dtype)
        return Given({name: moved(value) for name, value in self.p.items()}, moved(self.x), t, self.fewest)


def given(program: LoadedProgram, case: Case, dtype: Any) -> Given:
    rng, shape = np.random.default_rng(1), (case.samples, *program.output_shape)
    x = rng.normal(size=(case.samples, *program.input_shape)).astype(dtype)
    if program.target_kind == "labels":
        t: Array = rng.integers(0, program.output_shape[-1], case.samples).astype(np.int32)
    else:
        t = rng.uniform(0.1, 0.9, shape)
        t = (t / t.sum(axis=-1, keepdims=True) if shape[-1] > 1 else t).astype(dtype)
    return Given(dict(program.module.init_parameters(3, dtype)), x, t, case.fewest)


def results(module: Any, start: Given) -> Results:
    """Return what every function of a program computes, the last steps on fewer samples."""
    x, t, found = start.x, start.t, {}
    p = {name: value.copy() for name, value in start.p.items()}
    q = module.init_parameters(0, x.dtype)  # views of one vector
    for name, value in p.items():
        q[name][...] = value
    seeded = {"seed": 7} if "seed" in inspect.signature(module.loss).parameters else {}
    found["predict"], found["loss"] = module.predict(p, x), module.loss(p, x, t, **seeded)
    found["evaluation_loss"] = module.evaluation_loss(p, x, t)
    value, gradients = module.loss_and_gradients(p, x, t, seed=7)
    gradients = {name: np.array(gradient) for name, gradient in gradients.items()}
    found |= {"loss with gradients": value} | {f"gradient {name}": g for name, g in gradients.items()}
    found["input_gradient"] = module.input_gradient(p, x, t, seed=7)
    state = planned(module.init_optimizer(p))
    module.update(p, gradients, state)
    found |= parts("update", p, state)
    state = planned(module.init_optimizer(q))
    losses = []
    for k in range(1, STEPS + 1):
        n = len(x) if k % 3 else max(start.fewest, len(x) // 2)
        losses.append(module.train_step(q, x[:n], t[:n], state, seed=k))
        if k == 1:
            found |= parts("step 1", q, state)
    found |= parts(f"step {STEPS}", q, state) | {"losses": losses}
    return {name: np.array(value) for name, value in found.items()}


def planned(state: Any) -> Any:
    """Return an optimizer's state, its schedule made for these steps."""
    if "steps" in state:
        state["steps"] = STEPS + 2
    return state


def parts(when: str, p: Any, state: Any) -> dict[str, Any]:
    vectors = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    return {f"{when} {name}": value.copy() for name, value in (dict(p) | vectors).items()}


# ---- How far apart they are ------------------------------------------------------------------------


@dataclass
class Tally:
    """What was found in a family of networks."""

    networks: int = 0
    tensors: int = 0
    rounded: int = 0
    endless: int = 0  # tensors that are not finite in NumPy
    farthest: dict[str, float] = field(default_factory=lambda: dict.fromkeys(CLOSE, 0.0))
    sanitized: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reference:
    """What the NumPy program computes, and how far its own rounding moves that."""

    module: Any
    start: Given
    dtype: str

    @cached_property
    def wanted(self) -> Results:
        return quiet(self.module, self.start.cast(np.float64))

    @cached_property
    def others(self) -> list[Results]:
        other: Any = np.longdouble if self.dtype == "float64" else np.float32
        bit = float(np.finfo(self.dtype).eps)
        return [
            quiet(self.module, self.start.cast(other)),
            quiet(self.module, self.start.cast(np.float64, bit)),
        ]

    def rounding(self, name: str) -> float:
        return max(far(np.float64(other[name]), self.wanted[name]) for other in self.others)


def quiet(module: Any, start: Given) -> Results:
    with np.errstate(all="ignore"):
        return results(module, start)


def compare(tally: Tally, case: Case, where: str, found: Results, reference: Reference) -> None:
    """Count what is close, and note what is not."""
    for name, wanted in reference.wanted.items():
        if not np.isfinite(wanted).all():
            tally.endless += 1
            continue
        tally.tensors += 1
        distance = (
            far(np.float64(found[name]), wanted)
            if wanted.size and wanted.any()
            else float(np.abs(found[name]).max(initial=0))
        )
        if distance <= CLOSE[reference.dtype]:
            tally.farthest[reference.dtype] = max(tally.farthest[reference.dtype], distance)
            continue
        rounding = reference.rounding(name)
        if distance <= ROUNDINGS * rounding or not np.isfinite(rounding):
            tally.rounded += 1
            continue
        note(tally, f"{case.name} {where}: {name} is {distance:.2g} away, NumPy's rounding {rounding:.2g}")


def note(tally: Tally, failure: str) -> None:
    tally.failures.append(failure)
    print(f"fails  {failure}", flush=True)


# ---- A network -------------------------------------------------------------------------------------


def run(case: Case, tally: Tally, folder: Path) -> None:
    """Hold the C program of a network against its NumPy program."""
    tally.networks += 1
    spec = parse_spec(case.text, "spec.toml")
    with patch.multiple(pipeline, document=lambda derivation: "", records=lambda derivation: []):
        generated = generate(spec, ["numpy", "c"])
    program = load_program(write(generated, folder / "generated", force=True))
    source = program.directory / "c" / "trainer.c"
    text = source.read_text()
    if ALONE not in text:
        raise ValueError(f"{source}: without {ALONE}")
    source.write_text(text.replace(ALONE, "ALONE = 0"))  # several threads however small the network
    for dtype in CLOSE:
        start = given(program, case, dtype)
        reference = Reference(program.module, start, dtype)
        for threads in (1, 2, 3) if dtype == "float64" else (1 + case.samples % 3,):
            module = loaded(source.with_name("trainer.py"))
            module.THREADS = threads
            found = results(module, start)
            compare(tally, case, f"{dtype}, threads: {threads}", found, reference)
        again = results(module, start)
        if any(found[name].tobytes() != again[name].tobytes() for name in found):
            note(tally, f"{case.name} {dtype}: other bits the second time")
    if not PRELOADED:
        alone(case, tally, program, identifier(spec.name))


def alone(case: Case, tally: Tally, program: LoadedProgram, symbol: str) -> None:
    """Hold predict.c, as strict C99, against the NumPy program; ask clang for warnings of both files."""
    module: Any = program.module
    for dtype, real in (("float64", "double"), ("float32", "float")):
        start = given(program, case, dtype)
        weights = np.concatenate(
            [flat(start.p, module.PARAMETERS, dtype), flat(start.p, module.STATISTICS, dtype)]
        )
        reference = Reference(module, start, dtype)
        library = predictor(program.directory / "c", real, "gcc")
        found = outputs(library, symbol, weights, start.x, program.output_shape)
        distance = far(found, reference.wanted["predict"])
        if not distance <= CLOSE[dtype] and not distance <= ROUNDINGS * reference.rounding("predict"):
            note(tally, f"{case.name} predict.c, {dtype}: {distance:.2g} away")
        if shutil.which("clang-14"):
            for name, flags in (("trainer.c", ("-std=gnu11", *WARNINGS)), ("predict.c", STRICT)):
                command = [
                    "clang-14",
                    "-fsyntax-only",
                    f"-DREAL={real}",
                    *flags,
                    str(program.directory / "c" / name),
                ]
                done = subprocess.run(  # noqa: S603  our own command
                    command, capture_output=True, text=True, check=False
                )
                if done.returncode:
                    note(tally, f"{case.name} {name}: {' '.join(done.stderr.splitlines()[:2])}")


def sanitized(seed: int, tally: Tally) -> None:
    """Run a network under the sanitizers of each compiler, in a process that has loaded them first."""
    for compiler, (runtime, *flags) in RUNTIMES.items():
        if not shutil.which(compiler):
            continue
        asked = [compiler, f"-print-file-name={runtime}"]
        preloaded = subprocess.run(  # noqa: S603  our own command
            asked, capture_output=True, text=True, check=True
        ).stdout.strip()
        around = {"LD_PRELOAD": preloaded, "ASAN_OPTIONS": "detect_leaks=0"}
        with tempfile.TemporaryDirectory(prefix="c_agreement_") as folder:
            wrapper = Path(folder, compiler)  # its flags come after those of the program
            wrapper.write_text(f'#!/bin/sh\nexec {compiler} "$@" {shlex.join([*SANITIZERS, *flags])}\n')
            wrapper.chmod(0o755)
            done = subprocess.run(  # noqa: S603  our own command
                [sys.executable, "-m", "bench.c_agreement_campaign", "--networks", "1", "--first", str(seed)],
                env={**os.environ, **around, "CC": str(wrapper)},
                capture_output=True,
                text=True,
                check=False,
            )
        tally.sanitized += 1
        if done.returncode:
            note(
                tally,
                f"seed {seed} under the sanitizers of {compiler}: {(done.stdout + done.stderr)[-1500:]}",
            )


def table(tallies: dict[str, Tally]) -> str:
    lines = [
        "| family | networks | tensors | farthest, float64 | float32 | "
        "within NumPy's rounding | not finite | sanitized | failures |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for family, each in tallies.items():
        far64, far32 = (f"{each.farthest[dtype]:.1e}" for dtype in CLOSE)
        counts = f"{each.rounded} | {each.endless} | {each.sanitized} | {len(each.failures)}"
        lines.append(f"| {family} | {each.networks} | {each.tensors} | {far64} | {far32} | {counts} |")
    return "\n".join(lines)


def main() -> int:
    """Run the campaign and print what it found; 1 where anything differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--sanitized", type=int, default=10, help="one network in so many, 0: none")
    parser.add_argument("--shipped", action="store_true", help="the specs of examples/ instead")
    options = parser.parse_args()
    began, tallies = time.monotonic(), dict[str, Tally]()
    if not PRELOADED:
        os.environ["CC"] = shlex.join([*shlex.split(os.environ.get("CC", "gcc")), *WARNINGS])
    seeds = range(options.first, options.first + options.networks)
    cases = shipped_cases() if options.shipped else map(random_case, seeds)
    for number, case in enumerate(cases):
        tally = tallies.setdefault(case.family, Tally())
        with tempfile.TemporaryDirectory(prefix="c_agreement_") as folder:
            os.environ["CHAINRULE_CACHE_C"] = str(Path(folder, "cache"))
            try:
                run(case, tally, Path(folder))
            except Exception as error:  # a campaign goes on
                note(tally, f"{case.name}: {type(error).__name__}: {error}")
        if (
            options.sanitized
            and not options.shipped
            and not PRELOADED
            and seeds[number] % options.sanitized == 0
        ):
            sanitized(seeds[number], tally)
    print(f"{table(tallies)}\n\n{time.monotonic() - began:.0f} s, CC={os.environ['CC']}")
    return int(any(each.failures for each in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
