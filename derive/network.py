"""A declared network as equations: layers instantiated from their templates, with shapes and parameters."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import sympy
from sympy import Expr, IndexedBase, KroneckerDelta, Rational, Symbol

from chainrule.derive.index import Equation, Sum, access, index, name_of, size, tensor
from chainrule.derive.layers import LAYERS, Forward, Parameter
from chainrule.derive.layers.layer import features
from chainrule.derive.library import ACTIVATIONS, IDENTITY, ONE_HOT, Formula
from chainrule.derive.model import LayerSpec, Spec
from chainrule.derive.patterns import instantiated
from chainrule.derive.shapes import LayerStep, ShapeWalk
from chainrule.formula import exact, parse_formula

N = size("N")
n = index("n")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_OUTPUT = re.compile(r"[za]\d+(_\d+)?")


@dataclass(frozen=True)
class Instance:
    """A template equation, what the network calls its tensors, and its sizes."""

    template: Equation
    names: Mapping[str, str]
    sizes: Mapping[Symbol, Expr] = field(default_factory=dict)

    @cached_property
    def equation(self) -> Equation:
        """The equation of the network."""
        return instantiated(self.template, self.names, self.sizes)

    @property
    def output(self) -> str:
        return self.names[self.template.name]


@dataclass(frozen=True)
class KeptTensor:
    """A tensor of the network that is kept from step to step, trained unless its role is ``statistic``.

    ``initial`` is an initializer's text or nested lists.
    """

    name: str
    shape: tuple[int, ...]
    role: str
    fan_in: int
    fan_out: int
    initial: object

    @property
    def count(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class NoiseTensor:
    """Random values, new in each step: 1 with ``probability``, else 0; ``shape`` is that of one sample."""

    name: str
    shape: tuple[int, ...]
    probability: Expr


@dataclass(frozen=True)
class Layer:
    """One layer of the network: its instances, and the shapes of one sample going in and coming out.

    ``evaluation`` are the instances that compute the same output once training is over, None where these
    are no others; ``running`` give the new values of the ``statistics``.
    """

    type: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    output: str
    instances: tuple[Instance, ...]
    parameters: tuple[KeptTensor, ...]
    evaluation: tuple[Instance, ...] | None = None
    statistics: tuple[KeptTensor, ...] = ()
    running: tuple[Instance, ...] = ()
    noise: tuple[NoiseTensor, ...] = ()

    @property
    def changes_values(self) -> bool:
        """Whether its outputs are other values than its inputs, and not these, moved at most."""
        return self.type != IDENTITY and not (self.type in LAYERS and LAYERS[self.type].moves_only)


@dataclass(frozen=True)
class Network:
    """The forward side of a spec: layers, loss terms, and the tensors that come from outside."""

    spec: Spec
    layers: tuple[Layer, ...]
    output: str
    output_shape: tuple[int, ...]
    labels: bool
    definitions: tuple[Instance, ...]
    losses: tuple[Instance, ...]

    @cached_property
    def parameters(self) -> tuple[KeptTensor, ...]:
        return tuple(p for layer in self.layers for p in layer.parameters)

    @cached_property
    def statistics(self) -> tuple[KeptTensor, ...]:
        """The tensors that a training step changes without a gradient: running means and variances."""
        return tuple(s for layer in self.layers for s in layer.statistics)

    @cached_property
    def noise(self) -> tuple[NoiseTensor, ...]:
        return tuple(m for layer in self.layers for m in layer.noise)

    @cached_property
    def given(self) -> frozenset[str]:
        """The tensors that no equation defines: input, target, parameters, statistics and noise."""
        kept = (p.name for p in (*self.parameters, *self.statistics))
        return frozenset({"x", "t", *kept, *(noise.name for noise in self.noise)})

    @property
    def shown_layers(self) -> tuple[Layer, ...]:
        """The layers, less a first one that only calls the input a0."""
        first, *others = self.layers
        return tuple(others) if first.type == IDENTITY else self.layers

    @cached_property
    def forward(self) -> tuple[Instance, ...]:
        """The forward equations in training."""
        return tuple(i for layer in self.layers for i in layer.instances)

    @cached_property
    def evaluation(self) -> tuple[Instance, ...]:
        """The forward equations once training is over."""
        own = ((x.instances if x.evaluation is None else x.evaluation) for x in self.layers)
        return tuple(i for instances in own for i in instances)

    @cached_property
    def running(self) -> tuple[Instance, ...]:
        """The equations of the new statistics."""
        return tuple(i for layer in self.layers for i in layer.running)

    @cached_property
    def parameter_count(self) -> int:
        return sum(p.count for p in self.parameters)


def formula_expression(formula: Formula, names: Mapping[str, Expr], options: Mapping[str, object]) -> Expr:
    """Return a formula's expression, its constants as exact numbers (overridden by ``options``)."""
    constants = {c: exact(options.get(c, default)) for c, default in formula.constants.items()}
    return parse_formula(formula.text, {**names, **constants})


@lru_cache(maxsize=1024)
def _scalar_formula(text: str, constants: tuple[tuple[str, object], ...], names: tuple[str, ...]) -> Expr:
    symbols = {name: Symbol(name, real=True) for name in names}
    return formula_expression(Formula(text, dict(constants)), symbols, {})  # type: ignore[arg-type]


@lru_cache(maxsize=256)
def activation_forward(
    text: str, constants: tuple[tuple[str, object], ...], shape: tuple[int, ...]
) -> Forward:
    """Return y[…] = f(x[…]) for samples of any shape, of a formula with these constants."""
    scalar = _scalar_formula(text, constants, ("x",))
    indices, sizes = features(len(shape))
    x, y = tensor("x", N, *sizes), tensor("y", N, *sizes)
    read = access(x, n, *indices)
    equation = Equation(access(y, n, *indices), scalar.xreplace({Symbol("x", real=True): read}))
    return Forward((equation,), dict(zip(sizes, shape, strict=True)))


def step_forward(step: LayerStep, spec: Spec) -> Forward:
    """Return the forward equations of a step through the layers of a spec."""
    if step.forward is not None:
        return step.forward
    formula = spec.activations.get(step.layer.type) or ACTIVATIONS[step.layer.type]
    constants = tuple((c, step.layer.options.get(c, default)) for c, default in formula.constants.items())
    return activation_forward(formula.text, constants, step.before)


def steps_of(spec: Spec) -> list[LayerStep]:
    """Return the steps through the layers of a spec; the first gives x as the layers take it."""
    walk = ShapeWalk(spec.input_shape)
    steps = [step for layer in spec.layers for step in walk.through(layer)]
    first, shape = steps[0].layer, spec.input_shape
    if first.type in LAYERS and LAYERS[first.type].moves_only:
        return steps
    return [LayerStep(LayerSpec(IDENTITY, {}, first.place), shape, shape, None), *steps]


def build_network(spec: Spec) -> Network:
    """Return the network that a checked spec declares.

    Tensors: x the input, a0 the same as layers take it (flattened, where they take fewer axes); z1 the output
    of the first layer with parameters, a1 of the layer after it, then a1_2, a1_3 until the next layer with
    parameters, z2.
    """
    shape, current = spec.input_shape, "x"
    layers: list[Layer] = []
    number, outputs = 0, 0
    taken = {"x", "t", "T", "E"}
    for step in steps_of(spec):
        forward = step_forward(step, spec)
        number, outputs = (number + 1, 0) if forward.parameters else (number, outputs + 1)
        name = f"z{number}" if outputs == 0 else f"a{number}" if outputs == 1 else f"a{number}_{outputs}"
        layers.append(_instantiate(step.layer.type, forward, current, shape, name, number, taken))
        shape, current = layers[-1].output_shape, name
    losses, definitions, labels = _losses(spec, current, shape, [p for x in layers for p in x.parameters])
    return Network(spec, tuple(layers), current, shape, labels, definitions, losses)


def _instantiate(
    kind: str,
    forward: Forward,
    x: str,
    shape: tuple[int, ...],
    name: str,
    number: int,
    taken: set[str],
) -> Layer:
    """Put a layer's equations into the network, under names that are not taken; these become taken too."""
    sizes: dict[Symbol, Expr] = {symbol: sympy.Integer(value) for symbol, value in forward.sizes.items()}
    sizes |= forward.constants
    last = forward.equations[-1].left.base
    parameters, statistics = (_numbered(p, number) for p in (forward.parameters, forward.statistics))
    for kept in (*parameters, *statistics):
        if kept.name in taken or _OUTPUT.fullmatch(kept.name):
            raise ValueError(
                f"layer {kind}: its {kept.role} would be called {kept.name}, as another tensor is; "
                "give it another name"
            )
        _require_name(kept.name)
    local = {p.name: f"{p.name}{number}" for p in (*forward.parameters, *forward.statistics)}
    local |= {"x": x, name_of(last): name}
    taken |= set(local.values())
    inner = [name_of(m.base) for m in forward.noise]
    inner += [e.name for e in (*forward.equations, *(forward.evaluation or ()))]
    for own in inner:
        if own not in local:
            local[own] = _free_name(f"{own}{number}", taken)

    def instances(equations: tuple[Equation, ...]) -> tuple[Instance, ...]:
        found = []
        for equation in equations:
            for unknown in {*equation.tensors} - local.keys():
                raise ValueError(f"layer {kind}: {equation} reads {unknown}, which is no tensor of the layer")
            found.append(Instance(equation, {name: local[name] for name in equation.tensors}, sizes))
        return tuple(found)

    def shape_of(base: IndexedBase) -> tuple[int, ...]:
        return tuple(int(s.xreplace(sizes)) for s in base.shape[1:])

    return Layer(
        kind,
        shape,
        shape_of(last),
        name,
        instances(forward.equations),
        parameters,
        evaluation=None if forward.evaluation is None else instances(forward.evaluation),
        statistics=statistics,
        running=instances(forward.running),
        noise=tuple(
            NoiseTensor(local[name_of(m.base)], shape_of(m.base), m.probability.xreplace(sizes))
            for m in forward.noise
        ),
    )


def _numbered(parameters: tuple[Parameter, ...], number: int) -> tuple[KeptTensor, ...]:
    return tuple(
        KeptTensor(f"{p.name}{number}", p.shape, p.role, p.fan_in, p.fan_out, p.initial) for p in parameters
    )


def _free_name(name: str, taken: set[str]) -> str:
    """Return the name, or name_2, name_3 …: the first that is not taken; it is taken then.

    z and a belong to the outputs of layers, so an inner tensor of that name is called h.  Raises ValueError
    for a name that is no identifier.
    """
    _require_name(name)
    name = re.sub(r"^[za](?=\d+(_\d+)?$)", "h", name)
    found, count = name, 1
    while found in taken:
        count += 1
        found = f"{name}_{count}"
    taken.add(found)
    return found


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"a tensor of a layer cannot be called {name!r}: letters, digits and _ make a name")


def _losses(
    spec: Spec, y: str, shape: tuple[int, ...], parameters: list[KeptTensor]
) -> tuple[tuple[Instance, ...], tuple[Instance, ...], bool]:
    """Return the terms of the loss, the definitions they need, and whether targets are integer labels."""
    formula = spec.objective
    scalar = _scalar_formula(formula.text, tuple(formula.constants.items()), ("y", "t"))
    labels = formula.targets == ONE_HOT and not spec.loss.soft
    indices, sizes = features(len(shape))
    local_y, local_t = tensor("y", N, *sizes), tensor("t", N, *sizes)
    point = (n, *indices)
    body = scalar.xreplace(
        {Symbol("y", real=True): access(local_y, *point), Symbol("t", real=True): access(local_t, *point)}
    )
    error = access(tensor("E"))
    scale = 1 / N if spec.loss.reduction == "mean" else sympy.S.One
    template = Equation(error, scale * Sum(body, (n, N), *zip(indices, sizes, strict=True)))
    values = {s: sympy.Integer(v) for s, v in zip(sizes, shape, strict=True)}
    smoothing = exact(spec.loss.label_smoothing)
    t = tensor("T" if labels or smoothing else "t", N, *shape)
    loss = Instance(template, {"y": y, "t": name_of(t), "E": "E"}, values)
    given = one_hot_definition(t) if labels else _targets(t)
    definitions = (_smoothed(given, smoothing),) if labels or smoothing else ()
    penalty = Rational(str(spec.loss.l2))
    terms = [_penalty(p, penalty) for p in parameters if p.role == "weight"] if penalty else []
    return (loss, *terms), definitions, labels


def one_hot_definition(one_hot: IndexedBase) -> Instance:
    """Return T[n,k] = 1 where k is the label t[n], else 0."""
    k, labels = index("k"), tensor("t", N)
    equation = Equation(one_hot[n, k], KroneckerDelta(k, labels[n]))
    return Instance(equation, {name: name for name in equation.tensors})


def _targets(t: IndexedBase) -> Instance:
    """Return T[n,…] = t[n,…]."""
    given = tensor("t", *t.shape)
    point = (n, *features(len(t.shape) - 1)[0])
    equation = Equation(access(t, *point), access(given, *point))
    return Instance(equation, {name: name for name in equation.tensors})


def _smoothed(targets: Instance, share: Rational) -> Instance:
    """Return targets of which a share is spread evenly over the classes: T = (1 − s) t + s/K."""
    if share == 0:
        return targets
    equation = targets.template
    classes = equation.left.base.shape[-1]
    return replace(targets, template=Equation(equation.left, (1 - share) * equation.right + share / classes))


def _penalty(parameter: KeptTensor, weight: Rational) -> Instance:
    """Return the weight decay λ Σ W² of one weight tensor."""
    equation, sizes = _square_sum(len(parameter.shape), weight)
    values = {s: sympy.Integer(v) for s, v in zip(sizes, parameter.shape, strict=True)}
    return Instance(equation, {"W": parameter.name, "E": "E"}, values)


@lru_cache(maxsize=1024)
def _square_sum(rank: int, weight: Rational) -> tuple[Equation, tuple[Symbol, ...]]:
    """Return E = λ Σ W² for a tensor of that rank, and the symbols of its sizes."""
    names = {3: ("k", "u", "c"), 4: ("k", "u", "v", "c")}.get(rank, ("k", "j"))
    indices = tuple(index(name) for name in names[:rank])
    sizes = tuple(size(f"D{d}") for d in range(1, rank + 1))
    total = Sum(access(tensor("W", *sizes), *indices) ** 2, *zip(indices, sizes, strict=True))
    return Equation(access(tensor("E")), weight * total), sizes
