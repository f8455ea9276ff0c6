"""Who is using the program: for the process, and for the work at hand."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Optional

from lastword.capture import context
from lastword.capture.json_copy import mapping_json


class ProcessUser:
    """The user of work that has none of its own: it was set in the main thread, outside of requests and event loops."""

    def __init__(self) -> None:
        self._json: Optional[str] = None

    def set(self, user: Any) -> None:
        """Set, or forget (None), the user of what is going on: of the process, where that is no single piece of work.

        Never raises; what cannot be read counts as None.
        """
        here = {} if user is None else user  # {}: nobody, whoever the process has
        if _is_a_piece_of_work():
            context.set_user(here)
            return
        context.set_user(None)
        self._json = None
        with suppress(Exception):  # a mapping of the program's own making
            if user is not None:
                self._json = mapping_json(user if isinstance(user, Mapping) else {"id": user}, context.MAX_USER)

    def get(self) -> Optional[dict[str, Any]]:
        """A copy."""
        return None if self._json is None else json.loads(self._json)


def _is_a_piece_of_work() -> bool:
    """Whether this is one of several things that the process may be doing, rather than the program's main course."""
    if context.in_new_scope() or threading.current_thread() is not threading.main_thread():
        return True
    events = sys.modules.get("asyncio.events")
    try:
        return events is not None and events._get_running_loop() is not None
    except Exception:
        return False
