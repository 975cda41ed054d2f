"""Random index equations with numbers for sizes: what lowering is held against.

Subscripts are affine, with strides, dilations and shifts both ways; bodies need not be 0 outside the box of
what they read.  Sizes are small, as the reference interpreter visits every place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray
from sympy import Expr, IndexedBase, KroneckerDelta, Piecewise, Symbol, exp

from chainrule.codegen.ir.box import bounds
from chainrule.derive.index import Equation, Inside, Max, Sum, access, index, reductions, size, tensor

Array = NDArray[Any]
N = size("N")
n, m = index("n"), index("m")  # a sample, and one that a sum runs over
SMOOTH: tuple[Callable[[Expr], Expr], ...] = (
    lambda x: x,
    lambda x: x,
    lambda x: x**2,
    lambda x: exp(x / 2),
    lambda x: 1 / (1 + exp(-x)),
    lambda x: x + 1,
    sympy.tanh,
    sympy.sin,
    sympy.cos,
    lambda x: x / (2 + x**2),
    lambda x: 1 / (2 + x**2),
    lambda x: sympy.log(1 + exp(x)),
)
KINKED = (lambda x: Piecewise((x, x > 0), (x / 10, True)), sympy.Abs, sympy.sign)  # of a read alone


@dataclass(frozen=True)
class Case:
    """Equations to be computed in order: each may read what those before it define.

    ``wanted`` names, by equation, the tensors whose cotangents are wanted too; ``samples`` is N.
    """

    equations: tuple[Equation, ...]
    wanted: tuple[tuple[str, ...], ...]
    samples: int
    seed: int
    pieces: bool

    def given(self) -> dict[str, IndexedBase]:
        """Return the tensors that no equation defines, by name."""
        found = {name: base for e in self.equations for name, base in e.reads().items()}
        return {name: found[name] for name in sorted(found.keys() - {e.name for e in self.equations})}

    def texts(self) -> list[str]:
        """Return each equation with the shapes in it, and whose cotangents are wanted of it."""
        found = []
        for equation, wanted in zip(self.equations, self.wanted, strict=True):
            bases = (equation.left.base, *equation.reads().values())
            shapes = ", ".join(f"{base}{list(base.shape)}" for base in bases)
            found.append(f"{equation} [{shapes}]" + (f" and d{', d'.join(wanted)}" if wanted else ""))
        return found

    def __repr__(self) -> str:
        how = ", in pieces" if self.pieces else ""
        return f"N = {self.samples}, seed {self.seed}{how}: {'; '.join(self.texts())}"


def values(base: IndexedBase, samples: int, rng: np.random.Generator) -> Array:
    """Return random values for a tensor."""
    shape = [samples if e == N else int(e) for e in base.shape]
    return rng.uniform(-1.5, 1.5, shape)


class _Drawing:
    """The tensors and sizes of one case, drawn as they are needed."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.tensors: dict[str, IndexedBase] = {}
        self.reductions: list[Expr] = []  # of equations before, to be read again at other extents
        self.extents: dict[Symbol, Any] = {n: N, m: N}

    def choice(self, *options: Any) -> Any:
        return self.random.choice(options)

    def number(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def indices(self, names: str, most: int) -> list[Symbol]:
        found = [index(name) for name in names[:most]]
        for symbol in found:
            self.extents[symbol] = sympy.Integer(self.choice(3, 2, 4, 1, 5, 3, 2))
        return found

    def subscript(self, symbols: Sequence[Symbol]) -> Expr:
        """Draw an affine expression of one or two indices."""
        if not symbols:
            return sympy.Integer(self.number(0, 1))
        first = self.choice(*symbols)
        second = self.choice(*symbols)
        kind = self.number(0, 9)
        if kind <= 3:
            return first
        shift = self.choice(0, -1, 1, -2, 2, 3, -3, 0)
        if kind <= 5:
            return first + shift
        if kind == 6:
            return self.choice(2, 3, -1, -2) * first + shift
        if kind == 7:
            return first - second + shift
        return self.choice(1, 2, 3) * first + self.choice(1, 1, 2, 3) * second + shift

    def read(self, symbols: Sequence[Symbol], samples: Sequence[Symbol], names: str = "abc") -> Expr:
        """Draw an access to a tensor, old or new, of samples or not."""
        kind = "x" if samples and self.number(0, 2) else "w"
        name = f"{kind}{self.choice(*names)}"
        if name in self.tensors:
            base = self.tensors[name]
            inner = base.shape[1:] if kind == "x" else base.shape
            subscripts = [self.subscript(symbols) for _ in inner]
        else:
            rank = self.choice(1, 2, 1, 3)
            subscripts = [self.subscript(symbols) for _ in range(rank)]
            base = self.new(name, subscripts, kind)
        if kind == "x":
            subscripts.insert(0, self.choice(*samples))
        return access(base, *subscripts)

    def new(self, name: str, subscripts: Sequence[Expr], kind: str) -> IndexedBase:
        """Declare a tensor whose axes fit the subscripts, or are narrower or wider."""
        sizes = []
        numbers = {i: int(e) for i, e in self.extents.items() if e != N}
        for subscript in subscripts:
            found = bounds(subscript, numbers)
            reach = min(max(1, found[1] + 1 if found else 1), 7)
            sizes.append(
                sympy.Integer(max(1, self.choice(reach, reach, reach, reach - 1, reach + 1, reach - 2)))
            )
        shape = [N, *sizes] if kind == "x" else sizes
        self.tensors[name] = tensor(name, *shape)
        return self.tensors[name]

    def factor(self, symbols: Sequence[Symbol], samples: Sequence[Symbol]) -> Expr:
        """Draw a factor: a function of a read, two reads, a guard or a delta."""
        kind = self.number(0, 11)
        if kind == 0 and symbols:
            return Inside(self.subscript(symbols), sympy.Integer(self.number(1, 4)))
        if kind == 1 and symbols:
            difference = sympy.expand(self.subscript(symbols) - self.subscript(symbols))
            return KroneckerDelta(difference, 0)
        if kind == 2:
            return self.read(symbols, samples) + self.choice(1, -1, 2) * self.read(symbols, samples)
        return self.choice(*SMOOTH, *KINKED)(self.read(symbols, samples))

    def body(self, symbols: Sequence[Symbol], samples: Sequence[Symbol]) -> Expr:
        """Draw a product of factors, or a function or sum of such."""
        product = sympy.Mul(*(self.factor(symbols, samples) for _ in range(self.choice(1, 2, 1, 2, 3))))
        kind = self.number(0, 9)
        if kind == 0:
            return self.choice(*SMOOTH)(product)
        if kind == 1:
            return product + self.choice(1, -1) * self.factor(symbols, samples)
        if kind == 2:
            return product + self.choice(1, 2)
        return product

    def contraction(self, free: list[Symbol], bound: list[Symbol], samples: Sequence[Symbol]) -> Expr:
        """Draw a product of windows and of what they are weighed with."""
        terms = [self.choice(1, 1, 2, -1) * i for i in (self.choice(*free), self.choice(*bound))]
        moved = sympy.Add(*terms, self.choice(0, 0, -1, 1, -2))
        plain = [i for i in (*free, *bound) if self.number(0, 2) or i == bound[0]][:2]
        factors = []
        for name, subscripts in (("p", [moved, *plain[1:]]), ("q", plain)):
            kind = "x" if samples and self.number(0, 2) else "w"
            base = self.new(f"{kind}{name}{len(self.tensors)}", subscripts, kind)
            factors.append(access(base, *([self.choice(*samples)] if kind == "x" else []), *subscripts))
        return sympy.Mul(*factors)

    def right(
        self, free: list[Symbol], bound: list[Symbol], samples: list[Symbol], summed: list[Symbol]
    ) -> Expr:
        """Draw the right side of an equation with these free and bound indices, samples apart."""
        every, all_samples = [*free, *bound], [*samples, *summed]
        again = [r for r in self.reductions if r.free_symbols & self.extents.keys() <= {*free, *samples}]
        if again and self.number(0, 1):
            return self.choice(*again) + self.body(free, samples)
        axes = [(i, self.extents[i]) for i in (*summed, *bound)]
        if not axes:
            return self.body(free, samples)
        kind = self.number(0, 11)
        if kind > 9 and free and bound:
            reduction = Max if not summed and self.number(0, 1) else Sum
            return reduction(self.contraction(free, bound, all_samples), *axes)
        if kind == 0:
            direct = self.read(every, all_samples)
            return self.body(free, samples) / Sum(exp(direct), *axes)
        if kind == 1 and not summed:
            return Max(self.body(every, samples), *axes)
        if kind == 2 and not summed:
            return Max(self.read(every, samples), *axes) + self.body(free, samples)
        if kind == 3 and len(axes) > 1 and not summed:
            return Sum(
                Max(self.body(every, samples), *axes[1:]) * self.factor([*free, bound[0]], samples), axes[0]
            )
        if kind == 6 and len(axes) > 1 and not summed:
            inner = Sum(self.body(every, samples), *axes[1:])
            return Max(inner * self.factor([*free, bound[0]], samples), axes[0])
        total = Sum(self.body(every, all_samples), *axes)
        if kind == 4:
            return self.choice(*SMOOTH)(total) * self.factor(free, samples)
        if kind == 5:
            return total + self.body(free, samples)
        return total


def drawn_cases(seed: int) -> Iterator[Case]:
    """Give one case after the other without end, always the same ones."""
    random = Random(seed)
    while True:
        yield _case(random)


def _case(random: Random, most: int = 3) -> Case:
    """Draw one to ``most`` equations over shared tensors."""
    made = _Drawing(random)
    equations: list[Equation] = []
    wanted: list[tuple[str, ...]] = []
    asked: set[str] = set()
    for number in range(1, made.number(1, most) + 1):
        role = made.number(0, 5)  # 0: no samples, 1: a sum over samples
        samples = [n] if role > 1 else []
        summed = [m] if role == 1 else []
        free = made.indices("ijk", made.choice(1, 2, 1, 2, 3, 0) if role else made.choice(1, 2, 0))
        bound = made.indices("uv", made.choice(0, 1, 1, 2))
        right = sympy.sympify(made.right(free, bound, samples, summed))
        made.reductions += reductions(right)
        name = f"z{number}"
        base = tensor(name, *(made.extents[i] for i in (*samples, *free)))
        equation = Equation(access(base, *samples, *free), right)
        reads = equation.reads()
        if not reads or right.has(sympy.nan, sympy.zoo):
            equation = Equation(equation.left, right.subs(sympy.nan, 0) + made.read(free, samples))
            reads = equation.reads()
        equations.append(equation)
        before = {e.name for e in equations}
        differentiable = [r for r in reads if r not in before and r not in asked]
        chosen = tuple(r for r in differentiable if made.number(0, 2) == 0)[:2]
        asked.update(chosen)
        wanted.append(chosen)
        kind = "x" if samples else "w"
        made.tensors.setdefault(f"{kind}{made.choice('a', 'b', 'c')}", base)
    return Case(
        tuple(equations),
        tuple(wanted),
        made.number(1, 3),
        made.number(0, 999),
        made.choice(True, False),
    )
