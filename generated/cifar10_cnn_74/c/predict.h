/* cifar10_cnn_74: 32x32x3-30x30x32-30x30x32-15x15x64-512-10, relu, dropout, max_pool2d, softmax; cross_entropy; adam; 1,639,914 parameters
 *
 * Generated from cifar10_cnn_74.toml (sha256 12043d64); change the spec, not this file.
 * The network when it is not training, for one sample a call, in C99: no memory is asked for, no file, no thread.
 * From the C library: expf, without the f where REAL is double.
 * Compilers may call memcpy and memset by themselves.  An int has 32 bits or more.
 *
 *   weights         6559656 bytes: 1,639,914 values in the order below
 *   input, output     12328 bytes: 3072 and 10 values, the caller's
 *   memory           230400 bytes, static: for one call at a time
 *
 * where REAL is float; twice as many where it is double.  Step by step, bytes of the memory that are in use, and
 * products that are added up:
 *
 *   forward_a1               (30, 30, 32)            115200 bytes       777600
 *   forward_a2               (30, 30, 32)            230400 bytes      8294400
 *   forward_a2_2             (15, 15, 32)            144000 bytes
 *   forward_a3               (15, 15, 64)             86400 bytes      4147200
 *   forward_a3_2             (7, 7, 64)               70144 bytes
 *   forward_a4               (512)                    14592 bytes      1605632
 *   forward_z5               (10)                      2088 bytes         5120
 *   forward_a5               (10)                        88 bytes
 *
 * Weights, each tensor with the last index fastest, and where it begins:
 *
 *   W1                       (32, 3, 3, 3)                0
 *   b1                       (32)                       864
 *   W2                       (32, 3, 3, 32)             896
 *   b2                       (32)                     10112
 *   W3                       (64, 3, 3, 32)           10144
 *   b3                       (64)                     28576
 *   W4                       (512, 3136)              28640
 *   b4                       (512)                  1634272
 *   W5                       (10, 512)              1634784
 *   b5                       (10)                   1639904
 */
#ifndef cifar10_cnn_74_INFER_H
#define cifar10_cnn_74_INFER_H

#ifndef REAL
#define REAL float
#endif

enum {
    cifar10_cnn_74_INFER_WEIGHTS = 1639914,
    cifar10_cnn_74_INFER_INPUT = 3072,
    cifar10_cnn_74_INFER_OUTPUT = 10,
    cifar10_cnn_74_INFER_MEMORY = 57600
};

#ifdef __cplusplus
extern "C" {
#endif

/* y (10) of x (32, 32, 3), the last index fastest; y is no part of x or of the weights. */
void cifar10_cnn_74_infer(const REAL *weights, const REAL *x, REAL *y);

/* The weights of a trained network, where the file weights.c is compiled, too (derive export RUN --target c --c-array). */
extern const REAL cifar10_cnn_74_infer_weights[cifar10_cnn_74_INFER_WEIGHTS];

#ifdef __cplusplus
}
#endif
#endif
