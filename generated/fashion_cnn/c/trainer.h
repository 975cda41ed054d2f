/* fashion_cnn: 28x28x1-28x28x64-14x14x32-256-10, relu, max_pool2d, dropout, softmax; cross_entropy; adam; 412,778 parameters
 *
 * Generated from fashion_cnn.toml (sha256 f9ffaeea); change the spec, not this file.
 * Parameters, gradients and the optimizer's state are flat vectors of fashion_cnn_COUNT values.  Inputs are
 * (N, 28, 28, 1), outputs (N, 10), the last index fastest.
 */
#ifndef fashion_cnn_H
#define fashion_cnn_H
#include <stddef.h>
#include <stdint.h>

#ifndef REAL
#define REAL float
#endif
typedef REAL fashion_cnn_real;
typedef int32_t fashion_cnn_target;
enum { fashion_cnn_COUNT = 412778, fashion_cnn_INPUT = 784, fashion_cnn_OUTPUT = 10 };

/* The memory of steps on at most `samples` samples at a time, and its threads: for one call at a time. */
struct fashion_cnn;
struct fashion_cnn *fashion_cnn_open(long samples, int threads); /* NULL where memory or threads are missing */
void fashion_cnn_close(struct fashion_cnn *w);
size_t fashion_cnn_bytes(long samples, int threads);

void fashion_cnn_predict(struct fashion_cnn *w, const REAL *theta, const REAL *statistics, const REAL *x, long N, REAL *y);
double fashion_cnn_loss(struct fashion_cnn *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const fashion_cnn_target *t, long N, uint64_t seed);
double fashion_cnn_evaluation_loss(struct fashion_cnn *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const fashion_cnn_target *t, long N);
double fashion_cnn_loss_and_gradients(struct fashion_cnn *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const fashion_cnn_target *t, long N, uint64_t seed, REAL *gradients);
double fashion_cnn_input_gradient(struct fashion_cnn *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const fashion_cnn_target *t, long N, uint64_t seed, REAL *dx);
/* One step of the optimizer, the `step`th (from 1) of `steps`; the rate that it took goes to *rate, if not NULL. */
void fashion_cnn_update(struct fashion_cnn *w, REAL *theta, const REAL *gradients, REAL *const *state, long step, long steps,
    double *rate);
double fashion_cnn_step(struct fashion_cnn *w, REAL *theta, REAL *statistics, REAL *const *state, const REAL *x,
    const fashion_cnn_target *t, long N, uint64_t seed, long step, long steps, double *rate);
#endif
