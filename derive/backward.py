"""The chain rule, walked backwards over the equations of a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from functools import lru_cache, partial

import sympy
from sympy import Add, Expr, Indexed, log

from chainrule.derive.accurate import accurate
from chainrule.derive.adjoint import NO_GRADIENT, Adjoint, NoGradient, adjoint, flat, named
from chainrule.derive.compact import Compact, compact_gradient
from chainrule.derive.differentiate import CannotDifferentiate
from chainrule.derive.index import (
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
from chainrule.derive.layers.layer import features
from chainrule.derive.network import Instance, Layer, N, Network, n
from chainrule.derive.numbering import Book
from chainrule.derive.output import Output
from chainrule.derive.patterns import instantiated
from chainrule.derive.prose import listed
from chainrule.derive.replay import Cotangent, Parts, Replay
from chainrule.derive.rewrites import ONE_HOT
from chainrule.derive.simplify import length, tidy

LOSS = "E"
SEED = access(tensor(cotangent(LOSS)))


class Backward:
    """The walk from the loss to the input and the parameters; ``book`` holds the equations forward."""

    def __init__(self, network: Network, book: Book, output: Output) -> None:
        self.network = network
        self.book = book
        self.output = output
        self.trained = {p.name for p in network.parameters}
        self.wanted = self._wanted()
        self.named = set(output.equation.tensors)
        self.waiting = Counter(name for i in network.forward for _, name in self._local_reads(i))
        self.parts: Parts = {}

    def walk(self) -> None:
        """Write down the cotangents of all that leads to the loss, each gradient as soon as it is whole.

        Raises CannotDifferentiate: for a parameter that no gradient reaches, and for what would be lost.
        """
        for instance in self.network.losses:
            self._contribute(instance)
        replay = Replay(self.book, self.parts, self._known)
        for layer in reversed(self.network.layers):
            replay.step(layer.instances, partial(self._layer, layer))
            self.waiting.subtract(name for i in layer.instances for _, name in self._local_reads(i))
        self._finish(self.trained)  # what the loss alone reads
        self._add(self._collect("x") or self._nothing())
        self._require_all()

    def _layer(self, layer: Layer) -> None:
        """Write down the cotangents of what a layer computes, and give on what they give to what it reads."""
        compact = compact_gradient(tuple(i.template for i in layer.instances))
        replaced = compact.replaced if compact is not None else frozenset()
        shortened = set(compact.equation.read) if compact is not None else set()
        later = {name: len(parts) for name, parts in self.parts.items()}
        waiting = Counter(self.waiting)
        for instance in reversed(layer.instances):
            waiting.subtract(name for _, name in self._local_reads(instance))
            found = self._collect(instance.output)
            local = cotangent(instance.template.name)
            if found is not None and (local in shortened or not self._passed_on(found, instance)):
                self._add(found, shown_only=local in replaced)
                self._contribute(instance)
            self._finish(name for _, name in self._local_reads(instance) if not waiting[name])
        if compact is not None:
            self._shorten(layer, compact, later)

    def _known(self, name: str) -> Hashable:
        """Return what a layer's step depends on of a tensor; its name, where there is no other like it."""
        own = name if name in self.named or not any(map(str.isdigit, name)) else None
        return own, name in self.trained, name in self.wanted, self.waiting[name]

    def _add(self, found: Cotangent, shown_only: bool = False) -> int:
        equation, (form, used) = found.equation, accurate(found.equation)
        because, rule = (*found.of, *self.book.reads(equation)), listed(found.rule, *used)
        return self.book.add("backward", equation, form, because, rule, shown_only=shown_only)

    # ---- What a cotangent reaches ----------------------------------------------------------------

    def _wanted(self) -> set[str]:
        """Return what needs a cotangent: the input, the parameters, and by what they act on the loss.

        Where a derivative is 0 everywhere, as that of a step, they do not.
        """
        leading = {name for i in self.network.losses for _, name in self._local_reads(i)}
        for instance in reversed(self.network.forward):
            if instance.output in leading:
                leading |= {name for _, name in self._local_reads(instance)}
        wanted = {"x", *self.trained}
        for instance in self.network.forward:
            reads = [local for local, name in self._local_reads(instance) if name in wanted]
            if instance.output in leading and any(self._passes(instance, local) for local in reads):
                wanted.add(instance.output)
        return wanted

    def _passes(self, instance: Instance, local: str) -> bool:
        """Whether a gradient passes from the output of an instance to what it reads."""
        try:
            self._adjoint(instance, local)
        except NoGradient:
            return False
        return True

    def _reached(self, instance: Instance) -> list[tuple[str, str]]:
        """Return what a gradient passes on to from an instance, as (local name, network name)."""
        reads = [(local, name) for local, name in self._local_reads(instance) if name in self.wanted]
        return [(local, name) for local, name in reads if self._passes(instance, local)]

    def _passed_on(self, found: Cotangent, instance: Instance) -> bool:
        """Whether a cotangent needs no line: it goes into that of the one tensor which the instance reads."""
        reads = self._reached(instance)
        merged = self._merge(found, instance, reads[0][0]) if len(reads) == 1 else None
        if merged is None:
            return False
        self._put(reads[0][1], merged)
        return True

    def _shorten(self, layer: Layer, compact: Compact, later: Mapping[str, int]) -> None:
        """Go on with the compact form of what a layer gives its input, beside what ``later`` layers gave."""
        names = {local: name for instance in layer.instances for local, name in instance.names.items()}
        whole = Instance(compact.equation, names, layer.instances[0].sizes)
        equation = self._instantiate(compact.equation, whole)
        name = str(primal(equation.name))
        parts = self.parts.get(name, [])
        own = parts[later.get(name, 0) :]
        if own:
            names |= _cotangents(names)
            used = (*compact.identities, *compact.replaced)
            numbers = (
                self.book.number_of.get(names[each]) for each in used
            )  # some have no line of their own
            put_in = tuple(sorted(number for number in numbers if number is not None))
            short = Cotangent(equation, compact.rule, put_in, long=_total(own))
            self.parts[name] = [*parts[: len(parts) - len(own)], short]

    def _finish(self, names: Iterable[str]) -> None:
        """Give the gradients of parameters that are complete."""
        for name in dict.fromkeys(names):
            total = self._collect(name) if name in self.trained else None
            if total is not None:
                self._add(total)

    def _nothing(self) -> Cotangent:
        """Return the cotangent of an input that the loss does not depend on, or only in steps."""
        shape = self.network.spec.input_shape
        indices, _sizes = features(len(shape))
        left = access(tensor(cotangent("x"), N, *shape), n, *indices)
        return Cotangent(Equation(left, sympy.S.Zero), NO_GRADIENT, ())

    def _require_all(self) -> None:
        """Raise CannotDifferentiate for what was not collected, and for a parameter without a gradient."""
        for name, parts in self.parts.items():
            lost = "which is not defined before it: what it gives to the gradient would be lost"
            raise CannotDifferentiate(f"it reads {name}, {lost}").of(*self._numbered(parts[0].of[-1]))
        for parameter in self.network.parameters:
            if cotangent(parameter.name) not in self.book.number_of:
                raise self._why_not(parameter.name)

    def _why_not(self, parameter: str) -> CannotDifferentiate:
        """Return why no gradient reaches a parameter: what stands in the way."""
        leading = {parameter}
        for instance in (*self.network.forward, *self.network.losses):
            for local, name in self._local_reads(instance):
                if name in leading:
                    try:
                        self._adjoint(instance, local)
                    except NoGradient as error:
                        why = f"{error.why}, and {parameter} would not train"
                        return CannotDifferentiate(why, error.expression, error.equation, error.number)
                    leading.add(instance.output)
        return CannotDifferentiate(f"the loss does not depend on {parameter}: a formula after it is constant")

    # ---- One equation ----------------------------------------------------------------------------

    def _local_reads(self, instance: Instance) -> list[tuple[str, str]]:
        """Return the tensors an instance reads, as (local name, network name): weights first, then biases."""
        reads = [(local, instance.names[local]) for local in instance.template.read]
        return sorted(reads, key=lambda pair: (pair[1] not in self.trained, pair[0]))

    def _contribute(self, instance: Instance) -> None:
        """Find the cotangents of what an instance reads, from that of its output."""
        number = self.book.number_of[instance.output]
        for local, name in self._reached(instance):
            found = self._adjoint(instance, local)
            equation = self._instantiate(_of_loss(found.equation), instance)
            self._put(name, Cotangent(equation, found.rule, (number,)))

    def _adjoint(self, instance: Instance, local: str) -> Adjoint:
        """Return the adjoint of an instance; an error has the equation and the names of the derivation."""
        try:
            return adjoint(instance.template, local)
        except NoGradient:
            why = flat(instance.names[local])
            error: CannotDifferentiate = NoGradient(why)
        except CannotDifferentiate as found:
            error = found
        raise error.of(*self._numbered(self.book.number_of[instance.output]))

    def _numbered(self, number: int) -> tuple[Equation, int]:
        return self.book.equations[number - 1].equation, number

    def _put(self, name: str, part: Cotangent) -> None:
        self.parts.setdefault(name, []).append(part)

    def _instantiate(self, equation: Equation, instance: Instance) -> Equation:
        return instantiated(equation, {**instance.names, **_cotangents(instance.names)}, instance.sizes)

    def _merge(self, whole: Cotangent, instance: Instance, local: str) -> Cotangent | None:
        """Put a cotangent's equation into the adjoint that alone reads it; None where that does not pay."""
        seed, found = whole.equation, self._adjoint(instance, local)
        of = (*whole.of, self.book.number_of[instance.output])
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
            return Cotangent(named(Equation(left, right)), listed(whole.rule, found.rule), of)
        if reductions(seed.right):
            return None
        exchange = {read: seed.at(read.indices) for read in reads}
        before = tidy(right.xreplace(exchange))
        right = tidy(self.output.one_hot(before))
        if length(right) > length(target.right) + length(seed.right):
            return None
        rule = listed(whole.rule, found.rule, *([ONE_HOT] if right != before else []))
        return Cotangent(named(Equation(target.left, right)), rule, of)

    def _tidy_product(self, right: Expr) -> Expr:
        simple = tidy(right)
        if simple.has(log):
            simple = self.output.stable(simple)[0]
        return simple

    def _collect(self, name: str) -> Cotangent | None:
        """Add the cotangents that reach a tensor from every equation that reads it.

        Where one of them has a long form, the sum is shown with that first, and goes on with the compact one.
        """
        parts = self.parts.pop(name, [])
        if not parts:
            return None
        found = _total(parts)
        if not any(part.long for part in parts):
            return found
        number = self._add(_total([part.long or part for part in parts]), shown_only=True)
        del self.book.number_of[cotangent(name)]  # what reads it reads the compact form
        return Cotangent(found.equation, found.rule, (number, *found.of))


def _cotangents(names: Mapping[str, str]) -> dict[str, str]:
    return {cotangent(local): cotangent(name) for local, name in names.items()}


@lru_cache(maxsize=1024)
def _of_loss(equation: Equation) -> Equation:
    """Return an adjoint with ∂E/∂E = 1."""
    if name_of(SEED.base) not in equation.read:
        return equation
    return Equation(equation.left, equation.right.xreplace({SEED: sympy.S.One}))


def _total(parts: list[Cotangent]) -> Cotangent:
    """Return the sum of what reaches one tensor, sums over an index first."""
    first, *rest = sorted(parts, key=lambda part: -len(reductions(part.equation.right)))
    left = first.equation.left
    terms = [first.equation.right, *(part.equation.at(left.indices) for part in rest)]
    rule = listed(first.rule, *(part.rule for part in rest))
    return Cotangent(named(Equation(left, Add(*terms))), rule, tuple(n for part in parts for n in part.of))


def _stays_inside(read: Indexed, equation: Equation, right: Expr) -> bool:
    """Whether every subscript is an index that runs over just the axis that it reads."""
    bound = [axis for node in right.atoms(Reduction, Winner) for axis in node.axes]
    sizes = {i: n for i, n in (*equation.axes, *bound)}
    return all(sizes.get(i) == n for i, n in zip(read.indices, read.base.shape, strict=True))


def _outside_reductions(expression: Expr) -> Expr:
    return expression.xreplace({r: sympy.S.One for r in reductions(expression)})
