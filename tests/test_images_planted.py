"""Errors planted in image networks, in equations and in their way to a program: every one is caught.

The judges are ``differences`` (the gradient check), ``gradients`` and ``steps`` (PyTorch: one gradient, and
what ten steps make of parameters and running statistics), ``evaluation`` (PyTorch in evaluation), ``masks``
(what the masks of dropout must be) and the verifier.  All of them acquit the programs as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sympy
from machine_sizes import SMALL_PIECES, generated_with
from numpy.typing import NDArray
from random_specs import Built
from sympy import Indexed, Rational, Symbol
from test_images_torch import AGREEMENT, masks
from test_planted_errors import Change, negate, on_nodes, on_reads, renamed, times, without_a_term
from torch_images import ImageReference
from torch_reference import relative_error

import chainrule.codegen.folder
import chainrule.codegen.generate
import chainrule.codegen.lower.equation
import chainrule.codegen.target as target
import chainrule.codegen.targets.numpy.gathering
import chainrule.codegen.targets.numpy.trainer
from chainrule.codegen.ir.program import Draw, Loop, Pad, Program, Reduce, Scatter, Window
from chainrule.codegen.ir.verify import VerificationError
from chainrule.codegen.lower import affine
from chainrule.codegen.lower.affine import Costs
from chainrule.codegen.lower.emitter import LoweringError
from chainrule.codegen.passes.optimize import Pass
from chainrule.derive.deriving import Derivation, derive_network
from chainrule.derive.index import Equation, Sum, Winner, access, index
from chainrule.derive.network import N
from chainrule.runtime.gradcheck import check_gradients
from chainrule.runtime.program import load_program
from chainrule.spec.load import parse_spec

BATCH = 5  # in pieces of one to four samples
Array = NDArray[Any]


# ---- The networks ----------------------------------------------------------------------------------


def network(shape: tuple[int, ...], *layers: str, loss: str = "mse", l2: float = 0) -> str:
    tables = "\n\n".join(f"[[layers]]\n{layer}" for layer in layers)
    head = f'spec_version = 1\nname = "planted"\n\n[input]\nshape = {list(shape)}'
    return f'{head}\n\n{tables}\n\n[loss]\ntype = "{loss}"\nl2 = {l2}\n\n[optimizer]\nlearning_rate = 0.05\n'


def layer(kind: str, **options: object) -> str:
    lines = [f'type = "{kind}"', *(f"{key} = {json.dumps(value)}" for key, value in options.items())]
    return "\n".join(lines)


DENSE = layer("dense", units=2)
CONV = network(
    (6, 5, 2),
    layer("conv2d", filters=4, kernel=[3, 2], stride=[2, 1], padding=1, dilation=[1, 2]),
    layer("tanh"),
    layer("conv2d", filters=3, kernel=2, padding="same"),
    layer("dense", units=3, activation="softmax"),
    loss="cross_entropy",
    l2=0.01,
)
SQUARE = network((5, 5, 2), layer("conv2d", filters=2, kernel=3, flip=True, stride=2, padding=1),
                 layer("tanh"), layer("conv2d", filters=2, kernel=2, stride=1), DENSE)  # fmt: skip
WIDER = network((5, 6, 1), layer("conv2d", filters=1, kernel=2), layer("tanh"),
                layer("conv2d", filters=6, kernel=3, stride=[2, 1]), DENSE)  # fmt: skip
GROUPS = network((4, 3, 4), layer("conv2d", filters=4, kernel=2, groups=2), layer("tanh"), DENSE)
POOLS = network((7, 6, 2), layer("max_pool2d", size=3, stride=[2, 1]), layer("conv2d", filters=2, kernel=1),
                layer("tanh"), layer("avg_pool2d", size=2, stride=1), DENSE)  # fmt: skip
NORM = network(
    (4, 3, 2),
    layer("conv2d", filters=3, kernel=2, bias=False),
    layer("batch_norm", momentum=0.8),
    layer("tanh"),
    DENSE,
)
LAYER_NORM = network((4, 3, 2), layer("layer_norm"), layer("conv2d", filters=3, kernel=2), layer("tanh"),
                     layer("global_avg_pool"), layer("maxout", units=3), DENSE)  # fmt: skip
DROPOUT = network((4, 3, 3), layer("conv2d", filters=3, kernel=3, padding="same"),
                  layer("dropout", rate=0.25), layer("tanh"), layer("dropout", rate=0.25), DENSE)  # fmt: skip
NETWORKS = (CONV, SQUARE, WIDER, GROUPS, POOLS, NORM, LAYER_NORM, DROPOUT)


# ---- Errors in equations ---------------------------------------------------------------------------


def shifted(name: str, axis: int, by: int) -> Change:
    """Read a tensor one place further."""

    def change(read: Indexed) -> sympy.Expr:
        at = list(read.indices)
        at[axis] += by
        return access(read.base, *at)

    return on_reads(name, change)


def turned(name: str, axis: int, extent: int) -> Change:
    """Read a kernel the other way round along an axis."""

    def change(read: Indexed) -> sympy.Expr:
        at = list(read.indices)
        at[axis] = extent - 1 - at[axis]
        return access(read.base, *at)

    return on_reads(name, change)


def exchanged_slopes(name: str) -> Change:
    """Exchange stride and dilation: i·s + u·d − p as i·d + u·s − p."""
    i, j, u, v = (index(letter) for letter in "ijuv")
    swap = {i: u, u: i, j: v, v: j}
    return on_reads(name, lambda e: access(e.base, *(at.xreplace(swap) for at in e.indices)))


def last_of_equals(right: sympy.Expr) -> sympy.Expr:
    """The last winner of a maximum instead of the first: the window counted from its end."""

    def change(winner: Winner) -> sympy.Expr:
        turn = {symbol: size - 1 - symbol for symbol, size in winner.axes}
        places = [size - 1 - at for at, (_, size) in zip(winner.at, winner.axes, strict=True)]
        return Winner(winner.body.xreplace(turn), places, *winner.axes)

    return on_nodes(Winner, change)(right)


@dataclass(frozen=True)
class Planted:
    """An error in the equations of these names (``name`` or ``name in MODE``), and who must catch it."""

    what: str
    spec: str
    changes: Mapping[str, Change] = field(default_factory=dict)
    caught_by: tuple[str, ...] = ("gradients", "steps")
    x: Callable[[], Array] | None = None


def equal_pixels() -> Array:
    """Images of three different values, so that many windows have several greatest ones."""
    return np.random.default_rng(0).integers(0, 3, (BATCH, 7, 6, 2)).astype(float)


DERIVED = ("differences", "gradients", "steps")  # a wrong gradient of a right loss
INPUT_ONLY = ("differences", "gradients")
KEPT = ("steps", "evaluation")
EQUATIONS = (
    Planted("the sign of a convolution's delta", CONV, {"d z1": negate}, DERIVED),
    Planted("padding off by one", CONV, {"z1": shifted("a0", 1, -1)}),
    Planted("padding off by one, backwards only", CONV, {"d W1": shifted("a0", 1, -1)}, DERIVED),
    Planted("the odd zero before", CONV, {"z2": shifted("a1", 2, -1)}),
    Planted("stride and dilation exchanged in the weight gradient", CONV,
            {"d W1": exchanged_slopes("a0")}, DERIVED),
    Planted("the kernel not turned in the adjoint", CONV, {"d z1": turned("W2", 1, 2)}, DERIVED),
    Planted("the kernel not turned in the input's gradient", CONV, {"d x": turned("W1", 2, 2)}, INPUT_ONLY),
    Planted("a convolution that turns its kernel", CONV, {"z2": turned("W2", 1, 2)}),
    Planted("flip turns one axis of two", SQUARE, {"z1": turned("W1", 1, 3)}),
    Planted("a bias that adds up samples only", CONV,
            {"d b1": lambda right: Sum(
                right.body.xreplace(dict.fromkeys(right.bound[1:], sympy.S.Zero)), right.axes[0])}, DERIVED),
    Planted("no decay of a kernel", CONV, {"d W2": without_a_term(lambda t: not t.has(Sum))}, DERIVED),
    Planted("a group that reads its neighbour", GROUPS,
            {"h1": on_reads("a0", lambda e: e.xreplace({index("g"): 1 - index("g")}))}),
    Planted("the last of equals wins", POOLS, {"d x": last_of_equals}, ("gradients",), x=equal_pixels),
    Planted("a mean over one place too few", POOLS, {"a1_2": times(Rational(4, 3))}),
    Planted("the adjoint of a mean not divided", POOLS, {"d z1": times(4)}, DERIVED),
    Planted("the adjoint of a mean one place off", POOLS, {"d z1": shifted("d a1_2", 1, 1)}, DERIVED),
    Planted("1/M missing in the mean of a batch", NORM, {"mu2": times(6)}),
    Planted("1/M missing in the variance", NORM, {"v2": times(6)}),
    Planted("the unbiased variance in training", NORM, {"v2": times(6 * N / (6 * N - 1))}),
    Planted("epsilon outside the root", NORM,
            {"xhat2": on_nodes(sympy.Pow, lambda e: 1 / (sympy.sqrt(e.base.args[1]) + e.base.args[0])
                               if e.exp == Rational(-1, 2) else e)}),
    Planted("batch norm's gradient without its coupling", NORM,
            {"d z1": without_a_term(lambda t: "xhat2" in str(t))}, DERIVED),
    Planted("batch norm's gradient without 1/M", NORM, {"d z1": times(6 * N)}, DERIVED),
    Planted("gamma's gradient without the standardized values", NORM,
            {"d gamma2": on_reads("xhat2", lambda e: sympy.S.One)}, DERIVED),
    Planted("running statistics that are not kept", NORM,
            {"mean2": renamed("mu2", "mean2")}, KEPT),
    Planted("momentum the wrong way round", NORM,
            {"mean2": lambda right: sympy.Add(*(t / t.args[0] * (1 - t.args[0]) for t in right.args))}, KEPT),
    Planted("a running variance that is biased", NORM,
            {"var2": on_nodes(sympy.Pow, lambda e: 1 / (6 * N))}, KEPT),
    Planted("evaluation with the statistics of one", NORM,
            {"z2 in evaluation": on_reads("var2", lambda e: sympy.S.One)}, ("evaluation",)),
    Planted("layer norm over one value too few", LAYER_NORM, {"v1": times(Rational(24, 23))}),
    Planted("the loser of maxout gets the gradient", LAYER_NORM,
            {"d h3": on_nodes(Winner, lambda e: 1 - e)}, DERIVED),
    Planted("a global mean that is a sum, backwards", LAYER_NORM, {"d z2": times(6)}, DERIVED),
    Planted("dropout without its scale", DROPOUT, {"a1 in training": times(Rational(3, 4))}),
    Planted("dropout that scales in evaluation", DROPOUT, {"a1 in evaluation": times(Rational(3, 4))},
            ("evaluation",)),
    Planted("the mask forgotten, backwards", DROPOUT,
            {"d z1": on_reads("m1", lambda e: sympy.S.One)}, DERIVED),
)  # fmt: skip


# ---- Planting and judging --------------------------------------------------------------------------


def changed(derivation: Derivation, changes: Mapping[str, Change]) -> Derivation:
    """The derivation with right sides changed; every named one must change."""
    left, equations = set(changes), []
    for entry in derivation.equations:
        for key in () if entry.shown_only else (entry.symbol, f"{entry.symbol} in {entry.mode}"):
            if key in changes:
                right = changes[key](entry.computed.right)
                assert right != entry.computed.right, f"{key} did not change: {right}"
                entry = replace(entry, computed=Equation(entry.computed.left, right))
                left.discard(key)
        equations.append(entry)
    assert not left, f"no equation of {left} in {[e.symbol for e in derivation.equations]}"
    return replace(derivation, equations=tuple(equations))


def program(spec_text: str, folder: Path) -> Built:
    """The program of a spec, in small pieces, made with whatever was patched."""
    spec = parse_spec(spec_text, "spec.toml")
    with generated_with(**SMALL_PIECES):
        generated = chainrule.codegen.generate.generate(spec)
    written = chainrule.codegen.folder.write(generated, folder, force=True)
    built = Built(spec, load_program(written), generated.files["numpy_trainer.py"])
    built.program.module.THREADS = 2  # whatever the machine has
    return built


def verdicts(torch: ModuleType, one: Built, x: Array | None = None) -> set[str]:
    """The judges that object to a program."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((BATCH, *one.program.input_shape)) if x is None else x
    t: Array = rng.standard_normal((len(x), *one.program.output_shape))
    if one.program.target_kind == "labels":
        t = rng.integers(0, one.program.classes, len(x))
    module = one.program.module
    parameters = module.init_parameters(4, np.float64)
    for value in parameters.values():
        value += rng.uniform(-0.2, 0.2, value.shape)
    judge = ImageReference(torch, one.spec, parameters, tuple(module.STATISTICS))
    objections = set() if check_gradients(one.program, samples=8, batch=BATCH).passed else {"differences"}
    judge.draw(masks(one, len(x), 7))
    wanted_loss, wanted = judge.gradients(x, t)
    loss, gradients = module.loss_and_gradients(parameters, x, t, seed=7)
    found = {**gradients, "x": module.input_gradient(parameters, x, t, seed=7)}
    if abs(loss - wanted_loss) > AGREEMENT * abs(wanted_loss) or differ(found, wanted):
        objections.add("gradients")
    state = module.init_optimizer(parameters)
    for step in range(10):
        judge.draw(masks(one, len(x), step))
        judge.step(x, t)
        module.train_step(parameters, x, t, state, seed=step)
    if differ(parameters, judge.values()):
        objections.add("steps")
    if relative_error(module.predict(parameters, x), judge.evaluate(x, t)[0]) > AGREEMENT:
        objections.add("evaluation")
    if "dropout" in one.spec.source and not right_masks(one):
        objections.add("masks")
    return objections


def differ(found: dict[str, Array], wanted: dict[str, Array]) -> bool:
    return any(relative_error(found[name], value) > AGREEMENT for name, value in wanted.items())


def right_masks(one: Built) -> bool:
    """Whether three of four values stay, whatever the layer, by another draw for every layer and seed."""
    first, again, other = (masks(one, 400, seed) for seed in (1, 1, 2))
    layers = [mask.reshape(400, -1) for mask in first.values()]
    apart = [first[name].reshape(400, -1) for name in first] + [
        other[name].reshape(400, -1) for name in other
    ]
    return (
        all(abs(mask.mean() - 0.75) < 0.02 for mask in layers)
        and all(np.array_equal(first[name], again[name]) for name in first)
        and not any(np.array_equal(a, b) for i, a in enumerate(apart) for b in apart[:i])
    )


@pytest.mark.parametrize("spec", NETWORKS, ids=range(len(NETWORKS)))
def test_right_programs_are_acquitted(
    torch: ModuleType, spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = program(spec, tmp_path)
    assert verdicts(torch, one) == set()
    if spec is POOLS:
        assert "differences" not in verdicts(torch, one, equal_pixels())
        assert verdicts(torch, one, equal_pixels()) == set()


@pytest.mark.parametrize("planted", EQUATIONS, ids=lambda planted: planted.what)
def test_an_error_in_an_equation_is_caught(
    torch: ModuleType, planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = changed(derive_network(parse_spec(planted.spec, "spec.toml")), planted.changes)
    monkeypatch.setattr(chainrule.codegen.generate, "derive_network", lambda _: wrong)
    one = program(planted.spec, tmp_path)
    found = verdicts(torch, one, planted.x() if planted.x else None)
    assert found >= set(planted.caught_by), f"{planted.what}: only {found or 'nobody'} objects"


# ---- Errors on the way from equations to a program -------------------------------------------------


@dataclass(frozen=True)
class Slip:
    """A slip in lowering: a change of the statements, or of what a module of the generator knows."""

    what: str
    spec: str
    statements: Callable[[Any], Any] | None = None  # of the program as lowered; None: the statement is lost
    loops: Callable[[Loop], Loop] | None = None  # of the program as it is printed
    patch: tuple[Any, str, Callable[[Any], Any]] | None = None  # module, name, what becomes of it
    x: Callable[[], Array] | None = None


def on(kind: type, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda s: change(s) if isinstance(s, kind) else s


def exchanged(s: Window) -> Window:
    """Rows and columns of the window exchanged."""
    u, v = (next((i for i in s.indices if i.name == name), None) for name in "uv")
    if u is None or v is None:
        return s
    return replace(s, subscripts=tuple(e.xreplace({u: v, v: u}) for e in s.subscripts))


def helper(name: str, old: str, new: str) -> tuple[Any, str, Callable[[Any], Any]]:
    """A function of the generated program with a slip in its text."""

    def change(helpers: dict[str, str]) -> dict[str, str]:
        assert old in helpers[name]
        return {**helpers, name: helpers[name].replace(old, new)}

    return chainrule.codegen.targets.numpy.trainer, "HELPERS", change


def unturned(expanded: Callable[..., sympy.Expr]) -> Callable[..., sympy.Expr]:
    """Turn the index of a window without turning it in the weights beside it."""

    def wrong(body: sympy.Expr, replace: dict[Symbol, sympy.Expr]) -> sympy.Expr:
        right = expanded(body, replace)
        if not all(new.has(old) for old, new in replace.items()):
            return right
        weights = {str(e.base.label): e for e in body.atoms(Indexed) if all(i.is_Symbol for i in e.indices)}
        return on_nodes(Indexed, lambda e: weights.get(str(e.base.label), e))(right)

    return wrong


def unturned_back(s: Scatter) -> Scatter:
    """A weight's gradient left as the windows of what comes after it have it."""
    own = zip(s.subscripts, s.indices, strict=True)
    turned = {i: -e.coeff(i) * i for e, _ in own for i in e.free_symbols if e.coeff(i) < 0}
    return replace(s, subscripts=tuple(e if e.is_Symbol else sum(turned.get(i, i) for i in e.free_symbols)
                                       if turned else e for e in s.subscripts))  # fmt: skip


SLIPS = (
    Slip("places that overlap are overwritten", WIDER, on(Scatter, lambda s: replace(s, add=False))),
    Slip("places are not set to zero first", WIDER, on(Scatter, lambda s: replace(s, zero=False))),
    Slip("the odd zero on the other side", CONV,
         on(Pad, lambda s: replace(s, before=s.after, after=s.before))),
    Slip("rows and columns of a window exchanged", SQUARE, on(Window, exchanged)),
    Slip("a maximum that is a sum", POOLS, on(Reduce, lambda s: replace(s, operation="sum"))),
    Slip("a sum that is a maximum", NORM, on(Reduce, lambda s: replace(s, operation="max"))),
    Slip("one mask for every layer", DROPOUT, on(Draw, lambda s: replace(s, stream=0))),
    Slip("a mask of what is dropped", DROPOUT,
         on(Draw, lambda s: replace(s, probability=1 - s.probability))),
    Slip("sums of the last piece only", NORM, loops=lambda loop: replace(loop, sums=frozenset())),
    Slip("sums of the last piece only, of a convolution", CONV,
         loops=lambda loop: replace(loop, sums=frozenset())),
    Slip("samples beyond the last whole piece left out", CONV,
         patch=helper("threads", "in starts[thread::THREADS]",
                      "in range(thread * starts.step, N - starts.step + 1, THREADS * starts.step)")),
    Slip("the first thread's sums alone", CONV, patch=helper("threads", "in own[1:]", "in own[2:]")),
    Slip("pieces of the first thread alone", CONV,
         patch=helper("threads", "in range(1, len(own))", "in range(2, len(own))")),
    Slip("threads share their sums", CONV, patch=helper("threads", "np.zeros_like(total)", "total")),
    Slip("the last of equals wins", POOLS, x=equal_pixels,
         patch=helper("first", "np.ndindex(*(values.shape[axis] for axis in axes))",
                      "reversed([*np.ndindex(*(values.shape[axis] for axis in axes))])")),
    Slip("all of equals win", POOLS, x=equal_pixels, patch=helper("first", "reached |= here", "pass")),
    Slip("a maximum of the last place alone", POOLS,
         patch=helper("greatest", "values[tuple(at)] if rest is None else rest", "values[tuple(at)]")),
    Slip("a seed that is not used", DROPOUT, patch=helper("draw", "seed or 0", "0")),
    Slip("overlapping places added at once", WIDER,
         patch=(chainrule.codegen.targets.numpy.gathering, "looped", lambda looped: lambda *a: ())),
    Slip("places that are told apart though they are not", WIDER,
         patch=(chainrule.codegen.lower.equation, "distinct", lambda _: lambda *a: True)),
    Slip("the kernel not turned in a window", CONV, patch=(affine, "_expanded", unturned)),
    Slip("a kernel's gradient not turned back", CONV, on(Scatter, unturned_back)),
    Slip("an adjoint that starts one late", WIDER,
         patch=(affine, "_solve", lambda solve: lambda body, symbol, extents: one_late(
             solve(body, symbol, extents)))),
)  # fmt: skip


def one_late(solved: Any) -> Any:
    return solved and (solved[0] + 1, *solved[1:])


@pytest.mark.usefixtures("nothing_chosen")
@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: slip.what)
def test_a_slip_in_lowering_is_caught(
    torch: ModuleType, slip: Slip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the verifier, before there is a program; or by the judges of the program."""
    lower, optimize = target.lower, target.optimize
    hits = []

    def wrongly_lowered(derivation: Derivation, costs: Costs) -> Program:
        return listed(lower(derivation, costs), slip.statements)

    def wrongly_optimized(program: Program, passes: Iterable[Pass]) -> Program:
        return listed(optimize(program, passes), on(Loop, slip.loops) if slip.loops else None)

    def listed(right: Program, change: Callable[[Any], Any] | None) -> Program:
        if change is None:
            return right
        sections = {name: tuple(map(change, entries)) for name, entries in right.sections.items()}
        hits.append(sections != right.sections)
        return replace(right, sections=sections)

    monkeypatch.setattr(target, "lower", wrongly_lowered)
    monkeypatch.setattr(target, "optimize", wrongly_optimized)
    if slip.patch:
        module, name, change = slip.patch
        monkeypatch.setattr(module, name, change(getattr(module, name)))
    try:
        one = program(slip.spec, tmp_path)
    except (VerificationError, LoweringError):
        return
    assert all(hits), f"nothing to break in {one.code}"
    monkeypatch.undo()
    try:
        found = verdicts(torch, one, slip.x() if slip.x else None)
    except RuntimeWarning:
        return  # NumPy objects to what was in memory before
    assert found, f"{slip.what}: nobody objects\n{one.code}"


def test_there_are_at_least_twelve_of_each_kind() -> None:
    assert len({planted.what for planted in EQUATIONS}) == len(EQUATIONS) >= 12
    assert len({slip.what for slip in SLIPS}) == len(SLIPS) >= 12
    for judge, least in (("differences", 12), ("gradients", 12), ("steps", 12), ("evaluation", 4)):
        assert sum(judge in planted.caught_by for planted in EQUATIONS) >= least
