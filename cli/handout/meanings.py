"""What symbols mean, in a few words."""

from __future__ import annotations

import re
from typing import Final

from chainrule.derive.index import primal
from chainrule.derive.network import Network
from chainrule.derive.prose import Prose, _
from chainrule.present.notation import is_delta

INDICES: Final = _(
    "indices: n counts the examples of the batch, the others units, pixels, channels or layers"
)

# By the whole symbol: what comes from outside, and the letters of the update.
FIXED: Final[dict[str, Prose]] = {
    "x": _("input"),
    "E": _("loss, the error over the batch"),
    "theta": _("all parameters as one vector"),
    "g": _("gradient of the loss with respect to all parameters, as one vector"),
    "N": _("number of examples in the batch"),
    "k": _("number of the step, from 1"),
    "K": _("number of steps in the whole training"),
    "learning_rate": _("learning rate"),
    "eta": _("learning rate of the step"),
    "momentum": _("share of the velocity that is kept"),
    "rho": _("share of the running mean of g² that is kept"),
    "beta1": _("share of the running mean of g that is kept"),
    "beta2": _("share of the running mean of g² that is kept"),
    "epsilon": _("small number that keeps the denominator from zero"),
    "warmup": _("steps in which the learning rate rises"),
    "decay_factor": _("factor by which the learning rate falls"),
    "decay_every": _("steps between two falls of the learning rate"),
    "norm": _("length of the whole gradient"),
    "clip_norm": _("greatest length that the gradient may have"),
    "kappa": _("factor that makes a long gradient shorter"),
    "weight_decay": _("share of the parameters that decays in each step"),
    "m": _("running mean of the gradient"),
    "h": _("running sum or mean of the squared gradient"),
}
# By the letter of a tensor that belongs to a layer.
LETTERS: Final[dict[str, Prose]] = {
    "z": _("output of a layer with parameters, before its activation"),
    "a": _("output of a layer without parameters: activation, pooling, dropout"),
    "mu": _("mean that a normalization subtracts"),
    "v": _("variance whose root a normalization divides by"),
    "xhat": _("input of a normalization, brought to mean 0 and variance 1"),
    "mean": _("running mean, for use after training"),
    "var": _("running variance, for use after training"),
}
ROLES: Final[dict[str, Prose]] = {
    "weight": _("weights"),
    "bias": _("biases, or shifts of a normalization"),
    "scale": _("scales of a normalization"),
    "statistic": _("statistics that are kept, but not trained"),
}
_LETTER: Final = re.compile(r"([A-Za-z]+?)\d")


def meaning_of(symbol: str, network: Network) -> Prose:
    """Return the meaning of a tensor of a network, or of a letter of its update."""
    if is_delta(symbol):
        return _("error of a layer: the gradient of the loss with respect to its pre-activation")
    if symbol == "a0":
        return _("input as the first layer takes it")
    if symbol in ("t", "T"):
        return _target(symbol, network)
    if symbol == "v":
        return _velocity(network)
    return _of_layer(symbol, network) or FIXED.get(symbol) or _inner(symbol)


def constant(symbol: str) -> Prose:
    """Return the meaning of a letter that is no tensor: a size or a hyper-parameter."""
    return FIXED.get(symbol) or _("number")


def _of_layer(symbol: str, network: Network) -> Prose | None:
    """Return the meaning of a parameter, of a statistic or of noise; None for what is none of these."""
    if symbol in {noise.name for noise in network.noise}:
        return _("mask of dropout: 1 for what is kept, 0 for what is dropped, drawn anew in each step")
    letter = _LETTER.match(symbol)
    role = next((p.role for p in (*network.parameters, *network.statistics) if p.name == symbol), "")
    if letter and role == "statistic" and letter[1] in LETTERS:
        return LETTERS[letter[1]]
    return ROLES[role] if role else None


def _inner(symbol: str) -> Prose:
    letter = _LETTER.match(symbol)
    if letter and letter[1] in LETTERS:
        return LETTERS[letter[1]]
    if primal(symbol) is not None:
        return _("gradient of the loss with respect to a tensor, of the shape of that tensor")
    return _("value within a layer")


def _target(symbol: str, network: Network) -> Prose:
    if not network.labels:
        return _("target: what the output should be")
    if symbol == "t":
        return _("label: the number of the right class, from 0")
    return _("label as a row of zeros with a one at the right class (one-hot)")


def _velocity(network: Network) -> Prose:
    if network.spec.optimizer.type == "momentum":
        return _("velocity: the sum of the gradients so far, the older the less")
    return _("running mean of the squared gradient")
