// CUDA C for a C++ compiler: included before the kernel source, which stays as it is.
//
// Only what the kernels of this project use, and its neighbours. What a CPU cannot know (mma.sync, a grid
// barrier, cp.async) has twins in namespace cuda_on_cpu, which the kernel source selects by #ifdef CUDA_ON_CPU.
// scheduler.cpp runs the threads; entries.h calls the kernels.
#pragma once
#include <math.h>
#include <string.h>

#include "scheduler.h"

#undef INFINITY  // NVRTC has neither: a kernel that uses them must not pass here
#undef NAN

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
// In a function this is implicitly static, and `extern __shared__ T s[]` stays a declaration: the end that
// source.py writes defines it. All of it together is the thread-local storage, which scheduler.cpp finds.
#define __shared__ thread_local

#define threadIdx (::cuda_on_cpu::state.thread)
#define blockIdx (::cuda_on_cpu::state.block)
#define blockDim (::cuda_on_cpu::state.block_size)
#define gridDim (::cuda_on_cpu::state.grid_size)
constexpr int warpSize = 32;

// ---- Vector types ---------------------------------------------------------------------------------------

namespace cuda_on_cpu {
template <class T> struct Element { typedef T type; };  // of a vector type: the type of its components
template <class T> struct Identity { typedef T type; };  // keeps an argument out of type deduction
}  // namespace cuda_on_cpu

#define CUDA_ON_CPU_VECTORS(T, N, ALIGN2, ALIGN4)                                                            \
    struct alignas(ALIGN2) N##2 { T x, y; };                                                                 \
    struct alignas(ALIGN4) N##4 { T x, y, z, w; };                                                           \
    template <> struct cuda_on_cpu::Element<N##2> { typedef T type; };                                       \
    template <> struct cuda_on_cpu::Element<N##4> { typedef T type; };                                       \
    inline N##2 make_##N##2(T x, T y) { return {x, y}; }                                                     \
    inline N##4 make_##N##4(T x, T y, T z, T w) { return {x, y, z, w}; }
CUDA_ON_CPU_VECTORS(float, float, 8, 16)
CUDA_ON_CPU_VECTORS(double, double, 16, 16)
CUDA_ON_CPU_VECTORS(int, int, 8, 16)
CUDA_ON_CPU_VECTORS(unsigned, uint, 8, 16)
struct float3 { float x, y, z; };
struct int3 { int x, y, z; };
inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
inline int3 make_int3(int x, int y, int z) { return {x, y, z}; }
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }

// ---- Barriers and warp operations -----------------------------------------------------------------------
// __builtin_LINE() as a default argument is the line of the call.

inline void __syncthreads(int line = __builtin_LINE()) { cuda_on_cpu::sync_threads(line); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __syncwarp(unsigned mask = ~0u, int line = __builtin_LINE()) {
    cuda_on_cpu::warp_rendezvous(cuda_on_cpu::WarpOp::sync, mask, 0, 0, line);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    return (unsigned)cuda_on_cpu::warp_rendezvous(cuda_on_cpu::WarpOp::ballot, mask, predicate != 0, 0, line);
}
inline int __any_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    return __ballot_sync(mask, predicate, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    return __ballot_sync(mask, !predicate, line) == 0;
}

namespace cuda_on_cpu {
inline int lane() { return state.rank % 32; }
template <class T> T shuffle(unsigned mask, T value, int source, int line) {
    static_assert(sizeof(T) <= sizeof(u64), "shuffles take values of up to 8 bytes");
    u64 bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = warp_rendezvous(WarpOp::shuffle, mask, bits, source, line);
    memcpy(&value, &bits, sizeof value);
    return value;
}
}  // namespace cuda_on_cpu

// A source outside the segment of `width` lanes leaves a lane with its own value.
template <class T> T __shfl_sync(unsigned mask, T value, int source, int width = 32, int line = __builtin_LINE()) {
    int first = cuda_on_cpu::lane() & ~(width - 1);
    return cuda_on_cpu::shuffle(mask, value, first | (source & (width - 1)), line);
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, int line = __builtin_LINE()) {
    int lane = cuda_on_cpu::lane(), end = (lane & ~(width - 1)) + width, source = lane ^ bits;
    return cuda_on_cpu::shuffle(mask, value, source < end ? source : lane, line);
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, int line = __builtin_LINE()) {
    int lane = cuda_on_cpu::lane(), end = (lane & ~(width - 1)) + width, source = lane + (int)by;
    return cuda_on_cpu::shuffle(mask, value, source < end ? source : lane, line);
}
template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, int line = __builtin_LINE()) {
    int lane = cuda_on_cpu::lane(), first = lane & ~(width - 1), source = lane - (int)by;
    return cuda_on_cpu::shuffle(mask, value, source >= first ? source : lane, line);
}

// ---- Memory: there is one OS thread, so plain code is atomic ----------------------------------------------

#define CUDA_ON_CPU_ATOMIC(NAME, NEW_VALUE)                                                                  \
    template <class T> T NAME(T* place, typename cuda_on_cpu::Identity<T>::type value) {                     \
        T old = *place;                                                                                      \
        *place = NEW_VALUE;                                                                                  \
        return old;                                                                                          \
    }
CUDA_ON_CPU_ATOMIC(atomicAdd, old + value)
CUDA_ON_CPU_ATOMIC(atomicSub, old - value)
CUDA_ON_CPU_ATOMIC(atomicMax, old < value ? value : old)
CUDA_ON_CPU_ATOMIC(atomicMin, value < old ? value : old)
CUDA_ON_CPU_ATOMIC(atomicExch, value)
CUDA_ON_CPU_ATOMIC(atomicInc, old >= value ? 0 : old + 1)
CUDA_ON_CPU_ATOMIC(atomicAnd, old & value)
CUDA_ON_CPU_ATOMIC(atomicOr, old | value)
template <class T>
T atomicCAS(T* place, typename cuda_on_cpu::Identity<T>::type expected, typename cuda_on_cpu::Identity<T>::type value) {
    T old = *place;
    if (old == expected) *place = value;
    return old;
}
template <class T> T __ldg(const T* place) { return *place; }
template <class T> T __ldcg(const T* place) { return *place; }
template <class T> T __ldcs(const T* place) { return *place; }
template <class T> void __stcg(T* place, T value) { *place = value; }
template <class T> void __stcs(T* place, T value) { *place = value; }

// ---- Bits -----------------------------------------------------------------------------------------------

#define CUDA_ON_CPU_BITS(NAME, FROM, TO)                                                                     \
    inline TO NAME(FROM value) {                                                                             \
        TO bits;                                                                                             \
        memcpy(&bits, &value, sizeof bits);                                                                  \
        return bits;                                                                                         \
    }
CUDA_ON_CPU_BITS(__float_as_uint, float, unsigned)
CUDA_ON_CPU_BITS(__float_as_int, float, int)
CUDA_ON_CPU_BITS(__uint_as_float, unsigned, float)
CUDA_ON_CPU_BITS(__int_as_float, int, float)
CUDA_ON_CPU_BITS(__double_as_longlong, double, long long)
CUDA_ON_CPU_BITS(__longlong_as_double, long long, double)
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
inline int __mulhi(int a, int b) { return (int)((long long)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __clz(int bits) { return bits ? __builtin_clz(bits) : 32; }
inline int __ffs(int bits) { return __builtin_ffs(bits); }

// ---- Mathematics: math.h has the rest, overloaded for float and double as in CUDA -------------------------

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float rsqrt(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float normcdff(float x) { return 0.5f * erfcf(-x * 0.70710678f); }
inline double normcdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __saturatef(float x) { return x > 0.0f ? x < 1.0f ? x : 1.0f : 0.0f; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frsqrt_rn(float x) { return 1.0f / sqrtf(x); }

#define CUDA_ON_CPU_MIN_MAX(T)                                                                               \
    inline T min(T a, T b) { return b < a ? b : a; }                                                         \
    inline T max(T a, T b) { return a < b ? b : a; }
CUDA_ON_CPU_MIN_MAX(int)
CUDA_ON_CPU_MIN_MAX(unsigned)
CUDA_ON_CPU_MIN_MAX(long long)
CUDA_ON_CPU_MIN_MAX(unsigned long long)
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline unsigned min(int a, unsigned b) { return min((unsigned)a, b); }
inline unsigned min(unsigned a, int b) { return min(a, (unsigned)b); }
inline unsigned max(int a, unsigned b) { return max((unsigned)a, b); }
inline unsigned max(unsigned a, int b) { return max(a, (unsigned)b); }

#include "twins.h"
