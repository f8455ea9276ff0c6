"""The record: one line of JSON in a segment, readable with ``less`` and ``jq``.

Specification (format v1)
-------------------------
A segment is a sequence of lines, each ended by one ``\\n``. A line is a record when it is::

    {"c":"<crc>","n":<seq>,"to":"<destination>","id":"<id>","kind":"<kind>",<rest>}\\n
    {"c":"<crc>","to":"<destination>","id":"<id>","kind":"<kind>",<rest>}\\n            (in x- segments)

* ``c`` comes first and is 8 lower-case hex digits: the CRC-32 (zlib) of every byte after the comma that follows it, up
  to and without the newline.
* ``n`` counts the writer's numbered records from 1 without a gap. It comes second. Records in ``x-`` segments have
  no ``n``.
* ``to`` names a file in ``destinations/``; it is ``null`` if no DSN was configured, and the record is held.
* ``id`` is the event id: 32 lower-case hex digits.
* ``kind`` is ``event``: the rest is ``"event":{…}``, the neutral Event (``lastword.event``).
* ``kind`` is ``rendered``: the rest is ``"rendered":{…}``, a body that is sent unchanged, in this order::

      wire         the body's wire format, the only one by which it may be sent
      timestamp    of the capture, in Unix seconds
      type         its content type; all other headers follow from the destination
      text         the body, if it is UTF-8
      base64       the body otherwise

* An event begins with its ``id`` and its ``timestamp``, unless a hook put something before them. So the first bytes of
  a waiting record contain all that the flusher needs to know of it.
* The JSON is ASCII and holds no newline, so damage never reaches beyond the line it hits.
* A record, its newline included, has at most 1 MiB. It is written by one ``os.write`` to an ``O_APPEND`` descriptor.

An empty line is not damage: a writer whose last write came up short starts its next record with a newline. Any other
line that is not a record is damage, except for whole records within it: where a newline was lost or bytes were
inserted, records are found by how they begin and verified by their checksums.

Bytes after the last newline are unfinished: in a living writer's segment they may still be being written. In a dead
writer's segment they are a record that lacks only its newline, or one torn by the kill and never acknowledged.
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Callable, NamedTuple, Optional, Union

from lastword import checked
from lastword.event_json import encode_value, to_json
from lastword.interruption import failures

MAX_RECORD = 1 << 20

#: The highest number of a record: no writer lives long enough to reach it, and the sum of many can still be stored.
MAX_SEQ = 10**12 - 1

#: The most bytes of a body (``encode_event``): this leaves room for the number, the checksum and the newline.
MAX_BODY = MAX_RECORD - 64

EVENT, RENDERED = "event", "rendered"

NO_RECORD = "not a record"

_PREFIX = b'{"c":"'
_BODY_AT = len(_PREFIX) + 8 + len(b'",')  # {"c":"xxxxxxxx",
_HEAD_OF_ANY = re.compile(rb'\{"c":"[0-9a-f]{8}","')
_BEGINNING = re.compile(rb'\{"c":"[0-9a-f]{8}",(?:"n":[0-9]+,)?"to":')
_ID = re.compile("[0-9a-f]{32}")
_KEY = re.compile("[0-9a-f]{12}")
_HEAD = re.compile(
    rb'(?:"n":([1-9][0-9]{0,11}),)?"to":(?:null|"([0-9a-f]{12})"),"id":"([0-9a-f]{32})",'
    rb'"kind":"(?:(event)","event":\{"id":"[0-9a-f]{32}"|rendered","rendered":\{"wire":"[a-z]+"),'
    rb'"timestamp":([0-9]{1,11}(?:\.[0-9]{1,20})?)[,}]'
)


class Record(NamedTuple):
    """A record as read back. ``seq`` is None in an x- segment, ``to`` is None if no DSN was configured."""

    seq: Optional[int]
    to: Optional[str]
    id: str
    kind: str
    content: dict[str, Any]

    @property
    def captured_at(self) -> float:
        """The time of capture by the event's own clock, in Unix seconds; 0.0 if the event has no valid timestamp."""
        try:
            told = self.content.get("timestamp") if isinstance(self.content, dict) else None
            return float(checked.number(told, 0, checked.LATEST))
        except failures(ValueError):
            return 0.0


class Damage(NamedTuple):
    """A line that is not a record, and why."""

    reason: str


def encode_event(event_id: str, to: Optional[str], event: Mapping[str, Any]) -> bytes:
    """Return the body of a record of kind ``event``: all that follows ``n``. Raises ValueError if it cannot be JSON."""
    return f'"to":{encode_value(to)},"id":"{event_id}","kind":"event","event":{to_json(event)}}}'.encode("ascii")


def encode_rendered(
    event_id: str, to: Optional[str], wire: str, body: bytes, content_type: str, captured_at: float
) -> bytes:
    """Return the body of a record of kind ``rendered``."""
    rendered: dict[str, Any] = {"wire": wire, "timestamp": captured_at, "type": content_type}
    try:
        rendered["text"] = body.decode("utf-8")
    except UnicodeDecodeError:
        rendered["base64"] = binascii.b2a_base64(body, newline=False).decode("ascii")
    head = f'"to":{encode_value(to)},"id":"{event_id}","kind":"rendered"'
    return f'{head},"rendered":{encode_value(rendered)}}}'.encode("ascii")


def rendered_body(content: Mapping[str, Any]) -> bytes:
    """Return the body that ``encode_rendered`` was given. Raises ValueError for content that it did not make."""
    text, base64 = content.get("text"), content.get("base64")
    if isinstance(text, str):
        return text.encode("utf-8")
    if isinstance(base64, str):
        return binascii.a2b_base64(base64)
    raise ValueError("it has no body")


def frame(body: bytes, seq: Optional[int]) -> bytes:
    """Return the whole line for ``body``, newline included."""
    rest = body if seq is None else b'"n":%d,%b' % (seq, body)
    return b'%b%08x",%b\n' % (_PREFIX, zlib.crc32(rest), rest)


def body_of(line: bytes) -> bytes:
    """Return the body from which ``frame`` made this intact line."""
    rest = line.rstrip(b"\n")[_BODY_AT:]
    return rest.partition(b",")[2] if rest.startswith(b'"n":') else rest


def readdressed(body: bytes, to: Optional[str]) -> bytes:
    """Return the same body for another destination."""
    return b'"to":%b,%b' % (encode_value(to).encode("ascii"), body.partition(b",")[2])


def parse(line: bytes) -> Union[Record, Damage]:
    """Parse one line, given without its newline. Never raises."""
    if not line.startswith(_PREFIX) or line[_BODY_AT - 2 : _BODY_AT] != b'",':
        return Damage(NO_RECORD)
    if line[len(_PREFIX) : _BODY_AT - 2] != b"%08x" % zlib.crc32(line[_BODY_AT:]):
        return Damage("checksum does not match")
    if not line.endswith(b"}"):  # many such lines are no work for a decoder
        return Damage("unreadable: it has no end")
    try:
        data = checked.mapping(checked.json_value(line))
        event_id, kind = data["id"], data["kind"]
        seq, to = data.get("n"), data["to"]
        if not (seq is None or (type(seq) is int and 0 < seq <= MAX_SEQ)):
            return Damage("its number is no number")
        if not _ID.fullmatch(event_id) or not (to is None or _KEY.fullmatch(to)):  # both become file names
            return Damage("its id or its destination is none")
        return Record(seq=seq, to=to, id=event_id, kind=str(kind), content=data[kind])
    except failures(ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Damage(f"unreadable: {type(error).__name__}")


def parse_head(line: bytes) -> Union[Record, Damage]:
    """Parse one line in a third of the time, for callers that need only the time of capture of its content.

    The checksum covers the part that is not decoded. A line that does not begin as lastword writes it is parsed whole.
    """
    head = _HEAD.match(line, _BODY_AT)
    if (
        head is None
        or not line.startswith(_PREFIX)
        or line[len(_PREFIX) : _BODY_AT] != b'%08x",' % zlib.crc32(memoryview(line)[_BODY_AT:])
    ):
        return parse(line)
    seq, to, event_id, is_event, timestamp = head.groups()
    return Record(
        seq=int(seq) if seq else None,
        to=to.decode("ascii") if to else None,
        id=event_id.decode("ascii"),
        kind=EVENT if is_event else RENDERED,
        content={"timestamp": float(timestamp)},
    )


def next_head(text: bytes, start: int, end: int) -> Optional[int]:
    """Return where the next possible record begins in ``text[start:end]``; None if there is none."""
    found = _HEAD_OF_ANY.search(text, start, end)
    return found.start() if found else None


Parser = Callable[[bytes], Union[Record, Damage]]


def pieces(line: bytes, parse: Parser = parse) -> Iterator[tuple[int, int, Union[Record, Damage]]]:
    """Yield the whole records within a line and the damage around them, without gaps, as (start, end, found).

    A line that is a record is one piece.
    """
    found = parse(line)
    if isinstance(found, Record):
        yield 0, len(line), found
        return
    bounds = [match.start() for match in _BEGINNING.finditer(line)] + [len(line)]
    damaged_from = 0
    for start, end in zip(bounds, bounds[1:]):
        piece = parse(line[start:end])
        if isinstance(piece, Record):
            if start > damaged_from:
                yield damaged_from, start, found
            yield start, end, piece
            damaged_from = end
    if damaged_from < len(line):
        yield damaged_from, len(line), found
