"""The public calls, and the only process-wide state: the client made by ``init``."""

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

#: The result of ``sys.exc_info()``.
ExcInfo = Union[tuple[type[BaseException], BaseException, Optional[TracebackType]], tuple[None, None, None]]

_CALLED = "capture_exception"
_CARRIED = "init"

_client: Optional[Client] = None
_closed: Optional[Client] = None  # the next ``init`` continues with its writer
_atexit_registered = False


def init(dsn: Optional[str] = None, **options: Any) -> None:
    """Set lastword up; the last call counts.

    Makes no file, thread, process or connection; it may start a flusher only if the spool already holds events.
    From here on lastword reports uncaught exceptions, in all threads, in asyncio and in finalizers, and log records of
    level ERROR and above (``log_events``). Child processes are set up the same way, both forked ones and those that
    multiprocessing spawns; the latter only if every option can be pickled (a lambda cannot).

    Args:
        dsn: where events go (see ``dsn.Dsn``); without one, and without ``LASTWORD_DSN``, they stay in the spool.
        options: the fields of ``config.Config``; those that have a text form can be set by ``LASTWORD_<OPTION>``.

    Raises:
        ConfigError: an option is unknown, or a value cannot be used; the previous setup stays.
    """
    # Load most of lastword only now: a program without ``init`` does not need it. Nothing more is loaded later.
    from lastword.client import Client
    from lastword.config import Config

    start(Client(Config.load({"dsn": dsn, **options})))
    spawned_children.carry(_CARRIED, init_in_child, {"dsn": dsn, **options})


def start(client: Client) -> None:
    """Make ``client`` the only active client, as ``init`` does; for clients made by other code."""
    from lastword import listener
    from lastword.hooks.excepthooks import look_back

    global _client
    previous = _client or _closed
    if previous is not None and previous is not client:
        client.take_over(previous)
    _client = client
    diagnostics.tell_every(0.0 if client.config.debug else diagnostics.TELL_INTERVAL)
    listener.install(client)
    _register_at_exit(look_back)
    if client.pending.choice.remark:
        diagnostics.note("mode", client.pending.choice.remark)
    client.look_after_earlier_events()
    diagnostics.tell()


def current_client() -> Optional[Client]:
    """Return the client of the last ``init``; None before ``init`` and after ``close``."""
    return _client


def init_in_child(options: dict[str, Any]) -> None:
    """Repeat the parent's ``init`` in a child that multiprocessing spawned, unless the child has called it itself."""
    if _client is None:
        init(**options)


def capture_exception(error: Union[BaseException, type[BaseException], ExcInfo, str, None] = None) -> Optional[str]:
    """Report an exception: ``error``, or the one that is being handled.

    ``error`` may be the result of ``sys.exc_info()``: the event then shows that traceback. An exception that was never
    raised is shown with the stack of this call; a class is instantiated. A text is reported as a message of level
    ``error``, or that of ``set_level``; anything else is refused, counted and noted. An exception that ``catch`` or a
    hook (for example that of ``logging``) has already reported is not reported again: the id of its event is returned.

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
        # Not isinstance, which may run code of the object.
        if not issubclass(type(error), BaseException):
            if issubclass(type(error), str):
                return client.capture_text(error, context.level_or("error"), _CALLED)
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
    """Return an instance of the exception class ``given``; None, counted and noted, if that is impossible."""
    # Not ``in``, which may run code of the metaclass.
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
        problem = f"no instance of it could be made: {describe(trouble)}"
    else:
        problem = "which makes something else"
    if issubclass(type(made), BaseException):
        return made  # type: ignore[no-any-return]
    client.recorder.refuse("no exception", f"capture_exception was given the class {class_path(given)}, and {problem}")
    return None


def capture_message(message: str, level: Optional[LevelLike] = None) -> Optional[str]:
    """Report a message.

    ``level`` is one of fatal, error, warning, info, debug (case is ignored), or a logging number; any other value
    counts as info, and is noted. The default is the level of ``set_level``, else info. Returns the same as
    ``capture_exception``. Never raises.
    """
    client = _client
    if client is None:
        return None
    try:
        client.begin()
        return client.capture_text(message, level, "capture_message")
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
    """Report each exception that leaves a block or a function, and let it propagate::

        with lastword.catch():
            work()

        @lastword.catch()
        async def work(): ...

    It decorates functions, ``async`` functions, generators of both kinds and other callables, and also classmethods,
    staticmethods and properties. SystemExit, KeyboardInterrupt and others that are not an ``Exception`` are not
    reported. An exception that passes through several blocks, or is uncaught afterwards, is reported once. Before
    ``init`` nothing is reported. Its only own error is TypeError, at once, for an object that it cannot decorate.
    """
    return _catch


def flush(timeout: float = 2.0) -> bool:
    """Wait at most ``timeout`` seconds until everything that this process captured is settled.

    If there is no leader and none starts (for example with ``flusher="external"``, or because no process can be
    started), the calling thread sends the events; that imports requests.

    Returns True if everything is settled: delivered, set aside or dropped. Returns False at once if nothing is sent:
    before ``init``, without a DSN, with ``flusher="hold"``. Events not settled in time stay in the spool for later.
    """
    client = _client
    if client is None:
        return False
    diagnostics.tell()
    return client.pending.flush(timeout)


def close(timeout: Optional[float] = None) -> None:
    """Stop reporting: remove the hooks, wait until the captured events are delivered, forget the configuration.

    Waits at most ``timeout`` seconds (None: ``shutdown_timeout``), and not at all if nothing is sent. Undelivered
    events stay in the spool and are sent later. Captures return None until the next ``init``. Does nothing before
    ``init``. Never raises.
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
        # Also used by concurrent.futures: called before the interpreter waits for threads, which may take hours.
        register: Any = getattr(threading, "_register_atexit", None)
        with suppress(RuntimeError):  # the interpreter is ending already
            if register is not None:
                register(look_back)


def _at_exit(look_back: Callable[[], None]) -> None:
    """Make sure that a flusher remains after this process. A forked child that runs this has its own writer or none."""
    client = _client
    if client is None:
        return
    try:
        look_back()
        client.wait_at_end(client.config.shutdown_timeout)
    except KeyboardInterrupt:
        pass  # pending events stay in the spool, and a user in a hurry needs no traceback
    diagnostics.tell()
