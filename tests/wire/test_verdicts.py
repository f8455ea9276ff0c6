"""What each answer of a tracker means for the event: delivered, later, never, or wrong address."""

from __future__ import annotations

import pytest

from lastword.http_message import HttpReply
from lastword.wire import FORMATS
from lastword.wire.format import Delivered, History, Misconfigured, Refused, Retry
from lastword.wire.status import LONGEST_WAIT, wait_asked_for, words

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize("wire", sorted(FORMATS))
@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ([408, 425, 429, 500, 502, 503, 504, 507, 599], Retry),
        ([401, 403, 404, 407], Misconfigured),
        ([300, 301, 302, 303, 307, 308], Misconfigured),
        ([400, 402, 405, 409, 410, 411, 413, 414, 415, 422, 431, 451, 499], Refused),
        ([100, 101], Retry),
    ],
)
def test_an_answer_without_success_means_the_same_to_every_format(
    wire: str, statuses: list[int], verdict: type[object]
) -> None:
    """The verdict table of the design, all rows; a receipt in the body does not turn a failure into a success."""
    judged = {status: FORMATS[wire].judge(HttpReply(status, b'{"_rxid": "1"}'), History()) for status in statuses}
    assert {status: type(judgement) for status, judgement in judged.items()} == dict.fromkeys(statuses, verdict)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_booboo_delivers_by_any_2xx(status: int) -> None:
    """The body is not looked at, be it empty or not JSON."""
    assert FORMATS["booboo"].judge(HttpReply(status, b"<html>"), History()) == Delivered()


def test_backtrace_delivers_by_a_200_with_a_receipt() -> None:
    """Only ``_rxid`` says that the report was taken."""
    answer = b'{"response":"ok","_rxid":"03000000-0000-0000-0000-000000000000"}'
    assert FORMATS["backtrace"].judge(HttpReply(200, answer), History()) == Delivered()


@pytest.mark.parametrize(
    "body", [b"", b"ok", b"{}", b'"_rxid"', b'["_rxid"]', b'{"_rxid": "1"', b"\xff\xfe", b"[" * 60_000, b"9" * 60_000]
)
def test_backtrace_tries_again_after_a_200_without_a_receipt(body: bytes) -> None:
    """Some page that answers 200 to everything is no tracker: the event is kept, whatever the page says."""
    assert isinstance(FORMATS["backtrace"].judge(HttpReply(200, body), History()), Retry)


@pytest.mark.parametrize("status", [201, 202, 204])
def test_backtrace_tries_again_after_another_2xx(status: int) -> None:
    """Backtrace acknowledges by exactly 200."""
    assert isinstance(FORMATS["backtrace"].judge(HttpReply(status, b'{"_rxid": "1"}'), History()), Retry)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "9" * 400}, LONGEST_WAIT),
        ({"retry-after": str(10 * 24 * 3600)}, LONGEST_WAIT),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "1_000"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:07 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Mon, 07 Nov 1994 08:49:38 GMT", "date": DATE}, LONGEST_WAIT),
        ({"retry-after": "Sun, 06 Nov 1994 08:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:07 GMT"}, None),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:07 GMT", "date": "yesterday"}, None),
        ({"retry-after": "Sun, 31 Feb 1994 08:50:07 GMT", "date": DATE}, None),
        ({"retry-after": "Sun, 06 Foo 1994 08:50:07 GMT", "date": DATE}, None),
    ],
)
def test_the_wait_that_a_tracker_asks_for_is_understood_or_ignored(
    headers: dict[str, str], seconds: float | None
) -> None:
    """Seconds, or a date measured against the answer's own Date; at most a day, never negative."""
    assert wait_asked_for(HttpReply(429, b"", headers)) == seconds
    assert FORMATS["booboo"].judge(HttpReply(429, b"", headers), History()) == Retry("HTTP 429", seconds)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "HTTP 413"),
        (b" \r\n ", "HTTP 413"),
        (b'{"detail": "too large"}', 'HTTP 413: {"detail": "too large"}'),
        (b"two\r\n  lines", "HTTP 413: two lines"),
        (b"\x1b[31mred\x00", "HTTP 413: [31mred"),
        (b"\xff", "HTTP 413: �"),
        (b"x" * 1000, "HTTP 413: " + "x" * 200),
    ],
)
def test_a_reason_is_the_trackers_own_words_on_one_line(body: bytes, said: str) -> None:
    """The status and 200 characters of the body, without anything that steers a terminal."""
    assert words(HttpReply(413, body)) == said
    assert FORMATS["backtrace"].judge(HttpReply(413, body), History()) == Refused(said)


def test_a_redirect_names_its_target_without_the_token() -> None:
    """The reason says where the DSN should point; the query, which repeats the token, is left out."""
    reply = HttpReply(308, b"", {"location": "https://new.example/post?token=SECRET&format=json"})
    assert FORMATS["backtrace"].judge(reply, History()) == Misconfigured(
        "HTTP 308: redirected to https://new.example/post"
    )
