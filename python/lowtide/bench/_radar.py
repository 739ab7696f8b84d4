"""A CNN for radar gestures: the papers' one has no public file. Its weights are random, from a seed."""

from __future__ import annotations

from lowtide.bench._sample_nets import Chain
from lowtide.importer.tflite.writer import write

RANGE_BINS, DOPPLER_BINS, FRAMES = 64, 32, 4
CHANNELS = (16, 32, 32)
"""Outputs of the convolutions; each has 3×3 taps and is followed by a 2×2 pool, which halves the map."""
GESTURES = 8


def radar_gestures() -> bytes:
    """The `.tflite` file: int8, range-Doppler maps of the last frames as channels, 1×64×32×4 → 1×1×1×8."""
    net = Chain((1, RANGE_BINS, DOPPLER_BINS, FRAMES))
    for channels in CHANNELS:
        net.conv(channels, (3, 3)).pool("MAX", (2, 2), 2)
    _, rows, columns, _ = net.shape
    return write(net.pool("AVERAGE", (rows, columns), rows).conv(GESTURES, (1, 1)).model())
