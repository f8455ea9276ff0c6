"""The public calls, and the only process-wide state: what ``init`` set up."""

from __future__ import annotations

import atexit
import sys
import threading
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from lastword import diagnostics
from lastword.capture.reported import event_of
from lastword.capture.safe_text import class_path, describe
from lastword.event import LevelLike
from lastword.hooks import spawned_children
from lastword.hooks.catch import Catch
from lastword.interruption import anything, failures
from lastword.scope import context

if TYPE_CHECKING:
    from lastword.client import Client

#: What ``sys.exc_info()`` returns.
ExcInfo = Union[
    tuple[type[BaseException], BaseException, Optional[TracebackType]],
    tuple[None, None, None],
]

_CALLED = "capture_exception"
_CARRIED = "init"

_client: Optional[Client] = None
_closed: Optional[Client] = None  # whose writer goes on if there is another init
_atexit_registered = False


def init(dsn: Optional[str] = None, **options: Any) -> None:
    """Set lastword up; the last call counts.

    Makes no file, thread, process or connection; only where the spool already holds something may it start a flusher.
    From here on exceptions that nobody catches are reported, in the main thread and in others, in asyncio and in
    finalizers, and what is logged as an error (``log_events``). Children are set up likewise, forked ones and those
    that multiprocessing starts anew; the latter only where every option can be pickled (a lambda cannot).

    Args:
        dsn: where events go (see ``dsn.Dsn``); without one, and without ``LASTWORD_DSN``, they stay in the spool.
        options: the fields of ``config.Config``; each that a text can say can be set by ``LASTWORD_<OPTION>`` instead.

    Raises:
        ConfigError: an option is unknown, or a value cannot be used; what was set up before stays.
    """
    # Most of us is loaded now: a program that is not set up has no use for it. From here on nothing more is.
    from lastword.client import Client
    from lastword.config import Config

    start(Client(Config.load({"dsn": dsn, **options})))
    spawned_children.carry(_CARRIED, init_in_child, {"dsn": dsn, **options})


def start(client: Client) -> None:
    """Go on with ``client``, and no other: what ``init`` does, for a client that somebody else has made."""
    from lastword import listener

    global _client
    previous = _client or _closed
    if previous is not None and previous is not client:
        client.take_over(previous)
    _client = client
    diagnostics.tell_every(0.0 if client.config.debug else diagnostics.TELL_INTERVAL)
    listener.install(client)
    _register_at_exit(listener.look_back)
    if client.pending.choice.remark:
        diagnostics.note("mode", client.pending.choice.remark)
    client.look_after_earlier_events()
    diagnostics.tell()


def current_client() -> Optional[Client]:
    """What ``init`` has set up last; None before that, and after ``close``."""
    return _client


def init_in_child(options: dict[str, Any]) -> None:
    """What ``init`` was in the parent, in a child that multiprocessing has started anew; not if it did so itself."""
    if _client is None:
        init(**options)


def capture_exception(error: Union[BaseException, type[BaseException], ExcInfo, str, None] = None) -> Optional[str]:
    """Report an exception: ``error``, or the one that is being handled.

    ``error`` may be what ``sys.exc_info()`` returns: the event then shows that traceback. An exception that was never
    raised is shown with the stack of this call; of a class, an instance is made for it. A text is reported as a message
    of level ``error``, or that of ``set_level``; anything else is refused, counted, and said. An exception that
    ``catch`` or a hook has reported already, such as that of ``logging``, is not reported again: its event's id is
    returned.

    Returns the event id (32 hex digits) once the event is safe on disk; None before ``init``, without an exception, and
    when the event was refused, which is counted (``lastword status``). Never raises.
    """
    client = _client
    if client is None:
        return None
    try:
        client.begin()
        traceback: Any = None
        if error is None:
            error = sys.exc_info()[1]
        elif type(error) is tuple and len(error) == 3:
            _, error, traceback = error
        if error is None:
            return None
        # Not isinstance, which asks the object.
        if not issubclass(type(error), BaseException):
            if issubclass(type(error), str):
                return _capture_message(client, error, context.level_or("error"), _CALLED)
            error = _instance_of(client, error)
            if error is None:
                return None
        if type(traceback) is not TracebackType:
            traceback = None
        known = event_of(error, _CALLED)  # type: ignore[arg-type]
        if known is not None and known[0] != _CALLED:
            return known[1]
        return client.capture_error(error, traceback, _CALLED, handled=True)  # type: ignore[arg-type]
    except RecursionError:
        client.uncounted += 1
        return None
    except failures() as trouble:
        client.recorder.refuse_for_defect(trouble)
        return None
    except BaseException as interruption:
        client.count_interruption(interruption)
        raise


def _instance_of(client: Client, given: Any) -> Optional[BaseException]:
    """One of the exception class ``given``; None, counted and said, where it is none or cannot be made like that."""
    # Not ``in``, which may ask the metaclass.
    ancestors = type.__dict__["__mro__"].__get__(given) if issubclass(type(given), type) else ()
    if not any(ancestor is BaseException for ancestor in ancestors):
        client.recorder.refuse(
            "no exception", f"capture_exception was given a {class_path(type(given))}, which is no exception"
        )
        return None
    made: Any = None
    try:
        made = given()
    except anything() as trouble:
        said = f"no instance of it could be made: {describe(trouble)}"
    else:
        said = "which makes something else"
    if issubclass(type(made), BaseException):
        return made  # type: ignore[no-any-return]
    client.recorder.refuse("no exception", f"capture_exception was given the class {class_path(given)}, and {said}")
    return None


def capture_message(message: str, level: Optional[LevelLike] = None) -> Optional[str]:
    """Report a message.

    ``level`` is one of fatal, error, warning, info, debug, in any case, or a number of logging; any other counts as
    info, and is said. Without one, it is that of ``set_level``, or info. Returns as ``capture_exception`` does. Never
    raises.
    """
    client = _client
    return None if client is None else _capture_message(client, message, level, "capture_message")


def _capture_message(client: Client, message: Any, level: Optional[LevelLike], mechanism: str) -> Optional[str]:
    try:
        client.begin()
        return client.capture_text(message, level, mechanism)
    except RecursionError:
        client.uncounted += 1
        return None
    except failures() as trouble:
        client.recorder.refuse_for_defect(trouble)
        return None
    except BaseException as interruption:
        client.count_interruption(interruption)
        raise


def catch() -> Catch:
    """Report each exception that leaves a block or a function, and raise it on::

        with lastword.catch():
            work()

        @lastword.catch()
        async def work(): ...

    Functions, ``async`` functions, generators of both kinds and whatever can be called can be decorated, and so can
    classmethods, staticmethods and properties. SystemExit, KeyboardInterrupt and what else is no ``Exception`` passes
    unreported. An exception that passes through several, or is not caught afterwards, is reported once. Before ``init``
    it only lets pass. Never raises anything of its own, but TypeError at once for what cannot be decorated.
    """
    return _catch


def flush(timeout: float = 2.0) -> bool:
    """Wait until everything that this process captured is settled, at most ``timeout`` seconds.

    Where nobody leads and nobody comes to (``flusher="external"`` or no process can be started, for example), it is
    sent from here, in the calling thread; that imports requests.

    True when it is: delivered, set aside or dropped. False at once where nothing is sent: before ``init``, without a
    DSN, with ``flusher="hold"``. What is not settled by then stays in the spool and is sent all the same.
    """
    client = _client
    if client is None:
        return False
    diagnostics.tell()
    return client.pending.flush(timeout)


def close(timeout: Optional[float] = None) -> None:
    """Stop reporting: remove the hooks, wait for what was captured to be delivered, forget the configuration.

    Waits at most ``timeout`` seconds (None: ``shutdown_timeout``), and not where nobody sends. What is not delivered by
    then stays in the spool and is sent all the same. Captures return None from here on, until there is another
    ``init``. Does nothing where there is nothing to close. Never raises.
    """
    global _client, _closed
    client = _client
    if client is None:
        return
    from lastword import listener

    _client, _closed = None, client
    try:
        listener.uninstall()
        spawned_children.drop(_CARRIED)
        client.wait_at_end(client.config.shutdown_timeout if timeout is None else timeout)
        diagnostics.tell()
        diagnostics.forget()
    except failures() as error:
        diagnostics.note("close", f"lastword was not closed in order: {describe(error)}")


def _report_caught(error: BaseException, traceback: Optional[TracebackType]) -> None:
    client = _client
    if client is not None:
        client.report(error, traceback, "catch", handled=True)


_catch = Catch(_report_caught)


def _register_at_exit(look_back: Callable[[], None]) -> None:
    global _atexit_registered
    if not _atexit_registered:
        atexit.register(_at_exit, look_back)
        _atexit_registered = True
        # What concurrent.futures uses: called before threads are waited for, which may go on for hours.
        register: Any = getattr(threading, "_register_atexit", None)
        with suppress(RuntimeError):  # the interpreter is ending already
            if register is not None:
                register(look_back)


def _at_exit(look_back: Callable[[], None]) -> None:
    """Somebody must lead when this process is gone. A forked child that runs this has its own writer, or none."""
    client = _client
    if client is None:
        return
    try:
        look_back()
        client.wait_at_end(client.config.shutdown_timeout)
    except KeyboardInterrupt:
        pass  # what is pending stays in the spool, and whoever is in a hurry need not be told so by a traceback
    diagnostics.tell()
