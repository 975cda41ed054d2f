/* xor_backprop: 2-3-1, sigmoid; mse; sgd; 12 parameters
 *
 * Generated from xor_backprop.toml (sha256 ffd9c44d); change the spec, not this file.  A number in
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
// z1 = W1 a0 + b1    (N, 3) (2)
// a1 = σ(z1)    (N, 3) (3)
static void forward_a1(real *restrict a1, const real *restrict W1, const real *restrict x, const real *restrict b1)
{
    for (int k = 0; k < 3; ++k) {
        real total = 0;
        for (int j = 0; j < 2; ++j) {
            total += W1[k * 2 + j] * x[j];
        }
        total = b1[k] + total;  // (2)
        a1[k] = sigmoid(total);  // (3)
    }
}

// z2 = W2 a1    (N, 1) (4)
// a2 = σ(z2)    (N, 1) (5)
static void forward_a2(real *restrict a2, const real *restrict W2, const real *restrict a1)
{
    real total = real(0);
    for (int j = 0; j < 3; ++j)
        total += W2[j] * a1[j];
    real z2_2 = total;  // (4)
    a2[0] = sigmoid(z2_2);  // (5)
}

/* ---- What is called ---------------------------------------------------------------------------------- */
static real memory[3]; /* of what is computed on the way, in turn */

void xor_backprop_infer(const REAL *weights, const REAL *x, REAL *y)
{
    const real *const W1 = weights + 0; /* (3, 2) */
    const real *const b1 = weights + 6; /* (3) */
    const real *const W2 = weights + 9; /* (1, 3) */
    real *const a1 = memory + 0; /* (3) */

    forward_a1(a1, W1, x, b1);
    forward_a2(y, W2, a1);
}
