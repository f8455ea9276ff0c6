"""The event object of ``wire.booboo``; its specification is there.

A separate, light module, because a program with a hook for these objects makes them where it captures.
"""

from __future__ import annotations

from typing import Any

from lastword.event import ATTACHMENTS_TAG, LOGGED, Event, ExceptionInfo, Frame, describe_attachment, shown_value
from lastword.version import __version__

CONTEXT_LINES = 5
MAX_VARIABLES = 50
MAX_VARIABLE_CHARACTERS = 200

#: Characters of the tag that names the attachments.
MAX_TAG = 1000

#: The context that becomes the request of an exception.
REQUEST_CONTEXT = "request"

_KNOWN_LEVELS = {"fatal": "error", "debug": "info"}
_CHAIN_TYPES = {None: None, "cause": "cause", "context": "context", "member": "cause"}


def payload(event: Event) -> dict[str, Any]:
    """Return the documented event object, before it becomes JSON."""
    exceptions = event["exceptions"]
    raised = exceptions[0] if exceptions else None
    request = event["contexts"].get(REQUEST_CONTEXT)
    stack = raised["frames"] if raised else []
    return {
        "message": raised["value"] if raised else event["message"] or "",
        "exception_type": raised["type"] if raised else "",
        "level": _KNOWN_LEVELS.get(event["level"], event["level"]),
        "stacktrace": [_frame(frame) for frame in stack],
        "exceptions": _exceptions(exceptions),
        "context": _context(event),
        "tags": {"runtime": "python", **event["tags"], **_attachments(event)},
        "environment": event["environment"],
        "release": event["release"],
        **({"request": request} if request and raised else {}),
    }


def _attachments(event: Event) -> dict[str, str]:
    """Return a tag that names the attachments; the format has no place for them."""
    names = "; ".join(describe_attachment(one) for one in event["attachments"])
    return {ATTACHMENTS_TAG: f"not sent: {names}"[:MAX_TAG]} if names else {}


def _exceptions(exceptions: list[ExceptionInfo]) -> list[dict[str, Any]]:
    in_a_row = all(exception["kind"] != "member" for exception in exceptions)
    return [_exception(exception, [] if in_a_row else _place(exception, exceptions)) for exception in exceptions]


def _place(exception: ExceptionInfo, exceptions: list[ExceptionInfo]) -> list[str]:
    parent = exception["parent"]
    if parent is None or not 0 <= parent < len(exceptions):
        return []
    return [f"({exception['kind']} of {parent + 1}. {exceptions[parent]['type']})"]


def _exception(exception: ExceptionInfo, place: list[str]) -> dict[str, Any]:
    return {
        "type": exception["type"],
        "value": "\n".join([exception["value"], *exception["notes"], *place]),
        "stacktrace": [_frame(frame) for frame in exception["frames"]],
        "chain_type": _CHAIN_TYPES[exception["kind"]],
    }


def _frame(frame: Frame) -> dict[str, Any]:
    own, source = frame["line"] - frame["first_source_line"], frame["source"]
    is_known = 0 <= own < len(source)
    return {
        "filename": frame["file"],
        "function": frame["function"],
        "lineno": frame["line"],
        "context_line": source[own] if is_known else "",
        "pre_context": source[max(0, own - CONTEXT_LINES) : own] if is_known else [],
        "post_context": source[own + 1 : own + 1 + CONTEXT_LINES] if is_known else [],
        "vars": _variables(frame),
        "in_app": frame["in_app"],
    }


def _variables(frame: Frame) -> dict[str, str]:
    shown = [variable for variable in frame["variables"] if not _is_dunder(variable[0])]
    return {variable[0]: shown_value(variable)[:MAX_VARIABLE_CHARACTERS] for variable in shown[:MAX_VARIABLES]}


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _context(event: Event) -> dict[str, Any]:
    context: dict[str, Any] = {
        "sdk": {"name": "lastword", "version": __version__},
        "runtime": {"name": "Python", "version": event["runtime"]["version"]},
    }
    if event["user"]:
        context["user"] = event["user"]
    if logged := event["contexts"].get(LOGGED):
        context[LOGGED] = logged
    return context
