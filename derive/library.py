"""What the library knows by formula: activations, losses and optimizers.

A row is mathematics in the formula language of specs and nothing else; derivatives, LaTeX, every target and
every check follow from it.  Adding an activation is adding its formula.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from chainrule.derive.fields import Field

# What values are, the outputs of a layer and the targets of a loss.
VALUES: Final = "values"  # any
SHARES: Final = "shares"  # each within 0 … 1
PROBABILITIES: Final = "probabilities"  # those of a sample sum to 1
ONE_HOT: Final = "one_hot"  # these, or the number of the one that is 1


@dataclass(frozen=True)
class Formula:
    """A scalar formula and the default values of its constants.

    ``gives`` says what its values are; ``known_as`` are other people's names for it.
    """

    text: str
    constants: Mapping[str, float] = field(default_factory=dict)
    gives: str = VALUES
    known_as: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loss(Formula):
    """A formula in the output y and the target t, summed over outputs; ``targets`` says what t is."""

    targets: str = VALUES


# An activation is a formula in x.
IDENTITY: Final = "identity"
ACTIVATIONS: dict[str, Formula] = {
    IDENTITY: Formula("x", known_as=("none", "id", "no_activation", "purelin")),
    "sigmoid": Formula("1 / (1 + exp(-x))", gives=SHARES, known_as=("logistic", "logsig", "sigma")),
    "tanh": Formula("tanh(x)", known_as=("tansig", "hyperbolic_tangent")),
    "relu": Formula("max(0, x)"),
    "leaky_relu": Formula("where(x > 0, x, slope * x)", {"slope": 0.1}, known_as=("lrelu", "leakyrelu")),
    "elu": Formula("where(x > 0, x, alpha * (exp(x) - 1))", {"alpha": 1.0}),
    "softplus": Formula("log(1 + exp(x))", known_as=("smooth_relu",)),
    "gelu": Formula("x * (1 + erf(x / sqrt(2))) / 2"),
    "swish": Formula("x / (1 + exp(-x))", known_as=("silu",)),
    "step": Formula("where(x > 0, 1, 0)", gives=SHARES, known_as=("heaviside", "threshold", "binary_step")),
}

LOSSES: dict[str, Loss] = {
    "mse": Loss(
        "(y - t)**2 / 2",
        known_as=("l2", "mean_squared_error", "squared_error", "quadratic", "least_squares", "sse"),
    ),
    "mae": Loss("abs(y - t)", known_as=("l1", "mean_absolute_error", "absolute_error", "l1_loss")),
    "binary_cross_entropy": Loss(
        "-(t * log(y) + (1 - t) * log(1 - y))",
        known_as=("bce", "binary_crossentropy", "logistic_loss", "bce_loss", "bce_with_logits"),
        targets=SHARES,
    ),
    "cross_entropy": Loss(
        "-t * log(y)",
        known_as=(
            *("categorical_crossentropy", "sparse_categorical_crossentropy", "crossentropy"),
            *("cross_entropy_loss", "nll", "nll_loss", "negative_log_likelihood", "softmax_cross_entropy"),
            *("log_loss", "ce"),
        ),
        targets=ONE_HOT,
    ),
}


@dataclass(frozen=True)
class Optimizer:
    """Update equations, in order: each row replaces its left side.

    The names are theta (a parameter), g (its gradient), k (the step, from 1), the state (every other left
    side, zero before the first step) and the hyper-parameters (the fields).
    """

    update: tuple[tuple[str, str], ...]
    fields: tuple[Field, ...]
    known_as: tuple[str, ...] = ()

    @property
    def state(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.update if name != "theta")


def _rate(default: float) -> Field:
    return Field("learning_rate", "float", "step length η", default, minimum=0, exclusive=("minimum",))


def _decay(name: str, default: float, description: str) -> Field:
    return Field(name, "float", description, default, minimum=0, maximum=1, exclusive=("maximum",))


def _share(name: str, default: float, description: str) -> Field:
    return Field(name, "float", description, default, minimum=0, maximum=1, exclusive=("minimum",))


def _epsilon(default: float) -> Field:
    return Field("epsilon", "float", "added to the denominator", default, minimum=0, exclusive=("minimum",))


@dataclass(frozen=True)
class Schedule:
    """The learning rate of step k, from 1, of K steps in all, over learning_rate, k, K and the fields."""

    rate: str
    fields: tuple[Field, ...] = ()


SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule("learning_rate"),
    "step": Schedule(
        "learning_rate * decay_factor**floor((k - 1) / decay_every)",
        (
            _share("decay_factor", 0.1, "what the learning rate is multiplied by, again and again"),
            Field("decay_every", "int", "steps (batches, not epochs) between two of these", minimum=1),
        ),
    ),
    "cosine": Schedule("learning_rate * (1 + cos(pi * (k - 1) / K)) / 2"),
}

# What may stand around any optimizer: a factor of the rate in the first steps, a factor of the gradient whose
# norm over all parameters is norm, and an update before the optimizer's own.
WARMUP = "min(1, k / warmup)"
CLIPPING = "where(norm > clip_norm, clip_norm / norm, 1)"
WEIGHT_DECAY = (("theta", "(1 - learning_rate * weight_decay) * theta"),)

PRACTICE = (
    Field("schedule", "choice", "how the learning rate falls", default="constant", choices=tuple(SCHEDULES)),
    Field("warmup", "int", "steps in which the learning rate rises to its value", None, minimum=1),
    Field(
        "clip_norm",
        "float",
        "the gradient of all parameters is made no longer than this",
        None,
        minimum=0,
        exclusive=("minimum",),
    ),
    Field(
        "weight_decay",
        "float",
        "share λ of every parameter, times η, that is taken away in a step, apart from the gradient",
        None,
        minimum=0,
        exclusive=("minimum",),
    ),
)

OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(
        (("theta", "theta - learning_rate * g"),),
        (_rate(0.1),),
        ("gd", "gradient_descent", "vanilla", "stochastic_gradient_descent"),
    ),
    "momentum": Optimizer(
        (("v", "momentum * v + g"), ("theta", "theta - learning_rate * v")),
        (_rate(0.01), _decay("momentum", 0.9, "share of the last step's velocity that is kept")),
        ("sgd_momentum", "heavy_ball", "polyak"),
    ),
    "adagrad": Optimizer(
        (("h", "h + g**2"), ("theta", "theta - learning_rate * g / (sqrt(h) + epsilon)")),
        (_rate(0.01), _epsilon(1e-10)),
    ),
    "rmsprop": Optimizer(
        (
            ("h", "rho * h + (1 - rho) * g**2"),
            ("theta", "theta - learning_rate * g / (sqrt(h) + epsilon)"),
        ),
        (_rate(1e-3), _decay("rho", 0.9, "share of the running mean of g² that is kept"), _epsilon(1e-8)),
        ("rms_prop",),
    ),
    "adam": Optimizer(
        (
            ("m", "beta1 * m + (1 - beta1) * g"),
            ("v", "beta2 * v + (1 - beta2) * g**2"),
            (
                "theta",
                "theta - learning_rate * (m / (1 - beta1**k)) / (sqrt(v / (1 - beta2**k)) + epsilon)",
            ),
        ),
        (
            _rate(1e-3),
            _decay("beta1", 0.9, "share of the running mean of g that is kept"),
            _decay("beta2", 0.999, "share of the running mean of g² that is kept"),
            _epsilon(1e-8),
        ),
    ),
}
