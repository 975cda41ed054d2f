// cifar10_cnn_84: the kernels of its training program, launched by trainer.py.
//
// 32x32x3-…-10 (10 layers), relu, max_pool2d, dropout, softmax; cross_entropy; adam; 394,026 parameters
//
// Generated from cifar10_cnn_84.toml (sha256 91220e56); change the spec, not this file.  A number in
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

constexpr double LEARNING_RATE = 0.002;
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

// m2 ∼ Bernoulli(0.9) for (11).  One thread 16 neighbours.
KERNEL forward_m2(unsigned char* RESTRICT m2, const uint64* RESTRICT seed, int N) {
    draw(m2, N * 8192, seed[0], 0, 58982);
}

// m6 ∼ Bernoulli(0.8) for (28).  One thread 16 neighbours.
KERNEL forward_m6(unsigned char* RESTRICT m6, const uint64* RESTRICT seed, int N) {
    draw(m6, N * 4096, seed[0], 1, 52429);
}

// m8 ∼ Bernoulli(0.7) for (38).  One thread 16 neighbours.
KERNEL forward_m8(unsigned char* RESTRICT m8, const uint64* RESTRICT seed, int N) {
    draw(m8, N * 2048, seed[0], 2, 45875);
}

// m9 ∼ Bernoulli(0.6) for (43).  One thread 16 neighbours.
KERNEL forward_m9(unsigned char* RESTRICT m9, const uint64* RESTRICT seed, int N) {
    draw(m9, N * 128, seed[0], 3, 39322);
}

// z1 = W1 ⋆(p=1) a0    (N, 32, 32, 32) (3)
// One block a tile, (N * 1024 x 27) (27 x 32).
KERNEL forward_z1(real* RESTRICT z1, const real* RESTRICT x, const real* RESTRICT W1, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 1024, i = row / 32 % 32, j = row % 32;
        const int u = term / 9, v = term / 3 % 3, c = term % 3;
        return inside(i + u - 1, 32) && inside(j + v - 1, 32) ? x[((n * 32 + i + u - 1) * 32 + j + v - 1) * 3 + c] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real { return W1[column * 27 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z1[row * 32 + column] = sum;  // (3)
    };
    product<64, 32, 16, false, false>(1, N * 1024, 32, 27, 1, shared, left, right, store);
}

// μ2[k] = (1/(1024 N)) Σₙᵢⱼ z1[n,i,j,k]    (32,) (4)
// One group of threads an element of (32,): (N, 32, 32) terms, shared by 8 groups.
KERNEL forward_mu2_parts(real* RESTRICT mu2_parts, const real* RESTRICT z1, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return z1[term * 32 + row]; };
    auto store = [&](int part, int row, real sum) {
        mu2_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 1024, 8, shared, load, store);
}

// μ2[k] = (1/(1024 N)) Σₙᵢⱼ z1[n,i,j,k]    (32,) (4)
// One thread an element of (32,).
KERNEL forward_mu2(real* RESTRICT mu2, const real* RESTRICT mu2_parts, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += mu2_parts[part2 * 32 + at];
        real mu2_2 = total;  // (4)
        mu2[at] = real(1. / 1024. / N) * mu2_2;  // (4)
    }
}

// v2[k] = (1/(1024 N)) Σₙᵢⱼ (z1[n,i,j,k] − μ2[k])²    (32,) (5)
// One group of threads an element of (32,): (N, 32, 32) terms, shared by 8 groups.
KERNEL forward_v2_parts(real* RESTRICT v2_parts, const real* RESTRICT z1, const real* RESTRICT mu2, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return square(z1[term * 32 + row] - mu2[row]); };
    auto store = [&](int part, int row, real sum) {
        v2_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 1024, 8, shared, load, store);
}

// v2[k] = (1/(1024 N)) Σₙᵢⱼ (z1[n,i,j,k] − μ2[k])²    (32,) (5)
// One thread an element of (32,).
KERNEL forward_v2(real* RESTRICT v2, const real* RESTRICT v2_parts, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += v2_parts[part2 * 32 + at];
        real v2_2 = total;  // (5)
        v2[at] = real(1. / 1024. / N) * v2_2;  // (5)
    }
}

// x̂2[n,i,j,k] = (z1[n,i,j,k] − μ2[k])/√(v2[k] + 1e-5)    (N, 32, 32, 32) (6)
// z2[n,i,j,k] = γ2[k] x̂2[n,i,j,k] + β2[k]    (N, 32, 32, 32) (7)
// a2 = max(0, z2)    (N, 32, 32, 32) (9)
// One thread an element of (N, 32, 32, 32).
KERNEL forward_a2(real* RESTRICT xhat2, real* RESTRICT a2, const real* RESTRICT z1, const real* RESTRICT mu2,
        const real* RESTRICT v2, const real* RESTRICT gamma2, const real* RESTRICT beta2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32768 * N; at += gridDim.x * THREADS) {
        const int k = at % 32;
        real xhat2_2 = (z1[at] - mu2[k]) / sqrt(v2[k] + real(1e-05));  // (6)
        xhat2[at] = xhat2_2;  // (6)
        real z2 = gamma2[k] * xhat2_2 + beta2[k];  // (7)
        a2[at] = maximum(z2, real(0));  // (9)
    }
}

// a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 16, 16, 32) (10)
// a2_3 = (10/9) a2_2 ⊙ m2    (N, 16, 16, 32) (11)
// One thread an element of (N, 16, 16, 32).
KERNEL forward_a2_3(real* RESTRICT a2_2, real* RESTRICT a2_3, const real* RESTRICT a2,
        const unsigned char* RESTRICT m2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 8192 * N; at += gridDim.x * THREADS) {
        const int n = at / 8192, i = at / 512 % 16, j = at / 32 % 16, k = at % 32;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a2[((n * 32 + 2 * i + u) * 32 + 2 * j + v) * 32 + k]);
        real a2_2_2 = greatest;  // (10)
        a2_2[at] = a2_2_2;  // (10)
        a2_3[at] = real(10. / 9.) * a2_2_2 * m2[at];  // (11)
    }
}

// z3 = W3 ⋆(p=1) a2_3    (N, 16, 16, 64) (13)
// One block a tile, (N * 256 x 288) (288 x 64).
KERNEL forward_z3(real* RESTRICT z3, const real* RESTRICT a2_3, const real* RESTRICT W3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 256, i = row / 16 % 16, j = row % 16;
        const int u = term / 96, v = term / 32 % 3, c = term % 32;
        return inside(i + u - 1, 16) && inside(j + v - 1, 16) ? a2_3[((n * 16 + i + u - 1) * 16 + j + v - 1) * 32 + c] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real { return W3[column * 288 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z3[row * 64 + column] = sum;  // (13)
    };
    product<64, 64, 16, false, false>(1, N * 256, 64, 288, 1, shared, left, right, store);
}

// μ4[k] = (1/(256 N)) Σₙᵢⱼ z3[n,i,j,k]    (64,) (14)
// One group of threads an element of (64,): (N, 16, 16) terms, shared by 4 groups.
KERNEL forward_mu4_parts(real* RESTRICT mu4_parts, const real* RESTRICT z3, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return z3[term * 64 + row]; };
    auto store = [&](int part, int row, real sum) {
        mu4_parts[part * 64 + row] = sum;
    };
    reduction<Sum, 8, true>(64, N * 256, 4, shared, load, store);
}

// μ4[k] = (1/(256 N)) Σₙᵢⱼ z3[n,i,j,k]    (64,) (14)
// One thread an element of (64,).
KERNEL forward_mu4(real* RESTRICT mu4, const real* RESTRICT mu4_parts, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 64; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += mu4_parts[part2 * 64 + at];
        real mu4_2 = total;  // (14)
        mu4[at] = real(1. / 256. / N) * mu4_2;  // (14)
    }
}

// v4[k] = (1/(256 N)) Σₙᵢⱼ (z3[n,i,j,k] − μ4[k])²    (64,) (15)
// One group of threads an element of (64,): (N, 16, 16) terms, shared by 4 groups.
KERNEL forward_v4_parts(real* RESTRICT v4_parts, const real* RESTRICT z3, const real* RESTRICT mu4, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return square(z3[term * 64 + row] - mu4[row]); };
    auto store = [&](int part, int row, real sum) {
        v4_parts[part * 64 + row] = sum;
    };
    reduction<Sum, 8, true>(64, N * 256, 4, shared, load, store);
}

// v4[k] = (1/(256 N)) Σₙᵢⱼ (z3[n,i,j,k] − μ4[k])²    (64,) (15)
// One thread an element of (64,).
KERNEL forward_v4(real* RESTRICT v4, const real* RESTRICT v4_parts, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 64; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += v4_parts[part2 * 64 + at];
        real v4_2 = total;  // (15)
        v4[at] = real(1. / 256. / N) * v4_2;  // (15)
    }
}

// x̂4[n,i,j,k] = (z3[n,i,j,k] − μ4[k])/√(v4[k] + 1e-5)    (N, 16, 16, 64) (16)
// z4[n,i,j,k] = γ4[k] x̂4[n,i,j,k] + β4[k]    (N, 16, 16, 64) (17)
// a4 = max(0, z4)    (N, 16, 16, 64) (19)
// One thread an element of (N, 16, 16, 64).
KERNEL forward_a4(real* RESTRICT xhat4, real* RESTRICT a4, const real* RESTRICT z3, const real* RESTRICT mu4,
        const real* RESTRICT v4, const real* RESTRICT gamma4, const real* RESTRICT beta4, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 16384 * N; at += gridDim.x * THREADS) {
        const int k = at % 64;
        real xhat4_2 = (z3[at] - mu4[k]) / sqrt(v4[k] + real(1e-05));  // (16)
        xhat4[at] = xhat4_2;  // (16)
        real z4 = gamma4[k] * xhat4_2 + beta4[k];  // (17)
        a4[at] = maximum(z4, real(0));  // (19)
    }
}

// z5 = W5 ⋆(p=1) a4    (N, 16, 16, 64) (20)
// One block a tile, (N * 256 x 576) (576 x 64).
KERNEL forward_z5(real* RESTRICT z5, const real* RESTRICT a4, const real* RESTRICT W5, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 256, i = row / 16 % 16, j = row % 16;
        const int u = term / 192, v = term / 64 % 3, c = term % 64;
        return inside(i + u - 1, 16) && inside(j + v - 1, 16) ? a4[((n * 16 + i + u - 1) * 16 + j + v - 1) * 64 + c] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real { return W5[column * 576 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z5[row * 64 + column] = sum;  // (20)
    };
    product<64, 64, 16, false, false>(1, N * 256, 64, 576, 1, shared, left, right, store);
}

// μ6[k] = (1/(256 N)) Σₙᵢⱼ z5[n,i,j,k]    (64,) (21)
// One group of threads an element of (64,): (N, 16, 16) terms, shared by 4 groups.
KERNEL forward_mu6_parts(real* RESTRICT mu6_parts, const real* RESTRICT z5, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return z5[term * 64 + row]; };
    auto store = [&](int part, int row, real sum) {
        mu6_parts[part * 64 + row] = sum;
    };
    reduction<Sum, 8, true>(64, N * 256, 4, shared, load, store);
}

// μ6[k] = (1/(256 N)) Σₙᵢⱼ z5[n,i,j,k]    (64,) (21)
// One thread an element of (64,).
KERNEL forward_mu6(real* RESTRICT mu6, const real* RESTRICT mu6_parts, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 64; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += mu6_parts[part2 * 64 + at];
        real mu6_2 = total;  // (21)
        mu6[at] = real(1. / 256. / N) * mu6_2;  // (21)
    }
}

// v6[k] = (1/(256 N)) Σₙᵢⱼ (z5[n,i,j,k] − μ6[k])²    (64,) (22)
// One group of threads an element of (64,): (N, 16, 16) terms, shared by 4 groups.
KERNEL forward_v6_parts(real* RESTRICT v6_parts, const real* RESTRICT z5, const real* RESTRICT mu6, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return square(z5[term * 64 + row] - mu6[row]); };
    auto store = [&](int part, int row, real sum) {
        v6_parts[part * 64 + row] = sum;
    };
    reduction<Sum, 8, true>(64, N * 256, 4, shared, load, store);
}

// v6[k] = (1/(256 N)) Σₙᵢⱼ (z5[n,i,j,k] − μ6[k])²    (64,) (22)
// One thread an element of (64,).
KERNEL forward_v6(real* RESTRICT v6, const real* RESTRICT v6_parts, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 64; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += v6_parts[part2 * 64 + at];
        real v6_2 = total;  // (22)
        v6[at] = real(1. / 256. / N) * v6_2;  // (22)
    }
}

// x̂6[n,i,j,k] = (z5[n,i,j,k] − μ6[k])/√(v6[k] + 1e-5)    (N, 16, 16, 64) (23)
// z6[n,i,j,k] = γ6[k] x̂6[n,i,j,k] + β6[k]    (N, 16, 16, 64) (24)
// a6 = max(0, z6)    (N, 16, 16, 64) (26)
// One thread an element of (N, 16, 16, 64).
KERNEL forward_a6(real* RESTRICT xhat6, real* RESTRICT a6, const real* RESTRICT z5, const real* RESTRICT mu6,
        const real* RESTRICT v6, const real* RESTRICT gamma6, const real* RESTRICT beta6, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 16384 * N; at += gridDim.x * THREADS) {
        const int k = at % 64;
        real xhat6_2 = (z5[at] - mu6[k]) / sqrt(v6[k] + real(1e-05));  // (23)
        xhat6[at] = xhat6_2;  // (23)
        real z6 = gamma6[k] * xhat6_2 + beta6[k];  // (24)
        a6[at] = maximum(z6, real(0));  // (26)
    }
}

// a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k]    (N, 8, 8, 64) (27)
// a6_3 = (5/4) a6_2 ⊙ m6    (N, 8, 8, 64) (28)
// One thread an element of (N, 8, 8, 64).
KERNEL forward_a6_3(real* RESTRICT a6_2, real* RESTRICT a6_3, const real* RESTRICT a6,
        const unsigned char* RESTRICT m6, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 4096 * N; at += gridDim.x * THREADS) {
        const int n = at / 4096, i = at / 512 % 8, j = at / 64 % 8, k = at % 64;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a6[((n * 16 + 2 * i + u) * 16 + 2 * j + v) * 64 + k]);
        real a6_2_2 = greatest;  // (27)
        a6_2[at] = a6_2_2;  // (27)
        a6_3[at] = real(1.25) * a6_2_2 * m6[at];  // (28)
    }
}

// z7 = W7 ⋆(p=1) a6_3    (N, 8, 8, 128) (30)
// One block a tile, (N * 64 x 576) (576 x 128).
KERNEL forward_z7(real* RESTRICT z7, const real* RESTRICT a6_3, const real* RESTRICT W7, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 64, i = row / 8 % 8, j = row % 8;
        const int u = term / 192, v = term / 64 % 3, c = term % 64;
        return inside(i + u - 1, 8) && inside(j + v - 1, 8) ? a6_3[((n * 8 + i + u - 1) * 8 + j + v - 1) * 64 + c] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real { return W7[column * 576 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z7[row * 128 + column] = sum;  // (30)
    };
    product<64, 64, 16, false, false>(1, N * 64, 128, 576, 1, shared, left, right, store);
}

// μ8[k] = (1/(64 N)) Σₙᵢⱼ z7[n,i,j,k]    (128,) (31)
// One group of threads an element of (128,): (N, 8, 8) terms, shared by 2 groups.
KERNEL forward_mu8_parts(real* RESTRICT mu8_parts, const real* RESTRICT z7, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return z7[term * 128 + row]; };
    auto store = [&](int part, int row, real sum) {
        mu8_parts[part * 128 + row] = sum;
    };
    reduction<Sum, 8, true>(128, N * 64, 2, shared, load, store);
}

// μ8[k] = (1/(64 N)) Σₙᵢⱼ z7[n,i,j,k]    (128,) (31)
// One thread an element of (128,).
KERNEL forward_mu8(real* RESTRICT mu8, const real* RESTRICT mu8_parts, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 128; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 2; ++part2)
            total += mu8_parts[part2 * 128 + at];
        real mu8_2 = total;  // (31)
        mu8[at] = real(1. / 64. / N) * mu8_2;  // (31)
    }
}

// v8[k] = (1/(64 N)) Σₙᵢⱼ (z7[n,i,j,k] − μ8[k])²    (128,) (32)
// One group of threads an element of (128,): (N, 8, 8) terms, shared by 2 groups.
KERNEL forward_v8_parts(real* RESTRICT v8_parts, const real* RESTRICT z7, const real* RESTRICT mu8, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return square(z7[term * 128 + row] - mu8[row]); };
    auto store = [&](int part, int row, real sum) {
        v8_parts[part * 128 + row] = sum;
    };
    reduction<Sum, 8, true>(128, N * 64, 2, shared, load, store);
}

// v8[k] = (1/(64 N)) Σₙᵢⱼ (z7[n,i,j,k] − μ8[k])²    (128,) (32)
// One thread an element of (128,).
KERNEL forward_v8(real* RESTRICT v8, const real* RESTRICT v8_parts, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 128; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 2; ++part2)
            total += v8_parts[part2 * 128 + at];
        real v8_2 = total;  // (32)
        v8[at] = real(1. / 64. / N) * v8_2;  // (32)
    }
}

// x̂8[n,i,j,k] = (z7[n,i,j,k] − μ8[k])/√(v8[k] + 1e-5)    (N, 8, 8, 128) (33)
// z8[n,i,j,k] = γ8[k] x̂8[n,i,j,k] + β8[k]    (N, 8, 8, 128) (34)
// a8 = max(0, z8)    (N, 8, 8, 128) (36)
// One thread an element of (N, 8, 8, 128).
KERNEL forward_a8(real* RESTRICT xhat8, real* RESTRICT a8, const real* RESTRICT z7, const real* RESTRICT mu8,
        const real* RESTRICT v8, const real* RESTRICT gamma8, const real* RESTRICT beta8, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 8192 * N; at += gridDim.x * THREADS) {
        const int k = at % 128;
        real xhat8_2 = (z7[at] - mu8[k]) / sqrt(v8[k] + real(1e-05));  // (33)
        xhat8[at] = xhat8_2;  // (33)
        real z8 = gamma8[k] * xhat8_2 + beta8[k];  // (34)
        a8[at] = maximum(z8, real(0));  // (36)
    }
}

// a8_2[n,i,j,k] = max_{u,v<2} a8[n,2i+u,2j+v,k]    (N, 4, 4, 128) (37)
// a8_3 = (10/7) a8_2 ⊙ m8    (N, 4, 4, 128) (38)
// One thread an element of (N, 4, 4, 128).
KERNEL forward_a8_3(real* RESTRICT a8_2, real* RESTRICT a8_3, const real* RESTRICT a8,
        const unsigned char* RESTRICT m8, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 2048 * N; at += gridDim.x * THREADS) {
        const int n = at / 2048, i = at / 512 % 4, j = at / 128 % 4, k = at % 128;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a8[((n * 8 + 2 * i + u) * 8 + 2 * j + v) * 128 + k]);
        real a8_2_2 = greatest;  // (37)
        a8_2[at] = a8_2_2;  // (37)
        a8_3[at] = real(10. / 7.) * a8_2_2 * m8[at];  // (38)
    }
}

// z9 = W9 a8_4 + b9    (N, 128) (41)
// One block a tile, (N x 2048) (2048 x 128), each shared by 4 blocks.
KERNEL forward_z9_parts(real* RESTRICT z9_parts, const real* RESTRICT a8_3, const real* RESTRICT W9, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return a8_3[row * 2048 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W9[column * 2048 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z9_parts[part * N * 128 + row * 128 + column] = sum;
    };
    product<16, 16, 16, false, false>(1, N, 128, 2048, 4, shared, left, right, store);
}

// z9 = W9 a8_4 + b9    (N, 128) (41)
// a9 = max(0, z9)    (N, 128) (42)
// a9_2 = (5/3) a9 ⊙ m9    (N, 128) (43)
// One thread an element of (N, 128).
KERNEL forward_a9_2(real* RESTRICT a9, real* RESTRICT a9_2, const real* RESTRICT z9_parts, const real* RESTRICT b9,
        const unsigned char* RESTRICT m9, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 128 * N; at += gridDim.x * THREADS) {
        const int n = at / 128, k = at % 128;
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += z9_parts[(part2 * N + n) * 128 + k];
        real z9 = total;  // (41)
        z9 = b9[k] + z9;  // (41)
        real a9_3 = maximum(z9, real(0));  // (42)
        a9[at] = a9_3;  // (42)
        a9_2[at] = real(5. / 3.) * a9_3 * m9[at];  // (43)
    }
}

// z10 = W10 a9_2 + b10    (N, 10) (45)
// One block a tile, (N x 128) (128 x 10).
KERNEL forward_z10(real* RESTRICT z10, const real* RESTRICT a9_2, const real* RESTRICT W10, const real* RESTRICT b10,
        int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return a9_2[row * 128 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W10[column * 128 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z10[row * 10 + column] = b10[column] + sum;  // (45)
    };
    product<64, 16, 16, false, false>(1, N, 10, 128, 1, shared, left, right, store);
}

// a10 = softmax(z10)    (N, 10) (46)
// One thread a sample.
KERNEL forward_a10(real* RESTRICT a10_max, real* RESTRICT a10_exp, real* RESTRICT a10_sum, real* RESTRICT a10,
        const real* RESTRICT z10, int N) {
    for (int n = blockIdx.x * THREADS + threadIdx.x; n < N; n += gridDim.x * THREADS) {
        real greatest = real(-1) / real(0);
        for (int i = 0; i < 10; ++i)
            greatest = maximum(greatest, z10[n * 10 + i]);
        a10_max[n] = greatest;  // (46)
        for (int k = 0; k < 10; ++k) {
            a10_exp[n * 10 + k] = exp(z10[n * 10 + k] - a10_max[n]);  // (46)
        }
        real total = real(0);
        for (int j = 0; j < 10; ++j)
            total += a10_exp[n * 10 + j];
        a10_sum[n] = total;  // (46)
        for (int k2 = 0; k2 < 10; ++k2) {
            a10[n * 10 + k2] = a10_exp[n * 10 + k2] / a10_sum[n];  // (46)
        }
    }
}

// ---- Evaluation ------------------------------------------------------------------------------------------

// z1 = W1 ⋆(p=1) a0    (N, 32, 32, 32) (3)
// z2[n,i,j,k] = γ2[k] (z1[n,i,j,k] − μ̄2[k])/√(v̄2[k] + 1e-5) + β2[k]    (N, 32, 32, 32) (8)
// a2 = max(0, z2)    (N, 32, 32, 32) (9)
// One block a tile, (N * 1024 x 27) (27 x 32).
KERNEL evaluation_a2(real* RESTRICT z1, real* RESTRICT a2, const real* RESTRICT x, const real* RESTRICT W1,
        const real* RESTRICT gamma2, const real* RESTRICT mean2, const real* RESTRICT var2,
        const real* RESTRICT beta2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 1024, i = row / 32 % 32, j = row % 32;
        const int u = term / 9, v = term / 3 % 3, c = term % 3;
        return inside(i + u - 1, 32) && inside(j + v - 1, 32) ? x[((n * 32 + i + u - 1) * 32 + j + v - 1) * 3 + c] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real { return W1[column * 27 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z1[row * 32 + column] = sum;  // (3)
        real z2 = gamma2[column] * (sum - mean2[column]) / sqrt(var2[column] + real(1e-05)) + beta2[column];  // (8)
        a2[row * 32 + column] = maximum(z2, real(0));  // (9)
    };
    product<64, 32, 16, false, false>(1, N * 1024, 32, 27, 1, shared, left, right, store);
}

// a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 16, 16, 32) (10)
// a2_3 = a2_2    (N, 16, 16, 32) (12)
// One thread an element of (N, 16, 16, 32).
KERNEL evaluation_a2_3(real* RESTRICT a2_2, real* RESTRICT a2_3, const real* RESTRICT a2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 8192 * N; at += gridDim.x * THREADS) {
        const int n = at / 8192, i = at / 512 % 16, j = at / 32 % 16, k = at % 32;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a2[((n * 32 + 2 * i + u) * 32 + 2 * j + v) * 32 + k]);
        real a2_2_2 = greatest;  // (10)
        a2_2[at] = a2_2_2;  // (10)
        a2_3[at] = a2_2_2;  // (12)
    }
}

// z3 = W3 ⋆(p=1) a2_3    (N, 16, 16, 64) (13)
// z4[n,i,j,k] = γ4[k] (z3[n,i,j,k] − μ̄4[k])/√(v̄4[k] + 1e-5) + β4[k]    (N, 16, 16, 64) (18)
// a4 = max(0, z4)    (N, 16, 16, 64) (19)
// One block a tile, (N * 256 x 288) (288 x 64).
KERNEL evaluation_a4(real* RESTRICT z3, real* RESTRICT a4, const real* RESTRICT a2_3, const real* RESTRICT W3,
        const real* RESTRICT gamma4, const real* RESTRICT mean4, const real* RESTRICT var4,
        const real* RESTRICT beta4, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 256, i = row / 16 % 16, j = row % 16;
        const int u = term / 96, v = term / 32 % 3, c = term % 32;
        return inside(i + u - 1, 16) && inside(j + v - 1, 16) ? a2_3[((n * 16 + i + u - 1) * 16 + j + v - 1) * 32 + c] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real { return W3[column * 288 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z3[row * 64 + column] = sum;  // (13)
        real z4 = gamma4[column] * (sum - mean4[column]) / sqrt(var4[column] + real(1e-05)) + beta4[column];  // (18)
        a4[row * 64 + column] = maximum(z4, real(0));  // (19)
    };
    product<64, 64, 16, false, false>(1, N * 256, 64, 288, 1, shared, left, right, store);
}

// z5 = W5 ⋆(p=1) a4    (N, 16, 16, 64) (20)
// z6[n,i,j,k] = γ6[k] (z5[n,i,j,k] − μ̄6[k])/√(v̄6[k] + 1e-5) + β6[k]    (N, 16, 16, 64) (25)
// a6 = max(0, z6)    (N, 16, 16, 64) (26)
// One block a tile, (N * 256 x 576) (576 x 64).
KERNEL evaluation_a6(real* RESTRICT z5, real* RESTRICT a6, const real* RESTRICT a4, const real* RESTRICT W5,
        const real* RESTRICT gamma6, const real* RESTRICT mean6, const real* RESTRICT var6,
        const real* RESTRICT beta6, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 256, i = row / 16 % 16, j = row % 16;
        const int u = term / 192, v = term / 64 % 3, c = term % 64;
        return inside(i + u - 1, 16) && inside(j + v - 1, 16) ? a4[((n * 16 + i + u - 1) * 16 + j + v - 1) * 64 + c] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real { return W5[column * 576 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z5[row * 64 + column] = sum;  // (20)
        real z6 = gamma6[column] * (sum - mean6[column]) / sqrt(var6[column] + real(1e-05)) + beta6[column];  // (25)
        a6[row * 64 + column] = maximum(z6, real(0));  // (26)
    };
    product<64, 64, 16, false, false>(1, N * 256, 64, 576, 1, shared, left, right, store);
}

// a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k]    (N, 8, 8, 64) (27)
// a6_3 = a6_2    (N, 8, 8, 64) (29)
// One thread an element of (N, 8, 8, 64).
KERNEL evaluation_a6_3(real* RESTRICT a6_2, real* RESTRICT a6_3, const real* RESTRICT a6, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 4096 * N; at += gridDim.x * THREADS) {
        const int n = at / 4096, i = at / 512 % 8, j = at / 64 % 8, k = at % 64;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a6[((n * 16 + 2 * i + u) * 16 + 2 * j + v) * 64 + k]);
        real a6_2_2 = greatest;  // (27)
        a6_2[at] = a6_2_2;  // (27)
        a6_3[at] = a6_2_2;  // (29)
    }
}

// z7 = W7 ⋆(p=1) a6_3    (N, 8, 8, 128) (30)
// z8[n,i,j,k] = γ8[k] (z7[n,i,j,k] − μ̄8[k])/√(v̄8[k] + 1e-5) + β8[k]    (N, 8, 8, 128) (35)
// a8 = max(0, z8)    (N, 8, 8, 128) (36)
// One block a tile, (N * 64 x 576) (576 x 128).
KERNEL evaluation_a8(real* RESTRICT z7, real* RESTRICT a8, const real* RESTRICT a6_3, const real* RESTRICT W7,
        const real* RESTRICT gamma8, const real* RESTRICT mean8, const real* RESTRICT var8,
        const real* RESTRICT beta8, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 64, i = row / 8 % 8, j = row % 8;
        const int u = term / 192, v = term / 64 % 3, c = term % 64;
        return inside(i + u - 1, 8) && inside(j + v - 1, 8) ? a6_3[((n * 8 + i + u - 1) * 8 + j + v - 1) * 64 + c] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real { return W7[column * 576 + term]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        z7[row * 128 + column] = sum;  // (30)
        real z8 = gamma8[column] * (sum - mean8[column]) / sqrt(var8[column] + real(1e-05)) + beta8[column];  // (35)
        a8[row * 128 + column] = maximum(z8, real(0));  // (36)
    };
    product<64, 64, 16, false, false>(1, N * 64, 128, 576, 1, shared, left, right, store);
}

// a8_2[n,i,j,k] = max_{u,v<2} a8[n,2i+u,2j+v,k]    (N, 4, 4, 128) (37)
// a8_3 = a8_2    (N, 4, 4, 128) (39)
// One thread an element of (N, 4, 4, 128).
KERNEL evaluation_a8_3(real* RESTRICT a8_2, real* RESTRICT a8_3, const real* RESTRICT a8, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 2048 * N; at += gridDim.x * THREADS) {
        const int n = at / 2048, i = at / 512 % 4, j = at / 128 % 4, k = at % 128;
        real greatest = real(-1) / real(0);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < 2; ++v)
                greatest = maximum(greatest, a8[((n * 8 + 2 * i + u) * 8 + 2 * j + v) * 128 + k]);
        real a8_2_2 = greatest;  // (37)
        a8_2[at] = a8_2_2;  // (37)
        a8_3[at] = a8_2_2;  // (39)
    }
}

// z9 = W9 a8_4 + b9    (N, 128) (41)
// a9 = max(0, z9)    (N, 128) (42)
// a9_2 = a9    (N, 128) (44)
// One thread an element of (N, 128).
KERNEL evaluation_a9_2(real* RESTRICT a9, real* RESTRICT a9_2, const real* RESTRICT z9_parts, const real* RESTRICT b9,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 128 * N; at += gridDim.x * THREADS) {
        const int n = at / 128, k = at % 128;
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += z9_parts[(part2 * N + n) * 128 + k];
        real z9 = total;  // (41)
        z9 = b9[k] + z9;  // (41)
        real a9_3 = maximum(z9, real(0));  // (42)
        a9[at] = a9_3;  // (42)
        a9_2[at] = a9_3;  // (44)
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

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
// One group of threads an element of (): (10, 128) terms, shared by 2 groups.
KERNEL loss_E_sum_parts(real* RESTRICT E_sum_parts, const real* RESTRICT W10) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return square(W10[term]); };
    auto store = [&](int part, int row, real sum) {
        E_sum_parts[part] = sum;
    };
    reduction<Sum, 256, false>(1, 1280, 2, shared, load, store);
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
// One thread.
KERNEL loss_E_sum(double* RESTRICT E_sum, const real* RESTRICT E_sum_parts) {
    if (blockIdx.x || threadIdx.x) return;
    real total = real(0);
    for (int part2 = 0; part2 < 2; ++part2)
        total += E_sum_parts[part2];
    E_sum[0] = total;  // (47)
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
// One group of threads an element of (): (128, 2048) terms, shared by 256 groups.
KERNEL loss_E_sum_2_parts(real* RESTRICT E_sum_2_parts, const real* RESTRICT W9) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return square(W9[term]); };
    auto store = [&](int part, int row, real sum) {
        E_sum_2_parts[part] = sum;
    };
    reduction<Sum, 256, false>(1, 262144, 256, shared, load, store);
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
// One thread.
KERNEL loss_E_sum_2(double* RESTRICT E_sum_2, const real* RESTRICT E_sum_2_parts) {
    if (blockIdx.x || threadIdx.x) return;
    real total = real(0);
    for (int part2 = 0; part2 < 256; ++part2)
        total += E_sum_2_parts[part2];
    E_sum_2[0] = total;  // (47)
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
// One group of threads an element of (): (32, 3, 3, 3) terms.
KERNEL loss_E_sum_3(double* RESTRICT E_sum_3, const real* RESTRICT W1) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return square(W1[term]); };
    auto store = [&](int part, int row, real sum) {
        E_sum_3[0] = sum;  // (47)
    };
    reduction<Sum, 256, false>(1, 864, 1, shared, load, store);
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
// One group of threads an element of (): (64, 3, 3, 32) terms, shared by 32 groups.
KERNEL loss_E_sum_4_parts(real* RESTRICT E_sum_4_parts, const real* RESTRICT W3) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return square(W3[term]); };
    auto store = [&](int part, int row, real sum) {
        E_sum_4_parts[part] = sum;
    };
    reduction<Sum, 256, false>(1, 18432, 32, shared, load, store);
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
// One thread.
KERNEL loss_E_sum_4(double* RESTRICT E_sum_4, const real* RESTRICT E_sum_4_parts) {
    if (blockIdx.x || threadIdx.x) return;
    real total = real(0);
    for (int part2 = 0; part2 < 32; ++part2)
        total += E_sum_4_parts[part2];
    E_sum_4[0] = total;  // (47)
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
// One group of threads an element of (): (64, 3, 3, 64) terms, shared by 64 groups.
KERNEL loss_E_sum_5_parts(real* RESTRICT E_sum_5_parts, const real* RESTRICT W5) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return square(W5[term]); };
    auto store = [&](int part, int row, real sum) {
        E_sum_5_parts[part] = sum;
    };
    reduction<Sum, 256, false>(1, 36864, 64, shared, load, store);
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
// One thread.
KERNEL loss_E_sum_5(double* RESTRICT E_sum_5, const real* RESTRICT E_sum_5_parts) {
    if (blockIdx.x || threadIdx.x) return;
    real total = real(0);
    for (int part2 = 0; part2 < 64; ++part2)
        total += E_sum_5_parts[part2];
    E_sum_5[0] = total;  // (47)
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
// One group of threads an element of (): (128, 3, 3, 64) terms, shared by 128 groups.
KERNEL loss_E_sum_6_parts(real* RESTRICT E_sum_6_parts, const real* RESTRICT W7) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return square(W7[term]); };
    auto store = [&](int part, int row, real sum) {
        E_sum_6_parts[part] = sum;
    };
    reduction<Sum, 256, false>(1, 73728, 128, shared, load, store);
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
// One thread.
KERNEL loss_E_sum_6(double* RESTRICT E_sum_6, const real* RESTRICT E_sum_6_parts) {
    if (blockIdx.x || threadIdx.x) return;
    real total = real(0);
    for (int part2 = 0; part2 < 128; ++part2)
        total += E_sum_6_parts[part2];
    E_sum_6[0] = total;  // (47)
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
// One group of threads an element of (): (N,) terms.
KERNEL loss_E_sum_7(double* RESTRICT E_sum_7, const real* RESTRICT a10_sum, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return log(a10_sum[term]); };
    auto store = [&](int part, int row, real sum) {
        E_sum_7[0] = sum;  // (47)
    };
    reduction<Sum, 256, false>(1, N, 1, shared, load, store);
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
// One group of threads an element of (): (N, 10) terms.
KERNEL loss_E(double* RESTRICT E, const real* RESTRICT T, const real* RESTRICT a10_max, const real* RESTRICT z10,
        const double* RESTRICT E_sum_7, const double* RESTRICT E_sum, const double* RESTRICT E_sum_2,
        const double* RESTRICT E_sum_3, const double* RESTRICT E_sum_4, const double* RESTRICT E_sum_5,
        const double* RESTRICT E_sum_6, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real {
        const int n = term / 10;
        return T[term] * (a10_max[n] - z10[term]);
    };
    auto store = [&](int part, int row, real sum) {
        E[0] = real(1. / N) * (real(E_sum_7[0]) + sum) + real(0.0001) * real(E_sum[0]) + real(0.0001) * real(E_sum_2[0]) + real(0.0001) * real(E_sum_3[0]) + real(0.0001) * real(E_sum_4[0]) + real(0.0001) * real(E_sum_5[0]) + real(0.0001) * real(E_sum_6[0]);  // (47)
    };
    reduction<Sum, 256, false>(1, N * 10, 1, shared, load, store);
}

// ---- Backward --------------------------------------------------------------------------------------------

// δ10 = (a10 − T)/N    (N, 10) (48)
// One thread an element of (N, 10).
KERNEL backward_delta10(real* RESTRICT delta10, const real* RESTRICT a10, const real* RESTRICT T, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 10 * N; at += gridDim.x * THREADS) {
        delta10[at] = real(1. / N) * (a10[at] - T[at]);  // (48)
    }
}

// ∂E/∂W10 = Σₙ δ10ₙ a9_2ₙᵀ + 0.0002 W10    (10, 128) (49)
// One block a tile, (10 x N) (N x 128).
KERNEL backward_dW10(real* RESTRICT dW10, const real* RESTRICT delta10, const real* RESTRICT a9_2,
        const real* RESTRICT W10, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta10[term * 10 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return a9_2[term * 128 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW10[row * 128 + column] = real(0.0002) * W10[row * 128 + column] + sum;  // (49)
    };
    product<16, 64, 16, true, true>(1, 10, 128, N, 1, shared, left, right, store);
}

// ∂E/∂b10 = Σₙ δ10ₙ    (10,) (50)
// One group of threads an element of (10,): (N,) terms.
KERNEL backward_db10(real* RESTRICT db10, const real* RESTRICT delta10, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta10[term * 10 + row]; };
    auto store = [&](int part, int row, real sum) {
        db10[row] = sum;  // (50)
    };
    reduction<Sum, 8, true>(10, N, 1, shared, load, store);
}

// δ9 = (5/3) (W10ᵀ δ10) ⊙ m9 ⊙ [a9 > 0]    (N, 128) (51)
// One block a tile, (N x 10) (10 x 128).
KERNEL backward_delta9(real* RESTRICT delta9, const real* RESTRICT delta10, const real* RESTRICT W10,
        const unsigned char* RESTRICT m9, const real* RESTRICT a9, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta10[row * 10 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W10[term * 128 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        delta9[row * 128 + column] = a9[row * 128 + column] > 0 ? real(5. / 3.) * sum * m9[row * 128 + column] : 0;  // (51)
    };
    product<64, 64, 16, false, true>(1, N, 128, 10, 1, shared, left, right, store);
}

// ∂E/∂W9 = Σₙ δ9ₙ a8_4ₙᵀ + 0.0002 W9    (128, 2048) (52)
// One block a tile, (128 x N) (N x 2048).
KERNEL backward_dW9(real* RESTRICT dW9, const real* RESTRICT delta9, const real* RESTRICT a8_3,
        const real* RESTRICT W9, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta9[term * 128 + row]; };
    auto right = [&](int batch, int term, int column) -> real { return a8_3[term * 2048 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW9[row * 2048 + column] = real(0.0002) * W9[row * 2048 + column] + sum;  // (52)
    };
    product<64, 64, 16, true, true>(1, 128, 2048, N, 1, shared, left, right, store);
}

// ∂E/∂b9 = Σₙ δ9ₙ    (128,) (53)
// One group of threads an element of (128,): (N,) terms.
KERNEL backward_db9(real* RESTRICT db9, const real* RESTRICT delta9, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta9[term * 128 + row]; };
    auto store = [&](int part, int row, real sum) {
        db9[row] = sum;  // (53)
    };
    reduction<Sum, 8, true>(128, N, 1, shared, load, store);
}

// ∂E/∂a8_4 = W9ᵀ δ9    (N, 2048) (54)
// One block a tile, (N x 128) (128 x 2048).
KERNEL backward_da8_4(real* RESTRICT da8_4, const real* RESTRICT delta9, const real* RESTRICT W9, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta9[row * 128 + term]; };
    auto right = [&](int batch, int term, int column) -> real { return W9[term * 2048 + column]; };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        da8_4[row * 2048 + column] = sum;  // (54)
    };
    product<64, 32, 16, false, true>(1, N, 2048, 128, 1, shared, left, right, store);
}

// δ8[n,p,q,k] = (10/7) (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a8[n,2i+u,2j+v,k]] ∂E/∂a8_3[n,i,j,k] m8[n,i,j,k]) [a8[n,p,q,k] > 0]    (N, 8, 8, 128) (56)
// One thread an element of (N, 4, 4, 2, 2, 128).
KERNEL backward_delta8_sum_windows(real* RESTRICT delta8_sum_windows, const real* RESTRICT a8_2,
        const real* RESTRICT a8, const real* RESTRICT da8_4, const unsigned char* RESTRICT m8, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 8192 * N; at += gridDim.x * THREADS) {
        const int n = at / 8192, i = at / 2048 % 4, j = at / 512 % 4, p = at / 256 % 2, q = at / 128 % 2, k = at % 128;
        const real best = a8_2[((n * 4 + i) * 4 + j) * 128 + k];
        bool won = a8[((n * 8 + 2 * i + p) * 8 + 2 * j + q) * 128 + k] == best;
        for (int p_before = 0; p_before < 2; ++p_before)
            for (int q_before = 0; q_before < 2; ++q_before)
                won &= !((p_before * 2 + q_before < p * 2 + q)
                    & (a8[((n * 8 + 2 * i + p_before) * 8 + 2 * j + q_before) * 128 + k] == best));
        unsigned char delta8_winner = won;  // (56)
        delta8_sum_windows[at] = da8_4[((n * 4 + i) * 4 + j) * 128 + k] * delta8_winner * m8[((n * 4 + i) * 4 + j) * 128 + k];  // (56)
    }
}

// δ8[n,p,q,k] = (10/7) (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a8[n,2i+u,2j+v,k]] ∂E/∂a8_3[n,i,j,k] m8[n,i,j,k]) [a8[n,p,q,k] > 0]    (N, 8, 8, 128) (56)
// One thread an element of (N, 8, 8, 128).
KERNEL backward_delta8(real* RESTRICT delta8, const real* RESTRICT delta8_sum_windows, const real* RESTRICT a8,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 8192 * N; at += gridDim.x * THREADS) {
        const int n = at / 8192, p = at / 1024 % 8, q = at / 128 % 8, r = at % 128;
        real delta8_sum = delta8_sum_windows[((((n * 4 + (p / 2)) * 4 + (q / 2)) * 2 + (p % 2)) * 2 + (q % 2)) * 128 + r];  // (56)
        delta8[at] = a8[at] > 0 ? real(10. / 7.) * delta8_sum : 0;  // (56)
    }
}

// ∂E/∂β8[k] = Σₙᵢⱼ δ8[n,i,j,k]    (128,) (57)
// One group of threads an element of (128,): (N, 8, 8) terms, shared by 2 groups.
KERNEL backward_dbeta8_parts(real* RESTRICT dbeta8_parts, const real* RESTRICT delta8, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta8[term * 128 + row]; };
    auto store = [&](int part, int row, real sum) {
        dbeta8_parts[part * 128 + row] = sum;
    };
    reduction<Sum, 8, true>(128, N * 64, 2, shared, load, store);
}

// ∂E/∂β8[k] = Σₙᵢⱼ δ8[n,i,j,k]    (128,) (57)
// One thread an element of (128,).
KERNEL backward_dbeta8(real* RESTRICT dbeta8, const real* RESTRICT dbeta8_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 128; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 2; ++part2)
            total += dbeta8_parts[part2 * 128 + at];
        dbeta8[at] = total;  // (57)
    }
}

// ∂E/∂γ8[k] = Σₙᵢⱼ δ8[n,i,j,k] x̂8[n,i,j,k]    (128,) (58)
// One group of threads an element of (128,): (N, 8, 8) terms, shared by 2 groups.
KERNEL backward_dgamma8_parts(real* RESTRICT dgamma8_parts, const real* RESTRICT delta8, const real* RESTRICT xhat8,
        int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta8[term * 128 + row] * xhat8[term * 128 + row]; };
    auto store = [&](int part, int row, real sum) {
        dgamma8_parts[part * 128 + row] = sum;
    };
    reduction<Sum, 8, true>(128, N * 64, 2, shared, load, store);
}

// ∂E/∂γ8[k] = Σₙᵢⱼ δ8[n,i,j,k] x̂8[n,i,j,k]    (128,) (58)
// One thread an element of (128,).
KERNEL backward_dgamma8(real* RESTRICT dgamma8, const real* RESTRICT dgamma8_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 128; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 2; ++part2)
            total += dgamma8_parts[part2 * 128 + at];
        dgamma8[at] = total;  // (58)
    }
}

// δ7[n,i,j,k] = γ8[k] (64 N δ8[n,i,j,k] − Σ_mpq δ8[m,p,q,k] − (Σ_mpq δ8[m,p,q,k] x̂8[m,p,q,k]) x̂8[n,i,j,k])/(64 N √(v8[k] + 1e-5))    (N, 8, 8, 128) (63)
// One thread an element of (N, 8, 8, 128).
KERNEL backward_delta7(real* RESTRICT delta7, const real* RESTRICT gamma8, const real* RESTRICT delta8,
        const real* RESTRICT dgamma8, const real* RESTRICT xhat8, const real* RESTRICT dbeta8,
        const real* RESTRICT v8, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 8192 * N; at += gridDim.x * THREADS) {
        const int k = at % 128;
        delta7[at] = real(1. / 64. / N) * gamma8[k] * (real(64. * N) * delta8[at] - dgamma8[k] * xhat8[at] - dbeta8[k]) / sqrt(v8[k] + real(1e-05));  // (63)
    }
}

// ∂E/∂W7 = Σₙ δ7ₙ ⋆(p=1) a6_3ₙ + 0.0002 W7    (128, 3, 3, 64) (64)
// One block a tile, (128 x N * 64) (N * 64 x 576), each shared by 8 blocks.
KERNEL backward_dW7_parts(real* RESTRICT dW7_parts, const real* RESTRICT delta7, const real* RESTRICT a6_3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta7[term * 128 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 64, i = term / 8 % 8, j = term % 8;
        const int u = column / 192, v = column / 64 % 3, c = column % 64;
        return inside(i + u - 1, 8) && inside(j + v - 1, 8) ? a6_3[((n * 8 + i + u - 1) * 8 + j + v - 1) * 64 + c] : real(0);
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW7_parts[part * 73728 + row * 576 + column] = sum;
    };
    product<64, 64, 16, true, true>(1, 128, 576, N * 64, 8, shared, left, right, store);
}

// ∂E/∂W7 = Σₙ δ7ₙ ⋆(p=1) a6_3ₙ + 0.0002 W7    (128, 3, 3, 64) (64)
// One thread an element of (128, 3, 3, 64).
KERNEL backward_dW7(real* RESTRICT dW7, const real* RESTRICT dW7_parts, const real* RESTRICT W7) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 73728; at += gridDim.x * THREADS) {
        const int k = at / 576, u = at / 192 % 3, v = at / 64 % 3, c = at % 64;
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += dW7_parts[(((part2 * 128 + k) * 3 + u) * 3 + v) * 64 + c];
        real dW7_2 = total;  // (64)
        dW7[at] = real(0.0002) * W7[at] + dW7_2;  // (64)
    }
}

// ∂E/∂a6_2 = (5/4) (W7ᵀ ∗(p=1) δ7) ⊙ m6    (N, 8, 8, 64) (65)
// One block a tile, (N * 64 x 1152) (1152 x 64), each shared by 2 blocks.
KERNEL backward_da6_2_parts(real* RESTRICT da6_2_parts, const real* RESTRICT delta7, const real* RESTRICT W7, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 64, p = row / 8 % 8, q = row % 8;
        const int u = term / 384, v = term / 128 % 3, k = term % 128;
        return inside(p + u - 1, 8) && inside(q + v - 1, 8) ? delta7[((n * 8 + p + u - 1) * 8 + q + v - 1) * 128 + k] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real {
        const int u = term / 384, v = term / 128 % 3, k = term % 128;
        return W7[((k * 3 + -u + 2) * 3 + -v + 2) * 64 + column];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        da6_2_parts[part * N * 4096 + row * 64 + column] = sum;
    };
    product<64, 64, 16, false, true>(1, N * 64, 64, 1152, 2, shared, left, right, store);
}

// ∂E/∂a6_2 = (5/4) (W7ᵀ ∗(p=1) δ7) ⊙ m6    (N, 8, 8, 64) (65)
// One thread an element of (N, 8, 8, 64).
KERNEL backward_da6_2(real* RESTRICT da6_2, const real* RESTRICT da6_2_parts, const unsigned char* RESTRICT m6,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 4096 * N; at += gridDim.x * THREADS) {
        const int n = at / 4096, p = at / 512 % 8, q = at / 64 % 8, c = at % 64;
        real total = real(0);
        for (int part2 = 0; part2 < 2; ++part2)
            total += da6_2_parts[(((part2 * N + n) * 8 + p) * 8 + q) * 64 + c];
        real da6_2_2 = total;  // (65)
        da6_2[at] = real(1.25) * da6_2_2 * m6[at];  // (65)
    }
}

// δ6[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a6[n,2i+u,2j+v,k]] ∂E/∂a6_2[n,i,j,k]) [a6[n,p,q,k] > 0]    (N, 16, 16, 64) (66)
// One thread an element of (N, 8, 8, 2, 2, 64).
KERNEL backward_delta6_sum_windows(real* RESTRICT delta6_sum_windows, const real* RESTRICT a6_2,
        const real* RESTRICT a6, const real* RESTRICT da6_2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 16384 * N; at += gridDim.x * THREADS) {
        const int n = at / 16384, i = at / 2048 % 8, j = at / 256 % 8, p = at / 128 % 2, q = at / 64 % 2, k = at % 64;
        const real best = a6_2[((n * 8 + i) * 8 + j) * 64 + k];
        bool won = a6[((n * 16 + 2 * i + p) * 16 + 2 * j + q) * 64 + k] == best;
        for (int p_before = 0; p_before < 2; ++p_before)
            for (int q_before = 0; q_before < 2; ++q_before)
                won &= !((p_before * 2 + q_before < p * 2 + q)
                    & (a6[((n * 16 + 2 * i + p_before) * 16 + 2 * j + q_before) * 64 + k] == best));
        unsigned char delta6_winner = won;  // (66)
        delta6_sum_windows[at] = da6_2[((n * 8 + i) * 8 + j) * 64 + k] * delta6_winner;  // (66)
    }
}

// δ6[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a6[n,2i+u,2j+v,k]] ∂E/∂a6_2[n,i,j,k]) [a6[n,p,q,k] > 0]    (N, 16, 16, 64) (66)
// One thread an element of (N, 16, 16, 64).
KERNEL backward_delta6(real* RESTRICT delta6, const real* RESTRICT delta6_sum_windows, const real* RESTRICT a6,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 16384 * N; at += gridDim.x * THREADS) {
        const int n = at / 16384, p = at / 1024 % 16, q = at / 64 % 16, r = at % 64;
        real delta6_sum = delta6_sum_windows[((((n * 8 + (p / 2)) * 8 + (q / 2)) * 2 + (p % 2)) * 2 + (q % 2)) * 64 + r];  // (66)
        delta6[at] = a6[at] > 0 ? delta6_sum : 0;  // (66)
    }
}

// ∂E/∂β6[k] = Σₙᵢⱼ δ6[n,i,j,k]    (64,) (67)
// One group of threads an element of (64,): (N, 16, 16) terms, shared by 4 groups.
KERNEL backward_dbeta6_parts(real* RESTRICT dbeta6_parts, const real* RESTRICT delta6, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta6[term * 64 + row]; };
    auto store = [&](int part, int row, real sum) {
        dbeta6_parts[part * 64 + row] = sum;
    };
    reduction<Sum, 8, true>(64, N * 256, 4, shared, load, store);
}

// ∂E/∂β6[k] = Σₙᵢⱼ δ6[n,i,j,k]    (64,) (67)
// One thread an element of (64,).
KERNEL backward_dbeta6(real* RESTRICT dbeta6, const real* RESTRICT dbeta6_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 64; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += dbeta6_parts[part2 * 64 + at];
        dbeta6[at] = total;  // (67)
    }
}

// ∂E/∂γ6[k] = Σₙᵢⱼ δ6[n,i,j,k] x̂6[n,i,j,k]    (64,) (68)
// One group of threads an element of (64,): (N, 16, 16) terms, shared by 4 groups.
KERNEL backward_dgamma6_parts(real* RESTRICT dgamma6_parts, const real* RESTRICT delta6, const real* RESTRICT xhat6,
        int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta6[term * 64 + row] * xhat6[term * 64 + row]; };
    auto store = [&](int part, int row, real sum) {
        dgamma6_parts[part * 64 + row] = sum;
    };
    reduction<Sum, 8, true>(64, N * 256, 4, shared, load, store);
}

// ∂E/∂γ6[k] = Σₙᵢⱼ δ6[n,i,j,k] x̂6[n,i,j,k]    (64,) (68)
// One thread an element of (64,).
KERNEL backward_dgamma6(real* RESTRICT dgamma6, const real* RESTRICT dgamma6_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 64; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += dgamma6_parts[part2 * 64 + at];
        dgamma6[at] = total;  // (68)
    }
}

// δ5[n,i,j,k] = γ6[k] (256 N δ6[n,i,j,k] − Σ_mpq δ6[m,p,q,k] − (Σ_mpq δ6[m,p,q,k] x̂6[m,p,q,k]) x̂6[n,i,j,k])/(256 N √(v6[k] + 1e-5))    (N, 16, 16, 64) (73)
// One thread an element of (N, 16, 16, 64).
KERNEL backward_delta5(real* RESTRICT delta5, const real* RESTRICT gamma6, const real* RESTRICT delta6,
        const real* RESTRICT dgamma6, const real* RESTRICT xhat6, const real* RESTRICT dbeta6,
        const real* RESTRICT v6, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 16384 * N; at += gridDim.x * THREADS) {
        const int k = at % 64;
        delta5[at] = real(1. / 256. / N) * gamma6[k] * (real(256. * N) * delta6[at] - dgamma6[k] * xhat6[at] - dbeta6[k]) / sqrt(v6[k] + real(1e-05));  // (73)
    }
}

// ∂E/∂W5 = Σₙ δ5ₙ ⋆(p=1) a4ₙ + 0.0002 W5    (64, 3, 3, 64) (74)
// One block a tile, (64 x N * 256) (N * 256 x 576), each shared by 32 blocks.
KERNEL backward_dW5_parts(real* RESTRICT dW5_parts, const real* RESTRICT delta5, const real* RESTRICT a4, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta5[term * 64 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 256, i = term / 16 % 16, j = term % 16;
        const int u = column / 192, v = column / 64 % 3, c = column % 64;
        return inside(i + u - 1, 16) && inside(j + v - 1, 16) ? a4[((n * 16 + i + u - 1) * 16 + j + v - 1) * 64 + c] : real(0);
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW5_parts[part * 36864 + row * 576 + column] = sum;
    };
    product<64, 64, 16, true, true>(1, 64, 576, N * 256, 32, shared, left, right, store);
}

// ∂E/∂W5 = Σₙ δ5ₙ ⋆(p=1) a4ₙ + 0.0002 W5    (64, 3, 3, 64) (74)
// One thread an element of (64, 3, 3, 64).
KERNEL backward_dW5(real* RESTRICT dW5, const real* RESTRICT dW5_parts, const real* RESTRICT W5) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 36864; at += gridDim.x * THREADS) {
        const int k = at / 576, u = at / 192 % 3, v = at / 64 % 3, c = at % 64;
        real total = real(0);
        for (int part2 = 0; part2 < 32; ++part2)
            total += dW5_parts[(((part2 * 64 + k) * 3 + u) * 3 + v) * 64 + c];
        real dW5_2 = total;  // (74)
        dW5[at] = real(0.0002) * W5[at] + dW5_2;  // (74)
    }
}

// δ4 = (W5ᵀ ∗(p=1) δ5) ⊙ [a4 > 0]    (N, 16, 16, 64) (75)
// One block a tile, (N * 256 x 576) (576 x 64).
KERNEL backward_delta4(real* RESTRICT delta4, const real* RESTRICT delta5, const real* RESTRICT W5,
        const real* RESTRICT a4, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 256, p = row / 16 % 16, q = row % 16;
        const int u = term / 192, v = term / 64 % 3, k = term % 64;
        return inside(p + u - 1, 16) && inside(q + v - 1, 16) ? delta5[((n * 16 + p + u - 1) * 16 + q + v - 1) * 64 + k] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real {
        const int u = term / 192, v = term / 64 % 3, k = term % 64;
        return W5[((k * 3 + -u + 2) * 3 + -v + 2) * 64 + column];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        delta4[row * 64 + column] = a4[row * 64 + column] > 0 ? sum : 0;  // (75)
    };
    product<64, 64, 16, false, true>(1, N * 256, 64, 576, 1, shared, left, right, store);
}

// ∂E/∂β4[k] = Σₙᵢⱼ δ4[n,i,j,k]    (64,) (76)
// One group of threads an element of (64,): (N, 16, 16) terms, shared by 4 groups.
KERNEL backward_dbeta4_parts(real* RESTRICT dbeta4_parts, const real* RESTRICT delta4, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta4[term * 64 + row]; };
    auto store = [&](int part, int row, real sum) {
        dbeta4_parts[part * 64 + row] = sum;
    };
    reduction<Sum, 8, true>(64, N * 256, 4, shared, load, store);
}

// ∂E/∂β4[k] = Σₙᵢⱼ δ4[n,i,j,k]    (64,) (76)
// One thread an element of (64,).
KERNEL backward_dbeta4(real* RESTRICT dbeta4, const real* RESTRICT dbeta4_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 64; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += dbeta4_parts[part2 * 64 + at];
        dbeta4[at] = total;  // (76)
    }
}

// ∂E/∂γ4[k] = Σₙᵢⱼ δ4[n,i,j,k] x̂4[n,i,j,k]    (64,) (77)
// One group of threads an element of (64,): (N, 16, 16) terms, shared by 4 groups.
KERNEL backward_dgamma4_parts(real* RESTRICT dgamma4_parts, const real* RESTRICT delta4, const real* RESTRICT xhat4,
        int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta4[term * 64 + row] * xhat4[term * 64 + row]; };
    auto store = [&](int part, int row, real sum) {
        dgamma4_parts[part * 64 + row] = sum;
    };
    reduction<Sum, 8, true>(64, N * 256, 4, shared, load, store);
}

// ∂E/∂γ4[k] = Σₙᵢⱼ δ4[n,i,j,k] x̂4[n,i,j,k]    (64,) (77)
// One thread an element of (64,).
KERNEL backward_dgamma4(real* RESTRICT dgamma4, const real* RESTRICT dgamma4_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 64; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 4; ++part2)
            total += dgamma4_parts[part2 * 64 + at];
        dgamma4[at] = total;  // (77)
    }
}

// δ3[n,i,j,k] = γ4[k] (256 N δ4[n,i,j,k] − Σ_mpq δ4[m,p,q,k] − (Σ_mpq δ4[m,p,q,k] x̂4[m,p,q,k]) x̂4[n,i,j,k])/(256 N √(v4[k] + 1e-5))    (N, 16, 16, 64) (82)
// One thread an element of (N, 16, 16, 64).
KERNEL backward_delta3(real* RESTRICT delta3, const real* RESTRICT gamma4, const real* RESTRICT delta4,
        const real* RESTRICT dgamma4, const real* RESTRICT xhat4, const real* RESTRICT dbeta4,
        const real* RESTRICT v4, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 16384 * N; at += gridDim.x * THREADS) {
        const int k = at % 64;
        delta3[at] = real(1. / 256. / N) * gamma4[k] * (real(256. * N) * delta4[at] - dgamma4[k] * xhat4[at] - dbeta4[k]) / sqrt(v4[k] + real(1e-05));  // (82)
    }
}

// ∂E/∂W3 = Σₙ δ3ₙ ⋆(p=1) a2_3ₙ + 0.0002 W3    (64, 3, 3, 32) (83)
// One block a tile, (64 x N * 256) (N * 256 x 288), each shared by 32 blocks.
KERNEL backward_dW3_parts(real* RESTRICT dW3_parts, const real* RESTRICT delta3, const real* RESTRICT a2_3, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta3[term * 64 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 256, i = term / 16 % 16, j = term % 16;
        const int u = column / 96, v = column / 32 % 3, c = column % 32;
        return inside(i + u - 1, 16) && inside(j + v - 1, 16) ? a2_3[((n * 16 + i + u - 1) * 16 + j + v - 1) * 32 + c] : real(0);
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW3_parts[part * 18432 + row * 288 + column] = sum;
    };
    product<64, 64, 16, true, true>(1, 64, 288, N * 256, 32, shared, left, right, store);
}

// ∂E/∂W3 = Σₙ δ3ₙ ⋆(p=1) a2_3ₙ + 0.0002 W3    (64, 3, 3, 32) (83)
// One thread an element of (64, 3, 3, 32).
KERNEL backward_dW3(real* RESTRICT dW3, const real* RESTRICT dW3_parts, const real* RESTRICT W3) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 18432; at += gridDim.x * THREADS) {
        const int k = at / 288, u = at / 96 % 3, v = at / 32 % 3, c = at % 32;
        real total = real(0);
        for (int part2 = 0; part2 < 32; ++part2)
            total += dW3_parts[(((part2 * 64 + k) * 3 + u) * 3 + v) * 32 + c];
        real dW3_2 = total;  // (83)
        dW3[at] = real(0.0002) * W3[at] + dW3_2;  // (83)
    }
}

// ∂E/∂a2_2 = (10/9) (W3ᵀ ∗(p=1) δ3) ⊙ m2    (N, 16, 16, 32) (84)
// One block a tile, (N * 256 x 576) (576 x 32).
KERNEL backward_da2_2(real* RESTRICT da2_2, const real* RESTRICT delta3, const real* RESTRICT W3,
        const unsigned char* RESTRICT m2, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 256, p = row / 16 % 16, q = row % 16;
        const int u = term / 192, v = term / 64 % 3, k = term % 64;
        return inside(p + u - 1, 16) && inside(q + v - 1, 16) ? delta3[((n * 16 + p + u - 1) * 16 + q + v - 1) * 64 + k] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real {
        const int u = term / 192, v = term / 64 % 3, k = term % 64;
        return W3[((k * 3 + -u + 2) * 3 + -v + 2) * 32 + column];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        da2_2[row * 32 + column] = real(10. / 9.) * sum * m2[row * 32 + column];  // (84)
    };
    product<64, 32, 16, false, true>(1, N * 256, 32, 576, 1, shared, left, right, store);
}

// δ2[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_2[n,i,j,k]) [a2[n,p,q,k] > 0]    (N, 32, 32, 32) (85)
// One thread an element of (N, 16, 16, 2, 2, 32).
KERNEL backward_delta2_sum_windows(real* RESTRICT delta2_sum_windows, const real* RESTRICT a2_2,
        const real* RESTRICT a2, const real* RESTRICT da2_2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32768 * N; at += gridDim.x * THREADS) {
        const int n = at / 32768, i = at / 2048 % 16, j = at / 128 % 16, p = at / 64 % 2, q = at / 32 % 2, k = at % 32;
        const real best = a2_2[((n * 16 + i) * 16 + j) * 32 + k];
        bool won = a2[((n * 32 + 2 * i + p) * 32 + 2 * j + q) * 32 + k] == best;
        for (int p_before = 0; p_before < 2; ++p_before)
            for (int q_before = 0; q_before < 2; ++q_before)
                won &= !((p_before * 2 + q_before < p * 2 + q)
                    & (a2[((n * 32 + 2 * i + p_before) * 32 + 2 * j + q_before) * 32 + k] == best));
        unsigned char delta2_winner = won;  // (85)
        delta2_sum_windows[at] = da2_2[((n * 16 + i) * 16 + j) * 32 + k] * delta2_winner;  // (85)
    }
}

// δ2[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_2[n,i,j,k]) [a2[n,p,q,k] > 0]    (N, 32, 32, 32) (85)
// One thread an element of (N, 32, 32, 32).
KERNEL backward_delta2(real* RESTRICT delta2, const real* RESTRICT delta2_sum_windows, const real* RESTRICT a2,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32768 * N; at += gridDim.x * THREADS) {
        const int n = at / 32768, p = at / 1024 % 32, q = at / 32 % 32, r = at % 32;
        real delta2_sum = delta2_sum_windows[((((n * 16 + (p / 2)) * 16 + (q / 2)) * 2 + (p % 2)) * 2 + (q % 2)) * 32 + r];  // (85)
        delta2[at] = a2[at] > 0 ? delta2_sum : 0;  // (85)
    }
}

// ∂E/∂β2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (86)
// One group of threads an element of (32,): (N, 32, 32) terms, shared by 8 groups.
KERNEL backward_dbeta2_parts(real* RESTRICT dbeta2_parts, const real* RESTRICT delta2, int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta2[term * 32 + row]; };
    auto store = [&](int part, int row, real sum) {
        dbeta2_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 1024, 8, shared, load, store);
}

// ∂E/∂β2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (86)
// One thread an element of (32,).
KERNEL backward_dbeta2(real* RESTRICT dbeta2, const real* RESTRICT dbeta2_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += dbeta2_parts[part2 * 32 + at];
        dbeta2[at] = total;  // (86)
    }
}

// ∂E/∂γ2[k] = Σₙᵢⱼ δ2[n,i,j,k] x̂2[n,i,j,k]    (32,) (87)
// One group of threads an element of (32,): (N, 32, 32) terms, shared by 8 groups.
KERNEL backward_dgamma2_parts(real* RESTRICT dgamma2_parts, const real* RESTRICT delta2, const real* RESTRICT xhat2,
        int N) {
    extern __shared__ real shared[];
    auto load = [&](int row, int term) -> real { return delta2[term * 32 + row] * xhat2[term * 32 + row]; };
    auto store = [&](int part, int row, real sum) {
        dgamma2_parts[part * 32 + row] = sum;
    };
    reduction<Sum, 8, true>(32, N * 1024, 8, shared, load, store);
}

// ∂E/∂γ2[k] = Σₙᵢⱼ δ2[n,i,j,k] x̂2[n,i,j,k]    (32,) (87)
// One thread an element of (32,).
KERNEL backward_dgamma2(real* RESTRICT dgamma2, const real* RESTRICT dgamma2_parts) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        real total = real(0);
        for (int part2 = 0; part2 < 8; ++part2)
            total += dgamma2_parts[part2 * 32 + at];
        dgamma2[at] = total;  // (87)
    }
}

// δ1[n,i,j,k] = γ2[k] (1024 N δ2[n,i,j,k] − Σ_mpq δ2[m,p,q,k] − (Σ_mpq δ2[m,p,q,k] x̂2[m,p,q,k]) x̂2[n,i,j,k])/(1024 N √(v2[k] + 1e-5))    (N, 32, 32, 32) (92)
// One thread an element of (N, 32, 32, 32).
KERNEL backward_delta1(real* RESTRICT delta1, const real* RESTRICT gamma2, const real* RESTRICT delta2,
        const real* RESTRICT dgamma2, const real* RESTRICT xhat2, const real* RESTRICT dbeta2,
        const real* RESTRICT v2, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32768 * N; at += gridDim.x * THREADS) {
        const int k = at % 32;
        delta1[at] = real(1. / 1024. / N) * gamma2[k] * (real(1024. * N) * delta2[at] - dgamma2[k] * xhat2[at] - dbeta2[k]) / sqrt(v2[k] + real(1e-05));  // (92)
    }
}

// ∂E/∂W1 = Σₙ δ1ₙ ⋆(p=1) a0ₙ + 0.0002 W1    (32, 3, 3, 3) (93)
// One block a tile, (32 x N * 1024) (N * 1024 x 27), each shared by 128 blocks.
KERNEL backward_dW1_parts(real* RESTRICT dW1_parts, const real* RESTRICT delta1, const real* RESTRICT x, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real { return delta1[term * 32 + row]; };
    auto right = [&](int batch, int term, int column) -> real {
        const int n = term / 1024, i = term / 32 % 32, j = term % 32;
        const int u = column / 9, v = column / 3 % 3, c = column % 3;
        return inside(i + u - 1, 32) && inside(j + v - 1, 32) ? x[((n * 32 + i + u - 1) * 32 + j + v - 1) * 3 + c] : real(0);
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dW1_parts[part * 864 + row * 27 + column] = sum;
    };
    product<32, 32, 16, true, true>(1, 32, 27, N * 1024, 128, shared, left, right, store);
}

// ∂E/∂W1 = Σₙ δ1ₙ ⋆(p=1) a0ₙ + 0.0002 W1    (32, 3, 3, 3) (93)
// One thread an element of (32, 3, 3, 3).
KERNEL backward_dW1(real* RESTRICT dW1, const real* RESTRICT dW1_parts, const real* RESTRICT W1) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 864; at += gridDim.x * THREADS) {
        const int k = at / 27, u = at / 9 % 3, v = at / 3 % 3, c = at % 3;
        real total = real(0);
        for (int part2 = 0; part2 < 128; ++part2)
            total += dW1_parts[(((part2 * 32 + k) * 3 + u) * 3 + v) * 3 + c];
        real dW1_2 = total;  // (93)
        dW1[at] = real(0.0002) * W1[at] + dW1_2;  // (93)
    }
}

// ---- Statistics ------------------------------------------------------------------------------------------

// μ̄2 ← 0.9 μ̄2 + 0.1 μ2    (32,) (95)
// v̄2 ← 0.9 v̄2 + 102.4 N v2/(1024 N − 1)    (32,) (96)
// One thread an element of (32,).
KERNEL statistics_var2(real* RESTRICT mean2, real* RESTRICT var2, const real* RESTRICT mu2, const real* RESTRICT v2,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 32; at += gridDim.x * THREADS) {
        mean2[at] = real(0.9) * mean2[at] + real(0.1) * mu2[at];  // (95)
        var2[at] = real(512. / 5. * N / (1024. * N - 1.)) * v2[at] + real(0.9) * var2[at];  // (96)
    }
}

// μ̄4 ← 0.9 μ̄4 + 0.1 μ4    (64,) (97)
// v̄4 ← 0.9 v̄4 + 25.6 N v4/(256 N − 1)    (64,) (98)
// μ̄6 ← 0.9 μ̄6 + 0.1 μ6    (64,) (99)
// v̄6 ← 0.9 v̄6 + 25.6 N v6/(256 N − 1)    (64,) (100)
// One thread an element of (64,).
KERNEL statistics_var6(real* RESTRICT mean4, real* RESTRICT var4, real* RESTRICT mean6, real* RESTRICT var6,
        const real* RESTRICT mu4, const real* RESTRICT v4, const real* RESTRICT mu6, const real* RESTRICT v6, int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 64; at += gridDim.x * THREADS) {
        mean4[at] = real(0.9) * mean4[at] + real(0.1) * mu4[at];  // (97)
        var4[at] = real(128. / 5. * N / (256. * N - 1.)) * v4[at] + real(0.9) * var4[at];  // (98)
        mean6[at] = real(0.9) * mean6[at] + real(0.1) * mu6[at];  // (99)
        var6[at] = real(128. / 5. * N / (256. * N - 1.)) * v6[at] + real(0.9) * var6[at];  // (100)
    }
}

// μ̄8 ← 0.9 μ̄8 + 0.1 μ8    (128,) (101)
// v̄8 ← 0.9 v̄8 + 6.4 N v8/(64 N − 1)    (128,) (102)
// One thread an element of (128,).
KERNEL statistics_var8(real* RESTRICT mean8, real* RESTRICT var8, const real* RESTRICT mu8, const real* RESTRICT v8,
        int N) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 128; at += gridDim.x * THREADS) {
        mean8[at] = real(0.9) * mean8[at] + real(0.1) * mu8[at];  // (101)
        var8[at] = real(32. / 5. * N / (64. * N - 1.)) * v8[at] + real(0.9) * var8[at];  // (102)
    }
}

// ---- Input gradient --------------------------------------------------------------------------------------

// ∂E/∂x = W1ᵀ ∗(p=1) δ1    (N, 32, 32, 3) (94)
// One block a tile, (N * 1024 x 288) (288 x 3).
KERNEL input_gradient_dx(real* RESTRICT dx, const real* RESTRICT delta1, const real* RESTRICT W1, int N) {
    extern __shared__ real shared[];
    auto left = [&](int batch, int row, int term) -> real {
        const int n = row / 1024, p = row / 32 % 32, q = row % 32;
        const int u = term / 96, v = term / 32 % 3, k = term % 32;
        return inside(p + u - 1, 32) && inside(q + v - 1, 32) ? delta1[((n * 32 + p + u - 1) * 32 + q + v - 1) * 32 + k] : real(0);
    };
    auto right = [&](int batch, int term, int column) -> real {
        const int u = term / 96, v = term / 32 % 3, k = term % 32;
        return W1[((k * 3 + -u + 2) * 3 + -v + 2) * 3 + column];
    };
    auto store = [&](int part, int batch, int row, int column, real sum) {
        dx[row * 3 + column] = sum;  // (94)
    };
    product<16, 16, 16, false, true>(1, N * 1024, 3, 288, 1, shared, left, right, store);
}

// ---- Update ----------------------------------------------------------------------------------------------

// ηₖ = η (cos(π (k − 1)/K) + 1) min(1, k/w)/2    () (103)
// One thread.
KERNEL update_eta(double* RESTRICT eta, const int* RESTRICT steps, const int* RESTRICT step) {
    if (blockIdx.x || threadIdx.x) return;
    eta[0] = LEARNING_RATE * (1. + cos(3.141592653589793 * (step[0] - 1.) / steps[0])) * (step[0] / WARMUP >= 1. ? 1. : step[0] / WARMUP) / 2.;  // (103)
}

// m ← β1 m + (1 − β1) g    (394026,) (104)
// v ← β2 v + (1 − β2) g ⊙ g    (394026,) (105)
// θ ← θ − ηₖ m/((1 − β1^k) (√(v/(1 − β2^k)) + ε))    (394026,) (106)
// One thread an element of (394026,).
KERNEL update_theta(real* RESTRICT m, real* RESTRICT v, real* RESTRICT theta, const real* RESTRICT g,
        const double* RESTRICT eta, const int* RESTRICT step) {
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < 394026; at += gridDim.x * THREADS) {
        real m_2 = real(BETA1) * m[at] + real(1. - BETA1) * g[at];  // (104)
        m[at] = m_2;  // (104)
        real v_2 = real(BETA2) * v[at] + real(1. - BETA2) * square(g[at]);  // (105)
        v[at] = v_2;  // (105)
        theta[at] = theta[at] - real(1. / (1. - pow(BETA1, step[0]))) * m_2 * real(eta[0]) / (sqrt(real(1. / (1. - pow(BETA2, step[0]))) * v_2) + real(EPSILON));  // (106)
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
    auto m8 = [&] { return (unsigned char*) memory[3]; };
    auto m9 = [&] { return (unsigned char*) memory[4]; };
    auto z1 = [&] { return (real*) memory[5]; };
    auto x = [&] { return (real*) memory[6]; };
    auto W1 = [&] { return (real*) memory[7]; };
    auto mu2_parts = [&] { return (real*) memory[8]; };
    auto mu2 = [&] { return (real*) memory[9]; };
    auto v2_parts = [&] { return (real*) memory[10]; };
    auto v2 = [&] { return (real*) memory[11]; };
    auto xhat2 = [&] { return (real*) memory[12]; };
    auto a2 = [&] { return (real*) memory[13]; };
    auto gamma2 = [&] { return (real*) memory[14]; };
    auto beta2 = [&] { return (real*) memory[15]; };
    auto a2_2 = [&] { return (real*) memory[16]; };
    auto a2_3 = [&] { return (real*) memory[17]; };
    auto z3 = [&] { return (real*) memory[18]; };
    auto W3 = [&] { return (real*) memory[19]; };
    auto mu4_parts = [&] { return (real*) memory[20]; };
    auto mu4 = [&] { return (real*) memory[21]; };
    auto v4_parts = [&] { return (real*) memory[22]; };
    auto v4 = [&] { return (real*) memory[23]; };
    auto xhat4 = [&] { return (real*) memory[24]; };
    auto a4 = [&] { return (real*) memory[25]; };
    auto gamma4 = [&] { return (real*) memory[26]; };
    auto beta4 = [&] { return (real*) memory[27]; };
    auto z5 = [&] { return (real*) memory[28]; };
    auto W5 = [&] { return (real*) memory[29]; };
    auto mu6_parts = [&] { return (real*) memory[30]; };
    auto mu6 = [&] { return (real*) memory[31]; };
    auto v6_parts = [&] { return (real*) memory[32]; };
    auto v6 = [&] { return (real*) memory[33]; };
    auto xhat6 = [&] { return (real*) memory[34]; };
    auto a6 = [&] { return (real*) memory[35]; };
    auto gamma6 = [&] { return (real*) memory[36]; };
    auto beta6 = [&] { return (real*) memory[37]; };
    auto a6_2 = [&] { return (real*) memory[38]; };
    auto a6_3 = [&] { return (real*) memory[39]; };
    auto z7 = [&] { return (real*) memory[40]; };
    auto W7 = [&] { return (real*) memory[41]; };
    auto mu8_parts = [&] { return (real*) memory[42]; };
    auto mu8 = [&] { return (real*) memory[43]; };
    auto v8_parts = [&] { return (real*) memory[44]; };
    auto v8 = [&] { return (real*) memory[45]; };
    auto xhat8 = [&] { return (real*) memory[46]; };
    auto a8 = [&] { return (real*) memory[47]; };
    auto gamma8 = [&] { return (real*) memory[48]; };
    auto beta8 = [&] { return (real*) memory[49]; };
    auto a8_2 = [&] { return (real*) memory[50]; };
    auto a8_3 = [&] { return (real*) memory[51]; };
    auto z9_parts = [&] { return (real*) memory[52]; };
    auto W9 = [&] { return (real*) memory[53]; };
    auto a9 = [&] { return (real*) memory[54]; };
    auto a9_2 = [&] { return (real*) memory[55]; };
    auto b9 = [&] { return (real*) memory[56]; };
    auto z10 = [&] { return (real*) memory[57]; };
    auto W10 = [&] { return (real*) memory[58]; };
    auto b10 = [&] { return (real*) memory[59]; };
    auto a10_max = [&] { return (real*) memory[60]; };
    auto a10_exp = [&] { return (real*) memory[61]; };
    auto a10_sum = [&] { return (real*) memory[62]; };
    auto a10 = [&] { return (real*) memory[63]; };
    auto T = [&] { return (real*) memory[64]; };
    auto t = [&] { return (int*) memory[65]; };
    auto E_sum_parts = [&] { return (real*) memory[66]; };
    auto E_sum = [&] { return (double*) memory[67]; };
    auto E_sum_2_parts = [&] { return (real*) memory[68]; };
    auto E_sum_2 = [&] { return (double*) memory[69]; };
    auto E_sum_3 = [&] { return (double*) memory[70]; };
    auto E_sum_4_parts = [&] { return (real*) memory[71]; };
    auto E_sum_4 = [&] { return (double*) memory[72]; };
    auto E_sum_5_parts = [&] { return (real*) memory[73]; };
    auto E_sum_5 = [&] { return (double*) memory[74]; };
    auto E_sum_6_parts = [&] { return (real*) memory[75]; };
    auto E_sum_6 = [&] { return (double*) memory[76]; };
    auto E_sum_7 = [&] { return (double*) memory[77]; };
    auto E = [&] { return (double*) memory[78]; };
    auto delta10 = [&] { return (real*) memory[79]; };
    auto dW10 = [&] { return (real*) memory[80]; };
    auto db10 = [&] { return (real*) memory[81]; };
    auto delta9 = [&] { return (real*) memory[82]; };
    auto dW9 = [&] { return (real*) memory[83]; };
    auto db9 = [&] { return (real*) memory[84]; };
    auto da8_4 = [&] { return (real*) memory[85]; };
    auto delta8_sum_windows = [&] { return (real*) memory[86]; };
    auto delta8 = [&] { return (real*) memory[87]; };
    auto dbeta8_parts = [&] { return (real*) memory[88]; };
    auto dbeta8 = [&] { return (real*) memory[89]; };
    auto dgamma8_parts = [&] { return (real*) memory[90]; };
    auto dgamma8 = [&] { return (real*) memory[91]; };
    auto delta7 = [&] { return (real*) memory[92]; };
    auto dW7_parts = [&] { return (real*) memory[93]; };
    auto dW7 = [&] { return (real*) memory[94]; };
    auto da6_2_parts = [&] { return (real*) memory[95]; };
    auto da6_2 = [&] { return (real*) memory[96]; };
    auto delta6_sum_windows = [&] { return (real*) memory[97]; };
    auto delta6 = [&] { return (real*) memory[98]; };
    auto dbeta6_parts = [&] { return (real*) memory[99]; };
    auto dbeta6 = [&] { return (real*) memory[100]; };
    auto dgamma6_parts = [&] { return (real*) memory[101]; };
    auto dgamma6 = [&] { return (real*) memory[102]; };
    auto delta5 = [&] { return (real*) memory[103]; };
    auto dW5_parts = [&] { return (real*) memory[104]; };
    auto dW5 = [&] { return (real*) memory[105]; };
    auto delta4 = [&] { return (real*) memory[106]; };
    auto dbeta4_parts = [&] { return (real*) memory[107]; };
    auto dbeta4 = [&] { return (real*) memory[108]; };
    auto dgamma4_parts = [&] { return (real*) memory[109]; };
    auto dgamma4 = [&] { return (real*) memory[110]; };
    auto delta3 = [&] { return (real*) memory[111]; };
    auto dW3_parts = [&] { return (real*) memory[112]; };
    auto dW3 = [&] { return (real*) memory[113]; };
    auto da2_2 = [&] { return (real*) memory[114]; };
    auto delta2_sum_windows = [&] { return (real*) memory[115]; };
    auto delta2 = [&] { return (real*) memory[116]; };
    auto dbeta2_parts = [&] { return (real*) memory[117]; };
    auto dbeta2 = [&] { return (real*) memory[118]; };
    auto dgamma2_parts = [&] { return (real*) memory[119]; };
    auto dgamma2 = [&] { return (real*) memory[120]; };
    auto delta1 = [&] { return (real*) memory[121]; };
    auto dW1_parts = [&] { return (real*) memory[122]; };
    auto dW1 = [&] { return (real*) memory[123]; };
    auto mean2 = [&] { return (real*) memory[124]; };
    auto var2 = [&] { return (real*) memory[125]; };
    auto mean4 = [&] { return (real*) memory[126]; };
    auto var4 = [&] { return (real*) memory[127]; };
    auto mean6 = [&] { return (real*) memory[128]; };
    auto var6 = [&] { return (real*) memory[129]; };
    auto mean8 = [&] { return (real*) memory[130]; };
    auto var8 = [&] { return (real*) memory[131]; };
    auto eta = [&] { return (double*) memory[132]; };
    auto steps = [&] { return (int*) memory[133]; };
    auto step = [&] { return (int*) memory[134]; };
    auto m = [&] { return (real*) memory[135]; };
    auto v = [&] { return (real*) memory[136]; };
    auto theta = [&] { return (real*) memory[137]; };
    auto g = [&] { return (real*) memory[138]; };

    for (int s = 0; s < count; ++s) {
        // The batch, and what changes from step to step.
        auto x_here = x();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N * 3072; at += gridDim.x * THREADS) x_here[at] = inputs[(long long) order[s * N + at / 3072] * 3072 + at % 3072];
        auto t_here = t();
        for (int at = blockIdx.x * THREADS + threadIdx.x; at < N; at += gridDim.x * THREADS) t_here[at] = targets[order[s * N + at]];
        if (blockIdx.x == 0 && threadIdx.x == 0) { step()[0] += 1; seed()[0] = seeds[s]; }
        grid_sync(barrier);

        forward_m2(m2(), seed(), N);  // (11)
        forward_m6(m6(), seed(), N);  // (28)
        forward_m8(m8(), seed(), N);  // (38)
        forward_m9(m9(), seed(), N);  // (43)
        forward_z1(z1(), x(), W1(), N);  // (3)
        grid_sync(barrier);
        forward_mu2_parts(mu2_parts(), z1(), N);  // (4)
        grid_sync(barrier);
        forward_mu2(mu2(), mu2_parts(), N);  // (4)
        grid_sync(barrier);
        forward_v2_parts(v2_parts(), z1(), mu2(), N);  // (5)
        grid_sync(barrier);
        forward_v2(v2(), v2_parts(), N);  // (5)
        grid_sync(barrier);
        forward_a2(xhat2(), a2(), z1(), mu2(), v2(), gamma2(), beta2(), N);  // (6) (7) (9)
        grid_sync(barrier);
        forward_a2_3(a2_2(), a2_3(), a2(), m2(), N);  // (10) (11)
        grid_sync(barrier);
        forward_z3(z3(), a2_3(), W3(), N);  // (13)
        grid_sync(barrier);
        forward_mu4_parts(mu4_parts(), z3(), N);  // (14)
        grid_sync(barrier);
        forward_mu4(mu4(), mu4_parts(), N);  // (14)
        grid_sync(barrier);
        forward_v4_parts(v4_parts(), z3(), mu4(), N);  // (15)
        grid_sync(barrier);
        forward_v4(v4(), v4_parts(), N);  // (15)
        grid_sync(barrier);
        forward_a4(xhat4(), a4(), z3(), mu4(), v4(), gamma4(), beta4(), N);  // (16) (17) (19)
        grid_sync(barrier);
        forward_z5(z5(), a4(), W5(), N);  // (20)
        grid_sync(barrier);
        forward_mu6_parts(mu6_parts(), z5(), N);  // (21)
        grid_sync(barrier);
        forward_mu6(mu6(), mu6_parts(), N);  // (21)
        grid_sync(barrier);
        forward_v6_parts(v6_parts(), z5(), mu6(), N);  // (22)
        grid_sync(barrier);
        forward_v6(v6(), v6_parts(), N);  // (22)
        grid_sync(barrier);
        forward_a6(xhat6(), a6(), z5(), mu6(), v6(), gamma6(), beta6(), N);  // (23) (24) (26)
        grid_sync(barrier);
        forward_a6_3(a6_2(), a6_3(), a6(), m6(), N);  // (27) (28)
        grid_sync(barrier);
        forward_z7(z7(), a6_3(), W7(), N);  // (30)
        grid_sync(barrier);
        forward_mu8_parts(mu8_parts(), z7(), N);  // (31)
        grid_sync(barrier);
        forward_mu8(mu8(), mu8_parts(), N);  // (31)
        grid_sync(barrier);
        forward_v8_parts(v8_parts(), z7(), mu8(), N);  // (32)
        grid_sync(barrier);
        forward_v8(v8(), v8_parts(), N);  // (32)
        grid_sync(barrier);
        forward_a8(xhat8(), a8(), z7(), mu8(), v8(), gamma8(), beta8(), N);  // (33) (34) (36)
        grid_sync(barrier);
        forward_a8_3(a8_2(), a8_3(), a8(), m8(), N);  // (37) (38)
        grid_sync(barrier);
        forward_z9_parts(z9_parts(), a8_3(), W9(), N);  // (41)
        grid_sync(barrier);
        forward_a9_2(a9(), a9_2(), z9_parts(), b9(), m9(), N);  // (41) (42) (43)
        grid_sync(barrier);
        forward_z10(z10(), a9_2(), W10(), b10(), N);  // (45)
        grid_sync(barrier);
        forward_a10(a10_max(), a10_exp(), a10_sum(), a10(), z10(), N);  // (46)
        loss_T(T(), t(), N);  // (1)
        loss_E_sum_parts(E_sum_parts(), W10());  // (47)
        grid_sync(barrier);
        loss_E_sum(E_sum(), E_sum_parts());  // (47)
        loss_E_sum_2_parts(E_sum_2_parts(), W9());  // (47)
        grid_sync(barrier);
        loss_E_sum_2(E_sum_2(), E_sum_2_parts());  // (47)
        loss_E_sum_3(E_sum_3(), W1());  // (47)
        loss_E_sum_4_parts(E_sum_4_parts(), W3());  // (47)
        grid_sync(barrier);
        loss_E_sum_4(E_sum_4(), E_sum_4_parts());  // (47)
        loss_E_sum_5_parts(E_sum_5_parts(), W5());  // (47)
        grid_sync(barrier);
        loss_E_sum_5(E_sum_5(), E_sum_5_parts());  // (47)
        loss_E_sum_6_parts(E_sum_6_parts(), W7());  // (47)
        grid_sync(barrier);
        loss_E_sum_6(E_sum_6(), E_sum_6_parts());  // (47)
        loss_E_sum_7(E_sum_7(), a10_sum(), N);  // (47)
        grid_sync(barrier);
        loss_E(E(), T(), a10_max(), z10(), E_sum_7(), E_sum(), E_sum_2(), E_sum_3(), E_sum_4(), E_sum_5(), E_sum_6(), N);  // (47)
        grid_sync(barrier);
        backward_delta10(delta10(), a10(), T(), N);  // (48)
        grid_sync(barrier);
        backward_dW10(dW10(), delta10(), a9_2(), W10(), N);  // (49)
        backward_db10(db10(), delta10(), N);  // (50)
        grid_sync(barrier);
        backward_delta9(delta9(), delta10(), W10(), m9(), a9(), N);  // (51)
        grid_sync(barrier);
        backward_dW9(dW9(), delta9(), a8_3(), W9(), N);  // (52)
        backward_db9(db9(), delta9(), N);  // (53)
        backward_da8_4(da8_4(), delta9(), W9(), N);  // (54)
        grid_sync(barrier);
        backward_delta8_sum_windows(delta8_sum_windows(), a8_2(), a8(), da8_4(), m8(), N);  // (56)
        grid_sync(barrier);
        backward_delta8(delta8(), delta8_sum_windows(), a8(), N);  // (56)
        grid_sync(barrier);
        backward_dbeta8_parts(dbeta8_parts(), delta8(), N);  // (57)
        grid_sync(barrier);
        backward_dbeta8(dbeta8(), dbeta8_parts());  // (57)
        grid_sync(barrier);
        backward_dgamma8_parts(dgamma8_parts(), delta8(), xhat8(), N);  // (58)
        grid_sync(barrier);
        backward_dgamma8(dgamma8(), dgamma8_parts());  // (58)
        grid_sync(barrier);
        backward_delta7(delta7(), gamma8(), delta8(), dgamma8(), xhat8(), dbeta8(), v8(), N);  // (63)
        grid_sync(barrier);
        backward_dW7_parts(dW7_parts(), delta7(), a6_3(), N);  // (64)
        grid_sync(barrier);
        backward_dW7(dW7(), dW7_parts(), W7());  // (64)
        backward_da6_2_parts(da6_2_parts(), delta7(), W7(), N);  // (65)
        grid_sync(barrier);
        backward_da6_2(da6_2(), da6_2_parts(), m6(), N);  // (65)
        grid_sync(barrier);
        backward_delta6_sum_windows(delta6_sum_windows(), a6_2(), a6(), da6_2(), N);  // (66)
        grid_sync(barrier);
        backward_delta6(delta6(), delta6_sum_windows(), a6(), N);  // (66)
        grid_sync(barrier);
        backward_dbeta6_parts(dbeta6_parts(), delta6(), N);  // (67)
        grid_sync(barrier);
        backward_dbeta6(dbeta6(), dbeta6_parts());  // (67)
        grid_sync(barrier);
        backward_dgamma6_parts(dgamma6_parts(), delta6(), xhat6(), N);  // (68)
        grid_sync(barrier);
        backward_dgamma6(dgamma6(), dgamma6_parts());  // (68)
        grid_sync(barrier);
        backward_delta5(delta5(), gamma6(), delta6(), dgamma6(), xhat6(), dbeta6(), v6(), N);  // (73)
        grid_sync(barrier);
        backward_dW5_parts(dW5_parts(), delta5(), a4(), N);  // (74)
        grid_sync(barrier);
        backward_dW5(dW5(), dW5_parts(), W5());  // (74)
        backward_delta4(delta4(), delta5(), W5(), a4(), N);  // (75)
        grid_sync(barrier);
        backward_dbeta4_parts(dbeta4_parts(), delta4(), N);  // (76)
        grid_sync(barrier);
        backward_dbeta4(dbeta4(), dbeta4_parts());  // (76)
        grid_sync(barrier);
        backward_dgamma4_parts(dgamma4_parts(), delta4(), xhat4(), N);  // (77)
        grid_sync(barrier);
        backward_dgamma4(dgamma4(), dgamma4_parts());  // (77)
        grid_sync(barrier);
        backward_delta3(delta3(), gamma4(), delta4(), dgamma4(), xhat4(), dbeta4(), v4(), N);  // (82)
        grid_sync(barrier);
        backward_dW3_parts(dW3_parts(), delta3(), a2_3(), N);  // (83)
        grid_sync(barrier);
        backward_dW3(dW3(), dW3_parts(), W3());  // (83)
        backward_da2_2(da2_2(), delta3(), W3(), m2(), N);  // (84)
        grid_sync(barrier);
        backward_delta2_sum_windows(delta2_sum_windows(), a2_2(), a2(), da2_2(), N);  // (85)
        grid_sync(barrier);
        backward_delta2(delta2(), delta2_sum_windows(), a2(), N);  // (85)
        grid_sync(barrier);
        backward_dbeta2_parts(dbeta2_parts(), delta2(), N);  // (86)
        grid_sync(barrier);
        backward_dbeta2(dbeta2(), dbeta2_parts());  // (86)
        grid_sync(barrier);
        backward_dgamma2_parts(dgamma2_parts(), delta2(), xhat2(), N);  // (87)
        grid_sync(barrier);
        backward_dgamma2(dgamma2(), dgamma2_parts());  // (87)
        grid_sync(barrier);
        backward_delta1(delta1(), gamma2(), delta2(), dgamma2(), xhat2(), dbeta2(), v2(), N);  // (92)
        grid_sync(barrier);
        backward_dW1_parts(dW1_parts(), delta1(), x(), N);  // (93)
        grid_sync(barrier);
        backward_dW1(dW1(), dW1_parts(), W1());  // (93)
        statistics_var2(mean2(), var2(), mu2(), v2(), N);  // (95) (96)
        statistics_var6(mean4(), var4(), mean6(), var6(), mu4(), v4(), mu6(), v6(), N);  // (97) (98) (99) (100)
        statistics_var8(mean8(), var8(), mu8(), v8(), N);  // (101) (102)
        update_eta(eta(), steps(), step());  // (103)
        grid_sync(barrier);
        update_theta(m(), v(), theta(), g(), eta(), step());  // (104) (105) (106)
        grid_sync(barrier);
        if (blockIdx.x == 0 && threadIdx.x == 0) total[0] += E()[0] * N;
    }
}

#endif
