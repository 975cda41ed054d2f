"""Matrix form, read off the subscripts: per example, columns as vectors, the example's index left out.

Nothing here knows a layer: Σ_j W[k,j] a[j] is W a, Σ_k W[k,j] δ[k] is Wᵀ δ, δ[k] a[j] is δ aᵀ, and what
shares all its subscripts is multiplied element by element.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy
from sympy import Abs, Add, Expr, Indexed, KroneckerDelta, Mul, Pow, Symbol, exp

from chainrule.derive.index import Equation, Inside, Max, Reduction, Sum, Winner, name_of, same_up_to_names
from chainrule.derive.rewrites import LOGISTIC
from chainrule.present.build import Writer, arrange, hadamard, is_whole, scalar, textbook
from chainrule.present.order import BATCH, factors, output_first, per_example, terms
from chainrule.present.tree import (
    ONES,
    SOFTMAX,
    Applied,
    Bars,
    Big,
    Dot,
    Hadamard,
    Node,
    Plus,
    Raised,
    Ref,
    Slid,
    Times,
    Transposed,
)
from chainrule.present.windows import slide


class NoMatrixForm(Exception):
    """The equation has subscripts that matrices and vectors do not express."""


@dataclass(frozen=True)
class MatrixWriter(Writer):
    """Writes an expression with the free indices ``free`` as a scalar, vector, matrix or tensor.

    ``marked``: examples are told apart (a sum runs over them), so that tensors carry their index;
    ``sizes`` gives the extent of each index, for the place of an element in a flattened tensor.
    """

    free: tuple[Symbol, ...] = ()
    example: Symbol | None = None
    marked: bool = False
    sizes: tuple[tuple[Symbol, Expr], ...] = ()

    def tree(self, node: Any) -> Node:
        if not self.free:
            return super().tree(node)
        depends = self._free(node)
        if not depends:
            return self.within(()).tree(node)
        if isinstance(node, Mul | Pow) and not isinstance(node, exp):
            return self.product(node)
        if depends != self.free:
            raise NoMatrixForm
        return super().tree(node)

    def within(self, free: tuple[Symbol, ...]) -> MatrixWriter:
        return replace(self, free=free)

    def _free(self, node: Expr) -> tuple[Symbol, ...]:
        symbols = node.free_symbols
        return tuple(i for i in self.free if i in symbols)

    def term(self, node: Expr) -> Node:
        channels = len(self.free) > 1 and self.example is not None
        if channels and isinstance(node, Indexed) and tuple(node.indices) == self.free[-1:]:
            return Ref(name_of(node.base))  # a bias of every channel, the same at all places
        written = self.tree(node)
        if self.free and not self._free(node) and node.atoms(Indexed):
            return Times((written, ONES))
        return written

    def access(self, node: Indexed) -> Node:
        subscripts = tuple(node.indices)
        ref = Ref(name_of(node.base), (), self._mark(node))
        subscripts = subscripts[1:] if per_example(node) else subscripts
        if subscripts == self.free:
            return ref
        if len(self.free) == 2 and subscripts == self.free[::-1]:
            return Transposed(ref)
        if len(subscripts) == 1 and len(self.free) > 1 and self._is_place(subscripts[0], self.free):
            return Applied(r"\operatorname{vec}^{-1}", "vec⁻¹", (ref,))
        raise NoMatrixForm

    def _is_place(self, subscript: Expr, indices: Sequence[Symbol]) -> bool:
        """Whether a subscript counts the elements in rows, the last index fastest."""
        sizes = dict(self.sizes)
        place: Expr = sympy.S.Zero
        for index in indices:
            place = place * sizes[index] + index
        return bool(sympy.expand(place - subscript) == 0)

    def kronecker(self, left: Expr, right: Expr) -> Node:
        if len(self.free) == 1 and left == self.free[0] and left not in right.free_symbols:
            return Applied(r"\operatorname{onehot}", "onehot", (self.within(()).tree(right),))
        raise NoMatrixForm

    def special(self, node: Any) -> Node:
        if isinstance(node, Inside | Winner):
            raise NoMatrixForm
        return super().special(node)

    def product(self, node: Expr) -> Node:
        if isinstance(node, Pow) and not node.exp.could_extract_minus_sign():
            return self._power(node)
        found = factors(node)
        if found.over == (node,):  # a power whose exponent may be of either sign
            return self._power(node)
        written = self._softmax(found.over, found.under)
        if written is None or found.coefficient != 1:
            written = self._factors(found.coefficient, found.over, found.under)
        return Plus(((True, written),)) if found.negative else written

    def _factors(self, coefficient: sympy.Rational, over: Sequence[Expr], under: Sequence[Expr]) -> Node:
        """Scalars in front, then what depends on all free indices, or an outer product."""
        under_nodes = [self.tree(f) for f in under]
        scalars = [self.tree(f) for f in over if not self._free(f)]
        rest = [f for f in over if self._free(f)]
        outer = len(self.free) == 2 and rest and not all(self._free(f) == self.free for f in rest)
        if outer and any(self._free(f) for f in under):
            raise NoMatrixForm
        body = [self._outer(rest)] if outer else [self.tree(f) for f in rest]
        join = scalar if not self.free else hadamard
        whole = is_whole(coefficient, over, under)
        if not scalars or not body:
            return arrange(coefficient, scalars or body, under_nodes, scalar if scalars else join, whole)
        if whole:
            return arrange(coefficient, [scalar([*scalars, join(body)])], under_nodes, scalar, whole)
        return arrange(coefficient, [*scalars, join(body)], under_nodes, scalar, whole)

    def _outer(self, found: Sequence[Expr]) -> Node:
        """δ[k] a[j] is δ aᵀ."""
        first, second = self.free
        rows = [f for f in found if self._free(f) == (first,)]
        columns = [f for f in found if self._free(f) == (second,)]
        if len(rows) + len(columns) != len(found) or not rows or not columns:
            raise NoMatrixForm
        left = hadamard([self.within((first,)).tree(f) for f in rows])
        right = hadamard([self.within((second,)).tree(f) for f in columns])
        return Dot((left, Transposed(right)))

    def _power(self, node: Pow) -> Node:
        if not self.free or not isinstance(node.exp, sympy.Integer):
            return self.power(node)
        base = self.tree(node.base)
        if node.exp == 2:
            return Hadamard((base, base)) if isinstance(base, Ref) else Raised(base, self.tree(node.exp))
        if self._free(node.exp):
            raise NoMatrixForm
        return Raised(base, self.tree(node.exp))

    def _softmax(self, over: Sequence[Expr], under: Sequence[Expr]) -> Node | None:
        logits = softmax_of(over, under, self.free[0]) if len(self.free) == 1 else None
        return None if logits is None else Applied(r"\operatorname{softmax}", SOFTMAX, (self.tree(logits),))

    def reduce(self, node: Reduction) -> Node:
        examples = [i for i, n in node.axes if n == BATCH]
        axes = tuple((i, n) for i, n in node.axes if n != BATCH)
        inner = replace(self, sizes=(*self.sizes, *axes))
        bound = tuple(i for i, _ in axes)
        if isinstance(node, Max):
            if examples or self.free:
                raise NoMatrixForm
            return Applied(r"\max", "max", (inner.within(bound).tree(node.body),), bare=True)
        body = inner.contraction(node.body, bound) if bound else inner.tree(node.body)
        if not examples:
            return body
        return Big(
            "sum", tuple((str(i), "N" if self.limits else "") for i in examples), body, (), self.origin
        )

    def contraction(self, body: Expr, bound: tuple[Symbol, ...]) -> Node:
        """Write Σ over ``bound`` of body."""
        if isinstance(body, Add):
            written = []
            for term in terms(body, self.own):
                negative = factors(term).negative
                written.append((negative, self.contraction(-term if negative else term, bound)))
            return Plus(tuple(written))
        found = factors(body)
        if any(set(bound) & f.free_symbols for f in found.under):
            raise NoMatrixForm
        inner = self._contracted(found.over, bound)
        result = arrange(found.coefficient, [inner], [self.tree(f) for f in found.under], scalar, False)
        return Plus(((True, result),)) if found.negative else result

    def _contracted(self, over: Sequence[Expr], bound: tuple[Symbol, ...]) -> Node:
        inside = [f for f in over if set(bound) & f.free_symbols]
        outside = [f for f in over if not set(bound) & f.free_symbols]
        if not inside:
            raise NoMatrixForm
        if outside:
            single = [self.tree(f) for f in outside if not self._free(f)]
            body = [self.tree(f) for f in outside if self._free(f)]
            return scalar([*single, hadamard([*body, self._contracted(inside, bound)])])
        flat = self._flattened(inside, bound) or self._slid(inside, bound)
        if flat is not None:
            return flat
        if not self.free:
            return self._inner(inside, bound)
        if len(bound) != 1 or len(self.free) > 2:
            raise NoMatrixForm
        return self._matrix_product(inside, bound[0])

    def _flattened(self, inside: Sequence[Expr], bound: tuple[Symbol, ...]) -> Node | None:
        """Σ over all indices of [k = place] x[…] is vec(x)."""
        deltas = [f for f in inside if isinstance(f, KroneckerDelta)]
        others = [f for f in inside if not isinstance(f, KroneckerDelta)]
        if not deltas:
            return None
        if len(deltas) != 1 or len(self.free) != 1 or not others:
            raise NoMatrixForm
        left, right = deltas[0].args
        if self.free[0] not in (left, right) or not self._is_place(left + right - self.free[0], bound):
            raise NoMatrixForm
        body = hadamard([self.within(bound).tree(f) for f in others])
        return Applied(r"\operatorname{vec}", "vec", (body,))

    def _slid(self, inside: Sequence[Expr], bound: tuple[Symbol, ...]) -> Node | None:
        """Σ W[k,u,c] x[i + u, c] is W ⋆ x."""
        found = slide(inside, self.free, bound)
        if found is None:
            return None
        kernel, source = (Ref(name_of(a.base), (), self._mark(a)) for a in (found.kernel, found.input))
        return Slid(Transposed(kernel) if found.transposed else kernel, source, found.turned, found.note)

    def _mark(self, node: Indexed) -> str:
        """Return the example's index of a tensor, where examples are told apart."""
        if not per_example(node):
            return ""
        row = node.indices[0]
        if not isinstance(row, Symbol) or not (self.marked or row == self.example):
            raise NoMatrixForm
        return str(row) if self.marked else ""

    def _inner(self, inside: Sequence[Expr], bound: tuple[Symbol, ...]) -> Node:
        """A number: ‖u‖², ‖u‖₁, uᵀ v, fᵀ M g."""
        if len(inside) == 1:
            (factor,) = inside
            if isinstance(factor, Pow) and factor.exp == 2:
                return Bars(self.within(bound).tree(output_first(factor.base)), norm=True, above="2")
            if isinstance(factor, Abs):
                return Bars(self.within(bound).tree(output_first(factor.args[0])), norm=True, below="1")
            if len(bound) == 1:
                return Dot((Transposed(ONES), self.within(bound).tree(factor)))
            raise NoMatrixForm
        if len(bound) == 1:
            vector = self.within(bound)
            return Dot((Transposed(vector.tree(inside[0])), hadamard([vector.tree(f) for f in inside[1:]])))
        raise NoMatrixForm

    def _matrix_product(self, inside: Sequence[Expr], bound: Symbol) -> Node:
        """Σ_j M[k,j] v[j] is M v; Σ_m A[k,m] B[m,j] is A B."""
        first, last = self.free[0], self.free[-1]
        left = [f for f in inside if first in f.free_symbols and bound in f.free_symbols]
        right = [f for f in inside if f not in left]
        if len(self.free) == 2:
            if any(last in f.free_symbols for f in left) or not all(last in f.free_symbols for f in right):
                raise NoMatrixForm
            columns: tuple[Symbol, ...] = (bound, last)
        else:
            columns = (bound,)
        if not left:
            raise NoMatrixForm
        matrix = hadamard([self.within((first, bound)).tree(f) for f in left])
        vector = hadamard([self.within(columns).tree(f) for f in right]) if right else ONES
        return Dot((*(matrix.factors if isinstance(matrix, Dot) else (matrix,)), vector))


def softmax_of(over: Sequence[Expr], under: Sequence[Expr], feature: Symbol) -> Expr | None:
    """Return z[k] of exp(z[k]) / Σ_j exp(z[j]), k the feature; None for another quotient."""
    if len(over) != 1 or len(under) != 1:
        return None
    (top,), (bottom,) = over, under
    if not isinstance(top, exp) or not isinstance(bottom, Sum) or len(bottom.axes) != 1:
        return None
    here = bottom.body.xreplace({bottom.bound[0]: feature})
    return top.args[0] if same_up_to_names(here) == same_up_to_names(top) else None


def matrix_sides(
    equation: Equation, exact: bool = False, limits: bool = False, origin: int = 1
) -> tuple[Node, Node]:
    """Return both sides of an equation in matrix form.  Raises NoMatrixForm."""
    left = equation.left
    if any(not isinstance(i, Symbol) for i in left.indices):
        raise NoMatrixForm
    example = left.indices[0] if per_example(left) else None
    free = tuple(left.indices)[1 if example is not None else 0 :]
    right = equation.right if exact else LOGISTIC.apply(textbook(equation.right))
    marked = any(n == BATCH for r in right.atoms(Reduction) for _, n in r.axes)
    sizes = tuple((i, n) for i, n in equation.axes)
    writer = MatrixWriter(equation.name, limits, origin, free, example, marked, sizes)
    body = writer.tree(right)
    mark = str(example) if marked and example is not None else ""
    return Ref(equation.name, (), mark), body


__all__ = ["MatrixWriter", "NoMatrixForm", "matrix_sides", "softmax_of"]
