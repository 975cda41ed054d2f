// CPU twins of what kernels write as inline PTX: tensor cores, their roundings, a grid barrier.
//
//     #ifdef CUDA_ON_CPU
//     #define mma_tf32 cuda_on_cpu::mma_m16n8k8_tf32
//     #define grid_sync(counter) cuda_on_cpu::grid_sync()
//     #else
//     ... asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 ..."
//     #endif
//
// Fragments lie in the lanes as the PTX manual has it; with group = lane / 4 and t = lane % 4, element i of
//     c (16x8):       row group + 8 (i / 2), column 2 t + i % 2
//     a tf32 (16x8):  row group + 8 (i % 2), column t + 4 (i / 2)
//     b tf32 (8x8):   row t + 4 i, column group
//     a bf16 (16x16): row group + 8 (i % 2), columns 2 t + 8 (i / 2) and one more (the high half)
//     b bf16 (16x8):  rows 2 t + 8 i and one more (the high half), column group
#pragma once

namespace cuda_on_cpu {

inline void grid_sync(int line = __builtin_LINE()) { sync_grid(line); }

// cvt.rna.tf32.f32: 10 bits of mantissa, to nearest, ties away from zero. The result is the bits of a float.
inline unsigned to_tf32(float value) {
    unsigned bits = __float_as_uint(value);
    return value - value == 0.0f ? (bits + 0x1000u) & 0xffffe000u : bits;
}

// cvt.rn.bf16x2.f32: two floats as bfloat16, to nearest, ties to even; `low` in the low half.
inline unsigned to_bf16(float value) {
    unsigned bits = __float_as_uint(value);
    if (value != value) return 0x7fffu;
    return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}
inline unsigned to_bf16x2(float low, float high) { return to_bf16(high) << 16 | to_bf16(low); }

struct Fragments {
    const unsigned *a, *b;
};
inline const Fragments& fragments_of(unsigned lane) { return *(const Fragments*)shown_by(lane); }

// c += A B for one tile; a(fragments, row, k) and b(fragments, k, column) pick an element from a lane's registers.
template <unsigned DEPTH, class A, class B>
void multiply_tile(float* c, const unsigned* a, const unsigned* b, A a_element, B b_element, int line) {
    const Fragments mine{a, b};
    const unsigned group = lane() / 4, t = lane() % 4;
    show_to_warp(&mine, line);
    for (unsigned i = 0; i < 4; ++i) {
        const unsigned row = group + 8 * (i / 2), column = 2 * t + i % 2;
        for (unsigned k = 0; k < DEPTH; ++k) c[i] += a_element(row, k) * b_element(k, column);
    }
    __syncwarp(~0u, line);  // nobody leaves while another lane reads its registers
}

// mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32: c[4] += a[4] b[2]; the low 13 bits of a and b are ignored.
inline void mma_m16n8k8_tf32(float* c, const unsigned* a, const unsigned* b, int line = __builtin_LINE()) {
    auto value = [](unsigned bits) { return __uint_as_float(bits & 0xffffe000u); };
    multiply_tile<8>(
        c, a, b,
        [=](unsigned row, unsigned k) { return value(fragments_of(row % 8 * 4 + k % 4).a[row / 8 + k / 4 * 2]); },
        [=](unsigned k, unsigned column) { return value(fragments_of(column * 4 + k % 4).b[k / 4]); }, line);
}

// mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32: c[4] += a[4] b[2], two bfloat16 in each register.
inline void mma_m16n8k16_bf16(float* c, const unsigned* a, const unsigned* b, int line = __builtin_LINE()) {
    auto half = [](unsigned pair, unsigned which) { return __uint_as_float(which ? pair & 0xffff0000u : pair << 16); };
    multiply_tile<16>(
        c, a, b,
        [=](unsigned row, unsigned k) {
            return half(fragments_of(row % 8 * 4 + k % 8 / 2).a[row / 8 + k / 8 * 2], k % 2);
        },
        [=](unsigned k, unsigned column) { return half(fragments_of(column * 4 + k % 8 / 2).b[k / 8], k % 2); }, line);
}

}  // namespace cuda_on_cpu
