"""Log warnings with the logger ``booboo``, each cause at most once a minute.

Captures run in hooks, finalizers and logging handlers, where logging is not allowed. So warnings wait until the program
makes one of the public calls outside of a logging handler, or ends.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from types import FrameType
from typing import Any, Optional

from lastword.capture.safe_text import exact
from lastword.diagnostics import MOST_OF_NOTE
from lastword.foreign_text import one_line
from lastword.interruption import failures

#: Seconds between two warnings with the same cause.
WARN_INTERVAL = 60.0

NAME = "booboo"

#: The functions of ``logging`` that call the program's handlers and filters.
_HANDLING = ("handle", "emit", "callHandlers", "filter")


def logger() -> Any:
    import logging  # 12 ms, which programs without warnings do not pay

    return logging.getLogger(NAME)


class Warnings:
    """The waiting warnings of one client."""

    def __init__(self, every_time: bool) -> None:
        self._every_time = every_time
        self._last: dict[str, float] = {}
        self._waiting: dict[str, str] = {}
        self._details: deque[str] = deque(maxlen=100)

    def note(self, cause: str, text: str) -> None:
        """Have ``text`` logged soon: one assignment, no lock. A newer text with the same cause replaces it."""
        self._waiting[cause] = text

    def detail(self, text: str) -> None:
        """In debug mode, have ``text`` logged soon at level DEBUG."""
        if self._every_time:
            self._details.append(text)

    def tell(self) -> None:
        """Log the waiting texts, unless called from a logging handler. Raises nothing."""
        if not (self._waiting or self._details) or _in_a_logging_handler():
            return
        try:
            while self._details:
                logger().debug("booboo: %s", one_line(self._details.popleft(), MOST_OF_NOTE))
        except failures():  # raised by the program's own handler, or another thread emptied the queue
            pass
        for cause in list(self._waiting):
            text = self._waiting.pop(cause, None)
            now = time.monotonic()
            if text is None or (not self._every_time and now - self._last.get(cause, -WARN_INTERVAL) < WARN_INTERVAL):
                continue
            self._last[cause] = now
            try:
                logger().warning("booboo: %s", one_line(text, MOST_OF_NOTE))
            except failures():  # raised by the program's own handler
                return


def begin_debugging() -> None:
    """Have the logger log everything, to stderr if the program has no handler for it."""
    import logging

    own = logger()
    own.setLevel(logging.DEBUG)
    if not own.handlers and not logging.getLogger().handlers:
        own.addHandler(logging.StreamHandler())


def _in_a_logging_handler() -> bool:
    logging = sys.modules.get("logging")
    file = getattr(logging, "__file__", None)
    frame: Optional[FrameType] = sys._getframe()
    while file is not None and frame is not None:
        if exact(frame.f_code.co_filename) == file and frame.f_code.co_name in _HANDLING:
            return True
        frame = frame.f_back
    return False
