"""xor_backprop: 2-3-1, sigmoid; mse; sgd; 12 parameters.

XOR, 2-3-1, sigmoid, a bias in the hidden layer only: 100 full-batch steps from fixed weights

Generated from xor_backprop.toml (sha256 ffd9c44d); change the spec, not this file.  Needs NumPy only.
A comment carries the textbook equation of its line, the shape, and the number that it has in equations.tex.
A value at (N, …) holds one sample a row; equations are for one sample.
"""

import argparse
import collections
import math
import operator
import os
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

# ---- Sizes and hyper-parameters --------------------------------------------------------------------
PARAMETERS = {
    "W1": (3, 2),
    "b1": (3,),
    "W2": (1, 3),
}
STATISTICS = {}
SHAPES = PARAMETERS | STATISTICS
SPEC = "ffd9c44d9d91afa7aecb8115db724687a25af3e4dba546602a8c39e9816a146c"
COUNT = 12
INPUT, OUTPUT = (2,), (1,)
BATCH_SIZE, EPOCHS = 4, 100
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
    p["W1"][...] = ((-0.5, -0.5), (0.5, 0.5), (0.5, -0.5))
    p["b1"][...] = (0.0, 0.0, 0.0)
    p["W2"][...] = ((-0.5, 0.5, -0.5),)
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
        self.z1 = room("z1", N, 3)
        self.a1 = self.z1
        self.z2 = room("z2", N, 1)
        self.a2 = self.z2
        self.delta2 = self.z2
        self.delta1 = room("delta1", N, 3)
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
def dtype_of(arrays, shapes=SHAPES, kind="parameters"):
    """Return the dtype of all parameters; raise ValueError where one is missing, or has another shape or dtype."""
    dtype = getattr(arrays.get("W1"), "dtype", np.dtype(np.float32))
    for name, shape in shapes.items():
        values = arrays.get(name)
        if values is None:
            raise ValueError(f"{kind} have no {name}; there must be {', '.join(shapes)}")
        if values.shape != shape or (values.dtype is not dtype and values.dtype != dtype):
            found = f"shape {values.shape} and dtype {values.dtype}"
            raise ValueError(f"{kind}[{name!r}] has {found}; expected {shape} and {dtype}")
    if dtype.kind != "f":
        raise ValueError(f"{kind} have dtype {dtype}; expected a floating-point type")
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
    z1 = np.dot(a0, p["W1"].T, out=w.z1)                                # z1 = W1 a0 + b1                (N, 3)       (2)
    z1 += p["b1"]                                                       # (2)
    a1 = sigmoid(z1, out=w.a1)                                          # a1 = σ(z1)                     (N, 3)       (3)
    z2 = (p["W2"] * a1[:, None, :]).sum(axis=2, out=w.z2)               # z2 = W2 a1                     (N, 1)       (4)
    a2 = sigmoid(z2, out=w.a2)                                          # a2 = σ(z2)                     (N, 1)       (5)
    return a2


# ---- Loss ------------------------------------------------------------------------------------------
def error(p, t, w):
    E = ((w.a2 - t)**2 / 2).sum()                                       # E = (1/2) Σₙ ‖a2ₙ − tₙ‖²       ()           (6)
    return E


# ---- Backward: delta_l = dE/dz_l, and the gradient of every parameter ------------------------------
def backward(p, x, t, w, g):
    a0 = x
    np.multiply(w.a2, (1 - w.a2) * (w.a2 - t), out=w.delta2)            # δ2 = (a2 − t) ⊙ a2 ⊙ (1 − a2)  (N, 1)       (7)
    (w.a1.T * w.delta2.T[:, None, :]).sum(axis=2, out=g["W2"])          # ∂E/∂W2 = Σₙ δ2ₙ a1ₙᵀ           (1, 3)       (8)
    (p["W2"].T * w.delta2[:, None, :]).sum(axis=2, out=w.delta1)        # δ1 = (W2ᵀ δ2) ⊙ a1 ⊙ (1 − a1)  (N, 3)       (9)
    w.delta1 *= w.a1 * (1 - w.a1)                                       # (9)
    np.dot(w.delta1.T, a0, out=g["W1"])                                 # ∂E/∂W1 = Σₙ δ1ₙ a0ₙᵀ           (3, 2)       (10)
    np.dot(w.ones, w.delta1, out=g["b1"])                               # ∂E/∂b1 = Σₙ δ1ₙ                (3,)         (11)


# ---- Update: over all parameters as one vector -----------------------------------------------------
def init_optimizer(parameters):
    """Return the optimizer's state before the first step."""
    return {}


def descend(theta, g, state, w):
    s = w.s
    theta -= np.multiply(LEARNING_RATE, g, out=s)                       # θ ← θ − η g                    (12,)        (13)


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


evaluation_loss = loss


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
    np.dot(w.delta1, p["W1"], out=w.dx)                                 # ∂E/∂x = W1ᵀ δ1                 (N, 2)       (12)
    return w.dx.copy()


@np.errstate(over="ignore", under="ignore")
def branches(parameters, x, t):
    """Return on which side of each kink of the loss every value lies, as one vector of truth values."""
    x, t = prepare(parameters, x, t)
    return np.zeros(0, bool)


@np.errstate(over="ignore", under="ignore")
def update(parameters, gradients, state):
    """Change the parameters and the optimizer's state in place by one step."""
    dtype_of(parameters)
    dtype_of(gradients, PARAMETERS, "gradients")
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


# ---- Files of arrays, and the command line ---------------------------------------------------------
class DataFault(ValueError):
    """What is wrong with a file of data."""


def place_of(path, *sources):
    """Return where a file goes; raise ValueError for a source, and for what is there and is no .npz file."""
    place = Path(os.path.realpath(path))
    if not (place.parent.is_dir() and os.access(place.parent, os.W_OK)) or (os.path.exists(path) and not os.path.isfile(path)):
        raise ValueError(f"{path}: no place for a file")
    if place.exists() and place.stat().st_size and not is_archive(place):
        raise ValueError(f"{path}: is there and is no .npz file, so it is not replaced")
    for source in map(os.path.realpath, sources):
        if str(place) == source or (place.exists() and os.path.exists(source) and place.samefile(source)):
            raise ValueError(f"{path}: this command reads or writes it already; choose another name")
    return place


def is_archive(path):
    """Whether a file is one of arrays by name, which np.savez writes."""
    try:
        with zipfile.ZipFile(path) as archive:
            return all(name.endswith(".npy") for name in archive.namelist())
    except Exception:  # zipfile raises anything for what is none
        return False


def write_arrays(path, arrays):
    """Write arrays by name to an .npz file: all of it or nothing, whatever happens on the way."""
    place, temporary = place_of(path), None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{place.name}.", suffix=".tmp", dir=place.parent)
        with open(handle, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, place)
    except OSError as error:
        raise OSError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)  # there only after an error


def arrays_of(path, kind="whole .npz file of plain numbers", fault=ValueError):
    """Return the arrays of an .npz file by name; raise a fault for a file that is none.  Nothing is unpickled."""
    if not Path(path).is_file():
        raise fault(f"{path}: there is no such file")
    try:
        with open(path, "rb") as file:
            arrays = np.load(file, allow_pickle=False)
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:  # of zip, zlib, NumPy
        reason = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
        raise fault(f"{path}: is no {kind}{reason}") from error


def save(parameters, path):
    """Write parameters to an .npz file, which `load` reads."""
    dtype_of(parameters)
    write_arrays(path, {"spec_sha256": np.array(SPEC), **{name: np.asarray(parameters[name]) for name in SHAPES}})


def load(path):
    """Return the parameters that `save` wrote; raise ValueError where they are not those of this network."""
    found = arrays_of(path, "whole .npz file that --save wrote")
    spec = str(found.pop("spec_sha256", SPEC))
    try:
        if spec != SPEC:
            raise ValueError(f"trained for another spec (sha256 {spec[:8]}; this is {SPEC[:8]})")
        dtype = dtype_of(found)
        for name in SHAPES:
            if not np.isfinite(found[name]).all():
                raise ValueError(f"{name} has values that are not finite")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    p = init_parameters(0, dtype)
    for name in SHAPES:
        p[name][...] = np.asarray(found[name])
    return p


def inputs_of(arrays, path, *names):
    """Return the inputs of some names, all on one scale and in the network's shape; raise DataFault."""
    wanted, total = [n for n in INPUT if n > 1], math.prod(INPUT)
    shapes = [wanted, [total]] if len(wanted) < 3 else [wanted]  # rows do not say where channels are
    for name in names:
        if name not in arrays:
            raise DataFault(f"{path}: no {name}; it has {', '.join(arrays) or 'nothing'}")
        x = arrays[name]
        if x.dtype.kind not in "biuf" or x.ndim < 1 or [n for n in x.shape[1:] if n > 1] not in shapes:
            raise DataFault(f"{path}: {name} has shape {x.shape} and dtype {x.dtype}; expected numbers, (N, {', '.join(map(str, INPUT))})")
        if not x.size or not max(abs(float(x.min())), abs(float(x.max()))) < 3.4e38:
            raise DataFault(f"{path}: {name} has {'values that are no finite float32' if x.size else 'no samples'}")
    inputs = {name: arrays[name] for name in names}
    unit = divisor(inputs, path) if total >= 64 or len(wanted) > 1 else 1
    return [np.divide(x, np.float32(unit), dtype=np.float32).reshape(len(x), *INPUT) for x in inputs.values()]


def divisor(inputs, path):
    """Return 255 for pixels, whole numbers 0 … 255 (as floats, with bright ones), else 1; raise DataFault for two scales."""
    low, high = min(float(x.min()) for x in inputs.values()), max(float(x.max()) for x in inputs.values())
    told = ", ".join(f"{name} is {x.dtype} of {float(x.min()):.4g} … {float(x.max()):.4g}" for name, x in inputs.items())
    floats = {x.dtype.kind == "f" for x in inputs.values()}
    whole = [x.dtype.kind != "f" or all((row == np.rint(row)).all() for row in x) for x in inputs.values()]
    bright = any(w and 128 <= x.max() <= 255 for w, x in zip(whole, inputs.values()))
    if high > 1 and (len(floats) > 1 or (bright and not all(whole))):
        raise DataFault(f"{path}: {told}: on different scales; store both alike")
    unit = 255 if low >= 0 and all(whole) and (128 if True in floats else 2) <= high <= 255 else 1
    if high > 1.5 or floats == {False}:
        print(f"{told}: {'divided by 255' if unit > 1 else 'taken as they are'}", file=sys.stderr)
    return unit


@np.errstate(over="ignore")
def stored_targets(arrays, path, part, N):
    """Return the N targets of "train" or "test", called t_… or y_…, as the loss takes them; raise DataFault."""
    names = [name for name in (f"t_{part}", f"y_{part}") if name in arrays]
    if len(names) != 1:
        raise DataFault(f"{path}: {'both' if names else 'neither'} of t_{part} and y_{part}; one is needed")
    where, t = f"{path}: {names[0]}", arrays[names[0]]
    if t.dtype.kind not in "biuf":
        raise DataFault(f"{where}: t has dtype {t.dtype}; expected numbers")
    wanted = (N, *OUTPUT)
    t = t.reshape(wanted) if t.shape[:1] == (N,) and t.size == math.prod(wanted) else t
    try:
        t = targets_of(t, N, np.float32)
    except ValueError as error:
        raise DataFault(f"{where}: {error}") from error
    return t


def samples_of(arrays, path):
    """Return inputs and targets, those of training and those of the test, if any; raise DataFault."""
    sets = ["train", "test"] if "x_test" in arrays else ["train"]
    inputs = inputs_of(arrays, path, *(f"x_{part}" for part in sets))
    return [(x, stored_targets(arrays, path, part, len(x))) for part, x in zip(sets, inputs)]


def run(arguments):
    """Train and predict as the command line says, once it is sure that no file is lost by what is written."""
    read = [path for path in (arguments.data, arguments.predict) if path]
    if arguments.save:
        place_of(arguments.save, *read)
    if arguments.output:
        place_of(arguments.output, *read, *filter(None, (arguments.load, arguments.save)))
    parameters = load(arguments.load) if arguments.load else init_parameters(arguments.seed)
    if arguments.data:
        (x, t), *tests = samples_of(arrays_of(arguments.data, fault=DataFault), arguments.data)
        losses = train(parameters, x, t, arguments.epochs, seed=arguments.seed)
        for epoch, mean in enumerate(losses, 1):
            if not math.isfinite(mean):
                raise ArithmeticError(f"epoch {epoch}: the loss is {mean}, parameters are not saved; lower the learning rate")
            line = f"epoch {epoch}: loss {mean:.4f}"
            for test in tests:
                line += f", test loss {evaluation_loss(parameters, *test):.4f}"
            print(line, flush=True)
            if arguments.save:
                save(parameters, arguments.save)
    if arguments.predict:
        arrays = arrays_of(arguments.predict, fault=DataFault)
        (x,) = inputs_of(arrays, arguments.predict, "x_test" if "x_test" in arrays and "x" not in arrays else "x")
        y = np.asarray(predict(parameters, x))
        write_arrays(arguments.output, {"y": y})


def main():
    parser = argparse.ArgumentParser(description="Train xor_backprop, and predict with what was trained.")
    parser.add_argument("--data", metavar="F.npz", help="train on x_train and t_train (or y_train); test on x_test and t_test (or y_test), if any")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--load", metavar="W.npz", help="begin with the parameters that --save wrote")
    parser.add_argument("--save", metavar="W.npz", help="write the parameters after every epoch")
    parser.add_argument("--predict", metavar="F.npz", help="write the outputs for x (or x_test) of this file, as y, to the file of -o")
    parser.add_argument("-o", "--output", metavar="Y.npz")
    arguments = parser.parse_args()
    if not (arguments.data or arguments.predict) or arguments.epochs < 1 or arguments.seed < 0:
        parser.error("say --data or --predict; epochs are 1 or more, the seed is 0 or more")
    if bool(arguments.predict) != bool(arguments.output) or (arguments.predict and not (arguments.load or arguments.data)):
        parser.error("--predict F.npz needs -o Y.npz, and --load W.npz (or --data) for its parameters")
    try:
        run(arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.exit(130)
    except (ValueError, ArithmeticError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(3 if isinstance(error, DataFault) else 1 if isinstance(error, ArithmeticError) else 2)


if __name__ == "__main__":
    main()
