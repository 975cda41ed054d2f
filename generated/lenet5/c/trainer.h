/* lenet5: 28x28x1-28x28x6-10x10x16-120-84-10, tanh, avg_pool2d, softmax; cross_entropy; adam; 61,706 parameters
 *
 * Generated from lenet5.toml (sha256 6279f96d); change the spec, not this file.
 * Parameters, gradients and the optimizer's state are flat vectors of lenet5_COUNT values.  Inputs are
 * (N, 28, 28, 1), outputs (N, 10), the last index fastest.
 */
#ifndef lenet5_H
#define lenet5_H
#include <stddef.h>
#include <stdint.h>

#ifndef REAL
#define REAL float
#endif
typedef REAL lenet5_real;
typedef int32_t lenet5_target;
enum { lenet5_COUNT = 61706, lenet5_INPUT = 784, lenet5_OUTPUT = 10 };

/* The memory of steps on at most `samples` samples at a time, and its threads: for one call at a time. */
struct lenet5;
struct lenet5 *lenet5_open(long samples, int threads); /* NULL where memory or threads are missing */
void lenet5_close(struct lenet5 *w);
size_t lenet5_bytes(long samples, int threads);

void lenet5_predict(struct lenet5 *w, const REAL *theta, const REAL *statistics, const REAL *x, long N, REAL *y);
double lenet5_loss(struct lenet5 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const lenet5_target *t, long N, uint64_t seed);
double lenet5_evaluation_loss(struct lenet5 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const lenet5_target *t, long N);
double lenet5_loss_and_gradients(struct lenet5 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const lenet5_target *t, long N, uint64_t seed, REAL *gradients);
double lenet5_input_gradient(struct lenet5 *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const lenet5_target *t, long N, uint64_t seed, REAL *dx);
/* One step of the optimizer, the `step`th (from 1) of `steps`; the rate that it took goes to *rate, if not NULL. */
void lenet5_update(struct lenet5 *w, REAL *theta, const REAL *gradients, REAL *const *state, long step, long steps,
    double *rate);
double lenet5_step(struct lenet5 *w, REAL *theta, REAL *statistics, REAL *const *state, const REAL *x,
    const lenet5_target *t, long N, uint64_t seed, long step, long steps, double *rate);
#endif
