/* cifar10_cnn_74: 32x32x3-30x30x32-30x30x32-15x15x64-512-10, relu, dropout, max_pool2d, softmax; cross_entropy; adam; 1,639,914 parameters
 *
 * Generated from cifar10_cnn_74.toml (sha256 12043d64); change the spec, not this file.  A number in
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
static inline bool inside(long i, long size) { return 0 <= i && i < size; }

/* ---- Forward, for one sample ------------------------------------------------------------------------- */
// z1 = W1 ⋆ a0 + b1    (N, 30, 30, 32) (3)
// a1 = max(0, z1)    (N, 30, 30, 32) (4)
static void forward_a1(real *restrict a1, const real *restrict W1, const real *restrict x, const real *restrict b1)
{
    for (int i = 0; i < 30; ++i) {
        for (int j = 0; j < 30; ++j) {
            for (int k = 0; k < 32; ++k) {
                real total = 0;
                for (int u = 0; u < 3; ++u) {
                    for (int v = 0; v < 3; ++v) {
                        for (int c = 0; c < 3; ++c) {
                            total += W1[((k * 3 + u) * 3 + v) * 3 + c] * x[((i + u) * 32 + j + v) * 3 + c];
                        }
                    }
                }
                total = b1[k] + total;  // (3)
                a1[(i * 30 + j) * 32 + k] = maximum(total, real(0));  // (4)
            }
        }
    }
}

// z2 = W2 ⋆(p=1) a1_2 + b2    (N, 30, 30, 32) (7)
// a2 = max(0, z2)    (N, 30, 30, 32) (8)
static void forward_a2(real *restrict a2, const real *restrict W2, const real *restrict a1, const real *restrict b2)
{
    for (int i = 0; i < 30; ++i) {
        for (int j = 0; j < 30; ++j) {
            for (int k = 0; k < 32; ++k) {
                real total = 0;
                for (int u = 0; u < 3; ++u) {
                    if (!inside(i + u - 1, 30)) continue;
                    for (int v = 0; v < 3; ++v) {
                        if (!inside(j + v - 1, 30)) continue;
                        for (int c = 0; c < 32; ++c) {
                            total += W2[((k * 3 + u) * 3 + v) * 32 + c] * a1[((i + u - 1) * 30 + j + v - 1) * 32 + c];
                        }
                    }
                }
                total = b2[k] + total;  // (7)
                a2[(i * 30 + j) * 32 + k] = maximum(total, real(0));  // (8)
            }
        }
    }
}

// a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 15, 15, 32) (9)
static void forward_a2_2(real *restrict a2_2, const real *restrict a2)
{
    for (int i = 0; i < 15; ++i) {
        for (int j = 0; j < 15; ++j) {
            for (int k = 0; k < 32; ++k) {
                real greatest = real(-1) / real(0);
                for (int u = 0; u < 2; ++u)
                    for (int v = 0; v < 2; ++v)
                        greatest = maximum(greatest, a2[((2 * i + u) * 30 + 2 * j + v) * 32 + k]);
                a2_2[(i * 15 + j) * 32 + k] = greatest;  // (9)
            }
        }
    }
}

// z3 = W3 ⋆(p=1) a2_2 + b3    (N, 15, 15, 64) (10)
// a3 = max(0, z3)    (N, 15, 15, 64) (11)
static void forward_a3(real *restrict a3, const real *restrict W3, const real *restrict a2_2, const real *restrict b3)
{
    for (int i = 0; i < 15; ++i) {
        for (int j = 0; j < 15; ++j) {
            for (int k = 0; k < 64; ++k) {
                real total = 0;
                for (int u = 0; u < 3; ++u) {
                    if (!inside(i + u - 1, 15)) continue;
                    for (int v = 0; v < 3; ++v) {
                        if (!inside(j + v - 1, 15)) continue;
                        for (int c = 0; c < 32; ++c) {
                            total += W3[((k * 3 + u) * 3 + v) * 32 + c] * a2_2[((i + u - 1) * 15 + j + v - 1) * 32 + c];
                        }
                    }
                }
                total = b3[k] + total;  // (10)
                a3[(i * 15 + j) * 64 + k] = maximum(total, real(0));  // (11)
            }
        }
    }
}

// a3_2[n,i,j,k] = max_{u,v<2} a3[n,2i+u,2j+v,k]    (N, 7, 7, 64) (12)
static void forward_a3_2(real *restrict a3_2, const real *restrict a3)
{
    for (int i = 0; i < 7; ++i) {
        for (int j = 0; j < 7; ++j) {
            for (int k = 0; k < 64; ++k) {
                real greatest = real(-1) / real(0);
                for (int u = 0; u < 2; ++u)
                    for (int v = 0; v < 2; ++v)
                        greatest = maximum(greatest, a3[((2 * i + u) * 15 + 2 * j + v) * 64 + k]);
                a3_2[(i * 7 + j) * 64 + k] = greatest;  // (12)
            }
        }
    }
}

// z4 = W4 a3_4 + b4    (N, 512) (16)
// a4 = max(0, z4)    (N, 512) (17)
static void forward_a4(real *restrict a4, const real *restrict W4, const real *restrict a3_2, const real *restrict b4)
{
    for (int k = 0; k < 512; ++k) {
        real total = 0;
        for (int j = 0; j < 3136; ++j) {
            total += W4[k * 3136 + j] * a3_2[j];
        }
        total = b4[k] + total;  // (16)
        a4[k] = maximum(total, real(0));  // (17)
    }
}

// z5 = W5 a4_2 + b5    (N, 10) (20)
static void forward_z5(real *restrict z5, const real *restrict W5, const real *restrict a4, const real *restrict b5)
{
    for (int k = 0; k < 10; ++k) {
        real total = 0;
        for (int j = 0; j < 512; ++j) {
            total += W5[k * 512 + j] * a4[j];
        }
        z5[k] = b5[k] + total;  // (20)
    }
}

// a5 = softmax(z5)    (N, 10) (21)
static void forward_a5(real *restrict a5_max, real *restrict a5_exp, real *restrict a5_sum, real *restrict a5, const real *restrict z5)
{
    real greatest = real(-1) / real(0);
    for (int i = 0; i < 10; ++i)
        greatest = maximum(greatest, z5[i]);
    a5_max[0] = greatest;  // (21)
    for (int k = 0; k < 10; ++k) {
        a5_exp[k] = exp(z5[k] - a5_max[0]);  // (21)
    }
    real total = real(0);
    for (int j = 0; j < 10; ++j)
        total += a5_exp[j];
    a5_sum[0] = total;  // (21)
    for (int k2 = 0; k2 < 10; ++k2) {
        a5[k2] = a5_exp[k2] / a5_sum[0];  // (21)
    }
}

/* ---- What is called ---------------------------------------------------------------------------------- */
static real memory[57600]; /* of what is computed on the way, in turn */

void cifar10_cnn_74_infer(const REAL *weights, const REAL *x, REAL *y)
{
    const real *const W1 = weights + 0; /* (32, 3, 3, 3) */
    const real *const b1 = weights + 864; /* (32) */
    const real *const W2 = weights + 896; /* (32, 3, 3, 32) */
    const real *const b2 = weights + 10112; /* (32) */
    const real *const W3 = weights + 10144; /* (64, 3, 3, 32) */
    const real *const b3 = weights + 28576; /* (64) */
    const real *const W4 = weights + 28640; /* (512, 3136) */
    const real *const b4 = weights + 1634272; /* (512) */
    const real *const W5 = weights + 1634784; /* (10, 512) */
    const real *const b5 = weights + 1639904; /* (10) */
    real *const a1 = memory + 0; /* (30, 30, 32) */
    real *const a2 = memory + 28800; /* (30, 30, 32) */
    real *const a2_2 = memory + 14400; /* (15, 15, 32) */
    real *const a3 = memory + 0; /* (15, 15, 64) */
    real *const a3_2 = memory + 14400; /* (7, 7, 64) */
    real *const a4 = memory + 0; /* (512) */
    real *const z5 = memory + 512; /* (10) */
    real *const a5_exp = memory + 0; /* (10) */
    real *const a5_max = memory + 10; /* () */
    real *const a5_sum = memory + 11; /* () */

    forward_a1(a1, W1, x, b1);
    forward_a2(a2, W2, a1, b2);
    forward_a2_2(a2_2, a2);
    forward_a3(a3, W3, a2_2, b3);
    forward_a3_2(a3_2, a3);
    forward_a4(a4, W4, a3_2, b4);
    forward_z5(z5, W5, a4, b5);
    forward_a5(a5_max, a5_exp, a5_sum, y, z5);
}
