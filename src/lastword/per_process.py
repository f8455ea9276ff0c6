"""What each process has of its own: a forked child, forked by whatever means, begins anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class PerProcess(Generic[_Value]):
    """One value for each process. It takes no lock, which a fork could leave held."""

    def __init__(self, make: Callable[[], _Value]) -> None:
        self._make = make
        self._values: dict[int, _Value] = {}  # by pid

    def get(self) -> _Value:
        """This process's; made at its first call. Threads that make one at once are given the same."""
        pid = os.getpid()
        value = self._values.get(pid)
        if value is None:
            value = self._values.setdefault(pid, self._make())
            for other in [key for key in self._values if key != pid]:  # of those that this one was forked from
                self._values.pop(other, None)
        return value
