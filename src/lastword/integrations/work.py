"""One request, or one websocket, with all the threads and tasks that serve it."""

from __future__ import annotations

from typing import Optional

from lastword.scope.context import NewScope, shared_in_scope


class Work:
    """What is known of it in all of its contexts: whoever runs in a copy of one, such as a route in a thread pool, can
    leave something here for those who report its failure.

    Attributes:
        user: as JSON; None where nobody has said who it is, ``{}`` where it is nobody.
    """

    def __init__(self) -> None:
        self.user: Optional[str] = None


def current_work() -> Optional[Work]:
    work = shared_in_scope()
    return work if isinstance(work, Work) else None


class WorkScope(NewScope):
    """A new scope (``lastword.new_scope``) for a piece of work of its own."""

    def __init__(self) -> None:
        super().__init__(Work())
