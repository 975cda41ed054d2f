"""Label smoothing is an equation."""

from __future__ import annotations

import numpy as np
import pytest
from cases.own_formulas import refused
from kernel_runs import Device, disagreements, programs
from random_specs import build

from chainrule.derive.deriving import derive_network
from chainrule.runtime.gradcheck import check_gradients
from chainrule.spec import parse_spec

SMOOTH = """spec_version = 1
name = "smooth"
[input]
shape = [4]
[[layers]]
type = "dense"
units = 3
activation = "softmax"
[loss]
type = "cross_entropy"
label_smoothing = 0.1
"""
SOFT_ROWS = (
    "[training.data]\ninputs = [[1, 0, 0, 1], [0, 1, 0, 0]]\ntargets = [[0.5, 0.5, 0], [0, 0.2, 0.8]]\n"
)


@pytest.mark.parametrize("soft", [False, True])
def test_d9_label_smoothing_is_an_equation(soft):
    text = SMOOTH + (SOFT_ROWS if soft else "")
    one = build(text)
    module, rng = one.program.module, np.random.default_rng(0)
    parameters, x = module.init_parameters(1, np.float64), rng.normal(size=(5, 4))
    t = rng.dirichlet(np.ones(3), 5) if soft else np.array([0, 1, 2, 0, 1])
    smoothed = 0.9 * (t if soft else np.eye(3)[t]) + 0.1 / 3
    wanted = -(smoothed * np.log(module.predict(parameters, x))).sum() / 5
    assert module.loss(parameters, x, t) == pytest.approx(wanted, rel=1e-13)
    assert check_gradients(one.program).passed
    definition, *_ = derive_network(one.spec).equations
    assert definition.role == "definition" and "0.9" in definition.text() and "1/30" in definition.text()
    both = programs(text)
    if not soft:
        assert disagreements(both, Device(both, both.compiled(), 3, np.float64), 3, 2, 1e-10) == {}


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ('type = "mse"\nlabel_smoothing = 0.1', 'expected the loss "cross_entropy"'),
        ('type = "cross_entropy"\nlabel_smoothing = 1', "< 1"),
        ('type = "cross_entropy"\nlabel_smoothing = -0.1', ">= 0"),
    ],
)
def test_d9_label_smoothing_is_refused(loss, said):
    text = SMOOTH.replace('type = "cross_entropy"\nlabel_smoothing = 0.1', loss)
    assert any(said in str(problem) for problem in refused(text))


def test_d9_no_smoothing_changes_nothing():
    plain = SMOOTH.replace("label_smoothing = 0.1\n", "")
    zero = SMOOTH.replace("0.1", "0.0")
    assert [str(e) for e in derive_network(parse_spec(plain, "s.toml")).equations] == [
        str(e) for e in derive_network(parse_spec(zero, "s.toml")).equations
    ]
