/* xor_backprop: 2-3-1, sigmoid; mse; sgd; 12 parameters
 *
 * Generated from xor_backprop.toml (sha256 ffd9c44d); change the spec, not this file.  A number in
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

static const double LEARNING_RATE = 1.0;

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
static inline real sigmoid(real u) { return 1 / (1 + exp(-u)); }


/* ---- Memory -------------------------------------------------------------------------------------- */
struct xor_backprop {
    long samples, N, step, steps;
    uint64_t seed;
    int threads, team;
    void (*job)(struct xor_backprop *, int);
    pthread_t *helpers;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_int arrived, turn, begun;
    int started, stop;
    void *memory;
    real *gradients;
    real *W1;
    real *x;
    real *b1;
    real *a1;
    real *W2;
    real *a2;
    real *t;
    double *E;
    real *delta2;
    real *delta1;
    real *dW2;
    real *dW1;
    real *db1;
    real *dx;
    real *theta;
    real *g;
    real *E_loss_E_parts;
    real *dW2_backward_dW2_parts;
    real *dW1_backward_dW1_parts;
    real *db1_backward_db1_parts;
};

/* Let the workspace's pointers be into memory for N samples, if there is any; return how much that is. */
static size_t lay(struct xor_backprop *w, char *memory, size_t N, size_t threads)
{
    size_t at = 0;
    (void)N, (void)threads;
    if (memory) w->a1 = (real *)(void *)(memory + at);
    at += (N * 3 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->a2 = (real *)(void *)(memory + at);
    at += (N * 1 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->delta2 = (real *)(void *)(memory + at);
    at += (N * 1 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->delta1 = (real *)(void *)(memory + at);
    at += (N * 3 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dx = (real *)(void *)(memory + at);
    at += (N * 2 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_loss_E_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dW2_backward_dW2_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dW1_backward_dW1_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db1_backward_db1_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->gradients = (real *)(void *)(memory + at);
    at += (12 * sizeof(real) + 63) / 64 * 64;
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

static long share(const struct xor_backprop *w, int id, long count) { return count * id / w->team; }

static void barrier(struct xor_backprop *w)
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
    struct xor_backprop *w;
    int id;
};

static void *help(void *given)
{
    struct helper *own = given;
    struct xor_backprop *w = own->w;
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
static void run(struct xor_backprop *w, void (*job)(struct xor_backprop *, int), long work)
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

size_t xor_backprop_bytes(long samples, int threads)
{
    return sizeof(struct xor_backprop) + lay(NULL, NULL, (size_t)samples, (size_t)threads);
}

void xor_backprop_close(struct xor_backprop *w)
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

struct xor_backprop *xor_backprop_open(long samples, int threads)
{
    struct xor_backprop *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->samples = samples, w->threads = threads, w->team = 1, w->started = 1;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->memory = calloc(1, lay(w, NULL, (size_t)samples, (size_t)threads));
    w->helpers = calloc((size_t)threads, sizeof *w->helpers);
    if (!w->memory || !w->helpers) return xor_backprop_close(w), NULL;
    lay(w, (char *)(((uintptr_t)w->memory + 63) / 64 * 64), (size_t)samples, (size_t)threads);
    for (int id = 1; id < threads; ++id) {
        struct helper *own = malloc(sizeof *own);
        if (!own) return xor_backprop_close(w), NULL;
        own->w = w, own->id = id;
        if (pthread_create(&w->helpers[id], NULL, help, own)) return free(own), xor_backprop_close(w), NULL;
        w->started = id + 1;
    }
    return w;
}

/* ---- Forward ------------------------------------------------------------------------------------ */

// z1 = W1 a0 + b1    (N, 3) (2)
// a1 = σ(z1)    (N, 3) (3)
static void forward_a1(struct xor_backprop *w, int id, long from, long to)
{
    real *restrict a1 = w->a1;
    const real *restrict W1 = w->W1;
    const real *restrict x = w->x;
    const real *restrict b1 = w->b1;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long k = 0; k < 3; ++k) {
            real total = 0;
            for (long j = 0; j < 2; ++j) {
                total += W1[k * 2 + j] * x[n * 2 + j];
            }
            const real sum = total;
            real z1_2 = b1[k] + sum;  // (2)
            a1[n * 3 + k] = sigmoid(z1_2);  // (3)
        }
    }
}

// z2 = W2 a1    (N, 1) (4)
// a2 = σ(z2)    (N, 1) (5)
static void forward_a2(struct xor_backprop *w, int id, long from, long to)
{
    real *restrict a2 = w->a2;
    const real *restrict W2 = w->W2;
    const real *restrict a1 = w->a1;
    (void)id;
    EACH for (long n = from; n < to; ++n) {
        real total = real(0);
        UNROLL for (int j = 0; j < 3; ++j)
            total += W2[j] * a1[n * 3 + j];
        real z2_2 = total;  // (4)
        a2[n] = sigmoid(z2_2);  // (5)
    }
}

/* ---- Loss --------------------------------------------------------------------------------------- */

// E = (1/2) Σₙ ‖a2ₙ − tₙ‖²    () (6)
static void loss_E(struct xor_backprop *w, int id, long from, long to)
{
    const real *restrict a2 = w->a2;
    const real *restrict t = w->t;
    double *restrict own = (double *)w->E_loss_E_parts + id * 16;
    for (long n = from; n < to; ++n) {
        own[0] += real(0.5) * square(a2[n] - t[n]);
    }
}

// E = (1/2) Σₙ ‖a2ₙ − tₙ‖²    () (6)
static void loss_E_total(struct xor_backprop *w, int id, long from, long to)
{
    double *restrict E = w->E;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_loss_E_parts)[part * 16];
    const double sum = total;
    E[0] = sum;  // (6)
}

/* ---- Backward ----------------------------------------------------------------------------------- */

// δ2 = (a2 − t) ⊙ a2 ⊙ (1 − a2)    (N, 1) (7)
static void backward_delta2(struct xor_backprop *w, int id, long from, long to)
{
    real *restrict delta2 = w->delta2;
    const real *restrict a2 = w->a2;
    const real *restrict t = w->t;
    (void)id;
    EACH for (long n = from; n < to; ++n) {
        delta2[n] = a2[n] * (1 - a2[n]) * (a2[n] - t[n]);  // (7)
    }
}

// ∂E/∂W2 = Σₙ δ2ₙ a1ₙᵀ    (1, 3) (8)
static void backward_dW2(struct xor_backprop *w, int id, long from, long to)
{
    const real *restrict a1 = w->a1;
    const real *restrict delta2 = w->delta2;
    real *restrict own = (real *)w->dW2_backward_dW2_parts + id * 16;
    for (long n = from; n < to; ++n) {
        EACH for (long j = 0; j < 3; ++j) {
            own[(0) * 3 + j] += a1[n * 3 + j] * delta2[n];
        }
    }
}

// ∂E/∂W2 = Σₙ δ2ₙ a1ₙᵀ    (1, 3) (8)
static void backward_dW2_total(struct xor_backprop *w, int id, long from, long to)
{
    real *restrict dW2 = w->dW2;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dW2_backward_dW2_parts)[part * 16 + at];
        const real sum = total;
        dW2[at] = sum;  // (8)
    }
}

// δ1 = (W2ᵀ δ2) ⊙ a1 ⊙ (1 − a1)    (N, 3) (9)
static void backward_delta1(struct xor_backprop *w, int id, long from, long to)
{
    real *restrict delta1 = w->delta1;
    const real *restrict W2 = w->W2;
    const real *restrict delta2 = w->delta2;
    const real *restrict a1 = w->a1;
    (void)id;
    for (long n = from; n < to; ++n) {
        EACH for (long j = 0; j < 3; ++j) {
            real total = real(0);
            UNROLL for (int k = 0; k < 1; ++k)
                total += W2[j] * delta2[n];
            real delta1_2 = total;  // (9)
            delta1[n * 3 + j] = a1[n * 3 + j] * delta1_2 * (1 - a1[n * 3 + j]);  // (9)
        }
    }
}

// ∂E/∂W1 = Σₙ δ1ₙ a0ₙᵀ    (3, 2) (10)
static void backward_dW1(struct xor_backprop *w, int id, long from, long to)
{
    const real *restrict delta1 = w->delta1;
    const real *restrict x = w->x;
    real *restrict own = (real *)w->dW1_backward_dW1_parts + id * 16;
    for (long n = from; n < to; ++n) {
        for (long k = 0; k < 3; ++k) {
            EACH for (long j = 0; j < 2; ++j) {
                own[(k) * 2 + j] += delta1[n * 3 + k] * x[n * 2 + j];
            }
        }
    }
}

// ∂E/∂W1 = Σₙ δ1ₙ a0ₙᵀ    (3, 2) (10)
static void backward_dW1_total(struct xor_backprop *w, int id, long from, long to)
{
    real *restrict dW1 = w->dW1;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dW1_backward_dW1_parts)[part * 16 + at];
        const real sum = total;
        dW1[at] = sum;  // (10)
    }
}

// ∂E/∂b1 = Σₙ δ1ₙ    (3,) (11)
static void backward_db1(struct xor_backprop *w, int id, long from, long to)
{
    const real *restrict delta1 = w->delta1;
    real *restrict own = (real *)w->db1_backward_db1_parts + id * 16;
    for (long n = from; n < to; ++n) {
        EACH for (long k = 0; k < 3; ++k) {
            own[k] += delta1[n * 3 + k];
        }
    }
}

// ∂E/∂b1 = Σₙ δ1ₙ    (3,) (11)
static void backward_db1_total(struct xor_backprop *w, int id, long from, long to)
{
    real *restrict db1 = w->db1;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db1_backward_db1_parts)[part * 16 + at];
        const real sum = total;
        db1[at] = sum;  // (11)
    }
}

/* ---- Input gradient ----------------------------------------------------------------------------- */

// ∂E/∂x = W1ᵀ δ1    (N, 2) (12)
static void input_gradient_dx(struct xor_backprop *w, int id, long from, long to)
{
    real *restrict dx = w->dx;
    const real *restrict W1 = w->W1;
    const real *restrict delta1 = w->delta1;
    (void)id;
    for (long n = from; n < to; ++n) {
        for (long j = 0; j < 2; ++j) {
            real total = 0;
            for (long k = 0; k < 3; ++k) {
                total += W1[k * 2 + j] * delta1[n * 3 + k];
            }
            const real sum = total;
            dx[n * 2 + j] = sum;  // (12)
        }
    }
}

/* ---- Update ------------------------------------------------------------------------------------- */

// θ ← θ − η g    (12,) (13)
static void update_theta(struct xor_backprop *w, int id, long from, long to)
{
    real *restrict theta = w->theta;
    const real *restrict g = w->g;
    (void)id;
    EACH for (long i = from; i < to; ++i) {
        theta[i] = theta[i] - real(LEARNING_RATE) * g[i];  // (13)
    }
}

/* ---- What threads do, part by part ----------------------------------------------------------------- */
static void forward(struct xor_backprop *w, int id)
{
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        forward_a1(w, id, n, n + 1);
        forward_a2(w, id, n, n + 1);
    }
    barrier(w);
}

static void loss(struct xor_backprop *w, int id)
{
    for (long e = 0; e < 1; ++e) ((double *)w->E_loss_E_parts)[id * 16 + e] = 0;
    loss_E(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) loss_E_total(w, id, 0, 1);
    barrier(w);
}

static void backward(struct xor_backprop *w, int id)
{
    for (long e = 0; e < 3; ++e) ((real *)w->dW2_backward_dW2_parts)[id * 16 + e] = 0;
    for (long e = 0; e < 6; ++e) ((real *)w->dW1_backward_dW1_parts)[id * 16 + e] = 0;
    for (long e = 0; e < 3; ++e) ((real *)w->db1_backward_db1_parts)[id * 16 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta2(w, id, n, n + 1);
        backward_dW2(w, id, n, n + 1);
        backward_delta1(w, id, n, n + 1);
        backward_dW1(w, id, n, n + 1);
        backward_db1(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) backward_dW2_total(w, id, 0, 3);
    barrier(w);
    if (id == 0) backward_dW1_total(w, id, 0, 6);
    barrier(w);
    if (id == 0) backward_db1_total(w, id, 0, 3);
    barrier(w);
}

static void input_gradient(struct xor_backprop *w, int id)
{
    input_gradient_dx(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
}

static void update(struct xor_backprop *w, int id)
{
    update_theta(w, id, share(w, id, 12), share(w, id + 1, 12));
    barrier(w);
}

static void output_job(struct xor_backprop *w, int id)
{
    forward(w, id);
}

static void evaluation_job(struct xor_backprop *w, int id)
{
    forward(w, id);
    loss(w, id);
}

static void loss_job(struct xor_backprop *w, int id)
{
    forward(w, id);
    loss(w, id);
}

static void gradient_job(struct xor_backprop *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
}

static void input_job(struct xor_backprop *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
    input_gradient(w, id);
}

static void update_job(struct xor_backprop *w, int id)
{
    update(w, id);
}

static void step_job(struct xor_backprop *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
    update(w, id);
}

/* ---- What is called -------------------------------------------------------------------------------- */
static const long WORK = 24; /* floating-point operations of a sample in a step */

static void take(struct xor_backprop *w, const real *theta, const real *statistics, const real *x, const real *t, long N,
    uint64_t seed)
{
    w->N = N, w->seed = seed;
    (void)theta, (void)statistics, (void)x, (void)t;
    w->x = (real *)(uintptr_t)x;
    w->t = (real *)(uintptr_t)t;
    w->W1 = (real *)(uintptr_t)theta + 0;
    w->b1 = (real *)(uintptr_t)theta + 6;
    w->W2 = (real *)(uintptr_t)theta + 9;
}

static void give(struct xor_backprop *w, real *gradients)
{
    (void)w, (void)gradients;
    w->dW2 = gradients + 9;
    w->dW1 = gradients + 0;
    w->db1 = gradients + 6;
}

static void prepare(struct xor_backprop *w, real *theta, const real *gradients, real *const *state, long step, long steps)
{
    w->step = step, w->steps = steps;
    (void)theta, (void)gradients, (void)state;
    w->theta = theta;
    w->g = (real *)(uintptr_t)gradients;
}

void xor_backprop_predict(struct xor_backprop *w, const real *theta, const real *statistics, const real *x, long N, real *y)
{
    take(w, theta, statistics, x, NULL, N, 0);
    run(w, output_job, N * WORK / 3);
    memcpy(y, w->a2, (size_t)N * 1 * sizeof(real));
}

double xor_backprop_loss(struct xor_backprop *w, const real *theta, const real *statistics, const real *x, const real *t,
    long N, uint64_t seed)
{
    take(w, theta, statistics, x, t, N, seed);
    run(w, loss_job, N * WORK / 3);
    return w->E[0];
}

double xor_backprop_evaluation_loss(struct xor_backprop *w, const real *theta, const real *statistics, const real *x,
    const real *t, long N)
{
    take(w, theta, statistics, x, t, N, 0);
    run(w, evaluation_job, N * WORK / 3);
    return w->E[0];
}

double xor_backprop_loss_and_gradients(struct xor_backprop *w, const real *theta, const real *statistics, const real *x,
    const real *t, long N, uint64_t seed, real *gradients)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, gradients);
    run(w, gradient_job, N * WORK);
    return w->E[0];
}

double xor_backprop_input_gradient(struct xor_backprop *w, const real *theta, const real *statistics, const real *x,
    const real *t, long N, uint64_t seed, real *dx)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, w->gradients);
    run(w, input_job, N * WORK);
    memcpy(dx, w->dx, (size_t)N * 2 * sizeof(real));
    return w->E[0];
}

void xor_backprop_update(struct xor_backprop *w, real *theta, const real *gradients, real *const *state, long step, long steps,
    double *rate)
{
    prepare(w, theta, gradients, state, step, steps);
    run(w, update_job, 10L * 12);
    if (rate) *rate = 0;
}

double xor_backprop_step(struct xor_backprop *w, real *theta, real *statistics, real *const *state, const real *x,
    const real *t, long N, uint64_t seed, long step, long steps, double *rate)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, w->gradients);
    prepare(w, theta, w->gradients, state, step, steps);
    run(w, step_job, N * WORK);
    if (rate) *rate = 0;
    return w->E[0];
}
