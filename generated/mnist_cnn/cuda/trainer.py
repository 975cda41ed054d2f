"""mnist_cnn: 28x28x1-26x26x16-11x11x32-64-10, relu, max_pool2d, dropout, softmax; cross_entropy; adam; 56,714 parameters.

two convolutions and two dense layers: 56,714 parameters

Generated from mnist_cnn.toml (sha256 c0a0278e); change the spec, not this file.  Needs CuPy, NumPy and an
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
LEARNING_RATE = 0.001  # as in kernels.cu, which computes with it
BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-08
AT_ONCE = 1024  # samples that are evaluated at a time
GRAPH_STEPS = 16  # steps that one launch of a graph takes
LARGEST = 10816  # entries of a sample in the largest tensor; kernels count them all in 32 bits
WORK = 4488192  # floating-point operations of a sample's matrix products in a step


# ---- Kernels: kernels.cu, and what a step needs around its equations -------------------------------
KERNELS = {  # with the dynamic shared memory of a block, in bytes, where real is float
    "backward_dW1": 0,
    "backward_dW1_parts": 2176,
    "backward_dW2": 0,
    "backward_dW2_parts": 2176,
    "backward_dW3": 2176,
    "backward_dW4": 5248,
    "backward_da1_2": 5248,
    "backward_da2_4": 2176,
    "backward_db1": 0,
    "backward_db1_parts": 1024,
    "backward_db2": 0,
    "backward_db2_parts": 1024,
    "backward_db3": 1024,
    "backward_db4": 1024,
    "backward_delta1": 0,
    "backward_delta1_sum_windows": 0,
    "backward_delta2": 0,
    "backward_delta2_sum_windows": 0,
    "backward_delta3": 8320,
    "backward_delta4": 0,
    "evaluation_a2_3": 0,
    "forward_a1": 5248,
    "forward_a1_2": 0,
    "forward_a2": 6272,
    "forward_a2_3": 0,
    "forward_a3": 8320,
    "forward_a4": 0,
    "forward_m2": 0,
    "forward_z4": 5248,
    "input_gradient_dx": 1024,
    "loss_E": 1024,
    "loss_E_sum": 1024,
    "loss_T": 0,
    "update_theta": 0,
}
REAL = {"float32": "float", "float64": "double"}
STEP = """
// x, t = the rows of the data set for the epoch's step number place[0] (from 0): N rows of the ``size`` of a batch.
extern "C" __global__ void next_batch(real* __restrict__ x, int* __restrict__ t,
                                      const real* __restrict__ all_x, const int* __restrict__ all_t,
                                      const int* __restrict__ order, const int* __restrict__ place, int size, int N)
{
    const int* rows = order + (long long)place[0] * size;
    const long long first = (long long)blockIdx.x * blockDim.x + threadIdx.x, stride = (long long)gridDim.x * blockDim.x;
    for (long long i = first; i < N * 784LL; i += stride) x[i] = all_x[rows[i / 784] * 784LL + i % 784];
    for (long long i = first; i < N * 1LL; i += stride) t[i] = all_t[rows[i]];
}

// What a step leaves behind, in one thread: its loss in the epoch's sum, and the numbers of the step after it.
extern "C" __global__ void next_step(double* total, const double* E, int* place, int* step, unsigned long long* seed, const unsigned long long* seeds, int N)
{
    total[0] += (double)E[0] * N;
    place[0] += 1;
    step[0] += 1;
    seed[0] = seeds[place[0]];
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
    if 8320 // 4 * dtype.itemsize > 48 * 1024:
        steps.max_dynamic_shared_size_bytes = 8320 // 4 * dtype.itemsize
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
    rng = np.random.default_rng(seed)
    vector = np.empty(COUNT, dtype)
    p = views(vector)
    p["W1"][...] = rng.uniform(-1, 1, (16, 3, 3, 1)) * math.sqrt(6 / (9 + 144))    # glorot_uniform
    p["b1"][...] = 0
    p["W2"][...] = rng.uniform(-1, 1, (32, 3, 3, 16)) * math.sqrt(6 / (144 + 288))    # glorot_uniform
    p["b2"][...] = 0
    p["W3"][...] = rng.uniform(-1, 1, (64, 800)) * math.sqrt(6 / (800 + 64))    # glorot_uniform
    p["b3"][...] = 0
    p["W4"][...] = rng.uniform(-1, 1, (10, 64)) * math.sqrt(6 / (64 + 10))    # glorot_uniform
    p["b4"][...] = 0
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
        self.m2 = room("m2", N, 5, 5, 32, dtype=np.uint8)
        self.a1 = room("a1", N, 26, 26, 16)
        self.a1_2 = room("a1_2", N, 13, 13, 16)
        self.a2 = room("a2", N, 11, 11, 32)
        self.a2_2 = room("a2_2", N, 5, 5, 32)
        self.a2_3 = room("a2_3", N, 5, 5, 32)
        self.a3 = room("a3", N, 64)
        self.z4 = room("z4", N, 10)
        self.a4_max = room("a4_max", N)
        self.a4_exp = room("a4_exp", N, 10)
        self.a4_sum = room("a4_sum", N)
        self.a4 = room("a4", N, 10)
        self.T = room("T", N, 10)
        self.E_sum = room("E_sum", dtype=np.float64)
        self.E = room("E", dtype=np.float64)
        self.delta4 = self.z4
        self.delta3 = room("delta3", N, 64)
        self.da2_4 = room("da2_4", N, 800)
        self.delta2_sum_windows = room("delta2_sum_windows", N, 5, 5, 2, 2, 32)
        self.delta2 = room("delta2", N, 11, 11, 32)
        self.dW2_parts = room("dW2_parts", 8, 32, 3, 3, 16)
        self.db2_parts = room("db2_parts", 8, 32)
        self.da1_2 = room("da1_2", N, 13, 13, 16)
        self.delta1_sum_windows = room("delta1_sum_windows", N, 13, 13, 2, 2, 16)
        self.delta1 = room("delta1", N, 26, 26, 16)
        self.dW1_parts = room("dW1_parts", 64, 16, 3, 3, 1)
        self.db1_parts = room("db1_parts", 16, 16)
        if inputs:  # for the gradient with respect to them
            self.dx = room("dx", N, 28, 28, 1)

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


def upload_targets(t, N, dtype):
    """Return targets on the device, labels as int32; what they are is looked at on the host."""
    t = cp.asnumpy(t) if isinstance(t, cp.ndarray) else t
    return cp.asarray(labels_of(t, N), np.int32)


def upload(parameters, x, t=None):
    """Return inputs and targets on the device; raise ValueError for what the network cannot take."""
    dtype = dtype_of(parameters)
    x = cp.ascontiguousarray(cp.asarray(x, dtype))
    require_inputs(x)
    return x, None if t is None else upload_targets(t, len(x), dtype)


def seed_on_device(seed):
    """Return the seed of a step's random numbers where kernels read it."""
    return cp.asarray(np.array(int(seed or 0) % 2**64, np.uint64))


# ---- Forward, in training --------------------------------------------------------------------------
def forward(p, x, w, seed):
    k, N, n = w.k, w.N, np.int32(w.N)
    k.forward_m2(((N * 800 + 4095) // 4096,), (256,), (w.m2, seed, n))                        # a2_3 = (10/7) a2_2 ⊙ m2  (9)
    # z1 = W1 ⋆ a0 + b1; a1 = max(0, z1)  (3) (4)
    k.forward_a1(((N * 676 + 63) // 64,), (256,), (w.a1, x, p["W1"], p["b1"], n), shared_mem=1312 * w.itemsize)  # (3) (4)
    k.forward_a1_2(((N * 2704 + 255) // 256,), (256,), (w.a1_2, w.a1, n))                     # a1_2[n,i,j,k] = max_{u,v<2} a1[n,2i+u,2j+v,k]  (5)
    # z2 = W2 ⋆ a1_2 + b2; a2 = max(0, z2)  (6) (7)
    k.forward_a2(((N * 121 + 63) // 64,), (256,), (w.a2, w.a1_2, p["W2"], p["b2"], n), shared_mem=1568 * w.itemsize)  # (6) (7)
    k.forward_a2_3(((N * 800 + 255) // 256,), (256,), (w.a2_2, w.a2_3, w.a2, w.m2, n))        # a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]; a2_3 = (10/7) a2_2 ⊙ m2  (8) (9)
    # z3 = W3 a2_4 + b3; a3 = max(0, z3)  (12) (13)
    k.forward_a3(((N + 63) // 64,), (256,), (w.a3, w.a2_3, p["W3"], p["b3"], n), shared_mem=2080 * w.itemsize)  # (12) (13)
    # z4 = W4 a3 + b4  (14)
    k.forward_z4(((N + 63) // 64,), (256,), (w.z4, w.a3, p["W4"], p["b4"], n), shared_mem=1312 * w.itemsize)  # (14)
    k.forward_a4(((N + 255) // 256,), (256,), (w.a4_max, w.a4_exp, w.a4_sum, w.a4, w.z4, n))  # a4 = softmax(z4)  (15)
    return w.a4


# ---- Forward, in evaluation ------------------------------------------------------------------------
def evaluate(p, x, w):
    k, N, n = w.k, w.N, np.int32(w.N)
    # z1 = W1 ⋆ a0 + b1; a1 = max(0, z1)  (3) (4)
    k.forward_a1(((N * 676 + 63) // 64,), (256,), (w.a1, x, p["W1"], p["b1"], n), shared_mem=1312 * w.itemsize)  # (3) (4)
    k.forward_a1_2(((N * 2704 + 255) // 256,), (256,), (w.a1_2, w.a1, n))                     # a1_2[n,i,j,k] = max_{u,v<2} a1[n,2i+u,2j+v,k]  (5)
    # z2 = W2 ⋆ a1_2 + b2; a2 = max(0, z2)  (6) (7)
    k.forward_a2(((N * 121 + 63) // 64,), (256,), (w.a2, w.a1_2, p["W2"], p["b2"], n), shared_mem=1568 * w.itemsize)  # (6) (7)
    k.evaluation_a2_3(((N * 800 + 255) // 256,), (256,), (w.a2_2, w.a2_3, w.a2, n))           # a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]; a2_3 = a2_2  (8) (10)
    # z3 = W3 a2_4 + b3; a3 = max(0, z3)  (12) (13)
    k.forward_a3(((N + 63) // 64,), (256,), (w.a3, w.a2_3, p["W3"], p["b3"], n), shared_mem=2080 * w.itemsize)  # (12) (13)
    # z4 = W4 a3 + b4  (14)
    k.forward_z4(((N + 63) // 64,), (256,), (w.z4, w.a3, p["W4"], p["b4"], n), shared_mem=1312 * w.itemsize)  # (14)
    k.forward_a4(((N + 255) // 256,), (256,), (w.a4_max, w.a4_exp, w.a4_sum, w.a4, w.z4, n))  # a4 = softmax(z4)  (15)
    return w.a4


# ---- Loss ------------------------------------------------------------------------------------------
def error(p, t, w):
    k, N, n = w.k, w.N, np.int32(w.N)
    k.loss_T(((N * 10 + 255) // 256,), (256,), (w.T, t, n))                                   # T = onehot(t)  (1)
    k.loss_E_sum((1,), (256,), (w.E_sum, w.a4_sum, n), shared_mem=256 * w.itemsize)           # E = −(1/N) Σₙ Tₙᵀ log(a4ₙ)  (16)
    k.loss_E((1,), (256,), (w.E, w.T, w.a4_max, w.z4, w.E_sum, n), shared_mem=256 * w.itemsize)  # (16)
    return w.E


# ---- Backward: delta_l = dE/dz_l, and the gradient of every parameter ------------------------------
def backward(p, x, t, w, g):
    k, N, n = w.k, w.N, np.int32(w.N)
    k.backward_delta4(((N * 10 + 255) // 256,), (256,), (w.delta4, w.a4, w.T, n))             # δ4 = (a4 − T)/N  (17)
    k.backward_dW4((1,), (256,), (g["W4"], w.delta4, w.a3, n), shared_mem=1312 * w.itemsize)  # ∂E/∂W4 = Σₙ δ4ₙ a3ₙᵀ  (18)
    k.backward_db4((1,), (256,), (g["b4"], w.delta4, n), shared_mem=256 * w.itemsize)         # ∂E/∂b4 = Σₙ δ4ₙ  (19)
    # δ3 = (W4ᵀ δ4) ⊙ [a3 > 0]  (20)
    k.backward_delta3(((N + 63) // 64,), (256,), (w.delta3, w.delta4, p["W4"], w.a3, n), shared_mem=2080 * w.itemsize)  # (20)
    # ∂E/∂W3 = Σₙ δ3ₙ a2_4ₙᵀ  (21)
    k.backward_dW3((4 * 50,), (256,), (g["W3"], w.delta3, w.a2_3, n), shared_mem=544 * w.itemsize)  # (21)
    k.backward_db3((2,), (256,), (g["b3"], w.delta3, n), shared_mem=256 * w.itemsize)         # ∂E/∂b3 = Σₙ δ3ₙ  (22)
    # ∂E/∂a2_4 = W3ᵀ δ3  (23)
    k.backward_da2_4((((N + 15) // 16) * 50,), (256,), (w.da2_4, w.delta3, p["W3"], n), shared_mem=544 * w.itemsize)  # (23)
    # δ2[n,p,q,k] = (10/7) (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_3[n,i,j,k] m2[n,i,j,k]) [a2[n,p,q,k] > 0]  (25)
    k.backward_delta2_sum_windows(((N * 3200 + 255) // 256,), (256,), (w.delta2_sum_windows, w.a2_2, w.a2, w.da2_4, w.m2, n))  # (25)
    k.backward_delta2(((N * 3872 + 255) // 256,), (256,), (w.delta2, w.delta2_sum_windows, w.a2, n))  # (25)
    # ∂E/∂W2 = Σₙ δ2ₙ ⋆ a1_2ₙ  (26)
    k.backward_dW2_parts((2 * 9 * 8,), (256,), (w.dW2_parts, w.delta2, w.a1_2, n), shared_mem=544 * w.itemsize)  # (26)
    k.backward_dW2((18,), (256,), (g["W2"], w.dW2_parts))                                     # (26)
    # ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]  (27)
    k.backward_db2_parts((8 * (1),), (256,), (w.db2_parts, w.delta2, n), shared_mem=256 * w.itemsize)  # (27)
    k.backward_db2((1,), (256,), (g["b2"], w.db2_parts))                                      # (27)
    # ∂E/∂a1_2 = W2ᵀ ∗ δ2  (28)
    k.backward_da1_2(((N * 169 + 63) // 64,), (256,), (w.da1_2, w.delta2, p["W2"], n), shared_mem=1312 * w.itemsize)  # (28)
    # δ1[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a1[n,2i+u,2j+v,k]] ∂E/∂a1_2[n,i,j,k]) [a1[n,p,q,k] > 0]  (29)
    k.backward_delta1_sum_windows(((N * 10816 + 255) // 256,), (256,), (w.delta1_sum_windows, w.a1_2, w.a1, w.da1_2, n))  # (29)
    k.backward_delta1(((N * 10816 + 255) // 256,), (256,), (w.delta1, w.delta1_sum_windows, w.a1, n))  # (29)
    # ∂E/∂W1 = Σₙ δ1ₙ ⋆ a0ₙ  (30)
    k.backward_dW1_parts((64,), (256,), (w.dW1_parts, w.delta1, x, n), shared_mem=544 * w.itemsize)  # (30)
    k.backward_dW1((1,), (256,), (g["W1"], w.dW1_parts))                                      # (30)
    # ∂E/∂b1[k] = Σₙᵢⱼ δ1[n,i,j,k]  (31)
    k.backward_db1_parts((16 * (1),), (256,), (w.db1_parts, w.delta1, n), shared_mem=256 * w.itemsize)  # (31)
    k.backward_db1((1,), (256,), (g["b1"], w.db1_parts))                                      # (31)


# ---- Update: over all parameters as one vector -----------------------------------------------------
def init_optimizer(parameters):
    """Return the optimizer's state before the first step, all of it on the device."""
    dtype = next(iter(parameters.values())).dtype
    return {
        "step": cp.zeros((), np.int32),                  # k: how many steps were taken; without a seed, that of the next masks
        "m": cp.zeros(COUNT, dtype),
        "v": cp.zeros(COUNT, dtype),
    }


def descend(theta, g, state, w):
    k = w.k
    k.update_theta((222,), (256,), (state["m"], state["v"], theta, g, state["step"]))         # m ← β1 m + (1 − β1) g; v ← β2 v + (1 − β2) g ⊙ g; θ ← θ − η m/((1 − β1^k) (√(v/(1 − β2^k)) + ε))  (33) (34) (35)


# ---- What a user of this module calls, from any number of threads at once --------------------------
def predict(parameters, x):
    """Return the outputs, (N, 10), for inputs (N, 28, 28, 1)."""
    p, (all_x, _) = parameters, upload(parameters, x)
    outputs = cp.empty((len(all_x), *OUTPUT), all_x.dtype)
    for s in parts(len(all_x)):
        x = all_x[s]
        w = workspace(len(x), x.dtype)
        outputs[s] = evaluate(p, x, w)
        give_back(w)
    return outputs


def loss(parameters, x, t, seed=None):
    """Return the loss of a batch, in training mode."""
    p, (x, t) = parameters, upload(parameters, x, t)
    w = workspace(len(x), x.dtype)
    seed = seed_on_device(seed)
    forward(p, x, w, seed)
    E = error(p, t, w).item()
    give_back(w)
    return E


def evaluation_loss(parameters, x, t):
    """Return the loss of a batch, in evaluation mode."""
    p, (all_x, all_t), total = parameters, upload(parameters, x, t), 0.0
    for s in parts(len(all_x)):
        x, t = all_x[s], all_t[s]
        w = workspace(len(x), x.dtype)
        evaluate(p, x, w)
        total += error(p, t, w).item() * len(x)
        give_back(w)
    return total / len(all_x)


def loss_and_gradients(parameters, x, t, seed=None):
    """Return the loss of a batch and its gradient by parameter; changes nothing."""
    p, (x, t) = parameters, upload(parameters, x, t)
    w, g = workspace(len(x), x.dtype), views(cp.empty(COUNT, x.dtype))
    seed = seed_on_device(seed)
    forward(p, x, w, seed)
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
    seed = seed_on_device(seed)
    forward(p, x, w, seed)
    error(p, t, w)
    backward(p, x, t, w, g)
    k, N, n = w.k, w.N, np.int32(w.N)
    # ∂E/∂x = W1ᵀ ∗ δ1  (32)
    k.input_gradient_dx(((N * 784 + 7) // 8,), (256,), (w.dx, p["W1"], w.delta1, n), shared_mem=256 * w.itemsize)  # (32)
    return w.dx.copy()


def masks(N, seed=None):
    """Return by name the random masks, one row a sample, that a step with this seed draws."""
    k, n, seed = kernels(np.dtype(np.float32)), np.int32(N), seed_on_device(seed)
    w = types.SimpleNamespace(
        itemsize=4,
        m2=cp.empty((N, 5, 5, 32), np.uint8),
    )
    k.forward_m2(((N * 800 + 4095) // 4096,), (256,), (w.m2, seed, n))                        # a2_3 = (10/7) a2_2 ⊙ m2  (9)
    return {"m2": w.m2.astype(bool)}


def update(parameters, gradients, state):
    """Change the parameters and the optimizer's state in place by one step."""
    dtype_of(parameters)
    dtype_of(gradients, PARAMETERS, "gradients")
    theta, g = flat(parameters), flat(gradients)
    own = theta is None or g is None
    if own:
        theta, g = joined(parameters), joined(gradients)
    state["step"] += 1
    w = workspace(0, theta.dtype)
    descend(theta, g, state, w)
    give_back(w)
    if own:
        for name, values in views(theta).items():
            parameters[name][...] = values


def train_step(parameters, x, t, state, seed=None):
    """Take one whole step on a batch, in place; return the loss before it.  Without a seed, its number is the masks'."""
    return step_on_device(parameters, *upload(parameters, x, t), state, seed)


def step_on_device(p, x, t, state, seed=None):
    """Take a step on inputs and targets that `upload` gave, or on some of their samples."""
    w = workspace(len(x), x.dtype)
    g = w.g
    seed = state["step"].astype(np.uint64) if seed is None else seed_on_device(seed)
    forward(p, x, w, seed)
    E = error(p, t, w)
    backward(p, x, t, w, g)
    if not all(map(operator.is_, p.values(), w.parts)):
        w.parts, w.theta = tuple(p.values()), flat(p)
    if w.theta is not None:
        state["step"] += 1
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
        self.seeds, self.seed = cp.empty(self.whole + 2, np.uint64), cp.empty((), np.uint64)
        self.total = cp.empty((), np.float64)
        self.batch, whole = {}, Workspace(self.size, dtype)
        for N in {self.size, self.rest} - {0}:
            x, t = cp.empty((N, *INPUT), dtype), cp.empty(N, self.t.dtype)
            self.batch[N] = x, t, whole if N == self.size else whole.part(N)
        self.stream = cp.cuda.Stream(non_blocking=True)

    def begin(self, rng):
        """Put an epoch's random numbers on the device: the order of its samples and the seeds of its steps."""
        self.order[...] = cp.asarray(rng.permutation(len(self.x)).astype(np.int32))
        seeds = [rng.integers(2**63) for _ in range(self.whole + (self.rest > 0))]
        self.seeds[: len(seeds)] = cp.asarray(np.array(seeds, np.uint64))
        self.seed[...] = self.seeds[0]
        self.place.fill(0)
        self.total.fill(0)

    def step(self, N):
        """Launch the kernels of the epoch's next step, on N samples; nothing is waited for."""
        p, (x, t, w) = self.p, self.batch[N]
        k, n, g = w.k, np.int32(N), w.g
        seed = self.seed
        blocks = min(-(-x.size // 256), 1024)
        k.next_batch((blocks,), (256,), (x, t, self.x, self.t, self.order, self.place, np.int32(self.size), n))
        forward(p, x, w, seed)
        E = error(p, t, w)
        backward(p, x, t, w, g)
        k.next_step((1,), (1,), (self.total, E, self.place, self.state["step"], seed, self.seeds, n))
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
        state = training.state
        seed = training.seed
        arrays = [
            w.m2,
            seed,
            w.a1,
            x,
            p["W1"],
            p["b1"],
            w.a1_2,
            w.a2,
            p["W2"],
            p["b2"],
            w.a2_2,
            w.a2_3,
            w.a3,
            p["W3"],
            p["b3"],
            w.z4,
            p["W4"],
            p["b4"],
            w.a4_max,
            w.a4_exp,
            w.a4_sum,
            w.a4,
            w.T,
            t,
            w.E_sum,
            w.E,
            w.delta4,
            w.g["W4"],
            w.g["b4"],
            w.delta3,
            w.g["W3"],
            w.g["b3"],
            w.da2_4,
            w.delta2_sum_windows,
            w.delta2,
            w.dW2_parts,
            w.g["W2"],
            w.db2_parts,
            w.g["b2"],
            w.da1_2,
            w.delta1_sum_windows,
            w.delta1,
            w.dW1_parts,
            w.g["W1"],
            w.db1_parts,
            w.g["b1"],
            state["m"],
            state["v"],
            training.theta,
            w.gradient,
            state["step"],
        ]
        self.memory = cp.asarray(np.array([a.data.ptr for a in arrays], np.uint64))
        self.barrier = cp.zeros((), np.uint32)
        self.seeds = training.seeds
        self.blocks = cp.cuda.Device().attributes["MultiProcessorCount"]

    def run(self, steps):
        """Take so many steps on whole batches, from the epoch's first."""
        if steps:
            each, shared = self.training, 8320 // 4 * self.training.x.dtype.itemsize
            given = (self.memory, each.x, each.t, each.order, self.seeds, each.total, self.barrier)
            sizes = (np.int32(steps), np.int32(each.size))
            persistent_kernel(each.x.dtype)((self.blocks,), (256,), (*given, *sizes), shared_mem=shared)
            each.place.fill(steps)
            each.seed[...] = each.seeds[steps]


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
        losses = train(parameters, x, t, arguments.epochs, seed=arguments.seed, mode=arguments.mode)
        for epoch, mean in enumerate(losses, 1):
            if not math.isfinite(mean):
                raise ArithmeticError(f"epoch {epoch}: the loss is {mean}, parameters are not saved; lower the learning rate")
            line = f"epoch {epoch}: loss {mean:.4f}"
            for test in tests:
                line += f", test loss {evaluation_loss(parameters, *test):.4f}"
                right = cp.asnumpy(predict(parameters, test[0])).argmax(axis=1) == test[1]
                line += f", test accuracy {right.mean():.2%}"
            print(line, flush=True)
            if arguments.save:
                save(parameters, arguments.save)
    if arguments.predict:
        arrays = arrays_of(arguments.predict, fault=DataFault)
        (x,) = inputs_of(arrays, arguments.predict, "x_test" if "x_test" in arrays and "x" not in arrays else "x")
        y = cp.asnumpy(predict(parameters, x))
        write_arrays(arguments.output, {"y": y, "label": y.argmax(axis=1)})


def main():
    parser = argparse.ArgumentParser(description="Train mnist_cnn on a GPU, and predict with what was trained.")
    parser.add_argument("--data", metavar="F.npz", help="train on x_train and t_train (or y_train); test on x_test and t_test (or y_test), if any")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mode", choices=MODES, help="how steps are launched [default: by their work]")
    parser.add_argument("--load", metavar="W.npz", help="begin with the parameters that --save wrote")
    parser.add_argument("--save", metavar="W.npz", help="write the parameters after every epoch")
    parser.add_argument("--predict", metavar="F.npz", help="write the outputs for x (or x_test) of this file, as y and label, to the file of -o")
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
