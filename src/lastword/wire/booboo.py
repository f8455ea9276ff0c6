"""The wire format of booboo.dev.

Constraints first: a frame shows at most 50 variables of at most 200 characters each; there is no field for an event
id or a time (the tracker dates an event by its arrival); a body has at most 102,400 bytes, for the package that this
replaces sends no larger one: what is over it is trimmed (``wire.trim``), and says so in a tag.

Request::

    POST <origin of the DSN>/
    X-Booboo-DSN: <token>
    Content-Type: application/json

Body: one JSON object, ASCII-escaped, with these keys in this order (examples in tests/wire/golden)::

    message          str(exception), or the message
    exception_type   bare class name; "" for a message
    level            error, warning or info
    stacktrace       frames of the raised exception; [] for a message
    exceptions       the raised one, then its chain: type, value, stacktrace, chain_type (null, "cause", "context")
    context          sdk {name, version}, runtime {name: "Python", version}; user only when there is one
    tags             always {"runtime": "python"}, then the program's own
    environment, release   "" when not set

A frame, outermost call first: filename, function, lineno, context_line, pre_context, post_context (5 lines each),
vars (name to text; ``[filtered]`` for a sensitive name, ``<TypeName>`` where repr failed; no dunder names), in_app.

Answer: any 2xx acknowledges the event, whatever its body. The rest is read by ``wire.status``.

Where this comes from: the released package booboo-sdk 0.16.0, its requests recorded on CPython 3.11.7 (see
tests/wire/README.md), and the SDK page of booboo.dev for the meaning of the fields.

What differs from that package, and why:

* ``context.sdk`` names lastword. Nothing documented depends on the value, and who reads it wants to know what sent it.
* NaN and infinities become ``null``; the package sends them as they are, which is not JSON.
* Levels that the page does not know are rounded: fatal to error, debug to info.
* Extra, contexts, breadcrumbs, fingerprint and transaction are not sent: no key is documented for them.
* Notes (PEP 678) follow the text of their exception in ``exceptions``.
* Members of a group are listed as causes. Where there is a group, the text of each exception but the first ends with
  what it is to which other one of the list, counted from 1: ``(member of 1. ExceptionGroup)``.
"""

from __future__ import annotations

from typing import Any, Optional

from lastword.dsn import Destination
from lastword.event import Event, ExceptionInfo, Frame
from lastword.http_message import HttpReply, HttpRequest
from lastword.version import __version__
from lastword.wire.format import Delivered, History, Verdict
from lastword.wire.frames import shown_value, source_context
from lastword.wire.json_text import encode
from lastword.wire.rendered import fit_rendered
from lastword.wire.status import verdict_without_success
from lastword.wire.trim import fit

#: Bytes. A body of exactly so many still passes.
MAX_BODY = 102_400

CONTEXT_LINES = 5
MAX_VARIABLES = 50
MAX_VARIABLE_CHARACTERS = 200

_KNOWN_LEVELS = {"fatal": "error", "debug": "info"}
_CHAIN_TYPES = {None: None, "cause": "cause", "context": "context", "member": "cause"}


def request(event: Event, destination: Destination, limit: Optional[int] = None) -> HttpRequest:
    """The request that delivers ``event``, trimmed to MAX_BODY bytes of body, or to ``limit`` where that is less; the
    same arguments always give the same bytes.
    """
    # What is not sent makes no request too large, and must not be said to have been left out for that.
    event = {**event, "extra": {}, "contexts": {}, "breadcrumbs": []}
    headers = {"X-Booboo-DSN": destination.dsn.token, "Content-Type": "application/json"}
    body = fit(event, lambda smaller: encode(payload(smaller)), MAX_BODY if limit is None else min(limit, MAX_BODY))
    return HttpRequest(url=destination.dsn.url, body=body, headers=headers)


def rendered(body: bytes, content_type: str, destination: Destination, limit: Optional[int] = None) -> HttpRequest:
    """The request that delivers ``body``, trimmed likewise where it is a JSON object of that shape."""
    most = MAX_BODY if limit is None else min(limit, MAX_BODY)
    headers = {"X-Booboo-DSN": destination.dsn.token, "Content-Type": content_type}
    return HttpRequest(url=destination.dsn.url, body=fit_rendered(body, most), headers=headers)


def judge(reply: HttpReply, history: History) -> Verdict:
    """What the tracker's answer means for the event."""
    return Delivered() if 200 <= reply.status < 300 else verdict_without_success(reply)


def payload(event: Event) -> dict[str, Any]:
    """The documented event object, before it becomes JSON."""
    exceptions = event["exceptions"]
    raised = exceptions[0] if exceptions else None
    stack = raised["frames"] if raised else []
    return {
        "message": raised["value"] if raised else event["message"] or "",
        "exception_type": raised["type"] if raised else "",
        "level": _KNOWN_LEVELS.get(event["level"], event["level"]),
        "stacktrace": [_frame(frame) for frame in stack],
        "exceptions": _exceptions(exceptions),
        "context": _context(event),
        "tags": {"runtime": "python", **event["tags"]},
        "environment": event["environment"],
        "release": event["release"],
    }


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
    before, line, after = source_context(frame, CONTEXT_LINES)
    return {
        "filename": frame["file"],
        "function": frame["function"],
        "lineno": frame["line"],
        "context_line": line,
        "pre_context": before,
        "post_context": after,
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
    return context
