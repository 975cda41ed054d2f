/* mnist_mlp: 28x28x1-16-16-10, sigmoid, softmax; cross_entropy; adam; 13,002 parameters
 *
 * Generated from mnist_mlp.toml (sha256 a6c15bd4); change the spec, not this file.
 * Parameters, gradients and the optimizer's state are flat vectors of mnist_mlp_COUNT values.  Inputs are
 * (N, 28, 28, 1), outputs (N, 10), the last index fastest.
 */
#ifndef mnist_mlp_H
#define mnist_mlp_H
#include <stddef.h>
#include <stdint.h>

#ifndef REAL
#define REAL float
#endif
typedef REAL mnist_mlp_real;
typedef int32_t mnist_mlp_target;
enum { mnist_mlp_COUNT = 13002, mnist_mlp_INPUT = 784, mnist_mlp_OUTPUT = 10 };

/* The memory of steps on at most `samples` samples at a time, and its threads: for one call at a time. */
struct mnist_mlp;
struct mnist_mlp *mnist_mlp_open(long samples, int threads); /* NULL where memory or threads are missing */
void mnist_mlp_close(struct mnist_mlp *w);
size_t mnist_mlp_bytes(long samples, int threads);

void mnist_mlp_predict(struct mnist_mlp *w, const REAL *theta, const REAL *statistics, const REAL *x, long N, REAL *y);
double mnist_mlp_loss(struct mnist_mlp *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const mnist_mlp_target *t, long N, uint64_t seed);
double mnist_mlp_evaluation_loss(struct mnist_mlp *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const mnist_mlp_target *t, long N);
double mnist_mlp_loss_and_gradients(struct mnist_mlp *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const mnist_mlp_target *t, long N, uint64_t seed, REAL *gradients);
double mnist_mlp_input_gradient(struct mnist_mlp *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const mnist_mlp_target *t, long N, uint64_t seed, REAL *dx);
/* One step of the optimizer, the `step`th (from 1) of `steps`; the rate that it took goes to *rate, if not NULL. */
void mnist_mlp_update(struct mnist_mlp *w, REAL *theta, const REAL *gradients, REAL *const *state, long step, long steps,
    double *rate);
double mnist_mlp_step(struct mnist_mlp *w, REAL *theta, REAL *statistics, REAL *const *state, const REAL *x,
    const mnist_mlp_target *t, long N, uint64_t seed, long step, long steps, double *rate);
#endif
