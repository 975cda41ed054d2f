"""Random networks that are right but awkward to check, and errors to plant in their gradients; seeded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from random_specs import Built, build

from chainrule.evaluate.reference import NumericReference
from chainrule.runtime.gradcheck import check_gradients
from chainrule.runtime.gradpoint import INPUT, gradients, points
from chainrule.runtime.gradreport import GradientReport
from chainrule.runtime.program import LoadedProgram

Array = NDArray[Any]
Gradients = dict[str, Array]
SMOOTH = ("sigmoid", "tanh", "softplus", "gelu", "swish", "elu")
KINKED = ("relu", "leaky_relu", "bent", "zigzag")
FORMULAS = {
    "bent": "abs(x) + max(x, 0.3) / 2",
    "zigzag": "where(x > 0.5, 2*x, where(x < -1, x / 3, x**2))",
    "wave": "sin(30*x)",
    "fast": "sin(1000*x)",
    "bell": "exp(-x**2)",
    "logarithm": "log(1 + x**2)",
    "root": "sqrt(1 + x**2) - 1",
    "steep": "softplus(20*x) / 20",
    "error": "x * erf(x)",
    "huge": "1e6*x",
    "enormous": "1e9*x",
    "tiny": "1e-6*x",
    "affine": "3*x - 2",
}
LOSSES = {"distance": "sqrt(1 + (y - t)**2) - 1", "quartic": "(y - t)**4"}
PADDINGS = ("0", "1", '"same"')
KINDS = (
    "saturated", "dead", "kinked", "large", "small", "dropout", "maxout", "normalized", "deep", "formula",
    "images", "sequence",
)  # fmt: skip


def awkward_spec(seed: int) -> str:
    """Return the text of the spec of that seed: every kind comes round."""
    rng = Random(seed)
    kind = KINDS[seed % len(KINDS)]
    layers, shape = _layers(rng, kind)
    loss = rng.choice(("mse", "mae", "cross_entropy", "binary_cross_entropy", *LOSSES))
    units = rng.randint(2, 4)
    layers.append(f'type = "dense"\nunits = {units}' + ("\nbias = false" if rng.random() < 0.2 else ""))
    end = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}.get(loss)
    if end is not None:
        layers.append(f'type = "{end}"')
    text = "\n".join(f"[[layers]]\n{layer}" for layer in layers)
    decay = f"\nl2 = {rng.choice((1e-4, 0.01))}" if rng.random() < 0.3 else ""
    rate = rng.choice((1e-3, 0.01, 0.1, 10.0))
    optimizer = rng.choice(("sgd", "momentum", "adam", "rmsprop", "adagrad"))
    own = [
        f'[activations.{name}]\nformula = "{formula}"'
        for name, formula in FORMULAS.items()
        if f'"{name}"' in text
    ]
    own += [f'[losses.{loss}]\nformula = "{LOSSES[loss]}"'] if loss in LOSSES else []
    return "\n".join(
        [
            f'spec_version = 1\nname = "awkward_{seed}"\n[input]\nshape = {shape}',
            text,
            f'[loss]\ntype = "{loss}"\nreduction = "{rng.choice(("mean", "mean", "sum"))}"{decay}',
            f'[optimizer]\ntype = "{optimizer}"\nlearning_rate = {rate}',
            f"[training]\nbatch_size = {rng.choice((1, 7, 16, 32))}",
            *own,
        ]
    )  # fmt: skip


def _dense(units: int, activation: str | None = None, **options: object) -> str:
    lines = [f'type = "dense"\nunits = {units}']
    lines += [f'activation = "{activation}"'] if activation else []
    return "\n".join([*lines, *(f'{key} = "{value}"' for key, value in options.items())])


def _layers(rng: Random, kind: str) -> tuple[list[str], list[int]]:
    wide, activation = [rng.randint(3, 9)], rng.choice((*SMOOTH, *KINKED))
    units = rng.randint(3, 8)
    match kind:
        case "saturated":
            init = f"normal(0, {rng.choice((2, 5, 20))})"
            return [_dense(units, rng.choice(("sigmoid", "tanh")), init=init) for _ in range(2)], wide
        case "dead":
            bias = f"uniform(-{rng.choice((2, 4))}, -1)"
            return [_dense(units + 3, "relu", bias_init=bias), _dense(units, "relu")], wide
        case "kinked":
            return [_dense(units + 4, rng.choice(KINKED)), _dense(units, rng.choice(KINKED))], wide
        case "large":
            name = rng.choice(("huge", "enormous", None))
            return [
                _dense(units, name, init="normal(0, 100)"),
                _dense(units, rng.choice(("relu", None))),
            ], wide
        case "small":
            init = f"normal(0, {rng.choice(('1e-3', '1e-6'))})"
            return [
                _dense(units, rng.choice(("tanh", "tiny", "relu")), init=init),
                _dense(units, activation),
            ], wide
        case "dropout":
            rates = (rng.choice((0.5, 0.9)), rng.choice((0.3, 0.9)))
            return [
                p for r in rates for p in (_dense(units, activation), f'type = "dropout"\nrate = {r}')
            ], wide
        case "maxout":
            pieces = rng.randint(8, 14)
            return [
                f'type = "maxout"\nunits = {rng.randint(2, 5)}\npieces = {pieces}',
                _dense(units, "tanh"),
            ], wide
        case "normalized":
            between = rng.choice(([], ['type = "affine"'], [f'type = "{activation}"']))
            norm = rng.choice(('type = "batch_norm"', 'type = "batch_norm"', 'type = "layer_norm"'))
            return [
                _dense(units),
                *between,
                norm,
                f'type = "{activation}"',
                _dense(units),
                'type = "batch_norm"',
            ], wide
        case "deep":
            shape = rng.choice(("sigmoid", "tanh", "relu", "swish"))
            return [_dense(rng.randint(3, 6), shape) for _ in range(rng.randint(8, 14))], wide
        case "formula":
            names = rng.sample(("wave", "fast", "bell", "logarithm", "root", "steep", "error"), 2)
            return [_dense(units, name) for name in names], wide
        case "images":
            return _images(rng, activation)
    kernel = rng.randint(1, 3)
    convolution = (
        f'type = "conv1d"\nfilters = 3\nkernel = {kernel}\nstride = {rng.randint(1, 3)}\npadding = 1'
    )
    return [convolution, f'type = "{activation}"', _dense(20, "tanh")], [rng.randint(6, 9), 2]


def _images(rng: Random, activation: str) -> tuple[list[str], list[int]]:
    shape = [rng.randint(9, 10), rng.randint(7, 9), 2]
    layers = [
        f'type = "conv2d"\nfilters = 4\nkernel = [{rng.randint(1, 3)}, {rng.randint(1, 3)}]\n'
        f"stride = [{rng.randint(1, 3)}, {rng.randint(1, 2)}]\npadding = {rng.choice(PADDINGS)}\n"
        f"dilation = {rng.choice((1, 1, 2))}\ngroups = {rng.choice((1, 2))}"
    ]
    if rng.random() < 0.5:
        layers.append('type = "batch_norm"')
    layers.append(f'type = "{activation}"')
    if rng.random() < 0.6:
        kind = rng.choice(("max_pool2d", "avg_pool2d"))
        layers.append(f'type = "{kind}"\nsize = 2\nstride = {rng.choice((1, 2, 3))}')
    return [*layers, _dense(12, "tanh")], shape


def checked(one: Built, program: LoadedProgram | None = None) -> GradientReport:
    """Return the report of ``derive gradcheck``, of a program with an error in it where one is given."""
    return check_gradients(program or one.program, reference=NumericReference(one.spec))


# ---- Errors ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plant:
    """An error in one tensor's gradient: what it does to the array, and when it is there."""

    what: str
    tensor: str
    change: Callable[[Array, Gradients, int], Array]  # the gradient, the parameters, the batch
    here: Callable[[Any, int], bool] = lambda dtype, batch: True

    def __str__(self) -> str:
        return f"{self.what} of {self.tensor}"


def planted(program: LoadedProgram, plant: Plant) -> LoadedProgram:
    """Return the program with an error in its gradient."""
    module = program.module

    def spoilt(gradient: Array, p: Gradients, x: Array) -> Array:
        dtype = next(iter(p.values())).dtype
        return plant.change(gradient, p, len(x)) if plant.here(dtype, len(x)) else gradient

    def loss_and_gradients(p: Any, x: Any, t: Any, **seed: Any) -> tuple[Any, Gradients]:
        value, found = module.loss_and_gradients(p, x, t, **seed)
        found = {name: np.array(gradient) for name, gradient in found.items()}
        if plant.tensor in found:
            found[plant.tensor] = spoilt(found[plant.tensor], p, x)
        return value, found

    def input_gradient(p: Any, x: Any, t: Any, **seed: Any) -> Array:
        found = np.array(module.input_gradient(p, x, t, **seed))
        return spoilt(found, p, x) if plant.tensor == INPUT else found

    members = {**vars(module), "loss_and_gradients": loss_and_gradients, "input_gradient": input_gradient}
    return dataclasses.replace(program, module=SimpleNamespace(**members))


def plants(one: Built, seed: int, zero: frozenset[str] = frozenset()) -> list[Plant]:
    """Return errors of every kind that this program can have, each in a tensor drawn at random."""
    rng = np.random.default_rng([seed, 7])
    program = one.program
    for point in points(program, seed, 8, 12):
        found = gradients(program, point, np.float64)
        sizes = {name: float(np.abs(g).max()) for name, g in found.items() if name not in zero}
        if min(sizes.values()) > 0 and np.isfinite(max(sizes.values())):
            break
    names = [name for name, size in sizes.items() if size > 0]

    def live(name: str) -> tuple[int, ...]:
        """Where the gradient of a tensor is not small, of the first sample for the input."""
        values = np.abs(found[name][:1] if name == INPUT else found[name])
        at = np.argwhere(values > 0.05 * values.max(initial=0))
        return tuple(at[rng.integers(len(at))]) if len(at) else (0,) * values.ndim

    def pick(condition: Callable[[str], bool] = lambda name: True) -> str | None:
        fitting = [name for name in names if condition(name)]
        return str(rng.choice(fitting)) if fitting else None

    def at(name: str, change: Callable[[Any], Any]) -> Callable[[Array, Gradients, int], Array]:
        place = live(name)

        def changed(gradient: Array, p: Gradients, batch: int) -> Array:
            gradient[place] = change(gradient[place])
            return gradient

        return changed

    def whole(change: Callable[[Array], Array]) -> Callable[[Array, Gradients, int], Array]:
        return lambda gradient, p, batch: change(gradient).astype(gradient.dtype)

    def row(name: str) -> Callable[[Array, Gradients, int], Array]:
        place = live(name)[0]

        def changed(gradient: Array, p: Gradients, batch: int) -> Array:
            gradient[place] *= 0
            return gradient

        return changed

    def third(gradient: Array) -> Array:
        gradient.flat[::3] *= -1
        return gradient

    def border(gradient: Array) -> Array:
        gradient[:, -1] *= 0
        return gradient

    negative, double, off = (lambda v: -v), (lambda v: 2 * v), (lambda v: v * 1.001)
    single, many = (lambda dtype, batch: dtype == np.float32), (lambda dtype, batch: batch > 4)
    exact = lambda dtype, batch: dtype == np.float64  # noqa: E731
    made: list[Plant] = []
    parameter = lambda name: name != INPUT  # noqa: E731
    for what, change, here in (
        ("the sign of one element", negative, None),
        ("one element twice", double, None),
        ("one element left out", lambda v: 0 * v, None),
        ("the sign of one element in float32", negative, single),
        ("the sign of one element beyond batch 4", negative, many),
        ("one element twice in float64", double, exact),
    ):
        name = pick()
        made.append(Plant(what, name, at(name, change), here or Plant.here))
    for what, changes, here in (
        ("factor 1.001", off, None),
        ("factor 1.001 in float32", off, single),
        ("factor 1.001 beyond batch 4", off, many),
        ("the sign of every third element", third, None),
        ("the sign of every third element in float64", third, exact),
        ("the sign", negative, None),
    ):
        made.append(Plant(what, pick(), whole(changes), here or Plant.here))
    name = pick(lambda n: found[n].ndim > 1)
    made.append(Plant("a row left out", name, row(name)))
    batchwise = lambda gradient, p, batch: (gradient * batch).astype(gradient.dtype)  # noqa: E731
    made.append(Plant("missing 1/N", pick(parameter), batchwise))
    images = pick(lambda n: n == INPUT and found[n].ndim > 2 and float(np.abs(found[n][:, -1]).max()) > 0)
    if images:
        made.append(Plant("the last row of pixels left out", images, whole(border)))
    square = pick(lambda n: found[n].ndim == 2 and len(set(found[n].shape)) == 1 and n != INPUT)
    if square:
        made.append(Plant("transposed", square, whole(lambda g: g.T.copy())))
    twice = float(2 * one.spec.loss.l2)
    decayed = pick(
        lambda n: n.startswith("W") and twice * np.abs(point.parameters[n]).max() > 1e-6 * sizes[n]
    )
    if decayed and twice:
        made.append(
            Plant(
                "weight decay left out", decayed, lambda g, p, batch: (g - twice * p[decayed]).astype(g.dtype)
            )
        )
    wide = pick(lambda n: found[n].ndim > 1 and n != INPUT and len(found[n]) > 1)
    if wide:
        made.append(Plant("rolled", wide, whole(lambda g: np.roll(g, 1, axis=0))))
    return made


def awkward(seed: int) -> Built:
    """Return the program of the awkward spec of that seed."""
    return build(awkward_spec(seed), f"awkward_{seed}.toml")
