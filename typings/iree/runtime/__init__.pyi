from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

class VmInstance: ...

class VmModule:
    name: str
    @staticmethod
    def copy_buffer(instance: VmInstance, buffer: bytes) -> VmModule: ...

class DeviceArray:
    def to_host(self) -> npt.NDArray[np.generic]: ...

class Config:
    def __init__(self, driver_name: str) -> None: ...

Function = Callable[..., DeviceArray | tuple[DeviceArray, ...] | list[DeviceArray]]

class SystemContext:
    instance: VmInstance
    modules: Mapping[str, Mapping[str, Function]]
    def __init__(self, *, config: Config) -> None: ...
    def add_vm_module(self, vm_module: VmModule) -> None: ...
