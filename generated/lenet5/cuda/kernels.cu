// lenet5: the kernels of its training program, launched by trainer.py.
//
// 28x28x1-28x28x6-10x10x16-120-84-10, tanh, avg_pool2d, softmax; cross_entropy; adam; 61,706 parameters
//
// Generated from lenet5.toml (sha256 6279f96d); change the spec, not this file.  A number in
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

// z1 = W1 ⋆(p=2) a0 + b1    (N, 28, 28, 6) (3)
// a1 = tanh(z1)    (N, 28, 28, 6) (4)
// One block a tile, (N * 784 x 25) (25 x 6).
KERNEL forward_a1(real* RESTRICT a1, const real* RESTRICT x, const real* RESTRICT W1, const real* RESTRICT b1,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 784, i = row / 28 % 28, j = row % 28;
        const int u = term / 5, v = term % 5;
        return inside(i + u - 2, 28) && inside(j + v - 2, 28) ? x[(n * 28 + i + u - 2) * 28 + j + v - 2] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real { return W1[column * 25 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z1 = b1[column] + sum;  // (3)
        a1[row * 6 + column] = tanh(z1);  // (4)
    };
    product<16, 16, 16, false, false>(1, N * 784, 6, 25, 1, shared, left, right, store);
}

// a1_2[n,i,j,k] = (1/4) Σ_{u,v<2} a1[n,2i+u,2j+v,k]    (N, 14, 14, 6) (5)
// One thread an element of (N, 14, 14, 6).
KERNEL forward_a1_2(real* RESTRICT a1_2, const real* RESTRICT a1, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 1176 * N; at += gridDim.x * THREADS) {
        const int n = at / 1176, i = at / 84 % 14, j = at / 6 % 14, k = at % 6;
        real total = real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                total += a1[((n * 28 + 2 * i + u) * 28 + 2 * j + v) * 6 + k];
        real a1_2_2 = total;  // (5)
        a1_2[at] = real(0.25) * a1_2_2;  // (5)
    }
}

// z2 = W2 ⋆ a1_2 + b2    (N, 10, 10, 16) (6)
// a2 = tanh(z2)    (N, 10, 10, 16) (7)
// One block a tile, (N * 100 x 150) (150 x 16).
KERNEL forward_a2(real* RESTRICT a2, const real* RESTRICT a1_2, const real* RESTRICT W2, const real* RESTRICT b2,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 100, i = row / 10 % 10, j = row % 10;
        const int u = term / 30, v = term / 6 % 5, c = term % 6;
        return a1_2[((n * 14 + i + u) * 14 + j + v) * 6 + c];
    };
    auto right = [&](int batch, int term, int column) -> real { return W2[column * 150 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z2 = b2[column] + sum;  // (6)
        a2[row * 16 + column] = tanh(z2);  // (7)
    };
    product<64, 16, 16, false, false>(1, N * 100, 16, 150, 1, shared, left, right, store);
}

// a2_2[n,i,j,k] = (1/4) Σ_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 5, 5, 16) (8)
// One thread an element of (N, 5, 5, 16).
KERNEL forward_a2_2(real* RESTRICT a2_2, const real* RESTRICT a2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 400 * N; at += gridDim.x * THREADS) {
        const int n = at / 400, i = at / 80 % 5, j = at / 16 % 5, k = at % 16;
        real total = real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                total += a2[((n * 10 + 2 * i + u) * 10 + 2 * j + v) * 16 + k];
        real a2_2_2 = total;  // (8)
        a2_2[at] = real(0.25) * a2_2_2;  // (8)
    }
}

// z3 = W3 a2_3 + b3    (N, 120) (10)
// a3 = tanh(z3)    (N, 120) (11)
// One block a tile, (N x 400) (400 x 120).
KERNEL forward_a3(real* RESTRICT a3, const real* RESTRICT a2_2, const real* RESTRICT W3, const real* RESTRICT b3,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return a2_2[row * 400 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W3[column * 400 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z3 = b3[column] + sum;  // (10)
        a3[row * 120 + column] = tanh(z3);  // (11)
    };
    product<64, 64, 16, false, false>(1, N, 120, 400, 1, shared, left, right, store);
}

// z4 = W4 a3 + b4    (N, 84) (12)
// a4 = tanh(z4)    (N, 84) (13)
// One block a tile, (N x 120) (120 x 84).
KERNEL forward_a4(real* RESTRICT a4, const real* RESTRICT a3, const real* RESTRICT W4, const real* RESTRICT b4,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return a3[row * 120 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W4[column * 120 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z4 = b4[column] + sum;  // (12)
        a4[row * 84 + column] = tanh(z4);  // (13)
    };
    product<64, 64, 16, false, false>(1, N, 84, 120, 1, shared, left, right, store);
}

// z5 = W5 a4 + b5    (N, 10) (14)
// One block a tile, (N x 84) (84 x 10).
KERNEL forward_z5(real* RESTRICT z5, const real* RESTRICT a4, const real* RESTRICT W5, const real* RESTRICT b5,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return a4[row * 84 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W5[column * 84 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z5[row * 10 + column] = b5[column] + sum;  // (14)
    };
    product<64, 16, 16, false, false>(1, N, 10, 84, 1, shared, left, right, store);
}

// a5 = softmax(z5)    (N, 10) (15)
// One thread a sample.
KERNEL forward_a5(real* RESTRICT a5_max, real* RESTRICT a5_exp, real* RESTRICT a5_sum, real* RESTRICT a5,
        const real* RESTRICT z5, int N) {
    for (int n = blockIdx.x * THREADS + threadIdx.x; n < N; n += gridDim.x * THREADS) {
        real greatest = real(-1) / real(0);
        for (int i = 0; i < 10; ++i)
            greatest = maximum(greatest, z5[n * 10 + i]);
        a5_max[n] = greatest;  // (15)
        for (int k = 0; k < 10; ++k) {
            a5_exp[n * 10 + k] = exp(z5[n * 10 + k] - a5_max[n]);  // (15)
        }
        real total = real(0);
        for (int j = 0; j < 10; ++j)
            total += a5_exp[n * 10 + j];
        a5_sum[n] = total;  // (15)
        for (int k2 = 0; k2 < 10; ++k2) {
            a5[n * 10 + k2] = a5_exp[n * 10 + k2] / a5_sum[n];  // (15)
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

// E = −(1/N) Σₙ Tₙᵀ log(a5ₙ)    () (16)
// One group of threads an element of (): (N,) terms.
KERNEL loss_E_sum(double* RESTRICT E_sum, const real* RESTRICT a5_sum, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return log(a5_sum[term]); };
    auto store = [&](int part, int row, real sum) {
        E_sum[0] = sum;  // (16)
    };
    reduction<Sum, 256, false>(1, N, 1, shared, load, store);
}

// E = −(1/N) Σₙ Tₙᵀ log(a5ₙ)    () (16)
// One group of threads an element of (): (N, 10) terms.
KERNEL loss_E(double* RESTRICT E, const real* RESTRICT T, const real* RESTRICT a5_max, const real* RESTRICT z5,
        const double* RESTRICT E_sum, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real {
        const int n = term / 10;
        return T[term] * (a5_max[n] - z5[term]);
    };
    auto store = [&](int part, int row, real sum) {
        E[0] = real(1. / N) * (real(E_sum[0]) + sum);  // (16)
    };
    reduction<Sum, 256, false>(1, N * 10, 1, shared, load, store);
}

// ---- Backward --------------------------------------------------------------------------------------------

// δ5 = (a5 − T)/N    (N, 10) (17)
// One thread an element of (N, 10).
KERNEL backward_delta5(real* RESTRICT delta5, const real* RESTRICT a5, const real* RESTRICT T, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 10 * N; at += gridDim.x * THREADS) {
        delta5[at] = real(1. / N) * (a5[at] - T[at]);  // (17)
    }
}

// ∂E/∂W5 = Σₙ δ5ₙ a4ₙᵀ    (10, 84) (18)
// One block a tile, (10 x N) (N x 84).
KERNEL backward_dW5(real* RESTRICT dW5, const real* RESTRICT delta5, const real* RESTRICT a4, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta5[term * 10 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return a4[term * 84 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW5[row * 84 + column] = sum;  // (18)
    };
    product<16, 64, 16, true, true>(1, 10, 84, N, 1, shared, left, right, store);
}

// ∂E/∂b5 = Σₙ δ5ₙ    (10,) (19)
// One group of threads an element of (10,): (N,) terms.
KERNEL backward_db5(real* RESTRICT db5, const real* RESTRICT delta5, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta5[term * 10 + row]; };
    auto store = [&](int part, int row, real sum) {
        db5[row] = sum;  // (19)
    };
    reduction<Sum, 8, true>(10, N, 1, shared, load, store);
}

// δ4 = (W5ᵀ δ5) ⊙ (1 − a4 ⊙ a4)    (N, 84) (20)
// One block a tile, (N x 10) (10 x 84).
KERNEL backward_delta4(real* RESTRICT delta4, const real* RESTRICT delta5, const real* RESTRICT W5,
        const real* RESTRICT a4, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta5[row * 10 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W5[term * 84 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        delta4[row * 84 + column] = sum * (1 - square(a4[row * 84 + column]));  // (20)
    };
    product<64, 64, 16, false, true>(1, N, 84, 10, 1, shared, left, right, store);
}

// ∂E/∂W4 = Σₙ δ4ₙ a3ₙᵀ    (84, 120) (21)
// One block a tile, (84 x N) (N x 120).
KERNEL backward_dW4(real* RESTRICT dW4, const real* RESTRICT delta4, const real* RESTRICT a3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta4[term * 84 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return a3[term * 120 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW4[row * 120 + column] = sum;  // (21)
    };
    product<128, 128, 16, true, true>(1, 84, 120, N, 1, shared, left, right, store);
}

// ∂E/∂b4 = Σₙ δ4ₙ    (84,) (22)
// One group of threads an element of (84,): (N,) terms.
KERNEL backward_db4(real* RESTRICT db4, const real* RESTRICT delta4, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta4[term * 84 + row]; };
    auto store = [&](int part, int row, real sum) {
        db4[row] = sum;  // (22)
    };
    reduction<Sum, 8, true>(84, N, 1, shared, load, store);
}

// δ3 = (W4ᵀ δ4) ⊙ (1 − a3 ⊙ a3)    (N, 120) (23)
// One block a tile, (N x 84) (84 x 120).
KERNEL backward_delta3(real* RESTRICT delta3, const real* RESTRICT delta4, const real* RESTRICT W4,
        const real* RESTRICT a3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta4[row * 84 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W4[term * 120 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        delta3[row * 120 + column] = sum * (1 - square(a3[row * 120 + column]));  // (23)
    };
    product<64, 64, 16, false, true>(1, N, 120, 84, 1, shared, left, right, store);
}

// ∂E/∂W3 = Σₙ δ3ₙ a2_3ₙᵀ    (120, 400) (24)
// One block a tile, (120 x N) (N x 400).
KERNEL backward_dW3(real* RESTRICT dW3, const real* RESTRICT delta3, const real* RESTRICT a2_2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta3[term * 120 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return a2_2[term * 400 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW3[row * 400 + column] = sum;  // (24)
    };
    product<16, 16, 16, true, true>(1, 120, 400, N, 1, shared, left, right, store);
}

// ∂E/∂b3 = Σₙ δ3ₙ    (120,) (25)
// One group of threads an element of (120,): (N,) terms.
KERNEL backward_db3(real* RESTRICT db3, const real* RESTRICT delta3, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta3[term * 120 + row]; };
    auto store = [&](int part, int row, real sum) {
        db3[row] = sum;  // (25)
    };
    reduction<Sum, 8, true>(120, N, 1, shared, load, store);
}

// ∂E/∂a2_3 = W3ᵀ δ3    (N, 400) (26)
// One block a tile, (N x 120) (120 x 400).
KERNEL backward_da2_3(real* RESTRICT da2_3, const real* RESTRICT delta3, const real* RESTRICT W3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta3[row * 120 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W3[term * 400 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        da2_3[row * 400 + column] = sum;  // (26)
    };
    product<16, 16, 16, false, true>(1, N, 400, 120, 1, shared, left, right, store);
}

// δ2[n,p,q,k] = (1/4) (Σᵢⱼ [0 ≤ p − 2 i < 2] [0 ≤ q − 2 j < 2] ∂E/∂a2_2[n,i,j,k]) (1 − a2[n,p,q,k]²)    (N, 10, 10, 16) (28)
// One thread an element of (N, 10, 10, 16).
KERNEL backward_delta2(real* RESTRICT delta2, const real* RESTRICT da2_3, const real* RESTRICT a2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 1600 * N; at += gridDim.x * THREADS) {
        const int n = at / 1600, p = at / 160 % 10, q = at / 16 % 10, r = at % 16;
        real delta2_sum = da2_3[((n * 5 + (p / 2)) * 5 + (q / 2)) * 16 + r];  // (28)
        delta2[at] = real(0.25) * delta2_sum * (1 - square(a2[at]));  // (28)
    }
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆ a1_2ₙ    (16, 5, 5, 6) (29)
// One block a tile, (16 x N * 100) (N * 100 x 150), each shared by 8 blocks.
KERNEL backward_dW2_parts(real* RESTRICT dW2_parts, const real* RESTRICT delta2, const real* RESTRICT a1_2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta2[term * 16 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 100, i = term / 10 % 10, j = term % 10;
        const int u = column / 30, v = column / 6 % 5, c = column % 6;
        return a1_2[((n * 14 + i + u) * 14 + j + v) * 6 + c];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW2_parts[part * 2400 + row * 150 + column] = sum;
    };
    product<16, 16, 16, true, true>(1, 16, 150, N * 100, 8, shared, left, right, store);
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆ a1_2ₙ    (16, 5, 5, 6) (29)
// One thread an element of (16, 5, 5, 6).
KERNEL backward_dW2(real* RESTRICT dW2, const real* RESTRICT dW2_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 2400; at += gridDim.x * THREADS) {
        const int k = at / 150, u = at / 30 % 5, v = at / 6 % 5, c = at % 6;
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += dW2_parts[(((part2 * 16 + k) * 5 + u) * 5 + v) * 6 + c];
        dW2[at] = total;  // (29)
    }
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (16,) (30)
// One group of threads an element of (16,): (N, 10, 10) terms, shared by 8 groups.
KERNEL backward_db2_parts(real* RESTRICT db2_parts, const real* RESTRICT delta2, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta2[term * 16 + row]; };
    auto store = [&](int part, int row, real sum) {
        db2_parts[part * 16 + row] = sum;
    };
    reduction<Sum, 8, true>(16, N * 100, 8, shared, load, store);
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (16,) (30)
// One thread an element of (16,).
KERNEL backward_db2(real* RESTRICT db2, const real* RESTRICT db2_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 16; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += db2_parts[part2 * 16 + at];
        db2[at] = total;  // (30)
    }
}

// ∂E/∂a1_2 = W2ᵀ ∗ δ2    (N, 14, 14, 6) (31)
// One block a tile, (N * 196 x 400) (400 x 6).
KERNEL backward_da1_2(real* RESTRICT da1_2, const real* RESTRICT delta2, const real* RESTRICT W2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 196, p = row / 14 % 14, q = row % 14;
        const int u = term / 80, v = term / 16 % 5, k = term % 16;
        return inside(p + u - 4, 10) && inside(q + v - 4, 10) ? delta2[((n * 10 + p + u - 4) * 10 + q + v - 4) * 16 + k] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real {
        const int u = term / 80, v = term / 16 % 5, k = term % 16;
        return W2[((k * 5 + -u + 4) * 5 + -v + 4) * 6 + column];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        da1_2[row * 6 + column] = sum;  // (31)
    };
    product<16, 16, 16, false, true>(1, N * 196, 6, 400, 1, shared, left, right, store);
}

// δ1[n,p,q,k] = (1/4) (Σᵢⱼ [0 ≤ p − 2 i < 2] [0 ≤ q − 2 j < 2] ∂E/∂a1_2[n,i,j,k]) (1 − a1[n,p,q,k]²)    (N, 28, 28, 6) (32)
// One thread an element of (N, 28, 28, 6).
KERNEL backward_delta1(real* RESTRICT delta1, const real* RESTRICT da1_2, const real* RESTRICT a1, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 4704 * N; at += gridDim.x * THREADS) {
        const int n = at / 4704, p = at / 168 % 28, q = at / 6 % 28, r = at % 6;
        real delta1_sum = da1_2[((n * 14 + (p / 2)) * 14 + (q / 2)) * 6 + r];  // (32)
        delta1[at] = real(0.25) * delta1_sum * (1 - square(a1[at]));  // (32)
    }
}

// ∂E/∂W1 = Σₙ δ1ₙ ⋆(p=2) a0ₙ    (6, 5, 5, 1) (33)
// One block a tile, (6 x N * 784) (N * 784 x 25), each shared by 64 blocks.
KERNEL backward_dW1_parts(real* RESTRICT dW1_parts, const real* RESTRICT delta1, const real* RESTRICT x, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta1[term * 6 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 784, i = term / 28 % 28, j = term % 28;
        const int u = column / 5, v = column % 5;
        return inside(i + u - 2, 28) && inside(j + v - 2, 28) ? x[(n * 28 + i + u - 2) * 28 + j + v - 2] : real(0);
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW1_parts[part * 150 + row * 25 + column] = sum;
    };
    product<16, 16, 16, true, false>(1, 6, 25, N * 784, 64, shared, left, right, store);
}

// ∂E/∂W1 = Σₙ δ1ₙ ⋆(p=2) a0ₙ    (6, 5, 5, 1) (33)
// One thread an element of (6, 5, 5, 1).
KERNEL backward_dW1(real* RESTRICT dW1, const real* RESTRICT dW1_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 150; at += gridDim.x * THREADS) {
        const int k = at / 25, u = at / 5 % 5, v = at % 5;
        real total = real(0);
        for (int part2 = 0; part2 < 64; ++part2)
            total += dW1_parts[((part2 * 6 + k) * 5 + u) * 5 + v];
        dW1[at] = total;  // (33)
    }
}

// ∂E/∂b1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (6,) (34)
// One group of threads an element of (6,): (N, 28, 28) terms, shared by 64 groups.
KERNEL backward_db1_parts(real* RESTRICT db1_parts, const real* RESTRICT delta1, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta1[term * 6 + row]; };
    auto store = [&](int part, int row, real sum) {
        db1_parts[part * 6 + row] = sum;
    };
    reduction<Sum, 8, true>(6, N * 784, 64, shared, load, store);
}

// ∂E/∂b1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (6,) (34)
// One thread an element of (6,).
KERNEL backward_db1(real* RESTRICT db1, const real* RESTRICT db1_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 6; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 64; ++part2)
            total += db1_parts[part2 * 6 + at];
        db1[at] = total;  // (34)
    }
}

// ---- Input gradient --------------------------------------------------------------------------------------

// ∂E/∂x = W1ᵀ ∗(p=2) δ1    (N, 28, 28, 1) (35)
// One group of threads an element of (N, 28, 28, 1): (6, 5, 5) terms.
KERNEL input_gradient_dx(real* RESTRICT dx, const real* RESTRICT W1, const real* RESTRICT delta1, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real {
        const int n = row / 784, p = row / 28 % 28, q = row % 28;
        const int k = term / 25, u = term / 5 % 5, v = term % 5;
        return W1[(k * 5 + -u + 4) * 5 + -v + 4] * (inside(p + u - 2, 28) && inside(q + v - 2, 28) ? delta1[((n * 28 + p + u - 2) * 28 + q + v - 2) * 6 + k] : real(0));
    };
    auto store = [&](int part, int row, real sum) {
        dx[row] = sum;  // (35)
    };
    reduction<Sum, 32, false>(N * 784, 150, 1, shared, load, store);
}

// ---- Update ----------------------------------------------------------------------------------------------

// m ← β1 m + (1 − β1) g    (61706,) (36)
// v ← β2 v + (1 − β2) g ⊙ g    (61706,) (37)
// θ ← θ − η m/((1 − β1^k) (√(v/(1 − β2^k)) + ε))    (61706,) (38)
// One thread an element of (61706,).
KERNEL update_theta(real* RESTRICT m, real* RESTRICT v, real* RESTRICT theta, const real* RESTRICT g,
        const int* RESTRICT step) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 61706; at += gridDim.x * THREADS) {
        real m_2 = real(BETA1) * m[at] + real(1. - BETA1) * g[at];  // (36)
        m[at] = m_2;  // (36)
        real v_2 = real(BETA2) * v[at] + real(1. - BETA2) * square(g[at]);  // (37)
        v[at] = v_2;  // (37)
        theta[at] = theta[at] - real(LEARNING_RATE / (1. - pow(BETA1, step[0]))) * m_2 / (sqrt(real(1. / (1. - pow(BETA2, step[0]))) * v_2) + real(EPSILON));  // (38)
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
    auto a1_2 = [&] { return (real*) memory[4]; };
    auto a2 = [&] { return (real*) memory[5]; };
    auto W2 = [&] { return (real*) memory[6]; };
    auto b2 = [&] { return (real*) memory[7]; };
    auto a2_2 = [&] { return (real*) memory[8]; };
    auto a3 = [&] { return (real*) memory[9]; };
    auto W3 = [&] { return (real*) memory[10]; };
    auto b3 = [&] { return (real*) memory[11]; };
    auto a4 = [&] { return (real*) memory[12]; };
    auto W4 = [&] { return (real*) memory[13]; };
    auto b4 = [&] { return (real*) memory[14]; };
    auto z5 = [&] { return (real*) memory[15]; };
    auto W5 = [&] { return (real*) memory[16]; };
    auto b5 = [&] { return (real*) memory[17]; };
    auto a5_max = [&] { return (real*) memory[18]; };
    auto a5_exp = [&] { return (real*) memory[19]; };
    auto a5_sum = [&] { return (real*) memory[20]; };
    auto a5 = [&] { return (real*) memory[21]; };
    auto T = [&] { return (real*) memory[22]; };
    auto t = [&] { return (int*) memory[23]; };
    auto E_sum = [&] { return (double*) memory[24]; };
    auto E = [&] { return (double*) memory[25]; };
    auto delta5 = [&] { return (real*) memory[26]; };
    auto dW5 = [&] { return (real*) memory[27]; };
    auto db5 = [&] { return (real*) memory[28]; };
    auto delta4 = [&] { return (real*) memory[29]; };
    auto dW4 = [&] { return (real*) memory[30]; };
    auto db4 = [&] { return (real*) memory[31]; };
    auto delta3 = [&] { return (real*) memory[32]; };
    auto dW3 = [&] { return (real*) memory[33]; };
    auto db3 = [&] { return (real*) memory[34]; };
    auto da2_3 = [&] { return (real*) memory[35]; };
    auto delta2 = [&] { return (real*) memory[36]; };
    auto dW2_parts = [&] { return (real*) memory[37]; };
    auto dW2 = [&] { return (real*) memory[38]; };
    auto db2_parts = [&] { return (real*) memory[39]; };
    auto db2 = [&] { return (real*) memory[40]; };
    auto da1_2 = [&] { return (real*) memory[41]; };
    auto delta1 = [&] { return (real*) memory[42]; };
    auto dW1_parts = [&] { return (real*) memory[43]; };
    auto dW1 = [&] { return (real*) memory[44]; };
    auto db1_parts = [&] { return (real*) memory[45]; };
    auto db1 = [&] { return (real*) memory[46]; };
    auto m = [&] { return (real*) memory[47]; };
    auto v = [&] { return (real*) memory[48]; };
    auto theta = [&] { return (real*) memory[49]; };
    auto g = [&] { return (real*) memory[50]; };
    auto step = [&] { return (int*) memory[51]; };

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
        forward_a1_2(a1_2(), a1(), N);  // (5)
        grid_sync(barrier);
        forward_a2(a2(), a1_2(), W2(), b2(), N);  // (6) (7)
        grid_sync(barrier);
        forward_a2_2(a2_2(), a2(), N);  // (8)
        grid_sync(barrier);
        forward_a3(a3(), a2_2(), W3(), b3(), N);  // (10) (11)
        grid_sync(barrier);
        forward_a4(a4(), a3(), W4(), b4(), N);  // (12) (13)
        grid_sync(barrier);
        forward_z5(z5(), a4(), W5(), b5(), N);  // (14)
        grid_sync(barrier);
        forward_a5(a5_max(), a5_exp(), a5_sum(), a5(), z5(), N);  // (15)
        loss_T(T(), t(), N);  // (1)
        grid_sync(barrier);
        loss_E_sum(E_sum(), a5_sum(), N);  // (16)
        grid_sync(barrier);
        loss_E(E(), T(), a5_max(), z5(), E_sum(), N);  // (16)
        grid_sync(barrier);
        backward_delta5(delta5(), a5(), T(), N);  // (17)
        grid_sync(barrier);
        backward_dW5(dW5(), delta5(), a4(), N);  // (18)
        backward_db5(db5(), delta5(), N);  // (19)
        backward_delta4(delta4(), delta5(), W5(), a4(), N);  // (20)
        grid_sync(barrier);
        backward_dW4(dW4(), delta4(), a3(), N);  // (21)
        backward_db4(db4(), delta4(), N);  // (22)
        backward_delta3(delta3(), delta4(), W4(), a3(), N);  // (23)
        grid_sync(barrier);
        backward_dW3(dW3(), delta3(), a2_2(), N);  // (24)
        backward_db3(db3(), delta3(), N);  // (25)
        backward_da2_3(da2_3(), delta3(), W3(), N);  // (26)
        grid_sync(barrier);
        backward_delta2(delta2(), da2_3(), a2(), N);  // (28)
        grid_sync(barrier);
        backward_dW2_parts(dW2_parts(), delta2(), a1_2(), N);  // (29)
        grid_sync(barrier);
        backward_dW2(dW2(), dW2_parts());  // (29)
        backward_db2_parts(db2_parts(), delta2(), N);  // (30)
        grid_sync(barrier);
        backward_db2(db2(), db2_parts());  // (30)
        backward_da1_2(da1_2(), delta2(), W2(), N);  // (31)
        grid_sync(barrier);
        backward_delta1(delta1(), da1_2(), a1(), N);  // (32)
        grid_sync(barrier);
        backward_dW1_parts(dW1_parts(), delta1(), x(), N);  // (33)
        grid_sync(barrier);
        backward_dW1(dW1(), dW1_parts());  // (33)
        backward_db1_parts(db1_parts(), delta1(), N);  // (34)
        grid_sync(barrier);
        backward_db1(db1(), db1_parts());  // (34)
        grid_sync(barrier);
        update_theta(m(), v(), theta(), g(), step());  // (36) (37) (38)
        grid_sync(barrier);
        if (blockIdx.x == 0 && threadIdx.x == 0) total[0] += E()[0] * N;
    }
}

#endif
