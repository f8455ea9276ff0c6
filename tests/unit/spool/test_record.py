"""The record format, as specified at the top of spool/record.py."""

from __future__ import annotations

import json
import zlib

import pytest

from lastword import checked
from lastword.spool.record import (
    Damage,
    Record,
    body_of,
    encode_event,
    encode_rendered,
    frame,
    parse,
    parse_head,
    pieces,
    readdressed,
    rendered_body,
)
from tests.support.events import EVENT_ID, message_event

BODY = encode_event("ab" * 16, "0123456789ab", {"message": "naïve\nüber \ud800", "n": 1})


def test_the_line_is_as_specified() -> None:
    """c first, the CRC-32 of all that follows its comma; n second; then to, id, kind and the content."""
    line = frame(BODY, 7)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    text = line[:-1].decode("ascii")
    assert list(json.loads(text)) == ["c", "n", "to", "id", "kind", "event"]
    assert text[6:14] == f"{zlib.crc32(text[16:].encode()):08x}"
    assert text.startswith('{"c":"') and text[14:16] == '",' and text[16:].startswith('"n":7,"to":')


@pytest.mark.parametrize("seq", [1, 123456, None])
def test_written_record_is_read_back(seq: int | None) -> None:
    """frame and parse are inverse, with and without a number, whatever the texts hold."""
    found = parse(frame(BODY, seq)[:-1])
    assert found == Record(
        seq=seq, to="0123456789ab", id="ab" * 16, kind="event", content={"message": "naïve\nüber \ud800", "n": 1}
    )


@pytest.mark.parametrize("seq", [3, None])
def test_the_body_can_be_taken_out_again(seq: int | None) -> None:
    """A record can be framed anew without its number."""
    assert body_of(frame(BODY, seq)) == BODY


def test_a_record_without_destination() -> None:
    """`to` is null where there was no DSN."""
    found = parse(frame(encode_event("00" * 16, None, {}), 1)[:-1])
    assert isinstance(found, Record)
    assert found.to is None


def test_every_changed_bit_is_damage() -> None:
    """A record with any single bit turned is no record, and reading it raises nothing."""
    line = frame(BODY, 7)[:-1]
    for place in range(len(line)):
        for bit in range(8):
            changed = bytearray(line)
            changed[place] ^= 1 << bit
            assert isinstance(parse(bytes(changed)), Damage)


def test_every_shorter_line_is_damage() -> None:
    """A record that was cut anywhere is no record."""
    line = frame(BODY, 7)[:-1]
    assert all(isinstance(parse(line[:length]), Damage) for length in range(len(line)))


@pytest.mark.parametrize(
    "rest",
    [
        b'"n":"1","to":null,"id":"x","kind":"event","event":{}}',
        b'"n":1,"to":7,"id":"x","kind":"event","event":{}}',
        b'"n":1,"to":null,"id":"x","kind":"event"}',
        b'"n":1,"to":null,"id":"%b","kind":["event"],"event":{}}' % (b"a" * 32),
        b'"n":0,"to":null,"id":"%b","kind":"event","event":{}}' % (b"a" * 32),
        b'"n":true,"to":null,"id":"%b","kind":"event","event":{}}' % (b"a" * 32),
        b'"n":1,"to":"../../../x","id":"%b","kind":"event","event":{}}' % (b"a" * 32),
        b'"n":1,"to":null,"id":"../../../x","kind":"event","event":{}}',
        b'"n":1,"to":null,"id":7,"kind":"event","event":{}}',
        b"[" * 100_000 + b"]" * 100_000,
        b"",
    ],
)
def test_a_right_checksum_over_nonsense_is_damage(rest: bytes) -> None:
    """And reading it raises nothing."""
    assert isinstance(parse(b'{"c":"%08x",%b' % (zlib.crc32(rest), rest)), Damage)


def test_nan_is_refused_when_written() -> None:
    """Invalid JSON never gets into a segment."""
    with pytest.raises(ValueError, match="JSON"):
        encode_event("00" * 16, None, {"x": float("nan")})


def found_in(line: bytes) -> list[object]:
    found = list(pieces(line))
    assert [end for _, end, _ in found[:-1]] == [start for start, _, _ in found[1:]]
    assert (found[0][0], found[-1][1]) == (0, len(line))
    return [piece.seq if isinstance(piece, Record) else "damage" for _, _, piece in found]


def test_records_that_are_whole_within_a_line() -> None:
    """A lost newline costs no record, and bytes that came in between cost none either."""
    first, second, third = (frame(BODY, seq)[:-1] for seq in (1, 2, None))
    assert found_in(first) == [1]
    assert found_in(first + second + third) == [1, 2, None]
    assert found_in(b"x" + first) == ["damage", 1]
    assert found_in(first + b"x" + second) == ["damage", 2]
    assert found_in(first[:-9] + second) == ["damage", 2]
    assert found_in(b"x" * 50 + first[:20] + second[:40] + b'{"c":"') == ["damage"]


def test_quoted_record_in_a_text_is_not_a_record() -> None:
    """It stays a text of its event, in a damaged line too."""
    inner = frame(BODY, 9)[:-1].decode()
    outer = frame(encode_event("cd" * 16, None, {"message": inner}), 1)[:-1]
    assert found_in(outer) == [1]
    assert found_in(outer[:-3]) == ["damage"]


@pytest.mark.parametrize(
    "line",
    [
        frame(encode_event("ab" * 16, "0123456789ab", {"text": "x"}), 7)[:-1],
        frame(encode_event("ab" * 16, None, {}), None)[:-1],
        frame(b'"to":null,"id":"' + b"ab" * 16 + b'","kind":"rendered","rendered":{"a":1}}', 2)[:-1],
        frame(encode_event(EVENT_ID, "0123456789ab", message_event("x")), 7)[:-1],
        frame(encode_event(EVENT_ID, None, {"timestamp": 5, **message_event("x")}), 7)[:-1],
        frame(encode_event(EVENT_ID, None, {"id": EVENT_ID, "timestamp": "5", "x": 1}), 7)[:-1],
        frame(encode_event(EVENT_ID, None, {"id": EVENT_ID, "timestamp": 1e300}), 7)[:-1],
        frame(encode_rendered(EVENT_ID, "0" * 12, "booboo", b"{}", "application/json", 1700000000.5), None)[:-1],
        frame(encode_rendered(EVENT_ID, "0" * 12, "booboo", b"{}", "application/json", 1700000000.5), 7)[:-3],
        frame(b'"to":"../../../../x","id":"' + b"ab" * 16 + b'","kind":"event","event":{}}', 1)[:-1],
        frame(encode_event("ab" * 16, None, {}), 1)[:-1].replace(b"event", b"evont"),
        frame(b'"to":null,"kind":"event","id":"' + b"ab" * 16 + b'","event":{}}', 3)[:-1],
        b'{"c":"',
        b"",
    ],
)
def test_the_head_alone_says_the_same(line: bytes) -> None:
    """Counting by heads gives the same as reading everything, for records and for damage."""

    def but_for_content(found: Record | Damage) -> object:
        return (found._replace(content={}), found.captured_at) if isinstance(found, Record) else found

    assert but_for_content(parse_head(line)) == but_for_content(parse(line))


@pytest.mark.parametrize(
    "body",
    [
        encode_event(EVENT_ID, "0123456789ab", message_event("x")),
        encode_rendered(EVENT_ID, "0" * 12, "backtrace", b"--x--", "multipart/form-data", 1700000000.5),
    ],
)
def test_only_the_head_of_our_own_records_is_decoded(body: bytes) -> None:
    """No more of it is decoded."""
    head = parse_head(frame(body, 3)[:-1])
    assert isinstance(head, Record)
    assert list(head.content) == ["timestamp"]


def test_the_same_record_for_another_destination() -> None:
    """Only where it goes differs."""
    body = encode_event("ab" * 16, None, {"text": "a,b"})
    assert readdressed(body, "0123456789ab") == encode_event("ab" * 16, "0123456789ab", {"text": "a,b"})
    assert readdressed(readdressed(body, "0123456789ab"), None) == body


@pytest.mark.parametrize("time", [-1, -0.5, 1e12, "now", None, True])
def test_a_time_that_no_clock_shows_is_none(time: object) -> None:
    """Such an event has no age."""
    found = parse(frame(encode_event("ab" * 16, None, {"timestamp": time}), 1)[:-1])
    assert isinstance(found, Record)
    assert found.captured_at == 0.0


@pytest.mark.parametrize("body", [b'{"message": "a \\" \\\\ \\u00e9"}', "é\n\x00".encode(), b"\x89PNG\xff", b""])
def test_a_rendered_body_comes_back_as_it_was(body: bytes) -> None:
    """Text or not, every byte of a rendered body survives, on one line of ASCII, with its format and content type."""
    line = frame(encode_rendered("ab" * 16, "0" * 12, "booboo", body, "application/json", 1700000000.5), 3)
    record = parse(line[:-1])
    assert isinstance(record, Record)
    assert line.isascii() and line.count(b"\n") == 1
    assert (record.kind, record.captured_at) == ("rendered", 1700000000.5)
    assert (record.content["wire"], record.content["type"]) == ("booboo", "application/json")
    assert rendered_body(record.content) == body


@pytest.mark.parametrize("content", [{}, {"text": 1}, {"base64": None}, {"base64": "A"}])
def test_invalid_rendered_body_is_not_sent(content: dict[str, object]) -> None:
    """Nothing is sent in its place."""
    with pytest.raises(ValueError):
        rendered_body(content)


def test_a_line_without_an_end_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment may be full of such lines, whatever their checksums."""
    monkeypatch.setattr(checked, "json_value", lambda _: pytest.fail("it was decoded"))
    line = frame(b'"to":null,', 1).rstrip(b"\n")
    assert parse(line) == Damage("unreadable: it has no end")
