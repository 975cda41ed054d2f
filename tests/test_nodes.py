"""Every kind of node in LaTeX, in plain text and in MathML: what stands in parentheses, above and below."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from chainrule.derive.index import cotangent
from chainrule.present import latex, mathml, text
from chainrule.present import tree as t


def leaf(written: str) -> t.Leaf:
    return t.Leaf(written, written)


def plus(*terms: t.Node) -> t.Plus:
    return t.Plus(tuple((False, term) for term in terms))


def big(
    body: t.Node,
    operator: str = "sum",
    indices: tuple[tuple[str, str], ...] = (("j", ""),),
    told: tuple[str, ...] = (),
    origin: int = 1,
) -> t.Big:
    return t.Big(operator, indices, body, told, origin)


a, b, c, x, y = map(leaf, "abcxy")
ONE, two = t.ONE, leaf("2")
minus, difference = t.Plus(((True, a),)), t.Plus(((False, a), (True, b)))
W, z, D = t.Ref("W1"), t.Ref("z1", (leaf("n"), leaf("k"))), t.Ref(cotangent("W1"))
log_x, tanh_x = t.Applied(r"\log", "log", (x,), True), t.Applied(r"\tanh", "tanh", (x,))
more, less, same = t.Related(">", x, a), t.Related("<", x, b), t.Related("=", y, b)


def compact(written: str) -> str:
    """Return MathML in short: tags that place by name, what is set as it is, what grows twice: ((."""

    def of(element: ElementTree.Element) -> str:
        inner = [of(child) for child in element]
        if not inner:
            shown = (element.text or "").replace(mathml.NO_BREAK, " ").replace(mathml.NO_BREAK_SPACE, " ")
            return shown.replace("\u2061", "") * (2 if element.get("stretchy") == "true" else 1)
        return "".join(inner) if element.tag == "mrow" else f"{element.tag}({'|'.join(inner)})"

    return "".join(map(of, ElementTree.fromstring(f"<math>{written}</math>")))  # noqa: S314


@pytest.mark.parametrize(
    ("node", "as_latex", "as_text", "as_mathml"),
    [
        (plus(a), "a", "a", "a"),
        (plus(a, b), "a + b", "a + b", "a+b"),
        (minus, "-a", "−a", "−a"),
        (difference, "a - b", "a − b", "a−b"),
        (t.Plus(((True, a), (False, b))), "-a + b", "−a + b", "−a+b"),
        (t.Plus(((True, plus(a, b)),)), "-(a + b)", "−(a + b)", "−(a+b)"),
        (plus(big(a, "max"), b), r"\left(\max_{j} a\right) + b", "(maxⱼ a) + b", "((munder(max|j)a))+b"),
        (plus(big(a), b), r"\sum_{j} a + b", "Σⱼ a + b", "munder(∑|j)a+b"),
        (
            plus(big(big(a, "argmax")), b),
            r"\left(\sum_{j} \operatorname*{arg\,max}_{j} a\right) + b",
            "(Σⱼ argmaxⱼ a) + b",
            "((munder(∑|j)munder(arg max|j)a))+b",
        ),
        (
            plus(t.Limit(a, b, c), x),
            r"(\lim_{a \to b} c) + x",
            "(lim(a → b) c) + x",
            "((munder(lim|a→b)c))+x",
        ),
        (t.Times((two, a)), "2 a", "2 a", "2 a"),
        (t.Times((a, two)), "a 2", "a 2", "a·2"),
        (t.Times((two, two)), r"2 \cdot 2", "2 · 2", "2·2"),
        (t.Times((a, plus(b, c))), "a (b + c)", "a (b + c)", "a (b+c)"),
        (t.Times((plus(a, b), c)), "(a + b) c", "(a + b) c", "(a+b) c"),
        (t.Times((difference, difference)), "(a - b) (a - b)", "(a − b) (a − b)", "(a−b) (a−b)"),
        (t.Times((a, big(b))), r"a \sum_{j} b", "a Σⱼ b", "a munder(∑|j)b"),
        (t.Times((big(b), a)), r"\left(\sum_{j} b\right) a", "(Σⱼ b) a", "((munder(∑|j)b)) a"),
        (t.Times((t.Dot((a, b)), c)), "(a b) c", "(a b) c", "(a b) c"),
        (t.Times((t.Over(a, b), c)), r"\frac{a}{b} c", "(a/b) c", "mfrac(a|b) c"),
        (t.Times((t.Over(ONE, b), c)), r"\frac{1}{b} c", "c/b", "mfrac(1|b) c"),
        (t.Times((t.Over(ONE, b), a, c)), r"\frac{1}{b} a c", "a c/b", "mfrac(1|b) a c"),
        (t.Times((t.Over(ONE, b), plus(a, c))), r"\frac{1}{b} (a + c)", "(a + c)/b", "mfrac(1|b) (a+c)"),
        (
            t.Times((t.Over(ONE, b), big(c))),
            r"\frac{1}{b} \sum_{j} c",
            "(1/b) Σⱼ c",
            "mfrac(1|b) munder(∑|j)c",
        ),
        (t.Times((t.Over(ONE, plus(a, b)), c)), r"\frac{1}{a + b} c", "c/(a + b)", "mfrac(1|a+b) c"),
        (t.Times((log_x, a)), r"(\log x) a", "log(x) a", "log(x) a"),
        (t.Times((a, log_x)), r"a \log x", "a log(x)", "a log(x)"),
        (t.Times((a, t.Hadamard((b, c)))), r"a b \odot c", "a b ⊙ c", "a b⊙c"),
        (t.Times((t.Hadamard((b, c)), a)), r"(b \odot c) a", "(b ⊙ c) a", "(b⊙c) a"),
        (t.Times((two, leaf("10^{3}"))), r"2 \cdot 10^{3}", "2 · 10^{3}", "2·msup(10|3)"),
        (t.Times((t.Raised(a, two), two)), r"a^{2} \cdot 2", "a² 2", "msup(a|2)·2"),
        (t.Dot((W, a)), "W^{(1)} a", "W1 a", "msup(W|(1)) a"),
        (t.Dot((plus(a, b), c)), "(a + b) c", "(a + b) c", "(a+b) c"),
        (t.Dot((t.Times((a, b)), c)), "(a b) c", "(a b) c", "(a b) c"),
        (t.Dot((a, log_x)), r"a \log x", "a log(x)", "a log(x)"),
        (t.Dot((a, t.Hadamard((b, c)))), r"a (b \odot c)", "a (b ⊙ c)", "a (b⊙c)"),
        (t.Hadamard((a, b)), r"a \odot b", "a ⊙ b", "a⊙b"),
        (t.Hadamard((t.Times((a, b)), c)), r"(a b) \odot c", "(a b) ⊙ c", "(a b)⊙c"),
        (t.Hadamard((t.Over(a, b), c)), r"\frac{a}{b} \odot c", "(a/b) ⊙ c", "mfrac(a|b)⊙c"),
        (t.Hadamard((plus(a, b), t.Dot((a, b)))), r"(a + b) \odot (a b)", "(a + b) ⊙ (a b)", "(a+b)⊙(a b)"),
        (t.Hadamard((a, t.Exp(x))), r"a \odot e^{x}", "a ⊙ exp(x)", "a⊙msup(e|x)"),
        (t.Slid(W, x), r"W^{(1)} \star x", "W1 ⋆ x", "msup(W|(1))⋆x"),
        (t.Slid(W, x, True), r"W^{(1)} \ast x", "W1 ∗ x", "msup(W|(1))∗x"),
        (
            t.Slid(W, x, False, "s = 2"),
            r"W^{(1)} \underset{s = 2}{\star} x",
            "W1 ⋆(s = 2) x",
            "msup(W|(1))munder(⋆|s = 2)x",
        ),
        (
            t.Slid(plus(W, a), t.Over(x, y)),
            r"(W^{(1)} + a) \star \frac{x}{y}",
            "(W1 + a) ⋆ (x/y)",
            "(msup(W|(1))+a)⋆mfrac(x|y)",
        ),
        (t.Over(a, b), r"\frac{a}{b}", "a/b", "mfrac(a|b)"),
        (t.Over(plus(a, b), c), r"\frac{a + b}{c}", "(a + b)/c", "mfrac(a+b|c)"),
        (t.Over(a, plus(b, c)), r"\frac{a}{b + c}", "a/(b + c)", "mfrac(a|b+c)"),
        (t.Over(t.Times((a, b)), t.Times((a, c))), r"\frac{a b}{a c}", "a b/(a c)", "mfrac(a b|a c)"),
        (t.Over(a, t.Over(b, c)), r"\frac{a}{\frac{b}{c}}", "a/(b/c)", "mfrac(a|mfrac(b|c))"),
        (t.Over(t.Over(a, b), c), r"\frac{\frac{a}{b}}{c}", "a/b/c", "mfrac(mfrac(a|b)|c)"),
        (t.Over(minus, b), r"\frac{-a}{b}", "(−a)/b", "mfrac(−a|b)"),
        (t.Raised(x, two), "x^{2}", "x²", "msup(x|2)"),
        (t.Raised(plus(a, b), two), "(a + b)^{2}", "(a + b)²", "msup((a+b)|2)"),
        (t.Raised(W, two), "(W^{(1)})^{2}", "W1²", "msup((msup(W|(1)))|2)"),
        (t.Raised(t.Ref("x"), two), "x^{2}", "x²", "msup(x|2)"),
        (t.Raised(x, plus(a, b)), "x^{a + b}", "x^(a + b)", "msup(x|a+b)"),
        (t.Raised(x, leaf("-2")), "x^{-2}", "x⁻²", "msup(x|−2)"),
        (t.Raised(x, t.Over(ONE, two)), "x^{1/2}", "x^(1/2)", "msup(x|mfrac(1|2))"),
        (
            t.Raised(x, t.Over(plus(a, b), plus(b, c))),
            "x^{(a + b)/(b + c)}",
            "x^((a + b)/(b + c))",
            "msup(x|mfrac(a+b|b+c))",
        ),
        (t.Raised(tanh_x, two), r"\tanh^{2}(x)", "tanh(x)²", "msup(tanh(x)|2)"),
        (t.Raised(t.Exp(x), two), "(e^{x})^{2}", "exp(x)²", "msup((msup(e|x))|2)"),
        (t.Raised(t.Iverson((more,)), two), "[x > a]^{2}", "[x > a]²", "msup([x>a]|2)"),
        (t.Raised(t.Root(x), two), r"\left(\sqrt{x}\right)^{2}", "(√x)²", "msup((msqrt(x))|2)"),
        (t.Raised(t.Over(a, b), two), r"\left(\frac{a}{b}\right)^{2}", "(a/b)²", "msup(((mfrac(a|b)))|2)"),
        (t.Raised(t.Transposed(W), two), r"(W^{(1)\top})^{2}", "W1ᵀ²", "msup((msup(W|(1)⊤))|2)"),
        (t.Exp(x), "e^{x}", "exp(x)", "msup(e|x)"),
        (t.Exp(minus), "e^{-a}", "exp(−a)", "msup(e|−a)"),
        (t.Exp(plus(a, b)), "e^{a + b}", "exp(a + b)", "msup(e|a+b)"),
        (t.Exp(big(x)), r"\exp\left(\sum_{j} x\right)", "exp(Σⱼ x)", "msup(e|munder(∑|j)x)"),
        (t.Exp(t.Over(a, two)), "e^{a/2}", "exp(a/2)", "msup(e|mfrac(a|2))"),
        (t.Exp(t.Plus(((True, t.Over(a, two)),))), "e^{-a/2}", "exp(−a/2)", "msup(e|−mfrac(a|2))"),
        (t.Root(x), r"\sqrt{x}", "√x", "msqrt(x)"),
        (t.Root(plus(a, b)), r"\sqrt{a + b}", "√(a + b)", "msqrt(a+b)"),
        (t.Root(t.Times((two, a))), r"\sqrt{2 a}", "√(2 a)", "msqrt(2 a)"),
        (t.Bars(x), r"\lvert x \rvert", "|x|", "|x|"),
        (t.Bars(plus(a, b)), r"\lvert a + b \rvert", "|a + b|", "|a+b|"),
        (t.Bars(W, True, "2"), r"\lVert W^{(1)} \rVert^{2}", "‖W1‖²", "msup(‖msup(W|(1))‖|2)"),
        (t.Bars(W, True, "", "1"), r"\lVert W^{(1)} \rVert_{1}", "‖W1‖₁", "msub(‖msup(W|(1))‖|1)"),
        (t.Bars(t.Over(a, b)), r"\left\lvert \frac{a}{b} \right\rvert", "|a/b|", "||mfrac(a|b)||"),
        (t.Raised(t.Bars(x), two), r"\lvert x \rvert^{2}", "|x|²", "msup((|x|)|2)"),
        (
            t.Times((t.Bars(W, True, "2"), a)),
            r"\lVert W^{(1)} \rVert^{2} a",
            "‖W1‖² a",
            "msup(‖msup(W|(1))‖|2) a",
        ),
        (t.Rounded(x, "⌊⌋"), r"\lfloor x \rfloor", "⌊x⌋", "⌊x⌋"),
        (t.Rounded(t.Over(a, b), "⌈⌉"), r"\left\lceil \frac{a}{b} \right\rceil", "⌈a/b⌉", "⌈⌈mfrac(a|b)⌉⌉"),
        (t.Rounded(x, "⌊⌉"), r"\lfloor x \rceil", "⌊x⌉", "⌊x⌉"),
        (t.Transposed(x), r"x^{\top}", "xᵀ", "msup(x|⊤)"),
        (t.Transposed(W), r"W^{(1)\top}", "W1ᵀ", "msup(W|(1)⊤)"),
        (
            t.Transposed(D),
            r"\left(\frac{\partial E}{\partial W^{(1)}}\right)^{\top}",
            "(∂E/∂W1)ᵀ",
            "msup(((mfrac(∂E|∂msup(W|(1)))))|⊤)",
        ),
        (t.Transposed(plus(a, b)), r"(a + b)^{\top}", "(a + b)ᵀ", "msup((a+b)|⊤)"),
        (t.Transposed(t.Ref("z1", (), "n")), r"(z^{(1)}_{n})^{\top}", "z1ₙᵀ", "msup((msubsup(z|n|(1)))|⊤)"),
        (t.Transposed(t.Ref("z", (), "n")), r"z^{\top}_{n}", "zₙᵀ", "msubsup(z|n|⊤)"),
        (t.Transposed(t.Over(a, b)), r"\left(\frac{a}{b}\right)^{\top}", "(a/b)ᵀ", "msup(((mfrac(a|b)))|⊤)"),
        (t.Transposed(t.ONES), r"\mathbf{1}^{\top}", "𝟏ᵀ", "msup(𝟏|⊤)"),
        (t.Applied("f", "f", (x,)), "f(x)", "f(x)", "f(x)"),
        (t.Applied("f", "f", (x, plus(a, b))), "f(x, a + b)", "f(x, a + b)", "f(x,a+b)"),
        (log_x, r"\log x", "log(x)", "log(x)"),
        (t.Applied(r"\log", "log", (plus(a, b),), True), r"\log(a + b)", "log(a + b)", "log(a+b)"),
        (t.Applied(r"\log", "log", (t.Times((a, b)),), True), r"\log(a b)", "log(a b)", "log(a b)"),
        (t.Applied("", "", (a, b)), "(a, b)", "(a, b)", "(a,b)"),
        (t.Applied(r"\max", "max", (W,), True), r"\max W^{(1)}", "max(W1)", "max(msup(W|(1)))"),
        (t.Applied("f", "f", (t.Over(a, b),)), r"f\left(\frac{a}{b}\right)", "f(a/b)", "f((mfrac(a|b)))"),
        (t.Limit(x, a, plus(b, c)), r"\lim_{x \to a} (b + c)", "lim(x → a) (b + c)", "munder(lim|x→a)(b+c)"),
        (t.Limit(x, a, t.Times((b, c))), r"\lim_{x \to a} b c", "lim(x → a) b c", "munder(lim|x→a)b c"),
        (t.Related("≤", x, a), r"x \le a", "x ≤ a", "x≤a"),
        (t.Related("≠", plus(x, y), a), r"x + y \ne a", "x + y ≠ a", "x+y≠a"),
        (t.Joined("∧", (more, less)), r"x > a \land x < b", "x > a ∧ x < b", "x>a∧x<b"),
        (
            t.Joined("∨", (t.Joined("∧", (more, less)), same)),
            r"(x > a \land x < b) \lor y = b",
            "(x > a ∧ x < b) ∨ y = b",
            "(x>a∧x<b)∨y=b",
        ),
        (
            t.Iverson((t.Related("<", t.Related("≤", leaf("0"), x), a),)),
            r"[0 \le x < a]",
            "[0 ≤ x < a]",
            "[0≤x<a]",
        ),
        (t.Iverson((t.Related("=", x, a), same)), r"[x = a,\; y = b]", "[x = a, y = b]", "[x=a,y=b]"),
        (
            t.Iverson((t.Related("=", x, t.Over(a, b)),)),
            r"\left[x = \frac{a}{b}\right]",
            "[x = a/b]",
            "[[x=mfrac(a|b)]]",
        ),
        (t.Kronecker(leaf("j"), leaf("k")), r"\delta_{jk}", "δ_jk", "msub(δ|jk)"),
        (
            t.ByCase(((a, t.Related(">", x, b)), (c, None))),
            r"\begin{cases} a & \text{if } x > b \\ c & \text{otherwise} \end{cases}",
            "where(x > b, a, c)",
            "{mtable(mtr(mtd(a)|mtd(if x>b))|mtr(mtd(c)|mtd(otherwise)))",
        ),
        (
            t.ByCase(((a, t.Related(">", x, b)), (b, t.Related("<", x, c)), (c, None))),
            r"\begin{cases} a & \text{if } x > b \\ b & \text{if } x < c \\ c & \text{otherwise} \end{cases}",
            "where(x > b, a, where(x < c, b, c))",
            "{mtable(mtr(mtd(a)|mtd(if x>b))|mtr(mtd(b)|mtd(if x<c))|mtr(mtd(c)|mtd(otherwise)))",
        ),
        (
            t.ByCase(((a, None),)),
            r"\begin{cases} a & \text{otherwise} \end{cases}",
            "a",
            "{mtable(mtr(mtd(a)|mtd(otherwise)))",
        ),
        (
            t.Matrix(((a, b), (c, x))),
            r"\begin{bmatrix} a & b \\ c & x \end{bmatrix}",
            "[[a, b], [c, x]]",
            "[mtable(mtr(mtd(a)|mtd(b))|mtr(mtd(c)|mtd(x)))]",
        ),
        (
            t.Matrix(((a, b),)),
            r"\begin{bmatrix} a & b \end{bmatrix}",
            "[a, b]",
            "[mtable(mtr(mtd(a)|mtd(b)))]",
        ),
        (
            t.Matrix(((a,), (b,))),
            r"\begin{bmatrix} a \\ b \end{bmatrix}",
            "[[a], [b]]",
            "[mtable(mtr(mtd(a))|mtr(mtd(b)))]",
        ),
        (
            t.Matrix(((t.Over(a, b),), (c,))),
            r"\begin{bmatrix} \frac{a}{b} \\[1ex] c \end{bmatrix}",
            "[[a/b], [c]]",
            "[mtable(mtr(mtd(mfrac(a|b)))|mtr(mtd(c)))]",
        ),
        (t.Slope(y, x), r"\frac{\partial y}{\partial x}", "∂y/∂x", "mfrac(∂y|∂x)"),
        (t.Slope(y, x, True), r"\frac{d y}{d x}", "dy/dx", "mfrac(dy|dx)"),
        (
            t.Slope(y, x, False, (x,)),
            r"\frac{\partial^{2} y}{\partial x^{2}}",
            "∂²y/∂x²",
            "mfrac(msup(∂|2)y|∂msup(x|2))",
        ),
        (
            t.Slope(y, x, False, (a,)),
            r"\frac{\partial^{2} y}{\partial x \partial a}",
            "∂²y/∂x∂a",
            "mfrac(msup(∂|2)y|∂x∂a)",
        ),
        (t.Slope(y, x, True, (x, x)), r"\frac{d^{3} y}{d x^{3}}", "d³y/dx³", "mfrac(msup(d|3)y|dmsup(x|3))"),
        (t.Slope(plus(a, b), x), r"\frac{\partial (a + b)}{\partial x}", "∂(a + b)/∂x", "mfrac(∂(a+b)|∂x)"),
        (t.Slope(y, t.Times((a, b))), r"\frac{\partial y}{\partial (a b)}", "∂y/∂(a b)", "mfrac(∂y|∂(a b))"),
        (big(x), r"\sum_{j} x", "Σⱼ x", "munder(∑|j)x"),
        (big(plus(a, b)), r"\sum_{j} (a + b)", "Σⱼ (a + b)", "munder(∑|j)(a+b)"),
        (big(t.Times((a, b))), r"\sum_{j} a b", "Σⱼ a b", "munder(∑|j)a b"),
        (big(x, "prod"), r"\prod_{j} x", "Πⱼ x", "munder(∏|j)x"),
        (big(x, "max"), r"\max_{j} x", "maxⱼ x", "munder(max|j)x"),
        (big(x, "argmax"), r"\operatorname*{arg\,max}_{j} x", "argmaxⱼ x", "munder(arg max|j)x"),
        (big(x, indices=(("j", "J"),)), r"\sum_{j=1}^{J} x", "Σⱼ x", "munderover(∑|j=1|J)x"),
        (big(x, indices=(("j", "J"),), origin=0), r"\sum_{j=0}^{J - 1} x", "Σⱼ x", "munderover(∑|j=0|J−1)x"),
        (big(x, indices=(("j", "5"),), origin=0), r"\sum_{j=0}^{4} x", "Σⱼ x", "munderover(∑|j=0|4)x"),
        (big(x, indices=(("j", ""), ("k", ""))), r"\sum_{j,k} x", "Σⱼₖ x", "munder(∑|j,k)x"),
        (
            big(x, indices=(("j", "J"), ("k", "K"))),
            r"\sum_{j=1}^{J} \sum_{k=1}^{K} x",
            "Σⱼₖ x",
            "munderover(∑|j=1|J)munderover(∑|k=1|K)x",
        ),
        (big(x, "max", (("j", "J"), ("k", "K"))), r"\max_{j,k} x", "maxⱼₖ x", "munder(max|j,k)x"),
        (
            big(x, "max", (("u", "K"), ("v", "K")), ("u", "v"), 0),
            r"\max_{0 \le u,v < K} x",
            "max_{u,v<K} x",
            "munder(max|0≤u,v<K)x",
        ),
        (
            big(x, "max", (("u", "K"), ("v", "L")), ("u", "v"), 1),
            r"\max_{1 \le u \le K,\, 1 \le v \le L} x",
            "max_{u≤K,v≤L} x",
            "munder(max|1≤u≤K,1≤v≤L)x",
        ),
        (
            big(x, indices=(("u", "K"), ("v", "K")), told=("u", "v"), origin=0),
            r"\sum_{u=0}^{K - 1} \sum_{v=0}^{K - 1} x",
            "Σ_{u,v<K} x",
            "munderover(∑|u=0|K−1)munderover(∑|v=0|K−1)x",
        ),
        (big(x, indices=(("aa", ""),)), r"\sum_{aa} x", "Σ_{aa} x", "munder(∑|aa)x"),
        (W, "W^{(1)}", "W1", "msup(W|(1))"),
        (z, "z^{(1)}_{nk}", "z1[n,k]", "msubsup(z|nk|(1))"),
        (D, r"\frac{\partial E}{\partial W^{(1)}}", "∂E/∂W1", "mfrac(∂E|∂msup(W|(1)))"),
        (t.Ref("x", (plus(leaf("i"), leaf("u")), leaf("j"))), "x_{i+u,j}", "x[i+u,j]", "msub(x|i+u,j)"),
        (t.Ref("z1", (), "n"), "z^{(1)}_{n}", "z1ₙ", "msubsup(z|n|(1))"),
        (t.Ref("z1", (), "", True), "Z^{(1)}", "Z1", "msup(Z|(1))"),
        (t.Ref("d z1", (), "", True), r"\Delta^{(1)}", "Δ1", "msup(Δ|(1))"),
        (
            t.Ref("d W1", (leaf("k"), leaf("j"))),
            r"\frac{\partial E}{\partial W^{(1)}_{kj}}",
            "∂E/∂W1[k,j]",
            "mfrac(∂E|∂msubsup(W|kj|(1)))",
        ),
        (leaf("0.5"), "0.5", "0.5", "0.5"),
        (leaf("-3"), "-3", "-3", "−3"),
        (t.Leaf("10^{-4}", "1e-4"), "10^{-4}", "1e-4", "msup(10|−4)"),
        (t.Leaf(r"3 \cdot 10^{-5}", "3e-5"), r"3 \cdot 10^{-5}", "3e-5", "3·msup(10|−5)"),
        (t.Leaf(r"\beta_1", "β₁"), r"\beta_1", "β₁", "msub(β|1)"),
        (t.Leaf("x_{min}", "x_min"), "x_{min}", "x_min", "msub(x|min)"),
        (t.Leaf(r"\eta_\tau", "η_τ"), r"\eta_\tau", "η_τ", "msub(η|τ)"),
        (t.Leaf(r"\cdot", "·"), r"\cdot", "·", "·"),
        (t.Leaf("", ""), "", "", ""),
        (t.ONES, r"\mathbf{1}", "𝟏", "𝟏"),
    ],
)
def test_a_node_in_every_format(node: t.Node, as_latex: str, as_text: str, as_mathml: str) -> None:
    assert latex.write(node) == as_latex
    assert text.write(node) == as_text
    assert compact(mathml.write(node)) == as_mathml
