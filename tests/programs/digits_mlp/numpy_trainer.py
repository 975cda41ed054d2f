"""digits_mlp: 784-16-10, sigmoid, softmax, cross-entropy; mini-batch SGD.  Hand-written test program."""

import numpy as np

LEARNING_RATE = 0.5
PARAMETERS = {"W1": (16, 784), "b1": (16,), "W2": (10, 16), "b2": (10,)}
STATISTICS = {}


def init_parameters(seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return {
        name: (
            rng.normal(0.0, 1.0 / np.sqrt(shape[1]), shape) if len(shape) == 2 else np.zeros(shape)
        ).astype(dtype)
        for name, shape in PARAMETERS.items()
    }


def forward(p, x):
    a1 = 1 / (1 + np.exp(-(x @ p["W1"].T + p["b1"])))
    z2 = a1 @ p["W2"].T + p["b2"]
    return a1, z2 - z2.max(axis=1, keepdims=True)


def predict(p, x):
    e = np.exp(forward(p, x)[1])
    return e / e.sum(axis=1, keepdims=True)


def loss(p, x, t):
    z2 = forward(p, x)[1]
    return np.mean(np.log(np.exp(z2).sum(axis=1)) - z2[np.arange(len(t)), t])


evaluation_loss = loss


def backward(p, x, t):
    a1, z2 = forward(p, x)
    e = np.exp(z2)
    s = e.sum(axis=1, keepdims=True)
    rows = np.arange(len(t))
    value = np.mean(np.log(s[:, 0]) - z2[rows, t])
    delta2 = e / s
    delta2[rows, t] -= 1
    delta2 /= len(t)
    delta1 = (delta2 @ p["W2"]) * a1 * (1 - a1)
    return value, a1, delta1, delta2


def loss_and_gradients(p, x, t, seed=None):
    value, a1, delta1, delta2 = backward(p, x, t)
    return value, {
        "W1": delta1.T @ x,
        "b1": delta1.sum(axis=0),
        "W2": delta2.T @ a1,
        "b2": delta2.sum(axis=0),
    }


def input_gradient(p, x, t, seed=None):
    return backward(p, x, t)[2] @ p["W1"]


def init_optimizer(p):
    return {}


def update(p, gradients, state):
    for name, gradient in gradients.items():
        p[name] -= LEARNING_RATE * gradient


def train_step(p, x, t, state, seed=None):
    value, gradients = loss_and_gradients(p, x, t)
    update(p, gradients, state)
    return float(value)


def branches(p, x, t):
    return np.zeros(0, dtype=bool)
