"""How deep the running code is inside of lastword, which runs code of the program in some places.

That code may log, or leave an object behind whose finalizer fails: a hook hears of it, captures, and the same code runs
again. What hooks hear three levels deep they do not report.
"""

from __future__ import annotations

from contextvars import ContextVar

MAX_DEPTH = 3

#: Captures and log records that this thread, task or greenlet is in the middle of.
depth: ContextVar[int] = ContextVar("lastword_depth", default=0)
