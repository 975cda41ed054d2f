// or_gate: the kernels of its training program, launched by trainer.py.
//
// 2-1, sigmoid; mse; sgd; 3 parameters
//
// Generated from or.toml (sha256 806be74d); change the spec, not this file.  A number in
// parentheses is that of an equation in equations.tex.  Everything is written in `real`: float, or double
// with -DREAL=double.  A kernel computes the same whatever the number of its blocks, and in the same order
// of additions at every launch.

#ifndef REAL
#define REAL float
#endif
typedef REAL real;
typedef unsigned long long uint64;

#define THREADS 256                                     // of every block
#ifdef PERSISTENT                                       // kernels are phases of the one at the end of this file
#define KERNEL __device__ __noinline__ void
#define RESTRICT
#else
#define KERNEL extern "C" __global__ void __launch_bounds__(THREADS, 2)
#define RESTRICT __restrict__
#endif

constexpr double LEARNING_RATE = 1.0;

// ---- Scalars ------------------------------------------------------------------------------------------------

__device__ inline real square(real u) { return u * u; }
__device__ inline real maximum(real a, real b) { return a > b || a != a ? a : b; }      // a NaN stays one
__device__ inline real minimum(real a, real b) { return a < b || a != a ? a : b; }
__device__ inline real sign(real u) { return u != u ? u : real((u > 0) - (u < 0)); }
__device__ inline real sigmoid(real u) { return 1 / (1 + exp(-u)); }                    // σ(u)
__device__ inline real softplus(real u) { return maximum(u, real(0)) + log1p(exp(-fabs(u))); }  // log(1 + e^u)
__device__ inline real logcosh(real u) {                                                // log cosh u
    return fabs(u) < 1 ? log1p(2 * square(sinh(u / 2))) : fabs(u) + log1p(expm1(-2 * fabs(u)) / 2);
}
__device__ inline bool inside(int i, int size) { return 0 <= i && i < size; }

// ---- Products: tiles of C = A B in registers, slabs of A and B in shared memory ------------------------------
//
// A block computes a tile of TILE_ROWS x TILE_COLUMNS entries, a thread every 16th row and column of it.  Slab
// by slab of DEPTH terms, its threads fetch A and B, wait for each other, and add up what the slab gives.  What A
// and B are is for left(batch, row, term) and right(batch, term, column) to say: a convolution's windows are
// read where they lie.  With more than one part, part p adds up its share of the terms only.
template <int TILE_ROWS, int TILE_COLUMNS, int DEPTH, bool LEFT_BY_ROW, bool RIGHT_BY_COLUMN,
          class Left, class Right, class Store>
__device__ inline void product(int batches, int rows, int columns, int terms, int parts, real* shared,
                               Left left, Right right, Store store) {
    constexpr int R = TILE_ROWS / 16, C = TILE_COLUMNS / 16;
    real (*a)[TILE_ROWS + 1] = (real (*)[TILE_ROWS + 1]) shared;
    real (*b)[TILE_COLUMNS + 1] = (real (*)[TILE_COLUMNS + 1]) (shared + DEPTH * (TILE_ROWS + 1));
    const int down = (rows + TILE_ROWS - 1) / TILE_ROWS, across = (columns + TILE_COLUMNS - 1) / TILE_COLUMNS;
    const int share = ((terms + parts - 1) / parts + DEPTH - 1) / DEPTH * DEPTH;
    const int x = threadIdx.x % 16, y = threadIdx.x / 16;

    for (int tile = blockIdx.x; tile < batches * parts * down * across; tile += gridDim.x) {
        const int column0 = tile % across * TILE_COLUMNS, row0 = tile / across % down * TILE_ROWS;
        const int part = tile / (across * down) % parts, batch = tile / (across * down * parts);
        const int first = part * share, last = first + share < terms ? first + share : terms;
        real sum[R][C] = {};

        for (int term0 = first; term0 < last; term0 += DEPTH) {
            for (int at = threadIdx.x; at < TILE_ROWS * DEPTH; at += THREADS) {
                const int r = LEFT_BY_ROW ? at % TILE_ROWS : at / DEPTH, d = LEFT_BY_ROW ? at / TILE_ROWS : at % DEPTH;
                a[d][r] = row0 + r < rows && term0 + d < last ? left(batch, row0 + r, term0 + d) : real(0);
            }
            for (int at = threadIdx.x; at < DEPTH * TILE_COLUMNS; at += THREADS) {
                const int c = RIGHT_BY_COLUMN ? at % TILE_COLUMNS : at / DEPTH;
                const int d = RIGHT_BY_COLUMN ? at / TILE_COLUMNS : at % DEPTH;
                b[d][c] = column0 + c < columns && term0 + d < last ? right(batch, term0 + d, column0 + c) : real(0);
            }
            __syncthreads();
#pragma unroll
            for (int d = 0; d < DEPTH; ++d) {
                real u[R], v[C];
#pragma unroll
                for (int i = 0; i < R; ++i) u[i] = a[d][y + 16 * i];
#pragma unroll
                for (int j = 0; j < C; ++j) v[j] = b[d][x + 16 * j];
#pragma unroll
                for (int i = 0; i < R; ++i)
#pragma unroll
                    for (int j = 0; j < C; ++j) sum[i][j] += u[i] * v[j];
            }
            __syncthreads();
        }
#pragma unroll
        for (int i = 0; i < R; ++i)
#pragma unroll
            for (int j = 0; j < C; ++j) {
                const int row = row0 + y + 16 * i, column = column0 + x + 16 * j;
                if (row < rows && column < columns) store(part, batch, row, column, sum[i][j]);
            }
    }
}

// ---- Reductions: LANES threads a group, then a tree, in the same order at every launch -----------------------
//
// A block works on THREADS / LANES groups at a time.  With ACROSS, neighbouring threads take neighbouring groups
// (they read neighbouring entries where the groups run fastest in memory), else neighbouring terms.
struct Sum {
    __device__ static real start() { return 0; }
    __device__ static real join(real a, real b) { return a + b; }
};
struct Max {
    __device__ static real start() { return real(-1) / real(0); }
    __device__ static real join(real a, real b) { return maximum(a, b); }
};

template <class Operation, int LANES, bool ACROSS, class Load, class Store>
__device__ inline void reduction(int groups, int terms, int parts, real* shared, Load load, Store store) {
    constexpr int GROUPS = THREADS / LANES;
    const int lane = ACROSS ? threadIdx.x / GROUPS : threadIdx.x % LANES;
    const int own = ACROSS ? threadIdx.x % GROUPS : threadIdx.x / LANES;
    const int sets = (groups + GROUPS - 1) / GROUPS, share = (terms + parts - 1) / parts;

    for (int set = blockIdx.x; set < sets * parts; set += gridDim.x) {
        const int part = set / sets, group = set % sets * GROUPS + own;
        const int last = (part + 1) * share < terms ? (part + 1) * share : terms;
        real found = Operation::start();
        if (group < groups)
            for (int term = part * share + lane; term < last; term += LANES)
                found = Operation::join(found, load(group, term));
        shared[lane * GROUPS + own] = found;
        __syncthreads();
#pragma unroll
        for (int half = LANES / 2; half; half /= 2) {
            if (lane < half)
                shared[lane * GROUPS + own] =
                    Operation::join(shared[lane * GROUPS + own], shared[(lane + half) * GROUPS + own]);
            __syncthreads();
        }
        if (lane == 0 && group < groups) store(part, group, shared[own]);
        __syncthreads();
    }
}

// ---- Forward ---------------------------------------------------------------------------------------------

// z1 = W1 a0 + b1    (N, 1) (2)
// a1 = σ(z1)    (N, 1) (3)
// One thread an element of (N, 1).
KERNEL forward_a1(real* RESTRICT a1, const real* RESTRICT W1, const real* RESTRICT x, const real* RESTRICT b1,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < N; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int j = 0; j < 2; ++j)
            total += W1[j] * x[at * 2 + j];
        real z1 = total;  // (2)
        z1 = b1[0] + z1;  // (2)
        a1[at] = sigmoid(z1);  // (3)
    }
}

// ---- Loss ------------------------------------------------------------------------------------------------

// E = (1/(2 N)) Σₙ ‖a1ₙ − tₙ‖²    () (4)
// One group of threads an element of (): (N, 1) terms.
KERNEL loss_E(double* RESTRICT E, const real* RESTRICT a1, const real* RESTRICT t, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return real(0.5) * square(a1[term] - t[term]); };
    auto store = [&](int part, int row, real sum) {
        E[0] = real(1. / N) * sum;  // (4)
    };
    reduction<Sum, 256, false>(1, N, 1, shared, load, store);
}

// ---- Backward --------------------------------------------------------------------------------------------

// δ1 = (a1 − t) ⊙ a1 ⊙ (1 − a1)/N    (N, 1) (5)
// One thread an element of (N, 1).
KERNEL backward_delta1(real* RESTRICT delta1, const real* RESTRICT a1, const real* RESTRICT t, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < N; at += gridDim.x * THREADS) {
        delta1[at] = real(1. / N) * a1[at] * (1 - a1[at]) * (a1[at] - t[at]);  // (5)
    }
}

// ∂E/∂W1 = Σₙ δ1ₙ a0ₙᵀ    (1, 2) (6)
// One group of threads an element of (1, 2): (N,) terms.
KERNEL backward_dW1(real* RESTRICT dW1, const real* RESTRICT delta1, const real* RESTRICT x, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta1[term] * x[term * 2 + row]; };
    auto store = [&](int part, int row, real sum) {
        dW1[row] = sum;  // (6)
    };
    reduction<Sum, 32, false>(2, N, 1, shared, load, store);
}

// ∂E/∂b1 = Σₙ δ1ₙ    (1,) (7)
// One group of threads an element of (1,): (N,) terms.
KERNEL backward_db1(real* RESTRICT db1, const real* RESTRICT delta1, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta1[term]; };
    auto store = [&](int part, int row, real sum) {
        db1[0] = sum;  // (7)
    };
    reduction<Sum, 256, false>(1, N, 1, shared, load, store);
}

// ---- Input gradient --------------------------------------------------------------------------------------

// ∂E/∂x = W1ᵀ δ1    (N, 2) (8)
// One thread an element of (N, 2).
KERNEL input_gradient_dx(real* RESTRICT dx, const real* RESTRICT W1, const real* RESTRICT delta1, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 2 * N; at += gridDim.x * THREADS) {
        const int n = at / 2, j = at % 2;
        real total = real(0);
        for (int k = 0; k < 1; ++k)
            total += W1[j] * delta1[n];
        dx[at] = total;  // (8)
    }
}

// ---- Update ----------------------------------------------------------------------------------------------

// θ ← θ − η g    (3,) (9)
// One thread an element of (3,).
KERNEL update_theta(real* RESTRICT theta, const real* RESTRICT g) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3; at += gridDim.x * THREADS) {
        theta[at] = theta[at] - real(LEARNING_RATE) * g[at];  // (9)
    }
}

#ifdef PERSISTENT

#ifdef CUDA_ON_CPU  // a harness that runs kernels without a device
#define grid_sync(barrier) cuda_on_cpu::grid_sync()
#else
// All blocks wait for each other; `barrier` starts at 0 and only ever counts up.
__device__ inline void grid_sync(unsigned* barrier) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        const unsigned arrived = atomicAdd(barrier, 1u);
        const unsigned all = (arrived / gridDim.x + 1) * gridDim.x;
        while (int(*(volatile unsigned*) barrier - all) < 0) {}
        __threadfence();
    }
    __syncthreads();
}
#endif

// `count` steps on batches of N samples, in one cooperative launch: sample n of step s is number
// order[s * N + n] of the data set.  `memory` holds the tensors' addresses in the driver's order;
// they are read where they are used, which leaves registers to phases.  total[0] adds up losses.
extern "C" __global__ void __launch_bounds__(THREADS, 1) steps(const uint64* memory, const real* inputs,
        const real* targets, const int* order, const uint64* seeds, double* total, unsigned* barrier, int count,
        int N) {
    auto a1 = [&] { return (real*) memory[0]; };
    auto W1 = [&] { return (real*) memory[1]; };
    auto x = [&] { return (real*) memory[2]; };
    auto b1 = [&] { return (real*) memory[3]; };
    auto E = [&] { return (double*) memory[4]; };
    auto t = [&] { return (real*) memory[5]; };
    auto delta1 = [&] { return (real*) memory[6]; };
    auto dW1 = [&] { return (real*) memory[7]; };
    auto db1 = [&] { return (real*) memory[8]; };
    auto theta = [&] { return (real*) memory[9]; };
    auto g = [&] { return (real*) memory[10]; };

    for (int s = 0; s < count; ++s) {
        // The batch, and what changes from step to step.
        auto x_here = x();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N * 2; at += gridDim.x * THREADS) x_here[at] = inputs[(long long) order[s * N + at / 2] * 2 + at % 2];
        auto t_here = t();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N; at += gridDim.x * THREADS) t_here[at] = targets[order[s * N + at]];
        grid_sync(barrier);

        forward_a1(a1(), W1(), x(), b1(), N);  // (2) (3)
        grid_sync(barrier);
        loss_E(E(), a1(), t(), N);  // (4)
        backward_delta1(delta1(), a1(), t(), N);  // (5)
        grid_sync(barrier);
        backward_dW1(dW1(), delta1(), x(), N);  // (6)
        backward_db1(db1(), delta1(), N);  // (7)
        grid_sync(barrier);
        update_theta(theta(), g());  // (9)
        grid_sync(barrier);
        if (blockIdx.x == 0 && threadIdx.x == 0) total[0] += E()[0] * N;
    }
}

#endif
