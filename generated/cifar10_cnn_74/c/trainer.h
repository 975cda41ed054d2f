/* cifar10_cnn_74: 32x32x3-30x30x32-30x30x32-15x15x64-512-10, relu, dropout, max_pool2d, softmax; cross_entropy; adam; 1,639,914 parameters
 *
 * Generated from cifar10_cnn_74.toml (sha256 12043d64); change the spec, not this file.
 * Parameters, gradients and the optimizer's state are flat vectors of cifar10_cnn_74_COUNT values.  Inputs are
 * (N, 32, 32, 3), outputs (N, 10), the last index fastest.
 */
#ifndef cifar10_cnn_74_H
#define cifar10_cnn_74_H
#include <stddef.h>
#include <stdint.h>

#ifndef REAL
#define REAL float
#endif
typedef REAL cifar10_cnn_74_real;
typedef int32_t cifar10_cnn_74_target;
enum { cifar10_cnn_74_COUNT = 1639914, cifar10_cnn_74_INPUT = 3072, cifar10_cnn_74_OUTPUT = 10 };

/* The memory of steps on at most `samples` samples at a time, and its threads: for one call at a time. */
struct cifar10_cnn_74;
struct cifar10_cnn_74 *cifar10_cnn_74_open(long samples, int threads); /* NULL where memory or threads are missing */
void cifar10_cnn_74_close(struct cifar10_cnn_74 *w);
size_t cifar10_cnn_74_bytes(long samples, int threads);

void cifar10_cnn_74_predict(struct cifar10_cnn_74 *w, const REAL *theta, const REAL *statistics, const REAL *x, long N, REAL *y);
double cifar10_cnn_74_loss(struct cifar10_cnn_74 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const cifar10_cnn_74_target *t, long N, uint64_t seed);
double cifar10_cnn_74_evaluation_loss(struct cifar10_cnn_74 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const cifar10_cnn_74_target *t, long N);
double cifar10_cnn_74_loss_and_gradients(struct cifar10_cnn_74 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const cifar10_cnn_74_target *t, long N, uint64_t seed, REAL *gradients);
double cifar10_cnn_74_input_gradient(struct cifar10_cnn_74 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const cifar10_cnn_74_target *t, long N, uint64_t seed, REAL *dx);
/* One step of the optimizer, the `step`th (from 1) of `steps`; the rate that it took goes to *rate, if not NULL. */
void cifar10_cnn_74_update(struct cifar10_cnn_74 *w, REAL *theta, const REAL *gradients, REAL *const *state, long step, long steps,
    double *rate);
double cifar10_cnn_74_step(struct cifar10_cnn_74 *w, REAL *theta, REAL *statistics, REAL *const *state, const REAL *x,
    const cifar10_cnn_74_target *t, long N, uint64_t seed, long step, long steps, double *rate);
#endif
