/* mnist_cnn: 28x28x1-26x26x16-11x11x32-64-10, relu, max_pool2d, dropout, softmax; cross_entropy; adam; 56,714 parameters
 *
 * Generated from mnist_cnn.toml (sha256 c0a0278e); change the spec, not this file.
 * Parameters, gradients and the optimizer's state are flat vectors of mnist_cnn_COUNT values.  Inputs are
 * (N, 28, 28, 1), outputs (N, 10), the last index fastest.
 */
#ifndef mnist_cnn_H
#define mnist_cnn_H
#include <stddef.h>
#include <stdint.h>

#ifndef REAL
#define REAL float
#endif
typedef REAL mnist_cnn_real;
typedef int32_t mnist_cnn_target;
enum { mnist_cnn_COUNT = 56714, mnist_cnn_INPUT = 784, mnist_cnn_OUTPUT = 10 };

/* The memory of steps on at most `samples` samples at a time, and its threads: for one call at a time. */
struct mnist_cnn;
struct mnist_cnn *mnist_cnn_open(long samples, int threads); /* NULL where memory or threads are missing */
void mnist_cnn_close(struct mnist_cnn *w);
size_t mnist_cnn_bytes(long samples, int threads);

void mnist_cnn_predict(struct mnist_cnn *w, const REAL *theta, const REAL *statistics, const REAL *x, long N, REAL *y);
double mnist_cnn_loss(struct mnist_cnn *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const mnist_cnn_target *t, long N, uint64_t seed);
double mnist_cnn_evaluation_loss(struct mnist_cnn *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const mnist_cnn_target *t, long N);
double mnist_cnn_loss_and_gradients(struct mnist_cnn *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const mnist_cnn_target *t, long N, uint64_t seed, REAL *gradients);
double mnist_cnn_input_gradient(struct mnist_cnn *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const mnist_cnn_target *t, long N, uint64_t seed, REAL *dx);
/* One step of the optimizer, the `step`th (from 1) of `steps`; the rate that it took goes to *rate, if not NULL. */
void mnist_cnn_update(struct mnist_cnn *w, REAL *theta, const REAL *gradients, REAL *const *state, long step, long steps,
    double *rate);
double mnist_cnn_step(struct mnist_cnn *w, REAL *theta, REAL *statistics, REAL *const *state, const REAL *x,
    const mnist_cnn_target *t, long N, uint64_t seed, long step, long steps, double *rate);
#endif
