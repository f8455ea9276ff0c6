"""The meaning of an unsuccessful answer, as far as all HTTP trackers agree on it.

========================  ==========================================================================================
408, 425, 429             Retry, after ``Retry-After`` if it is given (at most a day)
502, 503, 504             Retry in the same way
other 5xx                 Retry in the same way; perhaps the tracker fails on this one event
3xx                       Misconfigured: the DSN should name the address in ``Location``
401, 407                  Misconfigured: wrong key, or a proxy that requires a password
403, 404                  Refused; perhaps the key or the address is wrong: one event alone cannot show it
413                       Refused; a smaller body is worth a try
other 4xx (400, 422 …)    Refused: this event will never pass
anything else             Retry: a 1xx, or a 2xx that its format does not accept as an acknowledgement
========================  ==========================================================================================

Reasons quote the tracker: the status and the first 200 characters of the body, on one line, without terminal control
characters and without the secrets that the request was sent with.
"""

from __future__ import annotations

import re
from datetime import datetime

from lastword.foreign_text import MOST_QUOTED, one_line
from lastword.wire.format import Blame, HttpReply, Misconfigured, Refused, Retry, Verdict

#: Seconds. If a tracker asks for a longer wait, the next attempt is made after a day.
LONGEST_WAIT = 24 * 3600.0

_TRY_AGAIN = frozenset({408, 425, 429})
#: Sent by a proxy in front of a tracker, or by the tracker about itself; every other 5xx may be about the event.
_NOT_THE_EVENT = frozenset({502, 503, 504})
_WRONG_KEY = frozenset({401, 407})
_PERHAPS_WRONG_ADDRESS_OR_KEY = frozenset({403, 404})
_TOO_LARGE = 413

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def verdict_without_success(reply: HttpReply) -> Verdict:
    """Return the verdict on an answer in which the format found no acknowledgement."""
    status, answer = reply.status, words(reply)
    if status in _TRY_AGAIN or status >= 500:
        about_event = status >= 500 and status not in _NOT_THE_EVENT
        return Retry(answer, wait_asked_for(reply), Blame.EVENT if about_event else Blame.TRACKER)
    if 300 <= status < 400:
        # Without its query, which is not part of the address.
        target = one_line(reply.headers.get("location", "").partition("?")[0], MOST_QUOTED, reply.secrets)
        return Misconfigured(f"HTTP {status}: redirected to {target or 'nowhere'}")
    if status in _WRONG_KEY:
        return Misconfigured(answer)
    if 400 <= status < 500:
        blame = Blame.ADDRESS if status in _PERHAPS_WRONG_ADDRESS_OR_KEY else Blame.EVENT
        return Refused(answer, blame, too_large=status == _TOO_LARGE)
    return Retry(answer)


def words(reply: HttpReply) -> str:
    """Return the answer in the tracker's own words, as one line for a terminal or a log."""
    text = one_line(reply.body.decode("utf-8", "replace"), MOST_QUOTED, reply.secrets)
    return f"HTTP {reply.status}: {text}" if text else f"HTTP {reply.status}"


def wait_asked_for(reply: HttpReply) -> float | None:
    """Return the seconds to wait by ``Retry-After``, from 0 to LONGEST_WAIT; None if the header is missing or unusable.

    A date is measured against the ``Date`` of the same answer, so that only the tracker's own clock counts.
    """
    asked = reply.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(asked):
        seconds = float(asked)
    else:
        until, now = _http_date(asked), _http_date(reply.headers.get("date", "").strip())
        if until is None or now is None:
            return None
        seconds = (until - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _http_date(text: str) -> datetime | None:
    """Parse the preferred form of RFC 9110, section 5.6.7; ``strptime`` obeys the locale, ``email`` is heavy."""
    parts = _HTTP_DATE.fullmatch(text)
    if parts is None or parts[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(parts[group]) for group in (1, 3, 4, 5, 6))
    try:
        return datetime(year, _MONTHS.index(parts[2]) + 1, day, hour, minute, second)
    except ValueError:
        return None
