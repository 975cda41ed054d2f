"""Names that the field knows and a spec may not: what they are called here, how to write them, or not yet.

A remedy, never a synonym: a spec has one name for a thing.
"""

from __future__ import annotations

import re
from typing import Final

from chainrule.derive.layers import LAYERS
from chainrule.derive.library import ACTIVATIONS, LOSSES, OPTIMIZERS
from chainrule.formula.messages import did_you_mean

# What is not there yet, and what stands in its place.
NOT_YET: Final = {
    "recurrent layers": ("lstm", "gru", "rnn", "simple_rnn", "bidirectional", "conv_lstm2d"),
    "attention": (
        *("attention", "self_attention", "multi_head_attention", "multihead_attention", "mha", "transformer"),
        *("transformer_encoder", "positional_encoding"),
    ),
    "layers over integer inputs": ("embedding", "embedding_bag", "one_hot", "text_vectorization"),
    "layers with two inputs": (
        *(
            "add",
            "sum",
            "concat",
            "concatenate",
            "multiply",
            "subtract",
            "average",
            "maximum",
            "dot",
            "merge",
        ),
        *("residual", "skip", "shortcut", "highway", "siamese"),
    ),
    "transposed convolutions and upsampling": (
        *(
            "conv2d_transpose",
            "conv_transpose2d",
            "conv1d_transpose",
            "deconv2d",
            "deconvolution",
            "upsample",
        ),
        *("upsampling2d", "up_sampling2d", "pixel_shuffle", "depth_to_space", "max_unpool2d"),
    ),
    "layers over volumes": ("conv3d", "max_pool3d", "avg_pool3d"),
    "normalizations over groups and instances": (
        *(
            "group_norm",
            "instance_norm",
            "weight_norm",
            "spectral_norm",
            "rms_norm",
            "local_response_norm",
            "lrn",
        ),
    ),
    "shapes by hand": (
        "reshape",
        "permute",
        "transpose",
        "zero_padding2d",
        "cropping2d",
        "pad",
        "repeat_vector",
    ),
    "activations with trained constants": ("prelu", "maxout2d"),
    "further noise": (
        "gaussian_noise",
        "gaussian_dropout",
        "alpha_dropout",
        "spatial_dropout2d",
        "drop_path",
    ),
    "further optimizers": (
        *("nesterov", "nag", "nadam", "adamax", "adadelta", "radam", "lamb", "lion", "lars", "muon", "lbfgs"),
        *("l_bfgs", "rprop", "ftrl", "sgdw", "shampoo", "adafactor"),
    ),
    "losses between samples or over sequences": (
        "ctc",
        "triplet",
        "contrastive",
        "cosine_similarity",
        "info_nce",
    ),
}
# Other spellings of what is there.
SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    **{name: kind.known_as for name, kind in LAYERS.items()},
    **{name: formula.known_as for name, formula in (*ACTIVATIONS.items(), *LOSSES.items())},
    **{name: optimizer.known_as for name, optimizer in OPTIMIZERS.items()},
    "adam with weight_decay = 0.01": ("adamw",),
}
# What is one formula of one's own.
FORMULAS: Final = {
    "mish": "x * tanh(softplus(x))",
    "selu": "where(x > 0, 1.0507009873554805 * x, 1.7580993408473766 * (exp(x) - 1))",
    "relu6": "max(0, min(6, x))",
    "hard_swish": "x * max(0, min(6, x + 3)) / 6",
    "hardswish": "x * max(0, min(6, x + 3)) / 6",
    "hard_sigmoid": "max(0, min(6, x + 3)) / 6",
    "hardsigmoid": "max(0, min(6, x + 3)) / 6",
    "hard_tanh": "max(-1, min(1, x))",
    "hardtanh": "max(-1, min(1, x))",
    "softsign": "x / (1 + abs(x))",
    "sin": "sin(x)",
    "sine": "sin(x)",
    "gaussian": "exp(-x**2)",
    "bent_identity": "(sqrt(x**2 + 1) - 1) / 2 + x",
    "log_sigmoid": "log(sigmoid(x))",
    "celu": "where(x > 0, x, alpha * (exp(x / alpha) - 1))",
    "squared_relu": "max(0, x)**2",
    "tanhshrink": "x - tanh(x)",
    "exponential": "exp(x)",
    "huber": "where(abs(y - t) < 1, (y - t)**2 / 2, abs(y - t) - 0.5)",
    "smooth_l1": "where(abs(y - t) < 1, (y - t)**2 / 2, abs(y - t) - 0.5)",
    "log_cosh": "log(cosh(y - t))",
    "logcosh": "log(cosh(y - t))",
    "hinge": "max(0, 1 - t * y)",
    "squared_hinge": "max(0, 1 - t * y)**2",
    "poisson": "y - t * log(y)",
    "kl_divergence": "t * log(t / y)",
    "kl_div": "t * log(t / y)",
    "mape": "abs((y - t) / t)",
    "msle": "(log(1 + y) - log(1 + t))**2",
    "focal": "-t * (1 - y)**2 * log(y)",
    "quantile": "max(0.9 * (t - y), 0.1 * (y - t))",
}


def remedy(name: str, known: list[str], section: str) -> str:
    """Return what to do about a name that is not known: its name here, a formula, "not yet", or a near name.

    ``section`` is where formulas of one's own stand, "" where there are none.
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:60]).lower()
    folded = re.sub(r"[^a-z0-9]+", "_", apart).strip("_")
    bare = folded.replace("_", "")
    for ours in known:
        if ours.replace("_", "") == bare:
            return f"write {ours}"
    for ours, others in SPELLINGS.items():
        if ours.partition(" ")[0] in known and bare in (other.replace("_", "") for other in others):
            return f"write {ours}"
    variables = {"activations": "x", "losses": "y"}.get(section)
    formula = next((f for other, f in FORMULAS.items() if other.replace("_", "") == bare), "")
    if variables and re.search(rf"\b{variables}\b", formula):
        return f'write it yourself: [{section}.{folded}] with formula = "{formula}"'
    for what, others in NOT_YET.items():
        if bare in (other.replace("_", "") for other in others):
            return f"there are no {what} yet"
    near = did_you_mean(name, known)
    if near or not section:
        return near
    own = folded if re.fullmatch("[a-z][a-z0-9_]{0,39}", folded) else "NAME"
    return f"or define it in a table [{section}.{own}]"
