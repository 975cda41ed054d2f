// What the kernels and the scheduler (scheduler.cpp) share, and what module.py fills in for a launch.
#pragma once

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

namespace cuda_on_cpu {

typedef unsigned long long u64;

// What threadIdx, blockIdx, blockDim and gridDim read; `rank` numbers the running thread within its block.
struct State {
    uint3 thread, block;
    dim3 block_size, grid_size;
    unsigned rank;
};
extern State state;

// ---- Rendezvous points; `line` is the line of the kernel source, for messages -----------------------

enum class WarpOp { shuffle, ballot, sync };

void sync_threads(int line);
void sync_grid(int line);
// The value of lane `source` (shuffle), a bit for each lane with a non-zero value (ballot), or nothing.
u64 warp_rendezvous(WarpOp op, unsigned mask, u64 value, unsigned source, int line);
[[noreturn]] void fail(const char* format, ...);

// For operations in which a lane reads what 31 others hold: all show theirs, read, then leave together.
void show_to_warp(const void* mine, int line);
const void* shown_by(unsigned lane);

// ---- Launches; module.py has the same two structures --------------------------------------------------

struct Launch {
    unsigned grid[3], block[3];
    u64 shared_bytes;
    int order;        // 0 ascending, 1 descending, from 2 on shuffled with this seed: threads and blocks
    int cooperative;  // all blocks live at once, and may meet at sync_grid
    double seconds;   // of processor time, after which a kernel counts as endless
};
struct Fault {
    char message[512];
    unsigned thread[3], block[3];
    int access;       // 0 no memory fault, 1 read, 2 write
    u64 address;
};

// One `extern __shared__` array; the generated end of the source defines shared_arrays().
struct SharedArray {
    char* start;
    u64 capacity;
};
constexpr unsigned MAX_SHARED_ARRAYS = 8;
unsigned shared_arrays(SharedArray* out);

// Runs body(closure) once for each thread of the launch. Returns 0, or 1 with `fault` filled in.
int run(const Launch& launch, void (*body)(void*), void* closure, Fault* fault);

}  // namespace cuda_on_cpu
