"""Stubs for the slice of scipy that lowtide uses: the fit of the cost model."""

import numpy as np
import numpy.typing as npt

def nnls(A: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], float]: ...  # noqa: N803
