"""What each answer of a tracker means for the event: delivered, later, never, or wrong address."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lastword.wire.format import Blame, Delivered, History, HttpReply, Misconfigured, Refused, Retry, Verdict
from lastword.wire.formats import FORMATS
from lastword.wire.http_status import LONGEST_WAIT, wait_asked_for, words
from tests.support.promise import Section, promise

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


#: Statuses without success, with what each means whatever the format; the reason and the time to wait left aside.
MEANINGS: list[tuple[list[int], Verdict]] = [
    ([408, 425, 429, 502, 504], Retry("")),
    ([500, 501, 507, 599], Retry("", blame=Blame.EVENT)),
    ([300, 301, 302, 303, 304, 307, 308], Misconfigured("")),
    ([401, 407], Misconfigured("")),
    ([403, 404], Refused("", blame=Blame.ADDRESS)),
    ([413], Refused("", too_large=True)),
    ([400, 402, 405, 409, 410, 411, 414, 415, 422, 431, 451, 499], Refused("")),
    ([100, 101], Retry("")),
]

NEW, AGAIN = History(), History(ambiguous=True)


def meaning(wire: str, status: int, history: History = NEW) -> Verdict:
    """The verdict without its reason; a receipt in the body does not turn a failure into a success."""
    verdict = FORMATS[wire].judge(HttpReply(status, b'{"_rxid": "1"}'), history)
    return verdict if isinstance(verdict, Delivered) else replace(verdict, reason="")


@promise(
    Section.BAD_EVENT,
    "Every answer has the same verdict in every format",
    broken_by="403 final; 413 not reported; 503 plain",
)
@pytest.mark.parametrize("wire", sorted(FORMATS))
@pytest.mark.parametrize(("statuses", "verdict"), MEANINGS)
def test_unsuccessful_answer_has_the_same_verdict_in_every_format(
    wire: str, statuses: list[int], verdict: Verdict
) -> None:
    """The verdict table of the design, all rows."""
    assert {status: meaning(wire, status) for status in statuses} == dict.fromkeys(statuses, verdict)


@pytest.mark.parametrize(("wire", "blame"), [("backtrace", Blame.ADDRESS), ("booboo", Blame.TRACKER)])
def test_503_of_backtrace_may_mean_a_wrong_address(wire: str, blame: Blame) -> None:
    """Backtrace answers 503 to a subdomain that it does not know, as well as when it is overloaded."""
    assert meaning(wire, 503) == Retry("", blame=blame)


@promise(
    Section.BAD_EVENT,
    "A refused repeat after an unanswered attempt counts as delivered",
    broken_by="history ignored; 403 counted too",
)
@pytest.mark.parametrize(("statuses", "verdict"), MEANINGS)
def test_backtrace_refusal_after_an_unanswered_attempt_is_a_repeat(statuses: list[int], verdict: Verdict) -> None:
    """Backtrace refuses a uuid that it has; the answers that have a meaning of their own keep it."""
    expected = Delivered(uncertain=True) if verdict == Refused("") else verdict
    assert {status: meaning("backtrace", status, AGAIN) for status in statuses} == dict.fromkeys(statuses, expected)


@pytest.mark.parametrize(("statuses", "verdict"), MEANINGS)
def test_booboo_knows_no_repeats(statuses: list[int], verdict: Verdict) -> None:
    """Its events carry no id, so a refusal is one, whatever came before."""
    assert {status: meaning("booboo", status, AGAIN) for status in statuses} == dict.fromkeys(statuses, verdict)


@pytest.mark.parametrize("history", [NEW, AGAIN])
@pytest.mark.parametrize("wire", sorted(FORMATS))
def test_every_status_has_a_meaning(wire: str, history: History) -> None:
    """Any answer is one of the four verdicts, and only success is certain."""
    for status in range(100, 1000):
        verdict = meaning(wire, status, history)
        assert isinstance(verdict, (Delivered, Retry, Refused, Misconfigured))
        assert (verdict == Delivered()) == (status == 200 or (wire == "booboo" and 200 <= status < 300)), status


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_booboo_delivers_by_any_2xx(status: int) -> None:
    """With an empty body or one that is no JSON, too."""
    assert FORMATS["booboo"].judge(HttpReply(status, b"<html>"), NEW) == Delivered()


def test_backtrace_delivers_by_a_200_with_a_receipt() -> None:
    """Only ``_rxid`` says that the report was taken."""
    answer = b'{"response":"ok","_rxid":"03000000-0000-0000-0000-000000000000"}'
    assert FORMATS["backtrace"].judge(HttpReply(200, answer), NEW) == Delivered()


@pytest.mark.parametrize(
    "body", [b"", b"ok", b"{}", b'"_rxid"', b'["_rxid"]', b'{"_rxid": "1"', b"\xff\xfe", b"[" * 60_000, b"9" * 60_000]
)
def test_backtrace_tries_again_after_a_200_without_a_receipt(body: bytes) -> None:
    """Some page that answers 200 to everything is no tracker: the event is kept, whatever the page says."""
    assert isinstance(FORMATS["backtrace"].judge(HttpReply(200, body), NEW), Retry)


@pytest.mark.parametrize("status", [201, 202, 204])
def test_backtrace_tries_again_after_another_2xx(status: int) -> None:
    """Backtrace acknowledges by exactly 200."""
    assert isinstance(FORMATS["backtrace"].judge(HttpReply(status, b'{"_rxid": "1"}'), NEW), Retry)


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
    assert FORMATS["booboo"].judge(HttpReply(429, b"", headers), NEW) == Retry("HTTP 429", seconds)
    busy = FORMATS["backtrace"].judge(HttpReply(503, b"", headers), NEW)
    assert busy == Retry("HTTP 503", seconds, blame=Blame.ADDRESS)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "HTTP 413"),
        (b" \r\n ", "HTTP 413"),
        (b'{"detail": "too large"}', 'HTTP 413: {"detail": "too large"}'),
        (b"two\r\n  lines", "HTTP 413: two lines"),
        (b"\x1b[31mred\x00", "HTTP 413: [31mred"),
        (b"\xff", "HTTP 413: �"),
        (b"x" * 1000, "HTTP 413: " + "x" * 199 + "…"),
    ],
)
def test_a_reason_is_the_trackers_own_words_on_one_line(body: bytes, said: str) -> None:
    """The status and 200 characters of the body, without anything that steers a terminal."""
    assert words(HttpReply(413, body)) == said
    assert FORMATS["backtrace"].judge(HttpReply(413, body), NEW) == Refused(said, too_large=True)


def test_a_redirect_names_its_target_without_the_token() -> None:
    """The reason says where the DSN should point; the query, which repeats the token, is left out."""
    reply = HttpReply(308, b"", {"location": "https://new.example/post?token=SECRET&format=json"})
    assert FORMATS["backtrace"].judge(reply, NEW) == Misconfigured("HTTP 308: redirected to https://new.example/post")
