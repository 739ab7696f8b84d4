"""Kernels in register blocks: several pixels and channels of a convolution at a time."""
