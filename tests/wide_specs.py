"""Random networks of more channels and units than a tile has; what may stand around any optimizer."""

from __future__ import annotations

from random import Random

from random_specs import ACTIVATIONS, OPTIMIZERS


def wide_spec(seed: int) -> str:
    """Return convolutions of many channels, or long dense layers: several tiles, and a rest."""
    rng = Random(f"wide {seed}")
    layers: list[str] = []
    if seed % 2:
        shape = [rng.randint(6, 19), rng.randint(6, 19), rng.choice((1, 3, 8, 17))]
        for number in range(rng.randint(1, 3)):
            size, padding = rng.choice((1, 3, 3, 3, 5)), rng.choice(('"same"', '"same"', "1"))
            layers.append(
                f'type = "conv2d"\nfilters = {rng.randint(3, 36)}\nkernel = {size}\npadding = {padding}\n'
                f'stride = {rng.choice((1, 1, 1, 2))}\ninit = "he_normal"'
            )
            if rng.random() < 0.3:
                layers[-1] += "\nbias = false"
                layers.append('type = "batch_norm"')
            layers.append(f'type = "{rng.choice(ACTIVATIONS[1:])}"')
            if number == 0 and rng.random() < 0.5:
                layers.append(f'type = "{rng.choice(("max", "avg"))}_pool2d"\nsize = 2\nstride = 2')
    else:
        shape = [rng.randint(1, 150)]
        for _ in range(rng.randint(1, 3)):
            layers.append(
                f'type = "dense"\nunits = {rng.choice((1, rng.randint(2, 160)))}\nactivation = "tanh"'
            )
            if rng.random() < 0.3:
                layers.append('type = "dropout"\nrate = 0.3')
    layers.append(f'type = "dense"\nunits = {rng.randint(2, 40)}\nactivation = "softmax"')
    head = f'spec_version = 1\nname = "wide_{seed}"\n[input]\nshape = {shape}\n'
    body = "\n".join(f"[[layers]]\n{layer}" for layer in layers)
    rate = f"{10 ** rng.uniform(-4, -2):.3g}"
    optimizer = list(OPTIMIZERS)[seed // 2 % len(OPTIMIZERS)]
    tail = f'[optimizer]\ntype = "{optimizer}"\nlearning_rate = {rate}\n'
    return f'{head}{body}\n[loss]\ntype = "cross_entropy"\n{tail}'


def practised(text: str, seed: int) -> str:
    """Return a spec with a schedule, warm-up, clipping, decay and label smoothing, each in some."""
    rng = Random(f"practice {seed}")
    lines = [
        "[optimizer]",
        rng.choice(("", 'schedule = "cosine"', 'schedule = "step"\ndecay_every = 3\ndecay_factor = 0.5')),
    ]
    lines += [line for line in ("warmup = 4", "clip_norm = 0.5", "weight_decay = 0.02") if rng.random() < 0.4]
    text = text.replace("[optimizer]", "\n".join(filter(None, lines)))
    smoothed = 'type = "cross_entropy"'
    return text.replace(smoothed, f"{smoothed}\nlabel_smoothing = 0.1") if rng.random() < 0.4 else text
