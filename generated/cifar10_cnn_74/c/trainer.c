/* cifar10_cnn_74: 32x32x3-30x30x32-30x30x32-15x15x64-512-10, relu, dropout, max_pool2d, softmax; cross_entropy; adam; 1,639,914 parameters
 *
 * Generated from cifar10_cnn_74.toml (sha256 12043d64); change the spec, not this file.  A number in
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
struct cifar10_cnn_74 {
    long samples, N, step, steps;
    uint64_t seed;
    int threads, team;
    void (*job)(struct cifar10_cnn_74 *, int);
    pthread_t *helpers;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_int arrived, turn, begun;
    int started, stop;
    void *memory;
    real *gradients;
    unsigned char *m1;
    unsigned char *m3;
    unsigned char *m4;
    real *W1;
    real *b1;
    real *x;
    real *a1;
    real *a1_2;
    real *W2;
    real *b2;
    real *a2;
    real *a2_2;
    real *W3;
    real *b3;
    real *a3;
    real *a3_2;
    real *a3_4;
    real *b4;
    real *W4;
    real *a4;
    real *a4_2;
    real *b5;
    real *W5;
    real *z5;
    real *a5_max;
    real *a5_exp;
    real *a5_sum;
    real *a5;
    int *t;
    real *T;
    double *E_sum;
    double *E;
    real *dW5;
    real *db5;
    real *dW4;
    real *db4;
    real *delta3_won;
    unsigned char *delta3_place;
    real *delta2_won;
    unsigned char *delta2_place;
    real *dW3;
    real *db3;
    real *dW2;
    real *db2;
    real *dW1;
    real *db1;
    real *dx;
    real *m;
    real *g;
    real *v;
    real *theta;
    real *delta5;
    real *delta4;
    real *da3_3;
    real *delta1;
    real *forward_a1_2_panels;
    real *forward_a2_panels;
    real *forward_a2_left;
    real *forward_a3_panels;
    real *forward_a3_left;
    real *evaluation_a1_2_panels;
    real *evaluation_a2_panels;
    real *evaluation_a2_left;
    real *evaluation_a3_panels;
    real *evaluation_a3_left;
    real *E_sum_loss_E_sum_parts;
    real *E_sum_2_loss_E_parts;
    real *db5_backward_db5_parts;
    real *db4_backward_db4_parts;
    real *backward_dW3_factor;
    real *dW3_backward_dW3_parts;
    real *db3_backward_db3_parts;
    real *backward_delta2_place_own;
    real *backward_dW2_factor;
    real *dW2_backward_dW2_parts;
    real *db2_backward_db2_parts;
    real *backward_delta1_own;
    real *dW1_backward_dW1_parts;
    real *db1_backward_db1_parts;
    real *input_gradient_dx_panels;
    real *input_gradient_dx_left;
};

/* Let the workspace's pointers be into memory for N samples, if there is any; return how much that is. */
static size_t lay(struct cifar10_cnn_74 *w, char *memory, size_t N, size_t threads)
{
    size_t at = 0;
    (void)N, (void)threads;
    if (memory) w->m1 = (unsigned char *)(void *)(memory + at);
    at += (N * 30 * 30 * 32 * sizeof(unsigned char) + 63) / 64 * 64;
    if (memory) w->m3 = (unsigned char *)(void *)(memory + at);
    at += (N * 3136 * sizeof(unsigned char) + 63) / 64 * 64;
    if (memory) w->m4 = (unsigned char *)(void *)(memory + at);
    at += (N * 512 * sizeof(unsigned char) + 63) / 64 * 64;
    if (memory) w->a1 = (real *)(void *)(memory + at);
    at += (N * 30 * 30 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a1_2 = (real *)(void *)(memory + at);
    at += (N * 30 * 30 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a2 = (real *)(void *)(memory + at);
    at += (N * 30 * 30 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a2_2 = (real *)(void *)(memory + at);
    at += (N * 15 * 15 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a3 = (real *)(void *)(memory + at);
    at += (N * 15 * 15 * 64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a3_2 = (real *)(void *)(memory + at);
    at += (N * 7 * 7 * 64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a3_4 = (real *)(void *)(memory + at);
    at += (N * 3136 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a4 = (real *)(void *)(memory + at);
    at += (N * 512 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a4_2 = (real *)(void *)(memory + at);
    at += (N * 512 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->z5 = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a5_max = (real *)(void *)(memory + at);
    at += (N * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a5_exp = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a5_sum = (real *)(void *)(memory + at);
    at += (N * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a5 = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->T = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->E = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->delta3_won = (real *)(void *)(memory + at);
    at += (N * 7 * 7 * 64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta3_place = (unsigned char *)(void *)(memory + at);
    at += (N * 7 * 7 * 64 * sizeof(unsigned char) + 63) / 64 * 64;
    if (memory) w->delta2_won = (real *)(void *)(memory + at);
    at += (N * 15 * 15 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta2_place = (unsigned char *)(void *)(memory + at);
    at += (N * 15 * 15 * 32 * sizeof(unsigned char) + 63) / 64 * 64;
    if (memory) w->dx = (real *)(void *)(memory + at);
    at += (N * 32 * 32 * 3 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_a1_2_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(32) * 27 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_a2_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(32) * 288 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_a2_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32832) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_a3_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(64) * 288 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_a3_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 9312) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a1_2_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(32) * 27 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a2_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(32) * 288 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a2_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32832) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a3_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(64) * 288 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a3_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 9312) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_loss_E_sum_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_2_loss_E_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db5_backward_db5_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db4_backward_db4_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 1024) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_dW3_factor = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 8208) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dW3_backward_dW3_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 18432) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db3_backward_db3_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 128) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_delta2_place_own = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 8208) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_dW2_factor = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32784) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dW2_backward_dW2_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 9216) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db2_backward_db2_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_delta1_own = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32784) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dW1_backward_dW1_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 864) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db1_backward_db1_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->input_gradient_dx_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(3) * 288 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->input_gradient_dx_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 37056) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->gradients = (real *)(void *)(memory + at);
    at += (1639914 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta5 = w->z5;
    if (memory) w->delta4 = w->a4_2;
    if (memory) w->da3_3 = w->a3_4;
    if (memory) w->delta1 = w->a1_2;
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

static long share(const struct cifar10_cnn_74 *w, int id, long count) { return count * id / w->team; }

static void barrier(struct cifar10_cnn_74 *w)
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
    struct cifar10_cnn_74 *w;
    int id;
};

static void *help(void *given)
{
    struct helper *own = given;
    struct cifar10_cnn_74 *w = own->w;
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
static void run(struct cifar10_cnn_74 *w, void (*job)(struct cifar10_cnn_74 *, int), long work)
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

size_t cifar10_cnn_74_bytes(long samples, int threads)
{
    return sizeof(struct cifar10_cnn_74) + lay(NULL, NULL, (size_t)samples, (size_t)threads);
}

void cifar10_cnn_74_close(struct cifar10_cnn_74 *w)
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

struct cifar10_cnn_74 *cifar10_cnn_74_open(long samples, int threads)
{
    struct cifar10_cnn_74 *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->samples = samples, w->threads = threads, w->team = 1, w->started = 1;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->memory = calloc(1, lay(w, NULL, (size_t)samples, (size_t)threads));
    w->helpers = calloc((size_t)threads, sizeof *w->helpers);
    if (!w->memory || !w->helpers) return cifar10_cnn_74_close(w), NULL;
    lay(w, (char *)(((uintptr_t)w->memory + 63) / 64 * 64), (size_t)samples, (size_t)threads);
    for (int id = 1; id < threads; ++id) {
        struct helper *own = malloc(sizeof *own);
        if (!own) return cifar10_cnn_74_close(w), NULL;
        own->w = w, own->id = id;
        if (pthread_create(&w->helpers[id], NULL, help, own)) return free(own), cifar10_cnn_74_close(w), NULL;
        w->started = id + 1;
    }
    return w;
}

/* ---- Forward ------------------------------------------------------------------------------------ */

// m1 ~ Bernoulli(0.8)
static void forward_m1(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    unsigned char *restrict m1 = w->m1;
    const uint64_t *seed = &w->seed;
    (void)id;
    draw(m1, from * 28800, to * 28800, seed[0], 0, 52429);
}

// m3 ~ Bernoulli(0.8)
static void forward_m3(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    unsigned char *restrict m3 = w->m3;
    const uint64_t *seed = &w->seed;
    (void)id;
    draw(m3, from * 3136, to * 3136, seed[0], 1, 52429);
}

// m4 ~ Bernoulli(0.8)
static void forward_m4(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    unsigned char *restrict m4 = w->m4;
    const uint64_t *seed = &w->seed;
    (void)id;
    draw(m4, from * 512, to * 512, seed[0], 2, 52429);
}

// z1 = W1 ⋆ a0 + b1    (N, 30, 30, 32) (3)
// a1 = max(0, z1)    (N, 30, 30, 32) (4)
// a1_2 = (5/4) a1 ⊙ m1    (N, 30, 30, 32) (5)
static void forward_a1_2_pack(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict W1 = w->W1;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 27; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 27); ++term) {
                    const long column = panel * NR + c;
                    w->forward_a1_2_panels[(panel * 27 + term) * NR + c] = column < 32 ? W1[column * 27 + term] : 0;
                }
}

// z1 = W1 ⋆ a0 + b1    (N, 30, 30, 32) (3)
// a1 = max(0, z1)    (N, 30, 30, 32) (4)
// a1_2 = (5/4) a1 ⊙ m1    (N, 30, 30, 32) (5)
static void forward_a1_2(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict a1 = w->a1;
    real *restrict a1_2 = w->a1_2;
    const real *restrict b1 = w->b1;
    const unsigned char *restrict m1 = w->m1;
    (void)id;
    const real *const left = w->x;
    const real *const right = w->forward_a1_2_panels;
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
                            real z1_2 = b1[column] + sum;  // (3)
                            real a1_3 = maximum(z1_2, real(0));  // (4)
                            a1[n * 28800 + row * 32 + column] = a1_3;  // (4)
                            a1_2[n * 28800 + row * 32 + column] = real(1.25) * a1_3 * m1[n * 28800 + row * 32 + column];  // (5)
                        }
                }
            }
    }
}

// z2 = W2 ⋆(p=1) a1_2 + b2    (N, 30, 30, 32) (7)
// a2 = max(0, z2)    (N, 30, 30, 32) (8)
static void forward_a2_pack(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict W2 = w->W2;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 288; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 288); ++term) {
                    const long column = panel * NR + c;
                    w->forward_a2_panels[(panel * 288 + term) * NR + c] = column < 32 ? W2[column * 288 + term] : 0;
                }
}

// z2 = W2 ⋆(p=1) a1_2 + b2    (N, 30, 30, 32) (7)
// a2 = max(0, z2)    (N, 30, 30, 32) (8)
static void forward_a2(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict a2 = w->a2;
    const real *restrict b2 = w->b2;
    real *const left = w->forward_a2_left + id * 32832;
    const real *const right = w->forward_a2_panels;
    long at[900];
    for (long row = 0; row < 900; ++row) at[row] = row / 30 * 1024 + row % 30 * 32;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 30; ++i0)
            memcpy(left + (i0 + 1) * 1024 + 32, w->a1_2 + n * 28800 + i0 * 960, 960 * sizeof(real));
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
                            real z2_2 = b2[column] + sum;  // (7)
                            a2[n * 28800 + row * 32 + column] = maximum(z2_2, real(0));  // (8)
                        }
                }
            }
    }
}

// a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 15, 15, 32) (9)
static void forward_a2_2(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict a2_2 = w->a2_2;
    const real *restrict a2 = w->a2;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 15; ++i) {
            for (long j = 0; j < 15; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    real greatest = real(-1) / real(0);
                    UNROLL for (int u = 0; u < 2; ++u)
                        UNROLL for (int v2 = 0; v2 < 2; ++v2)
                            greatest = maximum(greatest, a2[((n * 30 + 2 * i + u) * 30 + 2 * j + v2) * 32 + k]);
                    a2_2[n * 7200 + i * 480 + j * 32 + k] = greatest;  // (9)
                }
            }
        }
    }
}

// z3 = W3 ⋆(p=1) a2_2 + b3    (N, 15, 15, 64) (10)
// a3 = max(0, z3)    (N, 15, 15, 64) (11)
static void forward_a3_pack(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict W3 = w->W3;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 288; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 288); ++term) {
                    const long column = panel * NR + c;
                    w->forward_a3_panels[(panel * 288 + term) * NR + c] = column < 64 ? W3[column * 288 + term] : 0;
                }
}

// z3 = W3 ⋆(p=1) a2_2 + b3    (N, 15, 15, 64) (10)
// a3 = max(0, z3)    (N, 15, 15, 64) (11)
static void forward_a3(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict a3 = w->a3;
    const real *restrict b3 = w->b3;
    real *const left = w->forward_a3_left + id * 9312;
    const real *const right = w->forward_a3_panels;
    long at[225];
    for (long row = 0; row < 225; ++row) at[row] = row / 15 * 544 + row % 15 * 32;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 15; ++i0)
            memcpy(left + (i0 + 1) * 544 + 32, w->a2_2 + n * 7200 + i0 * 480, 480 * sizeof(real));
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
                            real z3_2 = b3[column] + sum;  // (10)
                            a3[n * 14400 + row * 64 + column] = maximum(z3_2, real(0));  // (11)
                        }
                }
            }
    }
}

// a3_2[n,i,j,k] = max_{u,v<2} a3[n,2i+u,2j+v,k]    (N, 7, 7, 64) (12)
static void forward_a3_2(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict a3_2 = w->a3_2;
    const real *restrict a3 = w->a3;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 7; ++i) {
            for (long j = 0; j < 7; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    real greatest = real(-1) / real(0);
                    UNROLL for (int u = 0; u < 2; ++u)
                        UNROLL for (int v2 = 0; v2 < 2; ++v2)
                            greatest = maximum(greatest, a3[((n * 15 + 2 * i + u) * 15 + 2 * j + v2) * 64 + k]);
                    a3_2[n * 3136 + i * 448 + j * 64 + k] = greatest;  // (12)
                }
            }
        }
    }
}

// a3_4 = (5/4) a3_3 ⊙ m3    (N, 3136) (14)
static void forward_a3_4(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict a3_4 = w->a3_4;
    const real *restrict a3_2 = w->a3_2;
    const unsigned char *restrict m3 = w->m3;
    (void)id;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 3136; ++k) {
            a3_4[n * 3136 + k] = real(1.25) * a3_2[n * 3136 + k] * m3[n * 3136 + k];  // (14)
        }
    }
}

// z4 = W4 a3_4 + b4    (N, 512) (16)
// a4 = max(0, z4)    (N, 512) (17)
// a4_2 = (5/4) a4 ⊙ m4    (N, 512) (18)
static void forward_a4_2(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict a4 = w->a4;
    real *restrict a4_2 = w->a4_2;
    const real *restrict b4 = w->b4;
    const unsigned char *restrict m4 = w->m4;
    (void)id;
    const real *const left = w->a3_4;
    const real *const right = w->W4;
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
                    real z4_2 = b4[column] + sum;  // (16)
                    real a4_3 = maximum(z4_2, real(0));  // (17)
                    a4[n * 512 + column] = a4_3;  // (17)
                    a4_2[n * 512 + column] = real(1.25) * a4_3 * m4[n * 512 + column];  // (18)
                }
        }
    }
}

// z5 = W5 a4_2 + b5    (N, 10) (20)
static void forward_z5(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict z5 = w->z5;
    const real *restrict b5 = w->b5;
    (void)id;
    const real *const left = w->a4_2;
    const real *const right = w->W5;
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
                    z5[n * 10 + column] = b5[column] + sum;  // (20)
                }
        }
    }
}

// a5 = softmax(z5)    (N, 10) (21)
static void forward_a5(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict a5_max = w->a5_max;
    real *restrict a5_exp = w->a5_exp;
    real *restrict a5_sum = w->a5_sum;
    real *restrict a5 = w->a5;
    const real *restrict z5 = w->z5;
    (void)id;
    for (long n = from; n < to; ++n) {
        real greatest = real(-1) / real(0);
        for (int i = 0; i < 10; ++i)
            greatest = maximum(greatest, z5[n * 10 + i]);
        a5_max[n] = greatest;  // (21)
        EACH for (long k = 0; k < 10; ++k) {
            a5_exp[n * 10 + k] = exp(z5[n * 10 + k] - a5_max[n]);  // (21)
        }
        real total = real(0);
        for (int j = 0; j < 10; ++j)
            total += a5_exp[n * 10 + j];
        a5_sum[n] = total;  // (21)
        EACH for (long k2 = 0; k2 < 10; ++k2) {
            a5[n * 10 + k2] = a5_exp[n * 10 + k2] / a5_sum[n];  // (21)
        }
    }
}

/* ---- Evaluation --------------------------------------------------------------------------------- */

// z1 = W1 ⋆ a0 + b1    (N, 30, 30, 32) (3)
// a1 = max(0, z1)    (N, 30, 30, 32) (4)
// a1_2 = a1    (N, 30, 30, 32) (6)
static void evaluation_a1_2_pack(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict W1 = w->W1;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 27; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 27); ++term) {
                    const long column = panel * NR + c;
                    w->evaluation_a1_2_panels[(panel * 27 + term) * NR + c] = column < 32 ? W1[column * 27 + term] : 0;
                }
}

// z1 = W1 ⋆ a0 + b1    (N, 30, 30, 32) (3)
// a1 = max(0, z1)    (N, 30, 30, 32) (4)
// a1_2 = a1    (N, 30, 30, 32) (6)
static void evaluation_a1_2(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict a1 = w->a1;
    real *restrict a1_2 = w->a1_2;
    const real *restrict b1 = w->b1;
    (void)id;
    const real *const left = w->x;
    const real *const right = w->evaluation_a1_2_panels;
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
                            real z1_2 = b1[column] + sum;  // (3)
                            real a1_3 = maximum(z1_2, real(0));  // (4)
                            a1[n * 28800 + row * 32 + column] = a1_3;  // (4)
                            a1_2[n * 28800 + row * 32 + column] = a1_3;  // (6)
                        }
                }
            }
    }
}

// z2 = W2 ⋆(p=1) a1_2 + b2    (N, 30, 30, 32) (7)
// a2 = max(0, z2)    (N, 30, 30, 32) (8)
static void evaluation_a2_pack(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict W2 = w->W2;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 288; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 288); ++term) {
                    const long column = panel * NR + c;
                    w->evaluation_a2_panels[(panel * 288 + term) * NR + c] = column < 32 ? W2[column * 288 + term] : 0;
                }
}

// z2 = W2 ⋆(p=1) a1_2 + b2    (N, 30, 30, 32) (7)
// a2 = max(0, z2)    (N, 30, 30, 32) (8)
static void evaluation_a2(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict a2 = w->a2;
    const real *restrict b2 = w->b2;
    real *const left = w->evaluation_a2_left + id * 32832;
    const real *const right = w->evaluation_a2_panels;
    long at[900];
    for (long row = 0; row < 900; ++row) at[row] = row / 30 * 1024 + row % 30 * 32;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 30; ++i0)
            memcpy(left + (i0 + 1) * 1024 + 32, w->a1_2 + n * 28800 + i0 * 960, 960 * sizeof(real));
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
                            real z2_2 = b2[column] + sum;  // (7)
                            a2[n * 28800 + row * 32 + column] = maximum(z2_2, real(0));  // (8)
                        }
                }
            }
    }
}

// z3 = W3 ⋆(p=1) a2_2 + b3    (N, 15, 15, 64) (10)
// a3 = max(0, z3)    (N, 15, 15, 64) (11)
static void evaluation_a3_pack(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict W3 = w->W3;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 288; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 288); ++term) {
                    const long column = panel * NR + c;
                    w->evaluation_a3_panels[(panel * 288 + term) * NR + c] = column < 64 ? W3[column * 288 + term] : 0;
                }
}

// z3 = W3 ⋆(p=1) a2_2 + b3    (N, 15, 15, 64) (10)
// a3 = max(0, z3)    (N, 15, 15, 64) (11)
static void evaluation_a3(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict a3 = w->a3;
    const real *restrict b3 = w->b3;
    real *const left = w->evaluation_a3_left + id * 9312;
    const real *const right = w->evaluation_a3_panels;
    long at[225];
    for (long row = 0; row < 225; ++row) at[row] = row / 15 * 544 + row % 15 * 32;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 15; ++i0)
            memcpy(left + (i0 + 1) * 544 + 32, w->a2_2 + n * 7200 + i0 * 480, 480 * sizeof(real));
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
                            real z3_2 = b3[column] + sum;  // (10)
                            a3[n * 14400 + row * 64 + column] = maximum(z3_2, real(0));  // (11)
                        }
                }
            }
    }
}

// a3_4 = a3_3    (N, 3136) (15)
static void evaluation_a3_4(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict a3_4 = w->a3_4;
    const real *restrict a3_2 = w->a3_2;
    (void)id;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 3136; ++k) {
            a3_4[n * 3136 + k] = a3_2[n * 3136 + k];  // (15)
        }
    }
}

// z4 = W4 a3_4 + b4    (N, 512) (16)
// a4 = max(0, z4)    (N, 512) (17)
// a4_2 = a4    (N, 512) (19)
static void evaluation_a4_2(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict a4 = w->a4;
    real *restrict a4_2 = w->a4_2;
    const real *restrict b4 = w->b4;
    (void)id;
    const real *const left = w->a3_4;
    const real *const right = w->W4;
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
                    real z4_2 = b4[column] + sum;  // (16)
                    real a4_3 = maximum(z4_2, real(0));  // (17)
                    a4[n * 512 + column] = a4_3;  // (17)
                    a4_2[n * 512 + column] = a4_3;  // (19)
                }
        }
    }
}

/* ---- Loss --------------------------------------------------------------------------------------- */

// T = onehot(t)    (N, 10) (1)
static void loss_T(struct cifar10_cnn_74 *w, int id, long from, long to)
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

// E = −(1/N) Σₙ Tₙᵀ log(a5ₙ)    () (22)
static void loss_E_sum(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict a5_sum = w->a5_sum;
    double *restrict own = (double *)w->E_sum_loss_E_sum_parts + id * 16;
    for (long n = from; n < to; ++n) {
        own[0] += log(a5_sum[n]);
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a5ₙ)    () (22)
static void loss_E_sum_total(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    double *restrict E_sum = w->E_sum;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_loss_E_sum_parts)[part * 16];
    const double sum = total;
    E_sum[0] = sum;  // (22)
}

// E = −(1/N) Σₙ Tₙᵀ log(a5ₙ)    () (22)
static void loss_E(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict T = w->T;
    const real *restrict a5_max = w->a5_max;
    const real *restrict z5 = w->z5;
    double *restrict own = (double *)w->E_sum_2_loss_E_parts + id * 16;
    for (long n = from; n < to; ++n) {
        for (long k = 0; k < 10; ++k) {
            own[0] += T[n * 10 + k] * (a5_max[n] - z5[n * 10 + k]);
        }
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a5ₙ)    () (22)
static void loss_E_total(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    double *restrict E = w->E;
    const double *restrict E_sum = w->E_sum;
    const long N = w->N;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_2_loss_E_parts)[part * 16];
    const double sum = total;
    E[0] = real(1. / (double)N) * (real(E_sum[0]) + sum);  // (22)
}

/* ---- Backward ----------------------------------------------------------------------------------- */

// δ5 = (a5 − T)/N    (N, 10) (23)
static void backward_delta5(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict delta5 = w->delta5;
    const real *restrict a5 = w->a5;
    const real *restrict T = w->T;
    const long N = w->N;
    (void)id;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 10; ++k) {
            delta5[n * 10 + k] = real(1. / (double)N) * (a5[n * 10 + k] - T[n * 10 + k]);  // (23)
        }
    }
}

// ∂E/∂W5 = Σₙ δ5ₙ a4_2ₙᵀ    (10, 512) (24)
static void backward_dW5(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict dW5 = w->dW5;
    (void)id;
    const real *const left = w->delta5;
    const real *const right = w->a4_2;
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
                    dW5[k * 512 + column] = sum;  // (24)
                }
        }
    }
}

// ∂E/∂b5 = Σₙ δ5ₙ    (10,) (25)
static void backward_db5(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict delta5 = w->delta5;
    real *restrict own = (real *)w->db5_backward_db5_parts + id * 16;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 10; ++k) {
            own[k] += delta5[n * 10 + k];
        }
    }
}

// ∂E/∂b5 = Σₙ δ5ₙ    (10,) (25)
static void backward_db5_total(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict db5 = w->db5;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db5_backward_db5_parts)[part * 16 + at];
        const real sum = total;
        db5[at] = sum;  // (25)
    }
}

// δ4 = (5/4) (W5ᵀ δ5) ⊙ m4 ⊙ [a4 > 0]    (N, 512) (26)
static void backward_delta4(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict delta4 = w->delta4;
    const unsigned char *restrict m4 = w->m4;
    const real *restrict a4 = w->a4;
    (void)id;
    const real *const left = w->delta5;
    const real *const right = w->W5;
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
                    const real passed = real(1.25) * sum * m4[n * 512 + column];  // (26)
                    delta4[n * 512 + column] = a4[n * 512 + column] > 0 ? passed : 0;  // (26)
                }
        }
    }
}

// ∂E/∂W4 = Σₙ δ4ₙ a3_4ₙᵀ    (512, 3136) (27)
static void backward_dW4(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict dW4 = w->dW4;
    (void)id;
    const real *const left = w->delta4;
    const real *const right = w->a3_4;
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
                    dW4[k * 3136 + column] = sum;  // (27)
                }
        }
    }
}

// ∂E/∂b4 = Σₙ δ4ₙ    (512,) (28)
static void backward_db4(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict delta4 = w->delta4;
    real *restrict own = (real *)w->db4_backward_db4_parts + id * 512;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 512; ++k) {
            own[k] += delta4[n * 512 + k];
        }
    }
}

// ∂E/∂b4 = Σₙ δ4ₙ    (512,) (28)
static void backward_db4_total(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict db4 = w->db4;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db4_backward_db4_parts)[part * 512 + at];
        const real sum = total;
        db4[at] = sum;  // (28)
    }
}

// ∂E/∂a3_3 = (5/4) (W4ᵀ δ4) ⊙ m3    (N, 3136) (29)
static void backward_da3_3(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict da3_3 = w->da3_3;
    const unsigned char *restrict m3 = w->m3;
    (void)id;
    const real *const left = w->delta4;
    const real *const right = w->W4;
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
                    da3_3[n * 3136 + column] = real(1.25) * sum * m3[n * 3136 + column];  // (29)
                }
        }
    }
}

// δ3[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a3[n,2i+u,2j+v,k]] ∂E/∂a3_2[n,i,j,k]) [a3[n,p,q,k] > 0]    (N, 15, 15, 64) (31)
static void backward_delta3_place(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict delta3_won = w->delta3_won;
    unsigned char *restrict delta3_place = w->delta3_place;
    const real *restrict da3_3 = w->da3_3;
    const real *restrict a3_2 = w->a3_2;
    const real *restrict a3 = w->a3;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 7; ++i) {
            for (long j = 0; j < 7; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    const real passed = da3_3[n * 3136 + i * 448 + j * 64 + k];  // (31)
                    delta3_won[n * 3136 + i * 448 + j * 64 + k] = a3_2[n * 3136 + i * 448 + j * 64 + k] > 0 ? passed : 0;  // (31)
                    const real best = a3_2[n * 3136 + i * 448 + j * 64 + k];
                    unsigned char place = 0;
                    UNROLL for (int r2 = 1; r2 >= 0; --r2)
                        UNROLL for (int s = 1; s >= 0; --s)
                            if (a3[((n * 15 + 2 * i + r2) * 15 + 2 * j + s) * 64 + k] == best) place = (unsigned char)(r2 * 2 + s);
                    delta3_place[n * 3136 + i * 448 + j * 64 + k] = place;  // (31)
                }
            }
        }
    }
}

// ∂E/∂W3 = Σₙ δ3ₙ ⋆(p=1) a2_2ₙ    (64, 3, 3, 32) (32)
// summed over windows alone: each gives to the place of its winner
static void backward_dW3(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict delta3_won = w->delta3_won;
    const unsigned char *restrict delta3_place = w->delta3_place;
    static const long place_at[4] = {0, 32, 512, 544};
    real *restrict factor = w->backward_dW3_factor + id * 8208;
    real *restrict own = w->dW3_backward_dW3_parts + id * 18432;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 15; ++i0)
            memcpy(factor + (i0 + 1) * 512 + 32, w->a2_2 + n * 7200 + i0 * 480, 480 * sizeof(real));
        for (long i0 = 0; i0 < 7; i0 += 7)
            for (long k = 0; k < 64; ++k) {
                long at[49], count = 0;
                real given[49];
                for (long i = i0; i < least(i0 + 7, 7); ++i)
                    for (long j = 0; j < 7; ++j) {
                        at[count] = i * 1024 + j * 64 + place_at[delta3_place[n * 3136 + i * 448 + j * 64 + k]];
                        given[count] = delta3_won[n * 3136 + i * 448 + j * 64 + k];
                        count += given[count] != 0;
                    }
                for (long u = 0; u < 3; ++u)
                    add_from(own + k * 288 + u * 96, factor + u * 512, at, given, count, 96);
            }
    }
}

// ∂E/∂W3 = Σₙ δ3ₙ ⋆(p=1) a2_2ₙ    (64, 3, 3, 32) (32)
// summed over windows alone: each gives to the place of its winner
static void backward_dW3_total(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict dW3 = w->dW3;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dW3_backward_dW3_parts)[part * 18432 + at];
        const real sum = total;
        dW3[at] = sum;  // (32)
    }
}

// ∂E/∂b3[k] = Σₙᵢⱼ δ3[n,i,j,k]    (64,) (33)
static void backward_db3(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict delta3_won = w->delta3_won;
    real *restrict own = (real *)w->db3_backward_db3_parts + id * 64;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 7; ++i) {
            for (long j = 0; j < 7; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    own[k] += delta3_won[n * 3136 + i * 448 + j * 64 + k];
                }
            }
        }
    }
}

// ∂E/∂b3[k] = Σₙᵢⱼ δ3[n,i,j,k]    (64,) (33)
static void backward_db3_total(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict db3 = w->db3;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db3_backward_db3_parts)[part * 64 + at];
        const real sum = total;
        db3[at] = sum;  // (33)
    }
}

// ∂E/∂a2_2 = W3ᵀ ∗(p=1) δ3    (N, 15, 15, 32) (34)
// δ2[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_2[n,i,j,k]) [a2[n,p,q,k] > 0]    (N, 30, 30, 32) (35)
// summed over windows alone: each gives to the place of its winner
static void backward_delta2_place(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict delta2_won = w->delta2_won;
    unsigned char *restrict delta2_place = w->delta2_place;
    const real *restrict delta3_won = w->delta3_won;
    const unsigned char *restrict delta3_place = w->delta3_place;
    const real *restrict a2_2 = w->a2_2;
    const real *restrict a2 = w->a2;
    static const long place_at[4] = {0, 32, 512, 544};
    real *restrict own = w->backward_delta2_place_own + id * 8208;
    const real *restrict factor = w->W3;
    for (long n = from; n < to; ++n) {
        memset(own, 0, 8192 * sizeof(real));
        for (long i0 = 0; i0 < 7; i0 += 7)
            for (long k = 0; k < 64; ++k) {
                long at[49], count = 0;
                real given[49];
                for (long i = i0; i < least(i0 + 7, 7); ++i)
                    for (long j = 0; j < 7; ++j) {
                        at[count] = i * 1024 + j * 64 + place_at[delta3_place[n * 3136 + i * 448 + j * 64 + k]];
                        given[count] = delta3_won[n * 3136 + i * 448 + j * 64 + k];
                        count += given[count] != 0;
                    }
                for (long p = 0; p < 3; ++p)
                    add_to(own + p * 512, factor + k * 288 + p * 96, at, given, count, 96);
            }
        for (long p2 = 0; p2 < 15; ++p2) {
            for (long q = 0; q < 15; ++q) {
                EACH for (long c2 = 0; c2 < 32; ++c2) {
                    const real sum = own[(p2 + 1) * 512 + (q + 1) * 32 + c2];
                    delta2_won[n * 7200 + p2 * 480 + q * 32 + c2] = a2_2[n * 7200 + p2 * 480 + q * 32 + c2] > 0 ? sum : 0;  // (35)
                    const real best = a2_2[n * 7200 + p2 * 480 + q * 32 + c2];
                    unsigned char place = 0;
                    UNROLL for (int r2 = 1; r2 >= 0; --r2)
                        UNROLL for (int s = 1; s >= 0; --s)
                            if (a2[((n * 30 + 2 * p2 + r2) * 30 + 2 * q + s) * 32 + c2] == best) place = (unsigned char)(r2 * 2 + s);
                    delta2_place[n * 7200 + p2 * 480 + q * 32 + c2] = place;  // (35)
                }
            }
        }
    }
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆(p=1) a1_2ₙ    (32, 3, 3, 32) (36)
// summed over windows alone: each gives to the place of its winner
static void backward_dW2(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict delta2_won = w->delta2_won;
    const unsigned char *restrict delta2_place = w->delta2_place;
    static const long place_at[4] = {0, 32, 1024, 1056};
    real *restrict factor = w->backward_dW2_factor + id * 32784;
    real *restrict own = w->dW2_backward_dW2_parts + id * 9216;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 30; ++i0)
            memcpy(factor + (i0 + 1) * 1024 + 32, w->a1_2 + n * 28800 + i0 * 960, 960 * sizeof(real));
        for (long i0 = 0; i0 < 15; i0 += 4)
            for (long k = 0; k < 32; ++k) {
                long at[60], count = 0;
                real given[60];
                for (long i = i0; i < least(i0 + 4, 15); ++i)
                    for (long j = 0; j < 15; ++j) {
                        at[count] = i * 2048 + j * 64 + place_at[delta2_place[n * 7200 + i * 480 + j * 32 + k]];
                        given[count] = delta2_won[n * 7200 + i * 480 + j * 32 + k];
                        count += given[count] != 0;
                    }
                for (long u = 0; u < 3; ++u)
                    add_from(own + k * 288 + u * 96, factor + u * 1024, at, given, count, 96);
            }
    }
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆(p=1) a1_2ₙ    (32, 3, 3, 32) (36)
// summed over windows alone: each gives to the place of its winner
static void backward_dW2_total(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict dW2 = w->dW2;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dW2_backward_dW2_parts)[part * 9216 + at];
        const real sum = total;
        dW2[at] = sum;  // (36)
    }
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (37)
static void backward_db2(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict delta2_won = w->delta2_won;
    real *restrict own = (real *)w->db2_backward_db2_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 15; ++i) {
            for (long j = 0; j < 15; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += delta2_won[n * 7200 + i * 480 + j * 32 + k];
                }
            }
        }
    }
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (37)
static void backward_db2_total(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict db2 = w->db2;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db2_backward_db2_parts)[part * 32 + at];
        const real sum = total;
        db2[at] = sum;  // (37)
    }
}

// δ1 = (5/4) (W2ᵀ ∗(p=1) δ2) ⊙ m1 ⊙ [a1 > 0]    (N, 30, 30, 32) (38)
// summed over windows alone: each gives to the place of its winner
static void backward_delta1(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict delta1 = w->delta1;
    const real *restrict delta2_won = w->delta2_won;
    const unsigned char *restrict delta2_place = w->delta2_place;
    const unsigned char *restrict m1 = w->m1;
    const real *restrict a1 = w->a1;
    static const long place_at[4] = {0, 32, 1024, 1056};
    real *restrict own = w->backward_delta1_own + id * 32784;
    const real *restrict factor = w->W2;
    for (long n = from; n < to; ++n) {
        memset(own, 0, 32768 * sizeof(real));
        for (long i0 = 0; i0 < 15; i0 += 4)
            for (long k = 0; k < 32; ++k) {
                long at[60], count = 0;
                real given[60];
                for (long i = i0; i < least(i0 + 4, 15); ++i)
                    for (long j = 0; j < 15; ++j) {
                        at[count] = i * 2048 + j * 64 + place_at[delta2_place[n * 7200 + i * 480 + j * 32 + k]];
                        given[count] = delta2_won[n * 7200 + i * 480 + j * 32 + k];
                        count += given[count] != 0;
                    }
                for (long p = 0; p < 3; ++p)
                    add_to(own + p * 1024, factor + k * 288 + p * 96, at, given, count, 96);
            }
        for (long p2 = 0; p2 < 30; ++p2) {
            for (long q = 0; q < 30; ++q) {
                EACH for (long c2 = 0; c2 < 32; ++c2) {
                    const real sum = own[(p2 + 1) * 1024 + (q + 1) * 32 + c2];
                    const real passed = real(1.25) * sum * m1[n * 28800 + p2 * 960 + q * 32 + c2];  // (38)
                    delta1[n * 28800 + p2 * 960 + q * 32 + c2] = a1[n * 28800 + p2 * 960 + q * 32 + c2] > 0 ? passed : 0;  // (38)
                }
            }
        }
    }
}

// ∂E/∂W1 = Σₙ δ1ₙ ⋆ a0ₙ    (32, 3, 3, 3) (39)
static void backward_dW1(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict own = w->dW1_backward_dW1_parts + id * 864;
    const real *const left = w->x;
    const real *const right = w->delta1;
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

// ∂E/∂W1 = Σₙ δ1ₙ ⋆ a0ₙ    (32, 3, 3, 3) (39)
static void backward_dW1_total(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict dW1 = w->dW1;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dW1_backward_dW1_parts)[part * 864 + at];
        const real sum = total;
        dW1[at] = sum;  // (39)
    }
}

// ∂E/∂b1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (32,) (40)
static void backward_db1(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict delta1 = w->delta1;
    real *restrict own = (real *)w->db1_backward_db1_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 30; ++i) {
            for (long j = 0; j < 30; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += delta1[n * 28800 + i * 960 + j * 32 + k];
                }
            }
        }
    }
}

// ∂E/∂b1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (32,) (40)
static void backward_db1_total(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict db1 = w->db1;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db1_backward_db1_parts)[part * 32 + at];
        const real sum = total;
        db1[at] = sum;  // (40)
    }
}

/* ---- Input gradient ----------------------------------------------------------------------------- */

// ∂E/∂x = W1ᵀ ∗ δ1    (N, 32, 32, 3) (41)
static void input_gradient_dx_pack(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    const real *restrict W1 = w->W1;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 288; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 288); ++term) {
                    const long column = panel * NR + c;
                    const long u = term / 96, v2 = term / 32 % 3, k = term % 32;
                    w->input_gradient_dx_panels[(panel * 288 + term) * NR + c] = column < 3 ? W1[((k * 3 + -u + 2) * 3 + -v2 + 2) * 3 + column] : 0;
                }
}

// ∂E/∂x = W1ᵀ ∗ δ1    (N, 32, 32, 3) (41)
static void input_gradient_dx(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict dx = w->dx;
    real *const left = w->input_gradient_dx_left + id * 37056;
    const real *const right = w->input_gradient_dx_panels;
    long at[1024];
    for (long row = 0; row < 1024; ++row) at[row] = row / 32 * 1088 + row % 32 * 32;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 30; ++i0)
            memcpy(left + (i0 + 2) * 1088 + 64, w->delta1 + n * 28800 + i0 * 960, 960 * sizeof(real));
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
                            dx[n * 3072 + row * 3 + column] = sum;  // (41)
                        }
                }
            }
    }
}

/* ---- Update ------------------------------------------------------------------------------------- */

// m ← β1 m + (1 − β1) g    (1639914,) (42)
// v ← β2 v + (1 − β2) g ⊙ g    (1639914,) (43)
// θ ← θ − η m/((1 − β1^k) (√(v/(1 − β2^k)) + ε))    (1639914,) (44)
static void update_theta(struct cifar10_cnn_74 *w, int id, long from, long to)
{
    real *restrict m = w->m;
    real *restrict v = w->v;
    real *restrict theta = w->theta;
    const real *restrict g = w->g;
    const long *step = &w->step;
    (void)id;
    EACH for (long i = from; i < to; ++i) {
        real m_2 = real(BETA1) * m[i] + real(1. - BETA1) * g[i];  // (42)
        m[i] = m_2;  // (42)
        real v_2 = real(BETA2) * v[i] + real(1. - BETA2) * square(g[i]);  // (43)
        v[i] = v_2;  // (43)
        theta[i] = theta[i] - real(LEARNING_RATE / (1. - pow(BETA1, (double)step[0]))) * m_2 / (sqrt(real(1. / (1. - pow(BETA2, (double)step[0]))) * v_2) + real(EPSILON));  // (44)
    }
}

/* ---- What threads do, part by part ----------------------------------------------------------------- */
static void forward(struct cifar10_cnn_74 *w, int id)
{
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_m1(w, id, n, n + 1);
        forward_m3(w, id, n, n + 1);
        forward_m4(w, id, n, n + 1);
    }
    forward_a1_2_pack(w, id, share(w, id, PANELS(32)), share(w, id + 1, PANELS(32)));
    barrier(w);
    forward_a1_2(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    forward_a2_pack(w, id, share(w, id, PANELS(32)), share(w, id + 1, PANELS(32)));
    barrier(w);
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_a2(w, id, n, n + 1);
        forward_a2_2(w, id, n, n + 1);
    }
    forward_a3_pack(w, id, share(w, id, PANELS(64)), share(w, id + 1, PANELS(64)));
    barrier(w);
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_a3(w, id, n, n + 1);
        forward_a3_2(w, id, n, n + 1);
        forward_a3_4(w, id, n, n + 1);
    }
    barrier(w);
    forward_a4_2(w, id, share(w, id, PANELS(512)), share(w, id + 1, PANELS(512)));
    barrier(w);
    forward_z5(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    forward_a5(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
}

static void evaluation(struct cifar10_cnn_74 *w, int id)
{
    evaluation_a1_2_pack(w, id, share(w, id, PANELS(32)), share(w, id + 1, PANELS(32)));
    barrier(w);
    evaluation_a1_2(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    evaluation_a2_pack(w, id, share(w, id, PANELS(32)), share(w, id + 1, PANELS(32)));
    barrier(w);
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        evaluation_a2(w, id, n, n + 1);
        forward_a2_2(w, id, n, n + 1);
    }
    evaluation_a3_pack(w, id, share(w, id, PANELS(64)), share(w, id + 1, PANELS(64)));
    barrier(w);
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        evaluation_a3(w, id, n, n + 1);
        forward_a3_2(w, id, n, n + 1);
        evaluation_a3_4(w, id, n, n + 1);
    }
    barrier(w);
    evaluation_a4_2(w, id, share(w, id, PANELS(512)), share(w, id + 1, PANELS(512)));
    barrier(w);
    forward_z5(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    forward_a5(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
}

static void loss(struct cifar10_cnn_74 *w, int id)
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

static void backward(struct cifar10_cnn_74 *w, int id)
{
    for (long e = 0; e < 10; ++e) ((real *)w->db5_backward_db5_parts)[id * 16 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta5(w, id, n, n + 1);
        backward_db5(w, id, n, n + 1);
    }
    barrier(w);
    backward_dW5(w, id, share(w, id, PANELS(512)), share(w, id + 1, PANELS(512)));
    barrier(w);
    if (id == 0) backward_db5_total(w, id, 0, 10);
    backward_delta4(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    backward_dW4(w, id, share(w, id, (512 + MR - 1) / MR), share(w, id + 1, (512 + MR - 1) / MR));
    for (long e = 0; e < 512; ++e) ((real *)w->db4_backward_db4_parts)[id * 512 + e] = 0;
    backward_db4(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) backward_db4_total(w, id, 0, 512);
    backward_da3_3(w, id, share(w, id, PANELS(3136)), share(w, id + 1, PANELS(3136)));
    barrier(w);
    memset(w->dW3_backward_dW3_parts + id * 18432, 0, 18432 * sizeof(real));
    for (long e = 0; e < 64; ++e) ((real *)w->db3_backward_db3_parts)[id * 64 + e] = 0;
    memset(w->dW2_backward_dW2_parts + id * 9216, 0, 9216 * sizeof(real));
    for (long e = 0; e < 32; ++e) ((real *)w->db2_backward_db2_parts)[id * 32 + e] = 0;
    memset(w->dW1_backward_dW1_parts + id * 864, 0, 864 * sizeof(real));
    for (long e = 0; e < 32; ++e) ((real *)w->db1_backward_db1_parts)[id * 32 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta3_place(w, id, n, n + 1);
        backward_dW3(w, id, n, n + 1);
        backward_db3(w, id, n, n + 1);
        backward_delta2_place(w, id, n, n + 1);
        backward_dW2(w, id, n, n + 1);
        backward_db2(w, id, n, n + 1);
        backward_delta1(w, id, n, n + 1);
        backward_dW1(w, id, n, n + 1);
        backward_db1(w, id, n, n + 1);
    }
    barrier(w);
    backward_dW3_total(w, id, share(w, id, 18432), share(w, id + 1, 18432));
    barrier(w);
    if (id == 0) backward_db3_total(w, id, 0, 64);
    barrier(w);
    backward_dW2_total(w, id, share(w, id, 9216), share(w, id + 1, 9216));
    barrier(w);
    if (id == 0) backward_db2_total(w, id, 0, 32);
    barrier(w);
    if (id == 0) backward_dW1_total(w, id, 0, 864);
    barrier(w);
    if (id == 0) backward_db1_total(w, id, 0, 32);
    barrier(w);
}

static void input_gradient(struct cifar10_cnn_74 *w, int id)
{
    input_gradient_dx_pack(w, id, share(w, id, PANELS(3)), share(w, id + 1, PANELS(3)));
    barrier(w);
    input_gradient_dx(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
}

static void update(struct cifar10_cnn_74 *w, int id)
{
    update_theta(w, id, share(w, id, 1639914), share(w, id + 1, 1639914));
    barrier(w);
}

static void output_job(struct cifar10_cnn_74 *w, int id)
{
    evaluation(w, id);
}

static void evaluation_job(struct cifar10_cnn_74 *w, int id)
{
    evaluation(w, id);
    loss(w, id);
}

static void loss_job(struct cifar10_cnn_74 *w, int id)
{
    forward(w, id);
    loss(w, id);
}

static void gradient_job(struct cifar10_cnn_74 *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
}

static void input_job(struct cifar10_cnn_74 *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
    input_gradient(w, id);
}

static void update_job(struct cifar10_cnn_74 *w, int id)
{
    update(w, id);
}

static void step_job(struct cifar10_cnn_74 *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
    update(w, id);
}

/* ---- What is called -------------------------------------------------------------------------------- */
static const long WORK = 49565184; /* floating-point operations of a sample in a step */

static void take(struct cifar10_cnn_74 *w, const real *theta, const real *statistics, const real *x, const int32_t *t, long N,
    uint64_t seed)
{
    w->N = N, w->seed = seed;
    (void)theta, (void)statistics, (void)x, (void)t;
    w->x = (real *)(uintptr_t)x;
    w->t = (int *)(uintptr_t)t;
    w->W1 = (real *)(uintptr_t)theta + 0;
    w->b1 = (real *)(uintptr_t)theta + 864;
    w->W2 = (real *)(uintptr_t)theta + 896;
    w->b2 = (real *)(uintptr_t)theta + 10112;
    w->W3 = (real *)(uintptr_t)theta + 10144;
    w->b3 = (real *)(uintptr_t)theta + 28576;
    w->b4 = (real *)(uintptr_t)theta + 1634272;
    w->W4 = (real *)(uintptr_t)theta + 28640;
    w->b5 = (real *)(uintptr_t)theta + 1639904;
    w->W5 = (real *)(uintptr_t)theta + 1634784;
}

static void give(struct cifar10_cnn_74 *w, real *gradients)
{
    (void)w, (void)gradients;
    w->dW5 = gradients + 1634784;
    w->db5 = gradients + 1639904;
    w->dW4 = gradients + 28640;
    w->db4 = gradients + 1634272;
    w->dW3 = gradients + 10144;
    w->db3 = gradients + 28576;
    w->dW2 = gradients + 896;
    w->db2 = gradients + 10112;
    w->dW1 = gradients + 0;
    w->db1 = gradients + 864;
}

static void prepare(struct cifar10_cnn_74 *w, real *theta, const real *gradients, real *const *state, long step, long steps)
{
    w->step = step, w->steps = steps;
    (void)theta, (void)gradients, (void)state;
    w->g = (real *)(uintptr_t)gradients;
    w->theta = theta;
    w->m = state[0];
    w->v = state[1];
}

void cifar10_cnn_74_predict(struct cifar10_cnn_74 *w, const real *theta, const real *statistics, const real *x, long N, real *y)
{
    take(w, theta, statistics, x, NULL, N, 0);
    run(w, output_job, N * WORK / 3);
    memcpy(y, w->a5, (size_t)N * 10 * sizeof(real));
}

double cifar10_cnn_74_loss(struct cifar10_cnn_74 *w, const real *theta, const real *statistics, const real *x, const int32_t *t,
    long N, uint64_t seed)
{
    take(w, theta, statistics, x, t, N, seed);
    run(w, loss_job, N * WORK / 3);
    return w->E[0];
}

double cifar10_cnn_74_evaluation_loss(struct cifar10_cnn_74 *w, const real *theta, const real *statistics, const real *x,
    const int32_t *t, long N)
{
    take(w, theta, statistics, x, t, N, 0);
    run(w, evaluation_job, N * WORK / 3);
    return w->E[0];
}

double cifar10_cnn_74_loss_and_gradients(struct cifar10_cnn_74 *w, const real *theta, const real *statistics, const real *x,
    const int32_t *t, long N, uint64_t seed, real *gradients)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, gradients);
    run(w, gradient_job, N * WORK);
    return w->E[0];
}

double cifar10_cnn_74_input_gradient(struct cifar10_cnn_74 *w, const real *theta, const real *statistics, const real *x,
    const int32_t *t, long N, uint64_t seed, real *dx)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, w->gradients);
    run(w, input_job, N * WORK);
    memcpy(dx, w->dx, (size_t)N * 3072 * sizeof(real));
    return w->E[0];
}

void cifar10_cnn_74_update(struct cifar10_cnn_74 *w, real *theta, const real *gradients, real *const *state, long step, long steps,
    double *rate)
{
    prepare(w, theta, gradients, state, step, steps);
    run(w, update_job, 10L * 1639914);
    if (rate) *rate = 0;
}

double cifar10_cnn_74_step(struct cifar10_cnn_74 *w, real *theta, real *statistics, real *const *state, const real *x,
    const int32_t *t, long N, uint64_t seed, long step, long steps, double *rate)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, w->gradients);
    prepare(w, theta, w->gradients, state, step, steps);
    run(w, step_job, N * WORK);
    if (rate) *rate = 0;
    return w->E[0];
}
