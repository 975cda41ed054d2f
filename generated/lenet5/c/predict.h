/* lenet5: 28x28x1-28x28x6-10x10x16-120-84-10, tanh, avg_pool2d, softmax; cross_entropy; adam; 61,706 parameters
 *
 * Generated from lenet5.toml (sha256 6279f96d); change the spec, not this file.
 * The network when it is not training, for one sample a call, in C99: no memory is asked for, no file, no thread.
 * From the C library: expf, tanhf, without the f where REAL is double.
 * Compilers may call memcpy and memset by themselves.  An int has 32 bits or more.
 *
 *   weights          246824 bytes: 61,706 values in the order below
 *   input, output      3176 bytes: 784 and 10 values, the caller's
 *   memory            23520 bytes, static: for one call at a time
 *
 * where REAL is float; twice as many where it is double.  Step by step, bytes of the memory that are in use, and
 * products that are added up:
 *
 *   forward_a1               (28, 28, 6)              18816 bytes       117600
 *   forward_a1_2             (14, 14, 6)              23520 bytes
 *   forward_a2               (10, 10, 16)             11104 bytes       240000
 *   forward_a2_2             (5, 5, 16)                8000 bytes
 *   forward_a3               (120)                     2080 bytes        48000
 *   forward_a4               (84)                       816 bytes        10080
 *   forward_z5               (10)                       376 bytes          840
 *   forward_a5               (10)                        88 bytes
 *
 * Weights, each tensor with the last index fastest, and where it begins:
 *
 *   W1                       (6, 5, 5, 1)                 0
 *   b1                       (6)                        150
 *   W2                       (16, 5, 5, 6)              156
 *   b2                       (16)                      2556
 *   W3                       (120, 400)                2572
 *   b3                       (120)                    50572
 *   W4                       (84, 120)                50692
 *   b4                       (84)                     60772
 *   W5                       (10, 84)                 60856
 *   b5                       (10)                     61696
 */
#ifndef lenet5_INFER_H
#define lenet5_INFER_H

#ifndef REAL
#define REAL float
#endif

enum {
    lenet5_INFER_WEIGHTS = 61706,
    lenet5_INFER_INPUT = 784,
    lenet5_INFER_OUTPUT = 10,
    lenet5_INFER_MEMORY = 5880
};

#ifdef __cplusplus
extern "C" {
#endif

/* y (10) of x (28, 28, 1), the last index fastest; y is no part of x or of the weights. */
void lenet5_infer(const REAL *weights, const REAL *x, REAL *y);

/* The weights of a trained network, where the file weights.c is compiled, too (derive export RUN --target c --c-array). */
extern const REAL lenet5_infer_weights[lenet5_INFER_WEIGHTS];

#ifdef __cplusplus
}
#endif
#endif
