/* cifar10_cnn_84: 32x32x3-…-10 (10 layers), relu, max_pool2d, dropout, softmax; cross_entropy; adam; 394,026 parameters
 *
 * Generated from cifar10_cnn_84.toml (sha256 91220e56); change the spec, not this file.  A number in
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
// z1 = W1 ⋆(p=1) a0    (N, 32, 32, 32) (3)
// z2[n,i,j,k] = γ2[k] (z1[n,i,j,k] − μ̄2[k])/√(v̄2[k] + 1e-5) + β2[k]    (N, 32, 32, 32) (8)
// a2 = max(0, z2)    (N, 32, 32, 32) (9)
static void forward_a2(real *restrict a2, const real *restrict W1, const real *restrict x, const real *restrict gamma2, const real *restrict mean2, const real *restrict var2, const real *restrict beta2)
{
    for (int i = 0; i < 32; ++i) {
        for (int j = 0; j < 32; ++j) {
            for (int k = 0; k < 32; ++k) {
                real total = 0;
                for (int u = 0; u < 3; ++u) {
                    if (!inside(i + u - 1, 32)) continue;
                    for (int v = 0; v < 3; ++v) {
                        if (!inside(j + v - 1, 32)) continue;
                        for (int c = 0; c < 3; ++c) {
                            total += W1[((k * 3 + u) * 3 + v) * 3 + c] * x[((i + u - 1) * 32 + j + v - 1) * 3 + c];
                        }
                    }
                }
                real z2_2 = gamma2[k] * (total - mean2[k]) / sqrt(var2[k] + real(1e-05)) + beta2[k];  // (8)
                a2[(i * 32 + j) * 32 + k] = maximum(z2_2, real(0));  // (9)
            }
        }
    }
}

// a2_2[n,i,j,k] = max_{u,v<2} a2[n,2i+u,2j+v,k]    (N, 16, 16, 32) (10)
static void forward_a2_2(real *restrict a2_2, const real *restrict a2)
{
    for (int i = 0; i < 16; ++i) {
        for (int j = 0; j < 16; ++j) {
            for (int k = 0; k < 32; ++k) {
                real greatest = real(-1) / real(0);
                for (int u = 0; u < 2; ++u)
                    for (int v = 0; v < 2; ++v)
                        greatest = maximum(greatest, a2[((2 * i + u) * 32 + 2 * j + v) * 32 + k]);
                a2_2[(i * 16 + j) * 32 + k] = greatest;  // (10)
            }
        }
    }
}

// z3 = W3 ⋆(p=1) a2_3    (N, 16, 16, 64) (13)
// z4[n,i,j,k] = γ4[k] (z3[n,i,j,k] − μ̄4[k])/√(v̄4[k] + 1e-5) + β4[k]    (N, 16, 16, 64) (18)
// a4 = max(0, z4)    (N, 16, 16, 64) (19)
static void forward_a4(real *restrict a4, const real *restrict W3, const real *restrict a2_2, const real *restrict gamma4, const real *restrict mean4, const real *restrict var4, const real *restrict beta4)
{
    for (int i = 0; i < 16; ++i) {
        for (int j = 0; j < 16; ++j) {
            for (int k = 0; k < 64; ++k) {
                real total = 0;
                for (int u = 0; u < 3; ++u) {
                    if (!inside(i + u - 1, 16)) continue;
                    for (int v = 0; v < 3; ++v) {
                        if (!inside(j + v - 1, 16)) continue;
                        for (int c = 0; c < 32; ++c) {
                            total += W3[((k * 3 + u) * 3 + v) * 32 + c] * a2_2[((i + u - 1) * 16 + j + v - 1) * 32 + c];
                        }
                    }
                }
                real z4_2 = gamma4[k] * (total - mean4[k]) / sqrt(var4[k] + real(1e-05)) + beta4[k];  // (18)
                a4[(i * 16 + j) * 64 + k] = maximum(z4_2, real(0));  // (19)
            }
        }
    }
}

// z5 = W5 ⋆(p=1) a4    (N, 16, 16, 64) (20)
// z6[n,i,j,k] = γ6[k] (z5[n,i,j,k] − μ̄6[k])/√(v̄6[k] + 1e-5) + β6[k]    (N, 16, 16, 64) (25)
// a6 = max(0, z6)    (N, 16, 16, 64) (26)
static void forward_a6(real *restrict a6, const real *restrict W5, const real *restrict a4, const real *restrict gamma6, const real *restrict mean6, const real *restrict var6, const real *restrict beta6)
{
    for (int i = 0; i < 16; ++i) {
        for (int j = 0; j < 16; ++j) {
            for (int k = 0; k < 64; ++k) {
                real total = 0;
                for (int u = 0; u < 3; ++u) {
                    if (!inside(i + u - 1, 16)) continue;
                    for (int v = 0; v < 3; ++v) {
                        if (!inside(j + v - 1, 16)) continue;
                        for (int c = 0; c < 64; ++c) {
                            total += W5[((k * 3 + u) * 3 + v) * 64 + c] * a4[((i + u - 1) * 16 + j + v - 1) * 64 + c];
                        }
                    }
                }
                real z6_2 = gamma6[k] * (total - mean6[k]) / sqrt(var6[k] + real(1e-05)) + beta6[k];  // (25)
                a6[(i * 16 + j) * 64 + k] = maximum(z6_2, real(0));  // (26)
            }
        }
    }
}

// a6_2[n,i,j,k] = max_{u,v<2} a6[n,2i+u,2j+v,k]    (N, 8, 8, 64) (27)
static void forward_a6_2(real *restrict a6_2, const real *restrict a6)
{
    for (int i = 0; i < 8; ++i) {
        for (int j = 0; j < 8; ++j) {
            for (int k = 0; k < 64; ++k) {
                real greatest = real(-1) / real(0);
                for (int u = 0; u < 2; ++u)
                    for (int v = 0; v < 2; ++v)
                        greatest = maximum(greatest, a6[((2 * i + u) * 16 + 2 * j + v) * 64 + k]);
                a6_2[(i * 8 + j) * 64 + k] = greatest;  // (27)
            }
        }
    }
}

// z7 = W7 ⋆(p=1) a6_3    (N, 8, 8, 128) (30)
// z8[n,i,j,k] = γ8[k] (z7[n,i,j,k] − μ̄8[k])/√(v̄8[k] + 1e-5) + β8[k]    (N, 8, 8, 128) (35)
// a8 = max(0, z8)    (N, 8, 8, 128) (36)
static void forward_a8(real *restrict a8, const real *restrict W7, const real *restrict a6_2, const real *restrict gamma8, const real *restrict mean8, const real *restrict var8, const real *restrict beta8)
{
    for (int i = 0; i < 8; ++i) {
        for (int j = 0; j < 8; ++j) {
            for (int k = 0; k < 128; ++k) {
                real total = 0;
                for (int u = 0; u < 3; ++u) {
                    if (!inside(i + u - 1, 8)) continue;
                    for (int v = 0; v < 3; ++v) {
                        if (!inside(j + v - 1, 8)) continue;
                        for (int c = 0; c < 64; ++c) {
                            total += W7[((k * 3 + u) * 3 + v) * 64 + c] * a6_2[((i + u - 1) * 8 + j + v - 1) * 64 + c];
                        }
                    }
                }
                real z8_2 = gamma8[k] * (total - mean8[k]) / sqrt(var8[k] + real(1e-05)) + beta8[k];  // (35)
                a8[(i * 8 + j) * 128 + k] = maximum(z8_2, real(0));  // (36)
            }
        }
    }
}

// a8_2[n,i,j,k] = max_{u,v<2} a8[n,2i+u,2j+v,k]    (N, 4, 4, 128) (37)
static void forward_a8_2(real *restrict a8_2, const real *restrict a8)
{
    for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < 4; ++j) {
            for (int k = 0; k < 128; ++k) {
                real greatest = real(-1) / real(0);
                for (int u = 0; u < 2; ++u)
                    for (int v = 0; v < 2; ++v)
                        greatest = maximum(greatest, a8[((2 * i + u) * 8 + 2 * j + v) * 128 + k]);
                a8_2[(i * 4 + j) * 128 + k] = greatest;  // (37)
            }
        }
    }
}

// z9 = W9 a8_4 + b9    (N, 128) (41)
// a9 = max(0, z9)    (N, 128) (42)
static void forward_a9(real *restrict a9, const real *restrict W9, const real *restrict a8_2, const real *restrict b9)
{
    for (int k = 0; k < 128; ++k) {
        real total = 0;
        for (int j = 0; j < 2048; ++j) {
            total += W9[k * 2048 + j] * a8_2[j];
        }
        total = b9[k] + total;  // (41)
        a9[k] = maximum(total, real(0));  // (42)
    }
}

// z10 = W10 a9_2 + b10    (N, 10) (45)
static void forward_z10(real *restrict z10, const real *restrict W10, const real *restrict a9, const real *restrict b10)
{
    for (int k = 0; k < 10; ++k) {
        real total = 0;
        for (int j = 0; j < 128; ++j) {
            total += W10[k * 128 + j] * a9[j];
        }
        z10[k] = b10[k] + total;  // (45)
    }
}

// a10 = softmax(z10)    (N, 10) (46)
static void forward_a10(real *restrict a10_max, real *restrict a10_exp, real *restrict a10_sum, real *restrict a10, const real *restrict z10)
{
    real greatest = real(-1) / real(0);
    for (int i = 0; i < 10; ++i)
        greatest = maximum(greatest, z10[i]);
    a10_max[0] = greatest;  // (46)
    for (int k = 0; k < 10; ++k) {
        a10_exp[k] = exp(z10[k] - a10_max[0]);  // (46)
    }
    real total = real(0);
    for (int j = 0; j < 10; ++j)
        total += a10_exp[j];
    a10_sum[0] = total;  // (46)
    for (int k2 = 0; k2 < 10; ++k2) {
        a10[k2] = a10_exp[k2] / a10_sum[0];  // (46)
    }
}

/* ---- What is called ---------------------------------------------------------------------------------- */
static real memory[40960]; /* of what is computed on the way, in turn */

void cifar10_cnn_84_infer(const REAL *weights, const REAL *x, REAL *y)
{
    const real *const W1 = weights + 0; /* (32, 3, 3, 3) */
    const real *const gamma2 = weights + 864; /* (32) */
    const real *const beta2 = weights + 896; /* (32) */
    const real *const W3 = weights + 928; /* (64, 3, 3, 32) */
    const real *const gamma4 = weights + 19360; /* (64) */
    const real *const beta4 = weights + 19424; /* (64) */
    const real *const W5 = weights + 19488; /* (64, 3, 3, 64) */
    const real *const gamma6 = weights + 56352; /* (64) */
    const real *const beta6 = weights + 56416; /* (64) */
    const real *const W7 = weights + 56480; /* (128, 3, 3, 64) */
    const real *const gamma8 = weights + 130208; /* (128) */
    const real *const beta8 = weights + 130336; /* (128) */
    const real *const W9 = weights + 130464; /* (128, 2048) */
    const real *const b9 = weights + 392608; /* (128) */
    const real *const W10 = weights + 392736; /* (10, 128) */
    const real *const b10 = weights + 394016; /* (10) */
    const real *const mean2 = weights + 394026; /* (32) */
    const real *const var2 = weights + 394058; /* (32) */
    const real *const mean4 = weights + 394090; /* (64) */
    const real *const var4 = weights + 394154; /* (64) */
    const real *const mean6 = weights + 394218; /* (64) */
    const real *const var6 = weights + 394282; /* (64) */
    const real *const mean8 = weights + 394346; /* (128) */
    const real *const var8 = weights + 394474; /* (128) */
    real *const a2 = memory + 0; /* (32, 32, 32) */
    real *const a2_2 = memory + 32768; /* (16, 16, 32) */
    real *const a4 = memory + 0; /* (16, 16, 64) */
    real *const a6 = memory + 16384; /* (16, 16, 64) */
    real *const a6_2 = memory + 8192; /* (8, 8, 64) */
    real *const a8 = memory + 0; /* (8, 8, 128) */
    real *const a8_2 = memory + 8192; /* (4, 4, 128) */
    real *const a9 = memory + 0; /* (128) */
    real *const z10 = memory + 128; /* (10) */
    real *const a10_exp = memory + 0; /* (10) */
    real *const a10_max = memory + 10; /* () */
    real *const a10_sum = memory + 11; /* () */

    forward_a2(a2, W1, x, gamma2, mean2, var2, beta2);
    forward_a2_2(a2_2, a2);
    forward_a4(a4, W3, a2_2, gamma4, mean4, var4, beta4);
    forward_a6(a6, W5, a4, gamma6, mean6, var6, beta6);
    forward_a6_2(a6_2, a6);
    forward_a8(a8, W7, a6_2, gamma8, mean8, var8, beta8);
    forward_a8_2(a8_2, a8);
    forward_a9(a9, W9, a8_2, b9);
    forward_z10(z10, W10, a9, b10);
    forward_a10(a10_max, a10_exp, a10_sum, y, z10);
}
