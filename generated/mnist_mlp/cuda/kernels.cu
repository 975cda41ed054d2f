// mnist_mlp: the kernels of its training program, launched by trainer.py.
//
// 28x28x1-16-16-10, sigmoid, softmax; cross_entropy; adam; 13,002 parameters
//
// Generated from mnist_mlp.toml (sha256 a6c15bd4); change the spec, not this file.  A number in
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

constexpr double LEARNING_RATE = 0.001;
constexpr double BETA1 = 0.9;
constexpr double BETA2 = 0.999;
constexpr double EPSILON = 1e-08;

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

// z1 = W1 a0 + b1    (N, 16) (3)
// a1 = σ(z1)    (N, 16) (4)
// One block a tile, (N x 784) (784 x 16).
KERNEL forward_a1(real* RESTRICT a1, const real* RESTRICT x, const real* RESTRICT W1, const real* RESTRICT b1,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return x[row * 784 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W1[column * 784 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z1 = b1[column] + sum;  // (3)
        a1[row * 16 + column] = sigmoid(z1);  // (4)
    };
    product<64, 16, 16, false, false>(1, N, 16, 784, 1, shared, left, right, store);
}

// z2 = W2 a1 + b2    (N, 16) (5)
// a2 = σ(z2)    (N, 16) (6)
// One block a tile, (N x 16) (16 x 16).
KERNEL forward_a2(real* RESTRICT a2, const real* RESTRICT a1, const real* RESTRICT W2, const real* RESTRICT b2,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return a1[row * 16 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W2[column * 16 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z2 = b2[column] + sum;  // (5)
        a2[row * 16 + column] = sigmoid(z2);  // (6)
    };
    product<64, 16, 16, false, false>(1, N, 16, 16, 1, shared, left, right, store);
}

// z3 = W3 a2 + b3    (N, 10) (7)
// One block a tile, (N x 16) (16 x 10).
KERNEL forward_z3(real* RESTRICT z3, const real* RESTRICT a2, const real* RESTRICT W3, const real* RESTRICT b3,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return a2[row * 16 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W3[column * 16 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z3[row * 10 + column] = b3[column] + sum;  // (7)
    };
    product<64, 16, 16, false, false>(1, N, 10, 16, 1, shared, left, right, store);
}

// a3 = softmax(z3)    (N, 10) (8)
// One thread a sample.
KERNEL forward_a3(real* RESTRICT a3_max, real* RESTRICT a3_exp, real* RESTRICT a3_sum, real* RESTRICT a3,
        const real* RESTRICT z3, int N) {
    for (int n = blockIdx.x * THREADS + threadIdx.x; n < N; n += gridDim.x * THREADS) {
        real greatest = real(-1) / real(0);
        for (int i = 0; i < 10; ++i)
            greatest = maximum(greatest, z3[n * 10 + i]);
        a3_max[n] = greatest;  // (8)
        for (int k = 0; k < 10; ++k) {
            a3_exp[n * 10 + k] = exp(z3[n * 10 + k] - a3_max[n]);  // (8)
        }
        real total = real(0);
        for (int j = 0; j < 10; ++j)
            total += a3_exp[n * 10 + j];
        a3_sum[n] = total;  // (8)
        for (int k2 = 0; k2 < 10; ++k2) {
            a3[n * 10 + k2] = a3_exp[n * 10 + k2] / a3_sum[n];  // (8)
        }
    }
}

// ---- Loss ------------------------------------------------------------------------------------------------

// T = onehot(t)    (N, 10) (1)
// One thread an element of (N, 10).
KERNEL loss_T(real* RESTRICT T, const int* RESTRICT t, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 10 * N; at += gridDim.x * THREADS) {
        const int n = at / 10, k = at % 10;
        T[at] = real(t[n] == k);  // (1)
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a3ₙ)    () (9)
// One group of threads an element of (): (N,) terms.
KERNEL loss_E_sum(double* RESTRICT E_sum, const real* RESTRICT a3_sum, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return log(a3_sum[term]); };
    auto store = [&](int part, int row, real sum) {
        E_sum[0] = sum;  // (9)
    };
    reduction<Sum, 256, false>(1, N, 1, shared, load, store);
}

// E = −(1/N) Σₙ Tₙᵀ log(a3ₙ)    () (9)
// One group of threads an element of (): (N, 10) terms.
KERNEL loss_E(double* RESTRICT E, const real* RESTRICT T, const real* RESTRICT a3_max, const real* RESTRICT z3,
        const double* RESTRICT E_sum, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real {
        const int n = term / 10;
        return T[term] * (a3_max[n] - z3[term]);
    };
    auto store = [&](int part, int row, real sum) {
        E[0] = real(1. / N) * (real(E_sum[0]) + sum);  // (9)
    };
    reduction<Sum, 256, false>(1, N * 10, 1, shared, load, store);
}

// ---- Backward --------------------------------------------------------------------------------------------

// δ3 = (a3 − T)/N    (N, 10) (10)
// One thread an element of (N, 10).
KERNEL backward_delta3(real* RESTRICT delta3, const real* RESTRICT a3, const real* RESTRICT T, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 10 * N; at += gridDim.x * THREADS) {
        delta3[at] = real(1. / N) * (a3[at] - T[at]);  // (10)
    }
}

// ∂E/∂W3 = Σₙ δ3ₙ a2ₙᵀ    (10, 16) (11)
// One block a tile, (10 x N) (N x 16).
KERNEL backward_dW3(real* RESTRICT dW3, const real* RESTRICT delta3, const real* RESTRICT a2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta3[term * 10 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return a2[term * 16 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW3[row * 16 + column] = sum;  // (11)
    };
    product<16, 16, 16, true, true>(1, 10, 16, N, 1, shared, left, right, store);
}

// ∂E/∂b3 = Σₙ δ3ₙ    (10,) (12)
// One group of threads an element of (10,): (N,) terms.
KERNEL backward_db3(real* RESTRICT db3, const real* RESTRICT delta3, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta3[term * 10 + row]; };
    auto store = [&](int part, int row, real sum) {
        db3[row] = sum;  // (12)
    };
    reduction<Sum, 8, true>(10, N, 1, shared, load, store);
}

// δ2 = (W3ᵀ δ3) ⊙ a2 ⊙ (1 − a2)    (N, 16) (13)
// One block a tile, (N x 10) (10 x 16).
KERNEL backward_delta2(real* RESTRICT delta2, const real* RESTRICT delta3, const real* RESTRICT W3,
        const real* RESTRICT a2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta3[row * 10 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W3[term * 16 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        delta2[row * 16 + column] = a2[row * 16 + column] * sum * (1 - a2[row * 16 + column]);  // (13)
    };
    product<64, 16, 16, false, true>(1, N, 16, 10, 1, shared, left, right, store);
}

// ∂E/∂W2 = Σₙ δ2ₙ a1ₙᵀ    (16, 16) (14)
// One block a tile, (16 x N) (N x 16).
KERNEL backward_dW2(real* RESTRICT dW2, const real* RESTRICT delta2, const real* RESTRICT a1, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta2[term * 16 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return a1[term * 16 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW2[row * 16 + column] = sum;  // (14)
    };
    product<16, 16, 16, true, true>(1, 16, 16, N, 1, shared, left, right, store);
}

// ∂E/∂b2 = Σₙ δ2ₙ    (16,) (15)
// One group of threads an element of (16,): (N,) terms.
KERNEL backward_db2(real* RESTRICT db2, const real* RESTRICT delta2, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta2[term * 16 + row]; };
    auto store = [&](int part, int row, real sum) {
        db2[row] = sum;  // (15)
    };
    reduction<Sum, 8, true>(16, N, 1, shared, load, store);
}

// δ1 = (W2ᵀ δ2) ⊙ a1 ⊙ (1 − a1)    (N, 16) (16)
// One block a tile, (N x 16) (16 x 16).
KERNEL backward_delta1(real* RESTRICT delta1, const real* RESTRICT delta2, const real* RESTRICT W2,
        const real* RESTRICT a1, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta2[row * 16 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W2[term * 16 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        delta1[row * 16 + column] = a1[row * 16 + column] * sum * (1 - a1[row * 16 + column]);  // (16)
    };
    product<64, 16, 16, false, true>(1, N, 16, 16, 1, shared, left, right, store);
}

// ∂E/∂W1 = Σₙ δ1ₙ a0ₙᵀ    (16, 784) (17)
// One block a tile, (16 x N) (N x 784).
KERNEL backward_dW1(real* RESTRICT dW1, const real* RESTRICT delta1, const real* RESTRICT x, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta1[term * 16 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return x[term * 784 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW1[row * 784 + column] = sum;  // (17)
    };
    product<16, 64, 16, true, true>(1, 16, 784, N, 1, shared, left, right, store);
}

// ∂E/∂b1 = Σₙ δ1ₙ    (16,) (18)
// One group of threads an element of (16,): (N,) terms.
KERNEL backward_db1(real* RESTRICT db1, const real* RESTRICT delta1, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta1[term * 16 + row]; };
    auto store = [&](int part, int row, real sum) {
        db1[row] = sum;  // (18)
    };
    reduction<Sum, 8, true>(16, N, 1, shared, load, store);
}

// ---- Input gradient --------------------------------------------------------------------------------------

// ∂E/∂a0 = W1ᵀ δ1    (N, 784) (19)
// One block a tile, (N x 16) (16 x 784).
KERNEL input_gradient_da0(real* RESTRICT da0, const real* RESTRICT delta1, const real* RESTRICT W1, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta1[row * 16 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W1[term * 784 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        da0[row * 784 + column] = sum;  // (19)
    };
    product<16, 16, 16, false, true>(1, N, 784, 16, 1, shared, left, right, store);
}

// ---- Update ----------------------------------------------------------------------------------------------

// m ← β1 m + (1 − β1) g    (13002,) (21)
// v ← β2 v + (1 − β2) g ⊙ g    (13002,) (22)
// θ ← θ − η m/((1 − β1^k) (√(v/(1 − β2^k)) + ε))    (13002,) (23)
// One thread an element of (13002,).
KERNEL update_theta(real* RESTRICT m, real* RESTRICT v, real* RESTRICT theta, const real* RESTRICT g,
        const int* RESTRICT step) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 13002; at += gridDim.x * THREADS) {
        real m_2 = real(BETA1) * m[at] + real(1. - BETA1) * g[at];  // (21)
        m[at] = m_2;  // (21)
        real v_2 = real(BETA2) * v[at] + real(1. - BETA2) * square(g[at]);  // (22)
        v[at] = v_2;  // (22)
        theta[at] = theta[at] - real(LEARNING_RATE / (1. - pow(BETA1, step[0]))) * m_2 / (sqrt(real(1. / (1. - pow(BETA2, step[0]))) * v_2) + real(EPSILON));  // (23)
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
        const int* targets, const int* order, const uint64* seeds, double* total, unsigned* barrier, int count,
        int N) {
    auto a1 = [&] { return (real*) memory[0]; };
    auto x = [&] { return (real*) memory[1]; };
    auto W1 = [&] { return (real*) memory[2]; };
    auto b1 = [&] { return (real*) memory[3]; };
    auto a2 = [&] { return (real*) memory[4]; };
    auto W2 = [&] { return (real*) memory[5]; };
    auto b2 = [&] { return (real*) memory[6]; };
    auto z3 = [&] { return (real*) memory[7]; };
    auto W3 = [&] { return (real*) memory[8]; };
    auto b3 = [&] { return (real*) memory[9]; };
    auto a3_max = [&] { return (real*) memory[10]; };
    auto a3_exp = [&] { return (real*) memory[11]; };
    auto a3_sum = [&] { return (real*) memory[12]; };
    auto a3 = [&] { return (real*) memory[13]; };
    auto T = [&] { return (real*) memory[14]; };
    auto t = [&] { return (int*) memory[15]; };
    auto E_sum = [&] { return (double*) memory[16]; };
    auto E = [&] { return (double*) memory[17]; };
    auto delta3 = [&] { return (real*) memory[18]; };
    auto dW3 = [&] { return (real*) memory[19]; };
    auto db3 = [&] { return (real*) memory[20]; };
    auto delta2 = [&] { return (real*) memory[21]; };
    auto dW2 = [&] { return (real*) memory[22]; };
    auto db2 = [&] { return (real*) memory[23]; };
    auto delta1 = [&] { return (real*) memory[24]; };
    auto dW1 = [&] { return (real*) memory[25]; };
    auto db1 = [&] { return (real*) memory[26]; };
    auto m = [&] { return (real*) memory[27]; };
    auto v = [&] { return (real*) memory[28]; };
    auto theta = [&] { return (real*) memory[29]; };
    auto g = [&] { return (real*) memory[30]; };
    auto step = [&] { return (int*) memory[31]; };

    for (int s = 0; s < count; ++s) {
        // The batch, and what changes from step to step.
        auto x_here = x();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N * 784; at += gridDim.x * THREADS) x_here[at] = inputs[(long long) order[s * N + at / 784] * 784 + at % 784];
        auto t_here = t();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N; at += gridDim.x * THREADS) t_here[at] = targets[order[s * N + at]];
        if (blockIdx.x == 0 && threadIdx.x == 0) { step()[0] += 1; }
        grid_sync(barrier);

        forward_a1(a1(), x(), W1(), b1(), N);  // (3) (4)
        grid_sync(barrier);
        forward_a2(a2(), a1(), W2(), b2(), N);  // (5) (6)
        grid_sync(barrier);
        forward_z3(z3(), a2(), W3(), b3(), N);  // (7)
        grid_sync(barrier);
        forward_a3(a3_max(), a3_exp(), a3_sum(), a3(), z3(), N);  // (8)
        loss_T(T(), t(), N);  // (1)
        grid_sync(barrier);
        loss_E_sum(E_sum(), a3_sum(), N);  // (9)
        grid_sync(barrier);
        loss_E(E(), T(), a3_max(), z3(), E_sum(), N);  // (9)
        grid_sync(barrier);
        backward_delta3(delta3(), a3(), T(), N);  // (10)
        grid_sync(barrier);
        backward_dW3(dW3(), delta3(), a2(), N);  // (11)
        backward_db3(db3(), delta3(), N);  // (12)
        backward_delta2(delta2(), delta3(), W3(), a2(), N);  // (13)
        grid_sync(barrier);
        backward_dW2(dW2(), delta2(), a1(), N);  // (14)
        backward_db2(db2(), delta2(), N);  // (15)
        backward_delta1(delta1(), delta2(), W2(), a1(), N);  // (16)
        grid_sync(barrier);
        backward_dW1(dW1(), delta1(), x(), N);  // (17)
        backward_db1(db1(), delta1(), N);  // (18)
        grid_sync(barrier);
        update_theta(m(), v(), theta(), g(), step());  // (21) (22) (23)
        grid_sync(barrier);
        if (blockIdx.x == 0 && threadIdx.x == 0) total[0] += E()[0] * N;
    }
}

#endif
