"""The derivation of a network: numbered equations from forward to update, each with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import sympy
from sympy import Add, Expr, Indexed, log

from derive.compact import Compact, compact_gradient
from derive.differentiate import CannotDifferentiate, cotangent, vjp
from derive.index import (
    Equation,
    Reduction,
    Sum,
    Winner,
    access,
    accesses,
    apart,
    canonical_sums,
    name_of,
    reductions,
    tensor,
)
from derive.network import Instance, Layer, Network, build_network
from derive.rewrites import LOG_OF_QUOTIENT, ONE_HOT, STABLE, one_hot_sums, rewrite, stable
from derive.simplify import length, through_output, tidy
from derive.spec.model import Spec
from derive.updates import update_equations

BOUND = ("k", "j", "i", "m", "l")
LOSS = "E"
SEED = access(tensor(cotangent(LOSS)))


@dataclass(frozen=True)
class NumberedEquation:
    """An equation of the derivation.

    ``equation`` is the textbook form, ``computed`` the same in the form that programs compute.  ``role`` is
    definition, forward, loss, backward or update; ``because`` the numbers of the equations it follows from,
    ``rule`` how.  ``mode`` is training or evaluation where the two differ, else both.  ``shown_only`` marks a
    step of the derivation that programs leave out, because a later equation gives its result at once.
    """

    number: int
    role: str
    equation: Equation
    computed: Equation
    because: tuple[int, ...]
    rule: str
    mode: str = "both"
    shown_only: bool = False

    @property
    def name(self) -> str:
        return self.equation.name


@dataclass(frozen=True)
class Derivation:
    """All equations that training a network needs, in the order in which they are computed."""

    network: Network
    equations: tuple[NumberedEquation, ...]

    def role(self, *roles: str) -> tuple[NumberedEquation, ...]:
        return tuple(e for e in self.equations if e.role in roles)

    def forward(self, mode: str) -> tuple[NumberedEquation, ...]:
        """Return the forward equations that are computed in a mode, training or evaluation, in order."""
        return tuple(e for e in self.role("forward") if e.mode in ("both", mode))

    def equation(self, number: int) -> NumberedEquation:
        """Return the equation of that number, from 1."""
        return self.equations[number - 1]


@dataclass(frozen=True)
class Adjoint:
    """A cotangent as an equation of template names, and how it was found."""

    equation: Equation
    rule: str


@cache
def adjoint(template: Equation, name: str) -> Adjoint:
    """Return the cotangent of a tensor that a template reads, in its best form.

    Raises CannotDifferentiate, also where the derivative is zero everywhere: nothing would train.
    """
    raw = vjp(template, name)
    if raw.right == 0:
        raise CannotDifferentiate(
            f"{template}: the derivative with respect to {name} is 0 everywhere, so no gradient passes; "
            "a step can be used forward only"
        )
    found = through_output(template, raw)
    if found is not None and found.right != raw.right:
        return Adjoint(_named(found), "derivative through the output")
    right, used = stable(raw.right)
    right, more = stable(tidy(right))
    rules = dict.fromkeys((*used, *more))
    return Adjoint(_named(Equation(raw.left, right)), ", ".join(("chain rule", *rules)))


@cache
def computed(template: Equation) -> tuple[Equation, tuple[str, ...]]:
    """Return a forward template in its stable form, with the rewrites that gave it."""
    right, used = stable(template.right)
    return _named(Equation(template.left, right)), used


def _adjoint_equation(template: Equation, name: str) -> Equation:
    return adjoint(template, name).equation


def _named(equation: Equation) -> Equation:
    return Equation(equation.left, canonical_sums(equation.right, BOUND, equation.free))


def derive_network(spec: Spec) -> Derivation:
    """Return the derivation of the network that a spec declares.  Raises CannotDifferentiate."""
    network = build_network(spec)
    return Derivation(network, tuple(_Derivation(network).equations()))


class _Derivation:
    """The walk: forward in order, backward in reverse, numbering as it goes."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.numbered: list[NumberedEquation] = []
        self.number_of: dict[str, int] = {}
        self.evaluated: dict[int, int] = {}  # a forward equation in training: the same tensor in evaluation
        self.trained = {p.name for p in network.parameters}
        self.one_hot = tensor("T", *_shape(network)) if network.labels else None
        self.output = network.forward[-1]

    def equations(self) -> list[NumberedEquation]:
        self._forward()
        self._loss()
        self._backward()
        self._update()
        return self.numbered

    def _add(
        self,
        role: str,
        equation: Equation,
        form: Equation,
        because: Iterable[int],
        rule: str,
        mode: str = "both",
        shown_only: bool = False,
    ) -> int:
        number = len(self.numbered) + 1
        numbers = tuple(sorted(set(because)))
        self.numbered.append(NumberedEquation(number, role, equation, form, numbers, rule, mode, shown_only))
        self.number_of.setdefault(equation.name, number)
        return number

    def _reads(self, equation: Equation) -> list[int]:
        return [self.number_of[name] for name in equation.reads() if name in self.number_of]

    def _forward(self) -> None:
        for definition in self.network.definitions:
            self._add("definition", definition.equation, definition.equation, (), "definition")
        for layer in self.network.layers:
            own = layer.evaluation is not None
            self._formulas("forward", layer.instances, "forward formula", "training" if own else "both")
            self._formulas("forward", layer.evaluation or (), "forward formula", "evaluation")

    def _formulas(self, role: str, instances: Iterable[Instance], rule: str, mode: str) -> None:
        for instance in instances:
            form, used = computed(instance.template)
            equation, reason = instance.equation, ", ".join((rule, *used))
            because = self._reads(equation)
            if mode == "evaluation":
                because = [self.evaluated.get(number, number) for number in because]
            number = self._add(role, equation, form.replace(instance.mapping), because, reason, mode)
            if mode == "evaluation":
                self.evaluated[self.number_of[equation.name]] = number

    def _loss(self) -> None:
        terms = [instance.equation for instance in self.network.losses]
        equation = Equation(terms[0].left, Add(*(t.right for t in terms)))
        right, used = self._stable_in_output(terms[0].right)
        right = tidy(self._one_hot(right)) if used else right
        form = Equation(equation.left, Add(right, *(t.right for t in terms[1:])))
        rule = ", ".join(("loss", *used))
        because = [*self._reads(equation), *self._reads(form)]
        self._add("loss", equation, _named(form), because, rule)

    def _one_hot(self, expression: Expr) -> Expr:
        return expression if self.one_hot is None else one_hot_sums(expression, self.one_hot)

    def _stable_in_output(self, expression: Expr) -> tuple[Expr, tuple[str, ...]]:
        """Write logarithms of the network's output in what the output is made from, where that is stabler."""
        base = self.output.equation.left.base
        formula = self.output.equation
        used: list[str] = []

        def exchange(node: Expr) -> Expr:
            if not accesses(node, base):
                return node
            plain = node
            for read in accesses(node, base):
                plain = plain.xreplace({read: formula.at(read.indices)})
            better, names = rewrite(plain, STABLE)
            if better.has(log) and any(a.has(Indexed) and not a.args[0].has(Sum) for a in better.atoms(log)):
                return node
            if not names:
                return node
            used.extend(names)
            return better

        result = expression.replace(lambda e: isinstance(e, log), exchange)
        if not used:
            return stable(expression)
        return rewrite(result, (LOG_OF_QUOTIENT, *STABLE))[0], tuple(dict.fromkeys(used))

    def _backward(self) -> None:
        contributions: dict[str, list[tuple[Equation, str, tuple[int, ...]]]] = {}
        gradients_needed = self._needing_gradients()
        for instance in self.network.losses:
            self._contribute(instance, contributions, gradients_needed)
        waiting = Counter(name for i in self.network.forward for _, name in self._local_reads(i))
        for layer in reversed(self.network.layers):
            compact = compact_gradient(tuple(i.template for i in layer.instances), _adjoint_equation)
            for instance in reversed(layer.instances):
                waiting.subtract(name for _, name in self._local_reads(instance))
                total = self._collect(contributions.pop(instance.output, []))
                if total is None:
                    continue
                equation, rule, because = total
                reads = [name for name in self._local_reads(instance) if name[1] in gradients_needed]
                if len(reads) == 1:
                    merged = self._merge(equation, instance, reads[0][0])
                    if merged is not None:
                        right, merged_rule = merged
                        origin = (*because, *self._reads(instance.equation), self.number_of[instance.output])
                        self._put(contributions, reads[0][1], (right, f"{rule}, {merged_rule}", origin))
                        continue
                shown_only = compact is not None and cotangent(instance.template.name) in compact.replaced
                self._add("backward", equation, equation, because, _rule(rule), shown_only=shown_only)
                self._contribute(instance, contributions, gradients_needed)
                self._finish_parameters(instance, contributions, waiting)
            if compact is not None:
                self._shorten(layer, compact, contributions)
        total = self._collect(contributions.pop("x", []))
        if total is not None:
            equation, rule, because = total
            self._add("backward", equation, equation, because, _rule(rule))

    def _shorten(
        self,
        layer: Layer,
        compact: Compact,
        contributions: dict[str, list[tuple[Equation, str, tuple[int, ...]]]],
    ) -> None:
        """Show the cotangent of a layer's input as the chain rule gives it, go on with its compact form."""
        bases = {base: b for instance in layer.instances for base, b in instance.bases.items()}
        whole = Instance(compact.equation, bases, layer.instances[0].sizes)
        equation = self._instantiate(compact.equation, whole)
        total = self._collect(contributions.pop(equation.name.removeprefix("d"), []))
        if total is None:
            return
        long, rule, because = total
        number = self._add("backward", long, long, because, _rule(rule), shown_only=True)
        del self.number_of[long.name]  # what reads it reads the compact form
        entry = (equation, compact.rule, (number, *self._reads(equation)))
        self._put(contributions, equation.name.removeprefix("d"), entry)

    def _finish_parameters(
        self,
        instance: Instance,
        contributions: dict[str, list[tuple[Equation, str, tuple[int, ...]]]],
        waiting: Counter[str],
    ) -> None:
        """Give the gradients of parameters that no equation before this one reads: they are complete."""
        for _, name in self._local_reads(instance):
            if name in self.trained and not waiting[name]:
                total = self._collect(contributions.pop(name))
                if total is not None:
                    equation, rule, because = total
                    self._add("backward", equation, equation, because, _rule(rule))

    def _needing_gradients(self) -> set[str]:
        """Tensors on the way from the input or a parameter to the loss."""
        return {"x", *self.trained, *(i.output for i in self.network.forward)}

    def _local_reads(self, instance: Instance) -> list[tuple[str, str]]:
        """Return the tensors an instance reads, as (local name, network name): weights first, then biases."""
        reads = [(local, name_of(instance.bases[base])) for local, base in instance.template.reads().items()]
        return sorted(reads, key=lambda pair: (pair[1] not in self.trained, pair[0]))

    def _contribute(
        self,
        instance: Instance,
        contributions: dict[str, list[tuple[Equation, str, tuple[int, ...]]]],
        wanted: set[str],
    ) -> None:
        for local, name in self._local_reads(instance):
            if name not in wanted:
                continue
            found = self._adjoint(instance, local)
            equation = self._instantiate(found.equation, instance)
            equation = Equation(equation.left, equation.right.xreplace({SEED: sympy.S.One}))
            origin = (*self._reads(equation), *([self.number_of[LOSS]] if instance.output == LOSS else ()))
            self._put(contributions, name, (equation, found.rule, origin))

    def _adjoint(self, instance: Instance, local: str) -> Adjoint:
        """Return the adjoint of an instance; an error names the equation as the derivation shows it."""
        try:
            return adjoint(instance.template, local)
        except CannotDifferentiate as error:
            from derive.present.text import index_text

            shown = f"equation ({self.number_of[instance.output]}), {index_text(instance.equation)}"
            why = str(error).removeprefix(f"{instance.template}: ")
            name = name_of(instance.bases[instance.template.reads()[local]])
            why = why.replace(f"with respect to {local} ", f"with respect to {name} ")
            raise CannotDifferentiate(f"{shown}: {why}") from None

    @staticmethod
    def _put(
        contributions: dict[str, list[tuple[Equation, str, tuple[int, ...]]]],
        name: str,
        entry: tuple[Equation, str, tuple[int, ...]],
    ) -> None:
        contributions.setdefault(name, []).append(entry)

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
            return _named(Equation(left, right)), found.rule
        if reductions(seed.right):
            return None
        exchange = {read: seed.at(read.indices) for read in reads}
        before = tidy(right.xreplace(exchange))
        right = tidy(self._one_hot(before))
        if length(right) > length(target.right) + length(seed.right):
            return None
        rule = f"{found.rule}, {ONE_HOT}" if right != before else found.rule
        return _named(Equation(target.left, right)), rule

    def _tidy_product(self, right: Expr) -> Expr:
        simple = tidy(right)
        if simple.has(log):
            simple = self._stable_in_output(simple)[0]
        return simple

    @staticmethod
    def _collect(
        entries: list[tuple[Equation, str, tuple[int, ...]]],
    ) -> tuple[Equation, str, tuple[int, ...]] | None:
        """Add the cotangents that reach a tensor from every equation that reads it."""
        if not entries:
            return None
        entries = sorted(entries, key=lambda e: -len(reductions(e[0].right)))
        first = entries[0][0]
        terms = [first.right, *(e.at(first.free) for e, _, _ in entries[1:])]
        rule = ", ".join(dict.fromkeys(r for _, r, _ in entries))
        because = tuple(b for _, _, numbers in entries for b in numbers)
        return _named(Equation(first.left, Add(*terms))), rule, because

    def _update(self) -> None:
        options = self.network.spec.optimizer
        for parameter in self.network.parameters:
            if cotangent(parameter.name) not in self.number_of:
                raise CannotDifferentiate(
                    f"the loss does not depend on {parameter.name}: a formula after it is constant"
                )
        gradients = {self.number_of[cotangent(p.name)] for p in self.network.parameters}
        self._formulas("update", self.network.running, "running statistics", "training")
        count = self.network.parameter_count
        for update in update_equations(options.type, count, options.schedule, options.options):
            equation = update.equation
            names = {*equation.reads(), *(symbol.name for symbol in equation.right.free_symbols)}
            because = {self.number_of[name] for name in names if name in self.number_of}
            if "g" in names and "kappa" not in names:
                because |= gradients
            self._add("update", equation, equation, because, update.rule)


def _stays_inside(read: Indexed, equation: Equation, right: Expr) -> bool:
    """Whether every subscript is an index that runs over just the axis that it reads."""
    bound = [axis for node in right.atoms(Reduction, Winner) for axis in node.axes]
    sizes = {i: n for i, n in (*equation.axes, *bound)}
    return all(sizes.get(i) == n for i, n in zip(read.indices, read.base.shape, strict=True))


def _outside_reductions(expression: Expr) -> Expr:
    return expression.xreplace({r: sympy.S.One for r in reductions(expression)})


def _rule(text: str) -> str:
    return ", ".join(dict.fromkeys(text.split(", ")))


def _shape(network: Network) -> tuple[Expr, ...]:
    return tuple(network.definitions[0].equation.left.base.shape)
