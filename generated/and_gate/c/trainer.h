/* and_gate: 2-1, sigmoid; mse; sgd; 3 parameters
 *
 * Generated from and.toml (sha256 684cf125); change the spec, not this file.
 * Parameters, gradients and the optimizer's state are flat vectors of and_gate_COUNT values.  Inputs are
 * (N, 2), outputs (N, 1), the last index fastest.
 */
#ifndef and_gate_H
#define and_gate_H
#include <stddef.h>
#include <stdint.h>

#ifndef REAL
#define REAL float
#endif
typedef REAL and_gate_real;
typedef REAL and_gate_target;
enum { and_gate_COUNT = 3, and_gate_INPUT = 2, and_gate_OUTPUT = 1 };

/* The memory of steps on at most `samples` samples at a time, and its threads: for one call at a time. */
struct and_gate;
struct and_gate *and_gate_open(long samples, int threads); /* NULL where memory or threads are missing */
void and_gate_close(struct and_gate *w);
size_t and_gate_bytes(long samples, int threads);

void and_gate_predict(struct and_gate *w, const REAL *theta, const REAL *statistics, const REAL *x, long N, REAL *y);
double and_gate_loss(struct and_gate *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const and_gate_target *t, long N, uint64_t seed);
double and_gate_evaluation_loss(struct and_gate *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const and_gate_target *t, long N);
double and_gate_loss_and_gradients(struct and_gate *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const and_gate_target *t, long N, uint64_t seed, REAL *gradients);
double and_gate_input_gradient(struct and_gate *w, const REAL *theta, const REAL *statistics, const REAL *x,
    const and_gate_target *t, long N, uint64_t seed, REAL *dx);
/* One step of the optimizer, the `step`th (from 1) of `steps`; the rate that it took goes to *rate, if not NULL. */
void and_gate_update(struct and_gate *w, REAL *theta, const REAL *gradients, REAL *const *state, long step, long steps,
    double *rate);
double and_gate_step(struct and_gate *w, REAL *theta, REAL *statistics, REAL *const *state, const REAL *x,
    const and_gate_target *t, long N, uint64_t seed, long step, long steps, double *rate);
#endif
