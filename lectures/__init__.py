"""Topics: what the lectures derive.  ``topic(id)`` derives it when asked; nothing is stored.

``TOPICS`` lists them and imports nothing, so that a list of topics is there at once; ``PICTURED`` names those
with a picture.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chainrule.derive.prose import _

if TYPE_CHECKING:
    from chainrule.lectures.model import Topic

_MODULES: dict[str, dict[str, str]] = {
    "regression": {
        "least-squares": _("a line through points: normal equations, both closed forms, numbers"),
    },
    "steepest": {
        "steepest-descent": _("the same line by θ ← θ − λ ∂Cost/∂θ, how large λ may be, and where it ends"),
    },
    "descent": {
        "gradient-descent": _("from the limit df/dx to x ← x − η df/dx, one variable and several"),
    },
    "calculus": {
        "chain-rule": _("∂z/∂x of z(t(x, y)), then ∂E/∂W through one neuron and through two"),
    },
    "vanishing": {
        "vanishing-gradient": _("δ layer by layer, bounded by (max |w|/4)^L; the same with ReLU"),
    },
    "convexity": {
        "convexity": _("cross-entropy is convex for all data, proved; the squared error is not"),
    },
    "decay": {
        "weight-decay": _("‖Y − X(θ)‖² + λ‖θ‖²: gradient, shrunken step, closed form, decoupled decay"),
    },
    "preparing": {
        "standardize": _("z-scores with mean 0 and variance 1, and min–max scaling to [0, 1]"),
        "one-hot": _("one-hot targets by the Kronecker delta: Σ T_k = 1, E = −log p_t"),
    },
    "squares": {
        "mse": _("half the squared error and its derivative, for any y(w) and t given"),
        "mse-minimum": _("the minimum of E = ½‖t − y(w)‖² over w, exactly"),
    },
    "elementwise": {
        "sigmoid": _("σ(x) = 1/(1 + e^(−x)) and its derivative, in x and in the output"),
        "tanh": _("tanh x and 1 − y²"),
        "relu": _("max(0, x) and its derivative"),
        "leaky-relu": _("x above 0, a tenth of it below"),
        "elu": _("x above 0, e^x − 1 below"),
        "softplus": _("log(1 + e^x) and its derivative"),
        "gelu": _("x Φ(x), by the error function"),
        "swish": _("x σ(x)"),
        "step": _("1 above 0, else 0: no gradient passes"),
    },
    "softmaxes": {
        "softmax": _("softmax: its full Jacobian, sum and shift invariance"),
        "softmax-cross-entropy": _("δ of softmax with cross-entropy, from the Jacobian"),
    },
    "likelihood": {
        "cross-entropy": _("from the Bernoulli likelihood to the cross-entropy"),
        "logistic": _("logistic regression: the cost and both its derivatives"),
    },
    "deltas": {
        "delta": _("δ at the last layer and before it, and the weight rule"),
    },
    "layers": {
        "bias": _("the gradient of a bias: the weight rule with input 1"),
        "backprop-chain": _("x → h₁ → h₂ → h₃ → y: every δ and every update"),
        "forward-3-2-3": _("3 inputs, 2 hidden, 3 outputs: E as one formula"),
    },
    "convolutions": {
        "convolution": _("y = Σ x[i − k] w[k]: sizes, the rotated kernel, both derivatives, in numbers"),
    },
    "winners": {
        "pooling": _("the greatest and the mean of every window, and how their derivatives go back"),
        "maxout": _("the greatest of several affine maps, and the derivative through the winner"),
    },
    "dropouts": {
        "dropout": _("training and evaluation, their gradients, and dropout as L2 in expectation"),
    },
    "normalizations": {
        "batch-norm": _("training and evaluation, the long gradient line by line and the compact one"),
    },
    "gates": {
        "or": _("OR by one sigmoid unit: its equations, and its outputs for weights set by hand"),
        "xor-backprop": _("XOR by 2-3-1: all equations and one step in numbers"),
    },
    "counts": {
        "mnist-mlp": _("784-16-16-10: the equations of all layers and the count of parameters"),
    },
    "updates": {
        "momentum": _("gradient descent with velocity"),
        "adagrad": _("steps divided by the root of all squared gradients"),
        "rmsprop": _("steps divided by the root of a running mean of squared gradients"),
        "adam": _("RMSProp and momentum with bias correction"),
        "schedules": _("learning rates that fall by steps or by a cosine, and warm-up"),
        "clipping": _("a gradient made no longer than c"),
    },
}
ERRATA = "errata"  # made from all the others
PICTURED: tuple[str, ...] = (
    "least-squares",
    "steepest-descent",
    "gradient-descent",
    "vanishing-gradient",
    "convexity",
    "sigmoid",
    "tanh",
    "relu",
    "leaky-relu",
    "elu",
    "softplus",
    "gelu",
    "swish",
    "step",
    "schedules",
)
TOPICS: dict[str, str] = {
    **{name: line for module in _MODULES.values() for name, line in module.items()},
    ERRATA: _("everything that a slide gets wrong, each with the number that shows it"),
}


def topic(id: str, given: Sequence[str] = ()) -> Topic:
    """Return the derivation of a topic; ``given`` replaces its example: "y=0.1*w, 0.5*w", "t=0, 1".

    Raises KeyError for an id that is not in TOPICS, ValueError for givens that it cannot take.
    """
    from chainrule.formula.turns import in_turn  # which imports SymPy, and a list of topics does without

    return in_turn(_derived)(id, given)


def _derived(id: str, given: Sequence[str]) -> Topic:
    if id == ERRATA:
        from chainrule.lectures.errata import errata

        return errata(parse(given), (topic(other) for other in TOPICS if other != ERRATA))
    (home,) = [module for module, ids in _MODULES.items() if id in ids] or [""]
    if not home:
        raise KeyError(id)
    derive = importlib.import_module(f"chainrule.lectures.{home}").TOPICS[id]
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
