/* cifar10_cnn_79: 32x32x3-…-10 (8 layers), relu, dropout, max_pool2d, softmax; cross_entropy; adam; 1,640,048 parameters
 *
 * Generated from cifar10_cnn_79.toml (sha256 a0078f30); change the spec, not this file.  A number in
 * parentheses is that of an equation in equations.tex.  Everything is written in `real`: float, or double with
 * -DREAL=double.  Threads share samples, or ranges; sums are joined in the threads' order.
 */
#include "trainer.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <tgmath.h>

typedef REAL real;
#define real(x) ((real)(x))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define EACH
#else
#define UNROLL _Pragma("GCC unroll 16")
#define EACH _Pragma("GCC ivdep") /* a loop over elements of which none needs another: several at a time */
#endif

static const double LEARNING_RATE = 0.001;
static const double BETA1 = 0.9;
static const double BETA2 = 0.999;
static const double EPSILON = 1e-08;

/* ---- Scalars ------------------------------------------------------------------------------------- */

/* exp and tanh of lines that a compiler turns into vectors: u = k ln 2 + r, so e^u = 2^k e^r, and |r| < 0.35 has a short
 * series, e^r - 1 = r + r²/2! + r³/3! + ...  Adding `whole`, whose last bit counts ones, rounds u / ln 2 to k. */
static inline float power_of_2_float(uint32_t k) /* of a k that wraps round below 0 */
{
    const uint32_t pattern = (k + 127) << 23;
    float found;
    memcpy(&found, &pattern, sizeof found);
    return found;
}

/* e^u - 1 = scale (rest + 1) - 1, and e^u = scale half (rest + 1): 2^k in two factors, neither too large nor too small */
static inline float exp_rest_float(float u, float *scale, float *half)
{
    static const float series[] = {1 / 1.0f, 1 / 2.0f, 1 / 6.0f, 1 / 24.0f, 1 / 120.0f, 1 / 720.0f, 1 / 5040.0f};
    const float whole = 12582912.0f;
    u = u < -104.0f ? -104.0f : u > 89.0f ? 89.0f : u;
    const float shifted = u * 1.44269504f + whole, k = shifted - whole;
    const float r = (u - k * 0.693359375f) - k * -2.12194440e-4f;
    uint32_t place, origin;
    memcpy(&place, &shifted, sizeof place), memcpy(&origin, &whole, sizeof origin);
    const uint32_t number = place - origin, part = (number + 512) / 2 - 256;
    *scale = power_of_2_float(number - part), *half = power_of_2_float(part);
    float sum = series[6];
    UNROLL for (int n = 5; n >= 0; --n) sum = sum * r + series[n];
    return sum * r;
}

static inline float exp_float(float u)
{
    float scale, half;
    const float rest = exp_rest_float(u, &scale, &half);
    return (rest + 1) * scale * half;
}

static inline double power_of_2_double(uint64_t k) /* of a k that wraps round below 0 */
{
    const uint64_t pattern = (k + 1023) << 52;
    double found;
    memcpy(&found, &pattern, sizeof found);
    return found;
}

/* e^u - 1 = scale (rest + 1) - 1, and e^u = scale half (rest + 1): 2^k in two factors, neither too large nor too small */
static inline double exp_rest_double(double u, double *scale, double *half)
{
    static const double series[] = {1 / 1.0, 1 / 2.0, 1 / 6.0, 1 / 24.0, 1 / 120.0, 1 / 720.0, 1 / 5040.0, 1 / 40320.0, 1 / 362880.0, 1 / 3628800.0, 1 / 39916800.0, 1 / 479001600.0, 1 / 6227020800.0};
    const double whole = 6755399441055744.0;
    u = u < -746.0 ? -746.0 : u > 710.0 ? 710.0 : u;
    const double shifted = u * 1.44269504088896340736 + whole, k = shifted - whole;
    const double r = (u - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10;
    uint64_t place, origin;
    memcpy(&place, &shifted, sizeof place), memcpy(&origin, &whole, sizeof origin);
    const uint64_t number = place - origin, part = (number + 4096) / 2 - 2048;
    *scale = power_of_2_double(number - part), *half = power_of_2_double(part);
    double sum = series[12];
    UNROLL for (int n = 11; n >= 0; --n) sum = sum * r + series[n];
    return sum * r;
}

static inline double exp_double(double u)
{
    double scale, half;
    const double rest = exp_rest_double(u, &scale, &half);
    return (rest + 1) * scale * half;
}

#undef exp
#define exp(u) _Generic((u), float: exp_float, default: exp_double)(u)

static inline real square(real u) { return u * u; }
static inline real maximum(real a, real b) /* a NaN stays one */
{
    const real greater = a > b ? a : b;
    return a != a ? a : greater;
}

/* Philox 4x64-10, the counter-based generator of NumPy (Salmon et al., 2011): block q of 16 values are the four words
 * of counter q + 1 under the key (seed, stream), 16 bits a value; true with probability threshold / 2^16. */
static void draw(unsigned char *out, long from, long to, uint64_t seed, uint64_t stream, unsigned threshold)
{
    for (long q = from / 16; 16 * q < to; ++q) {
        uint64_t c0 = (uint64_t)q + 1, c1 = 0, c2 = 0, c3 = 0, k0 = seed, k1 = stream;
        UNROLL for (int round = 0; round < 10; ++round) {
            const unsigned __int128 a = (unsigned __int128)0xD2E7470EE14C6C93u * c0;
            const unsigned __int128 b = (unsigned __int128)0xCA5A826395121157u * c2;
            c0 = (uint64_t)(b >> 64) ^ c1 ^ k0, c1 = (uint64_t)b, c2 = (uint64_t)(a >> 64) ^ c3 ^ k1, c3 = (uint64_t)a;
            k0 += 0x9E3779B97F4A7C15u, k1 += 0xBB67AE8584CAA73Bu;
        }
        const uint64_t word[4] = {c0, c1, c2, c3};
        uint16_t bits[16];
        UNROLL for (int e = 0; e < 16; ++e) bits[e] = (uint16_t)(word[e / 4] >> (16 * (e % 4)));
        if (from <= 16 * q && 16 * q + 16 <= to)
            for (int e = 0; e < 16; ++e) out[16 * q + e] = bits[e] < threshold;
        else
            for (int e = 0; e < 16; ++e)
                if (from <= 16 * q + e && 16 * q + e < to) out[16 * q + e] = bits[e] < threshold;
    }
}


/* ---- Vectors ------------------------------------------------------------------------------------------ */
#if defined(__AVX512F__)
#define BYTES 64
#define MR 12
#elif defined(__AVX__)
#define BYTES 32
#define MR 6
#else
#define BYTES 16
#define MR 6
#endif
#define VL ((long)(BYTES / sizeof(real))) /* numbers of a vector */
#define NR (2 * VL)
#define PANELS(columns) (((columns) + NR - 1) / NR)
typedef real vector __attribute__((vector_size(BYTES)));
typedef real unaligned __attribute__((vector_size(BYTES), aligned(sizeof(real)), may_alias));

static inline long least(long a, long b) { return a < b ? a : b; }

/* ---- Products: tiles of MR rows and NR columns, whose sums stay in registers ------------------------- */
/* as many rows as a tile may have, so that all tiles of `rows` have about as many */
static inline long height(long rows) { return (rows + (rows + MR - 1) / MR - 1) / ((rows + MR - 1) / MR); }

#if defined(__x86_64__)
#define PIN(vector) __asm__("" : "+v"(vector)) /* in a register: not to be loaded again for each product */
#else
#define PIN(vector) (void)0
#endif

/* the first numbers of a vector, then zeros */
static inline vector part(const real *a, long count)
{
    vector v = {0};
    for (long e = 0; e < count; ++e) v[e] = a[e];
    return v;
}

/* the sum of a vector's numbers, halves first */
static inline real added(vector v)
{
    typedef real half __attribute__((vector_size(BYTES / 2)));
    half h[2];
    memcpy(h, &v, sizeof v);
    h[0] += h[1];
    real e[VL / 2];
    memcpy(e, h, sizeof e);
    UNROLL for (long part = VL / 4; part; part /= 2)
        UNROLL for (long k = 0; k < part; ++k) e[k] += e[k + part];
    return e[0];
}

/* tile[i][:] (+)= the sum over outer and inner of a[at[i] + ...] b[... + :] */
static inline __attribute__((always_inline)) void multiply_tile(const int rows, const int vectors, real *tile, bool add,
    const real *a, const long *at, long a_inner, long a_outer, const real *b, long b_inner, long b_outer, long inner, long outer)
{
    long row[MR];
    UNROLL for (int i = 0; i < rows; ++i) row[i] = at[i];
    vector sum[MR][2];
    UNROLL for (int i = 0; i < rows; ++i)
        UNROLL for (int j = 0; j < vectors; ++j)
            sum[i][j] = add ? (vector)*(const unaligned *)(tile + i * NR + j * VL) : (vector){0};
    for (long o = 0; o < outer; ++o) {
        const real *p = a + o * a_outer, *q = b + o * b_outer;
        for (long k = 0; k < inner; ++k, p += a_inner, q += b_inner) {
            vector u[2];
            UNROLL for (int j = 0; j < vectors; ++j) u[j] = *(const unaligned *)(q + j * VL);
            UNROLL for (int i = 0; i < rows; ++i) {
                const vector v = p[row[i]] - (vector){0};
                UNROLL for (int j = 0; j < vectors; ++j) sum[i][j] += v * u[j];
            }
        }
    }
    UNROLL for (int i = 0; i < rows; ++i)
        UNROLL for (int j = 0; j < vectors; ++j) *(unaligned *)(tile + i * NR + j * VL) = sum[i][j];
}

static void multiply(real *tile, long rows, long columns, bool add, const real *a, const long *at, long a_inner, long a_outer,
    const real *b, long b_inner, long b_outer, long inner, long outer)
{
#define OF(m) \
    case m: multiply_tile(m, 1, tile, add, a, at, a_inner, a_outer, b, b_inner, b_outer, inner, outer); break; \
    case m + 16: multiply_tile(m, 2, tile, add, a, at, a_inner, a_outer, b, b_inner, b_outer, inner, outer); break;
    switch (rows + (columns > VL ? 16 : 0)) {
        OF(1) OF(2) OF(3) OF(4) OF(5) OF(6)
#if MR > 6
        OF(7) OF(8) OF(9) OF(10) OF(11) OF(12)
#endif
    }
#undef OF
}

/* tile[i][j] = the sum over k of a[i row + k] b[j column + k]: both lie along k, so vectors are of terms, and their
 * sums are added up in the end.  Rows and columns come in blocks; what is behind an edge repeats the last one. */
#define AR (MR / 2)
#define AC 4
static void along(real *tile, long rows, long columns, const real *a, long row, const real *b, long column, long terms)
{
    for (long j0 = 0; j0 < columns; j0 += AC)
        for (long i0 = 0; i0 < rows; i0 += AR) {
            const real *p[AR], *q[AC];
            UNROLL for (int i = 0; i < AR; ++i) p[i] = a + least(i0 + i, rows - 1) * row;
            UNROLL for (int j = 0; j < AC; ++j) q[j] = b + least(j0 + j, columns - 1) * column;
            vector sum[AR][AC];
            UNROLL for (int i = 0; i < AR; ++i)
                UNROLL for (int j = 0; j < AC; ++j) sum[i][j] = (vector){0};
            const long whole = terms / VL * VL;
            for (long k = 0; k < whole; k += VL) {
                vector u[AC];
                UNROLL for (int j = 0; j < AC; ++j) u[j] = *(const unaligned *)(q[j] + k);
                UNROLL for (int i = 0; i < AR; ++i) {
                    vector v = *(const unaligned *)(p[i] + k);
                    PIN(v);
                    UNROLL for (int j = 0; j < AC; ++j) sum[i][j] += v * u[j];
                }
            }
            if (whole < terms)
                UNROLL for (int i = 0; i < AR; ++i)
                    UNROLL for (int j = 0; j < AC; ++j)
                        sum[i][j] += part(p[i] + whole, terms - whole) * part(q[j] + whole, terms - whole);
            for (int i = 0; i < AR && i0 + i < rows; ++i)
                for (int j = 0; j < AC && j0 + j < columns; ++j) tile[(i0 + i) * NR + j0 + j] = added(sum[i][j]);
        }
}

/* ---- Winners: sums over windows, of which each has one place ------------------------------------------ */
/* sum[:] += the sum over a list of given[e] a[at[e] + :], a run of numbers whose sums stay in registers */
static inline __attribute__((always_inline)) void add_from_vectors(const int vectors, real *sum, const real *a,
    const long *at, const real *given, long count)
{
    vector own[12];
    UNROLL for (int i = 0; i < vectors; ++i) own[i] = (vector)*(const unaligned *)(sum + i * VL);
    for (long e = 0; e < count; ++e) {
        const real *p = a + at[e];
        const vector v = given[e] - (vector){0};
        UNROLL for (int i = 0; i < vectors; ++i) own[i] += v * (vector)*(const unaligned *)(p + i * VL);
    }
    UNROLL for (int i = 0; i < vectors; ++i) *(unaligned *)(sum + i * VL) = own[i];
}

/* out[at[e] + :] += given[e] a[:] for each entry of a list, a run of numbers that stays in registers */
static inline __attribute__((always_inline)) void add_to_vectors(const int vectors, real *out, const real *a,
    const long *at, const real *given, long count)
{
    vector own[12];
    UNROLL for (int i = 0; i < vectors; ++i) own[i] = (vector)*(const unaligned *)(a + i * VL);
    for (long e = 0; e < count; ++e) {
        real *p = out + at[e];
        const vector v = given[e] - (vector){0};
        UNROLL for (int i = 0; i < vectors; ++i) *(unaligned *)(p + i * VL) = (vector)*(const unaligned *)(p + i * VL) + v * own[i];
    }
}

#define OF(m) \
    case m: WITH(m, run + c, a + c, at, given, count); break;
#define ALL OF(1) OF(2) OF(3) OF(4) OF(5) OF(6) OF(7) OF(8) OF(9) OF(10) OF(11) OF(12)

static void add_from(real *run, const real *a, const long *at, const real *given, long count, long length)
{
    long c = 0;
    for (long vectors; (vectors = least(12, (length - c) / VL)) > 0; c += vectors * VL)
#define WITH add_from_vectors
        switch (vectors) { ALL }
#undef WITH
    for (; c < length; ++c)
        for (long e = 0; e < count; ++e) run[c] += given[e] * a[at[e] + c];
}

static void add_to(real *run, const real *a, const long *at, const real *given, long count, long length)
{
    long c = 0;
    for (long vectors; (vectors = least(12, (length - c) / VL)) > 0; c += vectors * VL)
#define WITH add_to_vectors
        switch (vectors) { ALL }
#undef WITH
    for (; c < length; ++c)
        for (long e = 0; e < count; ++e) run[at[e] + c] += given[e] * a[c];
}
#undef OF
#undef ALL

/* ---- Memory -------------------------------------------------------------------------------------- */
struct cifar10_cnn_79 {
    long samples, N, step, steps;
    uint64_t seed;
    int threads, team;
    void (*job)(struct cifar10_cnn_79 *, int);
    pthread_t *helpers;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_int arrived, turn, begun;
    int started, stop;
    void *memory;
    real *gradients;
    unsigned char *m2;
    unsigned char *m6;
    unsigned char *m7;
    real *x;
    real *mu1;
    real *v1;
    real *gamma1;
    real *beta1;
    real *xhat1;
    real *z1;
    real *W2;
    real *b2;
    real *a2;
    real *a2_2;
    real *mu3;
    real *v3;
    real *gamma3;
    real *beta3;
    real *xhat3;
    real *z3;
    real *W4;
    real *b4;
    real *a4;
    real *a4_2;
    real *mu5;
    real *v5;
    real *gamma5;
    real *beta5;
    real *xhat5;
    real *z5;
    real *W6;
    real *b6;
    real *a6;
    real *a6_2;
    real *a6_4;
    real *b7;
    real *W7;
    real *a7;
    real *a7_2;
    real *b8;
    real *W8;
    real *z8;
    real *a8_max;
    real *a8_exp;
    real *a8_sum;
    real *a8;
    real *mean1;
    real *var1;
    real *mean3;
    real *var3;
    real *mean5;
    real *var5;
    int *t;
    real *T;
    double *E_sum;
    double *E;
    real *dW8;
    real *db8;
    real *dW7;
    real *db7;
    real *delta6_won;
    unsigned char *delta6_place;
    real *dW6;
    real *db6;
    real *dbeta5;
    real *dgamma5;
    real *delta4_won;
    unsigned char *delta4_place;
    real *dW4;
    real *db4;
    real *dbeta3;
    real *dgamma3;
    real *dW2;
    real *db2;
    real *dbeta1;
    real *dgamma1;
    real *dx;
    double *eta;
    real *m;
    real *g;
    real *v;
    real *theta;
    real *delta8;
    real *delta7;
    real *da6_3;
    real *delta5;
    real *delta3;
    real *delta2;
    real *delta1;
    real *mu1_forward_mu1_parts;
    real *v1_forward_v1_parts;
    real *forward_a2_2_panels;
    real *mu3_forward_mu3_parts;
    real *v3_forward_v3_parts;
    real *forward_a4_panels;
    real *forward_a4_left;
    real *mu5_forward_mu5_parts;
    real *v5_forward_v5_parts;
    real *forward_a6_panels;
    real *forward_a6_left;
    real *evaluation_z3_panels;
    real *evaluation_a4_panels;
    real *evaluation_a4_left;
    real *evaluation_a6_panels;
    real *evaluation_a6_left;
    real *E_sum_loss_E_sum_parts;
    real *E_sum_2_loss_E_parts;
    real *db8_backward_db8_parts;
    real *db7_backward_db7_parts;
    real *backward_dW6_factor;
    real *dW6_backward_dW6_parts;
    real *db6_backward_db6_parts;
    real *backward_delta5_own;
    real *dbeta5_backward_dbeta5_parts;
    real *dgamma5_backward_dgamma5_parts;
    real *backward_dW4_factor;
    real *dW4_backward_dW4_parts;
    real *db4_backward_db4_parts;
    real *backward_delta3_own;
    real *dbeta3_backward_dbeta3_parts;
    real *dgamma3_backward_dgamma3_parts;
    real *dW2_backward_dW2_parts;
    real *db2_backward_db2_parts;
    real *backward_delta1_panels;
    real *backward_delta1_left;
    real *dbeta1_backward_dbeta1_parts;
    real *dgamma1_backward_dgamma1_parts;
};

/* Let the workspace's pointers be into memory for N samples, if there is any; return how much that is. */
static size_t lay(struct cifar10_cnn_79 *w, char *memory, size_t N, size_t threads)
{
    size_t at = 0;
    (void)N, (void)threads;
    if (memory) w->m2 = (unsigned char *)(void *)(memory + at);
    at += (N * 30 * 30 * 32 * sizeof(unsigned char) + 63) / 64 * 64;
    if (memory) w->m6 = (unsigned char *)(void *)(memory + at);
    at += (N * 3136 * sizeof(unsigned char) + 63) / 64 * 64;
    if (memory) w->m7 = (unsigned char *)(void *)(memory + at);
    at += (N * 512 * sizeof(unsigned char) + 63) / 64 * 64;
    if (memory) w->mu1 = (real *)(void *)(memory + at);
    at += (3 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->v1 = (real *)(void *)(memory + at);
    at += (3 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->xhat1 = (real *)(void *)(memory + at);
    at += (N * 32 * 32 * 3 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->z1 = (real *)(void *)(memory + at);
    at += (N * 32 * 32 * 3 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a2 = (real *)(void *)(memory + at);
    at += (N * 30 * 30 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a2_2 = (real *)(void *)(memory + at);
    at += (N * 30 * 30 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->mu3 = (real *)(void *)(memory + at);
    at += (32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->v3 = (real *)(void *)(memory + at);
    at += (32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->xhat3 = (real *)(void *)(memory + at);
    at += (N * 30 * 30 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->z3 = (real *)(void *)(memory + at);
    at += (N * 30 * 30 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a4 = (real *)(void *)(memory + at);
    at += (N * 30 * 30 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a4_2 = (real *)(void *)(memory + at);
    at += (N * 15 * 15 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->mu5 = (real *)(void *)(memory + at);
    at += (32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->v5 = (real *)(void *)(memory + at);
    at += (32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->xhat5 = (real *)(void *)(memory + at);
    at += (N * 15 * 15 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->z5 = (real *)(void *)(memory + at);
    at += (N * 15 * 15 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a6 = (real *)(void *)(memory + at);
    at += (N * 15 * 15 * 64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a6_2 = (real *)(void *)(memory + at);
    at += (N * 7 * 7 * 64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a6_4 = (real *)(void *)(memory + at);
    at += (N * 3136 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a7 = (real *)(void *)(memory + at);
    at += (N * 512 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a7_2 = (real *)(void *)(memory + at);
    at += (N * 512 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->z8 = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a8_max = (real *)(void *)(memory + at);
    at += (N * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a8_exp = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a8_sum = (real *)(void *)(memory + at);
    at += (N * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a8 = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->T = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->E = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->delta6_won = (real *)(void *)(memory + at);
    at += (N * 7 * 7 * 64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta6_place = (unsigned char *)(void *)(memory + at);
    at += (N * 7 * 7 * 64 * sizeof(unsigned char) + 63) / 64 * 64;
    if (memory) w->delta4_won = (real *)(void *)(memory + at);
    at += (N * 15 * 15 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta4_place = (unsigned char *)(void *)(memory + at);
    at += (N * 15 * 15 * 32 * sizeof(unsigned char) + 63) / 64 * 64;
    if (memory) w->dx = (real *)(void *)(memory + at);
    at += (N * 32 * 32 * 3 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->eta = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->mu1_forward_mu1_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->v1_forward_v1_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_a2_2_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(32) * 27 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->mu3_forward_mu3_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->v3_forward_v3_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_a4_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(32) * 288 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_a4_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32832) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->mu5_forward_mu5_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->v5_forward_v5_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_a6_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(64) * 288 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_a6_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 9312) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_z3_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(32) * 27 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a4_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(32) * 288 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a4_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32832) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a6_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(64) * 288 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a6_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 9312) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_loss_E_sum_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_2_loss_E_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db8_backward_db8_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db7_backward_db7_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 1024) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_dW6_factor = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 8208) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dW6_backward_dW6_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 18432) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db6_backward_db6_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 128) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_delta5_own = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 8208) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dbeta5_backward_dbeta5_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dgamma5_backward_dgamma5_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_dW4_factor = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32784) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dW4_backward_dW4_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 9216) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db4_backward_db4_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_delta3_own = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32784) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dbeta3_backward_dbeta3_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dgamma3_backward_dgamma3_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dW2_backward_dW2_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 864) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db2_backward_db2_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_delta1_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(3) * 288 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_delta1_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 37056) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dbeta1_backward_dbeta1_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dgamma1_backward_dgamma1_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->gradients = (real *)(void *)(memory + at);
    at += (1640048 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta8 = w->z8;
    if (memory) w->delta7 = w->a7_2;
    if (memory) w->da6_3 = w->a6_4;
    if (memory) w->delta5 = w->z5;
    if (memory) w->delta3 = w->z3;
    if (memory) w->delta2 = w->a4;
    if (memory) w->delta1 = w->z1;
    return at + 4096; /* vectors may be read behind the end of a panel */
}

/* ---- Threads: each runs the same job on its share, and waits for the others at barriers ------------- */
#define SPINS 4000 /* looks at what is waited for, some 50 µs, before a thread sleeps */
#if defined(__x86_64__)
#define RELAX __builtin_ia32_pause()
#elif defined(__aarch64__)
#define RELAX __asm__ volatile("yield")
#else
#define RELAX (void)0
#endif

static long share(const struct cifar10_cnn_79 *w, int id, long count) { return count * id / w->team; }

static void barrier(struct cifar10_cnn_79 *w)
{
    const int turn = atomic_load(&w->turn), team = w->team; /* read before all have arrived: the next run may change it */
    if (team == 1) return;
    if (atomic_fetch_add(&w->arrived, 1) == team - 1) {
        atomic_store(&w->arrived, 0);
        pthread_mutex_lock(&w->lock);
        atomic_store(&w->turn, turn + 1);
        pthread_cond_broadcast(&w->wake);
        pthread_mutex_unlock(&w->lock);
        return;
    }
    for (int spin = 0; spin < SPINS; ++spin) {
        if (atomic_load_explicit(&w->turn, memory_order_acquire) != turn) return;
        RELAX;
    }
    pthread_mutex_lock(&w->lock);
    while (atomic_load(&w->turn) == turn) pthread_cond_wait(&w->wake, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

struct helper {
    struct cifar10_cnn_79 *w;
    int id;
};

static void *help(void *given)
{
    struct helper *own = given;
    struct cifar10_cnn_79 *w = own->w;
    const int id = own->id;
    free(own);
    for (int turn = 0;;) {
        for (int spin = 0; spin < SPINS && atomic_load_explicit(&w->begun, memory_order_acquire) == turn; ++spin) RELAX;
        pthread_mutex_lock(&w->lock);
        while (atomic_load(&w->begun) == turn) pthread_cond_wait(&w->wake, &w->lock);
        pthread_mutex_unlock(&w->lock);
        turn = atomic_load(&w->begun);
        if (w->stop) return NULL;
        w->job(w, id);
        barrier(w);
    }
}

static const long ALONE = 20000000; /* operations, some 0.1 ms, below which one thread is faster than several */

/* Run a job on all threads, or on this one alone where it is small. */
static void run(struct cifar10_cnn_79 *w, void (*job)(struct cifar10_cnn_79 *, int), long work)
{
    w->team = work < ALONE ? 1 : w->threads;
    if (w->team > 1) {
        w->job = job;
        pthread_mutex_lock(&w->lock);
        atomic_fetch_add(&w->begun, 1);
        pthread_cond_broadcast(&w->wake);
        pthread_mutex_unlock(&w->lock);
    }
    job(w, 0);
    barrier(w);
}

size_t cifar10_cnn_79_bytes(long samples, int threads)
{
    return sizeof(struct cifar10_cnn_79) + lay(NULL, NULL, (size_t)samples, (size_t)threads);
}

void cifar10_cnn_79_close(struct cifar10_cnn_79 *w)
{
    if (!w) return;
    if (w->started > 1) {
        pthread_mutex_lock(&w->lock);
        w->stop = 1;
        atomic_fetch_add(&w->begun, 1);
        pthread_cond_broadcast(&w->wake);
        pthread_mutex_unlock(&w->lock);
        for (int id = 1; id < w->started; ++id) pthread_join(w->helpers[id], NULL);
    }
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    free(w->helpers);
    free(w->memory);
    free(w);
}

struct cifar10_cnn_79 *cifar10_cnn_79_open(long samples, int threads)
{
    struct cifar10_cnn_79 *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->samples = samples, w->threads = threads, w->team = 1, w->started = 1;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->memory = calloc(1, lay(w, NULL, (size_t)samples, (size_t)threads));
    w->helpers = calloc((size_t)threads, sizeof *w->helpers);
    if (!w->memory || !w->helpers) return cifar10_cnn_79_close(w), NULL;
    lay(w, (char *)(((uintptr_t)w->memory + 63) / 64 * 64), (size_t)samples, (size_t)threads);
    for (int id = 1; id < threads; ++id) {
        struct helper *own = malloc(sizeof *own);
        if (!own) return cifar10_cnn_79_close(w), NULL;
        own->w = w, own->id = id;
        if (pthread_create(&w->helpers[id], NULL, help, own)) return free(own), cifar10_cnn_79_close(w), NULL;
        w->started = id + 1;
    }
    return w;
}

/* ---- Forward ------------------------------------------------------------------------------------ */

// m2 ~ Bernoulli(0.8)
static void forward_m2(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    unsigned char *restrict m2 = w->m2;
    const uint64_t *seed = &w->seed;
    (void)id;
    draw(m2, from * 28800, to * 28800, seed[0], 0, 52429);
}

// m6 ~ Bernoulli(0.8)
static void forward_m6(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    unsigned char *restrict m6 = w->m6;
    const uint64_t *seed = &w->seed;
    (void)id;
    draw(m6, from * 3136, to * 3136, seed[0], 1, 52429);
}

// m7 ~ Bernoulli(0.8)
static void forward_m7(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    unsigned char *restrict m7 = w->m7;
    const uint64_t *seed = &w->seed;
    (void)id;
    draw(m7, from * 512, to * 512, seed[0], 2, 52429);
}

// μ1[k] = (1/(1024 N)) Σₙᵢⱼ a0[n,i,j,k]    (3,) (3)
static void forward_mu1(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict x = w->x;
    real *restrict own = (real *)w->mu1_forward_mu1_parts + id * 16;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 32; ++i) {
            for (long j = 0; j < 32; ++j) {
                EACH for (long k = 0; k < 3; ++k) {
                    own[k] += x[n * 3072 + i * 96 + j * 3 + k];
                }
            }
        }
    }
}

// μ1[k] = (1/(1024 N)) Σₙᵢⱼ a0[n,i,j,k]    (3,) (3)
static void forward_mu1_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict mu1 = w->mu1;
    const long N = w->N;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->mu1_forward_mu1_parts)[part * 16 + at];
        const real sum = total;
        mu1[at] = real(1. / 1024. / (double)N) * sum;  // (3)
    }
}

// v1[k] = (1/(1024 N)) Σₙᵢⱼ (a0[n,i,j,k] − μ1[k])²    (3,) (4)
static void forward_v1(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict x = w->x;
    const real *restrict mu1 = w->mu1;
    real *restrict own = (real *)w->v1_forward_v1_parts + id * 16;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 32; ++i) {
            for (long j = 0; j < 32; ++j) {
                EACH for (long k = 0; k < 3; ++k) {
                    own[k] += square(x[n * 3072 + i * 96 + j * 3 + k] - mu1[k]);
                }
            }
        }
    }
}

// v1[k] = (1/(1024 N)) Σₙᵢⱼ (a0[n,i,j,k] − μ1[k])²    (3,) (4)
static void forward_v1_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict v1 = w->v1;
    const long N = w->N;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->v1_forward_v1_parts)[part * 16 + at];
        const real sum = total;
        v1[at] = real(1. / 1024. / (double)N) * sum;  // (4)
    }
}

// x̂1[n,i,j,k] = (a0[n,i,j,k] − μ1[k])/√(v1[k] + 1e-5)    (N, 32, 32, 3) (5)
// z1[n,i,j,k] = γ1[k] x̂1[n,i,j,k] + β1[k]    (N, 32, 32, 3) (6)
static void forward_z1(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict xhat1 = w->xhat1;
    real *restrict z1 = w->z1;
    const real *restrict x = w->x;
    const real *restrict mu1 = w->mu1;
    const real *restrict v1 = w->v1;
    const real *restrict gamma1 = w->gamma1;
    const real *restrict beta1 = w->beta1;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 32; ++i) {
            for (long j = 0; j < 32; ++j) {
                EACH for (long k = 0; k < 3; ++k) {
                    real xhat1_2 = (x[n * 3072 + i * 96 + j * 3 + k] - mu1[k]) / sqrt(v1[k] + real(1e-05));  // (5)
                    xhat1[n * 3072 + i * 96 + j * 3 + k] = xhat1_2;  // (5)
                    z1[n * 3072 + i * 96 + j * 3 + k] = gamma1[k] * xhat1_2 + beta1[k];  // (6)
                }
            }
        }
    }
}

// z2 = W2 ⋆ z1 + b2    (N, 30, 30, 32) (8)
// a2 = max(0, z2)    (N, 30, 30, 32) (9)
// a2_2 = (5/4) a2 ⊙ m2    (N, 30, 30, 32) (10)
static void forward_a2_2_pack(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict W2 = w->W2;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 27; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 27); ++term) {
                    const long column = panel * NR + c;
                    w->forward_a2_2_panels[(panel * 27 + term) * NR + c] = column < 32 ? W2[column * 27 + term] : 0;
                }
}

// z2 = W2 ⋆ z1 + b2    (N, 30, 30, 32) (8)
// a2 = max(0, z2)    (N, 30, 30, 32) (9)
// a2_2 = (5/4) a2 ⊙ m2    (N, 30, 30, 32) (10)
static void forward_a2_2(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict a2 = w->a2;
    real *restrict a2_2 = w->a2_2;
    const real *restrict b2 = w->b2;
    const unsigned char *restrict m2 = w->m2;
    (void)id;
    const real *const left = w->z1;
    const real *const right = w->forward_a2_2_panels;
    long at[900];
    for (long row = 0; row < 900; ++row) at[row] = row / 30 * 96 + row % 30 * 3;
    for (long n = from; n < to; ++n) {
        for (long first = 0; first < 900; first += 4 * height(900))
            for (long panel = 0; panel < PANELS(32); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(900), 900); row0 += height(900)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(900), 900 - row0);
                    const long count = least(NR, 32 - panel * NR);
                    multiply(tile, rows, count, false, left + n * 3072, at + row0, 1, 96, right + panel * 27 * NR, 1 * NR, 9 * NR, 9, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            real z2_2 = b2[column] + sum;  // (8)
                            real a2_3 = maximum(z2_2, real(0));  // (9)
                            a2[n * 28800 + row * 32 + column] = a2_3;  // (9)
                            a2_2[n * 28800 + row * 32 + column] = real(1.25) * a2_3 * m2[n * 28800 + row * 32 + column];  // (10)
                        }
                }
            }
    }
}

// μ3[k] = (1/(900 N)) Σₙᵢⱼ a2_2[n,i,j,k]    (32,) (12)
static void forward_mu3(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict a2_2 = w->a2_2;
    real *restrict own = (real *)w->mu3_forward_mu3_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 30; ++i) {
            for (long j = 0; j < 30; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += a2_2[n * 28800 + i * 960 + j * 32 + k];
                }
            }
        }
    }
}

// μ3[k] = (1/(900 N)) Σₙᵢⱼ a2_2[n,i,j,k]    (32,) (12)
static void forward_mu3_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict mu3 = w->mu3;
    const long N = w->N;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->mu3_forward_mu3_parts)[part * 32 + at];
        const real sum = total;
        mu3[at] = real(1. / 900. / (double)N) * sum;  // (12)
    }
}

// v3[k] = (1/(900 N)) Σₙᵢⱼ (a2_2[n,i,j,k] − μ3[k])²    (32,) (13)
static void forward_v3(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict a2_2 = w->a2_2;
    const real *restrict mu3 = w->mu3;
    real *restrict own = (real *)w->v3_forward_v3_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 30; ++i) {
            for (long j = 0; j < 30; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += square(a2_2[n * 28800 + i * 960 + j * 32 + k] - mu3[k]);
                }
            }
        }
    }
}

// v3[k] = (1/(900 N)) Σₙᵢⱼ (a2_2[n,i,j,k] − μ3[k])²    (32,) (13)
static void forward_v3_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict v3 = w->v3;
    const long N = w->N;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->v3_forward_v3_parts)[part * 32 + at];
        const real sum = total;
        v3[at] = real(1. / 900. / (double)N) * sum;  // (13)
    }
}

// x̂3[n,i,j,k] = (a2_2[n,i,j,k] − μ3[k])/√(v3[k] + 1e-5)    (N, 30, 30, 32) (14)
// z3[n,i,j,k] = γ3[k] x̂3[n,i,j,k] + β3[k]    (N, 30, 30, 32) (15)
static void forward_z3(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict xhat3 = w->xhat3;
    real *restrict z3 = w->z3;
    const real *restrict a2_2 = w->a2_2;
    const real *restrict mu3 = w->mu3;
    const real *restrict v3 = w->v3;
    const real *restrict gamma3 = w->gamma3;
    const real *restrict beta3 = w->beta3;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 30; ++i) {
            for (long j = 0; j < 30; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    real xhat3_2 = (a2_2[n * 28800 + i * 960 + j * 32 + k] - mu3[k]) / sqrt(v3[k] + real(1e-05));  // (14)
                    xhat3[n * 28800 + i * 960 + j * 32 + k] = xhat3_2;  // (14)
                    z3[n * 28800 + i * 960 + j * 32 + k] = gamma3[k] * xhat3_2 + beta3[k];  // (15)
                }
            }
        }
    }
}

// z4 = W4 ⋆(p=1) z3 + b4    (N, 30, 30, 32) (17)
// a4 = max(0, z4)    (N, 30, 30, 32) (18)
static void forward_a4_pack(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict W4 = w->W4;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 288; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 288); ++term) {
                    const long column = panel * NR + c;
                    w->forward_a4_panels[(panel * 288 + term) * NR + c] = column < 32 ? W4[column * 288 + term] : 0;
                }
}

// z4 = W4 ⋆(p=1) z3 + b4    (N, 30, 30, 32) (17)
// a4 = max(0, z4)    (N, 30, 30, 32) (18)
static void forward_a4(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict a4 = w->a4;
    const real *restrict b4 = w->b4;
    real *const left = w->forward_a4_left + id * 32832;
    const real *const right = w->forward_a4_panels;
    long at[900];
    for (long row = 0; row < 900; ++row) at[row] = row / 30 * 1024 + row % 30 * 32;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 30; ++i0)
            memcpy(left + (i0 + 1) * 1024 + 32, w->z3 + n * 28800 + i0 * 960, 960 * sizeof(real));
        for (long first = 0; first < 900; first += 4 * height(900))
            for (long panel = 0; panel < PANELS(32); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(900), 900); row0 += height(900)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(900), 900 - row0);
                    const long count = least(NR, 32 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 1024, right + panel * 288 * NR, 1 * NR, 96 * NR, 96, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            real z4_2 = b4[column] + sum;  // (17)
                            a4[n * 28800 + row * 32 + column] = maximum(z4_2, real(0));  // (18)
                        }
                }
            }
    }
}

// a4_2[n,i,j,k] = max_{u,v<2} a4[n,2i+u,2j+v,k]    (N, 15, 15, 32) (19)
static void forward_a4_2(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict a4_2 = w->a4_2;
    const real *restrict a4 = w->a4;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 15; ++i) {
            for (long j = 0; j < 15; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    real greatest = real(-1) / real(0);
                    UNROLL for (int u = 0; u < 2; ++u)
                        UNROLL for (int v2 = 0; v2 < 2; ++v2)
                            greatest = maximum(greatest, a4[((n * 30 + 2 * i + u) * 30 + 2 * j + v2) * 32 + k]);
                    a4_2[n * 7200 + i * 480 + j * 32 + k] = greatest;  // (19)
                }
            }
        }
    }
}

// μ5[k] = (1/(225 N)) Σₙᵢⱼ a4_2[n,i,j,k]    (32,) (20)
static void forward_mu5(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict a4_2 = w->a4_2;
    real *restrict own = (real *)w->mu5_forward_mu5_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 15; ++i) {
            for (long j = 0; j < 15; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += a4_2[n * 7200 + i * 480 + j * 32 + k];
                }
            }
        }
    }
}

// μ5[k] = (1/(225 N)) Σₙᵢⱼ a4_2[n,i,j,k]    (32,) (20)
static void forward_mu5_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict mu5 = w->mu5;
    const long N = w->N;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->mu5_forward_mu5_parts)[part * 32 + at];
        const real sum = total;
        mu5[at] = real(1. / 225. / (double)N) * sum;  // (20)
    }
}

// v5[k] = (1/(225 N)) Σₙᵢⱼ (a4_2[n,i,j,k] − μ5[k])²    (32,) (21)
static void forward_v5(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict a4_2 = w->a4_2;
    const real *restrict mu5 = w->mu5;
    real *restrict own = (real *)w->v5_forward_v5_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 15; ++i) {
            for (long j = 0; j < 15; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += square(a4_2[n * 7200 + i * 480 + j * 32 + k] - mu5[k]);
                }
            }
        }
    }
}

// v5[k] = (1/(225 N)) Σₙᵢⱼ (a4_2[n,i,j,k] − μ5[k])²    (32,) (21)
static void forward_v5_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict v5 = w->v5;
    const long N = w->N;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->v5_forward_v5_parts)[part * 32 + at];
        const real sum = total;
        v5[at] = real(1. / 225. / (double)N) * sum;  // (21)
    }
}

// x̂5[n,i,j,k] = (a4_2[n,i,j,k] − μ5[k])/√(v5[k] + 1e-5)    (N, 15, 15, 32) (22)
// z5[n,i,j,k] = γ5[k] x̂5[n,i,j,k] + β5[k]    (N, 15, 15, 32) (23)
static void forward_z5(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict xhat5 = w->xhat5;
    real *restrict z5 = w->z5;
    const real *restrict a4_2 = w->a4_2;
    const real *restrict mu5 = w->mu5;
    const real *restrict v5 = w->v5;
    const real *restrict gamma5 = w->gamma5;
    const real *restrict beta5 = w->beta5;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 15; ++i) {
            for (long j = 0; j < 15; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    real xhat5_2 = (a4_2[n * 7200 + i * 480 + j * 32 + k] - mu5[k]) / sqrt(v5[k] + real(1e-05));  // (22)
                    xhat5[n * 7200 + i * 480 + j * 32 + k] = xhat5_2;  // (22)
                    z5[n * 7200 + i * 480 + j * 32 + k] = gamma5[k] * xhat5_2 + beta5[k];  // (23)
                }
            }
        }
    }
}

// z6 = W6 ⋆(p=1) z5 + b6    (N, 15, 15, 64) (25)
// a6 = max(0, z6)    (N, 15, 15, 64) (26)
static void forward_a6_pack(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict W6 = w->W6;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 288; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 288); ++term) {
                    const long column = panel * NR + c;
                    w->forward_a6_panels[(panel * 288 + term) * NR + c] = column < 64 ? W6[column * 288 + term] : 0;
                }
}

// z6 = W6 ⋆(p=1) z5 + b6    (N, 15, 15, 64) (25)
// a6 = max(0, z6)    (N, 15, 15, 64) (26)
static void forward_a6(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict a6 = w->a6;
    const real *restrict b6 = w->b6;
    real *const left = w->forward_a6_left + id * 9312;
    const real *const right = w->forward_a6_panels;
    long at[225];
    for (long row = 0; row < 225; ++row) at[row] = row / 15 * 544 + row % 15 * 32;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 15; ++i0)
            memcpy(left + (i0 + 1) * 544 + 32, w->z5 + n * 7200 + i0 * 480, 480 * sizeof(real));
        for (long first = 0; first < 225; first += 4 * height(225))
            for (long panel = 0; panel < PANELS(64); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(225), 225); row0 += height(225)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(225), 225 - row0);
                    const long count = least(NR, 64 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 544, right + panel * 288 * NR, 1 * NR, 96 * NR, 96, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            real z6_2 = b6[column] + sum;  // (25)
                            a6[n * 14400 + row * 64 + column] = maximum(z6_2, real(0));  // (26)
                        }
                }
            }
    }
}

// a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k]    (N, 7, 7, 64) (27)
static void forward_a6_2(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict a6_2 = w->a6_2;
    const real *restrict a6 = w->a6;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 7; ++i) {
            for (long j = 0; j < 7; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    real greatest = real(-1) / real(0);
                    UNROLL for (int u = 0; u < 2; ++u)
                        UNROLL for (int v2 = 0; v2 < 2; ++v2)
                            greatest = maximum(greatest, a6[((n * 15 + 2 * i + u) * 15 + 2 * j + v2) * 64 + k]);
                    a6_2[n * 3136 + i * 448 + j * 64 + k] = greatest;  // (27)
                }
            }
        }
    }
}

// a6_4 = (5/4) a6_3 ⊙ m6    (N, 3136) (29)
static void forward_a6_4(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict a6_4 = w->a6_4;
    const real *restrict a6_2 = w->a6_2;
    const unsigned char *restrict m6 = w->m6;
    (void)id;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 3136; ++k) {
            a6_4[n * 3136 + k] = real(1.25) * a6_2[n * 3136 + k] * m6[n * 3136 + k];  // (29)
        }
    }
}

// z7 = W7 a6_4 + b7    (N, 512) (31)
// a7 = max(0, z7)    (N, 512) (32)
// a7_2 = (5/4) a7 ⊙ m7    (N, 512) (33)
static void forward_a7_2(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict a7 = w->a7;
    real *restrict a7_2 = w->a7_2;
    const real *restrict b7 = w->b7;
    const unsigned char *restrict m7 = w->m7;
    (void)id;
    const real *const left = w->a6_4;
    const real *const right = w->W7;
    for (long panel = from; panel < to; ++panel) {
        for (long row0 = 0; row0 < w->N; row0 += height(w->N)) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(w->N), w->N - row0);
            const long count = least(NR, 512 - panel * NR);
            along(tile, rows, count, left + row0 * 3136, 3136, right + panel * NR * 3136, 3136, 3136);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    real z7_2 = b7[column] + sum;  // (31)
                    real a7_3 = maximum(z7_2, real(0));  // (32)
                    a7[n * 512 + column] = a7_3;  // (32)
                    a7_2[n * 512 + column] = real(1.25) * a7_3 * m7[n * 512 + column];  // (33)
                }
        }
    }
}

// z8 = W8 a7_2 + b8    (N, 10) (35)
static void forward_z8(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict z8 = w->z8;
    const real *restrict b8 = w->b8;
    (void)id;
    const real *const left = w->a7_2;
    const real *const right = w->W8;
    for (long row0 = from; row0 < to; row0 += height(to - from)) {
        for (long panel = 0; panel < PANELS(10); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(to - from), to - row0);
            const long count = least(NR, 10 - panel * NR);
            along(tile, rows, count, left + row0 * 512, 512, right + panel * NR * 512, 512, 512);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    z8[n * 10 + column] = b8[column] + sum;  // (35)
                }
        }
    }
}

// a8 = softmax(z8)    (N, 10) (36)
static void forward_a8(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict a8_max = w->a8_max;
    real *restrict a8_exp = w->a8_exp;
    real *restrict a8_sum = w->a8_sum;
    real *restrict a8 = w->a8;
    const real *restrict z8 = w->z8;
    (void)id;
    for (long n = from; n < to; ++n) {
        real greatest = real(-1) / real(0);
        for (int i = 0; i < 10; ++i)
            greatest = maximum(greatest, z8[n * 10 + i]);
        a8_max[n] = greatest;  // (36)
        EACH for (long k = 0; k < 10; ++k) {
            a8_exp[n * 10 + k] = exp(z8[n * 10 + k] - a8_max[n]);  // (36)
        }
        real total = real(0);
        for (int j = 0; j < 10; ++j)
            total += a8_exp[n * 10 + j];
        a8_sum[n] = total;  // (36)
        EACH for (long k2 = 0; k2 < 10; ++k2) {
            a8[n * 10 + k2] = a8_exp[n * 10 + k2] / a8_sum[n];  // (36)
        }
    }
}

/* ---- Evaluation --------------------------------------------------------------------------------- */

// z1[n,i,j,k] = γ1[k] (a0[n,i,j,k] − μ̄1[k])/√(v̄1[k] + 1e-5) + β1[k]    (N, 32, 32, 3) (7)
static void evaluation_z1(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict z1 = w->z1;
    const real *restrict gamma1 = w->gamma1;
    const real *restrict x = w->x;
    const real *restrict mean1 = w->mean1;
    const real *restrict var1 = w->var1;
    const real *restrict beta1 = w->beta1;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 32; ++i) {
            for (long j = 0; j < 32; ++j) {
                EACH for (long k = 0; k < 3; ++k) {
                    z1[n * 3072 + i * 96 + j * 3 + k] = gamma1[k] * (x[n * 3072 + i * 96 + j * 3 + k] - mean1[k]) / sqrt(var1[k] + real(1e-05)) + beta1[k];  // (7)
                }
            }
        }
    }
}

// z2 = W2 ⋆ z1 + b2    (N, 30, 30, 32) (8)
// a2 = max(0, z2)    (N, 30, 30, 32) (9)
// a2_2 = a2    (N, 30, 30, 32) (11)
// z3[n,i,j,k] = γ3[k] (a2_2[n,i,j,k] − μ̄3[k])/√(v̄3[k] + 1e-5) + β3[k]    (N, 30, 30, 32) (16)
static void evaluation_z3_pack(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict W2 = w->W2;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 27; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 27); ++term) {
                    const long column = panel * NR + c;
                    w->evaluation_z3_panels[(panel * 27 + term) * NR + c] = column < 32 ? W2[column * 27 + term] : 0;
                }
}

// z2 = W2 ⋆ z1 + b2    (N, 30, 30, 32) (8)
// a2 = max(0, z2)    (N, 30, 30, 32) (9)
// a2_2 = a2    (N, 30, 30, 32) (11)
// z3[n,i,j,k] = γ3[k] (a2_2[n,i,j,k] − μ̄3[k])/√(v̄3[k] + 1e-5) + β3[k]    (N, 30, 30, 32) (16)
static void evaluation_z3(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict a2 = w->a2;
    real *restrict a2_2 = w->a2_2;
    real *restrict z3 = w->z3;
    const real *restrict b2 = w->b2;
    const real *restrict gamma3 = w->gamma3;
    const real *restrict mean3 = w->mean3;
    const real *restrict var3 = w->var3;
    const real *restrict beta3 = w->beta3;
    (void)id;
    const real *const left = w->z1;
    const real *const right = w->evaluation_z3_panels;
    long at[900];
    for (long row = 0; row < 900; ++row) at[row] = row / 30 * 96 + row % 30 * 3;
    for (long n = from; n < to; ++n) {
        for (long first = 0; first < 900; first += 4 * height(900))
            for (long panel = 0; panel < PANELS(32); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(900), 900); row0 += height(900)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(900), 900 - row0);
                    const long count = least(NR, 32 - panel * NR);
                    multiply(tile, rows, count, false, left + n * 3072, at + row0, 1, 96, right + panel * 27 * NR, 1 * NR, 9 * NR, 9, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            real z2_2 = b2[column] + sum;  // (8)
                            real a2_3 = maximum(z2_2, real(0));  // (9)
                            a2[n * 28800 + row * 32 + column] = a2_3;  // (9)
                            real a2_2_2 = a2_3;  // (11)
                            a2_2[n * 28800 + row * 32 + column] = a2_2_2;  // (11)
                            z3[n * 28800 + row * 32 + column] = gamma3[column] * (a2_2_2 - mean3[column]) / sqrt(var3[column] + real(1e-05)) + beta3[column];  // (16)
                        }
                }
            }
    }
}

// z4 = W4 ⋆(p=1) z3 + b4    (N, 30, 30, 32) (17)
// a4 = max(0, z4)    (N, 30, 30, 32) (18)
static void evaluation_a4_pack(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict W4 = w->W4;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 288; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 288); ++term) {
                    const long column = panel * NR + c;
                    w->evaluation_a4_panels[(panel * 288 + term) * NR + c] = column < 32 ? W4[column * 288 + term] : 0;
                }
}

// z4 = W4 ⋆(p=1) z3 + b4    (N, 30, 30, 32) (17)
// a4 = max(0, z4)    (N, 30, 30, 32) (18)
static void evaluation_a4(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict a4 = w->a4;
    const real *restrict b4 = w->b4;
    real *const left = w->evaluation_a4_left + id * 32832;
    const real *const right = w->evaluation_a4_panels;
    long at[900];
    for (long row = 0; row < 900; ++row) at[row] = row / 30 * 1024 + row % 30 * 32;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 30; ++i0)
            memcpy(left + (i0 + 1) * 1024 + 32, w->z3 + n * 28800 + i0 * 960, 960 * sizeof(real));
        for (long first = 0; first < 900; first += 4 * height(900))
            for (long panel = 0; panel < PANELS(32); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(900), 900); row0 += height(900)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(900), 900 - row0);
                    const long count = least(NR, 32 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 1024, right + panel * 288 * NR, 1 * NR, 96 * NR, 96, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            real z4_2 = b4[column] + sum;  // (17)
                            a4[n * 28800 + row * 32 + column] = maximum(z4_2, real(0));  // (18)
                        }
                }
            }
    }
}

// a4_2[n,i,j,k] = max_{u,v<2} a4[n,2i+u,2j+v,k]    (N, 15, 15, 32) (19)
// z5[n,i,j,k] = γ5[k] (a4_2[n,i,j,k] − μ̄5[k])/√(v̄5[k] + 1e-5) + β5[k]    (N, 15, 15, 32) (24)
static void evaluation_z5(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict a4_2 = w->a4_2;
    real *restrict z5 = w->z5;
    const real *restrict a4 = w->a4;
    const real *restrict gamma5 = w->gamma5;
    const real *restrict mean5 = w->mean5;
    const real *restrict var5 = w->var5;
    const real *restrict beta5 = w->beta5;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 15; ++i) {
            for (long j = 0; j < 15; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    real greatest = real(-1) / real(0);
                    UNROLL for (int u = 0; u < 2; ++u)
                        UNROLL for (int v2 = 0; v2 < 2; ++v2)
                            greatest = maximum(greatest, a4[((n * 30 + 2 * i + u) * 30 + 2 * j + v2) * 32 + k]);
                    real a4_2_2 = greatest;  // (19)
                    a4_2[n * 7200 + i * 480 + j * 32 + k] = a4_2_2;  // (19)
                    z5[n * 7200 + i * 480 + j * 32 + k] = gamma5[k] * (a4_2_2 - mean5[k]) / sqrt(var5[k] + real(1e-05)) + beta5[k];  // (24)
                }
            }
        }
    }
}

// z6 = W6 ⋆(p=1) z5 + b6    (N, 15, 15, 64) (25)
// a6 = max(0, z6)    (N, 15, 15, 64) (26)
static void evaluation_a6_pack(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict W6 = w->W6;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 288; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 288); ++term) {
                    const long column = panel * NR + c;
                    w->evaluation_a6_panels[(panel * 288 + term) * NR + c] = column < 64 ? W6[column * 288 + term] : 0;
                }
}

// z6 = W6 ⋆(p=1) z5 + b6    (N, 15, 15, 64) (25)
// a6 = max(0, z6)    (N, 15, 15, 64) (26)
static void evaluation_a6(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict a6 = w->a6;
    const real *restrict b6 = w->b6;
    real *const left = w->evaluation_a6_left + id * 9312;
    const real *const right = w->evaluation_a6_panels;
    long at[225];
    for (long row = 0; row < 225; ++row) at[row] = row / 15 * 544 + row % 15 * 32;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 15; ++i0)
            memcpy(left + (i0 + 1) * 544 + 32, w->z5 + n * 7200 + i0 * 480, 480 * sizeof(real));
        for (long first = 0; first < 225; first += 4 * height(225))
            for (long panel = 0; panel < PANELS(64); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(225), 225); row0 += height(225)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(225), 225 - row0);
                    const long count = least(NR, 64 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 544, right + panel * 288 * NR, 1 * NR, 96 * NR, 96, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            real z6_2 = b6[column] + sum;  // (25)
                            a6[n * 14400 + row * 64 + column] = maximum(z6_2, real(0));  // (26)
                        }
                }
            }
    }
}

// a6_4 = a6_3    (N, 3136) (30)
static void evaluation_a6_4(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict a6_4 = w->a6_4;
    const real *restrict a6_2 = w->a6_2;
    (void)id;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 3136; ++k) {
            a6_4[n * 3136 + k] = a6_2[n * 3136 + k];  // (30)
        }
    }
}

// z7 = W7 a6_4 + b7    (N, 512) (31)
// a7 = max(0, z7)    (N, 512) (32)
// a7_2 = a7    (N, 512) (34)
static void evaluation_a7_2(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict a7 = w->a7;
    real *restrict a7_2 = w->a7_2;
    const real *restrict b7 = w->b7;
    (void)id;
    const real *const left = w->a6_4;
    const real *const right = w->W7;
    for (long panel = from; panel < to; ++panel) {
        for (long row0 = 0; row0 < w->N; row0 += height(w->N)) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(w->N), w->N - row0);
            const long count = least(NR, 512 - panel * NR);
            along(tile, rows, count, left + row0 * 3136, 3136, right + panel * NR * 3136, 3136, 3136);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    real z7_2 = b7[column] + sum;  // (31)
                    real a7_3 = maximum(z7_2, real(0));  // (32)
                    a7[n * 512 + column] = a7_3;  // (32)
                    a7_2[n * 512 + column] = a7_3;  // (34)
                }
        }
    }
}

/* ---- Loss --------------------------------------------------------------------------------------- */

// T = onehot(t)    (N, 10) (1)
static void loss_T(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict T = w->T;
    const int *restrict t = w->t;
    (void)id;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 10; ++k) {
            T[n * 10 + k] = real(t[n] == k);  // (1)
        }
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a8ₙ)    () (37)
static void loss_E_sum(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict a8_sum = w->a8_sum;
    double *restrict own = (double *)w->E_sum_loss_E_sum_parts + id * 16;
    for (long n = from; n < to; ++n) {
        own[0] += log(a8_sum[n]);
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a8ₙ)    () (37)
static void loss_E_sum_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    double *restrict E_sum = w->E_sum;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_loss_E_sum_parts)[part * 16];
    const double sum = total;
    E_sum[0] = sum;  // (37)
}

// E = −(1/N) Σₙ Tₙᵀ log(a8ₙ)    () (37)
static void loss_E(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict T = w->T;
    const real *restrict a8_max = w->a8_max;
    const real *restrict z8 = w->z8;
    double *restrict own = (double *)w->E_sum_2_loss_E_parts + id * 16;
    for (long n = from; n < to; ++n) {
        for (long k = 0; k < 10; ++k) {
            own[0] += T[n * 10 + k] * (a8_max[n] - z8[n * 10 + k]);
        }
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a8ₙ)    () (37)
static void loss_E_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    double *restrict E = w->E;
    const double *restrict E_sum = w->E_sum;
    const long N = w->N;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_2_loss_E_parts)[part * 16];
    const double sum = total;
    E[0] = real(1. / (double)N) * (real(E_sum[0]) + sum);  // (37)
}

/* ---- Backward ----------------------------------------------------------------------------------- */

// δ8 = (a8 − T)/N    (N, 10) (38)
static void backward_delta8(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict delta8 = w->delta8;
    const real *restrict a8 = w->a8;
    const real *restrict T = w->T;
    const long N = w->N;
    (void)id;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 10; ++k) {
            delta8[n * 10 + k] = real(1. / (double)N) * (a8[n * 10 + k] - T[n * 10 + k]);  // (38)
        }
    }
}

// ∂E/∂W8 = Σₙ δ8ₙ a7_2ₙᵀ    (10, 512) (39)
static void backward_dW8(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict dW8 = w->dW8;
    (void)id;
    const real *const left = w->delta8;
    const real *const right = w->a7_2;
    for (long panel = from; panel < to; ++panel) {
        for (long row0 = 0; row0 < 10; row0 += height(10)) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(10), 10 - row0);
            const long count = least(NR, 512 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 1;
            multiply(tile, rows, count, false, left, at, 10, 0, right + panel * NR, 512, 0, w->N, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long k = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    dW8[k * 512 + column] = sum;  // (39)
                }
        }
    }
}

// ∂E/∂b8 = Σₙ δ8ₙ    (10,) (40)
static void backward_db8(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict delta8 = w->delta8;
    real *restrict own = (real *)w->db8_backward_db8_parts + id * 16;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 10; ++k) {
            own[k] += delta8[n * 10 + k];
        }
    }
}

// ∂E/∂b8 = Σₙ δ8ₙ    (10,) (40)
static void backward_db8_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict db8 = w->db8;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db8_backward_db8_parts)[part * 16 + at];
        const real sum = total;
        db8[at] = sum;  // (40)
    }
}

// δ7 = (5/4) (W8ᵀ δ8) ⊙ m7 ⊙ [a7 > 0]    (N, 512) (41)
static void backward_delta7(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict delta7 = w->delta7;
    const unsigned char *restrict m7 = w->m7;
    const real *restrict a7 = w->a7;
    (void)id;
    const real *const left = w->delta8;
    const real *const right = w->W8;
    for (long row0 = from; row0 < to; row0 += height(to - from)) {
        for (long panel = 0; panel < PANELS(512); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(to - from), to - row0);
            const long count = least(NR, 512 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 10;
            multiply(tile, rows, count, false, left, at, 1, 0, right + panel * NR, 512, 0, 10, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    const real passed = real(1.25) * sum * m7[n * 512 + column];  // (41)
                    delta7[n * 512 + column] = a7[n * 512 + column] > 0 ? passed : 0;  // (41)
                }
        }
    }
}

// ∂E/∂W7 = Σₙ δ7ₙ a6_4ₙᵀ    (512, 3136) (42)
static void backward_dW7(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict dW7 = w->dW7;
    (void)id;
    const real *const left = w->delta7;
    const real *const right = w->a6_4;
    for (long row0 = from * MR; row0 < least(to * MR, 512); row0 += MR) {
        for (long panel = 0; panel < PANELS(3136); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(MR, least(to * MR, 512) - row0);
            const long count = least(NR, 3136 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 1;
            multiply(tile, rows, count, false, left, at, 512, 0, right + panel * NR, 3136, 0, w->N, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long k = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    dW7[k * 3136 + column] = sum;  // (42)
                }
        }
    }
}

// ∂E/∂b7 = Σₙ δ7ₙ    (512,) (43)
static void backward_db7(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict delta7 = w->delta7;
    real *restrict own = (real *)w->db7_backward_db7_parts + id * 512;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 512; ++k) {
            own[k] += delta7[n * 512 + k];
        }
    }
}

// ∂E/∂b7 = Σₙ δ7ₙ    (512,) (43)
static void backward_db7_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict db7 = w->db7;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db7_backward_db7_parts)[part * 512 + at];
        const real sum = total;
        db7[at] = sum;  // (43)
    }
}

// ∂E/∂a6_3 = (5/4) (W7ᵀ δ7) ⊙ m6    (N, 3136) (44)
static void backward_da6_3(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict da6_3 = w->da6_3;
    const unsigned char *restrict m6 = w->m6;
    (void)id;
    const real *const left = w->delta7;
    const real *const right = w->W7;
    for (long panel = from; panel < to; ++panel) {
        for (long row0 = 0; row0 < w->N; row0 += height(w->N)) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(w->N), w->N - row0);
            const long count = least(NR, 3136 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 512;
            multiply(tile, rows, count, false, left, at, 1, 0, right + panel * NR, 3136, 0, 512, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    da6_3[n * 3136 + column] = real(1.25) * sum * m6[n * 3136 + column];  // (44)
                }
        }
    }
}

// δ6[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a6[n,2i+u,2j+v,k]] ∂E/∂a6_2[n,i,j,k]) [a6[n,p,q,k] > 0]    (N, 15, 15, 64) (46)
static void backward_delta6_place(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict delta6_won = w->delta6_won;
    unsigned char *restrict delta6_place = w->delta6_place;
    const real *restrict da6_3 = w->da6_3;
    const real *restrict a6_2 = w->a6_2;
    const real *restrict a6 = w->a6;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 7; ++i) {
            for (long j = 0; j < 7; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    const real passed = da6_3[n * 3136 + i * 448 + j * 64 + k];  // (46)
                    delta6_won[n * 3136 + i * 448 + j * 64 + k] = a6_2[n * 3136 + i * 448 + j * 64 + k] > 0 ? passed : 0;  // (46)
                    const real best = a6_2[n * 3136 + i * 448 + j * 64 + k];
                    unsigned char place = 0;
                    UNROLL for (int r2 = 1; r2 >= 0; --r2)
                        UNROLL for (int s = 1; s >= 0; --s)
                            if (a6[((n * 15 + 2 * i + r2) * 15 + 2 * j + s) * 64 + k] == best) place = (unsigned char)(r2 * 2 + s);
                    delta6_place[n * 3136 + i * 448 + j * 64 + k] = place;  // (46)
                }
            }
        }
    }
}

// ∂E/∂W6 = Σₙ δ6ₙ ⋆(p=1) z5ₙ    (64, 3, 3, 32) (47)
// summed over windows alone: each gives to the place of its winner
static void backward_dW6(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict delta6_won = w->delta6_won;
    const unsigned char *restrict delta6_place = w->delta6_place;
    static const long place_at[4] = {0, 32, 512, 544};
    real *restrict factor = w->backward_dW6_factor + id * 8208;
    real *restrict own = w->dW6_backward_dW6_parts + id * 18432;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 15; ++i0)
            memcpy(factor + (i0 + 1) * 512 + 32, w->z5 + n * 7200 + i0 * 480, 480 * sizeof(real));
        for (long i0 = 0; i0 < 7; i0 += 7)
            for (long k = 0; k < 64; ++k) {
                long at[49], count = 0;
                real given[49];
                for (long i = i0; i < least(i0 + 7, 7); ++i)
                    for (long j = 0; j < 7; ++j) {
                        at[count] = i * 1024 + j * 64 + place_at[delta6_place[n * 3136 + i * 448 + j * 64 + k]];
                        given[count] = delta6_won[n * 3136 + i * 448 + j * 64 + k];
                        count += given[count] != 0;
                    }
                for (long u = 0; u < 3; ++u)
                    add_from(own + k * 288 + u * 96, factor + u * 512, at, given, count, 96);
            }
    }
}

// ∂E/∂W6 = Σₙ δ6ₙ ⋆(p=1) z5ₙ    (64, 3, 3, 32) (47)
// summed over windows alone: each gives to the place of its winner
static void backward_dW6_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict dW6 = w->dW6;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dW6_backward_dW6_parts)[part * 18432 + at];
        const real sum = total;
        dW6[at] = sum;  // (47)
    }
}

// ∂E/∂b6[k] = Σₙᵢⱼ δ6[n,i,j,k]    (64,) (48)
static void backward_db6(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict delta6_won = w->delta6_won;
    real *restrict own = (real *)w->db6_backward_db6_parts + id * 64;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 7; ++i) {
            for (long j = 0; j < 7; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    own[k] += delta6_won[n * 3136 + i * 448 + j * 64 + k];
                }
            }
        }
    }
}

// ∂E/∂b6[k] = Σₙᵢⱼ δ6[n,i,j,k]    (64,) (48)
static void backward_db6_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict db6 = w->db6;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db6_backward_db6_parts)[part * 64 + at];
        const real sum = total;
        db6[at] = sum;  // (48)
    }
}

// δ5 = W6ᵀ ∗(p=1) δ6    (N, 15, 15, 32) (49)
// summed over windows alone: each gives to the place of its winner
static void backward_delta5(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict delta5 = w->delta5;
    const real *restrict delta6_won = w->delta6_won;
    const unsigned char *restrict delta6_place = w->delta6_place;
    static const long place_at[4] = {0, 32, 512, 544};
    real *restrict own = w->backward_delta5_own + id * 8208;
    const real *restrict factor = w->W6;
    for (long n = from; n < to; ++n) {
        memset(own, 0, 8192 * sizeof(real));
        for (long i0 = 0; i0 < 7; i0 += 7)
            for (long k = 0; k < 64; ++k) {
                long at[49], count = 0;
                real given[49];
                for (long i = i0; i < least(i0 + 7, 7); ++i)
                    for (long j = 0; j < 7; ++j) {
                        at[count] = i * 1024 + j * 64 + place_at[delta6_place[n * 3136 + i * 448 + j * 64 + k]];
                        given[count] = delta6_won[n * 3136 + i * 448 + j * 64 + k];
                        count += given[count] != 0;
                    }
                for (long p = 0; p < 3; ++p)
                    add_to(own + p * 512, factor + k * 288 + p * 96, at, given, count, 96);
            }
        for (long p2 = 0; p2 < 15; ++p2) {
            for (long q = 0; q < 15; ++q) {
                EACH for (long c2 = 0; c2 < 32; ++c2) {
                    const real sum = own[(p2 + 1) * 512 + (q + 1) * 32 + c2];
                    delta5[n * 7200 + p2 * 480 + q * 32 + c2] = sum;  // (49)
                }
            }
        }
    }
}

// ∂E/∂β5[k] = Σₙᵢⱼ δ5[n,i,j,k]    (32,) (50)
static void backward_dbeta5(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict delta5 = w->delta5;
    real *restrict own = (real *)w->dbeta5_backward_dbeta5_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 15; ++i) {
            for (long j = 0; j < 15; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += delta5[n * 7200 + i * 480 + j * 32 + k];
                }
            }
        }
    }
}

// ∂E/∂β5[k] = Σₙᵢⱼ δ5[n,i,j,k]    (32,) (50)
static void backward_dbeta5_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict dbeta5 = w->dbeta5;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dbeta5_backward_dbeta5_parts)[part * 32 + at];
        const real sum = total;
        dbeta5[at] = sum;  // (50)
    }
}

// ∂E/∂γ5[k] = Σₙᵢⱼ δ5[n,i,j,k] x̂5[n,i,j,k]    (32,) (51)
static void backward_dgamma5(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict delta5 = w->delta5;
    const real *restrict xhat5 = w->xhat5;
    real *restrict own = (real *)w->dgamma5_backward_dgamma5_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 15; ++i) {
            for (long j = 0; j < 15; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += delta5[n * 7200 + i * 480 + j * 32 + k] * xhat5[n * 7200 + i * 480 + j * 32 + k];
                }
            }
        }
    }
}

// ∂E/∂γ5[k] = Σₙᵢⱼ δ5[n,i,j,k] x̂5[n,i,j,k]    (32,) (51)
static void backward_dgamma5_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict dgamma5 = w->dgamma5;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dgamma5_backward_dgamma5_parts)[part * 32 + at];
        const real sum = total;
        dgamma5[at] = sum;  // (51)
    }
}

// ∂E/∂a4_2[n,i,j,k] = γ5[k] (225 N δ5[n,i,j,k] − Σ_mpq δ5[m,p,q,k] − (Σ_mpq δ5[m,p,q,k] x̂5[m,p,q,k]) x̂5[n,i,j,k])/(225 N √(v5[k] + 1e-5))    (N, 15, 15, 32) (56)
// δ4[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a4[n,2i+u,2j+v,k]] ∂E/∂a4_2[n,i,j,k]) [a4[n,p,q,k] > 0]    (N, 30, 30, 32) (57)
static void backward_delta4_place(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict delta4_won = w->delta4_won;
    unsigned char *restrict delta4_place = w->delta4_place;
    const real *restrict gamma5 = w->gamma5;
    const real *restrict delta5 = w->delta5;
    const real *restrict dgamma5 = w->dgamma5;
    const real *restrict xhat5 = w->xhat5;
    const real *restrict dbeta5 = w->dbeta5;
    const real *restrict v5 = w->v5;
    const real *restrict a4_2 = w->a4_2;
    const real *restrict a4 = w->a4;
    const long N = w->N;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 15; ++i) {
            for (long j = 0; j < 15; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    real da4_2_2 = real(1. / 225. / (double)N) * gamma5[k] * (real(225. * (double)N) * delta5[n * 7200 + i * 480 + j * 32 + k] - dgamma5[k] * xhat5[n * 7200 + i * 480 + j * 32 + k] - dbeta5[k]) / sqrt(v5[k] + real(1e-05));  // (56)
                    delta4_won[n * 7200 + i * 480 + j * 32 + k] = a4_2[n * 7200 + i * 480 + j * 32 + k] > 0 ? da4_2_2 : 0;  // (57)
                    const real best = a4_2[n * 7200 + i * 480 + j * 32 + k];
                    unsigned char place = 0;
                    UNROLL for (int r2 = 1; r2 >= 0; --r2)
                        UNROLL for (int s = 1; s >= 0; --s)
                            if (a4[((n * 30 + 2 * i + r2) * 30 + 2 * j + s) * 32 + k] == best) place = (unsigned char)(r2 * 2 + s);
                    delta4_place[n * 7200 + i * 480 + j * 32 + k] = place;  // (57)
                }
            }
        }
    }
}

// ∂E/∂W4 = Σₙ δ4ₙ ⋆(p=1) z3ₙ    (32, 3, 3, 32) (58)
// summed over windows alone: each gives to the place of its winner
static void backward_dW4(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict delta4_won = w->delta4_won;
    const unsigned char *restrict delta4_place = w->delta4_place;
    static const long place_at[4] = {0, 32, 1024, 1056};
    real *restrict factor = w->backward_dW4_factor + id * 32784;
    real *restrict own = w->dW4_backward_dW4_parts + id * 9216;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 30; ++i0)
            memcpy(factor + (i0 + 1) * 1024 + 32, w->z3 + n * 28800 + i0 * 960, 960 * sizeof(real));
        for (long i0 = 0; i0 < 15; i0 += 4)
            for (long k = 0; k < 32; ++k) {
                long at[60], count = 0;
                real given[60];
                for (long i = i0; i < least(i0 + 4, 15); ++i)
                    for (long j = 0; j < 15; ++j) {
                        at[count] = i * 2048 + j * 64 + place_at[delta4_place[n * 7200 + i * 480 + j * 32 + k]];
                        given[count] = delta4_won[n * 7200 + i * 480 + j * 32 + k];
                        count += given[count] != 0;
                    }
                for (long u = 0; u < 3; ++u)
                    add_from(own + k * 288 + u * 96, factor + u * 1024, at, given, count, 96);
            }
    }
}

// ∂E/∂W4 = Σₙ δ4ₙ ⋆(p=1) z3ₙ    (32, 3, 3, 32) (58)
// summed over windows alone: each gives to the place of its winner
static void backward_dW4_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict dW4 = w->dW4;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dW4_backward_dW4_parts)[part * 9216 + at];
        const real sum = total;
        dW4[at] = sum;  // (58)
    }
}

// ∂E/∂b4[k] = Σₙᵢⱼ δ4[n,i,j,k]    (32,) (59)
static void backward_db4(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict delta4_won = w->delta4_won;
    real *restrict own = (real *)w->db4_backward_db4_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 15; ++i) {
            for (long j = 0; j < 15; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += delta4_won[n * 7200 + i * 480 + j * 32 + k];
                }
            }
        }
    }
}

// ∂E/∂b4[k] = Σₙᵢⱼ δ4[n,i,j,k]    (32,) (59)
static void backward_db4_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict db4 = w->db4;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db4_backward_db4_parts)[part * 32 + at];
        const real sum = total;
        db4[at] = sum;  // (59)
    }
}

// δ3 = W4ᵀ ∗(p=1) δ4    (N, 30, 30, 32) (60)
// summed over windows alone: each gives to the place of its winner
static void backward_delta3(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict delta3 = w->delta3;
    const real *restrict delta4_won = w->delta4_won;
    const unsigned char *restrict delta4_place = w->delta4_place;
    static const long place_at[4] = {0, 32, 1024, 1056};
    real *restrict own = w->backward_delta3_own + id * 32784;
    const real *restrict factor = w->W4;
    for (long n = from; n < to; ++n) {
        memset(own, 0, 32768 * sizeof(real));
        for (long i0 = 0; i0 < 15; i0 += 4)
            for (long k = 0; k < 32; ++k) {
                long at[60], count = 0;
                real given[60];
                for (long i = i0; i < least(i0 + 4, 15); ++i)
                    for (long j = 0; j < 15; ++j) {
                        at[count] = i * 2048 + j * 64 + place_at[delta4_place[n * 7200 + i * 480 + j * 32 + k]];
                        given[count] = delta4_won[n * 7200 + i * 480 + j * 32 + k];
                        count += given[count] != 0;
                    }
                for (long p = 0; p < 3; ++p)
                    add_to(own + p * 1024, factor + k * 288 + p * 96, at, given, count, 96);
            }
        for (long p2 = 0; p2 < 30; ++p2) {
            for (long q = 0; q < 30; ++q) {
                EACH for (long c2 = 0; c2 < 32; ++c2) {
                    const real sum = own[(p2 + 1) * 1024 + (q + 1) * 32 + c2];
                    delta3[n * 28800 + p2 * 960 + q * 32 + c2] = sum;  // (60)
                }
            }
        }
    }
}

// ∂E/∂β3[k] = Σₙᵢⱼ δ3[n,i,j,k]    (32,) (61)
static void backward_dbeta3(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict delta3 = w->delta3;
    real *restrict own = (real *)w->dbeta3_backward_dbeta3_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 30; ++i) {
            for (long j = 0; j < 30; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += delta3[n * 28800 + i * 960 + j * 32 + k];
                }
            }
        }
    }
}

// ∂E/∂β3[k] = Σₙᵢⱼ δ3[n,i,j,k]    (32,) (61)
static void backward_dbeta3_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict dbeta3 = w->dbeta3;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dbeta3_backward_dbeta3_parts)[part * 32 + at];
        const real sum = total;
        dbeta3[at] = sum;  // (61)
    }
}

// ∂E/∂γ3[k] = Σₙᵢⱼ δ3[n,i,j,k] x̂3[n,i,j,k]    (32,) (62)
static void backward_dgamma3(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict delta3 = w->delta3;
    const real *restrict xhat3 = w->xhat3;
    real *restrict own = (real *)w->dgamma3_backward_dgamma3_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 30; ++i) {
            for (long j = 0; j < 30; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += delta3[n * 28800 + i * 960 + j * 32 + k] * xhat3[n * 28800 + i * 960 + j * 32 + k];
                }
            }
        }
    }
}

// ∂E/∂γ3[k] = Σₙᵢⱼ δ3[n,i,j,k] x̂3[n,i,j,k]    (32,) (62)
static void backward_dgamma3_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict dgamma3 = w->dgamma3;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dgamma3_backward_dgamma3_parts)[part * 32 + at];
        const real sum = total;
        dgamma3[at] = sum;  // (62)
    }
}

// δ2[n,i,j,k] = γ3[k] m2[n,i,j,k] (900 N δ3[n,i,j,k] − Σ_mpq δ3[m,p,q,k] − (Σ_mpq δ3[m,p,q,k] x̂3[m,p,q,k]) x̂3[n,i,j,k]) [a2[n,i,j,k] > 0]/(720 N √(v3[k] + 1e-5))    (N, 30, 30, 32) (67)
static void backward_delta2(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict delta2 = w->delta2;
    const real *restrict gamma3 = w->gamma3;
    const unsigned char *restrict m2 = w->m2;
    const real *restrict delta3 = w->delta3;
    const real *restrict dgamma3 = w->dgamma3;
    const real *restrict xhat3 = w->xhat3;
    const real *restrict dbeta3 = w->dbeta3;
    const real *restrict v3 = w->v3;
    const real *restrict a2 = w->a2;
    const long N = w->N;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 30; ++i) {
            for (long j = 0; j < 30; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    const real passed = real(1. / 720. / (double)N) * gamma3[k] * m2[n * 28800 + i * 960 + j * 32 + k] * (real(900. * (double)N) * delta3[n * 28800 + i * 960 + j * 32 + k] - dgamma3[k] * xhat3[n * 28800 + i * 960 + j * 32 + k] - dbeta3[k]) / sqrt(v3[k] + real(1e-05));  // (67)
                    delta2[n * 28800 + i * 960 + j * 32 + k] = a2[n * 28800 + i * 960 + j * 32 + k] > 0 ? passed : 0;  // (67)
                }
            }
        }
    }
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆ z1ₙ    (32, 3, 3, 3) (68)
static void backward_dW2(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict own = w->dW2_backward_dW2_parts + id * 864;
    const real *const left = w->z1;
    const real *const right = w->delta2;
    long at[27];
    for (long row = 0; row < 27; ++row) at[row] = row / 9 * 96 + row % 9 * 1;
    for (long n = from; n < to; ++n) {
        for (long panel = 0; panel < PANELS(32); ++panel) {
            for (long row0 = 0; row0 < 27; row0 += height(27)) {
                _Alignas(64) real tile[MR * NR];
                const long rows = least(height(27), 27 - row0);
                const long count = least(NR, 32 - panel * NR);
                multiply(tile, rows, count, false, left + n * 3072, at + row0, 3, 96, right + n * 28800 + panel * NR, 32, 960, 30, 30);
                for (long r = 0; r < rows; ++r)
                    for (long c = 0; c < count; ++c) {
                        const long row = row0 + r;
                        const long column = panel * NR + c;
                        const real sum = tile[r * NR + c];
                        own[column * 27 + row] += sum;
                    }
            }
        }
    }
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆ z1ₙ    (32, 3, 3, 3) (68)
static void backward_dW2_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict dW2 = w->dW2;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dW2_backward_dW2_parts)[part * 864 + at];
        const real sum = total;
        dW2[at] = sum;  // (68)
    }
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (69)
static void backward_db2(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict delta2 = w->delta2;
    real *restrict own = (real *)w->db2_backward_db2_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 30; ++i) {
            for (long j = 0; j < 30; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += delta2[n * 28800 + i * 960 + j * 32 + k];
                }
            }
        }
    }
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (69)
static void backward_db2_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict db2 = w->db2;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db2_backward_db2_parts)[part * 32 + at];
        const real sum = total;
        db2[at] = sum;  // (69)
    }
}

// δ1 = W2ᵀ ∗ δ2    (N, 32, 32, 3) (70)
static void backward_delta1_pack(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict W2 = w->W2;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 288; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 288); ++term) {
                    const long column = panel * NR + c;
                    const long u = term / 96, v2 = term / 32 % 3, k = term % 32;
                    w->backward_delta1_panels[(panel * 288 + term) * NR + c] = column < 3 ? W2[((k * 3 + -u + 2) * 3 + -v2 + 2) * 3 + column] : 0;
                }
}

// δ1 = W2ᵀ ∗ δ2    (N, 32, 32, 3) (70)
static void backward_delta1(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict delta1 = w->delta1;
    real *const left = w->backward_delta1_left + id * 37056;
    const real *const right = w->backward_delta1_panels;
    long at[1024];
    for (long row = 0; row < 1024; ++row) at[row] = row / 32 * 1088 + row % 32 * 32;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 30; ++i0)
            memcpy(left + (i0 + 2) * 1088 + 64, w->delta2 + n * 28800 + i0 * 960, 960 * sizeof(real));
        for (long first = 0; first < 1024; first += 4 * height(1024))
            for (long panel = 0; panel < PANELS(3); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(1024), 1024); row0 += height(1024)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(1024), 1024 - row0);
                    const long count = least(NR, 3 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 1088, right + panel * 288 * NR, 1 * NR, 96 * NR, 96, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            delta1[n * 3072 + row * 3 + column] = sum;  // (70)
                        }
                }
            }
    }
}

// ∂E/∂β1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (3,) (71)
static void backward_dbeta1(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict delta1 = w->delta1;
    real *restrict own = (real *)w->dbeta1_backward_dbeta1_parts + id * 16;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 32; ++i) {
            for (long j = 0; j < 32; ++j) {
                EACH for (long k = 0; k < 3; ++k) {
                    own[k] += delta1[n * 3072 + i * 96 + j * 3 + k];
                }
            }
        }
    }
}

// ∂E/∂β1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (3,) (71)
static void backward_dbeta1_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict dbeta1 = w->dbeta1;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dbeta1_backward_dbeta1_parts)[part * 16 + at];
        const real sum = total;
        dbeta1[at] = sum;  // (71)
    }
}

// ∂E/∂γ1[k] = Σₙᵢⱼ δ1[n,i,j,k] x̂1[n,i,j,k]    (3,) (72)
static void backward_dgamma1(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    const real *restrict delta1 = w->delta1;
    const real *restrict xhat1 = w->xhat1;
    real *restrict own = (real *)w->dgamma1_backward_dgamma1_parts + id * 16;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 32; ++i) {
            for (long j = 0; j < 32; ++j) {
                EACH for (long k = 0; k < 3; ++k) {
                    own[k] += delta1[n * 3072 + i * 96 + j * 3 + k] * xhat1[n * 3072 + i * 96 + j * 3 + k];
                }
            }
        }
    }
}

// ∂E/∂γ1[k] = Σₙᵢⱼ δ1[n,i,j,k] x̂1[n,i,j,k]    (3,) (72)
static void backward_dgamma1_total(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict dgamma1 = w->dgamma1;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dgamma1_backward_dgamma1_parts)[part * 16 + at];
        const real sum = total;
        dgamma1[at] = sum;  // (72)
    }
}

/* ---- Statistics --------------------------------------------------------------------------------- */

// μ̄1 ← 0.9 μ̄1 + 0.1 μ1    (3,) (78)
// v̄1 ← 0.9 v̄1 + 102.4 N v1/(1024 N − 1)    (3,) (79)
static void statistics_var1(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict mean1 = w->mean1;
    real *restrict var1 = w->var1;
    const real *restrict mu1 = w->mu1;
    const real *restrict v1 = w->v1;
    const long N = w->N;
    (void)id;
    EACH for (long k = from; k < to; ++k) {
        mean1[k] = real(0.9) * mean1[k] + real(0.1) * mu1[k];  // (78)
        var1[k] = real(512. / 5. * (double)N / (1024. * (double)N - 1.)) * v1[k] + real(0.9) * var1[k];  // (79)
    }
}

// μ̄3 ← 0.9 μ̄3 + 0.1 μ3    (32,) (80)
// v̄3 ← 0.9 v̄3 + 90 N v3/(900 N − 1)    (32,) (81)
// μ̄5 ← 0.9 μ̄5 + 0.1 μ5    (32,) (82)
// v̄5 ← 0.9 v̄5 + 22.5 N v5/(225 N − 1)    (32,) (83)
static void statistics_var5(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict mean3 = w->mean3;
    real *restrict var3 = w->var3;
    real *restrict mean5 = w->mean5;
    real *restrict var5 = w->var5;
    const real *restrict mu3 = w->mu3;
    const real *restrict v3 = w->v3;
    const real *restrict mu5 = w->mu5;
    const real *restrict v5 = w->v5;
    const long N = w->N;
    (void)id;
    EACH for (long k = from; k < to; ++k) {
        mean3[k] = real(0.9) * mean3[k] + real(0.1) * mu3[k];  // (80)
        var3[k] = real(90. * (double)N / (900. * (double)N - 1.)) * v3[k] + real(0.9) * var3[k];  // (81)
        mean5[k] = real(0.9) * mean5[k] + real(0.1) * mu5[k];  // (82)
        var5[k] = real(45. / 2. * (double)N / (225. * (double)N - 1.)) * v5[k] + real(0.9) * var5[k];  // (83)
    }
}

/* ---- Input gradient ----------------------------------------------------------------------------- */

// ∂E/∂x[n,i,j,k] = γ1[k] (1024 N δ1[n,i,j,k] − Σ_mpq δ1[m,p,q,k] − (Σ_mpq δ1[m,p,q,k] x̂1[m,p,q,k]) x̂1[n,i,j,k])/(1024 N √(v1[k] + 1e-5))    (N, 32, 32, 3) (77)
static void input_gradient_dx(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict dx = w->dx;
    const real *restrict gamma1 = w->gamma1;
    const real *restrict delta1 = w->delta1;
    const real *restrict dgamma1 = w->dgamma1;
    const real *restrict xhat1 = w->xhat1;
    const real *restrict dbeta1 = w->dbeta1;
    const real *restrict v1 = w->v1;
    const long N = w->N;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 32; ++i) {
            for (long j = 0; j < 32; ++j) {
                EACH for (long k = 0; k < 3; ++k) {
                    dx[n * 3072 + i * 96 + j * 3 + k] = real(1. / 1024. / (double)N) * gamma1[k] * (real(1024. * (double)N) * delta1[n * 3072 + i * 96 + j * 3 + k] - dgamma1[k] * xhat1[n * 3072 + i * 96 + j * 3 + k] - dbeta1[k]) / sqrt(v1[k] + real(1e-05));  // (77)
                }
            }
        }
    }
}

/* ---- Update ------------------------------------------------------------------------------------- */

// ηₖ = η (cos(π (k − 1)/K) + 1)/2    () (84)
static void update_eta(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    double *restrict eta = w->eta;
    const long *step = &w->step;
    const long *steps = &w->steps;
    (void)id;
    (void)from, (void)to;
    eta[0] = LEARNING_RATE * (1. + cos(3.141592653589793 * ((double)step[0] - 1.) / (double)steps[0])) / 2.;  // (84)
}

// m ← β1 m + (1 − β1) g    (1640048,) (85)
// v ← β2 v + (1 − β2) g ⊙ g    (1640048,) (86)
// θ ← θ − ηₖ m/((1 − β1^k) (√(v/(1 − β2^k)) + ε))    (1640048,) (87)
static void update_theta(struct cifar10_cnn_79 *w, int id, long from, long to)
{
    real *restrict m = w->m;
    real *restrict v = w->v;
    real *restrict theta = w->theta;
    const real *restrict g = w->g;
    const double *restrict eta = w->eta;
    const long *step = &w->step;
    (void)id;
    EACH for (long i = from; i < to; ++i) {
        real m_2 = real(BETA1) * m[i] + real(1. - BETA1) * g[i];  // (85)
        m[i] = m_2;  // (85)
        real v_2 = real(BETA2) * v[i] + real(1. - BETA2) * square(g[i]);  // (86)
        v[i] = v_2;  // (86)
        theta[i] = theta[i] - real(1. / (1. - pow(BETA1, (double)step[0]))) * m_2 * real(eta[0]) / (sqrt(real(1. / (1. - pow(BETA2, (double)step[0]))) * v_2) + real(EPSILON));  // (87)
    }
}

/* ---- What threads do, part by part ----------------------------------------------------------------- */
static void forward(struct cifar10_cnn_79 *w, int id)
{
    for (long e = 0; e < 3; ++e) ((real *)w->mu1_forward_mu1_parts)[id * 16 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_m2(w, id, n, n + 1);
        forward_m6(w, id, n, n + 1);
        forward_m7(w, id, n, n + 1);
        forward_mu1(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) forward_mu1_total(w, id, 0, 3);
    barrier(w);
    for (long e = 0; e < 3; ++e) ((real *)w->v1_forward_v1_parts)[id * 16 + e] = 0;
    forward_v1(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) forward_v1_total(w, id, 0, 3);
    barrier(w);
    forward_z1(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    forward_a2_2_pack(w, id, share(w, id, PANELS(32)), share(w, id + 1, PANELS(32)));
    barrier(w);
    for (long e = 0; e < 32; ++e) ((real *)w->mu3_forward_mu3_parts)[id * 32 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_a2_2(w, id, n, n + 1);
        forward_mu3(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) forward_mu3_total(w, id, 0, 32);
    barrier(w);
    for (long e = 0; e < 32; ++e) ((real *)w->v3_forward_v3_parts)[id * 32 + e] = 0;
    forward_v3(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) forward_v3_total(w, id, 0, 32);
    barrier(w);
    forward_z3(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    forward_a4_pack(w, id, share(w, id, PANELS(32)), share(w, id + 1, PANELS(32)));
    barrier(w);
    for (long e = 0; e < 32; ++e) ((real *)w->mu5_forward_mu5_parts)[id * 32 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_a4(w, id, n, n + 1);
        forward_a4_2(w, id, n, n + 1);
        forward_mu5(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) forward_mu5_total(w, id, 0, 32);
    barrier(w);
    for (long e = 0; e < 32; ++e) ((real *)w->v5_forward_v5_parts)[id * 32 + e] = 0;
    forward_v5(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) forward_v5_total(w, id, 0, 32);
    barrier(w);
    forward_z5(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    forward_a6_pack(w, id, share(w, id, PANELS(64)), share(w, id + 1, PANELS(64)));
    barrier(w);
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_a6(w, id, n, n + 1);
        forward_a6_2(w, id, n, n + 1);
        forward_a6_4(w, id, n, n + 1);
    }
    barrier(w);
    forward_a7_2(w, id, share(w, id, PANELS(512)), share(w, id + 1, PANELS(512)));
    barrier(w);
    forward_z8(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    forward_a8(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
}

static void evaluation(struct cifar10_cnn_79 *w, int id)
{
    evaluation_z1(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    evaluation_z3_pack(w, id, share(w, id, PANELS(32)), share(w, id + 1, PANELS(32)));
    barrier(w);
    evaluation_z3(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    evaluation_a4_pack(w, id, share(w, id, PANELS(32)), share(w, id + 1, PANELS(32)));
    barrier(w);
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        evaluation_a4(w, id, n, n + 1);
        evaluation_z5(w, id, n, n + 1);
    }
    evaluation_a6_pack(w, id, share(w, id, PANELS(64)), share(w, id + 1, PANELS(64)));
    barrier(w);
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        evaluation_a6(w, id, n, n + 1);
        forward_a6_2(w, id, n, n + 1);
        evaluation_a6_4(w, id, n, n + 1);
    }
    barrier(w);
    evaluation_a7_2(w, id, share(w, id, PANELS(512)), share(w, id + 1, PANELS(512)));
    barrier(w);
    forward_z8(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    forward_a8(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
}

static void loss(struct cifar10_cnn_79 *w, int id)
{
    for (long e = 0; e < 1; ++e) ((double *)w->E_sum_loss_E_sum_parts)[id * 16 + e] = 0;
    for (long e = 0; e < 1; ++e) ((double *)w->E_sum_2_loss_E_parts)[id * 16 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        loss_T(w, id, n, n + 1);
        loss_E_sum(w, id, n, n + 1);
        loss_E(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) loss_E_sum_total(w, id, 0, 1);
    barrier(w);
    if (id == 0) loss_E_total(w, id, 0, 1);
    barrier(w);
}

static void backward(struct cifar10_cnn_79 *w, int id)
{
    for (long e = 0; e < 10; ++e) ((real *)w->db8_backward_db8_parts)[id * 16 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta8(w, id, n, n + 1);
        backward_db8(w, id, n, n + 1);
    }
    barrier(w);
    backward_dW8(w, id, share(w, id, PANELS(512)), share(w, id + 1, PANELS(512)));
    barrier(w);
    if (id == 0) backward_db8_total(w, id, 0, 10);
    backward_delta7(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    backward_dW7(w, id, share(w, id, (512 + MR - 1) / MR), share(w, id + 1, (512 + MR - 1) / MR));
    for (long e = 0; e < 512; ++e) ((real *)w->db7_backward_db7_parts)[id * 512 + e] = 0;
    backward_db7(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) backward_db7_total(w, id, 0, 512);
    backward_da6_3(w, id, share(w, id, PANELS(3136)), share(w, id + 1, PANELS(3136)));
    barrier(w);
    memset(w->dW6_backward_dW6_parts + id * 18432, 0, 18432 * sizeof(real));
    for (long e = 0; e < 64; ++e) ((real *)w->db6_backward_db6_parts)[id * 64 + e] = 0;
    for (long e = 0; e < 32; ++e) ((real *)w->dbeta5_backward_dbeta5_parts)[id * 32 + e] = 0;
    for (long e = 0; e < 32; ++e) ((real *)w->dgamma5_backward_dgamma5_parts)[id * 32 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta6_place(w, id, n, n + 1);
        backward_dW6(w, id, n, n + 1);
        backward_db6(w, id, n, n + 1);
        backward_delta5(w, id, n, n + 1);
        backward_dbeta5(w, id, n, n + 1);
        backward_dgamma5(w, id, n, n + 1);
    }
    barrier(w);
    backward_dW6_total(w, id, share(w, id, 18432), share(w, id + 1, 18432));
    barrier(w);
    if (id == 0) backward_db6_total(w, id, 0, 64);
    barrier(w);
    if (id == 0) backward_dbeta5_total(w, id, 0, 32);
    barrier(w);
    if (id == 0) backward_dgamma5_total(w, id, 0, 32);
    barrier(w);
    memset(w->dW4_backward_dW4_parts + id * 9216, 0, 9216 * sizeof(real));
    for (long e = 0; e < 32; ++e) ((real *)w->db4_backward_db4_parts)[id * 32 + e] = 0;
    for (long e = 0; e < 32; ++e) ((real *)w->dbeta3_backward_dbeta3_parts)[id * 32 + e] = 0;
    for (long e = 0; e < 32; ++e) ((real *)w->dgamma3_backward_dgamma3_parts)[id * 32 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta4_place(w, id, n, n + 1);
        backward_dW4(w, id, n, n + 1);
        backward_db4(w, id, n, n + 1);
        backward_delta3(w, id, n, n + 1);
        backward_dbeta3(w, id, n, n + 1);
        backward_dgamma3(w, id, n, n + 1);
    }
    barrier(w);
    backward_dW4_total(w, id, share(w, id, 9216), share(w, id + 1, 9216));
    barrier(w);
    if (id == 0) backward_db4_total(w, id, 0, 32);
    barrier(w);
    if (id == 0) backward_dbeta3_total(w, id, 0, 32);
    barrier(w);
    if (id == 0) backward_dgamma3_total(w, id, 0, 32);
    barrier(w);
    memset(w->dW2_backward_dW2_parts + id * 864, 0, 864 * sizeof(real));
    for (long e = 0; e < 32; ++e) ((real *)w->db2_backward_db2_parts)[id * 32 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta2(w, id, n, n + 1);
        backward_dW2(w, id, n, n + 1);
        backward_db2(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) backward_dW2_total(w, id, 0, 864);
    barrier(w);
    if (id == 0) backward_db2_total(w, id, 0, 32);
    backward_delta1_pack(w, id, share(w, id, PANELS(3)), share(w, id + 1, PANELS(3)));
    barrier(w);
    for (long e = 0; e < 3; ++e) ((real *)w->dbeta1_backward_dbeta1_parts)[id * 16 + e] = 0;
    for (long e = 0; e < 3; ++e) ((real *)w->dgamma1_backward_dgamma1_parts)[id * 16 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta1(w, id, n, n + 1);
        backward_dbeta1(w, id, n, n + 1);
        backward_dgamma1(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) backward_dbeta1_total(w, id, 0, 3);
    barrier(w);
    if (id == 0) backward_dgamma1_total(w, id, 0, 3);
    barrier(w);
}

static void statistics(struct cifar10_cnn_79 *w, int id)
{
    statistics_var1(w, id, share(w, id, 3), share(w, id + 1, 3));
    statistics_var5(w, id, share(w, id, 32), share(w, id + 1, 32));
    barrier(w);
}

static void input_gradient(struct cifar10_cnn_79 *w, int id)
{
    input_gradient_dx(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
}

static void update(struct cifar10_cnn_79 *w, int id)
{
    if (id == 0) update_eta(w, id, 0, 1);
    barrier(w);
    update_theta(w, id, share(w, id, 1640048), share(w, id + 1, 1640048));
    barrier(w);
}

static void output_job(struct cifar10_cnn_79 *w, int id)
{
    evaluation(w, id);
}

static void evaluation_job(struct cifar10_cnn_79 *w, int id)
{
    evaluation(w, id);
    loss(w, id);
}

static void loss_job(struct cifar10_cnn_79 *w, int id)
{
    forward(w, id);
    loss(w, id);
}

static void gradient_job(struct cifar10_cnn_79 *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
}

static void input_job(struct cifar10_cnn_79 *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
    input_gradient(w, id);
}

static void update_job(struct cifar10_cnn_79 *w, int id)
{
    update(w, id);
}

static void step_job(struct cifar10_cnn_79 *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
    statistics(w, id);
    update(w, id);
}

/* ---- What is called -------------------------------------------------------------------------------- */
static const long WORK = 51334656; /* floating-point operations of a sample in a step */

static void take(struct cifar10_cnn_79 *w, const real *theta, const real *statistics, const real *x, const int32_t *t, long N,
    uint64_t seed)
{
    w->N = N, w->seed = seed;
    (void)theta, (void)statistics, (void)x, (void)t;
    w->x = (real *)(uintptr_t)x;
    w->t = (int *)(uintptr_t)t;
    w->gamma1 = (real *)(uintptr_t)theta + 0;
    w->beta1 = (real *)(uintptr_t)theta + 3;
    w->W2 = (real *)(uintptr_t)theta + 6;
    w->b2 = (real *)(uintptr_t)theta + 870;
    w->gamma3 = (real *)(uintptr_t)theta + 902;
    w->beta3 = (real *)(uintptr_t)theta + 934;
    w->W4 = (real *)(uintptr_t)theta + 966;
    w->b4 = (real *)(uintptr_t)theta + 10182;
    w->gamma5 = (real *)(uintptr_t)theta + 10214;
    w->beta5 = (real *)(uintptr_t)theta + 10246;
    w->W6 = (real *)(uintptr_t)theta + 10278;
    w->b6 = (real *)(uintptr_t)theta + 28710;
    w->b7 = (real *)(uintptr_t)theta + 1634406;
    w->W7 = (real *)(uintptr_t)theta + 28774;
    w->b8 = (real *)(uintptr_t)theta + 1640038;
    w->W8 = (real *)(uintptr_t)theta + 1634918;
    w->mean1 = (real *)(uintptr_t)statistics + 0;
    w->var1 = (real *)(uintptr_t)statistics + 3;
    w->mean3 = (real *)(uintptr_t)statistics + 6;
    w->var3 = (real *)(uintptr_t)statistics + 38;
    w->mean5 = (real *)(uintptr_t)statistics + 70;
    w->var5 = (real *)(uintptr_t)statistics + 102;
}

static void give(struct cifar10_cnn_79 *w, real *gradients)
{
    (void)w, (void)gradients;
    w->dW8 = gradients + 1634918;
    w->db8 = gradients + 1640038;
    w->dW7 = gradients + 28774;
    w->db7 = gradients + 1634406;
    w->dW6 = gradients + 10278;
    w->db6 = gradients + 28710;
    w->dbeta5 = gradients + 10246;
    w->dgamma5 = gradients + 10214;
    w->dW4 = gradients + 966;
    w->db4 = gradients + 10182;
    w->dbeta3 = gradients + 934;
    w->dgamma3 = gradients + 902;
    w->dW2 = gradients + 6;
    w->db2 = gradients + 870;
    w->dbeta1 = gradients + 3;
    w->dgamma1 = gradients + 0;
}

static void prepare(struct cifar10_cnn_79 *w, real *theta, const real *gradients, real *const *state, long step, long steps)
{
    w->step = step, w->steps = steps;
    (void)theta, (void)gradients, (void)state;
    w->g = (real *)(uintptr_t)gradients;
    w->theta = theta;
    w->m = state[0];
    w->v = state[1];
}

void cifar10_cnn_79_predict(struct cifar10_cnn_79 *w, const real *theta, const real *statistics, const real *x, long N, real *y)
{
    take(w, theta, statistics, x, NULL, N, 0);
    run(w, output_job, N * WORK / 3);
    memcpy(y, w->a8, (size_t)N * 10 * sizeof(real));
}

double cifar10_cnn_79_loss(struct cifar10_cnn_79 *w, const real *theta, const real *statistics, const real *x, const int32_t *t,
    long N, uint64_t seed)
{
    take(w, theta, statistics, x, t, N, seed);
    run(w, loss_job, N * WORK / 3);
    return w->E[0];
}

double cifar10_cnn_79_evaluation_loss(struct cifar10_cnn_79 *w, const real *theta, const real *statistics, const real *x,
    const int32_t *t, long N)
{
    take(w, theta, statistics, x, t, N, 0);
    run(w, evaluation_job, N * WORK / 3);
    return w->E[0];
}

double cifar10_cnn_79_loss_and_gradients(struct cifar10_cnn_79 *w, const real *theta, const real *statistics, const real *x,
    const int32_t *t, long N, uint64_t seed, real *gradients)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, gradients);
    run(w, gradient_job, N * WORK);
    return w->E[0];
}

double cifar10_cnn_79_input_gradient(struct cifar10_cnn_79 *w, const real *theta, const real *statistics, const real *x,
    const int32_t *t, long N, uint64_t seed, real *dx)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, w->gradients);
    run(w, input_job, N * WORK);
    memcpy(dx, w->dx, (size_t)N * 3072 * sizeof(real));
    return w->E[0];
}

void cifar10_cnn_79_update(struct cifar10_cnn_79 *w, real *theta, const real *gradients, real *const *state, long step, long steps,
    double *rate)
{
    prepare(w, theta, gradients, state, step, steps);
    run(w, update_job, 10L * 1640048);
    if (rate) *rate = w->eta[0];
}

double cifar10_cnn_79_step(struct cifar10_cnn_79 *w, real *theta, real *statistics, real *const *state, const real *x,
    const int32_t *t, long N, uint64_t seed, long step, long steps, double *rate)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, w->gradients);
    prepare(w, theta, w->gradients, state, step, steps);
    run(w, step_job, N * WORK);
    if (rate) *rate = w->eta[0];
    return w->E[0];
}
