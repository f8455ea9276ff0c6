"""The functions of ``backtracepython``, in the module that programs know by this name: ``backtracepython.client``."""

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
from lastword.compat.backtracepython.handler import EndpointConfig, Handler, globs, print_debug
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
_last_client: Optional[Client] = None  # a later initialize takes over its writer
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
    """Set up reporting; the last call applies, and each uncaught exception is reported once even after several calls.

    Args:
        endpoint: the submission URL, or the host that ``token`` belongs to.
        token: the project's token; not used with submit.backtrace.io, whose URLs contain it.
        debug_backtrace: write to standard error whether each report was recorded.
        attachments: paths of files to send with every report.
        attributes: a dict that is read anew for every report.
        timeout: seconds that the tracker has to answer.
        ignore_ssl_certificate: do not verify the server's certificate.
        tab_width: the tab width of the source code, passed on to the tracker.
        context_line_count: lines of source above each frame's line, and one more below it.
        collect_source_code: whether reports contain source code.
        disable_global_handler: do not change ``sys.excepthook``.
        exit_timeout: the most seconds that the end of the process waits for reports to arrive; those that have not
            arrived stay in the spool and are sent later.
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
    _send_earlier_events(client)


def finalize() -> None:
    """Stop reporting, and wait at most ``exit_timeout`` seconds for reports to arrive."""
    handler, globs.handler = globs.handler, None
    if handler is None:
        return
    try:
        handler.finish()
    except failures() as trouble:
        diagnostics.note("close", f"reporting did not end properly: {describe(trouble)}")


def send_last_exception(**kwargs: Any) -> None:
    """Report the exception being handled, with the given ``attributes`` and ``annotations``. Never raises."""
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
    """Report a message, with the given ``attributes`` and ``annotations``. Never raises."""
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
    """Send ``report`` with more files; return whether it is safe on disk (False before ``initialize``)."""
    return keep(report, attachments or ()) is not None


def create_and_send_report(
    ex_type: Any, ex_value: Optional[BaseException], ex_traceback: Optional[TracebackType]
) -> None:
    """Report an uncaught exception."""
    if globs.handler is None:
        return
    report = BacktraceReport()
    report.set_exception(ex_type, ex_value, ex_traceback)
    report.set_attribute("error.type", "Unhandled exception")
    keep(report, level="fatal")


def bt_except_hook(ex_type: Any, ex_value: Optional[BaseException], ex_traceback: Optional[TracebackType]) -> None:
    """Do the same as the installed ``sys.excepthook``: report, then call the previous hook."""
    _report_uncaught(ex_type, ex_value, ex_traceback)
    if globs.next_except_hook is not None:
        globs.next_except_hook(ex_type, ex_value, ex_traceback)


def get_attributes() -> dict[str, Any]:
    """Return the attributes of a report made now."""
    return of_now()[0]


def get_annotations() -> dict[str, Any]:
    """Return the annotations of a report made now."""
    return of_now()[1]


def set_attribute(key: str, value: Any) -> None:
    """Add an attribute to all later reports; a value other than str, number, bool or None becomes an annotation."""
    add_value(key, value)


def set_attributes(attributes: dict[str, Any]) -> None:
    """Add several attributes in the same way; the dict itself is read anew for every report."""
    add_layer(attributes)


def construct_submission_url(endpoint: str, token: Optional[str]) -> str:
    """Return the URL to post reports to: ``endpoint`` unchanged, or with the project's token."""
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
        "scrub": os.environ.get("LASTWORD_SCRUB") or "off",  # as in backtracepython, unless the user says otherwise
        "release": "",
        "ignore_errors": (),
        "sample_rate": 1.0,
        "flood_burst": 0,
    }
    # The call decides where reports go: LASTWORD_DSN may be meant for other code in the program, and may be invalid.
    environ = {name: value for name, value in os.environ.items() if name != "LASTWORD_DSN"}
    config = EndpointConfig.load(options, environ)
    assert isinstance(config, EndpointConfig)
    config.submission_url = url
    return config


def _is_duration(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < float("inf")


def _add(report: BacktraceReport, given: dict[str, Any]) -> None:
    _update(report.set_dict_attributes, given, "attributes")
    _update(report.set_dict_annotations, given, "annotations")


def _update(update: Callable[[Any], None], given: dict[str, Any], name: str) -> None:
    try:
        update(given.get(name) or {})
    except failures() as trouble:  # the report is sent without the additions
        diagnostics.note("compat", f"a report was made without its {name}: {describe(trouble)}")


def _report_uncaught(ex_type: Any, ex_value: Optional[BaseException], ex_traceback: Optional[TracebackType]) -> None:
    try:
        create_and_send_report(ex_type, ex_value, ex_traceback)
    except BaseException as trouble:  # the next hook must run
        _note_lost(trouble)


def _note_lost(trouble: BaseException) -> None:
    handler = globs.handler
    if handler is not None:
        handler.client.recorder.refuse_for_defect(trouble)
    if globs.debug_backtrace:
        print_debug(f"a report was not kept: {describe(trouble)}")


def _install_excepthook() -> None:
    before = sys.excepthook
    _excepthook.install(_report_uncaught)
    if sys.excepthook is not before:
        globs.next_except_hook = before


def _register_at_exit() -> None:
    global _atexit_registered
    if not _atexit_registered:
        atexit.register(finalize)
        _atexit_registered = True


def _send_earlier_events(client: Client) -> None:
    try:
        client.look_after_earlier_events()
        diagnostics.tell()
    except failures() as trouble:
        diagnostics.note("start", f"events in the spool are not sent for now: {describe(trouble)}")
