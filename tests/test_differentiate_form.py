"""The form of a derivative, and what has none: an error, never a silent zero."""

from __future__ import annotations

import pytest
import sympy
from equations import check_vjp
from plain_layers import O_, C, K, M, N, P, Q, U, V, c, conv2d, draws, i, j, k, n, normalized, o, u, v
from sympy import Expr, KroneckerDelta, Piecewise, exp, log

from chainrule.derive.adjoint import adjoint
from chainrule.derive.differentiate import CannotDifferentiate, contract, local_terms, vjp
from chainrule.derive.index import (
    Equation,
    Inside,
    Max,
    Sum,
    Winner,
    access,
    canonical_sums,
    index,
    same_up_to_names,
    tensor,
)
from chainrule.derive.layers.dense import AFFINE
from chainrule.derive.layers.softmax import SOFTMAX

random = draws(3)


# ---- the form ----------------------------------------------------------------------------------------------


def text(equation: Equation) -> str:
    return str(equation)


def test_dense_gradients_read_as_in_the_textbook() -> None:
    assert text(vjp(AFFINE, "W")) == "d W[k, j] = sum_n(d z[n, k]*x[n, j])"
    assert text(vjp(AFFINE, "x")) == "d x[n, j] = sum_k(W[k, j]*d z[n, k])"
    assert text(vjp(AFFINE, "b")) == "d b[k] = sum_n(d z[n, k])"


@pytest.mark.parametrize("padding", [(0, 0), (1, 2), (3, 0)])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
def test_the_input_gradient_of_a_convolution_of_stride_1(
    padding: tuple[int, int], dilation: tuple[int, int]
) -> None:
    """The flipped kernel, over the kernel's axes and the output channels; no guard, no delta."""
    found = vjp(conv2d((1, 1), dilation, padding), "a")
    assert not found.right.has(Inside, KroneckerDelta)
    p, q = found.free[1:3]
    w, dz = tensor("w", O_, U, V, C), tensor("d z", N, P, Q, O_)
    row, column = p - dilation[0] * u + padding[0], q - dilation[1] * v + padding[1]
    body = w[o, u, v, c] * dz[n, row, column, o]
    flipped = Sum(body, (o, O_), (u, U), (v, V))
    assert isinstance(found.right, Sum)
    assert {extent for _, extent in found.right.axes} == {O_, U, V}
    by_size = {extent: symbol for symbol, extent in found.right.axes}
    renamed = found.right.body.xreplace({by_size[O_]: o, by_size[U]: u, by_size[V]: v, found.free[3]: c})
    assert renamed == flipped.body


def test_the_kernel_gradient_of_a_convolution() -> None:
    found = vjp(conv2d((2, 2), (1, 1), (1, 1)), "w")
    assert not found.right.has(Inside, KroneckerDelta)
    assert {extent for _, extent in found.right.axes} == {N, P, Q}


def test_a_strided_convolution_keeps_no_delta_unless_it_is_dilated_too() -> None:
    assert not vjp(conv2d((2, 2), (1, 1), (0, 0)), "a").right.has(KroneckerDelta)
    assert not vjp(conv2d((1, 1), (2, 2), (0, 0)), "a").right.has(KroneckerDelta)
    assert vjp(conv2d((2, 2), (2, 2), (0, 0)), "a").right.has(KroneckerDelta)


def test_sizes_stay_symbolic_and_nothing_is_left_over() -> None:
    found = vjp(conv2d((2, 1), (1, 2), (1, 0)), "a")
    symbols = found.right.free_symbols - set(found.free)
    assert not any(isinstance(s, sympy.Dummy) for s in symbols)
    assert {str(s) for s in found.left.base.shape} == {"N", "H", "W", "C"}
    assert {name for name in found.reads()} == {"w", "d z"}


@pytest.mark.parametrize("template", [AFFINE, SOFTMAX, conv2d((2, 1), (1, 2), (1, 0)), normalized(True)])
def test_the_cost_does_not_depend_on_sizes(template: Equation) -> None:
    """The equation for concrete sizes is that for symbols with the sizes put in, however large they are."""
    symbols = sorted({s for base in template.reads().values() for s in base.shape}, key=str)
    for extent in (3, 1_000_003):
        exchange = {s: sympy.Integer(extent + place) for place, s in enumerate(symbols)}
        shapes = {
            base: tensor(str(base.label), *(s.xreplace(exchange) for s in base.shape))
            for base in (template.left.base, *template.reads().values())
        }
        concrete = template.replace({**exchange, **shapes})
        for name in template.reads():
            operations = vjp(template, name).right.count_ops()
            assert abs(vjp(concrete, name).right.count_ops() - operations) <= 4  # a/N is (1/3) a for N = 3


def test_derivatives_are_found_once() -> None:
    before = vjp.cache_info()
    first = vjp(AFFINE, "W")
    again = vjp(Equation(AFFINE.left, AFFINE.right), "W")
    after = vjp.cache_info()
    assert first is again and after.misses - before.misses <= 1


def test_contract_solves_each_delta_and_keeps_ranges() -> None:
    w = sympy.Dummy("w", integer=True)
    x = tensor("x", K)
    plain = contract(x[i], (i,), (w,), (K,), ((sympy.Tuple(i, K)),))
    assert plain == x[w]
    guarded = contract(sympy.Integer(1), (i + 2,), (w,), (K,), (sympy.Tuple(i, M),))
    assert guarded == Inside(w - 2, M)
    kept = contract(x[i], (2 * i,), (w,), (K,), (sympy.Tuple(i, K),))
    assert kept.has(KroneckerDelta) and isinstance(kept, Sum)


def test_local_terms_are_one_a_read() -> None:
    x = tensor("x", K)
    assert len(local_terms(x[k] * x[k + 1], x)) == 2
    assert len(local_terms(exp(x[k]) / Sum(exp(x[j]), (j, K)), x)) == 2
    assert local_terms(tensor("y", K)[k], x) == []
    (term,) = local_terms(Max(x[j], (j, K)), x)
    assert term.coefficient.has(Winner)


def test_canonical_names() -> None:
    x = tensor("x", K)
    first = Sum(x[i] * Sum(x[j], (j, K)), (i, K))
    second = Sum(x[u] * Sum(x[v], (v, K)), (u, K))
    assert same_up_to_names(first) == same_up_to_names(second)
    named = canonical_sums(Sum(x[k] * x[i], (k, K)), ("p",), (k, i))
    assert named == Sum(x[index("p")] * x[i], (index("p"), K))


# ---- never a silent zero -----------------------------------------------------------------------------------


X = tensor("x", K)
Y = tensor("y", K)
UNKNOWN = sympy.Function("f")
REFUSED: dict[str, Expr] = {
    "frac": sympy.frac(X[k]),
    "Heaviside": sympy.Heaviside(X[k]),
    "DiracDelta": sympy.DiracDelta(X[k]),
    "f": UNKNOWN(X[k]),
    "gamma": sympy.gamma(X[k]),
    "Mod": sympy.Mod(X[k], 2),
    "Max": sympy.Max(0, X[k]),
    "Min": sympy.Min(0, X[k]),
    "Determinant": sympy.Determinant(sympy.ImmutableMatrix([[X[k]]])),
    "Integral": sympy.Integral(X[k], (sympy.Symbol("w"), 0, 1)),
    "Derivative": sympy.Derivative(UNKNOWN(X[k]), X[k]),
    "KroneckerDelta": KroneckerDelta(X[k], 1),
    "Greater": X[k] > 0,
    "Equality": sympy.Eq(X[k], 1),
    "Indexed": tensor("A", K)[X[k]],
    "Winner": Winner(X[k], (k,), (k, K)),
    "inside a sum": Sum(exp(sympy.gamma(X[j])), (j, K)),
    "inside a condition's branch": Piecewise((sympy.gamma(X[k]), X[k] > 0), (X[k], True)),
    "beside a good term": X[k] + sympy.gamma(X[k]),
    "times zero slope": sympy.gamma(X[k]) * 2,
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_differentiated_is_an_error(name: str) -> None:
    equation = Equation(Y[k], REFUSED[name])
    with pytest.raises(CannotDifferentiate) as caught:
        vjp(equation, "x")
    message = str(caught.value)
    assert message.startswith(str(equation)), "it names the equation"
    assert "cannot differentiate" in message
    part = "gamma" if " " in name else name if name not in ("Greater", "Equality") else "x["
    assert part in message.removeprefix(str(equation)), "and the sub-expression"


def test_the_matrix_derivative_that_sympy_gets_wrong() -> None:
    """log(1ᵀ exp z): SymPy 1.14's matrix derivative is 0; the index form has the softmax."""
    e, z = tensor("e"), tensor("z", K)
    equation = Equation(access(e), log(Sum(exp(z[k]), (k, K))))
    found = check_vjp(equation, {"z": random(4)}, "z", {}, "complex", "central")
    assert found.right != 0


@pytest.mark.parametrize(
    "right",
    [
        Piecewise((1, X[k] > 0), (0, True)),
        sympy.sign(X[k]),
        Sum(sympy.sign(X[j]), (j, K)),
        Piecewise((sympy.sign(X[k]), X[k] > 1), (3, True)),
        X[k] ** 0 * sympy.sign(X[k]) ** 2,
    ],
)
def test_a_derivative_that_is_0_everywhere_is_an_error_that_says_why(right: Expr) -> None:
    equation = Equation(Y[k], right)
    assert vjp(equation, "x").right == 0
    with pytest.raises(CannotDifferentiate) as caught:
        adjoint(equation, "x")
    assert str(equation) in str(caught.value)
    assert "0 everywhere" in str(caught.value) and "nothing before it is trained" in str(caught.value)


def test_a_tensor_that_is_not_read_is_an_error() -> None:
    with pytest.raises(KeyError):
        vjp(AFFINE, "nothing")
