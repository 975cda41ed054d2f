"""cifar10_cnn_79: 32x32x3-…-10 (8 layers), relu, dropout, max_pool2d, softmax; cross_entropy; adam; 1,640,048 parameters.

cifar10_cnn_74 with batch normalization: 1,640,048 parameters

Generated from cifar10_cnn_79.toml (sha256 a0078f30); change the spec, not this file.  Needs NumPy only.
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
    "gamma1": (3,),
    "beta1": (3,),
    "W2": (32, 3, 3, 3),
    "b2": (32,),
    "gamma3": (32,),
    "beta3": (32,),
    "W4": (32, 3, 3, 32),
    "b4": (32,),
    "gamma5": (32,),
    "beta5": (32,),
    "W6": (64, 3, 3, 32),
    "b6": (64,),
    "W7": (512, 3136),
    "b7": (512,),
    "W8": (10, 512),
    "b8": (10,),
}
STATISTICS = {
    "mean1": (3,),
    "var1": (3,),
    "mean3": (32,),
    "var3": (32,),
    "mean5": (32,),
    "var5": (32,),
}
SHAPES = PARAMETERS | STATISTICS
SPEC = "a0078f303db1ec003c573ff7a02480b0e835c145c55dc10262c0561765d3bd65"
COUNT = 1640048
INPUT, OUTPUT = (32, 32, 3), (10,)
BATCH_SIZE, EPOCHS = 64, 12
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
    p["gamma1"][...] = 1
    p["beta1"][...] = 0
    p["W2"][...] = rng.uniform(-1, 1, (32, 3, 3, 3)) * math.sqrt(6 / (27 + 288))    # glorot_uniform
    p["b2"][...] = 0
    p["gamma3"][...] = 1
    p["beta3"][...] = 0
    p["W4"][...] = rng.uniform(-1, 1, (32, 3, 3, 32)) * math.sqrt(6 / (288 + 288))    # glorot_uniform
    p["b4"][...] = 0
    p["gamma5"][...] = 1
    p["beta5"][...] = 0
    p["W6"][...] = rng.uniform(-1, 1, (64, 3, 3, 32)) * math.sqrt(6 / (288 + 576))    # glorot_uniform
    p["b6"][...] = 0
    p["W7"][...] = rng.uniform(-1, 1, (512, 3136)) * math.sqrt(6 / (3136 + 512))    # glorot_uniform
    p["b7"][...] = 0
    p["W8"][...] = rng.uniform(-1, 1, (10, 512)) * math.sqrt(6 / (512 + 10))    # glorot_uniform
    p["b8"][...] = 0
    p["mean1"] = np.zeros((3,), dtype)
    p["var1"] = np.ones((3,), dtype)
    p["mean3"] = np.zeros((32,), dtype)
    p["var3"] = np.ones((32,), dtype)
    p["mean5"] = np.zeros((32,), dtype)
    p["var5"] = np.ones((32,), dtype)
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
        self.s = room("s", THREADS, 131072)  # for the update
        self.ones = room("ones", N, fill=np.ones)
        self.places = room("places", max(N * 1024, piece(2) * 225, piece(2) * 900, piece(4) * 225, piece(9) * 900, piece(18) * 900, piece(18) * 1024, piece(36) * 225, piece(85) * 1024), fill=np.ones)
        self.m2 = room("m2", N, 30, 30, 32, dtype=bool)
        self.m6 = room("m6", N, 3136, dtype=bool)
        self.m7 = room("m7", N, 512, dtype=bool)
        self.mu1 = room("mu1", 3)
        self.v1 = room("v1", 3)
        self.xhat1 = room("xhat1", N, 32, 32, 3)
        self.z1 = room("z1", N, 32, 32, 3)
        self.z1_windows = room("z1_windows", THREADS, piece(18), 30, 30, 3, 3, 3)
        self.z2 = room("z2", THREADS, piece(18), 30, 30, 32)
        self.a2 = room("a2", N, 30, 30, 32)
        self.a2_2 = room("a2_2", N, 30, 30, 32)
        self.mu3 = room("mu3", 32)
        self.v3 = room("v3", 32)
        self.xhat3 = self.a2_2
        self.z3 = room("z3", N, 30, 30, 32)
        self.z3_padded = room("z3_padded", THREADS, piece(2), 32, 32, 32, fill=np.zeros)
        self.z3_windows = room("z3_windows", THREADS, piece(2), 30, 30, 3, 3, 32)
        self.z4 = room("z4", THREADS, piece(2), 30, 30, 32)
        self.a4 = room("a4", N, 30, 30, 32)
        self.a4_2 = room("a4_2", N, 15, 15, 32)
        self.mu5 = room("mu5", 32)
        self.v5 = room("v5", 32)
        self.xhat5 = room("xhat5", N, 15, 15, 32)
        self.z5 = room("z5", N, 15, 15, 32)
        self.z5_padded = room("z5_padded", THREADS, piece(8), 17, 17, 32, fill=np.zeros)
        self.z5_windows = room("z5_windows", THREADS, piece(8), 15, 15, 3, 3, 32)
        self.z6 = room("z6", THREADS, piece(8), 15, 15, 64)
        self.a6 = room("a6", N, 15, 15, 64)
        self.a6_2 = room("a6_2", N, 7, 7, 64)
        self.a6_3 = self.a6_2.reshape(N, 3136)
        self.a6_4 = room("a6_4", N, 3136)
        self.z7 = room("z7", N, 512)
        self.a7 = self.z7
        self.a7_2 = room("a7_2", N, 512)
        self.z8 = room("z8", N, 10)
        self.a8_max = room("a8_max", N)
        self.a8_exp = room("a8_exp", N, 10)
        self.a8_sum = room("a8_sum", N)
        self.a8 = self.a8_exp
        self.T = room("T", N, 10)
        self.delta8 = self.T
        self.delta7 = self.a7_2
        self.da6_3 = self.a6_4
        self.W6_windows = room("W6_windows", 32, 3, 3, 64)
        self.da6_2 = self.da6_3.reshape(N, 7, 7, 64)
        self.delta6_winner = room("delta6_winner", THREADS, piece(4), 7, 7, 2, 2, 64, dtype=bool)
        self.delta6_sum_windows = room("delta6_sum_windows", THREADS, piece(4), 7, 7, 2, 2, 64)
        self.delta6_sum = room("delta6_sum", THREADS, piece(4), 15, 15, 64)
        self.delta6 = self.delta6_sum
        self.delta6_padded = room("delta6_padded", THREADS, piece(4), 17, 17, 64, fill=np.zeros)
        self.delta6_windows = room("delta6_windows", THREADS, piece(4), 15, 15, 3, 3, 64)
        self.dW6_windows = room("dW6_windows", 3, 3, 64, 32)
        self.delta5 = self.z5
        self.W4_windows = room("W4_windows", 32, 3, 3, 32)
        self.da4_2 = room("da4_2", THREADS, piece(2), 15, 15, 32)
        self.delta4_winner = room("delta4_winner", THREADS, piece(2), 15, 15, 2, 2, 32, dtype=bool)
        self.delta4_sum_windows = room("delta4_sum_windows", THREADS, piece(2), 15, 15, 2, 2, 32)
        self.delta4_sum = self.z4
        self.delta4 = self.z4
        self.delta4_padded = room("delta4_padded", THREADS, piece(2), 32, 32, 32, fill=np.zeros)
        self.delta4_windows = self.z3_windows
        self.dW4_windows = room("dW4_windows", 3, 3, 32, 32)
        self.delta3 = self.z3
        self.delta2 = self.z2
        self.z1_windows_2 = self.z1_windows
        self.delta1_windows = self.z1_windows
        self.delta1 = self.z1
        if inputs:  # for the gradient with respect to them
            self.dx = self.z1

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
    dtype = getattr(arrays.get("gamma1"), "dtype", np.dtype(np.float32))
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

    def piece(s, m, thread):
        m2, m6, m7 = w.m2[s], w.m6[s], w.m7[s]
        draw(seed, 0, 0.8, out=m2, before=28800 * s.start)              # m2 ∼ Bernoulli(0.8)            (N, 30, 30, 32) (10)
        draw(seed, 1, 0.8, out=m6, before=3136 * s.start)               # m6 ∼ Bernoulli(0.8)            (N, 3136) (29)
        draw(seed, 2, 0.8, out=m7, before=512 * s.start)                # m7 ∼ Bernoulli(0.8)            (N, 512) (33)

    on_threads(piece, N, 18)
    a0 = x                                                              # a0 = x                         (N, 32, 32, 3) (2)
    mu1 = np.dot(w.places[: N * 1024], a0.reshape(-1, 3), out=w.mu1)    # μ1[k] = (1/(1024 N)) Σₙᵢⱼ a0[n,i,j,k] (3,)         (3)
    mu1 /= 1024 * N                                                     # (3)

    def piece(s, m, thread, v1):
        # v1[k] = (1/(1024 N)) Σₙᵢⱼ (a0[n,i,j,k] − μ1[k])² (3,)         (4)
        v1 += np.dot(w.places[: m * 1024], ((a0[s] - mu1)**2).reshape(-1, 3))  # (4)

    on_threads(piece, N, 85, w.v1)
    w.v1 /= 1024 * N                                                    # (4)

    def piece(s, m, thread, mu3):
        xhat1, z1, a2, m2, a2_2 = w.xhat1[s], w.z1[s], w.a2[s], w.m2[s], w.a2_2[s]
        z1_windows, z2 = w.z1_windows[thread, :m], w.z2[thread, :m]
        np.divide(a0[s] - mu1, np.sqrt(w.v1 + 1e-05), out=xhat1)        # x̂1[n,i,j,k] = (a0[n,i,j,k] − μ1[k])/√(v1[k] + 1e-5) (N, 32, 32, 3) (5)
        np.add(p["beta1"], p["gamma1"] * xhat1, out=z1)                 # z1[n,i,j,k] = γ1[k] x̂1[n,i,j,k] + β1[k] (N, 32, 32, 3) (6)
        # z2 = W2 ⋆ z1 + b2              (N, 30, 30, 32) (8)
        np.copyto(z1_windows, windows(z1, "n i+u j+v c -> n i j u v c", i=30, j=30, u=3, v=3))  # (8)
        np.dot(z1_windows.reshape(-1, 27), p["W2"].reshape(32, -1).T, out=z2.reshape(-1, 32))  # (8)
        z2 += p["b2"]                                                   # (8)
        np.maximum(z2, 0, out=a2)                                       # a2 = max(0, z2)                (N, 30, 30, 32) (9)
        np.multiply(1.25 * a2, m2, out=a2_2)                            # a2_2 = (5/4) a2 ⊙ m2           (N, 30, 30, 32) (10)
        mu3 += np.dot(w.places[: m * 900], a2_2.reshape(-1, 32))        # μ3[k] = (1/(900 N)) Σₙᵢⱼ a2_2[n,i,j,k] (32,)        (12)

    on_threads(piece, N, 18, w.mu3)
    w.mu3 /= 900 * N                                                    # (12)

    def piece(s, m, thread, v3):
        a2_2 = w.a2_2[s]
        # v3[k] = (1/(900 N)) Σₙᵢⱼ (a2_2[n,i,j,k] − μ3[k])² (32,)        (13)
        v3 += np.dot(w.places[: m * 900], ((a2_2 - w.mu3)**2).reshape(-1, 32))  # (13)

    on_threads(piece, N, 9, w.v3)
    w.v3 /= 900 * N                                                     # (13)

    def piece(s, m, thread, mu5):
        a2_2, xhat3, z3, a4, a4_2 = w.a2_2[s], w.xhat3[s], w.z3[s], w.a4[s], w.a4_2[s]
        z3_padded, z3_windows, z4 = w.z3_padded[thread, :m], w.z3_windows[thread, :m], w.z4[thread, :m]
        np.divide(a2_2 - w.mu3, np.sqrt(w.v3 + 1e-05), out=xhat3)       # x̂3[n,i,j,k] = (a2_2[n,i,j,k] − μ3[k])/√(v3[k] + 1e-5) (N, 30, 30, 32) (14)
        np.add(p["beta3"], p["gamma3"] * xhat3, out=z3)                 # z3[n,i,j,k] = γ3[k] x̂3[n,i,j,k] + β3[k] (N, 30, 30, 32) (15)
        # z4 = W4 ⋆(p=1) z3 + b4         (N, 30, 30, 32) (17)
        z3_padded[:, 1:-1, 1:-1] = z3                                   # (17)
        np.copyto(z3_windows, windows(z3_padded, "n i+u j+v c -> n i j u v c", i=30, j=30, u=3, v=3))  # (17)
        np.dot(z3_windows.reshape(-1, 288), p["W4"].reshape(32, -1).T, out=z4.reshape(-1, 32))  # (17)
        z4 += p["b4"]                                                   # (17)
        np.maximum(z4, 0, out=a4)                                       # a4 = max(0, z4)                (N, 30, 30, 32) (18)
        # a4_2[n,i,j,k] = max_{u,v<2} a4[n,2i+u,2j+v,k] (N, 15, 15, 32) (19)
        a4_windows = windows(a4, "n 2i+u 2j+v k -> n i j k u v", i=15, j=15, u=2, v=2)  # (19)
        greatest(a4_windows, axes=(4, 5), out=a4_2)                     # (19)
        mu5 += np.dot(w.places[: m * 225], a4_2.reshape(-1, 32))        # μ5[k] = (1/(225 N)) Σₙᵢⱼ a4_2[n,i,j,k] (32,)        (20)

    on_threads(piece, N, 2, w.mu5)
    w.mu5 /= 225 * N                                                    # (20)

    def piece(s, m, thread, v5):
        a4_2 = w.a4_2[s]
        # v5[k] = (1/(225 N)) Σₙᵢⱼ (a4_2[n,i,j,k] − μ5[k])² (32,)        (21)
        v5 += np.dot(w.places[: m * 225], ((a4_2 - w.mu5)**2).reshape(-1, 32))  # (21)

    on_threads(piece, N, 36, w.v5)
    w.v5 /= 225 * N                                                     # (21)

    def piece(s, m, thread):
        a4_2, xhat5, z5, a6, a6_2, m6 = w.a4_2[s], w.xhat5[s], w.z5[s], w.a6[s], w.a6_2[s], w.m6[s]
        a6_4 = w.a6_4[s]
        z5_padded, z5_windows, z6 = w.z5_padded[thread, :m], w.z5_windows[thread, :m], w.z6[thread, :m]
        np.divide(a4_2 - w.mu5, np.sqrt(w.v5 + 1e-05), out=xhat5)       # x̂5[n,i,j,k] = (a4_2[n,i,j,k] − μ5[k])/√(v5[k] + 1e-5) (N, 15, 15, 32) (22)
        np.add(p["beta5"], p["gamma5"] * xhat5, out=z5)                 # z5[n,i,j,k] = γ5[k] x̂5[n,i,j,k] + β5[k] (N, 15, 15, 32) (23)
        # z6 = W6 ⋆(p=1) z5 + b6         (N, 15, 15, 64) (25)
        z5_padded[:, 1:-1, 1:-1] = z5                                   # (25)
        np.copyto(z5_windows, windows(z5_padded, "n i+u j+v c -> n i j u v c", i=15, j=15, u=3, v=3))  # (25)
        np.dot(z5_windows.reshape(-1, 288), p["W6"].reshape(64, -1).T, out=z6.reshape(-1, 64))  # (25)
        z6 += p["b6"]                                                   # (25)
        np.maximum(z6, 0, out=a6)                                       # a6 = max(0, z6)                (N, 15, 15, 64) (26)
        # a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k] (N, 7, 7, 64) (27)
        a6_windows = windows(a6, "n 2i+u 2j+v k -> n i j k u v", i=7, j=7, u=2, v=2)  # (27)
        greatest(a6_windows, axes=(4, 5), out=a6_2)                     # (27)
        a6_3 = a6_2.reshape(m, 3136)                                    # a6_3 = vec(a6_2)               (N, 3136)    (28)
        np.multiply(1.25 * a6_3, m6, out=a6_4)                          # a6_4 = (5/4) a6_3 ⊙ m6         (N, 3136)    (29)

    on_threads(piece, N, 8)
    z7 = dot(w.a6_4, p["W7"].T, out=w.z7)                               # z7 = W7 a6_4 + b7              (N, 512)     (31)
    z7 += p["b7"]                                                       # (31)
    a7 = np.maximum(z7, 0, out=w.a7)                                    # a7 = max(0, z7)                (N, 512)     (32)
    a7_2 = np.multiply(1.25 * a7, w.m7, out=w.a7_2)                     # a7_2 = (5/4) a7 ⊙ m7           (N, 512)     (33)
    z8 = dot(a7_2, p["W8"].T, out=w.z8)                                 # z8 = W8 a7_2 + b8              (N, 10)      (35)
    z8 += p["b8"]                                                       # (35)
    a8_max = z8.max(axis=1, out=w.a8_max)                               # a8 = softmax(z8)               (N, 10)      (36)
    a8_exp = np.exp(z8 - a8_max[:, None], out=w.a8_exp)                 # (36)
    a8_sum = a8_exp.sum(axis=1, out=w.a8_sum)                           # (36)
    a8 = np.divide(a8_exp, a8_sum[:, None], out=w.a8)                   # (36)
    return a8


# ---- Forward, in evaluation ------------------------------------------------------------------------
def evaluate(p, x, w):
    N = len(x)
    a0 = x                                                              # a0 = x                         (N, 32, 32, 3) (2)

    def piece(s, m, thread):
        z1, a2, a2_2, z3, a4, a4_2 = w.z1[s], w.a2[s], w.a2_2[s], w.z3[s], w.a4[s], w.a4_2[s]
        z5, a6, a6_2, a6_4 = w.z5[s], w.a6[s], w.a6_2[s], w.a6_4[s]
        z1_windows, z2, z3_padded = w.z1_windows[thread, :m], w.z2[thread, :m], w.z3_padded[thread, :m]
        z3_windows, z4, z5_padded = w.z3_windows[thread, :m], w.z4[thread, :m], w.z5_padded[thread, :m]
        z5_windows, z6 = w.z5_windows[thread, :m], w.z6[thread, :m]
        # z1[n,i,j,k] = γ1[k] (a0[n,i,j,k] − μ̄1[k])/√(v̄1[k] + 1e-5) + β1[k] (N, 32, 32, 3) (7)
        np.add(p["beta1"], p["gamma1"] * (a0[s] - p["mean1"]) / np.sqrt(p["var1"] + 1e-05), out=z1)  # (7)
        # z2 = W2 ⋆ z1 + b2              (N, 30, 30, 32) (8)
        np.copyto(z1_windows, windows(z1, "n i+u j+v c -> n i j u v c", i=30, j=30, u=3, v=3))  # (8)
        np.dot(z1_windows.reshape(-1, 27), p["W2"].reshape(32, -1).T, out=z2.reshape(-1, 32))  # (8)
        z2 += p["b2"]                                                   # (8)
        np.maximum(z2, 0, out=a2)                                       # a2 = max(0, z2)                (N, 30, 30, 32) (9)
        a2_2[...] = a2                                                  # a2_2 = a2                      (N, 30, 30, 32) (11)
        # z3[n,i,j,k] = γ3[k] (a2_2[n,i,j,k] − μ̄3[k])/√(v̄3[k] + 1e-5) + β3[k] (N, 30, 30, 32) (16)
        np.add(p["beta3"], p["gamma3"] * (a2_2 - p["mean3"]) / np.sqrt(p["var3"] + 1e-05), out=z3)  # (16)
        # z4 = W4 ⋆(p=1) z3 + b4         (N, 30, 30, 32) (17)
        z3_padded[:, 1:-1, 1:-1] = z3                                   # (17)
        np.copyto(z3_windows, windows(z3_padded, "n i+u j+v c -> n i j u v c", i=30, j=30, u=3, v=3))  # (17)
        np.dot(z3_windows.reshape(-1, 288), p["W4"].reshape(32, -1).T, out=z4.reshape(-1, 32))  # (17)
        z4 += p["b4"]                                                   # (17)
        np.maximum(z4, 0, out=a4)                                       # a4 = max(0, z4)                (N, 30, 30, 32) (18)
        # a4_2[n,i,j,k] = max_{u,v<2} a4[n,2i+u,2j+v,k] (N, 15, 15, 32) (19)
        a4_windows = windows(a4, "n 2i+u 2j+v k -> n i j k u v", i=15, j=15, u=2, v=2)  # (19)
        greatest(a4_windows, axes=(4, 5), out=a4_2)                     # (19)
        # z5[n,i,j,k] = γ5[k] (a4_2[n,i,j,k] − μ̄5[k])/√(v̄5[k] + 1e-5) + β5[k] (N, 15, 15, 32) (24)
        np.add(p["beta5"], p["gamma5"] * (a4_2 - p["mean5"]) / np.sqrt(p["var5"] + 1e-05), out=z5)  # (24)
        # z6 = W6 ⋆(p=1) z5 + b6         (N, 15, 15, 64) (25)
        z5_padded[:, 1:-1, 1:-1] = z5                                   # (25)
        np.copyto(z5_windows, windows(z5_padded, "n i+u j+v c -> n i j u v c", i=15, j=15, u=3, v=3))  # (25)
        np.dot(z5_windows.reshape(-1, 288), p["W6"].reshape(64, -1).T, out=z6.reshape(-1, 64))  # (25)
        z6 += p["b6"]                                                   # (25)
        np.maximum(z6, 0, out=a6)                                       # a6 = max(0, z6)                (N, 15, 15, 64) (26)
        # a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k] (N, 7, 7, 64) (27)
        a6_windows = windows(a6, "n 2i+u 2j+v k -> n i j k u v", i=7, j=7, u=2, v=2)  # (27)
        greatest(a6_windows, axes=(4, 5), out=a6_2)                     # (27)
        a6_3 = a6_2.reshape(m, 3136)                                    # a6_3 = vec(a6_2)               (N, 3136)    (28)
        a6_4[...] = a6_3                                                # a6_4 = a6_3                    (N, 3136)    (30)

    on_threads(piece, N, 2)
    z7 = dot(w.a6_4, p["W7"].T, out=w.z7)                               # z7 = W7 a6_4 + b7              (N, 512)     (31)
    z7 += p["b7"]                                                       # (31)
    a7 = np.maximum(z7, 0, out=w.a7)                                    # a7 = max(0, z7)                (N, 512)     (32)
    a7_2 = w.a7_2                                                       # a7_2 = a7                      (N, 512)     (34)
    a7_2[...] = a7                                                      # (34)
    z8 = dot(a7_2, p["W8"].T, out=w.z8)                                 # z8 = W8 a7_2 + b8              (N, 10)      (35)
    z8 += p["b8"]                                                       # (35)
    a8_max = z8.max(axis=1, out=w.a8_max)                               # a8 = softmax(z8)               (N, 10)      (36)
    a8_exp = np.exp(z8 - a8_max[:, None], out=w.a8_exp)                 # (36)
    a8_sum = a8_exp.sum(axis=1, out=w.a8_sum)                           # (36)
    a8 = np.divide(a8_exp, a8_sum[:, None], out=w.a8)                   # (36)
    return a8


# ---- Loss ------------------------------------------------------------------------------------------
def error(p, t, w):
    N = len(t)
    T = np.equal(t[:, None], np.arange(10), out=w.T)                    # T = onehot(t)                  (N, 10)      (1)
    E_sum = np.log(w.a8_sum).sum()                                      # E = −(1/N) Σₙ Tₙᵀ log(a8ₙ)     ()           (37)
    E_sum_2 = np.vdot(T, w.a8_max[:, None] - w.z8)                      # (37)
    E = (E_sum + E_sum_2) / N                                           # (37)
    return E


# ---- Backward: delta_l = dE/dz_l, and the gradient of every parameter ------------------------------
def backward(p, x, t, w, g):
    N = len(x)
    real = w.real
    np.divide(w.a8 - w.T, N, out=w.delta8)                              # δ8 = (a8 − T)/N                (N, 10)      (38)
    dot(w.delta8.T, w.a7_2, out=g["W8"])                                # ∂E/∂W8 = Σₙ δ8ₙ a7_2ₙᵀ         (10, 512)    (39)
    np.dot(w.ones, w.delta8, out=g["b8"])                               # ∂E/∂b8 = Σₙ δ8ₙ                (10,)        (40)
    dot(w.delta8, p["W8"], out=w.delta7)                                # δ7 = (5/4) (W8ᵀ δ8) ⊙ m7 ⊙ [a7 > 0] (N, 512)     (41)
    w.delta7 *= real(1.25) * (w.m7 & (w.a7 > 0))                        # (41)
    dot(w.delta7.T, w.a6_4, out=g["W7"])                                # ∂E/∂W7 = Σₙ δ7ₙ a6_4ₙᵀ         (512, 3136)  (42)
    np.dot(w.ones, w.delta7, out=g["b7"])                               # ∂E/∂b7 = Σₙ δ7ₙ                (512,)       (43)
    dot(w.delta7, p["W7"], out=w.da6_3)                                 # ∂E/∂a6_3 = (5/4) (W7ᵀ δ7) ⊙ m6 (N, 3136)    (44)
    np.copyto(w.W6_windows, windows(p["W6"], "k -u+2 -v+2 c -> c u v k", u=3, v=3))  # (49)

    def piece(s, m, thread, dW6_windows, db6, dbeta5, dgamma5):
        da6_3, m6, a6, a6_2, z5, delta5 = w.da6_3[s], w.m6[s], w.a6[s], w.a6_2[s], w.z5[s], w.delta5[s]
        xhat5 = w.xhat5[s]
        delta6_winner = w.delta6_winner[thread, :m]
        delta6_sum_windows, delta6_sum = w.delta6_sum_windows[thread, :m], w.delta6_sum[thread, :m]
        delta6, delta6_padded = w.delta6[thread, :m], w.delta6_padded[thread, :m]
        delta6_windows = w.delta6_windows[thread, :m]
        da6_3 *= real(1.25) * m6                                        # (44)
        da6_2 = da6_3.reshape(m, 7, 7, 64)                              # ∂E/∂a6_2 = vec⁻¹(∂E/∂a6_3)     (N, 7, 7, 64) (45)
        # δ6[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a6[n,2i+u,2j+v,k]] ∂E/∂a6_2[n,i,j,k]) [a6[n,p,q,k] > 0] (N, 15, 15, 64) (46)
        a6_windows_2 = windows(a6, "n 2i+p 2j+q k -> n i j p q k", i=7, j=7, p=2, q=2)  # (46)
        first(a6_windows_2, a6_2, axes=(3, 4), out=delta6_winner)       # (46)
        np.multiply(da6_2[:, :, :, None, None, :], delta6_winner, out=delta6_sum_windows)  # (46)
        delta6_sum[...] = 0                                             # (46)
        windows(delta6_sum, "n 2i+p 2j+q k -> n i j p q k", i=7, j=7, p=2, q=2)[...] = delta6_sum_windows  # (46)
        np.multiply(delta6_sum, a6 > 0, out=delta6)                     # (46)
        # ∂E/∂W6 = Σₙ δ6ₙ ⋆(p=1) z5ₙ     (64, 3, 3, 32) (47)
        delta6_padded[:, 1:-1, 1:-1] = delta6                           # (47, 49)
        np.copyto(delta6_windows, windows(delta6_padded, "n i+u j+v k -> n i j u v k", i=15, j=15, u=3, v=3))  # (47, 49)
        dW6_windows.reshape(576, -1)[...] += np.dot(delta6_windows.reshape(-1, 576).T, z5.reshape(-1, 32))  # (47)
        db6 += np.dot(w.places[: m * 225], delta6.reshape(-1, 64))      # ∂E/∂b6[k] = Σₙᵢⱼ δ6[n,i,j,k]   (64,)        (48)
        # δ5 = W6ᵀ ∗(p=1) δ6             (N, 15, 15, 32) (49)
        np.dot(delta6_windows.reshape(-1, 576), w.W6_windows.reshape(32, -1).T, out=delta5.reshape(-1, 32))  # (49)
        dbeta5 += np.dot(w.places[: m * 225], delta5.reshape(-1, 32))   # ∂E/∂β5[k] = Σₙᵢⱼ δ5[n,i,j,k]   (32,)        (50)
        # ∂E/∂γ5[k] = Σₙᵢⱼ δ5[n,i,j,k] x̂5[n,i,j,k] (32,)        (51)
        dgamma5 += np.dot(w.places[: m * 225], (delta5 * xhat5).reshape(-1, 32))  # (51)

    on_threads(piece, N, 4, w.dW6_windows, g["b6"], g["beta5"], g["gamma5"])
    windows(g["W6"], "k -u+2 -v+2 c -> u v k c", u=3, v=3)[...] = w.dW6_windows  # (47)
    np.copyto(w.W4_windows, windows(p["W4"], "k -u+2 -v+2 c -> c u v k", u=3, v=3))  # (60)

    def piece(s, m, thread, dW4_windows, db4, dbeta3, dgamma3):
        delta5, xhat5, a4, a4_2, z3 = w.delta5[s], w.xhat5[s], w.a4[s], w.a4_2[s], w.z3[s]
        delta3, xhat3 = w.delta3[s], w.xhat3[s]
        da4_2, delta4_winner = w.da4_2[thread, :m], w.delta4_winner[thread, :m]
        delta4_sum_windows, delta4_sum = w.delta4_sum_windows[thread, :m], w.delta4_sum[thread, :m]
        delta4, delta4_padded = w.delta4[thread, :m], w.delta4_padded[thread, :m]
        delta4_windows = w.delta4_windows[thread, :m]
        # ∂E/∂a4_2[n,i,j,k] = γ5[k] (225 N δ5[n,i,j,k] − Σ_mpq δ5[m,p,q,k] − (Σ_mpq δ5[m,p,q,k] x̂5[m,p,q,k]) x̂5[n,i,j,k])/(225 N √(v5[k] + 1e-5)) (N, 15, 15, 32) (56)
        np.divide(p["gamma5"] * (225 * N * delta5 - g["gamma5"] * xhat5 - g["beta5"]), 225 * N * np.sqrt(w.v5 + 1e-05), out=da4_2)  # (56)
        # δ4[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a4[n,2i+u,2j+v,k]] ∂E/∂a4_2[n,i,j,k]) [a4[n,p,q,k] > 0] (N, 30, 30, 32) (57)
        a4_windows_2 = windows(a4, "n 2i+p 2j+q k -> n i j p q k", i=15, j=15, p=2, q=2)  # (57)
        first(a4_windows_2, a4_2, axes=(3, 4), out=delta4_winner)       # (57)
        np.multiply(da4_2[:, :, :, None, None, :], delta4_winner, out=delta4_sum_windows)  # (57)
        windows(delta4_sum, "n 2i+p 2j+q k -> n i j p q k", i=15, j=15, p=2, q=2)[...] = delta4_sum_windows  # (57)
        np.multiply(delta4_sum, a4 > 0, out=delta4)                     # (57)
        # ∂E/∂W4 = Σₙ δ4ₙ ⋆(p=1) z3ₙ     (32, 3, 3, 32) (58)
        delta4_padded[:, 1:-1, 1:-1] = delta4                           # (58, 60)
        np.copyto(delta4_windows, windows(delta4_padded, "n i+u j+v k -> n i j u v k", i=30, j=30, u=3, v=3))  # (58, 60)
        dW4_windows.reshape(288, -1)[...] += np.dot(delta4_windows.reshape(-1, 288).T, z3.reshape(-1, 32))  # (58)
        db4 += np.dot(w.places[: m * 900], delta4.reshape(-1, 32))      # ∂E/∂b4[k] = Σₙᵢⱼ δ4[n,i,j,k]   (32,)        (59)
        # δ3 = W4ᵀ ∗(p=1) δ4             (N, 30, 30, 32) (60)
        np.dot(delta4_windows.reshape(-1, 288), w.W4_windows.reshape(32, -1).T, out=delta3.reshape(-1, 32))  # (60)
        dbeta3 += np.dot(w.places[: m * 900], delta3.reshape(-1, 32))   # ∂E/∂β3[k] = Σₙᵢⱼ δ3[n,i,j,k]   (32,)        (61)
        # ∂E/∂γ3[k] = Σₙᵢⱼ δ3[n,i,j,k] x̂3[n,i,j,k] (32,)        (62)
        dgamma3 += np.dot(w.places[: m * 900], (delta3 * xhat3).reshape(-1, 32))  # (62)

    on_threads(piece, N, 2, w.dW4_windows, g["b4"], g["beta3"], g["gamma3"])
    windows(g["W4"], "k -u+2 -v+2 c -> u v k c", u=3, v=3)[...] = w.dW4_windows  # (58)

    def piece(s, m, thread, dW2, db2, dbeta1, dgamma1):
        a2, delta3, m2, xhat3, z1 = w.a2[s], w.delta3[s], w.m2[s], w.xhat3[s], w.z1[s]
        delta1, xhat1 = w.delta1[s], w.xhat1[s]
        delta2, z1_windows_2 = w.delta2[thread, :m], w.z1_windows_2[thread, :m]
        delta1_windows = w.delta1_windows[thread, :m]
        # δ2[n,i,j,k] = γ3[k] m2[n,i,j,k] (900 N δ3[n,i,j,k] − Σ_mpq δ3[m,p,q,k] − (Σ_mpq δ3[m,p,q,k] x̂3[m,p,q,k]) x̂3[n,i,j,k]) [a2[n,i,j,k] > 0]/(720 N √(v3[k] + 1e-5)) (N, 30, 30, 32) (67)
        np.divide(p["gamma3"] * (900 * N * delta3 - g["gamma3"] * xhat3 - g["beta3"]) * m2 * (a2 > 0), 720 * N * np.sqrt(w.v3 + 1e-05), out=delta2)  # (67)
        # ∂E/∂W2 = Σₙ δ2ₙ ⋆ z1ₙ          (32, 3, 3, 3) (68)
        np.copyto(z1_windows_2, windows(z1, "n i+u j+v c -> n i j u v c", i=30, j=30, u=3, v=3))  # (68)
        dW2.reshape(32, -1)[...] += np.dot(delta2.reshape(-1, 32).T, z1_windows_2.reshape(-1, 27))  # (68)
        db2 += np.dot(w.places[: m * 900], delta2.reshape(-1, 32))      # ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]   (32,)        (69)
        # δ1 = W2ᵀ ∗ δ2                  (N, 32, 32, 3) (70)
        np.dot(delta2.reshape(-1, 32), p["W2"].reshape(32, -1), out=delta1_windows.reshape(-1, 27))  # (70)
        delta1[...] = 0                                                 # (70)
        add_windows(windows(delta1, "n p+u q+v c -> n p q u v c", p=30, q=30, u=3, v=3), delta1_windows, axes=(3, 4))  # (70)
        dbeta1 += np.dot(w.places[: m * 1024], delta1.reshape(-1, 3))   # ∂E/∂β1[k] = Σₙᵢⱼ δ1[n,i,j,k]   (3,)         (71)
        # ∂E/∂γ1[k] = Σₙᵢⱼ δ1[n,i,j,k] x̂1[n,i,j,k] (3,)         (72)
        dgamma1 += np.dot(w.places[: m * 1024], (delta1 * xhat1).reshape(-1, 3))  # (72)

    on_threads(piece, N, 18, g["W2"], g["b2"], g["beta1"], g["gamma1"])


# ---- Running statistics: what evaluation takes for those of the batch ------------------------------
def keep_statistics(p, x, w):
    N = len(x)
    p["mean1"] *= 0.9                                                   # μ̄1 ← 0.9 μ̄1 + 0.1 μ1         (3,)         (78)
    p["mean1"] += w.mu1 / 10                                            # (78)
    p["var1"] *= 0.9                                                    # v̄1 ← 0.9 v̄1 + 102.4 N v1/(1024 N − 1) (3,)         (79)
    p["var1"] += 102.4 * N / (1024 * N - 1) * w.v1                      # (79)
    p["mean3"] *= 0.9                                                   # μ̄3 ← 0.9 μ̄3 + 0.1 μ3         (32,)        (80)
    p["mean3"] += w.mu3 / 10                                            # (80)
    p["var3"] *= 0.9                                                    # v̄3 ← 0.9 v̄3 + 90 N v3/(900 N − 1) (32,)        (81)
    p["var3"] += 90 * N / (900 * N - 1) * w.v3                          # (81)
    p["mean5"] *= 0.9                                                   # μ̄5 ← 0.9 μ̄5 + 0.1 μ5         (32,)        (82)
    p["mean5"] += w.mu5 / 10                                            # (82)
    p["var5"] *= 0.9                                                    # v̄5 ← 0.9 v̄5 + 22.5 N v5/(225 N − 1) (32,)        (83)
    p["var5"] += 22.5 * N / (225 * N - 1) * w.v5                        # (83)


# ---- Update: over all parameters as one vector -----------------------------------------------------
def init_optimizer(parameters):
    """Return the optimizer's state before the first step."""
    dtype = next(iter(parameters.values())).dtype
    return {
        "step": 0,                                       # that without a seed says which masks are drawn
        "steps": 1000,                                   # K: how many steps there will be; `train` sets it
        "learning_rate": LEARNING_RATE,                  # of the last step
        "m": np.zeros(COUNT, dtype),
        "v": np.zeros(COUNT, dtype),
    }


def descend(theta, g, state, w):
    k = state["step"] = state["step"] + 1
    K = state["steps"]
    m = state["m"]
    v = state["v"]
    eta = LEARNING_RATE * (1 + math.cos(math.pi * (k - 1) / K)) / 2     # ηₖ = η (cos(π (k − 1)/K) + 1)/2 ()           (84)
    vectors = g, m, v, theta

    def part(entries, count, thread):
        g, m, v, theta = (vector[entries] for vector in vectors)
        s = w.s[thread, :count]
        m *= BETA1                                                      # m ← β1 m + (1 − β1) g          (1640048,)   (85)
        m += np.multiply(1 - BETA1, g, out=s)                           # (85)
        v *= BETA2                                                      # v ← β2 v + (1 − β2) g ⊙ g      (1640048,)   (86)
        np.square(g, out=s)                                             # (86)
        s *= 1 - BETA2                                                  # (86)
        v += s                                                          # (86)
        np.multiply(1 / (1 - BETA2**k), v, out=s)                       # θ ← θ − ηₖ m/((1 − β1^k) (√(v/(1 − β2^k)) + ε)) (1640048,)   (87)
        np.sqrt(s, out=s)                                               # (87)
        s += EPSILON                                                    # (87)
        np.divide(m, s, out=s)                                          # (87)
        s *= eta / (1 - BETA1**k)                                       # (87)
        theta -= s                                                      # (87)

    on_threads(part, COUNT, 131072)
    state["learning_rate"] = eta


# ---- What a user of this module calls, from any number of threads at once --------------------------
@computing()
def predict(parameters, x):
    """Return the outputs, (N, 10), for inputs (N, 32, 32, 3)."""
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
        delta1, xhat1, dx = w.delta1[s], w.xhat1[s], w.dx[s]
        # ∂E/∂x[n,i,j,k] = γ1[k] (1024 N δ1[n,i,j,k] − Σ_mpq δ1[m,p,q,k] − (Σ_mpq δ1[m,p,q,k] x̂1[m,p,q,k]) x̂1[n,i,j,k])/(1024 N √(v1[k] + 1e-5)) (N, 32, 32, 3) (77)
        np.divide(p["gamma1"] * (1024 * N * delta1 - g["gamma1"] * xhat1 - g["beta1"]), 1024 * N * np.sqrt(w.v1 + 1e-05), out=dx)  # (77)

    on_threads(piece, N, 85)
    return w.dx.copy()


def masks(N, seed=None):
    """Return by name the random masks, one row a sample, that a step with this seed draws."""
    found = {
        "m2": draw(seed, 0, 0.8, out=np.empty((N, 30, 30, 32), bool)),
        "m6": draw(seed, 1, 0.8, out=np.empty((N, 3136), bool)),
        "m7": draw(seed, 2, 0.8, out=np.empty((N, 512), bool)),
    }
    return found


@computing()
def branches(parameters, x, t, seed=None):
    """Return on which side of each kink of the loss every value lies, as one vector of truth values."""
    x, t = prepare(parameters, x, t)
    w = workspace(len(x), x.dtype)
    forward(parameters, x, w, seed)
    sides = [
        w.a7 <= 0,
        first(windows(w.a6, "n 2i+p 2j+q k -> n i j p q k", i=7, j=7, p=2, q=2), w.a6_2, axes=(3, 4)),
        w.a6 <= 0,
        first(windows(w.a4, "n 2i+p 2j+q k -> n i j p q k", i=15, j=15, p=2, q=2), w.a4_2, axes=(3, 4)),
        w.a4 <= 0,
        w.a2 <= 0,
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
    keep_statistics(parameters, x, w)
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
    state["steps"] = epochs * math.ceil(len(x) / batch_size)
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
    """Write parameters, running statistics among them, to an .npz file, which `load` reads."""
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
        print("derive train alone does what the spec says of validation_split", file=sys.stderr)
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
    parser = argparse.ArgumentParser(description="Train cifar10_cnn_79, and predict with what was trained.")
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
