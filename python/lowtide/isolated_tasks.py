"""The tasks of `run_isolated` by name: each loads what it needs, and returns the function that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lowtide.messages import Message

Task = Callable[[Message], Message]


def _read() -> Task:
    from lowtide.reading import isolated_read

    return isolated_read


def _front_end() -> Task:
    from lowtide.front import isolated_front_end

    return isolated_front_end


def _plan() -> Task:
    from lowtide.transform.plans import isolated_plan

    return isolated_plan


TASKS: Mapping[str, Callable[[], Task]] = {"read": _read, "front end": _front_end, "plan": _plan}
