"""The user of the process, and of the current piece of work, such as a request."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any, Optional

from lastword.capture.json_copy import is_mapping, mapping_json
from lastword.integrations.reporting import current_work
from lastword.interruption import anything, failures
from lastword.scope import context


class ProcessUser:
    """The user of the process, for work without a user of its own.

    It is set in the main thread, outside of requests and event loops.
    """

    def __init__(self) -> None:
        self._json: Optional[str] = None

    def set(self, user: Any) -> None:
        """Set, or clear with None, the user of the current piece of work or, outside of one, of the process.

        Never raises; an unreadable ``user`` counts as None.
        """
        work = current_work()
        if work is None and _is_a_piece_of_work():
            context.set_user({} if user is None else user)  # {}: no user, even if the process has one
            return
        context.set_user(None)
        if work is not None:
            work.user = _as_json(user) or "{}"
        else:
            self._json = _as_json(user)

    def get(self) -> Optional[dict[str, Any]]:
        """Return a copy of the current work's user, or of the process's if the work has none."""
        work = current_work()
        known = self._json if work is None or work.user is None else work.user
        return None if known is None else json.loads(known)


def _as_json(user: Any) -> Optional[str]:
    """Return ``user`` as JSON; None for None, and for a mapping that cannot be read."""
    if user is None:
        return None
    try:
        return mapping_json(user if is_mapping(type(user)) else {"id": user}, context.MAX_USER)
    except anything():
        return None


def _is_a_piece_of_work() -> bool:
    """Return whether this code runs in a new scope, in another thread than the main one, or in an event loop."""
    if context.in_new_scope() or threading.current_thread() is not threading.main_thread():
        return True
    events = sys.modules.get("asyncio.events")
    try:
        return events is not None and events._get_running_loop() is not None
    except failures():
        return False
