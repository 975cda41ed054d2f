"""Index equations and their matrix forms: of one example, of a batch in rows, of a batch in columns."""

from __future__ import annotations

import pytest
import sympy
from sympy import Expr, KroneckerDelta, Symbol, exp

from chainrule.derive.index import Equation, Max, Sum, access, index, size, tensor
from chainrule.present import text
from chainrule.present.batch import batch_sides
from chainrule.present.matrix import NoMatrixForm, matrix_sides
from chainrule.present.order import BATCH as N
from chainrule.present.sides import line

i, j, k, m, n = map(index, "ijkmn")
H, J, K = map(size, "HJK")
W, V, M, P = tensor("W1", K, J), tensor("V", J, K), tensor("M", K, J), tensor("P", K, K)
x, X, Y, Z = tensor("a0", N, J), tensor("a1", N, K), tensor("z", K), tensor("z1", N, K)
b, c, d, g = tensor("b1", K), tensor("c", K), tensor("d", J), tensor("g", K)
labels, image = tensor("t", N), tensor("x", N, H, J)
s, E = access(tensor("s")), access(tensor("E"))
rate = Symbol("lambda", positive=True)
affine = Sum(W[k, j] * x[n, j], (j, J))
NONE = ""


def written(left: Expr, right: Expr, layout: str) -> str:
    """Return an equation in matrix form, "" where it has none."""
    equation = Equation(left, sympy.sympify(right))
    try:
        if layout == "example":
            sides = matrix_sides(equation)
        else:
            sides = batch_sides(equation, False, False, layout == "rows")
    except NoMatrixForm:
        return NONE
    return " = ".join(map(text.write, sides))


@pytest.mark.parametrize(
    ("left", "right", "example", "rows", "columns"),
    [
        (Z[n, k], affine + b[k], "z1 = W1 a0 + b1", "Z1 = A0 W1ᵀ + 𝟏 b1ᵀ", "Z1 = W1 A0 + b1 𝟏ᵀ"),
        (Z[n, k], -affine, "z1 = −W1 a0", "Z1 = −A0 W1ᵀ", "Z1 = −W1 A0"),
        (Z[n, k], affine / 2, "z1 = W1 a0/2", "Z1 = A0 W1ᵀ/2", "Z1 = W1 A0/2"),
        (
            Z[n, k],
            Sum((x[n, j] - 1) * W[k, j], (j, J)),
            *("z1 = −W1 (1 − a0)", "Z1 = −(1 − A0) W1ᵀ", "Z1 = −W1 (1 − A0)"),
        ),
        (
            Z[n, k],
            Sum(V[j, k] * x[n, j], (j, J)) * X[n, k] * (1 - X[n, k]),
            "z1 = (Vᵀ a0) ⊙ a1 ⊙ (1 − a1)",
            "Z1 = (A0 V) ⊙ A1 ⊙ (1 − A1)",
            "Z1 = (Vᵀ A0) ⊙ A1 ⊙ (1 − A1)",
        ),
        (M[k, j], Sum(X[n, k] * x[n, j], (n, N)), "M = Σₙ a1ₙ a0ₙᵀ", "M = A1ᵀ A0", "M = A1 A0ᵀ"),
        (Y[k], Sum(X[n, k], (n, N)), "z = Σₙ a1ₙ", "z = A1ᵀ 𝟏", "z = A1 𝟏"),
        (Y[k], Sum(X[n, k], (n, N)) / N, "z = (1/N) Σₙ a1ₙ", "z = A1ᵀ 𝟏/N", "z = A1 𝟏/N"),
        (Z[n, k], X[n, k] - c[k], "z1 = a1 − c", "Z1 = A1 − 𝟏 cᵀ", "Z1 = A1 − c 𝟏ᵀ"),
        (Z[n, k], X[n, k] * c[k], "z1 = a1 ⊙ c", "Z1 = A1 ⊙ (𝟏 cᵀ)", "Z1 = A1 ⊙ (c 𝟏ᵀ)"),
        (Z[n, k], X[n, k] / c[k], "z1 = a1/c", "Z1 = A1/(𝟏 cᵀ)", "Z1 = A1/(c 𝟏ᵀ)"),
        (Z[n, k], X[n, k] + s, "z1 = a1 + s 𝟏", "Z1 = A1 + s 𝟏 𝟏ᵀ", "Z1 = A1 + s 𝟏 𝟏ᵀ"),
        (
            Z[n, k],
            exp(X[n, k]) / Sum(exp(X[n, j]), (j, K)),
            *("z1 = softmax(a1)", "Z1 = softmax(A1)", "Z1 = softmax(A1)"),
        ),
        (
            Z[n, k],
            2 * exp(X[n, k]) / Sum(exp(X[n, j]), (j, K)),
            "z1 = 2 exp(a1)/(𝟏ᵀ exp(a1))",
            "Z1 = 2 exp(A1)/(exp(A1) 𝟏 𝟏ᵀ)",
            "Z1 = 2 exp(A1)/(𝟏 𝟏ᵀ exp(A1))",
        ),
        (
            Z[n, k],
            X[n, k] - KroneckerDelta(k, labels[n]),
            *("z1 = a1 − onehot(t)", "Z1 = A1 − onehot(t)", "Z1 = A1 − onehot(t)"),
        ),
        (
            Z[n, k],
            X[n, k] - KroneckerDelta(3, k),
            *(NONE, "Z1 = A1 − 𝟏 onehot(3)ᵀ", "Z1 = A1 − onehot(3) 𝟏ᵀ"),
        ),
        (
            E,
            Sum((X[n, k] - c[k]) ** 2, (n, N), (k, K)) / N,
            *("E = (1/N) Σₙ ‖a1ₙ − c‖²", "E = ‖A1 − 𝟏 cᵀ‖²/N", "E = ‖A1 − c 𝟏ᵀ‖²/N"),
        ),
        (
            E,
            Sum(abs(X[n, k] - Z[n, k]), (n, N), (k, K)),
            *("E = Σₙ ‖a1ₙ − z1ₙ‖₁", "E = 𝟏ᵀ |A1 − Z1| 𝟏", "E = 𝟏ᵀ |A1 − Z1| 𝟏"),
        ),
        (Z[n, k], KroneckerDelta(k, X[n, k]), *(NONE, NONE, NONE)),
        (E, Max(c[k], (k, K)), "E = max(c)", NONE, NONE),
        (Y[k], Sum(c[k] + d[j], (j, J)), NONE, "z = (c 𝟏ᵀ + 𝟏 dᵀ) 𝟏", "z = (c 𝟏ᵀ + 𝟏 dᵀ) 𝟏"),
        (E, Sum(abs(W[k, j]), (k, K), (j, J)), "E = ‖W1‖₁", "E = 𝟏ᵀ |W1| 𝟏", "E = 𝟏ᵀ |W1| 𝟏"),
        (
            tensor("v", N, K)[n, k],
            Sum(KroneckerDelta(k, i * J + j) * image[n, i, j], (i, H), (j, J)),
            *("v = vec(x)", NONE, NONE),
        ),
        (
            tensor("v", N, K)[n, k],
            Sum(KroneckerDelta(k, i + H * j) * image[n, i, j], (i, H), (j, J)),
            *(NONE, NONE, NONE),  # column by column
        ),
        (tensor("y", N, H, J)[n, i, j], tensor("v", N, K)[n, i * J + j], "y = vec⁻¹(v)", NONE, NONE),
        (tensor("y", N, H, J)[n, i, j], tensor("v", N, K)[n, i + H * j], NONE, NONE, NONE),
        (Z[n, k], image[n, 2, k], NONE, NONE, NONE),
        (Z[n, k + 1], X[n, k], NONE, NONE, NONE),
    ],
)
def test_what_reads_examples(left: Expr, right: Expr, example: str, rows: str, columns: str) -> None:
    assert written(left, right, "example") == example
    assert written(left, right, "rows") == rows
    assert written(left, right, "columns") == columns


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (M[k, j], c[k] * d[j], "M = c dᵀ"),
        (M[k, j], rate * c[k] * d[j] * g[k], "M = λ (c ⊙ g) dᵀ"),
        (M[k, j], V[j, k], "M = Vᵀ"),
        (M[k, j], V[j, k] * W[k, j], "M = W1 ⊙ Vᵀ"),
        (Y[k], Sum(W[k, j] * d[j], (j, J)), "z = W1 d"),
        (Y[k], Sum(V[j, k] * d[j], (j, J)), "z = Vᵀ d"),
        (Y[k], Sum(s * W[k, j] * d[j], (j, J)), "z = s W1 d"),
        (Y[k], Sum(c[k] * W[k, j] * d[j], (j, J)), "z = c ⊙ (W1 d)"),
        (Y[k], c[k] * Sum(W[k, j] * d[j], (j, J)), "z = (W1 d) ⊙ c"),
        (Y[k], Sum(W[k, j], (j, J)), "z = W1 𝟏"),
        (P[k, m], Sum(W[k, j] * V[j, m], (j, J)), "P = W1 V"),
        (P[k, m], Sum(W[k, j] * W[m, j], (j, J)), "P = W1 W1ᵀ"),
        (E, Sum(W[k, j] ** 2, (k, K), (j, J)), "E = ‖W1‖²"),
        (E, Sum(c[k] ** 2, (k, K)), "E = ‖c‖²"),
        (E, Sum(c[k] * g[k], (k, K)), "E = cᵀ g"),
        (E, Sum(b[k] * c[k] * g[k], (k, K)), "E = b1ᵀ (c ⊙ g)"),
        (E, Sum(c[k], (k, K)), "E = 𝟏ᵀ c"),
        (E, Sum(c[k] * g[k] / s, (k, K)), "E = cᵀ g/s"),
        (E, 2 * Sum(c[k] * g[k], (k, K)), "E = 2 cᵀ g"),
        (Y[k], Sum(P[k, m] * W[m, j] * d[j], (m, K), (j, J)), NONE),
        (E, Sum(-c[k] - g[k], (k, K)), "E = −(𝟏ᵀ c + 𝟏ᵀ g)"),
        (E, Sum(c[k] * g[k] + b[k] ** 2, (k, K)), "E = cᵀ g + ‖b1‖²"),
        (Y[k], c[k] * g[k] / b[k], "z = (c ⊙ g)/b1"),
        (Y[k], c[k] ** 2, "z = c ⊙ c"),
        (Y[k], c[k] ** 3, "z = c³"),
        (Y[k], (c[k] + g[k]) ** 2, "z = (c + g)²"),
        (Y[k], 1 / c[k], "z = 1/c"),
        (Y[k], rate * c[k] / N, "z = λ c/N"),
        (Y[k], s * c[k], "z = s c"),
        (Y[k], c[k] + s, "z = c + s 𝟏"),
        (Y[k], -c[k], "z = −c"),
        (Y[k], c[k] ** g[k], "z = c^g"),
        (Y[k], c[k + 1], NONE),
        (M[k, j], W[j, k], "M = W1ᵀ"),
    ],
)
def test_what_reads_no_example_is_the_same_in_every_layout(left: Expr, right: Expr, expected: str) -> None:
    assert [written(left, right, layout) for layout in ("example", "rows", "columns")] == [expected] * 3


@pytest.mark.parametrize(
    ("layout", "expected"),
    [("example", "z1 = W1 a0"), ("rows", "Z1 = A0 W1ᵀ"), ("columns", "Z1 = W1 A0")],
)
def test_a_line_is_in_the_layout_that_is_asked_for(layout: str, expected: str) -> None:
    assert text.write_line(line(Equation(Z[n, k], affine), "matrix", batch=layout)) == expected


def test_a_line_falls_back_on_one_example_and_then_on_subscripts() -> None:
    image_line = line(
        Equation(tensor("v", N, K)[n, k], Sum(KroneckerDelta(k, i * J + j) * image[n, i, j], (i, H), (j, J))),
        "matrix",
        batch="rows",
    )
    assert text.write_line(image_line) == "v = vec(x)"
    shifted = line(Equation(Y[k], Y[k] + c[k + 1]), "matrix", batch="rows")
    assert text.write_line(shifted) == "z[k] ← z[k] + c[k+1]"
