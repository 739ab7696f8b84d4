"""What the TOSA converter does not know of an operator, noted for `importer/mend.py`, which has the TOSA to mend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lowtide.dtypes import DType


@dataclass(frozen=True)
class Conversion:
    """A QUANTIZE of floats or a CAST, for which the converter was given a stand-in: a product with `factor`, then cast.

    Attributes:
        source, target: element types.
        factor: a float that nothing else in the model is multiplied by, so that the converter takes no two stand-ins
            for the same.
        scale, zero_point: of the target, for QUANTIZE; a CAST has none.
    """

    source: DType
    target: DType
    factor: float
    scale: float | None = None
    zero_point: int = 0


@dataclass(frozen=True)
class Notes:
    """Notes on a model.

    Attributes:
        conversions: by the name of the product in their stand-in.
        unsigned_pools: names of what average pools make of uint8.
        tables: by the name of what is looked up in it, LiteRT's table for each int8, from -128 on.
        dense_rounded_once: names of what dense layers make as LiteRT does and not LiteRT Micro: of uint8, and all in a
            network that Micro does not take.
    """

    conversions: Mapping[str, Conversion]
    unsigned_pools: frozenset[str]
    tables: Mapping[str, npt.NDArray[np.int8]]
    dense_rounded_once: frozenset[str]
