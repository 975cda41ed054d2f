"""What the output of a network is made from, and what is known of its targets: for a stable loss."""

from __future__ import annotations

from sympy import Expr, Indexed, log

from derive.index import Sum, accesses
from derive.network import Network
from derive.rewrites import LOG_OF_QUOTIENT, STABLE, one_hot_sums, rewrite, stable


class Output:
    """The output of a network as its last equation gives it, and its targets."""

    def __init__(self, network: Network) -> None:
        self.equation = network.forward[-1].equation
        self.targets = network.definitions[0].equation.left.base if network.labels else None

    def one_hot(self, expression: Expr) -> Expr:
        """Apply Σ t = 1 where the targets are one-hot."""
        return expression if self.targets is None else one_hot_sums(expression, self.targets)

    def stable(self, expression: Expr) -> tuple[Expr, tuple[str, ...]]:
        """Write logarithms of the network's output in what the output is made from, where that is stabler."""
        base = self.equation.left.base
        formula = self.equation
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
