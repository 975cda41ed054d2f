"""xor: 2-3-1, sigmoid everywhere, half squared error, summed; full batch.  Hand-written test program."""

import numpy as np

LEARNING_RATE = 0.5
PARAMETERS = {"W1": (3, 2), "b1": (3,), "W2": (1, 3), "b2": (1,)}
STATISTICS = {}


def init_parameters(seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(-1, 1, shape).astype(dtype) for name, shape in PARAMETERS.items()}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(p, x):
    a1 = sigmoid(x @ p["W1"].T + p["b1"])
    return a1, sigmoid(a1 @ p["W2"].T + p["b2"])


def predict(p, x):
    return forward(p, x)[1]


def loss(p, x, t):
    return ((predict(p, x) - t) ** 2).sum() / 2


evaluation_loss = loss


def backward(p, x, t):
    a1, a2 = forward(p, x)
    delta2 = (a2 - t) * a2 * (1 - a2)
    delta1 = (delta2 @ p["W2"]) * a1 * (1 - a1)
    return ((a2 - t) ** 2).sum() / 2, a1, delta1, delta2


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
