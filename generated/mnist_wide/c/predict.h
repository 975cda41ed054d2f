/* mnist_wide: 28x28x1-512-512-10, relu, softmax; cross_entropy; momentum; 669,706 parameters
 *
 * Generated from mnist_wide.toml (sha256 11b97622); change the spec, not this file.
 * The network when it is not training, for one sample a call, in C99: no memory is asked for, no file, no thread.
 * From the C library: expf, without the f where REAL is double.
 * Compilers may call memcpy and memset by themselves.  An int has 32 bits or more.
 *
 *   weights         2678824 bytes: 669,706 values in the order below
 *   input, output      3176 bytes: 784 and 10 values, the caller's
 *   memory             4096 bytes, static: for one call at a time
 *
 * where REAL is float; twice as many where it is double.  Step by step, bytes of the memory that are in use, and
 * products that are added up:
 *
 *   forward_a1               (512)                     2048 bytes       401408
 *   forward_a2               (512)                     4096 bytes       262144
 *   forward_z3               (10)                      2088 bytes         5120
 *   forward_a3               (10)                        88 bytes
 *
 * Weights, each tensor with the last index fastest, and where it begins:
 *
 *   W1                       (512, 784)                   0
 *   b1                       (512)                   401408
 *   W2                       (512, 512)              401920
 *   b2                       (512)                   664064
 *   W3                       (10, 512)               664576
 *   b3                       (10)                    669696
 */
#ifndef mnist_wide_INFER_H
#define mnist_wide_INFER_H

#ifndef REAL
#define REAL float
#endif

enum {
    mnist_wide_INFER_WEIGHTS = 669706,
    mnist_wide_INFER_INPUT = 784,
    mnist_wide_INFER_OUTPUT = 10,
    mnist_wide_INFER_MEMORY = 1024
};

#ifdef __cplusplus
extern "C" {
#endif

/* y (10) of x (28, 28, 1), the last index fastest; y is no part of x or of the weights. */
void mnist_wide_infer(const REAL *weights, const REAL *x, REAL *y);

/* The weights of a trained network, where the file weights.c is compiled, too (derive export RUN --target c --c-array). */
extern const REAL mnist_wide_infer_weights[mnist_wide_INFER_WEIGHTS];

#ifdef __cplusplus
}
#endif
#endif
