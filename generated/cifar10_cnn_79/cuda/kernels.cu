// cifar10_cnn_79: the kernels of its training program, launched by trainer.py.
//
// 32x32x3-…-10 (8 layers), relu, dropout, max_pool2d, softmax; cross_entropy; adam; 1,640,048 parameters
//
// Generated from cifar10_cnn_79.toml (sha256 a0078f30); change the spec, not this file.  A number in
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

// m2 ∼ Bernoulli(0.8) for (10).  One thread 16 neighbours.
KERNEL forward_m2(unsigned char* RESTRICT m2, const uint64* RESTRICT seed, int N) {
    draw(m2, N * 28800, seed[0], 0, 52429);
}

// m6 ∼ Bernoulli(0.8) for (29).  One thread 16 neighbours.
KERNEL forward_m6(unsigned char* RESTRICT m6, const uint64* RESTRICT seed, int N) {
    draw(m6, N * 3136, seed[0], 1, 52429);
}

// m7 ∼ Bernoulli(0.8) for (33).  One thread 16 neighbours.
KERNEL forward_m7(unsigned char* RESTRICT m7, const uint64* RESTRICT seed, int N) {
    draw(m7, N * 512, seed[0], 2, 52429);
}

// μ1[k] = (1/(1024 N)) Σₙᵢⱼ a0[n,i,j,k]    (3,) (3)
// One group of threads an element of (3,): (N, 32, 32) terms, shared by 128 groups.
KERNEL forward_mu1_parts(real* RESTRICT mu1_parts, const real* RESTRICT x, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return x[term * 3 + row]; };
    auto store = [&](int part, int row, real sum) {
        mu1_parts[part * 3 + row] = sum;
    };
    reduction<Sum, 8, true>(3, N * 1024, 128, shared, load, store);
}

// μ1[k] = (1/(1024 N)) Σₙᵢⱼ a0[n,i,j,k]    (3,) (3)
// One thread an element of (3,).
KERNEL forward_mu1(real* RESTRICT mu1, const real* RESTRICT mu1_parts, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 128; ++part2)
            total += mu1_parts[part2 * 3 + at];
        real mu1_2 = total;  // (3)
        mu1[at] = real(1. / 1024. / N) * mu1_2;  // (3)
    }
}

// v1[k] = (1/(1024 N)) Σₙᵢⱼ (a0[n,i,j,k] − μ1[k])²    (3,) (4)
// One group of threads an element of (3,): (N, 32, 32) terms, shared by 128 groups.
KERNEL forward_v1_parts(real* RESTRICT v1_parts, const real* RESTRICT x, const real* RESTRICT mu1, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return square(x[term * 3 + row] - mu1[row]); };
    auto store = [&](int part, int row, real sum) {
        v1_parts[part * 3 + row] = sum;
    };
    reduction<Sum, 8, true>(3, N * 1024, 128, shared, load, store);
}

// v1[k] = (1/(1024 N)) Σₙᵢⱼ (a0[n,i,j,k] − μ1[k])²    (3,) (4)
// One thread an element of (3,).
KERNEL forward_v1(real* RESTRICT v1, const real* RESTRICT v1_parts, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 128; ++part2)
            total += v1_parts[part2 * 3 + at];
        real v1_2 = total;  // (4)
        v1[at] = real(1. / 1024. / N) * v1_2;  // (4)
    }
}

// x̂1[n,i,j,k] = (a0[n,i,j,k] − μ1[k])/√(v1[k] + 1e-5)    (N, 32, 32, 3) (5)
// z1[n,i,j,k] = γ1[k] x̂1[n,i,j,k] + β1[k]    (N, 32, 32, 3) (6)
// One thread an element of (N, 32, 32, 3).
KERNEL forward_z1(real* RESTRICT xhat1, real* RESTRICT z1, const real* RESTRICT x, const real* RESTRICT mu1,
        const real* RESTRICT v1, const real* RESTRICT gamma1, const real* RESTRICT beta1, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3072 * N; at += gridDim.x * THREADS) {
        const int k = at % 3;
        real xhat1_2 = (x[at] - mu1[k]) / sqrt(v1[k] + real(1e-05));  // (5)
        xhat1[at] = xhat1_2;  // (5)
        z1[at] = gamma1[k] * xhat1_2 + beta1[k];  // (6)
    }
}

// z2 = W2 ⋆ z1 + b2    (N, 30, 30, 32) (8)
// a2 = max(0, z2)    (N, 30, 30, 32) (9)
// a2_2 = (5/4) a2 ⊙ m2    (N, 30, 30, 32) (10)
// One block a tile, (N * 900 x 27) (27 x 32).
KERNEL forward_a2_2(real* RESTRICT a2, real* RESTRICT a2_2, const real* RESTRICT z1, const real* RESTRICT W2,
        const real* RESTRICT b2, const unsigned char* RESTRICT m2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 900, i = row / 30 % 30, j = row % 30;
        const int u = term / 9, v = term / 3 % 3, c = term % 3;
        return z1[((n * 32 + i + u) * 32 + j + v) * 3 + c];
    };
    auto right = [&](int batch, int term, int column) -> real { return W2[column * 27 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z2 = b2[column] + sum;  // (8)
        real a2_3 = maximum(z2, real(0));  // (9)
        a2[row * 32 + column] = a2_3;  // (9)
        a2_2[row * 32 + column] = real(1.25) * a2_3 * m2[row * 32 + column];  // (10)
    };
    product<64, 32, 16, false, false>(1, N * 900, 32, 27, 1, shared, left, right, store);
}

// μ3[k] = (1/(900 N)) Σₙᵢⱼ a2_2[n,i,j,k]    (32,) (12)
// One group of threads an element of (32,): (N, 30, 30) terms, shared by 8 groups.
KERNEL forward_mu3_parts(real* RESTRICT mu3_parts, const real* RESTRICT a2_2, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return a2_2[term * 32 + row]; };
    auto store = [&](int part, int row, real sum) {
        mu3_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 900, 8, shared, load, store);
}

// μ3[k] = (1/(900 N)) Σₙᵢⱼ a2_2[n,i,j,k]    (32,) (12)
// One thread an element of (32,).
KERNEL forward_mu3(real* RESTRICT mu3, const real* RESTRICT mu3_parts, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += mu3_parts[part2 * 32 + at];
        real mu3_2 = total;  // (12)
        mu3[at] = real(1. / 900. / N) * mu3_2;  // (12)
    }
}

// v3[k] = (1/(900 N)) Σₙᵢⱼ (a2_2[n,i,j,k] − μ3[k])²    (32,) (13)
// One group of threads an element of (32,): (N, 30, 30) terms, shared by 8 groups.
KERNEL forward_v3_parts(real* RESTRICT v3_parts, const real* RESTRICT a2_2, const real* RESTRICT mu3, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return square(a2_2[term * 32 + row] - mu3[row]); };
    auto store = [&](int part, int row, real sum) {
        v3_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 900, 8, shared, load, store);
}

// v3[k] = (1/(900 N)) Σₙᵢⱼ (a2_2[n,i,j,k] − μ3[k])²    (32,) (13)
// One thread an element of (32,).
KERNEL forward_v3(real* RESTRICT v3, const real* RESTRICT v3_parts, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += v3_parts[part2 * 32 + at];
        real v3_2 = total;  // (13)
        v3[at] = real(1. / 900. / N) * v3_2;  // (13)
    }
}

// x̂3[n,i,j,k] = (a2_2[n,i,j,k] − μ3[k])/√(v3[k] + 1e-5)    (N, 30, 30, 32) (14)
// z3[n,i,j,k] = γ3[k] x̂3[n,i,j,k] + β3[k]    (N, 30, 30, 32) (15)
// One thread an element of (N, 30, 30, 32).
KERNEL forward_z3(real* RESTRICT xhat3, real* RESTRICT z3, const real* RESTRICT a2_2, const real* RESTRICT mu3,
        const real* RESTRICT v3, const real* RESTRICT gamma3, const real* RESTRICT beta3, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 28800 * N; at += gridDim.x * THREADS) {
        const int k = at % 32;
        real xhat3_2 = (a2_2[at] - mu3[k]) / sqrt(v3[k] + real(1e-05));  // (14)
        xhat3[at] = xhat3_2;  // (14)
        z3[at] = gamma3[k] * xhat3_2 + beta3[k];  // (15)
    }
}

// z4 = W4 ⋆(p=1) z3 + b4    (N, 30, 30, 32) (17)
// a4 = max(0, z4)    (N, 30, 30, 32) (18)
// One block a tile, (N * 900 x 288) (288 x 32).
KERNEL forward_a4(real* RESTRICT a4, const real* RESTRICT z3, const real* RESTRICT W4, const real* RESTRICT b4,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 900, i = row / 30 % 30, j = row % 30;
        const int u = term / 96, v = term / 32 % 3, c = term % 32;
        return inside(i + u - 1, 30) && inside(j + v - 1, 30) ? z3[((n * 30 + i + u - 1) * 30 + j + v - 1) * 32 + c] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real { return W4[column * 288 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z4 = b4[column] + sum;  // (17)
        a4[row * 32 + column] = maximum(z4, real(0));  // (18)
    };
    product<64, 32, 16, false, false>(1, N * 900, 32, 288, 1, shared, left, right, store);
}

// a4_2[n,i,j,k] = max_{u,v<2} a4[n,2i+u,2j+v,k]    (N, 15, 15, 32) (19)
// One thread an element of (N, 15, 15, 32).
KERNEL forward_a4_2(real* RESTRICT a4_2, const real* RESTRICT a4, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 7200 * N; at += gridDim.x * THREADS) {
        const int n = at / 7200, i = at / 480 % 15, j = at / 32 % 15, k = at % 32;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a4[((n * 30 + 2 * i + u) * 30 + 2 * j + v) * 32 + k]);
        a4_2[at] = greatest;  // (19)
    }
}

// μ5[k] = (1/(225 N)) Σₙᵢⱼ a4_2[n,i,j,k]    (32,) (20)
// One group of threads an element of (32,): (N, 15, 15) terms, shared by 8 groups.
KERNEL forward_mu5_parts(real* RESTRICT mu5_parts, const real* RESTRICT a4_2, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return a4_2[term * 32 + row]; };
    auto store = [&](int part, int row, real sum) {
        mu5_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 225, 8, shared, load, store);
}

// μ5[k] = (1/(225 N)) Σₙᵢⱼ a4_2[n,i,j,k]    (32,) (20)
// One thread an element of (32,).
KERNEL forward_mu5(real* RESTRICT mu5, const real* RESTRICT mu5_parts, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += mu5_parts[part2 * 32 + at];
        real mu5_2 = total;  // (20)
        mu5[at] = real(1. / 225. / N) * mu5_2;  // (20)
    }
}

// v5[k] = (1/(225 N)) Σₙᵢⱼ (a4_2[n,i,j,k] − μ5[k])²    (32,) (21)
// One group of threads an element of (32,): (N, 15, 15) terms, shared by 8 groups.
KERNEL forward_v5_parts(real* RESTRICT v5_parts, const real* RESTRICT a4_2, const real* RESTRICT mu5, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return square(a4_2[term * 32 + row] - mu5[row]); };
    auto store = [&](int part, int row, real sum) {
        v5_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 225, 8, shared, load, store);
}

// v5[k] = (1/(225 N)) Σₙᵢⱼ (a4_2[n,i,j,k] − μ5[k])²    (32,) (21)
// One thread an element of (32,).
KERNEL forward_v5(real* RESTRICT v5, const real* RESTRICT v5_parts, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += v5_parts[part2 * 32 + at];
        real v5_2 = total;  // (21)
        v5[at] = real(1. / 225. / N) * v5_2;  // (21)
    }
}

// x̂5[n,i,j,k] = (a4_2[n,i,j,k] − μ5[k])/√(v5[k] + 1e-5)    (N, 15, 15, 32) (22)
// z5[n,i,j,k] = γ5[k] x̂5[n,i,j,k] + β5[k]    (N, 15, 15, 32) (23)
// One thread an element of (N, 15, 15, 32).
KERNEL forward_z5(real* RESTRICT xhat5, real* RESTRICT z5, const real* RESTRICT a4_2, const real* RESTRICT mu5,
        const real* RESTRICT v5, const real* RESTRICT gamma5, const real* RESTRICT beta5, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 7200 * N; at += gridDim.x * THREADS) {
        const int k = at % 32;
        real xhat5_2 = (a4_2[at] - mu5[k]) / sqrt(v5[k] + real(1e-05));  // (22)
        xhat5[at] = xhat5_2;  // (22)
        z5[at] = gamma5[k] * xhat5_2 + beta5[k];  // (23)
    }
}

// z6 = W6 ⋆(p=1) z5 + b6    (N, 15, 15, 64) (25)
// a6 = max(0, z6)    (N, 15, 15, 64) (26)
// One block a tile, (N * 225 x 288) (288 x 64).
KERNEL forward_a6(real* RESTRICT a6, const real* RESTRICT z5, const real* RESTRICT W6, const real* RESTRICT b6,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 225, i = row / 15 % 15, j = row % 15;
        const int u = term / 96, v = term / 32 % 3, c = term % 32;
        return inside(i + u - 1, 15) && inside(j + v - 1, 15) ? z5[((n * 15 + i + u - 1) * 15 + j + v - 1) * 32 + c] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real { return W6[column * 288 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z6 = b6[column] + sum;  // (25)
        a6[row * 64 + column] = maximum(z6, real(0));  // (26)
    };
    product<64, 64, 16, false, false>(1, N * 225, 64, 288, 1, shared, left, right, store);
}

// a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k]    (N, 7, 7, 64) (27)
// One thread an element of (N, 7, 7, 64).
KERNEL forward_a6_2(real* RESTRICT a6_2, const real* RESTRICT a6, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3136 * N; at += gridDim.x * THREADS) {
        const int n = at / 3136, i = at / 448 % 7, j = at / 64 % 7, k = at % 64;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a6[((n * 15 + 2 * i + u) * 15 + 2 * j + v) * 64 + k]);
        a6_2[at] = greatest;  // (27)
    }
}

// a6_4 = (5/4) a6_3 ⊙ m6    (N, 3136) (29)
// One thread an element of (N, 3136).
KERNEL forward_a6_4(real* RESTRICT a6_4, const real* RESTRICT a6_2, const unsigned char* RESTRICT m6, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3136 * N; at += gridDim.x * THREADS) {
        a6_4[at] = real(1.25) * a6_2[at] * m6[at];  // (29)
    }
}

// z7 = W7 a6_4 + b7    (N, 512) (31)
// One block a tile, (N x 3136) (3136 x 512), each shared by 4 blocks.
KERNEL forward_z7_parts(real* RESTRICT z7_parts, const real* RESTRICT a6_4, const real* RESTRICT W7, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return a6_4[row * 3136 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W7[column * 3136 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z7_parts[part * N * 512 + row * 512 + column] = sum;
    };
    product<64, 32, 16, false, false>(1, N, 512, 3136, 4, shared, left, right, store);
}

// z7 = W7 a6_4 + b7    (N, 512) (31)
// a7 = max(0, z7)    (N, 512) (32)
// a7_2 = (5/4) a7 ⊙ m7    (N, 512) (33)
// One thread an element of (N, 512).
KERNEL forward_a7_2(real* RESTRICT a7, real* RESTRICT a7_2, const real* RESTRICT z7_parts, const real* RESTRICT b7,
        const unsigned char* RESTRICT m7, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 512 * N; at += gridDim.x * THREADS) {
        const int n = at / 512, k = at % 512;
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += z7_parts[(part2 * N + n) * 512 + k];
        real z7 = total;  // (31)
        z7 = b7[k] + z7;  // (31)
        real a7_3 = maximum(z7, real(0));  // (32)
        a7[at] = a7_3;  // (32)
        a7_2[at] = real(1.25) * a7_3 * m7[at];  // (33)
    }
}

// z8 = W8 a7_2 + b8    (N, 10) (35)
// One block a tile, (N x 512) (512 x 10).
KERNEL forward_z8(real* RESTRICT z8, const real* RESTRICT a7_2, const real* RESTRICT W8, const real* RESTRICT b8,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return a7_2[row * 512 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W8[column * 512 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z8[row * 10 + column] = b8[column] + sum;  // (35)
    };
    product<64, 16, 16, false, false>(1, N, 10, 512, 1, shared, left, right, store);
}

// a8 = softmax(z8)    (N, 10) (36)
// One thread a sample.
KERNEL forward_a8(real* RESTRICT a8_max, real* RESTRICT a8_exp, real* RESTRICT a8_sum, real* RESTRICT a8,
        const real* RESTRICT z8, int N) {
    for (int n = blockIdx.x * THREADS + threadIdx.x; n < N; n += gridDim.x * THREADS) {
        real greatest = real(-1) / real(0);
        for (int i = 0; i < 10; ++i)
            greatest = maximum(greatest, z8[n * 10 + i]);
        a8_max[n] = greatest;  // (36)
        for (int k = 0; k < 10; ++k) {
            a8_exp[n * 10 + k] = exp(z8[n * 10 + k] - a8_max[n]);  // (36)
        }
        real total = real(0);
        for (int j = 0; j < 10; ++j)
            total += a8_exp[n * 10 + j];
        a8_sum[n] = total;  // (36)
        for (int k2 = 0; k2 < 10; ++k2) {
            a8[n * 10 + k2] = a8_exp[n * 10 + k2] / a8_sum[n];  // (36)
        }
    }
}

// ---- Evaluation ------------------------------------------------------------------------------------------

// z1[n,i,j,k] = γ1[k] (a0[n,i,j,k] − μ̄1[k])/√(v̄1[k] + 1e-5) + β1[k]    (N, 32, 32, 3) (7)
// One thread an element of (N, 32, 32, 3).
KERNEL evaluation_z1(real* RESTRICT z1, const real* RESTRICT gamma1, const real* RESTRICT x,
        const real* RESTRICT mean1, const real* RESTRICT var1, const real* RESTRICT beta1, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3072 * N; at += gridDim.x * THREADS) {
        const int k = at % 3;
        z1[at] = gamma1[k] * (x[at] - mean1[k]) / sqrt(var1[k] + real(1e-05)) + beta1[k];  // (7)
    }
}

// z2 = W2 ⋆ z1 + b2    (N, 30, 30, 32) (8)
// a2 = max(0, z2)    (N, 30, 30, 32) (9)
// a2_2 = a2    (N, 30, 30, 32) (11)
// z3[n,i,j,k] = γ3[k] (a2_2[n,i,j,k] − μ̄3[k])/√(v̄3[k] + 1e-5) + β3[k]    (N, 30, 30, 32) (16)
// One block a tile, (N * 900 x 27) (27 x 32).
KERNEL evaluation_z3(real* RESTRICT a2, real* RESTRICT a2_2, real* RESTRICT z3, const real* RESTRICT z1,
        const real* RESTRICT W2, const real* RESTRICT b2, const real* RESTRICT gamma3, const real* RESTRICT mean3,
        const real* RESTRICT var3, const real* RESTRICT beta3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 900, i = row / 30 % 30, j = row % 30;
        const int u = term / 9, v = term / 3 % 3, c = term % 3;
        return z1[((n * 32 + i + u) * 32 + j + v) * 3 + c];
    };
    auto right = [&](int batch, int term, int column) -> real { return W2[column * 27 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        real z2 = b2[column] + sum;  // (8)
        real a2_3 = maximum(z2, real(0));  // (9)
        a2[row * 32 + column] = a2_3;  // (9)
        real a2_2_2 = a2_3;  // (11)
        a2_2[row * 32 + column] = a2_2_2;  // (11)
        z3[row * 32 + column] = gamma3[column] * (a2_2_2 - mean3[column]) / sqrt(var3[column] + real(1e-05)) + beta3[column];  // (16)
    };
    product<64, 32, 16, false, false>(1, N * 900, 32, 27, 1, shared, left, right, store);
}

// a4_2[n,i,j,k] = max_{u,v<2} a4[n,2i+u,2j+v,k]    (N, 15, 15, 32) (19)
// z5[n,i,j,k] = γ5[k] (a4_2[n,i,j,k] − μ̄5[k])/√(v̄5[k] + 1e-5) + β5[k]    (N, 15, 15, 32) (24)
// One thread an element of (N, 15, 15, 32).
KERNEL evaluation_z5(real* RESTRICT a4_2, real* RESTRICT z5, const real* RESTRICT a4, const real* RESTRICT gamma5,
        const real* RESTRICT mean5, const real* RESTRICT var5, const real* RESTRICT beta5, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 7200 * N; at += gridDim.x * THREADS) {
        const int n = at / 7200, i = at / 480 % 15, j = at / 32 % 15, k = at % 32;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a4[((n * 30 + 2 * i + u) * 30 + 2 * j + v) * 32 + k]);
        real a4_2_2 = greatest;  // (19)
        a4_2[at] = a4_2_2;  // (19)
        z5[at] = gamma5[k] * (a4_2_2 - mean5[k]) / sqrt(var5[k] + real(1e-05)) + beta5[k];  // (24)
    }
}

// a6_4 = a6_3    (N, 3136) (30)
// One thread an element of (N, 3136).
KERNEL evaluation_a6_4(real* RESTRICT a6_4, const real* RESTRICT a6_2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3136 * N; at += gridDim.x * THREADS) {
        a6_4[at] = a6_2[at];  // (30)
    }
}

// z7 = W7 a6_4 + b7    (N, 512) (31)
// a7 = max(0, z7)    (N, 512) (32)
// a7_2 = a7    (N, 512) (34)
// One thread an element of (N, 512).
KERNEL evaluation_a7_2(real* RESTRICT a7, real* RESTRICT a7_2, const real* RESTRICT z7_parts, const real* RESTRICT b7,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 512 * N; at += gridDim.x * THREADS) {
        const int n = at / 512, k = at % 512;
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += z7_parts[(part2 * N + n) * 512 + k];
        real z7 = total;  // (31)
        z7 = b7[k] + z7;  // (31)
        real a7_3 = maximum(z7, real(0));  // (32)
        a7[at] = a7_3;  // (32)
        a7_2[at] = a7_3;  // (34)
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

// E = −(1/N) Σₙ Tₙᵀ log(a8ₙ)    () (37)
// One group of threads an element of (): (N,) terms.
KERNEL loss_E_sum(double* RESTRICT E_sum, const real* RESTRICT a8_sum, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return log(a8_sum[term]); };
    auto store = [&](int part, int row, real sum) {
        E_sum[0] = sum;  // (37)
    };
    reduction<Sum, 256, false>(1, N, 1, shared, load, store);
}

// E = −(1/N) Σₙ Tₙᵀ log(a8ₙ)    () (37)
// One group of threads an element of (): (N, 10) terms.
KERNEL loss_E(double* RESTRICT E, const real* RESTRICT T, const real* RESTRICT a8_max, const real* RESTRICT z8,
        const double* RESTRICT E_sum, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real {
        const int n = term / 10;
        return T[term] * (a8_max[n] - z8[term]);
    };
    auto store = [&](int part, int row, real sum) {
        E[0] = real(1. / N) * (real(E_sum[0]) + sum);  // (37)
    };
    reduction<Sum, 256, false>(1, N * 10, 1, shared, load, store);
}

// ---- Backward --------------------------------------------------------------------------------------------

// δ8 = (a8 − T)/N    (N, 10) (38)
// One thread an element of (N, 10).
KERNEL backward_delta8(real* RESTRICT delta8, const real* RESTRICT a8, const real* RESTRICT T, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 10 * N; at += gridDim.x * THREADS) {
        delta8[at] = real(1. / N) * (a8[at] - T[at]);  // (38)
    }
}

// ∂E/∂W8 = Σₙ δ8ₙ a7_2ₙᵀ    (10, 512) (39)
// One block a tile, (10 x N) (N x 512).
KERNEL backward_dW8(real* RESTRICT dW8, const real* RESTRICT delta8, const real* RESTRICT a7_2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta8[term * 10 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return a7_2[term * 512 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW8[row * 512 + column] = sum;  // (39)
    };
    product<16, 64, 16, true, true>(1, 10, 512, N, 1, shared, left, right, store);
}

// ∂E/∂b8 = Σₙ δ8ₙ    (10,) (40)
// One group of threads an element of (10,): (N,) terms.
KERNEL backward_db8(real* RESTRICT db8, const real* RESTRICT delta8, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta8[term * 10 + row]; };
    auto store = [&](int part, int row, real sum) {
        db8[row] = sum;  // (40)
    };
    reduction<Sum, 8, true>(10, N, 1, shared, load, store);
}

// δ7 = (5/4) (W8ᵀ δ8) ⊙ m7 ⊙ [a7 > 0]    (N, 512) (41)
// One block a tile, (N x 10) (10 x 512).
KERNEL backward_delta7(real* RESTRICT delta7, const real* RESTRICT delta8, const real* RESTRICT W8,
        const unsigned char* RESTRICT m7, const real* RESTRICT a7, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta8[row * 10 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W8[term * 512 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        delta7[row * 512 + column] = a7[row * 512 + column] > 0 ? real(1.25) * sum * m7[row * 512 + column] : 0;  // (41)
    };
    product<16, 16, 16, false, true>(1, N, 512, 10, 1, shared, left, right, store);
}

// ∂E/∂W7 = Σₙ δ7ₙ a6_4ₙᵀ    (512, 3136) (42)
// One block a tile, (512 x N) (N x 3136).
KERNEL backward_dW7(real* RESTRICT dW7, const real* RESTRICT delta7, const real* RESTRICT a6_4, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta7[term * 512 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return a6_4[term * 3136 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW7[row * 3136 + column] = sum;  // (42)
    };
    product<128, 128, 16, true, true>(1, 512, 3136, N, 1, shared, left, right, store);
}

// ∂E/∂b7 = Σₙ δ7ₙ    (512,) (43)
// One group of threads an element of (512,): (N,) terms.
KERNEL backward_db7(real* RESTRICT db7, const real* RESTRICT delta7, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta7[term * 512 + row]; };
    auto store = [&](int part, int row, real sum) {
        db7[row] = sum;  // (43)
    };
    reduction<Sum, 8, true>(512, N, 1, shared, load, store);
}

// ∂E/∂a6_3 = (5/4) (W7ᵀ δ7) ⊙ m6    (N, 3136) (44)
// One block a tile, (N x 512) (512 x 3136).
KERNEL backward_da6_3(real* RESTRICT da6_3, const real* RESTRICT delta7, const real* RESTRICT W7,
        const unsigned char* RESTRICT m6, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta7[row * 512 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W7[term * 3136 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        da6_3[row * 3136 + column] = real(1.25) * sum * m6[row * 3136 + column];  // (44)
    };
    product<64, 32, 16, false, true>(1, N, 3136, 512, 1, shared, left, right, store);
}

// δ6[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a6[n,2i+u,2j+v,k]] ∂E/∂a6_2[n,i,j,k]) [a6[n,p,q,k] > 0]    (N, 15, 15, 64) (46)
// One thread an element of (N, 7, 7, 2, 2, 64).
KERNEL backward_delta6_sum_windows(real* RESTRICT delta6_sum_windows, const real* RESTRICT a6_2,
        const real* RESTRICT a6, const real* RESTRICT da6_3, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 12544 * N; at += gridDim.x * THREADS) {
        const int n = at / 12544, i = at / 1792 % 7, j = at / 256 % 7, p = at / 128 % 2, q = at / 64 % 2, k = at % 64;
        const real best = a6_2[((n * 7 + i) * 7 + j) * 64 + k];
        bool won = a6[((n * 15 + 2 * i + p) * 15 + 2 * j + q) * 64 + k] == best;
        for (int p_before = 0; p_before < 2; ++p_before)
            for (int q_before = 0; q_before < 2; ++q_before)
                won &= !((p_before * 2 + q_before < p * 2 + q)
                    & (a6[((n * 15 + 2 * i + p_before) * 15 + 2 * j + q_before) * 64 + k] == best));
        unsigned char delta6_winner = won;  // (46)
        delta6_sum_windows[at] = da6_3[((n * 7 + i) * 7 + j) * 64 + k] * delta6_winner;  // (46)
    }
}

// δ6[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a6[n,2i+u,2j+v,k]] ∂E/∂a6_2[n,i,j,k]) [a6[n,p,q,k] > 0]    (N, 15, 15, 64) (46)
// One thread an element of (N, 15, 15, 64).
KERNEL backward_delta6(real* RESTRICT delta6, const real* RESTRICT delta6_sum_windows, const real* RESTRICT a6,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 14400 * N; at += gridDim.x * THREADS) {
        const int n = at / 14400, p = at / 960 % 15, q = at / 64 % 15, r = at % 64;
        real total = real(0);
        if (p / 2 < 7 && q / 2 < 7)
            total += delta6_sum_windows[((((n * 7 + (p / 2)) * 7 + (q / 2)) * 2 + (p % 2)) * 2 + (q % 2)) * 64 + r];
        real delta6_sum = total;  // (46)
        delta6[at] = a6[at] > 0 ? delta6_sum : 0;  // (46)
    }
}

// ∂E/∂W6 = Σₙ δ6ₙ ⋆(p=1) z5ₙ    (64, 3, 3, 32) (47)
// One block a tile, (64 x N * 225) (N * 225 x 288), each shared by 16 blocks.
KERNEL backward_dW6_parts(real* RESTRICT dW6_parts, const real* RESTRICT delta6, const real* RESTRICT z5, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta6[term * 64 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 225, i = term / 15 % 15, j = term % 15;
        const int u = column / 96, v = column / 32 % 3, c = column % 32;
        return inside(i + u - 1, 15) && inside(j + v - 1, 15) ? z5[((n * 15 + i + u - 1) * 15 + j + v - 1) * 32 + c] : real(0);
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW6_parts[part * 18432 + row * 288 + column] = sum;
    };
    product<64, 64, 16, true, true>(1, 64, 288, N * 225, 16, shared, left, right, store);
}

// ∂E/∂W6 = Σₙ δ6ₙ ⋆(p=1) z5ₙ    (64, 3, 3, 32) (47)
// One thread an element of (64, 3, 3, 32).
KERNEL backward_dW6(real* RESTRICT dW6, const real* RESTRICT dW6_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 18432; at += gridDim.x * THREADS) {
        const int k = at / 288, u = at / 96 % 3, v = at / 32 % 3, c = at % 32;
        real total = real(0);
        for (int part2 = 0; part2 < 16; ++part2)
            total += dW6_parts[(((part2 * 64 + k) * 3 + u) * 3 + v) * 32 + c];
        dW6[at] = total;  // (47)
    }
}

// ∂E/∂b6[k] = Σₙᵢⱼ δ6[n,i,j,k]    (64,) (48)
// One group of threads an element of (64,): (N, 15, 15) terms, shared by 4 groups.
KERNEL backward_db6_parts(real* RESTRICT db6_parts, const real* RESTRICT delta6, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta6[term * 64 + row]; };
    auto store = [&](int part, int row, real sum) {
        db6_parts[part * 64 + row] = sum;
    };
    reduction<Sum, 8, true>(64, N * 225, 4, shared, load, store);
}

// ∂E/∂b6[k] = Σₙᵢⱼ δ6[n,i,j,k]    (64,) (48)
// One thread an element of (64,).
KERNEL backward_db6(real* RESTRICT db6, const real* RESTRICT db6_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 64; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += db6_parts[part2 * 64 + at];
        db6[at] = total;  // (48)
    }
}

// δ5 = W6ᵀ ∗(p=1) δ6    (N, 15, 15, 32) (49)
// One block a tile, (N * 225 x 576) (576 x 32).
KERNEL backward_delta5(real* RESTRICT delta5, const real* RESTRICT delta6, const real* RESTRICT W6, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 225, p = row / 15 % 15, q = row % 15;
        const int u = term / 192, v = term / 64 % 3, k = term % 64;
        return inside(p + u - 1, 15) && inside(q + v - 1, 15) ? delta6[((n * 15 + p + u - 1) * 15 + q + v - 1) * 64 + k] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real {
        const int u = term / 192, v = term / 64 % 3, k = term % 64;
        return W6[((k * 3 + -u + 2) * 3 + -v + 2) * 32 + column];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        delta5[row * 32 + column] = sum;  // (49)
    };
    product<64, 32, 16, false, true>(1, N * 225, 32, 576, 1, shared, left, right, store);
}

// ∂E/∂β5[k] = Σₙᵢⱼ δ5[n,i,j,k]    (32,) (50)
// One group of threads an element of (32,): (N, 15, 15) terms, shared by 8 groups.
KERNEL backward_dbeta5_parts(real* RESTRICT dbeta5_parts, const real* RESTRICT delta5, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta5[term * 32 + row]; };
    auto store = [&](int part, int row, real sum) {
        dbeta5_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 225, 8, shared, load, store);
}

// ∂E/∂β5[k] = Σₙᵢⱼ δ5[n,i,j,k]    (32,) (50)
// One thread an element of (32,).
KERNEL backward_dbeta5(real* RESTRICT dbeta5, const real* RESTRICT dbeta5_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += dbeta5_parts[part2 * 32 + at];
        dbeta5[at] = total;  // (50)
    }
}

// ∂E/∂γ5[k] = Σₙᵢⱼ δ5[n,i,j,k] x̂5[n,i,j,k]    (32,) (51)
// One group of threads an element of (32,): (N, 15, 15) terms, shared by 8 groups.
KERNEL backward_dgamma5_parts(real* RESTRICT dgamma5_parts, const real* RESTRICT delta5, const real* RESTRICT xhat5,
        int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta5[term * 32 + row] * xhat5[term * 32 + row]; };
    auto store = [&](int part, int row, real sum) {
        dgamma5_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 225, 8, shared, load, store);
}

// ∂E/∂γ5[k] = Σₙᵢⱼ δ5[n,i,j,k] x̂5[n,i,j,k]    (32,) (51)
// One thread an element of (32,).
KERNEL backward_dgamma5(real* RESTRICT dgamma5, const real* RESTRICT dgamma5_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += dgamma5_parts[part2 * 32 + at];
        dgamma5[at] = total;  // (51)
    }
}

// ∂E/∂a4_2[n,i,j,k] = γ5[k] (225 N δ5[n,i,j,k] − Σ_mpq δ5[m,p,q,k] − (Σ_mpq δ5[m,p,q,k] x̂5[m,p,q,k]) x̂5[n,i,j,k])/(225 N √(v5[k] + 1e-5))    (N, 15, 15, 32) (56)
// One thread an element of (N, 15, 15, 32).
KERNEL backward_da4_2(real* RESTRICT da4_2, const real* RESTRICT gamma5, const real* RESTRICT delta5,
        const real* RESTRICT dgamma5, const real* RESTRICT xhat5, const real* RESTRICT dbeta5,
        const real* RESTRICT v5, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 7200 * N; at += gridDim.x * THREADS) {
        const int k = at % 32;
        da4_2[at] = real(1. / 225. / N) * gamma5[k] * (real(225. * N) * delta5[at] - dgamma5[k] * xhat5[at] - dbeta5[k]) / sqrt(v5[k] + real(1e-05));  // (56)
    }
}

// δ4[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a4[n,2i+u,2j+v,k]] ∂E/∂a4_2[n,i,j,k]) [a4[n,p,q,k] > 0]    (N, 30, 30, 32) (57)
// One thread an element of (N, 15, 15, 2, 2, 32).
KERNEL backward_delta4_sum_windows(real* RESTRICT delta4_sum_windows, const real* RESTRICT a4_2,
        const real* RESTRICT a4, const real* RESTRICT da4_2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 28800 * N; at += gridDim.x * THREADS) {
        const int n = at / 28800, i = at / 1920 % 15, j = at / 128 % 15, p = at / 64 % 2, q = at / 32 % 2, k = at % 32;
        const real best = a4_2[((n * 15 + i) * 15 + j) * 32 + k];
        bool won = a4[((n * 30 + 2 * i + p) * 30 + 2 * j + q) * 32 + k] == best;
        for (int p_before = 0; p_before < 2; ++p_before)
            for (int q_before = 0; q_before < 2; ++q_before)
                won &= !((p_before * 2 + q_before < p * 2 + q)
                    & (a4[((n * 30 + 2 * i + p_before) * 30 + 2 * j + q_before) * 32 + k] == best));
        unsigned char delta4_winner = won;  // (57)
        delta4_sum_windows[at] = da4_2[((n * 15 + i) * 15 + j) * 32 + k] * delta4_winner;  // (57)
    }
}

// δ4[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a4[n,2i+u,2j+v,k]] ∂E/∂a4_2[n,i,j,k]) [a4[n,p,q,k] > 0]    (N, 30, 30, 32) (57)
// One thread an element of (N, 30, 30, 32).
KERNEL backward_delta4(real* RESTRICT delta4, const real* RESTRICT delta4_sum_windows, const real* RESTRICT a4,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 28800 * N; at += gridDim.x * THREADS) {
        const int n = at / 28800, p = at / 960 % 30, q = at / 32 % 30, r = at % 32;
        real delta4_sum = delta4_sum_windows[((((n * 15 + (p / 2)) * 15 + (q / 2)) * 2 + (p % 2)) * 2 + (q % 2)) * 32 + r];  // (57)
        delta4[at] = a4[at] > 0 ? delta4_sum : 0;  // (57)
    }
}

// ∂E/∂W4 = Σₙ δ4ₙ ⋆(p=1) z3ₙ    (32, 3, 3, 32) (58)
// One block a tile, (32 x N * 900) (N * 900 x 288), each shared by 64 blocks.
KERNEL backward_dW4_parts(real* RESTRICT dW4_parts, const real* RESTRICT delta4, const real* RESTRICT z3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta4[term * 32 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 900, i = term / 30 % 30, j = term % 30;
        const int u = column / 96, v = column / 32 % 3, c = column % 32;
        return inside(i + u - 1, 30) && inside(j + v - 1, 30) ? z3[((n * 30 + i + u - 1) * 30 + j + v - 1) * 32 + c] : real(0);
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW4_parts[part * 9216 + row * 288 + column] = sum;
    };
    product<32, 64, 16, true, true>(1, 32, 288, N * 900, 64, shared, left, right, store);
}

// ∂E/∂W4 = Σₙ δ4ₙ ⋆(p=1) z3ₙ    (32, 3, 3, 32) (58)
// One thread an element of (32, 3, 3, 32).
KERNEL backward_dW4(real* RESTRICT dW4, const real* RESTRICT dW4_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 9216; at += gridDim.x * THREADS) {
        const int k = at / 288, u = at / 96 % 3, v = at / 32 % 3, c = at % 32;
        real total = real(0);
        for (int part2 = 0; part2 < 64; ++part2)
            total += dW4_parts[(((part2 * 32 + k) * 3 + u) * 3 + v) * 32 + c];
        dW4[at] = total;  // (58)
    }
}

// ∂E/∂b4[k] = Σₙᵢⱼ δ4[n,i,j,k]    (32,) (59)
// One group of threads an element of (32,): (N, 30, 30) terms, shared by 8 groups.
KERNEL backward_db4_parts(real* RESTRICT db4_parts, const real* RESTRICT delta4, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta4[term * 32 + row]; };
    auto store = [&](int part, int row, real sum) {
        db4_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 900, 8, shared, load, store);
}

// ∂E/∂b4[k] = Σₙᵢⱼ δ4[n,i,j,k]    (32,) (59)
// One thread an element of (32,).
KERNEL backward_db4(real* RESTRICT db4, const real* RESTRICT db4_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += db4_parts[part2 * 32 + at];
        db4[at] = total;  // (59)
    }
}

// δ3 = W4ᵀ ∗(p=1) δ4    (N, 30, 30, 32) (60)
// One block a tile, (N * 900 x 288) (288 x 32).
KERNEL backward_delta3(real* RESTRICT delta3, const real* RESTRICT delta4, const real* RESTRICT W4, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 900, p = row / 30 % 30, q = row % 30;
        const int u = term / 96, v = term / 32 % 3, k = term % 32;
        return inside(p + u - 1, 30) && inside(q + v - 1, 30) ? delta4[((n * 30 + p + u - 1) * 30 + q + v - 1) * 32 + k] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real {
        const int u = term / 96, v = term / 32 % 3, k = term % 32;
        return W4[((k * 3 + -u + 2) * 3 + -v + 2) * 32 + column];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        delta3[row * 32 + column] = sum;  // (60)
    };
    product<64, 32, 16, false, true>(1, N * 900, 32, 288, 1, shared, left, right, store);
}

// ∂E/∂β3[k] = Σₙᵢⱼ δ3[n,i,j,k]    (32,) (61)
// One group of threads an element of (32,): (N, 30, 30) terms, shared by 8 groups.
KERNEL backward_dbeta3_parts(real* RESTRICT dbeta3_parts, const real* RESTRICT delta3, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta3[term * 32 + row]; };
    auto store = [&](int part, int row, real sum) {
        dbeta3_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 900, 8, shared, load, store);
}

// ∂E/∂β3[k] = Σₙᵢⱼ δ3[n,i,j,k]    (32,) (61)
// One thread an element of (32,).
KERNEL backward_dbeta3(real* RESTRICT dbeta3, const real* RESTRICT dbeta3_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += dbeta3_parts[part2 * 32 + at];
        dbeta3[at] = total;  // (61)
    }
}

// ∂E/∂γ3[k] = Σₙᵢⱼ δ3[n,i,j,k] x̂3[n,i,j,k]    (32,) (62)
// One group of threads an element of (32,): (N, 30, 30) terms, shared by 8 groups.
KERNEL backward_dgamma3_parts(real* RESTRICT dgamma3_parts, const real* RESTRICT delta3, const real* RESTRICT xhat3,
        int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta3[term * 32 + row] * xhat3[term * 32 + row]; };
    auto store = [&](int part, int row, real sum) {
        dgamma3_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 900, 8, shared, load, store);
}

// ∂E/∂γ3[k] = Σₙᵢⱼ δ3[n,i,j,k] x̂3[n,i,j,k]    (32,) (62)
// One thread an element of (32,).
KERNEL backward_dgamma3(real* RESTRICT dgamma3, const real* RESTRICT dgamma3_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += dgamma3_parts[part2 * 32 + at];
        dgamma3[at] = total;  // (62)
    }
}

// δ2[n,i,j,k] = γ3[k] m2[n,i,j,k] (900 N δ3[n,i,j,k] − Σ_mpq δ3[m,p,q,k] − (Σ_mpq δ3[m,p,q,k] x̂3[m,p,q,k]) x̂3[n,i,j,k]) [a2[n,i,j,k] > 0]/(720 N √(v3[k] + 1e-5))    (N, 30, 30, 32) (67)
// One thread an element of (N, 30, 30, 32).
KERNEL backward_delta2(real* RESTRICT delta2, const real* RESTRICT gamma3, const unsigned char* RESTRICT m2,
        const real* RESTRICT delta3, const real* RESTRICT dgamma3, const real* RESTRICT xhat3,
        const real* RESTRICT dbeta3, const real* RESTRICT v3, const real* RESTRICT a2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 28800 * N; at += gridDim.x * THREADS) {
        const int k = at % 32;
        delta2[at] = a2[at] > 0 ? real(1. / 720. / N) * gamma3[k] * m2[at] * (real(900. * N) * delta3[at] - dgamma3[k] * xhat3[at] - dbeta3[k]) / sqrt(v3[k] + real(1e-05)) : 0;  // (67)
    }
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆ z1ₙ    (32, 3, 3, 3) (68)
// One block a tile, (32 x N * 900) (N * 900 x 27), each shared by 64 blocks.
KERNEL backward_dW2_parts(real* RESTRICT dW2_parts, const real* RESTRICT delta2, const real* RESTRICT z1, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta2[term * 32 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 900, i = term / 30 % 30, j = term % 30;
        const int u = column / 9, v = column / 3 % 3, c = column % 3;
        return z1[((n * 32 + i + u) * 32 + j + v) * 3 + c];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW2_parts[part * 864 + row * 27 + column] = sum;
    };
    product<32, 32, 16, true, true>(1, 32, 27, N * 900, 64, shared, left, right, store);
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆ z1ₙ    (32, 3, 3, 3) (68)
// One thread an element of (32, 3, 3, 3).
KERNEL backward_dW2(real* RESTRICT dW2, const real* RESTRICT dW2_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 864; at += gridDim.x * THREADS) {
        const int k = at / 27, u = at / 9 % 3, v = at / 3 % 3, c = at % 3;
        real total = real(0);
        for (int part2 = 0; part2 < 64; ++part2)
            total += dW2_parts[(((part2 * 32 + k) * 3 + u) * 3 + v) * 3 + c];
        dW2[at] = total;  // (68)
    }
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (69)
// One group of threads an element of (32,): (N, 30, 30) terms, shared by 8 groups.
KERNEL backward_db2_parts(real* RESTRICT db2_parts, const real* RESTRICT delta2, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta2[term * 32 + row]; };
    auto store = [&](int part, int row, real sum) {
        db2_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 900, 8, shared, load, store);
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (69)
// One thread an element of (32,).
KERNEL backward_db2(real* RESTRICT db2, const real* RESTRICT db2_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += db2_parts[part2 * 32 + at];
        db2[at] = total;  // (69)
    }
}

// δ1 = W2ᵀ ∗ δ2    (N, 32, 32, 3) (70)
// One block a tile, (N * 1024 x 288) (288 x 3).
KERNEL backward_delta1(real* RESTRICT delta1, const real* RESTRICT delta2, const real* RESTRICT W2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 1024, p = row / 32 % 32, q = row % 32;
        const int u = term / 96, v = term / 32 % 3, k = term % 32;
        return inside(p + u - 2, 30) && inside(q + v - 2, 30) ? delta2[((n * 30 + p + u - 2) * 30 + q + v - 2) * 32 + k] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real {
        const int u = term / 96, v = term / 32 % 3, k = term % 32;
        return W2[((k * 3 + -u + 2) * 3 + -v + 2) * 3 + column];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        delta1[row * 3 + column] = sum;  // (70)
    };
    product<16, 16, 16, false, true>(1, N * 1024, 3, 288, 1, shared, left, right, store);
}

// ∂E/∂β1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (3,) (71)
// One group of threads an element of (3,): (N, 32, 32) terms, shared by 128 groups.
KERNEL backward_dbeta1_parts(real* RESTRICT dbeta1_parts, const real* RESTRICT delta1, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta1[term * 3 + row]; };
    auto store = [&](int part, int row, real sum) {
        dbeta1_parts[part * 3 + row] = sum;
    };
    reduction<Sum, 8, true>(3, N * 1024, 128, shared, load, store);
}

// ∂E/∂β1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (3,) (71)
// One thread an element of (3,).
KERNEL backward_dbeta1(real* RESTRICT dbeta1, const real* RESTRICT dbeta1_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 128; ++part2)
            total += dbeta1_parts[part2 * 3 + at];
        dbeta1[at] = total;  // (71)
    }
}

// ∂E/∂γ1[k] = Σₙᵢⱼ δ1[n,i,j,k] x̂1[n,i,j,k]    (3,) (72)
// One group of threads an element of (3,): (N, 32, 32) terms, shared by 128 groups.
KERNEL backward_dgamma1_parts(real* RESTRICT dgamma1_parts, const real* RESTRICT delta1, const real* RESTRICT xhat1,
        int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta1[term * 3 + row] * xhat1[term * 3 + row]; };
    auto store = [&](int part, int row, real sum) {
        dgamma1_parts[part * 3 + row] = sum;
    };
    reduction<Sum, 8, true>(3, N * 1024, 128, shared, load, store);
}

// ∂E/∂γ1[k] = Σₙᵢⱼ δ1[n,i,j,k] x̂1[n,i,j,k]    (3,) (72)
// One thread an element of (3,).
KERNEL backward_dgamma1(real* RESTRICT dgamma1, const real* RESTRICT dgamma1_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 128; ++part2)
            total += dgamma1_parts[part2 * 3 + at];
        dgamma1[at] = total;  // (72)
    }
}

// ---- Statistics ------------------------------------------------------------------------------------------

// μ̄1 ← 0.9 μ̄1 + 0.1 μ1    (3,) (78)
// v̄1 ← 0.9 v̄1 + 102.4 N v1/(1024 N − 1)    (3,) (79)
// One thread an element of (3,).
KERNEL statistics_var1(real* RESTRICT mean1, real* RESTRICT var1, const real* RESTRICT mu1, const real* RESTRICT v1,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3; at += gridDim.x * THREADS) {
        mean1[at] = real(0.9) * mean1[at] + real(0.1) * mu1[at];  // (78)
        var1[at] = real(512. / 5. * N / (1024. * N - 1.)) * v1[at] + real(0.9) * var1[at];  // (79)
    }
}

// μ̄3 ← 0.9 μ̄3 + 0.1 μ3    (32,) (80)
// v̄3 ← 0.9 v̄3 + 90 N v3/(900 N − 1)    (32,) (81)
// μ̄5 ← 0.9 μ̄5 + 0.1 μ5    (32,) (82)
// v̄5 ← 0.9 v̄5 + 22.5 N v5/(225 N − 1)    (32,) (83)
// One thread an element of (32,).
KERNEL statistics_var5(real* RESTRICT mean3, real* RESTRICT var3, real* RESTRICT mean5, real* RESTRICT var5,
        const real* RESTRICT mu3, const real* RESTRICT v3, const real* RESTRICT mu5, const real* RESTRICT v5, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        mean3[at] = real(0.9) * mean3[at] + real(0.1) * mu3[at];  // (80)
        var3[at] = real(90. * N / (900. * N - 1.)) * v3[at] + real(0.9) * var3[at];  // (81)
        mean5[at] = real(0.9) * mean5[at] + real(0.1) * mu5[at];  // (82)
        var5[at] = real(45. / 2. * N / (225. * N - 1.)) * v5[at] + real(0.9) * var5[at];  // (83)
    }
}

// ---- Input gradient --------------------------------------------------------------------------------------

// ∂E/∂x[n,i,j,k] = γ1[k] (1024 N δ1[n,i,j,k] − Σ_mpq δ1[m,p,q,k] − (Σ_mpq δ1[m,p,q,k] x̂1[m,p,q,k]) x̂1[n,i,j,k])/(1024 N √(v1[k] + 1e-5))    (N, 32, 32, 3) (77)
// One thread an element of (N, 32, 32, 3).
KERNEL input_gradient_dx(real* RESTRICT dx, const real* RESTRICT gamma1, const real* RESTRICT delta1,
        const real* RESTRICT dgamma1, const real* RESTRICT xhat1, const real* RESTRICT dbeta1,
        const real* RESTRICT v1, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 3072 * N; at += gridDim.x * THREADS) {
        const int k = at % 3;
        dx[at] = real(1. / 1024. / N) * gamma1[k] * (real(1024. * N) * delta1[at] - dgamma1[k] * xhat1[at] - dbeta1[k]) / sqrt(v1[k] + real(1e-05));  // (77)
    }
}

// ---- Update ----------------------------------------------------------------------------------------------

// ηₖ = η (cos(π (k − 1)/K) + 1)/2    () (84)
// One thread.
KERNEL update_eta(double* RESTRICT eta, const int* RESTRICT steps, const int* RESTRICT step) {
    if (blockIdx.x || threadIdx.x) return;
    eta[0] = LEARNING_RATE * (1. + cos(3.141592653589793 * (step[0] - 1.) / steps[0])) / 2.;  // (84)
}

// m ← β1 m + (1 − β1) g    (1640048,) (85)
// v ← β2 v + (1 − β2) g ⊙ g    (1640048,) (86)
// θ ← θ − ηₖ m/((1 − β1^k) (√(v/(1 − β2^k)) + ε))    (1640048,) (87)
// One thread an element of (1640048,).
KERNEL update_theta(real* RESTRICT m, real* RESTRICT v, real* RESTRICT theta, const real* RESTRICT g,
        const double* RESTRICT eta, const int* RESTRICT step) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 1640048; at += gridDim.x * THREADS) {
        real m_2 = real(BETA1) * m[at] + real(1. - BETA1) * g[at];  // (85)
        m[at] = m_2;  // (85)
        real v_2 = real(BETA2) * v[at] + real(1. - BETA2) * square(g[at]);  // (86)
        v[at] = v_2;  // (86)
        theta[at] = theta[at] - real(1. / (1. - pow(BETA1, step[0]))) * m_2 * real(eta[0]) / (sqrt(real(1. / (1. - pow(BETA2, step[0]))) * v_2) + real(EPSILON));  // (87)
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
    auto m6 = [&] { return (unsigned char*) memory[2]; };
    auto m7 = [&] { return (unsigned char*) memory[3]; };
    auto mu1_parts = [&] { return (real*) memory[4]; };
    auto x = [&] { return (real*) memory[5]; };
    auto mu1 = [&] { return (real*) memory[6]; };
    auto v1_parts = [&] { return (real*) memory[7]; };
    auto v1 = [&] { return (real*) memory[8]; };
    auto xhat1 = [&] { return (real*) memory[9]; };
    auto z1 = [&] { return (real*) memory[10]; };
    auto gamma1 = [&] { return (real*) memory[11]; };
    auto beta1 = [&] { return (real*) memory[12]; };
    auto a2 = [&] { return (real*) memory[13]; };
    auto a2_2 = [&] { return (real*) memory[14]; };
    auto W2 = [&] { return (real*) memory[15]; };
    auto b2 = [&] { return (real*) memory[16]; };
    auto mu3_parts = [&] { return (real*) memory[17]; };
    auto mu3 = [&] { return (real*) memory[18]; };
    auto v3_parts = [&] { return (real*) memory[19]; };
    auto v3 = [&] { return (real*) memory[20]; };
    auto xhat3 = [&] { return (real*) memory[21]; };
    auto z3 = [&] { return (real*) memory[22]; };
    auto gamma3 = [&] { return (real*) memory[23]; };
    auto beta3 = [&] { return (real*) memory[24]; };
    auto a4 = [&] { return (real*) memory[25]; };
    auto W4 = [&] { return (real*) memory[26]; };
    auto b4 = [&] { return (real*) memory[27]; };
    auto a4_2 = [&] { return (real*) memory[28]; };
    auto mu5_parts = [&] { return (real*) memory[29]; };
    auto mu5 = [&] { return (real*) memory[30]; };
    auto v5_parts = [&] { return (real*) memory[31]; };
    auto v5 = [&] { return (real*) memory[32]; };
    auto xhat5 = [&] { return (real*) memory[33]; };
    auto z5 = [&] { return (real*) memory[34]; };
    auto gamma5 = [&] { return (real*) memory[35]; };
    auto beta5 = [&] { return (real*) memory[36]; };
    auto a6 = [&] { return (real*) memory[37]; };
    auto W6 = [&] { return (real*) memory[38]; };
    auto b6 = [&] { return (real*) memory[39]; };
    auto a6_2 = [&] { return (real*) memory[40]; };
    auto a6_4 = [&] { return (real*) memory[41]; };
    auto z7_parts = [&] { return (real*) memory[42]; };
    auto W7 = [&] { return (real*) memory[43]; };
    auto a7 = [&] { return (real*) memory[44]; };
    auto a7_2 = [&] { return (real*) memory[45]; };
    auto b7 = [&] { return (real*) memory[46]; };
    auto z8 = [&] { return (real*) memory[47]; };
    auto W8 = [&] { return (real*) memory[48]; };
    auto b8 = [&] { return (real*) memory[49]; };
    auto a8_max = [&] { return (real*) memory[50]; };
    auto a8_exp = [&] { return (real*) memory[51]; };
    auto a8_sum = [&] { return (real*) memory[52]; };
    auto a8 = [&] { return (real*) memory[53]; };
    auto T = [&] { return (real*) memory[54]; };
    auto t = [&] { return (int*) memory[55]; };
    auto E_sum = [&] { return (double*) memory[56]; };
    auto E = [&] { return (double*) memory[57]; };
    auto delta8 = [&] { return (real*) memory[58]; };
    auto dW8 = [&] { return (real*) memory[59]; };
    auto db8 = [&] { return (real*) memory[60]; };
    auto delta7 = [&] { return (real*) memory[61]; };
    auto dW7 = [&] { return (real*) memory[62]; };
    auto db7 = [&] { return (real*) memory[63]; };
    auto da6_3 = [&] { return (real*) memory[64]; };
    auto delta6_sum_windows = [&] { return (real*) memory[65]; };
    auto delta6 = [&] { return (real*) memory[66]; };
    auto dW6_parts = [&] { return (real*) memory[67]; };
    auto dW6 = [&] { return (real*) memory[68]; };
    auto db6_parts = [&] { return (real*) memory[69]; };
    auto db6 = [&] { return (real*) memory[70]; };
    auto delta5 = [&] { return (real*) memory[71]; };
    auto dbeta5_parts = [&] { return (real*) memory[72]; };
    auto dbeta5 = [&] { return (real*) memory[73]; };
    auto dgamma5_parts = [&] { return (real*) memory[74]; };
    auto dgamma5 = [&] { return (real*) memory[75]; };
    auto da4_2 = [&] { return (real*) memory[76]; };
    auto delta4_sum_windows = [&] { return (real*) memory[77]; };
    auto delta4 = [&] { return (real*) memory[78]; };
    auto dW4_parts = [&] { return (real*) memory[79]; };
    auto dW4 = [&] { return (real*) memory[80]; };
    auto db4_parts = [&] { return (real*) memory[81]; };
    auto db4 = [&] { return (real*) memory[82]; };
    auto delta3 = [&] { return (real*) memory[83]; };
    auto dbeta3_parts = [&] { return (real*) memory[84]; };
    auto dbeta3 = [&] { return (real*) memory[85]; };
    auto dgamma3_parts = [&] { return (real*) memory[86]; };
    auto dgamma3 = [&] { return (real*) memory[87]; };
    auto delta2 = [&] { return (real*) memory[88]; };
    auto dW2_parts = [&] { return (real*) memory[89]; };
    auto dW2 = [&] { return (real*) memory[90]; };
    auto db2_parts = [&] { return (real*) memory[91]; };
    auto db2 = [&] { return (real*) memory[92]; };
    auto delta1 = [&] { return (real*) memory[93]; };
    auto dbeta1_parts = [&] { return (real*) memory[94]; };
    auto dbeta1 = [&] { return (real*) memory[95]; };
    auto dgamma1_parts = [&] { return (real*) memory[96]; };
    auto dgamma1 = [&] { return (real*) memory[97]; };
    auto mean1 = [&] { return (real*) memory[98]; };
    auto var1 = [&] { return (real*) memory[99]; };
    auto mean3 = [&] { return (real*) memory[100]; };
    auto var3 = [&] { return (real*) memory[101]; };
    auto mean5 = [&] { return (real*) memory[102]; };
    auto var5 = [&] { return (real*) memory[103]; };
    auto eta = [&] { return (double*) memory[104]; };
    auto steps = [&] { return (int*) memory[105]; };
    auto step = [&] { return (int*) memory[106]; };
    auto m = [&] { return (real*) memory[107]; };
    auto v = [&] { return (real*) memory[108]; };
    auto theta = [&] { return (real*) memory[109]; };
    auto g = [&] { return (real*) memory[110]; };

    for (int s = 0; s < count; ++s) {
        // The batch, and what changes from step to step.
        auto x_here = x();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N * 3072; at += gridDim.x * THREADS) x_here[at] = inputs[(long long) order[s * N + at / 3072] * 3072 + at % 3072];
        auto t_here = t();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N; at += gridDim.x * THREADS) t_here[at] = targets[order[s * N + at]];
        if (blockIdx.x == 0 && threadIdx.x == 0) { step()[0] += 1; seed()[0] = seeds[s]; }
        grid_sync(barrier);

        forward_m2(m2(), seed(), N);  // (10)
        forward_m6(m6(), seed(), N);  // (29)
        forward_m7(m7(), seed(), N);  // (33)
        forward_mu1_parts(mu1_parts(), x(), N);  // (3)
        grid_sync(barrier);
        forward_mu1(mu1(), mu1_parts(), N);  // (3)
        grid_sync(barrier);
        forward_v1_parts(v1_parts(), x(), mu1(), N);  // (4)
        grid_sync(barrier);
        forward_v1(v1(), v1_parts(), N);  // (4)
        grid_sync(barrier);
        forward_z1(xhat1(), z1(), x(), mu1(), v1(), gamma1(), beta1(), N);  // (5) (6)
        grid_sync(barrier);
        forward_a2_2(a2(), a2_2(), z1(), W2(), b2(), m2(), N);  // (8) (9) (10)
        grid_sync(barrier);
        forward_mu3_parts(mu3_parts(), a2_2(), N);  // (12)
        grid_sync(barrier);
        forward_mu3(mu3(), mu3_parts(), N);  // (12)
        grid_sync(barrier);
        forward_v3_parts(v3_parts(), a2_2(), mu3(), N);  // (13)
        grid_sync(barrier);
        forward_v3(v3(), v3_parts(), N);  // (13)
        grid_sync(barrier);
        forward_z3(xhat3(), z3(), a2_2(), mu3(), v3(), gamma3(), beta3(), N);  // (14) (15)
        grid_sync(barrier);
        forward_a4(a4(), z3(), W4(), b4(), N);  // (17) (18)
        grid_sync(barrier);
        forward_a4_2(a4_2(), a4(), N);  // (19)
        grid_sync(barrier);
        forward_mu5_parts(mu5_parts(), a4_2(), N);  // (20)
        grid_sync(barrier);
        forward_mu5(mu5(), mu5_parts(), N);  // (20)
        grid_sync(barrier);
        forward_v5_parts(v5_parts(), a4_2(), mu5(), N);  // (21)
        grid_sync(barrier);
        forward_v5(v5(), v5_parts(), N);  // (21)
        grid_sync(barrier);
        forward_z5(xhat5(), z5(), a4_2(), mu5(), v5(), gamma5(), beta5(), N);  // (22) (23)
        grid_sync(barrier);
        forward_a6(a6(), z5(), W6(), b6(), N);  // (25) (26)
        grid_sync(barrier);
        forward_a6_2(a6_2(), a6(), N);  // (27)
        grid_sync(barrier);
        forward_a6_4(a6_4(), a6_2(), m6(), N);  // (29)
        grid_sync(barrier);
        forward_z7_parts(z7_parts(), a6_4(), W7(), N);  // (31)
        grid_sync(barrier);
        forward_a7_2(a7(), a7_2(), z7_parts(), b7(), m7(), N);  // (31) (32) (33)
        grid_sync(barrier);
        forward_z8(z8(), a7_2(), W8(), b8(), N);  // (35)
        grid_sync(barrier);
        forward_a8(a8_max(), a8_exp(), a8_sum(), a8(), z8(), N);  // (36)
        loss_T(T(), t(), N);  // (1)
        grid_sync(barrier);
        loss_E_sum(E_sum(), a8_sum(), N);  // (37)
        grid_sync(barrier);
        loss_E(E(), T(), a8_max(), z8(), E_sum(), N);  // (37)
        grid_sync(barrier);
        backward_delta8(delta8(), a8(), T(), N);  // (38)
        grid_sync(barrier);
        backward_dW8(dW8(), delta8(), a7_2(), N);  // (39)
        backward_db8(db8(), delta8(), N);  // (40)
        grid_sync(barrier);
        backward_delta7(delta7(), delta8(), W8(), m7(), a7(), N);  // (41)
        grid_sync(barrier);
        backward_dW7(dW7(), delta7(), a6_4(), N);  // (42)
        backward_db7(db7(), delta7(), N);  // (43)
        grid_sync(barrier);
        backward_da6_3(da6_3(), delta7(), W7(), m6(), N);  // (44)
        grid_sync(barrier);
        backward_delta6_sum_windows(delta6_sum_windows(), a6_2(), a6(), da6_3(), N);  // (46)
        grid_sync(barrier);
        backward_delta6(delta6(), delta6_sum_windows(), a6(), N);  // (46)
        grid_sync(barrier);
        backward_dW6_parts(dW6_parts(), delta6(), z5(), N);  // (47)
        grid_sync(barrier);
        backward_dW6(dW6(), dW6_parts());  // (47)
        backward_db6_parts(db6_parts(), delta6(), N);  // (48)
        grid_sync(barrier);
        backward_db6(db6(), db6_parts());  // (48)
        backward_delta5(delta5(), delta6(), W6(), N);  // (49)
        grid_sync(barrier);
        backward_dbeta5_parts(dbeta5_parts(), delta5(), N);  // (50)
        grid_sync(barrier);
        backward_dbeta5(dbeta5(), dbeta5_parts());  // (50)
        grid_sync(barrier);
        backward_dgamma5_parts(dgamma5_parts(), delta5(), xhat5(), N);  // (51)
        grid_sync(barrier);
        backward_dgamma5(dgamma5(), dgamma5_parts());  // (51)
        grid_sync(barrier);
        backward_da4_2(da4_2(), gamma5(), delta5(), dgamma5(), xhat5(), dbeta5(), v5(), N);  // (56)
        grid_sync(barrier);
        backward_delta4_sum_windows(delta4_sum_windows(), a4_2(), a4(), da4_2(), N);  // (57)
        grid_sync(barrier);
        backward_delta4(delta4(), delta4_sum_windows(), a4(), N);  // (57)
        grid_sync(barrier);
        backward_dW4_parts(dW4_parts(), delta4(), z3(), N);  // (58)
        grid_sync(barrier);
        backward_dW4(dW4(), dW4_parts());  // (58)
        backward_db4_parts(db4_parts(), delta4(), N);  // (59)
        grid_sync(barrier);
        backward_db4(db4(), db4_parts());  // (59)
        backward_delta3(delta3(), delta4(), W4(), N);  // (60)
        grid_sync(barrier);
        backward_dbeta3_parts(dbeta3_parts(), delta3(), N);  // (61)
        grid_sync(barrier);
        backward_dbeta3(dbeta3(), dbeta3_parts());  // (61)
        grid_sync(barrier);
        backward_dgamma3_parts(dgamma3_parts(), delta3(), xhat3(), N);  // (62)
        grid_sync(barrier);
        backward_dgamma3(dgamma3(), dgamma3_parts());  // (62)
        grid_sync(barrier);
        backward_delta2(delta2(), gamma3(), m2(), delta3(), dgamma3(), xhat3(), dbeta3(), v3(), a2(), N);  // (67)
        grid_sync(barrier);
        backward_dW2_parts(dW2_parts(), delta2(), z1(), N);  // (68)
        grid_sync(barrier);
        backward_dW2(dW2(), dW2_parts());  // (68)
        backward_db2_parts(db2_parts(), delta2(), N);  // (69)
        grid_sync(barrier);
        backward_db2(db2(), db2_parts());  // (69)
        backward_delta1(delta1(), delta2(), W2(), N);  // (70)
        grid_sync(barrier);
        backward_dbeta1_parts(dbeta1_parts(), delta1(), N);  // (71)
        grid_sync(barrier);
        backward_dbeta1(dbeta1(), dbeta1_parts());  // (71)
        grid_sync(barrier);
        backward_dgamma1_parts(dgamma1_parts(), delta1(), xhat1(), N);  // (72)
        grid_sync(barrier);
        backward_dgamma1(dgamma1(), dgamma1_parts());  // (72)
        statistics_var1(mean1(), var1(), mu1(), v1(), N);  // (78) (79)
        statistics_var5(mean3(), var3(), mean5(), var5(), mu3(), v3(), mu5(), v5(), N);  // (80) (81) (82) (83)
        update_eta(eta(), steps(), step());  // (84)
        grid_sync(barrier);
        update_theta(m(), v(), theta(), g(), eta(), step());  // (85) (86) (87)
        grid_sync(barrier);
        if (blockIdx.x == 0 && threadIdx.x == 0) total[0] += E()[0] * N;
    }
}

#endif
