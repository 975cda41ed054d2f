"""and_gate: 2-1, sigmoid; mse; sgd; 3 parameters.

AND by one sigmoid unit

Generated from and.toml (sha256 684cf125); change the spec, not this file.  Needs NumPy only.
A comment carries the textbook equation of its line, the shape, and the number that it has in equations.tex.
A value at (N, …) holds one sample a row; equations are for one sample.
"""

import argparse
import collections
import math
import operator

import numpy as np

# ---- Sizes and hyper-parameters --------------------------------------------------------------------
PARAMETERS = {
    "W1": (1, 2),
    "b1": (1,),
}
STATISTICS = {}
SHAPES = PARAMETERS | STATISTICS
COUNT = 3
INPUT, OUTPUT = (2,), (1,)
BATCH_SIZE, EPOCHS = 4, 5000
AT_ONCE = 4096  # samples that are evaluated at a time
LEARNING_RATE = 1.0


def sigmoid(u, out=None):
    """σ(u) = 1 / (1 + e^−u); e^−u may overflow to infinity, where σ is 0."""
    out = np.negative(u, out=out)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


# ---- Parameters: views into one flat vector --------------------------------------------------------
def views(vector):
    """Return the parts of a flat vector of COUNT values by name, each in its shape."""
    parts, start = {}, 0
    for name, shape in PARAMETERS.items():
        stop = start + math.prod(shape)
        parts[name] = vector[start:stop].reshape(shape)
        start = stop
    return parts


def flat(parts):
    """Return the flat vector that arrays are the views of, or None where they are arrays of their own."""
    vector, start = next(iter(parts.values())).base, 0
    if vector is None or vector.shape != (COUNT,) or not vector.flags.c_contiguous:
        return None
    origin = vector.__array_interface__["data"][0]
    for name, shape in PARAMETERS.items():
        part = parts[name]
        if part.base is not vector or part.__array_interface__["data"][0] != origin + start * vector.itemsize:
            return None
        start += math.prod(shape)
    return vector


def init_parameters(seed=0, dtype=np.float32):
    """Return starting parameters by name, drawn with a seed."""
    p = views(np.empty(COUNT, dtype))
    p["W1"][...] = ((-0.16, 0.44),)
    p["b1"][...] = (-0.99,)
    return p


# ---- Workspace: the memory of one step on N samples, lent to one call at a time ---------------------
class Workspace:
    def __init__(self, N, dtype, larger=None, inputs=False):
        def room(name, *shape, fill=np.empty, dtype=dtype):
            return fill(shape, dtype) if larger is None else getattr(larger, name)[: shape[0]]

        self.N, self.smaller = N, {}
        self.real = np.dtype(dtype).type
        self.gradient = room("gradient", COUNT)
        self.g = views(self.gradient)
        self.parts, self.theta = (None,) * len(PARAMETERS), None
        self.s = room("s", COUNT)  # for the update
        self.ones = room("ones", N, fill=np.ones)
        self.z1 = room("z1", N, 1)
        self.a1 = self.z1
        self.delta1 = self.z1
        if inputs:  # for the gradient with respect to them
            self.dx = room("dx", N, 2)

    def part(self, N):
        """Return a part of this memory, that for N samples; the last few are kept."""
        if N not in self.smaller:
            if len(self.smaller) == KEPT:
                del self.smaller[next(iter(self.smaller))]
            self.smaller[N] = Workspace(N, self.real, larger=self)
        return self.smaller[N]


KEPT = 4  # workspaces that wait for the next call, at most; and parts of a workspace
IDLE = collections.defaultdict(lambda: collections.deque(maxlen=KEPT))  # by dtype, those that wait


def workspace(N, dtype):
    """Return memory for N samples that no other call uses until it is given back, whatever thread it is in."""
    try:
        whole = IDLE[dtype].pop()
    except IndexError:
        whole = Workspace(N, dtype)
    if whole.N < N:
        whole = Workspace(N, dtype)
    w = whole if whole.N == N else whole.part(N)
    w.whole = whole
    return w


def give_back(w):
    """Let other calls use this memory; after an error nobody should: another thread may still write to it."""
    whole, w.whole = w.whole, None
    IDLE[w.gradient.dtype].append(whole)


# ---- What a call is given: parameters, inputs, targets ---------------------------------------------
def dtype_of(parameters):
    """Return the dtype of all parameters; raise ValueError where one is missing, or has another shape or dtype."""
    dtype = getattr(parameters.get("W1"), "dtype", np.dtype(np.float32))
    for name, shape in SHAPES.items():
        values = parameters.get(name)
        if values is None:
            raise ValueError(f"parameters have no {name}; there must be {', '.join(SHAPES)}")
        if values.shape != shape or (values.dtype is not dtype and values.dtype != dtype):
            found = f"shape {values.shape} and dtype {values.dtype}"
            raise ValueError(f"parameters[{name!r}] has {found}; expected {shape} and {dtype}")
    if dtype.kind != "f":
        raise ValueError(f"parameters have dtype {dtype}; expected a floating-point type")
    return dtype


def require_inputs(x):
    """Raise ValueError where inputs have another shape."""
    if x.shape[1:] != INPUT or x.ndim == 0:
        raise ValueError(f"x has shape {x.shape}; expected (N, {', '.join(map(str, INPUT))})")


def targets_of(t, N, dtype):
    """Return targets as an array of a dtype; raise ValueError for another shape, and for one that is not finite."""
    t = np.asarray(t, dtype)
    if t.shape != (N, *OUTPUT):
        raise ValueError(f"t has shape {t.shape}; expected {(N, *OUTPUT)}")
    if N == 0:
        raise ValueError("x has no samples, so there is no loss")
    first = np.isfinite(t).argmin()  # the first that is not finite, if any
    if not math.isfinite(t.item(first)):
        at = ", ".join(map(str, np.unravel_index(first, t.shape)))
        raise ValueError(f"t[{at}] = {t.item(first)}: targets are finite numbers")
    return t


def parts(N):
    """Return the slices of N samples that are evaluated one after the other."""
    return [slice(start, start + AT_ONCE) for start in range(0, N, AT_ONCE)]


def prepare(parameters, x, t=None):
    """Return inputs and targets in the parameters' dtype; raise ValueError for what the network cannot take."""
    dtype = dtype_of(parameters)
    x = np.asarray(x, dtype)
    require_inputs(x)
    return x, None if t is None else targets_of(t, len(x), dtype)


# ---- Forward ---------------------------------------------------------------------------------------
def forward(p, x, w):
    a0 = x                                                              # a0 = x                         (N, 2)       (1)
    z1 = np.sum(p["W1"] * a0[:, None, :], axis=2, out=w.z1)             # z1 = W1 a0 + b1                (N, 1)       (2)
    z1 += p["b1"]                                                       # (2)
    a1 = sigmoid(z1, out=w.a1)                                          # a1 = σ(z1)                     (N, 1)       (3)
    return a1


# ---- Loss ------------------------------------------------------------------------------------------
def error(p, t, w):
    N = len(t)
    E_sum = np.sum((w.a1 - t)**2 / 2)                                   # E = (1/(2 N)) Σₙ ‖a1ₙ − tₙ‖²   ()           (4)
    E = E_sum / N                                                       # (4)
    return E


# ---- Backward: delta_l = dE/dz_l, and the gradient of every parameter ------------------------------
def backward(p, x, t, w, g):
    N = len(x)
    a0 = x
    np.divide(w.a1 * (1 - w.a1) * (w.a1 - t), N, out=w.delta1)          # δ1 = (a1 − t) ⊙ a1 ⊙ (1 − a1)/N (N, 1)       (5)
    np.sum(a0.T * w.delta1.T[:, None, :], axis=2, out=g["W1"])          # ∂E/∂W1 = Σₙ δ1ₙ a0ₙᵀ           (1, 2)       (6)
    np.dot(w.ones, w.delta1, out=g["b1"])                               # ∂E/∂b1 = Σₙ δ1ₙ                (1,)         (7)


# ---- Update: over all parameters as one vector -----------------------------------------------------
def init_optimizer(parameters):
    """Return the optimizer's state before the first step."""
    return {}


def descend(theta, g, state, w):
    s = w.s
    theta -= np.multiply(LEARNING_RATE, g, out=s)                       # θ ← θ − η g                    (3,)         (9)


# ---- What a user of this module calls, from any number of threads at once --------------------------
@np.errstate(over="ignore", under="ignore")
def predict(parameters, x):
    """Return the outputs, (N, 1), for inputs (N, 2)."""
    x, _ = prepare(parameters, x)
    if len(x) > AT_ONCE:
        return np.concatenate([predict(parameters, x[s]) for s in parts(len(x))])
    w = workspace(len(x), x.dtype)
    outputs = forward(parameters, x, w).copy()
    give_back(w)
    return outputs


@np.errstate(over="ignore", under="ignore")
def loss(parameters, x, t):
    """Return the loss of a batch."""
    x, t = prepare(parameters, x, t)
    w = workspace(len(x), x.dtype)
    forward(parameters, x, w)
    E = error(parameters, t, w).item()
    give_back(w)
    return E


@np.errstate(over="ignore", under="ignore")
def evaluation_loss(parameters, x, t):
    """Return the loss of a batch."""
    x, t = prepare(parameters, x, t)
    if len(x) > AT_ONCE:
        return sum(evaluation_loss(parameters, x[s], t[s]) * len(x[s]) for s in parts(len(x))) / len(x)
    w = workspace(len(x), x.dtype)
    forward(parameters, x, w)
    E = error(parameters, t, w).item()
    give_back(w)
    return E


@np.errstate(over="ignore", under="ignore")
def loss_and_gradients(parameters, x, t, seed=None):
    """Return the loss of a batch and its gradient by parameter; changes nothing."""
    x, t = prepare(parameters, x, t)
    g, w = views(np.empty(COUNT, x.dtype)), workspace(len(x), x.dtype)
    forward(parameters, x, w)
    E = error(parameters, t, w).item()
    backward(parameters, x, t, w, g)
    give_back(w)
    return E, g


@np.errstate(over="ignore", under="ignore")
def input_gradient(parameters, x, t, seed=None):
    """Return the gradient of the loss with respect to the inputs, in their shape."""
    x, t = prepare(parameters, x, t)
    p, w = parameters, Workspace(len(x), x.dtype, inputs=True)
    g = w.g
    forward(p, x, w)
    error(p, t, w)
    backward(p, x, t, w, g)
    np.sum(p["W1"].T * w.delta1[:, None, :], axis=2, out=w.dx)          # ∂E/∂x = W1ᵀ δ1                 (N, 2)       (8)
    return w.dx.copy()


@np.errstate(over="ignore", under="ignore")
def branches(parameters, x, t):
    """Return on which side of each kink of the loss every value lies, as one vector of truth values."""
    x, t = prepare(parameters, x, t)
    return np.zeros(0, bool)


@np.errstate(over="ignore", under="ignore")
def update(parameters, gradients, state):
    """Change the parameters and the optimizer's state in place by one step."""
    theta, g = flat(parameters), flat(gradients)
    own = theta is None or g is None
    if own:
        theta, g = (np.concatenate([a[name].ravel() for name in PARAMETERS]) for a in (parameters, gradients))
    w = workspace(0, theta.dtype)
    descend(theta, g, state, w)
    give_back(w)
    if own:
        for name, values in views(theta).items():
            parameters[name][...] = values


@np.errstate(over="ignore", under="ignore")
def train_step(parameters, x, t, state, seed=None):
    """Take one whole step on a batch, in place; return the loss before it."""
    x, t = prepare(parameters, x, t)
    w = workspace(len(x), x.dtype)
    forward(parameters, x, w)
    E = error(parameters, t, w).item()
    backward(parameters, x, t, w, w.g)
    if not all(map(operator.is_, parameters.values(), w.parts)):
        w.parts, w.theta = tuple(parameters.values()), flat(parameters)
    if w.theta is not None:
        descend(w.theta, w.gradient, state, w)
    else:
        update(parameters, w.g, state)
    give_back(w)
    return E


# ---- Training --------------------------------------------------------------------------------------
def train(parameters, x, t, epochs=EPOCHS, batch_size=BATCH_SIZE, seed=0):
    """Train in place on shuffled mini-batches; yield the mean loss of every epoch."""
    rng, state = np.random.default_rng(seed), init_optimizer(parameters)
    for _ in range(epochs):
        order, total = rng.permutation(len(x)), 0.0
        for start in range(0, len(x), batch_size):
            batch = order[start : start + batch_size]
            total += train_step(parameters, x[batch], t[batch], state) * len(batch)
        yield total / len(x)


def main():
    parser = argparse.ArgumentParser(description="Train and_gate on x_train, t_train of an .npz file.")
    parser.add_argument("--data", required=True, help="an .npz file: x_train, t_train and, if any, x_test, t_test")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = np.load(arguments.data, allow_pickle=False)
    sets = {name: data[name] for name in data.files}
    for name in ("x_train", "x_test"):
        if name in sets:
            sets[name] = np.asarray(sets[name], np.float32).reshape(-1, *INPUT)
    parameters = init_parameters(arguments.seed)
    losses = train(parameters, sets["x_train"], sets["t_train"], arguments.epochs, seed=arguments.seed)
    for epoch, mean in enumerate(losses, 1):
        line = f"epoch {epoch}: loss {mean:.4f}"
        if "x_test" in sets:
            line += f", test loss {evaluation_loss(parameters, sets['x_test'], sets['t_test']):.4f}"
        print(line)


if __name__ == "__main__":
    main()
