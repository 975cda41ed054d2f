/* cifar10_cnn_84: 32x32x3-…-10 (10 layers), relu, max_pool2d, dropout, softmax; cross_entropy; adam; 394,026 parameters
 *
 * Generated from cifar10_cnn_84.toml (sha256 91220e56); change the spec, not this file.
 * The network when it is not training, for one sample a call, in C99: no memory is asked for, no file, no thread.
 * From the C library: expf, sqrtf, without the f where REAL is double.
 * Compilers may call memcpy and memset by themselves.  An int has 32 bits or more.
 *
 *   weights         1578408 bytes: 394,602 values in the order below
 *   input, output     12328 bytes: 3072 and 10 values, the caller's
 *   memory           163840 bytes, static: for one call at a time
 *
 * where REAL is float; twice as many where it is double.  Step by step, bytes of the memory that are in use, and
 * products that are added up:
 *
 *   forward_a2               (32, 32, 32)            131072 bytes       884736
 *   forward_a2_2             (16, 16, 32)            163840 bytes
 *   forward_a4               (16, 16, 64)             98304 bytes      4718592
 *   forward_a6               (16, 16, 64)            131072 bytes      9437184
 *   forward_a6_2             (8, 8, 64)               81920 bytes
 *   forward_a8               (8, 8, 128)              49152 bytes      4718592
 *   forward_a8_2             (4, 4, 128)              40960 bytes
 *   forward_a9               (128)                     8704 bytes       262144
 *   forward_z10              (10)                       552 bytes         1280
 *   forward_a10              (10)                        88 bytes
 *
 * Weights, each tensor with the last index fastest, and where it begins:
 *
 *   W1                       (32, 3, 3, 3)                0
 *   gamma2                   (32)                       864
 *   beta2                    (32)                       896
 *   W3                       (64, 3, 3, 32)             928
 *   gamma4                   (64)                     19360
 *   beta4                    (64)                     19424
 *   W5                       (64, 3, 3, 64)           19488
 *   gamma6                   (64)                     56352
 *   beta6                    (64)                     56416
 *   W7                       (128, 3, 3, 64)          56480
 *   gamma8                   (128)                   130208
 *   beta8                    (128)                   130336
 *   W9                       (128, 2048)             130464
 *   b9                       (128)                   392608
 *   W10                      (10, 128)               392736
 *   b10                      (10)                    394016
 *   mean2                    (32)                    394026
 *   var2                     (32)                    394058
 *   mean4                    (64)                    394090
 *   var4                     (64)                    394154
 *   mean6                    (64)                    394218
 *   var6                     (64)                    394282
 *   mean8                    (128)                   394346
 *   var8                     (128)                   394474
 */
#ifndef cifar10_cnn_84_INFER_H
#define cifar10_cnn_84_INFER_H

#ifndef REAL
#define REAL float
#endif

enum {
    cifar10_cnn_84_INFER_WEIGHTS = 394602,
    cifar10_cnn_84_INFER_INPUT = 3072,
    cifar10_cnn_84_INFER_OUTPUT = 10,
    cifar10_cnn_84_INFER_MEMORY = 40960
};

#ifdef __cplusplus
extern "C" {
#endif

/* y (10) of x (32, 32, 3), the last index fastest; y is no part of x or of the weights. */
void cifar10_cnn_84_infer(const REAL *weights, const REAL *x, REAL *y);

/* The weights of a trained network, where the file weights.c is compiled, too (derive export RUN --target c --c-array). */
extern const REAL cifar10_cnn_84_infer_weights[cifar10_cnn_84_INFER_WEIGHTS];

#ifdef __cplusplus
}
#endif
#endif
