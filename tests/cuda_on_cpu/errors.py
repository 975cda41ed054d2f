"""What can be wrong with a kernel or with its launch."""


class CudaOnCpuError(RuntimeError):
    """A kernel did what CUDA forbids, or a launch that the device would refuse."""


class CompileError(CudaOnCpuError):
    """The compiler refused the source; the message is its log."""
