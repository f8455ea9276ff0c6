"""Changes to what is valid: random bytes get no further than the first check, one wrong field gets anywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Callable

from hypothesis import strategies as st

#: Bytes of an input.
LARGEST = 1 << 20

DIRTY = "\x1b]0;owned\x07\x1b[31m\x9b2J\x7f\r\u202e"

#: What may stand where a JSON number did.
NUMBERS = [
    *("0", "-1", "0.5", "1e999", "-1e999", "NaN", "-Infinity", "1e300", "1e-320", "253402300800", "null", "true"),
    *("9223372036854775808", "-9223372036854775809", "4294967296", '""', '"1"', '"1e999"', "[]", "[0]", "{}"),
    *("1" + "0" * 400, "1" * 4301),
]

#: What may stand inside a JSON text.
TEXTS = [
    *("", ".", "..", "/", "../../canary/kept.txt", "../set_aside", "/etc/passwd", "none", "x" * 100_000, "x" * 300),
    *(
        r"\u0000",
        r"\u001b]0;owned\u0007\u001b[31m",
        r"\u009b2J",
        r"\ud800",
        r"\u202e",
        r"\r\nX-Injected: 1",
        r"\n",
        "é",
    ),
    *(
        "http://[",
        "http://127.0.0.1:99999999/",
        "http://127.0.0.1:x/",
        "http:///",
        "file:///etc/passwd",
        "1e999",
        "%s{0}",
    ),
]

#: What may come in anywhere.
PIECES = [
    *(
        b"\n",
        b"\r\n\r\n",
        b"\0",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"{",
        b'"',
        b"[" * 100_000,
        b'{"a":' * 20_000,
        b"\0" * 5_000,
    ),
    *(DIRTY.encode(), b"1" * 5_000, b'{"c":"00000000","n":1,"to":null,', b"lastword ledger ", b"HTTP/1.1 200 OK\r\n"),
]

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_MEMBER = re.compile(rb'"(?:[^"\\]|\\.)*"\s*:\s*(?:"(?:[^"\\]|\\.)*"|[^\s",{}\[\]]+),?')

Draw = Callable[[st.SearchStrategy[Any]], Any]
Change = Callable[[Draw, bytes, Sequence[bytes]], bytes]


def _place(draw: Draw, content: bytes) -> int:
    place: int = draw(st.integers(0, len(content)))
    return place


def _replaced(draw: Draw, content: bytes, pattern: re.Pattern[bytes], new: bytes) -> bytes:
    """``content`` with ``new`` for one match of ``pattern``."""
    found = list(pattern.finditer(content))
    if not found:
        return content
    match = found[draw(st.integers(0, len(found) - 1))]
    return content[: match.start()] + new + content[match.end() :]


def _other_number(draw: Draw, content: bytes, _: Sequence[bytes]) -> bytes:
    return _replaced(draw, content, _NUMBER, draw(st.sampled_from(NUMBERS)).encode())


def _other_text(draw: Draw, content: bytes, _: Sequence[bytes]) -> bytes:
    return _replaced(draw, content, _STRING, b'"' + draw(st.sampled_from(TEXTS)).encode() + b'"')


def _other_kind(draw: Draw, content: bytes, _: Sequence[bytes]) -> bytes:
    return _replaced(draw, content, _STRING, draw(st.sampled_from(NUMBERS)).encode())


def _member_gone(draw: Draw, content: bytes, _: Sequence[bytes]) -> bytes:
    return _replaced(draw, content, _MEMBER, b"")


def _flipped(draw: Draw, content: bytes, _: Sequence[bytes]) -> bytes:
    place = _place(draw, content)
    changed = bytes(byte ^ draw(st.integers(1, 255)) for byte in content[place : place + 1])
    return content[:place] + changed + content[place + 1 :]


def _cut(draw: Draw, content: bytes, _: Sequence[bytes]) -> bytes:
    return content[: _place(draw, content)]


def _hole(draw: Draw, content: bytes, _: Sequence[bytes]) -> bytes:
    place = _place(draw, content)
    return content[:place] + content[place + draw(st.integers(1, 400)) :]


def _come_in(draw: Draw, content: bytes, _: Sequence[bytes]) -> bytes:
    place = _place(draw, content)
    return b"".join((content[:place], draw(st.sampled_from(PIECES)), content[place:]))


def _repeated(draw: Draw, content: bytes, _: Sequence[bytes]) -> bytes:
    """A piece again and again: lines, members, digits."""
    place = _place(draw, content)
    piece = content[place : place + draw(st.integers(1, 3000))] or b"x\n"
    times: int = min(draw(st.sampled_from([2, 3, 100, 70_000])), LARGEST // 8 // len(piece))
    return b"".join((content[:place], piece * times, content[place:]))


def _spliced(draw: Draw, content: bytes, samples: Sequence[bytes]) -> bytes:
    other = draw(st.sampled_from(samples))
    return b"".join((content[: _place(draw, content)], other[_place(draw, other) :]))


_CHANGES: list[Change] = [
    *(_other_number, _other_number, _other_text, _other_text, _other_kind, _member_gone),
    *(_flipped, _cut, _hole, _come_in, _repeated, _spliced),
]


@st.composite
def mutated(draw: Draw, samples: Sequence[bytes], most: int = 4) -> bytes:
    """One of ``samples`` after up to ``most`` changes."""
    content: Any = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(0, most))):
        content = draw(st.sampled_from(_CHANGES))(draw, content, samples)
    return bytes(content[:LARGEST])


def mutated_texts(samples: Sequence[str]) -> st.SearchStrategy[str]:
    """The same for texts, and a few of the others besides."""
    encoded = [sample.encode() for sample in samples]
    changed = mutated(encoded).map(lambda content: content.decode("utf-8", "surrogateescape"))
    return st.one_of(changed, changed, st.sampled_from([*TEXTS, *NUMBERS, DIRTY]))
