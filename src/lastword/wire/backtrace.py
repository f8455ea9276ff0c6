"""The wire format of Backtrace (``format=json``).

Constraints first: a number is read as a double, so integers from 2**53 travel as strings; attribute values are
scalars, anything else is an annotation; the tracker rejects a second report with the same uuid, so a refusal after an
attempt without an answer may mean that the first report arrived (the documentation does not say how it answers).

Request::

    POST <submission URL; it carries the token>
    Content-Type: multipart/form-data; boundary=<derived from the event id>

with one part, ``name="upload_file"; filename="upload_file"`` and no Content-Type of its own: one JSON object,
ASCII-escaped, NaN and infinities as ``null``, with these keys in this order (examples in tests/wire/golden)::

    uuid             the event id with dashes
    timestamp        whole Unix seconds
    lang             "python"
    langVersion      "<implementation> <version>-<release level>", as in "CPython 3.11.7-final"
    agent, agentVersion    the client that sends
    mainThread       id of the thread that captured, a string
    attributes       name to scalar; searchable, names below
    annotations      name to anything
    threads          thread id to {name, stack, fault}
    classifiers      [bare class name]; absent for a message
    sourceCode       path to {startLine, startColumn, path, tabWidth, text}; {} when no source is known

Where there are breadcrumbs, a second part, ``name="attachment_bt-breadcrumbs-0"; filename="bt-breadcrumbs-0"`` with
Content-Type application/octet-stream: a JSON array, the oldest first, of ``{id, timestamp, type, level, message,
attributes}``; id from 1, timestamp in whole Unix milliseconds, type one of the names in ``_BREADCRUMB_TYPES``,
attributes name to scalar. Each attachment of the program is one part before that,
``name="attachment_<name>"; filename="<name>"``, with its own Content-Type or application/octet-stream. The annotation
``Attachments left out`` lists those left out.

A frame, innermost call first: funcName, line, library, sourceCode (both the absolute path; the latter is the key of
``sourceCode``). One block of source per file; lines between two excerpts that were not captured are empty, so that
every line keeps its number.

``error.type`` is "Message", "Exception" (a caught one) or "Unhandled exception". Annotation ``Exception``: type,
message, traceback (as ``traceback.format_tb`` formats it, with its marks under the line: ``wire.carets``).

Answer: 200 with a JSON object that has ``_rxid`` acknowledges the report; a 200 without it does not. 403 is an invalid
token, 400 a malformed report, 503 a wrong subdomain as well as overload. If an earlier attempt had no answer, a refusal
counts as that of a second report with the same uuid: delivered, uncertain. 403, 404 and 413 are exempt, because they
have a meaning of their own. ``wire.http_status`` reads all other answers.

Sources: the released package backtracepython 0.4.3, its requests recorded on CPython 3.11.7 (see
tests/wire/README.md); the page "Error Reporting API Endpoints" of Backtrace's documentation for required fields, the
meaning of ``agent``, ``sourceCode`` and the uuid rule; Backtrace's SDKs for JavaScript, Unity and Android for the
breadcrumbs and ``_mod_fingerprint``; proc(5) for the kernel's names.

Differences from that package, and why:

* ``agent`` and ``backtrace.agent`` name lastword: the page defines the field as the client that sends the report, and
  nothing documented depends on the value.
* The thread that captured is blamed, whatever its name. Other threads are shown if the event has them: in a burst not
  every event does (``capture.threads``).
* Added attributes ``process.parent``, ``process.role`` and ``process.command``, then ``environment``, ``release``,
  ``level``, ``transaction``, ``user.<key>``, the logged values as ``logging.<key>`` (the text is ``logging.message``),
  the scalars of ``extra`` and the tags stand where that package puts its client-wide ones. Added annotations ``Notes``,
  ``Local variables`` and ``Chained exceptions`` hold data for which the format has no field; the last also has the
  members of a group, each with its parent. The contexts and the rest of ``extra`` stand beside them under their own
  names.
* A fingerprint becomes ``_mod_fingerprint``, the SHA-256 of its parts; one that contains ``{{ default }}``, which the
  tracker does not know, leaves the grouping to the tracker.

A report that the drop-in has prepared (``wire.backtrace_prepared``) is that package's own: it has its agent, its
attributes and annotations. Only attachments from ``lastword.add_attachment`` are added, and the annotation on
attachments left out.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import groupby, islice
from typing import Any, Callable, Optional

from lastword.dsn import Destination
from lastword.event import TRIMMED_TAG, Breadcrumb, Call, Event, ExceptionInfo, Frame, shown_value
from lastword.event_json import own_copy
from lastword.version import __version__
from lastword.wire.backtrace_attachments import (
    BREADCRUMBS,
    BYTES,
    Part,
    add_left_out_note,
    form,
    parts,
    without_attachments,
)
from lastword.wire.backtrace_attributes import AGENT, Scalar, attributes, is_scalar
from lastword.wire.backtrace_prepared import MAX_BLOCK_LINES, Prepared, prepared_of, shown_stack, without_wider_source
from lastword.wire.carets import marked_source
from lastword.wire.format import Blame, Delivered, History, HttpReply, HttpRequest, Refused, Retry, Verdict
from lastword.wire.http_status import verdict_without_success, words
from lastword.wire.json_text import encode
from lastword.wire.trim import fit

TAB_WIDTH = 8

#: A run of equal frames longer than this is cut and counted, as in Python's own tracebacks.
SHOWN_REPEATS = 3

_ALSO_A_WRONG_SUBDOMAIN = 503

#: Types of breadcrumbs that the tracker distinguishes; any other becomes ``manual``.
_BREADCRUMB_TYPES = frozenset(("manual", "log", "navigation", "http", "system", "user", "configuration"))


def request(event: Event, destination: Destination, limit: Optional[int] = None) -> HttpRequest:
    """Return the request that delivers ``event``, trimmed to ``limit`` bytes of body; same arguments, same bytes.

    Without a limit nothing is trimmed: no size is documented, so the tracker decides which body is too large.
    """
    boundary = f"lastword-{event['id']}"
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}

    def body(event: Event) -> bytes:
        return form(boundary, _json(payload(event)), _parts(event))

    return HttpRequest(url=destination.dsn.url, body=_fitting(event, body, limit), headers=headers)


def rendered(body: bytes, content_type: str, destination: Destination, limit: Optional[int] = None) -> HttpRequest:
    """Return the request that delivers ``body``, a multipart form. If it is too large, its attachments are removed: the
    parts behind the first one, which is the report.
    """
    if limit is not None and len(body) > limit:
        body = _without_attachments(body)
    return HttpRequest(url=destination.dsn.url, body=body, headers={"Content-Type": content_type})


def judge(reply: HttpReply, history: History) -> Verdict:
    if reply.status == 200 and _has_receipt(reply.body):
        return Delivered()
    if 200 <= reply.status < 300:
        return Retry(f"the answer has no _rxid: {words(reply)}")
    verdict = verdict_without_success(reply)
    if isinstance(verdict, Retry) and reply.status == _ALSO_A_WRONG_SUBDOMAIN:
        return replace(verdict, blame=Blame.ADDRESS)
    if history.ambiguous and isinstance(verdict, Refused) and verdict.blame is Blame.EVENT and not verdict.too_large:
        return Delivered(uncertain=True)
    return verdict


def _fitting(event: Event, body: Callable[[Event], bytes], limit: Optional[int]) -> bytes:
    """Remove first the wider source, then the attachments, and trim only if the body is still too large."""
    rendered = body(event)
    if limit is None or len(rendered) <= limit:
        return rendered
    if less := without_wider_source(event):
        event, rendered = less, body(less)
    if len(rendered) > limit and any(one["content"] is not None for one in event["attachments"]):
        event = without_attachments(event)
    return fit(event, body, limit)


def payload(event: Event) -> dict[str, Any]:
    """Return the report object, before it becomes JSON."""
    prepared = prepared_of(event)
    if prepared is None:
        annotations = add_left_out_note(_annotations(event), event)
        report = _report(event, AGENT, __version__, attributes(event), annotations)
        report["sourceCode"] = _source_code(shown_stack(event)[::-1])
        return report
    report = {**(prepared["report"] or report_without_source(event, prepared))}
    # The program, if it has had the report, may have put anything in their place.
    if isinstance(report.get("annotations"), dict):
        report["annotations"] = add_left_out_note(report["annotations"], event)
    trimmed = event["tags"].get(TRIMMED_TAG)
    if trimmed and isinstance(report.get("attributes"), dict):
        report["attributes"] = {**report["attributes"], TRIMMED_TAG: trimmed}
    if prepared["source_wanted"]:
        excerpts = _source_code(shown_stack(event)[::-1], prepared["tab_width"])
        report["sourceCode"] = {**excerpts, **prepared["source"]}
    return report


def report_without_source(event: Event, prepared: Prepared) -> dict[str, Any]:
    """Return a prepared report without ``sourceCode``. Its attributes and annotations are those of ``prepared``."""
    agent, version = prepared["agent"], prepared["agent_version"]
    return _report(event, agent, version, prepared["attributes"], prepared["annotations"])


def _report(
    event: Event, agent: str, version: str, attributes: dict[str, Scalar], annotations: dict[str, Any]
) -> dict[str, Any]:
    exceptions = event["exceptions"]
    thread_id = str(event["thread"]["id"])
    runtime = event["runtime"]
    report: dict[str, Any] = {
        "uuid": _dashed(event["id"]),
        "timestamp": int(event["timestamp"]),
        "lang": "python",
        "langVersion": f"{runtime['name']} {runtime['version']}-{runtime['release_level']}",
        "agent": agent,
        "agentVersion": version,
        "mainThread": thread_id,
        "attributes": attributes,
        "annotations": annotations,
        "threads": _threads(event, shown_stack(event)[::-1]),
    }
    if exceptions:
        report["classifiers"] = [exceptions[0]["type"]]
    return report


def _threads(event: Event, stack: list[Frame]) -> dict[str, dict[str, Any]]:
    """Return the thread that captured, then the other threads."""
    shown = {
        str(other["id"]): {
            "name": other["name"],
            "stack": [_call(call) for call in other["calls"][::-1]],
            "fault": False,
        }
        for other in event["threads"]
    }
    own = event["thread"]
    captured = {"name": own["name"], "stack": [_frame(frame) for frame in stack], "fault": True}
    return {str(own["id"]): captured, **shown}


def _json(value: Any) -> bytes:
    return encode(value, large_integers_as_text=True)


def _parts(event: Event) -> list[Part]:
    crumbs = event["breadcrumbs"]
    return [*parts(event), *([Part(BREADCRUMBS, BYTES, _json(_breadcrumbs(event)))] if crumbs else [])]


def _without_attachments(body: bytes) -> bytes:
    opening = body.partition(b"\r\n")[0]
    report, attachment, _ = body.partition(b"\r\n" + opening + b"\r\n")
    return report + b"\r\n" + opening + b"--\r\n" if attachment and opening.startswith(b"--") else body


def _breadcrumbs(event: Event) -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "timestamp": int(crumb["timestamp"] * 1000),
            "type": crumb["type"] if crumb["type"] in _BREADCRUMB_TYPES else "manual",
            "level": crumb["level"],
            "message": crumb["message"],
            "attributes": _breadcrumb_attributes(crumb),
        }
        for number, crumb in enumerate(event["breadcrumbs"], start=1)
    ]


def _breadcrumb_attributes(crumb: Breadcrumb) -> dict[str, Scalar]:
    category: dict[str, Scalar] = {"category": crumb["category"]} if crumb["category"] else {}
    return category | {
        name: value if is_scalar(value) else _json(value).decode("ascii") for name, value in crumb["data"].items()
    }


def _has_receipt(body: bytes) -> bool:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and "_rxid" in answer


def _dashed(event_id: str) -> str:
    return "-".join((event_id[:8], event_id[8:12], event_id[12:16], event_id[16:20], event_id[20:]))


def _frame(frame: Frame) -> dict[str, Any]:
    return _call((frame["path"], frame["function"], frame["line"]))


def _call(call: Call) -> dict[str, Any]:
    path, function, line = call
    return {"funcName": function, "line": line, "library": path, "sourceCode": path}


def _annotations(event: Event) -> dict[str, Any]:
    user = event["user"] or {}
    annotations: dict[str, Any] = {f"user.{key}": value for key, value in user.items() if not is_scalar(value)}
    annotations.update({key: value for key, value in event["extra"].items() if not is_scalar(value)})
    annotations.update(event["contexts"])
    frames = event["stack"]
    if event["exceptions"]:
        raised, *chain = event["exceptions"]
        frames = raised["frames"]
        version = event["runtime"]["version"]
        annotations["Exception"] = exception_annotation(raised, version)
        if raised["notes"]:
            annotations["Notes"] = raised["notes"]
        if chain:
            annotations["Chained exceptions"] = [
                _link(number, link, version) for number, link in enumerate(chain, start=1)
            ]
    if variables := _local_variables(frames):
        annotations["Local variables"] = variables
    return annotations


def exception_annotation(exception: ExceptionInfo, version: str) -> dict[str, Any]:
    """Return the annotation ``Exception``; ``version`` is that of the Python that captured."""
    return {
        "type": exception["type"],
        "message": exception["value"],
        "traceback": _traceback(exception["frames"], version),
    }


def _link(number: int, exception: ExceptionInfo, version: str) -> dict[str, Any]:
    """Return an exception behind the reported one, which is number 0; ``parent`` is the number of the one it led to."""
    return {
        "number": number,
        "relation": exception["kind"],
        "parent": exception["parent"],
        **exception_annotation(exception, version),
        "notes": exception["notes"],
        "variables": _local_variables(exception["frames"]),
    }


def _local_variables(frames: list[Frame]) -> list[dict[str, Any]]:
    """Return the variables of each frame that has any, innermost call first like the stack beside them."""
    return [
        {
            "function": frame["function"],
            "file": frame["path"],
            "line": frame["line"],
            "variables": {variable[0]: shown_value(variable) for variable in frame["variables"]},
        }
        for frame in reversed(frames)
        if frame["variables"]
    ]


def _traceback(frames: list[Frame], version: str) -> list[str]:
    entries: list[str] = []
    frames = [own_copy(frame) for frame in frames]  # each may be encoded, and is read several times
    for _, run in groupby(frames, lambda frame: (frame["file"], frame["line"], frame["function"])):
        entries += [_traceback_entry(frame, version) for frame in islice(run, SHOWN_REPEATS)]
        if hidden := sum(1 for _ in run):
            entries.append(f"  [Previous line repeated {hidden} more time{'s' if hidden > 1 else ''}]\n")
    return entries


def _traceback_entry(frame: Frame, version: str) -> str:
    place = f'  File "{frame["file"]}", line {frame["line"]}, in {frame["function"]}\n'
    return place + "".join(f"    {line}\n" for line in marked_source(frame, version))


def _source_code(stack: list[Frame], tab_width: Any = TAB_WIDTH) -> dict[str, dict[str, Any]]:
    """Return one block for each file, from the lowest line in its frames' excerpts to the highest."""
    files: dict[str, dict[int, str]] = {}
    for frame in stack:
        first = frame["first_source_line"]
        excerpt = dict(enumerate(frame["source"], start=first))
        # The innermost frame comes first and wins: it shows what was being run when the exception was raised.
        merged = {**excerpt, **files.get(frame["path"], {})}
        if excerpt and max(merged) - min(merged) < MAX_BLOCK_LINES:
            files[frame["path"]] = merged
    return {path: _block(path, lines, tab_width) for path, lines in files.items()}


def _block(path: str, lines: dict[int, str], tab_width: Any) -> dict[str, Any]:
    start, end = min(lines), max(lines)
    text = "".join(lines.get(number, "") + "\n" for number in range(start, end + 1))
    return {"startLine": start, "startColumn": 1, "path": path, "tabWidth": tab_width, "text": text}
