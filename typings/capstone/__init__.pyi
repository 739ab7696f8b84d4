from collections.abc import Iterator

CS_ARCH_ARM: int
CS_ARCH_RISCV: int
CS_MODE_THUMB: int
CS_MODE_MCLASS: int
CS_MODE_RISCV32: int
CS_MODE_RISCVC: int

class Cs:
    def __init__(self, arch: int, mode: int) -> None: ...
    def disasm_lite(self, code: bytes, offset: int, count: int = 0) -> Iterator[tuple[int, int, str, str]]: ...
