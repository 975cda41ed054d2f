// Runs the threads of a launch one at a time, deterministically, and finds what a GPU would hide.
//
// The threads of a block are fibers on one OS thread: a thread runs until it meets a barrier or a warp
// operation, then the next one runs. Blocks follow one another; the blocks of a cooperative launch take
// turns between grid barriers. Shared memory is filled with 0xff (a NaN in float and double) before each
// block, and kept aside while the blocks of a cooperative launch wait for each other.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "work.h"

#if !defined(__x86_64__) || !defined(__linux__)
#error "fibers are switched by x86-64 Linux code"
#endif

namespace cuda_on_cpu {

State state;
Work work;

namespace {

Fiber& current() { return work.block->fibers[state.rank]; }

// ---- Switching between stacks: the registers that a call must keep, nothing else ----------------------

extern "C" void cuda_on_cpu_switch(void** save, void* to);
asm(R"(.text
cuda_on_cpu_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");

void to_scheduler() { cuda_on_cpu_switch(&current().stack_pointer, work.scheduler_stack); }

void wait(Status status, int line) {
    current().status = status;
    current().line = line;
    to_scheduler();
}

void fiber_main() {
    work.body(work.closure);
    Fiber& me = current();
    Block& block = *work.block;
    if (memcmp(me.stack, &CANARY, sizeof CANARY)) fail(STACK_MESSAGE, STACK_BYTES >> 10);
    me.status = Status::done;
    --block.alive;
    block.warps[state.rank / WARP_SIZE].alive &= ~(1u << state.rank % WARP_SIZE);
    to_scheduler();
}

void prepare_stack(Fiber& fiber, unsigned rank) {
    memcpy(fiber.stack, &CANARY, sizeof CANARY);
    // Stacks one power of two apart would share a few cache sets: their tops are staggered.
    void** top = (void**)(fiber.stack + STACK_BYTES - (rank * 576 & 0x3fff));
    *--top = nullptr;  // the return address of fiber_main, which does not return
    *--top = (void*)fiber_main;
    for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
    fiber.stack_pointer = top;
}

// ---- Messages -----------------------------------------------------------------------------------------

void describe(const Fiber& fiber, char* out, size_t size) {
    if (fiber.status == Status::done) snprintf(out, size, "has exited");
    else snprintf(out, size, "waits at %s in line %d",
                  fiber.status == Status::at_barrier ? "__syncthreads()"
                  : fiber.status == Status::at_warp  ? "a warp operation"
                                                     : "the grid barrier", fiber.line);
}

// The thread that `fiber` waits for in vain: a lane of its mask, or one that waits elsewhere.
const Fiber* missing_partner(const Fiber& fiber, unsigned rank) {
    const Block& block = *work.block;
    if (fiber.status == Status::at_warp) {
        unsigned absent = fiber.mask & ~block.warps[rank / WARP_SIZE].arrived;
        return &block.fibers[rank / WARP_SIZE * WARP_SIZE + __builtin_ctz(absent)];
    }
    for (const Fiber& other : block.fibers)
        if (other.status != Status::done && other.status != fiber.status) return &other;
    return nullptr;
}

[[noreturn]] void report_deadlock() {
    Block& block = *work.block;
    for (unsigned rank = 0; rank < block.fibers.size(); ++rank) {
        const Fiber& fiber = block.fibers[rank];
        if (fiber.status == Status::done) continue;
        const Fiber* other = missing_partner(fiber, rank);
        if (!other) continue;
        char mine[80], theirs[80];
        describe(fiber, mine, sizeof mine);
        describe(*other, theirs, sizeof theirs);
        state.thread = fiber.thread;
        fail("deadlock: this thread %s for thread (%u,%u,%u), which %s", mine, other->thread.x, other->thread.y,
             other->thread.z, theirs);
    }
    fail("deadlock");
}

// ---- Running a block ----------------------------------------------------------------------------------

void shuffle(std::vector<unsigned>& order) {
    for (unsigned left = order.size(); left > 1; --left) {
        work.random = work.random * 1664525u + 1013904223u;
        std::swap(order[left - 1], order[(work.random >> 8) % left]);
    }
}

void start_block(Block& block, unsigned number, char* stacks) {
    const dim3 size = state.block_size, grid = state.grid_size;
    const unsigned threads = size.x * size.y * size.z;
    block.index = {number % grid.x, number / grid.x % grid.y, number / (grid.x * grid.y)};
    block.fibers.assign(threads, Fiber{});
    for (unsigned rank = 0; rank < threads; ++rank) {
        block.fibers[rank].thread = {rank % size.x, rank / size.x % size.y, rank / (size.x * size.y)};
        block.fibers[rank].stack = stacks + rank * STACK_BYTES;
    }
    block.warps.clear();
    for (unsigned first = 0; first < threads; first += WARP_SIZE) {
        unsigned lanes = std::min(threads - first, WARP_SIZE);
        block.warps.push_back({0, lanes == WARP_SIZE ? ~0u : (1u << lanes) - 1});
    }
    block.alive = threads;
    block.at_barrier = block.at_grid = 0;
    for (auto [start, size] : work.shared_pieces) memset(start, POISON, size);
}

// Lets every thread that can run do so once; false when none could.
bool one_round(Block& block) {
    bool moved = false;
    if (work.launch->order >= 2) shuffle(work.thread_order);
    for (unsigned rank : work.thread_order) {
        Fiber& fiber = block.fibers[rank];
        if (fiber.status != Status::ready) continue;
        if (!fiber.stack_pointer) prepare_stack(fiber, rank);
        moved = true;
        state.rank = rank;
        state.thread = fiber.thread;
        cuda_on_cpu_switch(&work.scheduler_stack, fiber.stack_pointer);
    }
    return moved;
}

void release(Block& block, Status status) {
    for (Fiber& fiber : block.fibers)
        if (fiber.status == status) fiber.status = Status::ready;
}

void check_shared_margin() {
    for (unsigned i = 0; i < work.shared_count; ++i) {
        const SharedArray& array = work.shared[i];
        u64 end = std::min<u64>(work.launch->shared_bytes + SHARED_MARGIN, array.capacity);
        for (u64 k = work.launch->shared_bytes; k < end; ++k)
            if (array.start[k] != POISON)
                fail("dynamic shared memory is overrun: byte %llu was written, the launch has %llu",
                     k, work.launch->shared_bytes);
    }
}

// Runs the block until each of its threads is done or waits at the grid barrier.
void run_block(Block& block) {
    work.block = &block;
    state.block = block.index;
    while (block.alive && block.at_grid < block.alive) {
        bool moved = one_round(block);
        if (block.alive && block.at_barrier == block.alive) {
            release(block, Status::at_barrier);
            block.at_barrier = 0;
        } else if (!moved && block.alive) {
            report_deadlock();
        }
    }
    check_shared_margin();
}

void keep_shared(Block& block) {
    block.shared.clear();
    for (auto [start, size] : work.shared_pieces) block.shared.insert(block.shared.end(), start, start + size);
}

void restore_shared(const Block& block) {
    const char* from = block.shared.data();
    for (auto [start, size] : work.shared_pieces) {
        memcpy(start, from, size);
        from += size;
    }
}

}  // namespace

void run_blocks_one_by_one() {
    if (work.launch->order >= 2) shuffle(work.block_order);
    work.blocks.resize(1);
    for (unsigned number : work.block_order) {
        start_block(work.blocks[0], number, work.stacks);
        run_block(work.blocks[0]);
    }
}

void run_blocks_together() {
    const unsigned count = work.block_order.size(), threads = work.thread_order.size();
    work.blocks.resize(count);
    unsigned running = count;
    for (bool first = true; running; first = false) {
        unsigned exited = 0;
        if (work.launch->order >= 2) shuffle(work.block_order);
        for (unsigned number : work.block_order) {
            Block& block = work.blocks[number];
            if (first) {
                start_block(block, number, work.stacks + size_t(number) * threads * STACK_BYTES);
            } else {
                restore_shared(block);
                release(block, Status::at_grid);
                block.at_grid = 0;
            }
            run_block(block);
            if (block.alive) keep_shared(block);
            else ++exited;
        }
        if (exited && exited < count) fail("some blocks wait at a grid barrier, others have exited");
        if (exited) running = 0;
    }
}

// ---- What kernels call ----------------------------------------------------------------------------------

void sync_threads(int line) {
    Block& block = *work.block;
    if (block.at_barrier++ == 0) block.first_at_barrier = state.rank;
    const Fiber& first = block.fibers[block.first_at_barrier];
    if (block.at_barrier > 1 && first.line != line)
        fail("divergent barrier: this thread waits at __syncthreads() in line %d, thread (%u,%u,%u) of its block at "
             "the one in line %d", line, first.thread.x, first.thread.y, first.thread.z, first.line);
    wait(Status::at_barrier, line);
}

void sync_grid(int line) {
    if (!work.launch->cooperative) fail("grid barrier in line %d: the launch is not cooperative", line);
    ++work.block->at_grid;
    wait(Status::at_grid, line);
}

// The last lane of a mask has come: finds every lane's result and lets them go on.
static void complete_warp(Warp& warp, unsigned first, unsigned mask, WarpOp op, int line) {
    Fiber* lanes = &work.block->fibers[first];
    u64 ballot = 0;
    for (unsigned rest = mask; rest; rest &= rest - 1) {
        unsigned lane = __builtin_ctz(rest);
        if (lanes[lane].op != op || lanes[lane].mask != mask)
            fail("warp operation in line %d: lane %u has come to another one, or with mask 0x%08x instead of 0x%08x",
                 line, lane, lanes[lane].mask, mask);
        ballot |= u64(lanes[lane].value != 0) << lane;
    }
    for (unsigned rest = mask; rest; rest &= rest - 1) {
        Fiber& fiber = lanes[__builtin_ctz(rest)];
        bool shown = mask >> fiber.source & 1;  // what a lane outside the mask holds is undefined: poison
        fiber.result = op == WarpOp::ballot ? ballot : shown ? lanes[fiber.source].value : ~0ull;
        fiber.status = Status::ready;
    }
    warp.arrived &= ~mask;
}

u64 warp_rendezvous(WarpOp op, unsigned mask, u64 value, unsigned source, int line) {
    const unsigned lane = state.rank % WARP_SIZE, first = state.rank - lane;
    Warp& warp = work.block->warps[first / WARP_SIZE];
    Fiber& me = current();
    if (!(mask >> lane & 1))
        fail("warp operation in line %d: the calling lane %u is not in its mask 0x%08x", line, lane, mask);
    if (unsigned gone = mask & ~warp.alive)
        fail("warp operation in line %d: the mask 0x%08x names lane %d, which has exited or does not exist",
             line, mask, __builtin_ctz(gone));
    me.op = op;
    me.mask = mask;
    me.value = value;
    me.source = source;
    warp.arrived |= 1u << lane;
    if ((warp.arrived & mask) == mask) complete_warp(warp, first, mask, op, line);
    else wait(Status::at_warp, line);
    return me.result;
}

void show_to_warp(const void* mine, int line) {
    current().shown = mine;
    warp_rendezvous(WarpOp::sync, ~0u, 0, state.rank % WARP_SIZE, line);
}

const void* shown_by(unsigned lane) {
    return work.block->fibers[state.rank / WARP_SIZE * WARP_SIZE + lane].shown;
}

}  // namespace cuda_on_cpu
