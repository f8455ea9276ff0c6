"""The promise: but for the name of the sender, our reports are those of the packages that lastword replaces.

The other side of the comparison was recorded from the packages themselves (see README.md beside this file).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lastword.wire.format import HttpRequest
from lastword.wire.formats import FORMATS
from tests.support.events import destination
from tests.wire.comparable import comparable_backtrace, comparable_booboo
from tests.wire.situation_events import situation_event

RECORDED = Path(__file__).with_name("recorded")
SITUATIONS = ["message", "locals", "cause", "context", "no_source", "unhandled"]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_booboo_event_equals_the_recorded_one_key_by_key_and_in_order(situation: str) -> None:
    """URL, headers, keys, their order and every value are those of booboo-sdk; only the sender's name differs."""
    event = situation_event(situation)
    request = FORMATS["booboo"].request(event, destination("booboo+http://TOKEN@127.0.0.1:1/organisation/project"))
    ours = comparable_booboo(*_parts(request))
    assert _text(ours) == _text(_recorded("booboo-sdk", situation))


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_backtrace_report_equals_the_recorded_one_key_by_key_and_in_order(situation: str) -> None:
    """URL, part, keys, their order and every value are those of backtracepython; only two annotations are added."""
    event = situation_event(situation)
    request = FORMATS["backtrace"].request(event, destination("backtrace+http://127.0.0.1:1?token=TOKEN"))
    ours = comparable_backtrace(*_parts(request))
    for added in ("Local variables", "Chained exceptions"):
        ours["body"]["annotations"].pop(added, None)
    assert _text(ours) == _text(_recorded("backtracepython", situation))


def _parts(request: HttpRequest) -> tuple[str, dict[str, str], bytes]:
    url = urlsplit(request.url)
    return url.path + (f"?{url.query}" if url.query else ""), dict(request.headers), request.body


def _recorded(package: str, situation: str) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((RECORDED / f"{package}.json").read_text())[situation]
    return recorded


def _text(comparable: dict[str, Any]) -> str:
    return json.dumps(comparable, indent=1)
