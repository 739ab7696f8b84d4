import ctypes
from collections.abc import Callable

UC_ARCH_ARM: int
UC_ARCH_RISCV: int
UC_MODE_THUMB: int
UC_MODE_RISCV32: int
UC_PROT_READ: int
UC_PROT_WRITE: int
UC_PROT_EXEC: int
UC_ERR_OK: int
UC_HOOK_CODE: int
UC_HOOK_BLOCK: int
UC_HOOK_MEM_READ: int
UC_HOOK_MEM_WRITE: int
UC_HOOK_MEM_INVALID: int
UC_MEM_WRITE: int
UC_MEM_WRITE_UNMAPPED: int
UC_MEM_WRITE_PROT: int
UC_MEM_FETCH: int
UC_MEM_FETCH_UNMAPPED: int
UC_MEM_FETCH_PROT: int

class UcError(Exception):
    errno: int

class Uc:
    _uch: ctypes.c_void_p
    def __init__(self, arch: int, mode: int, cpu: int | None = None) -> None: ...
    def emu_start(self, begin: int, until: int, timeout: int = 0, count: int = 0) -> None: ...
    def emu_stop(self) -> None: ...
    def reg_read(self, reg_id: int) -> int: ...
    def reg_write(self, reg_id: int, value: int) -> None: ...
    def mem_unmap(self, address: int, size: int) -> None: ...
    def mem_map(self, address: int, size: int, perms: int = 7) -> None: ...
    def mem_map_ptr(self, address: int, size: int, perms: int, ptr: int) -> None: ...
    def mem_write(self, address: int, data: bytes) -> None: ...
    def hook_add(
        self,
        htype: int,
        callback: Callable[..., object],
        user_data: object = None,
        begin: int = 1,
        end: int = 0,
    ) -> int: ...
