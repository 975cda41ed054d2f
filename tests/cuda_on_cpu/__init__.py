"""CUDA C without a GPU: kernels run on the CPU, generated drivers on a stand-in for CuPy, NVRTC compiles.

    module.CpuModule            runs a kernel source over NumPy arrays; has the call shape of cupy.RawModule
    cupy_standin.standing_in    puts a `cupy` over NumPy and CpuModule where `import cupy` finds it
    nvrtc.compile_cubin         compiles for an architecture, without a driver
    nvrtc.resources             registers, spills, stack and shared memory of each kernel

What the CPU cannot show: races between blocks that no order of blocks brings out, races within a warp between
two barriers that no order of threads brings out, and time.
"""
