"""The real models beside the repository, with what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared"


@dataclass(frozen=True)
class Known:
    """A model and the figures of ../shared/models/README.md.

    Attributes:
        file: below ../shared/models.
        live: bytes that a layer-by-layer executor with a perfect allocator needs, PADs folded.
        overlap: the bound where an operator may also overwrite what it no longer reads of a dying input.
        integer: int8 or uint8: outputs are compared bit for bit.
        large: above 50 MMACs.
        free, ram: bytes that the arena of these objectives may have at most, None where nothing was said.
    """

    file: str
    live: int
    overlap: int
    integer: bool = True
    large: bool = False
    free: int | None = None
    ram: int | None = None

    @property
    def name(self) -> str:
        """The file's stem."""
        return Path(self.file).name

    @property
    def path(self) -> Path:
        """The model."""
        return SHARED / "models" / f"{self.file}.tflite"

    @property
    def golden(self) -> Path:
        """Stored inputs and outputs."""
        return SHARED / "golden" / f"{self.name}.npz"


MODELS = (
    Known("mlperf-tiny/kws_ref_model", 16_000, 8_384, free=5_400, ram=4_500),
    Known("mlperf-tiny/vww_96_int8", 55_296, 36_864, free=28_500, ram=28_500),
    Known("mlperf-tiny/pretrainedResnet_quant", 49_152, 33_296, free=16_000, ram=12_500),
    Known("mlperf-tiny/pretrainedResnet", 196_608, 133_184, integer=False),
    Known("mlperf-tiny/vww_96_float", 221_184, 147_456, integer=False),
    Known("mlperf-tiny/ad01_int8", 768, 768),
    Known("mlperf-tiny/ad01_fp32", 3_072, 3_072, integer=False),
    Known("tflm/person_detect", 55_296, 36_864, free=15_500, ram=13_000),
    Known("tflm/micro_speech_quantized", 5_960, 4_157, free=2_400, ram=2_300),
    Known("tflm/hello_world_int8", 32, 32),
    Known("tflm/hello_world_float", 128, 128, integer=False),
    Known("fdt-paper/text_class", 17_408, 17_408, integer=False, free=2_400, ram=1_400),
    Known("fdt-paper/magic_wand", 13_824, 12_288, integer=False),
    Known("fdt-paper/cifar10", 144_000, 115_876, integer=False),
    Known("mcunet/mcunet-10fps_vww", 61_440, 49_968, free=17_500, ram=14_500),
    Known("mcunet/mcunet-5fps_vww", 96_000, 76_800, free=23_000, ram=20_500),
    Known("mcunet/mcunet-320kb-1mb_imagenet", 340_736, 196_656, large=True, free=101_500, ram=96_000),
    Known("mcunet/mbv2-w0.35-r144_imagenet", 311_040, 248_832, free=69_000, ram=65_000),
    Known("mcunet/tf2_mobilenet_v2_1.0_224_ptq", 1_505_280, 1_204_224, large=True, free=204_000, ram=175_000),
)
