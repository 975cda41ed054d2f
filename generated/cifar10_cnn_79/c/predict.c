/* cifar10_cnn_79: 32x32x3-…-10 (8 layers), relu, dropout, max_pool2d, softmax; cross_entropy; adam; 1,640,048 parameters
 *
 * Generated from cifar10_cnn_79.toml (sha256 a0078f30); change the spec, not this file.  A number in
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
real LIBRARY(REAL, sqrt)(real);
#define exp(u) LIBRARY(REAL, exp)(u)
#define sqrt(u) LIBRARY(REAL, sqrt)(u)

static inline real maximum(real a, real b) /* a NaN stays one */
{
    const real greater = a > b ? a : b;
    return a != a ? a : greater;
}
static inline bool inside(long i, long size) { return 0 <= i && i < size; }

/* ---- Forward, for one sample ------------------------------------------------------------------------- */
// z1[n,i,j,k] = γ1[k] (a0[n,i,j,k] − μ̄1[k])/√(v̄1[k] + 1e-5) + β1[k]    (N, 32, 32, 3) (7)
static void forward_z1(real *restrict z1, const real *restrict gamma1, const real *restrict x, const real *restrict mean1, const real *restrict var1, const real *restrict beta1)
{
    for (int i = 0; i < 32; ++i) {
        for (int j = 0; j < 32; ++j) {
            for (int k = 0; k < 3; ++k) {
                z1[(i * 32 + j) * 3 + k] = gamma1[k] * (x[(i * 32 + j) * 3 + k] - mean1[k]) / sqrt(var1[k] + real(1e-05)) + beta1[k];  // (7)
            }
        }
    }
}

// z2 = W2 ⋆ z1 + b2    (N, 30, 30, 32) (8)
// a2 = max(0, z2)    (N, 30, 30, 32) (9)
// z3[n,i,j,k] = γ3[k] (a2_2[n,i,j,k] − μ̄3[k])/√(v̄3[k] + 1e-5) + β3[k]    (N, 30, 30, 32) (16)
static void forward_z3(real *restrict z3, const real *restrict W2, const real *restrict z1, const real *restrict b2, const real *restrict gamma3, const real *restrict mean3, const real *restrict var3, const real *restrict beta3)
{
    for (int i = 0; i < 30; ++i) {
        for (int j = 0; j < 30; ++j) {
            for (int k = 0; k < 32; ++k) {
                real total = 0;
                for (int u = 0; u < 3; ++u) {
                    for (int v = 0; v < 3; ++v) {
                        for (int c = 0; c < 3; ++c) {
                            total += W2[((k * 3 + u) * 3 + v) * 3 + c] * z1[((i + u) * 32 + j + v) * 3 + c];
                        }
                    }
                }
                total = b2[k] + total;  // (8)
                real a2_3 = maximum(total, real(0));  // (9)
                z3[(i * 30 + j) * 32 + k] = gamma3[k] * (a2_3 - mean3[k]) / sqrt(var3[k] + real(1e-05)) + beta3[k];  // (16)
            }
        }
    }
}

// z4 = W4 ⋆(p=1) z3 + b4    (N, 30, 30, 32) (17)
// a4 = max(0, z4)    (N, 30, 30, 32) (18)
static void forward_a4(real *restrict a4, const real *restrict W4, const real *restrict z3, const real *restrict b4)
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
                            total += W4[((k * 3 + u) * 3 + v) * 32 + c] * z3[((i + u - 1) * 30 + j + v - 1) * 32 + c];
                        }
                    }
                }
                total = b4[k] + total;  // (17)
                a4[(i * 30 + j) * 32 + k] = maximum(total, real(0));  // (18)
            }
        }
    }
}

// a4_2[n,i,j,k] = max_{u,v<2} a4[n,2i+u,2j+v,k]    (N, 15, 15, 32) (19)
// z5[n,i,j,k] = γ5[k] (a4_2[n,i,j,k] − μ̄5[k])/√(v̄5[k] + 1e-5) + β5[k]    (N, 15, 15, 32) (24)
static void forward_z5(real *restrict z5, const real *restrict a4, const real *restrict gamma5, const real *restrict mean5, const real *restrict var5, const real *restrict beta5)
{
    for (int i = 0; i < 15; ++i) {
        for (int j = 0; j < 15; ++j) {
            for (int k = 0; k < 32; ++k) {
                real greatest = real(-1) / real(0);
                for (int u = 0; u < 2; ++u)
                    for (int v = 0; v < 2; ++v)
                        greatest = maximum(greatest, a4[((2 * i + u) * 30 + 2 * j + v) * 32 + k]);
                real a4_2_2 = greatest;  // (19)
                z5[(i * 15 + j) * 32 + k] = gamma5[k] * (a4_2_2 - mean5[k]) / sqrt(var5[k] + real(1e-05)) + beta5[k];  // (24)
            }
        }
    }
}

// z6 = W6 ⋆(p=1) z5 + b6    (N, 15, 15, 64) (25)
// a6 = max(0, z6)    (N, 15, 15, 64) (26)
static void forward_a6(real *restrict a6, const real *restrict W6, const real *restrict z5, const real *restrict b6)
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
                            total += W6[((k * 3 + u) * 3 + v) * 32 + c] * z5[((i + u - 1) * 15 + j + v - 1) * 32 + c];
                        }
                    }
                }
                total = b6[k] + total;  // (25)
                a6[(i * 15 + j) * 64 + k] = maximum(total, real(0));  // (26)
            }
        }
    }
}

// a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k]    (N, 7, 7, 64) (27)
static void forward_a6_2(real *restrict a6_2, const real *restrict a6)
{
    for (int i = 0; i < 7; ++i) {
        for (int j = 0; j < 7; ++j) {
            for (int k = 0; k < 64; ++k) {
                real greatest = real(-1) / real(0);
                for (int u = 0; u < 2; ++u)
                    for (int v = 0; v < 2; ++v)
                        greatest = maximum(greatest, a6[((2 * i + u) * 15 + 2 * j + v) * 64 + k]);
                a6_2[(i * 7 + j) * 64 + k] = greatest;  // (27)
            }
        }
    }
}

// z7 = W7 a6_4 + b7    (N, 512) (31)
// a7 = max(0, z7)    (N, 512) (32)
static void forward_a7(real *restrict a7, const real *restrict W7, const real *restrict a6_2, const real *restrict b7)
{
    for (int k = 0; k < 512; ++k) {
        real total = 0;
        for (int j = 0; j < 3136; ++j) {
            total += W7[k * 3136 + j] * a6_2[j];
        }
        total = b7[k] + total;  // (31)
        a7[k] = maximum(total, real(0));  // (32)
    }
}

// z8 = W8 a7_2 + b8    (N, 10) (35)
static void forward_z8(real *restrict z8, const real *restrict W8, const real *restrict a7, const real *restrict b8)
{
    for (int k = 0; k < 10; ++k) {
        real total = 0;
        for (int j = 0; j < 512; ++j) {
            total += W8[k * 512 + j] * a7[j];
        }
        z8[k] = b8[k] + total;  // (35)
    }
}

// a8 = softmax(z8)    (N, 10) (36)
static void forward_a8(real *restrict a8_max, real *restrict a8_exp, real *restrict a8_sum, real *restrict a8, const real *restrict z8)
{
    real greatest = real(-1) / real(0);
    for (int i = 0; i < 10; ++i)
        greatest = maximum(greatest, z8[i]);
    a8_max[0] = greatest;  // (36)
    for (int k = 0; k < 10; ++k) {
        a8_exp[k] = exp(z8[k] - a8_max[0]);  // (36)
    }
    real total = real(0);
    for (int j = 0; j < 10; ++j)
        total += a8_exp[j];
    a8_sum[0] = total;  // (36)
    for (int k2 = 0; k2 < 10; ++k2) {
        a8[k2] = a8_exp[k2] / a8_sum[0];  // (36)
    }
}

/* ---- What is called ---------------------------------------------------------------------------------- */
static real memory[57600]; /* of what is computed on the way, in turn */

void cifar10_cnn_79_infer(const REAL *weights, const REAL *x, REAL *y)
{
    const real *const gamma1 = weights + 0; /* (3) */
    const real *const beta1 = weights + 3; /* (3) */
    const real *const W2 = weights + 6; /* (32, 3, 3, 3) */
    const real *const b2 = weights + 870; /* (32) */
    const real *const gamma3 = weights + 902; /* (32) */
    const real *const beta3 = weights + 934; /* (32) */
    const real *const W4 = weights + 966; /* (32, 3, 3, 32) */
    const real *const b4 = weights + 10182; /* (32) */
    const real *const gamma5 = weights + 10214; /* (32) */
    const real *const beta5 = weights + 10246; /* (32) */
    const real *const W6 = weights + 10278; /* (64, 3, 3, 32) */
    const real *const b6 = weights + 28710; /* (64) */
    const real *const W7 = weights + 28774; /* (512, 3136) */
    const real *const b7 = weights + 1634406; /* (512) */
    const real *const W8 = weights + 1634918; /* (10, 512) */
    const real *const b8 = weights + 1640038; /* (10) */
    const real *const mean1 = weights + 1640048; /* (3) */
    const real *const var1 = weights + 1640051; /* (3) */
    const real *const mean3 = weights + 1640054; /* (32) */
    const real *const var3 = weights + 1640086; /* (32) */
    const real *const mean5 = weights + 1640118; /* (32) */
    const real *const var5 = weights + 1640150; /* (32) */
    real *const z1 = memory + 28800; /* (32, 32, 3) */
    real *const z3 = memory + 0; /* (30, 30, 32) */
    real *const a4 = memory + 28800; /* (30, 30, 32) */
    real *const z5 = memory + 14400; /* (15, 15, 32) */
    real *const a6 = memory + 0; /* (15, 15, 64) */
    real *const a6_2 = memory + 14400; /* (7, 7, 64) */
    real *const a7 = memory + 0; /* (512) */
    real *const z8 = memory + 512; /* (10) */
    real *const a8_exp = memory + 0; /* (10) */
    real *const a8_max = memory + 10; /* () */
    real *const a8_sum = memory + 11; /* () */

    forward_z1(z1, gamma1, x, mean1, var1, beta1);
    forward_z3(z3, W2, z1, b2, gamma3, mean3, var3, beta3);
    forward_a4(a4, W4, z3, b4);
    forward_z5(z5, a4, gamma5, mean5, var5, beta5);
    forward_a6(a6, W6, z5, b6);
    forward_a6_2(a6_2, a6);
    forward_a7(a7, W7, a6_2, b7);
    forward_z8(z8, W8, a7, b8);
    forward_a8(a8_max, a8_exp, a8_sum, y, z8);
}
