/* or_gate: 2-1, sigmoid; mse; sgd; 3 parameters
 *
 * Generated from or.toml (sha256 806be74d); change the spec, not this file.
 * Parameters, gradients and the optimizer's state are flat vectors of or_gate_COUNT values.  Inputs are
 * (N, 2), outputs (N, 1), the last index fastest.
 */
#ifndef or_gate_H
#define or_gate_H
#include <stddef.h>
#include <stdint.h>

#ifndef REAL
#define REAL float
#endif
typedef REAL or_gate_real;
typedef REAL or_gate_target;
enum { or_gate_COUNT = 3, or_gate_INPUT = 2, or_gate_OUTPUT = 1 };

/* The memory of steps on at most `samples` samples at a time, and its threads: for one call at a time. */
struct or_gate;
struct or_gate *or_gate_open(long samples, int threads); /* NULL where memory or threads are missing */
void or_gate_close(struct or_gate *w);
size_t or_gate_bytes(long samples, int threads);

void or_gate_predict(struct or_gate *w, const REAL *theta, const REAL *statistics, const REAL *x, long N, REAL *y);
double or_gate_loss(struct or_gate *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const or_gate_target *t, long N, uint64_t seed);
double or_gate_evaluation_loss(struct or_gate *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const or_gate_target *t, long N);
double or_gate_loss_and_gradients(struct or_gate *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const or_gate_target *t, long N, uint64_t seed, REAL *gradients);
double or_gate_input_gradient(struct or_gate *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const or_gate_target *t, long N, uint64_t seed, REAL *dx);
/* One step of the optimizer, the `step`th (from 1) of `steps`; the rate that it took goes to *rate, if not NULL. */
void or_gate_update(struct or_gate *w, REAL *theta, const REAL *gradients, REAL *const *state, long step, long steps,
    double *rate);
double or_gate_step(struct or_gate *w, REAL *theta, REAL *statistics, REAL *const *state, const REAL *x,
    const or_gate_target *t, long N, uint64_t seed, long step, long steps, double *rate);
#endif
