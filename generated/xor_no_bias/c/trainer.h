/* xor_no_bias: 2-3-1, sigmoid; mse; sgd; 9 parameters
 *
 * Generated from xor_no_bias.toml (sha256 b56b6e7c); change the spec, not this file.
 * Parameters, gradients and the optimizer's state are flat vectors of xor_no_bias_COUNT values.  Inputs are
 * (N, 2), outputs (N, 1), the last index fastest.
 */
#ifndef xor_no_bias_H
#define xor_no_bias_H
#include <stddef.h>
#include <stdint.h>

#ifndef REAL
#define REAL float
#endif
typedef REAL xor_no_bias_real;
typedef REAL xor_no_bias_target;
enum { xor_no_bias_COUNT = 9, xor_no_bias_INPUT = 2, xor_no_bias_OUTPUT = 1 };

/* The memory of steps on at most `samples` samples at a time, and its threads: for one call at a time. */
struct xor_no_bias;
struct xor_no_bias *xor_no_bias_open(long samples, int threads); /* NULL where memory or threads are missing */
void xor_no_bias_close(struct xor_no_bias *w);
size_t xor_no_bias_bytes(long samples, int threads);

void xor_no_bias_predict(struct xor_no_bias *w, const REAL *theta, const REAL *statistics, const REAL *x, long N, REAL *y);
double xor_no_bias_loss(struct xor_no_bias *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const xor_no_bias_target *t, long N, uint64_t seed);
double xor_no_bias_evaluation_loss(struct xor_no_bias *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const xor_no_bias_target *t, long N);
double xor_no_bias_loss_and_gradients(struct xor_no_bias *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const xor_no_bias_target *t, long N, uint64_t seed, REAL *gradients);
double xor_no_bias_input_gradient(struct xor_no_bias *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const xor_no_bias_target *t, long N, uint64_t seed, REAL *dx);
/* One step of the optimizer, the `step`th (from 1) of `steps`; the rate that it took goes to *rate, if not NULL. */
void xor_no_bias_update(struct xor_no_bias *w, REAL *theta, const REAL *gradients, REAL *const *state, long step, long steps,
    double *rate);
double xor_no_bias_step(struct xor_no_bias *w, REAL *theta, REAL *statistics, REAL *const *state, const REAL *x,
    const xor_no_bias_target *t, long N, uint64_t seed, long step, long steps, double *rate);
#endif
