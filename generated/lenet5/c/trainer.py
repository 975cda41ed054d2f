"""lenet5: 28x28x1-28x28x6-10x10x16-120-84-10, tanh, avg_pool2d, softmax; cross_entropy; adam; 61,706 parameters.

LeNet-5 with softmax outputs: 61,706 parameters

Generated from lenet5.toml (sha256 6279f96d); change the spec, not this file.  Needs NumPy and a C
compiler: trainer.c, beside this file, has the equations, and is compiled when it is first needed.
"""

import argparse
import collections
import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import math
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
import zipfile
from pathlib import Path

import numpy as np

# ---- Sizes and hyper-parameters --------------------------------------------------------------------
PARAMETERS = {
    "W1": (6, 5, 5, 1),
    "b1": (6,),
    "W2": (16, 5, 5, 6),
    "b2": (16,),
    "W3": (120, 400),
    "b3": (120,),
    "W4": (84, 120),
    "b4": (84,),
    "W5": (10, 84),
    "b5": (10,),
}
STATISTICS = {}
SHAPES = PARAMETERS | STATISTICS
SPEC = "6279f96df71382a799df743a994d633846108cc8778f1c0b8f1534f68d7c8c28"
COUNT = 61706
INPUT, OUTPUT = (28, 28, 1), (10,)
BATCH_SIZE, EPOCHS = 64, 12
AT_ONCE = 334  # samples that are evaluated at a time
LEARNING_RATE = 0.001  # as in trainer.c, which computes with it
BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-08


# ---- Threads: the same number adds up in the same order, and gives the same bits -------------------
def usable_threads():
    """Return $OPENBLAS_NUM_THREADS or $OMP_NUM_THREADS, else the cores that there are, at most 16."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        with contextlib.suppress(ValueError):
            if (count := int(os.environ.get(name, "").split(",")[0])) > 0:
                return min(count, 256)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # a container's share: "max", or µs of a period
        quota, period = map(int, Path("/sys/fs/cgroup/cpu.max").read_text().split())
        cores = min(cores, max(1, quota // period))
    return min(cores, 16)


THREADS = usable_threads()


# ---- The library: trainer.c, compiled for this machine when it is first needed ---------------------
NAME = "lenet5"
REAL = {"float32": "float", "float64": "double"}
# gcc 12 gives all vectors of an unrolled loop the first one's mask: loops are unrolled where trainer.c says so only
UNROLLED = ["--param=max-completely-peel-times=1"]
FLAGS = ["-O3", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", *UNROLLED, "-shared", "-fPIC", "-pthread", "-g0", "-s"]
PORTABLE = {  # by level, the best first: what gcc and zig call it, and the flags of the processors that have it
    "x86-64-v4": ("x86-64-v4", "x86_64_v4", "avx512f avx512bw avx512cd avx512dq avx512vl"),
    "x86-64-v3": ("x86-64-v3", "x86_64_v3", "avx avx2 bmi1 bmi2 f16c fma movbe"),
    "x86-64-v2": ("x86-64-v2", "x86_64_v2", "cx16 popcnt sse4_1 sse4_2 ssse3"),
    "aarch64": ("armv8-a", "generic", "asimd"),
}
SOURCE = Path(__file__).with_name("trainer.c")
MOST, ABANDONED = 100, 3600  # libraries that are kept; seconds after which a compiler's file is nobody's
VECTOR, PLACE, SIZE = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long
SAMPLES = (VECTOR, VECTOR, VECTOR, VECTOR, SIZE)  # theta, statistics, x, t or y, N
FUNCTIONS = {
    "bytes": (ctypes.c_size_t, SIZE, ctypes.c_int),
    "open": (PLACE, SIZE, ctypes.c_int),
    "close": (None, PLACE),
    "predict": (None, PLACE, VECTOR, VECTOR, VECTOR, SIZE, VECTOR),
    "loss": (ctypes.c_double, PLACE, *SAMPLES, ctypes.c_uint64),
    "evaluation_loss": (ctypes.c_double, PLACE, *SAMPLES),
    "loss_and_gradients": (ctypes.c_double, PLACE, *SAMPLES, ctypes.c_uint64, VECTOR),
    "input_gradient": (ctypes.c_double, PLACE, *SAMPLES, ctypes.c_uint64, VECTOR),
    "update": (None, PLACE, VECTOR, VECTOR, VECTOR, SIZE, SIZE, VECTOR),
    "step": (ctypes.c_double, PLACE, VECTOR, VECTOR, VECTOR, VECTOR, VECTOR, SIZE, ctypes.c_uint64, SIZE, SIZE, VECTOR),
}
COMPILING = threading.Lock()


class CompilerMissing(RuntimeError):
    """There is no C compiler, or none that compiles trainer.c."""


def compilers():
    """Return the C compilers that are asked, in that order, as commands: $CC alone, or those that are found."""
    try:
        named = shlex.split(os.environ.get("CC", ""))
    except ValueError as error:
        raise CompilerMissing(f"trainer.c is not compiled (CC={os.environ['CC']}: {error}): set CC to a command") from error
    if named:
        return [named]
    found = [[name] for name in ("gcc", "clang", "cc") if shutil.which(name)]
    return found + ([[sys.executable, "-m", "ziglang", "cc"]] if importlib.util.find_spec("ziglang") else [])


def is_zig(command):
    """Return whether a command is zig's compiler, which has names of its own for processors."""
    return any("zig" in Path(word).name for word in command)


def run_compiler(command):
    """Return what a compiler prints; raise CompilerMissing, with the first lines of what it says, if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=600)
    except subprocess.TimeoutExpired as error:
        raise CompilerMissing("is not done after ten minutes") from error
    except OSError as error:
        raise CompilerMissing("not found" if isinstance(error, FileNotFoundError) else error.strerror or error) from error
    if done.returncode:
        lines = [line.rstrip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        first = next((i for i, line in enumerate(lines) if "error" in line), 0)
        raise CompilerMissing("\n    ".join([f"ends with {done.returncode}", *lines[first : first + 3]]))
    return done.stdout


def version_of(command):
    """Return what a compiler says of itself, and that in short; raise CompilerMissing."""
    told = run_compiler([*command, "--version"])
    number = re.search(r"\d+(\.\d+)+", told)
    return told, " ".join(["zig's clang" if is_zig(command) else Path(command[0]).name, *([number[0]] if number else [])])


def processor():
    """Return the lines that tell this machine's processor from others: a library is compiled for one."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").split("\n\n")[0].splitlines()
        kept = ("model name", "flags", "Features", "CPU part", "CPU implementer")
        return [platform.machine(), *(line for line in lines if line.startswith(kept))]
    except OSError:
        return [platform.machine(), platform.processor()]


def source_key(*more):
    """Return a hash of trainer.c, its header, and more."""
    texts = [path.read_text(encoding="utf-8") for path in (SOURCE, SOURCE.with_suffix(".h"))]
    return hashlib.sha256("\0".join([*texts, *more]).encode()).hexdigest()


def cache_folder():
    """Return the folder of compiled libraries: $CHAINRULE_CACHE_C, or c in $CHAINRULE_CACHE, or in the user's cache."""
    if chosen := os.environ.get("CHAINRULE_CACHE_C"):
        return Path(chosen)
    caches = "~/Library/Caches" if sys.platform == "darwin" else os.environ.get("XDG_CACHE_HOME", "").strip() or "~/.cache"
    return Path(os.environ.get("CHAINRULE_CACHE") or Path(caches, "chainrule").expanduser(), "c")


def private(folder):
    """Return whether nobody else can have written the libraries of a folder: they are run."""
    found = os.stat(folder)
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & 0o022


def writable(folder):
    """Return a folder if libraries can be kept there, else a temporary one, which is told."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not private(folder):
            raise PermissionError(0, "others may write there")
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        print(f"{folder}: cannot be written ({error.strerror}): compiled into a temporary folder", file=sys.stderr)
        made = tempfile.TemporaryDirectory(prefix="chainrule-c-")
        writable.kept = made  # removed with the process
        os.environ["CHAINRULE_CACHE_C"] = made.name  # for other programs of this process
        return Path(made.name)


def prune(folder):
    """Remove the libraries that were not used for longest, and what compilers that were killed left."""
    with contextlib.suppress(OSError):
        found = sorted(folder.glob("*.so"), key=lambda path: path.stat().st_mtime, reverse=True)
        left = [path for path in folder.glob(".*.so") if time.time() - path.stat().st_mtime > ABANDONED]
        for path in [*(path for path in found if not path.name.startswith("."))][MOST:] + left:
            path.unlink(missing_ok=True)


def opened(path):
    """Return a library with its functions declared; raise OSError for what is none, or not whole."""
    content = path.read_bytes()
    if hashlib.sha256(content[:-32]).digest() != content[-32:]:
        raise OSError(f"{path}: not whole")
    found = ctypes.CDLL(str(path))
    for name, (result, *arguments) in FUNCTIONS.items():
        try:
            function = getattr(found, f"{NAME}_{name}")
        except AttributeError as error:
            raise OSError(f"{path}: has no {NAME}_{name}") from error
        function.restype, function.argtypes = result, arguments
        setattr(found, name, function)
    return found


def build(command, flags, dtype, path):
    """Compile trainer.c into a file that is whole or not there, its hash behind it; raise CompilerMissing."""
    handle, temporary = tempfile.mkstemp(prefix=f".{NAME}-", suffix=".so", dir=path.parent)
    os.close(handle)
    try:
        run_compiler([*command, *FLAGS, *flags, f"-DREAL={REAL[dtype]}", str(SOURCE), "-o", temporary, "-lm"])
        if not Path(temporary).stat().st_size:
            raise CompilerMissing("writes nothing")
        digest = hashlib.sha256(Path(temporary).read_bytes()).digest()
        with open(temporary, "ab") as file:
            file.write(digest)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


UNSAFE = {  # sums in another order, quotients as products, no infinities: exp and tanh here are wrong then
    *("-ffast-math", "-Ofast", "-funsafe-math-optimizations", "-fassociative-math", "-freciprocal-math"),
    *("-ffinite-math-only", "-fno-signed-zeros"),
}


def with_compiler(use):
    """Return use(command) of the first compiler that does not fail; raise CompilerMissing with what each says."""
    heads, said = [], []
    for command in compilers():
        try:
            if unsafe := UNSAFE.intersection(command):
                raise CompilerMissing(f"{min(unsafe)} would change what is computed")
            return use(command)
        except CompilerMissing as error:
            head, *lines = str(error).splitlines()
            heads.append(f"{shlex.join(command)}: {head}")
            said += lines
    chosen = os.environ.get("CC", "").strip()
    if chosen:
        remedy = "set CC to a C compiler that works, or unset it"
    elif heads:
        remedy = "generate it anew if it was edited, set CC to another compiler, or pip install 'chainrule[c]'"
    else:
        remedy = "pip install 'chainrule[c]' brings one"
    why = "; ".join(heads) or "no gcc, clang or cc is found"
    raise CompilerMissing("\n".join([f"trainer.c is not compiled ({why}): {remedy}; or use --target numpy", *said]))


def compiled(dtype):
    """Return the library of a dtype, its path and its compiler, kept or compiled now; raise CompilerMissing."""
    for level in levels():
        with contextlib.suppress(OSError):
            return opened(path := portable_path(dtype, level)), path, f"compiled for {level}"

    def use(command):
        tuned = ["-mcpu=native" if is_zig(command) or platform.machine() in ("aarch64", "arm64") else "-march=native"]
        version, told = version_of(command)
        identity = (shutil.which(command[0]) or "", *command, version, *FLAGS, *tuned, *processor())
        path = cache_folder() / f"{NAME}-{dtype}-{source_key(*identity)}.so"
        with contextlib.suppress(OSError):
            if private(path.parent):
                found = opened(path)
                with contextlib.suppress(OSError):
                    os.utime(path)  # was used
                return found, path, told
        path = writable(path.parent) / path.name
        build(command, tuned, dtype, path)
        prune(path.parent)
        return opened(path), path, told

    return with_compiler(use)


# ---- Libraries for other machines, beside this file: `derive generate --target c --portable` -------
def levels():
    """Return the levels that this machine's processor has, the best first."""
    words = set(" ".join(processor()).split())
    kind = "aarch64" if words & {"aarch64", "arm64"} else "x86-64"
    return [level for level, (*_, flags) in PORTABLE.items() if level.startswith(kind) and words.issuperset(flags.split())]


def portable_path(dtype, level):
    """Return where the library of a dtype for a level lies, once it is compiled from this trainer.c."""
    return SOURCE.with_name(f"{NAME}-{dtype}-{level}-{source_key()[:16]}.so")


def portable():
    """Compile a library for each level, those of other processors too with zig; return paths and compiler."""

    def use(command):
        zig, told = is_zig(command) and sys.platform == "linux", version_of(command)[1]
        kind = "aarch64" if platform.machine() in ("aarch64", "arm64") else "x86-64"
        made = []
        for level, (march, mcpu, _) in PORTABLE.items():
            if not zig and not level.startswith(kind):
                continue
            system = f"{'aarch64' if level == 'aarch64' else 'x86_64'}-linux-gnu.2.17"
            flags = ["-target", system, f"-mcpu={mcpu}"] if zig else [f"-march={march}"]
            for dtype in REAL:
                made.append(portable_path(dtype, level))
                build(command, flags, dtype, made[-1])
        for path in SOURCE.parent.glob(f"{NAME}-*.so"):
            if path not in made:
                path.unlink()  # of an earlier trainer.c
        return made, told

    return with_compiler(use)


@functools.cache
def kept(dtype):
    return compiled(dtype)


def library(dtype):
    """Return the library of a dtype, compiled where no other process has done it; raise CompilerMissing."""
    with COMPILING:
        return kept(np.dtype(dtype).name)[0]


def library_found(dtype=np.float32):
    """Return where the library of a dtype lies and its compiler, compiled if need be; raise CompilerMissing."""
    with COMPILING:
        return kept(np.dtype(dtype).name)[1:]


# ---- Workspace: the library's memory for some samples, lent to one call at a time -------------------
class Workspace:
    def __init__(self, N, dtype):
        self.N, self.dtype, self.library = N, dtype, library(dtype)
        self.place = self.library.open(N, THREADS)
        if not self.place:
            raise MemoryError(f"no memory for {N} samples")

    def __getattr__(self, name):
        """Return a function of the library that is given this memory."""
        return functools.partial(getattr(self.library, name), self.place)

    def __del__(self):
        if self.__dict__.get("place"):
            self.library.close(self.place)


KEPT = 4  # workspaces that wait for the next call, at most
IDLE = collections.defaultdict(lambda: collections.deque(maxlen=KEPT))  # by dtype, those that wait


def workspace(N, dtype):
    """Return memory for N samples or more that no other call uses until it is given back."""
    try:
        w = IDLE[dtype].pop()
    except IndexError:
        return Workspace(max(N, 1), dtype)
    return w if w.N >= N else Workspace(N, dtype)


def give_back(w):
    """Let other calls use this memory."""
    IDLE[w.dtype].append(w)


def forget():
    """Give up, in a forked process, memory whose threads stayed behind."""
    for waiting in IDLE.values():
        for w in waiting:
            w.place = None
    IDLE.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)


# ---- Parameters: views into one flat vector --------------------------------------------------------
def views(vector, shapes=PARAMETERS):
    """Return the parts of a flat vector by name, each in its shape."""
    parts, start = {}, 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        parts[name] = vector[start:stop].reshape(shape)
        start = stop
    return parts


KNOWN = {}  # by what was asked: the arrays it was asked of, and the answer, which holds for these


def known(question, arrays, answer):
    """Return what `answer` finds out about arrays, found out once for as long as they are the same."""
    asked, found = KNOWN.get(question, ((), None))
    if len(asked) == len(arrays):
        for before, array in zip(asked, arrays):
            if before() is not array:
                break
        else:
            return found
    found = answer()
    KNOWN[question] = tuple(map(weakref.ref, arrays)), found
    return found


def flat(parts, shapes=PARAMETERS):
    """Return the flat vector that arrays are the views of, or None where they are arrays of their own."""
    found = known(id(shapes), [parts[name] for name in shapes], lambda: find_flat(parts, shapes))
    return None if found is None else found()


def find_flat(parts, shapes):
    """Return a weak reference to the vector that arrays are the views of, None where there is none."""
    vector, start = parts[next(iter(shapes))].base, 0
    if vector is None or vector.shape != (sum(map(math.prod, shapes.values())),) or not vector.flags.c_contiguous:
        return None
    origin = vector.__array_interface__["data"][0]
    for name, shape in shapes.items():
        part = parts[name]
        if part.base is not vector or part.__array_interface__["data"][0] != origin + start * vector.itemsize:
            return None
        start += math.prod(shape)
    return weakref.ref(vector)


def joined(parts, shapes=PARAMETERS):
    """Return the flat vector of arrays: theirs, or a copy where they are arrays of their own."""
    if not shapes:
        return None
    vector = flat(parts, shapes)
    return np.concatenate([parts[name].ravel() for name in shapes]) if vector is None else vector


def copy_back(vector, parts, shapes=PARAMETERS):
    """Copy a flat vector's values to arrays where they are no views of it."""
    if shapes and flat(parts, shapes) is not vector:
        for name, values in views(vector, shapes).items():
            parts[name][...] = values


def init_parameters(seed=0, dtype=np.float32):
    """Return starting parameters by name, drawn with a seed: those of numpy_trainer.py."""
    rng = np.random.default_rng(seed)
    p = views(np.empty(COUNT, dtype))
    p["W1"][...] = rng.uniform(-1, 1, (6, 5, 5, 1)) * math.sqrt(6 / (25 + 150))    # glorot_uniform
    p["b1"][...] = 0
    p["W2"][...] = rng.uniform(-1, 1, (16, 5, 5, 6)) * math.sqrt(6 / (150 + 400))    # glorot_uniform
    p["b2"][...] = 0
    p["W3"][...] = rng.uniform(-1, 1, (120, 400)) * math.sqrt(6 / (400 + 120))    # glorot_uniform
    p["b3"][...] = 0
    p["W4"][...] = rng.uniform(-1, 1, (84, 120)) * math.sqrt(6 / (120 + 84))    # glorot_uniform
    p["b4"][...] = 0
    p["W5"][...] = rng.uniform(-1, 1, (10, 84)) * math.sqrt(6 / (84 + 10))    # glorot_uniform
    p["b5"][...] = 0
    return p


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
    """Return inputs and targets as the library reads them; raise ValueError for what the network cannot take."""
    dtype = dtype_of(parameters)
    if dtype.name not in REAL or not dtype.isnative:
        raise ValueError(f"parameters have dtype {dtype}; expected {' or '.join(REAL)}")
    x = np.asarray(x, dtype)
    require_inputs(x)
    if t is not None:
        t = np.ascontiguousarray(labels_of(t, len(x)), np.int32)
    return np.ascontiguousarray(x), t


# ---- What a user of this module calls, from any number of threads at once --------------------------
def address(array):
    """Return where a contiguous array's values lie, or None for none."""
    return None if array is None else array.__array_interface__["data"][0]


def called(name, parameters, x, t, *rest):
    """Return what a function of the library computes from parameters, inputs and targets."""
    theta, statistics = joined(parameters), joined(parameters, STATISTICS)
    w = workspace(len(x), x.dtype)
    found = getattr(w, name)(address(theta), address(statistics), address(x), address(t), len(x), *rest)
    give_back(w)
    return found


def predict(parameters, x):
    """Return the outputs, (N, 10), for inputs (N, 28, 28, 1)."""
    x, _ = prepare(parameters, x)
    theta, statistics, y = joined(parameters), joined(parameters, STATISTICS), np.empty((len(x), *OUTPUT), x.dtype)
    for s in parts(len(x)):
        w = workspace(len(x[s]), x.dtype)
        w.predict(address(theta), address(statistics), address(x[s]), len(x[s]), address(y[s]))
        give_back(w)
    return y


def loss(parameters, x, t):
    """Return the loss of a batch, in training mode."""
    x, t = prepare(parameters, x, t)
    return called("loss", parameters, x, t, 0)


def evaluation_loss(parameters, x, t):
    """Return the loss of a batch, in evaluation mode."""
    x, t = prepare(parameters, x, t)
    return sum(called("evaluation_loss", parameters, x[s], t[s]) * len(x[s]) for s in parts(len(x))) / len(x)


def loss_and_gradients(parameters, x, t, seed=None):
    """Return the loss of a batch and its gradient by parameter; changes nothing."""
    x, t = prepare(parameters, x, t)
    gradient = np.empty(COUNT, x.dtype)
    E = called("loss_and_gradients", parameters, x, t, 0, address(gradient))
    return E, views(gradient)


def input_gradient(parameters, x, t, seed=None):
    """Return the gradient of the loss with respect to the inputs, in their shape."""
    x, t = prepare(parameters, x, t)
    dx = np.empty(x.shape, x.dtype)
    called("input_gradient", parameters, x, t, 0, address(dx))
    return dx


@functools.cache
def numpy_program():
    """Return numpy_trainer.py of the folder above as a module."""
    place = Path(__file__).parent.with_name("numpy_trainer.py")
    spec = importlib.util.spec_from_file_location(f"{NAME}_numpy_trainer", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def branches(parameters, x, t):
    """Return on which side of each kink of the loss every value lies, as numpy_trainer.py finds it."""
    return numpy_program().branches(parameters, x, t)


def init_optimizer(parameters):
    """Return the optimizer's state before the first step."""
    dtype = next(iter(parameters.values())).dtype
    return {
        "step": 0,
        "m": np.zeros(COUNT, dtype),
        "v": np.zeros(COUNT, dtype),
    }


STATE = ("m", "v", )


def changed(vectors):
    """Return where vectors lie that a step changes, the parameters first; raise ValueError where it may not."""
    for name, vector in zip(("parameters", *STATE), vectors):
        if vector.dtype != vectors[0].dtype or vector.shape != (COUNT,) or not vector.flags.carray:
            raise ValueError(f"{name}: a step changes {COUNT} writable {vectors[0].dtype} values in a row")
    return (ctypes.c_void_p * len(vectors))(*map(address, vectors[1:]))


def stepped(function, theta, state, given):
    """Take the optimizer's next step by a function of the library; return what it returns."""
    arrays = [theta, *(state[name] for name in STATE)]
    vectors = known("changed", arrays, lambda: changed(arrays))
    rate = ctypes.c_double(0)
    found = function(*given(vectors, state.get("step", 0) + 1, state.get("steps", 1000), ctypes.addressof(rate)))
    state["step"] += 1
    return found


def update(parameters, gradients, state):
    """Change the parameters and the optimizer's state in place by one step."""
    dtype = dtype_of(parameters)
    dtype_of(gradients, PARAMETERS, "gradients")
    theta, g, w = joined(parameters), joined(gradients).astype(dtype, copy=False), workspace(1, dtype)
    stepped(w.update, theta, state, lambda vectors, *rest: (address(theta), address(g), vectors, *rest))
    give_back(w)
    copy_back(theta, parameters)


def train_step(parameters, x, t, state, seed=None):
    """Take one whole step on a batch, in place; return the loss before it."""
    x, t = prepare(parameters, x, t)
    theta, statistics, w = joined(parameters), joined(parameters, STATISTICS), workspace(len(x), x.dtype)
    seed = 0
    own = known("theta", [theta], lambda: address(theta)), address(statistics)
    E = stepped(w.step, theta, state, lambda vectors, *rest: (*own, vectors, address(x), address(t), len(x), seed, *rest))
    give_back(w)
    copy_back(theta, parameters)
    copy_back(statistics, parameters, STATISTICS)
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
    parser = argparse.ArgumentParser(description="Train lenet5, and predict with what was trained.")
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
    except CompilerMissing as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(3)
    except (ValueError, ArithmeticError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(3 if isinstance(error, DataFault) else 1 if isinstance(error, ArithmeticError) else 2)


if __name__ == "__main__":
    main()
