"""Layers in networks: both modes, statistics, noise, compact gradients, how they read, what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from equations import DIGITS, spec, values
from evaluated import BATCH, check_book, check_gradients, given, run
from layer_forwards import forward, options_of
from sympy import Rational, Symbol, sqrt

from chainrule.derive.compact import compact_gradient
from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import Equation, Sum, index, size, tensor
from chainrule.present import present
from chainrule.present.text import index_text, matrix_text
from chainrule.spec import SpecError, json_schema, load_spec, parse_spec, starter

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*cnn*.toml"))


def layer(kind: str, **given_: Any) -> tuple[str, dict[str, Any]]:
    return kind, options_of(kind, **given_)


def conv(filters: int, kernel: tuple[int, int], **given_: Any) -> tuple[str, dict[str, Any]]:
    return layer("conv2d", filters=filters, kernel=kernel, **given_)


NORMAL = layer("batch_norm", epsilon=1e-2)
MEANS, GREATEST = layer("avg_pool2d", size=(2, 2)), layer("max_pool2d", size=(2, 2))
STACKS: dict[str, tuple[tuple[int, ...], list[Any]]] = {
    "lenet": (
        (5, 4, 2),
        [conv(3, (2, 2), padding="same"), "tanh", MEANS, 4, "tanh", 2, "softmax"],
    ),
    "norm first": (
        (3, 4, 2),
        [NORMAL, conv(2, (2, 2)), "relu", NORMAL, layer("dropout", rate=0.3), 2, "softmax"],
    ),
    "blocks": (
        (4, 4, 1),
        [conv(2, (3, 3), padding="same", bias=False), NORMAL, "relu", GREATEST, 3, "softmax"],
    ),
    "groups": (
        (3, 3, 4),
        [conv(4, (2, 2), groups=2, stride=(2, 1), padding=1), "swish", conv(2, (1, 1)), 2, "softmax"],
    ),
    "flipped": (
        (4, 3, 2),
        [conv(2, (2, 3), flip=True, padding="full"), "tanh", "global_avg_pool", 3, "softmax"],
    ),
    "overlapping": (
        (5, 4, 1),
        [conv(2, (2, 2)), layer("max_pool2d", size=(3, 2), stride=(1, 1)), 2, "softmax"],
    ),
    "sequences": ((5, 2), [layer("conv1d", filters=3, kernel=2, dilation=2), "relu", NORMAL, 2, "softmax"]),
    "vectors": (
        (4,),
        [5, NORMAL, "tanh", layer("layer_norm"), layer("maxout", units=3), NORMAL, 2, "softmax"],
    ),
    "norm of an image": ((2, 3, 2), [layer("layer_norm"), "tanh", layer("dropout", rate=0.5), 2, "softmax"]),
}  # fmt: skip


def derived(name: str, **options: Any) -> Derivation:
    shape, layers = STACKS[name]
    return derive_network(spec(layers, "cross_entropy", inputs=shape, **options))


@pytest.mark.parametrize("name", STACKS)
def test_networks_of_layers(name: str) -> None:
    """Numbers, reasons, every gradient against differences, long forms against compact ones."""
    derivation = derived(name, l2=0.01)
    check_book(derivation)
    check_gradients(derivation, given(derivation, 3), most=3)


# ---- two modes ---------------------------------------------------------------------------------------------


def test_training_and_evaluation_are_two_functions() -> None:
    derivation = derived("norm first")
    training, evaluation = (derivation.forward(mode) for mode in ("training", "evaluation"))
    assert [e.name for e in training] == [
        "a0", "mu1", "v1", "xhat1", "z1", "z2", "a2", "mu3", "v3", "xhat3", "z3", "a3", "a3_2", "z4", "a4",
    ]  # fmt: skip
    assert [e.name for e in evaluation] == ["a0", "z1", "z2", "a2", "z3", "a3", "a3_2", "z4", "a4"]
    modes = {e.number: e.mode for e in derivation.equations}
    for e in evaluation:
        if e.mode == "evaluation":  # right after the training equations of the layer
            assert modes[e.number - 1] == "training" and derivation.equation(e.number - 1).name == e.name
    by_number = {e.number: e for e in evaluation}
    (z3,) = (e for e in evaluation if e.name == "z3")
    assert by_number[z3.because[0]].name == "a2"
    (last,) = (e for e in evaluation if e.name == "a3")
    assert [by_number[n].name for n in last.because] == ["z3"]
    assert all("mean" not in str(e.equation) for e in derivation.role("backward"))


def test_the_values_of_evaluation() -> None:
    derivation = derived("norm first")
    arrays = given(derivation, 1)
    found = run(derivation, arrays, "forward", mode="evaluation")
    scale = arrays["gamma1"] / np.sqrt(arrays["var1"] + 1e-2)
    np.testing.assert_allclose(
        found["z1"], scale * (arrays["x"] - arrays["mean1"]) + arrays["beta1"], rtol=1e-12
    )
    np.testing.assert_array_equal(found["a3"], found["z3"])
    assert found["a4"].shape == (BATCH, 2) and "mu1" not in found
    again = run(derivation, {**arrays, "m3": 1 - arrays["m3"]}, "forward", mode="evaluation")
    np.testing.assert_array_equal(again["a4"], found["a4"])


def test_statistics_and_noise_of_a_network() -> None:
    derivation = derived("norm first")
    network = derivation.network
    assert [(s.name, s.shape, s.role, s.initial) for s in network.statistics] == [
        ("mean1", (2,), "statistic", "zeros"), ("var1", (2,), "statistic", "ones"),
        ("mean3", (2,), "statistic", "zeros"), ("var3", (2,), "statistic", "ones"),
    ]  # fmt: skip
    assert [p.name for p in network.parameters] == [
        "gamma1",
        "beta1",
        "W2",
        "b2",
        "gamma3",
        "beta3",
        "W4",
        "b4",
    ]
    assert [(m.name, m.shape, m.probability) for m in network.noise] == [("m3", (2, 3, 2), Rational(7, 10))]
    updates = derivation.role("update")
    assert [(e.name, e.mode) for e in updates] == [
        ("mean1", "training"), ("var1", "training"), ("mean3", "training"), ("var3", "training"),
        ("theta", "both"),
    ]  # fmt: skip
    assert matrix_text(updates[0].equation) == "μ̄1 ← 0.9 μ̄1 + 0.1 μ1"
    assert matrix_text(updates[1].equation) == "v̄1 ← 0.9 v̄1 + 1.2 N v1/(12 N − 1)"
    assert network.evaluation[-1].equation.name == network.output


def test_noise_has_a_name_of_its_own() -> None:
    drop = layer("dropout", rate=0.5)
    network = derive_network(spec([drop, 3, "tanh", drop, drop, 2, "softmax"], "cross_entropy")).network
    assert [m.name for m in network.noise] == ["m0", "m1", "m1_2"]


# ---- the compact gradient ----------------------------------------------------------------------------------

NORMALIZATIONS = [
    ("batch_norm", (4,), "γ1[k] (N δ1[n,k] − Σₘ δ1[m,k] − (Σₘ δ1[m,k] x̂1[m,k]) x̂1[n,k])/(N √(v1[k] + 1e-5))"),
    (
        "batch_norm",
        (2, 3, 2),
        "γ1[k] (6 N δ1[n,i,j,k] − Σ_mpq δ1[m,p,q,k] − (Σ_mpq δ1[m,p,q,k] x̂1[m,p,q,k]) x̂1[n,i,j,k])"
        "/(6 N √(v1[k] + 1e-5))",
    ),
    (
        "layer_norm",
        (7,),
        "(7 ∂E/∂x̂1[n,k] − Σⱼ ∂E/∂x̂1[n,j] − (Σⱼ ∂E/∂x̂1[n,j] x̂1[n,j]) x̂1[n,k])/(7 √(v1[n] + 1e-5))",
    ),
]  # fmt: skip


def normalized(kind: str, shape: tuple[int, ...]) -> Derivation:
    return derive_network(spec([layer(kind), "tanh", 2], inputs=shape))


@pytest.mark.parametrize(("kind", "shape", "text"), NORMALIZATIONS)
def test_the_compact_gradient_is_the_textbooks(kind: str, shape: tuple[int, ...], text: str) -> None:
    derivation = normalized(kind, shape)
    *_, long, compact = (e for e in derivation.role("backward"))
    assert index_text(compact.equation, sides="right") == text
    assert "compact gradient of a normalization" in compact.rule and "x̂" in compact.rule
    assert long.shown_only and long.name == "da0" and long.number in compact.because
    hidden = [e.name for e in derivation.role("backward") if e.shown_only]
    assert hidden == [*(["dxhat1"] if kind == "batch_norm" else []), "dv1", "dmu1", "da0"]
    assert not compact.shown_only
    read = {name for e in derivation.equations if not e.shown_only for name in e.computed.reads()}
    assert not read & set(hidden), "programs need no line that is only shown"


@pytest.mark.parametrize(("kind", "shape", "text"), NORMALIZATIONS)
def test_the_compact_gradient_is_proved(kind: str, shape: tuple[int, ...], text: str) -> None:
    """The long and the compact form agree to 45 digits; with any part of it changed they do not."""
    derivation = normalized(kind, shape)
    arrays = {k: v for k, v in given(derivation, 2).items() if k != "N"}
    with mpmath.workdps(DIGITS):
        for e in derivation.role("forward", "loss", "backward"):
            if e.mode == "evaluation":
                continue
            found = values(e.equation, arrays, {"N": mpmath.mpf(BATCH)}, precise=True)
            if e.name == "da0" or e.name == "dx":
                long = arrays.setdefault("d a0", found)
                scale = max(abs(long.reshape(-1)))
                assert max(abs((found - long).reshape(-1))) <= scale * mpmath.mpf(10) ** (5 - DIGITS)
            arrays[e.symbol] = found
        last = derivation.role("backward")[-1]
        for wrong in last.equation.right.atoms(Sum):
            changed = Equation(last.equation.left, last.equation.right.xreplace({wrong: -wrong}))
            other = values(changed, arrays, {"N": mpmath.mpf(BATCH)}, precise=True)
            assert max(abs((other - long).reshape(-1))) > scale / 10**6


def test_what_is_no_normalization_keeps_its_long_form() -> None:
    n, k = index("n"), index("k")
    N, K = size("N"), size("K")
    x, y, h = tensor("x", N, K), tensor("y", N, K), tensor("h", N, K)
    mu, v, gamma = tensor("mu", K), tensor("v", K), tensor("gamma", K)
    epsilon = Symbol("epsilon", positive=True)
    mean = Equation(mu[k], Sum(x[n, k], (n, N)) / N)
    spread = Equation(v[k], Sum((x[n, k] - mu[k]) ** 2, (n, N)) / N)
    scaled = Equation(h[n, k], (x[n, k] - mu[k]) / sqrt(v[k] + epsilon))
    out = Equation(y[n, k], h[n, k] ** 2)
    assert compact_gradient((mean, spread, scaled, out)) is not None
    for wrong in (
        Equation(mean.left, 2 * mean.right),  # no mean
        Equation(mean.left, Sum(x[n, k] ** 2, (n, N)) / N),
    ):
        assert compact_gradient((wrong, spread, scaled, out)) is None
    for wrong in (
        Equation(scaled.left, (x[n, k] - mu[k] / 2) / sqrt(v[k] + epsilon)),  # not centred
        Equation(scaled.left, gamma[k] * (x[n, k] - mu[k]) / sqrt(v[k] + epsilon)),  # γ may be 0
        Equation(scaled.left, (x[n, k] - mu[k]) / sqrt(v[k] + x[n, k] ** 2 + epsilon)),
    ):
        assert compact_gradient((mean, spread, wrong, out)) is None


# ---- how they read -----------------------------------------------------------------------------------------


def shown(name: str, symbol: str, form: Any = matrix_text) -> list[str]:
    return [form(e.equation) for e in derived(name).equations if e.name == symbol]


def test_convolutions_in_matrix_form() -> None:
    assert shown("norm first", "z2") == ["z2 = W2 ⋆ z1 + b2"]
    assert shown("norm first", "dW2") == ["∂E/∂W2 = Σₙ δ2ₙ ⋆ z1ₙ"]
    assert shown("norm first", "dz1") == ["δ1 = W2ᵀ ∗ δ2"]
    assert shown("flipped", "z1") == ["z1 = W1 ∗ a0 + b1"]
    assert shown("flipped", "dx") == ["∂E/∂x = W1ᵀ ⋆ δ1"]
    assert shown("sequences", "z1") == ["z1 = W1 ⋆(d=2) a0 + b1"]
    assert shown("blocks", "z1") == ["z1 = W1 ⋆(p=1) a0"]
    assert shown("blocks", "dx") == ["∂E/∂x = W1ᵀ ∗(p=1) δ1"]
    strided = derive_network(spec([conv(2, (2, 3), stride=(2, 1)), 2], inputs=(4, 4, 1)))
    texts = {e.name: matrix_text(e.equation) for e in strided.equations}
    assert texts["z1"] == "z1 = W1 ⋆(s=2×1) a0 + b1"
    assert texts["dx"] == "∂E/∂x[n,p,q,c] = Σ_ikv W1[k,p−2i,v,c] δ1[n,i,q−v,k]"


def test_windows_in_index_form() -> None:
    assert shown("blocks", "a2_2", index_text) == ["a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]"]
    (delta,) = shown("blocks", "dz2", index_text)
    assert delta == (
        "δ2[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_2[n,i,j,k]) "
        "[a2[n,p,q,k] > 0]"
    )  # no guard beside the winner
    (delta,) = shown("overlapping", "dz1", index_text)
    assert "argmax_{r<3,s<2} z1[n,p+r−u,q+s−v,k]" in delta


def test_modes_noise_and_long_forms_are_labelled() -> None:
    text = present(derived("norm first"), "index", "text")
    assert "m3 ∼ Bernoulli(0.7)" in text
    (line,) = (x for x in text.splitlines() if "μ̄1" in x and "z1" in x)
    assert line.endswith("in evaluation")
    assert sum(x.endswith("long form") for x in text.splitlines()) == 8
    assert re.search(r"a3\[.*m3.*in training", text) and re.search(r"a3\[.* = z3\[.*in evaluation", text)
    latex = present(derived("norm first"))
    assert r"m^{(3)} &\sim \operatorname{Bernoulli}(0.7)" in latex
    assert r"\qquad \text{in evaluation} \tag" in latex
    html = present(derived("norm first"), format="html")
    assert '<span class="label">long form</span>' in html
    steps = present(derived("blocks"), "matrix", "text", steps=True)
    assert "W ⋆ x = Σ_uc W[k,u,c] x[si+du−p,c]" in steps and "W ∗ x = Σ_uc W[k,u,c] x[si−du+p,c]" in steps


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_every_convolution_of_the_examples_has_a_matrix_form(path: Path) -> None:
    derivation = derive_network(load_spec(path))
    check_book(derivation)
    for e in derivation.equations:
        if re.fullmatch(r"z\d+", e.name) and e.mode == "both":
            assert "Σ" not in matrix_text(e.equation), e.number


# ---- what is refused ---------------------------------------------------------------------------------------

SPEC = """\
spec_version = 1
name = "images"

[input]
shape = [6, 5, 4]

[[layers]]
{layer}

[[layers]]
type = "dense"
units = 2
activation = "softmax"

[loss]
type = "cross_entropy"
"""
FAULTS = [
    ('type = "conv2d"\nfilters = 2\nkernel = 7', "E401", 10, "kernel 7, but height has 6", "kernel = 6 or"),
    (
        'type = "conv2d"\nfilters = 2\nkernel = [3, 4]\ndilation = [1, 2]',
        "E401", 10, "kernel 4 with dilation 2 covers 7 places, but width has 5", "kernel = 3 or less",
    ),
    (
        'type = "conv2d"\nfilters = 2\nkernel = 9\npadding = 1',
        "E401", 10, "height 6 with padding 1 on each side has 8", 'padding = "same"',
    ),
    ('type = "conv2d"\nfilters = 4\nkernel = 2\ngroups = 3', "E401", 11, "3 do not divide 4 channels", ""),
    ('type = "conv2d"\nfilters = 3\nkernel = 2\ngroups = 2', "E401", 11, "2 do not divide 3 filters", ""),
    ('type = "max_pool2d"\nsize = [2, 6]', "E401", 9, "size 6, but width has 5", "size = 5 or less"),
    ('type = "max_pool2d"\nsize = 2\npadding = 1', "E101", 10, "padding", ""),
    ('type = "conv2d"\nfilters = 2\nkernel = 2\npadding = "sane"', "E105", 11, "", "same"),
    ('type = "conv2d"\nfilters = 2\nkernel = [2, 2, 2]', "E104", 10, "", ""),
    ('type = "dropout"\nrate = 1.0', "E104", 9, "", ""),
    ('type = "batch_norm"\nmomentum = 1.5', "E104", 9, "", ""),
    ('type = "maxout"\nunits = 2\npieces = 1', "E104", 10, "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("table", "code", "line", "message", "hint"), FAULTS)
def test_faults(table: str, code: str, line: int, message: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(SPEC.format(layer=table), "images.toml")
    (problem,) = caught.value.problems
    assert (problem.code, problem.line) == (code, line)
    assert problem.column == 1 or problem.column > 5
    assert message in problem.message and hint in problem.hint
    if code == "E401":
        assert "after the input, which gives (6, 5, 4)" in problem.message


def test_images_are_needed() -> None:
    text = SPEC.replace("[6, 5, 4]", "[6]").format(layer='type = "conv2d"\nfilters = 2\nkernel = 2')
    with pytest.raises(SpecError, match=r"conv2d takes samples of 3 axes, not 1"):
        parse_spec(text, "images.toml")


def test_an_image_is_no_sequence() -> None:
    text = SPEC.format(layer='type = "conv1d"\nfilters = 2\nkernel = 2')
    with pytest.raises(SpecError, match=r"conv1d takes samples of 2 axes, not 3"):
        parse_spec(text, "images.toml")


def test_a_huge_layer_is_refused_at_once() -> None:
    table = 'type = "conv2d"\nfilters = 1000000\nkernel = 1000\npadding = "same"'
    with pytest.raises(SpecError, match="GiB") as caught:
        parse_spec(SPEC.format(layer=table), "images.toml")
    assert caught.value.problems[0].code == "E402"


def test_schema_and_starter_know_the_layers() -> None:
    schema = str(json_schema())
    for kind in ("conv2d", "conv1d", "max_pool2d", "avg_pool2d", "global_avg_pool", "batch_norm", "dropout"):
        assert f"'{kind}'" in schema
    assert "conv2d" in starter("first_try")


def test_the_size_of_a_layer_costs_nothing() -> None:
    """The same templates serve every width, so that their derivatives are found once."""
    small, large = (
        forward("conv2d", (s, s, c), filters=f, kernel=(3, 3)) for s, c, f in ((8, 1, 2), (64, 32, 64))
    )
    assert small.equations == large.equations
