"""What the logger ``booboo`` says, each cause at most once a minute.

Captures run in hooks, finalizers and logging handlers, where nobody may log. So what there is to say waits until the
program makes one of the public calls, from elsewhere than a logging handler, or ends.
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

#: Seconds between two warnings of one cause.
WARN_INTERVAL = 60.0

NAME = "booboo"


def logger() -> Any:
    import logging  # 12 ms; programs that have nothing to hear do not pay for it

    return logging.getLogger(NAME)


class Warnings:
    """Those of one client."""

    def __init__(self, every_time: bool) -> None:
        self._every_time = every_time
        self._last: dict[str, float] = {}
        self._waiting: dict[str, str] = {}
        self._details: deque[str] = deque(maxlen=100)

    def note(self, cause: str, text: str) -> None:
        """Have ``text`` said soon: one assignment, no lock. Of one cause, the newest is said."""
        self._waiting[cause] = text

    def detail(self, text: str) -> None:
        """Have ``text`` said soon at the level DEBUG, where everything is said."""
        if self._every_time:
            self._details.append(text)

    def tell(self) -> None:
        """Say what waits, unless this is called from a logging handler. Raises nothing."""
        if not (self._waiting or self._details) or _in_a_logging_handler():
            return
        self._tell_details()
        for cause in list(self._waiting):
            text = self._waiting.pop(cause, None)
            now = time.monotonic()
            if text is None or (not self._every_time and now - self._last.get(cause, -WARN_INTERVAL) < WARN_INTERVAL):
                continue
            self._last[cause] = now
            try:
                logger().warning("booboo: %s", one_line(text, MOST_OF_NOTE))
            except failures():  # a handler of the program's own
                return

    def _tell_details(self) -> None:
        try:
            while self._details:
                logger().debug("booboo: %s", one_line(self._details.popleft(), MOST_OF_NOTE))
        except failures():  # a handler of the program's own, or another thread was faster
            return


def begin_debugging() -> None:
    """Let the logger say everything, on stderr where the program has no place for it."""
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
        if exact(frame.f_code.co_filename) == file and frame.f_code.co_name in (
            "handle",
            "emit",
            "callHandlers",
            "filter",
        ):
            return True
        frame = frame.f_back
    return False
