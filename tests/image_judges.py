"""Image networks, and the judges of their programs: differences, PyTorch, masks."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from machine_sizes import SMALL_PIECES, generated_with
from numpy.typing import NDArray
from random_specs import Built
from torch_images import AGREEMENT, ImageReference, masks
from torch_reference import relative_error

import chainrule.codegen.folder
import chainrule.codegen.generate
from chainrule.runtime.gradcheck import check_gradients
from chainrule.runtime.program import load_program
from chainrule.spec.load import parse_spec

BATCH = 5  # in pieces of one to four samples
Array = NDArray[Any]


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
POOLS = network((7, 6, 2), layer("max_pool2d", size=3, stride=[2, 1]), layer("conv2d", filters=2, kernel=1),
                layer("tanh"), layer("avg_pool2d", size=2, stride=1), DENSE)  # fmt: skip
NORM = network(
    (4, 3, 2),
    layer("conv2d", filters=3, kernel=2, bias=False),
    layer("batch_norm", momentum=0.8),
    layer("tanh"),
    DENSE,
)
DROPOUT = network((4, 3, 3), layer("conv2d", filters=3, kernel=3, padding="same"),
                  layer("dropout", rate=0.25), layer("tanh"), layer("dropout", rate=0.25), DENSE)  # fmt: skip


def equal_pixels() -> Array:
    """Images of three different values, so that many windows have several greatest ones."""
    return np.random.default_rng(0).integers(0, 3, (BATCH, 7, 6, 2)).astype(float)


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
