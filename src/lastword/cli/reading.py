"""Format an event for people: its traceback as Python prints it, with variables, and its surroundings. Pure functions.

An event may come from a user's hook or from another version: parts that are missing or of the wrong type are left out.

A rendered body (``spool.record``) is shown as indented JSON, with a title if one can be found.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lastword import checked
from lastword.foreign_text import printable
from lastword.wire.carets import marked_source

_LONGEST_TITLE = 100
_UNREADABLE = "an event that cannot be read"
_LINKS = {
    "cause": "The above exception was the direct cause of the following exception:",
    "context": "During handling of the above exception, another exception occurred:",
}


class Span(NamedTuple):
    """A piece of text and the name of its ``rich`` style."""

    text: str
    style: str = ""


def title_of(event: Mapping[str, Any]) -> str:
    """Return a title of the event, in one line."""
    try:
        title = " ".join(_title(event).split())
    except Exception:  # for instance, nested too deeply
        return _UNREADABLE
    return title if len(title) <= _LONGEST_TITLE else title[: _LONGEST_TITLE - 1] + "…"


def _title(event: Mapping[str, Any]) -> str:
    if is_rendered(event):
        return rendered_title(event)
    exceptions = _mappings(event.get("exceptions"))
    return _headline(exceptions[0]) if exceptions else str(event.get("message") or _UNREADABLE)


def date_of(at: object, form: str) -> str:
    """Format Unix seconds as a local date by the strftime ``form``; return "?" if ``at`` is not a valid time."""
    try:
        return time.strftime(form, time.localtime(checked.seconds(at)))
    except (ValueError, OverflowError, OSError):
        return "?"


def pages_of(event: Mapping[str, Any]) -> Iterator[Span]:
    """Yield the whole event, as far as it can be read."""
    try:
        yield from _pages_of(event)
    except Exception as error:  # for instance, nested too deeply
        yield Span(f"\nThe rest cannot be shown: {type(error).__name__}\n", "red")


def _pages_of(event: Mapping[str, Any]) -> Iterator[Span]:
    if not event:
        return
    if is_rendered(event):
        yield Span(f"rendered for {_in_line(event['wire'])}\n", "dim")
        yield Span(rendered_text(event) + "\n")
        return
    yield from _surroundings(event)
    yield from _attachments(event)
    yield from _breadcrumbs(event)
    if event.get("message"):
        yield Span(f"\n{event['message']}\n", "bold")
    stack = _mappings(event.get("stack"))
    if stack:
        yield Span("Stack (most recent call last):\n")
        yield from _frames(stack, _version_of(event))
    exceptions = _mappings(event.get("exceptions"))
    if exceptions:
        yield Span("\n")
        yield from _exception(exceptions, 0, set(), _version_of(event))


def _surroundings(event: Mapping[str, Any]) -> Iterator[Span]:
    process, host, runtime = (_mapping(event.get(name)) for name in ("process", "host", "runtime"))
    known = {
        "level": event.get("level"),
        "time": date_of(event.get("timestamp"), "%Y-%m-%d %H:%M:%S %z"),
        "transaction": event.get("transaction"),
        "program": f"{process.get('program', '?')}, pid {process.get('pid', '?')}",
        "host": f"{host.get('hostname', '?')} ({host.get('sysname', '?')} {host.get('release', '')})",
        "python": f"{runtime.get('name', '?')} {runtime.get('version', '')}",
        "environment": event.get("environment"),
        "release": event.get("release"),
        "captured by": event.get("mechanism"),
        "user": _pairs(event.get("user")),
        "tags": _pairs(event.get("tags")),
        "fingerprint": ", ".join(map(str, _list(event.get("fingerprint")))),
        "extra": _pairs(event.get("extra")),
        **{str(name): _pairs(values) for name, values in _mapping(event.get("contexts")).items()},
    }
    for name, value in known.items():
        if value:
            yield Span(f"{_in_line(name) + ':':<13}", "dim")
            yield Span(f"{_indented(value, 13)}\n")


def _attachments(event: Mapping[str, Any]) -> Iterator[Span]:
    """Yield the attachments' names, types and sizes, without their content."""
    attachments = _mappings(event.get("attachments"))
    if attachments:
        yield Span("\nAttachments:\n")
    for one in attachments:
        name, kind, size = (_in_line(one.get(field)) for field in ("name", "type", "size"))
        yield Span(f"  {name}  {kind}, {size} bytes\n")
        if one.get("left_out"):
            yield Span(f"    left out: {_in_line(one['left_out'])}\n", "dim")


def _breadcrumbs(event: Mapping[str, Any]) -> Iterator[Span]:
    breadcrumbs = _mappings(event.get("breadcrumbs"))
    if breadcrumbs:
        yield Span("\nBreadcrumbs (most recent last):\n")
    for crumb in breadcrumbs:
        when = date_of(crumb.get("timestamp"), "%H:%M:%S")
        yield Span(f"  {when}  {_in_line(crumb.get('level')):<8} ", "dim")
        parts = (crumb.get("category"), crumb.get("message"), _pairs(crumb.get("data")))
        yield Span(_indented("  ".join(str(part) for part in parts if part), 12) + "\n")


def _exception(exceptions: list[Mapping[str, Any]], index: int, shown: set[int], version: str) -> Iterator[Span]:
    """Yield one exception: its causes before it, the members of a group after it, as Python does."""
    if index in shown:
        return
    shown.add(index)
    exception = exceptions[index]
    links = {number: other.get("kind") for number, other in enumerate(exceptions) if other.get("parent") == index}
    for number, kind in links.items():
        if kind in _LINKS:
            yield from _exception(exceptions, number, shown, version)
            yield Span(f"\n{_LINKS[str(kind)]}\n\n", "dim")
    frames = _mappings(exception.get("frames"))
    if frames:
        yield Span("Traceback (most recent call last):\n")
        yield from _frames(frames, version)
    yield Span(f"{_headline(exception)}\n", "bold red")
    for note in _list(exception.get("notes")):
        yield Span(f"{note}\n", "italic")
    for number, kind in links.items():
        if kind == "member":
            yield Span(f"\nOf the group {_in_line(exception.get('type'))}:\n\n", "dim")
            yield from _exception(exceptions, number, shown, version)


def _headline(exception: Mapping[str, Any]) -> str:
    module, name, value = exception.get("module"), exception.get("type"), exception.get("value")
    whole = _in_line(f"{module}.{name}" if module and module != "builtins" else name)
    return f"{whole}: {value}" if value else whole


def _frames(frames: list[Mapping[str, Any]], version: str) -> Iterator[Span]:
    for frame in frames:
        own = "" if frame.get("in_app", True) else "dim"
        file, line, name = (_in_line(frame.get(field)) for field in ("file", "line", "qualname"))
        yield Span(f'  File "{file}", line {line}, in {name}\n', own or "cyan")
        for line in _source(frame, version):
            yield Span(f"    {_in_line(line)}\n", own)
        for variable in _list(frame.get("variables")):
            if isinstance(variable, (list, tuple)) and len(variable) == 3:
                name, mark, text = variable
                shown = "[filtered]" if mark == "filtered" else _indented(text, 8)
                yield Span(f"      {_in_line(name)} = {shown}\n", "dim")


def _source(frame: Mapping[str, Any], version: str) -> list[str]:
    try:
        return marked_source(frame, version)
    except Exception:  # fields of the wrong type
        return []


def _version_of(event: Mapping[str, Any]) -> str:
    return str(_mapping(event.get("runtime")).get("version"))


def _in_line(value: object) -> str:
    """Return ``value`` in one line: line ends in it could imitate the lines that follow."""
    return printable(str(value), lines=False)


def _indented(value: object, by: int) -> str:
    """Return ``value`` with all lines but the first indented ``by`` characters, for the same reason."""
    return printable(str(value)).replace("\n", "\n" + " " * by)


def _pairs(value: object) -> str:
    return ", ".join(f"{name}={text}" for name, text in _mapping(value).items())


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [one for one in _list(value) if isinstance(one, Mapping)]


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, (list, tuple)) else ()


def is_rendered(content: Mapping[str, Any]) -> bool:
    return isinstance(content.get("wire"), str) and ("text" in content or "base64" in content)


def rendered_title(content: Mapping[str, Any]) -> str:
    """Return the exception type and message, read from either format."""
    body = _body(content)
    attributes = body.get("attributes")
    if body.get("handshake") is True:
        return f"a handshake for {content['wire']}"
    message = attributes.get("error.message") if isinstance(attributes, Mapping) else body.get("message")
    kinds = body.get("classifiers") or [body.get("exception_type")]
    words = [str(word) for word in (kinds[0] if isinstance(kinds, list) else None, message) if word]
    return ": ".join(words) or f"an event for {content['wire']}"


def rendered_text(content: Mapping[str, Any]) -> str:
    """Return its JSON indented or, without JSON, its raw content."""
    body = _body(content)
    return json.dumps(body, indent=1, ensure_ascii=False) if body else str(content.get("text") or content.get("base64"))


def _body(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the JSON object in ``content``, or in the first part of a multipart form; {} if there is none."""
    text = str(content.get("text") or "")
    if str(content.get("type")).startswith("multipart/"):
        text = text.partition("\r\n\r\n")[2].partition("\r\n--")[0]
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, Mapping) else {}
