/* mnist_mlp: 28x28x1-16-16-10, sigmoid, softmax; cross_entropy; adam; 13,002 parameters
 *
 * Generated from mnist_mlp.toml (sha256 a6c15bd4); change the spec, not this file.
 * The network when it is not training, for one sample a call, in C99: no memory is asked for, no file, no thread.
 * From the C library: expf, without the f where REAL is double.
 * Compilers may call memcpy and memset by themselves.  An int has 32 bits or more.
 *
 *   weights           52008 bytes: 13,002 values in the order below
 *   input, output      3176 bytes: 784 and 10 values, the caller's
 *   memory              128 bytes, static: for one call at a time
 *
 * where REAL is float; twice as many where it is double.  Step by step, bytes of the memory that are in use, and
 * products that are added up:
 *
 *   forward_a1               (16)                        64 bytes        12544
 *   forward_a2               (16)                       128 bytes          256
 *   forward_z3               (10)                       104 bytes          160
 *   forward_a3               (10)                        88 bytes
 *
 * Weights, each tensor with the last index fastest, and where it begins:
 *
 *   W1                       (16, 784)                    0
 *   b1                       (16)                     12544
 *   W2                       (16, 16)                 12560
 *   b2                       (16)                     12816
 *   W3                       (10, 16)                 12832
 *   b3                       (10)                     12992
 */
#ifndef mnist_mlp_INFER_H
#define mnist_mlp_INFER_H

#ifndef REAL
#define REAL float
#endif

enum {
    mnist_mlp_INFER_WEIGHTS = 13002,
    mnist_mlp_INFER_INPUT = 784,
    mnist_mlp_INFER_OUTPUT = 10,
    mnist_mlp_INFER_MEMORY = 32
};

#ifdef __cplusplus
extern "C" {
#endif

/* y (10) of x (28, 28, 1), the last index fastest; y is no part of x or of the weights. */
void mnist_mlp_infer(const REAL *weights, const REAL *x, REAL *y);

/* The weights of a trained network, where the file weights.c is compiled, too (derive export RUN --target c --c-array). */
extern const REAL mnist_mlp_infer_weights[mnist_mlp_INFER_WEIGHTS];

#ifdef __cplusplus
}
#endif
#endif
