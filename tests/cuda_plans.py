"""Hand-made plans of a tiny network, 5-4-3 with sigmoid and softmax, to hold the CUDA driver against."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from chainrule.codegen.ir.program import Program, Value
from chainrule.codegen.targets.cuda.plan import Buffer, Launch, Plan
from chainrule.derive.index import plain_name
from chainrule.derive.model import Spec
from chainrule.spec import load_spec

SPEC = """
spec_version = 1
name = "tiny"
description = "a network of the tests"

[input]
shape = [5]

[[layers]]
type = "dense"
units = 4
activation = "sigmoid"
{dropout}
[[layers]]
type = "dense"
units = 3
activation = "softmax"

[loss]
type = "cross_entropy"

[optimizer]
{optimizer}

[training]
batch_size = 4
epochs = 3
seed = 7
"""
SGD = 'type = "sgd"\nlearning_rate = 0.5'
ADAM = 'type = "adam"\nlearning_rate = 0.05'
COSINE = f'{ADAM}\nschedule = "cosine"'
DROPOUT = '\n[[layers]]\ntype = "dropout"\nrate = 0.25\n'

SOURCE = """
#ifndef REAL
#define REAL float
#endif
typedef REAL real;
#define HERE (blockIdx.x * blockDim.x + threadIdx.x)
#define EACH(i, count) for (int i = HERE; i < (count); i += gridDim.x * blockDim.x)

// m1 ~ Bernoulli(3/4), from a hash of the seed and the place                                 // {a1_2}
extern "C" __global__ void draw(unsigned char* m1, const unsigned long long* seed, int N)
{
    EACH(i, N * 4) m1[i] = ((seed[0] + (unsigned long long)i) * 2654435761ull >> 7) % 4 != 0;
}

extern "C" __global__ void dense1(real* a1, const real* x, const real* W1, const real* b1, int N)
{
    EACH(i, N * 4) {
        real z = b1[i % 4];
        for (int j = 0; j < 5; ++j) z += x[i / 4 * 5 + j] * W1[i % 4 * 5 + j];                  // {z1}
        a1[i] = 1 / (1 + exp(-z));                                                              // {a1}
    }
}

extern "C" __global__ void drop(real* a1_2, const real* a1, const unsigned char* m1, int N)
{
    EACH(i, N * 4) a1_2[i] = a1[i] * m1[i] * 4 / 3;                                             // {a1_2}
}

// a row of the softmax needs all of z: each thread has its z in shared memory
extern "C" __global__ void dense2(real* a2, const real* a1_2, const real* W2, const real* b2, int N)
{
    extern __shared__ __align__(16) unsigned char memory[];
    real* z = (real*)memory + threadIdx.x * 3;
    EACH(n, N) {
        real sum = 0, most = -1e30;
        for (int k = 0; k < 3; ++k) {
            z[k] = b2[k];
            for (int j = 0; j < 4; ++j) z[k] += a1_2[n * 4 + j] * W2[k * 4 + j];                // {z2}
            most = z[k] > most ? z[k] : most;
        }
        for (int k = 0; k < 3; ++k) sum += z[k] = exp(z[k] - most);
        for (int k = 0; k < 3; ++k) a2[n * 3 + k] = z[k] / sum;                                 // {a2}
    }
}

extern "C" __global__ void cross_entropy(real* E, real* T, const real* a2, const int* t, int N)
{
    EACH(one, 1) {
        real sum = 0;
        for (int n = 0; n < N; ++n) sum -= log(a2[n * 3 + t[n]]);
        E[0] = sum / N;                                                                         // {E}
    }
    EACH(i, N * 3) T[i] = i % 3 == t[i / 3];                                                    // {T}
}

extern "C" __global__ void delta2(real* d2, const real* a2, const real* T, int N)
{
    EACH(i, N * 3) d2[i] = (a2[i] - T[i]) / N;                                                  // {dz2}
}

extern "C" __global__ void delta1(real* d1, const real* d2, const real* W2, const real* a1{m1}, int N)
{
    EACH(i, N * 4) {
        real sum = 0;
        for (int k = 0; k < 3; ++k) sum += d2[i / 4 * 3 + k] * W2[k * 4 + i % 4];
        d1[i] = sum * a1[i] * (1 - a1[i]){m1_factor};                                           // {dz1}
    }
}

extern "C" __global__ void gradient2(real* dW, real* db, const real* d, const real* a, int N)
{
    EACH(i, 12) {
        dW[i] = 0;
        for (int n = 0; n < N; ++n) dW[i] += d[n * 3 + i / 4] * a[n * 4 + i % 4];               // {dW2}
    }
    EACH(k, 3) {
        db[k] = 0;
        for (int n = 0; n < N; ++n) db[k] += d[n * 3 + k];                                      // {db2}
    }
}

extern "C" __global__ void gradient1(real* dW, real* db, const real* d, const real* a, int N)
{
    EACH(i, 20) {
        dW[i] = 0;
        for (int n = 0; n < N; ++n) dW[i] += d[n * 4 + i / 5] * a[n * 5 + i % 5];               // {dW1}
    }
    EACH(k, 4) {
        db[k] = 0;
        for (int n = 0; n < N; ++n) db[k] += d[n * 4 + k];                                      // {db1}
    }
}

extern "C" __global__ void delta0(real* dx, const real* d1, const real* W1, int N)
{
    EACH(i, N * 5) {
        dx[i] = 0;
        for (int k = 0; k < 4; ++k) dx[i] += d1[i / 5 * 4 + k] * W1[k * 5 + i % 5];             // {dx}
    }
}
"""
UPDATES = {
    SGD: """
extern "C" __global__ void sgd(real* theta, const real* g)
{
    EACH(i, 39) theta[i] -= 0.5 * g[i];                                                         // {theta}
}
""",
    ADAM: """
extern "C" __global__ void adam(real* theta, real* m, real* v, const real* g, const int* step)
{
    const real left1 = 1 - pow(0.9, step[0]), left2 = 1 - pow(0.999, step[0]);
    EACH(i, 39) {
        m[i] = 0.9 * m[i] + (1 - 0.9) * g[i];                                                   // {m}
        v[i] = 0.999 * v[i] + (1 - 0.999) * g[i] * g[i];                                        // {v}
        theta[i] -= 0.05 / left1 * m[i] / (sqrt(v[i] / left2) + 1e-8);                          // {theta}
    }
}
""",
    COSINE: """
extern "C" __global__ void rate(double* eta, double* left, const int* step, const int* steps)
{
    eta[0] = 0.05 * (1 + cos(3.14159265358979323846 * (step[0] - 1) / steps[0])) / 2;           // {eta}
    left[0] = 1 - pow(0.9, step[0]);
    left[1] = 1 - pow(0.999, step[0]);
}

extern "C" __global__ void adam(real* theta, real* m, real* v, const real* g,
                                const double* eta, const double* left)
{
    EACH(i, 39) {
        m[i] = 0.9 * m[i] + (1 - 0.9) * g[i];                                                   // {m}
        v[i] = 0.999 * v[i] + (1 - 0.999) * g[i] * g[i];                                        // {v}
        theta[i] -= eta[0] / left[0] * m[i] / (sqrt(v[i] / left[1]) + 1e-8);                    // {theta}
    }
}
""",
}
UPDATE = {
    SGD: [("sgd", "theta g", "theta")],
    ADAM: [("adam", "theta m v g step", "m v theta")],
    COSINE: [("rate", "eta left step steps", "eta"), ("adam", "theta m v g eta left", "m v theta")],
}


def write_spec(folder: Path, optimizer: str = ADAM, dropout: bool = False) -> Path:
    """Write the spec and return its path."""
    path = folder / "tiny.toml"
    path.write_text(SPEC.format(optimizer=optimizer, dropout=DROPOUT if dropout else ""))
    return path


def spec(folder: Path, optimizer: str = ADAM, dropout: bool = False) -> Spec:
    """Return the spec, written to a folder."""
    return load_spec(write_spec(folder, optimizer, dropout))


def plan(program: Program, frame: object = None) -> Plan:
    """Return the plan of a spec of these; equations have the numbers that the program gives them."""
    dropout = "m1" in program.values
    (optimizer,) = (o for o in UPDATE if _is_of(program, o))
    numbers: dict[str, tuple[int, ...]] = {}
    for note in program.notes.values():
        numbers[note.symbol] = (*numbers.get(note.symbol, ()), note.number)
    source = SOURCE + UPDATES[optimizer]
    if dropout:
        m1 = {"m1": ", const unsigned char* m1", "m1_factor": " * m1[i] * 4 / 3"}
    else:
        m1 = {"m1": "", "m1_factor": ""}
        source = re.sub(r'(// m1 ~.*\n)?extern "C" __global__ void (draw|drop)\([^}]+}\n\n', "", source)
    shown = {symbol: " ".join(f"({n})" for n in found) for symbol, found in numbers.items()} | m1
    source = re.sub(r"\{(\w+)\}", lambda found: shown.get(found[1], found[0]), source)
    hidden = "a1_2" if dropout else "a1"
    mask = "m1 " if dropout else ""

    def launch(kernel: str, arguments: str, symbols: str, blocks: str = "(N + 3) / 4") -> Launch:
        shared = 8 * 3 * 4 if kernel == "dense2" else 0
        found = tuple(n for symbol in symbols.split() for n in numbers[symbol])
        text = "; ".join(program.notes[n].text for n in found)
        return Launch(kernel, tuple(arguments.split()), blocks, 8, shared, found, text)

    hidden_layer = launch("dense1", "a1 a0 W1 b1 N", "z1 a1")
    output_layer = launch("dense2", f"a2 {hidden} W2 b2 N", "z2 a2")
    drawn = [("draw", "m1 seed N", "a1_2"), ("drop", "a1_2 a1 m1 N", "a1_2")] if dropout else []
    launches = {
        "forward": (hidden_layer, *(launch(*each) for each in drawn), output_layer),
        "evaluation": (hidden_layer, launch("dense2", "a2 a1 W2 b2 N", "z2 a2")) if dropout else (),
        "loss": (launch("cross_entropy", "E T a2 t N", "T E", "2"),),
        "backward": (
            launch("delta2", "dz2 a2 T N", "dz2"),
            launch("gradient2", f"dW2 db2 dz2 {hidden} N", "dW2 db2", "1"),
            launch("delta1", f"dz1 dz2 W2 a1 {mask}N", "dz1", "N"),
            launch("gradient1", "dW1 db1 dz1 a0 N", "dW1 db1", "3"),
        ),
        "input_gradient": (launch("delta0", "dx dz1 W1 N", "dx"),),
        "statistics": (),
        "update": tuple(launch(k, a, s, "2") for k, a, s in UPDATE[optimizer]),
    }
    return Plan(source, launches, _buffers(program, optimizer), program.output, "E", "dx")


def _is_of(program: Program, optimizer: str) -> bool:
    return ("m" in program.values, "eta" in program.values) == (optimizer != SGD, optimizer == COSINE)


def _buffers(program: Program, optimizer: str) -> dict[str, Buffer]:
    def element(value: Value) -> str:
        if value.name == "eta":
            return "double"
        return "int" if value.integer else "unsigned char" if value.truth else "real"

    # a0 shows the input; T is no more needed when δ2 is there
    slots = {"a0": "x", "dz2": "T"}
    found = {
        name: Buffer(name, v.identifier, v.shape, v.kind, element(v), slots.get(name, ""), v.of)
        for name, v in ((plain_name(v.name), v) for v in program.values.values())
        if not name.endswith(("_sum", "_max", "_exp"))
    }
    if optimizer == COSINE:
        found["left"] = Buffer("left", "left", (2,), "local", "double")
    scalars = {"seed": "unsigned long long", "step": "int", "steps": "int"}
    return found | {name: Buffer(name, name, (), "scalar", kind) for name, kind in scalars.items()}


def draw(seed: int | None, stream: int, probability: float, out: np.ndarray) -> np.ndarray:
    """Do as the kernel of that name does: for the NumPy program, whose masks are others."""
    assert (stream, probability) == (0, 0.75)
    places = np.arange(out.size, dtype=np.uint64).reshape(out.shape) + np.uint64(seed or 0)
    out[...] = (places * np.uint64(2654435761) >> np.uint64(7)) % np.uint64(4) != 0
    return out
