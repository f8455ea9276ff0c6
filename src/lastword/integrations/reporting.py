"""From a framework to whoever reports: an exception, and the request that it came of."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Optional, TypeVar

from lastword import diagnostics, sdk
from lastword.capture.safe_text import describe
from lastword.interruption import anything, failures
from lastword.scope.context import new_scope, set_context

#: The name of the context that holds the request; formats that have a place for a request know it by this.
REQUEST_CONTEXT = "request"


class Request(NamedTuple):
    """As the framework has it: nothing is scrubbed yet.

    ``user`` is who the framework says is asking: some of ``id``, ``email``, ``username``, ``ip_address``.
    """

    method: str
    url: str
    headers: dict[str, str]
    query_string: str
    user: dict[str, Any]

    def as_context(self) -> dict[str, Any]:
        """All but the user."""
        return {name: value for name, value in self._asdict().items() if name != "user"}


class Failure(NamedTuple):
    """An exception that left the program's part of a request.

    ``traceback`` is None where it is the exception's own; ``read_request`` may run the program's code, and may raise.
    """

    error: BaseException
    traceback: Optional[TracebackType]
    mechanism: str
    read_request: Callable[[], Request]


def traceback_inside(error: BaseException) -> Optional[TracebackType]:
    """The traceback of an exception that was caught in the calling function, without that function's own frame.

    It must not keep it in a variable: its frame, which is in the exception's traceback, would hold all those behind it.
    """
    own: Optional[TracebackType] = _traceback_of(error)
    return own and own.tb_next


_traceback_of = BaseException.__dict__["__traceback__"].__get__

_T = TypeVar("_T")

Report = Callable[[Failure], None]

_report: Optional[Report] = None


def listen(report: Optional[Report]) -> None:
    """Let ``report`` hear of failures, and nobody else; None: nobody."""
    global _report
    _report = report


def tell(failure: Failure) -> None:
    """Raises nothing."""
    report = _report
    if report is None:
        return
    try:
        report(failure)
    except failures() as trouble:
        diagnostics.note("integrations", f"an error in a request was not reported: {describe(trouble)}")
        client = sdk.current_client()
        if client is not None:
            client.recorder.refuse_for_defect(trouble)


def part(take: Callable[[], _T], default: _T) -> _T:
    """What ``take`` returns, or ``default`` where it raises: a part of a request that fails costs only itself."""
    try:
        return take()
    except anything():
        return default


def request_of(failure: Failure) -> Optional[Request]:
    """None where it cannot be read."""
    try:
        return failure.read_request()
    except anything() as trouble:
        diagnostics.note("request", f"an event went without its request: {describe(trouble)}")
        return None


def report_to_lastword(failure: Failure) -> None:
    """With the request, scrubbed like every context, and without the user: ``set_user`` is for the program to call."""
    client = sdk.current_client()
    if client is None:
        return
    with new_scope():
        request = request_of(failure)
        if request is not None:
            set_context(REQUEST_CONTEXT, request.as_context())
        client.report(failure.error, failure.traceback, failure.mechanism, handled=False, level="error")
