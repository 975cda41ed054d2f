// xor_no_bias: the kernels of its training program, launched by trainer.py.
//
// 2-3-1, sigmoid; mse; sgd; 9 parameters
//
// Generated from xor_no_bias.toml (sha256 b56b6e7c); change the spec, not this file.  A number in
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

constexpr double LEARNING_RATE = 0.1;

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

// z1 = W1 a0    (N, 3) (2)
// a1 = σ(z1)    (N, 3) (3)
// One block a tile, (N x 2) (2 x 3).
KERNEL forward_a1(real* RESTRICT a1, const real* RESTRICT x, const real* RESTRICT W1, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return x[row * 2 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W1[column * 2 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        a1[row * 3 + column] = sigmoid(sum);  // (3)
    };
    product<16, 16, 16, false, false>(1, N, 3, 2, 1, shared, left, right, store);
}

// z2 = W2 a1    (N, 1) (4)
// a2 = σ(z2)    (N, 1) (5)
// One thread an element of (N, 1).
KERNEL forward_a2(real* RESTRICT a2, const real* RESTRICT W2, const real* RESTRICT a1, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < N; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int j = 0; j < 3; ++j)
            total += W2[j] * a1[at * 3 + j];
        real z2 = total;  // (4)
        a2[at] = sigmoid(z2);  // (5)
    }
}

// ---- Loss ------------------------------------------------------------------------------------------------

// E = (1/2) Σₙ ‖a2ₙ − tₙ‖²    () (6)
// One group of threads an element of (): (N, 1) terms.
KERNEL loss_E(double* RESTRICT E, const real* RESTRICT a2, const real* RESTRICT t, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return real(0.5) * square(a2[term] - t[term]); };
    auto store = [&](int part, int row, real sum) {
        E[0] = sum;  // (6)
    };
    reduction<Sum, 256, false>(1, N, 1, shared, load, store);
}

// ---- Backward --------------------------------------------------------------------------------------------

// δ2 = (a2 − t) ⊙ a2 ⊙ (1 − a2)    (N, 1) (7)
// One thread an element of (N, 1).
KERNEL backward_delta2(real* RESTRICT delta2, const real* RESTRICT a2, const real* RESTRICT t, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < N; at += gridDim.x * THREADS) {
        delta2[at] = a2[at] * (1 - a2[at]) * (a2[at] - t[at]);  // (7)
    }
}

// ∂E/∂W2 = Σₙ δ2ₙ a1ₙᵀ    (1, 3) (8)
// One group of threads an element of (1, 3): (N,) terms.
KERNEL backward_dW2(real* RESTRICT dW2, const real* RESTRICT a1, const real* RESTRICT delta2, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return a1[term * 3 + row] * delta2[term]; };
    auto store = [&](int part, int row, real sum) {
        dW2[row] = sum;  // (8)
    };
    reduction<Sum, 32, false>(3, N, 1, shared, load, store);
}

// δ1 = (W2ᵀ δ2) ⊙ a1 ⊙ (1 − a1)    (N, 3) (9)
// One thread an element of (N, 3).
KERNEL backward_delta1(real* RESTRICT delta1, const real* RESTRICT W2, const real* RESTRICT delta2,
        const real* RESTRICT a1, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3 * N; at += gridDim.x * THREADS) {
        const int n = at / 3, j = at % 3;
        real total = real(0);
        for (int k = 0; k < 1; ++k)
            total += W2[j] * delta2[n];
        real delta1_2 = total;  // (9)
        delta1[at] = a1[at] * delta1_2 * (1 - a1[at]);  // (9)
    }
}

// ∂E/∂W1 = Σₙ δ1ₙ a0ₙᵀ    (3, 2) (10)
// One block a tile, (3 x N) (N x 2).
KERNEL backward_dW1(real* RESTRICT dW1, const real* RESTRICT delta1, const real* RESTRICT x, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta1[term * 3 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return x[term * 2 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW1[row * 2 + column] = sum;  // (10)
    };
    product<16, 16, 16, true, true>(1, 3, 2, N, 1, shared, left, right, store);
}

// ---- Input gradient --------------------------------------------------------------------------------------

// ∂E/∂x = W1ᵀ δ1    (N, 2) (11)
// One block a tile, (N x 3) (3 x 2).
KERNEL input_gradient_dx(real* RESTRICT dx, const real* RESTRICT delta1, const real* RESTRICT W1, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta1[row * 3 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W1[term * 2 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dx[row * 2 + column] = sum;  // (11)
    };
    product<16, 16, 16, false, true>(1, N, 2, 3, 1, shared, left, right, store);
}

// ---- Update ----------------------------------------------------------------------------------------------

// θ ← θ − η g    (9,) (12)
// One thread an element of (9,).
KERNEL update_theta(real* RESTRICT theta, const real* RESTRICT g) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 9; at += gridDim.x * THREADS) {
        theta[at] = theta[at] - real(LEARNING_RATE) * g[at];  // (12)
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
    auto x = [&] { return (real*) memory[1]; };
    auto W1 = [&] { return (real*) memory[2]; };
    auto a2 = [&] { return (real*) memory[3]; };
    auto W2 = [&] { return (real*) memory[4]; };
    auto E = [&] { return (double*) memory[5]; };
    auto t = [&] { return (real*) memory[6]; };
    auto delta2 = [&] { return (real*) memory[7]; };
    auto dW2 = [&] { return (real*) memory[8]; };
    auto delta1 = [&] { return (real*) memory[9]; };
    auto dW1 = [&] { return (real*) memory[10]; };
    auto theta = [&] { return (real*) memory[11]; };
    auto g = [&] { return (real*) memory[12]; };

    for (int s = 0; s < count; ++s) {
        // The batch, and what changes from step to step.
        auto x_here = x();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N * 2; at += gridDim.x * THREADS) x_here[at] = inputs[(long long) order[s * N + at / 2] * 2 + at % 2];
        auto t_here = t();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N; at += gridDim.x * THREADS) t_here[at] = targets[order[s * N + at]];
        grid_sync(barrier);

        forward_a1(a1(), x(), W1(), N);  // (2) (3)
        grid_sync(barrier);
        forward_a2(a2(), W2(), a1(), N);  // (4) (5)
        grid_sync(barrier);
        loss_E(E(), a2(), t(), N);  // (6)
        backward_delta2(delta2(), a2(), t(), N);  // (7)
        grid_sync(barrier);
        backward_dW2(dW2(), a1(), delta2(), N);  // (8)
        backward_delta1(delta1(), W2(), delta2(), a1(), N);  // (9)
        grid_sync(barrier);
        backward_dW1(dW1(), delta1(), x(), N);  // (10)
        grid_sync(barrier);
        update_theta(theta(), g());  // (12)
        grid_sync(barrier);
        if (blockIdx.x == 0 && threadIdx.x == 0) total[0] += E()[0] * N;
    }
}

#endif
