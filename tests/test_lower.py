"""Lowering and its verifier: new layers, deep networks, and programs that a pass left wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy
from random_specs import SPECS, Built, build, random_spec
from sympy import Indexed, Rational, Symbol, exp, sqrt

import chainrule.codegen.passes.optimize as passes
from chainrule.codegen.ir.program import Contract, Grid, Load, Map, Program, Reduce, Reshape, reads
from chainrule.codegen.ir.verify import VerificationError, verify
from chainrule.codegen.lower.lowering import LoweringError, extent, lower
from chainrule.codegen.passes.optimize import absorb_temporaries, assign_slots, optimize
from chainrule.derive.deriving import derive_network
from chainrule.derive.fields import Field
from chainrule.derive.index import Equation, Max, Sum, access, index, size, tensor
from chainrule.derive.layers import LAYERS, Forward, LayerType, Parameter
from chainrule.runtime.gradcheck import check_gradients
from chainrule.spec.load import parse_spec

N, n = size("N"), index("n")
L, M, K, C, O, D = map(size, ("L", "M", "K", "C", "O", "D"))  # noqa: E741
i, u, c, o, k, j = map(index, ("i", "u", "c", "o", "k", "j"))


# ---- Layers that nobody shipped --------------------------------------------------------------------


def conv1d(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """z[n,i,o] = Σ_{u,c} W[o,u,c] x[n, i·s + u·d − p, c] + b[o] on samples (L, C)."""
    kernel, stride, padding = options["kernel"], options["stride"], options["padding"]
    dilation, filters = options["dilation"], options["filters"]
    outputs = (shape[0] + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    x, z = tensor("x", N, L, C), tensor("z", N, M, O)
    W, b = tensor("W", O, K, C), tensor("b", O)
    body = W[o, u, c] * x[n, stride * i + dilation * u - padding, c]
    equation = Equation(z[n, i, o], Sum(body, (u, K), (c, C)) + b[o])
    fans = kernel * shape[1], kernel * filters
    return Forward(
        (equation,),
        {L: shape[0], M: outputs, K: kernel, C: shape[1], O: filters},
        (
            Parameter("W", (filters, kernel, shape[1]), "weight", *fans, "glorot_uniform"),
            Parameter("b", (filters,), "bias", *fans, "normal(0, 0.1)"),
        ),
    )


def pool1d(greatest: bool, shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """y[n,i,c] = max_u or mean_u of x[n, i·s + u, c] on samples (L, C); windows may overlap."""
    width, stride = options["width"], options["stride"]
    x, y = tensor("x", N, L, C), tensor("y", N, M, C)
    read = x[n, stride * i + u, c]
    right = Max(read, (u, K)) if greatest else Sum(read, (u, K)) / K
    outputs = (shape[0] - width) // stride + 1
    return Forward((Equation(y[n, i, c], right),), {L: shape[0], M: outputs, C: shape[1], K: width})


def layer_norm(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """y = γ (x − μ) / √(v + ε) + β, μ and v over the features of one sample."""
    x, y, mean, variance = tensor("x", N, D), tensor("y", N, D), tensor("mu", N), tensor("v", N)
    gamma, beta = tensor("gamma", D), tensor("beta", D)
    equations = (
        Equation(mean[n], Sum(x[n, k], (k, D)) / D),
        Equation(variance[n], Sum((x[n, k] - mean[n]) ** 2, (k, D)) / D),
        Equation(
            y[n, k],
            gamma[k] * (x[n, k] - mean[n]) / sqrt(variance[n] + Rational(1, 1000)) + beta[k],
        ),
    )
    one = shape[0]
    return Forward(
        equations,
        {D: one},
        (
            Parameter("gamma", (one,), "weight", one, one, "uniform(0.5, 1.5)"),
            Parameter("beta", (one,), "bias", one, one, "normal(0, 0.2)"),
        ),
    )


def scale_shift(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """y[n,k] = γ[k] x[n,k] + β[k]."""
    x, y, gamma, beta = tensor("x", N, D), tensor("y", N, D), tensor("gamma", D), tensor("beta", D)
    equation = Equation(y[n, k], gamma[k] * x[n, k] + beta[k])
    parameters = [Parameter(name, (shape[0],), "weight", 1, 1, "normal(0, 1)") for name in ("gamma", "beta")]
    return Forward((equation,), {D: shape[0]}, tuple(parameters))


def attention(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """y[n,i,c] = Σ_j softmax_j(Σ_c x[n,i,c] x[n,j,c]) x[n,j,c]: the input is read three times."""
    T, d = size("T"), index("d")
    x, y = tensor("x", N, T, C), tensor("y", N, T, C)
    s, a = tensor("score", N, T, T), tensor("share", N, T, T)
    equations = (
        Equation(s[n, i, j], Sum(x[n, i, d] * x[n, j, d], (d, C))),
        Equation(a[n, i, j], exp(s[n, i, j]) / Sum(exp(s[n, i, k]), (k, T))),
        Equation(y[n, i, c], Sum(a[n, i, j] * x[n, j, c], (j, T))),
    )
    return Forward(equations, {T: shape[0], C: shape[1]})


def integer(name: str, default: int) -> Field:
    return Field(name, "int", "a number of the layer", default, minimum=0)


CONV_FIELDS = (
    integer("filters", 3),
    integer("kernel", 3),
    integer("stride", 1),
    integer("padding", 0),
    integer("dilation", 1),
)
POOL_FIELDS = (integer("width", 3), integer("stride", 1))
NEW_LAYERS = (
    LayerType("conv1d", "convolution along an axis", conv1d, CONV_FIELDS, input_rank=2),
    LayerType("max_pool1d", "greatest of a window", lambda s, v: pool1d(True, s, v), POOL_FIELDS, 2),
    LayerType("avg_pool1d", "mean of a window", lambda s, v: pool1d(False, s, v), POOL_FIELDS, 2),
    LayerType("layer_norm", "standardized features", layer_norm, (), input_rank=1),
    LayerType("scale_shift", "an affine map of each feature", scale_shift, (), input_rank=1),
    LayerType("attention", "self-attention", attention, (), input_rank=2),
)


@pytest.fixture
def new_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    for layer in NEW_LAYERS:
        monkeypatch.setitem(LAYERS, layer.name, layer)


def stack(shape: list[int], *layers: str, loss: str = "mse", tail: str = "") -> str:
    tables = "\n\n".join(f"[[layers]]\n{layer}" for layer in layers)
    return (
        f'spec_version = 1\nname = "stack"\n\n[input]\nshape = {shape}\n\n{tables}\n\n'
        f'[loss]\ntype = "{loss}"\nl2 = 0.01\n{tail}'
    )


def layer(kind: str, **options: object) -> str:
    return "\n".join([f'type = "{kind}"', *(f"{name} = {value}" for name, value in options.items())])


DENSE = 'type = "dense"\nunits = 3'
TANH, RELU = 'type = "tanh"', 'type = "relu"'
CONVOLUTIONS = [
    {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    for kernel, stride, padding, dilation in (
        (1, 1, 0, 1), (3, 1, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (2, 3, 2, 1), (3, 1, 2, 2), (2, 2, 1, 2),
        (3, 2, 3, 3), (4, 3, 2, 2), (3, 1, 5, 1),
    )
]  # fmt: skip


def assert_gradients(one: Built, kinks: bool = False) -> None:
    report = check_gradients(one.program, samples=16, batch=2)
    assert report.passed, f"{one.spec.source}\n{report.to_text()}"
    parameters = one.program.init_parameters(0, np.float32)
    x = np.random.default_rng(0).standard_normal((3, *one.program.input_shape)).astype(np.float32)
    y = one.program.module.predict(parameters, x)
    _, gradients = one.program.module.loss_and_gradients(parameters, x, np.zeros_like(y))
    assert {g.dtype for g in (y, *gradients.values())} == {np.dtype(np.float32)}
    sides = one.program.module.branches(parameters, x, np.zeros_like(y))
    assert sides.dtype == bool and (sides.size > 0) == kinks


@pytest.mark.usefixtures("new_layers")
@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_a_convolution_lowers_and_has_the_right_gradients(options: dict[str, int]) -> None:
    one = build(stack([9, 2], layer("conv1d", **options), TANH, layer("conv1d", kernel=2), DENSE))
    assert_gradients(one)


@pytest.mark.usefixtures("new_layers")
def test_a_convolution_computes_what_it_says() -> None:
    one = build(stack([7, 2], layer("conv1d", filters=2, kernel=3, stride=2, padding=2, dilation=2)))
    parameters = one.program.init_parameters(0, np.float64)
    x = np.random.default_rng(1).standard_normal((2, 7, 2))
    padded = np.pad(x, ((0, 0), (2, 2), (0, 0)))
    wanted = np.array([
        [[np.sum(parameters["W1"][f] * padded[b, 2 * p : 2 * p + 5 : 2]) + parameters["b1"][f]
          for f in range(2)] for p in range(4)] for b in range(2)
    ])  # fmt: skip
    assert np.allclose(one.program.module.predict(parameters, x), wanted, rtol=1e-13, atol=1e-14)


@pytest.mark.usefixtures("new_layers")
@pytest.mark.parametrize("kind", ("max_pool1d", "avg_pool1d"))
@pytest.mark.parametrize(("width", "stride"), ((3, 1), (2, 2), (3, 2), (2, 3), (8, 1)))
def test_a_pool_of_overlapping_windows(kind: str, width: int, stride: int) -> None:
    pool = layer(kind, width=width, stride=stride)
    one = build(stack([8, 3], layer("conv1d", kernel=1), pool, DENSE, TANH))
    assert_gradients(one, kinks=kind == "max_pool1d")


@pytest.mark.usefixtures("new_layers")
@pytest.mark.parametrize("kind", ("max_pool1d", "avg_pool1d"))
@pytest.mark.parametrize("formula", ("y", "exp(y) - t * y", "abs(y - t) + y"))
def test_cotangents_are_zero_outside_their_box(kind: str, formula: str) -> None:
    """Windows at the edge read the loss's derivative where there is no output; its formula is not 0 there."""
    tail = f'\n[losses.own]\nformula = "{formula}"\n'
    one = build(stack([6, 2], layer("conv1d"), layer(kind, width=3), loss="own", tail=tail))
    assert_gradients(one, kinks=kind == "max_pool1d" or "abs" in formula)


@pytest.mark.usefixtures("new_layers")
def test_the_first_of_equals_wins_a_window() -> None:
    one = build(stack([4, 1], layer("max_pool1d", width=3), DENSE))
    module = one.program.module
    parameters = module.init_parameters(0, np.float64)
    found = module.input_gradient(parameters, np.array([[[1.0], [5.0], [5.0], [5.0]]]), np.zeros((1, 3)))
    assert found[0, 1, 0] != 0 and not found[0, [0, 2, 3], 0].any()


@pytest.mark.usefixtures("new_layers")
def test_layer_norm_and_scale_shift() -> None:
    one = build(stack([6], DENSE.replace("3", "5"), layer("layer_norm"), TANH, layer("scale_shift"), DENSE))
    assert_gradients(one)
    assert {name.rstrip("0123456789") for name in one.program.module.PARAMETERS} == {
        "W",
        "b",
        "gamma",
        "beta",
    }


@pytest.mark.usefixtures("new_layers")
def test_attention_reads_its_input_three_times() -> None:
    assert_gradients(build(stack([4, 3], layer("attention"), layer("conv1d", kernel=2), DENSE)))


@pytest.mark.usefixtures("new_layers")
def test_a_kinked_activation_between_grids() -> None:
    one = build(
        stack([9, 2], RELU, layer("conv1d", padding=1), RELU, layer("max_pool1d", width=2, stride=2), DENSE)
    )
    assert_gradients(one, kinks=True)


FLATTEN, SOFTMAX, IDENTITY = 'type = "flatten"', 'type = "softmax"', 'type = "identity"'


@pytest.mark.parametrize(
    ("shape", "layers", "loss"),
    (
        ([3], (DENSE, FLATTEN), "mse"),
        ([2, 2], (FLATTEN, FLATTEN, DENSE), "mse"),
        ([3], (DENSE, IDENTITY, IDENTITY, IDENTITY), "mse"),
        ([2, 3], (IDENTITY, SOFTMAX, DENSE), "mse"),
        ([3], (DENSE, SOFTMAX, SOFTMAX), "cross_entropy"),
        ([3], (DENSE, SOFTMAX, FLATTEN), "cross_entropy"),
        ([3], (DENSE, SOFTMAX), "binary_cross_entropy"),
        ([2, 1, 2, 1, 2, 1], (RELU, 'type = "gelu"', DENSE), "mae"),
        ([3], (DENSE, 'type = "leaky_relu"\nslope = -1.5', 'type = "elu"\nalpha = -2'), "mse"),
        ([3], (DENSE, 'type = "leaky_relu"\nslope = 1e-30', 'type = "elu"\nalpha = 2'), "mse"),
    ),
    ids=str,
)
def test_unusual_stacks(shape: list[int], layers: tuple[str, ...], loss: str) -> None:
    one = build(stack(shape, *layers, loss=loss))
    report = check_gradients(one.program, samples=8, batch=3)
    assert report.passed, report.to_text()


# ---- Deep networks ---------------------------------------------------------------------------------


def deep(depth: int) -> Program:
    hidden = [f'type = "dense"\nunits = 4\nactivation = "{("tanh", "relu")[d % 2]}"' for d in range(depth)]
    return optimize(lower(derive_network(parse_spec(stack([4], *hidden, DENSE), "spec.toml"))))


def test_statements_grow_linearly_with_depth() -> None:
    counts, locals_ = [], []
    for depth in (50, 100, 200):
        program = deep(depth)
        counts.append(sum(map(len, program.sections.values())))
        owned = [v for v in program.values.values() if v.kind == "local" and not v.slot]
        locals_.append(len(owned))
    assert counts[2] - counts[1] == 2 * (counts[1] - counts[0])
    assert counts[2] <= 200 * 12
    assert locals_[2] - locals_[1] == 2 * (locals_[1] - locals_[0])


@pytest.mark.parametrize("seed", range(0, SPECS, 8))
def test_passes_keep_what_is_computed(seed: int) -> None:
    """Every equation keeps its statements, and no memory outlives the program that holds it."""
    program = lower(derive_network(parse_spec(random_spec(seed), "spec.toml")))
    verify(program, "lower")
    finished = optimize(program)
    before = {s.equation for s in program.statements(*program.sections)}
    assert before == {s.equation for s in finished.statements(*finished.sections)} == set(program.notes)
    for value in finished.values.values():
        if value.slot:
            owner = finished.values[value.slot]
            same = value.shape == owner.shape
            assert same or any(isinstance(s, Reshape) and s.out == value.name for s in reshapes(finished))


def reshapes(program: Program) -> list[Any]:
    return [s for s in program.statements(*program.sections) if isinstance(s, Reshape)]


# ---- What the verifier catches ---------------------------------------------------------------------

MLP = stack(
    [3, 2], 'type = "dense"\nunits = 4\nactivation = "sigmoid"',
    'type = "dense"\nunits = 4\nactivation = "relu"', 'type = "dense"\nunits = 3\nactivation = "softmax"',
    loss="cross_entropy", tail='\n[optimizer]\ntype = "adam"\n',
)  # fmt: skip


def lowered() -> Program:
    return lower(derive_network(parse_spec(MLP, "spec.toml")))


def finished() -> Program:
    return optimize(lowered())


def changed(program: Program, section: str, position: int, *statements: Any) -> Program:
    """The program with other statements in the place of one."""
    listed = list(program.sections[section])
    listed[position : position + 1] = statements
    return replace(program, sections={**program.sections, section: tuple(listed)})


def find(program: Program, section: str, kind: type, **fields: object) -> tuple[int, Any]:
    for position, statement in enumerate(program.sections[section]):
        if isinstance(statement, kind) and all(getattr(statement, k) == v for k, v in fields.items()):
            return position, statement
    raise LookupError(kind)


def refused(program: Program, *words: str) -> None:
    with pytest.raises(VerificationError) as error:
        verify(program, "a mutation")
    assert all(word in str(error.value) for word in ("a mutation", *words)), error.value


def test_right_programs_are_accepted() -> None:
    verify(lowered(), "lower")
    verify(finished(), "optimize")


def test_use_before_definition_is_caught() -> None:
    program = finished()
    statements = list(program.sections["forward"])
    refused(
        replace(program, sections={**program.sections, "forward": tuple(reversed(statements))}),
        "before it is computed",
    )
    position, _ = find(program, "forward", Contract, out="z2")
    refused(changed(program, "forward", position), "z2", "before it is computed")


def test_undeclared_values_are_caught() -> None:
    program = finished()
    values = {name: v for name, v in program.values.items() if name != "a1"}
    refused(replace(program, values=values), "a1", "not declared")


def test_wrong_shapes_are_caught() -> None:
    program = finished()
    position, z2 = find(program, "forward", Contract, out="z2")
    swapped = replace(z2, right=Load("W1", z2.right.indices)), replace(z2, left=Load("a0", z2.left.indices))
    for wrong in swapped:
        refused(changed(program, "forward", position, wrong), "z2", "index")
    lost = replace(z2, left=Load("a1", z2.left.indices[:1]))
    refused(changed(program, "forward", position, lost), "1 indices")
    unshared = replace(z2, right=Load("W2", (z2.right.indices[0], Symbol("q", integer=True))))
    refused(changed(program, "forward", position, unshared), "not shared by both factors")
    position, a1 = find(program, "forward", Map, out="a1")
    loose = Indexed(tensor("b2", sympy.Integer(4)), Symbol("q", integer=True))
    refused(
        changed(program, "forward", position, replace(a1, expression=a1.expression + loose)),
        "neither free nor summed",
    )
    position, a0 = find(program, "forward", Reshape, out="a0")
    wrong_size = replace(program.values["a0"], shape=("N", 5))
    refused(replace(program, values={**program.values, "a0": wrong_size}), "a0")
    assert a0.source == "x"


def test_lost_equations_are_caught() -> None:
    program = lowered()
    for number in program.notes:
        sections = {
            name: tuple(s for s in statements if s.equation != number)
            for name, statements in program.sections.items()
        }
        refused(replace(program, sections=sections))


def test_labels_in_arithmetic_are_caught() -> None:
    program = finished()
    labels = access(tensor("t", N), n)
    position, T = find(program, "loss", Map, out="T")
    refused(
        changed(program, "loss", position, replace(T, expression=T.expression * labels)),
        "labels",
        "arithmetic",
    )
    position, delta = find(program, "backward", Map, out="d z3")
    refused(
        changed(program, "backward", position, replace(delta, expression=delta.expression - labels)), "labels"
    )


@pytest.mark.parametrize("seed", range(0, 40))
def test_clobbered_memory_is_caught(seed: int) -> None:
    """Giving a value the memory of another that is still needed is refused."""
    program = optimize(lower(derive_network(parse_spec(MLP if seed % 2 else random_spec(seed), "spec.toml"))))
    order = list(program.statements("forward", "loss", "backward", "input_gradient"))
    local = [v.name for v in program.values.values() if v.kind == "local" and v.shape]
    rng = np.random.default_rng(seed)
    for _ in range(30):
        name, other = rng.choice(local, 2, replace=False)
        if program.values[other].slot or program.values[name].slot == other:
            continue
        values = {**program.values, name: replace(program.values[name], slot=str(other))}
        mutated = replace(program, values=values)
        if clobbers(mutated, order):
            refused(mutated, "assign_slots must keep it alive")


def clobbers(program: Program, order: list[Any]) -> bool:
    """Run the program on memory alone: whether a read finds another value than the one that it wants."""

    def root(name: str) -> str:
        while program.values[name].slot:
            name = program.values[name].slot
        return name

    held: dict[str, object] = {}
    content: dict[str, object] = {}
    for position, statement in enumerate(order):
        for name in reads(statement):
            if program.values[name].kind == "local" and held.get(root(name)) is not content.get(name):
                return True
        if program.values[statement.out].kind != "local":
            continue
        (source,) = [*reads(statement), None][:1] if shows(program, statement) else (None,)
        if source is not None:
            content[statement.out] = content.get(source)
            if program.values[source].kind != "local":
                content[statement.out] = held[root(statement.out)] = object()
        else:
            token = (position, statement.out)
            content[statement.out] = held[root(statement.out)] = token
    return False


def shows(program: Program, statement: Any) -> bool:
    """Whether a statement only names the memory of what it reads again."""
    copy = isinstance(statement, Map) and isinstance(statement.expression, Indexed)
    return (isinstance(statement, Reshape) or copy) and reads(statement) == {
        program.values[statement.out].slot
    }


def test_a_pass_that_ignores_lifetimes_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes mutated: memory freed at once, and operands overwritten that are read again."""

    def greedy(program: Program) -> Program:
        shapes: dict[object, str] = {}
        values = {}
        for value in assign_slots(program).values.values():
            if value.kind == "local" and value.shape and not value.slot:
                slot = shapes.setdefault(value.shape, value.name)
                value = replace(value, slot="" if slot == value.name else slot)
            values[value.name] = value
        return replace(program, values=values)

    greedy.__name__ = "greedy"
    monkeypatch.setattr(passes, "assign_slots", greedy)
    with pytest.raises(VerificationError, match=r"after greedy.*must keep it alive"):
        optimize(lowered())


def test_absorbing_what_is_read_twice_would_be_caught() -> None:
    """The pass leaves temporaries with two readers alone; renaming one of them anyway is refused."""
    program = absorb_temporaries(lowered())
    position, total = find(program, "forward", Reduce, operation="sum")
    refused(changed(program, "forward", position, replace(total, out="a3_max")))


def test_sizes_must_be_numbers() -> None:
    assert extent(sympy.Integer(3)) == 3 and extent(N) == "N"
    with pytest.raises(LoweringError, match="is not a number"):
        extent(size("fan_in"))


def test_a_network_without_parameters_is_refused() -> None:
    with pytest.raises(LoweringError, match="nothing to train"):
        build(stack([3], TANH))


def test_grids_need_extents() -> None:
    program = finished()
    position, _ = find(program, "forward", Contract, out="z2")
    q = Symbol("q", integer=True)
    body = access(tensor("a1", N, 4), n, q + 1)
    grid = Grid("z2", (n, k), 5, body, (), ((n, "N"), (k, 4)))
    refused(
        changed(
            program,
            "forward",
            position,
            replace(grid, equation=program.sections["forward"][position].equation),
        ),
        "q",
        "no extent",
    )
