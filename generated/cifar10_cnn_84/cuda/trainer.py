"""cifar10_cnn_84: 32x32x3-…-10 (10 layers), relu, max_pool2d, dropout, softmax; cross_entropy; adam; 394,026 parameters.

blocks of 32, 64 and 128 channels, batch normalization, weight decay: 394,026 parameters

Generated from cifar10_cnn_84.toml (sha256 91220e56); change the spec, not this file.  Needs CuPy, NumPy and an
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
SPEC = "91220e5685873e24692f5ca592f0bdaed8de73504023ed2fe7e73e5aa9c166ec"
COUNT = 394026
INPUT, OUTPUT = (32, 32, 3), (10,)
BATCH_SIZE, EPOCHS = 128, 24
LEARNING_RATE = 0.002  # as in kernels.cu, which computes with it
BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-08
WARMUP = 500
AT_ONCE = 128  # samples that are evaluated at a time
GRAPH_STEPS = 16  # steps that one launch of a graph takes
LARGEST = 32768  # entries of a sample in the largest tensor; kernels count them all in 32 bits
WORK = 118365696  # floating-point operations of a sample's matrix products in a step


# ---- Kernels: kernels.cu, and what a step needs around its equations -------------------------------
KERNELS = {  # with the dynamic shared memory of a block, in bytes, where real is float
    "backward_dW1": 0,
    "backward_dW10": 5248,
    "backward_dW1_parts": 4224,
    "backward_dW3": 0,
    "backward_dW3_parts": 8320,
    "backward_dW5": 0,
    "backward_dW5_parts": 8320,
    "backward_dW7": 0,
    "backward_dW7_parts": 8320,
    "backward_dW9": 8320,
    "backward_da2_2": 6272,
    "backward_da6_2": 0,
    "backward_da6_2_parts": 8320,
    "backward_da8_4": 6272,
    "backward_db10": 1024,
    "backward_db9": 1024,
    "backward_dbeta2": 0,
    "backward_dbeta2_parts": 1024,
    "backward_dbeta4": 0,
    "backward_dbeta4_parts": 1024,
    "backward_dbeta6": 0,
    "backward_dbeta6_parts": 1024,
    "backward_dbeta8": 0,
    "backward_dbeta8_parts": 1024,
    "backward_delta1": 0,
    "backward_delta10": 0,
    "backward_delta2": 0,
    "backward_delta2_sum_windows": 0,
    "backward_delta3": 0,
    "backward_delta4": 8320,
    "backward_delta5": 0,
    "backward_delta6": 0,
    "backward_delta6_sum_windows": 0,
    "backward_delta7": 0,
    "backward_delta8": 0,
    "backward_delta8_sum_windows": 0,
    "backward_delta9": 8320,
    "backward_dgamma2": 0,
    "backward_dgamma2_parts": 1024,
    "backward_dgamma4": 0,
    "backward_dgamma4_parts": 1024,
    "backward_dgamma6": 0,
    "backward_dgamma6_parts": 1024,
    "backward_dgamma8": 0,
    "backward_dgamma8_parts": 1024,
    "evaluation_a2": 6272,
    "evaluation_a2_3": 0,
    "evaluation_a4": 8320,
    "evaluation_a6": 8320,
    "evaluation_a6_3": 0,
    "evaluation_a8": 8320,
    "evaluation_a8_3": 0,
    "evaluation_a9_2": 0,
    "forward_a10": 0,
    "forward_a2": 0,
    "forward_a2_3": 0,
    "forward_a4": 0,
    "forward_a6": 0,
    "forward_a6_3": 0,
    "forward_a8": 0,
    "forward_a8_3": 0,
    "forward_a9_2": 0,
    "forward_m2": 0,
    "forward_m6": 0,
    "forward_m8": 0,
    "forward_m9": 0,
    "forward_mu2": 0,
    "forward_mu2_parts": 1024,
    "forward_mu4": 0,
    "forward_mu4_parts": 1024,
    "forward_mu6": 0,
    "forward_mu6_parts": 1024,
    "forward_mu8": 0,
    "forward_mu8_parts": 1024,
    "forward_v2": 0,
    "forward_v2_parts": 1024,
    "forward_v4": 0,
    "forward_v4_parts": 1024,
    "forward_v6": 0,
    "forward_v6_parts": 1024,
    "forward_v8": 0,
    "forward_v8_parts": 1024,
    "forward_z1": 6272,
    "forward_z10": 5248,
    "forward_z3": 8320,
    "forward_z5": 8320,
    "forward_z7": 8320,
    "forward_z9_parts": 2176,
    "input_gradient_dx": 2176,
    "loss_E": 1024,
    "loss_E_sum": 0,
    "loss_E_sum_2": 0,
    "loss_E_sum_2_parts": 1024,
    "loss_E_sum_3": 1024,
    "loss_E_sum_4": 0,
    "loss_E_sum_4_parts": 1024,
    "loss_E_sum_5": 0,
    "loss_E_sum_5_parts": 1024,
    "loss_E_sum_6": 0,
    "loss_E_sum_6_parts": 1024,
    "loss_E_sum_7": 1024,
    "loss_E_sum_parts": 1024,
    "loss_T": 0,
    "statistics_var2": 0,
    "statistics_var6": 0,
    "statistics_var8": 0,
    "update_eta": 0,
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
    for (long long i = first; i < N * 3072LL; i += stride) x[i] = all_x[rows[i / 3072] * 3072LL + i % 3072];
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
    p = views(cp.asarray(vector))
    p["mean2"] = cp.zeros((32,), dtype)
    p["var2"] = cp.ones((32,), dtype)
    p["mean4"] = cp.zeros((64,), dtype)
    p["var4"] = cp.ones((64,), dtype)
    p["mean6"] = cp.zeros((64,), dtype)
    p["var6"] = cp.ones((64,), dtype)
    p["mean8"] = cp.zeros((128,), dtype)
    p["var8"] = cp.ones((128,), dtype)
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
        self.m2 = room("m2", N, 16, 16, 32, dtype=np.uint8)
        self.m6 = room("m6", N, 8, 8, 64, dtype=np.uint8)
        self.m8 = room("m8", N, 4, 4, 128, dtype=np.uint8)
        self.m9 = room("m9", N, 128, dtype=np.uint8)
        self.z1 = room("z1", N, 32, 32, 32)
        self.mu2_parts = room("mu2_parts", 8, 32)
        self.mu2 = room("mu2", 32)
        self.v2_parts = room("v2_parts", 8, 32)
        self.v2 = room("v2", 32)
        self.xhat2 = room("xhat2", N, 32, 32, 32)
        self.a2 = room("a2", N, 32, 32, 32)
        self.a2_2 = room("a2_2", N, 16, 16, 32)
        self.a2_3 = room("a2_3", N, 16, 16, 32)
        self.z3 = room("z3", N, 16, 16, 64)
        self.mu4_parts = room("mu4_parts", 4, 64)
        self.mu4 = room("mu4", 64)
        self.v4_parts = room("v4_parts", 4, 64)
        self.v4 = room("v4", 64)
        self.xhat4 = room("xhat4", N, 16, 16, 64)
        self.a4 = room("a4", N, 16, 16, 64)
        self.z5 = room("z5", N, 16, 16, 64)
        self.mu6_parts = room("mu6_parts", 4, 64)
        self.mu6 = room("mu6", 64)
        self.v6_parts = room("v6_parts", 4, 64)
        self.v6 = room("v6", 64)
        self.xhat6 = room("xhat6", N, 16, 16, 64)
        self.a6 = room("a6", N, 16, 16, 64)
        self.a6_2 = room("a6_2", N, 8, 8, 64)
        self.a6_3 = room("a6_3", N, 8, 8, 64)
        self.z7 = room("z7", N, 8, 8, 128)
        self.mu8_parts = room("mu8_parts", 2, 128)
        self.mu8 = room("mu8", 128)
        self.v8_parts = room("v8_parts", 2, 128)
        self.v8 = room("v8", 128)
        self.xhat8 = room("xhat8", N, 8, 8, 128)
        self.a8 = room("a8", N, 8, 8, 128)
        self.a8_2 = room("a8_2", N, 4, 4, 128)
        self.a8_3 = room("a8_3", N, 4, 4, 128)
        self.z9_parts = room("z9_parts", 4, N, 128)
        self.a9 = room("a9", N, 128)
        self.a9_2 = room("a9_2", N, 128)
        self.z10 = room("z10", N, 10)
        self.a10_max = room("a10_max", N)
        self.a10_exp = room("a10_exp", N, 10)
        self.a10_sum = room("a10_sum", N)
        self.a10 = room("a10", N, 10)
        self.T = room("T", N, 10)
        self.E_sum_parts = room("E_sum_parts", 2)
        self.E_sum = room("E_sum", dtype=np.float64)
        self.E_sum_2_parts = room("E_sum_2_parts", 256)
        self.E_sum_2 = room("E_sum_2", dtype=np.float64)
        self.E_sum_3 = room("E_sum_3", dtype=np.float64)
        self.E_sum_4_parts = room("E_sum_4_parts", 32)
        self.E_sum_4 = room("E_sum_4", dtype=np.float64)
        self.E_sum_5_parts = room("E_sum_5_parts", 64)
        self.E_sum_5 = room("E_sum_5", dtype=np.float64)
        self.E_sum_6_parts = room("E_sum_6_parts", 128)
        self.E_sum_6 = room("E_sum_6", dtype=np.float64)
        self.E_sum_7 = room("E_sum_7", dtype=np.float64)
        self.E = room("E", dtype=np.float64)
        self.delta10 = self.z10
        self.delta9 = self.a9_2
        self.da8_4 = room("da8_4", N, 2048)
        self.delta8_sum_windows = room("delta8_sum_windows", N, 4, 4, 2, 2, 128)
        self.delta8 = self.z7
        self.dbeta8_parts = self.v8_parts
        self.dgamma8_parts = self.v8_parts
        self.delta7 = self.a8
        self.dW7_parts = room("dW7_parts", 8, 128, 3, 3, 64)
        self.da6_2_parts = room("da6_2_parts", 2, N, 8, 8, 64)
        self.da6_2 = self.a6_3
        self.delta6_sum_windows = room("delta6_sum_windows", N, 8, 8, 2, 2, 64)
        self.delta6 = self.z5
        self.dbeta6_parts = self.v6_parts
        self.dgamma6_parts = self.v6_parts
        self.delta5 = self.a6
        self.dW5_parts = room("dW5_parts", 32, 64, 3, 3, 64)
        self.delta4 = self.xhat6
        self.dbeta4_parts = self.v6_parts
        self.dgamma4_parts = self.v6_parts
        self.delta3 = self.a6
        self.dW3_parts = room("dW3_parts", 32, 64, 3, 3, 32)
        self.da2_2 = self.a2_3
        self.delta2_sum_windows = room("delta2_sum_windows", N, 16, 16, 2, 2, 32)
        self.delta2 = self.z1
        self.dbeta2_parts = self.v2_parts
        self.dgamma2_parts = self.v2_parts
        self.delta1 = self.a2
        self.dW1_parts = room("dW1_parts", 128, 32, 3, 3, 3)
        if inputs:  # for the gradient with respect to them
            self.dx = room("dx", N, 32, 32, 3)

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
    k.forward_m2(((N * 8192 + 4095) // 4096,), (256,), (w.m2, seed, n))                       # a2_3 = (10/9) a2_2 ⊙ m2  (11)
    k.forward_m6(((N * 4096 + 4095) // 4096,), (256,), (w.m6, seed, n))                       # a6_3 = (5/4) a6_2 ⊙ m6  (28)
    k.forward_m8(((N * 2048 + 4095) // 4096,), (256,), (w.m8, seed, n))                       # a8_3 = (10/7) a8_2 ⊙ m8  (38)
    k.forward_m9(((N * 128 + 4095) // 4096,), (256,), (w.m9, seed, n))                        # a9_2 = (5/3) a9 ⊙ m9  (43)
    # z1 = W1 ⋆(p=1) a0  (3)
    k.forward_z1(((N * 1024 + 63) // 64,), (256,), (w.z1, x, p["W1"], n), shared_mem=1568 * w.itemsize)  # (3)
    # μ2[k] = (1/(1024 N)) Σₙᵢⱼ z1[n,i,j,k]  (4)
    k.forward_mu2_parts((8 * (1),), (256,), (w.mu2_parts, w.z1, n), shared_mem=256 * w.itemsize)  # (4)
    k.forward_mu2((1,), (256,), (w.mu2, w.mu2_parts, n))                                      # (4)
    # v2[k] = (1/(1024 N)) Σₙᵢⱼ (z1[n,i,j,k] − μ2[k])²  (5)
    k.forward_v2_parts((8 * (1),), (256,), (w.v2_parts, w.z1, w.mu2, n), shared_mem=256 * w.itemsize)  # (5)
    k.forward_v2((1,), (256,), (w.v2, w.v2_parts, n))                                         # (5)
    # x̂2[n,i,j,k] = (z1[n,i,j,k] − μ2[k])/√(v2[k] + 1e-5); z2[n,i,j,k] = γ2[k] x̂2[n,i,j,k] + β2[k]; a2 = max(0, z2)  (6) (7) (9)
    k.forward_a2(((N * 32768 + 255) // 256,), (256,), (w.xhat2, w.a2, w.z1, w.mu2, w.v2, p["gamma2"], p["beta2"], n))  # (6) (7) (9)
    k.forward_a2_3(((N * 8192 + 255) // 256,), (256,), (w.a2_2, w.a2_3, w.a2, w.m2, n))       # a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]; a2_3 = (10/9) a2_2 ⊙ m2  (10) (11)
    # z3 = W3 ⋆(p=1) a2_3  (13)
    k.forward_z3(((N * 256 + 63) // 64,), (256,), (w.z3, w.a2_3, p["W3"], n), shared_mem=2080 * w.itemsize)  # (13)
    # μ4[k] = (1/(256 N)) Σₙᵢⱼ z3[n,i,j,k]  (14)
    k.forward_mu4_parts((4 * (2),), (256,), (w.mu4_parts, w.z3, n), shared_mem=256 * w.itemsize)  # (14)
    k.forward_mu4((1,), (256,), (w.mu4, w.mu4_parts, n))                                      # (14)
    # v4[k] = (1/(256 N)) Σₙᵢⱼ (z3[n,i,j,k] − μ4[k])²  (15)
    k.forward_v4_parts((4 * (2),), (256,), (w.v4_parts, w.z3, w.mu4, n), shared_mem=256 * w.itemsize)  # (15)
    k.forward_v4((1,), (256,), (w.v4, w.v4_parts, n))                                         # (15)
    # x̂4[n,i,j,k] = (z3[n,i,j,k] − μ4[k])/√(v4[k] + 1e-5); z4[n,i,j,k] = γ4[k] x̂4[n,i,j,k] + β4[k]; a4 = max(0, z4)  (16) (17) (19)
    k.forward_a4(((N * 16384 + 255) // 256,), (256,), (w.xhat4, w.a4, w.z3, w.mu4, w.v4, p["gamma4"], p["beta4"], n))  # (16) (17) (19)
    # z5 = W5 ⋆(p=1) a4  (20)
    k.forward_z5(((N * 256 + 63) // 64,), (256,), (w.z5, w.a4, p["W5"], n), shared_mem=2080 * w.itemsize)  # (20)
    # μ6[k] = (1/(256 N)) Σₙᵢⱼ z5[n,i,j,k]  (21)
    k.forward_mu6_parts((4 * (2),), (256,), (w.mu6_parts, w.z5, n), shared_mem=256 * w.itemsize)  # (21)
    k.forward_mu6((1,), (256,), (w.mu6, w.mu6_parts, n))                                      # (21)
    # v6[k] = (1/(256 N)) Σₙᵢⱼ (z5[n,i,j,k] − μ6[k])²  (22)
    k.forward_v6_parts((4 * (2),), (256,), (w.v6_parts, w.z5, w.mu6, n), shared_mem=256 * w.itemsize)  # (22)
    k.forward_v6((1,), (256,), (w.v6, w.v6_parts, n))                                         # (22)
    # x̂6[n,i,j,k] = (z5[n,i,j,k] − μ6[k])/√(v6[k] + 1e-5); z6[n,i,j,k] = γ6[k] x̂6[n,i,j,k] + β6[k]; a6 = max(0, z6)  (23) (24) (26)
    k.forward_a6(((N * 16384 + 255) // 256,), (256,), (w.xhat6, w.a6, w.z5, w.mu6, w.v6, p["gamma6"], p["beta6"], n))  # (23) (24) (26)
    k.forward_a6_3(((N * 4096 + 255) // 256,), (256,), (w.a6_2, w.a6_3, w.a6, w.m6, n))       # a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k]; a6_3 = (5/4) a6_2 ⊙ m6  (27) (28)
    # z7 = W7 ⋆(p=1) a6_3  (30)
    k.forward_z7((((N * 64 + 63) // 64) * 2,), (256,), (w.z7, w.a6_3, p["W7"], n), shared_mem=2080 * w.itemsize)  # (30)
    # μ8[k] = (1/(64 N)) Σₙᵢⱼ z7[n,i,j,k]  (31)
    k.forward_mu8_parts((2 * (4),), (256,), (w.mu8_parts, w.z7, n), shared_mem=256 * w.itemsize)  # (31)
    k.forward_mu8((1,), (256,), (w.mu8, w.mu8_parts, n))                                      # (31)
    # v8[k] = (1/(64 N)) Σₙᵢⱼ (z7[n,i,j,k] − μ8[k])²  (32)
    k.forward_v8_parts((2 * (4),), (256,), (w.v8_parts, w.z7, w.mu8, n), shared_mem=256 * w.itemsize)  # (32)
    k.forward_v8((1,), (256,), (w.v8, w.v8_parts, n))                                         # (32)
    # x̂8[n,i,j,k] = (z7[n,i,j,k] − μ8[k])/√(v8[k] + 1e-5); z8[n,i,j,k] = γ8[k] x̂8[n,i,j,k] + β8[k]; a8 = max(0, z8)  (33) (34) (36)
    k.forward_a8(((N * 8192 + 255) // 256,), (256,), (w.xhat8, w.a8, w.z7, w.mu8, w.v8, p["gamma8"], p["beta8"], n))  # (33) (34) (36)
    k.forward_a8_3(((N * 2048 + 255) // 256,), (256,), (w.a8_2, w.a8_3, w.a8, w.m8, n))       # a8_2[n,i,j,k] = max_{u,v<2} a8[n,2i+u,2j+v,k]; a8_3 = (10/7) a8_2 ⊙ m8  (37) (38)
    # z9 = W9 a8_4 + b9  (41)
    k.forward_z9_parts((((N + 15) // 16) * 8 * 4,), (256,), (w.z9_parts, w.a8_3, p["W9"], n), shared_mem=544 * w.itemsize)  # (41)
    # z9 = W9 a8_4 + b9; a9 = max(0, z9); a9_2 = (5/3) a9 ⊙ m9  (41) (42) (43)
    k.forward_a9_2(((N * 128 + 255) // 256,), (256,), (w.a9, w.a9_2, w.z9_parts, p["b9"], w.m9, n))  # (41) (42) (43)
    # z10 = W10 a9_2 + b10  (45)
    k.forward_z10(((N + 63) // 64,), (256,), (w.z10, w.a9_2, p["W10"], p["b10"], n), shared_mem=1312 * w.itemsize)  # (45)
    # a10 = softmax(z10)  (46)
    k.forward_a10(((N + 255) // 256,), (256,), (w.a10_max, w.a10_exp, w.a10_sum, w.a10, w.z10, n))  # (46)
    return w.a10


# ---- Forward, in evaluation ------------------------------------------------------------------------
def evaluate(p, x, w):
    k, N, n = w.k, w.N, np.int32(w.N)
    # z1 = W1 ⋆(p=1) a0; z2[n,i,j,k] = γ2[k] (z1[n,i,j,k] − μ̄2[k])/√(v̄2[k] + 1e-5) + β2[k]; a2 = max(0, z2)  (3) (8) (9)
    k.evaluation_a2(((N * 1024 + 63) // 64,), (256,), (w.z1, w.a2, x, p["W1"], p["gamma2"], p["mean2"], p["var2"], p["beta2"], n), shared_mem=1568 * w.itemsize)  # (3) (8) (9)
    k.evaluation_a2_3(((N * 8192 + 255) // 256,), (256,), (w.a2_2, w.a2_3, w.a2, n))          # a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]; a2_3 = a2_2  (10) (12)
    # z3 = W3 ⋆(p=1) a2_3; z4[n,i,j,k] = γ4[k] (z3[n,i,j,k] − μ̄4[k])/√(v̄4[k] + 1e-5) + β4[k]; a4 = max(0, z4)  (13) (18) (19)
    k.evaluation_a4(((N * 256 + 63) // 64,), (256,), (w.z3, w.a4, w.a2_3, p["W3"], p["gamma4"], p["mean4"], p["var4"], p["beta4"], n), shared_mem=2080 * w.itemsize)  # (13) (18) (19)
    # z5 = W5 ⋆(p=1) a4; z6[n,i,j,k] = γ6[k] (z5[n,i,j,k] − μ̄6[k])/√(v̄6[k] + 1e-5) + β6[k]; a6 = max(0, z6)  (20) (25) (26)
    k.evaluation_a6(((N * 256 + 63) // 64,), (256,), (w.z5, w.a6, w.a4, p["W5"], p["gamma6"], p["mean6"], p["var6"], p["beta6"], n), shared_mem=2080 * w.itemsize)  # (20) (25) (26)
    k.evaluation_a6_3(((N * 4096 + 255) // 256,), (256,), (w.a6_2, w.a6_3, w.a6, n))          # a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k]; a6_3 = a6_2  (27) (29)
    # z7 = W7 ⋆(p=1) a6_3; z8[n,i,j,k] = γ8[k] (z7[n,i,j,k] − μ̄8[k])/√(v̄8[k] + 1e-5) + β8[k]; a8 = max(0, z8)  (30) (35) (36)
    k.evaluation_a8((((N * 64 + 63) // 64) * 2,), (256,), (w.z7, w.a8, w.a6_3, p["W7"], p["gamma8"], p["mean8"], p["var8"], p["beta8"], n), shared_mem=2080 * w.itemsize)  # (30) (35) (36)
    k.evaluation_a8_3(((N * 2048 + 255) // 256,), (256,), (w.a8_2, w.a8_3, w.a8, n))          # a8_2[n,i,j,k] = max_{u,v<2} a8[n,2i+u,2j+v,k]; a8_3 = a8_2  (37) (39)
    # z9 = W9 a8_4 + b9  (41)
    k.forward_z9_parts((((N + 15) // 16) * 8 * 4,), (256,), (w.z9_parts, w.a8_3, p["W9"], n), shared_mem=544 * w.itemsize)  # (41)
    # z9 = W9 a8_4 + b9; a9 = max(0, z9); a9_2 = a9  (41) (42) (44)
    k.evaluation_a9_2(((N * 128 + 255) // 256,), (256,), (w.a9, w.a9_2, w.z9_parts, p["b9"], n))  # (41) (42) (44)
    # z10 = W10 a9_2 + b10  (45)
    k.forward_z10(((N + 63) // 64,), (256,), (w.z10, w.a9_2, p["W10"], p["b10"], n), shared_mem=1312 * w.itemsize)  # (45)
    # a10 = softmax(z10)  (46)
    k.forward_a10(((N + 255) // 256,), (256,), (w.a10_max, w.a10_exp, w.a10_sum, w.a10, w.z10, n))  # (46)
    return w.a10


# ---- Loss ------------------------------------------------------------------------------------------
def error(p, t, w):
    k, N, n = w.k, w.N, np.int32(w.N)
    k.loss_T(((N * 10 + 255) // 256,), (256,), (w.T, t, n))                                   # T = onehot(t)  (1)
    # E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)  (47)
    k.loss_E_sum_parts((2 * (1),), (256,), (w.E_sum_parts, p["W10"]), shared_mem=256 * w.itemsize)  # (47)
    k.loss_E_sum((1,), (256,), (w.E_sum, w.E_sum_parts))                                      # (47)
    k.loss_E_sum_2_parts((256 * (1),), (256,), (w.E_sum_2_parts, p["W9"]), shared_mem=256 * w.itemsize)  # (47)
    k.loss_E_sum_2((1,), (256,), (w.E_sum_2, w.E_sum_2_parts))                                # (47)
    k.loss_E_sum_3((1,), (256,), (w.E_sum_3, p["W1"]), shared_mem=256 * w.itemsize)           # (47)
    k.loss_E_sum_4_parts((32 * (1),), (256,), (w.E_sum_4_parts, p["W3"]), shared_mem=256 * w.itemsize)  # (47)
    k.loss_E_sum_4((1,), (256,), (w.E_sum_4, w.E_sum_4_parts))                                # (47)
    k.loss_E_sum_5_parts((64 * (1),), (256,), (w.E_sum_5_parts, p["W5"]), shared_mem=256 * w.itemsize)  # (47)
    k.loss_E_sum_5((1,), (256,), (w.E_sum_5, w.E_sum_5_parts))                                # (47)
    k.loss_E_sum_6_parts((128 * (1),), (256,), (w.E_sum_6_parts, p["W7"]), shared_mem=256 * w.itemsize)  # (47)
    k.loss_E_sum_6((1,), (256,), (w.E_sum_6, w.E_sum_6_parts))                                # (47)
    k.loss_E_sum_7((1,), (256,), (w.E_sum_7, w.a10_sum, n), shared_mem=256 * w.itemsize)      # (47)
    k.loss_E((1,), (256,), (w.E, w.T, w.a10_max, w.z10, w.E_sum_7, w.E_sum, w.E_sum_2, w.E_sum_3, w.E_sum_4, w.E_sum_5, w.E_sum_6, n), shared_mem=256 * w.itemsize)  # (47)
    return w.E


# ---- Backward: delta_l = dE/dz_l, and the gradient of every parameter ------------------------------
def backward(p, x, t, w, g):
    k, N, n = w.k, w.N, np.int32(w.N)
    k.backward_delta10(((N * 10 + 255) // 256,), (256,), (w.delta10, w.a10, w.T, n))          # δ10 = (a10 − T)/N  (48)
    # ∂E/∂W10 = Σₙ δ10ₙ a9_2ₙᵀ + 0.0002 W10  (49)
    k.backward_dW10((2,), (256,), (g["W10"], w.delta10, w.a9_2, p["W10"], n), shared_mem=1312 * w.itemsize)  # (49)
    k.backward_db10((1,), (256,), (g["b10"], w.delta10, n), shared_mem=256 * w.itemsize)      # ∂E/∂b10 = Σₙ δ10ₙ  (50)
    # δ9 = (5/3) (W10ᵀ δ10) ⊙ m9 ⊙ [a9 > 0]  (51)
    k.backward_delta9((((N + 63) // 64) * 2,), (256,), (w.delta9, w.delta10, p["W10"], w.m9, w.a9, n), shared_mem=2080 * w.itemsize)  # (51)
    # ∂E/∂W9 = Σₙ δ9ₙ a8_4ₙᵀ + 0.0002 W9  (52)
    k.backward_dW9((2 * 32,), (256,), (g["W9"], w.delta9, w.a8_3, p["W9"], n), shared_mem=2080 * w.itemsize)  # (52)
    k.backward_db9((4,), (256,), (g["b9"], w.delta9, n), shared_mem=256 * w.itemsize)         # ∂E/∂b9 = Σₙ δ9ₙ  (53)
    # ∂E/∂a8_4 = W9ᵀ δ9  (54)
    k.backward_da8_4((((N + 63) // 64) * 64,), (256,), (w.da8_4, w.delta9, p["W9"], n), shared_mem=1568 * w.itemsize)  # (54)
    # δ8[n,p,q,k] = (10/7) (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a8[n,2i+u,2j+v,k]] ∂E/∂a8_3[n,i,j,k] m8[n,i,j,k]) [a8[n,p,q,k] > 0]  (56)
    k.backward_delta8_sum_windows(((N * 8192 + 255) // 256,), (256,), (w.delta8_sum_windows, w.a8_2, w.a8, w.da8_4, w.m8, n))  # (56)
    k.backward_delta8(((N * 8192 + 255) // 256,), (256,), (w.delta8, w.delta8_sum_windows, w.a8, n))  # (56)
    # ∂E/∂β8[k] = Σₙᵢⱼ δ8[n,i,j,k]  (57)
    k.backward_dbeta8_parts((2 * (4),), (256,), (w.dbeta8_parts, w.delta8, n), shared_mem=256 * w.itemsize)  # (57)
    k.backward_dbeta8((1,), (256,), (g["beta8"], w.dbeta8_parts))                             # (57)
    # ∂E/∂γ8[k] = Σₙᵢⱼ δ8[n,i,j,k] x̂8[n,i,j,k]  (58)
    k.backward_dgamma8_parts((2 * (4),), (256,), (w.dgamma8_parts, w.delta8, w.xhat8, n), shared_mem=256 * w.itemsize)  # (58)
    k.backward_dgamma8((1,), (256,), (g["gamma8"], w.dgamma8_parts))                          # (58)
    # δ7[n,i,j,k] = γ8[k] (64 N δ8[n,i,j,k] − Σ_mpq δ8[m,p,q,k] − (Σ_mpq δ8[m,p,q,k] x̂8[m,p,q,k]) x̂8[n,i,j,k])/(64 N √(v8[k] + 1e-5))  (63)
    k.backward_delta7(((N * 8192 + 255) // 256,), (256,), (w.delta7, p["gamma8"], w.delta8, g["gamma8"], w.xhat8, g["beta8"], w.v8, n))  # (63)
    # ∂E/∂W7 = Σₙ δ7ₙ ⋆(p=1) a6_3ₙ + 0.0002 W7  (64)
    k.backward_dW7_parts((2 * 9 * 8,), (256,), (w.dW7_parts, w.delta7, w.a6_3, n), shared_mem=2080 * w.itemsize)  # (64)
    k.backward_dW7((288,), (256,), (g["W7"], w.dW7_parts, p["W7"]))                           # (64)
    # ∂E/∂a6_2 = (5/4) (W7ᵀ ∗(p=1) δ7) ⊙ m6  (65)
    k.backward_da6_2_parts((((N * 64 + 63) // 64) * 2,), (256,), (w.da6_2_parts, w.delta7, p["W7"], n), shared_mem=2080 * w.itemsize)  # (65)
    k.backward_da6_2(((N * 4096 + 255) // 256,), (256,), (w.da6_2, w.da6_2_parts, w.m6, n))   # (65)
    # δ6[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a6[n,2i+u,2j+v,k]] ∂E/∂a6_2[n,i,j,k]) [a6[n,p,q,k] > 0]  (66)
    k.backward_delta6_sum_windows(((N * 16384 + 255) // 256,), (256,), (w.delta6_sum_windows, w.a6_2, w.a6, w.da6_2, n))  # (66)
    k.backward_delta6(((N * 16384 + 255) // 256,), (256,), (w.delta6, w.delta6_sum_windows, w.a6, n))  # (66)
    # ∂E/∂β6[k] = Σₙᵢⱼ δ6[n,i,j,k]  (67)
    k.backward_dbeta6_parts((4 * (2),), (256,), (w.dbeta6_parts, w.delta6, n), shared_mem=256 * w.itemsize)  # (67)
    k.backward_dbeta6((1,), (256,), (g["beta6"], w.dbeta6_parts))                             # (67)
    # ∂E/∂γ6[k] = Σₙᵢⱼ δ6[n,i,j,k] x̂6[n,i,j,k]  (68)
    k.backward_dgamma6_parts((4 * (2),), (256,), (w.dgamma6_parts, w.delta6, w.xhat6, n), shared_mem=256 * w.itemsize)  # (68)
    k.backward_dgamma6((1,), (256,), (g["gamma6"], w.dgamma6_parts))                          # (68)
    # δ5[n,i,j,k] = γ6[k] (256 N δ6[n,i,j,k] − Σ_mpq δ6[m,p,q,k] − (Σ_mpq δ6[m,p,q,k] x̂6[m,p,q,k]) x̂6[n,i,j,k])/(256 N √(v6[k] + 1e-5))  (73)
    k.backward_delta5(((N * 16384 + 255) // 256,), (256,), (w.delta5, p["gamma6"], w.delta6, g["gamma6"], w.xhat6, g["beta6"], w.v6, n))  # (73)
    # ∂E/∂W5 = Σₙ δ5ₙ ⋆(p=1) a4ₙ + 0.0002 W5  (74)
    k.backward_dW5_parts((9 * 32,), (256,), (w.dW5_parts, w.delta5, w.a4, n), shared_mem=2080 * w.itemsize)  # (74)
    k.backward_dW5((144,), (256,), (g["W5"], w.dW5_parts, p["W5"]))                           # (74)
    # δ4 = (W5ᵀ ∗(p=1) δ5) ⊙ [a4 > 0]  (75)
    k.backward_delta4(((N * 256 + 63) // 64,), (256,), (w.delta4, w.delta5, p["W5"], w.a4, n), shared_mem=2080 * w.itemsize)  # (75)
    # ∂E/∂β4[k] = Σₙᵢⱼ δ4[n,i,j,k]  (76)
    k.backward_dbeta4_parts((4 * (2),), (256,), (w.dbeta4_parts, w.delta4, n), shared_mem=256 * w.itemsize)  # (76)
    k.backward_dbeta4((1,), (256,), (g["beta4"], w.dbeta4_parts))                             # (76)
    # ∂E/∂γ4[k] = Σₙᵢⱼ δ4[n,i,j,k] x̂4[n,i,j,k]  (77)
    k.backward_dgamma4_parts((4 * (2),), (256,), (w.dgamma4_parts, w.delta4, w.xhat4, n), shared_mem=256 * w.itemsize)  # (77)
    k.backward_dgamma4((1,), (256,), (g["gamma4"], w.dgamma4_parts))                          # (77)
    # δ3[n,i,j,k] = γ4[k] (256 N δ4[n,i,j,k] − Σ_mpq δ4[m,p,q,k] − (Σ_mpq δ4[m,p,q,k] x̂4[m,p,q,k]) x̂4[n,i,j,k])/(256 N √(v4[k] + 1e-5))  (82)
    k.backward_delta3(((N * 16384 + 255) // 256,), (256,), (w.delta3, p["gamma4"], w.delta4, g["gamma4"], w.xhat4, g["beta4"], w.v4, n))  # (82)
    # ∂E/∂W3 = Σₙ δ3ₙ ⋆(p=1) a2_3ₙ + 0.0002 W3  (83)
    k.backward_dW3_parts((5 * 32,), (256,), (w.dW3_parts, w.delta3, w.a2_3, n), shared_mem=2080 * w.itemsize)  # (83)
    k.backward_dW3((72,), (256,), (g["W3"], w.dW3_parts, p["W3"]))                            # (83)
    # ∂E/∂a2_2 = (10/9) (W3ᵀ ∗(p=1) δ3) ⊙ m2  (84)
    k.backward_da2_2(((N * 256 + 63) // 64,), (256,), (w.da2_2, w.delta3, p["W3"], w.m2, n), shared_mem=1568 * w.itemsize)  # (84)
    # δ2[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_2[n,i,j,k]) [a2[n,p,q,k] > 0]  (85)
    k.backward_delta2_sum_windows(((N * 32768 + 255) // 256,), (256,), (w.delta2_sum_windows, w.a2_2, w.a2, w.da2_2, n))  # (85)
    k.backward_delta2(((N * 32768 + 255) // 256,), (256,), (w.delta2, w.delta2_sum_windows, w.a2, n))  # (85)
    # ∂E/∂β2[k] = Σₙᵢⱼ δ2[n,i,j,k]  (86)
    k.backward_dbeta2_parts((8 * (1),), (256,), (w.dbeta2_parts, w.delta2, n), shared_mem=256 * w.itemsize)  # (86)
    k.backward_dbeta2((1,), (256,), (g["beta2"], w.dbeta2_parts))                             # (86)
    # ∂E/∂γ2[k] = Σₙᵢⱼ δ2[n,i,j,k] x̂2[n,i,j,k]  (87)
    k.backward_dgamma2_parts((8 * (1),), (256,), (w.dgamma2_parts, w.delta2, w.xhat2, n), shared_mem=256 * w.itemsize)  # (87)
    k.backward_dgamma2((1,), (256,), (g["gamma2"], w.dgamma2_parts))                          # (87)
    # δ1[n,i,j,k] = γ2[k] (1024 N δ2[n,i,j,k] − Σ_mpq δ2[m,p,q,k] − (Σ_mpq δ2[m,p,q,k] x̂2[m,p,q,k]) x̂2[n,i,j,k])/(1024 N √(v2[k] + 1e-5))  (92)
    k.backward_delta1(((N * 32768 + 255) // 256,), (256,), (w.delta1, p["gamma2"], w.delta2, g["gamma2"], w.xhat2, g["beta2"], w.v2, n))  # (92)
    # ∂E/∂W1 = Σₙ δ1ₙ ⋆(p=1) a0ₙ + 0.0002 W1  (93)
    k.backward_dW1_parts((128,), (256,), (w.dW1_parts, w.delta1, x, n), shared_mem=1056 * w.itemsize)  # (93)
    k.backward_dW1((4,), (256,), (g["W1"], w.dW1_parts, p["W1"]))                             # (93)


# ---- Running statistics: what evaluation takes for those of the batch ------------------------------
def keep_statistics(p, x, w):
    k, n = w.k, np.int32(w.N)
    k.statistics_var2((1,), (256,), (p["mean2"], p["var2"], w.mu2, w.v2, n))                  # μ̄2 ← 0.9 μ̄2 + 0.1 μ2; v̄2 ← 0.9 v̄2 + 102.4 N v2/(1024 N − 1)  (95) (96)
    # μ̄4 ← 0.9 μ̄4 + 0.1 μ4; v̄4 ← 0.9 v̄4 + 25.6 N v4/(256 N − 1); μ̄6 ← 0.9 μ̄6 + 0.1 μ6; v̄6 ← 0.9 v̄6 + 25.6 N v6/(256 N − 1)  (97) (98) (99) (100)
    k.statistics_var6((1,), (256,), (p["mean4"], p["var4"], p["mean6"], p["var6"], w.mu4, w.v4, w.mu6, w.v6, n))  # (97) (98) (99) (100)
    k.statistics_var8((1,), (256,), (p["mean8"], p["var8"], w.mu8, w.v8, n))                  # μ̄8 ← 0.9 μ̄8 + 0.1 μ8; v̄8 ← 0.9 v̄8 + 6.4 N v8/(64 N − 1)  (101) (102)


# ---- Update: over all parameters as one vector -----------------------------------------------------
def init_optimizer(parameters):
    """Return the optimizer's state before the first step, all of it on the device."""
    dtype = next(iter(parameters.values())).dtype
    return {
        "step": cp.zeros((), np.int32),                  # k: how many steps were taken; without a seed, that of the next masks
        "steps": cp.full((), 1000, np.int32),            # K: how many there will be; `train` sets it
        "learning_rate": cp.full((), LEARNING_RATE, np.float64),  # of the last step
        "m": cp.zeros(COUNT, dtype),
        "v": cp.zeros(COUNT, dtype),
    }


def descend(theta, g, state, w):
    k = w.k
    k.update_eta((1,), (256,), (state["learning_rate"], state["steps"], state["step"]))       # ηₖ = η (cos(π (k − 1)/K) + 1) min(1, k/w)/2  (103)
    # m ← β1 m + (1 − β1) g; v ← β2 v + (1 − β2) g ⊙ g; θ ← θ − ηₖ m/((1 − β1^k) (√(v/(1 − β2^k)) + ε))  (104) (105) (106)
    k.update_theta((1540,), (256,), (state["m"], state["v"], theta, g, state["learning_rate"], state["step"]))  # (104) (105) (106)


# ---- What a user of this module calls, from any number of threads at once --------------------------
def predict(parameters, x):
    """Return the outputs, (N, 10), for inputs (N, 32, 32, 3)."""
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
    # ∂E/∂x = W1ᵀ ∗(p=1) δ1  (94)
    k.input_gradient_dx(((N * 1024 + 15) // 16,), (256,), (w.dx, w.delta1, p["W1"], n), shared_mem=544 * w.itemsize)  # (94)
    return w.dx.copy()


def masks(N, seed=None):
    """Return by name the random masks, one row a sample, that a step with this seed draws."""
    k, n, seed = kernels(np.dtype(np.float32)), np.int32(N), seed_on_device(seed)
    w = types.SimpleNamespace(
        itemsize=4,
        m2=cp.empty((N, 16, 16, 32), np.uint8),
        m6=cp.empty((N, 8, 8, 64), np.uint8),
        m8=cp.empty((N, 4, 4, 128), np.uint8),
        m9=cp.empty((N, 128), np.uint8),
    )
    k.forward_m2(((N * 8192 + 4095) // 4096,), (256,), (w.m2, seed, n))                       # a2_3 = (10/9) a2_2 ⊙ m2  (11)
    k.forward_m6(((N * 4096 + 4095) // 4096,), (256,), (w.m6, seed, n))                       # a6_3 = (5/4) a6_2 ⊙ m6  (28)
    k.forward_m8(((N * 2048 + 4095) // 4096,), (256,), (w.m8, seed, n))                       # a8_3 = (10/7) a8_2 ⊙ m8  (38)
    k.forward_m9(((N * 128 + 4095) // 4096,), (256,), (w.m9, seed, n))                        # a9_2 = (5/3) a9 ⊙ m9  (43)
    return {"m2": w.m2.astype(bool), "m6": w.m6.astype(bool), "m8": w.m8.astype(bool), "m9": w.m9.astype(bool)}


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
    keep_statistics(p, x, w)
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
        keep_statistics(p, x, w)
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
            w.m6,
            w.m8,
            w.m9,
            w.z1,
            x,
            p["W1"],
            w.mu2_parts,
            w.mu2,
            w.v2_parts,
            w.v2,
            w.xhat2,
            w.a2,
            p["gamma2"],
            p["beta2"],
            w.a2_2,
            w.a2_3,
            w.z3,
            p["W3"],
            w.mu4_parts,
            w.mu4,
            w.v4_parts,
            w.v4,
            w.xhat4,
            w.a4,
            p["gamma4"],
            p["beta4"],
            w.z5,
            p["W5"],
            w.mu6_parts,
            w.mu6,
            w.v6_parts,
            w.v6,
            w.xhat6,
            w.a6,
            p["gamma6"],
            p["beta6"],
            w.a6_2,
            w.a6_3,
            w.z7,
            p["W7"],
            w.mu8_parts,
            w.mu8,
            w.v8_parts,
            w.v8,
            w.xhat8,
            w.a8,
            p["gamma8"],
            p["beta8"],
            w.a8_2,
            w.a8_3,
            w.z9_parts,
            p["W9"],
            w.a9,
            w.a9_2,
            p["b9"],
            w.z10,
            p["W10"],
            p["b10"],
            w.a10_max,
            w.a10_exp,
            w.a10_sum,
            w.a10,
            w.T,
            t,
            w.E_sum_parts,
            w.E_sum,
            w.E_sum_2_parts,
            w.E_sum_2,
            w.E_sum_3,
            w.E_sum_4_parts,
            w.E_sum_4,
            w.E_sum_5_parts,
            w.E_sum_5,
            w.E_sum_6_parts,
            w.E_sum_6,
            w.E_sum_7,
            w.E,
            w.delta10,
            w.g["W10"],
            w.g["b10"],
            w.delta9,
            w.g["W9"],
            w.g["b9"],
            w.da8_4,
            w.delta8_sum_windows,
            w.delta8,
            w.dbeta8_parts,
            w.g["beta8"],
            w.dgamma8_parts,
            w.g["gamma8"],
            w.delta7,
            w.dW7_parts,
            w.g["W7"],
            w.da6_2_parts,
            w.da6_2,
            w.delta6_sum_windows,
            w.delta6,
            w.dbeta6_parts,
            w.g["beta6"],
            w.dgamma6_parts,
            w.g["gamma6"],
            w.delta5,
            w.dW5_parts,
            w.g["W5"],
            w.delta4,
            w.dbeta4_parts,
            w.g["beta4"],
            w.dgamma4_parts,
            w.g["gamma4"],
            w.delta3,
            w.dW3_parts,
            w.g["W3"],
            w.da2_2,
            w.delta2_sum_windows,
            w.delta2,
            w.dbeta2_parts,
            w.g["beta2"],
            w.dgamma2_parts,
            w.g["gamma2"],
            w.delta1,
            w.dW1_parts,
            w.g["W1"],
            p["mean2"],
            p["var2"],
            p["mean4"],
            p["var4"],
            p["mean6"],
            p["var6"],
            p["mean8"],
            p["var8"],
            state["learning_rate"],
            state["steps"],
            state["step"],
            state["m"],
            state["v"],
            training.theta,
            w.gradient,
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
    state["steps"].fill(epochs * math.ceil(len(x) / batch_size))
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
    """Write parameters, running statistics among them, to an .npz file, which `load` reads."""
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
        print("derive train alone does what the spec says of validation_split", file=sys.stderr)
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
    parser = argparse.ArgumentParser(description="Train cifar10_cnn_84 on a GPU, and predict with what was trained.")
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
