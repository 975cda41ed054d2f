// cifar10_cnn_74: the kernels of its training program, launched by trainer.py.
//
// 32x32x3-30x30x32-30x30x32-15x15x64-512-10, relu, dropout, max_pool2d, softmax; cross_entropy; adam; 1,639,914 parameters
//
// Generated from cifar10_cnn_74.toml (sha256 12043d64); change the spec, not this file.  A number in
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

// m1 ∼ Bernoulli(0.8) for (5).  One thread 16 neighbours.
KERNEL forward_m1(unsigned char* RESTRICT m1, const uint64* RESTRICT seed, int N) {
    draw(m1, N * 28800, seed[0], 0, 52429);
}

// m3 ∼ Bernoulli(0.8) for (14).  One thread 16 neighbours.
KERNEL forward_m3(unsigned char* RESTRICT m3, const uint64* RESTRICT seed, int N) {
    draw(m3, N * 3136, seed[0], 1, 52429);
}

// m4 ∼ Bernoulli(0.8) for (18).  One thread 16 neighbours.
KERNEL forward_m4(unsigned char* RESTRICT m4, const uint64* RESTRICT seed, int N) {
    draw(m4, N * 512, seed[0], 2, 52429);
}

// z1 = W1 ⋆ a0 + b1    (N, 30, 30, 32) (3)
// a1 = max(0, z1)    (N, 30, 30, 32) (4)
// a1_2 = (5/4) a1 ⊙ m1    (N, 30, 30, 32) (5)
// One block a tile, (N * 900 x 27) (27 x 32).
KERNEL forward_a1_2(real* RESTRICT a1, real* RESTRICT a1_2, const real* RESTRICT x, const real* RESTRICT W1,
        const real* RESTRICT b1, const unsigned char* RESTRICT m1, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 900, i = row / 30 % 30, j = row % 30;
        const int u = term / 9, v = term / 3 % 3, c = term % 3;
        return x[((n * 32 + i + u) * 32 + j + v) * 3 + c];
    };
    auto right = [&](int batch, int term, int column) -> real { return W1[column * 27 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z1 = b1[column] + sum;  // (3)
        real a1_3 = maximum(z1, real(0));  // (4)
        a1[row * 32 + column] = a1_3;  // (4)
        a1_2[row * 32 + column] = real(1.25) * a1_3 * m1[row * 32 + column];  // (5)
    };
    product<64, 32, 16, false, false>(1, N * 900, 32, 27, 1, shared, left, right, store);
}

// z2 = W2 ⋆(p=1) a1_2 + b2    (N, 30, 30, 32) (7)
// a2 = max(0, z2)    (N, 30, 30, 32) (8)
// One block a tile, (N * 900 x 288) (288 x 32).
KERNEL forward_a2(real* RESTRICT a2, const real* RESTRICT a1_2, const real* RESTRICT W2, const real* RESTRICT b2,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 900, i = row / 30 % 30, j = row % 30;
        const int u = term / 96, v = term / 32 % 3, c = term % 32;
        return inside(i + u - 1, 30) && inside(j + v - 1, 30) ? a1_2[((n * 30 + i + u - 1) * 30 + j + v - 1) * 32 + c] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real { return W2[column * 288 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z2 = b2[column] + sum;  // (7)
        a2[row * 32 + column] = maximum(z2, real(0));  // (8)
    };
    product<64, 32, 16, false, false>(1, N * 900, 32, 288, 1, shared, left, right, store);
}

// a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 15, 15, 32) (9)
// One thread an element of (N, 15, 15, 32).
KERNEL forward_a2_2(real* RESTRICT a2_2, const real* RESTRICT a2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 7200 * N; at += gridDim.x * THREADS) {
        const int n = at / 7200, i = at / 480 % 15, j = at / 32 % 15, k = at % 32;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a2[((n * 30 + 2 * i + u) * 30 + 2 * j + v) * 32 + k]);
        a2_2[at] = greatest;  // (9)
    }
}

// z3 = W3 ⋆(p=1) a2_2 + b3    (N, 15, 15, 64) (10)
// a3 = max(0, z3)    (N, 15, 15, 64) (11)
// One block a tile, (N * 225 x 288) (288 x 64).
KERNEL forward_a3(real* RESTRICT a3, const real* RESTRICT a2_2, const real* RESTRICT W3, const real* RESTRICT b3,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 225, i = row / 15 % 15, j = row % 15;
        const int u = term / 96, v = term / 32 % 3, c = term % 32;
        return inside(i + u - 1, 15) && inside(j + v - 1, 15) ? a2_2[((n * 15 + i + u - 1) * 15 + j + v - 1) * 32 + c] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real { return W3[column * 288 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z3 = b3[column] + sum;  // (10)
        a3[row * 64 + column] = maximum(z3, real(0));  // (11)
    };
    product<64, 64, 16, false, false>(1, N * 225, 64, 288, 1, shared, left, right, store);
}

// a3_2[n,i,j,k] = max_{u,v<2} a3[n,2i+u,2j+v,k]    (N, 7, 7, 64) (12)
// One thread an element of (N, 7, 7, 64).
KERNEL forward_a3_2(real* RESTRICT a3_2, const real* RESTRICT a3, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3136 * N; at += gridDim.x * THREADS) {
        const int n = at / 3136, i = at / 448 % 7, j = at / 64 % 7, k = at % 64;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a3[((n * 15 + 2 * i + u) * 15 + 2 * j + v) * 64 + k]);
        a3_2[at] = greatest;  // (12)
    }
}

// a3_4 = (5/4) a3_3 ⊙ m3    (N, 3136) (14)
// One thread an element of (N, 3136).
KERNEL forward_a3_4(real* RESTRICT a3_4, const real* RESTRICT a3_2, const unsigned char* RESTRICT m3, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3136 * N; at += gridDim.x * THREADS) {
        a3_4[at] = real(1.25) * a3_2[at] * m3[at];  // (14)
    }
}

// z4 = W4 a3_4 + b4    (N, 512) (16)
// One block a tile, (N x 3136) (3136 x 512), each shared by 4 blocks.
KERNEL forward_z4_parts(real* RESTRICT z4_parts, const real* RESTRICT a3_4, const real* RESTRICT W4, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return a3_4[row * 3136 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W4[column * 3136 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z4_parts[part * N * 512 + row * 512 + column] = sum;
    };
    product<64, 32, 16, false, false>(1, N, 512, 3136, 4, shared, left, right, store);
}

// z4 = W4 a3_4 + b4    (N, 512) (16)
// a4 = max(0, z4)    (N, 512) (17)
// a4_2 = (5/4) a4 ⊙ m4    (N, 512) (18)
// One thread an element of (N, 512).
KERNEL forward_a4_2(real* RESTRICT a4, real* RESTRICT a4_2, const real* RESTRICT z4_parts, const real* RESTRICT b4,
        const unsigned char* RESTRICT m4, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 512 * N; at += gridDim.x * THREADS) {
        const int n = at / 512, k = at % 512;
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += z4_parts[(part2 * N + n) * 512 + k];
        real z4 = total;  // (16)
        z4 = b4[k] + z4;  // (16)
        real a4_3 = maximum(z4, real(0));  // (17)
        a4[at] = a4_3;  // (17)
        a4_2[at] = real(1.25) * a4_3 * m4[at];  // (18)
    }
}

// z5 = W5 a4_2 + b5    (N, 10) (20)
// One block a tile, (N x 512) (512 x 10).
KERNEL forward_z5(real* RESTRICT z5, const real* RESTRICT a4_2, const real* RESTRICT W5, const real* RESTRICT b5,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return a4_2[row * 512 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W5[column * 512 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z5[row * 10 + column] = b5[column] + sum;  // (20)
    };
    product<64, 16, 16, false, false>(1, N, 10, 512, 1, shared, left, right, store);
}

// a5 = softmax(z5)    (N, 10) (21)
// One thread a sample.
KERNEL forward_a5(real* RESTRICT a5_max, real* RESTRICT a5_exp, real* RESTRICT a5_sum, real* RESTRICT a5,
        const real* RESTRICT z5, int N) {
    for (int n = blockIdx.x * THREADS + threadIdx.x; n < N; n += gridDim.x * THREADS) {
        real greatest = real(-1) / real(0);
        for (int i = 0; i < 10; ++i)
            greatest = maximum(greatest, z5[n * 10 + i]);
        a5_max[n] = greatest;  // (21)
        for (int k = 0; k < 10; ++k) {
            a5_exp[n * 10 + k] = exp(z5[n * 10 + k] - a5_max[n]);  // (21)
        }
        real total = real(0);
        for (int j = 0; j < 10; ++j)
            total += a5_exp[n * 10 + j];
        a5_sum[n] = total;  // (21)
        for (int k2 = 0; k2 < 10; ++k2) {
            a5[n * 10 + k2] = a5_exp[n * 10 + k2] / a5_sum[n];  // (21)
        }
    }
}

// ---- Evaluation ------------------------------------------------------------------------------------------

// z1 = W1 ⋆ a0 + b1    (N, 30, 30, 32) (3)
// a1 = max(0, z1)    (N, 30, 30, 32) (4)
// a1_2 = a1    (N, 30, 30, 32) (6)
// One block a tile, (N * 900 x 27) (27 x 32).
KERNEL evaluation_a1_2(real* RESTRICT a1, real* RESTRICT a1_2, const real* RESTRICT x, const real* RESTRICT W1,
        const real* RESTRICT b1, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 900, i = row / 30 % 30, j = row % 30;
        const int u = term / 9, v = term / 3 % 3, c = term % 3;
        return x[((n * 32 + i + u) * 32 + j + v) * 3 + c];
    };
    auto right = [&](int batch, int term, int column) -> real { return W1[column * 27 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z1 = b1[column] + sum;  // (3)
        real a1_3 = maximum(z1, real(0));  // (4)
        a1[row * 32 + column] = a1_3;  // (4)
        a1_2[row * 32 + column] = a1_3;  // (6)
    };
    product<64, 32, 16, false, false>(1, N * 900, 32, 27, 1, shared, left, right, store);
}

// a3_4 = a3_3    (N, 3136) (15)
// One thread an element of (N, 3136).
KERNEL evaluation_a3_4(real* RESTRICT a3_4, const real* RESTRICT a3_2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3136 * N; at += gridDim.x * THREADS) {
        a3_4[at] = a3_2[at];  // (15)
    }
}

// z4 = W4 a3_4 + b4    (N, 512) (16)
// a4 = max(0, z4)    (N, 512) (17)
// a4_2 = a4    (N, 512) (19)
// One thread an element of (N, 512).
KERNEL evaluation_a4_2(real* RESTRICT a4, real* RESTRICT a4_2, const real* RESTRICT z4_parts, const real* RESTRICT b4,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 512 * N; at += gridDim.x * THREADS) {
        const int n = at / 512, k = at % 512;
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += z4_parts[(part2 * N + n) * 512 + k];
        real z4 = total;  // (16)
        z4 = b4[k] + z4;  // (16)
        real a4_3 = maximum(z4, real(0));  // (17)
        a4[at] = a4_3;  // (17)
        a4_2[at] = a4_3;  // (19)
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

// E = −(1/N) Σₙ Tₙᵀ log(a5ₙ)    () (22)
// One group of threads an element of (): (N,) terms.
KERNEL loss_E_sum(double* RESTRICT E_sum, const real* RESTRICT a5_sum, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return log(a5_sum[term]); };
    auto store = [&](int part, int row, real sum) {
        E_sum[0] = sum;  // (22)
    };
    reduction<Sum, 256, false>(1, N, 1, shared, load, store);
}

// E = −(1/N) Σₙ Tₙᵀ log(a5ₙ)    () (22)
// One group of threads an element of (): (N, 10) terms.
KERNEL loss_E(double* RESTRICT E, const real* RESTRICT T, const real* RESTRICT a5_max, const real* RESTRICT z5,
        const double* RESTRICT E_sum, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real {
        const int n = term / 10;
        return T[term] * (a5_max[n] - z5[term]);
    };
    auto store = [&](int part, int row, real sum) {
        E[0] = real(1. / N) * (real(E_sum[0]) + sum);  // (22)
    };
    reduction<Sum, 256, false>(1, N * 10, 1, shared, load, store);
}

// ---- Backward --------------------------------------------------------------------------------------------

// δ5 = (a5 − T)/N    (N, 10) (23)
// One thread an element of (N, 10).
KERNEL backward_delta5(real* RESTRICT delta5, const real* RESTRICT a5, const real* RESTRICT T, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 10 * N; at += gridDim.x * THREADS) {
        delta5[at] = real(1. / N) * (a5[at] - T[at]);  // (23)
    }
}

// ∂E/∂W5 = Σₙ δ5ₙ a4_2ₙᵀ    (10, 512) (24)
// One block a tile, (10 x N) (N x 512).
KERNEL backward_dW5(real* RESTRICT dW5, const real* RESTRICT delta5, const real* RESTRICT a4_2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta5[term * 10 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return a4_2[term * 512 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW5[row * 512 + column] = sum;  // (24)
    };
    product<16, 64, 16, true, true>(1, 10, 512, N, 1, shared, left, right, store);
}

// ∂E/∂b5 = Σₙ δ5ₙ    (10,) (25)
// One group of threads an element of (10,): (N,) terms.
KERNEL backward_db5(real* RESTRICT db5, const real* RESTRICT delta5, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta5[term * 10 + row]; };
    auto store = [&](int part, int row, real sum) {
        db5[row] = sum;  // (25)
    };
    reduction<Sum, 8, true>(10, N, 1, shared, load, store);
}

// δ4 = (5/4) (W5ᵀ δ5) ⊙ m4 ⊙ [a4 > 0]    (N, 512) (26)
// One block a tile, (N x 10) (10 x 512).
KERNEL backward_delta4(real* RESTRICT delta4, const real* RESTRICT delta5, const real* RESTRICT W5,
        const unsigned char* RESTRICT m4, const real* RESTRICT a4, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta5[row * 10 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W5[term * 512 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        delta4[row * 512 + column] = a4[row * 512 + column] > 0 ? real(1.25) * sum * m4[row * 512 + column] : 0;  // (26)
    };
    product<16, 16, 16, false, true>(1, N, 512, 10, 1, shared, left, right, store);
}

// ∂E/∂W4 = Σₙ δ4ₙ a3_4ₙᵀ    (512, 3136) (27)
// One block a tile, (512 x N) (N x 3136).
KERNEL backward_dW4(real* RESTRICT dW4, const real* RESTRICT delta4, const real* RESTRICT a3_4, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta4[term * 512 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return a3_4[term * 3136 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW4[row * 3136 + column] = sum;  // (27)
    };
    product<128, 128, 16, true, true>(1, 512, 3136, N, 1, shared, left, right, store);
}

// ∂E/∂b4 = Σₙ δ4ₙ    (512,) (28)
// One group of threads an element of (512,): (N,) terms.
KERNEL backward_db4(real* RESTRICT db4, const real* RESTRICT delta4, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta4[term * 512 + row]; };
    auto store = [&](int part, int row, real sum) {
        db4[row] = sum;  // (28)
    };
    reduction<Sum, 8, true>(512, N, 1, shared, load, store);
}

// ∂E/∂a3_3 = (5/4) (W4ᵀ δ4) ⊙ m3    (N, 3136) (29)
// One block a tile, (N x 512) (512 x 3136).
KERNEL backward_da3_3(real* RESTRICT da3_3, const real* RESTRICT delta4, const real* RESTRICT W4,
        const unsigned char* RESTRICT m3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta4[row * 512 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W4[term * 3136 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        da3_3[row * 3136 + column] = real(1.25) * sum * m3[row * 3136 + column];  // (29)
    };
    product<64, 32, 16, false, true>(1, N, 3136, 512, 1, shared, left, right, store);
}

// δ3[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a3[n,2i+u,2j+v,k]] ∂E/∂a3_2[n,i,j,k]) [a3[n,p,q,k] > 0]    (N, 15, 15, 64) (31)
// One thread an element of (N, 7, 7, 2, 2, 64).
KERNEL backward_delta3_sum_windows(real* RESTRICT delta3_sum_windows, const real* RESTRICT a3_2,
        const real* RESTRICT a3, const real* RESTRICT da3_3, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 12544 * N; at += gridDim.x * THREADS) {
        const int n = at / 12544, i = at / 1792 % 7, j = at / 256 % 7, p = at / 128 % 2, q = at / 64 % 2, k = at % 64;
        const real best = a3_2[((n * 7 + i) * 7 + j) * 64 + k];
        bool won = a3[((n * 15 + 2 * i + p) * 15 + 2 * j + q) * 64 + k] == best;
        for (int p_before = 0; p_before < 2; ++p_before)
            for (int q_before = 0; q_before < 2; ++q_before)
                won &= !((p_before * 2 + q_before < p * 2 + q)
                    & (a3[((n * 15 + 2 * i + p_before) * 15 + 2 * j + q_before) * 64 + k] == best));
        unsigned char delta3_winner = won;  // (31)
        delta3_sum_windows[at] = da3_3[((n * 7 + i) * 7 + j) * 64 + k] * delta3_winner;  // (31)
    }
}

// δ3[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a3[n,2i+u,2j+v,k]] ∂E/∂a3_2[n,i,j,k]) [a3[n,p,q,k] > 0]    (N, 15, 15, 64) (31)
// One thread an element of (N, 15, 15, 64).
KERNEL backward_delta3(real* RESTRICT delta3, const real* RESTRICT delta3_sum_windows, const real* RESTRICT a3,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 14400 * N; at += gridDim.x * THREADS) {
        const int n = at / 14400, p = at / 960 % 15, q = at / 64 % 15, r = at % 64;
        real total = real(0);
        if (p / 2 < 7 && q / 2 < 7)
            total += delta3_sum_windows[((((n * 7 + (p / 2)) * 7 + (q / 2)) * 2 + (p % 2)) * 2 + (q % 2)) * 64 + r];
        real delta3_sum = total;  // (31)
        delta3[at] = a3[at] > 0 ? delta3_sum : 0;  // (31)
    }
}

// ∂E/∂W3 = Σₙ δ3ₙ ⋆(p=1) a2_2ₙ    (64, 3, 3, 32) (32)
// One block a tile, (64 x N * 225) (N * 225 x 288), each shared by 16 blocks.
KERNEL backward_dW3_parts(real* RESTRICT dW3_parts, const real* RESTRICT delta3, const real* RESTRICT a2_2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta3[term * 64 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 225, i = term / 15 % 15, j = term % 15;
        const int u = column / 96, v = column / 32 % 3, c = column % 32;
        return inside(i + u - 1, 15) && inside(j + v - 1, 15) ? a2_2[((n * 15 + i + u - 1) * 15 + j + v - 1) * 32 + c] : real(0);
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW3_parts[part * 18432 + row * 288 + column] = sum;
    };
    product<64, 64, 16, true, true>(1, 64, 288, N * 225, 16, shared, left, right, store);
}

// ∂E/∂W3 = Σₙ δ3ₙ ⋆(p=1) a2_2ₙ    (64, 3, 3, 32) (32)
// One thread an element of (64, 3, 3, 32).
KERNEL backward_dW3(real* RESTRICT dW3, const real* RESTRICT dW3_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 18432; at += gridDim.x * THREADS) {
        const int k = at / 288, u = at / 96 % 3, v = at / 32 % 3, c = at % 32;
        real total = real(0);
        for (int part2 = 0; part2 < 16; ++part2)
            total += dW3_parts[(((part2 * 64 + k) * 3 + u) * 3 + v) * 32 + c];
        dW3[at] = total;  // (32)
    }
}

// ∂E/∂b3[k] = Σₙᵢⱼ δ3[n,i,j,k]    (64,) (33)
// One group of threads an element of (64,): (N, 15, 15) terms, shared by 4 groups.
KERNEL backward_db3_parts(real* RESTRICT db3_parts, const real* RESTRICT delta3, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta3[term * 64 + row]; };
    auto store = [&](int part, int row, real sum) {
        db3_parts[part * 64 + row] = sum;
    };
    reduction<Sum, 8, true>(64, N * 225, 4, shared, load, store);
}

// ∂E/∂b3[k] = Σₙᵢⱼ δ3[n,i,j,k]    (64,) (33)
// One thread an element of (64,).
KERNEL backward_db3(real* RESTRICT db3, const real* RESTRICT db3_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 64; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += db3_parts[part2 * 64 + at];
        db3[at] = total;  // (33)
    }
}

// ∂E/∂a2_2 = W3ᵀ ∗(p=1) δ3    (N, 15, 15, 32) (34)
// One block a tile, (N * 225 x 576) (576 x 32).
KERNEL backward_da2_2(real* RESTRICT da2_2, const real* RESTRICT delta3, const real* RESTRICT W3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 225, p = row / 15 % 15, q = row % 15;
        const int u = term / 192, v = term / 64 % 3, k = term % 64;
        return inside(p + u - 1, 15) && inside(q + v - 1, 15) ? delta3[((n * 15 + p + u - 1) * 15 + q + v - 1) * 64 + k] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real {
        const int u = term / 192, v = term / 64 % 3, k = term % 64;
        return W3[((k * 3 + -u + 2) * 3 + -v + 2) * 32 + column];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        da2_2[row * 32 + column] = sum;  // (34)
    };
    product<64, 32, 16, false, true>(1, N * 225, 32, 576, 1, shared, left, right, store);
}

// δ2[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_2[n,i,j,k]) [a2[n,p,q,k] > 0]    (N, 30, 30, 32) (35)
// One thread an element of (N, 15, 15, 2, 2, 32).
KERNEL backward_delta2_sum_windows(real* RESTRICT delta2_sum_windows, const real* RESTRICT a2_2,
        const real* RESTRICT a2, const real* RESTRICT da2_2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 28800 * N; at += gridDim.x * THREADS) {
        const int n = at / 28800, i = at / 1920 % 15, j = at / 128 % 15, p = at / 64 % 2, q = at / 32 % 2, k = at % 32;
        const real best = a2_2[((n * 15 + i) * 15 + j) * 32 + k];
        bool won = a2[((n * 30 + 2 * i + p) * 30 + 2 * j + q) * 32 + k] == best;
        for (int p_before = 0; p_before < 2; ++p_before)
            for (int q_before = 0; q_before < 2; ++q_before)
                won &= !((p_before * 2 + q_before < p * 2 + q)
                    & (a2[((n * 30 + 2 * i + p_before) * 30 + 2 * j + q_before) * 32 + k] == best));
        unsigned char delta2_winner = won;  // (35)
        delta2_sum_windows[at] = da2_2[((n * 15 + i) * 15 + j) * 32 + k] * delta2_winner;  // (35)
    }
}

// δ2[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_2[n,i,j,k]) [a2[n,p,q,k] > 0]    (N, 30, 30, 32) (35)
// One thread an element of (N, 30, 30, 32).
KERNEL backward_delta2(real* RESTRICT delta2, const real* RESTRICT delta2_sum_windows, const real* RESTRICT a2,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 28800 * N; at += gridDim.x * THREADS) {
        const int n = at / 28800, p = at / 960 % 30, q = at / 32 % 30, r = at % 32;
        real delta2_sum = delta2_sum_windows[((((n * 15 + (p / 2)) * 15 + (q / 2)) * 2 + (p % 2)) * 2 + (q % 2)) * 32 + r];  // (35)
        delta2[at] = a2[at] > 0 ? delta2_sum : 0;  // (35)
    }
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆(p=1) a1_2ₙ    (32, 3, 3, 32) (36)
// One block a tile, (32 x N * 900) (N * 900 x 288), each shared by 64 blocks.
KERNEL backward_dW2_parts(real* RESTRICT dW2_parts, const real* RESTRICT delta2, const real* RESTRICT a1_2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta2[term * 32 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 900, i = term / 30 % 30, j = term % 30;
        const int u = column / 96, v = column / 32 % 3, c = column % 32;
        return inside(i + u - 1, 30) && inside(j + v - 1, 30) ? a1_2[((n * 30 + i + u - 1) * 30 + j + v - 1) * 32 + c] : real(0);
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW2_parts[part * 9216 + row * 288 + column] = sum;
    };
    product<32, 64, 16, true, true>(1, 32, 288, N * 900, 64, shared, left, right, store);
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆(p=1) a1_2ₙ    (32, 3, 3, 32) (36)
// One thread an element of (32, 3, 3, 32).
KERNEL backward_dW2(real* RESTRICT dW2, const real* RESTRICT dW2_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 9216; at += gridDim.x * THREADS) {
        const int k = at / 288, u = at / 96 % 3, v = at / 32 % 3, c = at % 32;
        real total = real(0);
        for (int part2 = 0; part2 < 64; ++part2)
            total += dW2_parts[(((part2 * 32 + k) * 3 + u) * 3 + v) * 32 + c];
        dW2[at] = total;  // (36)
    }
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (37)
// One group of threads an element of (32,): (N, 30, 30) terms, shared by 8 groups.
KERNEL backward_db2_parts(real* RESTRICT db2_parts, const real* RESTRICT delta2, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta2[term * 32 + row]; };
    auto store = [&](int part, int row, real sum) {
        db2_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 900, 8, shared, load, store);
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (37)
// One thread an element of (32,).
KERNEL backward_db2(real* RESTRICT db2, const real* RESTRICT db2_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += db2_parts[part2 * 32 + at];
        db2[at] = total;  // (37)
    }
}

// δ1 = (5/4) (W2ᵀ ∗(p=1) δ2) ⊙ m1 ⊙ [a1 > 0]    (N, 30, 30, 32) (38)
// One block a tile, (N * 900 x 288) (288 x 32).
KERNEL backward_delta1(real* RESTRICT delta1, const real* RESTRICT delta2, const real* RESTRICT W2,
        const unsigned char* RESTRICT m1, const real* RESTRICT a1, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 900, p = row / 30 % 30, q = row % 30;
        const int u = term / 96, v = term / 32 % 3, k = term % 32;
        return inside(p + u - 1, 30) && inside(q + v - 1, 30) ? delta2[((n * 30 + p + u - 1) * 30 + q + v - 1) * 32 + k] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real {
        const int u = term / 96, v = term / 32 % 3, k = term % 32;
        return W2[((k * 3 + -u + 2) * 3 + -v + 2) * 32 + column];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        delta1[row * 32 + column] = a1[row * 32 + column] > 0 ? real(1.25) * sum * m1[row * 32 + column] : 0;  // (38)
    };
    product<64, 32, 16, false, true>(1, N * 900, 32, 288, 1, shared, left, right, store);
}

// ∂E/∂W1 = Σₙ δ1ₙ ⋆ a0ₙ    (32, 3, 3, 3) (39)
// One block a tile, (32 x N * 900) (N * 900 x 27), each shared by 64 blocks.
KERNEL backward_dW1_parts(real* RESTRICT dW1_parts, const real* RESTRICT delta1, const real* RESTRICT x, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta1[term * 32 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 900, i = term / 30 % 30, j = term % 30;
        const int u = column / 9, v = column / 3 % 3, c = column % 3;
        return x[((n * 32 + i + u) * 32 + j + v) * 3 + c];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW1_parts[part * 864 + row * 27 + column] = sum;
    };
    product<32, 32, 16, true, true>(1, 32, 27, N * 900, 64, shared, left, right, store);
}

// ∂E/∂W1 = Σₙ δ1ₙ ⋆ a0ₙ    (32, 3, 3, 3) (39)
// One thread an element of (32, 3, 3, 3).
KERNEL backward_dW1(real* RESTRICT dW1, const real* RESTRICT dW1_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 864; at += gridDim.x * THREADS) {
        const int k = at / 27, u = at / 9 % 3, v = at / 3 % 3, c = at % 3;
        real total = real(0);
        for (int part2 = 0; part2 < 64; ++part2)
            total += dW1_parts[(((part2 * 32 + k) * 3 + u) * 3 + v) * 3 + c];
        dW1[at] = total;  // (39)
    }
}

// ∂E/∂b1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (32,) (40)
// One group of threads an element of (32,): (N, 30, 30) terms, shared by 8 groups.
KERNEL backward_db1_parts(real* RESTRICT db1_parts, const real* RESTRICT delta1, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta1[term * 32 + row]; };
    auto store = [&](int part, int row, real sum) {
        db1_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 900, 8, shared, load, store);
}

// ∂E/∂b1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (32,) (40)
// One thread an element of (32,).
KERNEL backward_db1(real* RESTRICT db1, const real* RESTRICT db1_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += db1_parts[part2 * 32 + at];
        db1[at] = total;  // (40)
    }
}

// ---- Input gradient --------------------------------------------------------------------------------------

// ∂E/∂x = W1ᵀ ∗ δ1    (N, 32, 32, 3) (41)
// One block a tile, (N * 1024 x 288) (288 x 3).
KERNEL input_gradient_dx(real* RESTRICT dx, const real* RESTRICT delta1, const real* RESTRICT W1, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 1024, p = row / 32 % 32, q = row % 32;
        const int u = term / 96, v = term / 32 % 3, k = term % 32;
        return inside(p + u - 2, 30) && inside(q + v - 2, 30) ? delta1[((n * 30 + p + u - 2) * 30 + q + v - 2) * 32 + k] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real {
        const int u = term / 96, v = term / 32 % 3, k = term % 32;
        return W1[((k * 3 + -u + 2) * 3 + -v + 2) * 3 + column];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dx[row * 3 + column] = sum;  // (41)
    };
    product<16, 16, 16, false, true>(1, N * 1024, 3, 288, 1, shared, left, right, store);
}

// ---- Update ----------------------------------------------------------------------------------------------

// m ← β1 m + (1 − β1) g    (1639914,) (42)
// v ← β2 v + (1 − β2) g ⊙ g    (1639914,) (43)
// θ ← θ − η m/((1 − β1^k) (√(v/(1 − β2^k)) + ε))    (1639914,) (44)
// One thread an element of (1639914,).
KERNEL update_theta(real* RESTRICT m, real* RESTRICT v, real* RESTRICT theta, const real* RESTRICT g,
        const int* RESTRICT step) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 1639914; at += gridDim.x * THREADS) {
        real m_2 = real(BETA1) * m[at] + real(1. - BETA1) * g[at];  // (42)
        m[at] = m_2;  // (42)
        real v_2 = real(BETA2) * v[at] + real(1. - BETA2) * square(g[at]);  // (43)
        v[at] = v_2;  // (43)
        theta[at] = theta[at] - real(LEARNING_RATE / (1. - pow(BETA1, step[0]))) * m_2 / (sqrt(real(1. / (1. - pow(BETA2, step[0]))) * v_2) + real(EPSILON));  // (44)
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
    auto m3 = [&] { return (unsigned char*) memory[2]; };
    auto m4 = [&] { return (unsigned char*) memory[3]; };
    auto a1 = [&] { return (real*) memory[4]; };
    auto a1_2 = [&] { return (real*) memory[5]; };
    auto x = [&] { return (real*) memory[6]; };
    auto W1 = [&] { return (real*) memory[7]; };
    auto b1 = [&] { return (real*) memory[8]; };
    auto a2 = [&] { return (real*) memory[9]; };
    auto W2 = [&] { return (real*) memory[10]; };
    auto b2 = [&] { return (real*) memory[11]; };
    auto a2_2 = [&] { return (real*) memory[12]; };
    auto a3 = [&] { return (real*) memory[13]; };
    auto W3 = [&] { return (real*) memory[14]; };
    auto b3 = [&] { return (real*) memory[15]; };
    auto a3_2 = [&] { return (real*) memory[16]; };
    auto a3_4 = [&] { return (real*) memory[17]; };
    auto z4_parts = [&] { return (real*) memory[18]; };
    auto W4 = [&] { return (real*) memory[19]; };
    auto a4 = [&] { return (real*) memory[20]; };
    auto a4_2 = [&] { return (real*) memory[21]; };
    auto b4 = [&] { return (real*) memory[22]; };
    auto z5 = [&] { return (real*) memory[23]; };
    auto W5 = [&] { return (real*) memory[24]; };
    auto b5 = [&] { return (real*) memory[25]; };
    auto a5_max = [&] { return (real*) memory[26]; };
    auto a5_exp = [&] { return (real*) memory[27]; };
    auto a5_sum = [&] { return (real*) memory[28]; };
    auto a5 = [&] { return (real*) memory[29]; };
    auto T = [&] { return (real*) memory[30]; };
    auto t = [&] { return (int*) memory[31]; };
    auto E_sum = [&] { return (double*) memory[32]; };
    auto E = [&] { return (double*) memory[33]; };
    auto delta5 = [&] { return (real*) memory[34]; };
    auto dW5 = [&] { return (real*) memory[35]; };
    auto db5 = [&] { return (real*) memory[36]; };
    auto delta4 = [&] { return (real*) memory[37]; };
    auto dW4 = [&] { return (real*) memory[38]; };
    auto db4 = [&] { return (real*) memory[39]; };
    auto da3_3 = [&] { return (real*) memory[40]; };
    auto delta3_sum_windows = [&] { return (real*) memory[41]; };
    auto delta3 = [&] { return (real*) memory[42]; };
    auto dW3_parts = [&] { return (real*) memory[43]; };
    auto dW3 = [&] { return (real*) memory[44]; };
    auto db3_parts = [&] { return (real*) memory[45]; };
    auto db3 = [&] { return (real*) memory[46]; };
    auto da2_2 = [&] { return (real*) memory[47]; };
    auto delta2_sum_windows = [&] { return (real*) memory[48]; };
    auto delta2 = [&] { return (real*) memory[49]; };
    auto dW2_parts = [&] { return (real*) memory[50]; };
    auto dW2 = [&] { return (real*) memory[51]; };
    auto db2_parts = [&] { return (real*) memory[52]; };
    auto db2 = [&] { return (real*) memory[53]; };
    auto delta1 = [&] { return (real*) memory[54]; };
    auto dW1_parts = [&] { return (real*) memory[55]; };
    auto dW1 = [&] { return (real*) memory[56]; };
    auto db1_parts = [&] { return (real*) memory[57]; };
    auto db1 = [&] { return (real*) memory[58]; };
    auto m = [&] { return (real*) memory[59]; };
    auto v = [&] { return (real*) memory[60]; };
    auto theta = [&] { return (real*) memory[61]; };
    auto g = [&] { return (real*) memory[62]; };
    auto step = [&] { return (int*) memory[63]; };

    for (int s = 0; s < count; ++s) {
        // The batch, and what changes from step to step.
        auto x_here = x();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N * 3072; at += gridDim.x * THREADS) x_here[at] = inputs[(long long) order[s * N + at / 3072] * 3072 + at % 3072];
        auto t_here = t();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N; at += gridDim.x * THREADS) t_here[at] = targets[order[s * N + at]];
        if (blockIdx.x == 0 && threadIdx.x == 0) { step()[0] += 1; seed()[0] = seeds[s]; }
        grid_sync(barrier);

        forward_m1(m1(), seed(), N);  // (5)
        forward_m3(m3(), seed(), N);  // (14)
        forward_m4(m4(), seed(), N);  // (18)
        grid_sync(barrier);
        forward_a1_2(a1(), a1_2(), x(), W1(), b1(), m1(), N);  // (3) (4) (5)
        grid_sync(barrier);
        forward_a2(a2(), a1_2(), W2(), b2(), N);  // (7) (8)
        grid_sync(barrier);
        forward_a2_2(a2_2(), a2(), N);  // (9)
        grid_sync(barrier);
        forward_a3(a3(), a2_2(), W3(), b3(), N);  // (10) (11)
        grid_sync(barrier);
        forward_a3_2(a3_2(), a3(), N);  // (12)
        grid_sync(barrier);
        forward_a3_4(a3_4(), a3_2(), m3(), N);  // (14)
        grid_sync(barrier);
        forward_z4_parts(z4_parts(), a3_4(), W4(), N);  // (16)
        grid_sync(barrier);
        forward_a4_2(a4(), a4_2(), z4_parts(), b4(), m4(), N);  // (16) (17) (18)
        grid_sync(barrier);
        forward_z5(z5(), a4_2(), W5(), b5(), N);  // (20)
        grid_sync(barrier);
        forward_a5(a5_max(), a5_exp(), a5_sum(), a5(), z5(), N);  // (21)
        loss_T(T(), t(), N);  // (1)
        grid_sync(barrier);
        loss_E_sum(E_sum(), a5_sum(), N);  // (22)
        grid_sync(barrier);
        loss_E(E(), T(), a5_max(), z5(), E_sum(), N);  // (22)
        grid_sync(barrier);
        backward_delta5(delta5(), a5(), T(), N);  // (23)
        grid_sync(barrier);
        backward_dW5(dW5(), delta5(), a4_2(), N);  // (24)
        backward_db5(db5(), delta5(), N);  // (25)
        grid_sync(barrier);
        backward_delta4(delta4(), delta5(), W5(), m4(), a4(), N);  // (26)
        grid_sync(barrier);
        backward_dW4(dW4(), delta4(), a3_4(), N);  // (27)
        backward_db4(db4(), delta4(), N);  // (28)
        grid_sync(barrier);
        backward_da3_3(da3_3(), delta4(), W4(), m3(), N);  // (29)
        grid_sync(barrier);
        backward_delta3_sum_windows(delta3_sum_windows(), a3_2(), a3(), da3_3(), N);  // (31)
        grid_sync(barrier);
        backward_delta3(delta3(), delta3_sum_windows(), a3(), N);  // (31)
        grid_sync(barrier);
        backward_dW3_parts(dW3_parts(), delta3(), a2_2(), N);  // (32)
        grid_sync(barrier);
        backward_dW3(dW3(), dW3_parts());  // (32)
        backward_db3_parts(db3_parts(), delta3(), N);  // (33)
        grid_sync(barrier);
        backward_db3(db3(), db3_parts());  // (33)
        backward_da2_2(da2_2(), delta3(), W3(), N);  // (34)
        grid_sync(barrier);
        backward_delta2_sum_windows(delta2_sum_windows(), a2_2(), a2(), da2_2(), N);  // (35)
        grid_sync(barrier);
        backward_delta2(delta2(), delta2_sum_windows(), a2(), N);  // (35)
        grid_sync(barrier);
        backward_dW2_parts(dW2_parts(), delta2(), a1_2(), N);  // (36)
        grid_sync(barrier);
        backward_dW2(dW2(), dW2_parts());  // (36)
        backward_db2_parts(db2_parts(), delta2(), N);  // (37)
        grid_sync(barrier);
        backward_db2(db2(), db2_parts());  // (37)
        backward_delta1(delta1(), delta2(), W2(), m1(), a1(), N);  // (38)
        grid_sync(barrier);
        backward_dW1_parts(dW1_parts(), delta1(), x(), N);  // (39)
        grid_sync(barrier);
        backward_dW1(dW1(), dW1_parts());  // (39)
        backward_db1_parts(db1_parts(), delta1(), N);  // (40)
        grid_sync(barrier);
        backward_db1(db1(), db1_parts());  // (40)
        grid_sync(barrier);
        update_theta(m(), v(), theta(), g(), step());  // (42) (43) (44)
        grid_sync(barrier);
        if (blockIdx.x == 0 && threadIdx.x == 0) total[0] += E()[0] * N;
    }
}

#endif
