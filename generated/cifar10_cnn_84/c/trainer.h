/* cifar10_cnn_84: 32x32x3-…-10 (10 layers), relu, max_pool2d, dropout, softmax; cross_entropy; adam; 394,026 parameters
 *
 * Generated from cifar10_cnn_84.toml (sha256 91220e56); change the spec, not this file.
 * Parameters, gradients and the optimizer's state are flat vectors of cifar10_cnn_84_COUNT values.  Inputs are
 * (N, 32, 32, 3), outputs (N, 10), the last index fastest.
 */
#ifndef cifar10_cnn_84_H
#define cifar10_cnn_84_H
#include <stddef.h>
#include <stdint.h>

#ifndef REAL
#define REAL float
#endif
typedef REAL cifar10_cnn_84_real;
typedef int32_t cifar10_cnn_84_target;
enum { cifar10_cnn_84_COUNT = 394026, cifar10_cnn_84_INPUT = 3072, cifar10_cnn_84_OUTPUT = 10 };

/* The memory of steps on at most `samples` samples at a time, and its threads: for one call at a time. */
struct cifar10_cnn_84;
struct cifar10_cnn_84 *cifar10_cnn_84_open(long samples, int threads); /* NULL where memory or threads are missing */
void cifar10_cnn_84_close(struct cifar10_cnn_84 *w);
size_t cifar10_cnn_84_bytes(long samples, int threads);

void cifar10_cnn_84_predict(struct cifar10_cnn_84 *w, const REAL *theta, const REAL *statistics, const REAL *x, long N, REAL *y);
double cifar10_cnn_84_loss(struct cifar10_cnn_84 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const cifar10_cnn_84_target *t, long N, uint64_t seed);
double cifar10_cnn_84_evaluation_loss(struct cifar10_cnn_84 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const cifar10_cnn_84_target *t, long N);
double cifar10_cnn_84_loss_and_gradients(struct cifar10_cnn_84 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const cifar10_cnn_84_target *t, long N, uint64_t seed, REAL *gradients);
double cifar10_cnn_84_input_gradient(struct cifar10_cnn_84 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const cifar10_cnn_84_target *t, long N, uint64_t seed, REAL *dx);
/* One step of the optimizer, the `step`th (from 1) of `steps`; the rate that it took goes to *rate, if not NULL. */
void cifar10_cnn_84_update(struct cifar10_cnn_84 *w, REAL *theta, const REAL *gradients, REAL *const *state, long step, long steps,
    double *rate);
double cifar10_cnn_84_step(struct cifar10_cnn_84 *w, REAL *theta, REAL *statistics, REAL *const *state, const REAL *x,
    const cifar10_cnn_84_target *t, long N, uint64_t seed, long step, long steps, double *rate);
#endif
