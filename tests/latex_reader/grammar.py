"""From tokens to a tree, by precedence: relation, sum, ⊙, product, power."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from chainrule.present import tree as t
from latex_reader.names import Names, taken_group, taken_letter
from latex_reader.tokens import CannotRead

RELATIONS = {
    "=": "=", "<": "<", ">": ">", r"\le": "≤", r"\ge": "≥", r"\ne": "≠", r"\leftarrow": "←", r"\sim": "∼",
    r"\approx": "≈", r"\to": "→",
    ":": ":",
}  # fmt: skip
BARE = {
    r"\log", r"\sin", r"\cos", r"\tan", r"\sinh", r"\cosh", r"\tanh", r"\exp", r"\max", r"\min", r"\sigma",
}  # fmt: skip
BIG = {r"\sum": "sum", r"\prod": "prod", r"\max": "max", r"\operatorname*{argmax}": "argmax"}
OPEN = ("max", "argmax", "lim")
CLOSING = {")", "]", "}", r"\rvert", r"\rVert", r"\rangle", r"\rfloor", r"\rceil", r"\end", r"\\", "&"}
JOINED = {r"\land": "∧", r"\lor": "∨"}
ENDS = {*CLOSING, *RELATIONS, *JOINED, "+", "-", ",", r"\odot", r"\star", r"\ast", r"\underset", "/", r"\tag"}
WORDS = r"\text{"


@dataclass
class Reader:
    """Reads one formula."""

    found: list[str]
    names: Names
    place: int = 0
    open_at: int = field(default=-1, init=False)  # where a max ended whose reach nothing closes

    def peek(self) -> str:
        return self.found[self.place] if self.place < len(self.found) else ""

    def take(self, *wanted: str) -> bool:
        if self.peek() in wanted and self.place < len(self.found):
            self.place += 1
            return True
        return False

    def need(self, token: str) -> None:
        if not self.take(token):
            raise CannotRead(f"{token} expected at {' '.join(self.found[self.place :])[:60]!r}")

    def group(self) -> list[str]:
        inside, self.place = taken_group(self.found, self.place)
        return inside

    def inner(self, tokens: list[str]) -> t.Node:
        """Read tokens that stand in braces of their own."""
        reader = Reader(tokens, self.names)
        node = reader.relation()
        if reader.place != len(tokens):
            raise CannotRead(f"{' '.join(tokens[reader.place :])!r} is left over")
        return node

    # ---- relations, sums, products -------------------------------------------------------------------------

    def relation(self) -> t.Node:
        node = self.sum()
        while self.peek() in RELATIONS:
            operator = RELATIONS[self.found[self.place]]
            self.place += 1
            node = t.Related(operator, node, self.sum())
        if self.peek() not in JOINED:
            return node
        conditions, joined = [node], self.peek()
        while self.take(joined):
            conditions.append(self.relation())
        if self.peek() in JOINED:
            raise CannotRead("∧ and ∨ without brackets")
        return t.Joined(JOINED[joined], tuple(conditions))

    def sum(self) -> t.Node:
        negative = self.take("-")
        terms = [(negative, self.term())]
        while self.peek() in ("+", "-"):
            if self.open_at == self.place:
                raise CannotRead("how far does a max reach that stands before a + or −?")
            negative = self.found[self.place] == "-"
            self.place += 1
            terms.append((negative, self.term()))
        return t.Plus(tuple(terms)) if len(terms) > 1 or terms[0][0] else terms[0][1]

    def term(self) -> t.Node:
        factors = [self.product()]
        while self.peek() in (r"\odot", r"\star", r"\ast", r"\underset"):
            if self.take(r"\odot"):
                factors.append(self.product())
            else:
                factors.append(self.slid(factors.pop()))
        return factors[0] if len(factors) == 1 else t.Hadamard(tuple(factors))

    def slid(self, kernel: t.Node) -> t.Node:
        note = "".join(self.group()) if self.take(r"\underset") else ""
        sign = "".join(self.group()) if note else self.found[self.place]
        self.place += 0 if note else 1
        return t.Slid(kernel, self.product(), sign == r"\ast", note)

    def product(self) -> t.Node:
        factors: list[t.Node] = []
        while self.peek() and self.peek() not in ENDS and not (factors and self.peek().startswith(WORDS)):
            if self.take(r"\cdot") and not factors:
                raise CannotRead("a · with nothing before it")
            factor, is_last = self.factor()
            factors.append(factor)
            if self.take("/"):
                below, _ = self.factor()
                factors = [t.Over(_product(factors), below)]
            if is_last and self.peek() and self.peek() not in ENDS:
                raise CannotRead(f"what does the function before {self.peek()!r} take?")
        if not factors:
            raise CannotRead(f"nothing to multiply at {' '.join(self.found[self.place :])[:60]!r}")
        return _product(factors)

    # ---- factors -------------------------------------------------------------------------------------------

    def factor(self) -> tuple[t.Node, bool]:
        """Return a factor, and whether nothing may follow it in its product."""
        sign = self.peek()
        if sign == "-":
            raise CannotRead("a − within a product")
        big = self.big()
        if big is not None:
            return big, True
        if sign in BARE or sign.startswith((r"\operatorname", r"\mathrm")) or sign in self.names.functions:
            found = self.function()
            if found is not None:
                return found
        atom = self.atom()
        while self.peek() in ("^", "_"):
            if self.take("_"):
                self.group()
                raise CannotRead("a subscript of what is no letter")
            self.place += 1
            atom = _raised(self, atom, self.group())
        return atom, False

    def big(self) -> t.Node | None:
        start = self.place
        letter, after = taken_letter(self.found, self.place) if self.peek() else ("", 0)
        if letter == r"\lim":
            self.place = after + 1
            to = self.inner(self.group())
            assert isinstance(to, t.Related)
            return self._reaching("lim", t.Limit(to.left, to.right, self.term()))
        if letter not in BIG or after >= len(self.found) or self.found[after] != "_":
            return None
        self.place = after + 1
        lower, upper = self.group(), self.group() if self.take("^") else []
        operator = BIG[letter]
        if not lower:
            self.place = start
            return None
        return self._reaching(operator, t.Big(operator, ranges(lower, upper), self.term()))

    def _reaching(self, operator: str, node: t.Node) -> t.Node:
        if operator in OPEN:
            self.open_at = self.place
        return node

    def function(self) -> tuple[t.Node, bool] | None:
        start = self.place
        called, self.place = taken_letter(self.found, self.place)
        if called == r"\log" and self.take(r"\cosh"):
            called = r"\log\cosh"
        if called in self.names.functions and self.peek() != "(":
            self.place = start
            return None
        power = self.group() if self.take("^") else []
        if power == ["-", "1"]:
            called, power = f"{called}^{{-1}}", []
        if self.take("("):
            node: t.Node = _applied(called, self.arguments(")"))
            if power:
                node = t.Raised(node, self.inner(power))
            while self.take("^"):
                node = _raised(self, node, self.group())
            return node, False
        if called.startswith((r"\operatorname", r"\mathrm")):
            self.place = start
            return None
        if called in (r"\sigma", *self.names.functions) or power:
            self.place = start
            return None
        argument, _ = self.factor()
        return _applied(called, (argument,)), True

    def arguments(self, closing: str) -> tuple[t.Node, ...]:
        found = [self.relation()]
        while self.take(","):
            found.append(self.relation())
        self.need(closing)
        return tuple(found)

    def atom(self) -> t.Node:
        sign = self.peek()
        if sign[0].isdigit():
            self.place += 1
            if self.peek()[:1].isdigit():
                raise CannotRead(f"{sign} and {self.peek()} stand side by side")
            return t.Leaf(sign, sign)
        if self.take("("):
            found = self.arguments(")")
            return found[0] if len(found) == 1 else t.Applied("", "", found)
        if self.take("["):
            return t.Iverson(self.arguments("]"))
        if sign in (r"\lvert", r"\lVert"):
            return self.bars(sign == r"\lVert")
        if self.take(r"\langle"):
            return t.Applied(sign, sign, self.arguments(r"\rangle"))
        if self.take(r"\lfloor", r"\lceil"):
            body = self.sum()
            end = self.peek()
            self.need(end if end in (r"\rfloor", r"\rceil") else r"\rfloor")
            return t.Rounded(body, ("⌊" if sign == r"\lfloor" else "⌈") + ("⌋" if end == r"\rfloor" else "⌉"))
        if self.take(r"\frac"):
            return self.fraction(self.group(), self.group())
        if self.take(r"\sqrt"):
            return t.Root(self.inner(self.group()))
        if self.take("√"):  # of a text: of the letter or the parentheses behind it
            return t.Root(self.atom())
        if self.take(r"\begin"):
            return self.environment("".join(self.group()))
        if sign.startswith(r"\text{"):
            self.place += 1
            return t.Words(sign[6:-1])
        if sign in (r"\cdots", r"\ldots", r"\dots", r"\vdots"):
            self.place += 1
            return t.Leaf(sign, sign)
        if sign == "e" and self.found[self.place + 1 : self.place + 2] == ["^"]:
            self.place += 2
            return t.Exp(self.inner(self.group()))
        return self.name()

    def bars(self, norm: bool) -> t.Node:
        self.place += 1
        body = self.relation()
        self.need(r"\rVert" if norm else r"\rvert")
        below = "".join(self.group()) if self.take("_") else ""
        above = ""
        if norm and self.peek() == "^":
            self.place += 1
            above = "".join(self.group())
        return t.Bars(body, norm, above, below)

    def fraction(self, above: list[str], below: list[str]) -> t.Node:
        d = above[:1]
        if d not in ([r"\partial"], ["d"]) or below[:1] != d:
            return t.Over(self.inner(above), self.inner(below))
        if above == [r"\partial", "E"]:
            inside = Reader(below[1:], self.names)
            with contextlib.suppress(CannotRead):
                node = inside.name(self.names.gradients)
                if inside.place == len(below) - 1 and isinstance(node, t.Ref):
                    return node
        if above[1:2] == ["^"]:
            _order, start = taken_group(above, 2)
            by, further = self.twice(below, d)
            return t.Slope(self.inner(above[start:]), by, d == ["d"], further)
        return t.Slope(self.inner(above[1:]), self.inner(below[1:]), d == ["d"])

    def twice(self, below: list[str], d: list[str]) -> tuple[t.Node, tuple[t.Node, ...]]:
        """Read ∂w² or ∂w ∂b: by what, and by what further."""
        parts = " ".join(below[1:]).split(f" {d[0]} ")
        first, *further = (self.inner(part.split()) for part in parts)
        if isinstance(first, t.Raised):
            return first.base, (first.base,)
        return first, tuple(further)

    def environment(self, kind: str) -> t.Node:
        rows: list[list[t.Node]] = [[]]
        while not self.take(r"\end"):
            if self.take(r"\\"):
                if self.take("["):
                    while not self.take("]"):
                        self.place += 1
                rows.append([])
            elif not self.take("&"):
                rows[-1] += self.cell()
        self.group()
        if kind == "bmatrix":
            return t.Matrix(tuple(map(tuple, rows)))
        branches = []
        for value, *found in rows:
            branches.append((value, found[0] if found else None))
        return t.ByCase(tuple(branches))

    def cell(self) -> list[t.Node]:
        """Read a cell without its words: "if", "otherwise"."""
        found: list[t.Node] = []
        while self.peek() not in ("&", r"\\", r"\end"):
            if self.peek().startswith(r"\text{"):
                self.place += 1
            else:
                found.append(self.relation())
        return found

    # ---- names ---------------------------------------------------------------------------------------------

    def name(self, table: dict[tuple[str, str, str], t.Ref] | None = None) -> t.Node:
        """Read a letter with what stands above and below it: a layer or a power, subscripts or an example."""
        if not self.peek() or self.peek() in ENDS:
            raise CannotRead(f"a letter expected at {' '.join(self.found[self.place :])[:60]!r}")
        tensors = self.names.tensors if table is None else table
        letter, self.place = taken_letter(self.found, self.place)
        scripts: dict[str, list[str]] = {}
        while self.peek() in ("^", "_") and self.peek() not in scripts:
            mark = self.found[self.place]
            self.place += 1
            scripts[mark] = self.group()
        upper, lower = scripts.get("^", []), scripts.get("_", [])
        turned = upper[-1:] == [r"\top"]
        upper = upper[:-1] if turned else upper
        above, below = "".join(upper), "".join(lower)
        node: t.Node
        for key in ((letter, above, below), (letter, above, ""), (letter, "", below), (letter, "", "")):
            if key in tensors:
                subs = [] if key[2] else lower
                ref = tensors[key]
                if self.names.matrix and subs:
                    node = t.Ref(ref.symbol, mark="".join(subs), matrix=ref.matrix)
                else:
                    node = t.Ref(ref.symbol, self.subscripts(subs, self.names.rank(ref)), matrix=ref.matrix)
                node = _raised(self, node, upper) if upper and not key[1] else node
                break
            if key in self.names.letters or (not any(key[1:]) and not lower):
                node = t.Leaf(f"{letter}^{{{key[1]}}}" if key[1] else letter + _below(key[2]), "")
                node = _raised(self, node, upper) if upper and not key[1] else node
                break
        else:
            if letter == r"\delta" and len(lower) == 2 and not upper:
                return t.Kronecker(t.Leaf(lower[0], ""), t.Leaf(lower[1], ""))
            raise CannotRead(f"{letter} with {above!r} above and {below!r} below is no name of this page")
        return t.Transposed(node) if turned else node

    def subscripts(self, tokens: list[str], rank: int = 0) -> tuple[t.Node, ...]:
        """Read subscripts: letters and digits side by side are one each, unless a vector has just one."""
        letters = "".join(tokens)
        if not letters or (letters.isdigit() and rank == 1):
            return (t.Leaf(letters, letters),) if letters else ()
        if letters.isalnum() and all(len(each) == 1 or each.isdigit() for each in tokens):
            return tuple(t.Leaf(letter, letter) for letter in letters)
        return Reader([*tokens, ")"], self.names).arguments(")")


def _below(lower: str) -> str:
    return f"_{{{lower}}}" if lower else ""


def _product(factors: list[t.Node]) -> t.Node:
    return factors[0] if len(factors) == 1 else t.Dot(tuple(factors))


def _raised(reader: Reader, base: t.Node, power: list[str]) -> t.Node:
    if power == [r"\top"]:
        return t.Transposed(base)
    return t.Raised(base, reader.inner(power))


def _applied(called: str, arguments: tuple[t.Node, ...]) -> t.Node:
    if called == r"\exp":
        return t.Exp(arguments[0])
    if called == r"\operatorname{where}":
        condition, value, otherwise = arguments
        return t.ByCase(((value, condition), (otherwise, None)))
    return t.Applied(called, called, arguments)


def ranges(lower: list[str], upper: list[str]) -> tuple[tuple[str, str], ...]:
    """Return the indices below a Σ or max with their sizes as they are printed: "" where they are not."""
    if "=" in lower:
        index, _equals, first = lower
        return ((index, f"{first}..{''.join(upper)}"),)
    if r"\le" in lower:
        found: list[tuple[str, str]] = []
        text = "".join(lower)
        for part in text.split(r"0\le")[1:]:
            indices, _, last = part.rstrip(",").partition("<")
            found += [(index, f"<{last}") for index in indices.split(",")]
        return tuple(found)
    return tuple((index, "") for index in "".join(lower).split(","))


def read(tokens: list[str], names: Names) -> tuple[t.Node, str, t.Node]:
    """Return left side, relation and right side; a chain's last relation is that of the whole."""
    reader = Reader(tokens, names)
    node = reader.relation()
    if reader.place != len(tokens):
        raise CannotRead(f"{' '.join(tokens[reader.place :])!r} is left over")
    if not isinstance(node, t.Related):
        raise CannotRead("no relation")
    return node.left, node.operator, node.right
