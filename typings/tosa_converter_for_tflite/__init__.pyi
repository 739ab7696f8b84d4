"""Stubs for the slice of tosa_converter_for_tflite that lowtide uses."""

from typing import BinaryIO

class TosaConverterOutputFormat:
    Bytecode: TosaConverterOutputFormat
    Text: TosaConverterOutputFormat

class TosaConverterDebugInfo:
    Disabled: TosaConverterDebugInfo
    Enable: TosaConverterDebugInfo

def tflite_flatbuffer_to_tosa_mlir(
    tflite_input_file: str,
    tosa_sink: str | BinaryIO,
    output_format: TosaConverterOutputFormat = ...,
    debug_info: TosaConverterDebugInfo = ...,
) -> None: ...
