"""cifar10_cnn_79: 32x32x3-…-10 (8 layers), relu, dropout, max_pool2d, softmax; cross_entropy; adam; 1,640,048 parameters.

cifar10_cnn_74 with batch normalization: 1,640,048 parameters

Generated from cifar10_cnn_79.toml (sha256 a0078f30); change the spec, not this file.  Needs CuPy, NumPy and an
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
LEARNING_RATE = 0.001  # as in kernels.cu, which computes with it
BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-08
AT_ONCE = 128  # samples that are evaluated at a time
GRAPH_STEPS = 16  # steps that one launch of a graph takes
LARGEST = 28800  # entries of a sample in the largest tensor; kernels count them all in 32 bits
WORK = 89193984  # floating-point operations of a sample's matrix products in a step


# ---- Kernels: kernels.cu, and what a step needs around its equations -------------------------------
KERNELS = {  # with the dynamic shared memory of a block, in bytes, where real is float
    "backward_dW2": 0,
    "backward_dW2_parts": 4224,
    "backward_dW4": 0,
    "backward_dW4_parts": 6272,
    "backward_dW6": 0,
    "backward_dW6_parts": 8320,
    "backward_dW7": 16512,
    "backward_dW8": 5248,
    "backward_da4_2": 0,
    "backward_da6_3": 6272,
    "backward_db2": 0,
    "backward_db2_parts": 1024,
    "backward_db4": 0,
    "backward_db4_parts": 1024,
    "backward_db6": 0,
    "backward_db6_parts": 1024,
    "backward_db7": 1024,
    "backward_db8": 1024,
    "backward_dbeta1": 0,
    "backward_dbeta1_parts": 1024,
    "backward_dbeta3": 0,
    "backward_dbeta3_parts": 1024,
    "backward_dbeta5": 0,
    "backward_dbeta5_parts": 1024,
    "backward_delta1": 2176,
    "backward_delta2": 0,
    "backward_delta3": 6272,
    "backward_delta4": 0,
    "backward_delta4_sum_windows": 0,
    "backward_delta5": 6272,
    "backward_delta6": 0,
    "backward_delta6_sum_windows": 0,
    "backward_delta7": 2176,
    "backward_delta8": 0,
    "backward_dgamma1": 0,
    "backward_dgamma1_parts": 1024,
    "backward_dgamma3": 0,
    "backward_dgamma3_parts": 1024,
    "backward_dgamma5": 0,
    "backward_dgamma5_parts": 1024,
    "evaluation_a6_4": 0,
    "evaluation_a7_2": 0,
    "evaluation_z1": 0,
    "evaluation_z3": 6272,
    "evaluation_z5": 0,
    "forward_a2_2": 6272,
    "forward_a4": 6272,
    "forward_a4_2": 0,
    "forward_a6": 8320,
    "forward_a6_2": 0,
    "forward_a6_4": 0,
    "forward_a7_2": 0,
    "forward_a8": 0,
    "forward_m2": 0,
    "forward_m6": 0,
    "forward_m7": 0,
    "forward_mu1": 0,
    "forward_mu1_parts": 1024,
    "forward_mu3": 0,
    "forward_mu3_parts": 1024,
    "forward_mu5": 0,
    "forward_mu5_parts": 1024,
    "forward_v1": 0,
    "forward_v1_parts": 1024,
    "forward_v3": 0,
    "forward_v3_parts": 1024,
    "forward_v5": 0,
    "forward_v5_parts": 1024,
    "forward_z1": 0,
    "forward_z3": 0,
    "forward_z5": 0,
    "forward_z7_parts": 6272,
    "forward_z8": 5248,
    "input_gradient_dx": 0,
    "loss_E": 1024,
    "loss_E_sum": 1024,
    "loss_T": 0,
    "statistics_var1": 0,
    "statistics_var5": 0,
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
    if 16512 // 4 * dtype.itemsize > 48 * 1024:
        steps.max_dynamic_shared_size_bytes = 16512 // 4 * dtype.itemsize
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
    p = views(cp.asarray(vector))
    p["mean1"] = cp.zeros((3,), dtype)
    p["var1"] = cp.ones((3,), dtype)
    p["mean3"] = cp.zeros((32,), dtype)
    p["var3"] = cp.ones((32,), dtype)
    p["mean5"] = cp.zeros((32,), dtype)
    p["var5"] = cp.ones((32,), dtype)
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
        self.m2 = room("m2", N, 30, 30, 32, dtype=np.uint8)
        self.m6 = room("m6", N, 3136, dtype=np.uint8)
        self.m7 = room("m7", N, 512, dtype=np.uint8)
        self.mu1_parts = room("mu1_parts", 128, 3)
        self.mu1 = room("mu1", 3)
        self.v1_parts = room("v1_parts", 128, 3)
        self.v1 = room("v1", 3)
        self.xhat1 = room("xhat1", N, 32, 32, 3)
        self.z1 = room("z1", N, 32, 32, 3)
        self.a2 = room("a2", N, 30, 30, 32)
        self.a2_2 = room("a2_2", N, 30, 30, 32)
        self.mu3_parts = room("mu3_parts", 8, 32)
        self.mu3 = room("mu3", 32)
        self.v3_parts = room("v3_parts", 8, 32)
        self.v3 = room("v3", 32)
        self.xhat3 = room("xhat3", N, 30, 30, 32)
        self.z3 = room("z3", N, 30, 30, 32)
        self.a4 = room("a4", N, 30, 30, 32)
        self.a4_2 = room("a4_2", N, 15, 15, 32)
        self.mu5_parts = room("mu5_parts", 8, 32)
        self.mu5 = room("mu5", 32)
        self.v5_parts = room("v5_parts", 8, 32)
        self.v5 = room("v5", 32)
        self.xhat5 = room("xhat5", N, 15, 15, 32)
        self.z5 = room("z5", N, 15, 15, 32)
        self.a6 = room("a6", N, 15, 15, 64)
        self.a6_2 = room("a6_2", N, 7, 7, 64)
        self.a6_4 = room("a6_4", N, 3136)
        self.z7_parts = room("z7_parts", 4, N, 512)
        self.a7 = room("a7", N, 512)
        self.a7_2 = room("a7_2", N, 512)
        self.z8 = room("z8", N, 10)
        self.a8_max = room("a8_max", N)
        self.a8_exp = room("a8_exp", N, 10)
        self.a8_sum = room("a8_sum", N)
        self.a8 = room("a8", N, 10)
        self.T = room("T", N, 10)
        self.E_sum = room("E_sum", dtype=np.float64)
        self.E = room("E", dtype=np.float64)
        self.delta8 = self.z8
        self.delta7 = self.a7_2
        self.da6_3 = self.a6_4
        self.delta6_sum_windows = room("delta6_sum_windows", N, 7, 7, 2, 2, 64)
        self.delta6 = room("delta6", N, 15, 15, 64)
        self.dW6_parts = room("dW6_parts", 16, 64, 3, 3, 32)
        self.db6_parts = room("db6_parts", 4, 64)
        self.delta5 = self.z5
        self.dbeta5_parts = self.v5_parts
        self.dgamma5_parts = self.v5_parts
        self.da4_2 = room("da4_2", N, 15, 15, 32)
        self.delta4_sum_windows = room("delta4_sum_windows", N, 15, 15, 2, 2, 32)
        self.delta4 = self.a2_2
        self.dW4_parts = room("dW4_parts", 64, 32, 3, 3, 32)
        self.db4_parts = self.v5_parts
        self.delta3 = self.z3
        self.dbeta3_parts = self.v5_parts
        self.dgamma3_parts = self.v5_parts
        self.delta2 = self.a2_2
        self.dW2_parts = room("dW2_parts", 64, 32, 3, 3, 3)
        self.db2_parts = self.v5_parts
        self.delta1 = self.z1
        self.dbeta1_parts = self.v1_parts
        self.dgamma1_parts = self.v1_parts
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
    k.forward_m2(((N * 28800 + 4095) // 4096,), (256,), (w.m2, seed, n))                      # a2_2 = (5/4) a2 ⊙ m2  (10)
    k.forward_m6(((N * 3136 + 4095) // 4096,), (256,), (w.m6, seed, n))                       # a6_4 = (5/4) a6_3 ⊙ m6  (29)
    k.forward_m7(((N * 512 + 4095) // 4096,), (256,), (w.m7, seed, n))                        # a7_2 = (5/4) a7 ⊙ m7  (33)
    # μ1[k] = (1/(1024 N)) Σₙᵢⱼ a0[n,i,j,k]  (3)
    k.forward_mu1_parts((128 * (1),), (256,), (w.mu1_parts, x, n), shared_mem=256 * w.itemsize)  # (3)
    k.forward_mu1((1,), (256,), (w.mu1, w.mu1_parts, n))                                      # (3)
    # v1[k] = (1/(1024 N)) Σₙᵢⱼ (a0[n,i,j,k] − μ1[k])²  (4)
    k.forward_v1_parts((128 * (1),), (256,), (w.v1_parts, x, w.mu1, n), shared_mem=256 * w.itemsize)  # (4)
    k.forward_v1((1,), (256,), (w.v1, w.v1_parts, n))                                         # (4)
    # x̂1[n,i,j,k] = (a0[n,i,j,k] − μ1[k])/√(v1[k] + 1e-5); z1[n,i,j,k] = γ1[k] x̂1[n,i,j,k] + β1[k]  (5) (6)
    k.forward_z1(((N * 3072 + 255) // 256,), (256,), (w.xhat1, w.z1, x, w.mu1, w.v1, p["gamma1"], p["beta1"], n))  # (5) (6)
    # z2 = W2 ⋆ z1 + b2; a2 = max(0, z2); a2_2 = (5/4) a2 ⊙ m2  (8) (9) (10)
    k.forward_a2_2(((N * 900 + 63) // 64,), (256,), (w.a2, w.a2_2, w.z1, p["W2"], p["b2"], w.m2, n), shared_mem=1568 * w.itemsize)  # (8) (9) (10)
    # μ3[k] = (1/(900 N)) Σₙᵢⱼ a2_2[n,i,j,k]  (12)
    k.forward_mu3_parts((8 * (1),), (256,), (w.mu3_parts, w.a2_2, n), shared_mem=256 * w.itemsize)  # (12)
    k.forward_mu3((1,), (256,), (w.mu3, w.mu3_parts, n))                                      # (12)
    # v3[k] = (1/(900 N)) Σₙᵢⱼ (a2_2[n,i,j,k] − μ3[k])²  (13)
    k.forward_v3_parts((8 * (1),), (256,), (w.v3_parts, w.a2_2, w.mu3, n), shared_mem=256 * w.itemsize)  # (13)
    k.forward_v3((1,), (256,), (w.v3, w.v3_parts, n))                                         # (13)
    # x̂3[n,i,j,k] = (a2_2[n,i,j,k] − μ3[k])/√(v3[k] + 1e-5); z3[n,i,j,k] = γ3[k] x̂3[n,i,j,k] + β3[k]  (14) (15)
    k.forward_z3(((N * 28800 + 255) // 256,), (256,), (w.xhat3, w.z3, w.a2_2, w.mu3, w.v3, p["gamma3"], p["beta3"], n))  # (14) (15)
    # z4 = W4 ⋆(p=1) z3 + b4; a4 = max(0, z4)  (17) (18)
    k.forward_a4(((N * 900 + 63) // 64,), (256,), (w.a4, w.z3, p["W4"], p["b4"], n), shared_mem=1568 * w.itemsize)  # (17) (18)
    k.forward_a4_2(((N * 7200 + 255) // 256,), (256,), (w.a4_2, w.a4, n))                     # a4_2[n,i,j,k] = max_{u,v<2} a4[n,2i+u,2j+v,k]  (19)
    # μ5[k] = (1/(225 N)) Σₙᵢⱼ a4_2[n,i,j,k]  (20)
    k.forward_mu5_parts((8 * (1),), (256,), (w.mu5_parts, w.a4_2, n), shared_mem=256 * w.itemsize)  # (20)
    k.forward_mu5((1,), (256,), (w.mu5, w.mu5_parts, n))                                      # (20)
    # v5[k] = (1/(225 N)) Σₙᵢⱼ (a4_2[n,i,j,k] − μ5[k])²  (21)
    k.forward_v5_parts((8 * (1),), (256,), (w.v5_parts, w.a4_2, w.mu5, n), shared_mem=256 * w.itemsize)  # (21)
    k.forward_v5((1,), (256,), (w.v5, w.v5_parts, n))                                         # (21)
    # x̂5[n,i,j,k] = (a4_2[n,i,j,k] − μ5[k])/√(v5[k] + 1e-5); z5[n,i,j,k] = γ5[k] x̂5[n,i,j,k] + β5[k]  (22) (23)
    k.forward_z5(((N * 7200 + 255) // 256,), (256,), (w.xhat5, w.z5, w.a4_2, w.mu5, w.v5, p["gamma5"], p["beta5"], n))  # (22) (23)
    # z6 = W6 ⋆(p=1) z5 + b6; a6 = max(0, z6)  (25) (26)
    k.forward_a6(((N * 225 + 63) // 64,), (256,), (w.a6, w.z5, p["W6"], p["b6"], n), shared_mem=2080 * w.itemsize)  # (25) (26)
    k.forward_a6_2(((N * 3136 + 255) // 256,), (256,), (w.a6_2, w.a6, n))                     # a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k]  (27)
    k.forward_a6_4(((N * 3136 + 255) // 256,), (256,), (w.a6_4, w.a6_2, w.m6, n))             # a6_4 = (5/4) a6_3 ⊙ m6  (29)
    # z7 = W7 a6_4 + b7  (31)
    k.forward_z7_parts((((N + 63) // 64) * 16 * 4,), (256,), (w.z7_parts, w.a6_4, p["W7"], n), shared_mem=1568 * w.itemsize)  # (31)
    # z7 = W7 a6_4 + b7; a7 = max(0, z7); a7_2 = (5/4) a7 ⊙ m7  (31) (32) (33)
    k.forward_a7_2(((N * 512 + 255) // 256,), (256,), (w.a7, w.a7_2, w.z7_parts, p["b7"], w.m7, n))  # (31) (32) (33)
    # z8 = W8 a7_2 + b8  (35)
    k.forward_z8(((N + 63) // 64,), (256,), (w.z8, w.a7_2, p["W8"], p["b8"], n), shared_mem=1312 * w.itemsize)  # (35)
    k.forward_a8(((N + 255) // 256,), (256,), (w.a8_max, w.a8_exp, w.a8_sum, w.a8, w.z8, n))  # a8 = softmax(z8)  (36)
    return w.a8


# ---- Forward, in evaluation ------------------------------------------------------------------------
def evaluate(p, x, w):
    k, N, n = w.k, w.N, np.int32(w.N)
    # z1[n,i,j,k] = γ1[k] (a0[n,i,j,k] − μ̄1[k])/√(v̄1[k] + 1e-5) + β1[k]  (7)
    k.evaluation_z1(((N * 3072 + 255) // 256,), (256,), (w.z1, p["gamma1"], x, p["mean1"], p["var1"], p["beta1"], n))  # (7)
    # z2 = W2 ⋆ z1 + b2; a2 = max(0, z2); a2_2 = a2; z3[n,i,j,k] = γ3[k] (a2_2[n,i,j,k] − μ̄3[k])/√(v̄3[k] + 1e-5) + β3[k]  (8) (9) (11) (16)
    k.evaluation_z3(((N * 900 + 63) // 64,), (256,), (w.a2, w.a2_2, w.z3, w.z1, p["W2"], p["b2"], p["gamma3"], p["mean3"], p["var3"], p["beta3"], n), shared_mem=1568 * w.itemsize)  # (8) (9) (11) (16)
    # z4 = W4 ⋆(p=1) z3 + b4; a4 = max(0, z4)  (17) (18)
    k.forward_a4(((N * 900 + 63) // 64,), (256,), (w.a4, w.z3, p["W4"], p["b4"], n), shared_mem=1568 * w.itemsize)  # (17) (18)
    # a4_2[n,i,j,k] = max_{u,v<2} a4[n,2i+u,2j+v,k]; z5[n,i,j,k] = γ5[k] (a4_2[n,i,j,k] − μ̄5[k])/√(v̄5[k] + 1e-5) + β5[k]  (19) (24)
    k.evaluation_z5(((N * 7200 + 255) // 256,), (256,), (w.a4_2, w.z5, w.a4, p["gamma5"], p["mean5"], p["var5"], p["beta5"], n))  # (19) (24)
    # z6 = W6 ⋆(p=1) z5 + b6; a6 = max(0, z6)  (25) (26)
    k.forward_a6(((N * 225 + 63) // 64,), (256,), (w.a6, w.z5, p["W6"], p["b6"], n), shared_mem=2080 * w.itemsize)  # (25) (26)
    k.forward_a6_2(((N * 3136 + 255) // 256,), (256,), (w.a6_2, w.a6, n))                     # a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k]  (27)
    k.evaluation_a6_4(((N * 3136 + 255) // 256,), (256,), (w.a6_4, w.a6_2, n))                # a6_4 = a6_3  (30)
    # z7 = W7 a6_4 + b7  (31)
    k.forward_z7_parts((((N + 63) // 64) * 16 * 4,), (256,), (w.z7_parts, w.a6_4, p["W7"], n), shared_mem=1568 * w.itemsize)  # (31)
    # z7 = W7 a6_4 + b7; a7 = max(0, z7); a7_2 = a7  (31) (32) (34)
    k.evaluation_a7_2(((N * 512 + 255) // 256,), (256,), (w.a7, w.a7_2, w.z7_parts, p["b7"], n))  # (31) (32) (34)
    # z8 = W8 a7_2 + b8  (35)
    k.forward_z8(((N + 63) // 64,), (256,), (w.z8, w.a7_2, p["W8"], p["b8"], n), shared_mem=1312 * w.itemsize)  # (35)
    k.forward_a8(((N + 255) // 256,), (256,), (w.a8_max, w.a8_exp, w.a8_sum, w.a8, w.z8, n))  # a8 = softmax(z8)  (36)
    return w.a8


# ---- Loss ------------------------------------------------------------------------------------------
def error(p, t, w):
    k, N, n = w.k, w.N, np.int32(w.N)
    k.loss_T(((N * 10 + 255) // 256,), (256,), (w.T, t, n))                                   # T = onehot(t)  (1)
    k.loss_E_sum((1,), (256,), (w.E_sum, w.a8_sum, n), shared_mem=256 * w.itemsize)           # E = −(1/N) Σₙ Tₙᵀ log(a8ₙ)  (37)
    k.loss_E((1,), (256,), (w.E, w.T, w.a8_max, w.z8, w.E_sum, n), shared_mem=256 * w.itemsize)  # (37)
    return w.E


# ---- Backward: delta_l = dE/dz_l, and the gradient of every parameter ------------------------------
def backward(p, x, t, w, g):
    k, N, n = w.k, w.N, np.int32(w.N)
    k.backward_delta8(((N * 10 + 255) // 256,), (256,), (w.delta8, w.a8, w.T, n))             # δ8 = (a8 − T)/N  (38)
    # ∂E/∂W8 = Σₙ δ8ₙ a7_2ₙᵀ  (39)
    k.backward_dW8((8,), (256,), (g["W8"], w.delta8, w.a7_2, n), shared_mem=1312 * w.itemsize)  # (39)
    k.backward_db8((1,), (256,), (g["b8"], w.delta8, n), shared_mem=256 * w.itemsize)         # ∂E/∂b8 = Σₙ δ8ₙ  (40)
    # δ7 = (5/4) (W8ᵀ δ8) ⊙ m7 ⊙ [a7 > 0]  (41)
    k.backward_delta7((((N + 15) // 16) * 32,), (256,), (w.delta7, w.delta8, p["W8"], w.m7, w.a7, n), shared_mem=544 * w.itemsize)  # (41)
    # ∂E/∂W7 = Σₙ δ7ₙ a6_4ₙᵀ  (42)
    k.backward_dW7((4 * 25,), (256,), (g["W7"], w.delta7, w.a6_4, n), shared_mem=4128 * w.itemsize)  # (42)
    k.backward_db7((16,), (256,), (g["b7"], w.delta7, n), shared_mem=256 * w.itemsize)        # ∂E/∂b7 = Σₙ δ7ₙ  (43)
    # ∂E/∂a6_3 = (5/4) (W7ᵀ δ7) ⊙ m6  (44)
    k.backward_da6_3((((N + 63) // 64) * 98,), (256,), (w.da6_3, w.delta7, p["W7"], w.m6, n), shared_mem=1568 * w.itemsize)  # (44)
    # δ6[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a6[n,2i+u,2j+v,k]] ∂E/∂a6_2[n,i,j,k]) [a6[n,p,q,k] > 0]  (46)
    k.backward_delta6_sum_windows(((N * 12544 + 255) // 256,), (256,), (w.delta6_sum_windows, w.a6_2, w.a6, w.da6_3, n))  # (46)
    k.backward_delta6(((N * 14400 + 255) // 256,), (256,), (w.delta6, w.delta6_sum_windows, w.a6, n))  # (46)
    # ∂E/∂W6 = Σₙ δ6ₙ ⋆(p=1) z5ₙ  (47)
    k.backward_dW6_parts((5 * 16,), (256,), (w.dW6_parts, w.delta6, w.z5, n), shared_mem=2080 * w.itemsize)  # (47)
    k.backward_dW6((72,), (256,), (g["W6"], w.dW6_parts))                                     # (47)
    # ∂E/∂b6[k] = Σₙᵢⱼ δ6[n,i,j,k]  (48)
    k.backward_db6_parts((4 * (2),), (256,), (w.db6_parts, w.delta6, n), shared_mem=256 * w.itemsize)  # (48)
    k.backward_db6((1,), (256,), (g["b6"], w.db6_parts))                                      # (48)
    # δ5 = W6ᵀ ∗(p=1) δ6  (49)
    k.backward_delta5(((N * 225 + 63) // 64,), (256,), (w.delta5, w.delta6, p["W6"], n), shared_mem=1568 * w.itemsize)  # (49)
    # ∂E/∂β5[k] = Σₙᵢⱼ δ5[n,i,j,k]  (50)
    k.backward_dbeta5_parts((8 * (1),), (256,), (w.dbeta5_parts, w.delta5, n), shared_mem=256 * w.itemsize)  # (50)
    k.backward_dbeta5((1,), (256,), (g["beta5"], w.dbeta5_parts))                             # (50)
    # ∂E/∂γ5[k] = Σₙᵢⱼ δ5[n,i,j,k] x̂5[n,i,j,k]  (51)
    k.backward_dgamma5_parts((8 * (1),), (256,), (w.dgamma5_parts, w.delta5, w.xhat5, n), shared_mem=256 * w.itemsize)  # (51)
    k.backward_dgamma5((1,), (256,), (g["gamma5"], w.dgamma5_parts))                          # (51)
    # ∂E/∂a4_2[n,i,j,k] = γ5[k] (225 N δ5[n,i,j,k] − Σ_mpq δ5[m,p,q,k] − (Σ_mpq δ5[m,p,q,k] x̂5[m,p,q,k]) x̂5[n,i,j,k])/(225 N √(v5[k] + 1e-5))  (56)
    k.backward_da4_2(((N * 7200 + 255) // 256,), (256,), (w.da4_2, p["gamma5"], w.delta5, g["gamma5"], w.xhat5, g["beta5"], w.v5, n))  # (56)
    # δ4[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a4[n,2i+u,2j+v,k]] ∂E/∂a4_2[n,i,j,k]) [a4[n,p,q,k] > 0]  (57)
    k.backward_delta4_sum_windows(((N * 28800 + 255) // 256,), (256,), (w.delta4_sum_windows, w.a4_2, w.a4, w.da4_2, n))  # (57)
    k.backward_delta4(((N * 28800 + 255) // 256,), (256,), (w.delta4, w.delta4_sum_windows, w.a4, n))  # (57)
    # ∂E/∂W4 = Σₙ δ4ₙ ⋆(p=1) z3ₙ  (58)
    k.backward_dW4_parts((5 * 64,), (256,), (w.dW4_parts, w.delta4, w.z3, n), shared_mem=1568 * w.itemsize)  # (58)
    k.backward_dW4((36,), (256,), (g["W4"], w.dW4_parts))                                     # (58)
    # ∂E/∂b4[k] = Σₙᵢⱼ δ4[n,i,j,k]  (59)
    k.backward_db4_parts((8 * (1),), (256,), (w.db4_parts, w.delta4, n), shared_mem=256 * w.itemsize)  # (59)
    k.backward_db4((1,), (256,), (g["b4"], w.db4_parts))                                      # (59)
    # δ3 = W4ᵀ ∗(p=1) δ4  (60)
    k.backward_delta3(((N * 900 + 63) // 64,), (256,), (w.delta3, w.delta4, p["W4"], n), shared_mem=1568 * w.itemsize)  # (60)
    # ∂E/∂β3[k] = Σₙᵢⱼ δ3[n,i,j,k]  (61)
    k.backward_dbeta3_parts((8 * (1),), (256,), (w.dbeta3_parts, w.delta3, n), shared_mem=256 * w.itemsize)  # (61)
    k.backward_dbeta3((1,), (256,), (g["beta3"], w.dbeta3_parts))                             # (61)
    # ∂E/∂γ3[k] = Σₙᵢⱼ δ3[n,i,j,k] x̂3[n,i,j,k]  (62)
    k.backward_dgamma3_parts((8 * (1),), (256,), (w.dgamma3_parts, w.delta3, w.xhat3, n), shared_mem=256 * w.itemsize)  # (62)
    k.backward_dgamma3((1,), (256,), (g["gamma3"], w.dgamma3_parts))                          # (62)
    # δ2[n,i,j,k] = γ3[k] m2[n,i,j,k] (900 N δ3[n,i,j,k] − Σ_mpq δ3[m,p,q,k] − (Σ_mpq δ3[m,p,q,k] x̂3[m,p,q,k]) x̂3[n,i,j,k]) [a2[n,i,j,k] > 0]/(720 N √(v3[k] + 1e-5))  (67)
    k.backward_delta2(((N * 28800 + 255) // 256,), (256,), (w.delta2, p["gamma3"], w.m2, w.delta3, g["gamma3"], w.xhat3, g["beta3"], w.v3, w.a2, n))  # (67)
    # ∂E/∂W2 = Σₙ δ2ₙ ⋆ z1ₙ  (68)
    k.backward_dW2_parts((64,), (256,), (w.dW2_parts, w.delta2, w.z1, n), shared_mem=1056 * w.itemsize)  # (68)
    k.backward_dW2((4,), (256,), (g["W2"], w.dW2_parts))                                      # (68)
    # ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]  (69)
    k.backward_db2_parts((8 * (1),), (256,), (w.db2_parts, w.delta2, n), shared_mem=256 * w.itemsize)  # (69)
    k.backward_db2((1,), (256,), (g["b2"], w.db2_parts))                                      # (69)
    # δ1 = W2ᵀ ∗ δ2  (70)
    k.backward_delta1(((N * 1024 + 15) // 16,), (256,), (w.delta1, w.delta2, p["W2"], n), shared_mem=544 * w.itemsize)  # (70)
    # ∂E/∂β1[k] = Σₙᵢⱼ δ1[n,i,j,k]  (71)
    k.backward_dbeta1_parts((128 * (1),), (256,), (w.dbeta1_parts, w.delta1, n), shared_mem=256 * w.itemsize)  # (71)
    k.backward_dbeta1((1,), (256,), (g["beta1"], w.dbeta1_parts))                             # (71)
    # ∂E/∂γ1[k] = Σₙᵢⱼ δ1[n,i,j,k] x̂1[n,i,j,k]  (72)
    k.backward_dgamma1_parts((128 * (1),), (256,), (w.dgamma1_parts, w.delta1, w.xhat1, n), shared_mem=256 * w.itemsize)  # (72)
    k.backward_dgamma1((1,), (256,), (g["gamma1"], w.dgamma1_parts))                          # (72)


# ---- Running statistics: what evaluation takes for those of the batch ------------------------------
def keep_statistics(p, x, w):
    k, n = w.k, np.int32(w.N)
    k.statistics_var1((1,), (256,), (p["mean1"], p["var1"], w.mu1, w.v1, n))                  # μ̄1 ← 0.9 μ̄1 + 0.1 μ1; v̄1 ← 0.9 v̄1 + 102.4 N v1/(1024 N − 1)  (78) (79)
    # μ̄3 ← 0.9 μ̄3 + 0.1 μ3; v̄3 ← 0.9 v̄3 + 90 N v3/(900 N − 1); μ̄5 ← 0.9 μ̄5 + 0.1 μ5; v̄5 ← 0.9 v̄5 + 22.5 N v5/(225 N − 1)  (80) (81) (82) (83)
    k.statistics_var5((1,), (256,), (p["mean3"], p["var3"], p["mean5"], p["var5"], w.mu3, w.v3, w.mu5, w.v5, n))  # (80) (81) (82) (83)


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
    k.update_eta((1,), (256,), (state["learning_rate"], state["steps"], state["step"]))       # ηₖ = η (cos(π (k − 1)/K) + 1)/2  (84)
    # m ← β1 m + (1 − β1) g; v ← β2 v + (1 − β2) g ⊙ g; θ ← θ − ηₖ m/((1 − β1^k) (√(v/(1 − β2^k)) + ε))  (85) (86) (87)
    k.update_theta((6407,), (256,), (state["m"], state["v"], theta, g, state["learning_rate"], state["step"]))  # (85) (86) (87)


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
    # ∂E/∂x[n,i,j,k] = γ1[k] (1024 N δ1[n,i,j,k] − Σ_mpq δ1[m,p,q,k] − (Σ_mpq δ1[m,p,q,k] x̂1[m,p,q,k]) x̂1[n,i,j,k])/(1024 N √(v1[k] + 1e-5))  (77)
    k.input_gradient_dx(((N * 3072 + 255) // 256,), (256,), (w.dx, p["gamma1"], w.delta1, g["gamma1"], w.xhat1, g["beta1"], w.v1, n))  # (77)
    return w.dx.copy()


def masks(N, seed=None):
    """Return by name the random masks, one row a sample, that a step with this seed draws."""
    k, n, seed = kernels(np.dtype(np.float32)), np.int32(N), seed_on_device(seed)
    w = types.SimpleNamespace(
        itemsize=4,
        m2=cp.empty((N, 30, 30, 32), np.uint8),
        m6=cp.empty((N, 3136), np.uint8),
        m7=cp.empty((N, 512), np.uint8),
    )
    k.forward_m2(((N * 28800 + 4095) // 4096,), (256,), (w.m2, seed, n))                      # a2_2 = (5/4) a2 ⊙ m2  (10)
    k.forward_m6(((N * 3136 + 4095) // 4096,), (256,), (w.m6, seed, n))                       # a6_4 = (5/4) a6_3 ⊙ m6  (29)
    k.forward_m7(((N * 512 + 4095) // 4096,), (256,), (w.m7, seed, n))                        # a7_2 = (5/4) a7 ⊙ m7  (33)
    return {"m2": w.m2.astype(bool), "m6": w.m6.astype(bool), "m7": w.m7.astype(bool)}


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
            w.m7,
            w.mu1_parts,
            x,
            w.mu1,
            w.v1_parts,
            w.v1,
            w.xhat1,
            w.z1,
            p["gamma1"],
            p["beta1"],
            w.a2,
            w.a2_2,
            p["W2"],
            p["b2"],
            w.mu3_parts,
            w.mu3,
            w.v3_parts,
            w.v3,
            w.xhat3,
            w.z3,
            p["gamma3"],
            p["beta3"],
            w.a4,
            p["W4"],
            p["b4"],
            w.a4_2,
            w.mu5_parts,
            w.mu5,
            w.v5_parts,
            w.v5,
            w.xhat5,
            w.z5,
            p["gamma5"],
            p["beta5"],
            w.a6,
            p["W6"],
            p["b6"],
            w.a6_2,
            w.a6_4,
            w.z7_parts,
            p["W7"],
            w.a7,
            w.a7_2,
            p["b7"],
            w.z8,
            p["W8"],
            p["b8"],
            w.a8_max,
            w.a8_exp,
            w.a8_sum,
            w.a8,
            w.T,
            t,
            w.E_sum,
            w.E,
            w.delta8,
            w.g["W8"],
            w.g["b8"],
            w.delta7,
            w.g["W7"],
            w.g["b7"],
            w.da6_3,
            w.delta6_sum_windows,
            w.delta6,
            w.dW6_parts,
            w.g["W6"],
            w.db6_parts,
            w.g["b6"],
            w.delta5,
            w.dbeta5_parts,
            w.g["beta5"],
            w.dgamma5_parts,
            w.g["gamma5"],
            w.da4_2,
            w.delta4_sum_windows,
            w.delta4,
            w.dW4_parts,
            w.g["W4"],
            w.db4_parts,
            w.g["b4"],
            w.delta3,
            w.dbeta3_parts,
            w.g["beta3"],
            w.dgamma3_parts,
            w.g["gamma3"],
            w.delta2,
            w.dW2_parts,
            w.g["W2"],
            w.db2_parts,
            w.g["b2"],
            w.delta1,
            w.dbeta1_parts,
            w.g["beta1"],
            w.dgamma1_parts,
            w.g["gamma1"],
            p["mean1"],
            p["var1"],
            p["mean3"],
            p["var3"],
            p["mean5"],
            p["var5"],
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
            each, shared = self.training, 16512 // 4 * self.training.x.dtype.itemsize
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
    parser = argparse.ArgumentParser(description="Train cifar10_cnn_79 on a GPU, and predict with what was trained.")
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
