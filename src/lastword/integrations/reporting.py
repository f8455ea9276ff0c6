"""Pass an exception and its request from a framework to the function that reports it, and keep requests apart."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Optional, TypeVar

from lastword import diagnostics, sdk
from lastword.capture.safe_text import describe
from lastword.interruption import anything, failures
from lastword.scope.context import NewScope, new_scope, set_context, shared_in_scope

#: The name of the context with the request; formats with a field for the request take it from this context.
REQUEST_CONTEXT = "request"


class Request(NamedTuple):
    """A request as the framework gives it, not scrubbed yet.

    ``user`` is the requesting user according to the framework: some of ``id``, ``email``, ``username``, ``ip_address``.
    """

    method: str
    url: str
    headers: dict[str, str]
    query_string: str
    user: dict[str, Any]

    def as_context(self) -> dict[str, Any]:
        """Return all fields but the user."""
        return {name: value for name, value in self._asdict().items() if name != "user"}


class Failure(NamedTuple):
    """An exception that left the program's code for a request.

    A ``traceback`` of None means the exception's own. ``read_request`` may run the program's code, and may raise.
    """

    error: BaseException
    traceback: Optional[TracebackType]
    mechanism: str
    read_request: Callable[[], Request]


def traceback_inside(error: BaseException) -> Optional[TracebackType]:
    """Return the traceback of an exception caught in the calling function, without that function's own frame.

    The caller must not keep it in a variable: its frame is in the exception's traceback, so this would be a cycle that
    keeps all inner frames alive.
    """
    own: Optional[TracebackType] = _traceback_of(error)
    return own and own.tb_next


_traceback_of = BaseException.__dict__["__traceback__"].__get__

_T = TypeVar("_T")

Report = Callable[[Failure], None]

_report: Optional[Report] = None


def listen(report: Optional[Report]) -> None:
    """Have ``report`` alone called for each failure; with None, no function is called."""
    global _report
    _report = report


def report(failure: Failure) -> None:
    """Pass ``failure`` to the reporting function. Never raises."""
    reporter = _report
    if reporter is None:
        return
    try:
        reporter(failure)
    except failures() as trouble:
        diagnostics.note("integrations", f"an error in a request was not reported: {describe(trouble)}")
        client = sdk.current_client()
        if client is not None:
            client.recorder.refuse_for_defect(trouble)


def part(take: Callable[[], _T], default: _T) -> _T:
    """Return ``take()``, or ``default`` if it raises: only the failing part of a request is lost."""
    try:
        return take()
    except anything():
        return default


def request_of(failure: Failure) -> Optional[Request]:
    """Return the request of ``failure``; None if it cannot be read."""
    try:
        return failure.read_request()
    except anything() as trouble:
        diagnostics.note("request", f"an event was reported without its request: {describe(trouble)}")
        return None


def report_to_lastword(failure: Failure) -> None:
    """Report with the request, scrubbed like every context, but not its user: the program calls ``set_user`` itself."""
    client = sdk.current_client()
    if client is None:
        return
    with new_scope():
        request = request_of(failure)
        if request is not None:
            set_context(REQUEST_CONTEXT, request.as_context())
        client.report(failure.error, failure.traceback, failure.mechanism, handled=False, level="error")


class Work:
    """State shared by all contexts of one request or websocket, in all the threads and tasks that serve it.

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


def in_work_scope(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that runs ``original`` in a ``WorkScope``."""

    def serve(*arguments: Any, **options: Any) -> Any:
        with WorkScope():
            return original(*arguments, **options)

    return serve
