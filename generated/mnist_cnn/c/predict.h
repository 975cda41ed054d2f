/* mnist_cnn: 28x28x1-26x26x16-11x11x32-64-10, relu, max_pool2d, dropout, softmax; cross_entropy; adam; 56,714 parameters
 *
 * Generated from mnist_cnn.toml (sha256 c0a0278e); change the spec, not this file.
 * The network when it is not training, for one sample a call, in C99: no memory is asked for, no file, no thread.
 * From the C library: expf, without the f where REAL is double.
 * Compilers may call memcpy and memset by themselves.  An int has 32 bits or more.
 *
 *   weights          226856 bytes: 56,714 values in the order below
 *   input, output      3176 bytes: 784 and 10 values, the caller's
 *   memory            54080 bytes, static: for one call at a time
 *
 * where REAL is float; twice as many where it is double.  Step by step, bytes of the memory that are in use, and
 * products that are added up:
 *
 *   forward_a1               (26, 26, 16)             43264 bytes        97344
 *   forward_a1_2             (13, 13, 16)             54080 bytes
 *   forward_a2               (11, 11, 32)             26304 bytes       557568
 *   forward_a2_2             (5, 5, 32)               18688 bytes
 *   forward_a3               (64)                      3456 bytes        51200
 *   forward_z4               (10)                       296 bytes          640
 *   forward_a4               (10)                        88 bytes
 *
 * Weights, each tensor with the last index fastest, and where it begins:
 *
 *   W1                       (16, 3, 3, 1)                0
 *   b1                       (16)                       144
 *   W2                       (32, 3, 3, 16)             160
 *   b2                       (32)                      4768
 *   W3                       (64, 800)                 4800
 *   b3                       (64)                     56000
 *   W4                       (10, 64)                 56064
 *   b4                       (10)                     56704
 */
#ifndef mnist_cnn_INFER_H
#define mnist_cnn_INFER_H

#ifndef REAL
#define REAL float
#endif

enum {
    mnist_cnn_INFER_WEIGHTS = 56714,
    mnist_cnn_INFER_INPUT = 784,
    mnist_cnn_INFER_OUTPUT = 10,
    mnist_cnn_INFER_MEMORY = 13520
};

#ifdef __cplusplus
extern "C" {
#endif

/* y (10) of x (28, 28, 1), the last index fastest; y is no part of x or of the weights. */
void mnist_cnn_infer(const REAL *weights, const REAL *x, REAL *y);

/* The weights of a trained network, where the file weights.c is compiled, too (derive export RUN --target c --c-array). */
extern const REAL mnist_cnn_infer_weights[mnist_cnn_INFER_WEIGHTS];

#ifdef __cplusplus
}
#endif
#endif
