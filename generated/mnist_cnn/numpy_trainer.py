"""mnist_cnn: 28x28x1-26x26x16-11x11x32-64-10, relu, max_pool2d, dropout, softmax; cross_entropy; adam; 56,714 parameters.

two convolutions and two dense layers: 56,714 parameters

Generated from mnist_cnn.toml (sha256 c0a0278e); change the spec, not this file.  Needs NumPy only.
A comment carries the textbook equation of its line, the shape, and the number that it has in equations.tex.
A value at (N, …) holds one sample a row; equations are for one sample.
"""

import argparse
import collections
import contextlib
import ctypes
import functools
import math
import operator
import os
import re
import sys
import tempfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

# ---- Sizes and hyper-parameters --------------------------------------------------------------------
PARAMETERS = {
    "W1": (16, 3, 3, 1),
    "b1": (16,),
    "W2": (32, 3, 3, 16),
    "b2": (32,),
    "W3": (64, 800),
    "b3": (64,),
    "W4": (10, 64),
    "b4": (10,),
}
STATISTICS = {}
SHAPES = PARAMETERS | STATISTICS
SPEC = "c0a0278e0df82cee1c6db425e7f64428c472ec71ae4495c30f8976fe609e61e2"
COUNT = 56714
INPUT, OUTPUT = (28, 28, 1), (10,)
BATCH_SIZE, EPOCHS = 64, 8
AT_ONCE = 64  # samples that are evaluated at a time
LEARNING_RATE = 0.001
BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-08


def add_windows(places, values, axes):
    """Add values to places that overlap, one place of the window (along the axes) after the other."""
    values, at = np.broadcast_to(values, places.shape), [slice(None)] * places.ndim
    for window in np.ndindex(*(places.shape[axis] for axis in axes)):
        for axis, k in zip(axes, window, strict=True):
            at[axis] = k
        places[tuple(at)] += values[tuple(at)]


def draw(seed, stream, probability, out, before=0):
    """Fill out with truth values, true with a probability (to 2^-16), from a counter-based generator.

    ``before`` says how many values of the stream come earlier; each count of the generator gives 16.
    """
    block, skip = divmod(before, 16)
    key = np.array([int(seed or 0) % 2**64, stream], np.uint64)  # a list of these would be float64
    bits = np.random.Philox(key=key, counter=block).random_raw(-(-(skip + out.size) // 4))
    chosen = bits.view(np.uint16)[skip : skip + out.size].reshape(out.shape)
    return np.less(chosen, round(probability * 2**16), out=out)


def first(values, best, axes, out=None):
    """Say where values reach best for the first time along the axes."""
    out = np.empty(values.shape, bool) if out is None else out
    at = [slice(None)] * values.ndim
    reached, here = np.zeros(best.shape, bool), np.empty(best.shape, bool)
    for window in np.ndindex(*(values.shape[axis] for axis in axes)):
        for axis, k in zip(axes, window, strict=True):
            at[axis] = k
        np.equal(values[tuple(at)], best, out=here)
        np.greater(here, reached, out=out[(*at, ...)])
        reached |= here
    return out


def greatest(values, axes, out):
    """Return the maximum over the axes of windows, one place of the window after the other."""
    at, rest = [slice(None)] * values.ndim, None
    for window in np.ndindex(*(values.shape[axis] for axis in axes)):
        for axis, k in zip(axes, window, strict=True):
            at[axis] = k
        rest = np.maximum(values[tuple(at)] if rest is None else rest, values[tuple(at)], out=out)
    return out


def pieces(N, size):
    """Yield the batch in pieces: which samples, and how many."""
    for start in range(0, N, size):
        yield slice(start, min(start + size, N)), min(size, N - start)


@functools.cache
def blas_threads(verb):
    """Return the function that gets or sets how many threads NumPy's OpenBLAS uses; None for another BLAS."""
    library = ctypes.CDLL(np.linalg._umath_linalg.__file__)
    for name in ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads"):
        if hasattr(library, name.format(verb)):
            return getattr(library, name.format(verb))
    return None


THREADS = blas_threads("get")() if blas_threads("get") else 1


class SingleThreadedBlas:
    """Keeps BLAS to the thread that calls it, while any call computes: the batch is what threads share."""

    def __init__(self):
        self.before = 1
        self.begin()

    def begin(self):
        """Begin with no call that computes: at first, and in a forked process."""
        if self.before > 1:
            blas_threads("set")(self.before)
        self.lock, self.calls, self.before = threading.Lock(), 0, 1

    def __enter__(self):
        with self.lock:
            if self.calls == 0 and THREADS > 1:
                self.before = blas_threads("get")()
            if self.before > 1:
                blas_threads("set")(1)
            self.calls += 1

    def __exit__(self, *error):
        with self.lock:
            self.calls -= 1
            if self.calls == 0 and self.before > 1:
                blas_threads("set")(self.before)


SINGLE_THREADED_BLAS = SingleThreadedBlas()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SINGLE_THREADED_BLAS.begin)


@contextlib.contextmanager
def computing():
    """Let overflow pass, and keep BLAS to one thread."""
    with SINGLE_THREADED_BLAS, np.errstate(over="ignore", under="ignore"):
        yield


@functools.cache
def workers(process):
    """Return the threads of a process that work beside the one that calls."""
    return ThreadPoolExecutor(THREADS - 1)


def on_threads(piece, N, size, *sums):
    """Call piece(samples, how many, thread, *sums) for the batch in pieces, and wait for all of them.

    Threads add to sums of their own, which are then added up in the threads' order.
    """
    starts = range(0, N, max(1, min(size, -(-N // THREADS))))
    for total in sums:
        total[...] = 0
    own = [sums, *([np.zeros_like(total) for total in sums] for _ in range(1, min(THREADS, len(starts))))]

    @np.errstate(over="ignore", under="ignore")
    def run(thread):
        for start in starts[thread::THREADS]:
            stop = min(start + starts.step, N)
            piece(slice(start, stop), stop - start, thread, *own[thread])

    jobs = [workers(os.getpid()).submit(run, thread) for thread in range(1, len(own))]
    run(0)
    for thread, job in enumerate(jobs, 1):
        if job.cancel():  # all workers are busy with other calls, or wait for this one
            run(thread)
        else:
            job.result()
    for parts in own[1:]:
        for total, part in zip(sums, parts, strict=True):
            total += part


def dot(a, b, out):
    """Return a b in out; where it is large, each thread computes some rows or columns; np.dot copies aᵀ's."""
    if a.size * b.shape[-1] <= 2**22:
        return np.dot(a, b, out=out)
    if out.ndim == 2 and len(out) < out.shape[1] // 16:
        on_threads(lambda s, m, thread: np.matmul(a, b[:, s], out=out[:, s]), out.shape[1], out.shape[1])
    else:
        on_threads(lambda s, m, thread: np.matmul(a[s], b, out=out[s]), len(a), len(a))
    return out


@functools.lru_cache(maxsize=1024)
def layout(pattern, extents, strides, **sizes):
    """Return where a view at the affine subscripts of a pattern starts, its shape and its strides."""
    read, order = pattern.split(" -> ")
    order, number, start = order.split(), {"": 1, "+": 1, "-": -1}, []
    steps = dict.fromkeys(order, 0)
    for subscript, extent, stride in zip(read.split(), extents, strides, strict=True):
        terms = re.findall(r"([+-]?\d*)([a-z]\w*)?", subscript)[:-1]
        start.append(slice(sum(int(factor) for factor, index in terms if not index), None))
        for factor, index in terms:
            if index:
                steps[index] += (number.get(factor) or int(factor)) * stride
                sizes.setdefault(index, extent)
    return tuple(start), tuple(sizes[index] for index in order), tuple(steps[index] for index in order)


def windows(a, pattern, **sizes):
    """View a at affine subscripts, without a copy: "n 2i+u c -> n i u c" is a[n, 2i+u, c]."""
    start, shape, strides = layout(pattern, a.shape, a.strides, **sizes)
    return np.lib.stride_tricks.as_strided(a[start], shape, strides)


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
    rng = np.random.default_rng(seed)
    p = views(np.empty(COUNT, dtype))
    p["W1"][...] = rng.uniform(-1, 1, (16, 3, 3, 1)) * math.sqrt(6 / (9 + 144))    # glorot_uniform
    p["b1"][...] = 0
    p["W2"][...] = rng.uniform(-1, 1, (32, 3, 3, 16)) * math.sqrt(6 / (144 + 288))    # glorot_uniform
    p["b2"][...] = 0
    p["W3"][...] = rng.uniform(-1, 1, (64, 800)) * math.sqrt(6 / (800 + 64))    # glorot_uniform
    p["b3"][...] = 0
    p["W4"][...] = rng.uniform(-1, 1, (10, 64)) * math.sqrt(6 / (64 + 10))    # glorot_uniform
    p["b4"][...] = 0
    return p


# ---- Workspace: the memory of one step on N samples, lent to one call at a time ---------------------
class Workspace:
    def __init__(self, N, dtype, larger=None, inputs=False):
        def room(name, *shape, fill=np.empty, dtype=dtype):
            return fill(shape, dtype) if larger is None else getattr(larger, name)[: shape[0]]

        def piece(size):
            return min(size, -(-N // THREADS))

        self.N, self.smaller, self.threads = N, {}, THREADS
        self.real = np.dtype(dtype).type
        self.gradient = room("gradient", COUNT)
        self.g = views(self.gradient)
        self.parts, self.theta = (None,) * len(PARAMETERS), None
        self.s = room("s", COUNT)  # for the update
        self.ones = room("ones", N, fill=np.ones)
        self.places = room("places", max(piece(30) * 121, piece(30) * 676), fill=np.ones)
        self.m2 = room("m2", N, 5, 5, 32, dtype=bool)
        self.a0_windows = room("a0_windows", THREADS, piece(30), 26, 26, 3, 3)
        self.z1 = room("z1", THREADS, piece(30), 26, 26, 16)
        self.a1 = room("a1", N, 26, 26, 16)
        self.a1_2 = room("a1_2", N, 13, 13, 16)
        self.a1_2_windows = room("a1_2_windows", THREADS, piece(30), 11, 11, 3, 3, 16)
        self.z2 = room("z2", THREADS, piece(30), 11, 11, 32)
        self.a2 = room("a2", N, 11, 11, 32)
        self.a2_2 = room("a2_2", N, 5, 5, 32)
        self.a2_3 = room("a2_3", N, 5, 5, 32)
        self.a2_4 = self.a2_3.reshape(N, 800)
        self.z3 = room("z3", N, 64)
        self.a3 = self.z3
        self.z4 = room("z4", N, 10)
        self.a4_max = room("a4_max", N)
        self.a4_exp = room("a4_exp", N, 10)
        self.a4_sum = room("a4_sum", N)
        self.a4 = self.a4_exp
        self.T = room("T", N, 10)
        self.delta4 = self.T
        self.delta3 = room("delta3", N, 64)
        self.da2_4 = room("da2_4", N, 800)
        self.da2_3 = self.da2_4.reshape(N, 5, 5, 32)
        self.delta2_winner = room("delta2_winner", THREADS, piece(30), 5, 5, 2, 2, 32, dtype=bool)
        self.delta2_sum_windows = room("delta2_sum_windows", THREADS, piece(30), 5, 5, 2, 2, 32)
        self.delta2_sum = self.z2
        self.delta2 = self.z2
        self.a1_2_windows_2 = self.a1_2_windows
        self.da1_2_windows = self.a1_2_windows
        self.da1_2 = room("da1_2", THREADS, piece(30), 13, 13, 16)
        self.delta1_winner = room("delta1_winner", THREADS, piece(30), 13, 13, 2, 2, 16, dtype=bool)
        self.delta1_sum_windows = room("delta1_sum_windows", THREADS, piece(30), 13, 13, 2, 2, 16)
        self.delta1_sum = self.z1
        self.delta1 = self.a1
        self.a0_windows_2 = self.a0_windows
        if inputs:  # for the gradient with respect to them
            self.dx_windows = room("dx_windows", THREADS, piece(48), 26, 26, 1, 3, 3)
            self.dx = room("dx", N, 28, 28, 1)

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
    if whole.N < N or whole.threads != THREADS:
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


def labels_of(t, N):
    """Return labels as an array; raise ValueError for other than N of them, and for one that is no class."""
    t = np.asarray(t)
    if t.shape != (N,) or t.dtype.kind not in "iu":
        raise ValueError(f"t has shape {t.shape} and dtype {t.dtype}; expected {(N,)} integer labels 0 … {OUTPUT[0] - 1}")
    if N == 0:
        raise ValueError("x has no samples, so there is no loss")
    labels = t.astype(np.uint64)  # a negative one becomes a large one
    if labels[labels.argmax()] >= OUTPUT[0]:
        first = (labels >= OUTPUT[0]).argmax()
        raise ValueError(f"t[{first}] = {t[first]}: labels are 0 … {OUTPUT[0] - 1}")
    return t


def parts(N):
    """Return the slices of N samples that are evaluated one after the other."""
    return [slice(start, start + AT_ONCE) for start in range(0, N, AT_ONCE)]


def prepare(parameters, x, t=None):
    """Return inputs and targets in the parameters' dtype; raise ValueError for what the network cannot take."""
    dtype = dtype_of(parameters)
    x = np.asarray(x, dtype)
    require_inputs(x)
    return x, None if t is None else labels_of(t, len(x))


# ---- Forward, in training --------------------------------------------------------------------------
def forward(p, x, w, seed):
    N = len(x)
    draw(seed, 0, 0.7, out=w.m2)                                        # m2 ∼ Bernoulli(0.7)            (N, 5, 5, 32) (9)
    a0 = x                                                              # a0 = x                         (N, 28, 28, 1) (2)

    def piece(s, m, thread):
        a1, a1_2, a2, a2_2, m2, a2_3 = w.a1[s], w.a1_2[s], w.a2[s], w.a2_2[s], w.m2[s], w.a2_3[s]
        a0_windows, z1 = w.a0_windows[thread, :m], w.z1[thread, :m]
        a1_2_windows, z2 = w.a1_2_windows[thread, :m], w.z2[thread, :m]
        # z1 = W1 ⋆ a0 + b1              (N, 26, 26, 16) (3)
        np.copyto(a0_windows, windows(a0[s], "n i+u j+v 0 -> n i j u v", i=26, j=26, u=3, v=3))  # (3)
        np.dot(a0_windows.reshape(-1, 9), p["W1"].reshape(16, -1).T, out=z1.reshape(-1, 16))  # (3)
        z1 += p["b1"]                                                   # (3)
        np.maximum(z1, 0, out=a1)                                       # a1 = max(0, z1)                (N, 26, 26, 16) (4)
        # a1_2[n,i,j,k] = max_{u,v<2} a1[n,2i+u,2j+v,k] (N, 13, 13, 16) (5)
        a1_windows = windows(a1, "n 2i+u 2j+v k -> n i j k u v", i=13, j=13, u=2, v=2)  # (5)
        greatest(a1_windows, axes=(4, 5), out=a1_2)                     # (5)
        # z2 = W2 ⋆ a1_2 + b2            (N, 11, 11, 32) (6)
        np.copyto(a1_2_windows, windows(a1_2, "n i+u j+v c -> n i j u v c", i=11, j=11, u=3, v=3))  # (6)
        np.dot(a1_2_windows.reshape(-1, 144), p["W2"].reshape(32, -1).T, out=z2.reshape(-1, 32))  # (6)
        z2 += p["b2"]                                                   # (6)
        np.maximum(z2, 0, out=a2)                                       # a2 = max(0, z2)                (N, 11, 11, 32) (7)
        # a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k] (N, 5, 5, 32) (8)
        a2_windows = windows(a2, "n 2i+u 2j+v k -> n i j k u v", i=5, j=5, u=2, v=2)  # (8)
        greatest(a2_windows, axes=(4, 5), out=a2_2)                     # (8)
        np.multiply(10 / 7 * a2_2, m2, out=a2_3)                        # a2_3 = (10/7) a2_2 ⊙ m2        (N, 5, 5, 32) (9)

    on_threads(piece, N, 30)
    a2_4 = w.a2_3.reshape(N, 800)                                       # a2_4 = vec(a2_3)               (N, 800)     (11)
    z3 = dot(a2_4, p["W3"].T, out=w.z3)                                 # z3 = W3 a2_4 + b3              (N, 64)      (12)
    z3 += p["b3"]                                                       # (12)
    a3 = np.maximum(z3, 0, out=w.a3)                                    # a3 = max(0, z3)                (N, 64)      (13)
    z4 = dot(a3, p["W4"].T, out=w.z4)                                   # z4 = W4 a3 + b4                (N, 10)      (14)
    z4 += p["b4"]                                                       # (14)
    a4_max = z4.max(axis=1, out=w.a4_max)                               # a4 = softmax(z4)               (N, 10)      (15)
    a4_exp = np.exp(z4 - a4_max[:, None], out=w.a4_exp)                 # (15)
    a4_sum = a4_exp.sum(axis=1, out=w.a4_sum)                           # (15)
    a4 = np.divide(a4_exp, a4_sum[:, None], out=w.a4)                   # (15)
    return a4


# ---- Forward, in evaluation ------------------------------------------------------------------------
def evaluate(p, x, w):
    N = len(x)
    a0 = x                                                              # a0 = x                         (N, 28, 28, 1) (2)

    def piece(s, m, thread):
        a1, a1_2, a2, a2_2, a2_3 = w.a1[s], w.a1_2[s], w.a2[s], w.a2_2[s], w.a2_3[s]
        a0_windows, z1 = w.a0_windows[thread, :m], w.z1[thread, :m]
        a1_2_windows, z2 = w.a1_2_windows[thread, :m], w.z2[thread, :m]
        # z1 = W1 ⋆ a0 + b1              (N, 26, 26, 16) (3)
        np.copyto(a0_windows, windows(a0[s], "n i+u j+v 0 -> n i j u v", i=26, j=26, u=3, v=3))  # (3)
        np.dot(a0_windows.reshape(-1, 9), p["W1"].reshape(16, -1).T, out=z1.reshape(-1, 16))  # (3)
        z1 += p["b1"]                                                   # (3)
        np.maximum(z1, 0, out=a1)                                       # a1 = max(0, z1)                (N, 26, 26, 16) (4)
        # a1_2[n,i,j,k] = max_{u,v<2} a1[n,2i+u,2j+v,k] (N, 13, 13, 16) (5)
        a1_windows = windows(a1, "n 2i+u 2j+v k -> n i j k u v", i=13, j=13, u=2, v=2)  # (5)
        greatest(a1_windows, axes=(4, 5), out=a1_2)                     # (5)
        # z2 = W2 ⋆ a1_2 + b2            (N, 11, 11, 32) (6)
        np.copyto(a1_2_windows, windows(a1_2, "n i+u j+v c -> n i j u v c", i=11, j=11, u=3, v=3))  # (6)
        np.dot(a1_2_windows.reshape(-1, 144), p["W2"].reshape(32, -1).T, out=z2.reshape(-1, 32))  # (6)
        z2 += p["b2"]                                                   # (6)
        np.maximum(z2, 0, out=a2)                                       # a2 = max(0, z2)                (N, 11, 11, 32) (7)
        # a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k] (N, 5, 5, 32) (8)
        a2_windows = windows(a2, "n 2i+u 2j+v k -> n i j k u v", i=5, j=5, u=2, v=2)  # (8)
        greatest(a2_windows, axes=(4, 5), out=a2_2)                     # (8)
        a2_3[...] = a2_2                                                # a2_3 = a2_2                    (N, 5, 5, 32) (10)

    on_threads(piece, N, 30)
    a2_4 = w.a2_3.reshape(N, 800)                                       # a2_4 = vec(a2_3)               (N, 800)     (11)
    z3 = dot(a2_4, p["W3"].T, out=w.z3)                                 # z3 = W3 a2_4 + b3              (N, 64)      (12)
    z3 += p["b3"]                                                       # (12)
    a3 = np.maximum(z3, 0, out=w.a3)                                    # a3 = max(0, z3)                (N, 64)      (13)
    z4 = dot(a3, p["W4"].T, out=w.z4)                                   # z4 = W4 a3 + b4                (N, 10)      (14)
    z4 += p["b4"]                                                       # (14)
    a4_max = z4.max(axis=1, out=w.a4_max)                               # a4 = softmax(z4)               (N, 10)      (15)
    a4_exp = np.exp(z4 - a4_max[:, None], out=w.a4_exp)                 # (15)
    a4_sum = a4_exp.sum(axis=1, out=w.a4_sum)                           # (15)
    a4 = np.divide(a4_exp, a4_sum[:, None], out=w.a4)                   # (15)
    return a4


# ---- Loss ------------------------------------------------------------------------------------------
def error(p, t, w):
    N = len(t)
    T = np.equal(t[:, None], np.arange(10), out=w.T)                    # T = onehot(t)                  (N, 10)      (1)
    E_sum = np.log(w.a4_sum).sum()                                      # E = −(1/N) Σₙ Tₙᵀ log(a4ₙ)     ()           (16)
    E_sum_2 = np.vdot(T, w.a4_max[:, None] - w.z4)                      # (16)
    E = (E_sum + E_sum_2) / N                                           # (16)
    return E


# ---- Backward: delta_l = dE/dz_l, and the gradient of every parameter ------------------------------
def backward(p, x, t, w, g):
    N = len(x)
    a0 = x
    np.divide(w.a4 - w.T, N, out=w.delta4)                              # δ4 = (a4 − T)/N                (N, 10)      (17)
    dot(w.delta4.T, w.a3, out=g["W4"])                                  # ∂E/∂W4 = Σₙ δ4ₙ a3ₙᵀ           (10, 64)     (18)
    np.dot(w.ones, w.delta4, out=g["b4"])                               # ∂E/∂b4 = Σₙ δ4ₙ                (10,)        (19)
    dot(w.delta4, p["W4"], out=w.delta3)                                # δ3 = (W4ᵀ δ4) ⊙ [a3 > 0]       (N, 64)      (20)
    w.delta3 *= w.a3 > 0                                                # (20)
    dot(w.delta3.T, w.a2_4, out=g["W3"])                                # ∂E/∂W3 = Σₙ δ3ₙ a2_4ₙᵀ         (64, 800)    (21)
    np.dot(w.ones, w.delta3, out=g["b3"])                               # ∂E/∂b3 = Σₙ δ3ₙ                (64,)        (22)
    dot(w.delta3, p["W3"], out=w.da2_4)                                 # ∂E/∂a2_4 = W3ᵀ δ3              (N, 800)     (23)
    w.da2_3 = w.da2_4.reshape(N, 5, 5, 32)                              # ∂E/∂a2_3 = vec⁻¹(∂E/∂a2_4)     (N, 5, 5, 32) (24)

    def piece(s, m, thread, dW2, db2, dW1, db1):
        a2, a2_2, da2_3, m2, a1_2, a1 = w.a2[s], w.a2_2[s], w.da2_3[s], w.m2[s], w.a1_2[s], w.a1[s]
        delta1 = w.delta1[s]
        delta2_winner = w.delta2_winner[thread, :m]
        delta2_sum_windows, delta2_sum = w.delta2_sum_windows[thread, :m], w.delta2_sum[thread, :m]
        delta2, a1_2_windows_2 = w.delta2[thread, :m], w.a1_2_windows_2[thread, :m]
        da1_2_windows, da1_2 = w.da1_2_windows[thread, :m], w.da1_2[thread, :m]
        delta1_winner = w.delta1_winner[thread, :m]
        delta1_sum_windows, delta1_sum = w.delta1_sum_windows[thread, :m], w.delta1_sum[thread, :m]
        a0_windows_2 = w.a0_windows_2[thread, :m]
        # δ2[n,p,q,k] = (10/7) (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_3[n,i,j,k] m2[n,i,j,k]) [a2[n,p,q,k] > 0] (N, 11, 11, 32) (25)
        a2_windows_2 = windows(a2, "n 2i+p 2j+q k -> n i j p q k", i=5, j=5, p=2, q=2)  # (25)
        first(a2_windows_2, a2_2, axes=(3, 4), out=delta2_winner)       # (25)
        np.multiply(da2_3[:, :, :, None, None, :] * delta2_winner, m2[:, :, :, None, None, :], out=delta2_sum_windows)  # (25)
        delta2_sum[...] = 0                                             # (25)
        windows(delta2_sum, "n 2i+p 2j+q k -> n i j p q k", i=5, j=5, p=2, q=2)[...] = delta2_sum_windows  # (25)
        np.multiply(10 / 7 * delta2_sum, a2 > 0, out=delta2)            # (25)
        # ∂E/∂W2 = Σₙ δ2ₙ ⋆ a1_2ₙ        (32, 3, 3, 16) (26)
        np.copyto(a1_2_windows_2, windows(a1_2, "n i+u j+v c -> n i j u v c", i=11, j=11, u=3, v=3))  # (26)
        dW2.reshape(32, -1)[...] += np.dot(delta2.reshape(-1, 32).T, a1_2_windows_2.reshape(-1, 144))  # (26)
        db2 += np.dot(w.places[: m * 121], delta2.reshape(-1, 32))      # ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]   (32,)        (27)
        # ∂E/∂a1_2 = W2ᵀ ∗ δ2            (N, 13, 13, 16) (28)
        np.dot(delta2.reshape(-1, 32), p["W2"].reshape(32, -1), out=da1_2_windows.reshape(-1, 144))  # (28)
        da1_2[...] = 0                                                  # (28)
        add_windows(windows(da1_2, "n p+u q+v c -> n p q u v c", p=11, q=11, u=3, v=3), da1_2_windows, axes=(3, 4))  # (28)
        # δ1[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a1[n,2i+u,2j+v,k]] ∂E/∂a1_2[n,i,j,k]) [a1[n,p,q,k] > 0] (N, 26, 26, 16) (29)
        a1_windows_2 = windows(a1, "n 2i+p 2j+q k -> n i j p q k", i=13, j=13, p=2, q=2)  # (29)
        first(a1_windows_2, a1_2, axes=(3, 4), out=delta1_winner)       # (29)
        np.multiply(da1_2[:, :, :, None, None, :], delta1_winner, out=delta1_sum_windows)  # (29)
        windows(delta1_sum, "n 2i+p 2j+q k -> n i j p q k", i=13, j=13, p=2, q=2)[...] = delta1_sum_windows  # (29)
        np.multiply(delta1_sum, a1 > 0, out=delta1)                     # (29)
        # ∂E/∂W1 = Σₙ δ1ₙ ⋆ a0ₙ          (16, 3, 3, 1) (30)
        np.copyto(a0_windows_2, windows(a0[s], "n i+u j+v 0 -> n i j u v", i=26, j=26, u=3, v=3))  # (30)
        dW1.reshape(16, -1)[...] += np.dot(delta1.reshape(-1, 16).T, a0_windows_2.reshape(-1, 9))  # (30)
        db1 += np.dot(w.places[: m * 676], delta1.reshape(-1, 16))      # ∂E/∂b1[k] = Σₙᵢⱼ δ1[n,i,j,k]   (16,)        (31)

    on_threads(piece, N, 30, g["W2"], g["b2"], g["W1"], g["b1"])


# ---- Update: over all parameters as one vector -----------------------------------------------------
def init_optimizer(parameters):
    """Return the optimizer's state before the first step."""
    dtype = next(iter(parameters.values())).dtype
    return {
        "step": 0,                                       # that without a seed says which masks are drawn
        "m": np.zeros(COUNT, dtype),
        "v": np.zeros(COUNT, dtype),
    }


def descend(theta, g, state, w):
    k = state["step"] = state["step"] + 1
    m = state["m"]
    v = state["v"]
    s = w.s
    m *= BETA1                                                          # m ← β1 m + (1 − β1) g          (56714,)     (33)
    m += np.multiply(1 - BETA1, g, out=s)                               # (33)
    v *= BETA2                                                          # v ← β2 v + (1 − β2) g ⊙ g      (56714,)     (34)
    np.square(g, out=s)                                                 # (34)
    s *= 1 - BETA2                                                      # (34)
    v += s                                                              # (34)
    np.multiply(1 / (1 - BETA2**k), v, out=s)                           # θ ← θ − η m/((1 − β1^k) (√(v/(1 − β2^k)) + ε)) (56714,)     (35)
    np.sqrt(s, out=s)                                                   # (35)
    s += EPSILON                                                        # (35)
    np.divide(m, s, out=s)                                              # (35)
    s *= LEARNING_RATE / (1 - BETA1**k)                                 # (35)
    theta -= s                                                          # (35)


# ---- What a user of this module calls, from any number of threads at once --------------------------
@computing()
def predict(parameters, x):
    """Return the outputs, (N, 10), for inputs (N, 28, 28, 1)."""
    x, _ = prepare(parameters, x)
    if len(x) > AT_ONCE:
        return np.concatenate([predict(parameters, x[s]) for s in parts(len(x))])
    w = workspace(len(x), x.dtype)
    outputs = evaluate(parameters, x, w).copy()
    give_back(w)
    return outputs


@computing()
def loss(parameters, x, t, seed=None):
    """Return the loss of a batch, in training mode."""
    x, t = prepare(parameters, x, t)
    w = workspace(len(x), x.dtype)
    forward(parameters, x, w, seed)
    E = error(parameters, t, w).item()
    give_back(w)
    return E


@computing()
def evaluation_loss(parameters, x, t):
    """Return the loss of a batch, in evaluation mode."""
    x, t = prepare(parameters, x, t)
    if len(x) > AT_ONCE:
        return sum(evaluation_loss(parameters, x[s], t[s]) * len(x[s]) for s in parts(len(x))) / len(x)
    w = workspace(len(x), x.dtype)
    evaluate(parameters, x, w)
    E = error(parameters, t, w).item()
    give_back(w)
    return E


@computing()
def loss_and_gradients(parameters, x, t, seed=None):
    """Return the loss of a batch and its gradient by parameter; changes nothing."""
    x, t = prepare(parameters, x, t)
    g, w = views(np.empty(COUNT, x.dtype)), workspace(len(x), x.dtype)
    forward(parameters, x, w, seed)
    E = error(parameters, t, w).item()
    backward(parameters, x, t, w, g)
    give_back(w)
    return E, g


@computing()
def input_gradient(parameters, x, t, seed=None):
    """Return the gradient of the loss with respect to the inputs, in their shape."""
    x, t = prepare(parameters, x, t)
    p, w = parameters, Workspace(len(x), x.dtype, inputs=True)
    g = w.g
    forward(p, x, w, seed)
    error(p, t, w)
    backward(p, x, t, w, g)
    N = len(x)

    def piece(s, m, thread):
        delta1, dx = w.delta1[s], w.dx[s]
        dx_windows = w.dx_windows[thread, :m]
        # ∂E/∂x = W1ᵀ ∗ δ1               (N, 28, 28, 1) (32)
        np.dot(delta1.reshape(-1, 16), p["W1"].reshape(16, -1), out=dx_windows.reshape(-1, 9))  # (32)
        dx[...] = 0                                                     # (32)
        add_windows(windows(dx, "n p+u q+v c -> n p q c u v", p=26, q=26, u=3, v=3), dx_windows, axes=(4, 5))  # (32)

    on_threads(piece, N, 48)
    return w.dx.copy()


def masks(N, seed=None):
    """Return by name the random masks, one row a sample, that a step with this seed draws."""
    found = {
        "m2": draw(seed, 0, 0.7, out=np.empty((N, 5, 5, 32), bool)),
    }
    return found


@computing()
def branches(parameters, x, t, seed=None):
    """Return on which side of each kink of the loss every value lies, as one vector of truth values."""
    x, t = prepare(parameters, x, t)
    w = workspace(len(x), x.dtype)
    forward(parameters, x, w, seed)
    sides = [
        w.a3 <= 0,
        first(windows(w.a2, "n 2i+p 2j+q k -> n i j p q k", i=5, j=5, p=2, q=2), w.a2_2, axes=(3, 4)),
        w.a2 <= 0,
        first(windows(w.a1, "n 2i+p 2j+q k -> n i j p q k", i=13, j=13, p=2, q=2), w.a1_2, axes=(3, 4)),
        w.a1 <= 0,
    ]
    joined = np.concatenate([side.ravel() for side in sides])
    give_back(w)
    return joined


@computing()
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


@computing()
def train_step(parameters, x, t, state, seed=None):
    """Take one whole step on a batch, in place; return the loss before it.  Without a seed, its number is the masks'."""
    x, t = prepare(parameters, x, t)
    w = workspace(len(x), x.dtype)
    forward(parameters, x, w, state.get("step", 0) if seed is None else seed)
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
            total += train_step(parameters, x[batch], t[batch], state, seed=int(rng.integers(2**63))) * len(batch)
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
    if t.shape == (N, *OUTPUT) and (t == np.eye(*OUTPUT)[t.argmax(axis=1)]).all():  # rows with one 1
        t = t.argmax(axis=1)
    if t.dtype.kind in "bf" and np.isin(t, np.arange(*OUTPUT)).all():
        t = t.astype(np.int64)
    wanted = (N,)
    t = t.reshape(wanted) if t.shape[:1] == (N,) and t.size == math.prod(wanted) else t
    try:
        t = labels_of(t, N)
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
                right = np.asarray(predict(parameters, test[0])).argmax(axis=1) == test[1]
                line += f", test accuracy {right.mean():.2%}"
            print(line, flush=True)
            if arguments.save:
                save(parameters, arguments.save)
    if arguments.predict:
        arrays = arrays_of(arguments.predict, fault=DataFault)
        (x,) = inputs_of(arrays, arguments.predict, "x_test" if "x_test" in arrays and "x" not in arrays else "x")
        y = np.asarray(predict(parameters, x))
        write_arrays(arguments.output, {"y": y, "label": y.argmax(axis=1)})


def main():
    parser = argparse.ArgumentParser(description="Train mnist_cnn, and predict with what was trained.")
    parser.add_argument("--data", metavar="F.npz", help="train on x_train and t_train (or y_train); test on x_test and t_test (or y_test), if any")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--load", metavar="W.npz", help="begin with the parameters that --save wrote")
    parser.add_argument("--save", metavar="W.npz", help="write the parameters after every epoch")
    parser.add_argument("--predict", metavar="F.npz", help="write the outputs for x (or x_test) of this file, as y and label, to the file of -o")
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
