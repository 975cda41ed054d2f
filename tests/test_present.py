"""Equations on the page: golden texts in both forms, LaTeX that KaTeX accepts, nothing of SymPy's own."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import sympy
from as_latex import index_latex, matrix_latex
from recorded_pages import PRINTED, derived, difference, network_pages
from shipped import NETWORKS
from work import calls

from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import Equation, Inside, Max, Sum, Winner, index, size, tensor
from chainrule.derive.library import ACTIVATIONS, OPTIMIZERS, Formula, Loss
from chainrule.derive.model import LayerSpec, LineColumn, LossSpec, OptimizerSpec, Spec, TrainingSpec
from chainrule.present import FORMATS, FORMS, document, present, records
from chainrule.present.text import index_text, matrix_text, shape_text, text

PLACE = LineColumn(1, 1)
DENSE = {"bias": True, "init": "glorot_uniform", "bias_init": "zeros", "weights": None, "biases": None}
DEBRIS = re.compile(
    r"Piecewise|KroneckerDelta|Dummy|Sum\(|Max\(|Winner|Inside|True|False|\*|_w\d|Abs|Rational|reduction"
    r"|\bexp1\b|Indexed|\bT\b *\+|\\mathtt|_\{_|--|\+ *[-−]|[-−] *[-−]"
)


def make(
    layers: Iterable[int | str],
    loss: str = "cross_entropy",
    reduction: str = "mean",
    l2: float = 0.0,
    shape: tuple[int, ...] = (784,),
    optimizer: str = "sgd",
    name: str = "net",
    description: str = "",
    activations: dict[str, Formula] | None = None,
    losses: dict[str, Loss] | None = None,
) -> Derivation:
    """Return the derivation of a small network; an integer is a dense layer of so many units."""
    declared = tuple(
        LayerSpec("dense", {"units": layer, **DENSE}, PLACE)
        if isinstance(layer, int)
        else LayerSpec(layer, {}, PLACE)
        for layer in layers
    )
    options = {f.name: f.default for f in OPTIMIZERS[optimizer].fields}
    spec = Spec(
        name, description, shape, declared, LossSpec(loss, reduction, l2, PLACE),
        OptimizerSpec(optimizer, options, PLACE), TrainingSpec(None, 32, 1, 0, 0.0, PLACE),
        activations or {}, losses or {}, "", "0" * 64, "net.toml",
    )  # fmt: skip
    return derive_network(spec)


MNIST = (16, "sigmoid", 16, "sigmoid", 10, "softmax")


def test_the_equations_of_mnist_mlp_read_as_in_a_textbook() -> None:
    derivation = make(MNIST)
    found = [matrix_text(e.equation) for e in derivation.equations]
    assert found == [
        "T = onehot(t)",
        "a0 = x",
        "z1 = W1 a0 + b1",
        "a1 = σ(z1)",
        "z2 = W2 a1 + b2",
        "a2 = σ(z2)",
        "z3 = W3 a2 + b3",
        "a3 = softmax(z3)",
        "E = −(1/N) Σₙ Tₙᵀ log(a3ₙ)",
        "δ3 = (a3 − T)/N",
        "∂E/∂W3 = Σₙ δ3ₙ a2ₙᵀ",
        "∂E/∂b3 = Σₙ δ3ₙ",
        "δ2 = (W3ᵀ δ3) ⊙ a2 ⊙ (1 − a2)",
        "∂E/∂W2 = Σₙ δ2ₙ a1ₙᵀ",
        "∂E/∂b2 = Σₙ δ2ₙ",
        "δ1 = (W2ᵀ δ2) ⊙ a1 ⊙ (1 − a1)",
        "∂E/∂W1 = Σₙ δ1ₙ a0ₙᵀ",
        "∂E/∂b1 = Σₙ δ1ₙ",
        "∂E/∂x = W1ᵀ δ1",
        "θ ← θ − η g",
    ]


def test_the_latex_of_mnist_mlp_reads_as_in_a_textbook() -> None:
    by_name = {e.name: e.equation for e in make(MNIST, l2=1e-4).equations}
    assert index_latex(by_name["T"]) == r"T_{nk} = [k = t_{n}]"
    assert index_latex(by_name["z1"]) == r"z^{(1)}_{nk} = \sum_{j} W^{(1)}_{kj} a^{(0)}_{nj} + b^{(1)}_{k}"
    assert index_latex(by_name["a1"]) == r"a^{(1)}_{nk} = \frac{1}{1 + e^{-z^{(1)}_{nk}}}"
    assert index_latex(by_name["a3"]) == r"a^{(3)}_{nk} = \frac{e^{z^{(3)}_{nk}}}{\sum_{j} e^{z^{(3)}_{nj}}}"
    assert index_latex(by_name["dz3"]) == r"\delta^{(3)}_{nk} = \frac{1}{N} (a^{(3)}_{nk} - T_{nk})"
    assert index_latex(by_name["dz2"]) == (
        r"\delta^{(2)}_{nj} = \left(\sum_{k} W^{(3)}_{kj} \delta^{(3)}_{nk}\right) "
        r"a^{(2)}_{nj} (1 - a^{(2)}_{nj})"
    )
    assert index_latex(by_name["dW1"]) == (
        r"\frac{\partial E}{\partial W^{(1)}_{kj}} = "
        r"\sum_{n} \delta^{(1)}_{nk} a^{(0)}_{nj} + 2 \cdot 10^{-4} W^{(1)}_{kj}"
    )
    assert matrix_latex(by_name["dz2"]) == (
        r"\delta^{(2)} = (W^{(3)\top} \delta^{(3)}) \odot a^{(2)} \odot (1 - a^{(2)})"
    )
    assert matrix_latex(by_name["dW1"]) == (
        r"\frac{\partial E}{\partial W^{(1)}} = "
        r"\sum_{n} \delta^{(1)}_{n} (a^{(0)}_{n})^{\top} + 2 \cdot 10^{-4} W^{(1)}"
    )
    assert matrix_latex(by_name["E"]) == (
        r"E = -\frac{1}{N} \sum_{n} T^{\top}_{n} \log a^{(3)}_{n} + 10^{-4} "
        r"(\lVert W^{(1)} \rVert^{2} + \lVert W^{(2)} \rVert^{2} + \lVert W^{(3)} \rVert^{2})"
    )
    assert index_latex(by_name["theta"]) == r"\theta_{i} \leftarrow \theta_{i} - \eta g_{i}"
    assert index_latex(by_name["z1"], limits=True, sides="right") == (
        r"\sum_{j=1}^{784} W^{(1)}_{kj} a^{(0)}_{nj} + b^{(1)}_{k}"
    )


def test_the_texts_of_an_image_network() -> None:
    derivation = make([4, "relu", 3, "softmax"], "mse", shape=(5, 6, 2))
    by_name = {e.name: e.equation for e in derivation.equations}
    assert matrix_text(by_name["a0"]) == "a0 = vec(x)"
    assert index_text(by_name["a0"]) == "a0[n,k] = Σ_ijc [k = 12 i + 2 j + c] x[n,i,j,c]"
    assert matrix_text(by_name["dx"]) == "∂E/∂x = vec⁻¹(∂E/∂a0)"
    assert matrix_text(by_name["a1"]) == "a1 = max(0, z1)"
    assert matrix_text(by_name["dz1"]) == "δ1 = (W2ᵀ δ2) ⊙ [a1 > 0]"
    assert matrix_text(by_name["dz2"]) == "δ2 = a2 ⊙ (∂E/∂a2 − ((∂E/∂a2)ᵀ a2) 𝟏)"
    assert matrix_text(by_name["E"]) == "E = (1/(2 N)) Σₙ ‖a2ₙ − tₙ‖²"
    assert shape_text(by_name["dx"]) == "(N, 5, 6, 2)"
    assert shape_text(by_name["b1"] if "b1" in by_name else by_name["db1"]) == "(4,)"
    assert shape_text(by_name["E"]) == "()"


def test_adam_reads_as_in_its_paper() -> None:
    by_name = {e.name: e.equation for e in make([2, "softmax"], optimizer="adam").equations}
    assert index_text(by_name["m"]) == "m[i] ← β1 m[i] + (1 − β1) g[i]"
    assert index_text(by_name["v"]) == "v[i] ← β2 v[i] + (1 − β2) g[i]²"


def test_what_no_matrix_expresses_falls_back_on_indices() -> None:
    n, k, u, N, K, M = index("n"), index("k"), index("u"), size("N"), size("K"), size("M")
    a, w, z = tensor("a0", N, K), tensor("W1", M), tensor("z1", N, K)
    window = Equation(z[n, k], Sum(w[u] * a[n, k + u - 1], (u, M)))
    assert matrix_text(window) == index_text(window) == "z1[n,k] = Σ_u W1[u] a0[n,k+u−1]"
    assert index_latex(window) == r"z^{(1)}_{nk} = \sum_{u} W^{(1)}_{u} a^{(0)}_{n,k+u-1}"


def test_guards_and_winners_are_iverson_brackets(katex: Callable[[Iterable[str]], list[str]]) -> None:
    k, u, K = index("k"), index("u"), size("K")
    z = tensor("z1", K)
    guard = Equation(tensor("a1", K)[k], Inside(k - u, K) * z[k])
    best = Winner(z[u], (k,), (u, K)) * z[k]
    assert text(guard.right) == "[0 ≤ k − u < K] z1[k]"
    assert text(best) == "[k = argmax_u z1[u]] z1[k]"
    assert text(Max(z[u], (u, K))) == "max_u z1[u]"
    assert katex([index_latex(guard), index_latex(Equation(tensor("a1", K)[k], best))]) == []


def networks() -> list[Derivation]:
    """Return networks with every activation, loss and optimizer, chosen at random but always the same."""
    chance = random.Random(7)
    names = [a for a in ACTIVATIONS if a != "step"]
    chance.shuffle(names)
    found = []
    for number, loss in enumerate(("mse", "mae", "binary_cross_entropy", "cross_entropy") * 3):
        hidden = [names[(2 * number + i) % len(names)] for i in range(2)]
        last = {"binary_cross_entropy": "sigmoid", "cross_entropy": "softmax"}.get(loss, chance.choice(names))
        layers: list[int | str] = [chance.randint(1, 9), hidden[0], chance.randint(1, 9), hidden[1], 3, last]
        shape = chance.choice([(7,), (4, 5), (4, 5, 3)])
        optimizer = chance.choice(list(OPTIMIZERS))
        found.append(
            make(layers, loss, chance.choice(["mean", "sum"]), chance.choice([0.0, 0.01]), shape, optimizer)
        )
    own = {"sharp": Formula("x * sigmoid(beta * x)", {"beta": 1.5}), "soft": Formula("max(-1, min(1, x))")}
    losses = {"huberish": Loss("sqrt(1 + (y - t)**2) - 1")}
    found.append(make([3, "sharp", 2, "soft"], "huberish", activations=own, losses=losses))
    return found


@pytest.fixture(scope="module")
def derivations() -> list[Derivation]:
    return networks()


def test_katex_accepts_every_equation(
    katex: Callable[[Iterable[str]], list[str]], derivations: list[Derivation]
) -> None:
    written = []
    for derivation in derivations:
        for e in derivation.equations:
            for form in (index_latex, matrix_latex):
                written += [form(e.equation), form(e.equation, limits=True), form(e.computed, exact=True)]
        written += [present(derivation, form, steps=steps) for form in FORMS for steps in (False, True)]
    assert katex(written) == []


def test_nothing_of_sympys_own_writing_is_left(derivations: list[Derivation]) -> None:
    for derivation in derivations:
        for e in derivation.equations:
            for equation, exact in ((e.equation, False), (e.computed, True)):
                forms = (index_text, matrix_text, index_latex, matrix_latex)
                for written in (form(equation, exact) for form in forms):
                    assert not DEBRIS.search(written), written
                    assert written.count("(") == written.count(")"), written


@pytest.mark.parametrize("path", PRINTED, ids=lambda p: p.stem)
def test_a_network_prints_what_it_printed(path: Path) -> None:
    assert [found for page in network_pages(path.stem, derived(path)) if (found := difference(*page))] == []


@pytest.mark.parametrize("path", NETWORKS, ids=lambda p: p.stem)
def test_katex_accepts_the_examples(path: Path, katex: Callable[[Iterable[str]], list[str]]) -> None:
    derivation = derived(path)
    assert katex([present(derivation, form, steps=steps) for form in FORMS for steps in (False, True)]) == []
    assert not DEBRIS.search(present(derivation, "index", "text"))


EVIL = (
    "\\write18{rm} \\input{x} <script>alert(1)</script> \\href{javascript:a}{b} "
    '[l](javascript:x) %$&#_^~ |" \x00\n`c`'
)


def test_text_that_is_not_ours_is_harmless_everywhere(katex: Callable[[Iterable[str]], list[str]]) -> None:
    derivation = make([2, "softmax"], name=EVIL, description=EVIL)
    for page in (present(derivation, steps=True), document(derivation)):
        assert r"\write18" not in page and r"\input{" not in page and r"\href" not in page
        assert "\x00" not in page
    assert katex([present(derivation)]) == []
    html = present(derivation, format="html", steps=True)
    assert "<script" not in html and "<a" not in html.replace("<annotation", "") and "src=" not in html
    markdown = present(derivation, format="markdown")
    assert "<script" not in markdown and "](" not in markdown and "javascript:" not in markdown
    assert "\x00" not in present(derivation, format="text")


def test_a_document_is_whole_and_always_the_same() -> None:
    page = document(make(MNIST, name="한글 σ"))
    assert page == document(make(MNIST, name="한글 σ"))
    assert page.startswith(r"\documentclass") and page.endswith("\\end{document}\n")
    assert page.count(r"\begin{align*}") == page.count(r"\end{align*}") >= 5
    assert r"\DeclareUnicodeCharacter{D55C}" in page


def test_records_hold_both_forms() -> None:
    found = records(make(MNIST))
    assert [r["number"] for r in found] == list(range(1, 21))
    wanted = {
        "number",
        "role",
        "symbol",
        "latex",
        "text",
        "shape",
        "because",
        "rule",
        "matrix_latex",
        "matrix_text",
    }
    assert all(wanted <= set(r) for r in found)
    delta = next(r for r in found if r["symbol"] == "delta3")
    assert (
        delta["shape"] == "(N, 10)"
        and delta["matrix_text"] == "δ3 = (a3 − T)/N"
        and delta["role"] == "backward"
    )


def test_steps_say_why_and_what_is_computed() -> None:
    page = present(make(MNIST), "index", "text", steps=True)
    assert "Σ t = 1" in page and "computed as σ(z1[n,k])" in page and "σ(u) = 1/(1 + exp(−u))" in page
    with pytest.raises(ValueError, match="form is one of"):
        present(make(MNIST), "tensor")


def test_every_format_is_written_for_every_form(derivations: list[Derivation]) -> None:
    for form in FORMS:
        for kind in FORMATS:
            assert len(present(derivations[0], form, kind, steps=True)) > 500


def test_presentation_is_linear_in_depth() -> None:
    def work(depth: int) -> int:
        derivation = make([4, "sigmoid"] * depth + [3, "softmax"])
        return calls(lambda: present(derivation, "matrix", "text"))

    work(2)  # what is kept from then on
    assert work(60) < 4 * work(20)


def test_numbers_are_exact() -> None:
    w = sympy.Symbol("w", real=True)
    assert text(sympy.Rational(31, 100) * w**2 - sympy.Rational(11, 10) * w + 1) == "0.31 w² − 1.1 w + 1"
    assert text(sympy.Rational(55, 31)) == "55/31"


def test_convolution_and_batch_norm(katex: Callable[[Iterable[str]], list[str]]) -> None:
    n, i, u, c, o = (index(letter) for letter in "niuco")
    N, W, C, O_, U = size("N"), size("W"), size("C"), size("O"), size("U")
    a, w, b = tensor("a0", N, W, C), tensor("W1", O_, U, C), tensor("b1", O_)
    body = Sum(w[o, u, c] * a[n, 2 * i + u - 1, c], (u, U), (c, C)) + b[o]
    conv = Equation(tensor("z1", N, W, O_)[n, i, o], body)
    assert index_text(conv) == "z1[n,i,o] = Σ_uc W1[o,u,c] a0[n,2i+u−1,c] + b1[o]"
    assert matrix_text(conv) == "z1 = W1 ⋆(s=2, p=1) a0 + b1"
    x, mean, v = tensor("x", N, C), tensor("mu1", C), tensor("v1", C)
    gamma, beta = tensor("gamma1", C), tensor("beta1", C)
    center = Equation(mean[c], Sum(x[n, c], (n, N)) / N)
    norm = Equation(tensor("z1", N, C)[n, c], gamma[c] * (x[n, c] - mean[c]) / sympy.sqrt(v[c]) + beta[c])
    assert matrix_text(center) == "μ1 = (1/N) Σₙ xₙ"
    assert matrix_text(norm) == "z1 = (γ1 ⊙ (x − μ1))/√v1 + β1"
    written = [f(e, limits=True) for e in (conv, center, norm) for f in (index_latex, matrix_latex)]
    assert katex(written) == []
