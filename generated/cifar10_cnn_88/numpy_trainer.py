"""cifar10_cnn_88: 32x32x3-…-10 (10 layers), relu, max_pool2d, dropout, softmax; cross_entropy; adam; 394,026 parameters.

blocks of 32, 64 and 128 channels, batch normalization, weight decay: 394,026 parameters

Generated from cifar10_cnn_88.toml (sha256 dee00597); change the spec, not this file.  Needs NumPy only.
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
    "W1": (32, 3, 3, 3),
    "gamma2": (32,),
    "beta2": (32,),
    "W3": (64, 3, 3, 32),
    "gamma4": (64,),
    "beta4": (64,),
    "W5": (64, 3, 3, 64),
    "gamma6": (64,),
    "beta6": (64,),
    "W7": (128, 3, 3, 64),
    "gamma8": (128,),
    "beta8": (128,),
    "W9": (128, 2048),
    "b9": (128,),
    "W10": (10, 128),
    "b10": (10,),
}
STATISTICS = {
    "mean2": (32,),
    "var2": (32,),
    "mean4": (64,),
    "var4": (64,),
    "mean6": (64,),
    "var6": (64,),
    "mean8": (128,),
    "var8": (128,),
}
SHAPES = PARAMETERS | STATISTICS
SPEC = "dee005972315327e3d31b4cc43cbc8a0066c3e3b478904a63a544efa8bfcdf54"
COUNT = 394026
INPUT, OUTPUT = (32, 32, 3), (10,)
BATCH_SIZE, EPOCHS = 64, 64
AT_ONCE = 64  # samples that are evaluated at a time
LEARNING_RATE = 0.001
BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-08
WARMUP = 700


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
    p["W1"][...] = rng.standard_normal((32, 3, 3, 3)) * math.sqrt(2 / 27)    # he_normal
    p["gamma2"][...] = 1
    p["beta2"][...] = 0
    p["W3"][...] = rng.standard_normal((64, 3, 3, 32)) * math.sqrt(2 / 288)    # he_normal
    p["gamma4"][...] = 1
    p["beta4"][...] = 0
    p["W5"][...] = rng.standard_normal((64, 3, 3, 64)) * math.sqrt(2 / 576)    # he_normal
    p["gamma6"][...] = 1
    p["beta6"][...] = 0
    p["W7"][...] = rng.standard_normal((128, 3, 3, 64)) * math.sqrt(2 / 576)    # he_normal
    p["gamma8"][...] = 1
    p["beta8"][...] = 0
    p["W9"][...] = rng.standard_normal((128, 2048)) * math.sqrt(2 / 2048)    # he_normal
    p["b9"][...] = 0
    p["W10"][...] = rng.uniform(-1, 1, (10, 128)) * math.sqrt(6 / (128 + 10))    # glorot_uniform
    p["b10"][...] = 0
    p["mean2"] = np.zeros((32,), dtype)
    p["var2"] = np.ones((32,), dtype)
    p["mean4"] = np.zeros((64,), dtype)
    p["var4"] = np.ones((64,), dtype)
    p["mean6"] = np.zeros((64,), dtype)
    p["var6"] = np.ones((64,), dtype)
    p["mean8"] = np.zeros((128,), dtype)
    p["var8"] = np.ones((128,), dtype)
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
        self.places = room("places", max(piece(3) * 256, piece(3) * 1024, piece(7) * 256, piece(8) * 1024, piece(14) * 64, piece(16) * 256, piece(16) * 1024, piece(32) * 64, piece(64) * 64), fill=np.ones)
        self.m2 = room("m2", N, 16, 16, 32, dtype=bool)
        self.m6 = room("m6", N, 8, 8, 64, dtype=bool)
        self.m8 = room("m8", N, 4, 4, 128, dtype=bool)
        self.m9 = room("m9", N, 128, dtype=bool)
        self.a0_padded = room("a0_padded", THREADS, piece(16), 34, 34, 3, fill=np.zeros)
        self.a0_windows = room("a0_windows", THREADS, piece(16), 32, 32, 3, 3, 3)
        self.z1 = room("z1", N, 32, 32, 32)
        self.mu2 = room("mu2", 32)
        self.v2 = room("v2", 32)
        self.xhat2 = self.z1
        self.z2 = room("z2", THREADS, piece(7), 32, 32, 32)
        self.a2 = room("a2", N, 32, 32, 32)
        self.a2_2 = room("a2_2", N, 16, 16, 32)
        self.a2_3 = room("a2_3", N, 16, 16, 32)
        self.a2_3_padded = room("a2_3_padded", THREADS, piece(7), 18, 18, 32, fill=np.zeros)
        self.a2_3_windows = room("a2_3_windows", THREADS, piece(7), 16, 16, 3, 3, 32)
        self.z3 = room("z3", N, 16, 16, 64)
        self.mu4 = room("mu4", 64)
        self.v4 = room("v4", 64)
        self.xhat4 = self.z3
        self.z4 = room("z4", THREADS, piece(3), 16, 16, 64)
        self.a4 = room("a4", N, 16, 16, 64)
        self.a4_padded = room("a4_padded", THREADS, piece(3), 18, 18, 64, fill=np.zeros)
        self.a4_windows = room("a4_windows", THREADS, piece(3), 16, 16, 3, 3, 64)
        self.z5 = room("z5", N, 16, 16, 64)
        self.mu6 = room("mu6", 64)
        self.v6 = room("v6", 64)
        self.xhat6 = self.z5
        self.z6 = room("z6", THREADS, piece(14), 16, 16, 64)
        self.a6 = room("a6", N, 16, 16, 64)
        self.a6_2 = room("a6_2", N, 8, 8, 64)
        self.a6_3 = room("a6_3", N, 8, 8, 64)
        self.a6_3_padded = room("a6_3_padded", THREADS, piece(14), 10, 10, 64, fill=np.zeros)
        self.a6_3_windows = room("a6_3_windows", THREADS, piece(14), 8, 8, 3, 3, 64)
        self.z7 = room("z7", N, 8, 8, 128)
        self.mu8 = room("mu8", 128)
        self.v8 = room("v8", 128)
        self.xhat8 = self.z7
        self.z8 = room("z8", THREADS, piece(64), 8, 8, 128)
        self.a8 = room("a8", N, 8, 8, 128)
        self.a8_2 = room("a8_2", N, 4, 4, 128)
        self.a8_3 = room("a8_3", N, 4, 4, 128)
        self.a8_4 = self.a8_3.reshape(N, 2048)
        self.z9 = room("z9", N, 128)
        self.a9 = self.z9
        self.a9_2 = room("a9_2", N, 128)
        self.z10 = room("z10", N, 10)
        self.a10_max = room("a10_max", N)
        self.a10_exp = room("a10_exp", N, 10)
        self.a10_sum = room("a10_sum", N)
        self.a10 = self.a10_exp
        self.T = room("T", N, 10)
        self.delta10 = self.T
        self.delta9 = self.a9_2
        self.da8_4 = room("da8_4", N, 2048)
        self.da8_3 = self.da8_4.reshape(N, 4, 4, 128)
        self.delta8_winner = room("delta8_winner", THREADS, piece(64), 4, 4, 2, 2, 128, dtype=bool)
        self.delta8_sum_windows = room("delta8_sum_windows", THREADS, piece(64), 4, 4, 2, 2, 128)
        self.delta8_sum = self.z8
        self.delta8 = self.a8
        self.W7_windows = room("W7_windows", 64, 3, 3, 128)
        self.delta7 = room("delta7", THREADS, piece(7), 8, 8, 128)
        self.delta7_padded = room("delta7_padded", THREADS, piece(7), 10, 10, 128, fill=np.zeros)
        self.delta7_windows = room("delta7_windows", THREADS, piece(7), 8, 8, 3, 3, 128)
        self.dW7_sum_windows = room("dW7_sum_windows", 3, 3, 128, 64)
        self.da6_2 = room("da6_2", THREADS, piece(7), 8, 8, 64)
        self.delta6_winner = room("delta6_winner", THREADS, piece(7), 8, 8, 2, 2, 64, dtype=bool)
        self.delta6_sum_windows = room("delta6_sum_windows", THREADS, piece(7), 8, 8, 2, 2, 64)
        self.delta6_sum = room("delta6_sum", THREADS, piece(7), 16, 16, 64)
        self.delta6 = self.a6
        self.dW7_sum = room("dW7_sum", 128, 3, 3, 64)
        self.W5_windows = room("W5_windows", 64, 3, 3, 64)
        self.delta5 = self.z4
        self.delta5_padded = room("delta5_padded", THREADS, piece(3), 18, 18, 64, fill=np.zeros)
        self.delta5_windows = self.a4_windows
        self.dW5_sum_windows = room("dW5_sum_windows", 3, 3, 64, 64)
        self.delta4 = self.a6
        self.dW5_sum = self.W5_windows
        self.W3_windows = room("W3_windows", 32, 3, 3, 64)
        self.delta3 = self.z4
        self.delta3_padded = room("delta3_padded", THREADS, piece(3), 18, 18, 64, fill=np.zeros)
        self.delta3_windows = self.a4_windows
        self.dW3_sum_windows = room("dW3_sum_windows", 3, 3, 64, 32)
        self.da2_2 = room("da2_2", THREADS, piece(3), 16, 16, 32)
        self.delta2_winner = room("delta2_winner", THREADS, piece(3), 16, 16, 2, 2, 32, dtype=bool)
        self.delta2_sum_windows = room("delta2_sum_windows", THREADS, piece(3), 16, 16, 2, 2, 32)
        self.delta2_sum = room("delta2_sum", THREADS, piece(3), 32, 32, 32)
        self.delta2 = self.a2
        self.dW3_sum = room("dW3_sum", 64, 3, 3, 32)
        self.delta1 = self.a2
        self.a0_padded_2 = room("a0_padded_2", THREADS, piece(16), 34, 34, 3, fill=np.zeros)
        self.a0_windows_2 = self.a0_windows
        if inputs:  # for the gradient with respect to them
            self.dx_windows = self.a0_windows
            self.dx_padded = room("dx_padded", THREADS, piece(16), 34, 34, 3)
            self.dx = room("dx", N, 32, 32, 3)

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

    def piece(s, m, thread):
        m2, m6, m8, m9 = w.m2[s], w.m6[s], w.m8[s], w.m9[s]
        draw(seed, 0, 0.9, out=m2, before=8192 * s.start)               # m2 ∼ Bernoulli(0.9)            (N, 16, 16, 32) (11)
        draw(seed, 1, 0.8, out=m6, before=4096 * s.start)               # m6 ∼ Bernoulli(0.8)            (N, 8, 8, 64) (28)
        draw(seed, 2, 0.7, out=m8, before=2048 * s.start)               # m8 ∼ Bernoulli(0.7)            (N, 4, 4, 128) (38)
        draw(seed, 3, 0.6, out=m9, before=128 * s.start)                # m9 ∼ Bernoulli(0.6)            (N, 128) (43)

    on_threads(piece, N, 64)
    a0 = x                                                              # a0 = x                         (N, 32, 32, 3) (2)

    def piece(s, m, thread, mu2):
        z1 = w.z1[s]
        a0_padded, a0_windows = w.a0_padded[thread, :m], w.a0_windows[thread, :m]
        # z1 = W1 ⋆(p=1) a0              (N, 32, 32, 32) (3)
        a0_padded[:, 1:-1, 1:-1] = a0[s]                                # (3)
        np.copyto(a0_windows, windows(a0_padded, "n i+u j+v c -> n i j u v c", i=32, j=32, u=3, v=3))  # (3)
        np.dot(a0_windows.reshape(-1, 27), p["W1"].reshape(32, -1).T, out=z1.reshape(-1, 32))  # (3)
        mu2 += np.dot(w.places[: m * 1024], z1.reshape(-1, 32))         # μ2[k] = (1/(1024 N)) Σₙᵢⱼ z1[n,i,j,k] (32,)        (4)

    on_threads(piece, N, 16, w.mu2)
    w.mu2 /= 1024 * N                                                   # (4)

    def piece(s, m, thread, v2):
        z1 = w.z1[s]
        # v2[k] = (1/(1024 N)) Σₙᵢⱼ (z1[n,i,j,k] − μ2[k])² (32,)        (5)
        v2 += np.dot(w.places[: m * 1024], ((z1 - w.mu2)**2).reshape(-1, 32))  # (5)

    on_threads(piece, N, 8, w.v2)
    w.v2 /= 1024 * N                                                    # (5)

    def piece(s, m, thread, mu4):
        z1, xhat2, a2, a2_2, m2, a2_3 = w.z1[s], w.xhat2[s], w.a2[s], w.a2_2[s], w.m2[s], w.a2_3[s]
        z3 = w.z3[s]
        z2, a2_3_padded = w.z2[thread, :m], w.a2_3_padded[thread, :m]
        a2_3_windows = w.a2_3_windows[thread, :m]
        np.divide(z1 - w.mu2, np.sqrt(w.v2 + 1e-05), out=xhat2)         # x̂2[n,i,j,k] = (z1[n,i,j,k] − μ2[k])/√(v2[k] + 1e-5) (N, 32, 32, 32) (6)
        np.add(p["beta2"], p["gamma2"] * xhat2, out=z2)                 # z2[n,i,j,k] = γ2[k] x̂2[n,i,j,k] + β2[k] (N, 32, 32, 32) (7)
        np.maximum(z2, 0, out=a2)                                       # a2 = max(0, z2)                (N, 32, 32, 32) (9)
        # a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k] (N, 16, 16, 32) (10)
        a2_windows = windows(a2, "n 2i+u 2j+v k -> n i j k u v", i=16, j=16, u=2, v=2)  # (10)
        greatest(a2_windows, axes=(4, 5), out=a2_2)                     # (10)
        np.multiply(10 / 9 * a2_2, m2, out=a2_3)                        # a2_3 = (10/9) a2_2 ⊙ m2        (N, 16, 16, 32) (11)
        # z3 = W3 ⋆(p=1) a2_3            (N, 16, 16, 64) (13)
        a2_3_padded[:, 1:-1, 1:-1] = a2_3                               # (13)
        np.copyto(a2_3_windows, windows(a2_3_padded, "n i+u j+v c -> n i j u v c", i=16, j=16, u=3, v=3))  # (13)
        np.dot(a2_3_windows.reshape(-1, 288), p["W3"].reshape(64, -1).T, out=z3.reshape(-1, 64))  # (13)
        mu4 += np.dot(w.places[: m * 256], z3.reshape(-1, 64))          # μ4[k] = (1/(256 N)) Σₙᵢⱼ z3[n,i,j,k] (64,)        (14)

    on_threads(piece, N, 7, w.mu4)
    w.mu4 /= 256 * N                                                    # (14)

    def piece(s, m, thread, v4):
        z3 = w.z3[s]
        # v4[k] = (1/(256 N)) Σₙᵢⱼ (z3[n,i,j,k] − μ4[k])² (64,)        (15)
        v4 += np.dot(w.places[: m * 256], ((z3 - w.mu4)**2).reshape(-1, 64))  # (15)

    on_threads(piece, N, 16, w.v4)
    w.v4 /= 256 * N                                                     # (15)

    def piece(s, m, thread, mu6):
        z3, xhat4, a4, z5 = w.z3[s], w.xhat4[s], w.a4[s], w.z5[s]
        z4, a4_padded, a4_windows = w.z4[thread, :m], w.a4_padded[thread, :m], w.a4_windows[thread, :m]
        np.divide(z3 - w.mu4, np.sqrt(w.v4 + 1e-05), out=xhat4)         # x̂4[n,i,j,k] = (z3[n,i,j,k] − μ4[k])/√(v4[k] + 1e-5) (N, 16, 16, 64) (16)
        np.add(p["beta4"], p["gamma4"] * xhat4, out=z4)                 # z4[n,i,j,k] = γ4[k] x̂4[n,i,j,k] + β4[k] (N, 16, 16, 64) (17)
        np.maximum(z4, 0, out=a4)                                       # a4 = max(0, z4)                (N, 16, 16, 64) (19)
        # z5 = W5 ⋆(p=1) a4              (N, 16, 16, 64) (20)
        a4_padded[:, 1:-1, 1:-1] = a4                                   # (20)
        np.copyto(a4_windows, windows(a4_padded, "n i+u j+v c -> n i j u v c", i=16, j=16, u=3, v=3))  # (20)
        np.dot(a4_windows.reshape(-1, 576), p["W5"].reshape(64, -1).T, out=z5.reshape(-1, 64))  # (20)
        mu6 += np.dot(w.places[: m * 256], z5.reshape(-1, 64))          # μ6[k] = (1/(256 N)) Σₙᵢⱼ z5[n,i,j,k] (64,)        (21)

    on_threads(piece, N, 3, w.mu6)
    w.mu6 /= 256 * N                                                    # (21)

    def piece(s, m, thread, v6):
        z5 = w.z5[s]
        # v6[k] = (1/(256 N)) Σₙᵢⱼ (z5[n,i,j,k] − μ6[k])² (64,)        (22)
        v6 += np.dot(w.places[: m * 256], ((z5 - w.mu6)**2).reshape(-1, 64))  # (22)

    on_threads(piece, N, 16, w.v6)
    w.v6 /= 256 * N                                                     # (22)

    def piece(s, m, thread, mu8):
        z5, xhat6, a6, a6_2, m6, a6_3 = w.z5[s], w.xhat6[s], w.a6[s], w.a6_2[s], w.m6[s], w.a6_3[s]
        z7 = w.z7[s]
        z6, a6_3_padded = w.z6[thread, :m], w.a6_3_padded[thread, :m]
        a6_3_windows = w.a6_3_windows[thread, :m]
        np.divide(z5 - w.mu6, np.sqrt(w.v6 + 1e-05), out=xhat6)         # x̂6[n,i,j,k] = (z5[n,i,j,k] − μ6[k])/√(v6[k] + 1e-5) (N, 16, 16, 64) (23)
        np.add(p["beta6"], p["gamma6"] * xhat6, out=z6)                 # z6[n,i,j,k] = γ6[k] x̂6[n,i,j,k] + β6[k] (N, 16, 16, 64) (24)
        np.maximum(z6, 0, out=a6)                                       # a6 = max(0, z6)                (N, 16, 16, 64) (26)
        # a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k] (N, 8, 8, 64) (27)
        a6_windows = windows(a6, "n 2i+u 2j+v k -> n i j k u v", i=8, j=8, u=2, v=2)  # (27)
        greatest(a6_windows, axes=(4, 5), out=a6_2)                     # (27)
        np.multiply(1.25 * a6_2, m6, out=a6_3)                          # a6_3 = (5/4) a6_2 ⊙ m6         (N, 8, 8, 64) (28)
        # z7 = W7 ⋆(p=1) a6_3            (N, 8, 8, 128) (30)
        a6_3_padded[:, 1:-1, 1:-1] = a6_3                               # (30)
        np.copyto(a6_3_windows, windows(a6_3_padded, "n i+u j+v c -> n i j u v c", i=8, j=8, u=3, v=3))  # (30)
        np.dot(a6_3_windows.reshape(-1, 576), p["W7"].reshape(128, -1).T, out=z7.reshape(-1, 128))  # (30)
        mu8 += np.dot(w.places[: m * 64], z7.reshape(-1, 128))          # μ8[k] = (1/(64 N)) Σₙᵢⱼ z7[n,i,j,k] (128,)       (31)

    on_threads(piece, N, 14, w.mu8)
    w.mu8 /= 64 * N                                                     # (31)

    def piece(s, m, thread, v8):
        z7 = w.z7[s]
        # v8[k] = (1/(64 N)) Σₙᵢⱼ (z7[n,i,j,k] − μ8[k])² (128,)       (32)
        v8 += np.dot(w.places[: m * 64], ((z7 - w.mu8)**2).reshape(-1, 128))  # (32)

    on_threads(piece, N, 32, w.v8)
    w.v8 /= 64 * N                                                      # (32)

    def piece(s, m, thread):
        z7, xhat8, a8, a8_2, m8, a8_3 = w.z7[s], w.xhat8[s], w.a8[s], w.a8_2[s], w.m8[s], w.a8_3[s]
        z8 = w.z8[thread, :m]
        np.divide(z7 - w.mu8, np.sqrt(w.v8 + 1e-05), out=xhat8)         # x̂8[n,i,j,k] = (z7[n,i,j,k] − μ8[k])/√(v8[k] + 1e-5) (N, 8, 8, 128) (33)
        np.add(p["beta8"], p["gamma8"] * xhat8, out=z8)                 # z8[n,i,j,k] = γ8[k] x̂8[n,i,j,k] + β8[k] (N, 8, 8, 128) (34)
        np.maximum(z8, 0, out=a8)                                       # a8 = max(0, z8)                (N, 8, 8, 128) (36)
        # a8_2[n,i,j,k] = max_{u,v<2} a8[n,2i+u,2j+v,k] (N, 4, 4, 128) (37)
        a8_windows = windows(a8, "n 2i+u 2j+v k -> n i j k u v", i=4, j=4, u=2, v=2)  # (37)
        greatest(a8_windows, axes=(4, 5), out=a8_2)                     # (37)
        np.multiply(10 / 7 * a8_2, m8, out=a8_3)                        # a8_3 = (10/7) a8_2 ⊙ m8        (N, 4, 4, 128) (38)

    on_threads(piece, N, 64)
    a8_4 = w.a8_3.reshape(N, 2048)                                      # a8_4 = vec(a8_3)               (N, 2048)    (40)
    z9 = dot(a8_4, p["W9"].T, out=w.z9)                                 # z9 = W9 a8_4 + b9              (N, 128)     (41)
    z9 += p["b9"]                                                       # (41)
    a9 = np.maximum(z9, 0, out=w.a9)                                    # a9 = max(0, z9)                (N, 128)     (42)
    a9_2 = np.multiply(5 / 3 * a9, w.m9, out=w.a9_2)                    # a9_2 = (5/3) a9 ⊙ m9           (N, 128)     (43)
    z10 = dot(a9_2, p["W10"].T, out=w.z10)                              # z10 = W10 a9_2 + b10           (N, 10)      (45)
    z10 += p["b10"]                                                     # (45)
    a10_max = z10.max(axis=1, out=w.a10_max)                            # a10 = softmax(z10)             (N, 10)      (46)
    a10_exp = np.exp(z10 - a10_max[:, None], out=w.a10_exp)             # (46)
    a10_sum = a10_exp.sum(axis=1, out=w.a10_sum)                        # (46)
    a10 = np.divide(a10_exp, a10_sum[:, None], out=w.a10)               # (46)
    return a10


# ---- Forward, in evaluation ------------------------------------------------------------------------
def evaluate(p, x, w):
    N = len(x)
    a0 = x                                                              # a0 = x                         (N, 32, 32, 3) (2)

    def piece(s, m, thread):
        z1, a2, a2_2, a2_3, z3, a4 = w.z1[s], w.a2[s], w.a2_2[s], w.a2_3[s], w.z3[s], w.a4[s]
        z5, a6, a6_2, a6_3, z7, a8 = w.z5[s], w.a6[s], w.a6_2[s], w.a6_3[s], w.z7[s], w.a8[s]
        a8_2, a8_3 = w.a8_2[s], w.a8_3[s]
        a0_padded, a0_windows, z2 = w.a0_padded[thread, :m], w.a0_windows[thread, :m], w.z2[thread, :m]
        a2_3_padded, a2_3_windows = w.a2_3_padded[thread, :m], w.a2_3_windows[thread, :m]
        z4, a4_padded, a4_windows = w.z4[thread, :m], w.a4_padded[thread, :m], w.a4_windows[thread, :m]
        z6, a6_3_padded = w.z6[thread, :m], w.a6_3_padded[thread, :m]
        a6_3_windows, z8 = w.a6_3_windows[thread, :m], w.z8[thread, :m]
        # z1 = W1 ⋆(p=1) a0              (N, 32, 32, 32) (3)
        a0_padded[:, 1:-1, 1:-1] = a0[s]                                # (3)
        np.copyto(a0_windows, windows(a0_padded, "n i+u j+v c -> n i j u v c", i=32, j=32, u=3, v=3))  # (3)
        np.dot(a0_windows.reshape(-1, 27), p["W1"].reshape(32, -1).T, out=z1.reshape(-1, 32))  # (3)
        # z2[n,i,j,k] = γ2[k] (z1[n,i,j,k] − μ̄2[k])/√(v̄2[k] + 1e-5) + β2[k] (N, 32, 32, 32) (8)
        np.add(p["beta2"], p["gamma2"] * (z1 - p["mean2"]) / np.sqrt(p["var2"] + 1e-05), out=z2)  # (8)
        np.maximum(z2, 0, out=a2)                                       # a2 = max(0, z2)                (N, 32, 32, 32) (9)
        # a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k] (N, 16, 16, 32) (10)
        a2_windows = windows(a2, "n 2i+u 2j+v k -> n i j k u v", i=16, j=16, u=2, v=2)  # (10)
        greatest(a2_windows, axes=(4, 5), out=a2_2)                     # (10)
        a2_3[...] = a2_2                                                # a2_3 = a2_2                    (N, 16, 16, 32) (12)
        # z3 = W3 ⋆(p=1) a2_3            (N, 16, 16, 64) (13)
        a2_3_padded[:, 1:-1, 1:-1] = a2_3                               # (13)
        np.copyto(a2_3_windows, windows(a2_3_padded, "n i+u j+v c -> n i j u v c", i=16, j=16, u=3, v=3))  # (13)
        np.dot(a2_3_windows.reshape(-1, 288), p["W3"].reshape(64, -1).T, out=z3.reshape(-1, 64))  # (13)
        # z4[n,i,j,k] = γ4[k] (z3[n,i,j,k] − μ̄4[k])/√(v̄4[k] + 1e-5) + β4[k] (N, 16, 16, 64) (18)
        np.add(p["beta4"], p["gamma4"] * (z3 - p["mean4"]) / np.sqrt(p["var4"] + 1e-05), out=z4)  # (18)
        np.maximum(z4, 0, out=a4)                                       # a4 = max(0, z4)                (N, 16, 16, 64) (19)
        # z5 = W5 ⋆(p=1) a4              (N, 16, 16, 64) (20)
        a4_padded[:, 1:-1, 1:-1] = a4                                   # (20)
        np.copyto(a4_windows, windows(a4_padded, "n i+u j+v c -> n i j u v c", i=16, j=16, u=3, v=3))  # (20)
        np.dot(a4_windows.reshape(-1, 576), p["W5"].reshape(64, -1).T, out=z5.reshape(-1, 64))  # (20)
        # z6[n,i,j,k] = γ6[k] (z5[n,i,j,k] − μ̄6[k])/√(v̄6[k] + 1e-5) + β6[k] (N, 16, 16, 64) (25)
        np.add(p["beta6"], p["gamma6"] * (z5 - p["mean6"]) / np.sqrt(p["var6"] + 1e-05), out=z6)  # (25)
        np.maximum(z6, 0, out=a6)                                       # a6 = max(0, z6)                (N, 16, 16, 64) (26)
        # a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k] (N, 8, 8, 64) (27)
        a6_windows = windows(a6, "n 2i+u 2j+v k -> n i j k u v", i=8, j=8, u=2, v=2)  # (27)
        greatest(a6_windows, axes=(4, 5), out=a6_2)                     # (27)
        a6_3[...] = a6_2                                                # a6_3 = a6_2                    (N, 8, 8, 64) (29)
        # z7 = W7 ⋆(p=1) a6_3            (N, 8, 8, 128) (30)
        a6_3_padded[:, 1:-1, 1:-1] = a6_3                               # (30)
        np.copyto(a6_3_windows, windows(a6_3_padded, "n i+u j+v c -> n i j u v c", i=8, j=8, u=3, v=3))  # (30)
        np.dot(a6_3_windows.reshape(-1, 576), p["W7"].reshape(128, -1).T, out=z7.reshape(-1, 128))  # (30)
        # z8[n,i,j,k] = γ8[k] (z7[n,i,j,k] − μ̄8[k])/√(v̄8[k] + 1e-5) + β8[k] (N, 8, 8, 128) (35)
        np.add(p["beta8"], p["gamma8"] * (z7 - p["mean8"]) / np.sqrt(p["var8"] + 1e-05), out=z8)  # (35)
        np.maximum(z8, 0, out=a8)                                       # a8 = max(0, z8)                (N, 8, 8, 128) (36)
        # a8_2[n,i,j,k] = max_{u,v<2} a8[n,2i+u,2j+v,k] (N, 4, 4, 128) (37)
        a8_windows = windows(a8, "n 2i+u 2j+v k -> n i j k u v", i=4, j=4, u=2, v=2)  # (37)
        greatest(a8_windows, axes=(4, 5), out=a8_2)                     # (37)
        a8_3[...] = a8_2                                                # a8_3 = a8_2                    (N, 4, 4, 128) (39)

    on_threads(piece, N, 3)
    a8_4 = w.a8_3.reshape(N, 2048)                                      # a8_4 = vec(a8_3)               (N, 2048)    (40)
    z9 = dot(a8_4, p["W9"].T, out=w.z9)                                 # z9 = W9 a8_4 + b9              (N, 128)     (41)
    z9 += p["b9"]                                                       # (41)
    a9 = np.maximum(z9, 0, out=w.a9)                                    # a9 = max(0, z9)                (N, 128)     (42)
    a9_2 = w.a9_2                                                       # a9_2 = a9                      (N, 128)     (44)
    a9_2[...] = a9                                                      # (44)
    z10 = dot(a9_2, p["W10"].T, out=w.z10)                              # z10 = W10 a9_2 + b10           (N, 10)      (45)
    z10 += p["b10"]                                                     # (45)
    a10_max = z10.max(axis=1, out=w.a10_max)                            # a10 = softmax(z10)             (N, 10)      (46)
    a10_exp = np.exp(z10 - a10_max[:, None], out=w.a10_exp)             # (46)
    a10_sum = a10_exp.sum(axis=1, out=w.a10_sum)                        # (46)
    a10 = np.divide(a10_exp, a10_sum[:, None], out=w.a10)               # (46)
    return a10


# ---- Loss ------------------------------------------------------------------------------------------
def error(p, t, w):
    N = len(t)
    E_sum = np.vdot(p["W10"], p["W10"])                                 # E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²) ()           (47)
    E_sum_2 = np.vdot(p["W9"], p["W9"])                                 # (47)
    E_sum_3 = np.vdot(p["W1"], p["W1"])                                 # (47)
    E_sum_4 = np.vdot(p["W3"], p["W3"])                                 # (47)
    E_sum_5 = np.vdot(p["W5"], p["W5"])                                 # (47)
    E_sum_6 = np.vdot(p["W7"], p["W7"])                                 # (47)
    T = np.equal(t[:, None], np.arange(10), out=w.T)                    # T = onehot(t)                  (N, 10)      (1)
    E_sum_7 = np.log(w.a10_sum).sum()                                   # (47)
    E_sum_8 = np.vdot(T, w.a10_max[:, None] - w.z10)                    # (47)
    E = (E_sum_7 + E_sum_8) / N + E_sum / 10000 + E_sum_2 / 10000 + E_sum_3 / 10000 + E_sum_4 / 10000 + E_sum_5 / 10000 + E_sum_6 / 10000  # (47)
    return E


# ---- Backward: delta_l = dE/dz_l, and the gradient of every parameter ------------------------------
def backward(p, x, t, w, g):
    N = len(x)
    real = w.real
    a0 = x
    np.divide(w.a10 - w.T, N, out=w.delta10)                            # δ10 = (a10 − T)/N              (N, 10)      (48)
    dot(w.delta10.T, w.a9_2, out=g["W10"])                              # ∂E/∂W10 = Σₙ δ10ₙ a9_2ₙᵀ + 0.0002 W10 (10, 128)    (49)
    g["W10"] += p["W10"] / 5000                                         # (49)
    np.dot(w.ones, w.delta10, out=g["b10"])                             # ∂E/∂b10 = Σₙ δ10ₙ              (10,)        (50)
    dot(w.delta10, p["W10"], out=w.delta9)                              # δ9 = (5/3) (W10ᵀ δ10) ⊙ m9 ⊙ [a9 > 0] (N, 128)     (51)
    w.delta9 *= real(5 / 3) * (w.m9 & (w.a9 > 0))                       # (51)
    dot(w.delta9.T, w.a8_4, out=g["W9"])                                # ∂E/∂W9 = Σₙ δ9ₙ a8_4ₙᵀ + 0.0002 W9 (128, 2048)  (52)
    g["W9"] += p["W9"] / 5000                                           # (52)
    np.dot(w.ones, w.delta9, out=g["b9"])                               # ∂E/∂b9 = Σₙ δ9ₙ                (128,)       (53)
    dot(w.delta9, p["W9"], out=w.da8_4)                                 # ∂E/∂a8_4 = W9ᵀ δ9              (N, 2048)    (54)
    w.da8_3 = w.da8_4.reshape(N, 4, 4, 128)                             # ∂E/∂a8_3 = vec⁻¹(∂E/∂a8_4)     (N, 4, 4, 128) (55)

    def piece(s, m, thread, dbeta8, dgamma8):
        a8, a8_2, da8_3, m8, delta8 = w.a8[s], w.a8_2[s], w.da8_3[s], w.m8[s], w.delta8[s]
        xhat8 = w.xhat8[s]
        delta8_winner = w.delta8_winner[thread, :m]
        delta8_sum_windows, delta8_sum = w.delta8_sum_windows[thread, :m], w.delta8_sum[thread, :m]
        # δ8[n,p,q,k] = (10/7) (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a8[n,2i+u,2j+v,k]] ∂E/∂a8_3[n,i,j,k] m8[n,i,j,k]) [a8[n,p,q,k] > 0] (N, 8, 8, 128) (56)
        a8_windows_2 = windows(a8, "n 2i+p 2j+q k -> n i j p q k", i=4, j=4, p=2, q=2)  # (56)
        first(a8_windows_2, a8_2, axes=(3, 4), out=delta8_winner)       # (56)
        np.multiply(da8_3[:, :, :, None, None, :] * delta8_winner, m8[:, :, :, None, None, :], out=delta8_sum_windows)  # (56)
        windows(delta8_sum, "n 2i+p 2j+q k -> n i j p q k", i=4, j=4, p=2, q=2)[...] = delta8_sum_windows  # (56)
        np.multiply(10 / 7 * delta8_sum, a8 > 0, out=delta8)            # (56)
        dbeta8 += np.dot(w.places[: m * 64], delta8.reshape(-1, 128))   # ∂E/∂β8[k] = Σₙᵢⱼ δ8[n,i,j,k]   (128,)       (57)
        # ∂E/∂γ8[k] = Σₙᵢⱼ δ8[n,i,j,k] x̂8[n,i,j,k] (128,)       (58)
        dgamma8 += np.dot(w.places[: m * 64], (delta8 * xhat8).reshape(-1, 128))  # (58)

    on_threads(piece, N, 64, g["beta8"], g["gamma8"])
    np.copyto(w.W7_windows, windows(p["W7"], "k -u+2 -v+2 c -> c u v k", u=3, v=3))  # (65)

    def piece(s, m, thread, dW7_sum_windows, dbeta6, dgamma6):
        delta8, xhat8, a6_3, m6, a6 = w.delta8[s], w.xhat8[s], w.a6_3[s], w.m6[s], w.a6[s]
        a6_2, delta6, xhat6 = w.a6_2[s], w.delta6[s], w.xhat6[s]
        delta7, delta7_padded = w.delta7[thread, :m], w.delta7_padded[thread, :m]
        delta7_windows, da6_2 = w.delta7_windows[thread, :m], w.da6_2[thread, :m]
        delta6_winner = w.delta6_winner[thread, :m]
        delta6_sum_windows, delta6_sum = w.delta6_sum_windows[thread, :m], w.delta6_sum[thread, :m]
        # δ7[n,i,j,k] = γ8[k] (64 N δ8[n,i,j,k] − Σ_mpq δ8[m,p,q,k] − (Σ_mpq δ8[m,p,q,k] x̂8[m,p,q,k]) x̂8[n,i,j,k])/(64 N √(v8[k] + 1e-5)) (N, 8, 8, 128) (63)
        np.divide(p["gamma8"] * (64 * N * delta8 - g["gamma8"] * xhat8 - g["beta8"]), 64 * N * np.sqrt(w.v8 + 1e-05), out=delta7)  # (63)
        # ∂E/∂W7 = Σₙ δ7ₙ ⋆(p=1) a6_3ₙ + 0.0002 W7 (128, 3, 3, 64) (64)
        delta7_padded[:, 1:-1, 1:-1] = delta7                           # (64, 65)
        np.copyto(delta7_windows, windows(delta7_padded, "n i+u j+v k -> n i j u v k", i=8, j=8, u=3, v=3))  # (64, 65)
        dW7_sum_windows.reshape(1152, -1)[...] += np.dot(delta7_windows.reshape(-1, 1152).T, a6_3.reshape(-1, 64))  # (64)
        # ∂E/∂a6_2 = (5/4) (W7ᵀ ∗(p=1) δ7) ⊙ m6 (N, 8, 8, 64) (65)
        np.dot(delta7_windows.reshape(-1, 1152), w.W7_windows.reshape(64, -1).T, out=da6_2.reshape(-1, 64))  # (65)
        da6_2 *= real(1.25) * m6                                        # (65)
        # δ6[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a6[n,2i+u,2j+v,k]] ∂E/∂a6_2[n,i,j,k]) [a6[n,p,q,k] > 0] (N, 16, 16, 64) (66)
        a6_windows_2 = windows(a6, "n 2i+p 2j+q k -> n i j p q k", i=8, j=8, p=2, q=2)  # (66)
        first(a6_windows_2, a6_2, axes=(3, 4), out=delta6_winner)       # (66)
        np.multiply(da6_2[:, :, :, None, None, :], delta6_winner, out=delta6_sum_windows)  # (66)
        windows(delta6_sum, "n 2i+p 2j+q k -> n i j p q k", i=8, j=8, p=2, q=2)[...] = delta6_sum_windows  # (66)
        np.multiply(delta6_sum, a6 > 0, out=delta6)                     # (66)
        dbeta6 += np.dot(w.places[: m * 256], delta6.reshape(-1, 64))   # ∂E/∂β6[k] = Σₙᵢⱼ δ6[n,i,j,k]   (64,)        (67)
        # ∂E/∂γ6[k] = Σₙᵢⱼ δ6[n,i,j,k] x̂6[n,i,j,k] (64,)        (68)
        dgamma6 += np.dot(w.places[: m * 256], (delta6 * xhat6).reshape(-1, 64))  # (68)

    on_threads(piece, N, 7, w.dW7_sum_windows, g["beta6"], g["gamma6"])
    windows(w.dW7_sum, "k -u+2 -v+2 c -> u v k c", u=3, v=3)[...] = w.dW7_sum_windows  # (64)
    np.add(w.dW7_sum, p["W7"] / 5000, out=g["W7"])                      # (64)
    np.copyto(w.W5_windows, windows(p["W5"], "k -u+2 -v+2 c -> c u v k", u=3, v=3))  # (75)

    def piece(s, m, thread, dW5_sum_windows, dbeta4, dgamma4):
        delta6, xhat6, a4, delta4, xhat4 = w.delta6[s], w.xhat6[s], w.a4[s], w.delta4[s], w.xhat4[s]
        delta5, delta5_padded = w.delta5[thread, :m], w.delta5_padded[thread, :m]
        delta5_windows = w.delta5_windows[thread, :m]
        # δ5[n,i,j,k] = γ6[k] (256 N δ6[n,i,j,k] − Σ_mpq δ6[m,p,q,k] − (Σ_mpq δ6[m,p,q,k] x̂6[m,p,q,k]) x̂6[n,i,j,k])/(256 N √(v6[k] + 1e-5)) (N, 16, 16, 64) (73)
        np.divide(p["gamma6"] * (256 * N * delta6 - g["gamma6"] * xhat6 - g["beta6"]), 256 * N * np.sqrt(w.v6 + 1e-05), out=delta5)  # (73)
        # ∂E/∂W5 = Σₙ δ5ₙ ⋆(p=1) a4ₙ + 0.0002 W5 (64, 3, 3, 64) (74)
        delta5_padded[:, 1:-1, 1:-1] = delta5                           # (74, 75)
        np.copyto(delta5_windows, windows(delta5_padded, "n i+u j+v k -> n i j u v k", i=16, j=16, u=3, v=3))  # (74, 75)
        dW5_sum_windows.reshape(576, -1)[...] += np.dot(delta5_windows.reshape(-1, 576).T, a4.reshape(-1, 64))  # (74)
        # δ4 = (W5ᵀ ∗(p=1) δ5) ⊙ [a4 > 0] (N, 16, 16, 64) (75)
        np.dot(delta5_windows.reshape(-1, 576), w.W5_windows.reshape(64, -1).T, out=delta4.reshape(-1, 64))  # (75)
        delta4 *= a4 > 0                                                # (75)
        dbeta4 += np.dot(w.places[: m * 256], delta4.reshape(-1, 64))   # ∂E/∂β4[k] = Σₙᵢⱼ δ4[n,i,j,k]   (64,)        (76)
        # ∂E/∂γ4[k] = Σₙᵢⱼ δ4[n,i,j,k] x̂4[n,i,j,k] (64,)        (77)
        dgamma4 += np.dot(w.places[: m * 256], (delta4 * xhat4).reshape(-1, 64))  # (77)

    on_threads(piece, N, 3, w.dW5_sum_windows, g["beta4"], g["gamma4"])
    windows(w.dW5_sum, "k -u+2 -v+2 c -> u v k c", u=3, v=3)[...] = w.dW5_sum_windows  # (74)
    np.add(w.dW5_sum, p["W5"] / 5000, out=g["W5"])                      # (74)
    np.copyto(w.W3_windows, windows(p["W3"], "k -u+2 -v+2 c -> c u v k", u=3, v=3))  # (84)

    def piece(s, m, thread, dW3_sum_windows, dbeta2, dgamma2):
        delta4, xhat4, a2_3, m2, a2 = w.delta4[s], w.xhat4[s], w.a2_3[s], w.m2[s], w.a2[s]
        a2_2, delta2, xhat2 = w.a2_2[s], w.delta2[s], w.xhat2[s]
        delta3, delta3_padded = w.delta3[thread, :m], w.delta3_padded[thread, :m]
        delta3_windows, da2_2 = w.delta3_windows[thread, :m], w.da2_2[thread, :m]
        delta2_winner = w.delta2_winner[thread, :m]
        delta2_sum_windows, delta2_sum = w.delta2_sum_windows[thread, :m], w.delta2_sum[thread, :m]
        # δ3[n,i,j,k] = γ4[k] (256 N δ4[n,i,j,k] − Σ_mpq δ4[m,p,q,k] − (Σ_mpq δ4[m,p,q,k] x̂4[m,p,q,k]) x̂4[n,i,j,k])/(256 N √(v4[k] + 1e-5)) (N, 16, 16, 64) (82)
        np.divide(p["gamma4"] * (256 * N * delta4 - g["gamma4"] * xhat4 - g["beta4"]), 256 * N * np.sqrt(w.v4 + 1e-05), out=delta3)  # (82)
        # ∂E/∂W3 = Σₙ δ3ₙ ⋆(p=1) a2_3ₙ + 0.0002 W3 (64, 3, 3, 32) (83)
        delta3_padded[:, 1:-1, 1:-1] = delta3                           # (83, 84)
        np.copyto(delta3_windows, windows(delta3_padded, "n i+u j+v k -> n i j u v k", i=16, j=16, u=3, v=3))  # (83, 84)
        dW3_sum_windows.reshape(576, -1)[...] += np.dot(delta3_windows.reshape(-1, 576).T, a2_3.reshape(-1, 32))  # (83)
        # ∂E/∂a2_2 = (10/9) (W3ᵀ ∗(p=1) δ3) ⊙ m2 (N, 16, 16, 32) (84)
        np.dot(delta3_windows.reshape(-1, 576), w.W3_windows.reshape(32, -1).T, out=da2_2.reshape(-1, 32))  # (84)
        da2_2 *= real(10 / 9) * m2                                      # (84)
        # δ2[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_2[n,i,j,k]) [a2[n,p,q,k] > 0] (N, 32, 32, 32) (85)
        a2_windows_2 = windows(a2, "n 2i+p 2j+q k -> n i j p q k", i=16, j=16, p=2, q=2)  # (85)
        first(a2_windows_2, a2_2, axes=(3, 4), out=delta2_winner)       # (85)
        np.multiply(da2_2[:, :, :, None, None, :], delta2_winner, out=delta2_sum_windows)  # (85)
        windows(delta2_sum, "n 2i+p 2j+q k -> n i j p q k", i=16, j=16, p=2, q=2)[...] = delta2_sum_windows  # (85)
        np.multiply(delta2_sum, a2 > 0, out=delta2)                     # (85)
        dbeta2 += np.dot(w.places[: m * 1024], delta2.reshape(-1, 32))  # ∂E/∂β2[k] = Σₙᵢⱼ δ2[n,i,j,k]   (32,)        (86)
        # ∂E/∂γ2[k] = Σₙᵢⱼ δ2[n,i,j,k] x̂2[n,i,j,k] (32,)        (87)
        dgamma2 += np.dot(w.places[: m * 1024], (delta2 * xhat2).reshape(-1, 32))  # (87)

    on_threads(piece, N, 3, w.dW3_sum_windows, g["beta2"], g["gamma2"])
    windows(w.dW3_sum, "k -u+2 -v+2 c -> u v k c", u=3, v=3)[...] = w.dW3_sum_windows  # (83)
    np.add(w.dW3_sum, p["W3"] / 5000, out=g["W3"])                      # (83)

    def piece(s, m, thread, dW1):
        delta2, xhat2, delta1 = w.delta2[s], w.xhat2[s], w.delta1[s]
        a0_padded_2, a0_windows_2 = w.a0_padded_2[thread, :m], w.a0_windows_2[thread, :m]
        # δ1[n,i,j,k] = γ2[k] (1024 N δ2[n,i,j,k] − Σ_mpq δ2[m,p,q,k] − (Σ_mpq δ2[m,p,q,k] x̂2[m,p,q,k]) x̂2[n,i,j,k])/(1024 N √(v2[k] + 1e-5)) (N, 32, 32, 32) (92)
        np.divide(p["gamma2"] * (1024 * N * delta2 - g["gamma2"] * xhat2 - g["beta2"]), 1024 * N * np.sqrt(w.v2 + 1e-05), out=delta1)  # (92)
        # ∂E/∂W1 = Σₙ δ1ₙ ⋆(p=1) a0ₙ + 0.0002 W1 (32, 3, 3, 3) (93)
        a0_padded_2[:, 1:-1, 1:-1] = a0[s]                              # (93)
        np.copyto(a0_windows_2, windows(a0_padded_2, "n i+u j+v c -> n i j u v c", i=32, j=32, u=3, v=3))  # (93)
        dW1.reshape(32, -1)[...] += np.dot(delta1.reshape(-1, 32).T, a0_windows_2.reshape(-1, 27))  # (93)

    on_threads(piece, N, 16, g["W1"])
    g["W1"] += p["W1"] / 5000                                           # (93)


# ---- Running statistics: what evaluation takes for those of the batch ------------------------------
def keep_statistics(p, x, w):
    N = len(x)
    p["mean2"] *= 0.9                                                   # μ̄2 ← 0.9 μ̄2 + 0.1 μ2         (32,)        (95)
    p["mean2"] += w.mu2 / 10                                            # (95)
    p["var2"] *= 0.9                                                    # v̄2 ← 0.9 v̄2 + 102.4 N v2/(1024 N − 1) (32,)        (96)
    p["var2"] += 102.4 * N / (1024 * N - 1) * w.v2                      # (96)
    p["mean4"] *= 0.9                                                   # μ̄4 ← 0.9 μ̄4 + 0.1 μ4         (64,)        (97)
    p["mean4"] += w.mu4 / 10                                            # (97)
    p["var4"] *= 0.9                                                    # v̄4 ← 0.9 v̄4 + 25.6 N v4/(256 N − 1) (64,)        (98)
    p["var4"] += 25.6 * N / (256 * N - 1) * w.v4                        # (98)
    p["mean6"] *= 0.9                                                   # μ̄6 ← 0.9 μ̄6 + 0.1 μ6         (64,)        (99)
    p["mean6"] += w.mu6 / 10                                            # (99)
    p["var6"] *= 0.9                                                    # v̄6 ← 0.9 v̄6 + 25.6 N v6/(256 N − 1) (64,)        (100)
    p["var6"] += 25.6 * N / (256 * N - 1) * w.v6                        # (100)
    p["mean8"] *= 0.9                                                   # μ̄8 ← 0.9 μ̄8 + 0.1 μ8         (128,)       (101)
    p["mean8"] += w.mu8 / 10                                            # (101)
    p["var8"] *= 0.9                                                    # v̄8 ← 0.9 v̄8 + 6.4 N v8/(64 N − 1) (128,)       (102)
    p["var8"] += 6.4 * N / (64 * N - 1) * w.v8                          # (102)


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
    # ηₖ = η (cos(π (k − 1)/K) + 1) min(1, k/w)/2 ()           (103)
    eta = LEARNING_RATE * (1 + math.cos(math.pi * (k - 1) / K)) * min(1, k / WARMUP) / 2  # (103)
    vectors = g, m, v, theta

    def part(entries, count, thread):
        g, m, v, theta = (vector[entries] for vector in vectors)
        s = w.s[thread, :count]
        m *= BETA1                                                      # m ← β1 m + (1 − β1) g          (394026,)    (104)
        m += np.multiply(1 - BETA1, g, out=s)                           # (104)
        v *= BETA2                                                      # v ← β2 v + (1 − β2) g ⊙ g      (394026,)    (105)
        np.square(g, out=s)                                             # (105)
        s *= 1 - BETA2                                                  # (105)
        v += s                                                          # (105)
        np.multiply(1 / (1 - BETA2**k), v, out=s)                       # θ ← θ − ηₖ m/((1 − β1^k) (√(v/(1 − β2^k)) + ε)) (394026,)    (106)
        np.sqrt(s, out=s)                                               # (106)
        s += EPSILON                                                    # (106)
        np.divide(m, s, out=s)                                          # (106)
        s *= eta / (1 - BETA1**k)                                       # (106)
        theta -= s                                                      # (106)

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
        delta1, dx = w.delta1[s], w.dx[s]
        dx_windows, dx_padded = w.dx_windows[thread, :m], w.dx_padded[thread, :m]
        # ∂E/∂x = W1ᵀ ∗(p=1) δ1          (N, 32, 32, 3) (94)
        np.dot(delta1.reshape(-1, 32), p["W1"].reshape(32, -1), out=dx_windows.reshape(-1, 27))  # (94)
        dx_padded[...] = 0                                              # (94)
        add_windows(windows(dx_padded, "n p+u q+v c -> n p q u v c", p=32, q=32, u=3, v=3), dx_windows, axes=(3, 4))  # (94)
        np.copyto(dx, dx_padded[:, 1:-1, 1:-1])                         # (94)

    on_threads(piece, N, 16)
    return w.dx.copy()


def masks(N, seed=None):
    """Return by name the random masks, one row a sample, that a step with this seed draws."""
    found = {
        "m2": draw(seed, 0, 0.9, out=np.empty((N, 16, 16, 32), bool)),
        "m6": draw(seed, 1, 0.8, out=np.empty((N, 8, 8, 64), bool)),
        "m8": draw(seed, 2, 0.7, out=np.empty((N, 4, 4, 128), bool)),
        "m9": draw(seed, 3, 0.6, out=np.empty((N, 128), bool)),
    }
    return found


@computing()
def branches(parameters, x, t, seed=None):
    """Return on which side of each kink of the loss every value lies, as one vector of truth values."""
    x, t = prepare(parameters, x, t)
    w = workspace(len(x), x.dtype)
    forward(parameters, x, w, seed)
    sides = [
        w.a9 <= 0,
        first(windows(w.a8, "n 2i+p 2j+q k -> n i j p q k", i=4, j=4, p=2, q=2), w.a8_2, axes=(3, 4)),
        w.a8 <= 0,
        first(windows(w.a6, "n 2i+p 2j+q k -> n i j p q k", i=8, j=8, p=2, q=2), w.a6_2, axes=(3, 4)),
        w.a6 <= 0,
        w.a4 <= 0,
        first(windows(w.a2, "n 2i+p 2j+q k -> n i j p q k", i=16, j=16, p=2, q=2), w.a2_2, axes=(3, 4)),
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
        print("derive train alone does what the spec says of validation_split, augmentation", file=sys.stderr)
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
    parser = argparse.ArgumentParser(description="Train cifar10_cnn_88, and predict with what was trained.")
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
