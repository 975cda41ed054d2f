/* fashion_cnn: 28x28x1-28x28x64-14x14x32-256-10, relu, max_pool2d, dropout, softmax; cross_entropy; adam; 412,778 parameters
 *
 * Generated from fashion_cnn.toml (sha256 f9ffaeea); change the spec, not this file.
 * The network when it is not training, for one sample a call, in C99: no memory is asked for, no file, no thread.
 * From the C library: expf, without the f where REAL is double.
 * Compilers may call memcpy and memset by themselves.  An int has 32 bits or more.
 *
 *   weights         1651112 bytes: 412,778 values in the order below
 *   input, output      3176 bytes: 784 and 10 values, the caller's
 *   memory           250880 bytes, static: for one call at a time
 *
 * where REAL is float; twice as many where it is double.  Step by step, bytes of the memory that are in use, and
 * products that are added up:
 *
 *   forward_a1               (28, 28, 64)            200704 bytes       200704
 *   forward_a1_2             (14, 14, 64)            250880 bytes
 *   forward_a2               (14, 14, 32)             75264 bytes      1605632
 *   forward_a2_2             (7, 7, 32)               31360 bytes
 *   forward_a3               (256)                     7296 bytes       401408
 *   forward_z4               (10)                      1064 bytes         2560
 *   forward_a4               (10)                        88 bytes
 *
 * Weights, each tensor with the last index fastest, and where it begins:
 *
 *   W1                       (64, 2, 2, 1)                0
 *   b1                       (64)                       256
 *   W2                       (32, 2, 2, 64)             320
 *   b2                       (32)                      8512
 *   W3                       (256, 1568)               8544
 *   b3                       (256)                   409952
 *   W4                       (10, 256)               410208
 *   b4                       (10)                    412768
 */
#ifndef fashion_cnn_INFER_H
#define fashion_cnn_INFER_H

#ifndef REAL
#define REAL float
#endif

enum {
    fashion_cnn_INFER_WEIGHTS = 412778,
    fashion_cnn_INFER_INPUT = 784,
    fashion_cnn_INFER_OUTPUT = 10,
    fashion_cnn_INFER_MEMORY = 62720
};

#ifdef __cplusplus
extern "C" {
#endif

/* y (10) of x (28, 28, 1), the last index fastest; y is no part of x or of the weights. */
void fashion_cnn_infer(const REAL *weights, const REAL *x, REAL *y);

/* The weights of a trained network, where the file weights.c is compiled, too (derive export RUN --target c --c-array). */
extern const REAL fashion_cnn_infer_weights[fashion_cnn_INFER_WEIGHTS];

#ifdef __cplusplus
}
#endif
#endif
