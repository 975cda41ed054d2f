"""or_gate: 2-1, sigmoid; mse; sgd; 3 parameters.

OR by one sigmoid unit

Generated from or.toml (sha256 806be74d); change the spec, not this file.  Needs CuPy, NumPy and an
NVIDIA GPU; kernels.cu, beside this file, has the kernels.  A comment carries what a launch computes, and the
numbers that its equations have in equations.tex, in kernels.cu and in ../numpy_trainer.py.  Arrays are CuPy's;
inputs and targets may be NumPy's.
"""

import argparse
import collections
import functools
import math
import operator
import os
import sys
import tempfile
import types
import zipfile
from pathlib import Path

import numpy as np

try:
    import cupy as cp
except ImportError:
    cp = None

# ---- Sizes and hyper-parameters --------------------------------------------------------------------
PARAMETERS = {
    "W1": (1, 2),
    "b1": (1,),
}
STATISTICS = {}
SHAPES = PARAMETERS | STATISTICS
SPEC = "806be74dc330a03d355a998cbd30ab913e5d4ed4541dfd5fc75fcb155fc74aa7"
COUNT = 3
INPUT, OUTPUT = (2,), (1,)
BATCH_SIZE, EPOCHS = 4, 5000
LEARNING_RATE = 1.0  # as in kernels.cu, which computes with it
AT_ONCE = 4096  # samples that are evaluated at a time
GRAPH_STEPS = 16  # steps that one launch of a graph takes
LARGEST = 2  # entries of a sample in the largest tensor; kernels count them all in 32 bits
WORK = 0  # floating-point operations of a sample's matrix products in a step


# ---- Kernels: kernels.cu, and what a step needs around its equations -------------------------------
KERNELS = {  # with the dynamic shared memory of a block, in bytes, where real is float
    "backward_dW1": 1024,
    "backward_db1": 1024,
    "backward_delta1": 0,
    "forward_a1": 0,
    "input_gradient_dx": 0,
    "loss_E": 1024,
    "update_theta": 0,
}
REAL = {"float32": "float", "float64": "double"}
STEP = """
// x, t = the rows of the data set for the epoch's step number place[0] (from 0): N rows of the ``size`` of a batch.
extern "C" __global__ void next_batch(real* __restrict__ x, real* __restrict__ t,
                                      const real* __restrict__ all_x, const real* __restrict__ all_t,
                                      const int* __restrict__ order, const int* __restrict__ place, int size, int N)
{
    const int* rows = order + (long long)place[0] * size;
    const long long first = (long long)blockIdx.x * blockDim.x + threadIdx.x, stride = (long long)gridDim.x * blockDim.x;
    for (long long i = first; i < N * 2LL; i += stride) x[i] = all_x[rows[i / 2] * 2LL + i % 2];
    for (long long i = first; i < N * 1LL; i += stride) t[i] = all_t[rows[i]];
}

// What a step leaves behind, in one thread: its loss in the epoch's sum, and the numbers of the step after it.
extern "C" __global__ void next_step(double* total, const double* E, int* place, int N)
{
    total[0] += (double)E[0] * N;
    place[0] += 1;
}
"""


def missing():
    """Return in one line what is missing for a run on a GPU, and what to do; "" where nothing is."""
    if cp is None:
        return "CuPy is missing: pip install 'cupy-cuda12x[ctk]' (for a driver of CUDA 13: 'cupy-cuda13x[ctk]')"
    try:
        found, why = cp.cuda.runtime.getDeviceCount(), "there is none"
    except cp.cuda.runtime.CUDARuntimeError as error:
        found, why = 0, error
    return "" if found else f"an NVIDIA GPU with its driver is missing ({why}): use numpy_trainer.py, or such a machine"


@functools.cache
def kernels(dtype):
    """Return the kernels by name, compiled for parameters of a dtype."""
    if problem := missing():
        raise RuntimeError(problem)
    if dtype.name not in REAL:
        raise ValueError(f"parameters have dtype {dtype}; expected {' or '.join(REAL)}")
    source = Path(__file__).with_name("kernels.cu").read_text(encoding="utf-8") + STEP
    module = cp.RawModule(code=source, options=(f"-DREAL={REAL[dtype.name]}",))
    found = {name: module.get_function(name) for name in (*KERNELS, "next_batch", "next_step")}
    for name, shared in KERNELS.items():
        if shared // 4 * dtype.itemsize > 48 * 1024:  # what a block has without asking
            found[name].max_dynamic_shared_size_bytes = -(-shared // 4) * dtype.itemsize
    return types.SimpleNamespace(**found)


@functools.cache
def persistent_kernel(dtype):
    """Return the kernel that takes whole steps by itself; the others are its phases."""
    source = Path(__file__).with_name("kernels.cu").read_text(encoding="utf-8")
    options = (f"-DREAL={REAL[dtype.name]}", "-DPERSISTENT")
    steps = cp.RawModule(code=source, options=options, enable_cooperative_groups=True).get_function("steps")
    if 1024 // 4 * dtype.itemsize > 48 * 1024:
        steps.max_dynamic_shared_size_bytes = 1024 // 4 * dtype.itemsize
    return steps


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
    for name, shape in PARAMETERS.items():
        part = parts[name]
        if part.base is not vector or part.data.ptr != vector.data.ptr + start * vector.itemsize:
            return None
        start += math.prod(shape)
    return vector


def joined(parts):
    """Return a flat vector of its own with the values of arrays."""
    vector = cp.empty(COUNT, next(iter(parts.values())).dtype)
    for name, part in views(vector).items():
        part[...] = parts[name]
    return vector


def init_parameters(seed=0, dtype=np.float32):
    """Return starting parameters by name, drawn with a seed: those of numpy_trainer.py."""
    if problem := missing():
        raise RuntimeError(problem)
    vector = np.empty(COUNT, dtype)
    p = views(vector)
    p["W1"][...] = ((-0.16, 0.44),)
    p["b1"][...] = (-0.99,)
    p = views(cp.asarray(vector))
    return p


# ---- Workspace: the memory of one step on N samples, lent to one call at a time --------------------
class Workspace:
    def __init__(self, N, dtype, larger=None, inputs=False):
        def room(name, *shape, dtype=dtype):
            return cp.empty(shape, dtype) if larger is None else part(getattr(larger, name), *shape, dtype=dtype)

        def part(memory, *shape, dtype=dtype):
            return memory.ravel().view(dtype)[: math.prod(shape)].reshape(shape)

        if N * LARGEST >= 2**31:
            raise ValueError(f"{N} samples at once are too many: at most {(2**31 - 1) // LARGEST}; take smaller batches")
        self.N, self.smaller, self.dtype = N, {}, dtype
        self.k, self.itemsize = kernels(dtype), dtype.itemsize
        self.gradient = room("gradient", COUNT)
        self.g = views(self.gradient)
        self.parts, self.theta = (None,) * len(PARAMETERS), None
        self.a1 = room("a1", N, 1)
        self.E = room("E", dtype=np.float64)
        self.delta1 = room("delta1", N, 1)
        if inputs:  # for the gradient with respect to them
            self.dx = room("dx", N, 2)

    def part(self, N):
        """Return a part of this memory, that for N samples; the last few are kept."""
        if N not in self.smaller:
            if len(self.smaller) == KEPT:
                del self.smaller[next(iter(self.smaller))]
            self.smaller[N] = Workspace(N, self.dtype, larger=self)
        return self.smaller[N]


KEPT = 4  # workspaces that wait for the next call, at most; and parts of a workspace
IDLE = collections.defaultdict(lambda: collections.deque(maxlen=KEPT))  # by dtype, those that wait


def workspace(N, dtype):
    """Return memory for N samples that no other call uses until it is given back, whatever thread it is in."""
    try:
        whole = IDLE[dtype].pop()
    except IndexError:
        whole = Workspace(N, dtype)
    else:
        if whole.stream != cp.cuda.get_current_stream():
            whole.stream.synchronize()  # what was launched there may still use it
    if whole.N < N:
        whole = Workspace(N, dtype)
    w = whole if whole.N == N else whole.part(N)
    w.whole = whole
    return w


def give_back(w):
    """Let later calls use this memory, once what this one launched is done."""
    whole, w.whole = w.whole, None
    whole.stream = cp.cuda.get_current_stream()
    IDLE[w.dtype].append(whole)


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


def upload_targets(t, N, dtype):
    """Return targets on the device; what they are is looked at on the host."""
    t = cp.asnumpy(t) if isinstance(t, cp.ndarray) else t
    return cp.asarray(targets_of(t, N, dtype))


def upload(parameters, x, t=None):
    """Return inputs and targets on the device; raise ValueError for what the network cannot take."""
    dtype = dtype_of(parameters)
    x = cp.ascontiguousarray(cp.asarray(x, dtype))
    require_inputs(x)
    return x, None if t is None else upload_targets(t, len(x), dtype)


# ---- Forward ---------------------------------------------------------------------------------------
def forward(p, x, w):
    k, N, n = w.k, w.N, np.int32(w.N)
    k.forward_a1(((N + 255) // 256,), (256,), (w.a1, p["W1"], x, p["b1"], n))                 # z1 = W1 a0 + b1; a1 = σ(z1)  (2) (3)
    return w.a1


# ---- Loss ------------------------------------------------------------------------------------------
def error(p, t, w):
    k, n = w.k, np.int32(w.N)
    k.loss_E((1,), (256,), (w.E, w.a1, t, n), shared_mem=256 * w.itemsize)                    # E = (1/(2 N)) Σₙ ‖a1ₙ − tₙ‖²  (4)
    return w.E


# ---- Backward: delta_l = dE/dz_l, and the gradient of every parameter ------------------------------
def backward(p, x, t, w, g):
    k, N, n = w.k, w.N, np.int32(w.N)
    k.backward_delta1(((N + 255) // 256,), (256,), (w.delta1, w.a1, t, n))                    # δ1 = (a1 − t) ⊙ a1 ⊙ (1 − a1)/N  (5)
    k.backward_dW1((1,), (256,), (g["W1"], w.delta1, x, n), shared_mem=256 * w.itemsize)      # ∂E/∂W1 = Σₙ δ1ₙ a0ₙᵀ  (6)
    k.backward_db1((1,), (256,), (g["b1"], w.delta1, n), shared_mem=256 * w.itemsize)         # ∂E/∂b1 = Σₙ δ1ₙ  (7)


# ---- Update: over all parameters as one vector -----------------------------------------------------
def init_optimizer(parameters):
    """Return the optimizer's state before the first step, all of it on the device."""
    return {}


def descend(theta, g, state, w):
    k = w.k
    k.update_theta((1,), (256,), (theta, g))                                                  # θ ← θ − η g  (9)


# ---- What a user of this module calls, from any number of threads at once --------------------------
def predict(parameters, x):
    """Return the outputs, (N, 1), for inputs (N, 2)."""
    p, (all_x, _) = parameters, upload(parameters, x)
    outputs = cp.empty((len(all_x), *OUTPUT), all_x.dtype)
    for s in parts(len(all_x)):
        x = all_x[s]
        w = workspace(len(x), x.dtype)
        outputs[s] = forward(p, x, w)
        give_back(w)
    return outputs


def loss(parameters, x, t):
    """Return the loss of a batch."""
    p, (x, t) = parameters, upload(parameters, x, t)
    w = workspace(len(x), x.dtype)
    forward(p, x, w)
    E = error(p, t, w).item()
    give_back(w)
    return E


def evaluation_loss(parameters, x, t):
    """Return the loss of a batch."""
    p, (all_x, all_t), total = parameters, upload(parameters, x, t), 0.0
    for s in parts(len(all_x)):
        x, t = all_x[s], all_t[s]
        w = workspace(len(x), x.dtype)
        forward(p, x, w)
        total += error(p, t, w).item() * len(x)
        give_back(w)
    return total / len(all_x)


def loss_and_gradients(parameters, x, t, seed=None):
    """Return the loss of a batch and its gradient by parameter; changes nothing."""
    p, (x, t) = parameters, upload(parameters, x, t)
    w, g = workspace(len(x), x.dtype), views(cp.empty(COUNT, x.dtype))
    forward(p, x, w)
    E = error(p, t, w)
    backward(p, x, t, w, g)
    E = E.item()
    give_back(w)
    return E, g


def input_gradient(parameters, x, t, seed=None):
    """Return the gradient of the loss with respect to the inputs, in their shape."""
    p, (x, t) = parameters, upload(parameters, x, t)
    w = Workspace(len(x), x.dtype, inputs=True)
    g = w.g
    forward(p, x, w)
    error(p, t, w)
    backward(p, x, t, w, g)
    k, N, n = w.k, w.N, np.int32(w.N)
    k.input_gradient_dx(((N * 2 + 255) // 256,), (256,), (w.dx, p["W1"], w.delta1, n))        # ∂E/∂x = W1ᵀ δ1  (8)
    return w.dx.copy()


def update(parameters, gradients, state):
    """Change the parameters and the optimizer's state in place by one step."""
    dtype_of(parameters)
    dtype_of(gradients, PARAMETERS, "gradients")
    theta, g = flat(parameters), flat(gradients)
    own = theta is None or g is None
    if own:
        theta, g = joined(parameters), joined(gradients)
    w = workspace(0, theta.dtype)
    descend(theta, g, state, w)
    give_back(w)
    if own:
        for name, values in views(theta).items():
            parameters[name][...] = values


def train_step(parameters, x, t, state, seed=None):
    """Take one whole step on a batch, in place; return the loss before it."""
    return step_on_device(parameters, *upload(parameters, x, t), state, seed)


def step_on_device(p, x, t, state, seed=None):
    """Take a step on inputs and targets that `upload` gave, or on some of their samples."""
    w = workspace(len(x), x.dtype)
    g = w.g
    forward(p, x, w)
    E = error(p, t, w)
    backward(p, x, t, w, g)
    if not all(map(operator.is_, p.values(), w.parts)):
        w.parts, w.theta = tuple(p.values()), flat(p)
    if w.theta is not None:
        descend(w.theta, w.gradient, state, w)
    else:
        update(p, g, state)
    E = E.item()
    give_back(w)
    return E


# ---- Training: steps that take everything from the device ------------------------------------------
class Training:
    """What training keeps on the device: parameters, state, the data set, an epoch's order, the sum of losses."""

    def __init__(self, parameters, x, t, state, batch_size):
        self.x, self.t = upload(parameters, x, t)
        self.p, self.state, self.theta = parameters, state, flat(parameters)
        self.given = parameters
        if self.theta is None:
            self.theta = joined(parameters)
            self.p = {**parameters, **views(self.theta)}
        samples, dtype = len(self.x), self.x.dtype
        self.size = min(batch_size, samples)
        self.whole, self.rest = divmod(samples, self.size)  # steps of that size, and the samples of the last one
        self.order, self.place = cp.empty(samples, np.int32), cp.empty((), np.int32)
        self.total = cp.empty((), np.float64)
        self.batch, whole = {}, Workspace(self.size, dtype)
        for N in {self.size, self.rest} - {0}:
            x, t = cp.empty((N, *INPUT), dtype), cp.empty((N, *OUTPUT), self.t.dtype)
            self.batch[N] = x, t, whole if N == self.size else whole.part(N)
        self.stream = cp.cuda.Stream(non_blocking=True)

    def begin(self, rng):
        """Put an epoch's random numbers on the device: the order of its samples."""
        self.order[...] = cp.asarray(rng.permutation(len(self.x)).astype(np.int32))
        self.place.fill(0)
        self.total.fill(0)

    def step(self, N):
        """Launch the kernels of the epoch's next step, on N samples; nothing is waited for."""
        p, (x, t, w) = self.p, self.batch[N]
        k, n, g = w.k, np.int32(N), w.g
        blocks = min(-(-x.size // 256), 1024)
        k.next_batch((blocks,), (256,), (x, t, self.x, self.t, self.order, self.place, np.int32(self.size), n))
        forward(p, x, w)
        E = error(p, t, w)
        backward(p, x, t, w, g)
        k.next_step((1,), (1,), (self.total, E, self.place, n))
        descend(self.theta, w.gradient, self.state, w)

    def end(self):
        """Return the sum of the epoch's losses, one for each sample, once all of it is done."""
        total = self.total.item()
        if self.p is not self.given:
            for name in PARAMETERS:
                self.given[name][...] = self.p[name]
        return total


class Eager:
    """Every kernel of every step is launched by itself."""

    def __init__(self, training):
        self.training = training

    def run(self, steps):
        """Take so many steps on whole batches."""
        for _ in range(steps):
            self.training.step(self.training.size)


class Graph(Eager):
    """Some steps are captured once as a CUDA graph, which one launch then repeats."""

    graph, steps = None, 0

    def capture(self, steps):
        """Capture so many steps; nothing runs."""
        stream = self.training.stream
        stream.begin_capture()
        super().run(steps)
        self.graph, self.steps = stream.end_capture(), steps

    def run(self, steps):
        """Take so many steps on whole batches."""
        if self.graph is None and steps > 1:
            super().run(1)  # what is loaded or compiled at a first launch cannot be captured
            steps -= 1
            self.capture(min(steps, GRAPH_STEPS))
        while self.graph is not None and steps >= self.steps:
            self.graph.launch()
            steps -= self.steps
        super().run(steps)


class Persistent(Eager):
    """One cooperative launch takes all whole steps of an epoch: the kernels are phases, between which blocks wait."""

    def __init__(self, training):
        super().__init__(training)
        p, (x, t, w) = training.p, training.batch[training.size]
        arrays = [
            w.a1,
            p["W1"],
            x,
            p["b1"],
            w.E,
            t,
            w.delta1,
            w.g["W1"],
            w.g["b1"],
            training.theta,
            w.gradient,
        ]
        self.memory = cp.asarray(np.array([a.data.ptr for a in arrays], np.uint64))
        self.barrier = cp.zeros((), np.uint32)
        self.seeds = cp.zeros(1, np.uint64)
        self.blocks = cp.cuda.Device().attributes["MultiProcessorCount"]

    def run(self, steps):
        """Take so many steps on whole batches, from the epoch's first."""
        if steps:
            each, shared = self.training, 1024 // 4 * self.training.x.dtype.itemsize
            given = (self.memory, each.x, each.t, each.order, self.seeds, each.total, self.barrier)
            sizes = (np.int32(steps), np.int32(each.size))
            persistent_kernel(each.x.dtype)((self.blocks,), (256,), (*given, *sizes), shared_mem=shared)
            each.place.fill(steps)


MODES = {"eager": Eager, "graph": Graph, "persistent": Persistent}
SMALL = 10**8  # floating-point operations of a step up to which launches would take longer than their work


def default_mode(batch_size=BATCH_SIZE):
    """Return the mode that `train` takes by itself: one kernel for small steps, a graph for others."""
    if "persistent" in MODES and WORK * batch_size <= SMALL and cp.cuda.Device().attributes.get("CooperativeLaunch"):
        return "persistent"
    return "graph" if hasattr(cp.cuda.Stream, "begin_capture") else "eager"


def train(parameters, x, t, epochs=EPOCHS, batch_size=BATCH_SIZE, seed=0, mode=None):
    """Train in place on shuffled mini-batches; yield the mean loss of every epoch.

    The data set is uploaded once; an epoch begins with its order, and ends with one number that is read.
    MODES has the ways to launch its steps, all of which come to the same parameters.
    """
    mode = default_mode(min(batch_size, len(x))) if mode is None else mode
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; expected {', '.join(MODES)}")
    rng, state = np.random.default_rng(seed), init_optimizer(parameters)
    training = Training(parameters, x, t, state, batch_size)
    steps = MODES[mode](training)
    for _ in range(epochs):
        cp.cuda.get_current_stream().synchronize()
        with training.stream:
            training.begin(rng)
            steps.run(training.whole)
            if training.rest:
                training.step(training.rest)
            total = training.end()
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
    write_arrays(path, {"spec_sha256": np.array(SPEC), **{name: cp.asnumpy(parameters[name]) for name in SHAPES}})


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
        p[name][...] = cp.asarray(found[name])
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
        losses = train(parameters, x, t, arguments.epochs, seed=arguments.seed, mode=arguments.mode)
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
        y = cp.asnumpy(predict(parameters, x))
        write_arrays(arguments.output, {"y": y})


def main():
    parser = argparse.ArgumentParser(description="Train or_gate on a GPU, and predict with what was trained.")
    parser.add_argument("--data", metavar="F.npz", help="train on x_train and t_train (or y_train); test on x_test and t_test (or y_test), if any")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mode", choices=MODES, help="how steps are launched [default: by their work]")
    parser.add_argument("--load", metavar="W.npz", help="begin with the parameters that --save wrote")
    parser.add_argument("--save", metavar="W.npz", help="write the parameters after every epoch")
    parser.add_argument("--predict", metavar="F.npz", help="write the outputs for x (or x_test) of this file, as y, to the file of -o")
    parser.add_argument("-o", "--output", metavar="Y.npz")
    arguments = parser.parse_args()
    if not (arguments.data or arguments.predict) or arguments.epochs < 1 or arguments.seed < 0:
        parser.error("say --data or --predict; epochs are 1 or more, the seed is 0 or more")
    if bool(arguments.predict) != bool(arguments.output) or (arguments.predict and not (arguments.load or arguments.data)):
        parser.error("--predict F.npz needs -o Y.npz, and --load W.npz (or --data) for its parameters")
    if problem := missing():
        print(problem, file=sys.stderr)
        sys.exit(3)
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
