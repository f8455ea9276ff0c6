"""One request, or one websocket, with all the threads and tasks that serve it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from typing import Any, Optional

from lastword.capture.context import new_scope


class Work:
    """What is known of it in all of its contexts: whoever runs in a copy of one, such as a route in a thread pool, can
    leave something here for those who report its failure.

    Attributes:
        user: as JSON; None where nobody has said who it is, ``{}`` where it is nobody.
    """

    def __init__(self) -> None:
        self.user: Optional[str] = None


_current: ContextVar[Optional[Work]] = ContextVar("lastword_work", default=None)


def current_work() -> Optional[Work]:
    return _current.get()


class WorkScope(AbstractContextManager[None]):
    """A new scope (``lastword.new_scope``) for a piece of work of its own. Not a generator: see there."""

    def __enter__(self) -> None:
        self._scope: Any = new_scope()
        self._scope.__enter__()
        self._token: Token[Optional[Work]] = _current.set(Work())

    def __exit__(self, *_: object) -> None:
        try:
            _current.reset(self._token)
        except ValueError:  # left in another context than it was entered in
            pass
        self._scope.__exit__(None, None, None)
