"""Values that each process has for itself: a forked child, forked by any means, starts without them."""

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
        """Return this process's value, made at the first call. Threads that call at once get the same value."""
        pid = os.getpid()
        value = self._values.get(pid)
        if value is None:
            value = self._values.setdefault(pid, self._make())
            for other in [key for key in self._values if key != pid]:  # of the processes that this one was forked from
                self._values.pop(other, None)
        return value
