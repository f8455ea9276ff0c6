"""How the time that a piece of work takes grows with the length of its text, whatever else the machine does."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Where the clock's steps, and what each call costs whatever its text, no longer count.
_LEAST = 0.005

#: For ten times the text: linear work takes about ten times as long, quadratic work a hundred times.
_MOST = 40

_LOOKS = 4

#: Seconds of the processor's time for one look, after which none could be better.
_HOPELESS = 5.0


def grows_with_its_length(work: Callable[[int], object], length: int) -> bool:
    """Whether ``work`` takes some ten times as long for ten times the ``length``, not a hundred times.

    One good look is enough. Others' work slows a look down, and a garbage collection of all that the tests before have
    left would count as well; but nothing makes quadratic work as fast as linear work.
    """
    work(length)  # what is made once
    with _without_collections():
        for _ in range(_LOOKS):
            short = min(_seconds(work, length) for _ in range(3))
            taken = _seconds(work, 10 * length)
            if taken < _MOST * max(short, _LEAST):
                return True
            if taken > _HOPELESS:
                break
    return False


def _seconds(work: Callable[[int], object], length: int) -> float:
    began = time.thread_time()
    work(length)
    return time.thread_time() - began


@contextmanager
def _without_collections() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
