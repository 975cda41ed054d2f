// What scheduler.cpp and launch.cpp share: the state of a launch.
#pragma once
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <pthread.h>
#include <utility>
#include <vector>

#include "scheduler.h"

namespace cuda_on_cpu {

constexpr size_t STACK_BYTES = 64 << 10;
constexpr size_t STACK_FENCE = 4 << 20;  // below all stacks; nobody may touch it
constexpr char STACK_MESSAGE[] = "a thread needs more than %zu KiB of stack";
constexpr unsigned WARP_SIZE = 32;
constexpr size_t SHARED_MARGIN = 1024;  // bytes past the end of dynamic shared memory that are watched
constexpr char POISON = '\xff';
constexpr u64 CANARY = 0x57ac'0f1b'e12e'57acull;

enum class Status : uint8_t { ready, at_barrier, at_warp, at_grid, done };

struct Fiber {
    void* stack_pointer;  // null before the first run
    char* stack;
    uint3 thread;
    Status status;
    int line;             // where it waits
    WarpOp op;
    unsigned mask, source;
    u64 value, result;
    const void* shown;
};

struct Warp {
    unsigned arrived, alive;  // a bit for each lane
};

struct Block {
    uint3 index;
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    unsigned alive, at_barrier, at_grid, first_at_barrier;
    std::vector<char> shared;  // what its shared memory held when it stopped at a grid barrier
};

typedef std::pair<char*, size_t> Piece;

// All that a launch needs. Static, so that an error can jump out of any stack without leaking.
struct Work {
    const Launch* launch;
    Fault* fault;
    void (*body)(void*);
    void* closure;
    pthread_t runner;
    sigjmp_buf escape;
    void* scheduler_stack;
    Block* block;
    std::vector<Block> blocks;
    std::vector<unsigned> thread_order, block_order;
    uint32_t random;
    SharedArray shared[MAX_SHARED_ARRAYS];
    unsigned shared_count;
    std::vector<Piece> shared_pieces;
    char* stacks;
    size_t stack_count;
};
extern Work work;

void run_blocks_one_by_one();
void run_blocks_together();

}  // namespace cuda_on_cpu
