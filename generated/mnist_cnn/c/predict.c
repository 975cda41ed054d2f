/* mnist_cnn: 28x28x1-26x26x16-11x11x32-64-10, relu, max_pool2d, dropout, softmax; cross_entropy; adam; 56,714 parameters
 *
 * Generated from mnist_cnn.toml (sha256 c0a0278e); change the spec, not this file.  A number in
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

/* ---- Forward, for one sample ------------------------------------------------------------------------- */
// z1 = W1 ⋆ a0 + b1    (N, 26, 26, 16) (3)
// a1 = max(0, z1)    (N, 26, 26, 16) (4)
static void forward_a1(real *restrict a1, const real *restrict W1, const real *restrict x, const real *restrict b1)
{
    for (int i = 0; i < 26; ++i) {
        for (int j = 0; j < 26; ++j) {
            for (int k = 0; k < 16; ++k) {
                real total = 0;
                for (int u = 0; u < 3; ++u) {
                    for (int v = 0; v < 3; ++v) {
                        total += W1[(k * 3 + u) * 3 + v] * x[(i + u) * 28 + j + v];
                    }
                }
                total = b1[k] + total;  // (3)
                a1[(i * 26 + j) * 16 + k] = maximum(total, real(0));  // (4)
            }
        }
    }
}

// a1_2[n,i,j,k] = max_{u,v<2} a1[n,2i+u,2j+v,k]    (N, 13, 13, 16) (5)
static void forward_a1_2(real *restrict a1_2, const real *restrict a1)
{
    for (int i = 0; i < 13; ++i) {
        for (int j = 0; j < 13; ++j) {
            for (int k = 0; k < 16; ++k) {
                real greatest = real(-1) / real(0);
                for (int u = 0; u < 2; ++u)
                    for (int v = 0; v < 2; ++v)
                        greatest = maximum(greatest, a1[((2 * i + u) * 26 + 2 * j + v) * 16 + k]);
                a1_2[(i * 13 + j) * 16 + k] = greatest;  // (5)
            }
        }
    }
}

// z2 = W2 ⋆ a1_2 + b2    (N, 11, 11, 32) (6)
// a2 = max(0, z2)    (N, 11, 11, 32) (7)
static void forward_a2(real *restrict a2, const real *restrict W2, const real *restrict a1_2, const real *restrict b2)
{
    for (int i = 0; i < 11; ++i) {
        for (int j = 0; j < 11; ++j) {
            for (int k = 0; k < 32; ++k) {
                real total = 0;
                for (int u = 0; u < 3; ++u) {
                    for (int v = 0; v < 3; ++v) {
                        for (int c = 0; c < 16; ++c) {
                            total += W2[((k * 3 + u) * 3 + v) * 16 + c] * a1_2[((i + u) * 13 + j + v) * 16 + c];
                        }
                    }
                }
                total = b2[k] + total;  // (6)
                a2[(i * 11 + j) * 32 + k] = maximum(total, real(0));  // (7)
            }
        }
    }
}

// a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 5, 5, 32) (8)
static void forward_a2_2(real *restrict a2_2, const real *restrict a2)
{
    for (int i = 0; i < 5; ++i) {
        for (int j = 0; j < 5; ++j) {
            for (int k = 0; k < 32; ++k) {
                real greatest = real(-1) / real(0);
                for (int u = 0; u < 2; ++u)
                    for (int v = 0; v < 2; ++v)
                        greatest = maximum(greatest, a2[((2 * i + u) * 11 + 2 * j + v) * 32 + k]);
                a2_2[(i * 5 + j) * 32 + k] = greatest;  // (8)
            }
        }
    }
}

// z3 = W3 a2_4 + b3    (N, 64) (12)
// a3 = max(0, z3)    (N, 64) (13)
static void forward_a3(real *restrict a3, const real *restrict W3, const real *restrict a2_2, const real *restrict b3)
{
    for (int k = 0; k < 64; ++k) {
        real total = 0;
        for (int j = 0; j < 800; ++j) {
            total += W3[k * 800 + j] * a2_2[j];
        }
        total = b3[k] + total;  // (12)
        a3[k] = maximum(total, real(0));  // (13)
    }
}

// z4 = W4 a3 + b4    (N, 10) (14)
static void forward_z4(real *restrict z4, const real *restrict W4, const real *restrict a3, const real *restrict b4)
{
    for (int k = 0; k < 10; ++k) {
        real total = 0;
        for (int j = 0; j < 64; ++j) {
            total += W4[k * 64 + j] * a3[j];
        }
        z4[k] = b4[k] + total;  // (14)
    }
}

// a4 = softmax(z4)    (N, 10) (15)
static void forward_a4(real *restrict a4_max, real *restrict a4_exp, real *restrict a4_sum, real *restrict a4, const real *restrict z4)
{
    real greatest = real(-1) / real(0);
    for (int i = 0; i < 10; ++i)
        greatest = maximum(greatest, z4[i]);
    a4_max[0] = greatest;  // (15)
    for (int k = 0; k < 10; ++k) {
        a4_exp[k] = exp(z4[k] - a4_max[0]);  // (15)
    }
    real total = real(0);
    for (int j = 0; j < 10; ++j)
        total += a4_exp[j];
    a4_sum[0] = total;  // (15)
    for (int k2 = 0; k2 < 10; ++k2) {
        a4[k2] = a4_exp[k2] / a4_sum[0];  // (15)
    }
}

/* ---- What is called ---------------------------------------------------------------------------------- */
static real memory[13520]; /* of what is computed on the way, in turn */

void mnist_cnn_infer(const REAL *weights, const REAL *x, REAL *y)
{
    const real *const W1 = weights + 0; /* (16, 3, 3, 1) */
    const real *const b1 = weights + 144; /* (16) */
    const real *const W2 = weights + 160; /* (32, 3, 3, 16) */
    const real *const b2 = weights + 4768; /* (32) */
    const real *const W3 = weights + 4800; /* (64, 800) */
    const real *const b3 = weights + 56000; /* (64) */
    const real *const W4 = weights + 56064; /* (10, 64) */
    const real *const b4 = weights + 56704; /* (10) */
    real *const a1 = memory + 0; /* (26, 26, 16) */
    real *const a1_2 = memory + 10816; /* (13, 13, 16) */
    real *const a2 = memory + 0; /* (11, 11, 32) */
    real *const a2_2 = memory + 3872; /* (5, 5, 32) */
    real *const a3 = memory + 0; /* (64) */
    real *const z4 = memory + 64; /* (10) */
    real *const a4_exp = memory + 0; /* (10) */
    real *const a4_max = memory + 10; /* () */
    real *const a4_sum = memory + 11; /* () */

    forward_a1(a1, W1, x, b1);
    forward_a1_2(a1_2, a1);
    forward_a2(a2, W2, a1_2, b2);
    forward_a2_2(a2_2, a2);
    forward_a3(a3, W3, a2_2, b3);
    forward_z4(z4, W4, a3, b4);
    forward_a4(a4_max, a4_exp, a4_sum, y, z4);
}
