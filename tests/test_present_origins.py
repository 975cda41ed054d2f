"""Where a page's indices count from, what slides along an input, and what is shown by default."""

from __future__ import annotations

from pathlib import Path

import pytest
from sympy import Expr, KroneckerDelta

from chainrule.derive.deriving import derive_network
from chainrule.derive.index import Equation, Inside, Sum, index, size, tensor
from chainrule.present import document, page_for, present, records
from chainrule.present.counting import (
    FROM_ZERO,
    LABELS_TOO,
    OUTSIDE,
    compares_labels,
    leaves_its_box,
    origin_of,
    sentences,
)
from chainrule.present.display import equation_latex, equation_text, html_of, latex_of
from chainrule.present.order import BATCH as N
from chainrule.present.windows import slide
from chainrule.spec import load_spec

# ---- Origins and windows ----------------------------------------------------------------------------


i, j, k, n, u, v, p = map(index, "ijknuvc")
H, J, K = map(size, "HJK")
vector, labels, wide = tensor("y", K), tensor("t", N), tensor("z", 2 * K + 1)


@pytest.mark.parametrize(
    ("right", "origin", "leaves"),
    [
        (Sum(vector[j], (j, K)), 1, False),
        (Sum(vector[j], (j, K - 1)), 1, False),
        (Sum(vector[j], (j, K + 1)), 1, True),
        (vector[k + 1], 0, True),
        (vector[k - 1], 0, True),
        (vector[2], 0, True),
        (Sum(vector[k - j], (j, K)), 0, True),
        (Sum(wide[2 * k + j], (j, 3)), 0, False),
        (Sum(wide[2 * k + j], (j, 4)), 0, True),
        (wide[2 * k + 2], 0, False),
        (wide[2 * k + 3], 0, True),
        (vector[k] * k, 0, False),
        (Inside(k, K) * vector[k], 0, False),
        (Sum(vector[j] * KroneckerDelta(k, j), (j, K)), 1, False),
        (Sum(vector[j] * KroneckerDelta(k, j + 1), (j, K)), 0, False),
        (Sum(vector[j] * KroneckerDelta(k, 2 * j), (j, K)), 0, False),
        (Sum(j * vector[j], (j, K)), 0, False),
        (K * vector[k], 1, False),
    ],
)
def test_where_indices_count_from(right: Expr, origin: int, leaves: bool) -> None:
    equation = Equation(tensor("x", K)[k], right)
    assert (origin_of([equation]), leaves_its_box(equation), compares_labels(equation)) == (
        origin,
        leaves,
        False,
    )
    assert sentences([equation]) == ((FROM_ZERO,) if not origin else ()) + ((OUTSIDE,) if leaves else ())


def test_labels_count_from_0() -> None:
    equation = Equation(tensor("x", N, K)[n, k], KroneckerDelta(k, labels[n]))
    assert compares_labels(equation) and origin_of([equation]) == 0 and sentences([equation]) == (LABELS_TOO,)
    plain_one = Equation(tensor("x", K)[k], vector[k])
    assert origin_of([plain_one, equation]) == 0 and origin_of([plain_one]) == origin_of([]) == 1


kernel, image, delta = tensor("W", K, 3, J), tensor("x", N, H, J), tensor("d", N, H, K)


@pytest.mark.parametrize(
    ("place", "turned", "note"),
    [
        (i + u, False, ""),
        (2 * i + u, False, "s=2"),
        (i + 2 * u - 1, False, "d=2, p=1"),
        (i + u + 1, False, "p=-1"),
        (i - u, True, ""),
        (3 * i - 2 * u + 4, True, "s=3, d=2, p=4"),
        (2 * i - u - 1, True, "s=2, p=-1"),
    ],
)
def test_a_kernel_slides_along_an_input(place: Expr, turned: bool, note: str) -> None:
    factors = kernel[k, u, p], image[n, place, p]
    for order in (factors, factors[::-1]):
        found = slide(order, (i, k), (u, p))
        assert found is not None and (found.kernel, found.input) == factors
        assert (found.transposed, found.turned, found.note) == (False, turned, note)


@pytest.mark.parametrize("place", [i, u, i * u, i + u + J, u - i])
def test_what_does_not_slide(place: Expr) -> None:
    assert slide((kernel[k, u, p], image[n, place, p]), (i, k), (u, p)) is None


def test_convolutions_of_the_way_back() -> None:
    back = slide((kernel[k, u, p], delta[n, i - u, k]), (i, p), (u, k))
    assert back is not None and back.transposed and back.turned and back.kernel == kernel[k, u, p]
    of_weights = slide((delta[n, i, k], image[n, i + u, p]), (k, u, p), (i,))
    assert of_weights is not None and not of_weights.transposed and of_weights.kernel == delta[n, i, k]
    for bound in ((i, n), (u,), ()):
        assert slide((delta[n, i, k], image[n, i + u, p]), (k, u, p), bound) is None
    assert slide((kernel[k, u, p], image[n, i + u, p]), (i, k), (u,)) is None
    assert slide((kernel[k, u, p], image[n, i + u, p], vector[k]), (i, k), (u, p)) is None
    assert slide((kernel[k, u, p], kernel[k, u, p]), (i, k), (u, p)) is None


@pytest.mark.parametrize(
    ("places", "note"),
    [
        ((i + u, j + v), ""),
        ((2 * i + u, 3 * j + v), "s=2×3"),
        ((i + u - 1, j + v - 2), "p=1×2"),
        ((i - u, j - 2 * v), "d=1×2"),
        ((i - u, j + v), None),
    ],
)
def test_windows_of_two_axes(places: tuple[Expr, Expr], note: str | None) -> None:
    filters, images = tensor("W", K, 3, 3, J), tensor("x", N, H, H, J)
    found = slide((filters[k, u, v, p], images[n, *places, p]), (i, j, k), (u, v, p))
    assert (found.note if found else None) == note


# ---- What is asked for by default -------------------------------------------------------------------


def test_what_a_derivation_shows_by_default() -> None:
    found = derive_network(load_spec(Path(__file__).parent.parent / "examples" / "or.toml"))
    assert document(found) == document(found, "matrix", True) != document(found, "matrix", False)
    assert present(found) == present(found, "index", "latex", False) != present(found, steps=True)
    for form, format in (("rows", "latex"), ("index", "rtf")):
        with pytest.raises(ValueError, match=r"form is one of index, matrix, both; format is one of latex, "):
            present(found, form, format)
    first = records(found)[1]
    assert (first["text"], first["matrix_text"]) == (
        "z1[n,k] = Σⱼ W1[k,j] a0[n,j] + b1[k]",
        "z1 = W1 a0 + b1",
    )
    equation = found.equation(2)
    assert equation_text(equation) == first["text"] and equation_text(equation, "matrix") == "z1 = W1 a0 + b1"
    assert latex_of(equation) == rf"$${equation_latex(equation)} \tag{{2}}$$"
    assert html_of(equation).endswith("</math><span>(2)</span></div>")
    with pytest.raises(ValueError, match="form is one of index, matrix, not 'rows'"):
        equation_text(equation, "rows")
    assert str(page_for(found)) == present(found, format="text").rstrip("\n")
    assert repr(page_for(found)) == "<page or_gate: 9 equations>"
