"""The cores whose register-transfer code is simulated, by name: where it lies and what of it is read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RtlCore:
    """A core of 32 bits whose code a Python package carries.

    Attributes:
        name: of the core; `NAME.sv` in this folder connects it to the simulator.
        package: what pip calls the package.
        module: what Python calls it; its folder `system_verilog` has the code.
        includes: folders in there in which modules and included files are looked up.
        sources: files in there that are read first: packages of constants, and what is not called like its module.
        title: the core with its options, for reports.
    """

    name: str
    package: str
    module: str
    includes: tuple[str, ...]
    sources: tuple[str, ...]
    title: str


CORES: dict[str, RtlCore] = {
    core.name: core
    for core in (
        RtlCore(
            name="ibex",
            package="pythondata-cpu-ibex",
            module="pythondata_cpu_ibex",
            includes=("rtl", "vendor/lowrisc_ip/ip/prim/rtl", "vendor/lowrisc_ip/dv/sv/dv_utils"),
            sources=("rtl/ibex_pkg.sv", "vendor/lowrisc_ip/ip/prim/rtl/prim_cipher_pkg.sv"),
            title="Ibex, single-cycle multiplier, writeback stage, memory of one cycle",
        ),
        RtlCore(
            name="cv32e40p",
            package="pythondata-cpu-cv32e40p",
            module="pythondata_cpu_cv32e40p",
            includes=("rtl", "rtl/include"),
            sources=(
                "rtl/include/cv32e40p_apu_core_pkg.sv",
                "rtl/include/cv32e40p_fpu_pkg.sv",
                "rtl/include/cv32e40p_pkg.sv",
                "rtl/cv32e40p_register_file_ff.sv",
            ),
            title="CV32E40P, memory of one cycle",
        ),
    )
}
