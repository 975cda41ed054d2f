"""Letters for a page: no letter stands for two things, whatever layers and optimizer meet on it.

Who comes first keeps a letter: functions, tensors of layers, other tensors, indices, constants; what comes
later takes the next of its own letters, as other books have them, or one that is free.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sympy import IndexedBase, Symbol

from chainrule.derive.index import Equation, Reduction, Winner, name_of
from chainrule.derive.prose import _, listed
from chainrule.formula.functions import sigmoid
from chainrule.present.notation import FIXED, differentiated, name, parts
from chainrule.present.sides import Line
from chainrule.present.tree import Big, Iverson, Kronecker, Leaf, Node, Ref, Related, changed

if TYPE_CHECKING:
    from chainrule.derive.numbering import NumberedEquation

Letter = tuple[str, str]  # in LaTeX, in text
Kind = tuple[str, str]  # tensor or constant, and its symbol
# What else the letters of an update are called: Adam as in Goodfellow's book (s, r, ρ₁, ρ₂), the step τ.
OTHERS: Final[dict[Kind, tuple[Letter, ...]]] = {
    ("tensor", "m"): (("s", "s"),),
    ("tensor", "v"): (("r", "r"),),
    ("tensor", "h"): (("r", "r"),),
    ("constant", "beta1"): ((r"\rho_1", "ρ1"),),
    ("constant", "beta2"): ((r"\rho_2", "ρ2"),),
    ("constant", "k"): ((r"\tau", "τ"),),
    ("constant", "eta"): ((r"\eta_\tau", "η_τ"),),
    ("constant", "momentum"): ((r"\alpha", "α"),),
    ("constant", "decay_factor"): ((r"\varphi", "φ"),),
    ("constant", "warmup"): ((r"\omega", "ω"),),
    ("constant", "decay_every"): ((r"\psi", "ψ"),),
    ("constant", "norm"): ((r"\nu", "ν"),),
    ("constant", "clip_norm"): ((r"\zeta", "ζ"),),
}
# Letters that change together, for they are one notation.
TOGETHER: Final[tuple[tuple[Kind, ...], ...]] = (
    (("tensor", "m"), ("tensor", "v"), ("constant", "beta1"), ("constant", "beta2")),
    (("constant", "k"), ("constant", "eta")),
)
INDICES: Final = {"v": "w", "m": "l"}  # the window (u, w); a second sample
FREE: Final = "lqprsyofhwz"
LATIN: Final = tuple(
    (latex.format(letter), letter + mark)
    for latex, mark in (("{}", ""), (r"\tilde{{{}}}", "\u0303"))
    for letter in FREE
)
GREEK: Final = tuple((rf"\{name}", letter) for name, letter in zip(
    ("xi", "chi", "psi", "omega", "zeta", "nu", "kappa", "mu", "tau", "rho", "phi", "theta", "lambda"),
    "ξχψωζνκμτρφθλ", strict=True,
))  # fmt: skip
LOWER: Final = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
LOSS: Final = "E"
RATE: Final = "eta"  # of a step, which stands below it
TAKEN: Final = frozenset({"e", "d", r"\partial", r"\pi"})


@dataclass(frozen=True)
class Lettering:
    """What is not called by its usual letter on a page; ``delta``: δ is the error, and no Kronecker delta."""

    tensors: Mapping[str, Letter] = field(default_factory=dict)
    constants: Mapping[str, Letter] = field(default_factory=dict)
    indices: Mapping[str, str] = field(default_factory=dict)
    delta: bool = False

    def sentences(self) -> tuple[str, ...]:
        """Return what a page says of letters that are not the usual ones."""
        letters = {s: (parts(s).text, new) for s, new in self.tensors.items() if s not in self.constants}
        letters |= {
            s: (name(s).text, new) for s, new in self.constants.items() if s != RATE
        }  # changes with k
        if not letters:
            return ()
        said = (
            _("{new} for the usual {old}", new=_below(new[1]), old=_below(old))
            for old, new in letters.values()
        )
        return (_("No letter means two things here: {exchanges}.", exchanges=listed(*said)),)

    def line(self, shown: Line) -> Line:
        """Return a line in the letters of the page."""
        return Line(self.tree(shown.left), shown.relation, self.tree(shown.right))

    def tree(self, node: Node) -> Node:
        """Return a tree in the letters of the page."""
        return changed(node, self._change)

    def _change(self, node: Node) -> Node:
        match node:
            case Ref(symbol=symbol, mark=mark):
                mark = self.indices.get(mark, mark)
                return replace(node, mark=mark, letter=self.tensors.get(symbol, node.letter))
            case Leaf(index=True, latex=letter) if letter in self.indices:
                return replace(node, latex=self.indices[letter], text=self.indices[letter])
            case Leaf(constant=symbol) if symbol in self.constants:
                latex, text = self.constants[symbol]
                return replace(node, latex=latex, text=text)
            case Big(indices=axes, told=told):
                axes = tuple((self.indices.get(i, i), size) for i, size in axes)
                return replace(node, indices=axes, told=tuple(self.indices.get(i, i) for i in told))
            case Kronecker(left, right) if self.delta:
                return Iverson((Related("=", left, right),))
        return node


def letters_of(equations: Iterable[NumberedEquation]) -> Lettering:
    """Return the letters of a derivation, the same in every form, on every page and in the program."""
    found = _Found()
    for numbered in equations:
        found.add(numbered.equation)
        if numbered.computed is not numbered.equation:
            found.add(numbered.computed)
    return found.lettering()


class _Found:
    """Tensors, indices and constants, each once, in order of appearance, and who has which letter.

    What is one number for all parameters (the rate of a step, the norm) is a constant, on the left side too.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, None] = {}
        self.indices: dict[str, None] = {}
        self.constants: dict[str, None] = {}
        self.claims: dict[str, object] = dict.fromkeys(TAKEN)
        self.others: dict[Kind, Letter] = {}
        self.seen: set[Equation] = set()  # patterns, whose indices and constants are found

    def add(self, equation: Equation) -> None:
        pattern = equation.pattern
        shapes = {name_of(base): base.shape for base in (pattern.left.base, *pattern.reads().values())}
        ranks = dict(zip(equation.tensors, pattern.tensors, strict=True))
        for tensor in sorted(ranks):
            symbol = differentiated(tensor) or tensor
            whole = shapes[ranks[tensor]] or symbol == LOSS
            (self.tensors if whole else self.constants).setdefault(symbol)
        if pattern in self.seen:
            return
        self.seen.add(pattern)
        right = pattern.right
        bound = {i for node in right.atoms(Reduction, Winner) for i, _size in node.axes}
        labels = {base.label for base in (pattern.left.base, *right.atoms(IndexedBase))}
        letters = {*right.free_symbols, *pattern.free, *bound} - labels
        for symbol in sorted((s for s in letters if isinstance(s, Symbol)), key=str):
            kind = self.indices if symbol.is_integer and not symbol.is_positive else self.constants
            kind.setdefault(symbol.name)
        if right.has(sigmoid):
            self.claims.setdefault(r"\sigma", sigmoid)

    def lettering(self) -> Lettering:
        layers = [s for s in self.tensors if parts(s).upper]
        others = sorted((s for s in self.tensors if not parts(s).upper), key=lambda s: s not in FIXED)
        for symbol in layers:
            self._claim(("tensor", symbol), parts(symbol).latex, "layers")
        for symbol in others:
            self._claim(("tensor", symbol), parts(symbol).latex, symbol)
        indices = {index: self._index(index) for index in self.indices}
        for symbol in self.constants:
            self._claim(("constant", symbol), name(symbol).latex, "constant")
        return Lettering(
            {
                symbol: letter
                for (kind, symbol), letter in self.others.items()
                if kind == "tensor" or symbol not in self.tensors
            },
            {symbol: letter for (kind, symbol), letter in self.others.items() if kind == "constant"},
            {old: new for old, new in indices.items() if old != new},
            r"\delta" in self.claims,
        )

    def _claim(self, kind: Kind, latex: str, family: str) -> None:
        """Give a symbol its own letter, or another where that is taken, with those that change with it."""
        if kind in self.others or self.claims.setdefault(base(latex), family) == family:
            return
        for member in next((group for group in TOGETHER if kind in group), (kind,)):
            if member[1] in (self.tensors if member[0] == "tensor" else self.constants):
                self._choose(member)

    def _choose(self, kind: Kind) -> None:
        """Constants may share a letter, for they are told apart below it: ρ₁ and ρ₂, η and η_τ."""
        family = "constant" if kind[0] == "constant" else kind[1]
        for letter in OTHERS.get(kind, ()):
            if self.claims.setdefault(base(letter[0]), family) == family:
                self.others[kind] = letter
                return
        for letter in GREEK if kind[0] == "constant" else LATIN:
            if base(letter[0]) not in self.claims:
                self.claims[base(letter[0])] = family
                self.others[kind] = letter
                return
        raise ValueError(f"no letter is left for {kind[1]}")

    def _index(self, index: str) -> str:
        """Return its own letter, another that is free, or one of them with as many primes as it takes."""
        letters = (index, *INDICES.get(index, ""), *FREE)
        primed = (letter + "'" * count for count in itertools.count() for letter in letters)
        return next(
            letter
            for letter in primed
            if self.claims.setdefault(letter, ("index", index)) == ("index", index)
        )


def _below(text: str) -> str:
    """Return a letter in prose, its number below it: ρ₁."""
    return re.sub(r"(?<=[α-ω])\d", lambda found: found[0].translate(LOWER), text)


_BASE: Final = re.compile(r"\\(?:hat|bar|tilde)\{[^}]*\}|\\[A-Za-z]+|.")


def base(latex: str) -> str:
    """Return the letter of a symbol without what stands above and below it."""
    found = _BASE.match(latex)
    return found.group() if found else ""
