// Kernels with what has a CPU twin: tensor cores (compute capability 8.0 and up) and a barrier over the grid.
#ifdef CUDA_ON_CPU
#define to_tf32 cuda_on_cpu::to_tf32
#define to_bf16x2 cuda_on_cpu::to_bf16x2
#define mma_tf32 cuda_on_cpu::mma_m16n8k8_tf32
#define mma_bf16 cuda_on_cpu::mma_m16n8k16_bf16
#define grid_sync(counter) cuda_on_cpu::grid_sync()
#else
__device__ __forceinline__ unsigned to_tf32(float value) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
    return bits;
}
__device__ __forceinline__ unsigned to_bf16x2(float low, float high) {
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}
__device__ __forceinline__ void mma_tf32(float* c, const unsigned* a, const unsigned* b) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void mma_bf16(float* c, const unsigned* a, const unsigned* b) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// All blocks must be resident: a cooperative launch. The counter starts at 0 and is never reset.
__device__ __forceinline__ void grid_sync(unsigned* counter) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        const unsigned ticket = atomicAdd(counter, 1u), target = (ticket / gridDim.x + 1) * gridDim.x;
        while ((int)(*(volatile unsigned*)counter - target) < 0) {}
        __threadfence();
    }
    __syncthreads();
}
#endif

// C = A B in tf32; one warp a 16x8 tile of C.
extern "C" __global__ void matmul_tf32(float* __restrict__ C, const float* __restrict__ A,
                                       const float* __restrict__ B, int M, int N, int K) {
    const int lane = threadIdx.x % 32, group = lane / 4, t = lane % 4;
    const int m0 = (blockIdx.y * (blockDim.x / 32) + threadIdx.x / 32) * 16, n0 = blockIdx.x * 8;
    if (m0 >= M) return;  // the whole warp
    float c[4] = {0, 0, 0, 0};
    for (int k0 = 0; k0 < K; k0 += 8) {
        unsigned a[4], b[2];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int m = m0 + group + i % 2 * 8, k = k0 + t + i / 2 * 4;
            a[i] = to_tf32(m < M && k < K ? A[m * K + k] : 0.0f);
        }
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            const int k = k0 + t + i * 4, n = n0 + group;
            b[i] = to_tf32(k < K && n < N ? B[k * N + n] : 0.0f);
        }
        mma_tf32(c, a, b);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const int m = m0 + group + i / 2 * 8, n = n0 + 2 * t + i % 2;
        if (m < M && n < N) C[m * N + n] = c[i];
    }
}

// C = A B in bfloat16 for one tile: A (16, 16), B (16, 8). One warp.
extern "C" __global__ void tile_bf16(float* __restrict__ C, const float* __restrict__ A, const float* __restrict__ B) {
    const int group = threadIdx.x / 4, t = threadIdx.x % 4;
    float c[4] = {0, 0, 0, 0};
    unsigned a[4], b[2];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const float* pair = A + (group + i % 2 * 8) * 16 + 2 * t + i / 2 * 8;
        a[i] = to_bf16x2(pair[0], pair[1]);
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const float* pair = B + (2 * t + i * 8) * 8 + group;
        b[i] = to_bf16x2(pair[0], pair[8]);
    }
    mma_bf16(c, a, b);
#pragma unroll
    for (int i = 0; i < 4; ++i) C[(group + i / 2 * 8) * 8 + 2 * t + i % 2] = c[i];
}

// y = W2 relu(W1 x) for N samples in one launch: all of h is there before any of y is begun.
extern "C" __global__ void two_layers(float* y, float* h, const float* __restrict__ x, const float* __restrict__ W1,
                                      const float* __restrict__ W2, unsigned* counter, int N, int D, int H, int O) {
    __shared__ float block[64];  // shared memory lives on across the barrier
    block[threadIdx.x] = (float)blockIdx.x;
    const int first = blockIdx.x * blockDim.x + threadIdx.x, all = gridDim.x * blockDim.x;
    for (int i = first; i < N * H; i += all) {
        float sum = 0;
        for (int d = 0; d < D; ++d) sum += x[i / H * D + d] * W1[i % H * D + d];
        h[i] = fmaxf(sum, 0.0f);
    }
    grid_sync(counter);
    for (int i = first; i < N * O; i += all) {
        float sum = block[(threadIdx.x + 1) % blockDim.x] - (float)blockIdx.x;  // 0
        for (int j = 0; j < H; ++j) sum += h[i / O * H + j] * W2[i % O * H + j];
        y[i] = sum;
    }
}
