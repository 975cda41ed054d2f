"""relu_mlp: 8-3-3-4, ReLU, half squared error, mean over the batch; momentum.  Hand-written test program.

Narrow on purpose: some starting points leave a unit, or the whole network, dead.
"""

import numpy as np

LEARNING_RATE = 0.05
MOMENTUM = 0.9
PARAMETERS = {"W1": (3, 8), "b1": (3,), "W2": (3, 3), "b2": (3,), "W3": (4, 3), "b3": (4,)}
STATISTICS = {}


def init_parameters(seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return {
        name: (
            rng.normal(0.0, np.sqrt(2.0 / shape[1]), shape) if len(shape) == 2 else np.zeros(shape)
        ).astype(dtype)
        for name, shape in PARAMETERS.items()
    }


def forward(p, x):
    z1 = x @ p["W1"].T + p["b1"]
    a1 = np.maximum(z1, 0)
    z2 = a1 @ p["W2"].T + p["b2"]
    a2 = np.maximum(z2, 0)
    return z1, a1, z2, a2, a2 @ p["W3"].T + p["b3"]


def predict(p, x):
    return forward(p, x)[-1]


def loss(p, x, t):
    return ((predict(p, x) - t) ** 2).sum() / (2 * len(t))


evaluation_loss = loss


def backward(p, x, t):
    z1, a1, z2, a2, z3 = forward(p, x)
    delta3 = (z3 - t) / len(t)
    delta2 = (delta3 @ p["W3"]) * (z2 > 0)
    delta1 = (delta2 @ p["W2"]) * (z1 > 0)
    return ((z3 - t) ** 2).sum() / (2 * len(t)), a1, a2, delta1, delta2, delta3


def loss_and_gradients(p, x, t, seed=None):
    value, a1, a2, delta1, delta2, delta3 = backward(p, x, t)
    return value, {
        "W1": delta1.T @ x,
        "b1": delta1.sum(axis=0),
        "W2": delta2.T @ a1,
        "b2": delta2.sum(axis=0),
        "W3": delta3.T @ a2,
        "b3": delta3.sum(axis=0),
    }


def input_gradient(p, x, t, seed=None):
    return backward(p, x, t)[3] @ p["W1"]


def init_optimizer(p):
    return {name: np.zeros_like(value) for name, value in p.items()} | {"step": 0}


def update(p, gradients, state):
    state["step"] += 1
    for name, gradient in gradients.items():
        state[name] *= MOMENTUM
        state[name] += gradient
        p[name] -= LEARNING_RATE * state[name]


def train_step(p, x, t, state, seed=None):
    value, gradients = loss_and_gradients(p, x, t)
    update(p, gradients, state)
    return float(value)


def branches(p, x, t):
    z1, _, z2, _, _ = forward(p, x)
    return np.concatenate([(z1 > 0).ravel(), (z2 > 0).ravel()])
