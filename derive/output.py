"""What the output of a network is made from, and what is known of its targets: for a stable loss."""

from __future__ import annotations

from sympy import Expr, Indexed, cosh, exp, log, sinh, tanh

from chainrule.derive.index import Max, Sum, accesses
from chainrule.derive.network import Network
from chainrule.derive.rewrites import LOG_OF_QUOTIENT, LOG_SUM, STABLE, one_hot_sums, rewrite, stable
from chainrule.derive.scaling import logarithm

GROWING = (exp, sinh, cosh, tanh)  # what logarithms take the edge off


class Output:
    """The output of a network as its last equation gives it, and its targets."""

    def __init__(self, network: Network) -> None:
        self.equation = network.forward[-1].equation
        self.acts_alone = not self.equation.right.has(Sum, Max) and self.equation.right.has(*GROWING)
        self.noisy = any(noise.name in self.equation.reads() for noise in network.noise)
        self.targets = network.definitions[0].equation.left.base if network.labels else None

    def one_hot(self, expression: Expr) -> Expr:
        """Apply Σ t = 1 where the targets are one-hot."""
        return expression if self.targets is None else one_hot_sums(expression, self.targets)

    def stable(self, expression: Expr) -> tuple[Expr, tuple[str, ...]]:
        """Write logarithms of the network's output in what the output is made from, where that is stabler.

        Noise is drawn where the output is computed, and stands in no loss.
        """
        if self.noisy:
            return stable(expression)
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
            if self.acts_alone and (_has_plain_log(better) or not names):
                better = logarithm(plain.args[0]) if isinstance(plain, log) else plain
                names = (LOG_SUM.name,) if better != plain or not better.has(log) else ()
            if _has_plain_log(better) or not names:
                return node
            used.extend(names)
            return better

        result = expression.replace(lambda e: isinstance(e, log), exchange)
        if not used:
            return stable(expression)
        return rewrite(result, (LOG_OF_QUOTIENT, *STABLE))[0], tuple(dict.fromkeys(used))


def _has_plain_log(expression: Expr) -> bool:
    """Whether a logarithm is left that no named function has taken, and that is not of a sum over an axis."""
    return any(a.has(Indexed) and not a.args[0].has(Sum) for a in expression.atoms(log))
