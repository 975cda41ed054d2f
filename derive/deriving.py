"""The derivation of a network: numbered equations from forward to update, each with its reason."""

from __future__ import annotations

from collections.abc import Iterable

from sympy import Add

from chainrule.derive.accurate import accurate
from chainrule.derive.adjoint import computed, named
from chainrule.derive.backward import Backward
from chainrule.derive.derivation import Derivation
from chainrule.derive.differentiate import CannotDifferentiate
from chainrule.derive.index import Equation, cotangent
from chainrule.derive.model import Spec
from chainrule.derive.network import Instance, Network, build_network
from chainrule.derive.numbering import Book
from chainrule.derive.output import Output
from chainrule.derive.patterns import instantiated
from chainrule.derive.prose import _, listed
from chainrule.derive.simplify import tidy
from chainrule.derive.updates import update_equations
from chainrule.formula.turns import in_turn


@in_turn
def derive_forward(network: Network) -> Derivation:
    """Return the derivation as far as the loss: nothing is differentiated."""
    book = Book()
    _forward(network, book)
    _loss(network, book, Output(network))
    return Derivation(network, tuple(book.equations))


@in_turn
def derive_network(spec: Spec) -> Derivation:
    """Return the derivation of the network that a spec declares.  Raises CannotDifferentiate."""
    network = build_network(spec)
    book, output = Book(), Output(network)
    _forward(network, book)
    _loss(network, book, output)
    Backward(network, book, output).walk()
    _update(network, book)
    return Derivation(network, tuple(book.equations))


def _forward(network: Network, book: Book) -> None:
    for definition in network.definitions:
        book.add("definition", definition.equation, definition.equation, (), _("definition"))
    for layer in network.layers:
        mode = "both" if layer.evaluation is None else "training"
        _formulas(network, book, "forward", layer.instances, _("forward formula"), mode)
        _formulas(network, book, "forward", layer.evaluation or (), _("forward formula"), "evaluation")


def _formulas(
    network: Network, book: Book, role: str, instances: Iterable[Instance], rule: str, mode: str
) -> None:
    for instance in instances:
        template, (form, used) = instance.template, computed(instance.template)
        equation, reason = instance.equation, listed(rule, *used)
        _require_defined(network, book, equation)
        runs = equation if form is template else instantiated(form, instance.names, instance.sizes)
        book.add(role, equation, runs, book.reads(equation, mode), reason, mode)


def _require_defined(network: Network, book: Book, equation: Equation) -> None:
    """Raise CannotDifferentiate for an equation that reads what none before it defines."""
    for name in equation.read:
        if name not in book.number_of and name not in network.given:
            why = (
                "which it defines itself: a recurrence has no derivation yet"
                if name == equation.name
                else "which no equation before it defines: equations stand in the order of their computation"
            )
            number = len(book.equations) + 1
            raise CannotDifferentiate(f"it reads {name}, {why}", equation=equation, number=number)


def _loss(network: Network, book: Book, output: Output) -> None:
    terms = [instance.equation for instance in network.losses]
    equation = Equation(terms[0].left, Add(*(t.right for t in terms)))
    right, used = output.stable(terms[0].right)
    right = tidy(output.one_hot(right)) if used else right
    form, more = accurate(Equation(equation.left, Add(right, *(t.right for t in terms[1:]))))
    because = sorted({*book.reads(equation), *book.reads(form)})
    book.add("loss", equation, named(form), because, listed(_("loss"), *used, *more))


def _update(network: Network, book: Book) -> None:
    options = network.spec.optimizer
    gradients = {book.number_of[cotangent(p.name)] for p in network.parameters}
    _formulas(network, book, "update", network.running, _("running statistics"), "training")
    count = network.parameter_count
    for update in update_equations(options.type, count, options.schedule, options.options):
        equation = update.equation
        names = {*equation.read, *(symbol.name for symbol in equation.right.free_symbols)}
        because = {book.number_of[name] for name in names if name in book.number_of}
        if "g" in names and "kappa" not in names:
            because |= gradients
        book.add("update", equation, equation, sorted(because), update.rule)
