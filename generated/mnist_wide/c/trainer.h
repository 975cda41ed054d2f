/* mnist_wide: 28x28x1-512-512-10, relu, softmax; cross_entropy; momentum; 669,706 parameters
 *
 * Generated from mnist_wide.toml (sha256 11b97622); change the spec, not this file.
 * Parameters, gradients and the optimizer's state are flat vectors of mnist_wide_COUNT values.  Inputs are
 * (N, 28, 28, 1), outputs (N, 10), the last index fastest.
 */
#ifndef mnist_wide_H
#define mnist_wide_H
#include <stddef.h>
#include <stdint.h>

#ifndef REAL
#define REAL float
#endif
typedef REAL mnist_wide_real;
typedef int32_t mnist_wide_target;
enum { mnist_wide_COUNT = 669706, mnist_wide_INPUT = 784, mnist_wide_OUTPUT = 10 };

/* The memory of steps on at most `samples` samples at a time, and its threads: for one call at a time. */
struct mnist_wide;
struct mnist_wide *mnist_wide_open(long samples, int threads); /* NULL where memory or threads are missing */
void mnist_wide_close(struct mnist_wide *w);
size_t mnist_wide_bytes(long samples, int threads);

void mnist_wide_predict(struct mnist_wide *w, const REAL *theta, const REAL *statistics, const REAL *x, long N, REAL *y);
double mnist_wide_loss(struct mnist_wide *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const mnist_wide_target *t, long N, uint64_t seed);
double mnist_wide_evaluation_loss(struct mnist_wide *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const mnist_wide_target *t, long N);
double mnist_wide_loss_and_gradients(struct mnist_wide *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const mnist_wide_target *t, long N, uint64_t seed, REAL *gradients);
double mnist_wide_input_gradient(struct mnist_wide *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const mnist_wide_target *t, long N, uint64_t seed, REAL *dx);
/* One step of the optimizer, the `step`th (from 1) of `steps`; the rate that it took goes to *rate, if not NULL. */
void mnist_wide_update(struct mnist_wide *w, REAL *theta, const REAL *gradients, REAL *const *state, long step, long steps,
    double *rate);
double mnist_wide_step(struct mnist_wide *w, REAL *theta, REAL *statistics, REAL *const *state, const REAL *x,
    const mnist_wide_target *t, long N, uint64_t seed, long step, long steps, double *rate);
#endif
