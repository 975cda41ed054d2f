"""Errors planted in equations, statements and generated text: every one is caught, and by whom.

Each error changes a right program by one slip that people make.  The judges are ``differences`` (the
gradient check), ``gradients`` and ``steps`` (PyTorch, by autograd and by ten steps of its optimizer), and the
verifier.  All of them acquit the program as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sympy
from new_layers import NEW_LAYERS, layer, stack
from numpy.typing import NDArray
from random_specs import Built, build
from right_sides import (
    Change,
    exchange,
    negate,
    on_nodes,
    on_reads,
    renamed,
    times,
    transposed,
    without_a_term,
)
from sympy import Add, Expr, Indexed, Symbol
from torch_reference import Reference, relative_error

import chainrule.codegen.folder
import chainrule.codegen.generate
import chainrule.codegen.target as target
from chainrule.codegen.ir.program import Contract, Map, Program, Reduce
from chainrule.codegen.ir.verify import VerificationError
from chainrule.codegen.lower.affine import Costs
from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import Equation, Inside, Sum, access, index, size, tensor
from chainrule.derive.layers import LAYERS
from chainrule.derive.network import N
from chainrule.runtime.gradcheck import check_gradients
from chainrule.runtime.program import load_program
from chainrule.spec.load import parse_spec

AGREEMENT = 1e-10
Array = NDArray[Any]
n, k, j, i = map(index, ("n", "k", "j", "i"))
ETA, STEP = Symbol("learning_rate", positive=True), Symbol("k", integer=True, positive=True)
BETA1, BETA2 = Symbol("beta1", positive=True), Symbol("beta2", positive=True)


# ---- The networks ----------------------------------------------------------------------------------


def dense(units: int, activation: str | None = None) -> str:
    short = f'\nactivation = "{activation}"' if activation else ""
    return f'type = "dense"\nunits = {units}\nbias_init = "normal(0, 0.2)"{short}'


def optimizer(kind: str) -> str:
    return f'\n[optimizer]\ntype = "{kind}"\n'


CLASSES = stack([4], dense(4, "sigmoid"), dense(4, "tanh"), dense(3, "softmax"), loss="cross_entropy",
                tail=optimizer("adam"))  # fmt: skip
VALUES = stack([4], dense(4, "relu"), dense(4), loss="mse", tail=optimizer("momentum"))
SHARES = stack([4], dense(4, "tanh"), dense(4, "softmax"), loss="mse", tail=optimizer("rmsprop"))
BITS = stack([4], dense(4, "tanh"), dense(2, "sigmoid"), loss="binary_cross_entropy",
             tail=optimizer("adagrad"))  # fmt: skip
CONVOLUTION = stack([7, 2], layer("conv1d", kernel=3, stride=2, padding=1), 'type = "tanh"',
                    layer("conv1d", filters=2, kernel=2, padding=1), dense(2))  # fmt: skip
MEANS = stack([7, 1], layer("avg_pool1d", width=3, stride=2), dense(3))
POOL = stack([6, 1], layer("max_pool1d", width=3), dense(3))
NORM = stack([4], dense(5), layer("layer_norm"), dense(3))


# ---- Changes of a right side -----------------------------------------------------------------------


def first_sample_only(right: Expr) -> Expr:
    """The gradient of one row of the batch, where it is to be their sum."""
    first = sympy.Integer(0)
    return right.replace(lambda e: isinstance(e, Sum), lambda e: e.body.xreplace({e.bound[0]: first}))


def half_of_the_decay(right: Expr) -> Expr:
    return right.replace(
        lambda e: isinstance(e, Add), lambda e: Add(*(t if t.has(Sum) else t / 2 for t in e.args))
    )


# ---- The errors ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Planted:
    """An error: the network, what is changed in the equations of these names, and who catches it.

    ``rewritten`` changes the text of the program instead; ``x`` gives the judges inputs of their own.
    """

    what: str
    spec: str
    changes: Mapping[str, Change] = field(default_factory=dict)
    caught_by: tuple[str, ...] = ("differences", "gradients", "steps")
    rewritten: tuple[str, str] | None = None
    x: Callable[[], Array] | None = None


def zeros() -> Array:
    return np.zeros((3, 4))


def tied() -> Array:
    return np.array([[[1.0], [5.0], [5.0], [5.0], [2.0], [2.0]]])


INPUT_ONLY = ("differences", "gradients")  # the parameters' steps are right


# How `first` goes through a window; backwards, the last of equals wins.
PLACES = """reached, here = np.zeros(best.shape, bool), np.empty(best.shape, bool)
    for window in np.ndindex(*(values.shape[axis] for axis in axes)):"""


PLANTED = (
    Planted("the sign of a delta", CLASSES, {"d z2": negate}),
    Planted("1/N is missing", CLASSES, {"d z3": times(N)}),
    Planted("W in place of its transpose, in a square layer", CLASSES, {"d z1": transposed("W2")}),
    Planted("sigma' of the wrong layer", CLASSES, {"d z1": renamed("a1", "a2")}),
    Planted("the derivative of tanh without its square", CLASSES,
            {"d z2": on_nodes(sympy.Pow, lambda e: e.base)}),
    Planted("a bias gradient of one row of the batch", CLASSES, {"d b1": first_sample_only}),
    Planted("a bias gradient that is a mean", CLASSES, {"d b2": times(1 / N)}),
    Planted("a weight gradient of the wrong input", CLASSES, {"d W2": renamed("a1", "a2")}),
    Planted("l2 with the factor 1 for 2", CLASSES, {"d W2": half_of_the_decay}),
    Planted("no decay at all", CLASSES, {"d W1": without_a_term(lambda t: not t.has(Sum))}),
    Planted("p + t for p - t", CLASSES, {"d z3": on_reads("T", negate)}),
    Planted("the loss summed, the gradient a mean", CLASSES, {"E": times(N)}, ("differences", "gradients")),
    Planted("loss and gradient summed", CLASSES, {"E": times(N), "d z3": times(N)}, ("gradients", "steps")),
    Planted("a layer without its bias", CLASSES, {"z2": without_a_term(lambda t: not t.has(Sum))}),
    Planted("Adam without its correction", CLASSES,
            {"theta": lambda r: r.xreplace({beta**STEP: sympy.S.Zero for beta in (BETA1, BETA2)})},
            ("steps",)),
    Planted("Adam's betas exchanged", CLASSES,
            {name: exchange(BETA1, BETA2) if name == "m" else exchange(BETA2, BETA1) for name in ("m", "v")},
            ("steps",)),
    Planted("Adam's step counted from 0", CLASSES, {"theta": exchange(STEP, STEP + 1)}, ("steps",)),
    Planted("Adam's square forgotten", CLASSES,
            {"v": on_nodes(sympy.Pow, lambda e: sympy.Abs(e.base))}, ("steps",)),
    Planted("up the hill", CLASSES, {"theta": exchange(ETA, -ETA)}, ("steps",)),
    Planted("y + t for y - t", VALUES, {"d z2": on_reads("t", negate)}),
    Planted("t - y for y - t", VALUES, {"d z2": negate}),
    Planted("no factor 1/2 in the loss", VALUES, {"E": times(2)}, ("differences", "gradients")),
    Planted("relu' where the unit is off", VALUES,
            {"d z1": on_nodes(sympy.Le, lambda e: sympy.Gt(*e.args))}),
    Planted("relu' is 1 at 0", VALUES, {"d z1": on_nodes(sympy.Le, lambda e: sympy.Lt(*e.args))},
            ("gradients", "steps"), x=zeros),
    Planted("momentum that forgets", VALUES, {"theta": renamed("v", "g")}, ("steps",)),
    Planted("softmax's derivative without its coupling", SHARES,
            {"d z2": without_a_term(lambda t: t.has(Sum))}),
    Planted("RMSprop's epsilon under the root", SHARES,
            {"theta": on_nodes(sympy.Pow, lambda e: _under_root(e))}, ("steps",)),
    Planted("AdaGrad without a memory", BITS,
            {"h": lambda r: r - Add(*(t for t in r.args if isinstance(t, Indexed)))}, ("steps",)),
    Planted("1 - t lost in the cross-entropy", BITS,
            {"E": without_a_term(lambda t: t.has(Indexed) and "1 - t" in str(t) and not t.is_Indexed)},
            ("differences", "gradients")),
    Planted("a window that starts one late", CONVOLUTION,
            {"z1": on_reads("a0", lambda e: access(e.base, e.indices[0], e.indices[1] + 1, e.indices[2]))},
            ("differences",)),
    Planted("the guard of an adjoint off by one", MEANS,
            {"d x": on_nodes(Inside, lambda e: Inside(e.expression + 1, e.size))}, INPUT_ONLY),
    Planted("the guard of an adjoint lost", MEANS, {"d x": on_nodes(Inside, lambda e: sympy.S.One)},
            INPUT_ONLY),
    Planted("the kernel not flipped in the adjoint", CONVOLUTION,
            {"d z1": on_reads("W2", lambda e: access(e.base, e.indices[0], 1 - e.indices[1], e.indices[2]))},
            ("differences",)),
    Planted("the last of equals wins", POOL, {}, ("gradients",),
            rewritten=(PLACES, PLACES.replace("in np.", "in reversed(list(np.").replace(":", ")):")), x=tied),
    Planted("the loser of a window gets the gradient", POOL,
            {}, ("differences", "gradients"), rewritten=("np.equal(values", "np.not_equal(values")),
    Planted("one of three cotangents lost", NORM,
            {"d z1": without_a_term(lambda t: "d v2" in str(t))}, ("differences",)),
    Planted("a mean that counts one too few", NORM, {"d z1": times(sympy.Rational(5, 4))}, ("differences",)),
)  # fmt: skip


def _under_root(power: Expr) -> Expr:
    """1/(√h + ε) as 1/√(h + ε)."""
    if power.exp == -1 and isinstance(power.base, Add):
        roots = [t for t in power.base.args if t.has(Indexed)]
        rest = Add(*(t for t in power.base.args if not t.has(Indexed)))
        return 1 / sympy.sqrt(roots[0] ** 2 + rest)
    return power


# ---- Planting and judging --------------------------------------------------------------------------


def changed(derivation: Derivation, changes: Mapping[str, Change]) -> Derivation:
    """The derivation with right sides changed; every named one must change."""
    left, equations = set(changes), []
    for entry in derivation.equations:
        if entry.symbol in left:
            right = changes[entry.symbol](entry.computed.right)
            assert right != entry.computed.right, f"{entry.name} did not change: {right}"
            entry = replace(entry, computed=Equation(entry.computed.left, right))
            left.discard(entry.symbol)
        equations.append(entry)
    assert not left, f"no equation of {left}"
    return replace(derivation, equations=tuple(equations))


def program(planted: Planted, folder: Path, monkeypatch: pytest.MonkeyPatch, plant: bool) -> Built:
    spec = parse_spec(planted.spec, "spec.toml")
    if plant and planted.changes:
        wrong = changed(derive_network(spec), planted.changes)
        monkeypatch.setattr(chainrule.codegen.generate, "derive_network", lambda _: wrong)
    generated = chainrule.codegen.generate.generate(spec)
    monkeypatch.undo()
    code = generated.files["numpy_trainer.py"]
    if plant and planted.rewritten:
        assert planted.rewritten[0] in code
        code = code.replace(*planted.rewritten)
        generated.files["numpy_trainer.py"] = code
    written = chainrule.codegen.folder.write(generated, folder / ("wrong" if plant else "right"), force=True)
    return Built(spec, load_program(written, edited="allow"), code)


def verdicts(torch: ModuleType, one: Built, x: Array | None) -> set[str]:
    """The judges that object to a program."""
    objections = set()
    if not check_gradients(one.program, samples=12, batch=3).passed:
        objections.add("differences")
    if any(layer.type in ("conv1d", "layer_norm") for layer in one.spec.layers):
        return objections  # of which PyTorch's forms are not those of these layers
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3, *one.program.input_shape)) if x is None else x
    t: Array = rng.standard_normal((len(x), *one.program.output_shape))
    if one.program.target_kind == "labels":
        t = rng.integers(0, one.program.classes, len(x))
    elif one.program.loss_type == "binary_cross_entropy":
        t = rng.integers(0, 2, t.shape).astype(float)
    module = one.program.module
    parameters = module.init_parameters(4, np.float64)
    if not x.any():  # units exactly at their kink
        parameters["b1"][...] = 0
    own = {
        "max_pool1d": lambda u: torch.nn.functional.max_pool1d(u.transpose(1, 2), 3, 1).transpose(1, 2),
        "avg_pool1d": lambda u: torch.nn.functional.avg_pool1d(u.transpose(1, 2), 3, 2).transpose(1, 2),
    }
    reference = Reference(torch, one.spec, parameters, own)
    wanted_loss, wanted = reference.gradients(x, t)
    loss, gradients = module.loss_and_gradients(parameters, x, t)
    found = {**gradients, "x": module.input_gradient(parameters, x, t)}
    errors = [relative_error(found[name], value) for name, value in wanted.items()]
    if max(*errors, abs(loss - wanted_loss) / abs(wanted_loss)) > AGREEMENT:
        objections.add("gradients")
    state = module.init_optimizer(parameters)
    for _ in range(10):
        reference.step(x, t)
        module.train_step(parameters, x, t, state)
    if max(relative_error(parameters[name], v) for name, v in reference.values().items()) > AGREEMENT:
        objections.add("steps")
    return objections


@pytest.fixture(autouse=True)
def new_layers() -> Iterator[None]:
    """The layers of the other tests, for as long as a test runs: in a patch that no test undoes."""
    with pytest.MonkeyPatch.context() as patch:
        for one in NEW_LAYERS:
            patch.setitem(LAYERS, one.name, one)
        yield


@pytest.mark.parametrize("spec", dict.fromkeys(planted.spec for planted in PLANTED), ids=range(8))
def test_right_programs_are_acquitted(
    torch: ModuleType, spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for points in {planted.x for planted in PLANTED if planted.spec == spec} | {None}:
        one = program(Planted("nothing", spec), tmp_path, monkeypatch, plant=False)
        assert verdicts(torch, one, points() if points else None) == set()


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.what)
def test_a_planted_error_is_caught(
    torch: ModuleType, planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = program(planted, tmp_path, monkeypatch, plant=True)
    found = verdicts(torch, one, planted.x() if planted.x else None)
    assert found >= set(planted.caught_by), f"{planted.what}: only {found or 'nobody'} objects"


# ---- Statements ------------------------------------------------------------------------------------


def statement(kind: type, out: str) -> Callable[[Any], bool]:
    return lambda s: isinstance(s, kind) and s.out == out


@dataclass(frozen=True)
class Broken:
    """A slip in lowering: the statement that it concerns, and what becomes of it (None: it is lost)."""

    what: str
    picks: Callable[[Any], bool]
    change: Callable[[Any], Any]


STATEMENTS = (
    Broken("a lost matrix product", statement(Contract, "z2_sum"), lambda s: None),
    Broken("a lost update of the parameters", lambda s: s.out == "theta", lambda s: None),
    Broken("a lost derivative of an activation", statement(Map, "d z2"), lambda s: None),
    Broken("a lost bias", lambda s: isinstance(s, Map) and s.out == "z1", lambda s: None),
    Broken("a maximum for a sum", statement(Reduce, "a3_sum"), lambda s: replace(s, operation="max")),
    Broken("a sum over the batch for one over classes", statement(Reduce, "a3_sum"),
           lambda s: replace(s, over=s.indices, indices=s.over)),
    Broken("a weight read the other way round", statement(Contract, "d z1_sum"),
           lambda s: replace(s, **{
               side: replace(getattr(s, side), indices=getattr(s, side).indices[::-1])
               for side in ("left", "right") if getattr(s, side).name == "W2"})),
    Broken("the labels as numbers", lambda s: s.out == "d z3",
           lambda s: replace(s, formula=s.expression - access(tensor("t", size("N")), n))),
)  # fmt: skip


@pytest.mark.parametrize("broken", STATEMENTS, ids=lambda broken: broken.what)
def test_a_planted_slip_in_lowering_is_caught(
    torch: ModuleType, broken: Broken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the verifier, before there is a program; or by the judges of the program."""
    lower = target.lower

    def wrong(derivation: Derivation, costs: Costs) -> Program:
        right = lower(derivation, costs)
        hit = [s for s in right.statements(*right.sections) if broken.picks(s)]
        assert hit, f"nothing to break: {[s.out for s in right.statements(*right.sections)]}"
        sections = {
            name: tuple(new for s in listed if (new := broken.change(s) if s is hit[-1] else s) is not None)
            for name, listed in right.sections.items()
        }
        return replace(right, sections=sections)

    monkeypatch.setattr(target, "lower", wrong)
    try:
        one = program(Planted("", CLASSES), tmp_path, monkeypatch, plant=False)
    except VerificationError:
        return
    assert verdicts(torch, one, None), f"{broken.what}: nobody objects"


# ---- What is not exercised -------------------------------------------------------------------------


def test_a_gradient_that_is_zero_everywhere_is_a_failure() -> None:
    """A network that is dead wherever it is looked at certifies nothing."""
    tail = '\n[activations.far]\nformula = "where(x > 1000, x, 0)"\n'
    spec = stack([3], dense(3, "far"), dense(2), tail=tail).replace("l2 = 0.01", "")
    report = check_gradients(build(spec).program, samples=6)
    found = {row.tensor: row.verdict for row in report.rows}
    assert not report.passed
    assert found["W1"] == found["b1"] == "not exercised"
    assert found["b2"] == "pass"


def test_there_are_at_least_twelve_of_each_kind() -> None:
    assert len({planted.what for planted in PLANTED}) == len(PLANTED) >= 12
    for judge in ("differences", "gradients", "steps"):
        assert sum(judge in planted.caught_by for planted in PLANTED) >= 12
