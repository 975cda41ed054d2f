"""Matrix form of a whole batch: the examples are the rows, or the columns, of a matrix.

One rule makes it: a tensor with a row for each example is a matrix with the subscripts (n, k), in columns
(k, n).  The example's index is then a subscript like any other, so that Σ_j W[k,j] A[n,j] is A Wᵀ, in columns
W A; Σ_n Δ[n,k] A[n,j] is Δᵀ A; and what lacks one of two subscripts is spread by ones: b[k] is 𝟏 bᵀ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy
from sympy import Abs, Add, Expr, Indexed, KroneckerDelta, Pow, Symbol

from chainrule.derive.index import Equation, Max, Reduction, name_of
from chainrule.derive.rewrites import LOGISTIC
from chainrule.present.build import arrange, hadamard, is_whole, scalar, textbook
from chainrule.present.matrix import MatrixWriter, NoMatrixForm, softmax_of
from chainrule.present.order import BATCH, output_first, per_example
from chainrule.present.tree import (
    ONES,
    SOFTMAX,
    Applied,
    Bars,
    Dot,
    Exp,
    Hadamard,
    Node,
    Ref,
    Times,
    Transposed,
)


@dataclass(frozen=True)
class BatchWriter(MatrixWriter):
    """Writes an expression with the free indices ``free`` as a scalar, a vector or a matrix.

    ``rows``: examples are rows; ``examples`` are the indices that count them.
    """

    rows: bool = True
    examples: frozenset[Symbol] = frozenset()

    def tree(self, node: Any) -> Node:
        depends = self._free(node) if self.free else ()
        if len(self.free) == 2 and len(depends) == 1:
            return self._spread(depends[0], lambda writer: writer.tree(node))
        return super().tree(node)

    def _spread(self, index: Symbol, write: Callable[[BatchWriter], Node]) -> Node:
        """Return the matrix that repeats a vector along the index it does not have."""
        vector = write(self._within((index,)))
        if index == self.free[0]:
            return dot(vector, Transposed(ONES))
        return dot(ONES, transposed(vector))

    def _within(self, free: tuple[Symbol, ...]) -> BatchWriter:
        return replace(self, free=free)

    def _placed(self, indices: Sequence[Symbol]) -> tuple[Symbol, ...]:
        """Return indices in the order of the page: the example's first in rows, last in columns."""
        return tuple(sorted(indices, key=lambda i: (i in self.examples) != self.rows))

    def access(self, node: Indexed) -> Node:
        of_examples = per_example(node)
        if of_examples and len(node.indices) > 2:
            raise NoMatrixForm
        subscripts = self._placed(node.indices) if of_examples else tuple(node.indices)
        ref = Ref(name_of(node.base), matrix=of_examples and len(subscripts) == 2)
        if subscripts == self.free:
            return ref
        if len(self.free) == 2 and subscripts == self.free[::-1]:
            return Transposed(ref)
        raise NoMatrixForm

    def term(self, node: Expr) -> Node:
        written = self.tree(node)
        if not self.free or self._free(node) or not node.atoms(Indexed):
            return written
        return Times((written, ONES if len(self.free) == 1 else Dot((ONES, Transposed(ONES)))))

    def kronecker(self, left: Expr, right: Expr) -> Node:
        for index, other in ((left, right), (right, left)):
            rest = tuple(i for i in self.free if i != index)
            if index in self.free and index not in self.examples and self._free(other) == rest:
                return self._row_by_row("onehot", self._within(rest).tree(other))
        raise NoMatrixForm

    def _row_by_row(self, called: str, argument: Node) -> Node:
        """Return a function of each example, turned as the free indices ask."""
        if len(self.free) == 2 and self.free != self._placed(self.free):
            argument = transposed(argument) if called == SOFTMAX else argument
            return Transposed(Applied(rf"\operatorname{{{called}}}", called, (argument,)))
        return Applied(rf"\operatorname{{{called}}}", called, (argument,))

    def _softmax(self, over: Sequence[Expr], under: Sequence[Expr]) -> Node | None:
        features = [i for i in self.free if i not in self.examples]
        if len(self.free) != 2 or len(features) != 1:
            return None
        logits = softmax_of(over, under, features[0])
        return None if logits is None else self._row_by_row(SOFTMAX, self.tree(logits))

    def _factors(self, coefficient: sympy.Rational, over: Sequence[Expr], under: Sequence[Expr]) -> Node:
        """Scalars in front; then a product element by element, or an outer product where nothing has both."""
        full = [f for f in (*over, *under) if self._free(f) == self.free]
        if len(self.free) != 2 or (not full and not any(self._free(f) for f in under)):
            return super()._factors(coefficient, over, under)
        scalars = [self.tree(f) for f in over if not self._free(f)]
        rest = [self.tree(f) for f in over if self._free(f)]
        whole = is_whole(coefficient, over, under)
        body = [hadamard(rest)] if rest else []
        return arrange(
            coefficient, [scalar([*scalars, *body])] if whole and body else [*scalars, *body],
            [self.tree(f) for f in under], scalar, whole,
        )  # fmt: skip

    def reduce(self, node: Reduction) -> Node:
        if isinstance(node, Max):
            raise NoMatrixForm
        inner = replace(self, examples=self.examples | {i for i, n in node.axes if n == BATCH})
        return inner.contraction(node.body, inner._placed([i for i, _size in node.axes]))

    def contraction(self, body: Expr, bound: tuple[Symbol, ...]) -> Node:
        """Write Σ over ``bound`` of body; a sum in which a term lacks what is summed over stays whole."""
        if isinstance(body, Add) and not all(set(bound) & term.free_symbols for term in body.args):
            return self._contracted([body], bound)
        return super().contraction(body, bound)

    def _contracted(self, over: Sequence[Expr], bound: tuple[Symbol, ...]) -> Node:
        inside = [f for f in over if set(bound) & f.free_symbols]
        outside = [f for f in over if not set(bound) & f.free_symbols]
        if not inside or any(f.has(KroneckerDelta) for f in inside):
            raise NoMatrixForm
        if outside:
            single = [self.tree(f) for f in outside if not self._free(f)]
            body = [self.tree(f) for f in outside if self._free(f)]
            rest = self._contracted(inside, bound)
            free = {i for f in inside for i in self._free(f)}
            return scalar([*single, hadamard([*body, rest])] if free else [*single, rest, *body])
        depends = tuple(i for i in self.free if any(i in f.free_symbols for f in inside))
        if len(depends) < len(self.free):
            if not depends:
                return self._within(())._contracted(inside, bound)
            return self._spread(depends[0], lambda writer: writer._contracted(inside, bound))
        if not self.free:
            return self._inner(inside, bound)
        if len(bound) != 1 or len(self.free) > 2:
            raise NoMatrixForm
        return self._matrix_product(inside, bound[0])

    def _inner(self, inside: Sequence[Expr], bound: tuple[Symbol, ...]) -> Node:
        """A number: ‖M‖², 𝟏ᵀ (A ⊙ B) 𝟏, uᵀ v."""
        if len(bound) != 2:
            return super()._inner(inside, bound)
        matrix = self._within(bound)
        square = inside[0] if len(inside) == 1 and isinstance(inside[0], Pow) else None
        if square is not None and square.exp == 2:
            return Bars(matrix.tree(output_first(square.base)), norm=True, above="2")
        absolute = [output_first(f.args[0]) if isinstance(f, Abs) else None for f in inside]
        written = [
            Bars(matrix.tree(a)) if a is not None else matrix.tree(f)
            for a, f in zip(absolute, inside, strict=True)
        ]
        return dot(Transposed(ONES), hadamard(written), ONES)

    def _matrix_product(self, inside: Sequence[Expr], bound: Symbol) -> Node:
        """Σ_j A[n,j] W[k,j] is A Wᵀ; a sum of one factor is its product with ones."""
        first, last = self.free[0], self.free[-1]
        left = [f for f in inside if first in f.free_symbols]
        right = [f for f in inside if f not in left]
        if first != last and any(last in f.free_symbols for f in left):
            raise NoMatrixForm
        columns = (bound,) if first == last else (bound, last)
        before = hadamard([self._within((first, bound)).tree(f) for f in left])
        after = hadamard([self._within(columns).tree(f) for f in right]) if right else ONES
        return dot(before, after)


def dot(*nodes: Node) -> Dot:
    """Return a product of matrices without products inside."""
    return Dot(tuple(f for node in nodes for f in (node.factors if isinstance(node, Dot) else (node,))))


def transposed(node: Node) -> Node:
    """Return a transpose, the factors of a product turned one by one."""
    match node:
        case Transposed(body):
            return body
        case Dot(found):
            return Dot(tuple(map(transposed, found[::-1])))
        case Exp(exponent):
            return Exp(transposed(exponent))
        case Hadamard(found) if all(isinstance(f, Ref | Transposed) for f in found):
            return Hadamard(tuple(map(transposed, found)))
        case _:
            return Transposed(node)


def batch_sides(
    equation: Equation, exact: bool, limits: bool, rows: bool, origin: int = 1
) -> tuple[Node, Node]:
    """Return both sides of an equation for a batch.  Raises NoMatrixForm, also where no example is meant."""
    left = equation.left
    if any(not isinstance(i, Symbol) for i in left.indices):
        raise NoMatrixForm
    examples = frozenset(i for i, n in equation.axes if n == BATCH)
    right = equation.right if exact else LOGISTIC.apply(textbook(equation.right))
    plain = BatchWriter(equation.name, limits, origin, rows=rows, examples=examples)
    free = plain._placed(left.indices)
    if len(free) > 2:
        raise NoMatrixForm
    writer = replace(plain, free=free)
    return writer.access(left), writer.tree(right)
