/* lenet5: 28x28x1-28x28x6-10x10x16-120-84-10, tanh, avg_pool2d, softmax; cross_entropy; adam; 61,706 parameters
 *
 * Generated from lenet5.toml (sha256 6279f96d); change the spec, not this file.  A number in
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

static inline float tanh_float(float u) /* -e / (2 + e) with e = exp(-2|u|) - 1, of u's sign */
{
    float scale, half;
    const float rest = exp_rest_float(u < 0 ? 2 * u : -2 * u, &scale, &half);
    const float power = scale * half, e = power * rest + (power - 1), found = 0 - e / (2 + e);
    return u < 0 ? -found : found;
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

static inline double tanh_double(double u) /* -e / (2 + e) with e = exp(-2|u|) - 1, of u's sign */
{
    double scale, half;
    const double rest = exp_rest_double(u < 0 ? 2 * u : -2 * u, &scale, &half);
    const double power = scale * half, e = power * rest + (power - 1), found = 0 - e / (2 + e);
    return u < 0 ? -found : found;
}

#undef exp
#define exp(u) _Generic((u), float: exp_float, default: exp_double)(u)
#undef tanh
#define tanh(u) _Generic((u), float: tanh_float, default: tanh_double)(u)

static inline real square(real u) { return u * u; }
static inline real maximum(real a, real b) /* a NaN stays one */
{
    const real greater = a > b ? a : b;
    return a != a ? a : greater;
}
static inline bool inside(long i, long size) { return 0 <= i && i < size; }


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
struct lenet5 {
    long samples, N, step, steps;
    uint64_t seed;
    int threads, team;
    void (*job)(struct lenet5 *, int);
    pthread_t *helpers;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_int arrived, turn, begun;
    int started, stop;
    void *memory;
    real *gradients;
    real *W1;
    real *b1;
    real *x;
    real *a1;
    real *a1_2;
    real *W2;
    real *b2;
    real *a2;
    real *a2_2;
    real *b3;
    real *W3;
    real *a3;
    real *b4;
    real *W4;
    real *a4;
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
    real *delta4;
    real *dW4;
    real *db4;
    real *delta3;
    real *dW3;
    real *db3;
    real *da2_3;
    real *delta2;
    real *dW2;
    real *db2;
    real *delta1;
    real *dW1;
    real *db1;
    real *dx;
    real *m;
    real *g;
    real *v;
    real *theta;
    real *delta5;
    real *da1_2;
    real *forward_a1_panels;
    real *forward_a1_left;
    real *forward_a2_panels;
    real *E_sum_loss_E_sum_parts;
    real *E_sum_2_loss_E_parts;
    real *db5_backward_db5_parts;
    real *backward_delta4_panels;
    real *db4_backward_db4_parts;
    real *backward_delta3_panels;
    real *db3_backward_db3_parts;
    real *dW2_backward_dW2_parts;
    real *db2_backward_db2_parts;
    real *backward_da1_2_panels;
    real *backward_da1_2_left;
    real *backward_dW1_right;
    real *dW1_backward_dW1_parts;
    real *db1_backward_db1_parts;
};

/* Let the workspace's pointers be into memory for N samples, if there is any; return how much that is. */
static size_t lay(struct lenet5 *w, char *memory, size_t N, size_t threads)
{
    size_t at = 0;
    (void)N, (void)threads;
    if (memory) w->a1 = (real *)(void *)(memory + at);
    at += (N * 28 * 28 * 6 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a1_2 = (real *)(void *)(memory + at);
    at += (N * 14 * 14 * 6 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a2 = (real *)(void *)(memory + at);
    at += (N * 10 * 10 * 16 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a2_2 = (real *)(void *)(memory + at);
    at += (N * 5 * 5 * 16 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a3 = (real *)(void *)(memory + at);
    at += (N * 120 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a4 = (real *)(void *)(memory + at);
    at += (N * 84 * sizeof(real) + 63) / 64 * 64;
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
    if (memory) w->delta4 = (real *)(void *)(memory + at);
    at += (N * 84 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta3 = (real *)(void *)(memory + at);
    at += (N * 120 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->da2_3 = (real *)(void *)(memory + at);
    at += (N * 400 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta2 = (real *)(void *)(memory + at);
    at += (N * 10 * 10 * 16 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta1 = (real *)(void *)(memory + at);
    at += (N * 28 * 28 * 6 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dx = (real *)(void *)(memory + at);
    at += (N * 28 * 28 * 1 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_a1_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(6) * 25 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_a1_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 1088) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->forward_a2_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(16) * 150 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_loss_E_sum_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_2_loss_E_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db5_backward_db5_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_delta4_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(84) * 10 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db4_backward_db4_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 192) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_delta3_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(120) * 84 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db3_backward_db3_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 256) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dW2_backward_dW2_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 2400) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db2_backward_db2_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_da1_2_panels = (real *)(void *)(memory + at);
    at += ((size_t)(PANELS(6) * 400 * NR) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_da1_2_left = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 5248) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->backward_dW1_right = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 1088) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dW1_backward_dW1_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 160) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db1_backward_db1_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->gradients = (real *)(void *)(memory + at);
    at += (61706 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta5 = w->z5;
    if (memory) w->da1_2 = w->a1_2;
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

static long share(const struct lenet5 *w, int id, long count) { return count * id / w->team; }

static void barrier(struct lenet5 *w)
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
    struct lenet5 *w;
    int id;
};

static void *help(void *given)
{
    struct helper *own = given;
    struct lenet5 *w = own->w;
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
static void run(struct lenet5 *w, void (*job)(struct lenet5 *, int), long work)
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

size_t lenet5_bytes(long samples, int threads)
{
    return sizeof(struct lenet5) + lay(NULL, NULL, (size_t)samples, (size_t)threads);
}

void lenet5_close(struct lenet5 *w)
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

struct lenet5 *lenet5_open(long samples, int threads)
{
    struct lenet5 *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->samples = samples, w->threads = threads, w->team = 1, w->started = 1;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->memory = calloc(1, lay(w, NULL, (size_t)samples, (size_t)threads));
    w->helpers = calloc((size_t)threads, sizeof *w->helpers);
    if (!w->memory || !w->helpers) return lenet5_close(w), NULL;
    lay(w, (char *)(((uintptr_t)w->memory + 63) / 64 * 64), (size_t)samples, (size_t)threads);
    for (int id = 1; id < threads; ++id) {
        struct helper *own = malloc(sizeof *own);
        if (!own) return lenet5_close(w), NULL;
        own->w = w, own->id = id;
        if (pthread_create(&w->helpers[id], NULL, help, own)) return free(own), lenet5_close(w), NULL;
        w->started = id + 1;
    }
    return w;
}

/* ---- Forward ------------------------------------------------------------------------------------ */

// z1 = W1 ⋆(p=2) a0 + b1    (N, 28, 28, 6) (3)
// a1 = tanh(z1)    (N, 28, 28, 6) (4)
static void forward_a1_pack(struct lenet5 *w, int id, long from, long to)
{
    const real *restrict W1 = w->W1;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 25; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 25); ++term) {
                    const long column = panel * NR + c;
                    w->forward_a1_panels[(panel * 25 + term) * NR + c] = column < 6 ? W1[column * 25 + term] : 0;
                }
}

// z1 = W1 ⋆(p=2) a0 + b1    (N, 28, 28, 6) (3)
// a1 = tanh(z1)    (N, 28, 28, 6) (4)
static void forward_a1(struct lenet5 *w, int id, long from, long to)
{
    real *restrict a1 = w->a1;
    const real *restrict b1 = w->b1;
    real *const left = w->forward_a1_left + id * 1088;
    const real *const right = w->forward_a1_panels;
    long at[784];
    for (long row = 0; row < 784; ++row) at[row] = row / 28 * 32 + row % 28 * 1;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 28; ++i0)
            memcpy(left + (i0 + 2) * 32 + 2, w->x + n * 784 + i0 * 28, 28 * sizeof(real));
        for (long first = 0; first < 784; first += 4 * height(784))
            for (long panel = 0; panel < PANELS(6); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(784), 784); row0 += height(784)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(784), 784 - row0);
                    const long count = least(NR, 6 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 32, right + panel * 25 * NR, 1 * NR, 5 * NR, 5, 5);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            real z1_2 = b1[column] + sum;  // (3)
                            a1[n * 4704 + row * 6 + column] = tanh(z1_2);  // (4)
                        }
                }
            }
    }
}

// a1_2[n,i,j,k] = (1/4) Σ_{u,v<2} a1[n,2i+u,2j+v,k]    (N, 14, 14, 6) (5)
static void forward_a1_2(struct lenet5 *w, int id, long from, long to)
{
    real *restrict a1_2 = w->a1_2;
    const real *restrict a1 = w->a1;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 14; ++i) {
            for (long j = 0; j < 14; ++j) {
                EACH for (long k = 0; k < 6; ++k) {
                    real total = real(0);
                    UNROLL for (int u = 0; u < 2; ++u)
                        UNROLL for (int v2 = 0; v2 < 2; ++v2)
                            total += a1[((n * 28 + 2 * i + u) * 28 + 2 * j + v2) * 6 + k];
                    real a1_2_2 = total;  // (5)
                    a1_2[n * 1176 + i * 84 + j * 6 + k] = real(0.25) * a1_2_2;  // (5)
                }
            }
        }
    }
}

// z2 = W2 ⋆ a1_2 + b2    (N, 10, 10, 16) (6)
// a2 = tanh(z2)    (N, 10, 10, 16) (7)
static void forward_a2_pack(struct lenet5 *w, int id, long from, long to)
{
    const real *restrict W2 = w->W2;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 150; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 150); ++term) {
                    const long column = panel * NR + c;
                    w->forward_a2_panels[(panel * 150 + term) * NR + c] = column < 16 ? W2[column * 150 + term] : 0;
                }
}

// z2 = W2 ⋆ a1_2 + b2    (N, 10, 10, 16) (6)
// a2 = tanh(z2)    (N, 10, 10, 16) (7)
static void forward_a2(struct lenet5 *w, int id, long from, long to)
{
    real *restrict a2 = w->a2;
    const real *restrict b2 = w->b2;
    (void)id;
    const real *const left = w->a1_2;
    const real *const right = w->forward_a2_panels;
    long at[100];
    for (long row = 0; row < 100; ++row) at[row] = row / 10 * 84 + row % 10 * 6;
    for (long n = from; n < to; ++n) {
        for (long first = 0; first < 100; first += 4 * height(100))
            for (long panel = 0; panel < PANELS(16); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(100), 100); row0 += height(100)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(100), 100 - row0);
                    const long count = least(NR, 16 - panel * NR);
                    multiply(tile, rows, count, false, left + n * 1176, at + row0, 1, 84, right + panel * 150 * NR, 1 * NR, 30 * NR, 30, 5);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            real z2_2 = b2[column] + sum;  // (6)
                            a2[n * 1600 + row * 16 + column] = tanh(z2_2);  // (7)
                        }
                }
            }
    }
}

// a2_2[n,i,j,k] = (1/4) Σ_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 5, 5, 16) (8)
static void forward_a2_2(struct lenet5 *w, int id, long from, long to)
{
    real *restrict a2_2 = w->a2_2;
    const real *restrict a2 = w->a2;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 5; ++i) {
            for (long j = 0; j < 5; ++j) {
                EACH for (long k = 0; k < 16; ++k) {
                    real total = real(0);
                    UNROLL for (int u = 0; u < 2; ++u)
                        UNROLL for (int v2 = 0; v2 < 2; ++v2)
                            total += a2[((n * 10 + 2 * i + u) * 10 + 2 * j + v2) * 16 + k];
                    real a2_2_2 = total;  // (8)
                    a2_2[n * 400 + i * 80 + j * 16 + k] = real(0.25) * a2_2_2;  // (8)
                }
            }
        }
    }
}

// z3 = W3 a2_3 + b3    (N, 120) (10)
// a3 = tanh(z3)    (N, 120) (11)
static void forward_a3(struct lenet5 *w, int id, long from, long to)
{
    real *restrict a3 = w->a3;
    const real *restrict b3 = w->b3;
    (void)id;
    const real *const left = w->a2_2;
    const real *const right = w->W3;
    for (long panel = from; panel < to; ++panel) {
        for (long row0 = 0; row0 < w->N; row0 += height(w->N)) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(w->N), w->N - row0);
            const long count = least(NR, 120 - panel * NR);
            along(tile, rows, count, left + row0 * 400, 400, right + panel * NR * 400, 400, 400);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    real z3_2 = b3[column] + sum;  // (10)
                    a3[n * 120 + column] = tanh(z3_2);  // (11)
                }
        }
    }
}

// z4 = W4 a3 + b4    (N, 84) (12)
// a4 = tanh(z4)    (N, 84) (13)
static void forward_a4(struct lenet5 *w, int id, long from, long to)
{
    real *restrict a4 = w->a4;
    const real *restrict b4 = w->b4;
    (void)id;
    const real *const left = w->a3;
    const real *const right = w->W4;
    for (long row0 = from; row0 < to; row0 += height(to - from)) {
        for (long panel = 0; panel < PANELS(84); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(to - from), to - row0);
            const long count = least(NR, 84 - panel * NR);
            along(tile, rows, count, left + row0 * 120, 120, right + panel * NR * 120, 120, 120);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    real z4_2 = b4[column] + sum;  // (12)
                    a4[n * 84 + column] = tanh(z4_2);  // (13)
                }
        }
    }
}

// z5 = W5 a4 + b5    (N, 10) (14)
static void forward_z5(struct lenet5 *w, int id, long from, long to)
{
    real *restrict z5 = w->z5;
    const real *restrict b5 = w->b5;
    (void)id;
    const real *const left = w->a4;
    const real *const right = w->W5;
    for (long row0 = from; row0 < to; row0 += height(to - from)) {
        for (long panel = 0; panel < PANELS(10); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(to - from), to - row0);
            const long count = least(NR, 10 - panel * NR);
            along(tile, rows, count, left + row0 * 84, 84, right + panel * NR * 84, 84, 84);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    z5[n * 10 + column] = b5[column] + sum;  // (14)
                }
        }
    }
}

// a5 = softmax(z5)    (N, 10) (15)
static void forward_a5(struct lenet5 *w, int id, long from, long to)
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
        a5_max[n] = greatest;  // (15)
        EACH for (long k = 0; k < 10; ++k) {
            a5_exp[n * 10 + k] = exp(z5[n * 10 + k] - a5_max[n]);  // (15)
        }
        real total = real(0);
        for (int j = 0; j < 10; ++j)
            total += a5_exp[n * 10 + j];
        a5_sum[n] = total;  // (15)
        EACH for (long k2 = 0; k2 < 10; ++k2) {
            a5[n * 10 + k2] = a5_exp[n * 10 + k2] / a5_sum[n];  // (15)
        }
    }
}

/* ---- Loss --------------------------------------------------------------------------------------- */

// T = onehot(t)    (N, 10) (1)
static void loss_T(struct lenet5 *w, int id, long from, long to)
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

// E = −(1/N) Σₙ Tₙᵀ log(a5ₙ)    () (16)
static void loss_E_sum(struct lenet5 *w, int id, long from, long to)
{
    const real *restrict a5_sum = w->a5_sum;
    double *restrict own = (double *)w->E_sum_loss_E_sum_parts + id * 16;
    for (long n = from; n < to; ++n) {
        own[0] += log(a5_sum[n]);
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a5ₙ)    () (16)
static void loss_E_sum_total(struct lenet5 *w, int id, long from, long to)
{
    double *restrict E_sum = w->E_sum;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_loss_E_sum_parts)[part * 16];
    const double sum = total;
    E_sum[0] = sum;  // (16)
}

// E = −(1/N) Σₙ Tₙᵀ log(a5ₙ)    () (16)
static void loss_E(struct lenet5 *w, int id, long from, long to)
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

// E = −(1/N) Σₙ Tₙᵀ log(a5ₙ)    () (16)
static void loss_E_total(struct lenet5 *w, int id, long from, long to)
{
    double *restrict E = w->E;
    const double *restrict E_sum = w->E_sum;
    const long N = w->N;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_2_loss_E_parts)[part * 16];
    const double sum = total;
    E[0] = real(1. / (double)N) * (real(E_sum[0]) + sum);  // (16)
}

/* ---- Backward ----------------------------------------------------------------------------------- */

// δ5 = (a5 − T)/N    (N, 10) (17)
static void backward_delta5(struct lenet5 *w, int id, long from, long to)
{
    real *restrict delta5 = w->delta5;
    const real *restrict a5 = w->a5;
    const real *restrict T = w->T;
    const long N = w->N;
    (void)id;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 10; ++k) {
            delta5[n * 10 + k] = real(1. / (double)N) * (a5[n * 10 + k] - T[n * 10 + k]);  // (17)
        }
    }
}

// ∂E/∂W5 = Σₙ δ5ₙ a4ₙᵀ    (10, 84) (18)
static void backward_dW5(struct lenet5 *w, int id, long from, long to)
{
    real *restrict dW5 = w->dW5;
    (void)id;
    const real *const left = w->delta5;
    const real *const right = w->a4;
    for (long row0 = from * MR; row0 < least(to * MR, 10); row0 += MR) {
        for (long panel = 0; panel < PANELS(84); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(MR, least(to * MR, 10) - row0);
            const long count = least(NR, 84 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 1;
            multiply(tile, rows, count, false, left, at, 10, 0, right + panel * NR, 84, 0, w->N, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long k = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    dW5[k * 84 + column] = sum;  // (18)
                }
        }
    }
}

// ∂E/∂b5 = Σₙ δ5ₙ    (10,) (19)
static void backward_db5(struct lenet5 *w, int id, long from, long to)
{
    const real *restrict delta5 = w->delta5;
    real *restrict own = (real *)w->db5_backward_db5_parts + id * 16;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 10; ++k) {
            own[k] += delta5[n * 10 + k];
        }
    }
}

// ∂E/∂b5 = Σₙ δ5ₙ    (10,) (19)
static void backward_db5_total(struct lenet5 *w, int id, long from, long to)
{
    real *restrict db5 = w->db5;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db5_backward_db5_parts)[part * 16 + at];
        const real sum = total;
        db5[at] = sum;  // (19)
    }
}

// δ4 = (W5ᵀ δ5) ⊙ (1 − a4 ⊙ a4)    (N, 84) (20)
static void backward_delta4_pack(struct lenet5 *w, int id, long from, long to)
{
    const real *restrict W5 = w->W5;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 10; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 10); ++term) {
                    const long column = panel * NR + c;
                    w->backward_delta4_panels[(panel * 10 + term) * NR + c] = column < 84 ? W5[term * 84 + column] : 0;
                }
}

// δ4 = (W5ᵀ δ5) ⊙ (1 − a4 ⊙ a4)    (N, 84) (20)
static void backward_delta4(struct lenet5 *w, int id, long from, long to)
{
    real *restrict delta4 = w->delta4;
    const real *restrict a4 = w->a4;
    (void)id;
    const real *const left = w->delta5;
    const real *const right = w->backward_delta4_panels;
    for (long row0 = from; row0 < to; row0 += height(to - from)) {
        for (long panel = 0; panel < PANELS(84); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(to - from), to - row0);
            const long count = least(NR, 84 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 10;
            multiply(tile, rows, count, false, left, at, 1, 0, right + panel * 10 * NR, 1 * NR, 0, 10, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    delta4[n * 84 + column] = sum * (1 - square(a4[n * 84 + column]));  // (20)
                }
        }
    }
}

// ∂E/∂W4 = Σₙ δ4ₙ a3ₙᵀ    (84, 120) (21)
static void backward_dW4(struct lenet5 *w, int id, long from, long to)
{
    real *restrict dW4 = w->dW4;
    (void)id;
    const real *const left = w->delta4;
    const real *const right = w->a3;
    for (long row0 = from * MR; row0 < least(to * MR, 84); row0 += MR) {
        for (long panel = 0; panel < PANELS(120); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(MR, least(to * MR, 84) - row0);
            const long count = least(NR, 120 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 1;
            multiply(tile, rows, count, false, left, at, 84, 0, right + panel * NR, 120, 0, w->N, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long k = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    dW4[k * 120 + column] = sum;  // (21)
                }
        }
    }
}

// ∂E/∂b4 = Σₙ δ4ₙ    (84,) (22)
static void backward_db4(struct lenet5 *w, int id, long from, long to)
{
    const real *restrict delta4 = w->delta4;
    real *restrict own = (real *)w->db4_backward_db4_parts + id * 96;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 84; ++k) {
            own[k] += delta4[n * 84 + k];
        }
    }
}

// ∂E/∂b4 = Σₙ δ4ₙ    (84,) (22)
static void backward_db4_total(struct lenet5 *w, int id, long from, long to)
{
    real *restrict db4 = w->db4;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db4_backward_db4_parts)[part * 96 + at];
        const real sum = total;
        db4[at] = sum;  // (22)
    }
}

// δ3 = (W4ᵀ δ4) ⊙ (1 − a3 ⊙ a3)    (N, 120) (23)
static void backward_delta3_pack(struct lenet5 *w, int id, long from, long to)
{
    const real *restrict W4 = w->W4;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 84; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 84); ++term) {
                    const long column = panel * NR + c;
                    w->backward_delta3_panels[(panel * 84 + term) * NR + c] = column < 120 ? W4[term * 120 + column] : 0;
                }
}

// δ3 = (W4ᵀ δ4) ⊙ (1 − a3 ⊙ a3)    (N, 120) (23)
static void backward_delta3(struct lenet5 *w, int id, long from, long to)
{
    real *restrict delta3 = w->delta3;
    const real *restrict a3 = w->a3;
    (void)id;
    const real *const left = w->delta4;
    const real *const right = w->backward_delta3_panels;
    for (long row0 = from; row0 < to; row0 += height(to - from)) {
        for (long panel = 0; panel < PANELS(120); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(to - from), to - row0);
            const long count = least(NR, 120 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 84;
            multiply(tile, rows, count, false, left, at, 1, 0, right + panel * 84 * NR, 1 * NR, 0, 84, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    delta3[n * 120 + column] = sum * (1 - square(a3[n * 120 + column]));  // (23)
                }
        }
    }
}

// ∂E/∂W3 = Σₙ δ3ₙ a2_3ₙᵀ    (120, 400) (24)
static void backward_dW3(struct lenet5 *w, int id, long from, long to)
{
    real *restrict dW3 = w->dW3;
    (void)id;
    const real *const left = w->delta3;
    const real *const right = w->a2_2;
    for (long row0 = from * MR; row0 < least(to * MR, 120); row0 += MR) {
        for (long panel = 0; panel < PANELS(400); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(MR, least(to * MR, 120) - row0);
            const long count = least(NR, 400 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 1;
            multiply(tile, rows, count, false, left, at, 120, 0, right + panel * NR, 400, 0, w->N, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long k = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    dW3[k * 400 + column] = sum;  // (24)
                }
        }
    }
}

// ∂E/∂b3 = Σₙ δ3ₙ    (120,) (25)
static void backward_db3(struct lenet5 *w, int id, long from, long to)
{
    const real *restrict delta3 = w->delta3;
    real *restrict own = (real *)w->db3_backward_db3_parts + id * 128;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 120; ++k) {
            own[k] += delta3[n * 120 + k];
        }
    }
}

// ∂E/∂b3 = Σₙ δ3ₙ    (120,) (25)
static void backward_db3_total(struct lenet5 *w, int id, long from, long to)
{
    real *restrict db3 = w->db3;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db3_backward_db3_parts)[part * 128 + at];
        const real sum = total;
        db3[at] = sum;  // (25)
    }
}

// ∂E/∂a2_3 = W3ᵀ δ3    (N, 400) (26)
static void backward_da2_3(struct lenet5 *w, int id, long from, long to)
{
    real *restrict da2_3 = w->da2_3;
    (void)id;
    const real *const left = w->delta3;
    const real *const right = w->W3;
    for (long panel = from; panel < to; ++panel) {
        for (long row0 = 0; row0 < w->N; row0 += height(w->N)) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(w->N), w->N - row0);
            const long count = least(NR, 400 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 120;
            multiply(tile, rows, count, false, left, at, 1, 0, right + panel * NR, 400, 0, 120, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    da2_3[n * 400 + column] = sum;  // (26)
                }
        }
    }
}

// δ2[n,p,q,k] = (1/4) (Σᵢⱼ [0 ≤ p − 2 i < 2] [0 ≤ q − 2 j < 2] ∂E/∂a2_2[n,i,j,k]) (1 − a2[n,p,q,k]²)    (N, 10, 10, 16) (28)
static void backward_delta2(struct lenet5 *w, int id, long from, long to)
{
    real *restrict delta2 = w->delta2;
    const real *restrict da2_3 = w->da2_3;
    const real *restrict a2 = w->a2;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long p = 0; p < 10; ++p) {
            for (long q = 0; q < 10; ++q) {
                EACH for (long r2 = 0; r2 < 16; ++r2) {
                    real delta2_sum_2 = da2_3[((n * 5 + (p / 2)) * 5 + (q / 2)) * 16 + r2];  // (28)
                    delta2[n * 1600 + p * 160 + q * 16 + r2] = real(0.25) * delta2_sum_2 * (1 - square(a2[n * 1600 + p * 160 + q * 16 + r2]));  // (28)
                }
            }
        }
    }
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆ a1_2ₙ    (16, 5, 5, 6) (29)
static void backward_dW2(struct lenet5 *w, int id, long from, long to)
{
    real *restrict own = w->dW2_backward_dW2_parts + id * 2400;
    const real *const left = w->delta2;
    const real *const right = w->a1_2;
    long at[16];
    for (long row = 0; row < 16; ++row) at[row] = row * 1;
    for (long n = from; n < to; ++n) {
        for (long u = 0; u < 5; ++u)
            for (long panel = 0; panel < PANELS(30); ++panel) {
                for (long row0 = 0; row0 < 16; row0 += height(16)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(16), 16 - row0);
                    const long count = least(NR, 30 - panel * NR);
                    multiply(tile, rows, count, false, left + n * 1600, at + row0, 16, 160, right + n * 1176 + u * 84 + panel * NR, 6, 84, 10, 10);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long k = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            own[k * 150 + u * 30 + column] += sum;
                        }
                }
            }
    }
}

// ∂E/∂W2 = Σₙ δ2ₙ ⋆ a1_2ₙ    (16, 5, 5, 6) (29)
static void backward_dW2_total(struct lenet5 *w, int id, long from, long to)
{
    real *restrict dW2 = w->dW2;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dW2_backward_dW2_parts)[part * 2400 + at];
        const real sum = total;
        dW2[at] = sum;  // (29)
    }
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (16,) (30)
static void backward_db2(struct lenet5 *w, int id, long from, long to)
{
    const real *restrict delta2 = w->delta2;
    real *restrict own = (real *)w->db2_backward_db2_parts + id * 16;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 10; ++i) {
            for (long j = 0; j < 10; ++j) {
                EACH for (long k = 0; k < 16; ++k) {
                    own[k] += delta2[n * 1600 + i * 160 + j * 16 + k];
                }
            }
        }
    }
}

// ∂E/∂b2[k] = Σₙᵢⱼ δ2[n,i,j,k]    (16,) (30)
static void backward_db2_total(struct lenet5 *w, int id, long from, long to)
{
    real *restrict db2 = w->db2;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db2_backward_db2_parts)[part * 16 + at];
        const real sum = total;
        db2[at] = sum;  // (30)
    }
}

// ∂E/∂a1_2 = W2ᵀ ∗ δ2    (N, 14, 14, 6) (31)
static void backward_da1_2_pack(struct lenet5 *w, int id, long from, long to)
{
    const real *restrict W2 = w->W2;
    (void)id;
    for (long panel = from; panel < to; ++panel)
        for (long term0 = 0; term0 < 400; term0 += 16)
            for (long c = 0; c < NR; ++c)
                for (long term = term0; term < least(term0 + 16, 400); ++term) {
                    const long column = panel * NR + c;
                    const long u = term / 80, v2 = term / 16 % 5, k = term % 16;
                    w->backward_da1_2_panels[(panel * 400 + term) * NR + c] = column < 6 ? W2[((k * 5 + -u + 4) * 5 + -v2 + 4) * 6 + column] : 0;
                }
}

// ∂E/∂a1_2 = W2ᵀ ∗ δ2    (N, 14, 14, 6) (31)
static void backward_da1_2(struct lenet5 *w, int id, long from, long to)
{
    real *restrict da1_2 = w->da1_2;
    real *const left = w->backward_da1_2_left + id * 5248;
    const real *const right = w->backward_da1_2_panels;
    long at[196];
    for (long row = 0; row < 196; ++row) at[row] = row / 14 * 288 + row % 14 * 16;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 10; ++i0)
            memcpy(left + (i0 + 4) * 288 + 64, w->delta2 + n * 1600 + i0 * 160, 160 * sizeof(real));
        for (long first = 0; first < 196; first += 4 * height(196))
            for (long panel = 0; panel < PANELS(6); ++panel) {
                for (long row0 = first; row0 < least(first + 4 * height(196), 196); row0 += height(196)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(196), 196 - row0);
                    const long count = least(NR, 6 - panel * NR);
                    multiply(tile, rows, count, false, left, at + row0, 1, 288, right + panel * 400 * NR, 1 * NR, 80 * NR, 80, 5);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long row = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            da1_2[n * 1176 + row * 6 + column] = sum;  // (31)
                        }
                }
            }
    }
}

// δ1[n,p,q,k] = (1/4) (Σᵢⱼ [0 ≤ p − 2 i < 2] [0 ≤ q − 2 j < 2] ∂E/∂a1_2[n,i,j,k]) (1 − a1[n,p,q,k]²)    (N, 28, 28, 6) (32)
static void backward_delta1(struct lenet5 *w, int id, long from, long to)
{
    real *restrict delta1 = w->delta1;
    const real *restrict da1_2 = w->da1_2;
    const real *restrict a1 = w->a1;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long p = 0; p < 28; ++p) {
            for (long q = 0; q < 28; ++q) {
                EACH for (long r2 = 0; r2 < 6; ++r2) {
                    real delta1_sum_2 = da1_2[((n * 14 + (p / 2)) * 14 + (q / 2)) * 6 + r2];  // (32)
                    delta1[n * 4704 + p * 168 + q * 6 + r2] = real(0.25) * delta1_sum_2 * (1 - square(a1[n * 4704 + p * 168 + q * 6 + r2]));  // (32)
                }
            }
        }
    }
}

// ∂E/∂W1 = Σₙ δ1ₙ ⋆(p=2) a0ₙ    (6, 5, 5, 1) (33)
static void backward_dW1(struct lenet5 *w, int id, long from, long to)
{
    real *restrict own = w->dW1_backward_dW1_parts + id * 160;
    const real *const left = w->delta1;
    real *const right = w->backward_dW1_right + id * 1088;
    long at[6];
    for (long row = 0; row < 6; ++row) at[row] = row * 1;
    for (long n = from; n < to; ++n) {
        for (long i0 = 0; i0 < 28; ++i0)
            memcpy(right + (i0 + 2) * 32 + 2, w->x + n * 784 + i0 * 28, 28 * sizeof(real));
        for (long u = 0; u < 5; ++u)
            for (long panel = 0; panel < PANELS(5); ++panel) {
                for (long row0 = 0; row0 < 6; row0 += height(6)) {
                    _Alignas(64) real tile[MR * NR];
                    const long rows = least(height(6), 6 - row0);
                    const long count = least(NR, 5 - panel * NR);
                    multiply(tile, rows, count, false, left + n * 4704, at + row0, 6, 168, right + u * 32 + panel * NR, 1, 32, 28, 28);
                    for (long r = 0; r < rows; ++r)
                        for (long c = 0; c < count; ++c) {
                            const long k = row0 + r;
                            const long column = panel * NR + c;
                            const real sum = tile[r * NR + c];
                            own[k * 25 + u * 5 + column] += sum;
                        }
                }
            }
    }
}

// ∂E/∂W1 = Σₙ δ1ₙ ⋆(p=2) a0ₙ    (6, 5, 5, 1) (33)
static void backward_dW1_total(struct lenet5 *w, int id, long from, long to)
{
    real *restrict dW1 = w->dW1;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dW1_backward_dW1_parts)[part * 160 + at];
        const real sum = total;
        dW1[at] = sum;  // (33)
    }
}

// ∂E/∂b1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (6,) (34)
static void backward_db1(struct lenet5 *w, int id, long from, long to)
{
    const real *restrict delta1 = w->delta1;
    real *restrict own = (real *)w->db1_backward_db1_parts + id * 16;
    for (long n = from; n < to; ++n) {
        for (long i = 0; i < 28; ++i) {
            for (long j = 0; j < 28; ++j) {
                EACH for (long k = 0; k < 6; ++k) {
                    own[k] += delta1[n * 4704 + i * 168 + j * 6 + k];
                }
            }
        }
    }
}

// ∂E/∂b1[k] = Σₙᵢⱼ δ1[n,i,j,k]    (6,) (34)
static void backward_db1_total(struct lenet5 *w, int id, long from, long to)
{
    real *restrict db1 = w->db1;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db1_backward_db1_parts)[part * 16 + at];
        const real sum = total;
        db1[at] = sum;  // (34)
    }
}

/* ---- Input gradient ----------------------------------------------------------------------------- */

// ∂E/∂x = W1ᵀ ∗(p=2) δ1    (N, 28, 28, 1) (35)
static void input_gradient_dx(struct lenet5 *w, int id, long from, long to)
{
    real *restrict dx = w->dx;
    const real *restrict W1 = w->W1;
    const real *restrict delta1 = w->delta1;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long p = 0; p < 28; ++p) {
            for (long q = 0; q < 28; ++q) {
                real total = 0;
                for (long k = 0; k < 6; ++k) {
                    for (long u = 0; u < 5; ++u) {
                        for (long v2 = 0; v2 < 5; ++v2) {
                            total += W1[k * 25 + u * -5 + v2 * -1 + 24] * (inside(p + u - 2, 28) && inside(q + v2 - 2, 28) ? delta1[n * 4704 + p * 168 + u * 168 + q * 6 + v2 * 6 + k + -348] : real(0));
                        }
                    }
                }
                const real sum = total;
                dx[n * 784 + p * 28 + q] = sum;  // (35)
            }
        }
    }
}

/* ---- Update ------------------------------------------------------------------------------------- */

// m ← β1 m + (1 − β1) g    (61706,) (36)
// v ← β2 v + (1 − β2) g ⊙ g    (61706,) (37)
// θ ← θ − η m/((1 − β1^k) (√(v/(1 − β2^k)) + ε))    (61706,) (38)
static void update_theta(struct lenet5 *w, int id, long from, long to)
{
    real *restrict m = w->m;
    real *restrict v = w->v;
    real *restrict theta = w->theta;
    const real *restrict g = w->g;
    const long *step = &w->step;
    (void)id;
    EACH for (long i = from; i < to; ++i) {
        real m_2 = real(BETA1) * m[i] + real(1. - BETA1) * g[i];  // (36)
        m[i] = m_2;  // (36)
        real v_2 = real(BETA2) * v[i] + real(1. - BETA2) * square(g[i]);  // (37)
        v[i] = v_2;  // (37)
        theta[i] = theta[i] - real(LEARNING_RATE / (1. - pow(BETA1, (double)step[0]))) * m_2 / (sqrt(real(1. / (1. - pow(BETA2, (double)step[0]))) * v_2) + real(EPSILON));  // (38)
    }
}

/* ---- What threads do, part by part ----------------------------------------------------------------- */
static void forward(struct lenet5 *w, int id)
{
    forward_a1_pack(w, id, share(w, id, PANELS(6)), share(w, id + 1, PANELS(6)));
    barrier(w);
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_a1(w, id, n, n + 1);
        forward_a1_2(w, id, n, n + 1);
    }
    forward_a2_pack(w, id, share(w, id, PANELS(16)), share(w, id + 1, PANELS(16)));
    barrier(w);
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_a2(w, id, n, n + 1);
        forward_a2_2(w, id, n, n + 1);
    }
    barrier(w);
    forward_a3(w, id, share(w, id, PANELS(120)), share(w, id + 1, PANELS(120)));
    barrier(w);
    forward_a4(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    forward_z5(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    forward_a5(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
}

static void loss(struct lenet5 *w, int id)
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

static void backward(struct lenet5 *w, int id)
{
    for (long e = 0; e < 10; ++e) ((real *)w->db5_backward_db5_parts)[id * 16 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta5(w, id, n, n + 1);
        backward_db5(w, id, n, n + 1);
    }
    barrier(w);
    backward_dW5(w, id, share(w, id, (10 + MR - 1) / MR), share(w, id + 1, (10 + MR - 1) / MR));
    barrier(w);
    if (id == 0) backward_db5_total(w, id, 0, 10);
    backward_delta4_pack(w, id, share(w, id, PANELS(84)), share(w, id + 1, PANELS(84)));
    barrier(w);
    backward_delta4(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    backward_dW4(w, id, share(w, id, (84 + MR - 1) / MR), share(w, id + 1, (84 + MR - 1) / MR));
    for (long e = 0; e < 84; ++e) ((real *)w->db4_backward_db4_parts)[id * 96 + e] = 0;
    backward_db4(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) backward_db4_total(w, id, 0, 84);
    backward_delta3_pack(w, id, share(w, id, PANELS(120)), share(w, id + 1, PANELS(120)));
    barrier(w);
    backward_delta3(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    backward_dW3(w, id, share(w, id, (120 + MR - 1) / MR), share(w, id + 1, (120 + MR - 1) / MR));
    for (long e = 0; e < 120; ++e) ((real *)w->db3_backward_db3_parts)[id * 128 + e] = 0;
    backward_db3(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) backward_db3_total(w, id, 0, 120);
    backward_da2_3(w, id, share(w, id, PANELS(400)), share(w, id + 1, PANELS(400)));
    barrier(w);
    memset(w->dW2_backward_dW2_parts + id * 2400, 0, 2400 * sizeof(real));
    for (long e = 0; e < 16; ++e) ((real *)w->db2_backward_db2_parts)[id * 16 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta2(w, id, n, n + 1);
        backward_dW2(w, id, n, n + 1);
        backward_db2(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) backward_dW2_total(w, id, 0, 2400);
    barrier(w);
    if (id == 0) backward_db2_total(w, id, 0, 16);
    backward_da1_2_pack(w, id, share(w, id, PANELS(6)), share(w, id + 1, PANELS(6)));
    barrier(w);
    memset(w->dW1_backward_dW1_parts + id * 160, 0, 150 * sizeof(real));
    for (long e = 0; e < 6; ++e) ((real *)w->db1_backward_db1_parts)[id * 16 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_da1_2(w, id, n, n + 1);
        backward_delta1(w, id, n, n + 1);
        backward_dW1(w, id, n, n + 1);
        backward_db1(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) backward_dW1_total(w, id, 0, 150);
    barrier(w);
    if (id == 0) backward_db1_total(w, id, 0, 6);
    barrier(w);
}

static void input_gradient(struct lenet5 *w, int id)
{
    input_gradient_dx(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
}

static void update(struct lenet5 *w, int id)
{
    update_theta(w, id, share(w, id, 61706), share(w, id + 1, 61706));
    barrier(w);
}

static void output_job(struct lenet5 *w, int id)
{
    forward(w, id);
}

static void evaluation_job(struct lenet5 *w, int id)
{
    forward(w, id);
    loss(w, id);
}

static void loss_job(struct lenet5 *w, int id)
{
    forward(w, id);
    loss(w, id);
}

static void gradient_job(struct lenet5 *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
}

static void input_job(struct lenet5 *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
    input_gradient(w, id);
}

static void update_job(struct lenet5 *w, int id)
{
    update(w, id);
}

static void step_job(struct lenet5 *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
    update(w, id);
}

/* ---- What is called -------------------------------------------------------------------------------- */
static const long WORK = 2724720; /* floating-point operations of a sample in a step */

static void take(struct lenet5 *w, const real *theta, const real *statistics, const real *x, const int32_t *t, long N,
    uint64_t seed)
{
    w->N = N, w->seed = seed;
    (void)theta, (void)statistics, (void)x, (void)t;
    w->x = (real *)(uintptr_t)x;
    w->t = (int *)(uintptr_t)t;
    w->W1 = (real *)(uintptr_t)theta + 0;
    w->b1 = (real *)(uintptr_t)theta + 150;
    w->W2 = (real *)(uintptr_t)theta + 156;
    w->b2 = (real *)(uintptr_t)theta + 2556;
    w->b3 = (real *)(uintptr_t)theta + 50572;
    w->W3 = (real *)(uintptr_t)theta + 2572;
    w->b4 = (real *)(uintptr_t)theta + 60772;
    w->W4 = (real *)(uintptr_t)theta + 50692;
    w->b5 = (real *)(uintptr_t)theta + 61696;
    w->W5 = (real *)(uintptr_t)theta + 60856;
}

static void give(struct lenet5 *w, real *gradients)
{
    (void)w, (void)gradients;
    w->dW5 = gradients + 60856;
    w->db5 = gradients + 61696;
    w->dW4 = gradients + 50692;
    w->db4 = gradients + 60772;
    w->dW3 = gradients + 2572;
    w->db3 = gradients + 50572;
    w->dW2 = gradients + 156;
    w->db2 = gradients + 2556;
    w->dW1 = gradients + 0;
    w->db1 = gradients + 150;
}

static void prepare(struct lenet5 *w, real *theta, const real *gradients, real *const *state, long step, long steps)
{
    w->step = step, w->steps = steps;
    (void)theta, (void)gradients, (void)state;
    w->g = (real *)(uintptr_t)gradients;
    w->theta = theta;
    w->m = state[0];
    w->v = state[1];
}

void lenet5_predict(struct lenet5 *w, const real *theta, const real *statistics, const real *x, long N, real *y)
{
    take(w, theta, statistics, x, NULL, N, 0);
    run(w, output_job, N * WORK / 3);
    memcpy(y, w->a5, (size_t)N * 10 * sizeof(real));
}

double lenet5_loss(struct lenet5 *w, const real *theta, const real *statistics, const real *x, const int32_t *t,
    long N, uint64_t seed)
{
    take(w, theta, statistics, x, t, N, seed);
    run(w, loss_job, N * WORK / 3);
    return w->E[0];
}

double lenet5_evaluation_loss(struct lenet5 *w, const real *theta, const real *statistics, const real *x,
    const int32_t *t, long N)
{
    take(w, theta, statistics, x, t, N, 0);
    run(w, evaluation_job, N * WORK / 3);
    return w->E[0];
}

double lenet5_loss_and_gradients(struct lenet5 *w, const real *theta, const real *statistics, const real *x,
    const int32_t *t, long N, uint64_t seed, real *gradients)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, gradients);
    run(w, gradient_job, N * WORK);
    return w->E[0];
}

double lenet5_input_gradient(struct lenet5 *w, const real *theta, const real *statistics, const real *x,
    const int32_t *t, long N, uint64_t seed, real *dx)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, w->gradients);
    run(w, input_job, N * WORK);
    memcpy(dx, w->dx, (size_t)N * 784 * sizeof(real));
    return w->E[0];
}

void lenet5_update(struct lenet5 *w, real *theta, const real *gradients, real *const *state, long step, long steps,
    double *rate)
{
    prepare(w, theta, gradients, state, step, steps);
    run(w, update_job, 10L * 61706);
    if (rate) *rate = 0;
}

double lenet5_step(struct lenet5 *w, real *theta, real *statistics, real *const *state, const real *x,
    const int32_t *t, long N, uint64_t seed, long step, long steps, double *rate)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, w->gradients);
    prepare(w, theta, w->gradients, state, step, steps);
    run(w, step_job, N * WORK);
    if (rate) *rate = 0;
    return w->E[0];
}
