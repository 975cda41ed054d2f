// fashion_cnn: the kernels of its training program, launched by trainer.py.
//
// 28x28x1-28x28x64-14x14x32-256-10, relu, max_pool2d, dropout, softmax; cross_entropy; adam; 412,778 parameters
//
// Generated from fashion_cnn.toml (sha256 f9ffaeea); change the spec, not this file.  A number in
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

constexpr double LEARNING_RATE = 0.0015;
constexpr double BETA1 = 0.9;
constexpr double BETA2 = 0.999;
constexpr double EPSILON = 1e-08;
constexpr double WARMUP = 500.0;

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

// m1 ∼ Bernoulli(0.7) for (6).  One thread 16 neighbours.
KERNEL forward_m1(unsigned char* RESTRICT m1, const uint64* RESTRICT seed, int N) {
    draw(m1, N * 12544, seed[0], 0, 45875);
}

// m2 ∼ Bernoulli(0.7) for (11).  One thread 16 neighbours.
KERNEL forward_m2(unsigned char* RESTRICT m2, const uint64* RESTRICT seed, int N) {
    draw(m2, N * 1568, seed[0], 1, 45875);
}

// m3 ∼ Bernoulli(0.5) for (16).  One thread 16 neighbours.
KERNEL forward_m3(unsigned char* RESTRICT m3, const uint64* RESTRICT seed, int N) {
    draw(m3, N * 256, seed[0], 2, 32768);
}

// z1 = W1 ⋆ a0 + b1    (N, 28, 28, 64) (3)
// a1 = max(0, z1)    (N, 28, 28, 64) (4)
// One block a tile, (N * 784 x 4) (4 x 64).
KERNEL forward_a1(real* RESTRICT a1, const real* RESTRICT x, const real* RESTRICT W1, const real* RESTRICT b1,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 784, i = row / 28 % 28, j = row % 28;
        const int u = term / 2, v = term % 2;
        return inside(i + u, 28) && inside(j + v, 28) ? x[(n * 28 + i + u) * 28 + j + v] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real { return W1[column * 4 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z1 = b1[column] + sum;  // (3)
        a1[row * 64 + column] = maximum(z1, real(0));  // (4)
    };
    product<64, 64, 16, false, false>(1, N * 784, 64, 4, 1, shared, left, right, store);
}

// a1_2[n,i,j,k] = max_{u,v<2} a1[n,2i+u,2j+v,k]    (N, 14, 14, 64) (5)
// a1_3 = (10/7) a1_2 ⊙ m1    (N, 14, 14, 64) (6)
// One thread an element of (N, 14, 14, 64).
KERNEL forward_a1_3(real* RESTRICT a1_2, real* RESTRICT a1_3, const real* RESTRICT a1,
        const unsigned char* RESTRICT m1, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 12544 * N; at += gridDim.x * THREADS) {
        const int n = at / 12544, i = at / 896 % 14, j = at / 64 % 14, k = at % 64;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a1[((n * 28 + 2 * i + u) * 28 + 2 * j + v) * 64 + k]);
        real a1_2_2 = greatest;  // (5)
        a1_2[at] = a1_2_2;  // (5)
        a1_3[at] = real(10. / 7.) * a1_2_2 * m1[at];  // (6)
    }
}

// z2 = W2 ⋆ a1_3 + b2    (N, 14, 14, 32) (8)
// a2 = max(0, z2)    (N, 14, 14, 32) (9)
// One block a tile, (N * 196 x 256) (256 x 32).
KERNEL forward_a2(real* RESTRICT a2, const real* RESTRICT a1_3, const real* RESTRICT W2, const real* RESTRICT b2,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 196, i = row / 14 % 14, j = row % 14;
        const int u = term / 128, v = term / 64 % 2, c = term % 64;
        return inside(i + u, 14) && inside(j + v, 14) ? a1_3[((n * 14 + i + u) * 14 + j + v) * 64 + c] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real { return W2[column * 256 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z2 = b2[column] + sum;  // (8)
        a2[row * 32 + column] = maximum(z2, real(0));  // (9)
    };
    product<64, 32, 16, false, false>(1, N * 196, 32, 256, 1, shared, left, right, store);
}

// a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 7, 7, 32) (10)
// a2_3 = (10/7) a2_2 ⊙ m2    (N, 7, 7, 32) (11)
// One thread an element of (N, 7, 7, 32).
KERNEL forward_a2_3(real* RESTRICT a2_2, real* RESTRICT a2_3, const real* RESTRICT a2,
        const unsigned char* RESTRICT m2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 1568 * N; at += gridDim.x * THREADS) {
        const int n = at / 1568, i = at / 224 % 7, j = at / 32 % 7, k = at % 32;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a2[((n * 14 + 2 * i + u) * 14 + 2 * j + v) * 32 + k]);
        real a2_2_2 = greatest;  // (10)
        a2_2[at] = a2_2_2;  // (10)
        a2_3[at] = real(10. / 7.) * a2_2_2 * m2[at];  // (11)
    }
}

// z3 = W3 a2_4 + b3    (N, 256) (14)
// One block a tile, (N x 1568) (1568 x 256), each shared by 2 blocks.
KERNEL forward_z3_parts(real* RESTRICT z3_parts, const real* RESTRICT a2_3, const real* RESTRICT W3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return a2_3[row * 1568 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W3[column * 1568 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z3_parts[part * N * 256 + row * 256 + column] = sum;
    };
    product<16, 16, 16, false, false>(1, N, 256, 1568, 2, shared, left, right, store);
}

// z3 = W3 a2_4 + b3    (N, 256) (14)
// a3 = max(0, z3)    (N, 256) (15)
// a3_2 = 2 a3 ⊙ m3    (N, 256) (16)
// One thread an element of (N, 256).
KERNEL forward_a3_2(real* RESTRICT a3, real* RESTRICT a3_2, const real* RESTRICT z3_parts, const real* RESTRICT b3,
        const unsigned char* RESTRICT m3, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 256 * N; at += gridDim.x * THREADS) {
        const int n = at / 256, k = at % 256;
        real total = real(0);
        for (int part2 = 0; part2 < 2; ++part2)
            total += z3_parts[(part2 * N + n) * 256 + k];
        real z3 = total;  // (14)
        z3 = b3[k] + z3;  // (14)
        real a3_3 = maximum(z3, real(0));  // (15)
        a3[at] = a3_3;  // (15)
        a3_2[at] = 2 * a3_3 * m3[at];  // (16)
    }
}

// z4 = W4 a3_2 + b4    (N, 10) (18)
// One block a tile, (N x 256) (256 x 10).
KERNEL forward_z4(real* RESTRICT z4, const real* RESTRICT a3_2, const real* RESTRICT W4, const real* RESTRICT b4,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return a3_2[row * 256 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W4[column * 256 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z4[row * 10 + column] = b4[column] + sum;  // (18)
    };
    product<64, 16, 16, false, false>(1, N, 10, 256, 1, shared, left, right, store);
}

// a4 = softmax(z4)    (N, 10) (19)
// One thread a sample.
KERNEL forward_a4(real* RESTRICT a4_max, real* RESTRICT a4_exp, real* RESTRICT a4_sum, real* RESTRICT a4,
        const real* RESTRICT z4, int N) {
    for (int n = blockIdx.x * THREADS + threadIdx.x; n < N; n += gridDim.x * THREADS) {
        real greatest = real(-1) / real(0);
        for (int i = 0; i < 10; ++i)
            greatest = maximum(greatest, z4[n * 10 + i]);
        a4_max[n] = greatest;  // (19)
        for (int k = 0; k < 10; ++k) {
            a4_exp[n * 10 + k] = exp(z4[n * 10 + k] - a4_max[n]);  // (19)
        }
        real total = real(0);
        for (int j = 0; j < 10; ++j)
            total += a4_exp[n * 10 + j];
        a4_sum[n] = total;  // (19)
        for (int k2 = 0; k2 < 10; ++k2) {
            a4[n * 10 + k2] = a4_exp[n * 10 + k2] / a4_sum[n];  // (19)
        }
    }
}

// ---- Evaluation ------------------------------------------------------------------------------------------

// a1_2[n,i,j,k] = max_{u,v<2} a1[n,2i+u,2j+v,k]    (N, 14, 14, 64) (5)
// a1_3 = a1_2    (N, 14, 14, 64) (7)
// One thread an element of (N, 14, 14, 64).
KERNEL evaluation_a1_3(real* RESTRICT a1_2, real* RESTRICT a1_3, const real* RESTRICT a1, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 12544 * N; at += gridDim.x * THREADS) {
        const int n = at / 12544, i = at / 896 % 14, j = at / 64 % 14, k = at % 64;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a1[((n * 28 + 2 * i + u) * 28 + 2 * j + v) * 64 + k]);
        real a1_2_2 = greatest;  // (5)
        a1_2[at] = a1_2_2;  // (5)
        a1_3[at] = a1_2_2;  // (7)
    }
}

// a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 7, 7, 32) (10)
// a2_3 = a2_2    (N, 7, 7, 32) (12)
// One thread an element of (N, 7, 7, 32).
KERNEL evaluation_a2_3(real* RESTRICT a2_2, real* RESTRICT a2_3, const real* RESTRICT a2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 1568 * N; at += gridDim.x * THREADS) {
        const int n = at / 1568, i = at / 224 % 7, j = at / 32 % 7, k = at % 32;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a2[((n * 14 + 2 * i + u) * 14 + 2 * j + v) * 32 + k]);
        real a2_2_2 = greatest;  // (10)
        a2_2[at] = a2_2_2;  // (10)
        a2_3[at] = a2_2_2;  // (12)
    }
}

// z3 = W3 a2_4 + b3    (N, 256) (14)
// a3 = max(0, z3)    (N, 256) (15)
// a3_2 = a3    (N, 256) (17)
// One thread an element of (N, 256).
KERNEL evaluation_a3_2(real* RESTRICT a3, real* RESTRICT a3_2, const real* RESTRICT z3_parts, const real* RESTRICT b3,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 256 * N; at += gridDim.x * THREADS) {
        const int n = at / 256, k = at % 256;
        real total = real(0);
        for (int part2 = 0; part2 < 2; ++part2)
            total += z3_parts[(part2 * N + n) * 256 + k];
        real z3 = total;  // (14)
        z3 = b3[k] + z3;  // (14)
        real a3_3 = maximum(z3, real(0));  // (15)
        a3[at] = a3_3;  // (15)
        a3_2[at] = a3_3;  // (17)
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

// E = −(1/N) Σₙ Tₙᵀ log(a4ₙ)    () (20)
// One group of threads an element of (): (N,) terms.
KERNEL loss_E_sum(double* RESTRICT E_sum, const real* RESTRICT a4_sum, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return log(a4_sum[term]); };
    auto store = [&](int part, int row, real sum) {
        E_sum[0] = sum;  // (20)
    };
    reduction<Sum, 256, false>(1, N, 1, shared, load, store);
}

// E = −(1/N) Σₙ Tₙᵀ log(a4ₙ)    () (20)
// One group of threads an element of (): (N, 10) terms.
KERNEL loss_E(double* RESTRICT E, const real* RESTRICT T, const real* RESTRICT a4_max, const real* RESTRICT z4,
        const double* RESTRICT E_sum, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real {
        const int n = term / 10;
        return T[term] * (a4_max[n] - z4[term]);
    };
    auto store = [&](int part, int row, real sum) {
        E[0] = real(1. / N) * (real(E_sum[0]) + sum);  // (20)
    };
    reduction<Sum, 256, false>(1, N * 10, 1, shared, load, store);
}

// ---- Backward --------------------------------------------------------------------------------------------

// δ4 = (a4 − T)/N    (N, 10) (21)
// One thread an element of (N, 10).
KERNEL backward_delta4(real* RESTRICT delta4, const real* RESTRICT a4, const real* RESTRICT T, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 10 * N; at += gridDim.x * THREADS) {
        delta4[at] = real(1. / N) * (a4[at] - T[at]);  // (21)
    }
}

// ∂E/∂W4 = Σₙ δ4ₙ a3_2ₙᵀ    (10, 256) (22)
// One block a tile, (10 x N) (N x 256).
KERNEL backward_dW4(real* RESTRICT dW4, const real* RESTRICT delta4, const real* RESTRICT a3_2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta4[term * 10 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return a3_2[term * 256 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW4[row * 256 + column] = sum;  // (22)
    };
    product<16, 64, 16, true, true>(1, 10, 256, N, 1, shared, left, right, store);
}

// ∂E/∂b4 = Σₙ δ4ₙ    (10,) (23)
// One group of threads an element of (10,): (N,) terms.
KERNEL backward_db4(real* RESTRICT db4, const real* RESTRICT delta4, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta4[term * 10 + row]; };
    auto store = [&](int part, int row, real sum) {
        db4[row] = sum;  // (23)
    };
    reduction<Sum, 8, true>(10, N, 1, shared, load, store);
}

// δ3 = 2 (W4ᵀ δ4) ⊙ m3 ⊙ [a3 > 0]    (N, 256) (24)
// One block a tile, (N x 10) (10 x 256).
KERNEL backward_delta3(real* RESTRICT delta3, const real* RESTRICT delta4, const real* RESTRICT W4,
        const unsigned char* RESTRICT m3, const real* RESTRICT a3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta4[row * 10 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W4[term * 256 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        delta3[row * 256 + column] = a3[row * 256 + column] > 0 ? 2 * sum * m3[row * 256 + column] : 0;  // (24)
    };
    product<16, 16, 16, false, true>(1, N, 256, 10, 1, shared, left, right, store);
}

// ∂E/∂W3 = Σₙ δ3ₙ a2_4ₙᵀ    (256, 1568) (25)
// One block a tile, (256 x N) (N x 1568).
KERNEL backward_dW3(real* RESTRICT dW3, const real* RESTRICT delta3, const real* RESTRICT a2_3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta3[term * 256 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return a2_3[term * 1568 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW3[row * 1568 + column] = sum;  // (25)
    };
    product<64, 64, 16, true, true>(1, 256, 1568, N, 1, shared, left, right, store);
}

// ∂E/∂b3 = Σₙ δ3ₙ    (256,) (26)
// One group of threads an element of (256,): (N,) terms.
KERNEL backward_db3(real* RESTRICT db3, const real* RESTRICT delta3, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta3[term * 256 + row]; };
    auto store = [&](int part, int row, real sum) {
        db3[row] = sum;  // (26)
    };
    reduction<Sum, 8, true>(256, N, 1, shared, load, store);
}

// ∂E/∂a2_4 = W3ᵀ δ3    (N, 1568) (27)
// One block a tile, (N x 256) (256 x 1568).
KERNEL backward_da2_4(real* RESTRICT da2_4, const real* RESTRICT delta3, const real* RESTRICT W3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta3[row * 256 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W3[term * 1568 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        da2_4[row * 1568 + column] = sum;  // (27)
    };
    product<32, 32, 16, false, true>(1, N, 1568, 256, 1, shared, left, right, store);
}

// δ2[n,p,q,k] = (10/7) (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_3[n,i,j,k] m2[n,i,j,k]) [a2[n,p,q,k] > 0]    (N, 14, 14, 32) (29)
// One thread an element of (N, 7, 7, 2, 2, 32).
KERNEL backward_delta2_sum_windows(real* RESTRICT delta2_sum_windows, const real* RESTRICT a2_2,
        const real* RESTRICT a2, const real* RESTRICT da2_4, const unsigned char* RESTRICT m2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 6272 * N; at += gridDim.x * THREADS) {
        const int n = at / 6272, i = at / 896 % 7, j = at / 128 % 7, p = at / 64 % 2, q = at / 32 % 2, k = at % 32;
        const real best = a2_2[((n * 7 + i) * 7 + j) * 32 + k];
        bool won = a2[((n * 14 + 2 * i + p) * 14 + 2 * j + q) * 32 + k] == best;
        for (int p_before = 0; p_before < 2; ++p_before)
            for (int q_before = 0; q_before < 2; ++q_before)
                won &= !((p_before * 2 + q_before < p * 2 + q)
                    & (a2[((n * 14 + 2 * i + p_before) * 14 + 2 * j + q_before) * 32 + k] == best));
        unsigned char delta2_winner = won;  // (29)
        delta2_sum_windows[at] = da2_4[((n * 7 + i) * 7 + j) * 32 + k] * delta2_winner * m2[((n * 7 + i) * 7 + j) * 32 + k];  // (29)
    }
}

// δ2[n,p,q,k] = (10/7) (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_3[n,i,j,k] m2[n,i,j,k]) [a2[n,p,q,k] > 0]    (N, 14, 14, 32) (29)
// One thread an element of (N, 14, 14, 32).
KERNEL backward_delta2(real* RESTRICT delta2, const real* RESTRICT delta2_sum_windows, const real* RESTRICT a2,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 6272 * N; at += gridDim.x * THREADS) {
        const int n = at / 6272, p = at / 448 % 14, q = at / 32 % 14, r = at % 32;
        real delta2_sum = delta2_sum_windows[((((n * 7 + (p / 2)) * 7 + (q / 2)) * 2 + (p % 2)) * 2 + (q % 2)) * 32 + r];  // (29)
        delta2[at] = a2[at] > 0 ? real(10. / 7.) * delta2_sum : 0;  // (29)
    }
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆ a1_3ₙ    (32, 2, 2, 64) (30)
// One block a tile, (32 x N * 196) (N * 196 x 256), each shared by 16 blocks.
KERNEL backward_dW2_parts(real* RESTRICT dW2_parts, const real* RESTRICT delta2, const real* RESTRICT a1_3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta2[term * 32 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 196, i = term / 14 % 14, j = term % 14;
        const int u = column / 128, v = column / 64 % 2, c = column % 64;
        return inside(i + u, 14) && inside(j + v, 14) ? a1_3[((n * 14 + i + u) * 14 + j + v) * 64 + c] : real(0);
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW2_parts[part * 8192 + row * 256 + column] = sum;
    };
    product<32, 64, 16, true, true>(1, 32, 256, N * 196, 16, shared, left, right, store);
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆ a1_3ₙ    (32, 2, 2, 64) (30)
// One thread an element of (32, 2, 2, 64).
KERNEL backward_dW2(real* RESTRICT dW2, const real* RESTRICT dW2_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 8192; at += gridDim.x * THREADS) {
        const int k = at / 256, u = at / 128 % 2, v = at / 64 % 2, c = at % 64;
        real total = real(0);
        for (int part2 = 0; part2 < 16; ++part2)
            total += dW2_parts[(((part2 * 32 + k) * 2 + u) * 2 + v) * 64 + c];
        dW2[at] = total;  // (30)
    }
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (31)
// One group of threads an element of (32,): (N, 14, 14) terms, shared by 8 groups.
KERNEL backward_db2_parts(real* RESTRICT db2_parts, const real* RESTRICT delta2, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta2[term * 32 + row]; };
    auto store = [&](int part, int row, real sum) {
        db2_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 196, 8, shared, load, store);
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (31)
// One thread an element of (32,).
KERNEL backward_db2(real* RESTRICT db2, const real* RESTRICT db2_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += db2_parts[part2 * 32 + at];
        db2[at] = total;  // (31)
    }
}

// ∂E/∂a1_2 = (10/7) (W2ᵀ ∗ δ2) ⊙ m1    (N, 14, 14, 64) (32)
// One block a tile, (N * 196 x 128) (128 x 64).
KERNEL backward_da1_2(real* RESTRICT da1_2, const real* RESTRICT delta2, const real* RESTRICT W2,
        const unsigned char* RESTRICT m1, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 196, p = row / 14 % 14, q = row % 14;
        const int u = term / 64, v = term / 32 % 2, k = term % 32;
        return inside(p + u - 1, 14) && inside(q + v - 1, 14) ? delta2[((n * 14 + p + u - 1) * 14 + q + v - 1) * 32 + k] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real {
        const int u = term / 64, v = term / 32 % 2, k = term % 32;
        return W2[((k * 2 + -u + 1) * 2 + -v + 1) * 64 + column];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        da1_2[row * 64 + column] = real(10. / 7.) * sum * m1[row * 64 + column];  // (32)
    };
    product<64, 64, 16, false, true>(1, N * 196, 64, 128, 1, shared, left, right, store);
}

// δ1[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a1[n,2i+u,2j+v,k]] ∂E/∂a1_2[n,i,j,k]) [a1[n,p,q,k] > 0]    (N, 28, 28, 64) (33)
// One thread an element of (N, 14, 14, 2, 2, 64).
KERNEL backward_delta1_sum_windows(real* RESTRICT delta1_sum_windows, const real* RESTRICT a1_2,
        const real* RESTRICT a1, const real* RESTRICT da1_2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 50176 * N; at += gridDim.x * THREADS) {
        const int n = at / 50176, i = at / 3584 % 14, j = at / 256 % 14, p = at / 128 % 2, q = at / 64 % 2, k = at % 64;
        const real best = a1_2[((n * 14 + i) * 14 + j) * 64 + k];
        bool won = a1[((n * 28 + 2 * i + p) * 28 + 2 * j + q) * 64 + k] == best;
        for (int p_before = 0; p_before < 2; ++p_before)
            for (int q_before = 0; q_before < 2; ++q_before)
                won &= !((p_before * 2 + q_before < p * 2 + q)
                    & (a1[((n * 28 + 2 * i + p_before) * 28 + 2 * j + q_before) * 64 + k] == best));
        unsigned char delta1_winner = won;  // (33)
        delta1_sum_windows[at] = da1_2[((n * 14 + i) * 14 + j) * 64 + k] * delta1_winner;  // (33)
    }
}

// δ1[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a1[n,2i+u,2j+v,k]] ∂E/∂a1_2[n,i,j,k]) [a1[n,p,q,k] > 0]    (N, 28, 28, 64) (33)
// One thread an element of (N, 28, 28, 64).
KERNEL backward_delta1(real* RESTRICT delta1, const real* RESTRICT delta1_sum_windows, const real* RESTRICT a1,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 50176 * N; at += gridDim.x * THREADS) {
        const int n = at / 50176, p = at / 1792 % 28, q = at / 64 % 28, r = at % 64;
        real delta1_sum = delta1_sum_windows[((((n * 14 + (p / 2)) * 14 + (q / 2)) * 2 + (p % 2)) * 2 + (q % 2)) * 64 + r];  // (33)
        delta1[at] = a1[at] > 0 ? delta1_sum : 0;  // (33)
    }
}

// ∂E/∂W1 = Σₙ δ1ₙ ⋆ a0ₙ    (64, 2, 2, 1) (34)
// One block a tile, (64 x N * 784) (N * 784 x 4), each shared by 64 blocks.
KERNEL backward_dW1_parts(real* RESTRICT dW1_parts, const real* RESTRICT delta1, const real* RESTRICT x, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta1[term * 64 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 784, i = term / 28 % 28, j = term % 28;
        const int u = column / 2, v = column % 2;
        return inside(i + u, 28) && inside(j + v, 28) ? x[(n * 28 + i + u) * 28 + j + v] : real(0);
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW1_parts[part * 256 + row * 4 + column] = sum;
    };
    product<16, 16, 16, true, false>(1, 64, 4, N * 784, 64, shared, left, right, store);
}

// ∂E/∂W1 = Σₙ δ1ₙ ⋆ a0ₙ    (64, 2, 2, 1) (34)
// One thread an element of (64, 2, 2, 1).
KERNEL backward_dW1(real* RESTRICT dW1, const real* RESTRICT dW1_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 256; at += gridDim.x * THREADS) {
        const int k = at / 4, u = at / 2 % 2, v = at % 2;
        real total = real(0);
        for (int part2 = 0; part2 < 64; ++part2)
            total += dW1_parts[((part2 * 64 + k) * 2 + u) * 2 + v];
        dW1[at] = total;  // (34)
    }
}

// ∂E/∂b1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (64,) (35)
// One group of threads an element of (64,): (N, 28, 28) terms, shared by 4 groups.
KERNEL backward_db1_parts(real* RESTRICT db1_parts, const real* RESTRICT delta1, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta1[term * 64 + row]; };
    auto store = [&](int part, int row, real sum) {
        db1_parts[part * 64 + row] = sum;
    };
    reduction<Sum, 8, true>(64, N * 784, 4, shared, load, store);
}

// ∂E/∂b1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (64,) (35)
// One thread an element of (64,).
KERNEL backward_db1(real* RESTRICT db1, const real* RESTRICT db1_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 64; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += db1_parts[part2 * 64 + at];
        db1[at] = total;  // (35)
    }
}

// ---- Input gradient --------------------------------------------------------------------------------------

// ∂E/∂x = W1ᵀ ∗ δ1    (N, 28, 28, 1) (36)
// One group of threads an element of (N, 28, 28, 1): (64, 2, 2) terms.
KERNEL input_gradient_dx(real* RESTRICT dx, const real* RESTRICT W1, const real* RESTRICT delta1, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real {
        const int n = row / 784, p = row / 28 % 28, q = row % 28;
        const int k = term / 4, u = term / 2 % 2, v = term % 2;
        return W1[(k * 2 + -u + 1) * 2 + -v + 1] * (inside(p + u - 1, 28) && inside(q + v - 1, 28) ? delta1[((n * 28 + p + u - 1) * 28 + q + v - 1) * 64 + k] : real(0));
    };
    auto store = [&](int part, int row, real sum) {
        dx[row] = sum;  // (36)
    };
    reduction<Sum, 32, false>(N * 784, 256, 1, shared, load, store);
}

// ---- Update ----------------------------------------------------------------------------------------------

// ηₖ = η (cos(π (k − 1)/K) + 1) min(1, k/w)/2    () (37)
// One thread.
KERNEL update_eta(double* RESTRICT eta, const int* RESTRICT steps, const int* RESTRICT step) {
    if (blockIdx.x || threadIdx.x) return;
    eta[0] = LEARNING_RATE * (1. + cos(3.141592653589793 * (step[0] - 1.) / steps[0])) * (step[0] / WARMUP >= 1. ? 1. : step[0] / WARMUP) / 2.;  // (37)
}

// m ← β1 m + (1 − β1) g    (412778,) (38)
// v ← β2 v + (1 − β2) g ⊙ g    (412778,) (39)
// θ ← θ − ηₖ m/((1 − β1^k) (√(v/(1 − β2^k)) + ε))    (412778,) (40)
// One thread an element of (412778,).
KERNEL update_theta(real* RESTRICT m, real* RESTRICT v, real* RESTRICT theta, const real* RESTRICT g,
        const double* RESTRICT eta, const int* RESTRICT step) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 412778; at += gridDim.x * THREADS) {
        real m_2 = real(BETA1) * m[at] + real(1. - BETA1) * g[at];  // (38)
        m[at] = m_2;  // (38)
        real v_2 = real(BETA2) * v[at] + real(1. - BETA2) * square(g[at]);  // (39)
        v[at] = v_2;  // (39)
        theta[at] = theta[at] - real(1. / (1. - pow(BETA1, step[0]))) * m_2 * real(eta[0]) / (sqrt(real(1. / (1. - pow(BETA2, step[0]))) * v_2) + real(EPSILON));  // (40)
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
    auto m1 = [&] { return (unsigned char*) memory[0]; };
    auto seed = [&] { return (uint64*) memory[1]; };
    auto m2 = [&] { return (unsigned char*) memory[2]; };
    auto m3 = [&] { return (unsigned char*) memory[3]; };
    auto a1 = [&] { return (real*) memory[4]; };
    auto x = [&] { return (real*) memory[5]; };
    auto W1 = [&] { return (real*) memory[6]; };
    auto b1 = [&] { return (real*) memory[7]; };
    auto a1_2 = [&] { return (real*) memory[8]; };
    auto a1_3 = [&] { return (real*) memory[9]; };
    auto a2 = [&] { return (real*) memory[10]; };
    auto W2 = [&] { return (real*) memory[11]; };
    auto b2 = [&] { return (real*) memory[12]; };
    auto a2_2 = [&] { return (real*) memory[13]; };
    auto a2_3 = [&] { return (real*) memory[14]; };
    auto z3_parts = [&] { return (real*) memory[15]; };
    auto W3 = [&] { return (real*) memory[16]; };
    auto a3 = [&] { return (real*) memory[17]; };
    auto a3_2 = [&] { return (real*) memory[18]; };
    auto b3 = [&] { return (real*) memory[19]; };
    auto z4 = [&] { return (real*) memory[20]; };
    auto W4 = [&] { return (real*) memory[21]; };
    auto b4 = [&] { return (real*) memory[22]; };
    auto a4_max = [&] { return (real*) memory[23]; };
    auto a4_exp = [&] { return (real*) memory[24]; };
    auto a4_sum = [&] { return (real*) memory[25]; };
    auto a4 = [&] { return (real*) memory[26]; };
    auto T = [&] { return (real*) memory[27]; };
    auto t = [&] { return (int*) memory[28]; };
    auto E_sum = [&] { return (double*) memory[29]; };
    auto E = [&] { return (double*) memory[30]; };
    auto delta4 = [&] { return (real*) memory[31]; };
    auto dW4 = [&] { return (real*) memory[32]; };
    auto db4 = [&] { return (real*) memory[33]; };
    auto delta3 = [&] { return (real*) memory[34]; };
    auto dW3 = [&] { return (real*) memory[35]; };
    auto db3 = [&] { return (real*) memory[36]; };
    auto da2_4 = [&] { return (real*) memory[37]; };
    auto delta2_sum_windows = [&] { return (real*) memory[38]; };
    auto delta2 = [&] { return (real*) memory[39]; };
    auto dW2_parts = [&] { return (real*) memory[40]; };
    auto dW2 = [&] { return (real*) memory[41]; };
    auto db2_parts = [&] { return (real*) memory[42]; };
    auto db2 = [&] { return (real*) memory[43]; };
    auto da1_2 = [&] { return (real*) memory[44]; };
    auto delta1_sum_windows = [&] { return (real*) memory[45]; };
    auto delta1 = [&] { return (real*) memory[46]; };
    auto dW1_parts = [&] { return (real*) memory[47]; };
    auto dW1 = [&] { return (real*) memory[48]; };
    auto db1_parts = [&] { return (real*) memory[49]; };
    auto db1 = [&] { return (real*) memory[50]; };
    auto eta = [&] { return (double*) memory[51]; };
    auto steps = [&] { return (int*) memory[52]; };
    auto step = [&] { return (int*) memory[53]; };
    auto m = [&] { return (real*) memory[54]; };
    auto v = [&] { return (real*) memory[55]; };
    auto theta = [&] { return (real*) memory[56]; };
    auto g = [&] { return (real*) memory[57]; };

    for (int s = 0; s < count; ++s) {
        // The batch, and what changes from step to step.
        auto x_here = x();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N * 784; at += gridDim.x * THREADS) x_here[at] = inputs[(long long) order[s * N + at / 784] * 784 + at % 784];
        auto t_here = t();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N; at += gridDim.x * THREADS) t_here[at] = targets[order[s * N + at]];
        if (blockIdx.x == 0 && threadIdx.x == 0) { step()[0] += 1; seed()[0] = seeds[s]; }
        grid_sync(barrier);

        forward_m1(m1(), seed(), N);  // (6)
        forward_m2(m2(), seed(), N);  // (11)
        forward_m3(m3(), seed(), N);  // (16)
        forward_a1(a1(), x(), W1(), b1(), N);  // (3) (4)
        grid_sync(barrier);
        forward_a1_3(a1_2(), a1_3(), a1(), m1(), N);  // (5) (6)
        grid_sync(barrier);
        forward_a2(a2(), a1_3(), W2(), b2(), N);  // (8) (9)
        grid_sync(barrier);
        forward_a2_3(a2_2(), a2_3(), a2(), m2(), N);  // (10) (11)
        grid_sync(barrier);
        forward_z3_parts(z3_parts(), a2_3(), W3(), N);  // (14)
        grid_sync(barrier);
        forward_a3_2(a3(), a3_2(), z3_parts(), b3(), m3(), N);  // (14) (15) (16)
        grid_sync(barrier);
        forward_z4(z4(), a3_2(), W4(), b4(), N);  // (18)
        grid_sync(barrier);
        forward_a4(a4_max(), a4_exp(), a4_sum(), a4(), z4(), N);  // (19)
        loss_T(T(), t(), N);  // (1)
        grid_sync(barrier);
        loss_E_sum(E_sum(), a4_sum(), N);  // (20)
        grid_sync(barrier);
        loss_E(E(), T(), a4_max(), z4(), E_sum(), N);  // (20)
        grid_sync(barrier);
        backward_delta4(delta4(), a4(), T(), N);  // (21)
        grid_sync(barrier);
        backward_dW4(dW4(), delta4(), a3_2(), N);  // (22)
        backward_db4(db4(), delta4(), N);  // (23)
        grid_sync(barrier);
        backward_delta3(delta3(), delta4(), W4(), m3(), a3(), N);  // (24)
        grid_sync(barrier);
        backward_dW3(dW3(), delta3(), a2_3(), N);  // (25)
        backward_db3(db3(), delta3(), N);  // (26)
        backward_da2_4(da2_4(), delta3(), W3(), N);  // (27)
        grid_sync(barrier);
        backward_delta2_sum_windows(delta2_sum_windows(), a2_2(), a2(), da2_4(), m2(), N);  // (29)
        grid_sync(barrier);
        backward_delta2(delta2(), delta2_sum_windows(), a2(), N);  // (29)
        grid_sync(barrier);
        backward_dW2_parts(dW2_parts(), delta2(), a1_3(), N);  // (30)
        grid_sync(barrier);
        backward_dW2(dW2(), dW2_parts());  // (30)
        backward_db2_parts(db2_parts(), delta2(), N);  // (31)
        grid_sync(barrier);
        backward_db2(db2(), db2_parts());  // (31)
        backward_da1_2(da1_2(), delta2(), W2(), m1(), N);  // (32)
        grid_sync(barrier);
        backward_delta1_sum_windows(delta1_sum_windows(), a1_2(), a1(), da1_2(), N);  // (33)
        grid_sync(barrier);
        backward_delta1(delta1(), delta1_sum_windows(), a1(), N);  // (33)
        grid_sync(barrier);
        backward_dW1_parts(dW1_parts(), delta1(), x(), N);  // (34)
        grid_sync(barrier);
        backward_dW1(dW1(), dW1_parts());  // (34)
        backward_db1_parts(db1_parts(), delta1(), N);  // (35)
        grid_sync(barrier);
        backward_db1(db1(), db1_parts());  // (35)
        update_eta(eta(), steps(), step());  // (37)
        grid_sync(barrier);
        update_theta(m(), v(), theta(), g(), eta(), step());  // (38) (39) (40)
        grid_sync(barrier);
        if (blockIdx.x == 0 && threadIdx.x == 0) total[0] += E()[0] * N;
    }
}

#endif
