/* lenet5: 28x28x1-28x28x6-10x10x16-120-84-10, tanh, avg_pool2d, softmax; cross_entropy; adam; 61,706 parameters
 *
 * Generated from lenet5.toml (sha256 6279f96d); change the spec, not this file.  A number in
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
real LIBRARY(REAL, tanh)(real);
#define exp(u) LIBRARY(REAL, exp)(u)
#define tanh(u) LIBRARY(REAL, tanh)(u)

static inline real maximum(real a, real b) /* a NaN stays one */
{
    const real greater = a > b ? a : b;
    return a != a ? a : greater;
}
static inline bool inside(long i, long size) { return 0 <= i && i < size; }

/* ---- Forward, for one sample ------------------------------------------------------------------------- */
// z1 = W1 ⋆(p=2) a0 + b1    (N, 28, 28, 6) (3)
// a1 = tanh(z1)    (N, 28, 28, 6) (4)
static void forward_a1(real *restrict a1, const real *restrict W1, const real *restrict x, const real *restrict b1)
{
    for (int i = 0; i < 28; ++i) {
        for (int j = 0; j < 28; ++j) {
            for (int k = 0; k < 6; ++k) {
                real total = 0;
                for (int u = 0; u < 5; ++u) {
                    if (!inside(i + u - 2, 28)) continue;
                    for (int v = 0; v < 5; ++v) {
                        if (!inside(j + v - 2, 28)) continue;
                        total += W1[(k * 5 + u) * 5 + v] * x[(i + u - 2) * 28 + j + v - 2];
                    }
                }
                total = b1[k] + total;  // (3)
                a1[(i * 28 + j) * 6 + k] = tanh(total);  // (4)
            }
        }
    }
}

// a1_2[n,i,j,k] = (1/4) Σ_{u,v<2} a1[n,2i+u,2j+v,k]    (N, 14, 14, 6) (5)
static void forward_a1_2(real *restrict a1_2, const real *restrict a1)
{
    for (int i = 0; i < 14; ++i) {
        for (int j = 0; j < 14; ++j) {
            for (int k = 0; k < 6; ++k) {
                real total = real(0);
                for (int u = 0; u < 2; ++u)
                    for (int v = 0; v < 2; ++v)
                        total += a1[((2 * i + u) * 28 + 2 * j + v) * 6 + k];
                real a1_2_2 = total;  // (5)
                a1_2[(i * 14 + j) * 6 + k] = real(0.25) * a1_2_2;  // (5)
            }
        }
    }
}

// z2 = W2 ⋆ a1_2 + b2    (N, 10, 10, 16) (6)
// a2 = tanh(z2)    (N, 10, 10, 16) (7)
static void forward_a2(real *restrict a2, const real *restrict W2, const real *restrict a1_2, const real *restrict b2)
{
    for (int i = 0; i < 10; ++i) {
        for (int j = 0; j < 10; ++j) {
            for (int k = 0; k < 16; ++k) {
                real total = 0;
                for (int u = 0; u < 5; ++u) {
                    for (int v = 0; v < 5; ++v) {
                        for (int c = 0; c < 6; ++c) {
                            total += W2[((k * 5 + u) * 5 + v) * 6 + c] * a1_2[((i + u) * 14 + j + v) * 6 + c];
                        }
                    }
                }
                total = b2[k] + total;  // (6)
                a2[(i * 10 + j) * 16 + k] = tanh(total);  // (7)
            }
        }
    }
}

// a2_2[n,i,j,k] = (1/4) Σ_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 5, 5, 16) (8)
static void forward_a2_2(real *restrict a2_2, const real *restrict a2)
{
    for (int i = 0; i < 5; ++i) {
        for (int j = 0; j < 5; ++j) {
            for (int k = 0; k < 16; ++k) {
                real total = real(0);
                for (int u = 0; u < 2; ++u)
                    for (int v = 0; v < 2; ++v)
                        total += a2[((2 * i + u) * 10 + 2 * j + v) * 16 + k];
                real a2_2_2 = total;  // (8)
                a2_2[(i * 5 + j) * 16 + k] = real(0.25) * a2_2_2;  // (8)
            }
        }
    }
}

// z3 = W3 a2_3 + b3    (N, 120) (10)
// a3 = tanh(z3)    (N, 120) (11)
static void forward_a3(real *restrict a3, const real *restrict W3, const real *restrict a2_2, const real *restrict b3)
{
    for (int k = 0; k < 120; ++k) {
        real total = 0;
        for (int j = 0; j < 400; ++j) {
            total += W3[k * 400 + j] * a2_2[j];
        }
        total = b3[k] + total;  // (10)
        a3[k] = tanh(total);  // (11)
    }
}

// z4 = W4 a3 + b4    (N, 84) (12)
// a4 = tanh(z4)    (N, 84) (13)
static void forward_a4(real *restrict a4, const real *restrict W4, const real *restrict a3, const real *restrict b4)
{
    for (int k = 0; k < 84; ++k) {
        real total = 0;
        for (int j = 0; j < 120; ++j) {
            total += W4[k * 120 + j] * a3[j];
        }
        total = b4[k] + total;  // (12)
        a4[k] = tanh(total);  // (13)
    }
}

// z5 = W5 a4 + b5    (N, 10) (14)
static void forward_z5(real *restrict z5, const real *restrict W5, const real *restrict a4, const real *restrict b5)
{
    for (int k = 0; k < 10; ++k) {
        real total = 0;
        for (int j = 0; j < 84; ++j) {
            total += W5[k * 84 + j] * a4[j];
        }
        z5[k] = b5[k] + total;  // (14)
    }
}

// a5 = softmax(z5)    (N, 10) (15)
static void forward_a5(real *restrict a5_max, real *restrict a5_exp, real *restrict a5_sum, real *restrict a5, const real *restrict z5)
{
    real greatest = real(-1) / real(0);
    for (int i = 0; i < 10; ++i)
        greatest = maximum(greatest, z5[i]);
    a5_max[0] = greatest;  // (15)
    for (int k = 0; k < 10; ++k) {
        a5_exp[k] = exp(z5[k] - a5_max[0]);  // (15)
    }
    real total = real(0);
    for (int j = 0; j < 10; ++j)
        total += a5_exp[j];
    a5_sum[0] = total;  // (15)
    for (int k2 = 0; k2 < 10; ++k2) {
        a5[k2] = a5_exp[k2] / a5_sum[0];  // (15)
    }
}

/* ---- What is called ---------------------------------------------------------------------------------- */
static real memory[5880]; /* of what is computed on the way, in turn */

void lenet5_infer(const REAL *weights, const REAL *x, REAL *y)
{
    const real *const W1 = weights + 0; /* (6, 5, 5, 1) */
    const real *const b1 = weights + 150; /* (6) */
    const real *const W2 = weights + 156; /* (16, 5, 5, 6) */
    const real *const b2 = weights + 2556; /* (16) */
    const real *const W3 = weights + 2572; /* (120, 400) */
    const real *const b3 = weights + 50572; /* (120) */
    const real *const W4 = weights + 50692; /* (84, 120) */
    const real *const b4 = weights + 60772; /* (84) */
    const real *const W5 = weights + 60856; /* (10, 84) */
    const real *const b5 = weights + 61696; /* (10) */
    real *const a1 = memory + 0; /* (28, 28, 6) */
    real *const a1_2 = memory + 4704; /* (14, 14, 6) */
    real *const a2 = memory + 0; /* (10, 10, 16) */
    real *const a2_2 = memory + 1600; /* (5, 5, 16) */
    real *const a3 = memory + 0; /* (120) */
    real *const a4 = memory + 120; /* (84) */
    real *const z5 = memory + 0; /* (10) */
    real *const a5_exp = memory + 10; /* (10) */
    real *const a5_max = memory + 20; /* () */
    real *const a5_sum = memory + 21; /* () */

    forward_a1(a1, W1, x, b1);
    forward_a1_2(a1_2, a1);
    forward_a2(a2, W2, a1_2, b2);
    forward_a2_2(a2_2, a2);
    forward_a3(a3, W3, a2_2, b3);
    forward_a4(a4, W4, a3, b4);
    forward_z5(z5, W5, a4, b5);
    forward_a5(a5_max, a5_exp, a5_sum, y, z5);
}
