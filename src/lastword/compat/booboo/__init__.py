"""Drop-in for ``booboo``: the calls of booboo-sdk 0.16.0, with events that are not lost.

::

    import lastword.compat.booboo as booboo

    booboo.init("https://TOKEN@ingest.booboo.dev/ORGANISATION/PROJECT")

docs/compat.md lists the differences and their reasons. The calls of ``lastword`` work, too (``lastword.flush``,
``set_tag``, ``new_scope`` …): there is one client, one spool, one sender.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Optional

from lastword.compat.booboo._client import VERSION, BoobooClient

__version__ = VERSION

__all__ = ["BoobooClient", "capture_exception", "capture_message", "init", "set_user"]

#: The client that ``init`` made last; None before. Tests set it to None to start afresh. (It hides the submodule.)
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
    """Report uncaught exceptions, and those of Django, Flask, FastAPI and Channels, from now on.

    Args:
        dsn: ``https://TOKEN@HOST/ORGANISATION/PROJECT``, or a bare token. With an empty one nothing is sent: events
            stay in the spool, and ``lastword ls`` lists them.
        app: a Flask or FastAPI application; not needed, because all of them are covered.
        environment: for instance ``production``.
        release: None means the value of ``BOOBOO_RELEASE``.
        ignore_errors: exception classes that are not reported, nor are their subclasses. Messages are not affected.
        endpoint: the URL to post to, instead of the DSN's.
        before_send: called with each event as it would be sent; returns the event to send, or None to drop it. It runs
            in the capturing process and thread, before the event is written to disk: data that it removes is stored
            nowhere. If it raises, the event is dropped.
        debug: have the logger ``booboo`` log everything, without limiting repeats.

    Raises:
        lastword.errors.ConfigError: an environment variable ``LASTWORD_…`` cannot be used.
    """
    global _client
    client = BoobooClient(dsn, environment, release, ignore_errors, endpoint, before_send, debug)
    client.is_reset = lambda: _client is None
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
    """Set the user of the program: ``{"id": …, "email": …, "username": …}``; None clears it.

    Called in a request, in an event loop or in a thread that the program started, it applies only there; called in the
    main thread outside of these, it applies to the process. Does nothing before ``init``. Never raises.
    """
    if _client is not None:
        _client.set_user(user_data)
