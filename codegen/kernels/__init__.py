"""From statements to the work of kernels: what one launch computes, before any language prints it."""
