/* cifar10_cnn_79: 32x32x3-…-10 (8 layers), relu, dropout, max_pool2d, softmax; cross_entropy; adam; 1,640,048 parameters
 *
 * Generated from cifar10_cnn_79.toml (sha256 a0078f30); change the spec, not this file.
 * Parameters, gradients and the optimizer's state are flat vectors of cifar10_cnn_79_COUNT values.  Inputs are
 * (N, 32, 32, 3), outputs (N, 10), the last index fastest.
 */
#ifndef cifar10_cnn_79_H
#define cifar10_cnn_79_H
#include <stddef.h>
#include <stdint.h>

#ifndef REAL
#define REAL float
#endif
typedef REAL cifar10_cnn_79_real;
typedef int32_t cifar10_cnn_79_target;
enum { cifar10_cnn_79_COUNT = 1640048, cifar10_cnn_79_INPUT = 3072, cifar10_cnn_79_OUTPUT = 10 };

/* The memory of steps on at most `samples` samples at a time, and its threads: for one call at a time. */
struct cifar10_cnn_79;
struct cifar10_cnn_79 *cifar10_cnn_79_open(long samples, int threads); /* NULL where memory or threads are missing */
void cifar10_cnn_79_close(struct cifar10_cnn_79 *w);
size_t cifar10_cnn_79_bytes(long samples, int threads);

void cifar10_cnn_79_predict(struct cifar10_cnn_79 *w, const REAL *theta, const REAL *statistics, const REAL *x, long N, REAL *y);
double cifar10_cnn_79_loss(struct cifar10_cnn_79 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const cifar10_cnn_79_target *t, long N, uint64_t seed);
double cifar10_cnn_79_evaluation_loss(struct cifar10_cnn_79 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const cifar10_cnn_79_target *t, long N);
double cifar10_cnn_79_loss_and_gradients(struct cifar10_cnn_79 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const cifar10_cnn_79_target *t, long N, uint64_t seed, REAL *gradients);
double cifar10_cnn_79_input_gradient(struct cifar10_cnn_79 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const cifar10_cnn_79_target *t, long N, uint64_t seed, REAL *dx);
/* One step of the optimizer, the `step`th (from 1) of `steps`; the rate that it took goes to *rate, if not NULL. */
void cifar10_cnn_79_update(struct cifar10_cnn_79 *w, REAL *theta, const REAL *gradients, REAL *const *state, long step, long steps,
    double *rate);
double cifar10_cnn_79_step(struct cifar10_cnn_79 *w, REAL *theta, REAL *statistics, REAL *const *state, const REAL *x,
    const cifar10_cnn_79_target *t, long N, uint64_t seed, long step, long steps, double *rate);
#endif
