"""The calls of ``backtracepython``."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Optional
from urllib.parse import urlencode

from lastword import diagnostics
from lastword.capture.safe_text import describe
from lastword.client import Client
from lastword.compat.backtracepython.attributes import add_layer, add_value, of_now
from lastword.compat.backtracepython.handler import EndpointConfig, Handler, globs, say
from lastword.compat.backtracepython.report import BacktraceReport, keep
from lastword.hooks.slot import HookSlot
from lastword.interruption import failures

__all__ = [
    "bt_except_hook",
    "construct_submission_url",
    "create_and_send_report",
    "finalize",
    "get_annotations",
    "get_attributes",
    "globs",
    "initialize",
    "send",
    "send_last_exception",
    "send_report",
    "set_attribute",
    "set_attributes",
]

_DEFAULT_TIMEOUT = 4.0
_DEFAULT_LINE_COUNT = 200

_excepthook = HookSlot(sys, "excepthook")
_last_client: Optional[Client] = None  # whose writer goes on if there is another initialize
_atexit_registered = False


def initialize(
    endpoint: str,
    token: Optional[str] = None,
    debug_backtrace: bool = False,
    attachments: Optional[Sequence[Any]] = None,
    attributes: Optional[dict[str, Any]] = None,
    timeout: Any = 4,
    ignore_ssl_certificate: bool = False,
    tab_width: int = 8,
    context_line_count: int = 200,
    collect_source_code: bool = True,
    disable_global_handler: bool = False,
    exit_timeout: float = 4,
) -> None:
    """Set reporting up; the last call counts, and an uncaught exception is reported once however often it was called.

    Args:
        endpoint: the submission URL, or the host that ``token`` belongs to.
        token: of the project; not used with submit.backtrace.io, whose URLs hold it.
        debug_backtrace: say on standard error what becomes of each report.
        attachments: paths of files that go with every report.
        attributes: of every report; the dict itself is looked at each time.
        timeout: seconds for the tracker's answer.
        ignore_ssl_certificate: send to whoever answers.
        tab_width: what the tracker is told of the source code.
        context_line_count: lines of source above each frame's line, and one more below it.
        collect_source_code: whether reports have source code.
        disable_global_handler: leave ``sys.excepthook`` alone.
        exit_timeout: seconds that the end of the process waits at most for what has not arrived yet; what has not by
            then stays in the spool and is sent all the same.
    """
    global _last_client
    url = construct_submission_url(endpoint, token)
    client = Client(_config(url, timeout, ignore_ssl_certificate, exit_timeout))
    if _last_client is not None:
        client.take_over(_last_client)
    _last_client = client
    if attributes is not None:
        add_layer(attributes)
    globs.endpoint, globs.debug_backtrace = url, bool(debug_backtrace)
    globs.attachments = [] if attachments is None else attachments
    globs.handler = Handler(
        client,
        tab_width=tab_width,
        context_line_count=context_line_count if isinstance(context_line_count, int) else _DEFAULT_LINE_COUNT,
        collect_source_code=collect_source_code,
        exit_timeout=exit_timeout,
        debug=bool(debug_backtrace),
    )
    if not disable_global_handler:
        _install_excepthook()
    _register_at_exit()
    _look_after(client)


def finalize() -> None:
    """Wait, ``exit_timeout`` seconds at most, for what has not arrived yet, and report no more."""
    handler, globs.handler = globs.handler, None
    if handler is None:
        return
    try:
        handler.finish()
    except failures() as trouble:
        diagnostics.note("close", f"reporting did not end in order: {describe(trouble)}")


def send_last_exception(**kwargs: Any) -> None:
    """Report the exception that is being handled, with ``attributes`` and ``annotations`` of its own. Never raises."""
    error = sys.exc_info()
    if globs.handler is None or error[1] is None:
        return
    try:
        report = BacktraceReport()
        report.set_exception(*error)
        _add(report, kwargs)
        report.set_attribute("error.type", "Exception")
        report.send()
    except failures() as trouble:
        _note_lost(trouble)


def send_report(msg: Any, **kwargs: Any) -> None:
    """Report a message, with ``attributes`` and ``annotations`` of its own. Never raises."""
    if globs.handler is None:
        return
    try:
        report = BacktraceReport()
        _add(report, kwargs)
        report.set_attribute("error.message", msg)
        report.set_attribute("error.type", "Message")
        report.send()
    except failures() as trouble:
        _note_lost(trouble)


def send(report: BacktraceReport, attachments: Optional[Sequence[Any]] = None) -> bool:
    """Send ``report`` with more files; whether it is safe on disk, so False before ``initialize``."""
    return keep(report, attachments or ()) is not None


def create_and_send_report(
    ex_type: Any, ex_value: Optional[BaseException], ex_traceback: Optional[TracebackType]
) -> None:
    """Report an exception that nobody catches."""
    if globs.handler is None:
        return
    report = BacktraceReport()
    report.set_exception(ex_type, ex_value, ex_traceback)
    report.set_attribute("error.type", "Unhandled exception")
    keep(report, level="fatal")


def bt_except_hook(ex_type: Any, ex_value: Optional[BaseException], ex_traceback: Optional[TracebackType]) -> None:
    """What ``sys.excepthook`` does: report, then call the hook that was there before."""
    _hear_uncaught(ex_type, ex_value, ex_traceback)
    if globs.next_except_hook is not None:
        globs.next_except_hook(ex_type, ex_value, ex_traceback)


def get_attributes() -> dict[str, Any]:
    """Those of a report that is made now."""
    return of_now()[0]


def get_annotations() -> dict[str, Any]:
    """Those of a report that is made now."""
    return of_now()[1]


def set_attribute(key: str, value: Any) -> None:
    """Add an attribute to every report from now on; what is no text, number, boolean or None becomes an annotation."""
    add_value(key, value)


def set_attributes(attributes: dict[str, Any]) -> None:
    """Add several, likewise. The dict itself is looked at each time."""
    add_layer(attributes)


def construct_submission_url(endpoint: str, token: Optional[str]) -> str:
    """Where reports are posted: ``endpoint`` as it is, or with the token of its project."""
    if "submit.backtrace.io" in endpoint or token is None:
        return endpoint
    return f"{endpoint.rstrip('/')}/post?" + urlencode({"token": token, "format": "json"})


def _config(url: str, timeout: Any, ignore_ssl_certificate: bool, exit_timeout: float) -> EndpointConfig:
    connecting, answering = timeout if type(timeout) is tuple and len(timeout) == 2 else (None, timeout)
    options = {
        "timeout": answering if _is_duration(answering) else _DEFAULT_TIMEOUT,
        "connect_timeout": connecting if _is_duration(connecting) else None,
        "verify": not ignore_ssl_certificate,
        "shutdown_timeout": max(0.0, exit_timeout),
        "scrub": os.environ.get("LASTWORD_SCRUB") or "off",  # reports stay what they were, unless somebody says so
        "release": "",
        "ignore_errors": (),
        "sample_rate": 1.0,
        "flood_burst": 0,
    }
    # Where reports go is said by the call, so a DSN for something else in this program may be anything.
    environ = {name: value for name, value in os.environ.items() if name != "LASTWORD_DSN"}
    config = EndpointConfig.load(options, environ)
    assert isinstance(config, EndpointConfig)
    config.submission_url = url
    return config


def _is_duration(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < float("inf")


def _add(report: BacktraceReport, said: dict[str, Any]) -> None:
    _merge(report.set_dict_attributes, said, "attributes")
    _merge(report.set_dict_annotations, said, "annotations")


def _merge(add: Callable[[Any], None], said: dict[str, Any], name: str) -> None:
    try:
        add(said.get(name) or {})
    except failures() as trouble:  # the report is worth more than what was to be added
        diagnostics.note("compat", f"a report went without its {name}: {describe(trouble)}")


def _hear_uncaught(ex_type: Any, ex_value: Optional[BaseException], ex_traceback: Optional[TracebackType]) -> None:
    try:
        create_and_send_report(ex_type, ex_value, ex_traceback)
    except BaseException as trouble:  # the hook that comes next must run
        _note_lost(trouble)


def _note_lost(trouble: BaseException) -> None:
    handler = globs.handler
    if handler is not None:
        handler.client.recorder.refuse_for_defect(trouble)
    if globs.debug_backtrace:
        say(f"a report was not kept: {describe(trouble)}")


def _install_excepthook() -> None:
    before = sys.excepthook
    _excepthook.install(_hear_uncaught)
    if sys.excepthook is not before:
        globs.next_except_hook = before


def _register_at_exit() -> None:
    global _atexit_registered
    if not _atexit_registered:
        atexit.register(finalize)
        _atexit_registered = True


def _look_after(client: Client) -> None:
    try:
        client.look_after_earlier_events()
        diagnostics.tell()
    except failures() as trouble:
        diagnostics.note("start", f"nothing sends what is in the spool for now: {describe(trouble)}")
