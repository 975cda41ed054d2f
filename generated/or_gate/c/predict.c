/* or_gate: 2-1, sigmoid; mse; sgd; 3 parameters
 *
 * Generated from or.toml (sha256 806be74d); change the spec, not this file.  A number in
 * parentheses is that of an equation in equations.tex.  predict.h says what is called, and what it takes.
 */
#include "predict.h"

#include <stdbool.h>

typedef REAL real;
#define real(x) ((real)(x))

/* ---- What the C library computes: expf where real is float, exp where it is double ------------------ */
#define JOINED(type, function) type##_(function)
#define LIBRARY(type, function) JOINED(type, function)
#define float_(function) function##f
#define double_(function) function
real LIBRARY(REAL, exp)(real);
#define exp(u) LIBRARY(REAL, exp)(u)

static inline real sigmoid(real u) { return 1 / (1 + exp(-u)); }

/* ---- Forward, for one sample ------------------------------------------------------------------------- */
// z1 = W1 a0 + b1    (N, 1) (2)
// a1 = σ(z1)    (N, 1) (3)
static void forward_a1(real *restrict a1, const real *restrict W1, const real *restrict x, const real *restrict b1)
{
    real total = real(0);
    for (int j = 0; j < 2; ++j)
        total += W1[j] * x[j];
    real z1_2 = total;  // (2)
    z1_2 = b1[0] + z1_2;  // (2)
    a1[0] = sigmoid(z1_2);  // (3)
}

/* ---- What is called ---------------------------------------------------------------------------------- */

void or_gate_infer(const REAL *weights, const REAL *x, REAL *y)
{
    const real *const W1 = weights + 0; /* (1, 2) */
    const real *const b1 = weights + 2; /* (1) */

    forward_a1(y, W1, x, b1);
}
