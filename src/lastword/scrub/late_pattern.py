"""Regular expressions that are compiled when they are first needed.

All those of the rules together take some ten milliseconds, which every start of a program would pay for; most events
hold nothing that would have any of them looked for.
"""

from __future__ import annotations

import re
import time
from re import Pattern
from typing import Optional

# PyPy has it too; where the system has none, other work of the machine counts.
processor_time = getattr(time, "thread_time", time.perf_counter)


class LatePattern:
    """``compiled()`` is the pattern. Two threads may compile it at once; either result will do.

    ``seconds``: of the processor's time, that went into all of them.
    """

    seconds = 0.0

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._pattern = pattern
        self._flags = flags
        self._compiled: Optional[Pattern[str]] = None

    def compiled(self) -> Pattern[str]:
        if self._compiled is None:
            began = processor_time()
            self._compiled = re.compile(self._pattern, self._flags)
            LatePattern.seconds += processor_time() - began
        return self._compiled
