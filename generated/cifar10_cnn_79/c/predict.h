/* cifar10_cnn_79: 32x32x3-…-10 (8 layers), relu, dropout, max_pool2d, softmax; cross_entropy; adam; 1,640,048 parameters
 *
 * Generated from cifar10_cnn_79.toml (sha256 a0078f30); change the spec, not this file.
 * The network when it is not training, for one sample a call, in C99: no memory is asked for, no file, no thread.
 * From the C library: expf, sqrtf, without the f where REAL is double.
 * Compilers may call memcpy and memset by themselves.  An int has 32 bits or more.
 *
 *   weights         6560728 bytes: 1,640,182 values in the order below
 *   input, output     12328 bytes: 3072 and 10 values, the caller's
 *   memory           230400 bytes, static: for one call at a time
 *
 * where REAL is float; twice as many where it is double.  Step by step, bytes of the memory that are in use, and
 * products that are added up:
 *
 *   forward_z1               (32, 32, 3)              12288 bytes
 *   forward_z3               (30, 30, 32)            127488 bytes       777600
 *   forward_a4               (30, 30, 32)            230400 bytes      8294400
 *   forward_z5               (15, 15, 32)            144000 bytes
 *   forward_a6               (15, 15, 64)             86400 bytes      4147200
 *   forward_a6_2             (7, 7, 64)               70144 bytes
 *   forward_a7               (512)                    14592 bytes      1605632
 *   forward_z8               (10)                      2088 bytes         5120
 *   forward_a8               (10)                        88 bytes
 *
 * Weights, each tensor with the last index fastest, and where it begins:
 *
 *   gamma1                   (3)                          0
 *   beta1                    (3)                          3
 *   W2                       (32, 3, 3, 3)                6
 *   b2                       (32)                       870
 *   gamma3                   (32)                       902
 *   beta3                    (32)                       934
 *   W4                       (32, 3, 3, 32)             966
 *   b4                       (32)                     10182
 *   gamma5                   (32)                     10214
 *   beta5                    (32)                     10246
 *   W6                       (64, 3, 3, 32)           10278
 *   b6                       (64)                     28710
 *   W7                       (512, 3136)              28774
 *   b7                       (512)                  1634406
 *   W8                       (10, 512)              1634918
 *   b8                       (10)                   1640038
 *   mean1                    (3)                    1640048
 *   var1                     (3)                    1640051
 *   mean3                    (32)                   1640054
 *   var3                     (32)                   1640086
 *   mean5                    (32)                   1640118
 *   var5                     (32)                   1640150
 */
#ifndef cifar10_cnn_79_INFER_H
#define cifar10_cnn_79_INFER_H

#ifndef REAL
#define REAL float
#endif

enum {
    cifar10_cnn_79_INFER_WEIGHTS = 1640182,
    cifar10_cnn_79_INFER_INPUT = 3072,
    cifar10_cnn_79_INFER_OUTPUT = 10,
    cifar10_cnn_79_INFER_MEMORY = 57600
};

#ifdef __cplusplus
extern "C" {
#endif

/* y (10) of x (32, 32, 3), the last index fastest; y is no part of x or of the weights. */
void cifar10_cnn_79_infer(const REAL *weights, const REAL *x, REAL *y);

/* The weights of a trained network, where the file weights.c is compiled, too (derive export RUN --target c --c-array). */
extern const REAL cifar10_cnn_79_infer_weights[cifar10_cnn_79_INFER_WEIGHTS];

#ifdef __cplusplus
}
#endif
#endif
