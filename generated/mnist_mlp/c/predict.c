/* mnist_mlp: 28x28x1-16-16-10, sigmoid, softmax; cross_entropy; adam; 13,002 parameters
 *
 * Generated from mnist_mlp.toml (sha256 a6c15bd4); change the spec, not this file.  A number in
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

static inline real maximum(real a, real b) /* a NaN stays one */
{
    const real greater = a > b ? a : b;
    return a != a ? a : greater;
}
static inline real sigmoid(real u) { return 1 / (1 + exp(-u)); }

/* ---- Forward, for one sample ------------------------------------------------------------------------- */
// z1 = W1 a0 + b1    (N, 16) (3)
// a1 = σ(z1)    (N, 16) (4)
static void forward_a1(real *restrict a1, const real *restrict W1, const real *restrict x, const real *restrict b1)
{
    for (int k = 0; k < 16; ++k) {
        real total = 0;
        for (int j = 0; j < 784; ++j) {
            total += W1[k * 784 + j] * x[j];
        }
        total = b1[k] + total;  // (3)
        a1[k] = sigmoid(total);  // (4)
    }
}

// z2 = W2 a1 + b2    (N, 16) (5)
// a2 = σ(z2)    (N, 16) (6)
static void forward_a2(real *restrict a2, const real *restrict W2, const real *restrict a1, const real *restrict b2)
{
    for (int k = 0; k < 16; ++k) {
        real total = 0;
        for (int j = 0; j < 16; ++j) {
            total += W2[k * 16 + j] * a1[j];
        }
        total = b2[k] + total;  // (5)
        a2[k] = sigmoid(total);  // (6)
    }
}

// z3 = W3 a2 + b3    (N, 10) (7)
static void forward_z3(real *restrict z3, const real *restrict W3, const real *restrict a2, const real *restrict b3)
{
    for (int k = 0; k < 10; ++k) {
        real total = 0;
        for (int j = 0; j < 16; ++j) {
            total += W3[k * 16 + j] * a2[j];
        }
        z3[k] = b3[k] + total;  // (7)
    }
}

// a3 = softmax(z3)    (N, 10) (8)
static void forward_a3(real *restrict a3_max, real *restrict a3_exp, real *restrict a3_sum, real *restrict a3, const real *restrict z3)
{
    real greatest = real(-1) / real(0);
    for (int i = 0; i < 10; ++i)
        greatest = maximum(greatest, z3[i]);
    a3_max[0] = greatest;  // (8)
    for (int k = 0; k < 10; ++k) {
        a3_exp[k] = exp(z3[k] - a3_max[0]);  // (8)
    }
    real total = real(0);
    for (int j = 0; j < 10; ++j)
        total += a3_exp[j];
    a3_sum[0] = total;  // (8)
    for (int k2 = 0; k2 < 10; ++k2) {
        a3[k2] = a3_exp[k2] / a3_sum[0];  // (8)
    }
}

/* ---- What is called ---------------------------------------------------------------------------------- */
static real memory[32]; /* of what is computed on the way, in turn */

void mnist_mlp_infer(const REAL *weights, const REAL *x, REAL *y)
{
    const real *const W1 = weights + 0; /* (16, 784) */
    const real *const b1 = weights + 12544; /* (16) */
    const real *const W2 = weights + 12560; /* (16, 16) */
    const real *const b2 = weights + 12816; /* (16) */
    const real *const W3 = weights + 12832; /* (10, 16) */
    const real *const b3 = weights + 12992; /* (10) */
    real *const a1 = memory + 0; /* (16) */
    real *const a2 = memory + 16; /* (16) */
    real *const z3 = memory + 0; /* (10) */
    real *const a3_exp = memory + 10; /* (10) */
    real *const a3_max = memory + 20; /* () */
    real *const a3_sum = memory + 21; /* () */

    forward_a1(a1, W1, x, b1);
    forward_a2(a2, W2, a1, b2);
    forward_z3(z3, W3, a2, b3);
    forward_a3(a3_max, a3_exp, a3_sum, y, z3);
}
