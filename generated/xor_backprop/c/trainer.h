/* xor_backprop: 2-3-1, sigmoid; mse; sgd; 12 parameters
 *
 * Generated from xor_backprop.toml (sha256 ffd9c44d); change the spec, not this file.
 * Parameters, gradients and the optimizer's state are flat vectors of xor_backprop_COUNT values.  Inputs are
 * (N, 2), outputs (N, 1), the last index fastest.
 */
#ifndef xor_backprop_H
#define xor_backprop_H
#include <stddef.h>
#include <stdint.h>

#ifndef REAL
#define REAL float
#endif
typedef REAL xor_backprop_real;
typedef REAL xor_backprop_target;
enum { xor_backprop_COUNT = 12, xor_backprop_INPUT = 2, xor_backprop_OUTPUT = 1 };

/* The memory of steps on at most `samples` samples at a time, and its threads: for one call at a time. */
struct xor_backprop;
struct xor_backprop *xor_backprop_open(long samples, int threads); /* NULL where memory or threads are missing */
void xor_backprop_close(struct xor_backprop *w);
size_t xor_backprop_bytes(long samples, int threads);

void xor_backprop_predict(struct xor_backprop *w, const REAL *theta, const REAL *statistics, const REAL *x, long N, REAL *y);
double xor_backprop_loss(struct xor_backprop *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const xor_backprop_target *t, long N, uint64_t seed);
double xor_backprop_evaluation_loss(struct xor_backprop *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const xor_backprop_target *t, long N);
double xor_backprop_loss_and_gradients(struct xor_backprop *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const xor_backprop_target *t, long N, uint64_t seed, REAL *gradients);
double xor_backprop_input_gradient(struct xor_backprop *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const xor_backprop_target *t, long N, uint64_t seed, REAL *dx);
/* One step of the optimizer, the `step`th (from 1) of `steps`; the rate that it took goes to *rate, if not NULL. */
void xor_backprop_update(struct xor_backprop *w, REAL *theta, const REAL *gradients, REAL *const *state, long step, long steps,
    double *rate);
double xor_backprop_step(struct xor_backprop *w, REAL *theta, REAL *statistics, REAL *const *state, const REAL *x,
    const xor_backprop_target *t, long N, uint64_t seed, long step, long steps, double *rate);
#endif
