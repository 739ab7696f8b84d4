from collections.abc import Iterator

CS_ARCH_ARM: int
CS_ARCH_ARM64: int
CS_ARCH_RISCV: int
CS_ARCH_X86: int
CS_MODE_64: int
CS_MODE_LITTLE_ENDIAN: int
CS_MODE_MCLASS: int
CS_MODE_RISCV32: int
CS_MODE_RISCVC: int
CS_MODE_THUMB: int
CS_OP_IMM: int
CS_OP_MEM: int
CS_OP_REG: int

class CsMemory:
    base: int
    index: int
    disp: int

class CsOperand:
    type: int
    reg: int
    imm: int
    mem: CsMemory

class CsInsn:
    address: int
    writeback: bool
    mnemonic: str
    op_str: str
    operands: list[CsOperand]
    size: int
    def regs_access(self) -> tuple[list[int], list[int]]: ...
    def reg_name(self, reg_id: int) -> str | None: ...

class Cs:
    detail: bool
    def __init__(self, arch: int, mode: int) -> None: ...
    def disasm(self, code: bytes, offset: int, count: int = 0) -> Iterator[CsInsn]: ...
    def disasm_lite(self, code: bytes, offset: int, count: int = 0) -> Iterator[tuple[int, int, str, str]]: ...
