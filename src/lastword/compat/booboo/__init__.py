"""In place of ``booboo``: the calls of booboo-sdk 0.16.0, and events that are not lost any more.

::

    import lastword.compat.booboo as booboo

    booboo.init("https://TOKEN@ingest.booboo.dev/ORGANISATION/PROJECT")

What differs, and why, is in docs/compat.md. The calls of ``lastword`` work beside these (``lastword.flush``,
``set_tag``, ``new_scope`` …): there is one client, one spool, one sender.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Optional

from lastword.compat.booboo._client import VERSION, BoobooClient

__version__ = VERSION

__all__ = ["BoobooClient", "capture_exception", "capture_message", "init", "set_user"]

#: What ``init`` made last; None before it. Tests set it to None, to begin anew. (It hides the submodule.)
_client: Optional[BoobooClient] = None


def init(
    dsn: Any,
    app: Any = None,
    environment: str = "",
    release: Optional[str] = None,
    ignore_errors: Optional[Iterable[Any]] = None,
    endpoint: Optional[str] = None,
    before_send: Optional[Callable[[dict[str, Any]], Optional[dict[str, Any]]]] = None,
    debug: bool = False,
) -> None:
    """Report unhandled exceptions, and those of Django, Flask, FastAPI and Channels, from now on.

    Args:
        dsn: ``https://TOKEN@HOST/ORGANISATION/PROJECT``, or a bare token. With an empty one nothing is sent: events
            stay in the spool, where ``lastword ls`` shows them.
        app: a Flask or FastAPI application. Need not be given: all of them are heard.
        environment: such as ``production``.
        release: None takes ``BOOBOO_RELEASE``.
        ignore_errors: exception classes that are not reported, subclasses included. Does not hold for messages.
        endpoint: the URL to post to, instead of that of the DSN.
        before_send: is given each event as it is to be sent, and returns what to send, or None. It runs in the process
            and the thread that captured, before the disk is touched: what it takes out is nowhere. One that raises
            costs the event.
        debug: have the logger ``booboo`` say everything, as often as it happens.

    Raises:
        lastword.errors.ConfigError: an environment variable ``LASTWORD_…`` cannot be used.
    """
    global _client
    client = BoobooClient(dsn, environment, release, ignore_errors, endpoint, before_send, debug)
    client.is_reset = _is_reset
    _client = client
    client.install(app)


def capture_exception(exc: Optional[BaseException] = None) -> None:
    """Report ``exc``, or the exception that is being handled. Does nothing before ``init``. Never raises."""
    if _client is not None:
        _client.capture_exception(exc)


def capture_message(message: str, level: str = "info") -> None:
    """Report a message; ``level`` is error, warning or info. Does nothing before ``init``. Never raises."""
    if _client is not None:
        _client.capture_message(message, level)


def set_user(user_data: Optional[dict[str, Any]]) -> None:
    """Say who is using the program: ``{"id": …, "email": …, "username": …}``; None forgets.

    Called in a request, in an event loop or in a thread of the program's own, it holds there; called in the main thread
    outside of those, it holds for the process. Does nothing before ``init``. Never raises.
    """
    if _client is not None:
        _client.set_user(user_data)


def _is_reset() -> bool:
    return _client is None
