// Sets up a launch: where its shared memory lies, its stacks, its signals.
#include <algorithm>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <link.h>
#include <numeric>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#include "work.h"

namespace cuda_on_cpu {

namespace {

thread_local char anchor;  // an address in the thread-local storage of this module

// ---- Shared memory: where it is -----------------------------------------------------------------------

// The thread-local storage of the module that holds `anchor`.
int find_storage(dl_phdr_info* info, size_t, void* out) {
    char* start = (char*)info->dlpi_tls_data;
    for (int i = 0; start && i < info->dlpi_phnum; ++i) {
        const auto& header = info->dlpi_phdr[i];
        if (header.p_type == PT_TLS && &anchor >= start && &anchor < start + header.p_memsz)
            *(Piece*)out = {start, header.p_memsz};
    }
    return 0;
}

// All shared memory of a block: the storage without the unused ends of the `extern __shared__` arrays.
void find_shared_memory() {
    *(volatile char*)&anchor = 1;  // the storage is made at the first access
    Piece storage{nullptr, 0};
    dl_iterate_phdr(find_storage, &storage);
    if (!storage.first) fail("the thread-local storage of the module was not found");
    work.shared_count = shared_arrays(work.shared);
    std::sort(work.shared, work.shared + work.shared_count,
              [](const SharedArray& a, const SharedArray& b) { return a.start < b.start; });
    work.shared_pieces.clear();
    char *from = storage.first, *end = storage.first + storage.second;
    for (unsigned i = 0; i < work.shared_count; ++i) {
        const SharedArray& array = work.shared[i];
        u64 used = std::min<u64>(work.launch->shared_bytes + SHARED_MARGIN, array.capacity);
        work.shared_pieces.push_back({from, size_t(array.start + used - from)});
        from = array.start + array.capacity;
    }
    work.shared_pieces.push_back({from, size_t(end - from)});
}

// Stacks lie one after the other; below the first one nothing may be touched.
void reserve_stacks(size_t count) {
    if (count <= work.stack_count) return;
    if (work.stacks) munmap(work.stacks - STACK_FENCE, STACK_FENCE + work.stack_count * STACK_BYTES);
    work.stack_count = 0;
    work.stacks = nullptr;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void* all = mmap(nullptr, STACK_FENCE + count * STACK_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (all == MAP_FAILED || mprotect(all, STACK_FENCE, PROT_NONE)) fail("no memory for %zu threads at once", count);
    work.stacks = (char*)all + STACK_FENCE;
    work.stack_count = count;
}

bool is_stack_fence(const char* address) {
    return work.stacks && address >= work.stacks - STACK_FENCE && address < work.stacks;
}

// ---- Signals: what the processor objects to ------------------------------------------------------------

constexpr int SIGNALS[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGVTALRM};
constexpr int SIGNAL_COUNT = sizeof SIGNALS / sizeof *SIGNALS;

void on_signal(int number, siginfo_t* info, void* context) {
    if (!pthread_equal(pthread_self(), work.runner)) {  // the timer's signal may come to any thread
        if (number == SIGVTALRM) pthread_kill(work.runner, number);
        return;
    }
    switch (number) {
        case SIGILL: fail("trap: array index out of bounds, overflow, bad shift or division by zero");
        case SIGFPE: fail("integer division by zero");
        case SIGVTALRM: fail("no end after %g s of processor time: an endless loop?", work.launch->seconds);
        default: break;
    }
    if (info->si_code == SI_KERNEL) fail("misaligned vector access, or a wild address");
    if (is_stack_fence((char*)info->si_addr)) fail(STACK_MESSAGE, STACK_BYTES >> 10);
    bool write = ((ucontext_t*)context)->uc_mcontext.gregs[REG_ERR] & 2;
    work.fault->address = (u64)info->si_addr;
    work.fault->access = write ? 2 : 1;
    fail("out-of-bounds %s", write ? "write" : "read");
}

// Signals are handled on a stack of their own: a thread's may be used up.
void signal_stack(bool enter) {
    static char memory[1 << 16];
    static stack_t before;
    stack_t ours{};
    ours.ss_sp = memory;
    ours.ss_size = sizeof memory;
    enter ? sigaltstack(&ours, &before) : sigaltstack(&before, nullptr);
}

void set_timer(double seconds) {
    itimerval timer{};
    timer.it_value.tv_sec = (time_t)seconds;
    timer.it_value.tv_usec = (suseconds_t)(1e6 * (seconds - (double)(time_t)seconds));
    setitimer(ITIMER_VIRTUAL, &timer, nullptr);
}

}  // namespace

void fail(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(work.fault->message, sizeof work.fault->message, format, arguments);
    va_end(arguments);
    siglongjmp(work.escape, 1);
}

// ---- A launch -------------------------------------------------------------------------------------------

static void first_order(std::vector<unsigned>& order, size_t count) {
    order.resize(count);
    std::iota(order.begin(), order.end(), 0u);
    if (work.launch->order == 1) std::reverse(order.begin(), order.end());
}

static void run_all() {
    const Launch& launch = *work.launch;
    const unsigned blocks = launch.grid[0] * launch.grid[1] * launch.grid[2];
    const unsigned threads = launch.block[0] * launch.block[1] * launch.block[2];
    find_shared_memory();
    reserve_stacks(launch.cooperative ? size_t(blocks) * threads : threads);
    first_order(work.thread_order, threads);
    first_order(work.block_order, blocks);
    launch.cooperative ? run_blocks_together() : run_blocks_one_by_one();
}

int run(const Launch& launch, void (*body)(void*), void* closure, Fault* fault) {
    work.launch = &launch;
    work.fault = fault;
    work.body = body;
    work.closure = closure;
    work.runner = pthread_self();
    work.random = launch.order;
    state = State{};
    state.block_size = dim3(launch.block[0], launch.block[1], launch.block[2]);
    state.grid_size = dim3(launch.grid[0], launch.grid[1], launch.grid[2]);

    static struct sigaction before[SIGNAL_COUNT];
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    signal_stack(true);
    for (int i = 0; i < SIGNAL_COUNT; ++i) sigaction(SIGNALS[i], &action, &before[i]);
    set_timer(launch.seconds);

    const int failed = sigsetjmp(work.escape, 1);
    if (!failed) run_all();

    set_timer(0);
    for (int i = 0; i < SIGNAL_COUNT; ++i) sigaction(SIGNALS[i], &before[i], nullptr);
    signal_stack(false);
    const uint3 where[] = {state.thread, state.block};
    memcpy(fault->thread, &where[0], sizeof fault->thread);
    memcpy(fault->block, &where[1], sizeof fault->block);
    return failed;
}

}  // namespace cuda_on_cpu
