// Kernels that test the harness: one of each kind that generated programs have. REAL is float or double.
#ifndef REAL
#define REAL float
#endif
typedef REAL real;
#define ALL_LANES 0xffffffffu
#define TILE 16

extern __shared__ real scratch[];

__device__ __forceinline__ real warp_sum(real value) {  // the sum in every lane
    for (int step = 16; step > 0; step >>= 1) value += __shfl_xor_sync(ALL_LANES, value, step);
    return value;
}
__device__ __forceinline__ real warp_max(real value) {
    for (int step = 16; step > 0; step >>= 1) value = fmax(value, __shfl_xor_sync(ALL_LANES, value, step));
    return value;
}

// C = A B; A (M, K), B (K, N). One thread an element, one block a tile of C.
extern "C" __global__ void __launch_bounds__(256)
matmul(real* __restrict__ C, const real* __restrict__ A, const real* __restrict__ B, int M, int N, int K) {
    __shared__ real A_tile[TILE][TILE], B_tile[TILE][TILE];
    const int x = threadIdx.x, y = threadIdx.y;
    const int row = blockIdx.y * TILE + y, column = blockIdx.x * TILE + x;
    real sum = 0;
    for (int k0 = 0; k0 < K; k0 += TILE) {
        A_tile[y][x] = row < M && k0 + x < K ? A[row * K + k0 + x] : real(0);
        B_tile[y][x] = k0 + y < K && column < N ? B[(k0 + y) * N + column] : real(0);
        __syncthreads();  // the tiles are there
#pragma unroll
        for (int k = 0; k < TILE; ++k) sum += A_tile[y][k] * B_tile[k][x];
        __syncthreads();  // the tiles were read
    }
    if (row < M && column < N) C[row * N + column] = sum;
}

// Rows of probs are softmax(logits); loss[n] = -log probs[n, label[n]]. One warp a row.
extern "C" __global__ void softmax_loss(real* __restrict__ probs, real* __restrict__ loss,
                                        const real* __restrict__ logits, const int* __restrict__ labels,
                                        int N, int K) {
    const int lane = threadIdx.x % 32, n = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (n >= N) return;  // the whole warp
    real largest = -3.0e38f, sum = 0;
    for (int k = lane; k < K; k += 32) largest = fmax(largest, logits[n * K + k]);
    largest = warp_max(largest);
    for (int k = lane; k < K; k += 32) sum += exp(logits[n * K + k] - largest);
    sum = warp_sum(sum);
    for (int k = lane; k < K; k += 32) probs[n * K + k] = exp(logits[n * K + k] - largest) / sum;
    if (lane == 0) loss[n] = log(sum) + largest - __ldg(&logits[n * K + labels[n]]);
}

// out += sum of x. Dynamic shared memory: one real for each warp.
extern "C" __global__ void block_sum(real* __restrict__ out, const real* __restrict__ x, int n) {
    real sum = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) sum += x[i];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x >= 32) return;
    sum = warp_sum(threadIdx.x < blockDim.x / 32 ? scratch[threadIdx.x] : real(0));
    if (threadIdx.x == 0) atomicAdd(out, sum);
}

// The same sum in an order that no schedule changes: partial[b] of each block, then one block over those.
extern "C" __global__ void sum_in_order(real* __restrict__ partial, const real* __restrict__ x, int n) {
    __shared__ real values[128];
    real sum = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) sum += x[i];
    values[threadIdx.x] = sum;
    for (int half = 64; half > 0; half /= 2) {
        __syncthreads();  // the halves are there
        if (threadIdx.x < half) values[threadIdx.x] += values[threadIdx.x + half];
    }
    if (threadIdx.x == 0) partial[blockIdx.x] = values[0];
}

// z[n,i,j,o] = sum of W[o,u,v,c] x[n, i+u-padding, j+v-padding, c] + b[o]. One thread an element of z.
extern "C" __global__ void conv2d(real* __restrict__ z, const real* __restrict__ x, const real* __restrict__ W,
                                  const real* __restrict__ b, int N, int H, int width, int C, int O, int size,
                                  int padding) {
    const int rows = H + 2 * padding - size + 1, columns = width + 2 * padding - size + 1;
    const int element = blockIdx.x * blockDim.x + threadIdx.x;
    if (element >= N * rows * columns * O) return;
    const int o = element % O, j = element / O % columns, i = element / O / columns % rows;
    const int n = element / O / columns / rows;
    real sum = b[o];
    for (int u = 0; u < size; ++u)
        for (int v = 0; v < size; ++v) {
            const int row = i + u - padding, column = j + v - padding;
            if (row < 0 || row >= H || column < 0 || column >= width) continue;
            for (int c = 0; c < C; ++c)
                sum += W[((o * size + u) * size + v) * C + c] * x[((n * H + row) * width + column) * C + c];
        }
    z[element] = sum;
}

// Four random numbers from a counter and a key: Philox4x32-10.
__device__ __forceinline__ uint4 philox(uint4 counter, uint2 key) {
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const unsigned high0 = __umulhi(0xD2511F53u, counter.x), low0 = 0xD2511F53u * counter.x;
        const unsigned high1 = __umulhi(0xCD9E8D57u, counter.z), low1 = 0xCD9E8D57u * counter.z;
        counter = make_uint4(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
        key.x += 0x9E3779B9u;
        key.y += 0xBB67AE85u;
    }
    return counter;
}
extern "C" __global__ void random_bits(uint4* __restrict__ out, int n, unsigned long long key) {
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = philox(make_uint4(i, 0, 0, 0), make_uint2((unsigned)key, (unsigned)(key >> 32)));
}

// y = factor x, four elements at once; n is the number of fours.
extern "C" __global__ void scale_fours(float4* __restrict__ y, const float4* __restrict__ x, float factor, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const float4 v = x[i];
    y[i] = make_float4(factor * v.x, factor * v.y, factor * v.z, factor * v.w);
}

// Functions in both precisions, one row of out each.
extern "C" __global__ void functions(real* __restrict__ out, const real* __restrict__ x, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const real v = x[i];
    out[i] = erf(v);
    out[n + i] = log1p(exp(-fabs(v)));
    out[2 * n + i] = rsqrt(v * v + real(1));
    out[3 * n + i] = tanh(v) + max(v, real(0)) + min(v, real(0));
    out[4 * n + i] = __uint_as_float(__float_as_uint((float)v));
    out[5 * n + i] = pow(fabs(v), real(1.5)) + sqrt(fabs(v)) + (isnan(v) ? real(1) : real(0));
}

// What votes and shuffles of a warp say of `value` (one warp); sizes are those of CUDA's own types.
extern "C" __global__ void warp_words(unsigned* __restrict__ out, const int* __restrict__ value) {
    const int lane = threadIdx.x, v = value[lane];
    const unsigned odd = __ballot_sync(ALL_LANES, v & 1);
    out[lane] = odd;
    out[32 + lane] = __shfl_down_sync(ALL_LANES, v, 3);
    out[64 + lane] = __shfl_up_sync(ALL_LANES, v, 1, 8);
    out[96 + lane] = __shfl_sync(ALL_LANES, v, 5, 16);
    out[128 + lane] = __any_sync(ALL_LANES, v == 7) + 2 * __all_sync(ALL_LANES, v >= 0) + 4 * __popc(odd);
    unsigned half = 0;
    if (lane < 16) half = __shfl_xor_sync(0x0000ffffu, (unsigned)v, 1);
    __syncwarp();
    out[160 + lane] = half;
}
