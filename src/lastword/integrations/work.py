"""One request or websocket, with all the threads and tasks that serve it."""

from __future__ import annotations

from typing import Optional

from lastword.scope.context import NewScope, shared_in_scope


class Work:
    """State shared by all contexts of one request or websocket.

    Code that runs in a copy of the context, such as a route in a thread pool, leaves data here for the report of a
    failure.

    Attributes:
        user: the user as JSON; None if it was not set, ``{}`` if it was set to no user.
    """

    def __init__(self) -> None:
        self.user: Optional[str] = None


def current_work() -> Optional[Work]:
    work = shared_in_scope()
    return work if isinstance(work, Work) else None


class WorkScope(NewScope):
    """A new scope (``lastword.new_scope``) with a ``Work`` of its own."""

    def __init__(self) -> None:
        super().__init__(Work())
