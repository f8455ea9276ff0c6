"""Breadcrumbs are JSON when they are scrubbed: what is found in them is what would be found if they were read."""

from __future__ import annotations

import contextvars
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastword.config import Config
from lastword.event_json import EncodedList, own_copy
from lastword.scope.breadcrumbs import add_breadcrumb, current
from lastword.scrub import Rules, scrub
from tests.support.events import message_event
from tests.support.promise import Section, promise
from tests.unit.scrub.test_texts import HARMLESS, SECRETS

RULES = {
    "all": Rules(Config()),
    "names": Rules(Config(scrub="names")),
    "off": Rules(Config(scrub="off")),
    "own words": Rules(Config(scrub_names=("iban", "my.key-4", "größe"), keep_names=("author",))),
    "own ascii words": Rules(Config(scrub_names=("iban", "my.key-4"))),
}

NAMES = [
    *(
        "password",
        "API.Key",
        "api-key",
        "apiKey",
        "author",
        "X-Forwarded-For",
        "x.forwarded for",
        "forwarded",
        "real.ip",
    ),
    *("X.Real_IP", "pa\u017f\u017fword", "to\u212aen", "cred\u0131als", "cred\u0130ntial", "credent\u0130al", "IBAN"),
    *("my key 4", "GRÖSSE", "Größe", "url", "rows", 'quoted "', "new\nline", "id"),
]
TEXTS = [*SECRETS, *HARMLESS, "iban=DE02", "x\ncard 4111111111111111", "\t4111-1111-1111-1111", "größe=4", "a@b"]
NUMBERS = [4111111111111111, -4111111111111111, 1721900000123, 0.1 + 0.2, 4.111111111111111, 0, True, None]

values = st.recursive(
    st.sampled_from(TEXTS) | st.sampled_from(NUMBERS) | st.text(),
    lambda items: st.lists(items, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(), items, max_size=3),
    max_leaves=6,
)
crumbs = st.fixed_dictionaries(
    {
        "timestamp": st.floats(0, 2e9),
        "category": st.sampled_from(TEXTS),
        "message": st.sampled_from(TEXTS) | st.text(),
        "data": st.dictionaries(st.sampled_from(NAMES) | st.text(), values, max_size=3),
    }
)


@promise(
    Section.BEFORE_DISK,
    "Breadcrumbs that are already JSON lose the same secrets",
    broken_by="`\\u2026` does not end a cut token; letters like the long s not considered; names with dots forgotten",
)
@settings(deadline=None)
@given(st.lists(crumbs, max_size=4))
def test_encoded_breadcrumbs_are_scrubbed_like_a_list(trail: list[Any]) -> None:
    """With any content and any rules."""
    for name, rules in RULES.items():
        told: Any = EncodedList([json.dumps(crumb) for crumb in trail])
        plain = scrub(message_event("", breadcrumbs=trail), rules)
        encoded = scrub(message_event("", breadcrumbs=told), rules)
        assert own_copy(encoded) == own_copy(plain), name


@pytest.mark.parametrize("name", NAMES)
def test_sensitive_name_is_found_in_any_spelling(name: str) -> None:
    """Separators, cases and letters that count as others: by itself, since one find makes the rest be looked at."""
    trail: Any = [{"data": {name: "x"}}]
    for rules in RULES.values():
        told: Any = EncodedList([json.dumps(crumb) for crumb in trail])
        plain = scrub(message_event("", breadcrumbs=trail), rules)
        assert own_copy(scrub(message_event("", breadcrumbs=told), rules)) == own_copy(plain)


def test_breadcrumbs_without_secrets_are_not_decoded() -> None:
    """Their JSON goes to the disk as it was written."""
    told: Any = EncodedList(['{"message" : "as it was"}', '{"message":"postgres://ann:hunter2@db/shop"}'])
    scrubbed: Any = scrub(message_event("", breadcrumbs=told), RULES["all"])["breadcrumbs"]
    assert scrubbed.texts == ['{"message" : "as it was"}', '{"message":"postgres://[filtered]@db/shop"}']


def test_a_trail_of_urls_costs_little() -> None:
    """An address is no secret, so 100 of them cost a fraction of what 100 with a password in them do."""

    def seconds(url: str) -> float:
        def run() -> Any:
            for number in range(100):
                add_breadcrumb(f"GET {url}{number}", category="http", data={"url": f"{url}{number}", "took": 0.1 + 0.2})
            return current()

        event = message_event("", breadcrumbs=contextvars.Context().run(run))
        times = []
        for _ in range(5):
            began = time.process_time()
            scrub(event, RULES["all"])
            times.append(time.process_time() - began)
        return min(times)

    assert seconds("https://shop.example/orders/") < seconds("https://ann:hunter2@shop.example/orders/") / 4
