"""Scrubbing an event: every place where it has names or texts."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lastword.config import Config
from lastword.event import Event
from lastword.scrub import Rules, scrub
from lastword.scrub import whole_event as scrub_event
from tests.support.events import exception, exception_event, frame, message_event

RULES = Rules(Config())
SECRET = "postgres://ann:hunter2@db"
LEFT = "postgres://[filtered]@db"


def test_sensitive_tags_and_user_items_are_filtered_at_any_depth() -> None:
    """The name stays, so that one sees that something was there; its whole value goes."""
    event = message_event(
        tags={"auth_mode": "ldap", "queue": "mail"},
        user={
            "id": "42",
            "password": "hunter2",
            "profile": {"api_key": {"nested": 1}, "name": "Ann", "logins": [{"token": "t", "at": 5}, "text"]},
        },
    )
    scrubbed = scrub(event, RULES)
    assert scrubbed["tags"] == {"auth_mode": "[filtered]", "queue": "mail"}
    assert scrubbed["user"] == {
        "id": "42",
        "password": "[filtered]",
        "profile": {"api_key": "[filtered]", "name": "Ann", "logins": [{"token": "[filtered]", "at": 5}, "text"]},
    }


def test_texts_are_scrubbed_wherever_an_event_has_them() -> None:
    """Also in parts that are the program's own: extra data, contexts, breadcrumbs."""
    variables = [("url", "repr", repr(SECRET)), ("n", "repr", "1")]
    own: dict[str, Any] = {
        "extra": {"urls": [SECRET], "card": 4111111111111111, "n": 1},
        "contexts": {"db": {"url": SECRET, "password": "hunter2"}},
        "breadcrumbs": [{"message": SECRET, "data": {"token": "hunter2", "url": SECRET}, "timestamp": 1.5}],
    }
    raised = exception(value=SECRET, notes=[SECRET], frames=[frame(variables=variables), frame()])
    event = exception_event(exceptions=[raised], user={"name": SECRET}, tags={"db": SECRET}, **own)
    scrubbed: dict[str, Any] = {**scrub(event, RULES)}
    (info,) = scrubbed["exceptions"]
    assert (info["value"], info["notes"], scrubbed["user"], scrubbed["tags"]) == (
        LEFT,
        [LEFT],
        {"name": LEFT},
        {"db": LEFT},
    )
    assert info["frames"][0]["variables"] == [("url", "repr", repr(LEFT)), ("n", "repr", "1")]
    assert scrubbed["extra"] == {"urls": [LEFT], "card": "[filtered]", "n": 1}
    assert scrubbed["contexts"] == {"db": {"url": LEFT, "password": "[filtered]"}}
    assert scrubbed["breadcrumbs"] == [
        {"message": LEFT, "data": {"token": "[filtered]", "url": LEFT}, "timestamp": 1.5}
    ]
    assert scrub(message_event(SECRET), RULES)["message"] == LEFT


def test_ids_are_left_alone() -> None:
    """By them an event is found again, and its user; some look like the number of a card."""
    event = message_event("password=x", id="4" * 32, user={"id": "4111111111111111"})
    scrubbed = scrub(event, RULES)
    assert (scrubbed["id"], scrubbed["user"]) == ("4" * 32, {"id": "4111111111111111"})
    assert scrubbed["message"] == "password=[filtered]"


@pytest.mark.parametrize("secret", ["", SECRET])
def test_scrubbing_leaves_its_argument_and_the_rest_alone(secret: str) -> None:
    """It is a function of the event: the argument is as it was, and the result differs where a secret was."""
    event = exception_event(exceptions=[exception(value=secret)], user={"secret": {"a": 1}}, tags={"token": "x"})
    before = copy.deepcopy(event)
    scrubbed = scrub(event, RULES)
    assert event == before
    changed: dict[str, Any] = {"user": None, "tags": {}, "exceptions": []}
    assert {**scrubbed, **changed} == {**before, **changed}


def test_an_event_without_a_user_stays_without() -> None:
    """None is not a user."""
    assert scrub(message_event(SECRET), RULES)["user"] is None


def test_a_fingerprint_is_no_pair() -> None:
    """Two events of which only the second word differs stay apart; secrets in it go all the same."""
    event = message_event(fingerprint=["auth", "timeout"])
    assert scrub(event, RULES)["fingerprint"] == ["auth", "timeout"]
    assert scrub(message_event(fingerprint=["auth", SECRET]), RULES)["fingerprint"] == ["auth", LEFT]


def test_rules_that_are_off_change_nothing() -> None:
    """A drop-in for what never scrubbed can leave it to the program."""
    event = message_event(SECRET, tags={"token": "x"})
    assert scrub(event, Rules(Config(scrub="off"))) == event
    by_names = scrub(event, Rules(Config(scrub="names")))
    assert (by_names["message"], by_names["tags"]) == (SECRET, {"token": "[filtered]"})


def test_variables_not_scrubbed_in_time_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that were not looked at in time are taken out and say so; what was said of the error is there."""
    frames = [frame(variables=[("a", "repr", repr(SECRET)), ("b", "repr", "'harmless'")]) for _ in range(3)]
    event = exception_event(exceptions=[exception(value=SECRET, frames=frames)])
    times = iter([0.0, 0.005, 0.011, 0.012])
    monkeypatch.setattr(scrub_event, "processor_time", lambda: next(times))
    (info,) = scrub(event, RULES)["exceptions"]
    assert info["value"] == LEFT
    in_time = [("a", "repr", repr(LEFT)), ("b", "repr", "'harmless'")]
    too_late = [("a", "filtered", scrub_event.OUT_OF_TIME), ("b", "filtered", scrub_event.OUT_OF_TIME)]
    assert [one["variables"] for one in info["frames"]] == [in_time, too_late, too_late]


def test_the_largest_event_holds_no_secret() -> None:
    """However many there are: what is not scrubbed in time is not kept."""
    variables = [(f"name_{number}", "repr", repr(f"token={number} " * 12)) for number in range(50)]
    frames = [frame(variables=variables) for _ in range(60)]
    event: Event = exception_event(exceptions=[exception(frames=frames)])
    (info,) = scrub(event, RULES)["exceptions"]
    for one in info["frames"]:
        for _, _, text in one["variables"]:
            assert "token=1" not in text


def test_extra_contexts_and_breadcrumbs_are_filtered_by_their_names() -> None:
    """A context by whose name alone it is a secret keeps its names and none of its values."""

    def breadcrumb(data: dict[str, Any]) -> Any:
        return {"timestamp": 1.5, "type": "http", "category": "", "level": "info", "message": "login", "data": data}

    event = message_event(
        extra={"token": 1, "rows": [{"secret": 2, "id": 3}]},
        contexts={"order": {"id": 7, "card": {"private": 1}}, "credentials": {"name": "Ann", "pin": 1}},
        breadcrumbs=[breadcrumb({"auth": "x", "status": 200}), breadcrumb({})],
        transaction="GET /?token=hunter2",
        fingerprint=["orders", SECRET],
    )
    before = copy.deepcopy(event)
    scrubbed = scrub(event, RULES)
    assert scrubbed["extra"] == {"token": "[filtered]", "rows": [{"secret": "[filtered]", "id": 3}]}
    assert scrubbed["contexts"] == {
        "order": {"id": 7, "card": {"private": "[filtered]"}},
        "credentials": {"name": "[filtered]", "pin": "[filtered]"},
    }
    assert [crumb["data"] for crumb in scrubbed["breadcrumbs"]] == [{"auth": "[filtered]", "status": 200}, {}]
    assert (scrubbed["transaction"], scrubbed["fingerprint"]) == ("GET /?token=[filtered]", ["orders", LEFT])
    assert event == before
