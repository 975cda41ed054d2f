"""Topics: what the lectures derive.  ``topic(id)`` derives it when asked; nothing is stored.

``TOPICS`` lists them and imports nothing, so that a list of topics is there at once.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from derive.topics.model import Topic

_MODULES: dict[str, dict[str, str]] = {
    "squares": {
        "mse": "half the squared error and its derivative, for any y(w) and t given",
        "mse-minimum": "the minimum of E = ½‖t − y(w)‖² over w, exactly",
    },
    "elementwise": {
        "sigmoid": "σ(x) = 1/(1 + e^(−x)) and σ′ = σ(1 − σ)",
        "tanh": "tanh x and 1 − y²",
        "relu": "max(0, x) and its derivative",
        "leaky-relu": "x above 0, a tenth of it below",
        "elu": "x above 0, e^x − 1 below",
        "softplus": "log(1 + e^x), whose derivative is σ",
        "gelu": "x Φ(x), by the error function",
        "swish": "x σ(x)",
        "step": "1 above 0, else 0: no gradient passes",
    },
    "softmaxes": {
        "softmax": "softmax: its full Jacobian, sum and shift invariance",
        "softmax-cross-entropy": "∂E/∂z = p − t, from the Jacobian",
    },
    "likelihood": {
        "cross-entropy": "from the Bernoulli likelihood to the cross-entropy",
        "logistic": "logistic regression: the cost and both its derivatives",
    },
    "deltas": {
        "delta": "δ at the last layer and before it, and the weight rule",
    },
    "layers": {
        "bias": "∂E/∂b = δ, the weight rule with input 1",
        "backprop-chain": "x → h₁ → h₂ → h₃ → y: every δ and every update",
        "forward-3-2-3": "3 inputs, 2 hidden, 3 outputs: E as one formula",
    },
    "convolutions": {
        "convolution": "y = Σ x[i − k] w[k]: sizes, the rotated kernel, both derivatives, in numbers",
    },
    "winners": {
        "pooling": "the greatest and the mean of every window, and how their derivatives go back",
        "maxout": "the greatest of several affine maps, and the derivative through the winner",
    },
    "dropouts": {
        "dropout": "training and evaluation, their gradients, and dropout as L2 in expectation",
    },
    "normalizations": {
        "batch-norm": "training and evaluation, the long gradient line by line and the compact one",
    },
    "gates": {
        "or": "OR by one sigmoid unit: its equations, and its outputs for weights set by hand",
        "xor-backprop": "XOR by 2-3-1: all equations and one step in numbers",
    },
    "counts": {
        "mnist-mlp": "784-16-16-10: the equations of all layers and the count of parameters",
    },
    "errata": {
        "errata": "everything that a slide gets wrong, each with the number that shows it",
    },
    "updates": {
        "momentum": "gradient descent with velocity",
        "adagrad": "steps divided by the root of all squared gradients",
        "rmsprop": "steps divided by the root of a running mean of squared gradients",
        "adam": "RMSProp and momentum with bias correction",
        "schedules": "learning rates that fall by steps or by a cosine, and warm-up",
        "clipping": "a gradient made no longer than c",
    },
}
TOPICS: dict[str, str] = {name: line for module in _MODULES.values() for name, line in module.items()}


def topic(id: str, given: Sequence[str] = ()) -> Topic:
    """Return the derivation of a topic; ``given`` replaces its example: "y=0.1*w, 0.5*w", "t=0, 1".

    Raises KeyError for an id that is not in TOPICS, ValueError for givens that it cannot take.
    """
    (home,) = [module for module, ids in _MODULES.items() if id in ids] or [""]
    if not home:
        raise KeyError(id)
    derive = importlib.import_module(f"derive.topics.{home}").TOPICS[id]
    found: Topic = derive(parse(given))
    return found


def parse(given: Sequence[str]) -> dict[str, str]:
    """Return names and texts of "name=text" items.  Raises ValueError."""
    found = {}
    for item in given:
        name, equals, text = item.partition("=")
        if not equals or not name.strip().isidentifier() or not text.strip():
            raise ValueError(f"{item!r}: a given is name=value, for example t=0,1,0")
        found[name.strip()] = text.strip()
    return found
