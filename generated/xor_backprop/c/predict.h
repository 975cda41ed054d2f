/* xor_backprop: 2-3-1, sigmoid; mse; sgd; 12 parameters
 *
 * Generated from xor_backprop.toml (sha256 ffd9c44d); change the spec, not this file.
 * The network when it is not training, for one sample a call, in C99: no memory is asked for, no file, no thread.
 * From the C library: expf, without the f where REAL is double.
 * Compilers may call memcpy and memset by themselves.  An int has 32 bits or more.
 *
 *   weights              48 bytes: 12 values in the order below
 *   input, output        12 bytes: 2 and 1 values, the caller's
 *   memory               12 bytes, static: for one call at a time
 *
 * where REAL is float; twice as many where it is double.  Step by step, bytes of the memory that are in use, and
 * products that are added up:
 *
 *   forward_a1               (3)                         12 bytes            6
 *   forward_a2               (1)                         12 bytes
 *
 * Weights, each tensor with the last index fastest, and where it begins:
 *
 *   W1                       (3, 2)                       0
 *   b1                       (3)                          6
 *   W2                       (1, 3)                       9
 */
#ifndef xor_backprop_INFER_H
#define xor_backprop_INFER_H

#ifndef REAL
#define REAL float
#endif

enum {
    xor_backprop_INFER_WEIGHTS = 12,
    xor_backprop_INFER_INPUT = 2,
    xor_backprop_INFER_OUTPUT = 1,
    xor_backprop_INFER_MEMORY = 3
};

#ifdef __cplusplus
extern "C" {
#endif

/* y (1) of x (2), the last index fastest; y is no part of x or of the weights. */
void xor_backprop_infer(const REAL *weights, const REAL *x, REAL *y);

/* The weights of a trained network, where the file weights.c is compiled, too (derive export RUN --target c --c-array). */
extern const REAL xor_backprop_infer_weights[xor_backprop_INFER_WEIGHTS];

#ifdef __cplusplus
}
#endif
#endif
