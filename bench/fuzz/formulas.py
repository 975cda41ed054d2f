"""Fuzzing of formulas: activations and losses of one's own, random, extreme and mutilated.

    python -m bench.fuzz.formulas --count 5000

An input is read as a spec; what is read is derived and written as LaTeX and text, and every eighth becomes a
NumPy program that computes a step.  Right is a refusal with a message, or all of that within the limits.
"""

from __future__ import annotations

import random
import sys
import zlib
from types import ModuleType

from bench.fuzz.harness import campaign
from chainrule.codegen.generate import generate
from chainrule.codegen.lower.lowering import LoweringError
from chainrule.derive.deriving import derive_network
from chainrule.derive.differentiate import CannotDifferentiate
from chainrule.present import records
from chainrule.spec import SpecError, parse_spec

ONE = (
    *(
        "exp",
        "log",
        "sqrt",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "abs",
        "sign",
        "sigmoid",
        "softplus",
    ),
    *("relu", "erf", "floor", "ceil", "round"),
)
NUMBERS = (
    *(
        "0",
        "1",
        "2",
        "3",
        "0.5",
        "1.5",
        "0.1",
        "1e9",
        "1e-9",
        "1e308",
        "1e-308",
        "64",
        "1000",
        "1e60",
        "7.25",
    ),
    *("1.5957691216", "99999999999999999999", "0.333333333333", "pi", "1e400", "1e9999"),
)
WELL_KNOWN = (
    "x * sigmoid(beta * x)",
    "x * tanh(softplus(x))",
    "(exp(x) - exp(-x)) / (exp(x) + exp(-x))",
    "where(x > 0, x, alpha * (exp(x) - 1))",
    "max(0, min(6, x + 3)) * x / 6",
    "log(1 + exp(x) + exp(2 * x))",
    "max(tan(sinh(min(beta, 1e9))), x)",
    "x / (1 + abs(x))",
    "1 - exp(-exp(x))",
    "9**9**9 * x",
    "where(where(x > 0, x, 1) > where(x < 1, 2, x), x, -x)",
)
LOSSES = (
    "sqrt(1 + (y - t)**2) - 1",
    "log(cosh(y - t))",
    "where(abs(y - t) < delta, (y - t)**2 / 2, delta * (abs(y - t) - delta / 2))",
    "max(0, 1 - t * y)**2",
    "-(t * log(y) + (1 - t) * log(1 - y))",
)
JUNK = (
    *(
        "(",
        ")",
        ",",
        "**",
        "*",
        "/",
        "-",
        "+",
        "<",
        ">=",
        ".",
        "e",
        "1e",
        " ",
        "²",
        "х",
        "\u200b",
        "__import__",
    ),
    *("x", "y", "t", "where(", "max(", "9" * 70, "**9" * 3, "(" * 60, "-" * 200, "#", "'", ";", "=", "beta"),
)
EXPONENTS = ("2", "3", "-1", "0.5", "-2", "7", "beta", "(1/3)", "30")


def make(source: random.Random) -> str:
    """Return the text of a spec with a formula in it."""
    loss = source.random() < 0.25
    names = ("y", "t") if loss else ("x",)
    constants = {"alpha": 1.0, "beta": 1.5, "delta": 0.7}
    kind = source.random()
    if kind < 0.55:
        formula = grown(source, names, source.randint(1, 5))
    else:
        formula = source.choice(LOSSES if loss else WELL_KNOWN)
        for _ in range(source.randint(1, 4)):
            formula = mutated(source, formula, names)
    used = [f"{name} = {number(source, value)}" for name, value in constants.items() if name in formula]
    return spec(formula, "\n".join(used), loss)


def number(source: random.Random, value: float) -> str:
    return (
        str(value)
        if source.random() < 0.7
        else source.choice(("0.0", "-1.0", "1e9", "1e-30", "3", "1e300", "0.1"))
    )


def grown(source: random.Random, names: tuple[str, ...], depth: int) -> str:
    """Return a formula of the grammar."""
    if depth == 0 or source.random() < 0.1:
        return source.choice((*names, *names, *names, source.choice(NUMBERS[:12]), "beta", "alpha"))

    def inner() -> str:
        return grown(source, names, depth - 1)

    match source.choice("ffffoooooopwmn"):
        case "f":
            return f"{source.choice(ONE)}({inner()})"
        case "o":
            return f"({inner()} {source.choice('+-*/')} {inner()})"
        case "p":
            return f"({inner()})**{source.choice((*EXPONENTS, inner()))}"
        case "w":
            return f"where({inner()} {source.choice(('<', '<=', '>', '>='))} {inner()}, {inner()}, {inner()})"
        case "m":
            return f"{source.choice(('max', 'min'))}({inner()}, {inner()})"
    return source.choice(NUMBERS)


def mutated(source: random.Random, text: str, names: tuple[str, ...]) -> str:
    """Return a formula with something taken out, put in, doubled or exchanged."""
    at, to = sorted((source.randint(0, len(text)), source.randint(0, len(text))))
    match source.randrange(6):
        case 0:
            return text[:at] + text[to:]
        case 1:
            return text[:at] + source.choice(JUNK) + text[at:]
        case 2:
            return text[:at] + text[at:to] * source.randint(2, 4) + text[to:]
        case 3:
            return text.replace(source.choice(names), f"({grown(source, names, 2)})", source.randint(1, 3))
        case 4:
            return text.replace(source.choice("0123456789"), source.choice(NUMBERS), 1)
    return f"{source.choice(ONE)}({text}) {source.choice('+-*/')} {grown(source, names, 2)}"


def spec(formula: str, constants: str, loss: bool) -> str:
    """Return the text of a network of two dense layers around a formula, or under it as a loss."""
    table = "losses" if loss else "activations"
    own, last = ("", 'type = "own"') if loss else ('activation = "own"', 'type = "mse"')
    return f"""spec_version = 1
name = "fuzz"
[input]
shape = [3]
[[layers]]
type = "dense"
units = 4
{own}
[[layers]]
type = "dense"
units = 2
[loss]
{last}
[{table}.own]
formula = "{formula}"
{constants}
"""


def check(text: str) -> str:
    """Read, derive, write; return how far it came."""
    try:
        read = parse_spec(text, "fuzz.toml")
        derivation = derive_network(read)
        records(derivation)
        if zlib.crc32(text.encode()) % 8 == 0:
            _step(generate(read).files["numpy_trainer.py"])
    except (SpecError, CannotDifferentiate, LoweringError) as error:
        _must_be_plain(str(error))
        return type(error).__name__
    return "derived"


def _must_be_plain(message: str) -> None:
    inner = ("Piecewise", "sympy", "Traceback", "ceiling", "zoo", "nan,", "_v0", "Dummy")
    if any(word in message for word in inner) or len(message) > 20_000:
        raise AssertionError(f"a message that is not for readers: {message[:2000]}")


def _step(code: str) -> None:
    import numpy as np

    module = ModuleType("fuzz")
    exec(code, module.__dict__)  # noqa: S102  what is tested
    parameters = module.init_parameters(0)
    with np.errstate(all="ignore"):
        module.train_step(parameters, np.ones((2, 3)), np.ones((2, 2)), module.init_optimizer(parameters))


if __name__ == "__main__":
    sys.exit(campaign(make, check))
