from collections.abc import Callable
from concurrent.futures import Executor
from types import TracebackType
from typing import TypeVar

_T = TypeVar("_T")

class Client:
    def __init__(self, address: str, *, timeout: float = ..., set_as_default: bool = ...) -> None: ...
    def run(self, function: Callable[[], _T]) -> dict[str, _T]: ...
    def get_executor(self) -> Executor: ...
    def close(self) -> None: ...

class LocalCluster:
    scheduler_address: str
    def __init__(
        self,
        n_workers: int = ...,
        threads_per_worker: int = ...,
        processes: bool = ...,
        dashboard_address: str | None = ...,
    ) -> None: ...
    def __enter__(self) -> LocalCluster: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
