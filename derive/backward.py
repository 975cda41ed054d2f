"""The chain rule, walked backwards over the equations of a network."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import sympy
from sympy import Add, Expr, Indexed, log

from derive.adjoint import NO_GRADIENT, Adjoint, NoGradient, adjoint, adjoint_equation, named
from derive.compact import Compact, compact_gradient
from derive.differentiate import CannotDifferentiate
from derive.index import (
    Equation,
    Reduction,
    Winner,
    access,
    accesses,
    apart,
    cotangent,
    name_of,
    primal,
    reductions,
    tensor,
)
from derive.network import Instance, Layer, Network
from derive.numbering import Book
from derive.output import Output
from derive.prose import listed
from derive.rewrites import ONE_HOT
from derive.simplify import length, tidy

LOSS = "E"
SEED = access(tensor(cotangent(LOSS)))


@dataclass(frozen=True)
class Cotangent:
    """What reaches a tensor from an equation that reads it, or all that reaches it."""

    equation: Equation
    rule: str
    because: tuple[int, ...]


class Backward:
    """The walk from the loss to the input and the parameters; ``book`` holds the equations forward."""

    def __init__(self, network: Network, book: Book, output: Output) -> None:
        self.network = network
        self.book = book
        self.output = output
        self.trained = {p.name for p in network.parameters}
        self.wanted = self._wanted()
        self.waiting = Counter(name for i in network.forward for _, name in self._local_reads(i))
        self.parts: dict[str, list[Cotangent]] = {}

    def walk(self) -> None:
        """Write down the cotangents of all that leads to the loss, each gradient as soon as it is whole."""
        for instance in self.network.losses:
            self._contribute(instance)
        for layer in reversed(self.network.layers):
            compact = compact_gradient(tuple(i.template for i in layer.instances), adjoint_equation)
            replaced = compact.replaced if compact is not None else frozenset()
            for instance in reversed(layer.instances):
                self.waiting.subtract(name for _, name in self._local_reads(instance))
                found = self._collect(instance.output)
                if found is None or self._passed_on(found, instance):
                    continue
                self._add(found, shown_only=cotangent(instance.template.name) in replaced)
                self._contribute(instance)
                self._finish_parameters(instance)
            if compact is not None:
                self._shorten(layer, compact)
        self._add(self._collect("x") or self._nothing())

    def _add(self, found: Cotangent, shown_only: bool = False) -> int:
        equation = found.equation
        return self.book.add("backward", equation, equation, found.because, found.rule, shown_only=shown_only)

    def _nothing(self) -> Cotangent:
        """Return the cotangent of an input that the loss does not depend on, almost everywhere."""
        instance = self.network.forward[0]
        left = access(tensor(cotangent("x"), *instance.equation.left.base.shape), *instance.equation.free)
        return Cotangent(Equation(left, sympy.S.Zero), listed(NO_GRADIENT), ())

    def _passed_on(self, found: Cotangent, instance: Instance) -> bool:
        """Whether a cotangent needs no line: it goes into that of the one tensor which the instance reads."""
        reads = [(local, name) for local, name in self._local_reads(instance) if name in self.wanted]
        merged = self._merge(found.equation, instance, reads[0][0]) if len(reads) == 1 else None
        if merged is None:
            return False
        equation, rule = merged
        because = (
            *found.because,
            *self.book.reads(instance.equation),
            self.book.number_of[instance.output],
        )
        self._put(reads[0][1], Cotangent(equation, listed(found.rule, rule), because))
        return True

    def _shorten(self, layer: Layer, compact: Compact) -> None:
        """Show the cotangent of a layer's input as the chain rule gives it, go on with its compact form."""
        bases = {base: b for instance in layer.instances for base, b in instance.bases.items()}
        whole = Instance(compact.equation, bases, layer.instances[0].sizes)
        equation = self._instantiate(compact.equation, whole)
        name = str(primal(equation.name))
        long = self._collect(name)
        if long is None:
            return
        number = self._add(long, shown_only=True)
        del self.book.number_of[equation.name]  # what reads it reads the compact form
        self._put(name, Cotangent(equation, compact.rule, (number, *self.book.reads(equation))))

    def _finish_parameters(self, instance: Instance) -> None:
        """Give the gradients of parameters that no equation before this one reads: they are complete."""
        for _, name in self._local_reads(instance):
            if name in self.trained and not self.waiting[name]:
                total = self._collect(name)
                if total is not None:
                    self._add(total)

    def _wanted(self) -> set[str]:
        """Return what needs a cotangent: parameters and what they lead to, the input and what it acts on.

        Behind a step at the front the input acts on nothing: its gradient is 0 there, and trains nothing.
        """
        leading, wanted = set(self.trained), {"x", *self.trained}
        for instance in self.network.forward:
            reads = self._local_reads(instance)
            if any(name in leading for _, name in reads):
                leading.add(instance.output)
            elif not any(name in wanted and self._passes(instance, local) for local, name in reads):
                continue
            wanted.add(instance.output)
        return wanted

    def _passes(self, instance: Instance, local: str) -> bool:
        """Whether a gradient passes from the output of an instance to what it reads."""
        try:
            self._adjoint(instance, local)
        except NoGradient:
            return False
        return True

    def _local_reads(self, instance: Instance) -> list[tuple[str, str]]:
        """Return the tensors an instance reads, as (local name, network name): weights first, then biases."""
        reads = [(local, name_of(instance.bases[base])) for local, base in instance.template.reads().items()]
        return sorted(reads, key=lambda pair: (pair[1] not in self.trained, pair[0]))

    def _contribute(self, instance: Instance) -> None:
        """Find the cotangents of what an instance reads, from that of its output."""
        for local, name in self._local_reads(instance):
            if name not in self.wanted:
                continue
            found = self._adjoint(instance, local)
            equation = self._instantiate(found.equation, instance)
            equation = Equation(equation.left, equation.right.xreplace({SEED: sympy.S.One}))
            loss = [self.book.number_of[LOSS]] if instance.output == LOSS else []
            self._put(name, Cotangent(equation, found.rule, (*self.book.reads(equation), *loss)))

    def _adjoint(self, instance: Instance, local: str) -> Adjoint:
        """Return the adjoint of an instance; an error names the equation as the derivation shows it."""
        try:
            return adjoint(instance.template, local)
        except CannotDifferentiate as error:
            from derive.present.text import index_text

            shown = f"equation ({self.book.number_of[instance.output]}), {index_text(instance.equation)}"
            why = str(error).removeprefix(f"{instance.template}: ")
            name = name_of(instance.bases[instance.template.reads()[local]])
            why = why.replace(f"with respect to {local} ", f"with respect to {name} ")
            raise type(error)(f"{shown}: {why}") from None

    def _put(self, name: str, part: Cotangent) -> None:
        self.parts.setdefault(name, []).append(part)

    def _instantiate(self, equation: Equation, instance: Instance) -> Equation:
        mapping = dict(instance.mapping)
        for base in (equation.left.base, *equation.reads().values()):
            if base not in mapping:  # a cotangent: named after the tensor it belongs to
                origin = {cotangent(name_of(b)): target for b, target in instance.bases.items()}[
                    name_of(base)
                ]
                mapping[base] = tensor(cotangent(name_of(origin)), *origin.shape)
        return equation.replace(mapping)

    def _merge(self, seed: Equation, instance: Instance, local: str) -> tuple[Equation, str] | None:
        """Put a cotangent's equation into the adjoint that alone reads it; None where that does not pay."""
        found = self._adjoint(instance, local)
        target = self._instantiate(found.equation, instance)
        base = seed.left.base
        right = apart(target.right)
        reads = accesses(right, base)
        if not all(_stays_inside(read, target, right) for read in reads):
            return None  # outside its box a cotangent is 0, and its formula need not be
        if any(not i.is_Symbol for a in accesses(_outside_reductions(seed.right)) for i in a.indices):
            return None  # a reshape is a view by itself, a gather inside a map
        if len(reads) == 1 and reads[0].indices == target.free:
            right = target.at(seed.free).xreplace({access(base, *seed.free): seed.right})
            if not reductions(seed.right):
                right = self._tidy_product(right)
            left = access(target.left.base, *seed.free)
            return named(Equation(left, right)), found.rule
        if reductions(seed.right):
            return None
        exchange = {read: seed.at(read.indices) for read in reads}
        before = tidy(right.xreplace(exchange))
        right = tidy(self.output.one_hot(before))
        if length(right) > length(target.right) + length(seed.right):
            return None
        rule = listed(found.rule, ONE_HOT) if right != before else found.rule
        return named(Equation(target.left, right)), rule

    def _tidy_product(self, right: Expr) -> Expr:
        simple = tidy(right)
        if simple.has(log):
            simple = self.output.stable(simple)[0]
        return simple

    def _collect(self, name: str) -> Cotangent | None:
        """Add the cotangents that reach a tensor from every equation that reads it."""
        parts = self.parts.pop(name, [])
        if not parts:
            return None
        parts.sort(key=lambda part: -len(reductions(part.equation.right)))
        left = parts[0].equation.left
        terms = [parts[0].equation.right, *(part.equation.at(left.indices) for part in parts[1:])]
        rule = listed(*(part.rule for part in parts))
        because = tuple(number for part in parts for number in part.because)
        return Cotangent(named(Equation(left, Add(*terms))), rule, because)


def _stays_inside(read: Indexed, equation: Equation, right: Expr) -> bool:
    """Whether every subscript is an index that runs over just the axis that it reads."""
    bound = [axis for node in right.atoms(Reduction, Winner) for axis in node.axes]
    sizes = {i: n for i, n in (*equation.axes, *bound)}
    return all(sizes.get(i) == n for i, n in zip(read.indices, read.base.shape, strict=True))


def _outside_reductions(expression: Expr) -> Expr:
    return expression.xreplace({r: sympy.S.One for r in reductions(expression)})
