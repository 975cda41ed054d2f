/* and_gate: 2-1, sigmoid; mse; sgd; 3 parameters
 *
 * Generated from and.toml (sha256 684cf125); change the spec, not this file.
 * The network when it is not training, for one sample a call, in C99: no memory is asked for, no file, no thread.
 * From the C library: expf, without the f where REAL is double.
 * Compilers may call memcpy and memset by themselves.  An int has 32 bits or more.
 *
 *   weights              12 bytes: 3 values in the order below
 *   input, output        12 bytes: 2 and 1 values, the caller's
 *   memory                0 bytes, static: for one call at a time
 *
 * where REAL is float; twice as many where it is double.  Step by step, bytes of the memory that are in use, and
 * products that are added up:
 *
 *   forward_a1               (1)                          0 bytes
 *
 * Weights, each tensor with the last index fastest, and where it begins:
 *
 *   W1                       (1, 2)                       0
 *   b1                       (1)                          2
 */
#ifndef and_gate_INFER_H
#define and_gate_INFER_H

#ifndef REAL
#define REAL float
#endif

enum {
    and_gate_INFER_WEIGHTS = 3,
    and_gate_INFER_INPUT = 2,
    and_gate_INFER_OUTPUT = 1,
    and_gate_INFER_MEMORY = 0
};

#ifdef __cplusplus
extern "C" {
#endif

/* y (1) of x (2), the last index fastest; y is no part of x or of the weights. */
void and_gate_infer(const REAL *weights, const REAL *x, REAL *y);

/* The weights of a trained network, where the file weights.c is compiled, too (derive export RUN --target c --c-array). */
extern const REAL and_gate_infer_weights[and_gate_INFER_WEIGHTS];

#ifdef __cplusplus
}
#endif
#endif
