"""The wire format of booboo.dev.

Constraints first: a frame shows at most 50 variables of at most 200 characters each; there is no field for an event
id or a time (the tracker dates an event by its arrival); a body has at most 102,400 bytes, because the package that
this replaces sends no larger one: a larger event is trimmed (``wire.trim``), and says so in a tag.

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
    context          sdk {name, version}, runtime {name: "Python", version}; user and logging only if present
    tags             always {"runtime": "python"}, then the program's own
    environment, release   "" when not set
    request          the context of that name (method, url, headers, query_string), for an exception that has one

A frame, outermost call first: filename, function, lineno, context_line, pre_context, post_context (5 lines each),
vars (name to text; ``[filtered]`` for a sensitive name, ``<TypeName>`` where repr failed; no dunder names), in_app.

Answer: any 2xx acknowledges the event, whatever its body. ``wire.http_status`` reads all other answers.

Sources: the released package booboo-sdk 0.16.0, its requests recorded on CPython 3.11.7 (see
tests/wire/README.md), and the SDK page of booboo.dev for the meaning of the fields.

Differences from that package, and why:

* ``context.sdk`` names lastword. Nothing documented depends on the value, and a reader wants to know the sender.
* NaN and infinities become ``null``; the package sends them as they are, which is not JSON.
* ``context.logging`` has the data logged with an exception: the text as ``message``, and the values of ``extra``.
* Levels that the page does not list are mapped: fatal to error, debug to info.
* Extra, other contexts, breadcrumbs, fingerprint and transaction are not sent: no key is documented for them.
  Attachments are not sent either: the tag ``lastword.attachments`` names them, with their sizes.
* Notes (PEP 678) follow the text of their exception in ``exceptions``.
* Members of a group are listed as causes. If there is a group, the text of each exception but the first ends with its
  relation to its parent, whose number in the list counts from 1: ``(member of 1. ExceptionGroup)``.
"""

from __future__ import annotations

from typing import Optional

from lastword.dsn import Destination
from lastword.event import LOGGED, Event
from lastword.wire.booboo_payload import REQUEST_CONTEXT, payload
from lastword.wire.format import Delivered, History, HttpReply, HttpRequest, Verdict
from lastword.wire.http_status import verdict_without_success
from lastword.wire.json_text import encode
from lastword.wire.trim import fit
from lastword.wire.trim_rendered import fit_rendered

#: Bytes. A body of exactly this size still passes.
MAX_BODY = 102_400


def request(event: Event, destination: Destination, limit: Optional[int] = None) -> HttpRequest:
    """Return the request that delivers ``event``, trimmed to MAX_BODY bytes of body, or to ``limit`` if that is less;
    the same arguments always give the same bytes.
    """
    # Parts that are never sent make no request too large, and must not be reported as left out to fit.
    sent = {name: context for name, context in event["contexts"].items() if name in (REQUEST_CONTEXT, LOGGED)}
    event = {**event, "extra": {}, "contexts": sent, "breadcrumbs": []}
    headers = {"X-Booboo-DSN": destination.dsn.token, "Content-Type": "application/json"}
    body = fit(event, lambda smaller: encode(payload(smaller)), MAX_BODY if limit is None else min(limit, MAX_BODY))
    return HttpRequest(url=destination.dsn.url, body=body, headers=headers)


def rendered(body: bytes, content_type: str, destination: Destination, limit: Optional[int] = None) -> HttpRequest:
    """Return the request that delivers ``body``, trimmed to the same size if it is a JSON object of that shape."""
    most = MAX_BODY if limit is None else min(limit, MAX_BODY)
    headers = {"X-Booboo-DSN": destination.dsn.token, "Content-Type": content_type}
    return HttpRequest(url=destination.dsn.url, body=fit_rendered(body, most), headers=headers)


def judge(reply: HttpReply, history: History) -> Verdict:
    return Delivered() if 200 <= reply.status < 300 else verdict_without_success(reply)
