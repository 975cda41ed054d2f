"""Letters and indices by value: what a page calls otherwise, and what bound indices are called."""

from __future__ import annotations

import pytest
from sympy import Expr, Symbol

from chainrule.derive.index import (
    Equation,
    Max,
    Sum,
    Winner,
    access,
    accesses,
    apart,
    canonical_sums,
    cotangent,
    index,
    plain_name,
    primal,
    reductions,
    same_up_to_names,
    size,
    tensor,
)
from chainrule.derive.numbering import Book
from chainrule.derive.prose import say
from chainrule.present import latex, page, text
from chainrule.present import tree as t
from chainrule.present.lettering import FREE, Lettering, base, letters_of

i, j, k, n = map(index, "ijkn")
J, K = size("J"), size("K")
x, w = tensor("x", K), tensor("w", K, J)


def leaf(written: str, constant: str = "", is_index: bool = False) -> t.Leaf:
    return t.Leaf(written, written, constant, is_index)


LETTERS = Lettering(
    {"m": ("s", "s"), "beta1": ("x", "x")},
    {"beta1": (r"\rho_1", "ρ1"), "eta": (r"\eta_\tau", "η_τ")},
    {"v": "w"},
    True,
)


def test_what_a_page_says_of_its_letters() -> None:
    said = "No letter means two things here: s for the usual m, ρ₁ for the usual β₁."
    assert [say(sentence) for sentence in LETTERS.sentences()] == [said]
    assert Lettering().sentences() == () == Lettering(constants={"eta": (r"\eta_\tau", "η_τ")}).sentences()


@pytest.mark.parametrize(
    ("node", "written"),
    [
        (t.Ref("m", (leaf("v", "", True),)), "s[w]"),
        (t.Ref("q", (), "v"), "q[w]"),
        (t.Ref("q"), "q"),
        (leaf("v", "", True), "w"),
        (leaf("v"), "v"),
        (leaf("b", "beta1"), "ρ1"),
        (leaf("b", "beta2"), "b"),
        (t.Big("sum", (("v", ""), ("u", "")), leaf("v", "", True)), "Σ_wu w"),
        (t.Kronecker(leaf("j"), leaf("k")), "[j = k]"),
    ],
)
def test_letters_exchanged(node: t.Node, written: str) -> None:
    assert text.write(LETTERS.tree(node)) == written


def test_a_kronecker_delta_stays_where_no_error_is_called_so() -> None:
    assert latex.write(Lettering().tree(t.Kronecker(leaf("j"), leaf("k")))) == r"\delta_{jk}"


def test_the_letter_of_a_symbol() -> None:
    assert [base(s) for s in (r"\hat{x}_1", r"\beta_1", "W^{(1)}", r"\bar{v}", "")] == [
        *(r"\hat{x}", r"\beta", "W", r"\bar{v}", ""),
    ]


def test_no_letter_means_two_things() -> None:
    book = Book()
    m, beta1, beta2 = tensor("m", K), Symbol("beta1", positive=True), Symbol("beta2", positive=True)
    for equation in (
        Equation(tensor("m1", K)[k], x[k]),
        Equation(m[k], beta1 * m[k] + (1 - beta1) * x[k]),
        Equation(tensor("v", K)[k], beta2 * x[k]),
    ):
        book.add("update", equation, equation, (), "")
    found = letters_of(book.equations)
    rhos = {"beta1": (r"\rho_1", "ρ1"), "beta2": (r"\rho_2", "ρ2")}
    assert found.constants == rhos
    assert found.tensors == {"m": ("s", "s"), "v": ("r", "r"), **rhos}  # m is the letter of a layer's tensor
    assert found.indices == {} and not found.delta
    plain = Book()
    plain.add("update", equation, equation, (), "")
    assert letters_of(plain.equations) == Lettering()


def test_an_index_takes_a_prime_where_no_letter_is_left() -> None:
    book, r = Book(), index("r")
    for letter in (*FREE, "k"):
        equation = Equation(tensor(letter, K)[r], x[r])
        book.add("forward", equation, equation, (), "")
    found = letters_of(book.equations)
    assert found.indices == {"r": "r'"}


@pytest.mark.parametrize(
    ("expression", "taken", "written"),
    [
        (Sum(x[j] * Sum(x[j], (j, K)), (j, K)), (k,), "sum_j(x[j]*sum_a(x[a]))"),
        (Sum(x[k], (k, K)), (k,), "sum_a(x[a])"),
        (Sum(x[k], (k, K)), (), "sum_k(x[k])"),
        (Sum(w[i, j], (i, K), (j, J)), (i,), "sum_p,j(w[p, j])"),
        (Sum(w[i, j], (i, K), (j, J)), (i, j), "sum_p,q(w[p, q])"),
        (Sum(x[n], (n, K)), (n,), "sum_m(x[m])"),
        (Sum(x[n], (n, K)), (n, index("m"), index("a"), index("b")), "sum_n2(x[n2])"),
        (Max(x[j] + Sum(x[j], (j, K)), (j, K)), (), "max_j(x[j] + sum_a(x[a]))"),
    ],
)
def test_what_bound_indices_are_called(expression: Expr, taken: tuple[Symbol, ...], written: str) -> None:
    assert str(canonical_sums(expression, ("a", "b"), taken)) == written
    assert same_up_to_names(canonical_sums(expression, ("a", "b"), taken)) == same_up_to_names(expression)


def test_expressions_that_differ_in_names_alone() -> None:
    assert same_up_to_names(Sum(x[j], (j, K))) == same_up_to_names(Sum(x[i], (i, K)))
    assert same_up_to_names(Sum(x[j], (j, K))) != same_up_to_names(Sum(x[j], (j, J)))
    assert same_up_to_names(Winner(x[j], (k,), (j, K))) == same_up_to_names(Winner(x[i], (k,), (i, K)))
    assert same_up_to_names(Winner(x[j], (k,), (j, K))) != same_up_to_names(Winner(x[j], (i,), (j, K)))
    both = Sum(x[j], (j, K)) * Sum(x[j], (j, K))
    assert len({node.bound for node in reductions(apart(both))}) == 1 == len(reductions(both))
    sums = Sum(x[j], (j, K)) + Sum(x[j] ** 2, (j, K))
    assert len({node.bound for node in reductions(apart(sums))}) == 2


def test_what_an_expression_reads() -> None:
    z = access(tensor("z"))
    expression = x[k] * Sum(w[k, j] * x[k + 1], (j, J)) + z
    assert list(map(str, accesses(expression))) == ["w[k, j]", "x[k + 1]", "x[k]", "z[]"]
    assert accesses(expression, x) == [x[k + 1], x[k]]
    assert list(Equation(x[k], expression).reads()) == ["w", "x", "z"]
    assert expression.free_symbols >= {k} and j not in Sum(w[k, j], (j, J)).free_symbols
    assert Winner(x[j], (k,), (j, K)).free_symbols >= {k} and j not in Winner(x[j], (k,), (j, K)).free_symbols
    assert (plain_name(cotangent("z1")), plain_name("z1")) == ("dz1", "z1")
    assert (primal(cotangent("z1")), primal("z1")) == ("z1", None)


def test_an_equation_at_other_subscripts() -> None:
    equation = Equation(tensor("y", K)[k], x[k] + Sum(x[j], (j, K)))
    moved = equation.at((j,))
    assert same_up_to_names(moved) == same_up_to_names(x[j] + Sum(x[i], (i, K)))
    assert list(map(tuple, equation.axes)) == [(k, K)]
    assert str(equation.replace({K: J})) == "y[k] = x[k] + sum_j(x[j])"


@pytest.mark.parametrize(("kept", "free"), [("uf", "uf"), ("p", "pU"), ("", "UV")])
def test_two_letters_are_always_free(monkeypatch: pytest.MonkeyPatch, kept: str, free: str) -> None:
    taken = [leaf(letter) for letter in "uvyqfhabcdgijkrswzlmnop" if letter not in kept]
    monkeypatch.setattr(page, "nodes", lambda _page, alike: taken)
    assert page.free_letters(page.Page("", "", ())) == list(free)
