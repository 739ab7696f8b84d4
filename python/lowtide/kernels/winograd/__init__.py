"""`lowtide.kernels.winograd`: convolutions of 3×3 with 16 products for four outputs where 36 are counted."""
