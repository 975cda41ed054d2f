/* cifar10_cnn_84: 32x32x3-…-10 (10 layers), relu, max_pool2d, dropout, softmax; cross_entropy; adam; 394,026 parameters
 *
 * Generated from cifar10_cnn_84.toml (sha256 91220e56); change the spec, not this file.  A number in
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

static const double LEARNING_RATE = 0.002;
static const double BETA1 = 0.9;
static const double BETA2 = 0.999;
static const double EPSILON = 1e-08;
static const double WARMUP = 500.0;

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

/* ---- Memory -------------------------------------------------------------------------------------- */
struct cifar10_cnn_84 {
    long samples, N, step, steps;
    uint64_t seed;
    int threads, team;
    void (*job)(struct cifar10_cnn_84 *, int);
    pthread_t *helpers;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_int arrived, turn, begun;
    int started, stop;
    void *memory;
    real *gradients;
    unsigned char *m2;
    unsigned char *m6;
    unsigned char *m8;
    unsigned char *m9;
    real *W1;
    real *x;
    real *z1;
    real *mu2;
    real *v2;
    real *gamma2;
    real *beta2;
    real *xhat2;
    real *a2;
    real *a2_2;
    real *a2_3;
    real *W3;
    real *z3;
    real *mu4;
    real *v4;
    real *gamma4;
    real *beta4;
    real *xhat4;
    real *a4;
    real *W5;
    real *z5;
    real *mu6;
    real *v6;
    real *gamma6;
    real *beta6;
    real *xhat6;
    real *a6;
    real *a6_2;
    real *a6_3;
    real *W7;
    real *z7;
    real *mu8;
    real *v8;
    real *gamma8;
    real *beta8;
    real *xhat8;
    real *a8;
    real *a8_2;
    real *a8_3;
    real *b9;
    real *W9;
    real *a9;
    real *a9_2;
    real *b10;
    real *W10;
    real *z10;
    real *a10_max;
    real *a10_exp;
    real *a10_sum;
    real *a10;
    real *mean2;
    real *var2;
    real *mean4;
    real *var4;
    real *mean6;
    real *var6;
    real *mean8;
    real *var8;
    int *t;
    real *T;
    double *E_sum;
    double *E_sum_2;
    double *E_sum_3;
    double *E_sum_4;
    double *E_sum_5;
    double *E_sum_6;
    double *E_sum_7;
    double *E;
    real *dW10;
    real *db10;
    real *dW9;
    real *db9;
    real *da8_4;
    real *delta8_sum_windows;
    real *dbeta8;
    real *dgamma8;
    real *dW7;
    real *delta6_sum_windows;
    real *dbeta6;
    real *dgamma6;
    real *dW5;
    real *dbeta4;
    real *dgamma4;
    real *dW3;
    real *delta2_sum_windows;
    real *dbeta2;
    real *dgamma2;
    real *dW1;
    real *dx;
    double *eta;
    real *m;
    real *g;
    real *v;
    real *theta;
    real *delta10;
    real *delta9;
    real *delta8;
    real *delta7;
    real *da6_2;
    real *delta6;
    real *delta5;
    real *delta4;
    real *delta3;
    real *da2_2;
    real *delta2;
    real *delta1;
    real *forward_z1_panels;
    real *forward_z1_left;
    real *mu2_forward_mu2_parts;
    real *v2_forward_v2_parts;
    real *forward_z3_panels;
    real *forward_z3_left;
    real *mu4_forward_mu4_parts;
    real *v4_forward_v4_parts;
    real *forward_z5_panels;
    real *forward_z5_left;
    real *mu6_forward_mu6_parts;
    real *v6_forward_v6_parts;
    real *forward_z7_panels;
    real *forward_z7_left;
    real *mu8_forward_mu8_parts;
    real *v8_forward_v8_parts;
    real *evaluation_a2_panels;
    real *evaluation_a2_left;
    real *evaluation_a4_panels;
    real *evaluation_a4_left;
    real *evaluation_a6_panels;
    real *evaluation_a6_left;
    real *evaluation_a8_panels;
    real *evaluation_a8_left;
    real *E_sum_7_loss_E_sum_7_parts;
    real *E_sum_8_loss_E_parts;
    real *E_sum_loss_E_sum_parts;
    real *E_sum_2_loss_E_sum_2_parts;
    real *E_sum_3_loss_E_sum_3_parts;
    real *E_sum_4_loss_E_sum_4_parts;
    real *E_sum_5_loss_E_sum_5_parts;
    real *E_sum_6_loss_E_sum_6_parts;
    real *db10_backward_db10_parts;
    real *db9_backward_db9_parts;
    real *dbeta8_backward_dbeta8_parts;
    real *dgamma8_backward_dgamma8_parts;
    real *backward_dW7_right;
    real *dW7_backward_dW7_parts;
    real *backward_da6_2_panels;
    real *backward_da6_2_left;
    real *dbeta6_backward_dbeta6_parts;
    real *dgamma6_backward_dgamma6_parts;
    real *backward_dW5_right;
    real *dW5_backward_dW5_parts;
    real *backward_delta4_panels;
    real *backward_delta4_left;
    real *dbeta4_backward_dbeta4_parts;
    real *dgamma4_backward_dgamma4_parts;
    real *backward_dW3_right;
    real *dW3_backward_dW3_parts;
    real *backward_da2_2_panels;
    real *backward_da2_2_left;
    real *dbeta2_backward_dbeta2_parts;
    real *dgamma2_backward_dgamma2_parts;
    real *backward_dW1_left;
    real *dW1_backward_dW1_parts;
    real *input_gradient_dx_panels;
    real *input_gradient_dx_left;
};

/* Let the workspace's pointers be into memory for N samples, if there is any; return how much that is. */
static size_t lay(struct cifar10_cnn_84 *w, char *memory, size_t N, size_t threads)
{
    size_t at = 0;
    (void)N, (void)threads;
    if (memory) w->m2 = (unsigned char *)(void *)(memory + at);
    at += (N * 16 * 16 * 32 * sizeof(unsigned char) + 63) / 64 * 64;
    if (memory) w->m6 = (unsigned char *)(void *)(memory + at);
    at += (N * 8 * 8 * 64 * sizeof(unsigned char) + 63) / 64 * 64;
    if (memory) w->m8 = (unsigned char *)(void *)(memory + at);
    at += (N * 4 * 4 * 128 * sizeof(unsigned char) + 63) / 64 * 64;
    if (memory) w->m9 = (unsigned char *)(void *)(memory + at);
    at += (N * 128 * sizeof(unsigned char) + 63) / 64 * 64;
    if (memory) w->z1 = (real *)(void *)(memory + at);
    at += (N * 32 * 32 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->mu2 = (real *)(void *)(memory + at);
    at += (32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->v2 = (real *)(void *)(memory + at);
    at += (32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->xhat2 = (real *)(void *)(memory + at);
    at += (N * 32 * 32 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a2 = (real *)(void *)(memory + at);
    at += (N * 32 * 32 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a2_2 = (real *)(void *)(memory + at);
    at += (N * 16 * 16 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a2_3 = (real *)(void *)(memory + at);
    at += (N * 16 * 16 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->z3 = (real *)(void *)(memory + at);
    at += (N * 16 * 16 * 64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->mu4 = (real *)(void *)(memory + at);
    at += (64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->v4 = (real *)(void *)(memory + at);
    at += (64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->xhat4 = (real *)(void *)(memory + at);
    at += (N * 16 * 16 * 64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a4 = (real *)(void *)(memory + at);
    at += (N * 16 * 16 * 64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->z5 = (real *)(void *)(memory + at);
    at += (N * 16 * 16 * 64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->mu6 = (real *)(void *)(memory + at);
    at += (64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->v6 = (real *)(void *)(memory + at);
    at += (64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->xhat6 = (real *)(void *)(memory + at);
    at += (N * 16 * 16 * 64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a6 = (real *)(void *)(memory + at);
    at += (N * 16 * 16 * 64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a6_2 = (real *)(void *)(memory + at);
    at += (N * 8 * 8 * 64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a6_3 = (real *)(void *)(memory + at);
    at += (N * 8 * 8 * 64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->z7 = (real *)(void *)(memory + at);
    at += (N * 8 * 8 * 128 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->mu8 = (real *)(void *)(memory + at);
    at += (128 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->v8 = (real *)(void *)(memory + at);
    at += (128 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->xhat8 = (real *)(void *)(memory + at);
    at += (N * 8 * 8 * 128 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a8 = (real *)(void *)(memory + at);
    at += (N * 8 * 8 * 128 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a8_2 = (real *)(void *)(memory + at);
    at += (N * 4 * 4 * 128 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a8_3 = (real *)(void *)(memory + at);
    at += (N * 4 * 4 * 128 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a9 = (real *)(void *)(memory + at);
    at += (N * 128 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a9_2 = (real *)(void *)(memory + at);
    at += (N * 128 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->z10 = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a10_max = (real *)(void *)(memory + at);
    at += (N * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a10_exp = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a10_sum = (real *)(void *)(memory + at);
    at += (N * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a10 = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->T = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->E_sum_2 = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->E_sum_3 = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->E_sum_4 = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->E_sum_5 = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->E_sum_6 = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->E_sum_7 = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->E = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->da8_4 = (real *)(void *)(memory + at);
    at += (N * 2048 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta8_sum_windows = (real *)(void *)(memory + at);
    at += (N * 4 * 4 * 2 * 2 * 128 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta6_sum_windows = (real *)(void *)(memory + at);
    at += (N * 8 * 8 * 2 * 2 * 64 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta2_sum_windows = (real *)(void *)(memory + at);
    at += (N * 16 * 16 * 2 * 2 * 32 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dx = (real *)(void *)(memory + at);
    at += (N * 32 * 32 * 3 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->eta = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->forward_z1_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(32) * 27 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_z1_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 3536) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->mu2_forward_mu2_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->v2_forward_v2_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_z3_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(64) * 288 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_z3_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 10432) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->mu4_forward_mu4_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 128) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->v4_forward_v4_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 128) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_z5_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(64) * 576 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_z5_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 20800) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->mu6_forward_mu6_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 128) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->v6_forward_v6_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 128) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_z7_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(128) * 576 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_z7_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 6464) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->mu8_forward_mu8_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 256) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->v8_forward_v8_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 256) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a2_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(32) * 27 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a2_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 3536) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a4_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(64) * 288 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a4_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 10432) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a6_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(64) * 576 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a6_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 20800) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a8_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(128) * 576 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->evaluation_a8_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 6464) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_7_loss_E_sum_7_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_8_loss_E_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_loss_E_sum_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_2_loss_E_sum_2_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_3_loss_E_sum_3_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_4_loss_E_sum_4_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_5_loss_E_sum_5_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_6_loss_E_sum_6_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db10_backward_db10_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db9_backward_db9_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 256) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dbeta8_backward_dbeta8_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 256) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dgamma8_backward_dgamma8_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 256) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_dW7_right = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 6464) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dW7_backward_dW7_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 73728) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_da6_2_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(64) * 1152 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_da6_2_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 12864) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dbeta6_backward_dbeta6_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 128) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dgamma6_backward_dgamma6_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 128) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_dW5_right = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 20800) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dW5_backward_dW5_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 36864) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_delta4_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(64) * 576 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_delta4_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 20800) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dbeta4_backward_dbeta4_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 128) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dgamma4_backward_dgamma4_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 128) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_dW3_right = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 10432) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dW3_backward_dW3_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 18432) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_da2_2_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(32) * 576 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_da2_2_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 20800) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dbeta2_backward_dbeta2_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dgamma2_backward_dgamma2_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 64) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_dW1_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 3536) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dW1_backward_dW1_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 864) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->input_gradient_dx_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(3) * 288 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->input_gradient_dx_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 37056) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->gradients = (real *)(void *)(memory + at);
    at += (394026 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta10 = w->z10;
    if (memory) w->delta9 = w->a9_2;
    if (memory) w->delta8 = w->z7;
    if (memory) w->delta7 = w->a8;
    if (memory) w->da6_2 = w->a6_3;
    if (memory) w->delta6 = w->z5;
    if (memory) w->delta5 = w->a6;
    if (memory) w->delta4 = w->xhat6;
    if (memory) w->delta3 = w->a6;
    if (memory) w->da2_2 = w->a2_3;
    if (memory) w->delta2 = w->z1;
    if (memory) w->delta1 = w->a2;
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

static long share(const struct cifar10_cnn_84 *w, int id, long count) { return count * id / w->team; }

static void barrier(struct cifar10_cnn_84 *w)
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
    struct cifar10_cnn_84 *w;
    int id;
};

static void *help(void *given)
{
    struct helper *own = given;
    struct cifar10_cnn_84 *w = own->w;
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
static void run(struct cifar10_cnn_84 *w, void (*job)(struct cifar10_cnn_84 *, int), long work)
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

size_t cifar10_cnn_84_bytes(long samples, int threads)
{
    return sizeof(struct cifar10_cnn_84) + lay(NULL, NULL, (size_t)samples, (size_t)threads);
}

void cifar10_cnn_84_close(struct cifar10_cnn_84 *w)
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

struct cifar10_cnn_84 *cifar10_cnn_84_open(long samples, int threads)
{
    struct cifar10_cnn_84 *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->samples = samples, w->threads = threads, w->team = 1, w->started = 1;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->memory = calloc(1, lay(w, NULL, (size_t)samples, (size_t)threads));
    w->helpers = calloc((size_t)threads, sizeof *w->helpers);
    if (!w->memory || !w->helpers) return cifar10_cnn_84_close(w), NULL;
    lay(w, (char *)(((uintptr_t)w->memory + 63) / 64 * 64), (size_t)samples, (size_t)threads);
    for (int id = 1; id < threads; ++id) {
        struct helper *own = malloc(sizeof *own);
        if (!own) return cifar10_cnn_84_close(w), NULL;
        own->w = w, own->id = id;
        if (pthread_create(&w->helpers[id], NULL, help, own)) return free(own), cifar10_cnn_84_close(w), NULL;
        w->started = id + 1;
    }
    return w;
}

/* ---- Forward ------------------------------------------------------------------------------------ */

// m2 ~ Bernoulli(0.9)
static void forward_m2(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    unsigned char *restrict m2 = w->m2;
    const uint64_t *seed = &w->seed;
    (void)id;
    draw(m2, from * 8192, to * 8192, seed[0], 0, 58982);
}

// m6 ~ Bernoulli(0.8)
static void forward_m6(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    unsigned char *restrict m6 = w->m6;
    const uint64_t *seed = &w->seed;
    (void)id;
    draw(m6, from * 4096, to * 4096, seed[0], 1, 52429);
}

// m8 ~ Bernoulli(0.7)
static void forward_m8(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    unsigned char *restrict m8 = w->m8;
    const uint64_t *seed = &w->seed;
    (void)id;
    draw(m8, from * 2048, to * 2048, seed[0], 2, 45875);
}

// m9 ~ Bernoulli(0.6)
static void forward_m9(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    unsigned char *restrict m9 = w->m9;
    const uint64_t *seed = &w->seed;
    (void)id;
    draw(m9, from * 128, to * 128, seed[0], 3, 39322);
}

// z1 = W1 ⋆(p=1) a0    (N, 32, 32, 32) (3)
static void forward_z1_pack(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W1 = w->W1;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 27; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 27); ++term) {
                    const long column = panel * NR + c;
                    w->forward_z1_panels[(panel * 27 + term) * NR + c] = column < 32 ? W1[column * 27 + term] : 0;
                }
}

// z1 = W1 ⋆(p=1) a0    (N, 32, 32, 32) (3)
static void forward_z1(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict z1 = w->z1;
    real *const left = w->forward_z1_left + id * 3536;
    const real *const right = w->forward_z1_panels;
    long at[1024];
    for (long row = 0; row < 1024; ++row) at[row] = row / 32 * 102 + row % 32 * 3;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 32; ++i0)
            memcpy(left + (i0 + 1) * 102 + 3, w->x + n * 3072 + i0 * 96, 96 * sizeof(real));
        for (long first = 0; first < 1024; first += 4 * height(1024))
            for (long panel = 0; panel < PANELS(32); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(1024), 1024); row0 += height(1024)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(1024), 1024 - row0);
                    const long count = least(NR, 32 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 102, right + panel * 27 * NR, 1 * NR, 9 * NR, 9, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            z1[n * 32768 + row * 32 + column] = sum;  // (3)
                        }
                }
            }
    }
}

// μ2[k] = (1/(1024 N)) Σₙᵢⱼ z1[n,i,j,k]    (32,) (4)
static void forward_mu2(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict z1 = w->z1;
    real *restrict own = (real *)w->mu2_forward_mu2_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 32; ++i) {
            for (long j = 0; j < 32; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += z1[n * 32768 + i * 1024 + j * 32 + k];
                }
            }
        }
    }
}

// μ2[k] = (1/(1024 N)) Σₙᵢⱼ z1[n,i,j,k]    (32,) (4)
static void forward_mu2_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict mu2 = w->mu2;
    const long N = w->N;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->mu2_forward_mu2_parts)[part * 32 + at];
        const real sum = total;
        mu2[at] = real(1. / 1024. / (double)N) * sum;  // (4)
    }
}

// v2[k] = (1/(1024 N)) Σₙᵢⱼ (z1[n,i,j,k] − μ2[k])²    (32,) (5)
static void forward_v2(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict z1 = w->z1;
    const real *restrict mu2 = w->mu2;
    real *restrict own = (real *)w->v2_forward_v2_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 32; ++i) {
            for (long j = 0; j < 32; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += square(z1[n * 32768 + i * 1024 + j * 32 + k] - mu2[k]);
                }
            }
        }
    }
}

// v2[k] = (1/(1024 N)) Σₙᵢⱼ (z1[n,i,j,k] − μ2[k])²    (32,) (5)
static void forward_v2_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict v2 = w->v2;
    const long N = w->N;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->v2_forward_v2_parts)[part * 32 + at];
        const real sum = total;
        v2[at] = real(1. / 1024. / (double)N) * sum;  // (5)
    }
}

// x̂2[n,i,j,k] = (z1[n,i,j,k] − μ2[k])/√(v2[k] + 1e-5)    (N, 32, 32, 32) (6)
// z2[n,i,j,k] = γ2[k] x̂2[n,i,j,k] + β2[k]    (N, 32, 32, 32) (7)
// a2 = max(0, z2)    (N, 32, 32, 32) (9)
static void forward_a2(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict xhat2 = w->xhat2;
    real *restrict a2 = w->a2;
    const real *restrict z1 = w->z1;
    const real *restrict mu2 = w->mu2;
    const real *restrict v2 = w->v2;
    const real *restrict gamma2 = w->gamma2;
    const real *restrict beta2 = w->beta2;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 32; ++i) {
            for (long j = 0; j < 32; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    real xhat2_2 = (z1[n * 32768 + i * 1024 + j * 32 + k] - mu2[k]) / sqrt(v2[k] + real(1e-05));  // (6)
                    xhat2[n * 32768 + i * 1024 + j * 32 + k] = xhat2_2;  // (6)
                    real z2_2 = gamma2[k] * xhat2_2 + beta2[k];  // (7)
                    a2[n * 32768 + i * 1024 + j * 32 + k] = maximum(z2_2, real(0));  // (9)
                }
            }
        }
    }
}

// a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 16, 16, 32) (10)
// a2_3 = (10/9) a2_2 ⊙ m2    (N, 16, 16, 32) (11)
static void forward_a2_3(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict a2_2 = w->a2_2;
    real *restrict a2_3 = w->a2_3;
    const real *restrict a2 = w->a2;
    const unsigned char *restrict m2 = w->m2;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 16; ++i) {
            for (long j = 0; j < 16; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    real greatest = real(-1) / real(0);
                    UNROLL for (int u = 0; u < 2; ++u)
                        UNROLL for (int v3 = 0; v3 < 2; ++v3)
                            greatest = maximum(greatest, a2[((n * 32 + 2 * i + u) * 32 + 2 * j + v3) * 32 + k]);
                    real a2_2_2 = greatest;  // (10)
                    a2_2[n * 8192 + i * 512 + j * 32 + k] = a2_2_2;  // (10)
                    a2_3[n * 8192 + i * 512 + j * 32 + k] = real(10. / 9.) * a2_2_2 * m2[n * 8192 + i * 512 + j * 32 + k];  // (11)
                }
            }
        }
    }
}

// z3 = W3 ⋆(p=1) a2_3    (N, 16, 16, 64) (13)
static void forward_z3_pack(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W3 = w->W3;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 288; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 288); ++term) {
                    const long column = panel * NR + c;
                    w->forward_z3_panels[(panel * 288 + term) * NR + c] = column < 64 ? W3[column * 288 + term] : 0;
                }
}

// z3 = W3 ⋆(p=1) a2_3    (N, 16, 16, 64) (13)
static void forward_z3(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict z3 = w->z3;
    real *const left = w->forward_z3_left + id * 10432;
    const real *const right = w->forward_z3_panels;
    long at[256];
    for (long row = 0; row < 256; ++row) at[row] = row / 16 * 576 + row % 16 * 32;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 16; ++i0)
            memcpy(left + (i0 + 1) * 576 + 32, w->a2_3 + n * 8192 + i0 * 512, 512 * sizeof(real));
        for (long first = 0; first < 256; first += 4 * height(256))
            for (long panel = 0; panel < PANELS(64); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(256), 256); row0 += height(256)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(256), 256 - row0);
                    const long count = least(NR, 64 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 576, right + panel * 288 * NR, 1 * NR, 96 * NR, 96, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            z3[n * 16384 + row * 64 + column] = sum;  // (13)
                        }
                }
            }
    }
}

// μ4[k] = (1/(256 N)) Σₙᵢⱼ z3[n,i,j,k]    (64,) (14)
static void forward_mu4(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict z3 = w->z3;
    real *restrict own = (real *)w->mu4_forward_mu4_parts + id * 64;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 16; ++i) {
            for (long j = 0; j < 16; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    own[k] += z3[n * 16384 + i * 1024 + j * 64 + k];
                }
            }
        }
    }
}

// μ4[k] = (1/(256 N)) Σₙᵢⱼ z3[n,i,j,k]    (64,) (14)
static void forward_mu4_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict mu4 = w->mu4;
    const long N = w->N;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->mu4_forward_mu4_parts)[part * 64 + at];
        const real sum = total;
        mu4[at] = real(1. / 256. / (double)N) * sum;  // (14)
    }
}

// v4[k] = (1/(256 N)) Σₙᵢⱼ (z3[n,i,j,k] − μ4[k])²    (64,) (15)
static void forward_v4(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict z3 = w->z3;
    const real *restrict mu4 = w->mu4;
    real *restrict own = (real *)w->v4_forward_v4_parts + id * 64;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 16; ++i) {
            for (long j = 0; j < 16; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    own[k] += square(z3[n * 16384 + i * 1024 + j * 64 + k] - mu4[k]);
                }
            }
        }
    }
}

// v4[k] = (1/(256 N)) Σₙᵢⱼ (z3[n,i,j,k] − μ4[k])²    (64,) (15)
static void forward_v4_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict v4 = w->v4;
    const long N = w->N;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->v4_forward_v4_parts)[part * 64 + at];
        const real sum = total;
        v4[at] = real(1. / 256. / (double)N) * sum;  // (15)
    }
}

// x̂4[n,i,j,k] = (z3[n,i,j,k] − μ4[k])/√(v4[k] + 1e-5)    (N, 16, 16, 64) (16)
// z4[n,i,j,k] = γ4[k] x̂4[n,i,j,k] + β4[k]    (N, 16, 16, 64) (17)
// a4 = max(0, z4)    (N, 16, 16, 64) (19)
static void forward_a4(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict xhat4 = w->xhat4;
    real *restrict a4 = w->a4;
    const real *restrict z3 = w->z3;
    const real *restrict mu4 = w->mu4;
    const real *restrict v4 = w->v4;
    const real *restrict gamma4 = w->gamma4;
    const real *restrict beta4 = w->beta4;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 16; ++i) {
            for (long j = 0; j < 16; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    real xhat4_2 = (z3[n * 16384 + i * 1024 + j * 64 + k] - mu4[k]) / sqrt(v4[k] + real(1e-05));  // (16)
                    xhat4[n * 16384 + i * 1024 + j * 64 + k] = xhat4_2;  // (16)
                    real z4_2 = gamma4[k] * xhat4_2 + beta4[k];  // (17)
                    a4[n * 16384 + i * 1024 + j * 64 + k] = maximum(z4_2, real(0));  // (19)
                }
            }
        }
    }
}

// z5 = W5 ⋆(p=1) a4    (N, 16, 16, 64) (20)
static void forward_z5_pack(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W5 = w->W5;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 576; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 576); ++term) {
                    const long column = panel * NR + c;
                    w->forward_z5_panels[(panel * 576 + term) * NR + c] = column < 64 ? W5[column * 576 + term] : 0;
                }
}

// z5 = W5 ⋆(p=1) a4    (N, 16, 16, 64) (20)
static void forward_z5(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict z5 = w->z5;
    real *const left = w->forward_z5_left + id * 20800;
    const real *const right = w->forward_z5_panels;
    long at[256];
    for (long row = 0; row < 256; ++row) at[row] = row / 16 * 1152 + row % 16 * 64;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 16; ++i0)
            memcpy(left + (i0 + 1) * 1152 + 64, w->a4 + n * 16384 + i0 * 1024, 1024 * sizeof(real));
        for (long first = 0; first < 256; first += 4 * height(256))
            for (long panel = 0; panel < PANELS(64); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(256), 256); row0 += height(256)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(256), 256 - row0);
                    const long count = least(NR, 64 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 1152, right + panel * 576 * NR, 1 * NR, 192 * NR, 192, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            z5[n * 16384 + row * 64 + column] = sum;  // (20)
                        }
                }
            }
    }
}

// μ6[k] = (1/(256 N)) Σₙᵢⱼ z5[n,i,j,k]    (64,) (21)
static void forward_mu6(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict z5 = w->z5;
    real *restrict own = (real *)w->mu6_forward_mu6_parts + id * 64;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 16; ++i) {
            for (long j = 0; j < 16; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    own[k] += z5[n * 16384 + i * 1024 + j * 64 + k];
                }
            }
        }
    }
}

// μ6[k] = (1/(256 N)) Σₙᵢⱼ z5[n,i,j,k]    (64,) (21)
static void forward_mu6_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict mu6 = w->mu6;
    const long N = w->N;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->mu6_forward_mu6_parts)[part * 64 + at];
        const real sum = total;
        mu6[at] = real(1. / 256. / (double)N) * sum;  // (21)
    }
}

// v6[k] = (1/(256 N)) Σₙᵢⱼ (z5[n,i,j,k] − μ6[k])²    (64,) (22)
static void forward_v6(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict z5 = w->z5;
    const real *restrict mu6 = w->mu6;
    real *restrict own = (real *)w->v6_forward_v6_parts + id * 64;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 16; ++i) {
            for (long j = 0; j < 16; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    own[k] += square(z5[n * 16384 + i * 1024 + j * 64 + k] - mu6[k]);
                }
            }
        }
    }
}

// v6[k] = (1/(256 N)) Σₙᵢⱼ (z5[n,i,j,k] − μ6[k])²    (64,) (22)
static void forward_v6_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict v6 = w->v6;
    const long N = w->N;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->v6_forward_v6_parts)[part * 64 + at];
        const real sum = total;
        v6[at] = real(1. / 256. / (double)N) * sum;  // (22)
    }
}

// x̂6[n,i,j,k] = (z5[n,i,j,k] − μ6[k])/√(v6[k] + 1e-5)    (N, 16, 16, 64) (23)
// z6[n,i,j,k] = γ6[k] x̂6[n,i,j,k] + β6[k]    (N, 16, 16, 64) (24)
// a6 = max(0, z6)    (N, 16, 16, 64) (26)
static void forward_a6(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict xhat6 = w->xhat6;
    real *restrict a6 = w->a6;
    const real *restrict z5 = w->z5;
    const real *restrict mu6 = w->mu6;
    const real *restrict v6 = w->v6;
    const real *restrict gamma6 = w->gamma6;
    const real *restrict beta6 = w->beta6;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 16; ++i) {
            for (long j = 0; j < 16; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    real xhat6_2 = (z5[n * 16384 + i * 1024 + j * 64 + k] - mu6[k]) / sqrt(v6[k] + real(1e-05));  // (23)
                    xhat6[n * 16384 + i * 1024 + j * 64 + k] = xhat6_2;  // (23)
                    real z6_2 = gamma6[k] * xhat6_2 + beta6[k];  // (24)
                    a6[n * 16384 + i * 1024 + j * 64 + k] = maximum(z6_2, real(0));  // (26)
                }
            }
        }
    }
}

// a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k]    (N, 8, 8, 64) (27)
// a6_3 = (5/4) a6_2 ⊙ m6    (N, 8, 8, 64) (28)
static void forward_a6_3(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict a6_2 = w->a6_2;
    real *restrict a6_3 = w->a6_3;
    const real *restrict a6 = w->a6;
    const unsigned char *restrict m6 = w->m6;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 8; ++i) {
            for (long j = 0; j < 8; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    real greatest = real(-1) / real(0);
                    UNROLL for (int u = 0; u < 2; ++u)
                        UNROLL for (int v3 = 0; v3 < 2; ++v3)
                            greatest = maximum(greatest, a6[((n * 16 + 2 * i + u) * 16 + 2 * j + v3) * 64 + k]);
                    real a6_2_2 = greatest;  // (27)
                    a6_2[n * 4096 + i * 512 + j * 64 + k] = a6_2_2;  // (27)
                    a6_3[n * 4096 + i * 512 + j * 64 + k] = real(1.25) * a6_2_2 * m6[n * 4096 + i * 512 + j * 64 + k];  // (28)
                }
            }
        }
    }
}

// z7 = W7 ⋆(p=1) a6_3    (N, 8, 8, 128) (30)
static void forward_z7_pack(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W7 = w->W7;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 576; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 576); ++term) {
                    const long column = panel * NR + c;
                    w->forward_z7_panels[(panel * 576 + term) * NR + c] = column < 128 ? W7[column * 576 + term] : 0;
                }
}

// z7 = W7 ⋆(p=1) a6_3    (N, 8, 8, 128) (30)
static void forward_z7(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict z7 = w->z7;
    real *const left = w->forward_z7_left + id * 6464;
    const real *const right = w->forward_z7_panels;
    long at[64];
    for (long row = 0; row < 64; ++row) at[row] = row / 8 * 640 + row % 8 * 64;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 8; ++i0)
            memcpy(left + (i0 + 1) * 640 + 64, w->a6_3 + n * 4096 + i0 * 512, 512 * sizeof(real));
        for (long first = 0; first < 64; first += 4 * height(64))
            for (long panel = 0; panel < PANELS(128); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(64), 64); row0 += height(64)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(64), 64 - row0);
                    const long count = least(NR, 128 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 640, right + panel * 576 * NR, 1 * NR, 192 * NR, 192, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            z7[n * 8192 + row * 128 + column] = sum;  // (30)
                        }
                }
            }
    }
}

// μ8[k] = (1/(64 N)) Σₙᵢⱼ z7[n,i,j,k]    (128,) (31)
static void forward_mu8(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict z7 = w->z7;
    real *restrict own = (real *)w->mu8_forward_mu8_parts + id * 128;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 8; ++i) {
            for (long j = 0; j < 8; ++j) {
                EACH for (long k = 0; k < 128; ++k) {
                    own[k] += z7[n * 8192 + i * 1024 + j * 128 + k];
                }
            }
        }
    }
}

// μ8[k] = (1/(64 N)) Σₙᵢⱼ z7[n,i,j,k]    (128,) (31)
static void forward_mu8_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict mu8 = w->mu8;
    const long N = w->N;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->mu8_forward_mu8_parts)[part * 128 + at];
        const real sum = total;
        mu8[at] = real(1. / 64. / (double)N) * sum;  // (31)
    }
}

// v8[k] = (1/(64 N)) Σₙᵢⱼ (z7[n,i,j,k] − μ8[k])²    (128,) (32)
static void forward_v8(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict z7 = w->z7;
    const real *restrict mu8 = w->mu8;
    real *restrict own = (real *)w->v8_forward_v8_parts + id * 128;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 8; ++i) {
            for (long j = 0; j < 8; ++j) {
                EACH for (long k = 0; k < 128; ++k) {
                    own[k] += square(z7[n * 8192 + i * 1024 + j * 128 + k] - mu8[k]);
                }
            }
        }
    }
}

// v8[k] = (1/(64 N)) Σₙᵢⱼ (z7[n,i,j,k] − μ8[k])²    (128,) (32)
static void forward_v8_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict v8 = w->v8;
    const long N = w->N;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->v8_forward_v8_parts)[part * 128 + at];
        const real sum = total;
        v8[at] = real(1. / 64. / (double)N) * sum;  // (32)
    }
}

// x̂8[n,i,j,k] = (z7[n,i,j,k] − μ8[k])/√(v8[k] + 1e-5)    (N, 8, 8, 128) (33)
// z8[n,i,j,k] = γ8[k] x̂8[n,i,j,k] + β8[k]    (N, 8, 8, 128) (34)
// a8 = max(0, z8)    (N, 8, 8, 128) (36)
static void forward_a8(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict xhat8 = w->xhat8;
    real *restrict a8 = w->a8;
    const real *restrict z7 = w->z7;
    const real *restrict mu8 = w->mu8;
    const real *restrict v8 = w->v8;
    const real *restrict gamma8 = w->gamma8;
    const real *restrict beta8 = w->beta8;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 8; ++i) {
            for (long j = 0; j < 8; ++j) {
                EACH for (long k = 0; k < 128; ++k) {
                    real xhat8_2 = (z7[n * 8192 + i * 1024 + j * 128 + k] - mu8[k]) / sqrt(v8[k] + real(1e-05));  // (33)
                    xhat8[n * 8192 + i * 1024 + j * 128 + k] = xhat8_2;  // (33)
                    real z8_2 = gamma8[k] * xhat8_2 + beta8[k];  // (34)
                    a8[n * 8192 + i * 1024 + j * 128 + k] = maximum(z8_2, real(0));  // (36)
                }
            }
        }
    }
}

// a8_2[n,i,j,k] = max_{u,v<2} a8[n,2i+u,2j+v,k]    (N, 4, 4, 128) (37)
// a8_3 = (10/7) a8_2 ⊙ m8    (N, 4, 4, 128) (38)
static void forward_a8_3(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict a8_2 = w->a8_2;
    real *restrict a8_3 = w->a8_3;
    const real *restrict a8 = w->a8;
    const unsigned char *restrict m8 = w->m8;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 4; ++i) {
            for (long j = 0; j < 4; ++j) {
                EACH for (long k = 0; k < 128; ++k) {
                    real greatest = real(-1) / real(0);
                    UNROLL for (int u = 0; u < 2; ++u)
                        UNROLL for (int v3 = 0; v3 < 2; ++v3)
                            greatest = maximum(greatest, a8[((n * 8 + 2 * i + u) * 8 + 2 * j + v3) * 128 + k]);
                    real a8_2_2 = greatest;  // (37)
                    a8_2[n * 2048 + i * 512 + j * 128 + k] = a8_2_2;  // (37)
                    a8_3[n * 2048 + i * 512 + j * 128 + k] = real(10. / 7.) * a8_2_2 * m8[n * 2048 + i * 512 + j * 128 + k];  // (38)
                }
            }
        }
    }
}

// z9 = W9 a8_4 + b9    (N, 128) (41)
// a9 = max(0, z9)    (N, 128) (42)
// a9_2 = (5/3) a9 ⊙ m9    (N, 128) (43)
static void forward_a9_2(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict a9 = w->a9;
    real *restrict a9_2 = w->a9_2;
    const real *restrict b9 = w->b9;
    const unsigned char *restrict m9 = w->m9;
    (void)id;
    const real *const left = w->a8_3;
    const real *const right = w->W9;
    for (long panel = from; panel < to; ++panel) {
        for (long row0 = 0; row0 < w->N; row0 += height(w->N)) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(w->N), w->N - row0);
            const long count = least(NR, 128 - panel * NR);
            along(tile, rows, count, left + row0 * 2048, 2048, right + panel * NR * 2048, 2048, 2048);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    real z9_2 = b9[column] + sum;  // (41)
                    real a9_3 = maximum(z9_2, real(0));  // (42)
                    a9[n * 128 + column] = a9_3;  // (42)
                    a9_2[n * 128 + column] = real(5. / 3.) * a9_3 * m9[n * 128 + column];  // (43)
                }
        }
    }
}

// z10 = W10 a9_2 + b10    (N, 10) (45)
static void forward_z10(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict z10 = w->z10;
    const real *restrict b10 = w->b10;
    (void)id;
    const real *const left = w->a9_2;
    const real *const right = w->W10;
    for (long row0 = from; row0 < to; row0 += height(to - from)) {
        for (long panel = 0; panel < PANELS(10); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(to - from), to - row0);
            const long count = least(NR, 10 - panel * NR);
            along(tile, rows, count, left + row0 * 128, 128, right + panel * NR * 128, 128, 128);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    z10[n * 10 + column] = b10[column] + sum;  // (45)
                }
        }
    }
}

// a10 = softmax(z10)    (N, 10) (46)
static void forward_a10(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict a10_max = w->a10_max;
    real *restrict a10_exp = w->a10_exp;
    real *restrict a10_sum = w->a10_sum;
    real *restrict a10 = w->a10;
    const real *restrict z10 = w->z10;
    (void)id;
    for (long n = from; n < to; ++n) {
        real greatest = real(-1) / real(0);
        for (int i = 0; i < 10; ++i)
            greatest = maximum(greatest, z10[n * 10 + i]);
        a10_max[n] = greatest;  // (46)
        EACH for (long k = 0; k < 10; ++k) {
            a10_exp[n * 10 + k] = exp(z10[n * 10 + k] - a10_max[n]);  // (46)
        }
        real total = real(0);
        for (int j = 0; j < 10; ++j)
            total += a10_exp[n * 10 + j];
        a10_sum[n] = total;  // (46)
        EACH for (long k2 = 0; k2 < 10; ++k2) {
            a10[n * 10 + k2] = a10_exp[n * 10 + k2] / a10_sum[n];  // (46)
        }
    }
}

/* ---- Evaluation --------------------------------------------------------------------------------- */

// z1 = W1 ⋆(p=1) a0    (N, 32, 32, 32) (3)
// z2[n,i,j,k] = γ2[k] (z1[n,i,j,k] − μ̄2[k])/√(v̄2[k] + 1e-5) + β2[k]    (N, 32, 32, 32) (8)
// a2 = max(0, z2)    (N, 32, 32, 32) (9)
static void evaluation_a2_pack(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W1 = w->W1;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 27; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 27); ++term) {
                    const long column = panel * NR + c;
                    w->evaluation_a2_panels[(panel * 27 + term) * NR + c] = column < 32 ? W1[column * 27 + term] : 0;
                }
}

// z1 = W1 ⋆(p=1) a0    (N, 32, 32, 32) (3)
// z2[n,i,j,k] = γ2[k] (z1[n,i,j,k] − μ̄2[k])/√(v̄2[k] + 1e-5) + β2[k]    (N, 32, 32, 32) (8)
// a2 = max(0, z2)    (N, 32, 32, 32) (9)
static void evaluation_a2(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict z1 = w->z1;
    real *restrict a2 = w->a2;
    const real *restrict gamma2 = w->gamma2;
    const real *restrict mean2 = w->mean2;
    const real *restrict var2 = w->var2;
    const real *restrict beta2 = w->beta2;
    real *const left = w->evaluation_a2_left + id * 3536;
    const real *const right = w->evaluation_a2_panels;
    long at[1024];
    for (long row = 0; row < 1024; ++row) at[row] = row / 32 * 102 + row % 32 * 3;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 32; ++i0)
            memcpy(left + (i0 + 1) * 102 + 3, w->x + n * 3072 + i0 * 96, 96 * sizeof(real));
        for (long first = 0; first < 1024; first += 4 * height(1024))
            for (long panel = 0; panel < PANELS(32); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(1024), 1024); row0 += height(1024)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(1024), 1024 - row0);
                    const long count = least(NR, 32 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 102, right + panel * 27 * NR, 1 * NR, 9 * NR, 9, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            z1[n * 32768 + row * 32 + column] = sum;  // (3)
                            real z2_2 = gamma2[column] * (sum - mean2[column]) / sqrt(var2[column] + real(1e-05)) + beta2[column];  // (8)
                            a2[n * 32768 + row * 32 + column] = maximum(z2_2, real(0));  // (9)
                        }
                }
            }
    }
}

// a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 16, 16, 32) (10)
// a2_3 = a2_2    (N, 16, 16, 32) (12)
static void evaluation_a2_3(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict a2_2 = w->a2_2;
    real *restrict a2_3 = w->a2_3;
    const real *restrict a2 = w->a2;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 16; ++i) {
            for (long j = 0; j < 16; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    real greatest = real(-1) / real(0);
                    UNROLL for (int u = 0; u < 2; ++u)
                        UNROLL for (int v3 = 0; v3 < 2; ++v3)
                            greatest = maximum(greatest, a2[((n * 32 + 2 * i + u) * 32 + 2 * j + v3) * 32 + k]);
                    real a2_2_2 = greatest;  // (10)
                    a2_2[n * 8192 + i * 512 + j * 32 + k] = a2_2_2;  // (10)
                    a2_3[n * 8192 + i * 512 + j * 32 + k] = a2_2_2;  // (12)
                }
            }
        }
    }
}

// z3 = W3 ⋆(p=1) a2_3    (N, 16, 16, 64) (13)
// z4[n,i,j,k] = γ4[k] (z3[n,i,j,k] − μ̄4[k])/√(v̄4[k] + 1e-5) + β4[k]    (N, 16, 16, 64) (18)
// a4 = max(0, z4)    (N, 16, 16, 64) (19)
static void evaluation_a4_pack(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W3 = w->W3;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 288; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 288); ++term) {
                    const long column = panel * NR + c;
                    w->evaluation_a4_panels[(panel * 288 + term) * NR + c] = column < 64 ? W3[column * 288 + term] : 0;
                }
}

// z3 = W3 ⋆(p=1) a2_3    (N, 16, 16, 64) (13)
// z4[n,i,j,k] = γ4[k] (z3[n,i,j,k] − μ̄4[k])/√(v̄4[k] + 1e-5) + β4[k]    (N, 16, 16, 64) (18)
// a4 = max(0, z4)    (N, 16, 16, 64) (19)
static void evaluation_a4(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict z3 = w->z3;
    real *restrict a4 = w->a4;
    const real *restrict gamma4 = w->gamma4;
    const real *restrict mean4 = w->mean4;
    const real *restrict var4 = w->var4;
    const real *restrict beta4 = w->beta4;
    real *const left = w->evaluation_a4_left + id * 10432;
    const real *const right = w->evaluation_a4_panels;
    long at[256];
    for (long row = 0; row < 256; ++row) at[row] = row / 16 * 576 + row % 16 * 32;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 16; ++i0)
            memcpy(left + (i0 + 1) * 576 + 32, w->a2_3 + n * 8192 + i0 * 512, 512 * sizeof(real));
        for (long first = 0; first < 256; first += 4 * height(256))
            for (long panel = 0; panel < PANELS(64); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(256), 256); row0 += height(256)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(256), 256 - row0);
                    const long count = least(NR, 64 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 576, right + panel * 288 * NR, 1 * NR, 96 * NR, 96, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            z3[n * 16384 + row * 64 + column] = sum;  // (13)
                            real z4_2 = gamma4[column] * (sum - mean4[column]) / sqrt(var4[column] + real(1e-05)) + beta4[column];  // (18)
                            a4[n * 16384 + row * 64 + column] = maximum(z4_2, real(0));  // (19)
                        }
                }
            }
    }
}

// z5 = W5 ⋆(p=1) a4    (N, 16, 16, 64) (20)
// z6[n,i,j,k] = γ6[k] (z5[n,i,j,k] − μ̄6[k])/√(v̄6[k] + 1e-5) + β6[k]    (N, 16, 16, 64) (25)
// a6 = max(0, z6)    (N, 16, 16, 64) (26)
static void evaluation_a6_pack(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W5 = w->W5;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 576; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 576); ++term) {
                    const long column = panel * NR + c;
                    w->evaluation_a6_panels[(panel * 576 + term) * NR + c] = column < 64 ? W5[column * 576 + term] : 0;
                }
}

// z5 = W5 ⋆(p=1) a4    (N, 16, 16, 64) (20)
// z6[n,i,j,k] = γ6[k] (z5[n,i,j,k] − μ̄6[k])/√(v̄6[k] + 1e-5) + β6[k]    (N, 16, 16, 64) (25)
// a6 = max(0, z6)    (N, 16, 16, 64) (26)
static void evaluation_a6(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict z5 = w->z5;
    real *restrict a6 = w->a6;
    const real *restrict gamma6 = w->gamma6;
    const real *restrict mean6 = w->mean6;
    const real *restrict var6 = w->var6;
    const real *restrict beta6 = w->beta6;
    real *const left = w->evaluation_a6_left + id * 20800;
    const real *const right = w->evaluation_a6_panels;
    long at[256];
    for (long row = 0; row < 256; ++row) at[row] = row / 16 * 1152 + row % 16 * 64;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 16; ++i0)
            memcpy(left + (i0 + 1) * 1152 + 64, w->a4 + n * 16384 + i0 * 1024, 1024 * sizeof(real));
        for (long first = 0; first < 256; first += 4 * height(256))
            for (long panel = 0; panel < PANELS(64); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(256), 256); row0 += height(256)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(256), 256 - row0);
                    const long count = least(NR, 64 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 1152, right + panel * 576 * NR, 1 * NR, 192 * NR, 192, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            z5[n * 16384 + row * 64 + column] = sum;  // (20)
                            real z6_2 = gamma6[column] * (sum - mean6[column]) / sqrt(var6[column] + real(1e-05)) + beta6[column];  // (25)
                            a6[n * 16384 + row * 64 + column] = maximum(z6_2, real(0));  // (26)
                        }
                }
            }
    }
}

// a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k]    (N, 8, 8, 64) (27)
// a6_3 = a6_2    (N, 8, 8, 64) (29)
static void evaluation_a6_3(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict a6_2 = w->a6_2;
    real *restrict a6_3 = w->a6_3;
    const real *restrict a6 = w->a6;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 8; ++i) {
            for (long j = 0; j < 8; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    real greatest = real(-1) / real(0);
                    UNROLL for (int u = 0; u < 2; ++u)
                        UNROLL for (int v3 = 0; v3 < 2; ++v3)
                            greatest = maximum(greatest, a6[((n * 16 + 2 * i + u) * 16 + 2 * j + v3) * 64 + k]);
                    real a6_2_2 = greatest;  // (27)
                    a6_2[n * 4096 + i * 512 + j * 64 + k] = a6_2_2;  // (27)
                    a6_3[n * 4096 + i * 512 + j * 64 + k] = a6_2_2;  // (29)
                }
            }
        }
    }
}

// z7 = W7 ⋆(p=1) a6_3    (N, 8, 8, 128) (30)
// z8[n,i,j,k] = γ8[k] (z7[n,i,j,k] − μ̄8[k])/√(v̄8[k] + 1e-5) + β8[k]    (N, 8, 8, 128) (35)
// a8 = max(0, z8)    (N, 8, 8, 128) (36)
static void evaluation_a8_pack(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W7 = w->W7;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 576; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 576); ++term) {
                    const long column = panel * NR + c;
                    w->evaluation_a8_panels[(panel * 576 + term) * NR + c] = column < 128 ? W7[column * 576 + term] : 0;
                }
}

// z7 = W7 ⋆(p=1) a6_3    (N, 8, 8, 128) (30)
// z8[n,i,j,k] = γ8[k] (z7[n,i,j,k] − μ̄8[k])/√(v̄8[k] + 1e-5) + β8[k]    (N, 8, 8, 128) (35)
// a8 = max(0, z8)    (N, 8, 8, 128) (36)
static void evaluation_a8(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict z7 = w->z7;
    real *restrict a8 = w->a8;
    const real *restrict gamma8 = w->gamma8;
    const real *restrict mean8 = w->mean8;
    const real *restrict var8 = w->var8;
    const real *restrict beta8 = w->beta8;
    real *const left = w->evaluation_a8_left + id * 6464;
    const real *const right = w->evaluation_a8_panels;
    long at[64];
    for (long row = 0; row < 64; ++row) at[row] = row / 8 * 640 + row % 8 * 64;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 8; ++i0)
            memcpy(left + (i0 + 1) * 640 + 64, w->a6_3 + n * 4096 + i0 * 512, 512 * sizeof(real));
        for (long first = 0; first < 64; first += 4 * height(64))
            for (long panel = 0; panel < PANELS(128); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(64), 64); row0 += height(64)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(64), 64 - row0);
                    const long count = least(NR, 128 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 640, right + panel * 576 * NR, 1 * NR, 192 * NR, 192, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            z7[n * 8192 + row * 128 + column] = sum;  // (30)
                            real z8_2 = gamma8[column] * (sum - mean8[column]) / sqrt(var8[column] + real(1e-05)) + beta8[column];  // (35)
                            a8[n * 8192 + row * 128 + column] = maximum(z8_2, real(0));  // (36)
                        }
                }
            }
    }
}

// a8_2[n,i,j,k] = max_{u,v<2} a8[n,2i+u,2j+v,k]    (N, 4, 4, 128) (37)
// a8_3 = a8_2    (N, 4, 4, 128) (39)
static void evaluation_a8_3(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict a8_2 = w->a8_2;
    real *restrict a8_3 = w->a8_3;
    const real *restrict a8 = w->a8;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 4; ++i) {
            for (long j = 0; j < 4; ++j) {
                EACH for (long k = 0; k < 128; ++k) {
                    real greatest = real(-1) / real(0);
                    UNROLL for (int u = 0; u < 2; ++u)
                        UNROLL for (int v3 = 0; v3 < 2; ++v3)
                            greatest = maximum(greatest, a8[((n * 8 + 2 * i + u) * 8 + 2 * j + v3) * 128 + k]);
                    real a8_2_2 = greatest;  // (37)
                    a8_2[n * 2048 + i * 512 + j * 128 + k] = a8_2_2;  // (37)
                    a8_3[n * 2048 + i * 512 + j * 128 + k] = a8_2_2;  // (39)
                }
            }
        }
    }
}

// z9 = W9 a8_4 + b9    (N, 128) (41)
// a9 = max(0, z9)    (N, 128) (42)
// a9_2 = a9    (N, 128) (44)
static void evaluation_a9_2(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict a9 = w->a9;
    real *restrict a9_2 = w->a9_2;
    const real *restrict b9 = w->b9;
    (void)id;
    const real *const left = w->a8_3;
    const real *const right = w->W9;
    for (long panel = from; panel < to; ++panel) {
        for (long row0 = 0; row0 < w->N; row0 += height(w->N)) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(w->N), w->N - row0);
            const long count = least(NR, 128 - panel * NR);
            along(tile, rows, count, left + row0 * 2048, 2048, right + panel * NR * 2048, 2048, 2048);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    real z9_2 = b9[column] + sum;  // (41)
                    real a9_3 = maximum(z9_2, real(0));  // (42)
                    a9[n * 128 + column] = a9_3;  // (42)
                    a9_2[n * 128 + column] = a9_3;  // (44)
                }
        }
    }
}

/* ---- Loss --------------------------------------------------------------------------------------- */

// T = onehot(t)    (N, 10) (1)
static void loss_T(struct cifar10_cnn_84 *w, int id, long from, long to)
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

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E_sum(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W10 = w->W10;
    double *restrict own = (double *)w->E_sum_loss_E_sum_parts + id * 16;
    for (long k = from; k < to; ++k) {
        for (long j = 0; j < 128; ++j) {
            own[0] += square(W10[k * 128 + j]);
        }
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E_sum_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    double *restrict E_sum = w->E_sum;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_loss_E_sum_parts)[part * 16];
    const double sum = total;
    E_sum[0] = sum;  // (47)
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E_sum_2(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W9 = w->W9;
    double *restrict own = (double *)w->E_sum_2_loss_E_sum_2_parts + id * 16;
    for (long k = from; k < to; ++k) {
        for (long j = 0; j < 2048; ++j) {
            own[0] += square(W9[k * 2048 + j]);
        }
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E_sum_2_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    double *restrict E_sum_2 = w->E_sum_2;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_2_loss_E_sum_2_parts)[part * 16];
    const double sum = total;
    E_sum_2[0] = sum;  // (47)
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E_sum_3(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W1 = w->W1;
    double *restrict own = (double *)w->E_sum_3_loss_E_sum_3_parts + id * 16;
    for (long k = from; k < to; ++k) {
        for (long u = 0; u < 3; ++u) {
            for (long v3 = 0; v3 < 3; ++v3) {
                for (long c2 = 0; c2 < 3; ++c2) {
                    own[0] += square(W1[k * 27 + u * 9 + v3 * 3 + c2]);
                }
            }
        }
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E_sum_3_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    double *restrict E_sum_3 = w->E_sum_3;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_3_loss_E_sum_3_parts)[part * 16];
    const double sum = total;
    E_sum_3[0] = sum;  // (47)
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E_sum_4(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W3 = w->W3;
    double *restrict own = (double *)w->E_sum_4_loss_E_sum_4_parts + id * 16;
    for (long k = from; k < to; ++k) {
        for (long u = 0; u < 3; ++u) {
            for (long v3 = 0; v3 < 3; ++v3) {
                for (long c2 = 0; c2 < 32; ++c2) {
                    own[0] += square(W3[k * 288 + u * 96 + v3 * 32 + c2]);
                }
            }
        }
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E_sum_4_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    double *restrict E_sum_4 = w->E_sum_4;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_4_loss_E_sum_4_parts)[part * 16];
    const double sum = total;
    E_sum_4[0] = sum;  // (47)
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E_sum_5(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W5 = w->W5;
    double *restrict own = (double *)w->E_sum_5_loss_E_sum_5_parts + id * 16;
    for (long k = from; k < to; ++k) {
        for (long u = 0; u < 3; ++u) {
            for (long v3 = 0; v3 < 3; ++v3) {
                for (long c2 = 0; c2 < 64; ++c2) {
                    own[0] += square(W5[k * 576 + u * 192 + v3 * 64 + c2]);
                }
            }
        }
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E_sum_5_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    double *restrict E_sum_5 = w->E_sum_5;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_5_loss_E_sum_5_parts)[part * 16];
    const double sum = total;
    E_sum_5[0] = sum;  // (47)
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E_sum_6(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W7 = w->W7;
    double *restrict own = (double *)w->E_sum_6_loss_E_sum_6_parts + id * 16;
    for (long k = from; k < to; ++k) {
        for (long u = 0; u < 3; ++u) {
            for (long v3 = 0; v3 < 3; ++v3) {
                for (long c2 = 0; c2 < 64; ++c2) {
                    own[0] += square(W7[k * 576 + u * 192 + v3 * 64 + c2]);
                }
            }
        }
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E_sum_6_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    double *restrict E_sum_6 = w->E_sum_6;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_6_loss_E_sum_6_parts)[part * 16];
    const double sum = total;
    E_sum_6[0] = sum;  // (47)
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E_sum_7(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict a10_sum = w->a10_sum;
    double *restrict own = (double *)w->E_sum_7_loss_E_sum_7_parts + id * 16;
    for (long n = from; n < to; ++n) {
        own[0] += log(a10_sum[n]);
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E_sum_7_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    double *restrict E_sum_7 = w->E_sum_7;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_7_loss_E_sum_7_parts)[part * 16];
    const double sum = total;
    E_sum_7[0] = sum;  // (47)
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict T = w->T;
    const real *restrict a10_max = w->a10_max;
    const real *restrict z10 = w->z10;
    double *restrict own = (double *)w->E_sum_8_loss_E_parts + id * 16;
    for (long n = from; n < to; ++n) {
        for (long k = 0; k < 10; ++k) {
            own[0] += T[n * 10 + k] * (a10_max[n] - z10[n * 10 + k]);
        }
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a10ₙ) + 0.0001 (‖W9‖² + ‖W10‖² + ‖W1‖² + ‖W3‖² + ‖W5‖² + ‖W7‖²)    () (47)
static void loss_E_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    double *restrict E = w->E;
    const double *restrict E_sum_7 = w->E_sum_7;
    const double *restrict E_sum = w->E_sum;
    const double *restrict E_sum_2 = w->E_sum_2;
    const double *restrict E_sum_3 = w->E_sum_3;
    const double *restrict E_sum_4 = w->E_sum_4;
    const double *restrict E_sum_5 = w->E_sum_5;
    const double *restrict E_sum_6 = w->E_sum_6;
    const long N = w->N;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_8_loss_E_parts)[part * 16];
    const double sum = total;
    E[0] = real(1. / (double)N) * (real(E_sum_7[0]) + sum) + real(0.0001) * real(E_sum[0]) + real(0.0001) * real(E_sum_2[0]) + real(0.0001) * real(E_sum_3[0]) + real(0.0001) * real(E_sum_4[0]) + real(0.0001) * real(E_sum_5[0]) + real(0.0001) * real(E_sum_6[0]);  // (47)
}

/* ---- Backward ----------------------------------------------------------------------------------- */

// δ10 = (a10 − T)/N    (N, 10) (48)
static void backward_delta10(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict delta10 = w->delta10;
    const real *restrict a10 = w->a10;
    const real *restrict T = w->T;
    const long N = w->N;
    (void)id;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 10; ++k) {
            delta10[n * 10 + k] = real(1. / (double)N) * (a10[n * 10 + k] - T[n * 10 + k]);  // (48)
        }
    }
}

// ∂E/∂W10 = Σₙ δ10ₙ a9_2ₙᵀ + 0.0002 W10    (10, 128) (49)
static void backward_dW10(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict dW10 = w->dW10;
    const real *restrict W10 = w->W10;
    (void)id;
    const real *const left = w->delta10;
    const real *const right = w->a9_2;
    for (long row0 = from * MR; row0 < least(to * MR, 10); row0 += MR) {
        for (long panel = 0; panel < PANELS(128); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(MR, least(to * MR, 10) - row0);
            const long count = least(NR, 128 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 1;
            multiply(tile, rows, count, false, left, at, 10, 0, right + panel * NR, 128, 0, w->N, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long k = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    dW10[k * 128 + column] = real(0.0002) * W10[k * 128 + column] + sum;  // (49)
                }
        }
    }
}

// ∂E/∂b10 = Σₙ δ10ₙ    (10,) (50)
static void backward_db10(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict delta10 = w->delta10;
    real *restrict own = (real *)w->db10_backward_db10_parts + id * 16;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 10; ++k) {
            own[k] += delta10[n * 10 + k];
        }
    }
}

// ∂E/∂b10 = Σₙ δ10ₙ    (10,) (50)
static void backward_db10_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict db10 = w->db10;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db10_backward_db10_parts)[part * 16 + at];
        const real sum = total;
        db10[at] = sum;  // (50)
    }
}

// δ9 = (5/3) (W10ᵀ δ10) ⊙ m9 ⊙ [a9 > 0]    (N, 128) (51)
static void backward_delta9(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict delta9 = w->delta9;
    const unsigned char *restrict m9 = w->m9;
    const real *restrict a9 = w->a9;
    (void)id;
    const real *const left = w->delta10;
    const real *const right = w->W10;
    for (long row0 = from; row0 < to; row0 += height(to - from)) {
        for (long panel = 0; panel < PANELS(128); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(to - from), to - row0);
            const long count = least(NR, 128 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 10;
            multiply(tile, rows, count, false, left, at, 1, 0, right + panel * NR, 128, 0, 10, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    const real passed = real(5. / 3.) * sum * m9[n * 128 + column];  // (51)
                    delta9[n * 128 + column] = a9[n * 128 + column] > 0 ? passed : 0;  // (51)
                }
        }
    }
}

// ∂E/∂W9 = Σₙ δ9ₙ a8_4ₙᵀ + 0.0002 W9    (128, 2048) (52)
static void backward_dW9(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict dW9 = w->dW9;
    const real *restrict W9 = w->W9;
    (void)id;
    const real *const left = w->delta9;
    const real *const right = w->a8_3;
    for (long row0 = from * MR; row0 < least(to * MR, 128); row0 += MR) {
        for (long panel = 0; panel < PANELS(2048); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(MR, least(to * MR, 128) - row0);
            const long count = least(NR, 2048 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 1;
            multiply(tile, rows, count, false, left, at, 128, 0, right + panel * NR, 2048, 0, w->N, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long k = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    dW9[k * 2048 + column] = real(0.0002) * W9[k * 2048 + column] + sum;  // (52)
                }
        }
    }
}

// ∂E/∂b9 = Σₙ δ9ₙ    (128,) (53)
static void backward_db9(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict delta9 = w->delta9;
    real *restrict own = (real *)w->db9_backward_db9_parts + id * 128;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 128; ++k) {
            own[k] += delta9[n * 128 + k];
        }
    }
}

// ∂E/∂b9 = Σₙ δ9ₙ    (128,) (53)
static void backward_db9_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict db9 = w->db9;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db9_backward_db9_parts)[part * 128 + at];
        const real sum = total;
        db9[at] = sum;  // (53)
    }
}

// ∂E/∂a8_4 = W9ᵀ δ9    (N, 2048) (54)
static void backward_da8_4(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict da8_4 = w->da8_4;
    (void)id;
    const real *const left = w->delta9;
    const real *const right = w->W9;
    for (long panel = from; panel < to; ++panel) {
        for (long row0 = 0; row0 < w->N; row0 += height(w->N)) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(w->N), w->N - row0);
            const long count = least(NR, 2048 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 128;
            multiply(tile, rows, count, false, left, at, 1, 0, right + panel * NR, 2048, 0, 128, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    da8_4[n * 2048 + column] = sum;  // (54)
                }
        }
    }
}

// δ8[n,p,q,k] = (10/7) (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a8[n,2i+u,2j+v,k]] ∂E/∂a8_3[n,i,j,k] m8[n,i,j,k]) [a8[n,p,q,k] > 0]    (N, 8, 8, 128) (56)
static void backward_delta8_sum_windows(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict delta8_sum_windows = w->delta8_sum_windows;
    const real *restrict a8_2 = w->a8_2;
    const real *restrict a8 = w->a8;
    const real *restrict da8_4 = w->da8_4;
    const unsigned char *restrict m8 = w->m8;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 4; ++i) {
            for (long j = 0; j < 4; ++j) {
                for (long p = 0; p < 2; ++p) {
                    for (long q = 0; q < 2; ++q) {
                        EACH for (long k = 0; k < 128; ++k) {
                            const real best = a8_2[n * 2048 + i * 512 + j * 128 + k];
                            bool won = a8[n * 8192 + i * 2048 + p * 1024 + j * 256 + q * 128 + k] == best;
                            UNROLL for (int p_before = 0; p_before < 2; ++p_before)
                                UNROLL for (int q_before = 0; q_before < 2; ++q_before)
                                    won &= !((p_before * 2 + q_before < p * 2 + q)
                                        & (a8[((n * 8 + 2 * i + p_before) * 8 + 2 * j + q_before) * 128 + k] == best));
                            unsigned char delta8_winner_2 = won;  // (56)
                            delta8_sum_windows[n * 8192 + i * 2048 + j * 512 + p * 256 + q * 128 + k] = da8_4[n * 2048 + i * 512 + j * 128 + k] * delta8_winner_2 * m8[n * 2048 + i * 512 + j * 128 + k];  // (56)
                        }
                    }
                }
            }
        }
    }
}

// δ8[n,p,q,k] = (10/7) (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a8[n,2i+u,2j+v,k]] ∂E/∂a8_3[n,i,j,k] m8[n,i,j,k]) [a8[n,p,q,k] > 0]    (N, 8, 8, 128) (56)
static void backward_delta8(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict delta8 = w->delta8;
    const real *restrict delta8_sum_windows = w->delta8_sum_windows;
    const real *restrict a8 = w->a8;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long p = 0; p < 8; ++p) {
            for (long q = 0; q < 8; ++q) {
                EACH for (long r2 = 0; r2 < 128; ++r2) {
                    real delta8_sum_2 = delta8_sum_windows[((((n * 4 + (p / 2)) * 4 + (q / 2)) * 2 + (p % 2)) * 2 + (q % 2)) * 128 + r2];  // (56)
                    delta8[n * 8192 + p * 1024 + q * 128 + r2] = a8[n * 8192 + p * 1024 + q * 128 + r2] > 0 ? real(10. / 7.) * delta8_sum_2 : 0;  // (56)
                }
            }
        }
    }
}

// ∂E/∂β8[k] = Σₙᵢⱼ δ8[n,i,j,k]    (128,) (57)
static void backward_dbeta8(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict delta8 = w->delta8;
    real *restrict own = (real *)w->dbeta8_backward_dbeta8_parts + id * 128;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 8; ++i) {
            for (long j = 0; j < 8; ++j) {
                EACH for (long k = 0; k < 128; ++k) {
                    own[k] += delta8[n * 8192 + i * 1024 + j * 128 + k];
                }
            }
        }
    }
}

// ∂E/∂β8[k] = Σₙᵢⱼ δ8[n,i,j,k]    (128,) (57)
static void backward_dbeta8_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict dbeta8 = w->dbeta8;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dbeta8_backward_dbeta8_parts)[part * 128 + at];
        const real sum = total;
        dbeta8[at] = sum;  // (57)
    }
}

// ∂E/∂γ8[k] = Σₙᵢⱼ δ8[n,i,j,k] x̂8[n,i,j,k]    (128,) (58)
static void backward_dgamma8(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict delta8 = w->delta8;
    const real *restrict xhat8 = w->xhat8;
    real *restrict own = (real *)w->dgamma8_backward_dgamma8_parts + id * 128;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 8; ++i) {
            for (long j = 0; j < 8; ++j) {
                EACH for (long k = 0; k < 128; ++k) {
                    own[k] += delta8[n * 8192 + i * 1024 + j * 128 + k] * xhat8[n * 8192 + i * 1024 + j * 128 + k];
                }
            }
        }
    }
}

// ∂E/∂γ8[k] = Σₙᵢⱼ δ8[n,i,j,k] x̂8[n,i,j,k]    (128,) (58)
static void backward_dgamma8_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict dgamma8 = w->dgamma8;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dgamma8_backward_dgamma8_parts)[part * 128 + at];
        const real sum = total;
        dgamma8[at] = sum;  // (58)
    }
}

// δ7[n,i,j,k] = γ8[k] (64 N δ8[n,i,j,k] − Σ_mpq δ8[m,p,q,k] − (Σ_mpq δ8[m,p,q,k] x̂8[m,p,q,k]) x̂8[n,i,j,k])/(64 N √(v8[k] + 1e-5))    (N, 8, 8, 128) (63)
static void backward_delta7(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict delta7 = w->delta7;
    const real *restrict gamma8 = w->gamma8;
    const real *restrict delta8 = w->delta8;
    const real *restrict dgamma8 = w->dgamma8;
    const real *restrict xhat8 = w->xhat8;
    const real *restrict dbeta8 = w->dbeta8;
    const real *restrict v8 = w->v8;
    const long N = w->N;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 8; ++i) {
            for (long j = 0; j < 8; ++j) {
                EACH for (long k = 0; k < 128; ++k) {
                    delta7[n * 8192 + i * 1024 + j * 128 + k] = real(1. / 64. / (double)N) * gamma8[k] * (real(64. * (double)N) * delta8[n * 8192 + i * 1024 + j * 128 + k] - dgamma8[k] * xhat8[n * 8192 + i * 1024 + j * 128 + k] - dbeta8[k]) / sqrt(v8[k] + real(1e-05));  // (63)
                }
            }
        }
    }
}

// ∂E/∂W7 = Σₙ δ7ₙ ⋆(p=1) a6_3ₙ + 0.0002 W7    (128, 3, 3, 64) (64)
static void backward_dW7(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict own = w->dW7_backward_dW7_parts + id * 73728;
    const real *const left = w->delta7;
    real *const right = w->backward_dW7_right + id * 6464;
    long at[128];
    for (long row = 0; row < 128; ++row) at[row] = row * 1;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 8; ++i0)
            memcpy(right + (i0 + 1) * 640 + 64, w->a6_3 + n * 4096 + i0 * 512, 512 * sizeof(real));
        for (long u = 0; u < 3; ++u)
            for (long panel = 0; panel < PANELS(192); ++panel) {
                for (long row0 = 0; row0 < 128; row0 += height(128)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(128), 128 - row0);
                    const long count = least(NR, 192 - panel * NR);
                    multiply(tile, rows, count, false, left + n * 8192, at + row0, 128, 1024, right + u * 640 + panel * NR, 64, 640, 8, 8);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long k = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            own[k * 576 + u * 192 + column] += sum;
                        }
                }
            }
    }
}

// ∂E/∂W7 = Σₙ δ7ₙ ⋆(p=1) a6_3ₙ + 0.0002 W7    (128, 3, 3, 64) (64)
static void backward_dW7_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict dW7 = w->dW7;
    const real *restrict W7 = w->W7;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dW7_backward_dW7_parts)[part * 73728 + at];
        const real sum = total;
        dW7[at] = real(0.0002) * W7[at] + sum;  // (64)
    }
}

// ∂E/∂a6_2 = (5/4) (W7ᵀ ∗(p=1) δ7) ⊙ m6    (N, 8, 8, 64) (65)
static void backward_da6_2_pack(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W7 = w->W7;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 1152; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 1152); ++term) {
                    const long column = panel * NR + c;
                    const long u = term / 384, v3 = term / 128 % 3, k = term % 128;
                    w->backward_da6_2_panels[(panel * 1152 + term) * NR + c] = column < 64 ? W7[((k * 3 + -u + 2) * 3 + -v3 + 2) * 64 + column] : 0;
                }
}

// ∂E/∂a6_2 = (5/4) (W7ᵀ ∗(p=1) δ7) ⊙ m6    (N, 8, 8, 64) (65)
static void backward_da6_2(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict da6_2 = w->da6_2;
    const unsigned char *restrict m6 = w->m6;
    real *const left = w->backward_da6_2_left + id * 12864;
    const real *const right = w->backward_da6_2_panels;
    long at[64];
    for (long row = 0; row < 64; ++row) at[row] = row / 8 * 1280 + row % 8 * 128;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 8; ++i0)
            memcpy(left + (i0 + 1) * 1280 + 128, w->delta7 + n * 8192 + i0 * 1024, 1024 * sizeof(real));
        for (long first = 0; first < 64; first += 4 * height(64))
            for (long panel = 0; panel < PANELS(64); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(64), 64); row0 += height(64)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(64), 64 - row0);
                    const long count = least(NR, 64 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 1280, right + panel * 1152 * NR, 1 * NR, 384 * NR, 384, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            da6_2[n * 4096 + row * 64 + column] = real(1.25) * sum * m6[n * 4096 + row * 64 + column];  // (65)
                        }
                }
            }
    }
}

// δ6[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a6[n,2i+u,2j+v,k]] ∂E/∂a6_2[n,i,j,k]) [a6[n,p,q,k] > 0]    (N, 16, 16, 64) (66)
static void backward_delta6_sum_windows(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict delta6_sum_windows = w->delta6_sum_windows;
    const real *restrict a6_2 = w->a6_2;
    const real *restrict a6 = w->a6;
    const real *restrict da6_2 = w->da6_2;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 8; ++i) {
            for (long j = 0; j < 8; ++j) {
                for (long p = 0; p < 2; ++p) {
                    for (long q = 0; q < 2; ++q) {
                        EACH for (long k = 0; k < 64; ++k) {
                            const real best = a6_2[n * 4096 + i * 512 + j * 64 + k];
                            bool won = a6[n * 16384 + i * 2048 + p * 1024 + j * 128 + q * 64 + k] == best;
                            UNROLL for (int p_before = 0; p_before < 2; ++p_before)
                                UNROLL for (int q_before = 0; q_before < 2; ++q_before)
                                    won &= !((p_before * 2 + q_before < p * 2 + q)
                                        & (a6[((n * 16 + 2 * i + p_before) * 16 + 2 * j + q_before) * 64 + k] == best));
                            unsigned char delta6_winner_2 = won;  // (66)
                            delta6_sum_windows[n * 16384 + i * 2048 + j * 256 + p * 128 + q * 64 + k] = da6_2[n * 4096 + i * 512 + j * 64 + k] * delta6_winner_2;  // (66)
                        }
                    }
                }
            }
        }
    }
}

// δ6[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a6[n,2i+u,2j+v,k]] ∂E/∂a6_2[n,i,j,k]) [a6[n,p,q,k] > 0]    (N, 16, 16, 64) (66)
static void backward_delta6(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict delta6 = w->delta6;
    const real *restrict delta6_sum_windows = w->delta6_sum_windows;
    const real *restrict a6 = w->a6;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long p = 0; p < 16; ++p) {
            for (long q = 0; q < 16; ++q) {
                EACH for (long r2 = 0; r2 < 64; ++r2) {
                    real delta6_sum_2 = delta6_sum_windows[((((n * 8 + (p / 2)) * 8 + (q / 2)) * 2 + (p % 2)) * 2 + (q % 2)) * 64 + r2];  // (66)
                    delta6[n * 16384 + p * 1024 + q * 64 + r2] = a6[n * 16384 + p * 1024 + q * 64 + r2] > 0 ? delta6_sum_2 : 0;  // (66)
                }
            }
        }
    }
}

// ∂E/∂β6[k] = Σₙᵢⱼ δ6[n,i,j,k]    (64,) (67)
static void backward_dbeta6(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict delta6 = w->delta6;
    real *restrict own = (real *)w->dbeta6_backward_dbeta6_parts + id * 64;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 16; ++i) {
            for (long j = 0; j < 16; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    own[k] += delta6[n * 16384 + i * 1024 + j * 64 + k];
                }
            }
        }
    }
}

// ∂E/∂β6[k] = Σₙᵢⱼ δ6[n,i,j,k]    (64,) (67)
static void backward_dbeta6_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict dbeta6 = w->dbeta6;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dbeta6_backward_dbeta6_parts)[part * 64 + at];
        const real sum = total;
        dbeta6[at] = sum;  // (67)
    }
}

// ∂E/∂γ6[k] = Σₙᵢⱼ δ6[n,i,j,k] x̂6[n,i,j,k]    (64,) (68)
static void backward_dgamma6(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict delta6 = w->delta6;
    const real *restrict xhat6 = w->xhat6;
    real *restrict own = (real *)w->dgamma6_backward_dgamma6_parts + id * 64;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 16; ++i) {
            for (long j = 0; j < 16; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    own[k] += delta6[n * 16384 + i * 1024 + j * 64 + k] * xhat6[n * 16384 + i * 1024 + j * 64 + k];
                }
            }
        }
    }
}

// ∂E/∂γ6[k] = Σₙᵢⱼ δ6[n,i,j,k] x̂6[n,i,j,k]    (64,) (68)
static void backward_dgamma6_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict dgamma6 = w->dgamma6;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dgamma6_backward_dgamma6_parts)[part * 64 + at];
        const real sum = total;
        dgamma6[at] = sum;  // (68)
    }
}

// δ5[n,i,j,k] = γ6[k] (256 N δ6[n,i,j,k] − Σ_mpq δ6[m,p,q,k] − (Σ_mpq δ6[m,p,q,k] x̂6[m,p,q,k]) x̂6[n,i,j,k])/(256 N √(v6[k] + 1e-5))    (N, 16, 16, 64) (73)
static void backward_delta5(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict delta5 = w->delta5;
    const real *restrict gamma6 = w->gamma6;
    const real *restrict delta6 = w->delta6;
    const real *restrict dgamma6 = w->dgamma6;
    const real *restrict xhat6 = w->xhat6;
    const real *restrict dbeta6 = w->dbeta6;
    const real *restrict v6 = w->v6;
    const long N = w->N;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 16; ++i) {
            for (long j = 0; j < 16; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    delta5[n * 16384 + i * 1024 + j * 64 + k] = real(1. / 256. / (double)N) * gamma6[k] * (real(256. * (double)N) * delta6[n * 16384 + i * 1024 + j * 64 + k] - dgamma6[k] * xhat6[n * 16384 + i * 1024 + j * 64 + k] - dbeta6[k]) / sqrt(v6[k] + real(1e-05));  // (73)
                }
            }
        }
    }
}

// ∂E/∂W5 = Σₙ δ5ₙ ⋆(p=1) a4ₙ + 0.0002 W5    (64, 3, 3, 64) (74)
static void backward_dW5(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict own = w->dW5_backward_dW5_parts + id * 36864;
    const real *const left = w->delta5;
    real *const right = w->backward_dW5_right + id * 20800;
    long at[64];
    for (long row = 0; row < 64; ++row) at[row] = row * 1;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 16; ++i0)
            memcpy(right + (i0 + 1) * 1152 + 64, w->a4 + n * 16384 + i0 * 1024, 1024 * sizeof(real));
        for (long u = 0; u < 3; ++u)
            for (long panel = 0; panel < PANELS(192); ++panel) {
                for (long row0 = 0; row0 < 64; row0 += height(64)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(64), 64 - row0);
                    const long count = least(NR, 192 - panel * NR);
                    multiply(tile, rows, count, false, left + n * 16384, at + row0, 64, 1024, right + u * 1152 + panel * NR, 64, 1152, 16, 16);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long k = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            own[k * 576 + u * 192 + column] += sum;
                        }
                }
            }
    }
}

// ∂E/∂W5 = Σₙ δ5ₙ ⋆(p=1) a4ₙ + 0.0002 W5    (64, 3, 3, 64) (74)
static void backward_dW5_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict dW5 = w->dW5;
    const real *restrict W5 = w->W5;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dW5_backward_dW5_parts)[part * 36864 + at];
        const real sum = total;
        dW5[at] = real(0.0002) * W5[at] + sum;  // (74)
    }
}

// δ4 = (W5ᵀ ∗(p=1) δ5) ⊙ [a4 > 0]    (N, 16, 16, 64) (75)
static void backward_delta4_pack(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W5 = w->W5;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 576; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 576); ++term) {
                    const long column = panel * NR + c;
                    const long u = term / 192, v3 = term / 64 % 3, k = term % 64;
                    w->backward_delta4_panels[(panel * 576 + term) * NR + c] = column < 64 ? W5[((k * 3 + -u + 2) * 3 + -v3 + 2) * 64 + column] : 0;
                }
}

// δ4 = (W5ᵀ ∗(p=1) δ5) ⊙ [a4 > 0]    (N, 16, 16, 64) (75)
static void backward_delta4(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict delta4 = w->delta4;
    const real *restrict a4 = w->a4;
    real *const left = w->backward_delta4_left + id * 20800;
    const real *const right = w->backward_delta4_panels;
    long at[256];
    for (long row = 0; row < 256; ++row) at[row] = row / 16 * 1152 + row % 16 * 64;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 16; ++i0)
            memcpy(left + (i0 + 1) * 1152 + 64, w->delta5 + n * 16384 + i0 * 1024, 1024 * sizeof(real));
        for (long first = 0; first < 256; first += 4 * height(256))
            for (long panel = 0; panel < PANELS(64); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(256), 256); row0 += height(256)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(256), 256 - row0);
                    const long count = least(NR, 64 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 1152, right + panel * 576 * NR, 1 * NR, 192 * NR, 192, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            delta4[n * 16384 + row * 64 + column] = a4[n * 16384 + row * 64 + column] > 0 ? sum : 0;  // (75)
                        }
                }
            }
    }
}

// ∂E/∂β4[k] = Σₙᵢⱼ δ4[n,i,j,k]    (64,) (76)
static void backward_dbeta4(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict delta4 = w->delta4;
    real *restrict own = (real *)w->dbeta4_backward_dbeta4_parts + id * 64;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 16; ++i) {
            for (long j = 0; j < 16; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    own[k] += delta4[n * 16384 + i * 1024 + j * 64 + k];
                }
            }
        }
    }
}

// ∂E/∂β4[k] = Σₙᵢⱼ δ4[n,i,j,k]    (64,) (76)
static void backward_dbeta4_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict dbeta4 = w->dbeta4;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dbeta4_backward_dbeta4_parts)[part * 64 + at];
        const real sum = total;
        dbeta4[at] = sum;  // (76)
    }
}

// ∂E/∂γ4[k] = Σₙᵢⱼ δ4[n,i,j,k] x̂4[n,i,j,k]    (64,) (77)
static void backward_dgamma4(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict delta4 = w->delta4;
    const real *restrict xhat4 = w->xhat4;
    real *restrict own = (real *)w->dgamma4_backward_dgamma4_parts + id * 64;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 16; ++i) {
            for (long j = 0; j < 16; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    own[k] += delta4[n * 16384 + i * 1024 + j * 64 + k] * xhat4[n * 16384 + i * 1024 + j * 64 + k];
                }
            }
        }
    }
}

// ∂E/∂γ4[k] = Σₙᵢⱼ δ4[n,i,j,k] x̂4[n,i,j,k]    (64,) (77)
static void backward_dgamma4_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict dgamma4 = w->dgamma4;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dgamma4_backward_dgamma4_parts)[part * 64 + at];
        const real sum = total;
        dgamma4[at] = sum;  // (77)
    }
}

// δ3[n,i,j,k] = γ4[k] (256 N δ4[n,i,j,k] − Σ_mpq δ4[m,p,q,k] − (Σ_mpq δ4[m,p,q,k] x̂4[m,p,q,k]) x̂4[n,i,j,k])/(256 N √(v4[k] + 1e-5))    (N, 16, 16, 64) (82)
static void backward_delta3(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict delta3 = w->delta3;
    const real *restrict gamma4 = w->gamma4;
    const real *restrict delta4 = w->delta4;
    const real *restrict dgamma4 = w->dgamma4;
    const real *restrict xhat4 = w->xhat4;
    const real *restrict dbeta4 = w->dbeta4;
    const real *restrict v4 = w->v4;
    const long N = w->N;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 16; ++i) {
            for (long j = 0; j < 16; ++j) {
                EACH for (long k = 0; k < 64; ++k) {
                    delta3[n * 16384 + i * 1024 + j * 64 + k] = real(1. / 256. / (double)N) * gamma4[k] * (real(256. * (double)N) * delta4[n * 16384 + i * 1024 + j * 64 + k] - dgamma4[k] * xhat4[n * 16384 + i * 1024 + j * 64 + k] - dbeta4[k]) / sqrt(v4[k] + real(1e-05));  // (82)
                }
            }
        }
    }
}

// ∂E/∂W3 = Σₙ δ3ₙ ⋆(p=1) a2_3ₙ + 0.0002 W3    (64, 3, 3, 32) (83)
static void backward_dW3(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict own = w->dW3_backward_dW3_parts + id * 18432;
    const real *const left = w->delta3;
    real *const right = w->backward_dW3_right + id * 10432;
    long at[64];
    for (long row = 0; row < 64; ++row) at[row] = row * 1;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 16; ++i0)
            memcpy(right + (i0 + 1) * 576 + 32, w->a2_3 + n * 8192 + i0 * 512, 512 * sizeof(real));
        for (long u = 0; u < 3; ++u)
            for (long panel = 0; panel < PANELS(96); ++panel) {
                for (long row0 = 0; row0 < 64; row0 += height(64)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(64), 64 - row0);
                    const long count = least(NR, 96 - panel * NR);
                    multiply(tile, rows, count, false, left + n * 16384, at + row0, 64, 1024, right + u * 576 + panel * NR, 32, 576, 16, 16);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long k = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            own[k * 288 + u * 96 + column] += sum;
                        }
                }
            }
    }
}

// ∂E/∂W3 = Σₙ δ3ₙ ⋆(p=1) a2_3ₙ + 0.0002 W3    (64, 3, 3, 32) (83)
static void backward_dW3_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict dW3 = w->dW3;
    const real *restrict W3 = w->W3;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dW3_backward_dW3_parts)[part * 18432 + at];
        const real sum = total;
        dW3[at] = real(0.0002) * W3[at] + sum;  // (83)
    }
}

// ∂E/∂a2_2 = (10/9) (W3ᵀ ∗(p=1) δ3) ⊙ m2    (N, 16, 16, 32) (84)
static void backward_da2_2_pack(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W3 = w->W3;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 576; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 576); ++term) {
                    const long column = panel * NR + c;
                    const long u = term / 192, v3 = term / 64 % 3, k = term % 64;
                    w->backward_da2_2_panels[(panel * 576 + term) * NR + c] = column < 32 ? W3[((k * 3 + -u + 2) * 3 + -v3 + 2) * 32 + column] : 0;
                }
}

// ∂E/∂a2_2 = (10/9) (W3ᵀ ∗(p=1) δ3) ⊙ m2    (N, 16, 16, 32) (84)
static void backward_da2_2(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict da2_2 = w->da2_2;
    const unsigned char *restrict m2 = w->m2;
    real *const left = w->backward_da2_2_left + id * 20800;
    const real *const right = w->backward_da2_2_panels;
    long at[256];
    for (long row = 0; row < 256; ++row) at[row] = row / 16 * 1152 + row % 16 * 64;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 16; ++i0)
            memcpy(left + (i0 + 1) * 1152 + 64, w->delta3 + n * 16384 + i0 * 1024, 1024 * sizeof(real));
        for (long first = 0; first < 256; first += 4 * height(256))
            for (long panel = 0; panel < PANELS(32); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(256), 256); row0 += height(256)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(256), 256 - row0);
                    const long count = least(NR, 32 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 1152, right + panel * 576 * NR, 1 * NR, 192 * NR, 192, 3);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            da2_2[n * 8192 + row * 32 + column] = real(10. / 9.) * sum * m2[n * 8192 + row * 32 + column];  // (84)
                        }
                }
            }
    }
}

// δ2[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_2[n,i,j,k]) [a2[n,p,q,k] > 0]    (N, 32, 32, 32) (85)
static void backward_delta2_sum_windows(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict delta2_sum_windows = w->delta2_sum_windows;
    const real *restrict a2_2 = w->a2_2;
    const real *restrict a2 = w->a2;
    const real *restrict da2_2 = w->da2_2;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 16; ++i) {
            for (long j = 0; j < 16; ++j) {
                for (long p = 0; p < 2; ++p) {
                    for (long q = 0; q < 2; ++q) {
                        EACH for (long k = 0; k < 32; ++k) {
                            const real best = a2_2[n * 8192 + i * 512 + j * 32 + k];
                            bool won = a2[n * 32768 + i * 2048 + p * 1024 + j * 64 + q * 32 + k] == best;
                            UNROLL for (int p_before = 0; p_before < 2; ++p_before)
                                UNROLL for (int q_before = 0; q_before < 2; ++q_before)
                                    won &= !((p_before * 2 + q_before < p * 2 + q)
                                        & (a2[((n * 32 + 2 * i + p_before) * 32 + 2 * j + q_before) * 32 + k] == best));
                            unsigned char delta2_winner_2 = won;  // (85)
                            delta2_sum_windows[n * 32768 + i * 2048 + j * 128 + p * 64 + q * 32 + k] = da2_2[n * 8192 + i * 512 + j * 32 + k] * delta2_winner_2;  // (85)
                        }
                    }
                }
            }
        }
    }
}

// δ2[n,p,q,k] = (Σᵢⱼ [(p − 2 i, q − 2 j) = argmax_{u,v<2} a2[n,2i+u,2j+v,k]] ∂E/∂a2_2[n,i,j,k]) [a2[n,p,q,k] > 0]    (N, 32, 32, 32) (85)
static void backward_delta2(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict delta2 = w->delta2;
    const real *restrict delta2_sum_windows = w->delta2_sum_windows;
    const real *restrict a2 = w->a2;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long p = 0; p < 32; ++p) {
            for (long q = 0; q < 32; ++q) {
                EACH for (long r2 = 0; r2 < 32; ++r2) {
                    real delta2_sum_2 = delta2_sum_windows[((((n * 16 + (p / 2)) * 16 + (q / 2)) * 2 + (p % 2)) * 2 + (q % 2)) * 32 + r2];  // (85)
                    delta2[n * 32768 + p * 1024 + q * 32 + r2] = a2[n * 32768 + p * 1024 + q * 32 + r2] > 0 ? delta2_sum_2 : 0;  // (85)
                }
            }
        }
    }
}

// ∂E/∂β2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (86)
static void backward_dbeta2(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict delta2 = w->delta2;
    real *restrict own = (real *)w->dbeta2_backward_dbeta2_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 32; ++i) {
            for (long j = 0; j < 32; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += delta2[n * 32768 + i * 1024 + j * 32 + k];
                }
            }
        }
    }
}

// ∂E/∂β2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (32,) (86)
static void backward_dbeta2_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict dbeta2 = w->dbeta2;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dbeta2_backward_dbeta2_parts)[part * 32 + at];
        const real sum = total;
        dbeta2[at] = sum;  // (86)
    }
}

// ∂E/∂γ2[k] = Σₙᵢⱼ δ2[n,i,j,k] x̂2[n,i,j,k]    (32,) (87)
static void backward_dgamma2(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict delta2 = w->delta2;
    const real *restrict xhat2 = w->xhat2;
    real *restrict own = (real *)w->dgamma2_backward_dgamma2_parts + id * 32;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 32; ++i) {
            for (long j = 0; j < 32; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    own[k] += delta2[n * 32768 + i * 1024 + j * 32 + k] * xhat2[n * 32768 + i * 1024 + j * 32 + k];
                }
            }
        }
    }
}

// ∂E/∂γ2[k] = Σₙᵢⱼ δ2[n,i,j,k] x̂2[n,i,j,k]    (32,) (87)
static void backward_dgamma2_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict dgamma2 = w->dgamma2;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dgamma2_backward_dgamma2_parts)[part * 32 + at];
        const real sum = total;
        dgamma2[at] = sum;  // (87)
    }
}

// δ1[n,i,j,k] = γ2[k] (1024 N δ2[n,i,j,k] − Σ_mpq δ2[m,p,q,k] − (Σ_mpq δ2[m,p,q,k] x̂2[m,p,q,k]) x̂2[n,i,j,k])/(1024 N √(v2[k] + 1e-5))    (N, 32, 32, 32) (92)
static void backward_delta1(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict delta1 = w->delta1;
    const real *restrict gamma2 = w->gamma2;
    const real *restrict delta2 = w->delta2;
    const real *restrict dgamma2 = w->dgamma2;
    const real *restrict xhat2 = w->xhat2;
    const real *restrict dbeta2 = w->dbeta2;
    const real *restrict v2 = w->v2;
    const long N = w->N;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 32; ++i) {
            for (long j = 0; j < 32; ++j) {
                EACH for (long k = 0; k < 32; ++k) {
                    delta1[n * 32768 + i * 1024 + j * 32 + k] = real(1. / 1024. / (double)N) * gamma2[k] * (real(1024. * (double)N) * delta2[n * 32768 + i * 1024 + j * 32 + k] - dgamma2[k] * xhat2[n * 32768 + i * 1024 + j * 32 + k] - dbeta2[k]) / sqrt(v2[k] + real(1e-05));  // (92)
                }
            }
        }
    }
}

// ∂E/∂W1 = Σₙ δ1ₙ ⋆(p=1) a0ₙ + 0.0002 W1    (32, 3, 3, 3) (93)
static void backward_dW1(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict own = w->dW1_backward_dW1_parts + id * 864;
    real *const left = w->backward_dW1_left + id * 3536;
    const real *const right = w->delta1;
    long at[27];
    for (long row = 0; row < 27; ++row) at[row] = row / 9 * 102 + row % 9 * 1;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 32; ++i0)
            memcpy(left + (i0 + 1) * 102 + 3, w->x + n * 3072 + i0 * 96, 96 * sizeof(real));
        for (long panel = 0; panel < PANELS(32); ++panel) {
            for (long row0 = 0; row0 < 27; row0 += height(27)) {
                _Alignas(64) real tile[MR * NR];
                const long rows = least(height(27), 27 - row0);
                const long count = least(NR, 32 - panel * NR);
                multiply(tile, rows, count, false, left, at + row0, 3, 102, right + n * 32768 + panel * NR, 32, 1024, 32, 32);
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

// ∂E/∂W1 = Σₙ δ1ₙ ⋆(p=1) a0ₙ + 0.0002 W1    (32, 3, 3, 3) (93)
static void backward_dW1_total(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict dW1 = w->dW1;
    const real *restrict W1 = w->W1;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dW1_backward_dW1_parts)[part * 864 + at];
        const real sum = total;
        dW1[at] = real(0.0002) * W1[at] + sum;  // (93)
    }
}

/* ---- Statistics --------------------------------------------------------------------------------- */

// μ̄2 ← 0.9 μ̄2 + 0.1 μ2    (32,) (95)
// v̄2 ← 0.9 v̄2 + 102.4 N v2/(1024 N − 1)    (32,) (96)
static void statistics_var2(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict mean2 = w->mean2;
    real *restrict var2 = w->var2;
    const real *restrict mu2 = w->mu2;
    const real *restrict v2 = w->v2;
    const long N = w->N;
    (void)id;
    EACH for (long k = from; k < to; ++k) {
        mean2[k] = real(0.9) * mean2[k] + real(0.1) * mu2[k];  // (95)
        var2[k] = real(512. / 5. * (double)N / (1024. * (double)N - 1.)) * v2[k] + real(0.9) * var2[k];  // (96)
    }
}

// μ̄4 ← 0.9 μ̄4 + 0.1 μ4    (64,) (97)
// v̄4 ← 0.9 v̄4 + 25.6 N v4/(256 N − 1)    (64,) (98)
// μ̄6 ← 0.9 μ̄6 + 0.1 μ6    (64,) (99)
// v̄6 ← 0.9 v̄6 + 25.6 N v6/(256 N − 1)    (64,) (100)
static void statistics_var6(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict mean4 = w->mean4;
    real *restrict var4 = w->var4;
    real *restrict mean6 = w->mean6;
    real *restrict var6 = w->var6;
    const real *restrict mu4 = w->mu4;
    const real *restrict v4 = w->v4;
    const real *restrict mu6 = w->mu6;
    const real *restrict v6 = w->v6;
    const long N = w->N;
    (void)id;
    EACH for (long k = from; k < to; ++k) {
        mean4[k] = real(0.9) * mean4[k] + real(0.1) * mu4[k];  // (97)
        var4[k] = real(128. / 5. * (double)N / (256. * (double)N - 1.)) * v4[k] + real(0.9) * var4[k];  // (98)
        mean6[k] = real(0.9) * mean6[k] + real(0.1) * mu6[k];  // (99)
        var6[k] = real(128. / 5. * (double)N / (256. * (double)N - 1.)) * v6[k] + real(0.9) * var6[k];  // (100)
    }
}

// μ̄8 ← 0.9 μ̄8 + 0.1 μ8    (128,) (101)
// v̄8 ← 0.9 v̄8 + 6.4 N v8/(64 N − 1)    (128,) (102)
static void statistics_var8(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict mean8 = w->mean8;
    real *restrict var8 = w->var8;
    const real *restrict mu8 = w->mu8;
    const real *restrict v8 = w->v8;
    const long N = w->N;
    (void)id;
    EACH for (long k = from; k < to; ++k) {
        mean8[k] = real(0.9) * mean8[k] + real(0.1) * mu8[k];  // (101)
        var8[k] = real(32. / 5. * (double)N / (64. * (double)N - 1.)) * v8[k] + real(0.9) * var8[k];  // (102)
    }
}

/* ---- Input gradient ----------------------------------------------------------------------------- */

// ∂E/∂x = W1ᵀ ∗(p=1) δ1    (N, 32, 32, 3) (94)
static void input_gradient_dx_pack(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    const real *restrict W1 = w->W1;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 288; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 288); ++term) {
                    const long column = panel * NR + c;
                    const long u = term / 96, v3 = term / 32 % 3, k = term % 32;
                    w->input_gradient_dx_panels[(panel * 288 + term) * NR + c] = column < 3 ? W1[((k * 3 + -u + 2) * 3 + -v3 + 2) * 3 + column] : 0;
                }
}

// ∂E/∂x = W1ᵀ ∗(p=1) δ1    (N, 32, 32, 3) (94)
static void input_gradient_dx(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict dx = w->dx;
    real *const left = w->input_gradient_dx_left + id * 37056;
    const real *const right = w->input_gradient_dx_panels;
    long at[1024];
    for (long row = 0; row < 1024; ++row) at[row] = row / 32 * 1088 + row % 32 * 32;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 32; ++i0)
            memcpy(left + (i0 + 1) * 1088 + 32, w->delta1 + n * 32768 + i0 * 1024, 1024 * sizeof(real));
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
                            dx[n * 3072 + row * 3 + column] = sum;  // (94)
                        }
                }
            }
    }
}

/* ---- Update ------------------------------------------------------------------------------------- */

// ηₖ = η (cos(π (k − 1)/K) + 1) min(1, k/w)/2    () (103)
static void update_eta(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    double *restrict eta = w->eta;
    const long *step = &w->step;
    const long *steps = &w->steps;
    (void)id;
    (void)from, (void)to;
    eta[0] = LEARNING_RATE * (1. + cos(3.141592653589793 * ((double)step[0] - 1.) / (double)steps[0])) * ((double)step[0] / WARMUP >= 1. ? 1. : (double)step[0] / WARMUP) / 2.;  // (103)
}

// m ← β1 m + (1 − β1) g    (394026,) (104)
// v ← β2 v + (1 − β2) g ⊙ g    (394026,) (105)
// θ ← θ − ηₖ m/((1 − β1^k) (√(v/(1 − β2^k)) + ε))    (394026,) (106)
static void update_theta(struct cifar10_cnn_84 *w, int id, long from, long to)
{
    real *restrict m = w->m;
    real *restrict v = w->v;
    real *restrict theta = w->theta;
    const real *restrict g = w->g;
    const double *restrict eta = w->eta;
    const long *step = &w->step;
    (void)id;
    EACH for (long i = from; i < to; ++i) {
        real m_2 = real(BETA1) * m[i] + real(1. - BETA1) * g[i];  // (104)
        m[i] = m_2;  // (104)
        real v_2 = real(BETA2) * v[i] + real(1. - BETA2) * square(g[i]);  // (105)
        v[i] = v_2;  // (105)
        theta[i] = theta[i] - real(1. / (1. - pow(BETA1, (double)step[0]))) * m_2 * real(eta[0]) / (sqrt(real(1. / (1. - pow(BETA2, (double)step[0]))) * v_2) + real(EPSILON));  // (106)
    }
}

/* ---- What threads do, part by part ----------------------------------------------------------------- */
static void forward(struct cifar10_cnn_84 *w, int id)
{
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_m2(w, id, n, n + 1);
        forward_m6(w, id, n, n + 1);
        forward_m8(w, id, n, n + 1);
        forward_m9(w, id, n, n + 1);
    }
    forward_z1_pack(w, id, share(w, id, PANELS(32)), share(w, id + 1, PANELS(32)));
    barrier(w);
    for (long e = 0; e < 32; ++e) ((real *)w->mu2_forward_mu2_parts)[id * 32 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_z1(w, id, n, n + 1);
        forward_mu2(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) forward_mu2_total(w, id, 0, 32);
    barrier(w);
    for (long e = 0; e < 32; ++e) ((real *)w->v2_forward_v2_parts)[id * 32 + e] = 0;
    forward_v2(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) forward_v2_total(w, id, 0, 32);
    barrier(w);
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_a2(w, id, n, n + 1);
        forward_a2_3(w, id, n, n + 1);
    }
    forward_z3_pack(w, id, share(w, id, PANELS(64)), share(w, id + 1, PANELS(64)));
    barrier(w);
    for (long e = 0; e < 64; ++e) ((real *)w->mu4_forward_mu4_parts)[id * 64 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_z3(w, id, n, n + 1);
        forward_mu4(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) forward_mu4_total(w, id, 0, 64);
    barrier(w);
    for (long e = 0; e < 64; ++e) ((real *)w->v4_forward_v4_parts)[id * 64 + e] = 0;
    forward_v4(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) forward_v4_total(w, id, 0, 64);
    barrier(w);
    forward_a4(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    forward_z5_pack(w, id, share(w, id, PANELS(64)), share(w, id + 1, PANELS(64)));
    barrier(w);
    for (long e = 0; e < 64; ++e) ((real *)w->mu6_forward_mu6_parts)[id * 64 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_z5(w, id, n, n + 1);
        forward_mu6(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) forward_mu6_total(w, id, 0, 64);
    barrier(w);
    for (long e = 0; e < 64; ++e) ((real *)w->v6_forward_v6_parts)[id * 64 + e] = 0;
    forward_v6(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) forward_v6_total(w, id, 0, 64);
    barrier(w);
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_a6(w, id, n, n + 1);
        forward_a6_3(w, id, n, n + 1);
    }
    forward_z7_pack(w, id, share(w, id, PANELS(128)), share(w, id + 1, PANELS(128)));
    barrier(w);
    for (long e = 0; e < 128; ++e) ((real *)w->mu8_forward_mu8_parts)[id * 128 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_z7(w, id, n, n + 1);
        forward_mu8(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) forward_mu8_total(w, id, 0, 128);
    barrier(w);
    for (long e = 0; e < 128; ++e) ((real *)w->v8_forward_v8_parts)[id * 128 + e] = 0;
    forward_v8(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) forward_v8_total(w, id, 0, 128);
    barrier(w);
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_a8(w, id, n, n + 1);
        forward_a8_3(w, id, n, n + 1);
    }
    barrier(w);
    forward_a9_2(w, id, share(w, id, PANELS(128)), share(w, id + 1, PANELS(128)));
    barrier(w);
    forward_z10(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    forward_a10(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
}

static void evaluation(struct cifar10_cnn_84 *w, int id)
{
    evaluation_a2_pack(w, id, share(w, id, PANELS(32)), share(w, id + 1, PANELS(32)));
    barrier(w);
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        evaluation_a2(w, id, n, n + 1);
        evaluation_a2_3(w, id, n, n + 1);
    }
    evaluation_a4_pack(w, id, share(w, id, PANELS(64)), share(w, id + 1, PANELS(64)));
    barrier(w);
    evaluation_a4(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    evaluation_a6_pack(w, id, share(w, id, PANELS(64)), share(w, id + 1, PANELS(64)));
    barrier(w);
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        evaluation_a6(w, id, n, n + 1);
        evaluation_a6_3(w, id, n, n + 1);
    }
    evaluation_a8_pack(w, id, share(w, id, PANELS(128)), share(w, id + 1, PANELS(128)));
    barrier(w);
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        evaluation_a8(w, id, n, n + 1);
        evaluation_a8_3(w, id, n, n + 1);
    }
    barrier(w);
    evaluation_a9_2(w, id, share(w, id, PANELS(128)), share(w, id + 1, PANELS(128)));
    barrier(w);
    forward_z10(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    forward_a10(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
}

static void loss(struct cifar10_cnn_84 *w, int id)
{
    for (long e = 0; e < 1; ++e) ((double *)w->E_sum_7_loss_E_sum_7_parts)[id * 16 + e] = 0;
    for (long e = 0; e < 1; ++e) ((double *)w->E_sum_8_loss_E_parts)[id * 16 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        loss_T(w, id, n, n + 1);
        loss_E_sum_7(w, id, n, n + 1);
        loss_E(w, id, n, n + 1);
    }
    for (long e = 0; e < 1; ++e) ((double *)w->E_sum_loss_E_sum_parts)[id * 16 + e] = 0;
    loss_E_sum(w, id, share(w, id, 10), share(w, id + 1, 10));
    barrier(w);
    if (id == 0) loss_E_sum_total(w, id, 0, 1);
    for (long e = 0; e < 1; ++e) ((double *)w->E_sum_2_loss_E_sum_2_parts)[id * 16 + e] = 0;
    loss_E_sum_2(w, id, share(w, id, 128), share(w, id + 1, 128));
    barrier(w);
    if (id == 0) loss_E_sum_2_total(w, id, 0, 1);
    for (long e = 0; e < 1; ++e) ((double *)w->E_sum_3_loss_E_sum_3_parts)[id * 16 + e] = 0;
    loss_E_sum_3(w, id, share(w, id, 32), share(w, id + 1, 32));
    barrier(w);
    if (id == 0) loss_E_sum_3_total(w, id, 0, 1);
    for (long e = 0; e < 1; ++e) ((double *)w->E_sum_4_loss_E_sum_4_parts)[id * 16 + e] = 0;
    loss_E_sum_4(w, id, share(w, id, 64), share(w, id + 1, 64));
    barrier(w);
    if (id == 0) loss_E_sum_4_total(w, id, 0, 1);
    for (long e = 0; e < 1; ++e) ((double *)w->E_sum_5_loss_E_sum_5_parts)[id * 16 + e] = 0;
    loss_E_sum_5(w, id, share(w, id, 64), share(w, id + 1, 64));
    barrier(w);
    if (id == 0) loss_E_sum_5_total(w, id, 0, 1);
    for (long e = 0; e < 1; ++e) ((double *)w->E_sum_6_loss_E_sum_6_parts)[id * 16 + e] = 0;
    loss_E_sum_6(w, id, share(w, id, 128), share(w, id + 1, 128));
    barrier(w);
    if (id == 0) loss_E_sum_6_total(w, id, 0, 1);
    if (id == 0) loss_E_sum_7_total(w, id, 0, 1);
    barrier(w);
    if (id == 0) loss_E_total(w, id, 0, 1);
    barrier(w);
}

static void backward(struct cifar10_cnn_84 *w, int id)
{
    for (long e = 0; e < 10; ++e) ((real *)w->db10_backward_db10_parts)[id * 16 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta10(w, id, n, n + 1);
        backward_db10(w, id, n, n + 1);
    }
    barrier(w);
    backward_dW10(w, id, share(w, id, (10 + MR - 1) / MR), share(w, id + 1, (10 + MR - 1) / MR));
    barrier(w);
    if (id == 0) backward_db10_total(w, id, 0, 10);
    backward_delta9(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    backward_dW9(w, id, share(w, id, (128 + MR - 1) / MR), share(w, id + 1, (128 + MR - 1) / MR));
    for (long e = 0; e < 128; ++e) ((real *)w->db9_backward_db9_parts)[id * 128 + e] = 0;
    backward_db9(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) backward_db9_total(w, id, 0, 128);
    backward_da8_4(w, id, share(w, id, PANELS(2048)), share(w, id + 1, PANELS(2048)));
    barrier(w);
    for (long e = 0; e < 128; ++e) ((real *)w->dbeta8_backward_dbeta8_parts)[id * 128 + e] = 0;
    for (long e = 0; e < 128; ++e) ((real *)w->dgamma8_backward_dgamma8_parts)[id * 128 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta8_sum_windows(w, id, n, n + 1);
        backward_delta8(w, id, n, n + 1);
        backward_dbeta8(w, id, n, n + 1);
        backward_dgamma8(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) backward_dbeta8_total(w, id, 0, 128);
    barrier(w);
    if (id == 0) backward_dgamma8_total(w, id, 0, 128);
    barrier(w);
    memset(w->dW7_backward_dW7_parts + id * 73728, 0, 73728 * sizeof(real));
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta7(w, id, n, n + 1);
        backward_dW7(w, id, n, n + 1);
    }
    barrier(w);
    backward_dW7_total(w, id, share(w, id, 73728), share(w, id + 1, 73728));
    backward_da6_2_pack(w, id, share(w, id, PANELS(64)), share(w, id + 1, PANELS(64)));
    barrier(w);
    for (long e = 0; e < 64; ++e) ((real *)w->dbeta6_backward_dbeta6_parts)[id * 64 + e] = 0;
    for (long e = 0; e < 64; ++e) ((real *)w->dgamma6_backward_dgamma6_parts)[id * 64 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_da6_2(w, id, n, n + 1);
        backward_delta6_sum_windows(w, id, n, n + 1);
        backward_delta6(w, id, n, n + 1);
        backward_dbeta6(w, id, n, n + 1);
        backward_dgamma6(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) backward_dbeta6_total(w, id, 0, 64);
    barrier(w);
    if (id == 0) backward_dgamma6_total(w, id, 0, 64);
    barrier(w);
    memset(w->dW5_backward_dW5_parts + id * 36864, 0, 36864 * sizeof(real));
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta5(w, id, n, n + 1);
        backward_dW5(w, id, n, n + 1);
    }
    barrier(w);
    backward_dW5_total(w, id, share(w, id, 36864), share(w, id + 1, 36864));
    backward_delta4_pack(w, id, share(w, id, PANELS(64)), share(w, id + 1, PANELS(64)));
    barrier(w);
    for (long e = 0; e < 64; ++e) ((real *)w->dbeta4_backward_dbeta4_parts)[id * 64 + e] = 0;
    for (long e = 0; e < 64; ++e) ((real *)w->dgamma4_backward_dgamma4_parts)[id * 64 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta4(w, id, n, n + 1);
        backward_dbeta4(w, id, n, n + 1);
        backward_dgamma4(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) backward_dbeta4_total(w, id, 0, 64);
    barrier(w);
    if (id == 0) backward_dgamma4_total(w, id, 0, 64);
    barrier(w);
    memset(w->dW3_backward_dW3_parts + id * 18432, 0, 18432 * sizeof(real));
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta3(w, id, n, n + 1);
        backward_dW3(w, id, n, n + 1);
    }
    barrier(w);
    backward_dW3_total(w, id, share(w, id, 18432), share(w, id + 1, 18432));
    backward_da2_2_pack(w, id, share(w, id, PANELS(32)), share(w, id + 1, PANELS(32)));
    barrier(w);
    for (long e = 0; e < 32; ++e) ((real *)w->dbeta2_backward_dbeta2_parts)[id * 32 + e] = 0;
    for (long e = 0; e < 32; ++e) ((real *)w->dgamma2_backward_dgamma2_parts)[id * 32 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_da2_2(w, id, n, n + 1);
        backward_delta2_sum_windows(w, id, n, n + 1);
        backward_delta2(w, id, n, n + 1);
        backward_dbeta2(w, id, n, n + 1);
        backward_dgamma2(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) backward_dbeta2_total(w, id, 0, 32);
    barrier(w);
    if (id == 0) backward_dgamma2_total(w, id, 0, 32);
    barrier(w);
    memset(w->dW1_backward_dW1_parts + id * 864, 0, 864 * sizeof(real));
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta1(w, id, n, n + 1);
        backward_dW1(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) backward_dW1_total(w, id, 0, 864);
    barrier(w);
}

static void statistics(struct cifar10_cnn_84 *w, int id)
{
    statistics_var2(w, id, share(w, id, 32), share(w, id + 1, 32));
    statistics_var6(w, id, share(w, id, 64), share(w, id + 1, 64));
    statistics_var8(w, id, share(w, id, 128), share(w, id + 1, 128));
    barrier(w);
}

static void input_gradient(struct cifar10_cnn_84 *w, int id)
{
    input_gradient_dx_pack(w, id, share(w, id, PANELS(3)), share(w, id + 1, PANELS(3)));
    barrier(w);
    input_gradient_dx(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
}

static void update(struct cifar10_cnn_84 *w, int id)
{
    if (id == 0) update_eta(w, id, 0, 1);
    barrier(w);
    update_theta(w, id, share(w, id, 394026), share(w, id + 1, 394026));
    barrier(w);
}

static void output_job(struct cifar10_cnn_84 *w, int id)
{
    evaluation(w, id);
}

static void evaluation_job(struct cifar10_cnn_84 *w, int id)
{
    evaluation(w, id);
    loss(w, id);
}

static void loss_job(struct cifar10_cnn_84 *w, int id)
{
    forward(w, id);
    loss(w, id);
}

static void gradient_job(struct cifar10_cnn_84 *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
}

static void input_job(struct cifar10_cnn_84 *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
    input_gradient(w, id);
}

static void update_job(struct cifar10_cnn_84 *w, int id)
{
    update(w, id);
}

static void step_job(struct cifar10_cnn_84 *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
    statistics(w, id);
    update(w, id);
}

/* ---- What is called -------------------------------------------------------------------------------- */
static const long WORK = 118365696; /* floating-point operations of a sample in a step */

static void take(struct cifar10_cnn_84 *w, const real *theta, const real *statistics, const real *x, const int32_t *t, long N,
    uint64_t seed)
{
    w->N = N, w->seed = seed;
    (void)theta, (void)statistics, (void)x, (void)t;
    w->x = (real *)(uintptr_t)x;
    w->t = (int *)(uintptr_t)t;
    w->W1 = (real *)(uintptr_t)theta + 0;
    w->gamma2 = (real *)(uintptr_t)theta + 864;
    w->beta2 = (real *)(uintptr_t)theta + 896;
    w->W3 = (real *)(uintptr_t)theta + 928;
    w->gamma4 = (real *)(uintptr_t)theta + 19360;
    w->beta4 = (real *)(uintptr_t)theta + 19424;
    w->W5 = (real *)(uintptr_t)theta + 19488;
    w->gamma6 = (real *)(uintptr_t)theta + 56352;
    w->beta6 = (real *)(uintptr_t)theta + 56416;
    w->W7 = (real *)(uintptr_t)theta + 56480;
    w->gamma8 = (real *)(uintptr_t)theta + 130208;
    w->beta8 = (real *)(uintptr_t)theta + 130336;
    w->b9 = (real *)(uintptr_t)theta + 392608;
    w->W9 = (real *)(uintptr_t)theta + 130464;
    w->b10 = (real *)(uintptr_t)theta + 394016;
    w->W10 = (real *)(uintptr_t)theta + 392736;
    w->mean2 = (real *)(uintptr_t)statistics + 0;
    w->var2 = (real *)(uintptr_t)statistics + 32;
    w->mean4 = (real *)(uintptr_t)statistics + 64;
    w->var4 = (real *)(uintptr_t)statistics + 128;
    w->mean6 = (real *)(uintptr_t)statistics + 192;
    w->var6 = (real *)(uintptr_t)statistics + 256;
    w->mean8 = (real *)(uintptr_t)statistics + 320;
    w->var8 = (real *)(uintptr_t)statistics + 448;
}

static void give(struct cifar10_cnn_84 *w, real *gradients)
{
    (void)w, (void)gradients;
    w->dW10 = gradients + 392736;
    w->db10 = gradients + 394016;
    w->dW9 = gradients + 130464;
    w->db9 = gradients + 392608;
    w->dbeta8 = gradients + 130336;
    w->dgamma8 = gradients + 130208;
    w->dW7 = gradients + 56480;
    w->dbeta6 = gradients + 56416;
    w->dgamma6 = gradients + 56352;
    w->dW5 = gradients + 19488;
    w->dbeta4 = gradients + 19424;
    w->dgamma4 = gradients + 19360;
    w->dW3 = gradients + 928;
    w->dbeta2 = gradients + 896;
    w->dgamma2 = gradients + 864;
    w->dW1 = gradients + 0;
}

static void prepare(struct cifar10_cnn_84 *w, real *theta, const real *gradients, real *const *state, long step, long steps)
{
    w->step = step, w->steps = steps;
    (void)theta, (void)gradients, (void)state;
    w->g = (real *)(uintptr_t)gradients;
    w->theta = theta;
    w->m = state[0];
    w->v = state[1];
}

void cifar10_cnn_84_predict(struct cifar10_cnn_84 *w, const real *theta, const real *statistics, const real *x, long N, real *y)
{
    take(w, theta, statistics, x, NULL, N, 0);
    run(w, output_job, N * WORK / 3);
    memcpy(y, w->a10, (size_t)N * 10 * sizeof(real));
}

double cifar10_cnn_84_loss(struct cifar10_cnn_84 *w, const real *theta, const real *statistics, const real *x, const int32_t *t,
    long N, uint64_t seed)
{
    take(w, theta, statistics, x, t, N, seed);
    run(w, loss_job, N * WORK / 3);
    return w->E[0];
}

double cifar10_cnn_84_evaluation_loss(struct cifar10_cnn_84 *w, const real *theta, const real *statistics, const real *x,
    const int32_t *t, long N)
{
    take(w, theta, statistics, x, t, N, 0);
    run(w, evaluation_job, N * WORK / 3);
    return w->E[0];
}

double cifar10_cnn_84_loss_and_gradients(struct cifar10_cnn_84 *w, const real *theta, const real *statistics, const real *x,
    const int32_t *t, long N, uint64_t seed, real *gradients)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, gradients);
    run(w, gradient_job, N * WORK);
    return w->E[0];
}

double cifar10_cnn_84_input_gradient(struct cifar10_cnn_84 *w, const real *theta, const real *statistics, const real *x,
    const int32_t *t, long N, uint64_t seed, real *dx)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, w->gradients);
    run(w, input_job, N * WORK);
    memcpy(dx, w->dx, (size_t)N * 3072 * sizeof(real));
    return w->E[0];
}

void cifar10_cnn_84_update(struct cifar10_cnn_84 *w, real *theta, const real *gradients, real *const *state, long step, long steps,
    double *rate)
{
    prepare(w, theta, gradients, state, step, steps);
    run(w, update_job, 10L * 394026);
    if (rate) *rate = w->eta[0];
}

double cifar10_cnn_84_step(struct cifar10_cnn_84 *w, real *theta, real *statistics, real *const *state, const real *x,
    const int32_t *t, long N, uint64_t seed, long step, long steps, double *rate)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, w->gradients);
    prepare(w, theta, w->gradients, state, step, steps);
    run(w, step_job, N * WORK);
    if (rate) *rate = w->eta[0];
    return w->E[0];
}
