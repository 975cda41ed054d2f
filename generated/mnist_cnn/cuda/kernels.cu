// mnist_cnn: the kernels of its training program, launched by trainer.py.
//
// 28x28x1-26x26x16-11x11x32-64-10, relu, max_pool2d, dropout, softmax; cross_entropy; adam; 56,714 parameters
//
// Generated from mnist_cnn.toml (sha256 c0a0278e); change the spec, not this file.  A number in
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

// ---- Random truth values: Philox 4x64-10, the counter-based generator of NumPy (Salmon et al., 2011) ----------
//
// Block q of 16 values: the four words of counter q + 1 under the key (seed, stream), 16 bits a value, so that
// a value depends on its place alone.  True with probability threshold / 2^16.
__device__ inline void draw(unsigned char* out, int count, uint64 seed, uint64 stream, unsigned threshold) {
    for (int q = blockIdx.x * THREADS + threadIdx.x; q < (count + 15) / 16; q += gridDim.x * THREADS) {
        uint64 c0 = uint64(q) + 1, c1 = 0, c2 = 0, c3 = 0, k0 = seed, k1 = stream;
#pragma unroll
        for (int round = 0; round < 10; ++round) {
            const uint64 high0 = __umul64hi(0xD2E7470EE14C6C93ULL, c0), low0 = 0xD2E7470EE14C6C93ULL * c0;
            const uint64 high1 = __umul64hi(0xCA5A826395121157ULL, c2), low1 = 0xCA5A826395121157ULL * c2;
            c0 = high1 ^ c1 ^ k0, c1 = low1, c2 = high0 ^ c3 ^ k1, c3 = low0;
            k0 += 0x9E3779B97F4A7C15ULL, k1 += 0xBB67AE8584CAA73BULL;
        }
        const uint64 word[4] = {c0, c1, c2, c3};
        for (int e = 0; e < 16 && 16 * q + e < count; ++e)
            out[16 * q + e] = (unsigned) (word[e / 4] >> (16 * (e % 4)) & 0xFFFF) < threshold;
    }
}

// ---- Forward ---------------------------------------------------------------------------------------------

// m2 ∼ Bernoulli(0.7) for (9).  One thread 16 neighbours.
KERNEL forward_m2(unsigned char* RESTRICT m2, const uint64* RESTRICT seed, int N) {
    draw(m2, N * 800, seed[0], 0, 45875);
}

// z1 = W1 ⋆ a0 + b1    (N, 26, 26, 16) (3)
// a1 = max(0, z1)    (N, 26, 26, 16) (4)
// One block a tile, (N * 676 x 9) (9 x 16).
KERNEL forward_a1(real* RESTRICT a1, const real* RESTRICT x, const real* RESTRICT W1, const real* RESTRICT b1,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 676, i = row / 26 % 26, j = row % 26;
        const int u = term / 3, v = term % 3;
        return x[(n * 28 + i + u) * 28 + j + v];
    };
    auto right = [&](int batch, int term, int column) -> real { return W1[column * 9 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z1 = b1[column] + sum;  // (3)
        a1[row * 16 + column] = maximum(z1, real(0));  // (4)
    };
    product<64, 16, 16, false, false>(1, N * 676, 16, 9, 1, shared, left, right, store);
}

// a1_2[n,i,j,k] = max_{u,v<2} a1[n,2i+u,2j+v,k]    (N, 13, 13, 16) (5)
// One thread an element of (N, 13, 13, 16).
KERNEL forward_a1_2(real* RESTRICT a1_2, const real* RESTRICT a1, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 2704 * N; at += gridDim.x * THREADS) {
        const int n = at / 2704, i = at / 208 % 13, j = at / 16 % 13, k = at % 16;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a1[((n * 26 + 2 * i + u) * 26 + 2 * j + v) * 16 + k]);
        a1_2[at] = greatest;  // (5)
    }
}

// z2 = W2 ⋆ a1_2 + b2    (N, 11, 11, 32) (6)
// a2 = max(0, z2)    (N, 11, 11, 32) (7)
// One block a tile, (N * 121 x 144) (144 x 32).
KERNEL forward_a2(real* RESTRICT a2, const real* RESTRICT a1_2, const real* RESTRICT W2, const real* RESTRICT b2,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 121, i = row / 11 % 11, j = row % 11;
        const int u = term / 48, v = term / 16 % 3, c = term % 16;
        return a1_2[((n * 13 + i + u) * 13 + j + v) * 16 + c];
    };
    auto right = [&](int batch, int term, int column) -> real { return W2[column * 144 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z2 = b2[column] + sum;  // (6)
        a2[row * 32 + column] = maximum(z2, real(0));  // (7)
    };
    product<64, 32, 16, false, false>(1, N * 121, 32, 144, 1, shared, left, right, store);
}

// a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 5, 5, 32) (8)
// a2_3 = (10/7) a2_2 ⊙ m2    (N, 5, 5, 32) (9)
// One thread an element of (N, 5, 5, 32).
KERNEL forward_a2_3(real* RESTRICT a2_2, real* RESTRICT a2_3, const real* RESTRICT a2,
        const unsigned char* RESTRICT m2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 800 * N; at += gridDim.x * THREADS) {
        const int n = at / 800, i = at / 160 % 5, j = at / 32 % 5, k = at % 32;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a2[((n * 11 + 2 * i + u) * 11 + 2 * j + v) * 32 + k]);
        real a2_2_2 = greatest;  // (8)
        a2_2[at] = a2_2_2;  // (8)
        a2_3[at] = real(10. / 7.) * a2_2_2 * m2[at];  // (9)
    }
}

// z3 = W3 a2_4 + b3    (N, 64) (12)
// a3 = max(0, z3)    (N, 64) (13)
// One block a tile, (N x 800) (800 x 64).
KERNEL forward_a3(real* RESTRICT a3, const real* RESTRICT a2_3, const real* RESTRICT W3, const real* RESTRICT b3,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return a2_3[row * 800 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W3[column * 800 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z3 = b3[column] + sum;  // (12)
        a3[row * 64 + column] = maximum(z3, real(0));  // (13)
    };
    product<64, 64, 16, false, false>(1, N, 64, 800, 1, shared, left, right, store);
}

// z4 = W4 a3 + b4    (N, 10) (14)
// One block a tile, (N x 64) (64 x 10).
KERNEL forward_z4(real* RESTRICT z4, const real* RESTRICT a3, const real* RESTRICT W4, const real* RESTRICT b4,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return a3[row * 64 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W4[column * 64 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z4[row * 10 + column] = b4[column] + sum;  // (14)
    };
    product<64, 16, 16, false, false>(1, N, 10, 64, 1, shared, left, right, store);
}

// a4 = softmax(z4)    (N, 10) (15)
// One thread a sample.
KERNEL forward_a4(real* RESTRICT a4_max, real* RESTRICT a4_exp, real* RESTRICT a4_sum, real* RESTRICT a4,
        const real* RESTRICT z4, int N) {
    for (int n = blockIdx.x * THREADS + threadIdx.x; n < N; n += gridDim.x * THREADS) {
        real greatest = real(-1) / real(0);
        for (int i = 0; i < 10; ++i)
            greatest = maximum(greatest, z4[n * 10 + i]);
        a4_max[n] = greatest;  // (15)
        for (int k = 0; k < 10; ++k) {
            a4_exp[n * 10 + k] = exp(z4[n * 10 + k] - a4_max[n]);  // (15)
        }
        real total = real(0);
        for (int j = 0; j < 10; ++j)
            total += a4_exp[n * 10 + j];
        a4_sum[n] = total;  // (15)
        for (int k2 = 0; k2 < 10; ++k2) {
            a4[n * 10 + k2] = a4_exp[n * 10 + k2] / a4_sum[n];  // (15)
        }
    }
}

// ---- Evaluation ------------------------------------------------------------------------------------------

// a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 5, 5, 32) (8)
// a2_3 = a2_2    (N, 5, 5, 32) (10)
// One thread an element of (N, 5, 5, 32).
KERNEL evaluation_a2_3(real* RESTRICT a2_2, real* RESTRICT a2_3, const real* RESTRICT a2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 800 * N; at += gridDim.x * THREADS) {
        const int n = at / 800, i = at / 160 % 5, j = at / 32 % 5, k = at % 32;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a2[((n * 11 + 2 * i + u) * 11 + 2 * j + v) * 32 + k]);
        real a2_2_2 = greatest;  // (8)
        a2_2[at] = a2_2_2;  // (8)
        a2_3[at] = a2_2_2;  // (10)
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

// E = −(1/N) Σₙ Tₙᵀ log(a4ₙ)    () (16)
// One group of threads an element of (): (N,) terms.
KERNEL loss_E_sum(double* RESTRICT E_sum, const real* RESTRICT a4_sum, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return log(a4_sum[term]); };
    auto store = [&](int part, int row, real sum) {
        E_sum[0] = sum;  // (16)
    };
    reduction<Sum, 256, false>(1, N, 1, shared, load, store);
}

// E = −(1/N) Σₙ Tₙᵀ log(a4ₙ)    () (16)
// One group of threads an element of (): (N, 10) terms.
KERNEL loss_E(double* RESTRICT E, const real* RESTRICT T, const real* RESTRICT a4_max, const real* RESTRICT z4,
        const double* RESTRICT E_sum, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real {
        const int n = term / 10;
        return T[term] * (a4_max[n] - z4[term]);
    };
    auto store = [&](int part, int row, real sum) {
        E[0] = real(1. / N) * (real(E_sum[0]) + sum);  // (16)
    };
    reduction<Sum, 256, false>(1, N * 10, 1, shared, load, store);
}

// ---- Backward --------------------------------------------------------------------------------------------

// δ4 = (a4 − T)/N    (N, 10) (17)
// One thread an element of (N, 10).
KERNEL backward_delta4(real* RESTRICT delta4, const real* RESTRICT a4, const real* RESTRICT T, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 10 * N; at += gridDim.x * THREADS) {
        delta4[at] = real(1. / N) * (a4[at] - T[at]);  // (17)
    }
}

// ∂E/∂W4 = Σₙ δ4ₙ a3ₙᵀ    (10, 64) (18)
// One block a tile, (10 x N) (N x 64).
KERNEL backward_dW4(real* RESTRICT dW4, const real* RESTRICT delta4, const real* RESTRICT a3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta4[term * 10 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return a3[term * 64 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW4[row * 64 + column] = sum;  // (18)
    };
    product<16, 64, 16, true, true>(1, 10, 64, N, 1, shared, left, right, store);
}

// ∂E/∂b4 = Σₙ δ4ₙ    (10,) (19)
// One group of threads an element of (10,): (N,) terms.
KERNEL backward_db4(real* RESTRICT db4, const real* RESTRICT delta4, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta4[term * 10 + row]; };
    auto store = [&](int part, int row, real sum) {
        db4[row] = sum;  // (19)
    };
    reduction<Sum, 8, true>(10, N, 1, shared, load, store);
}

// δ3 = (W4ᵀ δ4) ⊙ [a3 > 0]    (N, 64) (20)
// One block a tile, (N x 10) (10 x 64).
KERNEL backward_delta3(real* RESTRICT delta3, const real* RESTRICT delta4, const real* RESTRICT W4,
        const real* RESTRICT a3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta4[row * 10 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W4[term * 64 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        delta3[row * 64 + column] = a3[row * 64 + column] > 0 ? sum : 0;  // (20)
    };
    product<64, 64, 16, false, true>(1, N, 64, 10, 1, shared, left, right, store);
}

// ∂E/∂W3 = Σₙ δ3ₙ a2_4ₙᵀ    (64, 800) (21)
// One block a tile, (64 x N) (N x 800).
KERNEL backward_dW3(real* RESTRICT dW3, const real* RESTRICT delta3, const real* RESTRICT a2_3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta3[term * 64 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return a2_3[term * 800 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW3[row * 800 + column] = sum;  // (21)
    };
    product<16, 16, 16, true, true>(1, 64, 800, N, 1, shared, left, right, store);
}

// ∂E/∂b3 = Σₙ δ3ₙ    (64,) (22)
// One group of threads an element of (64,): (N,) terms.
KERNEL backward_db3(real* RESTRICT db3, const real* RESTRICT delta3, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta3[term * 64 + row]; };
    auto store = [&](int part, int row, real sum) {
        db3[row] = sum;  // (22)
    };
    reduction<Sum, 8, true>(64, N, 1, shared, load, store);
}

// ∂E/∂a2_4 = W3ᵀ δ3    (N, 800) (23)
// One block a tile, (N x 64) (64 x 800).
KERNEL backward_da2_4(real* RESTRICT da2_4, const real* RESTRICT delta3, const real* RESTRICT W3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta3[row * 64 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W3[term * 800 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        da2_4[row * 800 + column] = sum;  // (23)
    };
    product<16, 16, 16, false, true>(1, N, 800, 64, 1, shared, left, right, store);
}

// δ2[n,p,q,k] = (10/7) (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_3[n,i,j,k] m2[n,i,j,k]) [a2[n,p,q,k] > 0]    (N, 11, 11, 32) (25)
// One thread an element of (N, 5, 5, 2, 2, 32).
KERNEL backward_delta2_sum_windows(real* RESTRICT delta2_sum_windows, const real* RESTRICT a2_2,
        const real* RESTRICT a2, const real* RESTRICT da2_4, const unsigned char* RESTRICT m2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3200 * N; at += gridDim.x * THREADS) {
        const int n = at / 3200, i = at / 640 % 5, j = at / 128 % 5, p = at / 64 % 2, q = at / 32 % 2, k = at % 32;
        const real best = a2_2[((n * 5 + i) * 5 + j) * 32 + k];
        bool won = a2[((n * 11 + 2 * i + p) * 11 + 2 * j + q) * 32 + k] == best;
        for (int p_before = 0; p_before < 2; ++p_before)
            for (int q_before = 0; q_before < 2; ++q_before)
                won &= !((p_before * 2 + q_before < p * 2 + q)
                    & (a2[((n * 11 + 2 * i + p_before) * 11 + 2 * j + q_before) * 32 + k] == best));
        unsigned char delta2_winner = won;  // (25)
        delta2_sum_windows[at] = da2_4[((n * 5 + i) * 5 + j) * 32 + k] * delta2_winner * m2[((n * 5 + i) * 5 + j) * 32 + k];  // (25)
    }
}

// δ2[n,p,q,k] = (10/7) (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_3[n,i,j,k] m2[n,i,j,k]) [a2[n,p,q,k] > 0]    (N, 11, 11, 32) (25)
// One thread an element of (N, 11, 11, 32).
KERNEL backward_delta2(real* RESTRICT delta2, const real* RESTRICT delta2_sum_windows, const real* RESTRICT a2,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3872 * N; at += gridDim.x * THREADS) {
        const int n = at / 3872, p = at / 352 % 11, q = at / 32 % 11, r = at % 32;
        real total = real(0);
        if (p / 2 < 5 && q / 2 < 5)
            total += delta2_sum_windows[((((n * 5 + (p / 2)) * 5 + (q / 2)) * 2 + (p % 2)) * 2 + (q % 2)) * 32 + r];
        real delta2_sum = total;  // (25)
        delta2[at] = a2[at] > 0 ? real(10. / 7.) * delta2_sum : 0;  // (25)
    }
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆ a1_2ₙ    (32, 3, 3, 16) (26)
// One block a tile, (32 x N * 121) (N * 121 x 144), each shared by 8 blocks.
KERNEL backward_dW2_parts(real* RESTRICT dW2_parts, const real* RESTRICT delta2, const real* RESTRICT a1_2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta2[term * 32 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 121, i = term / 11 % 11, j = term % 11;
        const int u = column / 48, v = column / 16 % 3, c = column % 16;
        return a1_2[((n * 13 + i + u) * 13 + j + v) * 16 + c];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW2_parts[part * 4608 + row * 144 + column] = sum;
    };
    product<16, 16, 16, true, true>(1, 32, 144, N * 121, 8, shared, left, right, store);
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆ a1_2ₙ    (32, 3, 3, 16) (26)
// One thread an element of (32, 3, 3, 16).
KERNEL backward_dW2(real* RESTRICT dW2, const real* RESTRICT dW2_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 4608; at += gridDim.x * THREADS) {
        const int k = at / 144, u = at / 48 % 3, v = at / 16 % 3, c = at % 16;
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += dW2_parts[(((part2 * 32 + k) * 3 + u) * 3 + v) * 16 + c];
        dW2[at] = total;  // (26)
    }
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (27)
// One group of threads an element of (32,): (N, 11, 11) terms, shared by 8 groups.
KERNEL backward_db2_parts(real* RESTRICT db2_parts, const real* RESTRICT delta2, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta2[term * 32 + row]; };
    auto store = [&](int part, int row, real sum) {
        db2_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 121, 8, shared, load, store);
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (27)
// One thread an element of (32,).
KERNEL backward_db2(real* RESTRICT db2, const real* RESTRICT db2_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += db2_parts[part2 * 32 + at];
        db2[at] = total;  // (27)
    }
}

// ∂E/∂a1_2 = W2ᵀ ∗ δ2    (N, 13, 13, 16) (28)
// One block a tile, (N * 169 x 288) (288 x 16).
KERNEL backward_da1_2(real* RESTRICT da1_2, const real* RESTRICT delta2, const real* RESTRICT W2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 169, p = row / 13 % 13, q = row % 13;
        const int u = term / 96, v = term / 32 % 3, k = term % 32;
        return inside(p + u - 2, 11) && inside(q + v - 2, 11) ? delta2[((n * 11 + p + u - 2) * 11 + q + v - 2) * 32 + k] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real {
        const int u = term / 96, v = term / 32 % 3, k = term % 32;
        return W2[((k * 3 + -u + 2) * 3 + -v + 2) * 16 + column];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        da1_2[row * 16 + column] = sum;  // (28)
    };
    product<64, 16, 16, false, true>(1, N * 169, 16, 288, 1, shared, left, right, store);
}

// δ1[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a1[n,2i+u,2j+v,k]] ∂E/∂a1_2[n,i,j,k]) [a1[n,p,q,k] > 0]    (N, 26, 26, 16) (29)
// One thread an element of (N, 13, 13, 2, 2, 16).
KERNEL backward_delta1_sum_windows(real* RESTRICT delta1_sum_windows, const real* RESTRICT a1_2,
        const real* RESTRICT a1, const real* RESTRICT da1_2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 10816 * N; at += gridDim.x * THREADS) {
        const int n = at / 10816, i = at / 832 % 13, j = at / 64 % 13, p = at / 32 % 2, q = at / 16 % 2, k = at % 16;
        const real best = a1_2[((n * 13 + i) * 13 + j) * 16 + k];
        bool won = a1[((n * 26 + 2 * i + p) * 26 + 2 * j + q) * 16 + k] == best;
        for (int p_before = 0; p_before < 2; ++p_before)
            for (int q_before = 0; q_before < 2; ++q_before)
                won &= !((p_before * 2 + q_before < p * 2 + q)
                    & (a1[((n * 26 + 2 * i + p_before) * 26 + 2 * j + q_before) * 16 + k] == best));
        unsigned char delta1_winner = won;  // (29)
        delta1_sum_windows[at] = da1_2[((n * 13 + i) * 13 + j) * 16 + k] * delta1_winner;  // (29)
    }
}

// δ1[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a1[n,2i+u,2j+v,k]] ∂E/∂a1_2[n,i,j,k]) [a1[n,p,q,k] > 0]    (N, 26, 26, 16) (29)
// One thread an element of (N, 26, 26, 16).
KERNEL backward_delta1(real* RESTRICT delta1, const real* RESTRICT delta1_sum_windows, const real* RESTRICT a1,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 10816 * N; at += gridDim.x * THREADS) {
        const int n = at / 10816, p = at / 416 % 26, q = at / 16 % 26, r = at % 16;
        real delta1_sum = delta1_sum_windows[((((n * 13 + (p / 2)) * 13 + (q / 2)) * 2 + (p % 2)) * 2 + (q % 2)) * 16 + r];  // (29)
        delta1[at] = a1[at] > 0 ? delta1_sum : 0;  // (29)
    }
}

// ∂E/∂W1 = Σₙ δ1ₙ ⋆ a0ₙ    (16, 3, 3, 1) (30)
// One block a tile, (16 x N * 676) (N * 676 x 9), each shared by 64 blocks.
KERNEL backward_dW1_parts(real* RESTRICT dW1_parts, const real* RESTRICT delta1, const real* RESTRICT x, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta1[term * 16 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 676, i = term / 26 % 26, j = term % 26;
        const int u = column / 3, v = column % 3;
        return x[(n * 28 + i + u) * 28 + j + v];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW1_parts[part * 144 + row * 9 + column] = sum;
    };
    product<16, 16, 16, true, false>(1, 16, 9, N * 676, 64, shared, left, right, store);
}

// ∂E/∂W1 = Σₙ δ1ₙ ⋆ a0ₙ    (16, 3, 3, 1) (30)
// One thread an element of (16, 3, 3, 1).
KERNEL backward_dW1(real* RESTRICT dW1, const real* RESTRICT dW1_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 144; at += gridDim.x * THREADS) {
        const int k = at / 9, u = at / 3 % 3, v = at % 3;
        real total = real(0);
        for (int part2 = 0; part2 < 64; ++part2)
            total += dW1_parts[((part2 * 16 + k) * 3 + u) * 3 + v];
        dW1[at] = total;  // (30)
    }
}

// ∂E/∂b1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (16,) (31)
// One group of threads an element of (16,): (N, 26, 26) terms, shared by 16 groups.
KERNEL backward_db1_parts(real* RESTRICT db1_parts, const real* RESTRICT delta1, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta1[term * 16 + row]; };
    auto store = [&](int part, int row, real sum) {
        db1_parts[part * 16 + row] = sum;
    };
    reduction<Sum, 8, true>(16, N * 676, 16, shared, load, store);
}

// ∂E/∂b1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (16,) (31)
// One thread an element of (16,).
KERNEL backward_db1(real* RESTRICT db1, const real* RESTRICT db1_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 16; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 16; ++part2)
            total += db1_parts[part2 * 16 + at];
        db1[at] = total;  // (31)
    }
}

// ---- Input gradient --------------------------------------------------------------------------------------

// ∂E/∂x = W1ᵀ ∗ δ1    (N, 28, 28, 1) (32)
// One group of threads an element of (N, 28, 28, 1): (16, 3, 3) terms.
KERNEL input_gradient_dx(real* RESTRICT dx, const real* RESTRICT W1, const real* RESTRICT delta1, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real {
        const int n = row / 784, p = row / 28 % 28, q = row % 28;
        const int k = term / 9, u = term / 3 % 3, v = term % 3;
        return W1[(k * 3 + -u + 2) * 3 + -v + 2] * (inside(p + u - 2, 26) && inside(q + v - 2, 26) ? delta1[((n * 26 + p + u - 2) * 26 + q + v - 2) * 16 + k] : real(0));
    };
    auto store = [&](int part, int row, real sum) {
        dx[row] = sum;  // (32)
    };
    reduction<Sum, 32, false>(N * 784, 144, 1, shared, load, store);
}

// ---- Update ----------------------------------------------------------------------------------------------

// m ← β1 m + (1 − β1) g    (56714,) (33)
// v ← β2 v + (1 − β2) g ⊙ g    (56714,) (34)
// θ ← θ − η m/((1 − β1^k) (√(v/(1 − β2^k)) + ε))    (56714,) (35)
// One thread an element of (56714,).
KERNEL update_theta(real* RESTRICT m, real* RESTRICT v, real* RESTRICT theta, const real* RESTRICT g,
        const int* RESTRICT step) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 56714; at += gridDim.x * THREADS) {
        real m_2 = real(BETA1) * m[at] + real(1. - BETA1) * g[at];  // (33)
        m[at] = m_2;  // (33)
        real v_2 = real(BETA2) * v[at] + real(1. - BETA2) * square(g[at]);  // (34)
        v[at] = v_2;  // (34)
        theta[at] = theta[at] - real(LEARNING_RATE / (1. - pow(BETA1, step[0]))) * m_2 / (sqrt(real(1. / (1. - pow(BETA2, step[0]))) * v_2) + real(EPSILON));  // (35)
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
    auto m2 = [&] { return (unsigned char*) memory[0]; };
    auto seed = [&] { return (uint64*) memory[1]; };
    auto a1 = [&] { return (real*) memory[2]; };
    auto x = [&] { return (real*) memory[3]; };
    auto W1 = [&] { return (real*) memory[4]; };
    auto b1 = [&] { return (real*) memory[5]; };
    auto a1_2 = [&] { return (real*) memory[6]; };
    auto a2 = [&] { return (real*) memory[7]; };
    auto W2 = [&] { return (real*) memory[8]; };
    auto b2 = [&] { return (real*) memory[9]; };
    auto a2_2 = [&] { return (real*) memory[10]; };
    auto a2_3 = [&] { return (real*) memory[11]; };
    auto a3 = [&] { return (real*) memory[12]; };
    auto W3 = [&] { return (real*) memory[13]; };
    auto b3 = [&] { return (real*) memory[14]; };
    auto z4 = [&] { return (real*) memory[15]; };
    auto W4 = [&] { return (real*) memory[16]; };
    auto b4 = [&] { return (real*) memory[17]; };
    auto a4_max = [&] { return (real*) memory[18]; };
    auto a4_exp = [&] { return (real*) memory[19]; };
    auto a4_sum = [&] { return (real*) memory[20]; };
    auto a4 = [&] { return (real*) memory[21]; };
    auto T = [&] { return (real*) memory[22]; };
    auto t = [&] { return (int*) memory[23]; };
    auto E_sum = [&] { return (double*) memory[24]; };
    auto E = [&] { return (double*) memory[25]; };
    auto delta4 = [&] { return (real*) memory[26]; };
    auto dW4 = [&] { return (real*) memory[27]; };
    auto db4 = [&] { return (real*) memory[28]; };
    auto delta3 = [&] { return (real*) memory[29]; };
    auto dW3 = [&] { return (real*) memory[30]; };
    auto db3 = [&] { return (real*) memory[31]; };
    auto da2_4 = [&] { return (real*) memory[32]; };
    auto delta2_sum_windows = [&] { return (real*) memory[33]; };
    auto delta2 = [&] { return (real*) memory[34]; };
    auto dW2_parts = [&] { return (real*) memory[35]; };
    auto dW2 = [&] { return (real*) memory[36]; };
    auto db2_parts = [&] { return (real*) memory[37]; };
    auto db2 = [&] { return (real*) memory[38]; };
    auto da1_2 = [&] { return (real*) memory[39]; };
    auto delta1_sum_windows = [&] { return (real*) memory[40]; };
    auto delta1 = [&] { return (real*) memory[41]; };
    auto dW1_parts = [&] { return (real*) memory[42]; };
    auto dW1 = [&] { return (real*) memory[43]; };
    auto db1_parts = [&] { return (real*) memory[44]; };
    auto db1 = [&] { return (real*) memory[45]; };
    auto m = [&] { return (real*) memory[46]; };
    auto v = [&] { return (real*) memory[47]; };
    auto theta = [&] { return (real*) memory[48]; };
    auto g = [&] { return (real*) memory[49]; };
    auto step = [&] { return (int*) memory[50]; };

    for (int s = 0; s < count; ++s) {
        // The batch, and what changes from step to step.
        auto x_here = x();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N * 784; at += gridDim.x * THREADS) x_here[at] = inputs[(long long) order[s * N + at / 784] * 784 + at % 784];
        auto t_here = t();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N; at += gridDim.x * THREADS) t_here[at] = targets[order[s * N + at]];
        if (blockIdx.x == 0 && threadIdx.x == 0) { step()[0] += 1; seed()[0] = seeds[s]; }
        grid_sync(barrier);

        forward_m2(m2(), seed(), N);  // (9)
        forward_a1(a1(), x(), W1(), b1(), N);  // (3) (4)
        grid_sync(barrier);
        forward_a1_2(a1_2(), a1(), N);  // (5)
        grid_sync(barrier);
        forward_a2(a2(), a1_2(), W2(), b2(), N);  // (6) (7)
        grid_sync(barrier);
        forward_a2_3(a2_2(), a2_3(), a2(), m2(), N);  // (8) (9)
        grid_sync(barrier);
        forward_a3(a3(), a2_3(), W3(), b3(), N);  // (12) (13)
        grid_sync(barrier);
        forward_z4(z4(), a3(), W4(), b4(), N);  // (14)
        grid_sync(barrier);
        forward_a4(a4_max(), a4_exp(), a4_sum(), a4(), z4(), N);  // (15)
        loss_T(T(), t(), N);  // (1)
        grid_sync(barrier);
        loss_E_sum(E_sum(), a4_sum(), N);  // (16)
        grid_sync(barrier);
        loss_E(E(), T(), a4_max(), z4(), E_sum(), N);  // (16)
        grid_sync(barrier);
        backward_delta4(delta4(), a4(), T(), N);  // (17)
        grid_sync(barrier);
        backward_dW4(dW4(), delta4(), a3(), N);  // (18)
        backward_db4(db4(), delta4(), N);  // (19)
        backward_delta3(delta3(), delta4(), W4(), a3(), N);  // (20)
        grid_sync(barrier);
        backward_dW3(dW3(), delta3(), a2_3(), N);  // (21)
        backward_db3(db3(), delta3(), N);  // (22)
        backward_da2_4(da2_4(), delta3(), W3(), N);  // (23)
        grid_sync(barrier);
        backward_delta2_sum_windows(delta2_sum_windows(), a2_2(), a2(), da2_4(), m2(), N);  // (25)
        grid_sync(barrier);
        backward_delta2(delta2(), delta2_sum_windows(), a2(), N);  // (25)
        grid_sync(barrier);
        backward_dW2_parts(dW2_parts(), delta2(), a1_2(), N);  // (26)
        grid_sync(barrier);
        backward_dW2(dW2(), dW2_parts());  // (26)
        backward_db2_parts(db2_parts(), delta2(), N);  // (27)
        grid_sync(barrier);
        backward_db2(db2(), db2_parts());  // (27)
        backward_da1_2(da1_2(), delta2(), W2(), N);  // (28)
        grid_sync(barrier);
        backward_delta1_sum_windows(delta1_sum_windows(), a1_2(), a1(), da1_2(), N);  // (29)
        grid_sync(barrier);
        backward_delta1(delta1(), delta1_sum_windows(), a1(), N);  // (29)
        grid_sync(barrier);
        backward_dW1_parts(dW1_parts(), delta1(), x(), N);  // (30)
        grid_sync(barrier);
        backward_dW1(dW1(), dW1_parts());  // (30)
        backward_db1_parts(db1_parts(), delta1(), N);  // (31)
        grid_sync(barrier);
        backward_db1(db1(), db1_parts());  // (31)
        grid_sync(barrier);
        update_theta(m(), v(), theta(), g(), step());  // (33) (34) (35)
        grid_sync(barrier);
        if (blockIdx.x == 0 && threadIdx.x == 0) total[0] += E()[0] * N;
    }
}

#endif
