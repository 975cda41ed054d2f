/* and_gate: 2-1, sigmoid; mse; sgd; 3 parameters
 *
 * Generated from and.toml (sha256 684cf125); change the spec, not this file.  A number in
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
struct and_gate {
    long samples, N, step, steps;
    uint64_t seed;
    int threads, team;
    void (*job)(struct and_gate *, int);
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
    real *t;
    double *E;
    real *delta1;
    real *dW1;
    real *db1;
    real *dx;
    real *theta;
    real *g;
    real *E_sum_loss_E_parts;
    real *dW1_backward_dW1_parts;
    real *db1_backward_db1_parts;
};

/* Let the workspace's pointers be into memory for N samples, if there is any; return how much that is. */
static size_t lay(struct and_gate *w, char *memory, size_t N, size_t threads)
{
    size_t at = 0;
    (void)N, (void)threads;
    if (memory) w->a1 = (real *)(void *)(memory + at);
    at += (N * 1 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E = (double *)(void *)(memory + at);
    at += (1 * sizeof(double) + 63) / 64 * 64;
    if (memory) w->delta1 = (real *)(void *)(memory + at);
    at += (N * 1 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dx = (real *)(void *)(memory + at);
    at += (N * 2 * sizeof(real) + 63) / 64 * 64;
    if (memory) w->E_sum_loss_E_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->dW1_backward_dW1_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->db1_backward_db1_parts = (real *)(void *)(memory + at);
    at += ((size_t)(threads * 32) * sizeof(real) + 63) / 64 * 64;
    if (memory) w->gradients = (real *)(void *)(memory + at);
    at += (3 * sizeof(real) + 63) / 64 * 64;
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

static long share(const struct and_gate *w, int id, long count) { return count * id / w->team; }

static void barrier(struct and_gate *w)
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
    struct and_gate *w;
    int id;
};

static void *help(void *given)
{
    struct helper *own = given;
    struct and_gate *w = own->w;
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
static void run(struct and_gate *w, void (*job)(struct and_gate *, int), long work)
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

size_t and_gate_bytes(long samples, int threads)
{
    return sizeof(struct and_gate) + lay(NULL, NULL, (size_t)samples, (size_t)threads);
}

void and_gate_close(struct and_gate *w)
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

struct and_gate *and_gate_open(long samples, int threads)
{
    struct and_gate *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->samples = samples, w->threads = threads, w->team = 1, w->started = 1;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->memory = calloc(1, lay(w, NULL, (size_t)samples, (size_t)threads));
    w->helpers = calloc((size_t)threads, sizeof *w->helpers);
    if (!w->memory || !w->helpers) return and_gate_close(w), NULL;
    lay(w, (char *)(((uintptr_t)w->memory + 63) / 64 * 64), (size_t)samples, (size_t)threads);
    for (int id = 1; id < threads; ++id) {
        struct helper *own = malloc(sizeof *own);
        if (!own) return and_gate_close(w), NULL;
        own->w = w, own->id = id;
        if (pthread_create(&w->helpers[id], NULL, help, own)) return free(own), and_gate_close(w), NULL;
        w->started = id + 1;
    }
    return w;
}

/* ---- Forward ------------------------------------------------------------------------------------ */

// z1 = W1 a0 + b1    (N, 1) (2)
// a1 = σ(z1)    (N, 1) (3)
static void forward_a1(struct and_gate *w, int id, long from, long to)
{
    real *restrict a1 = w->a1;
    const real *restrict W1 = w->W1;
    const real *restrict x = w->x;
    const real *restrict b1 = w->b1;
    (void)id;
    EACH for (long n = from; n < to; ++n) {
        real total = real(0);
        UNROLL for (int j = 0; j < 2; ++j)
            total += W1[j] * x[n * 2 + j];
        real z1_2 = total;  // (2)
        z1_2 = b1[0] + z1_2;  // (2)
        a1[n] = sigmoid(z1_2);  // (3)
    }
}

/* ---- Loss --------------------------------------------------------------------------------------- */

// E = (1/(2 N)) Σₙ ‖a1ₙ − tₙ‖²    () (4)
static void loss_E(struct and_gate *w, int id, long from, long to)
{
    const real *restrict a1 = w->a1;
    const real *restrict t = w->t;
    double *restrict own = (double *)w->E_sum_loss_E_parts + id * 16;
    for (long n = from; n < to; ++n) {
        own[0] += real(0.5) * square(a1[n] - t[n]);
    }
}

// E = (1/(2 N)) Σₙ ‖a1ₙ − tₙ‖²    () (4)
static void loss_E_total(struct and_gate *w, int id, long from, long to)
{
    double *restrict E = w->E;
    const long N = w->N;
    (void)id;
    (void)from, (void)to;
    double total = 0;
    for (int part = 0; part < w->team; ++part) total += ((double *)w->E_sum_loss_E_parts)[part * 16];
    const double sum = total;
    E[0] = real(1. / (double)N) * sum;  // (4)
}

/* ---- Backward ----------------------------------------------------------------------------------- */

// δ1 = (a1 − t) ⊙ a1 ⊙ (1 − a1)/N    (N, 1) (5)
static void backward_delta1(struct and_gate *w, int id, long from, long to)
{
    real *restrict delta1 = w->delta1;
    const real *restrict a1 = w->a1;
    const real *restrict t = w->t;
    const long N = w->N;
    (void)id;
    EACH for (long n = from; n < to; ++n) {
        delta1[n] = real(1. / (double)N) * a1[n] * (1 - a1[n]) * (a1[n] - t[n]);  // (5)
    }
}

// ∂E/∂W1 = Σₙ δ1ₙ a0ₙᵀ    (1, 2) (6)
static void backward_dW1(struct and_gate *w, int id, long from, long to)
{
    const real *restrict delta1 = w->delta1;
    const real *restrict x = w->x;
    real *restrict own = (real *)w->dW1_backward_dW1_parts + id * 16;
    for (long n = from; n < to; ++n) {
        EACH for (long j = 0; j < 2; ++j) {
            own[(0) * 2 + j] += delta1[n] * x[n * 2 + j];
        }
    }
}

// ∂E/∂W1 = Σₙ δ1ₙ a0ₙᵀ    (1, 2) (6)
static void backward_dW1_total(struct and_gate *w, int id, long from, long to)
{
    real *restrict dW1 = w->dW1;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->dW1_backward_dW1_parts)[part * 16 + at];
        const real sum = total;
        dW1[at] = sum;  // (6)
    }
}

// ∂E/∂b1 = Σₙ δ1ₙ    (1,) (7)
static void backward_db1(struct and_gate *w, int id, long from, long to)
{
    const real *restrict delta1 = w->delta1;
    real *restrict own = (real *)w->db1_backward_db1_parts + id * 16;
    for (long n = from; n < to; ++n) {
        own[0] += delta1[n];
    }
}

// ∂E/∂b1 = Σₙ δ1ₙ    (1,) (7)
static void backward_db1_total(struct and_gate *w, int id, long from, long to)
{
    real *restrict db1 = w->db1;
    (void)id;
    for (long at = from; at < to; ++at) {
        real total = 0;
        for (int part = 0; part < w->team; ++part) total += ((real *)w->db1_backward_db1_parts)[part * 16 + at];
        const real sum = total;
        db1[0] = sum;  // (7)
    }
}

/* ---- Input gradient ----------------------------------------------------------------------------- */

// ∂E/∂x = W1ᵀ δ1    (N, 2) (8)
static void input_gradient_dx(struct and_gate *w, int id, long from, long to)
{
    real *restrict dx = w->dx;
    const real *restrict W1 = w->W1;
    const real *restrict delta1 = w->delta1;
    (void)id;
    for (long n = from; n < to; ++n) {
        EACH for (long j = 0; j < 2; ++j) {
            real total = real(0);
            UNROLL for (int k = 0; k < 1; ++k)
                total += W1[j] * delta1[n];
            dx[n * 2 + j] = total;  // (8)
        }
    }
}

/* ---- Update ------------------------------------------------------------------------------------- */

// θ ← θ − η g    (3,) (9)
static void update_theta(struct and_gate *w, int id, long from, long to)
{
    real *restrict theta = w->theta;
    const real *restrict g = w->g;
    (void)id;
    EACH for (long i = from; i < to; ++i) {
        theta[i] = theta[i] - real(LEARNING_RATE) * g[i];  // (9)
    }
}

/* ---- What threads do, part by part ----------------------------------------------------------------- */
static void forward(struct and_gate *w, int id)
{
    forward_a1(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
}

static void loss(struct and_gate *w, int id)
{
    for (long e = 0; e < 1; ++e) ((double *)w->E_sum_loss_E_parts)[id * 16 + e] = 0;
    loss_E(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
    if (id == 0) loss_E_total(w, id, 0, 1);
    barrier(w);
}

static void backward(struct and_gate *w, int id)
{
    for (long e = 0; e < 2; ++e) ((real *)w->dW1_backward_dW1_parts)[id * 16 + e] = 0;
    for (long e = 0; e < 1; ++e) ((real *)w->db1_backward_db1_parts)[id * 16 + e] = 0;
    for (long n = share(w, id, w->N); n < share(w, id + 1, w->N); ++n) {
        backward_delta1(w, id, n, n + 1);
        backward_dW1(w, id, n, n + 1);
        backward_db1(w, id, n, n + 1);
    }
    barrier(w);
    if (id == 0) backward_dW1_total(w, id, 0, 2);
    barrier(w);
    if (id == 0) backward_db1_total(w, id, 0, 1);
    barrier(w);
}

static void input_gradient(struct and_gate *w, int id)
{
    input_gradient_dx(w, id, share(w, id, w->N), share(w, id + 1, w->N));
    barrier(w);
}

static void update(struct and_gate *w, int id)
{
    update_theta(w, id, share(w, id, 3), share(w, id + 1, 3));
    barrier(w);
}

static void output_job(struct and_gate *w, int id)
{
    forward(w, id);
}

static void evaluation_job(struct and_gate *w, int id)
{
    forward(w, id);
    loss(w, id);
}

static void loss_job(struct and_gate *w, int id)
{
    forward(w, id);
    loss(w, id);
}

static void gradient_job(struct and_gate *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
}

static void input_job(struct and_gate *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
    input_gradient(w, id);
}

static void update_job(struct and_gate *w, int id)
{
    update(w, id);
}

static void step_job(struct and_gate *w, int id)
{
    forward(w, id);
    loss(w, id);
    backward(w, id);
    update(w, id);
}

/* ---- What is called -------------------------------------------------------------------------------- */
static const long WORK = 1; /* floating-point operations of a sample in a step */

static void take(struct and_gate *w, const real *theta, const real *statistics, const real *x, const real *t, long N,
    uint64_t seed)
{
    w->N = N, w->seed = seed;
    (void)theta, (void)statistics, (void)x, (void)t;
    w->x = (real *)(uintptr_t)x;
    w->t = (real *)(uintptr_t)t;
    w->W1 = (real *)(uintptr_t)theta + 0;
    w->b1 = (real *)(uintptr_t)theta + 2;
}

static void give(struct and_gate *w, real *gradients)
{
    (void)w, (void)gradients;
    w->dW1 = gradients + 0;
    w->db1 = gradients + 2;
}

static void prepare(struct and_gate *w, real *theta, const real *gradients, real *const *state, long step, long steps)
{
    w->step = step, w->steps = steps;
    (void)theta, (void)gradients, (void)state;
    w->theta = theta;
    w->g = (real *)(uintptr_t)gradients;
}

void and_gate_predict(struct and_gate *w, const real *theta, const real *statistics, const real *x, long N, real *y)
{
    take(w, theta, statistics, x, NULL, N, 0);
    run(w, output_job, N * WORK / 3);
    memcpy(y, w->a1, (size_t)N * 1 * sizeof(real));
}

double and_gate_loss(struct and_gate *w, const real *theta, const real *statistics, const real *x, const real *t,
    long N, uint64_t seed)
{
    take(w, theta, statistics, x, t, N, seed);
    run(w, loss_job, N * WORK / 3);
    return w->E[0];
}

double and_gate_evaluation_loss(struct and_gate *w, const real *theta, const real *statistics, const real *x,
    const real *t, long N)
{
    take(w, theta, statistics, x, t, N, 0);
    run(w, evaluation_job, N * WORK / 3);
    return w->E[0];
}

double and_gate_loss_and_gradients(struct and_gate *w, const real *theta, const real *statistics, const real *x,
    const real *t, long N, uint64_t seed, real *gradients)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, gradients);
    run(w, gradient_job, N * WORK);
    return w->E[0];
}

double and_gate_input_gradient(struct and_gate *w, const real *theta, const real *statistics, const real *x,
    const real *t, long N, uint64_t seed, real *dx)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, w->gradients);
    run(w, input_job, N * WORK);
    memcpy(dx, w->dx, (size_t)N * 2 * sizeof(real));
    return w->E[0];
}

void and_gate_update(struct and_gate *w, real *theta, const real *gradients, real *const *state, long step, long steps,
    double *rate)
{
    prepare(w, theta, gradients, state, step, steps);
    run(w, update_job, 10L * 3);
    if (rate) *rate = 0;
}

double and_gate_step(struct and_gate *w, real *theta, real *statistics, real *const *state, const real *x,
    const real *t, long N, uint64_t seed, long step, long steps, double *rate)
{
    take(w, theta, statistics, x, t, N, seed);
    give(w, w->gradients);
    prepare(w, theta, w->gradients, state, step, steps);
    run(w, step_job, N * WORK);
    if (rate) *rate = 0;
    return w->E[0];
}
