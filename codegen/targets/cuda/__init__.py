"""The CUDA target: kernels in CUDA C, and a driver that launches them through CuPy."""
