/* mnist_wide: 28x28x1-512-512-10, relu, softmax; cross_entropy; momentum; 669,706 parameters
 *
 * Generated from mnist_wide.toml (sha256 11b97622); change the spec, not this file.  A number in
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

static const double LEARNING_RATE = 0.05;
static const double MOMENTUM = 0.9;

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

static inline real maximum(real a, real b) /* a NaN stays one */
{
    const real greater = a > b ? a : b;
    return a != a ? a : greater;
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
struct mnist_wide {
    long samples, N, step, steps;
    uint64_t seed;
    int threads, team;
    void (*job)(struct mnist_wide *, int);
    pthread_t *helpers;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_int arrived, turn, begun;
    int started, stop;
    void *memory;
    real *gradients;
    real *b1;
    real *x;
    real *W1;
    real *a1;
    real *b2;
    real *W2;
    real *a2;
    real *b3;
    real *W3;
    real *z3;
    real *a3_max;
    real *a3_exp;
    real *a3_sum;
    real *a3;
    int *t;
    real *T;
    double *E_sum;
    double *E;
    real *dW3;
    real *db3;
    real *delta2;
    real *dW2;
    real *db2;
    real *dW1;
    real *db1;
    real *da0;
    real *v;
    real *g;
    real *theta;
    real *delta3;
    real *delta1;
    real *E_sum_loss_E_sum_parts;
    real *E_sum_2_loss_E_parts;
    real *db3_backward_db3_parts;
    real *db2_backward_db2_parts;
    real *db1_backward_db1_parts;
};

/* Let the workspace's pointers be into memory for N samples, if there is any; return how much that is. */
static size_t lay(struct mnist_wide *w, char *memory, size_t N, size_t threads)
{
    size_t at = 0;
    (void)N, (void)threads;
    if (memory) w->a1 = (real *)(void *)(memory + at);
    at += (N * 512 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a2 = (real *)(void *)(memory + at);
    at += (N * 512 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->z3 = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a3_max = (real *)(void *)(memory + at);
    at += (N * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a3_exp = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a3_sum = (real *)(void *)(memory + at);
    at += (N * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a3 = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->T = (real *)(void *)(memory + at);
    at += (N * 10 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->E = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->delta2 = (real *)(void *)(memory + at);
    at += (N * 512 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->da0 = (real *)(void *)(memory + at);
    at += (N * 784 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_loss_E_sum_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_2_loss_E_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db3_backward_db3_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db2_backward_db2_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 1024) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db1_backward_db1_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 1024) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->gradients = (real *)(void *)(memory + at);
    at += (669706 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta3 = w->z3;
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

static long share(const struct mnist_wide *w, int id, long count) { return count * id / w->team; }

static void barrier(struct mnist_wide *w)
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
    struct mnist_wide *w;
    int id;
};

static void *help(void *given)
{
    struct helper *own = given;
    struct mnist_wide *w = own->w;
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
static void run(struct mnist_wide *w, void (*job)(struct mnist_wide *, int), long work)
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

size_t mnist_wide_bytes(long samples, int threads)
{
    return sizeof(struct mnist_wide) + lay(NULL, NULL, (size_t)samples, (size_t)threads);
}

void mnist_wide_close(struct mnist_wide *w)
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

struct mnist_wide *mnist_wide_open(long samples, int threads)
{
    struct mnist_wide *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->samples = samples, w->threads = threads, w->team = 1, w->started = 1;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->memory = calloc(1, lay(w, NULL, (size_t)samples, (size_t)threads));
    w->helpers = calloc((size_t)threads, sizeof *w->helpers);
    if (!w->memory || !w->helpers) return mnist_wide_close(w), NULL;
    lay(w, (char *)(((uintptr_t)w->memory + 63) / 64 * 64), (size_t)samples, (size_t)threads);
    for (int id = 1; id < threads; ++id) {
        struct helper *own = malloc(sizeof *own);
        if (!own) return mnist_wide_close(w), NULL;
        own->w = w, own->id = id;
        if (pthread_create(&w->helpers[id], NULL, help, own)) return free(own), mnist_wide_close(w), NULL;
        w->started = id + 1;
    }
    return w;
}

/* ---- Forward ------------------------------------------------------------------------------------ */

// z1 = W1 a0 + b1    (N, 512) (3)
// a1 = max(0, z1)    (N, 512) (4)
static void forward_a1(struct mnist_wide *w, int id, long from, long to)
{
    real *restrict a1 = w->a1;
    const real *restrict b1 = w->b1;
    (void)id;
    const real *const left = w->x;
    const real *const right = w->W1;
    for (long panel = from; panel < to; ++panel) {
        for (long row0 = 0; row0 < w->N; row0 += height(w->N)) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(w->N), w->N - row0);
            const long count = least(NR, 512 - panel * NR);
            along(tile, rows, count, left + row0 * 784, 784, right + panel * NR * 784, 784, 784);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    real z1_2 = b1[column] + sum;  // (3)
                    a1[n * 512 + column] = maximum(z1_2, real(0));  // (4)
                }
        }
    }
}

// z2 = W2 a1 + b2    (N, 512) (5)
// a2 = max(0, z2)    (N, 512) (6)
static void forward_a2(struct mnist_wide *w, int id, long from, long to)
{
    real *restrict a2 = w->a2;
    const real *restrict b2 = w->b2;
    (void)id;
    const real *const left = w->a1;
    const real *const right = w->W2;
    for (long panel = from; panel < to; ++panel) {
        for (long row0 = 0; row0 < w->N; row0 += height(w->N)) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(w->N), w->N - row0);
            const long count = least(NR, 512 - panel * NR);
            along(tile, rows, count, left + row0 * 512, 512, right + panel * NR * 512, 512, 512);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    real z2_2 = b2[column] + sum;  // (5)
                    a2[n * 512 + column] = maximum(z2_2, real(0));  // (6)
                }
        }
    }
}

// z3 = W3 a2 + b3    (N, 10) (7)
static void forward_z3(struct mnist_wide *w, int id, long from, long to)
{
    real *restrict z3 = w->z3;
    const real *restrict b3 = w->b3;
    (void)id;
    const real *const left = w->a2;
    const real *const right = w->W3;
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
                    z3[n * 10 + column] = b3[column] + sum;  // (7)
                }
        }
    }
}

// a3 = softmax(z3)    (N, 10) (8)
static void forward_a3(struct mnist_wide *w, int id, long from, long to)
{
    real *restrict a3_max = w->a3_max;
    real *restrict a3_exp = w->a3_exp;
    real *restrict a3_sum = w->a3_sum;
    real *restrict a3 = w->a3;
    const real *restrict z3 = w->z3;
    (void)id;
    for (long n = from; n < to; ++n) {
        real greatest = real(-1) / real(0);
        for (int i = 0; i < 10; ++i)
            greatest = maximum(greatest, z3[n * 10 + i]);
        a3_max[n] = greatest;  // (8)
        EACH for (long k = 0; k < 10; ++k) {
            a3_exp[n * 10 + k] = exp(z3[n * 10 + k] - a3_max[n]);  // (8)
        }
        real total = real(0);
        for (int j = 0; j < 10; ++j)
            total += a3_exp[n * 10 + j];
        a3_sum[n] = total;  // (8)
        EACH for (long k2 = 0; k2 < 10; ++k2) {
            a3[n * 10 + k2] = a3_exp[n * 10 + k2] / a3_sum[n];  // (8)
        }
    }
}

/* ---- Loss --------------------------------------------------------------------------------------- */

// T = onehot(t)    (N, 10) (1)
static void loss_T(struct mnist_wide *w, int id, long from, long to)
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

// E = −(1/N) Σₙ Tₙᵀ log(a3ₙ)    () (9)
static void loss_E_sum(struct mnist_wide *w, int id, long from, long to)
{
    const real *restrict a3_sum = w->a3_sum;
    double *restrict own = (double *)w->E_sum_loss_E_sum_parts + id * 16;
    for (long n = from; n < to; ++n) {
        own[0] += log(a3_sum[n]);
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a3ₙ)    () (9)
static void loss_E_sum_total(struct mnist_wide *w, int id, long from, long to)
{
    double *restrict E_sum = w->E_sum;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_loss_E_sum_parts)[part * 16];
    const double sum = total;
    E_sum[0] = sum;  // (9)
}

// E = −(1/N) Σₙ Tₙᵀ log(a3ₙ)    () (9)
static void loss_E(struct mnist_wide *w, int id, long from, long to)
{
    const real *restrict T = w->T;
    const real *restrict a3_max = w->a3_max;
    const real *restrict z3 = w->z3;
    double *restrict own = (double *)w->E_sum_2_loss_E_parts + id * 16;
    for (long n = from; n < to; ++n) {
        for (long k = 0; k < 10; ++k) {
            own[0] += T[n * 10 + k] * (a3_max[n] - z3[n * 10 + k]);
        }
    }
}

// E = −(1/N) Σₙ Tₙᵀ log(a3ₙ)    () (9)
static void loss_E_total(struct mnist_wide *w, int id, long from, long to)
{
    double *restrict E = w->E;
    const double *restrict E_sum = w->E_sum;
    const long N = w->N;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_2_loss_E_parts)[part * 16];
    const double sum = total;
    E[0] = real(1. / (double)N) * (real(E_sum[0]) + sum);  // (9)
}

/* ---- Backward ----------------------------------------------------------------------------------- */

// δ3 = (a3 − T)/N    (N, 10) (10)
static void backward_delta3(struct mnist_wide *w, int id, long from, long to)
{
    real *restrict delta3 = w->delta3;
    const real *restrict a3 = w->a3;
    const real *restrict T = w->T;
    const long N = w->N;
    (void)id;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 10; ++k) {
            delta3[n * 10 + k] = real(1. / (double)N) * (a3[n * 10 + k] - T[n * 10 + k]);  // (10)
        }
    }
}

// ∂E/∂W3 = Σₙ δ3ₙ a2ₙᵀ    (10, 512) (11)
static void backward_dW3(struct mnist_wide *w, int id, long from, long to)
{
    real *restrict dW3 = w->dW3;
    (void)id;
    const real *const left = w->delta3;
    const real *const right = w->a2;
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
                    dW3[k * 512 + column] = sum;  // (11)
                }
        }
    }
}

// ∂E/∂b3 = Σₙ δ3ₙ    (10,) (12)
static void backward_db3(struct mnist_wide *w, int id, long from, long to)
{
    const real *restrict delta3 = w->delta3;
    real *restrict own = (real *)w->db3_backward_db3_parts + id * 16;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 10; ++k) {
            own[k] += delta3[n * 10 + k];
        }
    }
}

// ∂E/∂b3 = Σₙ δ3ₙ    (10,) (12)
static void backward_db3_total(struct mnist_wide *w, int id, long from, long to)
{
    real *restrict db3 = w->db3;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db3_backward_db3_parts)[part * 16 + at];
        const real sum = total;
        db3[at] = sum;  // (12)
    }
}

// δ2 = (W3ᵀ δ3) ⊙ [a2 > 0]    (N, 512) (13)
static void backward_delta2(struct mnist_wide *w, int id, long from, long to)
{
    real *restrict delta2 = w->delta2;
    const real *restrict a2 = w->a2;
    (void)id;
    const real *const left = w->delta3;
    const real *const right = w->W3;
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
                    delta2[n * 512 + column] = a2[n * 512 + column] > 0 ? sum : 0;  // (13)
                }
        }
    }
}

// ∂E/∂W2 = Σₙ δ2ₙ a1ₙᵀ    (512, 512) (14)
static void backward_dW2(struct mnist_wide *w, int id, long from, long to)
{
    real *restrict dW2 = w->dW2;
    (void)id;
    const real *const left = w->delta2;
    const real *const right = w->a1;
    for (long row0 = from * MR; row0 < least(to * MR, 512); row0 += MR) {
        for (long panel = 0; panel < PANELS(512); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(MR, least(to * MR, 512) - row0);
            const long count = least(NR, 512 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 1;
            multiply(tile, rows, count, false, left, at, 512, 0, right + panel * NR, 512, 0, w->N, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long k = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    dW2[k * 512 + column] = sum;  // (14)
                }
        }
    }
}

// ∂E/∂b2 = Σₙ δ2ₙ    (512,) (15)
static void backward_db2(struct mnist_wide *w, int id, long from, long to)
{
    const real *restrict delta2 = w->delta2;
    real *restrict own = (real *)w->db2_backward_db2_parts + id * 512;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 512; ++k) {
            own[k] += delta2[n * 512 + k];
        }
    }
}

// ∂E/∂b2 = Σₙ δ2ₙ    (512,) (15)
static void backward_db2_total(struct mnist_wide *w, int id, long from, long to)
{
    real *restrict db2 = w->db2;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db2_backward_db2_parts)[part * 512 + at];
        const real sum = total;
        db2[at] = sum;  // (15)
    }
}

// δ1 = (W2ᵀ δ2) ⊙ [a1 > 0]    (N, 512) (16)
static void backward_delta1(struct mnist_wide *w, int id, long from, long to)
{
    real *restrict delta1 = w->delta1;
    const real *restrict a1 = w->a1;
    (void)id;
    const real *const left = w->delta2;
    const real *const right = w->W2;
    for (long panel = from; panel < to; ++panel) {
        for (long row0 = 0; row0 < w->N; row0 += height(w->N)) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(w->N), w->N - row0);
            const long count = least(NR, 512 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 512;
            multiply(tile, rows, count, false, left, at, 1, 0, right + panel * NR, 512, 0, 512, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    delta1[n * 512 + column] = a1[n * 512 + column] > 0 ? sum : 0;  // (16)
                }
        }
    }
}

// ∂E/∂W1 = Σₙ δ1ₙ a0ₙᵀ    (512, 784) (17)
static void backward_dW1(struct mnist_wide *w, int id, long from, long to)
{
    real *restrict dW1 = w->dW1;
    (void)id;
    const real *const left = w->delta1;
    const real *const right = w->x;
    for (long row0 = from * MR; row0 < least(to * MR, 512); row0 += MR) {
        for (long panel = 0; panel < PANELS(784); ++panel) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(MR, least(to * MR, 512) - row0);
            const long count = least(NR, 784 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 1;
            multiply(tile, rows, count, false, left, at, 512, 0, right + panel * NR, 784, 0, w->N, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long k = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    dW1[k * 784 + column] = sum;  // (17)
                }
        }
    }
}

// ∂E/∂b1 = Σₙ δ1ₙ    (512,) (18)
static void backward_db1(struct mnist_wide *w, int id, long from, long to)
{
    const real *restrict delta1 = w->delta1;
    real *restrict own = (real *)w->db1_backward_db1_parts + id * 512;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 512; ++k) {
            own[k] += delta1[n * 512 + k];
        }
    }
}

// ∂E/∂b1 = Σₙ δ1ₙ    (512,) (18)
static void backward_db1_total(struct mnist_wide *w, int id, long from, long to)
{
    real *restrict db1 = w->db1;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db1_backward_db1_parts)[part * 512 + at];
        const real sum = total;
        db1[at] = sum;  // (18)
    }
}

/* ---- Input gradient ----------------------------------------------------------------------------- */

// ∂E/∂a0 = W1ᵀ δ1    (N, 784) (19)
static void input_gradient_da0(struct mnist_wide *w, int id, long from, long to)
{
    real *restrict da0 = w->da0;
    (void)id;
    const real *const left = w->delta1;
    const real *const right = w->W1;
    for (long panel = from; panel < to; ++panel) {
        for (long row0 = 0; row0 < w->N; row0 += height(w->N)) {
            _Alignas(64) real tile[MR * NR];
            const long rows = least(height(w->N), w->N - row0);
            const long count = least(NR, 784 - panel * NR);
            long at[MR];
            for (long r = 0, row = row0; r < rows; ++r, ++row) at[r] = row * 512;
            multiply(tile, rows, count, false, left, at, 1, 0, right + panel * NR, 784, 0, 512, 1);
            for (long r = 0; r < rows; ++r)
                for (long c = 0; c < count; ++c) {
                    const long n = row0 + r;
                    const long column = panel * NR + c;
                    const real sum = tile[r * NR + c];
                    da0[n * 784 + column] = sum;  // (19)
                }
        }
    }
}

/* ---- Update ------------------------------------------------------------------------------------- */

// v ← μ v + g    (669706,) (21)
// θ ← θ − η v    (669706,) (22)
static void update_theta(struct mnist_wide *w, int id, long from, long to)
{
    real *restrict v = w->v;
    real *restrict theta = w->theta;
    const real *restrict g = w->g;
    (void)id;
    EACH for (long i = from; i < to; ++i) {
        real v_2 = real(MOMENTUM) * v[i] + g[i];  // (21)
        v[i] = v_2;  // (21)
        theta[i] = theta[i] - real(LEARNING_RATE) * v_2;  // (22)
    }
}

/* ---- What threads do, part by part ----------------------------------------------------------------- */
static void forward(struct mnist_wide *w, int id)
{
    forward_a1(w, id, share(w, id, PANELS(512)), share(w, id + 1, PANELS(512)));
    barrier(w);
    forward_a2(w, id, share(w, id, PANELS(512)), share(w, id + 1, PANELS(512)));
    barrier(w);
    forward_z3(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    forward_a3(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
}

static void loss(struct mnist_wide *w, int id)
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

static void backward(struct mnist_wide *w, int id)
{
    for (long e = 0; e < 10; ++e) ((real *)w->db3_backward_db3_parts)[id * 16 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta3(w, id, n, n + 1);
        backward_db3(w, id, n, n + 1);
    }
    barrier(w);
    backward_dW3(w, id, share(w, id, PANELS(512)), share(w, id + 1, PANELS(512)));
    barrier(w);
    if (id == 0) backward_db3_total(w, id, 0, 10);
    backward_delta2(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    backward_dW2(w, id, share(w, id, (512 + MR - 1) / MR), share(w, id + 1, (512 + MR - 1) / MR));
    for (long e = 0; e < 512; ++e) ((real *)w->db2_backward_db2_parts)[id * 512 + e] = 0;
    backward_db2(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) backward_db2_total(w, id, 0, 512);
    backward_delta1(w, id, share(w, id, PANELS(512)), share(w, id + 1, PANELS(512)));
    barrier(w);
    backward_dW1(w, id, share(w, id, (512 + MR - 1) / MR), share(w, id + 1, (512 + MR - 1) / MR));
    for (long e = 0; e < 512; ++e) ((real *)w->db1_backward_db1_parts)[id * 512 + e] = 0;
    backward_db1(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) backward_db1_total(w, id, 0, 512);
    barrier(w);
}

static void input_gradient(struct mnist_wide *w, int id)
{
    input_gradient_da0(w, id, share(w, id, PANELS(784)), share(w, id + 1, PANELS(784)));
    barrier(w);
}

static void update(struct mnist_wide *w, int id)
{
    update_theta(w, id, share(w, id, 669706), share(w, id + 1, 669706));
    barrier(w);
}

static void output_job(struct mnist_wide *w, int id)
{
    forward(w, id);
}

static void evaluation_job(struct mnist_wide *w, int id)
{
    forward(w, id);
    loss(w, id);
}

static void loss_job(struct mnist_wide *w, int id)
{
    forward(w, id);
    loss(w, id);
}

static void gradient_job(struct mnist_wide *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
}

static void input_job(struct mnist_wide *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
    input_gradient(w, id);
}

static void update_job(struct mnist_wide *w, int id)
{
    update(w, id);
}

static void step_job(struct mnist_wide *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
    update(w, id);
}

/* ---- What is called -------------------------------------------------------------------------------- */
static const long WORK = 3209216; /* floating-point operations of a sample in a step */

static void take(struct mnist_wide *w, const real *theta, const real *statistics, const real *x, const int32_t *t, long N,
    uint64_t seed)
{
    w->N = N, w->seed = seed;
    (void)theta, (void)statistics, (void)x, (void)t;
    w->x = (real *)(uintptr_t)x;
    w->t = (int *)(uintptr_t)t;
    w->b1 = (real *)(uintptr_t)theta + 401408;
    w->W1 = (real *)(uintptr_t)theta + 0;
    w->b2 = (real *)(uintptr_t)theta + 664064;
    w->W2 = (real *)(uintptr_t)theta + 401920;
    w->b3 = (real *)(uintptr_t)theta + 669696;
    w->W3 = (real *)(uintptr_t)theta + 664576;
}

static void give(struct mnist_wide *w, real *gradients)
{
    (void)w, (void)gradients;
    w->dW3 = gradients + 664576;
    w->db3 = gradients + 669696;
    w->dW2 = gradients + 401920;
    w->db2 = gradients + 664064;
    w->dW1 = gradients + 0;
    w->db1 = gradients + 401408;
}

static void prepare(struct mnist_wide *w, real *theta, const real *gradients, real *const *state, long step, long steps)
{
    w->step = step, w->steps = steps;
    (void)theta, (void)gradients, (void)state;
    w->g = (real *)(uintptr_t)gradients;
    w->theta = theta;
    w->v = state[0];
}

void mnist_wide_predict(struct mnist_wide *w, const real *theta, const real *statistics, const real *x, long N, real *y)
{
    take(w, theta, statistics, x, NULL, N, 0);
    run(w, output_job, N * WORK / 3);
    memcpy(y, w->a3, (size_t)N * 10 * sizeof(real));
}

double mnist_wide_loss(struct mnist_wide *w, const real *theta, const real *statistics, const real *x, const int32_t *t,
    long N, uint64_t seed)
{
    take(w, theta, statistics, x, t, N, seed);
    run(w, loss_job, N * WORK / 3);
    return w->E[0];
}

double mnist_wide_evaluation_loss(struct mnist_wide *w, const real *theta, const real *statistics, const real *x,
    const int32_t *t, long N)
{
    take(w, theta, statistics, x, t, N, 0);
    run(w, evaluation_job, N * WORK / 3);
    return w->E[0];
}

double mnist_wide_loss_and_gradients(struct mnist_wide *w, const real *theta, const real *statistics, const real *x,
    const int32_t *t, long N, uint64_t seed, real *gradients)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, gradients);
    run(w, gradient_job, N * WORK);
    return w->E[0];
}

double mnist_wide_input_gradient(struct mnist_wide *w, const real *theta, const real *statistics, const real *x,
    const int32_t *t, long N, uint64_t seed, real *dx)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, w->gradients);
    run(w, input_job, N * WORK);
    memcpy(dx, w->da0, (size_t)N * 784 * sizeof(real));
    return w->E[0];
}

void mnist_wide_update(struct mnist_wide *w, real *theta, const real *gradients, real *const *state, long step, long steps,
    double *rate)
{
    prepare(w, theta, gradients, state, step, steps);
    run(w, update_job, 10L * 669706);
    if (rate) *rate = 0;
}

double mnist_wide_step(struct mnist_wide *w, real *theta, real *statistics, real *const *state, const real *x,
    const int32_t *t, long N, uint64_t seed, long step, long steps, double *rate)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, w->gradients);
    prepare(w, theta, w->gradients, state, step, steps);
    run(w, step_job, N * WORK);
    if (rate) *rate = 0;
    return w->E[0];
}
